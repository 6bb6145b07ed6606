//! Many threads in one process (section 6.7.3): on sessions of their own, on one key, on one object, on one session.

mod common;

use common::*;
use pkcs11_conformance::client::{Attr, Mechanism, Rv, Session};
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

const THREADS: usize = 8;

/// Rounds of a loop: few by default, many with COFFER_LONG.
fn rounds(few: usize) -> usize {
    if std::env::var_os("COFFER_LONG").is_some() { few * 100 } else { few }
}

fn aes(token: bool, label: &str) -> Vec<Attr> {
    vec![
        Attr::ulong(CKA_VALUE_LEN, 32),
        Attr::bool(CKA_TOKEN, token),
        Attr::bool(CKA_ENCRYPT, true),
        Attr::bool(CKA_DECRYPT, true),
        Attr::bool(CKA_SIGN, true),
        Attr::bool(CKA_VERIFY, true),
        Attr::label(label),
    ]
}

fn generate(session: &Session, token: bool, label: &str) -> CK_OBJECT_HANDLE {
    session.generate_key(&Mechanism::new(CKM_AES_KEY_GEN), &aes(token, label)).expect("C_GenerateKey")
}

/// Runs `body` in every thread, with its number.
fn all(body: impl Fn(usize) + Sync) {
    thread::scope(|scope| {
        for number in 0..THREADS {
            let body = &body;
            scope.spawn(move || body(number));
        }
    });
}

#[test]
fn eight_threads_use_one_token_key() {
    let token = TestToken::new();
    let key = generate(&token.session, true, "shared");
    let (public, private) = token
        .session
        .generate_key_pair(
            &Mechanism::new(CKM_EC_KEY_PAIR_GEN),
            &[
                Attr::bytes(CKA_EC_PARAMS, [6, 8, 42, 134, 72, 206, 61, 3, 1, 7]),
                Attr::bool(CKA_TOKEN, true),
                Attr::bool(CKA_VERIFY, true),
            ],
            &[Attr::bool(CKA_TOKEN, true), Attr::bool(CKA_SIGN, true)],
        )
        .expect("C_GenerateKeyPair");
    let text = b"the same for all".repeat(9);
    let whole =
        token.session.encrypt(&Mechanism::bytes(CKM_AES_CBC_PAD, &[9; 16]), key, &text).expect("C_Encrypt");
    let mac = token.session.sign(&Mechanism::new(CKM_AES_CMAC), key, &text).expect("C_Sign");
    all(|number| {
        let session = token.rw();
        let cbc = Mechanism::bytes(CKM_AES_CBC_PAD, &[9; 16]);
        let ecdsa = Mechanism::new(CKM_ECDSA_SHA256);
        for round in 0..rounds(40) {
            assert_eq!(session.encrypt(&cbc, key, &text), Ok(whole.clone()));
            assert_eq!(session.decrypt_parts(&cbc, key, &whole, 1 + (round + number) % 40), Ok(text.clone()));
            assert_eq!(session.sign_parts(&Mechanism::new(CKM_AES_CMAC), key, &text, 7), Ok(mac.clone()));
            let gcm = Mechanism::gcm(CKM_AES_GCM, &[number as u8; 12], &[round as u8], 128);
            let sealed = session.encrypt(&gcm, key, &text).expect("C_Encrypt");
            assert_eq!(session.decrypt(&gcm, key, &sealed), Ok(text.clone()));
            let signature = session.sign(&ecdsa, private, &text).expect("C_Sign");
            assert_eq!(session.verify(&ecdsa, public, &text, &signature), Ok(()));
            assert_eq!(session.digest(&Mechanism::new(CKM_SHA256), &text).map(|digest| digest.len()), Ok(32));
        }
    });
}

#[test]
fn objects_come_and_go_under_searches() {
    let token = TestToken::new();
    let stays = generate(&token.session, true, "stays");
    let handles = Mutex::new(BTreeSet::new());
    all(|number| {
        let session = token.rw();
        for round in 0..rounds(12) {
            let label = format!("thread {number}");
            let mine = generate(&session, round % 3 == 0, &label);
            assert!(handles.lock().expect("no panic").insert(mine), "handle {mine} was given twice");
            assert_eq!(session.find(&[Attr::label(&label)]), Ok(vec![mine]));
            assert_eq!(session.find(&[Attr::label("stays")]), Ok(vec![stays]));
            // What a search of everything gave may be gone a moment later; a use of it says so and no more.
            for found in session.find(&[Attr::class(CKO_SECRET_KEY)]).expect("C_FindObjects") {
                match session.attribute(found, CKA_LABEL) {
                    Ok(label) => assert!(label == b"stays" || label.starts_with(b"thread ")),
                    Err(rv) => assert_eq!(rv, CKR_OBJECT_HANDLE_INVALID),
                }
            }
            session.destroy(mine).expect("C_DestroyObject");
            assert_eq!(session.destroy(mine), Err(Rv(CKR_OBJECT_HANDLE_INVALID)));
        }
    });
    assert_eq!(token.session.find(&[]), Ok(vec![stays]));
}

