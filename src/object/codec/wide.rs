//! Attributes as formats 1 and 2 of a token stored them, for reading only: an object is written anew in today's form
//! whenever it is written.
//!
//! A list of entries in ascending order of the attribute: number (u64), tag (u8), length of the value (u32), value; all
//! integers little-endian. A nested template is such a list again.

use super::{Attributes, BYTES, CK_MECHANISM_TYPE, CK_ULONG, MECHANISMS, SECRET, TEMPLATE, ULONG, Value};
use crate::crypto::Secret;
use crate::object::{AttributeType, attribute};

const BOOL: u8 = 1;

/// The attributes; `None` of what is malformed.
pub(super) fn decode(mut bytes: &[u8], depth: usize) -> Option<Attributes> {
    let mut attributes = Attributes::new();
    let mut last = None;
    while !bytes.is_empty() {
        let (number, rest) = bytes.split_first_chunk()?;
        let (&[tag], rest) = rest.split_first_chunk()?;
        let (len, rest) = rest.split_first_chunk()?;
        let (value, rest) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
        let number: AttributeType = u64::from_le_bytes(*number) as AttributeType;
        let fits = tag == BOOL || !attribute::is_flag(number);
        if last.replace(number).is_some_and(|last| last >= number) || !fits {
            return None;
        }
        attributes.push(number, decode_value(tag, value, depth)?);
        bytes = rest;
    }
    Some(attributes)
}

fn decode_value(tag: u8, value: &[u8], depth: usize) -> Option<Value> {
    Some(match tag {
        BOOL => Value::Bool(matches!(value, [1])),
        ULONG => Value::Ulong(number(value)?),
        BYTES => Value::Bytes(value.into()),
        SECRET => Value::secret(Secret::from_slice(value)),
        MECHANISMS if value.len().is_multiple_of(8) => {
            let list: Option<Box<[CK_MECHANISM_TYPE]>> = value.chunks(8).map(number).collect();
            Value::Mechanisms(list?)
        }
        TEMPLATE if depth > 0 => Value::Template(Box::new(decode(value, depth - 1)?)),
        _ => return None,
    })
}

fn number(bytes: &[u8]) -> Option<CK_ULONG> {
    Some(u64::from_le_bytes(bytes.try_into().ok()?) as CK_ULONG)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::codec::{MAX_DEPTH, Packed};
    use cryptoki_sys::*;

    fn entry(number: AttributeType, tag: u8, value: &[u8]) -> Vec<u8> {
        let len = (value.len() as u32).to_le_bytes();
        [&(number as u64).to_le_bytes()[..], &[tag], &len, value].concat()
    }

    #[test]
    fn is_read_and_never_written() {
        let mechanisms =
            [CKM_AES_GCM, CKM_AES_CBC].map(|mechanism| (mechanism as u64).to_le_bytes()).concat();
        let list = [
            entry(CKA_CLASS, ULONG, &(CKO_SECRET_KEY as u64).to_le_bytes()),
            entry(CKA_TOKEN, BOOL, &[1]),
            entry(CKA_PRIVATE, BOOL, &[0]),
            entry(CKA_LABEL, BYTES, b"label"),
            entry(CKA_VALUE, SECRET, b"secret"),
            entry(CKA_UNWRAP_TEMPLATE, TEMPLATE, &entry(CKA_SIGN, BOOL, &[1])),
            entry(CKA_ALLOWED_MECHANISMS, MECHANISMS, &mechanisms),
        ];
        let bytes = list.concat();
        let read = Attributes::decode(&bytes).unwrap();
        let inner = Attributes::new().with(CKA_SIGN, true);
        let mut wanted = Attributes::new()
            .with(CKA_CLASS, CKO_SECRET_KEY)
            .with(CKA_TOKEN, true)
            .with(CKA_PRIVATE, false)
            .with(CKA_LABEL, &b"label"[..])
            .with(CKA_VALUE, Secret::from_slice(b"secret"))
            .with(CKA_UNWRAP_TEMPLATE, inner);
        wanted.set(CKA_ALLOWED_MECHANISMS, Value::Mechanisms([CKM_AES_GCM, CKM_AES_CBC].into()));
        assert!(read == wanted);
        assert!(Packed::new(&bytes).unwrap().unpack() == wanted);
        assert!(wanted.encode().len() < bytes.len() / 2);
        let first = list[0].len();
        (1..first).for_each(|cut| assert!(decode(&bytes[..cut], MAX_DEPTH).is_none(), "cut at {cut}"));
        assert!(decode(&[list[1].clone(), list[0].clone()].concat(), MAX_DEPTH).is_none(), "not ascending");
        assert!(decode(&entry(CKA_TOKEN, BYTES, b"yes"), MAX_DEPTH).is_none(), "a Boolean of another kind");
    }
}
