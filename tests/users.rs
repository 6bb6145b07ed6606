//! Several users of one token: who makes them, what each sees, what is shared, and what nobody gets at.

mod common;

use common::coffer::Coffer;
use common::*;
use pkcs11_conformance::client::{Attr, Mechanism, Rv, Session};

const ALICE_PIN: &str = "alice-pin-1";
const BOB_PIN: &str = "bob-pin-22";

fn aes(label: &str) -> Vec<Attr> {
    vec![
        Attr::ulong(CKA_VALUE_LEN, 32),
        Attr::bool(CKA_TOKEN, true),
        Attr::bool(CKA_PRIVATE, true),
        Attr::bool(CKA_EXTRACTABLE, true),
        Attr::bool(CKA_SENSITIVE, false),
        Attr::bool(CKA_ENCRYPT, true),
        Attr::bool(CKA_DECRYPT, true),
        Attr::bool(CKA_WRAP, true),
        Attr::label(label),
    ]
}

fn generate(session: &Session, label: &str) -> CK_OBJECT_HANDLE {
    session.generate_key(&Mechanism::new(CKM_AES_KEY_GEN), &aes(label)).expect("C_GenerateKey")
}

fn find(session: &Session, label: &str) -> Vec<CK_OBJECT_HANDLE> {
    session.find(&[Attr::label(label)]).expect("C_FindObjects")
}

/// A token with the users alice and bob beside the one that C_InitPIN made; nobody is logged in.
fn token() -> TestToken {
    let token = TestToken::public();
    as_so(&token, |coffer| {
        coffer.create(CKU_USER, "alice", ALICE_PIN).expect("CreateUser");
        coffer.create(CKU_USER, "Bob", BOB_PIN).expect("CreateUser");
    });
    token
}

fn as_so(token: &TestToken, act: impl FnOnce(&Coffer)) {
    token.session.login(CKU_SO, SO_PIN).expect("C_Login");
    act(&Coffer::new(&token.session));
    token.session.logout().expect("C_Logout");
}

/// Does something as a user of the token.
fn as_user<T>(token: &TestToken, name: &str, act: impl FnOnce(&Session, &Coffer) -> T) -> T {
    let pin = match name {
        "alice" => ALICE_PIN,
        "bob" => BOB_PIN,
        _ => USER_PIN,
    };
    match name {
        "" => token.session.login(CKU_USER, pin).expect("C_Login"),
        name => token.session.login_user(CKU_USER, name, pin).expect("C_LoginUser"),
    }
    let done = act(&token.session, &Coffer::new(&token.session));
    token.session.logout().expect("C_Logout");
    done
}

#[test]
fn an_so_makes_users_and_only_an_so() {
    let token = token();
    let coffer = Coffer::new(&token.session);
    let all = ["admin", "", "alice", "bob"];
    assert_eq!(coffer.names(), all, "anyone may ask, and names have no case");
    assert_eq!(coffer.whoami(), Err(Rv(CKR_USER_NOT_LOGGED_IN)));
    assert_eq!(coffer.create(CKU_USER, "carol", "carol-pin"), Err(Rv(CKR_USER_NOT_LOGGED_IN)));
    as_user(&token, "alice", |_, coffer| {
        assert_eq!(coffer.whoami().expect("GetLogin"), (CKU_USER, "alice".into(), 10));
        for refused in [
            coffer.create(CKU_USER, "carol", "carol-pin"),
            coffer.delete(CKU_USER, "bob"),
            coffer.set_pin(CKU_USER, "bob", "another-pin"),
            coffer.set_type(CKU_SO, "alice", "another-pin"),
            coffer.unlock(CKU_USER, "bob"),
            coffer.limited_write(true),
            coffer.rename("alice's"),
        ] {
            assert_eq!(refused, Err(Rv(CKR_USER_NOT_LOGGED_IN)));
        }
    });
    as_so(&token, |coffer| {
        assert_eq!(coffer.whoami().expect("GetLogin"), (CKU_SO, "admin".into(), 10));
        for (kind, name, pin, code) in [
            (CKU_USER, "ALICE", "another-pin", CKR_FUNCTION_REJECTED),
            (CKU_SO, "alice", "another-pin", CKR_FUNCTION_REJECTED),
            (CKU_USER, "admin", "another-pin", CKR_FUNCTION_REJECTED),
            (CKU_SO, "admin", "another-pin", CKR_FUNCTION_REJECTED),
            (CKU_USER, "", "another-pin", CKR_FUNCTION_REJECTED),
            (CKU_USER, "a b", "another-pin", CKR_PIN_INVALID),
            (CKU_USER, "a\0b", "another-pin", CKR_PIN_INVALID),
            (CKU_USER, &"n".repeat(32), "another-pin", CKR_PIN_INVALID),
            (CKU_USER, "carol", "abc", CKR_PIN_LEN_RANGE),
            (CKU_CONTEXT_SPECIFIC, "carol", "another-pin", CKR_USER_TYPE_INVALID),
        ] {
            assert_eq!(coffer.create(kind, name, pin), Err(Rv(code)), "{kind} {name:?} {pin}");
        }
        assert_eq!(coffer.delete(CKU_USER, "carol"), Err(Rv(CKR_ARGUMENTS_BAD)));
        assert_eq!(coffer.delete(CKU_SO, "admin"), Err(Rv(CKR_FUNCTION_REJECTED)));
        assert_eq!(coffer.names(), all);
        coffer.delete(CKU_USER, "alice").expect("DeleteUser");
        assert_eq!(coffer.names(), ["admin", "", "bob"]);
    });
    assert_eq!(token.session.login_user(CKU_USER, "alice", ALICE_PIN), Err(Rv(CKR_PIN_INCORRECT)));
    let read_only = token.ro();
    assert_eq!(Coffer::new(&read_only).create(CKU_USER, "x", "xxxxxxx"), Err(Rv(CKR_SESSION_READ_ONLY)));
}

