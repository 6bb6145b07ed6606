//! The Miller-Rabin test (FIPS 186-5, appendix B.3.1), two numbers at a time: AWS-LC exponentiates modulo two
//! numbers at once where the processor has AVX-512 IFMA.

use super::super::owned::{Number, Owned};
use super::super::random::drawing;
use super::super::status::ok;
use super::arithmetic::Arithmetic;
use crate::error::Result;
use aws_lc_sys as ffi;

/// An odd number above 3 and what testing it takes. `number - 1` is `odd * 2^twos`.
pub(super) struct Suspect {
    pub(super) number: Number,
    pub(super) less_one: Number,
    odd: Number,
    twos: usize,
    montgomery: Owned<ffi::BN_MONT_CTX>,
}

impl Arithmetic {
    pub(super) fn suspect(&self, number: Number) -> Result<Suspect> {
        let less_one = self.less_one(&number)?;
        let twos = less_one.twos();
        let (odd, montgomery) = (self.shifted_down(&less_one, twos)?, self.montgomery(&number)?);
        Ok(Suspect { number, less_one, odd, twos, montgomery })
    }

    /// One round for each of two numbers, or two rounds for one: whether they passed. A composite passes with a
    /// probability of one quarter at most.
    ///
    /// Of a prime p, time tells how often two divides p - 1 and how many random bases were not below p. Of
    /// a composite it tells more, and nobody keeps those.
    pub(super) fn round(&self, pair: [&Suspect; 2]) -> Result<[bool; 2]> {
        let bases = [self.base(pair[0])?, self.base(pair[1])?];
        let powers = [Number::zero()?, Number::zero()?];
        // SAFETY: valid numbers, the bases below the moduli, which are odd.
        let answer = unsafe {
            ffi::BN_mod_exp_mont_consttime_x2(
                powers[0].as_ptr(),
                bases[0].as_ptr(),
                pair[0].odd.as_ptr(),
                pair[0].number.as_ptr(),
                pair[0].montgomery.as_ptr(),
                powers[1].as_ptr(),
                bases[1].as_ptr(),
                pair[1].odd.as_ptr(),
                pair[1].number.as_ptr(),
                pair[1].montgomery.as_ptr(),
                self.0.as_ptr(),
            )
        };
        ok(answer, "BN_mod_exp_mont_consttime_x2")?;
        let [first, second] = powers;
        Ok([self.passes(pair[0], first)?, self.passes(pair[1], second)?])
    }

    /// Steps 4.1 and 4.2: uniform in what lies between 1 and the number less one.
    fn base(&self, suspect: &Suspect) -> Result<Number> {
        let base = Number::zero()?;
        let _drawing = drawing();
        // SAFETY: valid numbers.
        let answer = unsafe { ffi::BN_rand_range_ex(base.as_ptr(), 2, suspect.less_one.as_ptr()) };
        ok(answer, "BN_rand_range_ex")?;
        Ok(base)
    }

    /// Steps 4.4 to 4.6: whether squaring leads from the power to -1.
    fn passes(&self, suspect: &Suspect, power: Number) -> Result<bool> {
        if power.is_one() || power.equals(&suspect.less_one) {
            return Ok(true);
        }
        let (context, montgomery) = (self.0.as_ptr(), suspect.montgomery.as_ptr());
        let (power, scaled) = (power.as_ptr(), Number::zero()?);
        for _ in 1..suspect.twos {
            // SAFETY: valid numbers below the modulus. One factor carries the Montgomery scale, the other does not.
            unsafe {
                ok(ffi::BN_to_montgomery(scaled.as_ptr(), power, montgomery, context), "BN_to_montgomery")?;
                let answer = ffi::BN_mod_mul_montgomery(power, scaled.as_ptr(), power, montgomery, context);
                ok(answer, "BN_mod_mul_montgomery")?;
                if ffi::BN_equal_consttime(power, suspect.less_one.as_ptr()) == 1 {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// `rounds` rounds, rounded up to an even number.
    pub(super) fn passes_rounds(&self, suspect: &Suspect, rounds: usize) -> Result<bool> {
        for _ in 0..rounds.div_ceil(2) {
            if self.round([suspect, suspect])? != [true; 2] {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(decimal: &str) -> Number {
        let (out, text) = (Number::zero().unwrap(), std::ffi::CString::new(decimal).unwrap());
        // SAFETY: a valid number and text.
        assert_ne!(unsafe { ffi::BN_dec2bn(&mut out.as_ptr(), text.as_ptr()) }, 0);
        out
    }

    #[test]
    fn primes_pass_and_composites_do_not() {
        let arithmetic = Arithmetic::new().unwrap();
        let passes = |decimal: &str| {
            arithmetic.passes_rounds(&arithmetic.suspect(number(decimal)).unwrap(), 64).unwrap()
        };
        // 2^127 - 1, 2^89 - 1; 7 and 3329 with other powers of two in p - 1; 2^16 + 1 is a prime of Fermat's.
        for prime in
            ["170141183460469231731687303715884105727", "618970019642690137449562111", "7", "3329", "65537"]
        {
            assert!(passes(prime), "{prime}");
        }
        // Carmichael numbers, Fermat's F5, a square, one that a quarter of all bases passes, and 2^67 - 1.
        for composite in [
            "561",
            "8911",
            "1590231231043178376951698401",
            "4294967297",
            "1194649",
            "1891",
            "147573952589676412927",
        ] {
            assert!(!passes(composite), "{composite}");
        }
    }

    #[test]
    fn each_of_two_is_judged_for_itself() {
        let arithmetic = Arithmetic::new().unwrap();
        let suspect = |decimal| arithmetic.suspect(number(decimal)).unwrap();
        // 2^107 - 1 is prime, 2^109 - 1 is 745988807 times a prime.
        let prime = suspect("162259276829213363391578010288127");
        let composite = suspect("649037107316853453566312041152511");
        assert_eq!(arithmetic.round([&prime, &composite]).unwrap(), [true, false]);
        assert_eq!(arithmetic.round([&composite, &prime]).unwrap(), [false, true]);
    }
}
