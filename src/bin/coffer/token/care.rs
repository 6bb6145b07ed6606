//! `coffer token info|rename|destroy|verify|upgrade`.

use super::operator::{Operator, SoPin, Who, confirm};
use super::states;
use crate::context::Context;
use crate::output::{Outcome, Report, Told, printable};
use clap::Args;
use coffer_pkcs11::error::Rv;
use coffer_pkcs11::log::Moment;
use coffer_pkcs11::storage::keyring::Kdf;
use coffer_pkcs11::token::User;
use serde_json::json;
use std::fs;

/// Show what can be told of the token without a PIN.
#[derive(Args)]
pub struct Info {}

impl Info {
    pub fn run(self, context: &Context) -> Outcome {
        let operator = Operator::open(context)?;
        let told = |error: coffer_pkcs11::error::Error| format!("token {:?}: {error}", operator.label);
        let details = operator.module.token_details(operator.slot).map_err(told)?;
        let info = operator.module.token_info(operator.slot).map_err(told)?;
        let users: Vec<_> = operator
            .module
            .users(operator.slot)
            .map_err(told)?
            .into_iter()
            .map(|user| {
                json!({
                    "username": user.name,
                    "role": if user.user == User::So { "admin" } else { "crypto-user" },
                    "tries-left": user.pin.left, "locked": user.pin.left == 0,
                })
            })
            .collect();
        let kdf = match details.kdf {
            Kdf::Argon2id { memory, passes, lanes } => {
                format!("Argon2id, {memory} KiB, {passes} passes, {lanes} lanes")
            }
            Kdf::Pbkdf2 { iterations } => format!("PBKDF2, {iterations} rounds"),
        };
        let bytes = fs::metadata(&details.path).map_or(0, |meta| meta.len());
        Ok(Report::of(json!({
            "slot": operator.slot, "label": operator.label, "serial": details.serial,
            "mode": if details.fips { "fips" } else { "non-fips" },
            "policy": details.policy.unwrap_or("as configured"),
            "created": Moment::from_millis(details.created * 1_000).to_string(),
            "format": details.format.0, "newest-format": details.format.1,
            "state": states(info.flags).trim_start_matches(", "), "limited-write": details.limited_write,
            "pin-derivation": kdf, "so-can-reset-pins": details.pins_can_be_reset,
            "file": details.path, "bytes": bytes, "revision": details.revision, "objects": details.objects,
            "damaged": details.damaged,
            "audit-log": details.audit.exists().then_some(details.audit), "users": users,
        })))
    }
}

/// Give the token another name. Takes an SO.
#[derive(Args)]
pub struct Rename {
    /// The new name, at most 32 bytes.
    #[arg(long)]
    label: String,
    /// The SO's name, if it is not the founding one.
    #[arg(long, value_name = "NAME")]
    username: Option<String>,
    #[command(flatten)]
    so: SoPin,
}

impl Rename {
    pub fn run(self, context: &Context) -> Outcome {
        let operator = Operator::open(context)?;
        let session = operator.login(context, &self.so.who(self.username))?;
        let renamed = operator.module.session(session).and_then(|session| session.rename_token(&self.label));
        renamed.map_err(|error| format!("token {:?}: {error}", operator.label))?;
        Ok(Report {
            text: format!("token {:?} is {:?} from now on\n", operator.label, self.label),
            json: json!({ "slot": operator.slot, "label": self.label, "was": operator.label }),
        })
    }
}

/// Destroy the token and all its keys, for ever. Takes the founding SO's PIN.
#[derive(Args)]
pub struct Destroy {
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    so: SoPin,
}

impl Destroy {
    pub fn run(self, context: &mut Context) -> Outcome {
        let operator = Operator::open(context)?;
        let label = operator.label.clone();
        let objects = operator.module.token_details(operator.slot).map_or_else(
            |error| format!("all that is left of it ({error})"),
            |details| format!("its {} objects", details.objects),
        );
        let warning = format!("token {label:?} in slot {} goes for ever, with {objects}", operator.slot);
        confirm(self.yes, &printable(&warning), &label)?;
        let credentials = operator.credentials(context, &self.so.who(None))?;
        // A session of the prompt's own keeps no file of a token that is gone.
        context.disconnect();
        let destroyed = operator.module.destroy_token(operator.slot, credentials.pin.as_bytes());
        destroyed.map_err(|error| operator.refused(&credentials, &error))?;
        Ok(Report {
            text: format!("token {label:?} destroyed; slot {} is free\n", operator.slot),
            json: json!({ "slot": operator.slot, "label": label }),
        })
    }
}

/// Check the whole token: every record's seal, and of every key that opens for who logs in its check value, its size, and
/// that private and public parts fit.
#[derive(Args)]
pub struct Verify {
    #[command(flatten)]
    who: Who,
}

impl Verify {
    pub fn run(self, context: &mut Context) -> Outcome {
        let operator = Operator::open(context)?;
        let session = operator.login(context, &self.who)?;
        let (mut faults, mut bar) = (Vec::new(), Told::new("verify"));
        let verdict = operator.module.session(session).and_then(|session| {
            session.verify_token(&mut |done, total, fault| {
                bar.tell(done, total);
                faults.extend(fault.map(String::from));
                Ok(())
            })
        });
        drop(bar);
        let verdict = verdict.map_err(|error| format!("token {:?}: {error}", operator.label))?;
        context.found_wrong = verdict.faults > 0;
        let mut text = String::new();
        for fault in &faults {
            text += &format!("{}\n", printable(fault));
        }
        text += &format!(
            "token {:?}: {} objects, {} of them opened and checked, {} faults\n",
            operator.label, verdict.objects, verdict.opened, verdict.faults
        );
        if verdict.faults > 0 {
            text +=
                "`coffer token restore` brings a backup back; `coffer token repair` shows what can be kept\n";
        }
        let json = json!({
            "token": operator.label, "objects": verdict.objects, "opened": verdict.opened,
            "faults": faults,
        });
        Ok(Report { text, json })
    }
}

/// Write the token in the newest format. Older ones are read as they stand, so this is never needed to use a token; an
/// older Coffer may not read it afterwards. Takes an SO.
#[derive(Args)]
pub struct Upgrade {
    /// The SO's name, if it is not the founding one.
    #[arg(long, value_name = "NAME")]
    username: Option<String>,
    #[command(flatten)]
    so: SoPin,
}

impl Upgrade {
    pub fn run(self, context: &Context) -> Outcome {
        let operator = Operator::open(context)?;
        let told = |error: coffer_pkcs11::error::Error| match error.rv() {
            Rv::TokenNotRecognized => format!("token {:?}: {error}; a newer Coffer reads it", operator.label),
            _ => format!("token {:?}: {error}", operator.label),
        };
        let (before, newest) = operator.module.token_details(operator.slot).map_err(told)?.format;
        let session = operator.login(context, &self.so.who(self.username))?;
        operator.module.session(session).and_then(|session| session.upgrade_token()).map_err(told)?;
        Ok(Report {
            text: match before == newest {
                true => format!("token {:?} is of format {newest} already, the newest\n", operator.label),
                false => {
                    format!("token {:?}: format {before} before, {newest} from now on\n", operator.label)
                }
            },
            json: json!({ "token": operator.label, "before": before, "format": newest }),
        })
    }
}
