//! Four numbers of 64 bits side by side.

/// A row of four. Every operation is on each of them, modulo 2^64; no sum of this kernel comes near that.
pub(super) trait Lanes: Copy {
    /// Some of the lanes.
    type Chosen: Copy;

    /// The lanes whose bits are set, the first in bit 0.
    fn chosen(lanes: u8) -> Self::Chosen;
    fn splat(number: u64) -> Self;
    fn load(from: &[u64; 4]) -> Self;
    fn store(self) -> [u64; 4];
    fn add(self, other: Self) -> Self;
    fn and(self, other: Self) -> Self;
    fn shift_right<const BY: i32>(self) -> Self;

    /// Adds the low 52 bits of the product. Factors have 52 bits: more of them are not looked at.
    fn add_low(self, a: Self, b: Self) -> Self;
    /// Adds the product's bits from the 52nd on, of the same factors.
    fn add_high(self, a: Self, b: Self) -> Self;

    /// `a + b` in the chosen lanes, `self` in the others.
    fn or_sum(self, chosen: Self::Chosen, a: Self, b: Self) -> Self;
    /// `a - b` in the chosen lanes, `self` in the others.
    fn or_difference(self, chosen: Self::Chosen, a: Self, b: Self) -> Self;
    /// The first lane from `other`.
    fn with_first(self, other: Self) -> Self;
    /// Neighbours exchanged: the first lane with the second, the third with the fourth.
    fn crossed(self) -> Self;
    /// The lanes with these numbers, modulo 4.
    fn permuted(self, order: Self) -> Self;
}
