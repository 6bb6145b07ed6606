//! CK_ATTRIBUTE arrays: the caller's templates as typed [`Attributes`], and C_GetAttributeValue's answers.

use super::buffer::{Caller, owned};
use crate::crypto::{Secret, wipe};
use crate::error::{Error, Result, Rv};
use crate::mechanism::vendor::{CKA_CLOUDHSM_PARAMETER_SET, CKK_CLOUDHSM_ML_DSA};
use crate::object::attribute::{self, AttributeType, Kind};
use crate::object::{Attributes, Value};
use cryptoki_sys::*;

/// Bytes of one value. Certificates, CRLs and data objects are far below it.
const MOST_BYTES: usize = 16 << 20;

/// Attributes of one template. Each can be there once, so this is more than all there are.
const MOST_ATTRIBUTES: usize = 256;

/// A template becomes an object, and most have no more attributes than this that are no Booleans.
const ROOM: usize = 10;

/// Elements of a list of mechanisms.
const MOST_MECHANISMS: usize = 1024;

/// How deep templates may stand in templates.
const MOST_NESTED: usize = 2;

/// The attribute under its standard number.
fn standard(number: AttributeType) -> AttributeType {
    if number == CKA_CLOUDHSM_PARAMETER_SET { CKA_PARAMETER_SET } else { number }
}

/// Attributes that are secret wherever they stand: the copy made here wipes itself. CKA_VALUE is one if it is
/// a key's, see [`Caller::template`].
fn is_secret(number: AttributeType) -> bool {
    matches!(
        number,
        CKA_SEED
            | CKA_PRIVATE_EXPONENT
            | CKA_PRIME_1
            | CKA_PRIME_2
            | CKA_EXPONENT_1
            | CKA_EXPONENT_2
            | CKA_COEFFICIENT
    )
}

/// Whether a template is of a key whose CKA_VALUE is a secret.
fn is_of_key(template: &Attributes) -> bool {
    matches!(template.ulong(CKA_CLASS), Some(CKO_SECRET_KEY | CKO_PRIVATE_KEY))
}

/// What a template of so many attributes is read into.
fn with_room(count: CK_ULONG) -> Attributes {
    if count == 0 { Attributes::new() } else { Attributes::with_capacity(ROOM) }
}

impl Caller {
    /// A template.
    ///
    /// # Errors
    /// CKR_ARGUMENTS_BAD for NULL with a count; CKR_ATTRIBUTE_TYPE_INVALID for an unknown attribute,
    /// CKR_ATTRIBUTE_VALUE_INVALID for a value its kind cannot have, CKR_TEMPLATE_INCONSISTENT for an
    /// attribute that is there twice, all naming the attribute; CKR_HOST_MEMORY.
    pub fn template(&self, template: *const CK_ATTRIBUTE, count: CK_ULONG) -> Result<Attributes> {
        let mut attributes = with_room(count);
        self.nested_template(template, count, 0, &mut attributes)?;
        // Where CKA_CLASS came first it is one already.
        if matches!(attributes.value(CKA_VALUE), Some(Value::Bytes(_)))
            && is_of_key(&attributes)
            && let Some(Value::Bytes(mut value)) = attributes.remove(CKA_VALUE)
        {
            attributes.set(CKA_VALUE, Secret::from_slice(&value));
            wipe(&mut value);
        }
        Ok(attributes)
    }

    /// A template to search by. One that asks for an attribute which no object here has becomes one that
    /// nothing matches: callers look for other vendors' objects and want to hear that there are none.
    ///
    /// # Errors
    /// As [`Caller::template`], except for unknown attributes.
    pub fn search_template(&self, template: *const CK_ATTRIBUTE, count: CK_ULONG) -> Result<Attributes> {
        match self.template(template, count) {
            Err(error) if error.rv() == Rv::AttributeTypeInvalid => {
                Ok(Attributes::new().with(CKA_CLASS, CK_UNAVAILABLE_INFORMATION))
            }
            attributes => attributes,
        }
    }

