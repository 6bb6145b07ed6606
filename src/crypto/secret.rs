//! Bytes that must not outlive their use.

use super::arena::{self, Slot};
use super::wipe;
use std::ptr::NonNull;
use std::slice;

/// Secret bytes: wiped when dropped, without Debug or Clone. Small ones, which keys are, live in the [`arena`],
/// out of swap and core dumps.
pub struct Secret {
    start: NonNull<u8>,
    len: usize,
    /// Where to give it back to; `None` if it came from the heap.
    slot: Option<Slot>,
}

// SAFETY: it owns its bytes and hands them out by the borrow rules.
unsafe impl Send for Secret {}
// SAFETY: as above.
unsafe impl Sync for Secret {}

impl Secret {
    /// `len` zero bytes.
    pub fn zeroed(len: usize) -> Secret {
        match arena::take(len) {
            Some(slot) => Secret { start: slot.start(), len, slot: Some(slot) },
            None => {
                let bytes = Box::leak(vec![0; len].into_boxed_slice());
                Secret { start: NonNull::from(bytes).cast(), len, slot: None }
            }
        }
    }

    /// A copy of `bytes`.
    pub fn from_slice(bytes: &[u8]) -> Secret {
        let mut secret = Secret::zeroed(bytes.len());
        secret.expose_mut().copy_from_slice(bytes);
        secret
    }

    /// The bytes; the name marks every place that looks.
    pub fn expose(&self) -> &[u8] {
        // SAFETY: `start` is valid for `len` as long as the value lives.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }

    /// The bytes, to be filled.
    pub fn expose_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and `self` is borrowed exclusively.
        unsafe { slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True of zero bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The first `len` bytes of it, the rest wiped.
    ///
    /// # Panics
    /// If it is shorter.
    pub fn truncated(self, len: usize) -> Secret {
        if len == self.len() { self } else { Secret::from_slice(&self.expose()[..len]) }
    }

    /// A second copy, by intent.
    pub fn duplicate(&self) -> Secret {
        Secret::from_slice(self.expose())
    }
}

impl AsMut<[u8]> for Secret {
    fn as_mut(&mut self) -> &mut [u8] {
        self.expose_mut()
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        wipe(self.expose_mut());
        match self.slot.take() {
            Some(slot) => arena::give_back(slot),
            // SAFETY: it was leaked from a box of just this length.
            None => drop(unsafe { Box::from_raw(self.expose_mut()) }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_is_whole_and_starts_as_zeros() {
        for _ in 0..3 {
            let mut all: Vec<Secret> = (0..1500).map(Secret::zeroed).collect();
            for (len, secret) in all.iter_mut().enumerate() {
                assert!(secret.len() == len && secret.expose().iter().all(|&byte| byte == 0), "{len}");
                secret.expose_mut().fill(len as u8 | 1);
            }
            assert!(all.iter().enumerate().all(|(len, s)| s.expose().iter().all(|&b| b == len as u8 | 1)));
        }
    }

    #[test]
    fn a_slot_is_wiped_when_it_is_given_back() {
        let in_slot = || Some(Secret::from_slice(&[0xA5; 100])).filter(|secret| secret.slot.is_some());
        let secret = std::iter::repeat_with(in_slot).flatten().next().unwrap();
        let start = secret.expose().as_ptr();
        drop(secret);
        // SAFETY: chunks stay mapped. Another test's secret may stand there by now, but not these bytes.
        let seen = unsafe { std::ptr::read_volatile(start.cast::<[u8; 100]>()) };
        assert_ne!(seen, [0xA5; 100]);
    }

    #[test]
    fn a_shorter_one_is_another_one() {
        let secret = Secret::from_slice(b"a secret").truncated(1);
        assert_eq!((secret.expose(), secret.duplicate().expose()), (&b"a"[..], &b"a"[..]));
        assert!(Secret::zeroed(0).is_empty());
    }
}
