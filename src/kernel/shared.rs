//! A counter that several processes share, through a page of a file mapped by all of them.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of the file: one page, so that no access can fall beyond its end.
pub const LEN: u64 = 4096;

/// A counter in a file of [`LEN`] bytes, which must never be shortened while it is mapped. Reading it is one
/// load from a cache line that nobody writes while nothing changes.
pub struct SharedCounter {
    page: *mut AtomicU64,
}

// SAFETY: the page lives as long as the value and is only accessed atomically.
unsafe impl Send for SharedCounter {}
// SAFETY: as above.
unsafe impl Sync for SharedCounter {}

impl SharedCounter {
    /// Maps the start of `file`; without `writable`, it can only be read.
    ///
    /// # Errors
    /// The file is shorter than [`LEN`], or cannot be mapped.
    pub fn map(file: &File, writable: bool) -> io::Result<SharedCounter> {
        if file.metadata()?.len() < LEN {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the change counter's file is too short"));
        }
        let protection = if writable { libc::PROT_READ | libc::PROT_WRITE } else { libc::PROT_READ };
        // SAFETY: a new mapping of a length the file has, at an address of the system's choice.
        let page = unsafe {
            libc::mmap(ptr::null_mut(), LEN as usize, protection, libc::MAP_SHARED, file.as_raw_fd(), 0)
        };
        if page == libc::MAP_FAILED {
            Err(io::Error::last_os_error())
        } else {
            Ok(SharedCounter { page: page.cast() })
        }
    }

    /// Its value.
    pub fn value(&self) -> u64 {
        // SAFETY: mapped, page-aligned, and accessed atomically by everyone.
        unsafe { &*self.page }.load(Ordering::Acquire)
    }

    /// Adds one, for all processes to see. Not to be called on one that was mapped to be read.
    pub fn advance(&self) {
        // SAFETY: as in `value`, and mapped to be written.
        unsafe { &*self.page }.fetch_add(1, Ordering::AcqRel);
    }
}

impl Drop for SharedCounter {
    fn drop(&mut self) {
        // SAFETY: mapped by `map`, of this length, and unreachable from now on.
        unsafe { libc::munmap(self.page.cast(), LEN as usize) };
    }
}
