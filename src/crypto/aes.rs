//! AES (FIPS 197) and its plain modes (SP 800-38A).

use super::gcm::{self, Gcm};
use super::status::{ok, wipe_value};
use super::{Direction, InOut};
use crate::error::Result;
use aws_lc_sys as ffi;
use once_cell::sync::OnceCell;
use std::ffi::{c_int, c_uint};
use std::mem::MaybeUninit;
use std::ptr;

/// Bytes in a block.
pub const BLOCK: usize = 16;

/// An expanded key of 128, 192 or 256 bits. One of it serves all threads.
pub struct Key {
    bytes: [u8; 32],
    len: usize,
    encrypt: ffi::AES_KEY,
    decrypt: ffi::AES_KEY,
    ecb: [OnceCell<Ecb>; 2],
    gcm: [OnceCell<Box<Gcm>>; gcm::TAG_LENGTHS],
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
        let key =
            Key { bytes, len: key.len(), encrypt, decrypt, ecb: Default::default(), gcm: Default::default() };
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

    /// ECB.
    ///
    /// # Panics
    /// If the input is not whole blocks or the output has less room.
    pub fn ecb(&self, direction: Direction, mut io: InOut<'_>) -> Result<()> {
        let len = whole_blocks(&io);
        let (from, to) = io.as_ptrs();
        if len == BLOCK {
            // SAFETY: both are a block long and either the same or apart.
            unsafe { ffi::AES_ecb_encrypt(from, to, self.schedule(direction), flag(direction)) };
            return Ok(());
        }
        let ecb = self.ecb[flag(direction) as usize].get_or_try_init(|| Ecb::new(self.bytes(), direction))?;
        ecb.run(from, to, len)
    }

    /// CBC; `iv` becomes the last block of ciphertext.
    ///
    /// # Panics
    /// As `ecb`.
    pub fn cbc(&self, direction: Direction, iv: &mut [u8; BLOCK], mut io: InOut<'_>) {
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
            let (from, to) = part.as_ptrs();
            let fixed = counter.block;
            // SAFETY: both are valid for `step` and either the same or apart; `used` is below a block.
            unsafe {
                ffi::AES_ctr128_encrypt(
                    from,
                    to,
                    step,
                    &self.encrypt,
                    counter.block.as_mut_ptr(),
                    counter.stream.as_mut_ptr(),
                    &mut counter.used,
                )
            };
            counter.restore(&fixed);
        }
        Ok(())
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
    pub fn gcm(&self, tag_len: usize) -> Result<&Gcm> {
        let index = gcm::tag_index(tag_len)?;
        self.gcm[index].get_or_try_init(|| Ok(Box::new(Gcm::new(self.bytes(), tag_len)?))).map(|gcm| &**gcm)
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
    /// Blocks that may still be encrypted.
    left: u128,
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
        // 2^128 blocks cannot be counted, nor can they be encrypted.
        let left = 1u128.checked_shl(bits).unwrap_or(u128::MAX);
        Ok(Counter { bits, block, stream: [0; BLOCK], used: 0, left })
    }

    fn mask(&self) -> u128 {
        u128::MAX >> (128 - self.bits)
    }

    /// Books the blocks that `len` bytes need beyond what is left of the key stream.
    fn reserve(&mut self, len: usize) -> Result<()> {
        let stream = (BLOCK - self.used as usize) % BLOCK;
        let blocks = len.saturating_sub(stream).div_ceil(BLOCK) as u128;
        match self.left.checked_sub(blocks) {
            Some(left) => self.left = left,
            None => fail!(DataLenRange, "the data is longer than a {}-bit counter lasts", self.bits),
        }
        Ok(())
    }

    /// Bytes of key stream before the counting bits come back to zero.
    fn until_carry(&self) -> usize {
        let stream = (BLOCK - self.used as usize) % BLOCK;
        let counter = u128::from_be_bytes(self.block) & self.mask();
        let blocks = usize::try_from(self.mask() - counter).unwrap_or(usize::MAX).saturating_add(1);
        blocks.saturating_mul(BLOCK).saturating_add(stream)
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

/// AWS-LC's many-blocks-at-once ECB, which only its EVP layer reaches.
struct Ecb(*mut ffi::EVP_CIPHER_CTX);

// SAFETY: owned, and ECB has no state that a call would change: it only reads the schedule.
unsafe impl Send for Ecb {}
// SAFETY: as above.
unsafe impl Sync for Ecb {}

impl Ecb {
    fn new(key: &[u8], direction: Direction) -> Result<Ecb> {
        // SAFETY: these only return addresses of statics.
        let cipher = unsafe {
            match key.len() {
                16 => ffi::EVP_aes_128_ecb(),
                24 => ffi::EVP_aes_192_ecb(),
                _ => ffi::EVP_aes_256_ecb(),
            }
        };
        // SAFETY: a new context, owned by `this`; the key has the cipher's length.
        unsafe {
            let this = Ecb(ffi::EVP_CIPHER_CTX_new());
            ok((!this.0.is_null()).into(), "EVP_CIPHER_CTX_new")?;
            let engine = ptr::null_mut();
            ok(
                ffi::EVP_CipherInit_ex(this.0, cipher, engine, key.as_ptr(), ptr::null(), flag(direction)),
                "EVP_CipherInit_ex",
            )?;
            Ok(this)
        }
    }

    /// `len` is whole blocks, and the caller's pointers are valid for it.
    fn run(&self, from: *const u8, to: *mut u8, len: usize) -> Result<()> {
        // SAFETY: by the two callers' checks; equal pointers are allowed.
        ok(unsafe { ffi::EVP_Cipher(self.0, to, from, len) }, "EVP_Cipher")
    }
}

impl Drop for Ecb {
    fn drop(&mut self) {
        // SAFETY: owned; it wipes the schedule.
        unsafe { ffi::EVP_CIPHER_CTX_free(self.0) }
    }
}
