//! A token's objects: kept in step with the storage, made, changed and destroyed.

use super::arrival::{Arrival, Opening};
use super::built_in::BuiltIn;
use super::objects::{Home, Indexer, Objects, present, unique_id};
use super::quorum::{Service, is_guarded};
use super::session_objects::{SessionObjects, new_handle};
use super::token::{Login, Opened, Token, User};
use crate::crypto::{Secret, random};
use crate::error::{Result, Rv};
use crate::log;
use crate::object::template::Settled;
use crate::object::{Attributes, Follows, Handle, Object, Packed, Secrets};
use crate::storage::quorum::Guarded;
use crate::storage::record::{ObjectId, object_id};
use crate::storage::sealed::{Change, Commit, Loaded, NewSecrets};
use crate::storage::{Revision, Stamp};
use cryptoki_sys::*;
use smallvec::SmallVec;
use std::collections::HashSet;
use std::num::NonZero;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
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
        let loaded = match self.load(opened, objects.revision, login.as_ref(), objects.indexer()) {
            Err(error) if error.rv() == Rv::DeviceRemoved => {
                // Another process has initialised the token anew: the login is no more.
                drop((objects, login));
                let _ = self.end_login();
                return Err(error);
            }
            loaded => loaded?,
        };
        self.apply(&mut objects, loaded)
    }

    /// What has become of the objects since `since`, opened for who is logged in.
    pub(super) fn load(
        &self,
        opened: &Opened,
        since: Revision,
        login: Option<&Login>,
        indexer: Indexer,
    ) -> Result<Loaded<Arrival>> {
        let keys = login.map(|login| &*login.keys);
        let opening = Opening::new(&opened.sealed, login, indexer);
        opened.sealed.take_in(since, keys, self.threads(), &|stored| opening.open(stored))
    }

    /// How many may work on what a load brings.
    fn threads(&self) -> usize {
        /// Asked once: the system answers by reading files.
        static CORES: OnceLock<usize> = OnceLock::new();
        let cores = || thread::available_parallelism().map_or(1, NonZero::get).min(MOST_THREADS);
        if self.config.may_start_threads { *CORES.get_or_init(cores) } else { 1 }
    }

    /// Brings `objects` up to date.
    pub(super) fn apply(&self, objects: &mut Objects, mut loaded: Loaded<Arrival>) -> Result<()> {
        for (_, error) in &loaded.refused {
            log!(Error, "the token in slot {}: {error}", self.slot());
        }
        if loaded.complete && !objects.is_empty() {
            let there: HashSet<ObjectId> = loaded.stored.iter().map(|arrival| arrival.id).collect();
            objects.remove_where(|_, home| !there.contains(&home.id));
        }
        for id in &loaded.gone {
            if let Some(handle) = objects.of(id).map(|(object, _)| object.handle()) {
                objects.remove(handle);
            }
        }
        let nothing_known = objects.is_empty();
        for arrival in &mut loaded.stored {
            let known = if nothing_known { None } else { objects.of(&arrival.id) };
            let known = known.map(|(object, home)| (object.clone(), home));
            if known.is_none() && matches!(arrival.object, Some(Ok(_))) {
                continue;
            }
            let home = Home { id: arrival.id, revision: arrival.revision };
            match (arrival.object.take(), known) {
                (_, Some((_, there))) if there == home => {}
                (Some(Ok(arrived)), Some((old, _))) => {
                    if let Some(arrived) = Arc::into_inner(arrived) {
                        objects.replace(Arc::new(old.succeeded_by(arrived)), home);
                    }
                }
                (unusable, known) => {
                    if let Some(Err(error)) = unusable {
                        // One object must not keep its user from all the others.
                        log!(Error, "the token in slot {}: {error}", self.slot());
                    }
                    // Or it was never shared with this user, or is no longer.
                    known.iter().for_each(|(old, _)| objects.remove(old.handle()));
                }
            }
        }
        objects.take_in(&mut loaded.stored, self.handles, self.threads());
        objects.revision = loaded.upto;
        self.revocations.fetch_add(1, Ordering::Release);
        self.seen.store(loaded.stamp.0, Ordering::Release);
        Ok(())
    }

    pub(super) fn next_handle(&self) -> Handle {
        new_handle(self.handles, None)
    }

    fn visible(&self, object: &Object) -> bool {
        !object.is_private() || self.user() == Some(User::Normal)
    }

    /// An object that the application may see.
    ///
    /// # Errors
    /// CKR_OBJECT_HANDLE_INVALID.
    pub fn object(&self, handle: Handle) -> Result<Arc<Object>> {
        let object = match SessionObjects::is_one(handle) {
            true => self.session_objects.get(handle),
            false => self.objects.read().get(handle).map(|(object, _)| object.clone()),
        };
        if let Some(object) = object {
            return present(Some(object).filter(|object| self.visible(object)), handle);
        }
        let opened = self.opened.read();
        present(opened.as_ref().and_then(|opened| opened.built_in.object(handle)), handle).cloned()
    }

    /// All objects that the application may see and that match, in ascending order.
    pub fn find(&self, template: &Attributes) -> Vec<Handle> {
        if BuiltIn::concerns(template) {
            let opened = self.opened.read();
            let found = opened.as_ref().map(|opened| opened.built_in.find(self, &opened.rules, template));
            return found.unwrap_or_default();
        }
        let visible = |object: &Object| self.visible(object);
        let mut found = self.objects.read().find(template, visible);
        self.session_objects.find(template, visible, &mut found);
        found
    }

    /// Makes an object: a token object is on disk when this returns, a session object ends with `owner`.
    ///
    /// # Errors
    /// CKR_USER_NOT_LOGGED_IN, and as the storage.
    pub fn create(&self, owner: CK_SESSION_HANDLE, new: Settled) -> Result<Handle> {
        self.keep(owner, [self.named(owner, new)]).map(|[handle]| handle)
    }

    /// Makes two objects, or none.
    ///
    /// # Errors
    /// As [`Token::create`].
    pub fn create_pair(
        &self,
        owner: CK_SESSION_HANDLE,
        public: Settled,
        private: Settled,
    ) -> Result<(Handle, Handle)> {
        let pair = [self.named(owner, public), self.named(owner, private)];
        self.keep(owner, pair).map(|[public, private]| (public, private))
    }

    fn named(&self, owner: CK_SESSION_HANDLE, mut new: Settled) -> New {
        let id = name(&mut new.attributes);
        let handle = self.new_handle(owner, id);
        (Arc::new(Object::new(handle, new.attributes, Secrets::opened(new.secrets))), id)
    }

    fn new_handle(&self, owner: CK_SESSION_HANDLE, id: Option<ObjectId>) -> Handle {
        new_handle(self.handles, if id.is_some() { None } else { Some(owner) })
    }

    /// C_CopyObject, once the copy's attributes are judged.
    ///
    /// # Errors
    /// As [`Token::create`].
    pub fn copy(
        &self,
        owner: CK_SESSION_HANDLE,
        object: &Arc<Object>,
        mut attributes: Attributes,
    ) -> Result<Handle> {
        let id = name(&mut attributes);
        let handle = self.new_handle(owner, id);
        // The copy outlives what it was made of, and with it the place of the secrets.
        object.secrets()?;
        self.keep(owner, [(Arc::new(object.copy(handle, attributes)), id)]).map(|[handle]| handle)
    }

    /// Stores those that are token objects and shows all.
    fn keep<const N: usize>(&self, owner: CK_SESSION_HANDLE, new: [New; N]) -> Result<[Handle; N]> {
        let stored = || new.iter().filter_map(|(_, id)| id.as_ref());
        if stored().next().is_none() {
            return Ok(new.map(|(object, _)| self.show(owner, object)));
        }
        let ids: SmallVec<[ObjectId; 2]> = stored().copied().collect();
        let hex = |id: &ObjectId| String::from_utf8_lossy(&unique_id(id)).into_owned();
        let names = || ids.iter().map(hex).collect::<Vec<_>>().join(" ");
        self.audited("create objects", names, || self.store(owner, new))
    }

    /// Puts a session object among the others. A private one ends with the login, also with one that ends just now.
    fn show(&self, owner: CK_SESSION_HANDLE, object: Arc<Object>) -> Handle {
        let (handle, private) = (object.handle(), object.is_private());
        let ended = || private && self.user() != Some(User::Normal);
        self.session_objects.insert(object, owner, ended);
        handle
    }

    fn store<const N: usize>(&self, owner: CK_SESSION_HANDLE, new: [New; N]) -> Result<[Handle; N]> {
        let login = self.login.read();
        let stored = || new.iter().filter_map(|(object, id)| Some((object, (*id)?)));
        let mut records = Vec::new();
        for (object, id) in stored() {
            records.push(Record::of(object, id, None)?);
        }
        let mut packed = Vec::with_capacity(records.len());
        for record in &records {
            packed.push(Packed::new(record.attributes.expose())?);
        }
        let puts: Vec<_> = records.iter().map(Record::put).collect();
        let revision = match self.commit(login.as_ref(), &puts, None)? {
            Commit::Done(revision) => {
                let guarded = stored().filter(|(object, _)| is_guarded(object));
                guarded.for_each(|(_, id)| login.iter().for_each(|login| login.keys.made(id)));
                revision
            }
            Commit::Stale(_) => fail!(GeneralError, "an object of this name is there"),
        };
        let mut objects = self.objects.write();
        let mut packed = packed.into_iter();
        Ok(new.map(|(mut object, id)| {
            let Some(id) = id else { return self.show(owner, object) };
            if let (Some(attributes), Some(object)) = (packed.next(), Arc::get_mut(&mut object)) {
                object.pack(attributes);
            }
            match objects.of(&id) {
                // Another thread's refresh was faster, and its handle may be in use already.
                Some((there, _)) => there.handle(),
                // That refresh has seen the object destroyed again.
                None if objects.revision >= revision => object.handle(),
                None => {
                    let handle = object.handle();
                    objects.insert(object, Home { id, revision });
                    handle
                }
            }
        }))
    }

    fn commit(
        &self,
        login: Option<&Login>,
        changes: &[Change<'_>],
        guarded: Option<&Guarded>,
    ) -> Result<Commit> {
        let Some(login) = login else { fail!(UserNotLoggedIn, "writing a token object takes a login") };
        self.initialised()?.sealed.commit_guarded(&login.keys, changes, guarded)
    }

    /// C_SetAttributeValue, once the changes are judged: gives `object` these attributes. False if it is no
    /// longer the current version, because another thread or process was faster: judge again.
    ///
    /// # Errors
    /// As the storage.
    pub fn change(&self, object: &Arc<Object>, attributes: Attributes) -> Result<bool> {
        match object.is_token() {
            true => self.audited_change("change object", object, || self.replace(object, attributes)),
            false => self.replace(object, attributes),
        }
    }

    fn replace(&self, object: &Arc<Object>, attributes: Attributes) -> Result<bool> {
        let new = Arc::new(object.with_attributes(attributes));
        if SessionObjects::is_one(object.handle()) {
            return Ok(self.session_objects.replace(object, new));
        }
        let login = self.login.read();
        let Some(Home { id, revision }) = self.objects.read().home_of(object) else { return Ok(false) };
        let record = Record::of(&new, id, Some(revision))?;
        let guarded = self.guarded(Service::KeyManagement, object)?;
        let home = match self.commit(login.as_ref(), &[record.put()], guarded.as_ref())? {
            Commit::Done(revision) => Home { id, revision },
            Commit::Stale(_) => return Ok(false),
        };
        let mut objects = self.objects.write();
        // If it is current no longer, a refresh has brought this change, or a later one.
        if objects.home_of(object).is_some() {
            objects.replace(new, home);
        }
        Ok(true)
    }

    /// C_DestroyObject of a token object, once it is allowed. False as [`Token::change`].
    ///
    /// # Errors
    /// As the storage.
    pub fn destroy(&self, object: &Object) -> Result<bool> {
        self.audited_change("destroy object", object, || self.remove(object))
    }

    /// Whether it is the handle of a session object.
    pub fn is_of_session(handle: Handle) -> bool {
        SessionObjects::is_one(handle)
    }

    /// C_DestroyObject of a session object, if `allow` does. It is judged and taken out at once, so it cannot change
    /// between.
    ///
    /// # Errors
    /// CKR_OBJECT_HANDLE_INVALID; those of `allow`.
    pub fn take_out(&self, handle: Handle, allow: impl FnOnce(&Object) -> Result<()>) -> Result<Arc<Object>> {
        let judge = |object: &Object| {
            present(self.visible(object).then_some(()), handle).and_then(|()| allow(object))
        };
        present(self.session_objects.take_out(handle, judge)?, handle)
    }

    fn remove(&self, object: &Object) -> Result<bool> {
        let login = self.login.read();
        let Some(Home { id, revision: at }) = self.objects.read().home_of(object) else { return Ok(false) };
        if let Commit::Stale(_) = self.commit(login.as_ref(), &[Change::Delete { id, at }], None)? {
            return Ok(false);
        }
        // A refresh may have noticed the end first; it is this thread's all the same.
        self.objects.write().remove(object.handle());
        Ok(true)
    }

    /// Tells the sessions that objects were revoked which they may hold.
    pub fn announce_revocation(&self) {
        self.revocations.fetch_add(1, Ordering::Release);
    }
}

/// A new object and, if it is to be stored, its name.
type New = (Arc<Object>, Option<ObjectId>);

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

/// Names a new object. A session object's name need only differ from its neighbours', and is made when somebody asks.
fn name(attributes: &mut Attributes) -> Option<ObjectId> {
    if !attributes.is_true(CKA_TOKEN) {
        let drawn = || {
            let mut id = ObjectId::default();
            random::draw(&mut id);
            unique_id(&id).to_vec()
        };
        attributes.set(CKA_UNIQUE_ID, Follows::drawn(drawn));
        return None;
    }
    let id = object_id();
    attributes.set(CKA_UNIQUE_ID, &unique_id(&id)[..]);
    Some(id)
}
