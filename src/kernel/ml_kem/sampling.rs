//! Polynomials out of seeds (FIPS 203, section 4.2.2), those of eight seeds side by side.

use super::Processor;
use super::keccak::{SHAKE128, SHAKE256, States, TOGETHER};
use super::ring::{N, Poly};
use super::vector::{LANES, Q, Vector};
use std::array::from_fn;

/// Bytes that SHAKE128 gives between two permutations.
pub(super) const BLOCK: usize = 168;

/// Room for the numbers that are found, and those of a block and of a vector behind them.
pub(super) const ROOM: usize = N + BLOCK * 2 / 3 + LANES;

/// The transposed matrix of a public key (algorithm 13, lines 3 to 7), row by row: `matrix` is a square of `k` by `k`. Its seed
/// is public, and so is the time this takes.
#[inline(always)]
pub(super) fn matrix<P: Processor>(seed: &[u8; 32], k: usize, matrix: &mut [Poly]) {
    for (batch, polys) in matrix.chunks_mut(TOGETHER).enumerate() {
        let mut states = States::ZERO;
        SHAKE128.begin(&mut states, seed, 2, |state| {
            let place = batch * TOGETHER + state;
            ((place / k) | ((place % k) << 8)) as u64
        });
        let mut found = [([0; ROOM], 0); TOGETHER];
        let found = &mut found[..polys.len()];
        while found.iter().any(|(_, len)| *len < N) {
            P::permute_together(&mut states, polys.len());
            for (state, (numbers, len)) in found.iter_mut().enumerate() {
                if *len < N {
                    let lanes: [u64; BLOCK / 8] = states.lanes(state);
                    let bytes = lanes.map(u64::to_le_bytes);
                    *len = P::accept(bytes.as_flattened().try_into().expect("a block"), numbers, *len);
                }
            }
        }
        for (poly, (numbers, _)) in polys.iter_mut().zip(found) {
            poly.coefficients_mut().copy_from_slice(&numbers[..N]);
            poly.order::<P::Vector>();
        }
    }
}

/// Algorithm 7, steps 4 to 16, of numbers of 12 bits: puts those below q behind the first `len`, which are less than 256, and
/// tells how many there are then. What is behind them may change.
#[inline(always)]
pub(super) fn accept(bytes: &[u8; BLOCK], numbers: &mut [i16; ROOM], mut len: usize) -> usize {
    for &[low, middle, high] in bytes.as_chunks().0 {
        let two = u32::from_le_bytes([low, middle, high, 0]);
        for number in [two & 0xFFF, two >> 12] {
            numbers[len] = number as i16;
            len += usize::from(number < Q as u32);
        }
    }
    len
}

/// The noise of an encryption (algorithm 14, lines 9 to 17): `count` polynomials by the bytes 0 and on behind the seed, the
/// first `wide` of them of eta 3, the others of eta 2.
#[inline(always)]
pub(super) fn noise<P: Processor>(seed: &[u8; 32], wide: usize, states: &mut States, polys: &mut [Poly]) {
    for (batch, polys) in polys.chunks_mut(TOGETHER).enumerate() {
        let first = batch * TOGETHER;
        SHAKE256.begin(states, seed, 1, |state| (first + state) as u64);
        P::permute_together(states, polys.len());
        let mut starts = [[0; 17]; TOGETHER];
        for (state, start) in starts.iter_mut().enumerate() {
            *start = states.lanes(state);
        }
        if first < wide {
            P::permute_together(states, polys.len());
        }
        for (state, (poly, start)) in polys.iter_mut().zip(starts).enumerate() {
            if first + state < wide {
                let mut lanes = [0; 24];
                lanes[..17].copy_from_slice(&start);
                lanes[17..].copy_from_slice(&states.lanes::<7>(state));
                of_eta_3(&lanes, poly);
            } else {
                of_eta_2::<P::Vector>(start.first_chunk().expect("128 of 136 bytes"), poly);
            }
        }
    }
}

/// Algorithm 8 for eta 2: of each four bits, the first two less the other two.
#[inline(always)]
fn of_eta_2<V: Vector>(lanes: &[u64; 16], poly: &mut Poly) {
    let mut words = [[0_i16; LANES / 4]; N / LANES];
    for (four, lane) in words.as_flattened_mut().as_chunks_mut::<4>().0.iter_mut().zip(lanes) {
        *four = from_fn(|i| (lane >> (16 * i)) as i16);
    }
    // Brings the four bits of each of four neighbours to the top.
    let places = V::load(&from_fn(|i| 1 << (12 - 4 * (i % 4))));
    let (ones, twos, fours) = (V::splat(0x5555), V::splat(0x3333), V::splat(0x4444));
    for (i, words) in words.iter().enumerate() {
        let bits = V::quadruple(words);
        let pairs = bits.and(ones).add(bits.shift_right::<1>().and(ones));
        // Four more, so that no difference borrows from its neighbour.
        let differences = pairs.and(twos).add(fours).sub(pairs.shift_right::<2>().and(twos));
        poly.set_vector(i, differences.mul_low(places).shift_right::<12>().sub(V::splat(4)));
    }
}

/// The same for eta 3 and six bits.
#[inline(always)]
fn of_eta_3(lanes: &[u64; 24], poly: &mut Poly) {
    let mut bytes = [0; 192];
    for (to, lane) in bytes.as_chunks_mut().0.iter_mut().zip(lanes) {
        *to = lane.to_le_bytes();
    }
    for (four, &[a, b, c]) in
        poly.coefficients_mut().as_chunks_mut::<4>().0.iter_mut().zip(bytes.as_chunks().0)
    {
        let bits = u32::from_le_bytes([a, b, c, 0]);
        let triples = (bits & 0o11111111) + (bits >> 1 & 0o11111111) + (bits >> 2 & 0o11111111);
        *four = from_fn(|i| {
            let pair = triples >> (6 * i);
            (pair & 7) as i16 - (pair >> 3 & 7) as i16
        });
    }
}
