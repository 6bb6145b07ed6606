//! Keys: what can be made and derived, and how long it lives.

use super::*;

const P256: &[u8] = b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";

fn ec(session: &Session, oid: &[u8]) -> Result<(CK_OBJECT_HANDLE, CK_OBJECT_HANDLE)> {
    let public = [yes(CKA_VERIFY), Attr::bytes(CKA_EC_PARAMS, oid)];
    let private = [yes(CKA_SIGN), yes(CKA_DERIVE)];
    session.generate_key_pair(&Mechanism::new(CKM_EC_KEY_PAIR_GEN), &public, &private)
}

#[test]
fn sizes_and_curves_are_cloudhsms() {
    if in_cloudhsm_child("keys::sizes_and_curves_are_cloudhsms") {
        return;
    }
    let session = user();
    for bits in [1024, 2047, 2048 + 128, 4096 + 256, 8192] {
        assert_eq!(Rv::of(&rsa(&session, bits, &[], &[])), Rv(CKR_KEY_SIZE_RANGE), "{bits}");
    }
    rsa(&session, 2048 + 256, &[], &[]).unwrap();
    let secret = |len| {
        let generator = Mechanism::new(CKM_GENERIC_SECRET_KEY_GEN);
        Rv::of(&session.generate_key(&generator, &[Attr::ulong(CKA_VALUE_LEN, len)]))
    };
    assert_eq!([1, 800].map(secret), [Rv(CKR_OK); 2]);
    assert_eq!(secret(801), Rv(CKR_KEY_SIZE_RANGE));
    for curve in [
        &b"\x06\x05\x2b\x81\x04\x00\x21"[..],
        P256,
        b"\x06\x05\x2b\x81\x04\x00\x0a",
        b"\x06\x05\x2b\x81\x04\x00\x22",
        b"\x06\x05\x2b\x81\x04\x00\x23",
    ] {
        let (_, private) = ec(&session, curve).unwrap();
        session.sign(&Mechanism::new(CKM_ECDSA_SHA512), private, b"message").unwrap();
    }
    let brainpool = b"\x06\x09\x2b\x24\x03\x03\x02\x08\x01\x01\x07";
    assert_eq!(Rv::of(&ec(&session, brainpool)), Rv(CKR_CURVE_NOT_SUPPORTED));
    let imported = |key_type, len: usize| {
        let value =
            [Attr::class(CKO_SECRET_KEY), Attr::key_type(key_type), Attr::bytes(CKA_VALUE, vec![1; len])];
        Rv::of(&session.create_object(&value))
    };
    assert_eq!(imported(CKK_GENERIC_SECRET, 800), Rv(CKR_OK));
    assert_eq!(imported(CKK_GENERIC_SECRET, 801), Rv(CKR_ATTRIBUTE_VALUE_INVALID));
    assert_eq!(imported(CKK_SHA256_HMAC, 32), Rv(CKR_TEMPLATE_INCONSISTENT), "a type it has not");
}

#[test]
fn secret_keys_sign_and_do_no_more_unless_asked() {
    if in_cloudhsm_child("keys::secret_keys_sign_and_do_no_more_unless_asked") {
        return;
    }
    let session = user();
    let key = aes(&session, &[]);
    let uses = [CKA_ENCRYPT, CKA_DECRYPT, CKA_WRAP, CKA_UNWRAP, CKA_DERIVE, CKA_SIGN, CKA_VERIFY];
    let allowed = uses.map(|usage| session.attribute_bool(key, usage).unwrap());
    assert_eq!(allowed, [false, false, false, false, false, true, true]);
    let public = [Attr::ulong(CKA_VALUE_LEN, 32), Attr::bool(CKA_PRIVATE, false)];
    let outcome = session.generate_key(&Mechanism::new(CKM_AES_KEY_GEN), &public);
    assert_eq!(Rv::of(&outcome), Rv(CKR_ATTRIBUTE_VALUE_INVALID));
    // The 3DES sample gives no length and no class.
    let uses = [yes(CKA_TOKEN), yes(CKA_ENCRYPT), yes(CKA_DECRYPT)];
    let des3 = session.generate_key(&Mechanism::new(CKM_DES3_KEY_GEN), &uses).unwrap();
    let (ecb, data) = (Mechanism::new(CKM_DES3_ECB), b"Data must be a 16 byte multiple.");
    let sealed = session.encrypt(&ecb, des3, data).unwrap();
    assert_eq!(session.decrypt(&ecb, des3, &sealed).unwrap(), data);
    let sum = session.attribute(des3, CKA_CHECK_VALUE).unwrap();
    assert_eq!(sum, session.encrypt(&ecb, des3, &[0; 8]).unwrap()[..3]);
}

