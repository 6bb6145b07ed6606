//! The wrapping samples: every mechanism, each template as short as theirs.

use super::*;

/// CK_RSA_PKCS_OAEP_PARAMS as the samples leave it: no source, no label.
fn oaep(hash: CK_MECHANISM_TYPE, mgf: CK_RSA_PKCS_MGF_TYPE) -> Mechanism {
    Mechanism::with(CKM_RSA_PKCS_OAEP, |_| CK_RSA_PKCS_OAEP_PARAMS {
        hashAlg: hash,
        mgf,
        source: 0,
        pSourceData: std::ptr::null_mut(),
        ulSourceDataLen: 0,
    })
}

/// What C_UnwrapKey is told of the key.
fn unwrapped(class: CK_OBJECT_CLASS, key_type: CK_KEY_TYPE) -> [Attr; 4] {
    [Attr::class(class), Attr::key_type(key_type), Attr::bool(CKA_TOKEN, false), yes(CKA_EXTRACTABLE)]
}

fn cmac(session: &Session, key: CK_OBJECT_HANDLE) -> Vec<u8> {
    session.sign(&Mechanism::new(CKM_AES_CMAC), key, b"the same key").unwrap()
}

/// Wraps an AES key and unwraps it again; the length of the blob.
fn there_and_back(
    session: &Session,
    mechanism: &Mechanism,
    wrapping: CK_OBJECT_HANDLE,
    unwrapping: CK_OBJECT_HANDLE,
) -> usize {
    let key = aes(session, &[]);
    let blob = session.wrap(mechanism, wrapping, key).unwrap();
    let template = [&unwrapped(CKO_SECRET_KEY, CKK_AES)[..], &[yes(CKA_SIGN)]].concat();
    let again = session.unwrap(mechanism, unwrapping, &blob, &template).unwrap();
    assert_eq!(cmac(session, again), cmac(session, key));
    blob.len()
}

#[test]
fn secret_keys_go_out_and_come_back() {
    if in_cloudhsm_child("wrapping::secret_keys_go_out_and_come_back") {
        return;
    }
    let session = user();
    let key = aes(&session, &[CKA_WRAP, CKA_UNWRAP]);
    for (mechanism, len) in [
        (Mechanism::new(NO_PAD), 40),
        (Mechanism::bytes(NO_PAD, &[0xa6; 8]), 40),
        (Mechanism::new(PKCS5_PAD), 48),
        (Mechanism::new(ZERO_PAD), 40),
        (Mechanism::gcm(CKM_AES_GCM, &[0; 12], b"", 128), 48),
        (Mechanism::gcm(CLOUDHSM_AES_GCM, b"", b"", 128), 60),
    ] {
        assert_eq!(there_and_back(&session, &mechanism, key, key), len, "{:#x}", mechanism.number());
    }
    let payload = aes(&session, &[]);
    for mechanism in [Mechanism::bytes(CKM_AES_CBC_PAD, &[0; 16]), Mechanism::new(CKM_AES_KEY_WRAP)] {
        let outcome = session.wrap(&mechanism, key, payload);
        assert_eq!(Rv::of(&outcome), Rv(CKR_MECHANISM_INVALID), "CloudHSM has none of this");
    }
    for (number, iv) in [(NO_PAD, [1; 8]), (PKCS5_PAD, [1; 8]), (ZERO_PAD, [0xa6; 8])] {
        let outcome = session.wrap(&Mechanism::bytes(number, &iv), key, payload);
        assert_eq!(Rv::of(&outcome), Rv(CKR_MECHANISM_PARAM_INVALID), "{number:#x} takes no such IV");
    }
    let (public, private) =
        rsa(&session, 2048, &[yes(CKA_TOKEN), yes(CKA_WRAP)], &[yes(CKA_TOKEN), yes(CKA_UNWRAP)]).unwrap();
    for (hash, mgf) in
        [(CKM_SHA256, CKG_MGF1_SHA256), (CKM_SHA_1, CKG_MGF1_SHA1), (CKM_SHA512, CKG_MGF1_SHA512)]
    {
        assert_eq!(there_and_back(&session, &oaep(hash, mgf), public, private), 256);
    }
    let rsa_aes = Mechanism::rsa_aes(256, CKM_SHA256, CKG_MGF1_SHA256);
    assert_eq!(there_and_back(&session, &rsa_aes, public, private), 296);
}

