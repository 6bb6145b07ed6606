//! CKM_RSA_AES_KEY_WRAP (section 6.1.16): a fresh AES key under RSAES-OAEP, then the payload under that key
//! with AES key wrap with padding (RFC 5649).

use super::encrypt::{as_wrapped, oaep};
use super::{private, public};
use crate::crypto::{Secret, aes, key_wrap, random};
use crate::error::{Result, Rv};
use crate::mechanism::{Params, Wrap, params, wrong_shape};
use crate::object::Object;

/// Wraps keys of any kind and length.
pub struct AesWrap;

/// Bytes of the AES key and the OAEP parameters.
fn read(params: &Params) -> Result<(usize, &params::Oaep)> {
    match params {
        Params::RsaAesWrap { aes_key_bits: bits @ (128 | 192 | 256), oaep } => Ok((bits / 8, oaep)),
        Params::RsaAesWrap { aes_key_bits, .. } => {
            fail!(MechanismParamInvalid, "ulAESKeyBits: {aes_key_bits} is no AES key size")
        }
        _ => Err(wrong_shape()),
    }
}

impl Wrap for AesWrap {
    fn wrapped_len(&self, key: &Object, params: &Params, payload: usize) -> Result<usize> {
        let (aes_len, params) = read(params)?;
        let size = public(key)?.size();
        if oaep(params).capacity(size).is_none_or(|capacity| capacity < aes_len) {
            fail!(
                WrappingKeySizeRange,
                "the modulus is too short for an AES key under OAEP with {:?}",
                params.hash
            );
        }
        Ok(size + key_wrap::padded_len(payload))
    }

    fn wrap(&self, key: &Object, params: Params, payload: &[u8]) -> Result<Vec<u8>> {
        let len = self.wrapped_len(key, &params, payload.len())?;
        let (aes_len, params) = read(&params)?;
        let aes_key = random::secret(aes_len);
        let mut wrapped = public(key)?.encrypt_oaep(oaep(params), aes_key.expose())?;
        wrapped.extend(key_wrap::wrap_padded(&aes::Key::new(aes_key.expose())?, payload)?);
        debug_assert_eq!(wrapped.len(), len);
        Ok(wrapped)
    }

    fn unwrap(&self, key: &Object, params: Params, wrapped: &[u8], _: Option<usize>) -> Result<Secret> {
        let (_, params) = read(&params)?;
        let key = private(key)?;
        let Some((block, payload)) = wrapped.split_at_checked(key.size()) else {
            fail!(WrappedKeyLenRange, "the blob is shorter than the modulus");
        };
        let aes_key = key.decrypt_oaep(oaep(params), block).map_err(as_wrapped)?;
        // The blob says which AES key it has, whatever the parameter says.
        let aes_key = aes::Key::new(aes_key.expose()).map_err(|error| error.recode(Rv::WrappedKeyInvalid))?;
        key_wrap::unwrap_padded(&aes_key, payload).map_err(as_wrapped)
    }
}
