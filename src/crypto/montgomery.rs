//! X25519 (RFC 7748): keys by AWS-LC, shared secrets by a kernel where the processor has AVX-512 IFMA.

use super::Secret;
use super::random::drawing;
use super::status::wiping_stack_of;
use crate::error::{Result, Rv};
use crate::kernel::x25519 as kernel;
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
        let to = shared.expose_mut().try_into().expect("so many bytes");
        match peer.try_into() {
            Ok(peer) if self.multiply(peer, to) => Ok(shared),
            _ => Err(Rv::PublicKeyInvalid.because("the peer's key is no X25519 key or of small order")),
        }
    }

    /// Writes the shared secret, and tells whether it is not zero.
    fn multiply(&self, peer: &[u8; KEY_LEN], shared: &mut [u8; KEY_LEN]) -> bool {
        let Some(agree) = kernel::agree() else { return self.multiply_by_aws_lc(peer, shared) };
        let scalar = self.value.expose().try_into().expect("so many bytes");
        wiping_stack_of::<{ kernel::DEPTH }, _>(|| agree(shared, scalar, peer));
        shared.iter().fold(0, |all, byte| all | byte) != 0
    }

    fn multiply_by_aws_lc(&self, peer: &[u8; KEY_LEN], shared: &mut [u8; KEY_LEN]) -> bool {
        // SAFETY: all three have the fixed length.
        unsafe { ffi::X25519(shared.as_mut_ptr(), self.value.expose().as_ptr(), peer.as_ptr()) == 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::random;

    /// COFFER_LONG=1 takes a million.
    #[test]
    fn the_kernel_and_aws_lc_agree() {
        let pairs = if std::env::var_os("COFFER_LONG").is_some() { 1_000_000 } else { 5000 };
        for pair in 0..pairs {
            let key = PrivateKey { public: [0; KEY_LEN], value: random::secret(KEY_LEN) };
            let mut peer: [u8; KEY_LEN] = random::array();
            // Some of them few bits, or all but few.
            match pair % 16 {
                0 => peer[1..31].fill(0),
                1 => peer[1..].fill(0xFF),
                _ => {}
            }
            let (mut ours, mut expected) = ([0; KEY_LEN], [0; KEY_LEN]);
            let agreed = key.multiply(&peer, &mut ours);
            assert_eq!(agreed, key.multiply_by_aws_lc(&peer, &mut expected), "{peer:x?}");
            assert_eq!(ours, expected, "{peer:x?}");
        }
    }

    #[test]
    fn a_peer_of_small_order_or_of_another_length_is_refused() {
        let key = PrivateKey::generate();
        let mut one = [0; KEY_LEN];
        for without in [&[][..], &["ifma"]] {
            crate::kernel::cpu::without(without, || {
                one[0] = 1;
                assert!(key.agree(&[0; KEY_LEN]).is_err() && key.agree(&one).is_err());
                one[0] = 9;
                assert!(key.agree(&one).is_ok_and(|shared| shared.expose() == key.public()));
                assert!(key.agree(&one[1..]).is_err() && key.agree(&[9; KEY_LEN + 1]).is_err());
            });
        }
    }
}
