//! Who owns an object, and who else may use it.

use super::User;
use super::audit::unique;
use super::objects::present;
use super::pin;
use super::quorum::{self, Service};
use super::session_objects::SessionObjects;
use super::token::Token;
use super::users::UserEntry;
use crate::error::Result;
use crate::object::Object;
use crate::storage::record::ObjectId;

/// Who can use an object.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// Who made it; none of a session object, or if the user was removed.
    pub owner: Option<UserEntry>,
    /// With whom the owner shares it.
    pub shared_with: Vec<UserEntry>,
}

impl Token {
    /// Lets a user use a private token object of the caller's, or no more: what it may not is to change it, wrap it
    /// or read it out, copy it, share it on or destroy it. Taking effect with the user's next C_FindObjectsInit or
    /// C_*Init.
    ///
    /// # Errors
    /// CKR_USER_NOT_LOGGED_IN; CKR_ACTION_PROHIBITED unless it is the caller's, private and a token object;
    /// CKR_ARGUMENTS_BAD if there is no such user; CKR_TOKEN_WRITE_PROTECTED; CKR_FUNCTION_REJECTED without the
    /// approvals that managing the key takes.
    pub fn share(&self, object: &Object, name: &[u8], shared: bool) -> Result<()> {
        let name = pin::canonical(User::Normal, name)?;
        let act = || {
            let login = self.login.read();
            let Some(login) = &*login else { fail!(UserNotLoggedIn, "only the owner shares") };
            let Some(id) = self.stored(object)? else {
                fail!(ActionProhibited, "only token objects are shared")
            };
            let need = quorum::need(object, Service::KeyManagement);
            self.initialised()?.sealed.share_guarded(&login.keys, &id, &name, shared, need).map(drop)
        };
        let event = if shared { "share" } else { "unshare" };
        self.audited(event, || format!("{} {name}", unique(object)), act)
    }

    /// Who can use an object.
    ///
    /// # Errors
    /// CKR_OBJECT_HANDLE_INVALID if it is gone.
    pub fn access(&self, object: &Object) -> Result<Access> {
        let Some(id) = self.stored(object)? else { return Ok(Access::default()) };
        let (owner, shared_with) = self.initialised()?.sealed.access(&id)?;
        let shared_with = shared_with.into_iter().map(UserEntry::from).collect();
        Ok(Access { owner: owner.map(UserEntry::from), shared_with })
    }

    /// Its name in the storage, if it has one.
    pub(super) fn stored(&self, object: &Object) -> Result<Option<ObjectId>> {
        if SessionObjects::is_one(object.handle()) {
            return Ok(None);
        }
        let objects = self.objects.read();
        present(objects.get(object.handle()), object.handle()).map(|(_, home)| Some(home.id))
    }
}
