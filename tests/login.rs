//! Sessions' states, PINs, logins and lock-out (sections 5.5 and 5.6).

mod common;

use common::*;
use pkcs11_conformance::client::{Attr, Mechanism, Rv, Session};

/// Wrong tries until a PIN is locked.
const LIMIT: usize = 10;

fn flags(token: &TestToken) -> CK_FLAGS {
    token.module.token_info(token.slot).expect("C_GetTokenInfo").flags
}

/// Which of COUNT_LOW, FINAL_TRY and LOCKED stand for the user's PIN.
fn user_flags(token: &TestToken) -> [bool; 3] {
    [CKF_USER_PIN_COUNT_LOW, CKF_USER_PIN_FINAL_TRY, CKF_USER_PIN_LOCKED].map(|flag| flags(token) & flag != 0)
}

fn so_flags(token: &TestToken) -> [bool; 3] {
    [CKF_SO_PIN_COUNT_LOW, CKF_SO_PIN_FINAL_TRY, CKF_SO_PIN_LOCKED].map(|flag| flags(token) & flag != 0)
}

/// A token whose user has no PIN, without a session.
fn without_user_pin() -> TestToken {
    let mut token = TestToken::public();
    let idle = Session::from_handle(token.module, CK_INVALID_HANDLE);
    std::mem::replace(&mut token.session, idle).close().expect("C_CloseSession");
    token.module.init_token(token.slot, SO_PIN, &token.label).expect("C_InitToken");
    token.session = token.rw();
    token
}

fn private_aes(token_object: bool) -> [Attr; 5] {
    [
        Attr::ulong(CKA_VALUE_LEN, 16),
        Attr::bool(CKA_TOKEN, token_object),
        Attr::bool(CKA_PRIVATE, true),
        Attr::bool(CKA_SIGN, true),
        Attr::bool(CKA_ENCRYPT, true),
    ]
}

#[test]
fn the_state_of_a_session_follows_its_kind_and_the_login() {
    let token = TestToken::public();
    let (rw, ro) = (token.rw(), token.ro());
    let states = || (ro.state().expect("C_GetSessionInfo"), rw.state().expect("C_GetSessionInfo"));
    assert_eq!(states(), (CKS_RO_PUBLIC_SESSION, CKS_RW_PUBLIC_SESSION));
    ro.login(CKU_USER, USER_PIN).expect("C_Login");
    assert_eq!(states(), (CKS_RO_USER_FUNCTIONS, CKS_RW_USER_FUNCTIONS));
    assert_eq!(token.ro().state(), Ok(CKS_RO_USER_FUNCTIONS), "a session opened later");
    rw.logout().expect("C_Logout");
    assert_eq!(states(), (CKS_RO_PUBLIC_SESSION, CKS_RW_PUBLIC_SESSION));

    assert_eq!(rw.login(CKU_SO, SO_PIN), Err(Rv(CKR_SESSION_READ_ONLY_EXISTS)));
    ro.close().expect("C_CloseSession");
    rw.login(CKU_SO, SO_PIN).expect("C_Login");
    assert_eq!(rw.state(), Ok(CKS_RW_SO_FUNCTIONS));
    assert_eq!(
        token.module.open_session(token.slot, false).err(),
        Some(Rv(CKR_SESSION_READ_WRITE_SO_EXISTS))
    );
    assert_eq!(token.rw().state(), Ok(CKS_RW_SO_FUNCTIONS));

    let info = rw.info().expect("C_GetSessionInfo");
    assert_eq!((info.slotID, info.flags), (token.slot, CKF_SERIAL_SESSION | CKF_RW_SESSION));
    let f = token.session.f().C_OpenSession.expect("C_OpenSession");
    let mut handle = 0;
    // SAFETY: no callback, and an address to write to.
    let parallel = unsafe { f(token.slot, CKF_RW_SESSION, std::ptr::null_mut(), None, &raw mut handle) };
    assert_eq!(parallel, CKR_SESSION_PARALLEL_NOT_SUPPORTED);
    assert_eq!(token.module.open_session(9999, true).err(), Some(Rv(CKR_SLOT_ID_INVALID)));
}

