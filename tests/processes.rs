//! Several processes with one token: what one does the other sees at its next C_FindObjectsInit or C_*Init, and nothing
//! that was acknowledged is lost, whoever is killed.

mod common;

use common::*;
use pkcs11_conformance::client::{Attr, Mechanism, Rv, Session};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

fn aes(label: &str) -> [Attr; 5] {
    [
        Attr::ulong(CKA_VALUE_LEN, 16),
        Attr::bool(CKA_TOKEN, true),
        Attr::bool(CKA_ENCRYPT, true),
        Attr::bool(CKA_SIGN, true),
        Attr::label(label),
    ]
}

fn generate(session: &Session, label: &str) -> CK_OBJECT_HANDLE {
    session.generate_key(&Mechanism::new(CKM_AES_KEY_GEN), &aes(label)).expect("C_GenerateKey")
}

fn find(session: &Session, label: &str) -> Vec<CK_OBJECT_HANDLE> {
    session.find(&[Attr::label(label)]).expect("C_FindObjects")
}

/// Another process with the same token, which does what it is told, line by line, and says what came of it.
struct Other {
    child: Child,
    orders: ChildStdin,
    answers: Receiver<String>,
}

/// What a line of the other process begins with: the test harness writes lines too.
const MARK: &str = "other: ";

