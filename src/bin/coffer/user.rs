//! `coffer login|logout|user ...`, and what clusters have and tokens have not.

use crate::connection::Role;
use crate::context::Context;
use crate::output::{Outcome, Report, table};
use crate::pin;
use clap::{Args, Subcommand};
use pkcs11_client::cryptoki_sys::*;
use pkcs11_client::text;
use serde_json::json;
use std::path::PathBuf;
use zeroize::Zeroizing;

/// Who, by CloudHSM's options.
#[derive(Args)]
pub struct Who {
    /// The user's name; a token that knows only one user does not care.
    #[arg(long)]
    username: String,
    /// admin or crypto-user.
    #[arg(long, value_enum)]
    role: Role,
    /// The password, which others can read here: leave it out to be asked.
    #[arg(long, hide = true)]
    password: Option<String>,
}

#[derive(Subcommand)]
pub enum Command {
    /// Change the password (PIN) of a user, or as admin set it anew and so unlock it.
    ChangePassword {
        #[command(flatten)]
        who: Who,
        /// A file with the new password.
        #[arg(long, value_name = "FILE")]
        new_pin_file: Option<PathBuf>,
    },
    /// List the users.
    List,
    /// Make a user.
    Create(Who),
    /// Delete a user.
    Delete {
        #[arg(long)]
        username: String,
        #[arg(long, value_enum)]
        role: Role,
    },
}

/// Logs in for the rest of the interactive session; alone, shows that the login works.
pub fn login(context: &mut Context, who: Who) -> Outcome {
    context.disconnect();
    let prompt = format!("password of {}", who.username);
    let secret = match who.password {
        Some(password) => Zeroizing::new(password),
        None => pin::obtain(&prompt, context.target.pin_file.as_deref(), "COFFER_PIN", false)?,
    };
    let connection = context.public()?;
    // The one user of a token that has no names is called so, or as CloudHSM calls its role.
    let name = if ["user", "crypto-user", "crypto_user"].contains(&who.username.as_str()) {
        ""
    } else {
        &who.username
    };
    let outcome = connection.login(who.role, name, &secret);
    if let Err(reason) = outcome {
        context.disconnect();
        return Err(reason);
    }
    Ok(Report::of(json!({ "username": who.username, "role": who.role.name() })))
}

pub fn logout(context: &mut Context) -> Outcome {
    if context.who().is_none() {
        return Err("nobody is logged in".into());
    }
    context.disconnect();
    Ok(Report::sentence("Logout successful"))
}

pub fn run(context: &mut Context, command: Command) -> Outcome {
    match command {
        Command::List => list(context),
        Command::ChangePassword { who, new_pin_file } => change(context, &who, new_pin_file),
        Command::Create(who) => Err(format!(
            "user create: a token has one admin and one crypto-user, made by `coffer token init`; there is no room for {:?}",
            who.username
        )),
        Command::Delete { username, .. } => {
            Err(format!("user delete: the users of a token go with it; {username:?} stays"))
        }
    }
}

fn list(context: &mut Context) -> Outcome {
    let connection = context.public()?;
    let info = connection.module.token_info(connection.slot).map_err(|rv| format!("C_GetTokenInfo: {rv}"))?;
    let mut users = vec![("admin", Role::Admin, info.flags & CKF_SO_PIN_LOCKED != 0)];
    if info.flags & CKF_USER_PIN_INITIALIZED != 0 {
        users.push((connection.username(), Role::CryptoUser, info.flags & CKF_USER_PIN_LOCKED != 0));
        if users[1].0 == "admin" {
            users[1].0 = "user";
        }
    }
    let rows: Vec<_> = users
        .iter()
        .map(|(name, role, locked)| vec![(*name).into(), role.name().into(), locked.to_string()])
        .collect();
    let json: Vec<_> = users
        .iter()
        .map(|(name, role, locked)| {
            json!({
                "username": name, "role": role.name(), "locked": locked.to_string(), "mfa": [],
                "cluster-coverage": "full",
            })
        })
        .collect();
    Ok(Report { text: table(&["USER", "ROLE", "LOCKED"], &rows), json: json!({ "users": json }) })
}

fn change(context: &mut Context, who: &Who, file: Option<PathBuf>) -> Outcome {
    let logged_in = context.connect()?.user.as_ref().map(|(_, role)| *role);
    let new = match &who.password {
        Some(password) => Zeroizing::new(password.clone()),
        None => pin::obtain("new password", file.as_deref(), "COFFER_NEW_PIN", true)?,
    };
    let old = match logged_in == Some(who.role) {
        true => Some(pin::obtain("old password", context.target.pin_file.as_deref(), "COFFER_PIN", false)?),
        false => None,
    };
    let session = &context.connect()?.session;
    let changed = match (logged_in, old) {
        (_, Some(old)) => session.set_pin(&old, &new),
        (Some(Role::Admin), None) => session.init_pin(&new),
        _ => return Err("a crypto-user can change its own password only".into()),
    };
    changed.map_err(|rv| match rv.0 {
        CKR_PIN_LEN_RANGE | CKR_PIN_INVALID => format!("the token does not take this password ({rv})"),
        CKR_PIN_INCORRECT => format!("the old password is wrong ({rv})"),
        _ => format!("the password was not changed: {rv}"),
    })?;
    Ok(Report::of(json!({ "username": who.username, "role": who.role.name() })))
}

#[derive(Subcommand)]
pub enum Cluster {
    /// Tell about the token: what CloudHSM tells about the HSMs of a cluster.
    HsmInfo,
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

pub fn cluster(context: &mut Context, command: Cluster) -> Outcome {
    match command {
        Cluster::HsmInfo => {
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
                "firmware-version-major": major.to_string(),
                "firmware-version-minor": minor.to_string(),
                "fips-state": match text(&info.model).as_str() {
                    "fips" => json!("FIPS mode"),
                    "non-fips" => json!("non-FIPS mode"),
                    _ => json!(null),
                },
            }] })))
        }
        Cluster::Activate { .. } => {
            Err("cluster activate: a token is active from `coffer token init` on".into())
        }
        Cluster::Mtls { .. } => {
            Err("cluster mtls: a token is a file of this machine; there is no connection to secure".into())
        }
    }
}
