//! What files of keys hold: PEM, DER, PKCS#12 and JWK taken apart.

use super::{jwk, pkcs12};
use crate::files;
use crate::public::{self, ALGORITHMS};
use coffer_pkcs11::crypto::encoding::{Algorithm, Der, Reader, private_key_info, read_private_key_info, tag};
use coffer_pkcs11::mechanism::key;
use coffer_pkcs11::object::{Attributes, Value};
use pkcs8::EncryptedPrivateKeyInfoRef;
use pkcs11_client::Attr;
use pkcs11_client::cryptoki_sys::*;
use zeroize::Zeroizing;

/// Bytes that wipe themselves.
pub type Bytes = Zeroizing<Vec<u8>>;

/// One thing to store.
pub enum Material {
    /// PrivateKeyInfo (PKCS#8).
    Private(Bytes),
    /// SubjectPublicKeyInfo.
    Public(Vec<u8>),
    /// A secret key's value.
    Secret(Bytes),
    /// An X.509 certificate.
    Certificate(Vec<u8>),
}

/// With the name that the file has for it.
pub struct Named {
    /// None, or none but blanks, where it has no name.
    pub name: Option<String>,
    /// The type of a secret key, where the file says it.
    pub key_type: Option<CK_KEY_TYPE>,
    /// What it is.
    pub material: Material,
}

impl Material {
    /// Without a name.
    pub fn unnamed(self) -> Named {
        self.named(None)
    }

    /// With a name, if there is one.
    pub fn named(self, name: Option<&str>) -> Named {
        let name = name.filter(|name| !name.trim().is_empty()).map(Into::into);
        Named { name, key_type: None, material: self }
    }
}

/// Whether a file is of one of the forms that are text, JWK and PEM, be it right or wrong.
pub fn is_text(bytes: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok()
        || files::pem(bytes).map_or(true, |blocks| !blocks.is_empty())
}

/// Everything in a file. `passphrase` is asked for at most once, and only if something is encrypted.
///
/// # Errors
/// A sentence: a form that is not known, a wrong passphrase.
pub fn read(
    bytes: &[u8],
    passphrase: impl FnOnce() -> Result<Zeroizing<String>, String>,
) -> Result<Vec<Named>, String> {
    let mut passphrase = Passphrase::Ask(passphrase);
    if bytes.trim_ascii_start().starts_with(b"{") {
        return jwk::read(bytes);
    }
    let blocks = files::pem(bytes)?;
    if blocks.is_empty() {
        return der(bytes, &mut passphrase);
    }
    let mut found = Vec::new();
    for block in blocks {
        let wrong = || format!("the {} is malformed", block.label);
        match block.label.as_str() {
            "EC PARAMETERS" => {}
            "RSA PRIVATE KEY" => found.push(Material::Private(pkcs1(&block.der)).unnamed()),
            "EC PRIVATE KEY" => found.push(Material::Private(sec1(&block.der).ok_or_else(wrong)?).unnamed()),
            "PRIVATE KEY" | "PUBLIC KEY" | "ENCRYPTED PRIVATE KEY" | "CERTIFICATE" | "X509 CERTIFICATE" => {
                found.extend(der(&block.der, &mut passphrase)?);
            }
            label => return Err(format!("a PEM block {label}, which is no key and no certificate")),
        }
    }
    Ok(found)
}

/// A passphrase that is asked for when it is first needed.
enum Passphrase<F> {
    Ask(F),
    Known(Zeroizing<String>),
    Failed,
}

impl<F: FnOnce() -> Result<Zeroizing<String>, String>> Passphrase<F> {
    fn get(&mut self) -> Result<&str, String> {
        if let Passphrase::Ask(_) = self
            && let Passphrase::Ask(ask) = std::mem::replace(self, Passphrase::Failed)
        {
            *self = Passphrase::Known(ask()?);
        }
        match self {
            Passphrase::Known(passphrase) => Ok(passphrase),
            _ => Err("there is no passphrase".into()),
        }
    }
}

/// DER says itself what it is.
fn der<F>(bytes: &[u8], passphrase: &mut Passphrase<F>) -> Result<Vec<Named>, String>
where
    F: FnOnce() -> Result<Zeroizing<String>, String>,
{
    if read_private_key_info(bytes).is_some() {
        return Ok(vec![Material::Private(Zeroizing::new(bytes.to_vec())).unnamed()]);
    }
    if let Ok(encrypted) = EncryptedPrivateKeyInfoRef::try_from(bytes) {
        let opened = encrypted.decrypt(passphrase.get()?);
        let opened = opened.map_err(
            |_| "the private key does not open: a wrong passphrase, or an encryption that is not supported",
        )?;
        return Ok(vec![Material::Private(Zeroizing::new(opened.as_bytes().to_vec())).unnamed()]);
    }
    if let Some(pkcs8) = traditional(bytes) {
        return Ok(vec![Material::Private(pkcs8).unnamed()]);
    }
    if public::attributes(bytes).is_ok() {
        return Ok(vec![Material::Public(bytes.to_vec()).unnamed()]);
    }
    if certificate(bytes).is_some() {
        return Ok(vec![Material::Certificate(bytes.to_vec()).unnamed()]);
    }
    if pkcs12::looks_like(bytes) {
        return pkcs12::read(bytes, passphrase.get()?);
    }
    Err("none of PEM, PKCS#8, PKCS#1, SEC 1, SubjectPublicKeyInfo, X.509, PKCS#12 and JWK; a raw secret key needs --key-type-class".into())
}

