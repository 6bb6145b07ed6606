//! A memory barrier of which only the rare side pays.
//!
//! Where two threads each write one place and then read the other's, at least one must see the other's write, and that
//! takes a full barrier between write and read in both. If one of them does so in every call and the other hardly ever,
//! Linux lets the rare one impose the barrier on all threads of the process (`membarrier`), and the frequent one needs
//! no more than that the compiler keeps its order. Where the kernel or an emulator does not offer that, both pay.

use std::sync::atomic::{AtomicU8, Ordering, compiler_fence, fence};

const UNKNOWN: u8 = 0;
const IMPOSED: u8 = 1;
const MUTUAL: u8 = 2;

/// Decided once and never changed, because both sides must agree.
static WAY: AtomicU8 = AtomicU8::new(UNKNOWN);

/// Between the write and the read of the frequent side.
#[inline]
pub fn light() {
    match WAY.load(Ordering::Relaxed) {
        IMPOSED => compiler_fence(Ordering::SeqCst),
        MUTUAL => fence(Ordering::SeqCst),
        _ => light_at_first(),
    }
}

/// Until the way is known, a full barrier does for either.
#[cold]
#[inline(never)]
fn light_at_first() {
    fence(Ordering::SeqCst);
    way();
}

/// Between the write and the read of the rare side.
#[cold]
pub fn heavy() {
    fence(Ordering::SeqCst);
    if way() == IMPOSED {
        impose();
    }
}

fn way() -> u8 {
    match WAY.load(Ordering::Relaxed) {
        UNKNOWN => {
            let found = if sys::register() { IMPOSED } else { MUTUAL };
            match WAY.compare_exchange(UNKNOWN, found, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => found,
                Err(known) => known,
            }
        }
        known => known,
    }
}

fn impose() {
    // Registered anew if it fails: a child need not inherit that.
    if sys::barrier() || (sys::register() && sys::barrier()) {
        return;
    }
    // Forbidden since, by a sandbox. No processor holds back a write for so long.
    std::thread::sleep(std::time::Duration::from_millis(20));
    fence(Ordering::SeqCst);
}

#[cfg(target_os = "linux")]
mod sys {
    /// From `linux/membarrier.h`.
    const QUERY: libc::c_int = 0;
    const PRIVATE_EXPEDITED: libc::c_int = 1 << 3;
    const REGISTER_PRIVATE_EXPEDITED: libc::c_int = 1 << 4;

    fn membarrier(command: libc::c_int) -> libc::c_long {
        // SAFETY: the call reads and writes no memory of the process.
        unsafe { libc::syscall(libc::SYS_membarrier, command, 0) }
    }

    /// Whether the kernel has the command; asked for by name, as emulators say yes to what they do not know.
    pub fn register() -> bool {
        let offered = membarrier(QUERY);
        let wanted = libc::c_long::from(PRIVATE_EXPEDITED | REGISTER_PRIVATE_EXPEDITED);
        offered > 0 && offered & wanted == wanted && membarrier(REGISTER_PRIVATE_EXPEDITED) == 0
    }

    pub fn barrier() -> bool {
        membarrier(PRIVATE_EXPEDITED) == 0
    }
}

#[cfg(not(target_os = "linux"))]
mod sys {
    pub fn register() -> bool {
        false
    }

    pub fn barrier() -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hint::spin_loop;
    use std::sync::atomic::AtomicUsize;
    use std::thread;

    /// Both write and then read the other's: never may both miss the other's write.
    #[test]
    fn at_least_one_sees_the_other() {
        const ROUNDS: usize = 20_000;
        let places = [AtomicUsize::new(0), AtomicUsize::new(0)];
        let seen = [AtomicUsize::new(0), AtomicUsize::new(0)];
        let arrived = AtomicUsize::new(0);
        let meet = |target: usize| {
            arrived.fetch_add(1, Ordering::SeqCst);
            let mut tries = 0;
            while arrived.load(Ordering::SeqCst) < target {
                tries += 1;
                if tries % 1000 == 0 { thread::yield_now() } else { spin_loop() }
            }
        };
        let play = |me: usize, barrier: fn()| {
            for round in 1..=ROUNDS {
                meet(4 * round - 2);
                places[me].store(round, Ordering::Relaxed);
                barrier();
                seen[me].store(places[1 - me].load(Ordering::Relaxed), Ordering::Relaxed);
                meet(4 * round);
                let [mine, other] = [&seen[me], &seen[1 - me]].map(|seen| seen.load(Ordering::Relaxed));
                assert!(mine == round || other == round, "round {round}: {mine} and {other}");
            }
        };
        thread::scope(|scope| {
            scope.spawn(|| play(0, light));
            scope.spawn(|| play(1, heavy));
        });
    }
}
