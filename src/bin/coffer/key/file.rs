//! `coffer key generate-file` and `coffer key import pem`.

use super::manage::message;
use super::{NewKey, Selection, generate::refused};
use crate::connection::Role;
use crate::context::Context;
use crate::output::{Outcome, Report};
use crate::select::put_default;
use crate::{describe, files, names, public, select};
use clap::{Args, Subcommand, ValueEnum};
use coffer_pkcs11::crypto::encoding::{Der, tag};
use pkcs11_client::Attr;
use pkcs11_client::cryptoki_sys::*;
use serde_json::json;
use std::path::PathBuf;

#[derive(Args)]
pub struct GenerateFile {
    #[command(flatten)]
    selection: Selection,
    /// What to write.
    #[arg(long, value_enum)]
    encoding: Encoding,
    /// Where to.
    #[arg(long)]
    path: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum Encoding {
    /// The public key: SubjectPublicKeyInfo in PEM.
    Pem,
    /// The public key: SubjectPublicKeyInfo in DER.
    Der,
    /// Where a private key is: a PKCS#11 URI in the PEM that OpenSSL's pkcs11-provider reads.
    ReferencePem,
    /// Windows' key storage reference, which no PKCS#11 token has.
    KspKeyReference,
}

impl GenerateFile {
    pub fn run(self, context: &mut Context) -> Outcome {
        let filter = self.selection.parse()?;
        let connection = context.connect()?;
        let key = select::one(connection, &filter, "key")?;
        match self.encoding {
            Encoding::Pem => {
                let pem = files::to_pem("PUBLIC KEY", &public::info(connection, key)?);
                files::write(&self.path, pem.as_bytes())?;
            }
            Encoding::Der => files::write(&self.path, &public::info(connection, key)?)?,
            Encoding::ReferencePem => {
                let class = describe::number(connection, key, CKA_CLASS);
                let kind = if class == Some(CKO_PUBLIC_KEY) { "public" } else { "private" };
                let mut uri = format!(
                    "pkcs11:token={};object={}",
                    percent(connection.label.as_bytes()),
                    percent(describe::label(connection, key).as_bytes())
                );
                if let Ok(id) = connection.session.attribute(key, CKA_ID)
                    && !id.is_empty()
                {
                    uri += &id.iter().fold(String::from(";id="), |text, byte| text + &format!("%{byte:02X}"));
                }
                uri += &format!(";type={kind}");
                let fields = [
                    Der::Bytes(VISIBLE_STRING, b"PKCS#11 Provider URI v1.0"),
                    Der::Bytes(UTF8_STRING, uri.as_bytes()),
                ];
                let der = Der::Node(tag::SEQUENCE, &fields).encode_public();
                files::write(&self.path, files::to_pem("PKCS#11 PROVIDER URI", &der).as_bytes())?;
            }
            Encoding::KspKeyReference => {
                return Err(
                    "ksp-key-reference is for Windows' key storage provider; use reference-pem".into()
                );
            }
        }
        Ok(message("Successfully generated key file"))
    }
}

const UTF8_STRING: u8 = 0x0C;
const VISIBLE_STRING: u8 = 0x1A;

/// Percent encoding of RFC 7512, section 2.3: unreserved characters stay.
fn percent(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                text.push(char::from(*byte))
            }
            _ => text += &format!("%{byte:02X}"),
        }
    }
    text
}

#[derive(Subcommand)]
pub enum Import {
    /// A public key in PEM.
    Pem {
        #[command(flatten)]
        new: NewKey,
        /// The PEM file.
        #[arg(long)]
        path: PathBuf,
        /// rsa-public, ec-public, ed25519-public, ml-dsa-public or ml-kem-public.
        #[arg(long)]
        key_type_class: String,
    },
}

impl Import {
    pub fn run(self, context: &mut Context) -> Outcome {
        let Import::Pem { new, path, key_type_class } = self;
        let wanted = names::key_type_class(&key_type_class)?;
        if wanted.0 != CKO_PUBLIC_KEY {
            return Err(format!(
                "{key_type_class}: only public keys come in by `key import pem`; `coffer import` takes private ones"
            ));
        }
        let blocks = files::pem(&files::read(&path)?)?;
        let block = match &blocks[..] {
            [block] if block.label == "PUBLIC KEY" => block,
            [block] => return Err(format!("{}: a {}, and no PUBLIC KEY", path.display(), block.label)),
            [] => return Err(format!("{}: not a PEM file", path.display())),
            blocks => return Err(format!("{}: {} PEM blocks; one is wanted", path.display(), blocks.len())),
        };
        let (key_type, made_of) =
            public::attributes(&block.der).map_err(|why| format!("{}: {why}", path.display()))?;
        if key_type != wanted.1 {
            let is = names::word(names::KEY_TYPES, key_type);
            return Err(format!("{}: a key of type {is}, and not {key_type_class}", path.display()));
        }
        let mut template = new.shared.template(&new.label, &new.attributes)?;
        template.extend([Attr::class(CKO_PUBLIC_KEY), Attr::key_type(key_type)]);
        template.extend(made_of);
        let connection = context.connect()?;
        if connection.user.as_ref().is_some_and(|(_, role)| *role == Role::Admin) {
            // An SO has no private objects, whatever the profile's default is.
            put_default(&mut template, Attr::bool(CKA_PRIVATE, false));
        }
        let key = connection.session.create_object(&template).map_err(refused)?;
        new.shared.share(connection, &[key])?;
        Ok(Report::of(
            json!({ "key": describe::full(connection, key)?, "message": "Successfully imported key" }),
        ))
    }
}
