//! Storage: bytes in, bytes out, and the seal over them. docs/storage-format.md draws what lies on disk.
//!
//! An engine behind [`Storage`] knows no users and no types: it keeps records under keys, gives every commit a
//! revision, and tells cheaply whether anything may have changed. [`Sealed`] encrypts and authenticates what
//! it is given to keep.

mod keyring;
mod memory;
mod place;
mod records;
mod sealed;
mod sqlite;

pub use keyring::{Keys, Role, Tries};
pub use memory::Memory;
pub use place::Place;
pub use records::ObjectId;
pub use sealed::{Changes, Info, NewToken, Put, Sealed, Stored};

use crate::error::Result;

/// Counts commits; the first is 1.
pub type Revision = u64;

/// What a record is found by.
pub type Key = Vec<u8>;

/// A record that changed.
pub struct Change {
    /// Its key.
    pub key: Key,
    /// The commit that changed it.
    pub revision: Revision,
    /// What it holds now; `None` if it was deleted.
    pub value: Option<Vec<u8>>,
}

/// What changed since a revision.
pub struct Log {
    /// The newest commit.
    pub revision: Revision,
    /// All records there are, rather than what changed: asked for, or deletions lie too far back.
    pub complete: bool,
    /// In ascending order of their revisions.
    pub changes: Vec<Change>,
}

/// The records as a writer sees them, inside its transaction.
pub trait View {
    /// The newest commit; this one will be the next.
    fn revision(&self) -> Revision;

    /// A record's revision and value.
    ///
    /// # Errors
    /// CKR_DEVICE_ERROR.
    fn get(&self, key: &[u8]) -> Result<Option<(Revision, Vec<u8>)>>;

    /// The keys and revisions of all records.
    ///
    /// # Errors
    /// CKR_DEVICE_ERROR.
    fn keys(&self) -> Result<Vec<(Key, Revision)>>;
}

/// What a writer wants done: `None` deletes.
pub type Batch = Vec<(Key, Option<Vec<u8>>)>;

/// An engine that keeps records.
///
/// # Errors
/// Full: CKR_DEVICE_MEMORY. Broken: CKR_DEVICE_ERROR. Not ours: CKR_TOKEN_NOT_RECOGNIZED. Read-only:
/// CKR_TOKEN_WRITE_PROTECTED. Held by another writer for too long: CKR_FUNCTION_FAILED.
pub trait Storage: Send + Sync {
    /// A mark that differs once anything may have been committed, by any process. No system call, no query.
    fn mark(&self) -> u64;

    /// What changed since a revision, or everything.
    ///
    /// # Errors
    /// As above.
    fn load(&self, since: Option<Revision>) -> Result<Log>;

    /// The records whose keys begin so, in ascending order.
    ///
    /// # Errors
    /// As above.
    fn read(&self, prefix: &[u8]) -> Result<Vec<Change>>;

    /// Runs `work` on the newest records and commits what it returns, all or nothing, before it returns. An
    /// engine that only notices a race at the end runs `work` again.
    ///
    /// # Errors
    /// Those of `work`; as above.
    fn transact(&self, work: &mut dyn FnMut(&dyn View) -> Result<Batch>) -> Result<Revision>;

    /// Whether every write is refused.
    fn write_protected(&self) -> bool;

    /// Makes sure that what was deleted or replaced is gone from the disk too.
    ///
    /// # Errors
    /// As above.
    fn scrub(&self) -> Result<()>;
}
