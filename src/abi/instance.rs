//! The one static's shape: a value that lives from C_Initialize to C_Finalize, in one process.
//!
//! Entering must not make threads meet: each has a [`Counter`] of its own, a cache line that no other thread
//! writes. Ending takes the value away first and then waits until every counter has been seen at
//! zero, so nobody is inside when it is dropped, and every call either ran on the living value or found none.
//! Whoever ends imposes the barrier between the two on all threads ([`barrier`]), so a call pays a plain
//! write to come and one to go. Threads beyond a thousand at one time share some more counters.
//!
//! A fork ends the value for the child: its [`ForkMark`] falls. The child starts over in a new [`Process`];
//! the old one, and all that the parent's value holds (open databases, locks that some thread held at that
//! instant, counts of threads that do not exist here), is neither touched nor dropped.

use crate::error::{Error, Result, Rv};
use crate::kernel::barrier;
use crate::kernel::fork::ForkMark;
use crate::kernel::inside::{COUNTERS, Counter};
use crate::kernel::seat::Seat;
use std::ops::Deref;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// What one process has of the value. Never freed, so whoever has read its address may use it.
struct Process<T> {
    mark: ForkMark,
    inside: Box<[Counter]>,
    value: AtomicPtr<T>,
    /// Held while starting and ending. Of `std`, which keeps no table of waiters that a fork could tear.
    turning: Mutex<()>,
}

impl<T> Process<T> {
    fn new() -> Process<T> {
        Process {
            mark: ForkMark::new(),
            inside: (0..COUNTERS).map(|_| Counter::new()).collect(),
            value: AtomicPtr::new(ptr::null_mut()),
            turning: Mutex::new(()),
        }
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        // It guards no data, so a panic while it was held has left nothing half done in it.
        self.turning.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until all who may have seen an earlier value have left.
    fn drained(&self) {
        barrier::heavy();
        let mut pause = Duration::from_micros(10);
        for counter in &self.inside {
            while counter.count() != 0 {
                thread::sleep(pause);
                pause = (pause * 2).min(Duration::from_millis(5));
            }
        }
    }
}

/// At most one `T`, started and ended at any time, used by any thread in between.
pub struct Instance<T> {
    process: AtomicPtr<Process<T>>,
    /// Goes on counting from one value to the next, and from a process to its children.
    serial: AtomicU64,
}

impl<T: Send + Sync + 'static> Instance<T> {
    /// Not started.
    pub const fn new() -> Instance<T> {
        Instance { process: AtomicPtr::new(ptr::null_mut()), serial: AtomicU64::new(1) }
    }

    /// This process's part; `None` if nothing was ever started in it.
    fn process(&self) -> Option<&'static Process<T>> {
        // SAFETY: null or from `Box::leak`, never freed.
        let process = unsafe { self.process.load(Ordering::Acquire).as_ref() }?;
        process.mark.stands().then_some(process)
    }

    fn process_or_new(&self) -> &'static Process<T> {
        loop {
            let seen = self.process.load(Ordering::Acquire);
            if let Some(process) = self.process() {
                return process;
            }
            let new = Box::into_raw(Box::new(Process::new()));
            if self.process.compare_exchange(seen, new, Ordering::AcqRel, Ordering::Acquire).is_err() {
                // SAFETY: made above and given to nobody.
                drop(unsafe { Box::from_raw(new) });
            }
        }
    }

    /// The value, which lives at least as long as what is returned; `None` if there is none.
    #[inline(always)]
    pub fn enter(&self) -> Option<Inside<T>> {
        let process = self.process()?;
        let seat = Seat::taken();
        let counter = &process.inside[seat.number()];
        // Either `end` sees this count, or the load below sees its null.
        counter.come(seat);
        let value = process.value.load(Ordering::SeqCst);
        let inside = Inside { value, counter, seat };
        (!value.is_null()).then_some(inside)
    }

    /// A counter that outlives the values and goes on in forked children. It begins with 1.
    pub fn serial(&self) -> &AtomicU64 {
        &self.serial
    }

    /// Starts with what `make` gives.
    ///
    /// # Errors
    /// CKR_CRYPTOKI_ALREADY_INITIALIZED; those of `make`.
    pub fn start(&self, make: impl FnOnce() -> Result<T>) -> Result<()> {
        let process = self.process_or_new();
        let _turn = process.turn();
        if !process.value.load(Ordering::SeqCst).is_null() {
            fail!(CryptokiAlreadyInitialized);
        }
        process.value.store(Box::into_raw(Box::new(make()?)), Ordering::SeqCst);
        Ok(())
    }

    /// Ends: `wake` is told to send home whoever is inside for long, then the value is dropped.
    ///
    /// # Errors
    /// CKR_CRYPTOKI_NOT_INITIALIZED.
    pub fn end(&self, wake: impl FnOnce(&T)) -> Result<()> {
        let absent = || Error::from(Rv::CryptokiNotInitialized);
        let process = self.process().ok_or_else(absent)?;
        let _turn = process.turn();
        let value = process.value.swap(ptr::null_mut(), Ordering::SeqCst);
        if value.is_null() {
            return Err(absent());
        }
        // SAFETY: from `Box::into_raw` in `start`; only this thread can free it.
        wake(unsafe { &*value });
        process.drained();
        // SAFETY: as above; nobody can have entered since the exchange, and those before it have left.
        drop(unsafe { Box::from_raw(value) });
        Ok(())
    }
}

