//! `coffer key ...`: CloudHSM's commands about keys, on any module.

mod file;
pub mod generate;
mod list;
pub mod manage;
mod replicate;
mod unwrap;
pub mod wrap;

use crate::connection::Connection;
use crate::context::Context;
use crate::output::Outcome;
use crate::select::{self, Filter};
use clap::{Args, Subcommand};
use coffer_pkcs11::mechanism::vendor::{CKA_COFFER_MANAGE_QUORUM, CKA_COFFER_USE_QUORUM};
use pkcs11_client::Attr;
use pkcs11_client::cryptoki_sys::*;

#[derive(Subcommand)]
pub enum Command {
    /// List the keys that match.
    List(list::List),
    /// Generate a symmetric key.
    #[command(subcommand)]
    GenerateSymmetric(generate::Symmetric),
    /// Generate an asymmetric key pair.
    #[command(subcommand)]
    GenerateAsymmetricPair(generate::Pair),
    /// Write a public key, or a reference to a private one, to a file.
    GenerateFile(file::GenerateFile),
    /// Import a key.
    #[command(subcommand)]
    Import(file::Import),
    /// Wrap a key out of the token.
    #[command(subcommand)]
    Wrap(wrap::Wrap),
    /// Unwrap a key into the token.
    #[command(subcommand)]
    Unwrap(unwrap::Unwrap),
    /// Change an attribute of a key.
    SetAttribute(manage::SetAttribute),
    /// Share a key with another user.
    Share(manage::Share),
    /// Stop sharing a key with another user.
    Unshare(manage::Share),
    /// Copy a key to another token of the module.
    Replicate(replicate::Replicate),
    /// Destroy a key.
    Delete(manage::Delete),
}

pub fn run(context: &mut Context, command: Command) -> Outcome {
    match command {
        Command::List(list) => list.run(context),
        Command::GenerateSymmetric(key) => key.run(context),
        Command::GenerateAsymmetricPair(pair) => pair.run(context),
        Command::GenerateFile(file) => file.run(context),
        Command::Import(import) => import.run(context),
        Command::Wrap(wrap) => wrap.run(context),
        Command::Unwrap(unwrap) => unwrap.run(context),
        Command::SetAttribute(set) => set.run(context),
        Command::Share(share) => share.run(context, true),
        Command::Unshare(share) => share.run(context, false),
        Command::Replicate(replicate) => replicate.run(context),
        Command::Delete(delete) => delete.run(context),
    }
}

/// What a new key is to be, beside what it is made of.
#[derive(Args)]
pub struct NewKey {
    /// The key's label, at most 127 bytes.
    #[arg(long)]
    pub label: String,
    #[command(flatten)]
    pub shared: Shared,
    /// Attributes: NAME=VALUE, several of them apart by blanks.
    #[arg(long, num_args = 1.., value_name = "NAME=VALUE")]
    pub attributes: Vec<String>,
}

/// Options of every command that makes keys.
#[derive(Args)]
pub struct Shared {
    /// A session key, which goes with the session instead of staying in the token.
    #[arg(long)]
    pub session: bool,
    /// Users that may use the key too.
    #[arg(long, num_args = 1.., value_name = "USER")]
    pub share_crypto_users: Vec<String>,
    /// How many of its users must approve wrapping, sharing or changing the key, for life; at most 8.
    #[arg(long, value_name = "N")]
    pub manage_key_quorum_value: Option<u8>,
    /// How many of its users must approve each use of the key, for life; at most 8.
    #[arg(long, value_name = "N")]
    pub use_key_quorum_value: Option<u8>,
}

impl Shared {
    /// Shares the new keys as `--share-crypto-users` says; where that fails, none of them stays.
    ///
    /// # Errors
    /// A sentence.
    pub fn share(&self, connection: &Connection, keys: &[CK_OBJECT_HANDLE]) -> Result<(), String> {
        let pairs = self.share_crypto_users.iter().flat_map(|name| keys.iter().map(move |key| (name, *key)));
        for (name, key) in pairs {
            if let Err(why) = manage::change(connection, key, name, true) {
                for key in keys {
                    let _ = connection.session.destroy(*key);
                }
                return Err(why);
            }
        }
        Ok(())
    }

    /// What a private or secret key's template says of approvals.
    ///
    /// # Errors
    /// A sentence: more than can be, or than the key has users.
    pub fn approvals(&self) -> Result<Vec<Attr>, String> {
        let values = [
            (CKA_COFFER_MANAGE_QUORUM, self.manage_key_quorum_value),
            (CKA_COFFER_USE_QUORUM, self.use_key_quorum_value),
        ];
        let mut template = Vec::new();
        for (attribute, value) in values {
            let Some(value) = value.filter(|value| *value > 1) else { continue };
            if self.session {
                return Err("session keys take no approvals".into());
            }
            if value > 8 {
                return Err(format!("a quorum value of {value}: at most 8 users approve"));
            }
            let users = 1 + self.share_crypto_users.len();
            if usize::from(value) > users {
                return Err(format!(
                    "a quorum value of {value} takes {value} users of the key, and it has {users}: the owner and \
                     --share-crypto-users"
                ));
            }
            template.push(Attr::ulong(attribute, value.into()));
        }
        Ok(template)
    }

    /// The template that label and `--session` make; `terms` may say more.
    ///
    /// # Errors
    /// A sentence: a wrong attribute, a label that is too long, or an option that has no meaning for this token.
    pub fn template(&self, label: &str, terms: &[String]) -> Result<Vec<Attr>, String> {
        if label.len() > 127 {
            return Err(format!("a label has at most 127 bytes, and this one has {}", label.len()));
        }
        let mut template = vec![Attr::label(label), Attr::bool(CKA_TOKEN, !self.session)];
        for attr in select::attributes(terms)? {
            select::put(&mut template, attr);
        }
        Ok(template)
    }
}

/// `--filter`.
#[derive(Args, Clone)]
pub struct Selection {
    /// attr.NAME=VALUE or key-reference=0x...; all of them must hold.
    #[arg(long, num_args = 1.., value_name = "FILTER")]
    pub filter: Vec<String>,
}

impl Selection {
    pub fn parse(&self) -> Result<Filter, String> {
        Filter::parse(&self.filter)
    }
}
