//! `coffer key list`.

use super::Selection;
use crate::context::Context;
use crate::describe;
use crate::output::{Outcome, Report, table};
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
        let connection = context.connect()?;
        let keys = select::all(connection, &filter)?;
        let first = match &self.starting_token {
            None => 0,
            Some(token) => position(token, &keys, |key| select::reference(connection, key))?,
        };
        let most = if self.all { keys.len() } else { usize::try_from(self.max_items).unwrap_or(usize::MAX) };
        let end = first.saturating_add(most).min(keys.len());
        let (mut matched, mut rows) = (Vec::new(), Vec::new());
        for key in &keys[first..end] {
            // A key that another process destroyed meanwhile is none.
            let Ok(full) = describe::full(connection, *key) else { continue };
            rows.push(row(&full));
            matched.push(if self.verbose { full } else { describe::brief(connection, *key)? });
        }
        let returned = matched.len();
        let mut json = json!({
            "matched_keys": matched, "total_key_count": keys.len(), "returned_key_count": returned,
        });
        let mut text = if self.verbose {
            Report::of(json["matched_keys"].clone()).text
        } else {
            table(&["REFERENCE", "CLASS", "TYPE", "SIZE", "LABEL"], &rows)
        };
        text += &format!("{returned} of {} keys\n", keys.len());
        if end < keys.len() {
            // The key to begin with, since numbers move when a key is destroyed.
            let next = select::reference(connection, keys[end]);
            text += &format!("more: --starting-token {next}\n");
            json["next_token"] = json!(next);
        }
        Ok(Report { text, json })
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

fn row(key: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let attributes = &key["attributes"];
    let size = ["modulus-size-bits", "curve", "parameter-set", "key-length-bytes"].iter().find_map(|name| {
        let value = &attributes[*name];
        text(value).or_else(|| {
            value.as_u64().map(|number| match *name {
                "key-length-bytes" => (8 * number).to_string(),
                _ => number.to_string(),
            })
        })
    });
    let cell = |name: &str| text(&attributes[name]).unwrap_or_default();
    vec![
        text(&key["key-reference"]).unwrap_or_default(),
        cell("class"),
        cell("key-type"),
        size.unwrap_or_default(),
        cell("label"),
    ]
}
