//! `coffer cluster ...`: the token, as CloudHSM speaks of clusters, and what clusters have and tokens have not.

use crate::context::Context;
use crate::output::{Outcome, Report};
use clap::{ArgAction, Subcommand};
use pkcs11_client::cryptoki_sys::*;
use pkcs11_client::{Rv, text};
use serde_json::json;

#[derive(Subcommand)]
pub enum Command {
    /// Tell about the token: what CloudHSM tells about the HSMs of a cluster.
    HsmInfo,
    /// Let objects be used and not written any more (limited-write mode), or written again; by the admin.
    SetLimitedWrite {
        /// true: what is written from now on is refused; false: the token is as before.
        #[arg(long, action = ArgAction::Set)]
        value: bool,
    },
    /// Activate a new cluster: a token is active from `coffer token init` on.
    Activate {
        #[arg(long, hide = true)]
        password: Option<String>,
    },
    /// Mutual TLS with a cluster: a token is a file, and no connection needs it.
    #[command(disable_help_subcommand = true)]
    Mtls {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        _arguments: Vec<String>,
    },
}

pub fn run(context: &mut Context, command: Command) -> Outcome {
    match command {
        Command::HsmInfo => {
            let connection = context.public()?;
            let info = connection
                .module
                .token_info(connection.slot)
                .map_err(|rv| format!("C_GetTokenInfo: {rv}"))?;
            let (major, minor) = (info.firmwareVersion.major, info.firmwareVersion.minor);
            Ok(Report::of(json!({ "hsms": [{
                "vendor": text(&info.manufacturerID),
                "model": text(&info.model),
                "serial-number": text(&info.serialNumber),
                "label": text(&info.label),
                "slot": connection.slot,
                "write-protected": info.flags & CKF_WRITE_PROTECTED != 0,
                "firmware-version-major": major.to_string(),
                "firmware-version-minor": minor.to_string(),
                "fips-state": match text(&info.model).as_str() {
                    "fips" => json!("FIPS mode"),
                    "non-fips" => json!("non-FIPS mode"),
                    _ => json!(null),
                },
            }] })))
        }
        Command::SetLimitedWrite { value } => {
            let set = context.connect()?.session.set_limited_write(value);
            set.map_err(|rv| match rv.0 {
                _ if rv == Rv::ABSENT => "this module has no limited-write mode".into(),
                CKR_USER_NOT_LOGGED_IN => {
                    format!("that is the admin's to do: log in with role admin ({rv})")
                }
                _ => format!("limited-write mode: {rv}"),
            })?;
            Ok(Report::sentence(match value {
                true => "Limited-write mode is on: objects are used and not written",
                false => "Limited-write mode is off",
            }))
        }
        Command::Activate { .. } => {
            Err("cluster activate: a token is active from `coffer token init` on".into())
        }
        Command::Mtls { .. } => {
            Err("cluster mtls: a token is a file of this machine; there is no connection to secure".into())
        }
    }
}
