//! Registers of blocks as AES-GCM has them: what it asks of one beside the cipher's rounds, and the two kinds that can.

mod four;
mod two;

use super::BLOCK;
use super::ghash::Sum;
use super::vector::{Block, Vector};
use super::x86_64::{Four, Two, Wide};
use crate::kernel::cpu::features;
use std::arch::x86_64::*;
use std::ptr;

/// Registers that go through the rounds together in a long message.
pub(super) const PASS: usize = 8;

/// The most blocks in a register.
pub(super) const MOST: usize = 4;

/// As for [`Vector`], a value proves that the processor has the instructions.
pub(super) trait Lanes: Vector {
    /// Bytes in one, and in a pass.
    const BYTES: usize = Self::BLOCKS * BLOCK;
    const PASS_BYTES: usize = PASS * Self::BYTES;

    /// Does the work in a function that has the instructions enabled.
    ///
    /// # Safety
    /// The processor has them; the rest is the work's.
    unsafe fn enabled<W: Work>(work: W) -> W::Output;

    /// A block, and zeros behind it.
    ///
    /// # Safety
    /// The processor has the instructions.
    unsafe fn first(block: __m128i) -> Self;

    /// The first block.
    fn first_block(self) -> __m128i;

    /// The same block everywhere.
    ///
    /// # Safety
    /// The processor has the instructions.
    unsafe fn repeated(block: __m128i) -> Self;

    /// The first `len` bytes, fewer than a register has but one at least, and zeros behind them.
    ///
    /// # Safety
    /// The processor has the instructions; they may be read.
    unsafe fn load_first(from: *const u8, len: usize) -> Self;

    /// Writes the first `len` bytes and no other.
    ///
    /// # Safety
    /// They may be written.
    unsafe fn store_first(self, to: *mut u8, len: usize);

    /// With zeros behind the first `len` bytes.
    fn cut(self, len: usize) -> Self;

    /// Exclusive or of three.
    fn xor3(self, b: Self, c: Self) -> Self;

    /// Of each block, the carry-less product of the halves that `HALVES` names.
    fn product<const HALVES: i32>(self, other: Self) -> Self;

    /// Each block with its halves in the opposite order.
    fn swapped(self) -> Self;

    /// Adds to the last 32 bits, as a number, of the blocks that are in reversed order: `first` to those of the first one,
    /// `first + step` to those of the second and so on.
    fn counted(self, first: i32, step: i32) -> Self;

    /// The sum of the blocks.
    fn sum(self) -> __m128i;

    /// The powers of `h` from the one that is as high as there are blocks down to itself.
    ///
    /// # Safety
    /// The processor has the instructions.
    unsafe fn powers(h: __m128i) -> Self;

    /// Two rounds of all registers of a pass, and the products of two more registers with their powers between. Compilers
    /// put the products of a whole pass before or behind its rounds, which costs a tenth, and more where another thread has
    /// the other half of the core.
    ///
    /// They are the rounds `2 * I` and `2 * I + 1`, registers likewise: where they are is a constant, since computing
    /// addresses takes turns from the rounds.
    ///
    /// # Safety
    /// There are so many keys and, aligned as registers, powers.
    unsafe fn rounds_and_products<const I: usize>(
        x: &mut [Self; PASS],
        keys: &[Block; PASS],
        sum: &mut Sum<Self>,
        blocks: &[Self; PASS],
        powers: *const u8,
    );
}

/// What can be done with any [`Lanes`].
pub(super) trait Work {
    type Output;

    /// # Safety
    /// The processor has the instructions of `V`; the rest is the work's.
    unsafe fn with<V: Lanes>(self) -> Self::Output;
}

impl Wide {
    /// Whether AES-GCM is for the kernel. By single blocks AWS-LC's is as good.
    pub(super) fn has_gcm(self) -> bool {
        self != Wide::One && features().vpclmulqdq
    }

    /// # Safety
    /// [`has_gcm`](Wide::has_gcm); the rest is the work's.
    #[inline(always)]
    pub(super) unsafe fn work<W: Work>(self, work: W) -> W::Output {
        // SAFETY: the caller's.
        unsafe {
            match self {
                Wide::Four => Four::enabled(work),
                _ => Two::enabled(work),
            }
        }
    }
}

/// Whole registers from memory.
///
/// # Safety
/// The processor has the instructions; they may be read.
#[inline(always)]
pub(super) unsafe fn load<V: Lanes, const N: usize>(from: *const u8) -> [V; N] {
    // SAFETY: the caller's.
    let mut x = [unsafe { V::load(from) }; N];
    for (i, x) in x.iter_mut().enumerate() {
        // SAFETY: the caller's.
        *x = unsafe { V::load(from.add(i * V::BYTES)) };
    }
    x
}

/// Whole registers to memory.
///
/// # Safety
/// They may be written.
#[inline(always)]
pub(super) unsafe fn store<V: Lanes, const N: usize>(x: [V; N], to: *mut u8) {
    for (i, x) in x.into_iter().enumerate() {
        // SAFETY: the caller's.
        unsafe { x.store(to.add(i * V::BYTES)) };
    }
}

/// A key.
#[inline(always)]
pub(super) fn loaded(key: &Block) -> __m128i {
    // SAFETY: SSE2 is x86-64's; a key is an aligned block.
    unsafe { _mm_load_si128(ptr::from_ref(key).cast()) }
}

/// One block with its bytes in the opposite order.
///
/// # Safety
/// The processor has SSSE3.
#[inline(always)]
pub(super) unsafe fn reversed_one(block: __m128i) -> __m128i {
    // SAFETY: the caller's.
    unsafe { _mm_shuffle_epi8(block, _mm_set_epi64x(0x0001020304050607, 0x08090A0B0C0D0E0F)) }
}
