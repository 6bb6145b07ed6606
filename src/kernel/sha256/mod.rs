//! The compression function of SHA-256 (FIPS 180-4) over many messages at once. One message AWS-LC takes in as fast as the
//! processor can; where there are many, as in a login that authenticates every record, a vector has room for all of them.

#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod x86_64;

/// Bytes in a block.
pub const BLOCK: usize = 64;

/// Messages that go side by side.
pub const LANES: usize = 16;

/// A chaining value.
pub type Chain = [u32; 8];

/// Takes each chaining value past its own blocks (section 6.2.2), which may be of any number, none too. It takes as long as
/// the lane with the most.
pub type CompressMany = fn(&mut [Chain; LANES], &[&[[u8; BLOCK]]; LANES]);

/// The compression function for this processor; `None` where one message after another is as good.
#[inline]
pub fn compress_many() -> Option<CompressMany> {
    #[cfg(target_arch = "x86_64")]
    return x86_64::best();
    #[cfg(not(target_arch = "x86_64"))]
    None
}
