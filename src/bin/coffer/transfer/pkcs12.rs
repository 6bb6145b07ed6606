//! PKCS#12 files (RFC 7292): every key and certificate in them, with the names they have there.

use super::ber;
use super::material::{Material, Named};
use coffer_pkcs11::crypto::encoding::{Der, Reader, tag};
use p12_keystore::error::Error;
use p12_keystore::{Pkcs12Archive, secret::SecretKeyType};
use pkcs11_client::cryptoki_sys::*;
use zeroize::Zeroizing;

/// The contents of the object identifier of plain data (RFC 5652, section 4).
const DATA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01";

/// Whether it begins as PFX (RFC 7292, section 4) does: version 3 and a ContentInfo.
pub fn looks_like(bytes: &[u8]) -> bool {
    match bytes {
        [0x30, 0x80, 0x02, 0x01, 0x03, 0x30, ..] => true,
        _ => {
            let fields = Reader::new(bytes).enter(tag::SEQUENCE);
            fields.is_some_and(|mut fields| {
                fields.unsigned() == Some(&[3]) && fields.enter(tag::SEQUENCE).is_some()
            })
        }
    }
}

/// Everything in the file.
///
/// # Errors
/// A sentence: a wrong passphrase, an encryption that is not supported, a damaged file.
pub fn read(bytes: &[u8], passphrase: &str) -> Result<Vec<Named>, String> {
    let archive = archive(bytes, passphrase).map_err(|error| match error {
        Error::MacError(_) => "the PKCS#12 file does not open: a wrong passphrase".to_owned(),
        error => format!("the PKCS#12 file does not open: a wrong passphrase, an encryption that is not supported, or a damaged file ({error})"),
    })?;
    let mut found = Vec::new();
    for bag in &archive.keys {
        let pkcs8 = Zeroizing::new(bag.key.as_der().to_vec());
        found.push(Material::Private(pkcs8).named(bag.friendly_name.as_deref()));
    }
    for bag in &archive.certs {
        let der = bag.cert.as_der().to_vec();
        found.push(Material::Certificate(der).named(bag.friendly_name.as_deref()));
    }
    for bag in &archive.secrets {
        let value = Zeroizing::new(bag.key.key().to_vec());
        let mut named = Material::Secret(value).named(bag.friendly_name.as_deref());
        named.key_type = key_type(bag.key.key_type());
        found.push(named);
    }
    Ok(found)
}

/// As Java names its secret keys.
fn key_type(named: SecretKeyType) -> Option<CK_KEY_TYPE> {
    use SecretKeyType::*;
    match named {
        Aes | Aes128Cbc | Aes192Cbc | Aes256Cbc => Some(CKK_AES),
        DesEde3Cbc => Some(CKK_DES3),
        HmacSha1 | HmacSha224 | HmacSha256 | HmacSha384 | HmacSha512 => Some(CKK_GENERIC_SECRET),
        _ => None,
    }
}

fn archive(bytes: &[u8], passphrase: &str) -> Result<Pkcs12Archive, Error> {
    let outer = ber::to_der(bytes).ok_or(Error::InvalidData)?;
    let opened = Pkcs12Archive::from_pkcs12(&outer, passphrase);
    // The MAC is over the contents as they are, and is looked at before them: what fails afterwards, by its encoding, is
    // read once more as DER, which that MAC does not fit.
    match (opened, content(&outer).and_then(ber::to_der)) {
        (Err(Error::DerError(_)), Some(inner)) => {
            let content = Der::Node(tag::constructed(0), &[Der::Bytes(tag::OCTET_STRING, &inner)]);
            let info = Der::Node(tag::SEQUENCE, &[Der::Bytes(tag::OID, DATA), content]);
            let pfx = Der::Node(tag::SEQUENCE, &[Der::Unsigned(&[3]), info]).encode_public();
            Pkcs12Archive::from_pkcs12(&pfx, passphrase)
        }
        (opened, _) => opened,
    }
}

/// What a PFX holds, with its version and MAC taken off.
fn content(pfx: &[u8]) -> Option<&[u8]> {
    let mut fields = Reader::new(pfx).enter(tag::SEQUENCE)?;
    fields.unsigned()?;
    let mut info = fields.enter(tag::SEQUENCE)?;
    (info.read(tag::OID)? == DATA).then_some(())?;
    info.enter(tag::constructed(0))?.read(tag::OCTET_STRING)
}
