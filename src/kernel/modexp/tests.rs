//! The kernel against multiplication bit by bit. Whole operations of keys are held against AWS-LC's in `crypto::rsa`.

use super::product::{LANES, Lanes, MASK, multiply};
use super::{Modulus, Multiply, Number, VECTORS};
use crate::kernel::constant_time::{leaks, public, secret};
use crate::kernel::cpu;
use crate::kernel::numbers::Numbers;
use std::array::from_fn;

/// What the vectors do, on any processor. It knows nothing of a limb too large.
#[derive(Clone, Copy)]
struct Portable([u64; LANES]);

fn product(a: u64, b: u64) -> u128 {
    u128::from(a & MASK) * u128::from(b & MASK)
}

impl Lanes for Portable {
    fn splat(limb: u64) -> Self {
        Portable([limb; LANES])
    }

    fn load(from: &[u64; LANES]) -> Self {
        Portable(*from)
    }

    fn store(self, to: &mut [u64; LANES]) {
        *to = self.0;
    }

    fn add(self, other: Self) -> Self {
        Portable(from_fn(|i| self.0[i] + other.0[i]))
    }

    fn add_low(self, a: Self, b: Self) -> Self {
        Portable(from_fn(|i| self.0[i] + (product(a.0[i], b.0[i]) as u64 & MASK)))
    }

    fn add_high(self, a: Self, b: Self) -> Self {
        Portable(from_fn(|i| self.0[i] + (product(a.0[i], b.0[i]) >> 52) as u64))
    }

    fn down(self, above: Self) -> Self {
        Portable(from_fn(|i| if i + 1 < LANES { self.0[i + 1] } else { above.0[0] }))
    }

    fn first(self) -> u64 {
        self.0[0]
    }
}

fn portable(modulus: &Modulus, a: &Number, b: &Number) -> Number {
    multiply::<Portable, VECTORS>(modulus, a, b)
}

/// `a + b` modulo `n`, most significant byte first.
fn sum(a: &[u8], b: &[u8], n: &[u8]) -> Vec<u8> {
    let (mut sum, mut carry) = (vec![0; n.len()], 0);
    for at in (0..n.len()).rev() {
        carry += u32::from(a[at]) + u32::from(b[at]);
        (sum[at], carry) = (carry as u8, carry >> 8);
    }
    let (mut less, mut borrow) = (vec![0; n.len()], 0);
    for at in (0..n.len()).rev() {
        let difference = i32::from(sum[at]) - i32::from(n[at]) - borrow;
        (less[at], borrow) = (difference as u8, i32::from(difference < 0));
    }
    if carry == 0 && borrow == 1 { sum } else { less }
}

/// `base`^`exponent` by additions.
fn plain(base: &[u8], exponent: u32, n: &[u8]) -> Vec<u8> {
    let times = |a: &[u8], b: &[u8]| {
        let bits = b.iter().flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1));
        bits.fold(vec![0; n.len()], |product, bit| {
            let doubled = sum(&product, &product, n);
            if bit == 1 { sum(&doubled, a, n) } else { doubled }
        })
    };
    (0..exponent.ilog2()).rev().fold(base.to_vec(), |power, at| {
        let square = times(&power, &power);
        if exponent >> at & 1 == 1 { times(&square, base) } else { square }
    })
}

fn less_one(number: &[u8]) -> Vec<u8> {
    let mut less = number.to_vec();
    *less.last_mut().unwrap() -= 1;
    less
}

/// Both ways, the processor's where it has one.
fn ways(modulus: &[u8]) -> impl Iterator<Item = Modulus> {
    let portable: Multiply = portable;
    [Some(Modulus::by(portable, modulus)), Modulus::new(modulus)].into_iter().flatten()
}

/// Odd, and with so many bits.
fn modulus(bits: usize, numbers: &mut Numbers) -> Vec<u8> {
    let mut modulus = numbers.bytes(bits.div_ceil(8));
    let top = (bits - 1) % 8;
    modulus[0] = modulus[0] & ((1 << top) - 1) | 1 << top;
    *modulus.last_mut().unwrap() |= 1;
    modulus
}

