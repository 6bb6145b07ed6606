//! Sharing: an owner seals its object's data key to others, or seals the object anew without them.

use super::quorum::spend;
use super::writing::{friends, same_token};
use super::*;
use crate::storage::quorum::{Guarded, Service};

impl<S: Storage + ?Sized> Sealed<S> {
    /// Lets a user open a private object, or lets it no more. Either way the object is written anew under another
    /// data key, so a grant that was taken away opens no later version. True if anything changed.
    ///
    /// # Errors
    /// CKR_ACTION_PROHIBITED unless `keys` are the owner's and the object is private; CKR_ARGUMENTS_BAD if there is
    /// no such user, or it is the owner; CKR_OBJECT_HANDLE_INVALID if the object is gone;
    /// CKR_TOKEN_WRITE_PROTECTED.
    pub fn share(&self, keys: &Keys, id: &ObjectId, name: &str, shared: bool) -> Result<bool> {
        self.share_guarded(keys, id, name, shared, 0)
    }

    /// [`Sealed::share`] of an object that `need` users have a say in. Who has made it shares it without approval until
    /// the logout ([`Keys::made`]); no fewer users than `need` are left.
    ///
    /// # Errors
    /// As [`Sealed::share`]; CKR_FUNCTION_REJECTED without their approval; CKR_ACTION_PROHIBITED if too few were left.
    pub fn share_guarded(
        &self,
        keys: &Keys,
        id: &ObjectId,
        name: &str,
        shared: bool,
        need: u8,
    ) -> Result<bool> {
        if keys.rescue {
            fail!(TokenWriteProtected, "the token is damaged and open for rescue only");
        }
        let mut changed = false;
        self.storage.transact(&mut |view| {
            if same_token(view, keys)?.limited_write {
                fail!(TokenWriteProtected, "the token is in limited-write mode");
            }
            let Some(record) = view.record(&object_record(id))? else { fail!(ObjectHandleInvalid) };
            let object = Stored::parse(*id, record.revision, set::body(&record, Some(&keys.token))?)?;
            if !object.private || object.owner != keys.user() {
                fail!(ActionProhibited, "only the owner shares, and only a private object");
            }
            let Some((user, _)) = load_user(view, Role::User, name, Some(&keys.token))? else {
                fail!(ArgumentsBad, "there is no user '{name}'");
            };
            if user.id == object.owner {
                fail!(ArgumentsBad, "'{name}' owns the object");
            }
            changed = object.shared_with().any(|friend| *friend == user.id) != shared;
            if !changed {
                return Ok(Batch::default());
            }
            let mut friends = friends(view, keys, &object)?;
            let able = 1 + friends.len();
            if !shared && able <= need.into() {
                fail!(ActionProhibited, "{need} users are to have a say in the object, and it has {able}");
            }
            let need = if shared && keys.made.lock().contains(id) { 0 } else { need };
            friends.retain(|(id, _)| *id != user.id);
            if shared {
                friends.push((user.id, user.public));
            }
            let what = Guarded { service: Service::KeyManagement, object: Some(*id), need };
            self.seal_anew(view, keys, &object, &friends, &what)
        })?;
        Ok(changed)
    }

    fn seal_anew(
        &self,
        view: &dyn View,
        keys: &Keys,
        object: &Stored,
        friends: &[Friend],
        what: &Guarded,
    ) -> Result<Batch> {
        let attributes = object.open_attributes(&keys.token.id, keys.opener())?;
        let secrets = object.open_secrets(&keys.token.id, keys.opener())?;
        let content = Content {
            id: object.id,
            private: object.private,
            class: object.class,
            owner: object.owner,
            friends,
            attributes: &attributes,
            secrets: secrets.expose(),
        };
        let mut author = Author::new(view, &keys.token)?;
        spend(&mut author, view, keys, what)?;
        let body = content.body(&keys.token.id, author.revision, &keys.opener.own)?;
        author.put(object_record(&object.id), body)?;
        Ok(author.finish())
    }

    /// Who owns an object, and with whom it is shared, as far as those users are there.
    ///
    /// # Errors
    /// CKR_OBJECT_HANDLE_INVALID if the object is gone.
    pub fn access(&self, id: &ObjectId) -> Result<(Option<UserInfo>, Vec<UserInfo>)> {
        let mut object = None;
        self.storage.read(&mut |view| {
            let Some(record) = view.record(&object_record(id))? else { fail!(ObjectHandleInvalid) };
            object = Some(Stored::parse(*id, record.revision, set::body(&record, None)?)?.into_owned());
            Ok(())
        })?;
        let object = object.ok_or(Rv::GeneralError)?;
        let (mut owner, mut friends) = (None, Vec::new());
        for user in self.users()? {
            if user.id == object.owner {
                owner = Some(user);
            } else if object.shared_with().any(|friend| *friend == user.id) {
                friends.push(user);
            }
        }
        Ok((owner, friends))
    }
}
