//! The functions for many messages and for authenticated wraps (sections 5.9, 5.11, 5.14, 5.17 and 5.18).

mod common;

use common::*;
use pkcs11_conformance::client::{Attr, Mechanism, Rv, Session};
use std::collections::HashSet;

const NO_TAG: [u8; 16] = [0; 16];

fn aes(session: &Session, more: &[Attr]) -> CK_OBJECT_HANDLE {
    let mut template = vec![
        Attr::class(CKO_SECRET_KEY),
        Attr::key_type(CKK_AES),
        Attr::bytes(CKA_VALUE, [7; 32]),
        Attr::bool(CKA_EXTRACTABLE, true),
        Attr::bool(CKA_SENSITIVE, false),
    ];
    for permission in [CKA_ENCRYPT, CKA_DECRYPT, CKA_WRAP, CKA_UNWRAP, CKA_SIGN, CKA_VERIFY] {
        template.push(Attr::bool(permission, true));
    }
    template.extend_from_slice(more);
    session.create_object(&template).expect("C_CreateObject")
}

fn message(iv: &[u8], generator: CK_ULONG, tag: &[u8]) -> Mechanism {
    Mechanism::gcm_message(iv, 0, generator, tag)
}

/// A session with both sequences begun under one key.
fn begun(token: &TestToken) -> (Session, CK_OBJECT_HANDLE) {
    let session = token.rw();
    let key = aes(&session, &[]);
    session.message_encrypt_init(&Mechanism::new(CKM_AES_GCM), key).expect("C_MessageEncryptInit");
    session.message_decrypt_init(&message(&[0; 12], 0, &NO_TAG), key).expect("C_MessageDecryptInit");
    (session, key)
}

fn end(session: &Session) {
    session.message_encrypt_final().expect("C_MessageEncryptFinal");
    session.message_decrypt_final().expect("C_MessageDecryptFinal");
    assert_eq!(session.message_encrypt_final(), Err(Rv(CKR_OPERATION_NOT_INITIALIZED)));
}

#[test]
fn a_message_is_gcm_with_its_tag_apart() {
    let token = TestToken::new();
    let (session, key) = begun(&token);
    for (iv, aad, data) in
        [(&[1; 12][..], &b""[..], &b""[..]), (&[2; 12], b"aad", b"data"), (&[3; 20], b"", b"x")]
    {
        let parameter = message(iv, CKG_NO_GENERATE, &NO_TAG);
        let ciphertext = session.encrypt_message(&parameter, aad, data).expect("C_EncryptMessage");
        assert_eq!(parameter.block(0), iv);
        let both = session.encrypt(&Mechanism::gcm(CKM_AES_GCM, iv, aad, 128), key, data).expect("C_Encrypt");
        assert_eq!([ciphertext.clone(), parameter.block(1)].concat(), both);
        assert_eq!(session.decrypt_message(&parameter, aad, &ciphertext), Ok(data.to_vec()));

        let mut forged = parameter.block(1);
        forged[15] ^= 1;
        let forged = message(iv, CKG_NO_GENERATE, &forged);
        let failed = Err(Rv(CKR_AEAD_DECRYPT_FAILED));
        assert_eq!(session.decrypt_message(&forged, aad, &ciphertext), failed);
        assert_eq!(session.decrypt_message(&parameter, b"other", &ciphertext), failed);
        assert_eq!(session.decrypt_message(&parameter, aad, &[&ciphertext[..], b"!"].concat()), failed);
    }
    end(&session);
}

