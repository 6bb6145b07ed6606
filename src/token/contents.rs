//! A token's objects: kept in step with the storage, made, changed and destroyed.

use super::arrival::{Arrival, Vaults};
use super::built_in::BuiltIn;
use super::objects::{Home, Objects, present};
use super::token::{Login, Opened, Token, User};
use crate::crypto::{Secret, random};
use crate::error::{Result, Rv};
use crate::log;
use crate::object::{Attributes, Handle, Object, Packed, Secrets, template};
use crate::storage::record::{ObjectId, object_id};
use crate::storage::sealed::{Change, Commit, Loaded, NewSecrets};
use crate::storage::{Revision, Stamp};
use cryptoki_sys::*;
use std::collections::HashSet;
use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;

/// More do not make reading the storage faster.
const MOST_THREADS: usize = 8;

impl Token {
    /// Takes in what other processes changed. Costs two loads when nothing did.
    ///
    /// # Errors
    /// CKR_DEVICE_ERROR if the storage cannot be read or was tampered with.
    #[inline]
    pub fn refresh(&self, opened: &Opened) -> Result<()> {
        match opened.sealed.unchanged_since(Stamp(self.seen.load(Ordering::Acquire))) {
            true => Ok(()),
            false => self.take_in(opened),
        }
    }

    #[cold]
    fn take_in(&self, opened: &Opened) -> Result<()> {
        let login = self.login.read();
        let mut objects = self.objects.write();
        let loaded = match self.load(opened, objects.revision, login.as_ref()) {
            Err(error) if error.rv() == Rv::DeviceRemoved => {
                // Another process has initialised the token anew: the login is no more.
                drop((objects, login));
                let _ = self.end_login();
                return Err(error);
            }
            loaded => loaded?,
        };
        self.apply(&mut objects, opened, loaded, login.as_ref())
    }

    /// What has become of the objects since `since`, opened for who is logged in.
    pub(super) fn load(
        &self,
        opened: &Opened,
        since: Revision,
        login: Option<&Login>,
    ) -> Result<Loaded<Arrival>> {
        let keys = login.map(|login| &*login.keys);
        // The SO holds the token key but has no private objects.
        let user = login.filter(|login| login.user == User::Normal).map(|login| &*login.keys);
        let threads = match self.config.may_start_threads {
            true => thread::available_parallelism().map_or(1, NonZero::get).min(MOST_THREADS),
            false => 1,
        };
        opened.sealed.take_in(since, keys, threads, &|stored| Arrival::open(&opened.sealed, stored, user))
    }

    /// Brings `objects` up to date.
    pub(super) fn apply(
        &self,
        objects: &mut Objects,
        opened: &Opened,
        loaded: Loaded<Arrival>,
        login: Option<&Login>,
    ) -> Result<()> {
        for (_, error) in &loaded.refused {
            log!(Error, "the token in slot {}: {error}", self.slot());
        }
        if loaded.complete {
            let there: HashSet<ObjectId> = loaded.stored.iter().map(|arrival| arrival.id).collect();
            objects.remove_where(|_, home| matches!(home, Home::Stored(id, _) if !there.contains(&id)));
        }
        for id in &loaded.gone {
            if let Some(handle) = objects.handle_of(id) {
                objects.remove(handle);
            }
        }
        let vaults = Vaults::new(&opened.sealed, login);
        objects.reserve(loaded.stored.len());
        for arrival in loaded.stored {
            let home = Home::Stored(arrival.id, arrival.revision);
            let handle = objects.handle_of(&arrival.id);
            let known = handle.and_then(|handle| objects.get(handle));
            if known.is_some_and(|(_, there)| there == home) {
                continue;
            }
            let (secrets, attributes) = arrival.split(&vaults);
            match (attributes, known) {
                (Some(Ok(attributes)), Some((old, _))) => {
                    let new = Arc::new(old.with_packed(attributes));
                    objects.replace(new, home);
                }
                (Some(Ok(attributes)), None) => {
                    let object = Object::stored(self.next_handle(), attributes, secrets);
                    objects.insert(Arc::new(object), home);
                }
                (unusable, _) => {
                    if let Some(Err(error)) = unusable {
                        // One object must not keep its user from all the others.
                        log!(Error, "the token in slot {}: {error}", self.slot());
                    }
                    // Or it was never shared with this user, or is no longer.
                    handle.into_iter().for_each(|handle| objects.remove(handle));
                }
            }
        }
        objects.revision = loaded.upto;
        self.revocations.fetch_add(1, Ordering::Release);
        self.seen.store(loaded.stamp.0, Ordering::Release);
        Ok(())
    }

