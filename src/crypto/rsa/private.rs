//! What a private key does.

use super::super::hmac;
use super::super::owned::{Owned, secret_bytes, write_padded};
use super::super::random::drawing;
use super::super::status::ok;
use super::arithmetic::Arithmetic;
use super::generate::{Primes, generate};
use super::{GENERATED_BITS, Oaep, Parts, Pss, PublicKey, pkcs1};
use crate::crypto::{Hash, Secret, digest};
use crate::error::{Result, Rv};
use aws_lc_sys as ffi;
use std::ops::Deref;
use std::ptr;

/// Of Miller-Rabin at import: a composite passes each with a probability of one quarter at most.
const ROUNDS: usize = 4;

/// A whole private key, with its primes; as a public key it is its own other half.
pub struct PrivateKey {
    pub(super) public: PublicKey,
    /// The same key as OAEP's decoding wants it.
    evp: Owned<ffi::EVP_PKEY>,
    /// HMAC-SHA-256 under a hash of the private exponent: makes the plaintexts of implicit rejection.
    rejection: hmac::Key,
}

// SAFETY: as for `PublicKey`; the EVP_PKEY is only read.
unsafe impl Sync for PrivateKey {}

impl Deref for PrivateKey {
    type Target = PublicKey;
    fn deref(&self) -> &PublicKey {
        &self.public
    }
}

impl PrivateKey {
    /// A new key of `bits` bits, which has signed and verified once (the pairwise consistency test of FIPS 140-3).
    ///
    /// # Errors
    /// CKR_KEY_SIZE_RANGE unless `bits` is a multiple of 128 in [`GENERATED_BITS`];
    /// CKR_ATTRIBUTE_VALUE_INVALID unless the exponent is odd, at least 3 and at most 256 bits long.
    pub fn generate(bits: usize, exponent: &[u8], primes: Primes) -> Result<PrivateKey> {
        if !GENERATED_BITS.contains(&bits) || !bits.is_multiple_of(128) {
            let (least, most) = (GENERATED_BITS.start(), GENERATED_BITS.end());
            fail!(KeySizeRange, "CKA_MODULUS_BITS: {bits}; multiples of 128 from {least} to {most} are made");
        }
        let key = PrivateKey::finish(generate(bits, exponent, primes)?)?;
        let (digest, mut signature) = ([0x5C; 32], vec![0; key.size()]);
        key.sign_digest(Hash::Sha256, &digest, &mut signature)?;
        match key.verify_digest(Hash::Sha256, &digest, &signature) {
            true => Ok(key),
            false => fail!(FunctionFailed, "a new RSA key does not verify what it signed"),
        }
    }

    /// From components; those that follow from others may be missing ([`Parts`]).
    ///
    /// # Errors
    /// CKR_ATTRIBUTE_VALUE_INVALID if they do not make a key.
    pub fn new(parts: &Parts<'_>) -> Result<PrivateKey> {
        PrivateKey::finish(parts.assemble()?)
    }

    /// Takes a complete key.
    fn finish(key: Owned<ffi::RSA>) -> Result<PrivateKey> {
        let public = PublicKey::of(key);
        let rsa = public.rsa.as_ptr();
        // SAFETY: both are valid; set1 takes a reference of its own.
        let evp = unsafe {
            let evp = Owned::new(ffi::EVP_PKEY_new())?;
            ok(ffi::EVP_PKEY_set1_RSA(evp.as_ptr(), rsa), "EVP_PKEY_set1_RSA")?;
            evp
        };
        let mut exponent = Secret::zeroed(public.size());
        // SAFETY: a private key has an exponent, below the modulus or, from other makers, the totient.
        if !unsafe { write_padded(ffi::RSA_get0_d(rsa), exponent.expose_mut()) } {
            fail!(AttributeValueInvalid, "CKA_PRIVATE_EXPONENT is longer than the modulus");
        }
        let mut hashed = digest::digest(Hash::Sha256, exponent.expose());
        let rejection = hmac::Key::new(Hash::Sha256, &hashed)?;
        crate::crypto::wipe(&mut hashed);
        Ok(PrivateKey { public, evp, rejection })
    }

    fn secret(&self, component: unsafe extern "C" fn(*const ffi::RSA) -> *const ffi::BIGNUM) -> Secret {
        // SAFETY: every key of this type is complete.
        unsafe { secret_bytes(component(self.public.rsa.as_ptr())) }
    }

    /// The private exponent; this and all other components without leading zeros.
    pub fn private_exponent(&self) -> Secret {
        self.secret(ffi::RSA_get0_d)
    }

    /// The first prime.
    pub fn prime_1(&self) -> Secret {
        self.secret(ffi::RSA_get0_p)
    }

    /// The second prime.
    pub fn prime_2(&self) -> Secret {
        self.secret(ffi::RSA_get0_q)
    }

