//! `coffer audit`, and that neither log ever holds a secret.

use super::*;
use std::path::PathBuf;

fn log_of(place: &Place) -> PathBuf {
    let serial = place.tokens()[0]["serial"].as_str().expect("text").to_owned();
    place.path().join(format!("tokens/{serial}.audit"))
}

fn events(data: &Value) -> Vec<String> {
    let lines = data["lines"].as_array().expect("a list").iter();
    lines.map(|line| line["event"].as_str().expect("text").to_owned()).collect()
}

#[test]
fn the_log_is_shown_and_filtered() {
    let place = Place::new("audit = \"management\"\n");
    place.done(&["token", "init", "--label", "one"]);
    place.done(&["key", "generate-symmetric", "aes", "--label", "a", "--key-length-bytes", "32"]);
    let mut wrong = place.coffer(&["token", "verify"]);
    refused(answer(&run(wrong.env("COFFER_PIN", "wrong-pin"))), &["the PIN is wrong", "CKR_PIN_INCORRECT"]);

    let all = place.done(&["audit", "show"]);
    let count = all["lines"].as_array().expect("a list").len();
    assert_eq!(events(&all)[..4], ["init token", "login", "init PIN", "logout"]);
    assert_eq!(all["total"], json!(count), "those up to the login that reads them");
    let shown = |filter: &[&str]| place.done(&[&["audit", "show"][..], filter].concat());
    let failed = shown(&["--outcome", "failed"]);
    assert_eq!(
        (&failed["matched"], &failed["lines"][0]["outcome"], &failed["lines"][0]["signed"]),
        (&json!(1), &json!("CKR_PIN_INCORRECT"), &json!(false))
    );
    assert!(events(&shown(&["--event", "create"])).iter().all(|event| event == "create objects"));
    let admins = shown(&["--user", "Admin"]);
    assert!(admins["lines"].as_array().expect("a list").iter().all(|line| line["user"] == "admin"));
    assert_eq!(shown(&["--last", "2"])["lines"].as_array().map(Vec::len), Some(2));
    assert_eq!(shown(&["--until", "2020-01-01"])["matched"], 0);
    assert_eq!(shown(&["--since", "1h", "--event", "init token"])["matched"], 1);
    let time = all["lines"][1]["time"].as_str().expect("text").to_owned();
    assert_eq!(shown(&["--since", &time, "--event", "init token"])["matched"], 0, "{time}");
    assert_eq!(run(&mut place.coffer(&["audit", "show", "--since", "soon"])).status.code(), Some(2));

    let mut table = place.coffer(&["audit", "show", "--text", "--event", "init token"]);
    let said = String::from_utf8(run(table.env("COFFER_SO_PIN", SO_PIN)).stdout).expect("text");
    let lines: Vec<_> = said.lines().collect();
    assert!(lines[0].starts_with("NUMBER  TIME") && lines[1].contains("init token  one"), "{said}");
    // A user does not read it.
    let mut user = place.coffer(&["audit", "show"]);
    refused(answer(&run(user.env("COFFER_SO_PIN", USER_PIN))), &["CKR_PIN_INCORRECT"]);
}

#[test]
fn a_changed_log_is_told_from_a_cut_one() {
    let place = Place::new("audit = \"management\"\n");
    place.done(&["token", "init", "--label", "one"]);
    place.done(&["token", "rename", "--label", "two"]);
    let good = place.done(&["audit", "verify"]);
    assert_eq!((&good["faults"], &good["first-fault"]), (&json!([]), &Value::Null));
    let log = log_of(&place);
    let honest = fs::read_to_string(&log).expect("the log");

    fs::write(&log, honest.replacen("rename token", "rename coken", 1)).expect("the log");
    let found = place.finds_wrong(&["audit", "verify"]);
    let first = found["first-fault"].as_str().expect("a fault");
    assert!(first.starts_with("line 6: its signature is wrong"), "{found}");

    let lines: Vec<_> = honest.lines().collect();
    fs::write(&log, lines[..3].join("\n") + "\n").expect("the log");
    let found = place.finds_wrong(&["audit", "verify"]);
    assert!(found["first-fault"].as_str().expect("a fault").contains("its end was cut off"), "{found}");
    let mut text = place.coffer(&["--text", "audit", "verify"]);
    let output = run(text.env("COFFER_SO_PIN", SO_PIN));
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("its end was cut off"));
}

/// A full file gets a number, and the chain goes on over all of them.
#[test]
fn the_log_goes_on_in_another_file() {
    let place = Place::new("audit = \"management\"\naudit_file_size = 2000\n");
    place.done(&["token", "init", "--label", "one"]);
    for at in 0..12 {
        place.done(&["token", "rename", "--label", &format!("name {at}")]);
    }
    let numbered = |number: u32| {
        let mut name = log_of(&place).into_os_string();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    };
    assert!(numbered(1).exists() && numbered(2).exists() && numbered(3).exists());
    let good = place.done(&["audit", "verify"]);
    assert_eq!(good["faults"], json!([]));
    assert!(good["lines"].as_u64().expect("a number") > 28, "{good}");
    let all = place.done(&["audit", "show", "--event", "rename token"]);
    assert_eq!(all["matched"], 12);

    // An archived file is missed by name, and the rest is still checked.
    fs::rename(numbered(1), place.path().join("archive")).expect("moving");
    let found = place.finds_wrong(&["audit", "verify"]);
    let faults = found["faults"].as_array().expect("a list");
    assert!(
        faults.len() == 1 && found["first-fault"].as_str().expect("text").contains("are not there"),
        "{found}"
    );
    // One in the middle breaks the chain.
    fs::rename(place.path().join("archive"), numbered(1)).expect("moving");
    fs::remove_file(numbered(2)).expect("removing");
    let found = place.finds_wrong(&["audit", "verify"]);
    assert!(!found["faults"].as_array().expect("a list").is_empty());
}

