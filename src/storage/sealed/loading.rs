//! Loading: every record authenticated, and the set of them, and each object handed on as it lies in the storage.

use super::*;
use crate::storage::set::Tally;
use crate::storage::spread::spread;
use crate::storage::{Key, Row, Upto};
use std::mem::take;

/// What has become of the objects.
pub struct Loaded<T = Stored<'static>> {
    /// For the next [`Sealed::load`].
    pub upto: Revision,
    /// For [`Sealed::unchanged_since`].
    pub stamp: Stamp,
    /// These are all there are: what is not among them is gone.
    pub complete: bool,
    /// New and changed ones: of [`Sealed::load`] the oldest first, of [`Sealed::take_in`] in any order.
    pub stored: Vec<T>,
    /// Deleted ones.
    pub gone: Vec<ObjectId>,
    /// What must not be used or shown, and why; to be logged. Other things than objects have no id.
    pub refused: Vec<(Option<ObjectId>, Error)>,
}

impl Loaded {
    fn sorted(mut self) -> Loaded {
        self.stored.sort_by_key(|object| object.revision);
        self
    }
}

/// What one thread has made of its records.
struct Part<T> {
    tally: Tally,
    stored: Vec<T>,
    gone: Vec<ObjectId>,
    refused: Vec<(Option<ObjectId>, Error)>,
}

impl<T> Default for Part<T> {
    fn default() -> Part<T> {
        Part { tally: Tally::default(), stored: Vec::new(), gone: Vec::new(), refused: Vec::new() }
    }
}

impl<T> Part<T> {
    fn take(&mut self, rows: &[Row<'_>], keys: Option<&Keys>, each: &dyn Fn(Stored<'_>) -> T) {
        let token = keys.map(|keys| &keys.token);
        let authentic = token.map_or_else(Vec::new, |token| {
            self.tally.add(token, rows.iter().copied());
            set::authentic_bodies(rows, token)
        });
        let mut objects = Vec::with_capacity(rows.len());
        for (at, row) in rows.iter().enumerate() {
            // Whose MAC is wrong is looked at once more by itself, which says what is wrong.
            let body = || match authentic.get(at) {
                Some(Some(body)) => Ok(*body),
                _ => set::body(*row, token),
            };
            match (object_of(row.key), row.value) {
                (Some(id), None) => self.gone.push(id),
                (None, None) => {}
                (Some(id), Some(_)) => match body().and_then(|body| Stored::parse(id, row.revision, body)) {
                    Ok(object) => objects.push(object),
                    Err(error) => self.refused.push((Some(id), error)),
                },
                (None, Some(_)) => {
                    let sound = match row.key.first() {
                        Some(b'm' | b'u' | b'a' | b'q') => body().map(drop),
                        Some(b's' | b'c') => set::plain_body(*row).map(drop),
                        _ => Err(Rv::DeviceError.because(format!("unknown {}", set::name(row.key)))),
                    };
                    self.refused.extend(sound.err().map(|error| (None, error)));
                }
            }
        }
        if let Some((keys, opener)) = keys.and_then(|keys| Some((keys, keys.opener()?))) {
            Stored::prepare(&mut objects, &keys.token.id, opener);
        }
        self.stored.extend(objects.into_iter().map(each));
    }

    fn join(&mut self, other: Part<T>) {
        self.tally.join(other.tally);
        self.stored.extend(other.stored);
        self.gone.extend(other.gone);
        self.refused.extend(other.refused);
    }

    fn loaded(self, Upto { upto, stamp, complete }: Upto) -> Loaded<T> {
        let Part { stored, gone, refused, .. } = self;
        Loaded { upto, stamp, complete, stored, gone, refused }
    }
}

/// The records that say whether the keys still are the token's and the user's.
struct Identity {
    own: Key,
    user: Option<bool>,
    meta: Option<Record>,
}

impl Identity {
    fn new(keys: &Keys) -> Identity {
        Identity { own: user_record(keys.role, &keys.name), user: None, meta: None }
    }

    fn look(&mut self, row: Row<'_>) {
        if row.key == meta::RECORD {
            self.meta = Some(row.into());
        } else if row.key == self.own {
            self.user = Some(row.value.is_some());
        }
    }