#[test]
fn the_last_session_to_close_logs_out() {
    let TestToken { module, slot, session, .. } = TestToken::new();
    let other = module.open_session(slot, false).expect("C_OpenSession");
    session.close().expect("C_CloseSession");
    assert_eq!(other.state(), Ok(CKS_RO_USER_FUNCTIONS));
    other.close().expect("C_CloseSession");
    let session = module.open_session(slot, true).expect("C_OpenSession");
    assert_eq!(session.state(), Ok(CKS_RW_PUBLIC_SESSION));
    session.login(CKU_USER, USER_PIN).expect("C_Login");
    module.close_all_sessions(slot).expect("C_CloseAllSessions");
    assert_eq!(session.info().err(), Some(Rv(CKR_SESSION_HANDLE_INVALID)));
    assert_eq!(
        module.open_session(slot, true).and_then(|session| session.state()),
        Ok(CKS_RW_PUBLIC_SESSION)
    );
}

#[test]
fn c_login_refuses_with_the_right_code() {
    let token = TestToken::public();
    let session = &token.session;
    assert_eq!(session.logout(), Err(Rv(CKR_USER_NOT_LOGGED_IN)));
    assert_eq!(session.login(99, USER_PIN), Err(Rv(CKR_USER_TYPE_INVALID)));
    assert_eq!(session.login(CKU_CONTEXT_SPECIFIC, USER_PIN), Err(Rv(CKR_OPERATION_NOT_INITIALIZED)));
    assert_eq!(session.login(CKU_USER, "not the pin"), Err(Rv(CKR_PIN_INCORRECT)));
    assert_eq!(session.login(CKU_USER, ""), Err(Rv(CKR_PIN_INCORRECT)));
    assert_eq!(session.login(CKU_SO, USER_PIN), Err(Rv(CKR_PIN_INCORRECT)));
    let nobody = Session::from_handle(token.module, 0x7fff_ffff);
    assert_eq!(nobody.login(CKU_USER, USER_PIN), Err(Rv(CKR_SESSION_HANDLE_INVALID)));
    let f = session.f().C_Login.expect("C_Login");
    // SAFETY: a NULL that is said to be a PIN.
    assert_eq!(unsafe { f(session.handle(), CKU_USER, std::ptr::null_mut(), 8) }, CKR_ARGUMENTS_BAD);

    session.login(CKU_USER, USER_PIN).expect("C_Login");
    for pin in [USER_PIN, "not the pin"] {
        assert_eq!(session.login(CKU_USER, pin), Err(Rv(CKR_USER_ALREADY_LOGGED_IN)));
        assert_eq!(session.login(CKU_SO, pin), Err(Rv(CKR_USER_ANOTHER_ALREADY_LOGGED_IN)));
    }
    session.logout().expect("C_Logout");
    session.login(CKU_SO, SO_PIN).expect("C_Login");
    assert_eq!(session.login(CKU_SO, SO_PIN), Err(Rv(CKR_USER_ALREADY_LOGGED_IN)));
    assert_eq!(session.login(CKU_USER, USER_PIN), Err(Rv(CKR_USER_ANOTHER_ALREADY_LOGGED_IN)));
    session.logout().expect("C_Logout");
    session.login_user(CKU_USER, "", USER_PIN).expect("C_LoginUser without a name");
    session.logout().expect("C_Logout");
    assert_eq!(session.login_user(CKU_USER, "nobody", USER_PIN), Err(Rv(CKR_PIN_INCORRECT)));

    let fresh = without_user_pin();
    assert_eq!(flags(&fresh) & CKF_USER_PIN_INITIALIZED, 0);
    assert_eq!(fresh.session.login(CKU_USER, USER_PIN), Err(Rv(CKR_USER_PIN_NOT_INITIALIZED)));
}

#[test]
fn pins_have_the_lengths_that_the_token_tells() {
    let token = TestToken::public();
    let info = token.module.token_info(token.slot).expect("C_GetTokenInfo");
    let (shortest, longest) = (info.ulMinPinLen as usize, info.ulMaxPinLen as usize);
    let pin = |length: usize| "p".repeat(length);
    let session = &token.session;
    assert_eq!(session.init_pin(USER_PIN), Err(Rv(CKR_USER_NOT_LOGGED_IN)));
    session.login(CKU_USER, USER_PIN).expect("C_Login");
    assert_eq!(session.init_pin(USER_PIN), Err(Rv(CKR_USER_NOT_LOGGED_IN)));
    for length in [0, shortest - 1, longest + 1, 100_000] {
        assert_eq!(session.set_pin(USER_PIN, &pin(length)), Err(Rv(CKR_PIN_LEN_RANGE)), "{length}");
    }
    session.set_pin(USER_PIN, &pin(longest)).expect("the longest PIN");
    session.logout().expect("C_Logout");
    session.login(CKU_USER, &pin(longest)).expect("C_Login");
    session.logout().expect("C_Logout");
    session.login(CKU_SO, SO_PIN).expect("C_Login");
    for length in [0, shortest - 1, longest + 1] {
        assert_eq!(session.init_pin(&pin(length)), Err(Rv(CKR_PIN_LEN_RANGE)), "{length}");
    }
    session.init_pin(&pin(shortest)).expect("the shortest PIN");
    session.logout().expect("C_Logout");
    session.login(CKU_USER, &pin(shortest)).expect("C_Login");
}

