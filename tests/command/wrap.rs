//! `coffer key wrap|unwrap|generate-file|import pem`.

use super::*;

const PAIR: &[&str] = &[
    "key",
    "generate-asymmetric-pair",
    "rsa",
    "--public-label",
    "A",
    "--private-label",
    "B",
    "--public-attributes",
    "wrap=true",
    "encrypt=true",
    "--private-attributes",
    "unwrap=true",
    "decrypt=true",
];

/// A token with payloads of every kind and keys to wrap them with.
fn place() -> Place {
    let place = Place::with_token("one");
    place.done(PAIR);
    let aes = ["key", "generate-symmetric", "aes", "--key-length-bytes", "32", "--label"];
    place.done(&[&aes[..], &["kek", "--attributes", "wrap=true", "unwrap=true", "encrypt=true"]].concat());
    place.done(&[&aes[..], &["aes"]].concat());
    place.done(&["key", "generate-symmetric", "3des", "--label", "3des"]);
    place.done(&[
        "key",
        "generate-symmetric",
        "generic-secret",
        "--key-length-bytes",
        "13",
        "--label",
        "generic",
    ]);
    place.done(&[
        "key",
        "generate-asymmetric-pair",
        "ec",
        "--curve",
        "secp256r1",
        "--public-label",
        "ec-public",
        "--private-label",
        "ec",
    ]);
    place
}

/// Wraps the payload and unwraps it again with a new label; both are the same key.
fn there_and_back(place: &Place, method: &str, keys: (&str, &str), payload: (&str, &str), options: &[&str]) {
    let (wrapping, unwrapping) = (format!("attr.label={}", keys.0), format!("attr.label={}", keys.1));
    let (from, class) = payload;
    let from_filter = format!("attr.label={from}");
    let wrap = ["key", "wrap", method, "--payload-filter", &from_filter, "--wrapping-filter", &wrapping];
    let wrapped = place.done(&[&wrap[..], options].concat());
    let data = wrapped["wrapped_key_data"].as_str().expect("base64");
    let iv: Vec<&str> = wrapped["iv"].as_str().map_or(vec![], |iv| vec!["--iv", iv]);
    let label = format!("{from} by {method}");
    let unwrap =
        ["key", "unwrap", method, "--filter", &unwrapping, "--label", &label, "--key-type-class", class];
    let made = place.done(&[&unwrap[..], &["--data", data], &iv, options].concat());
    let object = if class.ends_with("private") { "private-key" } else { "secret-key" };
    let (before, after) = (place.key(from, object), &made["key"]["attributes"]);
    assert_eq!(before["check-value"], after["check-value"], "{label}");
    assert_eq!(
        (&after["label"], &after["local"], &after["extractable"]),
        (&json!(label), &json!(false), &json!(true))
    );

    // A changed byte is refused, and leaves no key.
    let mut bytes = data.to_owned().into_bytes();
    bytes[4] = if bytes[4] == b'A' { b'B' } else { b'A' };
    let data = String::from_utf8(bytes).expect("base64");
    let label = format!("{label} broken");
    let unwrap =
        ["key", "unwrap", method, "--filter", &unwrapping, "--label", &label, "--key-type-class", class];
    let (code, said) = place.json(&[&unwrap[..], &["--data", &data], &iv, options].concat());
    // PKCS#1 v1.5 answers with a key nobody knows where the length allows one.
    if method != "rsa-pkcs" {
        refused((code, said), &["not what the key"]);
        assert_eq!(place.count(&[&format!("attr.label={label}")]), 0);
    }
}

#[test]
fn every_method_there_and_back() {
    let place = place();
    let secrets = [("aes", "aes"), ("3des", "3DES"), ("generic", "generic-secret")];
    let (kek, rsa) = (("kek", "kek"), ("A", "B"));
    let oaep = ["--hash-function", "sha256", "--mgf", "mgf1-sha256"];
    for payload in secrets {
        for method in ["aes-pkcs5-pad", "aes-zero-pad"] {
            there_and_back(&place, method, kek, payload, &[]);
        }
        for method in ["aes-gcm", "cloudhsm-aes-gcm"] {
            there_and_back(&place, method, kek, payload, &["--tag-length-bits", "128", "--aad", "0a0b0c"]);
        }
        for method in ["rsa-aes", "rsa-oaep"] {
            there_and_back(&place, method, rsa, payload, &oaep);
        }
        there_and_back(&place, "rsa-pkcs", rsa, payload, &[]);
    }
    there_and_back(&place, "aes-no-pad", kek, secrets[0], &[]);
    for method in ["aes-zero-pad", "aes-pkcs5-pad", "cloudhsm-aes-gcm"] {
        there_and_back(&place, method, kek, ("ec", "ec-private"), &[]);
    }
    there_and_back(&place, "rsa-aes", rsa, ("ec", "ec-private"), &["--hash-function", "SHA512"]);
}

