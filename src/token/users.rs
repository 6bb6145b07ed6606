//! Who uses a token: logins, PINs, and the users an SO makes beside the one that PKCS#11 knows.
//!
//! An application has one login a token, whoever it is: PKCS#11's rule (section 5.6), also with several users.

use super::config::Profile;
use super::pin::{self, FOUNDER, Form, Pin};
use super::token::{Login, Opened, Token, User};
use crate::error::Result;
use crate::object::Object;
use crate::storage::Revision;
use crate::storage::keyring::Role;
use crate::storage::sealed::{Alteration, Keys, PinState, UserInfo};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A user, as a list shows it.
#[derive(Clone, Debug)]
pub struct UserEntry {
    /// SO or user.
    pub user: User,
    /// "admin" for the SO who founded the token; empty for the user that C_InitPIN makes.
    pub name: String,
    /// The tries at the PIN.
    pub pin: PinState,
    /// Has registered a key to approve with.
    pub approver: bool,
}

impl From<UserInfo> for UserEntry {
    fn from(info: UserInfo) -> UserEntry {
        let user = if info.role == Role::So { User::So } else { User::Normal };
        UserEntry { user, name: shown(user, &info.name), pin: info.pin, approver: info.approver }
    }
}

/// A stored name as people are told it.
pub(super) fn shown(user: User, name: &str) -> String {
    if user == User::So && name.is_empty() { FOUNDER.into() } else { name.into() }
}

pub(super) fn role(user: User) -> Role {
    match user {
        User::Normal => Role::User,
        User::So => Role::So,
    }
}

/// A user, for the audit log.
fn named(user: User, name: &[u8]) -> String {
    let kind = if user == User::So { "CKU_SO" } else { "CKU_USER" };
    format!("{kind} {}", String::from_utf8_lossy(name).to_lowercase())
}

impl Token {
    /// How C_Login's PIN is read. CloudHSM's always names its user; elsewhere it does where every user has a name,
    /// since a plain one is then nobody's.
    fn form(&self, opened: &Opened) -> Result<Form> {
        if self.config.profile == Profile::CloudHsm {
            return Ok(Form::Named);
        }
        let info = opened.sealed.info()?;
        Ok(if info.named_users && !info.user.set { Form::Named } else { Form::Plain })
    }

    /// C_Login, C_LoginUser. Where logins are audited, nobody logs in without a line in the log.
    pub(crate) fn login(&self, user: User, name: &[u8], pin: &[u8]) -> Result<()> {
        let opened = self.initialised()?;
        let pin = Pin::parse(user, name, pin, self.form(&opened)?);
        let who = pin.as_ref().map_or(String::new(), |pin| shown(user, &pin.name));
        let outcome = self.log_in(&opened, user, pin);
        let keys = self.login.read().as_ref().map(|login| (login.user, login.keys.clone()));
        let by = keys.as_ref().map(|(user, keys)| (*user, &**keys));
        let kind = if user == User::So { "CKU_SO" } else { "CKU_USER" };
        let recorded = self.record(by, "login", &who, kind, outcome.as_ref().err());
        if let (Ok(()), Err(error)) = (&outcome, recorded) {
            let _ = self.end_login();
            return Err(error);
        }
        outcome
    }

    fn log_in(&self, opened: &Arc<Opened>, user: User, pin: Result<Pin<'_>>) -> Result<()> {
        // Nobody opens a session while it is decided whether one may log in.
        let sessions = self.sessions.turn();
        if let Some(login) = &*self.login.read() {
            match pin {
                Ok(pin) if login.user == user && login.keys.name() != pin.name => {
                    fail!(UserAnotherAlreadyLoggedIn)
                }
                _ if login.user == user => fail!(UserAlreadyLoggedIn),
                _ => fail!(UserAnotherAlreadyLoggedIn),
            }
        }
        if user == User::So && sessions.counts().0 > 0 {
            fail!(SessionReadOnlyExists);
        }
        let pin = pin?;
        let keys = Arc::new(opened.sealed.unlock(role(user), &pin.name, pin.secret)?);
        let new = Login { user, keys };
        let indexer = self.objects.read().indexer();
        let loaded = self.load(opened, Revision(0), Some(&new), indexer)?;
        let mut login = self.login.write();
        self.user.store(if user == User::Normal { 1 } else { 2 }, Ordering::Release);
        let applied = self.apply(&mut self.objects.write(), loaded);
        *login = Some(new);
        drop(login);
        applied.inspect_err(|_| {
            let _ = self.end_login();
        })
    }

    /// C_Logout.
    pub(crate) fn logout(&self) -> Result<()> {
        if self.user().is_none() {
            fail!(UserNotLoggedIn, "nobody is logged in");
        }
        self.audited("logout", String::new, || self.end_login())
    }