/// Its user guide names the codes: one for a template that says too much, another for asking too much.
#[test]
fn keys_have_no_more_attributes_than_cloudhsms() {
    if in_cloudhsm_child("keys::keys_have_no_more_attributes_than_cloudhsms") {
        return;
    }
    let session = user();
    let (size, generator) = (Attr::ulong(CKA_VALUE_LEN, 32), Mechanism::new(CKM_AES_KEY_GEN));
    for attribute in [
        Attr::bytes(CKA_START_DATE, b"20260101"),
        Attr::bytes(CKA_END_DATE, b"20270101"),
        Attr::bool(CKA_COPYABLE, true),
        Attr::bytes(CKA_ALLOWED_MECHANISMS, CKM_AES_CBC.to_ne_bytes()),
    ] {
        let outcome = session.generate_key(&generator, &[size.clone(), attribute]);
        assert_eq!(Rv::of(&outcome), Rv(CKR_TEMPLATE_INCONSISTENT));
    }
    let recover = [Attr::bool(CKA_VERIFY_RECOVER, false)];
    assert_eq!(Rv::of(&rsa(&session, 2048, &recover, &[])), Rv(CKR_TEMPLATE_INCONSISTENT));
    let (public, private) = rsa(&session, 2048, &[], &[]).unwrap();
    let lacks = |key, attribute| Rv::of(&session.attribute(key, attribute)) == Rv(CKR_ATTRIBUTE_TYPE_INVALID);
    for attribute in [CKA_SUBJECT, CKA_PUBLIC_KEY_INFO, CKA_ALWAYS_AUTHENTICATE, CKA_KEY_GEN_MECHANISM] {
        assert!(lacks(private, attribute), "{attribute:#x}");
    }
    assert!(lacks(private, CKA_MODULUS_BITS) && !lacks(public, CKA_MODULUS_BITS));
    assert!(lacks(private, CKA_START_DATE) && !lacks(private, CKA_LABEL) && !lacks(private, CKA_MODULUS));
    let incomplete = [Attr::bytes(CKA_PUBLIC_EXPONENT, [1, 0, 1])];
    let pair = session.generate_key_pair(&Mechanism::new(CKM_RSA_PKCS_KEY_PAIR_GEN), &incomplete, &[]);
    assert_eq!(Rv::of(&pair), Rv(CKR_TEMPLATE_INCOMPLETE));
    let local = session.generate_key(&generator, &[size, Attr::bool(CKA_LOCAL, true)]);
    assert_eq!(Rv::of(&local), Rv(CKR_ATTRIBUTE_READ_ONLY));
    let imported = [
        Attr::class(CKO_SECRET_KEY),
        Attr::key_type(CKK_AES),
        Attr::bytes(CKA_VALUE, [1; 16]),
        Attr::bytes(CKA_START_DATE, b""),
    ];
    assert_eq!(Rv::of(&session.create_object(&imported)), Rv(CKR_TEMPLATE_INCONSISTENT));
    session.create_object(&imported[..3]).unwrap();
}

#[test]
fn gcm_comes_in_one_piece() {
    if in_cloudhsm_child("keys::gcm_comes_in_one_piece") {
        return;
    }
    let session = user();
    let key = aes(&session, &[CKA_ENCRYPT, CKA_DECRYPT]);
    for number in [CKM_AES_GCM, CLOUDHSM_AES_GCM] {
        let iv: &[u8] = if number == CKM_AES_GCM { &[0; 12] } else { &[] };
        let fresh = || Mechanism::gcm(number, iv, b"aad", 128);
        assert_eq!(Rv::of(&session.encrypt_parts(&fresh(), key, b"plaintext", 4)), Rv(CKR_MECHANISM_INVALID));
        let mechanism = fresh();
        let sealed = session.encrypt(&mechanism, key, b"plaintext").unwrap();
        assert_eq!(Rv::of(&session.decrypt_parts(&mechanism, key, &sealed, 4)), Rv(CKR_MECHANISM_INVALID));
        assert_eq!(
            session.decrypt(&mechanism, key, &sealed).unwrap(),
            b"plaintext",
            "the IV was written back"
        );
        let mut forged = sealed.clone();
        *forged.last_mut().unwrap() ^= 1;
        assert_eq!(Rv::of(&session.decrypt(&mechanism, key, &forged)), Rv(CKR_ENCRYPTED_DATA_INVALID));
        let extra = if number == CKM_AES_GCM { 0 } else { 12 };
        assert_eq!(sealed.len(), extra + 9 + 16);
    }
}

#[test]
fn ecdh_takes_the_vendors_kdfs() {
    if in_cloudhsm_child("keys::ecdh_takes_the_vendors_kdfs") {
        return;
    }
    let session = user();
    let ((public_a, private_a), (public_b, private_b)) =
        (ec(&session, P256).unwrap(), ec(&session, P256).unwrap());
    let template = [
        Attr::class(CKO_SECRET_KEY),
        Attr::key_type(CKK_AES),
        Attr::ulong(CKA_VALUE_LEN, 32),
        yes(CKA_ENCRYPT),
        yes(CKA_DECRYPT),
    ];
    let mut seen = BTreeSet::new();
    for kdf in [CKD_NULL, VENDOR | CKD_SHA1_KDF, VENDOR | CKD_SHA256_KDF, VENDOR | CKD_SHA512_KDF] {
        let agree = |private, public| {
            // The point as C_GetAttributeValue gives it: in its OCTET STRING.
            let point = session.attribute(public, CKA_EC_POINT).unwrap();
            let mechanism = Mechanism::ecdh1(CKM_ECDH1_DERIVE, kdf, b"", &point);
            let key = session.derive(&mechanism, private, &template).unwrap();
            session.encrypt(&Mechanism::new(CKM_AES_ECB), key, &[0; 16]).unwrap()
        };
        let (one, other) = (agree(private_a, public_b), agree(private_b, public_a));
        assert_eq!(one, other);
        assert!(seen.insert(one), "{kdf:#x} gives another key");
    }
}