#[test]
fn powers_are_as_by_addition() {
    let mut numbers = Numbers::new(1);
    let sizes = [17, 50, 51, 103, 416, 1024, 1246, 1247, 2048, 2078, 2079, 3072, 3326, 3327, 4095, 4096];
    for bits in sizes {
        let mut moduli = vec![modulus(bits, &mut numbers), vec![0xFF; bits / 8]];
        // The least of its length: limbs of zeros.
        moduli.push([&[1][..], &vec![0; bits / 8 - 1], &[1]].concat());
        for n in moduli.iter().filter(|n| super::bits(n) <= 4096) {
            let mut random = numbers.bytes(n.len());
            random[0] = 0;
            let mut one = vec![0; n.len()];
            *one.last_mut().unwrap() = 1;
            for (base, exponent) in [(&random, 1), (&random, 3), (&random, 13), (&less_one(n), 6), (&one, 5)]
            {
                let expected = plain(base, exponent, n);
                for way in ways(n) {
                    let mut out = vec![0xA5; n.len()];
                    assert!(way.power(base, &exponent.to_be_bytes(), &mut out));
                    assert_eq!(out, expected, "{n:x?}, {base:x?} to the {exponent}");
                }
            }
        }
    }
}

#[test]
fn the_processors_way_is_the_portable_one() {
    let mut numbers = Numbers::new(2);
    let rounds = if std::env::var_os("COFFER_LONG").is_some() { 20_000 } else { 400 };
    for round in 0..rounds {
        let n = modulus(1024 + numbers.below(3073), &mut numbers);
        let mut base = numbers.bytes(n.len());
        base[0] = 0;
        // Runs of ones and of zeros are where carries go far.
        for byte in base.iter_mut().skip(1).filter(|_| round % 3 > 0) {
            *byte = if *byte < 0x80 { 0 } else { 0xFF };
        }
        let outs = ways(&n).map(|way| {
            let mut out = vec![0; n.len()];
            assert!(way.power(&base, &[1, 0, 1], &mut out));
            out
        });
        let outs: Vec<_> = outs.collect();
        assert!(outs.iter().all(|out| *out == outs[0]), "{n:x?} {base:x?}");
    }
}

#[test]
fn what_is_not_below_the_modulus_is_refused() {
    let n = modulus(2047, &mut Numbers::new(3));
    let mut above = n.clone();
    *above.last_mut().unwrap() += 1;
    for way in ways(&n) {
        let mut out = vec![0; n.len()];
        for base in [&n, &above, &vec![0xFF; n.len()]] {
            assert!(!way.power(base, &[3], &mut out));
        }
        assert!(out.iter().all(|byte| *byte == 0));
        assert!(way.power(&less_one(&n), &[3], &mut out));
        assert_eq!(out, less_one(&n));
    }
}

#[test]
fn other_processors_and_longer_numbers_have_none() {
    let n = modulus(4158, &mut Numbers::new(4));
    assert!(cpu::without(&["ifma"], || Modulus::new(&n)).is_none());
    assert!(Modulus::new(&modulus(4159, &mut Numbers::new(5))).is_none());
    let has = cpu::features();
    assert_eq!(Modulus::new(&n).is_some(), has.avx512 && has.ifma);
}

#[test]
fn constant_time() {
    let mut numbers = Numbers::new(6);
    let n = modulus(2048, &mut numbers);
    let way = Modulus::by(portable, &n);
    let mut base = numbers.bytes(n.len());
    secret(&mut base);
    let mut out = vec![0; n.len()];
    let found = leaks(|| {
        let base = way.reduced(&Number::from_bytes(&base)).0;
        way.raised(&base, &[1, 0, 1]).write(&mut out);
    });
    public(&mut out);
    assert!(found.is_none_or(|found| found == 0), "{found:?}");
}
