//! AES-GCM (SP 800-38D) on x86-64 with AVX-512, VAES and VPCLMULQDQ: four blocks in a register for both halves of it.
//!
//! AWS-LC's own uses the same instructions, and sets up before a message what costs as much as a short message itself.
//!
//! **The field.** A block with its bytes reversed is an element of GF(2^128) with its coefficients in descending order:
//! bit `i` belongs to x^(127-i). The carry-less product of two such numbers has bit `i` for x^(254-i), so read as 256 bits
//! in that order it is the product times x. Powers of H are therefore kept divided by x: a block times one of them is the
//! product itself, and the product of two of them is again one divided by x.
//!
//! **Few reductions.** Up to 33 blocks are multiplied with descending powers of H, and the sum of the products is reduced
//! once. In a long message the 32 blocks of one pass are hashed between the rounds of the next one, if it is encrypted, or
//! of the same: carry-less products and rounds have a port each.
//!
//! **Constant time.** No branch and no address depends on more than lengths, and the instructions take the same time
//! whatever they are given. valgrind, which looks at the other kernels, does not know these.

use super::BLOCK;
use super::modes::Keys;
use super::vector::Block;
use crate::kernel::cpu::features;
use std::arch::asm;
use std::arch::x86_64::*;
use std::ptr;

/// Blocks in a register, and its bytes.
const LANES: usize = 4;
const VECTOR: usize = LANES * BLOCK;
/// Registers that go through the rounds together in a long message, and their bytes.
const PASS: usize = 8;
const PASS_BYTES: usize = PASS * VECTOR;

/// The highest power of H that is kept: whole registers of them, one at least more than a pass has blocks.
const HIGHEST: usize = PASS * LANES + LANES;

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

    /// No powers.
    #[inline(always)]
    pub(super) fn empty() -> HashKey {
        HashKey(ZEROS)
    }
}

/// Whether the processor has the instructions.
pub(super) fn is_there() -> bool {
    let has = features();
    has.aesni && has.avx2 && has.avx512 && has.vaes && has.vpclmulqdq
}

impl Drop for HashKey {
    fn drop(&mut self) {
        // SAFETY: a place to write; volatile, so that no compiler leaves it out.
        unsafe { ptr::write_volatile(&mut self.0, ZEROS) }
    }
}

/// A message's surroundings. That there is a [`HashKey`] proves the instructions.
pub(super) struct Message<'a> {
    pub hash: &'a HashKey,
    pub iv: &'a [u8],
    pub aad: &'a [u8],
}

/// Encrypts or decrypts `len` bytes and returns the whole tag, which after a decryption is still to be compared.
///
/// There is one for each number of keys: in loops of a length that is not known, the rounds of a short message take a
/// quarter more time.
///
/// # Safety
/// `from` and `to` are valid for `len` and either the same or apart; the processor has what is enabled here.
#[target_feature(enable = "aes,avx2,vaes,vpclmulqdq,avx512f,avx512bw,avx512vl,avx512dq")]
pub(super) unsafe fn run<const ENCRYPT: bool, const KEYS: usize>(
    keys: &[Block; KEYS],
    message: &Message<'_>,
    mut from: *const u8,
    mut to: *mut u8,
    len: usize,
) -> [u8; BLOCK] {
    let Message { hash, iv, aad } = *message;
    // SAFETY: the instructions are enabled, the pointers the caller's, and `left` counts what is left of them.
    unsafe {
        let first = first_counter(hash, iv);
        // E(J0), which hides the tag: its rounds go on beside those of the message.
        let mask = encrypt_one(keys, reversed_one(first));
        let lanes = _mm512_set_epi64(0, 4, 0, 3, 0, 2, 0, 1);
        let mut counters = _mm512_add_epi32(_mm512_broadcast_i32x4(first), lanes);
        let mut hashed = absorb(hash, aad);

        let mut left = len;
        macro_rules! next_pass {
            () => {
                (from, to, left) = (from.add(PASS_BYTES), to.add(PASS_BYTES), left - PASS_BYTES);
            };
        }
        // The lengths are one more block.
        let rest = (len % PASS_BYTES).div_ceil(BLOCK) + 1;
        let mut hashing = if ENCRYPT && left >= PASS_BYTES {
            let mut before: [_; PASS] = crypt(keys, &mut counters, load(from));
            store(before, to);
            next_pass!();
            while left >= PASS_BYTES {
                (before, hashed) = pass(keys, hash, &mut counters, hashed, before, from, to);
                next_pass!();
            }
            // The last pass shares a reduction with the rest, if that is short.
            if PASS * LANES + rest <= HIGHEST {
                let mut hashing = Hashing::new(hash, PASS * LANES + rest, hashed);
                for blocks in before {
                    hashing.add(blocks);
                }
                hashing
            } else {
                hashed = absorb_pass(hash, hashed, before);
                Hashing::new(hash, rest, hashed)
            }
        } else {
            while left >= PASS_BYTES {
                (_, hashed) = pass(keys, hash, &mut counters, hashed, load(from), from, to);
                next_pass!();
            }
            Hashing::new(hash, rest, hashed)
        };

        macro_rules! vectors {
            ($n:literal) => {
                if left >= $n * VECTOR {
                    let input: [_; $n] = load(from);
                    let output = crypt(keys, &mut counters, input);
                    store(output, to);
                    for blocks in if ENCRYPT { output } else { input } {
                        hashing.add(blocks);
                    }
                    (from, to, left) = (from.add($n * VECTOR), to.add($n * VECTOR), left - $n * VECTOR);
                }
            };
        }
        vectors!(4);
        vectors!(2);
        vectors!(1);
        if left > 0 {
            let there = first_bytes(left);
            let input = _mm512_maskz_loadu_epi8(there, from.cast());
            let [output] = crypt(keys, &mut counters, [input]);
            _mm512_mask_storeu_epi8(to.cast(), there, output);
            hashing.add(if ENCRYPT { _mm512_maskz_mov_epi8(there, output) } else { input });
        }
        let hashed = hashing.end(_mm_set_epi64x((8 * aad.len()) as i64, (8 * len) as i64));
        let mut tag = [0; BLOCK];
        _mm_storeu_si128(tag.as_mut_ptr().cast(), _mm_xor_si128(reversed_one(hashed), mask));
        tag
    }
}

