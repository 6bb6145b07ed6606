//! `coffer key list`.

use super::Selection;
use crate::context::Context;
use crate::describe;
use crate::output::{Long, Outcome};
use crate::select;
use clap::Args;
use pkcs11_client::cryptoki_sys::CK_OBJECT_HANDLE;
use serde_json::{Value, json};

#[derive(Args)]
pub struct List {
    #[command(flatten)]
    selection: Selection,
    /// The most keys to show at once.
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max_items: u64,
    /// Where to go on: `next_token` of the answer before, or how many to leave out.
    #[arg(long, value_name = "TOKEN")]
    starting_token: Option<String>,
    /// Show all that match, however many.
    #[arg(long, conflicts_with = "starting_token")]
    all: bool,
    /// Show every attribute.
    #[arg(short, long)]
    verbose: bool,
}

impl List {
    pub fn run(self, context: &mut Context) -> Outcome {
        let filter = self.selection.parse()?;
        let json = context.json;
        let connection = context.connect()?;
        let keys = select::all(connection, &filter)?;
        let first = match &self.starting_token {
            None => 0,
            Some(token) => position(token, &keys, |key| select::reference(connection, key))?,
        };
        let most = if self.all { keys.len() } else { usize::try_from(self.max_items).unwrap_or(usize::MAX) };
        let end = first.saturating_add(most).min(keys.len());
        // The key to begin with, since numbers move when a key is destroyed.
        let next = keys.get(end).map(|key| select::reference(connection, *key));
        let shown = &keys[first..end];
        // What is described of a key for people under a heading is all there is.
        let describe = if self.verbose || !json { describe::full } else { describe::brief };
        // A key that another process destroyed meanwhile is none.
        let entry = |at: usize| describe(connection, shown[at]).ok();
        let entry = |at| entry(at).map(|key| if json || self.verbose { key } else { row(&key) });
        let long =
            Long { json, failed: false, before: json!({}), list: "matched_keys", count: shown.len(), entry };
        let total = keys.len();
        let end = |returned: usize| {
            let mut json = json!({ "total_key_count": total, "returned_key_count": returned });
            let mut text = format!("{returned} of {total} keys\n");
            if let Some(next) = next {
                text += &format!("more: --starting-token {next}\n");
                json["next_token"] = json!(next);
            }
            (json, text)
        };
        if self.verbose { long.lines(end) } else { long.table(COLUMNS, end) }
    }
}

/// Where the key of that reference stands.
fn position(
    token: &str,
    keys: &[CK_OBJECT_HANDLE],
    reference: impl Fn(CK_OBJECT_HANDLE) -> String,
) -> Result<usize, String> {
    if let Ok(skipped) = token.parse::<usize>() {
        return Ok(skipped.min(keys.len()));
    }
    let found = keys.iter().position(|key| reference(*key) == token);
    found.ok_or_else(|| {
        format!("--starting-token {token}: there is no such key among those that match; begin anew")
    })
}

const COLUMNS: &[(&str, &str)] = &[
    ("REFERENCE", "key-reference"),
    ("CLASS", "class"),
    ("TYPE", "key-type"),
    ("SIZE", "size"),
    ("LABEL", "label"),
];

fn row(key: &Value) -> Value {
    let attributes = &key["attributes"];
    let size = ["modulus-size-bits", "curve", "parameter-set", "key-length-bytes"].iter().find_map(|name| {
        let value = &attributes[*name];
        value.as_str().map(str::to_owned).or_else(|| {
            value.as_u64().map(|number| match *name {
                "key-length-bytes" => (8 * number).to_string(),
                _ => number.to_string(),
            })
        })
    });
    json!({
        "key-reference": key["key-reference"], "class": attributes["class"], "key-type": attributes["key-type"],
        "size": size, "label": attributes["label"],
    })
}
