//! A token in one SQLite file.
//!
//! WAL with `synchronous=FULL`: a transaction is on the disk before it is acknowledged, and readers do not
//! wait for writers of other processes. Beside the file stands a small one with the [`Stamp`], mapped into
//! every process, so that asking whether something changed is a read from memory.

mod turns;

use super::connection::{Held, Shared};
use super::place::stamp_path;
use super::*;
use crate::error::{Error, Rv};
use crate::kernel::door::Door;
use crate::kernel::fork::Uncut;
use crate::kernel::lead::Lead;
use crate::kernel::shared::{SharedCounter, writable};
use crate::kernel::wal;
use parking_lot::Mutex;
use rusqlite::config::DbConfig;
use rusqlite::ffi::SQLITE_IOERR_SHMSIZE;
use rusqlite::{
    Connection, ErrorCode, OpenFlags, OptionalExtension, Transaction, TransactionBehavior, params,
};
use std::fs::{self, File, OpenOptions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;
use turns::{Last, Open};

/// `PRAGMA application_id` of a token file: "Cofr".
pub const APPLICATION_ID: i32 = 0x436f_6672;
/// `PRAGMA user_version`: of the tables here; the records have their own.
pub const LAYOUT: i32 = 1;
/// SQLite below this can corrupt a WAL that two connections reset at once.
const OLDEST_SAFE: i32 = 3_051_003;
const PATIENCE: Duration = Duration::from_secs(10);

const TABLES: &str = "
    CREATE TABLE record (key BLOB PRIMARY KEY, revision INTEGER NOT NULL, value BLOB) WITHOUT ROWID;
    CREATE INDEX record_revision ON record (revision);
    CREATE TABLE state (id INTEGER PRIMARY KEY CHECK (id = 0), revision INTEGER NOT NULL, horizon INTEGER NOT NULL);
    INSERT INTO state VALUES (0, 0, 0);";

/// What tells a change, best first.
enum Sign {
    Shared(SharedCounter),
    /// Nothing can change: a read-only place without a log.
    Constant,
    /// No room for a counter, or no right to write it: every reader has to look.
    None,
}

/// An open token file.
pub struct Sqlite {
    connection: Shared,
    /// Taken only with the connection in hand.
    open: Mutex<Open>,
    /// Where writers come, to write together.
    group: Lead<Connection>,
    sign: Sign,
    /// Where processes wait that want to write.
    door: Option<Door>,
    path: PathBuf,
    inode: (u64, u64),
    write_protected: bool,
}

impl Sqlite {
    /// Makes a new, empty token file.
    ///
    /// # Errors
    /// CKR_DEVICE_ERROR if something is at `path`, CKR_DEVICE_MEMORY if the disk is full.
    pub fn create(path: &Path) -> Result<Sqlite> {
        check_version()?;
        let failed = |error| system(path, error);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
        // The umask may have taken more than it should.
        file.set_permissions(fs::Permissions::from_mode(0o600)).map_err(failed)?;
        drop(file);
        let connection = Shared::open(|| connect(path, false))?;
        let make = || -> rusqlite::Result<()> {
            let connection = connection.lock();
            connection.pragma_update(None, "application_id", APPLICATION_ID)?;
            connection.pragma_update(None, "user_version", LAYOUT)?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.execute_batch(&format!("BEGIN IMMEDIATE; {TABLES} COMMIT;"))
        };
        make().map_err(|error| sqlite(path, error))?;
        Sqlite::with(connection, path, false, Sign::None, None)
    }

    /// Opens a token file that [`super::place`] has judged safe.
    ///
    /// # Errors
    /// CKR_TOKEN_NOT_RECOGNIZED if it is no token file or of a later version; see [`Storage`].
    pub fn open(path: &Path) -> Result<Sqlite> {
        check_version()?;
        let unwritable = !writable(path) || !path.parent().is_some_and(writable);
        // Without a log, and where none can be made, the file cannot change: it may be read as it stands.
        let immutable = unwritable && !sibling(path, "-wal").exists();
        let connection =
            Shared::open(|| if immutable { connect_immutable(path) } else { connect(path, unwritable) })?;
        let number = |name| connection.lock().pragma_query_value(None, name, |row| row.get::<_, i32>(0));
        let application = number("application_id").map_err(|error| sqlite(path, error))?;
        if application != APPLICATION_ID {
            fail!(TokenNotRecognized, "{}: not a Coffer token", path.display());
        }
        let layout = number("user_version").map_err(|error| sqlite(path, error))?;
        if layout != LAYOUT {
            fail!(TokenNotRecognized, "{}: layout {layout}, but this Coffer knows {LAYOUT}", path.display());
        }
        let (sign, door) = match immutable {
            true => (Sign::Constant, None),
            false => map_stamp(&stamp_path(path))
                .map_or((Sign::None, None), |(counter, door)| (Sign::Shared(counter), Some(door))),
        };
        Sqlite::with(connection, path, unwritable, sign, door)
    }

    fn with(
        connection: Shared,
        path: &Path,
        write_protected: bool,
        sign: Sign,
        door: Option<Door>,
    ) -> Result<Sqlite> {
        let inode = inode(path).ok_or_else(|| removed(path))?;
        let (path, open, group) = (path.into(), Mutex::default(), Lead::default());
        Ok(Sqlite { connection, open, group, sign, door, path, inode, write_protected })
    }

    /// Writes everything back into the one file and closes it: before it is renamed or copied.
    pub fn close(self) -> Result<()> {
        // Closing writes back as well, but says nothing of a disk that has no room for it.
        let written_back = self
            .connection
            .lock()
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0))
            .map_err(|error| self.failed(error))?;
        let path = self.path;
        if written_back != 0 {
            fail!(FunctionFailed, "{}: another process keeps it busy", path.display());
        }
        self.connection.close().map_err(|error| sqlite(&path, error))
    }

    /// Marks the token as gone for all who have it open: before its files are removed.
    pub fn destroyed(&self) {
        if let Sign::Shared(counter) = &self.sign {
            begin_write(counter);
        }
    }

    /// The connection, if the file is still the one that was opened.
    fn enter(&self) -> Result<Held<'_>> {
        let connection = self.connection.lock();
        self.still_there()?;
        Ok(connection)
    }

    fn still_there(&self) -> Result<()> {
        if inode(&self.path) == Some(self.inode) { Ok(()) } else { Err(removed(&self.path)) }
    }

    fn failed(&self, error: rusqlite::Error) -> Error {
        sqlite(&self.path, error)
    }

    fn rows(
        &self,
        connection: &mut Connection,
        since: Revision,
        take: &mut dyn FnMut(Row<'_>),
    ) -> rusqlite::Result<Upto> {
        let stamp = self.stamp();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Deferred)?;
        let (upto, horizon) = state(&transaction)?;
        let complete = since < horizon || since == Revision(0);
        let (sql, from) = match complete {
            // From one end of the table to the other: an order by revision would look up every row by itself.
            true => ("SELECT key, revision, value FROM record WHERE value IS NOT NULL AND +revision > ?", -1),
            false => ("SELECT key, revision, value FROM record WHERE revision > ?", since.0 as i64),
        };
        let mut statement = transaction.prepare_cached(sql)?;
        let mut rows = statement.query([from])?;
        while let Some(row) = rows.next()? {
            let (key, value) = (row.get_ref(0)?.as_blob()?, row.get_ref(2)?.as_blob_or_null()?);
            take(Row { key, revision: Revision(row.get::<_, i64>(1)? as u64), value });
        }
        Ok(Upto { upto, stamp, complete })
    }
}

