//! AES-GCM (SP 800-38D) on x86-64 with VAES and VPCLMULQDQ: two or, with AVX-512, four blocks in a register for both halves
//! of it.
//!
//! AWS-LC's own uses the same instructions only with AVX-512, and sets up before a message what costs as much as a short
//! message itself.
//!
//! In a long message the blocks of one pass are hashed between the rounds of the next one, if it is encrypted, or of the
//! same.
//!
//! **Constant time.** No branch and no address depends on more than lengths, and the instructions take the same time
//! whatever they are given. valgrind, which looks at the other kernels, does not know these.

use super::BLOCK;
use super::ghash::*;
use super::lanes::*;
use super::modes::Keys;
use super::vector::Block;
use super::x86_64::Wide;
use std::arch::x86_64::*;

/// A message and its surroundings, to be encrypted or decrypted; the whole tag comes of it, which after a decryption is
/// still to be compared.
///
/// There is one for each number of keys: in loops of a length that is not known, the rounds of a short message take a
/// quarter more time.
///
/// # Safety
/// Beside the instructions: `from` and `to` are valid for `len` and either the same or apart.
pub(super) struct Message<'a, const ENCRYPT: bool, const KEYS: usize> {
    pub keys: &'a [Block; KEYS],
    pub hash: &'a HashKey,
    pub iv: &'a [u8],
    pub aad: &'a [u8],
    pub from: *const u8,
    pub to: *mut u8,
    pub len: usize,
}

impl<const ENCRYPT: bool, const KEYS: usize> Work for Message<'_, ENCRYPT, KEYS> {
    type Output = [u8; BLOCK];

    #[inline(always)]
    unsafe fn with<V: Lanes>(self) -> [u8; BLOCK] {
        let Message { keys, hash, iv, aad, mut from, mut to, len } = self;
        // SAFETY: the caller's, and `left` counts what is left of the pointers.
        unsafe {
            let first = first_counter::<V>(hash, iv);
            // E(J0), which hides the tag: its rounds go on beside those of the message.
            let mask = encrypt_one(keys, reversed_one(first));
            let mut counters = V::repeated(first).counted(1, 1);
            let mut hashed: V = absorb(hash, aad);

            let mut left = len;
            macro_rules! next_pass {
                () => {
                    (from, to, left) = (from.add(V::PASS_BYTES), to.add(V::PASS_BYTES), left - V::PASS_BYTES);
                };
            }
            // The lengths are one more block.
            let rest = (len % V::PASS_BYTES).div_ceil(BLOCK) + 1;
            let mut hashing = if ENCRYPT && left >= V::PASS_BYTES {
                let mut before: [_; PASS] = crypt(keys, &mut counters, load(from));
                store(before, to);
                next_pass!();
                while left >= V::PASS_BYTES {
                    (before, hashed) = pass(keys, hash, &mut counters, hashed, before, from, to);
                    next_pass!();
                }
                // The last pass shares a reduction with the rest, if that is short.
                if PASS * V::BLOCKS + rest <= HIGHEST {
                    let mut hashing = Hashing::new(hash, PASS * V::BLOCKS + rest, hashed);
                    for blocks in before {
                        hashing.add(blocks);
                    }
                    hashing
                } else {
                    hashed = absorb_pass(hash, hashed, before);
                    Hashing::new(hash, rest, hashed)
                }
            } else {
                while left >= V::PASS_BYTES {
                    (_, hashed) = pass(keys, hash, &mut counters, hashed, load(from), from, to);
                    next_pass!();
                }
                Hashing::new(hash, rest, hashed)
            };

            macro_rules! registers {
                ($n:literal) => {
                    if left >= $n * V::BYTES {
                        let input: [_; $n] = load(from);
                        let output = crypt(keys, &mut counters, input);
                        store(output, to);
                        for blocks in if ENCRYPT { output } else { input } {
                            hashing.add(blocks);
                        }
                        (from, to, left) =
                            (from.add($n * V::BYTES), to.add($n * V::BYTES), left - $n * V::BYTES);
                    }
                };
            }
            registers!(4);
            registers!(2);
            registers!(1);
            if left > 0 {
                let input = V::load_first(from, left);
                let [output] = crypt(keys, &mut counters, [input]);
                output.store_first(to, left);
                hashing.add(if ENCRYPT { output.cut(left) } else { input });
            }
            let hashed = hashing.end(_mm_set_epi64x((8 * aad.len()) as i64, (8 * len) as i64));
            let mut tag = [0; BLOCK];
            _mm_storeu_si128(tag.as_mut_ptr().cast(), _mm_xor_si128(reversed_one(hashed), mask));
            tag
        }
    }
}

