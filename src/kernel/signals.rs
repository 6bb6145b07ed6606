//! Signals kept away from threads that the application knows nothing of.

use std::mem::MaybeUninit;
use std::ptr;

/// Blocks every signal in this thread until it is dropped. Threads started meanwhile keep them blocked for good, so
/// the application's handlers run in the application's own threads.
pub struct Blocked(libc::sigset_t);

impl Blocked {
    /// Begins; `None` if the system does not let us.
    pub fn new() -> Option<Blocked> {
        let (mut all, mut before) = (MaybeUninit::uninit(), MaybeUninit::uninit());
        // SAFETY: the set is filled before it is used; the old one is there if the call succeeds.
        unsafe {
            libc::sigfillset(all.as_mut_ptr());
            match libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr()) {
                0 => Some(Blocked(before.assume_init())),
                _ => None,
            }
        }
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        // SAFETY: the set that this thread had.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.0, ptr::null_mut()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(signal: i32) -> bool {
        let mut now = MaybeUninit::uninit();
        // SAFETY: asks for the mask, which is there afterwards.
        unsafe {
            assert_eq!(libc::pthread_sigmask(libc::SIG_SETMASK, ptr::null(), now.as_mut_ptr()), 0);
            libc::sigismember(now.as_ptr(), signal) == 1
        }
    }

    #[test]
    fn threads_started_meanwhile_stay_without_signals() {
        assert!(!blocks(libc::SIGUSR1));
        let blocked = Blocked::new().unwrap();
        let thread = std::thread::spawn(|| blocks(libc::SIGUSR1) && blocks(libc::SIGPROF));
        drop(blocked);
        assert!(thread.join().unwrap());
        assert!(!blocks(libc::SIGUSR1));
    }
}
