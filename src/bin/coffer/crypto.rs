//! `coffer crypto sign|verify`.

use crate::connection::Connection;
use crate::context::Context;
use crate::files;
use crate::output::{Outcome, Report};
use crate::quorum::{self, Approval};
use crate::select::{self, Filter};
use base64ct::{Base64, Encoding};
use clap::{Args, Subcommand, ValueEnum};
use coffer_pkcs11::crypto::encoding::{Der, tag};
use coffer_pkcs11::crypto::{Hash, digest};
use coffer_pkcs11::mechanism::vendor::*;
use pkcs11_client::Mechanism;
use pkcs11_client::cryptoki_sys::*;
use serde_json::json;
use std::path::{Path, PathBuf};

#[derive(Subcommand)]
pub enum Command {
    /// Sign data with a private key, or make a MAC with a secret one.
    Sign(Operation),
    /// Verify a signature with a public key, or a MAC with a secret one.
    Verify {
        #[command(flatten)]
        operation: Operation,
        /// The signature in base64.
        #[arg(
            long,
            value_name = "BASE64",
            required_unless_present = "signature_path",
            conflicts_with = "signature_path"
        )]
        signature: Option<String>,
        /// A binary file with the signature.
        #[arg(long, value_name = "FILE")]
        signature_path: Option<PathBuf>,
    },
}

