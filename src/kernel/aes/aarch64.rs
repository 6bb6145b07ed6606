//! AES on aarch64: rounds of one block.

use super::modes::{Mode, run};
use super::schedule::Schedule;
use super::vector::{Block, Vector};
use crate::kernel::cpu::features;
use std::arch::aarch64::*;

/// The instructions add the round key first, where [`Vector`] wants it last: with a key of zeros and the addition
/// behind. The compiler makes that addition the next round's own.
#[derive(Clone, Copy)]
struct One(uint8x16_t);

impl One {
    /// The sum of the two halves, of which the first comes first in memory.
    #[inline(always)]
    fn add(self, halves: [u64; 2]) -> Self {
        // SAFETY: a value proves the instructions; the array is as large as a vector.
        unsafe {
            One(vreinterpretq_u8_u64(vaddq_u64(vreinterpretq_u64_u8(self.0), vld1q_u64(halves.as_ptr()))))
        }
    }
}

impl Vector for One {
    const BLOCKS: usize = 1;

    #[inline(always)]
    unsafe fn load(from: *const u8) -> Self {
        // SAFETY: the caller's.
        unsafe { One(vld1q_u8(from)) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut u8) {
        // SAFETY: the caller's.
        unsafe { vst1q_u8(to, self.0) }
    }

    #[inline(always)]
    unsafe fn repeat(block: &Block) -> Self {
        // SAFETY: 16 bytes; the instructions are the caller's.
        unsafe { One(vld1q_u8(block.0.as_ptr())) }
    }

    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        // SAFETY: a value proves the instructions.
        unsafe { One(veorq_u8(self.0, other.0)) }
    }

    #[inline(always)]
    fn encrypt_round(self, key: Self) -> Self {
        // SAFETY: a value proves the instructions.
        unsafe { One(encrypt_round(self.0)).xor(key) }
    }

    #[inline(always)]
    fn encrypt_last(self, key: Self) -> Self {
        // SAFETY: a value proves the instructions.
        unsafe { One(encrypt_last(self.0)).xor(key) }
    }

    #[inline(always)]
    fn decrypt_round(self, key: Self) -> Self {
        // SAFETY: a value proves the instructions.
        unsafe { One(decrypt_round(self.0)).xor(key) }
    }

    #[inline(always)]
    fn decrypt_last(self, key: Self) -> Self {
        // SAFETY: a value proves the instructions.
        unsafe { One(decrypt_last(self.0)).xor(key) }
    }

    #[inline(always)]
    fn shifted(self, earlier: Self) -> Self {
        earlier
    }

    #[inline(always)]
    fn plus_in_last_byte(self, number: u8) -> Self {
        // It is the top one of its half.
        self.add([0, u64::from(number) << 56])
    }

    #[inline(always)]
    fn plus(self, first: u8) -> Self {
        self.add([u64::from(first), 0])
    }

    #[inline(always)]
    fn reversed(self) -> Self {
        // SAFETY: a value proves the instructions.
        unsafe {
            let halves = vrev64q_u8(self.0);
            One(vextq_u8::<8>(halves, halves))
        }
    }
}

// What AES's own instructions do must stand where they are switched on.

#[inline]
#[target_feature(enable = "aes")]
fn encrypt_round(x: uint8x16_t) -> uint8x16_t {
    vaesmcq_u8(encrypt_last(x))
}

#[inline]
#[target_feature(enable = "aes")]
fn encrypt_last(x: uint8x16_t) -> uint8x16_t {
    vaeseq_u8(x, vdupq_n_u8(0))
}

#[inline]
#[target_feature(enable = "aes")]
fn decrypt_round(x: uint8x16_t) -> uint8x16_t {
    vaesimcq_u8(decrypt_last(x))
}

#[inline]
#[target_feature(enable = "aes")]
fn decrypt_last(x: uint8x16_t) -> uint8x16_t {
    vaesdq_u8(x, vdupq_n_u8(0))
}

/// The widest vectors the processor has instructions for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wide {
    One,
}

impl Wide {
    pub(super) fn best() -> Option<Wide> {
        let features = features();
        (features.neon && features.aes).then_some(Wide::One)
    }

    pub(super) fn schedule(self, key: &[u8]) -> Schedule {
        // SAFETY: a value of `Wide` comes from `best`.
        unsafe { schedule(key) }
    }

    /// # Safety
    /// Both pointers are valid for `blocks` blocks and either the same or apart.
    #[inline]
    pub(super) unsafe fn run(self, mode: impl Mode, from: *const u8, to: *mut u8, blocks: usize) {
        // SAFETY: a value of `Wide` comes from `best`; the pointers are the caller's.
        unsafe { run_one(mode, from, to, blocks) }
    }
}

#[target_feature(enable = "neon,aes")]
fn schedule(key: &[u8]) -> Schedule {
    // SAFETY: the features are enabled.
    unsafe { Schedule::new::<One>(key) }
}

/// # Safety
/// As [`Wide::run`].
#[target_feature(enable = "neon,aes")]
unsafe fn run_one(mode: impl Mode, from: *const u8, to: *mut u8, blocks: usize) {
    // SAFETY: the features are enabled; the pointers are the caller's.
    unsafe { run::<One, One, One>(mode, from, to, blocks) }
}
