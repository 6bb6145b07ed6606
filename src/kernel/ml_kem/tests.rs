//! The parts of the kernel against what FIPS 202 and FIPS 203 say of them. Whole operations are held against AWS-LC's in
//! `crypto::ml_kem`, in every way.

use super::keccak::{SHA3_256, SHAKE128, State};
use super::portable::{Numbers, Portable};
use super::ring::{Multiplier, N, Poly};
use super::vector::Q;
use super::{PrivateKey, Processor, Size, coding};
use crate::kernel::constant_time::{leaks, public, secret};
use crate::kernel::cpu;
use crate::kernel::numbers::Numbers as Random;

const SIZES: [Size; 3] = [Size::K2, Size::K3, Size::K4];

#[test]
fn keccak_is_as_published() {
    let mut state: State = [0; 25];
    Portable::permute(&mut state);
    assert_eq!(state[0], 0xF125_8F79_40E1_DDE7);
    assert_eq!(state[24], 0xEAF1_FF7B_5CEC_A249);
    let digest: [u8; 32] = SHA3_256.digest::<Portable, 32>(&mut state, &[]);
    assert_eq!(digest[..8], [0xA7, 0xFF, 0xC6, 0xF8, 0xBF, 0x1E, 0xD7, 0x66]);
    let output: [u8; 8] = SHAKE128.digest::<Portable, 8>(&mut state, &[]);
    assert_eq!(output, [0x7F, 0x9C, 0x2B, 0xA4, 0xE8, 0x8F, 0x82, 0x7D]);
}

/// Section 4.2.1, by division.
fn every_number<const BITS: u32>() {
    let (q, steps) = (u64::from(Q as u16), 1 << BITS);
    let mut poly = Poly::ZERO;
    let mut bytes = [0; 11 * 32];
    let bytes = &mut bytes[..32 * BITS as usize];
    for first in (0..Q).step_by(N) {
        let number = |i: usize| (first + i as i16) % Q;
        for (i, coefficient) in poly.coefficients_mut().iter_mut().enumerate() {
            *coefficient = number(i);
        }
        coding::pack::<BITS>(&poly, bytes);
        coding::unpack::<BITS>(bytes, &mut poly);
        for (i, &found) in poly.coefficients().iter().enumerate() {
            let small = (2 * steps * number(i) as u64 + q) / (2 * q) % steps;
            let bits = (0..BITS as usize).map(|bit| {
                let place = BITS as usize * i + bit;
                u64::from(bytes[place / 8] >> (place % 8) & 1) << bit
            });
            assert_eq!(bits.sum::<u64>(), small, "{} of {BITS} bits", number(i));
            assert_eq!(found as u64, (2 * q * small + steps) / (2 * steps), "{small} of {BITS} bits");
        }
    }
}

#[test]
fn every_number_is_rounded_as_the_standard_says() {
    every_number::<4>();
    every_number::<5>();
    every_number::<10>();
    every_number::<11>();
    for number in 0..Q {
        let mut poly = Poly::ZERO;
        poly.coefficients_mut()[9] = number;
        let expected = u8::from((833..=2496).contains(&number)) << 1;
        assert_eq!(coding::to_message(&poly)[1], expected, "{number}");
    }
    let mut poly = Poly::ZERO;
    coding::of_message(&[0xA5; 32], &mut poly);
    assert_eq!(poly.coefficients()[..8], [1665, 0, 1665, 0, 0, 1665, 0, 1665]);
    assert_eq!(coding::to_message(&poly), [0xA5; 32]);
}

/// The transform of the standard (algorithm 9), slowly: coefficients from 0 to q - 1.
fn transform(coefficients: &[i16; N]) -> [i16; N] {
    let q = i64::from(Q);
    let power = |exponent: usize| (0..exponent).fold(1, |power, _| power * 17 % q);
    let mut f = coefficients.map(i64::from);
    let mut k = 1_u8;
    for len in [128, 64, 32, 16, 8, 4, 2] {
        for start in (0..N).step_by(2 * len) {
            let zeta = power(usize::from(k.reverse_bits() >> 1));
            k += 1;
            for j in start..start + len {
                let t = zeta * f[j + len] % q;
                (f[j], f[j + len]) = ((f[j] + t) % q, (f[j] + q - t) % q);
            }
        }
    }
    f.map(|number| number.rem_euclid(q) as i16)
}

