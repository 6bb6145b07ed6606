//! Two blocks: AVX2, half as many registers, and the last bytes of a message one part after another.

use super::{Lanes, PASS, Work};
use crate::kernel::aes::BLOCK;
use crate::kernel::aes::ghash::{Sum, times};
use crate::kernel::aes::vector::{Block, Vector};
use crate::kernel::aes::x86_64::Two;
use std::arch::asm;
use std::arch::x86_64::*;

impl Lanes for Two {
    #[target_feature(enable = "aes,avx2,vaes,vpclmulqdq")]
    unsafe fn enabled<W: Work>(work: W) -> W::Output {
        // SAFETY: the instructions are enabled, and the rest is the caller's.
        unsafe { work.with::<Two>() }
    }

    #[inline(always)]
    unsafe fn first(block: __m128i) -> Two {
        // SAFETY: the caller's.
        unsafe { Two(_mm256_zextsi128_si256(block)) }
    }

    #[inline(always)]
    fn first_block(self) -> __m128i {
        // SAFETY: a value proves the instructions.
        unsafe { _mm256_castsi256_si128(self.0) }
    }

    #[inline(always)]
    unsafe fn repeated(block: __m128i) -> Two {
        // SAFETY: the caller's.
        unsafe { Two(_mm256_broadcastsi128_si256(block)) }
    }

