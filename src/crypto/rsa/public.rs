//! What a public key does.

use super::super::owned::{Number, Owned, public_bytes};
use super::super::random::drawing;
use super::super::status::ok;
use super::{BITS, Oaep, Pss};
use crate::crypto::Hash;
use crate::error::Result;
use aws_lc_sys as ffi;

/// The most bits of public exponent that FIPS 186-5 allows; it also bounds the cost of a foreign key.
pub(super) const MAX_EXPONENT_BITS: usize = 256;

/// A modulus and a public exponent.
pub struct PublicKey(pub(super) Owned<ffi::RSA>);

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
            Some(key) => Ok(PublicKey(key)),
            None => fail!(AttributeValueInvalid, "the RSA public key is not valid"),
        }
    }

    /// Bits of the modulus.
    pub fn bits(&self) -> usize {
        // SAFETY: a valid key.
        unsafe { ffi::RSA_bits(self.0.as_ptr()) as usize }
    }

    /// Bytes of the modulus, and so of a signature or ciphertext.
    pub fn size(&self) -> usize {
        // SAFETY: a valid key.
        unsafe { ffi::RSA_size(self.0.as_ptr()) as usize }
    }

    /// The modulus, most significant byte first.
    pub fn modulus(&self) -> Vec<u8> {
        // SAFETY: a valid key has a modulus.
        unsafe { public_bytes(ffi::RSA_get0_n(self.0.as_ptr())) }
    }

    /// The public exponent, most significant byte first.
    pub fn exponent(&self) -> Vec<u8> {
        // SAFETY: a valid key of ours has an exponent.
        unsafe { public_bytes(ffi::RSA_get0_e(self.0.as_ptr())) }
    }

    /// RSASSA-PKCS1-v1_5 of a digest: whether `signature` is right.
    pub fn verify_digest(&self, hash: Hash, digest: &[u8], signature: &[u8]) -> bool {
        // SAFETY: a valid key; the buffers are valid for their lengths.
        unsafe {
            let nid = ffi::EVP_MD_type(hash.evp_md());
            let (digest, signature) =
                ((digest.as_ptr(), digest.len()), (signature.as_ptr(), signature.len()));
            ffi::RSA_verify(nid, digest.0, digest.1, signature.0, signature.1, self.0.as_ptr()) == 1
        }
    }

    /// RSASSA-PSS of a digest: whether `signature` is right.
    pub fn verify_pss(&self, pss: Pss, digest: &[u8], signature: &[u8]) -> bool {
        let Ok(salt_len) = i32::try_from(pss.salt_len) else { return false };
        // SAFETY: a valid key; the buffers are valid for their lengths.
        unsafe {
            ffi::RSA_verify_pss_mgf1(
                self.0.as_ptr(),
                digest.as_ptr(),
                digest.len(),
                pss.hash.evp_md(),
                pss.mgf.evp_md(),
                salt_len,
                signature.as_ptr(),
                signature.len(),
            ) == 1
        }
    }

    /// The data inside a PKCS#1 v1.5 signature; `None` if its padding is wrong.
    pub fn recover_pkcs1(&self, signature: &[u8]) -> Option<Vec<u8>> {
        self.recover(signature, ffi::RSA_PKCS1_PADDING)
    }

    /// `input` to the power of the exponent, `size()` bytes in and out; `None` if it is not below the modulus.
    pub fn transform(&self, input: &[u8]) -> Option<Vec<u8>> {
        self.recover(input, ffi::RSA_NO_PADDING)
    }

    fn recover(&self, input: &[u8], padding: i32) -> Option<Vec<u8>> {
        let mut out = vec![0; self.size()];
        let mut len = 0;
        // SAFETY: a valid key; the buffers are valid for their lengths.
        let answer = unsafe {
            let room = out.len();
            let (input, input_len) = (input.as_ptr(), input.len());
            ffi::RSA_verify_raw(self.0.as_ptr(), &mut len, out.as_mut_ptr(), room, input, input_len, padding)
        };
        out.truncate(len);
        (answer == 1).then_some(out)
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
            ffi::RSA_encrypt(self.0.as_ptr(), &mut len, out.as_mut_ptr(), room, input, input_len, padding)
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
