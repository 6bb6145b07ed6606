//! Generated keys, judged by AWS-LC and by the standard's bounds, and public operations against AWS-LC's.

use super::super::owned::{Number, Owned};
use super::arithmetic::Arithmetic;
use super::exponent::Exponent;
use super::primes::Search;
use super::{Parts, Primes, PrivateKey, PublicKey};
use crate::crypto::{Secret, random};
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
        assert_eq!(unsafe { ffi::RSA_check_fips(again.public.rsa.as_ptr()) }, 1);
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

/// AWS-LC's own public operation.
fn by_aws_lc(key: &PublicKey, input: &[u8], padding: i32) -> Option<Vec<u8>> {
    let (mut out, mut len) = (vec![0; key.size()], 0);
    // SAFETY: a valid key; the buffers are valid for their lengths.
    let answer = unsafe {
        let (to, room, from) = (out.as_mut_ptr(), out.len(), input.as_ptr());
        ffi::RSA_verify_raw(key.rsa.as_ptr(), &mut len, to, room, from, input.len(), padding)
    };
    out.truncate(len);
    (answer == 1).then_some(out)
}

#[test]
fn public_operations_are_aws_lcs_for_every_length() {
    let step = if std::env::var_os("COFFER_LONG").is_some() { 1 } else { 53 };
    let exponents: [&[u8]; 4] = [&[3], &[1, 0, 1], &[0xFF; 4], &[0xFF; 32]];
    for (bits, exponent) in (1024..=4250).step_by(step).zip(exponents.into_iter().cycle()) {
        let mut modulus = random::secret(usize::div_ceil(bits, 8)).expose().to_vec();
        let top = (bits - 1) % 8;
        modulus[0] = modulus[0] & ((1 << top) - 1) | 1 << top;
        *modulus.last_mut().unwrap() |= 1;
        let key = PublicKey::new(&modulus, exponent).unwrap();
        let mut less_one = modulus.clone();
        *less_one.last_mut().unwrap() -= 1;
        let mut random = random::secret(modulus.len()).expose().to_vec();
        random[0] = 0;
        let zero = vec![0; modulus.len()];
        for input in [&random, &less_one, &zero, &modulus, &vec![0xFF; modulus.len()], &zero[1..].to_vec()] {
            assert_eq!(key.transform(input), by_aws_lc(&key, input, ffi::RSA_NO_PADDING), "{modulus:x?}");
        }
    }
}

#[test]
fn paddings_of_signatures_are_judged_as_by_aws_lc() {
    let key = PrivateKey::generate(2048, &[1, 0, 1], Primes::Random).unwrap();
    let block = |start: &[u8], ones: usize, end: &[u8]| {
        let mut block = [start, &vec![0xFF; ones], end].concat();
        block.resize(key.size(), 0x42);
        block
    };
    let cases = [
        (block(&[0, 1], 8, &[0]), true),
        (block(&[0, 1], 7, &[0]), false),
        (block(&[0, 1], 253, &[0]), true),
        (block(&[0, 1], 254, &[]), false),
        (block(&[0, 1], 100, &[1, 0]), false),
        (block(&[0, 1], 100, &[0, 0]), true),
        (block(&[0, 2], 100, &[0]), false),
        (block(&[0, 0], 100, &[0]), false),
        (block(&[1, 1], 100, &[0]), false),
    ];
    for (block, good) in cases {
        let mut signature = vec![0; key.size()];
        assert!(key.transform_private(&block, &mut signature));
        let recovered = key.recover_pkcs1(&signature);
        assert_eq!(recovered, by_aws_lc(&key, &signature, ffi::RSA_PKCS1_PADDING), "{block:x?}");
        assert_eq!(recovered.is_some(), good, "{block:x?}");
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
