//! Group commit: writers that come while another one is at the disk share the next transaction and its one sync.
//!
//! One of them leads: it does its own work and that of all who have come, each as a revision of its own, in one transaction,
//! and commits that for all. So a lone writer commits at once, and a crowd that came while one transaction was synced is in
//! the next one, without the connection going from thread to thread.

use std::time::{Duration, Instant};

/// Writers after which a transaction is committed although more are there: other processes want their turn.
const MOST: usize = 64;
/// The same in bytes written.
const MOST_BYTES: usize = 4 << 20;
/// The longest that a group waits for those who were in the one before.
const PATIENCE: Duration = Duration::from_millis(2);

/// Whether a transaction takes more.
pub(super) fn has_room(members: usize, bytes: usize) -> bool {
    members < MOST && bytes < MOST_BYTES
}

/// The transaction before the one that is open.
#[derive(Default)]
pub(super) struct Before {
    pub(super) members: usize,
    /// What its commit took.
    pub(super) took: Duration,
}

impl Before {
    /// How many more than `members` are likely to be on the way, since they were in that transaction, and until when to
    /// wait for them: half of a commit's time at most.
    pub(super) fn expects(&self, members: usize) -> Option<(usize, Instant)> {
        let more = self.members.min(MOST).checked_sub(members).filter(|more| *more > 0)?;
        Some((more, Instant::now() + (self.took / 2).min(PATIENCE)))
    }
}
