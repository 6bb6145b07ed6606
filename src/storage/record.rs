//! Objects as stored (records `o`).
//!
//! Two byte strings an object: `attributes`, which the index needs, and `secrets`, opened when a key is
//! used. Both are sealed under a data key that is drawn anew at each write, so its nonces are constants; a
//! public object's attributes stand in the clear and its data key beside them.

use super::Key;
use super::Revision;
use super::codec::{Reader, Writer};
use super::grant::{DataKey, Friend, Grant, Kind, MAX_GRANTS, Opener, OwnGrants};
use super::keyring::{TokenId, UserId};
use super::set::AUTHENTICATION;
use crate::crypto::Secret;
use crate::crypto::seal::{self, Messages, NONCE, TAG, random_array, random_key};
use crate::error::{Result, Rv};
use smallvec::{SmallVec, smallvec};
use std::borrow::Cow;
use std::time::{SystemTime, UNIX_EPOCH};
use zeroize::Zeroizing;

/// Names an object for ever.
pub type ObjectId = [u8; 16];

/// A new name: the milliseconds since 1970 in 6 bytes, and 10 random ones. So what is made together lies together, in
/// pages that are full, and is read and written together.
pub fn object_id() -> ObjectId {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
    let [_, _, time @ ..] = now.to_be_bytes();
    let random: [u8; 10] = random_array();
    std::array::from_fn(|at| *time.get(at).unwrap_or_else(|| &random[at - time.len()]))
}

/// The record of an object.
pub(super) fn object_record(id: &ObjectId) -> Key {
    [b"o", &id[..]].concat()
}

/// The object of a record.
pub(super) fn object_of(key: &[u8]) -> Option<ObjectId> {
    key.strip_prefix(b"o")?.try_into().ok()
}

/// An object as it lies in the storage, sealed where it is private.
#[derive(Clone)]
pub struct Stored<'a> {
    /// Its name.
    pub id: ObjectId,
    /// The transaction that wrote it.
    pub revision: Revision,
    /// CKA_PRIVATE: only its owner can open it, and whom the owner shares it with.
    pub private: bool,
    /// CKA_CLASS.
    pub class: u64,
    /// Who made it.
    pub owner: UserId,
    grants: SmallVec<[Grant<'a>; 1]>,
    attributes: Cow<'a, [u8]>,
    secrets: Cow<'a, [u8]>,
}

/// What an object is to hold.
pub(super) struct Content<'a> {
    pub(super) id: ObjectId,
    pub(super) private: bool,
    pub(super) class: u64,
    pub(super) owner: UserId,
    /// Whom a private one is shared with.
    pub(super) friends: &'a [Friend],
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

/// What all the seals of one version of an object are bound to, and room for the blob's number behind it.
struct Binding([u8; BOUND + 1]);

/// Bytes before the grants, and the lengths of the two blobs.
const HEAD: usize = 1 + 1 + 8 + 16 + 4 + 2 * 4;

const BOUND: usize = 16 + 2 * 16 + 8 + 1 + 8 + 16;

impl Binding {
    fn bytes(&self) -> &[u8] {
        &self.0[..BOUND]
    }

    /// The associated data of a blob.
    fn of(&mut self, blob: Blob) -> &[u8] {
        self.0[BOUND] = blob as u8;
        &self.0
    }
}

fn binding(
    token: &TokenId,
    id: &ObjectId,
    revision: Revision,
    private: bool,
    class: u64,
    owner: &UserId,
) -> Binding {
    let (revision, class) = (revision.0.to_be_bytes(), class.to_be_bytes());
    let parts: [&[u8]; 7] = [b"coffer-1 object\0", token, id, &revision, &[private.into()], &class, owner];
    let mut bound = Binding([0; BOUND + 1]);
    let mut at = 0;
    for part in parts {
        bound.0[at..at + part.len()].copy_from_slice(part);
        at += part.len();
    }
    bound
}

