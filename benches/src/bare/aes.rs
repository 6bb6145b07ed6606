//! AES and triple DES by their plain functions, GCM by a prepared EVP_AEAD_CTX, and random.

use super::{must, sure};
use crate::work::{Buffer, Work, repeat};
use aws_lc_sys::*;
use cryptoki_sys::CKR_OK;
use pkcs11_conformance::client::Rv;
use std::mem::MaybeUninit;
use std::ptr;

const KEY: [u8; 32] = [0x42; 32];

fn schedule(encrypt: bool) -> AES_KEY {
    let mut key = MaybeUninit::zeroed();
    // SAFETY: 256 bits of key and a schedule to write, which zeros would be too.
    unsafe {
        let set = if encrypt { AES_set_encrypt_key } else { AES_set_decrypt_key };
        assert_eq!(set(KEY.as_ptr(), 256, key.as_mut_ptr()), 0);
        key.assume_init()
    }
}

fn gcm() -> EVP_AEAD_CTX {
    let mut context = MaybeUninit::zeroed();
    // SAFETY: zeros are a valid context; the key has the cipher's length.
    unsafe {
        let aead = EVP_aead_aes_256_gcm();
        must(EVP_AEAD_CTX_init(context.as_mut_ptr(), aead, KEY.as_ptr(), 32, 16, ptr::null_mut()));
        context.assume_init()
    }
}

fn seal(context: &EVP_AEAD_CTX, from: &[u8], to: &mut [u8], tag: &mut [u8; 16]) -> Rv {
    let (nonce, tag_at) = ([7_u8; 12], tag.as_mut_ptr());
    // SAFETY: buffers with their lengths; `to` is as long as `from`.
    sure(unsafe {
        EVP_AEAD_CTX_seal_scatter(
            context,
            to.as_mut_ptr(),
            tag_at,
            &mut 0,
            16,
            nonce.as_ptr(),
            12,
            from.as_ptr(),
            from.len(),
            ptr::null(),
            0,
            ptr::null(),
            0,
        )
    })
}

/// EVP_AEAD_CTX_seal_scatter.
pub fn gcm_seal(size: usize) -> Work {
    let (context, from, mut to, mut tag) = (gcm(), Buffer::input(size), Buffer::output(size), [0; 16]);
    repeat(move || seal(&context, &from, &mut to, &mut tag))
}

/// EVP_AEAD_CTX_open_gather.
pub fn gcm_open(size: usize) -> Work {
    let (context, plain, mut sealed, mut tag) = (gcm(), Buffer::input(size), vec![0; size], [0; 16]);
    assert_eq!(seal(&context, &plain, &mut sealed, &mut tag), Rv(CKR_OK));
    let (sealed, mut out, nonce) = (Buffer::of(&sealed), Buffer::output(size), [7_u8; 12]);
    repeat(move || {
        let (from, len) = (sealed.as_ptr(), sealed.len());
        let (nonce, none) = (nonce.as_ptr(), ptr::null());
        // SAFETY: buffers with their lengths; `out` is as long as `sealed`.
        sure(unsafe {
            EVP_AEAD_CTX_open_gather(
                &context,
                out.as_mut_ptr(),
                nonce,
                12,
                from,
                len,
                tag.as_ptr(),
                16,
                none,
                0,
            )
        })
    })
}

/// AES_encrypt for one block; for more, EVP_EncryptUpdate, which has the wide assembly.
pub fn ecb(size: usize) -> Work {
    let (from, mut to) = (Buffer::input(size), Buffer::output(size));
    if size == 16 {
        let key = schedule(true);
        return repeat(move || {
            // SAFETY: a block each.
            unsafe { AES_encrypt(from.as_ptr(), to.as_mut_ptr(), &key) };
            Rv(CKR_OK)
        });
    }
    // SAFETY: a context of its own, never freed; the key has the cipher's length.
    let context = unsafe {
        let context = EVP_CIPHER_CTX_new();
        must(EVP_EncryptInit_ex(context, EVP_aes_256_ecb(), ptr::null_mut(), KEY.as_ptr(), ptr::null()));
        must(EVP_CIPHER_CTX_set_padding(context, 0));
        context
    };
    repeat(move || {
        // SAFETY: `to` is as long as `from`, which is whole blocks.
        sure(unsafe { EVP_EncryptUpdate(context, to.as_mut_ptr(), &mut 0, from.as_ptr(), size as i32) })
    })
}

/// AES_cbc_encrypt.
pub fn cbc(size: usize, encrypt: bool) -> Work {
    let (key, from, mut to) = (schedule(encrypt), Buffer::input(size), Buffer::output(size));
    repeat(move || {
        let mut iv = [7; 16];
        let flag = i32::from(encrypt);
        // SAFETY: `to` is as long as `from`, which is whole blocks.
        unsafe { AES_cbc_encrypt(from.as_ptr(), to.as_mut_ptr(), size, &key, iv.as_mut_ptr(), flag) };
        Rv(CKR_OK)
    })
}

