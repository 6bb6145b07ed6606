//! Polynomials modulo X^256 + 1 over the integers modulo q, and the number-theoretic transform (FIPS 203, section 4.3).
//!
//! **Order.** The transform works on eight vectors of neighbours. Its first three layers combine whole vectors, the other
//! four combine groups within two of them; before each of these `part` brings the groups that meet into the same lanes of
//! two vectors. The pairs that the transform ends with lie in another order than the standard's, and stay so:
//! [`Poly::ordered`] brings what comes from outside into it, and products are of lanes with lanes.
//!
//! **Sizes.** Numbers are signed and not fully reduced. Each layer of the transform adds to its input at most 2497, so
//! from up to q it stays below 20,808. The inverse adds two numbers in each layer; it begins with 2617 at most, reduces
//! the sums in its third and sixth layer, and is nowhere above 20,936.

use super::vector::{Factor, LANES, Q, Vector};

/// Coefficients of a polynomial.
pub(super) const N: usize = 256;

/// Vectors of a polynomial.
pub(super) const VECTORS: usize = N / LANES;

/// A polynomial, or its transform.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Poly([[i16; LANES]; VECTORS]);

/// A transform, as what other transforms are multiplied with: each pair (y0, y1) as (y0, gamma y1) and as (y1, y0), where
/// the pair is modulo X^2 - gamma. The products with a pair (b0, b1), summed, are then the product's two coefficients.
#[derive(Clone, Copy)]
pub(super) struct Multiplier {
    straight: Poly,
    crossed: Poly,
}

impl Multiplier {
    pub const ZERO: Multiplier = Multiplier { straight: Poly::ZERO, crossed: Poly::ZERO };
}

/// 17, a root of order 256, to the power of the seven bits of `k` reversed, or its inverse.
const fn zeta(k: usize, inverse: bool) -> Factor<i16> {
    let mut power = (k as u8).reverse_bits() as usize >> 1;
    if inverse {
        power = (256 - power) % 256;
    }
    let (mut number, mut i) = (1, 0);
    while i < power {
        number = number * 17 % Q as i64;
        i += 1;
    }
    Factor::new(number)
}

/// For the layers that combine whole vectors.
const ZETAS: [[Factor<i16>; 8]; 2] = {
    let mut zetas = [[zeta(0, false); 8]; 2];
    let mut k = 1;
    while k < 8 {
        zetas[0][k] = zeta(k, false);
        zetas[1][k] = zeta(k, true);
        k += 1;
    }
    zetas
};

/// For the layers within two vectors, of groups of 16, 8, 4 and 2: what each lane is multiplied with, for each two vectors.
#[repr(C, align(64))]
struct Lanes {
    high: [[[i16; LANES]; 4]; 4],
    low: [[[i16; LANES]; 4]; 4],
}

static FORWARD: Lanes = lanes(false);
static INVERSE: Lanes = lanes(true);

const fn lanes(inverse: bool) -> Lanes {
    let mut lanes = Lanes { high: [[[0; LANES]; 4]; 4], low: [[[0; LANES]; 4]; 4] };
    let mut two = 0;
    while two < 4 {
        // Which coefficient each of the 64 lanes holds.
        let mut holds = [0; 2 * LANES];
        let mut lane = 0;
        while lane < 2 * LANES {
            holds[lane] = 2 * LANES * two + lane;
            lane += 1;
        }
        let mut layer = 0;
        while layer < 4 {
            let len = 16 >> layer;
            let before = holds;
            let mut group = 0;
            while group < LANES / len {
                let mut i = 0;
                while i < len {
                    holds[group * len + i] = before[2 * group * len + i];
                    holds[LANES + group * len + i] = before[(2 * group + 1) * len + i];
                    i += 1;
                }
                group += 1;
            }
            let mut lane = 0;
            while lane < LANES {
                let factor = zeta(N / 2 / len + holds[lane] / (2 * len), inverse);
                lanes.high[layer][two][lane] = factor.high;
                lanes.low[layer][two][lane] = factor.low;
                lane += 1;
            }
            layer += 1;
        }
        two += 1;
    }
    lanes
}

impl Lanes {
    #[inline(always)]
    fn factor<V: Vector>(&self, layer: usize, two: usize) -> Factor<V> {
        Factor { high: V::load(&self.high[layer][two]), low: V::load(&self.low[layer][two]) }
    }
}

#[inline(always)]
fn splat<V: Vector>(factor: Factor<i16>) -> Factor<V> {
    Factor { high: V::splat(factor.high), low: V::splat(factor.low) }
}

impl Poly {
    pub const ZERO: Poly = Poly([[0; LANES]; VECTORS]);

    #[inline(always)]
    pub fn coefficients(&self) -> &[i16; N] {
        self.0.as_flattened().try_into().expect("so many")
    }

    #[inline(always)]
    pub fn coefficients_mut(&mut self) -> &mut [i16; N] {
        self.0.as_flattened_mut().try_into().expect("so many")
    }

    #[inline(always)]
    fn vectors<V: Vector>(&self) -> [V; VECTORS] {
        let mut vectors = [V::splat(0); VECTORS];
        for (vector, from) in vectors.iter_mut().zip(&self.0) {
            *vector = V::load(from);
        }
        vectors
    }

