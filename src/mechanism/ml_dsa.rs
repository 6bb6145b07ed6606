//! ML-DSA and HashML-DSA (section 6.67).

use super::params::Hedge;
use super::signature::{Scheme, Signature, check_len, verdict};
use super::{Begun, Params, Sign, SignState, VerifyState, key::KeyKind, seeded, wrong_shape};
use crate::crypto::Hash;
use crate::crypto::ml_dsa::{MAX_CONTEXT, MU_LEN, Mu, ParameterSet, PrivateKey, PublicKey};
use crate::crypto::seeded::Public;
use crate::error::{Result, Rv};
use crate::object::Object;
use cryptoki_sys::*;
use std::mem::take;

/// ML-DSA keys of both classes.
pub static KEYS: &[KeyKind] = &seeded::rows::<Keys>();

/// Such keys, and CKM_ML_DSA_KEY_PAIR_GEN.
pub struct Keys;

impl seeded::Family for Keys {
    const KEY_TYPE: CK_KEY_TYPE = CKK_ML_DSA;
    type Key = PrivateKey;
    const SETS: &[(CK_ULONG, ParameterSet)] = &[
        (CKP_ML_DSA_44, ParameterSet::MlDsa44),
        (CKP_ML_DSA_65, ParameterSet::MlDsa65),
        (CKP_ML_DSA_87, ParameterSet::MlDsa87),
    ];
}

fn public(key: &Object) -> Result<&PublicKey> {
    seeded::public::<Keys>(key)
}

fn private(key: &Object) -> Result<&PrivateKey> {
    seeded::private::<Keys>(key)
}

/// CKM_ML_DSA.
pub struct MlDsa;

/// CKM_HASH_ML_DSA, of the caller's digest with the parameter's hash, and CKM_HASH_ML_DSA_*.
pub struct HashMlDsa(pub Option<Hash>);

/// Signing and verifying the 64-byte mu that the caller computed (FIPS 204, algorithm 7, line 6).
pub struct ExternalMu;

/// The context and the hash. AWS-LC only signs with fresh randomness, so who must have it without is refused;
/// a verification does not care.
fn read(params: Params, signing: bool) -> Result<(Vec<u8>, Option<Hash>)> {
    match params {
        Params::None => Ok((Vec::new(), None)),
        Params::SignContext { hedge: Hedge::Deterministic, .. } if signing => {
            fail!(MechanismParamInvalid, "deterministic ML-DSA signatures are not supported")
        }
        Params::SignContext { context, .. } if context.len() > MAX_CONTEXT => {
            fail!(MechanismParamInvalid, "the context is longer than {MAX_CONTEXT} bytes")
        }
        Params::SignContext { context, hash, .. } => Ok((context, hash)),
        _ => Err(wrong_shape()),
    }
}

impl Sign for MlDsa {
    fn sign(&self, key: &Object, params: &mut Params, state: &mut Begun<dyn SignState>) -> Result<()> {
        let (context, _) = read(take(params), true)?;
        begin!(state, Streaming(Some(private(key)?.mu(&context)?)))
    }

    fn verify(&self, key: &Object, params: &mut Params, state: &mut Begun<dyn VerifyState>) -> Result<()> {
        let (context, _) = read(take(params), false)?;
        begin!(state, Streaming(Some(public(key)?.mu(&context)?)))
    }
}

impl HashMlDsa {
    fn scheme(&self, params: Params, signing: bool) -> Result<Prehash> {
        let (context, given) = read(params, signing)?;
        match self.0.or(given) {
            Some(hash) => Ok(Prehash { hash, context }),
            None => fail!(MechanismParamInvalid, "CKM_HASH_ML_DSA needs a hash"),
        }
    }
}

impl Sign for HashMlDsa {
    fn sign(&self, key: &Object, params: &mut Params, state: &mut Begun<dyn SignState>) -> Result<()> {
        private(key)?;
        begin!(state, Signature::new(self.scheme(take(params), true)?, self.0))
    }

