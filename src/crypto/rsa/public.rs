//! What a public key does.

use super::super::owned::{Number, Owned, public_bytes};
use super::super::random::drawing;
use super::super::status::{ok, wiping_stack_of};
use super::{BITS, Oaep, Pss};
use crate::crypto::Hash;
use crate::error::Result;
use crate::kernel::modexp;
use aws_lc_sys as ffi;
use std::ptr;
use std::sync::OnceLock;

/// The most bits of public exponent that FIPS 186-5 allows; it also bounds the cost of a foreign key.
pub(super) const MAX_EXPONENT_BITS: usize = 256;

/// A modulus and a public exponent.
pub struct PublicKey {
    pub(super) rsa: Owned<ffi::RSA>,
    /// For the kernel, from the first use on; `None` where AWS-LC is as good.
    prepared: OnceLock<Option<Box<Prepared>>>,
}

struct Prepared {
    modulus: modexp::Modulus,
    exponent: Vec<u8>,
}

// SAFETY: AWS-LC locks what an RSA object computes lazily; nothing else changes after construction.
unsafe impl Sync for PublicKey {}

impl PublicKey {
    /// From modulus and exponent, most significant byte first.
    ///
    /// # Errors
    /// CKR_ATTRIBUTE_VALUE_INVALID for an even modulus or one outside [`BITS`], and for an exponent that is
    /// even, 1 or longer than 256 bits.
    pub fn new(modulus: &[u8], exponent: &[u8]) -> Result<PublicKey> {
        let exponent_bits = check(modulus, exponent)?;
        let (n, e) = (Number::from_bytes(modulus)?, Number::from_bytes(exponent)?);
        // SAFETY: both are valid and copied.
        let key = unsafe {
            Owned::some(match exponent_bits {
                ..=33 => ffi::RSA_new_public_key(n.as_ptr(), e.as_ptr()),
                _ => ffi::RSA_new_public_key_large_e(n.as_ptr(), e.as_ptr()),
            })
        };
        match key {
            Some(key) => Ok(PublicKey::of(key)),
            None => fail!(AttributeValueInvalid, "the RSA public key is not valid"),
        }
    }

    /// Takes a key of AWS-LC's that has been checked.
    pub(super) fn of(rsa: Owned<ffi::RSA>) -> PublicKey {
        PublicKey { rsa, prepared: OnceLock::new() }
    }

    /// Bits of the modulus.
    pub fn bits(&self) -> usize {
        // SAFETY: a valid key.
        unsafe { ffi::RSA_bits(self.rsa.as_ptr()) as usize }
    }

    /// Bytes of the modulus, and so of a signature or ciphertext.
    pub fn size(&self) -> usize {
        // SAFETY: a valid key.
        unsafe { ffi::RSA_size(self.rsa.as_ptr()) as usize }
    }

    /// The modulus, most significant byte first.
    pub fn modulus(&self) -> Vec<u8> {
        // SAFETY: a valid key has a modulus.
        unsafe { public_bytes(ffi::RSA_get0_n(self.rsa.as_ptr())) }
    }

    /// The public exponent, most significant byte first.
    pub fn exponent(&self) -> Vec<u8> {
        // SAFETY: a valid key of ours has an exponent.
        unsafe { public_bytes(ffi::RSA_get0_e(self.rsa.as_ptr())) }
    }

    /// RSASSA-PKCS1-v1_5 of a digest: whether `signature` is right.
    pub fn verify_digest(&self, hash: Hash, digest: &[u8], signature: &[u8]) -> bool {
        let data = self.recover_pkcs1(signature);
        data.is_some_and(|data| digest_info(hash, digest).is_ok_and(|expected| data == expected))
    }

    /// RSASSA-PSS of a digest: whether `signature` is right.
    pub fn verify_pss(&self, pss: Pss, digest: &[u8], signature: &[u8]) -> bool {
        let Ok(salt_len) = i32::try_from(pss.salt_len) else { return false };
        digest.len() == pss.hash.output_len()
            && self.transform(signature).is_some_and(|encoded| {
                let (hash, mgf) = (pss.hash.evp_md(), pss.mgf.evp_md());
                let (rsa, digest, encoded) = (self.rsa.as_ptr(), digest.as_ptr(), encoded.as_ptr());
                // SAFETY: a valid key; the digest is as long as the hash's, and what is encoded as the modulus.
                unsafe { ffi::RSA_verify_PKCS1_PSS_mgf1(rsa, digest, hash, mgf, encoded, salt_len) == 1 }
            })
    }

    /// The data inside a PKCS#1 v1.5 signature (RFC 8017, section 9.2); `None` if its padding is wrong.
    pub fn recover_pkcs1(&self, signature: &[u8]) -> Option<Vec<u8>> {
        let block = self.transform(signature)?;
        let padded = block.strip_prefix(&[0, 1])?;
        let ones = padded.iter().position(|byte| *byte != 0xFF)?;
        let data = padded[ones..].strip_prefix(&[0])?;
        (data.len() + super::PKCS1_OVERHEAD <= block.len()).then(|| data.to_vec())
    }

