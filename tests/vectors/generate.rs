//! Generated keys, whose values no vector can say: their form is checked, no two are alike, and each does with one
//! mechanism that has vectors what a key of its type does.

use super::ec::{agreed, der, params};
use super::numbers::HASHES;
use super::set::Run;
use coffer_pkcs11::crypto::ec::Curve;
use coffer_pkcs11::mechanism::vendor::{CKM_CLOUDHSM_ML_DSA_KEY_PAIR_GEN, CKM_COFFER_ML_KEM_KEY_PAIR_GEN};
use pkcs11_conformance::client::cryptoki_sys::*;
use pkcs11_conformance::client::{Attr, Mechanism};
use std::collections::BTreeSet;

sets! {
    secret_keys: 68 tests, 0 skipped;
    rsa_pairs: 4 tests, 0 skipped;
    ec_pairs: 23 tests, 0 skipped;
    ml_pairs: 18 tests, 0 skipped;
}

/// Every bit of a byte but the parity's is set in some key and clear in another.
fn looks_random(keys: &BTreeSet<Vec<u8>>, mask: u8) -> bool {
    let (all, any) = keys.iter().flatten().fold((0xFF, 0), |(all, any), byte| (all & byte, any | byte));
    all & mask == 0 && any & mask == mask
}

fn secret_keys(run: &Run) {
    let s = run.session();
    let sized = |number, key_type, lens: &[usize]| (number, key_type, lens.to_vec(), true);
    let mut rows = vec![
        sized(CKM_AES_KEY_GEN, CKK_AES, &[16, 24, 32]),
        sized(CKM_AES_XTS_KEY_GEN, CKK_AES_XTS, &[32, 64]),
        sized(CKM_GENERIC_SECRET_KEY_GEN, CKK_GENERIC_SECRET, &[1, 20, 100]),
        sized(CKM_HKDF_KEY_GEN, CKK_HKDF, &[16, 64]),
        (CKM_DES2_KEY_GEN, CKK_DES2, vec![16], false),
        (CKM_DES3_KEY_GEN, CKK_DES3, vec![24], false),
    ];
    rows.extend(HASHES.iter().map(|hash| sized(hash.key_gen, hash.key_type, &[14, 64])));
    for (number, key_type, lens, sized) in rows {
        let (mechanism, parity) = (Mechanism::new(number), !sized);
        for len in lens {
            let mut keys = BTreeSet::new();
            for _ in 0..64 {
                let mut template = vec![Attr::bool(CKA_SENSITIVE, false), Attr::bool(CKA_EXTRACTABLE, true)];
                template.extend(sized.then(|| Attr::ulong(CKA_VALUE_LEN, len as CK_ULONG)));
                let key =
                    s.generate_key(&mechanism, &template).unwrap_or_else(|rv| panic!("{number:#x}: {rv}"));
                assert_eq!(s.attribute_ulong(key, CKA_KEY_TYPE), Ok(key_type));
                assert_eq!(s.attribute_bool(key, CKA_LOCAL), Ok(true));
                keys.insert(run.value(Ok(key)).unwrap());
            }
            assert!(keys.len() == 64 || len == 1, "{number:#x}: two keys are one");
            assert!(looks_random(&keys, if parity { 0xFE } else { 0xFF }), "{number:#x}: {keys:02x?}");
            let odd = |key: &Vec<u8>| key.iter().all(|byte| byte.count_ones() % 2 == 1);
            assert!(!parity || keys.iter().all(odd), "{number:#x}: even parity");
            for key in keys.into_iter().take(2) {
                run.gives(CKF_GENERATE, &mechanism, Ok(key.len()), len, format_args!("{number:#x}"));
            }
        }
    }
}

/// A pair, the public template as given, that does all its type can.
fn pair(
    run: &Run,
    mechanism: &Mechanism,
    public: &[Attr],
    uses: [CK_ATTRIBUTE_TYPE; 2],
) -> (CK_OBJECT_HANDLE, CK_OBJECT_HANDLE) {
    let public = [public, &[Attr::bool(uses[0], true)]].concat();
    let pair = run.session().generate_key_pair(mechanism, &public, &[Attr::bool(uses[1], true)]);
    pair.unwrap_or_else(|rv| panic!("{:#x}: {rv}", mechanism.number()))
}

