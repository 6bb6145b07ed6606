//! The vectors of x86-64: AVX-512 with three-input gates, 512 and 256 bits wide, and AVX2.
//!
//! Every function here is inlined into `avx512` or `avx2`, which switch the instructions on; none of them may
//! be called from elsewhere.

use super::networks::{self, Pairs, Triples};
use super::rounds::{Slice, places_without};
use super::{Direction, InOut, Schedule, run};
use std::arch::x86_64::*;

/// 512 blocks a batch, and 256 where they are enough.
///
/// # Safety
/// AVX-512 F, BW, DQ and VL must be there.
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512dq,avx512vl")]
pub unsafe fn avx512(schedule: &Schedule, direction: Direction, iv: Option<&mut [u8; 8]>, io: InOut<'_>) {
    run::<Zmm, Ymm>(schedule, direction, iv, io)
}

/// 256 blocks a batch.
///
/// # Safety
/// AVX2 must be there.
#[target_feature(enable = "avx2")]
pub unsafe fn avx2(schedule: &Schedule, direction: Direction, iv: Option<&mut [u8; 8]>, io: InOut<'_>) {
    run::<Avx2, Avx2>(schedule, direction, iv, io)
}

/// 512 bits for `avx512`.
#[derive(Clone, Copy)]
struct Zmm(__m512i);
/// 256 bits for `avx512`.
#[derive(Clone, Copy)]
struct Ymm(__m256i);
/// 256 bits for `avx2`.
#[derive(Clone, Copy)]
struct Avx2(__m256i);

// SAFETY, for all calls of intrinsics below: they are inlined into a function that switches them on, whose
// caller has asked the processor.

macro_rules! slice {
    ($name:ident: $lanes:literal, $splat:ident $xor:ident $and:ident $or:ident $and_not:ident,
     $networks:ident,
     $spread:item $swap:item) => {
        // SAFETY: so many lanes, and any bytes are a vector.
        unsafe impl Slice for $name {
            const LANES: usize = $lanes;
            const COMPLEMENTED: u32 = networks::$networks::COMPLEMENTED;

            #[inline(always)]
            fn splat(mask: &i32) -> Self {
                // SAFETY: see above.
                Self(unsafe { $splat(*mask) })
            }

            #[inline(always)]
            fn xor(self, other: Self) -> Self {
                // SAFETY: see above.
                Self(unsafe { $xor(self.0, other.0) })
            }

            #[inline(always)]
            $spread

            #[inline(always)]
            $swap

            #[inline(always)]
            fn substitute<const BOX: usize>(input: [Self; 6], into: [Self; 4]) -> [Self; 4] {
                networks::$networks::<Self, BOX>(input, into)
            }
        }

        impl Pairs for $name {
            #[inline(always)]
            fn and(self, other: Self) -> Self {
                // SAFETY: see above.
                Self(unsafe { $and(self.0, other.0) })
            }

            #[inline(always)]
            fn or(self, other: Self) -> Self {
                // SAFETY: see above.
                Self(unsafe { $or(self.0, other.0) })
            }

            #[inline(always)]
            fn and_not(self, other: Self) -> Self {
                // SAFETY: see above.
                Self(unsafe { $and_not(other.0, self.0) })
            }
        }
    };
}

macro_rules! ternary {
    ($name:ident: $lanes:literal, $splat:ident $xor:ident $and:ident $or:ident $and_not:ident,
     $places:ident $gate:ident $left:ident $right:ident) => {
        slice!($name: $lanes, $splat $xor $and $or $and_not, triples,
            fn spread(bits: u32) -> [i32; 24] {
                let mut masks = [0; 24];
                // SAFETY: see above; 16 and 8 masks are 24.
                unsafe {
                    _mm512_storeu_si512(masks.as_mut_ptr().cast(), _mm512_movm_epi32(bits as u16));
                    _mm256_storeu_si256(masks[16..].as_mut_ptr().cast(), _mm256_movm_epi32((bits >> 16) as u8));
                }
                masks
            }
            fn swap<const BY: u32>(low: &mut Self, high: &mut Self) {
                // SAFETY: see above.
                unsafe {
                    let by = _mm_cvtsi32_si128(BY as i32);
                    let without = $places(const { places_without(BY) } as i64);
                    let (up, down) = ($left(high.0, by), $right(low.0, by));
                    // 0xCA is the first input's choice between the second and the third.
                    low.0 = $gate::<0xCA>(without, low.0, up);
                    high.0 = $gate::<0xCA>(without, down, high.0);
                }
            }
        );

        impl Triples for $name {
            #[inline(always)]
            fn gate<const TABLE: i32>(a: Self, b: Self, c: Self) -> Self {
                // SAFETY: see above.
                Self(unsafe { $gate::<TABLE>(a.0, b.0, c.0) })
            }
        }
    };
}

ternary!(Zmm: 8, _mm512_set1_epi32 _mm512_xor_si512 _mm512_and_si512 _mm512_or_si512 _mm512_andnot_si512,
    _mm512_set1_epi64 _mm512_ternarylogic_epi64 _mm512_sll_epi64 _mm512_srl_epi64);
ternary!(Ymm: 4, _mm256_set1_epi32 _mm256_xor_si256 _mm256_and_si256 _mm256_or_si256 _mm256_andnot_si256,
    _mm256_set1_epi64x _mm256_ternarylogic_epi64 _mm256_sll_epi64 _mm256_srl_epi64);
slice!(Avx2: 4, _mm256_set1_epi32 _mm256_xor_si256 _mm256_and_si256 _mm256_or_si256 _mm256_andnot_si256, pairs,
    fn spread(bits: u32) -> [i32; 24] {
        let mut masks = [0; 24];
        for (masks, first) in masks.as_chunks_mut::<8>().0.iter_mut().zip([0, 8, 16]) {
            // SAFETY: see above; eight masks are a vector.
            unsafe {
                let places = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
                let to_the_top = _mm256_sub_epi32(_mm256_set1_epi32(31 - first), places);
                let bits = _mm256_sllv_epi32(_mm256_set1_epi32(bits as i32), to_the_top);
                _mm256_storeu_si256(masks.as_mut_ptr().cast(), _mm256_srai_epi32::<31>(bits));
            }
        }
        masks
    }
    fn swap<const BY: u32>(low: &mut Self, high: &mut Self) {
        // SAFETY: see above.
        unsafe {
            let by = _mm_cvtsi32_si128(BY as i32);
            let without = _mm256_set1_epi64x(const { places_without(BY) } as i64);
            let differ = _mm256_and_si256(_mm256_xor_si256(_mm256_srl_epi64(low.0, by), high.0), without);
            high.0 = _mm256_xor_si256(high.0, differ);
            low.0 = _mm256_xor_si256(low.0, _mm256_sll_epi64(differ, by));
        }
    }
);
