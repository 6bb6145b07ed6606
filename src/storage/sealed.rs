//! The seal over the records: every object encrypted or authenticated under keys that a login opens, and all
//! records together digested into the set, so that none can be altered, swapped, rolled back or removed unseen.

use super::keyring::{Kdf, Keys, Role, Tries, UserRecord};
use super::records::{ObjectId, Reader, Writer, kind, meta_key, object_key, set_key, tries_key, user_key};
use super::{Batch, Key, Log, Place, Revision, Storage, View};
use crate::crypto::{Secret, equal, random, seal};
use crate::error::{Error, Result, Rv};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// What C_InitToken asks for.
pub struct NewToken<'a> {
    /// CK_TOKEN_INFO's label.
    pub label: &'a str,
    /// Bits the upper floor keeps with the token for life: it alone knows what they mean.
    pub traits: u32,
    /// PBKDF2 in place of Argon2id.
    pub approved_kdf: bool,
    /// The SO's PIN.
    pub so_pin: &'a [u8],
}

/// What can be told without a login.
pub struct Info {
    /// CK_TOKEN_INFO's label.
    pub label: String,
    /// Sixteen hexadecimal digits.
    pub serial: String,
    /// [`NewToken::traits`].
    pub traits: u32,
    /// Whether there is a user.
    pub user_pin_set: bool,
    /// Of the user whose PIN was wrong most often.
    pub user_tries: Tries,
    /// Of the SO.
    pub so_tries: Tries,
    /// Whether every write is refused.
    pub write_protected: bool,
}

/// An object to be stored.
pub struct Put<'a> {
    /// Its name.
    pub id: ObjectId,
    /// CKA_CLASS.
    pub class: u64,
    /// CKA_PRIVATE.
    pub private: bool,
    /// The encoded attributes that are not secret.
    pub attributes: &'a [u8],
    /// The encoded secret attributes; empty if there are none.
    pub secrets: &'a [u8],
    /// The revision that the object must still have, if it is to replace one.
    pub expected: Option<Revision>,
}

/// A stored object, opened but for its secrets.
pub struct Stored {
    /// Its name.
    pub id: ObjectId,
    /// The commit that wrote it.
    pub revision: Revision,
    /// The encoded attributes.
    pub attributes: Secret,
    secrets: Vec<u8>,
    data_key: Secret,
    place: Vec<u8>,
}

impl Stored {
    /// The encoded secret attributes; empty if there are none.
    ///
    /// # Errors
    /// CKR_DEVICE_ERROR if they were tampered with.
    pub fn open_secrets(&self) -> Result<Secret> {
        if self.secrets.is_empty() {
            return Ok(Secret::zeroed(0));
        }
        let key = seal::Key::new(&self.data_key)?;
        let opened = key.open(&blob_place(&self.place, SECRETS), &self.secrets);
        opened.map_err(|error| tampered(&self.id, error))
    }
}

/// What changed for the upper floor.
pub struct Changes {
    /// Up to which commit.
    pub revision: Revision,
    /// The token was made anew by another process: nothing of the old one is left, logins included.
    pub replaced: bool,
    /// Whether `stored` is all there is, so that what is not in it is gone.
    pub complete: bool,
    /// Objects that are new or changed.
    pub stored: Vec<Stored>,
    /// Objects that are gone.
    pub deleted: Vec<ObjectId>,
}

const PRIVATE: u8 = 1;
const ATTRIBUTES: u8 = 1;
const SECRETS: u8 = 2;
/// How a data key is sealed to a user: under the user's own key.
const DIRECT: u8 = 1;

fn tampered(id: &ObjectId, error: Error) -> Error {
    let name: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
    error.recode(Rv::DeviceError).within(format!("object {name} does not open: it was tampered with"))
}

/// What binds an object's record to its token, name, class and commit.
fn object_place(token: &[u8; 16], id: &ObjectId, class: u64, flags: u8, revision: Revision) -> Vec<u8> {
    Writer::bare().bytes(b"object").fixed(token).fixed(id).u64(class).u8(flags).u64(revision).finish()
}

