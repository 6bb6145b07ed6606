//! RSA by the RSA_ functions: the hash, where a mechanism has one, is part of the operation.

use super::{must, sure};
use crate::work::{Work, repeat};
use aws_lc_sys::*;
use std::ptr;

/// What CKM_RSA_PKCS, CKM_SHA256_RSA_PKCS and CKM_SHA256_RSA_PKCS_PSS do.
#[derive(Clone, Copy)]
pub enum Scheme {
    /// PKCS #1 v1.5 of 32 bytes as they are.
    Raw,
    /// SHA-256 and PKCS #1 v1.5.
    Sha256,
    /// PSS of a SHA-256 digest that is given, with a salt of 32 bytes.
    Pss,
}

const DIGEST: [u8; 32] = [0x5A; 32];

fn key(bits: i32) -> *mut RSA {
    // SAFETY: objects of its own, never freed.
    unsafe {
        let (key, exponent) = (RSA_new(), BN_new());
        must(BN_set_word(exponent, 65_537));
        must(RSA_generate_key_ex(key, bits, exponent, ptr::null_mut()));
        key
    }
}

/// One signature into `out`.
///
/// # Safety
/// `key` is a live private key, `out` has its length.
unsafe fn sign_once(key: *mut RSA, scheme: Scheme, out: &mut [u8]) -> i32 {
    let (at, room, input, mut length) = (out.as_mut_ptr(), out.len(), DIGEST.as_ptr(), 0);
    // SAFETY: the caller's word; inputs of 32 bytes.
    unsafe {
        match scheme {
            Scheme::Raw => RSA_sign_raw(key, &mut length, at, room, input, 32, RSA_PKCS1_PADDING),
            Scheme::Sha256 => {
                let mut digest = [0; 32];
                SHA256(input, 32, digest.as_mut_ptr());
                RSA_sign(NID_sha256, digest.as_ptr(), 32, at, &mut 0, key)
            }
            Scheme::Pss => {
                RSA_sign_pss_mgf1(key, &mut length, at, room, input, 32, EVP_sha256(), EVP_sha256(), 32)
            }
        }
    }
}

/// A signature.
pub fn sign(bits: i32, scheme: Scheme) -> Work {
    let (key, mut out) = (key(bits), vec![0; bits as usize / 8]);
    // SAFETY: the key lives for ever and the buffer has its length.
    repeat(move || sure(unsafe { sign_once(key, scheme, &mut out) }))
}

/// A verification.
pub fn verify(bits: i32, scheme: Scheme) -> Work {
    let (key, mut signature, mut out) = (key(bits), vec![0; bits as usize / 8], vec![0; bits as usize / 8]);
    // SAFETY: the key lives for ever and the buffer has its length.
    must(unsafe { sign_once(key, scheme, &mut signature) });
    // SAFETY: as above; inputs of 32 bytes.
    repeat(move || unsafe {
        let (from, len, mut length) = (signature.as_ptr(), signature.len(), 0);
        match scheme {
            Scheme::Raw => {
                let answer = RSA_verify_raw(
                    key,
                    &mut length,
                    out.as_mut_ptr(),
                    out.len(),
                    from,
                    len,
                    RSA_PKCS1_PADDING,
                );
                sure((answer == 1 && out[..length] == DIGEST).into())
            }
            Scheme::Sha256 => {
                let mut digest = [0; 32];
                SHA256(DIGEST.as_ptr(), 32, digest.as_mut_ptr());
                sure(RSA_verify(NID_sha256, digest.as_ptr(), 32, from, len, key))
            }
            Scheme::Pss => {
                let (hash, mask) = (EVP_sha256(), EVP_sha256());
                sure(RSA_verify_pss_mgf1(key, DIGEST.as_ptr(), 32, hash, mask, 32, from, len))
            }
        }
    })
}

/// OAEP with SHA-1, the one that all modules have; `data` of 32 bytes.
unsafe fn oaep(key: *mut RSA, data: &[u8; 32], out: &mut [u8]) -> i32 {
    let mut length = 0;
    // SAFETY: the caller's live key; `out` has its length.
    unsafe {
        RSA_encrypt(key, &mut length, out.as_mut_ptr(), out.len(), data.as_ptr(), 32, RSA_PKCS1_OAEP_PADDING)
    }
}

