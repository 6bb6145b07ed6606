//! Trial division of big numbers, many small primes at once and in time that depends on the answer only.
//!
//! A number x is divided by an odd s exactly, from its lowest 16-bit limb up (Jebelean's division): each step
//! chooses the quotient's limb that makes the lowest limb vanish, and carries the rest. What is left at the end
//! is 0 or s if s divides x. A step is two 16-bit multiplications, which SSE2 and NEON have for eight lanes and the
//! compiler makes of the plain loop (wider vectors were no faster); there is no division, no branch and no index
//! that depends on x.

/// How many primes are tried: with AWS-LC's exponentiation this many more cost what they save.
pub const COUNT: usize = 2048;

static PRIMES: [u16; COUNT] = primes();
/// Modulo 2^16.
static INVERSES: [u16; COUNT] = inverses();

/// The odd primes from 3 on.
const fn primes() -> [u16; COUNT] {
    const BOUND: usize = 18_000;
    let mut primes = [0; COUNT];
    let mut composite = [false; BOUND];
    let (mut found, mut n) = (0, 3);
    while found < COUNT {
        if !composite[n] {
            let mut multiple = n * n;
            while multiple < BOUND {
                composite[multiple] = true;
                multiple += 2 * n;
            }
            primes[found] = n as u16;
            found += 1;
        }
        n += 2;
    }
    primes
}

const fn inverses() -> [u16; COUNT] {
    let mut inverses = [0; COUNT];
    let mut i = 0;
    while i < COUNT {
        inverses[i] = inverse(PRIMES[i]);
        i += 1;
    }
    inverses
}

/// Of an odd number, modulo 2^16. Newton's iteration doubles the right bits, of which there are 3 at first.
const fn inverse(odd: u16) -> u16 {
    let (mut inverse, mut bits) = (odd, 3);
    while bits < u16::BITS {
        inverse = inverse.wrapping_mul(2u16.wrapping_sub(odd.wrapping_mul(inverse)));
        bits *= 2;
    }
    inverse
}

/// Primes tried between two looks at the result: eight registers of them, since each step waits for the last.
const LANES: usize = 64;

/// Whether one of the first [`COUNT`] odd primes divides the number of these limbs, little-endian like their
/// bytes. Time tells the length and, where the answer is yes, about how large the divisor is.
pub fn has_small_factor(limbs: &[[u8; 2]]) -> bool {
    let (primes, inverses) = (PRIMES.as_chunks::<LANES>().0, INVERSES.as_chunks::<LANES>().0);
    primes.iter().zip(inverses).any(|(primes, inverses)| {
        let mut carry = [0u16; LANES];
        for &limb in limbs {
            let limb = u16::from_le_bytes(limb);
            for lane in 0..LANES {
                let low = limb.wrapping_sub(carry[lane]);
                let quotient = low.wrapping_mul(inverses[lane]);
                let high = ((u32::from(quotient) * u32::from(primes[lane])) >> 16) as u16;
                carry[lane] = high + u16::from(limb < carry[lane]);
            }
        }
        let mut divides = false;
        for lane in 0..LANES {
            divides |= (carry[lane] == 0) | (carry[lane] == primes[lane]);
        }
        divides
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tried(limbs: &[u16]) -> bool {
        has_small_factor(&limbs.iter().map(|limb| limb.to_le_bytes()).collect::<Vec<_>>())
    }

    /// By the division everyone knows.
    fn divided(limbs: &[u16]) -> bool {
        PRIMES.iter().any(|&prime| {
            let rest =
                limbs.iter().rev().fold(0, |rest, &limb| (rest << 16 | u64::from(limb)) % u64::from(prime));
            rest == 0
        })
    }

    /// Reproducible: SplitMix64.
    struct Random(u64);

    impl Random {
        fn next(&mut self) -> u64 {
            self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
            mixed ^ mixed >> 31
        }

        fn limbs(&mut self, len: usize) -> Vec<u16> {
            (0..len).map(|_| self.next() as u16).collect()
        }
    }

    #[test]
    fn the_primes_are_the_first_odd_ones_and_the_inverses_theirs() {
        let by_division =
            (3u16..).step_by(2).filter(|n| (3..).take_while(|d| d * d <= *n).all(|d| n % d != 0));
        assert!(PRIMES.into_iter().eq(by_division.take(COUNT)));
        assert!(PRIMES.iter().zip(INVERSES).all(|(prime, inverse)| prime.wrapping_mul(inverse) == 1));
    }

    #[test]
    fn it_agrees_with_division() {
        let mut random = Random(1);
        let mut found = [0; 2];
        for round in 0..2000 {
            let mut limbs = random.limbs(1 + round % 40);
            limbs[0] |= 1;
            // Limbs of all zeros and all ones are where borrows are lost.
            for limb in limbs.iter_mut().skip(1) {
                match random.next() % 8 {
                    0 => *limb = 0,
                    1 => *limb = u16::MAX,
                    _ => {}
                }
            }
            let expected = divided(&limbs);
            assert_eq!(tried(&limbs), expected, "{limbs:x?}");
            found[usize::from(expected)] += 1;
        }
        assert!(found.iter().all(|&count| count > 100), "{found:?}");
    }

    #[test]
    fn every_prime_is_found_as_the_only_small_factor() {
        // 2^127 - 1 is prime.
        let mersenne = [[u16::MAX; 7].as_slice(), &[0x7FFF]].concat();
        assert!(!tried(&mersenne));
        for prime in PRIMES {
            let mut carry = 0u32;
            let mut product: Vec<u16> = Vec::new();
            for &limb in &mersenne {
                carry += u32::from(limb) * u32::from(prime);
                product.push(carry as u16);
                carry >>= 16;
            }
            product.push(carry as u16);
            assert!(tried(&product), "{prime}");
        }
    }

    /// What a search loses if one prime too many is refused: none of a stretch of numbers.
    #[test]
    fn a_stretch_of_numbers_is_sieved_as_by_eratosthenes() {
        const START: u64 = 1 << 40 | 1;
        const LEN: u64 = 4000;
        let mut composite = vec![false; LEN as usize];
        for prime in PRIMES.map(u64::from) {
            let first = (START.div_ceil(prime) * prime - START) as usize;
            composite.iter_mut().skip(first).step_by(prime as usize).for_each(|n| *n = true);
        }
        for (offset, &composite) in composite.iter().enumerate() {
            let n = START + offset as u64;
            let limbs: Vec<u16> = (0..4).map(|limb| (n >> (16 * limb)) as u16).collect();
            assert_eq!(tried(&limbs), composite, "{n}");
        }
    }
}
