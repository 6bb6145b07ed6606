//! ML-KEM (FIPS 203).

use super::owned::Owned;
use super::seeded::*;
use super::status::{ok, wiping_stack_of};
use super::{Secret, random};
use crate::error::{Result, Rv};
use crate::kernel::ml_kem as kernel;
use aws_lc_sys as ffi;
use std::ops::Deref;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Bytes of a shared secret.
pub const SECRET_LEN: usize = 32;

/// Bytes of what is encrypted in an encapsulation (m).
const MESSAGE_LEN: usize = 32;

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

    /// Bytes of a ciphertext.
    pub fn ciphertext_len(self) -> usize {
        self.row().output_len
    }

    const fn size(self) -> kernel::Size {
        match self {
            ParameterSet::MlKem512 => kernel::Size::K2,
            ParameterSet::MlKem768 => kernel::Size::K3,
            ParameterSet::MlKem1024 => kernel::Size::K4,
        }
    }
}

impl Parameters for ParameterSet {
    fn row(self) -> &'static Row {
        match self {
            ParameterSet::MlKem512 => &Row {
                oid: b"\x60\x86\x48\x01\x65\x03\x04\x04\x01",
                public_len: 800,
                private_len: 1632,
                output_len: 768,
                nid: ffi::NID_MLKEM512,
            },
            ParameterSet::MlKem768 => &Row {
                oid: b"\x60\x86\x48\x01\x65\x03\x04\x04\x02",
                public_len: 1184,
                private_len: 2400,
                output_len: 1088,
                nid: ffi::NID_MLKEM768,
            },
            ParameterSet::MlKem1024 => &Row {
                oid: b"\x60\x86\x48\x01\x65\x03\x04\x04\x03",
                public_len: 1568,
                private_len: 3168,
                output_len: 1568,
                nid: ffi::NID_MLKEM1024,
            },
        }
    }
}

/// A public key.
pub struct PublicKey {
    set: ParameterSet,
    key: Owned<ffi::EVP_PKEY>,
    expanded: Expanded<kernel::PublicKey>,
}

// SAFETY: the key is only read after construction.
unsafe impl Sync for PublicKey {}

impl Public for PublicKey {
    type Set = ParameterSet;

    /// One with coefficients beyond the modulus is refused (FIPS 203, section 7.2).
    fn new(set: ParameterSet, bytes: &[u8]) -> Result<PublicKey> {
        check_public_len(set, bytes)?;
        // SAFETY: valid for its length; the result is owned by us.
        let key = unsafe {
            Owned::new(ffi::EVP_PKEY_kem_new_raw_public_key(set.row().nid, bytes.as_ptr(), bytes.len()))?
        };
        let key = PublicKey { set, key, expanded: Expanded::none() };
        match key.check()? {
            true => Ok(key),
            false => {
                Err(Rv::PublicKeyInvalid.because("the public key's coefficients are beyond the modulus"))
            }
        }
    }

    fn set(&self) -> ParameterSet {
        self.set
    }

    fn bytes(&self) -> Vec<u8> {
        public_bytes(self.set, &self.key)
    }
}

impl PublicKey {
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

    /// A ciphertext and the secret it carries.
    pub fn encapsulate(&self) -> Result<(Vec<u8>, Secret)> {
        let message = random::secret(MESSAGE_LEN);
        self.encapsulate_for(message.expose().try_into().expect("so many bytes"))
    }

    /// The same for the random bytes that it begins with.
    fn encapsulate_for(&self, message: &[u8; MESSAGE_LEN]) -> Result<(Vec<u8>, Secret)> {
        let expand = || kernel::PublicKey::new(self.set.size(), &self.bytes());
        let Some(key) = self.expanded.after_uses(expand) else {
            return self.encapsulate_by_aws_lc(message);
        };
        let (mut ciphertext, mut secret) = (vec![0; self.set.ciphertext_len()], Secret::zeroed(SECRET_LEN));
        let to = secret.expose_mut().try_into().expect("so many bytes");
        wiping_stack_of::<{ kernel::DEPTH }, _>(|| key.encapsulate(message, &mut ciphertext, to));
        Ok((ciphertext, secret))
    }

