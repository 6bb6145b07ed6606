//! Every asymmetric row of the table does what its columns say, with keys that its own mechanisms made.

use super::key::{KeyKind, kind};
use super::params::{self, EcdhKdf, Hedge, Kem, Sink};
use super::{Begun, Derive, Mechanism, Params, Shape, Wanted, table};
use crate::crypto::encoding::{Der, tag};
use crate::crypto::{Direction, Hash, InOut, Secret};
use crate::error::{Result, Rv};
use crate::object::{Attributes, Object, Secrets, Value};
use cryptoki_sys::*;
use std::sync::mpsc;

/// The halves of a pair as the sessions would hold them.
struct Pair {
    public: Object,
    private: Object,
}

fn object(class: CK_OBJECT_CLASS, key_type: CK_KEY_TYPE, attributes: Attributes) -> Object {
    let (mut open, mut secret) = (Attributes::new(), Attributes::new());
    for (attribute, value) in attributes.iter() {
        match value {
            Value::Secret(_) => secret.set(attribute, value.clone()),
            _ => open.set(attribute, value.clone()),
        }
    }
    open.set(CKA_CLASS, class);
    open.set(CKA_KEY_TYPE, key_type);
    Object::new(1, open, Secrets::opened(secret))
}

fn row(number: CK_MECHANISM_TYPE) -> &'static Mechanism {
    table::rows(number).next().unwrap()
}

fn generate(number: CK_MECHANISM_TYPE, template: &Attributes) -> Pair {
    let maker = row(number).generate_pair.unwrap();
    let (public, private) = maker.generate(template, &Attributes::new()).unwrap();
    Pair {
        public: object(CKO_PUBLIC_KEY, maker.key_type(), public),
        private: object(CKO_PRIVATE_KEY, maker.key_type(), private),
    }
}

fn ec(oid: &[u8]) -> Attributes {
    Attributes::new().with(CKA_EC_PARAMS, Der::Bytes(tag::OID, oid).encode_public())
}

const P256: &[u8] = b"\x2a\x86\x48\xce\x3d\x03\x01\x07";

fn parameter_set(set: CK_ULONG) -> Attributes {
    Attributes::new().with(CKA_PARAMETER_SET, set)
}

fn rsa() -> Pair {
    generate(CKM_RSA_PKCS_KEY_PAIR_GEN, &Attributes::new().with(CKA_MODULUS_BITS, 2048 as CK_ULONG))
}

/// A pair for a key type; RSA's is shared, since it takes time to make.
fn pair_for(key_type: CK_KEY_TYPE) -> Pair {
    match key_type {
        CKK_RSA => rsa(),
        CKK_EC => generate(CKM_EC_KEY_PAIR_GEN, &ec(P256)),
        CKK_EC_EDWARDS => generate(CKM_EC_EDWARDS_KEY_PAIR_GEN, &ec(b"\x2b\x65\x70")),
        CKK_EC_MONTGOMERY => generate(CKM_EC_MONTGOMERY_KEY_PAIR_GEN, &ec(b"\x2b\x65\x6e")),
        CKK_ML_DSA => generate(CKM_ML_DSA_KEY_PAIR_GEN, &parameter_set(CKP_ML_DSA_44)),
        CKK_ML_KEM => generate(CKM_ML_KEM_KEY_PAIR_GEN, &parameter_set(CKP_ML_KEM_768)),
        other => panic!("no pair for {other:#x}"),
    }
}

const TYPES: [CK_KEY_TYPE; 6] = [CKK_RSA, CKK_EC, CKK_EC_EDWARDS, CKK_EC_MONTGOMERY, CKK_ML_DSA, CKK_ML_KEM];

fn all(key: &Object) -> Attributes {
    let mut all = key.attributes().clone();
    all.extend(key.secrets().unwrap().clone());
    all
}

fn kind_of(key: &Object) -> &'static KeyKind {
    kind(key.class(), key.key_type().unwrap()).unwrap()
}

