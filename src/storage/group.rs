//! Group commit: writers that come while another one is at the disk share the next transaction and its one sync.
//!
//! A writer announces itself, waits for the connection, and does its work in the transaction that it finds open, as a
//! revision of its own. Who then sees nobody coming commits for all; the others wait for the outcome. So a lone writer
//! commits at once, and a crowd fills a transaction while the one before it is being synced.

use crate::error::Result;
use parking_lot::{Condvar, Mutex};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Writers after which a transaction is committed although more are coming: other processes want their turn.
const MOST: usize = 64;
/// The same in bytes written.
const MOST_BYTES: usize = 4 << 20;
/// The longest that a group waits for those who were in the one before.
const PATIENCE: Duration = Duration::from_millis(2);

/// The writers of one connection.
#[derive(Default)]
pub(super) struct Group {
    coming: Mutex<usize>,
    arrived: Condvar,
}

impl Group {
    /// Says that this thread is about to wait for the connection; the drop, that it has it.
    pub(super) fn announce(&self) -> Coming<'_> {
        *self.coming.lock() += 1;
        self.arrived.notify_one();
        Coming(self)
    }

    /// Whether the one who has the connection leaves the transaction to somebody who is coming. Who was in the
    /// transaction before this one is likely to be on the way: for them it waits, half of a commit's time at most.
    pub(super) fn goes_on(&self, members: usize, bytes: usize, before: &Before) -> bool {
        if members >= MOST || bytes >= MOST_BYTES {
            return false;
        }
        let mut coming = self.coming.lock();
        if *coming == 0 && members < before.members {
            let deadline = Instant::now() + (before.took / 2).min(PATIENCE);
            while *coming == 0 && !self.arrived.wait_until(&mut coming, deadline).timed_out() {}
        }
        *coming > 0
    }
}

/// A writer on its way.
pub(super) struct Coming<'a>(&'a Group);

impl Drop for Coming<'_> {
    fn drop(&mut self) {
        *self.0.coming.lock() -= 1;
    }
}

/// The transaction before the one that is open.
#[derive(Default)]
pub(super) struct Before {
    pub(super) members: usize,
    /// What its commit took.
    pub(super) took: Duration,
}

/// How one transaction ends: told once, to all who wrote in it.
#[derive(Clone, Default)]
pub(super) struct Outcome(Arc<(Mutex<Option<Result<()>>>, Condvar)>);

impl Outcome {
    pub(super) fn tell(&self, outcome: Result<()>) {
        *self.0.0.lock() = Some(outcome);
        self.0.1.notify_all();
    }

    pub(super) fn wait(&self) -> Result<()> {
        let mut outcome = self.0.0.lock();
        loop {
            match &*outcome {
                Some(outcome) => return outcome.clone(),
                None => self.0.1.wait(&mut outcome),
            }
        }
    }
}
