//! Objects as stored (records `o`).
//!
//! Two byte strings an object: `attributes`, which the index needs, and `secrets`, opened when a key is
//! used. Both are sealed under a data key that is drawn anew at each write, so its nonces are constants; a
//! public object's attributes stand in the clear and its data key beside them.

use super::Key;
use super::Revision;
use super::codec::{Reader, Writer};
use super::keyring::{TokenId, UserId, open_small, seal_small};
use crate::crypto::Secret;
use crate::crypto::seal::{self, Hmac, KEY, NONCE, random_array, random_key};
use crate::error::{Result, Rv};

/// Names an object for ever.
pub type ObjectId = [u8; 16];

/// A new name.
pub fn object_id() -> ObjectId {
    random_array()
}

const MAX_GRANTS: u32 = 1024;

/// The record of an object.
pub(super) fn object_record(id: &ObjectId) -> Key {
    [b"o", &id[..]].concat()
}

/// The object of a record.
pub(super) fn object_of(key: &[u8]) -> Option<ObjectId> {
    key.strip_prefix(b"o")?.try_into().ok()
}

/// A data key for one user.
#[derive(Clone)]
struct Grant {
    kind: u8,
    user: UserId,
    bytes: Vec<u8>,
}

/// In the clear: anyone may use the object.
const CLEAR: u8 = 0;
/// Sealed under the user's own key.
const OWN: u8 = 1;

/// An object as it lies in the storage, sealed where it is private.
#[derive(Clone)]
pub struct Stored {
    /// Its name.
    pub id: ObjectId,
    /// The transaction that wrote it.
    pub revision: Revision,
    /// CKA_PRIVATE: only its owner can open it.
    pub private: bool,
    /// CKA_CLASS.
    pub class: u64,
    /// Who made it.
    pub owner: UserId,
    grants: Vec<Grant>,
    attributes: Vec<u8>,
    secrets: Vec<u8>,
}

/// What an object is to hold.
pub(super) struct Content<'a> {
    pub(super) id: ObjectId,
    pub(super) private: bool,
    pub(super) class: u64,
    pub(super) owner: UserId,
    pub(super) attributes: &'a [u8],
    /// Empty if there are none.
    pub(super) secrets: &'a [u8],
}

#[derive(Clone, Copy)]
enum Blob {
    Attributes,
    Secrets,
}

impl Blob {
    fn nonce(self) -> [u8; NONCE] {
        let mut nonce = [0; NONCE];
        nonce[NONCE - 1] = self as u8;
        nonce
    }
}

/// What all the seals of one version of an object are bound to.
fn binding(
    token: &TokenId,
    id: &ObjectId,
    revision: Revision,
    private: bool,
    class: u64,
    owner: &UserId,
) -> Vec<u8> {
    let to = Writer::default().raw(b"coffer-1 object\0").raw(token).raw(id);
    to.u64(revision.0).u8(private.into()).u64(class).raw(owner).0
}

fn blob_aad(binding: &[u8], blob: Blob) -> Vec<u8> {
    [binding, &[blob as u8]].concat()
}

fn grant_key(user_key: &Secret, binding: &[u8]) -> Secret {
    let grants = Hmac::new(user_key.expose()).derive(&[b"coffer-1 user grant\0"]);
    Hmac::new(grants.expose()).derive(&[binding])
}

impl Content<'_> {
    /// The record's body as of `revision`; `user_key` is the owner's.
    pub(super) fn body(&self, token: &TokenId, revision: Revision, user_key: &Secret) -> Result<Vec<u8>> {
        let bound = binding(token, &self.id, revision, self.private, self.class, &self.owner);
        let key = random_key();
        let sealed =
            |blob: Blob, plain: &[u8]| seal::seal(&key, &blob.nonce(), &blob_aad(&bound, blob), plain);
        let secrets = if self.secrets.is_empty() { Vec::new() } else { sealed(Blob::Secrets, self.secrets)? };
        let to = Writer::default().u8(1).u8(self.private.into()).u64(self.class).raw(&self.owner);
        let body = if self.private {
            let grant = seal_small(&grant_key(user_key, &bound), &bound, key.expose())?;
            let attributes = sealed(Blob::Attributes, self.attributes)?;
            to.u32(1).u8(OWN).raw(&self.owner).bytes(&grant).bytes(&attributes).bytes(&secrets)
        } else {
            to.u32(1).u8(CLEAR).raw(&self.owner).bytes(key.expose()).bytes(self.attributes).bytes(&secrets)
        };
        Ok(body.0)
    }
}

impl Stored {
    pub(super) fn parse(id: ObjectId, revision: Revision, body: &[u8]) -> Result<Stored> {
        let mut from = Reader(body);
        if from.u8()? != 1 {
            fail!(DeviceError, "an object record of another version");
        }
        let private = match from.u8()? {
            0 => false,
            1 => true,
            flags => fail!(DeviceError, "unknown flags {flags:#x}"),
        };
        let (class, owner, count) = (from.u64()?, from.array()?, from.u32()?);
        if count > MAX_GRANTS {
            fail!(DeviceError, "{count} grants");
        }
        let grants = (0..count)
            .map(|_| Ok(Grant { kind: from.u8()?, user: from.array()?, bytes: from.bytes()?.into() }))
            .collect::<Result<_>>()?;
        let (attributes, secrets) = (from.bytes()?.into(), from.bytes()?.into());
        from.end()?;
        Ok(Stored { id, revision, private, class, owner, grants, attributes, secrets })
    }

