//! The stored objects of a token in memory, by handle, and an index for C_FindObjects.

use crate::error::Result;
use crate::object::{AttributeType, Attributes, Handle, Object};
use crate::storage::Revision;
use crate::storage::record::ObjectId;
use cryptoki_sys::*;
use std::collections::hash_map::{Entry, RandomState};
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};
use std::num::NonZero;
use std::ptr;
use std::slice;
use std::sync::Arc;

/// Where an object lives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Home {
    /// In the storage, under this name, as this commit wrote it.
    Stored(ObjectId, Revision),
}

struct Resident {
    object: Arc<Object>,
    home: Home,
}

/// All stored objects of a token that this process knows, whoever may see them.
#[derive(Default)]
pub struct Objects {
    entries: BTreeMap<Handle, Resident>,
    stored: HashMap<ObjectId, Handle>,
    index: Index,
    /// The commit up to which they are here; `Revision(0)` before the first load.
    pub revision: Revision,
}

impl Objects {
    /// Makes room for so many stored ones more.
    pub fn reserve(&mut self, objects: usize) {
        self.stored.reserve(objects);
        self.index.reserve(objects);
    }

    /// What computes an object's keys in the index.
    pub fn indexer(&self) -> Indexer {
        self.index.indexer.clone()
    }

    pub fn insert(&mut self, object: Arc<Object>, home: Home) {
        let keys = self.index.indexer.keys(object.plain_bytes(INDEXED));
        self.insert_by(object, home, keys);
    }

    /// The same with keys that [`Objects::indexer`] has computed.
    pub fn insert_by(&mut self, object: Arc<Object>, home: Home, keys: IndexKeys) {
        let handle = object.handle();
        self.index.add_by(handle, keys);
        let Home::Stored(id, _) = home;
        self.stored.insert(id, handle);
        self.entries.insert(handle, Resident { object, home });
    }

    pub fn get(&self, handle: Handle) -> Option<(&Arc<Object>, Home)> {
        self.entries.get(&handle).map(|entry| (&entry.object, entry.home))
    }

    /// Where this very version lives; `None` once it is not the current one.
    pub fn home_of(&self, object: &Object) -> Option<Home> {
        let entry = self.entries.get(&object.handle())?;
        ptr::eq(&*entry.object, object).then_some(entry.home)
    }

    /// Whether any of them lives in the storage.
    pub fn has_stored(&self) -> bool {
        !self.stored.is_empty()
    }

    pub fn handle_of(&self, id: &ObjectId) -> Option<Handle> {
        self.stored.get(id).copied()
    }

    /// Puts a newer version in the place of the one with its handle.
    pub fn replace(&mut self, object: Arc<Object>, home: Home) {
        if let Some(entry) = self.entries.get_mut(&object.handle()) {
            self.index.drop(&entry.object);
            entry.object.supersede();
            self.index.add(&object);
            (entry.object, entry.home) = (object, home);
        }
    }

    /// Takes an object out and ends its handle.
    pub fn remove(&mut self, handle: Handle) {
        if let Some(entry) = self.entries.remove(&handle) {
            self.index.drop(&entry.object);
            let Home::Stored(id, _) = entry.home;
            self.stored.remove(&id);
            entry.object.revoke();
        }
    }

    /// Takes out all that `choose` says.
    pub fn remove_where(&mut self, choose: impl Fn(&Object, Home) -> bool) {
        let chosen: Vec<Handle> = self
            .entries
            .iter()
            .filter(|(_, entry)| choose(&entry.object, entry.home))
            .map(|(handle, _)| *handle)
            .collect();
        chosen.into_iter().for_each(|handle| self.remove(handle));
    }

    /// The handles of all objects that match and that `visible` lets through, in ascending order.
    pub fn find(&self, template: &Attributes, visible: impl Fn(&Object) -> bool) -> Vec<Handle> {
        let fits = |object: &Object| object.matches(template) && visible(object);
        match self.index.candidates(template) {
            Some(handles) => {
                let objects = handles.iter().filter_map(|handle| self.get(*handle));
                objects.filter(|(object, _)| fits(object)).map(|(object, _)| object.handle()).collect()
            }
            None => self
                .entries
                .values()
                .filter(|entry| fits(&entry.object))
                .map(|entry| entry.object.handle())
                .collect(),
        }
    }
}

