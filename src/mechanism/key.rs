//! What a key of each type is made of: one row a class and key type.
//!
//! A row completes and checks the components of a key that comes from outside (C_CreateObject, C_UnwrapKey,
//! a derivation), tells its size, and turns a private key into PKCS#8 and back.

use super::{ec, edwards, ml_dsa, ml_kem, rsa, secret};
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

static ALL: &[&[KeyKind]] = &[secret::KEYS, rsa::KEYS, ec::KEYS, edwards::KEYS, ml_dsa::KEYS, ml_kem::KEYS];

/// A key's security strength in bits (SP 800-57 part 1, table 2), for comparing a wrapping key with its payload.
///
/// # Errors
/// CKR_KEY_TYPE_INCONSISTENT.
pub fn strength(key: &Object) -> Result<usize> {
    let key_type = key.key_type().unwrap_or(CK_UNAVAILABLE_INFORMATION);
    let size = (kind(key.class(), key_type)?.size)(key)?;
    Ok(match key_type {
        CKK_RSA => match size {
            0..1024 => 0,
            1024..2048 => 80,
            2048..3072 => 112,
            3072..7680 => 128,
            7680..15360 => 192,
            _ => 256,
        },
        CKK_EC | CKK_EC_EDWARDS | CKK_EC_MONTGOMERY => size / 2,
        CKK_DES2 => 80,
        CKK_DES3 => 112,
        CKK_ML_KEM => match size {
            800 => 128,
            1184 => 192,
            _ => 256,
        },
        CKK_ML_DSA => match size {
            1312 => 128,
            1952 => 192,
            _ => 256,
        },
        _ => (8 * size).min(256),
    })
}
