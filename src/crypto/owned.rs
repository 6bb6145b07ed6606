//! Owning pointers over AWS-LC's objects, and the big numbers that only keys of the classical kind need.

use super::Secret;
use crate::error::{Result, Rv};
use aws_lc_sys as ffi;
use std::ptr;

/// An object of AWS-LC's heap with the function that frees it. AWS-LC wipes all memory that it frees.
///
/// # Safety
/// `free` must be the object's own function.
pub(super) unsafe trait Free {
    /// # Safety
    /// `object` must be owned by the caller, who does not use it again.
    unsafe fn free(object: *mut Self);
}

macro_rules! free {
    ($($object:ident $free:ident;)*) => {
        $(
            // SAFETY: AWS-LC pairs the two.
            unsafe impl Free for ffi::$object {
                unsafe fn free(object: *mut Self) {
                    // SAFETY: the caller's promise.
                    unsafe { ffi::$free(object) }
                }
            }
        )*
    };
}

free! {
    BIGNUM BN_free;
    BN_CTX BN_CTX_free;
    BN_MONT_CTX BN_MONT_CTX_free;
    ECDSA_SIG ECDSA_SIG_free;
    EC_KEY EC_KEY_free;
    EC_POINT EC_POINT_free;
    EVP_MD_CTX EVP_MD_CTX_free;
    EVP_PKEY EVP_PKEY_free;
    EVP_PKEY_CTX EVP_PKEY_CTX_free;
    RSA RSA_free;
}

/// An object that is freed when this is dropped. Never null.
pub(super) struct Owned<T: Free>(*mut T);

// SAFETY: nothing else points to the object, and AWS-LC ties none of these to a thread.
unsafe impl<T: Free> Send for Owned<T> {}

impl<T: Free> Owned<T> {
    /// Takes what an AWS-LC function gave, or null.
    ///
    /// # Errors
    /// CKR_HOST_MEMORY for null: for functions that fail for no other reason.
    ///
    /// # Safety
    /// `object` must be null or valid and owned by the caller.
    pub(super) unsafe fn new(object: *mut T) -> Result<Owned<T>> {
        // SAFETY: the caller's promise.
        unsafe { Owned::some(object) }.ok_or_else(|| Rv::HostMemory.into())
    }

    /// The same for functions that also answer null for bad input.
    ///
    /// # Safety
    /// As `new`.
    pub(super) unsafe fn some(object: *mut T) -> Option<Owned<T>> {
        (!object.is_null()).then_some(Owned(object))
    }

    /// For the C calls.
    pub(super) fn as_ptr(&self) -> *mut T {
        self.0
    }

    /// Gives the object up to a C call that takes ownership.
    pub(super) fn into_raw(self) -> *mut T {
        let object = self.0;
        std::mem::forget(self);
        object
    }
}

impl<T: Free> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: owned, and not used again.
        unsafe { T::free(self.0) }
    }
}

/// A big number.
pub(super) type Number = Owned<ffi::BIGNUM>;

impl Number {
    /// Zero.
    pub(super) fn zero() -> Result<Number> {
        // SAFETY: a new object, owned by us.
        unsafe { Owned::new(ffi::BN_new()) }
    }

    /// From bytes, most significant first.
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Number> {
        // SAFETY: valid for its length; the result is owned by us.
        unsafe { Owned::new(ffi::BN_bin2bn(bytes.as_ptr(), bytes.len(), ptr::null_mut())) }
    }
}

/// The bytes of a public number without leading zeros.
///
/// # Safety
/// `number` must be valid.
pub(super) unsafe fn public_bytes(number: *const ffi::BIGNUM) -> Vec<u8> {
    // SAFETY: the caller's promise; the buffer is as long as the number.
    unsafe {
        let mut bytes = vec![0; ffi::BN_num_bytes(number) as usize];
        ffi::BN_bn2bin(number, bytes.as_mut_ptr());
        bytes
    }
}

/// Writes a number over the whole of `out`, with leading zeros; false if it is longer.
///
/// # Safety
/// `number` must be valid.
pub(super) unsafe fn write_padded(number: *const ffi::BIGNUM, out: &mut [u8]) -> bool {
    // SAFETY: the caller's promise; `out` is valid for its length.
    unsafe { ffi::BN_bn2bin_padded(out.as_mut_ptr(), out.len(), number) == 1 }
}

/// The bytes of a secret number, without leading zero bytes.
///
/// # Safety
/// `number` must be valid.
pub(super) unsafe fn secret_bytes(number: *const ffi::BIGNUM) -> Secret {
    // SAFETY: the caller's promise.
    unsafe {
        let mut bytes = Secret::zeroed(ffi::BN_num_bytes(number) as usize);
        write_padded(number, bytes.expose_mut());
        bytes
    }
}
