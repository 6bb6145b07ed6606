//! `coffer migrate`: keys from one token to another, of whatever module.

mod carrier;
mod plan;
pub mod proof;

use crate::connection::{Connection, Target};
use crate::context::Context;
use crate::describe;
use crate::output::{Long, Outcome, progress};
use crate::select::{self, Filter, reference};
use carrier::{Carrier, Way};
use clap::Args;
use indicatif::ProgressBar;
use pkcs11_client::Attr;
use pkcs11_client::cryptoki_sys::*;
pub use plan::approvals;
use plan::{Item, Verdict};
use proof::Proof;
use serde_json::json;
use std::path::PathBuf;
use std::thread;

/// Copies keys with their attributes, certificates and data objects from one token to another. Private and secret keys travel wrapped by a key that
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
    /// What C_Initialize of --from is given, for a module that wants it: NSS's "configdir='sql:DIR' ...".
    #[arg(long, value_name = "TEXT")]
    from_init_args: Option<String>,
    /// What C_Initialize of --to is given.
    #[arg(long, value_name = "TEXT")]
    to_init_args: Option<String>,
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
    /// How many keys move at once, each in sessions of its own; for modules that bear threads, as Coffer does.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=64))]
    jobs: u8,
    /// Only tell what would move and what cannot, and why.
    #[arg(long)]
    dry_run: bool,
}

impl Migrate {
    pub fn run(self, context: &mut Context) -> Outcome {
        let filter = Filter::parse(&self.filter)?;
        let changes = select::attributes(&self.attributes)?;
        let general = &context.target;
        let side = |library: &Option<PathBuf>, init_args: &Option<String>, token: &Option<String>| Target {
            library: library.clone().or_else(|| general.library.clone()),
            init_args: init_args.clone().or_else(|| general.init_args.clone().filter(|_| library.is_none())),
            token: token.clone(),
            ..Target::default()
        };
        let mut from = Connection::open(&side(&self.from, &self.from_init_args, &self.from_token))?;
        let mut to = Connection::open(&side(&self.to, &self.to_init_args, &self.to_token))?;
        let token = |at: &Connection| {
            at.module.token_info(at.slot).map(|info| (info.serialNumber, info.manufacturerID))
        };
        if from.label == to.label && token(&from).is_ok_and(|one| token(&to).is_ok_and(|other| one == other))
        {
            return Err("the two tokens are one; say --from-token and --to-token".into());
        }
        from.login_as_user(self.from_pin_file.as_deref(), "COFFER_FROM_PIN")?;
        to.login_as_user(self.to_pin_file.as_deref(), "COFFER_TO_PIN")?;
        let keys = select::everything(&from, &filter)?;
        let bar = progress("comparing", keys.len());
        let mut items: Vec<Item> = Vec::new();
        for key in keys {
            // Session keys are not the token's.
            if from.session.attribute(key, CKA_TOKEN).is_ok_and(|value| value == [1]) {
                items.push(Item::new(&from, &to, key).without_approval(&from));
            }
            bar.inc(1);
        }
        bar.finish_and_clear();
        let way = match self.dry_run {
            true => None,
            false => {
                let carrier = match items.iter().any(|item| item.verdict == Verdict::Wrap) {
                    true => Some(Carrier::new(&from, &to, self.method)?),
                    false => None,
                };
                let work = Work { carrier, changes: &changes, bar: progress("moving", items.len()) };
                work.all(&from, &to, &mut items, self.jobs)?;
                work.carrier.map(|carrier| carrier.way)
            }
        };
        context.found_wrong = items.iter().any(|item| matches!(item.verdict, Verdict::Failed(_)));
        report(&from, &items, way, self.dry_run, context.json)
    }
}

/// What all keys of a migration share.
struct Work<'a> {
    carrier: Option<Carrier>,
    changes: &'a [Attr],
    bar: ProgressBar,
}

