//! The key schedule (FIPS 46-3, "The key schedule KS"), for bitsliced rounds.
//!
//! Every subkey bit is one place of the 56 bits C0 and D0, known when compiling, so there is neither a branch nor
//! an index that depends on the key. A [`Schedule`] is what a key object keeps: 48 subkeys of 48 bits in the
//! order of the S-boxes' inputs. A batch needs every bit as a word of all zeros or all ones; [`Masks`] are those
//! words, made for one call and wiped after it.

use super::Direction;
use super::rounds::{Slice, at_inputs};
use std::array;
use std::hint::black_box;
use std::mem::MaybeUninit;
use zeroize::Zeroize;

/// Permuted choice 1, and permuted choice 2 on the 56 bits it gives. Bits are numbered from 1, as in the standard.
const PC1: [u8; 56] = [
    57, 49, 41, 33, 25, 17, 9, 1, 58, 50, 42, 34, 26, 18, 10, 2, 59, 51, 43, 35, 27, 19, 11, 3, 60, 52, 44,
    36, 63, 55, 47, 39, 31, 23, 15, 7, 62, 54, 46, 38, 30, 22, 14, 6, 61, 53, 45, 37, 29, 21, 13, 5, 28, 20,
    12, 4,
];
const PC2: [u8; 48] = [
    14, 17, 11, 24, 1, 5, 3, 28, 15, 6, 21, 10, 23, 19, 12, 4, 26, 8, 16, 7, 27, 20, 13, 2, 41, 52, 31, 37,
    47, 55, 30, 40, 51, 45, 33, 48, 44, 49, 39, 56, 34, 53, 46, 42, 50, 36, 29, 32,
];
/// How far C and D have been rotated in each round.
const ROTATED: [u8; 16] = [1, 2, 4, 6, 8, 10, 12, 14, 15, 17, 19, 21, 23, 25, 27, 28];

/// Rounds in triple DES.
pub const ROUNDS: usize = 48;
/// Bits in a subkey.
pub const SUBKEY: usize = 48;

/// `REACH[bit][round]` is where a bit of the key, counted from 0 at the top of its first byte, comes to in the
/// subkeys.
const REACH: [[u64; 16]; 64] = {
    let mut reach = [[0; 16]; 64];
    let mut round = 0;
    while round < 16 {
        let mut bit = 0;
        while bit < SUBKEY {
            let place = PC2[bit] - 1;
            let half = place / 28 * 28;
            let rotated = half + (place - half + ROTATED[round]) % 28;
            reach[PC1[rotated as usize] as usize - 1][round] |= place_of(bit);
            bit += 1;
        }
        round += 1;
    }
    reach
};

/// Where a word holds a bit (from 0, the first) of a subkey: 24 in its low half, 24 in its high half.
pub const fn place_of(bit: usize) -> u64 {
    1 << (bit / 24 * 32 + bit % 24)
}

/// The subkeys of EDE encryption in order; decryption takes them from the end.
#[derive(Clone)]
pub struct Schedule {
    subkeys: [u64; ROUNDS],
}

impl Schedule {
    /// From K1, K2 and K3. The parity bits are ignored.
    pub fn new(keys: [&[u8; 8]; 3]) -> Schedule {
        let mut subkeys = [0; ROUNDS];
        for (subkeys, key) in subkeys.as_chunks_mut::<16>().0.iter_mut().zip(keys) {
            let key = u64::from_be_bytes(*key);
            // Unseen by the compiler, which otherwise jumps over the bits that are not set.
            let set = black_box(array::from_fn::<_, 64, _>(|bit| (((key << bit) as i64) >> 63) as u64));
            for (reach, set) in REACH.iter().zip(set) {
                subkeys.iter_mut().zip(reach).for_each(|(subkey, reach)| *subkey |= reach & set);
            }
        }
        // The DES in the middle runs backwards.
        subkeys[16..32].reverse();
        Schedule { subkeys }
    }
}

impl Drop for Schedule {
    fn drop(&mut self) {
        self.subkeys.zeroize();
    }
}

/// `[round]`, two halves of a subkey's bits: -1 for a one, 0 for a zero. Wiped when dropped.
pub struct Masks(pub [Subkey; ROUNDS]);

/// See `Masks`.
pub type Subkey = [[i32; 24]; 2];

impl Masks {
    /// Those for a direction and for what the S-boxes of `V` complement: see `rounds`.
    #[inline(always)]
    pub fn new<V: Slice>(schedule: &Schedule, direction: Direction) -> Masks {
        let complement = const { at_inputs(V::COMPLEMENTED) };
        let mut masks = MaybeUninit::<[Subkey; ROUNDS]>::uninit();
        for round in 0..ROUNDS {
            let subkey =
                schedule.subkeys[if direction == Direction::Encrypt { round } else { ROUNDS - 1 - round }];
            let subkey = if matches!(round % 4, 1 | 2) { subkey ^ complement } else { subkey };
            let halves = [V::spread(subkey as u32), V::spread((subkey >> 32) as u32)];
            // SAFETY: one of ROUNDS places.
            unsafe { masks.as_mut_ptr().cast::<Subkey>().add(round).write(halves) }
        }
        // SAFETY: every place was written.
        Masks(unsafe { masks.assume_init() })
    }
}

impl Drop for Masks {
    #[inline(always)]
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

/// Zeroes what a key or a plaintext was in, quicker than the crate can.
#[inline(always)]
pub fn wipe<T: Copy>(values: &mut [T]) {
    // SAFETY: plain numbers and vectors, of which zero is one.
    unsafe { values.as_mut_ptr().write_bytes(0, values.len()) }
    // Looks at them, as far as the compiler can tell, so that it cannot leave the writing out.
    black_box(values);
}
