//! Attributes as stored bytes; docs/storage-format.md draws the layout.
//!
//! A list of entries in ascending order of the attribute: number (u64), tag (u8), length of the value
//! (u32), value; all integers little-endian. A nested template is such a list again.

use super::{Attributes, Value};
use crate::crypto::Secret;
use crate::error::{Result, Rv};
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
        decode(bytes, MAX_DEPTH).ok_or_else(|| Rv::DeviceError.because("stored attributes are malformed"))
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

fn decode(mut bytes: &[u8], depth: usize) -> Option<Attributes> {
    let mut attributes = Attributes::new();
    let mut last = None;
    while !bytes.is_empty() {
        let (number, rest) = bytes.split_first_chunk()?;
        let (&[tag], rest) = rest.split_first_chunk()?;
        let (len, rest) = rest.split_first_chunk()?;
        let (value, rest) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
        let number = u64::from_le_bytes(*number) as CK_ULONG;
        if last.is_some_and(|last| last >= number) {
            return None;
        }
        attributes.set(number, decode_value(tag, value, depth)?);
        last = Some(number);
        bytes = rest;
    }
    Some(attributes)
}

fn decode_value(tag: u8, value: &[u8], depth: usize) -> Option<Value> {
    let ulong = |bytes: &[u8]| bytes.try_into().ok().map(|bytes| u64::from_le_bytes(bytes) as CK_ULONG);
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
