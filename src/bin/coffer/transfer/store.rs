//! `coffer import softhsm|nss`: everything that another token's files hold, without its module, given its PIN.

use super::pairs::Pairs;
use super::{nss, softhsm};
use crate::connection::Connection;
use crate::context::Context;
use crate::key::generate;
use crate::migrate::proof::{self, Proof};
use crate::output::{Long, Outcome, progress};
use crate::select::{self, put};
use crate::{names, pin};
use clap::{Args, Subcommand};
use coffer_pkcs11::object::schema;
use pkcs11_client::cryptoki_sys::*;
use pkcs11_client::{Attr, Rv, Value};
use serde_json::json;
use std::path::PathBuf;
use zeroize::{Zeroize, Zeroizing};

/// An object as another token's files have it.
pub struct Stored {
    /// The file or the row, for messages.
    pub origin: String,
    /// Numbers and switches in the form of the standard's attributes.
    pub attributes: Vec<Attr>,
}

/// The objects of a store, each read when it is wanted, so that many take no more memory than one.
pub trait Source {
    /// How many there are.
    fn count(&self) -> usize;

    /// One of them, in an order that stays.
    ///
    /// # Errors
    /// What is wrong with it: its origin, a colon, a sentence.
    fn object(&self, at: usize) -> Result<Stored, String>;
}

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
            return Err(nss::trust(self));
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
    /// All objects of a SoftHSM 2 token, out of its files or its database.
    ///
    /// DIR is the token's directory, or the one with all tokens. Everything in it is read before anything is stored: keys,
    /// certificates and data with their attributes. What is there already stays as it is, so an interrupted run can just
    /// be repeated. The files are only read; no program should change them meanwhile.
    Softhsm(Whole),
    /// All keys and certificates of an NSS database, out of its files.
    ///
    /// DIR is the directory with cert9.db and key4.db. Keys without a label get the nickname of their certificate.
    /// Whom NSS trusts does not come along, and is listed. Otherwise as `import softhsm`.
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
    /// What was read contradicts itself, or cannot be read.
    Damaged(String),
}

/// What is remembered of an object: what the report says.
struct Item {
    origin: String,
    kind: String,
    label: String,
    id: Vec<u8>,
    verdict: Verdict,
}

impl Item {
    fn new(stored: &Stored, verdict: Verdict) -> Item {
        let id = stored.bytes(CKA_ID).unwrap_or_default().to_vec();
        let (origin, label) = (stored.origin.clone(), stored.text(CKA_LABEL));
        Item { origin, kind: stored.kind(), label, id, verdict }
    }

    fn unreadable(why: &str) -> Item {
        let (origin, why) = why.split_once(": ").unwrap_or(("", why));
        let verdict = Verdict::Damaged(why.into());
        Item { origin: origin.into(), kind: "damaged".into(), label: String::new(), id: Vec::new(), verdict }
    }
}

impl Store {
    pub fn run(self, context: &mut Context) -> Outcome {
        let (whole, source): (_, Box<dyn Source>) = match self {
            Store::Softhsm(whole) => {
                let token = softhsm::Token::find(&whole.directory, whole.from_token.as_deref())?;
                let pin = whole.pin(&format!("PIN of SoftHSM's token {:?}", token.label))?;
                (whole, Box::new(token.open(&pin)?))
            }
            Store::Nss(whole) => {
                if whole.from_token.is_some() {
                    return Err("--from-token: an NSS database holds one token".into());
                }
                let database = nss::open(&whole.directory, || whole.pin("password of the NSS database"))?;
                (whole, Box::new(database))
            }
        };
        let changes = select::attributes(&whole.attributes)?;
        let json = context.json;
        let connection = context.connect()?;
        let mut items = judge(connection, &*source, &changes);
        let mut damaged = items.iter().filter_map(|item| match &item.verdict {
            Verdict::Damaged(why) => Some(format!("{}: {why}", item.origin)),
            _ => None,
        });
        if let Some(first) = damaged.next().filter(|_| !whole.skip_damaged && !whole.dry_run) {
            return Err(format!(
                "nothing was imported: {} of {} objects are damaged: {first}; --skip-damaged leaves them out",
                1 + damaged.count(),
                items.len()
            ));
        }
        if !whole.dry_run {
            bring(connection, &*source, &changes, &mut items)?;
        }
        report(&items, whole.dry_run, json)
    }
}

