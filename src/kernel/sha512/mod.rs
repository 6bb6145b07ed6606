//! The compression function of SHA-512 and its shorter siblings (FIPS 180-4) where AWS-LC does not have the
//! processor's best: it has one for AVX and one without vectors.
//!
//! `x86_64` has the message schedules, of two or four blocks at once, and `rounds` the rounds; `avx2` has both for
//! processors that lack AVX-512.

// `avx2` has its macros too.
#[cfg(target_arch = "x86_64")]
#[macro_use]
mod rounds;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(test)]
pub(super) mod tests;
#[cfg(target_arch = "x86_64")]
mod x86_64;

/// Bytes in a block.
pub const BLOCK: usize = 128;

/// Takes the chaining value past some blocks (section 6.4.2).
pub type Compress = fn(&mut [u64; 8], &[[u8; BLOCK]]);

/// The compression function for this processor; `None` where AWS-LC's is as good.
#[inline]
pub fn compress() -> Option<Compress> {
    #[cfg(target_arch = "x86_64")]
    return x86_64::best();
    #[cfg(not(target_arch = "x86_64"))]
    None
}
