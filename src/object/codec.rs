//! Attributes as stored bytes; docs/storage-format.md draws the layout.
//!
//! A mark, and a list of entries in ascending order of the attribute: its number, a tag that says what the value is, and
//! the value. A nested template is such a list again, without a mark. Most of a key's attributes are Booleans and small
//! numbers: three or four bytes.

use super::{AttributeType, Attributes, Value, attribute};
use crate::crypto::{Secret, wipe};
use crate::error::{Error, Result, Rv};
use cryptoki_sys::{CK_MECHANISM_TYPE, CK_ULONG};
use std::iter;
use zeroize::Zeroizing;

mod wide;

/// What a list begins with; one as formats 1 and 2 of a token had it begins with another byte.
const MARK: u8 = 0xC0;

const FALSE: u8 = 0;
const TRUE: u8 = 1;
const ULONG: u8 = 2;
const BYTES: u8 = 3;
const SECRET: u8 = 4;
const MECHANISMS: u8 = 5;
const TEMPLATE: u8 = 6;

/// How deep templates are nested in a key's attributes: a template in a template in a template is deeper than
/// any rule of the standard needs.
pub const MAX_DEPTH: usize = 3;

impl Attributes {
    /// Their stored form. It holds secrets if the attributes do, and no bytes if there are none.
    pub fn encode(&self) -> Secret {
        // For all of them: a growing vector would leave copies of secrets behind.
        let room = 1 + self.longest();
        let mut bytes = Vec::with_capacity(room);
        if !self.is_empty() {
            bytes.push(MARK);
            self.encode_into(&mut bytes);
        }
        debug_assert!(bytes.len() <= room);
        let secret = Secret::from_slice(&bytes);
        zeroize::Zeroize::zeroize(&mut bytes);
        secret
    }

    /// No less than [`Attributes::encoded_len`], and faster found.
    fn longest(&self) -> usize {
        self.unordered().map(|(_, value)| LONGEST + 1 + value.longest()).sum()
    }

    fn encoded_len(&self) -> usize {
        self.unordered()
            .map(|(attribute, value)| number_len(attribute as u64) + 1 + value.encoded_len())
            .sum()
    }

    fn encode_into(&self, out: &mut Vec<u8>) {
        for (attribute, value) in self.iter() {
            put_number(out, attribute as u64);
            value.encode_into(out);
        }
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// CKR_DEVICE_ERROR on anything `encode` would not have written, in this format of the token or an earlier one.
    pub fn decode(bytes: &[u8]) -> Result<Attributes> {
        let attributes = match bytes.split_first() {
            Some((&MARK, [])) => None,
            Some((&MARK, list)) => decode(list, MAX_DEPTH),
            _ => wide::decode(bytes, MAX_DEPTH),
        };
        attributes.ok_or_else(malformed)
    }
}

fn malformed() -> Error {
    Rv::DeviceError.because("stored attributes are malformed")
}

/// Attributes as they are stored, which is a fifth of what they take in memory otherwise. Wiped when dropped.
pub struct Packed(Box<[u8]>);

impl Packed {
    /// A copy of what [`Attributes::encode`] gave.
    ///
    /// # Errors
    /// As [`Attributes::decode`].
    pub fn new(bytes: &[u8]) -> Result<Packed> {
        Packed::with(Zeroizing::new(bytes.to_vec()), [], |_| ()).map(|(packed, ())| packed)
    }

    /// Takes over what [`Attributes::encode`] gave, with what `make` makes of its [`Packed::bytes_of`], on one way
    /// through.
    ///
    /// # Errors
    /// As [`Attributes::decode`].
    pub fn with<const N: usize, T>(
        mut bytes: Zeroizing<Vec<u8>>,
        attributes: [AttributeType; N],
        make: impl FnOnce([Option<&[u8]>; N]) -> T,
    ) -> Result<(Packed, T)> {
        let Some((&MARK, list)) = bytes.split_first() else {
            let packed = Packed::of(&Attributes::decode(&bytes)?);
            let made = make(packed.bytes_of(attributes));
            return Ok((packed, made));
        };
        let (mut found, mut at) = ([None; N], 0);
        let sound = !list.is_empty()
            && walk(list, MAX_DEPTH, |entry| {
                while attributes.get(at).is_some_and(|wanted| *wanted < entry.attribute) {
                    at += 1;
                }
                if entry.tag == BYTES && attributes.get(at) == Some(&entry.attribute) {
                    found[at] = Some(entry.value);
                }
            });
        if !sound {
            return Err(malformed());
        }
        let made = make(found);
        Ok((Packed(std::mem::take(&mut *bytes).into()), made))
    }

    fn of(attributes: &Attributes) -> Packed {
        let mut bytes = Vec::with_capacity(1 + attributes.encoded_len());
        bytes.push(MARK);
        attributes.encode_into(&mut bytes);
        Packed(bytes.into())
    }

    fn list(&self) -> &[u8] {
        &self.0[1..]
    }

