//! SQLite connections, and what becomes of them when the process forks.
//!
//! A child inherits SQLite's memory but none of the file locks that this memory says it has. Opening a token
//! beside that would share the parent's belief and write without locks. So a child closes all that it
//! inherited before it opens anything, which touches nothing the parent uses; and a fork waits until no
//! thread is inside SQLite ([`Uncut`]), so that what is closed is at rest.

use crate::error::Result;
use crate::kernel::fork::{ForkMark, Uncut};
use parking_lot::{Mutex, MutexGuard};
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Weak};

type Slot = Mutex<Option<Connection>>;

/// The connections of the process that `mark` knows.
struct Open {
    mark: ForkMark,
    slots: Vec<Weak<Slot>>,
}

/// Locked only inside [`Uncut`], so it is free in every child.
static OPEN: Mutex<Option<Open>> = Mutex::new(None);

/// A connection, used by one thread at a time.
pub struct Shared(Arc<Slot>);

impl Shared {
    /// Keeps what `connect` opens.
    ///
    /// # Errors
    /// Those of `connect`; CKR_DEVICE_ERROR in a child forked in the middle of a call.
    pub fn open(connect: impl FnOnce() -> Result<Connection>) -> Result<Shared> {
        let _uncut = Uncut::enter();
        if Uncut::was_cut() {
            fail!(DeviceError, "forked while another thread was using a token; this process can open none");
        }
        let mut open = OPEN.lock();
        let inherited = open.take_if(|open| !open.mark.stands());
        inherited.iter().flat_map(|open| &open.slots).filter_map(Weak::upgrade).for_each(forsake);
        let shared = Shared(Arc::new(Mutex::new(Some(connect()?))));
        let open = open.get_or_insert_with(|| Open { mark: ForkMark::new(), slots: Vec::new() });
        open.slots.retain(|slot| slot.strong_count() > 0);
        open.slots.push(Arc::downgrade(&shared.0));
        Ok(shared)
    }

    /// The connection, for this thread alone.
    pub fn lock(&self) -> Held<'_> {
        let uncut = Uncut::enter();
        Held { slot: self.0.lock(), _uncut: Some(uncut) }
    }

    /// The same for a thread that no fork can cut already, and that stays so for longer than it has the connection.
    pub fn lock_within(&self, _uncut: &Uncut) -> Held<'_> {
        Held { slot: self.0.lock(), _uncut: None }
    }

    /// Closes it and says how that went.
    pub fn close(self) -> rusqlite::Result<()> {
        let _uncut = Uncut::enter();
        let connection = self.0.lock().take();
        connection.map_or(Ok(()), |connection| connection.close().map_err(|(_, error)| error))
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let _uncut = Uncut::enter();
        drop(self.0.lock().take());
    }
}

fn forsake(slot: Arc<Slot>) {
    if let Some(connection) = slot.lock().take() {
        // Closing would otherwise write the log back if the parent is gone.
        let _ = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        drop(connection);
    }
}

/// A connection in use.
pub struct Held<'a> {
    // Given back before the fork that may wait for it goes on.
    slot: MutexGuard<'a, Option<Connection>>,
    _uncut: Option<Uncut>,
}

const THERE: &str = "only `close` and `drop` take it, and a child, which has no one to use it";

impl Deref for Held<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.slot.as_ref().expect(THERE)
    }
}

impl DerefMut for Held<'_> {
    fn deref_mut(&mut self) -> &mut Connection {
        self.slot.as_mut().expect(THERE)
    }
}
