//! Every way of the kernel against AES as FIPS 197 writes it.

use super::{BLOCK, Schedule};
use crate::kernel::constant_time::{leaks, public, secret};
use crate::kernel::numbers::Numbers;
use crate::kernel::{Direction, InOut, cpu};
use std::array::from_fn;
use std::sync::LazyLock;

/// What to take from the processor so that every way is seen; the last is what AWS-LC has too.
const WAYS: [&[&str]; 3] = [&[], &["avx512"], &["vaes"]];

/// Multiplication in the field of FIPS 197, section 4.2.
fn times(mut a: u8, mut b: u8) -> u8 {
    let mut product = 0;
    while b != 0 {
        product ^= a * (b & 1);
        a = (a << 1) ^ ((a >> 7) * 0x1B);
        b >>= 1;
    }
    product
}

/// SubBytes: the inverse, which is the 254th power, and an affine map.
fn sub_byte(byte: u8) -> u8 {
    let inverse = (0..254).fold(1, |power, _| times(power, byte));
    (0..5).fold(0x63, |sum, by| sum ^ inverse.rotate_left(by))
}

static SUB: LazyLock<[u8; 256]> = LazyLock::new(|| from_fn(|byte| sub_byte(byte as u8)));

/// The cipher of FIPS 197, section 5.1, slow and plain.
pub(super) struct Plain(Vec<[u8; BLOCK]>);

impl Plain {
    pub(super) fn new(key: &[u8]) -> Plain {
        let (mut words, key_words) = (key.as_chunks::<4>().0.to_vec(), key.len() / 4);
        let mut constant = 1;
        for i in key_words..4 * (key_words + 7) {
            let mut word = words[i - 1];
            if i % key_words == 0 {
                word.rotate_left(1);
            }
            if i % key_words == 0 || key_words == 8 && i % 8 == 4 {
                word = word.map(|byte| SUB[usize::from(byte)]);
            }
            if i % key_words == 0 {
                word[0] ^= constant;
                constant = times(constant, 2);
            }
            words.push(from_fn(|j| word[j] ^ words[i - key_words][j]));
        }
        Plain(words.chunks(4).map(|four| four.as_flattened().try_into().unwrap()).collect())
    }

    pub(super) fn encrypt(&self, block: [u8; BLOCK]) -> [u8; BLOCK] {
        let add = |state: [u8; BLOCK], key: &[u8; BLOCK]| from_fn(|i| state[i] ^ key[i]);
        let [first, middle @ .., last] = &self.0[..] else { panic!() };
        let mut state = add(block, first);
        for key in middle {
            let s = sub_and_shift(state);
            let mixed = |i: usize| {
                let column = |row: usize| s[i / 4 * 4 + (i + row) % 4];
                times(column(0), 2) ^ times(column(1), 3) ^ column(2) ^ column(3)
            };
            state = add(from_fn(mixed), key);
        }
        add(sub_and_shift(state), last)
    }
}

/// SubBytes and ShiftRows: row `i % 4` goes `i % 4` columns to the left.
fn sub_and_shift(state: [u8; BLOCK]) -> [u8; BLOCK] {
    from_fn(|i| SUB[usize::from(state[(i + 4 * (i % 4)) % BLOCK])])
}

