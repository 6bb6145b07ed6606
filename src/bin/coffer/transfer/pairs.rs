//! Private keys and the public ones beside them.

use super::store::{Stored, Trial};
use coffer_pkcs11::crypto::{Hash, digest};
use pkcs11_client::cryptoki_sys::*;
use std::collections::HashMap;

/// Which private keys belong to the public ones of their ID and type, or to one of them; SoftHSM's files would not tell
/// if a bit of one had turned.
#[derive(Default)]
pub struct Pairs {
    publics: HashMap<Name, Vec<Fingerprint>>,
    privates: Vec<(usize, Name, Fingerprint)>,
}

/// CKA_ID and CKA_KEY_TYPE.
type Name = (Vec<u8>, Option<CK_KEY_TYPE>);
/// SHA-256 of CKA_PUBLIC_KEY_INFO.
type Fingerprint = Vec<u8>;

impl Pairs {
    /// Takes in an object that `trial` is of.
    pub fn add(&mut self, at: usize, stored: &Stored, trial: &Trial<'_>) {
        let class = stored.number(CKA_CLASS);
        let id = stored.bytes(CKA_ID).filter(|id| !id.is_empty());
        let (Some(CKO_PUBLIC_KEY | CKO_PRIVATE_KEY), Some(id)) = (class, id) else { return };
        let info = trial.connection.session.attribute(trial.key, CKA_PUBLIC_KEY_INFO).unwrap_or_default();
        if info.is_empty() {
            return;
        }
        let name = (id.to_vec(), stored.number(CKA_KEY_TYPE));
        let fingerprint = digest::digest(Hash::Sha256, &info).to_vec();
        match class {
            Some(CKO_PUBLIC_KEY) => self.publics.entry(name).or_default().push(fingerprint),
            _ => self.privates.push((at, name, fingerprint)),
        }
    }

    /// The private keys that belong to none of the public ones that have their name.
    pub fn strangers(&self) -> impl Iterator<Item = usize> {
        let stranger = |(at, name, fingerprint): &(usize, Name, Fingerprint)| {
            self.publics.get(name).is_some_and(|publics| !publics.contains(fingerprint)).then_some(*at)
        };
        self.privates.iter().filter_map(stranger)
    }
}
