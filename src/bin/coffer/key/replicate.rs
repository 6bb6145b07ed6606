//! `coffer key replicate`.

use super::{Selection, manage};
use crate::connection::Connection;
use crate::context::Context;
use crate::output::{Outcome, Report};
use crate::{describe, migrate, select};
use clap::Args;
use pkcs11_client::CofferUser;
use pkcs11_client::cryptoki_sys::*;
use serde_json::json;

/// Copy a key to another token of the module, with its owner, its attributes and whom it is shared with. One that is
/// there already is not doubled, so a run that was interrupted is finished by another one.
#[derive(Args)]
pub struct Replicate {
    #[command(flatten)]
    selection: Selection,
    /// The token that has the key.
    #[arg(long, visible_alias = "source-token", value_name = "NAME")]
    source_cluster_id: String,
    /// The token that is to have it too.
    #[arg(long, visible_alias = "destination-token", value_name = "NAME")]
    destination_cluster_id: String,
}

impl Replicate {
    pub fn run(self, context: &mut Context) -> Outcome {
        let filter = self.selection.parse()?;
        let (from, to) = context.pair(&self.source_cluster_id, &self.destination_cluster_id)?;
        let key = select::one(&from, &filter, "key")?;
        let owner = describe::owner(&from, key);
        if to.username() != owner {
            return Err(format!(
                "the key is {owner}'s: {owner} is to log in to both tokens, and so own it in both; \
                 `user replicate` makes a user there"
            ));
        }
        let (friends, strangers) = friends(&from, key, &to);
        let copy = migrate::replicate(&from, &to, key)?;
        for name in &friends {
            manage::change(&to, copy.key, name, true)
                .map_err(|why| format!("the key is in {:?}, but not shared there: {why}", to.label))?;
        }
        let mut json = json!({ "key": null, "message": "Successfully replicated key" });
        if copy.was_there {
            json["was-there"] = true.into();
        }
        if !strangers.is_empty() {
            json["not-shared-with"] = json!(strangers);
        }
        json["key"] = describe::full(&to, copy.key)?;
        Ok(Report::of(json))
    }
}

/// The names of those who use the key too: those whom the other token knows, and those whom it does not.
fn friends(from: &Connection, key: CK_OBJECT_HANDLE, to: &Connection) -> (Vec<String>, Vec<String>) {
    let friends = from.session.access(key).map(|(_, friends)| friends).unwrap_or_default();
    friends.iter().map(CofferUser::name).partition(|name| to.has_user(CKU_USER, name))
}
