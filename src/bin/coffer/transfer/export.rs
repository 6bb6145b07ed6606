//! `coffer export`: keys and certificates into files.

use super::jwk;
use super::material::{Bytes, Material};
use crate::connection::Connection;
use crate::context::Context;
use crate::key::Selection;
use crate::key::manage::message;
use crate::key::wrap::{Method, wrap};
use crate::output::Outcome;
use crate::{describe, files, pin, public, select};
use clap::{Args, ValueEnum};
use coffer_pkcs11::crypto::encoding::Reader;
use coffer_pkcs11::crypto::{aes, key_wrap, random};
use p12_keystore::{Certificate, KeyStore, KeyStoreEntry, PrivateKey, PrivateKeyChain};
use pkcs8::PrivateKeyInfoRef;
use pkcs11_client::Attr;
use pkcs11_client::cryptoki_sys::*;
use std::path::PathBuf;
use zeroize::Zeroizing;

/// Writes a key or a certificate to a file, readable by its owner only. Private keys are encrypted with a passphrase unless
/// --plain is given, and leave the token only if they are extractable.
#[derive(Args)]
pub struct Export {
    #[command(flatten)]
    selection: Selection,
    /// The form of the file.
    #[arg(long, value_enum)]
    format: Format,
    /// The file; one that is there is replaced.
    #[arg(long)]
    path: PathBuf,
    /// Write a private or secret key as it is, for everyone who can read the file.
    #[arg(long)]
    plain: bool,
    /// A file with the passphrase (else COFFER_PASSPHRASE, else a prompt).
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// PEM: SubjectPublicKeyInfo, X.509, or PKCS#8.
    Pem,
    /// DER: SubjectPublicKeyInfo, X.509, or PKCS#8.
    Der,
    /// PKCS#12: a private key and the certificates of the same ID.
    Pkcs12,
    /// A JSON Web Key.
    Jwk,
    /// The bytes of a secret key.
    Raw,
}

impl Export {
    pub fn run(self, context: &mut Context) -> Outcome {
        let filter = self.selection.parse()?;
        let connection = context.connect()?;
        let key = select::one(connection, &filter, "key")?;
        let secret = |material: &Material| matches!(material, Material::Private(_) | Material::Secret(_));
        let encrypts = matches!(self.format, Format::Pem | Format::Der | Format::Pkcs12);
        let material = material(connection, key)?;
        if secret(&material) && !self.plain && (!encrypts || matches!(material, Material::Secret(_))) {
            return Err("this form does not protect the key; say --plain if that is meant".into());
        }
        let bytes = match (self.format, &material) {
            (Format::Jwk, _) => {
                Zeroizing::new(jwk::write(&material, &describe::label(connection, key))?.as_bytes().to_vec())
            }
            (Format::Raw, Material::Secret(value)) => value.clone(),
            (Format::Pkcs12, Material::Private(pkcs8)) => self.pkcs12(connection, key, pkcs8)?,
            (Format::Pem, Material::Public(info)) => pem("PUBLIC KEY", info),
            (Format::Pem, Material::Certificate(der)) => pem("CERTIFICATE", der),
            (Format::Der, Material::Public(der) | Material::Certificate(der)) => Zeroizing::new(der.clone()),
            (Format::Pem, Material::Private(pkcs8)) if self.plain => pem("PRIVATE KEY", pkcs8),
            (Format::Der, Material::Private(pkcs8)) if self.plain => pkcs8.clone(),
            (Format::Pem, Material::Private(pkcs8)) => pem("ENCRYPTED PRIVATE KEY", &self.encrypted(pkcs8)?),
            (Format::Der, Material::Private(pkcs8)) => self.encrypted(pkcs8)?,
            _ => {
                return Err(
                    "this form is for other keys: raw and jwk for secret ones, pkcs12 for private ones"
                        .into(),
                );
            }
        };
        files::write(&self.path, &bytes)?;
        Ok(message("Successfully exported"))
    }

    fn passphrase(&self) -> Result<Zeroizing<String>, String> {
        let passphrase =
            pin::obtain("passphrase", self.passphrase_file.as_deref(), "COFFER_PASSPHRASE", true)?;
        if passphrase.is_empty() {
            Err("an empty passphrase protects nothing".into())
        } else {
            Ok(passphrase)
        }
    }

