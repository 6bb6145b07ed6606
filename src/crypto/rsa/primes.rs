//! Probable primes for keys: FIPS 186-5, appendices A.1.3 and A.1.6.
//!
//! AWS-LC gives each candidate an exponentiation of its own, and the primes found 16 rounds of twice the length
//! each. Here more small primes are tried, two candidates share an exponentiation, and a prime gets the rounds
//! that table B.1 asks for.

use super::super::owned::{Number, Owned};
use super::arithmetic::Arithmetic;
use super::exponent::Exponent;
use super::miller_rabin::Suspect;
use crate::crypto::{Secret, random};
use crate::error::{Result, Rv};
use crate::kernel::primes::has_small_factor;
use aws_lc_sys as ffi;
use std::ptr;

/// Rounds of Miller-Rabin for primes of 1024 bits and more, besides the one in the search: table B.1 asks for 5 or
/// fewer in all.
const ROUNDS: usize = 4;

/// The same for auxiliary primes.
const AUXILIARY_ROUNDS: usize = 44;

/// Bits of an auxiliary prime: more than the 200 that table A.1 asks for at most.
const AUXILIARY_BITS: usize = 208;

/// The first 64 bits of the square root of 2, rounded up: what begins with more is above it.
const SQRT_2: u64 = 0xB504_F333_F9DE_6485;

/// Candidates that random bytes are drawn for at once.
const DRAWN: usize = 32;

/// Candidates after which a search is given up, for each bit. By then all of them being composite has
/// a probability below 2^-80, also for the exponent 3, for which half of the primes will not do.
const PATIENCE: usize = 40;

/// A prime of appendix A.1.6.
pub(super) struct Conditioned {
    pub(super) prime: Number,
    /// What the search began with.
    pub(super) random: Number,
}

/// Where primes are looked for.
pub(super) struct Search<'a> {
    arithmetic: &'a Arithmetic,
    exponent: &'a Exponent,
    /// Of the primes.
    bits: usize,
    /// Random candidates, of which the first `left` are not used yet.
    drawn: Secret,
    left: usize,
}

impl<'a> Search<'a> {
    /// For primes of `bits` bits, a multiple of 64.
    pub(super) fn new(bits: usize, exponent: &'a Exponent, arithmetic: &'a Arithmetic) -> Search<'a> {
        Search { arithmetic, exponent, bits, drawn: Secret::zeroed(DRAWN * bits / 8), left: 0 }
    }

    /// A random prime p above 2^bits / sqrt 2 with p - 1 prime to the exponent (appendix A.1.3).
    ///
    /// Every candidate is drawn anew, so what time tells of those that are given up says nothing of the prime.
    /// The appendix gives up sooner, for its caller to begin again: which is the same, since each candidate
    /// stands for itself.
    pub(super) fn random(&mut self) -> Result<Number> {
        let (arithmetic, mut patience) = (self.arithmetic, PATIENCE * self.bits);
        let next = || loop {
            patience = patience.checked_sub(1).ok_or_else(given_up)?;
            let (exponent, candidate) = (self.exponent, self.draw());
            candidate[0] |= 1;
            if let Some(suspect) = arithmetic.screened(candidate, Some(exponent))? {
                return Ok(suspect);
            }
        };
        arithmetic.first_prime(ROUNDS, next)
    }

    /// Two auxiliary primes, each the first from a random odd number on.
    pub(super) fn auxiliaries(&self) -> Result<[Number; 2]> {
        Ok([self.auxiliary()?, self.auxiliary()?])
    }

    fn auxiliary(&self) -> Result<Number> {
        let mut random = random::secret(AUXILIARY_BITS / 8);
        let bytes = random.expose_mut();
        bytes[0] |= 1;
        bytes[AUXILIARY_BITS / 8 - 1] |= 0x80;
        let (start, two) = (from_little_endian(bytes)?, Number::from_bytes(&[2])?);
        self.arithmetic.first_prime_in_row(start, &two, AUXILIARY_ROUNDS, None)
    }

    /// A prime p above 2^bits / sqrt 2 with p - 1 prime to the exponent, such that the first auxiliary prime divides
    /// p - 1 and the second p + 1 (appendix A.1.6, and so ANSI X9.31).
    ///
    /// The candidates lie in a row, so one that observed every branch would learn of the prime which numbers before
    /// it have small factors: half a bit each, together less than a quarter of its bits on average, where
    /// factoring takes half. The two divisions with remainder are not in constant time either.
    pub(super) fn conditioned(&mut self, [p1, p2]: &[Number; 2]) -> Result<Conditioned> {
        let arithmetic = self.arithmetic;
        let twice_p1 = arithmetic.sum(p1, p1)?;
        let step = arithmetic.product(&twice_p1, p2)?;
        // 1 modulo 2 p1 and -1 modulo p2: one more than 2 p1 times minus the inverse of p1 modulo p2.
        let less_two = arithmetic.less_one(&arithmetic.less_one(p2)?)?;
        let inverse = arithmetic.power(&arithmetic.modulo(p1, p2)?, &less_two, p2)?;
        let residue = arithmetic.product(&twice_p1, &arithmetic.difference(p2, &inverse)?)?;
        let residue = arithmetic.plus(&residue, 1)?;
        loop {
            let random = from_little_endian(self.draw())?;
            let distance = arithmetic.modulo(&arithmetic.difference(&residue, &random)?, &step)?;
            let start = arithmetic.sum(&random, &distance)?;
            let prime = arithmetic.first_prime_in_row(start, &step, ROUNDS, Some(self.exponent))?;
            // Past the end, which is all but impossible, the appendix begins anew.
            if prime.bits() == self.bits {
                return Ok(Conditioned { prime, random });
            }
        }
    }

    /// A random number between 2^bits / sqrt 2 and 2^bits, the least significant byte first.
    fn draw(&mut self) -> &mut [u8] {
        let size = self.bits / 8;
        loop {
            if self.left == 0 {
                random::fill(self.drawn.expose_mut());
                self.left = DRAWN;
            }
            self.left -= 1;
            let drawn = &mut self.drawn.expose_mut()[size * self.left..][..size];
            drawn[size - 1] |= 0x80;
            let top = drawn.last_chunk().expect("64 bits or more");
            if u64::from_le_bytes(*top) >= SQRT_2 {
                // Borrowed anew: the compiler does not see that the other branch has no use for it.
                return &mut self.drawn.expose_mut()[size * self.left..][..size];
            }
        }
    }
}

