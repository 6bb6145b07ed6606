//! A key as CloudHSM's CLI shows it.

use crate::connection::Connection;
use crate::names::{self, ATTRIBUTES};
use crate::select::reference;
use coffer_pkcs11::mechanism::vendor::{CKA_COFFER_MANAGE_QUORUM, CKA_COFFER_USE_QUORUM};
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
    let of = |attribute| value_of(&values, attribute);
    let number = |attribute| Some(CK_ULONG::from_ne_bytes(of(attribute)?.try_into().ok()?));
    let set = ParameterSet::of(connection, key, number(CKA_KEY_TYPE));
    let length = match set {
        Some(set) => set.length(connection, key, number(CKA_CLASS)),
        None => length(of),
    };
    for (name, value) in ATTRIBUTES.iter().zip(&values) {
        if name.attribute == CKA_VALUE_LEN {
            attributes.extend(length.map(|length| (name.name.into(), json!(length))));
            continue;
        }
        // CloudHSM's names are always there, the others where the key has them.
        let said = value.as_ref().is_some_and(|value| !value.is_empty() && value[..] != [0]);
        if !specific || (said && !SHOWN_OTHERWISE.contains(&name.attribute)) {
            attributes.insert(name.name.into(), name.show(value.as_deref()));
        }
        specific |= name.name == LAST_COMMON;
    }
    if let Some(modulus) = of(CKA_MODULUS) {
        attributes.insert("modulus-size-bits".into(), json!(bits(modulus)));
    }
    if let Some(point) = of(CKA_EC_POINT) {
        attributes.insert("ec-point".into(), json!(names::to_hex(bare(point))));
    }
    if let Some(params) = of(CKA_EC_PARAMS) {
        let curve = names::CURVES.iter().find(|(_, der)| *der == params).map(|(word, _)| *word);
        attributes.insert("curve".into(), json!(curve.map_or_else(|| names::to_hex(params), Into::into)));
    }
    if let Some(set) = set {
        attributes.insert("parameter-set".into(), json!(set.name));
    }
    // Public keys have none, and other modules do not know the attributes.
    let value = |attribute| match number(CKA_CLASS) {
        Some(CKO_PUBLIC_KEY) => 0,
        _ => self::number(connection, key, attribute).unwrap_or(0),
    };
    let token = of(CKA_TOKEN) == Some(&[1]);
    let (owner, shared) = access(connection, key);
    let coverage = if token { "full" } else { "session" };
    Ok(json!({
        "key-reference": reference(connection, key),
        "key-info": {
            "key-owners": [{ "username": owner, "key-coverage": coverage }],
            "shared-users": shared,
            "key-quorum-values": {
                "manage-key-quorum-value": value(CKA_COFFER_MANAGE_QUORUM),
                "use-key-quorum-value": value(CKA_COFFER_USE_QUORUM),
            },
            "cluster-coverage": coverage,
        },
        "attributes": attributes,
    }))
}

/// What was read of an attribute, when all of [`ATTRIBUTES`] were.
fn value_of(values: &[Option<Vec<u8>>], attribute: CK_ATTRIBUTE_TYPE) -> Option<&[u8]> {
    let at = ATTRIBUTES.iter().position(|name| name.attribute == attribute)?;
    values[at].as_deref()
}

/// `key-length-bytes` as CloudHSM counts: of a secret key its value, of a public one its modulus or point, of a
/// private one its PKCS #8. That of an RSA key depends on its secret numbers by a few bytes; this is the most.
fn length<'a>(of: impl Fn(CK_ATTRIBUTE_TYPE) -> Option<&'a [u8]>) -> Option<usize> {
    let number = |attribute| Some(CK_ULONG::from_ne_bytes(of(attribute)?.try_into().ok()?));
    match (number(CKA_CLASS)?, number(CKA_KEY_TYPE)?) {
        (CKO_SECRET_KEY, CKK_DES3) => Some(24),
        (CKO_SECRET_KEY, _) => number(CKA_VALUE_LEN).map(|len| len as usize),
        (CKO_PUBLIC_KEY, CKK_RSA) => of(CKA_MODULUS).map(|modulus| bits(modulus).div_ceil(8)),
        (CKO_PUBLIC_KEY, _) => of(CKA_EC_POINT).map(|point| bare(point).len()),
        (CKO_PRIVATE_KEY, CKK_RSA) => {
            let modulus = bits(of(CKA_MODULUS)?).div_ceil(8);
            // Top bits may be set, and then a zero goes before: RSAPrivateKey of RFC 8017, appendix A.1.2.
            let integers = [modulus, of(CKA_PUBLIC_EXPONENT)?.len() - 1, modulus - 1];
            let halves = [modulus.div_ceil(2); 5];
            let inner = 3 + integers.iter().chain(&halves).map(|len| node(len + 1)).sum::<usize>();
            Some(pkcs8(13, node(inner)))
        }
        (CKO_PRIVATE_KEY, CKK_EC) => {
            let params = of(CKA_EC_PARAMS)?;
            let (_, field) = names::FIELDS
                .iter()
                .find(|(curve, _)| names::CURVES.iter().any(|(word, der)| word == curve && *der == params))?;
            // ECPrivateKey of RFC 5915 with the public key and without the curve, which the algorithm names.
            let inner = 3 + node(*field) + node(node(1 + 1 + 2 * field));
            Some(pkcs8(9 + params.len(), node(inner)))
        }
        // RFC 8410, section 7.
        (CKO_PRIVATE_KEY, CKK_EC_EDWARDS | CKK_EC_MONTGOMERY) => Some(pkcs8(5, node(32))),
        _ => None,
    }
}

