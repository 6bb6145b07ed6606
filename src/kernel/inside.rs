//! Which threads are inside of something, counted so that no two write one line.

use super::barrier;
use super::seat::{OWN, SHARED, Seat};
use super::shard::Apart;
use std::sync::atomic::{AtomicUsize, Ordering};

/// One [`Counter`] for each number that a [`Seat`] can have.
pub const COUNTERS: usize = OWN + SHARED;

/// How often the threads of one seat are inside. Who has a seat to itself pays a plain write to come and one to go.
#[derive(Default)]
pub struct Counter(Apart<AtomicUsize>);

impl Counter {
    /// Nobody.
    pub const fn new() -> Counter {
        Counter(Apart(AtomicUsize::new(0)))
    }

    /// Counts the thread in, and says how many were inside before. Either what it reads afterwards is new, or what is read
    /// here by who has imposed [`barrier::heavy`].
    #[inline]
    pub fn come(&self, seat: Seat) -> usize {
        if seat.is_own() {
            let before = self.0.0.load(Ordering::Relaxed);
            self.0.0.store(before + 1, Ordering::Relaxed);
            barrier::light();
            before
        } else {
            self.0.0.fetch_add(1, Ordering::SeqCst)
        }
    }

    /// Counts it out.
    #[inline]
    pub fn go(&self, seat: Seat) {
        if seat.is_own() {
            self.0.0.store(self.0.0.load(Ordering::Relaxed) - 1, Ordering::Release);
        } else {
            self.0.0.fetch_sub(1, Ordering::Release);
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.0.load(Ordering::SeqCst)
    }

    /// In a forked child, which has the forking thread alone: how many there are of that.
    pub fn set(&self, count: usize) {
        self.0.0.store(count, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn all_come_and_go() {
        for seat in [Seat::taken(), Seat::shared()] {
            let counter = Counter::new();
            assert_eq!([(); 3].map(|()| counter.come(seat)), [0, 1, 2]);
            counter.go(seat);
            assert_eq!(counter.count(), 2);
        }
    }

    #[test]
    fn who_shares_a_counter_counts_by_atomic_exchange() {
        let counter = Counter::new();
        let come_and_go = || {
            for _ in 0..10_000 {
                counter.come(Seat::shared());
                counter.go(Seat::shared());
            }
        };
        thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(come_and_go))));
        assert_eq!(counter.count(), 0);
    }
}
