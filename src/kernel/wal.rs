//! SQLite's files on Unix as they are, but for how its log (the WAL) is written: in one piece for each transaction.
//!
//! SQLite writes the log frame by frame, and a frame in two parts, which is twenty calls of the system for what eight
//! writers commit together: most of what a commit takes besides its sync. Here these bytes wait in memory, as long as each
//! write goes on where the one before ended, and are written before whatever might see them: a sync, a read, a question
//! for the length. A commit syncs its log (`synchronous=FULL`) before it makes it known to anyone, so nothing is known that
//! is not written.
//!
//! What still waits when SQLite lets go of its write lock is of a transaction that was rolled back after it had outgrown
//! the page cache. It is dropped: nobody reads it, and written later it would lie over what another process has committed
//! there since. The lock is the database's, so that is looked after too.

use rusqlite::ffi::{
    SQLITE_OK, SQLITE_OPEN_MAIN_DB, SQLITE_OPEN_WAL, SQLITE_SHM_UNLOCK, sqlite3_database_file_object,
    sqlite3_file, sqlite3_int64, sqlite3_io_methods, sqlite3_vfs, sqlite3_vfs_find, sqlite3_vfs_register,
};
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::{self, null_mut};
use std::slice;
use std::sync::OnceLock;

/// The name to open a connection with.
pub const VFS: &CStr = c"coffer";

/// Bytes that wait at most. SQLite's own writes take no more at once: pages are shorter.
const ROOM: usize = (128 << 10) - 1;
/// The lock of [`sqlite3_io_methods::xShmLock`] that a writer holds.
const WRITE_LOCK: c_int = 0;

/// Makes [`VFS`] known to SQLite. Where SQLite has no files, or would not take it, connections are opened without it.
pub fn register() -> Option<&'static CStr> {
    shim().as_ref().map(|_| VFS)
}

/// SQLite's own way with files, and ours, which differs in `xOpen`.
struct Shim {
    base: *mut sqlite3_vfs,
    /// Bytes of SQLite's own file object; [`Beside`] lies behind it.
    own: usize,
    /// The methods of a database and those of a log, made of SQLite's own as they were found first.
    database: OnceLock<Methods>,
    log: OnceLock<Methods>,
}

// SAFETY: SQLite's list of such ways is fixed once ours is in it; both may be used in any thread.
unsafe impl Sync for Shim {}
// SAFETY: as above.
unsafe impl Send for Shim {}

struct Methods {
    base: &'static sqlite3_io_methods,
    ours: sqlite3_io_methods,
}

/// What lies behind SQLite's own file object.
struct Beside {
    base: &'static sqlite3_io_methods,
    /// Of a database: its log, while that is open.
    log: *mut sqlite3_file,
    /// Of a log: its database.
    database: *mut sqlite3_file,
    /// Of a log: what waits, and where it goes.
    waiting: Vec<u8>,
    at: sqlite3_int64,
}

fn shim() -> &'static Option<Shim> {
    static SHIM: OnceLock<Option<Shim>> = OnceLock::new();
    SHIM.get_or_init(|| {
        // SAFETY: SQLite's default lives as long as the process, and so does what is registered. The functions that are
        // taken over look at nothing of the `sqlite3_vfs` that they are given: SQLite's own on Unix share them.
        unsafe {
            let base = sqlite3_vfs_find(c"unix".as_ptr());
            let own = usize::try_from(base.as_ref()?.szOsFile).ok()?.next_multiple_of(align_of::<Beside>());
            let ours = sqlite3_vfs {
                szOsFile: c_int::try_from(own + size_of::<Beside>()).ok()?,
                pNext: null_mut(),
                zName: VFS.as_ptr(),
                xOpen: Some(open),
                ..*base
            };
            let registered = sqlite3_vfs_register(Box::into_raw(Box::new(ours)), 0);
            let (database, log) = (OnceLock::new(), OnceLock::new());
            (registered == SQLITE_OK).then_some(Shim { base, own, database, log })
        }
    })
}

/// # Safety
/// A file that [`open`] has given methods of ours, and nothing else refers to what lies beside it.
unsafe fn beside<'a>(file: *mut sqlite3_file) -> &'a mut Beside {
    let own = shim().as_ref().map_or(0, |shim| shim.own);
    // SAFETY: there, `open` has written it.
    unsafe { &mut *file.byte_add(own).cast() }
}

/// Calls a method of SQLite's own, which has all of those that SQLite calls.
macro_rules! own {
    ($beside:expr, $method:ident($($argument:expr),*)) => {
        match $beside.base.$method {
            Some(method) => method($($argument),*),
            None => rusqlite::ffi::SQLITE_IOERR,
        }
    };
}

