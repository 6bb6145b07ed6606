//! Attributes and templates (section 4).

use super::arena::Arena;
use cryptoki_sys::*;
use std::ffi::c_void;
use zeroize::Zeroize;

/// One attribute of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attr {
    /// The CKA_ number.
    pub kind: CK_ATTRIBUTE_TYPE,
    /// What it says.
    pub value: Value,
}

/// An attribute's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Plain bytes (numbers in the machine's own order).
    Bytes(Vec<u8>),
    /// A template within the template.
    Template(Vec<Attr>),
    /// Whatever address and length the test wants to send.
    Raw(usize, CK_ULONG),
}

/// A value may be a key's.
impl Drop for Attr {
    fn drop(&mut self) {
        if let Value::Bytes(bytes) = &mut self.value {
            bytes.zeroize();
        }
    }
}

impl Attr {
    /// A byte string.
    pub fn bytes(kind: CK_ATTRIBUTE_TYPE, value: impl AsRef<[u8]>) -> Attr {
        Attr { kind, value: Value::Bytes(value.as_ref().to_vec()) }
    }

    /// A CK_BBOOL.
    pub fn bool(kind: CK_ATTRIBUTE_TYPE, value: bool) -> Attr {
        Attr::bytes(kind, [u8::from(value)])
    }

    /// A CK_ULONG.
    pub fn ulong(kind: CK_ATTRIBUTE_TYPE, value: CK_ULONG) -> Attr {
        Attr::bytes(kind, value.to_ne_bytes())
    }

    /// A template within the template (CKA_WRAP_TEMPLATE and its like).
    pub fn template(kind: CK_ATTRIBUTE_TYPE, value: &[Attr]) -> Attr {
        Attr { kind, value: Value::Template(value.to_vec()) }
    }

    /// A list of mechanisms (CKA_ALLOWED_MECHANISMS).
    pub fn mechanisms(kind: CK_ATTRIBUTE_TYPE, value: &[CK_MECHANISM_TYPE]) -> Attr {
        Attr::bytes(kind, value.iter().flat_map(|m| m.to_ne_bytes()).collect::<Vec<u8>>())
    }

    /// A date: `2026-11-24` as "20261124"; an empty string is an empty date.
    pub fn date(kind: CK_ATTRIBUTE_TYPE, yyyymmdd: &str) -> Attr {
        Attr::bytes(kind, yyyymmdd)
    }

    /// An address and a length as they are: for hostile tests.
    pub fn raw(kind: CK_ATTRIBUTE_TYPE, at: *const c_void, length: CK_ULONG) -> Attr {
        Attr { kind, value: Value::Raw(at as usize, length) }
    }

    /// CKA_CLASS.
    pub fn class(class: CK_OBJECT_CLASS) -> Attr {
        Attr::ulong(CKA_CLASS, class)
    }

    /// CKA_KEY_TYPE.
    pub fn key_type(kind: CK_KEY_TYPE) -> Attr {
        Attr::ulong(CKA_KEY_TYPE, kind)
    }

    /// CKA_LABEL.
    pub fn label(label: &str) -> Attr {
        Attr::bytes(CKA_LABEL, label)
    }
}

/// A template in C's form.
pub struct Template {
    attributes: Vec<CK_ATTRIBUTE>,
    _values: Arena,
}

impl Template {
    /// Copies the attributes; every value has memory of its own.
    pub fn new(attrs: &[Attr]) -> Template {
        let mut values = Arena::default();
        Template { attributes: lay_out(attrs, &mut values), _values: values }
    }

    /// The first attribute, or NULL for an empty template.
    pub fn ptr(&mut self) -> *mut CK_ATTRIBUTE {
        if self.attributes.is_empty() { std::ptr::null_mut() } else { self.attributes.as_mut_ptr() }
    }

    /// How many attributes.
    pub fn count(&self) -> CK_ULONG {
        self.attributes.len() as CK_ULONG
    }
}

fn lay_out(attrs: &[Attr], values: &mut Arena) -> Vec<CK_ATTRIBUTE> {
    attrs
        .iter()
        .map(|attr| {
            let (at, length) = match &attr.value {
                Value::Bytes(bytes) => (values.slice(bytes).cast::<c_void>(), bytes.len() as CK_ULONG),
                Value::Template(inner) => {
                    let inner = lay_out(inner, values);
                    (values.slice(&inner).cast(), size_of_val(&inner[..]) as CK_ULONG)
                }
                Value::Raw(at, length) => (*at as *mut c_void, *length),
            };
            CK_ATTRIBUTE { type_: attr.kind, pValue: at, ulValueLen: length }
        })
        .collect()
}
