//! GHASH (SP 800-38D, section 6.4) on x86-64 with AVX-512 and VPCLMULQDQ, four blocks in a register.
//!
//! **The field.** A block with its bytes reversed is an element of GF(2^128) with its coefficients in descending order:
//! bit `i` belongs to x^(127-i). The carry-less product of two such numbers has bit `i` for x^(254-i), so read as 256 bits
//! in that order it is the product times x. Powers of H are therefore kept divided by x: a block times one of them is the
//! product itself, and the product of two of them is again one divided by x.
//!
//! **Few reductions.** Up to 33 blocks are multiplied with descending powers of H, and the sum of the products is reduced
//! once.

use super::BLOCK;
use super::lanes::*;
use super::modes::Keys;
use super::vector::Block;
use std::arch::x86_64::*;
use std::ptr;

/// The highest power of H that is kept: whole registers of them, one at least more than a pass has blocks.
pub(super) const HIGHEST: usize = PASS * LANES + LANES;

/// The powers of the hash subkey H (section 7.1, step 1): H^36 to H^1, each divided by x, and zeros, which who reads a
/// register from H^1 on finds behind it.
#[repr(C, align(64))]
pub struct HashKey([Block; HIGHEST + LANES]);

const ZEROS: [Block; HIGHEST + LANES] = [Block([0; BLOCK]); HIGHEST + LANES];

impl HashKey {
    /// Of a cipher's keys; `None` if the processor lacks instructions.
    pub(super) fn new(keys: Keys<'_>) -> Option<HashKey> {
        if !is_there() {
            return None;
        }
        let mut this = HashKey::empty();
        // SAFETY: the features have been seen.
        unsafe { fill(keys, &mut this, HIGHEST) };
        Some(this)
    }

    /// From the power that the first of so many blocks is multiplied with.
    #[inline(always)]
    pub(super) fn of_blocks(&self, blocks: usize) -> *const u8 {
        debug_assert!((1..=HIGHEST).contains(&blocks));
        self.0[HIGHEST - blocks..].as_ptr().cast()
    }

    /// No powers.
    #[inline(always)]
    pub(super) fn empty() -> HashKey {
        HashKey(ZEROS)
    }
}

impl Drop for HashKey {
    fn drop(&mut self) {
        // SAFETY: a place to write; volatile, so that no compiler leaves it out.
        unsafe { ptr::write_volatile(&mut self.0, ZEROS) }
    }
}

/// The hash of `hashed` and a whole pass.
///
/// # Safety
/// The processor has the instructions.
#[inline(always)]
pub(super) unsafe fn absorb_pass(hash: &HashKey, hashed: __m512i, pass: [__m512i; PASS]) -> __m512i {
    // SAFETY: the caller's.
    unsafe {
        let mut hashing = Hashing::new(hash, PASS * LANES, hashed);
        for blocks in pass {
            hashing.add(blocks);
        }
        in_first_lane(hashing.sum.reduced())
    }
}

/// The hash of some bytes, the last block filled up with zeros.
///
/// # Safety
/// The processor has the instructions.
#[inline(always)]
pub(super) unsafe fn absorb(hash: &HashKey, mut bytes: &[u8]) -> __m512i {
    // SAFETY: the caller's; a masked load reads no byte that is masked out.
    unsafe {
        let mut hashed = _mm512_setzero_si512();
        while let Some((pass, rest)) = bytes.split_first_chunk::<PASS_BYTES>() {
            hashed = absorb_pass(hash, hashed, load(pass.as_ptr()));
            bytes = rest;
        }
        if !bytes.is_empty() {
            let mut hashing = Hashing::new(hash, bytes.len().div_ceil(BLOCK), hashed);
            for vector in bytes.chunks(VECTOR) {
                let there = first_bytes(vector.len());
                hashing.add(_mm512_maskz_loadu_epi8(there, vector.as_ptr().cast()));
            }
            hashed = in_first_lane(hashing.sum.reduced());
        }
        hashed
    }
}

/// The cipher of one block.
///
/// # Safety
/// The processor has the instructions.
#[inline(always)]
pub(super) unsafe fn encrypt_one(keys: Keys<'_>, block: __m128i) -> __m128i {
    let [first, middle @ .., last] = keys else { unreachable!("there are 11 round keys or more") };
    // SAFETY: the caller's; a key is a block.
    unsafe {
        let mut block = _mm_xor_si128(block, loaded(first));
        for round in middle {
            block = _mm_aesenc_si128(block, loaded(round));
        }
        _mm_aesenclast_si128(block, loaded(last))
    }
}

