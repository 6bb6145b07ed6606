//! `coffer key unwrap`.

use super::wrap::{Gcm, Method, Oaep};
use super::{NewKey, Selection};
use crate::connection::Connection;
use crate::context::Context;
use crate::output::{Outcome, Report};
use crate::quorum::{self, Approval};
use crate::select::{self, put, put_default};
use crate::{describe, files, names};
use base64ct::{Base64, Encoding};
use clap::{Args, Subcommand};
use pkcs11_client::Attr;
use pkcs11_client::cryptoki_sys::*;
use serde_json::json;
use std::path::PathBuf;

/// What is unwrapped, with which key, and what it becomes.
#[derive(Args)]
pub struct Operands {
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    new: NewKey,
    /// aes, 3des, generic-secret, rsa-private, ec-private, ed25519-private ...
    #[arg(long)]
    key_type_class: String,
    /// The wrapped key in base64.
    #[arg(long, value_name = "BASE64", required_unless_present = "data_path", conflicts_with = "data_path")]
    data: Option<String>,
    /// A binary file with the wrapped key.
    #[arg(long, value_name = "FILE")]
    data_path: Option<PathBuf>,
    #[command(flatten)]
    approval: Approval,
}

#[derive(Subcommand)]
pub enum Unwrap {
    /// AES-GCM, with the IV that wrapping gave.
    AesGcm {
        #[command(flatten)]
        operands: Operands,
        #[command(flatten)]
        gcm: Gcm,
        /// The IV in hex.
        #[arg(long, value_name = "HEX")]
        iv: String,
    },
    /// AES key wrap without padding (RFC 3394).
    AesNoPad {
        #[command(flatten)]
        operands: Operands,
    },
    /// AES key wrap after PKCS#5 padding.
    AesPkcs5Pad {
        #[command(flatten)]
        operands: Operands,
    },
    /// AES key wrap with zero padding (RFC 5649).
    AesZeroPad {
        #[command(flatten)]
        operands: Operands,
    },
    /// AES-GCM with the IV in front of the wrapped key.
    CloudhsmAesGcm {
        #[command(flatten)]
        operands: Operands,
        #[command(flatten)]
        gcm: Gcm,
    },
    /// RSA-OAEP over a fresh AES key, and AES key wrap (RFC 5649).
    RsaAes {
        #[command(flatten)]
        operands: Operands,
        #[command(flatten)]
        oaep: Oaep,
    },
    /// RSA-OAEP.
    RsaOaep {
        #[command(flatten)]
        operands: Operands,
        #[command(flatten)]
        oaep: Oaep,
    },
    /// RSA PKCS#1 v1.5.
    RsaPkcs {
        #[command(flatten)]
        operands: Operands,
    },
}

impl Unwrap {
    pub fn run(self, context: &mut Context) -> Outcome {
        let (operands, method) = match self {
            Unwrap::AesGcm { operands, gcm, iv } => {
                let iv = names::hex(&iv).ok_or_else(|| format!("--iv {iv}: hex digits are wanted"))?;
                (operands, Method::Gcm { iv: Some(iv), aad: gcm.aad()?, bits: gcm.tag_length_bits })
            }
            Unwrap::AesNoPad { operands } => (operands, Method::NoPad),
            Unwrap::AesPkcs5Pad { operands } => (operands, Method::Pkcs5Pad),
            Unwrap::AesZeroPad { operands } => (operands, Method::ZeroPad),
            Unwrap::CloudhsmAesGcm { operands, gcm } => {
                (operands, Method::CloudGcm { aad: gcm.aad()?, bits: gcm.tag_length_bits })
            }
            Unwrap::RsaAes { operands, oaep } => (operands, Method::RsaAes(oaep.parse()?)),
            Unwrap::RsaOaep { operands, oaep } => (operands, Method::Oaep(oaep.parse()?)),
            Unwrap::RsaPkcs { operands } => (operands, Method::RsaPkcs),
        };
        operands.run(context.connect()?, &method)
    }
}

impl Operands {
    fn run(self, connection: &Connection, method: &Method) -> Outcome {
        let wrapped = match (&self.data, &self.data_path) {
            (Some(data), _) => {
                Base64::decode_vec(data.trim()).map_err(|_| "--data is not base64".to_owned())?
            }
            (None, Some(path)) => files::read(path)?.to_vec(),
            (None, None) => return Err("give --data or --data-path".into()),
        };
        let template = template(&self.new, &self.key_type_class)?;
        let unwrapping = select::one(connection, &self.selection.parse()?, "unwrapping key")?;
        let mechanism = method.mechanism(connection)?;
        self.approval.show(connection)?;
        let key = connection.session.unwrap(&mechanism, unwrapping, &wrapped, &template);
        let key = key.map_err(|rv| match rv.0 {
            CKR_WRAPPED_KEY_INVALID
            | CKR_WRAPPED_KEY_LEN_RANGE
            | CKR_ENCRYPTED_DATA_INVALID
            | CKR_ENCRYPTED_DATA_LEN_RANGE
            | CKR_AEAD_DECRYPT_FAILED => {
                format!(
                    "this is not what the key, the method and its options wrapped, or no {} key ({rv})",
                    self.key_type_class.replace('-', " ")
                )
            }
            CKR_KEY_FUNCTION_NOT_PERMITTED => format!("the unwrapping key's unwrap is false; its owner sets it by `key set-attribute --name unwrap` ({rv})"),
            CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT => {
                format!("the unwrapping key is of another type than this way of unwrapping wants ({rv})")
            }
            CKR_TEMPLATE_INCONSISTENT => {
                format!("the attributes contradict each other or the unwrapping key's template ({rv})")
            }
            _ => quorum::wanted(rv).unwrap_or_else(|| format!("C_UnwrapKey: {rv}")),
        })?;
        self.new.shared.share(connection, &[key])?;
        Ok(Report::of(json!({ "key": describe::full(connection, key)? })))
    }
}

/// What the key becomes: secret and extractable unless said otherwise, as CloudHSM has it.
fn template(new: &NewKey, key_type_class: &str) -> Result<Vec<Attr>, String> {
    let (class, key_type) = names::key_type_class(key_type_class)?;
    if class == CKO_PUBLIC_KEY {
        return Err(format!("{key_type_class}: public keys are not wrapped; `key import pem` takes them"));
    }
    let mut template = new.shared.template(&new.label, &new.attributes)?;
    template.extend(new.shared.approvals()?);
    put(&mut template, Attr::class(class));
    put(&mut template, Attr::key_type(key_type));
    for attribute in [CKA_PRIVATE, CKA_SENSITIVE, CKA_EXTRACTABLE] {
        put_default(&mut template, Attr::bool(attribute, true));
    }
    Ok(template)
}