    /// The private exponent modulo `prime_1 - 1`.
    pub fn exponent_1(&self) -> Secret {
        self.secret(ffi::RSA_get0_dmp1)
    }

    /// The private exponent modulo `prime_2 - 1`.
    pub fn exponent_2(&self) -> Secret {
        self.secret(ffi::RSA_get0_dmq1)
    }

    /// The inverse of `prime_2` modulo `prime_1`.
    pub fn coefficient(&self) -> Secret {
        self.secret(ffi::RSA_get0_iqmp)
    }

    /// Whether both primes are prime, but for one composite in 4^[`ROUNDS`] of the worst kind. RSA_check_key, which
    /// every key has passed, does not ask.
    ///
    /// Who imports a key knows all of it, so nothing is won by one that slips through, and damage by accident
    /// does not get this far: the components would not fit each other. What is kept out is a key that works and
    /// whose "primes" are Carmichael numbers or that fails later, and random bases catch either.
    pub fn primes_are_prime(&self) -> Result<bool> {
        let rsa = self.public.rsa.as_ptr();
        let arithmetic = Arithmetic::new()?;
        // SAFETY: every key of this type has its primes, of which copies are made.
        let (p, q) = unsafe {
            (Owned::new(ffi::BN_dup(ffi::RSA_get0_p(rsa)))?, Owned::new(ffi::BN_dup(ffi::RSA_get0_q(rsa)))?)
        };
        if p.bits() < 3 || q.bits() < 3 {
            return Ok(false);
        }
        let (p, q) = (arithmetic.suspect(p)?, arithmetic.suspect(q)?);
        for _ in 0..ROUNDS {
            if arithmetic.round([&p, &q])? != [true; 2] {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// RSASSA-PKCS1-v1_5 of a digest. `out` has `size()` bytes.
    ///
    /// # Errors
    /// CKR_KEY_SIZE_RANGE if the modulus is too short for the hash.
    pub fn sign_digest(&self, hash: Hash, digest: &[u8], out: &mut [u8]) -> Result<()> {
        assert!(out.len() >= self.size() && digest.len() == hash.output_len());
        let mut len = 0;
        let _drawing = drawing();
        // SAFETY: a valid key; `out` has room for a signature.
        let answer = unsafe {
            let nid = ffi::EVP_MD_type(hash.evp_md());
            let (data, data_len) = (digest.as_ptr(), digest.len());
            ffi::RSA_sign(nid, data, data_len, out.as_mut_ptr(), &mut len, self.public.rsa.as_ptr())
        };
        if answer == 1 { Ok(()) } else { fail!(KeySizeRange, "the modulus is too short for {hash:?}") }
    }

    /// RSASSA-PKCS1-v1_5 of data that is a DigestInfo or anything else. `out` has `size()` bytes.
    ///
    /// # Errors
    /// CKR_DATA_LEN_RANGE if `data` is longer than the modulus less 11 bytes.
    pub fn sign_pkcs1(&self, data: &[u8], out: &mut [u8]) -> Result<()> {
        if data.len() + super::PKCS1_OVERHEAD > self.size() {
            fail!(DataLenRange, "{} bytes do not fit under the modulus", data.len());
        }
        match self.raw(data, out, ffi::RSA_PKCS1_PADDING) {
            true => Ok(()),
            false => Err(Rv::FunctionFailed.because("RSA_sign_raw failed")),
        }
    }

    /// RSASSA-PSS of a digest. `out` has `size()` bytes.
    ///
    /// # Errors
    /// CKR_KEY_SIZE_RANGE if the modulus is too short for hash and salt.
    pub fn sign_pss(&self, pss: Pss, digest: &[u8], out: &mut [u8]) -> Result<()> {
        assert!(out.len() >= self.size() && digest.len() == pss.hash.output_len());
        if !pss.fits(self.bits()) {
            fail!(
                KeySizeRange,
                "the modulus is too short for {:?} and {} bytes of salt",
                pss.hash,
                pss.salt_len
            );
        }
        let (mut len, room) = (0, out.len());
        let _drawing = drawing();
        // SAFETY: a valid key; the buffers are valid for their lengths; the salt fits an int since it fits a key.
        let answer = unsafe {
            ffi::RSA_sign_pss_mgf1(
                self.public.rsa.as_ptr(),
                &mut len,
                out.as_mut_ptr(),
                room,
                digest.as_ptr(),
                digest.len(),
                pss.hash.evp_md(),
                pss.mgf.evp_md(),
                pss.salt_len as i32,
            )
        };
        ok(answer, "RSA_sign_pss_mgf1")
    }

    /// `input` to the power of the private exponent, `size()` bytes in and out; false if it is 0, 1 or not
    /// below the modulus less one, for which no one needs a private key.
    pub fn transform_private(&self, input: &[u8], out: &mut [u8]) -> bool {
        input.len() == self.size() && self.raw(input, out, ffi::RSA_NO_PADDING)
    }

    fn raw(&self, input: &[u8], out: &mut [u8], padding: i32) -> bool {
        assert!(out.len() >= self.size());
        let (mut len, room) = (0, out.len());
        let _drawing = drawing();
        // SAFETY: a valid key; the buffers are valid for their lengths.
        unsafe {
            let rsa = self.public.rsa.as_ptr();
            ffi::RSA_sign_raw(rsa, &mut len, out.as_mut_ptr(), room, input.as_ptr(), input.len(), padding)
                == 1
        }
    }

    /// RSAES-PKCS1-v1_5 with implicit rejection: a wrong padding gives a plaintext that only the key's owner
    /// could tell from a right one. It is the same each time and equal to OpenSSL's.
    ///
    /// # Errors
    /// What the ciphertext alone shows: CKR_ENCRYPTED_DATA_LEN_RANGE, CKR_ENCRYPTED_DATA_INVALID.
    pub fn decrypt_pkcs1(&self, ciphertext: &[u8]) -> Result<Secret> {
        let block = self.block(ciphertext)?;
        Ok(pkcs1::decode(block.expose(), &pkcs1::Rejection::new(&self.rejection, ciphertext)?))
    }

    /// The same where the plaintext is known to have `len` bytes: another length counts as a wrong padding,
    /// and the answer always has `len` bytes.
    ///
    /// # Errors
    /// As `decrypt_pkcs1`; CKR_ENCRYPTED_DATA_LEN_RANGE also if no plaintext can have `len` bytes.
    pub fn decrypt_pkcs1_of_len(&self, ciphertext: &[u8], len: usize) -> Result<Secret> {
        if len + super::PKCS1_OVERHEAD > self.size() {
            fail!(EncryptedDataLenRange, "{len} bytes do not fit under the modulus");
        }
        let block = self.block(ciphertext)?;
        Ok(pkcs1::decode_of_len(block.expose(), len, &pkcs1::Rejection::new(&self.rejection, ciphertext)?))
    }

    /// The padded block under a ciphertext.
    fn block(&self, ciphertext: &[u8]) -> Result<Secret> {
        if ciphertext.len() != self.size() {
            fail!(EncryptedDataLenRange, "{} bytes; the modulus has {}", ciphertext.len(), self.size());
        }
        let mut block = Secret::zeroed(self.size());
        match self.transform_private(ciphertext, block.expose_mut()) {
            true => Ok(block),
            false => fail!(EncryptedDataInvalid, "the ciphertext is 0, 1 or not below the modulus"),
        }
    }

    /// RSAES-OAEP.
    ///
    /// # Errors
    /// CKR_ENCRYPTED_DATA_LEN_RANGE; CKR_ENCRYPTED_DATA_INVALID for every other fault.
    pub fn decrypt_oaep(&self, oaep: Oaep<'_>, ciphertext: &[u8]) -> Result<Secret> {
        if ciphertext.len() != self.size() {
            fail!(EncryptedDataLenRange, "{} bytes; the modulus has {}", ciphertext.len(), self.size());
        }
        let mut out = Secret::zeroed(self.size());
        let mut len = out.len();
        let _drawing = drawing();
        // SAFETY: the context lives through the calls and takes the copy of the label; `out` has `len` bytes.
        let answer = unsafe {
            let context = Owned::new(ffi::EVP_PKEY_CTX_new(self.evp.as_ptr(), ptr::null_mut()))?;
            let context = context.as_ptr();
            ok(ffi::EVP_PKEY_decrypt_init(context), "EVP_PKEY_decrypt_init")?;
            ok(ffi::EVP_PKEY_CTX_set_rsa_padding(context, ffi::RSA_PKCS1_OAEP_PADDING), "set_rsa_padding")?;
            ok(ffi::EVP_PKEY_CTX_set_rsa_oaep_md(context, oaep.hash.evp_md()), "set_rsa_oaep_md")?;
            ok(ffi::EVP_PKEY_CTX_set_rsa_mgf1_md(context, oaep.mgf.evp_md()), "set_rsa_mgf1_md")?;
            if !oaep.label.is_empty() {
                let label = ffi::OPENSSL_memdup(oaep.label.as_ptr().cast(), oaep.label.len());
                let answer = ffi::EVP_PKEY_CTX_set0_rsa_oaep_label(context, label.cast(), oaep.label.len());
                if answer != 1 {
                    ffi::OPENSSL_free(label);
                }
                ok(answer, "set0_rsa_oaep_label")?;
            }
            let to = out.expose_mut().as_mut_ptr();
            ffi::EVP_PKEY_decrypt(context, to, &mut len, ciphertext.as_ptr(), ciphertext.len())
        };
        match answer {
            1 => Ok(out.truncated(len)),
            _ => fail!(EncryptedDataInvalid, "RSAES-OAEP: the ciphertext does not decrypt"),
        }
    }
}
