//! `coffer import|export`, against files that OpenSSL made and reads.

use super::*;
use std::os::unix::fs::PermissionsExt;

const PASSPHRASE: &str = "a passphrase for files";

/// OpenSSL in the place; what it says.
fn openssl(place: &Place, arguments: &str) -> Vec<u8> {
    let arguments = arguments.replace("PASS", "env:FILE_PASSPHRASE");
    let mut command = Command::new("openssl");
    command.current_dir(place.path()).env("FILE_PASSPHRASE", PASSPHRASE).args(arguments.split(' '));
    let output = command.output().expect("openssl runs");
    assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// The command's JSON, with the passphrase in the environment.
fn coffer(place: &Place, arguments: &[&str]) -> (i32, Value) {
    let mut command = place.coffer(arguments);
    answer(&run(command.env("COFFER_PIN", USER_PIN).env("COFFER_PASSPHRASE", PASSPHRASE)))
}

fn done(place: &Place, arguments: &[&str]) -> Value {
    let (code, answer) = coffer(place, arguments);
    assert_eq!(code, 0, "{arguments:?}: {answer}");
    answer["data"].clone()
}

fn import(place: &Place, name: &str, more: &[&str]) -> Value {
    let path = place.file(name);
    done(place, &[&["import", "--path", &path, "--label", name], more].concat())
}

/// The private key of that label as plain PKCS#8 out of the token.
fn exported(place: &Place, label: &str) -> Vec<u8> {
    let (path, filter) = (place.file("out"), format!("attr.label={label}"));
    done(
        place,
        &[
            "export",
            "--filter",
            &filter,
            "attr.class=private-key",
            "--format",
            "der",
            "--plain",
            "--path",
            &path,
        ],
    );
    fs::read(path).expect("a file")
}

/// Files of every form that OpenSSL writes hold the same key afterwards.
#[test]
fn private_keys_come_and_go() {
    let place = Place::with_token("one");
    openssl(&place, "genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa");
    openssl(&place, "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:secp384r1 -out ec");
    openssl(&place, "genpkey -algorithm ed25519 -out ed");
    openssl(&place, "genpkey -algorithm x25519 -out x");
    openssl(&place, "rsa -in rsa -traditional -out rsa-pkcs1");
    openssl(&place, "ec -in ec -out ec-sec1");
    openssl(&place, "pkcs8 -topk8 -in ec -out ec-sealed -passout PASS");
    openssl(
        &place,
        "pkcs8 -topk8 -in rsa -outform DER -v2 des3 -v2prf hmacWithSHA1 -out rsa-sealed -passout PASS",
    );
    openssl(&place, "req -x509 -key rsa -subj /CN=coffer -days 30 -out certificate");
    openssl(&place, "pkcs12 -export -in certificate -inkey rsa -out rsa-p12 -passout PASS");
    for name in ["rsa", "ec", "ed", "x", "rsa-pkcs1", "ec-sec1", "ec-sealed", "rsa-sealed", "rsa-p12"] {
        let said = import(&place, name, &["--attributes", "extractable=true"]);
        assert_eq!(said["keys"].as_array().map(Vec::len), Some(2), "{name}: a pair");
        assert_eq!(said["certificates"], u64::from(name == "rsa-p12"), "{name}");
        let original = name.split('-').next().expect("a name");
        let out = exported(&place, name);
        fs::write(place.path().join("der"), &out).expect("a file");
        let same = |file: &str| openssl(&place, &format!("pkey {file} -outform PEM"));
        assert_eq!(same("-inform DER -in der"), same(&format!("-in {original}")), "{name}");
    }
    assert_eq!(place.count(&["attr.class=certificate"]), 1);
    assert_eq!(import(&place, "certificate", &[])["certificates"], 1);
    // Key, public key and certificate have found one another.
    let id = place.key("rsa-p12", "private-key")["id"].as_str().expect("text").to_owned();
    assert_eq!(place.count(&[&format!("attr.id={id}"), "attr.class=certificate"]), 2);
}

#[test]
fn exports_are_encrypted_and_private() {
    let place = Place::with_token("one");
    openssl(&place, "genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa");
    openssl(&place, "req -x509 -key rsa -subj /CN=coffer -days 30 -out certificate");
    import(&place, "rsa", &["--attributes", "extractable=true"]);
    import(&place, "certificate", &[]);
    let path = place.file("out");
    let private =
        ["export", "--filter", "attr.label=rsa", "attr.class=private-key", "--path", &path, "--format"];
    for (format, read) in
        [("pem", "pkey -in out -passin PASS"), ("der", "pkey -inform DER -in out -passin PASS")]
    {
        done(&place, &[&private[..], &[format]].concat());
        assert_eq!(openssl(&place, read), fs::read(place.path().join("rsa")).expect("a file"), "{format}");
        assert_eq!(fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o600);
    }
    done(&place, &[&private[..], &["pkcs12"]].concat());
    let text = String::from_utf8(openssl(&place, "pkcs12 -in out -passin PASS -nodes")).expect("text");
    assert!(text.contains("BEGIN PRIVATE KEY") && text.contains("BEGIN CERTIFICATE"), "{text}");

    // Nothing secret leaves in the clear unless it is said.
    refused(coffer(&place, &[&private[..], &["jwk"]].concat()), &["--plain"]);
    refused(coffer(&place, &[&private[..], &["raw", "--plain"]].concat()), &["raw"]);
    let mut none = place.coffer(&[&private[..], &["pem"]].concat());
    refused(
        answer(&run(none.env("COFFER_PIN", USER_PIN).env("COFFER_PASSPHRASE", ""))),
        &["protects nothing"],
    );
    place.done(&[
        "key",
        "set-attribute",
        "--filter",
        "attr.label=rsa",
        "attr.class=private-key",
        "--name",
        "extractable",
        "--value",
        "false",
    ]);
    refused(coffer(&place, &[&private[..], &["pem"]].concat()), &["not extractable"]);
    let full = [
        "export",
        "--filter",
        "attr.label=rsa",
        "attr.class=public-key",
        "--format",
        "pem",
        "--path",
        "/dev/full",
    ];
    refused(coffer(&place, &full), &["/dev/full", "No space"]);
    assert!(
        fs::read_dir(place.path()).expect("a directory").all(|entry| !entry
            .expect("an entry")
            .file_name()
            .to_string_lossy()
            .starts_with(".out"))
    );
}

/// JWKs of every kind, private and public; a raw triple-DES key; and what Python's view of the same numbers is.
#[test]
fn web_keys_and_raw_keys() {
    let place = Place::with_token("one");
    openssl(&place, "genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa");
    openssl(&place, "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:secp521r1 -out ec");
    openssl(&place, "genpkey -algorithm ed25519 -out ed");
    for (name, kty) in [("rsa", "RSA"), ("ec", "EC"), ("ed", "OKP")] {
        import(&place, name, &["--attributes", "extractable=true"]);
        for (class, plain) in [("private-key", Some("--plain")), ("public-key", None)] {
            let (path, filter, class_filter) =
                (place.file("jwk"), format!("attr.label={name}"), format!("attr.class={class}"));
            let mut export =
                vec!["export", "--filter", &filter, &class_filter, "--format", "jwk", "--path", &path];
            export.extend(plain);
            done(&place, &export);
            let jwk: Value = serde_json::from_str(&fs::read_to_string(&path).expect("a file")).expect("JSON");
            assert_eq!(
                (&jwk["kty"], &jwk["kid"], jwk.get("d").is_some()),
                (&json!(kty), &json!(name), plain.is_some())
            );
            let label = format!("{name}-{class}");
            done(&place, &["import", "--path", &path, "--label", &label, "--attributes", "extractable=true"]);
        }
        let back = exported(&place, &format!("{name}-private-key"));
        assert_eq!(back, exported(&place, name), "{name}");
    }
    // RFC 7515, appendix A.1.
    let known = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
    fs::write(place.path().join("oct"), format!("{{\"kty\":\"oct\",\"k\":\"{known}\"}}")).expect("a file");
    import(&place, "oct", &["--key-type-class", "generic-secret", "--attributes", "extractable=true"]);
    let path = place.file("oct-out");
    done(&place, &["export", "--filter", "attr.label=oct", "--format", "jwk", "--plain", "--path", &path]);
    assert!(fs::read_to_string(&path).expect("a file").contains(known));

    fs::write(place.path().join("raw"), [[1u8; 8], [2; 8], [4; 8]].concat()).expect("a file");
    import(&place, "raw", &["--key-type-class", "3des", "--attributes", "extractable=true", "encrypt=true"]);
    done(&place, &["export", "--filter", "attr.label=raw", "--format", "raw", "--plain", "--path", &path]);
    assert_eq!(fs::read(&path).expect("a file"), [[1u8; 8], [2; 8], [4; 8]].concat());
    import(&place, "raw", &["--key-type-class", "3des", "--attributes", "encrypt=true"]);
    assert_eq!(
        place.count(&["attr.label=raw", "attr.extractable=true"]),
        1,
        "not extractable unless it is said"
    );
}

#[test]
fn wrong_files_bring_nothing() {
    let place = Place::with_token("one");
    openssl(&place, "genpkey -algorithm ed25519 -out ed");
    openssl(&place, "pkcs8 -topk8 -in ed -out sealed -passout PASS");
    openssl(&place, "genpkey -algorithm ed448 -out ed448");
    for (name, text, word) in [
        ("random", "no key at all", "none of PEM"),
        ("json", "{\"kty\":\"oct\"}", "\"k\""),
        ("json", "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"AA\"}", "32 bytes"),
        ("json", "{\"kty\":\"EC\",\"crv\":\"P-1\"}", "P-1"),
        ("json", "{", "the JWK"),
        ("pem", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n", "OPENSSH"),
    ] {
        fs::write(place.path().join(name), text).expect("a file");
        refused(coffer(&place, &["import", "--path", &place.file(name), "--label", "x"]), &[word]);
    }
    refused(coffer(&place, &["import", "--path", &place.file("ed448"), "--label", "x"]), &["not supported"]);
    refused(
        coffer(&place, &["import", "--path", &place.file("nothing"), "--label", "x"]),
        &["nothing", "No such file"],
    );
    let mut wrong = place.coffer(&["import", "--path", &place.file("sealed"), "--label", "x"]);
    refused(
        answer(&run(wrong.env("COFFER_PIN", USER_PIN).env("COFFER_PASSPHRASE", "wrong"))),
        &["a wrong passphrase"],
    );
    let mut none = place.coffer(&["import", "--path", &place.file("sealed"), "--label", "x"]);
    refused(answer(&run(none.env("COFFER_PIN", USER_PIN))), &["no passphrase", "COFFER_PASSPHRASE"]);
    // The second object of a file is refused: the first goes as well.
    let clash = ["import", "--path", &place.file("ed"), "--label", "x", "--public-attributes", "sign=true"];
    refused(coffer(&place, &clash), &["nothing was imported"]);
    assert_eq!(place.count(&[]), 0);
}
