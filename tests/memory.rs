//! What is left of secrets: in this process's memory once a key is gone, and in the token's files at any time.

mod common;
#[path = "memory/keys.rs"]
mod keys;
#[path = "memory/known.rs"]
mod known;

use common::*;
use keys::KINDS;
use known::{Known, in_files, in_memory};
use pkcs11_conformance::client::{Attr, Mechanism, Session};

/// A secret that nobody has yet.
fn fresh(len: usize) -> Known {
    let mut bytes = vec![0; len];
    // SAFETY: `bytes` is that long.
    assert_eq!(unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), len, 0) }, len as isize);
    bytes[0] |= 1;
    Known::hide(format!("{len} fresh bytes"), &mut bytes)
}

/// Text that nobody has yet, for a PIN.
fn fresh_pin() -> Known {
    let mut text: Vec<u8> = fresh(24).lend(|bytes| bytes.iter().map(|byte| b'A' + byte % 26).collect());
    Known::hide("a PIN", &mut text)
}

fn with_pin<T>(pin: &Known, to: impl FnOnce(&str) -> T) -> T {
    pin.lend(|bytes| to(std::str::from_utf8(bytes).expect("letters")))
}

fn gone(secrets: &[Known], after: &str) {
    let left = in_memory(&secrets.iter().collect::<Vec<_>>());
    assert!(left.is_empty(), "after {after}: {left:#?}");
}

/// Makes a private AES key of the secret, by C_CreateObject, and uses it; an operation goes on with it.
fn create(session: &Session, secret: &Known, on_token: bool) -> CK_OBJECT_HANDLE {
    let key = secret.lend(|bytes| {
        let template = [
            Attr::class(CKO_SECRET_KEY),
            Attr::key_type(CKK_AES),
            Attr::bool(CKA_TOKEN, on_token),
            Attr::bool(CKA_PRIVATE, true),
            Attr::bool(CKA_SENSITIVE, true),
            Attr::bool(CKA_ENCRYPT, true),
            Attr::raw(CKA_VALUE, bytes.as_ptr().cast(), bytes.len() as CK_ULONG),
        ];
        session.create_object(&template).expect("C_CreateObject")
    });
    session.session_cancel(CKF_ENCRYPT).expect("C_SessionCancel");
    let cbc = Mechanism::bytes(CKM_AES_CBC, &[0; 16]);
    session.encrypt(&cbc, key, &[1; 96]).expect("C_Encrypt");
    session.encrypt_init(&cbc, key).expect("an operation that goes on");
    key
}

#[test]
fn the_scan_finds_what_is_there() {
    if in_child("the_scan_finds_what_is_there", &[]) {
        return;
    }
    let secret = fresh(32);
    assert!(in_memory(&[&secret]).is_empty());
    secret.lend(|bytes| {
        assert!(!in_memory(&[&secret]).is_empty());
        let mut backwards: Vec<u8> = bytes.iter().rev().copied().collect();
        let hits = in_memory(&[&secret]).len();
        known::wipe(&mut backwards);
        assert!(in_memory(&[&secret]).len() < hits, "as a number, too");
    });
    assert!(in_memory(&[&secret]).is_empty());
}

/// Alone in its process, like the others: other tests' threads have stacks and heaps of their own.
#[test]
fn nothing_is_left_of_a_created_key_that_an_operation_holds() {
    if in_child("nothing_is_left_of_a_created_key_that_an_operation_holds", &[]) {
        return;
    }
    let token = TestToken::new();
    let session = &token.session;
    for on_token in [false, true] {
        let what = |after: &str| format!("{after}, token object {on_token}");
        let secret = [fresh(32)];
        let key = create(session, &secret[0], on_token);
        assert!(!in_memory(&[&secret[0]]).is_empty(), "the scan finds what is in use");
        session.destroy(key).expect("C_DestroyObject");
        gone(&secret, &what("C_DestroyObject"));

        let secret = [fresh(32)];
        create(session, &secret[0], on_token);
        session.logout().expect("C_Logout");
        gone(&secret, &what("C_Logout"));
        session.login(CKU_USER, USER_PIN).expect("C_Login");

        let (secret, other) = ([fresh(32)], token.rw());
        let key = create(&other, &secret[0], on_token);
        other.close().expect("C_CloseSession");
        if on_token {
            session.destroy(key).expect("C_DestroyObject");
        }
        gone(&secret, &what("C_CloseSession"));
    }
    let secrets = [fresh(32), fresh(32)];
    create(session, &secrets[0], false);
    create(session, &secrets[1], true);
    token.module.finalize().expect("C_Finalize");
    gone(&secrets, "C_Finalize");
}

