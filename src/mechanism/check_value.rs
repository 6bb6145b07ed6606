//! What every asymmetric key tells about itself: CKA_PUBLIC_KEY_INFO and CKA_CHECK_VALUE (section 4.8).

use crate::crypto::{Hash, digest};
use crate::error::Result;
use crate::object::{AttributeType, Attributes, Value, attribute};
use cryptoki_sys::*;

/// Puts in an attribute that follows from others.
///
/// # Errors
/// CKR_ATTRIBUTE_VALUE_INVALID if the caller gave another value for it.
pub(super) fn follows(key: &mut Attributes, attribute: AttributeType, value: impl Into<Value>) -> Result<()> {
    let value = value.into();
    match key.value(attribute) {
        Some(given) if *given != value => {
            fail!(
                AttributeValueInvalid,
                "{} contradicts the key's other components",
                attribute::name(attribute)
            )
        }
        Some(_) => {}
        None => key.set(attribute, value),
    }
    Ok(())
}

/// Puts in the SubjectPublicKeyInfo of a key of either half, and the check value: the first three bytes of
/// its SHA-1. A caller who gave an empty check value wants none, and gets none.
///
/// # Errors
/// As [`follows`].
pub(super) fn identify(key: &mut Attributes, public_key_info: Vec<u8>) -> Result<()> {
    if key.bytes(CKA_CHECK_VALUE) != Some(&[]) {
        let check_value = &digest::digest(Hash::Sha1, &public_key_info)[..3];
        follows(key, CKA_CHECK_VALUE, check_value)?;
    }
    follows(key, CKA_PUBLIC_KEY_INFO, public_key_info)
}
