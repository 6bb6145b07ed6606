//! SHA-512 and its shorter siblings over AWS-LC's state with the kernel's compression function, where there is one.

pub use crate::kernel::sha512::BLOCK;
use crate::kernel::sha512::{Compress, compress};
use aws_lc_sys as ffi;

/// What AWS-LC's `SHA512_Update` does.
pub fn update(state: &mut ffi::SHA512_CTX, mut data: &[u8]) {
    if let Some(compress) = compress().filter(|_| data.len() >= BLOCK) {
        let fill = (BLOCK - state.num as usize) % BLOCK;
        update_by_aws_lc(state, data.split_off(..fill).unwrap_or_default());
        let (blocks, rest) = data.as_chunks();
        compress(&mut state.h, blocks);
        let bits = u128::from(state.Nh) << 64 | u128::from(state.Nl);
        let bits = bits.wrapping_add(8 * (blocks.as_flattened().len() as u128));
        (state.Nh, state.Nl) = ((bits >> 64) as u64, bits as u64);
        data = rest;
    }
    update_by_aws_lc(state, data);
}

fn update_by_aws_lc(state: &mut ffi::SHA512_CTX, data: &[u8]) {
    // SAFETY: an initialised state, and `data` is valid for its length. It cannot fail.
    unsafe { ffi::SHA512_Update(state, data.as_ptr().cast(), data.len()) };
}

/// What AWS-LC's `SHA512_Final` does, to as many bytes as `out` has; the state is used up.
pub fn finish(state: &mut ffi::SHA512_CTX, out: &mut [u8]) {
    let Some(compress) = compress() else {
        // SAFETY: an initialised state of a digest as long as `out`. It cannot fail.
        unsafe { ffi::SHA512_Final(out.as_mut_ptr(), state) };
        return;
    };
    pad(state, compress);
    let words = state.h.map(u64::to_be_bytes);
    let len = out.len();
    out.copy_from_slice(&words.as_flattened()[..len]);
}

/// Takes in a one, zeros, and the length in bits (FIPS 180-4, section 5.1.2).
fn pad(state: &mut ffi::SHA512_CTX, compress: Compress) {
    const LENGTH: usize = 16;
    let used = state.num as usize;
    let bits = u128::from(state.Nh) << 64 | u128::from(state.Nl);
    state.p[used] = 0x80;
    state.p[used + 1..].fill(0);
    if used >= BLOCK - LENGTH {
        compress(&mut state.h, &[state.p]);
        state.p.fill(0);
    }
    state.p[BLOCK - LENGTH..].copy_from_slice(&bits.to_be_bytes());
    compress(&mut state.h, &[state.p]);
}

#[cfg(test)]
mod tests {
    use super::super::{Context, Hash, digest};
    use super::*;
    use crate::crypto::random;
    use crate::kernel::cpu;

    fn by_aws_lc(hash: Hash, data: &[u8]) -> Vec<u8> {
        let (mut out, from, len) = (vec![0; hash.output_len()], data.as_ptr(), data.len());
        let to = out.as_mut_ptr();
        // SAFETY: `out` is as long as the digest.
        unsafe {
            match hash {
                Hash::Sha384 => ffi::SHA384(from, len, to),
                Hash::Sha512 => ffi::SHA512(from, len, to),
                Hash::Sha512_224 => ffi::SHA512_224(from, len, to),
                _ => ffi::SHA512_256(from, len, to),
            }
        };
        out
    }

    /// Every length around the edges of blocks and of the padding, in one piece and in three; COFFER_LONG=1 takes a
    /// million cases.
    #[test]
    fn the_kernel_and_aws_lc_agree() {
        let cases = if std::env::var_os("COFFER_LONG").is_some() { 1_000_000 } else { 3000 };
        let mut random = random::secret(1 << 16);
        for case in 0..cases {
            // From somewhere in the pool, which serves for as long as no place comes again.
            let pool = random.expose();
            let at = case * 7919 % 60_000;
            let number = |i: usize| usize::from(u16::from_le_bytes([pool[at + 2 * i], pool[at + 2 * i + 1]]));
            let hash = [Hash::Sha384, Hash::Sha512, Hash::Sha512_224, Hash::Sha512_256][number(0) % 4];
            // The short ones all, then any.
            let len = if case < 700 { case } else { number(1) % 5000 };
            let data = &pool[at..at + len];
            let (one, two) = (number(2) % (len + 1), number(3) % (len + 1));
            let (first, second) = (one.min(two), one.max(two));
            let expected = by_aws_lc(hash, data);
            for without in [&[][..], &["avx512"], &["avx2"]] {
                cpu::without(without, || {
                    assert_eq!(*digest(hash, data), expected, "{hash:?} of {len} without {without:?}");
                    let mut context = Context::new(hash).unwrap();
                    for part in [&data[..first], &data[first..second], &data[second..]] {
                        context.update(part);
                    }
                    let cut = format!("{hash:?} of {len} cut at {first} and {second} without {without:?}");
                    assert_eq!(*context.finish(), expected, "{cut}");
                });
            }
            if case % 60_000 == 59_999 {
                random = random::secret(1 << 16);
            }
        }
    }
}