/// RSAPrivateKey (RFC 8017) as PKCS#8.
fn pkcs1(der: &[u8]) -> Bytes {
    let null = Der::Bytes(tag::NULL, &[]).encode_public();
    let algorithm = Algorithm { oid: ALGORITHMS[0].0, parameters: &null };
    Zeroizing::new(private_key_info(algorithm, Der::Encoded(der)).expose().to_vec())
}

/// PKCS#1 or SEC 1 without the PEM that names it, as PKCS#8.
fn traditional(der: &[u8]) -> Option<Bytes> {
    sec1(der).or_else(|| {
        let mut fields = Reader::new(der).enter(tag::SEQUENCE)?;
        fields.unsigned()?;
        fields.unsigned().filter(|modulus| modulus.len() >= 64)?;
        let pkcs8 = pkcs1(der);
        private_parts(&pkcs8).is_ok().then_some(pkcs8)
    })
}

/// ECPrivateKey (RFC 5915) as PKCS#8, whose algorithm takes the curve from inside.
fn sec1(der: &[u8]) -> Option<Bytes> {
    let mut fields = Reader::new(der).enter(tag::SEQUENCE)?;
    fields.unsigned()?;
    fields.read(tag::OCTET_STRING)?;
    let curve = fields.read(tag::constructed(0))?;
    let algorithm = Algorithm { oid: ALGORITHMS[1].0, parameters: curve };
    Some(Zeroizing::new(private_key_info(algorithm, Der::Encoded(der)).expose().to_vec()))
}

/// What a certificate object wants to know (section 4.6.3): subject, issuer and serial number as they are encoded, and
/// the public key.
pub struct Certificate<'a> {
    pub subject: &'a [u8],
    pub issuer: &'a [u8],
    pub serial: &'a [u8],
    pub public_key: &'a [u8],
}

/// Takes an X.509 certificate (RFC 5280, section 4.1) apart.
pub fn certificate(der: &[u8]) -> Option<Certificate<'_>> {
    let mut outer = Reader::new(der);
    let mut fields = outer.enter(tag::SEQUENCE)?;
    outer.end()?;
    let mut inner = fields.enter(tag::SEQUENCE)?;
    fields.enter(tag::SEQUENCE)?;
    fields.bits()?;
    fields.end()?;
    let mut serial = inner.encoded()?;
    if serial.first() == Some(&tag::constructed(0)) {
        serial = inner.encoded()?;
    }
    (serial.first() == Some(&tag::INTEGER)).then_some(())?;
    inner.enter(tag::SEQUENCE)?;
    let issuer = inner.encoded()?;
    inner.enter(tag::SEQUENCE)?;
    let subject = inner.encoded()?;
    let public_key = inner.encoded()?;
    Some(Certificate { subject, issuer, serial, public_key })
}

/// The type of a private key and all that is known of it, checked.
///
/// # Errors
/// A sentence: an algorithm that has no key type here, or numbers that make no key.
pub fn private_parts(pkcs8: &[u8]) -> Result<(CK_KEY_TYPE, Attributes), String> {
    let (algorithm, _) = read_private_key_info(pkcs8).ok_or("not a PKCS#8 private key")?;
    let known = ALGORITHMS.iter().find(|(oid, ..)| *oid == algorithm.oid);
    let &(_, key_type, _) = known.ok_or("a private key of an algorithm that is not supported")?;
    let kind = key::kind(CKO_PRIVATE_KEY, key_type).map_err(|error| error.to_string())?;
    let import = kind.import.ok_or("private keys of this type do not come as PKCS#8")?;
    let parts = import(pkcs8).and_then(|mut parts| (kind.complete)(&mut parts).map(|()| parts));
    Ok((key_type, parts.map_err(|error| format!("the private key: {error}"))?))
}

/// What C_CreateObject takes of a private key, the same in every module.
pub fn private_template(parts: &Attributes) -> Vec<Attr> {
    const TAKEN: &[CK_ATTRIBUTE_TYPE] = &[
        CKA_MODULUS,
        CKA_PUBLIC_EXPONENT,
        CKA_PRIVATE_EXPONENT,
        CKA_PRIME_1,
        CKA_PRIME_2,
        CKA_EXPONENT_1,
        CKA_EXPONENT_2,
        CKA_COEFFICIENT,
        CKA_EC_PARAMS,
        CKA_VALUE,
        CKA_PARAMETER_SET,
        CKA_SEED,
    ];
    let taken = TAKEN.iter().filter_map(|kind| match parts.value(*kind)? {
        Value::Ulong(number) => Some(Attr::ulong(*kind, *number)),
        value => Some(Attr::bytes(*kind, value.as_bytes()?)),
    });
    taken.collect()
}