    /// Reads a template into `attributes`, which are none before: nothing of their size is moved.
    fn nested_template(
        &self,
        template: *const CK_ATTRIBUTE,
        count: CK_ULONG,
        depth: usize,
        attributes: &mut Attributes,
    ) -> Result<()> {
        let given = self.elements(template, count, MOST_ATTRIBUTES)?;
        for attribute in given {
            let number = standard(attribute.type_);
            let new = self
                .take(number, &attribute, attributes, depth)
                .map_err(|e| e.within(attribute::name(number)))?;
            if !new {
                fail!(TemplateInconsistent, "{}: given twice", attribute::name(number));
            }
        }
        Ok(())
    }

    /// Adds one attribute to those that came before it in the template. False if it is there.
    #[inline]
    fn take(
        &self,
        number: AttributeType,
        attribute: &CK_ATTRIBUTE,
        attributes: &mut Attributes,
        depth: usize,
    ) -> Result<bool> {
        let Some(place) = attribute::place(number) else { fail!(AttributeTypeInvalid, "unknown") };
        let len = attribute.ulValueLen;
        if len > MOST_BYTES as CK_ULONG {
            fail!(AttributeValueInvalid, "{len} bytes are more than {MOST_BYTES}");
        }
        let bytes = self
            .input(attribute.pValue.cast(), len)
            .map_err(|error| error.recode(Rv::AttributeValueInvalid))?;
        let secret = || is_secret(number) || (number == CKA_VALUE && depth == 0 && is_of_key(attributes));
        let value = match attribute::kind_at(place) {
            Kind::Bool => return Ok(attributes.insert_flag(place, boolean(bytes)?)),
            Kind::Ulong => {
                let value = match (number, ulong(bytes)?) {
                    (CKA_KEY_TYPE, CKK_CLOUDHSM_ML_DSA) => CKK_ML_DSA,
                    (_, value) => value,
                };
                return Ok(attributes.insert_number(number, value));
            }
            Kind::Bytes | Kind::Text => byte_value(secret(), bytes)?,
            Kind::Integer => byte_value(secret(), without_leading_zeros(bytes))?,
            Kind::Date => byte_value(secret(), date(bytes)?)?,
            Kind::Mechanisms => Value::Mechanisms(mechanisms(bytes)?),
            Kind::Template if depth == MOST_NESTED => fail!(AttributeValueInvalid, "nested too deep"),
            Kind::Template => {
                let count = elements(bytes, size_of::<CK_ATTRIBUTE>())?;
                let mut nested = with_room(count as CK_ULONG);
                self.nested_template(attribute.pValue.cast(), count as CK_ULONG, depth + 1, &mut nested)
                    .map_err(|error| match error.rv() {
                        Rv::ArgumentsBad => error.recode(Rv::AttributeValueInvalid),
                        _ => error,
                    })?;
                Value::from(nested)
            }
        };
        Ok(attributes.insert(number, value))
    }