impl Whole {
    fn pin(&self, what: &str) -> Result<Zeroizing<String>, String> {
        pin::obtain(what, self.from_pin_file.as_deref(), "COFFER_FROM_PIN", false)
    }
}

/// A session object that shows what the token makes of a template. Nothing stays of it.
pub struct Trial<'a> {
    pub connection: &'a Connection,
    pub key: CK_OBJECT_HANDLE,
}

impl<'a> Trial<'a> {
    fn new(connection: &'a Connection, template: &[Attr]) -> Result<Trial<'a>, Rv> {
        let template = [template, &[Attr::bool(CKA_TOKEN, false)]].concat();
        connection.session.create_object(&template).map(|key| Trial { connection, key })
    }
}

impl Drop for Trial<'_> {
    fn drop(&mut self) {
        let _ = self.connection.session.destroy(self.key);
    }
}

/// Reads each object, tries it, and looks for it in the token.
fn judge(connection: &Connection, source: &dyn Source, changes: &[Attr]) -> Vec<Item> {
    let count = source.count();
    let bar = progress("reading", count);
    let (mut items, mut pairs) = (Vec::with_capacity(count), Pairs::default());
    for at in 0..count {
        items.push(match source.object(at) {
            Err(why) => Item::unreadable(&why),
            Ok(stored) => {
                let verdict = judge_one(connection, &stored, changes, |trial| pairs.add(at, &stored, trial));
                Item::new(&stored, verdict)
            }
        });
        bar.inc(1);
    }
    bar.finish_and_clear();
    for at in pairs.strangers() {
        let why = "it does not belong to the public key with its ID, so one of the two is damaged";
        items[at].verdict = Verdict::Damaged(why.into());
    }
    items
}

