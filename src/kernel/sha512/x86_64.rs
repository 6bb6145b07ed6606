//! SHA-512 on x86-64.
//!
//! A message schedule word depends on the one two before it, so a vector can make two words at a time, and with more
//! lanes two words of each of several blocks. While the rounds of the first block go on in the scalar registers, the
//! vector units, otherwise idle, make all the schedules; the rounds of the other blocks then find theirs ready.

use super::rounds::{Rounds, scheduled};
use super::{BLOCK, Compress};
use crate::kernel::cpu::features;
use std::arch::x86_64::*;
use std::array::from_fn;
use std::mem::MaybeUninit;

/// The constants of section 4.2.3, two of which are added to two words at a time.
pub(super) static K: [[u64; 2]; 40] = [
    [0x428a2f98d728ae22, 0x7137449123ef65cd],
    [0xb5c0fbcfec4d3b2f, 0xe9b5dba58189dbbc],
    [0x3956c25bf348b538, 0x59f111f1b605d019],
    [0x923f82a4af194f9b, 0xab1c5ed5da6d8118],
    [0xd807aa98a3030242, 0x12835b0145706fbe],
    [0x243185be4ee4b28c, 0x550c7dc3d5ffb4e2],
    [0x72be5d74f27b896f, 0x80deb1fe3b1696b1],
    [0x9bdc06a725c71235, 0xc19bf174cf692694],
    [0xe49b69c19ef14ad2, 0xefbe4786384f25e3],
    [0x0fc19dc68b8cd5b5, 0x240ca1cc77ac9c65],
    [0x2de92c6f592b0275, 0x4a7484aa6ea6e483],
    [0x5cb0a9dcbd41fbd4, 0x76f988da831153b5],
    [0x983e5152ee66dfab, 0xa831c66d2db43210],
    [0xb00327c898fb213f, 0xbf597fc7beef0ee4],
    [0xc6e00bf33da88fc2, 0xd5a79147930aa725],
    [0x06ca6351e003826f, 0x142929670a0e6e70],
    [0x27b70a8546d22ffc, 0x2e1b21385c26c926],
    [0x4d2c6dfc5ac42aed, 0x53380d139d95b3df],
    [0x650a73548baf63de, 0x766a0abb3c77b2a8],
    [0x81c2c92e47edaee6, 0x92722c851482353b],
    [0xa2bfe8a14cf10364, 0xa81a664bbc423001],
    [0xc24b8b70d0f89791, 0xc76c51a30654be30],
    [0xd192e819d6ef5218, 0xd69906245565a910],
    [0xf40e35855771202a, 0x106aa07032bbd1b8],
    [0x19a4c116b8d2d0c8, 0x1e376c085141ab53],
    [0x2748774cdf8eeb99, 0x34b0bcb5e19b48a8],
    [0x391c0cb3c5c95a63, 0x4ed8aa4ae3418acb],
    [0x5b9cca4f7763e373, 0x682e6ff3d6b2b8a3],
    [0x748f82ee5defb2fc, 0x78a5636f43172f60],
    [0x84c87814a1f0ab72, 0x8cc702081a6439ec],
    [0x90befffa23631e28, 0xa4506cebde82bde9],
    [0xbef9a3f7b2c67915, 0xc67178f2e372532b],
    [0xca273eceea26619c, 0xd186b8c721c0c207],
    [0xeada7dd6cde0eb1e, 0xf57d4f7fee6ed178],
    [0x06f067aa72176fba, 0x0a637dc5a2c898a6],
    [0x113f9804bef90dae, 0x1b710b35131c471b],
    [0x28db77f523047d84, 0x32caab7b40c72493],
    [0x3c9ebe0a15c9bebc, 0x431d67c49c100d4c],
    [0x4cc5d4becb3e42b6, 0x597f299cfc657e2a],
    [0x5fcb6fab3ad6faec, 0x6c44198c4a475817],
];

/// Words with their constants added: row `i` has words `2 * i` and `2 * i + 1` of each block, one block after another.
/// Only the rounds read them, by a pointer, and what is there before is not worth a clearing.
#[repr(align(64))]
struct Schedule<const BLOCKS: usize>([Row<BLOCKS>; 40]);

type Row<const BLOCKS: usize> = [[MaybeUninit<u64>; 2]; BLOCKS];

pub(super) fn best() -> Option<Compress> {
    let features = features();
    if !(features.avx2 && features.bmi) {
        return None;
    }
    Some(if features.avx512 {
        // SAFETY: the features have been seen.
        |state, blocks| unsafe { avx512(state, blocks) }
    } else {
        // SAFETY: the features have been seen.
        |state, blocks| unsafe { super::avx2::compress(state, blocks) }
    })
}

