//! The stored objects of a token in memory, by handle, and an index for C_FindObjects.

use super::arrival::Arrival;
use super::run::{Rank, Run};
use super::session_objects::{new_handle, new_handles};
use crate::error::Result;
use crate::object::{AttributeType, Attributes, Handle, Object};
use crate::storage::Revision;
use crate::storage::record::ObjectId;
use cryptoki_sys::*;
use smallvec::SmallVec;
use std::collections::HashMap;
use std::collections::hash_map::{Entry, RandomState};
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};
use std::num::NonZero;
use std::ptr;
use std::slice;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// Where an object lies in the storage: under this name, as this commit wrote it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Home {
    pub id: ObjectId,
    pub revision: Revision,
}

/// An object and where it lies.
pub(super) struct Resident {
    pub(super) object: Arc<Object>,
    pub(super) home: Home,
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
    /// Those that came many together, mostly at the login.
    run: Option<Run>,
    /// The others.
    entries: ByHandle<Resident>,
    /// Of the others, and of what has changed in the run.
    index: Index,
    /// The commit up to which they are here; `Revision(0)` before the first load.
    pub revision: Revision,
}

/// So many objects that come together are a run.
const MANY: usize = 64;

impl Objects {
    /// What computes an object's keys in the index.
    pub fn indexer(&self) -> Indexer {
        self.index.indexer.clone()
    }

    pub fn insert(&mut self, object: Arc<Object>, home: Home) {
        self.index.add(&object);
        self.entries.insert(object.handle(), Resident { object, home });
    }

    /// Takes in what is usable of `arrivals`, none of which is known, and gives them handles that ascend with their age.
    /// With up to so many threads.
    pub(super) fn take_in(&mut self, arrivals: &mut [Arrival], handles: &'static AtomicU64, threads: usize) {
        let order = Rank::usable(arrivals);
        if order.len() >= MANY && u32::try_from(arrivals.len()).is_ok_and(|len| len <= u32::MAX / 4) {
            let run = Run::new(new_handles(handles, order.len()), &order, arrivals, threads);
            let old = self.run.replace(run);
            for Resident { object, home } in old.into_iter().flat_map(Run::into_iter) {
                // What of it had changed is in the index already.
                self.index.drop(&object);
                self.insert(object, home);
            }
            return;
        }
        for rank in order {
            let arrival = &mut arrivals[rank.at()];
            let Some(Ok(object)) = arrival.object.take() else { continue };
            object.set_handle(new_handle(handles, None));
            self.insert(object, Home { id: arrival.id, revision: arrival.revision });
        }
    }

    fn resident(&self, handle: Handle) -> Option<&Resident> {
        let of_run = self.run.as_ref().and_then(|run| run.get(handle));
        of_run.or_else(|| self.entries.get(&handle))
    }

    fn resident_mut(&mut self, handle: Handle) -> Option<&mut Resident> {
        let of_run = self.run.as_mut().and_then(|run| run.get_mut(handle));
        of_run.or_else(|| self.entries.get_mut(&handle))
    }

    pub fn get(&self, handle: Handle) -> Option<(&Arc<Object>, Home)> {
        self.resident(handle).map(|entry| (&entry.object, entry.home))
    }

    /// The object of this name.
    pub fn of(&self, id: &ObjectId) -> Option<(&Arc<Object>, Home)> {
        let key = self.index.indexer.key(CKA_UNIQUE_ID, Some(&unique_id(id)))?;
        self.handles(key).into_iter().filter_map(|handle| self.get(handle)).find(|(_, home)| home.id == *id)
    }

