//! ML-KEM's vectors in AVX-512: 32 coefficients, a lane of eight Keccak states, and a lane of one, as there are registers
//! enough for all of a state's lanes.
//!
//! The functions with `target_feature` are the ones to call; all others are inlined into them and into those of `x86_64`.

use super::keccak::{State, States, Word, permute};
use super::sampling::{BLOCK, ROOM};
use super::vector::{LANES, Q, Vector};
use super::x86_64::{Avx512, LOW_Q_INVERSE, QUADRUPLED};
use std::arch::x86_64::*;

// SAFETY, for all calls of intrinsics below that say no more: they are inlined into a function that switches them on, whose
// caller has asked the processor. Loads and stores are of whole arrays.

/// 512 bits.
#[derive(Clone, Copy)]
pub(super) struct Zmm(__m512i);

/// Indices of pairs of lanes for `part`.
const fn parted(pairs: usize, odd: usize) -> [i32; 16] {
    let mut from = [0; 16];
    let mut i = 0;
    while i < 16 {
        from[i] = ((2 * (i / pairs) + odd) * pairs + i % pairs) as i32;
        i += 1;
    }
    from
}

/// The same for `join`.
const fn joined(pairs: usize, half: usize) -> [i32; 16] {
    let mut from = [0; 16];
    let mut i = 0;
    while i < 16 {
        let place = half * 16 + i;
        from[i] = (place / pairs % 2 * 16 + place / pairs / 2 * pairs + i % pairs) as i32;
        i += 1;
    }
    from
}

impl Zmm {
    #[inline(always)]
    fn choose(self, other: Zmm, from: &[i32; 16]) -> Zmm {
        // SAFETY: see above.
        unsafe { Zmm(_mm512_permutex2var_epi32(self.0, _mm512_loadu_si512(from.as_ptr().cast()), other.0)) }
    }
}
impl Vector for Zmm {
    type Wide = __m512i;

    #[inline(always)]
    fn load(from: &[i16; LANES]) -> Self {
        // SAFETY: see above.
        unsafe { Zmm(_mm512_loadu_si512(from.as_ptr().cast())) }
    }

    #[inline(always)]
    fn store(self, to: &mut [i16; LANES]) {
        // SAFETY: see above.
        unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), self.0) }
    }

    #[inline(always)]
    fn splat(number: i16) -> Self {
        // SAFETY: see above.
        unsafe { Zmm(_mm512_set1_epi16(number)) }
    }

    #[inline(always)]
    fn quadruple(from: &[i16; LANES / 4]) -> Self {
        // SAFETY: see above.
        unsafe {
            let words = _mm512_broadcast_i32x4(_mm_loadu_si128(from.as_ptr().cast()));
            Zmm(_mm512_shuffle_epi8(words, _mm512_loadu_si512(QUADRUPLED.as_ptr().cast())))
        }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { Zmm(_mm512_add_epi16(self.0, other.0)) }
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { Zmm(_mm512_sub_epi16(self.0, other.0)) }
    }

    #[inline(always)]
    fn and(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { Zmm(_mm512_and_si512(self.0, other.0)) }
    }

    #[inline(always)]
    fn mul_low(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { Zmm(_mm512_mullo_epi16(self.0, other.0)) }
    }

    #[inline(always)]
    fn mul_high(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { Zmm(_mm512_mulhi_epi16(self.0, other.0)) }
    }

    #[inline(always)]
    fn mul_rounded(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { Zmm(_mm512_mulhrs_epi16(self.0, other.0)) }
    }

    #[inline(always)]
    fn shift_right<const BY: u32>(self) -> Self {
        // SAFETY: see above.
        unsafe { Zmm(_mm512_srli_epi16::<BY>(self.0)) }
    }

    #[inline(always)]
    fn negative(self) -> Self {
        // SAFETY: see above.
        unsafe { Zmm(_mm512_srai_epi16::<15>(self.0)) }
    }

    #[inline(always)]
    fn part<const N: usize>(self, other: Self) -> (Self, Self) {
        (self.choose(other, const { &parted(N / 2, 0) }), self.choose(other, const { &parted(N / 2, 1) }))
    }

    #[inline(always)]
    fn join<const N: usize>(self, other: Self) -> (Self, Self) {
        (self.choose(other, const { &joined(N / 2, 0) }), self.choose(other, const { &joined(N / 2, 1) }))
    }

    #[inline(always)]
    fn crossed(self) -> Self {
        // SAFETY: see above.
        unsafe { Zmm(_mm512_rol_epi32::<16>(self.0)) }
    }

    #[inline(always)]
    fn with_odd(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { Zmm(_mm512_mask_blend_epi16(0xAAAA_AAAA, self.0, other.0)) }
    }

    #[inline(always)]
    fn none() -> Self::Wide {
        // SAFETY: see above.
        unsafe { _mm512_setzero_si512() }
    }

    #[inline(always)]
    fn dot(sum: Self::Wide, a: Self, b: Self) -> Self::Wide {
        // SAFETY: see above.
        unsafe { _mm512_add_epi32(sum, _mm512_madd_epi16(a.0, b.0)) }
    }

    #[inline(always)]
    fn narrow(even: Self::Wide, odd: Self::Wide) -> Self {
        // SAFETY: see above.
        unsafe {
            let even = _mm512_srli_epi32::<16>(without_low(even));
            Zmm(_mm512_or_si512(even, without_low(odd)))
        }
    }
}

