//! Work on many rows by all cores: one thread reads them, the others open and verify.

use super::{Revision, Row};
use crate::error::Result;
use crate::kernel::signals::Blocked;
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::hint::black_box;
use std::thread::{Builder, Scope, ScopedJoinHandle, scope};

/// Bytes of rows that go to a thread at once.
const GROUP: usize = 32 << 10;
/// Groups that may wait for a thread.
const WAITING: usize = 8;

/// Copies of rows, one behind the other.
struct Rows {
    bytes: Vec<u8>,
    places: Vec<Place>,
}

struct Place {
    revision: Revision,
    start: usize,
    key: usize,
    value: Option<usize>,
}

/// Room for a full group of small rows, and for the row that fills it.
impl Default for Rows {
    fn default() -> Rows {
        Rows { bytes: Vec::with_capacity(GROUP + GROUP / 8), places: Vec::with_capacity(GROUP / 256) }
    }
}

impl Rows {
    fn push(&mut self, row: Row<'_>) {
        let Row { key, revision, value } = row;
        let start = self.bytes.len();
        self.places.push(Place { revision, start, key: key.len(), value: value.map(<[u8]>::len) });
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(value.unwrap_or_default());
    }

    fn rows(&self) -> Vec<Row<'_>> {
        let row = |place: &Place| {
            let (key, rest) = self.bytes[place.start..].split_at(place.key);
            Row { key, revision: place.revision, value: place.value.map(|len| &rest[..len]) }
        };
        self.places.iter().map(row).collect()
    }
}

/// What waits for a thread, and whether more may come.
struct Queue {
    groups: Mutex<(VecDeque<Rows>, bool)>,
    changed: Condvar,
}

impl Queue {
    /// Gives it back if enough is waiting.
    fn offer(&self, group: Rows) -> Option<Rows> {
        let mut groups = self.groups.lock();
        if groups.0.len() >= WAITING {
            return Some(group);
        }
        groups.0.push_back(group);
        self.changed.notify_one();
        None
    }

    fn close(&self) {
        self.groups.lock().1 = true;
        self.changed.notify_all();
    }

    fn take(&self) -> Option<Rows> {
        let mut groups = self.groups.lock();
        loop {
            match groups.0.pop_front() {
                None if !groups.1 => self.changed.wait(&mut groups),
                group => return group,
            }
        }
    }
}

/// Closes the queue also when reading panics: the threads would wait for ever, and the scope for them.
struct Closing<'a>(&'a Queue);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Gives all rows that `read` brings to `work`, many at once, spread over `threads` of them if they are many: this one and
/// others that are gone when it returns. Every thread works on a `P` of its own; the caller puts them together.
///
/// # Errors
/// Those of `read`.
pub(super) fn spread<P: Default + Send, R>(
    threads: usize,
    work: &(dyn Fn(&mut P, &[Row<'_>]) + Sync),
    read: impl FnOnce(&mut dyn FnMut(Row<'_>)) -> Result<R>,
) -> Result<(Vec<P>, R)> {
    let queue = Queue { groups: Mutex::default(), changed: Condvar::new() };
    let queue = &queue;
    let work = &|part: &mut P, group: &Rows| {
        if group.bytes.len() >= GROUP {
            make_room();
        }
        work(part, &group.rows());
    };
    scope(|scope| {
        let closing = Closing(queue);
        let (mut own, mut group, mut others) = (P::default(), Rows::default(), Vec::new());
        let mut started = threads <= 1;
        let outcome = read(&mut |row| {
            group.push(row);
            if group.bytes.len() < GROUP {
                return;
            }
            if !std::mem::replace(&mut started, true) {
                others = start(scope, threads - 1, queue, work);
            }
            let full = std::mem::take(&mut group);
            let left = if others.is_empty() { Some(full) } else { queue.offer(full) };
            left.iter().for_each(|group| work(&mut own, group));
        });
        drop(closing);
        work(&mut own, &group);
        while let Some(group) = queue.take() {
            work(&mut own, &group);
        }
        let mut parts = vec![own];
        for other in others {
            parts.push(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        Ok((parts, outcome?))
    })
}

/// As many threads as the system lets us have.
fn start<'scope, P: Default + Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    threads: usize,
    queue: &'scope Queue,
    work: &'scope (dyn Fn(&mut P, &Rows) + Sync),
) -> Vec<ScopedJoinHandle<'scope, P>> {
    let _blocked = Blocked::new();
    let thread = move || {
        let mut part = P::default();
        while let Some(group) = queue.take() {
            work(&mut part, &group);
        }
        part
    };
    (0..threads)
        .map_while(|_| Builder::new().name("coffer".into()).spawn_scoped(scope, thread).ok())
        .collect()
}

/// Lets this thread's heap grow in one step by about what becomes of a group: in other threads than the first, glibc asks
/// the system for each page of it by itself.
fn make_room() {
    drop(black_box(Vec::<u8>::with_capacity(2 * GROUP)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_worked_on_once_by_any_number_of_threads() {
        let values: Vec<Vec<u8>> = (0..5000).map(|n| vec![n as u8; n % 700]).collect();
        for threads in [1, 2, 5] {
            let work = |part: &mut Vec<(u64, usize)>, rows: &[Row<'_>]| {
                for row in rows {
                    assert!(row.key == row.revision.0.to_be_bytes());
                    assert!(row.value.unwrap().iter().all(|byte| *byte == row.revision.0 as u8));
                    part.push((row.revision.0, row.value.unwrap().len()));
                }
            };
            let (parts, total) = spread(threads, &work, |take| {
                for (n, value) in values.iter().enumerate() {
                    let n = n as u64;
                    take(Row { key: &n.to_be_bytes(), revision: Revision(n), value: Some(value) });
                }
                Ok(values.len())
            })
            .unwrap();
            let mut all: Vec<_> = parts.into_iter().flatten().collect();
            all.sort_unstable();
            assert_eq!(total, all.len());
            assert!(all.iter().enumerate().all(|(n, row)| *row == (n as u64, n % 700)));
        }
    }

    #[test]
    fn a_panic_comes_out_and_leaves_no_thread_behind() {
        let row = [0; 1 << 16];
        let many = |take: &mut dyn FnMut(Row<'_>)| -> Result<()> {
            (0..64).for_each(|n| take(Row { key: b"k", revision: Revision(n), value: Some(&row) }));
            Ok(())
        };
        let bad = |_: &mut (), rows: &[Row<'_>]| assert!(rows.iter().all(|row| row.revision.0 != 40));
        assert!(std::panic::catch_unwind(|| spread(3, &bad, many).map(drop)).is_err());
        let reading = |_: &mut dyn FnMut(Row<'_>)| -> Result<()> { panic!("while reading") };
        assert!(
            std::panic::catch_unwind(|| spread(3, &|_: &mut (), _: &[Row<'_>]| {}, reading).map(drop))
                .is_err()
        );
    }
}
