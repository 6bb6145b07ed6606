//! Writers in turn: each does its work in the transaction that it finds open, and the last one commits it for all.

use super::super::group::{Before, Outcome};
use super::*;
use std::time::Instant;

/// The transaction that writers share, and the one before it.
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
    /// What is written when it is committed: the last one's [`Batch::last`].
    last: Option<Record>,
    /// Everything there was went in it.
    cleared: bool,
    /// Why it cannot be committed.
    spoilt: Option<Error>,
    outcome: Outcome,
}

impl Sqlite {
    /// Has its turn in the transaction that is open, or opens one, and waits until that is on the disk.
    pub(super) fn commit(&self, work: &mut dyn FnMut(&dyn View) -> Result<Batch>) -> Result<Revision> {
        // No fork while others' work and this thread's own wait for their commit.
        let uncut = Uncut::enter();
        let coming = self.group.announce();
        let connection = self.connection.lock_within(&uncut);
        drop(coming);
        let turn = Turn { store: self, connection };
        let (revision, outcome) = turn.take(work)?;
        drop(turn);
        outcome.map_or(Ok(()), |outcome| outcome.wait())?;
        Ok(revision)
    }

    fn begin(&self, connection: &Connection) -> Result<Writing> {
        let mut tries = 0;
        loop {
            match run(connection, "BEGIN IMMEDIATE") {
                Err(error) if busy(&error) && tries < RETRIES => tries += 1,
                outcome => break outcome.map_err(|error| self.failed(error))?,
            }
        }
        let (members, bytes, last, cleared, spoilt, outcome) = (0, 0, None, false, None, Outcome::default());
        match state(connection) {
            Ok((revision, _)) => Ok(Writing { revision, members, bytes, last, cleared, spoilt, outcome }),
            Err(error) => {
                let _ = run(connection, "ROLLBACK");
                Err(self.failed(error))
            }
        }
    }

    /// Commits the transaction that is open, if one is, and tells all who wrote in it.
    pub(super) fn settle(&self, connection: &Connection, open: &mut Open) {
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
        writing.outcome.tell(outcome);
    }

    fn settle_written(&self, connection: &Connection, writing: &Writing) -> Result<()> {
        let mark = match &self.sign {
            Sign::Shared(counter) => Some((counter, begin_write(counter))),
            _ => None,
        };
        let commit = || -> rusqlite::Result<()> {
            if let Some(Record { key, revision, value }) = &writing.last {
                connection.prepare_cached(PUT)?.execute(params![key, revision.0 as i64, value])?;
            }
            let at = writing.revision.0 as i64;
            connection.prepare_cached("UPDATE state SET revision = ?")?.execute([at])?;
            run(connection, "COMMIT")
        };
        let outcome = commit();
        if let Some((counter, odd)) = mark {
            // If it fails, the next writer has begun already and will settle it.
            counter.advance(odd, odd + 1);
        }
        outcome.map_err(|error| self.failed(error))
    }
}

/// One writer's turn with the connection. Its end, however it comes about, leaves the open transaction to the next
/// writer or commits it.
struct Turn<'a> {
    store: &'a Sqlite,
    connection: Held<'a>,
}

impl Turn<'_> {
    /// Does `work` in the open transaction. The outcome is to be waited for: also by who wrote nothing, if others
    /// did whose writes were seen.
    fn take(&self, work: &mut dyn FnMut(&dyn View) -> Result<Batch>) -> Result<(Revision, Option<Outcome>)> {
        let store = self.store;
        let mut open = store.open.lock();
        let open = &mut *open;
        let writing = match &mut open.transaction {
            Some(writing) => writing,
            none => {
                store.still_there()?;
                none.insert(store.begin(&self.connection)?)
            }
        };
        let revision = writing.revision;
        let known = open.known.as_ref().filter(|(of, _)| *of == revision).map(|(_, known)| known);
        let last = writing.last.as_ref();
        let view = Snapshot { connection: &self.connection, revision, path: &store.path, last, known };
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
            writing.last = Some(Record { key, revision: writing.revision, value: Some(value) });
        }
        open.known = batch.known.take().map(|known| (writing.revision, known));
        if let Err(error) = write(&self.connection, batch, writing.revision) {
            writing.spoilt = Some(store.failed(error));
        }
        Ok((writing.revision, Some(outcome)))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut open = self.store.open.lock();
        let goes_on = match &open.transaction {
            Some(Writing { spoilt: None, members, bytes, .. }) => {
                *members > 0 && self.store.group.goes_on(*members, *bytes, &open.before)
            }
            _ => false,
        };
        if !goes_on {
            self.store.settle(&self.connection, &mut open);
        }
    }
}