#[test]
fn private_keys_go_out_and_come_back() {
    if in_cloudhsm_child("wrapping::private_keys_go_out_and_come_back") {
        return;
    }
    let session = user();
    let key = aes(&session, &[CKA_WRAP, CKA_UNWRAP]);
    let (public, private) = rsa(&session, 2048, &[yes(CKA_VERIFY)], &[yes(CKA_SIGN)]).unwrap();
    let pss = Mechanism::pss(CKM_SHA256_RSA_PKCS_PSS, CKM_SHA256, CKG_MGF1_SHA256, 32);
    for mechanism in [
        Mechanism::new(PKCS5_PAD),
        Mechanism::new(ZERO_PAD),
        Mechanism::gcm(CKM_AES_GCM, &[0; 12], b"", 128),
        Mechanism::gcm(CLOUDHSM_AES_GCM, b"", b"aad", 128),
    ] {
        let blob = session.wrap(&mechanism, key, private).unwrap();
        let template = [&unwrapped(CKO_PRIVATE_KEY, CKK_RSA)[..], &[yes(CKA_SIGN)]].concat();
        let again = session.unwrap(&mechanism, key, &blob, &template).unwrap();
        let signature = session.sign(&pss, again, b"message").unwrap();
        session.verify(&pss, public, b"message", &signature).unwrap();
    }
}

#[test]
fn parameters_are_cloudhsms() {
    if in_cloudhsm_child("wrapping::parameters_are_cloudhsms") {
        return;
    }
    let session = user();
    let invalid = |outcome: Rv| assert_eq!(outcome, Rv(CKR_MECHANISM_PARAM_INVALID));
    let (key, payload) = (aes(&session, &[CKA_WRAP, CKA_UNWRAP]), aes(&session, &[]));
    for iv in [&[7; 12][..], &[0; 16], &[]] {
        invalid(Rv::of(&session.wrap(&Mechanism::gcm(CKM_AES_GCM, iv, b"", 128), key, payload)));
    }
    // The module's IV is there after C_WrapKey, for the same structure to go to C_UnwrapKey.
    let gcm = Mechanism::gcm(CKM_AES_GCM, &[0; 12], b"", 128);
    session.wrap(&gcm, key, payload).unwrap();
    assert_ne!(gcm.block(0), [0; 12]);
    let uses = [yes(CKA_WRAP), yes(CKA_ENCRYPT)];
    let (public, _) = rsa(&session, 2048, &uses, &[]).unwrap();
    invalid(Rv::of(&session.wrap(&oaep(CKM_SHA256, CKG_MGF1_SHA1), public, payload)));
    invalid(Rv::of(&session.encrypt(&oaep(CKM_SHA_1, CKG_MGF1_SHA256), public, b"x")));
    let mixed = Mechanism::rsa_aes(256, CKM_SHA256, CKG_MGF1_SHA1);
    invalid(Rv::of(&session.wrap(&mixed, public, payload)));
}

/// CKA_VALUE_LEN is not for an unwrapping template to say, and PKCS #1 v1.5 wraps all the same.
#[test]
fn a_length_is_told_by_the_blob() {
    if in_cloudhsm_child("wrapping::a_length_is_told_by_the_blob") {
        return;
    }
    let session = user();
    let uses = ([yes(CKA_WRAP), yes(CKA_ENCRYPT)], [yes(CKA_UNWRAP)]);
    let (public, private) = rsa(&session, 2048, &uses.0, &uses.1).unwrap();
    let mechanism = Mechanism::new(CKM_RSA_PKCS);
    assert_eq!(there_and_back(&session, &mechanism, public, private), 256);
    let des3 = [yes(CKA_ENCRYPT), Attr::bool(CKA_TOKEN, false)];
    let des3 = session.generate_key(&Mechanism::new(CKM_DES3_KEY_GEN), &des3).unwrap();
    let blob = session.wrap(&mechanism, public, des3).unwrap();
    session.unwrap(&mechanism, private, &blob, &unwrapped(CKO_SECRET_KEY, CKK_DES3)).unwrap();
    // No AES key has 17 bytes. A broken padding is refused, if it is, in the same words.
    let wrong = session.encrypt(&mechanism, public, &[1; 17]).unwrap();
    let outcome = session.unwrap(&mechanism, private, &wrong, &unwrapped(CKO_SECRET_KEY, CKK_AES));
    assert_eq!(Rv::of(&outcome), Rv(CKR_WRAPPED_KEY_INVALID));
    let mut forged = blob.clone();
    for byte in 0..8 {
        forged[255] = blob[255] ^ (1 << byte);
        let outcome = session.unwrap(&mechanism, private, &forged, &unwrapped(CKO_SECRET_KEY, CKK_AES));
        assert!([CKR_OK, CKR_WRAPPED_KEY_INVALID].contains(&Rv::of(&outcome).0));
    }
}

