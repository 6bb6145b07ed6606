//! Whether two keys, each in its own token, are the same: shown by using both.

use crate::connection::Connection;
use crate::{describe, public};
use pkcs11_client::cryptoki_sys::*;
use pkcs11_client::{Attr, Mechanism, Value};

/// What was seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Proof {
    /// Both gave the same answer to this.
    Used(&'static str),
    /// Neither may be used so that it shows, but what tells keys apart is equal: check value or public part.
    Equal(&'static str),
    /// There was nothing to compare.
    Nothing,
    /// They are different keys.
    Different,
}

impl Proof {
    /// As it is reported.
    pub fn sentence(&self) -> String {
        match self {
            Proof::Used(what) => format!("proved by {what} on both sides"),
            Proof::Equal(what) => format!("{what} is the same on both sides"),
            Proof::Nothing => "not proved: it may not be used so that it shows".into(),
            Proof::Different => "another one".into(),
        }
    }
}

/// A token and a key in it.
pub type At<'a> = (&'a Connection, CK_OBJECT_HANDLE);

/// Compares two keys of one class and type.
pub fn compare(a: At<'_>, b: At<'_>) -> Proof {
    let class = describe::number(a.0, a.1, CKA_CLASS);
    let key_type = describe::number(a.0, a.1, CKA_KEY_TYPE).unwrap_or(CK_UNAVAILABLE_INFORMATION);
    // A MAC cannot tell a key from the same with zeros behind it.
    let len = |at: At<'_>| describe::number(at.0, at.1, CKA_VALUE_LEN);
    if let (Some(a), Some(b)) = (len(a), len(b))
        && a != b
    {
        return Proof::Different;
    }
    let used = match class {
        Some(CKO_SECRET_KEY) => secret(a, b, key_type),
        Some(CKO_PRIVATE_KEY) => private(a, b, key_type),
        Some(CKO_CERTIFICATE) => same(a, b, &[CKA_VALUE], "the certificate"),
        Some(CKO_DATA) => same(a, b, &[CKA_VALUE, CKA_APPLICATION, CKA_OBJECT_ID], "the data"),
        _ => None,
    };
    used.unwrap_or_else(|| described(a, b))
}

/// What is no key is what it says.
fn same(a: At<'_>, b: At<'_>, parts: &[CK_ATTRIBUTE_TYPE], what: &'static str) -> Option<Proof> {
    let read = |(at, object): At<'_>| {
        parts.iter().map(|part| at.session.attribute(object, *part).ok()).collect::<Option<Vec<_>>>()
    };
    Some(if read(a)? == read(b)? { Proof::Equal(what) } else { Proof::Different })
}

/// Sixteen bytes that nobody chose.
fn challenge((connection, _): At<'_>) -> Option<Vec<u8>> {
    connection.session.random(16).ok()
}

fn verdict(a: Vec<u8>, b: Vec<u8>, what: &'static str) -> Proof {
    if a == b { Proof::Used(what) } else { Proof::Different }
}

fn secret(a: At<'_>, b: At<'_>, key_type: CK_KEY_TYPE) -> Option<Proof> {
    let data = challenge(a)?;
    let cipher = match key_type {
        CKK_AES => Some(CKM_AES_ECB),
        CKK_DES3 | CKK_DES2 => Some(CKM_DES3_ECB),
        _ => None,
    };
    if let Some(cipher) = cipher {
        let encrypt = |(at, key): At<'_>| at.session.encrypt(&Mechanism::new(cipher), key, &data).ok();
        if let (Some(a), Some(b)) = (encrypt(a), encrypt(b)) {
            return Some(verdict(a, b, "encryption"));
        }
        let decrypt = |(at, key): At<'_>| at.session.decrypt(&Mechanism::new(cipher), key, &data).ok();
        if let (Some(a), Some(b)) = (decrypt(a), decrypt(b)) {
            return Some(verdict(a, b, "decryption"));
        }
    }
    for mac in
        [CKM_SHA256_HMAC, CKM_AES_CMAC, CKM_DES3_CMAC, CKM_SHA_1_HMAC, CKM_SHA384_HMAC, CKM_SHA512_HMAC]
    {
        let sign = |(at, key): At<'_>| at.session.sign(&Mechanism::new(mac), key, &data).ok();
        if let (Some(a), Some(b)) = (sign(a), sign(b)) {
            return Some(verdict(a, b, "a MAC"));
        }
    }
    None
}