/// Two words of the schedule of each of `BLOCKS` blocks. Only `load` makes one from nothing, so a value proves that the
/// processor has the instructions, and what takes one is safe.
trait Words<const BLOCKS: usize>: Copy {
    /// Two words of each block, from the bytes of the message.
    ///
    /// # Safety
    /// The processor has the instructions; each pointer is valid for 16 bytes from `at` on.
    unsafe fn load(from: &[*const u8; BLOCKS], at: usize) -> Self;

    /// Writes them with their constants added.
    fn store(self, constants: &[u64; 2], row: &mut Row<BLOCKS>);

    /// The second of the two, and the first of the next two.
    fn between(self, next: Self) -> Self;

    /// Addition.
    fn plus(self, other: Self) -> Self;

    /// The function of section 4.1.3.
    fn sigma0(self) -> Self;

    /// As `sigma0`.
    fn sigma1(self) -> Self;
}

/// Implements [`Words`]: the type, its blocks, the intrinsics by name, and what the kinds differ in by more than names.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident($register:ty), $blocks:literal, $store:ident, $add:ident, $between:ident, $shuffle:ident,
     repeat: $repeat:expr, load: $load:expr, sigma0: $sigma0:expr, sigma1: $sigma1:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        struct $name($register);

        impl Words<$blocks> for $name {
            #[inline(always)]
            unsafe fn load(from: &[*const u8; $blocks], at: usize) -> Self {
                // SAFETY: the caller's.
                unsafe {
                    let big_endian = _mm_set_epi64x(0x08090A0B0C0D0E0F, 0x0001020304050607);
                    let mut bytes = [big_endian; $blocks];
                    for (bytes, from) in bytes.iter_mut().zip(from) {
                        *bytes = _mm_loadu_si128(from.add(at).cast());
                    }
                    $name($shuffle($load(bytes), $repeat(big_endian)))
                }
            }

            #[inline(always)]
            fn store(self, constants: &[u64; 2], row: &mut Row<$blocks>) {
                // SAFETY: a value proves the instructions; a row is as large and as aligned as a register.
                unsafe {
                    let constants = $repeat(_mm_loadu_si128(constants.as_ptr().cast()));
                    $store(row.as_mut_ptr().cast(), $add(self.0, constants));
                }
            }

            #[inline(always)]
            fn between(self, next: Self) -> Self {
                // SAFETY: a value proves the instructions.
                unsafe { $name($between::<8>(next.0, self.0)) }
            }

            #[inline(always)]
            fn plus(self, other: Self) -> Self {
                // SAFETY: a value proves the instructions.
                unsafe { $name($add(self.0, other.0)) }
            }

            #[inline(always)]
            fn sigma0(self) -> Self {
                // SAFETY: a value proves the instructions.
                unsafe { $name($sigma0(self.0)) }
            }

            #[inline(always)]
            fn sigma1(self) -> Self {
                // SAFETY: a value proves the instructions.
                unsafe { $name($sigma1(self.0)) }
            }
        }
    };
}

/// The truth table of an exclusive or of three.
const XOR: i32 = 0x96;

words! {
    /// With AVX-512 there are rotations, and an exclusive or of three.
    Two(__m256i), 2, _mm256_store_si256, _mm256_add_epi64, _mm256_alignr_epi8, _mm256_shuffle_epi8,
    repeat: |two| _mm256_broadcastsi128_si256(two),
    load: |[first, second]: [__m128i; 2]| _mm256_set_m128i(second, first),
    sigma0: |x| {
        let (by_1, by_8) = (_mm256_ror_epi64::<1>(x), _mm256_ror_epi64::<8>(x));
        _mm256_ternarylogic_epi64::<XOR>(by_1, by_8, _mm256_srli_epi64::<7>(x))
    },
    sigma1: |x| {
        let (by_19, by_61) = (_mm256_ror_epi64::<19>(x), _mm256_ror_epi64::<61>(x));
        _mm256_ternarylogic_epi64::<XOR>(by_19, by_61, _mm256_srli_epi64::<6>(x))
    }
}

words! {
    /// The same of twice as many.
    Four(__m512i), 4, _mm512_store_si512, _mm512_add_epi64, _mm512_alignr_epi8, _mm512_shuffle_epi8,
    repeat: |two| _mm512_broadcast_i32x4(two),
    load: |[first, second, third, fourth]: [__m128i; 4]| {
        let low = _mm512_castsi256_si512(_mm256_set_m128i(second, first));
        _mm512_inserti64x4::<1>(low, _mm256_set_m128i(fourth, third))
    },
    sigma0: |x| {
        let (by_1, by_8) = (_mm512_ror_epi64::<1>(x), _mm512_ror_epi64::<8>(x));
        _mm512_ternarylogic_epi64::<XOR>(by_1, by_8, _mm512_srli_epi64::<7>(x))
    },
    sigma1: |x| {
        let (by_19, by_61) = (_mm512_ror_epi64::<19>(x), _mm512_ror_epi64::<61>(x));
        _mm512_ternarylogic_epi64::<XOR>(by_19, by_61, _mm512_srli_epi64::<6>(x))
    }
}

