//! Moving keys: the published steps between two clusters, and `coffer migrate` between tokens and modules.

use super::*;
use crate::common::library;
use std::path::PathBuf;

fn built() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_coffer")).parent().expect("a directory").to_owned()
}

/// The commands with which keys are moved between two clusters of CloudHSM, one by one.
#[test]
fn the_seven_steps() {
    seven_steps("non-fips");
}

/// A cluster in FIPS mode takes such a key, for what was encrypted before.
#[test]
fn the_seven_steps_to_a_fips_cluster() {
    seven_steps("fips");
    let place = Place::new("profile = \"cloudhsm\"\nmode = \"fips\"\n");
    let pin = format!("user:{USER_PIN}");
    let coffer = |arguments: &[&str]| {
        answer(&run(place.coffer(arguments).env("COFFER_SO_PIN", SO_PIN).env("COFFER_PIN", &pin)))
    };
    assert_eq!(coffer(&["token", "init", "--label", "hsm"]).0, 0);
    refused(coffer(&["key", "generate-symmetric", "3des", "--label", "k"]), &["no mechanism"]);
}

/// The post's listing of the third step lacks the backslashes that make one command of its lines. Typed like that
/// each line fails, says what is missing, and leaves nothing half-made.
#[test]
fn the_third_step_without_its_backslashes() {
    let place = Place::with_token("one");
    let path = place.file("public.pem");
    let pair = ["key", "generate-asymmetric-pair", "rsa", "--public-label", "p", "--private-label", "s"];
    place.done(&pair);
    let filter = ["--filter", "attr.label=p", "--encoding", "pem", "--path", &path];
    place.done(&[&["key", "generate-file"][..], &filter].concat());
    for (line, word) in [
        (&["key", "import", "pem", "--path", &path][..], "--label"),
        (&["--label", "imported"], "--label"),
        (&["--key-type-class", "rsa-public", "--attributes", "wrap=true"], "--key-type-class"),
    ] {
        let output = run(&mut place.coffer(line));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), said.contains(word)), (Some(2), true), "{said}");
    }
    assert_eq!(place.count(&[]), 2);
    let whole = ["--label", "imported", "--key-type-class", "rsa-public", "--attributes", "wrap=true"];
    place.done(&[&["key", "import", "pem", "--path", &path][..], &whole].concat());
}

fn seven_steps(target: &str) {
    let place = Place::new("");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new("sh")
        .arg(root.join("scripts/migration.sh"))
        .args([place.path().join("migration"), built()])
        .env("COFFER_MODULE", library())
        .env("TARGET_MODE", target)
        .env(
            "C_EXAMPLES",
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("migration-examples-{target}")),
        )
        .env_remove("MAKEFLAGS")
        .output()
        .expect("sh runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    for step in 1..=7 {
        assert!(said.contains(&format!("== {step}. ")), "step {step}: {said}");
    }
    assert!(said.contains("The key is the same on both sides"), "{said}");
}

/// One key of each kind that travels, and one that may not.
pub fn fill(coffer: &impl Fn(&[&str]) -> Value) {
    for kind in [
        &[
            "key",
            "generate-symmetric",
            "aes",
            "--key-length-bytes",
            "32",
            "--label",
            "aes",
            "--attributes",
            "id=0x01",
            "encrypt=true",
        ][..],
        &["key", "generate-symmetric", "3des", "--label", "3des"],
        &["key", "generate-symmetric", "generic-secret", "--key-length-bytes", "40", "--label", "secret"],
        &[
            "key",
            "generate-asymmetric-pair",
            "rsa",
            "--public-label",
            "rsa",
            "--private-label",
            "rsa",
            "--public-attributes",
            "id=0x02",
            "verify=true",
            "--private-attributes",
            "id=0x02",
            "sign=true",
        ],
        &[
            "key",
            "generate-asymmetric-pair",
            "ec",
            "--curve",
            "secp256r1",
            "--public-label",
            "ec",
            "--private-label",
            "ec",
            "--public-attributes",
            "id=0x03",
            "verify=true",
            "--private-attributes",
            "id=0x03",
            "sign=true",
        ],
        &[
            "key",
            "generate-symmetric",
            "aes",
            "--key-length-bytes",
            "16",
            "--label",
            "fixed",
            "--attributes",
            "extractable=false",
        ],
    ] {
        coffer(kind);
    }
}

