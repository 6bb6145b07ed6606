//! Processes that guess a PIN and are killed at it, one after the other and all at once: what was tried counts, and no
//! crowd gets more answers than the limit.

mod common;

use common::*;
use pkcs11_conformance::client::Rv;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Stdio};
use std::time::Duration;

/// Wrong PINs until the lock, by default.
const LIMIT: usize = 10;
/// What a guesser says for each guess that it got an answer to.
const WRONG: &str = "guessed wrong";

/// No test: guesses until it is killed, after so many microseconds, or until the PIN is locked.
#[test]
#[ignore = "only another test starts it"]
fn guesser() {
    let Ok(label) = std::env::var("COFFER_TEST_LABEL") else { return };
    let lifetime = std::env::var("COFFER_TEST_LIFETIME").map(|text| text.parse().expect("a number"));
    let module = module();
    let slot = module.slot_by_label(&label).expect("the parent's token");
    let session = module.open_session(slot, true).expect("C_OpenSession");
    if let Ok(lifetime) = lifetime {
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_micros(lifetime));
            // SAFETY: this very process.
            unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
        });
    }
    loop {
        match session.login(CKU_USER, "a guess") {
            Err(rv) if rv == CKR_PIN_INCORRECT => println!("{WRONG}"),
            Err(rv) if rv == CKR_PIN_LOCKED => return,
            other => panic!("{other:?}"),
        }
    }
}

fn start(token: &TestToken, lifetime: Option<u64>) -> Child {
    let mut command = this_test();
    command.args(["guesser", "--exact", "--nocapture", "--include-ignored", "--test-threads=1"]);
    command.env("COFFER_TEST_LABEL", &token.label);
    command.env("COFFER_TEST_TOKEN_DIR", process().dir.path().join("tokens"));
    if let Some(lifetime) = lifetime {
        command.env("COFFER_TEST_LIFETIME", lifetime.to_string());
    }
    command.stdout(Stdio::piped()).spawn().expect("a child process")
}

/// How many guesses were answered; it must have ended by the lock or by its own hand.
fn answers(child: Child) -> usize {
    let output = child.wait_with_output().expect("a child process");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() || output.status.signal() == Some(libc::SIGKILL), "{said}");
    said.matches(WRONG).count()
}

fn locked(token: &TestToken) -> bool {
    let info = token.module.token_info(token.slot).expect("C_GetTokenInfo");
    info.flags & CKF_USER_PIN_LOCKED != 0
}

/// The right PIN is refused, until the SO has set it anew.
fn unlock(token: &TestToken) {
    assert_eq!(token.session.login(CKU_USER, USER_PIN), Err(Rv(CKR_PIN_LOCKED)));
    token.session.login(CKU_SO, SO_PIN).expect("C_Login");
    token.session.init_pin(USER_PIN).expect("C_InitPIN");
    token.session.logout().expect("C_Logout");
    token.session.login(CKU_USER, USER_PIN).expect("C_Login");
    token.session.logout().expect("C_Logout");
}

/// Killing a process between guess and answer gains nothing.
#[test]
fn killed_guessers_lock_the_pin_too() {
    let token = TestToken::public();
    let mut killed = 0;
    while !locked(&token) {
        killed += 1;
        // On a busy machine some die before their try is counted, and so before they have guessed.
        assert!(killed <= 10 * LIMIT, "the tries of killed processes are not counted");
        // In the middle of the derivation, as a rule.
        answers(start(&token, Some(15_000)));
    }
    unlock(&token);
}

#[test]
fn a_crowd_of_guessers_gets_no_more_answers_than_the_limit() {
    let token = TestToken::public();
    let (crowd, rounds) = if std::env::var_os("COFFER_LONG").is_some() { (32, 10) } else { (8, 1) };
    for round in 0..rounds {
        // Every second one is killed, soon or late.
        let lifetime = |number: u64| {
            number.is_multiple_of(2).then_some(500 + (number * 7919 + round * 104_729) % 120_000)
        };
        let children: Vec<_> = (0..crowd).map(|number| start(&token, lifetime(number))).collect();
        let answered: usize = children.into_iter().map(answers).sum();
        assert!(answered <= LIMIT, "{answered} guesses were answered");
        assert!(locked(&token), "those that lived went on until the lock");
        unlock(&token);
    }
}
