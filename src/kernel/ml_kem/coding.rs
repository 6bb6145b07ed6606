//! Polynomials to bytes and back (FIPS 203, section 4.2.1).

use super::ring::{N, Poly};
use super::vector::Q;
use std::array::from_fn;

/// Bytes of a polynomial of 12 bits a coefficient.
pub(super) const ENCODED: usize = N * 12 / 8;

/// `Compress` of 1 to 11 bits (section 4.2.1) of a number below q.
///
/// 2^32 / q is rounded up to a whole number, which makes the product too large by 1976 at most; half of that is taken away.
/// The test goes through all numbers.
#[inline(always)]
const fn compress<const BITS: u32>(number: i16) -> u16 {
    let product = (number as u32).wrapping_mul(u32::MAX / Q as u32 + 1);
    (product.wrapping_add((1 << (31 - BITS)) - 1000) >> (32 - BITS)) as u16
}

/// `Decompress`.
#[inline(always)]
const fn decompress<const BITS: u32>(number: u16) -> i16 {
    ((number as u32 * Q as u32 + (1 << (BITS - 1))) >> BITS) as i16
}

/// `ByteEncode` of `Compress` of 4, 5, 10 or 11 bits: a polynomial from 0 to q - 1 to `BITS * 32` bytes.
#[inline(always)]
pub(super) fn pack<const BITS: u32>(poly: &Poly, to: &mut [u8]) {
    let mut numbers = [0; N];
    for (number, &coefficient) in numbers.iter_mut().zip(poly.coefficients()) {
        *number = compress::<BITS>(coefficient);
    }
    // Eight numbers are `BITS` bytes.
    for (eight, to) in numbers.as_chunks::<8>().0.iter().zip(to.chunks_exact_mut(BITS as usize)) {
        let half =
            |from: usize| (0..4).fold(0, |bits, i| bits | u64::from(eight[from + i]) << (BITS * i as u32));
        let bits = u128::from(half(0)) | u128::from(half(4)) << (4 * BITS);
        to.copy_from_slice(&bits.to_le_bytes()[..BITS as usize]);
    }
}

/// The inverse of `pack`, as near as it comes.
#[inline(always)]
pub(super) fn unpack<const BITS: u32>(from: &[u8], poly: &mut Poly) {
    let mut numbers = [0; N];
    for (eight, from) in numbers.as_chunks_mut::<8>().0.iter_mut().zip(from.chunks_exact(BITS as usize)) {
        let mut bytes = [0; 16];
        bytes[..BITS as usize].copy_from_slice(from);
        let bits = u128::from_le_bytes(bytes);
        *eight = from_fn(|i| (bits >> (BITS * i as u32)) as u16 & ((1 << BITS) - 1));
    }
    for (coefficient, number) in poly.coefficients_mut().iter_mut().zip(numbers) {
        *coefficient = decompress::<BITS>(number);
    }
}

/// A message's bits (`Decompress` of one bit): 0 or 1665 each.
#[inline(always)]
pub(super) fn of_message(message: &[u8; 32], poly: &mut Poly) {
    for (eight, byte) in poly.coefficients_mut().as_chunks_mut::<8>().0.iter_mut().zip(message) {
        *eight = from_fn(|i| -i16::from(byte >> i & 1) & decompress::<1>(1));
    }
}

/// The nearest message (`Compress` to one bit) of a polynomial from 0 to q - 1.
#[inline(always)]
pub(super) fn to_message(poly: &Poly) -> [u8; 32] {
    let (eights, _) = poly.coefficients().as_chunks::<8>();
    from_fn(|i| (0..8).fold(0, |byte, bit| byte | (compress::<1>(eights[i][bit]) as u8) << bit))
}

/// `ByteDecode` of 12 bits; the numbers are below 4096.
#[inline(always)]
pub(super) fn decode(from: &[u8; ENCODED], poly: &mut Poly) {
    for (two, &[low, middle, high]) in
        poly.coefficients_mut().as_chunks_mut::<2>().0.iter_mut().zip(from.as_chunks().0)
    {
        let (low, middle, high) = (i16::from(low), i16::from(middle), i16::from(high));
        *two = [low | (middle & 15) << 8, middle >> 4 | high << 4];
    }
}
