//! The open sessions by handle.
//!
//! Every call looks its session up, so the way to it writes nothing that another session's call writes: a handle
//! holds the number of the session's place, places never move, and the one lock that is taken is the session's
//! own. It is held for the whole call, because a session does one thing at a time.

use super::SessionHandle;
use super::session::Session;
use crate::error::{Error, Result, Rv};
use crate::kernel::lock::{MappedMutexGuard, Mutex, MutexGuard};
use once_cell::sync::OnceCell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Bits of a handle that number the place; the others count sessions.
const PLACE_BITS: u32 = 20;
/// Places in the first block. Each block is as long as all before it, but for the first two.
const FIRST_BLOCK: usize = 64;
const BLOCKS: usize = (PLACE_BITS - FIRST_BLOCK.ilog2() + 1) as usize;

/// Room for one session at a time. Two cache lines at least, because neighbours are fetched in pairs.
#[derive(Default)]
#[repr(align(128))]
struct Place(Mutex<Option<Session>>);

/// A session, its own until the call ends.
pub type Held<'a> = MappedMutexGuard<'a, Session>;

pub struct Sessions {
    blocks: [OnceCell<Box<[Place]>>; BLOCKS],
    /// Places taken so far, the free ones among them included.
    taken: AtomicUsize,
    free: Mutex<Vec<usize>>,
    /// Counts handles: they outlive C_Finalize and fork in that none is given out twice.
    serial: &'static AtomicU64,
}

/// Where a place is: its block, and its number in the block.
fn position(place: usize) -> (usize, usize) {
    match (place / FIRST_BLOCK).checked_ilog2() {
        None => (0, place),
        Some(log) => (log as usize + 1, place - (FIRST_BLOCK << log)),
    }
}

fn block_len(block: usize) -> usize {
    FIRST_BLOCK << block.saturating_sub(1)
}

fn no_session(handle: SessionHandle) -> Error {
    Rv::SessionHandleInvalid.because(format!("no session {handle}"))
}

impl Sessions {
    pub fn new(serial: &'static AtomicU64) -> Sessions {
        Sessions {
            blocks: [const { OnceCell::new() }; BLOCKS],
            taken: AtomicUsize::new(0),
            free: Mutex::default(),
            serial,
        }
    }

    #[inline]
    fn place(&self, number: usize) -> Option<&Place> {
        let (block, at) = position(number);
        self.blocks.get(block)?.get()?.get(at)
    }

    fn places(&self) -> impl Iterator<Item = &Place> {
        self.blocks.iter().filter_map(OnceCell::get).flatten()
    }

    /// A place that is free, and its number.
    fn take_place(&self) -> Result<(usize, &Place)> {
        let free = self.free.lock().pop();
        let number = free.unwrap_or_else(|| self.taken.fetch_add(1, Ordering::Relaxed));
        let (block, at) = position(number);
        let Some(cell) = self.blocks.get(block) else {
            self.taken.fetch_sub(1, Ordering::Relaxed);
            fail!(SessionCount, "{number} sessions are open");
        };
        let block = cell.get_or_init(|| (0..block_len(block)).map(|_| Place::default()).collect());
        Ok((number, &block[at]))
    }

    /// Puts in the session that `open` makes for a handle nobody has had.
    ///
    /// # Errors
    /// CKR_SESSION_COUNT.
    pub fn insert(&self, open: impl FnOnce(SessionHandle) -> Session) -> Result<SessionHandle> {
        let (number, place) = self.take_place()?;
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        if serial >> (u64::BITS - PLACE_BITS) != 0 {
            fail!(SessionCount, "this process has used up all session handles");
        }
        let handle = (serial << PLACE_BITS | number as u64) as SessionHandle;
        *place.0.lock() = Some(open(handle));
        Ok(handle)
    }

    /// The session of a handle.
    ///
    /// # Errors
    /// CKR_SESSION_HANDLE_INVALID.
    #[inline]
    pub fn find(&self, handle: SessionHandle) -> Result<Held<'_>> {
        let Some(place) = self.place(number_of(handle)) else { return Err(no_session(handle)) };
        let held = MutexGuard::try_map(place.0.lock(), |session| {
            session.as_mut().filter(|session| session.handle() == handle)
        });
        held.map_err(|_| no_session(handle))
    }

    /// Takes a session out, once the call that uses it has ended.
    ///
    /// # Errors
    /// CKR_SESSION_HANDLE_INVALID.
    pub fn remove(&self, handle: SessionHandle) -> Result<Session> {
        let number = number_of(handle);
        let place = self.place(number).ok_or_else(|| no_session(handle))?;
        let session = place.0.lock().take_if(|session| session.handle() == handle);
        let session = session.ok_or_else(|| no_session(handle))?;
        self.free.lock().push(number);
        Ok(session)
    }

    /// Calls `act` for every session that no call uses at this moment.
    pub fn for_each_idle(&self, act: impl Fn(&Session)) {
        for place in self.places() {
            if let Some(Some(session)) = place.0.try_lock().as_deref() {
                act(session);
            }
        }
    }

    /// Takes out all sessions for which `choose` is true, each once the call that uses it has ended.
    pub fn remove_all(&self, choose: impl Fn(&Session) -> bool) -> Vec<Session> {
        let mut removed = Vec::new();
        for place in self.places() {
            removed.extend(place.0.lock().take_if(|session| choose(session)));
        }
        self.free.lock().extend(removed.iter().map(|session| number_of(session.handle())));
        removed
    }
}

fn number_of(handle: SessionHandle) -> usize {
    (handle as u64 & ((1 << PLACE_BITS) - 1)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_fill_blocks_without_a_gap() {
        let mut expected = (0, 0);
        for number in 0..10_000 {
            assert_eq!(position(number), expected, "{number}");
            expected.1 += 1;
            if expected.1 == block_len(expected.0) {
                expected = (expected.0 + 1, 0);
            }
        }
        let (last, _) = position((1 << PLACE_BITS) - 1);
        assert_eq!(last, BLOCKS - 1);
    }
}
