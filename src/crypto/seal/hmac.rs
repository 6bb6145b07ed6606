//! HMAC-SHA256: of one message by AWS-LC's compression function, of many side by side where a kernel has room for them.

use super::{KEY, Secret, sha256};
use crate::crypto::status::wipe_value;
use crate::crypto::wipe;
use crate::kernel::sha256::{BLOCK, Chain, CompressMany, LANES, compress_many};
use aws_lc_sys::SHA256_TransformBlocks;
use std::array::from_fn;
use std::ops::Range;
use std::slice;

/// Bytes of the message's length in its last block.
const LENGTH: usize = size_of::<u64>();

fn absorb(state: &mut Chain, blocks: &[u8]) {
    // SAFETY: the state has eight words, and the blocks are whole.
    unsafe { SHA256_TransformBlocks(state.as_mut_ptr(), blocks.as_ptr(), blocks.len() / BLOCK) }
}

fn digest(state: &Chain) -> [u8; KEY] {
    let mut out = [0; KEY];
    out.as_chunks_mut().0.iter_mut().zip(state).for_each(|(bytes, word)| *bytes = word.to_be_bytes());
    out
}

/// Bits of a message of so many bytes behind a key's block, as they end the padding (FIPS 180-4, section 5.1.1).
fn bits(total: usize) -> [u8; LENGTH] {
    (8 * (BLOCK + total) as u64).to_be_bytes()
}

/// The hash over one block, which `state` has absorbed, and the concatenation of `parts`.
fn finish(state: Chain, parts: &[&[u8]]) -> [u8; KEY] {
    let total = parts.iter().map(|part| part.len()).sum();
    if total <= 2 * BLOCK {
        finish_in::<{ 2 * BLOCK }>(state, parts, total)
    } else {
        finish_in::<{ 9 * BLOCK }>(state, parts, total)
    }
}

/// The same of `total` bytes with so much room, all but one block of which go to AWS-LC's compression in one piece.
fn finish_in<const ROOM: usize>(mut state: Chain, parts: &[&[u8]], total: usize) -> [u8; KEY] {
    // The last block is for the padding of what is nearly full.
    let at_once = ROOM - BLOCK;
    let mut buffer = [0; ROOM];
    let mut filled = 0;
    for part in parts {
        let mut rest = *part;
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(rest.len().min(at_once - filled));
            buffer[filled..filled + piece.len()].copy_from_slice(piece);
            filled += piece.len();
            rest = after;
            if filled == at_once {
                absorb(&mut state, &buffer[..at_once]);
                filled = 0;
            }
        }
    }
    let end = (filled + 1 + LENGTH).next_multiple_of(BLOCK);
    buffer[filled..end].fill(0);
    buffer[filled] = 0x80;
    buffer[end - LENGTH..end].copy_from_slice(&bits(total));
    absorb(&mut state, &buffer[..end]);
    let out = digest(&state);
    // SAFETY: zero bytes are a value of both. A short message may have been a hash that makes a key.
    unsafe {
        wipe_value(&mut state);
        if total <= BLOCK {
            wipe(&mut buffer[..BLOCK]);
        }
    }
    out
}

/// An HMAC-SHA256 key (FIPS 198-1), absorbed once and used by all threads: the states of the inner and the outer hash
/// after the key.
pub struct Hmac(Box<[Chain; 2]>);

impl Hmac {
    /// Takes a key of any length.
    pub fn new(key: &[u8]) -> Hmac {
        /// FIPS 180-4 section 5.3.3.
        const INITIAL: Chain = [
            0x6a09_e667,
            0xbb67_ae85,
            0x3c6e_f372,
            0xa54f_f53a,
            0x510e_527f,
            0x9b05_688c,
            0x1f83_d9ab,
            0x5be0_cd19,
        ];
        let mut block = Secret::zeroed(BLOCK);
        if key.len() > block.len() {
            let mut hash = sha256(&[key]);
            block.expose_mut()[..hash.len()].copy_from_slice(&hash);
            wipe(&mut hash);
        } else {
            block.expose_mut()[..key.len()].copy_from_slice(key);
        }
        let mut states = Box::new([INITIAL; 2]);
        for (state, pad) in states.iter_mut().zip([0x36, 0x5c]) {
            block.expose_mut().iter_mut().for_each(|byte| *byte ^= pad);
            absorb(state, block.expose());
            block.expose_mut().iter_mut().for_each(|byte| *byte ^= pad);
        }
        Hmac(states)
    }

