//! A new object in the making: what a template, the function and the defaults make together.

use super::history::history;
use super::reveal::take_secrets;
use super::{Act, Defaults, Rules, check_value, consistent, differs, row};
use crate::error::Result;
use crate::object::attribute::{self, ALL, AttributeType, Set};
use crate::object::schema::{self, Absent, Implied, Row, Schema};
use crate::object::{Attributes, MAX_DEPTH, Value};
use cryptoki_sys::*;
use std::mem::take;
use std::ops::{Deref, DerefMut};

/// What [`build`] makes of a template: the attributes, which get a key's value and what follows from it, until
/// [`Draft::settle`] finishes the object. They stay where the template is.
pub struct Draft<'a> {
    act: Act,
    schema: &'static Schema,
    rules: Rules,
    attributes: &'a mut Attributes,
}

/// A new object, all but its CKA_UNIQUE_ID.
pub struct Settled {
    /// All attributes but the secret ones.
    pub attributes: Attributes,
    /// Those that footnote 7 guards.
    pub secrets: Attributes,
}

impl Deref for Draft<'_> {
    type Target = Attributes;

    fn deref(&self) -> &Attributes {
        self.attributes
    }
}

impl DerefMut for Draft<'_> {
    fn deref_mut(&mut self) -> &mut Attributes {
        self.attributes
    }
}

impl Draft<'_> {
    /// Finishes an object that has its value: writes down where a key came from, and drops what only told a length or
    /// was left empty. `bases` are the keys it was derived from, if any.
    ///
    /// # Errors
    /// CKR_TEMPLATE_INCOMPLETE, naming it, if an attribute is missing that such an object has.
    pub fn settle(self, mechanism: CK_MECHANISM_TYPE, bases: &[&Attributes]) -> Result<Settled> {
        let Draft { act, schema, rules, attributes } = self;
        history(act, mechanism, schema, attributes, bases, &rules);
        settle(attributes, schema)?;
        let secrets = take_secrets(attributes, schema);
        Ok(Settled { attributes: take(attributes), secrets })
    }
}

/// Makes of the caller's `template` a new object, with what the function itself contributes (`implied`: class, key type)
/// and the defaults.
///
/// # Errors
/// CKR_TEMPLATE_INCOMPLETE, CKR_TEMPLATE_INCONSISTENT, CKR_ATTRIBUTE_TYPE_INVALID,
/// CKR_ATTRIBUTE_VALUE_INVALID, CKR_ATTRIBUTE_READ_ONLY, as section 4.1.1 has them.
pub fn build<'a>(
    act: Act,
    template: &'a mut Attributes,
    implied: Implied,
    rules: &Rules,
) -> Result<Draft<'a>> {
    let implied_values =
        || implied.into_iter().flat_map(|(class, key_type)| [(CKA_CLASS, class), (CKA_KEY_TYPE, key_type)]);
    for (attribute, value) in implied_values() {
        if template.value(attribute).is_some_and(|said| *said != Value::Ulong(value)) {
            return Err(differs(attribute));
        }
    }
    let schema = schema::of_both(template, implied)?;
    if schema.class.made_by.is_empty() {
        fail!(AttributeValueInvalid, "CKA_CLASS: objects of class {:#x} are built in", schema.class.number);
    }
    if !schema.class.made_by.contains(&act) {
        fail!(TemplateInconsistent, "CKA_CLASS: no object of class {:#x} comes of this", schema.class.number);
    }
    let free = if rules.defaults == Defaults::Standard { schema.free(act) } else { Set::EMPTY };
    let mut as_given = true;
    if !template.is_within(free) {
        for (attribute, value) in template.iter().filter(|(attribute, _)| !free.includes(*attribute)) {
            let row = row(schema, attribute, rules)?;
            judge(act, row, value, rules)?;
            as_given &= is_kept_as_given(row, value);
        }
    }
    if let Some(note) = act.must() {
        const IMPLIED: Set = Set::of(&[CKA_CLASS, CKA_KEY_TYPE]);
        let implied = if implied.is_some() { IMPLIED } else { Set::EMPTY };
        demand(schema.demanded(note), template.known().or(implied))?;
    }
    // CKA_DERIVE beside a key pair's own uses says nothing about them: clients add it to what they expect.
    let secret_key = schema.class.number == CKO_SECRET_KEY;
    let uses = if secret_key { USES } else { USES.without(Set::of(&[CKA_DERIVE])) };
    let uses_given = !template.known().and(uses).is_empty();
    let attributes = template;
    if !as_given {
        attributes
            .retain_others(|attribute, value| schema.find(attribute).is_none_or(|row| keep(row, value)));
    }
    attributes.fill(blank(act, schema, rules, uses_given));
    if act == Act::Create {
        demand_one(attributes, schema)?;
    }
    consistent(attributes, schema, rules)?;
    Ok(Draft { act, schema, rules: *rules, attributes })
}

