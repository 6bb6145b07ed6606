//! Message digests: FIPS 180-4 and FIPS 202.

pub(super) mod sha256;
pub(super) mod sha512;
mod state;

use super::Hash;
use super::status::{ok, wipe_value};
use crate::error::Result;
use aws_lc_sys as ffi;
use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::ptr;

/// The longest digest there is, in bytes.
pub const MAX_LEN: usize = 64;

impl Hash {
    /// Every one of them.
    pub const ALL: [Hash; 11] = [
        Hash::Sha1,
        Hash::Sha224,
        Hash::Sha256,
        Hash::Sha384,
        Hash::Sha512,
        Hash::Sha512_224,
        Hash::Sha512_256,
        Hash::Sha3_224,
        Hash::Sha3_256,
        Hash::Sha3_384,
        Hash::Sha3_512,
    ];

    /// Length of the digest in bytes.
    pub const fn output_len(self) -> usize {
        match self {
            Hash::Sha1 => 20,
            Hash::Sha224 | Hash::Sha512_224 | Hash::Sha3_224 => 28,
            Hash::Sha256 | Hash::Sha512_256 | Hash::Sha3_256 => 32,
            Hash::Sha384 | Hash::Sha3_384 => 48,
            Hash::Sha512 | Hash::Sha3_512 => 64,
        }
    }

    /// Length in bytes of the block it works on, which HMAC pads its key to.
    pub const fn block_len(self) -> usize {
        match self {
            Hash::Sha1 | Hash::Sha224 | Hash::Sha256 => 64,
            Hash::Sha384 | Hash::Sha512 | Hash::Sha512_224 | Hash::Sha512_256 => 128,
            Hash::Sha3_224 => 144,
            Hash::Sha3_256 => 136,
            Hash::Sha3_384 => 104,
            Hash::Sha3_512 => 72,
        }
    }

    /// AWS-LC's name of it: static, never null.
    pub(super) fn evp_md(self) -> *const ffi::EVP_MD {
        // SAFETY: these only return the address of a static.
        unsafe {
            match self {
                Hash::Sha1 => ffi::EVP_sha1(),
                Hash::Sha224 => ffi::EVP_sha224(),
                Hash::Sha256 => ffi::EVP_sha256(),
                Hash::Sha384 => ffi::EVP_sha384(),
                Hash::Sha512 => ffi::EVP_sha512(),
                Hash::Sha512_224 => ffi::EVP_sha512_224(),
                Hash::Sha512_256 => ffi::EVP_sha512_256(),
                Hash::Sha3_224 => ffi::EVP_sha3_224(),
                Hash::Sha3_256 => ffi::EVP_sha3_256(),
                Hash::Sha3_384 => ffi::EVP_sha3_384(),
                Hash::Sha3_512 => ffi::EVP_sha3_512(),
            }
        }
    }
}

/// A digest as a value: the first `len()` bytes of a fixed array.
#[derive(Clone, Copy)]
pub struct Output {
    bytes: [u8; MAX_LEN],
    len: usize,
}

impl Output {
    pub(super) fn new(len: usize) -> Output {
        Output { bytes: [0; MAX_LEN], len }
    }

    pub(super) fn as_mut_ptr(&mut self) -> *mut u8 {
        self.bytes.as_mut_ptr()
    }
}

impl std::ops::Deref for Output {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl std::ops::DerefMut for Output {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.len]
    }
}

/// The digest of `data`.
pub fn digest(hash: Hash, data: &[u8]) -> Output {
    let mut out = Output::new(hash.output_len());
    digest_into(hash, data, &mut out);
    out
}

/// The digest of `data` in `out`.
///
/// # Panics
/// If `out` is not as long as the digest.
#[inline(always)]
pub fn digest_into(hash: Hash, data: &[u8], out: &mut [u8]) {
    assert_eq!(out.len(), hash.output_len());
    match hash {
        Hash::Sha256 => sha256::digest(sha256::SHA256, data, out),
        Hash::Sha224 => sha256::digest(sha256::SHA224, data, out),
        _ => longer_digest_into(hash, data, out),
    }
}

