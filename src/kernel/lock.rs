//! A lock for what one thread takes again and again, and hardly ever another.
//!
//! A thread that takes it often comes to own it and takes it without an atomic exchange, see [`super::owner`].
//!
//! The ordinary lock lets go by a plain write, too. Who waits for it counts itself in and sleeps; the one who lets go
//! reads that count after its write, without a barrier, so it can miss a waiter that comes at that very moment. That one
//! looks again by itself after [`PATIENCE`].

use super::owner::{Owner, Slot};
use super::seat::Seat;
use std::cell::UnsafeCell;
use std::hint::spin_loop;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

const FREE: u32 = 0;
const HELD: u32 = 1;

/// How long a waiter sleeps at most before it looks again.
const PATIENCE: Duration = Duration::from_millis(1);
/// Looks before the first sleep.
const SPINS: u32 = 64;

/// The lock without a value.
struct Raw {
    state: AtomicU32,
    waiting: AtomicU32,
    owner: Owner,
}

/// The lock around a value.
pub struct Mutex<T: ?Sized> {
    raw: Raw,
    value: UnsafeCell<T>,
}

// SAFETY: a thread has the value only while it holds the lock, as one of its owner's or the holder of `state`.
unsafe impl<T: ?Sized + Send> Sync for Mutex<T> {}

/// The value, or a part of it, while it is held. It stays on its thread.
pub struct Guard<'a, T: ?Sized> {
    value: NonNull<T>,
    holding: Holding<'a>,
    marker: PhantomData<&'a mut T>,
}

/// Lets go when it is dropped: the address of the lock or, with its lowest bit set, of the slot of its owner. One word,
/// since a guard of two is returned in registers.
struct Holding<'a>(NonNull<()>, PhantomData<&'a Raw>);

impl<T> Mutex<T> {
    /// Around a value.
    pub const fn new(value: T) -> Mutex<T> {
        Mutex { raw: Raw::new(), value: UnsafeCell::new(value) }
    }

    /// Takes it for this thread.
    pub fn lock(&self) -> Guard<'_, T> {
        self.lock_for(Seat::taken())
    }

    /// The same for who knows this thread's seat.
    #[inline]
    pub fn lock_for(&self, seat: Seat) -> Guard<'_, T> {
        self.guard(self.raw.lock(seat))
    }

    /// Takes it, unless it is held.
    pub fn try_lock(&self) -> Option<Guard<'_, T>> {
        Some(self.guard(self.raw.try_lock(Seat::taken())?))
    }

    #[inline]
    fn guard<'a>(&'a self, holding: Holding<'a>) -> Guard<'a, T> {
        // SAFETY: a cell's address is not null.
        let value = unsafe { NonNull::new_unchecked(self.value.get()) };
        Guard { value, holding, marker: PhantomData }
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Mutex<T> {
        Mutex::new(T::default())
    }
}

impl<'a, T: ?Sized> Guard<'a, T> {
    /// A part of it, if `choose` finds one; otherwise lets go.
    #[inline]
    pub fn part<U: ?Sized>(mut self, choose: impl FnOnce(&mut T) -> Option<&mut U>) -> Option<Guard<'a, U>> {
        let value = NonNull::from(choose(&mut self)?);
        Some(Guard { value, holding: self.holding, marker: PhantomData })
    }
}

impl<T: ?Sized> Deref for Guard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the lock is held, and lives as long as the guard.
        unsafe { self.value.as_ref() }
    }
}

impl<T: ?Sized> DerefMut for Guard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above; this is the only guard.
        unsafe { self.value.as_mut() }
    }
}

impl<'a> Holding<'a> {
    const BY_SLOT: usize = 1;