fn blob_place(place: &[u8], blob: u8) -> Vec<u8> {
    [place, &[blob]].concat()
}

/// The meta record: what the token is.
struct Meta {
    token: [u8; 16],
    serial: u64,
    traits: u32,
    approved_kdf: bool,
    label: String,
}

impl Meta {
    fn new(new: &NewToken<'_>) -> Meta {
        Meta {
            token: random::array(),
            serial: u64::from_le_bytes(random::array()),
            traits: new.traits,
            approved_kdf: new.approved_kdf,
            label: new.label.to_string(),
        }
    }

    fn encode(&self) -> Vec<u8> {
        Writer::new()
            .fixed(&self.token)
            .u64(self.serial)
            .u32(self.traits)
            .u8(self.approved_kdf as u8)
            .bytes(self.label.as_bytes())
            .finish()
    }

    fn decode(record: &[u8]) -> Result<Meta> {
        let mut reader = Reader::new(record, "the meta record")?;
        let meta = Meta {
            token: reader.fixed()?,
            serial: reader.u64()?,
            traits: reader.u32()?,
            approved_kdf: reader.u8()? != 0,
            label: reader.text()?,
        };
        reader.end()?;
        Ok(meta)
    }

    fn kdf(&self) -> Kdf {
        if self.approved_kdf { Kdf::PBKDF2 } else { Kdf::ARGON2ID }
    }
}

/// The digest over all records that the set is about: an exclusive-or of keyed digests, sealed, so that who
/// does not hold the token key can neither tell nor make one.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Digest([u8; 32]);

impl Digest {
    fn of(keys: &Keys, key: &[u8], revision: Revision, value: &[u8]) -> Digest {
        let mut mac = keys.set.start();
        mac.update(&(key.len() as u64).to_le_bytes());
        mac.update(key);
        mac.update(&revision.to_le_bytes());
        mac.update(value);
        let mut digest = [0; 32];
        digest.copy_from_slice(&mac.finish());
        Digest(digest)
    }

    fn toggle(&mut self, other: Digest) {
        self.0.iter_mut().zip(other.0).for_each(|(byte, other)| *byte ^= other);
    }
}

/// Whether the set is about the record. PIN counters change without a login, and the set is not about itself.
fn in_set(key: &[u8]) -> bool {
    matches!(key.first(), Some(&(kind::META | kind::USER | kind::OBJECT)))
}

fn set_place(token: &[u8; 16]) -> Vec<u8> {
    Writer::bare().bytes(b"set").fixed(token).finish()
}

fn open_set(keys: &Keys, record: &[u8]) -> Result<Digest> {
    let opened = keys.set_seal.open(&set_place(&keys.token), record);
    let opened = opened.map_err(|error| error.recode(Rv::DeviceError).within("the set record"))?;
    let mut digest = Digest::default();
    if opened.len() != digest.0.len() {
        fail!(DeviceError, "the set record has a wrong length");
    }
    digest.0.copy_from_slice(opened.expose());
    Ok(digest)
}

/// Adds the new set record to a batch.
fn with_set(keys: &Keys, view: &dyn View, mut batch: Batch, from_nothing: bool) -> Result<Batch> {
    let revision = view.revision() + 1;
    let mut digest = match view.get(&set_key())? {
        Some((_, record)) if !from_nothing => open_set(keys, &record)?,
        _ => Digest::default(),
    };
    for (key, value) in batch.iter().filter(|(key, _)| in_set(key)) {
        if let (Some((old_revision, old)), false) = (view.get(key)?, from_nothing) {
            digest.toggle(Digest::of(keys, key, old_revision, &old));
        }
        if let Some(value) = value {
            digest.toggle(Digest::of(keys, key, revision, value));
        }
    }
    batch.push((set_key(), Some(keys.set_seal.seal(&set_place(&keys.token), &digest.0)?)));
    Ok(batch)
}