    /// C_GetAttributeValue: answers every attribute of the template from `read`.
    ///
    /// # Errors
    /// CKR_ATTRIBUTE_SENSITIVE, CKR_ATTRIBUTE_TYPE_INVALID and CKR_BUFFER_TOO_SMALL, in this order of
    /// precedence, after all attributes were answered; any other of `read` at once. Those of `read` name the
    /// attribute themselves.
    pub fn answer_template<'v>(
        &self,
        template: *mut CK_ATTRIBUTE,
        count: CK_ULONG,
        read: impl Fn(AttributeType) -> Result<&'v Value>,
    ) -> Result<()> {
        let mut refusals: [Option<Error>; 3] = [None, None, None];
        for (at, mut attribute) in self.array(template, count, MOST_ATTRIBUTES)?.into_iter().enumerate() {
            let number = standard(attribute.type_);
            let named = |error: Error| error.within(attribute::name(number));
            let answered = read(number).and_then(|value| self.answer(&mut attribute, value).map_err(named));
            if let Err(error) = answered {
                let precedence = match error.rv() {
                    Rv::AttributeSensitive => 0,
                    Rv::AttributeTypeInvalid => 1,
                    Rv::BufferTooSmall => 2,
                    _ => return Err(error),
                };
                attribute.ulValueLen = CK_UNAVAILABLE_INFORMATION;
                refusals[precedence].get_or_insert(error);
            }
            // Type and pointer are as they were, so one write back answers.
            self.out(template.wrapping_add(at))?.set(attribute);
        }
        refusals.into_iter().flatten().next().map_or(Ok(()), Err)
    }

    /// Answers one attribute, with the length it has or needs in `ulValueLen`.
    fn answer(&self, attribute: &mut CK_ATTRIBUTE, value: &Value) -> Result<()> {
        match value {
            Value::Bool(value) => self.give(attribute, &[*value as CK_BBOOL]),
            Value::Ulong(value) => self.give(attribute, &value.to_ne_bytes()),
            Value::Bytes(bytes) => self.give(attribute, bytes),
            Value::Follows(value) => self.give(attribute, value.bytes()),
            Value::Secret(secret) => self.give(attribute, secret.expose()),
            Value::Mechanisms(list) => {
                let bytes: Vec<u8> = list.iter().flat_map(|mechanism| mechanism.to_ne_bytes()).collect();
                self.give(attribute, &bytes)
            }
            Value::Template(nested) => self.give_template(attribute, nested),
        }
    }

    fn give(&self, attribute: &mut CK_ATTRIBUTE, bytes: &[u8]) -> Result<()> {
        if !attribute.pValue.is_null() {
            if attribute.ulValueLen < bytes.len() as CK_ULONG {
                fail!(BufferTooSmall, "{} bytes are wanted", bytes.len());
            }
            // No longer than what is written: callers may state room that is not all theirs.
            let len = bytes.len() as CK_ULONG;
            self.fill(attribute.pValue.cast(), len, |room| room.copy_from_slice(bytes))?;
        }
        attribute.ulValueLen = bytes.len() as CK_ULONG;
        Ok(())
    }

    /// A nested template goes into an array of the caller's: first, with NULL pointers in it, types and
    /// lengths; then, with buffers of these lengths, the values.
    fn give_template(&self, attribute: &mut CK_ATTRIBUTE, nested: &Attributes) -> Result<()> {
        let len = (nested.len() * size_of::<CK_ATTRIBUTE>()) as CK_ULONG;
        if !attribute.pValue.is_null() {
            if attribute.ulValueLen < len {
                fail!(BufferTooSmall, "{} attributes are in it", nested.len());
            }
            let array = attribute.pValue.cast::<CK_ATTRIBUTE>();
            let mut too_small = None;
            for (at, (number, value)) in nested.iter().enumerate() {
                let element = array.wrapping_add(at);
                let mut answer = CK_ATTRIBUTE { type_: number, ..self.read(element)? };
                if let Err(error) = self.answer(&mut answer, value) {
                    answer.ulValueLen = CK_UNAVAILABLE_INFORMATION;
                    too_small.get_or_insert(error.within(attribute::name(number)));
                }
                self.out(element)?.set(answer);
            }
            too_small.map_or(Ok(()), Err)?;
        }
        attribute.ulValueLen = len;
        Ok(())
    }
}

fn boolean(bytes: &[u8]) -> Result<bool> {
    match bytes {
        [CK_FALSE] => Ok(false),
        [CK_TRUE] => Ok(true),
        [other] => fail!(AttributeValueInvalid, "{other} is neither CK_TRUE nor CK_FALSE"),
        _ => fail!(AttributeValueInvalid, "{} bytes are no CK_BBOOL", bytes.len()),
    }
}

fn ulong(bytes: &[u8]) -> Result<CK_ULONG> {
    match bytes.try_into() {
        Ok(bytes) => Ok(CK_ULONG::from_ne_bytes(bytes)),
        Err(_) => fail!(AttributeValueInvalid, "{} bytes are no CK_ULONG", bytes.len()),
    }
}

fn byte_value(secret: bool, bytes: &[u8]) -> Result<Value> {
    Ok(match secret {
        true => Value::secret(Secret::from_slice(bytes)),
        false => Value::from(owned(bytes)?),
    })
}

fn without_leading_zeros(bytes: &[u8]) -> &[u8] {
    &bytes[bytes.iter().take_while(|byte| **byte == 0).count()..]
}

fn date(bytes: &[u8]) -> Result<&[u8]> {
    match bytes.len() {
        0 => Ok(bytes),
        8 if bytes.iter().all(u8::is_ascii_digit)
            && (1..=12).contains(&number(&bytes[4..6]))
            && (1..=31).contains(&number(&bytes[6..8])) =>
        {
            Ok(bytes)
        }
        _ => fail!(AttributeValueInvalid, "no date of eight digits"),
    }
}

