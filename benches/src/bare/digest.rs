//! Digests by their one-shot functions, HMAC by a context that has the key.

use super::{must, sure};
use crate::work::{Buffer, Work, repeat};
use aws_lc_sys::*;
use cryptoki_sys::CKR_OK;
use pkcs11_conformance::client::Rv;
use std::ptr;

/// SHA256 and its like.
pub type Digest = unsafe extern "C" fn(*const u8, usize, *mut u8) -> *mut u8;

/// A digest in one call.
pub fn digest(digest: Digest, size: usize) -> Work {
    let (data, mut out) = (Buffer::input(size), [0; 64]);
    repeat(move || {
        // SAFETY: a buffer with its length, and room for the longest digest.
        unsafe { digest(data.as_ptr(), data.len(), out.as_mut_ptr()) };
        Rv(CKR_OK)
    })
}

/// HMAC_Init_ex without a key, which takes the context back to its prepared key; HMAC_Update, HMAC_Final.
pub fn hmac_sha256(size: usize) -> Work {
    // SAFETY: a context of its own, never freed.
    let context = unsafe {
        let context = HMAC_CTX_new();
        must(HMAC_Init_ex(context, [0x42_u8; 32].as_ptr().cast(), 32, EVP_sha256(), ptr::null_mut()));
        context
    };
    let (data, mut mac) = (Buffer::input(size), [0; 32]);
    // SAFETY: buffers with their lengths.
    repeat(move || unsafe {
        let begun = HMAC_Init_ex(context, ptr::null(), 0, ptr::null(), ptr::null_mut());
        let fed = HMAC_Update(context, data.as_ptr(), data.len());
        sure(begun & fed & HMAC_Final(context, mac.as_mut_ptr(), &mut 0))
    })
}
