//! A set of attributes with typed values: an object's, or a template's.

use super::attribute::{self, AttributeType, FLAGS, Flags, Kind, flag};
use super::follows::Follows;
use crate::crypto::Secret;
use crate::error::Result;
use cryptoki_sys::*;
use std::fmt;
use std::sync::Arc;

/// An attribute's value.
#[derive(Clone)]
pub enum Value {
    /// [`Kind::Bool`].
    Bool(bool),
    /// [`Kind::Ulong`].
    Ulong(CK_ULONG),
    /// [`Kind::Bytes`], [`Kind::Integer`], [`Kind::Text`] and [`Kind::Date`].
    Bytes(Box<[u8]>),
    /// Bytes that footnote 7 of the standard's tables protects.
    Secret(Arc<Secret>),
    /// Bytes that follow from other attributes.
    Follows(Follows),
    /// [`Kind::Mechanisms`].
    Mechanisms(Box<[CK_MECHANISM_TYPE]>),
    /// [`Kind::Template`].
    Template(Box<Attributes>),
}

impl Value {
    /// A secret value.
    pub fn secret(secret: Secret) -> Value {
        Value::Secret(Arc::new(secret))
    }

    /// The bytes of a byte-like value, secret or not.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Value::Bytes(bytes) => Some(bytes),
            Value::Secret(secret) => Some(secret.expose()),
            Value::Follows(value) => Some(value.bytes()),
            _ => None,
        }
    }

    /// The same as plain bytes: of an attribute that is secret in some objects, but not in this one.
    pub fn disclosed(&self) -> Value {
        match self {
            Value::Secret(secret) => Value::from(secret.expose()),
            plain => plain.clone(),
        }
    }

    /// Whether it is a byte-like value of no bytes.
    pub fn is_empty(&self) -> bool {
        self.as_bytes().is_some_and(<[u8]>::is_empty)
    }

    /// Whether the value is of that kind.
    pub fn is(&self, kind: Kind) -> bool {
        match self {
            Value::Bool(_) => kind == Kind::Bool,
            Value::Ulong(_) => kind == Kind::Ulong,
            Value::Bytes(_) | Value::Secret(_) | Value::Follows(_) => {
                matches!(kind, Kind::Bytes | Kind::Integer | Kind::Text | Kind::Date)
            }
            Value::Mechanisms(_) => kind == Kind::Mechanisms,
            Value::Template(_) => kind == Kind::Template,
        }
    }
}

impl PartialEq for Value {
    /// Secrets are compared in constant time, given equal lengths.
    fn eq(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Ulong(a), Value::Ulong(b)) => a == b,
            (Value::Bytes(a), Value::Bytes(b)) => a == b,
            (Value::Mechanisms(a), Value::Mechanisms(b)) => a == b,
            (Value::Template(a), Value::Template(b)) => a == b,
            _ => match (self.as_bytes(), other.as_bytes()) {
                (Some(a), Some(b)) => {
                    a.len() == b.len() && a.iter().zip(b).fold(0, |differ, (x, y)| differ | (x ^ y)) == 0
                }
                _ => false,
            },
        }
    }
}

impl Eq for Value {}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Bool(value) => write!(f, "{value}"),
            Value::Ulong(value) => write!(f, "{value:#x}"),
            Value::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
            Value::Secret(_) => f.write_str("secret"),
            Value::Follows(_) => f.write_str("bytes that follow from others"),
            Value::Mechanisms(list) => write!(f, "{list:#x?}"),
            Value::Template(template) => template.fmt(f),
        }
    }
}

macro_rules! value_from {
    ($($from:ty, |$value:ident| $to:expr;)*) => {
        $(impl From<$from> for Value { fn from($value: $from) -> Value { $to } })*
    };
}

value_from! {
    bool, |value| Value::Bool(value);
    CK_ULONG, |value| Value::Ulong(value);
    &[u8], |value| Value::Bytes(value.into());
    Vec<u8>, |value| Value::Bytes(value.into());
    Secret, |value| Value::secret(value);
    Follows, |value| Value::Follows(value);
    Attributes, |value| Value::Template(Box::new(value));
}

/// Attributes in ascending order of their numbers, each at most once.
///
/// Most of a key's attributes are Booleans: they are bits here, by their place in [`FLAGS`].
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Attributes {
    /// The Booleans that are there.
    there: u32,
    /// Those of them that are true.
    set: u32,
    /// What is no Boolean, ascending.
    others: Vec<(AttributeType, Value)>,
}

fn boolean(value: bool) -> &'static Value {
    static FALSE: Value = Value::Bool(false);
    static TRUE: Value = Value::Bool(true);
    if value { &TRUE } else { &FALSE }
}

