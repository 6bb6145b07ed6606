//! AES (FIPS 197) and its plain modes (SP 800-38A).

use super::cmac::Subkeys;
use super::gcm::{self, Gcm};
use super::status::{ok, wipe_value, wiping_stack, wiping_stack_of};
use super::{Direction, InOut};
use crate::error::Result;
use crate::kernel::aes::{HAS_CHAINS, HashKey, Schedule};
use aws_lc_sys as ffi;
use once_cell::sync::OnceCell;
use std::ffi::{c_int, c_uint};
use std::mem::MaybeUninit;

/// Bytes in a block.
pub const BLOCK: usize = 16;

/// An expanded key of 128, 192 or 256 bits. One of it serves all threads.
pub struct Key {
    bytes: [u8; 32],
    len: usize,
    encrypt: ffi::AES_KEY,
    decrypt: ffi::AES_KEY,
    kernel: Option<Schedule>,
    hash_key: OnceCell<Option<Box<HashKey>>>,
    gcm: [OnceCell<Box<gcm::Context>>; gcm::TAG_LENGTHS],
    pub(super) cmac: OnceCell<Subkeys<BLOCK>>,
}

impl Key {
    /// From 16, 24 or 32 bytes.
    ///
    /// # Errors
    /// CKR_KEY_SIZE_RANGE.
    pub fn new(key: &[u8]) -> Result<Key> {
        if !matches!(key.len(), 16 | 24 | 32) {
            fail!(KeySizeRange, "{} bytes are no AES key", key.len());
        }
        let mut bytes = [0; 32];
        bytes[..key.len()].copy_from_slice(key);
        let bits = 8 * key.len() as c_uint;
        let (mut encrypt, mut decrypt) = (MaybeUninit::zeroed(), MaybeUninit::zeroed());
        // SAFETY: `key` holds `bits` bits; the functions answer 0 when they have written the schedule, and a
        // schedule of zeros is a valid value in any case.
        let (encrypt, decrypt, answers) = unsafe {
            let answers = (
                ffi::AES_set_encrypt_key(key.as_ptr(), bits, encrypt.as_mut_ptr()),
                ffi::AES_set_decrypt_key(key.as_ptr(), bits, decrypt.as_mut_ptr()),
            );
            (encrypt.assume_init(), decrypt.assume_init(), answers)
        };
        let kernel = Schedule::new(key);
        let key = Key {
            bytes,
            len: key.len(),
            encrypt,
            decrypt,
            kernel,
            hash_key: OnceCell::new(),
            gcm: Default::default(),
            cmac: OnceCell::new(),
        };
        ok((answers == (0, 0)).into(), "AES_set_key")?;
        Ok(key)
    }

    /// Its length in bytes.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Its bytes, for what cannot work from the schedule.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// The schedule for encryption.
    pub(super) fn schedule(&self, direction: Direction) -> *const ffi::AES_KEY {
        match direction {
            Direction::Encrypt => &self.encrypt,
            Direction::Decrypt => &self.decrypt,
        }
    }

    /// Encrypts one block in place.
    pub fn encrypt_block(&self, block: &mut [u8; BLOCK]) {
        let to = block.as_mut_ptr();
        // SAFETY: a block and a schedule; in place is allowed.
        unsafe { ffi::AES_encrypt(to, to, &self.encrypt) }
    }

    /// The kernel where it has CBC and CTR.
    fn chains(&self) -> Option<&Schedule> {
        self.kernel.as_ref().filter(|_| HAS_CHAINS)
    }

    /// ECB.
    ///
    /// # Panics
    /// If the input is not whole blocks or the output has less room.
    pub fn ecb(&self, direction: Direction, mut io: InOut<'_>) {
        if let Some(kernel) = &self.kernel {
            return kernel.ecb(direction, io);
        }
        for _ in 0..whole_blocks(&io) / BLOCK {
            let (from, to) = io.split_front(BLOCK).as_ptrs();
            // SAFETY: both are a block long and either the same or apart.
            unsafe { ffi::AES_ecb_encrypt(from, to, self.schedule(direction), flag(direction)) }
        }
    }

    /// CBC; `iv` becomes the last block of ciphertext.
    ///
    /// # Panics
    /// As `ecb`.
    pub fn cbc(&self, direction: Direction, iv: &mut [u8; BLOCK], mut io: InOut<'_>) {
        if let (Direction::Decrypt, Some(kernel)) = (direction, self.chains()) {
            return kernel.cbc_decrypt(iv, io);
        }
        let len = whole_blocks(&io);
        let (from, to) = io.as_ptrs();
        // SAFETY: both are valid for `len`, whole blocks, and either the same or apart.
        unsafe {
            ffi::AES_cbc_encrypt(from, to, len, self.schedule(direction), iv.as_mut_ptr(), flag(direction))
        }
    }

