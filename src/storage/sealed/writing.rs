//! Authenticated writing: objects in transactions, and the anchor against rollback.

use super::quorum::spend;
use super::*;
use crate::storage::Key;
use crate::storage::quorum::Guarded;

impl<S: Storage + ?Sized> Sealed<S> {
    /// Writes all of `changes`, or nothing.
    ///
    /// # Errors
    /// CKR_TOKEN_WRITE_PROTECTED; CKR_ACTION_PROHIBITED for another user's object, CKR_USER_NOT_LOGGED_IN for a
    /// private one of the SO's;
    /// CKR_DEVICE_REMOVED if the token was initialised again; [`Storage`]'s.
    pub fn commit(&self, keys: &Keys, changes: &[Change]) -> Result<Commit> {
        self.commit_guarded(keys, changes, None)
    }

    /// [`Sealed::commit`] of what is done only if enough users approve.
    ///
    /// # Errors
    /// As [`Sealed::commit`]; CKR_FUNCTION_REJECTED without their approval.
    pub fn commit_guarded(&self, keys: &Keys, changes: &[Change], what: Option<&Guarded>) -> Result<Commit> {
        if changes.len() > 1 {
            let mut ids = HashSet::new();
            for change in changes {
                let (Change::Put { id, .. } | Change::Delete { id, .. }) = change;
                if !ids.insert(id) {
                    fail!(GeneralError, "an object twice in one transaction");
                }
            }
        }
        if keys.rescue {
            fail!(TokenWriteProtected, "the token is damaged and open for rescue only");
        }
        let mut stale = None;
        let revision = self.storage.transact(&mut |view| {
            stale = None;
            let mut author = match Author::going_on(view, &keys.token, &keys.user()) {
                Some(author) => author,
                None if same_token(view, keys)?.limited_write => {
                    fail!(TokenWriteProtected, "the token is in limited-write mode");
                }
                None => Author::new(view, &keys.token)?,
            };
            for change in changes {
                let (Change::Put { id, .. } | Change::Delete { id, .. }) = change;
                let key = object_record(id);
                let record = view.record(&key)?;
                let expected = match change {
                    Change::Put { at, .. } => *at,
                    Change::Delete { at, .. } => Some(*at),
                };
                if record.as_ref().map(|record| record.revision) != expected {
                    stale = Some(*id);
                    return Ok(Batch::default());
                }
                write_one(&mut author, view, keys, change, key, record)?;
            }
            what.map_or(Ok(()), |what| spend(&mut author, view, keys, what))?;
            Ok(author.finish_for(keys.user()))
        })?;
        Ok(stale.map_or(Commit::Done(revision), Commit::Stale))
    }

    /// What an outside anchor can remember to notice that the whole file was put back from an older copy:
    /// the present revision and a tag over it and the set, which only the token's users can make.
    pub fn anchor(&self, keys: &Keys) -> Result<(Revision, [u8; 32])> {
        let mut anchor = None;
        self.storage.read(&mut |view| {
            let set = view.record(set::RECORD)?.and_then(|record| record.value).unwrap_or_default();
            let revision = view.revision();
            anchor = Some((revision, keys.token.anchor.tag(&[&revision.0.to_be_bytes(), &set])));
            Ok(())
        })?;
        anchor.ok_or_else(|| Rv::GeneralError.into())
    }

    /// An authenticated transaction of someone logged in.
    pub(super) fn write(
        &self,
        keys: &Keys,
        work: &mut (dyn FnMut(&mut Author, &dyn View) -> Result<()> + Send),
    ) -> Result<Revision> {
        if keys.rescue {
            fail!(TokenWriteProtected, "the token is damaged and open for rescue only");
        }
        self.author(&keys.token, work)
    }

    pub(super) fn author(
        &self,
        token: &TokenKeys,
        work: &mut (dyn FnMut(&mut Author, &dyn View) -> Result<()> + Send),
    ) -> Result<Revision> {
        self.storage.transact(&mut |view| {
            if load_meta(view)?.token != token.id {
                fail!(DeviceRemoved, "the token was initialised again");
            }
            let mut author = Author::new(view, token)?;
            work(&mut author, view)?;
            Ok(author.finish())
        })
    }
}