/// AES_ctr128_encrypt.
pub fn ctr(size: usize) -> Work {
    let (key, from, mut to) = (schedule(true), Buffer::input(size), Buffer::output(size));
    repeat(move || {
        let (mut counter, mut stream, mut used) = ([7_u8; 16], [0_u8; 16], 0);
        let (counter, stream) = (counter.as_mut_ptr(), stream.as_mut_ptr());
        // SAFETY: `to` is as long as `from`.
        unsafe { AES_ctr128_encrypt(from.as_ptr(), to.as_mut_ptr(), size, &key, counter, stream, &mut used) };
        Rv(CKR_OK)
    })
}

/// CMAC_Reset, CMAC_Update, CMAC_Final on a context that has the key.
pub fn cmac(size: usize) -> Work {
    // SAFETY: a context of its own, never freed; the key has the cipher's length.
    let context = unsafe {
        let context = CMAC_CTX_new();
        must(CMAC_Init(context, KEY.as_ptr().cast(), 32, EVP_aes_256_cbc(), ptr::null_mut()));
        context
    };
    let (data, mut mac) = (Buffer::input(size), [0; 16]);
    // SAFETY: buffers with their lengths.
    repeat(move || unsafe {
        let fed = CMAC_Reset(context) & CMAC_Update(context, data.as_ptr(), data.len());
        sure(fed & CMAC_Final(context, mac.as_mut_ptr(), &mut 0))
    })
}

fn des3() -> [DES_key_schedule; 3] {
    std::array::from_fn(|index| {
        let (mut schedule, key) = (DES_key_schedule::default(), [0x10 + 2 * index as u8; 8]);
        // SAFETY: 8 bytes of key and a schedule to write.
        unsafe { DES_set_key_unchecked(key.as_ptr().cast(), &mut schedule) };
        schedule
    })
}

/// DES_ecb3_encrypt, block after block: AWS-LC has no wider one.
pub fn des3_ecb(size: usize) -> Work {
    let ([one, two, three], from, mut to) = (des3(), Buffer::input(size), Buffer::output(size));
    repeat(move || {
        for (from, to) in from.chunks_exact(8).zip(to.chunks_exact_mut(8)) {
            // SAFETY: a block each.
            unsafe { DES_ecb3_encrypt(from.as_ptr().cast(), to.as_mut_ptr().cast(), &one, &two, &three, 1) }
        }
        Rv(CKR_OK)
    })
}

/// DES_ede3_cbc_encrypt.
pub fn des3_cbc(size: usize, encrypt: bool) -> Work {
    let ([one, two, three], from, mut to) = (des3(), Buffer::input(size), Buffer::output(size));
    repeat(move || {
        let mut iv = [7_u8; 8];
        let (iv, flag) = (iv.as_mut_ptr().cast(), i32::from(encrypt));
        // SAFETY: `to` is as long as `from`, which is whole blocks.
        unsafe { DES_ede3_cbc_encrypt(from.as_ptr(), to.as_mut_ptr(), size, &one, &two, &three, iv, flag) };
        Rv(CKR_OK)
    })
}

/// RAND_bytes.
pub fn random(size: usize) -> Work {
    let mut out = Buffer::output(size);
    // SAFETY: a buffer with its length.
    repeat(move || sure(unsafe { RAND_bytes(out.as_mut_ptr(), out.len()) }))
}

/// AES_wrap_key of 32 bytes (`padded`: AES_wrap_key_padded).
pub fn wrap(padded: bool) -> Work {
    let (key, data, mut out) = (schedule(true), [0x33_u8; 32], [0; 48]);
    // SAFETY: buffers with room for eight bytes more than the input.
    repeat(move || unsafe {
        if padded {
            return sure(AES_wrap_key_padded(&key, out.as_mut_ptr(), &mut 0, 48, data.as_ptr(), 32));
        }
        sure((AES_wrap_key(&key, ptr::null(), out.as_mut_ptr(), data.as_ptr(), 32) == 40).into())
    })
}

/// AES_unwrap_key of 40 bytes (`padded`: AES_unwrap_key_padded).
pub fn unwrap(padded: bool) -> Work {
    let (data, mut wrapped, mut out) = ([0x33_u8; 32], [0; 48], [0; 48]);
    let (wrapping, key) = (schedule(true), schedule(false));
    // SAFETY: buffers with room for eight bytes more than the input.
    unsafe {
        match padded {
            true => must(AES_wrap_key_padded(&wrapping, wrapped.as_mut_ptr(), &mut 0, 48, data.as_ptr(), 32)),
            false => {
                assert_eq!(AES_wrap_key(&wrapping, ptr::null(), wrapped.as_mut_ptr(), data.as_ptr(), 32), 40);
            }
        }
    }
    // SAFETY: as above.
    repeat(move || unsafe {
        if padded {
            return sure(AES_unwrap_key_padded(&key, out.as_mut_ptr(), &mut 0, 48, wrapped.as_ptr(), 40));
        }
        sure((AES_unwrap_key(&key, ptr::null(), out.as_mut_ptr(), wrapped.as_ptr(), 40) == 32).into())
    })
}
