//! A counter in memory that processes share, and what only the operating system can tell about a file.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of the file that holds the counter; all but the first 8 are zero.
const SIZE: usize = 4096;

/// A 64-bit counter that every process with the same file open sees at the speed of memory.
pub struct SharedCounter(NonNull<AtomicU64>);

// SAFETY: it is an atomic in memory that stays mapped until drop.
unsafe impl Send for SharedCounter {}
// SAFETY: as above.
unsafe impl Sync for SharedCounter {}

impl SharedCounter {
    /// Maps the counter in `file`, which is grown to its size (with real blocks, as writing to a hole of a
    /// full disk would be a SIGBUS) and otherwise left as it is.
    ///
    /// # Errors
    /// Of the system: a full disk, a file not open for writing.
    pub fn map(file: &File) -> io::Result<SharedCounter> {
        // SAFETY: a plain call on an open descriptor.
        let error = unsafe { libc::posix_fallocate(file.as_raw_fd(), 0, SIZE as libc::off_t) };
        if error != 0 {
            return Err(io::Error::from_raw_os_error(error));
        }
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a fresh mapping of a file that has SIZE bytes; page-aligned, so aligned for a u64.
        let at = unsafe { libc::mmap(null_mut(), SIZE, protection, libc::MAP_SHARED, file.as_raw_fd(), 0) };
        if at == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        NonNull::new(at.cast()).map(SharedCounter).ok_or_else(|| io::ErrorKind::OutOfMemory.into())
    }

    fn cell(&self) -> &AtomicU64 {
        // SAFETY: mapped until drop, aligned, and only ever used as an atomic.
        unsafe { self.0.as_ref() }
    }

    /// The value.
    pub fn value(&self) -> u64 {
        self.cell().load(Ordering::Acquire)
    }

    /// Goes from `value` to `next`; false, and nothing done, if another was quicker.
    pub fn advance(&self, value: u64, next: u64) -> bool {
        self.cell().compare_exchange(value, next, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

impl Drop for SharedCounter {
    fn drop(&mut self) {
        // SAFETY: mapped by `map` with this size, unmapped once.
        unsafe { libc::munmap(self.0.as_ptr().cast(), SIZE) };
    }
}

/// The effective user of this process.
pub fn effective_user() -> u32 {
    // SAFETY: cannot fail.
    unsafe { libc::geteuid() }
}

/// Whether this process may write to `path`; false on a read-only file system, whoever asks.
pub fn writable(path: &Path) -> bool {
    let Ok(path) = CString::new(path.as_os_str().as_bytes()) else { return false };
    // SAFETY: a C string; the call reads nothing else.
    unsafe { libc::faccessat(libc::AT_FDCWD, path.as_ptr(), libc::W_OK, libc::AT_EACCESS) == 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_mappings_share_the_value() {
        let file = tempfile::tempfile().unwrap();
        let (a, b) = (SharedCounter::map(&file).unwrap(), SharedCounter::map(&file).unwrap());
        assert!(a.advance(0, 7));
        assert!(!b.advance(0, 8));
        assert_eq!(b.value(), 7);
        assert_eq!(SharedCounter::map(&file).unwrap().value(), 7, "mapping again keeps it");
        assert_eq!(file.metadata().unwrap().len(), SIZE as u64);
    }

    #[test]
    fn writable_tells() {
        let dir = tempfile::tempdir().unwrap();
        assert!(writable(dir.path()));
        assert!(!writable(&dir.path().join("none")));
    }
}
