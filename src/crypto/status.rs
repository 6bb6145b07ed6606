//! What every caller of AWS-LC does with its answers and its memory.

use crate::error::{Result, Rv};
use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;

/// AWS-LC's 1 is success. Anything else, after the arguments were checked by us, is a fault in `function` or a
/// lack of memory, never the caller's.
pub(super) fn ok(answer: c_int, function: &'static str) -> Result<()> {
    if answer == 1 { Ok(()) } else { Err(Rv::GeneralError.because(format!("{function} failed"))) }
}

/// Compares in time that depends on the lengths only.
pub fn equal(a: &[u8], b: &[u8]) -> bool {
    // SAFETY: both are valid for the length, which is equal when it is read.
    a.len() == b.len()
        && unsafe { aws_lc_sys::CRYPTO_memcmp(a.as_ptr().cast(), b.as_ptr().cast(), a.len()) } == 0
}

/// Overwrites `bytes` with zeros in a way no compiler may leave out.
pub fn wipe(bytes: &mut [u8]) {
    // SAFETY: valid for its length.
    unsafe { aws_lc_sys::OPENSSL_cleanse(bytes.as_mut_ptr().cast::<c_void>(), bytes.len()) }
}

/// Overwrites a C structure.
///
/// # Safety
/// Zero bytes must be a value of `T`, or `value` must not be used again.
pub(super) unsafe fn wipe_value<T: Copy>(value: &mut T) {
    // SAFETY: valid for its size; the caller answers for what it holds afterwards.
    unsafe { aws_lc_sys::OPENSSL_cleanse((&raw mut *value).cast::<c_void>(), size_of::<T>()) }
}

/// What `make` gives, once the stack that it used is wiped: a key on its way into its box is moved through the
/// frames of all functions between, and every move leaves a copy behind.
#[inline(never)]
pub fn wiping_stack<R>(make: impl FnOnce() -> R) -> R {
    wiping_stack_of::<{ 1 << 14 }, R>(make)
}

/// As [`wiping_stack`], where `make` is known to go no deeper than `DEPTH` bytes.
#[inline(never)]
pub fn wiping_stack_of<const DEPTH: usize, R>(make: impl FnOnce() -> R) -> R {
    let made = apart(make);
    wipe_below::<DEPTH>();
    made
}

/// Not inlined, so that the frames of `make` lie below the caller's.
#[inline(never)]
fn apart<R>(make: impl FnOnce() -> R) -> R {
    make()
}

#[inline(never)]
fn wipe_below<const DEPTH: usize>() {
    let mut dead = MaybeUninit::<[u8; DEPTH]>::uninit();
    // SAFETY: valid for its size; bytes that are no value yet may be written.
    unsafe { aws_lc_sys::OPENSSL_cleanse(dead.as_mut_ptr().cast::<c_void>(), DEPTH) }
}
