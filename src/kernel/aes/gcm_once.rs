//! AES-256-GCM of one short message under a key of its own: the key's expansion and the powers of H are most of the work,
//! so no more of them is made than the message takes.

use super::BLOCK;
use super::gcm::Message;
use super::ghash::{HashKey, fill};
use super::lanes::{Lanes, Work};
use super::vector::Block;
use super::x86_64::Wide;
use crate::kernel::{Direction, InOut};
use std::arch::x86_64::*;
use std::ptr;

/// Round keys.
const KEYS: usize = 15;

/// Encrypts or decrypts, and returns the tag; `None` where AES-GCM is left to AWS-LC. Lengths are the caller's to check.
///
/// # Panics
/// If the output has less room than the input.
pub fn gcm_once(
    key: &[u8; 32],
    direction: Direction,
    iv: &[u8; 12],
    aad: &[u8],
    mut io: InOut<'_>,
) -> Option<[u8; BLOCK]> {
    assert!(io.capacity() >= io.input_len());
    let wide = Wide::best().filter(|wide| wide.has_gcm())?;
    let len = io.input_len();
    let (from, to) = io.as_ptrs();
    // SAFETY: both are valid for `len`, and the same or apart as `InOut` promises.
    unsafe {
        Some(match direction {
            Direction::Encrypt => wide.work(Once::<true> { key, iv, aad, from, to, len }),
            Direction::Decrypt => wide.work(Once::<false> { key, iv, aad, from, to, len }),
        })
    }
}

/// As [`Message`], with the key instead of what is made of it.
struct Once<'a, const ENCRYPT: bool> {
    key: &'a [u8; 32],
    iv: &'a [u8; 12],
    aad: &'a [u8],
    from: *const u8,
    to: *mut u8,
    len: usize,
}

impl<const ENCRYPT: bool> Work for Once<'_, ENCRYPT> {
    type Output = [u8; BLOCK];

    #[inline(always)]
    unsafe fn with<V: Lanes>(self) -> [u8; BLOCK] {
        let Once { key, iv, aad, from, to, len } = self;
        let mut keys = [const { Block([0; BLOCK]) }; KEYS];
        // The lengths are one more block of the message.
        let blocks = aad.len().div_ceil(BLOCK).max(len.div_ceil(BLOCK) + 1);
        // SAFETY: the caller's; a key is a place to write, volatile, so that no compiler leaves it out.
        unsafe {
            expand(key, &mut keys);
            let mut hash = HashKey::empty();
            fill::<V>(&keys, &mut hash, blocks);
            let tag =
                V::enabled(Message::<ENCRYPT, KEYS> { keys: &keys, hash: &hash, iv, aad, from, to, len });
            ptr::write_volatile(&mut keys, [const { Block([0; BLOCK]) }; KEYS]);
            tag
        }
    }
}

/// The key expansion (FIPS 197, section 5.2). The last round on a state of four equal columns, which ShiftRows leaves as it
/// is, substitutes a word and adds the round's constant.
#[target_feature(enable = "aes,avx2")]
fn expand(key: &[u8; 32], keys: &mut [Block; KEYS]) {
    // Each word plus all before it.
    let sums = |words: __m128i| {
        let pairs = _mm_xor_si128(words, _mm_slli_si128::<4>(words));
        _mm_xor_si128(pairs, _mm_slli_si128::<8>(pairs))
    };
    // The last word in every place, its first byte taken to its end.
    let rotated = _mm_set1_epi32(0x0C0F0E0D);
    // SAFETY: both halves of the key are blocks.
    let (mut even, mut odd) =
        unsafe { (_mm_loadu_si128(key.as_ptr().cast()), _mm_loadu_si128(key[BLOCK..].as_ptr().cast())) };
    for (i, pair) in keys.chunks_mut(2).enumerate() {
        if i > 0 {
            let constant = _mm_set1_epi32(1 << (i - 1));
            let word = _mm_aesenclast_si128(_mm_shuffle_epi8(odd, rotated), constant);
            even = _mm_xor_si128(sums(even), word);
            let word = _mm_aesenclast_si128(_mm_shuffle_epi32::<0xFF>(even), _mm_setzero_si128());
            odd = _mm_xor_si128(sums(odd), word);
        }
        for (to, key) in pair.iter_mut().zip([even, odd]) {
            // SAFETY: a block is written.
            unsafe { _mm_storeu_si128((&raw mut *to).cast(), key) }
        }
    }
}