/// Handles by the value of the attributes that searches name most. Keyed by a hash: `find` compares anyway.
#[derive(Default)]
pub(super) struct Index {
    indexer: Indexer,
    /// The only handle of a key; CK_INVALID_HANDLE if it has several.
    single: HashMap<u64, Handle, BuildHasherDefault<Hashed>>,
    several: HashMap<u64, Vec<Handle>, BuildHasherDefault<Hashed>>,
}

/// A key that is a hash already.
#[derive(Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// In ascending order.
pub const INDEXED: [AttributeType; 4] = [CKA_LABEL, CKA_UNIQUE_ID, CKA_ID, CKA_MODULUS];

/// An object's keys in the index, by the attributes of [`INDEXED`].
pub type IndexKeys = [Option<NonZero<u64>>; INDEXED.len()];

/// Computes keys in the index, in whatever thread.
#[derive(Clone, Default)]
pub struct Indexer(RandomState);

impl Indexer {
    /// Of these values.
    pub fn keys(&self, values: [Option<&[u8]>; INDEXED.len()]) -> IndexKeys {
        std::array::from_fn(|at| self.key(INDEXED[at], values[at]))
    }

    fn key(&self, attribute: AttributeType, bytes: Option<&[u8]>) -> Option<NonZero<u64>> {
        let bytes = bytes.filter(|bytes| !bytes.is_empty())?;
        NonZero::new(self.0.hash_one((attribute, bytes)).max(1))
    }
}

impl Index {
    fn reserve(&mut self, objects: usize) {
        self.single.reserve(objects.saturating_mul(3));
    }

    pub(super) fn add(&mut self, object: &Object) {
        let keys = self.indexer.keys(object.plain_bytes(INDEXED));
        self.add_by(object.handle(), keys);
    }

    fn add_by(&mut self, handle: Handle, keys: IndexKeys) {
        for key in keys.into_iter().flatten().map(NonZero::get) {
            let single = match self.single.entry(key) {
                Entry::Vacant(place) => {
                    place.insert(handle);
                    continue;
                }
                Entry::Occupied(place) => place.into_mut(),
            };
            let handles = match std::mem::replace(single, CK_INVALID_HANDLE) {
                CK_INVALID_HANDLE => self.several.entry(key).or_default(),
                other => self.several.entry(key).or_insert(vec![other]),
            };
            if let Err(at) = handles.binary_search(&handle) {
                handles.insert(at, handle);
            }
        }
    }

    pub(super) fn drop(&mut self, object: &Object) {
        let handle = object.handle();
        let keys = self.indexer.keys(object.plain_bytes(INDEXED));
        for key in keys.into_iter().flatten().map(NonZero::get) {
            if self.single.get(&key) == Some(&handle) {
                self.single.remove(&key);
            } else if let Some(handles) = self.several.get_mut(&key) {
                if let Ok(at) = handles.binary_search(&handle) {
                    handles.remove(at);
                }
                if let [last] = handles[..] {
                    self.several.remove(&key);
                    self.single.insert(key, last);
                }
            }
        }
    }

    /// The handles that can match, in ascending order; `None` if the template names nothing indexed.
    pub(super) fn candidates(&self, template: &Attributes) -> Option<&[Handle]> {
        let keys = INDEXED.iter().filter_map(|name| self.indexer.key(*name, template.bytes(*name)));
        let keys = keys.map(NonZero::get);
        let handles = |key| match self.single.get(&key) {
            None => &[][..],
            Some(&CK_INVALID_HANDLE) => self.several.get(&key).map_or(&[][..], Vec::as_slice),
            Some(single) => slice::from_ref(single),
        };
        keys.map(handles).min_by_key(|handles| handles.len())
    }
}

/// The object that must be there.
pub fn present<T>(object: Option<T>, handle: Handle) -> Result<T> {
    match object {
        Some(object) => Ok(object),
        None => fail!(ObjectHandleInvalid, "no object {handle}"),
    }
}