#[test]
fn wrapping_by_files() {
    let place = place();
    let (pem, wrapped) = (place.file("public.pem"), place.file("wrapped"));
    let file = ["key", "generate-file", "--encoding", "pem", "--path", &pem, "--filter", "attr.label=A"];
    assert_eq!(place.done(&file)["message"], "Successfully generated key file");
    let import = [
        "key",
        "import",
        "pem",
        "--path",
        &pem,
        "--label",
        "imported",
        "--key-type-class",
        "rsa-public",
        "--attributes",
        "wrap=true",
    ];
    let imported = place.done(&import);
    assert_eq!(imported["message"], "Successfully imported key");
    assert_eq!(
        (&imported["key"]["attributes"]["local"], &imported["key"]["attributes"]["wrap"]),
        (&json!(false), &json!(true))
    );
    assert_eq!(imported["key"]["attributes"]["modulus"], place.key("A", "public-key")["modulus"]);
    let wrap = [
        "key",
        "wrap",
        "rsa-aes",
        "--payload-filter",
        "attr.label=3des",
        "--wrapping-filter",
        "attr.label=imported",
        "--hash-function",
        "sha256",
        "--mgf",
        "mgf1-sha256",
        "--path",
    ];
    let said = place.done(&[&wrap[..], &[&wrapped]].concat());
    assert_eq!((said["path"].as_str(), said.get("wrapped_key_data")), (Some(&wrapped[..]), None));
    assert_eq!(fs::metadata(&wrapped).expect("a file").len(), 256 + 32);
    let unwrap = [
        "key",
        "unwrap",
        "rsa-aes",
        "--filter",
        "attr.label=B",
        "--label",
        "moved",
        "--key-type-class",
        "3des",
        "--hash-function",
        "sha256",
    ];
    let moved = place.done(&[&unwrap[..], &["--data-path", &wrapped]].concat());
    assert_eq!(moved["key"]["attributes"]["check-value"], place.key("3des", "secret-key")["check-value"]);

    // Files that cannot be read or written.
    place.fails(&[&wrap[..], &["/no/such/directory/file"]].concat(), &["/no/such/directory/file"]);
    place.fails(&[&wrap[..], &["/dev/full"]].concat(), &["/dev/full", "No space"]);
    place.fails(&[&unwrap[..], &["--data-path", "/no/such/file"]].concat(), &["/no/such/file"]);
    place.fails(&[&unwrap[..], &["--data", "?"]].concat(), &["base64"]);
    place.fails(&[&unwrap[..], &["--data-path", "/dev/zero"]].concat(), &["/dev/zero"]);
    for (text, word) in [
        ("", "not a PEM file"),
        ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "not a public key"),
        ("-----BEGIN PUBLIC KEY-----\n", "does not end"),
        ("-----BEGIN X-----\nAAAA\n-----END X-----\n", "no PUBLIC KEY"),
    ] {
        fs::write(&pem, text).expect("a file");
        place.fails(&import, &[word]);
    }
}

#[test]
fn wrong_keys_for_wrapping() {
    let place = place();
    let wrap = |payload: &str, wrapping: &str, method: &[&str]| {
        let (payload, wrapping) = (format!("attr.label={payload}"), format!("attr.label={wrapping}"));
        place.json(
            &[&["key", "wrap"], method, &["--payload-filter", &payload, "--wrapping-filter", &wrapping]]
                .concat(),
        )
    };
    let rsa_aes = ["rsa-aes", "--hash-function", "sha256"];
    refused(wrap("aes", "aes", &["aes-zero-pad"]), &["wrap is false"]);
    refused(wrap("aes", "kek", &rsa_aes), &["another type"]);
    refused(wrap("nobody", "kek", &["aes-zero-pad"]), &["matched 0 keys", "payload"]);
    refused(wrap("3des", "nobody", &["aes-zero-pad"]), &["matched 0 keys", "wrapping key"]);
    refused(wrap("generic", "kek", &["aes-no-pad"]), &["length does not fit"]);
    refused(wrap("aes", "A", &["rsa-aes", "--hash-function", "md5"]), &["md5", "sha256"]);
    refused(wrap("aes", "kek", &["aes-gcm", "--aad", "xyz"]), &["--aad", "hex"]);
    place.done(&[
        "key",
        "generate-symmetric",
        "aes",
        "--key-length-bytes",
        "16",
        "--label",
        "fixed",
        "--attributes",
        "extractable=false",
    ]);
    refused(wrap("fixed", "kek", &["aes-zero-pad"]), &["not extractable", "CKR_KEY_UNEXTRACTABLE"]);
    place.fails(
        &[
            "key",
            "unwrap",
            "aes-zero-pad",
            "--filter",
            "attr.label=kek",
            "--label",
            "x",
            "--key-type-class",
            "rsa-public",
            "--data",
            "AAAA",
        ],
        &["key import pem"],
    );
    let output = run(&mut place.coffer(&[
        "key",
        "unwrap",
        "aes-zero-pad",
        "--filter",
        "attr.label=kek",
        "--label",
        "x",
        "--key-type-class",
        "aes",
    ]));
    assert_eq!(output.status.code(), Some(2), "data is missing");
}

#[test]
fn references_are_uris() {
    let place = place();
    let path = place.file("reference.pem");
    place.done(&[
        "key",
        "generate-file",
        "--encoding",
        "reference-pem",
        "--path",
        &path,
        "--filter",
        "attr.label=B",
    ]);
    let text = fs::read_to_string(&path).expect("a file");
    assert!(text.starts_with("-----BEGIN PKCS#11 PROVIDER URI-----\n"), "{text}");
    let output = Command::new("openssl").args(["asn1parse", "-in", &path]).output().expect("openssl runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        said.contains("PKCS#11 Provider URI v1.0") && said.contains("pkcs11:token=one;object=B;type=private"),
        "{said}"
    );
    place.fails(
        &["key", "generate-file", "--encoding", "pem", "--path", &path, "--filter", "attr.label=aes"],
        &["no public key"],
    );
    place.fails(
        &[
            "key",
            "generate-file",
            "--encoding",
            "ksp-key-reference",
            "--path",
            &path,
            "--filter",
            "attr.label=B",
        ],
        &["reference-pem"],
    );
}
