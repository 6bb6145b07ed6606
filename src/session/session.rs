//! One session: its rights, its login and its running operations (section 5.6).

use super::SessionHandle;
use super::digest::Digesting;
use super::find::Finding;
use super::message::Messages;
use super::operation::{Keyed, Operation};
use super::recent::Recent;
use super::sign_message::{SignMessages, VerifyMessages};
use crate::error::Result;
use crate::mechanism::{CipherState, SignState, VerifyState};
use crate::mechanism::{Mechanism, Recover};
use crate::object::Object;
use crate::token::config::Profile;
use crate::token::{Counted, Opened, Rules, Token, User};
use cryptoki_sys::*;
use std::cell::{Cell, RefCell, RefMut};
use std::sync::Arc;

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
    pub(super) encrypt: Operation<dyn CipherState>,
    pub(super) decrypt: Operation<dyn CipherState>,
    pub(super) sign: Operation<dyn SignState>,
    pub(super) verify: Operation<dyn VerifyState>,
    /// The signature that C_VerifySignatureInit gave for `verify`.
    pub(super) signature: Option<Vec<u8>>,
    pub(super) sign_recover: Operation<&'static dyn Recover>,
    pub(super) verify_recover: Operation<&'static dyn Recover>,
    pub(super) message_encrypt: Operation<Messages>,
    pub(super) message_decrypt: Operation<Messages>,
    pub(super) message_sign: Operation<SignMessages>,
    pub(super) message_verify: Operation<VerifyMessages>,
}

impl Running {
    /// Those that hold a key, each with the flag that C_SessionCancel knows it by.
    pub(super) fn keyed(&mut self) -> [(CK_FLAGS, &mut dyn Keyed); 10] {
        [
            (CKF_ENCRYPT, &mut self.encrypt),
            (CKF_DECRYPT, &mut self.decrypt),
            (CKF_SIGN, &mut self.sign),
            (CKF_VERIFY, &mut self.verify),
            (CKF_SIGN_RECOVER, &mut self.sign_recover),
            (CKF_VERIFY_RECOVER, &mut self.verify_recover),
            (CKF_MESSAGE_ENCRYPT, &mut self.message_encrypt),
            (CKF_MESSAGE_DECRYPT, &mut self.message_decrypt),
            (CKF_MESSAGE_SIGN, &mut self.message_sign),
            (CKF_MESSAGE_VERIFY, &mut self.message_verify),
        ]
    }

    /// Ends all.
    fn end(&mut self) {
        self.find = None;
        self.digest = None;
        self.signature = None;
        self.keyed().into_iter().for_each(|(_, operation)| operation.end());
    }

    /// Ends those whose key was destroyed or hidden.
    fn let_go(&mut self) {
        for (_, operation) in self.keyed() {
            if operation.key().is_some_and(Object::is_revoked) {
                operation.end();
            }
        }
        if !self.verify.runs() {
            self.signature = None;
        }
    }
}

/// A session with a token. A call has it for itself from its beginning to its end.
///
/// Once closed it can be opened again, under another handle, with the same token: so threads that open and close
/// sessions all the time do not meet in the counts of token and storage.
pub struct Session {
    /// CK_INVALID_HANDLE of a closed one.
    handle: SessionHandle,
    token: Arc<Token>,
    storage: Arc<Opened>,
    policy: Rules,
    counted: Counted,
    read_write: bool,
    running: RefCell<Running>,
    recent: RefCell<Recent>,
    /// The one last asked for.
    mechanism: Cell<Option<&'static Mechanism>>,
    /// Whether it may have objects of its own.
    has_objects: Cell<bool>,
    /// How many of the token's revocations this session has seen.
    revocations: Cell<u64>,
}

impl Session {
    /// A new session.
    ///
    /// # Errors
    /// CKR_TOKEN_NOT_RECOGNIZED, CKR_SESSION_READ_WRITE_SO_EXISTS.
    pub(super) fn open(handle: SessionHandle, token: Arc<Token>, read_write: bool) -> Result<Session> {
        let (storage, counted) = loop {
            let storage = token.initialised()?;
            if let Some(counted) = token.session_opened(&storage, read_write)? {
                break (storage, counted);
            }
        };
        Ok(Session {
            handle,
            policy: *storage.rules(),
            revocations: Cell::new(token.revocations()),
            token,
            storage,
            counted,
            read_write,
            running: RefCell::default(),
            recent: RefCell::default(),
            mechanism: Cell::new(None),
            has_objects: Cell::new(false),
        })
    }