#[test]
fn what_is_generated_is_complete() {
    for key_type in TYPES {
        let pair = pair_for(key_type);
        for key in [&pair.public, &pair.private] {
            let before = all(key);
            let mut after = before.clone();
            (kind_of(key).complete)(&mut after).unwrap();
            assert_eq!(before, after, "{key_type:#x}");
            assert_eq!(before.bytes(CKA_CHECK_VALUE).unwrap().len(), 3);
            assert!((kind_of(key).size)(key).unwrap() > 0);
        }
        let info = |key: &Object| all(key).bytes(CKA_PUBLIC_KEY_INFO).unwrap().to_vec();
        assert_eq!(info(&pair.public), info(&pair.private));
    }
}

#[test]
fn pkcs8_brings_every_component_back() {
    for key_type in TYPES {
        let key = pair_for(key_type).private;
        let kind = kind_of(&key);
        let exported = kind.export.unwrap()(&key).unwrap();
        let import = kind.import.unwrap();
        let mut imported = import(exported.expose()).unwrap();
        imported.set(CKA_CLASS, CKO_PRIVATE_KEY);
        imported.set(CKA_KEY_TYPE, key_type);
        (kind.complete)(&mut imported).unwrap();
        assert_eq!(imported, all(&key), "{key_type:#x}");

        for cut in [0, 1, exported.len() / 2, exported.len() - 1] {
            let error = import(&exported.expose()[..cut]).unwrap_err();
            assert_eq!(error.rv(), Rv::WrappedKeyInvalid);
        }
        assert!(import(&[exported.expose(), &[0; 7]].concat()).is_ok());
        for behind in [&[1][..], &[0, 1], &[0; 8]] {
            let longer = [exported.expose(), behind].concat();
            assert_eq!(import(&longer).unwrap_err().rv(), Rv::WrappedKeyInvalid);
        }
        for other in TYPES.into_iter().filter(|other| *other != key_type) {
            let import = super::key::kind(CKO_PRIVATE_KEY, other).unwrap().import.unwrap();
            assert_eq!(import(exported.expose()).unwrap_err().rv(), Rv::WrappedKeyInvalid);
        }
    }
}

#[test]
fn a_component_that_contradicts_is_refused() {
    for key_type in TYPES {
        let pair = pair_for(key_type);
        for key in [&pair.public, &pair.private] {
            for attribute in [CKA_CHECK_VALUE, CKA_PUBLIC_KEY_INFO] {
                let mut wrong = all(key);
                wrong.set(attribute, vec![1, 2, 3]);
                assert_eq!((kind_of(key).complete)(&mut wrong).unwrap_err().rv(), Rv::AttributeValueInvalid);
            }
        }
    }
    let mut wrong = all(&rsa().private);
    let mut prime = wrong.bytes(CKA_PRIME_1).unwrap().to_vec();
    prime[20] ^= 4;
    wrong.set(CKA_PRIME_1, prime);
    assert_eq!(
        (kind(CKO_PRIVATE_KEY, CKK_RSA).unwrap().complete)(&mut wrong).unwrap_err().rv(),
        Rv::AttributeValueInvalid
    );
}

#[test]
fn an_rsa_key_is_completed_from_modulus_and_exponents() {
    let whole = all(&rsa().private);
    let mut bare = Attributes::new();
    for attribute in [CKA_CLASS, CKA_KEY_TYPE, CKA_MODULUS, CKA_PRIVATE_EXPONENT] {
        bare.set(attribute, whole.value(attribute).unwrap().clone());
    }
    (kind(CKO_PRIVATE_KEY, CKK_RSA).unwrap().complete)(&mut bare).unwrap();
    let primes = |key: &Attributes| {
        let mut primes = [CKA_PRIME_1, CKA_PRIME_2].map(|prime| key.bytes(prime).unwrap().to_vec());
        primes.sort();
        primes
    };
    assert_eq!(primes(&bare), primes(&whole));
    assert_eq!(bare.value(CKA_PUBLIC_KEY_INFO), whole.value(CKA_PUBLIC_KEY_INFO));
}

