//! ECDSA, ECDH, Ed25519 and X25519 by their plain functions.

use super::{must, sure};
use crate::work::{Work, repeat};
use aws_lc_sys::*;
use std::ptr;

/// AWS-LC's numbers of the two curves.
pub const P256: i32 = NID_X9_62_prime256v1;
/// As above.
pub const P384: i32 = NID_secp384r1;

fn key(curve: i32) -> *mut EC_KEY {
    // SAFETY: a key of its own, never freed.
    unsafe {
        let key = EC_KEY_new_by_curve_name(curve);
        must(EC_KEY_generate_key(key));
        key
    }
}

/// ECDSA_sign of 32 bytes.
pub fn sign(curve: i32) -> Work {
    let (key, digest, mut out) = (key(curve), [0x5A_u8; 32], [0; 128]);
    // SAFETY: a live key, and room for the longest signature of these curves.
    repeat(move || sure(unsafe { ECDSA_sign(0, digest.as_ptr(), 32, out.as_mut_ptr(), &mut 0, key) }))
}

/// ECDSA_verify.
pub fn verify(curve: i32) -> Work {
    let (key, digest, mut signature, mut length) = (key(curve), [0x5A_u8; 32], [0; 128], 0);
    // SAFETY: a live key, and room for the longest signature of these curves.
    must(unsafe { ECDSA_sign(0, digest.as_ptr(), 32, signature.as_mut_ptr(), &mut length, key) });
    repeat(move || {
        // SAFETY: as above.
        sure(unsafe { ECDSA_verify(0, digest.as_ptr(), 32, signature.as_ptr(), length as usize, key) })
    })
}

/// EC_KEY_generate_key.
pub fn generate(curve: i32) -> Work {
    // SAFETY: a key of its own, freed.
    repeat(move || unsafe {
        let key = EC_KEY_new_by_curve_name(curve);
        let answer = EC_KEY_generate_key(key);
        EC_KEY_free(key);
        sure(answer)
    })
}

/// ECDH_compute_key on P-256 with a point that is decoded each time, as C_DeriveKey gets it.
pub fn ecdh() -> Work {
    let (own, other, mut out) = (key(P256), key(P256), [0_u8; 32]);
    let mut encoded = [0_u8; 65];
    // SAFETY: live keys and buffers with their lengths.
    unsafe {
        let (group, point) = (EC_KEY_get0_group(other), EC_KEY_get0_public_key(other));
        let form = point_conversion_form_t::POINT_CONVERSION_UNCOMPRESSED;
        assert_eq!(EC_POINT_point2oct(group, point, form, encoded.as_mut_ptr(), 65, ptr::null_mut()), 65);
    }
    // SAFETY: as above; the point is freed.
    repeat(move || unsafe {
        let group = EC_KEY_get0_group(own);
        let point = EC_POINT_new(group);
        let decoded = EC_POINT_oct2point(group, point, encoded.as_ptr(), 65, ptr::null_mut());
        let length = ECDH_compute_key(out.as_mut_ptr().cast(), 32, point, own, None);
        EC_POINT_free(point);
        sure((decoded == 1 && length == 32).into())
    })
}

fn ed25519() -> ([u8; 32], [u8; 64]) {
    let (mut public, mut private) = ([0; 32], [0; 64]);
    // SAFETY: buffers of the two lengths.
    unsafe { ED25519_keypair(public.as_mut_ptr(), private.as_mut_ptr()) };
    (public, private)
}

/// ED25519_sign of 64 bytes.
pub fn ed25519_sign() -> Work {
    let ((_, private), data, mut out) = (ed25519(), [0x5A_u8; 64], [0; 64]);
    // SAFETY: buffers with their lengths.
    repeat(move || sure(unsafe { ED25519_sign(out.as_mut_ptr(), data.as_ptr(), 64, private.as_ptr()) }))
}

/// ED25519_verify.
pub fn ed25519_verify() -> Work {
    let ((public, private), data, mut signature) = (ed25519(), [0x5A_u8; 64], [0; 64]);
    // SAFETY: buffers with their lengths.
    must(unsafe { ED25519_sign(signature.as_mut_ptr(), data.as_ptr(), 64, private.as_ptr()) });
    // SAFETY: as above.
    repeat(move || sure(unsafe { ED25519_verify(data.as_ptr(), 64, signature.as_ptr(), public.as_ptr()) }))
}

/// ED25519_keypair.
pub fn ed25519_generate() -> Work {
    repeat(|| {
        ed25519();
        sure(1)
    })
}

/// X25519.
pub fn x25519() -> Work {
    let (mut public, mut private, mut out) = ([0_u8; 32], [0_u8; 32], [0_u8; 32]);
    // SAFETY: buffers of 32 bytes.
    unsafe { X25519_keypair(public.as_mut_ptr(), private.as_mut_ptr()) };
    // SAFETY: as above.
    repeat(move || sure(unsafe { X25519(out.as_mut_ptr(), private.as_ptr(), public.as_ptr()) }))
}
