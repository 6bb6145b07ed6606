//! `coffer key replicate`.

use super::{Selection, manage};
use crate::connection::Connection;
use crate::context::Context;
use crate::output::{Outcome, Report};
use crate::quorum::Approval;
use crate::select::{self, Filter};
use crate::{describe, migrate};
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
    #[command(flatten)]
    approval: Approval,
}

impl Replicate {
    pub fn run(self, context: &mut Context) -> Outcome {
        let filter = self.selection.parse()?;
        let (from, to) = (&self.source_cluster_id, &self.destination_cluster_id);
        context.with_pair(from, to, |from, to| self.copy(from, &to, &filter))
    }

    fn copy(&self, from: &Connection, to: &Connection, filter: &Filter) -> Outcome {
        let key = select::one(from, filter, "key")?;
        let owner = describe::owner(from, key);
        if to.username() != owner {
            return Err(format!(
                "the key is {owner}'s: {owner} is to log in to both tokens, and so own it in both; \
                 `user replicate` makes a user there"
            ));
        }
        let (friends, strangers) = friends(from, key, to);
        let (need, able) = (migrate::approvals(from, key), 1 + friends.len());
        if need > 1 && able < need as usize {
            return Err(format!(
                "the key takes the approval of {need} of its users, and {:?} knows {able}; \
                 `user replicate` makes users there",
                to.label
            ));
        }
        self.approval.show(from)?;
        let mut copy = migrate::replicate(from, to, key, false)?;
        let mut shared = share(to, copy.key, &friends);
        // Only who has just made a key that takes approvals shares it without them. A copy that lacks its users after
        // a run that was killed is therefore of use to nobody.
        if copy.was_there && need > 1 && shared.is_err() {
            let useless = copy.key;
            copy = migrate::replicate(from, to, key, true)?;
            shared = share(to, copy.key, &friends);
            to.session.destroy(useless).map_err(|rv| format!("a copy that is not shared stays: {rv}"))?;
        }
        shared.map_err(|why| format!("the key is in {:?}, but not shared there: {why}", to.label))?;
        let mut json = json!({ "key": null, "message": "Successfully replicated key" });
        if copy.was_there {
            json["was-there"] = true.into();
        }
        if !strangers.is_empty() {
            json["not-shared-with"] = json!(strangers);
        }
        json["key"] = describe::full(to, copy.key)?;
        Ok(Report::of(json))
    }
}

fn share(to: &Connection, key: CK_OBJECT_HANDLE, friends: &[String]) -> Result<(), String> {
    friends.iter().try_for_each(|name| manage::change(to, key, name, true))
}

/// The names of those who use the key too: those whom the other token knows, and those whom it does not.
fn friends(from: &Connection, key: CK_OBJECT_HANDLE, to: &Connection) -> (Vec<String>, Vec<String>) {
    let friends = from.session.access(key).map(|(_, friends)| friends).unwrap_or_default();
    friends.iter().map(CofferUser::name).partition(|name| to.has_user(CKU_USER, name))
}
