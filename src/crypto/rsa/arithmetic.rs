//! Big numbers as keys need them: AWS-LC's arithmetic with ownership and errors.

use super::super::owned::{Number, Owned};
use super::super::status::ok;
use super::import::invalid;
use crate::error::Result;
use aws_lc_sys as ffi;
use std::ffi::c_int;
use std::ptr;

/// Number theory on public and secret numbers alike. What is marked so is not in constant time.
pub(super) struct Arithmetic(pub(super) Owned<ffi::BN_CTX>);

type Operation = unsafe extern "C" fn(*mut ffi::BIGNUM, *const ffi::BIGNUM, *const ffi::BIGNUM) -> c_int;
type WithContext =
    unsafe extern "C" fn(*mut ffi::BIGNUM, *const ffi::BIGNUM, *const ffi::BIGNUM, *mut ffi::BN_CTX) -> c_int;

/// What can be asked of a number.
impl Number {
    /// Bits up to the highest that is set.
    pub(super) fn bits(&self) -> usize {
        // SAFETY: a valid number.
        unsafe { ffi::BN_num_bits(self.as_ptr()) as usize }
    }

    pub(super) fn is_one(&self) -> bool {
        // SAFETY: as above.
        unsafe { ffi::BN_is_one(self.as_ptr()) == 1 }
    }

    /// Equal in value; in time that depends on the lengths only.
    pub(super) fn equals(&self, other: &Number) -> bool {
        // SAFETY: as above.
        unsafe { ffi::BN_equal_consttime(self.as_ptr(), other.as_ptr()) == 1 }
    }

    pub(super) fn is_below(&self, other: &Number) -> bool {
        // SAFETY: as above.
        unsafe { ffi::BN_cmp(self.as_ptr(), other.as_ptr()) < 0 }
    }

    /// How often two divides it; it is not zero.
    pub(super) fn twos(&self) -> usize {
        // SAFETY: as above.
        unsafe { ffi::BN_count_low_zero_bits(self.as_ptr()) as usize }
    }

    pub(super) fn duplicate(&self) -> Result<Number> {
        // SAFETY: as above.
        unsafe { Owned::new(ffi::BN_dup(self.as_ptr())) }
    }
}

impl Arithmetic {
    pub(super) fn new() -> Result<Arithmetic> {
        // SAFETY: a new object, owned by us.
        unsafe { Owned::new(ffi::BN_CTX_new()).map(Arithmetic) }
    }

    fn operation(&self, a: &Number, b: &Number, function: Operation, name: &'static str) -> Result<Number> {
        let out = Number::zero()?;
        // SAFETY: valid numbers.
        ok(unsafe { function(out.as_ptr(), a.as_ptr(), b.as_ptr()) }, name)?;
        Ok(out)
    }

    fn with_context(
        &self,
        a: &Number,
        b: &Number,
        function: WithContext,
        name: &'static str,
    ) -> Result<Number> {
        let out = Number::zero()?;
        // SAFETY: valid numbers.
        ok(unsafe { function(out.as_ptr(), a.as_ptr(), b.as_ptr(), self.0.as_ptr()) }, name)?;
        Ok(out)
    }

    pub(super) fn sum(&self, a: &Number, b: &Number) -> Result<Number> {
        self.operation(a, b, ffi::BN_add, "BN_add")
    }

    pub(super) fn difference(&self, a: &Number, b: &Number) -> Result<Number> {
        self.operation(a, b, ffi::BN_sub, "BN_sub")
    }

    pub(super) fn product(&self, a: &Number, b: &Number) -> Result<Number> {
        self.with_context(a, b, ffi::BN_mul, "BN_mul")
    }

    pub(super) fn gcd(&self, a: &Number, b: &Number) -> Result<Number> {
        self.with_context(a, b, ffi::BN_gcd, "BN_gcd")
    }

    pub(super) fn less_one(&self, a: &Number) -> Result<Number> {
        let out = a.duplicate()?;
        // SAFETY: a valid number.
        ok(unsafe { ffi::BN_sub_word(out.as_ptr(), 1) }, "BN_sub_word")?;
        Ok(out)
    }

    pub(super) fn plus(&self, a: &Number, word: u64) -> Result<Number> {
        let out = a.duplicate()?;
        // SAFETY: a valid number.
        ok(unsafe { ffi::BN_add_word(out.as_ptr(), word) }, "BN_add_word")?;
        Ok(out)
    }

