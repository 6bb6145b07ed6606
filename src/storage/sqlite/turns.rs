//! Writers in turn: who leads does the work of all who have come in one transaction, and commits it for them.

use super::super::group::{Before, has_room};
use super::*;
use crate::kernel::lead::Others;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Instant;

/// The transaction that is open, and the one before it.
#[derive(Default)]
pub(super) struct Open {
    transaction: Option<Writing>,
    before: Before,
    /// What the last writer left, and the state that it is of.
    known: Option<(Revision, Knowledge)>,
}

/// A transaction that waits for its commit.
struct Writing {
    /// The last one written, in this transaction or before.
    revision: Revision,
    /// Those who wrote in it, and how much.
    members: usize,
    bytes: usize,
    last: Option<Last>,
    /// Everything there was went in it.
    cleared: bool,
    /// Why it cannot be committed.
    spoilt: Option<Error>,
    outcome: Outcome,
}

/// What is written when it is committed: the last one's [`Batch::last`].
pub(super) struct Last {
    pub(super) key: Key,
    pub(super) revision: Revision,
    pub(super) value: Late,
}

/// How long one process in the door keeps the others from beginning, at most: it may have been stopped there.
const COURTESY: Duration = Duration::from_millis(250);
/// The pauses of [`wait_until`], from the first one to the longest.
const PAUSES: [Duration; 2] = [Duration::from_micros(50), Duration::from_millis(1)];

/// Asks again and again until it is so, or for so long.
fn wait_until(patience: Duration, mut so: impl FnMut() -> bool) {
    let [mut pause, longest] = PAUSES;
    if so() {
        return;
    }
    let begun = Instant::now();
    while begun.elapsed() < patience {
        thread::sleep(pause);
        if so() {
            return;
        }
        pause = longest.min(2 * pause);
    }
}

/// How one transaction ends: told once, before any who wrote in it look.
type Outcome = Arc<OnceLock<Result<()>>>;

impl Sqlite {
    /// Has its turn in a transaction, and returns when that is on the disk.
    pub(super) fn commit(
        &self,
        work: &mut (dyn FnMut(&dyn View) -> Result<Batch> + Send),
    ) -> Result<Revision> {
        // No fork while others' work and this thread's own wait for their commit.
        let uncut = Uncut::enter();
        let mut taken = None;
        // A panic is this thread's own, whoever leads.
        let mut member = |connection: &Connection| {
            taken = Some(catch_unwind(AssertUnwindSafe(|| self.take(connection, work))));
        };
        self.group.come(&mut member, |own, others| {
            let turn = Turn::new(self, self.connection.lock_within(&uncut));
            own(&turn.connection);
            while turn.goes_on(others) && others.next(&turn.connection) {}
        });
        let lost = || Rv::GeneralError.because("the thread that was to write for this one ended");
        let (revision, outcome) = taken.ok_or_else(lost)?.unwrap_or_else(|panic| resume_unwind(panic))?;
        match outcome {
            Some(outcome) => outcome.get().ok_or_else(lost)?.clone().map(|()| revision),
            None => Ok(revision),
        }
    }

    /// Does `work` in the open transaction, or opens one. The outcome is to be waited for: also by who wrote nothing, if others
    /// did whose writes were seen.
    fn take(
        &self,
        connection: &Connection,
        work: &mut (dyn FnMut(&dyn View) -> Result<Batch> + Send),
    ) -> Result<(Revision, Option<Outcome>)> {
        let mut open = self.open.lock();
        let open = &mut *open;
        let writing = match &mut open.transaction {
            Some(writing) => writing,
            none => {
                self.still_there()?;
                none.insert(self.begin(connection)?)
            }
        };
        let revision = writing.revision;
        let known = open.known.as_ref().filter(|(of, _)| *of == revision).map(|(_, known)| known);
        let last = writing.last.as_ref();
        let view = Snapshot { connection, revision, path: &self.path, last, known };
        let mut batch = work(&view)?;
        let outcome = writing.outcome.clone();
        if batch.is_empty() {
            return Ok((writing.revision, (writing.members > 0).then_some(outcome)));
        }
        writing.revision = writing.revision.next();
        writing.members += 1;
        writing.bytes +=
            batch.writes.iter().filter_map(|(_, value)| value.as_ref()).map(Vec::len).sum::<usize>();
        writing.cleared |= batch.clear;
        if batch.clear {
            writing.last = None;
        }
        if let Some((key, value)) = batch.last.take() {
            debug_assert!(writing.last.as_ref().is_none_or(|last| last.key == key), "one key");
            writing.last = Some(Last { key, revision: writing.revision, value });
        }
        open.known = batch.known.take().map(|known| (writing.revision, known));
        // What a panic leaves half written must not be committed with what the others write.
        writing.spoilt = Some(Rv::GeneralError.because("a write was cut short"));
        writing.spoilt = write(connection, batch, writing.revision).err().map(|error| self.failed(error));
        Ok((writing.revision, Some(outcome)))
    }

