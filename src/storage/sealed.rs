//! A token: its users, its PINs and its objects, over any [`Storage`].
//!
//! Nothing here remembers what another process may change: every answer is as of the storage's present
//! state, and what is kept is kept under its [`Stamp`].

use super::keyring::{Kdf, MAX_NAME, Role, TokenKeys, User, UserId, tries_record, user_record};
use super::meta::{self, LifePolicy, MAX_LABEL, Meta};
use super::record::{Content, ObjectId, Stored, object_of, object_record};
use super::set::{self, Author, Verified};
use super::tries::Tries;
use super::{Batch, Changes, Record, Revision, Stamp, Storage, View};
use crate::crypto::Secret;
use crate::crypto::seal::{random_array, random_key};
use crate::error::{Error, Result, Rv};
use parking_lot::Mutex;
use std::collections::HashSet;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How a token is to be made (C_InitToken).
#[derive(Clone)]
pub struct NewToken<'a> {
    /// At most [`MAX_LABEL`] bytes, without padding.
    pub label: &'a str,
    /// In FIPS mode, for life.
    pub fips: bool,
    /// For life.
    pub policy: LifePolicy,
    /// The profile, for people to know.
    pub profile: &'a str,
    /// The SO's.
    pub so_pin: &'a [u8],
    /// What deriving a key from a PIN costs.
    pub kdf: Kdf,
    /// Whether the SO can set a forgotten PIN anew without losing objects.
    pub escrow: bool,
    /// Wrong PINs until the SO, and a user, is locked out; at least 1.
    pub tries: (u32, u32),
}

impl Default for NewToken<'_> {
    fn default() -> Self {
        NewToken {
            label: "",
            fips: false,
            policy: LifePolicy::Unset,
            profile: "",
            so_pin: b"",
            kdf: Kdf::DEFAULT,
            escrow: true,
            tries: (10, 10),
        }
    }
}

/// What stands in C_GetTokenInfo's flags about one PIN.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PinState {
    /// There is a PIN.
    pub set: bool,
    /// Wrong since the last right one: COUNT_LOW unless 0.
    pub wrong: u32,
    /// Left: FINAL_TRY at 1, LOCKED at 0.
    pub left: u32,
}

/// What can be told of a token without a PIN.
#[derive(Clone, Debug)]
pub struct Info {
    /// See there.
    pub meta: Meta,
    /// Of the SO's PIN.
    pub so: PinState,
    /// Of the normal user's (the one without a name).
    pub user: PinState,
    /// Nothing can be written, for reasons of the file or of the token.
    pub write_protected: bool,
}

/// One who has logged in: the keys, wiped when dropped.
pub struct Keys {
    role: Role,
    name: String,
    user: UserId,
    key: Secret,
    token: TokenKeys,
    verified: Mutex<Verified>,
    /// The token is damaged and was opened to save what is there.
    rescue: bool,
}

impl Keys {
    /// SO or user.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Empty for the SO and for the normal user.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The id that owned objects bear.
    pub fn user(&self) -> UserId {
        self.user
    }

    fn opener(&self) -> Option<(&UserId, &Secret)> {
        (self.role == Role::User).then_some((&self.user, &self.key))
    }
}

/// What has become of the objects.
pub struct Loaded {
    /// For the next [`Sealed::load`].
    pub upto: Revision,
    /// For [`Sealed::unchanged_since`].
    pub stamp: Stamp,
    /// These are all there are: what is not among them is gone.
    pub complete: bool,
    /// New and changed ones.
    pub stored: Vec<Stored>,
    /// Deleted ones.
    pub gone: Vec<ObjectId>,
    /// What must not be used or shown, and why; to be logged. Other things than objects have no id.
    pub refused: Vec<(Option<ObjectId>, Error)>,
}

/// The secrets of an object that is written.
pub enum NewSecrets<'a> {
    /// These; empty for none.
    Set(&'a Secret),
    /// Those it has.
    Keep,
}

