//! Sessions and objects: login state, session keys, searches, certificates.

use super::*;
use std::ptr;

#[test]
fn sessions_are_read_write() {
    if in_cloudhsm_child("sessions::sessions_are_read_write") {
        return;
    }
    let session = user();
    let module = session.module();
    assert_eq!(Rv::of(&module.open_session(0, false)), Rv(CKR_FUNCTION_FAILED));
    assert_eq!(session.state(), Ok(CKS_RW_USER_FUNCTIONS));
}

#[test]
fn the_library_is_one_of_2_40() {
    if in_cloudhsm_child("sessions::the_library_is_one_of_2_40") {
        return;
    }
    let session = user();
    let module = session.module();
    let version = module.info().unwrap().cryptokiVersion;
    assert_eq!((version.major, version.minor), (2, 40));
    let token = module.token_info(0).unwrap();
    let ready = CKF_TOKEN_INITIALIZED | CKF_USER_PIN_INITIALIZED | CKF_LOGIN_REQUIRED | CKF_RNG;
    assert_eq!(token.flags & (ready | CKF_WRITE_PROTECTED), ready);
    assert_eq!((token.ulMinPinLen, token.ulMaxPinLen), (7, 64), "name, colon and password");
    assert_eq!((token.ulSessionCount, token.ulRwSessionCount), (1, 1));
    assert_eq!(
        session.message_encrypt_init(&Mechanism::new(CKM_AES_GCM), 1),
        Err(Rv(CKR_FUNCTION_NOT_SUPPORTED))
    );
}

#[test]
fn a_login_is_everybodys_and_outlives_its_session() {
    if in_cloudhsm_child("sessions::a_login_is_everybodys_and_outlives_its_session") {
        return;
    }
    let first = user();
    let module = first.module();
    first.logout().unwrap();
    let (second, third) = (module.open_session(0, true).unwrap(), module.open_session(0, true).unwrap());
    assert_eq!(third.state(), Ok(CKS_RW_PUBLIC_SESSION));
    first.login(CKU_USER, PIN).unwrap();
    assert_eq!(second.state(), Ok(CKS_RW_USER_FUNCTIONS));
    assert_eq!(Rv::of(&second.login(CKU_USER, PIN)), Rv(CKR_USER_ALREADY_LOGGED_IN));
    first.close().unwrap();
    assert_eq!(second.state(), Ok(CKS_RW_USER_FUNCTIONS));
    second.logout().unwrap();
    assert_eq!(third.state(), Ok(CKS_RW_PUBLIC_SESSION));
}

#[test]
fn session_keys_end_with_their_session() {
    if in_cloudhsm_child("sessions::session_keys_end_with_their_session") {
        return;
    }
    let first = user();
    let second = first.module().open_session(0, true).unwrap();
    let (public, private) = rsa(&first, 2048, &[yes(CKA_VERIFY)], &[yes(CKA_SIGN)]).unwrap();
    let mechanism = Mechanism::new(CKM_SHA512_RSA_PKCS);
    let signature = second.sign(&mechanism, private, b"message").unwrap();
    second.verify(&mechanism, public, b"message", &signature).unwrap();
    first.close().unwrap();
    assert_eq!(Rv::of(&second.sign(&mechanism, private, b"message")), Rv(CKR_KEY_HANDLE_INVALID));
}

/// unwrap_with_template.c counts with a NULL array what it then fetches.
#[test]
fn a_search_counts_without_an_array() {
    if in_cloudhsm_child("sessions::a_search_counts_without_an_array") {
        return;
    }
    let session = user();
    let labelled = |label| {
        let template = [Attr::ulong(CKA_VALUE_LEN, 32), Attr::label(label)];
        session.generate_key(&Mechanism::new(CKM_AES_KEY_GEN), &template).unwrap()
    };
    let (once, _) = (labelled("once"), [labelled("twice"), labelled("twice"), labelled("twice")]);
    let count = |most| {
        let mut found = CK_ULONG::MAX;
        // SAFETY: a NULL array is what this is about; the count may be written.
        let rv = unsafe {
            (session.f().C_FindObjects.unwrap())(session.handle(), ptr::null_mut(), most, &raw mut found)
        };
        assert_eq!(rv, CKR_OK);
        found
    };
    session.find_init(&[Attr::label("once")]).unwrap();
    assert_eq!([count(2), count(2)], [1, 1]);
    assert_eq!(session.find_next(1).unwrap(), [once]);
    assert_eq!(count(2), 0);
    session.find_final().unwrap();
    session.find_init(&[Attr::label("twice")]).unwrap();
    assert_eq!([count(2), count(9)], [2, 3]);
    session.find_final().unwrap();
}