    /// Ends the login, if there is one, without a word in the log.
    pub(super) fn end_login(&self) -> Result<()> {
        let mut login = self.login.write();
        if login.take().is_none() {
            fail!(UserNotLoggedIn, "nobody is logged in");
        }
        // Sequentially consistent with who makes a private session object: he sees this, or is seen below.
        self.user.store(0, Ordering::SeqCst);
        // What was loaded with the keys is loaded anew without them.
        self.seen.store(super::token::UNSEEN, Ordering::Release);
        // Private session objects end with the login, and the handles of the stored ones for good.
        self.session_objects.remove_where(Object::is_private);
        self.objects.write().remove_where(|object, _| object.is_private());
        self.announce_revocation();
        Ok(())
    }

    /// A PIN given by whoever is logged in, as its own: with its name before it or alone.
    fn own_pin<'a>(&self, opened: &Opened, pin: &'a [u8]) -> Result<(User, Pin<'a>)> {
        let form = self.form(opened)?;
        let login = self.login.read();
        let Some(login) = &*login else {
            return Ok((User::Normal, Pin::parse(User::Normal, b"", pin, form)?));
        };
        let name = login.keys.name();
        match pin::split(pin) {
            Some((given, secret)) if login.user == User::Normal && form == Form::Named => {
                if pin::canonical(User::Normal, given)? != name {
                    fail!(PinInvalid, "the PIN names another user");
                }
                Ok((login.user, Pin { name: name.into(), secret }))
            }
            _ => {
                let plain = Pin::parse(login.user, name.as_bytes(), pin, Form::Plain)?;
                Ok((login.user, plain))
            }
        }
    }

    /// Checks the user's PIN once more (CKU_CONTEXT_SPECIFIC).
    pub(crate) fn verify_pin(&self, pin: &[u8]) -> Result<()> {
        if self.user().is_none() {
            fail!(UserNotLoggedIn);
        }
        let opened = self.initialised()?;
        let (user, pin) = self.own_pin(&opened, pin)?;
        self.audited("login again", String::new, || {
            opened.sealed.verify_pin(role(user), &pin.name, pin.secret)
        })
    }

    /// C_SetPIN: of whoever is logged in, else the user's.
    pub(crate) fn set_pin(&self, old: &[u8], new: &[u8]) -> Result<()> {
        let opened = self.initialised()?;
        let ((user, old), (_, new)) = (self.own_pin(&opened, old)?, self.own_pin(&opened, new)?);
        if old.name != new.name {
            fail!(PinInvalid, "the new PIN names another user");
        }
        pin::check(new.secret, &opened.rules)?;
        let name = || old.name.clone();
        self.audited("set PIN", name, || opened.sealed.set_pin(role(user), &old.name, old.secret, new.secret))
    }

    /// Whether a token made now would take this as its user's PIN: to be asked before a token is wiped for it.
    pub(crate) fn check_user_pin(&self, pin: &[u8]) -> Result<()> {
        let form = match self.config.profile {
            Profile::CloudHsm => Form::Named,
            Profile::Standard => Form::Plain,
        };
        let pin = Pin::parse(User::Normal, b"", pin, form)?;
        pin::check(pin.secret, &self.rules_for(self.config.policy, self.config.mode))
    }

    /// C_InitPIN.
    pub(crate) fn init_pin(&self, pin: &[u8]) -> Result<()> {
        let form = match self.config.profile {
            Profile::CloudHsm => Form::Named,
            Profile::Standard => Form::Plain,
        };
        let pin = Pin::parse(User::Normal, b"", pin, form)?;
        let act = |opened: &Opened, keys: &Keys| {
            pin::check(pin.secret, &opened.rules)?;
            opened.sealed.init_pin(keys, &pin.name, pin.secret)
        };
        self.audited("init PIN", || pin.name.clone(), || self.as_so(act))
    }

    /// Does what only an SO may.
    pub(super) fn as_so<T>(&self, act: impl FnOnce(&Opened, &Keys) -> Result<T>) -> Result<T> {
        let login = self.login.read();
        let Some(Login { user: User::So, keys }) = &*login else { fail!(UserNotLoggedIn, "only the SO may") };
        act(&*self.initialised()?, keys)
    }

    /// Makes a user with a name, or another SO.
    ///
    /// # Errors
    /// CKR_USER_NOT_LOGGED_IN unless an SO is; CKR_FUNCTION_REJECTED if there is one of this name; CKR_PIN_INVALID
    /// for an impossible name; CKR_PIN_LEN_RANGE.
    pub fn create_user(&self, user: User, name: &[u8], pin: &[u8]) -> Result<()> {
        let act = |opened: &Opened, keys: &Keys| {
            let name = pin::canonical(user, name)?;
            if name.is_empty() || name == FOUNDER {
                fail!(FunctionRejected, "C_InitToken and C_InitPIN make this user");
            }
            pin::check(pin, &opened.rules)?;
            opened.sealed.create_user(keys, role(user), &name, pin)
        };
        self.audited("create user", || named(user, name), || self.as_so(act))
    }

    /// Removes a user, with the private objects it owns.
    ///
    /// # Errors
    /// CKR_USER_NOT_LOGGED_IN unless an SO is; CKR_ARGUMENTS_BAD if there is no such user; CKR_FUNCTION_REJECTED
    /// for the SO who founded the token and for oneself; CKR_TOKEN_WRITE_PROTECTED.
    pub fn remove_user(&self, user: User, name: &[u8]) -> Result<()> {
        let act = |opened: &Opened, keys: &Keys| {
            opened.sealed.remove_user(keys, role(user), &pin::canonical(user, name)?)
        };
        self.audited("delete user", || named(user, name), || self.as_so(act))
    }

    /// Sets another's forgotten PIN anew, which unlocks it.
    ///
    /// # Errors
    /// CKR_USER_NOT_LOGGED_IN unless an SO is; CKR_ARGUMENTS_BAD if there is no such user; CKR_FUNCTION_REJECTED
    /// without escrow, and for the SO who founded the token; CKR_PIN_LEN_RANGE.
    pub fn reset_pin(&self, user: User, name: &[u8], pin: &[u8]) -> Result<()> {
        let act = |opened: &Opened, keys: &Keys| {
            pin::check(pin, &opened.rules)?;
            opened.sealed.reset_pin(keys, role(user), &pin::canonical(user, name)?, pin)
        };
        self.audited("set user's PIN", || named(user, name), || self.as_so(act))
    }

    /// Gives a user the other role, with a new PIN.
    ///
    /// # Errors
    /// As [`Token::reset_pin`]; CKR_FUNCTION_REJECTED also if it owns private objects, and for oneself.
    pub fn set_role(&self, name: &[u8], new: User, pin: &[u8]) -> Result<()> {
        let act = |opened: &Opened, keys: &Keys| {
            pin::check(pin, &opened.rules)?;
            opened.sealed.set_role(keys, &pin::canonical(User::So, name)?, role(new), pin)
        };
        self.audited("set user's type", || named(new, name), || self.as_so(act))
    }

    /// Gives a locked user all tries back.
    ///
    /// # Errors
    /// CKR_USER_NOT_LOGGED_IN unless an SO is; CKR_ARGUMENTS_BAD if there is no such user.
    pub fn unlock_user(&self, user: User, name: &[u8]) -> Result<()> {
        let act = |opened: &Opened, keys: &Keys| {
            opened.sealed.unlock_user(keys, role(user), &pin::canonical(user, name)?)
        };
        self.audited("unlock user", || named(user, name), || self.as_so(act))
    }

    /// The SOs, then the users, by name. Anyone may ask.
    ///
    /// # Errors
    /// CKR_TOKEN_NOT_RECOGNIZED, CKR_DEVICE_ERROR.
    pub fn users(&self) -> Result<Vec<UserEntry>> {
        Ok(self.initialised()?.sealed.users()?.into_iter().map(UserEntry::from).collect())
    }

    /// Who is logged in.
    ///
    /// # Errors
    /// CKR_USER_NOT_LOGGED_IN.
    pub fn login_entry(&self) -> Result<UserEntry> {
        let id = self.login.read().as_ref().map(|login| login.keys.user());
        let users = self.initialised()?.sealed.users()?;
        match users.into_iter().find(|user| Some(user.id) == id) {
            Some(user) => Ok(user.into()),
            None => fail!(UserNotLoggedIn, "nobody is logged in"),
        }
    }

    /// Lets objects be used and nothing written, or all of it again.
    ///
    /// # Errors
    /// CKR_USER_NOT_LOGGED_IN unless an SO is.
    pub fn set_limited_write(&self, on: bool) -> Result<()> {
        let alteration = Alteration { limited_write: Some(on), ..Alteration::default() };
        let act = |opened: &Opened, keys: &Keys| opened.sealed.alter(keys, &alteration);
        self.audited("limited write", || if on { "on" } else { "off" }.into(), || self.as_so(act))
    }

    /// Gives the token another label.
    ///
    /// # Errors
    /// CKR_USER_NOT_LOGGED_IN unless an SO is; CKR_ARGUMENTS_BAD for one of more than 32 bytes.
    pub fn rename(&self, label: &str) -> Result<()> {
        let alteration = Alteration { label: Some(label), ..Alteration::default() };
        let act = |opened: &Opened, keys: &Keys| opened.sealed.alter(keys, &alteration);
        self.audited("rename token", || label.into(), || self.as_so(act))
    }
}
