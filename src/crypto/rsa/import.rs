//! Making a whole private key of the components that came.

use super::super::owned::{Number, Owned};
use super::super::status::ok;
use super::arithmetic::{Arithmetic, whole};
use super::public::check;
use crate::crypto::encoding::significant;
use crate::error::{Error, Result, Rv};
use aws_lc_sys as ffi;
use std::ptr;

/// The components of a private key, most significant byte first; an empty slice is one that did not come.
///
/// Modulus and private exponent are needed. Without the primes they are found from the exponents, without the
/// public exponent it is found from the primes or among the usual ones; the rest follows.
#[derive(Clone, Copy, Default)]
#[allow(missing_docs)]
pub struct Parts<'a> {
    pub modulus: &'a [u8],
    pub public_exponent: &'a [u8],
    pub private_exponent: &'a [u8],
    pub prime_1: &'a [u8],
    pub prime_2: &'a [u8],
    pub exponent_1: &'a [u8],
    pub exponent_2: &'a [u8],
    pub coefficient: &'a [u8],
}

/// Public exponents to try for a key that came without one and without primes.
const USUAL_EXPONENTS: [&[u8]; 5] = [&[1, 0, 1], &[3], &[17], &[5], &[1, 1]];

/// Bases to try for the primes; each misses with a probability of one half at most.
const BASES: u64 = 128;

pub(super) fn invalid() -> Error {
    Rv::AttributeValueInvalid.because("the RSA private key's components do not belong together")
}

impl Parts<'_> {
    pub(super) fn assemble(&self) -> Result<Owned<ffi::RSA>> {
        let longest = significant(self.modulus).len();
        let others = [
            self.private_exponent,
            self.prime_1,
            self.prime_2,
            self.exponent_1,
            self.exponent_2,
            self.coefficient,
        ];
        check(self.modulus, if self.public_exponent.is_empty() { &[3] } else { self.public_exponent })?;
        if self.private_exponent.is_empty() || others.iter().any(|part| significant(part).len() > longest) {
            return Err(invalid());
        }
        let arithmetic = Arithmetic::new()?;
        let (n, d) = (Number::from_bytes(self.modulus)?, Number::from_bytes(self.private_exponent)?);
        let primes = match (self.prime_1, self.prime_2) {
            ([], _) | (_, []) => None,
            (p, q) => Some((Number::from_bytes(p)?, Number::from_bytes(q)?)),
        };
        let given = (!self.public_exponent.is_empty()).then_some(self.public_exponent);
        let (e, p, q) = match (given, primes) {
            (Some(e), Some((p, q))) => (Number::from_bytes(e)?, p, q),
            (None, Some((p, q))) => (arithmetic.inverse(&d, &arithmetic.less_one(&p)?)?, p, q),
            (Some(e), None) => {
                let e = Number::from_bytes(e)?;
                let (p, q) = arithmetic.factor(&n, &e, &d)?.ok_or_else(invalid)?;
                (e, p, q)
            }
            (None, None) => arithmetic.guess(&n, &d)?,
        };
        let given_or = |part: &[u8], compute: &dyn Fn() -> Result<Number>| match part {
            [] => compute(),
            part => Number::from_bytes(part),
        };
        let dp = given_or(self.exponent_1, &|| arithmetic.modulo(&d, &arithmetic.less_one(&p)?))?;
        let dq = given_or(self.exponent_2, &|| arithmetic.modulo(&d, &arithmetic.less_one(&q)?))?;
        let qi = given_or(self.coefficient, &|| arithmetic.inverse(&q, &p))?;
        whole([n, e, d, p, q, dp, dq, qi])?.ok_or_else(invalid)
    }
}

/// Not in constant time: it runs once, at import.
impl Arithmetic {
    /// The public exponent among the usual ones, and the primes.
    fn guess(&self, n: &Number, d: &Number) -> Result<(Number, Number, Number)> {
        for exponent in USUAL_EXPONENTS {
            let e = Number::from_bytes(exponent)?;
            if let Some((p, q)) = self.factor(n, &e, d)? {
                return Ok((e, p, q));
            }
        }
        fail!(TemplateIncomplete, "CKA_PUBLIC_EXPONENT is missing and not one of the usual ones")
    }

    /// The primes of `n`, the greater first (NIST SP 800-56B, appendix C.1); `None` if `e` and `d` are no pair.
    fn factor(&self, n: &Number, e: &Number, d: &Number) -> Result<Option<(Number, Number)>> {
        let (context, n_less_one) = (self.0.as_ptr(), self.less_one(n)?);
        let k = Number::zero()?;
        // SAFETY: all numbers are valid, `n` is odd, and every buffer is AWS-LC's own.
        unsafe {
            ok(ffi::BN_mul(k.as_ptr(), e.as_ptr(), d.as_ptr(), context), "BN_mul")?;
            ok(ffi::BN_sub_word(k.as_ptr(), 1), "BN_sub_word")?;
            if ffi::BN_is_zero(k.as_ptr()) == 1 || ffi::BN_is_odd(k.as_ptr()) == 1 {
                return Ok(None);
            }
            let twos = ffi::BN_count_low_zero_bits(k.as_ptr());
            let odd = Number::zero()?;
            ok(ffi::BN_rshift(odd.as_ptr(), k.as_ptr(), twos), "BN_rshift")?;

            let (g, mut y, mut x) = (Number::zero()?, Number::zero()?, Number::zero()?);
            let mont = ptr::null();
            for base in 2..2 + BASES {
                ok(ffi::BN_set_word(g.as_ptr(), base), "BN_set_word")?;
                let (to, base, power) = (y.as_ptr(), g.as_ptr(), odd.as_ptr());
                ok(ffi::BN_mod_exp_mont(to, base, power, n.as_ptr(), context, mont), "BN_mod_exp_mont")?;
                let mut squarings = 0;
                while ffi::BN_is_one(y.as_ptr()) == 0 && squarings < twos {
                    ok(ffi::BN_mod_sqr(x.as_ptr(), y.as_ptr(), n.as_ptr(), context), "BN_mod_sqr")?;
                    if ffi::BN_is_one(x.as_ptr()) == 1 {
                        break;
                    }
                    std::mem::swap(&mut x, &mut y);
                    squarings += 1;
                }
                if squarings == twos {
                    // g^k is not 1: `e` and `d` do not belong to `n`.
                    if ffi::BN_is_one(y.as_ptr()) == 0 {
                        return Ok(None);
                    }
                    continue;
                }
                // `y` is a square root of 1; one that is neither 1 nor -1 gives a factor.
                if ffi::BN_is_one(y.as_ptr()) == 1 || ffi::BN_cmp(y.as_ptr(), n_less_one.as_ptr()) == 0 {
                    continue;
                }
                ok(ffi::BN_sub_word(y.as_ptr(), 1), "BN_sub_word")?;
                let (p, q) = (Number::zero()?, Number::zero()?);
                ok(ffi::BN_gcd(p.as_ptr(), y.as_ptr(), n.as_ptr(), context), "BN_gcd")?;
                ok(ffi::BN_div(q.as_ptr(), ptr::null_mut(), n.as_ptr(), p.as_ptr(), context), "BN_div")?;
                let in_order = ffi::BN_cmp(p.as_ptr(), q.as_ptr()) > 0;
                return Ok(Some(if in_order { (p, q) } else { (q, p) }));
            }
        }
        Ok(None)
    }
}
