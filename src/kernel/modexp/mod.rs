//! Powers modulo an odd number, both number and exponent public: what a public RSA key does.
//!
//! AWS-LC multiplies word by word here; a processor with AVX-512 IFMA multiplies eight limbs of 52 bits at once. Numbers are
//! in Montgomery's form, which is times R = 2^(52 * limbs). R is above four times the modulus, so that the product of two
//! numbers below twice the modulus is below that again, and needs no subtraction.
//!
//! **Constant time.** Modulus and exponent choose branches and addresses, the base does not.

// Elsewhere only tests multiply.
#![cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]

#[cfg(target_arch = "x86_64")]
mod ifma;
mod product;
#[cfg(test)]
mod tests;

use product::{BITS, LANES, MASK};

/// Vectors of the largest numbers.
const VECTORS: usize = 10;

/// Limbs below 2^52, least significant first.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Number([[u64; LANES]; VECTORS]);

/// `a * b / R`.
///
/// Safety: the processor must have what the way is made of.
type Multiply = unsafe fn(modulus: &Modulus, a: &Number, b: &Number) -> Number;

/// How deep the stack holds the base and what comes of it after a call: to be wiped by who calls.
pub const DEPTH: usize = 8 << 10;

/// An odd number, and what multiplying modulo it needs.
pub struct Modulus {
    number: Number,
    /// R in Montgomery's form, which brings others into it.
    radix: Number,
    /// -1 / `number` modulo 2^52.
    inverse: u64,
    limbs: usize,
    /// In bytes.
    len: usize,
    multiply: Multiply,
}

impl Modulus {
    /// From its bytes, most significant first and not zero. `None` where AWS-LC is as good: on other processors, and for
    /// more than 4,158 bits.
    ///
    /// # Panics
    /// If the number is even.
    pub fn new(bytes: &[u8]) -> Option<Modulus> {
        let limbs = limbs(bytes);
        Some(Modulus::by(best(limbs)?, bytes))
    }

    /// The same where it is known how to multiply.
    fn by(multiply: Multiply, bytes: &[u8]) -> Modulus {
        let number = Number::from_bytes(bytes);
        let first = number.0[0][0];
        assert!(first & 1 == 1, "an even modulus");
        // Newton's iteration doubles the right bits, of which there are 3 at first.
        let step = |inverse: u64, _| inverse.wrapping_mul(2u64.wrapping_sub(first.wrapping_mul(inverse)));
        let inverse = (0..5).fold(first, step).wrapping_neg() & MASK;
        let (limbs, len) = (limbs(bytes), bytes.len());
        let mut modulus = Modulus { number, radix: Number::ZERO, inverse, limbs, len, multiply };
        modulus.radix = modulus.power_of_two(BITS * limbs, bits(bytes));
        modulus
    }

    /// 2^`exponent` in Montgomery's form, modulo a number of so many bits.
    fn power_of_two(&self, exponent: usize, bits: usize) -> Number {
        let mut power = Number::ZERO;
        power.limbs_mut()[(bits - 1) / BITS] = 1 << ((bits - 1) % BITS);
        // From 2^(bits - 1), which is below the modulus, to 2 * R: two in the form.
        for _ in bits - 1..BITS * self.limbs + 1 {
            power = self.doubled(&power);
        }
        for at in (0..exponent.ilog2()).rev() {
            power = self.reduced(&self.product(&power, &power)).0;
            if exponent >> at & 1 == 1 {
                power = self.doubled(&power);
            }
        }
        power
    }

    /// Writes `base`^`exponent`, all with the most significant byte first; or tells by `false` that the base is not
    /// below the modulus. The exponent is not zero.
    ///
    /// # Panics
    /// If `base` or `out` is not as long as the modulus.
    pub fn power(&self, base: &[u8], exponent: &[u8], out: &mut [u8]) -> bool {
        assert!(base.len() == self.len && out.len() == self.len);
        let base = Number::from_bytes(base);
        let (_, below) = self.reduced(&base);
        if below {
            self.raised(&base, exponent).write(out);
        }
        below
    }

