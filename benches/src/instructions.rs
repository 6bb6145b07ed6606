//! Instructions an operation takes, counted by callgrind: they do not drift with the machine's load. Valgrind knows no
//! AVX-512, so wide kernels take their AVX2 or AES-NI way here; for small work that is the way anyhow.

use crate::provider::Provider;
use crate::work::Work;
use crate::{callgrind, rows};
use pkcs11_conformance::client::Result as Answer;
use serde_json::{Map, Value, json};
use std::fs;
use std::path::Path;

const TIMES: u64 = 1000;
/// More or less than the kept count by so much is a change.
const TOLERANCE: f64 = 0.03;

/// The rows that are counted.
const ROWS: [&str; 16] = [
    "random-32",
    "aes256-genkey",
    "aes256-create",
    "session-info",
    "getattr-aes-label",
    "session-open-close",
    "find-session-object",
    "aes256-gcm-enc-64",
    "aes256-ecb-enc-16",
    "aes256-cbc-enc-16",
    "aes256-ctr-enc-16",
    "aes256-cmac-64",
    "sha256-64",
    "hmac-sha256-64",
    "p256-ecdh",
    "x25519-derive",
];

/// The child's part, under valgrind: each row through the module, then bare. Says what it has done, in order.
pub fn child(provider: &Provider) -> Result<Value, String> {
    let desk = provider.start()?;
    let mut done = Vec::new();
    for row in rows::all().iter().filter(|row| ROWS.contains(&row.name.as_str())) {
        let module = || (row.module)(&desk);
        let bare = row.bare.as_ref().map(|bare| move || Ok(bare()));
        count(&row.name, "module", &module, &mut done)?;
        if let Some(bare) = bare {
            count(&row.name, "aws_lc", &bare, &mut done)?;
        }
    }
    Ok(json!(done))
}

fn count(
    name: &str,
    of: &str,
    prepare: &dyn Fn() -> Answer<Work>,
    done: &mut Vec<[String; 2]>,
) -> Result<(), String> {
    callgrind::watch(name, prepare, TIMES)?;
    done.push([name.into(), of.into()]);
    Ok(())
}

/// Counts anew and compares with `kept`; `accept` writes what was counted there.
///
/// # Errors
/// Which rows have changed; or that there is no valgrind.
pub fn compare(provider: &Provider, kept: &Path, accept: bool) -> Result<(), String> {
    let counted = counted(provider)?;
    let say = |error: std::io::Error| format!("{}: {error}", kept.display());
    if accept {
        return fs::write(kept, format!("{:#}\n", Value::Object(counted))).map_err(say);
    }
    let old: Value =
        serde_json::from_str(&fs::read_to_string(kept).map_err(say)?).map_err(|error| error.to_string())?;
    let mut changed = Vec::new();
    println!("{:<22} {:>10} {:>10} {:>10} {:>8}", "instructions", "AWS-LC", "kept", "now", "change");
    for (name, now) in &counted {
        let (was, is) = (old[name]["module"].as_f64(), now["module"].as_f64().unwrap_or(0.0));
        let bare = now["aws_lc"].as_f64().map_or_else(|| "-".into(), |bare| bare.to_string());
        let change = was.map(|was| is / was - 1.0);
        let text = change.map_or_else(|| "new".into(), |change| format!("{:+.1} %", 100.0 * change));
        println!("{name:<22} {bare:>10} {:>10} {is:>10} {text:>8}", was.unwrap_or(0.0));
        if change.is_none_or(|change| change.abs() > TOLERANCE) {
            changed.push(name.as_str());
        }
    }
    match changed.is_empty() {
        true => Ok(()),
        false => {
            Err(format!("instructions have changed: {}; if that is meant, --accept", changed.join(", ")))
        }
    }
}

/// `{ row: { "module": n, "aws_lc": n } }`, rounded to whole instructions an operation.
fn counted(provider: &Provider) -> Result<Map<String, Value>, String> {
    let mut rows = Map::new();
    for ([name, of], profile) in callgrind::profiles(provider, "count", &[])? {
        let total = callgrind::total(&profile);
        if total == 0 {
            return Err(format!("callgrind counted nothing for {name}"));
        }
        let row = rows.entry(name).or_insert_with(|| json!({}));
        row[of.as_str()] = (total / TIMES).into();
    }
    Ok(rows)
}