impl Content<'_> {
    /// The record's body as of `revision`; `own` is the owner's.
    pub(super) fn body(&self, token: &TokenId, revision: Revision, own: &OwnGrants) -> Result<Vec<u8>> {
        let mut bound = binding(token, &self.id, revision, self.private, self.class, &self.owner);
        let key = random_key();
        let grants = self.grants(bound.bytes(), own, &key)?;
        let room = HEAD + grants.iter().map(Grant::stored_len).sum::<usize>();
        let room = room + self.attributes.len() + self.secrets.len() + 2 * TAG + AUTHENTICATION;
        let to = Writer::with_capacity(room).u8(1).u8(self.private.into()).u64(self.class).raw(&self.owner);
        let to = grants.iter().fold(to.u32(grants.len() as u32), |to, grant| grant.write(to));
        let mut sealed = |to: Writer, blob: Blob, plain: &[u8]| -> Result<Writer> {
            let mut to = to.u32((plain.len() + TAG) as u32);
            seal::seal_onto(&mut to.0, &key, &blob.nonce(), bound.of(blob), plain)?;
            Ok(to)
        };
        let to = match self.private {
            true => sealed(to, Blob::Attributes, self.attributes)?,
            false => to.bytes(self.attributes),
        };
        let to = match self.secrets {
            [] => to.bytes(&[]),
            secrets => sealed(to, Blob::Secrets, secrets)?,
        };
        Ok(to.0)
    }

    fn grants(&self, bound: &[u8], own: &OwnGrants, key: &Secret) -> Result<SmallVec<[Grant<'static>; 1]>> {
        if !self.private {
            return Ok(smallvec![Grant::clear(self.owner, key)]);
        }
        if self.friends.len() >= MAX_GRANTS {
            fail!(DeviceMemory, "an object shared with more than {} users", MAX_GRANTS - 1);
        }
        let own = Grant::own(self.owner, own, bound, key);
        let shared = self.friends.iter().map(|friend| Grant::shared(friend, bound, key));
        std::iter::once(own).chain(shared).collect()
    }
}