fn judge_one(
    connection: &Connection,
    stored: &Stored,
    changes: &[Attr],
    see: impl FnOnce(&Trial<'_>),
) -> Verdict {
    let template = match stored.template(changes) {
        Ok(template) => template,
        Err(why) => return Verdict::Cannot(why),
    };
    match Trial::new(connection, &template) {
        Err(rv) => refused(connection, template, rv),
        Ok(trial) => {
            see(&trial);
            let there = there(connection, &template, trial.key);
            there.map_or(Verdict::Comes, |(_, proof)| Verdict::There(proof))
        }
    }
}

/// Why the token takes no such object: its own rules, or a check value that is another key's.
fn refused(connection: &Connection, mut template: Vec<Attr>, rv: Rv) -> Verdict {
    let all = template.len();
    template.retain(|attr| attr.kind != CKA_CHECK_VALUE);
    if template.len() < all && Trial::new(connection, &template).is_ok() {
        return Verdict::Damaged("its value does not fit its check value".into());
    }
    Verdict::Cannot(generate::refused(rv))
}

/// The token's object that is the same as the trial one, by label and ID and by comparing the two.
fn there(
    connection: &Connection,
    template: &[Attr],
    trial: CK_OBJECT_HANDLE,
) -> Option<(CK_OBJECT_HANDLE, Proof)> {
    let others = connection.session.find(&telling(template)).ok()?;
    let proofs =
        others.iter().map(|other| (*other, proof::compare((connection, trial), (connection, *other))));
    proofs.into_iter().find(|(_, proof)| matches!(proof, Proof::Used(_) | Proof::Equal(_)))
}

/// The token's object that is what the template makes.
pub fn present(connection: &Connection, template: &[Attr]) -> Option<CK_OBJECT_HANDLE> {
    if connection.session.find(&telling(template)).ok()?.is_empty() {
        return None;
    }
    let template: Vec<_> = template.iter().filter(|attr| attr.kind != CKA_TOKEN).cloned().collect();
    let trial = Trial::new(connection, &template).ok()?;
    there(connection, &template, trial.key).map(|(key, _)| key)
}

/// What finds it by class, type, label and ID.
fn telling(template: &[Attr]) -> Vec<Attr> {
    const TELLING: &[CK_ATTRIBUTE_TYPE] = &[CKA_CLASS, CKA_KEY_TYPE, CKA_LABEL, CKA_ID];
    let mut wanted: Vec<Attr> =
        template.iter().filter(|attr| TELLING.contains(&attr.kind)).cloned().collect();
    wanted.push(Attr::bool(CKA_TOKEN, true));
    wanted
}

/// Stores all that can come, or nothing.
fn bring(
    connection: &Connection,
    source: &dyn Source,
    changes: &[Attr],
    items: &mut [Item],
) -> Result<(), String> {
    let bar = progress("importing", items.len());
    let mut made = Vec::new();
    for (at, item) in items.iter_mut().enumerate() {
        if matches!(item.verdict, Verdict::Comes) {
            let outcome = source.object(at).and_then(|stored| store(connection, &stored, changes, &mut made));
            match outcome {
                Ok(proof) => item.verdict = Verdict::Came(proof),
                Err(why) => {
                    let left = made.iter().filter(|key| connection.session.destroy(**key).is_err()).count();
                    let Item { origin, kind, .. } = item;
                    return Err(match left {
                        0 => format!("nothing was imported: {origin} ({kind}): {why}"),
                        left => format!(
                            "{origin} ({kind}): {why}; {left} objects stay in the token, for they cannot be removed"
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

fn store(
    connection: &Connection,
    stored: &Stored,
    changes: &[Attr],
    made: &mut Vec<CK_OBJECT_HANDLE>,
) -> Result<Proof, String> {
    let template = stored.template(changes)?;
    let trial = Trial::new(connection, &template).map_err(generate::refused)?;
    let template = [&template[..], &[Attr::bool(CKA_TOKEN, true)]].concat();
    let key = connection.session.create_object(&template).map_err(generate::refused)?;
    made.push(key);
    match proof::compare((connection, trial.key), (connection, key)) {
        Proof::Different => Err("what the token stored is something else".into()),
        proof => Ok(proof),
    }
}

const COLUMNS: &[(&str, &str)] = &[
    ("ORIGIN", "origin"),
    ("KIND", "kind"),
    ("LABEL", "label"),
    ("OUTCOME", "outcome"),
    ("DETAIL", "detail"),
];

fn report(items: &[Item], dry_run: bool, json: bool) -> Outcome {
    let outcomes = [if dry_run { "comes" } else { "imported" }, "there", "stays"];
    let told = |item: &Item| match &item.verdict {
        Verdict::Comes => (0, String::new()),
        Verdict::Came(proof) => (0, proof.sentence()),
        Verdict::There(proof) => (1, proof.sentence()),
        Verdict::Cannot(why) | Verdict::Damaged(why) => (2, why.clone()),
    };
    let entry = |at: usize| {
        let item: &Item = &items[at];
        let (outcome, detail) = told(item);
        let id = (!item.id.is_empty()).then(|| names::to_hex(&item.id));
        Some(json!({
            "origin": item.origin, "kind": item.kind, "label": item.label, "id": id, "outcome": outcomes[outcome],
            "detail": detail,
        }))
    };
    let mut counts = [0usize; 3];
    items.iter().for_each(|item| counts[told(item).0] += 1);
    let [come, there, stay] = counts;
    let long = Long {
        json,
        failed: false,
        before: json!({ "dry-run": dry_run }),
        list: "objects",
        count: items.len(),
        entry,
    };
    long.table(COLUMNS, |_| {
        let text = match dry_run {
            true => format!("{come} objects can come, {there} are there; {stay} stay\n"),
            false => format!("{come} objects came, {there} were there; {stay} stay\n"),
        };
        (json!({ "imported": come, "there": there, "stay": stay }), text)
    })
}
