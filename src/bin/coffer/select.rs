//! Filters, and the keys that match them.

use crate::connection::{Connection, Role};
use crate::names::{self, Kind};
use coffer_pkcs11::crypto::Hash;
use coffer_pkcs11::crypto::digest;
use pkcs11_client::Attr;
use pkcs11_client::cryptoki_sys::*;

/// What `--filter` says: all of it must hold.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// For C_FindObjectsInit.
    template: Vec<Attr>,
    reference: Option<String>,
}

impl Filter {
    /// From `attr.NAME=VALUE` and `key-reference=0x...`.
    ///
    /// # Errors
    /// A sentence that shows the form.
    pub fn parse(terms: &[String]) -> Result<Filter, String> {
        let mut filter = Filter::default();
        for term in terms {
            let Some((name, value)) = term.split_once('=') else {
                return Err(format!("{term:?} is no filter: write attr.NAME=VALUE or key-reference=0x..."));
            };
            let name = name.trim().to_ascii_lowercase().replace('_', "-");
            match (name.as_str(), name.strip_prefix("attr.")) {
                ("key-reference", _) => filter.reference = Some(normal_reference(value)?),
                (_, Some(attribute)) => filter.template.push(parse_attribute(attribute, value)?),
                _ => {
                    return Err(format!(
                        "{name:?} is no filter: write attr.{name}={value} or key-reference=0x..."
                    ));
                }
            }
        }
        Ok(filter)
    }

    /// Whether it says anything at all.
    pub fn is_empty(&self) -> bool {
        self.template.is_empty() && self.reference.is_none()
    }
}

/// `NAME=VALUE` in a filter: beside attributes, the curve.
fn parse_attribute(name: &str, value: &str) -> Result<Attr, String> {
    match name {
        "curve" => Ok(Attr::bytes(CKA_EC_PARAMS, names::number(names::CURVES, value)?)),
        _ => names::attribute(name)?.parse(value),
    }
}

/// As [`reference`] writes it.
fn normal_reference(text: &str) -> Result<String, String> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    match u64::from_str_radix(digits, 16) {
        Ok(number) if digits.len() <= 16 => Ok(format!("{number:#018x}")),
        _ => Err(format!("key-reference={text}: 0x and up to 16 hex digits are wanted")),
    }
}

/// The classes of keys.
const KEYS: &[CK_OBJECT_CLASS] = &[CKO_SECRET_KEY, CKO_PUBLIC_KEY, CKO_PRIVATE_KEY];

/// The keys that match, in the token's order; of another class if the filter names one.
///
/// # Errors
/// A sentence for the user.
pub fn all(connection: &Connection, filter: &Filter) -> Result<Vec<CK_OBJECT_HANDLE>, String> {
    of_classes(connection, filter, KEYS)
}

/// The keys, certificates and data objects that match.
///
/// # Errors
/// A sentence for the user.
pub fn everything(connection: &Connection, filter: &Filter) -> Result<Vec<CK_OBJECT_HANDLE>, String> {
    of_classes(connection, filter, &[KEYS, &[CKO_CERTIFICATE, CKO_DATA]].concat())
}

fn of_classes(
    connection: &Connection,
    filter: &Filter,
    classes: &[CK_OBJECT_CLASS],
) -> Result<Vec<CK_OBJECT_HANDLE>, String> {
    let session = &connection.session;
    let mut found = Vec::new();
    let classed = filter.template.iter().any(|attr| attr.kind == CKA_CLASS);
    for class in if classed { &classes[..1] } else { classes } {
        let mut template = filter.template.clone();
        if !classed {
            template.push(Attr::class(*class));
        }
        match session.find(&template) {
            Ok(keys) => found.extend(keys),
            // A module may not know the attribute; then no key of it has the value.
            Err(rv) if rv == CKR_ATTRIBUTE_TYPE_INVALID => {}
            Err(rv) => return Err(format!("C_FindObjects: {rv}")),
        }
    }
    if let Some(wanted) = &filter.reference {
        found.retain(|key| reference(connection, *key) == *wanted);
    }
    Ok(found)
}

/// The one key that matches.
///
/// # Errors
/// CloudHSM's sentence if there are several or none.
pub fn one(connection: &Connection, filter: &Filter, what: &str) -> Result<CK_OBJECT_HANDLE, String> {
    if filter.is_empty() {
        return Err(format!("which {what}? say --filter attr.label=NAME or another filter"));
    }
    match &all(connection, filter)?[..] {
        [key] => Ok(*key),
        [] if connection.user.is_none() => Err(format!(
            "Key selection criteria matched 0 keys for the {what}. Private keys are seen after a login only."
        )),
        [] if connection.user.as_ref().is_some_and(|(_, role)| *role == Role::Admin) => Err(format!(
            "Key selection criteria matched 0 keys for the {what}. An admin sees public keys only."
        )),
        keys => Err(format!(
            "Key selection criteria matched {} keys. Refine selection criteria to select a single key. ({what})",
            keys.len()
        )),
    }
}

/// A name of 64 bits for a key that stays the same from one run to the next, unlike handles: out of CKA_UNIQUE_ID, or
/// where the module has none, out of what describes the key.
pub fn reference(connection: &Connection, key: CK_OBJECT_HANDLE) -> String {
    let session = &connection.session;
    let (rv, unique) = session.attributes(key, &[CKA_UNIQUE_ID]);
    let mut text = Vec::new();
    match unique.into_iter().next().flatten() {
        Some(unique) if rv == CKR_OK && !unique.is_empty() => text = unique,
        _ => {
            let describing =
                [CKA_CLASS, CKA_KEY_TYPE, CKA_LABEL, CKA_ID, CKA_MODULUS, CKA_EC_POINT, CKA_CHECK_VALUE];
            for value in session.attributes(key, &describing).1 {
                let value = value.unwrap_or_default();
                text.extend((value.len() as u64).to_be_bytes());
                text.extend(value);
            }
        }
    }
    let digest = digest::digest(Hash::Sha256, &text);
    digest[..8].iter().fold(String::from("0x"), |text, byte| text + &format!("{byte:02x}"))
}

/// `NAME=VALUE ...` of `--attributes`, for a template.
///
/// # Errors
/// A sentence.
pub fn attributes(terms: &[String]) -> Result<Vec<Attr>, String> {
    let mut template: Vec<Attr> = Vec::new();
    // CloudHSM's examples have them apart by blanks; commas do as well.
    for term in terms.iter().flat_map(|terms| terms.split(',')).filter(|term| !term.trim().is_empty()) {
        let Some((name, value)) = term.trim().split_once('=') else {
            return Err(format!("{term:?} is no attribute: write NAME=VALUE"));
        };
        let name = names::attribute(name.strip_prefix("attr.").unwrap_or(name))?;
        if matches!(name.kind, Kind::KeyType | Kind::Class) {
            return Err(format!("{} follows from the command and cannot be chosen", name.name));
        }
        put(&mut template, name.parse(value)?);
    }
    Ok(template)
}

/// Adds an attribute, or changes the one that is there.
pub fn put(template: &mut Vec<Attr>, attr: Attr) {
    template.retain(|there| there.kind != attr.kind);
    template.push(attr);
}

/// Adds an attribute unless it is there.
pub fn put_default(template: &mut Vec<Attr>, attr: Attr) {
    if !template.iter().any(|there| there.kind == attr.kind) {
        template.push(attr);
    }
}
