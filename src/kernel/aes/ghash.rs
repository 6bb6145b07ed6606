//! GHASH (SP 800-38D, section 6.4) on x86-64 with VPCLMULQDQ, two or four blocks in a register.
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
use super::x86_64::Wide;
use std::arch::x86_64::*;
use std::ptr;

/// The highest power of H that is kept: whole registers of them, and more than a pass has blocks.
pub(super) const HIGHEST: usize = PASS * MOST + MOST;

/// The powers of the hash subkey H (section 7.1, step 1): H^36 to H^1, each divided by x, and zeros, which who reads a
/// register from H^1 on finds behind it.
#[repr(C, align(64))]
pub struct HashKey([Block; HIGHEST + MOST]);

const ZEROS: [Block; HIGHEST + MOST] = [Block([0; BLOCK]); HIGHEST + MOST];

impl HashKey {
    /// Of a cipher's keys; `None` if the processor lacks instructions.
    pub(super) fn new(wide: Wide, keys: Keys<'_>) -> Option<HashKey> {
        if !wide.has_gcm() {
            return None;
        }
        let mut hash = HashKey::empty();
        // SAFETY: the instructions are there.
        unsafe { wide.work(Fill { keys, hash: &mut hash }) };
        Some(hash)
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
pub(super) unsafe fn absorb_pass<V: Lanes>(hash: &HashKey, hashed: V, pass: [V; PASS]) -> V {
    // SAFETY: the caller's.
    unsafe {
        let mut hashing = Hashing::new(hash, PASS * V::BLOCKS, hashed);
        for blocks in pass {
            hashing.add(blocks);
        }
        V::first(hashing.sum.reduced())
    }
}

/// The hash of some bytes, the last block filled up with zeros.
///
/// # Safety
/// The processor has the instructions.
#[inline(always)]
pub(super) unsafe fn absorb<V: Lanes>(hash: &HashKey, mut bytes: &[u8]) -> V {
    // SAFETY: the caller's, and slices to read.
    unsafe {
        let mut hashed = V::first(_mm_setzero_si128());
        while let Some((pass, rest)) = bytes.split_at_checked(V::PASS_BYTES) {
            hashed = absorb_pass(hash, hashed, load(pass.as_ptr()));
            bytes = rest;
        }
        if !bytes.is_empty() {
            let mut hashing = Hashing::new(hash, bytes.len().div_ceil(BLOCK), hashed);
            while let Some((whole, rest)) = bytes.split_at_checked(V::BYTES) {
                hashing.add(V::load(whole.as_ptr()));
                bytes = rest;
            }
            if !bytes.is_empty() {
                hashing.add(V::load_first(bytes.as_ptr(), bytes.len()));
            }
            hashed = V::first(hashing.sum.reduced());
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
    // SAFETY: the caller's.
    unsafe {
        let mut block = _mm_xor_si128(block, loaded(first));
        for round in middle {
            block = _mm_aesenc_si128(block, loaded(round));
        }
        _mm_aesenclast_si128(block, loaded(last))
    }
}

/// All powers.
struct Fill<'a> {
    keys: Keys<'a>,
    hash: &'a mut HashKey,
}

impl Work for Fill<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn with<V: Lanes>(self) {
        // SAFETY: the caller's.
        unsafe { fill::<V>(self.keys, self.hash, HIGHEST) }
    }
}

/// H = E(0) and its powers, as far as a message of so many blocks takes them.
///
/// # Safety
/// The processor has the instructions.
#[inline(always)]
pub(super) unsafe fn fill<V: Lanes>(keys: Keys<'_>, hash: &mut HashKey, blocks: usize) {
    // SAFETY: the caller's; each register of powers lies in the array.
    unsafe {
        let h = reversed_one(encrypt_one(keys, _mm_setzero_si128()));
        // Divided by x: one bit to the left, and what leaves at the top is 1, which is x times the polynomial's rest.
        let carries = _mm_srli_epi64::<63>(h);
        let doubled = _mm_or_si128(_mm_slli_epi64::<1>(h), _mm_slli_si128::<8>(carries));
        let top = _mm_sub_epi64(_mm_setzero_si128(), _mm_unpackhi_epi64(carries, carries));
        let h = _mm_xor_si128(doubled, _mm_and_si128(top, _mm_set_epi64x(POLYNOMIAL as i64, 1)));

        let mut powers = V::powers(h);
        let highest = V::repeated(powers.first_block());
        for register in hash.0[..HIGHEST].rchunks_exact_mut(V::BLOCKS).take(blocks.div_ceil(V::BLOCKS)) {
            powers.store(register.as_mut_ptr().cast());
            powers = times(powers, highest);
        }
    }
}

/// The products of each lane, modulo the polynomial.
///
/// # Safety
/// The processor has the instructions.
#[inline(always)]
pub(super) unsafe fn times<V: Lanes>(a: V, b: V) -> V {
    // SAFETY: the caller's.
    unsafe {
        let mut product = Sum::zero();
        product.add(a, b);
        product.reduced_each()
    }
}

/// Products before they are reduced, of each lane: 256 bits as three overlapping numbers of 128.
pub(super) struct Sum<V> {
    pub(super) low: V,
    pub(super) middle: V,
    pub(super) high: V,
}

/// x^127 + x^6 + x + 1 without its 1: what the folds multiply with.
const POLYNOMIAL: u64 = 0xC200_0000_0000_0000;

impl<V: Lanes> Sum<V> {
    /// # Safety
    /// The processor has the instructions, as for all of these.
    #[inline(always)]
    pub(super) unsafe fn zero() -> Sum<V> {
        // SAFETY: the caller's.
        let zero = unsafe { V::first(_mm_setzero_si128()) };
        Sum { low: zero, middle: zero, high: zero }
    }

    /// Adds the products of each lane.
    #[inline(always)]
    fn add(&mut self, a: V, b: V) {
        self.low = self.low.xor(a.product::<0x00>(b));
        self.high = self.high.xor(a.product::<0x11>(b));
        self.middle = self.middle.xor3(a.product::<0x01>(b), a.product::<0x10>(b));
    }

    /// The sum of each lane, modulo the polynomial.
    #[inline(always)]
    unsafe fn reduced_each(self) -> V {
        // SAFETY: the caller's.
        let polynomial = unsafe { V::repeated(_mm_set1_epi64x(POLYNOMIAL as i64)) };
        let fold = |from: V, into: V| into.xor3(from.product::<0x00>(polynomial), from.swapped());
        fold(fold(self.low, self.middle), self.high)
    }

    /// The sum of all lanes, modulo the polynomial.
    #[inline(always)]
    pub(super) unsafe fn reduced(self) -> __m128i {
        // SAFETY: the caller's.
        unsafe { self.reduced_each().sum() }
    }
}

/// Blocks on their way to one reduction.
pub(super) struct Hashing<'a, V> {
    hash: &'a HashKey,
    /// Where the powers of H for the next blocks are.
    powers: *const u8,
    /// What the blocks before come to; it goes into the next one.
    hashed: V,
    sum: Sum<V>,
}

impl<'a, V: Lanes> Hashing<'a, V> {
    /// `blocks` are to come, as many at most as there are powers.
    #[inline(always)]
    pub(super) unsafe fn new(hash: &'a HashKey, blocks: usize, hashed: V) -> Hashing<'a, V> {
        // SAFETY: the caller's.
        unsafe { Hashing { hash, powers: hash.of_blocks(blocks), hashed, sum: Sum::zero() } }
    }

    /// Takes the next register of blocks, or the last of them and zeros behind.
    #[inline(always)]
    pub(super) unsafe fn add(&mut self, blocks: V) {
        // SAFETY: the caller's; behind H^1 are zeros to read.
        unsafe {
            self.sum.add(blocks.reversed().xor(self.hashed), V::load(self.powers));
            self.hashed = V::first(_mm_setzero_si128());
            self.powers = self.powers.wrapping_add(V::BYTES);
        }
    }

    /// The hash of all, the last being `numbers`.
    #[inline(always)]
    pub(super) unsafe fn end(mut self, numbers: __m128i) -> __m128i {
        // SAFETY: the caller's.
        unsafe {
            let last = V::first(numbers).xor(self.hashed);
            self.sum.add(last, V::first(loaded(&self.hash.0[HIGHEST - 1])));
            self.sum.reduced()
        }
    }
}
