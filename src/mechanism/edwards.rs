//! The curves of RFC 7748 and RFC 8032 (section 6.3): Ed25519 as CKK_EC_EDWARDS, X25519 as CKK_EC_MONTGOMERY.

use super::check_value::Identity;
use super::pkcs8::{self, malformed};
use super::signature::{Scheme, Signature, check_len, verdict};
use super::{Begun, GeneratePair, Params, Sign, SignState, VerifyState, key::KeyKind, wrong_shape};
use crate::crypto::edwards::{self, KEY_LEN, MAX_CONTEXT, SIGNATURE_LEN, Variant};
use crate::crypto::encoding::{Algorithm, Der, Reader, public_key_info, tag};
use crate::crypto::{Hash, Secret, montgomery};
use crate::error::{Result, Rv};
use crate::object::{Attributes, Object};
use cryptoki_sys::*;
use std::mem::take;

/// One of the two curves: what CKA_EC_PARAMS may call it.
struct Curve {
    /// Contents of RFC 8410's object identifier.
    oid: &'static [u8],
    names: [&'static [u8]; 2],
}

const ED25519: Curve = Curve { oid: b"\x2b\x65\x70", names: [b"edwards25519", b"Ed25519"] };

const X25519: Curve = Curve { oid: b"\x2b\x65\x6e", names: [b"curve25519", b"X25519"] };

/// Whether CKA_EC_PARAMS names Ed25519.
pub fn is_ed25519(params: &[u8]) -> bool {
    ED25519.check(params).is_ok()
}

impl Curve {
    /// Checks that CKA_EC_PARAMS names this curve.
    fn check(&self, params: &[u8]) -> Result<()> {
        let mut reader = Reader::new(params);
        match reader.any().filter(|_| reader.is_empty()) {
            Some((tag::OID, oid)) if oid == self.oid => Ok(()),
            Some((tag::PRINTABLE_STRING, name))
                if self.names.iter().any(|n| n.eq_ignore_ascii_case(name)) =>
            {
                Ok(())
            }
            Some((tag::OID | tag::PRINTABLE_STRING, _)) => {
                fail!(CurveNotSupported, "CKA_EC_PARAMS names a curve that is not supported for the key type")
            }
            _ => fail!(DomainParamsInvalid, "CKA_EC_PARAMS is neither object identifier nor name"),
        }
    }

    /// SubjectPublicKeyInfo (RFC 8410, section 4).
    fn identity(&self, public: &[u8; KEY_LEN]) -> Identity {
        let (oid, public) = (self.oid, *public);
        Identity::new(move || public_key_info(Algorithm::new(oid), Der::Bits(&public)))
    }

    /// PKCS#8 (RFC 8410, section 7).
    fn export(&self, value: &Secret) -> Secret {
        pkcs8::write(Algorithm::new(self.oid), Der::Bytes(tag::OCTET_STRING, value.expose()))
    }

    fn import(&self, pkcs8: &[u8]) -> Result<Attributes> {
        let (params, key) = pkcs8::read(pkcs8, self.oid)?;
        let mut reader = Reader::new(key);
        match (params, reader.read(tag::OCTET_STRING)) {
            ([], Some(value)) if reader.is_empty() => Ok(Attributes::new()
                .with(CKA_EC_PARAMS, Der::Bytes(tag::OID, self.oid).encode_public())
                .with(CKA_VALUE, Secret::from_slice(value))),
            _ => Err(malformed()),
        }
    }

    /// Checks a public key and puts in what follows. CKA_EC_POINT is the bare key (section 6.3.5).
    fn complete_public(&self, key: &mut Attributes) -> Result<()> {
        self.check(key.need_bytes(CKA_EC_PARAMS)?)?;
        let Ok(point) = <[u8; KEY_LEN]>::try_from(bare(key.need_bytes(CKA_EC_POINT)?)) else {
            fail!(AttributeValueInvalid, "CKA_EC_POINT: a public key of this curve has {KEY_LEN} bytes");
        };
        key.set(CKA_EC_POINT, &point[..]);
        self.identity(&point).mark(key)
    }