/// [`run`] with the keys of AES-128, AES-192 or AES-256.
///
/// # Safety
/// As [`run`].
#[inline]
pub(super) unsafe fn run_any<const ENCRYPT: bool>(
    keys: Keys<'_>,
    message: &Message<'_>,
    from: *const u8,
    to: *mut u8,
    len: usize,
) -> [u8; BLOCK] {
    // SAFETY: the caller's.
    unsafe {
        if let Ok(keys) = keys.try_into() {
            run::<ENCRYPT, 15>(keys, message, from, to, len)
        } else if let Ok(keys) = keys.try_into() {
            run::<ENCRYPT, 13>(keys, message, from, to, len)
        } else {
            run::<ENCRYPT, 11>(keys.try_into().expect("11, 13 or 15 keys"), message, from, to, len)
        }
    }
}

/// A pass over a long message: returns its output, and the hash of `hashed` and `hash_too`.
///
/// # Safety
/// The processor has the instructions; `from` and `to` are valid for a pass.
#[inline(always)]
unsafe fn pass(
    keys: Keys<'_>,
    hash: &HashKey,
    counters: &mut __m512i,
    hashed: __m128i,
    mut hash_too: [__m512i; PASS],
    from: *const u8,
    to: *mut u8,
) -> ([__m512i; PASS], __m128i) {
    let [first, middle @ .., last] = keys else { unreachable!("there are 11 round keys or more") };
    let Some((early, late)) = middle.split_first_chunk::<PASS>() else { unreachable!("as above") };
    // SAFETY: the caller's; all is read before anything is written.
    unsafe {
        let mut x = next_counters(counters, first);
        let mut hashing = Hashing::new(hash, PASS * LANES, hashed);
        let powers = hashing.powers;
        for blocks in &mut hash_too {
            *blocks = hashing.next(*blocks).0;
        }
        let sum = &mut hashing.sum;
        rounds_and_products::<0>(&mut x, early, sum, &hash_too, powers);
        rounds_and_products::<1>(&mut x, early, sum, &hash_too, powers);
        rounds_and_products::<2>(&mut x, early, sum, &hash_too, powers);
        rounds_and_products::<3>(&mut x, early, sum, &hash_too, powers);
        let output = last_round(rounds(x, late), last, load(from));
        store(output, to);
        (output, hashing.sum.reduced())
    }
}

