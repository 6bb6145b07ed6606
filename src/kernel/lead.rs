//! Threads that come with work at the same time: one of them leads, and does that of the others with its own.
//!
//! Passing a lock on from thread to thread costs each a sleep, a wake-up and a cold cache, which is more than a small piece
//! of work. Here a thread that finds another one leading lends it its work and waits once, until the leader has ended and
//! all that it took is done. Where that is soon, it does not sleep.

use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::mem::{replace, transmute};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// Where threads come with work that is done on a `C`, which the one has who leads.
pub struct Lead<C> {
    state: Mutex<State<C>>,
    /// As many wait as the leader waits for.
    enough: Condvar,
    /// Who waited last did not wait for long.
    soon: AtomicBool,
}

struct State<C> {
    /// A thread leads.
    led: bool,
    waiting: VecDeque<Lent<C>>,
    /// How many of them the leader waits for.
    wanted: usize,
}

/// How long a thread only offers its processor to others before it sleeps. To be woken takes it tens of microseconds, on a
/// virtual machine above all, whose idle processors the host has to be asked for.
const YIELDING: Duration = Duration::from_micros(500);

/// A thread's work.
pub type Work<'w, C> = dyn FnMut(&C) + Send + 'w;

/// The work of a thread that sleeps until its waiter is told more.
struct Lent<C> {
    work: *mut Work<'static, C>,
    waiter: Arc<Waiter>,
}

// SAFETY: whoever takes it is the only one to use the work, which may be used in any thread.
unsafe impl<C> Send for Lent<C> {}

struct Waiter {
    state: AtomicU8,
    thread: Thread,
    /// Whom its thread wakes once it is awake itself.
    wakes: OnceLock<[Option<Arc<Waiter>>; 2]>,
}

const WAITS: u8 = 0;
const LEADS: u8 = 1;
const DONE: u8 = 2;

impl Waiter {
    fn new() -> Waiter {
        Waiter { state: AtomicU8::new(WAITS), thread: thread::current(), wakes: OnceLock::new() }
    }

    fn tell(&self, state: u8) {
        self.state.store(state, Ordering::Release);
        self.thread.unpark();
    }

    /// Tells them all. Waking a thread takes as long as a small piece of work, so most are woken by each other.
    fn tell_all(waiters: &[Arc<Waiter>], state: u8) {
        for (at, waiter) in waiters.iter().enumerate() {
            let wakes = [2 * at + 2, 2 * at + 3].map(|other| waiters.get(other).cloned());
            let _ = waiter.wakes.set(wakes);
        }
        waiters.iter().for_each(|waiter| waiter.state.store(state, Ordering::Release));
        waiters.iter().take(2).for_each(|waiter| waiter.thread.unpark());
    }

    /// Sleeps only from `awake` on.
    fn wait(&self, awake: Instant) -> u8 {
        let told = loop {
            match self.state.load(Ordering::Acquire) {
                WAITS if Instant::now() < awake => thread::yield_now(),
                WAITS => thread::park(),
                state => break state,
            }
        };
        self.wakes
            .get()
            .iter()
            .flat_map(|wakes| wakes.iter().flatten())
            .for_each(|waiter| waiter.thread.unpark());
        told
    }
}

impl<C> Default for Lead<C> {
    fn default() -> Lead<C> {
        let state = State { led: false, waiting: VecDeque::new(), wanted: 0 };
        Lead { state: Mutex::new(state), enough: Condvar::new(), soon: AtomicBool::new(false) }
    }
}

impl<C> Lead<C> {
    /// Comes with `work`. It returns once a leader has done that and has ended, or has this thread `lead`, which is given
    /// the work back to do it.
    pub fn come<'w>(&self, work: &mut Work<'w, C>, lead: impl FnOnce(&mut Work<'w, C>, &mut Others<'_, C>)) {
        let mut state = self.state.lock();
        if replace(&mut state.led, true) {
            let waiter = Arc::new(Waiter::new());
            // SAFETY: pointers of one kind; what it points to is used as long as this thread waits, and so still borrows it.
            let work = unsafe { transmute::<*mut Work<'w, C>, *mut Work<'static, C>>(work) };
            state.waiting.push_back(Lent { work, waiter: waiter.clone() });
            if state.waiting.len() == state.wanted {
                self.enough.notify_one();
            }
            drop(state);
            let (begun, soon) = (Instant::now(), self.soon.load(Ordering::Relaxed));
            let told = waiter.wait(if soon { begun + YIELDING } else { begun });
            self.soon.store(begun.elapsed() < YIELDING, Ordering::Relaxed);
            if told == DONE {
                return;
            }
        } else {
            drop(state);
        }
        lead(work, &mut Others { lead: self, done: Vec::new() });
    }
}