/// Every kind of operation with the log at its most talkative: neither log holds a PIN, a passphrase or a key's value.
#[test]
fn no_log_holds_a_secret() {
    let place = Place::new("audit = \"all\"\nlog_level = \"trace\"\nlog_file = \"log\"\n");
    place.done(&["token", "init", "--label", "one"]);
    let value = "00112233445566778899aabbccddeeff0123456789abcdef";
    let bytes: Vec<u8> = hex::decode(value).expect("hexadecimal");
    fs::write(place.path().join("raw"), &bytes).expect("a file");
    fs::write(place.path().join("pass"), "a-passphrase-of-mine\n").expect("a file");
    fs::write(place.path().join("text"), "the text that is signed").expect("a file");
    let file = |name: &str| place.file(name);
    place.done(&[
        "import",
        "--path",
        &file("raw"),
        "--key-type-class",
        "aes",
        "--label",
        "imported",
        "--attributes",
        "extractable=true",
        "sensitive=false",
        "encrypt=true",
    ]);
    place.done(&[
        "key",
        "generate-asymmetric-pair",
        "rsa",
        "--public-label",
        "pub",
        "--private-label",
        "priv",
        "--modulus-size-bits",
        "2048",
        "--public-exponent",
        "65537",
        "--public-attributes",
        "wrap=true",
        "verify=true",
        "--private-attributes",
        "unwrap=true",
        "sign=true",
        "extractable=true",
    ]);
    place.done(&[
        "key",
        "wrap",
        "rsa-aes",
        "--payload-filter",
        "attr.label=imported",
        "--wrapping-filter",
        "attr.label=pub",
        "--hash-function",
        "sha256",
        "--mgf",
        "mgf1-sha256",
        "--path",
        &file("wrapped"),
    ]);
    place.done(&[
        "key",
        "unwrap",
        "rsa-aes",
        "--filter",
        "attr.label=priv",
        "--key-type-class",
        "aes",
        "--label",
        "back",
        "--hash-function",
        "sha256",
        "--mgf",
        "mgf1-sha256",
        "--data-path",
        &file("wrapped"),
    ]);
    place.done(&[
        "crypto",
        "sign",
        "rsa-pkcs",
        "--key-filter",
        "attr.label=priv",
        "--hash-function",
        "sha256",
        "--data-path",
        &file("text"),
    ]);
    place.done(&[
        "export",
        "--filter",
        "attr.label=priv",
        "--format",
        "pem",
        "--path",
        &file("exported"),
        "--passphrase-file",
        &file("pass"),
    ]);
    place.done(&[
        "token",
        "escrow-key",
        "generate",
        "--public",
        &file("e.pub"),
        "--private",
        &file("e.key"),
        "--passphrase-file",
        &file("pass"),
    ]);
    place.done(&["token", "backup", "--path", &file("backup"), "--escrow-key", &file("e.pub")]);
    place.done(&[
        "token",
        "restore",
        "--path",
        &file("backup"),
        "--escrow-key",
        &file("e.key"),
        "--passphrase-file",
        &file("pass"),
    ]);
    place.done(&["token", "destroy", "--token", "1", "--yes"]);
    place.done(&["token", "verify"]);
    let mut wrong = place.coffer(&["token", "verify"]);
    refused(answer(&run(wrong.env("COFFER_PIN", "a-wrong-pin"))), &["CKR_PIN_INCORRECT"]);
    place.done(&["key", "delete", "--filter", "attr.label=imported"]);
    place.done(&["audit", "verify"]);

    let (log, audit) =
        (fs::read(place.path().join("log")).expect("the log"), fs::read(log_of(&place)).expect("the log"));
    assert!(log.len() > 10_000 && audit.len() > 1_000, "{} {}", log.len(), audit.len());
    let base64 = "ABEiM0RVZneImaq7zN3u/wEjRWeJq83v";
    let secrets: [&[u8]; 8] = [
        SO_PIN.as_bytes(),
        USER_PIN.as_bytes(),
        b"a-wrong-pin",
        b"a-passphrase-of-mine",
        &bytes,
        value.as_bytes(),
        base64.as_bytes(),
        b"the text that is signed",
    ];
    for secret in secrets {
        for log in [&log, &audit] {
            assert!(
                !log.windows(secret.len()).any(|there| there == secret),
                "{}",
                String::from_utf8_lossy(secret)
            );
        }
    }
}
