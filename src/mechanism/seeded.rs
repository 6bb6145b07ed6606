//! What ML-DSA and ML-KEM keys have in common: a seed, an expanded form of it, and the three ways in which
//! PKCS#8 holds them (RFC 9881, section 6; RFC 9935, section 6).

use super::check_value::follows;
use super::pkcs8::{self, malformed};
use crate::crypto::Secret;
use crate::crypto::encoding::{Algorithm, Der, Reader, tag};
use crate::error::Result;
use crate::object::Attributes;
use cryptoki_sys::*;

/// The seed where there is one, the expanded key where there is none.
pub(super) fn export(oid: &[u8], seed: Option<Secret>, expanded: &Secret) -> Secret {
    let key = match &seed {
        Some(seed) => Der::Bytes(tag::context(0), seed.expose()),
        None => Der::Bytes(tag::OCTET_STRING, expanded.expose()),
    };
    pkcs8::write(Algorithm::new(oid), key)
}

/// CKA_SEED, CKA_VALUE or both.
pub(super) fn import(oid: &[u8], pkcs8: &[u8]) -> Result<Attributes> {
    let (parameters, key) = pkcs8::read(pkcs8, oid)?;
    let mut attributes = Attributes::new();
    let mut read = || {
        parameters.is_empty().then_some(())?;
        let mut reader = Reader::new(key);
        match reader.any()? {
            (tag, seed) if tag == tag::context(0) => attributes.set(CKA_SEED, Secret::from_slice(seed)),
            (tag::OCTET_STRING, value) => attributes.set(CKA_VALUE, Secret::from_slice(value)),
            (tag::SEQUENCE, both) => {
                let mut both = Reader::new(both);
                attributes.set(CKA_SEED, Secret::from_slice(both.read(tag::OCTET_STRING)?));
                attributes.set(CKA_VALUE, Secret::from_slice(both.read(tag::OCTET_STRING)?));
                both.end()?;
            }
            _ => return None,
        }
        reader.end()
    };
    match read() {
        Some(()) => Ok(attributes),
        None => Err(malformed()),
    }
}

/// Makes a key of the seed, or else of the expanded form.
///
/// # Errors
/// CKR_TEMPLATE_INCOMPLETE if neither is there.
pub(super) fn parse<K>(
    key: &Attributes,
    from_seed: impl FnOnce(&[u8]) -> Result<K>,
    from_expanded: impl FnOnce(&[u8]) -> Result<K>,
) -> Result<K> {
    match key.bytes(CKA_SEED) {
        Some(seed) if !seed.is_empty() => from_seed(seed),
        _ => from_expanded(key.need_bytes(CKA_VALUE)?),
    }
}

/// Puts in the expanded form; one that is there must be this one.
pub(super) fn complete(key: &mut Attributes, expanded: Secret) -> Result<()> {
    follows(key, CKA_VALUE, expanded)
}
