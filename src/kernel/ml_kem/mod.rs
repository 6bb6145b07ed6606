//! ML-KEM (FIPS 203): encapsulation and decapsulation with keys whose matrix, vectors and hash are at hand.
//!
//! AWS-LC's, as every implementation for keys that are used once, makes the matrix anew each time: half of an encapsulation.
//! A token's key is used often. Besides, eight of the many Keccak states go through the permutation together here, and
//! what is not Keccak is done on vectors of 32 coefficients.
//!
//! `scheme` is the standard's algorithms, `sampling` and `coding` its functions on bytes, `ring` its arithmetic, `keccak` its
//! hash functions. All are written once for a [`Processor`]; `avx512`, `avx2` and `portable` have what differs.
//!
//! **Constant time.** Only lengths, the parameter set and what a public key shows to all choose a branch or an address.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod coding;
mod keccak;
mod portable;
mod ring;
mod sampling;
mod scheme;
#[cfg(test)]
mod tests;
mod vector;
#[cfg(target_arch = "x86_64")]
mod x86_64;

use keccak::{State, States};
use ring::Poly;
use std::ptr;
use vector::Vector;

/// What differs between processors.
trait Processor {
    type Vector: Vector;

    /// Keccak-f\[1600\] of one state.
    fn permute(state: &mut State);
    /// The same of the first of eight; the others may change too.
    fn permute_together(states: &mut States, count: usize);
    /// [`sampling::accept`].
    fn accept(bytes: &[u8; sampling::BLOCK], numbers: &mut [i16; sampling::ROOM], len: usize) -> usize;
}

/// How deep the stack holds secrets after a call: to be wiped by who calls.
pub const DEPTH: usize = 24 << 10;

/// The largest k.
const K_MOST: usize = 4;

/// The parameter set, by its k (table 2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Size {
    /// ML-KEM-512.
    K2 = 2,
    /// ML-KEM-768.
    K3 = 3,
    /// ML-KEM-1024.
    K4 = 4,
}

impl Size {
    const fn k(self) -> usize {
        self as usize
    }

    /// Polynomials of noise with an eta1 that is larger than eta2.
    const fn wide_noise(self) -> usize {
        match self {
            Size::K2 => 2,
            _ => 0,
        }
    }

    const fn public_len(self) -> usize {
        self.k() * coding::ENCODED + 32
    }

    const fn private_len(self) -> usize {
        self.k() * coding::ENCODED + self.public_len() + 64
    }

    const fn ciphertext_len(self) -> usize {
        match self {
            Size::K4 => (4 * 11 + 5) * 32,
            _ => (self.k() * 10 + 4) * 32,
        }
    }
}

/// One way through the processor.
///
/// Safety: the processor must have what the way is made of.
struct Way {
    expand: unsafe fn(&mut PublicKey, &[u8]),
    expand_private: unsafe fn(&mut PrivateKey, &[u8]),
    encapsulate: unsafe fn(&PublicKey, &[u8; 32], &mut [u8], &mut [u8; 32]),
    decapsulate: unsafe fn(&PrivateKey, &[u8], &mut [u8; 32]),
    /// As [`pays_from`], measured.
    pays_from: Option<u32>,
}

/// The fastest way this processor has.
fn way() -> &'static Way {
    #[cfg(target_arch = "x86_64")]
    {
        let has = super::cpu::features();
        if has.avx512 && has.avx2 && has.bmi {
            return &x86_64::AVX512;
        }
        if has.avx2 && has.bmi {
            return &x86_64::AVX2;
        }
    }
    &portable::PORTABLE
}

/// Which use of a key is the first that is no slower here than with AWS-LC, expanding the key included. `None`: none.
pub fn pays_from() -> Option<u32> {
    way().pays_from
}

/// A public key (encapsulation key), expanded.
pub struct PublicKey {
    size: Size,
    /// The transposed matrix, row by row, and the vector t.
    polys: Box<[Poly]>,
    hash: [u8; 32],
}

impl PublicKey {
    fn zeroed(size: Size) -> PublicKey {
        PublicKey { size, polys: vec![Poly::ZERO; size.k() * (size.k() + 1)].into(), hash: [0; 32] }
    }

    /// From its bytes, which have been checked (section 7.2).
    ///
    /// # Panics
    /// If it has another length.
    pub fn new(size: Size, encoded: &[u8]) -> PublicKey {
        assert_eq!(encoded.len(), size.public_len());
        let mut key = PublicKey::zeroed(size);
        // SAFETY: `way` asked the processor.
        unsafe { (way().expand)(&mut key, encoded) };
        key
    }

    /// Writes the ciphertext, and the secret it carries, for 32 random bytes.
    ///
    /// # Panics
    /// If the ciphertext has another length.
    pub fn encapsulate(&self, message: &[u8; 32], ciphertext: &mut [u8], secret: &mut [u8; 32]) {
        assert_eq!(ciphertext.len(), self.size.ciphertext_len());
        // SAFETY: `way` asked the processor.
        unsafe { (way().encapsulate)(self, message, ciphertext, secret) }
    }
}

/// A private key (decapsulation key), expanded.
pub struct PrivateKey {
    public: PublicKey,
    /// The vector s.
    vector: Box<[Poly]>,
    /// z, for ciphertexts that were not made for this key.
    rejection: [u8; 32],
}

impl PrivateKey {
    /// From its bytes, which have been checked (section 7.3).
    ///
    /// # Panics
    /// If it has another length.
    pub fn new(size: Size, encoded: &[u8]) -> PrivateKey {
        assert_eq!(encoded.len(), size.private_len());
        let mut key = PrivateKey {
            public: PublicKey::zeroed(size),
            vector: vec![Poly::ZERO; size.k()].into(),
            rejection: [0; 32],
        };
        // SAFETY: `way` asked the processor.
        unsafe { (way().expand_private)(&mut key, encoded) };
        key
    }

    /// Its public key.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Writes the secret that a ciphertext carries; another one, always the same, if it was not made for this key.
    ///
    /// # Panics
    /// If the ciphertext has another length.
    pub fn decapsulate(&self, ciphertext: &[u8], secret: &mut [u8; 32]) {
        assert_eq!(ciphertext.len(), self.public.size.ciphertext_len());
        // SAFETY: `way` asked the processor.
        unsafe { (way().decapsulate)(self, ciphertext, secret) }
    }
}

impl Drop for PrivateKey {
    fn drop(&mut self) {
        for poly in &mut self.vector {
            // SAFETY: a place to write; volatile, so that no compiler leaves it out.
            unsafe { ptr::write_volatile(poly, Poly::ZERO) }
        }
        // SAFETY: as above.
        unsafe { ptr::write_volatile(&mut self.rejection, [0; 32]) }
    }
}
