//! Numbers for the threads that live, so that each can have places of its own where no other one writes.

use std::cell::Cell;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Threads that have a number to themselves at one time.
pub const OWN: usize = 1024;
/// Numbers that the threads beyond them share.
pub const SHARED: usize = 64;

/// The number of a thread, below [`OWN`] + [`SHARED`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seat(usize);

impl Seat {
    /// This thread's. A plain number without a destructor, so it can be asked for at any time, also when the
    /// thread's other locals are gone.
    #[inline]
    pub fn taken() -> Seat {
        thread_local! { static SEAT: Cell<usize> = const { Cell::new(usize::MAX) } }
        SEAT.with(|seat| {
            if seat.get() == usize::MAX {
                seat.set(Seat::take(ptr::from_ref(seat).addr()).0);
            }
            Seat(seat.get())
        })
    }

    /// The number.
    #[inline]
    pub fn number(self) -> usize {
        self.0
    }

    /// Whether no other thread that lives has it.
    #[inline]
    pub fn is_own(self) -> bool {
        self.0 < OWN
    }

    /// A seat for the thread whose locals are at this address. No two threads that live have them at one, so the
    /// seat of a thread that is gone falls to the next one with its address, and nobody has to give one back.
    #[cold]
    fn take(address: usize) -> Seat {
        static OWNERS: [AtomicUsize; OWN] = [const { AtomicUsize::new(0) }; OWN];
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let free = |owner: &AtomicUsize| {
            owner.compare_exchange(0, address, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        };
        let own = OWNERS.iter().position(|owner| owner.load(Ordering::Relaxed) == address);
        let own = own.or_else(|| OWNERS.iter().position(free));
        Seat(own.unwrap_or_else(|| OWN + NEXT.fetch_add(1, Ordering::Relaxed) % SHARED))
    }

    /// One that several threads have.
    #[cfg(test)]
    pub fn shared() -> Seat {
        Seat(OWN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;
    use std::thread;

    #[test]
    fn threads_that_live_have_seats_of_their_own_and_leave_them_to_others() {
        for _ in 0..3 {
            let wall = Barrier::new(40);
            let mut seats: Vec<usize> = thread::scope(|scope| {
                let sit = || {
                    let seat = Seat::taken();
                    wall.wait();
                    assert_eq!(Seat::taken(), seat);
                    seat.0
                };
                let threads: Vec<_> = (0..40).map(|_| scope.spawn(sit)).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            seats.sort_unstable();
            seats.dedup();
            assert_eq!(seats.len(), 40);
        }
        // Far more threads than there are seats, one after another.
        let last = (0..2 * OWN).map(|_| thread::spawn(Seat::taken).join().unwrap()).max_by_key(|seat| seat.0);
        assert!(last.is_some_and(Seat::is_own), "{last:?}");
    }
}
