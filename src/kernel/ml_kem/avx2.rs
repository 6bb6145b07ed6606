//! ML-KEM's vectors in AVX2: 32 coefficients in two registers, and a lane of four Keccak states.
//!
//! The functions with `target_feature` are the ones to call; all others are inlined into them and into those of `x86_64`.

use super::keccak::{State, States, Word, permute};
use super::sampling::{BLOCK, ROOM};
use super::vector::{LANES, Q, Vector};
use super::x86_64::{Avx2, LOW_Q_INVERSE, QUADRUPLED};
use std::arch::x86_64::*;

// SAFETY, for all calls of intrinsics below that say no more: they are inlined into a function that switches them on, whose
// caller has asked the processor. Loads and stores are of whole arrays.

/// Twice 256 bits.
#[derive(Clone, Copy)]
pub(super) struct Ymms(__m256i, __m256i);

/// An operation on both halves.
macro_rules! halves {
    ($operation:expr, $a:expr) => {{
        // SAFETY: see above.
        unsafe { Ymms($operation($a.0), $operation($a.1)) }
    }};
    ($operation:expr, $a:expr, $b:expr) => {{
        // SAFETY: see above.
        unsafe { Ymms($operation($a.0, $b.0), $operation($a.1, $b.1)) }
    }};
}

impl Vector for Ymms {
    type Wide = Ymms;

    #[inline(always)]
    fn load(from: &[i16; LANES]) -> Self {
        let (low, high) = from.split_at(LANES / 2);
        // SAFETY: see above.
        unsafe { Ymms(_mm256_loadu_si256(low.as_ptr().cast()), _mm256_loadu_si256(high.as_ptr().cast())) }
    }

    #[inline(always)]
    fn store(self, to: &mut [i16; LANES]) {
        let (low, high) = to.split_at_mut(LANES / 2);
        // SAFETY: see above.
        unsafe {
            _mm256_storeu_si256(low.as_mut_ptr().cast(), self.0);
            _mm256_storeu_si256(high.as_mut_ptr().cast(), self.1);
        }
    }

    #[inline(always)]
    fn splat(number: i16) -> Self {
        // SAFETY: see above.
        let half = unsafe { _mm256_set1_epi16(number) };
        Ymms(half, half)
    }

    #[inline(always)]
    fn quadruple(from: &[i16; LANES / 4]) -> Self {
        // SAFETY: see above.
        unsafe {
            let words = _mm256_broadcastsi128_si256(_mm_loadu_si128(from.as_ptr().cast()));
            let (first, second) = (
                _mm256_loadu_si256(QUADRUPLED[0].as_ptr().cast()),
                _mm256_loadu_si256(QUADRUPLED[1].as_ptr().cast()),
            );
            Ymms(_mm256_shuffle_epi8(words, first), _mm256_shuffle_epi8(words, second))
        }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        halves!(_mm256_add_epi16, self, other)
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        halves!(_mm256_sub_epi16, self, other)
    }

    #[inline(always)]
    fn and(self, other: Self) -> Self {
        halves!(_mm256_and_si256, self, other)
    }

    #[inline(always)]
    fn mul_low(self, other: Self) -> Self {
        halves!(_mm256_mullo_epi16, self, other)
    }

    #[inline(always)]
    fn mul_high(self, other: Self) -> Self {
        halves!(_mm256_mulhi_epi16, self, other)
    }

    #[inline(always)]
    fn mul_rounded(self, other: Self) -> Self {
        halves!(_mm256_mulhrs_epi16, self, other)
    }

    #[inline(always)]
    fn shift_right<const BY: u32>(self) -> Self {
        // SAFETY: see above.
        unsafe {
            let by = _mm_cvtsi32_si128(BY as i32);
            Ymms(_mm256_srl_epi16(self.0, by), _mm256_srl_epi16(self.1, by))
        }
    }

    #[inline(always)]
    fn negative(self) -> Self {
        halves!(_mm256_srai_epi16::<15>, self)
    }

