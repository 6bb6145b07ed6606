//! Where tokens are kept. Bytes go in and come out; [`sealed`] makes them unreadable and unforgeable.
//!
//! ```text
//!   token/  ->  Sealed: users, PINs, objects      (sealed, keyring, meta, record, tries, set)
//!                  |
//!               Storage: keys, values, revisions  (this file: the trait)
//!                  |
//!          sqlite | memory                        place: where the files are and who may touch them
//! ```
//!
//! docs/storage-format.md has every byte.

pub mod audit;
pub mod backup;
pub mod codec;
mod connection;
pub mod escrow;
mod grant;
mod group;
pub mod keyring;
pub mod memory;
pub mod meta;
pub mod place;
pub mod quorum;
pub mod record;
pub mod sealed;
pub mod set;
mod spread;
pub mod sqlite;
pub mod tries;

use crate::error::Result;
use std::any::Any;
use std::sync::Arc;

/// The name of a record.
pub type Key = Vec<u8>;
/// The content of a record.
pub type Bytes = Vec<u8>;

/// Counts the transactions of a token; 0 is before the first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Revision(pub u64);

impl Revision {
    /// What comes after it. The last one there is, which only a forger comes to, stays.
    pub fn next(self) -> Revision {
        Revision(self.0.saturating_add(1))
    }
}

/// A sign that changes with every transaction of any process. Odd while one is being written, or after a
/// process died writing one: then nothing is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stamp(pub u64);

impl Stamp {
    /// What is equal to no other stamp and is never settled.
    pub const UNKNOWN: Stamp = Stamp(u64::MAX);

    /// True if nothing has been written since `seen` was taken.
    pub fn unchanged_since(self, seen: Stamp) -> bool {
        self == seen && self.0.is_multiple_of(2)
    }
}

/// One record as of a revision.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// Its name.
    pub key: Key,
    /// The transaction that wrote or deleted it.
    pub revision: Revision,
    /// Its content; none if it was deleted.
    pub value: Option<Bytes>,
}

/// A record where it lies.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    /// As of [`Record`].
    pub key: &'a [u8],
    /// As of [`Record`].
    pub revision: Revision,
    /// As of [`Record`].
    pub value: Option<&'a [u8]>,
}

impl<'a> From<&'a Record> for Row<'a> {
    fn from(record: &'a Record) -> Row<'a> {
        Row { key: &record.key, revision: record.revision, value: record.value.as_deref() }
    }
}

impl From<Row<'_>> for Record {
    fn from(row: Row<'_>) -> Record {
        Record { key: row.key.into(), revision: row.revision, value: row.value.map(Bytes::from) }
    }
}

/// How far [`Storage::scan`] has come.
#[derive(Clone, Copy, Debug)]
pub struct Upto {
    /// The state that the caller has once it has taken the records in.
    pub upto: Revision,
    /// The stamp of a moment not after that state was read.
    pub stamp: Stamp,
    /// The records were all there are: what is not among them is gone.
    pub complete: bool,
}

/// What [`Storage::load`] brings.
#[derive(Debug)]
pub struct Changes {
    /// The state that the caller has once it has taken these in.
    pub upto: Revision,
    /// The stamp of a moment not after that state was read.
    pub stamp: Stamp,
    /// The records changed, the oldest first.
    pub records: Vec<Record>,
    /// These are all the records there are: what is not among them is gone.
    pub complete: bool,
}

impl Changes {
    fn upto(&self) -> Upto {
        Upto { upto: self.upto, stamp: self.stamp, complete: self.complete }
    }
}

/// The current state, as one transaction sees it.
pub trait View {
    /// The last transaction before this one.
    fn revision(&self) -> Revision;
    /// The record, unless there is none or it was deleted.
    fn record(&self, key: &[u8]) -> Result<Option<Record>>;
    /// The records whose keys begin with `prefix` (not empty, its last byte not 255), by their keys.
    fn records(&self, prefix: &[u8]) -> Result<Vec<Record>>;
    /// What the last transaction's writer knew of this very state, if it was a thread of this process and the engine
    /// keeps such things.
    fn known(&self) -> Option<&Knowledge> {
        None
    }
}

