//! An engine in memory, for tests.

use super::{Batch, Change, Key, Log, Revision, Storage, View};
use crate::error::Result;
use parking_lot::Mutex;
use std::collections::BTreeMap;

#[derive(Default)]
struct Records {
    revision: Revision,
    records: BTreeMap<Key, (Revision, Option<Vec<u8>>)>,
}

/// Records that live as long as the value.
#[derive(Default)]
pub struct Memory(Mutex<Records>);

impl View for Records {
    fn revision(&self) -> Revision {
        self.revision
    }

    fn get(&self, key: &[u8]) -> Result<Option<(Revision, Vec<u8>)>> {
        Ok(self.records.get(key).and_then(|(revision, value)| Some((*revision, value.clone()?))))
    }

    fn keys(&self) -> Result<Vec<(Key, Revision)>> {
        let there = self.records.iter().filter(|(_, (_, value))| value.is_some());
        Ok(there.map(|(key, (revision, _))| (key.clone(), *revision)).collect())
    }
}

impl Storage for Memory {
    fn mark(&self) -> u64 {
        self.0.lock().revision
    }

    fn load(&self, since: Option<Revision>) -> Result<Log> {
        let records = self.0.lock();
        let wanted = |revision: Revision, there: bool| match since {
            Some(since) => revision > since,
            None => there,
        };
        let mut changes: Vec<Change> = records
            .records
            .iter()
            .filter(|(_, (revision, value))| wanted(*revision, value.is_some()))
            .map(|(key, (revision, value))| Change {
                key: key.clone(),
                revision: *revision,
                value: value.clone(),
            })
            .collect();
        changes.sort_by_key(|change| change.revision);
        Ok(Log { revision: records.revision, complete: since.is_none(), changes })
    }

    fn read(&self, prefix: &[u8]) -> Result<Vec<Change>> {
        let records = self.0.lock();
        let there =
            records.records.iter().filter(|(key, (_, value))| key.starts_with(prefix) && value.is_some());
        Ok(there
            .map(|(key, (revision, value))| Change {
                key: key.clone(),
                revision: *revision,
                value: value.clone(),
            })
            .collect())
    }

    fn transact(&self, work: &mut dyn FnMut(&dyn View) -> Result<Batch>) -> Result<Revision> {
        let mut records = self.0.lock();
        let batch = work(&*records)?;
        if !batch.is_empty() {
            records.revision += 1;
            let revision = records.revision;
            records.records.extend(batch.into_iter().map(|(key, value)| (key, (revision, value))));
        }
        Ok(records.revision)
    }

    fn write_protected(&self) -> bool {
        false
    }

    fn scrub(&self) -> Result<()> {
        Ok(())
    }
}
