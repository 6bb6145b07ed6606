//! Bare AWS-LC: what an operation costs with nothing around it. Keys are expanded beforehand and contexts are made
//! beforehand; each primitive is called by the entry point with the least overhead that AWS-LC offers.

pub mod aes;
pub mod digest;
pub mod ec;
pub mod post_quantum;
pub mod rsa;

use cryptoki_sys::{CKR_GENERAL_ERROR, CKR_OK};
use pkcs11_conformance::client::Rv;
use std::ffi::c_int;

/// AWS-LC answers 1 for success.
fn sure(answer: c_int) -> Rv {
    Rv(if answer == 1 { CKR_OK } else { CKR_GENERAL_ERROR })
}

/// An answer of a preparation, which has no reason to fail.
fn must(answer: c_int) {
    assert_eq!(answer, 1, "AWS-LC refused a preparation");
}

/// What AWS-LC calls itself: "AWS-LC 1.60.0".
pub fn version() -> String {
    // SAFETY: a static string.
    let text = unsafe { std::ffi::CStr::from_ptr(aws_lc_sys::OpenSSL_version(0)) };
    text.to_string_lossy().into_owned()
}
