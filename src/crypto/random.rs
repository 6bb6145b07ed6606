//! Random bytes: AWS-LC's CTR_DRBG, seeded by the system, one per thread, safe across forks.

use super::Secret;

/// Fills `out`. AWS-LC stops the process rather than return bytes that are not random, so there is no error.
pub fn fill(out: &mut [u8]) {
    // SAFETY: valid for its length.
    unsafe { aws_lc_sys::RAND_bytes(out.as_mut_ptr(), out.len()) };
}

/// `N` random bytes that are no secret: an IV, a salt, a nonce.
pub fn array<const N: usize>() -> [u8; N] {
    let mut out = [0; N];
    fill(&mut out);
    out
}

/// `len` random bytes that are.
pub fn secret(len: usize) -> Secret {
    let mut out = Secret::zeroed(len);
    fill(out.expose_mut());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_answers_are_equal_and_no_byte_is_left() {
        assert_ne!(array::<32>(), array::<32>());
        let mut seen = [false; 1000];
        // A byte that fill() leaves alone stays zero in all 20 rounds; a random one does with 2^-160.
        for _ in 0..20 {
            secret(1000).expose().iter().zip(&mut seen).for_each(|(byte, seen)| *seen |= *byte != 0);
        }
        assert!(seen.iter().all(|&seen| seen));
    }
}