/// The digests of the records as this process last saw them, for checking each further change.
#[derive(Default)]
struct Seen {
    revision: Option<Revision>,
    sum: Digest,
    records: HashMap<Key, Digest>,
}

/// A sealed token.
pub struct Sealed {
    storage: Box<dyn Storage>,
    meta: Mutex<Arc<Meta>>,
    seen: Mutex<Seen>,
}

impl Sealed {
    /// Makes the token of a slot.
    ///
    /// # Errors
    /// As [`Storage`].
    pub fn create(place: &Place, slot: u32, new: &NewToken<'_>) -> Result<Sealed> {
        let storage = place.create(slot, |storage| begin(storage, new).map(drop))?;
        Sealed::open(storage)
    }

    /// Makes a token in an empty storage.
    ///
    /// # Errors
    /// As [`Storage`].
    pub fn create_in(storage: Box<dyn Storage>, new: &NewToken<'_>) -> Result<Sealed> {
        begin(&*storage, new)?;
        Sealed::open(storage)
    }

    /// Opens a token.
    ///
    /// # Errors
    /// CKR_TOKEN_NOT_RECOGNIZED, CKR_DEVICE_ERROR.
    pub fn open(storage: Box<dyn Storage>) -> Result<Sealed> {
        let meta = match record(&*storage, &meta_key())? {
            Some(record) => Meta::decode(&record)?,
            None => fail!(TokenNotRecognized, "the token has no meta record"),
        };
        Ok(Sealed { storage, meta: Mutex::new(Arc::new(meta)), seen: Mutex::default() })
    }

    fn meta(&self) -> Arc<Meta> {
        self.meta.lock().clone()
    }

    /// A mark that differs once anything may have been committed, by any process.
    pub fn mark(&self) -> u64 {
        self.storage.mark()
    }

    /// What can be told without a login.
    ///
    /// # Errors
    /// CKR_DEVICE_ERROR.
    pub fn info(&self) -> Result<Info> {
        let mut tries = [Tries::default(); 2];
        let user_pin_set = !self.storage.read(&user_key(Role::User.number(), ""))?.is_empty();
        for change in self.storage.read(&[kind::TRIES])? {
            if let ([_, role @ (0 | 1), ..], Some(record)) = (&change.key[..], &change.value) {
                let worst = &mut tries[*role as usize];
                *worst = Tries(worst.0.max(Tries::decode(record)?.0));
            }
        }
        let meta = self.meta();
        Ok(Info {
            label: meta.label.clone(),
            serial: format!("{:016x}", meta.serial),
            traits: meta.traits,
            user_pin_set,
            user_tries: tries[1],
            so_tries: tries[0],
            write_protected: self.storage.write_protected(),
        })
    }

    /// C_InitToken on a token there is: everything in it ends, if the SO's PIN is right.
    ///
    /// # Errors
    /// CKR_PIN_INCORRECT, CKR_PIN_LOCKED.
    pub fn reinitialise(&self, new: &NewToken<'_>) -> Result<()> {
        self.login(Role::So, "", new.so_pin)?;
        let meta = begin(&*self.storage, new)?;
        *self.seen.lock() = Seen::default();
        *self.meta.lock() = Arc::new(meta);
        self.storage.scrub()
    }