/// Two rounds of all registers of a pass, and the products of two more registers with their powers between. Compilers put
/// the products of a whole pass before or behind its rounds, which costs a tenth, and more where another thread has the
/// other half of the core.
///
/// They are the rounds `2 * I` and `2 * I + 1`, registers likewise: where they are is a constant, since computing addresses
/// takes turns from the rounds.
///
/// # Safety
/// As [`run`]; there are so many keys and, aligned as registers, powers.
#[target_feature(enable = "aes,avx2,vaes,vpclmulqdq,avx512f,avx512bw,avx512vl,avx512dq")]
#[inline]
unsafe fn rounds_and_products<const I: usize>(
    x: &mut [__m512i; PASS],
    keys: &[Block; PASS],
    sum: &mut Sum,
    blocks: &[__m512i; PASS],
    powers: *const u8,
) {
    let [x0, x1, x2, x3, x4, x5, x6, x7] = x;
    // SAFETY: registers, and keys and powers that are read. The registers have names since the compiler misspells those
    // above zmm15 when it chooses.
    unsafe {
        asm!(
            "vbroadcasti32x4 zmm13, [{keys} + {key}]",
            "vmovdqa64 zmm14, [{powers} + {power}]",
            "vaesenc zmm0, zmm0, zmm13",
            "vpclmulqdq zmm15, zmm11, zmm14, 0x01",
            "vaesenc zmm1, zmm1, zmm13",
            "vpclmulqdq zmm16, zmm11, zmm14, 0x10",
            "vaesenc zmm2, zmm2, zmm13",
            "vpternlogq zmm9, zmm15, zmm16, {xor}",
            "vaesenc zmm3, zmm3, zmm13",
            "vpclmulqdq zmm17, zmm11, zmm14, 0x00",
            "vaesenc zmm4, zmm4, zmm13",
            "vpclmulqdq zmm18, zmm11, zmm14, 0x11",
            "vmovdqa64 zmm14, [{powers} + {power} + {vector}]",
            "vaesenc zmm5, zmm5, zmm13",
            "vpclmulqdq zmm15, zmm12, zmm14, 0x01",
            "vaesenc zmm6, zmm6, zmm13",
            "vpclmulqdq zmm16, zmm12, zmm14, 0x10",
            "vaesenc zmm7, zmm7, zmm13",
            "vbroadcasti32x4 zmm13, [{keys} + {key} + {block}]",
            "vpternlogq zmm9, zmm15, zmm16, {xor}",
            "vaesenc zmm0, zmm0, zmm13",
            "vpclmulqdq zmm15, zmm12, zmm14, 0x00",
            "vaesenc zmm1, zmm1, zmm13",
            "vpclmulqdq zmm16, zmm12, zmm14, 0x11",
            "vaesenc zmm2, zmm2, zmm13",
            "vpternlogq zmm8, zmm17, zmm15, {xor}",
            "vaesenc zmm3, zmm3, zmm13",
            "vpternlogq zmm10, zmm18, zmm16, {xor}",
            "vaesenc zmm4, zmm4, zmm13",
            "vaesenc zmm5, zmm5, zmm13",
            "vaesenc zmm6, zmm6, zmm13",
            "vaesenc zmm7, zmm7, zmm13",
            keys = in(reg) keys.as_ptr(), key = const 2 * I * BLOCK, power = const 2 * I * VECTOR, powers = in(reg) powers,
            xor = const XOR, vector = const VECTOR, block = const BLOCK,
            inout("zmm0") *x0, inout("zmm1") *x1, inout("zmm2") *x2, inout("zmm3") *x3,
            inout("zmm4") *x4, inout("zmm5") *x5, inout("zmm6") *x6, inout("zmm7") *x7,
            inout("zmm8") sum.low, inout("zmm9") sum.middle, inout("zmm10") sum.high,
            in("zmm11") blocks[2 * I], in("zmm12") blocks[2 * I + 1], out("zmm13") _, out("zmm14") _,
            out("zmm15") _, out("zmm16") _, out("zmm17") _, out("zmm18") _,
            options(pure, readonly, nostack, preserves_flags),
        );
    }
}

/// The hash of `hashed` and a whole pass.
///
/// # Safety
/// The processor has the instructions.
#[inline(always)]
unsafe fn absorb_pass(hash: &HashKey, hashed: __m128i, pass: [__m512i; PASS]) -> __m128i {
    // SAFETY: the caller's.
    unsafe {
        let mut hashing = Hashing::new(hash, PASS * LANES, hashed);
        for blocks in pass {
            hashing.add(blocks);
        }
        hashing.sum.reduced()
    }
}

