//! Noticing a fork without a system call.

use std::process;
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};

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

#[cfg(target_os = "linux")]
fn wiped_on_fork() -> Option<&'static AtomicU32> {
    const LEN: usize = 4096;
    // SAFETY: a new private mapping; nobody else knows its address.
    let page = unsafe {
        libc::mmap(
            ptr::null_mut(),
            LEN,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    if page == libc::MAP_FAILED {
        return None;
    }
    // Emulators that take madvise for a hint say yes to everything, so also to advice that does not exist.
    // SAFETY: the mapping just made; the advice changes nothing but what a child finds in it.
    let works =
        unsafe { libc::madvise(page, LEN, libc::MADV_WIPEONFORK) == 0 && libc::madvise(page, LEN, -1) != 0 };
    if !works {
        // SAFETY: mapped above, used by nobody.
        unsafe { libc::munmap(page, LEN) };
        return None;
    }
    // SAFETY: aligned, zeroed, never unmapped.
    Some(unsafe { &*page.cast::<AtomicU32>() })
}

#[cfg(not(target_os = "linux"))]
fn wiped_on_fork() -> Option<&'static AtomicU32> {
    None
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
}