/// Bytes of a DER value with its tag and length.
fn node(len: usize) -> usize {
    len + match len {
        0..128 => 2,
        128..256 => 3,
        _ => 4,
    }
}

/// Bytes of a PKCS #8 (RFC 5208, section 5) by those of the algorithm's fields and of the key.
fn pkcs8(algorithm: usize, key: usize) -> usize {
    node(3 + node(algorithm) + node(key))
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

/// The owner's name.
pub fn owner(connection: &Connection, key: CK_OBJECT_HANDLE) -> String {
    access(connection, key).0
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

/// A parameter set of ML-DSA (FIPS 204) or ML-KEM (FIPS 203), and bytes of its keys.
struct ParameterSet {
    key_type: CK_KEY_TYPE,
    number: CK_ULONG,
    name: &'static str,
    public: usize,
    seed: usize,
    expanded: usize,
}

macro_rules! parameter_sets {
    ($($key_type:ident $number:ident $name:literal $public:literal $seed:literal $expanded:literal;)*) => {
        const PARAMETER_SETS: &[ParameterSet] = &[$(ParameterSet {
            key_type: $key_type, number: $number as CK_ULONG, name: $name, public: $public, seed: $seed, expanded: $expanded,
        }),*];
    };
}

parameter_sets! {
    CKK_ML_DSA CKP_ML_DSA_44   "ml-dsa-44"   1312 32 2560;
    CKK_ML_DSA CKP_ML_DSA_65   "ml-dsa-65"   1952 32 4032;
    CKK_ML_DSA CKP_ML_DSA_87   "ml-dsa-87"   2592 32 4896;
    CKK_ML_KEM CKP_ML_KEM_512  "ml-kem-512"  800  64 1632;
    CKK_ML_KEM CKP_ML_KEM_768  "ml-kem-768"  1184 64 2400;
    CKK_ML_KEM CKP_ML_KEM_1024 "ml-kem-1024" 1568 64 3168;
}

impl ParameterSet {
    fn of(
        connection: &Connection,
        key: CK_OBJECT_HANDLE,
        key_type: Option<CK_KEY_TYPE>,
    ) -> Option<&'static ParameterSet> {
        let mut sets = PARAMETER_SETS.iter().filter(|set| Some(set.key_type) == key_type).peekable();
        sets.peek()?;
        let number = number(connection, key, CKA_PARAMETER_SET)?;
        sets.find(|set| set.number == number)
    }

    /// `key-length-bytes`. PKCS #8 holds the seed of a private key that has one, and else the expanded form (RFC 9881 and
    /// RFC 9935, section 6). A sensitive key that was not made in its token tells nobody which of the two it is.
    fn length(
        &self,
        connection: &Connection,
        key: CK_OBJECT_HANDLE,
        class: Option<CK_OBJECT_CLASS>,
    ) -> Option<usize> {
        let read = |kind| connection.session.attribute(key, kind);
        let form = match (class?, read(CKA_SEED)) {
            (CKO_PUBLIC_KEY, _) => return Some(self.public),
            (CKO_PRIVATE_KEY, Ok(seed)) if !seed.is_empty() => self.seed,
            (CKO_PRIVATE_KEY, Err(rv)) if rv == CKR_ATTRIBUTE_SENSITIVE => {
                read(CKA_LOCAL).ok().filter(|local| *local == [1])?;
                self.seed
            }
            (CKO_PRIVATE_KEY, _) => self.expanded,
            _ => return None,
        };
        Some(pkcs8(11, node(form)))
    }
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
