//! `coffer import softhsm|nss`: everything that another token's files hold, without its module, given its PIN.

use super::{nss, softhsm};
use crate::connection::Connection;
use crate::context::Context;
use crate::key::generate;
use crate::migrate::progress;
use crate::migrate::proof::{self, Proof};
use crate::output::{Outcome, Report, table};
use crate::select::{self, put};
use crate::{names, pin};
use clap::{Args, Subcommand};
use coffer_pkcs11::object::schema;
use pkcs11_client::cryptoki_sys::*;
use pkcs11_client::{Attr, Rv, Value};
use serde_json::json;
use std::collections::HashMap;
use std::path::PathBuf;
use zeroize::{Zeroize, Zeroizing};

/// An object as another token's files have it.
pub struct Stored {
    /// The file or the row, for messages.
    pub origin: String,
    /// Numbers and switches in the form of the standard's attributes.
    pub attributes: Vec<Attr>,
}

/// The objects of a store; or what is wrong with one.
pub type Read = Vec<Result<Stored, String>>;

impl Stored {
    /// An attribute's bytes.
    pub fn bytes(&self, kind: CK_ATTRIBUTE_TYPE) -> Option<&[u8]> {
        self.attributes.iter().find(|attr| attr.kind == kind).and_then(|attr| match &attr.value {
            Value::Bytes(bytes) => Some(&bytes[..]),
            _ => None,
        })
    }

    /// A CK_ULONG attribute.
    pub fn number(&self, kind: CK_ATTRIBUTE_TYPE) -> Option<CK_ULONG> {
        self.bytes(kind)?.try_into().ok().map(CK_ULONG::from_ne_bytes)
    }

    fn text(&self, kind: CK_ATTRIBUTE_TYPE) -> String {
        String::from_utf8_lossy(self.bytes(kind).unwrap_or_default()).into_owned()
    }

    /// Class and type as words.
    fn kind(&self) -> String {
        let class = self.number(CKA_CLASS).map_or("object of no class".into(), |class| match class {
            nss::TRUST => "trust".into(),
            class => names::word(names::CLASSES, class),
        });
        match self.number(CKA_KEY_TYPE) {
            Some(key_type) => format!("{} {class}", names::word(names::KEY_TYPES, key_type)),
            None => class,
        }
    }

    /// What C_CreateObject is to be given: all that the schema of class and type takes at creation.
    fn template(&self, changes: &[Attr]) -> Result<Vec<Attr>, String> {
        let class = self.number(CKA_CLASS).ok_or("it has no class")?;
        if class == nss::TRUST {
            return Err("whom NSS trusts is NSS's own; a token has no such objects".into());
        }
        let of = self.number(if class == CKO_CERTIFICATE { CKA_CERTIFICATE_TYPE } else { CKA_KEY_TYPE });
        let schema = schema::lookup(class, of).ok_or("there are no such objects in Coffer")?;
        let mut template = vec![Attr::class(class)];
        for attr in &self.attributes {
            let Some(row) = schema.find(attr.kind) else { continue };
            let empty = matches!(&attr.value, Value::Bytes(bytes) if bytes.is_empty());
            // Note 2: the token computes it. Note 10: the SO alone says it.
            let says = !(row.notes.has(2) || row.notes.has(10) || empty && attr.kind != CKA_VALUE);
            if says && ![CKA_CLASS, CKA_TOKEN].contains(&attr.kind) {
                template.push(attr.clone());
            }
        }
        if schema.is_key() {
            for change in changes.iter().filter(|change| schema.find(change.kind).is_some()) {
                put(&mut template, change.clone());
            }
        }
        Ok(template)
    }
}

/// The plaintext in front of the padding of PKCS#7 (RFC 5652, section 6.3); none if there is no such padding.
pub fn unpadded(mut plain: Zeroizing<Vec<u8>>, block: usize) -> Option<Zeroizing<Vec<u8>>> {
    let count = usize::from(*plain.last()?);
    let front = plain.len().checked_sub(count).filter(|_| (1..=block).contains(&count))?;
    plain[front..].iter().all(|byte| usize::from(*byte) == count).then_some(())?;
    plain[front..].zeroize();
    plain.truncate(front);
    Some(plain)
}

/// Whose files.
#[derive(Subcommand)]
pub enum Store {
    /// All objects of a SoftHSM 2 token, out of its files.
    ///
    /// DIR is the token's directory, or the one with all tokens. Everything in it is read before anything is stored: keys,
    /// certificates and data with their attributes. What is there already stays as it is, so an interrupted run can just
    /// be repeated. The files are only read; no program should change them meanwhile.
    Softhsm(Whole),
    /// All keys and certificates of an NSS database, out of its files.
    ///
    /// DIR is the directory with cert9.db and key4.db. Keys without a label get the nickname of their certificate.
    /// Whom NSS trusts does not come along. Otherwise as `import softhsm`.
    Nss(Whole),
}

