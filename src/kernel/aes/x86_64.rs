//! AES on x86-64: AES-NI for single blocks and the key schedule, VAES for two or four blocks in a register.

use super::MAX_KEYS;
use super::modes::{Keys, Mode, run};
use super::vector::{Block, Vector};
use crate::kernel::cpu::features;
use std::arch::x86_64::*;
use std::array::from_fn;

/// Implements [`Vector`]: the type, its blocks, the intrinsics by name, and the two functions in which the widths
/// differ by more than names.
macro_rules! vector {
    ($name:ident($register:ty), $blocks:literal, $load:ident, $store:ident, $xor:ident, $shuffle:ident, $add:ident,
     $encrypt:ident, $encrypt_last:ident, $decrypt:ident, $decrypt_last:ident,
     repeat: $repeat:expr, shifted: $shifted:expr) => {
        #[derive(Clone, Copy)]
        pub(super) struct $name($register);

        impl Vector for $name {
            const BLOCKS: usize = $blocks;

            #[inline(always)]
            unsafe fn load(from: *const u8) -> Self {
                // SAFETY: the caller's.
                unsafe { $name($load(from.cast())) }
            }

            #[inline(always)]
            unsafe fn store(self, to: *mut u8) {
                // SAFETY: the caller's.
                unsafe { $store(to.cast(), self.0) }
            }

            #[inline(always)]
            unsafe fn repeat(block: &Block) -> Self {
                // SAFETY: 16 bytes; the instructions are the caller's.
                unsafe { $name($repeat(_mm_load_si128((&raw const *block).cast()))) }
            }

            #[inline(always)]
            fn xor(self, other: Self) -> Self {
                // SAFETY: a value proves the instructions.
                unsafe { $name($xor(self.0, other.0)) }
            }

            #[inline(always)]
            fn encrypt_round(self, key: Self) -> Self {
                // SAFETY: a value proves the instructions.
                unsafe { $name($encrypt(self.0, key.0)) }
            }

            #[inline(always)]
            fn encrypt_last(self, key: Self) -> Self {
                // SAFETY: a value proves the instructions.
                unsafe { $name($encrypt_last(self.0, key.0)) }
            }

            #[inline(always)]
            fn decrypt_round(self, key: Self) -> Self {
                // SAFETY: a value proves the instructions.
                unsafe { $name($decrypt(self.0, key.0)) }
            }

            #[inline(always)]
            fn decrypt_last(self, key: Self) -> Self {
                // SAFETY: a value proves the instructions.
                unsafe { $name($decrypt_last(self.0, key.0)) }
            }

            #[inline(always)]
            fn shifted(self, earlier: Self) -> Self {
                // SAFETY: a value proves the instructions.
                unsafe { $name($shifted(self.0, earlier.0)) }
            }

            #[inline(always)]
            fn plus_in_last_byte(self, first: u8) -> Self {
                // It is the top one of eight that make a number, so nothing is carried.
                let numbers: [_; $blocks] = from_fn(|i| [0, (u64::from(first) + i as u64) << 56]);
                // SAFETY: a value proves the instructions, and the array is as large.
                unsafe { $name($add(self.0, $load(numbers.as_ptr().cast()))) }
            }

            #[inline(always)]
            fn plus(self, first: u8) -> Self {
                let numbers: [_; $blocks] = from_fn(|i| [u64::from(first) + i as u64, 0]);
                // SAFETY: a value proves the instructions, and the array is as large.
                unsafe { $name($add(self.0, $load(numbers.as_ptr().cast()))) }
            }

            #[inline(always)]
            fn reversed(self) -> Self {
                // SAFETY: a value proves the instructions.
                unsafe {
                    let order = _mm_set_epi64x(0x0001020304050607, 0x08090A0B0C0D0E0F);
                    $name($shuffle(self.0, $repeat(order)))
                }
            }
        }
    };
}

vector! {
    One(__m128i), 1, _mm_loadu_si128, _mm_storeu_si128, _mm_xor_si128, _mm_shuffle_epi8, _mm_add_epi64,
    _mm_aesenc_si128, _mm_aesenclast_si128, _mm_aesdec_si128, _mm_aesdeclast_si128,
    repeat: |block| block,
    shifted: |_, earlier| earlier
}

vector! {
    Two(__m256i), 2, _mm256_loadu_si256, _mm256_storeu_si256, _mm256_xor_si256, _mm256_shuffle_epi8, _mm256_add_epi64,
    _mm256_aesenc_epi128, _mm256_aesenclast_epi128, _mm256_aesdec_epi128, _mm256_aesdeclast_epi128,
    repeat: |block| _mm256_broadcastsi128_si256(block),
    shifted: |this, earlier| _mm256_permute2x128_si256::<0x03>(this, earlier)
}

