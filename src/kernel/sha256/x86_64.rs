//! SHA-256 of 16 messages on x86-64 with AVX-512.
//!
//! A lane of 32 bits is a message, so rounds and schedule are as FIPS 180-4 writes them, with a rotation, an exclusive or
//! of three, Ch and Maj an instruction each. 16 blocks take half of what they take one after another by the processor's
//! SHA instructions, each of which waits for the one before; two messages in turns by those are only a third faster than
//! one, since one port does all of them.
//!
//! **Constant time.** No branch and no address depends on more than lengths, and the instructions take the same time
//! whatever they are given. valgrind, which looks at other kernels, does not know these.

use super::{BLOCK, Chain, CompressMany, K, LANES};
use crate::kernel::cpu::features;
use std::arch::x86_64::*;
use std::array::from_fn;

pub(super) fn best() -> Option<CompressMany> {
    // SAFETY: the features have been seen.
    features().avx512.then_some(|chains, messages| unsafe { compress(chains, messages) })
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn compress(chains: &mut [Chain; LANES], messages: &[&[[u8; BLOCK]]; LANES]) {
    static NONE: [u8; BLOCK] = [0; BLOCK];
    // SAFETY: a chaining value has 256 bits.
    let rows =
        from_fn(|lane| unsafe { _mm512_zextsi256_si512(_mm256_loadu_si256(chains[lane].as_ptr().cast())) });
    let [mut state @ .., _, _, _, _, _, _, _, _] = transposed(rows);
    let most = messages.iter().map(|message| message.len()).max().unwrap_or_default();
    for n in 0..most {
        let blocks: [&[u8; BLOCK]; LANES] = from_fn(|lane| messages[lane].get(n).unwrap_or(&NONE));
        let there = messages.iter().rev().fold(0, |there, message| there << 1 | u16::from(n < message.len()));
        let after = rounds(state, words(blocks));
        for (word, variable) in state.iter_mut().zip(after) {
            *word = _mm512_mask_add_epi32(*word, there, *word, variable);
        }
    }
    let rows = transposed(from_fn(|i| state.get(i).copied().unwrap_or(_mm512_setzero_si512())));
    for (chain, row) in chains.iter_mut().zip(rows) {
        // SAFETY: as above.
        unsafe { _mm256_storeu_si256(chain.as_mut_ptr().cast(), _mm512_castsi512_si256(row)) }
    }
}

/// The words of a block of each message: in each vector one word of all.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn words(blocks: [&[u8; BLOCK]; LANES]) -> [__m512i; 16] {
    let big_endian = _mm512_broadcast_i32x4(_mm_set_epi64x(0x0C0D0E0F08090A0B, 0x0405060700010203));
    // SAFETY: a block has 512 bits.
    let row = |block: &[u8; BLOCK]| unsafe { _mm512_loadu_si512(block.as_ptr().cast()) };
    transposed(from_fn(|lane| _mm512_shuffle_epi8(row(blocks[lane]), big_endian)))
}

/// Column `i` of 16 rows of 16 words as the `i`th vector.
#[target_feature(enable = "avx512f")]
#[inline]
fn transposed(rows: [__m512i; 16]) -> [__m512i; 16] {
    // Each step doubles how many rows a stretch of 64, 128, 256 and 512 bits has words of.
    let pairs: [__m512i; 16] = from_fn(|i| match (i & !1, i % 2) {
        (at, 0) => _mm512_unpacklo_epi32(rows[at], rows[at + 1]),
        (at, _) => _mm512_unpackhi_epi32(rows[at], rows[at + 1]),
    });
    let fours: [__m512i; 16] = from_fn(|i| match (i & !3 | i >> 1 & 1, i % 2) {
        (at, 0) => _mm512_unpacklo_epi64(pairs[at], pairs[at + 2]),
        (at, _) => _mm512_unpackhi_epi64(pairs[at], pairs[at + 2]),
    });
    // In vector `4 * q + c` of those, stretch `j` of 128 bits has word `4 * j + c` of four rows.
    let halves: [__m512i; 16] = from_fn(|i| match (i & 8 | i & 3, i & 4) {
        (at, 0) => _mm512_shuffle_i32x4::<0x88>(fours[at], fours[at + 4]),
        (at, _) => _mm512_shuffle_i32x4::<0xDD>(fours[at], fours[at + 4]),
    });
    from_fn(|i| match (i & 7, i & 8) {
        (at, 0) => _mm512_shuffle_i32x4::<0x88>(halves[at], halves[at + 8]),
        (at, _) => _mm512_shuffle_i32x4::<0xDD>(halves[at], halves[at + 8]),
    })
}

/// The working variables after the 64 rounds (section 6.2.2, steps 1 to 3).
#[target_feature(enable = "avx512f")]
#[inline]
fn rounds(state: [__m512i; 8], mut words: [__m512i; 16]) -> [__m512i; 8] {
    const XOR: i32 = 0x96;
    const CH: i32 = 0xCA;
    const MAJ: i32 = 0xE8;
    // The variables are not moved from round to round: in round `t`, variable `j` of `a` to `h` is at place `j - t`,
    // modulo eight.
    let mut places = state;
    for sixteen in 0..4 {
        macro_rules! round {
            ($($t:literal)*) => { $(
                if sixteen > 0 {
                    let (w1, w14) = (words[($t + 1) % 16], words[($t + 14) % 16]);
                    let sigma0 = _mm512_ternarylogic_epi32::<XOR>(
                        _mm512_ror_epi32::<7>(w1), _mm512_ror_epi32::<18>(w1), _mm512_srli_epi32::<3>(w1));
                    let sigma1 = _mm512_ternarylogic_epi32::<XOR>(
                        _mm512_ror_epi32::<17>(w14), _mm512_ror_epi32::<19>(w14), _mm512_srli_epi32::<10>(w14));
                    let sum = _mm512_add_epi32(words[$t], words[($t + 9) % 16]);
                    words[$t] = _mm512_add_epi32(_mm512_add_epi32(sum, sigma0), sigma1);
                }
                let [a, b, c, d, e, f, g, h] = from_fn(|variable| (variable + 16 - $t) % 8);
                let p = &mut places;
                let constant = _mm512_set1_epi32(K.0[16 * sixteen + $t] as i32);
                let known = _mm512_add_epi32(_mm512_add_epi32(p[h], constant), words[$t]);
                let sigma1 = _mm512_ternarylogic_epi32::<XOR>(
                    _mm512_ror_epi32::<6>(p[e]), _mm512_ror_epi32::<11>(p[e]), _mm512_ror_epi32::<25>(p[e]));
                let chosen = _mm512_ternarylogic_epi32::<CH>(p[e], p[f], p[g]);
                let t1 = _mm512_add_epi32(_mm512_add_epi32(known, chosen), sigma1);
                let sigma0 = _mm512_ternarylogic_epi32::<XOR>(
                    _mm512_ror_epi32::<2>(p[a]), _mm512_ror_epi32::<13>(p[a]), _mm512_ror_epi32::<22>(p[a]));
                let majority = _mm512_ternarylogic_epi32::<MAJ>(p[a], p[b], p[c]);
                p[d] = _mm512_add_epi32(p[d], t1);
                p[h] = _mm512_add_epi32(_mm512_add_epi32(t1, sigma0), majority);
            )* };
        }
        round!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
    }
    places
}
