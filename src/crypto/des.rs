//! Triple DES (SP 800-67) in ECB and CBC, with two or three keys.
//!
//! ECB and CBC decryption of [`bitsliced::worthwhile`] blocks or more run bitsliced, in constant time; what is shorter,
//! and CBC encryption and CMAC, where every block waits for the one before, by AWS-LC's tables, which are not.

use super::cmac::{BlockCipher, Subkeys, take_by};
use super::status::wipe_value;
use super::{Direction, InOut, Secret, equal, random};
use crate::error::Result;
use crate::kernel::des as bitsliced;
use aws_lc_sys as ffi;
use once_cell::sync::OnceCell;

/// Bytes in a block, and in one DES key.
pub const BLOCK: usize = 8;

/// An expanded key bundle. One of it serves all threads.
pub struct Key {
    schedules: [ffi::DES_key_schedule; 3],
    bitsliced: bitsliced::Schedule,
    cmac: OnceCell<Subkeys<BLOCK>>,
}

impl Key {
    /// From 16 bytes (K1, K2; K3 = K1) or 24. The parity bits are ignored.
    ///
    /// # Errors
    /// CKR_KEY_SIZE_RANGE.
    pub fn new(key: &[u8]) -> Result<Key> {
        let keys = match key.as_chunks::<BLOCK>() {
            ([one, two], []) => [one, two, one],
            ([one, two, three], []) => [one, two, three],
            _ => fail!(KeySizeRange, "{} bytes are no triple DES key", key.len()),
        };
        let (bitsliced, cmac) = (bitsliced::Schedule::new(keys), OnceCell::new());
        let mut this = Key { schedules: Default::default(), bitsliced, cmac };
        for (schedule, part) in this.schedules.iter_mut().zip(keys) {
            // SAFETY: 8 bytes of key, whose alignment is one, and a schedule to write.
            unsafe { ffi::DES_set_key_unchecked(part.as_ptr().cast(), schedule) }
        }
        Ok(this)
    }

    /// ECB.
    ///
    /// # Panics
    /// If the input is not whole blocks or the output has less room.
    pub fn ecb(&self, direction: Direction, mut io: InOut<'_>) {
        let (blocks, [one, two, three]) = (whole_blocks(&io) / BLOCK, &self.schedules);
        if blocks >= bitsliced::worthwhile() {
            return bitsliced::ecb(&self.bitsliced, direction, io);
        }
        for _ in 0..blocks {
            let (from, to) = io.split_front(BLOCK).as_ptrs();
            let encrypt = (direction == Direction::Encrypt).into();
            // SAFETY: both are a block long, of alignment one, and either the same or apart.
            unsafe { ffi::DES_ecb3_encrypt(from.cast(), to.cast(), one, two, three, encrypt) }
        }
    }

    /// CBC; `iv` becomes the last block of ciphertext.
    ///
    /// # Panics
    /// As `ecb`.
    pub fn cbc(&self, direction: Direction, iv: &mut [u8; BLOCK], mut io: InOut<'_>) {
        let (len, [one, two, three]) = (whole_blocks(&io), &self.schedules);
        if direction == Direction::Decrypt && len / BLOCK >= bitsliced::worthwhile() {
            return bitsliced::cbc_decrypt(&self.bitsliced, iv, io);
        }
        let (from, to) = io.as_ptrs();
        let encrypt = (direction == Direction::Encrypt).into();
        // SAFETY: both are valid for `len`, whole blocks, and either the same or apart.
        unsafe { ffi::DES_ede3_cbc_encrypt(from, to, len, one, two, three, iv.as_mut_ptr().cast(), encrypt) }
    }
}

impl BlockCipher<BLOCK> for Key {
    const RB: u8 = 0x1B;

    fn encrypt(&self, block: &mut [u8; BLOCK]) {
        self.ecb(Direction::Encrypt, InOut::in_place(block, BLOCK));
    }

    fn take(&self, chain: &mut [u8; BLOCK], blocks: &[u8]) {
        take_by(chain, blocks, |chain, io| self.cbc(Direction::Encrypt, chain, io));
    }

    fn subkeys(&self) -> &Subkeys<BLOCK> {
        self.cmac.get_or_init(|| Subkeys::new(self))
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        // SAFETY: plain structures, not used again.
        // The bitsliced one wipes itself.
        self.schedules.iter_mut().for_each(|schedule| unsafe { wipe_value(schedule) });
    }
}