    /// The attributes one by one.
    pub fn unpack(&self) -> Attributes {
        let attributes = decode(self.list(), MAX_DEPTH);
        debug_assert!(attributes.is_some(), "what is sound decodes");
        attributes.unwrap_or_default()
    }

    fn entry(&self, attribute: AttributeType) -> Option<Entry<'_>> {
        let mut entries = Entries(self.list()).map_while(|entry| entry);
        entries.find(|entry| entry.attribute >= attribute).filter(|entry| entry.attribute == attribute)
    }

    /// Bytes that are no secret, if there are any.
    pub fn bytes(&self, attribute: AttributeType) -> Option<&[u8]> {
        self.entry(attribute).filter(|entry| entry.tag == BYTES).map(|entry| entry.value)
    }

    /// The same of several, named in ascending order, on one way through.
    pub fn bytes_of<const N: usize>(&self, attributes: [AttributeType; N]) -> [Option<&[u8]>; N] {
        let mut entries = Entries(self.list()).map_while(|entry| entry).peekable();
        attributes.map(|attribute| {
            while entries.next_if(|entry| entry.attribute < attribute).is_some() {}
            let entry = entries.next_if(|entry| entry.attribute == attribute);
            entry.filter(|entry| entry.tag == BYTES).map(|entry| entry.value)
        })
    }

    /// A Boolean; false where there is none.
    pub fn is_true(&self, attribute: AttributeType) -> bool {
        self.entry(attribute).is_some_and(|entry| entry.tag == TRUE)
    }

    /// A number, if there is one.
    pub fn ulong(&self, attribute: AttributeType) -> Option<CK_ULONG> {
        self.entry(attribute).filter(|entry| entry.tag == ULONG).and_then(|entry| only_number(entry.value))
    }

    /// Whether all of `template` is there; `None` if that takes more than the bytes to tell.
    pub fn matches(&self, template: &Attributes) -> Option<bool> {
        let mut sure = true;
        for (attribute, wanted) in template.unordered() {
            let same = match (self.entry(attribute), wanted) {
                (Some(Entry { tag: tag @ (FALSE | TRUE), .. }), Value::Bool(wanted)) => {
                    (tag == TRUE) == *wanted
                }
                (Some(Entry { tag: ULONG, value, .. }), Value::Ulong(wanted)) => {
                    only_number(value) == Some(*wanted)
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

    #[inline]
    fn next(&mut self) -> Option<Option<Entry<'a>>> {
        if self.0.is_empty() {
            return None;
        }
        let (entry, rest) = first(self.0).unzip();
        self.0 = rest.unwrap_or_default();
        Some(entry)
    }
}

/// The first entry and what follows it; `None` if the bytes are cut short.
#[inline(always)]
fn first(bytes: &[u8]) -> Option<(Entry<'_>, &[u8])> {
    let (attribute, rest) = number(bytes)?;
    let (&tag, rest) = rest.split_first()?;
    let (value, rest) = match tag {
        FALSE | TRUE => rest.split_at(0),
        ULONG => rest.split_at(rest.len() - number(rest)?.1.len()),
        _ => {
            let (len, rest) = number(rest)?;
            rest.split_at_checked(len.try_into().ok()?)?
        }
    };
    Some((Entry { attribute: attribute as AttributeType, tag, value }, rest))
}

impl Value {
    fn longest(&self) -> usize {
        let rest = match self {
            Value::Bool(_) | Value::Ulong(_) => 0,
            Value::Bytes(bytes) => bytes.len(),
            Value::Follows(value) => value.bytes().len(),
            Value::Secret(secret) => secret.len(),
            Value::Mechanisms(list) => LONGEST * list.len(),
            Value::Template(template) => template.longest(),
        };
        LONGEST + rest
    }

    /// Of what follows the tag.
    fn encoded_len(&self) -> usize {
        let counted = |len: usize| number_len(len as u64) + len;
        match self {
            Value::Bool(_) => 0,
            Value::Ulong(value) => number_len(*value as u64),
            Value::Bytes(bytes) => counted(bytes.len()),
            Value::Follows(value) => counted(value.bytes().len()),
            Value::Secret(secret) => counted(secret.len()),
            Value::Mechanisms(list) => counted(mechanisms_len(list)),
            Value::Template(template) => counted(template.encoded_len()),
        }
    }

    fn encode_into(&self, out: &mut Vec<u8>) {
        let (tag, bytes) = match self {
            Value::Bool(value) => return out.push(if *value { TRUE } else { FALSE }),
            Value::Ulong(value) => {
                out.push(ULONG);
                return put_number(out, *value as u64);
            }
            Value::Mechanisms(list) => {
                out.push(MECHANISMS);
                put_number(out, mechanisms_len(list) as u64);
                return list.iter().for_each(|mechanism| put_number(out, *mechanism as u64));
            }
            Value::Template(template) => {
                out.push(TEMPLATE);
                put_number(out, template.encoded_len() as u64);
                return template.encode_into(out);
            }
            Value::Bytes(bytes) => (BYTES, &bytes[..]),
            Value::Follows(value) => (BYTES, value.bytes()),
            Value::Secret(secret) => (SECRET, secret.expose()),
        };
        out.push(tag);
        put_number(out, bytes.len() as u64);
        out.extend_from_slice(bytes);
    }
}

fn mechanisms_len(list: &[CK_MECHANISM_TYPE]) -> usize {
    list.iter().map(|mechanism| number_len(*mechanism as u64)).sum()
}

/// A number in as few bytes as it takes: seven bits in each, the lowest first, and the top bit says that more follow
/// (LEB128).
fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Bytes of the longest number.
const LONGEST: usize = 10;

fn number_len(number: u64) -> usize {
    (u64::BITS - (number | 1).leading_zeros()).div_ceil(7) as usize
}

/// A number and what follows it; `None` unless it is as [`put_number`] writes it.
#[inline]
fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    match bytes {
        // Nearly all of them.
        [only @ ..0x80, rest @ ..] => Some((u64::from(*only), rest)),
        [low, high @ 1..0x80, rest @ ..] => Some((u64::from(*low & 0x7F) | u64::from(*high) << 7, rest)),
        _ => long_number(bytes),
    }
}

#[cold]
fn long_number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0;
    for (at, byte) in bytes.iter().enumerate().take(number_len(u64::MAX)) {
        let bits = u64::from(byte & 0x7F);
        number |= bits << (7 * at);
        if byte & 0x80 == 0 {
            let shortest = at == 0 || bits != 0;
            let fits = number >> (7 * at) == bits;
            return (shortest && fits).then(|| (number, &bytes[at + 1..]));
        }
    }
    None
}

/// The number that the bytes are.
fn only_number(bytes: &[u8]) -> Option<CK_ULONG> {
    let (number, rest) = number(bytes)?;
    rest.is_empty().then_some(number as CK_ULONG)
}

fn mechanisms(mut bytes: &[u8]) -> impl Iterator<Item = Option<CK_MECHANISM_TYPE>> {
    iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let (mechanism, rest) = number(bytes).unzip();
        bytes = rest.unwrap_or_default();
        Some(mechanism.map(|mechanism| mechanism as CK_MECHANISM_TYPE))
    })
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

