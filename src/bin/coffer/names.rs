//! The words of the command line and of the JSON for the standard's numbers.

use pkcs11_client::Attr;
use pkcs11_client::cryptoki_sys::*;
use serde_json::{Value, json};

/// How an attribute's value is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// A decimal number.
    Number,
    /// A string.
    Text,
    /// `0x` and hexadecimal digits.
    Hex,
    /// One of [`KEY_TYPES`].
    KeyType,
    /// One of [`CLASSES`].
    Class,
}

/// An attribute by CloudHSM's name.
pub struct Name {
    pub name: &'static str,
    pub attribute: CK_ATTRIBUTE_TYPE,
    pub kind: Kind,
}

macro_rules! attributes {
    ($($name:literal $attribute:ident $kind:ident;)*) => {
        /// In the order in which CloudHSM's CLI prints them; those after `wrap-with-trusted` are printed by the key's type.
        pub const ATTRIBUTES: &[Name] =
            &[$(Name { name: $name, attribute: $attribute, kind: Kind::$kind }),*];
    };
}

attributes! {
    "key-type" CKA_KEY_TYPE KeyType;
    "label" CKA_LABEL Text;
    "id" CKA_ID Hex;
    "check-value" CKA_CHECK_VALUE Hex;
    "class" CKA_CLASS Class;
    "encrypt" CKA_ENCRYPT Bool;
    "decrypt" CKA_DECRYPT Bool;
    "token" CKA_TOKEN Bool;
    "always-sensitive" CKA_ALWAYS_SENSITIVE Bool;
    "derive" CKA_DERIVE Bool;
    "destroyable" CKA_DESTROYABLE Bool;
    "extractable" CKA_EXTRACTABLE Bool;
    "local" CKA_LOCAL Bool;
    "modifiable" CKA_MODIFIABLE Bool;
    "never-extractable" CKA_NEVER_EXTRACTABLE Bool;
    "private" CKA_PRIVATE Bool;
    "sensitive" CKA_SENSITIVE Bool;
    "sign" CKA_SIGN Bool;
    "trusted" CKA_TRUSTED Bool;
    "unwrap" CKA_UNWRAP Bool;
    "verify" CKA_VERIFY Bool;
    "wrap" CKA_WRAP Bool;
    "wrap-with-trusted" CKA_WRAP_WITH_TRUSTED Bool;
    "encapsulate" CKA_ENCAPSULATE Bool;
    "decapsulate" CKA_DECAPSULATE Bool;
    "copyable" CKA_COPYABLE Bool;
    "always-authenticate" CKA_ALWAYS_AUTHENTICATE Bool;
    "key-length-bytes" CKA_VALUE_LEN Number;
    "public-exponent" CKA_PUBLIC_EXPONENT Hex;
    "modulus" CKA_MODULUS Hex;
    "modulus-size-bits" CKA_MODULUS_BITS Number;
    "ec-params" CKA_EC_PARAMS Hex;
    "ec-point" CKA_EC_POINT Hex;
    "subject" CKA_SUBJECT Hex;
}

/// The attribute of that name; underscores do for hyphens.
///
/// # Errors
/// A sentence that lists the names.
pub fn attribute(name: &str) -> Result<&'static Name, String> {
    let hyphens = name.to_ascii_lowercase().replace('_', "-");
    let found = ATTRIBUTES.iter().find(|known| known.name == hyphens);
    found.ok_or_else(|| {
        let known = ATTRIBUTES.iter().map(|known| known.name).collect::<Vec<_>>();
        format!("there is no attribute {name:?}; there are: {}", known.join(", "))
    })
}

