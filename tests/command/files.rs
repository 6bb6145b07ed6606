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
    // A JWK that is wrong is no raw key of its length.
    fs::write(place.path().join("json"), "{\"kty\":\"oct\",\"k\":\"?\"}").expect("a file");
    for class in ["generic-secret", "aes"] {
        let raw = ["import", "--path", &place.file("json"), "--label", "x", "--key-type-class", class];
        refused(coffer(&place, &raw), &["\"k\" is not base64url"]);
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

fn tool(place: &Place, program: &str, arguments: &str) {
    let output = Command::new(program)
        .current_dir(place.path())
        .args(arguments.split(' '))
        .output()
        .expect("NSS's tools and a JDK: scripts/setup.sh clients");
    assert!(output.status.success(), "{program} {arguments}: {output:?}");
}

/// The labels of all keys of a class, in order.
fn labels(place: &Place, class: &str) -> Vec<String> {
    let list = place.done(&["key", "list", "--filter", &format!("attr.class={class}"), "--all"]);
    let keys = list["matched_keys"].as_array().expect("a list");
    let mut labels: Vec<_> =
        keys.iter().map(|key| key["attributes"]["label"].as_str().expect("text").to_owned()).collect();
    labels.sort();
    labels
}

/// PKCS#12 as other programs write it: Java with several entries and a secret key, NSS with lengths that only an end mark
/// tells, OpenSSL with a chain, without encryption, and as it did before 3.0. Each entry under its own name.
#[test]
fn pkcs12_of_other_programs() {
    let place = Place::with_token("one");
    for entry in [
        "-genkeypair -alias java-rsa -keyalg RSA -keysize 2048 -dname CN=a",
        "-genkeypair -alias java-ec -keyalg EC -groupname secp256r1 -dname CN=b",
        "-genseckey -alias java-aes -keyalg AES -keysize 256",
    ] {
        tool(&place, "keytool", &format!("{entry} -storetype PKCS12 -keystore java.p12 -storepass changeit"));
    }
    openssl(&place, "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:secp384r1 -out ec");
    openssl(&place, "req -x509 -key ec -subj /CN=issuer -days 30 -out issuer");
    openssl(&place, "genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa");
    openssl(&place, "req -x509 -key rsa -subj /CN=coffer -days 30 -CA issuer -CAkey ec -out leaf");
    openssl(
        &place,
        "pkcs12 -export -in leaf -inkey rsa -certfile issuer -name chain -out chain.p12 -passout PASS",
    );
    openssl(&place, "pkcs12 -export -in leaf -inkey rsa -name legacy -legacy -out legacy.p12 -passout PASS");
    openssl(
        &place,
        "pkcs12 -export -in leaf -inkey rsa -name open -keypbe NONE -certpbe NONE -out open.p12 -passout PASS",
    );
    fs::write(place.path().join("nss-password"), "of NSS alone\n").expect("a file");
    fs::write(place.path().join("p12-password"), PASSPHRASE).expect("a file");
    fs::create_dir(place.path().join("nss")).expect("a directory");
    tool(&place, "certutil", "-N -d sql:nss -f nss-password");
    tool(&place, "pk12util", "-i chain.p12 -d sql:nss -k nss-password -w p12-password");
    tool(&place, "pk12util", "-o nss.p12 -n chain -d sql:nss -k nss-password -w p12-password");
    assert_eq!(fs::read(place.path().join("nss.p12")).expect("a file")[..2], [0x30, 0x80], "BER");

    let mut java =
        place.coffer(&["import", "--path", &place.file("java.p12"), "--attributes", "extractable=true"]);
    let (code, said) = answer(&run(java.env("COFFER_PIN", USER_PIN).env("COFFER_PASSPHRASE", "changeit")));
    assert_eq!((code, &said["data"]["certificates"]), (0, &json!(2)), "{said}");
    assert_eq!(labels(&place, "private-key"), ["java-ec", "java-rsa"]);
    assert_eq!(labels(&place, "secret-key"), ["java-aes"]);
    assert_eq!(place.key("java-aes", "secret-key")["key-length-bytes"], 32);
    for (label, at) in [("java-rsa", 0), ("java-ec", 1)] {
        fs::write(place.path().join("der"), exported(&place, label)).expect("a file");
        // The public key, since Java leaves it out of the private one and OpenSSL keeps what it finds.
        let ours = openssl(&place, "pkey -inform DER -in der -pubout");
        let keys = openssl(&place, "pkcs12 -in java.p12 -nocerts -nodes -passin pass:changeit");
        let keys = String::from_utf8(keys).expect("PEM");
        let theirs = keys.split("-----BEGIN").nth(1 + at).expect("a key");
        fs::write(place.path().join("theirs"), format!("-----BEGIN{theirs}")).expect("a file");
        assert_eq!(ours, openssl(&place, "pkey -in theirs -pubout"), "{label}");
    }
    for (name, certificates) in [("chain", 2), ("legacy", 1), ("open", 1), ("nss", 2)] {
        let said = done(
            &place,
            &["import", "--path", &place.file(&format!("{name}.p12")), "--attributes", "extractable=true"],
        );
        let label = if name == "nss" { "chain" } else { name };
        assert_eq!(
            (said["keys"].as_array().map(Vec::len), &said["certificates"]),
            (Some(2), &json!(certificates)),
            "{name}"
        );
        assert_eq!(said["keys"][0]["attributes"]["label"], label, "{name}");
        // The key, its public key and its certificate have one ID.
        let id = said["keys"][0]["attributes"]["id"].as_str().expect("text").to_owned();
        assert!(place.count(&[&format!("attr.id={id}"), "attr.class=certificate"]) >= 1, "{name}");
        let path = place.file("der");
        let filter = ["attr.class=private-key", &format!("attr.label={label}")].map(str::to_owned);
        let first =
            place.done(&["key", "list", "--filter", &filter[0], &filter[1]])["matched_keys"][0].clone();
        let reference = format!("key-reference={}", first["key-reference"].as_str().expect("text"));
        done(&place, &["export", "--filter", &reference, "--format", "der", "--plain", "--path", &path]);
        assert_eq!(
            openssl(&place, "pkey -inform DER -in der"),
            fs::read(place.path().join("rsa")).expect("a file"),
            "{name}"
        );
    }
    let out = place.file("out.p12");
    done(
        &place,
        &[
            "export",
            "--filter",
            "attr.label=java-ec",
            "attr.class=private-key",
            "--format",
            "pkcs12",
            "--path",
            &out,
        ],
    );
    tool(&place, "pk12util", "-i out.p12 -d sql:nss -k nss-password -w p12-password");
    let mut keytool = Command::new("keytool");
    keytool.current_dir(place.path()).args([
        "-list",
        "-keystore",
        "out.p12",
        "-storepass:file",
        "p12-password",
    ]);
    let listed = keytool.output().expect("a JDK");
    assert!(String::from_utf8_lossy(&listed.stdout).contains("java-ec, "), "{listed:?}");
}

/// Keys without PEM around them, a set of JWKs, and names that the files bring along.
#[test]
fn bare_keys_and_sets() {
    let place = Place::with_token("one");
    openssl(&place, "genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa");
    openssl(&place, "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:prime256v1 -out ec");
    openssl(&place, "rsa -in rsa -traditional -outform DER -out pkcs1.der");
    openssl(&place, "ec -in ec -outform DER -out sec1.der");
    openssl(&place, "pkey -in ec -pubout -outform DER -out spki.der");
    for (name, original) in [("pkcs1", "rsa"), ("sec1", "ec")] {
        done(
            &place,
            &["import", "--path", &place.file(&format!("{name}.der")), "--attributes", "extractable=true"],
        );
        fs::write(place.path().join("der"), exported(&place, name)).expect("a file");
        assert_eq!(
            openssl(&place, "pkey -inform DER -in der"),
            fs::read(place.path().join(original)).expect("a file")
        );
    }
    done(&place, &["import", "--path", &place.file("spki.der")]);
    assert_eq!(labels(&place, "public-key"), ["pkcs1", "sec1", "spki"]);

    let set = json!({ "keys": [
        { "kty": "OKP", "crv": "Ed25519", "kid": "one", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" },
        { "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" },
    ] });
    fs::write(place.path().join("set.json"), set.to_string()).expect("a file");
    done(&place, &["import", "--path", &place.file("set.json")]);
    assert_eq!(labels(&place, "public-key"), ["one", "pkcs1", "sec1", "set", "spki"]);
}

/// Every form cut short or with a bit turned is refused, whole.
#[test]
fn damaged_files_bring_nothing() {
    let place = Place::with_token("one");
    openssl(&place, "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:prime256v1 -out ec.pem");
    openssl(&place, "req -x509 -key ec.pem -subj /CN=coffer -days 30 -out certificate.pem");
    openssl(&place, "x509 -in certificate.pem -outform DER -out certificate.der");
    openssl(&place, "pkcs12 -export -in certificate.pem -inkey ec.pem -out file.p12 -passout PASS");
    openssl(&place, "pkcs8 -topk8 -in ec.pem -outform DER -out sealed.der -passout PASS");
    openssl(&place, "pkey -in ec.pem -outform DER -out plain.der");
    openssl(&place, "pkey -in ec.pem -pubout -outform DER -out public.der");
    let refuse = |bytes: &[u8], what: &str| {
        fs::write(place.path().join("damaged"), bytes).expect("a file");
        let (code, said) = coffer(&place, &["import", "--path", &place.file("damaged"), "--label", "x"]);
        assert_eq!((code, &said["error_code"]), (1, &json!(1)), "{what}: {said}");
        assert!(said["data"].as_str().expect("a reason").contains("damaged: "), "{what}: {said}");
    };
    for name in
        ["ec.pem", "certificate.pem", "certificate.der", "file.p12", "sealed.der", "plain.der", "public.der"]
    {
        let whole = fs::read(place.path().join(name)).expect("a file");
        for cut in [0, 1, 3, whole.len() / 3, whole.len() / 2, whole.len() - 2] {
            refuse(&whole[..cut], &format!("{name} cut at {cut}"));
        }
    }
    let whole = fs::read(place.path().join("file.p12")).expect("a file");
    for at in [60, whole.len() / 2, whole.len() - 20] {
        let mut turned = whole.clone();
        turned[at] ^= 1;
        refuse(&turned, &format!("a bit of byte {at}"));
    }
    refuse(&[0x30, 0x80].repeat(1 << 20), "BER without an end");
    refuse(b"{\"keys\": 1}", "no array of keys");
    assert_eq!(place.count(&[]), 0);
    assert_eq!(run(&mut place.coffer(&["import"])).status.code(), Some(2), "a file or a store is wanted");
}

/// A file that is imported again brings nothing twice, and what is new in it; the new keys are shared as asked.
#[test]
fn an_import_is_repeated() {
    let place = Place::with_token("one");
    let mut user = place.coffer(&["user", "create", "--username", "bob", "--role", "crypto-user"]);
    user.env("COFFER_ROLE", "admin").env("COFFER_PIN", SO_PIN).env("COFFER_NEW_PIN", "bob-password");
    assert_eq!(answer(&run(&mut user)).0, 0);
    openssl(&place, "genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa");
    openssl(&place, "req -x509 -new -key rsa -subj /CN=x -days 9 -out certificate");
    let path = place.file("set");
    let set = |names: &[&str]| {
        let key = |name: &&str| json!({ "kty": "oct", "k": format!("{name:A<43}"), "kid": name });
        let keys = json!({ "keys": names.iter().map(key).collect::<Vec<_>>() });
        fs::write(&path, keys.to_string()).expect("a file");
        done(&place, &["import", "--path", &path, "--key-type-class", "aes", "--share-crypto-users", "bob"])
    };
    let first = set(&["a", "b"]);
    assert_eq!((&first["there"], first["keys"].as_array().map(Vec::len)), (&json!(0), Some(2)));
    assert_eq!(first["keys"][0]["key-info"]["shared-users"][0]["username"], "bob");
    place.done(&["key", "unshare", "--filter", "attr.label=a", "--username", "bob"]);
    let again = set(&["a", "b", "c"]);
    assert_eq!(again["keys"][0]["key-info"]["shared-users"][0]["username"], "bob", "what was left is done");
    assert_eq!((&again["there"], again["keys"].as_array().map(Vec::len)), (&json!(2), Some(3)));
    assert_eq!(again["keys"][0]["key-reference"], first["keys"][0]["key-reference"]);
    assert_eq!(place.count(&[]), 3);
    for there in [0, 2] {
        assert_eq!(import(&place, "rsa", &[])["there"], there, "a key and its public half");
    }
    for there in [0, 1] {
        assert_eq!(import(&place, "certificate", &[])["there"], there);
    }
    // Another key of the same name is another one, and nobody who is not there gets anything.
    openssl(&place, "genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa");
    assert_eq!(import(&place, "rsa", &["--id", "0x77"])["there"], 0);
    let count = place.count(&[]);
    let nobody =
        ["import", "--path", &path, "--label", "x", "--key-type-class", "aes", "--share-crypto-users"];
    refused(coffer(&place, &[&nobody[..], &["nobody"]].concat()), &["nothing was imported", "nobody"]);
    assert_eq!(place.count(&[]), count);
}

/// An import that the disk has no room for leaves nothing, or says what it left and is completed by the next one.
#[test]
fn a_full_disk_is_told_of() {
    const COUNT: u64 = 60;
    // Not where there is no such command, where it takes root, and inside of a chroot.
    if !Command::new("unshare").args(["-m", "true"]).output().is_ok_and(|output| output.status.success()) {
        return eprintln!("no disk can be made here");
    }
    let place = Place::with_token("one");
    let key = |at| json!({ "kty": "oct", "k": format!("{at:042}A"), "kid": format!("{at}") });
    let keys = json!({ "keys": (0..COUNT).map(key).collect::<Vec<_>>() });
    fs::write(place.file("set"), keys.to_string()).expect("a file");
    fs::create_dir(place.path().join("disk")).expect("a directory");
    place.configure("token_dir = \"disk/tokens\"\n");
    let (mut none, mut some) = (0, 0);
    for pages in [0, 10, 18, 22, 26, 30, 34, 38, 42, 60] {
        let script = format!(
            "cd {}; mount -t tmpfs -o mode=700,size=4m none disk || exit 77; cp -r tokens disk/tokens; \
             dd if=/dev/zero of=disk/spare bs=4k count={pages}; dd if=/dev/zero of=disk/fill bs=4k; rm disk/spare; \
             import() {{ $COFFER --json import --path set --key-type-class aes >$1; }}; \
             import full; $COFFER --json doctor >doctor; rm disk/fill; $COFFER --json key list >left; \
             import room && $COFFER --json key list >all; $COFFER --json token verify >verified",
            place.path().display()
        );
        let mut shell = Command::new("unshare");
        shell.args(["-m", "sh", "-c", &script]).env("COFFER", env!("CARGO_BIN_EXE_coffer"));
        shell.env("COFFER_CONF", place.file("coffer.toml")).env("COFFER_PIN", USER_PIN);
        let output = run(&mut shell);
        if output.status.code() == Some(77) {
            return eprintln!("no disk can be made here");
        }
        let said = |name: &str| -> Value {
            let text = fs::read(place.file(name)).expect("a file");
            serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{name}, {pages} pages: {error}"))
        };
        let (full, left) =
            (said("full")["data"].to_string(), said("left")["data"]["total_key_count"].as_u64());
        match left {
            Some(COUNT) => assert!(full.contains("Successfully imported"), "{pages} pages: {full}"),
            Some(0) => {
                assert!(full.contains("the disk is full"), "{pages} pages: {full}");
                assert!(pages > 0 || said("doctor").to_string().contains("it needs room"));
                none += 1;
            }
            left => {
                let words = format!("{} objects stay in the token", left.expect("a number"));
                assert!(full.contains("the disk is full") && full.contains(&words), "{pages} pages: {full}");
                some += 1;
            }
        }
        assert_eq!(said("all")["data"]["total_key_count"], COUNT, "{pages} pages: {full}");
        assert_eq!(said("verified")["data"]["faults"], json!([]), "{pages} pages");
    }
    assert!(none > 0 && some > 0, "{none} {some}");
}

/// A report of many keys is printed one by one: beside the token itself, a key takes little memory.
#[test]
fn many_keys_take_little_memory() {
    const COUNT: usize = 4_000;
    let place = Place::with_token("one");
    let keys: Vec<_> = (0..COUNT)
        .map(|at| json!({ "kty": "oct", "k": format!("{at:042}A"), "kid": format!("{at}") }))
        .collect();
    let path = place.file("set.jwk");
    fs::write(&path, json!({ "keys": keys }).to_string()).expect("a file");
    // The largest resident set in KiB; Python's own is in it, and is small beside the command's.
    let peak = |arguments: &[&str]| {
        let measure = "import os, sys\npid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)\n\
                       _, status, usage = os.wait4(pid, 0)\nprint(usage.ru_maxrss, file=sys.stderr)\n\
                       sys.exit(os.waitstatus_to_exitcode(status))";
        let coffer = place.coffer(arguments);
        let mut python = Command::new("python3");
        python.args(["-c", measure]).arg(coffer.get_program()).args(coffer.get_args());
        for (name, value) in coffer.get_envs() {
            match value {
                Some(value) => python.env(name, value),
                None => python.env_remove(name),
            };
        }
        let output = run(python.env("COFFER_PIN", USER_PIN));
        assert_eq!(answer(&output).0, 0);
        String::from_utf8_lossy(&output.stderr).trim().parse::<usize>().expect("a number")
    };
    let import = peak(&["import", "--path", &path, "--key-type-class", "aes"]);
    let token = peak(&["key", "list", "--max-items", "1"]);
    assert_eq!(place.count(&[]), COUNT as u64);
    let each = import.saturating_sub(token) * 1024 / COUNT;
    assert!(each < 4096, "{each} bytes a key: {import} KiB, of them {token} for the token");
}
