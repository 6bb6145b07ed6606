//! What ML-DSA and ML-KEM keys have in common: a parameter set, a seed, an expanded form of it, and the three ways in
//! which PKCS#8 holds them (RFC 9881, section 6; RFC 9935, section 6).

use super::GeneratePair;
use super::check_value::{Identity, follows};
use super::key::KeyKind;
use super::pkcs8::{self, malformed};
use crate::crypto::Secret;
use crate::crypto::encoding::{Algorithm, Der, Reader, public_key_info, tag};
use crate::crypto::seeded::{Parameters, Private, Public, SetOf};
use crate::error::Result;
use crate::object::{Attributes, Object};
use cryptoki_sys::*;
use std::ops::Deref;

/// A family of such keys. It makes pairs, too.
pub trait Family: Send + Sync + 'static {
    /// CKA_KEY_TYPE.
    const KEY_TYPE: CK_KEY_TYPE;
    /// A private key.
    type Key: Private;
    /// Every parameter set with its CKA_PARAMETER_SET.
    const SETS: &[(CK_ULONG, SetOf<Self::Key>)];
}

type PublicOf<F> = <<F as Family>::Key as Deref>::Target;

/// The rows of its keys, whose size is the public key's, in bytes.
pub(super) const fn rows<F: Family>() -> [KeyKind; 2] {
    let row = KeyKind {
        class: CKO_PUBLIC_KEY,
        key_type: F::KEY_TYPE,
        fixed_len: None,
        complete: |key| {
            let parsed = PublicOf::<F>::new(set::<F>(key)?, key.need_bytes(CKA_VALUE)?)?;
            identity(&parsed).mark(key)
        },
        size: |key| Ok(set::<F>(key.attributes())?.row().public_len),
        export: None,
        import: None,
    };
    let private = KeyKind {
        class: CKO_PRIVATE_KEY,
        complete: |key| {
            let parsed = parse::<F>(set::<F>(key)?, key)?;
            // An expanded form that is there must be this one.
            follows(key, CKA_VALUE, parsed.expanded())?;
            identity(&*parsed).mark(key)
        },
        export: Some(export::<F>),
        import: Some(import::<F>),
        ..row
    };
    [row, private]
}

/// The public key of an object.
pub(super) fn public<F: Family>(key: &Object) -> Result<&PublicOf<F>> {
    key.prepared(|key| Public::new(set::<F>(key.attributes())?, key.bytes(CKA_VALUE)?))
}

/// The private key of an object.
pub(super) fn private<F: Family>(key: &Object) -> Result<&F::Key> {
    key.prepared(|key| parse::<F>(set::<F>(key.attributes())?, key.secrets()?))
}

fn set<F: Family>(key: &Attributes) -> Result<SetOf<F::Key>> {
    let wanted = key.need_ulong(CKA_PARAMETER_SET)?;
    match F::SETS.iter().find(|(number, _)| *number == wanted) {
        Some((_, set)) => Ok(*set),
        None => fail!(ParameterSetNotSupported, "CKA_PARAMETER_SET: {wanted}"),
    }
}

/// Of the seed, or else of the expanded form.
///
/// # Errors
/// CKR_TEMPLATE_INCOMPLETE if neither is there.
fn parse<F: Family>(set: SetOf<F::Key>, key: &Attributes) -> Result<F::Key> {
    match key.bytes(CKA_SEED) {
        Some(seed) if !seed.is_empty() => Private::from_seed(set, seed),
        _ => Private::from_expanded(set, key.need_bytes(CKA_VALUE)?),
    }
}

/// By SubjectPublicKeyInfo (RFC 9881, section 4; RFC 9935, section 4).
fn identity(key: &impl Public) -> Identity {
    let (oid, bytes) = (key.set().row().oid, key.bytes());
    Identity::new(move || public_key_info(Algorithm::new(oid), Der::Bits(&bytes)))
}

impl<F: Family> GeneratePair for F {
    fn key_type(&self) -> CK_KEY_TYPE {
        F::KEY_TYPE
    }

    fn generate(&self, public: &Attributes, _: &Attributes) -> Result<(Attributes, Attributes)> {
        let number = public.need_ulong(CKA_PARAMETER_SET)?;
        let key = F::Key::generate(set::<F>(public)?)?;
        let half = || Attributes::new().with(CKA_PARAMETER_SET, number);
        let mut private = half().with(CKA_VALUE, key.expanded());
        let mut public = half().with(CKA_VALUE, key.bytes());
        if let Some(seed) = key.seed() {
            private.set(CKA_SEED, seed);
        }
        let identity = identity(&*key);
        identity.mark(&mut public)?;
        identity.mark(&mut private)?;
        Ok((public, private))
    }
}

/// The seed where there is one, the expanded key where there is none.
fn export<F: Family>(key: &Object) -> Result<Secret> {
    let key = private::<F>(key)?;
    let (seed, expanded) = (key.seed(), key.expanded());
    let bytes = match &seed {
        Some(seed) => Der::Bytes(tag::context(0), seed.expose()),
        None => Der::Bytes(tag::OCTET_STRING, expanded.expose()),
    };
    Ok(pkcs8::write(Algorithm::new(key.set().row().oid), bytes))
}

fn import<F: Family>(pkcs8: &[u8]) -> Result<Attributes> {
    for (number, set) in F::SETS {
        if let Ok(key) = read(set.row().oid, pkcs8) {
            return Ok(key.with(CKA_PARAMETER_SET, *number));
        }
    }
    Err(malformed())
}

/// CKA_SEED, CKA_VALUE or both.
fn read(oid: &[u8], pkcs8: &[u8]) -> Result<Attributes> {
    let (parameters, key) = pkcs8::read(pkcs8, oid)?;
    let mut attributes = Attributes::new();
    let mut components = || {
        parameters.is_empty().then_some(())?;
        let mut reader = Reader::new(key);
        match reader.any()? {
            (tag, seed) if tag == tag::context(0) => attributes.set(CKA_SEED, Secret::from_slice(seed)),
            (tag::OCTET_STRING, value) => attributes.set(CKA_VALUE, Secret::from_slice(value)),
            (tag::SEQUENCE, both) => {
                let mut both = Reader::new(both);
                attributes.set(CKA_SEED, Secret::from_slice(both.read(tag::OCTET_STRING)?));
                attributes.set(CKA_VALUE, Secret::from_slice(both.read(tag::OCTET_STRING)?));
                both.end()?;
            }
            _ => return None,
        }
        reader.end()
    };
    match components() {
        Some(()) => Ok(attributes),
        None => Err(malformed()),
    }
}