/// SP 800-108 in counter mode with an HMAC: the older kind of fields, whose order is fixed, and the newer, whose
/// order is the array's, give what an HMAC computed step by step gives.
#[test]
fn the_counter_kdf_is_sp_800_108() {
    if in_cloudhsm_child("keys::the_counter_kdf_is_sp_800_108") {
        return;
    }
    let session = user();
    let value = [0x0b; 32];
    let import = |key_type, value: &[u8], uses: &[CK_ATTRIBUTE_TYPE]| {
        let mut template =
            vec![Attr::class(CKO_SECRET_KEY), Attr::key_type(key_type), Attr::bytes(CKA_VALUE, value)];
        template.extend(uses.iter().map(|usage| yes(*usage)));
        session.create_object(&template).unwrap()
    };
    let (label, context, length) = (&b"label"[..], &b"context"[..], 256u32.to_be_bytes());
    let input = [&1u32.to_be_bytes()[..], label, &[0], context, &length].concat();
    let hmac = import(CKK_GENERIC_SECRET, &value, &[CKA_SIGN]);
    let expected = session.sign(&Mechanism::new(CKM_SHA512_HMAC), hmac, &input).unwrap();
    let proof = |key| session.encrypt(&Mechanism::new(CKM_AES_ECB), key, &[0; 16]).unwrap();
    let expected = proof(import(CKK_AES, &expected[..32], &[CKA_ENCRYPT]));

    let base = import(CKK_AES, &value, &[CKA_DERIVE]);
    let word = |value: CK_ULONG| value.to_ne_bytes();
    let (counter, dkm) = (word(32), [word(1), word(32)].concat());
    let older =
        [Segment::raw(7, &dkm), Segment::raw(6, context), Segment::raw(5, label), Segment::raw(4, &counter)];
    let newer = [
        Segment::cloudhsm_counter(32),
        Segment::cloudhsm_bytes(label),
        Segment::cloudhsm_bytes(&[0]),
        Segment::cloudhsm_bytes(context),
        Segment::cloudhsm_dkm_length(1, 32),
    ];
    let template = [
        Attr::class(CKO_SECRET_KEY),
        Attr::key_type(CKK_AES),
        Attr::ulong(CKA_VALUE_LEN, 32),
        yes(CKA_ENCRYPT),
    ];
    let derive = |prf, fields: &[Segment]| {
        let mechanism = Mechanism::cloudhsm_sp800_108(COUNTER_KDF, prf, fields);
        proof(session.derive(&mechanism, base, &template).unwrap())
    };
    assert_eq!(derive(CKM_SHA512_HMAC, &older), expected);
    assert_eq!(derive(CKM_SHA512_HMAC, &newer), expected);
    assert_ne!(derive(CKM_AES_CMAC, &newer), expected);
}

#[test]
fn ml_dsa_pairs_take_their_set_in_both_templates() {
    if in_cloudhsm_child("keys::ml_dsa_pairs_take_their_set_in_both_templates") {
        return;
    }
    let session = user();
    let generator = Mechanism::new(VENDOR | CKM_ML_DSA_KEY_PAIR_GEN);
    let set = |set| Attr::ulong(VENDOR | CKA_PARAMETER_SET, set);
    for (number, len) in [(1, 2420), (2, 3309), (3, 4627)] {
        let pair = session.generate_key_pair(
            &generator,
            &[set(number), yes(CKA_VERIFY)],
            &[set(number), yes(CKA_SIGN)],
        );
        let (public, private) = pair.unwrap();
        assert_eq!(session.attribute_ulong(private, VENDOR | CKA_PARAMETER_SET), Ok(number));
        for (mechanism, data) in [(VENDOR | CKM_ML_DSA, &b"message"[..]), (EXT_MU_ML_DSA, &[5; 64])] {
            let mechanism = Mechanism::new(mechanism);
            let signature = session.sign(&mechanism, private, data).unwrap();
            assert_eq!(signature.len(), len);
            session.verify(&mechanism, public, data, &signature).unwrap();
        }
        let short = session.sign(&Mechanism::new(EXT_MU_ML_DSA), private, &[5; 63]);
        assert_eq!(Rv::of(&short), Rv(CKR_DATA_LEN_RANGE));
    }
    let differ = session.generate_key_pair(&generator, &[set(1)], &[set(2)]);
    assert_eq!(Rv::of(&differ), Rv(CKR_TEMPLATE_INCONSISTENT));
}