#[derive(Args)]
pub struct Operation {
    /// The signature scheme.
    #[arg(value_enum)]
    algorithm: Algorithm,
    /// The key.
    #[arg(long, alias = "filter", num_args = 1.., value_name = "FILTER", required = true)]
    key_filter: Vec<String>,
    /// sha1, sha224, sha256, sha384 or sha512.
    #[arg(long)]
    hash_function: Option<String>,
    /// The data in base64.
    #[arg(long, value_name = "BASE64", required_unless_present = "data_path", conflicts_with = "data_path")]
    data: Option<String>,
    /// A file with the data.
    #[arg(long, value_name = "FILE")]
    data_path: Option<PathBuf>,
    /// Whether the data is to be hashed, is a hash already, or is ML-DSA's mu.
    #[arg(long, value_enum, default_value = "raw")]
    data_type: DataType,
    /// The salt of PSS; as long as the hash unless given.
    #[arg(long, value_name = "BYTES")]
    salt_length: Option<CK_ULONG>,
    /// The mask of PSS, mgf1-sha1 to mgf1-sha512; of the same hash unless given.
    #[arg(long)]
    mgf: Option<String>,
    #[command(flatten)]
    approval: Approval,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Algorithm {
    Ecdsa,
    Ed25519,
    Ed25519ph,
    MlDsa,
    RsaPkcs,
    RsaPkcsPss,
    Hmac,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum DataType {
    Raw,
    Digest,
    ExternalMu,
}

/// A hash with its mechanisms.
struct Hashed {
    name: &'static str,
    hash: Hash,
    mechanism: CK_MECHANISM_TYPE,
    mgf: CK_RSA_PKCS_MGF_TYPE,
    ecdsa: CK_MECHANISM_TYPE,
    pkcs: CK_MECHANISM_TYPE,
    pss: CK_MECHANISM_TYPE,
    hmac: CK_MECHANISM_TYPE,
    /// The object identifier's contents, for DigestInfo.
    oid: &'static [u8],
}

macro_rules! hashes {
    ($($name:literal $hash:ident $mechanism:ident $mgf:ident $ecdsa:ident $pkcs:ident $pss:ident $hmac:ident $oid:literal;)*) => {
        const HASHES: &[Hashed] = &[$(Hashed {
            name: $name, hash: Hash::$hash, mechanism: $mechanism, mgf: $mgf, ecdsa: $ecdsa, pkcs: $pkcs, pss: $pss,
            hmac: $hmac, oid: $oid,
        }),*];
    };
}

hashes! {
    "sha1" Sha1 CKM_SHA_1 CKG_MGF1_SHA1 CKM_ECDSA_SHA1 CKM_SHA1_RSA_PKCS CKM_SHA1_RSA_PKCS_PSS CKM_SHA_1_HMAC b"\x2b\x0e\x03\x02\x1a";
    "sha224" Sha224 CKM_SHA224 CKG_MGF1_SHA224 CKM_ECDSA_SHA224 CKM_SHA224_RSA_PKCS CKM_SHA224_RSA_PKCS_PSS CKM_SHA224_HMAC b"\x60\x86\x48\x01\x65\x03\x04\x02\x04";
    "sha256" Sha256 CKM_SHA256 CKG_MGF1_SHA256 CKM_ECDSA_SHA256 CKM_SHA256_RSA_PKCS CKM_SHA256_RSA_PKCS_PSS CKM_SHA256_HMAC b"\x60\x86\x48\x01\x65\x03\x04\x02\x01";
    "sha384" Sha384 CKM_SHA384 CKG_MGF1_SHA384 CKM_ECDSA_SHA384 CKM_SHA384_RSA_PKCS CKM_SHA384_RSA_PKCS_PSS CKM_SHA384_HMAC b"\x60\x86\x48\x01\x65\x03\x04\x02\x02";
    "sha512" Sha512 CKM_SHA512 CKG_MGF1_SHA512 CKM_ECDSA_SHA512 CKM_SHA512_RSA_PKCS CKM_SHA512_RSA_PKCS_PSS CKM_SHA512_HMAC b"\x60\x86\x48\x01\x65\x03\x04\x02\x03";
}

pub fn run(context: &mut Context, command: Command) -> Outcome {
    match command {
        Command::Sign(operation) => {
            let (connection, key, mechanism, data) = operation.prepare(context)?;
            let signature =
                connection.session.sign(&mechanism, key, &data).map_err(|rv| refused(rv.0, "sign"))?;
            let reference = select::reference(connection, key);
            Ok(Report::of(
                json!({ "key-reference": reference, "signature": Base64::encode_string(&signature) }),
            ))
        }
        Command::Verify { operation, signature, signature_path } => {
            let signature = bytes("--signature", signature.as_deref(), signature_path.as_deref())?;
            let (connection, key, mechanism, data) = operation.prepare(context)?;
            match connection.session.verify(&mechanism, key, &data, &signature) {
                Ok(()) => Ok(Report {
                    text: "The signature is right\n".into(),
                    json: json!({ "message": "Signature verified successfully" }),
                }),
                Err(rv) if [CKR_SIGNATURE_INVALID, CKR_SIGNATURE_LEN_RANGE].contains(&rv.0) => {
                    Err(format!("Signature verification failed ({rv})"))
                }
                Err(rv) => Err(refused(rv.0, "verify")),
            }
        }
    }
}

fn refused(rv: CK_RV, what: &str) -> String {
    let code = pkcs11_client::Rv(rv);
    if let Some(wanted) = quorum::wanted(code) {
        return wanted;
    }
    match rv {
        CKR_KEY_FUNCTION_NOT_PERMITTED => format!("the key's {what} is false ({code})"),
        CKR_KEY_TYPE_INCONSISTENT => {
            format!("the key is of another type or class than this scheme wants ({code})")
        }
        CKR_DATA_LEN_RANGE | CKR_DATA_INVALID => {
            format!("the data's length does not fit; with --data-type digest it is a hash ({code})")
        }
        _ => format!("the token does not {what}: {code}"),
    }
}

/// A binary value from base64 or a file.
fn bytes(option: &str, text: Option<&str>, path: Option<&Path>) -> Result<Vec<u8>, String> {
    match (text, path) {
        (Some(text), _) => Base64::decode_vec(text.trim()).map_err(|_| format!("{option} is not base64")),
        (None, Some(path)) => Ok(files::read(path)?.to_vec()),
        (None, None) => Err(format!("{option} is missing")),
    }
}

impl Operation {
    /// The key, the mechanism, and what goes into it.
    fn prepare<'a>(
        &self,
        context: &'a mut Context,
    ) -> Result<(&'a Connection, CK_OBJECT_HANDLE, Mechanism, Vec<u8>), String> {
        let data = bytes("--data", self.data.as_deref(), self.data_path.as_deref())?;
        let filter = Filter::parse(&self.key_filter)?;
        let connection = context.connect()?;
        let (mechanism, data) = self.mechanism(connection, data)?;
        let key = select::one(connection, &filter, "key")?;
        self.approval.show(connection)?;
        Ok((connection, key, mechanism, data))
    }

    fn mechanism(&self, connection: &Connection, data: Vec<u8>) -> Result<(Mechanism, Vec<u8>), String> {
        let offered = |numbers: &[CK_MECHANISM_TYPE]| connection.offered("this signature scheme", numbers);
        let no_digest = || match self.data_type {
            DataType::Digest | DataType::ExternalMu => {
                Err("this scheme takes --data-type raw only".to_owned())
            }
            DataType::Raw => Ok(()),
        };
        match self.algorithm {
            Algorithm::Ed25519 => {
                no_digest()?;
                return Ok((Mechanism::new(offered(&[CKM_EDDSA, CKM_CLOUDHSM_EDDSA])?), data));
            }
            Algorithm::Ed25519ph => {
                no_digest()?;
                return Ok((Mechanism::eddsa(offered(&[CKM_EDDSA, CKM_CLOUDHSM_EDDSA])?, true, &[]), data));
            }
            Algorithm::MlDsa => {
                let numbers: &[_] = match self.data_type {
                    DataType::Raw => &[CKM_ML_DSA, CKM_CLOUDHSM_ML_DSA],
                    DataType::ExternalMu => &[CKM_CLOUDHSM_EXT_MU_ML_DSA],
                    DataType::Digest => return Err("ML-DSA takes --data-type raw or external-mu".into()),
                };
                return Ok((Mechanism::new(offered(numbers)?), data));
            }
            _ => {}
        }
        let name = self.hash_function.as_deref().ok_or("--hash-function is missing: sha256, for instance")?;
        let find = |name: &str| {
            let found =
                HASHES.iter().find(|hashed| hashed.name == name.to_ascii_lowercase().replace('-', ""));
            found.ok_or_else(|| format!("{name:?} is none of sha1, sha224, sha256, sha384, sha512"))
        };
        let hashed = find(name)?;
        let mgf = match self.mgf.as_deref() {
            None => hashed.mgf,
            Some(mgf) => find(mgf.trim_start_matches("mgf1-").trim_start_matches("mgf1_"))?.mgf,
        };
        let own = digest::digest(hashed.hash, &data);
        if self.data_type == DataType::Digest && data.len() != own.len() {
            return Err(format!(
                "a digest of {} has {} bytes, and this has {}",
                hashed.name,
                own.len(),
                data.len()
            ));
        }
        let salt = self.salt_length.unwrap_or(own.len() as CK_ULONG);
        let (whole, bare) = match self.algorithm {
            Algorithm::Ecdsa => (hashed.ecdsa, CKM_ECDSA),
            Algorithm::RsaPkcs => (hashed.pkcs, CKM_RSA_PKCS),
            Algorithm::RsaPkcsPss => (hashed.pss, CKM_RSA_PKCS_PSS),
            _ => {
                no_digest()?;
                return Ok((Mechanism::new(offered(&[hashed.hmac])?), data));
            }
        };
        let of = |number| match self.algorithm {
            Algorithm::RsaPkcsPss => Mechanism::pss(number, hashed.mechanism, mgf, salt),
            _ => Mechanism::new(number),
        };
        if self.data_type == DataType::Raw && connection.offers(whole) {
            return Ok((of(whole), data));
        }
        // The module hashes not, or the data is hashed already.
        let digest = if self.data_type == DataType::Raw { own.to_vec() } else { data };
        let input =
            if self.algorithm == Algorithm::RsaPkcs { digest_info(hashed.oid, &digest) } else { digest };
        Ok((of(offered(&[bare])?), input))
    }
}

/// DigestInfo (RFC 8017, section 9.2).
fn digest_info(oid: &[u8], digest: &[u8]) -> Vec<u8> {
    let algorithm = [Der::Bytes(tag::OID, oid), Der::Bytes(tag::NULL, &[])];
    Der::Node(tag::SEQUENCE, &[Der::Node(tag::SEQUENCE, &algorithm), Der::Bytes(tag::OCTET_STRING, digest)])
        .encode_public()
}