/// Runs `work` over `input` where it lies and over a copy, at addresses `skew` past a multiple of 64.
pub(super) fn placed(input: &[u8], skew: usize, work: impl Fn(InOut<'_>)) -> [Vec<u8>; 2] {
    #[repr(align(64))]
    #[derive(Clone, Copy)]
    #[allow(dead_code)] // Its bytes are looked at all together.
    struct Line([u8; 64]);
    let mut lines = vec![Line([0xEE; 64]); 2 * (input.len() / 64 + 3)];
    let half = lines.len() / 2;
    let (from, to) = lines.split_at_mut(half);
    // SAFETY: the same memory as bytes.
    let [from, to] =
        [from, to].map(|l| unsafe { std::slice::from_raw_parts_mut(l.as_mut_ptr().cast(), 64 * half) });
    let there = skew..skew + input.len();
    from[there.clone()].copy_from_slice(input);
    work(InOut::new(&from[there.clone()], &mut to[there.clone()]));
    let apart = to[there.clone()].to_vec();
    work(InOut::in_place(&mut from[there.clone()], input.len()));
    for side in [&*from, &*to] {
        let around = side[..skew].iter().chain(&side[there.end..]);
        assert!(around.into_iter().all(|byte: &u8| *byte == 0xEE), "written beside the output");
    }
    [apart, from[there].to_vec()]
}

/// The four functions on `blocks` blocks against the definition, in every way, at `skew`.
fn check(numbers: &mut Numbers, key: &[u8], blocks: usize, counter: u128, skew: usize) {
    let plain = Plain::new(key);
    let (input, iv): (_, [u8; BLOCK]) = (numbers.bytes(blocks * BLOCK), from_fn(|i| (31 * i) as u8));
    let (mut ecb, mut cbc, mut ctr, mut chain) = (vec![], vec![], vec![], iv);
    for (i, block) in input.as_chunks().0.iter().enumerate() {
        let xor = |other: [u8; BLOCK]| from_fn(|i| block[i] ^ other[i]);
        ecb.extend(plain.encrypt(*block));
        chain = plain.encrypt(xor(chain));
        cbc.extend(chain);
        ctr.extend(xor(plain.encrypt(counter.wrapping_add(i as u128).to_be_bytes())));
    }
    for way in WAYS {
        let Some(schedule) = cpu::without(way, || Schedule::new(key)) else { return };
        let what = format!("{blocks} blocks by {:?}, key of {}, at {skew}", schedule.wide, key.len());
        let same = |input: &[u8], expected: &[u8], mode: &str, work: &dyn Fn(InOut<'_>)| {
            assert!(placed(input, skew, work).iter().all(|output| output == expected), "{mode} of {what}");
        };
        same(&input, &ecb, "ECB", &|io| schedule.ecb(Direction::Encrypt, io));
        same(&ecb, &input, "ECB back", &|io| schedule.ecb(Direction::Decrypt, io));
        same(&input, &ctr, "CTR", &|io| schedule.ctr(counter, io));
        same(&cbc, &input, "CBC back", &|io| {
            let mut iv = iv;
            schedule.cbc_decrypt(&mut iv, io);
            assert_eq!(iv, chain, "{what}");
        });
    }
}

/// FIPS 197, appendix C.
#[test]
fn nist_examples() {
    let key: Vec<u8> = (0..32).collect();
    let block: [u8; BLOCK] = from_fn(|i| 0x11 * i as u8);
    for (len, expected) in [
        (16, "69c4e0d86a7b0430d8cdb78070b4c55a"),
        (24, "dda97ca4864cdfe06eaf70a0ec0d7191"),
        (32, "8ea2b7ca516745bfeafc49904b496089"),
    ] {
        assert_eq!(hex::encode(Plain::new(&key[..len]).encrypt(block)), expected);
        let Some(schedule) = Schedule::new(&key[..len]) else { return };
        let mut ours = block;
        schedule.ecb(Direction::Encrypt, InOut::in_place(&mut ours, BLOCK));
        assert_eq!(hex::encode(ours), expected);
    }
}

/// Around every size of a pass, with every key length, at every kind of address.
#[test]
fn every_length_is_as_defined() {
    let numbers = &mut Numbers::new(1);
    for blocks in (0..70).chain([95, 96, 97, 127, 128, 129, 255, 256, 257, 300]) {
        let key = numbers.bytes([16, 24, 32][blocks % 3]);
        let counter = u128::from(numbers.next_number()) << 64 | u128::from(numbers.next_number());
        for skew in [0, 1, 8, 63] {
            check(numbers, &key, blocks, counter, skew);
        }
    }
}

/// Around a carry out of every byte, and at every place of a pass.
#[test]
fn counters_carry() {
    let numbers = &mut Numbers::new(2);
    let key = numbers.bytes(16);
    for bits in (8..=128).step_by(8) {
        let carry = 1_u128.checked_shl(bits).unwrap_or(0);
        for before in [1, 2, 5, 15, 16, 17, 31, 32, 33, 48, 64, 65, 96, 127, 128] {
            check(numbers, &key, 130, carry.wrapping_sub(before), 0);
        }
    }
}

/// A million of them are held against AWS-LC, in crypto/.
#[test]
fn random_cases_are_as_defined() {
    let numbers = &mut Numbers::new(3);
    let cases = if std::env::var_os("COFFER_LONG").is_some() { 20_000 } else { 200 };
    for _ in 0..cases {
        let key_len = [16, 24, 32][numbers.below(3)];
        let key = numbers.bytes(key_len);
        let (blocks, skew) = (numbers.below(80), numbers.below(64));
        // Ones in the low bits: a carry is near.
        let counter = u128::from(numbers.next_number()) << 64 | u128::from(numbers.next_number());
        let counter = counter | u128::MAX >> 1 >> numbers.below(128);
        let before = numbers.below(70) as u128;
        check(numbers, &key, blocks, counter.wrapping_sub(before), skew);
    }
}

/// The single blocks of AES-NI are what valgrind knows; the same generic code runs the wider ones.
#[test]
fn constant_time() {
    for len in [16, 24, 32] {
        let mut key = vec![5; len];
        secret(&mut key);
        for blocks in [1, 3, 7, 33] {
            let (mut data, mut iv) = (vec![7; blocks * BLOCK], [9; BLOCK]);
            secret(&mut data);
            let leaks = leaks(|| {
                let Some(schedule) = Schedule::new(&key) else { return };
                schedule.ecb(Direction::Encrypt, InOut::in_place(&mut data, blocks * BLOCK));
                schedule.ecb(Direction::Decrypt, InOut::in_place(&mut data, blocks * BLOCK));
                schedule.cbc_decrypt(&mut iv, InOut::in_place(&mut data, blocks * BLOCK));
                schedule.ctr(250, InOut::in_place(&mut data, blocks * BLOCK));
            });
            assert!(leaks.is_none_or(|found| found == 0), "{leaks:?} in {blocks} blocks");
            public(&mut data);
            assert!(data.iter().any(|byte| *byte != 7) || Schedule::new(&[0; 16]).is_none());
        }
    }
}
