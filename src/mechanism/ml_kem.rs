//! ML-KEM (section 6.68): through C_EncapsulateKey and C_DecapsulateKey, and for the callers of older
//! interfaces through C_DeriveKey under Coffer's own number.

use super::{Derive, Kem, OtherKey, Params, Wanted, key::KeyKind, seeded, wrong_shape};
use crate::crypto::Secret;
use crate::crypto::ml_kem::{ParameterSet, PrivateKey, PublicKey};
use crate::crypto::seeded::Public;
use crate::error::{Result, Rv};
use crate::object::Object;
use cryptoki_sys::*;

/// ML-KEM keys of both classes.
pub static KEYS: &[KeyKind] = &seeded::rows::<Keys>();

/// Such keys, and CKM_ML_KEM_KEY_PAIR_GEN.
pub struct Keys;

impl seeded::Family for Keys {
    const KEY_TYPE: CK_KEY_TYPE = CKK_ML_KEM;
    type Key = PrivateKey;
    const SETS: &[(CK_ULONG, ParameterSet)] = &[
        (CKP_ML_KEM_512, ParameterSet::MlKem512),
        (CKP_ML_KEM_768, ParameterSet::MlKem768),
        (CKP_ML_KEM_1024, ParameterSet::MlKem1024),
    ];
}

fn public(key: &Object) -> Result<&PublicKey> {
    seeded::public::<Keys>(key)
}

fn private(key: &Object) -> Result<&PrivateKey> {
    seeded::private::<Keys>(key)
}

/// CKM_ML_KEM and, as a derivation, CKM_COFFER_ML_KEM.
pub struct MlKem;

impl Kem for MlKem {
    fn ciphertext_len(&self, key: &Object) -> Result<usize> {
        Ok(public(key)?.set().ciphertext_len())
    }

    fn encapsulate(&self, key: &Object, _: &Params) -> Result<(Vec<u8>, Secret)> {
        public(key)?.encapsulate()
    }

    fn decapsulate(&self, key: &Object, _: &Params, ciphertext: &[u8]) -> Result<Secret> {
        private(key)?.decapsulate(ciphertext)
    }
}

impl Derive for MlKem {
    /// A public key encapsulates: the ciphertext goes back through the parameter. A private key decapsulates
    /// the parameter's ciphertext.
    fn derive(&self, base: &Object, params: Params, wanted: Wanted, _: OtherKey<'_>) -> Result<Secret> {
        let Params::Kem(mut kem) = params else { return Err(wrong_shape()) };
        let secret = match base.class() {
            CKO_PUBLIC_KEY => {
                let key = public(base)?;
                let len = key.set().ciphertext_len();
                if kem.capacity.is_none_or(|capacity| capacity < len) {
                    kem.len_sink.write(&(len as CK_ULONG).to_ne_bytes());
                    fail!(BufferTooSmall, "the ciphertext has {len} bytes");
                }
                let (ciphertext, secret) = key.encapsulate()?;
                kem.sink.write(&ciphertext);
                secret
            }
            _ => private(base)?
                .decapsulate(&kem.ciphertext)
                .map_err(|error| error.recode(Rv::MechanismParamInvalid).within("pCiphertext"))?,
        };
        match wanted.len {
            Some(len) if len > secret.len() => {
                fail!(KeySizeRange, "{len} bytes are wanted, ML-KEM gives {}", secret.len())
            }
            Some(len) => Ok(secret.truncated(len)),
            None => Ok(secret),
        }
    }
}
