//! A lock for what hardly ever two threads want at once.
//!
//! Taking it is one atomic exchange and letting go a plain write, half of what a lock pays that must know whether
//! somebody waits. Who waits counts itself in and sleeps; the one who lets go reads that count after its write, without
//! a barrier, so it can miss a waiter that comes at that very moment. That one looks again by itself after [`PATIENCE`].

use parking_lot::lock_api::{self, GuardNoSend};
use std::hint::spin_loop;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// The lock around a value.
pub type Mutex<T> = lock_api::Mutex<Raw, T>;
/// The value while it is held.
pub type MutexGuard<'a, T> = lock_api::MutexGuard<'a, Raw, T>;
/// A part of it.
pub type MappedMutexGuard<'a, T> = lock_api::MappedMutexGuard<'a, Raw, T>;

const FREE: u32 = 0;
const HELD: u32 = 1;

/// How long a waiter sleeps at most before it looks again.
const PATIENCE: Duration = Duration::from_millis(1);
/// Looks before the first sleep.
const SPINS: u32 = 64;

/// The lock without a value.
pub struct Raw {
    state: AtomicU32,
    waiting: AtomicU32,
}

// SAFETY: `take` lets one through, with the acquire order that belongs to the release order of `unlock`.
unsafe impl lock_api::RawMutex for Raw {
    #[allow(clippy::declare_interior_mutable_const)]
    const INIT: Raw = Raw { state: AtomicU32::new(FREE), waiting: AtomicU32::new(0) };

    type Guard = GuardNoSend;

    #[inline]
    fn lock(&self) -> GuardNoSend {
        if !self.take() {
            self.wait();
        }
        GuardNoSend::new()
    }

    #[inline]
    fn try_lock(&self) -> Option<GuardNoSend> {
        self.take().then(GuardNoSend::new)
    }

    fn is_locked(&self) -> bool {
        self.state.load(Ordering::Relaxed) != FREE
    }

    #[inline]
    unsafe fn unlock(&self, _: GuardNoSend) {
        self.state.store(FREE, Ordering::Release);
        if self.waiting.load(Ordering::Relaxed) != 0 {
            wake(&self.state);
        }
    }
}

impl Raw {
    #[inline]
    fn take(&self) -> bool {
        self.state.compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    #[cold]
    fn wait(&self) {
        for _ in 0..SPINS {
            spin_loop();
            if self.state.load(Ordering::Relaxed) == FREE && self.take() {
                return;
            }
        }
        self.waiting.fetch_add(1, Ordering::SeqCst);
        while !self.take() {
            sleep(&self.state);
        }
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Sleeps until woken, for [`PATIENCE`] at most, unless the lock is free.
#[cfg(target_os = "linux")]
fn sleep(state: &AtomicU32) {
    let patience = libc::timespec { tv_sec: 0, tv_nsec: PATIENCE.subsec_nanos().into() };
    // SAFETY: an aligned word and a time, both read only.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            state.as_ptr(),
            libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG,
            HELD,
            &patience,
        )
    };
}

#[cfg(target_os = "linux")]
#[cold]
fn wake(state: &AtomicU32) {
    // SAFETY: an address, which the call does not follow.
    unsafe { libc::syscall(libc::SYS_futex, state.as_ptr(), libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG, 1) };
}

#[cfg(not(target_os = "linux"))]
fn sleep(_: &AtomicU32) {
    std::thread::sleep(PATIENCE);
}

#[cfg(not(target_os = "linux"))]
fn wake(_: &AtomicU32) {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;
    use std::time::Instant;

    #[test]
    fn one_at_a_time() {
        let counter = Mutex::new(0_u64);
        let (threads, times) = (4, 20_000);
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    for _ in 0..times {
                        let mut held = counter.lock();
                        let seen = *held;
                        if seen.is_multiple_of(5000) {
                            thread::yield_now();
                        }
                        *held = seen + 1;
                    }
                });
            }
        });
        assert_eq!(*counter.lock(), threads * times);
    }

    #[test]
    fn a_waiter_sleeps_and_is_woken() {
        let lock = Mutex::new(());
        assert!(lock.try_lock().is_some_and(|_held| lock.try_lock().is_none()));
        let held = lock.lock();
        thread::scope(|scope| {
            let waiter = scope.spawn(|| {
                let began = Instant::now();
                drop(lock.lock());
                began.elapsed()
            });
            // SAFETY: as `force_unlock` does not run: the lock is only looked at.
            while unsafe { lock.raw() }.waiting.load(Ordering::SeqCst) == 0 {
                thread::yield_now();
            }
            thread::sleep(10 * PATIENCE);
            drop(held);
            assert!(waiter.join().unwrap() >= 10 * PATIENCE);
        });
        // SAFETY: as above.
        assert_eq!(unsafe { lock.raw() }.waiting.load(Ordering::SeqCst), 0);
    }
}