    /// CTR, both ways.
    ///
    /// # Errors
    /// CKR_DATA_LEN_RANGE if the counter would come to a value for the second time, which would give the key
    /// stream away.
    ///
    /// # Panics
    /// If the output has less room than the input is long.
    pub fn ctr(&self, counter: &mut Counter, mut io: InOut<'_>) -> Result<()> {
        counter.reserve(io.input_len())?;
        while io.input_len() > 0 {
            let step = io.input_len().min(counter.until_carry());
            let mut part = io.split_front(step);
            let fixed = counter.block;
            if let Some(kernel) = self.chains() {
                self.ctr_by_aws_lc(counter, part.split_front(step.min(counter.stream_left())));
                let blocks = part.input_len() / BLOCK;
                kernel.ctr(u128::from_be_bytes(counter.block), part.split_front(blocks * BLOCK));
                counter.advance(blocks);
            }
            self.ctr_by_aws_lc(counter, part);
            counter.restore(&fixed);
        }
        Ok(())
    }

    fn ctr_by_aws_lc(&self, counter: &mut Counter, mut io: InOut<'_>) {
        let len = io.input_len();
        if len == 0 {
            return;
        }
        let Counter { block, stream, used, .. } = counter;
        let (from, to) = io.as_ptrs();
        // SAFETY: both are valid for `len` and either the same or apart; `used` is below a block.
        unsafe {
            ffi::AES_ctr128_encrypt(
                from,
                to,
                len,
                &self.encrypt,
                block.as_mut_ptr(),
                stream.as_mut_ptr(),
                used,
            );
        }
    }

    /// OFB with 128 bits of feedback, both ways. `used` is how much of `iv` as key stream is used up.
    ///
    /// # Panics
    /// If the output has less room than the input is long.
    pub fn ofb(&self, iv: &mut [u8; BLOCK], used: &mut usize, mut io: InOut<'_>) {
        assert!(io.capacity() >= io.input_len() && *used < BLOCK);
        let len = io.input_len();
        let (from, to) = io.as_ptrs();
        let mut num = *used as c_int;
        // SAFETY: both are valid for `len` and either the same or apart; `num` is below a block.
        unsafe { ffi::AES_ofb128_encrypt(from, to, len, &self.encrypt, iv.as_mut_ptr(), &mut num) };
        *used = num as usize;
    }

    /// CFB with 128 bits of feedback. `used` is how much of `iv` as key stream is used up.
    ///
    /// # Panics
    /// As `ofb`.
    pub fn cfb128(&self, direction: Direction, iv: &mut [u8; BLOCK], used: &mut usize, mut io: InOut<'_>) {
        assert!(io.capacity() >= io.input_len() && *used < BLOCK);
        let (len, mode) = (io.input_len(), flag(direction));
        let (from, to) = io.as_ptrs();
        let mut num = *used as c_int;
        // SAFETY: as in `ofb`.
        unsafe { ffi::AES_cfb128_encrypt(from, to, len, &self.encrypt, iv.as_mut_ptr(), &mut num, mode) };
        *used = num as usize;
    }

    /// CFB with 8 bits of feedback.
    ///
    /// # Panics
    /// As `ofb`.
    pub fn cfb8(&self, direction: Direction, iv: &mut [u8; BLOCK], mut io: InOut<'_>) {
        assert!(io.capacity() >= io.input_len());
        let (len, mode) = (io.input_len(), flag(direction));
        let (from, to) = io.as_ptrs();
        // SAFETY: both are valid for `len` and either the same or apart.
        unsafe { ffi::AES_cfb8_encrypt(from, to, len, &self.encrypt, iv.as_mut_ptr(), &mut 0, mode) };
    }

    /// GCM with tags of `tag_len` bytes.
    ///
    /// # Errors
    /// CKR_MECHANISM_PARAM_INVALID for a length that SP 800-38D does not allow.
    #[inline]
    pub fn gcm(&self, tag_len: usize) -> Result<Gcm<'_>> {
        let index = gcm::tag_index(tag_len)?;
        if let Some(kernel) = &self.kernel {
            let make = || wiping_stack_of::<4096, _>(|| kernel.hash_key().map(Box::new));
            if let Some(hash) = self.hash_key.get_or_init(make) {
                return Ok(Gcm::by_kernel(kernel, hash, tag_len));
            }
        }
        let make = || wiping_stack(|| Ok(Box::new(gcm::Context::new(self.bytes(), tag_len)?)));
        self.gcm[index].get_or_try_init(make).map(|context| Gcm::by_aws_lc(context))
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        super::wipe(&mut self.bytes);
        // SAFETY: plain structures, not used again.
        unsafe {
            wipe_value(&mut self.encrypt);
            wipe_value(&mut self.decrypt);
        }
    }
}