/// The hash of some bytes, the last block filled up with zeros.
///
/// # Safety
/// The processor has the instructions.
#[inline(always)]
unsafe fn absorb(hash: &HashKey, mut bytes: &[u8]) -> __m128i {
    // SAFETY: the caller's; a masked load reads no byte that is masked out.
    unsafe {
        let mut hashed = _mm_setzero_si128();
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
            hashed = hashing.sum.reduced();
        }
        hashed
    }
}

/// J0 (section 7.1, step 2) as a number.
///
/// # Safety
/// The processor has the instructions.
#[inline(always)]
unsafe fn first_counter(hash: &HashKey, iv: &[u8]) -> __m128i {
    // SAFETY: the caller's; a masked load reads no byte that is masked out.
    unsafe {
        if iv.len() == 12 {
            let iv = _mm_maskz_loadu_epi8(0x0FFF, iv.as_ptr().cast());
            return _mm_or_si128(reversed_one(iv), _mm_set_epi64x(0, 1));
        }
        let hashed = absorb(hash, iv);
        Hashing::new(hash, 1, hashed).end(_mm_set_epi64x(0, (8 * iv.len()) as i64))
    }
}

/// Encrypts the next counter blocks and adds them to `input`.
///
/// # Safety
/// The processor has the instructions.
#[inline(always)]
unsafe fn crypt<const N: usize>(keys: Keys<'_>, counters: &mut __m512i, input: [__m512i; N]) -> [__m512i; N] {
    let [first, middle @ .., last] = keys else { unreachable!("there are 11 round keys or more") };
    // SAFETY: the caller's.
    unsafe { last_round(rounds(next_counters(counters, first), middle), last, input) }
}

/// The next counter blocks with the first key added.
///
/// # Safety
/// The processor has the instructions.
#[inline(always)]
unsafe fn next_counters<const N: usize>(counters: &mut __m512i, key: &Block) -> [__m512i; N] {
    // SAFETY: the caller's.
    unsafe {
        let key = repeated(key);
        let four = _mm512_set_epi64(0, 4, 0, 4, 0, 4, 0, 4);
        let mut x = [key; N];
        for x in &mut x {
            *x = _mm512_xor_si512(reversed(*counters), key);
            *counters = _mm512_add_epi32(*counters, four);
        }
        x
    }
}

/// A round with each key. Loops here and elsewhere, since a closure that is not inlined would be without the instructions.
///
/// # Safety
/// The processor has the instructions.
#[inline(always)]
unsafe fn rounds<const N: usize>(mut x: [__m512i; N], keys: Keys<'_>) -> [__m512i; N] {
    for key in keys {
        // SAFETY: the caller's.
        let key = unsafe { repeated(key) };
        for x in &mut x {
            // SAFETY: the caller's.
            *x = unsafe { _mm512_aesenc_epi128(*x, key) };
        }
    }
    x
}

/// The last round, and the sum with `input`.
///
/// # Safety
/// The processor has the instructions.
#[inline(always)]
unsafe fn last_round<const N: usize>(mut x: [__m512i; N], key: &Block, input: [__m512i; N]) -> [__m512i; N] {
    // SAFETY: the caller's.
    let key = unsafe { repeated(key) };
    for (x, input) in x.iter_mut().zip(input) {
        // SAFETY: the caller's.
        *x = unsafe { _mm512_aesenclast_epi128(*x, _mm512_xor_si512(key, input)) };
    }
    x
}

/// Whole registers from memory.
///
/// # Safety
/// The processor has the instructions; they may be read.
#[inline(always)]
unsafe fn load<const N: usize>(from: *const u8) -> [__m512i; N] {
    // SAFETY: the caller's.
    let mut x = [unsafe { _mm512_setzero_si512() }; N];
    for (i, x) in x.iter_mut().enumerate() {
        // SAFETY: the caller's.
        *x = unsafe { _mm512_loadu_si512(from.add(i * VECTOR).cast()) };
    }
    x
}

/// Whole registers to memory.
///
/// # Safety
/// The processor has the instructions; they may be written.
#[inline(always)]
unsafe fn store<const N: usize>(x: [__m512i; N], to: *mut u8) {
    for (i, x) in x.into_iter().enumerate() {
        // SAFETY: the caller's.
        unsafe { _mm512_storeu_si512(to.add(i * VECTOR).cast(), x) };
    }
}

