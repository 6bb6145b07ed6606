//! Four elements of the field of 2^255 - 19 side by side, and its arithmetic.
//!
//! An element is five limbs in radix 2^51. A product of two limbs has a low part of 52 bits and a high part, which for the
//! radix counts twice, one limb further on. What comes above 2^255 comes back below, 19 times; for that, one of the factors
//! is multiplied by 19 beforehand, in limbs again, so that a product is 25 low parts and 25 high parts in five columns.
//!
//! **Bounds.** Low parts are below 2^52, and high ones below 2^50 + 2^13. A product's first limb has seven low parts, the
//! others have five, and five high ones that count twice; a square's come to less than 9 * 2^52. Nothing of more than 52 bits
//! is multiplied.

use super::lanes::Lanes;

/// The lowest 51 bits.
pub(super) const MASK: u64 = (1 << 51) - 1;

/// Above the limbs of a [`Factor`].
pub(super) const FACTOR: u64 = (1 << 51) + (1 << 12);

/// Above the limbs of a [`Sum`].
pub(super) const SUM: u64 = 1 << 58;

/// Above the limbs of products.
pub(super) const PRODUCT: u64 = 15 << 51;

/// Above the limbs of squares.
pub(super) const SQUARE: u64 = 9 << 52;

/// The prime.
pub(super) const P: [u64; 5] = [MASK - 18, MASK, MASK, MASK, MASK];

// Of a sum, `carried` makes a factor.
const _: () = assert!(MASK + 1 + 19 * (SUM >> 51) <= FACTOR);

/// What the expression is for each of the five limbs.
#[rustfmt::skip]
macro_rules! each {
    (|$limb:ident| $value:expr) => {
        [
            { let $limb = 0; $value },
            { let $limb = 1; $value },
            { let $limb = 2; $value },
            { let $limb = 3; $value },
            { let $limb = 4; $value },
        ]
    };
}
pub(super) use each;

/// Four elements with limbs to multiply.
#[derive(Clone, Copy)]
pub(super) struct Factor<V>(pub [V; 5]);

/// Four elements with limbs to add.
#[derive(Clone, Copy)]
pub(super) struct Sum<V>(pub [V; 5]);

impl<V: Lanes> Sum<V> {
    /// Of four elements.
    #[inline(always)]
    pub fn new(of: [[u64; 5]; 4]) -> Sum<V> {
        Sum(each!(|k| V::load(&[of[0][k], of[1][k], of[2][k], of[3][k]])))
    }

    /// The same with limbs to multiply: each gives what it has above 51 bits to the next, all at once.
    #[inline(always)]
    pub fn carried(&self) -> Factor<V> {
        let above = each!(|k| self.0[k].shift_right::<51>());
        let below = each!(|k| self.0[k].and(V::splat(MASK)));
        Factor([
            below[0].add_low(above[4], V::splat(19)),
            below[1].add(above[0]),
            below[2].add(above[1]),
            below[3].add(above[2]),
            below[4].add(above[3]),
        ])
    }
}

/// Adds the low parts of some products.
macro_rules! low {
    ($sum:expr; $($a:ident * $b:ident),+) => { $sum$(.add_low($a, $b))+ };
}

/// Adds the high parts of some products.
macro_rules! high {
    ($sum:expr; $($a:ident * $b:ident),+) => { $sum$(.add_high($a, $b))+ };
}

#[inline(always)]
fn twice<V: Lanes>(limb: V) -> V {
    limb.add(limb)
}

/// 19 times a limb: 51 bits and what is above them, at most 19.
#[inline(always)]
fn nineteen<V: Lanes>(limb: V) -> (V, V) {
    let (zero, n19, n38) = (V::splat(0), V::splat(19), V::splat(38));
    (low!(zero; limb * n19).and(V::splat(MASK)), high!(zero; limb * n38))
}