#[target_feature(enable = "avx2,bmi1,bmi2,avx512f,avx512bw,avx512vl")]
fn avx512(state: &mut [u64; 8], blocks: &[[u8; BLOCK]]) {
    // One or two that are left over are not worth a schedule of four.
    let over = if blocks.len() % 4 <= 2 { blocks.len() % 4 } else { 0 };
    let (fours, over) = blocks.split_at(blocks.len() - over);
    // SAFETY: the features are enabled.
    unsafe {
        compress::<Four, 4, 64>(state, fours);
        compress::<Two, 2, 32>(state, over);
    }
}

/// By schedules of `BLOCKS` blocks, a row of which has `ROW` bytes.
///
/// # Safety
/// The processor has the instructions of `W`, and BMI.
#[inline(always)]
unsafe fn compress<W: Words<BLOCKS>, const BLOCKS: usize, const ROW: usize>(
    state: &mut [u64; 8],
    blocks: &[[u8; BLOCK]],
) {
    const { assert!(ROW == 16 * BLOCKS) }
    if blocks.is_empty() {
        return;
    }
    let mut schedule = Schedule([[[MaybeUninit::uninit(); 2]; BLOCKS]; 40]);
    for group in blocks.chunks(BLOCKS) {
        // For blocks that are not there the last one stands in; nobody looks at what comes of that.
        let from: [_; BLOCKS] = from_fn(|i| group[i.min(group.len() - 1)].as_ptr());
        // SAFETY: a block is eight times two words; the instructions are the caller's.
        unsafe {
            // A loop, since a closure that is not inlined would be without the instructions.
            let mut words = [W::load(&from, 0); 8];
            for (i, words) in words.iter_mut().enumerate() {
                *words = W::load(&from, 16 * i);
                words.store(&K[i], &mut schedule.0[i]);
            }
            let mut rounds = Rounds::new(state);
            for sixteen in 0..4 {
                let row = 8 * sixteen;
                step::<W, BLOCKS, ROW, 0>(&mut words, &mut rounds, &mut schedule, row);
                step::<W, BLOCKS, ROW, 1>(&mut words, &mut rounds, &mut schedule, row);
                step::<W, BLOCKS, ROW, 2>(&mut words, &mut rounds, &mut schedule, row);
                step::<W, BLOCKS, ROW, 3>(&mut words, &mut rounds, &mut schedule, row);
                step::<W, BLOCKS, ROW, 4>(&mut words, &mut rounds, &mut schedule, row);
                step::<W, BLOCKS, ROW, 5>(&mut words, &mut rounds, &mut schedule, row);
                step::<W, BLOCKS, ROW, 6>(&mut words, &mut rounds, &mut schedule, row);
                step::<W, BLOCKS, ROW, 7>(&mut words, &mut rounds, &mut schedule, row);
            }
            let words = schedule.0[32..].as_ptr().cast();
            rounds.two::<0, ROW>(words);
            rounds.two::<1, ROW>(words);
            rounds.two::<2, ROW>(words);
            rounds.two::<3, ROW>(words);
            rounds.two::<4, ROW>(words);
            rounds.two::<5, ROW>(words);
            rounds.two::<6, ROW>(words);
            rounds.two::<7, ROW>(words);
            rounds.add_to(state);
            if group.len() > 1 {
                let words: *const u64 = schedule.0.as_ptr().cast();
                scheduled::<ROW>(state, words.add(2), words.add(2 * group.len()));
            }
        }
    }
}

/// Two rounds of the first block, and the two words of each block that come sixteen later.
///
/// # Safety
/// The processor has BMI; `row` is a multiple of eight below 32.
#[inline(always)]
unsafe fn step<W: Words<BLOCKS>, const BLOCKS: usize, const ROW: usize, const I: usize>(
    words: &mut [W; 8],
    rounds: &mut Rounds,
    schedule: &mut Schedule<BLOCKS>,
    row: usize,
) {
    let w = |j| words[(I + j) % 8];
    // SAFETY: `I` more rows are there; the instructions are the caller's.
    unsafe { rounds.two::<I, ROW>(schedule.0[row..].as_ptr().cast()) }
    let sum = w(0).plus(w(4).between(w(5))).plus(w(0).between(w(1)).sigma0());
    words[I] = sum.plus(w(7).sigma1());
    words[I].store(&K[row + I + 8], &mut schedule.0[row + I + 8]);
}