    /// Where this very version lies; `None` once it is not the current one.
    pub fn home_of(&self, object: &Object) -> Option<Home> {
        let entry = self.resident(object.handle())?;
        ptr::eq(&*entry.object, object).then_some(entry.home)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn len(&self) -> usize {
        self.entries.len() + self.run.as_ref().map_or(0, Run::len)
    }

    /// Puts a newer version in the place of the one with its handle.
    pub fn replace(&mut self, object: Arc<Object>, home: Home) {
        let handle = object.handle();
        let Some(entry) = self.resident_mut(handle) else { return };
        let old = std::mem::replace(&mut entry.object, object.clone());
        entry.home = home;
        old.supersede();
        self.index.drop(&old);
        self.index_anew(&object);
    }

    /// What the run knows of it already is left out.
    fn index_anew(&mut self, object: &Object) {
        let keys = self.index.indexer.keys(object.plain_bytes(INDEXED));
        let of_run =
            |key: &NonZero<u64>| self.run.as_ref().is_some_and(|run| run.leads(*key, object.handle()));
        self.index.add_by(object.handle(), keys.map(|key| key.filter(|key| !of_run(key))));
    }

    /// Takes an object out and ends its handle.
    pub fn remove(&mut self, handle: Handle) {
        let of_run = self.run.as_mut().and_then(|run| run.remove(handle));
        if let Some(Resident { object, .. }) = of_run.or_else(|| self.entries.remove(&handle)) {
            self.index.drop(&object);
            object.revoke();
            self.run.take_if(|run| run.len() == 0);
        }
    }

    /// Takes out all that `choose` says.
    pub fn remove_where(&mut self, choose: impl Fn(&Object, Home) -> bool) {
        let chosen = |entry: &Resident| choose(&entry.object, entry.home);
        let of_run = self.run.as_mut().map(|run| run.remove_where(chosen)).unwrap_or_default();
        let others = self.entries.extract_if(|_, entry| chosen(entry)).map(|(_, entry)| entry);
        let gone: Vec<Arc<Object>> = of_run.into_iter().chain(others).map(|entry| entry.object).collect();
        gone.iter().for_each(|object| object.revoke());
        self.run.take_if(|run| run.len() == 0);
        if gone.len() < self.len() {
            gone.iter().for_each(|object| self.index.drop(object));
        } else {
            self.index.clear();
            let left: Vec<Arc<Object>> = self.all().map(|entry| entry.object.clone()).collect();
            left.iter().for_each(|object| self.index_anew(object));
        }
    }

    fn all(&self) -> impl Iterator<Item = &Resident> {
        self.run.iter().flat_map(Run::iter).chain(self.entries.values())
    }

    /// The handles of objects that may have this key, in ascending order.
    fn handles(&self, key: NonZero<u64>) -> SmallVec<[Handle; 2]> {
        let others = self.index.handles(key);
        let mut handles: SmallVec<[Handle; 2]> = self.run.iter().flat_map(|run| run.handles(key)).collect();
        if !others.is_empty() {
            handles.extend_from_slice(others);
            handles.sort_unstable();
        }
        handles
    }

    /// The handles of all objects that match and that `visible` lets through, in ascending order.
    pub fn find(&self, template: &Attributes, visible: impl Fn(&Object) -> bool) -> Vec<Handle> {
        let fits = |object: &Object| object.matches(template) && visible(object);
        let most = |key: &NonZero<u64>| {
            let of_run = self.run.as_ref().map_or(0, |run| run.most_handles(*key));
            of_run + self.index.handles(*key).len()
        };
        if let Some(key) = self.index.indexer.keys_of(template).min_by_key(most) {
            let handles = self.handles(key);
            let objects = handles.iter().filter_map(|handle| self.get(*handle));
            return objects.filter(|(object, _)| fits(object)).map(|(object, _)| object.handle()).collect();
        }
        let all = self.all().map(|entry| &entry.object);
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
///
/// A hash by two secret numbers that takes eight bytes a multiplication. Keys that agree by chance cost a comparison;
/// nobody can choose values whose keys agree.
#[derive(Clone)]
pub struct Indexer([u64; 2]);

impl Default for Indexer {
    fn default() -> Indexer {
        let random = RandomState::new();
        Indexer([random.hash_one(0), random.hash_one(1) | 1])
    }
}

impl Indexer {
    /// Of these values.
    pub fn keys(&self, values: [Option<&[u8]>; INDEXED.len()]) -> IndexKeys {
        std::array::from_fn(|at| self.key(INDEXED[at], values[at]))
    }

    /// Those of what a template names.
    fn keys_of(&self, template: &Attributes) -> impl Iterator<Item = NonZero<u64>> {
        INDEXED.iter().filter_map(|name| self.key(*name, template.bytes(*name)))
    }

    fn key(&self, attribute: AttributeType, bytes: Option<&[u8]>) -> Option<NonZero<u64>> {
        let bytes = bytes.filter(|bytes| !bytes.is_empty())?;
        let Indexer([start, factor]) = *self;
        let mix = |state: u64, word: u64| {
            let product = u128::from(state ^ word) * u128::from(factor);
            product as u64 ^ (product >> 64) as u64
        };
        let (words, rest) = bytes.as_chunks();
        let mut last = [0; size_of::<u64>()];
        last[..rest.len()].copy_from_slice(rest);
        let state = mix(start, attribute as u64 ^ (bytes.len() as u64) << 32);
        let words = words.iter().chain([&last]).map(|word| u64::from_le_bytes(*word));
        // Once more, so that the last word moves all bits.
        NonZero::new(mix(words.fold(state, mix), start).max(1))
    }
}

impl Index {
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

    /// The handles that can match, in ascending order; `None` if the template names nothing indexed.
    pub(super) fn candidates(&self, template: &Attributes) -> Option<&[Handle]> {
        self.indexer.keys_of(template).map(|key| self.handles(key)).min_by_key(|handles| handles.len())
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
