//! Escrow keys: ML-KEM-1024 pairs in PEM files, as OpenSSL 3.5 writes and reads them (RFC 9935).

use crate::files;
use crate::output::{Outcome, Report};
use crate::pin;
use clap::{Args, Subcommand};
use coffer_pkcs11::crypto::Secret;
use coffer_pkcs11::crypto::encoding::{Algorithm, Der, Reader, private_key_info, public_key_info, tag};
use coffer_pkcs11::crypto::ml_kem::{ParameterSet, PrivateKey};
use coffer_pkcs11::crypto::seeded::{Parameters, Private, Public};
use coffer_pkcs11::mechanism::key;
use coffer_pkcs11::storage::escrow::id;
use cryptoki_sys::*;
use pkcs8::{EncryptedPrivateKeyInfoRef, PrivateKeyInfoRef};
use serde_json::json;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

const SET: ParameterSet = ParameterSet::MlKem1024;

#[derive(Subcommand)]
pub enum Command {
    /// Make a key pair. The public half goes with the backups; the private half opens them and belongs in a safe.
    Generate(Generate),
}

#[derive(Args)]
pub struct Generate {
    /// The file for the public key.
    #[arg(long, value_name = "FILE")]
    public: PathBuf,
    /// The file for the private key, readable by its owner only.
    #[arg(long, value_name = "FILE")]
    private: PathBuf,
    /// Write the private key as it is instead of encrypting it with a passphrase.
    #[arg(long)]
    plain: bool,
    #[command(flatten)]
    passphrase: Passphrase,
}

/// What a private key's file is encrypted with.
#[derive(Args, Clone, Default)]
pub struct Passphrase {
    /// A file with the escrow key's passphrase (else COFFER_PASSPHRASE, else a prompt).
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

impl Passphrase {
    fn obtain(&self, new: bool) -> Result<Zeroizing<String>, String> {
        let what = "passphrase of the escrow key";
        match pin::obtain(what, self.passphrase_file.as_deref(), "COFFER_PASSPHRASE", new)? {
            empty if empty.is_empty() => Err("an empty passphrase protects nothing".into()),
            passphrase => Ok(passphrase),
        }
    }
}

pub fn run(command: Command) -> Outcome {
    let Command::Generate(Generate { public, private, plain, passphrase }) = command;
    for path in [&public, &private] {
        if path.exists() {
            return Err(format!("{} is there already; an escrow key is not written over", path.display()));
        }
    }
    let passphrase = if plain { None } else { Some(passphrase.obtain(true)?) };
    let wrong = |error: coffer_pkcs11::error::Error| error.to_string();
    let pair = PrivateKey::generate(SET).map_err(wrong)?;
    let seed = pair.seed().ok_or("the key has no seed")?;
    let pkcs8 = private_key_info(Algorithm::new(SET.row().oid), Der::Bytes(tag::context(0), seed.expose()));
    let private_pem = match passphrase {
        None => files::to_pem("PRIVATE KEY", pkcs8.expose()),
        Some(passphrase) => {
            let info =
                PrivateKeyInfoRef::try_from(pkcs8.expose()).map_err(|error| format!("PKCS#8: {error}"))?;
            let sealed =
                info.encrypt(passphrase.as_bytes()).map_err(|error| format!("encrypting: {error}"))?;
            files::to_pem("ENCRYPTED PRIVATE KEY", sealed.as_bytes())
        }
    };
    let bytes = pair.bytes();
    files::write(&private, private_pem.as_bytes())?;
    let info = public_key_info(Algorithm::new(SET.row().oid), Der::Bits(&bytes));
    files::write(&public, files::to_pem("PUBLIC KEY", &info).as_bytes())?;
    let id = hex(&id(&bytes).map_err(wrong)?);
    Ok(Report {
        text: format!(
            "escrow key {id} made\n{}: give it with `coffer token backup --escrow-key`\n{}: keep it apart from the \
             backups; with both, everything in the token can be had\n",
            public.display(),
            private.display()
        ),
        json: json!({ "escrow-key": id, "public": public, "private": private }),
    })
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The public key of a file with SubjectPublicKeyInfo.
///
/// # Errors
/// A sentence that names the file.
pub fn public(path: &Path) -> Result<Vec<u8>, String> {
    let blocks = files::pem(&files::read(path)?)?;
    let read = |der: &[u8]| {
        let mut outer = Reader::new(der);
        let mut info = outer.enter(tag::SEQUENCE)?;
        outer.end()?;
        let oid = info.enter(tag::SEQUENCE)?.read(tag::OID)?;
        let key = info.bits()?;
        (oid == SET.row().oid).then(|| key.to_vec())
    };
    let key = blocks.iter().filter(|block| block.label == "PUBLIC KEY").find_map(|block| read(&block.der));
    key.ok_or_else(|| {
        format!(
            "{}: no ML-KEM-1024 public key in PEM; `coffer token escrow-key generate` makes one",
            path.display()
        )
    })
}

/// The seed of a file with PKCS#8, encrypted or not.
///
/// # Errors
/// A sentence that names the file.
pub fn seed(path: &Path, passphrase: &Passphrase) -> Result<Secret, String> {
    let shown = path.display();
    for block in files::pem(&files::read(path)?)? {
        let der = match block.label.as_str() {
            "PRIVATE KEY" => block.der,
            "ENCRYPTED PRIVATE KEY" => {
                let sealed = EncryptedPrivateKeyInfoRef::try_from(&block.der[..])
                    .map_err(|error| format!("{shown}: {error}"))?;
                let opened = sealed.decrypt(passphrase.obtain(false)?.as_bytes());
                let opened = opened.map_err(|_| format!("{shown}: the passphrase is wrong"))?;
                Zeroizing::new(opened.as_bytes().to_vec())
            }
            _ => continue,
        };
        let import = key::kind(CKO_PRIVATE_KEY, CKK_ML_KEM).ok().and_then(|kind| kind.import);
        let parts = import.and_then(|import| import(&der).ok());
        let parts = parts.ok_or_else(|| format!("{shown}: not an ML-KEM private key"))?;
        if parts.need_ulong(CKA_PARAMETER_SET) != Ok(CKP_ML_KEM_1024) {
            return Err(format!("{shown}: an ML-KEM key, but an escrow key is ML-KEM-1024"));
        }
        return match parts.bytes(CKA_SEED) {
            Some(seed) => Ok(Secret::from_slice(seed)),
            None => Err(format!("{shown}: the private key was written without its seed, which is needed")),
        };
    }
    Err(format!("{shown}: no private key in PEM; the escrow key's private half is wanted"))
}