    /// The tag over the concatenation of `parts`; what they are must be told apart by their lengths.
    pub fn tag(&self, parts: &[&[u8]]) -> [u8; KEY] {
        let [inner, outer] = *self.0;
        let mut hash = finish(inner, parts);
        let tag = finish(outer, &[&hash]);
        wipe(&mut hash);
        tag
    }

    /// Gives `each` the tags of all `messages`, and which message it is of, in any order.
    pub fn tags(&self, messages: &Messages, mut each: impl FnMut(usize, &[u8; KEY])) {
        /// With fewer of them, one after another is faster.
        const WORTH: usize = LANES / 2;
        let kernel = compress_many().filter(|_| messages.len() >= WORTH);
        let mut order: Vec<usize> = (0..messages.len()).collect();
        if kernel.is_some() {
            // Lanes wait for the longest.
            order.sort_unstable_by_key(|at| messages.padded(*at).len());
        }
        for group in order.chunks(LANES) {
            if let Some(compress) = kernel.filter(|_| group.len() >= WORTH) {
                self.tags_at_once(compress, messages, group, &mut each);
                continue;
            }
            for at in group {
                let [mut inner, outer] = *self.0;
                absorb(&mut inner, messages.padded(*at).as_flattened());
                let mut hash = digest(&inner);
                let mut tag = finish(outer, &[&hash]);
                each(*at, &tag);
                // SAFETY: zero bytes are a value of the state.
                unsafe { wipe_value(&mut inner) }
                wipe(&mut hash);
                wipe(&mut tag);
            }
        }
    }

    /// The same of those that `group` names, of which there are no more than lanes.
    fn tags_at_once(
        &self,
        compress: CompressMany,
        messages: &Messages,
        group: &[usize],
        each: &mut impl FnMut(usize, &[u8; KEY]),
    ) {
        let [inner, outer] = *self.0;
        let mut states = [inner; LANES];
        compress(&mut states, &from_fn(|lane| group.get(lane).map_or(&[][..], |at| messages.padded(*at))));
        // The hash and its padding, one block.
        let mut hashes = states.map(|state| {
            let mut block = [0; BLOCK];
            block[..KEY].copy_from_slice(&digest(&state));
            block[KEY] = 0x80;
            block[BLOCK - LENGTH..].copy_from_slice(&bits(KEY));
            block
        });
        states = [outer; LANES];
        compress(&mut states, &from_fn(|lane| slice::from_ref(&hashes[lane])));
        group.iter().zip(&states).for_each(|(at, state)| each(*at, &digest(state)));
        // SAFETY: zero bytes are a value of both.
        unsafe {
            wipe_value(&mut states);
            wipe_value(&mut hashes);
        }
    }

    /// The tag as a key for one purpose: how one key makes many.
    pub fn derive(&self, parts: &[&[u8]]) -> Secret {
        let mut tag = self.tag(parts);
        let key = Secret::from_slice(&tag);
        wipe(&mut tag);
        key
    }
}

impl Drop for Hmac {
    fn drop(&mut self) {
        // SAFETY: zero bytes are a value of the states.
        unsafe { wipe_value(&mut *self.0) }
    }
}

/// Messages that are tagged together, one behind the other with their padding. They are no secrets.
#[derive(Default)]
pub struct Messages {
    bytes: Vec<u8>,
    places: Vec<Range<usize>>,
}

