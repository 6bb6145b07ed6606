//! Templates: what they may say, and what comes of them (section 4.1).
//!
//! Here the footnotes of [`super::schema`] have their meaning. [`draft`] makes a new object of a template, `set` and
//! `copy` change an object's attributes, `merge` adds a key's own template to the caller's; [`history`] tells what a
//! key has been through, [`reveal`] what of it can be seen.

mod cloudhsm;
mod draft;
mod history;
mod reveal;
#[cfg(test)]
mod tests;

pub use draft::{Draft, Settled, build};
pub use history::inherit;
pub use reveal::{is_secret, matches, value};

use super::attribute::{self, AttributeType, Kind};
use super::schema::{self, Absent, Row, Schema};
use super::{Attributes, CKA_COFFER_MANAGE_QUORUM, CKA_COFFER_USE_QUORUM, MAX_DEPTH, Value};
use crate::error::{Error, Result, Rv};
use cryptoki_sys::*;

/// How an object comes to be. C_EncapsulateKey and C_DecapsulateKey go by the rules of `Unwrap`: section 5.18
/// gives their keys the same defaults and the same history.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Act {
    /// C_CreateObject.
    Create,
    /// C_GenerateKey, C_GenerateKeyPair.
    Generate,
    /// C_UnwrapKey, C_UnwrapKeyAuthenticated, C_EncapsulateKey, C_DecapsulateKey.
    Unwrap,
    /// C_DeriveKey.
    Derive,
}

impl Act {
    /// The footnote of what must be in the template.
    fn must(self) -> Option<u32> {
        match self {
            Act::Create => Some(1),
            Act::Generate => Some(3),
            Act::Unwrap => Some(5),
            Act::Derive => None,
        }
    }

    /// The footnote of what must not be. No footnote is about C_DeriveKey; it brings the value as
    /// C_UnwrapKey does.
    pub(super) fn must_not(self) -> u32 {
        match self {
            Act::Create => 2,
            Act::Generate => 4,
            Act::Unwrap | Act::Derive => 6,
        }
    }
}

/// Whose defaults fill in for what a template leaves out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Defaults {
    /// The standard's, and where it leaves them to the token, ours.
    Standard,
    /// CloudHSM's.
    CloudHsm,
}

/// Under which rules a template is read.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Whose defaults.
    pub defaults: Defaults,
    /// Whether a key's roles may not conflict.
    pub strict: bool,
    /// Whether the SO is the caller.
    pub by_so: bool,
}

/// An object's attributes after C_SetAttributeValue (section 5.7.6).
///
/// # Errors
/// CKR_ACTION_PROHIBITED if it is not modifiable, CKR_ATTRIBUTE_READ_ONLY for what cannot be changed or not in
/// that direction, and those of [`build`].
pub fn set(current: &Attributes, changes: &Attributes, rules: &Rules) -> Result<Attributes> {
    if !current.is_true(CKA_MODIFIABLE) {
        fail!(ActionProhibited, "CKA_MODIFIABLE is false");
    }
    // Section 4.6.2: trusted certificates cannot be modified. Keys can: the footnotes guard what matters.
    if current.ulong(CKA_CLASS) == Some(CKO_CERTIFICATE) && current.is_true(CKA_TRUSTED) && !rules.by_so {
        fail!(ActionProhibited, "CKA_TRUSTED: a trusted certificate is not modifiable");
    }
    change(current, changes, rules, Change::Set)
}

/// The attributes of an object's copy by C_CopyObject (sections 4.1.3 and 5.7.2), all but CKA_UNIQUE_ID.
///
/// A copy that is not made by the SO is not trusted: it would be a trusted key that the SO never saw.
///
/// # Errors
/// CKR_ACTION_PROHIBITED if it is not copyable, and those of [`set`].
pub fn copy(current: &Attributes, template: &Attributes, rules: &Rules) -> Result<Attributes> {
    if !current.is_true(CKA_COPYABLE) {
        fail!(ActionProhibited, "CKA_COPYABLE is false");
    }
    let mut original = current.clone();
    original.remove(CKA_UNIQUE_ID);
    if original.is_true(CKA_TRUSTED) && !rules.by_so {
        original.set(CKA_TRUSTED, false);
    }
    change(&original, template, rules, Change::Copy)
}

