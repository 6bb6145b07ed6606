//! Attributes as stored bytes; docs/storage-format.md draws the layout.
//!
//! A list of entries in ascending order of the attribute: number (u64), tag (u8), length of the value
//! (u32), value; all integers little-endian. A nested template is such a list again.

use super::{AttributeType, Attributes, Value, attribute};
use crate::crypto::{Secret, wipe};
use crate::error::{Error, Result, Rv};
use cryptoki_sys::CK_ULONG;

const BOOL: u8 = 1;
const ULONG: u8 = 2;
const BYTES: u8 = 3;
const SECRET: u8 = 4;
const MECHANISMS: u8 = 5;
const TEMPLATE: u8 = 6;

/// How deep templates are nested in a key's attributes: a template in a template in a template is deeper than
/// any rule of the standard needs.
pub const MAX_DEPTH: usize = 3;

impl Attributes {
    /// Their stored form. It holds secrets if the attributes do.
    pub fn encode(&self) -> Secret {
        let mut bytes = Vec::with_capacity(self.encoded_len());
        self.encode_into(&mut bytes);
        let secret = Secret::from_slice(&bytes);
        zeroize::Zeroize::zeroize(&mut bytes);
        secret
    }

    fn encoded_len(&self) -> usize {
        self.iter().map(|(_, value)| 13 + value.encoded_len()).sum()
    }

    fn encode_into(&self, out: &mut Vec<u8>) {
        for (attribute, value) in self.iter() {
            let tag = match value {
                Value::Bool(_) => BOOL,
                Value::Ulong(_) => ULONG,
                Value::Bytes(_) | Value::Follows(_) => BYTES,
                Value::Secret(_) => SECRET,
                Value::Mechanisms(_) => MECHANISMS,
                Value::Template(_) => TEMPLATE,
            };
            out.extend_from_slice(&attribute.to_le_bytes());
            out.push(tag);
            out.extend_from_slice(&(value.encoded_len() as u32).to_le_bytes());
            match value {
                Value::Bool(value) => out.push(*value as u8),
                Value::Ulong(value) => out.extend_from_slice(&value.to_le_bytes()),
                Value::Bytes(bytes) => out.extend_from_slice(bytes),
                Value::Follows(value) => out.extend_from_slice(value.bytes()),
                Value::Secret(secret) => out.extend_from_slice(secret.expose()),
                Value::Mechanisms(list) => list.iter().for_each(|m| out.extend_from_slice(&m.to_le_bytes())),
                Value::Template(template) => template.encode_into(out),
            }
        }
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// CKR_DEVICE_ERROR on anything `encode` would not have written.
    pub fn decode(bytes: &[u8]) -> Result<Attributes> {
        decode(bytes, MAX_DEPTH).ok_or_else(malformed)
    }
}

fn malformed() -> Error {
    Rv::DeviceError.because("stored attributes are malformed")
}

/// Attributes as they are stored, which is a third of what they take in memory otherwise. Wiped when dropped.
pub struct Packed(Box<[u8]>);

impl Packed {
    /// A copy of what [`Attributes::encode`] gave.
    ///
    /// # Errors
    /// As [`Attributes::decode`].
    pub fn new(bytes: &[u8]) -> Result<Packed> {
        if sound(bytes, MAX_DEPTH) { Ok(Packed(bytes.into())) } else { Err(malformed()) }
    }

    /// The attributes one by one.
    pub fn unpack(&self) -> Attributes {
        let attributes = decode(&self.0, MAX_DEPTH);
        debug_assert!(attributes.is_some(), "what is sound decodes");
        attributes.unwrap_or_default()
    }

    fn entry(&self, attribute: AttributeType) -> Option<Entry<'_>> {
        let mut entries = Entries(&self.0).map_while(|entry| entry);
        entries.find(|entry| entry.attribute >= attribute).filter(|entry| entry.attribute == attribute)
    }

    /// Bytes that are no secret, if there are any.
    pub fn bytes(&self, attribute: AttributeType) -> Option<&[u8]> {
        self.entry(attribute).filter(|entry| entry.tag == BYTES).map(|entry| entry.value)
    }

    /// The same of several, named in ascending order, on one way through.
    pub fn bytes_of<const N: usize>(&self, attributes: [AttributeType; N]) -> [Option<&[u8]>; N] {
        let mut entries = Entries(&self.0).map_while(|entry| entry).peekable();
        attributes.map(|attribute| {
            while entries.next_if(|entry| entry.attribute < attribute).is_some() {}
            let entry = entries.next_if(|entry| entry.attribute == attribute);
            entry.filter(|entry| entry.tag == BYTES).map(|entry| entry.value)
        })
    }

