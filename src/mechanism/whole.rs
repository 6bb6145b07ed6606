//! Ciphers that must see all their input before they may answer: authenticated decryption, key wraps.

use super::CipherState;
use crate::crypto::{InOut, wipe};
use crate::error::{Result, Rv};
use crate::object::Object;

/// A computation on all the input.
pub trait WholeCipher: Send {
    /// Whether the input may come in parts, which are then gathered.
    const IN_PARTS: bool = true;
    /// Whether `bound` is exact.
    const EXACT: bool = true;

    /// Bytes of output for `input` bytes.
    fn bound(&self, input: usize) -> usize;

    /// Computes. `io` has room for `bound` bytes; input and output may be the same memory.
    fn run(&mut self, key: &Object, io: InOut<'_>) -> Result<usize>;
}

/// A [`WholeCipher`] that is running.
pub struct Whole<C> {
    cipher: C,
    gathered: Vec<u8>,
}

impl<C: WholeCipher> Whole<C> {
    /// With no input yet.
    pub fn new(cipher: C) -> Self {
        Whole { cipher, gathered: Vec::new() }
    }

    /// Appends without leaving a copy behind where the bytes no longer fit.
    fn gather(&mut self, part: &[u8]) -> Result<()> {
        if self.gathered.capacity() - self.gathered.len() < part.len() {
            let wanted = self.gathered.len().saturating_add(part.len()).max(2 * self.gathered.capacity());
            let mut larger = Vec::new();
            larger.try_reserve_exact(wanted).map_err(|_| Rv::HostMemory)?;
            larger.extend_from_slice(&self.gathered);
            wipe(&mut self.gathered);
            self.gathered = larger;
        }
        self.gathered.extend_from_slice(part);
        Ok(())
    }
}

impl<C: WholeCipher> CipherState for Whole<C> {
    fn multipart(&self) -> bool {
        C::IN_PARTS
    }

    fn update_bound(&self, _: &Object, _: usize) -> usize {
        0
    }

    fn update(&mut self, _: &Object, io: InOut<'_>) -> Result<usize> {
        self.gather(io.input())?;
        Ok(0)
    }

    fn finish_bound(&self, _: &Object) -> usize {
        self.cipher.bound(self.gathered.len())
    }

    fn finish(&mut self, key: &Object, out: &mut [u8]) -> Result<usize> {
        self.cipher.run(key, InOut::new(&self.gathered, out))
    }

    fn one_shot_bound(&self, _: &Object, input: usize) -> usize {
        self.cipher.bound(input)
    }

    fn one_shot(&mut self, key: &Object, io: InOut<'_>) -> Result<usize> {
        self.cipher.run(key, io)
    }

    fn exact(&self) -> bool {
        C::EXACT
    }
}

impl<C> Drop for Whole<C> {
    fn drop(&mut self) {
        wipe(&mut self.gathered);
    }
}