/// Generated, read, used, wrapped, unwrapped, derived from; on the token also stored and brought back.
#[test]
fn nothing_is_left_of_any_kind_of_key_that_is_gone() {
    if in_child("nothing_is_left_of_any_kind_of_key_that_is_gone", &[]) {
        return;
    }
    let token = TestToken::new();
    let session = &token.session;
    let private = |on_token| [Attr::bool(CKA_TOKEN, on_token), Attr::bool(CKA_PRIVATE, true)];
    for kind in KINDS {
        let made = kind.make(session, &private(false));
        let mut secrets = kind.known(&made);
        for secret in &secrets {
            assert!(!in_memory(&[secret]).is_empty(), "the scan finds what is in use: {}", kind.name);
        }
        secrets.extend(kind.use_up(&made));
        made.destroy();
        gone(&secrets, &format!("C_DestroyObject of {}", kind.name));

        let made = kind.make(session, &private(true));
        let mut secrets = kind.known(&made);
        secrets.extend(kind.use_up(&made));
        session.logout().expect("C_Logout");
        gone(&secrets, &format!("C_Logout with {}", kind.name));
        session.login(CKU_USER, USER_PIN).expect("C_Login");
        let made = made.find_again(kind);
        secrets.extend(kind.use_up(&made));
        made.destroy();
        gone(&secrets, &format!("a second login with {}", kind.name));

        let other = token.rw();
        let made = kind.make(&other, &private(false));
        let mut secrets = kind.known(&made);
        secrets.extend(kind.use_up(&made));
        other.close().expect("C_CloseSession");
        gone(&secrets, &format!("C_CloseSession with {}", kind.name));
    }
    let mut secrets = Vec::new();
    for (kind, on_token) in KINDS.iter().flat_map(|kind| [(kind, false), (kind, true)]) {
        let made = kind.make(session, &private(on_token));
        secrets.extend(kind.known(&made));
        secrets.extend(kind.use_up(&made));
    }
    token.module.finalize().expect("C_Finalize");
    gone(&secrets, "C_Finalize");
}

#[test]
fn nothing_is_left_of_a_pin_once_the_call_is_over() {
    if in_child("nothing_is_left_of_a_pin_once_the_call_is_over", &[]) {
        return;
    }
    let token = TestToken::public();
    let session = &token.session;
    let pins = [(); 4].map(|()| fresh_pin());
    let [so, first, second, wrong] = &pins;
    session.login(CKU_SO, SO_PIN).expect("C_Login");
    with_pin(so, |so| session.set_pin(SO_PIN, so)).expect("C_SetPIN");
    gone(&pins, "C_SetPIN of the SO");
    with_pin(first, |first| session.init_pin(first)).expect("C_InitPIN");
    gone(&pins, "C_InitPIN");
    session.logout().expect("C_Logout");
    with_pin(first, |first| session.login(CKU_USER, first)).expect("C_Login");
    gone(&pins, "C_Login, with the user logged in");
    with_pin(first, |old| with_pin(second, |new| session.set_pin(old, new))).expect("C_SetPIN");
    gone(&pins, "C_SetPIN");
    session.logout().expect("C_Logout");
    for (pin, code) in [(wrong, CKR_PIN_INCORRECT), (second, CKR_OK)] {
        let rv = with_pin(pin, |pin| session.login(CKU_USER, pin));
        assert_eq!(pkcs11_conformance::client::Rv::of(&rv), code);
        gone(&pins, "C_Login");
    }
    token.module.close_all_sessions(token.slot).expect("C_CloseAllSessions");
    with_pin(so, |so| token.module.init_token(token.slot, so, "again")).expect("C_InitToken");
    gone(&pins, "C_InitToken");
    token.module.finalize().expect("C_Finalize");
    gone(&pins, "C_Finalize");
    let refs: Vec<_> = pins.iter().collect();
    assert_eq!(in_files(&refs, process().dir.path()), [""; 0]);
}