fn flag(direction: Direction) -> c_int {
    (direction == Direction::Encrypt).into()
}

fn whole_blocks(io: &InOut<'_>) -> usize {
    assert!(io.input_len().is_multiple_of(BLOCK) && io.capacity() >= io.input_len());
    io.input_len()
}

/// A counter block whose low `bits` bits count, big endian, and never carry into the rest.
pub struct Counter {
    bits: u32,
    block: [u8; BLOCK],
    stream: [u8; BLOCK],
    /// Bytes of `stream` that are used up; 0 means all.
    used: c_uint,
    /// Blocks that may still be encrypted; of 2^64 or more nobody sees the end.
    left: u64,
}

impl Counter {
    /// Starts at `block`.
    ///
    /// # Errors
    /// CKR_MECHANISM_PARAM_INVALID unless `bits` is 1 to 128.
    pub fn new(bits: u32, block: [u8; BLOCK]) -> Result<Counter> {
        if !(1..=128).contains(&bits) {
            fail!(MechanismParamInvalid, "ulCounterBits: {bits} is not 1 to 128");
        }
        let left = 1u64.checked_shl(bits).unwrap_or(u64::MAX);
        Ok(Counter { bits, block, stream: [0; BLOCK], used: 0, left })
    }

    fn mask(&self) -> u128 {
        u128::MAX >> (128 - self.bits)
    }

    /// Bytes of key stream that are made and not used.
    fn stream_left(&self) -> usize {
        (BLOCK - self.used as usize) % BLOCK
    }

    /// Goes past `blocks` blocks, which may carry out of the counting bits.
    fn advance(&mut self, blocks: usize) {
        self.block = u128::from_be_bytes(self.block).wrapping_add(blocks as u128).to_be_bytes();
    }

    /// Books the blocks that `len` bytes need beyond what is left of the key stream.
    fn reserve(&mut self, len: usize) -> Result<()> {
        let blocks = len.saturating_sub(self.stream_left()).div_ceil(BLOCK) as u64;
        match self.left.checked_sub(blocks) {
            Some(left) => self.left = left,
            None => fail!(DataLenRange, "the data is longer than a {}-bit counter lasts", self.bits),
        }
        Ok(())
    }

    /// Bytes of key stream before the counting bits come back to zero.
    fn until_carry(&self) -> usize {
        let counter = u128::from_be_bytes(self.block) & self.mask();
        let blocks = usize::try_from(self.mask() - counter).unwrap_or(usize::MAX).saturating_add(1);
        blocks.saturating_mul(BLOCK).saturating_add(self.stream_left())
    }