fn whole_blocks(io: &InOut<'_>) -> usize {
    assert!(io.input_len().is_multiple_of(BLOCK) && io.capacity() >= io.input_len());
    io.input_len()
}

/// A new key of `keys` times 8 bytes: odd parity, no weak or semi-weak part, all parts different
/// (SP 800-67, section 3.3).
pub fn generate(keys: usize) -> Secret {
    loop {
        let mut key = random::secret(keys * BLOCK);
        set_odd_parity(key.expose_mut());
        if is_strong(key.expose()) {
            return key;
        }
    }
}

/// Sets the low bit of every byte so that the byte has an odd number of ones.
pub fn set_odd_parity(key: &mut [u8]) {
    for byte in key {
        *byte = *byte & 0xFE | (((*byte >> 1).count_ones() as u8 & 1) ^ 1);
    }
}

/// Whether no two parts are equal and none is weak or semi-weak, parity aside.
pub fn is_strong(key: &[u8]) -> bool {
    let mut odd = Secret::from_slice(key);
    set_odd_parity(odd.expose_mut());
    let parts: Vec<&[u8]> = odd.expose().chunks(BLOCK).collect();
    // SAFETY: every part has 8 bytes of alignment one.
    let weak =
        |part: &[u8]| part.len() != BLOCK || unsafe { ffi::DES_is_weak_key(part.as_ptr().cast()) } != 0;
    let distinct = parts.iter().enumerate().all(|(i, a)| parts[..i].iter().all(|b| !equal(a, b)));
    distinct && !parts.into_iter().any(weak)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::cmac;
    use crate::kernel::cpu;

    /// SP 800-67, appendix B.1.
    #[test]
    fn nist_example() {
        let key = hex::decode("0123456789abcdef23456789abcdef01456789abcdef0123").unwrap();
        let key = Key::new(&key).unwrap();
        let mut data = *b"The qufck brown fox jump";
        key.ecb(Direction::Encrypt, InOut::in_place(&mut data, 24));
        assert_eq!(hex::encode(data), "a826fd8ce53b855fcce21c8112256fe668d5c05dd9b6b900");
        key.ecb(Direction::Decrypt, InOut::in_place(&mut data, 24));
        assert_eq!(&data, b"The qufck brown fox jump");
    }

    /// CBC from ECB by its definition, forth and back, in one piece and in two.
    #[test]
    fn cbc_is_chained_ecb() {
        let key = Key::new(generate(3).expose()).unwrap();
        let plain: Vec<u8> = (0..80).collect();
        let mut expected = plain.clone();
        let mut last = [7; 8];
        for block in expected.chunks_mut(8) {
            block.iter_mut().zip(&last).for_each(|(b, l)| *b ^= l);
            key.ecb(Direction::Encrypt, InOut::in_place(block, 8));
            last.copy_from_slice(block);
        }
        for cut in [0, 8, 40] {
            let mut data = plain.clone();
            for direction in [Direction::Encrypt, Direction::Decrypt] {
                let mut iv = [7; 8];
                let (front, back) = data.split_at_mut(cut);
                key.cbc(direction, &mut iv, InOut::in_place(front, cut));
                key.cbc(direction, &mut iv, InOut::in_place(back, 80 - cut));
                assert_eq!(data, if direction == Direction::Encrypt { &expected[..] } else { &plain[..] });
            }
        }
    }

    /// Every way this processor has, on sizes around those of every batch, against AWS-LC block by block.
    #[test]
    fn bitsliced_is_aws_lc() {
        let long = long();
        for blocks in (0..130).chain((130..1100).step_by(if long { 1 } else { 97 })) {
            agrees(&random::secret(16 + blocks % 3 / 2 * 8), blocks);
        }
        for batch in [128, 192, 256, 320, 512, 576, 768, 1024] {
            (batch - 1..batch + 2).for_each(|blocks| agrees(&random::secret(24), blocks));
        }
        // Weak and semi-weak keys, and keys with equal parts.
        for part in [0x0101010101010101_u64, 0xFEFEFEFEFEFEFEFE, 0x01FE01FE01FE01FE, 0x1F1F1F1F0E0E0E0E, 0] {
            let part = part.to_be_bytes();
            agrees(&Secret::from_slice(&[part; 3].concat()), 130);
            agrees(&Secret::from_slice(&[part, [7; 8]].concat()), 131);
        }
        (0..if long { 2000 } else { 4 }).for_each(|nth| agrees(&random::secret(24), 2000 + nth));
    }

    fn long() -> bool {
        std::env::var_os("COFFER_LONG").is_some()
    }

    fn agrees(key: &Secret, blocks: usize) {
        let key = Key::new(key.expose()).unwrap();
        let [one, two, three] = &key.schedules;
        let len = blocks * BLOCK;
        let (input, first) = (random::secret(len), *b"startval");
        let input = input.expose();
        let [mut decrypted, mut encrypted] = [(); 2].map(|()| vec![0; len]);
        for (at, block) in input.as_chunks::<BLOCK>().0.iter().enumerate() {
            for (encrypt, output) in [(0, &mut decrypted), (1, &mut encrypted)] {
                let to = output[at * BLOCK..].as_mut_ptr().cast();
                // SAFETY: a block each.
                unsafe { ffi::DES_ecb3_encrypt(block.as_ptr().cast(), to, one, two, three, encrypt) }
            }
        }
        let unchained: Vec<u8> =
            decrypted.iter().zip(first.iter().chain(input)).map(|(a, b)| a ^ b).collect();

        for without in [&[][..], &["avx512"], &["avx512", "avx2", "neon"]] {
            let check = |expected: &[u8], work: &dyn Fn(InOut<'_>)| {
                if blocks.is_multiple_of(2) || long() {
                    let mut apart = vec![0; len + 3];
                    cpu::without(without, || work(InOut::new(input, &mut apart)));
                    assert_eq!(apart, [expected, &[0; 3]].concat(), "{blocks} blocks without {without:?}");
                }
                if !blocks.is_multiple_of(2) || long() {
                    let mut place = input.to_vec();
                    cpu::without(without, || work(InOut::in_place(&mut place, len)));
                    assert_eq!(place, expected, "{blocks} blocks in place without {without:?}");
                }
            };
            check(&decrypted, &|io| bitsliced::ecb(&key.bitsliced, Direction::Decrypt, io));
            check(&encrypted, &|io| bitsliced::ecb(&key.bitsliced, Direction::Encrypt, io));
            check(&unchained, &|io| {
                let mut iv = first;
                bitsliced::cbc_decrypt(&key.bitsliced, &mut iv, io);
                assert_eq!(iv, input.last_chunk().copied().unwrap_or(first));
            });
        }
        let mut iv = first;
        let mut place = input.to_vec();
        key.cbc(Direction::Decrypt, &mut iv, InOut::in_place(&mut place, len));
        assert_eq!((place, iv), (unchained, input.last_chunk().copied().unwrap_or(first)));
    }

    /// SP 800-38B, appendix D.4 and D.5 (as NIST corrected them): CMAC with three and two keys.
    #[test]
    fn nist_cmac() {
        let message =
            hex::decode("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51").unwrap();
        let three =
            Key::new(&hex::decode("8aa83bf8cbda10620bc1bf19fbb6cd58bc313d4a371ca8b5").unwrap()).unwrap();
        let two = Key::new(&hex::decode("4cf15134a2850dd58a3d10ba80570d38").unwrap()).unwrap();
        for (len, with_three, with_two) in [
            (0, "b7a688e122ffaf95", "bd2ebf9a3ba00361"),
            (8, "8e8f293136283797", "4ff2ab813c53ce83"),
            (20, "743ddbe0ce2dc2ed", "62dd1b471902bd4e"),
            (32, "33e6b1092400eae5", "31b1e431dabc4eb8"),
        ] {
            assert_eq!(hex::encode(cmac::mac(&three, &message[..len])), with_three);
            assert_eq!(hex::encode(cmac::mac(&two, &message[..len])), with_two);
        }
    }

    #[test]
    fn parity_and_strength() {
        for keys in [2, 3] {
            let key = generate(keys);
            assert_eq!(key.len(), 8 * keys);
            assert!(key.expose().iter().all(|byte| byte.count_ones() % 2 == 1) && is_strong(key.expose()));
        }
        let (a, b) = (*b"8 bytes.", *b"other 8.");
        let weak = [1; 8];
        assert!(is_strong(&[a, b].concat()));
        assert!(
            !is_strong(&[a, a].concat())
                && !is_strong(&[a, b, a].concat())
                && !is_strong(&[a, weak].concat())
        );
        // The parity bit makes no other key.
        assert!(!is_strong(&[a, a.map(|byte| byte ^ 1)].concat()));
    }
}