#[test]
fn keys_are_found_by_class_and_modulus() {
    if in_cloudhsm_child("sessions::keys_are_found_by_class_and_modulus") {
        return;
    }
    let session = user();
    let (public, private) = rsa(&session, 2048, &[], &[]).unwrap();
    rsa(&session, 2048, &[], &[]).unwrap();
    let modulus = session.attribute(public, CKA_MODULUS).unwrap();
    for (class, key) in [(CKO_PUBLIC_KEY, public), (CKO_PRIVATE_KEY, private)] {
        let template = [Attr::class(class), Attr::bytes(CKA_MODULUS, &modulus)];
        assert_eq!(session.find(&template).unwrap(), [key]);
    }
    for secret in
        [CKA_PRIVATE_EXPONENT, CKA_PRIME_1, CKA_PRIME_2, CKA_EXPONENT_1, CKA_EXPONENT_2, CKA_COEFFICIENT]
    {
        assert_eq!(Rv::of(&session.attribute(private, secret)), Rv(CKR_ATTRIBUTE_SENSITIVE));
    }
    // Of a pair the first bytes of the SHA-1 of the public key, so the same on both.
    let sum = |key| session.attribute(key, CKA_CHECK_VALUE).unwrap();
    assert_eq!((sum(public).len(), sum(public)), (3, sum(private)));
    session.destroy(private).unwrap();
    assert_eq!(Rv::of(&session.attribute(private, CKA_CLASS)), Rv(CKR_OBJECT_HANDLE_INVALID));
}

#[test]
fn certificates_are_found_by_label_and_subject() {
    if in_cloudhsm_child("sessions::certificates_are_found_by_label_and_subject") {
        return;
    }
    let session = user();
    let subject = b"\x30\x0f\x31\x0d\x30\x0b\x06\x03\x55\x04\x03\x0c\x04test";
    let certificate = session
        .create_object(&[
            Attr::class(CKO_CERTIFICATE),
            yes(CKA_TOKEN),
            Attr::ulong(CKA_CERTIFICATE_TYPE, CKC_X_509),
            Attr::ulong(CKA_CERTIFICATE_CATEGORY, 0),
            Attr::bytes(CKA_SUBJECT, subject),
            Attr::bytes(CKA_VALUE, b"\x30\x03\x02\x01\x01"),
            Attr::label("certificate"),
        ])
        .unwrap();
    for by in [Attr::label("certificate"), Attr::bytes(CKA_SUBJECT, subject)] {
        assert_eq!(session.find(&[Attr::class(CKO_CERTIFICATE), by]).unwrap(), [certificate]);
    }
    session.destroy(certificate).unwrap();
    assert!(session.find(&[Attr::class(CKO_CERTIFICATE)]).unwrap().is_empty());
}

#[test]
fn wrong_passwords_lock_a_user_and_no_other() {
    if in_cloudhsm_child("sessions::wrong_passwords_lock_a_user_and_no_other") {
        return;
    }
    let session = user();
    session.logout().unwrap();
    session.login(CKU_SO, SO_PIN).unwrap();
    session.init_pin("other_user:password2").unwrap();
    session.logout().unwrap();
    let wrong = || Rv::of(&session.login(CKU_USER, "crypto_user:guess12"));
    let refusals: Vec<Rv> = (0..6).map(|_| wrong()).collect();
    assert_eq!(refusals[..5], [Rv(CKR_PIN_INCORRECT); 5]);
    assert_eq!(refusals[5], Rv(CKR_PIN_LOCKED));
    assert_eq!(Rv::of(&session.login(CKU_USER, PIN)), Rv(CKR_PIN_LOCKED), "the right one too");
    session.login(CKU_USER, "OTHER_user:password2").unwrap();
    session.logout().unwrap();
    session.login(CKU_SO, SO_PIN).unwrap();
    session.init_pin("crypto_user:password3").unwrap();
    session.logout().unwrap();
    session.login(CKU_USER, "crypto_user:password3").unwrap();
}

/// Keys belong to the user who made them.
#[test]
fn users_see_their_own_keys() {
    if in_cloudhsm_child("sessions::users_see_their_own_keys") {
        return;
    }
    let session = user();
    let template = [Attr::ulong(CKA_VALUE_LEN, 32), yes(CKA_TOKEN), Attr::label("mine")];
    session.generate_key(&Mechanism::new(CKM_AES_KEY_GEN), &template).unwrap();
    session.logout().unwrap();
    session.login(CKU_SO, SO_PIN).unwrap();
    session.init_pin("other_user:password2").unwrap();
    session.logout().unwrap();
    session.login(CKU_USER, "other_user:password2").unwrap();
    assert!(session.find(&[Attr::label("mine")]).unwrap().is_empty());
    session.logout().unwrap();
    session.login(CKU_USER, PIN).unwrap();
    assert_eq!(session.find(&[Attr::label("mine")]).unwrap().len(), 1);
}