/// Less the multiple of q that makes the low half of each number zeros.
#[inline(always)]
unsafe fn without_low(numbers: __m512i) -> __m512i {
    // SAFETY: see above.
    unsafe {
        let quotients = _mm512_mullo_epi16(numbers, _mm512_set1_epi32(LOW_Q_INVERSE));
        _mm512_sub_epi32(numbers, _mm512_madd_epi16(quotients, _mm512_set1_epi32(Q as i32)))
    }
}

/// The truth tables of an exclusive or of three, and of `a ^ (!b & c)`.
const XOR: i32 = 0x96;
const CHI: i32 = 0xD2;

/// A lane of eight states.
#[derive(Clone, Copy)]
struct Eight(__m512i);

impl Word for Eight {
    #[inline(always)]
    fn splat(lane: u64) -> Self {
        // SAFETY: see above.
        unsafe { Eight(_mm512_set1_epi64(lane as i64)) }
    }

    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { Eight(_mm512_xor_si512(self.0, other.0)) }
    }

    #[inline(always)]
    fn chi(into: Self, mask: Self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { Eight(_mm512_ternarylogic_epi64::<CHI>(into.0, mask.0, other.0)) }
    }

    #[inline(always)]
    fn rotate(self, by: u32) -> Self {
        // SAFETY: see above.
        unsafe { Eight(_mm512_rolv_epi64(self.0, _mm512_set1_epi64(i64::from(by)))) }
    }

    #[inline(always)]
    fn sum([a, b, c, d, e]: [Self; 5]) -> Self {
        // SAFETY: see above.
        unsafe {
            let three = _mm512_ternarylogic_epi64::<XOR>(a.0, b.0, c.0);
            Eight(_mm512_ternarylogic_epi64::<XOR>(three, d.0, e.0))
        }
    }
}

/// A lane of one state, as AVX-512 has vectors enough for all of them.
#[derive(Clone, Copy)]
struct One(__m128i);