impl Arithmetic {
    /// The odd number of these bytes, the least significant first, unless it has a small factor or, less one, one in
    /// common with the exponent.
    fn screened(&self, bytes: &[u8], exponent: Option<&Exponent>) -> Result<Option<Suspect>> {
        if has_small_factor(bytes.as_chunks().0) {
            return Ok(None);
        }
        let suspect = self.suspect(from_little_endian(bytes)?)?;
        let suits = match exponent {
            Some(exponent) => exponent.is_prime_to(&suspect.less_one, self)?,
            None => true,
        };
        Ok(suits.then_some(suspect))
    }

    /// The first number of those that `next` gives that passes one round and then these.
    fn first_prime(&self, rounds: usize, mut next: impl FnMut() -> Result<Suspect>) -> Result<Number> {
        loop {
            let pair = [next()?, next()?];
            let passed = self.round([&pair[0], &pair[1]])?;
            for (suspect, passed) in pair.into_iter().zip(passed) {
                if passed && self.passes_rounds(&suspect, rounds)? {
                    return Ok(suspect.number);
                }
            }
        }
    }

    /// The same among the numbers from the odd `start` on in even steps.
    fn first_prime_in_row(
        &self,
        start: Number,
        step: &Number,
        rounds: usize,
        exponent: Option<&Exponent>,
    ) -> Result<Number> {
        let (mut patience, mut candidate) = (PATIENCE * start.bits(), start);
        let next = || loop {
            patience = patience.checked_sub(1).ok_or_else(given_up)?;
            let mut bytes = Secret::zeroed(candidate.bits().next_multiple_of(16) / 8);
            // SAFETY: a valid number, which has room.
            unsafe { ffi::BN_bn2le_padded(bytes.expose_mut().as_mut_ptr(), bytes.len(), candidate.as_ptr()) };
            candidate = self.sum(&candidate, step)?;
            if let Some(suspect) = self.screened(bytes.expose(), exponent)? {
                return Ok(suspect);
            }
        };
        self.first_prime(rounds, next)
    }
}

fn from_little_endian(bytes: &[u8]) -> Result<Number> {
    // SAFETY: valid for its length; the result is owned by us.
    unsafe { Owned::new(ffi::BN_le2bn(bytes.as_ptr(), bytes.len(), ptr::null_mut())) }
}

fn given_up() -> crate::error::Error {
    Rv::FunctionFailed.because("no prime was found")
}