/// Whatever comes out of a forged payload, it is an answer: a key whose components agree, or an error.
#[test]
fn forged_pkcs8_never_panics() {
    for key_type in TYPES {
        let key = pair_for(key_type).private;
        let kind = kind_of(&key);
        let exported = kind.export.unwrap()(&key).unwrap();
        for at in 0..exported.len().min(80) {
            for value in [0, 0x30, 0x7f, 0x80, 0xff] {
                let mut forged = exported.expose().to_vec();
                forged[at] = value;
                if let Ok(mut imported) = kind.import.unwrap()(&forged) {
                    imported.set(CKA_CLASS, CKO_PRIVATE_KEY);
                    imported.set(CKA_KEY_TYPE, key_type);
                    if (kind.complete)(&mut imported).is_ok() {
                        assert!(imported.has(CKA_PUBLIC_KEY_INFO));
                    }
                }
            }
        }
    }
}

fn oaep() -> params::Oaep {
    params::Oaep { hash: Hash::Sha256, mgf: Hash::Sha1, label: b"label".to_vec() }
}

/// A parameter for a row.
fn params_for(mechanism: &Mechanism) -> Params {
    let hash_of_pss = || match mechanism.number {
        CKM_SHA1_RSA_PKCS_PSS => Hash::Sha1,
        CKM_SHA224_RSA_PKCS_PSS => Hash::Sha224,
        CKM_SHA384_RSA_PKCS_PSS => Hash::Sha384,
        CKM_SHA512_RSA_PKCS_PSS => Hash::Sha512,
        CKM_SHA3_224_RSA_PKCS_PSS => Hash::Sha3_224,
        CKM_SHA3_256_RSA_PKCS_PSS => Hash::Sha3_256,
        CKM_SHA3_384_RSA_PKCS_PSS => Hash::Sha3_384,
        CKM_SHA3_512_RSA_PKCS_PSS => Hash::Sha3_512,
        _ => Hash::Sha256,
    };
    match mechanism.shape {
        Shape::Oaep => Params::Oaep(oaep()),
        Shape::Pss => Params::Pss { hash: hash_of_pss(), mgf: Hash::Sha256, salt_len: 20 },
        Shape::RsaAesWrap => Params::RsaAesWrap { aes_key_bits: 256, oaep: oaep() },
        Shape::SignContext => {
            Params::SignContext { hedge: Hedge::Preferred, context: b"context".to_vec(), hash: None }
        }
        Shape::HashSignContext => {
            Params::SignContext { hedge: Hedge::Required, context: vec![], hash: Some(Hash::Sha256) }
        }
        _ => Params::None,
    }
}

fn asymmetric() -> impl Iterator<Item = (&'static Mechanism, CK_KEY_TYPE)> {
    table::all().flat_map(|row| {
        row.keys
            .types
            .iter()
            .filter(|key_type| TYPES.contains(key_type))
            .map(move |key_type| (row, *key_type))
    })
}