/// The private key signs and the public key verifies, and no other pair's does.
fn signing_pairs(run: &Run, mechanism: &Mechanism, public: &[Attr], signs: &Mechanism, data: &[u8]) {
    let s = run.session();
    let [(ours, private), (others, _)] =
        [(); 2].map(|()| pair(run, mechanism, public, [CKA_VERIFY, CKA_SIGN]));
    let signature = s.sign(signs, private, data).unwrap();
    run.gives(CKF_GENERATE_KEY_PAIR, mechanism, s.verify(signs, ours, data, &signature), (), "our own key");
    run.refuses(s.verify(signs, others, data, &signature), "another key");
}

fn rsa_pairs(run: &Run) {
    for number in [CKM_RSA_PKCS_KEY_PAIR_GEN, CKM_RSA_X9_31_KEY_PAIR_GEN] {
        let template = [Attr::ulong(CKA_MODULUS_BITS, 2048), Attr::bytes(CKA_PUBLIC_EXPONENT, [1, 0, 1])];
        let signs = Mechanism::new(CKM_SHA256_RSA_PKCS);
        signing_pairs(run, &Mechanism::new(number), &template, &signs, b"message");
    }
}

fn ec_pairs(run: &Run) {
    for &curve in Curve::ALL {
        signing_pairs(
            run,
            &Mechanism::new(CKM_EC_KEY_PAIR_GEN),
            &[params(curve)],
            &Mechanism::new(CKM_ECDSA),
            &[7; 28],
        );
    }
    let named = |name: &[u8]| [Attr::bytes(CKA_EC_PARAMS, der(0x13, name))];
    let edwards = Mechanism::new(CKM_EC_EDWARDS_KEY_PAIR_GEN);
    signing_pairs(run, &edwards, &named(b"edwards25519"), &Mechanism::new(CKM_EDDSA), b"message");

    let (s, montgomery) = (run.session(), Mechanism::new(CKM_EC_MONTGOMERY_KEY_PAIR_GEN));
    let [one, other, third] = [(); 3].map(|()| {
        let keys = s.generate_key_pair(&montgomery, &named(b"curve25519"), &[Attr::bool(CKA_DERIVE, true)]);
        let (public, private) = keys.unwrap();
        (s.attribute(public, CKA_EC_POINT).unwrap(), private)
    });
    let agree = |private, point: &[u8]| {
        agreed(run, &Mechanism::ecdh1(CKM_ECDH1_DERIVE, CKD_NULL, &[], point), private, None)
    };
    let shared = agree(one.1, &other.0).unwrap();
    assert_ne!(agree(one.1, &third.0), Ok(shared.clone()));
    run.gives(CKF_GENERATE_KEY_PAIR, &montgomery, agree(other.1, &one.0), shared, "X25519");
}

fn ml_pairs(run: &Run) {
    let set = |set| [Attr::ulong(CKA_PARAMETER_SET, set)];
    for number in [CKM_ML_DSA_KEY_PAIR_GEN, CKM_CLOUDHSM_ML_DSA_KEY_PAIR_GEN] {
        for dsa in [CKP_ML_DSA_44, CKP_ML_DSA_65, CKP_ML_DSA_87] {
            signing_pairs(run, &Mechanism::new(number), &set(dsa), &Mechanism::new(CKM_ML_DSA), b"message");
        }
    }
    let (s, kem) = (run.session(), Mechanism::new(CKM_ML_KEM));
    for number in [CKM_ML_KEM_KEY_PAIR_GEN, CKM_COFFER_ML_KEM_KEY_PAIR_GEN] {
        for parameters in [CKP_ML_KEM_512, CKP_ML_KEM_768, CKP_ML_KEM_1024] {
            let mechanism = Mechanism::new(number);
            let [(public, private), (_, other)] =
                [(); 2].map(|()| pair(run, &mechanism, &set(parameters), [CKA_ENCAPSULATE, CKA_DECAPSULATE]));
            let free = [
                Attr::class(CKO_SECRET_KEY),
                Attr::key_type(CKK_GENERIC_SECRET),
                Attr::bool(CKA_SENSITIVE, false),
                Attr::bool(CKA_EXTRACTABLE, true),
            ];
            let (ciphertext, key) = s.encapsulate(&kem, public, &free).unwrap();
            let shared = run.value(Ok(key)).unwrap();
            assert_ne!(run.value(s.decapsulate(&kem, other, &ciphertext, &free)), Ok(shared.clone()));
            let theirs = run.value(s.decapsulate(&kem, private, &ciphertext, &free));
            run.gives(CKF_GENERATE_KEY_PAIR, &mechanism, theirs, shared, "ML-KEM");
        }
    }
}