/// What a template for such an object can leave out: class, type and the defaults.
fn blank(act: Act, schema: &'static Schema, rules: &Rules, uses_given: bool) -> &'static Attributes {
    let (cloudhsm, strict) = (rules.defaults == Defaults::CloudHsm, rules.strict);
    let number =
        act as usize | usize::from(cloudhsm) << 2 | usize::from(strict) << 3 | usize::from(uses_given) << 4;
    const { assert!(Act::Derive as usize == 3 && schema::BLANKS == 1 << 5) };
    schema.blank(number, || {
        let default = |row: &Row| match row.absent {
            _ if row.notes.has(9) => {
                Some(token_default(act, row.attribute, schema, rules, uses_given).into())
            }
            Absent::Bool(value) => Some(value.into()),
            Absent::Ulong(value) => Some(value.into()),
            Absent::Empty | Absent::Nothing => None,
        };
        let defaults = schema.rows().filter_map(|row| Some((row.attribute, default(row)?)));
        schema.numbers().map(|(attribute, number)| (attribute, number.into())).chain(defaults).collect()
    })
}

/// Whether a new object may have a value that the template gives.
fn judge(act: Act, row: &Row, value: &Value, rules: &Rules) -> Result<()> {
    check_value(row.attribute, value, MAX_DEPTH)?;
    if row.notes.has(act.must_not()) {
        fail!(AttributeReadOnly, "{}: not for the template to say", attribute::name(row.attribute));
    }
    if row.notes.has(10) && *value == Value::Bool(true) && !rules.by_so {
        fail!(AttributeReadOnly, "{}: for the SO to set", attribute::name(row.attribute));
    }
    Ok(())
}

/// Whether [`keep`] has nothing to do.
fn is_kept_as_given(row: &Row, value: &Value) -> bool {
    let to_disclose = matches!(value, Value::Secret(_)) && !row.notes.has(7);
    let to_drop = row.absent == Absent::Empty && value.is_empty();
    !to_disclose && !to_drop
}

/// Makes of a template's value what the object has of it; false if that is nothing. Nothing and no bytes are the same
/// where no bytes are the default; objects hold nothing.
fn keep(row: &Row, value: &mut Value) -> bool {
    if !row.notes.has(7) {
        *value = value.disclosed();
    }
    row.absent != Absent::Empty || !value.is_empty()
}

/// Drops what only told a length or was left empty, and demands what every such object has.
pub(super) fn settle(object: &mut Attributes, schema: &Schema) -> Result<()> {
    for row in schema.passing() {
        let emptied = |object: &Attributes| match object.value(row.attribute) {
            // Never of no bytes, and computed only if somebody asks.
            Some(Value::Follows(_)) | None => false,
            Some(value) => value.is_empty(),
        };
        if row.notes.has(22) || emptied(object) {
            object.remove(row.attribute);
        }
    }
    demand(schema.demanded(1), object.known())?;
    demand_one(object, schema)
}

fn demand(wanted: Set, there: Set) -> Result<()> {
    match wanted.without(there).first() {
        Some(place) => fail!(TemplateIncomplete, "{} is missing", attribute::name(ALL[place])),
        None => Ok(()),
    }
}

fn demand_one(object: &Attributes, schema: &Schema) -> Result<()> {
    let either = schema.either();
    if !either.is_empty() && either.and(object.known()).is_empty() {
        fail!(TemplateIncomplete, "neither CKA_SEED nor CKA_VALUE is there");
    }
    Ok(())
}

/// The attributes that permit a use of a key.
pub(super) const USES: Set = Set::of(&[
    CKA_ENCRYPT,
    CKA_DECRYPT,
    CKA_SIGN,
    CKA_SIGN_RECOVER,
    CKA_VERIFY,
    CKA_VERIFY_RECOVER,
    CKA_WRAP,
    CKA_UNWRAP,
    CKA_DERIVE,
    CKA_ENCAPSULATE,
    CKA_DECAPSULATE,
]);

/// The defaults that footnote 9 leaves to the token.
///
/// * CKA_PRIVATE: keys that hold secrets are private. CloudHSM's public keys are too.
/// * CKA_SENSITIVE: private keys are; of secret keys the standard says they are not, which strict rules and
///   CloudHSM overrule.
/// * CKA_EXTRACTABLE: what came in wrapped may go out wrapped (section 5.18); else a key stays unless its maker
///   says otherwise. CloudHSM lets all go.
/// * Uses: a template that names none gets what keys of the type are first of all for, as clients that import a
///   key and say no more (SunPKCS11, pkcs11-tool) need it. One that names any gets those and no other, so no key
///   wraps, unwraps or derives unless somebody asked. CloudHSM grants none but to sign and verify to the secret
///   keys it generates.
fn token_default(
    act: Act,
    attribute: AttributeType,
    schema: &Schema,
    rules: &Rules,
    uses_given: bool,
) -> bool {
    let class = schema.class.number;
    let cloudhsm = rules.defaults == Defaults::CloudHsm;
    let secret = matches!(class, CKO_PRIVATE_KEY | CKO_SECRET_KEY);
    match attribute {
        CKA_PRIVATE => secret || (cloudhsm && schema.is_key()),
        CKA_SENSITIVE => class == CKO_PRIVATE_KEY || rules.strict || cloudhsm,
        CKA_EXTRACTABLE => act == Act::Unwrap || cloudhsm,
        CKA_SIGN | CKA_VERIFY if cloudhsm => act == Act::Generate && class == CKO_SECRET_KEY,
        _ if cloudhsm || uses_given => false,
        _ => schema.r#type.is_some_and(|of| of.uses.contains(&attribute)),
    }
}
