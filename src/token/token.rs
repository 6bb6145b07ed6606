//! One token: who is logged in, and its objects, kept in step with the storage.

use super::built_in::BuiltIn;
use super::cloudhsm;
use super::config::{Config, Mode, Policy, Profile};
use super::objects::Objects;
use super::open_sessions::{Counted, OpenSessions};
use super::pin;
use super::policy::Rules;
use super::session_objects::SessionObjects;
use crate::error::Result;
use crate::kernel::biased::RwLock;
use crate::mechanism::{self, Mechanism};
use crate::storage::audit::Log;
use crate::storage::keyring::Kdf;
use crate::storage::meta::{LifePolicy, Meta};
use crate::storage::place::Place;
use crate::storage::sealed::{Keys, NewToken, PinState, Sealed};
use crate::storage::sqlite::Sqlite;
use crate::storage::{Revision, Stamp};
use cryptoki_sys::*;
use once_cell::sync::OnceCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

/// Who is logged in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum User {
    /// CKU_USER.
    Normal,
    /// CKU_SO.
    So,
}

/// CK_TOKEN_INFO, as far as tokens differ.
pub struct TokenInfo {
    /// Empty of a token that is not initialised.
    pub label: String,
    /// Sixteen hexadecimal digits.
    pub serial: String,
    /// "fips" or "non-fips".
    pub model: String,
    /// CKF_*.
    pub flags: CK_FLAGS,
    /// Sessions this application has open, and how many of them are read/write.
    pub sessions: (usize, usize),
    /// Shortest and longest PIN in bytes.
    pub pin_len: (usize, usize),
}

/// The opened storage of an initialised token and the rules its meta record sets.
pub struct Opened {
    pub(super) sealed: Arc<Sealed<Sqlite>>,
    pub(super) rules: Rules,
    pub(super) audit: OnceCell<Arc<Log>>,
    pub(super) built_in: BuiltIn,
    /// Whether it was initialised anew or destroyed since.
    pub(super) retired: AtomicBool,
}

impl Opened {
    /// Whether it is the token's storage no longer: no session is opened with it.
    pub fn is_retired(&self) -> bool {
        self.retired.load(Ordering::SeqCst)
    }

    /// The token's rules.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }
}

/// A login: what it opened.
pub(super) struct Login {
    pub(super) user: User,
    pub(super) keys: Arc<Keys>,
}

/// The token in one slot.
pub struct Token {
    pub(super) slot: CK_SLOT_ID,
    pub(super) config: Arc<Config>,
    pub(super) place: Arc<Place>,
    pub(super) handles: &'static AtomicU64,
    pub(super) sessions: OpenSessions,
    pub(super) opened: RwLock<Option<Arc<Opened>>>,
    pub(super) login: RwLock<Option<Login>>,
    /// What `login` says, for a look without a lock: 0 nobody, 1 the user, 2 the SO.
    pub(super) user: AtomicU8,
    pub(super) objects: RwLock<Objects>,
    pub(super) session_objects: SessionObjects,
    /// The storage's stamp up to which `objects` is current.
    pub(super) seen: AtomicU64,
    /// How many times objects were revoked: sessions then let go of their keys.
    pub(super) revocations: AtomicU64,
}

pub(super) const UNSEEN: u64 = Stamp::UNKNOWN.0;

impl Token {
    pub(super) fn new(
        slot: CK_SLOT_ID,
        config: Arc<Config>,
        place: Arc<Place>,
        handles: &'static AtomicU64,
    ) -> Token {
        Token {
            slot,
            config,
            place,
            handles,
            sessions: OpenSessions::default(),
            opened: RwLock::default(),
            login: RwLock::default(),
            user: AtomicU8::new(0),
            objects: RwLock::default(),
            session_objects: SessionObjects::default(),
            seen: AtomicU64::new(UNSEEN),
            revocations: AtomicU64::new(0),
        }
    }

    /// Its slot.
    pub fn slot(&self) -> CK_SLOT_ID {
        self.slot
    }

