//! Bytes that must not outlive their use.

use std::sync::atomic::{Ordering, compiler_fence};
use zeroize::Zeroize;

/// Secret bytes: wiped when dropped, without Debug or Clone.
pub struct Secret(Box<[u8]>);

impl Secret {
    /// `len` zero bytes.
    pub fn zeroed(len: usize) -> Secret {
        Secret(vec![0; len].into_boxed_slice())
    }

    /// A copy of `bytes`.
    pub fn from_slice(bytes: &[u8]) -> Secret {
        Secret(bytes.into())
    }

    /// The bytes; the name marks every place that looks.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The bytes, to be filled.
    pub fn expose_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True of zero bytes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
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

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
        compiler_fence(Ordering::SeqCst);
    }
}
