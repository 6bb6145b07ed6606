//! Generated keys, judged by AWS-LC and by the standard's bounds.

use super::super::owned::{Number, Owned};
use super::arithmetic::Arithmetic;
use super::exponent::Exponent;
use super::primes::Search;
use super::{Parts, Primes, PrivateKey};
use crate::crypto::Secret;
use crate::error::Rv;
use aws_lc_sys as ffi;
use std::ptr;
use std::time::{Duration, Instant};

fn number(secret: &Secret) -> Number {
    Number::from_bytes(secret.expose()).unwrap()
}

/// By AWS-LC's own test, with as many rounds as it takes for numbers from strangers.
fn is_prime(number: &Number) -> bool {
    let mut answer = 0;
    let rounds = ffi::BN_prime_checks_for_validation as i32;
    // SAFETY: a valid number.
    let done = unsafe {
        ffi::BN_primality_test(&mut answer, number.as_ptr(), rounds, ptr::null_mut(), 0, ptr::null_mut())
    };
    assert_eq!(done, 1);
    answer == 1
}

/// `first^2` and `second` compared where both are about as long.
fn square_is_above(a: &Number, power_of_two: usize) -> bool {
    let arithmetic = Arithmetic::new().unwrap();
    arithmetic.product(a, a).unwrap().bits() > power_of_two
}

fn judge(key: &PrivateKey, bits: usize, exponent: &[u8]) {
    let arithmetic = Arithmetic::new().unwrap();
    assert_eq!((key.bits(), key.exponent().as_slice()), (bits, exponent));
    let (p, q) = (number(&key.prime_1()), number(&key.prime_2()));
    assert!(is_prime(&p) && is_prime(&q) && q.is_below(&p));
    for prime in [&p, &q] {
        // The root of 2 times 2^(bits / 2 - 1) is where the square has all bits of the modulus.
        assert!(prime.bits() == bits / 2 && square_is_above(prime, bits - 1));
    }
    assert!(arithmetic.difference(&p, &q).unwrap().bits() > bits / 2 - 100);
    let d = number(&key.private_exponent());
    assert!(d.bits() > bits / 2);
    let (p, q) = (arithmetic.less_one(&p).unwrap(), arithmetic.less_one(&q).unwrap());
    let common = arithmetic.gcd(&p, &q).unwrap();
    let euler = arithmetic.product(&p, &q).unwrap();
    // Below the least common multiple.
    assert!(arithmetic.product(&d, &common).unwrap().is_below(&euler));
    if exponent.len() > 2 {
        let again = parsed(key).unwrap();
        // SAFETY: a valid key.
        assert_eq!(unsafe { ffi::RSA_check_fips(again.public.0.as_ptr()) }, 1);
    }
}

/// The key from its components: a fresh object, so that nothing is taken from the one that was made with it.
fn parsed(key: &PrivateKey) -> crate::error::Result<PrivateKey> {
    let (d, p, q) = (key.private_exponent(), key.prime_1(), key.prime_2());
    let (dp, dq, qi) = (key.exponent_1(), key.exponent_2(), key.coefficient());
    PrivateKey::new(&Parts {
        modulus: &key.modulus(),
        public_exponent: &key.exponent(),
        private_exponent: d.expose(),
        prime_1: p.expose(),
        prime_2: q.expose(),
        exponent_1: dp.expose(),
        exponent_2: dq.expose(),
        coefficient: qi.expose(),
    })
}

#[test]
fn keys_of_both_kinds_are_whole() {
    for primes in [Primes::Random, Primes::Conditioned] {
        for (bits, exponent) in [
            (2048, [1, 0, 1].as_slice()),
            (2048, &[3]),
            (2048, &[0xFF; 8]),
            (2048, &[0xFF; 32]),
            (2176, &[1, 0, 1]),
            (3072, &[1, 0, 1]),
        ] {
            judge(&PrivateKey::generate(bits, exponent, primes).unwrap(), bits, exponent);
        }
    }
}

