//! The audit log: what is written, by whom, and what shows when somebody changes it.

mod common;

use common::coffer::Coffer;
use common::*;
use pkcs11_conformance::client::{Attr, Mechanism, Rv};
use std::path::{Path, PathBuf};
use std::process::Stdio;

const ALL: [(&str, &str); 1] = [("COFFER_TEST_MORE", "audit = \"all\"")];

/// The log's file: the only one, since each test is a process with a token of its own.
fn log() -> PathBuf {
    let tokens = std::fs::read_dir(process().dir.path().join("tokens")).expect("the tokens");
    let mut logs = tokens
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "audit"));
    let log = logs.next().expect("a log");
    assert!(logs.next().is_none());
    log
}

fn events(lines: &[String]) -> Vec<String> {
    let field = |line: &serde_json::Value, name: &str| line[name].as_str().unwrap_or_default().to_string();
    let all = lines.iter().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
    all.map(|line| format!("{} {}: {}", field(&line, "user"), field(&line, "event"), field(&line, "outcome")))
        .collect()
}

#[test]
fn the_log_tells_who_did_what_and_no_secrets() {
    if in_child("the_log_tells_who_did_what_and_no_secrets", &ALL) {
        return;
    }
    let token = TestToken::public();
    let session = &token.session;
    let coffer = Coffer::new(session);
    assert_eq!(session.login(CKU_USER, "wrong-pin-here"), Err(Rv(CKR_PIN_INCORRECT)));
    session.login(CKU_USER, USER_PIN).expect("C_Login");
    let value = b"0123456789abcdef";
    let key = session
        .create_object(&[
            Attr::class(CKO_SECRET_KEY),
            Attr::key_type(CKK_AES),
            Attr::bytes(CKA_VALUE, value),
            Attr::bool(CKA_TOKEN, true),
            Attr::bool(CKA_ENCRYPT, true),
            Attr::label("a label nobody else knows"),
        ])
        .expect("C_CreateObject");
    session.encrypt(&Mechanism::bytes(CKM_AES_CBC_PAD, &[7; 16]), key, b"text").expect("C_Encrypt");
    assert_eq!(coffer.audit(false), Err(Rv(CKR_USER_NOT_LOGGED_IN)), "an SO reads it");
    session.destroy(key).expect("C_DestroyObject");
    session.logout().expect("C_Logout");
    session.login(CKU_SO, SO_PIN).expect("C_Login");
    coffer.create(CKU_USER, "alice", "alice-pin").expect("CreateUser");
    assert_eq!(coffer.create(CKU_USER, "alice", "alice-pin"), Err(Rv(CKR_FUNCTION_REJECTED)));
    let (lines, signed, told) = coffer.audit(false).expect("VerifyAudit");
    assert_eq!(
        events(&told),
        [
            " init token: CKR_OK",
            "admin login: CKR_OK",
            "admin init PIN: CKR_OK",
            "admin logout: CKR_OK",
            " login: CKR_PIN_INCORRECT",
            " login: CKR_OK",
            " create objects: CKR_OK",
            " encrypt: CKR_OK",
            " destroy object: CKR_OK",
            " logout: CKR_OK",
            "admin login: CKR_OK",
            "admin create user: CKR_OK",
            "admin create user: CKR_FUNCTION_REJECTED",
        ]
    );
    assert_eq!((lines, signed), (13, 11), "all but the two when nobody was logged in");
    assert_eq!(coffer.audit(true).expect("VerifyAudit").2, Vec::<String>::new());
    let text = std::fs::read_to_string(log()).expect("the log");
    for secret in ["alice-pin", SO_PIN, USER_PIN, "wrong-pin", "a label nobody", "0123456789abcdef", "text"] {
        assert!(!text.contains(secret), "{secret} stands in the log");
    }
    assert!(!text.contains(&hex::encode(value)));
}

/// The faults after `change` was done to the log's lines.
fn faults(coffer: &Coffer, log: &Path, change: impl FnOnce(&mut Vec<String>)) -> Vec<String> {
    let honest = std::fs::read_to_string(log).expect("the log");
    let mut lines: Vec<String> = honest.lines().map(String::from).collect();
    change(&mut lines);
    std::fs::write(log, lines.iter().map(|line| format!("{line}\n")).collect::<String>()).expect("the log");
    let faults = coffer.audit(true).expect("VerifyAudit").2;
    std::fs::write(log, honest).expect("the log");
    faults
}