/// A key in every lane.
///
/// # Safety
/// The processor has the instructions.
#[inline(always)]
unsafe fn repeated(key: &Block) -> __m512i {
    // SAFETY: the caller's.
    unsafe { _mm512_broadcast_i32x4(loaded(key)) }
}

/// A key.
///
/// # Safety
/// The processor has the instructions.
#[inline(always)]
unsafe fn loaded(key: &Block) -> __m128i {
    // SAFETY: the caller's; a key is a block.
    unsafe { _mm_load_si128((&raw const *key).cast()) }
}

/// The cipher of one block.
///
/// # Safety
/// The processor has the instructions.
#[inline(always)]
unsafe fn encrypt_one(keys: Keys<'_>, block: __m128i) -> __m128i {
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
/// As [`run`].
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
struct Sum {
    low: __m512i,
    middle: __m512i,
    high: __m512i,
}

/// The truth table of an exclusive or of three.
const XOR: i32 = 0x96;

/// x^127 + x^6 + x + 1 without its 1: what the folds multiply with.
const POLYNOMIAL: u64 = 0xC200_0000_0000_0000;

impl Sum {
    /// # Safety
    /// The processor has the instructions, as for all of these.
    #[inline(always)]
    unsafe fn zero() -> Sum {
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
    unsafe fn reduced(self) -> __m128i {
        // SAFETY: the caller's.
        unsafe {
            let four = self.reduced_each();
            let two = _mm256_xor_si256(_mm512_castsi512_si256(four), _mm512_extracti64x4_epi64::<1>(four));
            _mm_xor_si128(_mm256_castsi256_si128(two), _mm256_extracti128_si256::<1>(two))
        }
    }
}

/// Blocks on their way to one reduction.
struct Hashing<'a> {
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
    unsafe fn new(hash: &'a HashKey, blocks: usize, hashed: __m128i) -> Hashing<'a> {
        debug_assert!((1..=HIGHEST).contains(&blocks));
        let powers = hash.0[HIGHEST - blocks..].as_ptr().cast();
        // SAFETY: the caller's.
        unsafe { Hashing { hash, powers, hashed: _mm512_zextsi128_si512(hashed), sum: Sum::zero() } }
    }

    /// Takes the next four, or the last and zeros behind them.
    #[inline(always)]
    unsafe fn add(&mut self, blocks: __m512i) {
        // SAFETY: the caller's; behind H^1 are zeros to read.
        unsafe {
            let (blocks, powers) = self.next(blocks);
            self.sum.add(blocks, _mm512_loadu_si512(powers.cast()));
        }
    }

    /// The same up to the products: as numbers, and the powers that they are to be multiplied with.
    #[inline(always)]
    unsafe fn next(&mut self, blocks: __m512i) -> (__m512i, *const u8) {
        let powers = self.powers;
        self.powers = powers.wrapping_add(VECTOR);
        // SAFETY: the caller's.
        unsafe {
            let blocks = _mm512_xor_si512(reversed(blocks), self.hashed);
            self.hashed = _mm512_setzero_si512();
            (blocks, powers)
        }
    }

    /// The hash of all, the last being `numbers`.
    #[inline(always)]
    unsafe fn end(mut self, numbers: __m128i) -> __m128i {
        // SAFETY: the caller's; powers are aligned as blocks are.
        unsafe {
            let last = _mm512_xor_si512(_mm512_zextsi128_si512(numbers), self.hashed);
            let h = _mm_load_si128((&raw const self.hash.0[HIGHEST - 1]).cast());
            self.sum.add(last, _mm512_zextsi128_si512(h));
            self.sum.reduced()
        }
    }
}

/// A mask of the first 1 to 64 bytes.
#[inline(always)]
fn first_bytes(len: usize) -> __mmask64 {
    u64::MAX >> (VECTOR - len)
}

/// Each block with its bytes in the opposite order.
#[inline(always)]
unsafe fn reversed(blocks: __m512i) -> __m512i {
    // SAFETY: the caller's.
    unsafe { _mm512_shuffle_epi8(blocks, _mm512_broadcast_i32x4(opposite_order())) }
}

/// One block with its bytes in the opposite order.
#[inline(always)]
unsafe fn reversed_one(block: __m128i) -> __m128i {
    // SAFETY: the caller's.
    unsafe { _mm_shuffle_epi8(block, opposite_order()) }
}

#[inline(always)]
unsafe fn opposite_order() -> __m128i {
    // SAFETY: the caller's.
    unsafe { _mm_set_epi64x(0x0001020304050607, 0x08090A0B0C0D0E0F) }
}
