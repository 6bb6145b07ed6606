//! AES-GCM (SP 800-38D) on x86-64 with AVX-512, VAES and VPCLMULQDQ: four blocks in a register for both halves of it.
//!
//! AWS-LC's own uses the same instructions, and sets up before a message what costs as much as a short message itself.
//!
//! In a long message the 32 blocks of one pass are hashed between the rounds of the next one, if it is encrypted, or of the
//! same.
//!
//! **Constant time.** No branch and no address depends on more than lengths, and the instructions take the same time
//! whatever they are given. valgrind, which looks at the other kernels, does not know these.

use super::BLOCK;
use super::ghash::*;
use super::lanes::*;
use super::modes::Keys;
use super::vector::Block;
use std::arch::asm;
use std::arch::x86_64::*;

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
    hashed: __m512i,
    mut hash_too: [__m512i; PASS],
    from: *const u8,
    to: *mut u8,
) -> ([__m512i; PASS], __m512i) {
    let [first, middle @ .., last] = keys else { unreachable!("there are 11 round keys or more") };
    let Some((early, late)) = middle.split_first_chunk::<PASS>() else { unreachable!("as above") };
    // SAFETY: the caller's; all is read before anything is written.
    unsafe {
        let mut x = next_counters(counters, first);
        for blocks in &mut hash_too {
            *blocks = reversed(*blocks);
        }
        hash_too[0] = _mm512_xor_si512(hash_too[0], hashed);
        let (mut sum, powers) = (Sum::zero(), hash.of_blocks(PASS * LANES));
        rounds_and_products::<0>(&mut x, early, &mut sum, &hash_too, powers);
        rounds_and_products::<1>(&mut x, early, &mut sum, &hash_too, powers);
        rounds_and_products::<2>(&mut x, early, &mut sum, &hash_too, powers);
        rounds_and_products::<3>(&mut x, early, &mut sum, &hash_too, powers);
        let output = last_round(rounds(x, late), last, load(from));
        store(output, to);
        (output, in_first_lane(sum.reduced()))
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