impl Other {
    fn start(token: &TestToken) -> Other {
        let mut child = this_test()
            .args(["the_other_process", "--exact", "--nocapture", "--include-ignored", "--test-threads=1"])
            .env("COFFER_TEST_LABEL", &token.label)
            .env("COFFER_TEST_TOKEN_DIR", process().dir.path().join("tokens"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a child process");
        let orders = child.stdin.take().expect("piped");
        let (tell, answers) = channel();
        let out = BufReader::new(child.stdout.take().expect("piped"));
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                if let Some(at) = line.find(MARK) {
                    let _ = tell.send(line[at + MARK.len()..].to_string());
                }
            }
        });
        let other = Other { child, orders, answers };
        assert_eq!(other.answer(), "ready");
        other
    }

    fn order(&mut self, order: &str) {
        writeln!(self.orders, "{order}").expect("the other process listens");
    }

    fn answer(&self) -> String {
        self.answers.recv_timeout(Duration::from_secs(60)).expect("the other process answers")
    }

    fn ask(&mut self, order: &str) -> String {
        self.order(order);
        self.answer()
    }

    fn kill(&mut self) {
        self.child.kill().expect("a process of ours");
        self.child.wait().expect("a process of ours");
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// No test: the body of [`Other`]'s process.
#[test]
#[ignore = "only another test starts it"]
fn the_other_process() {
    let Ok(label) = std::env::var("COFFER_TEST_LABEL") else { return };
    let module = module();
    let slot = module.slot_by_label(&label).expect("the parent's token");
    let session = module.open_session(slot, true).expect("C_OpenSession");
    session.login(CKU_USER, USER_PIN).expect("C_Login");
    println!("{MARK}ready");
    for line in std::io::stdin().lines() {
        let line = line.expect("text");
        let words: Vec<&str> = line.split(' ').collect();
        let answer = match words[..] {
            ["create", label] => generate(&session, label).to_string(),
            ["find", label] => find(&session, label).len().to_string(),
            ["destroy", label] => format!("{:?}", session.destroy(find(&session, label)[0])),
            ["rename", from, to] => format!("{:?}", session.set(find(&session, from)[0], &[Attr::label(to)])),
            ["forbid", label] => {
                format!("{:?}", session.set(find(&session, label)[0], &[Attr::bool(CKA_ENCRYPT, false)]))
            }
            ["many", prefix, count] => {
                for number in 0..count.parse::<usize>().expect("a number") {
                    generate(&session, &format!("{prefix}-{number}"));
                    println!("{MARK}{number}");
                }
                "done".into()
            }
            _ => panic!("order {line}"),
        };
        println!("{MARK}{answer}");
    }
}

#[test]
fn a_change_is_seen_at_the_next_beginning() {
    let token = TestToken::new();
    let mut other = Other::start(&token);
    let session = &token.session;
    assert!(find(session, "one").is_empty());
    other.ask("create one");
    let key = find(session, "one")[0];
    let ecb = Mechanism::new(CKM_AES_ECB);
    session.encrypt(&ecb, key, &[0; 16]).expect("the other's key");

    assert_eq!(other.ask("rename one two"), "Ok(())");
    assert_eq!((find(session, "one"), find(session, "two")), (vec![], vec![key]), "the handle stays");
    assert_eq!(session.attribute(key, CKA_LABEL), Ok(b"two".to_vec()));

    // A running operation keeps the version it began with; the next beginning meets the new one.
    session.encrypt_init(&ecb, key).expect("C_EncryptInit");
    assert_eq!(other.ask("forbid two"), "Ok(())");
    assert_eq!(session.encrypt_once(&[0; 16]).map(|out| out.len()), Ok(16));
    assert_eq!(session.encrypt_init(&ecb, key), Err(Rv(CKR_KEY_FUNCTION_NOT_PERMITTED)));

    session.sign_init(&Mechanism::new(CKM_AES_CMAC), key).expect("C_SignInit");
    session.sign_once(b"text").expect("C_Sign");
    assert_eq!(other.ask("destroy two"), "Ok(())");
    assert_eq!(session.sign_init(&Mechanism::new(CKM_AES_CMAC), key), Err(Rv(CKR_KEY_HANDLE_INVALID)));
    assert_eq!(session.attribute(key, CKA_LABEL), Err(Rv(CKR_OBJECT_HANDLE_INVALID)));
    assert!(find(session, "two").is_empty());

    // The other way round.
    let mine = generate(session, "three");
    assert_eq!(other.ask("find three"), "1");
    session.set(mine, &[Attr::label("four")]).expect("C_SetAttributeValue");
    assert_eq!((other.ask("find three").as_str(), other.ask("find four").as_str()), ("0", "1"));
    session.destroy(mine).expect("C_DestroyObject");
    assert_eq!(other.ask("find four"), "0");
}

/// The labels of all objects and how often each is there.
fn labels(session: &Session) -> BTreeMap<String, usize> {
    let mut labels = BTreeMap::new();
    for object in session.find(&[]).expect("C_FindObjects") {
        let label = session.attribute(object, CKA_LABEL).expect("CKA_LABEL");
        *labels.entry(String::from_utf8(label).expect("text")).or_default() += 1;
    }
    labels
}

#[test]
fn two_that_create_at_once_lose_and_double_nothing() {
    let token = TestToken::new();
    let mut other = Other::start(&token);
    let count = if std::env::var_os("COFFER_LONG").is_some() { 10_000 } else { 300 };
    other.order(&format!("many theirs {count}"));
    for number in 0..count {
        generate(&token.session, &format!("mine-{number}"));
    }
    while other.answer() != "done" {}
    let expected = (0..count).flat_map(|number| [format!("mine-{number}"), format!("theirs-{number}")]);
    let expected: BTreeMap<String, usize> = expected.map(|label| (label, 1)).collect();
    assert_eq!(labels(&token.session), expected);
    // As a process sees it that comes later.
    let mut late = Other::start(&token);
    assert_eq!(late.ask(&format!("find theirs-{}", count - 1)), "1");
    assert_eq!(late.ask("find mine-0"), "1");
    drop(other);
    token.session.logout().expect("C_Logout");
    token.session.login(CKU_USER, USER_PIN).expect("C_Login");
    assert_eq!(labels(&token.session), expected);
}

#[test]
fn a_killed_process_loses_nothing_that_it_was_told_is_done() {
    let token = TestToken::new();
    let rounds = if std::env::var_os("COFFER_LONG").is_some() { 100 } else { 5 };
    for round in 0..rounds {
        let mut other = Other::start(&token);
        other.order(&format!("many r{round} 100000"));
        let mut told = 0;
        while told < 10 + round {
            told = other.answer().parse::<usize>().expect("a number") + 1;
        }
        // This process goes on writing meanwhile.
        generate(&token.session, &format!("mine{round}"));
        other.kill();
        // Until the pipe's end: what it said before its death may still be on the way.
        while let Ok(line) = other.answers.recv() {
            told = line.parse::<usize>().expect("a number") + 1;
        }
        let there = labels(&token.session);
        let prefix = format!("r{round}-");
        let theirs = there.keys().filter(|label| label.starts_with(&prefix)).count();
        // The last one may have been done and not yet told.
        assert!(theirs == told || theirs == told + 1, "{told} were told, {theirs} are there");
        assert!((0..told).all(|number| there.get(&format!("{prefix}{number}")) == Some(&1)));
        let last = find(&token.session, &format!("{prefix}{}", told - 1))[0];
        token.session.encrypt(&Mechanism::new(CKM_AES_ECB), last, &[0; 16]).expect("a whole key");
    }
    assert!((0..rounds).all(|round| labels(&token.session).contains_key(&format!("mine{round}"))));
}

/// By counts: two processes that both write all the time go in turns, more or less.
#[test]
fn a_process_that_writes_all_the_time_lets_others_have_their_turns() {
    const TURNS: usize = 201;
    let token = TestToken::new();
    let mut other = Other::start(&token);
    other.order("many theirs 1000000");
    assert_eq!(other.answer(), "0");
    let mut between: Vec<usize> = (0..TURNS)
        .map(|number| {
            generate(&token.session, &format!("mine{number}"));
            other.answers.try_iter().count()
        })
        .collect();
    between.sort_unstable();
    assert!(between[TURNS / 2] < 16, "this one is kept out: {between:?}");
    assert!(between.iter().sum::<usize>() > TURNS / 5, "the other one is kept out: {between:?}");
}
