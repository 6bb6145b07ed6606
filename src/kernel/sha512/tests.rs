//! Every way of the kernel against the compression function as FIPS 180-4 writes it.

use super::{BLOCK, compress};
use crate::kernel::constant_time::{leaks, public, secret};
use crate::kernel::cpu;
use crate::kernel::numbers::Numbers;

const WAYS: [&[&str]; 2] = [&[], &["avx512"]];

/// The first 64 bits of the fractional part of a root of `prime`: the square root for the initial value of SHA-512
/// (section 5.3.5), the cube root for the constants (section 4.2.3). By bisection of the integer root of `prime`
/// shifted to the left, in 32-bit limbs.
fn root(prime: u64, degree: usize) -> u64 {
    let power = |x: u128| {
        let mut product = vec![1_u64];
        for _ in 0..degree {
            let limbs = [x as u32, (x >> 32) as u32, (x >> 64) as u32].map(u64::from);
            let mut next = vec![0_u64; product.len() + 4];
            for (i, a) in product.iter().enumerate() {
                let mut carry = 0;
                for (j, b) in limbs.iter().enumerate() {
                    let sum = next[i + j] + a * b + carry;
                    (next[i + j], carry) = (sum & 0xFFFF_FFFF, sum >> 32);
                }
                next[i + 3] += carry;
            }
            product = next;
        }
        product
    };
    let (mut low, mut high) = (0_u128, 1 << 70);
    while high - low > 1 {
        let middle = (low + high) / 2;
        let product = power(middle);
        // The power has 64 * degree bits of fraction: the rest is to be compared with the prime.
        let whole = product[2 * degree..].iter().rev().fold(0_u64, |sum, limb| sum << 32 | limb);
        if whole >= prime { high = middle } else { low = middle }
    }
    low as u64
}

fn primes() -> impl Iterator<Item = u64> {
    (2..).filter(|n| (2..*n).all(|divisor| n % divisor != 0))
}

/// Section 6.4.2.
fn plain(state: &mut [u64; 8], block: &[u8; BLOCK], constants: &[u64]) {
    let mut words: Vec<u64> = block.as_chunks().0.iter().map(|bytes| u64::from_be_bytes(*bytes)).collect();
    for t in 16..80 {
        let sigma0 = |x: u64| x.rotate_right(1) ^ x.rotate_right(8) ^ x >> 7;
        let sigma1 = |x: u64| x.rotate_right(19) ^ x.rotate_right(61) ^ x >> 6;
        let sum = sigma1(words[t - 2]).wrapping_add(words[t - 7]).wrapping_add(sigma0(words[t - 15]));
        words.push(sum.wrapping_add(words[t - 16]));
    }
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = *state;
    for (word, constant) in words.iter().zip(constants) {
        let sigma1 = e.rotate_right(14) ^ e.rotate_right(18) ^ e.rotate_right(41);
        let sigma0 = a.rotate_right(28) ^ a.rotate_right(34) ^ a.rotate_right(39);
        let t1 = [sigma1, e & f ^ !e & g, *constant, *word].into_iter().fold(h, u64::wrapping_add);
        let t2 = sigma0.wrapping_add(a & b ^ a & c ^ b & c);
        (h, g, f, e, d, c, b, a) = (g, f, e, d.wrapping_add(t1), c, b, a, t1.wrapping_add(t2));
    }
    let variables = [a, b, c, d, e, f, g, h];
    state.iter_mut().zip(variables).for_each(|(word, variable)| *word = word.wrapping_add(variable));
}

/// Section 4.2.3; the upper halves of the first 64 are those of SHA-256 (section 4.2.2).
pub(in crate::kernel) fn constants() -> Vec<u64> {
    primes().take(80).map(|prime| root(prime, 3)).collect()
}

/// FIPS 180-4's "abc", with everything from the definitions.
#[test]
fn nist_example() {
    let mut block = [0; BLOCK];
    block[..4].copy_from_slice(b"abc\x80");
    block[BLOCK - 1] = 24;
    let initial: Vec<u64> = primes().take(8).map(|prime| root(prime, 2)).collect();
    let initial: [u64; 8] = initial.try_into().unwrap();
    let mut state = initial;
    plain(&mut state, &block, &constants());
    assert_eq!((state[0], state[7]), (0xDDAF_35A1_9361_7ABA, 0x2A9A_C94F_A54C_A49F));
    for way in WAYS {
        let Some(compress) = cpu::without(way, compress) else { return };
        let mut ours = initial;
        compress(&mut ours, &[block]);
        assert_eq!(ours, state, "without {way:?}");
    }
}

/// Any number of blocks, at any address; COFFER_LONG=1 takes many.
#[test]
fn every_length_is_as_defined() {
    let (numbers, constants) = (&mut Numbers::new(1), constants());
    let rounds = if std::env::var_os("COFFER_LONG").is_some() { 2000 } else { 1 };
    for round in 0..rounds {
        for count in (0..20).chain([63, 64, 65]) {
            let skew = numbers.below(64);
            let memory = numbers.bytes(skew + count * BLOCK);
            let blocks = memory[skew..].as_chunks().0;
            let start: [u64; 8] = std::array::from_fn(|_| numbers.next_number());
            let mut expected = start;
            blocks.iter().for_each(|block| plain(&mut expected, block, &constants));
            for way in WAYS {
                let Some(compress) = cpu::without(way, compress) else { return };
                let mut ours = start;
                compress(&mut ours, blocks);
                assert_eq!(ours, expected, "{count} blocks without {way:?}, round {round}");
            }
        }
    }
}

#[test]
fn constant_time() {
    let Some(compress) = compress() else { return };
    for count in 1..4 {
        let mut memory = vec![7; count * BLOCK];
        secret(&mut memory);
        let mut state = [5_u64; 8];
        let leaks = leaks(|| compress(&mut state, memory.as_chunks().0));
        assert!(leaks.is_none_or(|found| found == 0), "{leaks:?} in {count} blocks");
        let mut state = state.map(u64::to_be_bytes);
        public(state.as_flattened_mut());
        assert_ne!(state[0], [0, 0, 0, 0, 0, 0, 0, 5]);
    }
}
