//! ML-KEM (section 6.68): through C_EncapsulateKey and C_DecapsulateKey, and for the callers of older
//! interfaces through C_DeriveKey under Coffer's own number.

use super::check_value::Identity;
use super::{Derive, GeneratePair, Kem, OtherKey, Params, Wanted, key::KeyKind, seeded, wrong_shape};
use crate::crypto::Secret;
use crate::crypto::encoding::{Algorithm, Der, public_key_info};
use crate::crypto::ml_kem::{ParameterSet, PrivateKey, PublicKey};
use crate::error::{Result, Rv};
use crate::object::{Attributes, Object};
use cryptoki_sys::*;

/// ML-KEM keys of both classes. Their size is the public key's, in bytes.
pub static KEYS: &[KeyKind] = &[
    KeyKind {
        class: CKO_PUBLIC_KEY,
        key_type: CKK_ML_KEM,
        fixed_len: None,
        complete: |key| {
            let parsed = PublicKey::new(set(key)?, key.need_bytes(CKA_VALUE)?)?;
            identity(&parsed).mark(key)
        },
        size: |key| Ok(set(key.attributes())?.public_len()),
        export: None,
        import: None,
    },
    KeyKind {
        class: CKO_PRIVATE_KEY,
        key_type: CKK_ML_KEM,
        fixed_len: None,
        complete: |key| {
            let parsed = parse(set(key)?, key)?;
            seeded::complete(key, parsed.expanded())?;
            identity(&parsed).mark(key)
        },
        size: |key| Ok(set(key.attributes())?.public_len()),
        export: Some(export),
        import: Some(import),
    },
];

fn set(key: &Attributes) -> Result<ParameterSet> {
    match key.need_ulong(CKA_PARAMETER_SET)? {
        CKP_ML_KEM_512 => Ok(ParameterSet::MlKem512),
        CKP_ML_KEM_768 => Ok(ParameterSet::MlKem768),
        CKP_ML_KEM_1024 => Ok(ParameterSet::MlKem1024),
        other => fail!(ParameterSetNotSupported, "CKA_PARAMETER_SET: {other}"),
    }
}

const fn number(set: ParameterSet) -> CK_ULONG {
    match set {
        ParameterSet::MlKem512 => CKP_ML_KEM_512,
        ParameterSet::MlKem768 => CKP_ML_KEM_768,
        ParameterSet::MlKem1024 => CKP_ML_KEM_1024,
    }
}

fn parse(set: ParameterSet, secrets: &Attributes) -> Result<PrivateKey> {
    seeded::parse(
        secrets,
        |seed| PrivateKey::from_seed(set, seed),
        |expanded| PrivateKey::from_expanded(set, expanded),
    )
}

fn public(key: &Object) -> Result<&PublicKey> {
    key.prepared(|key| PublicKey::new(set(key.attributes())?, key.bytes(CKA_VALUE)?))
}

fn private(key: &Object) -> Result<&PrivateKey> {
    key.prepared(|key| parse(set(key.attributes())?, key.secrets()?))
}

/// SubjectPublicKeyInfo (RFC 9935, section 4).
fn identity(key: &PublicKey) -> Identity {
    let (set, bytes) = (key.set(), key.bytes());
    Identity::new(move || public_key_info(Algorithm::new(set.oid()), Der::Bits(&bytes)))
}

fn export(key: &Object) -> Result<Secret> {
    let key = private(key)?;
    Ok(seeded::export(key.set().oid(), key.seed(), &key.expanded()))
}

fn import(pkcs8: &[u8]) -> Result<Attributes> {
    for set in ParameterSet::ALL {
        if let Ok(key) = seeded::import(set.oid(), pkcs8) {
            return Ok(key.with(CKA_PARAMETER_SET, number(set)));
        }
    }
    Err(super::pkcs8::malformed())
}

/// CKM_ML_KEM_KEY_PAIR_GEN.
pub struct KeyPairGen;

impl GeneratePair for KeyPairGen {
    fn key_type(&self) -> CK_KEY_TYPE {
        CKK_ML_KEM
    }

    fn generate(&self, public: &Attributes, _: &Attributes) -> Result<(Attributes, Attributes)> {
        let set = set(public)?;
        let key = PrivateKey::generate(set)?;
        let mut public = Attributes::new().with(CKA_PARAMETER_SET, number(set)).with(CKA_VALUE, key.bytes());
        let mut private =
            Attributes::new().with(CKA_PARAMETER_SET, number(set)).with(CKA_VALUE, key.expanded());
        if let Some(seed) = key.seed() {
            private.set(CKA_SEED, seed);
        }
        let identity = identity(&key);
        identity.mark(&mut public)?;
        identity.mark(&mut private)?;
        Ok((public, private))
    }
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