    fn raised(&self, base: &Number, exponent: &[u8]) -> Number {
        let base = self.product(base, &self.radix);
        let bits = exponent.iter().flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1 == 1));
        let power = bits.skip_while(|bit| !bit).skip(1).fold(base, |power, bit| {
            let square = self.product(&power, &power);
            if bit { self.product(&square, &base) } else { square }
        });
        // Out of the form. A product with one is at most the modulus.
        self.reduced(&self.product(&power, &Number::ONE)).0
    }

    fn product(&self, a: &Number, b: &Number) -> Number {
        // SAFETY: who chose the way asked the processor.
        unsafe { (self.multiply)(self, a, b) }
    }

    /// A number below twice the modulus, less the modulus if it is not below it; and whether it is.
    fn reduced(&self, number: &Number) -> (Number, bool) {
        let (mut reduced, mut borrow) = (Number::ZERO, 0);
        for at in 0..self.limbs {
            let difference = number.limbs()[at].wrapping_sub(self.number.limbs()[at]).wrapping_sub(borrow);
            borrow = difference >> 63;
            reduced.limbs_mut()[at] = difference & MASK;
        }
        // All ones where it is below.
        let below = borrow.wrapping_neg();
        for (reduced, limb) in reduced.limbs_mut().iter_mut().zip(number.limbs()) {
            *reduced ^= below & (*reduced ^ limb);
        }
        (reduced, borrow == 1)
    }

    /// Twice a number below the modulus, reduced.
    fn doubled(&self, number: &Number) -> Number {
        let (mut doubled, mut carry) = (Number::ZERO, 0);
        for (doubled, limb) in doubled.limbs_mut().iter_mut().zip(number.limbs()) {
            *doubled = limb << 1 & MASK | carry;
            carry = limb >> (BITS - 1);
        }
        self.reduced(&doubled).0
    }
}

impl Number {
    const ZERO: Number = Number([[0; LANES]; VECTORS]);
    const ONE: Number = {
        let mut one = Number::ZERO;
        one.0[0][0] = 1;
        one
    };

    fn limbs(&self) -> &[u64] {
        self.0.as_flattened()
    }

    fn limbs_mut(&mut self) -> &mut [u64] {
        self.0.as_flattened_mut()
    }

    /// Two limbs are 13 bytes.
    fn from_bytes(bytes: &[u8]) -> Number {
        let mut number = Number::ZERO;
        for (limbs, bytes) in number.limbs_mut().chunks_exact_mut(2).zip(bytes.rchunks(13)) {
            let mut pair = [0; size_of::<u128>()];
            pair[size_of::<u128>() - bytes.len()..].copy_from_slice(bytes);
            let pair = u128::from_be_bytes(pair);
            limbs.copy_from_slice(&[pair as u64 & MASK, (pair >> BITS) as u64]);
        }
        number
    }

    fn write(&self, out: &mut [u8]) {
        for (limbs, out) in self.limbs().chunks_exact(2).zip(out.rchunks_mut(13)) {
            let pair = u128::from(limbs[0]) | u128::from(limbs[1]) << BITS;
            out.copy_from_slice(&pair.to_be_bytes()[size_of::<u128>() - out.len()..]);
        }
    }
}

fn bits(bytes: &[u8]) -> usize {
    8 * bytes.len() - bytes[0].leading_zeros() as usize
}

/// So many that R is above four times the number.
fn limbs(bytes: &[u8]) -> usize {
    (bits(bytes) + 2).div_ceil(BITS)
}

/// How to multiply numbers of so many limbs fastest; `None` where AWS-LC does.
fn best(limbs: usize) -> Option<Multiply> {
    #[cfg(target_arch = "x86_64")]
    if super::cpu::features().avx512 && super::cpu::features().ifma {
        return ifma::multiply(limbs.div_ceil(LANES));
    }
    let _ = limbs;
    None
}
