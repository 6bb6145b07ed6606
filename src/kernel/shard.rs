//! What splits counters and lists by thread, so that threads do not write one line.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Shards that threads are spread over. With more threads than that, some share one.
pub const SHARDS: usize = 64;

/// A value on a cache line of its own, and on the line that is fetched along with it.
#[derive(Default)]
#[repr(align(128))]
pub struct Apart<T>(pub T);

/// This thread's shard. A plain number without a destructor, so it can be asked for at any time, also when the thread's
/// other locals are gone.
#[inline]
pub fn shard() -> usize {
    thread_local! { static SHARD: Cell<usize> = const { Cell::new(usize::MAX) } }
    SHARD.with(|shard| match shard.get() {
        usize::MAX => {
            static NEXT: AtomicUsize = AtomicUsize::new(0);
            let next = NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS;
            shard.set(next);
            next
        }
        known => known,
    })
}

/// Numbers that a thread takes from a counter at first, and at most.
const FIRST_RUN: u64 = 16;
const LONGEST_RUN: u64 = 4096;

/// The next number of `counter`, which nobody else gets: threads take runs of them, so each thread's numbers ascend, and
/// those that it does not use are never used. Each run is twice as long as the one before: a thread that needs one number
/// wastes few, and threads that need millions hardly ever meet.
#[inline]
pub fn next_number(counter: &'static AtomicU64) -> u64 {
    /// Whose numbers they are, the next one, how many are left, and of how many.
    #[derive(Clone, Copy)]
    struct Run(usize, u64, u64, u64);

    thread_local! { static OWN: Cell<Run> = const { Cell::new(Run(0, 0, 0, 0)) } }
    let whose = std::ptr::from_ref(counter).addr();
    OWN.with(|own| {
        let (next, left, len) = match own.get() {
            Run(of, next, left @ 1.., len) if of == whose => (next, left, len),
            Run(of, _, _, len) => {
                let last = if of == whose { len } else { 0 };
                let len = (2 * last).clamp(FIRST_RUN, LONGEST_RUN);
                (counter.fetch_add(len, Ordering::Relaxed), len, len)
            }
        };
        own.set(Run(whose, next + 1, left - 1, len));
        next
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::thread;

    #[test]
    fn no_number_is_given_twice() {
        static ONE: AtomicU64 = AtomicU64::new(1);
        static OTHER: AtomicU64 = AtomicU64::new(1);
        let numbers = || (0..1000).map(|_| (next_number(&ONE), next_number(&OTHER))).collect::<Vec<_>>();
        let all: Vec<(u64, u64)> = thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(numbers)).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(all.iter().map(|pair| pair.0).collect::<HashSet<_>>().len(), all.len());
        assert_eq!(all.iter().map(|pair| pair.1).collect::<HashSet<_>>().len(), all.len());
    }

    #[test]
    fn a_threads_numbers_ascend() {
        static COUNTER: AtomicU64 = AtomicU64::new(1);
        let numbers = || (0..3 * LONGEST_RUN).map(|_| next_number(&COUNTER)).collect::<Vec<_>>();
        let all: Vec<Vec<u64>> = thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(numbers)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(all.iter().all(|numbers| numbers.is_sorted_by(|a, b| a < b)));
        assert_eq!(all.iter().flatten().min(), Some(&1));
        let different: HashSet<_> = all.iter().flatten().collect();
        assert_eq!(different.len() as u64, 4 * 3 * LONGEST_RUN);
    }

    #[test]
    fn threads_that_need_few_numbers_waste_few() {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        for _ in 0..100 {
            thread::spawn(|| next_number(&COUNTER)).join().unwrap();
        }
        assert_eq!(COUNTER.load(Ordering::Relaxed), 100 * FIRST_RUN);
        let used = 10 * LONGEST_RUN;
        (0..used).for_each(|_| _ = next_number(&COUNTER));
        assert!(COUNTER.load(Ordering::Relaxed) <= 100 * FIRST_RUN + used + 2 * LONGEST_RUN);
    }
}
