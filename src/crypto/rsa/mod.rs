//! RSA (RFC 8017) on AWS-LC: keys parsed once, shared by all threads, blinded in every private operation.

mod arithmetic;
mod exponent;
mod generate;
mod import;
mod miller_rabin;
mod pkcs1;
mod primes;
mod private;
mod public;

pub use generate::Primes;
pub use import::Parts;
pub use private::PrivateKey;
pub use public::PublicKey;

use super::Hash;
use std::ops::RangeInclusive;

/// Bits of a modulus that is accepted from outside.
pub const BITS: RangeInclusive<usize> = 1024..=16384;

/// Bits of a modulus that is generated: the multiples of 128 among these.
pub const GENERATED_BITS: RangeInclusive<usize> = 2048..=8192;

/// The encoding of RSAES-OAEP (RFC 8017, section 7.1).
#[derive(Clone, Copy)]
pub struct Oaep<'a> {
    /// The label's hash.
    pub hash: Hash,
    /// The mask's hash.
    pub mgf: Hash,
    /// The label.
    pub label: &'a [u8],
}

impl Oaep<'_> {
    /// Bytes of message that fit under a modulus of `size` bytes; `None` if not even the empty one does.
    pub fn capacity(&self, size: usize) -> Option<usize> {
        size.checked_sub(2 * self.hash.output_len() + 2)
    }
}

/// The encoding of RSASSA-PSS (RFC 8017, section 8.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pss {
    /// The message's hash.
    pub hash: Hash,
    /// The mask's hash.
    pub mgf: Hash,
    /// Bytes of salt.
    pub salt_len: usize,
}

impl Pss {
    /// Whether hash and salt fit under a modulus of `bits` bits (section 9.1.1, step 3).
    pub fn fits(&self, bits: usize) -> bool {
        let needed = self.salt_len.checked_add(self.hash.output_len() + 2);
        needed.is_some_and(|needed| needed <= (bits - 1).div_ceil(8))
    }
}

/// Bytes that PKCS#1 v1.5 takes from the modulus' size, in signatures and in encryption.
pub const PKCS1_OVERHEAD: usize = 11;

#[cfg(test)]
mod tests;