/// One thing to write.
pub enum Change<'a> {
    /// Makes or replaces an object.
    Put {
        /// Its name, from [`super::record::object_id`].
        id: ObjectId,
        /// The revision it is thought to be of; none to make it.
        at: Option<Revision>,
        /// CKA_PRIVATE.
        private: bool,
        /// CKA_CLASS.
        class: u64,
        /// Opaque bytes.
        attributes: &'a [u8],
        /// Opaque bytes.
        secrets: NewSecrets<'a>,
    },
    /// Deletes an object.
    Delete {
        /// Its name.
        id: ObjectId,
        /// The revision it is thought to be of.
        at: Revision,
    },
}

/// How [`Sealed::commit`] went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Commit {
    /// Everything is written, as of this revision.
    Done(Revision),
    /// Nothing is written: this object is not at the revision it was thought to be.
    Stale(ObjectId),
}

/// What the SO can alter on a token.
#[derive(Clone, Default)]
pub struct Alteration<'a> {
    /// Another label.
    pub label: Option<&'a str>,
    /// Whether objects can be changed.
    pub limited_write: Option<bool>,
    /// A higher cost for PINs that are set from now on.
    pub kdf: Option<Kdf>,
}

/// A token in a storage.
pub struct Sealed<S: Storage + ?Sized = dyn Storage> {
    info: Mutex<Option<(Stamp, Info)>>,
    storage: Box<S>,
}

/// How long a login waits for others under way when together they fill the limit.
const CROWD: Duration = Duration::from_secs(5);

impl<S: Storage> Sealed<S> {
    /// Makes a token in an empty storage, for `Place::create`.
    ///
    /// # Errors
    /// CKR_ARGUMENTS_BAD for a label too long; [`Storage`]'s.
    pub fn create(storage: &S, new: &NewToken) -> Result<()> {
        let meta = new.meta()?;
        let (token, so) = founders(&meta, new)?;
        storage
            .transact(&mut |view| {
                if view.revision() != Revision(0) {
                    fail!(DeviceError, "there is a token already");
                }
                found(view, &meta, &token, &so)
            })
            .map(drop)
    }

    /// Opens the token in a storage.
    ///
    /// # Errors
    /// CKR_TOKEN_NOT_RECOGNIZED if there is none, or one of a later format.
    pub fn open(storage: S) -> Result<Sealed<S>> {
        let sealed = Sealed { info: Mutex::new(None), storage: Box::new(storage) };
        sealed.storage.read(&mut |view| load_meta(view).map(drop))?;
        Ok(sealed)
    }

    /// The storage back, for closing or abandoning it.
    pub fn into_storage(self) -> S {
        *self.storage
    }
}

impl NewToken<'_> {
    fn meta(&self) -> Result<Meta> {
        check_label(self.label)?;
        if self.profile.len() > MAX_LABEL || self.tries.0 == 0 || self.tries.1 == 0 {
            fail!(ArgumentsBad, "a profile's name too long, or no tries at all");
        }
        Ok(Meta {
            token: random_array(),
            label: self.label.into(),
            created: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
            fips: self.fips,
            policy: self.policy,
            profile: self.profile.into(),
            kdf: self.kdf,
            so_tries: self.tries.0,
            user_tries: self.tries.1,
            escrow: self.escrow,
            limited_write: false,
        })
    }
}

fn check_label(label: &str) -> Result<()> {
    if label.len() > MAX_LABEL {
        fail!(ArgumentsBad, "a label of {} bytes; 32 fit", label.len())
    } else {
        Ok(())
    }
}

/// A new token's keys and its SO.
fn founders(meta: &Meta, new: &NewToken) -> Result<(TokenKeys, User)> {
    let token = TokenKeys::new(meta.token, random_key());
    let (so, _) = User::new(&token, Role::So, "", new.so_pin, new.kdf, None)?;
    Ok((token, so))
}

fn found(view: &dyn View, meta: &Meta, token: &TokenKeys, so: &User) -> Result<Batch> {
    let mut author = Author::afresh(view, token);
    author.put(meta::RECORD.into(), meta.body())?;
    author.put(user_record(Role::So, ""), so.body())?;
    author.put_plain(tries_record(Role::So, ""), Tries::default().body());
    author.finish()
}

