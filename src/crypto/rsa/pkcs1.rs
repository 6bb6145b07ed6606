//! The decoding of RSAES-PKCS1-v1_5 with implicit rejection, as draft-irtf-cfrg-rsa-guidance has it.
//!
//! Bleichenbacher's attack needs to learn whether a padding is right. Here a wrong one gives a plaintext too,
//! made from the ciphertext by a keyed function: always the same for one ciphertext, of a plausible length,
//! and looking like any other. Up to the choice of length at the very end, time and memory accesses do not
//! depend on the block.

use crate::crypto::{Hash, Secret, hmac};
use crate::error::Result;
use std::hint::black_box;

/// Lengths that are drawn for one that fits; all miss with a probability below 2^-128.
const LENGTH_CANDIDATES: usize = 128;

/// The source of synthetic plaintexts for one ciphertext.
pub(super) struct Rejection(hmac::Key);

impl Rejection {
    /// `key` belongs to the private key; `ciphertext` has the modulus' size.
    pub(super) fn new(key: &hmac::Key, ciphertext: &[u8]) -> Result<Rejection> {
        let mut derived = key.mac(ciphertext);
        let key = hmac::Key::new(Hash::Sha256, &derived);
        crate::crypto::wipe(&mut derived);
        key.map(Rejection)
    }

    /// `len` bytes under a label (the draft's IRPRF).
    fn bytes(&self, label: &[u8], len: usize) -> Secret {
        let mut out = Secret::zeroed(len);
        for (index, chunk) in out.expose_mut().chunks_mut(32).enumerate() {
            let mut mac = self.0.start();
            mac.update(&(index as u16).to_be_bytes());
            mac.update(label);
            mac.update(&((8 * len) as u16).to_be_bytes());
            chunk.copy_from_slice(&mac.finish()[..chunk.len()]);
        }
        out
    }

    /// A length from 0 to `most`.
    fn length(&self, most: usize) -> usize {
        let candidates = self.bytes(b"length", 2 * LENGTH_CANDIDATES);
        let mask = (most + 1).next_power_of_two() - 1;
        candidates.expose().chunks_exact(2).fold(0, |length, pair| {
            let candidate = u16::from_be_bytes([pair[0], pair[1]]) as usize & mask;
            select(less(candidate, most + 1), candidate, length)
        })
    }
}

/// The message in `block`, or the synthetic one.
pub(super) fn decode(block: &[u8], rejection: &Rejection) -> Secret {
    let size = block.len();
    let synthetic = rejection.bytes(b"message", size);
    let synthetic_start = size - rejection.length(size - super::PKCS1_OVERHEAD);
    let (good, start) = parse(block);
    let start = select(good, start, synthetic_start);
    let chosen = choose(good, block, synthetic.expose());
    Secret::from_slice(&chosen.expose()[start..])
}

/// The message in `block` if it has `len` bytes, or the synthetic one cut to as many.
pub(super) fn decode_of_len(block: &[u8], len: usize, rejection: &Rejection) -> Secret {
    let size = block.len();
    let synthetic = rejection.bytes(b"message", size);
    let (good, start) = parse(block);
    let good = good & equal(start, size - len);
    choose(good, &block[size - len..], &synthetic.expose()[size - len..])
}

/// 00 02, at least eight bytes that are not zero, zero, message: all ones if so, and where the message starts.
fn parse(block: &[u8]) -> (usize, usize) {
    let mut separator = 0;
    let mut found = 0;
    for (index, byte) in block.iter().enumerate().skip(2) {
        let zero = equal(*byte as usize, 0);
        separator = select(zero & !found, index, separator);
        found |= zero;
    }
    let header = equal(block[0] as usize, 0) & equal(block[1] as usize, 2);
    (header & found & !less(separator, 10), separator + 1)
}

/// All of one slice or the other.
fn choose(first: usize, a: &[u8], b: &[u8]) -> Secret {
    let mut out = Secret::zeroed(a.len());
    for ((to, a), b) in out.expose_mut().iter_mut().zip(a).zip(b) {
        *to = select(first, *a as usize, *b as usize) as u8;
    }
    out
}

// Masks: all ones for true, zero for false. Numbers stay far below the highest bit of a usize. `black_box`
// keeps the compiler from finding out that a mask has only two values and branching on it.

fn less(a: usize, b: usize) -> usize {
    black_box(0usize.wrapping_sub(a.wrapping_sub(b) >> (usize::BITS - 1)))
}

fn equal(a: usize, b: usize) -> usize {
    less(a ^ b, 1)
}

fn select(mask: usize, a: usize, b: usize) -> usize {
    (mask & a) | (!mask & b)
}