    /// Checks the template's CKA_EC_PARAMS and makes the attributes of a pair.
    fn pair(
        &self,
        template: &Attributes,
        public: &[u8; KEY_LEN],
        value: Secret,
    ) -> Result<(Attributes, Attributes)> {
        let params = template.need_bytes(CKA_EC_PARAMS)?;
        let private = Attributes::new().with(CKA_EC_PARAMS, params).with(CKA_VALUE, value);
        let public_key = Attributes::new().with(CKA_EC_PARAMS, params).with(CKA_EC_POINT, &public[..]);
        let (mut public_key, mut private) = (public_key, private);
        let identity = self.identity(public);
        identity.mark(&mut public_key)?;
        identity.mark(&mut private)?;
        Ok((public_key, private))
    }
}

/// A public key as it is or in an OCTET STRING or BIT STRING, as older modules have it.
pub(super) fn bare(point: &[u8]) -> &[u8] {
    let mut reader = Reader::new(point);
    match reader.read(tag::OCTET_STRING).or_else(|| reader.bits()) {
        Some(inner) if inner.len() == KEY_LEN && reader.is_empty() => inner,
        _ => point,
    }
}

/// Keys of both curves and classes.
pub static KEYS: &[KeyKind] = &[
    KeyKind {
        class: CKO_PUBLIC_KEY,
        key_type: CKK_EC_EDWARDS,
        fixed_len: None,
        complete: |key| ED25519.complete_public(key),
        size: |_| Ok(BITS),
        export: None,
        import: None,
    },
    KeyKind {
        class: CKO_PRIVATE_KEY,
        key_type: CKK_EC_EDWARDS,
        fixed_len: None,
        complete: |key| {
            ED25519.check(key.need_bytes(CKA_EC_PARAMS)?)?;
            let parsed = edwards::PrivateKey::new(key.need_bytes(CKA_VALUE)?)?;
            ED25519.identity(parsed.bytes()).mark(key)
        },
        size: |_| Ok(BITS),
        export: Some(|key| Ok(ED25519.export(&ed25519(key)?.seed()))),
        import: Some(|pkcs8| ED25519.import(pkcs8)),
    },
    KeyKind {
        class: CKO_PUBLIC_KEY,
        key_type: CKK_EC_MONTGOMERY,
        fixed_len: None,
        complete: |key| X25519.complete_public(key),
        size: |_| Ok(BITS),
        export: None,
        import: None,
    },
    KeyKind {
        class: CKO_PRIVATE_KEY,
        key_type: CKK_EC_MONTGOMERY,
        fixed_len: None,
        complete: |key| {
            X25519.check(key.need_bytes(CKA_EC_PARAMS)?)?;
            let parsed = montgomery::PrivateKey::new(key.need_bytes(CKA_VALUE)?)?;
            X25519.identity(parsed.public()).mark(key)
        },
        size: |_| Ok(BITS),
        export: Some(|key| Ok(X25519.export(&x25519(key)?.value()))),
        import: Some(|pkcs8| X25519.import(pkcs8)),
    },
];

/// Bits of the field of both.
const BITS: usize = 255;

fn ed25519(key: &Object) -> Result<&edwards::PrivateKey> {
    key.prepared(|key| edwards::PrivateKey::new(key.secret_value()?))
}

fn ed25519_public(key: &Object) -> Result<&edwards::PublicKey> {
    key.prepared(|key| edwards::PublicKey::new(bare(key.bytes(CKA_EC_POINT)?)))
}

/// The expanded form of a private key of CKK_EC_MONTGOMERY.
pub(super) fn x25519(key: &Object) -> Result<&montgomery::PrivateKey> {
    key.prepared(|key| montgomery::PrivateKey::new(key.secret_value()?))
}

/// CKM_EC_EDWARDS_KEY_PAIR_GEN (section 6.3.12).
pub struct EdwardsKeyPairGen;

impl GeneratePair for EdwardsKeyPairGen {
    fn key_type(&self) -> CK_KEY_TYPE {
        CKK_EC_EDWARDS
    }

    fn generate(&self, public: &Attributes, _: &Attributes) -> Result<(Attributes, Attributes)> {
        ED25519.check(public.need_bytes(CKA_EC_PARAMS)?)?;
        let key = edwards::PrivateKey::generate();
        ED25519.pair(public, key.bytes(), key.seed())
    }
}

/// CKM_EC_MONTGOMERY_KEY_PAIR_GEN (section 6.3.13).
pub struct MontgomeryKeyPairGen;

impl GeneratePair for MontgomeryKeyPairGen {
    fn key_type(&self) -> CK_KEY_TYPE {
        CKK_EC_MONTGOMERY
    }