    fn verify(&self, key: &Object, params: &mut Params, state: &mut Begun<dyn VerifyState>) -> Result<()> {
        public(key)?;
        begin!(state, Signature::new(self.scheme(take(params), false)?, self.0))
    }
}

impl Sign for ExternalMu {
    fn sign(&self, key: &Object, _: &mut Params, state: &mut Begun<dyn SignState>) -> Result<()> {
        private(key)?;
        begin!(state, Signature::new(ExternalMu, None))
    }

    fn verify(&self, key: &Object, _: &mut Params, state: &mut Begun<dyn VerifyState>) -> Result<()> {
        public(key)?;
        begin!(state, Signature::new(ExternalMu, None))
    }
}

fn signature_len(key: &Object) -> usize {
    private(key).map_or(0, |key| key.set().signature_len())
}

fn sign(key: &Object, mu: &[u8; MU_LEN], out: &mut [u8]) -> Result<usize> {
    let key = private(key)?;
    key.sign(mu, out)?;
    Ok(key.set().signature_len())
}

fn verify(key: &Object, mu: &[u8; MU_LEN], signature: &[u8]) -> Result<()> {
    let key = public(key)?;
    check_len(signature, key.set().signature_len())?;
    verdict(key.verify(mu, signature)?)
}

/// HashML-DSA of a digest.
struct Prehash {
    hash: Hash,
    context: Vec<u8>,
}

impl Prehash {
    fn mu(&self, key: &PublicKey, digest: &[u8]) -> Result<[u8; MU_LEN]> {
        if digest.len() != self.hash.output_len() {
            fail!(DataLenRange, "{} bytes are no digest of {:?}", digest.len(), self.hash);
        }
        key.prehash_mu(&self.context, self.hash, digest)
    }
}

impl Scheme for Prehash {
    fn len(&self, key: &Object) -> usize {
        signature_len(key)
    }

    fn sign(&self, key: &Object, digest: &[u8], out: &mut [u8]) -> Result<usize> {
        sign(key, &self.mu(private(key)?, digest)?, out)
    }

    fn verify(&self, key: &Object, digest: &[u8], signature: &[u8]) -> Result<()> {
        verify(key, &self.mu(public(key)?, digest)?, signature)
    }
}

fn as_mu(input: &[u8]) -> Result<&[u8; MU_LEN]> {
    input.try_into().map_err(|_| Rv::DataLenRange.because("mu has 64 bytes"))
}

impl Scheme for ExternalMu {
    fn len(&self, key: &Object) -> usize {
        signature_len(key)
    }

    fn sign(&self, key: &Object, mu: &[u8], out: &mut [u8]) -> Result<usize> {
        sign(key, as_mu(mu)?, out)
    }

    fn verify(&self, key: &Object, mu: &[u8], signature: &[u8]) -> Result<()> {
        verify(key, as_mu(mu)?, signature)
    }
}

/// ML-DSA itself: the message goes into mu as it comes.
struct Streaming(Option<Mu>);

impl Streaming {
    fn take(&mut self, data: &[u8]) -> Result<()> {
        let Some(mu) = &mut self.0 else { fail!(OperationNotInitialized) };
        mu.update(data);
        Ok(())
    }

    fn mu(&mut self) -> Result<[u8; MU_LEN]> {
        self.0.take().map(Mu::finish).ok_or_else(|| Rv::OperationNotInitialized.into())
    }
}

impl SignState for Streaming {
    fn update(&mut self, _: &Object, data: &[u8]) -> Result<()> {
        self.take(data)
    }

    fn signature_len(&self, key: &Object) -> usize {
        signature_len(key)
    }

    fn finish(&mut self, key: &Object, out: &mut [u8]) -> Result<usize> {
        sign(key, &self.mu()?, out)
    }
}

impl VerifyState for Streaming {
    fn update(&mut self, _: &Object, data: &[u8]) -> Result<()> {
        self.take(data)
    }

    fn finish(&mut self, key: &Object, signature: &[u8]) -> Result<()> {
        verify(key, &self.mu()?, signature)
    }
}
