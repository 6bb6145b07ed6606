//! How many sessions a token has open, counted so that opening and closing write no line that all threads write.
//!
//! Each thread counts in a shard of its own. Who must know that nobody comes in while he acts on what the counts say takes
//! a [`Turn`]: he shuts the gate and then looks at the counts, where who opens counts and then looks at the gate. So
//! either he sees the new session, or it waits until the turn is over.

use crate::kernel::shard::{Apart, SHARDS, shard};
use parking_lot::{Mutex, MutexGuard};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// Read/write sessions count in the upper half, read-only ones in the lower.
const READ_WRITE: u64 = 1 << 32;
const READ_ONLY: u64 = 1;

const fn one(read_write: bool) -> u64 {
    if read_write { READ_WRITE } else { READ_ONLY }
}

pub(super) struct OpenSessions {
    counts: [Apart<AtomicU64>; SHARDS],
    /// Whether somebody has his turn.
    shut: AtomicBool,
    /// A shard that was seen to have sessions: the first to look at.
    full: AtomicUsize,
    turns: Apart<Mutex<()>>,
}

/// A session as it was counted in.
#[derive(Clone, Copy)]
pub(crate) struct Counted {
    shard: usize,
    read_write: bool,
}

impl Counted {
    /// Of the thread that opened it.
    pub(crate) fn shard(self) -> usize {
        self.shard
    }
}

impl Default for OpenSessions {
    fn default() -> OpenSessions {
        OpenSessions {
            counts: [const { Apart(AtomicU64::new(0)) }; SHARDS],
            shut: AtomicBool::new(false),
            full: AtomicUsize::new(0),
            turns: Apart::default(),
        }
    }
}

impl OpenSessions {
    /// Counts a session in, after the turn that somebody may have.
    #[inline]
    pub(super) fn enter(&self, read_write: bool) -> Counted {
        let counted = Counted { shard: shard(), read_write };
        loop {
            // Sequentially consistent, as all of these: see above.
            self.counts[counted.shard].0.fetch_add(one(read_write), Ordering::SeqCst);
            if !self.shut.load(Ordering::SeqCst) {
                return counted;
            }
            self.counts[counted.shard].0.fetch_sub(one(read_write), Ordering::SeqCst);
            drop(self.turns.0.lock());
        }
    }

    /// Counts a session out. True if that may have been the last one. Of two that are the last together, one at least
    /// hears it.
    #[inline]
    pub(super) fn leave(&self, counted: Counted) -> bool {
        let before = self.counts[counted.shard].0.fetch_sub(one(counted.read_write), Ordering::SeqCst);
        before == one(counted.read_write) && self.seem_none()
    }

    fn seem_none(&self) -> bool {
        let has = |shard: usize| self.counts[shard].0.load(Ordering::SeqCst) != 0;
        if has(self.full.load(Ordering::Relaxed)) {
            return false;
        }
        let full = (0..SHARDS).find(|&shard| has(shard));
        full.into_iter().for_each(|shard| self.full.store(shard, Ordering::Relaxed));
        full.is_none()
    }

    /// Read-only and read/write sessions that are open. Without a turn, others may open and close meanwhile.
    pub(super) fn counts(&self) -> (usize, usize) {
        let all: u64 = self.counts.iter().map(|count| count.0.load(Ordering::SeqCst)).sum();
        ((all % READ_WRITE) as usize, (all / READ_WRITE) as usize)
    }

    /// Keeps new sessions out until it is dropped.
    pub(super) fn turn(&self) -> Turn<'_> {
        let turn = self.turns.0.lock();
        self.shut.store(true, Ordering::SeqCst);
        Turn { sessions: self, _turn: turn }
    }
}

/// While it lives nobody comes in. Sessions can go.
pub(super) struct Turn<'a> {
    sessions: &'a OpenSessions,
    _turn: MutexGuard<'a, ()>,
}

impl Turn<'_> {
    /// Read-only and read/write sessions that are open.
    pub(super) fn counts(&self) -> (usize, usize) {
        self.sessions.counts()
    }

    /// Whether none is.
    pub(super) fn none(&self) -> bool {
        self.counts() == (0, 0)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        // Before the lock is let go: who has waited for it finds the gate open, or the next turn's.
        self.sessions.shut.store(false, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;
    use std::thread;

    #[test]
    fn both_kinds_are_counted() {
        let sessions = OpenSessions::default();
        let (first, second) = (sessions.enter(true), sessions.enter(false));
        assert_eq!(sessions.counts(), (1, 1));
        assert!(!sessions.leave(first));
        assert!(!sessions.turn().none());
        assert!(sessions.leave(second));
        assert!(sessions.turn().none());
    }

    /// The last one out acts while nobody can come in, whoever else opens and closes.
    #[test]
    fn the_last_one_is_noticed_and_nobody_comes_in_during_a_turn() {
        let (sessions, someone) = (OpenSessions::default(), AtomicBool::new(false));
        thread::scope(|scope| {
            for thread in 0..4 {
                let (sessions, someone) = (&sessions, &someone);
                scope.spawn(move || {
                    for round in 0..5000 {
                        let counted = sessions.enter((round + thread) % 2 == 0);
                        // What a login does: it stays until the last session is closed.
                        someone.store(true, Ordering::SeqCst);
                        thread::yield_now();
                        assert!(someone.load(Ordering::SeqCst), "logged out under an open session");
                        if sessions.leave(counted) {
                            let turn = sessions.turn();
                            if turn.none() {
                                someone.store(false, Ordering::SeqCst);
                            }
                        }
                    }
                });
            }
        });
        assert!(!someone.load(Ordering::SeqCst), "the last session closed, and nobody noticed");
        assert_eq!(sessions.counts(), (0, 0));
    }
}