    pub(super) fn next_handle(&self) -> Handle {
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
        match objects.get(handle) {
            Some((object, _)) => present(Some(object).filter(|object| self.visible(object)), handle).cloned(),
            None => {
                drop(objects);
                let opened = self.opened.read();
                present(opened.as_ref().and_then(|opened| opened.built_in.object(handle)), handle).cloned()
            }
        }
    }

    /// All objects that the application may see and that match, in ascending order.
    pub fn find(&self, template: &Attributes) -> Vec<Handle> {
        if BuiltIn::concerns(template) {
            let opened = self.opened.read();
            let found = opened.as_ref().map(|opened| opened.built_in.find(self, &opened.rules, template));
            return found.unwrap_or_default();
        }
        self.objects.read().find(template, |object| self.visible(object))
    }

    /// Makes an object: a token object is on disk when this returns, a session object ends with `owner`.
    ///
    /// # Errors
    /// CKR_USER_NOT_LOGGED_IN, and as the storage.
    pub fn create(&self, owner: CK_SESSION_HANDLE, attributes: Attributes) -> Result<Handle> {
        Ok(self.create_all(owner, vec![attributes])?[0])
    }

    /// Makes two objects, or none.
    ///
    /// # Errors
    /// As [`Token::create`].
    pub fn create_pair(
        &self,
        owner: CK_SESSION_HANDLE,
        public: Attributes,
        private: Attributes,
    ) -> Result<(Handle, Handle)> {
        let handles = self.create_all(owner, vec![public, private])?;
        Ok((handles[0], handles[1]))
    }

    fn create_all(&self, owner: CK_SESSION_HANDLE, new: Vec<Attributes>) -> Result<Vec<Handle>> {
        let drafts: Vec<(Object, ObjectId)> = new
            .into_iter()
            .map(|mut attributes| {
                let id = new_id(&attributes);
                attributes.set(CKA_UNIQUE_ID, &unique_id(&id)[..]);
                let secrets = template::take_secrets(&mut attributes);
                (Object::new(self.next_handle(), attributes, Secrets::opened(secrets)), id)
            })
            .collect();
        self.keep(owner, drafts)
    }

    /// C_CopyObject, once the copy's attributes are judged.
    ///
    /// # Errors
    /// As [`Token::create`].
    pub fn copy(
        &self,
        owner: CK_SESSION_HANDLE,
        object: &Object,
        mut attributes: Attributes,
    ) -> Result<Handle> {
        let id = object_id();
        attributes.set(CKA_UNIQUE_ID, &unique_id(&id)[..]);
        // The copy outlives what it was made of, and with it the place of the secrets.
        object.secrets()?;
        Ok(self.keep(owner, vec![(object.copy(self.next_handle(), attributes), id)])?[0])
    }

    /// Stores those that are token objects and shows all.
    fn keep(&self, owner: CK_SESSION_HANDLE, drafts: Vec<(Object, ObjectId)>) -> Result<Vec<Handle>> {
        let stored: Vec<ObjectId> =
            drafts.iter().filter(|(object, _)| object.is_token()).map(|(_, id)| *id).collect();
        if stored.is_empty() {
            return self.store(owner, drafts);
        }
        let hex = |id| String::from_utf8_lossy(&unique_id(id)).into_owned();
        let ids = || stored.iter().map(hex).collect::<Vec<_>>().join(" ");
        self.audited("create objects", ids, || self.store(owner, drafts))
    }

    fn store(&self, owner: CK_SESSION_HANDLE, drafts: Vec<(Object, ObjectId)>) -> Result<Vec<Handle>> {
        let login = self.login.read();
        let mut records = Vec::new();
        for (object, id) in drafts.iter().filter(|(object, _)| object.is_token()) {
            records.push(Record::of(object, *id, None)?);
        }
        let revision = match records.is_empty() {
            true => Revision(0),
            false => {
                let puts: Vec<_> = records.iter().map(Record::put).collect();
                match self.commit(login.as_ref(), &puts)? {
                    Commit::Done(revision) => revision,
                    Commit::Stale(_) => fail!(GeneralError, "an object of this name is there"),
                }
            }
        };
        let mut objects = self.objects.write();
        let mut handles = Vec::with_capacity(drafts.len());
        let mut records = records.into_iter();
        for (mut object, id) in drafts {
            if object.is_token()
                && let Some(record) = records.next()
            {
                object = object.packed(Packed::new(record.attributes.expose())?);
            }
            let home = if object.is_token() { Home::Stored(id, revision) } else { Home::Session(owner) };
            let mut handle = object.handle();
            match (home, objects.handle_of(&id)) {
                // Another thread's refresh was faster, and its handle may be in use already.
                (_, Some(there)) => handle = there,
                // That refresh has seen the object destroyed again.
                (Home::Stored(..), None) if objects.revision >= revision => {}
                _ => objects.insert(Arc::new(object), home),
            }
            handles.push(handle);
        }
        Ok(handles)
    }