impl Name {
    /// The attribute with the value that `text` says.
    ///
    /// # Errors
    /// A sentence.
    pub fn parse(&self, text: &str) -> Result<Attr, String> {
        let wrong = |wanted: &str| format!("{}={text}: {wanted}", self.name);
        Ok(match self.kind {
            Kind::Bool => match text.to_ascii_lowercase().as_str() {
                "true" | "1" => Attr::bool(self.attribute, true),
                "false" | "0" => Attr::bool(self.attribute, false),
                _ => return Err(wrong("true or false is wanted")),
            },
            Kind::Number => {
                Attr::ulong(self.attribute, text.parse().map_err(|_| wrong("a number is wanted"))?)
            }
            Kind::Text => Attr::bytes(self.attribute, text),
            Kind::Hex => Attr::bytes(
                self.attribute,
                hex(text).ok_or_else(|| wrong("0x and pairs of hex digits are wanted"))?,
            ),
            Kind::KeyType => {
                Attr::ulong(self.attribute, number(KEY_TYPES, text).map_err(|known| wrong(&known))?)
            }
            Kind::Class => Attr::ulong(self.attribute, number(CLASSES, text).map_err(|known| wrong(&known))?),
        })
    }

    /// A value as JSON; an attribute that is not there, or not of its kind, is `null`, or `false` if it is a switch.
    pub fn show(&self, value: Option<&[u8]>) -> Value {
        let number = value.and_then(|value| value.try_into().ok().map(CK_ULONG::from_ne_bytes));
        match self.kind {
            Kind::Bool => json!(value.is_some_and(|value| value.first() == Some(&1))),
            Kind::Number => json!(number),
            Kind::Text => json!(value.map(String::from_utf8_lossy)),
            Kind::Hex => {
                json!(value.map(|value| if value.is_empty() { String::new() } else { to_hex(value) }))
            }
            Kind::KeyType => json!(number.map(|number| word(KEY_TYPES, number))),
            Kind::Class => json!(number.map(|number| word(CLASSES, number))),
        }
    }
}

/// CKA_KEY_TYPE. The first word of a number is the one that is printed.
pub const KEY_TYPES: &[(&str, CK_ULONG)] = &[
    ("aes", CKK_AES),
    ("3des", CKK_DES3),
    ("des3", CKK_DES3),
    ("generic-secret", CKK_GENERIC_SECRET),
    ("rsa", CKK_RSA),
    ("ec", CKK_EC),
    ("ed25519", CKK_EC_EDWARDS),
    ("ec-edwards", CKK_EC_EDWARDS),
    ("x25519", CKK_EC_MONTGOMERY),
    ("ml-dsa", CKK_ML_DSA),
    ("ml-kem", CKK_ML_KEM),
    ("2des", CKK_DES2),
    ("des", CKK_DES),
    ("chacha20", CKK_CHACHA20),
    ("hkdf", CKK_HKDF),
    ("sha-1-hmac", CKK_SHA_1_HMAC),
    ("sha224-hmac", CKK_SHA224_HMAC),
    ("sha256-hmac", CKK_SHA256_HMAC),
    ("sha384-hmac", CKK_SHA384_HMAC),
    ("sha512-hmac", CKK_SHA512_HMAC),
    ("dsa", CKK_DSA),
    ("dh", CKK_DH),
    ("slh-dsa", CKK_SLH_DSA),
];

/// CKA_CLASS.
pub const CLASSES: &[(&str, CK_ULONG)] = &[
    ("secret-key", CKO_SECRET_KEY),
    ("public-key", CKO_PUBLIC_KEY),
    ("private-key", CKO_PRIVATE_KEY),
    ("certificate", CKO_CERTIFICATE),
    ("data", CKO_DATA),
];