/// Each key's outcome by its label and kind, and the totals.
pub fn outcomes(report: &Value) -> (Vec<(String, String)>, u64, u64) {
    let mut found: Vec<_> = report["keys"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|key| {
            let text = |name: &str| key[name].as_str().expect("text").to_owned();
            (
                format!("{} {}", text("label"), text("kind")),
                format!("{}: {}", text("outcome"), text("detail")),
            )
        })
        .collect();
    found.sort();
    (found, report["there"].as_u64().expect("a number"), report["stay"].as_u64().expect("a number"))
}

/// `migrate` with both PINs in the environment.
pub fn migrate(place: &Place, environment: &[(&str, &str)], arguments: &[&str]) -> (i32, Value) {
    let mut command = place.coffer(&[&["migrate"], arguments].concat());
    answer(&run(command.envs(environment.iter().copied())))
}

pub fn moved(answer: (i32, Value)) -> Value {
    assert_eq!(answer.0, 0, "{}", answer.1);
    answer.1["data"].clone()
}

#[test]
fn between_two_tokens() {
    let place = Place::with_token("from");
    place.done(&["token", "init", "--label", "to"]);
    fill(&|arguments| place.done(&[arguments, &["--token", "from"]].concat()));
    place.done(&[
        "key",
        "generate-asymmetric-pair",
        "ml-dsa",
        "--public-label",
        "ml",
        "--private-label",
        "ml",
        "--token",
        "from",
    ]);
    place.done(&[
        "key",
        "generate-asymmetric-pair",
        "ed25519",
        "--public-label",
        "ed",
        "--private-label",
        "ed",
        "--token",
        "from",
    ]);
    let request = [
        "req",
        "-x509",
        "-newkey",
        "ed25519",
        "-nodes",
        "-keyout",
        "/dev/null",
        "-subj",
        "/CN=moves",
        "-days",
        "9",
        "-out",
    ];
    let pem = place.file("certificate");
    assert!(Command::new("openssl").args(request).arg(&pem).output().expect("openssl runs").status.success());
    place.done(&["import", "--path", &pem, "--label", "certificate", "--token", "from"]);
    let pins = [("COFFER_FROM_PIN", USER_PIN), ("COFFER_TO_PIN", USER_PIN)];
    let tokens = ["--from-token", "from", "--to-token", "to"];

    let plan = moved(migrate(&place, &pins, &[&tokens[..], &["--dry-run"]].concat()));
    assert_eq!((&plan["dry-run"], &plan["there"], &plan["stay"]), (&json!(true), &json!(12), &json!(1)));
    assert_eq!(
        place.done(&["key", "list", "--token", "to"])["total_key_count"],
        0,
        "a dry run moves nothing"
    );

    // First a part by one way, then the rest by the other: what is there stays.
    let some = moved(migrate(
        &place,
        &pins,
        &[&tokens[..], &["--filter", "attr.class=secret-key", "--method", "aes-kwp"]].concat(),
    ));
    assert_eq!((&some["method"], &some["there"], &some["stay"]), (&json!("aes-kwp"), &json!(3), &json!(1)));
    let all = moved(migrate(&place, &pins, &[&tokens[..], &["--method", "rsa-aes"]].concat()));
    assert_eq!(all["method"], "rsa-aes");
    let (outcomes, there, stay) = outcomes(&all);
    assert_eq!((there, stay), (12, 1), "{outcomes:?}");
    for (key, proof) in [
        ("3des 3des secret-key", "encryption"),
        ("aes aes secret-key", "encryption"),
        ("ec ec private-key", "signatures"),
        ("ed ed25519 private-key", "a signature"),
        ("ml ml-dsa private-key", "signatures"),
        ("rsa rsa private-key", "a signature"),
        ("secret generic-secret secret-key", "a MAC"),
    ] {
        let outcome = &outcomes.iter().find(|(name, _)| name == key).unwrap_or_else(|| panic!("{key}")).1;
        assert_eq!(*outcome, format!("there: proved by {proof} on both sides"), "{key}");
    }
    assert!(
        outcomes.contains(&("fixed aes secret-key".into(), "stays: it is not extractable, for ever".into()))
    );
    assert_eq!(place.done(&["key", "list", "--token", "to"])["total_key_count"], 11, "each key once");
    // With its attributes.
    let key = |token: &str| {
        let list = place.done(&["key", "list", "--verbose", "--token", token, "--filter", "attr.label=aes"]);
        let mut attributes = list["matched_keys"][0]["attributes"].clone();
        // What tells where a key was made is its new token's to say.
        for name in ["local", "always-sensitive", "never-extractable"] {
            attributes[name].take();
        }
        attributes
    };
    assert_eq!(key("from"), key("to"));

    refused(
        migrate(&place, &pins, &["--from-token", "from", "--to-token", "from"]),
        &["the two tokens are one"],
    );
    refused(migrate(&place, &pins, &["--from-token", "from"]), &["which token"]);
    refused(migrate(&place, &pins[..1], &tokens), &["no PIN of token \"to\"", "COFFER_TO_PIN"]);
    refused(
        migrate(&place, &[("COFFER_FROM_PIN", "wrong one"), pins[1]], &tokens),
        &["\"from\"", "CKR_PIN_INCORRECT"],
    );
}