    /// A Boolean; false where there is none.
    pub fn is_true(&self, attribute: AttributeType) -> bool {
        self.entry(attribute).is_some_and(|entry| entry.tag == BOOL && entry.value == [1])
    }

    /// A number, if there is one.
    pub fn ulong(&self, attribute: AttributeType) -> Option<CK_ULONG> {
        self.entry(attribute).filter(|entry| entry.tag == ULONG).and_then(|entry| ulong(entry.value))
    }

    /// Whether all of `template` is there; `None` if that takes more than the bytes to tell.
    pub fn matches(&self, template: &Attributes) -> Option<bool> {
        let mut sure = true;
        for (attribute, wanted) in template.iter() {
            let same = match (self.entry(attribute), wanted) {
                (Some(Entry { tag: BOOL, value, .. }), Value::Bool(wanted)) => (value == [1]) == *wanted,
                (Some(Entry { tag: ULONG, value, .. }), Value::Ulong(wanted)) => {
                    ulong(value) == Some(*wanted)
                }
                (Some(Entry { tag: BYTES, value, .. }), Value::Bytes(wanted)) => *value == **wanted,
                (None, wanted) if !wanted.is_empty() => false,
                _ => {
                    sure = false;
                    continue;
                }
            };
            if !same {
                return Some(false);
            }
        }
        sure.then_some(true)
    }
}

impl Drop for Packed {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

/// One attribute of the stored form.
struct Entry<'a> {
    attribute: AttributeType,
    tag: u8,
    value: &'a [u8],
}

/// All of them; `None` where the bytes are cut short.
struct Entries<'a>(&'a [u8]);

impl<'a> Iterator for Entries<'a> {
    type Item = Option<Entry<'a>>;

    fn next(&mut self) -> Option<Option<Entry<'a>>> {
        if self.0.is_empty() {
            return None;
        }
        let entry = || -> Option<(Entry<'a>, &'a [u8])> {
            let (number, rest) = self.0.split_first_chunk()?;
            let (&[tag], rest) = rest.split_first_chunk()?;
            let (len, rest) = rest.split_first_chunk()?;
            let (value, rest) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
            Some((Entry { attribute: u64::from_le_bytes(*number) as AttributeType, tag, value }, rest))
        };
        let (entry, rest) = entry().unzip();
        self.0 = rest.unwrap_or_default();
        Some(entry)
    }
}

impl Value {
    fn encoded_len(&self) -> usize {
        match self {
            Value::Bool(_) => 1,
            Value::Ulong(_) => 8,
            Value::Bytes(bytes) => bytes.len(),
            Value::Follows(value) => value.bytes().len(),
            Value::Secret(secret) => secret.len(),
            Value::Mechanisms(list) => 8 * list.len(),
            Value::Template(template) => template.encoded_len(),
        }
    }
}

fn decode(bytes: &[u8], depth: usize) -> Option<Attributes> {
    let mut attributes = Attributes::new();
    let mut last = None;
    for entry in Entries(bytes) {
        let Entry { attribute, tag, value } = entry?;
        if last.is_some_and(|last| last >= attribute) || !fits(attribute, tag) {
            return None;
        }
        attributes.push(attribute, decode_value(tag, value, depth)?);
        last = Some(attribute);
    }
    Some(attributes)
}

fn ulong(bytes: &[u8]) -> Option<CK_ULONG> {
    bytes.try_into().ok().map(|bytes| u64::from_le_bytes(bytes) as CK_ULONG)
}

fn decode_value(tag: u8, value: &[u8], depth: usize) -> Option<Value> {
    Some(match tag {
        BOOL => Value::Bool(matches!(value, [1])),
        ULONG => Value::Ulong(ulong(value)?),
        BYTES => Value::Bytes(value.into()),
        SECRET => Value::secret(Secret::from_slice(value)),
        MECHANISMS if value.len().is_multiple_of(8) => {
            Value::Mechanisms(value.chunks(8).filter_map(ulong).collect())
        }
        TEMPLATE if depth > 0 => Value::Template(Box::new(decode(value, depth - 1)?)),
        _ => return None,
    })
}

