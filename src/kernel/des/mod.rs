//! Bitsliced triple DES: ECB both ways and CBC decryption, many blocks at once and in constant time.
//!
//! A batch computes 64 to 512 blocks together, one bit of all of them a vector; `rounds` explains how. What
//! differs between processors is the vector (`x86`, `neon`, `portable`) and which networks of gates are the
//! S-boxes (`networks`): three-input gates for AVX-512, two-input gates for the rest. A part-filled batch
//! takes the time of a full one, whatever is in it: a single block nine to eighteen times that of AWS-LC's tables.
//! So less than [`worthwhile`] blocks, and chains that must go block by block, are left to those, whose look-ups
//! depend on the key and the data.

#[cfg(target_arch = "aarch64")]
mod neon;
mod networks;
mod portable;
mod rounds;
mod schedule;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use schedule::Schedule;

use super::{Direction, InOut};
use rounds::{Batch, Slice, crypt};
use schedule::Masks;
use std::slice;

/// Bytes in a block.
const BLOCK: usize = 8;

/// One way through the processor.
struct Way {
    /// ECB, or CBC decryption for a chain that began with a block, on whole blocks.
    ///
    /// Safety: the processor must have what the way is made of.
    run: unsafe fn(&Schedule, Direction, Option<&mut [u8; BLOCK]>, InOut<'_>),
    /// As `worthwhile`, measured.
    worthwhile: usize,
}

/// The fastest way this processor has.
fn way() -> Way {
    #[cfg(target_arch = "x86_64")]
    {
        let features = super::cpu::features();
        if features.avx512 {
            return Way { run: x86::avx512, worthwhile: 9 };
        }
        if features.avx2 {
            return Way { run: x86::avx2, worthwhile: 16 };
        }
    }
    #[cfg(target_arch = "aarch64")]
    if super::cpu::features().neon {
        return Way { run: neon::neon, worthwhile: 18 };
    }
    Way { run: portable::portable, worthwhile: 18 }
}

/// The fewest blocks that take no longer here than one by one with tables.
pub fn worthwhile() -> usize {
    way().worthwhile
}

/// ECB.
///
/// # Panics
/// If the input is not whole blocks or the output has less room.
pub fn ecb(schedule: &Schedule, direction: Direction, io: InOut<'_>) {
    check(&io);
    // SAFETY: `way` asked the processor.
    unsafe { (way().run)(schedule, direction, None, io) }
}

/// CBC decryption; `iv` becomes the last block of ciphertext.
///
/// # Panics
/// As `ecb`.
pub fn cbc_decrypt(schedule: &Schedule, iv: &mut [u8; BLOCK], io: InOut<'_>) {
    check(&io);
    // SAFETY: `way` asked the processor.
    unsafe { (way().run)(schedule, Direction::Decrypt, Some(iv), io) }
}

fn check(io: &InOut<'_>) {
    assert!(io.input_len().is_multiple_of(BLOCK) && io.capacity() >= io.input_len());
}

/// A way: batches of `Wide`, and of `Narrow` for a rest that fits one.
///
/// Inlined into a function that switches on what both need.
#[inline(always)]
fn run<Wide: Slice, Narrow: Slice>(
    schedule: &Schedule,
    direction: Direction,
    mut iv: Option<&mut [u8; BLOCK]>,
    mut io: InOut<'_>,
) {
    const { assert!(Wide::COMPLEMENTED == Narrow::COMPLEMENTED) }
    let masks = Masks::new::<Wide>(schedule, direction);
    if io.input_len() > 64 * Narrow::LANES * BLOCK {
        batches::<Wide>(&masks, &mut iv, &mut io, 64 * Narrow::LANES * BLOCK);
    }
    if io.input_len() != 0 {
        batches::<Narrow>(&masks, &mut iv, &mut io, 0);
    }
}

/// Batches until no more than `rest` bytes of input are left.
#[inline(always)]
fn batches<V: Slice>(masks: &Masks, iv: &mut Option<&mut [u8; BLOCK]>, io: &mut InOut<'_>, rest: usize) {
    let mut batch = [[V::splat(&0); 2]; 32];
    while io.input_len() > rest {
        let blocks = (io.input_len() / BLOCK).min(64 * V::LANES);
        let mut io = io.split_front(blocks * BLOCK);
        // Behind a part that does not fill the batch, it computes on whatever was there before.
        for (word, block) in words(&mut batch).iter_mut().zip(io.input().as_chunks().0) {
            *word = u64::from_le_bytes(*block);
        }
        let chain = iv.is_some().then_some(batch);
        crypt(&mut batch, masks);
        if let (Some(iv), Some(mut chain)) = (&mut *iv, chain) {
            let (chain, words) = (words(&mut chain), words(&mut batch));
            words[0] ^= u64::from_le_bytes(**iv);
            words[1..].iter_mut().zip(&*chain).for_each(|(word, before)| *word ^= before);
            **iv = chain[blocks - 1].to_le_bytes();
        }
        for (block, word) in io.output().as_chunks_mut().0.iter_mut().zip(words(&mut batch)) {
            *block = word.to_le_bytes();
        }
    }
    schedule::wipe(&mut batch);
}

/// The vectors as words: blocks, while they are not transposed.
#[inline(always)]
fn words<V: Slice>(batch: &mut Batch<V>) -> &mut [u64] {
    // SAFETY: a vector is LANES words, any bytes are a value of either, and a vector is not less aligned.
    unsafe { slice::from_raw_parts_mut(batch.as_mut_ptr().cast(), 64 * V::LANES) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::constant_time::{leaks, public, secret};
    use crate::kernel::cpu;

    #[test]
    fn constant_time() {
        let mut keys = [*b"the 1st ", *b"the 2nd ", *b"the 3rd "];
        keys.iter_mut().for_each(|key| secret(key));
        let [one, two, three] = &keys;
        for without in [&[][..], &["avx512"], &["avx512", "avx2", "neon"]] {
            for blocks in [1, 63, 300] {
                let mut data = vec![7; blocks * BLOCK];
                secret(&mut data);
                let mut iv = [9; BLOCK];
                let leaks = cpu::without(without, || {
                    leaks(|| {
                        let schedule = Schedule::new([one, two, three]);
                        ecb(&schedule, Direction::Encrypt, InOut::in_place(&mut data, blocks * BLOCK));
                        cbc_decrypt(&schedule, &mut iv, InOut::in_place(&mut data, blocks * BLOCK));
                    })
                });
                assert!(
                    leaks.is_none_or(|found| found == 0),
                    "{leaks:?} in {blocks} blocks without {without:?}"
                );
                public(&mut data);
                assert!(data.iter().any(|byte| *byte != 7));
            }
        }
    }
}