    /// Who is logged in: for all sessions of the application alike.
    #[inline]
    pub fn user(&self) -> Option<User> {
        match self.user.load(Ordering::SeqCst) {
            1 => Some(User::Normal),
            2 => Some(User::So),
            _ => None,
        }
    }

    /// How many times objects that somebody may hold were revoked.
    #[inline]
    pub fn revocations(&self) -> u64 {
        self.revocations.load(Ordering::Acquire)
    }

    /// The rules of this token.
    pub fn policy(&self) -> Rules {
        match &*self.opened.read() {
            Some(opened) => opened.rules,
            None => self.rules_for(self.config.policy, self.config.mode),
        }
    }

    pub(super) fn rules_for(&self, policy: Policy, mode: Mode) -> Rules {
        Rules { profile: self.config.profile, policy: policy.max(self.config.policy), mode }
    }

    /// The rows of the mechanisms it offers.
    pub fn mechanisms(&self) -> impl Iterator<Item = &'static Mechanism> {
        let rules = self.policy();
        mechanism::table::all().filter(move |row| rules.offers(row))
    }

    /// The storage of an initialised token, opened at first need.
    fn opened(&self) -> Result<Option<Arc<Opened>>> {
        if let Some(opened) = &*self.opened.read() {
            return Ok(Some(opened.clone()));
        }
        let mut slot = self.opened.write();
        if slot.is_none() {
            if !self.place.list()?.contains(&(self.slot as u64)) {
                return Ok(None);
            }
            *slot = Some(Arc::new(self.open()?));
        }
        Ok(slot.clone())
    }

    fn open(&self) -> Result<Opened> {
        let sealed = Sealed::open(self.place.token(self.slot as u64)?)?;
        let rules = self.rules_of(&sealed.info()?.meta);
        let retired = AtomicBool::new(false);
        Ok(Opened {
            sealed: Arc::new(sealed),
            rules,
            audit: OnceCell::new(),
            built_in: BuiltIn::default(),
            retired,
        })
    }

    /// Puts another storage in the place of the one that was initialised anew or destroyed.
    pub(super) fn supersede(&self, opened: Option<Arc<Opened>>) {
        if let Some(old) = std::mem::replace(&mut *self.opened.write(), opened) {
            old.retired.store(true, Ordering::SeqCst);
        }
    }

    fn rules_of(&self, meta: &Meta) -> Rules {
        let policy = match meta.policy {
            LifePolicy::Strict => Policy::Strict,
            LifePolicy::Spec | LifePolicy::Unset => Policy::Spec,
        };
        self.rules_for(policy, if meta.fips { Mode::Fips } else { Mode::NonFips })
    }

    pub(crate) fn initialised(&self) -> Result<Arc<Opened>> {
        match self.opened()? {
            Some(opened) => Ok(opened),
            None => fail!(TokenNotRecognized, "the token in slot {} is not initialised", self.slot),
        }
    }

    /// What C_GetTokenInfo tells.
    ///
    /// # Errors
    /// CKR_TOKEN_NOT_RECOGNIZED, CKR_DEVICE_ERROR.
    pub fn info(&self) -> Result<TokenInfo> {
        let (read_only, read_write) = self.sessions.counts();
        let sessions = (read_only + read_write, read_write);
        let mut flags = CKF_RNG | CKF_LOGIN_REQUIRED | CKF_DUAL_CRYPTO_OPERATIONS;
        let pin_len = pin::given_lengths(&self.policy());
        let Some(opened) = self.opened()? else {
            let model = mode_name(self.config.mode).to_string();
            return Ok(TokenInfo {
                label: String::new(),
                serial: String::new(),
                model,
                flags,
                sessions,
                pin_len,
            });
        };
        let info = opened.sealed.info()?;
        flags |= CKF_TOKEN_INITIALIZED;
        let states = [
            (info.user.set || info.named_users, CKF_USER_PIN_INITIALIZED),
            (count_low(&info.user), CKF_USER_PIN_COUNT_LOW),
            (info.user.left == 1, CKF_USER_PIN_FINAL_TRY),
            (info.user.left == 0, CKF_USER_PIN_LOCKED),
            (count_low(&info.so), CKF_SO_PIN_COUNT_LOW),
            (info.so.left == 1, CKF_SO_PIN_FINAL_TRY),
            (info.so.left == 0, CKF_SO_PIN_LOCKED),
            (info.write_protected, CKF_WRITE_PROTECTED),
        ];
        flags |= states.iter().filter(|(is, _)| *is).fold(0, |flags, (_, flag)| flags | flag);
        let model = mode_name(opened.rules.mode).to_string();
        let serial = info.meta.serial();
        Ok(TokenInfo { label: info.meta.label, serial, model, flags, sessions, pin_len })
    }

    // ---- sessions ----

    /// Counts a new session with this storage in; `None` if the storage is retired.
    ///
    /// # Errors
    /// CKR_SESSION_READ_WRITE_SO_EXISTS, CKR_FUNCTION_FAILED.
    #[inline]
    pub(crate) fn session_opened(&self, opened: &Opened, read_write: bool) -> Result<Option<Counted>> {
        if !read_write && !opened.rules.allow_read_only_sessions() {
            fail!(FunctionFailed, "sessions of the cloudhsm profile are read/write")
        }
        let counted = self.sessions.enter(read_write);
        if opened.is_retired() {
            self.count_out(counted);
            return Ok(None);
        }
        if !read_write && self.user() == Some(User::So) {
            self.count_out(counted);
            fail!(SessionReadWriteSoExists)
        }
        Ok(Some(counted))
    }

    /// Counts a session out and destroys the objects of `owner`; the last one logs out.
    pub(crate) fn session_closed(&self, owner: Option<CK_SESSION_HANDLE>, counted: Counted) {
        if owner.is_some_and(|owner| self.session_objects.remove_session(owner)) {
            self.announce_revocation();
        }
        self.count_out(counted);
    }

    #[inline]
    fn count_out(&self, counted: Counted) {
        // Where nobody is logged in, the last one has nothing to do.
        if self.sessions.leave(counted) && self.user().is_some() {
            let turn = self.sessions.turn();
            if turn.none() {
                // Another one may have been faster.
                let _ = self.logout();
            }
        }
    }

    // ---- initialisation, users and PINs ----

    /// C_InitToken.
    pub(crate) fn initialise(&self, so_pin: &[u8], label: &str) -> Result<()> {
        let turn = self.sessions.turn();
        if !turn.none() {
            fail!(SessionExists, "a session with the token is open");
        }
        let existing = self.opened()?;
        let fips = self.config.mode == Mode::Fips;
        let defaults = NewToken::default();
        let new = NewToken {
            label,
            fips,
            policy: match self.config.policy {
                Policy::Spec => LifePolicy::Unset,
                Policy::Strict => LifePolicy::Strict,
            },
            kdf: if fips { Kdf::DEFAULT_FIPS } else { Kdf::DEFAULT },
            so_pin,
            tries: match self.config.profile {
                Profile::Standard => defaults.tries,
                Profile::CloudHsm => (defaults.tries.0, cloudhsm::TRIES),
            },
            ..defaults
        };
        match existing {
            // The PIN of an SO there is need only be right, whatever lengths the rules want today.
            Some(opened) => opened.sealed.reinitialise(&new)?,
            None => {
                pin::check(so_pin, &self.rules_for(self.config.policy, self.config.mode))?;
                self.place.create(self.slot as u64, |storage| Sealed::create(storage, &new))?;
            }
        }
        let opened = Arc::new(self.open()?);
        self.supersede(Some(opened));
        let mut objects = self.objects.write();
        objects.remove_where(|_, _| true);
        objects.revision = Revision(0);
        self.seen.store(UNSEEN, Ordering::Release);
        drop(objects);
        self.record(None, "init token", "", label, None)
    }
}

fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Fips => "fips",
        Mode::NonFips => "non-fips",
    }
}

fn count_low(pin: &PinState) -> bool {
    pin.wrong > 0
}