/// RSA_encrypt, OAEP.
pub fn oaep_encrypt(bits: i32) -> Work {
    let (key, mut out) = (key(bits), vec![0; bits as usize / 8]);
    // SAFETY: the key lives for ever and the buffer has its length.
    repeat(move || sure(unsafe { oaep(key, &DIGEST, &mut out) }))
}

/// RSA_decrypt, OAEP.
pub fn oaep_decrypt(bits: i32) -> Work {
    let (key, mut sealed, mut out) = (key(bits), vec![0; bits as usize / 8], vec![0; bits as usize / 8]);
    // SAFETY: the key lives for ever and the buffers have its length.
    must(unsafe { oaep(key, &DIGEST, &mut sealed) });
    repeat(move || {
        let (from, len, room) = (sealed.as_ptr(), sealed.len(), out.len());
        // SAFETY: as above.
        sure(unsafe { RSA_decrypt(key, &mut 0, out.as_mut_ptr(), room, from, len, RSA_PKCS1_OAEP_PADDING) })
    })
}

/// What CKM_RSA_AES_KEY_WRAP does: a fresh AES key, RFC 5649 with it, and OAEP of it.
pub fn aes_wrap(bits: i32) -> Work {
    let (key, mut out, mut wrapped) = (key(bits), vec![0; bits as usize / 8], [0; 48]);
    // SAFETY: the key lives for ever and the buffers have the lengths that are told.
    repeat(move || unsafe {
        let (mut fresh, mut schedule) = ([0_u8; 32], std::mem::zeroed());
        let mut answer = RAND_bytes(fresh.as_mut_ptr(), 32);
        answer &= i32::from(AES_set_encrypt_key(fresh.as_ptr(), 256, &mut schedule) == 0);
        answer &= AES_wrap_key_padded(&schedule, wrapped.as_mut_ptr(), &mut 0, 48, DIGEST.as_ptr(), 32);
        sure(answer & oaep(key, &fresh, &mut out))
    })
}

/// The way back.
pub fn aes_unwrap(bits: i32) -> Work {
    let (key, mut sealed, mut wrapped) = (key(bits), vec![0; bits as usize / 8], [0_u8; 48]);
    let aes = [0x42_u8; 32];
    // SAFETY: the key lives for ever and the buffers have the lengths that are told.
    unsafe {
        let mut schedule = std::mem::zeroed();
        assert_eq!(AES_set_encrypt_key(aes.as_ptr(), 256, &mut schedule), 0);
        must(AES_wrap_key_padded(&schedule, wrapped.as_mut_ptr(), &mut 0, 48, DIGEST.as_ptr(), 32));
        must(oaep(key, &aes, &mut sealed));
    }
    // SAFETY: as above.
    repeat(move || unsafe {
        let (mut fresh, mut out, mut schedule) = ([0_u8; 512], [0_u8; 48], std::mem::zeroed());
        let (at, from, len) = (fresh.as_mut_ptr(), sealed.as_ptr(), sealed.len());
        let mut answer = RSA_decrypt(key, &mut 0, at, 512, from, len, RSA_PKCS1_OAEP_PADDING);
        answer &= i32::from(AES_set_decrypt_key(at, 256, &mut schedule) == 0);
        sure(answer & AES_unwrap_key_padded(&schedule, out.as_mut_ptr(), &mut 0, 48, wrapped.as_ptr(), 40))
    })
}

/// RSA_generate_key_ex.
pub fn generate(bits: i32) -> Work {
    // SAFETY: objects of its own, freed.
    let exponent = unsafe { BN_new() };
    // SAFETY: as above.
    must(unsafe { BN_set_word(exponent, 65_537) });
    // SAFETY: as above.
    repeat(move || unsafe {
        let key = RSA_new();
        let answer = RSA_generate_key_ex(key, bits, exponent, ptr::null_mut());
        RSA_free(key);
        sure(answer)
    })
}
