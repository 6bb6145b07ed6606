//! One token: who is logged in, and its objects, kept in step with the storage.

use super::config::{Config, Mode, Policy};
use super::objects::{Home, Objects, present};
use super::pin::{self, Pin};
use super::policy::Rules;
use crate::crypto::{Secret, random};
use crate::error::Result;
use crate::mechanism::{self, Mechanism};
use crate::object::{Attributes, Handle, Object, Secrets, template};
use crate::storage::{Changes, Info, Keys, NewToken, ObjectId, Place, Put, Revision, Role, Sealed};
use cryptoki_sys::*;
use parking_lot::{Mutex, RwLock};
use std::collections::HashSet;
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
struct OpenSessions {
    read_only: usize,
    read_write: usize,
}

/// The opened storage of an initialised token and the rules its meta record sets.
struct Opened {
    sealed: Arc<Sealed>,
    rules: Rules,
}

/// A login: what it opened.
struct Login {
    user: User,
    keys: Arc<Keys>,
}

/// The token in one slot.
pub struct Token {
    slot: u32,
    config: Arc<Config>,
    place: Arc<Place>,
    handles: Arc<AtomicU64>,
    sessions: Mutex<OpenSessions>,
    opened: RwLock<Option<Arc<Opened>>>,
    login: RwLock<Option<Login>>,
    /// What `login` says, for a look without a lock: 0 nobody, 1 the user, 2 the SO.
    user: AtomicU8,
    objects: RwLock<Objects>,
    /// The storage's change mark up to which `objects` is current; `UNSEEN` before the first load.
    seen: AtomicU64,
}

const UNSEEN: u64 = u64::MAX;