fn load_meta(view: &dyn View) -> Result<Meta> {
    let Some(record) = view.record(meta::RECORD)? else {
        fail!(TokenNotRecognized, "there is no token in it")
    };
    set::body(&record, None).and_then(Meta::parse).map_err(|error| error.recode(Rv::TokenNotRecognized))
}

fn load_user(
    view: &dyn View,
    role: Role,
    name: &str,
    token: Option<&TokenKeys>,
) -> Result<Option<(User, Revision)>> {
    let Some(record) = view.record(&user_record(role, name))? else { return Ok(None) };
    let user = User::parse(set::body(&record, token)?)?;
    Ok(Some((user, record.revision)))
}

fn load_tries(view: &dyn View, key: &[u8]) -> Result<Tries> {
    view.record(key)?.map_or(Ok(Tries::default()), |record| Tries::parse(set::plain_body(&record)?))
}

fn limit(meta: &Meta, role: Role) -> u32 {
    if role == Role::So { meta.so_tries } else { meta.user_tries }
}

/// What a try at a PIN found before the PIN was looked at.
struct Attempt {
    meta: Meta,
    user: Option<(User, Revision)>,
    counter: Vec<u8>,
}

/// A right PIN.
struct Opened {
    meta: Meta,
    user: User,
    written: Revision,
    key: Secret,
}

impl<S: Storage + ?Sized> Sealed<S> {
    /// True if nothing was written since `seen`, at the cost of a read from memory.
    pub fn unchanged_since(&self, seen: Stamp) -> bool {
        self.storage.stamp().unchanged_since(seen)
    }

    /// What can be told without a PIN.
    pub fn info(&self) -> Result<Info> {
        let stamp = self.storage.stamp();
        if let Some((seen, info)) = &*self.info.lock()
            && stamp.unchanged_since(*seen)
        {
            return Ok(info.clone());
        }
        let mut found = None;
        self.storage.read(&mut |view| {
            let meta = load_meta(view)?;
            let pin = |role| -> Result<PinState> {
                let set = view.record(&user_record(role, ""))?.is_some();
                let limit = limit(&meta, role);
                // A damaged counter shows as a lock-out, which it is until someone forgives.
                let left = load_tries(view, &tries_record(role, "")).map_or(0, |tries| tries.left(limit));
                Ok(PinState { set, wrong: limit - left, left })
            };
            let (so, user) = (pin(Role::So)?, pin(Role::User)?);
            let write_protected = self.storage.write_protected() || meta.limited_write;
            found = Some(Info { meta, so, user, write_protected });
            Ok(())
        })?;
        let info = found.ok_or(Rv::GeneralError)?;
        *self.info.lock() = Some((stamp, info.clone()));
        Ok(info)
    }

    /// Logs in: the keys, and all objects, authenticated.
    ///
    /// # Errors
    /// CKR_PIN_INCORRECT (an unknown name as well, after the same time), CKR_PIN_LOCKED,
    /// CKR_USER_PIN_NOT_INITIALIZED; CKR_TOKEN_NOT_RECOGNIZED if the token's own record is forged, and
    /// CKR_DEVICE_ERROR, saying how, if the records are not all those that were written: see [`Sealed::rescue`].
    pub fn login(&self, role: Role, name: &str, pin: &[u8]) -> Result<(Keys, Loaded)> {
        let keys = self.unlock(role, name, pin)?;
        let loaded = self.load(Revision(0), Some(&keys))?;
        Ok((keys, loaded))
    }

    /// Logs in to a token that [`Sealed::login`] refuses, to read what is left. These keys write nothing
    /// but [`Sealed::accept`]. The error is what is wrong with the token, if something is.
    pub fn rescue(&self, role: Role, name: &str, pin: &[u8]) -> Result<(Keys, Loaded, Option<Error>)> {
        let mut keys = self.unlock(role, name, pin)?;
        keys.rescue = true;
        let changes = self.storage.load(Revision(0))?;
        let wrong = keys.verified.lock().take(&keys.token, &changes).err();
        let loaded = sort(changes, Some(&keys))?;
        Ok((keys, loaded, wrong))
    }

