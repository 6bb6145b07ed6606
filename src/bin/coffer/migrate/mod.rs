//! `coffer migrate`: keys from one token to another, of whatever module.

mod carrier;
mod plan;
mod proof;

use crate::connection::{Connection, Target};
use crate::context::Context;
use crate::output::{Outcome, Report, table};
use crate::select::{self, Filter};
use carrier::{Carrier, Way};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use pkcs11_client::Attr;
use pkcs11_client::cryptoki_sys::*;
use plan::{Item, Verdict};
use proof::Proof;
use serde_json::{Value, json};
use std::path::PathBuf;

/// Copies keys with their attributes, and certificates, from one token to another. Private and secret keys travel wrapped by a key that
/// the two tokens share for this run, and are never readable on the way; each is proved afterwards by using it on both
/// sides. Keys that are there already stay, so an interrupted migration can just be repeated. Nothing is deleted.
#[derive(Args)]
pub struct Migrate {
    /// The module the keys come from; --library's, or Coffer's, unless given.
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// The module the keys go to; --library's, or Coffer's, unless given.
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    /// The token the keys come from, by label, serial number or slot.
    #[arg(long, visible_alias = "source-cluster-id", value_name = "NAME")]
    from_token: Option<String>,
    /// The token the keys go to.
    #[arg(long, visible_alias = "destination-cluster-id", value_name = "NAME")]
    to_token: Option<String>,
    /// A file with the PIN of the token the keys come from (else COFFER_FROM_PIN, else a prompt).
    #[arg(long, value_name = "FILE")]
    from_pin_file: Option<PathBuf>,
    /// A file with the PIN of the token the keys go to (else COFFER_TO_PIN, else a prompt).
    #[arg(long, value_name = "FILE")]
    to_pin_file: Option<PathBuf>,
    /// Which keys: attr.NAME=VALUE or key-reference=0x...; all unless given.
    #[arg(long, num_args = 1.., value_name = "FILTER")]
    filter: Vec<String>,
    /// How they travel; the first way that both tokens know unless given.
    #[arg(long, value_enum)]
    method: Option<Way>,
    /// Attributes that are to be different: NAME=VALUE.
    #[arg(long, num_args = 1.., value_name = "NAME=VALUE")]
    attributes: Vec<String>,
    /// Only tell what would move and what cannot, and why.
    #[arg(long)]
    dry_run: bool,
}

impl Migrate {
    pub fn run(self, context: &mut Context) -> Outcome {
        let filter = Filter::parse(&self.filter)?;
        let changes = select::attributes(&self.attributes)?;
        let general = &context.target;
        let side = |library: &Option<PathBuf>, token: &Option<String>| Target {
            library: library.clone().or_else(|| general.library.clone()),
            token: token.clone(),
            pin_file: None,
            config: None,
        };
        let mut from = Connection::open(&side(&self.from, &self.from_token))?;
        let mut to = Connection::open(&side(&self.to, &self.to_token))?;
        let token = |at: &Connection| {
            at.module.token_info(at.slot).map(|info| (info.serialNumber, info.manufacturerID))
        };
        if from.label == to.label && token(&from).is_ok_and(|one| token(&to).is_ok_and(|other| one == other))
        {
            return Err("the two tokens are one; say --from-token and --to-token".into());
        }
        from.login_as_user(self.from_pin_file.as_deref(), "COFFER_FROM_PIN")?;
        to.login_as_user(self.to_pin_file.as_deref(), "COFFER_TO_PIN")?;
        let keys = select::with_certificates(&from, &filter)?;
        let bar = progress("comparing", keys.len());
        let mut items: Vec<Item> = Vec::new();
        for key in keys {
            // Session keys are not the token's.
            if from.session.attribute(key, CKA_TOKEN).is_ok_and(|value| value == [1]) {
                items.push(Item::new(&from, &to, key));
            }
            bar.inc(1);
        }
        bar.finish_and_clear();
        let way = if self.dry_run { None } else { move_all(&from, &to, &mut items, self.method, &changes)? };
        report(&items, way, self.dry_run)
    }
}

