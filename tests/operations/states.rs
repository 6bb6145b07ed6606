//! Which call is allowed when: Init, one piece or parts, Final, cancelling; and several operations at once.

use super::*;
use pkcs11_conformance::client::Result;

type Step = fn(&Session) -> Result<()>;

/// A kind of operation.
struct Kind {
    name: &'static str,
    /// CKF_*, as C_SessionCancel names it.
    flag: CK_FLAGS,
    init: fn(&Session, CK_OBJECT_HANDLE) -> Result<()>,
    once: Step,
    update: Step,
    last: Step,
}

fn drop_ok<T>(result: Result<T>) -> Result<()> {
    result.map(drop)
}

const CMAC: CK_MECHANISM_TYPE = CKM_AES_CMAC;

fn mac_of_block(session: &Session) -> Vec<u8> {
    // The CMAC of 32 zero bytes: found by a session of its own.
    let other =
        session.module().open_session(session.info().expect("open").slotID, false).expect("C_OpenSession");
    let key = other.find(&[Attr::label("states")]).expect("C_FindObjects")[0];
    other.sign(&Mechanism::new(CMAC), key, &[0; 32]).expect("C_Sign")
}

const KINDS: [Kind; 5] = [
    Kind {
        name: "encrypt",
        flag: CKF_ENCRYPT,
        init: |session, key| session.encrypt_init(&Mechanism::new(CKM_AES_ECB), key),
        once: |session| drop_ok(session.encrypt_once(&[0; 32])),
        update: |session| drop_ok(session.encrypt_update(&[0; 32])),
        last: |session| drop_ok(session.encrypt_final()),
    },
    Kind {
        name: "decrypt",
        flag: CKF_DECRYPT,
        init: |session, key| session.decrypt_init(&Mechanism::new(CKM_AES_ECB), key),
        once: |session| drop_ok(session.decrypt_once(&[0; 32])),
        update: |session| drop_ok(session.decrypt_update(&[0; 32])),
        last: |session| drop_ok(session.decrypt_final()),
    },
    Kind {
        name: "sign",
        flag: CKF_SIGN,
        init: |session, key| session.sign_init(&Mechanism::new(CMAC), key),
        once: |session| drop_ok(session.sign_once(&[0; 32])),
        update: |session| session.sign_update(&[0; 32]),
        last: |session| drop_ok(session.sign_final()),
    },
    Kind {
        name: "verify",
        flag: CKF_VERIFY,
        init: |session, key| session.verify_init(&Mechanism::new(CMAC), key),
        once: |session| session.verify_once(&[0; 32], &mac_of_block(session)),
        update: |session| session.verify_update(&[0; 32]),
        last: |session| session.verify_final(&mac_of_block(session)),
    },
    Kind {
        name: "digest",
        flag: CKF_DIGEST,
        init: |session, _| session.digest_init(&Mechanism::new(CKM_SHA256)),
        once: |session| drop_ok(session.digest_once(&[0; 32])),
        update: |session| session.digest_update(&[0; 32]),
        last: |session| drop_ok(session.digest_final()),
    },
];

fn token() -> (TestToken, CK_OBJECT_HANDLE) {
    let token = TestToken::new();
    let mut template = vec![Attr::ulong(CKA_VALUE_LEN, 16), Attr::label("states")];
    template.extend([CKA_ENCRYPT, CKA_DECRYPT, CKA_SIGN, CKA_VERIFY].map(|kind| Attr::bool(kind, true)));
    let key = token.session.generate_key(&Mechanism::new(CKM_AES_KEY_GEN), &template).expect("C_GenerateKey");
    (token, key)
}

#[test]
fn each_kind_begins_goes_on_and_ends_as_the_standard_says() {
    let (token, key) = token();
    let session = &token.session;
    for Kind { name, flag, init, once, update, last } in &KINDS {
        for step in [once, update, last] {
            assert_eq!(step(session), Err(INACTIVE), "{name} before its Init");
        }
        init(session, key).expect(name);
        assert_eq!(init(session, key), Err(ACTIVE), "{name}");
        once(session).expect(name);
        for step in [once, update, last] {
            assert_eq!(step(session), Err(INACTIVE), "{name} after its end");
        }
        // Parts; the one-piece function cannot end them, and does not.
        init(session, key).expect(name);
        update(session).expect(name);
        assert_eq!(init(session, key), Err(ACTIVE), "{name}");
        assert_eq!(once(session), Err(INACTIVE), "{name} in one piece after a part");
        last(session).unwrap_or_else(|rv| panic!("{name}: {rv}"));
        assert_eq!(last(session), Err(INACTIVE), "{name}");
        // A refused Init begins nothing.
        let refused = init(session, CK_INVALID_HANDLE);
        match *flag {
            CKF_DIGEST => session.session_cancel(CKF_DIGEST).expect("C_SessionCancel"),
            _ => assert_eq!(refused, Err(Rv(CKR_KEY_HANDLE_INVALID)), "{name}"),
        }
        assert_eq!(update(session), Err(INACTIVE), "{name}");
        // C_SessionCancel ends what it names and nothing else.
        init(session, key).expect(name);
        update(session).expect(name);
        session
            .session_cancel(!flag & (CKF_ENCRYPT | CKF_DECRYPT | CKF_SIGN | CKF_VERIFY | CKF_DIGEST))
            .expect(name);
        update(session).expect(name);
        session.session_cancel(*flag).expect(name);
        assert_eq!(update(session), Err(INACTIVE), "{name}");
        session.session_cancel(*flag).expect("nothing to cancel is no fault");
    }
}

