//! The key expansion (FIPS 197, section 5.2), by a processor's rounds and so without a table.

use super::modes::Keys;
use super::vector::{Block, Vector};
use std::slice;

/// Round keys of the longest key.
pub(super) const MAX_KEYS: usize = 15;

const ZERO: Block = Block([0; 16]);

/// The round keys of the cipher and those of the equivalent inverse cipher, each in the order of their use.
#[derive(Clone, Copy)]
pub(super) struct Schedule {
    encrypt: [Block; MAX_KEYS],
    decrypt: [Block; MAX_KEYS],
    keys: usize,
}

impl Schedule {
    /// No keys.
    pub const WIPED: Schedule = Schedule { encrypt: [ZERO; MAX_KEYS], decrypt: [ZERO; MAX_KEYS], keys: 0 };

    /// Of a key of 16, 24 or 32 bytes.
    ///
    /// # Safety
    /// The processor has the instructions of `One`, which holds one block.
    #[inline(always)]
    pub unsafe fn new<One: Vector>(key: &[u8]) -> Schedule {
        let mut this = Schedule { keys: key.len() / 4 + 7, ..Schedule::WIPED };
        // SAFETY: the caller's.
        unsafe {
            expand::<One>(key, &mut this.encrypt[..this.keys]);
            let rounds = this.encrypt[..this.keys].iter().rev();
            for (i, (to, key)) in this.decrypt.iter_mut().zip(rounds).enumerate() {
                let between = i != 0 && i != this.keys - 1;
                *to = if between { inverse_mix_columns::<One>(key) } else { *key };
            }
        }
        this
    }

    pub fn encrypt(&self) -> Keys<'_> {
        &self.encrypt[..self.keys]
    }

    pub fn decrypt(&self) -> Keys<'_> {
        &self.decrypt[..self.keys]
    }
}

/// # Safety
/// The processor has the instructions of `One`.
#[inline(always)]
unsafe fn expand<One: Vector>(key: &[u8], round_keys: &mut [Block]) {
    // SAFETY: the same memory; a block is four words, and every word has a value.
    let words =
        unsafe { slice::from_raw_parts_mut(round_keys.as_mut_ptr().cast::<u32>(), 4 * round_keys.len()) };
    for (word, bytes) in words.iter_mut().zip(key.as_chunks().0) {
        *word = u32::from_le_bytes(*bytes);
    }
    let key_words = key.len() / 4;
    let (mut word, mut constant) = (words[key_words - 1], 1);
    for i in key_words..words.len() {
        // SAFETY: the caller's.
        let sub_word = |word| unsafe { sub_word::<One>(word) };
        if i % key_words == 0 {
            // RotWord takes the first byte to the end, which is the top of a little-endian word.
            word = sub_word(word.rotate_right(8)) ^ constant;
            constant = constant << 1 ^ (constant >> 7) * 0x11B;
        } else if key_words == 8 && i % 8 == 4 {
            word = sub_word(word);
        }
        word ^= words[i - key_words];
        words[i] = word;
    }
}

/// SubWord: the last round on a state of four equal columns, which ShiftRows leaves as it is.
///
/// # Safety
/// The processor has the instructions of `One`.
#[inline(always)]
unsafe fn sub_word<One: Vector>(word: u32) -> u32 {
    let bytes = word.to_le_bytes();
    let mut state = ZERO;
    state.0.as_chunks_mut().0.fill(bytes);
    // SAFETY: the caller's; a block is written.
    unsafe { One::repeat(&state).encrypt_last(One::repeat(&ZERO)).store(state.0.as_mut_ptr()) }
    u32::from_le_bytes([state.0[0], state.0[1], state.0[2], state.0[3]])
}

/// InvMixColumns: what is left of a round of the inverse cipher after the last round of the cipher.
///
/// # Safety
/// The processor has the instructions of `One`.
#[inline(always)]
unsafe fn inverse_mix_columns<One: Vector>(key: &Block) -> Block {
    let mut block = ZERO;
    // SAFETY: the caller's; a block is written.
    unsafe {
        let zero = One::repeat(&ZERO);
        One::repeat(key).encrypt_last(zero).decrypt_round(zero).store(block.0.as_mut_ptr());
    }
    block
}