/// Puts into the caller's template the CKA_UNWRAP_TEMPLATE, CKA_DERIVE_TEMPLATE ... that the key itself has
/// (section 5.18): both must hold.
///
/// Under strict rules an unwrapped key can wrap only if the unwrapping key says so: else a known key, unwrapped,
/// would carry any other key out.
///
/// # Errors
/// CKR_TEMPLATE_INCONSISTENT if they contradict each other.
pub fn merge(act: Act, given: &mut Attributes, keys_own: Option<&Attributes>, rules: &Rules) -> Result<()> {
    let grants_wrap = keys_own.is_some_and(|own| own.is_true(CKA_WRAP));
    if rules.strict && act == Act::Unwrap && given.is_true(CKA_WRAP) && !grants_wrap {
        fail!(TemplateInconsistent, "CKA_WRAP: the unwrapping key's template does not grant it");
    }
    if let Some(own) = keys_own {
        agree(given, own)?;
        given.fill(own);
    }
    Ok(())
}

/// The row of an attribute that a template names.
fn row(schema: &Schema, attribute: AttributeType, rules: &Rules) -> Result<&'static Row> {
    if cloudhsm::lacks(rules, schema, attribute) {
        fail!(TemplateInconsistent, "{}: not of CloudHSM's keys", attribute::name(attribute));
    }
    schema.row(attribute)
}

/// Whether both agree where they meet.
fn agree(given: &Attributes, other: &Attributes) -> Result<()> {
    match other.iter().find(|(attribute, value)| given.value(*attribute).is_some_and(|said| said != *value)) {
        Some((attribute, _)) => Err(differs(attribute)),
        None => Ok(()),
    }
}

fn differs(attribute: AttributeType) -> Error {
    Rv::TemplateInconsistent.because(format!("{}: must have another value", attribute::name(attribute)))
}