impl<V: Lanes> Factor<V> {
    /// The products.
    #[inline(always)]
    pub fn times(&self, other: &Factor<V>) -> Sum<V> {
        let ([a0, a1, a2, a3, a4], [b0, b1, b2, b3, b4]) = (self.0, other.0);
        let (zero, n38) = (V::splat(0), V::splat(38));
        let (w4, g4) = nineteen(b4);
        let (w3, g3) = nineteen(b3);
        let (w2, g2) = nineteen(b2);
        let (w1, g1) = nineteen(b1);
        // Limbs as they come back: w1 to w4 into the first column, e2 to e4 into the others; and the first limb, with what is
        // above w4.
        let (e4, e3, e2) = (w4.add(g3), w3.add(g2), w2.add(g1));
        let e0 = b0.add(g4);

        // The last column first, as its high parts come back into the first; all five of them would be more than 52 bits.
        let over = high!(zero; a1 * b3, a2 * b2, a3 * b1);
        let over_too = high!(zero; a4 * e0, a0 * b4);
        let l4 = low!(zero; a1 * b3, a2 * b2, a3 * b1, a4 * e0, a0 * b4);
        let h3 = high!(zero; a1 * b2, a2 * b1, a4 * e4, a3 * e0, a0 * b3);
        let l3 = low!(zero; a1 * b2, a2 * b1, a4 * e4, a3 * e0, a0 * b3);
        let h2 = high!(zero; a1 * b1, a4 * e3, a3 * e4, a2 * e0, a0 * b2);
        let l2 = low!(zero; a1 * b1, a4 * e3, a3 * e4, a2 * e0, a0 * b2);
        let h1 = high!(zero; a4 * e2, a3 * e3, a2 * e4, a1 * e0, a0 * b1);
        let l1 = low!(zero; a4 * e2, a3 * e3, a2 * e4, a1 * e0, a0 * b1);
        let h0 = high!(zero; a4 * w1, a3 * w2, a2 * w3, a1 * w4, a0 * b0);
        let l0 = low!(zero; a4 * w1, a3 * w2, a2 * w3, a1 * w4, a0 * b0);
        let h0 = h0.add(high!(zero; over * n38, over_too * n38));
        let l0 = l0.add(low!(zero; over * n38, over_too * n38));
        Sum([l0, l1.add(twice(h0)), l2.add(twice(h1)), l3.add(twice(h2)), l4.add(twice(h3))])
    }

    /// The squares.
    ///
    /// The products of two limbs count twice, the squares of limbs once: 19 * a3 * a3 is a3 * w3 and, a limb further on,
    /// a3 * g3.
    #[inline(always)]
    pub fn squared(&self) -> Sum<V> {
        let [a0, a1, a2, a3, a4] = self.0;
        let (zero, n38, n76) = (V::splat(0), V::splat(38), V::splat(76));
        let (w4, g4) = nineteen(a4);
        let (w3, g3) = nineteen(a3);
        let (e4, e0) = (w4.add(g3), a0.add(g4));

        let over_twice = high!(zero; a1 * a3, a0 * a4);
        let over = high!(zero; a2 * a2, a4 * g4);
        let l4 = low!(zero; a1 * a3, a0 * a4);
        let h3 = high!(zero; a1 * a2, a3 * e0);
        let l3 = low!(zero; a1 * a2, a3 * e0);
        let h0 = high!(zero; a1 * w4, a2 * w3);
        let l0 = low!(zero; a1 * w4, a2 * w3);
        let h1 = high!(zero; a2 * e4, a1 * e0);
        let l1 = low!(zero; a2 * e4, a1 * e0);
        let h2 = high!(zero; a3 * w4, a2 * e0);
        let l2 = low!(zero; a3 * w4, a2 * e0);
        let r4 = low!(twice(high!(l4.add(twice(h3)); a4 * w4)); a2 * a2, a4 * g4);
        let r3 = low!(twice(high!(l3.add(twice(h2)); a1 * a1, a3 * g3)); a4 * w4);
        let r2 = low!(twice(high!(l2.add(twice(h1)); a3 * w3)); a1 * a1, a3 * g3);
        let r1 = l1.add(twice(h0)).add(high!(zero; a0 * a0, over_twice * n76, over * n38));
        let r1 = low!(twice(r1); a3 * w3);
        let r0 = twice(l0).add(low!(zero; a0 * a0, over_twice * n76, over * n38));
        Sum([r0, r1, r2, r3, r4])
    }
}
