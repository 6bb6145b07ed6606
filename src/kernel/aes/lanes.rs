//! Blocks four to a register, as AES-GCM has them with AVX-512.

use super::BLOCK;
use super::vector::Block;
use crate::kernel::cpu::features;
use std::arch::x86_64::*;

/// Blocks in a register, and its bytes.
pub(super) const LANES: usize = 4;
pub(super) const VECTOR: usize = LANES * BLOCK;
/// Registers that go through the rounds together in a long message, and their bytes.
pub(super) const PASS: usize = 8;
pub(super) const PASS_BYTES: usize = PASS * VECTOR;

/// Whether the processor has the instructions.
pub(super) fn is_there() -> bool {
    let has = features();
    has.aesni && has.avx2 && has.avx512 && has.vaes && has.vpclmulqdq
}

/// Whole registers from memory.
///
/// # Safety
/// The processor has the instructions; they may be read.
#[inline(always)]
pub(super) unsafe fn load<const N: usize>(from: *const u8) -> [__m512i; N] {
    // SAFETY: the caller's.
    let mut x = [unsafe { _mm512_setzero_si512() }; N];
    for (i, x) in x.iter_mut().enumerate() {
        // SAFETY: the caller's.
        *x = unsafe { _mm512_loadu_si512(from.add(i * VECTOR).cast()) };
    }
    x
}

/// Whole registers to memory.
///
/// # Safety
/// The processor has the instructions; they may be written.
#[inline(always)]
pub(super) unsafe fn store<const N: usize>(x: [__m512i; N], to: *mut u8) {
    for (i, x) in x.into_iter().enumerate() {
        // SAFETY: the caller's.
        unsafe { _mm512_storeu_si512(to.add(i * VECTOR).cast(), x) };
    }
}

/// A key in every lane.
///
/// # Safety
/// The processor has the instructions.
#[inline(always)]
pub(super) unsafe fn repeated(key: &Block) -> __m512i {
    // SAFETY: the caller's.
    unsafe { _mm512_broadcast_i32x4(loaded(key)) }
}

/// A key.
///
/// # Safety
/// The processor has the instructions.
#[inline(always)]
pub(super) unsafe fn loaded(key: &Block) -> __m128i {
    // SAFETY: the caller's; a key is a block.
    unsafe { _mm_load_si128((&raw const *key).cast()) }
}

/// The truth table of an exclusive or of three.
pub(super) const XOR: i32 = 0x96;

/// The sum of the lanes.
///
/// # Safety
/// The processor has the instructions.
#[inline(always)]
pub(super) unsafe fn sum_of_lanes(four: __m512i) -> __m128i {
    // SAFETY: the caller's.
    unsafe {
        let two = _mm256_xor_si256(_mm512_castsi512_si256(four), _mm512_extracti64x4_epi64::<1>(four));
        _mm_xor_si128(_mm256_castsi256_si128(two), _mm256_extracti128_si256::<1>(two))
    }
}

/// A block, and zeros behind it.
///
/// # Safety
/// The processor has the instructions.
#[inline(always)]
pub(super) unsafe fn in_first_lane(block: __m128i) -> __m512i {
    // SAFETY: the caller's.
    unsafe { _mm512_zextsi128_si512(block) }
}

/// A mask of the first 1 to 64 bytes.
#[inline(always)]
pub(super) fn first_bytes(len: usize) -> __mmask64 {
    u64::MAX >> (VECTOR - len)
}

/// Each block with its bytes in the opposite order.
#[inline(always)]
pub(super) unsafe fn reversed(blocks: __m512i) -> __m512i {
    // SAFETY: the caller's.
    unsafe { _mm512_shuffle_epi8(blocks, _mm512_broadcast_i32x4(opposite_order())) }
}

/// One block with its bytes in the opposite order.
#[inline(always)]
pub(super) unsafe fn reversed_one(block: __m128i) -> __m128i {
    // SAFETY: the caller's.
    unsafe { _mm_shuffle_epi8(block, opposite_order()) }
}

#[inline(always)]
unsafe fn opposite_order() -> __m128i {
    // SAFETY: the caller's.
    unsafe { _mm_set_epi64x(0x0001020304050607, 0x08090A0B0C0D0E0F) }
}