/// Does a message with the keys of AES-128, AES-192 or AES-256.
///
/// # Safety
/// As [`Message`]; [`Wide::has_gcm`].
#[inline]
pub(super) unsafe fn run<const ENCRYPT: bool>(
    wide: Wide,
    keys: Keys<'_>,
    hash: &HashKey,
    [iv, aad]: [&[u8]; 2],
    (from, to): (*const u8, *mut u8),
    len: usize,
) -> [u8; BLOCK] {
    macro_rules! with {
        ($keys:literal) => {
            if let Ok(keys) = keys.try_into() {
                // SAFETY: the caller's.
                return unsafe {
                    wide.work(Message::<ENCRYPT, $keys> { keys, hash, iv, aad, from, to, len })
                };
            }
        };
    }
    with!(15);
    with!(13);
    with!(11);
    unreachable!("there are 11, 13 or 15 round keys")
}

/// A pass over a long message: returns its output, and the hash of `hashed` and `hash_too`.
///
/// # Safety
/// The processor has the instructions; `from` and `to` are valid for a pass.
#[inline(always)]
unsafe fn pass<V: Lanes>(
    keys: Keys<'_>,
    hash: &HashKey,
    counters: &mut V,
    hashed: V,
    mut hash_too: [V; PASS],
    from: *const u8,
    to: *mut u8,
) -> ([V; PASS], V) {
    let [first, middle @ .., last] = keys else { unreachable!("there are 11 round keys or more") };
    let Some((early, late)) = middle.split_first_chunk::<PASS>() else { unreachable!("as above") };
    // SAFETY: the caller's; all is read before anything is written.
    unsafe {
        let mut x = next_counters(counters, first);
        for blocks in &mut hash_too {
            *blocks = blocks.reversed();
        }
        hash_too[0] = hash_too[0].xor(hashed);
        let (mut sum, powers) = (Sum::zero(), hash.of_blocks(PASS * V::BLOCKS));
        V::rounds_and_products::<0>(&mut x, early, &mut sum, &hash_too, powers);
        V::rounds_and_products::<1>(&mut x, early, &mut sum, &hash_too, powers);
        V::rounds_and_products::<2>(&mut x, early, &mut sum, &hash_too, powers);
        V::rounds_and_products::<3>(&mut x, early, &mut sum, &hash_too, powers);
        let output = last_round(rounds(x, late), last, load(from));
        store(output, to);
        (output, V::first(sum.reduced()))
    }
}

/// J0 (section 7.1, step 2) as a number.
///
/// # Safety
/// The processor has the instructions.
#[inline(always)]
unsafe fn first_counter<V: Lanes>(hash: &HashKey, iv: &[u8]) -> __m128i {
    // SAFETY: the caller's.
    unsafe {
        if let Some((front, [a, b, c, d])) = iv.split_first_chunk::<8>() {
            let back = u32::from_be_bytes([*a, *b, *c, *d]);
            let high = u64::from_be_bytes(*front);
            return _mm_set_epi64x(high as i64, (u64::from(back) << 32 | 1) as i64);
        }
        let hashed: V = absorb(hash, iv);
        Hashing::new(hash, 1, hashed).end(_mm_set_epi64x(0, (8 * iv.len()) as i64))
    }
}

/// Encrypts the next counter blocks and adds them to `input`.
///
/// # Safety
/// The processor has the instructions.
#[inline(always)]
unsafe fn crypt<V: Lanes, const N: usize>(keys: Keys<'_>, counters: &mut V, input: [V; N]) -> [V; N] {
    let [first, middle @ .., last] = keys else { unreachable!("there are 11 round keys or more") };
    // SAFETY: the caller's.
    unsafe { last_round(rounds(next_counters(counters, first), middle), last, input) }
}

/// The next counter blocks with the first key added.
///
/// # Safety
/// The processor has the instructions.
#[inline(always)]
unsafe fn next_counters<V: Lanes, const N: usize>(counters: &mut V, key: &Block) -> [V; N] {
    // SAFETY: the caller's.
    let key = unsafe { V::repeat(key) };
    let mut x = [key; N];
    for x in &mut x {
        *x = counters.reversed().xor(key);
        *counters = counters.counted(V::BLOCKS as i32, 0);
    }
    x
}

/// A round with each key. Loops here and elsewhere, since a closure that is not inlined would be without the instructions.
///
/// # Safety
/// The processor has the instructions.
#[inline(always)]
unsafe fn rounds<V: Lanes, const N: usize>(mut x: [V; N], keys: Keys<'_>) -> [V; N] {
    for key in keys {
        // SAFETY: the caller's.
        let key = unsafe { V::repeat(key) };
        for x in &mut x {
            *x = x.encrypt_round(key);
        }
    }
    x
}

/// The last round, and the sum with `input`.
///
/// # Safety
/// The processor has the instructions.
#[inline(always)]
unsafe fn last_round<V: Lanes, const N: usize>(mut x: [V; N], key: &Block, input: [V; N]) -> [V; N] {
    // SAFETY: the caller's.
    let key = unsafe { V::repeat(key) };
    for (x, input) in x.iter_mut().zip(input) {
        *x = x.encrypt_last(key.xor(input));
    }
    x
}
