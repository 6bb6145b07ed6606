//! Inverses modulo 2^255 - 19, in constant time.
//!
//! D. J. Bernstein and B.-Y. Yang, "Fast constant-time gcd computation and modular inversion" (2019): a division step makes
//! of an odd f and a g two numbers with the same divisors, by a counter and the last bit of g alone. So steps can be made
//! twenty at a time with the last twenty bits of both, and then, as a matrix, with all of them. With a counter that begins
//! at a half, 590 steps make g zero if both had 256 bits; f, their divisor, is then 1 or -1.
//!
//! Each f is a multiple of the number that is to be inverted, modulo the prime. What multiple, d tells, as e does of g: they
//! are multiplied by the same matrices.

/// A number in limbs of radix 2^62; the last one has the sign, and the others are from 0 to 2^62 - 1.
type Number = [i64; 5];

/// What some steps make of f, and of g: how much of f, and how much of g.
type Matrix = [[i64; 2]; 2];

const MASK: i64 = (1 << 62) - 1;

/// The prime. It is only multiplied, for which a limb may be negative.
const P: Number = [-19, 0, 0, 0, 1 << 7];

/// The prime's inverse modulo 2^62, by Newton's iteration.
const P_INVERSE: i64 = {
    let mut inverse = P[0];
    let mut bits = 3;
    while bits < 62 {
        inverse = inverse.wrapping_mul(2_i64.wrapping_sub(P[0].wrapping_mul(inverse)));
        bits *= 2;
    }
    inverse & MASK
};

/// Steps that are made with one word of f and of g.
const STEPS: u32 = 20;

/// The inverse of a number below the prime; zero of zero.
pub(super) fn inverted(w: &[u64; 4]) -> [u64; 4] {
    let limbs = [w[0], w[0] >> 62 | w[1] << 2, w[1] >> 60 | w[2] << 4, w[2] >> 58 | w[3] << 6, w[3] >> 56];
    let (mut f, mut g) = (P, limbs.map(|limb| limb as i64 & MASK));
    let (mut d, mut e) = ([0; 5], [1, 0, 0, 0, 0]);
    // The counter, negated and less a half.
    let mut counter = -1;
    for _ in 0..10 {
        let matrix = sixty(&mut counter, f[0], g[0]);
        apply(&matrix, &mut f, &mut g, [0; 2]);
        apply_modulo(&matrix, &mut d, &mut e);
    }
    // d is above -2 p and below p, and f is its sign.
    let mut inverse = plus_prime_if(d, d[4] >> 63);
    let sign = f[4] >> 63;
    inverse = carried(inverse.map(|limb| (limb ^ sign) - sign));
    inverse = carried(plus_prime_if(inverse, inverse[4] >> 63));
    let w = inverse.map(|limb| limb as u64);
    [w[0] | w[1] << 62, w[1] >> 2 | w[2] << 60, w[2] >> 4 | w[3] << 58, w[3] >> 6 | w[4] << 56]
}

/// Sixty steps with the lowest 62 bits of f and g: the matrix, times 2^62.
fn sixty(counter: &mut i64, mut f: i64, mut g: i64) -> Matrix {
    let mut matrix = [[4, 0], [0, 4]];
    for _ in 0..3 {
        let [[u, v], [q, r]] = twenty(counter, f, g);
        let sum = |u: i64, v: i64| u.wrapping_mul(f).wrapping_add(v.wrapping_mul(g)) >> STEPS;
        (f, g) = (sum(u, v), sum(q, r));
        matrix =
            [[u, v], [q, r]].map(|[u, v]| [0, 1].map(|column| u * matrix[0][column] + v * matrix[1][column]));
    }
    matrix
}

/// Twenty steps with the lowest twenty bits of f and g: the matrix, times 2^20.
///
/// What is done with f and g is done with their rows of the matrix, as these lie above them in the same word: -1 is 2^41 in
/// the first column and 2^62 in the second, both of which the steps halve as they do g. The numbers in a row are above -2^20
/// and at most 2^20, and so, negated, have 21 bits.
fn twenty(counter: &mut i64, f: i64, g: i64) -> Matrix {
    let low = (1 << STEPS) - 1;
    let (mut f, mut g) = ((f & low) - (1 << 41), (g & low) - (1 << 62));
    for _ in 0..STEPS {
        let negative = *counter >> 63;
        let odd = -(g & 1);
        let sum = g + (((f ^ negative) - negative) & odd);
        let swap = negative & odd;
        *counter = (*counter ^ swap) - 1;
        f ^= (f ^ g) & swap;
        g = sum >> 1;
    }
    // What is below a column is from -2^20 to 2^20 - 1.
    [f, g].map(|row| {
        let columns = (row + (1 << 20)) >> 21;
        [-(columns << 43 >> 43), -((columns + (1 << 20)) >> 21)]
    })
}

/// Multiplies by a matrix, after adding these multiples of the prime that make the products divisible by 2^62, and divides.
#[inline(always)]
fn apply(matrix: &Matrix, a: &mut Number, b: &mut Number, multiples: [i64; 2]) {
    let product = |a: i64, b: i64| i128::from(a) * i128::from(b);
    let mut sums = [0_i128; 2];
    for limb in 0..5 {
        for ((sum, [u, v]), multiple) in sums.iter_mut().zip(matrix).zip(multiples) {
            *sum += product(*u, a[limb]) + product(*v, b[limb]) + product(multiple, P[limb]);
        }
        if limb > 0 {
            (a[limb - 1], b[limb - 1]) = (sums[0] as i64 & MASK, sums[1] as i64 & MASK);
        }
        sums = sums.map(|sum| sum >> 62);
    }
    (a[4], b[4]) = (sums[0] as i64, sums[1] as i64);
}

/// The same modulo the prime, of numbers above -2 p and below p, which they stay.
#[inline(always)]
fn apply_modulo(matrix: &Matrix, d: &mut Number, e: &mut Number) {
    let (negative_d, negative_e) = (d[4] >> 63, e[4] >> 63);
    let multiples = matrix.map(|[u, v]| {
        let multiple = (u & negative_d) + (v & negative_e);
        let low = u.wrapping_mul(d[0]).wrapping_add(v.wrapping_mul(e[0]));
        multiple - (P_INVERSE.wrapping_mul(low).wrapping_add(multiple) & MASK)
    });
    apply(matrix, d, e, multiples);
}

fn plus_prime_if(mut number: Number, mask: i64) -> Number {
    number[0] += P[0] & mask;
    number[4] += P[4] & mask;
    number
}

fn carried(mut number: Number) -> Number {
    for limb in 0..4 {
        number[limb + 1] += number[limb] >> 62;
        number[limb] &= MASK;
    }
    number
}
