//! Approvals by several users: asked for, shown, and spent by what a session does with a key.

use super::recent::Kept;
use super::session::Session;
use crate::error::Result;
use crate::mechanism::{Mechanism, Params};
use crate::object::{Handle, Object};
use crate::token::{Service, Use, User, Waiting, quorum};
use std::sync::Arc;

impl Session {
    /// Asks for approval; what is to be signed.
    ///
    /// # Errors
    /// As [`crate::token::Token::request_approval`]; CKR_OBJECT_HANDLE_INVALID; CKR_SESSION_READ_ONLY, as for all that
    /// change something.
    pub fn request_approval(&self, service: Service, key: Option<Handle>) -> Result<Vec<u8>> {
        let key = key.map(|key| self.object(key)).transpose()?;
        self.token_to_change()?.request_approval(service, key.as_ref().map(|key| &***key))
    }

    /// Registers the key that whoever is logged in approves with.
    ///
    /// # Errors
    /// As [`crate::token::Token::register_approver`].
    pub fn register_approver(&self, info: &[u8], signature: &[u8]) -> Result<()> {
        self.token_to_change()?.register_approver(info, signature)
    }

    /// Takes in one user's approval.
    ///
    /// # Errors
    /// As [`crate::token::Token::add_approval`].
    pub fn add_approval(&self, message: &[u8], user: User, name: &[u8], signature: &[u8]) -> Result<()> {
        self.token().add_approval(message, user, name, signature)
    }

    /// What waits for approval.
    ///
    /// # Errors
    /// CKR_USER_NOT_LOGGED_IN.
    pub fn approvals(&self) -> Result<Vec<Waiting>> {
        self.token().approvals()
    }

    /// Forgets one's own requests, or as SO all.
    ///
    /// # Errors
    /// CKR_USER_NOT_LOGGED_IN.
    pub fn delete_approvals(&self, all: bool) -> Result<()> {
        self.token_to_change()?.delete_approvals(all)
    }

    /// How many approvals a service of an SO takes.
    ///
    /// # Errors
    /// As the storage.
    pub fn quorum_value(&self, service: Service) -> Result<u8> {
        self.token().quorum_value(service)
    }

    /// Sets it.
    ///
    /// # Errors
    /// As [`crate::token::Token::set_quorum_value`].
    pub fn set_quorum_value(&self, service: Service, value: u8) -> Result<()> {
        self.token_to_change()?.set_quorum_value(service, value)
    }

    /// Spends what a use of a key takes.
    pub(super) fn spend(&self, usage: Use, key: &Object) -> Result<()> {
        match usage {
            // C_WrapKey may ask for a length only, and says itself when it is in earnest.
            Use::Wrap => Ok(()),
            Use::Unwrap => self.token().spend(Service::KeyManagement, key),
            _ => self.token().spend(Service::KeyUsage, key),
        }
    }

    /// A key of which a function takes the value beside another's: not one whose use takes approvals.
    ///
    /// # Errors
    /// CKR_KEY_FUNCTION_NOT_PERMITTED; as [`Session::key`].
    pub(super) fn key_beside(&self, handle: Handle) -> Result<Kept> {
        let key = self.key(handle)?;
        if quorum::is_guarded(&key) {
            fail!(KeyFunctionNotPermitted, "a key whose use takes approvals does not serve here");
        }
        Ok(key)
    }

    /// The key for many messages: not one whose every use takes approvals.
    ///
    /// # Errors
    /// As [`Session::key_beside`] and [`Session::key_for`].
    pub(super) fn key_for_messages(
        &self,
        usage: Use,
        mechanism: &'static Mechanism,
        params: &Params,
        handle: Handle,
    ) -> Result<Kept> {
        self.key_beside(handle)?;
        self.key_for(usage, mechanism, params, handle)
    }

    /// The value of another key, for a derivation.
    pub(super) fn other(&self, handle: Handle) -> Result<Arc<Object>> {
        Ok(Arc::clone(&*self.key_beside(handle)?))
    }
}
