//! `coffer key wrap`, and the mechanisms that wrapping and unwrapping share.

use crate::connection::Connection;
use crate::context::Context;
use crate::output::{Outcome, Report};
use crate::select::{self, Filter};
use crate::{describe, files, names, quorum};
use base64ct::{Base64, Encoding};
use clap::{Args, Subcommand};
use coffer_pkcs11::mechanism::vendor::*;
use pkcs11_client::cryptoki_sys::*;
use pkcs11_client::{Mechanism, Rv};
use serde_json::{Map, json};
use std::path::PathBuf;

/// Which keys, and where the wrapped one goes.
#[derive(Args)]
pub struct Operands {
    /// The key to wrap.
    #[arg(long, num_args = 1.., value_name = "FILTER", required = true)]
    payload_filter: Vec<String>,
    /// The key to wrap it with.
    #[arg(long, num_args = 1.., value_name = "FILTER", required = true)]
    wrapping_filter: Vec<String>,
    /// A binary file for the wrapped key, which otherwise is printed as base64.
    #[arg(long)]
    path: Option<PathBuf>,
    /// Approvals for wrapping with the key, where that is needed.
    #[arg(long, value_name = "FILE")]
    wrapping_approval: Option<PathBuf>,
    /// Approvals for wrapping the payload, where that is needed.
    #[arg(long, value_name = "FILE")]
    payload_approval: Option<PathBuf>,
}

/// Hash and mask of OAEP.
#[derive(Args)]
pub struct Oaep {
    /// sha1, sha224, sha256, sha384 or sha512.
    #[arg(long)]
    pub hash_function: String,
    /// mgf1-sha1 to mgf1-sha512; of the same hash unless given.
    #[arg(long)]
    pub mgf: Option<String>,
}

/// Additional data and tag of GCM.
#[derive(Args)]
pub struct Gcm {
    /// 32, 64, 96, 104, 112, 120 or 128.
    #[arg(long, value_name = "BITS", default_value_t = 128)]
    pub tag_length_bits: CK_ULONG,
    /// Additional authenticated data in hex.
    #[arg(long, value_name = "HEX")]
    pub aad: Option<String>,
}