#[test]
fn the_wrapping_keys_template_is_kept() {
    if in_cloudhsm_child("wrapping::the_wrapping_keys_template_is_kept") {
        return;
    }
    let session = user();
    let template = [
        Attr::ulong(CKA_VALUE_LEN, 32),
        yes(CKA_WRAP),
        Attr::template(CKA_WRAP_TEMPLATE, &[yes(CKA_ENCRYPT)]),
    ];
    let key = session.generate_key(&Mechanism::new(CKM_AES_KEY_GEN), &template).unwrap();
    let mechanism = Mechanism::new(PKCS5_PAD);
    assert_eq!(Rv::of(&session.wrap(&mechanism, key, aes(&session, &[]))), Rv(CKR_KEY_HANDLE_INVALID));
    session.wrap(&mechanism, key, aes(&session, &[CKA_ENCRYPT])).unwrap();
}

/// The SO, CloudHSM's admin, makes the trusted key: for all, since the SO has no private objects.
#[test]
fn the_so_makes_trusted_keys() {
    if in_cloudhsm_child("wrapping::the_so_makes_trusted_keys") {
        return;
    }
    let session = user();
    let trusted = [
        Attr::ulong(CKA_VALUE_LEN, 32),
        Attr::label("trusted"),
        yes(CKA_TOKEN),
        yes(CKA_TRUSTED),
        yes(CKA_WRAP),
        yes(CKA_UNWRAP),
        Attr::bool(CKA_PRIVATE, false),
        Attr::template(CKA_UNWRAP_TEMPLATE, &[yes(CKA_EXTRACTABLE)]),
    ];
    let generator = Mechanism::new(CKM_AES_KEY_GEN);
    assert_eq!(Rv::of(&session.generate_key(&generator, &trusted)), Rv(CKR_ATTRIBUTE_READ_ONLY));
    session.logout().unwrap();
    session.login(CKU_SO, SO_PIN).unwrap();
    session.generate_key(&generator, &trusted).unwrap();
    session.logout().unwrap();
    session.login(CKU_USER, PIN).unwrap();
    let [wrapping] = session.find(&[Attr::label("trusted")]).unwrap()[..] else { panic!("one key") };
    assert!(session.attribute_bool(wrapping, CKA_TRUSTED).unwrap());
    let private = [yes(CKA_SIGN), yes(CKA_EXTRACTABLE), yes(CKA_WRAP_WITH_TRUSTED)];
    let (_, payload) = rsa(&session, 2048, &[], &private).unwrap();
    let mechanism = Mechanism::new(PKCS5_PAD);
    let other = aes(&session, &[CKA_WRAP]);
    assert_eq!(Rv::of(&session.wrap(&mechanism, other, payload)), Rv(CKR_KEY_NOT_WRAPPABLE));
    let blob = session.wrap(&mechanism, wrapping, payload).unwrap();
    let [class, key_type, token, extractable] = unwrapped(CKO_PRIVATE_KEY, CKK_RSA);
    let unwrap = |template: &[Attr]| session.unwrap(&mechanism, wrapping, &blob, template);
    unwrap(&[class.clone(), key_type.clone(), token.clone(), extractable]).unwrap();
    let silent = [class, key_type, token];
    assert!(session.attribute_bool(unwrap(&silent).unwrap(), CKA_EXTRACTABLE).unwrap());
    let contrary = [&silent[..], &[Attr::bool(CKA_EXTRACTABLE, false)]].concat();
    assert_eq!(Rv::of(&unwrap(&contrary)), Rv(CKR_TEMPLATE_INCONSISTENT));
}