/// `--key-type-class`: class and key type at once.
pub const KEY_TYPE_CLASSES: &[(&str, (CK_OBJECT_CLASS, CK_KEY_TYPE))] = &[
    ("aes", (CKO_SECRET_KEY, CKK_AES)),
    ("3des", (CKO_SECRET_KEY, CKK_DES3)),
    ("des3", (CKO_SECRET_KEY, CKK_DES3)),
    ("generic-secret", (CKO_SECRET_KEY, CKK_GENERIC_SECRET)),
    ("rsa-private", (CKO_PRIVATE_KEY, CKK_RSA)),
    ("ec-private", (CKO_PRIVATE_KEY, CKK_EC)),
    ("ed25519-private", (CKO_PRIVATE_KEY, CKK_EC_EDWARDS)),
    ("x25519-private", (CKO_PRIVATE_KEY, CKK_EC_MONTGOMERY)),
    ("ml-dsa-private", (CKO_PRIVATE_KEY, CKK_ML_DSA)),
    ("ml-kem-private", (CKO_PRIVATE_KEY, CKK_ML_KEM)),
    ("rsa-public", (CKO_PUBLIC_KEY, CKK_RSA)),
    ("ec-public", (CKO_PUBLIC_KEY, CKK_EC)),
    ("ed25519-public", (CKO_PUBLIC_KEY, CKK_EC_EDWARDS)),
    ("x25519-public", (CKO_PUBLIC_KEY, CKK_EC_MONTGOMERY)),
    ("ml-dsa-public", (CKO_PUBLIC_KEY, CKK_ML_DSA)),
    ("ml-kem-public", (CKO_PUBLIC_KEY, CKK_ML_KEM)),
];

/// A `--key-type-class` in any case, with underscores or hyphens: the CloudHSM documents write `3DES` too.
///
/// # Errors
/// A sentence that lists the words.
pub fn key_type_class(text: &str) -> Result<(CK_OBJECT_CLASS, CK_KEY_TYPE), String> {
    number(KEY_TYPE_CLASSES, text)
}

/// Named curves: every spelling, the DER of CKA_EC_PARAMS (the curve's object identifier).
pub const CURVES: &[(&str, &[u8])] = &[
    ("secp224r1", b"\x06\x05\x2b\x81\x04\x00\x21"),
    ("secp256r1", b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07"),
    ("prime256v1", b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07"),
    ("p-256", b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07"),
    ("secp384r1", b"\x06\x05\x2b\x81\x04\x00\x22"),
    ("p-384", b"\x06\x05\x2b\x81\x04\x00\x22"),
    ("secp521r1", b"\x06\x05\x2b\x81\x04\x00\x23"),
    ("p-521", b"\x06\x05\x2b\x81\x04\x00\x23"),
    ("secp256k1", b"\x06\x05\x2b\x81\x04\x00\x0a"),
    ("ed25519", b"\x06\x03\x2b\x65\x70"),
    ("x25519", b"\x06\x03\x2b\x65\x6e"),
];

/// Bytes of a number of the curve's field.
pub const FIELDS: &[(&str, usize)] =
    &[("secp224r1", 28), ("secp256r1", 32), ("secp384r1", 48), ("secp521r1", 66), ("secp256k1", 32)];

/// The number of a word.
///
/// # Errors
/// A sentence that lists the words.
pub fn number<T: Copy>(words: &[(&str, T)], text: &str) -> Result<T, String> {
    let plain = text.to_ascii_lowercase().replace('_', "-");
    let found = words.iter().find(|(word, _)| *word == plain).map(|(_, number)| *number);
    found.ok_or_else(|| {
        let known = words.iter().map(|(word, _)| *word).collect::<Vec<_>>();
        format!("{text:?} is none of {}", known.join(", "))
    })
}

/// The first word of a number, or the number.
pub fn word(words: &[(&str, CK_ULONG)], number: CK_ULONG) -> String {
    words
        .iter()
        .find(|(_, known)| *known == number)
        .map_or_else(|| format!("{number:#x}"), |(word, _)| (*word).into())
}

/// `0x` and two digits a byte.
pub fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::from("0x"), |text, byte| text + &format!("{byte:02x}"))
}

/// Undoes [`to_hex`]; the `0x` may be left out.
pub fn hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("0x").unwrap_or(text).as_bytes();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes = digits.chunks(2).map(|chunk| if chunk.len() == 2 { pair(chunk) } else { None });
    // from_str_radix takes a sign.
    (!digits.contains(&b'+')).then(|| bytes.collect())?
}