#[test]
fn every_signature_verifies_and_no_other_does() {
    let pairs = TYPES.map(|key_type| (key_type, pair_for(key_type)));
    let mut seen = 0;
    for (row, key_type) in asymmetric() {
        let Some(sign) = row.sign else { continue };
        let pair = &pairs.iter().find(|(other, _)| *other == key_type).unwrap().1;
        let message: Vec<u8> = match row.number {
            // Those that take a digest.
            CKM_RSA_PKCS_PSS | CKM_HASH_ML_DSA => vec![7; 32],
            _ => (1..=64).collect(),
        };
        let mut state = Begun::by(|state| sign.sign(&pair.private, &mut params_for(row), state)).unwrap();
        let mut signature = vec![0; state.signature_len(&pair.private)];
        let len = state.one_shot(&pair.private, &message, &mut signature).unwrap();
        assert_eq!(len, signature.len(), "{}", row.name);

        let verify = |message: &[u8], signature: &[u8]| -> Result<()> {
            let mut state =
                Begun::by(|state| sign.verify(&pair.public, &mut params_for(row), state)).unwrap();
            state.one_shot(&pair.public, message, signature)
        };
        verify(&message, &signature).unwrap();
        let mut other = message.clone();
        other[20] ^= 1;
        assert_eq!(verify(&other, &signature).unwrap_err().rv(), Rv::SignatureInvalid, "{}", row.name);
        let mut wrong = signature.clone();
        wrong[len / 2] ^= 1;
        assert_eq!(verify(&message, &wrong).unwrap_err().rv(), Rv::SignatureInvalid, "{}", row.name);
        let longer = [&signature[..], &[0, 0]].concat();
        assert_eq!(verify(&message, &longer).unwrap_err().rv(), Rv::SignatureLenRange, "{}", row.name);

        let (mut signing, mut verifying) = (
            Begun::by(|state| sign.sign(&pair.private, &mut params_for(row), state)).unwrap(),
            Begun::by(|state| sign.verify(&pair.public, &mut params_for(row), state)).unwrap(),
        );
        assert_eq!(signing.multipart(), verifying.multipart());
        if signing.multipart() {
            for part in message.chunks(5) {
                signing.update(&pair.private, part).unwrap();
                verifying.update(&pair.public, part).unwrap();
            }
            signing.finish(&pair.private, &mut signature).unwrap();
            verifying.finish(&pair.public, &signature).unwrap();
            verify(&message, &signature).unwrap();
        } else {
            assert_eq!(signing.update(&pair.private, &message).unwrap_err().rv(), Rv::FunctionNotSupported);
        }
        seen += 1;
    }
    assert!(seen > 30);
}

#[test]
fn recovery_gives_the_data_back() {
    let pair = rsa();
    for number in [CKM_RSA_PKCS, CKM_RSA_X_509] {
        let recover = row(number).recover.unwrap();
        let signature = recover.sign_recover(&pair.private, b"data").unwrap();
        let data = recover.verify_recover(&pair.public, &signature).unwrap();
        assert!(data.ends_with(b"data"));
        assert_eq!(data.len(), if number == CKM_RSA_PKCS { 4 } else { 256 });
        assert_eq!(
            recover.verify_recover(&pair.public, &signature[1..]).unwrap_err().rv(),
            Rv::SignatureLenRange
        );
    }
    let recover = row(CKM_RSA_PKCS).recover.unwrap();
    assert_eq!(recover.verify_recover(&pair.public, &[1; 256]).unwrap_err().rv(), Rv::SignatureInvalid);
    assert_eq!(recover.sign_recover(&pair.private, &[1; 246]).unwrap_err().rv(), Rv::DataLenRange);
}

#[test]
fn every_cipher_decrypts_what_it_encrypted() {
    let pair = rsa();
    for (row, _) in asymmetric() {
        let Some(cipher) = row.cipher else { continue };
        let crypt = |direction, key: &Object, input: &[u8]| -> Result<Vec<u8>> {
            let mut state = Begun::by(|state| cipher.begin(direction, key, &mut params_for(row), state))?;
            assert!(!state.multipart());
            let mut out = vec![0; state.one_shot_bound(key, input.len())];
            let len = state.one_shot(key, InOut::new(input, &mut out))?;
            out.truncate(len);
            Ok(out)
        };
        let ciphertext = crypt(Direction::Encrypt, &pair.public, b"message").unwrap();
        assert_eq!(ciphertext.len(), 256);
        assert!(crypt(Direction::Decrypt, &pair.private, &ciphertext).unwrap().ends_with(b"message"));
        let short = crypt(Direction::Decrypt, &pair.private, &ciphertext[1..]).unwrap_err();
        assert_eq!(short.rv(), Rv::EncryptedDataLenRange);
        let large = crypt(Direction::Decrypt, &pair.private, &[0xff; 256]).unwrap_err();
        assert_eq!(large.rv(), Rv::EncryptedDataInvalid);
        let long = crypt(Direction::Encrypt, &pair.public, &[1; 257]).unwrap_err();
        assert_eq!(long.rv(), Rv::DataLenRange);
    }
}

