//! Lanes in AVX-512 IFMA, of 256 bits: those run on two ports, and leave a third to the additions, where 512 bits would
//! run on two in all.

use super::ladder;
use super::lanes::Lanes;
use std::arch::x86_64::*;
use std::hint::black_box;

// SAFETY, for all calls of intrinsics below that say no more: they are inlined into `agree`, which switches them on and whose
// caller has asked the processor. Loads and stores are of whole arrays.

#[derive(Clone, Copy)]
struct Ymm(__m256i);

impl Lanes for Ymm {
    type Chosen = __mmask8;

    /// Unknown to the compiler, which makes two instructions of one under a mask that it knows: the operation and a blend.
    #[inline(always)]
    fn chosen(lanes: u8) -> Self::Chosen {
        black_box(lanes)
    }

    #[inline(always)]
    fn splat(number: u64) -> Self {
        // SAFETY: see above.
        unsafe { Ymm(_mm256_set1_epi64x(number as i64)) }
    }

    #[inline(always)]
    fn load(from: &[u64; 4]) -> Self {
        // SAFETY: see above.
        unsafe { Ymm(_mm256_loadu_si256(from.as_ptr().cast())) }
    }

    #[inline(always)]
    fn store(self) -> [u64; 4] {
        let mut to = [0; 4];
        // SAFETY: see above.
        unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), self.0) }
        to
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { Ymm(_mm256_add_epi64(self.0, other.0)) }
    }

    #[inline(always)]
    fn and(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { Ymm(_mm256_and_si256(self.0, other.0)) }
    }

    #[inline(always)]
    fn shift_right<const BY: i32>(self) -> Self {
        // SAFETY: see above.
        unsafe { Ymm(_mm256_srli_epi64::<BY>(self.0)) }
    }

    #[inline(always)]
    fn add_low(self, a: Self, b: Self) -> Self {
        // SAFETY: see above.
        unsafe { Ymm(_mm256_madd52lo_epu64(self.0, a.0, b.0)) }
    }

    #[inline(always)]
    fn add_high(self, a: Self, b: Self) -> Self {
        // SAFETY: see above.
        unsafe { Ymm(_mm256_madd52hi_epu64(self.0, a.0, b.0)) }
    }

    #[inline(always)]
    fn or_sum(self, chosen: Self::Chosen, a: Self, b: Self) -> Self {
        // SAFETY: see above.
        unsafe { Ymm(_mm256_mask_add_epi64(self.0, chosen, a.0, b.0)) }
    }

    #[inline(always)]
    fn or_difference(self, chosen: Self::Chosen, a: Self, b: Self) -> Self {
        // SAFETY: see above.
        unsafe { Ymm(_mm256_mask_sub_epi64(self.0, chosen, a.0, b.0)) }
    }

    #[inline(always)]
    fn with_first(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { Ymm(_mm256_blend_epi32::<0b11>(self.0, other.0)) }
    }

    #[inline(always)]
    fn crossed(self) -> Self {
        // SAFETY: see above.
        unsafe { Ymm(_mm256_shuffle_epi32::<0b01_00_11_10>(self.0)) }
    }

    #[inline(always)]
    fn permuted(self, order: Self) -> Self {
        // SAFETY: see above.
        unsafe { Ymm(_mm256_permutexvar_epi64(order.0, self.0)) }
    }
}

/// # Safety
/// The processor must have the features.
#[target_feature(enable = "avx2,avx512f,avx512vl,avx512ifma,bmi1,bmi2")]
pub(super) unsafe fn agree(shared: &mut [u8; 32], scalar: &[u8; 32], point: &[u8; 32]) {
    ladder::agree::<Ymm>(shared, scalar, point);
}
