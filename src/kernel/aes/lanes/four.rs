//! Four blocks: AVX-512, where bytes can be masked and three numbers added at once.

use super::{Lanes, PASS, Work};
use crate::kernel::aes::BLOCK;
use crate::kernel::aes::ghash::{Sum, times};
use crate::kernel::aes::vector::Block;
use crate::kernel::aes::x86_64::{Four, Two};
use std::arch::asm;
use std::arch::x86_64::*;

/// The truth table of an exclusive or of three.
const XOR: i32 = 0x96;

impl Lanes for Four {
    #[target_feature(enable = "aes,avx2,vaes,vpclmulqdq,avx512f,avx512bw,avx512vl,avx512dq")]
    unsafe fn enabled<W: Work>(work: W) -> W::Output {
        // SAFETY: the instructions are enabled, and the rest is the caller's.
        unsafe { work.with::<Four>() }
    }

    #[inline(always)]
    unsafe fn first(block: __m128i) -> Four {
        // SAFETY: the caller's.
        unsafe { Four(_mm512_zextsi128_si512(block)) }
    }

    #[inline(always)]
    fn first_block(self) -> __m128i {
        // SAFETY: a value proves the instructions.
        unsafe { _mm512_castsi512_si128(self.0) }
    }

    #[inline(always)]
    unsafe fn repeated(block: __m128i) -> Four {
        // SAFETY: the caller's.
        unsafe { Four(_mm512_broadcast_i32x4(block)) }
    }

    #[inline(always)]
    unsafe fn load_first(from: *const u8, len: usize) -> Four {
        // SAFETY: the caller's; a masked load reads no byte that is masked out.
        unsafe { Four(_mm512_maskz_loadu_epi8(first_bytes(len), from.cast())) }
    }

    #[inline(always)]
    unsafe fn store_first(self, to: *mut u8, len: usize) {
        // SAFETY: the caller's; a masked store writes no byte that is masked out.
        unsafe { _mm512_mask_storeu_epi8(to.cast(), first_bytes(len), self.0) }
    }

    #[inline(always)]
    fn cut(self, len: usize) -> Four {
        // SAFETY: a value proves the instructions.
        unsafe { Four(_mm512_maskz_mov_epi8(first_bytes(len), self.0)) }
    }

    #[inline(always)]
    fn xor3(self, b: Four, c: Four) -> Four {
        // SAFETY: a value proves the instructions.
        unsafe { Four(_mm512_ternarylogic_epi64::<XOR>(self.0, b.0, c.0)) }
    }

    #[inline(always)]
    fn product<const HALVES: i32>(self, other: Four) -> Four {
        // SAFETY: a value proves the instructions.
        unsafe { Four(_mm512_clmulepi64_epi128::<HALVES>(self.0, other.0)) }
    }

    #[inline(always)]
    fn swapped(self) -> Four {
        // SAFETY: a value proves the instructions.
        unsafe { Four(_mm512_shuffle_epi32::<0b01_00_11_10>(self.0)) }
    }

    #[inline(always)]
    fn counted(self, first: i32, step: i32) -> Four {
        let [a, b, c, d] = [0, 1, 2, 3].map(|i| i64::from(first + i * step));
        // SAFETY: a value proves the instructions.
        unsafe { Four(_mm512_add_epi32(self.0, _mm512_set_epi64(0, d, 0, c, 0, b, 0, a))) }
    }

    #[inline(always)]
    fn sum(self) -> __m128i {
        // SAFETY: a value proves the instructions.
        unsafe {
            let (low, high) = (_mm512_castsi512_si256(self.0), _mm512_extracti64x4_epi64::<1>(self.0));
            Two(_mm256_xor_si256(low, high)).sum()
        }
    }

    #[inline(always)]
    unsafe fn powers(h: __m128i) -> Four {
        // SAFETY: the caller's.
        unsafe {
            let one = Four::first(h);
            let two = times(one, one).0;
            // Products of H^2 with H^2 and H, beside those two.
            let low = _mm512_inserti32x4::<1>(two, h);
            let high = times(Four(low), Four::repeated(_mm512_castsi512_si128(two))).0;
            Four(_mm512_inserti64x4::<1>(high, _mm512_castsi512_si256(low)))
        }
    }