#[test]
fn every_wrapping_unwraps() {
    let pair = rsa();
    let mut seen = 0;
    for (row, _) in asymmetric() {
        let Some(wrap) = row.wrap else { continue };
        let payload: Vec<u8> = (1..=32).collect();
        let wrapped = wrap.wrap(&pair.public, params_for(row), &payload).unwrap();
        assert_eq!(wrap.wrapped_len(&pair.public, &params_for(row), 32).unwrap(), wrapped.len());
        let unwrap = |blob: &[u8], expected| wrap.unwrap(&pair.private, params_for(row), blob, expected);
        assert_eq!(unwrap(&wrapped, Some(32)).unwrap().expose(), payload);
        assert_eq!(
            unwrap(&wrapped[1..], Some(32)).err().unwrap().rv(),
            match row.number {
                CKM_RSA_AES_KEY_WRAP => Rv::WrappedKeyInvalid,
                _ => Rv::WrappedKeyLenRange,
            }
        );
        if wrap.takes_private_keys() {
            let long = vec![5; 1219];
            let wrapped = wrap.wrap(&pair.public, params_for(row), &long).unwrap();
            assert_eq!(wrapped.len(), 256 + 1224 + 8);
            assert_eq!(unwrap(&wrapped, None).unwrap().expose(), long);
            for at in [0, 200, 256, 300, wrapped.len() - 1] {
                let mut forged = wrapped.clone();
                forged[at] ^= 1;
                assert_eq!(unwrap(&forged, None).err().unwrap().rv(), Rv::WrappedKeyInvalid);
            }
        } else {
            assert_eq!(
                wrap.wrap(&pair.public, params_for(row), &[1; 257]).unwrap_err().rv(),
                Rv::KeySizeRange
            );
        }
        seen += 1;
    }
    // CKM_RSA_PKCS has a row in each profile.
    assert_eq!(seen, 5);
}

/// Bleichenbacher through C_UnwrapKey: any block gives a key of the length asked for.
#[test]
fn a_forged_pkcs1_blob_gives_a_key_all_the_same() {
    let pair = rsa();
    let (raw, pkcs1) = (row(CKM_RSA_X_509).wrap.unwrap(), row(CKM_RSA_PKCS).wrap.unwrap());
    let mut block = vec![0x11; 256];
    block[..2].copy_from_slice(&[0, 2]);
    block[223] = 0;
    let faults: [fn(&mut [u8]); 5] = [
        |block| block[1] = 1,
        |block| block[0] = 1,
        |block| block[223] = 1,
        |block| block[5] = 0,
        |block| block[222] = 0,
    ];
    let unwrap = |block: &[u8], len| {
        let blob = raw.wrap(&pair.public, Params::None, block).unwrap();
        pkcs1.unwrap(&pair.private, Params::None, &blob, Some(len)).unwrap()
    };
    assert_eq!(unwrap(&block, 32).expose(), [0x11; 32]);
    for fault in faults {
        let mut forged = block.clone();
        fault(&mut forged);
        let key = unwrap(&forged, 32);
        assert_eq!(key.len(), 32);
        assert_ne!(key.expose(), [0x11; 32]);
        assert_eq!(unwrap(&forged, 32).expose(), key.expose());
    }
}

fn no_other(_: CK_OBJECT_HANDLE) -> Result<std::sync::Arc<Object>> {
    fail!(KeyHandleInvalid)
}

fn derive(how: &dyn Derive, base: &Object, params: Params, len: Option<usize>) -> Result<Secret> {
    how.derive(base, params, Wanted { key_type: CKK_GENERIC_SECRET, len }, &no_other)
}

