//! Who can open an object: its data key, once for each of them.
//!
//! The owner's grant is under its own user key. A grant to another user is sealed to that user's ML-KEM-1024
//! public key, so the owner can make it without that user, and nobody but that user opens it. Each is bound to
//! one version of one object.

use super::codec::{Reader, Writer};
use super::keyring::{UserId, open_small, open_small_to, seal_small};
use crate::crypto::Secret;
use crate::crypto::seal::{Hmac, KEM_CIPHERTEXT, KEY, KemPair, Messages, encapsulate};
use crate::error::Result;
use std::borrow::Cow;
use zeroize::Zeroizing;

/// The most grants an object has.
pub(super) const MAX_GRANTS: usize = 1024;

/// What one user opens data keys with.
pub(super) struct Opener {
    pub(super) user: UserId,
    pub(super) own: OwnGrants,
    pub(super) pair: KemPair,
}

/// What an owner seals data keys with.
pub(super) struct OwnGrants(Hmac);

impl OwnGrants {
    pub(super) fn new(user_key: &Secret) -> OwnGrants {
        let grants = Hmac::new(user_key.expose()).derive(&[b"coffer-1 user grant\0"]);
        OwnGrants(Hmac::new(grants.expose()))
    }

    /// The key of the grant to one version of one object.
    fn key(&self, binding: &[u8]) -> DataKey {
        DataKey::new(self.0.tag(&[binding]))
    }

    /// Those to objects whose bindings the messages are.
    pub(super) fn keys(&self, bindings: &Messages, each: impl FnMut(usize, &[u8; KEY])) {
        self.0.tags(bindings, each);
    }
}

/// A key for as long as one object is opened: on the stack, since a login opens them all.
pub(super) type DataKey = Zeroizing<[u8; KEY]>;

/// How a data key is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// In the clear: anyone may use the object.
    Clear = 0,
    /// Sealed under the owner's own key.
    Own = 1,
    /// Sealed to the public key of someone it is shared with.
    Shared = 2,
}

/// A data key for one user.
#[derive(Clone)]
pub(super) struct Grant<'a> {
    pub(super) kind: Kind,
    pub(super) user: UserId,
    bytes: Cow<'a, [u8]>,
    /// What opens an own one, if it was derived together with others.
    key: Option<DataKey>,
}

/// Someone an object is shared with: a user, and the user's public key.
pub(super) type Friend = (UserId, Vec<u8>);

fn shared_key(shared: &Secret, ciphertext: &[u8], aad: &[u8]) -> Secret {
    Hmac::new(shared.expose()).derive(&[b"coffer-2 shared grant\0", ciphertext, aad])
}

fn aad(binding: &[u8], user: &UserId) -> Vec<u8> {
    [binding, user].concat()
}

impl<'a> Grant<'a> {
    pub(super) fn clear(owner: UserId, key: &Secret) -> Grant<'static> {
        Grant { kind: Kind::Clear, user: owner, bytes: key.expose().to_vec().into(), key: None }
    }

    pub(super) fn own(
        owner: UserId,
        grants: &OwnGrants,
        binding: &[u8],
        key: &Secret,
    ) -> Result<Grant<'static>> {
        let bytes = seal_small(&Secret::from_slice(&*grants.key(binding)), binding, key.expose())?.into();
        Ok(Grant { kind: Kind::Own, user: owner, bytes, key: None })
    }

    pub(super) fn shared((user, public): &Friend, binding: &[u8], key: &Secret) -> Result<Grant<'static>> {
        let (ciphertext, shared) = encapsulate(public)?;
        let aad = aad(binding, user);
        let sealed = seal_small(&shared_key(&shared, &ciphertext, &aad), &aad, key.expose())?;
        Ok(Grant { kind: Kind::Shared, user: *user, bytes: [ciphertext, sealed].concat().into(), key: None })
    }

    /// Whether it is for this user, or for anyone.
    pub(super) fn is_for(&self, user: Option<&UserId>) -> bool {
        self.kind == Kind::Clear || Some(&self.user) == user
    }

    /// Keeps what [`OwnGrants::keys`] gave for [`Grant::open`].
    pub(super) fn lend(&mut self, key: &[u8; KEY]) {
        self.key = Some(DataKey::new(*key));
    }

    /// The data key; nothing if the grant was damaged or moved from another object or version.
    pub(super) fn open(&self, binding: &[u8], opener: Option<&Opener>) -> Option<DataKey> {
        match (self.kind, opener) {
            (Kind::Clear, _) => Some(DataKey::new((*self.bytes).try_into().ok()?)),
            (Kind::Own, Some(opener)) => {
                let (mut key, derived) =
                    (DataKey::default(), self.key.is_none().then(|| opener.own.key(binding)));
                let opens = derived.as_ref().or(self.key.as_ref())?;
                open_small_to(&**opens, binding, &self.bytes, &mut *key).then_some(key)
            }
            (Kind::Shared, Some(opener)) => {
                let (ciphertext, sealed) = self.bytes.split_at_checked(KEM_CIPHERTEXT)?;
                let shared = opener.pair.decapsulate(ciphertext).ok()?;
                let aad = aad(binding, &opener.user);
                let key = open_small(&shared_key(&shared, ciphertext, &aad), &aad, sealed)?;
                Some(DataKey::new(key.expose().try_into().ok()?))
            }
            (_, None) => None,
        }
    }

    /// Bytes that [`Grant::write`] writes.
    pub(super) fn stored_len(&self) -> usize {
        1 + self.user.len() + 4 + self.bytes.len()
    }

    pub(super) fn write(&self, to: Writer) -> Writer {
        to.u8(self.kind as u8).raw(&self.user).bytes(&self.bytes)
    }

    pub(super) fn into_owned(self) -> Grant<'static> {
        Grant { bytes: Cow::Owned(self.bytes.into_owned()), key: None, ..self }
    }

    pub(super) fn read(from: &mut Reader<'a>) -> Result<Grant<'a>> {
        let kind = match from.u8()? {
            0 => Kind::Clear,
            1 => Kind::Own,
            2 => Kind::Shared,
            other => fail!(DeviceError, "unknown kind of grant {other}"),
        };
        Ok(Grant { kind, user: from.array()?, bytes: from.bytes()?.into(), key: None })
    }
}