#[test]
fn an_application_is_one_user_at_a_time() {
    let token = token();
    let session = &token.session;
    session.login_user(CKU_USER, "alice", ALICE_PIN).expect("C_LoginUser");
    let other = token.rw();
    assert_eq!(other.login_user(CKU_USER, "Alice", ALICE_PIN), Err(Rv(CKR_USER_ALREADY_LOGGED_IN)));
    assert_eq!(other.login_user(CKU_USER, "bob", BOB_PIN), Err(Rv(CKR_USER_ANOTHER_ALREADY_LOGGED_IN)));
    assert_eq!(other.login(CKU_USER, USER_PIN), Err(Rv(CKR_USER_ANOTHER_ALREADY_LOGGED_IN)));
    assert_eq!(other.login(CKU_SO, SO_PIN), Err(Rv(CKR_USER_ANOTHER_ALREADY_LOGGED_IN)));
    assert_eq!(other.state(), Ok(CKS_RW_USER_FUNCTIONS));
    other.set_pin(ALICE_PIN, "alice-pin-2").expect("C_SetPIN is of whoever is logged in");
    session.logout().expect("C_Logout");
    assert_eq!(session.login_user(CKU_USER, "alice", ALICE_PIN), Err(Rv(CKR_PIN_INCORRECT)));
    session.login_user(CKU_USER, "alice", "alice-pin-2").expect("C_LoginUser");
    session.logout().expect("C_Logout");
    session.login(CKU_USER, USER_PIN).expect("the normal user's PIN is what it was");
}

#[test]
fn where_every_user_has_a_name_the_pin_may_say_it() {
    let token = token();
    let session = &token.session;
    let named = format!("alice:{ALICE_PIN}");
    assert_eq!(
        session.login(CKU_USER, &named),
        Err(Rv(CKR_PIN_INCORRECT)),
        "the normal user's PIN is all of it"
    );
    as_so(&token, |coffer| coffer.delete(CKU_USER, "").expect("DeleteUser"));
    assert_eq!(session.login(CKU_USER, USER_PIN), Err(Rv(CKR_PIN_INVALID)));
    session.login(CKU_USER, &named).expect("C_Login");
    assert_eq!(Coffer::new(session).whoami().expect("GetLogin").1, "alice");
    let new = "alice:alice-pin-2";
    assert_eq!(session.set_pin(&named, "bob:alice-pin-2"), Err(Rv(CKR_PIN_INVALID)));
    session.set_pin(&named, new).expect("C_SetPIN");
    session.logout().expect("C_Logout");
    session.login(CKU_USER, new).expect("C_Login");
}