#[test]
fn whatever_is_done_to_the_log_shows() {
    if in_child("whatever_is_done_to_the_log_shows", &ALL) {
        return;
    }
    let token = TestToken::public();
    let (session, coffer) = (&token.session, Coffer::new(&token.session));
    session.login(CKU_SO, SO_PIN).expect("C_Login");
    coffer.create(CKU_USER, "alice", "alice-pin").expect("CreateUser");
    let log = log();
    assert_eq!(faults(&coffer, &log, |_| ()), Vec::<String>::new());
    assert_ne!(faults(&coffer, &log, |lines| drop(lines.remove(2))), Vec::<String>::new(), "taken out");
    assert_ne!(
        faults(&coffer, &log, |lines| drop(lines.remove(0))),
        Vec::<String>::new(),
        "the first taken out"
    );
    assert_ne!(faults(&coffer, &log, |lines| lines.swap(1, 2)), Vec::<String>::new(), "exchanged");
    assert_ne!(faults(&coffer, &log, |lines| drop(lines.pop())), Vec::<String>::new(), "cut off");
    assert_ne!(faults(&coffer, &log, Vec::clear), Vec::<String>::new(), "emptied");
    let last = |lines: &mut Vec<String>| {
        let last = lines.last_mut().expect("lines");
        *last = last.replace("alice", "mallo");
    };
    assert_ne!(faults(&coffer, &log, last), Vec::<String>::new(), "changed");
    let unsigned = |lines: &mut Vec<String>| {
        let last = lines.last_mut().expect("lines");
        let at = last.find("\"signature\":\"").expect("a signature") + 13;
        last.replace_range(at..last.len() - 2, "");
    };
    assert_ne!(faults(&coffer, &log, unsigned), Vec::<String>::new(), "its signature taken off");

    // A line that a process died in was never acknowledged: the next one goes on after the last whole line.
    let mut text = std::fs::read_to_string(&log).expect("the log");
    text.push_str("{\"number\":99,\"ev");
    std::fs::write(&log, text).expect("the log");
    coffer.unlock(CKU_USER, "alice").expect("UnlockUser");
    assert_eq!(coffer.audit(true).expect("VerifyAudit").2, Vec::<String>::new());
    std::fs::remove_file(&log).expect("the log");
    assert_eq!(coffer.audit(true).expect("VerifyAudit").2.len(), 1, "gone");
}

#[test]
fn processes_write_one_log() {
    if in_child("processes_write_one_log", &ALL) {
        return;
    }
    let token = TestToken::public();
    let tokens = process().dir.path().join("tokens");
    let children: Vec<_> = (0..4)
        .map(|_| {
            this_test()
                .args(["logs_in_and_out", "--exact", "--include-ignored", "--test-threads=1"])
                .env("COFFER_TEST_LABEL", &token.label)
                .env("COFFER_TEST_TOKEN_DIR", &tokens)
                .env("COFFER_TEST_MORE", "audit = \"management\"\naudit_file_size = 2000")
                .stdout(Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let files = std::fs::read_dir(&tokens).expect("the tokens").map(|entry| entry.unwrap().file_name());
    let full = files.filter(|name| name.to_string_lossy().contains(".audit.")).count();
    assert!(full >= 4, "they went through {full} files, and one more");
    token.session.login(CKU_SO, SO_PIN).expect("C_Login");
    let (lines, _, told) = Coffer::new(&token.session).audit(true).expect("VerifyAudit");
    assert_eq!((lines, told), (4 + 4 * 10 + 1, vec![]), "every one, in one chain");
}

/// No test: one of several processes.
#[test]
#[ignore = "only another test starts it"]
fn logs_in_and_out() {
    let Ok(label) = std::env::var("COFFER_TEST_LABEL") else { return };
    let module = module();
    let session = module.open_session(module.slot_by_label(&label).unwrap(), true).unwrap();
    for _ in 0..5 {
        session.login(CKU_USER, USER_PIN).unwrap();
        session.logout().unwrap();
    }
}

#[test]
fn without_the_setting_there_is_no_log() {
    let token = TestToken::new();
    token.session.logout().expect("C_Logout");
    token.session.login(CKU_SO, SO_PIN).expect("C_Login");
    assert_eq!(Coffer::new(&token.session).audit(false).expect("VerifyAudit"), (0, 0, vec![]));
    let mut files = std::fs::read_dir(process().dir.path().join("tokens")).expect("the tokens");
    assert!(files.all(|file| file.unwrap().path().extension().is_none_or(|kind| kind != "audit")));
}
