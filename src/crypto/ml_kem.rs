//! ML-KEM (FIPS 203).

use super::owned::Owned;
use super::status::ok;
use super::{Secret, random};
use crate::error::{Result, Rv};
use aws_lc_sys as ffi;
use std::ops::Deref;
use std::ptr;

/// Bytes of the seed that a key is made from: d and z.
pub const SEED_LEN: usize = 64;

/// Bytes of a shared secret.
pub const SECRET_LEN: usize = 32;

/// FIPS 203, table 2.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum ParameterSet {
    MlKem512,
    MlKem768,
    MlKem1024,
}

impl ParameterSet {
    /// Every one of them.
    pub const ALL: [ParameterSet; 3] =
        [ParameterSet::MlKem512, ParameterSet::MlKem768, ParameterSet::MlKem1024];

    /// The identifier, the lengths of public key, private key and ciphertext, AWS-LC's number.
    const fn row(self) -> (&'static [u8], usize, usize, usize, i32) {
        match self {
            ParameterSet::MlKem512 => {
                (b"\x60\x86\x48\x01\x65\x03\x04\x04\x01", 800, 1632, 768, ffi::NID_MLKEM512)
            }
            ParameterSet::MlKem768 => {
                (b"\x60\x86\x48\x01\x65\x03\x04\x04\x02", 1184, 2400, 1088, ffi::NID_MLKEM768)
            }
            ParameterSet::MlKem1024 => {
                (b"\x60\x86\x48\x01\x65\x03\x04\x04\x03", 1568, 3168, 1568, ffi::NID_MLKEM1024)
            }
        }
    }

    /// Contents of the object identifier.
    pub const fn oid(self) -> &'static [u8] {
        self.row().0
    }

    /// Bytes of a public key (encapsulation key).
    pub const fn public_len(self) -> usize {
        self.row().1
    }

    /// Bytes of an expanded private key (decapsulation key).
    pub const fn private_len(self) -> usize {
        self.row().2
    }

    /// Bytes of a ciphertext.
    pub const fn ciphertext_len(self) -> usize {
        self.row().3
    }

    const fn nid(self) -> i32 {
        self.row().4
    }
}

/// A public key.
pub struct PublicKey {
    set: ParameterSet,
    key: Owned<ffi::EVP_PKEY>,
}

// SAFETY: the key is only read after construction.
unsafe impl Sync for PublicKey {}

impl PublicKey {
    /// From its bytes.
    ///
    /// # Errors
    /// CKR_PUBLIC_KEY_INVALID for another length and for coefficients beyond the modulus (section 7.2).
    pub fn new(set: ParameterSet, bytes: &[u8]) -> Result<PublicKey> {
        if bytes.len() != set.public_len() {
            return Err(Rv::PublicKeyInvalid
                .because(format!("a public key of {set:?} has {} bytes", set.public_len())));
        }
        // SAFETY: valid for its length; the result is owned by us.
        let key = unsafe {
            Owned::new(ffi::EVP_PKEY_kem_new_raw_public_key(set.nid(), bytes.as_ptr(), bytes.len()))?
        };
        let key = PublicKey { set, key };
        match key.check()? {
            true => Ok(key),
            false => {
                Err(Rv::PublicKeyInvalid.because("the public key's coefficients are beyond the modulus"))
            }
        }
    }

    fn context(&self) -> Result<Owned<ffi::EVP_PKEY_CTX>> {
        // SAFETY: a new object, owned by us, which takes a reference to the key.
        unsafe { Owned::new(ffi::EVP_PKEY_CTX_new(self.key.as_ptr(), ptr::null_mut())) }
    }

    /// The checks of FIPS 203, sections 7.2 and 7.3, on what the key has; of a pair also whether it is one.
    fn check(&self) -> Result<bool> {
        let context = self.context()?;
        // SAFETY: the context lives through the call.
        Ok(unsafe { ffi::EVP_PKEY_public_check(context.as_ptr()) == 1 })
    }

