//! A token: its users, its PINs and its objects, over any [`Storage`].
//!
//! Nothing here remembers what another process may change: every answer is as of the storage's present
//! state, and what is kept is kept under its [`Stamp`].

mod audit;
mod backup;
mod loading;
mod pins;
mod quorum;
mod sharing;
mod users;
mod writing;

use super::grant::{Friend, Opener, OwnGrants};
use super::keyring::{Kdf, MAX_NAME, Role, TokenKeys, User, UserId, tries_record, user_record, user_records};
use super::meta::{self, LifePolicy, MAX_LABEL, Meta};
use super::record::{Content, ObjectId, Stored, object_of, object_record};
use super::set::{self, Author, Verified};
use super::tries::Tries;
use super::{Batch, Changes, Record, Revision, Stamp, Storage, View};
use crate::crypto::Secret;
use crate::crypto::seal::{random_array, random_key};
use crate::error::{Error, Result, Rv};
pub use backup::{restore, restore_by_escrow};
pub use loading::Loaded;
use parking_lot::Mutex;
use pins::Opened;
pub use quorum::Waiting;
use std::collections::{HashMap, HashSet};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
pub use users::UserInfo;
use zeroize::Zeroizing;

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
    /// There are users with names.
    pub named_users: bool,
    /// Nothing can be written, for reasons of the file or of the token.
    pub write_protected: bool,
}

/// One who has logged in: the keys, wiped when dropped.
pub struct Keys {
    role: Role,
    name: String,
    opener: Opener,
    /// An SO's.
    admin: Option<Secret>,
    token: TokenKeys,
    verified: Mutex<Verified>,
    /// Who has approved which of its requests.
    approvals: Mutex<HashMap<[u8; 16], HashSet<UserId>>>,
    /// Objects that take approvals and were made by this login, which is still setting them up.
    made: Mutex<HashSet<ObjectId>>,
    /// The token is damaged and was opened to save what is there.
    rescue: bool,
}

impl Keys {
    /// SO or user.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Empty for the founding SO and for the normal user.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The id that owned objects bear.
    pub fn user(&self) -> UserId {
        self.opener.user
    }

    /// Whether they open an object: a public one, or one that their user has a grant to.
    pub fn open(&self, object: &Stored) -> bool {
        object.opens_for(&self.opener.user)
    }

    /// Notes that the user has just made an object that takes approvals: until the logout it shares that without any,
    /// since it could have made it without any.
    pub fn made(&self, object: ObjectId) {
        self.made.lock().insert(object);
    }

    fn opener(&self) -> Option<&Opener> {
        (self.role == Role::User).then_some(&self.opener)
    }

    /// The admin key.
    fn admin(&self) -> Result<&Secret> {
        match &self.admin {
            Some(admin) => Ok(admin),
            None => fail!(UserNotLoggedIn, "only the SO may"),
        }
    }
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
            format: meta::FORMAT,
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
    Ok(author.finish())
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

fn load_users(view: &dyn View, role: Role, token: Option<&TokenKeys>) -> Result<Vec<User>> {
    let records = view.records(&user_records(role))?;
    records.iter().map(|record| User::parse(set::body(record, token)?)).collect()
}

fn load_tries(view: &dyn View, key: &[u8]) -> Result<Tries> {
    view.record(key)?.map_or(Ok(Tries::default()), |record| Tries::parse(set::plain_body(&record)?))
}

fn pin_state(view: &dyn View, meta: &Meta, role: Role, name: &str) -> PinState {
    let limit = limit(meta, role);
    // A damaged counter shows as a lock-out, which it is until someone forgives.
    let left = load_tries(view, &tries_record(role, name)).map_or(0, |tries| tries.left(limit));
    PinState { set: true, wrong: limit - left, left }
}

fn limit(meta: &Meta, role: Role) -> u32 {
    if role == Role::So { meta.so_tries } else { meta.user_tries }
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
                Ok(PinState { set, ..pin_state(view, &meta, role, "") })
            };
            let (so, user) = (pin(Role::So)?, pin(Role::User)?);
            let write_protected = self.storage.write_protected() || meta.limited_write;
            let names = view.records(&user_records(Role::User))?;
            let named_users = names.len() > usize::from(user.set);
            found = Some(Info { meta, so, user, named_users, write_protected });
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
        let (loaded, wrong) = self.rescued(&keys)?;
        Ok((keys, loaded, wrong))
    }

    /// Declares the records that are there to be the token, without the objects that are damaged or forged, which go:
    /// the operator's decision, after a rescue.
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
                for record in &changes.records {
                    match object_of(&record.key) {
                        Some(_) if set::body(record, Some(&keys.token)).is_err() => {
                            // It was not counted, so there is nothing to take out.
                            author.delete_plain(record.key.clone());
                        }
                        _ => author.keep(record),
                    }
                }
                Ok(author.finish())
            })?;
            if !stale {
                return Ok(());
            }
        }
    }

    /// The first half of [`Sealed::login`]: the keys. [`Sealed::load`] is the other.
    ///
    /// # Errors
    /// As there.
    pub fn unlock(&self, role: Role, name: &str, pin: &[u8]) -> Result<Keys> {
        let Opened { meta, user, key, .. } = self.open_pin(role, name, pin)?;
        let token = user.open_token(&meta.token, &key)?;
        let admin = user.open_admin(&meta.token, &key)?;
        let pair = user.open_pair(&meta.token, &key)?;
        Ok(Keys {
            role,
            name: name.into(),
            opener: Opener { user: user.id, own: OwnGrants::new(&key), pair },
            admin,
            token,
            verified: Mutex::default(),
            approvals: Mutex::default(),
            made: Mutex::default(),
            rescue: false,
        })
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
        so.admin()?;
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

    /// Writes what an SO can write, the token's own record and its users, in today's format. Nothing needs it to be
    /// used; objects follow when their owners next write them.
    ///
    /// # Errors
    /// CKR_USER_NOT_LOGGED_IN unless `so` is the SO's.
    pub fn upgrade(&self, so: &Keys) -> Result<()> {
        so.admin()?;
        self.write(so, &mut |author, view| {
            author.put(meta::RECORD.into(), load_meta(view)?.body())?;
            for role in [Role::So, Role::User] {
                for user in load_users(view, role, Some(&so.token))? {
                    author.put(user_record(role, &user.name), user.body())?;
                }
            }
            Ok(())
        })
        .map(drop)
    }

    /// The attributes of an object: for a private one, by the keys of its owner.
    ///
    /// # Errors
    /// CKR_USER_NOT_LOGGED_IN if they are another's, CKR_DEVICE_ERROR if it is damaged or forged.
    pub fn open_attributes(&self, keys: &Keys, object: &Stored) -> Result<Zeroizing<Vec<u8>>> {
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
}