    fn commit(&self, login: Option<&Login>, changes: &[Change<'_>]) -> Result<Commit> {
        let Some(login) = login else { fail!(UserNotLoggedIn, "writing a token object takes a login") };
        self.initialised()?.sealed.commit(&login.keys, changes)
    }

    /// C_SetAttributeValue, once the changes are judged: gives `object` these attributes. False if it is no
    /// longer the current version, because another thread or process was faster: judge again.
    ///
    /// # Errors
    /// As the storage.
    pub fn change(&self, object: &Object, attributes: Attributes) -> Result<bool> {
        match object.is_token() {
            true => self.audited_change("change object", object, || self.replace(object, attributes)),
            false => self.replace(object, attributes),
        }
    }

    fn replace(&self, object: &Object, attributes: Attributes) -> Result<bool> {
        let new = Arc::new(object.with_attributes(attributes));
        let login = self.login.read();
        let Some(home) = self.objects.read().home_of(object) else { return Ok(false) };
        let home = match home {
            Home::Session(_) => home,
            Home::Stored(id, revision) => {
                let record = Record::of(&new, id, Some(revision))?;
                match self.commit(login.as_ref(), &[record.put()])? {
                    Commit::Done(revision) => Home::Stored(id, revision),
                    Commit::Stale(_) => return Ok(false),
                }
            }
        };
        let mut objects = self.objects.write();
        match (objects.home_of(object), home) {
            (Some(_), _) => objects.replace(new, home),
            // A refresh has brought this change, or a later one.
            (None, Home::Stored(..)) => {}
            (None, Home::Session(_)) => return Ok(false),
        }
        Ok(true)
    }

    /// C_DestroyObject, once it is allowed. False as [`Token::change`].
    ///
    /// # Errors
    /// As the storage.
    pub fn destroy(&self, object: &Object) -> Result<bool> {
        match object.is_token() {
            true => self.audited_change("destroy object", object, || self.remove(object)),
            false => self.remove(object),
        }
    }

    fn remove(&self, object: &Object) -> Result<bool> {
        let login = self.login.read();
        let Some(home) = self.objects.read().home_of(object) else { return Ok(false) };
        if let Home::Stored(id, at) = home
            && let Commit::Stale(_) = self.commit(login.as_ref(), &[Change::Delete { id, at }])?
        {
            return Ok(false);
        }
        let mut objects = self.objects.write();
        let there = objects.get(object.handle()).is_some();
        objects.remove(object.handle());
        self.revocations.fetch_add(1, Ordering::Release);
        // Of a stored object, a refresh may have noticed the end first; it is this thread's all the same.
        Ok(there || matches!(home, Home::Stored(..)))
    }
}

/// An object as the storage takes it.
struct Record {
    id: ObjectId,
    class: u64,
    private: bool,
    attributes: Secret,
    /// `None` if they stay what they are.
    secrets: Option<Secret>,
    at: Option<Revision>,
}

impl Record {
    fn of(object: &Object, id: ObjectId, at: Option<Revision>) -> Result<Record> {
        let secrets = match at {
            Some(_) => None,
            None => Some(object.secrets()?.encode()),
        };
        let (class, private) = (object.class() as u64, object.is_private());
        Ok(Record { id, class, private, attributes: object.attributes().encode(), secrets, at })
    }

    fn put(&self) -> Change<'_> {
        Change::Put {
            id: self.id,
            at: self.at,
            private: self.private,
            class: self.class,
            attributes: self.attributes.expose(),
            secrets: self.secrets.as_ref().map_or(NewSecrets::Keep, NewSecrets::Set),
        }
    }
}

/// The name of a new object. A session object's need only differ from its neighbours', and costs less.
fn new_id(attributes: &Attributes) -> ObjectId {
    if attributes.is_true(CKA_TOKEN) {
        return object_id();
    }
    let mut id = ObjectId::default();
    random::draw(&mut id);
    id
}

/// CKA_UNIQUE_ID: the object's name in its token, in hexadecimal.
fn unique_id(id: &ObjectId) -> [u8; 2 * size_of::<ObjectId>()] {
    let digit = |nibble: u8| b"0123456789abcdef"[usize::from(nibble)];
    std::array::from_fn(|at| digit(if at % 2 == 0 { id[at / 2] >> 4 } else { id[at / 2] & 15 }))
}