/// What a writer knows of the state that it makes: spares the next one in the process reading and judging it again.
pub type Knowledge = Arc<dyn Any + Send + Sync>;

/// The first key after all that begin with `prefix`.
fn after(prefix: &[u8]) -> Key {
    let mut end = prefix.to_vec();
    end.last_mut().into_iter().for_each(|last| *last += 1);
    end
}

/// Makes a value, at most once for each time that somebody looks at it.
pub type Late = Box<dyn Fn() -> Result<Bytes> + Send>;

/// What one transaction writes. All of it, or nothing.
#[derive(Default)]
pub struct Batch {
    /// Deletes everything first, leaving no trace of it in the file.
    pub clear: bool,
    /// New contents; none deletes. Deleting what is not there is no error.
    pub writes: Vec<(Key, Option<Bytes>)>,
    /// A write to the one key that transactions have in common, which no [`View::records`] meets: where several are
    /// committed together, only the last one's is stored, so only that is made.
    pub last: Option<(Key, Late)>,
    /// For [`View::known`] of the next transaction.
    pub known: Option<Knowledge>,
}

impl Batch {
    /// Nothing to write.
    pub fn is_empty(&self) -> bool {
        !self.clear && self.writes.is_empty() && self.last.is_none()
    }

    /// Adds a write.
    pub fn put(&mut self, key: impl Into<Key>, value: Bytes) {
        self.writes.push((key.into(), Some(value)));
    }

    /// Adds a deletion.
    pub fn delete(&mut self, key: impl Into<Key>) {
        self.writes.push((key.into(), None));
    }
}

/// A store of one token's records, shared with other threads and processes.
///
/// Errors: CKR_DEVICE_MEMORY of a full disk, CKR_DEVICE_ERROR of one that fails, CKR_FUNCTION_FAILED if
/// other processes keep it busy, CKR_TOKEN_WRITE_PROTECTED, CKR_TOKEN_NOT_RECOGNIZED if it is damaged or
/// something else, CKR_DEVICE_REMOVED once it has been destroyed or replaced.
pub trait Storage: Send + Sync {
    /// The present stamp, at the cost of a read from memory.
    fn stamp(&self) -> Stamp;

    /// Hands over the records changed after `since`, or all of them if it is too long ago to tell, in any order, as
    /// of one state.
    fn scan(&self, since: Revision, take: &mut dyn FnMut(Row<'_>)) -> Result<Upto>;

    /// The same, kept.
    fn load(&self, since: Revision) -> Result<Changes> {
        let mut records: Vec<Record> = Vec::new();
        let Upto { upto, stamp, complete } = self.scan(since, &mut |row| records.push(row.into()))?;
        records.sort_by_key(|record| record.revision);
        Ok(Changes { upto, stamp, records, complete })
    }

    /// Runs `work` on one consistent state.
    fn read(&self, work: &mut dyn FnMut(&dyn View) -> Result<()>) -> Result<()>;

    /// Runs `work` on the current state and commits what it returns, synced to the disk before this returns,
    /// as revision `view.revision().next()`. An error of `work`'s own writes nothing; nor does an empty batch,
    /// for which the unchanged revision is returned. Engines may run `work` in another thread, which this one waits
    /// for, and again if others wrote meanwhile, and may sync what several threads write together: then all of it is
    /// there, or none.
    fn transact(&self, work: &mut (dyn FnMut(&dyn View) -> Result<Batch> + Send)) -> Result<Revision>;

    /// Makes an empty store what another was: its records as they are, with their revisions, in one transaction.
    /// `step` is told of each; its error ends it, and nothing is written.
    fn fill(&self, changes: &Changes, step: &mut dyn FnMut() -> Result<()>) -> Result<()>;

    /// True if this process can read it only.
    fn write_protected(&self) -> bool;
}

/// How many deletions are remembered one by one before readers have to load everything.
pub(crate) const TOMBSTONES: usize = 4096;
