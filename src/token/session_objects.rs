//! The session objects of a token. They come and go with every key exchange, so sessions do not meet here: each has its
//! objects in a shard, whose number is part of their handles.

use super::objects::{ByHandle, Index};
use crate::error::Result;
use crate::kernel::biased::{RwLock, RwLockWriteGuard};
use crate::kernel::shard::{Apart, SHARDS, next_number};
use crate::object::{Attributes, Handle, Object};
use cryptoki_sys::*;
use std::collections::hash_map::Entry::Occupied;
use std::iter;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The low bits of a handle: 0 of a stored object, and of a session object one more than its shard's number.
const SHARD_BITS: u32 = 7;
/// From one handle of a stored object to the next one possible.
pub(super) const STORED_STEP: Handle = 1 << SHARD_BITS;
const _: () = assert!(SHARDS < 1 << SHARD_BITS && SHARDS == u64::BITS as usize);

/// A shard with more objects than this has an index.
const FEW: usize = 16;

/// The shard of a session's objects: sessions that are open at the same time are in different places.
fn shard_of_session(owner: CK_SESSION_HANDLE) -> usize {
    owner as usize % SHARDS
}

/// The shard of an object; `None` of a stored one.
fn shard_of(handle: Handle) -> Option<usize> {
    (handle as usize % (1 << SHARD_BITS)).checked_sub(1).filter(|shard| *shard < SHARDS)
}

/// A handle nobody has had: of an object of the session `owner`, or of a stored one.
pub(super) fn new_handle(counter: &'static AtomicU64, owner: Option<CK_SESSION_HANDLE>) -> Handle {
    let shard = owner.map_or(0, |owner| 1 + shard_of_session(owner));
    (next_number(counter) << SHARD_BITS) as Handle | shard as Handle
}

/// The first of `count` such handles of stored objects, each a [`STORED_STEP`] after the one before.
pub(super) fn new_handles(counter: &'static AtomicU64, count: usize) -> Handle {
    (counter.fetch_add(count as u64, Ordering::Relaxed) << SHARD_BITS) as Handle
}

struct Entry {
    object: Arc<Object>,
    owner: CK_SESSION_HANDLE,
}

#[derive(Default)]
struct Shard {
    entries: ByHandle<Entry>,
    /// Where there are more than a few.
    index: Option<Index>,
}

impl Shard {
    fn insert(&mut self, object: Arc<Object>, owner: CK_SESSION_HANDLE) {
        if let Some(index) = &mut self.index {
            index.add(&object);
        }
        self.entries.insert(object.handle(), Entry { object, owner });
        if self.index.is_none() && self.entries.len() > FEW {
            let mut index = Index::default();
            self.entries.values().for_each(|entry| index.add(&entry.object));
            self.index = Some(index);
        }
    }

    /// Takes an object out and ends its handle, if `judge` has no objection.
    fn remove(
        &mut self,
        handle: Handle,
        judge: impl FnOnce(&Object) -> Result<()>,
    ) -> Result<Option<Arc<Object>>> {
        let Occupied(entry) = self.entries.entry(handle) else { return Ok(None) };
        judge(&entry.get().object)?;
        let object = entry.remove().object;
        if let Some(index) = &mut self.index {
            index.drop(&object);
        }
        if self.entries.len() <= FEW / 2 {
            self.index = None;
            if self.entries.capacity() > 8 * FEW {
                self.entries.shrink_to(FEW);
            }
        }
        object.revoke();
        Ok(Some(object))
    }

    /// Takes out all that `choose` says.
    fn remove_where(&mut self, choose: impl Fn(&Entry) -> bool) -> Vec<Arc<Object>> {
        let chosen = self.entries.iter().filter(|(_, entry)| choose(entry)).map(|(handle, _)| *handle);
        let chosen: Vec<Handle> = chosen.collect();
        chosen.into_iter().filter_map(|handle| self.remove(handle, |_| Ok(())).ok()?).collect()
    }
}

pub(super) struct SessionObjects {
    shards: [Apart<RwLock<Shard>>; SHARDS],
    /// A bit for each shard that has had an object since it was last seen empty.
    used: AtomicU64,
}

