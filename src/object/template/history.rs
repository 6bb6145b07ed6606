//! What a key has been through: CKA_LOCAL, CKA_KEY_GEN_MECHANISM, CKA_ALWAYS_SENSITIVE, CKA_NEVER_EXTRACTABLE.

use super::{Act, Defaults, Rules};
use crate::error::Result;
use crate::object::schema::Schema;
use crate::object::{Attributes, Value, attribute};
use cryptoki_sys::*;

/// Writes a new key's history (sections 4.8 to 4.11 and 5.18). `bases` are the keys it was derived from, else
/// none. Objects that are no keys are left as they are.
///
/// A derived key was always sensitive if its bases were and it is itself; never extractable likewise.
/// CloudHSM calls derived keys local.
pub(super) fn history(
    act: Act,
    mechanism: CK_MECHANISM_TYPE,
    schema: &Schema,
    key: &mut Attributes,
    bases: &[&Attributes],
    rules: &Rules,
) {
    if !schema.is_key() {
        return;
    }
    let generated = act == Act::Generate;
    key.set_flag(CKA_LOCAL, generated || (act == Act::Derive && rules.defaults == Defaults::CloudHsm));
    if generated {
        key.set(CKA_KEY_GEN_MECHANISM, mechanism);
    }
    if schema.class.number == CKO_PUBLIC_KEY {
        return;
    }
    let since_ever = |attribute| match act {
        Act::Generate => true,
        Act::Derive => !bases.is_empty() && bases.iter().all(|base| base.is_true(attribute)),
        Act::Create | Act::Unwrap => false,
    };
    let always_sensitive = since_ever(CKA_ALWAYS_SENSITIVE) && key.is_true(CKA_SENSITIVE);
    let never_extractable = since_ever(CKA_NEVER_EXTRACTABLE) && !key.is_true(CKA_EXTRACTABLE);
    key.set_flag(CKA_ALWAYS_SENSITIVE, always_sensitive);
    key.set_flag(CKA_NEVER_EXTRACTABLE, never_extractable);
}

/// Makes the template of a derived key no weaker than the keys it comes from: sensitive if one of them is, not
/// extractable if one of them is not. Section 6.43 wants this of the mechanisms that pass bytes of the base key on.
///
/// # Errors
/// CKR_TEMPLATE_INCONSISTENT if the template says otherwise.
pub fn inherit(template: &mut Attributes, bases: &[&Attributes]) -> Result<()> {
    for (attribute, strong) in [(CKA_SENSITIVE, true), (CKA_EXTRACTABLE, false)] {
        if bases.iter().any(|base| base.is_true(attribute) == strong) {
            if template.value(attribute) == Some(&Value::Bool(!strong)) {
                fail!(TemplateInconsistent, "{}: the base key has it {strong}", attribute::name(attribute));
            }
            template.set(attribute, strong);
        }
    }
    Ok(())
}
