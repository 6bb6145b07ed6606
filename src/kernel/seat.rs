//! Numbers for the threads that live, so that each can have places of its own where no other one writes.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Threads that have a number to themselves at one time.
pub const OWN: usize = 1024;
/// Numbers that the threads beyond them share.
pub const SHARED: usize = 64;

/// The number of a thread, below [`OWN`] + [`SHARED`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seat(usize);

/// The threads that have a number to themselves, by that number: the address of each one's control block. No two threads
/// that live have them at one, so the seat of a thread that is gone falls to the next one with its address, and nobody has
/// to give one back.
static OWNERS: [AtomicUsize; OWN] = [const { AtomicUsize::new(0) }; OWN];

impl Seat {
    /// This thread's.
    #[inline]
    pub fn taken() -> Seat {
        let address = control_block();
        let likely = Seat::likely(address);
        if OWNERS[likely].load(Ordering::Relaxed) == address {
            Seat(likely)
        } else {
            Seat::elsewhere(address)
        }
    }

    /// The number that most threads at this address get.
    #[inline]
    fn likely(address: usize) -> usize {
        // Fibonacci hashing: stacks, and so control blocks, are some pages apart.
        ((address as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (u64::BITS - OWN.ilog2())) as usize
    }

    /// The same for a thread that has come for the first time, or whose likely number was another one's. A plain number
    /// without a destructor, so it can be asked for at any time, also when the thread's other locals are gone.
    #[cold]
    #[inline(never)]
    fn elsewhere(address: usize) -> Seat {
        thread_local! { static SEAT: Cell<usize> = const { Cell::new(usize::MAX) } }
        if SEAT.get() == usize::MAX {
            SEAT.set(Seat::take(address).0);
        }
        Seat(SEAT.get())
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

    /// The seat of the thread whose control block is at this address.
    fn take(address: usize) -> Seat {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let likely = Seat::likely(address);
        let mut numbers = (likely..OWN).chain(0..likely);
        // Its own from an earlier thread comes before a free one: numbers are never given back.
        let own = numbers.find(|number| {
            let owner = &OWNERS[*number];
            owner.load(Ordering::Relaxed) == address
                || owner.compare_exchange(0, address, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        });
        Seat(own.unwrap_or_else(|| OWN + NEXT.fetch_add(1, Ordering::Relaxed) % SHARED))
    }

    /// One that several threads have.
    #[cfg(test)]
    pub fn shared() -> Seat {
        Seat(OWN)
    }
}

/// The address of this thread's control block, which begins with that address (System V ABI for x86-64, TLS variant II).
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
#[inline]
fn control_block() -> usize {
    let address;
    // SAFETY: reads a word that every thread has.
    unsafe { std::arch::asm!("mov {}, fs:0", out(reg) address, options(nostack, preserves_flags, readonly)) };
    address
}

/// The address of this thread's control block (TLS variant I).
#[cfg(all(target_arch = "aarch64", target_os = "linux"))]
#[inline]
fn control_block() -> usize {
    let address;
    // SAFETY: reads a register that is the thread's own.
    unsafe {
        std::arch::asm!("mrs {}, tpidr_el0", out(reg) address, options(nostack, preserves_flags, nomem))
    };
    address
}

/// The address of a variable that each thread has alone does as well.
#[cfg(not(all(any(target_arch = "x86_64", target_arch = "aarch64"), target_os = "linux")))]
fn control_block() -> usize {
    thread_local! { static OWN: Cell<u8> = const { Cell::new(0) } }
    OWN.with(|own| std::ptr::from_ref(own).addr())
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

    /// Two addresses of one likely number, which no thread has.
    #[test]
    fn a_number_that_is_taken_leads_to_another_one_for_good() {
        let (one, number) = (1, Seat::likely(1));
        let other = (2..).find(|address| Seat::likely(*address) == number).unwrap();
        let (first, second) = (Seat::take(one), Seat::take(other));
        assert!(first.is_own() && second.is_own() && first != second);
        assert_eq!((Seat::take(one), Seat::take(other)), (first, second));
    }
}