#[derive(Subcommand)]
pub enum Wrap {
    /// AES-GCM; the answer has the IV.
    AesGcm {
        #[command(flatten)]
        operands: Operands,
        #[command(flatten)]
        gcm: Gcm,
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
    /// A fresh AES key wrapped by RSA-OAEP, then the key wrapped with it (RFC 5649).
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
    /// RSA PKCS#1 v1.5, which is unsafe against who can ask for many unwrappings.
    RsaPkcs {
        #[command(flatten)]
        operands: Operands,
    },
}

impl Wrap {
    pub fn run(self, context: &mut Context) -> Outcome {
        let connection = context.connect()?;
        let (operands, method) = match self {
            Wrap::AesGcm { operands, gcm } => {
                (operands, Method::Gcm { iv: None, aad: gcm.aad()?, bits: gcm.tag_length_bits })
            }
            Wrap::AesNoPad { operands } => (operands, Method::NoPad),
            Wrap::AesPkcs5Pad { operands } => (operands, Method::Pkcs5Pad),
            Wrap::AesZeroPad { operands } => (operands, Method::ZeroPad),
            Wrap::CloudhsmAesGcm { operands, gcm } => {
                (operands, Method::CloudGcm { aad: gcm.aad()?, bits: gcm.tag_length_bits })
            }
            Wrap::RsaAes { operands, oaep } => (operands, Method::RsaAes(oaep.parse()?)),
            Wrap::RsaOaep { operands, oaep } => (operands, Method::Oaep(oaep.parse()?)),
            Wrap::RsaPkcs { operands } => (operands, Method::RsaPkcs),
        };
        let payload = select::one(connection, &Filter::parse(&operands.payload_filter)?, "payload")?;
        let wrapping = select::one(connection, &Filter::parse(&operands.wrapping_filter)?, "wrapping key")?;
        for approval in [&operands.payload_approval, &operands.wrapping_approval] {
            quorum::show_file(connection, approval.as_deref())?;
        }
        let (wrapped, iv) = wrap(connection, method, wrapping, payload)?;
        let mut data = Map::new();
        data.insert("payload_key_reference".into(), json!(select::reference(connection, payload)));
        data.insert("wrapping_key_reference".into(), json!(select::reference(connection, wrapping)));
        if let Some(iv) = iv {
            data.insert("iv".into(), json!(names::to_hex(&iv)));
        }
        match &operands.path {
            Some(path) => {
                files::write(path, &wrapped)?;
                data.insert("path".into(), json!(path.display().to_string()));
            }
            None => {
                data.insert("wrapped_key_data".into(), json!(Base64::encode_string(&wrapped)));
            }
        }
        Ok(Report::of(data.into()))
    }
}

impl Oaep {
    /// The hash's number and the mask's.
    pub fn parse(&self) -> Result<(CK_MECHANISM_TYPE, CK_RSA_PKCS_MGF_TYPE), String> {
        let (hash, mgf) = names::number(HASHES, &self.hash_function)?;
        let mgf = match self.mgf.as_deref().map(|mgf| mgf.to_ascii_lowercase().replace('_', "-")) {
            None => mgf,
            Some(text) => names::number(HASHES, text.strip_prefix("mgf1-").unwrap_or(&text))?.1,
        };
        Ok((hash, mgf))
    }
}

const HASHES: &[(&str, (CK_MECHANISM_TYPE, CK_RSA_PKCS_MGF_TYPE))] = &[
    ("sha1", (CKM_SHA_1, CKG_MGF1_SHA1)),
    ("sha224", (CKM_SHA224, CKG_MGF1_SHA224)),
    ("sha256", (CKM_SHA256, CKG_MGF1_SHA256)),
    ("sha384", (CKM_SHA384, CKG_MGF1_SHA384)),
    ("sha512", (CKM_SHA512, CKG_MGF1_SHA512)),
];

impl Gcm {
    /// The additional data's bytes.
    pub fn aad(&self) -> Result<Vec<u8>, String> {
        let aad = self
            .aad
            .as_deref()
            .map(|text| names::hex(text).ok_or_else(|| format!("--aad {text}: hex digits are wanted")));
        aad.transpose().map(Option::unwrap_or_default)
    }
}

/// How a key is wrapped.
#[derive(Clone)]
pub enum Method {
    Gcm { iv: Option<Vec<u8>>, aad: Vec<u8>, bits: CK_ULONG },
    CloudGcm { aad: Vec<u8>, bits: CK_ULONG },
    NoPad,
    Pkcs5Pad,
    ZeroPad,
    RsaAes((CK_MECHANISM_TYPE, CK_RSA_PKCS_MGF_TYPE)),
    Oaep((CK_MECHANISM_TYPE, CK_RSA_PKCS_MGF_TYPE)),
    RsaPkcs,
}

impl Method {
    /// The mechanism, by the first of its numbers that the token offers.
    ///
    /// # Errors
    /// A sentence: the token has none.
    pub fn mechanism(&self, connection: &Connection) -> Result<Mechanism, String> {
        let offered = |numbers: &[CK_MECHANISM_TYPE]| connection.offered("this way of wrapping", numbers);
        Ok(match self {
            Method::Gcm { iv, aad, bits } => {
                Mechanism::gcm(offered(&[CKM_AES_GCM])?, iv.as_deref().unwrap_or(&[0; 12]), aad, *bits)
            }
            Method::CloudGcm { aad, bits } => {
                Mechanism::gcm(offered(&[CKM_CLOUDHSM_AES_GCM])?, &[], aad, *bits)
            }
            Method::NoPad => Mechanism::new(offered(&[CKM_CLOUDHSM_AES_KEY_WRAP_NO_PAD, CKM_AES_KEY_WRAP])?),
            Method::Pkcs5Pad => {
                Mechanism::new(offered(&[CKM_CLOUDHSM_AES_KEY_WRAP_PKCS5_PAD, CKM_AES_KEY_WRAP_PKCS7])?)
            }
            Method::ZeroPad => {
                let numbers =
                    [CKM_CLOUDHSM_AES_KEY_WRAP_ZERO_PAD, CKM_AES_KEY_WRAP_KWP, CKM_AES_KEY_WRAP_PAD];
                Mechanism::new(offered(&numbers)?)
            }
            Method::RsaAes((hash, mgf)) => {
                offered(&[CKM_RSA_AES_KEY_WRAP])?;
                Mechanism::rsa_aes(256, *hash, *mgf)
            }
            Method::Oaep((hash, mgf)) => {
                offered(&[CKM_RSA_PKCS_OAEP])?;
                Mechanism::oaep(*hash, *mgf, &[])
            }
            Method::RsaPkcs => Mechanism::new(offered(&[CKM_RSA_PKCS])?),
        })
    }
}

/// Room for any wrapped key, in bytes.
const LONGEST: usize = 1 << 16;

/// C_WrapKey: the wrapped key, and the IV of GCM.
///
/// # Errors
/// A sentence.
pub fn wrap(
    connection: &Connection,
    method: Method,
    wrapping: CK_OBJECT_HANDLE,
    payload: CK_OBJECT_HANDLE,
) -> Result<(Vec<u8>, Option<Vec<u8>>), String> {
    let session = &connection.session;
    let refused = |rv: Rv| match rv.0 {
        CKR_KEY_UNEXTRACTABLE => format!("the payload is not extractable ({rv})"),
        CKR_KEY_NOT_WRAPPABLE => match describe::owner(connection, payload) {
            owner if owner != connection.username() => {
                format!("the payload is {owner}'s, who alone wraps it ({rv})")
            }
            _ => format!(
                "the payload may be wrapped with a trusted key only (wrap-with-trusted), or not with this one ({rv})"
            ),
        },
        CKR_KEY_FUNCTION_NOT_PERMITTED => {
            format!(
                "the wrapping key's wrap is false; its owner sets it by `key set-attribute --name wrap` ({rv})"
            )
        }
        CKR_MECHANISM_PARAM_INVALID => format!("the token takes no such hash, mask or tag length ({rv})"),
        CKR_WRAPPING_KEY_TYPE_INCONSISTENT => {
            format!("the wrapping key is of another type than this way of wrapping wants ({rv})")
        }
        CKR_KEY_SIZE_RANGE => format!("the payload's length does not fit this way of wrapping ({rv})"),
        _ => quorum::wanted(rv).unwrap_or_else(|| format!("C_WrapKey: {rv}")),
    };
    let Method::Gcm { aad, bits, .. } = method else {
        let mechanism = method.mechanism(connection)?;
        let wrapped = match session.wrap(&mechanism, wrapping, payload) {
            // NSS names the payload's length as that of the wrapped key, which is longer.
            Err(rv) if rv == CKR_BUFFER_TOO_SMALL => {
                session.wrap_within(LONGEST, &mechanism, wrapping, payload)
            }
            wrapped => wrapped,
        };
        return Ok((wrapped.map_err(refused)?, None));
    };
    // An IV that nobody has used; a token that makes its own wants zeros, and says so.
    let iv = session.random(12).map_err(|rv| format!("C_GenerateRandom: {rv}"))?;
    let ours = Method::Gcm { iv: Some(iv.clone()), aad: aad.clone(), bits };
    match session.wrap(&ours.mechanism(connection)?, wrapping, payload) {
        Ok(wrapped) => Ok((wrapped, Some(iv))),
        Err(rv) if rv == CKR_MECHANISM_PARAM_INVALID => {
            let theirs = Method::Gcm { iv: None, aad, bits }.mechanism(connection)?;
            let wrapped = session.wrap(&theirs, wrapping, payload).map_err(refused)?;
            let iv = theirs.block(0);
            if iv == [0; 12] {
                return Err(
                    "the token left the IV zero, so the wrapped key is not safe; it was thrown away".into()
                );
            }
            Ok((wrapped, Some(iv)))
        }
        Err(rv) => Err(refused(rv)),
    }
}