#[test]
fn parts_equal_the_whole() {
    let token = TestToken::new();
    let (session, _) = begun(&token);
    let data: Vec<u8> = (0..1000_u32).map(|i| i as u8).collect();
    let parameter = message(&[9; 12], CKG_NO_GENERATE, &NO_TAG);
    let whole = session.encrypt_message(&parameter, b"aad", &data).expect("C_EncryptMessage");
    for part in [1, 15, 16, 17, 999, 1000, 2000] {
        let again = message(&[9; 12], CKG_NO_GENERATE, &NO_TAG);
        session.encrypt_message_begin(&again, b"aad").expect("C_EncryptMessageBegin");
        let mut ciphertext = Vec::new();
        for part in data.chunks(part) {
            ciphertext
                .extend(session.encrypt_message_next(&again, part, false).expect("C_EncryptMessageNext"));
        }
        ciphertext.extend(session.encrypt_message_next(&again, b"", true).expect("the last part"));
        assert_eq!((&ciphertext, again.block(1)), (&whole, parameter.block(1)), "by {part}");

        session.decrypt_message_begin(&again, b"aad").expect("C_DecryptMessageBegin");
        let (last, first) = whole.split_last().expect("bytes");
        for part in first.chunks(part) {
            assert_eq!(
                session.decrypt_message_next(&again, part, false),
                Ok(vec![]),
                "nothing before the tag"
            );
        }
        assert_eq!(session.decrypt_message_next(&again, &[*last], true), Ok(data.clone()), "by {part}");
    }
    let forged = message(&[9; 12], CKG_NO_GENERATE, &[1; 16]);
    session.decrypt_message_begin(&forged, b"aad").expect("C_DecryptMessageBegin");
    assert_eq!(session.decrypt_message_next(&forged, &whole, true), Err(Rv(CKR_AEAD_DECRYPT_FAILED)));
    assert_eq!(session.decrypt_message(&parameter, b"aad", &whole), Ok(data), "the sequence goes on");
    end(&session);
}

#[test]
fn ivs_are_made_and_never_come_again() {
    let token = TestToken::new();
    let (session, _) = begun(&token);
    let mut seen = HashSet::new();
    for number in 0..50_u32 {
        for (generator, fixed) in
            [(CKG_GENERATE, 0), (CKG_GENERATE, 32), (CKG_GENERATE_RANDOM, 0), (CKG_GENERATE_COUNTER, 32)]
        {
            // Each generator has a fixed part of its own, as two that share a key must.
            let iv = [[0xF0, 0, 0, generator as u8 + fixed as u8].as_slice(), &[0; 8]].concat();
            let parameter = Mechanism::gcm_message(&iv, fixed, generator, &NO_TAG);
            let ciphertext = session.encrypt_message(&parameter, b"", b"data").expect("C_EncryptMessage");
            let made = parameter.block(0);
            assert!(fixed == 0 || made[..4] == iv[..4], "the fixed part stays");
            assert!(seen.insert(made.clone()), "{generator} {number}");
            let back = message(&made, CKG_GENERATE_COUNTER_XOR, &parameter.block(1));
            assert_eq!(session.decrypt_message(&back, b"", &ciphertext), Ok(b"data".to_vec()));
        }
    }
    session.message_encrypt_final().expect("C_MessageEncryptFinal");
    let key = aes(&session, &[]);
    session.message_encrypt_init(&Mechanism::new(CKM_AES_GCM), key).expect("C_MessageEncryptInit");
    for number in 0..3_u8 {
        let parameter = Mechanism::gcm_message(&[5; 12], 32, CKG_GENERATE_COUNTER, &NO_TAG);
        session.encrypt_message(&parameter, b"", b"").expect("C_EncryptMessage");
        assert_eq!(parameter.block(0), [5, 5, 5, 5, 0, 0, 0, 0, 0, 0, 0, number], "a query counts nothing");
    }
    end(&session);
}