    /// Takes back what the 128-bit addition carried out of the counting bits.
    fn restore(&mut self, fixed: &[u8; BLOCK]) {
        let block =
            u128::from_be_bytes(self.block) & self.mask() | u128::from_be_bytes(*fixed) & !self.mask();
        self.block = block.to_be_bytes();
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        super::wipe(&mut self.stream);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::random;
    use crate::kernel::cpu;

    const PLAIN: &str = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51\
                         30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710";

    fn hex(text: &str) -> Vec<u8> {
        hex::decode(text).unwrap()
    }

    fn key_256() -> Key {
        Key::new(&hex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4")).unwrap()
    }

    fn counting() -> [u8; 16] {
        std::array::from_fn(|i| i as u8)
    }

    /// SP 800-38A, appendix F: ECB (F.1.5), CBC (F.2.5), CFB8 (F.3.11), CFB128 (F.3.17), OFB (F.4.5), CTR (F.5.5).
    #[test]
    fn nist_examples() {
        let key = key_256();
        let plain = hex(PLAIN);
        type Mode<'a> = &'a dyn Fn(&Key, Direction, &mut [u8]);
        let modes: [(&str, Mode<'_>); 6] = [
            (
                "f3eed1bdb5d2a03c064b5a7e3db181f8591ccb10d410ed26dc5ba74a31362870\
                 b6ed21b99ca6f4f9f153e7b1beafed1d23304b7a39f9f3ff067d8d8f9e24ecc7",
                &|key, direction, data| {
                    let len = data.len();
                    key.ecb(direction, InOut::in_place(data, len))
                },
            ),
            (
                "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d\
                 39f23369a9d9bacfa530e26304231461b2eb05e2c39be9fcda6c19078c6a9d1b",
                &|key, direction, data| {
                    let (mut iv, len) = (counting(), data.len());
                    key.cbc(direction, &mut iv, InOut::in_place(data, len))
                },
            ),
            ("dc1f1a8520a64db55fcc8ac554844e889700", &|key, direction, data| {
                let (mut iv, len) = (counting(), data.len());
                key.cfb8(direction, &mut iv, InOut::in_place(data, len))
            }),
            (
                "dc7e84bfda79164b7ecd8486985d386039ffed143b28b1c832113c6331e5407b\
                 df10132415e54b92a13ed0a8267ae2f975a385741ab9cef82031623d55b1e471",
                &|key, direction, data| {
                    let (mut iv, mut used) = (counting(), 0);
                    for part in data.chunks_mut(21) {
                        let len = part.len();
                        key.cfb128(direction, &mut iv, &mut used, InOut::in_place(part, len))
                    }
                },
            ),
            (
                "dc7e84bfda79164b7ecd8486985d38604febdc6740d20b3ac88f6ad82a4fb08d\
                 71ab47a086e86eedf39d1c5bba97c4080126141d67f37be8538f5a8be740e484",
                &|key, _, data| {
                    let (mut iv, mut used) = (counting(), 0);
                    for part in data.chunks_mut(21) {
                        let len = part.len();
                        key.ofb(&mut iv, &mut used, InOut::in_place(part, len))
                    }
                },
            ),
            (
                "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5\
                 2b0930daa23de94ce87017ba2d84988ddfc9c58db67aada613c2dd08457941a6",
                &|key, _, data| {
                    let block = hex("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff").try_into().unwrap();
                    let mut counter = Counter::new(32, block).unwrap();
                    for part in data.chunks_mut(21) {
                        let len = part.len();
                        key.ctr(&mut counter, InOut::in_place(part, len)).unwrap()
                    }
                },
            ),
        ];
        for (expected, mode) in modes {
            let expected = hex(expected);
            let mut data = plain[..expected.len()].to_vec();
            mode(&key, Direction::Encrypt, &mut data);
            assert_eq!(hex::encode(&data), hex::encode(&expected));
            mode(&key, Direction::Decrypt, &mut data);
            assert_eq!(data, plain[..expected.len()]);
        }
    }

    /// Every counter width against blocks made one at a time by the definition, across the wrap.
    #[test]
    fn counters_wrap_inside_their_bits() {
        let key = key_256();
        for bits in [1, 2, 7, 8, 9, 31, 32, 33, 64, 127, 128] {
            let mask = u128::MAX >> (128 - bits);
            let start = 0x0123_4567_89AB_CDEF_0011_2233_4455_6677 & !mask | mask.wrapping_sub(1);
            let blocks = if bits == 1 { 2 } else { 4 };
            let mut expected = Vec::new();
            for i in 0..blocks {
                let counter = start & !mask | start.wrapping_add(i) & mask;
                let mut block = counter.to_be_bytes();
                key.encrypt_block(&mut block);
                expected.extend_from_slice(&block);
            }
            for part in [1, 5, 16, 40, 64] {
                let mut counter = Counter::new(bits, start.to_be_bytes()).unwrap();
                let mut data = vec![0; expected.len()];
                for chunk in data.chunks_mut(part) {
                    let len = chunk.len();
                    key.ctr(&mut counter, InOut::in_place(chunk, len)).unwrap();
                }
                assert_eq!(data, expected, "{bits} bits by {part}");
            }
        }
    }

    #[test]
    fn a_counter_never_comes_round() {
        let key = key_256();
        let mut counter = Counter::new(4, [0xFF; 16]).unwrap();
        let mut data = [0; 257];
        key.ctr(&mut counter, InOut::in_place(&mut data, 250)).unwrap();
        key.ctr(&mut counter, InOut::in_place(&mut data, 6)).unwrap();
        assert!(key.ctr(&mut counter, InOut::in_place(&mut data, 1)).is_err());
        assert!(key.ctr(&mut Counter::new(4, [0; 16]).unwrap(), InOut::in_place(&mut data, 257)).is_err());
        assert!(Counter::new(0, [0; 16]).is_err() && Counter::new(129, [0; 16]).is_err());
    }

    /// ECB, CBC decryption and CTR as AWS-LC alone does them.
    fn by_aws_lc(key: &Key, iv: [u8; BLOCK], data: &[u8]) -> [Vec<u8>; 4] {
        let mut out: [Vec<u8>; 4] = std::array::from_fn(|_| data.to_vec());
        let [ecb, ecb_back, cbc_back, ctr] = &mut out;
        for (way, direction) in [(ecb, Direction::Encrypt), (ecb_back, Direction::Decrypt)] {
            for block in way.as_chunks_mut::<BLOCK>().0 {
                let to = block.as_mut_ptr();
                // SAFETY: a block, in place.
                unsafe { ffi::AES_ecb_encrypt(to, to, key.schedule(direction), flag(direction)) }
            }
        }
        let (mut chain, mut counter, mut stream, mut used) = (iv, iv, [0; BLOCK], 0);
        let (cbc, whole) = (cbc_back.as_mut_ptr(), data.len() / BLOCK * BLOCK);
        let (ctr, len) = (ctr.as_mut_ptr(), data.len());
        // SAFETY: whole blocks, then any bytes, each in place.
        unsafe {
            ffi::AES_cbc_encrypt(cbc, cbc, whole, &key.decrypt, chain.as_mut_ptr(), 0);
            let (counter, stream) = (counter.as_mut_ptr(), stream.as_mut_ptr());
            ffi::AES_ctr128_encrypt(ctr, ctr, len, &key.encrypt, counter, stream, &mut used);
        }
        out
    }

    /// In every way of the kernel, in one piece and in several. COFFER_LONG=1 takes a million cases.
    #[test]
    fn the_kernel_and_aws_lc_agree() {
        let cases = if std::env::var_os("COFFER_LONG").is_some() { 1_000_000 } else { 3000 };
        let mut pool = random::secret(1 << 16);
        for case in 0..cases {
            // Numbers and bytes from somewhere in the pool, which serves for as long as no place comes again.
            let random = pool.expose();
            let at = case * 7919 % 60_000;
            let number =
                |i: usize| usize::from(u16::from_le_bytes([random[at + 2 * i], random[at + 2 * i + 1]]));
            let key_len = [16, 24, 32][number(0) % 3];
            let mut len = number(1) % 1200;
            if number(2) % 2 == 0 {
                len %= 100;
            }
            let (whole, cut) = (len / BLOCK * BLOCK, number(3) % (len + 1));
            let iv: [u8; BLOCK] = random[at + 8..][..BLOCK].try_into().unwrap();
            let (material, data) = (&random[at + 24..][..key_len], &random[at + 60..][..len]);
            for without in [&[][..], &["avx512"], &["vaes"], &["aesni", "aes"]] {
                let key = cpu::without(without, || Key::new(material)).unwrap();
                let mut out: [Vec<u8>; 4] = std::array::from_fn(|_| data.to_vec());
                let (mut chain, mut counter) = (iv, Counter::new(128, iv).unwrap());
                for to in [0..cut / BLOCK * BLOCK, cut / BLOCK * BLOCK..whole] {
                    let len = to.len();
                    key.ecb(Direction::Encrypt, InOut::in_place(&mut out[0][to.clone()], len));
                    key.ecb(Direction::Decrypt, InOut::in_place(&mut out[1][to.clone()], len));
                    key.cbc(Direction::Decrypt, &mut chain, InOut::in_place(&mut out[2][to], len));
                }
                for to in [0..cut, cut..len] {
                    let input = data[to.clone()].to_vec();
                    key.ctr(&mut counter, InOut::new(&input, &mut out[3][to])).unwrap();
                }
                let expected = by_aws_lc(&key, iv, data);
                assert_eq!(out, expected, "case {case}: {len} bytes cut at {cut}, without {without:?}");
            }
            if case % 60_000 == 59_999 {
                pool = random::secret(1 << 16);
            }
        }
    }

    #[test]
    fn one_block_and_many_are_the_same_ecb() {
        for len in [16, 24, 32] {
            let key = Key::new(&vec![3; len]).unwrap();
            let mut many: Vec<u8> = (0..16 * 20).map(|i| i as u8).collect();
            let mut single = many.clone();
            for direction in [Direction::Encrypt, Direction::Decrypt] {
                let whole = many.len();
                key.ecb(direction, InOut::in_place(&mut many, whole));
                single.chunks_mut(16).for_each(|b| key.ecb(direction, InOut::in_place(b, 16)));
                assert_eq!(many, single);
            }
        }
        assert!([0, 15, 17, 33, 64].iter().all(|&len| Key::new(&vec![0; len]).is_err()));
    }
}
