//! What ML-DSA and ML-KEM keys have in common: a parameter set, a seed, an expanded form of it, and the calls by which
//! AWS-LC gives their bytes.

use super::Secret;
use super::owned::Owned;
use crate::error::{Result, Rv};
use aws_lc_sys as ffi;
use std::fmt::Debug;
use std::ops::Deref;

/// What the standards' tables say of a parameter set.
pub struct Row {
    /// Contents of the object identifier.
    pub oid: &'static [u8],
    /// Bytes of a public key.
    pub public_len: usize,
    /// Bytes of an expanded private key.
    pub private_len: usize,
    /// Bytes of a signature, or of a ciphertext.
    pub output_len: usize,
    /// AWS-LC's number.
    pub(super) nid: i32,
}

/// A parameter set.
pub trait Parameters: Copy + Eq + Debug + Send + Sync + 'static {
    /// Its row.
    fn row(self) -> &'static Row;
}

/// A public key.
pub trait Public: Sized + Send + Sync + 'static {
    /// Which parameter sets there are.
    type Set: Parameters;

    /// From its bytes.
    ///
    /// # Errors
    /// CKR_PUBLIC_KEY_INVALID.
    fn new(set: Self::Set, bytes: &[u8]) -> Result<Self>;

    /// Its parameter set.
    fn set(&self) -> Self::Set;

    /// Its bytes.
    fn bytes(&self) -> Vec<u8>;
}

/// A private key, with its public key.
pub trait Private: Deref<Target: Public> + Sized + Send + Sync + 'static {
    /// Bytes of the seed that a key is made from.
    const SEED_LEN: usize;

    /// From the seed.
    ///
    /// # Errors
    /// CKR_ATTRIBUTE_VALUE_INVALID for another length.
    fn from_seed(set: SetOf<Self>, seed: &[u8]) -> Result<Self>;

    /// From the expanded form.
    ///
    /// # Errors
    /// CKR_ATTRIBUTE_VALUE_INVALID for another length, for what is out of range, and if its parts do not belong together.
    fn from_expanded(set: SetOf<Self>, expanded: &[u8]) -> Result<Self>;

    /// The seed, if the key was made from one.
    fn seed(&self) -> Option<Secret>;

    /// The expanded form.
    fn expanded(&self) -> Secret;

    /// A new key, which has a seed.
    fn generate(set: SetOf<Self>) -> Result<Self> {
        Self::from_seed(set, super::random::secret(Self::SEED_LEN).expose())
    }
}

/// The parameter sets of a private key.
pub type SetOf<K> = <<K as Deref>::Target as Public>::Set;

/// Judges the length of a public key.
pub(super) fn check_public_len(set: impl Parameters, bytes: &[u8]) -> Result<()> {
    let len = set.row().public_len;
    match bytes.len() == len {
        true => Ok(()),
        false => Err(Rv::PublicKeyInvalid.because(format!("a public key of {set:?} has {len} bytes"))),
    }
}

/// Judges the length of a seed.
pub(super) fn check_seed_len<K: Private>(set: SetOf<K>, seed: &[u8]) -> Result<()> {
    if seed.len() != K::SEED_LEN {
        fail!(AttributeValueInvalid, "CKA_SEED: a seed of {set:?} has {} bytes", K::SEED_LEN);
    }
    Ok(())
}

/// Judges the length of an expanded private key.
pub(super) fn check_private_len(set: impl Parameters, expanded: &[u8]) -> Result<()> {
    let len = set.row().private_len;
    if expanded.len() != len {
        fail!(AttributeValueInvalid, "CKA_VALUE: a private key of {set:?} has {len} bytes");
    }
    Ok(())
}

/// The bytes of a public key.
pub(super) fn public_bytes(set: impl Parameters, key: &Owned<ffi::EVP_PKEY>) -> Vec<u8> {
    let mut out = vec![0; set.row().public_len];
    let mut len = out.len();
    // SAFETY: `out` is as long as the key.
    let answer = unsafe { ffi::EVP_PKEY_get_raw_public_key(key.as_ptr(), out.as_mut_ptr(), &mut len) };
    debug_assert_eq!((answer, len), (1, out.len()));
    out
}

/// The seed of a key that has one.
pub(super) fn seed<K: Private>(key: &Owned<ffi::EVP_PKEY>) -> Option<Secret> {
    let mut out = Secret::zeroed(K::SEED_LEN);
    let mut len = out.len();
    // SAFETY: `out` has room for a seed.
    let answer =
        unsafe { ffi::EVP_PKEY_get_private_seed(key.as_ptr(), out.expose_mut().as_mut_ptr(), &mut len) };
    (answer == 1).then_some(out)
}

/// The expanded form of a private key.
pub(super) fn private_bytes(set: impl Parameters, key: &Owned<ffi::EVP_PKEY>) -> Secret {
    let mut out = Secret::zeroed(set.row().private_len);
    let mut len = out.len();
    // SAFETY: `out` is as long as the key.
    let answer =
        unsafe { ffi::EVP_PKEY_get_raw_private_key(key.as_ptr(), out.expose_mut().as_mut_ptr(), &mut len) };
    debug_assert_eq!((answer, len), (1, out.len()));
    out
}