/// A run that is killed loses nothing and repeats nothing.
#[test]
fn interrupted_and_resumed() {
    let place = Place::with_token("from");
    place.done(&["token", "init", "--label", "to"]);
    for at in 0..20 {
        let label = format!("key {at}");
        place.done(&[
            "key",
            "generate-symmetric",
            "aes",
            "--key-length-bytes",
            "32",
            "--label",
            &label,
            "--token",
            "from",
        ]);
    }
    let pins = [("COFFER_FROM_PIN", USER_PIN), ("COFFER_TO_PIN", USER_PIN)];
    let tokens = ["--from-token", "from", "--to-token", "to"];
    let count =
        || place.done(&["key", "list", "--token", "to"])["total_key_count"].as_u64().expect("a number");
    for patience in [150, 300, 450] {
        let mut command = place.coffer(&[&["migrate"][..], &tokens].concat());
        let mut child =
            command.envs(pins).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("coffer runs");
        std::thread::sleep(Duration::from_millis(patience));
        child.kill().expect("a signal");
        child.wait().expect("an end");
        assert!(count() <= 20);
    }
    let report = moved(migrate(&place, &pins, &tokens));
    assert_eq!((&report["there"], &report["stay"], count()), (&json!(20), &json!(0), 20));
}

/// A key that was to come and did not makes the run a failed one; those that cannot come do not.
#[test]
fn what_does_not_come_is_no_success() {
    let place = Place::with_token("from");
    place.done(&["token", "init", "--label", "to"]);
    let aes = ["key", "generate-symmetric", "aes", "--key-length-bytes", "32", "--token", "from", "--label"];
    place.done(&[&aes[..], &["comes"]].concat());
    place.done(&[&aes[..], &["stays", "--attributes", "extractable=false"]].concat());
    let limited = |value: &str| {
        let mut command = place.coffer(&["cluster", "set-limited-write", "--value", value, "--token", "to"]);
        command.env("COFFER_ROLE", "admin").env("COFFER_PIN", SO_PIN);
        assert_eq!(answer(&run(&mut command)).0, 0);
    };
    let pins = [("COFFER_FROM_PIN", USER_PIN), ("COFFER_TO_PIN", USER_PIN)];
    let tokens = ["--from-token", "from", "--to-token", "to"];
    limited("true");
    let (code, report) = migrate(&place, &pins, &tokens);
    assert_eq!(
        (code, &report["error_code"], &report["data"]["failed"]),
        (1, &json!(1), &json!(1)),
        "{report}"
    );
    let (found, there, stay) = outcomes(&report["data"]);
    assert_eq!((there, stay), (0, 1));
    assert!(found[0].1.starts_with("failed: the token is write protected"), "{found:?}");
    assert!(found[1].1.starts_with("stays: it is not extractable"), "{found:?}");
    limited("false");
    let report = moved(migrate(&place, &pins, &tokens));
    assert_eq!((&report["there"], &report["failed"]), (&json!(1), &json!(0)));
}

