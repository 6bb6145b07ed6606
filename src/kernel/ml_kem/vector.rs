//! Thirty-two coefficients side by side.

/// Coefficients in a vector.
pub(super) const LANES: usize = 32;

/// The modulus q (FIPS 203, section 2.4).
pub(super) const Q: i16 = 3329;

/// q^-1 modulo 2^16.
pub(super) const Q_INVERSE: i16 = -3327;

/// A constant to multiply with: 2^16 times it modulo q, and that times q^-1 modulo 2^16.
#[derive(Clone, Copy)]
pub(super) struct Factor<T> {
    pub high: T,
    pub low: T,
}

impl Factor<i16> {
    /// Of a number from 0 to q - 1.
    pub const fn new(number: i64) -> Factor<i16> {
        let q = Q as i64;
        let mut high = (number << 16) % q;
        if high > q / 2 {
            high -= q;
        }
        Factor { high: high as i16, low: (high as i16).wrapping_mul(Q_INVERSE) }
    }
}

/// 32 numbers of 16 bits. Every operation is on each lane, modulo 2^16 if nothing else is said.
pub(super) trait Vector: Copy {
    /// 16 numbers of 32 bits.
    type Wide: Copy;

    fn load(from: &[i16; LANES]) -> Self;
    fn store(self, to: &mut [i16; LANES]);
    fn splat(number: i16) -> Self;
    /// Each of the numbers four times.
    fn quadruple(from: &[i16; LANES / 4]) -> Self;
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn and(self, other: Self) -> Self;
    /// The low half of the product.
    fn mul_low(self, other: Self) -> Self;
    /// The high half of the signed product.
    fn mul_high(self, other: Self) -> Self;
    /// The signed product over 2^15, to the nearest.
    fn mul_rounded(self, other: Self) -> Self;
    /// Unsigned, towards the low bits.
    fn shift_right<const BY: u32>(self) -> Self;
    /// -1 where it is negative, 0 elsewhere.
    fn negative(self) -> Self;

    /// Of both as one row of 64, cut into groups of `N` (16, 8, 4 or 2): the groups with even numbers, and the others.
    fn part<const N: usize>(self, other: Self) -> (Self, Self);
    /// The inverse of `part`.
    fn join<const N: usize>(self, other: Self) -> (Self, Self);
    /// Neighbours exchanged.
    fn crossed(self) -> Self;
    /// The lanes with odd numbers from `other`.
    fn with_odd(self, other: Self) -> Self;

    /// No products yet.
    fn none() -> Self::Wide;
    /// Adds the products of two neighbours each.
    fn dot(sum: Self::Wide, a: Self, b: Self) -> Self::Wide;
    /// What `reduced` gives for numbers of 32 bits: for the even lanes and for the odd ones.
    fn narrow(even: Self::Wide, odd: Self::Wide) -> Self;

    /// The product modulo q, from -2497 to 2497.
    #[inline(always)]
    fn times(self, factor: Factor<Self>) -> Self {
        let multiple = self.mul_low(factor.low).mul_high(Self::splat(Q));
        self.mul_high(factor.high).sub(multiple)
    }

    /// The same modulo q, from -2188 to 2188.
    #[inline(always)]
    fn reduced(self) -> Self {
        let quotient = self.mul_rounded(Self::splat(10));
        self.sub(quotient.mul_low(Self::splat(Q)))
    }

    /// The same modulo q, from 0 to q - 1.
    #[inline(always)]
    fn canonical(self) -> Self {
        let reduced = self.reduced();
        reduced.add(reduced.negative().and(Self::splat(Q)))
    }
}