    /// EncryptedPrivateKeyInfo by PBES2 with scrypt and AES-256.
    fn encrypted(&self, pkcs8: &[u8]) -> Result<Bytes, String> {
        let info = PrivateKeyInfoRef::try_from(pkcs8).map_err(|error| format!("the private key: {error}"))?;
        let sealed =
            info.encrypt(self.passphrase()?.as_bytes()).map_err(|error| format!("encrypting: {error}"))?;
        Ok(Zeroizing::new(sealed.as_bytes().to_vec()))
    }

    fn pkcs12(&self, connection: &Connection, key: CK_OBJECT_HANDLE, pkcs8: &[u8]) -> Result<Bytes, String> {
        let wrong = |error| format!("PKCS#12: {error}");
        let session = &connection.session;
        let id = session.attribute(key, CKA_ID).unwrap_or_default();
        let mut certificates = Vec::new();
        if !id.is_empty() {
            let template = [Attr::class(CKO_CERTIFICATE), Attr::bytes(CKA_ID, &id)];
            for certificate in session.find(&template).map_err(|rv| format!("C_FindObjects: {rv}"))? {
                let der =
                    session.attribute(certificate, CKA_VALUE).map_err(|rv| format!("a certificate: {rv}"))?;
                certificates.push(Certificate::from_der(&der).map_err(wrong)?);
            }
        }
        let mut store = KeyStore::new();
        let private = PrivateKey::from_der(pkcs8).map_err(wrong)?;
        let chain = PrivateKeyChain::new(&id[..], private, certificates);
        store.add_entry(&describe::label(connection, key), KeyStoreEntry::PrivateKeyChain(chain));
        let passphrase = self.passphrase()?;
        // OWASP's number for PBKDF2 with SHA-256.
        let writer = store.writer(&passphrase).encryption_iterations(600_000).mac_iterations(600_000);
        Ok(Zeroizing::new(writer.write().map_err(wrong)?))
    }
}

fn pem(label: &str, der: &[u8]) -> Bytes {
    Zeroizing::new(files::to_pem(label, der).as_bytes().to_vec())
}

/// The key, out of the token.
fn material(connection: &Connection, key: CK_OBJECT_HANDLE) -> Result<Material, String> {
    let session = &connection.session;
    match describe::number(connection, key, CKA_CLASS) {
        Some(CKO_PUBLIC_KEY) => Ok(Material::Public(public::info(connection, key)?)),
        Some(CKO_CERTIFICATE) => {
            let der = session.attribute(key, CKA_VALUE).map_err(|rv| format!("the certificate: {rv}"))?;
            Ok(Material::Certificate(der))
        }
        Some(CKO_SECRET_KEY) => match session.attribute(key, CKA_VALUE) {
            Ok(value) => Ok(Material::Secret(Zeroizing::new(value))),
            Err(_) => Ok(Material::Secret(wrapped_out(connection, key)?)),
        },
        Some(CKO_PRIVATE_KEY) => {
            let payload = wrapped_out(connection, key)?;
            // SoftHSM fills the structure with zeros to whole blocks.
            let whole =
                Reader::new(&payload).encoded().ok_or("the token wrapped something that is no PKCS#8")?;
            Ok(Material::Private(Zeroizing::new(whole.to_vec())))
        }
        _ => Err("this is no key and no certificate".into()),
    }
}

/// The payload of C_WrapKey with a session key whose value is known here: how an extractable key leaves a token that does
/// not show it.
fn wrapped_out(connection: &Connection, key: CK_OBJECT_HANDLE) -> Result<Bytes, String> {
    let session = &connection.session;
    let value = random::secret(32);
    let template = [
        Attr::class(CKO_SECRET_KEY),
        Attr::key_type(CKK_AES),
        Attr::bool(CKA_TOKEN, false),
        Attr::bool(CKA_WRAP, true),
        Attr::bytes(CKA_VALUE, value.expose()),
    ];
    let wrapping =
        session.create_object(&template).map_err(|rv| format!("making a key to wrap with: {rv}"))?;
    let wrapped = wrap(connection, Method::ZeroPad, wrapping, key);
    let _ = session.destroy(wrapping);
    let (wrapped, _) = wrapped?;
    let opened = aes::Key::new(value.expose()).and_then(|aes| key_wrap::unwrap_padded(&aes, &wrapped));
    opened
        .map(|opened| Zeroizing::new(opened.expose().to_vec()))
        .map_err(|error| format!("what the token wrapped: {error}"))
}