    /// Checks a PIN and opens what it protects. The try is counted on disk before the PIN is looked at, so
    /// that no process can have more of them by dying in between.
    ///
    /// # Errors
    /// CKR_PIN_INCORRECT, CKR_PIN_LOCKED, CKR_USER_PIN_NOT_INITIALIZED.
    pub fn login(&self, role: Role, name: &str, pin: &[u8]) -> Result<Keys> {
        let counter = tries_key(role.number(), name);
        let mut record = None;
        let mut count = |view: &dyn View| -> Result<Batch> {
            record = view.get(&user_key(role.number(), name))?.map(|(_, record)| record);
            let tries = match view.get(&counter)? {
                Some((_, tries)) => Tries::decode(&tries)?,
                None => Tries::default(),
            };
            if tries.locked() {
                fail!(PinLocked, "the PIN was wrong {} times in a row", tries.0);
            }
            match record {
                Some(_) => Ok(vec![(counter.clone(), Some(Tries(tries.0 + 1).encode()))]),
                None => Ok(Vec::new()),
            }
        };
        match self.storage.write_protected() {
            // Who can only read the file can take it home as well.
            true => record = self::record(&*self.storage, &user_key(role.number(), name))?,
            false => drop(self.storage.transact(&mut count)?),
        }
        let Some(record) = record else { return self.unknown_user(name, pin) };
        let keys = UserRecord::decode(&record)?.unlock(&self.meta().token, pin)?;
        if !self.storage.write_protected() {
            self.storage.transact(&mut |_| Ok(vec![(counter.clone(), Some(Tries::default().encode()))]))?;
        }
        Ok(keys)
    }

    /// Takes as long as a wrong PIN, so that nobody learns which names there are.
    fn unknown_user(&self, name: &str, pin: &[u8]) -> Result<Keys> {
        if name.is_empty() {
            fail!(UserPinNotInitialized, "the SO has not set the user's PIN yet");
        }
        self.meta().kdf().key(pin, &[0; 16])?;
        fail!(PinIncorrect)
    }

    /// C_InitPIN: makes the user, or gives the one there is a new PIN and free tries.
    ///
    /// # Errors
    /// CKR_DEVICE_ERROR, and as [`Storage`].
    pub fn init_pin(&self, so: &Keys, name: &str, pin: &[u8]) -> Result<()> {
        let meta = self.meta();
        let key = user_key(Role::User.number(), name);
        self.storage.transact(&mut |view| {
            let user = match view.get(&key)? {
                Some((_, record)) => UserRecord::decode(&record)?.reset_by(so, pin)?,
                None => UserRecord::new(&meta.token, meta.kdf(), pin, so.token_key(), Some(so))?,
            };
            let tries = (tries_key(Role::User.number(), name), Some(Tries::default().encode()));
            with_set(so, view, vec![(key.clone(), Some(user.encode())), tries], false)
        })?;
        self.storage.scrub()
    }

    /// C_SetPIN.
    ///
    /// # Errors
    /// As [`Sealed::login`].
    pub fn set_pin(&self, role: Role, name: &str, old: &[u8], new: &[u8]) -> Result<()> {
        let keys = self.login(role, name, old)?;
        let key = user_key(role.number(), name);
        self.storage.transact(&mut |view| match view.get(&key)? {
            Some((_, record)) => {
                let user = UserRecord::decode(&record)?.with_pin(&keys, new)?;
                with_set(&keys, view, vec![(key.clone(), Some(user.encode()))], false)
            }
            None => fail!(DeviceRemoved, "the token was made anew meanwhile"),
        })?;
        // The old PIN must not open a page that was left behind.
        self.storage.scrub()
    }