impl<'a> Stored<'a> {
    pub(super) fn parse(id: ObjectId, revision: Revision, body: &'a [u8]) -> Result<Stored<'a>> {
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
        if count as usize > MAX_GRANTS {
            fail!(DeviceError, "{count} grants");
        }
        let grants: SmallVec<[Grant; 1]> =
            (0..count).map(|_| Grant::read(&mut from)).collect::<Result<_>>()?;
        if grants.iter().any(|grant| (grant.kind == Kind::Clear) == private) {
            fail!(DeviceError, "a grant that does not fit the object");
        }
        let (attributes, secrets) = (from.bytes()?.into(), from.bytes()?.into());
        from.end()?;
        Ok(Stored { id, revision, private, class, owner, grants, attributes, secrets })
    }

    /// Derives what opens their own grants for this user, of all together, which takes half of the time.
    pub(super) fn prepare(objects: &mut [Stored<'_>], token: &TokenId, opener: &Opener) {
        let own = |grant: &&mut Grant| grant.kind == Kind::Own && grant.user == opener.user;
        let (mut bindings, mut grants) = (
            Messages::with_capacity(objects.len(), objects.len() * BOUND),
            Vec::with_capacity(objects.len()),
        );
        for object in objects {
            let binding = object.binding(token);
            if let Some(grant) = object.grants.iter_mut().find(own) {
                bindings.push(&[binding.bytes()]);
                grants.push(grant);
            }
        }
        opener.own.keys(&bindings, |at, key| grants[at].lend(key));
    }

    /// The same with bytes of its own.
    pub fn into_owned(self) -> Stored<'static> {
        Stored {
            grants: self.grants.into_iter().map(Grant::into_owned).collect(),
            attributes: Cow::Owned(self.attributes.into_owned()),
            secrets: Cow::Owned(self.secrets.into_owned()),
            ..self
        }
    }

    /// The attributes of a public object, which anyone may read.
    pub fn public_attributes(&self) -> Option<&[u8]> {
        (!self.private).then_some(&self.attributes)
    }

    /// True if it has secrets, sealed or not.
    pub fn has_secrets(&self) -> bool {
        !self.secrets.is_empty()
    }

    fn binding(&self, token: &TokenId) -> Binding {
        binding(token, &self.id, self.revision, self.private, self.class, &self.owner)
    }

    /// Whether this user can open it.
    pub fn opens_for(&self, user: &UserId) -> bool {
        self.grants.iter().any(|grant| grant.is_for(Some(user)))
    }

    /// Whom it is shared with; users removed since may be among them.
    pub fn shared_with(&self) -> impl Iterator<Item = &UserId> {
        self.grants.iter().filter(|grant| grant.kind == Kind::Shared).map(|grant| &grant.user)
    }

    /// The data key; nobody is needed for a public object.
    fn data_key(&self, bound: &[u8], opener: Option<&Opener>) -> Result<DataKey> {
        let user = opener.map(|opener| &opener.user);
        match self.grants.iter().find(|grant| grant.is_for(user)) {
            Some(grant) => grant.open(bound, opener).ok_or_else(|| self.damaged()),
            None => fail!(UserNotLoggedIn, "not this user's object"),
        }
    }

    /// Into what `room` makes of the length.
    fn open<T: AsMut<[u8]>>(
        &self,
        blob: Blob,
        token: &TokenId,
        opener: Option<&Opener>,
        room: impl FnOnce(usize) -> T,
    ) -> Result<T> {
        let sealed = match blob {
            Blob::Attributes => &self.attributes,
            Blob::Secrets => &self.secrets,
        };
        let mut bound = self.binding(token);
        let key = self.data_key(bound.bytes(), opener)?;
        let mut plain = room(sealed.len().checked_sub(TAG).ok_or_else(|| self.damaged())?);
        match seal::open_to(&*key, &blob.nonce(), bound.of(blob), sealed, plain.as_mut()) {
            true => Ok(plain),
            false => Err(self.damaged()),
        }
    }

    /// The attributes, whoever may read them.
    pub(super) fn open_attributes(
        &self,
        token: &TokenId,
        opener: Option<&Opener>,
    ) -> Result<Zeroizing<Vec<u8>>> {
        match self.public_attributes() {
            Some(attributes) => Ok(attributes.to_vec().into()),
            None => self.open(Blob::Attributes, token, opener, |len| vec![0; len].into()),
        }
    }

    /// The secrets; empty if there are none.
    pub(super) fn open_secrets(&self, token: &TokenId, opener: Option<&Opener>) -> Result<Secret> {
        match self.has_secrets() {
            true => self.open(Blob::Secrets, token, opener, Secret::zeroed),
            false => Ok(Secret::zeroed(0)),
        }
    }

    fn damaged(&self) -> crate::error::Error {
        Rv::DeviceError
            .because(format!("{} is damaged or forged", super::set::name(&object_record(&self.id))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::seal::KemPair;

    fn stored(private: bool, key: &Secret, friends: &[Friend]) -> Stored<'static> {
        let (id, owner) = ([3; 16], [4; 16]);
        let (attributes, secrets) = (b"label", b"secret");
        let content = Content { id, private, class: 3, owner, friends, attributes, secrets };
        let body = content.body(&[1; 16], Revision(9), &OwnGrants::new(key)).unwrap();
        Stored::parse(id, Revision(9), &body).unwrap().into_owned()
    }

    fn opener(user: UserId, key: Secret) -> Opener {
        let mut seed = Secret::zeroed(seal::KEM_SEED);
        seal::random(seed.expose_mut());
        Opener { user, own: OwnGrants::new(&key), pair: KemPair::from_seed(&seed).unwrap() }
    }

    #[test]
    fn private_opens_for_its_owner_in_its_place_only() {
        let key = random_key();
        let object = stored(true, &key, &[]);
        let same_key = || Secret::from_slice(key.expose());
        let (owner, other) = (opener([4; 16], same_key()), opener([5; 16], same_key()));
        let impostor = opener([4; 16], random_key());
        let user = Some(&owner);
        assert_eq!(object.open_attributes(&[1; 16], user).unwrap()[..], b"label"[..]);
        assert_eq!(object.open_secrets(&[1; 16], user).unwrap().expose(), b"secret");
        assert!(object.public_attributes().is_none());
        assert!(object.open_secrets(&[2; 16], user).is_err(), "another token");
        assert!(object.open_secrets(&[1; 16], Some(&other)).is_err(), "another user");
        assert!(object.open_secrets(&[1; 16], Some(&impostor)).is_err(), "another key");
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
    fn shared_opens_for_its_friends_only() {
        let key = random_key();
        let [bob, carol, dave] = [5, 6, 7].map(|user| opener([user; 16], random_key()));
        let friends = [&bob, &carol].map(|friend| (friend.user, friend.pair.public().unwrap()));
        let object = stored(true, &key, &friends);
        assert!(object.shared_with().eq([&bob.user, &carol.user]));
        for friend in [&bob, &carol] {
            assert!(object.opens_for(&friend.user));
            assert_eq!(object.open_secrets(&[1; 16], Some(friend)).unwrap().expose(), b"secret");
            assert_eq!(object.open_attributes(&[1; 16], Some(friend)).unwrap()[..], b"label"[..]);
        }
        assert!(!object.opens_for(&dave.user) && object.open_secrets(&[1; 16], Some(&dave)).is_err());
        let posing = Opener { user: bob.user, ..dave };
        assert!(object.open_secrets(&[1; 16], Some(&posing)).is_err(), "the id alone opens nothing");
        let mut swapped = object.clone();
        (swapped.grants[1].user, swapped.grants[2].user) = (carol.user, bob.user);
        assert!(swapped.open_secrets(&[1; 16], Some(&bob)).is_err(), "another's grant");
        let moved = Stored { revision: Revision(10), ..object };
        assert!(moved.open_secrets(&[1; 16], Some(&bob)).is_err(), "another version");
    }

    #[test]
    fn public_opens_for_anyone() {
        let object = stored(false, &random_key(), &[]);
        assert_eq!(object.public_attributes().unwrap(), b"label");
        assert_eq!(object.open_secrets(&[1; 16], None).unwrap().expose(), b"secret");
        let relabelled = Stored { private: true, ..object };
        assert!(relabelled.open_secrets(&[1; 16], None).is_err());
    }
}