#[test]
fn c_setpin_changes_the_pin_of_whoever_is_meant() {
    let token = TestToken::new();
    let (session, ro) = (&token.session, token.ro());
    let key =
        session.generate_key(&Mechanism::new(CKM_AES_KEY_GEN), &private_aes(true)).expect("C_GenerateKey");
    let mac = session.sign(&Mechanism::new(CKM_AES_CMAC), key, b"text").expect("C_Sign");
    assert_eq!(ro.set_pin(USER_PIN, "new-pin-1"), Err(Rv(CKR_SESSION_READ_ONLY)));
    assert_eq!(session.set_pin("wrong-pin", "new-pin-1"), Err(Rv(CKR_PIN_INCORRECT)));
    session.set_pin(USER_PIN, "new-pin-1").expect("as the user");
    session.logout().expect("C_Logout");
    assert_eq!(session.login(CKU_USER, USER_PIN), Err(Rv(CKR_PIN_INCORRECT)));
    session.set_pin("new-pin-1", "new-pin-2").expect("with nobody logged in");
    session.login(CKU_USER, "new-pin-2").expect("C_Login");
    let key = session.find(&[Attr::class(CKO_SECRET_KEY)]).expect("C_FindObjects")[0];
    assert_eq!(session.sign(&Mechanism::new(CKM_AES_CMAC), key, b"text"), Ok(mac), "the key is the same");
    session.logout().expect("C_Logout");
    ro.close().expect("C_CloseSession");

    session.login(CKU_SO, SO_PIN).expect("C_Login");
    session.set_pin(SO_PIN, "so-pin-new-1").expect("as the SO");
    session.logout().expect("C_Logout");
    assert_eq!(session.login(CKU_SO, SO_PIN), Err(Rv(CKR_PIN_INCORRECT)));
    session.login(CKU_SO, "so-pin-new-1").expect("C_Login");
    session.init_pin(USER_PIN).expect("C_InitPIN");
    session.logout().expect("C_Logout");
    session.login(CKU_USER, USER_PIN).expect("the SO has set it");
    assert_eq!(
        session.find(&[Attr::class(CKO_SECRET_KEY)]).map(|found| found.len()),
        Ok(1),
        "and lost nothing"
    );
}

#[test]
fn c_inittoken_asks_for_the_so_and_leaves_nothing() {
    let mut token = TestToken::new();
    let (module, slot) = (token.module, token.slot);
    token.session.generate_key(&Mechanism::new(CKM_AES_KEY_GEN), &private_aes(true)).expect("C_GenerateKey");
    token
        .session
        .create_object(&[Attr::class(CKO_DATA), Attr::bool(CKA_TOKEN, true)])
        .expect("C_CreateObject");
    assert_eq!(module.init_token(slot, SO_PIN, "again"), Err(Rv(CKR_SESSION_EXISTS)));
    let idle = Session::from_handle(module, CK_INVALID_HANDLE);
    std::mem::replace(&mut token.session, idle).close().expect("C_CloseSession");
    assert_eq!(module.init_token(slot, "wrong so pin", "again"), Err(Rv(CKR_PIN_INCORRECT)));
    assert_eq!(module.init_token(9999, SO_PIN, "again"), Err(Rv(CKR_SLOT_ID_INVALID)));
    assert_eq!(so_flags(&token), [true, false, false], "the wrong try was counted");
    module.init_token(slot, SO_PIN, "again").expect("C_InitToken");
    assert_eq!(so_flags(&token), [false; 3]);
    assert_eq!(flags(&token) & CKF_USER_PIN_INITIALIZED, 0);
    assert_eq!(module.slot_by_label("again"), Some(slot));
    let session = token.rw();
    session.login(CKU_SO, SO_PIN).expect("C_Login");
    session.init_pin("another-pin").expect("C_InitPIN");
    session.logout().expect("C_Logout");
    session.login(CKU_USER, "another-pin").expect("C_Login");
    assert_eq!(session.find(&[]), Ok(vec![]));
}

