//! AES in ECB, CBC decryption, CTR (SP 800-38A) and GCM (SP 800-38D) on processors with instructions for it.
//!
//! AWS-LC leaves some things undone. It has no use for VAES in the first three, which runs two or four blocks in one
//! instruction, at twice the speed; and in GCM, where it has for four, a message of a block takes it half as long again as it
//! must. And on aarch64 it encrypts ECB a block at a time, each waiting for its own rounds. Where one instruction takes one
//! block, it is as fast as they go in all else.
//!
//! `vector` says what a register of blocks can do and `x86_64` or `aarch64` does it; `schedule` and `modes` are built
//! on that alone. `gcm` and its hash ask for more, which `lanes` has for two of the kinds of register.

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "x86_64")]
mod gcm;
#[cfg(target_arch = "x86_64")]
mod gcm_once;
#[cfg(all(test, target_arch = "x86_64"))]
mod gcm_tests;
#[cfg(target_arch = "x86_64")]
mod ghash;
#[cfg(target_arch = "x86_64")]
mod lanes;
mod modes;
mod schedule;
#[cfg(test)]
mod tests;
mod vector;
#[cfg(target_arch = "x86_64")]
mod x86_64;

use super::{Direction, InOut};
#[cfg(target_arch = "aarch64")]
use aarch64::Wide;
#[cfg(target_arch = "x86_64")]
pub use gcm_once::gcm_once;
#[cfg(target_arch = "x86_64")]
pub use ghash::HashKey;
use modes::{CbcDecrypt, Ctr, Ecb};
use std::ptr;
use vector::Block;
#[cfg(target_arch = "x86_64")]
use x86_64::Wide;

/// Bytes in a block.
const BLOCK: usize = 16;

/// Whether CBC and CTR are for the kernel. On aarch64 AWS-LC has their blocks interleaved as tightly as they go.
pub const HAS_CHAINS: bool = cfg!(target_arch = "x86_64");

/// An expanded key, for a processor whose instructions are known. One of it serves all threads.
pub struct Schedule {
    keys: schedule::Schedule,
    wide: Wide,
}

impl Schedule {
    /// Of a key of 16, 24 or 32 bytes; `None` if the processor has no instructions for AES.
    ///
    /// # Panics
    /// If the key has another length.
    pub fn new(key: &[u8]) -> Option<Schedule> {
        Wide::best().map(|wide| Schedule::with(wide, key))
    }

    fn with(wide: Wide, key: &[u8]) -> Schedule {
        assert!(matches!(key.len(), 16 | 24 | 32));
        Schedule { keys: wide.schedule(key), wide }
    }

    /// ECB.
    ///
    /// # Panics
    /// If the input is not whole blocks or the output has less room.
    #[inline]
    pub fn ecb(&self, direction: Direction, mut io: InOut<'_>) {
        let blocks = whole_blocks(&io);
        let (from, to) = io.as_ptrs();
        // SAFETY: both are valid for that many blocks, and the same or apart as `InOut` promises.
        unsafe {
            match direction {
                Direction::Encrypt => self.wide.run(Ecb::<true>(self.keys.encrypt()), from, to, blocks),
                Direction::Decrypt => self.wide.run(Ecb::<false>(self.keys.decrypt()), from, to, blocks),
            }
        }
    }

    /// CBC decryption; `iv` becomes the last block of ciphertext.
    ///
    /// # Panics
    /// As `ecb`.
    #[inline]
    pub fn cbc_decrypt(&self, iv: &mut [u8; BLOCK], mut io: InOut<'_>) {
        let blocks = whole_blocks(&io);
        let Some(last) = io.input().last_chunk().copied() else { return };
        let (from, to) = io.as_ptrs();
        // SAFETY: as in `ecb`.
        unsafe { self.wide.run(CbcDecrypt(self.keys.decrypt(), Block(*iv)), from, to, blocks) }
        *iv = last;
    }

    /// CTR over whole blocks, both ways, where `counter` is the first counter block as a number.
    ///
    /// # Panics
    /// As `ecb`.
    #[inline]
    pub fn ctr(&self, mut counter: u128, mut io: InOut<'_>) {
        let mut blocks = whole_blocks(&io);
        while blocks > 0 {
            let before_carry = (u64::MAX - counter as u64).saturating_add(1);
            let step = blocks.min(usize::try_from(before_carry).unwrap_or(usize::MAX));
            let (from, to) = io.split_front(step * BLOCK).as_ptrs();
            // SAFETY: as in `ecb`.
            unsafe { self.wide.run(Ctr::new(self.keys.encrypt(), counter), from, to, step) }
            counter = counter.wrapping_add(step as u128);
            blocks -= step;
        }
    }
}

/// What AES-GCM takes beside the schedule; nothing, where there is no kernel for it.
#[cfg(not(target_arch = "x86_64"))]
pub enum HashKey {}

/// Nothing, where there is no kernel for it.
#[cfg(not(target_arch = "x86_64"))]
pub fn gcm_once(_: &[u8; 32], _: Direction, _: &[u8; 12], _: &[u8], _: InOut<'_>) -> Option<[u8; BLOCK]> {
    None
}

impl Schedule {
    /// For [`Schedule::gcm`]; `None` where AES-GCM is left to AWS-LC.
    pub fn hash_key(&self) -> Option<HashKey> {
        #[cfg(target_arch = "x86_64")]
        return HashKey::new(self.wide, self.keys.encrypt());
        #[cfg(not(target_arch = "x86_64"))]
        None
    }

    /// AES-GCM (SP 800-38D) with the schedule's own hash key: encrypts or decrypts, and returns the tag, of which a
    /// decryption has still to see that it is the message's. The IV has any length but zero. Lengths are the caller's to
    /// check against section 5.2.1.1.
    ///
    /// # Panics
    /// If the output has less room than the input.
    #[inline]
    pub fn gcm(
        &self,
        hash: &HashKey,
        direction: Direction,
        iv: &[u8],
        aad: &[u8],
        mut io: InOut<'_>,
    ) -> [u8; BLOCK] {
        assert!(io.capacity() >= io.input_len());
        #[cfg(target_arch = "x86_64")]
        {
            let len = io.input_len();
            let places = io.as_ptrs();
            let (wide, keys) = (self.wide, self.keys.encrypt());
            // SAFETY: both are valid for `len`, and the same or apart as `InOut` promises; a hash key was made.
            unsafe {
                match direction {
                    Direction::Encrypt => gcm::run::<true>(wide, keys, hash, [iv, aad], places, len),
                    Direction::Decrypt => gcm::run::<false>(wide, keys, hash, [iv, aad], places, len),
                }
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            let _ = (direction, iv, aad, &mut io);
            match *hash {}
        }
    }
}

impl Drop for Schedule {
    fn drop(&mut self) {
        // SAFETY: a place to write; volatile, so that no compiler leaves it out.
        unsafe { ptr::write_volatile(&mut self.keys, schedule::Schedule::WIPED) }
    }
}

/// Of the input, for which the output has room.
#[inline]
fn whole_blocks(io: &InOut<'_>) -> usize {
    assert!(io.input_len().is_multiple_of(BLOCK) && io.capacity() >= io.input_len());
    io.input_len() / BLOCK
}
