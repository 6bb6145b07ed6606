//! A set of attributes with typed values: an object's, or a template's.

use super::attribute::{self, ALL, AttributeType, FLAGS, Kind, Set, place};
use super::follows::{Follows, SecretValue};
use crate::crypto::Secret;
use crate::error::Result;
use crate::kernel::append::append;
use cryptoki_sys::*;
use smallvec::SmallVec;
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
    Secret(Arc<SecretValue>),
    /// Bytes that follow from other attributes.
    Follows(Follows),
    /// [`Kind::Mechanisms`].
    Mechanisms(Box<[CK_MECHANISM_TYPE]>),
    /// [`Kind::Template`].
    Template(Box<Attributes>),
}

const _: () = assert!(size_of::<Value>() == 3 * size_of::<usize>());

impl Value {
    /// A secret value.
    pub fn secret(secret: Secret) -> Value {
        Value::Secret(Arc::new(secret.into()))
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

/// Attributes, each at most once.
///
/// Most of a key's attributes are Booleans: they are bits here, by their place in [`ALL`].
#[derive(Clone, Default)]
pub struct Attributes {
    /// What is there, of the attributes that the module knows.
    there: Set,
    /// The Booleans that are true.
    set: Set,
    /// What is no Boolean, as it came.
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
        Attributes { there: Set::EMPTY, set: Set::EMPTY, others: Vec::new() }
    }

    /// None, with room for so many that are no Booleans.
    pub fn with_capacity(many: usize) -> Attributes {
        Attributes { there: Set::EMPTY, set: Set::EMPTY, others: Vec::with_capacity(many) }
    }

    /// Whether the attribute is there.
    #[inline]
    pub fn has(&self, attribute: AttributeType) -> bool {
        match place(attribute) {
            Some(place) => self.there.has(place),
            None => self.others.iter().any(|(number, _)| *number == attribute),
        }
    }

    /// The value, if there is one.
    #[inline]
    pub fn value(&self, attribute: AttributeType) -> Option<&Value> {
        match place(attribute) {
            Some(place) if !self.there.has(place) => None,
            Some(place) if FLAGS.has(place) => Some(boolean(self.set.has(place))),
            _ => self.other(attribute),
        }
    }

    /// The value of what is no Boolean. They are few, so going through them is quicker than halving.
    fn other(&self, attribute: AttributeType) -> Option<&Value> {
        self.others.iter().find(|(number, _)| *number == attribute).map(|(_, value)| value)
    }

    /// Puts a value in, in place of an older one.
    #[inline]
    pub fn set(&mut self, attribute: AttributeType, value: impl Into<Value>) {
        let value = value.into();
        debug_assert!(attribute::kind(attribute).is_none_or(|kind| value.is(kind)));
        match value {
            Value::Bool(value) if FLAGS.includes(attribute) => self.set_flag(attribute, value),
            value => self.set_other(attribute, value),
        }
    }

    /// Puts a Boolean in, in place of an older one.
    #[inline]
    pub fn set_flag(&mut self, attribute: AttributeType, value: bool) {
        debug_assert!(FLAGS.includes(attribute));
        place(attribute).into_iter().for_each(|place| self.put_flag(place, value));
    }

    #[inline]
    fn put_flag(&mut self, place: usize, value: bool) {
        self.there.put(place, true);
        self.set.put(place, value);
    }

    /// Puts in the Boolean with this place in [`ALL`]. False, and the older one stays, if there is one.
    #[inline]
    pub fn insert_flag(&mut self, place: usize, value: bool) -> bool {
        let new = !self.there.has(place);
        if new {
            self.put_flag(place, value);
        }
        new
    }

    fn set_other(&mut self, attribute: AttributeType, value: Value) {
        if !self.has(attribute) {
            return self.put_other(attribute, value);
        }
        if let Some((_, old)) = self.others.iter_mut().find(|(number, _)| *number == attribute) {
            *old = value;
        }
    }

    /// Puts a value in that is no Boolean and not there.
    #[inline(always)]
    fn put_other(&mut self, attribute: AttributeType, value: Value) {
        if let Some(place) = place(attribute) {
            self.there.put(place, true);
        }
        append(&mut self.others, attribute, value);
    }

    /// What is there, of the attributes that the module knows.
    pub fn known(&self) -> Set {
        self.there
    }

    /// Whether nothing else is there.
    pub fn is_within(&self, set: Set) -> bool {
        let unknown = || self.others.iter().any(|(attribute, _)| place(*attribute).is_none());
        self.there.without(set).is_empty() && !unknown()
    }

    /// Puts a value in. False, and the older one stays, if there is one.
    #[inline(always)]
    pub fn insert(&mut self, attribute: AttributeType, value: Value) -> bool {
        let new = !self.has(attribute);
        if new {
            self.push(attribute, value);
        }
        new
    }

    /// The same of a number.
    #[inline(never)]
    pub fn insert_number(&mut self, attribute: AttributeType, value: CK_ULONG) -> bool {
        let new = !self.has(attribute);
        if new {
            self.put_other(attribute, Value::Ulong(value));
        }
        new
    }

    /// Puts a value in that is not there, from where nobody vouches for its kind, except that a Boolean attribute has a
    /// Boolean.
    #[inline(always)]
    pub(super) fn push(&mut self, attribute: AttributeType, value: Value) {
        debug_assert!(!self.has(attribute));
        match value {
            Value::Bool(value) if FLAGS.includes(attribute) => self.set_flag(attribute, value),
            value => self.put_other(attribute, value),
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
        let place = place(attribute);
        if !self.has(attribute) {
            return None;
        }
        place.into_iter().for_each(|place| self.there.put(place, false));
        if let Some(place) = place.filter(|place| FLAGS.has(*place)) {
            let value = self.set.has(place);
            self.set.put(place, false);
            return Some(Value::Bool(value));
        }
        let at = self.others.iter().position(|(number, _)| *number == attribute)?;
        Some(self.others.swap_remove(at).1)
    }

    /// All, in ascending order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (AttributeType, &Value)> {
        let mut others: SmallVec<[_; 16]> = self.others.iter().collect();
        others.sort_unstable_by_key(|(attribute, _)| *attribute);
        Iter { flags: self.there.and(FLAGS), set: self.set, others: others.into_iter() }
    }

    /// All, in no order.
    pub fn unordered(&self) -> impl Iterator<Item = (AttributeType, &Value)> {
        let flags = Iter { flags: self.there.and(FLAGS), set: self.set, others: SmallVec::new().into_iter() };
        flags.chain(self.others.iter().map(|(attribute, value)| (*attribute, value)))
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.there.and(FLAGS).len() + self.others.len()
    }

    /// True of none.
    pub fn is_empty(&self) -> bool {
        self.there.is_empty() && self.others.is_empty()
    }

    /// Adds all of `other`, whose values win.
    pub fn extend(&mut self, other: Attributes) {
        self.set = self.set.without(other.there).or(other.set);
        self.there = self.there.or(other.there.and(FLAGS));
        for (attribute, value) in other.others {
            self.set_other(attribute, value);
        }
    }

    /// Puts in what is missing of `defaults`.
    pub fn fill(&mut self, defaults: &Attributes) {
        for (attribute, value) in &defaults.others {
            if !self.has(*attribute) {
                match value {
                    Value::Ulong(value) => self.put_other(*attribute, Value::Ulong(*value)),
                    other => self.put_other(*attribute, other.clone()),
                }
            }
        }
        self.set = self.set.or(defaults.set.without(self.there));
        self.there = self.there.or(defaults.there);
    }

    /// Leaves in of what is no Boolean what `keep` says, as it says.
    pub fn retain_others(&mut self, mut keep: impl FnMut(AttributeType, &mut Value) -> bool) {
        let there = &mut self.there;
        self.others.retain_mut(|(attribute, value)| {
            let kept = keep(*attribute, value);
            if !kept && let Some(place) = place(*attribute) {
                there.put(place, false);
            }
            kept
        });
    }

    /// A Boolean; false where there is none.
    #[inline]
    pub fn is_true(&self, attribute: AttributeType) -> bool {
        place(attribute).is_some_and(|place| self.set.has(place))
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

impl PartialEq for Attributes {
    fn eq(&self, other: &Attributes) -> bool {
        let has = |(attribute, value): &(AttributeType, Value)| other.value(*attribute) == Some(value);
        (self.there, self.set, self.others.len()) == (other.there, other.set, other.others.len())
            && self.others.iter().all(has)
    }
}

impl Eq for Attributes {}

/// What is left of [`Attributes::iter`].
struct Iter<'a> {
    flags: Set,
    set: Set,
    others: smallvec::IntoIter<[&'a (AttributeType, Value); 16]>,
}

impl<'a> Iterator for Iter<'a> {
    type Item = (AttributeType, &'a Value);

    #[inline]
    fn next(&mut self) -> Option<(AttributeType, &'a Value)> {
        if let Some(flag) = self.flags.first() {
            let attribute = ALL[flag];
            if self.others.as_slice().first().is_none_or(|(number, _)| attribute < *number) {
                self.flags.put(flag, false);
                return Some((attribute, boolean(self.set.has(flag))));
            }
        }
        self.others.next().map(|(attribute, value)| (*attribute, value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.flags.len() + self.others.len();
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
