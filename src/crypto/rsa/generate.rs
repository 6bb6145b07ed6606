//! Making a key pair (FIPS 186-5, appendix A.1).

use super::super::owned::{Number, Owned};
use super::arithmetic::{Arithmetic, whole};
use super::exponent::Exponent;
use super::primes::Search;
use crate::error::{Result, Rv};
use aws_lc_sys as ffi;

/// Which primes a key is made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Primes {
    /// Random probable primes: FIPS 186-5, appendix A.1.3.
    Random,
    /// Those of ANSI X9.31, of which p - 1 and p + 1 each have a large prime factor: appendix A.1.6.
    Conditioned,
}

/// The primes differ by more than 2 to the power of their length less this.
const CLOSEST: usize = 100;

/// A complete key of `bits` bits, a multiple of 128.
pub(super) fn generate(bits: usize, exponent: &[u8], primes: Primes) -> Result<Owned<ffi::RSA>> {
    let arithmetic = Arithmetic::new()?;
    let exponent = Exponent::new(exponent, &arithmetic)?;
    let mut search = Search::new(bits / 2, &exponent, &arithmetic);
    loop {
        let (p, q) = pair(&mut search, primes, bits / 2, &arithmetic)?;
        // An exponent too short to be safe is as rare as a guess at the key; appendix A.1.1 looks all the same.
        if let Some(components) = complete(p, q, &exponent, bits / 2, &arithmetic)? {
            let key = whole(components)?;
            return key.ok_or_else(|| Rv::FunctionFailed.because("RSA_check_key refused a new key"));
        }
    }
}

/// Two primes far from each other, the greater first.
fn pair(
    search: &mut Search<'_>,
    primes: Primes,
    prime_bits: usize,
    arithmetic: &Arithmetic,
) -> Result<(Number, Number)> {
    let apart = |a: &Number, b: &Number| -> Result<bool> {
        let distance =
            if a.is_below(b) { arithmetic.difference(b, a)? } else { arithmetic.difference(a, b)? };
        Ok(distance.bits() > prime_bits - CLOSEST + 1)
    };
    loop {
        let (p, q) = match primes {
            Primes::Random => (search.random()?, search.random()?),
            Primes::Conditioned => {
                let auxiliaries = [search.auxiliaries()?, search.auxiliaries()?];
                let [p, q] = auxiliaries.each_ref().map(|pair| search.conditioned(pair));
                let (p, q) = (p?, q?);
                if !apart(&p.random, &q.random)? {
                    continue;
                }
                (p.prime, q.prime)
            }
        };
        if apart(&p, &q)? {
            return Ok(if p.is_below(&q) { (q, p) } else { (p, q) });
        }
    }
}

/// All components, in the order of RSAPrivateKey, of two primes with `p > q`; `None` if the private exponent is
/// not above 2^`prime_bits`. Besides the numbers' lengths, time tells how often two divides both p - 1 and q - 1.
fn complete(
    p: Number,
    q: Number,
    exponent: &Exponent,
    prime_bits: usize,
    arithmetic: &Arithmetic,
) -> Result<Option<[Number; 8]>> {
    let (p_less_one, q_less_one) = (arithmetic.less_one(&p)?, arithmetic.less_one(&q)?);
    // The least common multiple of both.
    let common = arithmetic.gcd(&p_less_one, &q_less_one)?;
    let twos = common.twos();
    let (common, share) =
        (arithmetic.shifted_down(&common, twos)?, arithmetic.shifted_down(&q_less_one, twos)?);
    let share = arithmetic.exact_quotient(&share, &common, prime_bits)?;
    let totient = arithmetic.product(&p_less_one, &share)?;

    let d = exponent.inverse_modulo(&totient, arithmetic)?;
    if d.bits() <= prime_bits {
        return Ok(None);
    }
    let dp = exponent.inverse_modulo(&p_less_one, arithmetic)?;
    let dq = exponent.inverse_modulo(&q_less_one, arithmetic)?;
    // By Fermat's little theorem.
    let qi = arithmetic.power(&q, &arithmetic.less_one(&p_less_one)?, &p)?;
    Ok(Some([arithmetic.product(&p, &q)?, exponent.number.duplicate()?, d, p, q, dp, dq, qi]))
}