    /// `input` to the power of the exponent, `size()` bytes in and out; `None` if it is not below the modulus, or of
    /// another length.
    pub fn transform(&self, input: &[u8]) -> Option<Vec<u8>> {
        let mut out = vec![0; self.size()];
        let answer = match self.prepared.get_or_init(|| self.prepare()).as_deref() {
            _ if input.len() != out.len() => false,
            Some(Prepared { modulus, exponent }) => {
                wiping_stack_of::<{ modexp::DEPTH }, _>(|| modulus.power(input, exponent, &mut out))
            }
            None => {
                let (mut len, room, padding) = (0, out.len(), ffi::RSA_NO_PADDING);
                let (rsa, to, from) = (self.rsa.as_ptr(), out.as_mut_ptr(), input.as_ptr());
                // SAFETY: a valid key; the buffers are valid for their lengths.
                unsafe { ffi::RSA_verify_raw(rsa, &mut len, to, room, from, input.len(), padding) == 1 }
            }
        };
        answer.then_some(out)
    }

    fn prepare(&self) -> Option<Box<Prepared>> {
        let modulus = modexp::Modulus::new(&self.modulus())?;
        Some(Box::new(Prepared { modulus, exponent: self.exponent() }))
    }

    /// RSAES-PKCS1-v1_5.
    ///
    /// # Errors
    /// CKR_DATA_LEN_RANGE if `data` is longer than the modulus less 11 bytes.
    pub fn encrypt_pkcs1(&self, data: &[u8]) -> Result<Vec<u8>> {
        if data.len() + super::PKCS1_OVERHEAD > self.size() {
            fail!(DataLenRange, "{} bytes do not fit under the modulus", data.len());
        }
        let mut out = vec![0; self.size()];
        let (mut len, room) = (0, out.len());
        let _drawing = drawing();
        // SAFETY: a valid key; the buffers are valid for their lengths.
        let answer = unsafe {
            let (input, input_len) = (data.as_ptr(), data.len());
            let padding = ffi::RSA_PKCS1_PADDING;
            ffi::RSA_encrypt(self.rsa.as_ptr(), &mut len, out.as_mut_ptr(), room, input, input_len, padding)
        };
        ok(answer, "RSA_encrypt")?;
        Ok(out)
    }

    /// RSAES-OAEP.
    ///
    /// # Errors
    /// CKR_DATA_LEN_RANGE if `data` does not fit; CKR_KEY_SIZE_RANGE if nothing does.
    pub fn encrypt_oaep(&self, oaep: Oaep<'_>, data: &[u8]) -> Result<Vec<u8>> {
        match oaep.capacity(self.size()) {
            None => fail!(KeySizeRange, "the modulus is too short for OAEP with {:?}", oaep.hash),
            Some(capacity) if data.len() > capacity => {
                fail!(DataLenRange, "{} bytes do not fit under the modulus", data.len())
            }
            Some(_) => {}
        }
        let mut block = crate::crypto::Secret::zeroed(self.size());
        let padded = block.expose_mut();
        let _drawing = drawing();
        // SAFETY: all buffers are valid for their lengths.
        let answer = unsafe {
            ffi::RSA_padding_add_PKCS1_OAEP_mgf1(
                padded.as_mut_ptr(),
                padded.len(),
                data.as_ptr(),
                data.len(),
                oaep.label.as_ptr(),
                oaep.label.len(),
                oaep.hash.evp_md(),
                oaep.mgf.evp_md(),
            )
        };
        ok(answer, "RSA_padding_add_PKCS1_OAEP_mgf1")?;
        // The block's first byte is zero, so it is below the modulus.
        self.transform(block.expose()).ok_or_else(|| crate::error::Rv::GeneralError.into())
    }
}

/// The DigestInfo of a digest (RFC 8017, section 9.2, step 2).
///
/// # Errors
/// CKR_GENERAL_ERROR for a digest of another length.
fn digest_info(hash: Hash, digest: &[u8]) -> Result<Vec<u8>> {
    let (mut message, mut len, mut allocated) = (ptr::null_mut(), 0, 0);
    // SAFETY: the digest is valid for its length; what is answered is its own bytes or, if it says so, ours to free.
    unsafe {
        let nid = ffi::EVP_MD_type(hash.evp_md());
        let (data, data_len) = (digest.as_ptr(), digest.len());
        let answer = ffi::RSA_add_pkcs1_prefix(&mut message, &mut len, &mut allocated, nid, data, data_len);
        ok(answer, "RSA_add_pkcs1_prefix")?;
        let info = std::slice::from_raw_parts(message, len).to_vec();
        if allocated == 1 {
            ffi::OPENSSL_free(message.cast());
        }
        Ok(info)
    }
}

/// The checks that need no big numbers; the exponent's length in bits.
pub(super) fn check(modulus: &[u8], exponent: &[u8]) -> Result<usize> {
    let (n, e) = (bit_len(modulus), bit_len(exponent));
    if !BITS.contains(&n) {
        fail!(
            AttributeValueInvalid,
            "CKA_MODULUS: {n} bits; {} to {} are supported",
            BITS.start(),
            BITS.end()
        );
    }
    if modulus.last().is_none_or(|last| last & 1 == 0) {
        fail!(AttributeValueInvalid, "CKA_MODULUS is even");
    }
    if !(2..=MAX_EXPONENT_BITS).contains(&e) || exponent.last().is_none_or(|last| last & 1 == 0) {
        fail!(AttributeValueInvalid, "CKA_PUBLIC_EXPONENT must be odd, at least 3 and at most 256 bits long");
    }
    Ok(e)
}

/// Bits up to the highest that is set.
pub(super) fn bit_len(bytes: &[u8]) -> usize {
    match crate::crypto::encoding::significant(bytes) {
        [] => 0,
        bytes => 8 * bytes.len() - bytes[0].leading_zeros() as usize,
    }
}
