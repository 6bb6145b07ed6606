//! ML-KEM-768 and ML-DSA-65: AWS-LC offers them through EVP only. Contexts are made beforehand where EVP lets them be
//! used again.

use super::{must, sure};
use crate::work::{Work, repeat};
use aws_lc_sys::*;
use std::ptr;
use std::sync::OnceLock;

const MESSAGE: [u8; 64] = [0x5A; 64];

type SetParams = unsafe extern "C" fn(*mut EVP_PKEY_CTX, i32) -> i32;

fn kem() -> *mut EVP_PKEY_CTX {
    generator(EVP_PKEY_KEM, EVP_PKEY_CTX_kem_set_params, NID_MLKEM768)
}

fn dsa() -> *mut EVP_PKEY_CTX {
    generator(EVP_PKEY_PQDSA, EVP_PKEY_CTX_pqdsa_set_params, NID_MLDSA65)
}

fn generator(family: i32, set: SetParams, parameters: i32) -> *mut EVP_PKEY_CTX {
    // SAFETY: a context of its own, never freed.
    unsafe {
        let context = EVP_PKEY_CTX_new_id(family, ptr::null_mut());
        must(EVP_PKEY_keygen_init(context));
        must(set(context, parameters));
        context
    }
}

fn key(context: *mut EVP_PKEY_CTX) -> *mut EVP_PKEY {
    let mut key = ptr::null_mut();
    // SAFETY: a live context and an address to write to; the key is never freed.
    must(unsafe { EVP_PKEY_keygen(context, &mut key) });
    key
}

/// The ML-DSA key of all contestants: how often a signature is tried depends on its key.
fn dsa_key() -> *mut EVP_PKEY {
    static KEY: OnceLock<usize> = OnceLock::new();
    ptr::with_exposed_provenance_mut(*KEY.get_or_init(|| key(dsa()).expose_provenance()))
}

/// Its public and its private half as PKCS#11 has them in CKA_VALUE.
pub fn dsa_values() -> [Vec<u8>; 2] {
    type Get = unsafe extern "C" fn(*const EVP_PKEY, *mut u8, *mut usize) -> i32;
    [EVP_PKEY_get_raw_public_key as Get, EVP_PKEY_get_raw_private_key].map(|get| {
        let mut value = vec![0; 8192];
        let mut length = value.len();
        // SAFETY: a live key and a buffer with its length.
        must(unsafe { get(dsa_key(), value.as_mut_ptr(), &mut length) });
        value.truncate(length);
        value
    })
}

fn generate(context: *mut EVP_PKEY_CTX) -> Work {
    // SAFETY: a live context; the key is freed.
    repeat(move || unsafe {
        let mut key = ptr::null_mut();
        let answer = EVP_PKEY_keygen(context, &mut key);
        EVP_PKEY_free(key);
        sure(answer)
    })
}

/// EVP_PKEY_keygen.
pub fn kem_generate() -> Work {
    generate(kem())
}

/// EVP_PKEY_keygen.
pub fn dsa_generate() -> Work {
    generate(dsa())
}

/// EVP_PKEY_encapsulate.
pub fn encapsulate() -> Work {
    // SAFETY: a context of its own, never freed.
    let context = unsafe { EVP_PKEY_CTX_new(key(kem()), ptr::null_mut()) };
    let (mut sealed, mut secret) = ([0; 1088], [0; 32]);
    repeat(move || {
        let (sealed, secret) = (sealed.as_mut_ptr(), secret.as_mut_ptr());
        // SAFETY: buffers with their lengths.
        sure(unsafe { EVP_PKEY_encapsulate(context, sealed, &mut 1088, secret, &mut 32) })
    })
}

/// EVP_PKEY_decapsulate.
pub fn decapsulate() -> Work {
    // SAFETY: a context of its own, never freed.
    let context = unsafe { EVP_PKEY_CTX_new(key(kem()), ptr::null_mut()) };
    let (mut sealed, mut secret) = ([0; 1088], [0; 32]);
    // SAFETY: buffers with their lengths.
    must(unsafe {
        EVP_PKEY_encapsulate(context, sealed.as_mut_ptr(), &mut 1088, secret.as_mut_ptr(), &mut 32)
    });
    repeat(move || {
        // SAFETY: as above.
        sure(unsafe { EVP_PKEY_decapsulate(context, secret.as_mut_ptr(), &mut 32, sealed.as_ptr(), 1088) })
    })
}

/// One signature into `out`; its length.
fn sign_once(key: *mut EVP_PKEY, out: &mut [u8]) -> (i32, usize) {
    let mut length = out.len();
    // SAFETY: a live key, a context that is freed, buffers with their lengths.
    unsafe {
        let context = EVP_MD_CTX_new();
        let mut answer = EVP_DigestSignInit(context, ptr::null_mut(), ptr::null(), ptr::null_mut(), key);
        answer &= EVP_DigestSign(context, out.as_mut_ptr(), &mut length, MESSAGE.as_ptr(), MESSAGE.len());
        EVP_MD_CTX_free(context);
        (answer, length)
    }
}

/// EVP_DigestSign of 64 bytes.
pub fn sign() -> Work {
    let (key, mut out) = (dsa_key(), vec![0; 4096]);
    repeat(move || sure(sign_once(key, &mut out).0))
}

/// EVP_DigestVerify.
pub fn verify() -> Work {
    let (key, mut signature) = (dsa_key(), vec![0; 4096]);
    let (answer, length) = sign_once(key, &mut signature);
    must(answer);
    // SAFETY: a live key, a context that is freed, buffers with their lengths.
    repeat(move || unsafe {
        let context = EVP_MD_CTX_new();
        let mut answer = EVP_DigestVerifyInit(context, ptr::null_mut(), ptr::null(), ptr::null_mut(), key);
        answer &= EVP_DigestVerify(context, signature.as_ptr(), length, MESSAGE.as_ptr(), MESSAGE.len());
        EVP_MD_CTX_free(context);
        sure(answer)
    })
}