unsafe extern "C" fn open(
    _: *mut sqlite3_vfs,
    name: *const c_char,
    file: *mut sqlite3_file,
    flags: c_int,
    given: *mut c_int,
) -> c_int {
    let Some(shim) = shim() else { return rusqlite::ffi::SQLITE_CANTOPEN };
    // SAFETY: SQLite's own arguments, with its own `sqlite3_vfs` and a file object that has more room than that asks for.
    // The name of a log is one that SQLite made, beside its database's.
    unsafe {
        let opened = match (*shim.base).xOpen {
            Some(open) => open(shim.base, name, file, flags, given),
            None => rusqlite::ffi::SQLITE_CANTOPEN,
        };
        let Some(base) = (*file).pMethods.as_ref().filter(|_| opened == SQLITE_OK) else { return opened };
        let (methods, database) = match flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL) {
            SQLITE_OPEN_MAIN_DB => (shim.database.get_or_init(|| Methods::of_database(base)), null_mut()),
            SQLITE_OPEN_WAL => {
                let database = sqlite3_database_file_object(name);
                let looked_after =
                    shim.database.get().is_some_and(|of| ptr::eq((*database).pMethods, &of.ours));
                if !looked_after {
                    return opened;
                }
                (shim.log.get_or_init(|| Methods::of_log(base)), database)
            }
            _ => return opened,
        };
        if ptr::eq(methods.base, base) {
            let (log, waiting, at) = (null_mut(), Vec::new(), 0);
            ptr::from_mut(beside(file)).write(Beside { base, log, database, waiting, at });
            (*file).pMethods = &methods.ours;
            if !database.is_null() {
                beside(database).log = file;
            }
        }
        opened
    }
}

impl Methods {
    fn of_database(base: &'static sqlite3_io_methods) -> Methods {
        let ours = sqlite3_io_methods { xClose: Some(close), xShmLock: Some(shm_lock), ..*base };
        Methods { base, ours }
    }

    fn of_log(base: &'static sqlite3_io_methods) -> Methods {
        let ours = sqlite3_io_methods {
            xClose: Some(close),
            xRead: Some(read),
            xWrite: Some(write),
            xTruncate: Some(truncate),
            xSync: Some(sync),
            xFileSize: Some(file_size),
            ..*base
        };
        Methods { base, ours }
    }
}

impl Beside {
    /// Writes what waits. If that fails it goes on waiting, so that no later sync succeeds without it.
    ///
    /// # Safety
    /// `file` is the log that this lies beside.
    unsafe fn flush(&mut self, file: *mut sqlite3_file) -> c_int {
        if self.waiting.is_empty() {
            return SQLITE_OK;
        }
        let (bytes, len) = (self.waiting.as_ptr().cast(), self.waiting.len() as c_int);
        // SAFETY: bytes of ours.
        let written = unsafe { own!(self, xWrite(file, bytes, len, self.at)) };
        if written == SQLITE_OK {
            self.waiting.clear();
        }
        written
    }
}

// SAFETY of these: SQLite calls them with files whose methods they are, one call at a time for a connection, and with
// arguments that its own methods take.

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    // SAFETY: as above; nothing looks at what lies beside a closed file.
    unsafe {
        let Beside { base, log, database, .. } = ptr::from_mut(beside(file)).read();
        if !log.is_null() {
            beside(log).database = null_mut();
        }
        if !database.is_null() {
            beside(database).log = null_mut();
        }
        base.xClose.map_or(SQLITE_OK, |close| close(file))
    }
}

unsafe extern "C" fn write(
    file: *mut sqlite3_file,
    data: *const c_void,
    len: c_int,
    at: sqlite3_int64,
) -> c_int {
    // SAFETY: as above.
    unsafe {
        let log = beside(file);
        let bytes = slice::from_raw_parts(data.cast::<u8>(), len as usize);
        if log.at + log.waiting.len() as sqlite3_int64 != at || log.waiting.len() + bytes.len() > ROOM {
            let written = log.flush(file);
            if written != SQLITE_OK {
                return written;
            }
            log.at = at;
        }
        log.waiting.extend_from_slice(bytes);
        SQLITE_OK
    }
}

/// A method that finds all of the log in its file.
macro_rules! after_flush {
    ($name:ident = $method:ident($($argument:ident: $type:ty),*)) => {
        unsafe extern "C" fn $name(file: *mut sqlite3_file, $($argument: $type),*) -> c_int {
            // SAFETY: as above.
            unsafe {
                let log = beside(file);
                match log.flush(file) {
                    SQLITE_OK => own!(log, $method(file, $($argument),*)),
                    failed => failed,
                }
            }
        }
    };
}

after_flush!(read = xRead(out: *mut c_void, len: c_int, at: sqlite3_int64));
after_flush!(truncate = xTruncate(len: sqlite3_int64));
after_flush!(sync = xSync(flags: c_int));
after_flush!(file_size = xFileSize(len: *mut sqlite3_int64));