    fn encapsulate_by_aws_lc(&self, message: &[u8; MESSAGE_LEN]) -> Result<(Vec<u8>, Secret)> {
        let context = self.context()?;
        let (mut ciphertext, mut secret) = (vec![0; self.set.ciphertext_len()], Secret::zeroed(SECRET_LEN));
        let (mut ciphertext_len, mut secret_len) = (ciphertext.len(), secret.len());
        let mut message_len = message.len();
        // SAFETY: the buffers are valid for their lengths.
        let answer = unsafe {
            ffi::EVP_PKEY_encapsulate_deterministic(
                context.as_ptr(),
                ciphertext.as_mut_ptr(),
                &mut ciphertext_len,
                secret.expose_mut().as_mut_ptr(),
                &mut secret_len,
                message.as_ptr(),
                &mut message_len,
            )
        };
        ok(answer, "EVP_PKEY_encapsulate_deterministic")?;
        Ok((ciphertext, secret))
    }
}

/// The kernel's form of a key, from the use on that pays for making it.
struct Expanded<T> {
    key: OnceLock<T>,
    uses: AtomicU32,
}

impl<T> Expanded<T> {
    const fn none() -> Expanded<T> {
        Expanded { key: OnceLock::new(), uses: AtomicU32::new(0) }
    }

    /// Counts a use, as long as there is no such form.
    fn after_uses(&self, expand: impl FnOnce() -> T) -> Option<&T> {
        if let Some(key) = self.key.get() {
            return Some(key);
        }
        let pays = kernel::pays_from()?;
        let uses = self.uses.fetch_add(1, Ordering::Relaxed) + 1;
        (uses >= pays).then(|| self.key.get_or_init(expand))
    }
}

/// A private key with its public key.
pub struct PrivateKey {
    public: PublicKey,
    expanded: Expanded<kernel::PrivateKey>,
}

impl From<PublicKey> for PrivateKey {
    /// Of a key that has its private half.
    fn from(public: PublicKey) -> PrivateKey {
        PrivateKey { public, expanded: Expanded::none() }
    }
}

impl Deref for PrivateKey {
    type Target = PublicKey;
    fn deref(&self) -> &PublicKey {
        &self.public
    }
}

impl Private for PrivateKey {
    /// d and z, 32 bytes each.
    const SEED_LEN: usize = 64;

    fn from_seed(set: ParameterSet, seed: &[u8]) -> Result<PrivateKey> {
        check_seed_len::<PrivateKey>(set, seed)?;
        let mut len = seed.len();
        let mut key = ptr::null_mut();
        // SAFETY: the context lives through the calls; the key that is made is owned by us.
        let key = unsafe {
            let context = Owned::new(ffi::EVP_PKEY_CTX_new_id(ffi::EVP_PKEY_KEM, ptr::null_mut()))?;
            let context = context.as_ptr();
            ok(ffi::EVP_PKEY_CTX_kem_set_params(context, set.row().nid), "EVP_PKEY_CTX_kem_set_params")?;
            ok(ffi::EVP_PKEY_keygen_init(context), "EVP_PKEY_keygen_init")?;
            let answer = ffi::EVP_PKEY_keygen_deterministic(context, &mut key, seed.as_ptr(), &mut len);
            ok(answer, "EVP_PKEY_keygen_deterministic")?;
            Owned::new(key)?
        };
        Ok(PublicKey { set, key, expanded: Expanded::none() }.into())
    }

    /// The expanded form is dk of FIPS 203, which holds the public key.
    fn from_expanded(set: ParameterSet, expanded: &[u8]) -> Result<PrivateKey> {
        check_private_len(set, expanded)?;
        let &Row { public_len, nid, .. } = set.row();
        // dk is that of the encryption, ek, the hash of ek (32) and z (32).
        let public = &expanded[expanded.len() - 64 - public_len..expanded.len() - 64];
        // SAFETY: both are valid for their lengths; the result is owned by us.
        let key = unsafe {
            let (public, private) = ((public.as_ptr(), public.len()), (expanded.as_ptr(), expanded.len()));
            Owned::new(ffi::EVP_PKEY_kem_new_raw_key(nid, public.0, public.1, private.0, private.1))?
        };
        let key = PublicKey { set, key, expanded: Expanded::none() };
        match key.check()? {
            true => Ok(key.into()),
            false => {
                fail!(AttributeValueInvalid, "CKA_VALUE: the private key's parts do not belong together")
            }
        }
    }