#[test]
fn each_user_is_locked_out_alone_and_an_so_helps() {
    let token = token();
    let session = &token.session;
    for _ in 0..10 {
        assert_eq!(session.login_user(CKU_USER, "alice", "wrong-pin"), Err(Rv(CKR_PIN_INCORRECT)));
    }
    assert_eq!(session.login_user(CKU_USER, "alice", ALICE_PIN), Err(Rv(CKR_PIN_LOCKED)));
    let left = |coffer: &Coffer| -> Vec<CK_ULONG> {
        coffer.users().expect("ListUsers").into_iter().map(|(_, _, left)| left).collect()
    };
    assert_eq!(left(&Coffer::new(session)), [10, 10, 0, 10]);
    as_user(&token, "bob", |_, _| ());
    as_so(&token, |coffer| coffer.unlock(CKU_USER, "alice").expect("UnlockUser"));
    as_user(&token, "alice", |session, _| generate(session, "hers"));
    as_so(&token, |coffer| coffer.set_pin(CKU_USER, "alice", "alice-pin-2").expect("SetUserPIN"));
    assert_eq!(session.login_user(CKU_USER, "alice", ALICE_PIN), Err(Rv(CKR_PIN_INCORRECT)));
    session.login_user(CKU_USER, "alice", "alice-pin-2").expect("C_LoginUser");
    assert_eq!(find(session, "hers").len(), 1, "a reset PIN keeps the objects");
}

#[test]
fn there_may_be_several_sos() {
    let token = token();
    let session = &token.session;
    as_so(&token, |coffer| {
        coffer.create(CKU_SO, "second", "second-so-pin").expect("CreateUser");
        assert_eq!(coffer.delete(CKU_USER, "second"), Err(Rv(CKR_ARGUMENTS_BAD)));
    });
    as_user(&token, "alice", |session, _| generate(session, "hers"));
    session.login_user(CKU_SO, "second", "second-so-pin").expect("C_LoginUser");
    let coffer = Coffer::new(session);
    assert_eq!(session.state(), Ok(CKS_RW_SO_FUNCTIONS));
    assert_eq!(coffer.delete(CKU_SO, "second"), Err(Rv(CKR_FUNCTION_REJECTED)), "not oneself");
    coffer.set_pin(CKU_USER, "alice", "alice-pin-2").expect("the second SO has the escrow key as well");
    coffer.create(CKU_USER, "carol", "carol-pin").expect("CreateUser");
    assert_eq!(coffer.set_type(CKU_SO, "alice", "a-new-pin"), Err(Rv(CKR_FUNCTION_REJECTED)), "owns a key");
    coffer.set_type(CKU_SO, "carol", "carol-so-pin").expect("SetUserType");
    session.logout().expect("C_Logout");
    session.login_user(CKU_SO, "carol", "carol-so-pin").expect("C_LoginUser");
    coffer.set_pin(CKU_USER, "alice", ALICE_PIN).expect("and so has one who was made SO later");
    coffer.set_type(CKU_USER, "second", "second-pin").expect("SetUserType");
    session.logout().expect("C_Logout");
    assert_eq!(session.login_user(CKU_SO, "second", "second-so-pin"), Err(Rv(CKR_PIN_INCORRECT)));
    session.login_user(CKU_USER, "second", "second-pin").expect("C_LoginUser");
    assert_eq!(coffer.create(CKU_USER, "dave", "dave-pin"), Err(Rv(CKR_USER_NOT_LOGGED_IN)));
    session.logout().expect("C_Logout");
    as_user(&token, "alice", |session, _| assert_eq!(find(session, "hers").len(), 1));
}

