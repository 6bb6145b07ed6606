//! A key as CloudHSM's CLI shows it.

use crate::connection::Connection;
use crate::names::{self, ATTRIBUTES};
use crate::select::reference;
use pkcs11_client::CofferUser;
use pkcs11_client::cryptoki_sys::*;
use serde_json::{Map, Value, json};

/// The last attribute that every key is printed with.
const LAST_COMMON: &str = "wrap-with-trusted";

/// The curve and the point have forms of their own below, and copyable is what nearly every key is.
const SHOWN_OTHERWISE: &[CK_ATTRIBUTE_TYPE] = &[CKA_EC_PARAMS, CKA_EC_POINT, CKA_COPYABLE];

/// All of `key list --verbose` about one key: `key-reference`, `key-info`, `attributes`.
///
/// # Errors
/// A sentence, for instance that the key is gone.
pub fn full(connection: &Connection, key: CK_OBJECT_HANDLE) -> Result<Value, String> {
    let kinds: Vec<_> = ATTRIBUTES.iter().map(|name| name.attribute).collect();
    let values = read(connection, key, &kinds)?;
    let mut attributes = Map::new();
    let mut specific = false;
    for (name, value) in ATTRIBUTES.iter().zip(&values) {
        // CloudHSM's names are always there, the others where the key has them.
        let said = value.as_ref().is_some_and(|value| !value.is_empty() && value[..] != [0]);
        if !specific || (said && !SHOWN_OTHERWISE.contains(&name.attribute)) {
            attributes.insert(name.name.into(), name.show(value.as_deref()));
        }
        specific |= name.name == LAST_COMMON;
    }
    let of = |attribute| {
        let at = ATTRIBUTES.iter().position(|name| name.attribute == attribute)?;
        values[at].as_deref()
    };
    let number = |attribute| Some(CK_ULONG::from_ne_bytes(of(attribute)?.try_into().ok()?));
    if number(CKA_KEY_TYPE) == Some(CKK_DES3) {
        attributes.insert("key-length-bytes".into(), json!(24));
    }
    if let Some(modulus) = of(CKA_MODULUS) {
        attributes.insert("modulus-size-bits".into(), json!(bits(modulus)));
    }
    if let Some(point) = of(CKA_EC_POINT) {
        let point = bare(point);
        attributes.insert("key-length-bytes".into(), json!(point.len()));
        attributes.insert("ec-point".into(), json!(names::to_hex(point)));
    }
    if let Some(params) = of(CKA_EC_PARAMS) {
        let curve = names::CURVES.iter().find(|(_, der)| *der == params).map(|(word, _)| *word);
        attributes.insert("curve".into(), json!(curve.map_or_else(|| names::to_hex(params), Into::into)));
    }
    if let Some(set) = parameter_set(connection, key, number(CKA_KEY_TYPE)) {
        attributes.insert("parameter-set".into(), json!(set));
    }
    let token = of(CKA_TOKEN) == Some(&[1]);
    let (owner, shared) = access(connection, key);
    let coverage = if token { "full" } else { "session" };
    Ok(json!({
        "key-reference": reference(connection, key),
        "key-info": {
            "key-owners": [{ "username": owner, "key-coverage": coverage }],
            "shared-users": shared,
            "key-quorum-values": { "manage-key-quorum-value": 0, "use-key-quorum-value": 0 },
            "cluster-coverage": coverage,
        },
        "attributes": attributes,
    }))
}

/// The owner's name and with whom the key is shared: as Coffer tells it, and on another module the one user there is.
fn access(connection: &Connection, key: CK_OBJECT_HANDLE) -> (String, Vec<Value>) {
    let Ok((owner, shared)) = connection.session.access(key) else {
        return (connection.username().to_owned(), Vec::new());
    };
    let shown = |user: &CofferUser| match (user.name(), user.kind) {
        (name, CKU_USER) if name.is_empty() => "user".to_owned(),
        (name, _) => name,
    };
    let owner = owner.as_ref().map_or_else(|| connection.username().to_owned(), shown);
    let shared = shared.iter().map(|user| json!({ "username": shown(user), "key-coverage": "full" }));
    (owner, shared.collect())
}

/// What `key list` says of one key without --verbose.
pub fn brief(connection: &Connection, key: CK_OBJECT_HANDLE) -> Result<Value, String> {
    let label = read(connection, key, &[CKA_LABEL])?.remove(0);
    let label = label.map(|label| String::from_utf8_lossy(&label).into_owned()).unwrap_or_default();
    Ok(json!({ "key-reference": reference(connection, key), "attributes": { "label": label } }))
}

/// Several attributes, `None` where the key has them not or hides them. A module that fails a question for several
/// because of one is asked one by one.
pub fn read(
    connection: &Connection,
    key: CK_OBJECT_HANDLE,
    kinds: &[CK_ATTRIBUTE_TYPE],
) -> Result<Vec<Option<Vec<u8>>>, String> {
    let session = &connection.session;
    let (rv, values) = session.attributes(key, kinds);
    match rv.0 {
        CKR_OK | CKR_ATTRIBUTE_TYPE_INVALID | CKR_ATTRIBUTE_SENSITIVE => Ok(values),
        CKR_OBJECT_HANDLE_INVALID | CKR_KEY_HANDLE_INVALID => Err("the key is gone".into()),
        _ => Ok(kinds.iter().map(|kind| session.attribute(key, *kind).ok()).collect()),
    }
}

/// A CK_ULONG attribute.
pub fn number(connection: &Connection, key: CK_OBJECT_HANDLE, kind: CK_ATTRIBUTE_TYPE) -> Option<CK_ULONG> {
    let value = connection.session.attribute(key, kind).ok()?;
    value.try_into().ok().map(CK_ULONG::from_ne_bytes)
}

/// The key's label, for messages.
pub fn label(connection: &Connection, key: CK_OBJECT_HANDLE) -> String {
    let label = connection.session.attribute(key, CKA_LABEL).unwrap_or_default();
    String::from_utf8_lossy(&label).into_owned()
}

fn parameter_set(
    connection: &Connection,
    key: CK_OBJECT_HANDLE,
    key_type: Option<CK_KEY_TYPE>,
) -> Option<String> {
    let name = match key_type? {
        CKK_ML_DSA => ["", "ml-dsa-44", "ml-dsa-65", "ml-dsa-87"],
        CKK_ML_KEM => ["", "ml-kem-512", "ml-kem-768", "ml-kem-1024"],
        _ => return None,
    };
    let set = number(connection, key, CKA_PARAMETER_SET)?;
    Some(
        name.get(set as usize).filter(|name| !name.is_empty()).map_or(set.to_string(), |name| (*name).into()),
    )
}

/// The point inside CKA_EC_POINT's OCTET STRING; some modules give it bare.
pub fn bare(point: &[u8]) -> &[u8] {
    match point {
        [4, len, rest @ ..] if usize::from(*len) == rest.len() && *len < 0x80 => rest,
        [4, 0x81, len, rest @ ..] if usize::from(*len) == rest.len() => rest,
        _ => point,
    }
}

fn bits(modulus: &[u8]) -> usize {
    let significant = modulus.iter().position(|byte| *byte != 0).map_or(&[][..], |first| &modulus[first..]);
    8 * significant.len() - significant.first().map_or(0, |byte| byte.leading_zeros() as usize)
}