#[test]
fn a_null_mechanism_ends_an_operation() {
    let (token, key) = token();
    let session = &token.session;
    let f = session.f();
    for kind in &KINDS {
        (kind.init)(session, key).expect(kind.name);
        let null = std::ptr::null_mut();
        // SAFETY: NULL where a mechanism may be.
        let rv = unsafe {
            match kind.flag {
                CKF_ENCRYPT => f.C_EncryptInit.expect("listed")(session.handle(), null, 0),
                CKF_DECRYPT => f.C_DecryptInit.expect("listed")(session.handle(), null, 0),
                CKF_SIGN => f.C_SignInit.expect("listed")(session.handle(), null, 0),
                CKF_VERIFY => f.C_VerifyInit.expect("listed")(session.handle(), null, 0),
                _ => f.C_DigestInit.expect("listed")(session.handle(), null),
            }
        };
        assert_eq!(rv, CKR_OK, "{}", kind.name);
        assert_eq!((kind.update)(session), Err(INACTIVE), "{}", kind.name);
    }
}

#[test]
fn operations_of_all_kinds_run_side_by_side() {
    let (token, key) = token();
    let session = &token.session;
    KINDS.iter().for_each(|kind| (kind.init)(session, key).expect(kind.name));
    session.find_init(&[Attr::label("states")]).expect("C_FindObjectsInit");
    for _ in 0..3 {
        KINDS
            .iter()
            .filter(|kind| kind.name != "verify")
            .for_each(|kind| (kind.update)(session).expect(kind.name));
    }
    (KINDS[3].update)(session).expect("verify");
    assert_eq!(session.find_next(10), Ok(vec![key]));
    KINDS.iter().rev().for_each(|kind| (kind.last)(session).expect(kind.name));
    session.find_final().expect("C_FindObjectsFinal");
    // A session's end is theirs, and no other session's.
    let (one, two) = (token.rw(), token.rw());
    KINDS.iter().for_each(|kind| (kind.init)(&one, key).and((kind.init)(&two, key)).expect(kind.name));
    one.close().expect("C_CloseSession");
    KINDS.iter().for_each(|kind| (kind.once)(&two).expect(kind.name));
}

#[test]
fn an_error_ends_an_operation() {
    let (token, key) = token();
    let session = &token.session;
    session.encrypt_init(&Mechanism::new(CKM_AES_ECB), key).expect("C_EncryptInit");
    assert_eq!(session.encrypt_once(&[0; 17]), Err(Rv(CKR_DATA_LEN_RANGE)));
    assert_eq!(session.encrypt_once(&[0; 16]), Err(INACTIVE));
    session.encrypt_init(&Mechanism::new(CKM_AES_ECB), key).expect("C_EncryptInit");
    session.encrypt_update(&[0; 17]).expect("C_EncryptUpdate");
    assert_eq!(session.encrypt_final(), Err(Rv(CKR_DATA_LEN_RANGE)));
    assert_eq!(session.encrypt_final(), Err(INACTIVE));
    session.verify_init(&Mechanism::new(CMAC), key).expect("C_VerifyInit");
    assert_eq!(session.verify_once(b"data", &[0; 15]), Err(Rv(CKR_SIGNATURE_LEN_RANGE)));
    assert_eq!(session.verify_once(b"data", &[0; 16]), Err(INACTIVE));
    session.verify_init(&Mechanism::new(CMAC), key).expect("C_VerifyInit");
    assert_eq!(session.verify_once(b"data", &[0; 16]), Err(Rv(CKR_SIGNATURE_INVALID)));
    assert_eq!(session.verify_final(&[0; 16]), Err(INACTIVE));
    for (mechanism, code) in [
        (Mechanism::new(0x7fff_fff0), CKR_MECHANISM_INVALID),
        (Mechanism::new(CKM_SHA256), CKR_MECHANISM_INVALID),
        (Mechanism::new(CKM_AES_CBC), CKR_MECHANISM_PARAM_INVALID),
        (Mechanism::bytes(CKM_AES_CBC, &[0; 15]), CKR_MECHANISM_PARAM_INVALID),
        (Mechanism::new(CKM_DES3_ECB), CKR_KEY_TYPE_INCONSISTENT),
    ] {
        assert_eq!(session.encrypt_init(&mechanism, key), Err(Rv(code)), "{:#x}", mechanism.number());
        assert_eq!(session.encrypt_update(&[0; 16]), Err(INACTIVE));
    }
}