    #[target_feature(enable = "aes,avx2,vaes,vpclmulqdq,avx512f,avx512bw,avx512vl,avx512dq")]
    #[inline]
    unsafe fn rounds_and_products<const I: usize>(
        x: &mut [Four; PASS],
        keys: &[Block; PASS],
        sum: &mut Sum<Four>,
        blocks: &[Four; PASS],
        powers: *const u8,
    ) {
        let [x0, x1, x2, x3, x4, x5, x6, x7] = x;
        // SAFETY: registers, and keys and powers that are read; a value proves the instructions. The registers have names
        // since the compiler misspells those above zmm15 when it chooses.
        unsafe {
            asm!(
                "vbroadcasti32x4 zmm13, [{keys} + {key}]",
                "vmovdqa64 zmm14, [{powers} + {power}]",
                "vaesenc zmm0, zmm0, zmm13",
                "vpclmulqdq zmm15, zmm11, zmm14, 0x01",
                "vaesenc zmm1, zmm1, zmm13",
                "vpclmulqdq zmm16, zmm11, zmm14, 0x10",
                "vaesenc zmm2, zmm2, zmm13",
                "vpternlogq zmm9, zmm15, zmm16, {xor}",
                "vaesenc zmm3, zmm3, zmm13",
                "vpclmulqdq zmm17, zmm11, zmm14, 0x00",
                "vaesenc zmm4, zmm4, zmm13",
                "vpclmulqdq zmm18, zmm11, zmm14, 0x11",
                "vmovdqa64 zmm14, [{powers} + {power} + {vector}]",
                "vaesenc zmm5, zmm5, zmm13",
                "vpclmulqdq zmm15, zmm12, zmm14, 0x01",
                "vaesenc zmm6, zmm6, zmm13",
                "vpclmulqdq zmm16, zmm12, zmm14, 0x10",
                "vaesenc zmm7, zmm7, zmm13",
                "vbroadcasti32x4 zmm13, [{keys} + {key} + {block}]",
                "vpternlogq zmm9, zmm15, zmm16, {xor}",
                "vaesenc zmm0, zmm0, zmm13",
                "vpclmulqdq zmm15, zmm12, zmm14, 0x00",
                "vaesenc zmm1, zmm1, zmm13",
                "vpclmulqdq zmm16, zmm12, zmm14, 0x11",
                "vaesenc zmm2, zmm2, zmm13",
                "vpternlogq zmm8, zmm17, zmm15, {xor}",
                "vaesenc zmm3, zmm3, zmm13",
                "vpternlogq zmm10, zmm18, zmm16, {xor}",
                "vaesenc zmm4, zmm4, zmm13",
                "vaesenc zmm5, zmm5, zmm13",
                "vaesenc zmm6, zmm6, zmm13",
                "vaesenc zmm7, zmm7, zmm13",
                keys = in(reg) keys.as_ptr(), key = const 2 * I * BLOCK,
                powers = in(reg) powers, power = const 2 * I * Four::BYTES,
                xor = const XOR, vector = const Four::BYTES, block = const BLOCK,
                inout("zmm0") x0.0, inout("zmm1") x1.0, inout("zmm2") x2.0, inout("zmm3") x3.0,
                inout("zmm4") x4.0, inout("zmm5") x5.0, inout("zmm6") x6.0, inout("zmm7") x7.0,
                inout("zmm8") sum.low.0, inout("zmm9") sum.middle.0, inout("zmm10") sum.high.0,
                in("zmm11") blocks[2 * I].0, in("zmm12") blocks[2 * I + 1].0, out("zmm13") _, out("zmm14") _,
                out("zmm15") _, out("zmm16") _, out("zmm17") _, out("zmm18") _,
                options(pure, readonly, nostack, preserves_flags),
            );
        }
    }
}

/// A mask of the first 1 to 64 bytes.
#[inline(always)]
fn first_bytes(len: usize) -> __mmask64 {
    u64::MAX >> (Four::BYTES - len)
}