/// Moves what can move; an item that failed then says why.
fn move_all(
    from: &Connection,
    to: &Connection,
    items: &mut [Item],
    wanted: Option<Way>,
    changes: &[Attr],
) -> Result<Option<Way>, String> {
    let carrier = match items.iter().any(|item| item.verdict == Verdict::Wrap) {
        true => Some(Carrier::new(from, to, wanted)?),
        false => None,
    };
    let bar = progress("moving", items.len());
    for item in items {
        let moved = match (&item.verdict, &carrier) {
            (Verdict::Wrap, Some(carrier)) => {
                Some(carrier.carry(from, to, item.key, &plan::template(from, item, changes)))
            }
            (Verdict::Copy, _) => Some(copy(from, to, item, changes)),
            _ => None,
        };
        if let Some(outcome) = moved {
            item.verdict = match outcome.and_then(|key| prove(from, to, item.key, key)) {
                Ok(proof) => Verdict::There(proof),
                Err(why) => Verdict::Cannot(why),
            };
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(carrier.map(|carrier| carrier.way))
}

/// A public key, made of its parts, or a certificate.
fn copy(
    from: &Connection,
    to: &Connection,
    item: &Item,
    changes: &[Attr],
) -> Result<CK_OBJECT_HANDLE, String> {
    let refused = |rv| format!("C_CreateObject: {rv}");
    if item.class == CKO_CERTIFICATE {
        return to.session.create_object(&plan::certificate(from, item)).map_err(refused);
    }
    let (_, parts) = crate::public::attributes(&crate::public::info(from, item.key)?)?;
    let mut template = plan::template(from, item, changes);
    template.extend(parts);
    to.session.create_object(&template).map_err(refused)
}

/// A key that is not what it should be does not stay.
fn prove(
    from: &Connection,
    to: &Connection,
    old: CK_OBJECT_HANDLE,
    new: CK_OBJECT_HANDLE,
) -> Result<Proof, String> {
    match proof::compare((from, old), (to, new)) {
        Proof::Different => {
            let _ = to.session.destroy(new);
            Err("what arrived was another key, and was destroyed".into())
        }
        proof => Ok(proof),
    }
}

/// One key, by whatever way works: `key replicate`.
pub fn replicate(
    from: &Connection,
    to: &Connection,
    key: CK_OBJECT_HANDLE,
) -> Result<CK_OBJECT_HANDLE, String> {
    let item = Item::new(from, to, key);
    let new = match &item.verdict {
        Verdict::Cannot(why) => return Err(why.clone()),
        Verdict::There(_) => return Err("the other token has this key already".into()),
        Verdict::Copy => copy(from, to, &item, &[])?,
        Verdict::Wrap => {
            Carrier::new(from, to, None)?.carry(from, to, key, &plan::template(from, &item, &[]))?
        }
    };
    prove(from, to, key, new)?;
    Ok(new)
}

fn report(items: &[Item], way: Option<Way>, dry_run: bool) -> Outcome {
    let (mut rows, mut entries, mut failed) = (Vec::new(), Vec::<Value>::new(), 0);
    for item in items {
        let (outcome, detail) = match &item.verdict {
            Verdict::Wrap => ("movable", "wrapped".to_owned()),
            Verdict::Copy => ("movable", "copied".to_owned()),
            Verdict::There(Proof::Used(what)) => ("there", format!("proved by {what} on both sides")),
            Verdict::There(Proof::Equal(what)) => ("there", format!("{what} is the same on both sides")),
            Verdict::There(_) => ("there", "not proved: it may not be used so that it shows".to_owned()),
            Verdict::Cannot(why) => {
                failed += 1;
                ("stays", why.clone())
            }
        };
        rows.push(vec![
            item.reference.clone(),
            item.kind(),
            item.label.clone(),
            outcome.into(),
            detail.clone(),
        ]);
        entries.push(json!({
            "key-reference": item.reference, "label": item.label, "kind": item.kind(), "outcome": outcome,
            "detail": detail,
        }));
    }
    let mut text = table(&["REFERENCE", "KIND", "LABEL", "OUTCOME", "DETAIL"], &rows);
    let done = items.len() - failed;
    text += &match dry_run {
        true => format!("{done} of {} keys can move or are there; {failed} stay\n", items.len()),
        false => format!("{done} of {} keys are there; {failed} stay\n", items.len()),
    };
    let way = way.map(|way| match way {
        Way::RsaAes => "rsa-aes",
        Way::AesKwp => "aes-kwp",
    });
    let json = json!({ "dry-run": dry_run, "method": way, "keys": entries, "there": done, "stay": failed });
    Ok(Report { text, json })
}

/// A bar on standard error, if that is a terminal.
pub fn progress(what: &'static str, count: usize) -> ProgressBar {
    let bar = ProgressBar::new(count as u64);
    if let Ok(style) = ProgressStyle::with_template("{prefix} {wide_bar} {pos}/{len}, {eta}") {
        bar.set_style(style);
    }
    bar.with_prefix(what)
}
