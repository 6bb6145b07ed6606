//! Elliptic curves in short Weierstrass form (section 6.3): keys, ECDSA.

use super::check_value::Identity;
use super::pkcs8::{self, malformed};
use super::signature::{Scheme, Signature, verdict};
use super::{Begun, GeneratePair, Params, Sign, SignState, VerifyState, key::KeyKind};
use crate::crypto::ec::{Curve, PrivateKey, PublicKey};
use crate::crypto::encoding::{Algorithm, Der, Reader, public_key_info, tag};
use crate::crypto::{Hash, Secret};
use crate::error::Result;
use crate::object::{Attributes, Object};
use cryptoki_sys::*;

/// id-ecPublicKey (RFC 5480, section 2.1.1); its parameters name the curve.
const OID: &[u8] = b"\x2a\x86\x48\xce\x3d\x02\x01";

/// EC keys of both classes.
pub static KEYS: &[KeyKind] = &[
    KeyKind {
        class: CKO_PUBLIC_KEY,
        key_type: CKK_EC,
        fixed_len: None,
        complete: complete_public,
        size: |key| Ok(Curve::from_params(key.bytes(CKA_EC_PARAMS)?)?.bits()),
        export: None,
        import: None,
    },
    KeyKind {
        class: CKO_PRIVATE_KEY,
        key_type: CKK_EC,
        fixed_len: None,
        complete: complete_private,
        size: |key| Ok(Curve::from_params(key.bytes(CKA_EC_PARAMS)?)?.bits()),
        export: Some(export),
        import: Some(import),
    },
];

/// The expanded form of a public key.
fn public(key: &Object) -> Result<&PublicKey> {
    key.prepared(|key| parse_public(key.bytes(CKA_EC_PARAMS)?, key.bytes(CKA_EC_POINT)?))
}

/// The expanded form of a private key.
pub(super) fn private(key: &Object) -> Result<&PrivateKey> {
    key.prepared(|key| PrivateKey::new(Curve::from_params(key.bytes(CKA_EC_PARAMS)?)?, key.secret_value()?))
}

fn parse_public(params: &[u8], point: &[u8]) -> Result<PublicKey> {
    let curve = Curve::from_params(params)?;
    match curve.bare_point(point) {
        Some(point) => PublicKey::new(curve, point),
        None => fail!(AttributeValueInvalid, "CKA_EC_POINT is no encoding of a point of {curve:?}"),
    }
}

fn complete_public(key: &mut Attributes) -> Result<()> {
    let parsed = parse_public(key.need_bytes(CKA_EC_PARAMS)?, key.need_bytes(CKA_EC_POINT)?)?;
    key.set(CKA_EC_POINT, wrapped_point(&parsed));
    identity(&parsed).mark(key)
}

fn complete_private(key: &mut Attributes) -> Result<()> {
    let curve = Curve::from_params(key.need_bytes(CKA_EC_PARAMS)?)?;
    let parsed = PrivateKey::new(curve, key.need_bytes(CKA_VALUE)?)?;
    key.set(CKA_VALUE, parsed.value());
    if let Some(point) = key.remove(CKA_EC_POINT) {
        // Only PKCS#8 brings it, for us to compare.
        let given = point.as_bytes().and_then(|point| curve.bare_point(point)).unwrap_or(&[]);
        if PublicKey::new(curve, given)?.point() != parsed.point() {
            fail!(AttributeValueInvalid, "the public key is another private key's");
        }
    }
    identity(&parsed).mark(key)
}

/// CKA_EC_POINT: the uncompressed point in an OCTET STRING.
fn wrapped_point(key: &PublicKey) -> Vec<u8> {
    Der::Bytes(tag::OCTET_STRING, &key.point()).encode_public()
}

/// SubjectPublicKeyInfo (RFC 5480, section 2).
fn identity(key: &PublicKey) -> Identity {
    let (curve, point) = (key.curve(), key.point());
    Identity::new(move || {
        let curve = Der::Bytes(tag::OID, curve.oid()).encode_public();
        public_key_info(Algorithm { oid: OID, parameters: &curve }, Der::Bits(&point))
    })
}

