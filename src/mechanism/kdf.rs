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
pub struct Hkdf {
    /// The second of the two.
    pub data: bool,
}

impl Derive for Hkdf {
    fn gives_data(&self) -> bool {
        self.data
    }

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

#[cfg(test)]
mod tests {
    use super::super::params::Hkdf as HkdfParams;
    use super::super::secret::tests::key;
    use super::*;
    use crate::crypto::Hash;
    use crate::error::Rv;
    use std::sync::Arc;

    const HKDF: Hkdf = Hkdf { data: false };
    const WANTED: Wanted = Wanted { key_type: CKK_GENERIC_SECRET, len: Some(42) };

    fn hex(text: &str) -> Vec<u8> {
        hex::decode(text).unwrap()
    }

    fn hkdf(extract: bool, expand: bool, salt: HkdfSalt) -> Params {
        Params::Hkdf(HkdfParams {
            extract,
            expand,
            hash: Hash::Sha256,
            salt,
            info: hex("f0f1f2f3f4f5f6f7f8f9"),
        })
    }

    /// RFC 5869, appendix A.1: in one step, in two, and with the salt as a key.
    #[test]
    fn hkdf_in_every_form() {
        let salt = hex("000102030405060708090a0b0c");
        let okm = "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865";
        let prk = "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5";
        let base = key(CKK_HKDF, &[0x0B; 22]);
        let salt_key = Arc::new(key(CKK_GENERIC_SECRET, &salt));
        let other = |handle| if handle == 9 { Ok(salt_key.clone()) } else { fail!(KeyHandleInvalid) };
        let derive = |base: &Object, params, len| {
            HKDF.derive(base, params, Wanted { len, ..WANTED }, &other).map(|key| hex::encode(key.expose()))
        };
        let data = || HkdfSalt::Data(salt.clone());
        assert_eq!(derive(&base, hkdf(true, true, data()), Some(42)).unwrap(), okm);
        assert_eq!(derive(&base, hkdf(true, true, HkdfSalt::Key(9)), Some(42)).unwrap(), okm);
        assert_eq!(derive(&base, hkdf(true, false, data()), None).unwrap(), prk);
        let extracted = key(CKK_HKDF, &hex(prk));
        assert_eq!(derive(&extracted, hkdf(false, true, HkdfSalt::Null), Some(42)).unwrap(), okm);

        let code = |base: &Object, params, len| derive(base, params, len).unwrap_err().rv();
        assert_eq!(code(&base, hkdf(false, false, data()), Some(42)), Rv::MechanismParamInvalid);
        assert_eq!(code(&base, hkdf(false, true, data()), Some(42)), Rv::KeySizeRange);
        assert_eq!(code(&base, hkdf(true, true, data()), None), Rv::TemplateIncomplete);
        assert_eq!(code(&base, hkdf(true, true, data()), Some(255 * 32 + 1)), Rv::KeySizeRange);
        assert_eq!(code(&base, hkdf(true, false, data()), Some(31)), Rv::KeySizeRange);
        assert_eq!(code(&base, hkdf(true, true, HkdfSalt::Key(8)), Some(42)), Rv::KeyHandleInvalid);
    }

    fn counter(prf: Prf, input: Vec<CounterField>) -> Params {
        Params::Counter(Counter { prf, input })
    }

    fn fields(list: &[&str]) -> Vec<CounterField> {
        let field = |name: &&str| match *name {
            "i" => CounterField::Counter { bits: 16, little_endian: false },
            "L" => CounterField::Length { of: LengthOf::Keys, bits: 32, little_endian: false },
            "segments" => CounterField::Length { of: LengthOf::Segments, bits: 16, little_endian: true },
            bytes => CounterField::Bytes(bytes.into()),
        };
        list.iter().map(field).collect()
    }

    #[test]
    fn the_input_is_built_in_order() {
        let base = key(CKK_AES, &[6; 32]);
        let other = |_| fail!(KeyHandleInvalid);
        let list = fields(&["label", "i", "\0context", "L", "segments"]);
        let got = CounterKdf.derive(&base, counter(Prf::AesCmac, list), WANTED, &other).unwrap();
        let aes = aes::Key::new(&[6; 32]).unwrap();
        let block = |i: u8| {
            let input = [&b"label\0"[..], &[i], b"\0context", &[0, 0, 1, 80], &[128, 1]].concat();
            crate::crypto::cmac::mac(&aes, &input)
        };
        // 42 bytes are 336 bits = 0x150; three segments of 128 bits are 384 = 0x180.
        assert_eq!(got.expose(), &[block(1), block(2), block(3)].concat()[..42]);
    }

    #[test]
    fn refusals() {
        let base = key(CKK_GENERIC_SECRET, &[6; 32]);
        let other = |_| fail!(KeyHandleInvalid);
        let code = |prf, list: &[&str], len| {
            let wanted = Wanted { len, ..WANTED };
            CounterKdf.derive(&base, counter(prf, fields(list)), wanted, &other).err().unwrap().rv()
        };
        let hmac = Prf::Hmac(Hash::Sha256);
        assert_eq!(code(hmac, &["label"], Some(16)), Rv::MechanismParamInvalid);
        assert_eq!(code(hmac, &["i", "i"], Some(16)), Rv::MechanismParamInvalid);
        assert_eq!(code(hmac, &["i"], None), Rv::TemplateIncomplete);
        assert_eq!(code(hmac, &["i"], Some(1 << 30)), Rv::KeySizeRange);
        assert_eq!(code(Prf::AesCmac, &["i"], Some(16)), Rv::KeyTypeInconsistent);
        assert_eq!(code(Prf::Des3Cmac, &["i"], Some(16)), Rv::KeyTypeInconsistent);
    }
}
