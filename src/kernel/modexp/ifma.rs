//! The vectors of AVX-512 IFMA, which has multiplications of 52 bits.

use super::product::{self, LANES, Lanes};
use super::{Modulus, Multiply, Number, VECTORS};
use std::arch::x86_64::*;

// SAFETY, for all calls of intrinsics below that say no more: they are inlined into `multiply_by`, which switches them on and
// whose caller has asked the processor. Loads and stores are of whole arrays.

/// The way for numbers of so many vectors: as many as moduli of 1,024, 2,048, 3,072 and 4,096 bits have, or the next above.
pub(super) fn multiply(vectors: usize) -> Option<Multiply> {
    match vectors {
        0..=3 => Some(multiply_by::<3>),
        4..=5 => Some(multiply_by::<5>),
        6..=8 => Some(multiply_by::<8>),
        9..=VECTORS => Some(multiply_by::<VECTORS>),
        _ => None,
    }
}

/// # Safety
/// AVX-512 F and IFMA must be there.
#[target_feature(enable = "avx512f,avx512ifma")]
unsafe fn multiply_by<const N: usize>(modulus: &Modulus, a: &Number, b: &Number) -> Number {
    product::multiply::<Zmm, N>(modulus, a, b)
}

/// 512 bits.
#[derive(Clone, Copy)]
struct Zmm(__m512i);

impl Lanes for Zmm {
    #[inline(always)]
    fn splat(limb: u64) -> Self {
        // SAFETY: see above.
        unsafe { Zmm(_mm512_set1_epi64(limb as i64)) }
    }

    #[inline(always)]
    fn load(from: &[u64; LANES]) -> Self {
        // SAFETY: see above.
        unsafe { Zmm(_mm512_loadu_si512(from.as_ptr().cast())) }
    }

    #[inline(always)]
    fn store(self, to: &mut [u64; LANES]) {
        // SAFETY: see above.
        unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), self.0) }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { Zmm(_mm512_add_epi64(self.0, other.0)) }
    }

    #[inline(always)]
    fn add_low(self, a: Self, b: Self) -> Self {
        // SAFETY: see above.
        unsafe { Zmm(_mm512_madd52lo_epu64(self.0, a.0, b.0)) }
    }

    #[inline(always)]
    fn add_high(self, a: Self, b: Self) -> Self {
        // SAFETY: see above.
        unsafe { Zmm(_mm512_madd52hi_epu64(self.0, a.0, b.0)) }
    }

    #[inline(always)]
    fn down(self, above: Self) -> Self {
        // SAFETY: see above.
        unsafe { Zmm(_mm512_alignr_epi64::<1>(above.0, self.0)) }
    }

    #[inline(always)]
    fn first(self) -> u64 {
        // SAFETY: see above.
        unsafe { _mm_cvtsi128_si64(_mm512_castsi512_si128(self.0)) as u64 }
    }
}
