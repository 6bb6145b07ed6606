//! AES where VAES runs two or four blocks in one instruction, twice as fast as AWS-LC, which has AES-NI only:
//! ECB, CBC decryption and CTR (SP 800-38A).
//!
//! `vector` says what a register of blocks can do, `x86_64` does it, and `modes` is built on that alone.

mod modes;
mod vector;
mod x86_64;

use super::{Direction, InOut};
use modes::{CbcDecrypt, Ctr, Ecb, Keys};
use std::ptr;
use vector::Block;
use x86_64::Wide;

/// Bytes in a block.
const BLOCK: usize = 16;

/// Round keys of the longest key.
const MAX_KEYS: usize = 15;

/// The round keys of a key, for a processor whose instructions are known. One of it serves all threads.
pub struct Schedule {
    encrypt: [Block; MAX_KEYS],
    decrypt: [Block; MAX_KEYS],
    keys: usize,
    wide: Wide,
}

impl Schedule {
    /// Of a key of 16, 24 or 32 bytes; `None` where the processor gives no reason to use this kernel.
    ///
    /// # Panics
    /// If the key has another length.
    pub fn new(key: &[u8]) -> Option<Schedule> {
        assert!(matches!(key.len(), 16 | 24 | 32));
        let wide = Wide::best()?;
        // SAFETY: `Wide::best` has seen AES-NI.
        unsafe {
            let (encrypt, keys) = x86_64::expand(key);
            Some(Schedule { encrypt, decrypt: x86_64::invert(&encrypt[..keys]), keys, wide })
        }
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
                Direction::Encrypt => self.wide.run(Ecb::<true>(self.encrypt()), from, to, blocks),
                Direction::Decrypt => self.wide.run(Ecb::<false>(self.decrypt()), from, to, blocks),
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
        unsafe { self.wide.run(CbcDecrypt(self.decrypt(), Block(*iv)), from, to, blocks) }
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
            unsafe { self.wide.run(Ctr(self.encrypt(), counter), from, to, step) }
            counter = counter.wrapping_add(step as u128);
            blocks -= step;
        }
    }

    fn encrypt(&self) -> Keys<'_> {
        &self.encrypt[..self.keys]
    }

    fn decrypt(&self) -> Keys<'_> {
        &self.decrypt[..self.keys]
    }
}

impl Drop for Schedule {
    fn drop(&mut self) {
        for keys in [&mut self.encrypt, &mut self.decrypt] {
            // SAFETY: a place to write; volatile, so that no compiler leaves it out.
            unsafe { ptr::write_volatile(keys, [Block([0; BLOCK]); MAX_KEYS]) }
        }
    }
}

/// Of the input, for which the output has room.
#[inline]
fn whole_blocks(io: &InOut<'_>) -> usize {
    assert!(io.input_len().is_multiple_of(BLOCK) && io.capacity() >= io.input_len());
    io.input_len() / BLOCK
}