fn private(a: At<'_>, b: At<'_>, key_type: CK_KEY_TYPE) -> Option<Proof> {
    let scheme = match key_type {
        CKK_RSA => CKM_SHA256_RSA_PKCS,
        CKK_EC => CKM_ECDSA,
        CKK_EC_EDWARDS => CKM_EDDSA,
        CKK_ML_DSA => CKM_ML_DSA,
        _ => return None,
    };
    // What ECDSA signs is as long as a hash.
    let data = [challenge(a)?, challenge(b)?].concat();
    let sign = |(at, key): At<'_>| at.session.sign(&Mechanism::new(scheme), key, &data).ok();
    let (signed_a, signed_b) = (sign(a)?, sign(b)?);
    if signed_a == signed_b {
        return Some(Proof::Used("a signature"));
    }
    if matches!(key_type, CKK_RSA | CKK_EC_EDWARDS) {
        return Some(Proof::Different);
    }
    // Schemes with fresh randomness: one public key must verify both.
    let (_, mut template) = public::attributes(&public_info(a).or_else(|| public_info(b))?).ok()?;
    template.extend([
        Attr::class(CKO_PUBLIC_KEY),
        Attr::key_type(key_type),
        Attr::bool(CKA_TOKEN, false),
        Attr::bool(CKA_VERIFY, true),
    ]);
    let session = &b.0.session;
    let key = session.create_object(&template).ok()?;
    let verify = |signature: &[u8]| session.verify(&Mechanism::new(scheme), key, &data, signature);
    let both = verify(&signed_a).is_ok() && verify(&signed_b).is_ok();
    let _ = session.destroy(key);
    Some(if both { Proof::Used("signatures") } else { Proof::Different })
}

/// The public key of a private one: what the token knows of it, or the public key of the same ID beside it.
fn public_info((connection, key): At<'_>) -> Option<Vec<u8>> {
    if let Ok(info) = public::info(connection, key) {
        return Some(info);
    }
    let session = &connection.session;
    let id = session.attribute(key, CKA_ID).ok().filter(|id| !id.is_empty())?;
    let key_type = session.attribute(key, CKA_KEY_TYPE).ok()?;
    let template =
        [Attr::class(CKO_PUBLIC_KEY), Attr::bytes(CKA_KEY_TYPE, key_type), Attr::bytes(CKA_ID, id)];
    match session.find(&template).ok()?[..] {
        [key] => public::info(connection, key).ok(),
        _ => None,
    }
}

/// The public point of a private key on a curve, bare.
pub fn public_point(at: At<'_>) -> Option<Vec<u8>> {
    let (_, parts) = public::attributes(&public_info(at)?).ok()?;
    let point = parts.into_iter().find(|attr| attr.kind == CKA_EC_POINT)?;
    match &point.value {
        Value::Bytes(point) => Some(describe::bare(point).to_vec()),
        _ => None,
    }
}

/// By what tells keys apart without using them.
fn described(a: At<'_>, b: At<'_>) -> Proof {
    let read =
        |(at, key): At<'_>, kind| at.session.attribute(key, kind).ok().filter(|value| !value.is_empty());
    // The point may stand bare or in its OCTET STRING.
    let point = |at| read(at, CKA_EC_POINT).map(|point| describe::bare(&point).to_vec());
    let pairs = [
        (read(a, CKA_MODULUS), read(b, CKA_MODULUS), "the modulus"),
        (point(a), point(b), "the public point"),
        (public_info(a), public_info(b), "the public key"),
        (read(a, CKA_CHECK_VALUE), read(b, CKA_CHECK_VALUE), "the check value"),
    ];
    for (a, b, what) in pairs {
        if let (Some(a), Some(b)) = (a, b) {
            return if a == b { Proof::Equal(what) } else { Proof::Different };
        }
    }
    Proof::Nothing
}