    fn begin(&self, connection: &Connection) -> Result<Writing> {
        connection.busy_timeout(Duration::ZERO).map_err(|error| self.failed(error))?;
        let begun = self.begin_in_turn(connection);
        connection.busy_timeout(PATIENCE).and(begun).map_err(|error| self.failed(error))?;
        let (members, bytes, last, cleared, spoilt, outcome) = (0, 0, None, false, None, Outcome::default());
        match state(connection) {
            Ok((revision, _)) => Ok(Writing { revision, members, bytes, last, cleared, spoilt, outcome }),
            Err(error) => {
                let _ = run(connection, "ROLLBACK");
                Err(self.failed(error))
            }
        }
    }

    /// SQLite's lock goes to whoever asks while it is free. A process that writes all the time asks again at once, and one
    /// that waits looks now and then, so it would wait for seconds. So who finds the lock taken stands in the door until it
    /// has it, and who wants to begin lets in first who stands there.
    fn begin_in_turn(&self, connection: &Connection) -> rusqlite::Result<()> {
        let begin = || run(connection, "BEGIN IMMEDIATE");
        let door = self.door.as_ref();
        let free = || !door.is_some_and(Door::is_taken);
        wait_until(COURTESY, free);
        let mut begun = begin();
        let taken = |begun: &rusqlite::Result<()>| begun.as_ref().is_err_and(busy);
        if !taken(&begun) {
            return begun;
        }
        let mut standing = None;
        wait_until(COURTESY, || {
            standing = door.and_then(Door::enter);
            standing.is_some() || free()
        });
        wait_until(PATIENCE, || {
            begun = begin();
            !taken(&begun)
        });
        begun
    }

    /// Commits the transaction that is open, if one is, and tells all who wrote in it.
    fn settle(&self, connection: &Connection, open: &mut Open) {
        let Some(writing) = open.transaction.take() else { return };
        let begun = Instant::now();
        let outcome = match &writing.spoilt {
            Some(error) => Err(error.clone()),
            None if writing.members == 0 => Ok(()),
            None => self.settle_written(connection, &writing),
        };
        if !connection.is_autocommit() {
            // Nothing was written, or it cannot be kept.
            let _ = run(connection, "ROLLBACK");
        }
        if outcome.is_err() {
            open.known = None;
        }
        if writing.cleared && outcome.is_ok() {
            // Old pages still in the log go now; if a reader is in the way, at a later checkpoint.
            let _ = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        }
        open.before = Before { members: writing.members, took: begun.elapsed() };
        let _ = writing.outcome.set(outcome);
    }

    fn settle_written(&self, connection: &Connection, writing: &Writing) -> Result<()> {
        let mark = match &self.sign {
            Sign::Shared(counter) => Some((counter, begin_write(counter))),
            _ => None,
        };
        let commit = |last: Option<(&Last, Bytes)>| -> rusqlite::Result<()> {
            if let Some((Last { key, revision, .. }, value)) = last {
                connection.prepare_cached(PUT)?.execute(params![key, revision.0 as i64, value])?;
            }
            let at = writing.revision.0 as i64;
            connection.prepare_cached("UPDATE state SET revision = ? WHERE id = 0")?.execute([at])?;
            run(connection, "COMMIT")
        };
        let last = writing.last.as_ref().map(|last| Ok((last, (last.value)()?))).transpose();
        let outcome = last.and_then(|last| commit(last).map_err(|error| self.failed(error)));
        if let Some((counter, odd)) = mark {
            // If it fails, the next writer has begun already and will settle it.
            counter.advance(odd, odd + 1);
        }
        outcome
    }
}

/// A leader's turn with the connection. Its end, however it comes about, commits what was written.
struct Turn<'a> {
    store: &'a Sqlite,
    connection: Held<'a>,
    /// Until when it waits for others, once it has begun to.
    deadline: Cell<Option<Instant>>,
}

impl<'a> Turn<'a> {
    fn new(store: &'a Sqlite, connection: Held<'a>) -> Turn<'a> {
        Turn { store, connection, deadline: Cell::new(None) }
    }

    /// Whether to do another one's work too. Waits for those who are likely to be on the way.
    fn goes_on(&self, others: &Others<'_, Connection>) -> bool {
        let open = self.store.open.lock();
        let Some(Writing { spoilt: None, members, bytes, .. }) = &open.transaction else { return false };
        if !has_room(*members, *bytes) {
            return false;
        }
        if *members > 0
            && others.is_empty()
            && let Some((more, deadline)) = open.before.expects(*members)
        {
            let deadline = self.deadline.get().unwrap_or(deadline);
            self.deadline.set(Some(deadline));
            others.wait_for(more, deadline);
        }
        true
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.store.settle(&self.connection, &mut self.store.open.lock());
    }
}
