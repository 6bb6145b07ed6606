//! `coffer doctor|mechanisms`, manual pages and completions, and tables for people.

use super::*;
use std::os::unix::fs::PermissionsExt;

#[test]
fn the_doctor_finds_what_is_wrong() {
    let place = Place::with_token("one");
    let findings = place.done(&["doctor"])["findings"].clone();
    let found = |what: &str| {
        let mut all = findings.as_array().expect("a list").iter();
        all.find(|finding| finding["check"] == what).unwrap_or_else(|| panic!("{what}: {findings}")).clone()
    };
    for what in [
        "configuration",
        "token directory",
        "log",
        "shared library",
        "module",
        "randomness",
        "token",
        "store",
        "processor",
        "kernels",
    ] {
        assert_eq!(found(what)["state"], "good", "{what}");
    }
    assert!(found("store")["found"].as_str().expect("text").contains("0 objects, every checksum right"));
    for what in ["entropy", "p11-kit"] {
        assert_ne!(found(what)["state"], "BAD", "{what}");
    }
    assert!(found("token")["found"].as_str().expect("text").contains("\"one\" in slot 0: ready"));

    let tokens = place.path().join("tokens");
    let bad = |arguments: &[&str], what: &str, words: &str| {
        let findings = place.finds_wrong(arguments)["findings"].clone();
        let is = |finding: &Value| {
            let found = finding["found"].as_str().expect("text");
            finding["check"] == what && finding["state"] == "BAD" && found.contains(words)
        };
        assert!(findings.as_array().expect("a list").iter().any(is), "{what} {words}: {findings}");
    };
    fs::set_permissions(&tokens, fs::Permissions::from_mode(0o755)).expect("a mode");
    bad(&["doctor"], "token directory", "chmod 700");
    fs::set_permissions(&tokens, fs::Permissions::from_mode(0o700)).expect("a mode");
    fs::write(tokens.join("0.coffer"), "no database at all").expect("a file");
    bad(&["doctor"], "token", "slot 0");
    bad(&["doctor"], "store", "slot 0");
    place.configure("token_dir = \"tokens\"\nlog_file = \"no/such/place\"");
    bad(&["doctor"], "log", "no/such/place");
    place.configure("token_dri = 1");
    bad(&["doctor"], "configuration", "token_dri");
    bad(&["doctor", "--library", "/no/such/module.so"], "module", "/no/such/module.so");
}

#[test]
fn a_module_is_measured() {
    let place = Place::with_token("one");
    let rows = |more: &[&str]| {
        let arguments = [&["bench", "--seconds", "0.001"][..], more].concat();
        place.done(&arguments)["rows"].as_array().expect("a list").clone()
    };
    let all = rows(&[]);
    assert!(all.len() > 25, "{}", all.len());
    for row in &all {
        assert!(row["per-second"].as_f64().is_some_and(|rate| rate > 0.0), "{row}");
        assert_eq!(row["bytes"] == 0, row["megabytes-per-second"].is_null(), "{row}");
    }
    let some = rows(&["--name", "gcm"]);
    assert_eq!((some.len(), &some[0]["operation"]), (2, &json!("AES-256-GCM encrypt")));
    place.fails(&["bench", "--name", "no such thing"], &["nothing of that name"]);
    for wrong in ["0", "fast", "1e9"] {
        assert_eq!(run(&mut place.coffer(&["bench", "--seconds", wrong])).status.code(), Some(2), "{wrong}");
    }
    // Nothing of it stays in the token.
    assert_eq!(place.count(&[]), 0);
}

#[test]
fn mechanisms_are_listed() {
    let place = Place::with_token("one");
    let all = place.done(&["mechanisms"])["mechanisms"].as_array().expect("a list").clone();
    assert!(all.len() > 100, "{}", all.len());
    let wraps =
        place.done(&["mechanisms", "--for", "wrap"])["mechanisms"].as_array().expect("a list").clone();
    assert!(wraps.len() > 5 && wraps.len() < all.len());
    let one = place.done(&["mechanisms", "--name", "rsa_aes"])["mechanisms"].clone();
    assert_eq!(one[0]["name"], "CKM_RSA_AES_KEY_WRAP");
    assert_eq!((one.as_array().map(Vec::len), &one[0]["uses"]), (Some(1), &json!(["wrap", "unwrap"])));
    place.fails(&["mechanisms", "--for", "fun"], &["fun", "generate_key_pair"]);
}

/// A page for each command, and completions that the shells take.
#[test]
fn pages_and_completions() {
    let place = Place::new("");
    let (man, completions) = (place.file("man"), place.file("completions"));
    place.done(&[
        "generate-pages",
        "--man",
        &man,
        "--bash",
        &completions,
        "--zsh",
        &completions,
        "--fish",
        &completions,
    ]);
    for page in ["coffer.1", "coffer-key-wrap-rsa-aes.1", "coffer-migrate.1", "coffer-token-init.1"] {
        let text = fs::read_to_string(Path::new(&man).join(page)).expect(page);
        assert!(text.contains(".TH") && text.contains(".SH SYNOPSIS"), "{page}");
    }
    let pages = fs::read_dir(&man).expect("a directory").count();
    assert!(pages > 50 && !Path::new(&man).join("coffer-help-key.1").exists(), "{pages}");
    let script = Path::new(&completions).join("coffer");
    let complete = format!(
        "source {}; COMP_WORDS=(coffer key wra); COMP_CWORD=2; _coffer coffer wra key; echo \"${{COMPREPLY[@]}}\"",
        script.display()
    );
    let output = Command::new("bash").args(["-c", &complete]).output().expect("bash runs");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "wrap", "{output:?}");
    for name in ["_coffer", "coffer.fish"] {
        assert!(fs::metadata(Path::new(&completions).join(name)).expect(name).len() > 1000);
    }
}

/// Tables for people, whose cells cannot command the terminal; nothing coloured in a pipe.
#[test]
fn tables_are_for_people() {
    let place = Place::with_token("one");
    let label = "\u{1b}[31mred";
    place.done(&["key", "generate-symmetric", "3des", "--label", label]);
    let mut command = place.coffer(&["key", "list", "--text"]);
    let output = run(command.env("COFFER_PIN", USER_PIN));
    let text = String::from_utf8(output.stdout).expect("text");
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(
        lines[0].split_whitespace().collect::<Vec<_>>(),
        ["REFERENCE", "CLASS", "TYPE", "SIZE", "LABEL"]
    );
    assert!(
        lines[1].contains("secret-key") && lines[1].contains("3des") && lines[1].ends_with("\u{fffd}[31mred"),
        "{text}"
    );
    assert_eq!(lines[2], "1 of 1 keys");
    assert!(!text.contains('\u{1b}'));
}