/// From a fips token to one that is not, each with a directory and a configuration of its own.
#[test]
fn between_two_configurations() {
    let (old, new) = (Place::new("mode = \"fips\"\n"), Place::new(""));
    old.done(&["token", "init", "--label", "old"]);
    new.done(&["token", "init", "--label", "new"]);
    old.done(&["key", "generate-symmetric", "aes", "--key-length-bytes", "32", "--label", "aes"]);
    old.fails(&["key", "generate-symmetric", "3des", "--label", "3des"], &["no mechanism"]);
    let module = library().display().to_string();
    let pins = [("COFFER_FROM_PIN", USER_PIN), ("COFFER_TO_PIN", USER_PIN)];
    // The module of the one side reads COFFER_CONF, Coffer's own --config.
    let config = new.file("coffer.toml");
    let report = moved(migrate(
        &old,
        &pins,
        &["--config", &config, "--from", &module, "--from-token", "old", "--to-token", "new"],
    ));
    assert_eq!((&report["there"], &report["stay"]), (&json!(1), &json!(0)));
    assert_eq!(new.key("aes", "secret-key")["check-value"], old.key("aes", "secret-key")["check-value"]);
}

/// SoftHSM's module and a token of it, if it is installed.
pub fn softhsm(place: &Place) -> Option<(String, [(&'static str, String); 1])> {
    let places = [
        "/usr/lib/softhsm/libsofthsm2.so",
        "/usr/lib64/pkcs11/libsofthsm2.so",
        "/usr/local/lib/softhsm/libsofthsm2.so",
    ];
    let module = places.iter().find(|path| Path::new(path).exists())?;
    fs::create_dir(place.path().join("soft")).expect("a directory");
    fs::write(place.path().join("soft.conf"), format!("directories.tokendir = {}\n", place.file("soft")))
        .expect("a file");
    let environment = [("SOFTHSM2_CONF", place.file("soft.conf"))];
    let output = Command::new("softhsm2-util")
        .envs(environment.clone())
        .args(["--init-token", "--free", "--label", "soft", "--so-pin", SO_PIN, "--pin", USER_PIN])
        .output()
        .expect("softhsm2-util runs");
    assert!(output.status.success(), "{output:?}");
    Some(((*module).into(), environment))
}

/// Key commands work on another module, and keys go from it and to it.
#[test]
fn from_softhsm_and_to_softhsm() {
    let place = Place::with_token("coffer");
    let (module, environment) = softhsm(&place).expect("SoftHSM: scripts/setup.sh clients");
    let soft = |arguments: &[&str]| {
        let mut command = place.coffer(&[&["--library", &module], arguments].concat());
        let (code, said) = answer(&run(command.envs(environment.clone()).env("COFFER_PIN", USER_PIN)));
        assert_eq!(code, 0, "{arguments:?}: {said}");
        said["data"].clone()
    };
    fill(&soft);
    assert_eq!(soft(&["key", "list"])["total_key_count"], 8);
    let pins =
        [("COFFER_FROM_PIN", USER_PIN), ("COFFER_TO_PIN", USER_PIN), ("SOFTHSM2_CONF", &environment[0].1)];
    let (outcomes, there, stay) = outcomes(&moved(migrate(&place, &pins, &["--from", &module])));
    assert_eq!((there, stay), (7, 1), "{outcomes:?}");
    assert!(
        outcomes.iter().filter(|(_, outcome)| outcome.contains("proved by")).count() == 5,
        "{outcomes:?}"
    );
    assert_eq!(place.count(&[]), 7);

    place.done(&["key", "generate-symmetric", "3des", "--label", "new"]);
    let back = moved(migrate(&place, &pins, &["--to", &module]));
    assert_eq!((&back["there"], &back["stay"]), (&json!(8), &json!(0)));
    let new = back["keys"]
        .as_array()
        .expect("a list")
        .iter()
        .find(|key| key["label"] == "new")
        .expect("the new key");
    assert_eq!(new["detail"], "proved by encryption on both sides");
    let filter = ["attr.label=new", "attr.key-type=3des"];
    assert_eq!(soft(&[&["key", "list", "--filter"][..], &filter].concat())["total_key_count"], 1);
}