impl Messages {
    /// With room for `count` messages of `total` bytes together.
    pub fn with_capacity(count: usize, total: usize) -> Messages {
        let padded = total + count * (BLOCK + LENGTH);
        Messages { bytes: Vec::with_capacity(padded), places: Vec::with_capacity(count) }
    }

    /// Adds the concatenation of `parts`.
    pub fn push(&mut self, parts: &[&[u8]]) {
        let start = self.bytes.len();
        parts.iter().for_each(|part| self.bytes.extend_from_slice(part));
        let total = self.bytes.len() - start;
        self.bytes.push(0x80);
        let end = start + (total + 1 + LENGTH).next_multiple_of(BLOCK);
        self.bytes.resize(end - LENGTH, 0);
        self.bytes.extend_from_slice(&bits(total));
        self.places.push(start..end);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    fn padded(&self, at: usize) -> &[[u8; BLOCK]] {
        self.bytes[self.places[at].clone()].as_chunks().0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::random;
    use crate::kernel::cpu;
    use aws_lc_sys::{EVP_sha256, HMAC};

    #[test]
    fn hmac_answers_rfc_4231() {
        let tag = Hmac::new(b"Jefe").tag(&[b"what do ya want ", b"for nothing?"]);
        assert_eq!(hex::encode(tag), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        // Messages around every boundary of the buffer, against AWS-LC's whole HMAC.
        let message: Vec<u8> = (0..1200).map(|at| at as u8).collect();
        for len in (0..=message.len()).filter(|len| len % 64 >= 54 || len % 64 <= 1 || len % 61 == 0) {
            let (mut want, mut written) = ([0; KEY], 0);
            // SAFETY: every pointer is valid for the length beside it, and the tag has its room.
            let answer = unsafe {
                let (key, data) = (b"key".as_ptr().cast(), message.as_ptr());
                HMAC(EVP_sha256(), key, 3, data, len, want.as_mut_ptr(), &mut written)
            };
            assert!(!answer.is_null() && written as usize == KEY);
            for cut in [0, len / 3, len] {
                let (one, other) = message[..len].split_at(cut);
                assert_eq!(Hmac::new(b"key").tag(&[one, b"", other]), want, "{len} bytes in two");
            }
        }
        // A key longer than a block.
        let tag = Hmac::new(&[0xaa; 131]).tag(&[b"Test Using Larger Than Block-Size Key - Hash Key First"]);
        assert_eq!(hex::encode(tag), "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    }

    /// As many messages as fill no lane, some, all, and all more than once, all as long or each as it likes, by the kernel and
    /// without; COFFER_LONG=1 takes many.
    #[test]
    fn tags_of_many_are_those_of_each() {
        let hmac = Hmac::new(b"key");
        let pool = random::secret(1 << 14);
        let pool = pool.expose();
        let rounds = if std::env::var_os("COFFER_LONG").is_some() { 3000 } else { 10 };
        for round in 0..rounds {
            for count in (0..=LANES + 1).chain([2 * LANES - 1, 2 * LANES, 3 * LANES + LANES / 2, 83]) {
                let number = |i: usize| usize::from(u16::from_le_bytes([pool[2 * i], pool[2 * i + 1]]));
                let len = |i: usize| match round % 3 {
                    // Around the edges of the first blocks.
                    0 => (round / 3 * 7 + count) % 140,
                    1 => (i * 5 + round) % 140,
                    _ => number((i + 97 * round) % 8000) % 2000,
                };
                let message = |i: usize| &pool[i * 31 % 8000..][..len(i)];
                let mut messages = Messages::default();
                for i in 0..count {
                    let (one, other) = message(i).split_at(len(i) / 3);
                    messages.push(&[one, b"", other]);
                }
                let expected: Vec<_> = (0..count).map(|i| hmac.tag(&[message(i)])).collect();
                for without in [&[][..], &["avx512"]] {
                    let mut tags = vec![[0; KEY]; count];
                    cpu::without(without, || hmac.tags(&messages, |at, tag| tags[at] = *tag));
                    assert_eq!(tags, expected, "{count} in round {round} without {without:?}");
                }
            }
        }
    }
}