/// ECPrivateKey (RFC 5915) with the public key, without the curve that PKCS#8 names already.
fn export(key: &Object) -> Result<Secret> {
    let key = private(key)?;
    let (curve, value, point) =
        (Der::Bytes(tag::OID, key.curve().oid()).encode_public(), key.value(), key.point());
    let fields = [
        Der::Unsigned(&[1]),
        Der::Bytes(tag::OCTET_STRING, value.expose()),
        Der::Node(tag::constructed(1), &[Der::Bits(&point)]),
    ];
    Ok(pkcs8::write(Algorithm { oid: OID, parameters: &curve }, Der::Node(tag::SEQUENCE, &fields)))
}

fn import(pkcs8: &[u8]) -> Result<Attributes> {
    let (params, key) = pkcs8::read(pkcs8, OID)?;
    let read = || {
        let mut reader = Reader::new(key);
        let mut fields = reader.enter(tag::SEQUENCE)?;
        reader.end()?;
        (fields.unsigned()? == [1]).then_some(())?;
        let mut attributes =
            Attributes::new().with(CKA_VALUE, Secret::from_slice(fields.read(tag::OCTET_STRING)?));
        let inner = fields.read(tag::constructed(0)).unwrap_or(params);
        let params = if params.is_empty() { inner } else { params };
        (inner == params && !params.is_empty()).then_some(())?;
        attributes.set(CKA_EC_PARAMS, params);
        if let Some(mut public) = fields.enter(tag::constructed(1)) {
            attributes.set(CKA_EC_POINT, public.bits()?);
            public.end()?;
        }
        fields.end()?;
        Some(attributes)
    };
    read().ok_or_else(malformed)
}

/// CKM_EC_KEY_PAIR_GEN (section 6.3.11).
pub struct KeyPairGen;

impl GeneratePair for KeyPairGen {
    fn key_type(&self) -> CK_KEY_TYPE {
        CKK_EC
    }

    fn generate(&self, public: &Attributes, _: &Attributes) -> Result<(Attributes, Attributes)> {
        let params = public.need_bytes(CKA_EC_PARAMS)?;
        let key = PrivateKey::generate(Curve::from_params(params)?)?;
        let mut public =
            Attributes::new().with(CKA_EC_PARAMS, params).with(CKA_EC_POINT, wrapped_point(&key));
        let mut private = Attributes::new().with(CKA_EC_PARAMS, params).with(CKA_VALUE, key.value());
        let identity = identity(&key);
        identity.mark(&mut public)?;
        identity.mark(&mut private)?;
        Ok((public, private))
    }
}

/// CKM_ECDSA and CKM_ECDSA_SHA* (sections 6.3.14 and 6.3.15), of the caller's digest without a hash.
pub struct Ecdsa(pub Option<Hash>);

impl Sign for Ecdsa {
    fn sign(&self, key: &Object, _: &mut Params, state: &mut Begun<dyn SignState>) -> Result<()> {
        private(key)?;
        begin!(state, Signature::new(EcdsaScheme, self.0))
    }

    fn verify(&self, key: &Object, _: &mut Params, state: &mut Begun<dyn VerifyState>) -> Result<()> {
        public(key)?;
        begin!(state, Signature::new(EcdsaScheme, self.0))
    }
}

struct EcdsaScheme;

impl Scheme for EcdsaScheme {
    fn len(&self, key: &Object) -> usize {
        private(key).map_or(0, |key| 2 * key.curve().element_len())
    }

    fn sign(&self, key: &Object, input: &[u8], out: &mut [u8]) -> Result<usize> {
        let key = private(key)?;
        key.sign(input, out)?;
        Ok(2 * key.curve().element_len())
    }

    /// Halves shorter than the order are allowed as long as they are equally short (section 6.3.1).
    fn verify(&self, key: &Object, input: &[u8], signature: &[u8]) -> Result<()> {
        let key = public(key)?;
        let most = 2 * key.curve().element_len();
        if signature.is_empty() || signature.len() > most || !signature.len().is_multiple_of(2) {
            fail!(SignatureLenRange, "{} bytes; a signature has {most}", signature.len());
        }
        verdict(key.verify(input, signature))
    }
}
