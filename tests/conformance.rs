//! Runs the whole conformance suite on Coffer's own module: no case may fail, crash or hang, under either policy.

mod common;

use common::{SO_PIN, Settings, USER_PIN, library};
use pkcs11_conformance::case::{Finding, Policy, Verdict};
use pkcs11_conformance::context::Target;
use pkcs11_conformance::report::line;
use pkcs11_conformance::{cases, runner::Suite};
use std::time::Duration;

/// Cases that a module without the mechanisms would skip; Coffer must not. A handful fewer than there are today.
fn fewest_passed(policy: Policy) -> usize {
    match policy {
        Policy::Spec => 1215,
        Policy::Strict => 1235,
    }
}

#[test]
fn conforms_to_the_specification() {
    if !common::in_child("conforms_to_the_specification", &[("COFFER_TEST_POLICY", "spec")]) {
        judge(Policy::Spec);
    }
}

#[test]
fn withstands_attacks_under_the_strict_policy() {
    if !common::in_child("withstands_attacks_under_the_strict_policy", &[("COFFER_TEST_POLICY", "strict")]) {
        judge(Policy::Strict);
    }
}

fn judge(policy: Policy) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    // SAFETY: the only test of its process; nothing else reads the environment now.
    unsafe { std::env::set_var("COFFER_CONF", Settings::current().write(dir.path())) };
    let target = Target {
        module: library(),
        slot: None,
        label: Some("conformance".into()),
        so_pin: Some(SO_PIN.into()),
        pin: USER_PIN.into(),
        may_init: true,
    };
    let suite = Suite { target, policy, only: "*".into(), patience: Duration::from_secs(60) };
    let findings = suite.run(&cases::all(), |_| ()).expect("a token to judge");
    let bad: String = findings.iter().filter(|finding| finding.verdict.is_bad()).map(line).collect();
    assert!(bad.is_empty(), "\n{bad}{}", count(&findings));
    let passed = findings.iter().filter(|finding| finding.verdict == Verdict::Pass).count();
    assert!(passed >= fewest_passed(policy), "only {passed} cases passed: {}", count(&findings));
}

fn count(findings: &[Finding]) -> String {
    let of = |verdict: Verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
    Verdict::ALL.map(|verdict| format!("{} {}", of(verdict), verdict.words())).join(", ")
}