/// A Boolean attribute has a Boolean; of what kind others are is not for the storage to know.
fn fits(attribute: AttributeType, tag: u8) -> bool {
    tag == BOOL || attribute::flag(attribute).is_none()
}

/// Whether `decode` takes them.
fn sound(bytes: &[u8], depth: usize) -> bool {
    let mut last = None;
    Entries(bytes).all(|entry| {
        let Some(Entry { attribute, tag, value }) = entry else { return false };
        let ascends = last.replace(attribute).is_none_or(|last| last < attribute);
        ascends
            && fits(attribute, tag)
            && match tag {
                BOOL | BYTES | SECRET => true,
                ULONG => value.len() == 8,
                MECHANISMS => value.len().is_multiple_of(8),
                TEMPLATE => depth > 0 && sound(value, depth - 1),
                _ => false,
            }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::template;
    use cryptoki_sys::*;

    fn attributes() -> Attributes {
        let inner = Attributes::new().with(CKA_SIGN, true).with(CKA_ID, &b"in"[..]);
        let nested = Attributes::new().with(CKA_WRAP_TEMPLATE, inner).with(CKA_LABEL, &b"x"[..]);
        let mut all = Attributes::new()
            .with(CKA_CLASS, CKO_SECRET_KEY)
            .with(CKA_TOKEN, true)
            .with(CKA_PRIVATE, false)
            .with(CKA_LABEL, &b"label"[..])
            .with(CKA_KEY_TYPE, CKK_AES)
            .with(CKA_VALUE, Secret::from_slice(b"secret"))
            .with(CKA_UNWRAP_TEMPLATE, nested);
        all.set(CKA_ALLOWED_MECHANISMS, Value::Mechanisms([CKM_AES_GCM, CKM_AES_CBC].into()));
        all
    }

    #[test]
    fn packed_is_taken_for_sound_exactly_if_it_decodes() {
        let good = attributes().encode().expose().to_vec();
        assert!(Packed::new(&good).unwrap().unpack() == attributes());
        let mut refused = 0;
        for at in 0..good.len() {
            for bit in 0..8 {
                let mut bad = good.clone();
                bad[at] ^= 1 << bit;
                assert_eq!(Packed::new(&bad).is_ok(), Attributes::decode(&bad).is_ok(), "bit {bit} of {at}");
                refused += usize::from(Packed::new(&bad).is_err());
            }
            assert_eq!(Packed::new(&good[..at]).is_ok(), Attributes::decode(&good[..at]).is_ok());
        }
        assert!(refused > 500);
    }

    #[test]
    fn packed_answers_as_the_attributes_do() {
        let (all, packed) = (attributes(), Packed::new(attributes().encode().expose()).unwrap());
        for attribute in crate::object::attribute::ALL {
            assert_eq!(packed.is_true(*attribute), all.is_true(*attribute));
            assert_eq!(packed.ulong(*attribute), all.ulong(*attribute));
            let plain = all.value(*attribute).filter(|value| matches!(value, Value::Bytes(_)));
            assert_eq!(packed.bytes(*attribute), plain.and_then(Value::as_bytes));
        }
        let several = packed.bytes_of([CKA_LABEL, CKA_UNIQUE_ID, CKA_VALUE, CKA_ID, CKA_UNWRAP_TEMPLATE]);
        assert_eq!(several, [Some(&b"label"[..]), None, None, None, None]);
        let one = |attribute, value: Value| Attributes::new().with(attribute, value);
        let sure = [
            (one(CKA_CLASS, Value::Ulong(CKO_SECRET_KEY)), true),
            (one(CKA_CLASS, Value::Ulong(CKO_PUBLIC_KEY)), false),
            (one(CKA_TOKEN, Value::Bool(true)), true),
            (one(CKA_PRIVATE, Value::Bool(true)), false),
            (one(CKA_LABEL, b"label"[..].into()), true),
            (one(CKA_LABEL, b"labe"[..].into()), false),
            (one(CKA_ID, b"id"[..].into()), false),
            (one(CKA_TOKEN, Value::Bool(true)).with(CKA_LABEL, &b"other"[..]), false),
            (Attributes::new(), true),
        ];
        for (template, answer) in sure {
            assert_eq!(packed.matches(&template), Some(answer), "{template:?}");
            assert_eq!(template::matches(&all, &template), answer);
        }
        let open = [one(CKA_ID, b""[..].into()), one(CKA_VALUE, b"secret"[..].into())];
        for template in open {
            assert_eq!(packed.matches(&template), None, "{template:?}");
        }
    }
}