#[derive(Args)]
pub struct Whole {
    /// The directory.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Which of several tokens in the directory, by label or serial number.
    #[arg(long, value_name = "NAME")]
    from_token: Option<String>,
    /// A file with the PIN of the token in the directory (else COFFER_FROM_PIN, else a prompt).
    #[arg(long, value_name = "FILE")]
    from_pin_file: Option<PathBuf>,
    /// Attributes of the keys that are to be different: NAME=VALUE.
    #[arg(long, num_args = 1.., value_name = "NAME=VALUE")]
    attributes: Vec<String>,
    /// Only tell what would come and what cannot, and why.
    #[arg(long)]
    dry_run: bool,
    /// Leave out objects whose files are damaged, which otherwise stop everything.
    #[arg(long)]
    skip_damaged: bool,
}

/// What is to be done about an object, or was done.
enum Verdict {
    Comes,
    Came(Proof),
    There(Proof),
    Cannot(String),
    /// What was read contradicts itself.
    Damaged(String),
}

struct Item {
    stored: Stored,
    template: Vec<Attr>,
    /// A session object of it, which shows what the token makes of the template; nothing stays of it.
    trial: Option<CK_OBJECT_HANDLE>,
    verdict: Verdict,
}

impl Store {
    pub fn run(self, context: &mut Context) -> Outcome {
        let (whole, read): (_, fn(&Whole) -> Result<Read, String>) = match self {
            Store::Softhsm(whole) => (whole, |whole| {
                let token = softhsm::Token::find(&whole.directory, whole.from_token.as_deref())?;
                token.read(&whole.pin(&format!("PIN of SoftHSM's token {:?}", token.label))?)
            }),
            Store::Nss(whole) => (whole, |whole| {
                if whole.from_token.is_some() {
                    return Err("--from-token: an NSS database holds one token".into());
                }
                nss::read(&whole.directory, || whole.pin("password of the NSS database"))
            }),
        };
        let changes = select::attributes(&whole.attributes)?;
        let (mut found, mut damaged) = (Vec::new(), Vec::new());
        for object in read(&whole)? {
            match object {
                Ok(stored) => found.push(stored),
                Err(why) => damaged.push(why),
            }
        }
        let count = damaged.len() + found.len();
        let stop = |damaged: &[String]| match damaged.first() {
            Some(first) if !whole.skip_damaged && !whole.dry_run => Err(format!(
                "nothing was imported: {} of {count} objects are damaged: {first}; --skip-damaged leaves them out",
                damaged.len(),
            )),
            _ => Ok(()),
        };
        stop(&damaged)?;
        let connection = context.connect()?;
        let mut items = judge(connection, found, &changes);
        let contradictory = |item: &Item| match &item.verdict {
            Verdict::Damaged(why) => Some(format!("{}: {why}", item.stored.origin)),
            _ => None,
        };
        stop(&items.iter().filter_map(contradictory).collect::<Vec<_>>())?;
        if !whole.dry_run {
            bring(connection, &mut items)?;
        }
        for trial in items.iter_mut().filter_map(|item| item.trial.take()) {
            let _ = connection.session.destroy(trial);
        }
        report(&items, &damaged, whole.dry_run)
    }
}

impl Whole {
    fn pin(&self, what: &str) -> Result<Zeroizing<String>, String> {
        pin::obtain(what, self.from_pin_file.as_deref(), "COFFER_FROM_PIN", false)
    }
}

/// Makes a session object of each, and looks for it in the token.
fn judge(connection: &Connection, found: Vec<Stored>, changes: &[Attr]) -> Vec<Item> {
    let bar = progress("reading", found.len());
    let mut items = Vec::with_capacity(found.len());
    for stored in found {
        let mut item = Item { stored, template: Vec::new(), trial: None, verdict: Verdict::Comes };
        match item.stored.template(changes) {
            Ok(template) => item.template = template,
            Err(why) => item.verdict = Verdict::Cannot(why),
        }
        if !item.template.is_empty() {
            let template = [&item.template[..], &[Attr::bool(CKA_TOKEN, false)]].concat();
            match connection.session.create_object(&template) {
                Ok(trial) => item.trial = Some(trial),
                Err(rv) => item.verdict = refused(connection, template, rv),
            }
        }
        if let Some(proof) = item.trial.and_then(|trial| there(connection, &item.template, trial)) {
            item.verdict = Verdict::There(proof);
        }
        items.push(item);
        bar.inc(1);
    }
    bar.finish_and_clear();
    set_strangers_aside(connection, &mut items);
    items
}

/// Why the token takes no such object: its own rules, or a check value that is another key's.
fn refused(connection: &Connection, mut template: Vec<Attr>, rv: Rv) -> Verdict {
    let all = template.len();
    template.retain(|attr| attr.kind != CKA_CHECK_VALUE);
    if template.len() < all
        && let Ok(trial) = connection.session.create_object(&template)
    {
        let _ = connection.session.destroy(trial);
        return Verdict::Damaged("its value does not fit its check value".into());
    }
    Verdict::Cannot(generate::refused(rv))
}