#[test]
fn bad_parameters_are_refused_and_the_sequence_goes_on() {
    let token = TestToken::new();
    let (session, key) = begun(&token);
    let bad = Err(Rv(CKR_MECHANISM_PARAM_INVALID));
    for parameter in [
        Mechanism::new(CKM_AES_GCM),
        Mechanism::gcm(CKM_AES_GCM, &[], b"", 128),
        message(&[], CKG_NO_GENERATE, &NO_TAG),
        message(&[1; 12], CKG_NO_GENERATE, &[]),
        message(&[1; 12], CKG_NO_GENERATE, &[0; 4]),
        message(&[1; 12], CKG_NO_GENERATE, &[0; 17]),
        message(&[1; 12], CKG_GENERATE_COUNTER_XOR, &NO_TAG),
        message(&[1; 12], 99, &NO_TAG),
        Mechanism::gcm_message(&[1; 12], 97, CKG_GENERATE, &NO_TAG),
        Mechanism::gcm_message(&[1; 12], 96, CKG_GENERATE_COUNTER, &NO_TAG),
        Mechanism::gcm_message(&[1; 12], 8, CKG_GENERATE_RANDOM, &NO_TAG),
        Mechanism::raw(CKM_AES_GCM, std::ptr::null(), size_of::<CK_GCM_MESSAGE_PARAMS>() as CK_ULONG),
    ] {
        let mut out = [0; 4];
        let mut len = out.len() as CK_ULONG;
        let (at, size) = parameter.parameter();
        let list = session.module().v3_2().expect("3.2");
        let encrypt = list.C_EncryptMessage.expect("C_EncryptMessage");
        let data = b"data".as_ptr().cast_mut();
        // SAFETY: buffers of these lengths; no associated data.
        let rv = unsafe {
            encrypt(
                session.handle(),
                at,
                size,
                std::ptr::null_mut(),
                0,
                data,
                4,
                out.as_mut_ptr(),
                &raw mut len,
            )
        };
        assert_eq!(rv, CKR_MECHANISM_PARAM_INVALID);
        assert_eq!(out, [0; 4]);
    }
    let bad_init = Mechanism::gcm(CKM_AES_GCM, &[], b"", 7);
    session.message_encrypt_final().expect("C_MessageEncryptFinal");
    assert_eq!(session.message_encrypt_init(&bad_init, key), bad);
    session.message_encrypt_init(&Mechanism::new(CKM_AES_GCM), key).expect("C_MessageEncryptInit");
    session
        .encrypt_message(&message(&[1; 12], CKG_GENERATE, &NO_TAG), b"", b"data")
        .expect("C_EncryptMessage");
    end(&session);
}

#[test]
fn the_order_of_calls_is_kept() {
    let token = TestToken::new();
    let (session, key) = begun(&token);
    let (active, none) = (Err(Rv(CKR_OPERATION_ACTIVE)), Err(Rv(CKR_OPERATION_NOT_INITIALIZED)));
    let parameter = message(&[4; 12], CKG_GENERATE, &NO_TAG);
    assert_eq!(session.message_encrypt_init(&Mechanism::new(CKM_AES_GCM), key), active);
    assert_eq!(session.encrypt_message_next(&parameter, b"", true).map(drop), none);
    session.encrypt_message_begin(&parameter, b"").expect("C_EncryptMessageBegin");
    assert_eq!(session.encrypt_message_begin(&parameter, b""), active);
    assert_eq!(session.encrypt_message(&parameter, b"", b"").map(drop), active);
    assert_eq!(session.message_encrypt_final(), active);
    session.encrypt_message_next(&parameter, b"data", true).expect("the last part");
    assert_eq!(session.encrypt_message_next(&parameter, b"", true).map(drop), none);
    end(&session);

    // Neither a mechanism without messages nor a key without the permission.
    let cbc = Mechanism::bytes(CKM_AES_CBC, &[0; 16]);
    assert_eq!(session.message_encrypt_init(&cbc, key), Err(Rv(CKR_MECHANISM_INVALID)));
    let other = aes(&session, &[Attr::label("other")]);
    session.set(other, &[Attr::bool(CKA_DECRYPT, false)]).expect("C_SetAttributeValue");
    let gcm = Mechanism::new(CKM_AES_GCM);
    assert_eq!(session.message_decrypt_init(&gcm, other), Err(Rv(CKR_KEY_FUNCTION_NOT_PERMITTED)));
    session.message_encrypt_init(&gcm, other).expect("C_MessageEncryptInit");
    session.session_cancel(CKF_MESSAGE_ENCRYPT).expect("C_SessionCancel");
    assert_eq!(session.message_encrypt_final(), none);
    session.message_encrypt_init(&gcm, other).expect("C_MessageEncryptInit");
    session.destroy(other).expect("C_DestroyObject");
    assert_eq!(session.encrypt_message(&parameter, b"", b"").map(drop), none, "its key is gone");
}