impl Default for SessionObjects {
    fn default() -> SessionObjects {
        SessionObjects { shards: std::array::from_fn(|_| Apart::default()), used: AtomicU64::new(0) }
    }
}

impl SessionObjects {
    fn used(&self) -> impl Iterator<Item = usize> + use<> {
        // Sequentially consistent, see `insert`.
        let mut left = self.used.load(Ordering::SeqCst);
        iter::from_fn(move || {
            let shard = left.trailing_zeros() as usize;
            left &= left.wrapping_sub(1);
            (shard < SHARDS).then_some(shard)
        })
    }

    /// Puts an object in. It ends at once if `ended` says so, which is asked once a [`SessionObjects::remove_where`] can
    /// see the object: who makes `ended` true and then removes leaves none behind.
    pub(super) fn insert(&self, object: Arc<Object>, owner: CK_SESSION_HANDLE, ended: impl Fn() -> bool) {
        let shard = shard_of_session(owner);
        let mut objects = self.shards[shard].0.write();
        if self.used.load(Ordering::SeqCst) >> shard & 1 == 0 {
            self.used.fetch_or(1 << shard, Ordering::SeqCst);
        }
        if ended() { object.revoke() } else { objects.insert(object, owner) }
    }

    pub(super) fn get(&self, handle: Handle) -> Option<Arc<Object>> {
        let objects = self.shards[shard_of(handle)?].0.read();
        objects.entries.get(&handle).map(|entry| entry.object.clone())
    }

    /// Whether it is the handle of a session object.
    pub(super) fn is_one(handle: Handle) -> bool {
        shard_of(handle).is_some()
    }