/// Every class that holds something secret, private and public, generated, created, copied, changed and unwrapped; the
/// log is among the files.
#[test]
fn the_tokens_files_have_no_secret() {
    if in_child("the_tokens_files_have_no_secret", &[]) {
        return;
    }
    let token = TestToken::new();
    let (session, directory) = (&token.session, process().dir.path());
    let pin = fresh_pin();
    let mut secrets = Vec::new();
    for (kind, private) in KINDS.iter().flat_map(|kind| [(kind, false), (kind, true)]) {
        let made = kind.make(session, &[Attr::bool(CKA_TOKEN, true), Attr::bool(CKA_PRIVATE, private)]);
        secrets.extend(kind.known(&made));
        secrets.extend(kind.use_up(&made));
        let copy = made.copy(&[Attr::label("a copy"), Attr::bool(CKA_SENSITIVE, true)]);
        session.set(copy, &[Attr::bytes(CKA_ID, b"changed")]).expect("C_SetAttributeValue");
    }
    // What is private is not only the value.
    for (class, more) in [
        (CKO_DATA, vec![Attr::bytes(CKA_OBJECT_ID, [6, 1, 42])]),
        (
            CKO_CERTIFICATE,
            vec![Attr::ulong(CKA_CERTIFICATE_TYPE, CKC_X_509), Attr::bytes(CKA_SUBJECT, [0x30, 0])],
        ),
    ] {
        let (value, label) = (fresh(48), fresh_pin());
        value.lend(|value| {
            label.lend(|label| {
                let private = [
                    Attr::class(class),
                    Attr::bool(CKA_TOKEN, true),
                    Attr::bool(CKA_PRIVATE, true),
                    Attr::bytes(CKA_LABEL, label),
                    Attr::bytes(CKA_VALUE, value),
                ];
                session.create_object(&[&private[..], &more].concat()).expect("C_CreateObject");
            });
        });
        secrets.extend([value, label]);
    }
    with_pin(&pin, |pin| session.set_pin(USER_PIN, pin)).expect("C_SetPIN");
    secrets.push(pin);
    secrets.extend([SO_PIN, USER_PIN].map(|pin| Known::hide("a first PIN", &mut pin.as_bytes().to_vec())));
    let refs: Vec<_> = secrets.iter().collect();
    assert!(refs.len() > 50);
    assert_eq!(in_files(&refs, directory), [""; 0], "while the token is open");
    // The search would have found something: a public object's value is there to be read without a login.
    let shown = fresh(48);
    let public = [
        Attr::class(CKO_DATA),
        shown.lend(|value| Attr::bytes(CKA_VALUE, value)),
        Attr::bool(CKA_TOKEN, true),
        Attr::bool(CKA_PRIVATE, false),
    ];
    session.create_object(&public).expect("C_CreateObject");
    assert!(!in_files(&[&shown], directory).is_empty());
    for object in session.find(&[Attr::label("a copy")]).expect("C_FindObjects") {
        session.destroy(object).expect("C_DestroyObject");
    }
    token.module.finalize().expect("C_Finalize");
    assert_eq!(in_files(&refs, directory), [""; 0], "once the token is closed");
}
