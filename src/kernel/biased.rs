//! A read/write lock for what many threads read and hardly anybody writes.
//!
//! A reader of an ordinary lock counts itself in, so readers on different cores pass one cache line back and forth. While
//! this lock is biased, a reader instead writes the lock's address into a slot of its own thread and looks again whether
//! the bias stands. A writer takes the ordinary lock, which keeps readers by count out, ends the bias, and waits until no
//! slot has the address: either the reader sees the end of the bias, or the writer sees the slot. [`READS`] reads without
//! a write between them bring the bias back. (Dice and Kogan, "BRAVO: Biased Locking for Reader-Writer Locks", 2019.)
//!
//! A thread that writes again and again comes to own the lock, see [`super::owner`]: it then has it for itself, also for
//! reading. Any other thread that comes, if only to read, takes the ordinary lock for writing to end that. A lock is never
//! biased and owned at once: who comes to own it has ended the bias before, and brings none back.

use super::owner::{Owner, Slot};
use super::seat::Seat;
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
    owner: Owner,
}

/// How a reader came in, and so how it goes.
pub enum Reading {
    /// By a slot of its own, as a reader or as the owner.
    Slot(&'static Slot),
    /// By count.
    Counted(<Counting as RawRwLock>::SharedGuard),
}

/// How a writer came in.
pub enum Writing {
    /// As the owner.
    Slot(&'static Slot),
    /// By the ordinary lock.
    Alone(<Counting as RawRwLock>::ExclusiveGuard),
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

    /// Takes the ordinary lock for reading, once there is no owner.
    fn count_in(&self) -> <Counting as RawRwLock>::SharedGuard {
        loop {
            let guard = self.counting.lock_shared();
            if !self.owner.is_some() {
                return guard;
            }
            // SAFETY: taken above, and the next one here.
            unsafe { self.counting.unlock_shared(guard) };
            let guard = self.counting.lock_exclusive();
            if self.owner.is_some() {
                self.owner.end();
            }
            // SAFETY: as above.
            unsafe { self.counting.unlock_exclusive(guard) };
        }
    }

    /// By who has the ordinary lock for writing, and nobody else has the lock: he may go on as the owner.
    fn alone(&self, guard: <Counting as RawRwLock>::ExclusiveGuard, seat: Seat) -> Writing {
        match self.owner.count(seat) {
            Some(slot) => {
                // SAFETY: the caller's, who has the lock by the slot from now on.
                unsafe { self.counting.unlock_exclusive(guard) };
                Writing::Slot(slot)
            }
            None => Writing::Alone(guard),
        }
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

// SAFETY: a writer holds `counting` for writing, has seen an owner end and the bias end and no slot with the lock
// afterwards, or is the owner; a reader holds `counting` for reading and has seen no owner, or is the owner, or holds a slot
// that it took while the bias stood.
unsafe impl RawRwLock for Raw {
    #[allow(clippy::declare_interior_mutable_const)]
    const INIT: Raw = Raw {
        biased: AtomicBool::new(false),
        reads: AtomicU32::new(0),
        counting: Counting::INIT,
        owner: Owner::none(),
    };

    type SharedGuard = Reading;
    type ExclusiveGuard = Writing;

    #[inline]
    fn lock_shared(&self) -> Reading {
        match self.enter_slot().or_else(|| self.owner.enter(Seat::taken()).map(Reading::Slot)) {
            Some(reading) => reading,
            None => self.counted(self.count_in()),
        }
    }

    #[inline]
    fn try_lock_shared(&self) -> Option<Reading> {
        if let Some(reading) =
            self.enter_slot().or_else(|| self.owner.enter(Seat::taken()).map(Reading::Slot))
        {
            return Some(reading);
        }
        let guard = self.counting.try_lock_shared()?;
        if self.owner.is_some() {
            // SAFETY: taken above.
            unsafe { self.counting.unlock_shared(guard) };
            return None;
        }
        Some(self.counted(guard))
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
    fn lock_exclusive(&self) -> Writing {
        let seat = Seat::taken();
        if let Some(slot) = self.owner.enter(seat) {
            return Writing::Slot(slot);
        }
        let guard = self.counting.lock_exclusive();
        if self.owner.is_some() {
            self.owner.end();
        }
        if self.end_bias() {
            self.wait_for_slots();
        }
        self.alone(guard, seat)
    }

    fn try_lock_exclusive(&self) -> Option<Writing> {
        let seat = Seat::taken();
        if let Some(slot) = self.owner.enter(seat) {
            return Some(Writing::Slot(slot));
        }
        let guard = self.counting.try_lock_exclusive()?;
        let owned = self.owner.is_some() && !self.owner.try_end();
        let read = !owned && self.end_bias() && self.has_slots();
        if read {
            // The next writer must look at the slots again.
            self.biased.store(true, Ordering::SeqCst);
        }
        if owned || read {
            // SAFETY: taken above.
            unsafe { self.counting.unlock_exclusive(guard) };
            return None;
        }
        Some(self.alone(guard, seat))
    }

    #[inline]
    unsafe fn unlock_exclusive(&self, writing: Writing) {
        match writing {
            Writing::Slot(slot) => slot.store(0, Ordering::Release),
            // SAFETY: the caller's.
            Writing::Alone(guard) => unsafe { self.counting.unlock_exclusive(guard) },
        }
    }

    fn is_locked(&self) -> bool {
        self.is_locked_exclusive() || self.counting.is_locked() || self.has_slots()
    }

    fn is_locked_exclusive(&self) -> bool {
        self.counting.is_locked_exclusive() || self.owner.is_inside()
    }
}

#[cfg(test)]
mod tests {
    use super::super::owner::TIMES;
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
    fn writes_in_a_row_bring_an_owner_and_others_wait_for_it() {
        let lock = RwLock::new(0);
        (0..=TIMES).for_each(|_| *lock.write() += 1);
        // SAFETY: it is only looked at.
        let owner = unsafe { &lock.raw().owner };
        let before = *lock.read();
        assert!(owner.is_some() && !biased(&lock));
        for write in [false, true] {
            (0..=TIMES).for_each(|_| *lock.write() = before);
            assert!(owner.is_some());
            let mut held = lock.write();
            assert!(lock.try_read().is_none() && owner.is_inside());
            thread::scope(|scope| {
                let other = scope.spawn(|| {
                    assert!(lock.try_read().is_none() && lock.try_write().is_none());
                    if write { *lock.write() } else { *lock.read() }
                });
                thread::sleep(10 * PAUSE);
                assert!(!other.is_finished());
                *held = before + 1;
                drop(held);
                assert_eq!(other.join().unwrap(), before + 1);
            });
            assert!(!owner.is_some() && *lock.read() == before + 1);
        }
        bias(&lock);
        *lock.write() = 0;
        assert!(!biased(&lock) && !owner.is_some(), "reads by others count anew");
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
