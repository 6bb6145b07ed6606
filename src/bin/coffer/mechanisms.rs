//! `coffer mechanisms`: what a token can do.

use crate::context::Context;
use crate::output::{Outcome, Report, table};
use clap::Args;
use coffer_pkcs11::mechanism::table as known;
use pkcs11_client::cryptoki_sys::*;
use serde_json::json;

/// List the mechanisms of the token: number, name, key sizes and uses.
#[derive(Args)]
pub struct Mechanisms {
    /// Only mechanisms for this: encrypt, sign, wrap, derive, generate, generate_key_pair, digest ...
    #[arg(long = "for", value_name = "USE")]
    usage: Option<String>,
    /// Only mechanisms with this in their name.
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
}

const USES: &[(&str, CK_FLAGS)] = &[
    ("encrypt", CKF_ENCRYPT),
    ("decrypt", CKF_DECRYPT),
    ("digest", CKF_DIGEST),
    ("sign", CKF_SIGN),
    ("sign_recover", CKF_SIGN_RECOVER),
    ("verify", CKF_VERIFY),
    ("verify_recover", CKF_VERIFY_RECOVER),
    ("generate", CKF_GENERATE),
    ("generate_key_pair", CKF_GENERATE_KEY_PAIR),
    ("wrap", CKF_WRAP),
    ("unwrap", CKF_UNWRAP),
    ("derive", CKF_DERIVE),
    ("encapsulate", CKF_ENCAPSULATE),
    ("decapsulate", CKF_DECAPSULATE),
];

impl Mechanisms {
    pub fn run(self, context: &mut Context) -> Outcome {
        let wanted = match &self.usage {
            Some(word) => {
                let word = word.replace('-', "_");
                let known = || USES.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
                let found = USES.iter().find(|(name, _)| *name == word);
                found.ok_or_else(|| format!("{word:?} is none of {}", known()))?.1
            }
            None => 0,
        };
        let connection = context.public()?;
        let list = connection
            .module
            .mechanisms(connection.slot)
            .map_err(|rv| format!("C_GetMechanismList: {rv}"))?;
        let (mut rows, mut entries) = (Vec::new(), Vec::new());
        for number in list {
            let info = connection.module.mechanism_info(connection.slot, number);
            let info = info.map_err(|rv| format!("C_GetMechanismInfo of {number:#x}: {rv}"))?;
            let name =
                known::rows(number).next().map_or_else(|| format!("{number:#x}"), |row| row.name.to_owned());
            let matches =
                self.name.as_deref().is_none_or(|part| name.to_lowercase().contains(&part.to_lowercase()));
            if info.flags & wanted != wanted || !matches {
                continue;
            }
            let uses: Vec<_> =
                USES.iter().filter(|(_, flag)| info.flags & flag != 0).map(|(name, _)| *name).collect();
            let sizes = match (info.ulMinKeySize, info.ulMaxKeySize) {
                (0, 0) => String::new(),
                (least, most) if least == most => least.to_string(),
                (least, most) => format!("{least} to {most}"),
            };
            rows.push(vec![format!("{number:#010x}"), name.clone(), sizes, uses.join(" ")]);
            entries.push(json!({
                "number": format!("{number:#010x}"), "name": name, "min-key-size": info.ulMinKeySize,
                "max-key-size": info.ulMaxKeySize, "uses": uses,
            }));
        }
        Ok(Report {
            text: table(&["NUMBER", "NAME", "KEYS", "FOR"], &rows),
            json: json!({ "mechanisms": entries }),
        })
    }
}