impl Attributes {
    /// None.
    pub const fn new() -> Attributes {
        Attributes { there: 0, set: 0, others: Vec::new() }
    }

    /// None, with room for so many that are no Booleans.
    pub fn with_capacity(many: usize) -> Attributes {
        Attributes { others: Vec::with_capacity(many), ..Attributes::new() }
    }

    /// Where it is, or belongs. They are few, so going through them is quicker than halving.
    fn position(&self, attribute: AttributeType) -> std::result::Result<usize, usize> {
        let at = self.others.iter().take_while(|(number, _)| *number < attribute).count();
        match self.others.get(at) {
            Some((number, _)) if *number == attribute => Ok(at),
            _ => Err(at),
        }
    }

    /// The Boolean with this place, if it is there.
    fn flag(&self, flag: u32) -> Option<bool> {
        (self.there >> flag & 1 != 0).then_some(self.set >> flag & 1 != 0)
    }

    fn set_flag(&mut self, flag: u32, value: bool) {
        self.there |= 1 << flag;
        self.set = self.set & !(1 << flag) | u32::from(value) << flag;
    }

    fn remove_flag(&mut self, flag: u32) {
        self.there &= !(1 << flag);
        self.set &= self.there;
    }

    /// The value, if there is one.
    pub fn value(&self, attribute: AttributeType) -> Option<&Value> {
        match flag(attribute) {
            Some(flag) => self.flag(flag).map(boolean),
            None => self.position(attribute).ok().map(|at| &self.others[at].1),
        }
    }

    /// Whether the attribute is there.
    pub fn has(&self, attribute: AttributeType) -> bool {
        self.value(attribute).is_some()
    }

    /// Puts a value in, in place of an older one.
    #[inline]
    pub fn set(&mut self, attribute: AttributeType, value: impl Into<Value>) {
        let value = value.into();
        debug_assert!(attribute::kind(attribute).is_none_or(|kind| value.is(kind)));
        match (flag(attribute), value) {
            (Some(flag), Value::Bool(value)) => self.set_flag(flag, value),
            (_, value) => self.set_other(attribute, value),
        }
    }

    fn set_other(&mut self, attribute: AttributeType, value: Value) {
        match self.position(attribute) {
            Ok(at) => self.others[at].1 = value,
            Err(at) => self.others.insert(at, (attribute, value)),
        }
    }

    /// The Booleans that are there.
    pub fn flags(&self) -> Flags {
        Flags(self.there)
    }

    /// Puts in all Booleans of `other`, which win.
    pub fn set_flags(&mut self, other: &Attributes) {
        self.there |= other.there;
        self.set = self.set & !other.there | other.set;
    }

    /// What is no Boolean, in ascending order.
    pub fn others(&self) -> impl ExactSizeIterator<Item = (AttributeType, &Value)> {
        self.others.iter().map(|(attribute, value)| (*attribute, value))
    }

    /// Puts a value in. False, and the older one stays, if there is one.
    #[inline]
    pub fn insert(&mut self, attribute: AttributeType, value: Value) -> bool {
        match (flag(attribute), value) {
            (Some(flag), Value::Bool(value)) => {
                let new = self.there >> flag & 1 == 0;
                if new {
                    self.set_flag(flag, value);
                }
                new
            }
            (_, value) => self.insert_other(attribute, value),
        }
    }

    fn insert_other(&mut self, attribute: AttributeType, value: Value) -> bool {
        let place = self.position(attribute);
        if let Err(at) = place {
            self.others.insert(at, (attribute, value));
        }
        place.is_err()
    }

    /// Puts a value behind all others, from where nobody vouches for its kind, except that a Boolean attribute has a
    /// Boolean.
    pub(super) fn push(&mut self, attribute: AttributeType, value: Value) {
        match (flag(attribute), value) {
            (Some(flag), Value::Bool(value)) => self.set_flag(flag, value),
            (flag, value) => {
                debug_assert!(flag.is_none() && self.others.last().is_none_or(|(last, _)| *last < attribute));
                self.others.push((attribute, value));
            }
        }
    }

    /// Puts a value in unless there is one.
    pub fn set_default(&mut self, attribute: AttributeType, value: impl Into<Value>) {
        self.insert(attribute, value.into());
    }

    /// The same with the value, for building in one expression.
    pub fn with(mut self, attribute: AttributeType, value: impl Into<Value>) -> Attributes {
        self.set(attribute, value);
        self
    }

    /// Takes a value out.
    pub fn remove(&mut self, attribute: AttributeType) -> Option<Value> {
        let Some(flag) = flag(attribute) else {
            return self.position(attribute).ok().map(|at| self.others.remove(at).1);
        };
        let value = self.flag(flag);
        self.remove_flag(flag);
        value.map(Value::Bool)
    }

