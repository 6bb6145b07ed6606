//! The embedded engine: one SQLite file a token.
//!
//! WAL with full sync, so a commit that was acknowledged survives a power cut and readers never wait for
//! writers; every write in an immediate transaction; deleted bytes overwritten. The bundled SQLite is new
//! enough not to have the WAL-reset corruption of versions before 3.51.3, and `open` insists on it.

use super::place::{exclusive, io_error};
use super::{Batch, Change, Key, Log, Revision, Storage, View};
use crate::error::{Error, Result, Rv};
use crate::kernel::shared::{self, SharedCounter};
use parking_lot::Mutex;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Row, TransactionBehavior, params};
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// "CFFR": what `file` and the format check know a token by.
const APPLICATION: i32 = 0x4346_4652;
/// Of the tables below.
const SCHEMA: i32 = 1;
/// How long a writer waits for another process's.
const PATIENCE: Duration = Duration::from_secs(20);
/// Deletions are remembered for this many commits; who is further behind loads everything.
const HORIZON: Revision = 100_000;

/// A token file.
pub struct Sqlite {
    path: PathBuf,
    connection: Mutex<Connection>,
    /// Absent where the file system cannot be written: then nothing changes either.
    counter: Option<SharedCounter>,
    write_protected: bool,
}

/// The files that belong to the one at `path`.
pub fn companions(path: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let path = path.as_os_str().to_os_string();
    ["-wal", "-shm", "-journal", "-mark"].into_iter().map(move |suffix| {
        let mut name: OsString = path.clone();
        name.push(suffix);
        name.into()
    })
}

fn mark_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_os_string();
    name.push("-mark");
    name.into()
}

impl Sqlite {
    /// Opens a token file; read-only if the system lets us do no more.
    pub fn open(path: &Path) -> Result<Sqlite> {
        let sqlite = Sqlite::connect(path)?;
        sqlite.recognise()?;
        Ok(sqlite)
    }

    /// Makes the tables in an empty file.
    pub fn create(path: &Path) -> Result<Sqlite> {
        let sqlite = Sqlite::connect(path)?;
        let tables = format!(
            "BEGIN IMMEDIATE;
             CREATE TABLE record (key BLOB PRIMARY KEY, revision INTEGER NOT NULL, value BLOB) WITHOUT ROWID;
             CREATE INDEX record_revision ON record (revision);
             CREATE TABLE state (one INTEGER PRIMARY KEY CHECK (one = 1), revision INTEGER NOT NULL,
                                 horizon INTEGER NOT NULL);
             INSERT INTO state VALUES (1, 0, 0);
             PRAGMA application_id = {APPLICATION};
             PRAGMA user_version = {SCHEMA};
             COMMIT;"
        );
        sqlite.connection.lock().execute_batch(&tables).map_err(|error| sqlite.fault(error))?;
        Ok(sqlite)
    }

    fn connect(path: &Path) -> Result<Sqlite> {
        if rusqlite::version_number() < 3_051_003 {
            fail!(GeneralError, "SQLite {} can corrupt a WAL; 3.51.3 is needed", rusqlite::version());
        }
        let fault = |error| fault(path, error);
        // No other descriptor of the file may be opened to find this out: closing it would drop our locks.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection =
            Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NOFOLLOW).map_err(fault)?;
        let write_protected = connection.is_readonly("main").map_err(fault)?;
        if write_protected {
            // Without a log there is nothing to recover, and SQLite must not look for its shared memory.
            let immutable = !companions(path).next().is_some_and(|wal| wal.exists());
            let uri = format!("file:{}?mode=ro&immutable={}", escaped(path), immutable as u8);
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
            connection =
                Connection::open_with_flags(uri, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX).map_err(fault)?;
        }
        connection.busy_timeout(PATIENCE).map_err(fault)?;
        let settings = "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0;
                        PRAGMA temp_store = MEMORY;";
        connection.execute_batch(settings).map_err(fault)?;
        if !write_protected {
            let settings = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;";
            connection.execute_batch(settings).map_err(fault)?;
        }
        let counter = counter(path, !write_protected)?;
        Ok(Sqlite { path: path.to_path_buf(), connection: Mutex::new(connection), counter, write_protected })
    }

    fn recognise(&self) -> Result<()> {
        let connection = self.connection.lock();
        let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
        match (pragma("application_id"), pragma("user_version")) {
            (Ok(APPLICATION), Ok(SCHEMA)) => Ok(()),
            (Ok(APPLICATION), Ok(newer)) => {
                fail!(
                    TokenNotRecognized,
                    "{}: tables of version {newer}, known is {SCHEMA}",
                    self.path.display()
                )
            }
            (Err(error), _) | (_, Err(error)) => Err(self.fault(error)),
            _ => fail!(TokenNotRecognized, "{}: not a Coffer token", self.path.display()),
        }
    }

    /// Writes everything into the file itself and lets go of it.
    pub fn close(self) -> Result<()> {
        let connection = self.connection.into_inner();
        let checkpoint = connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
        checkpoint.map_err(|error| fault(&self.path, error))?;
        connection.close().map_err(|(_, error)| fault(&self.path, error))
    }

    fn fault(&self, error: rusqlite::Error) -> Error {
        fault(&self.path, error)
    }

    fn advance(&self) {
        self.counter.iter().for_each(SharedCounter::advance);
    }
}

