//! Noticing a fork without a system call, and keeping one from falling into the middle of something.

use super::barrier;
use super::inside::{COUNTERS, Counter};
use super::seat::Seat;
use std::cell::Cell;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::process;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// True in the process that made it, false in every child forked from that one.
///
/// A page that the kernel hands to children as zeros (MADV_WIPEONFORK) makes the question one load; where
/// the kernel or an emulator does not do that, it is `getpid`. Neither `pthread_atfork` nor anything else
/// outlives the library. The page is kept: a mark is made a few times in a process's life.
pub struct ForkMark(Kind);

enum Kind {
    Page(&'static AtomicU32),
    Pid(u32),
}

impl ForkMark {
    /// The mark of this process.
    pub fn new() -> ForkMark {
        ForkMark(match wiped_on_fork() {
            Some(word) => {
                word.store(1, Ordering::Relaxed);
                Kind::Page(word)
            }
            None => Kind::Pid(process::id()),
        })
    }

    /// Whether this is the process that made it.
    #[inline]
    pub fn stands(&self) -> bool {
        match self.0 {
            Kind::Page(word) => word.load(Ordering::Relaxed) == 1,
            Kind::Pid(pid) => pid == process::id(),
        }
    }
}

impl Default for ForkMark {
    fn default() -> ForkMark {
        ForkMark::new()
    }
}

/// Zeroed memory that a child forked from this process finds zeroed again. Unmapped when dropped.
pub struct WipedOnFork(NonNull<u8>);

impl WipedOnFork {
    /// Its size in bytes: whole pages, of 4 or of 16 KiB.
    pub const LEN: usize = 16 << 10;

    /// `None` where the kernel or an emulator does not do that, or has no memory.
    #[cfg(target_os = "linux")]
    pub fn map() -> Option<WipedOnFork> {
        // SAFETY: a new private mapping; nobody else knows its address.
        let page = unsafe {
            let access = libc::PROT_READ | libc::PROT_WRITE;
            libc::mmap(ptr::null_mut(), Self::LEN, access, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0)
        };
        if page == libc::MAP_FAILED {
            return None;
        }
        let mapped = WipedOnFork(NonNull::new(page.cast())?);
        // Emulators that take madvise for a hint say yes to everything, so also to advice that does not exist.
        // SAFETY: the mapping just made; the advice changes nothing but what a child finds in it.
        let works = unsafe {
            libc::madvise(page, Self::LEN, libc::MADV_WIPEONFORK) == 0
                && libc::madvise(page, Self::LEN, -1) != 0
        };
        works.then_some(mapped)
    }

    #[cfg(not(target_os = "linux"))]
    pub fn map() -> Option<WipedOnFork> {
        None
    }

    /// Keeps it out of swap and core dumps where the system lets us.
    pub fn hide(&self) {
        // SAFETY: the whole mapping, whose content stays.
        unsafe {
            libc::mlock(self.0.as_ptr().cast(), Self::LEN);
            #[cfg(target_os = "linux")]
            libc::madvise(self.0.as_ptr().cast(), Self::LEN, libc::MADV_DONTDUMP);
        }
    }

    /// Its first byte, on a page's boundary. What a reference would promise a fork in a signal handler may break.
    pub fn start(&self) -> NonNull<u8> {
        self.0
    }
}

impl Drop for WipedOnFork {
    fn drop(&mut self) {
        // SAFETY: mapped by us with this length, and not used again.
        unsafe { libc::munmap(self.0.as_ptr().cast(), Self::LEN) };
    }
}

fn wiped_on_fork() -> Option<&'static AtomicU32> {
    let page = ManuallyDrop::new(WipedOnFork::map()?);
    // SAFETY: aligned, zeroed, never unmapped.
    Some(unsafe { page.start().cast::<AtomicU32>().as_ref() })
}