fn run(connection: &Connection, statement: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(statement)?.execute([]).map(drop)
}

impl Storage for Sqlite {
    fn stamp(&self) -> Stamp {
        match &self.sign {
            Sign::Shared(counter) => Stamp(counter.value()),
            Sign::Constant => Stamp(0),
            Sign::None => Stamp::UNKNOWN,
        }
    }

    fn scan(&self, since: Revision, take: &mut dyn FnMut(Row<'_>)) -> Result<Upto> {
        let mut connection = self.enter()?;
        self.rows(&mut connection, since, take).map_err(|error| self.failed(error))
    }

    fn read(&self, work: &mut dyn FnMut(&dyn View) -> Result<()>) -> Result<()> {
        let mut connection = self.enter()?;
        let failed = |error| self.failed(error);
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Deferred).map_err(failed)?;
        let (revision, _) = state(&transaction).map_err(failed)?;
        let (connection, path) = (&transaction, &*self.path);
        work(&Snapshot { connection, revision, path, last: None, known: None })
    }

    fn transact(&self, work: &mut (dyn FnMut(&dyn View) -> Result<Batch> + Send)) -> Result<Revision> {
        if self.write_protected {
            fail!(TokenWriteProtected, "{}: read-only", self.path.display());
        }
        self.commit(work)
    }