    fn judge(&self, keys: &Keys, complete: bool) -> Result<()> {
        if let Some(record) = &self.meta {
            let body = set::body(record, None).map_err(|error| error.recode(Rv::TokenNotRecognized))?;
            if Meta::parse(body)?.token != keys.token.id {
                fail!(DeviceRemoved, "the token was initialised again");
            }
            set::body(record, Some(&keys.token)).map_err(|error| error.recode(Rv::TokenNotRecognized))?;
        }
        match self.user {
            Some(true) => Ok(()),
            None if !complete => Ok(()),
            _ => fail!(DeviceRemoved, "the user was removed"),
        }
    }
}

impl<S: Storage + ?Sized> Sealed<S> {
    /// What has become of the objects since a revision; everything since `Revision(0)`. With keys every record
    /// is authenticated and so is the set of them; without, only accidental damage is seen.
    ///
    /// # Errors
    /// CKR_DEVICE_ERROR, saying how, if the records are not all those that were written;
    /// CKR_DEVICE_REMOVED if the token was initialised again, or the user removed, since the login.
    pub fn load(&self, since: Revision, keys: Option<&Keys>) -> Result<Loaded> {
        self.take_in(since, keys, 1, &|object| object.into_owned()).map(Loaded::sorted)
    }

    /// The same with what `each` makes of every object, in up to so many threads if there are many.
    ///
    /// # Errors
    /// As [`Sealed::load`].
    pub fn take_in<T: Send>(
        &self,
        since: Revision,
        keys: Option<&Keys>,
        threads: usize,
        each: &(dyn Fn(Stored<'_>) -> T + Sync),
    ) -> Result<Loaded<T>> {
        let Some(keys) = keys else {
            let (part, upto) = self.scan(since, None, threads, each, &mut |_| {})?;
            return Ok(part.loaded(upto));
        };
        let mut verified = keys.verified.lock();
        // What was verified and what the caller has must grow together.
        let since = if since == verified.upto { since } else { Revision(0) };
        let mut identity = Identity::new(keys);
        let (mut part, upto) = self.scan(since, Some(keys), threads, each, &mut |row| identity.look(row))?;
        identity.judge(keys, upto.complete)?;
        match verified.take(&keys.token, take(&mut part.tally), &upto) {
            Err(error) if !keys.rescue => {
                // The next look starts over instead of building on this.
                verified.upto = Revision(0);
                Err(error)
            }
            _ => Ok(part.loaded(upto)),
        }
    }

    /// What is left of a token, and what is wrong with it.
    pub(super) fn rescued(&self, keys: &Keys) -> Result<(Loaded, Option<Error>)> {
        let each = |object: Stored<'_>| object.into_owned();
        let (mut part, upto) = self.scan(Revision(0), Some(keys), 1, &each, &mut |_| {})?;
        let wrong = keys.verified.lock().take(&keys.token, take(&mut part.tally), &upto).err();
        Ok((part.loaded(upto).sorted(), wrong))
    }

    fn scan<T: Send>(
        &self,
        since: Revision,
        keys: Option<&Keys>,
        threads: usize,
        each: &(dyn Fn(Stored<'_>) -> T + Sync),
        look: &mut dyn FnMut(Row<'_>),
    ) -> Result<(Part<T>, Upto)> {
        let work = |part: &mut Part<T>, rows: &[Row<'_>]| part.take(rows, keys, each);
        let (parts, upto) = spread(threads, &work, |hand_on| {
            self.storage.scan(since, &mut |row| {
                look(row);
                hand_on(row);
            })
        })?;
        let mut parts = parts.into_iter();
        let mut whole = parts.next().unwrap_or_default();
        parts.for_each(|part| whole.join(part));
        Ok((whole, upto))
    }

    /// The secrets of an object that was loaded as of `at`, from where it lies now: an object keeps its secrets for
    /// life, whoever writes it anew.
    ///
    /// # Errors
    /// CKR_OBJECT_HANDLE_INVALID if it is gone; CKR_DEVICE_ERROR if it is damaged, forged or an older copy;
    /// CKR_USER_NOT_LOGGED_IN if it is not shared any more.
    pub fn secrets_of(&self, keys: &Keys, id: &ObjectId, at: Revision) -> Result<Secret> {
        let mut found = None;
        self.storage.read(&mut |view| {
            found = view.record(&object_record(id))?;
            Ok(())
        })?;
        let Some(record) = found else {
            fail!(ObjectHandleInvalid, "{} is gone", set::name(&object_record(id)))
        };
        if record.revision < at {
            fail!(DeviceError, "{} was put back from an older copy", set::name(&record.key));
        }
        let object = Stored::parse(*id, record.revision, set::body(&record, Some(&keys.token))?)?;
        self.open_secrets(Some(keys), &object)
    }
}
