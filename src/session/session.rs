//! One session: its rights, its login and its running operations (section 5.6).

use super::SessionHandle;
use super::digest::Digesting;
use super::find::Finding;
use super::message::Messages;
use super::operation::Operation;
use super::sign_message::{SignMessages, VerifyMessages};
use crate::error::Result;
use crate::mechanism::{CipherState, SignState, VerifyState};
use crate::mechanism::{Mechanism, Recover};
use crate::object::{Handle, Object};
use crate::token::config::Profile;
use crate::token::{Owner, Rules, Token, User};
use cryptoki_sys::*;
use parking_lot::{Mutex, MutexGuard};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

/// CK_SESSION_INFO.
#[derive(Clone, Copy, Debug)]
pub struct SessionInfo {
    /// The slot of its token.
    pub slot: CK_SLOT_ID,
    /// CKS_*.
    pub state: CK_STATE,
    /// CKF_SERIAL_SESSION and, of a read/write session, CKF_RW_SESSION.
    pub flags: CK_FLAGS,
}

/// The running operations of a session, at most one of each kind.
#[derive(Default)]
pub(super) struct Running {
    pub(super) find: Option<Finding>,
    pub(super) digest: Option<Digesting>,
    pub(super) encrypt: Option<Operation<dyn CipherState>>,
    pub(super) decrypt: Option<Operation<dyn CipherState>>,
    pub(super) sign: Option<Operation<dyn SignState>>,
    pub(super) verify: Option<Operation<dyn VerifyState>>,
    /// The signature that C_VerifySignatureInit gave for `verify`.
    pub(super) signature: Option<Vec<u8>>,
    pub(super) sign_recover: Option<Operation<&'static dyn Recover>>,
    pub(super) verify_recover: Option<Operation<&'static dyn Recover>>,
    pub(super) message_encrypt: Option<Operation<Messages>>,
    pub(super) message_decrypt: Option<Operation<Messages>>,
    pub(super) message_sign: Option<Operation<SignMessages>>,
    pub(super) message_verify: Option<Operation<VerifyMessages>>,
}

impl Running {
    /// Whether anything runs that holds a key.
    pub(super) fn has_keyed_operation(&self) -> bool {
        self.encrypt.is_some()
            || self.decrypt.is_some()
            || self.sign.is_some()
            || self.verify.is_some()
            || self.sign_recover.is_some()
            || self.verify_recover.is_some()
            || self.message_encrypt.is_some()
            || self.message_decrypt.is_some()
            || self.message_sign.is_some()
            || self.message_verify.is_some()
    }
}

const RECENT: usize = 4;

/// The keys last used, so that beginning an operation with one of them does not take the token's lock. Only
/// known, not held: a key that is destroyed is gone from memory.
#[derive(Default)]
struct Recent {
    keys: [(Handle, Weak<Object>); RECENT],
    next: usize,
}

impl Recent {
    fn find(&self, handle: Handle) -> Option<Arc<Object>> {
        let known = self.keys.iter().filter(|(known, _)| *known == handle);
        known.filter_map(|(_, key)| key.upgrade()).find(|key| key.is_current())
    }

    fn remember(&mut self, key: &Arc<Object>) {
        let gone = |(_, key): &(Handle, Weak<Object>)| key.upgrade().is_none_or(|key| !key.is_current());
        let at = self.keys.iter().position(gone).unwrap_or(self.next);
        self.next = (at + 1) % RECENT;
        self.keys[at] = (key.handle(), Arc::downgrade(key));
    }
}

/// A session with a token.
pub struct Session {
    handle: SessionHandle,
    token: Arc<Token>,
    policy: Rules,
    read_write: bool,
    closed: AtomicBool,
    running: Mutex<Running>,
    recent: Mutex<Recent>,
}

impl Session {
    pub(super) fn new(handle: SessionHandle, token: Arc<Token>, read_write: bool) -> Session {
        Session {
            handle,
            policy: token.policy(),
            token,
            read_write,
            closed: AtomicBool::new(false),
            running: Mutex::default(),
            recent: Mutex::default(),
        }
    }

    /// Its handle.
    pub fn handle(&self) -> SessionHandle {
        self.handle
    }

