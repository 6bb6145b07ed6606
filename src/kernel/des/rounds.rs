//! Triple DES over bit slices (FIPS 46-3), written once for vectors of every width.
//!
//! A batch of `64 * LANES` blocks is 64 vectors of 64-bit lanes, blocks in order. Transposing every lane's 64 by
//! 64 bits makes vector `p` hold bit `p` of all blocks; then a permutation is a choice of index, XOR with a subkey
//! bit is XOR with a vector of one value, and an S-box is a network of gates. Nothing depends on the data.
//!
//! * IP and FP are choices of index. With byte `g` and bit `k` counted as in memory, IP puts a bit into the left
//!   half if `k` is even, at `8 * (3 - k / 2) + 7 - g`, and into the right half beside it if `k` is odd. So the state
//!   is 32 pairs of vectors that never move. Between the three DES, FP and IP cancel.
//! * Even rounds of a DES write one half and odd ones the other; the swap of the halves at its end exchanges their
//!   parts in the next DES, and is a swap of neighbours after the third.
//! * Networks of two-input gates may give an output complemented, as it saves the gate that would put it right. Let
//!   `c` be those outputs as a mask over a half. Round 1 leaves R1 ^ c, round 2 R2 ^ c; the next two XOR another
//!   `c` on top and take it away. So the rounds 2 and 3 of every four read a half with `c` on it, which their
//!   subkeys make good, and 16 rounds end with none.

use super::schedule::{Masks, SUBKEY, Subkey, place_of};

/// Bit selection E, and which of the 32 outputs of the S-boxes permutation P puts where. From 1, as in the standard.
const E: [u8; 48] = [
    32, 1, 2, 3, 4, 5, 4, 5, 6, 7, 8, 9, 8, 9, 10, 11, 12, 13, 12, 13, 14, 15, 16, 17, 16, 17, 18, 19, 20,
    21, 20, 21, 22, 23, 24, 25, 24, 25, 26, 27, 28, 29, 28, 29, 30, 31, 32, 1,
];
const P: [u8; 32] = [
    16, 7, 20, 21, 29, 12, 28, 17, 1, 15, 23, 26, 5, 18, 31, 10, 2, 8, 24, 14, 32, 27, 3, 9, 19, 13, 30, 6,
    22, 11, 4, 25,
];

/// Where P puts each output of the S-boxes, from 0.
const TO: [usize; 32] = {
    let mut to = [0; 32];
    let mut place = 0;
    while place < 32 {
        to[P[place] as usize - 1] = place;
        place += 1;
    }
    to
};

/// One bit of `64 * LANES` blocks.
///
/// # Safety
/// The size must be LANES times 8 and any bytes must be a value.
pub unsafe trait Slice: Copy {
    /// 64-bit lanes in a vector.
    const LANES: usize;
    /// Which outputs `substitute` complements, the first one of S1 lowest.
    const COMPLEMENTED: u32;

    /// `mask`, which is 0 or -1, in every bit.
    fn splat(mask: &i32) -> Self;
    /// The masks of bits 0 to 23.
    fn spread(bits: u32) -> [i32; 24];
    /// Exclusive or.
    fn xor(self, other: Self) -> Self;
    /// Swaps the bits of `low` that have the bit `BY` in their place with those of `high` that have it not.
    fn swap<const BY: u32>(low: &mut Self, high: &mut Self);
    /// XORs S-box `BOX` (0 to 7) of six bits, first to last, into four.
    fn substitute<const BOX: usize>(input: [Self; 6], into: [Self; 4]) -> [Self; 4];
}

/// The bits of a word whose place does not have the bit `by`.
pub const fn places_without(by: u32) -> u64 {
    u64::MAX / ((1 << by) + 1)
}

/// Complemented outputs as they come back to the S-boxes' inputs: the change of a subkey.
pub const fn at_inputs(complemented: u32) -> u64 {
    let (mut change, mut bit) = (0, 0);
    while bit < SUBKEY {
        let output = P[E[bit] as usize - 1] - 1;
        if complemented >> output & 1 == 1 {
            change |= place_of(bit);
        }
        bit += 1;
    }
    change
}

/// 64 vectors: a batch of blocks, the same transposed, or the state, whose place `i` of the left half is
/// `[PAIR[i]][0]` and of the right half `[PAIR[i]][1]`.
pub type Batch<V> = [[V; 2]; 32];

