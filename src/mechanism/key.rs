//! What a key of each type is made of: one row a class and key type.
//!
//! A row completes and checks the components of a key that comes from outside (C_CreateObject, C_UnwrapKey,
//! a derivation), tells its size, and turns a private key into PKCS#8 and back.

use super::secret;
use crate::crypto::Secret;
use crate::error::Result;
use crate::object::{Attributes, Object};
use cryptoki_sys::*;

/// How keys of one class and type are handled.
pub struct KeyKind {
    /// CKO_PUBLIC_KEY, CKO_PRIVATE_KEY or CKO_SECRET_KEY.
    pub class: CK_OBJECT_CLASS,
    /// CKA_KEY_TYPE.
    pub key_type: CK_KEY_TYPE,
    /// The length in bytes of CKA_VALUE, where the type fixes it: a secret key's.
    pub fixed_len: Option<usize>,
    /// Checks the components in `key` (secret ones among them) and adds those that follow from others:
    /// CKA_VALUE_LEN, CKA_MODULUS_BITS, CKA_PUBLIC_KEY_INFO, CKA_CHECK_VALUE, the CRT parts of an RSA key
    /// that came without. Where the caller gave one that follows, a wrong one is refused.
    pub complete: fn(key: &mut Attributes) -> Result<()>,
    /// The key's size in the unit of its mechanisms' rows.
    pub size: fn(key: &Object) -> Result<usize>,
    /// A private key as PKCS#8 PrivateKeyInfo (DER).
    pub export: Option<fn(key: &Object) -> Result<Secret>>,
    /// The components out of PKCS#8; the key type has been checked against the template by the caller.
    pub import: Option<fn(pkcs8: &[u8]) -> Result<Attributes>>,
}

/// The row of a class and key type.
///
/// # Errors
/// CKR_ATTRIBUTE_VALUE_INVALID: no such keys here.
pub fn kind(class: CK_OBJECT_CLASS, key_type: CK_KEY_TYPE) -> Result<&'static KeyKind> {
    let row =
        ALL.iter().flat_map(|rows| rows.iter()).find(|row| (row.class, row.key_type) == (class, key_type));
    match row {
        Some(row) => Ok(row),
        None => {
            fail!(AttributeValueInvalid, "CKA_KEY_TYPE: {key_type:#x} is not supported for class {class:#x}")
        }
    }
}

static ALL: &[&[KeyKind]] = &[secret::KEYS, ASYMMETRIC];

static ASYMMETRIC: &[KeyKind] = &[];