    #[inline(always)]
    fn part<const N: usize>(self, other: Self) -> (Self, Self) {
        // SAFETY: see above.
        unsafe {
            match N {
                16 => (Ymms(self.0, other.0), Ymms(self.1, other.1)),
                8 => (
                    Ymms(lows(self.0, self.1), lows(other.0, other.1)),
                    Ymms(highs(self.0, self.1), highs(other.0, other.1)),
                ),
                4 => (
                    Ymms(
                        evened(_mm256_unpacklo_epi64(self.0, self.1)),
                        evened(_mm256_unpacklo_epi64(other.0, other.1)),
                    ),
                    Ymms(
                        evened(_mm256_unpackhi_epi64(self.0, self.1)),
                        evened(_mm256_unpackhi_epi64(other.0, other.1)),
                    ),
                ),
                _ => (
                    Ymms(
                        evened(shuffled::<0x88>(self.0, self.1)),
                        evened(shuffled::<0x88>(other.0, other.1)),
                    ),
                    Ymms(
                        evened(shuffled::<0xDD>(self.0, self.1)),
                        evened(shuffled::<0xDD>(other.0, other.1)),
                    ),
                ),
            }
        }
    }

    #[inline(always)]
    fn join<const N: usize>(self, other: Self) -> (Self, Self) {
        // SAFETY: see above.
        unsafe {
            match N {
                16 => (Ymms(self.0, other.0), Ymms(self.1, other.1)),
                8 => (
                    Ymms(lows(self.0, other.0), highs(self.0, other.0)),
                    Ymms(lows(self.1, other.1), highs(self.1, other.1)),
                ),
                4 => {
                    let (a, b) =
                        (Ymms(evened(self.0), evened(self.1)), Ymms(evened(other.0), evened(other.1)));
                    (
                        Ymms(_mm256_unpacklo_epi64(a.0, b.0), _mm256_unpackhi_epi64(a.0, b.0)),
                        Ymms(_mm256_unpacklo_epi64(a.1, b.1), _mm256_unpackhi_epi64(a.1, b.1)),
                    )
                }
                _ => {
                    let (a, b) =
                        (Ymms(evened(self.0), evened(self.1)), Ymms(evened(other.0), evened(other.1)));
                    (
                        Ymms(_mm256_unpacklo_epi32(a.0, b.0), _mm256_unpackhi_epi32(a.0, b.0)),
                        Ymms(_mm256_unpacklo_epi32(a.1, b.1), _mm256_unpackhi_epi32(a.1, b.1)),
                    )
                }
            }
        }
    }

    #[inline(always)]
    fn crossed(self) -> Self {
        let up = halves!(_mm256_slli_epi32::<16>, self);
        let down = halves!(_mm256_srli_epi32::<16>, self);
        halves!(_mm256_or_si256, up, down)
    }

    #[inline(always)]
    fn with_odd(self, other: Self) -> Self {
        halves!(_mm256_blend_epi16::<0xAA>, self, other)
    }

    #[inline(always)]
    fn none() -> Self::Wide {
        Ymms::splat(0)
    }

    #[inline(always)]
    fn dot(sum: Self::Wide, a: Self, b: Self) -> Self::Wide {
        let products = halves!(_mm256_madd_epi16, a, b);
        halves!(_mm256_add_epi32, sum, products)
    }

    #[inline(always)]
    fn narrow(even: Self::Wide, odd: Self::Wide) -> Self {
        let (even, odd) = (even.without_low(), odd.without_low());
        let even = halves!(_mm256_srli_epi32::<16>, even);
        halves!(_mm256_or_si256, even, odd)
    }
}

impl Ymms {
    /// As the function for 512 bits.
    #[inline(always)]
    fn without_low(self) -> Ymms {
        // SAFETY: see above.
        let (inverse, q) = unsafe { (_mm256_set1_epi32(LOW_Q_INVERSE), _mm256_set1_epi32(Q as i32)) };
        let quotients = halves!(_mm256_mullo_epi16, self, Ymms(inverse, inverse));
        let multiples = halves!(_mm256_madd_epi16, quotients, Ymms(q, q));
        halves!(_mm256_sub_epi32, self, multiples)
    }
}

/// The low halves of both.
#[inline(always)]
unsafe fn lows(a: __m256i, b: __m256i) -> __m256i {
    // SAFETY: see above.
    unsafe { _mm256_permute2x128_si256::<0x20>(a, b) }
}

/// The high halves of both.
#[inline(always)]
unsafe fn highs(a: __m256i, b: __m256i) -> __m256i {
    // SAFETY: see above.
    unsafe { _mm256_permute2x128_si256::<0x31>(a, b) }
}

/// The second quarter and the third exchanged.
#[inline(always)]
unsafe fn evened(a: __m256i) -> __m256i {
    // SAFETY: see above.
    unsafe { _mm256_permute4x64_epi64::<0b11_01_10_00>(a) }
}

