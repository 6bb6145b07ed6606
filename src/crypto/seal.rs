//! Sealing for storage: AES-256-GCM in one piece, and the keys derived for it.

use super::{Hash, InOut, Secret, aes, hmac, random};
use crate::error::{Result, Rv};

const IV: usize = 12;
const TAG: usize = 16;

/// Bytes that sealing adds: IV and tag.
pub const OVERHEAD: usize = IV + TAG;

/// Length of a sealing key in bytes.
pub const KEY: usize = 32;

/// A sealing key, expanded.
pub struct Key(aes::Key);

impl Key {
    /// From [`KEY`] bytes.
    ///
    /// # Errors
    /// CKR_GENERAL_ERROR for another length.
    pub fn new(key: &Secret) -> Result<Key> {
        if key.len() != KEY {
            fail!(GeneralError, "a sealing key has {KEY} bytes");
        }
        aes::Key::new(key.expose()).map(Key)
    }

    /// IV ‖ ciphertext ‖ tag under a fresh random IV.
    ///
    /// # Errors
    /// CKR_DATA_LEN_RANGE beyond what GCM takes.
    pub fn seal(&self, associated: &[u8], plain: &[u8]) -> Result<Vec<u8>> {
        let mut sealed = vec![0; OVERHEAD + plain.len()];
        let (iv, rest) = sealed.split_at_mut(IV);
        let (ciphertext, tag) = rest.split_at_mut(plain.len());
        iv.copy_from_slice(&random::array::<IV>());
        self.0.gcm(TAG)?.seal(iv, associated, InOut::new(plain, ciphertext), tag)?;
        Ok(sealed)
    }

    /// What was sealed.
    ///
    /// # Errors
    /// CKR_AEAD_DECRYPT_FAILED if key, associated data or bytes are not those of the sealing.
    pub fn open(&self, associated: &[u8], sealed: &[u8]) -> Result<Secret> {
        let Some(len) = sealed.len().checked_sub(OVERHEAD) else { fail!(AeadDecryptFailed) };
        let (iv, rest) = sealed.split_at(IV);
        let (ciphertext, tag) = rest.split_at(len);
        let mut plain = Secret::zeroed(len);
        self.0.gcm(TAG)?.open(iv, associated, InOut::new(ciphertext, plain.expose_mut()), tag)?;
        Ok(plain)
    }
}

/// The key that `purpose` gets from `key`: HMAC-SHA256, so none tells another.
///
/// # Errors
/// CKR_GENERAL_ERROR.
pub fn derive(key: &Secret, purpose: &str) -> Result<Secret> {
    Ok(Secret::from_slice(&hmac::Key::new(Hash::Sha256, key.expose())?.mac(purpose.as_bytes())))
}

/// PBKDF2-HMAC-SHA256 (SP 800-132).
///
/// # Errors
/// CKR_GENERAL_ERROR.
pub fn pbkdf2(password: &[u8], salt: &[u8], iterations: u32) -> Result<Secret> {
    let mut key = Secret::zeroed(KEY);
    // SAFETY: all are valid for their lengths.
    let answer = unsafe {
        aws_lc_sys::PKCS5_PBKDF2_HMAC(
            password.as_ptr().cast(),
            password.len(),
            salt.as_ptr(),
            salt.len(),
            iterations,
            aws_lc_sys::EVP_sha256(),
            KEY,
            key.expose_mut().as_mut_ptr(),
        )
    };
    if answer == 1 { Ok(key) } else { Err(Rv::GeneralError.because("PKCS5_PBKDF2_HMAC failed")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_key_data_and_bytes_open() {
        let key = || Key::new(&random::secret(KEY)).unwrap();
        let ours = key();
        let sealed = ours.seal(b"here", b"secret").unwrap();
        assert_eq!(ours.open(b"here", &sealed).unwrap().expose(), b"secret");
        assert!(ours.open(b"there", &sealed).is_err());
        assert!(key().open(b"here", &sealed).is_err());
        for at in 0..sealed.len() {
            let mut forged = sealed.clone();
            forged[at] ^= 1;
            assert!(ours.open(b"here", &forged).is_err());
            assert!(ours.open(b"here", &sealed[..at]).is_err());
        }
    }

    #[test]
    fn pbkdf2_is_that_of_rfc_7914() {
        let key = pbkdf2(b"passwd", b"salt", 1).unwrap();
        assert_eq!(key.expose()[..4], [0x55, 0xac, 0x04, 0x6e]);
    }
}