impl Token {
    pub(super) fn new(slot: u32, config: Arc<Config>, place: Arc<Place>, handles: Arc<AtomicU64>) -> Token {
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
        }
    }

    /// Its slot.
    pub fn slot(&self) -> CK_SLOT_ID {
        self.slot.into()
    }

    /// Who is logged in: for all sessions of the application alike.
    pub fn user(&self) -> Option<User> {
        match self.user.load(Ordering::Acquire) {
            1 => Some(User::Normal),
            2 => Some(User::So),
            _ => None,
        }
    }

    /// The rules of this token.
    pub fn policy(&self) -> Rules {
        match &*self.opened.read() {
            Some(opened) => opened.rules,
            None => self.rules_for(self.config.policy, self.config.mode),
        }
    }

    fn rules_for(&self, policy: Policy, mode: Mode) -> Rules {
        Rules { profile: self.config.profile, policy: policy.max(self.config.policy), mode }
    }

    /// The rows of the mechanisms it offers.
    pub fn mechanisms(&self) -> impl Iterator<Item = &'static Mechanism> {
        let rules = self.policy();
        mechanism::table::all().filter(move |row| rules.offers(row))
    }

    /// The row of one of them.
    ///
    /// # Errors
    /// CKR_MECHANISM_INVALID.
    pub fn mechanism(&self, number: CK_MECHANISM_TYPE) -> Result<&'static Mechanism> {
        match mechanism::find(number) {
            Some(row) if self.policy().offers(row) => Ok(row),
            Some(row) => fail!(MechanismInvalid, "{} is not offered in this profile and mode", row.name),
            None => fail!(MechanismInvalid, "mechanism {number:#x} is unknown"),
        }
    }

    /// The storage of an initialised token, opened at first need.
    fn opened(&self) -> Result<Option<Arc<Opened>>> {
        if let Some(opened) = &*self.opened.read() {
            return Ok(Some(opened.clone()));
        }
        let mut slot = self.opened.write();
        if slot.is_none() {
            let Some(storage) = self.place.open(self.slot)? else { return Ok(None) };
            *slot = Some(Arc::new(self.admit(Sealed::open(storage)?)?));
        }
        Ok(slot.clone())
    }

    fn admit(&self, sealed: Sealed) -> Result<Opened> {
        let rules = self.rules_of(&sealed.info()?);
        Ok(Opened { sealed: Arc::new(sealed), rules })
    }

    fn rules_of(&self, info: &Info) -> Rules {
        let (mode, policy) = traits::decode(info.traits);
        self.rules_for(policy, mode)
    }

    fn initialised(&self) -> Result<Arc<Opened>> {
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
        let pin_len = pin::lengths(&self.policy());
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
            (info.user_pin_set, CKF_USER_PIN_INITIALIZED),
            (info.user_tries.count_low(), CKF_USER_PIN_COUNT_LOW),
            (info.user_tries.final_try(), CKF_USER_PIN_FINAL_TRY),
            (info.user_tries.locked(), CKF_USER_PIN_LOCKED),
            (info.so_tries.count_low(), CKF_SO_PIN_COUNT_LOW),
            (info.so_tries.final_try(), CKF_SO_PIN_FINAL_TRY),
            (info.so_tries.locked(), CKF_SO_PIN_LOCKED),
            (info.write_protected, CKF_WRITE_PROTECTED),
        ];
        flags |= states.iter().filter(|(is, _)| *is).fold(0, |flags, (_, flag)| flags | flag);
        let model = mode_name(opened.rules.mode).to_string();
        Ok(TokenInfo { label: info.label, serial: info.serial, model, flags, sessions, pin_len })
    }

    // ---- sessions ----

    /// Counts a new session in.
    pub(crate) fn session_opened(&self, read_write: bool) -> Result<()> {
        self.initialised()?;
        let mut sessions = self.sessions.lock();
        match read_write {
            false if self.user() == Some(User::So) => fail!(SessionReadWriteSoExists),
            false => sessions.read_only += 1,
            true => sessions.read_write += 1,
        }
        Ok(())
    }

    /// Counts a session out and destroys its objects; the last one logs out.
    pub(crate) fn session_closed(&self, handle: CK_SESSION_HANDLE, read_write: bool) {
        self.objects.write().remove_where(|_, home| home == Home::Session(handle));
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
        let traits = traits::encode(self.config.mode, self.config.policy);
        let new = NewToken { label, traits, approved_kdf: self.config.mode == Mode::Fips, so_pin };
        match existing {
            Some(opened) => {
                // The PIN of an SO there is need only be right, whatever lengths the rules want today.
                opened.sealed.reinitialise(&new)?;
                let sealed = opened.sealed.clone();
                let rules = self.rules_of(&sealed.info()?);
                *self.opened.write() = Some(Arc::new(Opened { sealed, rules }));
            }
            None => {
                pin::check(so_pin, &self.policy())?;
                let sealed = Sealed::create(&self.place, self.slot, &new)?;
                *self.opened.write() = Some(Arc::new(self.admit(sealed)?));
            }
        }
        self.objects.write().remove_where(|_, _| true);
        self.seen.store(UNSEEN, Ordering::Release);
        Ok(())
    }

    pub(crate) fn login(&self, user: User, name: &[u8], pin: &[u8]) -> Result<()> {
        let opened = self.initialised()?;
        let sessions = self.sessions.lock();
        match self.user() {
            Some(who) if who == user => fail!(UserAlreadyLoggedIn),
            Some(_) => fail!(UserAnotherAlreadyLoggedIn),
            None if user == User::So && sessions.read_only > 0 => fail!(SessionReadOnlyExists),
            None => {}
        }
        let pin = Pin::parse(user, name, pin, self.config.profile)?;
        let keys = opened.sealed.login(role(user), &pin.name, pin.secret)?;
        *self.login.write() = Some(Login { user, keys: Arc::new(keys) });
        self.seen.store(UNSEEN, Ordering::Release);
        self.user.store(if user == User::Normal { 1 } else { 2 }, Ordering::Release);
        // What is stored shows only now, or is found to be forged.
        self.refresh().inspect_err(|_| {
            let _ = self.logout();
        })
    }

    /// Checks the user's PIN once more (CKU_CONTEXT_SPECIFIC).
    pub(crate) fn verify_pin(&self, pin: &[u8]) -> Result<()> {
        let Some(user) = self.user() else { fail!(UserNotLoggedIn) };
        let pin = Pin::parse(user, b"", pin, self.config.profile)?;
        self.initialised()?.sealed.login(role(user), &pin.name, pin.secret).map(drop)
    }

    pub(crate) fn logout(&self) -> Result<()> {
        let mut login = self.login.write();
        if login.take().is_none() {
            fail!(UserNotLoggedIn, "nobody is logged in");
        }
        self.user.store(0, Ordering::Release);
        // Private session objects end with the login, and the handles of the stored ones for good.
        self.objects.write().remove_where(|object, _| object.is_private());
        Ok(())
    }

    pub(crate) fn init_pin(&self, pin: &[u8]) -> Result<()> {
        let login = self.login.read();
        let Some(Login { user: User::So, keys }) = &*login else {
            fail!(UserNotLoggedIn, "only the SO sets the user's PIN")
        };
        let opened = self.initialised()?;
        let pin = Pin::parse(User::Normal, b"", pin, self.config.profile)?;
        pin::check(pin.secret, &opened.rules)?;
        opened.sealed.init_pin(keys, &pin.name, pin.secret)
    }

    pub(crate) fn set_pin(&self, old: &[u8], new: &[u8]) -> Result<()> {
        let user = self.user().unwrap_or(User::Normal);
        let opened = self.initialised()?;
        let (old, new) = (
            Pin::parse(user, b"", old, self.config.profile)?,
            Pin::parse(user, b"", new, self.config.profile)?,
        );
        if old.name != new.name {
            fail!(PinInvalid, "the new PIN names another user");
        }
        pin::check(new.secret, &opened.rules)?;
        opened.sealed.set_pin(role(user), &old.name, old.secret, new.secret)
    }

    // ---- objects ----

    /// Takes in what other processes changed. Costs two loads when nothing did.
    ///
    /// # Errors
    /// CKR_DEVICE_ERROR if the storage cannot be read or was tampered with.
    pub fn refresh(&self) -> Result<()> {
        let opened = match &*self.opened.read() {
            Some(opened) if opened.sealed.mark() != self.seen.load(Ordering::Acquire) => opened.clone(),
            _ => return Ok(()),
        };
        let login = self.login.read();
        let replaced = self.load(&opened, login.as_ref())?;
        drop(login);
        if replaced {
            // Nobody may be logged in, which is as well.
            let _ = self.logout();
        }
        Ok(())
    }

    /// Brings `objects` up to date. True if the token is another one now.
    fn load(&self, opened: &Opened, login: Option<&Login>) -> Result<bool> {
        let mut objects = self.objects.write();
        // Read before loading: a commit in between is loaded twice rather than missed.
        let mark = opened.sealed.mark();
        let since = objects.revision().filter(|_| self.seen.load(Ordering::Acquire) != UNSEEN);
        let changes = opened.sealed.load(since, login.map(|login| &*login.keys))?;
        let replaced = changes.replaced;
        self.apply(&mut objects, changes, login)?;
        self.seen.store(mark, Ordering::Release);
        Ok(replaced)
    }

    fn apply(&self, objects: &mut Objects, changes: Changes, login: Option<&Login>) -> Result<()> {
        if changes.complete {
            let there: HashSet<ObjectId> = changes.stored.iter().map(|stored| stored.id).collect();
            objects.remove_where(|_, home| matches!(home, Home::Stored(id, _) if !there.contains(&id)));
        }
        for id in &changes.deleted {
            if let Some(handle) = objects.handle_of(id) {
                objects.remove(handle);
            }
        }
        // The SO holds the token key but has no private objects.
        let sees_private = login.is_some_and(|login| login.user == User::Normal);
        for stored in changes.stored {
            let home = Home::Stored(stored.id, stored.revision);
            let handle = objects.handle_of(&stored.id);
            if handle.is_some_and(|handle| objects.get(handle).is_some_and(|(_, there)| there == home)) {
                continue;
            }
            let attributes = Attributes::decode(stored.attributes.expose())?;
            if attributes.is_true(CKA_PRIVATE) && !sees_private {
                continue;
            }
            match handle.and_then(|handle| objects.get(handle)) {
                Some((old, _)) => {
                    let new = Arc::new(old.with_attributes(attributes));
                    objects.replace(new, home);
                }
                None => {
                    let open = Box::new(move || Attributes::decode(stored.open_secrets()?.expose()));
                    let object = Object::new(self.next_handle(), attributes, Secrets::sealed(open));
                    objects.insert(Arc::new(object), home);
                }
            }
        }
        objects.set_revision(changes.revision);
        Ok(())
    }

    fn next_handle(&self) -> Handle {
        self.handles.fetch_add(1, Ordering::Relaxed) as Handle
    }

    fn visible(&self, object: &Object) -> bool {
        !object.is_private() || self.user() == Some(User::Normal)
    }

    /// An object that the application may see.
    ///
    /// # Errors
    /// CKR_OBJECT_HANDLE_INVALID.
    pub fn object(&self, handle: Handle) -> Result<Arc<Object>> {
        let objects = self.objects.read();
        let object = objects.get(handle).map(|(object, _)| object).filter(|object| self.visible(object));
        present(object, handle).cloned()
    }

    /// All objects that the application may see and that match, in ascending order.
    pub fn find(&self, template: &Attributes) -> Vec<Handle> {
        self.objects.read().find(template, |object| self.visible(object))
    }

    /// Makes an object: a token object is on disk when this returns, a session object ends with `session`.
    ///
    /// # Errors
    /// CKR_USER_NOT_LOGGED_IN, and as the storage.
    pub fn create(&self, session: CK_SESSION_HANDLE, attributes: Attributes) -> Result<Handle> {
        Ok(self.create_all(session, vec![attributes])?[0])
    }

    /// Makes two objects, or none.
    ///
    /// # Errors
    /// As [`Token::create`].
    pub fn create_pair(
        &self,
        session: CK_SESSION_HANDLE,
        public: Attributes,
        private: Attributes,
    ) -> Result<(Handle, Handle)> {
        let handles = self.create_all(session, vec![public, private])?;
        Ok((handles[0], handles[1]))
    }

    fn create_all(&self, session: CK_SESSION_HANDLE, new: Vec<Attributes>) -> Result<Vec<Handle>> {
        let drafts: Vec<(Object, ObjectId)> = new
            .into_iter()
            .map(|mut attributes| {
                let id: ObjectId = random::array();
                attributes.set(CKA_UNIQUE_ID, unique_id(&id).as_bytes());
                let secrets = template::take_secrets(&mut attributes);
                (Object::new(self.next_handle(), attributes, Secrets::opened(secrets)), id)
            })
            .collect();
        self.keep(session, drafts)
    }

    /// C_CopyObject, once the copy's attributes are judged.
    ///
    /// # Errors
    /// As [`Token::create`].
    pub fn copy(
        &self,
        session: CK_SESSION_HANDLE,
        object: &Object,
        mut attributes: Attributes,
    ) -> Result<Handle> {
        let id: ObjectId = random::array();
        attributes.set(CKA_UNIQUE_ID, unique_id(&id).as_bytes());
        Ok(self.keep(session, vec![(object.copy(self.next_handle(), attributes), id)])?[0])
    }

    /// Stores those that are token objects and shows all.
    fn keep(&self, session: CK_SESSION_HANDLE, drafts: Vec<(Object, ObjectId)>) -> Result<Vec<Handle>> {
        let login = self.login.read();
        let mut records = Vec::new();
        for (object, id) in drafts.iter().filter(|(object, _)| object.is_token()) {
            records.push(Record::of(object, *id, None)?);
        }
        let revision = match records.is_empty() {
            true => 0,
            false => self.commit(login.as_ref(), &records, &[])?,
        };
        let mut objects = self.objects.write();
        let mut handles = Vec::with_capacity(drafts.len());
        for (object, id) in drafts {
            handles.push(object.handle());
            let home = if object.is_token() { Home::Stored(id, revision) } else { Home::Session(session) };
            // Another thread's refresh may have brought it already, under a handle of its own.
            if let Some(handle) = objects.handle_of(&id) {
                objects.remove(handle);
            }
            objects.insert(Arc::new(object), home);
        }
        Ok(handles)
    }

    fn commit(&self, login: Option<&Login>, records: &[Record], deletes: &[ObjectId]) -> Result<Revision> {
        let Some(login) = login else { fail!(UserNotLoggedIn, "writing a token object takes a login") };
        let puts: Vec<Put<'_>> = records.iter().map(Record::put).collect();
        self.initialised()?.sealed.commit(&login.keys, &puts, deletes)
    }

    /// C_SetAttributeValue, once the changes are judged: gives `object` these attributes.
    ///
    /// # Errors
    /// CKR_OBJECT_HANDLE_INVALID if another thread or process was faster; as the storage.
    pub fn change(&self, object: &Object, attributes: Attributes) -> Result<()> {
        let login = self.login.read();
        let home = {
            let objects = self.objects.read();
            let (there, home) = present(objects.get(object.handle()), object.handle())?;
            if !std::ptr::eq(&**there, object) {
                fail!(FunctionFailed, "the object was changed meanwhile; try again");
            }
            home
        };
        let new = object.with_attributes(attributes);
        let home = match home {
            Home::Session(_) => home,
            Home::Stored(id, revision) => {
                let record = Record::of(&new, id, Some(revision))?;
                Home::Stored(id, self.commit(login.as_ref(), &[record], &[])?)
            }
        };
        self.objects.write().replace(Arc::new(new), home);
        Ok(())
    }

    /// C_DestroyObject, once it is allowed.
    ///
    /// # Errors
    /// CKR_OBJECT_HANDLE_INVALID; as the storage.
    pub fn destroy(&self, handle: Handle) -> Result<()> {
        let login = self.login.read();
        let home = present(self.objects.read().get(handle), handle)?.1;
        if let Home::Stored(id, _) = home {
            self.commit(login.as_ref(), &[], &[id])?;
        }
        self.objects.write().remove(handle);
        Ok(())
    }
}

