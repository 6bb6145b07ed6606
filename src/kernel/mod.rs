//! What has to be written below Rust: SIMD kernels AWS-LC does not have, shared memory, locking.
//!
//! A kernel is a few safe functions over [`InOut`] whose way through the processor is chosen by
//! [`cpu::features`]; every way gives the same bytes, and none has a branch or an index that depends on a
//! secret.

pub mod aes;
pub mod barrier;
#[cfg(test)]
pub mod constant_time;
pub mod cpu;
pub mod des;
pub mod fork;
mod in_out;
pub mod lock;
#[cfg(test)]
mod numbers;
pub mod primes;
pub mod sha512;
pub mod shared;
pub mod signals;

pub use in_out::InOut;

/// Which way a cipher runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// Plaintext to ciphertext.
    Encrypt,
    /// Ciphertext to plaintext.
    Decrypt,
}
