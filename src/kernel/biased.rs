//! A read/write lock for what many threads read and hardly anybody writes.
//!
//! A reader of an ordinary lock counts itself in, so readers on different cores pass one cache line back and forth. While
//! this lock is biased, a reader instead writes the lock's address into a slot of its own thread and looks again whether
//! the bias stands. A writer takes the ordinary lock, which keeps readers by count out, ends the bias, and waits until no
//! slot has the address: either the reader sees the end of the bias, or the writer sees the slot. [`READS`] reads without
//! a write between them bring the bias back. (Dice and Kogan, "BRAVO: Biased Locking for Reader-Writer Locks", 2019.)

use super::shard::{Apart, SHARDS, shard};
use parking_lot::RawRwLock as Counting;
use parking_lot::lock_api::{self, RawRwLock};
use std::hint::spin_loop;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// The lock around a value. As with others of its kind, a thread that reads must not ask to read again.
pub type RwLock<T> = lock_api::RwLock<Raw, T>;
/// The value for writing.
pub type RwLockWriteGuard<'a, T> = lock_api::RwLockWriteGuard<'a, Raw, T>;

/// Reads by count that bring the bias: they cost the readers about what ending it will cost a writer.
const READS: u32 = 64;

/// Looks at a slot before the first sleep, and the sleep.
const SPINS: u32 = 256;
const PAUSE: Duration = Duration::from_micros(20);

/// The address of the lock that a thread reads, by the thread's shard; 0 for none. Of threads that share one, and of
/// locks that one thread reads at a time, the first has it and the others count.
static READING: [Apart<AtomicUsize>; SHARDS] = [const { Apart(AtomicUsize::new(0)) }; SHARDS];

/// The lock without a value.
pub struct Raw {
    biased: AtomicBool,
    /// Reads by count since the last write, roughly.
    reads: AtomicU32,
    counting: Counting,
}

/// How a reader came in, and so how it goes.
pub enum Reading {
    /// By its slot.
    Slot(&'static AtomicUsize),
    /// By count.
    Counted(<Counting as RawRwLock>::SharedGuard),
}

impl Raw {
    fn address(&self) -> usize {
        ptr::from_ref(self).addr()
    }

    /// Takes this thread's slot, if the bias stands and the slot is free.
    #[inline]
    fn enter_slot(&self) -> Option<Reading> {
        if !self.biased.load(Ordering::Relaxed) {
            return None;
        }
        let slot = &READING[shard()].0;
        // Sequentially consistent, as is what `end_bias` does.
        if slot.compare_exchange(0, self.address(), Ordering::SeqCst, Ordering::Relaxed).is_err() {
            return None;
        }
        if !self.biased.load(Ordering::SeqCst) {
            slot.store(0, Ordering::Release);
            return None;
        }
        Some(Reading::Slot(slot))
    }

    /// After a read by count has begun.
    fn counted(&self, guard: <Counting as RawRwLock>::SharedGuard) -> Reading {
        let reads = self.reads.load(Ordering::Relaxed);
        self.reads.store(reads.saturating_add(1), Ordering::Relaxed);
        if reads >= READS && !self.biased.load(Ordering::Relaxed) {
            self.biased.store(true, Ordering::SeqCst);
        }
        Reading::Counted(guard)
    }

    /// By who holds the lock for writing: whether it was biased.
    fn end_bias(&self) -> bool {
        if self.reads.load(Ordering::Relaxed) != 0 {
            self.reads.store(0, Ordering::Relaxed);
        }
        let biased = self.biased.load(Ordering::Relaxed);
        if biased {
            self.biased.store(false, Ordering::SeqCst);
        }
        biased
    }

    fn has_slots(&self) -> bool {
        READING.iter().any(|slot| slot.0.load(Ordering::SeqCst) == self.address())
    }

    #[cold]
    fn wait_for_slots(&self) {
        for slot in &READING {
            let mut looks = 0;
            while slot.0.load(Ordering::SeqCst) == self.address() {
                looks += 1;
                if looks < SPINS { spin_loop() } else { thread::sleep(PAUSE) }
            }
        }
    }
}

// SAFETY: a writer holds `counting` for writing, and has seen the bias end and no slot with the lock afterwards; a reader
// holds `counting` for reading, or a slot that it took while the bias stood.
unsafe impl RawRwLock for Raw {
    #[allow(clippy::declare_interior_mutable_const)]
    const INIT: Raw =
        Raw { biased: AtomicBool::new(false), reads: AtomicU32::new(0), counting: Counting::INIT };

    type SharedGuard = Reading;
    type ExclusiveGuard = <Counting as RawRwLock>::ExclusiveGuard;

