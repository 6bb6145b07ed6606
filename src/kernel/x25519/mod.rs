//! X25519 (RFC 7748) where the processor multiplies 52 bits in each lane of a vector (AVX-512 IFMA): a step of the ladder is
//! two products and a square of four field elements each, where it is ten products and squares of one elsewhere.
//!
//! `field` is the arithmetic of four elements and `ladder` what is done with it, written once for `lanes`; `ifma` has them
//! in the processor, and `portable` in numbers that tests hold against their bounds. `inverse` and `single` are for the
//! division at the end.
//!
//! **Constant time.** No branch and no address depends on the scalar or the point: which points are exchanged is in
//! the order in which lanes are permuted.

#[cfg(target_arch = "x86_64")]
mod field;
#[cfg(target_arch = "x86_64")]
mod ifma;
#[cfg(target_arch = "x86_64")]
mod inverse;
#[cfg(target_arch = "x86_64")]
mod ladder;
#[cfg(target_arch = "x86_64")]
mod lanes;
#[cfg(all(test, target_arch = "x86_64"))]
mod portable;
#[cfg(target_arch = "x86_64")]
mod single;
#[cfg(all(test, target_arch = "x86_64"))]
mod tests;

/// Writes the u coordinate of the product of a scalar, which it clamps, and a point, whose highest bit it leaves out; zero
/// for a point of small order.
pub type Agree = fn(shared: &mut [u8; 32], scalar: &[u8; 32], point: &[u8; 32]);

/// How deep the stack holds secrets after a call: to be wiped by who calls.
pub const DEPTH: usize = 2 << 10;

/// X25519 for this processor; `None` where AWS-LC's is as good.
#[inline]
pub fn agree() -> Option<Agree> {
    #[cfg(target_arch = "x86_64")]
    {
        let has = super::cpu::features();
        if has.ifma && has.avx512 && has.avx2 && has.bmi {
            // SAFETY: the features have been seen.
            return Some(|shared, scalar, point| unsafe { ifma::agree(shared, scalar, point) });
        }
    }
    None
}
