//! What a fips token refuses: SP 800-131A revision 2, SP 800-140C, SP 800-56A revision 3, FIPS 186-5.

use super::policy::Use;
use crate::crypto::Hash;
use crate::crypto::encoding::significant;
use crate::error::Result;
use crate::mechanism::table::Unit;
use crate::mechanism::{Mechanism, Params};
use crate::object::Attributes;
use cryptoki_sys::*;

/// Mechanisms that are refused.
struct Row {
    mechanisms: &'static [CK_MECHANISM_TYPE],
    /// The uses the row is about; all if empty.
    uses: &'static [Use],
    /// Whether old data may still be opened and old signatures verified.
    legacy: bool,
}

/// A mechanism that is in no row is taken, with keys that are long enough.
static ROWS: &[Row] = &[
    // Triple DES: encryption, wrapping and MACs ended with 2023.
    Row { mechanisms: &[CKM_DES2_KEY_GEN, CKM_DES3_KEY_GEN], uses: &[], legacy: false },
    Row {
        mechanisms: &[CKM_DES3_ECB, CKM_DES3_CBC, CKM_DES3_CBC_PAD, CKM_DES3_CMAC, CKM_DES3_CMAC_GENERAL],
        uses: &[],
        legacy: true,
    },
    // RSA PKCS #1 v1.5 as encryption; as a signature it stays.
    Row {
        mechanisms: &[CKM_RSA_PKCS],
        uses: &[Use::Encrypt, Use::Decrypt, Use::Wrap, Use::Unwrap],
        legacy: false,
    },
    // Raw RSA is in no standard.
    Row { mechanisms: &[CKM_RSA_X_509], uses: &[], legacy: false },
    // SHA-1 signatures.
    Row { mechanisms: &[CKM_SHA1_RSA_PKCS, CKM_SHA1_RSA_PKCS_PSS, CKM_ECDSA_SHA1], uses: &[], legacy: true },
    // X25519 is no scheme of SP 800-56A.
    Row { mechanisms: &[CKM_EC_MONTGOMERY_KEY_PAIR_GEN], uses: &[], legacy: false },
];

/// The least key to protect with, in the unit of the mechanism's row: 112 bits of strength.
pub(super) fn least(mechanism: &Mechanism) -> usize {
    match mechanism.keys.unit {
        Unit::Bits if mechanism.keys.types.contains(&CKK_RSA) => 2048,
        Unit::Bits => 112,
        Unit::Bytes => 14,
        Unit::None => 0,
    }
}

/// Whether nothing can be done with the mechanism.
pub(super) fn refuses_all(mechanism: &Mechanism) -> bool {
    ROWS.iter().any(|row| row.mechanisms.contains(&mechanism.number) && row.uses.is_empty() && !row.legacy)
}

/// Whether a use is refused, whatever the key; `None` is the making of keys.
pub(super) fn refuses(mechanism: &Mechanism, usage: Option<Use>) -> bool {
    let opens = usage.is_some_and(|usage| !usage.protects());
    let about = |row: &&Row| {
        row.mechanisms.contains(&mechanism.number)
            && (row.uses.is_empty() || usage.is_some_and(|usage| row.uses.contains(&usage)))
    };
    ROWS.iter().filter(about).any(|row| !(row.legacy && opens))
}

/// Judges a use of a key of `size`, in the unit of the mechanism's row; `None` is the making of keys.
///
/// # Errors
/// CKR_MECHANISM_INVALID, CKR_KEY_SIZE_RANGE.
pub(super) fn judge(mechanism: &Mechanism, usage: Option<Use>, size: usize) -> Result<()> {
    if refuses(mechanism, usage) {
        fail!(MechanismInvalid, "{}: not in a fips token", mechanism.name);
    }
    let least = least(mechanism);
    if usage.is_none_or(Use::protects) && size < least {
        fail!(KeySizeRange, "{}: at least {least} in a fips token", mechanism.name);
    }
    Ok(())
}

/// Judges what keys are asked for with: RSA's public exponent is above 2^16 (FIPS 186-5, section 5.1).
///
/// # Errors
/// CKR_ATTRIBUTE_VALUE_INVALID.
pub(super) fn judge_template(attributes: &Attributes) -> Result<()> {
    match attributes.bytes(CKA_PUBLIC_EXPONENT).map(significant) {
        Some([] | [_] | [_, _] | [1, 0, 0]) => {
            fail!(AttributeValueInvalid, "CKA_PUBLIC_EXPONENT: above 65536 in a fips token")
        }
        _ => Ok(()),
    }
}

/// Judges a parameter: no signature over SHA-1 by way of it.
///
/// # Errors
/// CKR_MECHANISM_PARAM_INVALID.
pub(super) fn judge_parameter(usage: Use, params: &Params) -> Result<()> {
    match params {
        Params::Pss { hash: Hash::Sha1, .. } if usage.protects() => {
            fail!(MechanismParamInvalid, "hashAlg: no SHA-1 signature in a fips token")
        }
        _ => Ok(()),
    }
}