/// Nothing and no bytes are the same where no bytes are the default; objects hold nothing.
fn drop_empty(object: &mut Attributes, attribute: AttributeType) {
    if object.value(attribute).is_some_and(Value::is_empty) {
        object.remove(attribute);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    Set,
    Copy,
}

fn change(current: &Attributes, changes: &Attributes, rules: &Rules, how: Change) -> Result<Attributes> {
    let schema = schema::of(current)?;
    let mut object = current.clone();
    for (attribute, value) in changes.iter() {
        let row = row(schema, attribute, rules)?;
        check_value(attribute, value, MAX_DEPTH)?;
        permit(current, row, value, rules, how)?;
        object.set(attribute, if row.notes.has(7) { value.clone() } else { value.disclosed() });
        if row.absent == Absent::Empty || row.notes.has(23) {
            drop_empty(&mut object, attribute);
        }
    }
    consistent(&object, schema, rules)?;
    Ok(object)
}

/// Whether one attribute may be changed to `value`.
fn permit(current: &Attributes, row: &Row, value: &Value, rules: &Rules, how: Change) -> Result<()> {
    let name = attribute::name(row.attribute);
    let changeable = row.notes.has(8)
        || (row.notes.has(20) && how == Change::Copy)
        || (row.notes.has(23) && value.is_empty());
    if !changeable {
        fail!(AttributeReadOnly, "{name}: cannot be changed");
    }
    // A copy has its attributes from the start, so what repeats the original's changes nothing.
    let repeats = how == Change::Copy && current.value(row.attribute) == Some(value);
    if repeats {
        return Ok(());
    }
    if row.notes.has(10) && !rules.by_so {
        fail!(AttributeReadOnly, "{name}: for the SO to set");
    }
    let now = current.is_true(row.attribute);
    if (row.notes.has(11) && now) || (row.notes.has(12) && !now) {
        fail!(AttributeReadOnly, "{name}: stays {now}");
    }
    // Section 4.10: it must match the key, as the one made from the key does.
    if row.attribute == CKA_PUBLIC_KEY_INFO && current.value(CKA_PUBLIC_KEY_INFO) != Some(value) {
        fail!(AttributeValueInvalid, "{name}: not this key's");
    }
    // A role that was given up and another taken, or taken by a copy, would conflict as two roles at once do.
    let takes_role =
        *value == Value::Bool(true) && !now && CONFLICTS.iter().any(|roles| roles.names(row.attribute));
    if rules.strict && takes_role {
        fail!(TemplateInconsistent, "{name}: a key takes no new role after its creation");
    }
    Ok(())
}

/// Two uses that together reveal keys, under strict rules.
struct Conflict {
    uses: [AttributeType; 2],
    /// Of this key type only.
    key_type: Option<CK_KEY_TYPE>,
}

impl Conflict {
    fn names(&self, attribute: AttributeType) -> bool {
        self.uses.contains(&attribute)
    }
}

static CONFLICTS: &[Conflict] = &[
    // Wrap a key, decrypt the blob.
    Conflict { uses: [CKA_WRAP, CKA_DECRYPT], key_type: None },
    // Encrypt a known key, unwrap it.
    Conflict { uses: [CKA_UNWRAP, CKA_ENCRYPT], key_type: None },
    // Derive by encryption, encrypt the same data.
    Conflict { uses: [CKA_DERIVE, CKA_ENCRYPT], key_type: None },
    Conflict { uses: [CKA_DERIVE, CKA_DECRYPT], key_type: None },
    // A raw signature is an unwrapping.
    Conflict { uses: [CKA_SIGN, CKA_UNWRAP], key_type: Some(CKK_RSA) },
    Conflict { uses: [CKA_VERIFY, CKA_WRAP], key_type: Some(CKK_RSA) },
];

/// Whether an object's attributes agree with each other.
fn consistent(object: &Attributes, schema: &Schema, rules: &Rules) -> Result<()> {
    if let (Some(start), Some(end)) = (object.bytes(CKA_START_DATE), object.bytes(CKA_END_DATE))
        && !start.is_empty()
        && !end.is_empty()
        && start > end
    {
        fail!(TemplateInconsistent, "CKA_END_DATE is before CKA_START_DATE");
    }
    if object.is_true(CKA_ALWAYS_AUTHENTICATE) && !object.is_true(CKA_PRIVATE) {
        fail!(TemplateInconsistent, "CKA_ALWAYS_AUTHENTICATE: the key is not private");
    }
    // The SO, who alone makes keys trusted, has no private objects.
    let public_key = schema.is_key() && !object.is_true(CKA_PRIVATE);
    if rules.defaults == Defaults::CloudHsm && public_key && !rules.by_so {
        fail!(AttributeValueInvalid, "CKA_PRIVATE: keys are private in the cloudhsm profile");
    }
    let quorum =
        [CKA_COFFER_MANAGE_QUORUM, CKA_COFFER_USE_QUORUM].into_iter().filter_map(|of| object.ulong(of));
    if quorum.max() > Some(1)
        && ![CKA_TOKEN, CKA_PRIVATE, CKA_SENSITIVE].into_iter().all(|of| object.is_true(of))
    {
        fail!(TemplateInconsistent, "keys that take approvals are private, sensitive token keys");
    }
    if object.ulong(CKA_CERTIFICATE_TYPE) == Some(CKC_X_509) {
        x509_consistent(object)?;
    }
    if rules.strict {
        for conflict in CONFLICTS {
            let [one, other] = conflict.uses;
            let applies = conflict.key_type.is_none_or(|of| object.ulong(CKA_KEY_TYPE) == Some(of));
            if applies && object.is_true(one) && object.is_true(other) {
                let (one, other) = (attribute::name(one), attribute::name(other));
                fail!(TemplateInconsistent, "{one} and {other}: conflicting roles of one key");
            }
        }
    }
    Ok(())
}

/// Section 4.6.3: the certificate, or where it is and what it certifies.
fn x509_consistent(object: &Attributes) -> Result<()> {
    let empty = |attribute| object.bytes(attribute).is_none_or(<[u8]>::is_empty);
    if empty(CKA_VALUE) && empty(CKA_URL) {
        fail!(TemplateIncomplete, "CKA_VALUE and CKA_URL are both empty");
    }
    let hashes = [CKA_HASH_OF_SUBJECT_PUBLIC_KEY, CKA_HASH_OF_ISSUER_PUBLIC_KEY];
    if !empty(CKA_URL) && hashes.into_iter().any(empty) {
        fail!(TemplateIncomplete, "CKA_URL: wants the hashes of the subject's and the issuer's keys");
    }
    Ok(())
}

/// Whether an attribute can have the value at all.
fn check_value(attribute: AttributeType, value: &Value, depth: usize) -> Result<()> {
    let Some(kind) = attribute::kind(attribute) else {
        fail!(AttributeTypeInvalid, "{}: unknown", attribute::name(attribute));
    };
    let name = attribute::name(attribute);
    if !value.is(kind) {
        fail!(AttributeValueInvalid, "{name}: not of kind {kind:?}");
    }
    match value {
        Value::Bytes(date) if kind == Kind::Date && !is_date(date) => {
            fail!(AttributeValueInvalid, "{name}: no date")
        }
        Value::Ulong(value) if *value > attribute::greatest(attribute) => {
            fail!(AttributeValueInvalid, "{name}: {value} is not defined")
        }
        Value::Template(template) => {
            check_nested(attribute, template, depth).map_err(|error| error.within(name))
        }
        _ => Ok(()),
    }
}

/// CK_DATE: empty, or a day of the Gregorian calendar as YYYYMMDD.
fn is_date(date: &[u8]) -> bool {
    if date.is_empty() {
        return true;
    }
    if date.len() != 8 || !date.iter().all(u8::is_ascii_digit) {
        return false;
    }
    let number =
        |digits: &[u8]| digits.iter().fold(0u32, |number, digit| number * 10 + u32::from(digit - b'0'));
    let (year, month, day) = (number(&date[..4]), number(&date[4..6]), number(&date[6..]));
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        _ => 0,
    };
    (1..=days).contains(&day)
}

/// Whether there is any key that the template inside a key can be meant for: CKA_WRAP_TEMPLATE to match, the
/// others to be made.
fn check_nested(attribute: AttributeType, template: &Attributes, depth: usize) -> Result<()> {
    if depth == 0 {
        fail!(TemplateInconsistent, "templates are nested deeper than {MAX_DEPTH}");
    }
    for (inner, value) in template.iter() {
        check_value(inner, value, depth - 1)?;
    }
    let possible = |row: &Row| match attribute {
        CKA_WRAP_TEMPLATE => !row.notes.has(7),
        _ => !row.notes.has(Act::Unwrap.must_not()),
    };
    let act =
        if matches!(attribute, CKA_WRAP_TEMPLATE | CKA_UNWRAP_TEMPLATE) { Act::Unwrap } else { Act::Derive };
    let fits = schema::candidates(template.ulong(CKA_CLASS), template.ulong(CKA_KEY_TYPE))
        .filter(|schema| schema.class.made_by.contains(&act))
        .any(|schema| template.unordered().all(|(inner, _)| schema.find(inner).is_some_and(possible)));
    if !fits {
        fail!(TemplateInconsistent, "no key can have all of these attributes");
    }
    Ok(())
}
