//! The ladder and its parts against RFC 7748 and arithmetic a bit at a time. The kernel is held against AWS-LC's in
//! `crypto::montgomery`.

use super::field::{FACTOR, Factor, MASK, P, PRODUCT, SQUARE, SUM, Sum};
use super::inverse::inverted;
use super::portable::Numbers;
use super::single::Element;
use super::{Agree, agree, ladder};
use crate::kernel::constant_time::{leaks, public, secret};
use crate::kernel::cpu;
use crate::kernel::numbers::Numbers as Random;

/// The ladder with its bounds checked, and as this processor has it.
fn ways() -> impl Iterator<Item = Agree> {
    [ladder::agree::<Numbers<true>> as Agree].into_iter().chain(agree())
}

fn product(agree: Agree, scalar: &[u8; 32], point: &[u8; 32]) -> [u8; 32] {
    let mut shared = [0; 32];
    agree(&mut shared, scalar, point);
    shared
}

/// A number modulo the prime, in words.
type Number = [u64; 4];

/// The prime.
const PRIME: Number = [u64::MAX - 18, u64::MAX, u64::MAX, u64::MAX >> 1];

fn below_prime(number: Number) -> Number {
    let mut borrow = 0;
    let mut less = [0; 4];
    for i in 0..4 {
        let difference = i128::from(number[i]) - i128::from(PRIME[i]) + borrow;
        (less[i], borrow) = (difference as u64, difference >> 64);
    }
    if borrow < 0 { number } else { below_prime(less) }
}

fn plus(a: Number, b: Number) -> Number {
    let mut carry = 0;
    let mut sum = [0; 4];
    for i in 0..4 {
        carry += u128::from(a[i]) + u128::from(b[i]);
        (sum[i], carry) = (carry as u64, carry >> 64);
    }
    below_prime(sum)
}

/// By doubling and adding, from the last word of `b`.
fn times(a: Number, b: Number) -> Number {
    let bits = (0..256).rev().map(|bit| b[bit / 64] >> (bit % 64) & 1);
    bits.fold([0; 4], |sum, bit| plus(plus(sum, sum), if bit == 1 { a } else { [0; 4] }))
}

fn minus(a: Number, b: Number) -> Number {
    plus(a, times(b, [PRIME[0] - 1, PRIME[1], PRIME[2], PRIME[3]]))
}

/// The power with the exponent p - 2.
fn inverse(a: Number) -> Number {
    let exponent = [PRIME[0] - 2, PRIME[1], PRIME[2], PRIME[3]];
    let bits = (0..255).rev().map(|bit| exponent[bit / 64] >> (bit % 64) & 1);
    bits.fold([1, 0, 0, 0], |power, bit| {
        let square = times(power, power);
        if bit == 1 { times(square, a) } else { square }
    })
}

/// What limbs of any size are.
fn number(limbs: &[u64; 5]) -> Number {
    let radix = [1 << 51, 0, 0, 0];
    limbs.iter().rev().fold([0; 4], |sum, limb| plus(times(sum, radix), [*limb, 0, 0, 0]))
}

fn words(bytes: &[u8; 32]) -> Number {
    std::array::from_fn(|i| u64::from_le_bytes(bytes[8 * i..8 * i + 8].try_into().unwrap()))
}