    #[inline(always)]
    fn set<V: Vector>(&mut self, vectors: [V; VECTORS]) {
        for (to, vector) in self.0.iter_mut().zip(vectors) {
            vector.store(to);
        }
    }

    /// Vector `i` of it.
    #[inline(always)]
    pub fn vector<V: Vector>(&self, i: usize) -> V {
        V::load(&self.0[i])
    }

    #[inline(always)]
    pub fn set_vector<V: Vector>(&mut self, i: usize, vector: V) {
        vector.store(&mut self.0[i]);
    }

    /// A transform from the standard's order into that of this module.
    #[inline(always)]
    pub fn order<V: Vector>(&mut self) {
        let mut x = self.vectors::<V>();
        for [a, b] in x.as_chunks_mut().0 {
            (*a, *b) = a.part::<16>(*b);
            (*a, *b) = a.part::<8>(*b);
            (*a, *b) = a.part::<4>(*b);
            (*a, *b) = a.part::<2>(*b);
        }
        self.set(x);
    }

    /// Algorithm 9, of coefficients from -q to q, and then as a multiplier.
    #[inline(always)]
    pub fn transformed<V: Vector>(&self, to: &mut Multiplier) {
        let mut x = self.vectors::<V>();
        for (k, distance) in [(1, 4), (2, 2), (4, 1)] {
            for i in 0..VECTORS / 2 {
                let block = i / distance;
                let a = 2 * distance * block + i % distance;
                let product = x[a + distance].times(splat(ZETAS[0][k + block]));
                (x[a], x[a + distance]) = (x[a].add(product), x[a].sub(product));
            }
        }
        macro_rules! layer {
            ($layer:literal, $len:literal, $two:ident, $a:ident, $b:ident) => {
                let (even, odd) = $a.part::<$len>($b);
                let product = odd.times(FORWARD.factor($layer, $two));
                let ($a, $b) = (even.add(product), even.sub(product));
            };
        }
        for (two, &[a, b]) in x.as_chunks().0.iter().enumerate() {
            layer!(0, 16, two, a, b);
            layer!(1, 8, two, a, b);
            layer!(2, 4, two, a, b);
            layer!(3, 2, two, a, b);
            // The two halves of the last butterfly are modulo X^2 - gamma and X^2 + gamma.
            let gamma = FORWARD.factor::<V>(3, two);
            for (i, (vector, negated)) in [(a, false), (b, true)].into_iter().enumerate() {
                let vector = vector.reduced();
                let product = vector.times(gamma);
                let product = if negated { V::splat(0).sub(product) } else { product };
                vector.with_odd(product).store(&mut to.straight.0[2 * two + i]);
                vector.crossed().store(&mut to.crossed.0[2 * two + i]);
            }
        }
    }

    /// Algorithm 10 of the sum of products of transforms: coefficients from -q to q.
    #[inline(always)]
    pub fn of_products<V: Vector>(&mut self, row: &[Poly], column: &[Multiplier]) {
        let mut x = [V::splat(0); VECTORS];
        for (i, x) in x.iter_mut().enumerate() {
            let (mut even, mut odd) = (V::none(), V::none());
            for (factor, multiplier) in row.iter().zip(column) {
                let factor = factor.vector::<V>(i);
                even = V::dot(even, factor, multiplier.straight.vector(i));
                odd = V::dot(odd, factor, multiplier.crossed.vector(i));
            }
            *x = V::narrow(even, odd);
        }
        macro_rules! layer {
            ($layer:literal, $len:literal, $two:ident, $a:ident, $b:ident) => {
                let (sum, difference) = ($a.add($b), $a.sub($b));
                let sum = if $len == 8 { sum.reduced() } else { sum };
                let ($a, $b) = sum.join::<$len>(difference.times(INVERSE.factor($layer, $two)));
            };
        }
        for (two, pair) in x.as_chunks_mut().0.iter_mut().enumerate() {
            let [a, b] = *pair;
            layer!(3, 2, two, a, b);
            layer!(2, 4, two, a, b);
            layer!(1, 8, two, a, b);
            layer!(0, 16, two, a, b);
            *pair = [a, b];
        }
        for (k, distance) in [(4, 1), (2, 2), (1, 4)] {
            for i in 0..VECTORS / 2 {
                let block = i / distance;
                let a = 2 * distance * block + i % distance;
                let b = a + distance;
                let (sum, difference) = (x[a].add(x[b]), x[a].sub(x[b]));
                x[a] = if distance == 2 { sum.reduced() } else { sum };
                x[b] = difference.times(splat(ZETAS[1][k + block]));
            }
        }
        // 1/128 for the seven layers, and 2^16 for what the reduction of the products took.
        const LAST: Factor<i16> = Factor::new((1 << 16) % Q as i64 * inverse_of(128) % Q as i64);
        for x in &mut x {
            *x = x.times(splat(LAST));
        }
        self.set(x);
    }
}

/// Modulo q: number^(q-2).
const fn inverse_of(number: i64) -> i64 {
    let (mut result, mut i) = (1, 0);
    while i < Q - 2 {
        result = result * number % Q as i64;
        i += 1;
    }
    result
}
