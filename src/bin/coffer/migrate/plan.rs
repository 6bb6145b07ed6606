//! What can move, what need not, and what cannot and why.

use super::proof::{self, Proof};
use crate::connection::Connection;
use crate::select::put;
use crate::{describe, names, public};
use coffer_pkcs11::mechanism::vendor::{CKA_COFFER_MANAGE_QUORUM, CKA_COFFER_USE_QUORUM};
use pkcs11_client::cryptoki_sys::*;
use pkcs11_client::{Attr, Rv};
use std::borrow::Cow;

/// What is to be done about one key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Wrapped out of one token and unwrapped into the other.
    Wrap,
    /// A public key, a certificate or data: made anew of its parts.
    Copy,
    /// The other token has it, as this object; so a migration that was interrupted goes on where it stopped.
    There(Proof, CK_OBJECT_HANDLE),
    /// Was to come and did not, for this reason.
    Failed(String),
    /// Stays, for this reason.
    Cannot(Cow<'static, str>),
}

/// A key of the source with what is to be done.
pub struct Item {
    pub key: CK_OBJECT_HANDLE,
    pub class: CK_OBJECT_CLASS,
    pub key_type: CK_KEY_TYPE,
    pub verdict: Verdict,
}

impl Item {
    /// Judges a key.
    pub fn new(from: &Connection, to: &Connection, key: CK_OBJECT_HANDLE) -> Item {
        let mut item = Item::absent(from, key);
        if let Some(verdict) = there(from, to, &item) {
            item.verdict = verdict;
        }
        item
    }

    /// Judges a key, whether or not the other token has it.
    pub fn absent(from: &Connection, key: CK_OBJECT_HANDLE) -> Item {
        let number = |kind| describe::number(from, key, kind).unwrap_or(CK_UNAVAILABLE_INFORMATION);
        let (class, key_type) = (number(CKA_CLASS), number(CKA_KEY_TYPE));
        Item { key, class, key_type, verdict: judge(from, key, class) }
    }

    /// The same for a migration, which shows no approvals.
    pub fn without_approval(mut self, from: &Connection) -> Item {
        let need = approvals(from, self.key);
        if self.verdict == Verdict::Wrap && need > 1 {
            let why =
                format!("wrapping it takes the approval of {need} of its users: `key replicate --approval`");
            self.verdict = Verdict::Cannot(why.into());
        }
        self
    }

    /// Class and type as words.
    pub fn kind(&self) -> String {
        let class = names::word(names::CLASSES, self.class);
        match self.class {
            CKO_CERTIFICATE | CKO_DATA => class,
            _ => format!("{} {class}", names::word(names::KEY_TYPES, self.key_type)),
        }
    }
}

/// How many users must approve that the key is wrapped; 0 or 1: none.
pub fn approvals(from: &Connection, key: CK_OBJECT_HANDLE) -> CK_ULONG {
    APPROVALS.iter().filter_map(|kind| describe::number(from, key, *kind)).max().unwrap_or(0)
}

fn judge(from: &Connection, key: CK_OBJECT_HANDLE, class: CK_OBJECT_CLASS) -> Verdict {
    let says = |kind| from.session.attribute(key, kind).is_ok_and(|value| value == [1]);
    if matches!(class, CKO_CERTIFICATE | CKO_DATA) {
        return Verdict::Copy;
    }
    if class == CKO_PUBLIC_KEY {
        return match public::info(from, key) {
            Ok(_) => Verdict::Copy,
            Err(why) => Verdict::Cannot(why.into()),
        };
    }
    if !says(CKA_EXTRACTABLE) {
        Verdict::Cannot("it is not extractable, for ever".into())
    } else if says(CKA_WRAP_WITH_TRUSTED) {
        Verdict::Cannot("it may be wrapped by a trusted key only (wrap-with-trusted)".into())
    } else if says(CKA_ALWAYS_AUTHENTICATE) {
        Verdict::Cannot("each use of it takes the PIN (always-authenticate)".into())
    } else {
        Verdict::Wrap
    }
}

/// Whether the other token has this key, by the label and ID that it has here and by comparing the two.
fn there(from: &Connection, to: &Connection, item: &Item) -> Option<Verdict> {
    let &Item { key, class, key_type, .. } = item;
    let mut template = vec![Attr::class(class), Attr::bool(CKA_TOKEN, true)];
    if !matches!(class, CKO_CERTIFICATE | CKO_DATA) {
        template.push(Attr::key_type(key_type));
    }
    let names = [CKA_LABEL, CKA_ID].map(|kind| (kind, from.session.attribute(key, kind).unwrap_or_default()));
    for (kind, name) in &names {
        // One without a label may have been given one here; one without any name is looked for among such.
        if !name.is_empty() || names.iter().all(|(_, name)| name.is_empty()) {
            template.push(Attr::bytes(*kind, name));
        }
    }
    for other in to.session.find(&template).ok()? {
        let same = proof::compare((from, key), (to, other));
        if matches!(same, Proof::Used(_) | Proof::Equal(_)) {
            return Some(Verdict::There(same, other));
        }
    }
    None
}