/// The change counter beside the token file. Whoever comes first makes it: complete under another name, so
/// that nobody maps a file that is still too short.
fn counter(path: &Path, writable: bool) -> Result<Option<SharedCounter>> {
    let mark = mark_path(path);
    if writable && !mark.exists() {
        let mut draft = mark.clone().into_os_string();
        draft.push(format!(".{}.{:?}", std::process::id(), std::thread::current().id()));
        let draft = PathBuf::from(draft);
        let made = exclusive(&draft).and_then(|file| file.set_len(shared::LEN)).and_then(|()| {
            match fs::hard_link(&draft, &mark) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
                _ => Ok(()),
            }
        });
        let _ = fs::remove_file(&draft);
        made.map_err(|error| io_error(&mark, &error))?;
    }
    let file =
        if writable { OpenOptions::new().read(true).write(true).open(&mark) } else { File::open(&mark) };
    match file {
        Ok(file) => SharedCounter::map(&file, writable).map(Some).map_err(|error| io_error(&mark, &error)),
        Err(_) if !writable => Ok(None),
        Err(error) => Err(io_error(&mark, &error)),
    }
}

/// A path inside a URI.
fn escaped(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-".contains(byte);
    let bytes = path.as_os_str().as_bytes().iter();
    bytes.map(|byte| if plain(byte) { (*byte as char).to_string() } else { format!("%{byte:02x}") }).collect()
}

fn fault(path: &Path, error: rusqlite::Error) -> Error {
    let rv = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => Rv::DeviceMemory,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Rv::FunctionFailed,
        Some(ErrorCode::ReadOnly) => Rv::TokenWriteProtected,
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Rv::TokenNotRecognized,
        Some(ErrorCode::OutOfMemory) => Rv::HostMemory,
        _ => Rv::DeviceError,
    };
    rv.because(format!("{}: {error}", path.display()))
}

/// The records inside a transaction.
struct Inside<'a> {
    sqlite: &'a Sqlite,
    connection: &'a Connection,
}

impl View for Inside<'_> {
    fn revision(&self) -> Revision {
        state(self.connection).map_or(0, |(revision, _)| revision)
    }

    fn get(&self, key: &[u8]) -> Result<Option<(Revision, Vec<u8>)>> {
        let query = "SELECT revision, value FROM record WHERE key = ?1 AND value IS NOT NULL";
        let mut statement =
            self.connection.prepare_cached(query).map_err(|error| self.sqlite.fault(error))?;
        let record = statement.query_row([key], |row| Ok((row.get::<_, i64>(0)? as Revision, row.get(1)?)));
        record.optional().map_err(|error| self.sqlite.fault(error))
    }

    fn keys(&self) -> Result<Vec<(Key, Revision)>> {
        let keys = || -> rusqlite::Result<Vec<_>> {
            let query = "SELECT key, revision FROM record WHERE value IS NOT NULL";
            let mut statement = self.connection.prepare_cached(query)?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)? as Revision)))?;
            rows.collect()
        };
        keys().map_err(|error| self.sqlite.fault(error))
    }
}

