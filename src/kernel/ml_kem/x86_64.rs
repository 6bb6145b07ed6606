//! The ways of x86-64.

use super::avx2::{Ymms, accept_eight, permute_four, permute_lanes};
use super::avx512::{Zmm, accept_sixteen, permute_eight, permute_one};
use super::keccak::{State, States};
use super::sampling::{BLOCK, ROOM};
use super::vector::Q_INVERSE;
use super::{PrivateKey, Processor, PublicKey, Way, scheme};

/// q^-1 in the low half of 32 bits, zeros above.
pub(super) const LOW_Q_INVERSE: i32 = Q_INVERSE as u16 as i32;

/// Of eight words, the bytes that make 32 words of them, each four times.
pub(super) const QUADRUPLED: [[u8; 32]; 2] = {
    let mut from = [[0; 32]; 2];
    let mut i = 0;
    while i < 64 {
        from[i / 32][i % 32] = (i / 8 * 2 + i % 2) as u8;
        i += 1;
    }
    from
};

macro_rules! way {
    ($(#[$doc:meta])* $name:ident, $way:ident: $vector:ty, $one:ident $together:ident $accept:ident, $pays_from:literal, $features:literal) => {
        pub(super) struct $name;

        impl Processor for $name {
            type Vector = $vector;

            #[inline(always)]
            fn permute(state: &mut State) {
                // SAFETY: whoever calls has asked the processor.
                unsafe { $one(state) }
            }

            #[inline(always)]
            fn permute_together(states: &mut States, count: usize) {
                // SAFETY: whoever calls has asked the processor.
                unsafe { $together(states, count) }
            }

            #[inline(always)]
            fn accept(bytes: &[u8; BLOCK], numbers: &mut [i16; ROOM], len: usize) -> usize {
                // SAFETY: whoever calls has asked the processor.
                unsafe { $accept(bytes, numbers, len) }
            }
        }

        $(#[$doc])*
        pub(super) static $way: Way = {
            #[target_feature(enable = $features)]
            unsafe fn expand(key: &mut PublicKey, encoded: &[u8]) {
                scheme::expand::<$name>(key, encoded)
            }

            #[target_feature(enable = $features)]
            unsafe fn expand_private(key: &mut PrivateKey, encoded: &[u8]) {
                scheme::expand_private::<$name>(key, encoded)
            }

            #[target_feature(enable = $features)]
            unsafe fn encapsulate(
                key: &PublicKey,
                message: &[u8; 32],
                ciphertext: &mut [u8],
                secret: &mut [u8; 32],
            ) {
                scheme::encapsulate::<$name>(key, message, ciphertext, secret)
            }

            #[target_feature(enable = $features)]
            unsafe fn decapsulate(key: &PrivateKey, ciphertext: &[u8], secret: &mut [u8; 32]) {
                scheme::decapsulate::<$name>(key, ciphertext, secret)
            }

            Way { expand, expand_private, encapsulate, decapsulate, pays_from: Some($pays_from) }
        };
    };
}

way! {
    /// AVX2, AVX-512 F, BW, DQ and VL, BMI1 and BMI2 must be there.
    Avx512, AVX512: Zmm, permute_one permute_eight accept_sixteen, 1, "avx2,avx512f,avx512bw,avx512dq,avx512vl,bmi1,bmi2"
}
way! {
    /// AVX2, BMI1 and BMI2 must be there.
    Avx2, AVX2: Ymms, permute_lanes permute_four accept_eight, 2, "avx2,bmi1,bmi2"
}
