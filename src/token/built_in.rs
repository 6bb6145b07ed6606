//! Objects that no application made: what the token conforms to and what it can do (sections 4.13 and 4.14).
//!
//! A search finds them only if its template names their class. The standard asks this of mechanism objects; for
//! profile objects it keeps programs safe that walk over all objects and know no such class.

use super::policy::Rules;
use super::token::Token;
use crate::mechanism;
use crate::object::{Attributes, Handle, Object, Secrets, template};
use cryptoki_sys::*;
use once_cell::sync::OnceCell;
use std::sync::Arc;

/// Of "PKCS #11 Profiles". The others depend on what a token holds.
const PROFILES: [CK_PROFILE_ID; 2] = [CKP_BASELINE_PROVIDER, CKP_EXTENDED_PROVIDER];

/// A token's built-in objects, made when they are first looked for.
#[derive(Default)]
pub(super) struct BuiltIn(OnceCell<Vec<Arc<Object>>>);

impl BuiltIn {
    /// Whether a search is for them and for nothing else.
    pub fn concerns(template: &Attributes) -> bool {
        matches!(template.ulong(CKA_CLASS), Some(CKO_MECHANISM | CKO_PROFILE))
    }

    /// The one with this handle.
    pub fn object(&self, handle: Handle) -> Option<&Arc<Object>> {
        self.0.get()?.iter().find(|object| object.handle() == handle)
    }

    /// The handles of those that match.
    pub fn find(&self, token: &Token, rules: &Rules, wanted: &Attributes) -> Vec<Handle> {
        let all = self.0.get_or_init(|| make(token, rules));
        let fits = |object: &&Arc<Object>| template::matches(object.attributes(), wanted);
        all.iter().filter(fits).map(|object| object.handle()).collect()
    }
}

fn make(token: &Token, rules: &Rules) -> Vec<Arc<Object>> {
    // CloudHSM has neither class.
    if !rules.has_built_in_objects() {
        return Vec::new();
    }
    let profiles = PROFILES.map(|profile| (CKO_PROFILE, CKA_PROFILE_ID, profile));
    let mechanisms = mechanism::table::all()
        .filter(|row| rules.offers(row))
        .map(|row| (CKO_MECHANISM, CKA_MECHANISM_TYPE, row.number));
    profiles
        .into_iter()
        .chain(mechanisms)
        .map(|(class, attribute, number)| {
            let attributes = Attributes::new()
                .with(CKA_CLASS, class)
                .with(attribute, number)
                .with(CKA_TOKEN, true)
                .with(CKA_PRIVATE, false)
                .with(CKA_LABEL, &b""[..])
                .with(CKA_UNIQUE_ID, format!("{class:x}-{number:x}").into_bytes())
                .with(CKA_MODIFIABLE, false)
                .with(CKA_COPYABLE, false)
                .with(CKA_DESTROYABLE, false);
            Arc::new(Object::new(token.next_handle(), attributes, Secrets::opened(Attributes::new())))
        })
        .collect()
}