unsafe extern "C" fn shm_lock(file: *mut sqlite3_file, first: c_int, count: c_int, flags: c_int) -> c_int {
    // SAFETY: as above.
    unsafe {
        let database = beside(file);
        if flags & SQLITE_SHM_UNLOCK != 0 && first <= WRITE_LOCK && !database.log.is_null() {
            beside(database.log).waiting.clear();
        }
        own!(database, xShmLock(file, first, count, flags))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::ffi::{SQLITE_FCNTL_JOURNAL_POINTER, sqlite3_file_control};
    use rusqlite::{Connection, OpenFlags};
    use std::fs;
    use std::path::Path;

    const ROW: usize = 3000;

    /// A connection whose cache holds few pages, so that longer transactions go to the log before their end.
    fn connect(path: &Path) -> Connection {
        let vfs = register().expect("SQLite has files on Unix");
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        let connection = Connection::open_with_flags_and_vfs(path, flags, vfs).unwrap();
        connection
            .execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = 10;
                 CREATE TABLE IF NOT EXISTS t (n INTEGER PRIMARY KEY, b BLOB)",
            )
            .unwrap();
        connection
    }

    fn insert(connection: &Connection, rows: std::ops::Range<i64>, byte: u8) {
        for row in rows {
            connection.execute("INSERT INTO t VALUES (?, ?)", (row, vec![byte; ROW])).unwrap();
        }
    }

    /// Rows that are whole and of this byte.
    fn count(connection: &Connection, byte: u8) -> i64 {
        let select = "SELECT count(*) FROM t WHERE b = ?";
        connection.query_row(select, [vec![byte; ROW]], |row| row.get(0)).unwrap()
    }

    fn sound(connection: &Connection) -> bool {
        connection.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0)).unwrap() == "ok"
    }

    #[test]
    fn a_transaction_longer_than_the_cache_reads_what_waits() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db");
        let (one, other) = (connect(&path), connect(&path));
        for round in 0..3 {
            one.execute_batch("BEGIN IMMEDIATE").unwrap();
            insert(&one, 200 * round..200 * (round + 1), 1);
            assert_eq!((count(&one, 1), count(&other, 1)), (200 * (round + 1), 200 * round));
            one.execute_batch("COMMIT").unwrap();
            assert_eq!(count(&other, 1), 200 * (round + 1));
            // The next round goes back to the beginning of the log.
            other.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(())).unwrap();
        }
        drop((one, other));
        let again = connect(&path);
        assert!(count(&again, 1) == 600 && sound(&again));
    }

    #[test]
    fn what_was_rolled_back_is_not_written_over_what_others_commit() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db");
        let (one, other) = (connect(&path), connect(&path));
        insert(&one, 0..1, 1);
        // With nothing in the log, rolling back reads nothing of it, which would write what waits.
        one.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
        one.execute_batch("BEGIN IMMEDIATE").unwrap();
        insert(&one, 1..30, 2);
        // SAFETY: the connection is open, and no call of SQLite's is under way.
        let waiting = unsafe {
            let mut file: *mut sqlite3_file = null_mut();
            let asked = sqlite3_file_control(
                one.handle(),
                c"main".as_ptr(),
                SQLITE_FCNTL_JOURNAL_POINTER,
                ptr::from_mut(&mut file).cast(),
            );
            assert_eq!(asked, SQLITE_OK);
            beside(file).waiting.len()
        };
        assert!(waiting > 10 * ROW, "or this test shows nothing");
        one.execute_batch("ROLLBACK").unwrap();
        insert(&other, 1..30, 3);
        // Looks at the log, and writes to it.
        assert_eq!((count(&one, 1), count(&one, 2), count(&one, 3)), (1, 0, 29));
        insert(&one, 30..31, 1);
        drop((one, other));
        let again = connect(&path);
        assert_eq!((count(&again, 1), count(&again, 2), count(&again, 3)), (2, 0, 29));
        assert!(sound(&again));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_commit_is_one_write() {
        let written = || {
            let io = fs::read_to_string("/proc/thread-self/io").unwrap();
            let calls = io.lines().find_map(|line| line.strip_prefix("syscw: ")).unwrap();
            calls.parse::<u64>().unwrap()
        };
        let dir = tempfile::tempdir().unwrap();
        let one = connect(&dir.path().join("db"));
        insert(&one, 0..1, 1);
        one.execute_batch("PRAGMA cache_size = 100; BEGIN IMMEDIATE").unwrap();
        insert(&one, 1..25, 1);
        let before = written();
        one.execute_batch("COMMIT").unwrap();
        assert_eq!(written() - before, 1);
    }
}
