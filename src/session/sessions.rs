//! The open sessions by handle.
//!
//! Every call looks its session up, so the way to it writes nothing that another session's call writes: a handle
//! holds the number of the session's place, places never move, and the one lock that is taken is the session's
//! own. It is held for the whole call, because a session does one thing at a time. Opening and closing write nothing in
//! common either: threads have lists of free places of their own.

use super::SessionHandle;
use super::session::Session;
use crate::error::{Error, Result, Rv};
use crate::kernel::lock::{Guard, Mutex};
use crate::kernel::seat::Seat;
use crate::kernel::shard::{Apart, SHARDS, next_number, shard};
use once_cell::sync::OnceCell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Bits of a handle that number the place; the others count sessions.
const PLACE_BITS: u32 = 20;
/// Places in the first block. Each block is as long as all before it, but for the first two.
const FIRST_BLOCK: usize = 64;
const BLOCKS: usize = (PLACE_BITS - FIRST_BLOCK.ilog2() + 1) as usize;

/// Room for one session at a time, and where the last one stays when it is closed. Two cache lines at least, because
/// neighbours are fetched in pairs.
#[derive(Default)]
#[repr(align(128))]
struct Place(Mutex<Option<Session>>);

/// A session, its own until the call ends.
pub type Held<'a> = Guard<'a, Session>;

pub struct Sessions {
    blocks: [OnceCell<Box<[Place]>>; BLOCKS],
    /// Places taken so far, the free ones among them included.
    taken: AtomicUsize,
    /// Free places, by the thread that opened the last session there.
    free: [Apart<Mutex<Vec<usize>>>; SHARDS],
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

#[cold]
#[inline(never)]
fn no_session(handle: SessionHandle) -> Error {
    Rv::SessionHandleInvalid.because(format!("no session {handle}"))
}

impl Sessions {
    pub fn new(serial: &'static AtomicU64) -> Sessions {
        Sessions {
            blocks: [const { OnceCell::new() }; BLOCKS],
            taken: AtomicUsize::new(0),
            free: [const { Apart(Mutex::new(Vec::new())) }; SHARDS],
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

    /// A place that is free, and its number: one that this thread used last, or else another thread.
    fn take_place(&self) -> Result<(usize, &Place)> {
        let own = shard();
        let free = self.free[own].0.lock().pop().or_else(|| {
            (1..SHARDS)
                .find_map(|i| self.free[(own + i) % SHARDS].0.try_lock().and_then(|mut free| free.pop()))
        });
        let number = free.unwrap_or_else(|| self.taken.fetch_add(1, Ordering::Relaxed));
        let (block, at) = position(number);
        let Some(cell) = self.blocks.get(block) else {
            self.taken.fetch_sub(1, Ordering::Relaxed);
            fail!(SessionCount, "{number} sessions are open");
        };
        let block = cell.get_or_init(|| (0..block_len(block)).map(|_| Place::default()).collect());
        Ok((number, &block[at]))
    }

    /// Opens a session as `open` does under a handle nobody has had, in a place where a closed one may be.
    ///
    /// # Errors
    /// CKR_SESSION_COUNT; those of `open`.
    pub fn open(
        &self,
        open: impl FnOnce(SessionHandle, &mut Option<Session>) -> Result<()>,
    ) -> Result<SessionHandle> {
        let (number, place) = self.take_place()?;
        let serial = next_number(self.serial);
        let opened = match serial >> (u64::BITS - PLACE_BITS) {
            0 => {
                let handle = (serial << PLACE_BITS | number as u64) as SessionHandle;
                open(handle, &mut place.0.lock()).map(|()| handle)
            }
            _ => Err(Rv::SessionCount.because("this process has used up all session handles")),
        };
        opened.inspect_err(|_| self.free[shard()].0.lock().push(number))
    }

    /// The session of a handle, for the thread of this seat.
    ///
    /// # Errors
    /// CKR_SESSION_HANDLE_INVALID.
    #[inline(always)]
    pub fn find(&self, handle: SessionHandle, seat: Seat) -> Result<Held<'_>> {
        let Some(place) = self.place(number_of(handle)) else { return Err(no_session(handle)) };
        place
            .0
            .lock_for(seat)
            .part(|session| session.as_mut().filter(|session| session.is_open_as(handle)))
            .ok_or_else(|| no_session(handle))
    }

    /// Closes a session, once the call that uses it has ended.
    ///
    /// # Errors
    /// CKR_SESSION_HANDLE_INVALID.
    pub fn close(&self, handle: SessionHandle) -> Result<()> {
        self.end(self.find(handle, Seat::taken())?);
        Ok(())
    }

    fn end(&self, mut session: Held<'_>) {
        let (number, home) = (number_of(session.handle()), session.shard());
        session.close();
        drop(session);
        self.free[home].0.lock().push(number);
    }

    /// Calls `act` for every session that no call uses at this moment.
    pub fn for_each_idle(&self, act: impl Fn(&Session)) {
        for place in self.places() {
            if let Some(Some(session)) = place.0.try_lock().as_deref()
                && session.is_open()
            {
                act(session);
            }
        }
    }

    /// Closes all sessions for which `choose` is true, each once the call that uses it has ended.
    pub fn close_all(&self, choose: impl Fn(&Session) -> bool) {
        for place in self.places() {
            let choose = |session: &&mut Session| session.is_open() && choose(session);
            let chosen = place.0.lock().part(|session| session.as_mut().filter(choose));
            chosen.into_iter().for_each(|session| self.end(session));
        }
    }

    /// Drops closed sessions, with what they hold of their token.
    pub fn forget_closed(&self) {
        for mut place in self.places().filter_map(|place| place.0.try_lock()) {
            place.take_if(|session| !session.is_open());
        }
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