#[test]
fn sizes_and_exponents_out_of_range_are_refused() {
    for bits in [0, 128, 1024, 1920, 2049, 2112, 8320, usize::MAX - 127] {
        let refused = PrivateKey::generate(bits, &[1, 0, 1], Primes::Random).err().unwrap();
        assert_eq!(refused.rv(), Rv::KeySizeRange, "{bits}");
    }
    for exponent in [&[][..], &[0], &[1], &[2], &[1, 0, 0], &[1; 33]] {
        let refused = PrivateKey::generate(2048, exponent, Primes::Random).err().unwrap();
        assert_eq!(refused.rv(), Rv::AttributeValueInvalid, "{exponent:?}");
    }
}

#[test]
fn small_primes_are_prime_spread_evenly_and_suit_the_exponent() {
    const BITS: usize = 256;
    const COUNT: usize = if cfg!(debug_assertions) { 300 } else { 5000 };
    let arithmetic = Arithmetic::new().unwrap();
    let exponent = Exponent::new(&[3], &arithmetic).unwrap();
    let mut search = Search::new(BITS, &exponent, &arithmetic);
    // By the first byte, in fifths of its 75 values, and by the remainder of division by 8.
    let (mut tops, mut eighths) = ([0; 5], [0; 8]);
    for _ in 0..COUNT {
        let prime = search.random().unwrap();
        assert!(is_prime(&prime) && prime.bits() == BITS && square_is_above(&prime, 2 * BITS - 1));
        assert!(exponent.is_prime_to(&arithmetic.less_one(&prime).unwrap(), &arithmetic).unwrap());
        let mut bytes = [0; BITS / 8];
        // SAFETY: a valid number, which has room.
        assert_eq!(unsafe { ffi::BN_bn2bin_padded(bytes.as_mut_ptr(), bytes.len(), prime.as_ptr()) }, 1);
        tops[usize::from((bytes[0] - 0xB5) / 15)] += 1;
        eighths[usize::from(bytes[BITS / 8 - 1] % 8)] += 1;
    }
    // Within six standard deviations: out of it once in 10^8.
    let even = |counts: &[usize]| {
        let expected = (COUNT / counts.len()) as f64;
        counts.iter().all(|&count| (count as f64 - expected).abs() < 6.0 * expected.sqrt())
    };
    let odd = [1, 3, 5, 7].map(|residue: usize| eighths[residue]);
    assert!(even(&tops) && even(&odd) && odd.iter().sum::<usize>() == COUNT, "{tops:?} {eighths:?}");
}

#[test]
fn conditioned_primes_are_the_first_of_their_row() {
    let arithmetic = Arithmetic::new().unwrap();
    let exponent = Exponent::new(&[1, 0, 1], &arithmetic).unwrap();
    let mut search = Search::new(512, &exponent, &arithmetic);
    for _ in 0..20 {
        let auxiliaries = search.auxiliaries().unwrap();
        let found = search.conditioned(&auxiliaries).unwrap();
        assert!(is_prime(&found.prime) && found.prime.bits() == 512);
        let [p1, p2] = &auxiliaries;
        assert!(is_prime(p1) && is_prime(p2) && p1.bits() > 200 && p2.bits() > 200);
        let divides = |a: &Number, b: &Number| arithmetic.modulo(b, a).unwrap().bits() == 0;
        assert!(divides(p1, &arithmetic.less_one(&found.prime).unwrap()));
        assert!(divides(p2, &arithmetic.plus(&found.prime, 1).unwrap()));
        // Back to the random number in steps of 2 p1 p2: no prime was passed over.
        let step = arithmetic.product(&arithmetic.sum(p1, p1).unwrap(), p2).unwrap();
        let mut earlier = found.prime;
        while !earlier.is_below(&arithmetic.sum(&found.random, &step).unwrap()) {
            earlier = arithmetic.difference(&earlier, &step).unwrap();
            let suits = arithmetic.less_one(&earlier).and_then(|n| exponent.is_prime_to(&n, &arithmetic));
            assert!(!is_prime(&earlier) || !suits.unwrap());
        }
        assert!(!earlier.is_below(&found.random));
    }
}

