//! The judge judged: a module that does wrong on purpose must be found out, and the judge must outlive it.

use pkcs11_conformance::case::{Finding, Policy, Verdict};
use pkcs11_conformance::context::Target;
use pkcs11_conformance::{cases, runner::Suite};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The module, built by the system's compiler.
fn module() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join("libmisbehaving.so");
    let output = Command::new("cc")
        .args(["-std=c99", "-D_DEFAULT_SOURCE", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-I"])
        .arg(here.join("../include"))
        .arg(here.join("tests/misbehaving.c"))
        .arg("-o")
        .arg(&library)
        .output()
        .expect("a C compiler");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    library
}

/// What the suite finds in the cases that match, when the module misbehaves so.
fn findings(module: &Path, how: &str, only: &str) -> Vec<Finding> {
    // SAFETY: the only test of this program; its children read the environment when they have been forked.
    unsafe { std::env::set_var("MISBEHAVE", how) };
    let target = Target {
        module: module.into(),
        slot: None,
        label: Some("misbehaving".into()),
        so_pin: None,
        pin: "1234".into(),
        may_init: false,
    };
    let suite = Suite { target, policy: Policy::Spec, only: only.into(), patience: Duration::from_secs(2) };
    suite.run(&cases::all(), |_| ()).expect("a token to judge")
}

#[test]
fn misbehaviour_is_found_and_named() {
    let module = module();
    for (how, verdict, words) in [
        ("", Verdict::Pass, "CKR_OK"),
        ("code", Verdict::Fail, "CKR_GENERAL_ERROR"),
        ("forget", Verdict::Fail, "as the length"),
        ("overrun", Verdict::Fail, "wrote past a buffer of 32 bytes"),
        ("boast", Verdict::Fail, "1099511627776 bytes into 32"),
        ("nothing", Verdict::Fail, "nothing was written"),
        ("crash", Verdict::Crash, "SIGSEGV"),
        ("abort", Verdict::Crash, "SIGABRT"),
        ("exit", Verdict::Crash, "ended itself with 0"),
        ("hang", Verdict::Hang, "no answer in 2 s"),
    ] {
        let found = findings(&module, how, "buffer.C_Digest");
        let [finding] = &found[..] else { panic!("{how}: {} findings", found.len()) };
        assert_eq!(finding.verdict, verdict, "{how}: {finding:?}");
        let said = format!("{} {}", finding.got, finding.note);
        assert!(said.contains(words), "{how}: {finding:?}");
        assert_eq!(verdict.is_bad(), !how.is_empty());
    }
    // What it has not got is no fault, and what would spoil the token is not tried without leave.
    for (only, verdict) in
        [("buffer.C_Sign.rsa", Verdict::NotOffered), ("attack.14.pin-locks", Verdict::NotRun)]
    {
        let found = findings(&module, "", only);
        assert_eq!(found.iter().map(|finding| finding.verdict).collect::<Vec<_>>(), [verdict], "{only}");
    }
}
