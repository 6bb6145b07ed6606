//! The stored objects of a token in memory, by handle, and an index for C_FindObjects.

use crate::error::Result;
use crate::object::{AttributeType, Attributes, Handle, Object};
use crate::storage::Revision;
use crate::storage::record::ObjectId;
use cryptoki_sys::*;
use std::collections::HashMap;
use std::collections::hash_map::{Entry, RandomState};
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};
use std::num::NonZero;
use std::ptr;
use std::slice;
use std::sync::Arc;

/// Where an object lies in the storage: under this name, as this commit wrote it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Home {
    pub id: ObjectId,
    pub revision: Revision,
}

struct Resident {
    object: Arc<Object>,
    home: Home,
}

/// Something for each of some handles.
pub(super) type ByHandle<T> = HashMap<Handle, T, BuildHasherDefault<Spread>>;

/// Handles are numbers of our own, so nobody can choose them to collide: they only have to be spread.
#[derive(Default)]
pub(super) struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, number: u64) {
        // Two to the power of 64, divided by the golden ratio.
        self.0 = (self.0 ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(32);
    }
}

/// All stored objects of a token that this process knows, whoever may see them.
#[derive(Default)]
pub struct Objects {
    entries: ByHandle<Resident>,
    index: Index,
    /// The commit up to which they are here; `Revision(0)` before the first load.
    pub revision: Revision,
}

impl Objects {
    /// Makes room for so many more.
    pub fn reserve(&mut self, objects: usize) {
        self.entries.reserve(objects);
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
        self.entries.insert(handle, Resident { object, home });
    }

    pub fn get(&self, handle: Handle) -> Option<(&Arc<Object>, Home)> {
        self.entries.get(&handle).map(|entry| (&entry.object, entry.home))
    }

    /// The object of this name.
    pub fn of(&self, id: &ObjectId) -> Option<(&Arc<Object>, Home)> {
        let handles = self.index.of(CKA_UNIQUE_ID, &unique_id(id));
        handles.iter().filter_map(|handle| self.get(*handle)).find(|(_, home)| home.id == *id)
    }

    /// Where this very version lies; `None` once it is not the current one.
    pub fn home_of(&self, object: &Object) -> Option<Home> {
        let entry = self.entries.get(&object.handle())?;
        ptr::eq(&*entry.object, object).then_some(entry.home)
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
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
            entry.object.revoke();
        }
    }

    /// Takes out all that `choose` says.
    pub fn remove_where(&mut self, choose: impl Fn(&Object, Home) -> bool) {
        let chosen = self.entries.extract_if(|_, entry| choose(&entry.object, entry.home));
        let chosen: Vec<Arc<Object>> = chosen.map(|(_, entry)| entry.object).collect();
        chosen.iter().for_each(|object| object.revoke());
        if chosen.len() < self.entries.len() {
            chosen.iter().for_each(|object| self.index.drop(object));
        } else {
            self.index.clear();
            self.entries.values().for_each(|entry| self.index.add(&entry.object));
        }
    }

    /// The handles of all objects that match and that `visible` lets through, in ascending order.
    pub fn find(&self, template: &Attributes, visible: impl Fn(&Object) -> bool) -> Vec<Handle> {
        let fits = |object: &Object| object.matches(template) && visible(object);
        if let Some(handles) = self.index.candidates(template) {
            let objects = handles.iter().filter_map(|handle| self.get(*handle));
            return objects.filter(|(object, _)| fits(object)).map(|(object, _)| object.handle()).collect();
        }
        let all = self.entries.values().map(|entry| &entry.object);
        let mut found: Vec<Handle> =
            all.filter(|object| fits(object)).map(|object| object.handle()).collect();
        found.sort_unstable();
        found
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

    fn clear(&mut self) {
        self.single.clear();
        self.several.clear();
    }

    /// The handles of one key, in ascending order.
    fn handles(&self, key: NonZero<u64>) -> &[Handle] {
        match self.single.get(&key.get()) {
            None => &[],
            Some(&CK_INVALID_HANDLE) => self.several.get(&key.get()).map_or(&[], Vec::as_slice),
            Some(single) => slice::from_ref(single),
        }
    }

    /// The handles of objects that may have this value, in ascending order.
    fn of(&self, attribute: AttributeType, value: &[u8]) -> &[Handle] {
        self.indexer.key(attribute, Some(value)).map_or(&[], |key| self.handles(key))
    }

    /// The handles that can match, in ascending order; `None` if the template names nothing indexed.
    pub(super) fn candidates(&self, template: &Attributes) -> Option<&[Handle]> {
        let keys = INDEXED.iter().filter_map(|name| self.indexer.key(*name, template.bytes(*name)));
        keys.map(|key| self.handles(key)).min_by_key(|handles| handles.len())
    }
}

/// CKA_UNIQUE_ID: the object's name in its token, in hexadecimal.
pub(super) fn unique_id(id: &ObjectId) -> [u8; 2 * size_of::<ObjectId>()] {
    /// Both digits of each byte.
    static HEX: [[u8; 2]; 256] = {
        let (digits, mut pairs, mut byte) = (b"0123456789abcdef", [[0; 2]; 256], 0);
        while byte < pairs.len() {
            pairs[byte] = [digits[byte >> 4], digits[byte & 15]];
            byte += 1;
        }
        pairs
    };
    let mut hex = [0; 2 * size_of::<ObjectId>()];
    hex.as_chunks_mut().0.iter_mut().zip(id).for_each(|(pair, byte)| *pair = HEX[usize::from(*byte)]);
    hex
}

/// The object that must be there.
pub fn present<T>(object: Option<T>, handle: Handle) -> Result<T> {
    match object {
        Some(object) => Ok(object),
        None => fail!(ObjectHandleInvalid, "no object {handle}"),
    }
}