    /// The attributes of a public object, which anyone may read.
    pub fn public_attributes(&self) -> Option<&[u8]> {
        (!self.private).then_some(&self.attributes)
    }

    /// Whether the user with this id may open it.
    pub(super) fn is_granted(&self, user: &UserId) -> bool {
        !self.private || self.grants.iter().any(|grant| grant.kind == OWN && grant.user == *user)
    }

    /// True if it has secrets, sealed or not.
    pub fn has_secrets(&self) -> bool {
        !self.secrets.is_empty()
    }

    fn binding(&self, token: &TokenId) -> Vec<u8> {
        binding(token, &self.id, self.revision, self.private, self.class, &self.owner)
    }

    /// The data key, for the user with this id and key; nobody is needed for a public object.
    fn data_key(&self, bound: &[u8], user: Option<(&UserId, &Secret)>) -> Result<Secret> {
        let granted = |grant: &&Grant| match grant.kind {
            CLEAR => !self.private,
            OWN => self.private && user.is_some_and(|(id, _)| *id == grant.user),
            _ => false,
        };
        let grant = self
            .grants
            .iter()
            .find(granted)
            .ok_or_else(|| Rv::UserNotLoggedIn.because("not this user's object"))?;
        let key = match (grant.kind, user) {
            (OWN, Some((_, key))) => open_small(&grant_key(key, bound), bound, &grant.bytes),
            _ => Some(Secret::from_slice(&grant.bytes)),
        };
        key.filter(|key| key.len() == KEY).ok_or_else(|| self.damaged())
    }

    fn open(&self, blob: Blob, token: &TokenId, user: Option<(&UserId, &Secret)>) -> Result<Secret> {
        let sealed = match blob {
            Blob::Attributes => &self.attributes,
            Blob::Secrets => &self.secrets,
        };
        let bound = self.binding(token);
        let key = self.data_key(&bound, user)?;
        seal::open(&key, &blob.nonce(), &blob_aad(&bound, blob), sealed).ok_or_else(|| self.damaged())
    }

    /// The attributes, whoever may read them.
    pub(super) fn open_attributes(
        &self,
        token: &TokenId,
        user: Option<(&UserId, &Secret)>,
    ) -> Result<Secret> {
        match self.public_attributes() {
            Some(attributes) => Ok(Secret::from_slice(attributes)),
            None => self.open(Blob::Attributes, token, user),
        }
    }

    /// The secrets; empty if there are none.
    pub(super) fn open_secrets(&self, token: &TokenId, user: Option<(&UserId, &Secret)>) -> Result<Secret> {
        if self.has_secrets() { self.open(Blob::Secrets, token, user) } else { Ok(Secret::zeroed(0)) }
    }

    fn damaged(&self) -> crate::error::Error {
        Rv::DeviceError
            .because(format!("{} is damaged or forged", super::set::name(&object_record(&self.id))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(private: bool, key: &Secret) -> Stored {
        let (id, owner) = ([3; 16], [4; 16]);
        let content = Content { id, private, class: 3, owner, attributes: b"label", secrets: b"secret" };
        let body = content.body(&[1; 16], Revision(9), key).unwrap();
        Stored::parse(id, Revision(9), &body).unwrap()
    }

    #[test]
    fn private_opens_for_its_owner_in_its_place_only() {
        let key = random_key();
        let object = stored(true, &key);
        let user = Some((&[4; 16], &key));
        assert_eq!(object.open_attributes(&[1; 16], user).unwrap().expose(), b"label");
        assert_eq!(object.open_secrets(&[1; 16], user).unwrap().expose(), b"secret");
        assert!(object.public_attributes().is_none());
        assert!(object.open_secrets(&[2; 16], user).is_err(), "another token");
        assert!(object.open_secrets(&[1; 16], Some((&[5; 16], &key))).is_err(), "another user");
        assert!(object.open_secrets(&[1; 16], Some((&[4; 16], &random_key()))).is_err(), "another key");
        let moved = [
            Stored { revision: Revision(8), ..object.clone() },
            Stored { id: [9; 16], ..object.clone() },
            Stored { class: 4, ..object.clone() },
            Stored { owner: [6; 16], ..object.clone() },
            Stored {
                secrets: object.attributes.clone(),
                attributes: object.secrets.clone(),
                ..object.clone()
            },
        ];
        for object in moved {
            assert!(object.open_attributes(&[1; 16], user).is_err());
            assert!(object.open_secrets(&[1; 16], user).is_err());
        }
    }

    #[test]
    fn public_opens_for_anyone() {
        let object = stored(false, &random_key());
        assert_eq!(object.public_attributes().unwrap(), b"label");
        assert_eq!(object.open_secrets(&[1; 16], None).unwrap().expose(), b"secret");
        let relabelled = Stored { private: true, ..object };
        assert!(relabelled.open_secrets(&[1; 16], None).is_err());
    }
}
