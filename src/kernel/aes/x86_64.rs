//! AES on x86-64: AES-NI has rounds of one block, VAES of two or four blocks in a register.

use super::modes::{Mode, run};
use super::schedule::Schedule;
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
        pub(super) struct $name(pub(super) $register);

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
            #[allow(unused_unsafe)] // Of single blocks, the one before is simply `earlier`.
            fn shifted(self, earlier: Self) -> Self {
                // SAFETY: a value proves the instructions.
                unsafe { $name($shifted(self.0, earlier.0)) }
            }

            #[inline(always)]
            fn plus_in_last_byte(self, number: u8) -> Self {
                // It is the top one of eight that make a number.
                let numbers = [[0, u64::from(number) << 56]; $blocks];
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

/// The widest vectors the processor has instructions for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wide {
    One,
    Two,
    Four,
}

impl Wide {
    pub(super) fn best() -> Option<Wide> {
        let features = features();
        match () {
            _ if !features.aesni => None,
            _ if !(features.vaes && features.avx2) => Some(Wide::One),
            _ if !features.avx512 => Some(Wide::Two),
            _ => Some(Wide::Four),
        }
    }

    pub(super) fn schedule(self, key: &[u8]) -> Schedule {
        // SAFETY: a value of `Wide` comes from `best`, which has seen AES-NI in any case.
        unsafe { schedule(key) }
    }

    /// # Safety
    /// Both pointers are valid for `blocks` blocks and either the same or apart.
    #[inline]
    pub(super) unsafe fn run(self, mode: impl Mode, from: *const u8, to: *mut u8, blocks: usize) {
        // SAFETY: a value of `Wide` comes from `best`; the pointers are the caller's.
        unsafe {
            match self {
                Wide::One => run_one(mode, from, to, blocks),
                Wide::Two => run_two(mode, from, to, blocks),
                Wide::Four => run_four(mode, from, to, blocks),
            }
        }
    }
}

#[target_feature(enable = "aes")]
fn schedule(key: &[u8]) -> Schedule {
    // SAFETY: the feature is enabled.
    unsafe { Schedule::new::<One>(key) }
}

/// # Safety
/// As [`Wide::run`].
#[target_feature(enable = "aes")]
unsafe fn run_one(mode: impl Mode, from: *const u8, to: *mut u8, blocks: usize) {
    // SAFETY: the features are enabled; the pointers are the caller's.
    unsafe { run::<One, One, One>(mode, from, to, blocks) }
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