/// A stretch of work that no fork of this process may cut: what it changes is whole in every child.
///
/// SQLite and AWS-LC keep global lists and locks, and a child forked while another thread is at them could never use
/// them. So `fork` waits for those inside, and who wants in meanwhile waits for `fork`. The handlers stay
/// registered for ever, which is why the library is linked to stay in memory (`-z nodelete`).
///
/// It ends on its thread, and may be nested: a fork waits for the end of the outermost.
pub struct Uncut(Seat, PhantomData<*const ()>);

/// Threads inside; forks that are on.
static INSIDE: [Counter; COUNTERS] = [const { Counter::new() }; COUNTERS];
static FORKS: AtomicUsize = AtomicUsize::new(0);
/// Whether this process came from a fork that did cut.
static CUT: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// How often this thread is inside, if it shares its counter: a number without a destructor.
    static NESTED: Cell<usize> = const { Cell::new(0) };
    /// Whether the fork that this thread is at cuts.
    static CUTS: Cell<bool> = const { Cell::new(false) };
}

/// How long a fork waits. Longer than any commit; a bound, because the thread that it waits for may be waiting for this one.
const PATIENCE: Duration = Duration::from_secs(12);
const PAUSE: Duration = Duration::from_micros(50);

impl Uncut {
    /// Begins; the end is the drop.
    #[inline]
    pub fn enter() -> Uncut {
        Uncut::enter_from(Seat::taken())
    }

    #[inline]
    fn enter_from(seat: Seat) -> Uncut {
        register();
        // Either this thread sees the fork, or the fork sees it.
        let before = INSIDE[seat.number()].come(seat);
        if !seat.is_own() || (before == 0 && FORKS.load(Ordering::SeqCst) != 0) {
            Uncut::enter_late(seat);
        }
        Uncut(seat, PhantomData)
    }

    /// The rest of it for a thread that is counted in already, but shares its counter, or has seen a fork.
    #[cold]
    fn enter_late(seat: Seat) {
        let counter = &INSIDE[seat.number()];
        let nested = NESTED.get();
        while nested == 0 && FORKS.load(Ordering::SeqCst) != 0 {
            counter.go(seat);
            thread::sleep(PAUSE);
            counter.come(seat);
        }
        if !seat.is_own() {
            NESTED.set(nested + 1);
        }
    }

    /// Whether this process was forked in the middle of such work after all.
    pub fn was_cut() -> bool {
        CUT.load(Ordering::Relaxed)
    }
}

impl Drop for Uncut {
    #[inline]
    fn drop(&mut self) {
        if !self.0.is_own() {
            NESTED.set(NESTED.get() - 1);
        }
        INSIDE[self.0.number()].go(self.0);
    }
}

/// Registers the handlers, once. A `Once` would not do: a child forked while another thread was at it would wait for that
/// thread for ever.
fn register() {
    const NOBODY: u32 = 0;
    const DONE: u32 = u32::MAX;
    /// The process that is at it, or one of those.
    static BY: AtomicU32 = AtomicU32::new(NOBODY);
    loop {
        let by = BY.load(Ordering::Acquire);
        if by == DONE {
            return;
        }
        let this = process::id();
        if by == this {
            thread::sleep(PAUSE);
        } else if BY.compare_exchange(by, this, Ordering::Acquire, Ordering::Relaxed).is_ok() {
            // In a child they may be registered twice then, and run twice: they count up and down.
            // SAFETY: functions of the right type that stay in memory.
            unsafe { libc::pthread_atfork(Some(before_fork), Some(after_in_parent), Some(after_in_child)) };
            BY.store(DONE, Ordering::Release);
        }
    }
}

extern "C" fn before_fork() {
    FORKS.fetch_add(1, Ordering::SeqCst);
    barrier::heavy();
    let begun = Instant::now();
    let cut = |(number, counter): (usize, &Counter)| {
        let own = forking(number, counter);
        // Once seen outside, a thread only comes to see the fork, and goes.
        while counter.count() > own {
            if begun.elapsed() > PATIENCE {
                return true;
            }
            thread::sleep(PAUSE);
        }
        own > 0
    };
    CUTS.set(INSIDE.iter().enumerate().map(cut).fold(false, |any, cut| any | cut));
}

