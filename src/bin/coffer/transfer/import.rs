//! `coffer import`: keys and certificates from files.

use super::material::{self, Material, Named};
use super::store::{self, Store};
use crate::connection::Connection;
use crate::context::Context;
use crate::key::{Shared, generate, manage};
use crate::output::{Long, Outcome, Report, progress};
use crate::select::{put, put_default};
use crate::{describe, files, names, pin, public};
use clap::Args;
use coffer_pkcs11::crypto::{Hash, digest};
use pkcs11_client::Attr;
use pkcs11_client::cryptoki_sys::*;
use serde_json::json;
use std::path::{Path, PathBuf};

/// What of a file the token has, in the file's order.
struct Stored<'a> {
    connection: &'a Connection,
    objects: Vec<Object>,
}

struct Object {
    handle: CK_OBJECT_HANDLE,
    class: CK_OBJECT_CLASS,
    was_there: bool,
}

impl Stored<'_> {
    /// Makes an object, unless the token has it.
    fn put(&mut self, template: &[Attr], session: bool) -> Result<(), String> {
        let there = if session { None } else { store::present(self.connection, template) };
        let handle = match there {
            Some(handle) => handle,
            None => self.connection.session.create_object(template).map_err(generate::refused)?,
        };
        let class =
            describe::number(self.connection, handle, CKA_CLASS).unwrap_or(CK_UNAVAILABLE_INFORMATION);
        self.objects.push(Object { handle, class, was_there: there.is_some() });
        Ok(())
    }

    /// The private and secret keys that were there, or those that were not.
    fn secrets(&self, there: bool) -> Vec<CK_OBJECT_HANDLE> {
        let secret = |object: &&Object| {
            object.was_there == there && [CKO_PRIVATE_KEY, CKO_SECRET_KEY].contains(&object.class)
        };
        self.objects.iter().filter(secret).map(|object| object.handle).collect()
    }

    /// All of the file or nothing: takes away what is new, and says what came of it.
    fn undo(self, why: &str) -> String {
        let stays = |object: &&Object| match self.connection.session.destroy(object.handle) {
            Err(rv) => rv != CKR_OBJECT_HANDLE_INVALID,
            Ok(()) => false,
        };
        match self.objects.iter().filter(|object| !object.was_there).filter(stays).count() {
            0 => format!("nothing was imported: {why}"),
            left => format!(
                "{why}; {left} objects stay in the token, for they cannot be removed. What is there is not doubled, so \
                 the import can be repeated"
            ),
        }
    }
}

/// Stores what a file holds: PEM or DER of PKCS#8 (encrypted or not), PKCS#1, SEC 1, SubjectPublicKeyInfo and X.509; PKCS#12;
/// JWK; or, with --key-type-class, a raw secret key. With a private key comes its public one. What the token has already under
/// the same label and ID is not doubled.
#[derive(Args)]
#[command(subcommand_negates_reqs = true)]
pub struct Import {
    #[command(subcommand)]
    store: Option<Store>,
    /// The file.
    #[arg(long, required = true)]
    path: Option<PathBuf>,
    /// The label of everything in it; unless given, the name that PKCS#12 or a JWK has for each, else the file's own.
    #[arg(long)]
    label: Option<String>,
    /// CKA_ID in hex; out of the public key unless given, so that key pairs and certificates find each other.
    #[arg(long, value_name = "HEX")]
    id: Option<String>,
    /// The type of a secret key: aes, 3des or generic-secret.
    #[arg(long, value_name = "CLASS")]
    key_type_class: Option<String>,
    /// A file with the passphrase (else COFFER_PASSPHRASE, else a prompt).
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// Attributes of the private or secret key: NAME=VALUE.
    #[arg(long, num_args = 1.., value_name = "NAME=VALUE")]
    attributes: Vec<String>,
    /// Attributes of the public key: NAME=VALUE.
    #[arg(long, num_args = 1.., value_name = "NAME=VALUE")]
    public_attributes: Vec<String>,
    #[command(flatten)]
    shared: Shared,
}