    /// Its parameter set.
    pub fn set(&self) -> ParameterSet {
        self.set
    }

    /// Its bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let mut out = vec![0; self.set.public_len()];
        let mut len = out.len();
        // SAFETY: `out` is as long as the key.
        let answer =
            unsafe { ffi::EVP_PKEY_get_raw_public_key(self.key.as_ptr(), out.as_mut_ptr(), &mut len) };
        debug_assert_eq!((answer, len), (1, out.len()));
        out
    }

    /// A ciphertext and the secret it carries.
    pub fn encapsulate(&self) -> Result<(Vec<u8>, Secret)> {
        let context = self.context()?;
        let (mut ciphertext, mut secret) = (vec![0; self.set.ciphertext_len()], Secret::zeroed(SECRET_LEN));
        let (mut ciphertext_len, mut secret_len) = (ciphertext.len(), secret.len());
        // SAFETY: both buffers are as long as their lengths say.
        let answer = unsafe {
            let to = (ciphertext.as_mut_ptr(), secret.expose_mut().as_mut_ptr());
            ffi::EVP_PKEY_encapsulate(context.as_ptr(), to.0, &mut ciphertext_len, to.1, &mut secret_len)
        };
        ok(answer, "EVP_PKEY_encapsulate")?;
        Ok((ciphertext, secret))
    }
}

/// A private key with its public key.
pub struct PrivateKey(PublicKey);

impl Deref for PrivateKey {
    type Target = PublicKey;
    fn deref(&self) -> &PublicKey {
        &self.0
    }
}

impl PrivateKey {
    /// A new key, which has a seed.
    pub fn generate(set: ParameterSet) -> Result<PrivateKey> {
        PrivateKey::from_seed(set, random::secret(SEED_LEN).expose())
    }

    /// From the seed: d and z, 32 bytes each.
    ///
    /// # Errors
    /// CKR_ATTRIBUTE_VALUE_INVALID for another length than 64 bytes.
    pub fn from_seed(set: ParameterSet, seed: &[u8]) -> Result<PrivateKey> {
        if seed.len() != SEED_LEN {
            fail!(AttributeValueInvalid, "CKA_SEED: a seed of ML-KEM has {SEED_LEN} bytes");
        }
        let mut len = seed.len();
        let mut key = ptr::null_mut();
        // SAFETY: the context lives through the calls; the key that is made is owned by us.
        let key = unsafe {
            let context = Owned::new(ffi::EVP_PKEY_CTX_new_id(ffi::EVP_PKEY_KEM, ptr::null_mut()))?;
            let context = context.as_ptr();
            ok(ffi::EVP_PKEY_CTX_kem_set_params(context, set.nid()), "EVP_PKEY_CTX_kem_set_params")?;
            ok(ffi::EVP_PKEY_keygen_init(context), "EVP_PKEY_keygen_init")?;
            let answer = ffi::EVP_PKEY_keygen_deterministic(context, &mut key, seed.as_ptr(), &mut len);
            ok(answer, "EVP_PKEY_keygen_deterministic")?;
            Owned::new(key)?
        };
        Ok(PrivateKey(PublicKey { set, key }))
    }

    /// From the expanded form (dk of FIPS 203), which holds the public key.
    ///
    /// # Errors
    /// CKR_ATTRIBUTE_VALUE_INVALID for another length and if its parts do not belong together.
    pub fn from_expanded(set: ParameterSet, expanded: &[u8]) -> Result<PrivateKey> {
        if expanded.len() != set.private_len() {
            fail!(
                AttributeValueInvalid,
                "CKA_VALUE: a private key of {set:?} has {} bytes",
                set.private_len()
            );
        }
        // dk is that of the encryption, ek, the hash of ek (32) and z (32).
        let public = &expanded[expanded.len() - 64 - set.public_len()..expanded.len() - 64];
        // SAFETY: both are valid for their lengths; the result is owned by us.
        let key = unsafe {
            let (public, private) = ((public.as_ptr(), public.len()), (expanded.as_ptr(), expanded.len()));
            Owned::new(ffi::EVP_PKEY_kem_new_raw_key(set.nid(), public.0, public.1, private.0, private.1))?
        };
        let key = PublicKey { set, key };
        match key.check()? {
            true => Ok(PrivateKey(key)),
            false => {
                fail!(AttributeValueInvalid, "CKA_VALUE: the private key's parts do not belong together")
            }
        }
    }