    fn generate(&self, public: &Attributes, _: &Attributes) -> Result<(Attributes, Attributes)> {
        X25519.check(public.need_bytes(CKA_EC_PARAMS)?)?;
        let key = montgomery::PrivateKey::generate();
        X25519.pair(public, key.public(), key.value())
    }
}

/// CKM_EDDSA (section 6.3.16). Without a parameter, Ed25519; phFlag makes Ed25519ph of it and a context without
/// phFlag Ed25519ctx.
pub struct EdDsa;

/// The prehash flag and the context.
fn read(params: Params) -> Result<(bool, Vec<u8>)> {
    match params {
        Params::None => Ok((false, Vec::new())),
        Params::EdDsa { context, .. } if context.len() > MAX_CONTEXT => {
            fail!(MechanismParamInvalid, "the context is longer than {MAX_CONTEXT} bytes")
        }
        Params::EdDsa { prehash, context } => Ok((prehash, context)),
        _ => Err(wrong_shape()),
    }
}

impl Sign for EdDsa {
    fn sign(&self, key: &Object, params: &mut Params, state: &mut Begun<dyn SignState>) -> Result<()> {
        ed25519(key)?;
        match read(take(params))? {
            (true, context) => begin!(state, Signature::new(Prehash(context), Some(Hash::Sha512))),
            (false, context) => begin!(state, Message { context, message: Vec::new() }),
        }
    }

    fn verify(&self, key: &Object, params: &mut Params, state: &mut Begun<dyn VerifyState>) -> Result<()> {
        ed25519_public(key)?;
        match read(take(params))? {
            (true, context) => begin!(state, Signature::new(Prehash(context), Some(Hash::Sha512))),
            (false, context) => begin!(state, Message { context, message: Vec::new() }),
        }
    }
}

fn sign(key: &Object, variant: Variant<'_>, message: &[u8], out: &mut [u8]) -> Result<usize> {
    let Some(out) = out.first_chunk_mut::<SIGNATURE_LEN>() else { fail!(BufferTooSmall) };
    ed25519(key)?.sign(variant, message, out)?;
    Ok(SIGNATURE_LEN)
}

fn verify(key: &Object, variant: Variant<'_>, message: &[u8], signature: &[u8]) -> Result<()> {
    check_len(signature, SIGNATURE_LEN)?;
    let signature = signature.try_into().map_err(|_| Rv::SignatureLenRange)?;
    verdict(ed25519_public(key)?.verify(variant, message, signature))
}

/// Ed25519ph under a context.
struct Prehash(Vec<u8>);

impl Scheme for Prehash {
    fn len(&self, _: &Object) -> usize {
        SIGNATURE_LEN
    }

    fn sign(&self, key: &Object, digest: &[u8], out: &mut [u8]) -> Result<usize> {
        sign(key, Variant::Prehash(&self.0), digest, out)
    }

    fn verify(&self, key: &Object, digest: &[u8], signature: &[u8]) -> Result<()> {
        verify(key, Variant::Prehash(&self.0), digest, signature)
    }
}

/// Ed25519 and Ed25519ctx read the message twice, so its parts are kept until the last has come.
struct Message {
    context: Vec<u8>,
    message: Vec<u8>,
}

/// Most bytes that are kept.
const MAX_MESSAGE: usize = 1 << 26;

impl Message {
    fn variant(&self) -> Variant<'_> {
        if self.context.is_empty() { Variant::Pure } else { Variant::Context(&self.context) }
    }

    fn take(&mut self, data: &[u8]) -> Result<()> {
        if self.message.len() + data.len() > MAX_MESSAGE {
            fail!(DataLenRange, "Ed25519 in parts takes at most {MAX_MESSAGE} bytes");
        }
        self.message.extend_from_slice(data);
        Ok(())
    }
}

impl SignState for Message {
    fn update(&mut self, _: &Object, data: &[u8]) -> Result<()> {
        self.take(data)
    }

    fn signature_len(&self, _: &Object) -> usize {
        SIGNATURE_LEN
    }

    fn finish(&mut self, key: &Object, out: &mut [u8]) -> Result<usize> {
        sign(key, self.variant(), &self.message, out)
    }

    fn one_shot(&mut self, key: &Object, data: &[u8], out: &mut [u8]) -> Result<usize> {
        sign(key, self.variant(), data, out)
    }
}

impl VerifyState for Message {
    fn update(&mut self, _: &Object, data: &[u8]) -> Result<()> {
        self.take(data)
    }

    fn finish(&mut self, key: &Object, signature: &[u8]) -> Result<()> {
        verify(key, self.variant(), &self.message, signature)
    }

    fn one_shot(&mut self, key: &Object, data: &[u8], signature: &[u8]) -> Result<()> {
        verify(key, self.variant(), data, signature)
    }
}