    #[inline]
    fn lock_shared(&self) -> Reading {
        self.enter_slot().unwrap_or_else(|| self.counted(self.counting.lock_shared()))
    }

    #[inline]
    fn try_lock_shared(&self) -> Option<Reading> {
        self.enter_slot().or_else(|| Some(self.counted(self.counting.try_lock_shared()?)))
    }

    #[inline]
    unsafe fn unlock_shared(&self, reading: Reading) {
        match reading {
            Reading::Slot(slot) => slot.store(0, Ordering::Release),
            // SAFETY: the caller's.
            Reading::Counted(guard) => unsafe { self.counting.unlock_shared(guard) },
        }
    }

    #[inline]
    fn lock_exclusive(&self) -> Self::ExclusiveGuard {
        let guard = self.counting.lock_exclusive();
        if self.end_bias() {
            self.wait_for_slots();
        }
        guard
    }

    fn try_lock_exclusive(&self) -> Option<Self::ExclusiveGuard> {
        let guard = self.counting.try_lock_exclusive()?;
        if self.end_bias() && self.has_slots() {
            // The next writer must look at the slots again.
            self.biased.store(true, Ordering::SeqCst);
            // SAFETY: taken above.
            unsafe { self.counting.unlock_exclusive(guard) };
            return None;
        }
        Some(guard)
    }

    #[inline]
    unsafe fn unlock_exclusive(&self, guard: Self::ExclusiveGuard) {
        // SAFETY: the caller's.
        unsafe { self.counting.unlock_exclusive(guard) }
    }

    fn is_locked(&self) -> bool {
        self.counting.is_locked() || self.has_slots()
    }

    fn is_locked_exclusive(&self) -> bool {
        self.counting.is_locked_exclusive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::array;
    use std::sync::Barrier;

    fn biased<T>(lock: &RwLock<T>) -> bool {
        // SAFETY: it is only looked at.
        unsafe { lock.raw() }.biased.load(Ordering::SeqCst)
    }

    fn bias<T>(lock: &RwLock<T>) {
        (0..=READS).for_each(|_| drop(lock.read()));
        assert!(biased(lock));
    }

    #[test]
    fn reads_bring_the_bias_and_a_write_ends_it() {
        let lock = RwLock::new(0);
        (0..READS).for_each(|_| drop(lock.read()));
        assert!(!biased(&lock));
        *lock.write() += 1;
        (0..READS).for_each(|_| drop(lock.read()));
        assert!(!biased(&lock), "reads before a write count no longer");
        bias(&lock);
        *lock.write() += 1;
        assert!(!biased(&lock) && *lock.read() == 2);
    }

    #[test]
    fn who_reads_by_slot_keeps_a_writer_out() {
        let lock = RwLock::new(0);
        bias(&lock);
        let held = lock.read();
        assert!(lock.try_write().is_none() && biased(&lock));
        thread::scope(|scope| {
            let writer = scope.spawn(|| *lock.write() = 1);
            while biased(&lock) {
                thread::yield_now();
            }
            thread::sleep(10 * PAUSE);
            assert!(!writer.is_finished() && *held == 0);
            drop(held);
        });
        assert_eq!(*lock.read(), 1);
    }

    #[test]
    fn one_thread_reads_several_locks() {
        let locks: [RwLock<usize>; 3] = array::from_fn(RwLock::new);
        locks.iter().for_each(bias);
        let [first, second, third] = locks.each_ref().map(|lock| lock.read());
        assert_eq!((*first, *second, *third), (0, 1, 2));
        drop(first);
        assert!(
            locks[0].try_write().is_some()
                && locks[1].try_write().is_none()
                && locks[2].try_write().is_none()
        );
        drop((third, second));
        assert!(locks.iter().all(|lock| lock.try_write().is_some()));
    }

    /// More threads than slots, so that some share one.
    #[test]
    fn a_writer_is_alone() {
        let (threads, times) = (SHARDS + 8, 2000_u64);
        let lock = RwLock::new([0_u64; 4]);
        let start = Barrier::new(threads);
        thread::scope(|scope| {
            for thread in 0..threads {
                let (lock, start) = (&lock, &start);
                scope.spawn(move || {
                    start.wait();
                    for time in 0..times {
                        if thread % 16 == 0 && time % 100 == 0 {
                            let mut all = lock.write();
                            for one in &mut *all {
                                *one += 1;
                                spin_loop();
                            }
                        } else {
                            let all = lock.read();
                            if time % 500 == 0 {
                                thread::yield_now();
                            }
                            assert_eq!(*all, [all[0]; 4]);
                        }
                    }
                });
            }
        });
        let writers = threads.div_ceil(16) as u64;
        assert_eq!(lock.try_write().map(|all| all[0]), Some(writers * times.div_ceil(100)));
    }
}
