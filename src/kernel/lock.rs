//! A lock for what one thread takes again and again, and hardly ever another.
//!
//! Taking a lock is an atomic exchange, which waits until all that the thread has written before is out of its hands: a
//! fifth to a third of what an empty call costs. So a thread that takes this one often comes to own it: it then writes the
//! lock's address into a slot of its own, reads once more that it is the owner, and lets go by clearing the slot. All
//! others, and a thread that has its slot in use, take the ordinary lock that there is besides. Whoever has that one and
//! finds an owner ends the ownership, imposes a [`barrier`] on all threads, and waits until the owner's slot has another
//! address: either the owner has read the end, or its slot is seen. [`TIMES`] in a row make a thread the owner. In a forked
//! child, the slot of a thread that was inside stays as it was; who gets that thread's seat there owns nothing.
//!
//! The ordinary lock lets go by a plain write, too. Who waits for it counts itself in and sleeps; the one who lets go
//! reads that count after its write, without a barrier, so it can miss a waiter that comes at that very moment. That one
//! looks again by itself after [`PATIENCE`].

use super::barrier;
use super::seat::{OWN, Seat};
use super::shard::Apart;
use std::cell::UnsafeCell;
use std::hint::spin_loop;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

const FREE: u32 = 0;
const HELD: u32 = 1;

/// How long a waiter sleeps at most before it looks again.
const PATIENCE: Duration = Duration::from_millis(1);
/// Looks before the first sleep.
const SPINS: u32 = 64;

/// Times in a row that make a thread the owner: together they cost about what it costs to end that.
const TIMES: u32 = 64;
/// Beside the owner, while somebody ends the ownership.
const ENDING: usize = 1 << 31;

/// The address of the lock that a thread holds as its owner, by the thread's seat; 0 for none.
static SLOTS: [Apart<AtomicUsize>; OWN] = [const { Apart(AtomicUsize::new(0)) }; OWN];

/// The lock without a value.
struct Raw {
    state: AtomicU32,
    waiting: AtomicU32,
    /// The owner's seat and 1; 0 for none. Written by who holds `state`.
    owner: AtomicUsize,
    /// Who has held `state` last, written as the owner is, and how often in a row. Both are its holder's.
    last: AtomicUsize,
    times: AtomicU32,
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

    /// Takes it, unless another one has it.
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
    fn by_slot(slot: &'static AtomicUsize) -> Holding<'a> {
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
            let slot = unsafe { self.0.byte_sub(Self::BY_SLOT).cast::<AtomicUsize>().as_ref() };
            slot.store(0, Ordering::Release);
        } else {
            // SAFETY: what `by_state` was given, which outlives this.
            unsafe { self.0.cast::<Raw>().as_ref() }.let_go();
        }
    }
}

/// How [`Raw::owner`] has a thread. One that shares its seat never is the owner.
#[inline]
fn as_owner(seat: Seat) -> usize {
    seat.number() + 1
}

impl Raw {
    const fn new() -> Raw {
        Raw {
            state: AtomicU32::new(FREE),
            waiting: AtomicU32::new(0),
            owner: AtomicUsize::new(0),
            last: AtomicUsize::new(0),
            times: AtomicU32::new(0),
        }
    }

    #[inline]
    fn lock(&self, seat: Seat) -> Holding<'_> {
        match self.enter_slot(seat) {
            Some(slot) => Holding::by_slot(slot),
            None => self.lock_state(seat),
        }
    }

    #[inline(never)]
    fn lock_state(&self, seat: Seat) -> Holding<'_> {
        if !self.take() {
            self.wait();
        }
        if self.owner.load(Ordering::Relaxed) != 0 {
            self.end_ownership();
            self.wait_for_owner();
        }
        self.counted(seat)
    }

    #[cold]
    fn try_lock(&self, seat: Seat) -> Option<Holding<'_>> {
        if let Some(slot) = self.enter_slot(seat) {
            return Some(Holding::by_slot(slot));
        }
        if !self.take() {
            return None;
        }
        if self.owner.load(Ordering::Relaxed) != 0 {
            self.end_ownership();
            if self.is_with_owner() {
                self.let_go();
                return None;
            }
            self.owner.store(0, Ordering::Relaxed);
        }
        Some(self.counted(seat))
    }

    /// By the holder of `state`. If it has been that so often, it goes on as the owner.
    fn counted(&self, seat: Seat) -> Holding<'_> {
        if self.last.load(Ordering::Relaxed) != as_owner(seat) {
            self.last.store(as_owner(seat), Ordering::Relaxed);
            self.times.store(0, Ordering::Relaxed);
        }
        let times = self.times.load(Ordering::Relaxed);
        if times < TIMES {
            self.times.store(times + 1, Ordering::Relaxed);
        } else if seat.is_own() && SLOTS[seat.number()].0.load(Ordering::Relaxed) == 0 {
            let slot = &SLOTS[seat.number()].0;
            slot.store(self.address(), Ordering::Relaxed);
            self.owner.store(as_owner(seat), Ordering::Relaxed);
            self.times.store(0, Ordering::Relaxed);
            // Who takes `state` next sees the owner, and the slot.
            self.let_go();
            return Holding::by_slot(slot);
        }
        Holding::by_state(self)
    }

    /// By the owner, whose slot is free.
    #[inline]
    fn enter_slot(&self, seat: Seat) -> Option<&'static AtomicUsize> {
        if self.owner.load(Ordering::Relaxed) != as_owner(seat) {
            return None;
        }
        let slot = &SLOTS[seat.number()].0;
        if slot.load(Ordering::Relaxed) != 0 {
            return None;
        }
        slot.store(self.address(), Ordering::Relaxed);
        // Either this thread reads that its ownership has ended, or who ends it reads the slot.
        barrier::light();
        if self.owner.load(Ordering::Relaxed) != as_owner(seat) {
            slot.store(0, Ordering::Release);
            return None;
        }
        Some(slot)
    }

    /// By the holder of `state`: no owner enters from now on.
    #[cold]
    fn end_ownership(&self) {
        self.owner.store(self.owner.load(Ordering::Relaxed) | ENDING, Ordering::Relaxed);
        barrier::heavy();
    }

    /// Whether an owner whose time has ended is still inside.
    fn is_with_owner(&self) -> bool {
        let seat = (self.owner.load(Ordering::Relaxed) & !ENDING) - 1;
        SLOTS[seat].0.load(Ordering::Acquire) == self.address()
    }

    #[cold]
    fn wait_for_owner(&self) {
        let mut looks = 0;
        while self.is_with_owner() {
            looks += 1;
            if looks < SPINS { spin_loop() } else { thread::sleep(PATIENCE / 20) }
        }
        self.owner.store(0, Ordering::Relaxed);
    }

    fn address(&self) -> usize {
        ptr::from_ref(self).addr()
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
    use super::*;
    use std::sync::Barrier;
    use std::sync::atomic::AtomicBool;
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
        assert!(*held == 1 && !held.holding.is_by_slot() && lock.raw.owner.load(Ordering::Relaxed) == 0);
    }

    #[test]
    fn an_owner_holds_several() {
        let (one, other) = (owned(1), owned(2));
        let (one, other) = (one.lock(), other.lock());
        assert_eq!((*one, *other), (1, 2));
        assert!(one.holding.is_by_slot() && !other.holding.is_by_slot());
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