#[test]
fn a_composite_for_a_prime_is_seen_at_import() {
    // The Carmichael number 101 * 5101 * 515201 in p's place would make a key that works: all relations hold.
    let arithmetic = Arithmetic::new().unwrap();
    let key = PrivateKey::generate(2048, &[1, 0, 1], Primes::Random).unwrap();
    assert!(key.primes_are_prime().unwrap());
    let carmichael = Number::from_bytes(&(101u64 * 5101 * 515_201).to_be_bytes()).unwrap();
    let e = Exponent::new(&[1, 0, 1], &arithmetic).unwrap();
    let q = number(&key.prime_1());
    let (less_one, q_less_one) =
        (arithmetic.less_one(&carmichael).unwrap(), arithmetic.less_one(&q).unwrap());
    let modulus = arithmetic.product(&carmichael, &q).unwrap();
    let d = e.inverse_modulo(&arithmetic.product(&less_one, &q_less_one).unwrap(), &arithmetic).unwrap();
    // SAFETY: valid numbers.
    let [modulus, d, p, q] =
        [&modulus, &d, &carmichael, &q].map(|n| unsafe { super::super::owned::secret_bytes(n.as_ptr()) });
    let parts = Parts {
        modulus: modulus.expose(),
        public_exponent: &[1, 0, 1],
        private_exponent: d.expose(),
        prime_1: p.expose(),
        prime_2: q.expose(),
        ..Parts::default()
    };
    assert!(!PrivateKey::new(&parts).unwrap().primes_are_prime().unwrap());
}

/// The best of many windows of each in turn, as the machine is shared. `COFFER_KEYS` says how many keys.
#[test]
#[ignore = "figures"]
fn figures() {
    let keys: u32 = std::env::var("COFFER_KEYS").map_or(60, |keys| keys.parse().unwrap());
    let aws_lc = |bits: usize| {
        let e = Number::from_bytes(&[1, 0, 1]).unwrap();
        // SAFETY: a new object and a valid number.
        unsafe {
            let key = Owned::new(ffi::RSA_new()).unwrap();
            assert_eq!(ffi::RSA_generate_key_ex(key.as_ptr(), bits as i32, e.as_ptr(), ptr::null_mut()), 1);
        }
    };
    let ours = |bits, primes| drop(PrivateKey::generate(bits, &[1, 0, 1], primes).unwrap());
    for (bits, keys) in [(2048, keys), (3072, keys / 2), (4096, keys / 4)] {
        let mut spent = [Duration::ZERO; 3];
        for _ in 0..keys {
            let ways: [&dyn Fn(); 3] =
                [&|| aws_lc(bits), &|| ours(bits, Primes::Random), &|| ours(bits, Primes::Conditioned)];
            for (spent, way) in spent.iter_mut().zip(ways) {
                let begun = cpu_time();
                way();
                *spent += cpu_time() - begun;
            }
        }
        let [aws_lc, random, conditioned] = spent.map(|spent| f64::from(keys) / spent.as_secs_f64());
        println!("{bits}: AWS-LC {aws_lc:.1}/s, random {random:.1}/s, conditioned {conditioned:.1}/s");
        let key = PrivateKey::generate(bits, &[1, 0, 1], Primes::Random).unwrap();
        let best = |work: &dyn Fn()| {
            let timed = |_| {
                let begun = Instant::now();
                work();
                begun.elapsed()
            };
            (0..20).map(timed).min().unwrap()
        };
        let (parsing, primality) =
            (best(&|| drop(parsed(&key).unwrap())), best(&|| assert!(key.primes_are_prime().unwrap())));
        println!("{bits}: at import, relations {parsing:?}, primality {primality:?}");
    }
}

/// Of this thread.
fn cpu_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: valid for the answer.
    assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) }, 0);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