/// Of each half, two numbers of 32 bits of `a` and two of `b`.
#[inline(always)]
unsafe fn shuffled<const WHICH: i32>(a: __m256i, b: __m256i) -> __m256i {
    // SAFETY: see above.
    unsafe { _mm256_castps_si256(_mm256_shuffle_ps::<WHICH>(_mm256_castsi256_ps(a), _mm256_castsi256_ps(b))) }
}

/// A lane of four states.
#[derive(Clone, Copy)]
struct Four(__m256i);

impl Word for Four {
    #[inline(always)]
    fn splat(lane: u64) -> Self {
        // SAFETY: see above.
        unsafe { Four(_mm256_set1_epi64x(lane as i64)) }
    }

    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { Four(_mm256_xor_si256(self.0, other.0)) }
    }

    #[inline(always)]
    fn chi(into: Self, mask: Self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { Four(_mm256_xor_si256(into.0, _mm256_andnot_si256(mask.0, other.0))) }
    }

    #[inline(always)]
    fn rotate(self, by: u32) -> Self {
        // SAFETY: see above; a shift by 64 gives zeros.
        unsafe {
            let left = _mm256_sll_epi64(self.0, _mm_cvtsi32_si128(by as i32));
            Four(_mm256_or_si256(left, _mm256_srl_epi64(self.0, _mm_cvtsi32_si128(64 - by as i32))))
        }
    }
}

/// # Safety
/// As `AVX2` says.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn permute_four(states: &mut States, count: usize) {
    let mut first = 0;
    while first + 1 < count {
        let mut lanes = [Four::splat(0); 25];
        for (lane, row) in lanes.iter_mut().zip(&states.0) {
            // SAFETY: half a row is a vector.
            *lane = unsafe { Four(_mm256_loadu_si256(row[first..first + 4].as_ptr().cast())) };
        }
        permute(&mut lanes);
        for (lane, row) in lanes.iter().zip(&mut states.0) {
            // SAFETY: as above.
            unsafe { _mm256_storeu_si256(row[first..first + 4].as_mut_ptr().cast(), lane.0) }
        }
        first += 4;
    }
    if first < count {
        states.permute_one::<Avx2>(first);
    }
}

/// # Safety
/// As `AVX2` says.
#[target_feature(enable = "bmi1,bmi2")]
pub(super) unsafe fn permute_lanes(state: &mut State) {
    permute(state);
}

/// For each choice of eight numbers the bytes that bring them to the front.
static CHOSEN: [[u8; 16]; 256] = {
    let mut chosen = [[0; 16]; 256];
    let mut choice = 0;
    while choice < 256 {
        let (mut from, mut to) = (0, 0);
        while from < 8 {
            if choice >> from & 1 == 1 {
                chosen[choice][2 * to] = 2 * from as u8;
                chosen[choice][2 * to + 1] = 2 * from as u8 + 1;
                to += 1;
            }
            from += 1;
        }
        choice += 1;
    }
    chosen
};

/// Eight numbers at a time: `accept` of `sampling`. That an index depends on the numbers shows nothing that is secret.
///
/// # Safety
/// As `AVX2` says.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn accept_eight(bytes: &[u8; BLOCK], numbers: &mut [i16; ROOM], mut len: usize) -> usize {
    let places = _mm_set_epi8(11, 10, 10, 9, 8, 7, 7, 6, 5, 4, 4, 3, 2, 1, 1, 0);
    for bytes in bytes.as_chunks::<12>().0 {
        let mut vector = [0; 16];
        vector[..12].copy_from_slice(bytes);
        // SAFETY: loads of 16 bytes and a store of as many, for which there is room behind `len`.
        unsafe {
            let words = _mm_shuffle_epi8(_mm_loadu_si128(vector.as_ptr().cast()), places);
            let twelve = _mm_blend_epi16::<0xAA>(
                _mm_and_si128(words, _mm_set1_epi16(0xFFF)),
                _mm_srli_epi16::<4>(words),
            );
            let below = _mm_cmpgt_epi16(_mm_set1_epi16(Q), twelve);
            let choice = _mm_movemask_epi8(_mm_packs_epi16(below, _mm_setzero_si128())) as usize;
            let found = _mm_shuffle_epi8(twelve, _mm_loadu_si128(CHOSEN[choice].as_ptr().cast()));
            _mm_storeu_si128(numbers[len..].as_mut_ptr().cast(), found);
            len += choice.count_ones() as usize;
        }
    }
    len
}