    /// `a / 2^bits`.
    pub(super) fn shifted_down(&self, a: &Number, bits: usize) -> Result<Number> {
        let out = Number::zero()?;
        // SAFETY: valid numbers; no number has more bits than an int counts.
        ok(unsafe { ffi::BN_rshift(out.as_ptr(), a.as_ptr(), bits as c_int) }, "BN_rshift")?;
        Ok(out)
    }

    /// `a` modulo `2^bits`.
    fn low(&self, a: Number, bits: usize) -> Result<Number> {
        // SAFETY: a valid number; as above.
        ok(unsafe { ffi::BN_mask_bits(a.as_ptr(), bits as c_int) }, "BN_mask_bits")?;
        Ok(a)
    }

    /// `a / b` where the odd `b` divides `a` and the quotient has at most `bits` bits: a product with the inverse
    /// of `b` modulo a power of two, which unlike division is alike for all numbers.
    pub(super) fn exact_quotient(&self, a: &Number, b: &Number, bits: usize) -> Result<Number> {
        // Newton's iteration doubles the right bits, of which there are 3 at first.
        let (mut inverse, mut right) = (b.duplicate()?, 3);
        while right < bits {
            right *= 2;
            // 2 - b * inverse, made positive.
            let residue = self.low(self.product(b, &inverse)?, right)?;
            let top = Number::zero()?;
            // SAFETY: a valid number.
            ok(unsafe { ffi::BN_set_bit(top.as_ptr(), right as c_int) }, "BN_set_bit")?;
            let factor = self.difference(&self.plus(&top, 2)?, &residue)?;
            inverse = self.low(self.product(&inverse, &factor)?, right)?;
        }
        self.low(self.product(a, &inverse)?, bits)
    }

    /// For powers modulo the odd `modulus`.
    pub(super) fn montgomery(&self, modulus: &Number) -> Result<Owned<ffi::BN_MONT_CTX>> {
        // SAFETY: a valid odd number, of which it takes a copy.
        unsafe { Owned::new(ffi::BN_MONT_CTX_new_consttime(modulus.as_ptr(), self.0.as_ptr())) }
    }

    /// `base^exponent` modulo an odd modulus above `base`.
    pub(super) fn power(&self, base: &Number, exponent: &Number, modulus: &Number) -> Result<Number> {
        let (out, montgomery) = (Number::zero()?, self.montgomery(modulus)?);
        // SAFETY: valid numbers.
        let answer = unsafe {
            ffi::BN_mod_exp_mont_consttime(
                out.as_ptr(),
                base.as_ptr(),
                exponent.as_ptr(),
                modulus.as_ptr(),
                self.0.as_ptr(),
                montgomery.as_ptr(),
            )
        };
        ok(answer, "BN_mod_exp_mont_consttime")?;
        Ok(out)
    }

    /// `a` modulo `modulus`, from 0 on also for negative ones. Not in constant time.
    pub(super) fn modulo(&self, a: &Number, modulus: &Number) -> Result<Number> {
        let out = Number::zero()?;
        // SAFETY: valid numbers; a zero modulus is answered by an error.
        match unsafe { ffi::BN_nnmod(out.as_ptr(), a.as_ptr(), modulus.as_ptr(), self.0.as_ptr()) } {
            1 => Ok(out),
            _ => Err(invalid()),
        }
    }

    /// The inverse of `a`. Not in constant time.
    pub(super) fn inverse(&self, a: &Number, modulus: &Number) -> Result<Number> {
        let reduced = self.modulo(a, modulus)?;
        // SAFETY: valid numbers; null if there is no inverse.
        unsafe {
            let inverse =
                ffi::BN_mod_inverse(ptr::null_mut(), reduced.as_ptr(), modulus.as_ptr(), self.0.as_ptr());
            Owned::some(inverse).ok_or_else(invalid)
        }
    }
}

/// The key with these components in the order of RFC 8017's RSAPrivateKey; `None` unless they pass RSA_check_key,
/// which tests all their relations but not that the primes are prime.
pub(super) fn whole(components: [Number; 8]) -> Result<Option<Owned<ffi::RSA>>> {
    // `e` may be one that was computed from bad primes.
    let make = match components[1].bits() {
        ..=33 => ffi::RSA_new_private_key,
        34..=super::public::MAX_EXPONENT_BITS => ffi::RSA_new_private_key_large_e,
        _ => return Err(invalid()),
    };
    let [n, e, d, p, q, dp, dq, qi] = components.each_ref().map(Owned::as_ptr);
    // SAFETY: valid numbers, which are copied.
    Ok(unsafe { Owned::some(make(n, e, d, p, q, dp, dq, qi)) })
}