impl Import {
    pub fn run(mut self, context: &mut Context) -> Outcome {
        let path = match (self.store.take(), self.path.take()) {
            (Some(store), None) => return store.run(context),
            (None, Some(path)) => path,
            _ => return Err("one thing at a time: --path FILE, or softhsm or nss with a directory".into()),
        };
        let found = self.read(&path)?;
        // Nothing is stored of a file that is not right throughout.
        for one in &found {
            self.templates(&path, one)?;
        }
        let json = context.json;
        let connection = context.connect()?;
        let mut stored = Stored { connection, objects: Vec::new() };
        let bar = progress("importing", found.len());
        let all = found.iter().try_for_each(|one| {
            bar.inc(1);
            self.templates(&path, one)?
                .iter()
                .try_for_each(|template| stored.put(template, self.shared.session))
        });
        bar.finish_and_clear();
        let all = all.and_then(|()| {
            // What is there may have come from a run that ended before it was shared.
            for key in stored.secrets(true) {
                let mut names = self.shared.share_crypto_users.iter();
                names.try_for_each(|name| manage::change(connection, key, name, true))?;
            }
            self.shared.share(connection, &stored.secrets(false))
        });
        if let Err(why) = all {
            return Err(stored.undo(&why));
        }
        let mut objects = stored.objects;
        let there = objects.iter().filter(|object| object.was_there).count();
        let certificates = objects.iter().filter(|object| object.class == CKO_CERTIFICATE).count();
        objects.retain(|object| object.class != CKO_CERTIFICATE);
        let entry = |at: usize| describe::full(connection, objects[at].handle).ok();
        let long = Long { json, failed: false, before: json!({}), list: "keys", count: objects.len(), entry };
        long.lines(|count| {
            let end =
                json!({ "certificates": certificates, "there": there, "message": "Successfully imported" });
            let text = format!("{}{}", if count == 0 { "" } else { "\n" }, Report::of(end.clone()).text);
            (end, text)
        })
    }

    fn read(&self, path: &Path) -> Result<Vec<Named>, String> {
        let file = files::read(path)?;
        let passphrase =
            || pin::obtain("passphrase", self.passphrase_file.as_deref(), "COFFER_PASSPHRASE", false);
        match (material::read(&file, passphrase), self.class()?) {
            (Ok(found), _) if found.is_empty() => Err(format!("{}: nothing to import", path.display())),
            (Ok(found), _) => Ok(found),
            // What looks like nothing is a raw key, if it is said to be one.
            (Err(_), Some((CKO_SECRET_KEY, _))) if !material::is_text(&file) => {
                Ok(vec![Material::Secret(file).unnamed()])
            }
            (Err(why), _) => Err(format!("{}: {why}", path.display())),
        }
    }

    fn class(&self) -> Result<Option<(CK_OBJECT_CLASS, CK_KEY_TYPE)>, String> {
        self.key_type_class.as_deref().map(names::key_type_class).transpose()
    }

    /// What becomes of one thing in the file: a private key brings its public one along.
    fn templates(&self, path: &Path, found: &Named) -> Result<Vec<Vec<Attr>>, String> {
        let mut templates = Vec::new();
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let label = self.label.as_deref().or(found.name.as_deref()).unwrap_or(&stem);
        let outcome = match &found.material {
            Material::Private(pkcs8) => self.private(label, pkcs8, &mut templates),
            Material::Public(info) => self.public(label, info, &mut templates),
            Material::Secret(value) => {
                let own = found.key_type.map(|key_type| (CKO_SECRET_KEY, key_type));
                self.secret(label, value, self.class()?.or(own), &mut templates)
            }
            Material::Certificate(der) => self.certificate(label, der, &mut templates),
        };
        outcome.map(|()| templates).map_err(|why| format!("{}: {why}", path.display()))
    }

    fn template(&self, label: &str, terms: &[String], class: CK_OBJECT_CLASS) -> Result<Vec<Attr>, String> {
        let mut template = self.shared.template(label, terms)?;
        template.push(Attr::class(class));
        Ok(template)
    }