    fn fill(&self, changes: &Changes, step: &mut dyn FnMut() -> Result<()>) -> Result<()> {
        let connection = self.enter()?;
        let failed = |error| self.failed(error);
        let transaction = Transaction::new_unchecked(&connection, TransactionBehavior::Immediate);
        let transaction = transaction.map_err(failed)?;
        if state(&transaction).map_err(failed)?.0 != Revision(0) {
            fail!(DeviceError, "{}: only an empty store is filled", self.path.display());
        }
        let at = changes.upto.0 as i64;
        transaction.execute("UPDATE state SET revision = ?, horizon = ?", [at, at]).map_err(failed)?;
        let mut put = transaction.prepare("INSERT INTO record VALUES (?, ?, ?)").map_err(failed)?;
        for row in &changes.records {
            put.execute(params![row.key, row.revision.0 as i64, row.value]).map_err(failed)?;
            step()?;
        }
        drop(put);
        transaction.commit().map_err(failed)
    }

    fn write_protected(&self) -> bool {
        self.write_protected
    }
}

struct Snapshot<'a> {
    connection: &'a Connection,
    revision: Revision,
    path: &'a Path,
    /// What is not in the tables yet.
    last: Option<&'a Last>,
    known: Option<&'a Knowledge>,
}

impl View for Snapshot<'_> {
    fn revision(&self) -> Revision {
        self.revision
    }

    fn known(&self) -> Option<&Knowledge> {
        self.known
    }

    fn record(&self, key: &[u8]) -> Result<Option<Record>> {
        if let Some(Last { revision, value, .. }) = self.last.filter(|last| last.key == key) {
            return Ok(Some(Record { key: key.to_vec(), revision: *revision, value: Some(value()?) }));
        }
        let select = "SELECT revision, value FROM record WHERE key = ? AND value IS NOT NULL";
        let row = || {
            self.connection.prepare_cached(select)?.query_row([key], |row| {
                let revision = Revision(row.get::<_, i64>(0)? as u64);
                Ok(Record { key: key.to_vec(), revision, value: row.get(1)? })
            })
        };
        row().optional().map_err(|error| sqlite(self.path, error))
    }

    fn records(&self, prefix: &[u8]) -> Result<Vec<Record>> {
        let select = "SELECT key, revision, value FROM record \
                      WHERE key >= ? AND key < ? AND value IS NOT NULL ORDER BY key";
        let rows = || -> rusqlite::Result<Vec<Record>> {
            self.connection.prepare_cached(select)?.query_map([prefix, &after(prefix)], record)?.collect()
        };
        rows().map_err(|error| sqlite(self.path, error))
    }
}

fn record(row: &rusqlite::Row<'_>) -> rusqlite::Result<Record> {
    Ok(Record { key: row.get(0)?, revision: Revision(row.get::<_, i64>(1)? as u64), value: row.get(2)? })
}

/// Makes the stamp odd; the caller holds the write lock, so an odd one is a dead process's.
fn begin_write(counter: &SharedCounter) -> u64 {
    loop {
        let value = counter.value();
        let odd = if value.is_multiple_of(2) { value.wrapping_add(1) } else { value.wrapping_add(2) };
        if counter.advance(value, odd) {
            return odd;
        }
    }
}

fn state(connection: &Connection) -> rusqlite::Result<(Revision, Revision)> {
    connection.prepare_cached("SELECT revision, horizon FROM state")?.query_row([], |row| {
        Ok((Revision(row.get::<_, i64>(0)? as u64), Revision(row.get::<_, i64>(1)? as u64)))
    })
}

const PUT: &str = "INSERT OR REPLACE INTO record VALUES (?, ?, ?)";
const BURY: &str = "UPDATE record SET revision = ?, value = NULL WHERE key = ?";

fn write(connection: &Connection, batch: Batch, revision: Revision) -> rusqlite::Result<()> {
    let at = revision.0 as i64;
    if batch.clear {
        connection.execute("DELETE FROM record", [])?;
        connection.execute("UPDATE state SET horizon = ?", [at])?;
    }
    let mut put = connection.prepare_cached(PUT)?;
    let mut buried = false;
    for (key, value) in batch.writes {
        match value {
            Some(value) => put.execute(params![key, at, value])?,
            None => {
                buried = true;
                connection.prepare_cached(BURY)?.execute(params![at, key])?
            }
        };
    }
    if buried { forget_old_deletions(connection) } else { Ok(()) }
}

