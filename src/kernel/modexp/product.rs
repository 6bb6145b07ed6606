//! Montgomery's product on vectors of limbs.

use super::{Modulus, Number};

/// Of a limb: as many as the processor multiplies.
pub(super) const BITS: usize = 52;
/// A limb of ones.
pub(super) const MASK: u64 = (1 << BITS) - 1;
/// Limbs in a vector.
pub(super) const LANES: usize = 8;

/// Eight limbs, or sums of their products.
pub(super) trait Lanes: Copy {
    fn splat(limb: u64) -> Self;
    fn load(from: &[u64; LANES]) -> Self;
    fn store(self, to: &mut [u64; LANES]);
    fn add(self, other: Self) -> Self;
    /// Plus the low 52 bits of the products.
    fn add_low(self, a: Self, b: Self) -> Self;
    /// Plus the 52 bits above them.
    fn add_high(self, a: Self, b: Self) -> Self;
    /// Each lane from the next one, and the last from the first of `above`.
    fn down(self, above: Self) -> Self;
    fn first(self) -> u64;
}

/// `a * b / R` on numbers of so many vectors. If both are below twice the modulus, so is the product.
///
/// For each limb of `b`, `a` times the limb is added and as many times the modulus as make the lowest limb zero, which then
/// falls off. Each product's high half belongs one limb higher, so it is added after that. What comes from `a` and what
/// comes from the modulus have sums of their own, for neither to wait for the other. A limb is in them for at most 80
/// rounds, and grows by less than 2^54 in each.
///
/// All waits for the lowest limb, so it is computed apart in a register; what lane 0 holds is then of no account.
#[inline(always)]
pub(super) fn multiply<L: Lanes, const N: usize>(modulus: &Modulus, a: &Number, b: &Number) -> Number {
    let n = &modulus.number;
    let (a_first, n_first) = (u128::from(a.0[0][0]), u128::from(n.0[0][0]));
    let zero = L::splat(0);
    let (mut of_a, mut of_n, mut lowest) = ([zero; N], [zero; N], 0u64);
    for &limb in &b.limbs()[..modulus.limbs] {
        let sum = u128::from(lowest) + a_first * u128::from(limb);
        let times = (sum as u64).wrapping_mul(modulus.inverse) & MASK;
        let carry = ((sum + n_first * u128::from(times)) >> BITS) as u64;
        let (limb, times) = (L::splat(limb), L::splat(times));
        for v in 0..N {
            of_a[v] = of_a[v].add_low(L::load(&a.0[v]), limb);
            of_n[v] = of_n[v].add_low(L::load(&n.0[v]), times);
        }
        for v in 0..N {
            of_a[v] = of_a[v].down(if v + 1 < N { of_a[v + 1] } else { zero });
            of_n[v] = of_n[v].down(if v + 1 < N { of_n[v + 1] } else { zero });
        }
        lowest = carry + of_a[0].first() + of_n[0].first();
        for v in 0..N {
            of_a[v] = of_a[v].add_high(L::load(&a.0[v]), limb);
            of_n[v] = of_n[v].add_high(L::load(&n.0[v]), times);
        }
    }
    let mut product = Number::ZERO;
    for v in 0..N {
        of_a[v].add(of_n[v]).store(&mut product.0[v]);
    }
    product.0[0][0] = lowest;
    let mut carry = 0;
    for limb in &mut product.limbs_mut()[..LANES * N] {
        let sum = *limb + carry;
        (*limb, carry) = (sum & MASK, sum >> BITS);
    }
    product
}