/// H = E(0) and its powers, as far as a message of so many blocks takes them.
///
/// # Safety
/// As [`super::gcm::run`].
#[target_feature(enable = "aes,avx2,vaes,vpclmulqdq,avx512f,avx512bw,avx512vl,avx512dq")]
pub(super) unsafe fn fill(keys: Keys<'_>, hash: &mut HashKey, blocks: usize) {
    // SAFETY: the instructions are enabled; each register of powers lies in the array.
    unsafe {
        let h = reversed_one(encrypt_one(keys, _mm_setzero_si128()));
        // Divided by x: one bit to the left, and what leaves at the top is 1, which is x times the polynomial's rest.
        let carries = _mm_srli_epi64::<63>(h);
        let doubled = _mm_or_si128(_mm_slli_epi64::<1>(h), _mm_slli_si128::<8>(carries));
        let top = _mm_sub_epi64(_mm_setzero_si128(), _mm_unpackhi_epi64(carries, carries));
        let h = _mm_xor_si128(doubled, _mm_and_si128(top, _mm_set_epi64x(POLYNOMIAL as i64, 1)));

        let times = |a: __m512i, b: __m512i| {
            let mut product = Sum::zero();
            product.add(a, b);
            product.reduced_each()
        };
        let one = _mm512_zextsi128_si512(h);
        let two = times(one, one);
        // From the left, H^4 to H^1: products of H^2 with H^2 and H, beside those two.
        let low = _mm512_inserti32x4::<1>(two, h);
        let high = times(low, _mm512_broadcast_i32x4(_mm512_castsi512_si128(two)));
        let mut powers = _mm512_inserti64x4::<1>(high, _mm512_castsi512_si256(low));
        let fourth = _mm512_broadcast_i32x4(_mm512_castsi512_si128(powers));
        for register in hash.0[..HIGHEST].rchunks_exact_mut(LANES).take(blocks.div_ceil(LANES)) {
            _mm512_storeu_si512(register.as_mut_ptr().cast(), powers);
            powers = times(powers, fourth);
        }
    }
}

/// Products before they are reduced, of each lane: 256 bits as three overlapping numbers of 128.
pub(super) struct Sum {
    pub(super) low: __m512i,
    pub(super) middle: __m512i,
    pub(super) high: __m512i,
}

/// x^127 + x^6 + x + 1 without its 1: what the folds multiply with.
const POLYNOMIAL: u64 = 0xC200_0000_0000_0000;

impl Sum {
    /// # Safety
    /// The processor has the instructions, as for all of these.
    #[inline(always)]
    pub(super) unsafe fn zero() -> Sum {
        // SAFETY: the caller's.
        let zero = unsafe { _mm512_setzero_si512() };
        Sum { low: zero, middle: zero, high: zero }
    }

    /// Adds four products.
    #[inline(always)]
    unsafe fn add(&mut self, a: __m512i, b: __m512i) {
        // SAFETY: the caller's.
        unsafe {
            self.low = _mm512_xor_si512(self.low, _mm512_clmulepi64_epi128::<0x00>(a, b));
            self.high = _mm512_xor_si512(self.high, _mm512_clmulepi64_epi128::<0x11>(a, b));
            let (one, other) =
                (_mm512_clmulepi64_epi128::<0x01>(a, b), _mm512_clmulepi64_epi128::<0x10>(a, b));
            self.middle = _mm512_ternarylogic_epi64::<XOR>(self.middle, one, other);
        }
    }

    /// The sum of each lane, modulo the polynomial.
    #[inline(always)]
    unsafe fn reduced_each(self) -> __m512i {
        // SAFETY: the caller's.
        unsafe {
            let polynomial = _mm512_set1_epi64(POLYNOMIAL as i64);
            let fold = |from: __m512i, into: __m512i| {
                let product = _mm512_clmulepi64_epi128::<0x00>(from, polynomial);
                let swapped = _mm512_shuffle_epi32::<0b01_00_11_10>(from);
                _mm512_ternarylogic_epi64::<XOR>(into, product, swapped)
            };
            fold(fold(self.low, self.middle), self.high)
        }
    }

    /// The sum of all lanes, modulo the polynomial.
    #[inline(always)]
    pub(super) unsafe fn reduced(self) -> __m128i {
        // SAFETY: the caller's.
        unsafe { sum_of_lanes(self.reduced_each()) }
    }
}

/// Blocks on their way to one reduction.
pub(super) struct Hashing<'a> {
    hash: &'a HashKey,
    /// Where the powers of H for the next blocks are.
    powers: *const u8,
    /// What the blocks before come to; it goes into the next one.
    hashed: __m512i,
    sum: Sum,
}

impl<'a> Hashing<'a> {
    /// `blocks` are to come, as many at most as there are powers.
    #[inline(always)]
    pub(super) unsafe fn new(hash: &'a HashKey, blocks: usize, hashed: __m512i) -> Hashing<'a> {
        // SAFETY: the caller's.
        unsafe { Hashing { hash, powers: hash.of_blocks(blocks), hashed, sum: Sum::zero() } }
    }

    /// Takes the next four, or the last and zeros behind them.
    #[inline(always)]
    pub(super) unsafe fn add(&mut self, blocks: __m512i) {
        // SAFETY: the caller's; behind H^1 are zeros to read.
        unsafe {
            let blocks = _mm512_xor_si512(reversed(blocks), self.hashed);
            self.hashed = _mm512_setzero_si512();
            self.sum.add(blocks, _mm512_loadu_si512(self.powers.cast()));
            self.powers = self.powers.wrapping_add(VECTOR);
        }
    }

    /// The hash of all, the last being `numbers`.
    #[inline(always)]
    pub(super) unsafe fn end(mut self, numbers: __m128i) -> __m128i {
        // SAFETY: the caller's; powers are aligned as blocks are.
        unsafe {
            let last = _mm512_xor_si512(in_first_lane(numbers), self.hashed);
            let h = loaded(&self.hash.0[HIGHEST - 1]);
            self.sum.add(last, in_first_lane(h));
            self.sum.reduced()
        }
    }
}