fn number(digits: &[u8]) -> u32 {
    digits.iter().fold(0, |number, digit| 10 * number + u32::from(digit - b'0'))
}

fn mechanisms(bytes: &[u8]) -> Result<Box<[CK_MECHANISM_TYPE]>> {
    let count = elements(bytes, size_of::<CK_MECHANISM_TYPE>())?;
    if count > MOST_MECHANISMS {
        fail!(AttributeValueInvalid, "{count} mechanisms are more than {MOST_MECHANISMS}");
    }
    bytes.chunks_exact(size_of::<CK_MECHANISM_TYPE>()).map(ulong).collect()
}

fn elements(bytes: &[u8], size: usize) -> Result<usize> {
    match bytes.len() % size {
        0 => Ok(bytes.len() / size),
        _ => fail!(AttributeValueInvalid, "{} bytes are no array of elements of {size}", bytes.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::c_void;
    use std::ptr;

    fn caller() -> Caller {
        // SAFETY: the tests below pass pointers as they should be, or such as are refused unread.
        unsafe { Caller::new() }
    }

    fn attribute<T>(type_: AttributeType, value: &T, len: usize) -> CK_ATTRIBUTE {
        CK_ATTRIBUTE { type_, pValue: ptr::from_ref(value) as *mut c_void, ulValueLen: len as CK_ULONG }
    }

    fn null(type_: AttributeType, len: CK_ULONG) -> CK_ATTRIBUTE {
        CK_ATTRIBUTE { type_, pValue: ptr::null_mut(), ulValueLen: len }
    }

    fn read(template: &[CK_ATTRIBUTE]) -> Result<Attributes> {
        caller().template(template.as_ptr(), template.len() as CK_ULONG)
    }

    fn refusal(template: &[CK_ATTRIBUTE]) -> (Rv, String) {
        let error = read(template).unwrap_err();
        (error.rv(), error.to_string())
    }

    #[test]
    fn values_are_typed_by_their_attribute() {
        let number: CK_ULONG = 32;
        let list: [CK_MECHANISM_TYPE; 2] = [CKM_AES_GCM, CKM_AES_ECB];
        let nested = [attribute(CKA_ENCRYPT, &CK_TRUE, 1)];
        let template = read(&[
            attribute(CKA_VALUE_LEN, &number, 8),
            attribute(CKA_TOKEN, &CK_FALSE, 1),
            attribute(CKA_LABEL, b"key", 3),
            null(CKA_ID, 0),
            attribute(CKA_PUBLIC_EXPONENT, &[0u8, 0, 1, 0, 1], 5),
            attribute(CKA_START_DATE, b"20261124", 8),
            attribute(CKA_ALLOWED_MECHANISMS, &list, 16),
            attribute(CKA_WRAP_TEMPLATE, &nested, size_of_val(&nested)),
            attribute(CKA_CLOUDHSM_PARAMETER_SET, &number, 8),
            attribute(CKA_KEY_TYPE, &CKK_CLOUDHSM_ML_DSA, 8),
            attribute(CKA_VALUE, b"secret", 6),
        ])
        .unwrap();
        assert_eq!(template.ulong(CKA_VALUE_LEN), Some(32));
        assert!(template.has(CKA_TOKEN) && !template.is_true(CKA_TOKEN));
        assert_eq!(template.bytes(CKA_LABEL), Some(&b"key"[..]));
        assert_eq!(template.bytes(CKA_ID), Some(&b""[..]));
        assert_eq!(template.bytes(CKA_PUBLIC_EXPONENT), Some(&[1u8, 0, 1][..]));
        assert_eq!(template.mechanisms(CKA_ALLOWED_MECHANISMS), Some(&list[..]));
        assert!(template.template(CKA_WRAP_TEMPLATE).unwrap().is_true(CKA_ENCRYPT));
        assert_eq!(template.ulong(CKA_PARAMETER_SET), Some(32));
        assert_eq!(template.ulong(CKA_KEY_TYPE), Some(CKK_ML_DSA));
        assert!(matches!(template.value(CKA_VALUE), Some(Value::Bytes(_))));
    }

    #[test]
    fn a_keys_secrets_are_kept_as_such() {
        for (class, secret) in [(CKO_SECRET_KEY, true), (CKO_PRIVATE_KEY, true), (CKO_DATA, false)] {
            let template = [
                attribute(CKA_VALUE, b"value", 5),
                attribute(CKA_CLASS, &class, 8),
                attribute(CKA_PRIME_1, b"\0p", 2),
            ];
            let template = read(&template).unwrap();
            assert_eq!(template.bytes(CKA_VALUE), Some(&b"value"[..]));
            assert_eq!(matches!(template.value(CKA_VALUE), Some(Value::Secret(_))), secret);
            assert_eq!(template.bytes(CKA_PRIME_1), Some(&b"p"[..]));
            assert!(matches!(template.value(CKA_PRIME_1), Some(Value::Secret(_))));
        }
    }

    #[test]
    fn wrong_values_are_refused_by_name() {
        let eight = [1u8; 8];
        for (bad, name) in [
            (null(CKA_VALUE_LEN, 8), "CKA_VALUE_LEN"),
            (null(CKA_VALUE_LEN, 0), "CKA_VALUE_LEN"),
            (attribute(CKA_VALUE_LEN, &eight, 1), "CKA_VALUE_LEN"),
            (attribute(CKA_VALUE_LEN, &eight, 4), "CKA_VALUE_LEN"),
            (attribute(CKA_TOKEN, &eight, 8), "CKA_TOKEN"),
            (attribute(CKA_TOKEN, &eight, 0), "CKA_TOKEN"),
            (attribute(CKA_SENSITIVE, &2u8, 1), "CKA_SENSITIVE"),
            (null(CKA_LABEL, 8), "CKA_LABEL"),
            (attribute(CKA_LABEL, &eight, usize::MAX), "CKA_LABEL"),
            (attribute(CKA_LABEL, &eight, MOST_BYTES + 1), "CKA_LABEL"),
            (attribute(CKA_START_DATE, b"2026112", 7), "CKA_START_DATE"),
            (attribute(CKA_START_DATE, b"2026-1-2", 8), "CKA_START_DATE"),
            (attribute(CKA_END_DATE, b"20261301", 8), "CKA_END_DATE"),
            (attribute(CKA_END_DATE, b"20261200", 8), "CKA_END_DATE"),
            (attribute(CKA_ALLOWED_MECHANISMS, &eight, 7), "CKA_ALLOWED_MECHANISMS"),
            (attribute(CKA_WRAP_TEMPLATE, &eight, 8), "CKA_WRAP_TEMPLATE"),
            (null(CKA_WRAP_TEMPLATE, 24), "CKA_WRAP_TEMPLATE"),
        ] {
            let (rv, reason) = refusal(&[bad]);
            assert_eq!(rv, Rv::AttributeValueInvalid, "{reason}");
            assert!(reason.contains(name), "{reason}");
        }
        let (rv, reason) = refusal(&[null(0x7654_3210, 0)]);
        assert_eq!((rv, reason.contains("0x76543210")), (Rv::AttributeTypeInvalid, true));
        let twice = [null(CKA_ID, 0), null(CKA_LABEL, 0), null(CKA_ID, 0)];
        let (rv, reason) = refusal(&twice);
        assert_eq!((rv, reason.contains("CKA_ID")), (Rv::TemplateInconsistent, true));
        for (template, count) in
            [(ptr::null(), 3), (twice.as_ptr(), 1 << 60), (twice.as_ptr(), CK_ULONG::MAX)]
        {
            assert_eq!(caller().template(template, count).unwrap_err().rv(), Rv::ArgumentsBad);
        }
        assert!(caller().template(ptr::null(), 0).unwrap().is_empty());
    }

    #[test]
    fn nesting_ends() {
        let mut inner = [attribute(CKA_WRAP_TEMPLATE, &(), 0)];
        // A template that contains itself, in as many bytes as one attribute has.
        inner[0].pValue = inner.as_mut_ptr().cast();
        inner[0].ulValueLen = size_of_val(&inner) as CK_ULONG;
        let (rv, reason) = refusal(&inner);
        assert_eq!((rv, reason.contains("too deep")), (Rv::AttributeValueInvalid, true));
    }

    #[test]
    fn a_search_for_the_unknown_matches_nothing() {
        let template = [null(CKA_ID, 0), null(0xCE53_4351, 0)];
        let nothing = Attributes::new().with(CKA_CLASS, CK_UNAVAILABLE_INFORMATION);
        assert_eq!(caller().search_template(template.as_ptr(), 2).unwrap(), nothing);
        assert!(caller().search_template(template.as_ptr(), 1).unwrap().has(CKA_ID));
    }

    fn object() -> Attributes {
        Attributes::new()
            .with(CKA_LABEL, &b"label"[..])
            .with(CKA_TOKEN, true)
            .with(CKA_KEY_TYPE, CKK_AES)
            .with(CKA_START_DATE, &b""[..])
            .with(CKA_WRAP_TEMPLATE, Attributes::new().with(CKA_LABEL, &b"inner"[..]).with(CKA_TOKEN, true))
    }

    fn answer(template: &mut [CK_ATTRIBUTE]) -> Option<Rv> {
        let count = template.len() as CK_ULONG;
        let object = object();
        let read = |number| match number {
            CKA_VALUE => fail!(AttributeSensitive),
            CKA_ISSUER => fail!(DeviceError),
            _ => object.value(number).ok_or(Rv::AttributeTypeInvalid.into()),
        };
        caller().answer_template(template.as_mut_ptr(), count, read).err().map(|error| error.rv())
    }

    #[test]
    fn every_attribute_is_answered() {
        const NONE: CK_ULONG = CK_UNAVAILABLE_INFORMATION;
        let (mut label, mut token, mut short) = ([0u8; 9], [7u8; 8], [9u8; 2]);
        let mut template = [
            attribute(CKA_LABEL, &short, 2),
            attribute(CKA_ID, &label, 9),
            attribute(CKA_VALUE, &label, 9),
            attribute(CKA_LABEL, &label, 9),
            attribute(CKA_TOKEN, &token, 8),
            null(CKA_KEY_TYPE, 99),
            null(CKA_START_DATE, 99),
        ];
        // The buffers, by pointers that may be written through.
        for (at, place) in [(0, short.as_mut_ptr()), (3, label.as_mut_ptr()), (4, token.as_mut_ptr())] {
            template[at].pValue = place.cast();
        }
        assert_eq!(answer(&mut template), Some(Rv::AttributeSensitive));
        assert_eq!(template.map(|attribute| attribute.ulValueLen), [NONE, NONE, NONE, 5, 1, 8, 0]);
        assert_eq!((&label[..5], token, short), (&b"label"[..], [1, 7, 7, 7, 7, 7, 7, 7], [9, 9]));
        assert_eq!(
            answer(&mut [null(CKA_ID, 0), attribute(CKA_LABEL, &short, 2)]),
            Some(Rv::AttributeTypeInvalid)
        );
        assert_eq!(answer(&mut [attribute(CKA_LABEL, &short, 2)]), Some(Rv::BufferTooSmall));
        assert_eq!(answer(&mut [null(CKA_ISSUER, 0)]), Some(Rv::DeviceError));
        assert_eq!(answer(&mut [null(CKA_LABEL, 0)]), None);
    }

    #[test]
    fn nested_templates_come_out_in_three_steps() {
        let mut outer = [null(CKA_WRAP_TEMPLATE, 0)];
        assert_eq!(answer(&mut outer), None);
        assert_eq!(outer[0].ulValueLen as usize, 2 * size_of::<CK_ATTRIBUTE>());
        let mut inner = [null(0, 0), null(0, 0)];
        outer[0].pValue = inner.as_mut_ptr().cast();
        assert_eq!(answer(&mut outer), None);
        assert_eq!(inner.map(|a| (a.type_, a.ulValueLen)), [(CKA_TOKEN, 1), (CKA_LABEL, 5)]);
        let (mut token, mut label) = ([0u8; 1], [0u8; 5]);
        (inner[0].pValue, inner[1].pValue) = (token.as_mut_ptr().cast(), label.as_mut_ptr().cast());
        outer[0].pValue = inner.as_mut_ptr().cast();
        assert_eq!(answer(&mut outer), None);
        assert_eq!((token, &label), ([1], b"inner"));
        inner[1].ulValueLen = 4;
        outer[0].pValue = inner.as_mut_ptr().cast();
        assert_eq!(answer(&mut outer), Some(Rv::BufferTooSmall));
        assert_eq!(inner[1].ulValueLen, CK_UNAVAILABLE_INFORMATION);
    }
}