    /// All, in ascending order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (AttributeType, &Value)> {
        Iter { there: self.there, set: self.set, others: &self.others }
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.there.count_ones() as usize + self.others.len()
    }

    /// True of none.
    pub fn is_empty(&self) -> bool {
        self.there == 0 && self.others.is_empty()
    }

    /// Adds all of `other`, whose values win.
    pub fn extend(&mut self, other: Attributes) {
        self.set_flags(&other);
        for (attribute, value) in other.others {
            self.set_other(attribute, value);
        }
    }

    /// Puts in what is missing of `defaults`.
    pub fn fill(&mut self, defaults: &Attributes) {
        self.set |= defaults.set & !self.there;
        self.there |= defaults.there;
        let mut at = 0;
        for (attribute, value) in &defaults.others {
            at += self.others[at..].iter().take_while(|(number, _)| number < attribute).count();
            if self.others.get(at).is_none_or(|(number, _)| number != attribute) {
                self.others.insert(at, (*attribute, value.clone()));
            }
        }
    }

    /// Leaves in of what is no Boolean what `keep` says, as it says.
    pub fn retain_others(&mut self, mut keep: impl FnMut(AttributeType, &mut Value) -> bool) {
        self.others.retain_mut(|(attribute, value)| keep(*attribute, value));
    }

    /// A Boolean; false where there is none.
    pub fn is_true(&self, attribute: AttributeType) -> bool {
        match flag(attribute) {
            Some(flag) => self.set >> flag & 1 != 0,
            None => matches!(self.value(attribute), Some(Value::Bool(true))),
        }
    }

    /// A number, if there is one.
    pub fn ulong(&self, attribute: AttributeType) -> Option<CK_ULONG> {
        match self.value(attribute) {
            Some(Value::Ulong(value)) => Some(*value),
            _ => None,
        }
    }

    /// Bytes, secret or not, if there are any.
    pub fn bytes(&self, attribute: AttributeType) -> Option<&[u8]> {
        self.value(attribute).and_then(Value::as_bytes)
    }

    /// Bytes that must be there.
    ///
    /// # Errors
    /// CKR_TEMPLATE_INCOMPLETE, naming the attribute.
    pub fn need_bytes(&self, attribute: AttributeType) -> Result<&[u8]> {
        match self.bytes(attribute) {
            Some(bytes) => Ok(bytes),
            None => fail!(TemplateIncomplete, "{} is missing", attribute::name(attribute)),
        }
    }

    /// A number that must be there.
    ///
    /// # Errors
    /// CKR_TEMPLATE_INCOMPLETE, naming the attribute.
    pub fn need_ulong(&self, attribute: AttributeType) -> Result<CK_ULONG> {
        match self.ulong(attribute) {
            Some(value) => Ok(value),
            None => fail!(TemplateIncomplete, "{} is missing", attribute::name(attribute)),
        }
    }

    /// A nested template, if there is one.
    pub fn template(&self, attribute: AttributeType) -> Option<&Attributes> {
        match self.value(attribute) {
            Some(Value::Template(template)) => Some(template),
            _ => None,
        }
    }

    /// A list of mechanisms, if there is one.
    pub fn mechanisms(&self, attribute: AttributeType) -> Option<&[CK_MECHANISM_TYPE]> {
        match self.value(attribute) {
            Some(Value::Mechanisms(list)) => Some(list),
            _ => None,
        }
    }
}

impl fmt::Debug for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// What is left of [`Attributes::iter`].
struct Iter<'a> {
    there: u32,
    set: u32,
    others: &'a [(AttributeType, Value)],
}

impl<'a> Iterator for Iter<'a> {
    type Item = (AttributeType, &'a Value);

    #[inline]
    fn next(&mut self) -> Option<(AttributeType, &'a Value)> {
        let other = self.others.split_first();
        if self.there != 0 {
            let flag = self.there.trailing_zeros();
            let attribute = FLAGS[flag as usize];
            if other.is_none_or(|((number, _), _)| attribute < *number) {
                self.there &= self.there - 1;
                return Some((attribute, boolean(self.set >> flag & 1 != 0)));
            }
        }
        let ((attribute, value), rest) = other?;
        self.others = rest;
        Some((*attribute, value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.there.count_ones() as usize + self.others.len();
        (left, Some(left))
    }
}

impl ExactSizeIterator for Iter<'_> {}

impl FromIterator<(AttributeType, Value)> for Attributes {
    fn from_iter<I: IntoIterator<Item = (AttributeType, Value)>>(values: I) -> Attributes {
        let mut attributes = Attributes::new();
        for (attribute, value) in values {
            attributes.set(attribute, value);
        }
        attributes
    }
}
