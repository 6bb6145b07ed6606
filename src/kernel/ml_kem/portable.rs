//! Any processor: arrays, which the compiler may or may not turn into what vectors there are.

use super::keccak::{State, States, permute};
use super::sampling::{BLOCK, ROOM, accept};
use super::vector::{LANES, Q, Vector};
use super::{Processor, Way, scheme};
use std::array::from_fn;

pub(super) struct Portable;

impl Processor for Portable {
    type Vector = Numbers;

    fn permute(state: &mut State) {
        permute(state);
    }

    fn permute_together(states: &mut States, count: usize) {
        for state in 0..count {
            states.permute_one::<Portable>(state);
        }
    }

    fn accept(bytes: &[u8; BLOCK], numbers: &mut [i16; ROOM], len: usize) -> usize {
        accept(bytes, numbers, len)
    }
}

#[derive(Clone, Copy)]
pub(super) struct Numbers([i16; LANES]);

impl Numbers {
    #[inline(always)]
    fn with(self, other: Numbers, of: impl Fn(i16, i16) -> i16) -> Numbers {
        Numbers(from_fn(|i| of(self.0[i], other.0[i])))
    }
}

#[rustfmt::skip]
impl Vector for Numbers {
    type Wide = [i32; LANES / 2];

    fn load(from: &[i16; LANES]) -> Self { Numbers(*from) }
    fn store(self, to: &mut [i16; LANES]) { *to = self.0 }
    fn splat(number: i16) -> Self { Numbers([number; LANES]) }
    fn quadruple(from: &[i16; LANES / 4]) -> Self { Numbers(from_fn(|i| from[i / 4])) }
    fn add(self, other: Self) -> Self { self.with(other, i16::wrapping_add) }
    fn sub(self, other: Self) -> Self { self.with(other, i16::wrapping_sub) }
    fn and(self, other: Self) -> Self { self.with(other, |a, b| a & b) }
    fn mul_low(self, other: Self) -> Self { self.with(other, i16::wrapping_mul) }
    fn mul_high(self, other: Self) -> Self {
        self.with(other, |a, b| ((i32::from(a) * i32::from(b)) >> 16) as i16)
    }
    fn mul_rounded(self, other: Self) -> Self {
        self.with(other, |a, b| ((i32::from(a) * i32::from(b) + (1 << 14)) >> 15) as i16)
    }
    fn shift_right<const BY: u32>(self) -> Self { Numbers(self.0.map(|a| (a as u16 >> BY) as i16)) }
    fn negative(self) -> Self { Numbers(self.0.map(|a| a >> 15)) }

    fn part<const N: usize>(self, other: Self) -> (Self, Self) {
        let both = [self.0, other.0];
        let group = |odd| Numbers(from_fn(|i| both.as_flattened()[(2 * (i / N) + odd) * N + i % N]));
        (group(0), group(1))
    }
    fn join<const N: usize>(self, other: Self) -> (Self, Self) {
        let both = [self.0, other.0];
        let half = |half: usize| Numbers(from_fn(|i: usize| {
            let place = half * LANES + i;
            both[place / N % 2][place / N / 2 * N + i % N]
        }));
        (half(0), half(1))
    }
    fn crossed(self) -> Self { Numbers(from_fn(|i| self.0[i ^ 1])) }
    fn with_odd(self, other: Self) -> Self {
        Numbers(from_fn(|i| if i % 2 == 1 { other.0[i] } else { self.0[i] }))
    }

    fn none() -> Self::Wide { [0; LANES / 2] }
    fn dot(sum: Self::Wide, a: Self, b: Self) -> Self::Wide {
        let product = |i| i32::from(a.0[i]) * i32::from(b.0[i]);
        from_fn(|i| sum[i] + product(2 * i) + product(2 * i + 1))
    }
    fn narrow(even: Self::Wide, odd: Self::Wide) -> Self {
        Numbers(from_fn(|i| {
            let number = [even, odd][i % 2][i / 2];
            let quotient = (number as i16).wrapping_mul(super::vector::Q_INVERSE);
            ((number - i32::from(quotient) * i32::from(Q)) >> 16) as i16
        }))
    }
}

/// For any processor.
pub(super) static PORTABLE: Way = Way {
    expand: scheme::expand::<Portable>,
    expand_private: scheme::expand_private::<Portable>,
    encapsulate: scheme::encapsulate::<Portable>,
    decapsulate: scheme::decapsulate::<Portable>,
    // AWS-LC has assembly for AVX2 and for aarch64.
    pays_from: if cfg!(target_arch = "x86_64") { Some(1) } else { None },
};
