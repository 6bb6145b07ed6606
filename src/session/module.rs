//! What C_Initialize makes: the tokens and the open sessions.

use super::SessionHandle;
use super::session::Session;
use super::sessions::{Held, Sessions};
use crate::crypto::Secret;
use crate::error::Result;
use crate::kernel::seat::Seat;
use crate::object::Handle;
use crate::token::config::Profile;
use crate::token::{Config, Details, MechanismInfo, Notify, Rescue, Slots, TokenInfo, User, UserEntry};
use cryptoki_sys::*;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// CK_SLOT_INFO, as far as slots differ.
pub struct SlotInfo {
    /// What the slot is called.
    pub description: String,
    /// CKF_*.
    pub flags: CK_FLAGS,
}

/// An initialised library.
pub struct Module {
    slots: Slots,
    sessions: Sessions,
}

impl Module {
    /// C_Initialize. `serial` numbers the sessions and the objects: it outlives the module, so that no handle comes
    /// to mean another thing.
    ///
    /// # Errors
    /// CKR_GENERAL_ERROR, CKR_FUNCTION_FAILED: the token directory cannot be used, and why.
    pub fn new(config: Config, serial: &'static AtomicU64) -> Result<Module> {
        Ok(Module { slots: Slots::new(config, serial)?, sessions: Sessions::new(serial) })
    }

    /// The version of PKCS#11, major and minor, that the profile speaks.
    pub fn cryptoki_version(&self) -> (u8, u8) {
        match self.slots.profile() {
            Profile::Standard => (3, 2),
            Profile::CloudHsm => (2, 40),
        }
    }

    /// C_GetSlotList: every slot has a token, the last one perhaps a token still to be initialised.
    ///
    /// # Errors
    /// CKR_DEVICE_ERROR.
    pub fn slots(&self) -> Result<Vec<CK_SLOT_ID>> {
        self.slots.list()
    }

    /// The slot whose token is still to be initialised.
    ///
    /// # Errors
    /// CKR_SLOT_ID_INVALID if the profile shows none.
    pub fn free_slot(&self) -> Result<CK_SLOT_ID> {
        self.slots.free()
    }

    /// C_GetSlotInfo.
    ///
    /// # Errors
    /// CKR_SLOT_ID_INVALID.
    pub fn slot_info(&self, slot: CK_SLOT_ID) -> Result<SlotInfo> {
        self.slots.token(slot)?;
        Ok(SlotInfo { description: format!("Coffer slot {slot}"), flags: CKF_TOKEN_PRESENT })
    }

    /// C_GetTokenInfo.
    ///
    /// # Errors
    /// CKR_SLOT_ID_INVALID, CKR_TOKEN_NOT_RECOGNIZED.
    pub fn token_info(&self, slot: CK_SLOT_ID) -> Result<TokenInfo> {
        self.slots.token(slot)?.info()
    }

    /// C_GetMechanismList.
    ///
    /// # Errors
    /// CKR_SLOT_ID_INVALID.
    pub fn mechanisms(&self, slot: CK_SLOT_ID) -> Result<Vec<CK_MECHANISM_TYPE>> {
        Ok(self.slots.token(slot)?.mechanisms().map(|row| row.number).collect())
    }

    /// C_GetMechanismInfo.
    ///
    /// # Errors
    /// CKR_SLOT_ID_INVALID, CKR_MECHANISM_INVALID.
    pub fn mechanism_info(&self, slot: CK_SLOT_ID, number: CK_MECHANISM_TYPE) -> Result<MechanismInfo> {
        let rules = self.slots.token(slot)?.policy();
        Ok(rules.info(rules.mechanism(number)?))
    }

    /// C_InitToken. `label` has been cut of its padding.
    ///
    /// # Errors
    /// CKR_SESSION_EXISTS, CKR_PIN_INCORRECT (of a token that has an SO), CKR_PIN_LEN_RANGE, CKR_PIN_LOCKED.
    pub fn init_token(&self, slot: CK_SLOT_ID, so_pin: &[u8], label: &str) -> Result<()> {
        self.slots.token(slot)?.initialise(so_pin, label)?;
        self.sessions.forget_closed();
        Ok(())
    }

    /// Makes a token out of a backup: the slot that it is in.
    ///
    /// # Errors
    /// CKR_PIN_INCORRECT, CKR_TOKEN_NOT_RECOGNIZED, CKR_DEVICE_ERROR, CKR_SLOT_ID_INVALID if no slot is free.
    pub fn restore_token(
        &self,
        path: &Path,
        user: User,
        name: &[u8],
        pin: &[u8],
        notify: Notify<'_>,
    ) -> Result<CK_SLOT_ID> {
        self.slots.restore(path, user, name, pin, notify)
    }

    /// Makes a token out of a backup by the escrow key with this seed, and gives the founding SO a new PIN.
    ///
    /// # Errors
    /// As [`Module::restore_token`]; CKR_ARGUMENTS_BAD if the backup was not made for this key; CKR_PIN_LEN_RANGE.
    pub fn restore_token_by_escrow(
        &self,
        path: &Path,
        seed: &Secret,
        so_pin: &[u8],
        notify: Notify<'_>,
    ) -> Result<CK_SLOT_ID> {
        self.slots.restore_by_escrow(path, seed, so_pin, notify)
    }

    /// What can be told of a slot's token without a PIN.
    ///
    /// # Errors
    /// CKR_SLOT_ID_INVALID, CKR_TOKEN_NOT_RECOGNIZED, CKR_DEVICE_ERROR.
    pub fn token_details(&self, slot: CK_SLOT_ID) -> Result<Details> {
        self.slots.token(slot)?.details()
    }

