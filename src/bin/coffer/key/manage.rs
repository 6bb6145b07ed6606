//! `coffer key set-attribute|share|unshare|delete`.

use super::Selection;
use crate::connection::{Connection, Role};
use crate::context::Context;
use crate::output::{Outcome, Report};
use crate::quorum::{self, Approval};
use crate::{describe, names, select};
use clap::Args;
use pkcs11_client::Rv;
use pkcs11_client::cryptoki_sys::*;
use serde_json::json;

#[derive(Args)]
pub struct SetAttribute {
    #[command(flatten)]
    selection: Selection,
    /// The attribute.
    #[arg(long)]
    name: String,
    /// Its new value.
    #[arg(long)]
    value: String,
    #[command(flatten)]
    approval: Approval,
}

impl SetAttribute {
    pub fn run(self, context: &mut Context) -> Outcome {
        let filter = self.selection.parse()?;
        let attr = names::attribute(&self.name)?.parse(&self.value)?;
        let connection = context.connect()?;
        let trust = attr.kind == CKA_TRUSTED;
        let key = select::one(connection, &filter, "key")
            .map_err(|why| if trust { format!("{why} {TRUST}") } else { why })?;
        self.approval.show(connection)?;
        connection.session.set(key, &[attr]).map_err(|rv| {
            let (name, value) = (&self.name, &self.value);
            match rv.0 {
                CKR_ATTRIBUTE_READ_ONLY if trust => format!("trusted is the admin's to say ({rv}). {TRUST}"),
                CKR_ATTRIBUTE_READ_ONLY => {
                    format!(
                        "{name} of this key cannot become {value}: it is fixed, or goes one way only ({rv})"
                    )
                }
                CKR_ACTION_PROHIBITED => prohibited(connection, key, "modifiable", rv),
                CKR_USER_NOT_LOGGED_IN => format!("the other role may do that: log in as admin ({rv})"),
                _ => quorum::wanted(rv).unwrap_or_else(|| format!("{name}={value}: {rv}")),
            }
        })?;
        Ok(message("Attribute set successfully"))
    }
}

/// An admin that could write into what is sealed would hold the key to all of it.
const TRUST: &str = "What is private is sealed whole to its owner, its attributes with its value, so an admin marks public \
                     keys as trusted: `key import pem` with role admin brings in the public half of a wrapping key.";

#[derive(Args)]
pub struct Delete {
    #[command(flatten)]
    selection: Selection,
}

impl Delete {
    pub fn run(self, context: &mut Context) -> Outcome {
        let filter = self.selection.parse()?;
        let connection = context.connect()?;
        let key = select::one(connection, &filter, "key")?;
        connection.session.destroy(key).map_err(|rv| match rv.0 {
            CKR_ACTION_PROHIBITED => prohibited(connection, key, "destroyable", rv),
            _ => format!("C_DestroyObject: {rv}"),
        })?;
        Ok(message("Key deleted successfully"))
    }
}

/// Why a key that is seen is not changed: it may be used only, or is for ever what it is.
fn prohibited(connection: &Connection, key: CK_OBJECT_HANDLE, what: &str, rv: Rv) -> String {
    match describe::owner(connection, key) {
        owner if owner == connection.username() => format!("the key is not {what} ({rv})"),
        owner => format!("the key is {owner}'s, who alone changes and deletes it ({rv})"),
    }
}

#[derive(Args)]
pub struct Share {
    #[command(flatten)]
    selection: Selection,
    /// The other user.
    #[arg(long)]
    username: String,
    /// The other user's role.
    #[arg(long, value_enum, default_value = "crypto-user")]
    role: Role,
    #[command(flatten)]
    approval: Approval,
}

impl Share {
    pub fn run(self, context: &mut Context, shares: bool) -> Outcome {
        let filter = self.selection.parse()?;
        if self.role != Role::CryptoUser {
            return Err("keys are shared with crypto-users".into());
        }
        let connection = context.connect()?;
        let key = select::one(connection, &filter, "key")?;
        self.approval.show(connection)?;
        change(connection, key, &self.username, shares)?;
        Ok(message(if shares { "Key shared successfully" } else { "Key unshared successfully" }))
    }
}

/// Shares a key with a user, or no more.
pub fn change(
    connection: &Connection,
    key: CK_OBJECT_HANDLE,
    name: &str,
    shares: bool,
) -> Result<(), String> {
    let session = &connection.session;
    // The user that C_InitPIN makes has no name of its own.
    let bare = if name == "user" { "" } else { name };
    let outcome = if shares { session.share(key, bare) } else { session.unshare(key, bare) };
    outcome.map_err(|rv| match rv.0 {
        CKR_ARGUMENTS_BAD => format!("there is no crypto-user {name:?} ({rv})"),
        CKR_ACTION_PROHIBITED => format!(
            "only the owner of a private token key shares it, and leaves as many users as must approve ({rv})"
        ),
        _ if rv == Rv::ABSENT => format!("this module has one user only; there is no {name:?}"),
        _ => quorum::wanted(rv).unwrap_or_else(|| format!("sharing with {name:?}: {rv}")),
    })
}

/// `{"message": ...}`.
pub fn message(text: &str) -> Report {
    Report { text: format!("{text}\n"), json: json!({ "message": text }) }
}
