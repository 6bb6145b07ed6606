//! K-PKE and ML-KEM (FIPS 203, sections 5 and 6) on keys that are expanded.

use super::coding::{self, ENCODED};
use super::keccak::{SHA3_256, SHA3_512, SHAKE256, State, States};
use super::ring::{Multiplier, Poly, VECTORS};
use super::sampling;
use super::vector::Vector;
use super::{K_MOST, PrivateKey, Processor, PublicKey, Size};

/// Bytes of the longest ciphertext.
const CIPHERTEXT: usize = 1568;

/// What is in between, all of it secret: it lies on the stack, which whoever calls wipes to [`super::DEPTH`].
struct Work {
    state: State,
    states: States,
    noise: [Poly; 2 * K_MOST + 1],
    column: [Multiplier; K_MOST],
    sum: Poly,
    /// The secret and the seed of the noise (algorithm 17, line 1; algorithm 18, line 6).
    hashed: [u8; 64],
    message: [u8; 32],
    again: [u8; CIPHERTEXT],
}

impl Work {
    const NONE: Work = Work {
        state: [0; 25],
        states: States::ZERO,
        noise: [Poly::ZERO; 2 * K_MOST + 1],
        column: [Multiplier::ZERO; K_MOST],
        sum: Poly::ZERO,
        hashed: [0; 64],
        message: [0; 32],
        again: [0; CIPHERTEXT],
    };
}

/// Takes a public key apart.
#[inline(always)]
pub(super) fn expand<P: Processor>(key: &mut PublicKey, encoded: &[u8]) {
    let k = key.size.k();
    let (vector, seed) = encoded.split_last_chunk::<32>().expect("a public key");
    let (matrix, last) = key.polys.split_at_mut(k * k);
    sampling::matrix::<P>(seed, k, matrix);
    decode::<P>(vector, last);
    key.hash = SHA3_256.digest::<P, 32>(&mut [0; 25], &[encoded]);
}

/// Takes a private key apart.
#[inline(always)]
pub(super) fn expand_private<P: Processor>(key: &mut PrivateKey, encoded: &[u8]) {
    let (vector, rest) = encoded.split_at(key.public.size.k() * ENCODED);
    let (public, rest) = rest.split_at(rest.len() - 64);
    decode::<P>(vector, &mut key.vector);
    expand::<P>(&mut key.public, public);
    key.rejection.copy_from_slice(&rest[32..]);
}

#[inline(always)]
fn decode<P: Processor>(encoded: &[u8], polys: &mut [Poly]) {
    for (poly, bytes) in polys.iter_mut().zip(encoded.as_chunks().0) {
        coding::decode(bytes, poly);
        poly.order::<P::Vector>();
    }
}

/// Algorithm 17.
#[inline(always)]
pub(super) fn encapsulate<P: Processor>(
    key: &PublicKey,
    message: &[u8; 32],
    ciphertext: &mut [u8],
    secret: &mut [u8; 32],
) {
    let mut work = Work::NONE;
    work.message = *message;
    work.hashed = SHA3_512.digest::<P, 64>(&mut work.state, &[message, &key.hash]);
    encrypt::<P>(key, &mut work);
    ciphertext.copy_from_slice(&work.again[..ciphertext.len()]);
    secret.copy_from_slice(&work.hashed[..32]);
}

/// Algorithm 18: whether the ciphertext is refused shows in the secret only, which then is another one.
#[inline(always)]
pub(super) fn decapsulate<P: Processor>(key: &PrivateKey, ciphertext: &[u8], secret: &mut [u8; 32]) {
    let mut work = Work::NONE;
    decrypt::<P>(key, ciphertext, &mut work);
    work.hashed = SHA3_512.digest::<P, 64>(&mut work.state, &[&work.message, &key.public.hash]);
    let rejected = SHAKE256.digest::<P, 32>(&mut work.state, &[&key.rejection, ciphertext]);
    encrypt::<P>(&key.public, &mut work);
    let differ = ciphertext.iter().zip(&work.again).fold(0, |differ, (a, b)| differ | (a ^ b));
    // All ones if they differ. The barrier keeps the compiler from making a branch of it.
    let mask = std::hint::black_box((u16::from(differ).wrapping_neg() >> 8) as u8);
    for ((to, accepted), rejected) in secret.iter_mut().zip(&work.hashed[..32]).zip(rejected) {
        *to = accepted ^ (mask & (accepted ^ rejected));
    }
}

/// Algorithm 14: the ciphertext goes to `again`.
#[inline(always)]
fn encrypt<P: Processor>(key: &PublicKey, work: &mut Work) {
    let (k, wide) = (key.size.k(), key.size.wide_noise());
    let seed = work.hashed.last_chunk().expect("the second half");
    sampling::noise::<P>(seed, wide, &mut work.states, &mut work.noise[..2 * k + 1]);
    let (vector, noise) = work.noise.split_at(k);
    for (poly, multiplier) in vector.iter().zip(&mut work.column) {
        poly.transformed::<P::Vector>(multiplier);
    }
    let column = &work.column[..k];
    let mut to = &mut work.again[..];
    for (row, noise) in key.polys[..k * k].chunks_exact(k).zip(noise) {
        work.sum.of_products::<P::Vector>(row, column);
        for i in 0..VECTORS {
            let sum: P::Vector = work.sum.vector(i);
            work.sum.set_vector(i, sum.add(noise.vector(i)).canonical());
        }
        match key.size {
            Size::K4 => coding::pack::<11>(&work.sum, to.split_off_mut(..11 * 32).expect("room")),
            _ => coding::pack::<10>(&work.sum, to.split_off_mut(..10 * 32).expect("room")),
        }
    }
    let (mut message, last) = (Poly::ZERO, &noise[k]);
    coding::of_message(&work.message, &mut message);
    work.sum.of_products::<P::Vector>(&key.polys[k * k..], column);
    for i in 0..VECTORS {
        let sum: P::Vector = work.sum.vector(i);
        work.sum.set_vector(i, sum.add(last.vector(i)).add(message.vector(i)).canonical());
    }
    match key.size {
        Size::K4 => coding::pack::<5>(&work.sum, &mut to[..5 * 32]),
        _ => coding::pack::<4>(&work.sum, &mut to[..4 * 32]),
    }
}

/// Algorithm 15: the message goes to `message`.
#[inline(always)]
fn decrypt<P: Processor>(key: &PrivateKey, mut ciphertext: &[u8], work: &mut Work) {
    let (k, size) = (key.vector.len(), key.public.size);
    for multiplier in &mut work.column[..k] {
        match size {
            Size::K4 => {
                coding::unpack::<11>(ciphertext.split_off(..11 * 32).expect("it is there"), &mut work.sum)
            }
            _ => coding::unpack::<10>(ciphertext.split_off(..10 * 32).expect("it is there"), &mut work.sum),
        }
        work.sum.transformed::<P::Vector>(multiplier);
    }
    let blinded = &mut work.noise[0];
    match size {
        Size::K4 => coding::unpack::<5>(ciphertext, blinded),
        _ => coding::unpack::<4>(ciphertext, blinded),
    }
    work.sum.of_products::<P::Vector>(&key.vector, &work.column[..k]);
    for i in 0..VECTORS {
        let blinded: P::Vector = blinded.vector(i);
        work.sum.set_vector(i, blinded.sub(work.sum.vector(i)).canonical());
    }
    work.message = coding::to_message(&work.sum);
}