/// That the keys still are the token's and the user's.
pub(super) fn same_token(view: &dyn View, keys: &Keys) -> Result<Meta> {
    let meta = load_meta(view)?;
    if meta.token != keys.token.id {
        fail!(DeviceRemoved, "the token was initialised again");
    }
    let user = load_user(view, keys.role, &keys.name, Some(&keys.token))?;
    if user.is_none_or(|(user, _)| user.id != keys.user()) {
        fail!(UserNotLoggedIn, "the user was removed");
    }
    Ok(meta)
}

fn write_one(
    author: &mut Author,
    view: &dyn View,
    keys: &Keys,
    change: &Change,
    key: Key,
    record: Option<Record>,
) -> Result<()> {
    let old = record.as_ref().map(|record| {
        let (Change::Put { id, .. } | Change::Delete { id, .. }) = change;
        set::body(record, Some(&keys.token)).and_then(|body| Stored::parse(*id, record.revision, body))
    });
    match change {
        // What is damaged can be deleted all the same.
        Change::Delete { .. } => {
            if let Some(Ok(old)) = &old {
                own(view, keys, old)?;
            }
            author.delete(key)
        }
        Change::Put { id, private, class, attributes, secrets, .. } => {
            let old = old.transpose()?;
            if *private && keys.role == Role::So {
                fail!(UserNotLoggedIn, "the SO has no private objects");
            }
            if let Some(old) = &old {
                own(view, keys, old)?;
            }
            let kept = match (secrets, &old) {
                (NewSecrets::Keep, Some(old)) => Some(old.open_secrets(&keys.token.id, keys.opener())?),
                _ => None,
            };
            let secrets = match (secrets, &kept) {
                (NewSecrets::Set(secrets), _) => secrets.expose(),
                (NewSecrets::Keep, Some(kept)) => kept.expose(),
                (NewSecrets::Keep, None) => &[],
            };
            let largest = crate::storage::codec::MAX_BYTES - crate::crypto::seal::TAG;
            if attributes.len() > largest || secrets.len() > largest {
                fail!(DeviceMemory, "an object of more than 16 MiB");
            }
            let friends = match &old {
                Some(old) if *private => friends(view, keys, old)?,
                _ => Vec::new(),
            };
            // A private object is of the one who seals it; a public one stays its maker's.
            let owner = old.filter(|old| !old.private && !private).map_or(keys.user(), |old| old.owner);
            let (id, private, class, friends) = (*id, *private, *class, &friends);
            let content = Content { id, private, class, owner, friends, attributes, secrets };
            let body = content.body(&keys.token.id, author.revision, &keys.opener.own)?;
            author.put_over(record.map(|record| record.revision), key, body)
        }
    }
}

/// Whom an object is shared with, as far as they are there.
pub(super) fn friends(view: &dyn View, keys: &Keys, object: &Stored) -> Result<Vec<Friend>> {
    if object.shared_with().next().is_none() {
        return Ok(Vec::new());
    }
    let users = load_users(view, Role::User, Some(&keys.token))?;
    let mut friends = Vec::new();
    for user in users.into_iter().filter(|user| object.shared_with().any(|id| *id == user.id)) {
        friends.push((user.id, user.public));
    }
    Ok(friends)
}

/// That the user may change the object: its own, or a public one that is no other user's. What the SO made, or a
/// user who is gone, anyone may change, as PKCS#11 has it.
fn own(view: &dyn View, keys: &Keys, object: &Stored) -> Result<()> {
    if object.owner == keys.user() {
        return Ok(());
    }
    let others = object.private
        || keys.role == Role::User
            && load_users(view, Role::User, Some(&keys.token))?.iter().any(|user| user.id == object.owner);
    if others { fail!(ActionProhibited, "another user's object") } else { Ok(()) }
}