    /// The shard of an object, for writing.
    fn shard(&self, handle: Handle) -> Option<RwLockWriteGuard<'_, Shard>> {
        Some(self.shards[shard_of(handle)?].0.write())
    }

    /// Puts a newer version in the place of `object`. False if that is not the current one.
    pub(super) fn replace(&self, object: &Object, new: Arc<Object>) -> bool {
        let Some(mut shard) = self.shard(object.handle()) else { return false };
        let Shard { entries, index } = &mut *shard;
        let Some(entry) = entries.get_mut(&object.handle()).filter(|entry| ptr::eq(&*entry.object, object))
        else {
            return false;
        };
        if let Some(index) = index {
            index.drop(object);
            index.add(&new);
        }
        object.supersede();
        entry.object = new;
        true
    }

    /// Takes an object out and ends its handle, if there is one and `judge` has no objection, which is asked while
    /// nobody else can change or take out the object.
    ///
    /// # Errors
    /// Those of `judge`.
    pub(super) fn take_out(
        &self,
        handle: Handle,
        judge: impl FnOnce(&Object) -> Result<()>,
    ) -> Result<Option<Arc<Object>>> {
        match self.shard(handle) {
            Some(mut shard) => shard.remove(handle, judge),
            None => Ok(None),
        }
    }

    /// Takes out the objects of a session. True if others still hold one of them.
    pub(super) fn remove_session(&self, owner: CK_SESSION_HANDLE) -> bool {
        let removed =
            self.shards[shard_of_session(owner)].0.write().remove_where(|entry| entry.owner == owner);
        removed.iter().any(|object| !Object::is_alone(object))
    }

    /// Takes out all that `choose` says.
    pub(super) fn remove_where(&self, choose: impl Fn(&Object) -> bool) {
        for shard in self.used() {
            self.shards[shard].0.write().remove_where(|entry| choose(&entry.object));
        }
    }

    /// Adds the handles of all objects that match and that `visible` lets through to `found`, which is ordered by handle
    /// before and after.
    pub(super) fn find(
        &self,
        template: &Attributes,
        visible: impl Fn(&Object) -> bool,
        found: &mut Vec<Handle>,
    ) {
        let before = found.len();
        let fits = |object: &Object| visible(object) && object.matches(template);
        for shard in self.used() {
            let objects = self.shards[shard].0.read();
            if objects.entries.is_empty() {
                drop(objects);
                self.forget(shard);
                continue;
            }
            match objects.index.as_ref().and_then(|index| index.candidates(template)) {
                Some(handles) => {
                    let entries = handles.iter().filter_map(|handle| objects.entries.get(handle));
                    found.extend(entries.map(|entry| &entry.object).filter(|o| fits(o)).map(|o| o.handle()));
                }
                None => {
                    let all = objects.entries.values().map(|entry| &entry.object);
                    found.extend(all.filter(|object| fits(object)).map(|object| object.handle()));
                }
            }
        }
        if found.len() > before {
            found.sort_unstable();
        }
    }

    /// Searches need not look at a shard that is empty.
    #[cold]
    fn forget(&self, shard: usize) {
        if let Some(objects) = self.shards[shard].0.try_write()
            && objects.entries.is_empty()
        {
            self.used.fetch_and(!(1 << shard), Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::Secrets;

    static COUNTER: AtomicU64 = AtomicU64::new(1);

    fn object(owner: CK_SESSION_HANDLE, label: &[u8]) -> Arc<Object> {
        let attributes = Attributes::new().with(CKA_LABEL, label);
        let handle = new_handle(&COUNTER, Some(owner));
        Arc::new(Object::new(handle, attributes, Secrets::opened(Attributes::new())))
    }

    fn find(objects: &SessionObjects, label: &[u8]) -> Vec<Handle> {
        let mut found = Vec::new();
        objects.find(&Attributes::new().with(CKA_LABEL, label), |_| true, &mut found);
        found
    }

    fn taken_out(objects: &SessionObjects, handle: Handle) -> bool {
        objects.take_out(handle, |_| Ok(())).unwrap().is_some()
    }

    /// As many in one shard as it takes for an index to come and to go.
    #[test]
    fn many_and_few_are_found_alike() {
        let objects = SessionObjects::default();
        let all: Vec<_> = (0..3 * FEW).map(|i| object(5, &[i as u8])).collect();
        for (i, new) in all.iter().enumerate() {
            objects.insert(new.clone(), 5, || false);
            assert!((0..=i).all(|i| find(&objects, &[i as u8]) == [all[i].handle()]));
        }
        let renamed = Arc::new(all[0].with_attributes(Attributes::new().with(CKA_LABEL, &b"new"[..])));
        assert!(objects.replace(&all[0], renamed.clone()) && !objects.replace(&all[0], renamed.clone()));
        assert_eq!((find(&objects, b"new"), find(&objects, &[0])), (vec![renamed.handle()], vec![]));
        for (i, old) in all.iter().enumerate().skip(1) {
            assert!(
                objects.take_out(old.handle(), |_| fail!(ActionProhibited)).is_err() && !old.is_revoked()
            );
            assert!(
                taken_out(&objects, old.handle()) && !taken_out(&objects, old.handle()) && old.is_revoked()
            );
            assert!(find(&objects, &[i as u8]).is_empty());
            assert!((i + 1..all.len()).all(|i| find(&objects, &[i as u8]) == [all[i].handle()]));
        }
        assert!(taken_out(&objects, renamed.handle()));
    }

    #[test]
    fn sessions_and_logouts_take_theirs_along() {
        let objects = SessionObjects::default();
        // Sessions of one shard, and of another.
        let owners = [1, 1 + SHARDS as CK_SESSION_HANDLE, 2];
        let all = owners.map(|owner| object(owner, b"one of three"));
        for (owner, new) in owners.into_iter().zip(&all) {
            objects.insert(new.clone(), owner, || false);
        }
        assert_eq!(find(&objects, b"one of three").len(), 3);
        assert!(objects.remove_session(owners[1]), "this test holds it");
        assert_eq!(all.each_ref().map(|object| object.is_revoked()), [false, true, false]);
        objects.remove_where(|object| object.handle() == all[2].handle());
        assert_eq!(find(&objects, b"one of three"), [all[0].handle()]);
        let late = object(1, b"late");
        objects.insert(late.clone(), 1, || true);
        assert!(late.is_revoked() && objects.get(late.handle()).is_none());
    }
}