#[test]
fn each_message_is_a_signature() {
    let token = TestToken::new();
    let session = token.rw();
    let key = aes(&session, &[]);
    let (cmac, nothing) = (Mechanism::new(CKM_AES_CMAC), Mechanism::new(CKM_AES_CMAC));
    session.message_sign_init(&cmac, key).expect("C_MessageSignInit");
    session.message_verify_init(&cmac, key).expect("C_MessageVerifyInit");
    for data in [&b""[..], b"one", b"two", b"one"] {
        let signature = session.sign_message(&nothing, data).expect("C_SignMessage");
        assert_eq!(Ok(&signature), session.sign(&cmac, key, data).as_ref());
        session.verify_message(&nothing, data, &signature).expect("C_VerifyMessage");
        let wrong = session.verify_message(&nothing, b"three", &signature);
        assert_eq!(wrong, Err(Rv(CKR_SIGNATURE_INVALID)));
        assert_eq!(signature, in_parts(&session, data));
    }
    session.message_sign_final().expect("C_MessageSignFinal");
    session.message_verify_final().expect("C_MessageVerifyFinal");
    assert_eq!(session.message_sign_final(), Err(Rv(CKR_OPERATION_NOT_INITIALIZED)));
}

/// Signs and verifies `data` byte by byte.
fn in_parts(session: &Session, data: &[u8]) -> Vec<u8> {
    let list = session.module().v3_2().expect("3.2");
    let (none, handle) = (std::ptr::null_mut(), session.handle());
    let next = list.C_SignMessageNext.expect("C_SignMessageNext");
    let verify = list.C_VerifyMessageNext.expect("C_VerifyMessageNext");
    let (mut signature, mut len) = (vec![0; 16], 0);
    // SAFETY: no parameters; data and signature of these lengths.
    unsafe {
        assert_eq!(
            next(handle, none, 0, none.cast(), 0, none.cast(), &raw mut len),
            CKR_OPERATION_NOT_INITIALIZED
        );
        assert_eq!(list.C_SignMessageBegin.expect("C_SignMessageBegin")(handle, none, 0), CKR_OK);
        assert_eq!(list.C_VerifyMessageBegin.expect("C_VerifyMessageBegin")(handle, none, 0), CKR_OK);
        for byte in data {
            let byte = std::ptr::from_ref(byte).cast_mut();
            assert_eq!(next(handle, none, 0, byte, 1, none.cast(), none.cast()), CKR_OK);
            assert_eq!(verify(handle, none, 0, byte, 1, none.cast(), 0), CKR_OK);
        }
        assert_eq!(next(handle, none, 0, none.cast(), 0, none.cast(), &raw mut len), CKR_OK);
        assert_eq!(len, 16);
        len = 15;
        let at = signature.as_mut_ptr();
        assert_eq!(next(handle, none, 0, none.cast(), 0, at, &raw mut len), CKR_BUFFER_TOO_SMALL);
        assert_eq!(next(handle, none, 0, none.cast(), 0, at, &raw mut len), CKR_OK);
        assert_eq!(verify(handle, none, 0, none.cast(), 0, at, 16), CKR_OK);
    }
    signature
}

