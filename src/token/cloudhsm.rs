//! What CloudHSM refuses and the standard does not: its keys' sizes and curves, its parameters, its sessions.

use super::policy::Use;
use crate::crypto::ec::Curve;
use crate::error::Result;
use crate::mechanism::params::Generator;
use crate::mechanism::table::Unit;
use crate::mechanism::{Mechanism, Params, Shape, edwards};
use crate::object::Attributes;
use cryptoki_sys::*;

/// Bits of an RSA modulus, and the steps between them.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=4096;
const RSA_STEP: usize = 256;
/// Most bytes of a generic secret.
const LONGEST_SECRET: usize = 800;
/// Bytes of the IVs that it makes.
const IV: usize = 12;

/// Wrong passwords that lock a user.
pub(super) const TRIES: u32 = 5;

/// The key types that it has.
const KEY_TYPES: &[CK_KEY_TYPE] =
    &[CKK_AES, CKK_DES3, CKK_GENERIC_SECRET, CKK_RSA, CKK_EC, CKK_EC_EDWARDS, CKK_ML_DSA];

/// What it has no functions for: messages, and signatures that give the data back.
pub(super) const NOT_ITS_FLAGS: CK_FLAGS = CKF_MESSAGE_ENCRYPT
    | CKF_MESSAGE_DECRYPT
    | CKF_MESSAGE_SIGN
    | CKF_MESSAGE_VERIFY
    | CKF_MULTI_MESSAGE
    | CKF_SIGN_RECOVER
    | CKF_VERIFY_RECOVER;

/// Shortest and longest key that a mechanism takes, in the unit of its row: of those that it takes elsewhere, the
/// ones that CloudHSM has.
pub(super) fn key_range(mechanism: &Mechanism) -> (usize, usize) {
    let keys = mechanism.keys;
    let of = |key_type| keys.types.contains(&key_type);
    match keys.unit {
        Unit::Bits if of(CKK_RSA) => (keys.min.max(*RSA_BITS.start()), keys.max.min(*RSA_BITS.end())),
        Unit::Bits if of(CKK_GENERIC_SECRET) => (keys.min, keys.max.min(8 * LONGEST_SECRET)),
        Unit::Bytes if of(CKK_GENERIC_SECRET) => (keys.min, keys.max.min(LONGEST_SECRET)),
        Unit::Bytes if of(CKK_DES3) => (keys.max, keys.max),
        _ => (keys.min, keys.max),
    }
}

/// Judges a new key by its components, or by what its generation is asked for. `attributes` of objects that are
/// no keys pass.
///
/// # Errors
/// CKR_KEY_SIZE_RANGE, CKR_CURVE_NOT_SUPPORTED, CKR_TEMPLATE_INCONSISTENT for a type of key it has not.
pub(super) fn judge_key(attributes: &Attributes) -> Result<()> {
    let Some(key_type) = attributes.ulong(CKA_KEY_TYPE) else { return Ok(()) };
    if !KEY_TYPES.contains(&key_type) {
        fail!(TemplateInconsistent, "CKA_KEY_TYPE: the cloudhsm profile has no keys of type {key_type:#x}");
    }
    let bits =
        |modulus: &[u8]| 8 * modulus.len() - modulus.first().map_or(0, |byte| byte.leading_zeros() as usize);
    match key_type {
        CKK_RSA => {
            let asked = attributes.ulong(CKA_MODULUS_BITS).map(|bits| bits as usize);
            let bits = asked.or(attributes.bytes(CKA_MODULUS).map(bits)).unwrap_or(0);
            if !RSA_BITS.contains(&bits) || !bits.is_multiple_of(RSA_STEP) {
                fail!(
                    KeySizeRange,
                    "RSA keys of the cloudhsm profile have 2048 to 4096 bits in steps of 256"
                );
            }
        }
        CKK_GENERIC_SECRET => {
            let asked = attributes.ulong(CKA_VALUE_LEN).map(|len| len as usize);
            let len = attributes.bytes(CKA_VALUE).map(<[u8]>::len).or(asked).unwrap_or(0);
            if !(1..=LONGEST_SECRET).contains(&len) {
                fail!(
                    KeySizeRange,
                    "generic secrets of the cloudhsm profile have 1 to {LONGEST_SECRET} bytes"
                );
            }
        }
        CKK_EC => {
            let curve = Curve::from_params(attributes.need_bytes(CKA_EC_PARAMS)?)?;
            let known = [Curve::P224, Curve::P256, Curve::Secp256k1, Curve::P384, Curve::P521];
            if !known.contains(&curve) {
                fail!(CurveNotSupported, "CKA_EC_PARAMS: the cloudhsm profile has no keys on {curve:?}");
            }
        }
        _ => {}
    }
    Ok(())
}

/// Judges a parameter: the IV of every GCM encryption is the module's own, and OAEP has one hash.
///
/// # Errors
/// CKR_MECHANISM_PARAM_INVALID.
pub(super) fn judge_parameter(usage: Use, mechanism: &Mechanism, params: &Params) -> Result<()> {
    match params {
        Params::Gcm(gcm)
            if mechanism.shape == Shape::Gcm && usage.protects() && !(gcm.make_iv && gcm.iv.len() == IV) =>
        {
            fail!(
                MechanismParamInvalid,
                "pIv: in the cloudhsm profile {IV} zero bytes, for the module to fill"
            )
        }
        Params::Message { message, .. } if usage.protects() && message.generator == Generator::Caller => {
            fail!(MechanismParamInvalid, "ivGenerator: in the cloudhsm profile the module makes the IV")
        }
        Params::Oaep(oaep) | Params::RsaAesWrap { oaep, .. } if oaep.hash != oaep.mgf => {
            fail!(MechanismParamInvalid, "mgf: in the cloudhsm profile of the same hash as hashAlg")
        }
        _ => Ok(()),
    }
}

/// Whether a cipher takes its data in one piece only, though it could do otherwise.
pub(super) fn in_one_piece(mechanism: &Mechanism) -> bool {
    matches!(mechanism.shape, Shape::Gcm | Shape::CloudGcm)
}

/// Whether a pair is one of Edwards keys, which it has no mechanism for and makes by CKM_EC_KEY_PAIR_GEN, told by
/// the curve.
pub(super) fn makes_edwards_keys(mechanism: &Mechanism, public: &Attributes) -> bool {
    mechanism.number == CKM_EC_KEY_PAIR_GEN && public.bytes(CKA_EC_PARAMS).is_some_and(edwards::is_ed25519)
}