#[test]
fn both_sides_of_ecdh_agree() {
    for (row, key_type) in asymmetric() {
        let Some(how) = row.derive.filter(|_| row.shape == Shape::Ecdh) else { continue };
        let (a, b) = (pair_for(key_type), pair_for(key_type));
        let point = |pair: &Pair| pair.public.bytes(CKA_EC_POINT).unwrap().to_vec();
        let info = |kdf| if kdf == EcdhKdf::Null { vec![] } else { b"info".to_vec() };
        for kdf in [
            EcdhKdf::Null,
            EcdhKdf::X963(Hash::Sha1),
            EcdhKdf::X963(Hash::Sha3_512),
            EcdhKdf::Sp800(Hash::Sha256),
        ] {
            let ours = Params::Ecdh { kdf, shared_info: info(kdf), peer: point(&b) };
            let theirs = Params::Ecdh { kdf, shared_info: info(kdf), peer: point(&a) };
            let ours = derive(how, &a.private, ours, Some(24)).unwrap();
            assert_eq!(ours.len(), 24);
            assert_eq!(derive(how, &b.private, theirs, Some(24)).unwrap().expose(), ours.expose());
        }
        let null = |peer: Vec<u8>| Params::Ecdh { kdf: EcdhKdf::Null, shared_info: vec![], peer };
        let whole = derive(how, &a.private, null(point(&b)), None).unwrap();
        let cut = derive(how, &a.private, null(point(&b)), Some(16)).unwrap();
        assert_eq!(cut.expose(), &whole.expose()[16..]);
        assert_eq!(derive(how, &a.private, null(point(&b)), Some(33)).err().unwrap().rv(), Rv::KeySizeRange);
        let mut off = point(&b);
        let last = off.len() - 1;
        off[last] ^= 1;
        let mut wrong = vec![vec![], vec![0], vec![0; 32], vec![4; 65], point(&b)[1..].to_vec()];
        if key_type == CKK_EC {
            wrong.push(off);
        }
        for peer in wrong {
            let error = derive(how, &a.private, null(peer), Some(16)).err().unwrap();
            assert_eq!(error.rv(), Rv::MechanismParamInvalid);
        }
    }
}

#[test]
fn ml_kem_through_both_doors() {
    let pair = pair_for(CKK_ML_KEM);
    let kem = row(CKM_ML_KEM).kem.unwrap();
    let (ciphertext, secret) = kem.encapsulate(&pair.public, &Params::None).unwrap();
    assert_eq!(ciphertext.len(), kem.ciphertext_len(&pair.public).unwrap());
    assert_eq!(kem.decapsulate(&pair.private, &Params::None, &ciphertext).unwrap().expose(), secret.expose());

    let (sender, receiver) = mpsc::channel();
    let params = |ciphertext: Vec<u8>, capacity: Option<usize>| {
        let (whole, len) = (sender.clone(), sender.clone());
        Params::Kem(Kem {
            ciphertext,
            capacity,
            sink: Sink::new(move |bytes| whole.send(bytes.to_vec()).unwrap()),
            len_sink: Sink::new(move |bytes| len.send(bytes.to_vec()).unwrap()),
        })
    };
    for short in [None, Some(1087)] {
        let error =
            derive(&super::ml_kem::MlKem, &pair.public, params(vec![], short), Some(32)).err().unwrap();
        assert_eq!(error.rv(), Rv::BufferTooSmall);
        assert_eq!(receiver.recv().unwrap(), (1088 as CK_ULONG).to_ne_bytes());
    }
    let short = derive(&super::ml_kem::MlKem, &pair.private, params(vec![0; 1087], None), Some(32));
    assert_eq!(short.err().unwrap().rv(), Rv::MechanismParamInvalid);
    let ours = derive(&super::ml_kem::MlKem, &pair.public, params(vec![], Some(1088)), Some(16)).unwrap();
    let ciphertext = receiver.recv().unwrap();
    let theirs = derive(&super::ml_kem::MlKem, &pair.private, params(ciphertext, None), Some(16)).unwrap();
    assert_eq!((ours.len(), ours.expose()), (16, theirs.expose()));
}