/// Spends all tries but `left` by `guess`.
fn spend(left: usize, mut guess: impl FnMut() -> Result<(), Rv>) {
    for number in 0..LIMIT - left {
        assert_eq!(guess(), Err(Rv(CKR_PIN_INCORRECT)), "wrong try {number}");
    }
}

#[test]
fn ten_wrong_tries_lock_the_pin_and_the_so_unlocks_it() {
    let token = TestToken::public();
    let session = &token.session;
    assert_eq!(user_flags(&token), [false; 3]);
    spend(LIMIT - 1, || session.login(CKU_USER, "wrong"));
    assert_eq!(user_flags(&token), [true, false, false]);
    session.login(CKU_USER, USER_PIN).expect("C_Login");
    session.logout().expect("C_Logout");
    assert_eq!(user_flags(&token), [false; 3], "the right PIN gives all tries back");

    spend(1, || session.login(CKU_USER, "wrong"));
    assert_eq!(user_flags(&token), [true, true, false]);
    spend(LIMIT - 1, || session.login(CKU_USER, "wrong"));
    assert!(user_flags(&token)[2]);
    for pin in [USER_PIN, "wrong"] {
        assert_eq!(session.login(CKU_USER, pin), Err(Rv(CKR_PIN_LOCKED)));
        assert_eq!(session.set_pin(pin, "new-pin-1"), Err(Rv(CKR_PIN_LOCKED)));
    }
    assert_eq!(so_flags(&token), [false; 3], "the SO's counter is another");
    session.login(CKU_SO, SO_PIN).expect("C_Login");
    session.init_pin(USER_PIN).expect("C_InitPIN");
    session.logout().expect("C_Logout");
    assert_eq!(user_flags(&token), [false; 3]);
    session.login(CKU_USER, USER_PIN).expect("C_Login");
}

#[test]
fn every_way_to_guess_counts() {
    // C_SetPIN, then C_Login.
    let token = TestToken::public();
    spend(LIMIT / 2, || token.session.set_pin("wrong", "new-pin-1"));
    spend(LIMIT / 2, || token.session.login(CKU_USER, "wrong"));
    assert_eq!(token.session.login(CKU_USER, USER_PIN), Err(Rv(CKR_PIN_LOCKED)));

    // The context-specific login of a key that wants one.
    let token = TestToken::new();
    let session = &token.session;
    let key = careful_key(session, true).expect("C_GenerateKeyPair");
    session.sign_init(&Mechanism::new(CKM_ECDSA_SHA256), key).expect("C_SignInit");
    spend(0, || session.login(CKU_CONTEXT_SPECIFIC, "wrong"));
    assert_eq!(session.login(CKU_CONTEXT_SPECIFIC, USER_PIN), Err(Rv(CKR_PIN_LOCKED)));
    session.logout().expect("C_Logout");
    assert_eq!(session.login(CKU_USER, USER_PIN), Err(Rv(CKR_PIN_LOCKED)));

    // C_InitToken guesses at the SO's, whom nobody unlocks.
    let mut token = TestToken::public();
    let idle = Session::from_handle(token.module, CK_INVALID_HANDLE);
    std::mem::replace(&mut token.session, idle).close().expect("C_CloseSession");
    spend(0, || token.module.init_token(token.slot, "wrong so pin", "guess"));
    assert!(so_flags(&token)[2]);
    assert_eq!(token.module.init_token(token.slot, SO_PIN, "guess"), Err(Rv(CKR_PIN_LOCKED)));
    assert_eq!(token.rw().login(CKU_SO, SO_PIN), Err(Rv(CKR_PIN_LOCKED)));
}

/// A private key with CKA_ALWAYS_AUTHENTICATE.
fn careful_key(session: &Session, private: bool) -> Result<CK_OBJECT_HANDLE, Rv> {
    let p256 = [6, 8, 42, 134, 72, 206, 61, 3, 1, 7];
    let template = [
        Attr::bool(CKA_TOKEN, true),
        Attr::bool(CKA_SIGN, true),
        Attr::bool(CKA_PRIVATE, private),
        Attr::bool(CKA_ALWAYS_AUTHENTICATE, true),
    ];
    let pair = Mechanism::new(CKM_EC_KEY_PAIR_GEN);
    session
        .generate_key_pair(&pair, &[Attr::bytes(CKA_EC_PARAMS, p256)], &template)
        .map(|(_, private)| private)
}