#[test]
fn of_many_that_destroy_an_object_one_does() {
    let token = TestToken::new();
    for on_token in [false, true] {
        for _ in 0..rounds(8) {
            let key = generate(&token.session, on_token, "contested");
            let done = AtomicUsize::new(0);
            all(|_| match token.rw().destroy(key) {
                Ok(()) => drop(done.fetch_add(1, Ordering::Relaxed)),
                Err(rv) => assert_eq!(rv, CKR_OBJECT_HANDLE_INVALID),
            });
            assert_eq!(done.into_inner(), 1, "token object: {on_token}");
        }
    }
}

/// A lost update would take a one-way attribute back.
#[test]
fn changes_of_one_object_do_not_undo_each_other() {
    let token = TestToken::new();
    for on_token in [false, true] {
        for _ in 0..rounds(6) {
            let mut template = aes(on_token, "first");
            template.extend([Attr::bool(CKA_SENSITIVE, false), Attr::bool(CKA_EXTRACTABLE, true)]);
            let key = token
                .session
                .generate_key(&Mechanism::new(CKM_AES_KEY_GEN), &template)
                .expect("C_GenerateKey");
            all(|number| {
                let session = token.rw();
                let change = match number {
                    0 => Attr::bool(CKA_SENSITIVE, true),
                    1 => Attr::bool(CKA_EXTRACTABLE, false),
                    2 => Attr::bool(CKA_ENCRYPT, false),
                    3 => Attr::bytes(CKA_ID, b"id"),
                    _ => Attr::label(&format!("label {number}")),
                };
                session.set(key, &[change]).expect("C_SetAttributeValue");
            });
            let read = |kind| token.session.attribute_bool(key, kind).expect("C_GetAttributeValue");
            assert!(read(CKA_SENSITIVE) && !read(CKA_EXTRACTABLE) && !read(CKA_ENCRYPT), "token: {on_token}");
            assert_eq!(token.session.attribute(key, CKA_ID), Ok(b"id".to_vec()));
            assert!(token.session.attribute(key, CKA_LABEL).expect("CKA_LABEL").starts_with(b"label "));
            assert_eq!(token.session.attribute(key, CKA_VALUE), Err(Rv(CKR_ATTRIBUTE_SENSITIVE)));
            token.session.destroy(key).expect("C_DestroyObject");
        }
    }
}

#[test]
fn sessions_come_and_go() {
    let token = TestToken::new();
    let (all_handles, closed_by_others) = (Mutex::new(BTreeSet::new()), AtomicUsize::new(0));
    let latest = Mutex::new(Vec::new());
    all(|number| {
        for round in 0..rounds(60) {
            let session = if round % 2 == 0 { token.rw() } else { token.ro() };
            assert!(all_handles.lock().expect("no panic").insert(session.handle()), "a handle given twice");
            latest.lock().expect("no panic").push(session.handle());
            if number == 0 {
                // Closes whatever came last, its own or another thread's, in the middle of its work.
                let victim = latest.lock().expect("no panic").pop();
                if let Some(victim) = victim
                    && Session::from_handle(token.module, victim).close().is_ok()
                {
                    closed_by_others.fetch_add(1, Ordering::Relaxed);
                }
            }
            let outcome = (|| {
                let key =
                    session.generate_key(&Mechanism::new(CKM_AES_KEY_GEN), &aes(false, "short-lived"))?;
                session.encrypt(&Mechanism::bytes(CKM_AES_CBC_PAD, &[1; 16]), key, &[0; 20_000])?;
                session.digest(&Mechanism::new(CKM_SHA512), &[0; 20_000])?;
                session.close()
            })();
            let ended = [CKR_SESSION_HANDLE_INVALID, CKR_KEY_HANDLE_INVALID, CKR_OPERATION_NOT_INITIALIZED];
            assert!(outcome.is_ok() || outcome.is_err_and(|rv| ended.contains(&rv.0)), "{outcome:?}");
        }
    });
    assert!(closed_by_others.into_inner() > 0);
    assert_eq!(token.session.find(&[Attr::label("short-lived")]), Ok(vec![]), "objects without a session");
    let info = token.module.token_info(token.slot).expect("C_GetTokenInfo");
    assert_eq!((info.ulSessionCount, info.ulRwSessionCount), (1, 1));
}

#[test]
fn threads_that_share_a_session_share_its_operation() {
    let token = TestToken::new();
    let key = generate(&token.session, false, "key");
    let cbc = Mechanism::bytes(CKM_AES_CBC_PAD, &[5; 16]);
    let whole = token.session.encrypt(&cbc, key, &[6; 1000]).expect("C_Encrypt");
    let good = AtomicUsize::new(0);
    all(|_| {
        for _ in 0..rounds(100) {
            match token.session.encrypt_init(&cbc, key) {
                Ok(()) => {}
                Err(rv) => assert_eq!(rv, CKR_OPERATION_ACTIVE),
            }
            let (rv, sealed, _) = pkcs11_conformance::client::fill(2000, |at, length| {
                let f = token.session.f().C_Encrypt.expect("C_Encrypt");
                // SAFETY: room and data as said.
                Rv(unsafe { f(token.session.handle(), [6u8; 1000].as_ptr().cast_mut(), 1000, at, length) })
            });
            match rv.ok() {
                Ok(()) => assert_eq!(sealed, whole),
                Err(rv) => assert_eq!(rv, CKR_OPERATION_NOT_INITIALIZED),
            }
            good.fetch_add(rv.ok().is_ok().into(), Ordering::Relaxed);
        }
    });
    assert!(good.into_inner() > 0);
}