/// The same for the functions of which a block takes so long that a call more does not show.
fn longer_digest_into(hash: Hash, data: &[u8], out: &mut [u8]) {
    if let Some(mut state) = new_sha512(hash) {
        sha512::update(&mut state, data);
        sha512::finish(&mut state, out);
        // SAFETY: a plain structure, not used again.
        unsafe { wipe_value(&mut state) };
        return;
    }
    let (input, len, to) = (data.as_ptr(), data.len(), out.as_mut_ptr());
    // SAFETY: `input` is valid for `len`, `to` for the digest's length.
    unsafe {
        if hash == Hash::Sha1 {
            ffi::SHA1(input, len, to);
            return;
        }
        let answer = ffi::EVP_Digest(input.cast(), len, to, ptr::null_mut(), hash.evp_md(), ptr::null_mut());
        // Its context comes from the heap: an answer of 0 is that the heap is empty.
        assert_eq!(answer, 1, "EVP_Digest");
    }
}

/// A running digest; `clone()` is the state that C_GetOperationState saves and the way to a digest so far.
pub struct Context {
    hash: Hash,
    state: State,
}

/// SHA-1 and SHA-2 live in place; SHA-3 has no such type in AWS-LC's interface and lives behind EVP.
enum State {
    Sha1(ffi::SHA_CTX),
    Sha256(ffi::SHA256_CTX),
    Sha512(ffi::SHA512_CTX),
    Sha3(*mut ffi::EVP_MD_CTX),
}

// SAFETY: the EVP context is owned and only written through `&mut`; the other states are plain values.
unsafe impl Send for Context {}
// SAFETY: as above.
unsafe impl Sync for Context {}

/// A C structure as its `*_Init` function leaves it.
macro_rules! initialised {
    ($init:ident) => {{
        let mut state = MaybeUninit::uninit();
        // SAFETY: the function writes the whole structure and cannot fail.
        unsafe {
            ffi::$init(state.as_mut_ptr());
            state.assume_init()
        }
    }};
}

/// The initial state, if it is SHA-512 or a shorter sibling.
fn new_sha512(hash: Hash) -> Option<ffi::SHA512_CTX> {
    Some(match hash {
        Hash::Sha384 => initialised!(SHA384_Init),
        Hash::Sha512 => initialised!(SHA512_Init),
        Hash::Sha512_224 => initialised!(SHA512_224_Init),
        Hash::Sha512_256 => initialised!(SHA512_256_Init),
        _ => return None,
    })
}

impl Context {
    /// Of no bytes yet.
    pub fn new(hash: Hash) -> Result<Context> {
        if let Some(state) = new_sha512(hash) {
            return Ok(Context { hash, state: State::Sha512(state) });
        }
        let state = match hash {
            Hash::Sha1 => State::Sha1(initialised!(SHA1_Init)),
            Hash::Sha224 => State::Sha256(initialised!(SHA224_Init)),
            Hash::Sha256 => State::Sha256(initialised!(SHA256_Init)),
            _ => {
                // SAFETY: a new context, owned by `this` before anything can fail.
                let this = Context { hash, state: State::Sha3(unsafe { ffi::EVP_MD_CTX_new() }) };
                if let State::Sha3(context) = this.state {
                    ok((!context.is_null()).into(), "EVP_MD_CTX_new")?;
                    // SAFETY: a context and a static description.
                    let answer = unsafe { ffi::EVP_DigestInit_ex(context, hash.evp_md(), ptr::null_mut()) };
                    ok(answer, "EVP_DigestInit_ex")?;
                }
                return Ok(this);
            }
        };
        Ok(Context { hash, state })
    }

    /// Which function it computes.
    pub fn hash(&self) -> Hash {
        self.hash
    }

    /// Takes more of the message.
    pub fn update(&mut self, data: &[u8]) {
        let (input, len) = (data.as_ptr().cast::<c_void>(), data.len());
        // SAFETY: the states are initialised and `input` is valid for `len`. None of them can fail.
        unsafe {
            match &mut self.state {
                State::Sha1(state) => _ = ffi::SHA1_Update(state, input, len),
                State::Sha256(state) => _ = ffi::SHA256_Update(state, input, len),
                State::Sha512(state) => sha512::update(state, data),
                State::Sha3(context) => _ = ffi::EVP_DigestUpdate(*context, input, len),
            }
        }
    }