/// An object as the storage takes it.
struct Record {
    id: ObjectId,
    class: u64,
    private: bool,
    attributes: Secret,
    secrets: Secret,
    expected: Option<Revision>,
}

impl Record {
    fn of(object: &Object, id: ObjectId, expected: Option<Revision>) -> Result<Record> {
        Ok(Record {
            id,
            class: object.class() as u64,
            private: object.is_private(),
            attributes: object.attributes().encode(),
            secrets: object.secrets()?.encode(),
            expected,
        })
    }

    fn put(&self) -> Put<'_> {
        Put {
            id: self.id,
            class: self.class,
            private: self.private,
            attributes: self.attributes.expose(),
            secrets: self.secrets.expose(),
            expected: self.expected,
        }
    }
}

/// CKA_UNIQUE_ID: the object's name in its token, in hexadecimal.
fn unique_id(id: &ObjectId) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn role(user: User) -> Role {
    match user {
        User::Normal => Role::User,
        User::So => Role::So,
    }
}

fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Fips => "fips",
        Mode::NonFips => "non-fips",
    }
}

/// The bits that the storage keeps with the token for life.
mod traits {
    use super::{Mode, Policy};

    const FIPS: u32 = 1;
    const STRICT: u32 = 2;

    pub fn encode(mode: Mode, policy: Policy) -> u32 {
        let fips = if mode == Mode::Fips { FIPS } else { 0 };
        fips | if policy == Policy::Strict { STRICT } else { 0 }
    }

    pub fn decode(traits: u32) -> (Mode, Policy) {
        let mode = if traits & FIPS != 0 { Mode::Fips } else { Mode::NonFips };
        (mode, if traits & STRICT != 0 { Policy::Strict } else { Policy::Spec })
    }
}
