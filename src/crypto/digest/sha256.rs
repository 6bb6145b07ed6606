//! SHA-256 and SHA-224 of what is there in one piece, straight on the compression function, the kernel's or AWS-LC's: no
//! state that takes in parts, so a short message costs its one or two blocks and little else.

use crate::crypto::wipe;
use crate::kernel::sha256::{self, DIGEST};
use aws_lc_sys as ffi;

/// Bytes in a block.
pub const BLOCK: usize = 64;

/// The chaining value.
pub type Chain = [u32; 8];

/// The first one of SHA-256 (FIPS 180-4, section 5.3.3).
pub const SHA256: Chain =
    [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19];

/// The first one of SHA-224 (section 5.3.2).
pub const SHA224: Chain =
    [0xc1059ed8, 0x367cd507, 0x3070dd17, 0xf70e5939, 0xffc00b31, 0x68581511, 0x64f98fa7, 0xbefa4fa4];

/// Bytes of the message's length in its last block.
const LENGTH: usize = 8;

fn compress(chain: &mut Chain, blocks: &[[u8; BLOCK]]) {
    // SAFETY: a chaining value and so many blocks.
    unsafe { ffi::SHA256_TransformBlocks(chain.as_mut_ptr(), blocks.as_ptr().cast(), blocks.len()) }
}

/// Takes in all that is left of a message, `data`, and its padding (section 5.1.1). `before` bytes of it, whole blocks,
/// are in `chain`. Gives the digest, as many bytes of it as `out` has.
#[inline]
pub fn finish(chain: Chain, before: usize, data: &[u8], out: &mut [u8]) {
    let bits = 8 * (before as u64 + data.len() as u64);
    let finish = sha256::finish().unwrap_or(finish_by_aws_lc);
    match out.try_into() {
        Ok(whole) => finish(&chain, data, bits, whole),
        Err(_) => {
            let mut whole = [0; DIGEST];
            finish(&chain, data, bits, &mut whole);
            out.copy_from_slice(&whole[..out.len()]);
        }
    }
}

/// Where there is no kernel.
fn finish_by_aws_lc(chain: &Chain, data: &[u8], bits: u64, digest: &mut [u8; DIGEST]) {
    let mut chain = *chain;
    let (blocks, rest) = data.as_chunks::<BLOCK>();
    if !blocks.is_empty() {
        compress(&mut chain, blocks);
    }
    let mut last = [[0; BLOCK]; 2];
    let (len, bytes) = (rest.len(), last.as_flattened_mut());
    bytes[..len].copy_from_slice(rest);
    bytes[len] = 0x80;
    let wanted = if len < BLOCK - LENGTH { 1 } else { 2 };
    bytes[wanted * BLOCK - LENGTH..wanted * BLOCK].copy_from_slice(&bits.to_be_bytes());
    compress(&mut chain, &last[..wanted]);
    wipe(&mut last.as_flattened_mut()[..len]);
    digest.copy_from_slice(chain.map(u32::to_be_bytes).as_flattened());
}

/// The digest of `data` for a first chaining value.
#[inline]
pub fn digest(first: Chain, data: &[u8], out: &mut [u8]) {
    finish(first, 0, data, out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{Hash, digest, random};
    use crate::kernel::cpu;

    /// Every length around two blocks, and longer ones, against AWS-LC's own.
    #[test]
    fn it_is_aws_lc() {
        check();
        cpu::without(&["sha"], check);
    }

    fn check() {
        let data = random::secret(5000);
        for len in (0..200).chain([1000, 4095, 4096, 4097, 5000]) {
            let data = &data.expose()[..len];
            let mut expected = [0; 32];
            // SAFETY: a buffer with its length, and room for the digest.
            unsafe { ffi::SHA256(data.as_ptr(), len, expected.as_mut_ptr()) };
            assert_eq!(*digest::digest(Hash::Sha256, data), expected, "{len}");
            // SAFETY: as above.
            unsafe { ffi::SHA224(data.as_ptr(), len, expected.as_mut_ptr()) };
            assert_eq!(*digest::digest(Hash::Sha224, data), expected[..28], "{len}");
        }
    }
}