fn forget_old_deletions(connection: &Connection) -> rusqlite::Result<()> {
    let nth = "SELECT revision FROM record WHERE value IS NULL ORDER BY revision DESC LIMIT 1 OFFSET ?";
    let nth =
        |offset: usize| connection.query_row(nth, [offset as i64], |row| row.get::<_, i64>(0)).optional();
    if nth(TOMBSTONES)?.is_none() {
        return Ok(());
    }
    if let Some(horizon) = nth(TOMBSTONES / 2)? {
        connection.execute("DELETE FROM record WHERE value IS NULL AND revision <= ?", [horizon])?;
        connection.execute("UPDATE state SET horizon = ?", [horizon])?;
    }
    Ok(())
}

fn connect(path: &Path, read_only: bool) -> Result<Connection> {
    let access = if read_only { OpenFlags::SQLITE_OPEN_READ_ONLY } else { OpenFlags::SQLITE_OPEN_READ_WRITE };
    let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let open = || match wal::register() {
        Some(vfs) => Connection::open_with_flags_and_vfs(path, flags, vfs),
        None => Connection::open_with_flags(path, flags),
    };
    open().and_then(configure).map_err(|error| sqlite(path, error))
}

fn connect_immutable(path: &Path) -> Result<Connection> {
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => uri.push(*byte as char),
            _ => uri.push_str(&format!("%{byte:02x}")),
        }
    }
    uri.push_str("?immutable=1");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW
        | OpenFlags::SQLITE_OPEN_URI;
    Connection::open_with_flags(uri, flags).and_then(configure).map_err(|error| sqlite(path, error))
}

fn configure(connection: Connection) -> rusqlite::Result<Connection> {
    connection.busy_timeout(PATIENCE)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.execute_batch(
        "PRAGMA synchronous = FULL; PRAGMA secure_delete = ON; PRAGMA trusted_schema = OFF;
         PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0; PRAGMA temp_store = MEMORY;
         PRAGMA foreign_keys = ON; PRAGMA wal_autocheckpoint = 1000;",
    )?;
    Ok(connection)
}

/// The stamp, and its file as the door.
fn map_stamp(path: &Path) -> std::io::Result<(SharedCounter, Door)> {
    let file: File = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(std::io::ErrorKind::InvalidInput.into());
    }
    Ok((SharedCounter::map(&file)?, Door::new(file)))
}

fn check_version() -> Result<()> {
    let version = rusqlite::version_number();
    if version < OLDEST_SAFE {
        fail!(
            GeneralError,
            "SQLite {} can corrupt tokens; 3.51.3 is the oldest that does not",
            rusqlite::version()
        );
    }
    Ok(())
}

/// `path` with `suffix` after its whole name.
pub(super) fn sibling(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn inode(path: &Path) -> Option<(u64, u64)> {
    // By name: opening and closing the file would drop SQLite's locks on it.
    fs::symlink_metadata(path).ok().map(|meta| (meta.dev(), meta.ino()))
}

fn removed(path: &Path) -> Error {
    Rv::DeviceRemoved.because(format!("{}: the token was destroyed or replaced", path.display()))
}

fn busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// The error for what the system refused at `path`.
pub(super) fn system(path: &Path, error: std::io::Error) -> Error {
    let rv = match error.raw_os_error() {
        Some(libc::ENOSPC | libc::EDQUOT) => Rv::DeviceMemory,
        Some(libc::EROFS) => Rv::TokenWriteProtected,
        _ => Rv::DeviceError,
    };
    rv.because(format!("{}: {error}", path.display()))
}

fn sqlite(path: &Path, error: rusqlite::Error) -> Error {
    // Room for the index of the write-ahead log is asked for in a way of its own.
    let no_room = error.sqlite_error().is_some_and(|error| error.extended_code == SQLITE_IOERR_SHMSIZE);
    let rv = match error.sqlite_error_code() {
        _ if no_room => return Rv::DeviceMemory.because(format!("{}: the disk is full", path.display())),
        Some(ErrorCode::DiskFull) => Rv::DeviceMemory,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Rv::FunctionFailed,
        Some(ErrorCode::ReadOnly) => Rv::TokenWriteProtected,
        Some(ErrorCode::OutOfMemory) => Rv::HostMemory,
        Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen | ErrorCode::FileLockingProtocolFailed) => {
            Rv::DeviceError
        }
        // A table or a type that is not as it was made.
        _ => Rv::TokenNotRecognized,
    };
    rv.because(format!("{}: {error}", path.display()))
}