const PAIR: [usize; 32] = {
    let mut pair = [0; 32];
    let mut place = 0;
    while place < 32 {
        pair[place] = 4 * (7 - place % 8) + 3 - place / 8;
        place += 1;
    }
    pair
};

/// Triple DES of a batch of blocks.
#[inline(always)]
pub fn crypt<V: Slice>(batch: &mut Batch<V>, masks: &Masks) {
    transpose(batch);
    for (nth, des) in masks.0.as_chunks::<16>().0.iter().enumerate() {
        for [even, odd] in des.as_chunks::<2>().0 {
            round(batch, nth % 2, even);
            round(batch, 1 - nth % 2, odd);
        }
    }
    batch.iter_mut().for_each(|pair| pair.swap(0, 1));
    transpose(batch);
}

/// A round that writes the half `into` and reads the other.
#[inline(always)]
fn round<V: Slice>(state: &mut Batch<V>, into: usize, subkey: &Subkey) {
    // Every box reads what six of the last round's wrote. In this order the last two have most time to get there.
    substitute::<V, 0>(state, into, subkey);
    substitute::<V, 1>(state, into, subkey);
    substitute::<V, 3>(state, into, subkey);
    substitute::<V, 4>(state, into, subkey);
    substitute::<V, 5>(state, into, subkey);
    substitute::<V, 6>(state, into, subkey);
    substitute::<V, 7>(state, into, subkey);
    substitute::<V, 2>(state, into, subkey);
}

#[inline(always)]
fn substitute<V: Slice, const BOX: usize>(state: &mut Batch<V>, into: usize, subkey: &Subkey) {
    let (into, from) = (into % 2, (into + 1) % 2);
    macro_rules! input {
        ($($i:literal)*) => {
            [$(state[PAIR[E[6 * BOX + $i] as usize - 1]][from].xor(V::splat(&subkey[BOX / 4][6 * (BOX % 4) + $i]))),*]
        };
    }
    macro_rules! output {
        ($i:literal) => {
            state[PAIR[TO[4 * BOX + $i]]][into]
        };
    }
    let old = [output!(0), output!(1), output!(2), output!(3)];
    let new = V::substitute::<BOX>(input!(0 1 2 3 4 5), old);
    (output!(0), output!(1), output!(2), output!(3)) = (new[0], new[1], new[2], new[3]);
}

/// Bit `p` of word `i` to bit `i` of word `p`, in every lane.
#[inline(always)]
fn transpose<V: Slice>(batch: &mut Batch<V>) {
    let vectors = batch.as_flattened_mut();
    for first in 0..8 {
        exchange::<V, 8, 32, 16, 8>(vectors, first);
    }
    for first in 0..8 {
        exchange::<V, 1, 4, 2, 1>(vectors, 8 * first);
    }
}

/// Three of its six steps, on eight vectors that are `STEP` apart.
#[inline(always)]
fn exchange<V: Slice, const STEP: usize, const A: u32, const B: u32, const C: u32>(
    all: &mut [V],
    first: usize,
) {
    let all = &mut all[first..first + 7 * STEP + 1];
    let at = |k: usize| k * STEP;
    let [mut a, mut b, mut c, mut d] = [all[at(0)], all[at(1)], all[at(2)], all[at(3)]];
    let [mut e, mut f, mut g, mut h] = [all[at(4)], all[at(5)], all[at(6)], all[at(7)]];
    V::swap::<A>(&mut a, &mut e);
    V::swap::<A>(&mut b, &mut f);
    V::swap::<A>(&mut c, &mut g);
    V::swap::<A>(&mut d, &mut h);
    V::swap::<B>(&mut a, &mut c);
    V::swap::<B>(&mut b, &mut d);
    V::swap::<B>(&mut e, &mut g);
    V::swap::<B>(&mut f, &mut h);
    V::swap::<C>(&mut a, &mut b);
    V::swap::<C>(&mut c, &mut d);
    V::swap::<C>(&mut e, &mut f);
    V::swap::<C>(&mut g, &mut h);
    [all[at(0)], all[at(1)], all[at(2)], all[at(3)]] = [a, b, c, d];
    [all[at(4)], all[at(5)], all[at(6)], all[at(7)]] = [e, f, g, h];
}
