//! Public keys as SubjectPublicKeyInfo (RFC 5280, section 4.1.2.7) and as attributes.

use crate::connection::Connection;
use crate::describe;
use coffer_pkcs11::crypto::encoding::{Der, Reader, tag};
use coffer_pkcs11::mechanism::key;
use coffer_pkcs11::object::Attributes;
use pkcs11_client::Attr;
use pkcs11_client::cryptoki_sys::*;

/// The contents of an algorithm's object identifier, its key type, and the parameter set that the identifier names.
pub const ALGORITHMS: &[(&[u8], CK_KEY_TYPE, Option<CK_ULONG>)] = &[
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01", CKK_RSA, None),
    (b"\x2a\x86\x48\xce\x3d\x02\x01", CKK_EC, None),
    (b"\x2b\x65\x70", CKK_EC_EDWARDS, None),
    (b"\x2b\x65\x6e", CKK_EC_MONTGOMERY, None),
    (b"\x60\x86\x48\x01\x65\x03\x04\x03\x11", CKK_ML_DSA, Some(CKP_ML_DSA_44)),
    (b"\x60\x86\x48\x01\x65\x03\x04\x03\x12", CKK_ML_DSA, Some(CKP_ML_DSA_65)),
    (b"\x60\x86\x48\x01\x65\x03\x04\x03\x13", CKK_ML_DSA, Some(CKP_ML_DSA_87)),
    (b"\x60\x86\x48\x01\x65\x03\x04\x04\x01", CKK_ML_KEM, Some(CKP_ML_KEM_512)),
    (b"\x60\x86\x48\x01\x65\x03\x04\x04\x02", CKK_ML_KEM, Some(CKP_ML_KEM_768)),
    (b"\x60\x86\x48\x01\x65\x03\x04\x04\x03", CKK_ML_KEM, Some(CKP_ML_KEM_1024)),
];

/// A public key's type and what it is made of, for C_CreateObject.
///
/// # Errors
/// A sentence: no such structure, or an algorithm that PKCS#11 has no key type for here.
pub fn attributes(info: &[u8]) -> Result<(CK_KEY_TYPE, Vec<Attr>), String> {
    let read = || {
        let mut outer = Reader::new(info);
        let mut fields = outer.enter(tag::SEQUENCE)?;
        outer.end()?;
        let mut algorithm = fields.enter(tag::SEQUENCE)?;
        let oid = algorithm.read(tag::OID)?;
        let parameters = if algorithm.is_empty() { None } else { algorithm.encoded() };
        let bits = fields.bits()?;
        fields.end()?;
        Some((oid, parameters, bits))
    };
    let (oid, parameters, bits) = read().ok_or("not a public key (SubjectPublicKeyInfo)")?;
    let known = ALGORITHMS.iter().find(|(known, ..)| *known == oid);
    let &(_, key_type, set) = known.ok_or("a public key of an algorithm that is not supported")?;
    let point = || Attr::bytes(CKA_EC_POINT, Der::Bytes(tag::OCTET_STRING, bits).encode_public());
    let attributes = match (key_type, set) {
        (CKK_RSA, _) => {
            let mut inner = Reader::new(bits);
            let mut numbers = inner.enter(tag::SEQUENCE).ok_or("the RSA public key inside is malformed")?;
            match (numbers.unsigned(), numbers.unsigned(), numbers.end(), inner.end()) {
                (Some(modulus), Some(exponent), Some(()), Some(())) => {
                    vec![Attr::bytes(CKA_MODULUS, modulus), Attr::bytes(CKA_PUBLIC_EXPONENT, exponent)]
                }
                _ => return Err("the RSA public key inside is malformed".into()),
            }
        }
        (CKK_EC, _) => vec![Attr::bytes(CKA_EC_PARAMS, parameters.ok_or("the curve is not named")?), point()],
        (_, Some(set)) => vec![Attr::ulong(CKA_PARAMETER_SET, set), Attr::bytes(CKA_VALUE, bits)],
        _ => vec![Attr::bytes(CKA_EC_PARAMS, Der::Bytes(tag::OID, oid).encode_public()), point()],
    };
    Ok((key_type, attributes))
}

/// The SubjectPublicKeyInfo of a key: what the module has as CKA_PUBLIC_KEY_INFO, or of the parts of a public key.
///
/// # Errors
/// A sentence.
pub fn info(connection: &Connection, key: CK_OBJECT_HANDLE) -> Result<Vec<u8>, String> {
    if let Ok(info) = connection.session.attribute(key, CKA_PUBLIC_KEY_INFO)
        && !info.is_empty()
    {
        return Ok(info);
    }
    let class = describe::number(connection, key, CKA_CLASS);
    let key_type = describe::number(connection, key, CKA_KEY_TYPE).ok_or("the key has no type")?;
    if class != Some(CKO_PUBLIC_KEY) && !(class == Some(CKO_PRIVATE_KEY) && key_type == CKK_RSA) {
        return Err(
            "this is no public key, and the module does not tell the public one that belongs to it".into()
        );
    }
    let mut attributes = Attributes::new();
    let parts = [CKA_MODULUS, CKA_PUBLIC_EXPONENT, CKA_EC_PARAMS, CKA_EC_POINT, CKA_PARAMETER_SET];
    // A secret CKA_VALUE is not asked for.
    let value = if class == Some(CKO_PUBLIC_KEY) { &[CKA_VALUE][..] } else { &[] };
    for part in parts.iter().chain(value) {
        if let Some(bytes) = connection.session.attribute(key, *part).ok().filter(|bytes| !bytes.is_empty()) {
            match part {
                &CKA_PARAMETER_SET => {
                    let set = bytes.try_into().map_err(|_| "CKA_PARAMETER_SET is no number")?;
                    attributes.set(*part, CK_ULONG::from_ne_bytes(set));
                }
                _ => attributes.set(*part, &bytes[..]),
            }
        }
    }
    let complete = key::kind(CKO_PUBLIC_KEY, key_type).and_then(|kind| (kind.complete)(&mut attributes));
    complete.map_err(|error| format!("the public key: {error}"))?;
    attributes
        .bytes(CKA_PUBLIC_KEY_INFO)
        .map(Into::into)
        .ok_or_else(|| "keys of this type have no PEM form".into())
}