#[test]
fn a_key_or_login_that_goes_ends_the_operations_of_other_threads() {
    let token = TestToken::new();
    for round in 0..rounds(20) {
        let key = generate(&token.session, round % 2 == 0, "victim");
        let begun = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let session = token.rw();
                    session.sign_init(&Mechanism::new(CKM_AES_CMAC), key).expect("C_SignInit");
                    begun.fetch_add(1, Ordering::SeqCst);
                    // Ends, at the latest, with the key.
                    let rv = loop {
                        match session.sign_update(&[7; 5000]) {
                            Ok(()) => {}
                            Err(rv) => break rv,
                        }
                    };
                    assert_eq!(rv, CKR_OPERATION_NOT_INITIALIZED);
                    assert_eq!(session.sign_final(), Err(Rv(CKR_OPERATION_NOT_INITIALIZED)));
                    let again = session.sign_init(&Mechanism::new(CKM_AES_CMAC), key);
                    assert_eq!(again, Err(Rv(CKR_KEY_HANDLE_INVALID)));
                });
            }
            while begun.load(Ordering::SeqCst) < 3 {
                thread::yield_now();
            }
            match round % 4 {
                0 | 1 => token.session.destroy(key).expect("C_DestroyObject"),
                _ => {
                    token.session.logout().expect("C_Logout");
                    token.session.login(CKU_USER, USER_PIN).expect("C_Login");
                }
            }
        });
    }
}

/// Tells the threads of a scope to end, also when the test fails: the scope waits for them.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn logins_and_logouts_race_with_uses_of_private_keys() {
    let token = TestToken::new();
    generate(&token.session, true, "private");
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let session = token.rw();
                while !done.load(Ordering::Relaxed) {
                    for key in session.find(&[Attr::label("private")]).expect("C_FindObjects") {
                        match session.sign(&Mechanism::new(CKM_AES_CMAC), key, &[1; 100]) {
                            Ok(mac) => assert_eq!(mac.len(), 16),
                            Err(rv) => assert!(
                                [
                                    CKR_KEY_HANDLE_INVALID,
                                    CKR_OPERATION_NOT_INITIALIZED,
                                    CKR_USER_NOT_LOGGED_IN
                                ]
                                .contains(&rv.0),
                                "{rv}"
                            ),
                        }
                    }
                }
            });
        }
        let _stop = Stop(&done);
        for _ in 0..rounds(8) {
            token.session.logout().expect("C_Logout");
            assert_eq!(token.session.find(&[Attr::label("private")]), Ok(vec![]));
            token.session.login(CKU_USER, USER_PIN).expect("C_Login");
            assert_eq!(token.session.find(&[Attr::label("private")]).map(|found| found.len()), Ok(1));
        }
    });
}

/// Foreign threads may have little stack: Go's callbacks, musl, interpreters. Not enough for them is a crash and no
/// return code, so it is tried in a process of its own.
#[test]
fn a_small_stack_is_enough() {
    if in_child("a_small_stack_is_enough", &[]) {
        return;
    }
    let token = TestToken::public();
    let on_stack = |kibibytes: usize, work: &(dyn Fn() + Sync)| {
        thread::scope(|scope| {
            let thread = thread::Builder::new().stack_size(kibibytes << 10).spawn_scoped(scope, work);
            thread.expect("a thread").join().expect("no panic");
        });
    };
    let session = &token.session;
    on_stack(64, &|| {
        session.login(CKU_USER, USER_PIN).expect("C_Login");
        let deep = (0..4)
            .fold(Attr::bool(CKA_SENSITIVE, true), |inner, _| Attr::template(CKA_UNWRAP_TEMPLATE, &[inner]));
        let aes =
            [Attr::ulong(CKA_VALUE_LEN, 32), Attr::bool(CKA_TOKEN, true), Attr::bool(CKA_ENCRYPT, true)];
        let generate = |more: &[Attr]| {
            session.generate_key(&Mechanism::new(CKM_AES_KEY_GEN), &[&aes[..], more].concat())
        };
        assert_eq!(generate(&[deep]), Err(Rv(CKR_ATTRIBUTE_VALUE_INVALID)));
        let inner = Attr::template(CKA_UNWRAP_TEMPLATE, &[Attr::bool(CKA_SENSITIVE, true)]);
        let key = generate(&[Attr::template(CKA_UNWRAP_TEMPLATE, &[inner])]).expect("C_GenerateKey");
        let gcm = Mechanism::gcm(CKM_AES_GCM, &[0; 12], &[], 128);
        session.encrypt(&gcm, key, &[0; 100]).expect("C_Encrypt");
        assert_eq!(session.find(&[Attr::class(CKO_SECRET_KEY)]), Ok(vec![key]));
    });
}
