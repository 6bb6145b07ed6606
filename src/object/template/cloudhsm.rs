//! What CloudHSM's keys lack, of the attributes that the standard gives them.

use super::{Defaults, Rules};
use crate::object::AttributeType;
use crate::object::schema::Schema;
use cryptoki_sys::*;

/// The attributes that its user guide has in no table of a key. CKA_UNIQUE_ID, which is newer than the guide's
/// PKCS#11 and never in a template, is no loss to anybody.
static LACKING: &[AttributeType] = &[
    CKA_START_DATE,
    CKA_END_DATE,
    CKA_SUBJECT,
    CKA_PUBLIC_KEY_INFO,
    CKA_KEY_GEN_MECHANISM,
    CKA_ALLOWED_MECHANISMS,
    CKA_ALWAYS_AUTHENTICATE,
    CKA_COPYABLE,
    CKA_SIGN_RECOVER,
    CKA_VERIFY_RECOVER,
    CKA_DERIVE_TEMPLATE,
    CKA_ENCAPSULATE,
    CKA_DECAPSULATE,
    CKA_ENCAPSULATE_TEMPLATE,
    CKA_DECAPSULATE_TEMPLATE,
    CKA_SEED,
];

/// Whether such objects have no such attribute under these rules.
pub(super) fn lacks(rules: &Rules, schema: &Schema, attribute: AttributeType) -> bool {
    rules.defaults == Defaults::CloudHsm && schema.is_key() && LACKING.contains(&attribute)
}
