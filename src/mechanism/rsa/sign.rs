//! RSA signatures (sections 6.1.6 to 6.1.13): PKCS#1 v1.5, PSS and bare RSA, with and without hashing.

use super::encrypt::{Pkcs1, Raw, left_padded};
use super::{private, public};
use crate::crypto::Hash;
use crate::crypto::rsa;
use crate::error::{Result, Rv};
use crate::mechanism::signature::{Scheme, Signature, check_len, verdict};
use crate::mechanism::{Begun, Params, Recover, Sign, SignState, VerifyState, wrong_shape};
use crate::object::Object;

/// CKM_RSA_PKCS and CKM_SHA*_RSA_PKCS: RSASSA-PKCS1-v1_5, of the caller's DigestInfo without a hash.
pub struct SignPkcs1(pub Option<Hash>);

/// CKM_RSA_PKCS_PSS and CKM_SHA*_RSA_PKCS_PSS, of the caller's digest without a hash.
pub struct Pss(pub Option<Hash>);

/// CKM_RSA_X_509.
pub struct RawSign;

impl Sign for SignPkcs1 {
    fn sign(&self, key: &Object, _: &mut Params, state: &mut Begun<dyn SignState>) -> Result<()> {
        private(key)?;
        begin!(state, Signature::new(Pkcs1Scheme(self.0), self.0))
    }

    fn verify(&self, key: &Object, _: &mut Params, state: &mut Begun<dyn VerifyState>) -> Result<()> {
        public(key)?;
        begin!(state, Signature::new(Pkcs1Scheme(self.0), self.0))
    }
}

impl Sign for RawSign {
    fn sign(&self, key: &Object, _: &mut Params, state: &mut Begun<dyn SignState>) -> Result<()> {
        private(key)?;
        begin!(state, Signature::new(RawScheme, None))
    }

    fn verify(&self, key: &Object, _: &mut Params, state: &mut Begun<dyn VerifyState>) -> Result<()> {
        public(key)?;
        begin!(state, Signature::new(RawScheme, None))
    }
}

impl Pss {
    /// The parameter, checked against mechanism and key.
    fn scheme(&self, params: &Params, bits: usize) -> Result<PssScheme> {
        let Params::Pss { hash, mgf, salt_len } = *params else { return Err(wrong_shape()) };
        if self.0.is_some_and(|own| own != hash) {
            fail!(MechanismParamInvalid, "hashAlg is {hash:?}, not the mechanism's");
        }
        let pss = rsa::Pss { hash, mgf, salt_len };
        if !pss.fits(bits) {
            fail!(MechanismParamInvalid, "sLen: {salt_len} bytes of salt do not fit under the modulus");
        }
        Ok(PssScheme(pss))
    }
}

impl Sign for Pss {
    fn sign(&self, key: &Object, params: &mut Params, state: &mut Begun<dyn SignState>) -> Result<()> {
        begin!(state, Signature::new(self.scheme(params, private(key)?.bits())?, self.0))
    }

    fn verify(&self, key: &Object, params: &mut Params, state: &mut Begun<dyn VerifyState>) -> Result<()> {
        begin!(state, Signature::new(self.scheme(params, public(key)?.bits())?, self.0))
    }
}

/// Bytes of a private key's signatures.
fn size(key: &Object) -> usize {
    private(key).map_or(0, |key| key.size())
}

struct Pkcs1Scheme(Option<Hash>);

impl Scheme for Pkcs1Scheme {
    fn len(&self, key: &Object) -> usize {
        size(key)
    }

    fn sign(&self, key: &Object, input: &[u8], out: &mut [u8]) -> Result<usize> {
        let key = private(key)?;
        match self.0 {
            Some(hash) => key.sign_digest(hash, input, out)?,
            None => key.sign_pkcs1(input, out)?,
        }
        Ok(key.size())
    }

    fn verify(&self, key: &Object, input: &[u8], signature: &[u8]) -> Result<()> {
        let key = public(key)?;
        check_len(signature, key.size())?;
        verdict(match self.0 {
            Some(hash) => key.verify_digest(hash, input, signature),
            None => key.recover_pkcs1(signature).is_some_and(|data| data == input),
        })
    }
}

struct RawScheme;

impl Scheme for RawScheme {
    fn len(&self, key: &Object) -> usize {
        size(key)
    }

    fn sign(&self, key: &Object, input: &[u8], out: &mut [u8]) -> Result<usize> {
        let key = private(key)?;
        let block = left_padded(input, key.size())?;
        match key.transform_private(block.expose(), out) {
            true => Ok(key.size()),
            false => fail!(DataInvalid, "the data is 0, 1 or not below the modulus"),
        }
    }

    fn verify(&self, key: &Object, input: &[u8], signature: &[u8]) -> Result<()> {
        let key = public(key)?;
        check_len(signature, key.size())?;
        let block = left_padded(input, key.size())?;
        verdict(key.transform(signature).is_some_and(|data| data == block.expose()))
    }
}

struct PssScheme(rsa::Pss);

impl PssScheme {
    fn check(&self, input: &[u8]) -> Result<()> {
        match input.len() == self.0.hash.output_len() {
            true => Ok(()),
            false => fail!(DataLenRange, "{} bytes are no digest of {:?}", input.len(), self.0.hash),
        }
    }
}

impl Scheme for PssScheme {
    fn len(&self, key: &Object) -> usize {
        size(key)
    }

    fn sign(&self, key: &Object, input: &[u8], out: &mut [u8]) -> Result<usize> {
        self.check(input)?;
        let key = private(key)?;
        key.sign_pss(self.0, input, out)?;
        Ok(key.size())
    }

    fn verify(&self, key: &Object, input: &[u8], signature: &[u8]) -> Result<()> {
        self.check(input)?;
        let key = public(key)?;
        check_len(signature, key.size())?;
        verdict(key.verify_pss(self.0, input, signature))
    }
}

impl Recover for Pkcs1 {
    fn sign_recover(&self, key: &Object, data: &[u8]) -> Result<Vec<u8>> {
        let key = private(key)?;
        let mut out = vec![0; key.size()];
        key.sign_pkcs1(data, &mut out)?;
        Ok(out)
    }

    fn verify_recover(&self, key: &Object, signature: &[u8]) -> Result<Vec<u8>> {
        let key = public(key)?;
        check_len(signature, key.size())?;
        key.recover_pkcs1(signature).ok_or_else(|| Rv::SignatureInvalid.into())
    }
}

impl Recover for Raw {
    fn sign_recover(&self, key: &Object, data: &[u8]) -> Result<Vec<u8>> {
        let mut out = vec![0; private(key)?.size()];
        RawScheme.sign(key, data, &mut out)?;
        Ok(out)
    }

    fn verify_recover(&self, key: &Object, signature: &[u8]) -> Result<Vec<u8>> {
        let key = public(key)?;
        check_len(signature, key.size())?;
        key.transform(signature).ok_or_else(|| Rv::SignatureInvalid.into())
    }
}