    /// The identifier that ties a key pair and its certificates together.
    fn id(&self, info: &[u8]) -> Result<Attr, String> {
        let id = match &self.id {
            Some(text) => names::hex(text).ok_or_else(|| format!("--id {text}: hex digits are wanted"))?,
            None => digest::digest(Hash::Sha1, info).to_vec(),
        };
        Ok(Attr::bytes(CKA_ID, id))
    }

    fn private(&self, label: &str, pkcs8: &[u8], templates: &mut Vec<Vec<Attr>>) -> Result<(), String> {
        let (key_type, parts) = material::private_parts(pkcs8)?;
        let info = parts.bytes(CKA_PUBLIC_KEY_INFO).unwrap_or_default();
        let mut template = self.template(label, &self.attributes, CKO_PRIVATE_KEY)?;
        template.extend(self.shared.approvals()?);
        generate::put_default_uses(&mut template, CKO_PRIVATE_KEY, key_type);
        template.push(Attr::key_type(key_type));
        template.extend(material::private_template(&parts));
        put_default(&mut template, self.id(info)?);
        for attribute in [CKA_PRIVATE, CKA_SENSITIVE] {
            put_default(&mut template, Attr::bool(attribute, true));
        }
        put_default(&mut template, Attr::bool(CKA_EXTRACTABLE, false));
        templates.push(template);
        if info.is_empty() { Ok(()) } else { self.public(label, info, templates) }
    }

    fn public(&self, label: &str, info: &[u8], templates: &mut Vec<Vec<Attr>>) -> Result<(), String> {
        let (key_type, parts) = public::attributes(info)?;
        let mut template = self.template(label, &self.public_attributes, CKO_PUBLIC_KEY)?;
        generate::put_default_uses(&mut template, CKO_PUBLIC_KEY, key_type);
        template.push(Attr::key_type(key_type));
        template.extend(parts);
        put_default(&mut template, self.id(info)?);
        templates.push(template);
        Ok(())
    }

    fn secret(
        &self,
        label: &str,
        value: &[u8],
        class: Option<(CK_OBJECT_CLASS, CK_KEY_TYPE)>,
        templates: &mut Vec<Vec<Attr>>,
    ) -> Result<(), String> {
        let Some((CKO_SECRET_KEY, key_type)) = class else {
            return Err("a secret key; say what it is by --key-type-class aes, 3des or generic-secret".into());
        };
        let mut template = self.template(label, &self.attributes, CKO_SECRET_KEY)?;
        template.extend(self.shared.approvals()?);
        generate::put_default_uses(&mut template, CKO_SECRET_KEY, key_type);
        template.extend([Attr::key_type(key_type), Attr::bytes(CKA_VALUE, value)]);
        if let Some(id) = &self.id {
            let id = names::hex(id).ok_or_else(|| format!("--id {id}: hex digits are wanted"))?;
            put(&mut template, Attr::bytes(CKA_ID, id));
        }
        for attribute in [CKA_PRIVATE, CKA_SENSITIVE] {
            put_default(&mut template, Attr::bool(attribute, true));
        }
        put_default(&mut template, Attr::bool(CKA_EXTRACTABLE, false));
        templates.push(template);
        Ok(())
    }

    fn certificate(&self, label: &str, der: &[u8], templates: &mut Vec<Vec<Attr>>) -> Result<(), String> {
        let parts = material::certificate(der).ok_or("the certificate is malformed")?;
        let mut template = self.template(label, &[], CKO_CERTIFICATE)?;
        template.extend([
            Attr::ulong(CKA_CERTIFICATE_TYPE, CKC_X_509),
            Attr::bytes(CKA_SUBJECT, parts.subject),
            Attr::bytes(CKA_ISSUER, parts.issuer),
            Attr::bytes(CKA_SERIAL_NUMBER, parts.serial),
            Attr::bytes(CKA_VALUE, der),
        ]);
        put_default(&mut template, self.id(parts.public_key)?);
        templates.push(template);
        Ok(())
    }
}