    /// Declares the records that are there to be the token: the operator's decision, after a rescue.
    pub fn accept(&self, keys: &Keys) -> Result<()> {
        loop {
            let changes = self.storage.load(Revision(0))?;
            let mut stale = false;
            self.storage.transact(&mut |view| {
                stale = view.revision() != changes.upto;
                if stale {
                    return Ok(Batch::default());
                }
                let mut author = Author::recount(view, &keys.token);
                changes.records.iter().for_each(|record| author.keep(record));
                author.finish()
            })?;
            if !stale {
                return Ok(());
            }
        }
    }

    fn unlock(&self, role: Role, name: &str, pin: &[u8]) -> Result<Keys> {
        let Opened { meta, user, key, .. } = self.open_pin(role, name, pin)?;
        let token = user.open_token(&meta.token, &key)?;
        Ok(Keys {
            role,
            name: name.into(),
            user: user.id,
            key,
            token,
            verified: Mutex::default(),
            rescue: false,
        })
    }

    /// Checks a PIN and counts it, as for CKU_CONTEXT_SPECIFIC.
    ///
    /// # Errors
    /// As [`Sealed::login`].
    pub fn verify_pin(&self, role: Role, name: &str, pin: &[u8]) -> Result<()> {
        self.open_pin(role, name, pin).map(drop)
    }

    fn open_pin(&self, role: Role, name: &str, pin: &[u8]) -> Result<Opened> {
        let Attempt { meta, user, counter } = self.begin_attempt(role, name)?;
        let opened = match &user {
            Some((user, _)) => user.open(&meta.token, pin)?,
            // The same time for a name that is not there.
            None => meta.kdf.derive(pin, &random_array::<16>()).map(|_| None)?,
        };
        let Some(key) = opened else {
            self.count(&counter, Tries::wrong)?;
            return Err(Rv::PinIncorrect.into());
        };
        self.count(&counter, |_| Tries::default())?;
        let (user, written) = user.ok_or(Rv::GeneralError)?;
        Ok(Opened { meta, user, written, key })
    }

    /// Reserves a try, on the disk before it returns. If the limit is reached by tries under way, waits for
    /// their outcome: many processes of one application may log in at once.
    fn begin_attempt(&self, role: Role, name: &str) -> Result<Attempt> {
        let deadline = Instant::now() + CROWD;
        let mut found = None;
        let mut look = |view: &dyn View| -> Result<Option<(Tries, Vec<u8>)>> {
            let meta = load_meta(view)?;
            let user = if name.len() <= MAX_NAME { load_user(view, role, name, None)? } else { None };
            if user.is_none() && name.is_empty() {
                fail!(UserPinNotInitialized);
            }
            // One counter for all names that are not there, lest each leaves a record.
            let counter =
                if user.is_some() { tries_record(role, name) } else { tries_record(Role::User, "\0") };
            let tries = load_tries(view, &counter)?;
            let limit = if user.is_some() { limit(&meta, role) } else { u32::MAX };
            if tries.failed >= limit {
                fail!(PinLocked);
            }
            let reserved = tries.reserve(limit);
            found = Some(Attempt { meta, user, counter: counter.clone() });
            Ok(reserved.map(|tries| (tries, counter)))
        };
        loop {
            let mut reserved = false;
            if self.storage.write_protected() {
                // What cannot be counted is slowed down by the derivation alone.
                self.storage.read(&mut |view| look(view).map(drop))?;
                break;
            }
            self.storage.transact(&mut |view| {
                let mut batch = Batch::default();
                if let Some((tries, counter)) = look(view)? {
                    let value = set::plain_value(&counter, view.revision().next(), tries.body());
                    batch.put(counter, value);
                    reserved = true;
                }
                Ok(batch)
            })?;
            if reserved {
                break;
            }
            if Instant::now() > deadline {
                // Their processes died with the PIN in hand: those tries are lost.
                fail!(PinLocked);
            }
            sleep(Duration::from_millis(5));
        }
        found.ok_or_else(|| Rv::GeneralError.into())
    }

