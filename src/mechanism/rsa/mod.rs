//! RSA (section 6.1): keys and their generation. Signatures, encryption and wrapping have files of their own.

mod aes_wrap;
mod encrypt;
mod sign;

pub use aes_wrap::AesWrap;
pub use encrypt::{Oaep, Pkcs1, Raw};
pub use sign::{Pss, RawSign, SignPkcs1};

use super::check_value::{Identity, follows};
use super::pkcs8::{self, malformed};
use super::{GeneratePair, key::KeyKind};
use crate::crypto::Secret;
use crate::crypto::encoding::{Algorithm, Der, Reader, public_key_info, tag};
use crate::crypto::rsa::{Parts, Primes, PrivateKey, PublicKey};
use crate::error::Result;
use crate::object::{Attributes, Object};
use cryptoki_sys::*;

/// rsaEncryption (RFC 8017, appendix A.1) with its parameters, NULL.
const ALGORITHM: Algorithm<'_> =
    Algorithm { oid: b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01", parameters: &[tag::NULL, 0] };

/// The exponent of key pairs whose template names none.
const DEFAULT_EXPONENT: &[u8] = &[1, 0, 1];

/// RSA keys of both classes.
pub static KEYS: &[KeyKind] = &[
    KeyKind {
        class: CKO_PUBLIC_KEY,
        key_type: CKK_RSA,
        fixed_len: None,
        complete: complete_public,
        size: |key| Ok(public(key)?.bits()),
        export: None,
        import: None,
    },
    KeyKind {
        class: CKO_PRIVATE_KEY,
        key_type: CKK_RSA,
        fixed_len: None,
        complete: complete_private,
        size: |key| Ok(private(key)?.bits()),
        export: Some(export),
        import: Some(import),
    },
];

/// The expanded form of a public key.
pub(super) fn public(key: &Object) -> Result<&PublicKey> {
    key.prepared(|key| PublicKey::new(key.bytes(CKA_MODULUS)?, key.bytes(CKA_PUBLIC_EXPONENT)?))
}

/// The expanded form of a private key.
pub(super) fn private(key: &Object) -> Result<&PrivateKey> {
    key.prepared(|key| {
        let secrets = key.secrets()?;
        let all = |attribute| key.attributes().bytes(attribute).or(secrets.bytes(attribute)).unwrap_or(&[]);
        PrivateKey::new(&parts(all))
    })
}

fn parts<'a>(bytes: impl Fn(CK_ATTRIBUTE_TYPE) -> &'a [u8]) -> Parts<'a> {
    Parts {
        modulus: bytes(CKA_MODULUS),
        public_exponent: bytes(CKA_PUBLIC_EXPONENT),
        private_exponent: bytes(CKA_PRIVATE_EXPONENT),
        prime_1: bytes(CKA_PRIME_1),
        prime_2: bytes(CKA_PRIME_2),
        exponent_1: bytes(CKA_EXPONENT_1),
        exponent_2: bytes(CKA_EXPONENT_2),
        coefficient: bytes(CKA_COEFFICIENT),
    }
}

fn complete_public(key: &mut Attributes) -> Result<()> {
    let parsed = PublicKey::new(key.need_bytes(CKA_MODULUS)?, key.need_bytes(CKA_PUBLIC_EXPONENT)?)?;
    follows(key, CKA_MODULUS_BITS, parsed.bits() as CK_ULONG)?;
    Identity::of(info(&parsed)).mark(key)
}

fn complete_private(key: &mut Attributes) -> Result<()> {
    key.need_bytes(CKA_MODULUS)?;
    key.need_bytes(CKA_PRIVATE_EXPONENT)?;
    let parsed = PrivateKey::new(&parts(|attribute| key.bytes(attribute).unwrap_or(&[])))?;
    if !parsed.primes_are_prime()? {
        fail!(AttributeValueInvalid, "CKA_PRIME_1 or CKA_PRIME_2 is not prime");
    }
    for (attribute, value) in components(&parsed) {
        key.set_default(attribute, value);
    }
    key.set_default(CKA_PUBLIC_EXPONENT, parsed.exponent());
    Identity::of(info(&parsed)).mark(key)
}