impl Work<'_> {
    /// Moves what can move, in several threads if there are to be `jobs` of them.
    ///
    /// # Errors
    /// A sentence: no session for a thread. What other threads moved is moved.
    fn all(&self, from: &Connection, to: &Connection, items: &mut [Item], jobs: u8) -> Result<(), String> {
        if jobs == 1 {
            self.part(from, to, items);
        } else {
            let share = items.len().div_ceil(jobs.into()).max(1);
            thread::scope(|scope| {
                let beside = |part: &mut [Item]| {
                    self.part(&from.beside()?, &to.beside()?, part);
                    Ok::<_, String>(())
                };
                let running: Vec<_> =
                    items.chunks_mut(share).map(|part| scope.spawn(move || beside(part))).collect();
                let end = |thread: thread::ScopedJoinHandle<'_, _>| {
                    thread.join().unwrap_or_else(|_| Err("a thread ended early".into()))
                };
                running.into_iter().map(end).collect::<Result<Vec<()>, _>>()
            })?;
        }
        self.bar.finish_and_clear();
        Ok(())
    }

    /// One after the other; an item that failed then says why.
    fn part(&self, from: &Connection, to: &Connection, items: &mut [Item]) {
        for item in items {
            let moved = match (&item.verdict, &self.carrier) {
                (Verdict::Wrap, Some(carrier)) => {
                    Some(carrier.carry(from, to, item.key, &plan::template(from, item, self.changes)))
                }
                (Verdict::Copy, _) => Some(copy(from, to, item, self.changes)),
                _ => None,
            };
            if let Some(outcome) = moved {
                item.verdict = match outcome.and_then(|key| Ok((prove(from, to, item.key, key)?, key))) {
                    Ok((proof, key)) => Verdict::There(proof, key),
                    Err(why) => Verdict::Failed(why),
                };
            }
            self.bar.inc(1);
        }
    }
}

/// A public key, made of its parts, or what is no key.
fn copy(
    from: &Connection,
    to: &Connection,
    item: &Item,
    changes: &[Attr],
) -> Result<CK_OBJECT_HANDLE, String> {
    let refused = |rv| plan::refused("C_CreateObject", rv);
    if let Some(template) = plan::as_it_is(from, item) {
        return to.session.create_object(&template).map_err(refused);
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
        Proof::Different => Err(match to.session.destroy(new) {
            Ok(()) => "what arrived was another key, and was destroyed".into(),
            Err(rv) => format!("what arrived is another key, and may not be destroyed ({rv})"),
        }),
        proof => Ok(proof),
    }
}

/// A key in the other token.
pub struct Copied {
    pub key: CK_OBJECT_HANDLE,
    /// It was there before this run.
    pub was_there: bool,
}

/// One key, by whatever way works: `key replicate`. With `anew` one that is there does not do.
///
/// # Errors
/// A sentence; the other token has no such key then, unless it had it before.
pub fn replicate(
    from: &Connection,
    to: &Connection,
    key: CK_OBJECT_HANDLE,
    anew: bool,
) -> Result<Copied, String> {
    let item = if anew { Item::absent(from, key) } else { Item::new(from, to, key) };
    let new = match &item.verdict {
        Verdict::Cannot(why) => return Err(why.to_string()),
        Verdict::Failed(why) => return Err(why.clone()),
        Verdict::There(_, key) => return Ok(Copied { key: *key, was_there: true }),
        Verdict::Copy => copy(from, to, &item, &[])?,
        Verdict::Wrap => {
            Carrier::new(from, to, None)?.carry(from, to, key, &plan::template(from, &item, &[]))?
        }
    };
    prove(from, to, key, new)?;
    Ok(Copied { key: new, was_there: false })
}

const COLUMNS: &[(&str, &str)] = &[
    ("REFERENCE", "key-reference"),
    ("KIND", "kind"),
    ("LABEL", "label"),
    ("OUTCOME", "outcome"),
    ("DETAIL", "detail"),
];

/// Names and references are read anew when they are printed: of many keys they would be most of what is remembered.
fn report(from: &Connection, items: &[Item], way: Option<Way>, dry_run: bool, json: bool) -> Outcome {
    let entry = |at: usize| {
        let item: &Item = &items[at];
        let (outcome, detail) = match &item.verdict {
            Verdict::Wrap => ("movable", "wrapped".into()),
            Verdict::Copy => ("movable", "copied".into()),
            Verdict::There(proof, _) => ("there", proof.sentence().into()),
            Verdict::Failed(why) => ("failed", why.as_str().into()),
            Verdict::Cannot(why) => ("stays", why.clone()),
        };
        Some(json!({
            "key-reference": reference(from, item.key), "label": describe::label(from, item.key),
            "kind": item.kind(), "outcome": outcome, "detail": detail,
        }))
    };
    let before = json!({ "dry-run": dry_run, "method": way.map(Way::name) });
    let count = |is: fn(&Verdict) -> bool| items.iter().filter(|item| is(&item.verdict)).count();
    let stay = count(|verdict| matches!(verdict, Verdict::Cannot(_)));
    let failed = count(|verdict| matches!(verdict, Verdict::Failed(_)));
    let long = Long { json, failed: failed > 0, before, list: "keys", count: items.len(), entry };
    long.table(COLUMNS, |count| {
        let done = count - stay - failed;
        let mut text = match dry_run {
            true => format!("{done} of {count} keys can move or are there; {stay} stay\n"),
            false => format!("{done} of {count} keys are there; {stay} stay\n"),
        };
        if failed > 0 {
            text += &format!("{failed} did not come; a run once the cause is mended goes on with them\n");
        }
        (json!({ "there": done, "stay": stay, "failed": failed }), text)
    })
}
