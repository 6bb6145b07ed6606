//! Lanes in numbers, for tests: these run anywhere, and hold the bounds against what is said of them.

use super::field::SUM;
use super::lanes::Lanes;
use std::array::from_fn;

/// Panics where a bound does not hold if they are `CHECKED`: not with secrets that are marked (`kernel::constant_time`), as
/// that is a branch.
#[derive(Clone, Copy)]
pub(super) struct Numbers<const CHECKED: bool>([u64; 4]);

impl<const CHECKED: bool> Numbers<CHECKED> {
    fn with(self, other: Self, of: impl Fn(u64, u64) -> u64) -> Self {
        Numbers(from_fn(|i| of(self.0[i], other.0[i])))
    }

    fn add_product(self, a: Self, b: Self, part: impl Fn(u128) -> u128) -> Self {
        let factor = |number: u64| {
            assert!(!CHECKED || number < 1 << 52, "a factor of more than 52 bits: {number:#x}");
            u128::from(number & ((1 << 52) - 1))
        };
        self.add(a.with(b, |a, b| part(factor(a) * factor(b)) as u64))
    }

    /// The lanes with a set bit from `new`.
    fn or(self, chosen: u8, new: impl Fn(usize) -> u64) -> Self {
        Numbers(from_fn(|i| if chosen >> i & 1 == 1 { new(i) } else { self.0[i] }))
    }
}

#[rustfmt::skip]
impl<const CHECKED: bool> Lanes for Numbers<CHECKED> {
    type Chosen = u8;

    fn chosen(lanes: u8) -> u8 { lanes }
    fn splat(number: u64) -> Self { Numbers([number; 4]) }
    fn load(from: &[u64; 4]) -> Self { Numbers(*from) }
    fn store(self) -> [u64; 4] { self.0 }
    fn add(self, other: Self) -> Self { self.with(other, sum::<CHECKED>) }
    fn and(self, other: Self) -> Self { self.with(other, |a, b| a & b) }
    fn shift_right<const BY: i32>(self) -> Self { Numbers(self.0.map(|a| a >> BY)) }

    fn add_low(self, a: Self, b: Self) -> Self { self.add_product(a, b, |product| product & ((1 << 52) - 1)) }
    fn add_high(self, a: Self, b: Self) -> Self { self.add_product(a, b, |product| product >> 52) }

    fn or_sum(self, chosen: u8, a: Self, b: Self) -> Self { self.or(chosen, |i| sum::<CHECKED>(a.0[i], b.0[i])) }
    fn or_difference(self, chosen: u8, a: Self, b: Self) -> Self {
        self.or(chosen, |i| {
            assert!(!CHECKED || a.0[i] >= b.0[i], "{:#x} - {:#x}", a.0[i], b.0[i]);
            a.0[i].wrapping_sub(b.0[i])
        })
    }
    fn with_first(self, other: Self) -> Self { self.or(1, |i| other.0[i]) }
    fn crossed(self) -> Self { Numbers(from_fn(|i| self.0[i ^ 1])) }
    fn permuted(self, order: Self) -> Self {
        // As the instruction does, without an address that depends on the order.
        Numbers(order.0.map(|lane| (0..4).fold(0, |found, i| found | self.0[i as usize] & same(lane % 4, i))))
    }
}

fn sum<const CHECKED: bool>(a: u64, b: u64) -> u64 {
    assert!(!CHECKED || a.checked_add(b).is_some_and(|sum| sum < SUM), "{a:#x} + {b:#x}");
    a.wrapping_add(b)
}

/// All ones if both lanes are the same, else zero.
fn same(a: u64, b: u64) -> u64 {
    (((a ^ b) as i64 - 1) >> 63) as u64
}