#[test]
fn a_user_sees_what_it_owns_what_is_shared_and_what_is_public() {
    let token = token();
    let (mut hers, mut public) = (0, 0);
    as_user(&token, "alice", |session, coffer| {
        hers = generate(session, "hers");
        generate(session, "hers alone");
        let mut open = aes("public");
        open[2] = Attr::bool(CKA_PRIVATE, false);
        public = session.generate_key(&Mechanism::new(CKM_AES_KEY_GEN), &open).expect("C_GenerateKey");
        assert_eq!(coffer.access(hers).expect("ListAccess"), (Some("alice".into()), vec![]));
        coffer.share(hers, "BOB").expect("ShareObject");
        coffer.share(hers, "bob").expect("once more changes nothing");
        assert_eq!(coffer.access(hers).expect("ListAccess"), (Some("alice".into()), vec!["bob".into()]));
        assert_eq!(coffer.share(hers, "nobody"), Err(Rv(CKR_ARGUMENTS_BAD)));
        assert_eq!(coffer.share(hers, "alice"), Err(Rv(CKR_ARGUMENTS_BAD)));
        assert_eq!(coffer.share(public, "bob"), Err(Rv(CKR_ACTION_PROHIBITED)), "everyone has it");
        assert_eq!(coffer.share(9999, "bob"), Err(Rv(CKR_OBJECT_HANDLE_INVALID)));
        session
            .set(hers, &[Attr::bytes(CKA_ID, b"7")])
            .expect("C_SetAttributeValue keeps whom it is shared with");
        let session_key = [Attr::ulong(CKA_VALUE_LEN, 16), Attr::bool(CKA_TOKEN, false)];
        let session_key =
            session.generate_key(&Mechanism::new(CKM_AES_KEY_GEN), &session_key).expect("a key");
        assert_eq!(coffer.share(session_key, "bob"), Err(Rv(CKR_ACTION_PROHIBITED)));
        assert_eq!(coffer.access(session_key).expect("ListAccess"), (None, vec![]));
    });
    let labels = |session: &Session| {
        let all = session.find(&[]).expect("C_FindObjects");
        let label = |key| String::from_utf8(session.attribute(key, CKA_LABEL).expect("a label")).unwrap();
        let mut labels: Vec<_> = all.into_iter().map(label).collect();
        labels.sort();
        labels
    };
    as_user(&token, "bob", |session, coffer| {
        assert_eq!(labels(session), ["hers", "public"]);
        let shared = find(session, "hers")[0];
        assert_eq!(coffer.access(shared).expect("ListAccess"), (Some("alice".into()), vec!["bob".into()]));
        assert_eq!(session.attribute(shared, CKA_ID).expect("CKA_ID"), b"7");
    });
    as_user(&token, "", |session, _| assert_eq!(labels(session), ["public"]));
    as_so(&token, |_| assert_eq!(labels(&token.session), ["public"]));
    as_user(&token, "alice", |session, coffer| {
        coffer.unshare(find(session, "hers")[0], "bob").expect("UnshareObject");
        assert_eq!(labels(session), ["hers", "hers alone", "public"]);
    });
    as_user(&token, "bob", |session, _| assert_eq!(labels(session), ["public"]));
}

#[test]
fn a_shared_key_is_for_use_only() {
    let token = token();
    let cbc = Mechanism::bytes(CKM_AES_CBC_PAD, &[7; 16]);
    let text = as_user(&token, "alice", |session, coffer| {
        let hers = generate(session, "hers");
        coffer.share(hers, "bob").expect("ShareObject");
        session.encrypt(&cbc, hers, b"from alice").expect("C_Encrypt")
    });
    as_user(&token, "bob", |session, coffer| {
        let shared = find(session, "hers")[0];
        assert_eq!(session.decrypt(&cbc, shared, &text).expect("C_Decrypt"), b"from alice");
        let own = generate(session, "his");
        let wrap = Mechanism::new(CKM_AES_KEY_WRAP_PAD);
        session.wrap(&wrap, shared, own).expect("it wraps");
        assert_eq!(
            session.wrap(&wrap, own, shared),
            Err(Rv(CKR_KEY_NOT_WRAPPABLE)),
            "and is not wrapped out"
        );
        assert_eq!(session.wrap(&wrap, shared, shared), Err(Rv(CKR_KEY_NOT_WRAPPABLE)));
        assert_eq!(session.attribute(shared, CKA_VALUE), Err(Rv(CKR_ATTRIBUTE_SENSITIVE)));
        assert_eq!(session.set(shared, &[Attr::label("mine")]), Err(Rv(CKR_ACTION_PROHIBITED)));
        assert_eq!(session.copy(shared, &[Attr::bool(CKA_TOKEN, false)]), Err(Rv(CKR_ACTION_PROHIBITED)));
        assert_eq!(session.destroy(shared), Err(Rv(CKR_ACTION_PROHIBITED)));
        assert_eq!(coffer.share(shared, ""), Err(Rv(CKR_ACTION_PROHIBITED)));
        assert_eq!(coffer.unshare(shared, "bob"), Err(Rv(CKR_ACTION_PROHIBITED)));
        assert_eq!(session.attribute(own, CKA_VALUE).map(|value| value.len()), Ok(32), "his own he may read");
    });
    as_user(&token, "alice", |session, _| {
        let hers = find(session, "hers")[0];
        assert_eq!(session.attribute(hers, CKA_VALUE).expect("CKA_VALUE").len(), 32);
        let copy = session.copy(hers, &[Attr::label("a copy")]).expect("C_CopyObject");
        session.destroy(hers).expect("C_DestroyObject");
        assert_eq!(session.decrypt(&cbc, copy, &text).expect("C_Decrypt"), b"from alice");
    });
    as_user(&token, "bob", |session, _| assert!(session.find(&[Attr::label("a copy")]).unwrap().is_empty()));
}

