//! What makes a lock cheap for a thread that takes it again and again, and hardly ever another.
//!
//! Taking a lock is an atomic exchange, which waits until all that the thread has written before is out of its hands: a
//! fifth to a third of what an empty call costs. So a thread that takes one often comes to own it: it then writes the
//! [`Owner`]'s address into a slot of its own, reads once more that it is the owner, and lets go by clearing the slot. All
//! others, and a thread that has all its slots in use, take the ordinary lock that there is besides. Whoever has that one
//! and finds an owner ends the ownership, imposes a [`barrier`] on all threads, and waits until none of the owner's slots
//! has the address: either the owner has read the end, or its slot is seen. [`TIMES`] in a row make a thread the owner.
//!
//! No thread has an address in two slots: one that asks for what it holds already is sent to the ordinary lock, as any
//! other is. In a forked child, the slot of a thread that was inside stays as it was; who gets that thread's seat there has
//! one slot less, and does not come to own what lies at that address.

use super::barrier;
use super::seat::{OWN, Seat};
use super::shard::Apart;
use std::hint::spin_loop;
use std::ptr;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// Times in a row that make a thread the owner: together they cost about what it costs to end that.
pub const TIMES: u32 = 64;
/// Beside the owner, while somebody ends the ownership.
const ENDING: usize = 1 << 31;

/// Looks at the owner's slots before the first sleep, and the sleep.
const SPINS: u32 = 64;
const PAUSE: Duration = Duration::from_micros(50);

/// Locks that a thread holds as their owner at one time, at most: its session's, and one for a moment besides.
pub const DEPTH: usize = 2;

/// The addresses of what a thread holds as its owner, by the thread's seat; 0 for none.
static SLOTS: [Apart<[Slot; DEPTH]>; OWN] = [const { Apart([const { AtomicUsize::new(0) }; DEPTH]) }; OWN];

/// Where a thread writes what it holds. Whoever got one clears it, with [`Ordering::Release`], to let go.
pub type Slot = AtomicUsize;

/// Who owns a lock, beside the ordinary lock, whose holder alone writes here.
pub struct Owner {
    /// The owner's seat and 1; 0 for none.
    owner: AtomicUsize,
    /// Who has held the ordinary lock last, written as the owner is, and how often in a row.
    last: AtomicUsize,
    times: AtomicU32,
}

/// How [`Owner`] has a thread. One that shares its seat never is an owner.
#[inline]
fn as_owner(seat: Seat) -> usize {
    seat.number() + 1
}

impl Owner {
    pub const fn none() -> Owner {
        Owner { owner: AtomicUsize::new(0), last: AtomicUsize::new(0), times: AtomicU32::new(0) }
    }

    /// Whether there is one, or was one that may still be inside.
    #[inline]
    pub fn is_some(&self) -> bool {
        self.owner.load(Ordering::Relaxed) != 0
    }

    /// Takes the lock for the owner, if it has a slot free.
    #[inline]
    pub fn enter(&self, seat: Seat) -> Option<&'static Slot> {
        if self.owner.load(Ordering::Relaxed) != as_owner(seat) {
            return None;
        }
        let slot = self.free_slot(seat)?;
        // Released, as what was held by the slot before: who waits for that may see this instead.
        slot.store(self.address(), Ordering::Release);
        // Either this thread reads that its ownership has ended, or who ends it reads the slot.
        barrier::light();
        if self.owner.load(Ordering::Relaxed) != as_owner(seat) {
            slot.store(0, Ordering::Release);
            return None;
        }
        Some(slot)
    }

    /// A slot that this thread has free, unless another one has the address.
    #[inline]
    fn free_slot(&self, seat: Seat) -> Option<&'static Slot> {
        let [one, other] = &SLOTS.get(seat.number())?.0;
        match (one.load(Ordering::Relaxed), other.load(Ordering::Relaxed)) {
            (0, held) if held != self.address() => Some(one),
            (held, 0) if held != self.address() => Some(other),
            _ => None,
        }
    }

    /// By the holder of the ordinary lock, without an owner. If it has been that so often, it is the owner from now on and
    /// inside by the slot, and lets go of the ordinary lock.
    #[inline]
    pub fn count(&self, seat: Seat) -> Option<&'static Slot> {
        if self.last.load(Ordering::Relaxed) != as_owner(seat) {
            self.last.store(as_owner(seat), Ordering::Relaxed);
            self.times.store(0, Ordering::Relaxed);
        }
        let times = self.times.load(Ordering::Relaxed);
        if times < TIMES {
            self.times.store(times + 1, Ordering::Relaxed);
            return None;
        }
        let slot = self.free_slot(seat)?;
        // Who takes the ordinary lock next sees both.
        slot.store(self.address(), Ordering::Release);
        self.owner.store(as_owner(seat), Ordering::Relaxed);
        self.times.store(0, Ordering::Relaxed);
        Some(slot)
    }

    /// By the holder of the ordinary lock: ends the ownership and waits until the owner is outside.
    #[cold]
    pub fn end(&self) {
        let mut looks = 0;
        while !self.try_end() {
            looks += 1;
            if looks < SPINS { spin_loop() } else { thread::sleep(PAUSE) }
        }
    }

    /// By the holder of the ordinary lock: ends the ownership. False if the owner is still inside; it does not come in
    /// again.
    #[cold]
    pub fn try_end(&self) -> bool {
        let owner = self.owner.load(Ordering::Relaxed);
        if owner & ENDING == 0 {
            self.owner.store(owner | ENDING, Ordering::Relaxed);
            barrier::heavy();
        }
        let ended = !self.is_inside();
        if ended {
            self.owner.store(0, Ordering::Relaxed);
        }
        ended
    }

    /// Whether the owner, if there is one, holds the lock.
    fn is_inside(&self) -> bool {
        let owner = self.owner.load(Ordering::Relaxed) & !ENDING;
        let slots = owner.checked_sub(1).and_then(|seat| SLOTS.get(seat));
        slots.is_some_and(|slots| slots.0.iter().any(|slot| slot.load(Ordering::Acquire) == self.address()))
    }

    fn address(&self) -> usize {
        ptr::from_ref(self).addr()
    }
}