#[test]
fn searches_have_their_own_order() {
    let (token, key) = token();
    let session = &token.session;
    assert_eq!(session.find_next(1), Err(INACTIVE));
    assert_eq!(session.find_final(), Err(INACTIVE));
    session.find_init(&[]).expect("C_FindObjectsInit");
    assert_eq!(session.find_init(&[]), Err(ACTIVE));
    assert_eq!(session.find_next(1), Ok(vec![key]));
    assert_eq!(session.find_next(1), Ok(vec![]));
    assert_eq!(session.find_next(1), Ok(vec![]), "the end stays the end");
    session.find_final().expect("C_FindObjectsFinal");
    session.find_init(&[]).expect("C_FindObjectsInit");
    session.session_cancel(CKF_FIND_OBJECTS).expect("C_SessionCancel");
    assert_eq!(session.find_next(1), Err(INACTIVE));
}

#[test]
fn dual_functions_feed_both() {
    let (token, key) = token();
    let session = &token.session;
    let (cbc, sha256, cmac) =
        (Mechanism::bytes(CKM_AES_CBC_PAD, &[3; 16]), Mechanism::new(CKM_SHA256), Mechanism::new(CMAC));
    let data = noise(1000);
    let sealed = session.encrypt(&cbc, key, &data).expect("C_Encrypt");
    let digest = session.digest(&sha256, &data).expect("C_Digest");
    let mac = session.sign(&cmac, key, &data).expect("C_Sign");
    type Update = fn(&Session, &[u8]) -> Result<Vec<u8>>;
    let run = |update: Update, input: &[u8]| -> Vec<u8> {
        input.chunks(77).flat_map(|part| update(session, part).expect("a dual update")).collect()
    };

    session.encrypt_init(&cbc, key).and(session.digest_init(&sha256)).expect("Init");
    let mut out = run(|session, part| session.digest_encrypt_update(part), &data);
    out.extend(session.encrypt_final().expect("C_EncryptFinal"));
    assert_eq!((out, session.digest_final()), (sealed.clone(), Ok(digest.clone())));

    session.encrypt_init(&cbc, key).and(session.sign_init(&cmac, key)).expect("Init");
    let mut out = run(|session, part| session.sign_encrypt_update(part), &data);
    out.extend(session.encrypt_final().expect("C_EncryptFinal"));
    assert_eq!((out, session.sign_final()), (sealed.clone(), Ok(mac.clone())));

    // Of a padded text, the last block comes from C_DecryptFinal, which feeds nobody (section 5.14).
    session.decrypt_init(&cbc, key).and(session.digest_init(&sha256)).expect("Init");
    let mut out = run(|session, part| session.decrypt_digest_update(part), &sealed);
    let rest = session.decrypt_final().expect("C_DecryptFinal");
    session.digest_update(&rest).expect("C_DigestUpdate");
    out.extend(rest);
    assert_eq!((out, session.digest_final()), (data.clone(), Ok(digest)));

    session.decrypt_init(&cbc, key).and(session.verify_init(&cmac, key)).expect("Init");
    let mut out = run(|session, part| session.decrypt_verify_update(part), &sealed);
    let rest = session.decrypt_final().expect("C_DecryptFinal");
    session.verify_update(&rest).expect("C_VerifyUpdate");
    out.extend(rest);
    assert_eq!((out, session.verify_final(&mac)), (data, Ok(())));

    // Both must run.
    session.encrypt_init(&cbc, key).expect("C_EncryptInit");
    assert_eq!(session.digest_encrypt_update(b"text"), Err(INACTIVE));
    session.session_cancel(CKF_ENCRYPT).expect("C_SessionCancel");
    session.digest_init(&sha256).expect("C_DigestInit");
    assert_eq!(session.digest_encrypt_update(b"text"), Err(INACTIVE));
}
