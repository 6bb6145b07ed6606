//! Saved digests, validation flags and asynchronous sessions (sections 5.6 and 5.21).

mod common;

use common::*;
use pkcs11_conformance::client::{Attr, Mechanism, Rv, Session};

fn digest(session: &Session, mechanism: CK_MECHANISM_TYPE, parts: &[&[u8]]) {
    session.digest_init(&Mechanism::new(mechanism)).expect("C_DigestInit");
    parts.iter().for_each(|part| session.digest_update(part).expect("C_DigestUpdate"));
}

#[test]
fn a_saved_digest_goes_on_elsewhere() {
    let token = TestToken::new();
    let (here, there) = (token.rw(), token.ro());
    for mechanism in
        [CKM_SHA_1, CKM_SHA224, CKM_SHA256, CKM_SHA384, CKM_SHA512, CKM_SHA512_224, CKM_SHA512_256]
    {
        for taken in [0, 1, 64, 127, 200] {
            let first = vec![0x61; taken];
            digest(&here, mechanism, &[&first]);
            let state = here.operation_state().expect("C_GetOperationState");
            there.set_operation_state(&state, 0, 0).expect("C_SetOperationState");
            there.digest_update(b"more").expect("C_DigestUpdate");
            here.digest_update(b"more").expect("the saved one goes on too");
            assert_eq!(there.digest_final(), here.digest_final(), "{mechanism:#x} after {taken}");
        }
    }
}

#[test]
fn other_states_are_not_saved() {
    let token = TestToken::new();
    let session = token.rw();
    let unsaveable = Err(Rv(CKR_STATE_UNSAVEABLE));
    assert_eq!(session.operation_state(), Err(Rv(CKR_OPERATION_NOT_INITIALIZED)));
    digest(&session, CKM_SHA3_256, &[b"abc"]);
    assert_eq!(session.operation_state(), unsaveable);
    session.session_cancel(CKF_DIGEST).expect("C_SessionCancel");
    let template = [
        Attr::class(CKO_SECRET_KEY),
        Attr::key_type(CKK_AES),
        Attr::bytes(CKA_VALUE, [7; 32]),
        Attr::bool(CKA_SIGN, true),
    ];
    let key = session.create_object(&template).expect("C_CreateObject");
    digest(&session, CKM_SHA256, &[]);
    session.sign_init(&Mechanism::new(CKM_AES_CMAC), key).expect("C_SignInit");
    assert_eq!(session.operation_state(), unsaveable, "a signature runs beside it");
    session.session_cancel(CKF_SIGN).expect("C_SessionCancel");
    session.operation_state().expect("the digest alone");
    session.digest_key(key).expect("C_DigestKey");
    assert_eq!(session.operation_state(), unsaveable, "the state is one of the key");
}

#[test]
fn damaged_states_are_refused() {
    let token = TestToken::new();
    let session = token.rw();
    digest(&session, CKM_SHA256, &[b"0123456789"]);
    let state = session.operation_state().expect("C_GetOperationState");
    let invalid = Err(Rv(CKR_SAVED_STATE_INVALID));
    for at in 0..state.len() {
        let mut changed = state.clone();
        changed[at] ^= 1;
        assert_eq!(session.set_operation_state(&changed, 0, 0), invalid, "{at}");
        assert_eq!(session.set_operation_state(&state[..at], 0, 0), invalid, "{at}");
    }
    assert_eq!(session.set_operation_state(&state, 1, 0), Err(Rv(CKR_KEY_NOT_NEEDED)));
    assert_eq!(session.set_operation_state(&state, 0, 1), Err(Rv(CKR_KEY_NOT_NEEDED)));
    session.digest_update(b"").expect("what ran goes on");
}

#[test]
fn nothing_is_validated_and_nothing_asynchronous() {
    let token = TestToken::new();
    assert_eq!(token.session.validation_flags(CKS_LAST_VALIDATION_OK), Ok(0));
    assert_eq!(token.session.validation_flags(99), Err(Rv(CKR_ARGUMENTS_BAD)));
    let open = token.module.v2_40().C_OpenSession.expect("C_OpenSession");
    let mut handle = 0;
    let flags = CKF_SERIAL_SESSION | CKF_ASYNC_SESSION;
    // SAFETY: a place for the handle; nothing to call back.
    let rv = unsafe { open(token.slot, flags, std::ptr::null_mut(), None, &raw mut handle) };
    assert_eq!((rv, handle), (CKR_SESSION_ASYNC_NOT_SUPPORTED, 0));
    let id = token.module.v3_2().expect("3.2").C_AsyncGetID.expect("C_AsyncGetID");
    let mut number = 0;
    // SAFETY: a name with its end, a place for the number.
    let rv = unsafe { id(token.session.handle(), c"C_Sign".as_ptr().cast_mut().cast(), &raw mut number) };
    assert_eq!(rv, CKR_FUNCTION_NOT_SUPPORTED);
}
