//! Ed25519 in its three variants (RFC 8032).

use super::{Secret, random};
use crate::error::{Result, Rv};
use aws_lc_sys as ffi;
use std::ops::Deref;

/// Bytes of a private key (its seed) and of a public key.
pub const KEY_LEN: usize = 32;

/// Bytes of a signature.
pub const SIGNATURE_LEN: usize = 64;

/// Most bytes of context.
pub const MAX_CONTEXT: usize = 255;

/// The variant of RFC 8032, section 5.1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Variant<'a> {
    /// Ed25519 itself.
    Pure,
    /// Ed25519ctx, with a context that is not empty.
    Context(&'a [u8]),
    /// Ed25519ph, with a context that may be empty; what is signed is the message's SHA-512.
    Prehash(&'a [u8]),
}

/// A public key. Whether it is a point of the curve shows at verification, which then fails.
pub struct PublicKey([u8; KEY_LEN]);

impl PublicKey {
    /// From its 32 bytes.
    ///
    /// # Errors
    /// CKR_PUBLIC_KEY_INVALID for another length.
    pub fn new(bytes: &[u8]) -> Result<PublicKey> {
        match bytes.try_into() {
            Ok(bytes) => Ok(PublicKey(bytes)),
            Err(_) => Err(Rv::PublicKeyInvalid.because("an Ed25519 public key has 32 bytes")),
        }
    }

    /// The 32 bytes of RFC 8032.
    pub fn bytes(&self) -> &[u8; KEY_LEN] {
        &self.0
    }

    /// Whether `signature` is that of a message (for `Prehash`: of the message's digest).
    pub fn verify(&self, variant: Variant<'_>, message: &[u8], signature: &[u8; SIGNATURE_LEN]) -> bool {
        let (data, len, signature, key) =
            (message.as_ptr(), message.len(), signature.as_ptr(), self.0.as_ptr());
        // SAFETY: all buffers are valid for the lengths that are given or fixed.
        let answer = unsafe {
            match variant {
                Variant::Pure => ffi::ED25519_verify(data, len, signature, key),
                Variant::Context(context) => {
                    ffi::ED25519ctx_verify(data, len, signature, key, context.as_ptr(), context.len())
                }
                Variant::Prehash(context) => {
                    assert_eq!(len, 64);
                    ffi::ED25519ph_verify_digest(data, signature, key, context.as_ptr(), context.len())
                }
            }
        };
        answer == 1
    }
}

/// A private key with its public key.
pub struct PrivateKey {
    public: PublicKey,
    /// Seed and public key, as AWS-LC wants them.
    pair: Secret,
}

impl Deref for PrivateKey {
    type Target = PublicKey;
    fn deref(&self) -> &PublicKey {
        &self.public
    }
}

impl PrivateKey {
    /// A new key.
    pub fn generate() -> PrivateKey {
        PrivateKey::from_seed(random::secret(KEY_LEN).expose().try_into().expect("32 bytes"))
    }

    /// From the 32 bytes that RFC 8032 calls the private key.
    ///
    /// # Errors
    /// CKR_ATTRIBUTE_VALUE_INVALID for another length.
    pub fn new(seed: &[u8]) -> Result<PrivateKey> {
        match seed.try_into() {
            Ok(seed) => Ok(PrivateKey::from_seed(seed)),
            Err(_) => fail!(AttributeValueInvalid, "CKA_VALUE: an Ed25519 private key has 32 bytes"),
        }
    }

    fn from_seed(seed: &[u8; KEY_LEN]) -> PrivateKey {
        let mut public = [0; KEY_LEN];
        let mut pair = Secret::zeroed(64);
        // SAFETY: all three have the fixed lengths of the function.
        unsafe {
            let (public, pair) = (public.as_mut_ptr(), pair.expose_mut().as_mut_ptr());
            ffi::ED25519_keypair_from_seed(public, pair, seed.as_ptr());
        }
        PrivateKey { public: PublicKey(public), pair }
    }

    /// The 32 bytes that RFC 8032 calls the private key.
    pub fn seed(&self) -> Secret {
        Secret::from_slice(&self.pair.expose()[..KEY_LEN])
    }

    /// The signature of a message (for `Prehash`: of the message's digest).
    ///
    /// # Errors
    /// CKR_GENERAL_ERROR only.
    pub fn sign(&self, variant: Variant<'_>, message: &[u8], out: &mut [u8; SIGNATURE_LEN]) -> Result<()> {
        let (to, data, len, key) =
            (out.as_mut_ptr(), message.as_ptr(), message.len(), self.pair.expose().as_ptr());
        // SAFETY: all buffers are valid for the lengths that are given or fixed.
        let answer = unsafe {
            match variant {
                Variant::Pure => ffi::ED25519_sign(to, data, len, key),
                Variant::Context(context) => {
                    ffi::ED25519ctx_sign(to, data, len, key, context.as_ptr(), context.len())
                }
                Variant::Prehash(context) => {
                    assert_eq!(len, 64);
                    ffi::ED25519ph_sign_digest(to, data, key, context.as_ptr(), context.len())
                }
            }
        };
        super::status::ok(answer, "ED25519_sign")
    }
}
