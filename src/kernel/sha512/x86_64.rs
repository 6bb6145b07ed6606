//! SHA-512 on x86-64.
//!
//! A message schedule word depends on the one two before it, so a vector can make two words at a time; a 256-bit
//! vector makes two of each of two blocks. While the rounds of the first block go on in the scalar registers, the
//! vector units, otherwise idle, make both schedules; the rounds of the second block then find theirs ready.

use super::rounds::{Mixed, Rounds, Scalar};
use super::{BLOCK, Compress};
use crate::kernel::cpu::features;
use std::arch::x86_64::*;

/// The constants of section 4.2.3, two of which are added to two words at a time.
static K: [[u64; 2]; 40] = [
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

/// Words with their constants added: row `i` has words `2 * i` and `2 * i + 1` of the first block, then of the second.
#[repr(align(32))]
struct Schedule([[[u64; 2]; 2]; 40]);

pub(super) fn best() -> Option<Compress> {
    let features = features();
    // SAFETY: the features have been seen.
    match features.avx2 && features.bmi {
        true if features.avx512 => Some(|state, blocks| unsafe { avx512(state, blocks) }),
        true => Some(|state, blocks| unsafe { avx2(state, blocks) }),
        false => None,
    }
}

/// The functions of section 4.1.3 with a small sigma, on four words.
trait Sigma {
    /// # Safety
    /// The processor has the instructions.
    unsafe fn sigma0(x: __m256i) -> __m256i;

    /// # Safety
    /// As `sigma0`.
    unsafe fn sigma1(x: __m256i) -> __m256i;
}

/// A rotation is two shifts.
struct Avx2;

impl Sigma for Avx2 {
    #[inline(always)]
    unsafe fn sigma0(x: __m256i) -> __m256i {
        // SAFETY: the caller's.
        unsafe {
            let by_1 = _mm256_xor_si256(_mm256_srli_epi64::<1>(x), _mm256_slli_epi64::<63>(x));
            let by_8 = _mm256_xor_si256(_mm256_srli_epi64::<8>(x), _mm256_slli_epi64::<56>(x));
            _mm256_xor_si256(_mm256_xor_si256(by_1, by_8), _mm256_srli_epi64::<7>(x))
        }
    }

    #[inline(always)]
    unsafe fn sigma1(x: __m256i) -> __m256i {
        // SAFETY: the caller's.
        unsafe {
            let by_19 = _mm256_xor_si256(_mm256_srli_epi64::<19>(x), _mm256_slli_epi64::<45>(x));
            let by_61 = _mm256_xor_si256(_mm256_srli_epi64::<61>(x), _mm256_slli_epi64::<3>(x));
            _mm256_xor_si256(_mm256_xor_si256(by_19, by_61), _mm256_srli_epi64::<6>(x))
        }
    }
}

/// There are rotations, and an exclusive or of three.
struct Avx512;

/// The truth table of an exclusive or of three.
const XOR: i32 = 0x96;

impl Sigma for Avx512 {
    #[inline(always)]
    unsafe fn sigma0(x: __m256i) -> __m256i {
        // SAFETY: the caller's.
        unsafe {
            let (by_1, by_8) = (_mm256_ror_epi64::<1>(x), _mm256_ror_epi64::<8>(x));
            _mm256_ternarylogic_epi64::<XOR>(by_1, by_8, _mm256_srli_epi64::<7>(x))
        }
    }

    #[inline(always)]
    unsafe fn sigma1(x: __m256i) -> __m256i {
        // SAFETY: the caller's.
        unsafe {
            let (by_19, by_61) = (_mm256_ror_epi64::<19>(x), _mm256_ror_epi64::<61>(x));
            _mm256_ternarylogic_epi64::<XOR>(by_19, by_61, _mm256_srli_epi64::<6>(x))
        }
    }
}

#[target_feature(enable = "avx2,bmi1,bmi2")]
fn avx2(state: &mut [u64; 8], blocks: &[[u8; BLOCK]]) {
    // SAFETY: the features are enabled.
    unsafe { compress::<Avx2, Scalar>(state, blocks) }
}

#[target_feature(enable = "avx2,bmi1,bmi2,avx512f,avx512vl")]
fn avx512(state: &mut [u64; 8], blocks: &[[u8; BLOCK]]) {
    // SAFETY: the features are enabled.
    unsafe { compress::<Avx512, Mixed>(state, blocks) }
}

/// # Safety
/// The processor has the instructions of `S` and `R`.
#[inline(always)]
unsafe fn compress<S: Sigma, R: Rounds>(state: &mut [u64; 8], blocks: &[[u8; BLOCK]]) {
    let mut schedule = Schedule([[[0; 2]; 2]; 40]);
    for pair in blocks.chunks(2) {
        // SAFETY: the instructions are the caller's.
        unsafe {
            // A block without a second stands in for it; nobody looks at that half.
            let mut words = load([&pair[0], &pair[pair.len() - 1]], &mut schedule);
            let mut rounds = R::new(state);
            for sixteen in 0..4 {
                let row = 8 * sixteen;
                step::<S, R, 0>(&mut words, &mut rounds, &mut schedule, row);
                step::<S, R, 1>(&mut words, &mut rounds, &mut schedule, row);
                step::<S, R, 2>(&mut words, &mut rounds, &mut schedule, row);
                step::<S, R, 3>(&mut words, &mut rounds, &mut schedule, row);
                step::<S, R, 4>(&mut words, &mut rounds, &mut schedule, row);
                step::<S, R, 5>(&mut words, &mut rounds, &mut schedule, row);
                step::<S, R, 6>(&mut words, &mut rounds, &mut schedule, row);
                step::<S, R, 7>(&mut words, &mut rounds, &mut schedule, row);
            }
            eight_by_eight(&mut rounds, &schedule, 32, 0);
            rounds.add_to(state);
            if pair.len() == 2 {
                let mut rounds = R::new(state);
                eight_by_eight(&mut rounds, &schedule, 0, 1);
                rounds.add_to(state);
            }
        }
    }
}

/// The first sixteen words of two blocks, which are the blocks themselves.
///
/// # Safety
/// The processor has AVX2.
#[inline(always)]
unsafe fn load(blocks: [&[u8; BLOCK]; 2], schedule: &mut Schedule) -> [__m256i; 8] {
    // SAFETY: a block is 16 words; the instructions are the caller's.
    unsafe {
        let big_endian = _mm256_broadcastsi128_si256(_mm_set_epi64x(0x08090A0B0C0D0E0F, 0x0001020304050607));
        let mut words = [_mm256_setzero_si256(); 8];
        for (i, words) in words.iter_mut().enumerate() {
            let [first, second] =
                blocks.map(|block| _mm_loadu_si128(block.as_ptr().cast::<__m128i>().add(i)));
            *words = _mm256_shuffle_epi8(_mm256_set_m128i(second, first), big_endian);
            store(*words, schedule, i);
        }
        words
    }
}

/// Two rounds of the first block, and the two words of either block that come sixteen later.
///
/// # Safety
/// The processor has the instructions of `S` and `R`.
#[inline(always)]
unsafe fn step<S: Sigma, R: Rounds, const I: usize>(
    words: &mut [__m256i; 8],
    rounds: &mut R,
    schedule: &mut Schedule,
    row: usize,
) {
    let w = |j| words[(I + j) % 8];
    // SAFETY: the instructions are the caller's.
    unsafe {
        rounds.two::<I>(&schedule.0[row + I][0]);
        let (one_later, nine_later) =
            (_mm256_alignr_epi8::<8>(w(1), w(0)), _mm256_alignr_epi8::<8>(w(5), w(4)));
        let sum = _mm256_add_epi64(_mm256_add_epi64(w(0), nine_later), S::sigma0(one_later));
        words[I] = _mm256_add_epi64(sum, S::sigma1(w(7)));
        store(words[I], schedule, row + I + 8);
    }
}

/// # Safety
/// The processor has AVX2.
#[inline(always)]
unsafe fn store(words: __m256i, schedule: &mut Schedule, row: usize) {
    // SAFETY: a row of the schedule is as large and as aligned as a vector, a row of K half of it.
    unsafe {
        let k = _mm256_broadcastsi128_si256(_mm_loadu_si128(K[row].as_ptr().cast()));
        _mm256_store_si256((&raw mut schedule.0[row]).cast(), _mm256_add_epi64(words, k));
    }
}

/// The rounds of block `block` from `row` on, without more schedule to make.
///
/// # Safety
/// The processor has the instructions of `R`.
#[inline(always)]
unsafe fn eight_by_eight<R: Rounds>(rounds: &mut R, schedule: &Schedule, row: usize, block: usize) {
    for rows in schedule.0[row..].as_chunks::<4>().0 {
        // SAFETY: the instructions are the caller's.
        unsafe {
            rounds.two::<0>(&rows[0][block]);
            rounds.two::<1>(&rows[1][block]);
            rounds.two::<2>(&rows[2][block]);
            rounds.two::<3>(&rows[3][block]);
        }
    }
}