/// A private key belongs to the public one of its ID and type, or to one of them; SoftHSM's files would not tell if a bit of
/// one had turned.
fn set_strangers_aside(connection: &Connection, items: &mut [Item]) {
    let name = |item: &Item, class| {
        let id = item.stored.bytes(CKA_ID).filter(|id| !id.is_empty())?;
        let is = item.stored.number(CKA_CLASS) == Some(class);
        is.then(|| (id.to_vec(), item.stored.number(CKA_KEY_TYPE)))
    };
    let info = |item: &Item| {
        let info = connection.session.attribute(item.trial?, CKA_PUBLIC_KEY_INFO).ok()?;
        (!info.is_empty()).then_some(info)
    };
    let mut publics: HashMap<_, Vec<_>> = HashMap::new();
    for item in items.iter() {
        if let (Some(name), Some(info)) = (name(item, CKO_PUBLIC_KEY), info(item)) {
            publics.entry(name).or_default().push(info);
        }
    }
    for item in items {
        if let (Some(name), Some(info)) = (name(item, CKO_PRIVATE_KEY), info(item))
            && publics.get(&name).is_some_and(|publics| !publics.contains(&info))
        {
            let why = "it does not belong to the public key with its ID, so one of the two is damaged";
            item.verdict = Verdict::Damaged(why.into());
        }
    }
}

/// The token's object that is the same as the trial one, by label and ID and by comparing the two.
fn there(connection: &Connection, template: &[Attr], trial: CK_OBJECT_HANDLE) -> Option<Proof> {
    const TELLING: &[CK_ATTRIBUTE_TYPE] = &[CKA_CLASS, CKA_KEY_TYPE, CKA_LABEL, CKA_ID];
    let mut wanted: Vec<Attr> =
        template.iter().filter(|attr| TELLING.contains(&attr.kind)).cloned().collect();
    wanted.push(Attr::bool(CKA_TOKEN, true));
    let others = connection.session.find(&wanted).ok()?;
    let proofs = others.iter().map(|other| proof::compare((connection, trial), (connection, *other)));
    proofs.into_iter().find(|proof| matches!(proof, Proof::Used(_) | Proof::Equal(_)))
}

/// Stores all that can come, or nothing.
fn bring(connection: &Connection, items: &mut [Item]) -> Result<(), String> {
    let bar = progress("importing", items.len());
    let mut made = Vec::new();
    for item in items {
        if let (Verdict::Comes, Some(trial)) = (&item.verdict, item.trial) {
            let template = [&item.template[..], &[Attr::bool(CKA_TOKEN, true)]].concat();
            let outcome =
                connection.session.create_object(&template).map_err(generate::refused).and_then(|key| {
                    made.push(key);
                    match proof::compare((connection, trial), (connection, key)) {
                        Proof::Different => Err("what the token stored is something else".into()),
                        proof => Ok(proof),
                    }
                });
            match outcome {
                Ok(proof) => item.verdict = Verdict::Came(proof),
                Err(why) => {
                    let left = made.iter().filter(|key| connection.session.destroy(**key).is_err()).count();
                    let kind = item.stored.kind();
                    return Err(match left {
                        0 => format!("nothing was imported: {} ({kind}): {why}", item.stored.origin),
                        left => format!(
                            "{} ({kind}): {why}; {left} objects stay in the token, for they may not be destroyed",
                            item.stored.origin
                        ),
                    });
                }
            }
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(())
}

fn report(items: &[Item], damaged: &[String], dry_run: bool) -> Outcome {
    let (mut rows, mut entries, mut counts) = (Vec::new(), Vec::new(), [0usize; 3]);
    let mut row =
        |origin: &str, kind: String, label: String, id: Option<String>, at: usize, detail: String| {
            let outcome = [if dry_run { "comes" } else { "imported" }, "there", "stays"][at];
            counts[at] += 1;
            rows.push(vec![origin.to_owned(), kind.clone(), label.clone(), outcome.into(), detail.clone()]);
            entries.push(json!({
            "origin": origin, "kind": kind, "label": label, "id": id, "outcome": outcome, "detail": detail,
        }));
        };
    for item in items {
        let (at, detail) = match &item.verdict {
            Verdict::Comes => (0, String::new()),
            Verdict::Came(proof) => (0, proof.sentence()),
            Verdict::There(proof) => (1, proof.sentence()),
            Verdict::Cannot(why) | Verdict::Damaged(why) => (2, why.clone()),
        };
        let id = item.stored.bytes(CKA_ID).filter(|id| !id.is_empty()).map(names::to_hex);
        row(&item.stored.origin, item.stored.kind(), item.stored.text(CKA_LABEL), id, at, detail);
    }
    for why in damaged {
        let (origin, why) = why.split_once(": ").unwrap_or(("", why));
        row(origin, "damaged".into(), String::new(), None, 2, why.into());
    }
    let [come, there, stay] = counts;
    let mut text = table(&["ORIGIN", "KIND", "LABEL", "OUTCOME", "DETAIL"], &rows);
    text += &match dry_run {
        true => format!("{come} objects can come, {there} are there; {stay} stay\n"),
        false => format!("{come} objects came, {there} were there; {stay} stay\n"),
    };
    let json =
        json!({ "dry-run": dry_run, "objects": entries, "imported": come, "there": there, "stay": stay });
    Ok(Report { text, json })
}
