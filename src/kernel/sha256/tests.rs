//! The end of a message and every lane of many against the compression function as FIPS 180-4 writes it.

use super::{BLOCK, Chain, DIGEST, LANES, compress_many, finish};
use crate::kernel::cpu;
use crate::kernel::numbers::Numbers;
use crate::kernel::sha512;
use std::array::from_fn;
use std::{ptr, slice};

/// Section 4.2.2.
fn constants() -> Vec<u32> {
    sha512::tests::constants()[..64].iter().map(|constant| (constant >> 32) as u32).collect()
}

/// Section 6.2.2.
fn plain(chain: &mut Chain, block: &[u8; BLOCK], constants: &[u32]) {
    let mut words: Vec<u32> = block.as_chunks().0.iter().map(|bytes| u32::from_be_bytes(*bytes)).collect();
    for t in 16..64 {
        let sigma0 = |x: u32| x.rotate_right(7) ^ x.rotate_right(18) ^ x >> 3;
        let sigma1 = |x: u32| x.rotate_right(17) ^ x.rotate_right(19) ^ x >> 10;
        let sum = sigma1(words[t - 2]).wrapping_add(words[t - 7]).wrapping_add(sigma0(words[t - 15]));
        words.push(sum.wrapping_add(words[t - 16]));
    }
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = *chain;
    for (word, constant) in words.iter().zip(constants) {
        let sigma1 = e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25);
        let sigma0 = a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22);
        let t1 = [sigma1, e & f ^ !e & g, *constant, *word].into_iter().fold(h, u32::wrapping_add);
        let t2 = sigma0.wrapping_add(a & b ^ a & c ^ b & c);
        (h, g, f, e, d, c, b, a) = (g, f, e, d.wrapping_add(t1), c, b, a, t1.wrapping_add(t2));
    }
    let variables = [a, b, c, d, e, f, g, h];
    chain.iter_mut().zip(variables).for_each(|(word, variable)| *word = word.wrapping_add(variable));
}

const INITIAL: Chain =
    [0x6A09_E667, 0xBB67_AE85, 0x3C6E_F372, 0xA54F_F53A, 0x510E_527F, 0x9B05_688C, 0x1F83_D9AB, 0x5BE0_CD19];

/// FIPS 180-4's "abc" in each lane, and in the other ones nothing.
#[test]
fn nist_example() {
    let Some(compress) = compress_many() else { return };
    let mut block = [0; BLOCK];
    block[..4].copy_from_slice(b"abc\x80");
    block[BLOCK - 1] = 24;
    for wanted in 0..LANES {
        let mut chains = [INITIAL; LANES];
        compress(&mut chains, &from_fn(|lane| if lane == wanted { slice::from_ref(&block) } else { &[] }));
        for (lane, chain) in chains.iter().enumerate() {
            let expected = if lane == wanted { (0xBA78_16BF, 0xF200_15AD) } else { (INITIAL[0], INITIAL[7]) };
            assert_eq!((chain[0], chain[7]), expected, "lane {lane} of {wanted}");
        }
    }
}

#[test]
fn nist_example_as_the_end() {
    let Some(finish) = finish() else { return };
    let mut digest = [0; DIGEST];
    finish(&INITIAL, b"abc", 24, &mut digest);
    assert_eq!((&digest[..4], &digest[28..]), (&[0xBA, 0x78, 0x16, 0xBF][..], &[0xF2, 0x00, 0x15, 0xAD][..]));
}

/// A page of memory behind which nothing can be read.
struct GuardedPage(*mut u8);

impl GuardedPage {
    const LEN: usize = 4096;

    fn new() -> GuardedPage {
        // SAFETY: a new mapping. The second page stays ours, with no access, so that nobody else maps it.
        unsafe {
            let (access, flags) =
                (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
            let page = libc::mmap(ptr::null_mut(), 2 * Self::LEN, access, flags, -1, 0);
            assert_ne!(page, libc::MAP_FAILED);
            assert_eq!(libc::mprotect(page.byte_add(Self::LEN), Self::LEN, libc::PROT_NONE), 0);
            GuardedPage(page.cast())
        }
    }

    /// A copy that ends where the page does.
    fn end(&mut self, bytes: &[u8]) -> &[u8] {
        // SAFETY: the page, whole.
        let page = unsafe { slice::from_raw_parts_mut(self.0, Self::LEN) };
        let end = &mut page[Self::LEN - bytes.len()..];
        end.copy_from_slice(bytes);
        end
    }
}

impl Drop for GuardedPage {
    fn drop(&mut self) {
        // SAFETY: mapped above.
        unsafe { libc::munmap(self.0.cast(), 2 * Self::LEN) };
    }
}

/// Every length of a few blocks after other blocks, at any address, up to the last byte that is there; COFFER_LONG=1 takes
/// many.
#[test]
fn every_end_is_as_defined() {
    assert!(cpu::without(&["sha"], finish).is_none() && cpu::without(&["avx512"], finish).is_none());
    let Some(finish) = finish() else { return };
    let (numbers, constants) = (&mut Numbers::new(2), constants());
    let rounds = if std::env::var_os("COFFER_LONG").is_some() { 5_000 } else { 20 };
    let page = &mut GuardedPage::new();
    for (round, len) in (0..rounds).flat_map(|round| (0..=200).map(move |len| (round, len))) {
        let message = numbers.bytes(len);
        let before = numbers.below(1 << 20) * BLOCK;
        let bits = 8 * (before + len) as u64;
        let start: Chain = from_fn(|_| numbers.next_number() as u32);
        let mut padded = message.clone();
        padded.push(0x80);
        padded.resize((padded.len() + 8).next_multiple_of(BLOCK) - 8, 0);
        padded.extend(bits.to_be_bytes());
        let mut expected = start;
        padded.as_chunks().0.iter().for_each(|block| plain(&mut expected, block, &constants));
        let mut ours = [0; DIGEST];
        finish(&start, page.end(&message), bits, &mut ours);
        assert_eq!(ours, *expected.map(u32::to_be_bytes).as_flattened(), "round {round}, {len} bytes");
    }
}

/// Each lane with as many blocks as it likes, at any address; COFFER_LONG=1 takes many.
#[test]
fn every_lane_is_as_defined() {
    assert!(cpu::without(&["avx512"], compress_many).is_none());
    let Some(compress) = compress_many() else { return };
    let (numbers, constants) = (&mut Numbers::new(1), constants());
    let rounds = if std::env::var_os("COFFER_LONG").is_some() { 20_000 } else { 50 };
    for round in 0..rounds {
        let most = [1, 2, 4, 12][round % 4];
        let messages: [(usize, Vec<u8>); LANES] = from_fn(|_| {
            let (skew, blocks) = (numbers.below(64), numbers.below(most + 1));
            (skew, numbers.bytes(skew + blocks * BLOCK))
        });
        let messages = messages.each_ref().map(|(skew, bytes)| bytes[*skew..].as_chunks().0);
        let start: [Chain; LANES] = from_fn(|_| from_fn(|_| numbers.next_number() as u32));
        let mut expected = start;
        for (chain, blocks) in expected.iter_mut().zip(messages) {
            blocks.iter().for_each(|block| plain(chain, block, &constants));
        }
        let mut ours = start;
        compress(&mut ours, &messages);
        assert_eq!(ours, expected, "round {round}");
    }
}
