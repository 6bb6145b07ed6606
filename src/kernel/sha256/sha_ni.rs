//! SHA-256 of one message by the SHA instructions of x86-64.
//!
//! A chaining value is two vectors, ABEF and CDGH, and an instruction does two rounds. Each waits four cycles for the one
//! before, 128 for a block, and the schedule of the words fits in beside them: a long message takes what it takes by
//! AWS-LC. A short one is another matter, since its padding comes to be in registers: AVX-512 loads as many bytes as there
//! are, so nothing is copied, waited for or wiped.
//!
//! **Constant time.** No branch and no address depends on more than lengths, and the instructions take the same time
//! whatever they are given. valgrind does not know these.

use super::{BLOCK, Chain, DIGEST, Finish, K};
use crate::kernel::cpu::features;
use std::arch::asm;
use std::arch::x86_64::*;

/// Bytes of the message's length in its last block.
const LENGTH: usize = 8;

pub(super) fn best() -> Option<Finish> {
    // SAFETY: the features have been seen.
    (features().sha && features().avx512)
        .then_some(|chain, data, bits, digest| unsafe { finish(chain, data, bits, digest) })
}

/// ABEF and CDGH, the first letter in the highest word.
type State = [__m128i; 2];

/// A block. Vectors are of 128 bits here, since the SHA instructions are a hundred times slower while the upper halves of
/// longer ones are in use.
type Block = [__m128i; 4];

#[target_feature(enable = "sha,sse4.1,ssse3,avx512f,avx512bw,avx512vl")]
fn finish(chain: &Chain, data: &[u8], bits: u64, digest: &mut [u8; DIGEST]) {
    let mut state = loaded(chain);
    let mut left = Some(data);
    // One loop for blocks of all kinds: the less there is to do beside the rounds, the sooner the next call's begin.
    loop {
        let (mut block, mut last) = ([_mm_setzero_si128(); 4], true);
        if let Some(data) = left {
            if let Some((whole, rest)) = data.split_first_chunk::<BLOCK>() {
                (block, left, last) = (part(whole, u64::MAX), Some(rest), false);
            } else {
                (block, left, last) = (padded(data), None, data.len() < BLOCK - LENGTH);
            }
        }
        if last {
            block[3] = _mm_mask_set1_epi64(block[3], 0b10, bits.swap_bytes() as i64);
        }
        state = compressed(state, block);
        if last {
            break store(state, digest);
        }
    }
}

/// The last bytes of a message, the bit behind them, and zeros.
#[target_feature(enable = "avx512bw,avx512vl")]
#[inline]
fn padded(rest: &[u8]) -> Block {
    let bit = 0x80_u8 as i8;
    if rest.is_empty() {
        let none = _mm_setzero_si128();
        return [_mm_cvtsi32_si128(bit as u8 as i32), none, none, none];
    }
    let end = 1_u64 << rest.len();
    let mut last = part(rest, end - 1);
    for (i, quarter) in last.iter_mut().enumerate() {
        *quarter = _mm_mask_set1_epi8(*quarter, (end >> (16 * i)) as u16, bit);
    }
    last
}

/// The bytes of a block that `there` has a bit for, and zeros.
#[target_feature(enable = "avx512bw,avx512vl")]
#[inline]
fn part(block: &[u8], there: u64) -> Block {
    debug_assert_eq!(there.count_ones() as usize, block.len());
    let at = block.as_ptr().cast::<i8>();
    let mut quarters = [_mm_setzero_si128(); 4];
    for (i, quarter) in quarters.iter_mut().enumerate() {
        // SAFETY: bytes without a bit are not read, so none behind the end is.
        *quarter = unsafe { _mm_maskz_loadu_epi8((there >> (16 * i)) as u16, at.wrapping_add(16 * i)) };
    }
    quarters
}

#[target_feature(enable = "sse4.1,ssse3")]
#[inline]
fn loaded(chain: &Chain) -> State {
    let at = chain.as_ptr().cast::<__m128i>();
    // SAFETY: a chaining value has 256 bits.
    let [dcba, hgfe] = unsafe { [_mm_loadu_si128(at), _mm_loadu_si128(at.add(1))] };
    let (cdab, efgh) = (_mm_shuffle_epi32::<0xB1>(dcba), _mm_shuffle_epi32::<0x1B>(hgfe));
    [_mm_alignr_epi8::<8>(cdab, efgh), _mm_blend_epi16::<0xF0>(efgh, cdab)]
}

#[target_feature(enable = "sse4.1,ssse3")]
#[inline]
fn store([abef, cdgh]: State, digest: &mut [u8; DIGEST]) {
    let (feba, dchg) = (_mm_shuffle_epi32::<0x1B>(abef), _mm_shuffle_epi32::<0xB1>(cdgh));
    let (low, high) = (_mm_blend_epi16::<0xF0>(feba, dchg), _mm_alignr_epi8::<8>(dchg, feba));
    let at = digest.as_mut_ptr().cast::<__m128i>();
    // SAFETY: a digest has 256 bits.
    unsafe {
        _mm_storeu_si128(at, _mm_shuffle_epi8(low, big_endian()));
        _mm_storeu_si128(at.add(1), _mm_shuffle_epi8(high, big_endian()));
    }
}

/// Turns the bytes of each word around.
#[target_feature(enable = "sse2")]
#[inline]
fn big_endian() -> __m128i {
    _mm_set_epi64x(0x0C0D0E0F08090A0B, 0x0405060700010203)
}

/// [`K`] where it is, found anew for each block: a compiler that saw it would make sixteen constants of it, all over a pool of
/// two pages, and load them all before the first of the blocks.
#[inline]
fn constants() -> *const __m128i {
    let at;
    // SAFETY: an address, and nothing else.
    unsafe { asm!("lea {}, [rip + {}]", out(reg) at, sym K, options(nomem, nostack, preserves_flags)) }
    at
}

/// The state past one block (section 6.2.2).
#[target_feature(enable = "sha,sse4.1,ssse3")]
#[inline]
fn compressed(state: State, block: Block) -> State {
    let mut words = block;
    for word in &mut words {
        *word = _mm_shuffle_epi8(*word, big_endian());
    }
    let [mut abef, mut cdgh] = state;
    let constants = constants();
    // In round `4 * t`, `words[t % 4]` are the next four, and the three after them follow.
    for four in 0..4 {
        macro_rules! rounds {
            ($($t:literal)*) => { $(
                // SAFETY: 16 times four constants.
                let sums = _mm_add_epi32(words[$t], unsafe { _mm_load_si128(constants.add(4 * four + $t)) });
                cdgh = _mm_sha256rnds2_epu32(cdgh, abef, sums);
                abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32::<0x0E>(sums));
                if four < 3 {
                    let (w4, w8, w12) = (words[($t + 1) % 4], words[($t + 2) % 4], words[($t + 3) % 4]);
                    let sum = _mm_add_epi32(_mm_sha256msg1_epu32(words[$t], w4), _mm_alignr_epi8::<4>(w12, w8));
                    words[$t] = _mm_sha256msg2_epu32(sum, w12);
                }
            )* };
        }
        rounds!(0 1 2 3);
    }
    [_mm_add_epi32(state[0], abef), _mm_add_epi32(state[1], cdgh)]
}