    /// The digest of all that was taken.
    pub fn finish(mut self) -> Output {
        let mut out = Output::new(self.hash.output_len());
        let to = out.as_mut_ptr();
        // SAFETY: the states are initialised, `to` is valid for MAX_LEN bytes. None of them can fail.
        unsafe {
            match (&mut self.state, self.hash) {
                (State::Sha1(state), _) => _ = ffi::SHA1_Final(to, state),
                (State::Sha256(state), Hash::Sha224) => _ = ffi::SHA224_Final(to, state),
                (State::Sha256(state), _) => _ = ffi::SHA256_Final(to, state),
                (State::Sha512(state), _) => sha512::finish(state, &mut out),
                (State::Sha3(context), _) => _ = ffi::EVP_DigestFinal_ex(*context, to, ptr::null_mut()),
            }
        }
        out
    }

    /// A second one that has taken the same bytes.
    pub fn duplicate(&self) -> Result<Context> {
        let state = match &self.state {
            State::Sha1(state) => State::Sha1(*state),
            State::Sha256(state) => State::Sha256(*state),
            State::Sha512(state) => State::Sha512(*state),
            State::Sha3(from) => {
                let copy = Context::new(self.hash)?;
                if let State::Sha3(to) = &copy.state {
                    // SAFETY: both are initialised contexts of the same function.
                    ok(unsafe { ffi::EVP_MD_CTX_copy_ex(*to, *from) }, "EVP_MD_CTX_copy_ex")?;
                }
                return Ok(copy);
            }
        };
        Ok(Context { hash: self.hash, state })
    }
}

/// The state may hold a block of a key (C_DigestKey).
impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: the plain states are not used again; the EVP context is owned, and null is allowed.
        unsafe {
            match &mut self.state {
                State::Sha1(state) => wipe_value(state),
                State::Sha256(state) => wipe_value(state),
                State::Sha512(state) => wipe_value(state),
                State::Sha3(context) => ffi::EVP_MD_CTX_free(*context),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 180-4 and FIPS 202: the digests of "abc", as NIST's example files have them.
    const ABC: [(Hash, &str); 11] = [
        (Hash::Sha1, "a9993e364706816aba3e25717850c26c9cd0d89d"),
        (Hash::Sha224, "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7"),
        (Hash::Sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            Hash::Sha384,
            "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7",
        ),
        (
            Hash::Sha512,
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
             2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        ),
        (Hash::Sha512_224, "4634270f707b6a54daae7530460842e20e37ed265ceee9a43e8924aa"),
        (Hash::Sha512_256, "53048e2681941ef99b2e29b76b4c7dabe4c2d0c634fc6d46e0e2f13107e7af23"),
        (Hash::Sha3_224, "e642824c3f8cf24ad09234ee7d3c766fc9a3a5168d0c94ad73b46fdf"),
        (Hash::Sha3_256, "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532"),
        (
            Hash::Sha3_384,
            "ec01498288516fc926459f58e2c6ad8df9b473cb0fc08c2596da7cf0e49be4b298d88cea927ac7f539f1edf228376d25",
        ),
        (
            Hash::Sha3_512,
            "b751850b1a57168a5693cd924b6b096e08f621827444f70d884f5d0240d2712e\
             10e116e9192af3c91a7ec57647e3934057340b4cf408d5a56592f8274eec53f0",
        ),
    ];

    #[test]
    fn nist_examples() {
        for (hash, expected) in ABC {
            assert_eq!(hex::encode(&*digest(hash, b"abc")), expected, "{hash:?}");
            assert_eq!(expected.len(), 2 * hash.output_len());
        }
    }

    #[test]
    fn parts_equal_the_whole() {
        let message: Vec<u8> = (0..1000u32).map(|i| (i * 7) as u8).collect();
        for hash in Hash::ALL {
            for chunk in [1, hash.block_len() - 1, hash.block_len(), hash.block_len() + 1, 999] {
                let mut context = Context::new(hash).unwrap();
                message.chunks(chunk).for_each(|part| context.update(part));
                let so_far = context.duplicate().unwrap();
                context.update(b"more");
                assert_eq!(*so_far.finish(), *digest(hash, &message), "{hash:?} by {chunk}");
                assert_eq!(*context.finish(), *digest(hash, &[&message[..], b"more"].concat()));
            }
        }
    }

    #[test]
    fn block_lengths_are_those_of_aws_lc() {
        for hash in Hash::ALL {
            // SAFETY: static descriptions.
            let (block, output) =
                unsafe { (ffi::EVP_MD_block_size(hash.evp_md()), ffi::EVP_MD_size(hash.evp_md())) };
            assert_eq!((hash.block_len(), hash.output_len()), (block, output), "{hash:?}");
        }
    }
}
