//! CKM_ECDH1_DERIVE and CKM_ECDH1_COFACTOR_DERIVE (sections 6.3.18 and 6.3.19) over both forms of curves. All
//! of them are used with cofactor 1, or with a multiple of the cofactor as private value, so the two agree.

use super::params::EcdhKdf;
use super::{Derive, OtherKey, Params, Wanted, ec, edwards, wrong_shape};
use crate::crypto::{Secret, kdf};
use crate::error::{Result, Rv};
use crate::object::Object;
use cryptoki_sys::*;

/// Key agreement, then the key derivation function that the parameter names.
pub struct Ecdh;

impl Derive for Ecdh {
    fn derive(&self, base: &Object, params: Params, wanted: Wanted, _: OtherKey<'_>) -> Result<Secret> {
        let Params::Ecdh { kdf, shared_info, peer } = params else { return Err(wrong_shape()) };
        if kdf == EcdhKdf::Null && !shared_info.is_empty() {
            fail!(MechanismParamInvalid, "pSharedData must be empty with CKD_NULL");
        }
        let shared = agree(base, &peer)?;
        match (kdf, wanted.len) {
            (EcdhKdf::Null, len) => truncate(shared, len),
            (_, None) => fail!(TemplateIncomplete, "CKA_VALUE_LEN is needed with this kdf"),
            (EcdhKdf::X963(hash), Some(len)) => kdf::x963(hash, shared.expose(), &shared_info, len),
            (EcdhKdf::Sp800(hash), Some(len)) => kdf::sp800_56c(hash, shared.expose(), &shared_info, len),
        }
    }
}

/// The shared secret. A peer's key is wrong in one way only, so that no one learns in which.
fn agree(base: &Object, peer: &[u8]) -> Result<Secret> {
    let shared = match base.key_type() {
        Some(CKK_EC) => {
            let key = ec::private(base)?;
            key.agree(key.curve().bare_point(peer).unwrap_or(&[]))
        }
        Some(CKK_EC_MONTGOMERY) => edwards::x25519(base)?.agree(edwards::bare(peer)),
        _ => fail!(KeyTypeInconsistent, "ECDH needs a key of CKK_EC or CKK_EC_MONTGOMERY"),
    };
    shared.map_err(|error| match error.rv() {
        Rv::PublicKeyInvalid => error.recode(Rv::MechanismParamInvalid).within("pPublicData"),
        _ => error,
    })
}

/// Without a derivation function bytes are taken off the front (section 6.3.18).
fn truncate(shared: Secret, len: Option<usize>) -> Result<Secret> {
    let Some(len) = len else { return Ok(shared) };
    match shared.len().checked_sub(len) {
        Some(0) => Ok(shared),
        Some(front) => Ok(Secret::from_slice(&shared.expose()[front..])),
        None => fail!(KeySizeRange, "{len} bytes are wanted, the shared secret has {}", shared.len()),
    }
}
