//! The vector of any processor: a word of 64 bits, so 64 blocks a batch.

use super::networks::{self, Pairs};
use super::rounds::{Slice, places_without};
use super::{Direction, InOut, Schedule, run};

/// 64 blocks a batch.
pub fn portable(schedule: &Schedule, direction: Direction, iv: Option<&mut [u8; 8]>, io: InOut<'_>) {
    run::<u64, u64>(schedule, direction, iv, io)
}

// SAFETY: 8 bytes, all of which are a number.
unsafe impl Slice for u64 {
    const LANES: usize = 1;
    const COMPLEMENTED: u32 = networks::pairs::COMPLEMENTED;

    #[inline(always)]
    fn splat(mask: &i32) -> u64 {
        i64::from(*mask) as u64
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
    fn xor(self, other: u64) -> u64 {
        self ^ other
    }

    #[inline(always)]
    fn swap<const BY: u32>(low: &mut u64, high: &mut u64) {
        let differ = (*low >> BY ^ *high) & const { places_without(BY) };
        *high ^= differ;
        *low ^= differ << BY;
    }

    #[inline(always)]
    fn substitute<const BOX: usize>(input: [u64; 6], into: [u64; 4]) -> [u64; 4] {
        networks::pairs::<u64, BOX>(input, into)
    }
}

impl Pairs for u64 {
    #[inline(always)]
    fn and(self, other: u64) -> u64 {
        self & other
    }

    #[inline(always)]
    fn or(self, other: u64) -> u64 {
        self | other
    }

    #[inline(always)]
    fn and_not(self, other: u64) -> u64 {
        self & !other
    }
}
