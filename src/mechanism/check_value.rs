//! What every asymmetric key tells about itself: CKA_PUBLIC_KEY_INFO and CKA_CHECK_VALUE (section 4.8).

use crate::crypto::{Hash, digest};
use crate::error::Result;
use crate::object::{AttributeType, Attributes, Follows, Value, attribute};
use cryptoki_sys::*;

/// Puts in an attribute that follows from others.
///
/// # Errors
/// CKR_ATTRIBUTE_VALUE_INVALID if the caller gave another value for it.
#[inline(always)]
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

/// What both halves of a key pair tell about it: the SubjectPublicKeyInfo, and the check value, the first three bytes of
/// its SHA-1. Each is computed when it is first asked for.
pub(super) struct Identity {
    public_key_info: Follows,
    check_value: Follows,
}

impl Identity {
    /// By what gives the SubjectPublicKeyInfo.
    pub(super) fn new(public_key_info: impl Fn() -> Vec<u8> + Send + Sync + 'static) -> Identity {
        let public_key_info = Follows::new(public_key_info);
        let info = public_key_info.clone();
        let check_value = Follows::new(move || digest::digest(Hash::Sha1, info.bytes())[..3].to_vec());
        Identity { public_key_info, check_value }
    }

    /// By the SubjectPublicKeyInfo itself.
    pub(super) fn of(public_key_info: Vec<u8>) -> Identity {
        Identity::new(move || public_key_info.clone())
    }

    /// Puts both into one half. A caller who gave an empty check value wants none, and gets none.
    ///
    /// # Errors
    /// As [`follows`].
    pub(super) fn mark(&self, key: &mut Attributes) -> Result<()> {
        if !key.value(CKA_CHECK_VALUE).is_some_and(Value::is_empty) {
            follows(key, CKA_CHECK_VALUE, self.check_value.clone())?;
        }
        follows(key, CKA_PUBLIC_KEY_INFO, self.public_key_info.clone())
    }
}