    /// Stores and deletes objects, all or nothing. Returns the commit's number.
    ///
    /// # Errors
    /// CKR_OBJECT_HANDLE_INVALID if an object is no longer what it was expected to be; as [`Storage`].
    pub fn commit(&self, keys: &Keys, puts: &[Put<'_>], deletes: &[ObjectId]) -> Result<Revision> {
        self.storage.transact(&mut |view| {
            let revision = view.revision() + 1;
            let mut batch = Batch::new();
            for put in puts {
                let key = object_key(&put.id);
                let there = view.get(&key)?.map(|(revision, _)| revision);
                if there != put.expected {
                    fail!(ObjectHandleInvalid, "another process has changed or destroyed the object");
                }
                batch.push((key, Some(seal_object(keys, put, revision)?)));
            }
            for id in deletes {
                let key = object_key(id);
                if view.get(&key)?.is_none() {
                    fail!(ObjectHandleInvalid, "another process has destroyed the object");
                }
                batch.push((key, None));
            }
            with_set(keys, view, batch, false)
        })
    }

    /// What changed since a commit, or everything, as far as `keys` open it: public objects without, and with
    /// a login also the user's own. With a login all of it is verified against the set.
    ///
    /// # Errors
    /// CKR_DEVICE_ERROR, naming what was tampered with.
    pub fn load(&self, since: Option<Revision>, keys: Option<&Keys>) -> Result<Changes> {
        let mut log = self.storage.load(since)?;
        let replaced = match find(&log, &meta_key()).map(Meta::decode).transpose()? {
            Some(meta) if meta.token != self.meta().token => {
                *self.meta.lock() = Arc::new(meta);
                *self.seen.lock() = Seen::default();
                log = self.storage.load(None)?;
                true
            }
            _ => false,
        };
        let keys = keys.filter(|_| !replaced);
        if let Some(keys) = keys {
            self.verify(keys, since, &log)?;
        }
        let token = self.meta().token;
        let mut changes = Changes {
            revision: log.revision,
            replaced,
            complete: log.complete,
            stored: Vec::new(),
            deleted: Vec::new(),
        };
        for change in log.changes {
            let [kind::OBJECT, id @ ..] = &change.key[..] else { continue };
            let Ok(id) = ObjectId::try_from(id) else { fail!(DeviceError, "an object's key is malformed") };
            match change.value {
                Some(record) => {
                    changes.stored.extend(open_object(&token, id, change.revision, &record, keys)?)
                }
                None => changes.deleted.push(id),
            }
        }
        Ok(changes)
    }

    /// Holds what was loaded against the set record.
    fn verify(&self, keys: &Keys, since: Option<Revision>, log: &Log) -> Result<()> {
        let mut seen = self.seen.lock();
        let everything = log.complete || seen.revision != since;
        let whole;
        let log = match everything && !log.complete {
            true => {
                whole = self.storage.load(None)?;
                &whole
            }
            false => log,
        };
        if everything {
            *seen = Seen::default();
        }
        for change in log.changes.iter().filter(|change| in_set(&change.key)) {
            if let Some(old) = seen.records.remove(&change.key) {
                seen.sum.toggle(old);
            }
            if let Some(value) = &change.value {
                let digest = Digest::of(keys, &change.key, change.revision, value);
                seen.sum.toggle(digest);
                seen.records.insert(change.key.clone(), digest);
            }
        }
        seen.revision = Some(log.revision);
        // Without a new set record nothing that the set is about may have changed.
        let set = match find(log, &set_key()) {
            Some(record) => open_set(keys, record)?,
            None if !everything && log.changes.iter().all(|change| !in_set(&change.key)) => return Ok(()),
            None => fail!(DeviceError, "the token has no set record"),
        };
        if !equal(&set.0, &seen.sum.0) {
            *seen = Seen::default();
            fail!(
                DeviceError,
                "the token's records are not those that were written: one was altered, removed or rolled back"
            );
        }
        Ok(())
    }
}

/// Ends all records there are and writes those of a new token.
fn begin(storage: &dyn Storage, new: &NewToken<'_>) -> Result<Meta> {
    let meta = Meta::new(new);
    let so = UserRecord::new(&meta.token, meta.kdf(), new.so_pin, &random::secret(seal::KEY), None)?;
    let keys = so.unlock(&meta.token, new.so_pin)?;
    storage.transact(&mut |view| {
        let mut records: HashMap<Key, Option<Vec<u8>>> =
            view.keys()?.into_iter().map(|(key, _)| (key, None)).collect();
        records.insert(meta_key(), Some(meta.encode()));
        records.insert(user_key(Role::So.number(), ""), Some(so.encode()));
        with_set(&keys, view, records.into_iter().filter(|(key, _)| *key != set_key()).collect(), true)
    })?;
    Ok(meta)
}

/// One record by its whole key.
fn record(storage: &dyn Storage, key: &[u8]) -> Result<Option<Vec<u8>>> {
    Ok(storage.read(key)?.into_iter().find(|change| change.key == key).and_then(|change| change.value))
}

fn find<'a>(log: &'a Log, key: &[u8]) -> Option<&'a [u8]> {
    log.changes.iter().find(|change| change.key == key).and_then(|change| change.value.as_deref())
}

