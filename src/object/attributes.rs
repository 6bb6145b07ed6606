//! A set of attributes with typed values: an object's, or a template's.

use super::attribute::{self, AttributeType, Kind};
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
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Attributes(Vec<(AttributeType, Value)>);

impl Attributes {
    /// None.
    pub const fn new() -> Attributes {
        Attributes(Vec::new())
    }

    /// None, with room for so many.
    pub fn with_capacity(many: usize) -> Attributes {
        Attributes(Vec::with_capacity(many))
    }

    fn position(&self, attribute: AttributeType) -> std::result::Result<usize, usize> {
        self.0.binary_search_by_key(&attribute, |(number, _)| *number)
    }

    /// The value, if there is one.
    pub fn value(&self, attribute: AttributeType) -> Option<&Value> {
        self.position(attribute).ok().map(|at| &self.0[at].1)
    }

    /// Whether the attribute is there.
    pub fn has(&self, attribute: AttributeType) -> bool {
        self.position(attribute).is_ok()
    }

    /// Puts a value in, in place of an older one.
    pub fn set(&mut self, attribute: AttributeType, value: impl Into<Value>) {
        let value = value.into();
        debug_assert!(attribute::kind(attribute).is_none_or(|kind| value.is(kind)));
        match self.position(attribute) {
            Ok(at) => self.0[at].1 = value,
            Err(at) => self.0.insert(at, (attribute, value)),
        }
    }

    /// Puts a value in. False, and the older one stays, if there is one.
    pub fn insert(&mut self, attribute: AttributeType, value: Value) -> bool {
        match self.position(attribute) {
            Ok(_) => false,
            Err(at) => {
                self.0.insert(at, (attribute, value));
                true
            }
        }
    }

    /// Puts a value behind all others, from where nobody vouches for its kind.
    pub(super) fn push(&mut self, attribute: AttributeType, value: Value) {
        debug_assert!(self.0.last().is_none_or(|(last, _)| *last < attribute));
        self.0.push((attribute, value));
    }

    /// Puts a value in unless there is one.
    pub fn set_default(&mut self, attribute: AttributeType, value: impl Into<Value>) {
        if !self.has(attribute) {
            self.set(attribute, value);
        }
    }

    /// The same with the value, for building in one expression.
    pub fn with(mut self, attribute: AttributeType, value: impl Into<Value>) -> Attributes {
        self.set(attribute, value);
        self
    }

    /// Takes a value out.
    pub fn remove(&mut self, attribute: AttributeType) -> Option<Value> {
        self.position(attribute).ok().map(|at| self.0.remove(at).1)
    }

    /// All, in ascending order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (AttributeType, &Value)> {
        self.0.iter().map(|(attribute, value)| (*attribute, value))
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True of none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds all of `other`, whose values win.
    pub fn extend(&mut self, other: Attributes) {
        for (attribute, value) in other.0 {
            self.set(attribute, value);
        }
    }

    /// A copy with room for so many more.
    pub fn with_room(&self, more: usize) -> Attributes {
        let mut all = Vec::with_capacity(self.0.len() + more);
        all.extend_from_slice(&self.0);
        Attributes(all)
    }

    /// A Boolean; false where there is none.
    pub fn is_true(&self, attribute: AttributeType) -> bool {
        matches!(self.value(attribute), Some(Value::Bool(true)))
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

impl FromIterator<(AttributeType, Value)> for Attributes {
    fn from_iter<I: IntoIterator<Item = (AttributeType, Value)>>(values: I) -> Attributes {
        let mut attributes = Attributes::new();
        for (attribute, value) in values {
            attributes.set(attribute, value);
        }
        attributes
    }
}