/// The secret components.
fn components(key: &PrivateKey) -> [(CK_ATTRIBUTE_TYPE, Secret); 6] {
    [
        (CKA_PRIVATE_EXPONENT, key.private_exponent()),
        (CKA_PRIME_1, key.prime_1()),
        (CKA_PRIME_2, key.prime_2()),
        (CKA_EXPONENT_1, key.exponent_1()),
        (CKA_EXPONENT_2, key.exponent_2()),
        (CKA_COEFFICIENT, key.coefficient()),
    ]
}

/// SubjectPublicKeyInfo (RFC 3279, section 2.3.1).
fn info(key: &PublicKey) -> Vec<u8> {
    let (modulus, exponent) = (key.modulus(), key.exponent());
    let numbers = [Der::Unsigned(&modulus), Der::Unsigned(&exponent)];
    public_key_info(ALGORITHM, Der::BitsOf(&Der::Node(tag::SEQUENCE, &numbers)))
}

/// RSAPrivateKey (RFC 8017, appendix A.1.2).
fn export(key: &Object) -> Result<Secret> {
    let key = private(key)?;
    let (modulus, exponent, secrets) = (key.modulus(), key.exponent(), components(key));
    let mut numbers = vec![Der::Unsigned(&[]), Der::Unsigned(&modulus), Der::Unsigned(&exponent)];
    numbers.extend(secrets.iter().map(|(_, secret)| Der::Unsigned(secret.expose())));
    Ok(pkcs8::write(ALGORITHM, Der::Node(tag::SEQUENCE, &numbers)))
}

fn import(pkcs8: &[u8]) -> Result<Attributes> {
    let (parameters, key) = pkcs8::read(pkcs8, ALGORITHM.oid)?;
    if !matches!(parameters, [] | [tag::NULL, 0]) {
        return Err(malformed());
    }
    let read = || {
        let mut reader = Reader::new(key);
        let mut numbers = reader.enter(tag::SEQUENCE)?;
        reader.end()?;
        // Version 0: two primes.
        numbers.unsigned()?.is_empty().then_some(())?;
        let mut attributes = Attributes::new();
        attributes.set(CKA_MODULUS, numbers.unsigned()?);
        attributes.set(CKA_PUBLIC_EXPONENT, numbers.unsigned()?);
        for attribute in
            [CKA_PRIVATE_EXPONENT, CKA_PRIME_1, CKA_PRIME_2, CKA_EXPONENT_1, CKA_EXPONENT_2, CKA_COEFFICIENT]
        {
            attributes.set(attribute, Secret::from_slice(numbers.unsigned()?));
        }
        numbers.end()?;
        Some(attributes)
    };
    read().ok_or_else(malformed)
}

/// CKM_RSA_PKCS_KEY_PAIR_GEN and CKM_RSA_X9_31_KEY_PAIR_GEN (sections 6.1.4 and 6.1.5), which differ in their primes.
pub struct KeyPairGen(pub Primes);

impl GeneratePair for KeyPairGen {
    fn key_type(&self) -> CK_KEY_TYPE {
        CKK_RSA
    }

    fn generate(&self, public: &Attributes, _: &Attributes) -> Result<(Attributes, Attributes)> {
        let bits = public.need_ulong(CKA_MODULUS_BITS)?;
        let exponent = public.bytes(CKA_PUBLIC_EXPONENT).unwrap_or(DEFAULT_EXPONENT);
        let key = PrivateKey::generate(bits as usize, exponent, self.0)?;
        let mut public = Attributes::new()
            .with(CKA_MODULUS, key.modulus())
            .with(CKA_MODULUS_BITS, bits)
            .with(CKA_PUBLIC_EXPONENT, key.exponent());
        let mut private =
            Attributes::new().with(CKA_MODULUS, key.modulus()).with(CKA_PUBLIC_EXPONENT, key.exponent());
        for (attribute, value) in components(&key) {
            private.set(attribute, value);
        }
        let identity = Identity::of(info(&key));
        identity.mark(&mut public)?;
        identity.mark(&mut private)?;
        Ok((public, private))
    }
}
