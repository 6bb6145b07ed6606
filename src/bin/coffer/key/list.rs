//! `coffer key list`.

use super::Selection;
use crate::connection::Connection;
use crate::context::Context;
use crate::describe;
use crate::output::{Outcome, Report, table};
use crate::select;
use clap::Args;
use pkcs11_client::cryptoki_sys::CK_OBJECT_HANDLE;
use serde_json::{Value, json};
use std::io::{self, Write};

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
        if json {
            return match self.print(connection, shown, keys.len(), next) {
                Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                    Err(format!("standard output: {error}"))
                }
                _ => Ok(Report { text: String::new(), json: Value::Null }),
            };
        }
        // A key that another process destroyed meanwhile is none.
        let full = shown.iter().filter_map(|key| describe::full(connection, *key).ok());
        let (mut text, mut returned) = (String::new(), 0);
        if self.verbose {
            for key in full {
                text += if returned > 0 { "\n" } else { "" };
                text += &Report::of(key).text;
                returned += 1;
            }
        } else {
            let rows: Vec<_> = full.map(|key| row(&key)).collect();
            returned = rows.len();
            text = table(&["REFERENCE", "CLASS", "TYPE", "SIZE", "LABEL"], &rows);
        }
        text += &format!("{returned} of {} keys\n", keys.len());
        if let Some(next) = next {
            text += &format!("more: --starting-token {next}\n");
        }
        Ok(Report { text, json: json!({}) })
    }

    /// Prints one key after the other, so that many take no more memory than one.
    fn print(
        &self,
        connection: &Connection,
        keys: &[CK_OBJECT_HANDLE],
        total: usize,
        next: Option<String>,
    ) -> io::Result<()> {
        let describe = if self.verbose { describe::full } else { describe::brief };
        let mut out = io::BufWriter::new(io::stdout().lock());
        out.write_all(b"{\n  \"error_code\": 0,\n  \"data\": {\n    \"matched_keys\": [")?;
        let mut returned = 0;
        // A key that another process destroyed meanwhile is none.
        for key in keys.iter().filter_map(|key| describe(connection, *key).ok()) {
            let key = format!("{key:#}").replace('\n', "\n      ");
            write!(out, "{}\n      {key}", if returned > 0 { "," } else { "" })?;
            returned += 1;
        }
        let end = if returned > 0 { "\n    ]" } else { "]" };
        write!(out, "{end},\n    \"total_key_count\": {total},\n    \"returned_key_count\": {returned}")?;
        if let Some(next) = next {
            write!(out, ",\n    \"next_token\": {}", json!(next))?;
        }
        out.write_all(b"\n  }\n}\n")?;
        out.flush()
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