vector! {
    Four(__m512i), 4, _mm512_loadu_si512, _mm512_storeu_si512, _mm512_xor_si512, _mm512_shuffle_epi8, _mm512_add_epi64,
    _mm512_aesenc_epi128, _mm512_aesenclast_epi128, _mm512_aesdec_epi128, _mm512_aesdeclast_epi128,
    repeat: |block| _mm512_broadcast_i32x4(block),
    shifted: |this, earlier| _mm512_alignr_epi64::<6>(this, earlier)
}

/// Which vectors the processor has instructions for, besides [`One`].
#[derive(Clone, Copy)]
pub(super) enum Wide {
    Two,
    Four,
}

impl Wide {
    pub(super) fn best() -> Option<Wide> {
        let features = features();
        match () {
            _ if !(features.vaes && features.avx2 && features.aesni) => None,
            _ if features.avx512 => Some(Wide::Four),
            _ => Some(Wide::Two),
        }
    }

    /// # Safety
    /// Both pointers are valid for `blocks` blocks and either the same or apart.
    #[inline]
    pub(super) unsafe fn run(self, mode: impl Mode, from: *const u8, to: *mut u8, blocks: usize) {
        // SAFETY: a value of `Wide` comes from `best`; the pointers are the caller's.
        unsafe {
            match self {
                Wide::Two => run_two(mode, from, to, blocks),
                Wide::Four => run_four(mode, from, to, blocks),
            }
        }
    }
}

/// # Safety
/// As [`Wide::run`].
#[target_feature(enable = "aes,avx2,vaes")]
unsafe fn run_two(mode: impl Mode, from: *const u8, to: *mut u8, blocks: usize) {
    // SAFETY: the features are enabled; the pointers are the caller's.
    unsafe { run::<Two, Two, One>(mode, from, to, blocks) }
}

/// # Safety
/// As [`Wide::run`].
#[target_feature(enable = "aes,avx2,vaes,avx512f,avx512bw,avx512vl,avx512dq")]
unsafe fn run_four(mode: impl Mode, from: *const u8, to: *mut u8, blocks: usize) {
    // SAFETY: the features are enabled; the pointers are the caller's.
    unsafe { run::<Four, Two, One>(mode, from, to, blocks) }
}

/// The round keys of the cipher from a key of 16, 24 or 32 bytes (FIPS 197, section 5.2), and how many there are.
///
/// SubWord is the last round of the cipher on a state of four equal columns, which ShiftRows leaves as it is.
#[target_feature(enable = "aes,sse2")]
pub(super) fn expand(key: &[u8]) -> ([Block; MAX_KEYS], usize) {
    let sub_word = |word: u32| {
        let columns = _mm_aesenclast_si128(_mm_set1_epi32(word as i32), _mm_setzero_si128());
        _mm_cvtsi128_si32(columns) as u32
    };
    let (key_words, keys) = (key.len() / 4, key.len() / 4 + 7);
    let mut round_keys = [Block([0; 16]); MAX_KEYS];
    // SAFETY: the same memory, which is aligned for words and has no invalid ones.
    let words: &mut [[u32; 4]; MAX_KEYS] = unsafe { &mut *(&raw mut round_keys).cast() };
    let words = words.as_flattened_mut();
    for (word, bytes) in words.iter_mut().zip(key.as_chunks().0) {
        *word = u32::from_le_bytes(*bytes);
    }
    let (mut word, mut constant) = (words[key_words - 1], 1);
    for i in key_words..4 * keys {
        if i % key_words == 0 {
            // RotWord takes the first byte to the end, which is the top of a little-endian word.
            word = sub_word(word.rotate_right(8)) ^ constant;
            constant = constant << 1 ^ (constant >> 7) * 0x11B;
        } else if key_words == 8 && i % 8 == 4 {
            word = sub_word(word);
        }
        word ^= words[i - key_words];
        words[i] = word;
    }
    (round_keys, keys)
}

/// The round keys of the equivalent inverse cipher (section 5.3.5) from those of the cipher.
#[target_feature(enable = "aes,sse2")]
pub(super) fn invert(keys: Keys<'_>) -> [Block; MAX_KEYS] {
    let mut inverse = [Block([0; 16]); MAX_KEYS];
    let Some(last) = keys.len().checked_sub(1) else { return inverse };
    for (i, (to, key)) in inverse.iter_mut().zip(keys.iter().rev()).enumerate() {
        *to = *key;
        if i != 0 && i != last {
            // SAFETY: a block is as large and as aligned as a vector.
            unsafe {
                let to = (&raw mut *to).cast();
                _mm_store_si128(to, _mm_aesimc_si128(_mm_load_si128(to)));
            }
        }
    }
    inverse
}
