//! The public exponent, and what generation computes modulo it.

use super::super::owned::{Number, Owned};
use super::super::random::drawing;
use super::arithmetic::Arithmetic;
use super::public::{MAX_EXPONENT_BITS, bit_len};
use crate::crypto::Secret;
use crate::error::{Result, Rv};
use aws_lc_sys as ffi;

const WORDS: usize = MAX_EXPONENT_BITS / u64::BITS as usize;

/// How often to try anew where a random factor has no inverse. Of the numbers modulo an exponent, one in five or
/// more has one.
const TRIES: usize = 256;

/// An odd public exponent of at least 3 and at most 256 bits, the bound of FIPS 186-5, section 5.1.
pub(super) struct Exponent {
    pub(super) number: Number,
    words: [u64; WORDS],
    montgomery: Owned<ffi::BN_MONT_CTX>,
}

impl Exponent {
    /// From bytes, most significant first.
    ///
    /// # Errors
    /// CKR_ATTRIBUTE_VALUE_INVALID.
    pub(super) fn new(bytes: &[u8], arithmetic: &Arithmetic) -> Result<Exponent> {
        if !(2..=MAX_EXPONENT_BITS).contains(&bit_len(bytes)) || bytes.last().is_none_or(|last| last & 1 == 0)
        {
            fail!(
                AttributeValueInvalid,
                "CKA_PUBLIC_EXPONENT must be odd, at least 3 and at most {MAX_EXPONENT_BITS} bits long"
            );
        }
        let number = Number::from_bytes(bytes)?;
        let mut words = [0; WORDS];
        for (at, byte) in bytes.iter().rev().enumerate().take(size_of_val(&words)) {
            words[at / 8] |= u64::from(*byte) << (8 * (at % 8));
        }
        let montgomery = arithmetic.montgomery(&number)?;
        Ok(Exponent { number, words, montgomery })
    }

    /// Whether it has no common factor with `a`; in time that depends on the lengths only.
    pub(super) fn is_prime_to(&self, a: &Number, arithmetic: &Arithmetic) -> Result<bool> {
        Ok(arithmetic.gcd(&self.residue(a)?, &self.number)?.is_one())
    }

    /// Its inverse modulo a number to which it is prime; in time that depends on the lengths only.
    ///
    /// The inverse is `(1 + modulus * k) / exponent` for the `k` that makes the division exact: minus the
    /// modulus' inverse modulo the exponent.
    pub(super) fn inverse_modulo(&self, modulus: &Number, arithmetic: &Arithmetic) -> Result<Number> {
        let k =
            arithmetic.difference(&self.number, &self.inverse_of(&self.residue(modulus)?, arithmetic)?)?;
        let dividend = arithmetic.plus(&arithmetic.product(modulus, &k)?, 1)?;
        arithmetic.exact_quotient(&dividend, &self.number, modulus.bits())
    }

    /// The inverse of a residue modulo this.
    fn inverse_of(&self, residue: &Number, arithmetic: &Arithmetic) -> Result<Number> {
        let inverse = Number::zero()?;
        for _ in 0..TRIES {
            let mut none = 0;
            let _drawing = drawing();
            // SAFETY: valid numbers, the residue below the exponent. It blinds by a random factor, and fails where
            // that is not prime to the exponent.
            let answer = unsafe {
                let (to, of, context) = (inverse.as_ptr(), residue.as_ptr(), arithmetic.0.as_ptr());
                ffi::BN_mod_inverse_blinded(to, &mut none, of, self.montgomery.as_ptr(), context)
            };
            if answer == 1 {
                return Ok(inverse);
            }
        }
        Err(Rv::GeneralError.because("BN_mod_inverse_blinded failed"))
    }

    /// `a` modulo this, in time that depends on the lengths only.
    fn residue(&self, a: &Number) -> Result<Number> {
        let mut bytes = Secret::zeroed(a.bits().div_ceil(8));
        // SAFETY: a valid number, which has room.
        unsafe { ffi::BN_bn2bin_padded(bytes.expose_mut().as_mut_ptr(), bytes.len(), a.as_ptr()) };
        match self.words {
            [word, 0, 0, 0] => residue(bytes.expose(), [word]),
            words => residue(bytes.expose(), words),
        }
    }
}

/// Bit by bit: doubled, and the modulus taken off where it fits.
fn residue<const N: usize>(bytes: &[u8], modulus: [u64; N]) -> Result<Number> {
    let mut residue = [0u64; N];
    for byte in bytes {
        for bit in (0..u8::BITS).rev() {
            let mut carry = u64::from(byte >> bit & 1);
            for word in &mut residue {
                (*word, carry) = (*word << 1 | carry, *word >> 63);
            }
            let (mut reduced, mut borrow) = ([0; N], false);
            for at in 0..N {
                (reduced[at], borrow) = residue[at].borrowing_sub(modulus[at], borrow);
            }
            // All ones where there was a carry out of the top, or no borrow.
            let fits = (carry | u64::from(!borrow)).wrapping_neg();
            for at in 0..N {
                residue[at] ^= fits & (residue[at] ^ reduced[at]);
            }
        }
    }
    let mut out = Secret::zeroed(8 * N);
    for (to, word) in out.expose_mut().chunks_exact_mut(8).zip(residue.iter().rev()) {
        to.copy_from_slice(&word.to_be_bytes());
    }
    Number::from_bytes(out.expose())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::random;

    const EXPONENTS: [&[u8]; 8] = [
        &[3],
        &[15],
        &[0, 1, 0, 1],
        &[0xFF; 4],
        &[0xFF; 8],
        &[1, 0, 0, 0, 0, 0, 0, 0, 1],
        &[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
        &[0xFF; 32],
    ];

    #[test]
    fn residues_and_inverses_are_as_by_division() {
        let arithmetic = Arithmetic::new().unwrap();
        for bytes in EXPONENTS {
            let e = Exponent::new(bytes, &arithmetic).unwrap();
            let mut inverted = 0;
            for len in (1..80).chain([256, 512]) {
                let a = Number::from_bytes(random::secret(len).expose()).unwrap();
                let expected = arithmetic.modulo(&a, &e.number).unwrap();
                assert!(e.residue(&a).unwrap().equals(&expected), "{bytes:x?}, {len}");
                let prime_to = arithmetic.gcd(&a, &e.number).unwrap().is_one();
                assert_eq!(e.is_prime_to(&a, &arithmetic).unwrap(), prime_to);
                if prime_to && a.bits() > 1 {
                    let expected = arithmetic.inverse(&e.number, &a).unwrap();
                    assert!(
                        e.inverse_modulo(&a, &arithmetic).unwrap().equals(&expected),
                        "{bytes:x?}, {len}"
                    );
                    inverted += 1;
                }
            }
            assert!(inverted > 10, "{bytes:x?}");
        }
    }

    #[test]
    fn others_are_refused() {
        let arithmetic = Arithmetic::new().unwrap();
        for wrong in [&[][..], &[0], &[1], &[2], &[1, 0, 0], &[0, 0, 1], &[[1].as_slice(), &[1; 32]].concat()]
        {
            let refused = Exponent::new(wrong, &arithmetic).err().unwrap();
            assert_eq!(refused.rv(), Rv::AttributeValueInvalid, "{wrong:x?}");
        }
    }
}