/// RFC 7748, section 5, as it is written.
fn by_the_rfc(scalar: &[u8; 32], point: &[u8; 32]) -> [u8; 32] {
    let (mut scalar, mut point) = (*scalar, *point);
    scalar[0] &= 248;
    scalar[31] = scalar[31] & 127 | 64;
    point[31] &= 127;
    let (k, x_1) = (words(&scalar), below_prime(words(&point)));
    let (mut x_2, mut z_2, mut x_3, mut z_3) = ([1, 0, 0, 0], [0; 4], x_1, [1, 0, 0, 0]);
    let mut swap = 0;
    for t in (0..255).rev() {
        let k_t = k[t / 64] >> (t % 64) & 1;
        if swap != k_t {
            (x_2, z_2, x_3, z_3) = (x_3, z_3, x_2, z_2);
        }
        swap = k_t;
        let (a, b) = (plus(x_2, z_2), minus(x_2, z_2));
        let (aa, bb) = (times(a, a), times(b, b));
        let e = minus(aa, bb);
        let (da, cb) = (times(minus(x_3, z_3), a), times(plus(x_3, z_3), b));
        let (sum, difference) = (plus(da, cb), minus(da, cb));
        x_3 = times(sum, sum);
        z_3 = times(x_1, times(difference, difference));
        x_2 = times(aa, bb);
        z_2 = times(e, plus(aa, times(e, [121_665, 0, 0, 0])));
    }
    let found = times(x_2, inverse(z_2));
    std::array::from_fn(|i| found[i / 8].to_le_bytes()[i % 8])
}

fn bytes(hexadecimal: &str) -> [u8; 32] {
    hex::decode(hexadecimal).unwrap().try_into().unwrap()
}

#[test]
fn products_are_as_published() {
    for agree in ways() {
        for (scalar, point, expected) in [
            (
                "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
                "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
                "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
            ),
            (
                "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
                "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
                "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
            ),
        ] {
            assert_eq!(product(agree, &bytes(scalar), &bytes(point)), bytes(expected));
        }
    }
}

/// Section 5.2, the second kind of test; its million with COFFER_LONG=1.
#[test]
fn products_of_products_are_as_published() {
    let Some(agree) = ways().last() else { return };
    let long = std::env::var_os("COFFER_LONG").is_some();
    let (mut scalar, mut point) = ([0; 32], [0; 32]);
    (scalar[0], point[0]) = (9, 9);
    for round in 1..=if long { 1_000_000 } else { 1000 } {
        (scalar, point) = (product(agree, &scalar, &point), scalar);
        let expected = match round {
            1 => "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079",
            1000 => "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51",
            1_000_000 => "7c3911e0ab2586fd864497297e575e6f3bc601c0883c30df5f4dd2d24f665424",
            _ => continue,
        };
        assert_eq!(scalar, bytes(expected), "round {round}");
    }
}