impl Word for One {
    #[inline(always)]
    fn splat(lane: u64) -> Self {
        // SAFETY: see above.
        unsafe { One(_mm_set1_epi64x(lane as i64)) }
    }

    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { One(_mm_xor_si128(self.0, other.0)) }
    }

    #[inline(always)]
    fn chi(into: Self, mask: Self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { One(_mm_ternarylogic_epi64::<CHI>(into.0, mask.0, other.0)) }
    }

    #[inline(always)]
    fn rotate(self, by: u32) -> Self {
        // SAFETY: see above.
        unsafe { One(_mm_rolv_epi64(self.0, _mm_set1_epi64x(i64::from(by)))) }
    }

    #[inline(always)]
    fn sum([a, b, c, d, e]: [Self; 5]) -> Self {
        // SAFETY: see above.
        unsafe {
            let three = _mm_ternarylogic_epi64::<XOR>(a.0, b.0, c.0);
            One(_mm_ternarylogic_epi64::<XOR>(three, d.0, e.0))
        }
    }
}

/// # Safety
/// As `AVX512` says.
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512dq,avx512vl")]
pub(super) unsafe fn permute_one(state: &mut State) {
    let mut lanes = [One::splat(0); 25];
    for (lane, number) in lanes.iter_mut().zip(&*state) {
        *lane = One::splat(*number);
    }
    permute(&mut lanes);
    for (lane, number) in lanes.iter().zip(state) {
        *number = _mm_cvtsi128_si64(lane.0) as u64;
    }
}

/// # Safety
/// As `AVX512` says.
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512dq,avx512vl")]
pub(super) unsafe fn permute_eight(states: &mut States, count: usize) {
    if count == 1 {
        return states.permute_one::<Avx512>(0);
    }
    let mut lanes = [Eight::splat(0); 25];
    for (lane, row) in lanes.iter_mut().zip(&states.0) {
        // SAFETY: a row is a vector.
        *lane = unsafe { Eight(_mm512_loadu_si512(row.as_ptr().cast())) };
    }
    permute(&mut lanes);
    for (lane, row) in lanes.iter().zip(&mut states.0) {
        // SAFETY: as above.
        unsafe { _mm512_storeu_si512(row.as_mut_ptr().cast(), lane.0) }
    }
}

/// Sixteen numbers at a time: `accept` of `sampling`.
///
/// # Safety
/// As `AVX512` says.
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512dq,avx512vl")]
pub(super) unsafe fn accept_sixteen(bytes: &[u8; BLOCK], numbers: &mut [i16; ROOM], mut len: usize) -> usize {
    // SAFETY: the instructions are enabled; masked loads read 24 bytes; behind `len` is room for a block and a vector.
    unsafe {
        // Each quarter of a vector takes four numbers out of six bytes, which lie in two words.
        let words = _mm512_set_epi32(0, 0, 5, 4, 0, 0, 4, 3, 0, 0, 2, 1, 0, 0, 1, 0);
        const NONE: i8 = -1;
        let even = _mm_set_epi8(NONE, NONE, 5, 4, NONE, NONE, 4, 3, NONE, NONE, 2, 1, NONE, NONE, 1, 0);
        let odd = _mm_set_epi8(NONE, NONE, 7, 6, NONE, NONE, 6, 5, NONE, NONE, 4, 3, NONE, NONE, 3, 2);
        let pair = _mm256_set_m128i(odd, even);
        let places = _mm512_inserti64x4::<1>(_mm512_castsi256_si512(pair), pair);
        let shifts = _mm512_set1_epi64(4 << 32);
        for bytes in bytes.as_chunks::<24>().0 {
            let bytes = _mm512_castsi256_si512(_mm256_maskz_loadu_epi64(0b111, bytes.as_ptr().cast()));
            let numbers_of_16 = _mm512_shuffle_epi8(_mm512_permutexvar_epi32(words, bytes), places);
            let found = _mm512_and_si512(_mm512_srlv_epi32(numbers_of_16, shifts), _mm512_set1_epi32(0xFFF));
            let below = _mm512_cmplt_epi32_mask(found, _mm512_set1_epi32(Q as i32));
            let found = _mm512_cvtepi32_epi16(_mm512_maskz_compress_epi32(below, found));
            _mm256_storeu_si256(numbers[len..].as_mut_ptr().cast(), found);
            len += below.count_ones() as usize;
        }
    }
    len
}