    /// Opens a closed session again. False if its storage is the token's no longer.
    ///
    /// # Errors
    /// As [`Session::open`].
    pub(super) fn reopen(&mut self, handle: SessionHandle, read_write: bool) -> Result<bool> {
        let Some(counted) = self.token.session_opened(&self.storage, read_write)? else { return Ok(false) };
        (self.handle, self.counted, self.read_write) = (handle, counted, read_write);
        self.revocations.set(self.token.revocations());
        Ok(true)
    }

    /// Whether it is open, under this handle.
    #[inline]
    pub(super) fn is_open_as(&self, handle: SessionHandle) -> bool {
        self.handle == handle && handle != CK_INVALID_HANDLE
    }

    /// The shard that it was counted in, of the thread that opened it.
    pub(super) fn shard(&self) -> usize {
        self.counted.shard()
    }

    /// Whether it is open.
    pub(super) fn is_open(&self) -> bool {
        self.handle != CK_INVALID_HANDLE
    }

    /// Its handle.
    pub fn handle(&self) -> SessionHandle {
        self.handle
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

    /// Ends it: its operations and objects with it; the last one of a token logs out.
    pub(super) fn close(&mut self) {
        self.running.get_mut().end();
        self.recent.get_mut().forget();
        let objects_of = self.has_objects.replace(false).then_some(self.handle);
        self.handle = CK_INVALID_HANDLE;
        self.token.session_closed(objects_of, self.counted);
    }

    /// Whose the session objects are that are made in it.
    pub(super) fn owner(&self) -> SessionHandle {
        self.has_objects.set(true);
        self.handle
    }

    /// The running operations.
    pub(super) fn running(&self) -> RefMut<'_, Running> {
        self.running.borrow_mut()
    }

    /// The objects that were used last.
    pub(super) fn recent(&self) -> RefMut<'_, Recent> {
        self.recent.borrow_mut()
    }

    /// Ends what it does with keys that were destroyed, or hidden by a logout, so that nothing holds them any more.
    /// Done at the beginning of every call, and by whoever revokes keys for the sessions that are idle.
    #[inline]
    pub(super) fn let_go_of_revoked_keys(&self) {
        let now = self.token.revocations();
        if self.revocations.replace(now) != now {
            self.let_go();
        }
    }

    /// The same of a key that this session itself destroyed.
    pub(super) fn let_go(&self) {
        self.running().let_go();
        self.recent().let_go();
    }

    /// Takes in what other processes changed.
    ///
    /// # Errors
    /// As [`Token::refresh`].
    #[inline]
    pub(super) fn refresh(&self) -> Result<()> {
        self.token.refresh(&self.storage)
    }

    /// The row of a mechanism that the token offers. Most sessions go on with the one they used before.
    ///
    /// # Errors
    /// CKR_MECHANISM_INVALID.
    #[inline]
    pub fn mechanism(&self, number: CK_MECHANISM_TYPE) -> Result<&'static Mechanism> {
        match self.mechanism.get() {
            Some(row) if row.number == number => Ok(row),
            _ => {
                let row = self.policy.mechanism(number)?;
                self.mechanism.set(Some(row));
                Ok(row)
            }
        }
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
                let mut running = self.running();
                if !running
                    .keyed()
                    .iter_mut()
                    .any(|(_, operation)| operation.login_needed().is_some_and(|is| *is))
                {
                    fail!(OperationNotInitialized, "nothing waits for a context-specific login");
                }
                self.token.verify_pin(pin)?;
                for (_, operation) in running.keyed() {
                    operation.login_needed().into_iter().for_each(|needed| *needed = false);
                }
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
    pub fn cancel(&self, flags: CK_FLAGS) {
        let mut running = self.running();
        if flags & CKF_FIND_OBJECTS != 0 {
            running.find = None;
        }
        if flags & CKF_DIGEST != 0 {
            running.digest = None;
        }
        if flags & CKF_VERIFY != 0 {
            running.signature = None;
        }
        let named = running.keyed().into_iter().filter(|(flag, _)| flags & flag != 0);
        named.for_each(|(_, operation)| operation.end());
    }
}
