//! The Montgomery ladder (RFC 7748, section 5) with four elements at a time.
//!
//! A point (X : Z) is held as X + Z and Z - X, of which a step makes the point's double and its sum with the other. With
//! a, b and c, d those of the two points,
//!
//! ```text
//!     [a, b, d, c] * [a, b, a, b]               = [aa, bb, da, cb]
//!     [aa + bb, aa - bb, da + cb, da - cb]      = [u, e, s, t], squared [uu, ee, ss, tt]
//!     [e, ee, ss, tt] * [u, 486662, 0, x]       = [ue, 486662 ee, 0, x tt]
//! ```
//!
//! with the double (uu - ee : 2 ue + 486662 ee), four times that of the RFC in both, and the sum (ss : x tt). Which of the
//! points is the one to double, the order says in which the first product takes its lanes.

use super::field::{Factor, P, PRODUCT, SQUARE, SUM, Sum, each};
use super::inverse::inverted;
use super::lanes::Lanes;
use super::single::Element;

/// The Montgomery curve's A: v^2 = u^3 + A u^2 + u.
const A: u64 = 486_662;

/// A multiple of the prime, of which products and squares can be taken.
const MULTIPLE: [u64; 5] = each!(|k| P[k] << 5);

// The points of the next step are a multiple, a square and three products.
const _: () = assert!(MULTIPLE[0] > SQUARE && SQUARE > PRODUCT && MULTIPLE[1] + SQUARE + 3 * PRODUCT <= SUM);

/// X25519.
#[inline(always)]
pub(super) fn agree<V: Lanes>(shared: &mut [u8; 32], scalar: &[u8; 32], point: &[u8; 32]) {
    let mut scalar = words(scalar);
    scalar[0] &= !7;
    scalar[3] = scalar[3] & !(1 << 63) | 1 << 62;
    let (numerator, denominator) = quotient::<V>(&scalar, &Element::new(&words(point)));
    let inverse = Element::new(&inverted(&denominator.words()));
    for (bytes, word) in shared.as_chunks_mut().0.iter_mut().zip(numerator.times(&inverse).words()) {
        *bytes = word.to_le_bytes();
    }
}

fn words(bytes: &[u8; 32]) -> [u64; 4] {
    let words = bytes.as_chunks().0;
    [0, 1, 2, 3].map(|i| u64::from_le_bytes(words[i]))
}

/// The product's u coordinate, as a quotient.
#[inline(always)]
fn quotient<V: Lanes>(scalar: &[u64; 4], x: &Element) -> (Element, Element) {
    let (multiple, right) =
        (each!(|k| V::splat(MULTIPLE[k])), Sum::<V>::new([[0; 5], [A, 0, 0, 0, 0], [0; 5], x.0]).0);
    let (odd, all_but_third, all_but_fourth) = (V::chosen(0b1010), V::chosen(0b1011), V::chosen(0b0111));
    let first = V::chosen(0b0001);
    let (both, doubled) = (V::load(&[0, 1, 3, 2]), V::load(&[0, 1, 0, 1]));

    // (1 : 0) and (x : 1).
    let one = Element([1, 0, 0, 0, 0]);
    let zero = Element([0; 5]);
    let mut points = Sum::<V>::new([one.0, zero.minus(&one).0, x.plus(&one).0, one.minus(x).0]).carried();
    let mut swapped = 0;
    for bit in (0..255).rev() {
        let swap = scalar[bit / 64] >> (bit % 64) & 1;
        let other = V::splat(2 * (swap ^ swapped));
        swapped = swap;
        // The factor that is multiplied by 19 comes first.
        let b = Factor(each!(|k| points.0[k].permuted(doubled.add(other))));
        let a = Factor(each!(|k| points.0[k].permuted(both.add(other))));
        let products = a.times(&b).0;

        let factors = Sum(each!(|k| {
            let product = products[k];
            product.or_difference(odd, multiple[k], product).add(product.crossed())
        }));
        let factors = factors.carried();
        let squares = factors.squared();
        // [uu - ee, ee - uu, ss, -ss]
        let differences = each!(|k| {
            let square = squares.0[k];
            let positive = multiple[k].or_sum(all_but_fourth, square, multiple[k]);
            positive.or_difference(all_but_third, positive, square.crossed())
        });

        let squares = squares.carried();
        let a = Factor(each!(|k| squares.0[k].with_first(factors.0[k].crossed())));
        let b = Factor(each!(|k| right[k].with_first(factors.0[k])));
        let products = a.times(&b).0;
        points = Sum(each!(|k| {
            let product = products[k].or_sum(first, products[k], products[k]);
            differences[k].add(product).add(product.crossed())
        }))
        .carried();
    }
    // The last bit of a scalar is zero, so that the points are not exchanged.
    let limbs = each!(|k| points.0[k].store());
    let (sum, difference) = (Element(each!(|k| limbs[k][0])), Element(each!(|k| limbs[k][1])));
    (sum.minus(&difference), sum.plus(&difference))
}