    /// The users of a slot's token.
    ///
    /// # Errors
    /// CKR_SLOT_ID_INVALID, CKR_TOKEN_NOT_RECOGNIZED, CKR_DEVICE_ERROR.
    pub fn users(&self, slot: CK_SLOT_ID) -> Result<Vec<UserEntry>> {
        self.slots.token(slot)?.users()
    }

    /// What is left of a token whose records are not those that were written.
    ///
    /// # Errors
    /// As [`Token::rescue`].
    ///
    /// [`Token::rescue`]: crate::token::Token::rescue
    pub fn rescue(&self, slot: CK_SLOT_ID, user: User, name: &[u8], pin: &[u8]) -> Result<Rescue> {
        self.slots.token(slot)?.rescue(user, name, pin)
    }

    /// Gives a locked user or SO its tries back, without a PIN.
    ///
    /// # Errors
    /// As [`Token::forgive`].
    ///
    /// [`Token::forgive`]: crate::token::Token::forgive
    pub fn forgive(&self, slot: CK_SLOT_ID, user: User, name: &[u8]) -> Result<()> {
        self.slots.token(slot)?.forgive(user, name)
    }

    /// Destroys a token for ever.
    ///
    /// # Errors
    /// CKR_SLOT_ID_INVALID, CKR_SESSION_EXISTS, CKR_PIN_INCORRECT, CKR_PIN_LOCKED.
    pub fn destroy_token(&self, slot: CK_SLOT_ID, so_pin: &[u8]) -> Result<()> {
        self.slots.destroy_token(slot, so_pin)?;
        self.sessions.forget_closed();
        Ok(())
    }

    /// Whether C_InitPIN would take this PIN in a token that C_InitToken makes in this slot.
    ///
    /// # Errors
    /// CKR_PIN_INVALID, CKR_PIN_LEN_RANGE.
    pub fn check_user_pin(&self, slot: CK_SLOT_ID, pin: &[u8]) -> Result<()> {
        self.slots.token(slot)?.check_user_pin(pin)
    }

    /// C_OpenSession.
    ///
    /// # Errors
    /// CKR_SESSION_PARALLEL_NOT_SUPPORTED, CKR_SESSION_ASYNC_NOT_SUPPORTED, CKR_SESSION_READ_WRITE_SO_EXISTS, CKR_TOKEN_NOT_RECOGNIZED.
    pub fn open_session(&self, slot: CK_SLOT_ID, flags: CK_FLAGS) -> Result<SessionHandle> {
        let read_write = flags & CKF_RW_SESSION != 0;
        self.sessions.open(|handle, place| {
            if let Some(closed) = place.as_mut().filter(|closed| closed.token().slot() == slot) {
                check_flags(flags)?;
                if closed.reopen(handle, read_write)? {
                    return Ok(());
                }
            }
            let token = self.slots.token(slot)?;
            check_flags(flags)?;
            *place = Some(Session::open(handle, token, read_write)?);
            Ok(())
        })
    }

    /// An open session, the caller's own as long as what is returned lives: closing it waits for that.
    ///
    /// # Errors
    /// CKR_SESSION_HANDLE_INVALID.
    pub fn session(&self, handle: SessionHandle) -> Result<Held<'_>> {
        self.session_for(handle, Seat::taken())
    }

    /// The same for who knows the seat of its thread.
    ///
    /// # Errors
    /// As [`Module::session`].
    #[inline(always)]
    pub fn session_for(&self, handle: SessionHandle, seat: Seat) -> Result<Held<'_>> {
        let session = self.sessions.find(handle, seat)?;
        session.let_go_of_revoked_keys();
        Ok(session)
    }

    /// C_Logout: all sessions with the token go back to their public state.
    ///
    /// # Errors
    /// CKR_USER_NOT_LOGGED_IN, CKR_SESSION_HANDLE_INVALID.
    pub fn logout(&self, session: SessionHandle) -> Result<()> {
        self.session(session)?.token().logout()?;
        self.sessions.for_each_idle(Session::let_go_of_revoked_keys);
        Ok(())
    }

    /// C_DestroyObject.
    ///
    /// # Errors
    /// As [`Session::destroy_object`].
    pub fn destroy_object(&self, session: SessionHandle, object: Handle) -> Result<()> {
        if self.session(session)?.destroy_object(object)? {
            self.sessions.for_each_idle(Session::let_go_of_revoked_keys);
        }
        Ok(())
    }

    /// C_CloseSession: ends its operations, destroys its objects; the last one of a token logs out.
    ///
    /// # Errors
    /// CKR_SESSION_HANDLE_INVALID.
    pub fn close_session(&self, handle: SessionHandle) -> Result<()> {
        self.sessions.close(handle)
    }

    /// C_CloseAllSessions.
    ///
    /// # Errors
    /// CKR_SLOT_ID_INVALID.
    pub fn close_all_sessions(&self, slot: CK_SLOT_ID) -> Result<()> {
        let token = self.slots.token(slot)?;
        self.sessions.close_all(|session| Arc::ptr_eq(session.token(), &token));
        Ok(())
    }

    /// What C_Finalize does before the module goes: every session ends, every token logs out.
    pub fn close_everything(&self) {
        self.sessions.close_all(|_| true);
    }
}

fn check_flags(flags: CK_FLAGS) -> Result<()> {
    if flags & CKF_SERIAL_SESSION == 0 {
        fail!(SessionParallelNotSupported, "CKF_SERIAL_SESSION must be set");
    }
    if flags & CKF_ASYNC_SESSION != 0 {
        fail!(SessionAsyncNotSupported, "CKF_ASYNC_SESSION: every function ends before it returns");
    }
    Ok(())
}