/// The newest commit, and the one up to which deletions are forgotten.
fn state(connection: &Connection) -> rusqlite::Result<(Revision, Revision)> {
    let mut statement = connection.prepare_cached("SELECT revision, horizon FROM state")?;
    statement.query_row([], |row| Ok((row.get::<_, i64>(0)? as Revision, row.get::<_, i64>(1)? as Revision)))
}

fn change(row: &Row<'_>) -> rusqlite::Result<Change> {
    Ok(Change { key: row.get(0)?, revision: row.get::<_, i64>(1)? as Revision, value: row.get(2)? })
}

fn write(connection: &Connection, revision: Revision, batch: &Batch) -> rusqlite::Result<()> {
    let mut put = connection.prepare_cached(
        "INSERT INTO record VALUES (?1, ?2, ?3)
         ON CONFLICT (key) DO UPDATE SET revision = excluded.revision, value = excluded.value",
    )?;
    for (key, value) in batch {
        put.execute(params![key, revision as i64, value])?;
    }
    let horizon = revision.saturating_sub(HORIZON);
    let mut forget =
        connection.prepare_cached("DELETE FROM record WHERE revision <= ?1 AND value IS NULL")?;
    // Looking every time would cost each commit; a thousand deletions more do no harm.
    if horizon > 0 && revision.is_multiple_of(1000) {
        forget.execute([horizon as i64])?;
        connection.prepare_cached("UPDATE state SET horizon = ?1")?.execute([horizon as i64])?;
    }
    connection.prepare_cached("UPDATE state SET revision = ?1")?.execute([revision as i64])?;
    Ok(())
}

impl Storage for Sqlite {
    fn mark(&self) -> u64 {
        self.counter.as_ref().map_or(0, SharedCounter::value)
    }

    fn load(&self, since: Option<Revision>) -> Result<Log> {
        let mut connection = self.connection.lock();
        let mut load = || -> rusqlite::Result<Log> {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Deferred)?;
            let (revision, horizon) = state(&transaction)?;
            let since = since.filter(|since| *since >= horizon && *since <= revision);
            let mut statement = transaction.prepare_cached(
                "SELECT key, revision, value FROM record
                 WHERE revision > ?1 AND (value IS NOT NULL OR ?1 >= 0) ORDER BY revision, key",
            )?;
            let rows = statement.query_map([since.map_or(-1, |since| since as i64)], change)?;
            let changes = rows.collect::<rusqlite::Result<_>>()?;
            Ok(Log { revision, complete: since.is_none(), changes })
        };
        load().map_err(|error| self.fault(error))
    }

    fn read(&self, prefix: &[u8]) -> Result<Vec<Change>> {
        let connection = self.connection.lock();
        // No key is longer than a user's name and the kind before it.
        let end = [prefix, &[0xff; 64]].concat();
        let read = || -> rusqlite::Result<Vec<Change>> {
            let mut statement = connection.prepare_cached(
                "SELECT key, revision, value FROM record WHERE key BETWEEN ?1 AND ?2 AND value IS NOT NULL ORDER BY key",
            )?;
            let rows = statement.query_map(params![prefix, end], change)?;
            rows.collect()
        };
        read().map_err(|error| self.fault(error))
    }

    fn transact(&self, work: &mut dyn FnMut(&dyn View) -> Result<Batch>) -> Result<Revision> {
        if self.write_protected {
            fail!(TokenWriteProtected, "{}: cannot be written", self.path.display());
        }
        let mut connection = self.connection.lock();
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(|error| self.fault(error))?;
        let view = Inside { sqlite: self, connection: &transaction };
        let batch = work(&view)?;
        let (revision, _) = state(&transaction).map_err(|error| self.fault(error))?;
        if batch.is_empty() {
            return Ok(revision);
        }
        write(&transaction, revision + 1, &batch).map_err(|error| self.fault(error))?;
        // Once before, for the case that this process dies right after the commit; once after it, so that who
        // looked in between looks again.
        self.advance();
        transaction.commit().map_err(|error| self.fault(error))?;
        self.advance();
        Ok(revision + 1)
    }

    fn write_protected(&self) -> bool {
        self.write_protected
    }

    fn scrub(&self) -> Result<()> {
        let connection = self.connection.lock();
        connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").map_err(|error| self.fault(error))
    }
}
