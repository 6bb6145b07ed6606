//! A lock among processes that shows who waits for something else.

use std::fs::File;
use std::os::fd::AsRawFd;

/// Where one process at a time stands to be let in next, and where all others see that one does: a lock of a whole file
/// (fcntl(2)), open for writing. It is the process's: the system takes it away when that ends, however it does, and children
/// made by fork do not have it. So nothing may depend on it but the order in which processes come: it is gone as well
/// once the process closes any descriptor of that file, and means nothing between two doors of one process.
pub struct Door(File);

/// Stands in a door until dropped.
pub struct Standing<'a>(&'a Door);

impl Door {
    /// The door of a file.
    pub fn new(file: File) -> Door {
        Door(file)
    }

    /// Stands in it, unless another process does, or the file system knows no locks.
    pub fn enter(&self) -> Option<Standing<'_>> {
        self.call(libc::F_SETLK, libc::F_WRLCK).map(|_| Standing(self))
    }

    /// Whether another process stands in it.
    pub fn is_taken(&self) -> bool {
        self.call(libc::F_GETLK, libc::F_WRLCK).is_some_and(|found| found != libc::F_UNLCK)
    }

    /// The type of lock that the call leaves in its argument; `None` if it fails.
    fn call(&self, command: libc::c_int, kind: libc::c_int) -> Option<libc::c_int> {
        // SAFETY: zeros are a valid value, and with `l_whence` SEEK_SET mean the whole file.
        let mut lock: libc::flock = unsafe { std::mem::zeroed() };
        lock.l_type = kind as _;
        // SAFETY: an open descriptor, and a lock to read and write.
        let done = unsafe { libc::fcntl(self.0.as_raw_fd(), command, &raw mut lock) };
        (done == 0).then_some(lock.l_type.into())
    }
}

impl Drop for Standing<'_> {
    fn drop(&mut self) {
        self.0.call(libc::F_SETLK, libc::F_UNLCK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `answer` says in a child of this process.
    fn in_child(answer: impl FnOnce() -> bool) -> bool {
        // SAFETY: the child asks the system and leaves by _exit.
        unsafe {
            let child = libc::fork();
            if child == 0 {
                libc::_exit(answer().into());
            }
            let mut status = -1;
            assert_eq!(libc::waitpid(child, &raw mut status, 0), child);
            assert!(libc::WIFEXITED(status));
            libc::WEXITSTATUS(status) == 1
        }
    }

    #[test]
    fn others_see_who_stands_there_and_cannot() {
        let door = Door::new(tempfile::tempfile().unwrap());
        assert!(!in_child(|| door.is_taken()) && in_child(|| door.enter().is_some()));
        // The child has ended in the door.
        assert!(!door.is_taken());
        let standing = door.enter().unwrap();
        assert!(!door.is_taken(), "by this process");
        assert!(in_child(|| door.is_taken() && door.enter().is_none()));
        drop(standing);
        assert!(!in_child(|| door.is_taken()) && in_child(|| door.enter().is_some()));
    }

    #[test]
    fn where_there_are_no_locks_it_is_never_taken() {
        let readable = Door::new(File::open("/dev/null").unwrap());
        assert!(readable.enter().is_none() && !readable.is_taken());
    }
}