#[test]
fn anothers_public_object_is_seen_and_not_touched() {
    let token = token();
    let pair = |session: &Session, label: &str| {
        let p256 = Attr::bytes(CKA_EC_PARAMS, hex::decode("06082a8648ce3d030107").unwrap());
        let public = [p256, Attr::bool(CKA_TOKEN, true), Attr::label(label)];
        let private = [Attr::bool(CKA_TOKEN, true), Attr::bool(CKA_PRIVATE, true), Attr::label(label)];
        let mechanism = Mechanism::new(CKM_EC_KEY_PAIR_GEN);
        session.generate_key_pair(&mechanism, &public, &private).expect("C_GenerateKeyPair")
    };
    as_user(&token, "alice", |session, _| pair(session, "pair"));
    let open = |session: &Session| session.find(&[Attr::ulong(CKA_CLASS, CKO_PUBLIC_KEY)]).unwrap()[0];
    as_user(&token, "bob", |session, _| {
        assert_eq!(find(session, "pair").len(), 1, "the public half");
        assert_eq!(session.set(open(session), &[Attr::label("mine")]), Err(Rv(CKR_ACTION_PROHIBITED)));
        assert_eq!(session.destroy(open(session)), Err(Rv(CKR_ACTION_PROHIBITED)));
        session.copy(open(session), &[Attr::label("a copy of his own")]).expect("C_CopyObject");
    });
    as_so(&token, |coffer| {
        token
            .session
            .set(open(&token.session), &[Attr::bool(CKA_TRUSTED, true)])
            .expect("the SO trusts keys");
        coffer.delete(CKU_USER, "alice").expect("DeleteUser");
    });
    as_user(&token, "bob", |session, _| {
        let orphan = find(session, "pair")[0];
        session.destroy(orphan).expect("what a removed user left belongs to all");
    });
}

#[test]
fn a_removed_user_leaves_nothing_and_a_namesake_gets_nothing() {
    let token = token();
    as_user(&token, "bob", |session, _| generate(session, "his"));
    as_user(&token, "alice", |session, coffer| {
        coffer.share(generate(session, "hers"), "bob").expect("ShareObject");
    });
    as_so(&token, |coffer| {
        coffer.delete(CKU_USER, "bob").expect("DeleteUser");
        coffer.create(CKU_USER, "bob", BOB_PIN).expect("CreateUser");
    });
    as_user(&token, "bob", |session, _| assert!(session.find(&[]).expect("C_FindObjects").is_empty()));
    as_user(&token, "alice", |session, coffer| {
        let hers = find(session, "hers")[0];
        assert_eq!(coffer.access(hers).expect("ListAccess"), (Some("alice".into()), vec![]));
        coffer.share(hers, "bob").expect("ShareObject");
    });
    as_user(&token, "bob", |session, _| assert_eq!(find(session, "hers").len(), 1));
}

#[test]
fn limited_write_stops_every_write_and_no_use() {
    let token = token();
    let key = as_user(&token, "alice", |session, _| generate(session, "hers"));
    as_so(&token, |coffer| coffer.limited_write(true).expect("SetLimitedWrite"));
    let flags = || token.module.token_info(token.slot).expect("C_GetTokenInfo").flags;
    assert_ne!(flags() & CKF_WRITE_PROTECTED, 0);
    as_user(&token, "alice", |session, coffer| {
        let key = find(session, "hers").pop().unwrap_or(key);
        session.encrypt(&Mechanism::bytes(CKM_AES_CBC_PAD, &[7; 16]), key, b"use").expect("use goes on");
        let protected = Err(Rv(CKR_TOKEN_WRITE_PROTECTED));
        assert_eq!(session.set(key, &[Attr::label("another")]), protected);
        assert_eq!(session.destroy(key), protected);
        assert_eq!(coffer.share(key, "bob"), protected);
        let make = session.generate_key(&Mechanism::new(CKM_AES_KEY_GEN), &aes("new"));
        assert_eq!(make.map(drop), protected);
        session.set_pin(ALICE_PIN, ALICE_PIN).expect("PINs change all the same");
    });
    as_so(&token, |coffer| {
        assert_eq!(coffer.delete(CKU_USER, "alice"), Err(Rv(CKR_TOKEN_WRITE_PROTECTED)));
        coffer.limited_write(false).expect("SetLimitedWrite");
        coffer.rename(&"l".repeat(33)).expect_err("32 fit");
        coffer.rename("renamed").expect("RenameToken");
    });
    assert_eq!(flags() & CKF_WRITE_PROTECTED, 0);
    token.module.slot_by_label("renamed").expect("the new label");
    as_user(&token, "alice", |session, _| generate(session, "new"));
}