    fn count(&self, counter: &[u8], outcome: impl Fn(Tries) -> Tries) -> Result<()> {
        if self.storage.write_protected() {
            return Ok(());
        }
        let write = |view: &dyn View| {
            let mut batch = Batch::default();
            let before = load_tries(view, counter)?;
            let after = outcome(before);
            if after != before {
                batch.put(counter, set::plain_value(counter, view.revision().next(), after.body()));
            }
            Ok(batch)
        };
        self.storage.transact(&mut |view| write(view)).map(drop)
    }

    /// Gives a locked user, or the SO, all tries back: the operator's way out, for whoever can write the file.
    /// (Who can write the file can guess at a copy of it, uncounted; the counter is against callers.)
    pub fn forgive(&self, role: Role, name: &str) -> Result<()> {
        let counter = tries_record(role, name);
        self.storage
            .transact(&mut |view| {
                let mut batch = Batch::default();
                batch.put(
                    counter.clone(),
                    set::plain_value(&counter, view.revision().next(), Tries::default().body()),
                );
                Ok(batch)
            })
            .map(drop)
    }

    /// Changes a PIN, of whoever knows it (C_SetPIN).
    ///
    /// # Errors
    /// As [`Sealed::login`]; CKR_FUNCTION_FAILED if another process changed it at the same time.
    pub fn set_pin(&self, role: Role, name: &str, old: &[u8], new: &[u8]) -> Result<()> {
        let Opened { meta, mut user, written, key } = self.open_pin(role, name, old)?;
        let token = user.open_token(&meta.token, &key)?;
        user.set_pin(&meta.token, &key, new, meta.kdf)?;
        self.author(&token, &mut |author, view| {
            if load_user(view, role, name, Some(&token))?.is_none_or(|(_, now)| now != written) {
                fail!(FunctionFailed, "another process changed the PIN at the same time");
            }
            author.put(user_record(role, name), user.body())
        })
        .map(drop)
    }

    /// Sets a user's PIN, new or forgotten, makes the user if need be, and gives all tries back (C_InitPIN).
    ///
    /// # Errors
    /// CKR_USER_NOT_LOGGED_IN unless `so` is the SO's; CKR_FUNCTION_REJECTED if the user was made without
    /// escrow, as the objects would be lost.
    pub fn init_pin(&self, so: &Keys, name: &str, pin: &[u8]) -> Result<()> {
        if so.role != Role::So {
            fail!(UserNotLoggedIn, "only the SO sets another's PIN");
        }
        if name.len() > MAX_NAME || name.contains('\0') {
            fail!(ArgumentsBad, "a user's name has at most {MAX_NAME} bytes and none is zero");
        }
        let record = user_record(Role::User, name);
        let (mut before, mut meta) = (None, None);
        self.storage.read(&mut |view| {
            before = load_user(view, Role::User, name, Some(&so.token))?;
            meta = Some(load_meta(view)?);
            Ok(())
        })?;
        let meta = meta.ok_or(Rv::GeneralError)?;
        // The slow part, outside of the transaction.
        let user = match &before {
            None => User::new(&so.token, Role::User, name, pin, meta.kdf, meta.escrow.then_some(&so.key))?.0,
            Some((user, _)) => {
                let mut user = user.clone();
                let Some(key) = user.open_escrow(&so.token.id, &so.key)? else {
                    fail!(FunctionRejected, "without escrow only the user can change the PIN");
                };
                user.set_pin(&so.token.id, &key, pin, meta.kdf)?;
                user
            }
        };
        self.write(so, &mut |author, view| {
            let now = load_user(view, Role::User, name, Some(&so.token))?.map(|(_, now)| now);
            if now != before.as_ref().map(|(_, then)| *then) {
                fail!(FunctionFailed, "another process changed the PIN at the same time");
            }
            author.put(record.clone(), user.body())?;
            author.put_plain(tries_record(Role::User, name), Tries::default().body());
            Ok(())
        })
        .map(drop)
    }