#[test]
fn a_wrap_is_bound_to_its_associated_data() {
    let token = TestToken::new();
    let session = token.rw();
    let (wrapping, key) = (aes(&session, &[]), aes(&session, &[Attr::label("wrapped")]));
    let parameter = message(&[0; 12], CKG_GENERATE, &NO_TAG);
    let wrapped =
        session.wrap_authenticated(&parameter, wrapping, key, b"bound").expect("C_WrapKeyAuthenticated");
    let (iv, tag) = (parameter.block(0), parameter.block(1));
    assert_ne!(iv, [0; 12]);
    let gcm = Mechanism::gcm(CKM_AES_GCM, &iv, b"bound", 128);
    let both = [&wrapped[..], &tag].concat();
    assert_eq!(session.decrypt(&gcm, wrapping, &both), Ok(vec![7; 32]));

    let template = [
        Attr::class(CKO_SECRET_KEY),
        Attr::key_type(CKK_AES),
        Attr::bool(CKA_SENSITIVE, false),
        Attr::bool(CKA_EXTRACTABLE, true),
    ];
    let back = message(&iv, CKG_NO_GENERATE, &tag);
    let unwrap = |parameter: &Mechanism, wrapped: &[u8], aad: &[u8]| {
        session.unwrap_authenticated(parameter, wrapping, wrapped, &template, aad)
    };
    let again = unwrap(&back, &wrapped, b"bound").expect("C_UnwrapKeyAuthenticated");
    assert_eq!(session.attribute(again, CKA_VALUE), Ok(vec![7; 32]));
    let invalid = Err(Rv(CKR_WRAPPED_KEY_INVALID));
    assert_eq!(unwrap(&back, &wrapped, b"other"), invalid);
    assert_eq!(unwrap(&message(&iv, CKG_NO_GENERATE, &NO_TAG), &wrapped, b"bound"), invalid);
    assert_eq!(unwrap(&back, &wrapped[1..], b"bound"), invalid);

    let refused = Err(Rv(CKR_MECHANISM_PARAM_INVALID));
    let counter = message(&[0; 12], CKG_GENERATE_COUNTER, &NO_TAG);
    assert_eq!(session.wrap_authenticated(&counter, wrapping, key, b"").map(drop), refused);
    let pad = Mechanism::new(CKM_AES_KEY_WRAP_KWP);
    assert_eq!(
        session.wrap_authenticated(&pad, wrapping, key, b"").map(drop),
        Err(Rv(CKR_MECHANISM_INVALID))
    );
}

/// C_WrapKey takes CK_GCM_WRAP_PARAMS, and puts the tag behind the key.
#[test]
fn a_wrap_may_have_the_module_make_its_iv() {
    let token = TestToken::new();
    let session = token.rw();
    let (wrapping, key) = (aes(&session, &[]), aes(&session, &[]));
    let parameter = Mechanism::gcm_wrap(&[0; 12], 0, CKG_GENERATE_RANDOM, 128);
    let wrapped = session.wrap(&parameter, wrapping, key).expect("C_WrapKey");
    let iv = parameter.block(0);
    let gcm = Mechanism::gcm(CKM_AES_GCM, &iv, b"", 128);
    assert_eq!(session.decrypt(&gcm, wrapping, &wrapped), Ok(vec![7; 32]));
    let template = [Attr::class(CKO_SECRET_KEY), Attr::key_type(CKK_AES)];
    let back = Mechanism::gcm_wrap(&iv, 0, CKG_NO_GENERATE, 128);
    session.unwrap(&back, wrapping, &wrapped, &template).expect("C_UnwrapKey");
    for len in [0, 15, 16, 47] {
        let short = session.unwrap(&back, wrapping, &wrapped[..len], &template);
        let code = if len < 16 { CKR_WRAPPED_KEY_LEN_RANGE } else { CKR_WRAPPED_KEY_INVALID };
        assert_eq!(short, Err(Rv(code)), "{len}");
    }
    assert_eq!(session.encrypt(&back, wrapping, b"").map(drop), Err(Rv(CKR_MECHANISM_PARAM_INVALID)));
}

#[test]
fn flags_tell_and_cloudhsm_has_none() {
    if in_cloudhsm_child("flags_tell_and_cloudhsm_has_none") {
        return;
    }
    let messages =
        CKF_MESSAGE_ENCRYPT | CKF_MESSAGE_DECRYPT | CKF_MESSAGE_SIGN | CKF_MESSAGE_VERIFY | CKF_MULTI_MESSAGE;
    let slot = module().slots(false).expect("C_GetSlotList")[0];
    for mechanism in module().mechanisms(slot).expect("C_GetMechanismList") {
        let info = module().mechanism_info(slot, mechanism).expect("C_GetMechanismInfo");
        assert_eq!(info.flags & messages, 0, "{mechanism:#x}");
    }
}