    /// The seed, if the key was made from one.
    pub fn seed(&self) -> Option<Secret> {
        let mut out = Secret::zeroed(SEED_LEN);
        let mut len = SEED_LEN;
        // SAFETY: `out` has room for a seed.
        let answer = unsafe {
            ffi::EVP_PKEY_get_private_seed(self.key.as_ptr(), out.expose_mut().as_mut_ptr(), &mut len)
        };
        (answer == 1).then_some(out)
    }

    /// The expanded form.
    pub fn expanded(&self) -> Secret {
        let mut out = Secret::zeroed(self.set.private_len());
        let mut len = out.len();
        // SAFETY: `out` is as long as the key.
        let answer = unsafe {
            ffi::EVP_PKEY_get_raw_private_key(self.key.as_ptr(), out.expose_mut().as_mut_ptr(), &mut len)
        };
        debug_assert_eq!((answer, len), (1, out.len()));
        out
    }

    /// The secret that a ciphertext carries; another one, always the same, if the ciphertext was not made for
    /// this key (implicit rejection).
    ///
    /// # Errors
    /// CKR_ENCRYPTED_DATA_LEN_RANGE.
    pub fn decapsulate(&self, ciphertext: &[u8]) -> Result<Secret> {
        if ciphertext.len() != self.set.ciphertext_len() {
            fail!(
                EncryptedDataLenRange,
                "a ciphertext of {:?} has {} bytes",
                self.set,
                self.set.ciphertext_len()
            );
        }
        let context = self.context()?;
        let mut secret = Secret::zeroed(SECRET_LEN);
        let mut len = SECRET_LEN;
        // SAFETY: the buffers are valid for their lengths.
        let answer = unsafe {
            let to = secret.expose_mut().as_mut_ptr();
            let (from, from_len) = (ciphertext.as_ptr(), ciphertext.len());
            ffi::EVP_PKEY_decapsulate(context.as_ptr(), to, &mut len, from, from_len)
        };
        ok(answer, "EVP_PKEY_decapsulate")?;
        Ok(secret)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_round_trip_and_encapsulate() {
        for set in ParameterSet::ALL {
            let key = PrivateKey::generate(set).unwrap();
            let from_seed = PrivateKey::from_seed(set, key.seed().unwrap().expose()).unwrap();
            let expanded = PrivateKey::from_expanded(set, key.expanded().expose()).unwrap();
            assert_eq!(from_seed.bytes(), key.bytes());
            assert!(expanded.seed().is_none());
            let (mut ciphertext, secret) = PublicKey::new(set, &key.bytes()).unwrap().encapsulate().unwrap();
            assert_eq!(expanded.decapsulate(&ciphertext).unwrap().expose(), secret.expose());
            ciphertext[7] ^= 1;
            assert_ne!(from_seed.decapsulate(&ciphertext).unwrap().expose(), secret.expose());
            assert!(expanded.decapsulate(&ciphertext[1..]).is_err());
        }
    }

    #[test]
    fn keys_with_a_fault_are_refused() {
        for set in ParameterSet::ALL {
            let key = PrivateKey::generate(set).unwrap();
            assert!(PublicKey::new(set, &vec![0xff; set.public_len()]).is_err());
            let mut expanded = key.expanded();
            let hash = set.private_len() - 64;
            expanded.expose_mut()[hash] ^= 1;
            assert!(PrivateKey::from_expanded(set, expanded.expose()).is_err());
        }
    }
}