    fn seed(&self) -> Option<Secret> {
        seed::<PrivateKey>(&self.key)
    }

    fn expanded(&self) -> Secret {
        private_bytes(self.set, &self.key)
    }
}

impl PrivateKey {
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
        let expand = || {
            let expanded = self.expanded();
            wiping_stack_of::<{ kernel::DEPTH }, _>(|| {
                kernel::PrivateKey::new(self.set.size(), expanded.expose())
            })
        };
        let Some(key) = self.expanded.after_uses(expand) else {
            return self.decapsulate_by_aws_lc(ciphertext);
        };
        let mut secret = Secret::zeroed(SECRET_LEN);
        let to = secret.expose_mut().try_into().expect("so many bytes");
        wiping_stack_of::<{ kernel::DEPTH }, _>(|| key.decapsulate(ciphertext, to));
        Ok(secret)
    }

    fn decapsulate_by_aws_lc(&self, ciphertext: &[u8]) -> Result<Secret> {
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
    use crate::kernel::cpu;

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

    /// In every way of the kernel: ciphertexts as they are, with a bit changed, and of nothing but noise. COFFER_LONG=1
    /// takes a million.
    #[test]
    fn the_kernel_and_aws_lc_agree() {
        let keys = if std::env::var_os("COFFER_LONG").is_some() { 60_000 } else { 20 };
        for (set, _) in ParameterSet::ALL.into_iter().cycle().zip(0..keys) {
            let key = PrivateKey::generate(set).unwrap();
            for without in [&[][..], &["avx512"], &["avx2"]] {
                cpu::without(without, || {
                    let ours = kernel::PrivateKey::new(set.size(), key.expanded().expose());
                    let open = |ciphertext: &[u8]| {
                        let mut secret = [0; SECRET_LEN];
                        ours.decapsulate(ciphertext, &mut secret);
                        let expected = key.decapsulate_by_aws_lc(ciphertext).unwrap();
                        assert_eq!(secret, expected.expose(), "{set:?} without {without:?}");
                        secret
                    };
                    for _ in 0..4 {
                        let message = random::array();
                        let (mut ciphertext, mut secret) = (vec![0; set.ciphertext_len()], [0; SECRET_LEN]);
                        ours.public().encapsulate(&message, &mut ciphertext, &mut secret);
                        let expected = key.encapsulate_by_aws_lc(&message).unwrap();
                        assert_eq!(ciphertext, expected.0, "{set:?} without {without:?}");
                        assert_eq!(secret, expected.1.expose(), "{set:?} without {without:?}");
                        assert_eq!(open(&ciphertext), secret);
                        let (at, bit) =
                            (usize::from(message[0]) | usize::from(message[1]) << 8, message[2] % 8);
                        let len = ciphertext.len();
                        ciphertext[at % len] ^= 1 << bit;
                        assert_ne!(open(&ciphertext), secret);
                        open(random::secret(len).expose());
                    }
                });
            }
        }
    }

    /// Before a key is worth expanding, and after it.
    #[test]
    fn each_use_of_a_key_gives_the_same() {
        for without in [&[][..], &["avx512"], &["avx2"]] {
            cpu::without(without, || {
                let key = PrivateKey::generate(ParameterSet::MlKem768).unwrap();
                let message = random::array();
                let (ciphertext, secret) = key.encapsulate_for(&message).unwrap();
                for _ in 0..4 {
                    assert_eq!(key.encapsulate_for(&message).unwrap().0, ciphertext);
                    assert_eq!(key.decapsulate(&ciphertext).unwrap().expose(), secret.expose());
                }
                let from = kernel::pays_from();
                assert_eq!(key.expanded.key.get().is_some(), from.is_some_and(|from| from <= 4));
            });
        }
    }

    #[test]
    fn keys_with_a_fault_are_refused() {
        for set in ParameterSet::ALL {
            let key = PrivateKey::generate(set).unwrap();
            assert!(PublicKey::new(set, &vec![0xff; set.row().public_len]).is_err());
            let mut expanded = key.expanded();
            let hash = set.row().private_len - 64;
            expanded.expose_mut()[hash] ^= 1;
            assert!(PrivateKey::from_expanded(set, expanded.expose()).is_err());
        }
    }
}