    /// Removes a user and, in the same transaction, the objects it owns, whose data keys nobody else has.
    ///
    /// # Errors
    /// CKR_USER_NOT_LOGGED_IN unless `so` is the SO's; CKR_ARGUMENTS_BAD if there is no such user.
    pub fn remove_user(&self, so: &Keys, name: &str) -> Result<()> {
        if so.role != Role::So {
            fail!(UserNotLoggedIn, "only the SO removes users");
        }
        loop {
            let loaded = self.load(Revision(0), Some(so))?;
            let mut stale = false;
            self.storage.transact(&mut |view| {
                stale = view.revision() != loaded.upto;
                if stale {
                    return Ok(Batch::default());
                }
                same_token(view, so)?;
                let Some((user, _)) = load_user(view, Role::User, name, Some(&so.token))? else {
                    fail!(ArgumentsBad, "there is no user '{name}'");
                };
                let mut author = Author::new(view, &so.token)?;
                author.delete(user_record(Role::User, name))?;
                for object in loaded.stored.iter().filter(|object| object.private && object.owner == user.id)
                {
                    author.delete(object_record(&object.id))?;
                }
                let mut batch = author.finish()?;
                batch.delete(tries_record(Role::User, name));
                Ok(batch)
            })?;
            if !stale {
                return Ok(());
            }
        }
    }

    /// The names of the users, the SO not among them, and the ids that objects they own bear.
    pub fn users(&self) -> Result<Vec<(String, UserId)>> {
        let changes = self.storage.load(Revision(0))?;
        let users =
            changes.records.iter().filter(|record| record.key.starts_with(&user_record(Role::User, "")));
        users.map(|record| User::parse(set::body(record, None)?).map(|user| (user.name, user.id))).collect()
    }

    /// Destroys everything and makes the token anew (C_InitToken), if `new.so_pin` is the SO's PIN.
    ///
    /// # Errors
    /// As [`Sealed::login`]: wrong PINs are counted.
    pub fn reinitialise(&self, new: &NewToken) -> Result<()> {
        let meta = new.meta()?;
        let before = self.open_pin(Role::So, "", new.so_pin)?.meta.token;
        let (token, so) = founders(&meta, new)?;
        self.storage
            .transact(&mut |view| {
                if load_meta(view)?.token != before {
                    fail!(FunctionFailed, "another process initialised the token at the same time");
                }
                found(view, &meta, &token, &so)
            })
            .map(drop)
    }

    /// Alters what the SO may.
    ///
    /// # Errors
    /// CKR_USER_NOT_LOGGED_IN unless `so` is the SO's; CKR_ARGUMENTS_BAD for a label too long or a lower cost.
    pub fn alter(&self, so: &Keys, alteration: &Alteration) -> Result<()> {
        if so.role != Role::So {
            fail!(UserNotLoggedIn, "only the SO alters the token");
        }
        check_label(alteration.label.unwrap_or_default())?;
        self.write(so, &mut |author, view| {
            let mut meta = load_meta(view)?;
            if let Some(kdf) = alteration.kdf {
                if !kdf.at_least(meta.kdf) {
                    fail!(ArgumentsBad, "{kdf:?} costs less than {:?}", meta.kdf);
                }
                meta.kdf = kdf;
            }
            meta.label = alteration.label.map_or(meta.label, str::to_owned);
            meta.limited_write = alteration.limited_write.unwrap_or(meta.limited_write);
            author.put(meta::RECORD.into(), meta.body())
        })
        .map(drop)
    }

    /// What has become of the objects since a revision; everything since `Revision(0)`. With keys every record
    /// is authenticated and so is the set of them; without, only accidental damage is seen.
    ///
    /// # Errors
    /// CKR_DEVICE_ERROR, saying how, if the records are not all those that were written;
    /// CKR_DEVICE_REMOVED if the token was initialised again since the login.
    pub fn load(&self, since: Revision, keys: Option<&Keys>) -> Result<Loaded> {
        let Some(keys) = keys else { return sort(self.storage.load(since)?, None) };
        let mut verified = keys.verified.lock();
        // What was verified and what the caller has must grow together.
        let since = if since == verified.upto { since } else { Revision(0) };
        let changes = self.storage.load(since)?;
        if let Some(record) = changes.records.iter().find(|record| record.key == meta::RECORD) {
            let body = set::body(record, None).map_err(|error| error.recode(Rv::TokenNotRecognized))?;
            if Meta::parse(body)?.token != keys.token.id {
                fail!(DeviceRemoved, "the token was initialised again");
            }
            set::body(record, Some(&keys.token)).map_err(|error| error.recode(Rv::TokenNotRecognized))?;
        }
        match verified.take(&keys.token, &changes) {
            Err(error) if !keys.rescue => {
                // The next look starts over instead of building on this.
                verified.upto = Revision(0);
                return Err(error);
            }
            _ => drop(verified),
        }
        sort(changes, Some(keys))
    }