fn decode_value(tag: u8, value: &[u8], depth: usize) -> Option<Value> {
    Some(match tag {
        FALSE | TRUE => Value::Bool(tag == TRUE),
        ULONG => Value::Ulong(only_number(value)?),
        BYTES => Value::Bytes(value.into()),
        SECRET => Value::secret(Secret::from_slice(value)),
        MECHANISMS => Value::Mechanisms(mechanisms(value).collect::<Option<_>>()?),
        TEMPLATE if depth > 0 => Value::Template(Box::new(decode(value, depth - 1)?)),
        _ => return None,
    })
}

/// A Boolean attribute has a Boolean; of what kind others are is not for the storage to know.
fn fits(attribute: AttributeType, tag: u8) -> bool {
    matches!(tag, FALSE | TRUE) || !attribute::is_flag(attribute)
}

/// Goes through a list entry by entry. False if `decode` would not take it.
#[inline(always)]
fn walk<'a>(mut bytes: &'a [u8], depth: usize, mut each: impl FnMut(&Entry<'a>)) -> bool {
    let mut last = None;
    while !bytes.is_empty() {
        let Some((entry, rest)) = first(bytes) else { return false };
        let Entry { attribute, tag, value } = entry;
        let ascends = last.replace(attribute).is_none_or(|last| last < attribute);
        let sound = match tag {
            // The number has been read by `first`.
            FALSE | TRUE | ULONG | BYTES | SECRET => true,
            MECHANISMS => mechanisms(value).all(|mechanism| mechanism.is_some()),
            TEMPLATE => depth > 0 && sound(value, depth - 1),
            _ => false,
        };
        if !(ascends && sound && fits(attribute, tag)) {
            return false;
        }
        each(&entry);
        bytes = rest;
    }
    true
}

/// Whether `decode` takes them.
fn sound(bytes: &[u8], depth: usize) -> bool {
    walk(bytes, depth, |_| ())
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
        assert!(refused > good.len());
    }

    #[test]
    fn no_list_of_earlier_formats_has_the_mark() {
        assert!(crate::object::attribute::ALL.iter().all(|attribute| *attribute as u8 != MARK));
    }

    #[test]
    fn numbers_have_one_form() {
        let numbers = (0..u64::BITS).flat_map(|bit| [(1_u64 << bit) - 1, 1 << bit]).chain([u64::MAX]);
        for one in numbers {
            let mut bytes = Vec::new();
            put_number(&mut bytes, one);
            assert_eq!((bytes.len(), number(&bytes)), (number_len(one), Some((one, &[][..]))));
            (0..bytes.len()).for_each(|len| assert_eq!(number(&bytes[..len]), None));
            *bytes.last_mut().unwrap() |= 0x80;
            bytes.push(0);
            assert_eq!(number(&bytes), None, "{one} is longer than need be");
        }
        let beyond = [&[0xFF; 9][..], &[2]].concat();
        assert_eq!(number(&beyond), None, "more than 64 bits");
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