fn seal_object(keys: &Keys, put: &Put<'_>, revision: Revision) -> Result<Vec<u8>> {
    let flags = if put.private { PRIVATE } else { 0 };
    let place = object_place(&keys.token, &put.id, put.class, flags, revision);
    let data_key = random::secret(seal::KEY);
    let sealing = seal::Key::new(&data_key)?;
    let secrets = match put.secrets {
        [] => Vec::new(),
        secrets => sealing.seal(&blob_place(&place, SECRETS), secrets)?,
    };
    let record = Writer::new().u8(flags).u64(put.class).fixed(&keys.user);
    if put.private {
        let grant = keys.data_keys.seal(&place, data_key.expose())?;
        let attributes = sealing.seal(&blob_place(&place, ATTRIBUTES), put.attributes)?;
        return Ok(record
            .u32(1)
            .fixed(&keys.user)
            .u8(DIRECT)
            .bytes(&grant)
            .bytes(&attributes)
            .bytes(&secrets)
            .finish());
    }
    let mac = public_mac(keys, &place, &data_key, put.attributes, &secrets);
    Ok(record.fixed(data_key.expose()).bytes(put.attributes).bytes(&secrets).fixed(&mac).finish())
}

fn public_mac(keys: &Keys, place: &[u8], data_key: &Secret, attributes: &[u8], secrets: &[u8]) -> [u8; 32] {
    let mut mac = keys.public.start();
    for part in [place, data_key.expose(), attributes, secrets] {
        mac.update(&(part.len() as u64).to_le_bytes());
        mac.update(part);
    }
    let mut tag = [0; 32];
    tag.copy_from_slice(&mac.finish());
    tag
}

/// `None` for what these keys do not open.
fn open_object(
    token: &[u8; 16],
    id: ObjectId,
    revision: Revision,
    record: &[u8],
    keys: Option<&Keys>,
) -> Result<Option<Stored>> {
    let mut reader = Reader::new(record, "an object's record")?;
    let (flags, class, _owner) = (reader.u8()?, reader.u64()?, reader.fixed::<16>()?);
    let place = object_place(token, &id, class, flags, revision);
    if flags & PRIVATE == 0 {
        let data_key = Secret::from_slice(&reader.fixed::<32>()?);
        let (attributes, secrets) = (reader.bytes()?, reader.bytes()?.to_vec());
        let mac = reader.fixed::<32>()?;
        reader.end()?;
        if let Some(keys) = keys
            && !equal(&mac, &public_mac(keys, &place, &data_key, attributes, &secrets))
        {
            return Err(tampered(&id, Rv::DeviceError.into()));
        }
        return Ok(Some(Stored {
            id,
            revision,
            attributes: Secret::from_slice(attributes),
            secrets,
            data_key,
            place,
        }));
    }
    let Some(keys) = keys else { return Ok(None) };
    let mut grant = None;
    for _ in 0..reader.u32()? {
        let (user, kind, sealed) = (reader.fixed::<16>()?, reader.u8()?, reader.bytes()?);
        if user == keys.user && kind == DIRECT {
            grant = Some(sealed);
        }
    }
    let (attributes, secrets) = (reader.bytes()?, reader.bytes()?.to_vec());
    reader.end()?;
    let Some(grant) = grant else { return Ok(None) };
    let open = || {
        let data_key = keys.data_keys.open(&place, grant)?;
        let attributes = seal::Key::new(&data_key)?.open(&blob_place(&place, ATTRIBUTES), attributes)?;
        Ok((data_key, attributes))
    };
    let (data_key, attributes) = open().map_err(|error| tampered(&id, error))?;
    Ok(Some(Stored { id, revision, attributes, secrets, data_key, place }))
}