    /// The attributes of an object: for a private one, by the keys of its owner.
    ///
    /// # Errors
    /// CKR_USER_NOT_LOGGED_IN if they are another's, CKR_DEVICE_ERROR if it is damaged or forged.
    pub fn open_attributes(&self, keys: &Keys, object: &Stored) -> Result<Secret> {
        object.open_attributes(&keys.token.id, keys.opener())
    }

    /// The secrets of an object, empty if it has none. A public one's need no keys.
    ///
    /// # Errors
    /// As [`Sealed::open_attributes`].
    pub fn open_secrets(&self, keys: Option<&Keys>, object: &Stored) -> Result<Secret> {
        match keys {
            Some(keys) => object.open_secrets(&keys.token.id, keys.opener()),
            None => object.open_secrets(&self.info()?.meta.token, None),
        }
    }

    /// Writes all of `changes`, or nothing.
    ///
    /// # Errors
    /// CKR_TOKEN_WRITE_PROTECTED; CKR_USER_NOT_LOGGED_IN for another's object, or a private one of the SO's;
    /// CKR_DEVICE_REMOVED if the token was initialised again; [`Storage`]'s.
    pub fn commit(&self, keys: &Keys, changes: &[Change]) -> Result<Commit> {
        let mut ids = HashSet::new();
        for change in changes {
            let (Change::Put { id, .. } | Change::Delete { id, .. }) = change;
            if !ids.insert(id) {
                fail!(GeneralError, "an object twice in one transaction");
            }
        }
        if keys.rescue {
            fail!(TokenWriteProtected, "the token is damaged and open for rescue only");
        }
        let mut stale = None;
        let revision = self.storage.transact(&mut |view| {
            stale = None;
            if same_token(view, keys)?.limited_write {
                fail!(TokenWriteProtected, "the token is in limited-write mode");
            }
            let mut author = Author::new(view, &keys.token)?;
            for change in changes {
                let (Change::Put { id, .. } | Change::Delete { id, .. }) = change;
                let record = view.record(&object_record(id))?;
                let expected = match change {
                    Change::Put { at, .. } => *at,
                    Change::Delete { at, .. } => Some(*at),
                };
                if record.as_ref().map(|record| record.revision) != expected {
                    stale = Some(*id);
                    return Ok(Batch::default());
                }
                write_one(&mut author, keys, change, record)?;
            }
            author.finish()
        })?;
        Ok(stale.map_or(Commit::Done(revision), Commit::Stale))
    }

    /// What an outside anchor can remember to notice that the whole file was put back from an older copy:
    /// the present revision and a tag over it and the set, which only the token's users can make.
    pub fn anchor(&self, keys: &Keys) -> Result<(Revision, [u8; 32])> {
        let mut anchor = None;
        self.storage.read(&mut |view| {
            let set = view.record(set::RECORD)?.and_then(|record| record.value).unwrap_or_default();
            let revision = view.revision();
            anchor = Some((revision, keys.token.anchor.tag(&[&revision.0.to_be_bytes(), &set])));
            Ok(())
        })?;
        anchor.ok_or_else(|| Rv::GeneralError.into())
    }

    /// An authenticated transaction of someone logged in.
    fn write(
        &self,
        keys: &Keys,
        work: &mut dyn FnMut(&mut Author, &dyn View) -> Result<()>,
    ) -> Result<Revision> {
        if keys.rescue {
            fail!(TokenWriteProtected, "the token is damaged and open for rescue only");
        }
        self.author(&keys.token, work)
    }

