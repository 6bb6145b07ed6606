//! Keccak-f\[1600\] (FIPS 202) on words that are one state's lane, or the same lane of several states.

use super::Processor;
use std::array::from_fn;

/// Lanes of a state.
const LANES: usize = 25;

/// One state.
pub(super) type State = [u64; LANES];

/// The most states that are permuted together.
pub(super) const TOGETHER: usize = 8;

/// As many states, lane by lane.
#[repr(C, align(64))]
pub(super) struct States(pub [[u64; TOGETHER]; LANES]);

impl States {
    /// All zeros.
    pub const ZERO: States = States([[0; TOGETHER]; LANES]);

    /// One of them alone.
    #[inline(always)]
    pub fn permute_one<P: Processor>(&mut self, state: usize) {
        let mut alone: State = self.lanes(state);
        P::permute(&mut alone);
        for (lanes, lane) in self.0.iter_mut().zip(alone) {
            lanes[state] = lane;
        }
    }

    /// The first lanes of one of them.
    #[inline(always)]
    pub fn lanes<const N: usize>(&self, state: usize) -> [u64; N] {
        from_fn(|lane| self.0[lane][state])
    }
}

/// A lane of one state or of several.
pub(super) trait Word: Copy {
    /// The same in every state.
    fn splat(lane: u64) -> Self;
    /// Exclusive or.
    fn xor(self, other: Self) -> Self;
    /// `self` where `mask` has zeros and `other` has ones, added to `into`: step chi.
    fn chi(into: Self, mask: Self, other: Self) -> Self;
    /// To the left.
    fn rotate(self, by: u32) -> Self;

    /// Exclusive or of five.
    #[inline(always)]
    fn sum(words: [Self; 5]) -> Self {
        let [a, b, c, d, e] = words;
        a.xor(b).xor(c).xor(d.xor(e))
    }
}

impl Word for u64 {
    #[inline(always)]
    fn splat(lane: u64) -> u64 {
        lane
    }

    #[inline(always)]
    fn xor(self, other: u64) -> u64 {
        self ^ other
    }

    #[inline(always)]
    fn chi(into: u64, mask: u64, other: u64) -> u64 {
        into ^ (!mask & other)
    }

    #[inline(always)]
    fn rotate(self, by: u32) -> u64 {
        self.rotate_left(by)
    }
}

/// The offsets of step rho (section 3.2.2), lane (x, y) at `5 * y + x`.
const OFFSETS: [u32; LANES] = {
    let mut offsets = [0; LANES];
    let (mut x, mut y, mut t) = (1, 0, 0);
    while t < 24 {
        offsets[5 * y + x] = (t + 1) * (t + 2) / 2 % 64;
        (x, y) = (y, (2 * x + 3 * y) % 5);
        t += 1;
    }
    offsets
};

/// The round constants of step iota (section 3.2.5).
const CONSTANTS: [u64; 24] = {
    let mut constants = [0; 24];
    let mut register: u8 = 1;
    let mut round = 0;
    while round < 24 {
        let mut j = 0;
        while j < 7 {
            constants[round] |= ((register & 1) as u64) << ((1 << j) - 1);
            register = (register << 1) ^ ((register >> 7) * 0x71);
            j += 1;
        }
        round += 1;
    }
    constants
};

/// The permutation (section 3.3).
#[inline(always)]
pub(super) fn permute<W: Word>(state: &mut [W; LANES]) {
    let mut a = *state;
    for constant in CONSTANTS {
        let mut columns = [a[0]; 5];
        for x in 0..5 {
            columns[x] = W::sum([a[x], a[x + 5], a[x + 10], a[x + 15], a[x + 20]]);
        }
        let mut theta = columns;
        for x in 0..5 {
            theta[x] = columns[(x + 4) % 5].xor(columns[(x + 1) % 5].rotate(1));
        }
        let before = a;
        for y in 0..5 {
            // Steps rho and pi: lane (x, y) comes from (x + 3y, x).
            let mut row = theta;
            for (x, lane) in row.iter_mut().enumerate() {
                let (from_x, from_y) = ((x + 3 * y) % 5, x);
                let from = 5 * from_y + from_x;
                *lane = before[from].xor(theta[from_x]).rotate(OFFSETS[from]);
            }
            for x in 0..5 {
                a[5 * y + x] = W::chi(row[x], row[(x + 1) % 5], row[(x + 2) % 5]);
            }
        }
        a[0] = a[0].xor(W::splat(constant));
    }
    *state = a;
}

/// What a hash function adds behind its message, and the bytes it takes in at a time (FIPS 202, section 6).
pub(super) struct Sponge {
    suffix: u64,
    rate: usize,
}

pub(super) const SHA3_256: Sponge = Sponge { suffix: 0x06, rate: 136 };
pub(super) const SHA3_512: Sponge = Sponge { suffix: 0x06, rate: 72 };
pub(super) const SHAKE128: Sponge = Sponge { suffix: 0x1F, rate: 168 };
pub(super) const SHAKE256: Sponge = Sponge { suffix: 0x1F, rate: 136 };

impl Sponge {
    /// The first `N` bytes of the digest of a message in parts of whole lanes.
    #[inline(always)]
    pub fn digest<P: Processor, const N: usize>(&self, state: &mut State, message: &[&[u8]]) -> [u8; N] {
        let lanes = self.rate / 8;
        *state = [0; LANES];
        let mut at = 0;
        for part in message {
            let (words, rest) = part.as_chunks();
            debug_assert!(rest.is_empty(), "parts of whole lanes");
            for word in words {
                state[at] ^= u64::from_le_bytes(*word);
                at += 1;
                if at == lanes {
                    P::permute(state);
                    at = 0;
                }
            }
        }
        state[at] ^= self.suffix;
        state[lanes - 1] ^= 1 << 63;
        P::permute(state);
        let mut digest = [0; N];
        for (to, lane) in digest.chunks_exact_mut(8).zip(state.iter()) {
            to.copy_from_slice(&lane.to_le_bytes());
        }
        digest
    }

    /// Eight messages of a seed and two bytes or one more, which `last` tells of each; not yet permuted.
    #[inline(always)]
    pub fn begin(&self, states: &mut States, seed: &[u8; 32], len: u32, last: impl Fn(usize) -> u64) {
        *states = States::ZERO;
        for (lanes, word) in states.0.iter_mut().zip(seed.as_chunks().0) {
            *lanes = [u64::from_le_bytes(*word); TOGETHER];
        }
        states.0[4] = from_fn(|state| last(state) | self.suffix << (8 * len));
        states.0[self.rate / 8 - 1] = [1 << 63; TOGETHER];
    }
}
