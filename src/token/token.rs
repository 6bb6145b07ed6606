//! One token: who is logged in, and its objects, kept in step with the storage.

use super::built_in::BuiltIn;
use super::cloudhsm;
use super::config::{Config, Mode, Policy, Profile};
use super::objects::Objects;
use super::pin;
use super::policy::Rules;
use crate::error::Result;
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
use parking_lot::{Mutex, RwLock};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

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

#[derive(Default)]
pub(super) struct OpenSessions {
    pub(super) read_only: usize,
    pub(super) read_write: usize,
}

/// The opened storage of an initialised token and the rules its meta record sets.
pub struct Opened {
    pub(super) sealed: Arc<Sealed<Sqlite>>,
    pub(super) rules: Rules,
    pub(super) audit: OnceCell<Arc<Log>>,
    pub(super) built_in: BuiltIn,
}

impl Opened {
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
    pub(super) sessions: Mutex<OpenSessions>,
    pub(super) opened: RwLock<Option<Arc<Opened>>>,
    pub(super) login: RwLock<Option<Login>>,
    /// What `login` says, for a look without a lock: 0 nobody, 1 the user, 2 the SO.
    pub(super) user: AtomicU8,
    pub(super) objects: RwLock<Objects>,
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
            sessions: Mutex::default(),
            opened: RwLock::default(),
            login: RwLock::default(),
            user: AtomicU8::new(0),
            objects: RwLock::default(),
            seen: AtomicU64::new(UNSEEN),
            revocations: AtomicU64::new(0),
        }
    }

    /// Its slot.
    pub fn slot(&self) -> CK_SLOT_ID {
        self.slot
    }

    /// Who is logged in: for all sessions of the application alike.
    pub fn user(&self) -> Option<User> {
        match self.user.load(Ordering::Acquire) {
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
        Ok(Opened { sealed: Arc::new(sealed), rules, audit: OnceCell::new(), built_in: BuiltIn::default() })
    }

    fn rules_of(&self, meta: &Meta) -> Rules {
        let policy = match meta.policy {
            LifePolicy::Strict => Policy::Strict,
            LifePolicy::Spec | LifePolicy::Unset => Policy::Spec,
        };
        self.rules_for(policy, if meta.fips { Mode::Fips } else { Mode::NonFips })
    }

    pub(super) fn initialised(&self) -> Result<Arc<Opened>> {
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
        let sessions = self.sessions.lock();
        let sessions = (sessions.read_only + sessions.read_write, sessions.read_write);
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

    /// Counts a new session in.
    pub(crate) fn session_opened(&self, read_write: bool) -> Result<Arc<Opened>> {
        let opened = self.initialised()?;
        let mut sessions = self.sessions.lock();
        match read_write {
            false if !opened.rules.allow_read_only_sessions() => {
                fail!(FunctionFailed, "sessions of the cloudhsm profile are read/write")
            }
            false if self.user() == Some(User::So) => fail!(SessionReadWriteSoExists),
            false => sessions.read_only += 1,
            true => sessions.read_write += 1,
        }
        drop(sessions);
        Ok(opened)
    }

    /// Counts a session out and destroys the objects of `owner`; the last one logs out.
    pub(crate) fn session_closed(&self, owner: Option<CK_SESSION_HANDLE>, read_write: bool) {
        if let Some(owner) = owner {
            self.objects.write().remove_session(owner);
            self.revocations.fetch_add(1, Ordering::Release);
        }
        let mut sessions = self.sessions.lock();
        match read_write {
            true => sessions.read_write -= 1,
            false => sessions.read_only -= 1,
        }
        if sessions.read_only + sessions.read_write == 0 {
            // Nobody logged in is the usual case here.
            let _ = self.logout();
        }
    }

    // ---- initialisation, users and PINs ----

    /// C_InitToken.
    pub(crate) fn initialise(&self, so_pin: &[u8], label: &str) -> Result<()> {
        let sessions = self.sessions.lock();
        if sessions.read_only + sessions.read_write > 0 {
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
        *self.opened.write() = Some(Arc::new(self.open()?));
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