    /// As the owner of what is made in it.
    pub(super) fn owner(&self) -> Owner<'_> {
        Owner { session: self.handle, closed: &self.closed }
    }

    /// Its token.
    pub fn token(&self) -> &Arc<Token> {
        &self.token
    }

    /// The rules of its token. They are the session's own copy, for every operation asks and threads must not meet
    /// in a lock; they hold as long as it does, because a token is not initialised anew under an open session.
    pub fn policy(&self) -> &Rules {
        &self.policy
    }

    /// Whether it may write token objects.
    pub fn is_read_write(&self) -> bool {
        self.read_write
    }

    /// What C_GetSessionInfo tells.
    pub fn info(&self) -> SessionInfo {
        let state = match (self.token.user(), self.read_write) {
            (None, false) => CKS_RO_PUBLIC_SESSION,
            (None, true) => CKS_RW_PUBLIC_SESSION,
            (Some(User::Normal), false) => CKS_RO_USER_FUNCTIONS,
            (Some(User::Normal), true) => CKS_RW_USER_FUNCTIONS,
            (Some(User::So), _) => CKS_RW_SO_FUNCTIONS,
        };
        let flags = CKF_SERIAL_SESSION | if self.read_write { CKF_RW_SESSION } else { 0 };
        SessionInfo { slot: self.token.slot(), state, flags }
    }

    /// The running operations. Held while one computes: a session does one thing at a time.
    ///
    /// # Errors
    /// CKR_SESSION_HANDLE_INVALID if the session was closed meanwhile.
    pub(super) fn running(&self) -> Result<MutexGuard<'_, Running>> {
        let running = self.running.lock();
        if self.closed.load(Ordering::Acquire) {
            fail!(SessionHandleInvalid, "session {} was closed", self.handle);
        }
        Ok(running)
    }

    /// Ends all operations, for good.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        *self.running.lock() = Running::default();
        *self.recent.lock() = Recent::default();
    }

    /// Ends the operations whose key was destroyed or hidden by a logout, so that nothing holds it any more. One
    /// that computes at this moment ends at its next step.
    pub(super) fn let_go_of_revoked_keys(&self) {
        let Some(mut running) = self.running.try_lock() else { return };
        let Running { encrypt, decrypt, sign, verify, signature, sign_recover, verify_recover, .. } =
            &mut *running;
        encrypt.take_if(|operation| operation.key.is_revoked());
        decrypt.take_if(|operation| operation.key.is_revoked());
        sign.take_if(|operation| operation.key.is_revoked());
        if verify.take_if(|operation| operation.key.is_revoked()).is_some() {
            *signature = None;
        }
        sign_recover.take_if(|operation| operation.key.is_revoked());
        verify_recover.take_if(|operation| operation.key.is_revoked());
    }

    /// A key by its handle.
    ///
    /// # Errors
    /// CKR_KEY_HANDLE_INVALID if there is none that this session may see.
    pub(super) fn key(&self, handle: Handle) -> Result<Arc<Object>> {
        self.token.refresh()?;
        let mut recent = self.recent.lock();
        if let Some(key) = recent.find(handle) {
            return Ok(key);
        }
        let key =
            self.token.object(handle).map_err(|error| error.recode(crate::error::Rv::KeyHandleInvalid))?;
        recent.remember(&key);
        Ok(key)
    }

    /// The row of a mechanism that the token offers.
    ///
    /// # Errors
    /// CKR_MECHANISM_INVALID.
    pub fn mechanism(&self, number: CK_MECHANISM_TYPE) -> Result<&'static Mechanism> {
        self.policy.mechanism(number)
    }

    /// Whether there are functions for messages at all.
    ///
    /// # Errors
    /// CKR_FUNCTION_NOT_SUPPORTED in the cloudhsm profile.
    pub fn message_functions(&self) -> Result<()> {
        match self.policy.profile {
            Profile::Standard => Ok(()),
            Profile::CloudHsm => fail!(FunctionNotSupported, "CloudHSM has no functions for messages"),
        }
    }

    /// C_Login, C_LoginUser. `name` is empty for the one user that C_Login knows.
    ///
    /// # Errors
    /// CKR_PIN_INCORRECT, CKR_PIN_LOCKED, CKR_USER_ALREADY_LOGGED_IN, CKR_USER_ANOTHER_ALREADY_LOGGED_IN,
    /// CKR_USER_PIN_NOT_INITIALIZED, CKR_SESSION_READ_ONLY_EXISTS, CKR_OPERATION_NOT_INITIALIZED for a
    /// context-specific login with nothing that waits for one.
    pub fn login(&self, user_type: CK_USER_TYPE, name: &[u8], pin: &[u8]) -> Result<()> {
        match user_type {
            CKU_USER => self.token.login(User::Normal, name, pin),
            CKU_SO => self.token.login(User::So, name, pin),
            CKU_CONTEXT_SPECIFIC => {
                let mut running = self.running()?;
                let Running {
                    encrypt,
                    decrypt,
                    sign,
                    verify,
                    sign_recover,
                    verify_recover,
                    message_encrypt,
                    message_decrypt,
                    message_sign,
                    message_verify,
                    ..
                } = &mut *running;
                let mut waiting = [
                    encrypt.as_mut().map(|operation| &mut operation.needs_login),
                    decrypt.as_mut().map(|operation| &mut operation.needs_login),
                    sign.as_mut().map(|operation| &mut operation.needs_login),
                    verify.as_mut().map(|operation| &mut operation.needs_login),
                    sign_recover.as_mut().map(|operation| &mut operation.needs_login),
                    verify_recover.as_mut().map(|operation| &mut operation.needs_login),
                    message_encrypt.as_mut().map(|operation| &mut operation.needs_login),
                    message_decrypt.as_mut().map(|operation| &mut operation.needs_login),
                    message_sign.as_mut().map(|operation| &mut operation.needs_login),
                    message_verify.as_mut().map(|operation| &mut operation.needs_login),
                ];
                if !waiting.iter().flatten().any(|needs_login| **needs_login) {
                    fail!(OperationNotInitialized, "nothing waits for a context-specific login");
                }
                self.token.verify_pin(pin)?;
                waiting.iter_mut().flatten().for_each(|needs_login| **needs_login = false);
                Ok(())
            }
            _ => fail!(UserTypeInvalid, "user type {user_type}"),
        }
    }

    /// C_InitPIN.
    ///
    /// # Errors
    /// CKR_USER_NOT_LOGGED_IN unless the SO is, CKR_PIN_LEN_RANGE, CKR_PIN_INVALID.
    pub fn init_pin(&self, pin: &[u8]) -> Result<()> {
        self.token.init_pin(pin)
    }

    /// C_SetPIN: the SO's if the SO is logged in, else the user's.
    ///
    /// # Errors
    /// CKR_PIN_INCORRECT, CKR_PIN_LOCKED, CKR_PIN_LEN_RANGE, CKR_SESSION_READ_ONLY.
    pub fn set_pin(&self, old: &[u8], new: &[u8]) -> Result<()> {
        if !self.read_write {
            fail!(SessionReadOnly, "changing a PIN takes a read/write session");
        }
        self.token.set_pin(old, new)
    }

    /// C_SessionCancel: ends the operations that `flags` name (CKF_*; 0 ends none).
    ///
    /// # Errors
    /// CKR_SESSION_HANDLE_INVALID.
    pub fn cancel(&self, flags: CK_FLAGS) -> Result<()> {
        let mut running = self.running()?;
        let named = |flag: CK_FLAGS| flags & flag != 0;
        if named(CKF_FIND_OBJECTS) {
            running.find = None;
        }
        if named(CKF_DIGEST) {
            running.digest = None;
        }
        if named(CKF_ENCRYPT) {
            running.encrypt = None;
        }
        if named(CKF_DECRYPT) {
            running.decrypt = None;
        }
        if named(CKF_SIGN) {
            running.sign = None;
        }
        if named(CKF_VERIFY) {
            (running.verify, running.signature) = (None, None);
        }
        if named(CKF_SIGN_RECOVER) {
            running.sign_recover = None;
        }
        if named(CKF_VERIFY_RECOVER) {
            running.verify_recover = None;
        }
        if named(CKF_MESSAGE_ENCRYPT) {
            running.message_encrypt = None;
        }
        if named(CKF_MESSAGE_DECRYPT) {
            running.message_decrypt = None;
        }
        if named(CKF_MESSAGE_SIGN) {
            running.message_sign = None;
        }
        if named(CKF_MESSAGE_VERIFY) {
            running.message_verify = None;
        }
        Ok(())
    }
}