#[test]
fn parameters_that_make_no_sense_are_refused() {
    let pairs = (rsa(), pair_for(CKK_ML_DSA));
    let refused = |row: &Mechanism, key: &Object, mut params: Params| {
        let error = Begun::by(|state| row.sign.unwrap().sign(key, &mut params, state)).err().expect(row.name);
        assert_eq!(error.rv(), Rv::MechanismParamInvalid, "{}", row.name);
    };
    let pss = |hash, salt_len| Params::Pss { hash, mgf: Hash::Sha256, salt_len };
    refused(row(CKM_SHA256_RSA_PKCS_PSS), &pairs.0.private, pss(Hash::Sha384, 32));
    refused(row(CKM_SHA256_RSA_PKCS_PSS), &pairs.0.private, pss(Hash::Sha256, 223));
    refused(row(CKM_RSA_PKCS_PSS), &pairs.0.private, pss(Hash::Sha256, usize::MAX));
    refused(row(CKM_RSA_PKCS_PSS), &pairs.0.private, Params::None);
    let context = |hedge, len| Params::SignContext { hedge, context: vec![0; len], hash: None };
    refused(row(CKM_ML_DSA), &pairs.1.private, context(Hedge::Deterministic, 0));
    refused(row(CKM_ML_DSA), &pairs.1.private, context(Hedge::Preferred, 256));
    refused(row(CKM_HASH_ML_DSA), &pairs.1.private, context(Hedge::Preferred, 0));
}

#[test]
fn templates_that_make_no_sense_are_refused() {
    let refused = |number, template: Attributes, rv| {
        let maker = row(number).generate_pair.unwrap();
        assert_eq!(maker.generate(&template, &Attributes::new()).err().unwrap().rv(), rv);
    };
    let bits = |bits: CK_ULONG| Attributes::new().with(CKA_MODULUS_BITS, bits);
    for wrong in [0, 1024, 2047, 2049, 16384, CK_ULONG::MAX] {
        refused(CKM_RSA_PKCS_KEY_PAIR_GEN, bits(wrong), Rv::KeySizeRange);
    }
    for exponent in [&[1][..], &[2], &[0], &[], &[1; 33]] {
        let template = bits(2048).with(CKA_PUBLIC_EXPONENT, exponent);
        refused(CKM_RSA_PKCS_KEY_PAIR_GEN, template, Rv::AttributeValueInvalid);
    }
    refused(CKM_RSA_PKCS_KEY_PAIR_GEN, Attributes::new(), Rv::TemplateIncomplete);
    refused(CKM_EC_KEY_PAIR_GEN, ec(b"\x2b\x65\x70"), Rv::CurveNotSupported);
    refused(CKM_EC_EDWARDS_KEY_PAIR_GEN, ec(P256), Rv::CurveNotSupported);
    refused(CKM_EC_MONTGOMERY_KEY_PAIR_GEN, ec(b"\x2b\x65\x70"), Rv::CurveNotSupported);
    refused(CKM_ML_DSA_KEY_PAIR_GEN, parameter_set(4), Rv::ParameterSetNotSupported);
    refused(CKM_ML_KEM_KEY_PAIR_GEN, Attributes::new(), Rv::TemplateIncomplete);
}

#[test]
fn one_key_serves_many_threads() {
    for (number, key_type) in [
        (CKM_SHA256_RSA_PKCS, CKK_RSA),
        (CKM_ECDSA_SHA256, CKK_EC),
        (CKM_EDDSA, CKK_EC_EDWARDS),
        (CKM_ML_DSA, CKK_ML_DSA),
    ] {
        let (pair, row) = (pair_for(key_type), row(number));
        let sign = row.sign.unwrap();
        std::thread::scope(|scope| {
            for thread in 0..4u8 {
                let pair = &pair;
                scope.spawn(move || {
                    for round in 0..10u8 {
                        let message = [thread, round];
                        let mut state =
                            Begun::by(|state| sign.sign(&pair.private, &mut params_for(row), state)).unwrap();
                        let mut signature = vec![0; state.signature_len(&pair.private)];
                        state.one_shot(&pair.private, &message, &mut signature).unwrap();
                        let mut state =
                            Begun::by(|state| sign.verify(&pair.public, &mut params_for(row), state))
                                .unwrap();
                        state.one_shot(&pair.public, &message, &signature).unwrap();
                    }
                });
            }
        });
    }
}
