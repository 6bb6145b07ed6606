//! Derivations from a secret key: HKDF (section 6.62) and SP 800-108 in counter mode (6.42).

use super::params::{Counter, CounterField, HkdfSalt, LengthOf, Prf};
use super::{Derive, OtherKey, Params, Wanted, wrong_shape};
use crate::crypto::kdf::{self, Integer};
use crate::crypto::{Secret, aes, des, hmac};
use crate::error::Result;
use crate::object::Object;
use cryptoki_sys::*;

fn wanted_len(wanted: Wanted) -> Result<usize> {
    match wanted.len {
        Some(0) => fail!(KeySizeRange, "CKA_VALUE_LEN: 0"),
        Some(len) => Ok(len),
        None => fail!(TemplateIncomplete, "CKA_VALUE_LEN: nothing else tells how much to derive"),
    }
}

/// CKM_HKDF_DERIVE and CKM_HKDF_DATA.
pub struct Hkdf;

impl Derive for Hkdf {
    fn derive(&self, base: &Object, params: Params, wanted: Wanted, other: OtherKey<'_>) -> Result<Secret> {
        let Params::Hkdf(params) = params else { return Err(wrong_shape()) };
        let (hash, secret) = (params.hash, base.secret_value()?);
        let prk = match (params.extract, params.salt) {
            (false, _) if !params.expand => {
                fail!(MechanismParamInvalid, "neither bExtract nor bExpand is set")
            }
            // RFC 5869, section 2.3: a pseudo-random key of at least the hash's length.
            (false, _) if secret.len() < hash.output_len() => {
                fail!(KeySizeRange, "{} bytes are no pseudo-random key for {hash:?}", secret.len())
            }
            (false, _) => Secret::from_slice(secret),
            (true, HkdfSalt::Null) => kdf::hkdf_extract(hash, &[], secret)?,
            (true, HkdfSalt::Data(salt)) => kdf::hkdf_extract(hash, &salt, secret)?,
            (true, HkdfSalt::Key(handle)) => {
                let salt = other(handle)?;
                kdf::hkdf_extract(hash, salt.secret_value()?, secret)?
            }
        };
        if params.expand {
            return kdf::hkdf_expand(hash, prk.expose(), &params.info, wanted_len(wanted)?);
        }
        match wanted.len {
            Some(len) if len != prk.len() => {
                fail!(KeySizeRange, "the extract step gives {} bytes, not {len}", prk.len())
            }
            _ => Ok(prk),
        }
    }
}

/// CKM_SP800_108_COUNTER_KDF, in the standard's numbers and in CloudHSM's.
pub struct CounterKdf;

impl Derive for CounterKdf {
    fn derive(&self, base: &Object, params: Params, wanted: Wanted, _: OtherKey<'_>) -> Result<Secret> {
        let Params::Counter(Counter { prf, input }) = params else { return Err(wrong_shape()) };
        let (len, prf) = (wanted_len(wanted)?, keyed(prf, base)?);
        let segments = len.div_ceil(prf.output_len()) * prf.output_len();
        let mut counter = None;
        let (mut before, mut after) = (Vec::new(), Vec::new());
        for field in input {
            let side = if counter.is_none() { &mut before } else { &mut after };
            match field {
                CounterField::Bytes(bytes) => side.extend_from_slice(&bytes),
                CounterField::Length { of, bits, little_endian } => {
                    let bytes = if of == LengthOf::Keys { len } else { segments };
                    side.extend(Integer { bits, little_endian }.encode(8 * bytes as u64)?);
                }
                CounterField::Counter { bits, little_endian } if counter.is_none() => {
                    counter = Some(Integer { bits, little_endian });
                }
                CounterField::Counter { .. } => fail!(MechanismParamInvalid, "more than one counter"),
            }
        }
        match counter {
            Some(counter) => kdf::counter_mode(&prf, &before, counter, &after, len),
            None => fail!(MechanismParamInvalid, "counter mode without a counter"),
        }
    }
}

/// The pseudo-random function under the base key, which must be of the function's type.
fn keyed(prf: Prf, base: &Object) -> Result<kdf::Prf> {
    let (value, key_type) = (base.secret_value()?, base.key_type());
    Ok(match prf {
        Prf::Hmac(hash) => kdf::Prf::Hmac(hmac::Key::new(hash, value)?.into()),
        Prf::AesCmac if key_type == Some(CKK_AES) => kdf::Prf::AesCmac(aes::Key::new(value)?.into()),
        Prf::Des3Cmac if matches!(key_type, Some(CKK_DES2 | CKK_DES3)) => {
            kdf::Prf::Des3Cmac(des::Key::new(value)?.into())
        }
        Prf::AesCmac | Prf::Des3Cmac => {
            fail!(KeyTypeInconsistent, "the base key is of another type than the CMAC's cipher")
        }
    })
}
