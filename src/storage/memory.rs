//! A token in memory: for tests, and for tokens that are to be gone with the process.

use super::*;
use crate::error::Error;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Default)]
struct State {
    revision: Revision,
    horizon: Revision,
    known: Option<Knowledge>,
    records: BTreeMap<Key, (Revision, Option<Bytes>)>,
}

/// Clones share one token, as processes share a file.
#[derive(Clone, Default)]
pub struct Memory(Arc<(AtomicU64, Mutex<State>)>);

impl Memory {
    /// An empty one.
    pub fn new() -> Memory {
        Memory::default()
    }
}

impl View for State {
    fn revision(&self) -> Revision {
        self.revision
    }

    fn record(&self, key: &[u8]) -> Result<Option<Record>> {
        Ok(self.records.get(key).and_then(|(revision, value)| {
            let value = Some(value.clone()?);
            Some(Record { key: key.to_vec(), revision: *revision, value })
        }))
    }

    fn records(&self, prefix: &[u8]) -> Result<Vec<Record>> {
        let range = self.records.range(prefix.to_vec()..super::after(prefix));
        let there = range.filter_map(|(key, (revision, value))| {
            Some(Record { key: key.clone(), revision: *revision, value: Some(value.clone()?) })
        });
        Ok(there.collect())
    }

    fn known(&self) -> Option<&Knowledge> {
        self.known.as_ref()
    }
}

impl State {
    fn forget_old_deletions(&mut self) {
        let mut deletions: Vec<_> =
            self.records.iter().filter(|(_, (_, value))| value.is_none()).map(|(_, (at, _))| *at).collect();
        if deletions.len() > TOMBSTONES {
            deletions.sort_unstable();
            self.horizon = deletions[deletions.len() - TOMBSTONES / 2];
            let horizon = self.horizon;
            self.records.retain(|_, (at, value)| value.is_some() || *at > horizon);
        }
    }
}

impl Storage for Memory {
    fn stamp(&self) -> Stamp {
        Stamp(self.0.0.load(Ordering::Acquire))
    }

    fn scan(&self, since: Revision, take: &mut dyn FnMut(Row<'_>)) -> Result<Upto> {
        let state = self.0.1.lock();
        let complete = since < state.horizon || since == Revision(0);
        for (key, (revision, value)) in &state.records {
            if if complete { value.is_some() } else { *revision > since } {
                take(Row { key, revision: *revision, value: value.as_deref() });
            }
        }
        Ok(Upto { upto: state.revision, stamp: self.stamp(), complete })
    }

    fn read(&self, work: &mut dyn FnMut(&dyn View) -> Result<()>) -> Result<()> {
        work(&*self.0.1.lock())
    }

    fn transact(&self, work: &mut (dyn FnMut(&dyn View) -> Result<Batch> + Send)) -> Result<Revision> {
        let mut state = self.0.1.lock();
        let batch = work(&*state)?;
        if batch.is_empty() {
            return Ok(state.revision);
        }
        let last = batch.last.map(|(key, value)| Ok::<_, Error>((key, Some(value()?)))).transpose()?;
        state.revision = state.revision.next();
        let revision = state.revision;
        if batch.clear {
            state.records.clear();
            state.horizon = revision;
        }
        state.known = batch.known;
        for (key, value) in batch.writes.into_iter().chain(last) {
            if value.is_some() || state.records.contains_key(&key) {
                state.records.insert(key, (revision, value));
            }
        }
        state.forget_old_deletions();
        self.0.0.fetch_add(2, Ordering::Release);
        Ok(revision)
    }

    fn fill(&self, changes: &Changes, step: &mut dyn FnMut() -> Result<()>) -> Result<()> {
        let mut state = self.0.1.lock();
        if state.revision != Revision(0) {
            fail!(DeviceError, "only an empty store is filled");
        }
        changes.records.iter().try_for_each(|_| step())?;
        (state.revision, state.horizon, state.known) = (changes.upto, changes.upto, None);
        let rows = changes.records.iter();
        state.records = rows.map(|row| (row.key.clone(), (row.revision, row.value.clone()))).collect();
        self.0.0.fetch_add(2, Ordering::Release);
        Ok(())
    }

    fn write_protected(&self) -> bool {
        false
    }
}