    #[inline]
    fn by_slot(slot: &'static Slot) -> Holding<'a> {
        Holding(NonNull::from(slot).cast().map_addr(|address| address | Self::BY_SLOT), PhantomData)
    }

    #[inline]
    fn by_state(raw: &'a Raw) -> Holding<'a> {
        Holding(NonNull::from(raw).cast(), PhantomData)
    }

    #[inline]
    fn is_by_slot(&self) -> bool {
        self.0.addr().get() & Self::BY_SLOT != 0
    }
}

impl Drop for Holding<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.is_by_slot() {
            // SAFETY: the address that `by_slot` was given, but for the bit.
            let slot = unsafe { self.0.byte_sub(Self::BY_SLOT).cast::<Slot>().as_ref() };
            slot.store(0, Ordering::Release);
        } else {
            // SAFETY: what `by_state` was given, which outlives this.
            unsafe { self.0.cast::<Raw>().as_ref() }.let_go();
        }
    }
}

impl Raw {
    const fn new() -> Raw {
        Raw { state: AtomicU32::new(FREE), waiting: AtomicU32::new(0), owner: Owner::none() }
    }

    #[inline]
    fn lock(&self, seat: Seat) -> Holding<'_> {
        match self.owner.enter(seat) {
            Some(slot) => Holding::by_slot(slot),
            None => self.lock_state(seat),
        }
    }

    #[inline(never)]
    fn lock_state(&self, seat: Seat) -> Holding<'_> {
        if !self.take() {
            self.wait();
        }
        if self.owner.is_some() {
            self.owner.end();
        }
        self.counted(seat)
    }

    #[inline]
    fn try_lock(&self, seat: Seat) -> Option<Holding<'_>> {
        match self.owner.enter(seat) {
            Some(slot) => Some(Holding::by_slot(slot)),
            None => self.try_lock_state(seat),
        }
    }

    #[inline(never)]
    fn try_lock_state(&self, seat: Seat) -> Option<Holding<'_>> {
        if !self.take() {
            return None;
        }
        if self.owner.is_some() && !self.owner.try_end() {
            self.let_go();
            return None;
        }
        Some(self.counted(seat))
    }

    /// By the holder of `state`, who may go on as the owner.
    #[inline]
    fn counted(&self, seat: Seat) -> Holding<'_> {
        match self.owner.count(seat) {
            Some(slot) => {
                self.let_go();
                Holding::by_slot(slot)
            }
            None => Holding::by_state(self),
        }
    }

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

    #[inline]
    fn let_go(&self) {
        self.state.store(FREE, Ordering::Release);
        if self.waiting.load(Ordering::Relaxed) != 0 {
            wake(&self.state);
        }
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
#[inline(never)]
fn wake(state: &AtomicU32) {
    // SAFETY: an address, which the call does not follow.
    unsafe { libc::syscall(libc::SYS_futex, state.as_ptr(), libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG, 1) };
}

#[cfg(not(target_os = "linux"))]
fn sleep(_: &AtomicU32) {
    thread::sleep(PATIENCE);
}

#[cfg(not(target_os = "linux"))]
fn wake(_: &AtomicU32) {}

#[cfg(test)]
mod tests {
    use super::super::owner::{DEPTH, TIMES};
    use super::*;
    use std::sync::Barrier;
    use std::sync::atomic::AtomicBool;
    use std::thread;
    use std::time::Instant;

    /// A lock that this thread owns.
    fn owned<T>(value: T) -> Mutex<T> {
        let lock = Mutex::new(value);
        (0..=TIMES).for_each(|_| drop(lock.lock()));
        assert!(lock.lock().holding.is_by_slot());
        lock
    }

    #[test]
    fn one_at_a_time() {
        // Runs of all lengths, so that threads become owners, lose that in the middle, and wait for one another.
        let counter = Mutex::new(0_u64);
        let (threads, times) = (4, 100_000);
        let owned = AtomicBool::new(false);
        thread::scope(|scope| {
            for own in 0..threads {
                let (counter, owned) = (&counter, &owned);
                scope.spawn(move || {
                    for i in 0..times {
                        let mut held = counter.lock();
                        if held.holding.is_by_slot() {
                            owned.store(true, Ordering::Relaxed);
                        }
                        let seen = *held;
                        if seen.is_multiple_of(5000) {
                            thread::yield_now();
                        }
                        *held = seen + 1;
                        drop(held);
                        if (i * (own + 3)) % 1009 == 0 {
                            thread::yield_now();
                        }
                    }
                });
            }
        });
        assert_eq!(*counter.lock(), threads * times);
        assert!(owned.load(Ordering::Relaxed));
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
            while lock.raw.waiting.load(Ordering::SeqCst) == 0 {
                thread::yield_now();
            }
            thread::sleep(10 * PATIENCE);
            drop(held);
            assert!(waiter.join().unwrap() >= 10 * PATIENCE);
        });
        assert_eq!(lock.raw.waiting.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn others_wait_for_the_owner_and_end_its_ownership() {
        let lock = owned(0);
        let (inside, done) = (Barrier::new(2), AtomicBool::new(false));
        thread::scope(|scope| {
            scope.spawn(|| {
                inside.wait();
                assert!(lock.try_lock().is_none());
                inside.wait();
                *lock.lock() = 1;
                assert!(done.load(Ordering::SeqCst));
            });
            let held = lock.lock();
            assert!(held.holding.is_by_slot());
            inside.wait();
            inside.wait();
            thread::sleep(10 * PATIENCE);
            assert_eq!(*held, 0);
            done.store(true, Ordering::SeqCst);
        });
        let held = lock.lock();
        assert!(*held == 1 && !held.holding.is_by_slot() && !lock.raw.owner.is_some());
    }

    #[test]
    fn an_owner_holds_several() {
        let locks = [1, 2, 3].map(owned);
        let [one, other, third] = locks.each_ref().map(Mutex::lock);
        assert_eq!((*one, *other, *third), (1, 2, 3));
        assert!(one.holding.is_by_slot() && other.holding.is_by_slot());
        assert!(!third.holding.is_by_slot(), "all slots are in use");
        // Whichever slot is let go of is taken next.
        drop((one, third));
        let one = locks[0].lock();
        assert!(one.holding.is_by_slot() && *other == 2);
        drop((one, other));
        assert!(locks[..2].iter().all(|lock| lock.lock().holding.is_by_slot()));
    }

    #[test]
    fn others_wait_for_either_slot() {
        for waited_for in 0..DEPTH {
            let locks = [1, 2].map(owned);
            let mut held = locks.each_ref().map(|lock| Some(lock.lock()));
            assert!(held.iter().flatten().all(|held| held.holding.is_by_slot()));
            let (lock, tried, done) = (&locks[waited_for], Barrier::new(2), AtomicBool::new(false));
            thread::scope(|scope| {
                let other = scope.spawn(|| {
                    let refused = lock.try_lock().is_none() && lock.try_lock().is_none();
                    tried.wait();
                    assert!(refused);
                    drop(lock.lock());
                    done.load(Ordering::SeqCst)
                });
                tried.wait();
                thread::sleep(10 * PATIENCE);
                done.store(true, Ordering::SeqCst);
                held[waited_for] = None;
                assert!(other.join().unwrap());
            });
            held[1 - waited_for] = None;
            assert!(locks[1 - waited_for].lock().holding.is_by_slot(), "the other ownership stays");
        }
    }

    #[test]
    fn what_is_held_is_not_taken_again() {
        let lock = owned(());
        let held = lock.lock();
        assert!(held.holding.is_by_slot() && lock.try_lock().is_none());
        // Nor is it the owner's any more.
        drop(held);
        assert!(lock.try_lock().is_some_and(|held| !held.holding.is_by_slot()));
    }

    #[test]
    fn a_part_is_held_as_the_whole() {
        let lock = Mutex::new((1, Some(2)));
        let mut part = lock.lock().part(|pair| pair.1.as_mut()).unwrap();
        *part = 3;
        assert!(lock.try_lock().is_none());
        drop(part);
        assert_eq!(*lock.lock(), (1, Some(3)));
        assert!(lock.lock().part(|_| None::<&mut u8>).is_none());
        assert!(lock.try_lock().is_some());
    }
}