#[test]
fn points_and_scalars_at_the_edges_and_between() {
    let mut random = Random::new(5);
    let mut any = || -> [u8; 32] { random.bytes(32).try_into().unwrap() };
    let small = |last: u8, first: u8| {
        std::array::from_fn(|i| [first, 0, last][usize::from(i > 0) + usize::from(i == 31)])
    };
    let top = |first: u8, last: u8| {
        std::array::from_fn(|i| [first, 255, last][usize::from(i > 0) + usize::from(i == 31)])
    };
    let mut points: Vec<[u8; 32]> = vec![
        small(0, 0),
        small(0, 1),
        small(0, 2),
        small(128, 9),
        // p - 1, p, p + 1, and the largest with the bit that is left out and without.
        top(236, 127),
        top(237, 127),
        top(238, 127),
        top(255, 127),
        top(255, 255),
        // Of order 8.
        bytes("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
        bytes("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    ];
    let mut scalars: Vec<[u8; 32]> = vec![[0; 32], [255; 32], [0x55; 32], [0xAA; 32]];
    scalars.extend([3, 7, 100, 254].map(|bit| std::array::from_fn(|i| u8::from(i == bit / 8) << (bit % 8))));
    for _ in 0..4 {
        points.push(any());
        scalars.push(any());
    }
    for point in &points {
        for scalar in &scalars {
            let expected = by_the_rfc(scalar, point);
            for agree in ways() {
                assert_eq!(product(agree, scalar, point), expected, "{scalar:x?} {point:x?}");
            }
        }
    }
}

#[test]
fn products_and_squares_of_the_largest_limbs() {
    const LARGEST: u64 = FACTOR - 1;
    let mut random = Random::new(6);
    for case in 0..200 {
        let mut element = || -> [u64; 5] {
            std::array::from_fn(|_| match (case, random.below(4)) {
                (0, _) => LARGEST,
                (_, 0) => [0, 1, MASK, MASK + 1][random.below(4)],
                (_, 1) => LARGEST - random.next_number() % 4,
                _ => random.next_number() % LARGEST,
            })
        };
        let (a, b): ([_; 4], [_; 4]) =
            (std::array::from_fn(|_| element()), std::array::from_fn(|_| element()));
        let [factor, other] = [a, b].map(|of| Factor(Sum::<Numbers<true>>::new(of).0));
        let (products, squares) = (factor.times(&other), factor.squared());
        for lane in 0..4 {
            let limbs = |of: &[Numbers<true>; 5]| of.map(|row| lane_of(row, lane));
            for (sum, b, most) in [(&products, &b[lane], PRODUCT), (&squares, &a[lane], SQUARE)] {
                let expected = times(number(&a[lane]), number(b));
                assert!(limbs(&sum.0).iter().all(|limb| *limb < most));
                assert_eq!(number(&limbs(&sum.0)), expected, "{a:x?} {b:x?}");
                assert!(limbs(&sum.carried().0).iter().all(|limb| *limb <= LARGEST));
                assert_eq!(number(&limbs(&sum.carried().0)), expected);
            }
            let single = Element(a[lane]).times(&Element(b[lane]));
            assert_eq!(single.words(), times(number(&a[lane]), number(&b[lane])));
        }
    }
    let most = Sum::<Numbers<true>>::new([[SUM - 1; 5]; 4]);
    let carried = most.carried().0.map(|row| lane_of(row, 0));
    assert!(carried.iter().all(|limb| *limb <= LARGEST));
    assert_eq!(number(&carried), number(&[SUM - 1; 5]));
}

fn lane_of(row: Numbers<true>, lane: usize) -> u64 {
    use super::lanes::Lanes;
    row.store()[lane]
}

#[test]
fn inverses_and_whole_numbers() {
    let mut random = Random::new(7);
    let mut numbers =
        vec![[0; 4], [1, 0, 0, 0], [2, 0, 0, 0], [19, 0, 0, 0], [PRIME[0] - 1, PRIME[1], PRIME[2], PRIME[3]]];
    numbers
        .extend((0..255).map(|bit| std::array::from_fn(|i| if i == bit / 64 { 1 << (bit % 64) } else { 0 })));
    numbers.extend((0..200).map(|_| below_prime(std::array::from_fn(|_| random.next_number()))));
    for number in numbers {
        let expected = if number == [0; 4] { [0; 4] } else { [1, 0, 0, 0] };
        assert_eq!(times(number, inverted(&number)), expected, "{number:x?}");
        assert!(number == [0; 4] || inverted(&inverted(&number)) == number);
        assert_eq!(Element::new(&number).words(), number);
    }
    let [p0, p1, p2, p3, p4] = P;
    for limbs in [
        P,
        [p0 + 1, p1, p2, p3, p4],
        [MASK; 5],
        [(1 << 54) - 1; 5],
        [p0 - 1, p1, p2, p3, p4],
        [0, 0, 0, 0, 1 << 53],
    ] {
        assert_eq!(Element(limbs).words(), number(&limbs), "{limbs:x?}");
    }
}

#[test]
fn constant_time() {
    let (mut scalar, mut point, mut shared) = ([0x5A; 32], [0x77; 32], [0; 32]);
    secret(&mut scalar);
    secret(&mut point);
    let found = leaks(|| ladder::agree::<Numbers<false>>(&mut shared, &scalar, &point));
    public(&mut shared);
    assert!(found.is_none_or(|found| found == 0), "{found:?}");
}

#[test]
fn a_processor_without_ifma_has_no_way() {
    cpu::without(&["ifma"], || assert!(agree().is_none()));
}
