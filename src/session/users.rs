//! What "Vendor Coffer" does in a session: users, sharing, and the token's state.

use super::session::Session;
use crate::error::Result;
use crate::object::Handle;
use crate::token::{Access, AuditVerdict, Notify, Token, User, UserEntry, Verdict};
use std::path::Path;

impl Session {
    /// The token, for changes to it.
    ///
    /// # Errors
    /// CKR_SESSION_READ_ONLY.
    pub(super) fn token_to_change(&self) -> Result<&Token> {
        if !self.is_read_write() {
            fail!(SessionReadOnly, "changing the token takes a read/write session");
        }
        Ok(self.token())
    }

    /// Makes a user with a name, or another SO.
    ///
    /// # Errors
    /// As [`Token::create_user`]; CKR_SESSION_READ_ONLY, as for all that change something.
    pub fn create_user(&self, user: User, name: &[u8], pin: &[u8]) -> Result<()> {
        self.token_to_change()?.create_user(user, name, pin)
    }

    /// Removes a user.
    ///
    /// # Errors
    /// As [`Token::remove_user`].
    pub fn remove_user(&self, user: User, name: &[u8]) -> Result<()> {
        self.token_to_change()?.remove_user(user, name)
    }

    /// Sets another's PIN.
    ///
    /// # Errors
    /// As [`Token::reset_pin`].
    pub fn reset_pin(&self, user: User, name: &[u8], pin: &[u8]) -> Result<()> {
        self.token_to_change()?.reset_pin(user, name, pin)
    }

    /// Gives a user the other role.
    ///
    /// # Errors
    /// As [`Token::set_role`].
    pub fn set_role(&self, name: &[u8], new: User, pin: &[u8]) -> Result<()> {
        self.token_to_change()?.set_role(name, new, pin)
    }

    /// Gives a locked user its tries back.
    ///
    /// # Errors
    /// As [`Token::unlock_user`].
    pub fn unlock_user(&self, user: User, name: &[u8]) -> Result<()> {
        self.token_to_change()?.unlock_user(user, name)
    }

    /// All users.
    ///
    /// # Errors
    /// As [`Token::users`].
    pub fn users(&self) -> Result<Vec<UserEntry>> {
        self.token().users()
    }

    /// Who is logged in.
    ///
    /// # Errors
    /// CKR_USER_NOT_LOGGED_IN.
    pub fn login_entry(&self) -> Result<UserEntry> {
        self.token().login_entry()
    }

    /// Shares an object with a user, or no more.
    ///
    /// # Errors
    /// As [`Token::share`]; CKR_OBJECT_HANDLE_INVALID.
    pub fn share_object(&self, object: Handle, name: &[u8], shared: bool) -> Result<()> {
        let object = self.object(object)?;
        self.token_to_change()?.share(&object, name, shared)
    }

    /// Who can use an object.
    ///
    /// # Errors
    /// CKR_OBJECT_HANDLE_INVALID.
    pub fn access(&self, object: Handle) -> Result<Access> {
        let object = self.object(object)?;
        self.token().access(&object)
    }

    /// Lets nothing be written any more, or again.
    ///
    /// # Errors
    /// CKR_USER_NOT_LOGGED_IN unless an SO is.
    pub fn set_limited_write(&self, on: bool) -> Result<()> {
        self.token_to_change()?.set_limited_write(on)
    }

    /// Writes a backup of the token to a new file, for an escrow key too if its public half is given.
    ///
    /// # Errors
    /// As [`Token::backup`].
    pub fn backup_token(&self, path: &Path, escrow: Option<&[u8]>, notify: Notify<'_>) -> Result<()> {
        self.token().backup(path, escrow, notify)
    }

    /// Writes the token in today's format, as far as an SO can.
    ///
    /// # Errors
    /// As [`Token::upgrade`].
    pub fn upgrade_token(&self) -> Result<()> {
        self.token_to_change()?.upgrade()
    }

    /// Checks the whole token.
    ///
    /// # Errors
    /// As [`Token::verify`].
    pub fn verify_token(&self, notify: Notify<'_>) -> Result<Verdict> {
        self.token().verify(notify)
    }

    /// Reads and checks the audit log.
    ///
    /// # Errors
    /// As [`Token::verify_audit`].
    pub fn verify_audit(&self, faults_only: bool, notify: Notify<'_>) -> Result<AuditVerdict> {
        self.token().verify_audit(faults_only, notify)
    }

    /// Gives the token another label.
    ///
    /// # Errors
    /// CKR_USER_NOT_LOGGED_IN unless an SO is; CKR_ARGUMENTS_BAD for one of more than 32 bytes.
    pub fn rename_token(&self, label: &str) -> Result<()> {
        self.token_to_change()?.rename(label)
    }
}
