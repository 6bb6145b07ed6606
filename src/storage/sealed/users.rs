//! Users and their PINs: tries, counters, who sets what.

use super::writing::same_token;
use super::*;

/// What a try at a PIN found before the PIN was looked at.
struct Attempt {
    meta: Meta,
    user: Option<(User, Revision)>,
    counter: Vec<u8>,
}

/// A right PIN.
pub(super) struct Opened {
    pub(super) meta: Meta,
    pub(super) user: User,
    pub(super) written: Revision,
    pub(super) key: Secret,
}

impl<S: Storage + ?Sized> Sealed<S> {
    /// Checks a PIN and counts it, as for CKU_CONTEXT_SPECIFIC.
    ///
    /// # Errors
    /// As [`Sealed::login`].
    pub fn verify_pin(&self, role: Role, name: &str, pin: &[u8]) -> Result<()> {
        self.open_pin(role, name, pin).map(drop)
    }

    pub(super) fn open_pin(&self, role: Role, name: &str, pin: &[u8]) -> Result<Opened> {
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
}