/// Those who wait for a leader. When it is dropped, whose work is done go on, and the first of the rest leads.
pub struct Others<'a, C> {
    lead: &'a Lead<C>,
    done: Vec<Arc<Waiter>>,
}

impl<C> Others<'_, C> {
    /// Does the next one's work; false if nobody waits.
    pub fn next(&mut self, on: &C) -> bool {
        let Some(Lent { work, waiter }) = self.lead.state.lock().waiting.pop_front() else { return false };
        self.done.push(waiter);
        // SAFETY: its thread waits until it is told that this is done, which only the drop does; nobody else has the
        // pointer.
        unsafe { (*work)(on) };
        true
    }

    /// Nobody waits.
    pub fn is_empty(&self) -> bool {
        self.lead.state.lock().waiting.is_empty()
    }

    /// Waits for the next one, or till the deadline. At first it only offers its processor to others, since the next one
    /// may be on the way through that; then it sleeps, until `count` wait.
    pub fn wait_for(&self, count: usize, deadline: Instant) {
        let awake = deadline.min(Instant::now() + YIELDING);
        while self.is_empty() && Instant::now() < awake {
            thread::yield_now();
        }
        let mut state = self.lead.state.lock();
        if !state.waiting.is_empty() {
            return;
        }
        state.wanted = count;
        while state.waiting.len() < count && !self.lead.enough.wait_until(&mut state, deadline).timed_out() {}
        state.wanted = 0;
    }
}

impl<C> Drop for Others<'_, C> {
    fn drop(&mut self) {
        let mut state = self.lead.state.lock();
        let successor = state.waiting.pop_front();
        state.led = successor.is_some();
        drop(state);
        successor.iter().for_each(|lent| lent.waiter.tell(LEADS));
        Waiter::tell_all(&self.done, DONE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::AtomicUsize;

    /// Every thread's work is done once a round, by one leader at a time, and is seen by the thread that brought it.
    #[test]
    fn all_work_is_done_once_whoever_leads() {
        const THREADS: usize = 8;
        let rounds = if std::env::var_os("COFFER_LONG").is_some() { 20_000 } else { 500 };
        let (lead, leading, led) = (Lead::<usize>::default(), AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for number in 0..THREADS {
                let (lead, leading, led) = (&lead, &leading, &led);
                scope.spawn(move || {
                    for round in 0..rounds {
                        let mut done = Vec::new();
                        lead.come(&mut |leader: &usize| done.push(*leader), |own, others| {
                            assert_eq!(leading.fetch_add(1, Ordering::SeqCst), 0);
                            let leader = led.fetch_add(1, Ordering::SeqCst);
                            own(&leader);
                            if round % 7 == 0 {
                                others.wait_for(2, Instant::now() + Duration::from_micros(200));
                            }
                            let mut left = 1 + (number + round) % THREADS;
                            while left > 0 && others.next(&leader) {
                                left -= 1;
                            }
                            leading.fetch_sub(1, Ordering::SeqCst);
                        });
                        assert_eq!(done.len(), 1);
                    }
                });
            }
        });
        assert!(led.into_inner() <= THREADS * rounds);
        let state = lead.state.lock();
        assert!(!state.led && state.waiting.is_empty());
    }

    /// Who waits for a leader that panics goes on, and another one leads after it.
    #[test]
    fn a_leader_that_panics_leaves_nobody_asleep() {
        let lead = Lead::<usize>::default();
        thread::scope(|scope| {
            let panicking = scope.spawn(|| {
                let lost = |_: &mut Work<'_, usize>, others: &mut Others<'_, usize>| {
                    let soon = || Instant::now() + Duration::from_secs(10);
                    others.wait_for(1, soon());
                    assert!(others.next(&0));
                    others.wait_for(1, soon());
                    panic!("with one taken and one waiting");
                };
                catch_unwind(AssertUnwindSafe(|| lead.come(&mut |_: &usize| (), lost))).is_err()
            });
            while !lead.state.lock().led {
                thread::yield_now();
            }
            let waiting = || {
                let (mut done, mut led) = (false, false);
                lead.come(&mut |_: &usize| done = true, |own, _| {
                    led = true;
                    own(&0);
                });
                assert!(done);
                led
            };
            let others = [scope.spawn(waiting), scope.spawn(waiting)].map(|thread| thread.join().unwrap());
            assert!(panicking.join().unwrap());
            assert_eq!(others.iter().filter(|led| **led).count(), 1);
        });
        assert!(!lead.state.lock().led);
    }
}