/// The value, as long as a call is inside.
pub struct Inside<T: 'static> {
    value: *const T,
    counter: &'static Counter,
    seat: Seat,
}

impl<T> Inside<T> {
    /// The calling thread's.
    #[inline]
    pub fn seat(&self) -> Seat {
        self.seat
    }
}

impl<T> Deref for Inside<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: not null, see `enter`; `end` waits for this counter before it frees the value.
        unsafe { &*self.value }
    }
}

impl<T> Drop for Inside<T> {
    #[inline]
    fn drop(&mut self) {
        self.counter.go(self.seat);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicUsize};

    /// Says when it is dropped, and poisons itself.
    struct Probe {
        alive: AtomicBool,
        drops: Arc<AtomicUsize>,
    }

    impl Drop for Probe {
        fn drop(&mut self) {
            self.alive.store(false, Ordering::SeqCst);
            self.drops.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn probe(drops: &Arc<AtomicUsize>) -> Result<Probe> {
        Ok(Probe { alive: AtomicBool::new(true), drops: drops.clone() })
    }

    #[test]
    fn starts_once_and_ends_once() {
        static INSTANCE: Instance<Probe> = Instance::new();
        let drops = Arc::default();
        assert!(INSTANCE.enter().is_none());
        assert_eq!(INSTANCE.end(|_| ()).unwrap_err().rv(), Rv::CryptokiNotInitialized);
        assert_eq!(INSTANCE.start(|| fail!(GeneralError)).unwrap_err().rv(), Rv::GeneralError);
        INSTANCE.start(|| probe(&drops)).unwrap();
        assert_eq!(INSTANCE.start(|| probe(&drops)).unwrap_err().rv(), Rv::CryptokiAlreadyInitialized);
        assert!(INSTANCE.enter().unwrap().alive.load(Ordering::SeqCst));
        INSTANCE.end(|_| ()).unwrap();
        assert_eq!(drops.load(Ordering::SeqCst), 1);
        assert!(INSTANCE.enter().is_none());
    }

    #[test]
    fn nobody_sees_a_value_that_was_dropped() {
        static INSTANCE: Instance<Probe> = Instance::new();
        let (drops, done) = (Arc::default(), AtomicBool::new(false));
        let rounds = 200;
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while !done.load(Ordering::Relaxed) {
                        if let Some(inside) = INSTANCE.enter() {
                            thread::yield_now();
                            assert!(inside.alive.load(Ordering::SeqCst));
                        }
                    }
                });
            }
            for _ in 0..rounds {
                INSTANCE.start(|| probe(&drops)).unwrap();
                thread::yield_now();
                INSTANCE.end(|_| ()).unwrap();
            }
            done.store(true, Ordering::Relaxed);
        });
        assert_eq!(drops.load(Ordering::SeqCst), rounds);
    }

    #[test]
    fn ending_wakes_and_waits_for_those_inside() {
        static INSTANCE: Instance<AtomicBool> = Instance::new();
        INSTANCE.start(|| Ok(AtomicBool::new(false))).unwrap();
        let entered = AtomicBool::new(false);
        thread::scope(|scope| {
            let waiter = scope.spawn(|| {
                let inside = INSTANCE.enter().unwrap();
                entered.store(true, Ordering::SeqCst);
                while !inside.load(Ordering::SeqCst) {
                    thread::yield_now();
                }
            });
            while !entered.load(Ordering::SeqCst) {
                thread::yield_now();
            }
            INSTANCE.end(|woken| woken.store(true, Ordering::SeqCst)).unwrap();
            waiter.join().unwrap();
        });
    }

    #[test]
    fn a_child_starts_over_and_leaves_the_parents_value_alone() {
        static INSTANCE: Instance<Probe> = Instance::new();
        let drops: Arc<AtomicUsize> = Arc::default();
        INSTANCE.start(|| probe(&drops)).unwrap();
        let inside = INSTANCE.enter().unwrap();
        // SAFETY: the child uses only this instance and leaves by _exit.
        let status = unsafe {
            match libc::fork() {
                0 => {
                    let fresh = INSTANCE.enter().is_none()
                        && INSTANCE.end(|_| ()).is_err()
                        && INSTANCE.start(|| probe(&drops)).is_ok()
                        && INSTANCE.end(|_| ()).is_ok()
                        && drops.load(Ordering::SeqCst) == 1
                        && inside.alive.load(Ordering::SeqCst);
                    libc::_exit(!fresh as i32)
                }
                child => {
                    let mut status = -1;
                    assert_eq!(libc::waitpid(child, &mut status, 0), child);
                    status
                }
            }
        };
        assert_eq!(status, 0);
        drop(inside);
        INSTANCE.end(|_| ()).unwrap();
        assert_eq!(drops.load(Ordering::SeqCst), 1);
    }
}
