//! `coffer token ...`.

mod backup;
mod care;
mod escrow;
pub mod operator;
mod repair;

use crate::context::Context;
use crate::output::{Outcome, Report};
use crate::pin;
use clap::Subcommand;
use coffer_pkcs11::error::Error;
use coffer_pkcs11::session::Module;
use cryptoki_sys::*;
use serde_json::json;
use std::path::PathBuf;

#[derive(Subcommand)]
pub enum Command {
    /// Make a token in a free slot, or wipe the one that is there and make it anew.
    Init {
        /// The token's name, at most 32 bytes.
        #[arg(long)]
        label: String,
        /// The slot; the free one unless given. A token that is there is destroyed, with all its keys.
        #[arg(long)]
        slot: Option<CK_SLOT_ID>,
        /// A file with the SO's PIN (else COFFER_SO_PIN, else a prompt).
        #[arg(long, value_name = "FILE")]
        so_pin_file: Option<PathBuf>,
        /// A file with the user's PIN (else COFFER_PIN, else a prompt).
        #[arg(long, value_name = "FILE")]
        pin_file: Option<PathBuf>,
    },
    /// List the slots and their tokens.
    List,
    Info(care::Info),
    Rename(care::Rename),
    Destroy(care::Destroy),
    Backup(backup::Backup),
    BackupShow(backup::BackupShow),
    Restore(backup::Restore),
    Verify(care::Verify),
    Upgrade(care::Upgrade),
    Repair(repair::Repair),
    /// Keys that open backups when the PINs are lost.
    #[command(subcommand)]
    EscrowKey(escrow::Command),
}

pub fn run(context: &mut Context, command: Command) -> Outcome {
    match command {
        Command::Init { label, slot, so_pin_file, pin_file } => {
            let module = operator::open(context)?;
            let so_pin = pin::obtain("SO PIN", so_pin_file.as_deref(), "COFFER_SO_PIN", true)?;
            let user_pin = pin::obtain("user PIN", pin_file.as_deref(), "COFFER_PIN", true)?;
            init(&module, &label, slot, so_pin.as_bytes(), user_pin.as_bytes())
                .map_err(|error| error.to_string())
        }
        Command::List => list(&operator::open(context)?).map_err(|error| error.to_string()),
        Command::Info(info) => info.run(context),
        Command::Rename(rename) => rename.run(context),
        Command::Destroy(destroy) => destroy.run(context),
        Command::Backup(backup) => backup.run(context),
        Command::BackupShow(show) => show.run(),
        Command::Restore(restore) => restore.run(context),
        Command::Verify(verify) => verify.run(context),
        Command::Upgrade(upgrade) => upgrade.run(context),
        Command::Repair(repair) => repair.run(context),
        Command::EscrowKey(command) => escrow::run(command),
    }
}

fn init(
    module: &Module,
    label: &str,
    slot: Option<CK_SLOT_ID>,
    so_pin: &[u8],
    user_pin: &[u8],
) -> Result<Report, Error> {
    let slot = match slot {
        Some(slot) => slot,
        None => module.free_slot()?,
    };
    // What is there may be wiped only for a token that will be whole.
    module.check_user_pin(slot, user_pin)?;
    module.init_token(slot, so_pin, label)?;
    let session = module.open_session(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION)?;
    let so = module.session(session)?;
    so.login(CKU_SO, b"", so_pin)?;
    so.init_pin(user_pin)?;
    drop(so);
    module.close_session(session)?;
    let serial = module.token_info(slot)?.serial;
    Ok(Report {
        text: format!("token {label:?} made in slot {slot}, serial {serial}\n"),
        json: json!({ "slot": slot, "label": label, "serial": serial }),
    })
}

fn list(module: &Module) -> Result<Report, Error> {
    let mut text = String::new();
    let mut tokens = Vec::new();
    for slot in module.slots()? {
        let entry = match module.token_info(slot) {
            Ok(info) if info.flags & CKF_TOKEN_INITIALIZED == 0 => {
                text += &format!("slot {slot}: free\n");
                json!({ "slot": slot, "initialized": false })
            }
            Ok(info) => {
                let states = states(info.flags);
                text += &format!(
                    "slot {slot}: {:?}, serial {}, {}{states}\n",
                    info.label, info.serial, info.model
                );
                json!({
                    "slot": slot, "initialized": true, "label": info.label, "serial": info.serial,
                    "mode": info.model, "state": states.trim_start_matches(", "),
                })
            }
            Err(error) => {
                text += &format!("slot {slot}: {error}\n");
                json!({ "slot": slot, "error": error.to_string() })
            }
        };
        tokens.push(entry);
    }
    Ok(Report { text, json: json!({ "tokens": tokens }) })
}

/// What an operator would want to know of a token at a glance.
fn states(flags: CK_FLAGS) -> String {
    let words = [
        (flags & CKF_USER_PIN_INITIALIZED == 0, ", user PIN not set"),
        (flags & CKF_USER_PIN_LOCKED != 0, ", user PIN locked"),
        (flags & CKF_SO_PIN_LOCKED != 0, ", SO PIN locked"),
        (flags & CKF_WRITE_PROTECTED != 0, ", write protected"),
    ];
    words.iter().filter(|(is, _)| *is).map(|(_, word)| *word).collect()
}