    fn author(
        &self,
        token: &TokenKeys,
        work: &mut dyn FnMut(&mut Author, &dyn View) -> Result<()>,
    ) -> Result<Revision> {
        self.storage.transact(&mut |view| {
            if load_meta(view)?.token != token.id {
                fail!(DeviceRemoved, "the token was initialised again");
            }
            let mut author = Author::new(view, token)?;
            work(&mut author, view)?;
            author.finish()
        })
    }
}

/// That the keys still are the token's and the user's.
fn same_token(view: &dyn View, keys: &Keys) -> Result<Meta> {
    let meta = load_meta(view)?;
    if meta.token != keys.token.id {
        fail!(DeviceRemoved, "the token was initialised again");
    }
    let user = load_user(view, keys.role, &keys.name, Some(&keys.token))?;
    if user.is_none_or(|(user, _)| user.id != keys.user) {
        fail!(UserNotLoggedIn, "the user was removed");
    }
    Ok(meta)
}

fn write_one(author: &mut Author, keys: &Keys, change: &Change, record: Option<Record>) -> Result<()> {
    let old = record.as_ref().map(|record| {
        let (Change::Put { id, .. } | Change::Delete { id, .. }) = change;
        set::body(record, Some(&keys.token)).and_then(|body| Stored::parse(*id, record.revision, body))
    });
    match change {
        // What is damaged can be deleted all the same.
        Change::Delete { id, .. } => {
            if let Some(Ok(old)) = &old {
                own(keys, old)?;
            }
            author.delete(object_record(id))
        }
        Change::Put { id, private, class, attributes, secrets, .. } => {
            let old = old.transpose()?;
            if *private && keys.role == Role::So {
                fail!(UserNotLoggedIn, "the SO has no private objects");
            }
            if let Some(old) = &old {
                own(keys, old)?;
            }
            let kept = match (secrets, &old) {
                (NewSecrets::Keep, Some(old)) => Some(old.open_secrets(&keys.token.id, keys.opener())?),
                _ => None,
            };
            let secrets = match (secrets, &kept) {
                (NewSecrets::Set(secrets), _) => secrets.expose(),
                (NewSecrets::Keep, Some(kept)) => kept.expose(),
                (NewSecrets::Keep, None) => &[],
            };
            let largest = super::codec::MAX_BYTES - crate::crypto::seal::TAG;
            if attributes.len() > largest || secrets.len() > largest {
                fail!(DeviceMemory, "an object of more than 16 MiB");
            }
            // A private object is of the one who seals it; a public one stays its maker's.
            let owner = old.filter(|old| !old.private && !private).map_or(keys.user, |old| old.owner);
            let content = Content { id: *id, private: *private, class: *class, owner, attributes, secrets };
            author.put(object_record(id), content.body(&keys.token.id, author.revision, &keys.key)?)
        }
    }
}

fn own(keys: &Keys, object: &Stored) -> Result<()> {
    if object.private && object.owner != keys.user {
        fail!(UserNotLoggedIn, "another user's object");
    }
    Ok(())
}

/// Records into objects.
fn sort(changes: Changes, keys: Option<&Keys>) -> Result<Loaded> {
    let Changes { upto, stamp, records, complete } = changes;
    let mut loaded =
        Loaded { upto, stamp, complete, stored: Vec::new(), gone: Vec::new(), refused: Vec::new() };
    let token = keys.map(|keys| &keys.token);
    for record in &records {
        let object = object_of(&record.key);
        match (object, &record.value) {
            (Some(id), None) => loaded.gone.push(id),
            (None, None) => {}
            (Some(id), Some(_)) => {
                match set::body(record, token).and_then(|body| Stored::parse(id, record.revision, body)) {
                    Ok(object) => loaded.stored.push(object),
                    Err(error) => loaded.refused.push((Some(id), error)),
                }
            }
            (None, Some(_)) => {
                let sound = match record.key.first() {
                    Some(b'm' | b'u') => set::body(record, token).map(drop),
                    Some(b's' | b'c') => set::plain_body(record).map(drop),
                    _ => Err(Rv::DeviceError.because(format!("unknown {}", set::name(&record.key)))),
                };
                loaded.refused.extend(sound.err().map(|error| (None, error)));
            }
        }
    }
    Ok(loaded)
}