    #[inline(always)]
    unsafe fn load_first(from: *const u8, len: usize) -> Two {
        // SAFETY: the caller's.
        unsafe {
            match len.checked_sub(BLOCK) {
                None => Two::first(load_few(from, len)),
                Some(more) => {
                    let (low, high) = (_mm_loadu_si128(from.cast()), load_few(from.add(BLOCK), more));
                    Two(_mm256_set_m128i(high, low))
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn store_first(self, to: *mut u8, len: usize) {
        // SAFETY: the caller's.
        unsafe {
            let low = _mm256_castsi256_si128(self.0);
            match len.checked_sub(BLOCK) {
                None => store_few(low, to, len),
                Some(more) => {
                    _mm_storeu_si128(to.cast(), low);
                    store_few(_mm256_extracti128_si256::<1>(self.0), to.add(BLOCK), more);
                }
            }
        }
    }

    #[inline(always)]
    fn cut(self, len: usize) -> Two {
        static ONES_AND_ZEROS: [[u8; Two::BYTES]; 2] = [[0xFF; _], [0; _]];
        let ones = &ONES_AND_ZEROS.as_flattened()[Two::BYTES - len..][..Two::BYTES];
        // SAFETY: a value proves the instructions; as many bytes are read.
        unsafe { Two(_mm256_and_si256(self.0, _mm256_loadu_si256(ones.as_ptr().cast()))) }
    }

    #[inline(always)]
    fn xor3(self, b: Two, c: Two) -> Two {
        self.xor(b.xor(c))
    }

    #[inline(always)]
    fn product<const HALVES: i32>(self, other: Two) -> Two {
        // SAFETY: a value proves the instructions.
        unsafe { Two(_mm256_clmulepi64_epi128::<HALVES>(self.0, other.0)) }
    }

    #[inline(always)]
    fn swapped(self) -> Two {
        // SAFETY: a value proves the instructions.
        unsafe { Two(_mm256_shuffle_epi32::<0b01_00_11_10>(self.0)) }
    }

    #[inline(always)]
    fn counted(self, first: i32, step: i32) -> Two {
        let [a, b] = [0, 1].map(|i| i64::from(first + i * step));
        // SAFETY: a value proves the instructions.
        unsafe { Two(_mm256_add_epi32(self.0, _mm256_set_epi64x(0, b, 0, a))) }
    }

    #[inline(always)]
    fn sum(self) -> __m128i {
        // SAFETY: a value proves the instructions.
        unsafe { _mm_xor_si128(_mm256_castsi256_si128(self.0), _mm256_extracti128_si256::<1>(self.0)) }
    }

    #[inline(always)]
    unsafe fn powers(h: __m128i) -> Two {
        // SAFETY: the caller's.
        unsafe {
            let one = Two::first(h);
            Two(_mm256_inserti128_si256::<1>(times(one, one).0, h))
        }
    }

    #[target_feature(enable = "aes,avx2,vaes,vpclmulqdq")]
    #[inline]
    unsafe fn rounds_and_products<const I: usize>(
        x: &mut [Two; PASS],
        keys: &[Block; PASS],
        sum: &mut Sum<Two>,
        blocks: &[Two; PASS],
        powers: *const u8,
    ) {
        let [x0, x1, x2, x3, x4, x5, x6, x7] = x;
        // SAFETY: registers, and keys and powers that are read; a value proves the instructions.
        unsafe {
            asm!(
                "vbroadcasti128 ymm13, [{keys} + {key}]",
                "vaesenc ymm0, ymm0, ymm13",
                "vpclmulqdq ymm14, ymm11, [{powers} + {power}], 0x01",
                "vaesenc ymm1, ymm1, ymm13",
                "vpclmulqdq ymm15, ymm11, [{powers} + {power}], 0x10",
                "vaesenc ymm2, ymm2, ymm13",
                "vpxor ymm9, ymm9, ymm14",
                "vaesenc ymm3, ymm3, ymm13",
                "vpclmulqdq ymm14, ymm11, [{powers} + {power}], 0x00",
                "vaesenc ymm4, ymm4, ymm13",
                "vpxor ymm9, ymm9, ymm15",
                "vpclmulqdq ymm15, ymm11, [{powers} + {power}], 0x11",
                "vaesenc ymm5, ymm5, ymm13",
                "vpxor ymm8, ymm8, ymm14",
                "vaesenc ymm6, ymm6, ymm13",
                "vpxor ymm10, ymm10, ymm15",
                "vaesenc ymm7, ymm7, ymm13",
                "vbroadcasti128 ymm13, [{keys} + {key} + {block}]",
                "vaesenc ymm0, ymm0, ymm13",
                "vpclmulqdq ymm14, ymm12, [{powers} + {power} + {vector}], 0x01",
                "vaesenc ymm1, ymm1, ymm13",
                "vpclmulqdq ymm15, ymm12, [{powers} + {power} + {vector}], 0x10",
                "vaesenc ymm2, ymm2, ymm13",
                "vpxor ymm9, ymm9, ymm14",
                "vaesenc ymm3, ymm3, ymm13",
                "vpclmulqdq ymm14, ymm12, [{powers} + {power} + {vector}], 0x00",
                "vaesenc ymm4, ymm4, ymm13",
                "vpxor ymm9, ymm9, ymm15",
                "vpclmulqdq ymm15, ymm12, [{powers} + {power} + {vector}], 0x11",
                "vaesenc ymm5, ymm5, ymm13",
                "vpxor ymm8, ymm8, ymm14",
                "vaesenc ymm6, ymm6, ymm13",
                "vpxor ymm10, ymm10, ymm15",
                "vaesenc ymm7, ymm7, ymm13",
                keys = in(reg) keys.as_ptr(), key = const 2 * I * BLOCK,
                powers = in(reg) powers, power = const 2 * I * Two::BYTES,
                vector = const Two::BYTES, block = const BLOCK,
                inout("ymm0") x0.0, inout("ymm1") x1.0, inout("ymm2") x2.0, inout("ymm3") x3.0,
                inout("ymm4") x4.0, inout("ymm5") x5.0, inout("ymm6") x6.0, inout("ymm7") x7.0,
                inout("ymm8") sum.low.0, inout("ymm9") sum.middle.0, inout("ymm10") sum.high.0,
                in("ymm11") blocks[2 * I].0, in("ymm12") blocks[2 * I + 1].0, out("ymm13") _, out("ymm14") _,
                out("ymm15") _,
                options(pure, readonly, nostack, preserves_flags),
            );
        }
    }
}

/// Up to 15 bytes and zeros behind them: from both ends, as wide as they go; where the two overlap they agree.
///
/// # Safety
/// They may be read.
#[inline(always)]
unsafe fn load_few(from: *const u8, len: usize) -> __m128i {
    macro_rules! ends {
        ($number:ty) => {{
            let width = size_of::<$number>();
            // SAFETY: at least so many bytes are there.
            let [low, high] = unsafe {
                [from, from.add(len - width)].map(|end| u128::from(end.cast::<$number>().read_unaligned()))
            };
            low | high << (8 * (len - width))
        }};
    }
    let number = match len {
        0 => 0,
        1 => ends!(u8),
        2..4 => ends!(u16),
        4..8 => ends!(u32),
        _ => ends!(u64),
    };
    // SAFETY: SSE2 is x86-64's.
    unsafe { _mm_set_epi64x((number >> 64) as i64, number as i64) }
}

/// Writes up to 15 bytes, from both ends.
///
/// # Safety
/// They may be written.
#[inline(always)]
unsafe fn store_few(block: __m128i, to: *mut u8, len: usize) {
    // SAFETY: SSE2 is x86-64's.
    let [low, high] =
        unsafe { [_mm_cvtsi128_si64(block), _mm_cvtsi128_si64(_mm_unpackhi_epi64(block, block))] };
    let number = u128::from(high as u64) << 64 | u128::from(low as u64);
    macro_rules! ends {
        ($number:ty) => {{
            let beyond = len - size_of::<$number>();
            // SAFETY: at least so many bytes are there.
            unsafe {
                to.cast::<$number>().write_unaligned(number as $number);
                to.add(beyond).cast::<$number>().write_unaligned((number >> (8 * beyond)) as $number);
            }
        }};
    }
    match len {
        0 => {}
        1 => ends!(u8),
        2..4 => ends!(u16),
        4..8 => ends!(u32),
        _ => ends!(u64),
    }
}