/// Why the other token did not take a key.
pub fn refused(what: &str, rv: Rv) -> String {
    match rv.0 {
        CKR_DEVICE_MEMORY => format!("the disk is full ({rv})"),
        CKR_TOKEN_WRITE_PROTECTED => format!("the token is write protected ({rv})"),
        _ => format!("{what}: {rv}"),
    }
}

/// Attributes that go along as they are.
const KEPT: &[CK_ATTRIBUTE_TYPE] =
    &[CKA_LABEL, CKA_ID, CKA_PRIVATE, CKA_SUBJECT, CKA_START_DATE, CKA_END_DATE, CKA_ALLOWED_MECHANISMS];
/// Switches that go along; a module need not know those of the second row, so only set ones are sent.
const SWITCHES: &[CK_ATTRIBUTE_TYPE] = &[
    CKA_ENCRYPT,
    CKA_DECRYPT,
    CKA_SIGN,
    CKA_VERIFY,
    CKA_WRAP,
    CKA_UNWRAP,
    CKA_DERIVE,
    CKA_SENSITIVE,
    CKA_EXTRACTABLE,
];
const RARE_SWITCHES: &[CK_ATTRIBUTE_TYPE] =
    &[CKA_ENCAPSULATE, CKA_DECAPSULATE, CKA_SIGN_RECOVER, CKA_VERIFY_RECOVER];
/// How many users must approve what is done with the key, for life.
const APPROVALS: &[CK_ATTRIBUTE_TYPE] = &[CKA_COFFER_MANAGE_QUORUM, CKA_COFFER_USE_QUORUM];
/// What a public or a private key has no such switch for.
const SECRET_ONLY: &[CK_ATTRIBUTE_TYPE] = &[CKA_SENSITIVE, CKA_EXTRACTABLE];
const PUBLIC_USES: &[CK_ATTRIBUTE_TYPE] = &[CKA_ENCRYPT, CKA_VERIFY, CKA_WRAP, CKA_DERIVE];
const PRIVATE_USES: &[CK_ATTRIBUTE_TYPE] = &[CKA_DECRYPT, CKA_SIGN, CKA_UNWRAP, CKA_DERIVE];

/// The template of a certificate or of data in the other token; none of a key.
pub fn as_it_is(from: &Connection, item: &Item) -> Option<Vec<Attr>> {
    const CERTIFICATE: &[CK_ATTRIBUTE_TYPE] = &[
        CKA_CERTIFICATE_TYPE,
        CKA_LABEL,
        CKA_ID,
        CKA_PRIVATE,
        CKA_SUBJECT,
        CKA_ISSUER,
        CKA_SERIAL_NUMBER,
        CKA_VALUE,
    ];
    const DATA: &[CK_ATTRIBUTE_TYPE] = &[CKA_LABEL, CKA_PRIVATE, CKA_APPLICATION, CKA_OBJECT_ID, CKA_VALUE];
    let parts = match item.class {
        CKO_CERTIFICATE => CERTIFICATE,
        CKO_DATA => DATA,
        _ => return None,
    };
    let mut template = vec![Attr::class(item.class), Attr::bool(CKA_TOKEN, true)];
    for part in parts {
        let value = from.session.attribute(item.key, *part).ok().filter(|value| !value.is_empty());
        template.extend(value.map(|value| Attr::bytes(*part, value)));
    }
    template.extend(limits(from, item.key));
    Some(template)
}

/// Switches that are true unless said otherwise, where they are false.
fn limits(from: &Connection, object: CK_OBJECT_HANDLE) -> impl Iterator<Item = Attr> {
    [CKA_MODIFIABLE, CKA_COPYABLE, CKA_DESTROYABLE]
        .into_iter()
        .filter(move |kind| from.session.attribute(object, *kind).is_ok_and(|value| value == [0]))
        .map(|kind| Attr::bool(kind, false))
}

/// The template of the key in the other token. `changes` win.
pub fn template(from: &Connection, item: &Item, changes: &[Attr]) -> Vec<Attr> {
    let session = &from.session;
    let mut template =
        vec![Attr::class(item.class), Attr::key_type(item.key_type), Attr::bool(CKA_TOKEN, true)];
    for kind in KEPT {
        if let Some(value) = session.attribute(item.key, *kind).ok().filter(|value| !value.is_empty()) {
            template.push(Attr::bytes(*kind, value));
        }
    }
    for kind in SWITCHES {
        let meant = match item.class {
            CKO_PUBLIC_KEY => PUBLIC_USES.contains(kind),
            CKO_PRIVATE_KEY => PRIVATE_USES.contains(kind) || SECRET_ONLY.contains(kind),
            _ => true,
        };
        if meant && let Ok(value) = session.attribute(item.key, *kind) {
            template.push(Attr::bytes(*kind, value));
        }
    }
    for kind in RARE_SWITCHES {
        if session.attribute(item.key, *kind).is_ok_and(|value| value == [1]) {
            template.push(Attr::bool(*kind, true));
        }
    }
    for kind in APPROVALS {
        let value = describe::number(from, item.key, *kind).filter(|value| *value > 1);
        template.extend(value.map(|value| Attr::ulong(*kind, value)));
    }
    template.extend(limits(from, item.key));
    for change in changes {
        put(&mut template, change.clone());
    }
    template
}
