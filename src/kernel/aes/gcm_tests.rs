//! The kernel for GCM against SP 800-38D as it is written.

use super::tests::{Plain, placed};
use super::{BLOCK, Schedule};
use crate::kernel::numbers::Numbers;
use crate::kernel::{Direction, InOut, cpu};

/// Multiplication of blocks (section 6.3).
fn times(x: u128, y: u128) -> u128 {
    let mut v = y;
    let mut z = 0;
    for bit in (0..128).rev() {
        if x >> bit & 1 == 1 {
            z ^= v;
        }
        v = (v >> 1) ^ ((v & 1) * (0xE1 << 120));
    }
    z
}

/// GHASH over parts that are each filled up to whole blocks (section 6.4).
fn ghash(h: u128, parts: &[&[u8]]) -> u128 {
    let mut y = 0;
    for chunk in parts.iter().flat_map(|part| part.chunks(BLOCK)) {
        let mut block = [0; BLOCK];
        block[..chunk.len()].copy_from_slice(chunk);
        y = times(y ^ u128::from_be_bytes(block), h);
    }
    y
}

fn lengths(a: usize, c: usize) -> [u8; BLOCK] {
    (((8 * a as u128) << 64) | (8 * c as u128)).to_be_bytes()
}

/// Authenticated encryption (section 7.1).
fn seal(plain: &Plain, iv: &[u8], aad: &[u8], message: &[u8]) -> (Vec<u8>, [u8; BLOCK]) {
    let encrypt = |block: u128| u128::from_be_bytes(plain.encrypt(block.to_be_bytes()));
    let h = encrypt(0);
    let first = match iv.len() {
        12 => {
            let mut block = [0; BLOCK];
            block[..12].copy_from_slice(iv);
            block[15] = 1;
            u128::from_be_bytes(block)
        }
        len => ghash(h, &[iv, &lengths(0, len)]),
    };
    let counter = |i: u32| first & !u128::from(u32::MAX) | u128::from((first as u32).wrapping_add(i));
    let mut ciphertext = message.to_vec();
    for (chunk, i) in ciphertext.chunks_mut(BLOCK).zip(1..) {
        let stream = encrypt(counter(i)).to_be_bytes();
        chunk.iter_mut().zip(stream).for_each(|(byte, stream)| *byte ^= stream);
    }
    let hash = ghash(h, &[aad, &ciphertext, &lengths(aad.len(), message.len())]);
    (ciphertext, (hash ^ encrypt(first)).to_be_bytes())
}

/// Both directions with either kind of register against the definition, where there is a kernel.
fn check(key: &[u8], iv: &[u8], aad: &[u8], message: &[u8], skew: usize) {
    let sealed = seal(&Plain::new(key), iv, aad, message);
    for without in [&[][..], &["avx512"]] {
        cpu::without(without, || check_one(key, iv, aad, message, skew, &sealed));
    }
}

fn check_one(
    key: &[u8],
    iv: &[u8],
    aad: &[u8],
    message: &[u8],
    skew: usize,
    (ciphertext, tag): &(Vec<u8>, [u8; BLOCK]),
) {
    let Some(schedule) = Schedule::new(key) else { return };
    let Some(hash) = schedule.hash_key() else { return };
    let what =
        format!("{} bytes, {} of AAD, {} of IV, key of {}", message.len(), aad.len(), iv.len(), key.len());
    for (direction, input, expected) in
        [(Direction::Encrypt, message, &ciphertext[..]), (Direction::Decrypt, ciphertext, message)]
    {
        let work = |io: InOut<'_>| assert_eq!(schedule.gcm(&hash, direction, iv, aad, io), *tag, "{what}");
        assert!(placed(input, skew, work).iter().all(|output| output == expected), "{direction:?} {what}");
    }
}

/// Around every size of a pass, of a register and of a block.
#[test]
fn every_length_is_as_defined() {
    let numbers = &mut Numbers::new(11);
    let around = |length: usize| length.saturating_sub(1)..=length + 1;
    let lengths = (0..130).chain((192..1700).step_by(64).flat_map(around));
    for (i, len) in lengths.enumerate() {
        let key = numbers.bytes([16, 24, 32][i % 3]);
        let (iv, message) = (numbers.bytes(12), numbers.bytes(len));
        check(&key, &iv, &[], &message, 0);
        check(&key, &iv, &message[..len / 3], &message, i % 64);
    }
}

#[test]
fn every_length_of_iv_and_aad_is_as_defined() {
    let numbers = &mut Numbers::new(12);
    let key = numbers.bytes(32);
    for len in (1..200).chain([511, 512, 513, 1023, 1024, 1025, 1100]) {
        let (bytes, message) = (numbers.bytes(len), numbers.bytes(len % 70));
        check(&key, &bytes, b"", &message, 0);
        check(&key, &bytes[..1], &bytes, &message, 1);
    }
}

/// The counter's 32 bits carry at every place of a pass and nothing beyond them changes: an IV of 16 bytes can be found
/// for every first counter block, as the multiplication has an inverse.
#[test]
fn counters_wrap() {
    let numbers = &mut Numbers::new(13);
    let key = numbers.bytes(16);
    let plain = Plain::new(&key);
    let h = u128::from_be_bytes(plain.encrypt([0; BLOCK]));
    // The inverse is the power 2^128 - 2.
    let inverse = (1..128).fold((1 << 127, h), |(product, power), _| {
        let square = times(power, power);
        (times(product, square), square)
    });
    let inverse = inverse.0;
    assert_eq!(times(inverse, h), 1 << 127);
    for before in [0, 1, 2, 3, 4, 5, 31, 32, 33, 63, 64, 65, 70] {
        let first = u128::MAX - before;
        let length = u128::from_be_bytes(lengths(0, BLOCK));
        let iv = times(times(first, inverse) ^ length, inverse).to_be_bytes();
        assert_eq!(ghash(h, &[&iv, &lengths(0, BLOCK)]), first);
        for len in [64, 512, 1100] {
            check(&key, &iv, b"aad", &numbers.bytes(len), 3);
        }
    }
}

#[test]
fn random_cases_are_as_defined() {
    let numbers = &mut Numbers::new(14);
    let cases = if std::env::var_os("COFFER_LONG").is_some() { 20_000 } else { 100 };
    for _ in 0..cases {
        let [key_len, iv_len] = [[16, 24, 32][numbers.below(3)], 1 + numbers.below(40)];
        let (aad_len, len, skew) = (numbers.below(100), numbers.below(2000), numbers.below(64));
        let [key, iv, aad, message] = [key_len, iv_len, aad_len, len].map(|len| numbers.bytes(len));
        check(&key, &iv, &aad, &message, skew);
    }
}

/// Without its instructions there is no kernel, and AWS-LC's is used.
#[test]
fn there_is_none_without_its_instructions() {
    for missing in ["avx2", "vaes", "vpclmulqdq"] {
        let none = cpu::without(&[missing], || Schedule::new(&[0; 16]).and_then(|keys| keys.hash_key()));
        assert!(none.is_none(), "{missing}");
    }
}