/// Products of two polynomials each, summed, modulo X^256 + 1.
fn product_sum(factors: &[([i16; N], [i16; N])]) -> [i16; N] {
    let mut sum = [0_i64; N];
    for (a, b) in factors {
        for (i, a) in a.iter().enumerate() {
            for (j, b) in b.iter().enumerate() {
                let product = i64::from(*a) * i64::from(*b);
                sum[(i + j) % N] += if i + j < N { product } else { -product };
            }
        }
    }
    sum.map(|number| number.rem_euclid(i64::from(Q)) as i16)
}

#[test]
fn products_of_transforms_are_products_of_polynomials() {
    let mut random = Random::new(3);
    for k in 1..=4 {
        for case in 0..12 {
            let factors: Vec<_> = (0..k)
                .map(|_| {
                    let mut number = |most: i16| match case {
                        // As large as they come, and as small.
                        0 => most,
                        1 => 0,
                        2 => most * (random.below(2) as i16),
                        _ => random.below(most as usize + 1) as i16,
                    };
                    let (a, b): ([i16; N], [i16; N]) =
                        (std::array::from_fn(|_| number(Q - 1)), std::array::from_fn(|_| number(Q - 1)));
                    (a, if case % 2 == 0 { b } else { b.map(|number| -number) })
                })
                .collect();
            let (mut row, mut column) = (vec![Poly::ZERO; k], vec![Multiplier::ZERO; k]);
            for ((a, b), (poly, multiplier)) in factors.iter().zip(row.iter_mut().zip(&mut column)) {
                *poly.coefficients_mut() = transform(a);
                poly.order::<Numbers>();
                let mut other = Poly::ZERO;
                *other.coefficients_mut() = *b;
                other.transformed::<Numbers>(multiplier);
            }
            let mut sum = Poly::ZERO;
            sum.of_products::<Numbers>(&row, &column);
            assert!(sum.coefficients().iter().all(|number| number.abs() <= Q));
            let found = sum.coefficients().map(|number| number.rem_euclid(Q));
            assert_eq!(found, product_sum(&factors), "{k} products, case {case}");
        }
    }
}

/// A private key, as bytes, of which only the lengths and the numbers' range are right.
fn any_private_key(size: Size, random: &mut Random) -> Vec<u8> {
    let mut key = random.bytes(size.private_len());
    for three in key.as_chunks_mut::<3>().0 {
        // Two numbers of twelve bits, the highest of which is off.
        three[1] &= 0xF7;
        three[2] &= 0x7F;
    }
    key
}

#[test]
fn constant_time() {
    let mut random = Random::new(4);
    for size in SIZES {
        let mut encoded = any_private_key(size, &mut random);
        let vector = size.k() * coding::ENCODED;
        let len = encoded.len();
        for without in [&["avx512"][..], &["avx2"]] {
            cpu::without(without, || {
                let (mut message, mut shared) = ([7; 32], [0; 32]);
                let mut ciphertext = vec![0; size.ciphertext_len()];
                secret(&mut encoded[..vector]);
                secret(&mut encoded[len - 32..]);
                secret(&mut message);
                let found = leaks(|| {
                    let key = PrivateKey::new(size, &encoded);
                    key.public().encapsulate(&message, &mut ciphertext, &mut shared);
                    public(&mut ciphertext);
                    key.decapsulate(&ciphertext, &mut shared);
                    ciphertext[5] ^= 1;
                    key.decapsulate(&ciphertext, &mut shared);
                });
                public(&mut encoded);
                public(&mut shared);
                assert!(found.is_none_or(|found| found == 0), "{size:?} without {without:?}: {found:?}");
            });
        }
    }
}
