//! X25519 (RFC 7748).

use super::Secret;
use super::random::drawing;
use crate::error::{Result, Rv};
use aws_lc_sys as ffi;

/// Bytes of a private key, a public key and a shared secret.
pub const KEY_LEN: usize = 32;

/// A private key with its public key.
pub struct PrivateKey {
    public: [u8; KEY_LEN],
    value: Secret,
}

impl PrivateKey {
    /// A new key.
    pub fn generate() -> PrivateKey {
        let mut public = [0; KEY_LEN];
        let mut value = Secret::zeroed(KEY_LEN);
        let _drawing = drawing();
        // SAFETY: both have the fixed length.
        unsafe { ffi::X25519_keypair(public.as_mut_ptr(), value.expose_mut().as_mut_ptr()) };
        PrivateKey { public, value }
    }

    /// From its 32 bytes; any are a key (RFC 7748, section 5).
    ///
    /// # Errors
    /// CKR_ATTRIBUTE_VALUE_INVALID for another length.
    pub fn new(value: &[u8]) -> Result<PrivateKey> {
        if value.len() != KEY_LEN {
            fail!(AttributeValueInvalid, "CKA_VALUE: an X25519 private key has 32 bytes");
        }
        let mut public = [0; KEY_LEN];
        // SAFETY: both have the fixed length.
        unsafe { ffi::X25519_public_from_private(public.as_mut_ptr(), value.as_ptr()) };
        Ok(PrivateKey { public, value: Secret::from_slice(value) })
    }

    /// The public key.
    pub fn public(&self) -> &[u8; KEY_LEN] {
        &self.public
    }

    /// The private key's bytes.
    pub fn value(&self) -> Secret {
        self.value.duplicate()
    }

    /// The shared secret.
    ///
    /// # Errors
    /// CKR_PUBLIC_KEY_INVALID for a peer of another length than 32 bytes or of small order.
    pub fn agree(&self, peer: &[u8]) -> Result<Secret> {
        let mut shared = Secret::zeroed(KEY_LEN);
        // SAFETY: all three have the fixed length.
        let agreed = peer.len() == KEY_LEN
            && unsafe {
                ffi::X25519(shared.expose_mut().as_mut_ptr(), self.value.expose().as_ptr(), peer.as_ptr())
                    == 1
            };
        match agreed {
            true => Ok(shared),
            false => Err(Rv::PublicKeyInvalid.because("the peer's key is no X25519 key or of small order")),
        }
    }
}
