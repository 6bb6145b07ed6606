//! One element of the field, for what is done once.

use super::field::{MASK, P, each};

/// In limbs of radix 2^51, below 2^54.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Element(pub [u64; 5]);

impl Element {
    /// Of a number of 256 bits, but for its highest one.
    pub fn new(w: &[u64; 4]) -> Element {
        let limbs =
            [w[0], w[0] >> 51 | w[1] << 13, w[1] >> 38 | w[2] << 26, w[2] >> 25 | w[3] << 39, w[3] >> 12];
        Element(limbs.map(|limb| limb & MASK))
    }

    /// The sum of two whose limbs are below 2^53.
    pub fn plus(&self, other: &Element) -> Element {
        Element(each!(|k| self.0[k] + other.0[k]))
    }

    /// The difference of two whose limbs are below 2^52.
    pub fn minus(&self, other: &Element) -> Element {
        Element(each!(|k| self.0[k] + 4 * P[k] - other.0[k]))
    }

    /// The product.
    pub fn times(&self, other: &Element) -> Element {
        let mut columns = [0_u128; 5];
        for (i, a) in self.0.iter().enumerate() {
            for (j, b) in other.0.iter().enumerate() {
                let factor = if i + j < 5 { 1 } else { 19 };
                columns[(i + j) % 5] += u128::from(*a) * u128::from(factor * b);
            }
        }
        let mut limbs = [0; 5];
        let mut carry = 0;
        for (limb, column) in limbs.iter_mut().zip(columns) {
            let column = column + carry;
            (*limb, carry) = (column as u64 & MASK, column >> 51);
        }
        let first = u128::from(limbs[0]) + 19 * carry;
        limbs[0] = first as u64 & MASK;
        limbs[1] += (first >> 51) as u64;
        Element(limbs)
    }

    /// The number from 0 to 2^255 - 20.
    pub fn words(&self) -> [u64; 4] {
        // Twice, as what comes back may be carried all the way again; then no more comes back.
        let once = self.carried();
        let Element(limbs) = once.carried();
        // Not below the prime just if 19 more are not below 2^255: then those, without the bit, are the number.
        let above = limbs.iter().fold(19, |carry, limb| (limb + carry) >> 51);
        let mut carry = 19 * above;
        let [a, b, c, d, e] = limbs.map(|limb| {
            let sum = limb + carry;
            carry = sum >> 51;
            sum & MASK
        });
        [a | b << 51, b >> 13 | c << 38, c >> 26 | d << 25, d >> 39 | e << 12]
    }

    /// Each limb below 2^51, but for what comes back into the first.
    fn carried(&self) -> Element {
        let mut carry = 0;
        let mut limbs = self.0.map(|limb| {
            let sum = limb + carry;
            carry = sum >> 51;
            sum & MASK
        });
        limbs[0] += 19 * carry;
        Element(limbs)
    }
}