#[test]
fn a_key_that_always_wants_a_login_gets_one_for_each_use() {
    let token = TestToken::new();
    let session = &token.session;
    let key = careful_key(session, true).expect("C_GenerateKeyPair");
    let ecdsa = Mechanism::new(CKM_ECDSA_SHA256);
    for _ in 0..2 {
        session.sign_init(&ecdsa, key).expect("C_SignInit");
        assert_eq!(session.sign_once(b"text"), Err(Rv(CKR_USER_NOT_LOGGED_IN)));
        assert_eq!(session.login(CKU_CONTEXT_SPECIFIC, "wrong"), Err(Rv(CKR_PIN_INCORRECT)));
        assert_eq!(session.sign_update(b"text"), Err(Rv(CKR_USER_NOT_LOGGED_IN)));
        session.login(CKU_CONTEXT_SPECIFIC, USER_PIN).expect("C_Login");
        assert_eq!(session.sign_once(b"text").map(|signature| signature.len()), Ok(64));
        assert_eq!(session.login(CKU_CONTEXT_SPECIFIC, USER_PIN), Err(Rv(CKR_OPERATION_NOT_INITIALIZED)));
    }
    // One login is for all parts of one operation.
    session.sign_init(&ecdsa, key).expect("C_SignInit");
    session.login(CKU_CONTEXT_SPECIFIC, USER_PIN).expect("C_Login");
    session.sign_update(b"te").expect("C_SignUpdate");
    session.sign_update(b"xt").expect("C_SignUpdate");
    assert_eq!(session.sign_final().map(|signature| signature.len()), Ok(64));
    assert_eq!(session.state(), Ok(CKS_RW_USER_FUNCTIONS));
    // The standard gives it to private objects only, for who else would log in.
    assert_eq!(careful_key(session, false), Err(Rv(CKR_TEMPLATE_INCONSISTENT)));
}

#[test]
fn operations_and_handles_of_private_objects_end_at_logout() {
    let token = TestToken::new();
    let (session, other) = (&token.session, token.rw());
    for (on_token, logs_out) in [(false, &other), (true, session)] {
        let key = session
            .generate_key(&Mechanism::new(CKM_AES_KEY_GEN), &private_aes(on_token))
            .expect("C_GenerateKey");
        let public = session
            .create_object(&[Attr::class(CKO_DATA), Attr::bool(CKA_PRIVATE, false), Attr::label("public")])
            .expect("C_CreateObject");
        let (cmac, ecb) = (Mechanism::new(CKM_AES_CMAC), Mechanism::new(CKM_AES_ECB));
        session.sign_init(&cmac, key).expect("C_SignInit");
        session.sign_update(b"text").expect("C_SignUpdate");
        session.encrypt_init(&ecb, key).expect("C_EncryptInit");
        session.digest_init(&Mechanism::new(CKM_SHA256)).expect("C_DigestInit");
        logs_out.logout().expect("C_Logout");
        assert_eq!(session.sign_final(), Err(Rv(CKR_OPERATION_NOT_INITIALIZED)), "token key: {on_token}");
        assert_eq!(session.encrypt_once(&[0; 16]), Err(Rv(CKR_OPERATION_NOT_INITIALIZED)));
        assert_eq!(session.digest_once(b"text").map(|digest| digest.len()), Ok(32), "no key, no end");
        assert_eq!(session.attribute(key, CKA_CLASS), Err(Rv(CKR_OBJECT_HANDLE_INVALID)));
        assert_eq!(session.sign_init(&cmac, key), Err(Rv(CKR_KEY_HANDLE_INVALID)));
        assert_eq!(session.find(&[]), Ok(vec![public]));
        session.login(CKU_USER, USER_PIN).expect("C_Login");
        assert_eq!(session.sign_final(), Err(Rv(CKR_OPERATION_NOT_INITIALIZED)));
        assert_eq!(session.attribute(key, CKA_CLASS), Err(Rv(CKR_OBJECT_HANDLE_INVALID)), "the old handle");
        let found = session.find(&[Attr::class(CKO_SECRET_KEY)]).expect("C_FindObjects");
        assert_eq!(found.len(), usize::from(on_token));
        assert!(!found.contains(&key), "a handle was given twice");
        session.destroy(public).expect("C_DestroyObject");
    }
}
