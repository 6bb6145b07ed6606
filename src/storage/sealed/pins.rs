//! PINs: tries, counters, and their change by who knows them.

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

    fn count(&self, counter: &[u8], outcome: impl Fn(Tries) -> Tries + Sync) -> Result<()> {
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
}
