//! The vector of aarch64: 128 bits, with two-input gates.
//!
//! Every function here is inlined into `neon`, which switches the instructions on; none of them may be called
//! from elsewhere.

use super::networks::{self, Pairs};
use super::rounds::{Slice, places_without};
use super::{Direction, InOut, Schedule, run};
use std::arch::aarch64::*;

/// 128 blocks a batch.
///
/// # Safety
/// NEON must be there.
#[target_feature(enable = "neon")]
pub unsafe fn neon(schedule: &Schedule, direction: Direction, iv: Option<&mut [u8; 8]>, io: InOut<'_>) {
    run::<Neon, Neon>(schedule, direction, iv, io)
}

/// 128 bits.
#[derive(Clone, Copy)]
struct Neon(uint64x2_t);

// SAFETY: two lanes, and any bytes are a vector.
//
// All intrinsics below are inlined into a function that switches them on, whose caller has asked the
// processor.
unsafe impl Slice for Neon {
    const LANES: usize = 2;
    const COMPLEMENTED: u32 = networks::pairs::COMPLEMENTED;

    #[inline(always)]
    fn splat(mask: &i32) -> Neon {
        // SAFETY: see above.
        Neon(unsafe { vreinterpretq_u64_s32(vdupq_n_s32(*mask)) })
    }

    #[inline(always)]
    fn spread(bits: u32) -> [i32; 24] {
        let mut masks = [0; 24];
        for (bit, mask) in masks.iter_mut().enumerate() {
            *mask = -((bits >> bit & 1) as i32);
        }
        masks
    }

    #[inline(always)]
    fn xor(self, other: Neon) -> Neon {
        // SAFETY: see above.
        Neon(unsafe { veorq_u64(self.0, other.0) })
    }

    #[inline(always)]
    fn swap<const BY: u32>(low: &mut Neon, high: &mut Neon) {
        // SAFETY: see above.
        unsafe {
            let (left, right) = (vdupq_n_s64(i64::from(BY)), vdupq_n_s64(-i64::from(BY)));
            let without = vdupq_n_u64(const { places_without(BY) });
            let (up, down) = (vshlq_u64(high.0, left), vshlq_u64(low.0, right));
            low.0 = vbslq_u64(without, low.0, up);
            high.0 = vbslq_u64(without, down, high.0);
        }
    }

    #[inline(always)]
    fn substitute<const BOX: usize>(input: [Neon; 6], into: [Neon; 4]) -> [Neon; 4] {
        networks::pairs::<Neon, BOX>(input, into)
    }
}

impl Pairs for Neon {
    #[inline(always)]
    fn and(self, other: Neon) -> Neon {
        // SAFETY: see above.
        Neon(unsafe { vandq_u64(self.0, other.0) })
    }

    #[inline(always)]
    fn or(self, other: Neon) -> Neon {
        // SAFETY: see above.
        Neon(unsafe { vorrq_u64(self.0, other.0) })
    }

    #[inline(always)]
    fn and_not(self, other: Neon) -> Neon {
        // SAFETY: see above.
        Neon(unsafe { vbicq_u64(self.0, other.0) })
    }
}