extern "C" fn after_in_parent() {
    FORKS.fetch_sub(1, Ordering::SeqCst);
}

extern "C" fn after_in_child() {
    if CUTS.get() {
        CUT.store(true, Ordering::Relaxed);
    }
    // The other threads do not exist here.
    for (number, counter) in INSIDE.iter().enumerate().filter(|(_, counter)| counter.count() != 0) {
        counter.set(forking(number, counter));
    }
    FORKS.store(0, Ordering::SeqCst);
}

/// How often the thread that forks is inside itself, by this counter: then a signal handler forks.
fn forking(number: usize, counter: &Counter) -> usize {
    match Seat::taken() {
        seat if seat.number() != number => 0,
        seat if seat.is_own() => counter.count(),
        _ => NESTED.get(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs `question` in a child and says whether it answered yes there.
    fn in_child(question: impl FnOnce() -> bool) -> bool {
        // SAFETY: the child only loads memory or calls getpid, and leaves by _exit.
        unsafe {
            match libc::fork() {
                0 => libc::_exit(question() as i32),
                child => {
                    let mut status = 0;
                    assert_eq!(libc::waitpid(child, &mut status, 0), child);
                    libc::WEXITSTATUS(status) == 1
                }
            }
        }
    }

    #[test]
    fn a_mark_falls_in_the_child_only() {
        for mark in [ForkMark::new(), ForkMark(Kind::Pid(process::id()))] {
            assert!(mark.stands());
            assert!(!in_child(|| mark.stands()));
            assert!(in_child(|| ForkMark::new().stands()));
            assert!(mark.stands());
        }
    }

    #[test]
    fn a_fork_waits_for_the_end_of_what_it_must_not_cut() {
        // From here on there are handlers.
        drop(Uncut::enter());
        let half = AtomicBool::new(false);
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::SeqCst) {
                    let _uncut = Uncut::enter();
                    half.store(true, Ordering::SeqCst);
                    thread::sleep(Duration::from_millis(2));
                    half.store(false, Ordering::SeqCst);
                }
            });
            let whole = (0..20).all(|_| {
                in_child(|| {
                    let _uncut = Uncut::enter();
                    !half.load(Ordering::SeqCst) && !Uncut::was_cut()
                })
            });
            done.store(true, Ordering::SeqCst);
            assert!(whole);
        });
    }

    /// A fork waits for the end of the outermost; who is inside already does not wait for the fork.
    #[test]
    fn who_is_inside_goes_further_in_while_another_forks() {
        for seat in [Seat::taken(), Seat::shared()] {
            let outer = Uncut::enter_from(seat);
            thread::scope(|scope| {
                let whole = scope.spawn(|| in_child(|| !Uncut::was_cut()));
                while FORKS.load(Ordering::SeqCst) == 0 {
                    thread::yield_now();
                }
                let inner = Uncut::enter_from(seat);
                drop(outer);
                assert!(!whole.is_finished());
                drop(inner);
                assert!(whole.join().unwrap());
            });
        }
    }

    /// Who comes during a fork would see that and go: it is not in the middle of anything.
    #[test]
    fn who_is_refused_is_not_cut() {
        assert!(in_child(|| {
            before_fork();
            INSIDE[Seat::shared().number()].come(Seat::shared());
            after_in_child();
            !Uncut::was_cut() && INSIDE.iter().all(|counter| counter.count() == 0)
        }));
    }

    /// As a signal handler may: the fork does not wait for its own thread, and the child knows.
    #[test]
    fn who_is_inside_may_fork() {
        let begun = Instant::now();
        let uncut = Uncut::enter();
        assert!(in_child(|| {
            let nested = Uncut::enter();
            drop((uncut, nested));
            Uncut::was_cut() && INSIDE.iter().all(|counter| counter.count() == 0)
        }));
        assert!(begun.elapsed() < PATIENCE);
    }
}
