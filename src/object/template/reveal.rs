//! What of an object can be seen: by C_GetAttributeValue, C_FindObjects, C_WrapKey's template.

use super::{Rules, cloudhsm};
use crate::crypto::{Secret, wipe};
use crate::error::Result;
use crate::object::schema::{self, Absent};
use crate::object::{AttributeType, Attributes, Object, Value, attribute};
use cryptoki_sys::*;
use std::sync::LazyLock;

/// Whether footnote 7 guards an attribute of such objects: then it is kept with the secrets.
pub fn is_secret(class: CK_OBJECT_CLASS, key_type: Option<CK_KEY_TYPE>, attribute: AttributeType) -> bool {
    let guarded = |schema: &schema::Schema| schema.find(attribute).is_some_and(|row| row.notes.has(7));
    key_type.is_some() && schema::lookup(class, key_type).is_some_and(guarded)
}

/// Takes the attributes that are secret out of an object's, as [`Value::Secret`].
pub(super) fn take_secrets(object: &mut Attributes, schema: &schema::Schema) -> Attributes {
    let mut secrets = Attributes::with_capacity(schema.secrets().len());
    for attribute in schema.secrets() {
        match object.remove(attribute) {
            Some(Value::Bytes(mut bytes)) => {
                secrets.push(attribute, Value::secret(Secret::from_slice(&bytes)));
                wipe(&mut bytes);
            }
            Some(other) => secrets.push(attribute, other),
            None => {}
        }
    }
    secrets
}

/// Whether an attribute of an object can be revealed at all (section 5.7.5), and its default.
///
/// # Errors
/// CKR_ATTRIBUTE_SENSITIVE if footnote 7 forbids it, CKR_ATTRIBUTE_TYPE_INVALID if such objects have no such
/// attribute.
fn default_of(object: &Attributes, attribute: AttributeType) -> Result<Absent> {
    let Some(row) = schema::of(object).ok().and_then(|schema| schema.find(attribute)) else {
        fail!(AttributeTypeInvalid, "{}: not of this class and type", attribute::name(attribute));
    };
    if row.notes.has(7) && (object.is_true(CKA_SENSITIVE) || !object.is_true(CKA_EXTRACTABLE)) {
        fail!(AttributeSensitive, "{}: the key is sensitive or not extractable", attribute::name(attribute));
    }
    Ok(row.absent)
}

/// An attribute's value for the application (section 5.7.5).
///
/// # Errors
/// CKR_ATTRIBUTE_SENSITIVE if footnote 7 forbids it; CKR_ATTRIBUTE_TYPE_INVALID if this object, or such objects,
/// have no such attribute; CKR_DEVICE_ERROR if the stored form was tampered with.
pub fn value<'a>(object: &'a Object, attribute: AttributeType, rules: &Rules) -> Result<&'a Value> {
    static EMPTY: LazyLock<Value> = LazyLock::new(|| Value::from(&[][..]));
    if schema::of(object.attributes()).is_ok_and(|schema| cloudhsm::lacks(rules, schema, attribute)) {
        fail!(AttributeTypeInvalid, "{}: not of CloudHSM's keys", attribute::name(attribute));
    }
    let absent = default_of(object.attributes(), attribute)?;
    if let Some(value) = object.attributes().value(attribute) {
        return Ok(value);
    }
    let secret = is_secret(object.class(), object.key_type(), attribute);
    if secret && object.is_borrowed() {
        fail!(AttributeSensitive, "{}: another user's key, shared for use", attribute::name(attribute));
    }
    if secret && let Some(value) = object.secrets()?.value(attribute) {
        return Ok(value);
    }
    match absent {
        Absent::Empty => Ok(&EMPTY),
        _ => fail!(AttributeTypeInvalid, "{}: the object has none", attribute::name(attribute)),
    }
}

/// Whether an object has all that a template asks for (sections 5.7.7 and 5.18). `object` is what
/// [`Object::attributes`] gives: what is secret never matches.
pub fn matches(object: &Attributes, template: &Attributes) -> bool {
    template.unordered().all(|(attribute, wanted)| match object.value(attribute) {
        Some(Value::Secret(_)) => false,
        Some(value) => value == wanted,
        None => {
            wanted.is_empty() && default_of(object, attribute).is_ok_and(|absent| absent == Absent::Empty)
        }
    })
}
