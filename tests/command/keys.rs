//! `coffer key generate-...|list|set-attribute|delete`, logins, and who may do what.

use super::*;
use coffer_pkcs11::crypto::encoding::{Algorithm, Der, private_key_info, tag};
use coffer_pkcs11::crypto::seeded::{Parameters, Private};
use coffer_pkcs11::crypto::{ml_dsa, ml_kem};

const AES: &[&str] = &["key", "generate-symmetric", "aes", "--key-length-bytes", "32", "--label"];

/// The names of a JSON object in their order.
fn names(value: &Value) -> Vec<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

/// As CloudHSM's CLI prints it: every name, in its order.
#[test]
fn a_key_is_shown_as_cloudhsm_shows_it() {
    let place = Place::with_token("one");
    let made = place.done(&[AES, &["a"]].concat());
    assert_eq!(names(&made), ["key"]);
    let key = &made["key"];
    assert_eq!(names(key), ["key-reference", "key-info", "attributes"]);
    let reference = key["key-reference"].as_str().expect("text");
    assert!(reference.starts_with("0x") && reference.len() == 18, "{reference}");
    assert_eq!(
        key["key-info"],
        json!({
            "key-owners": [{ "username": "user", "key-coverage": "full" }], "shared-users": [],
            "key-quorum-values": { "manage-key-quorum-value": 0, "use-key-quorum-value": 0 },
            "cluster-coverage": "full",
        })
    );
    let attributes = &key["attributes"];
    let expected = [
        "key-type",
        "label",
        "id",
        "check-value",
        "class",
        "encrypt",
        "decrypt",
        "token",
        "always-sensitive",
        "derive",
        "destroyable",
        "extractable",
        "local",
        "modifiable",
        "never-extractable",
        "private",
        "sensitive",
        "sign",
        "trusted",
        "unwrap",
        "verify",
        "wrap",
        "wrap-with-trusted",
        "key-length-bytes",
    ];
    assert_eq!(names(attributes), expected);
    for (name, value) in [
        ("key-type", json!("aes")),
        ("label", json!("a")),
        ("class", json!("secret-key")),
        ("token", json!(true)),
        ("extractable", json!(true)),
        ("sensitive", json!(true)),
        ("local", json!(true)),
        ("sign", json!(true)),
        ("wrap", json!(false)),
        ("key-length-bytes", json!(32)),
    ] {
        assert_eq!(attributes[name], value, "{name}");
    }
    assert_eq!(attributes["check-value"].as_str().expect("text").len(), 8);

    let listed = place.done(&["key", "list", "--verbose"]);
    assert_eq!(names(&listed), ["matched_keys", "total_key_count", "returned_key_count"]);
    assert_eq!(&listed["matched_keys"][0], key, "the reference stays from one run to the next");
    let brief = place.done(&["key", "list"]);
    assert_eq!(
        brief["matched_keys"][0],
        json!({ "key-reference": reference, "attributes": { "label": "a" } })
    );
}

#[test]
fn every_kind_of_key_is_generated_and_deleted() {
    let place = Place::with_token("one");
    let secrets: [(&[&str], &str, u64); 4] = [
        (&["aes", "--key-length-bytes", "16"], "aes", 16),
        (&["aes", "--key-length-bytes", "24"], "aes", 24),
        (&["generic-secret", "--key-length-bytes", "800"], "generic-secret", 800),
        (&["3des"], "3des", 24),
    ];
    for (at, (kind, key_type, len)) in secrets.iter().enumerate() {
        let label = format!("secret {at}");
        let made = place.done(&[&["key", "generate-symmetric"], *kind, &["--label", &label]].concat());
        assert_eq!(made["key"]["attributes"]["key-type"], *key_type);
        assert_eq!(made["key"]["attributes"]["key-length-bytes"], *len);
    }
    let pairs: [(&[&str], &str, &str, Value); 13] = [
        (&["rsa"], "rsa", "modulus-size-bits", json!(2048)),
        (
            &["rsa", "--modulus-size-bits", "3072", "--public-exponent", "65539"],
            "rsa",
            "public-exponent",
            json!("0x010003"),
        ),
        (&["ec", "--curve", "secp224r1"], "ec", "curve", json!("secp224r1")),
        (&["ec", "--curve", "prime256v1"], "ec", "curve", json!("secp256r1")),
        (&["ec", "--curve", "secp384r1"], "ec", "key-length-bytes", json!(97)),
        (&["ec", "--curve", "secp521r1"], "ec", "curve", json!("secp521r1")),
        (&["ec", "--curve", "SECP256K1"], "ec", "curve", json!("secp256k1")),
        (&["ec", "--curve", "ed25519"], "ed25519", "curve", json!("ed25519")),
        (&["ed25519"], "ed25519", "key-length-bytes", json!(32)),
        (&["ec", "--curve", "x25519"], "x25519", "curve", json!("x25519")),
        (&["ml-dsa", "--parameter-set", "44"], "ml-dsa", "parameter-set", json!("ml-dsa-44")),
        (&["ml-kem", "--parameter-set", "ml-kem-1024"], "ml-kem", "parameter-set", json!("ml-kem-1024")),
        (&["ml-kem"], "ml-kem", "encapsulate", json!(true)),
    ];
    for (at, (kind, key_type, name, value)) in pairs.iter().enumerate() {
        let (public, private) = (format!("public {at}"), format!("private {at}"));
        let labels = ["--public-label", &public, "--private-label", &private];
        let made = place.done(&[&["key", "generate-asymmetric-pair"], *kind, &labels].concat());
        assert_eq!(names(&made), ["public_key", "private_key"]);
        assert_eq!(&made["public_key"]["attributes"][*name], value, "{kind:?}");
        for (side, class) in [("public_key", "public-key"), ("private_key", "private-key")] {
            let attributes = &made[side]["attributes"];
            assert_eq!((&attributes["class"], &attributes["key-type"]), (&json!(class), &json!(key_type)));
        }
    }
    assert_eq!(place.count(&[]), 4 + 2 * 13);
    for class in ["attr.class=public-key", "attr.class=private-key"] {
        assert_eq!(place.count(&[class]), 13);
    }
    assert_eq!(place.count(&["attr.key-type=3des"]), 1);
    assert_eq!(place.count(&["attr.key-type=DES3", "attr.encrypt=true"]), 1);
    assert_eq!(
        place.done(&["key", "delete", "--filter", "attr.key-type=3des"])["message"],
        "Key deleted successfully"
    );
    assert_eq!(place.count(&["attr.key-type=3des"]), 0);
    place.fails(&["key", "delete", "--filter", "attr.key-type=3des"], &["matched 0 keys"]);
}

/// Of a lattice key as of the others: a public one by its bytes, a private one by those of its PKCS #8.
#[test]
fn lengths_of_lattice_keys() {
    let place = Place::with_token("one");
    let sets = [
        ("ml-dsa", "44", 1312),
        ("ml-dsa", "65", 1952),
        ("ml-dsa", "87", 2592),
        ("ml-kem", "512", 800),
        ("ml-kem", "768", 1184),
        ("ml-kem", "1024", 1568),
    ];
    for (kind, set, public) in sets {
        let label = format!("{kind} {set}");
        let labels = ["--public-label", &label, "--private-label", &label];
        let open = ["--private-attributes", "extractable=true"];
        let generate = ["key", "generate-asymmetric-pair", kind, "--parameter-set", set];
        place.done(&[&generate[..], &labels, &open].concat());
        assert_eq!(place.key(&label, "public-key")["key-length-bytes"], public);
        let (path, filter) = (place.file(&label), format!("attr.label={label}"));
        let export = ["export", "--filter", &filter, "attr.class=private-key", "--format", "der", "--plain"];
        place.done(&[&export[..], &["--path", &path]].concat());
        let pkcs8 = fs::read(&path).expect("a file");
        assert_eq!(place.key(&label, "private-key")["key-length-bytes"], pkcs8.len());
    }
    // A key that came in its expanded form has no seed.
    let (dsa, kem) = (ml_dsa::ParameterSet::MlDsa65, ml_kem::ParameterSet::MlKem768);
    let keys = [
        (dsa.row().oid, ml_dsa::PrivateKey::generate(dsa).expect("a key").expanded()),
        (kem.row().oid, ml_kem::PrivateKey::generate(kem).expect("a key").expanded()),
    ];
    for (at, (oid, expanded)) in keys.iter().enumerate() {
        let key = Der::Bytes(tag::OCTET_STRING, expanded.expose());
        let pkcs8 = private_key_info(Algorithm::new(oid), key);
        let path = place.file("expanded");
        fs::write(&path, pkcs8.expose()).expect("a file");
        for (attributes, len) in [
            ("sensitive=false,extractable=true", json!(pkcs8.len())),
            // What nobody is told is not made up.
            ("sensitive=true", Value::Null),
        ] {
            let label = format!("{at} {}", len.is_null());
            place.done(&["import", "--path", &path, "--label", &label, "--attributes", attributes]);
            assert_eq!(place.key(&label, "private-key")["key-length-bytes"], len);
        }
    }
}

#[test]
fn attributes_are_chosen_and_changed() {
    let place = Place::with_token("one");
    place.done(
        &[AES, &["a", "--attributes", "encrypt=true", "id=0x0a0b", "wrap=true", "extractable=false"]]
            .concat(),
    );
    let key = place.key("a", "secret-key");
    for (name, value) in [
        ("encrypt", json!(true)),
        ("decrypt", json!(false)),
        ("wrap", json!(true)),
        ("id", json!("0x0a0b")),
        ("extractable", json!(false)),
        ("never-extractable", json!(true)),
    ] {
        assert_eq!(key[name], value, "{name}");
    }
    let set = |name: &str, value: &str| {
        place.json(&["key", "set-attribute", "--filter", "attr.id=0x0a0b", "--name", name, "--value", value])
    };
    assert_eq!(set("decrypt", "true").0, 0);
    assert_eq!(set("label", "b").0, 0);
    assert_eq!(place.key("b", "secret-key")["decrypt"], json!(true));
    refused(set("extractable", "true"), &["extractable", "CKR_ATTRIBUTE_READ_ONLY"]);
    refused(set("sensitive", "false"), &["CKR_ATTRIBUTE_READ_ONLY"]);
    refused(set("no-such", "true"), &["no-such", "there are: key-type, label"]);
    refused(set("encrypt", "maybe"), &["true or false"]);
    refused(set("id", "0x123"), &["hex digits"]);
    refused(set("id", "0x+1"), &["hex digits"]);
    // The admin alone says whom to trust.
    refused(set("trusted", "true"), &["trusted"]);
    let mut admin = place.coffer(&[
        "key",
        "set-attribute",
        "--filter",
        "attr.label=b",
        "--name",
        "trusted",
        "--value",
        "true",
    ]);
    let (code, answer) = answer(&run(admin.env("COFFER_ROLE", "admin").env("COFFER_PIN", SO_PIN)));
    // A private key is not seen by the admin: then at least nothing is claimed.
    assert!(
        code == 0 || answer["data"].as_str().is_some_and(|said| said.contains("matched 0 keys")),
        "{answer}"
    );
    for (arguments, words) in [
        (&["--attributes", "encrypt"][..], &["encrypt", "NAME=VALUE"][..]),
        (&["--attributes", "key-type=rsa"], &["follows from the command"]),
        (&["--share-crypto-users", "bob"], &["bob", "no crypto-user"]),
        (&["--use-key-quorum-value", "2"], &["quorum"]),
    ] {
        place.fails(&[AES, &["x"], arguments].concat(), words);
    }
    place.fails(&[AES, &["x".repeat(128).as_str()]].concat(), &["127 bytes"]);
    place.fails(&["key", "generate-symmetric", "aes", "--key-length-bytes", "17", "--label", "x"], &["CKR_"]);
    place.fails(
        &[
            "key",
            "generate-asymmetric-pair",
            "ec",
            "--curve",
            "secp999",
            "--public-label",
            "a",
            "--private-label",
            "b",
        ],
        &["secp999", "secp256r1"],
    );
    assert_eq!(place.count(&[]), 1, "what was refused left nothing");
}

#[test]
fn lists_come_in_pages() {
    let place = Place::with_token("one");
    for at in 0..13 {
        place.done(&[AES, &[if at < 3 { "few" } else { "many" }]].concat());
    }
    let (mut seen, mut token) = (Vec::new(), None::<String>);
    for expected in [5, 5, 3] {
        let mut arguments = vec!["key", "list", "--max-items", "5"];
        arguments.extend(token.iter().flat_map(|token| ["--starting-token", token.as_str()]));
        let page = place.done(&arguments);
        assert_eq!((&page["total_key_count"], &page["returned_key_count"]), (&json!(13), &json!(expected)));
        for key in page["matched_keys"].as_array().expect("a list") {
            seen.push(key["key-reference"].as_str().expect("text").to_owned());
        }
        token = page["next_token"].as_str().map(str::to_owned);
    }
    assert_eq!(token, None, "the last page");
    assert_eq!(seen.iter().collect::<std::collections::BTreeSet<_>>().len(), 13);
    assert_eq!(place.done(&["key", "list"])["returned_key_count"], 10);
    assert_eq!(place.done(&["key", "list", "--all"])["returned_key_count"], 13);

    // A key destroyed in between moves no other key.
    let by_reference = format!("key-reference={}", seen[0]);
    place.done(&["key", "delete", "--filter", &by_reference]);
    let rest = place.done(&["key", "list", "--starting-token", &seen[5]]);
    assert_eq!(rest["matched_keys"][0]["key-reference"], json!(seen[5]));
    place.fails(&["key", "list", "--starting-token", &seen[0]], &["begin anew"]);
    place.fails(&["key", "delete", "--filter", &by_reference], &["matched 0 keys"]);
    place.fails(
        &["key", "delete", "--filter", "attr.label=many"],
        &["Key selection criteria matched 10 keys. Refine selection criteria to select a single key."],
    );
    place.fails(&["key", "delete"], &["--filter"]);
    for (filter, word) in [
        ("label=x", "attr.label=x"),
        ("attr.label", "NAME=VALUE"),
        ("attr.nope=1", "nope"),
        ("key-reference=0xzz", "16 hex digits"),
    ] {
        place.fails(&["key", "list", "--filter", filter], &[word]);
    }
    let output = run(&mut place.coffer(&["key", "list", "--max-items", "0"]));
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn logins() {
    let place = Place::with_token("one");
    let list = ["key", "list"];
    refused(answer(&run(&mut place.coffer(&list))), &["nobody is logged in", "COFFER_PIN"]);
    let with = |variables: &[(&str, &str)]| answer(&run(place.coffer(&list).envs(variables.iter().copied())));
    assert_eq!(with(&[("CLOUDHSM_PIN", USER_PIN), ("CLOUDHSM_ROLE", "crypto-user")]).0, 0);
    assert_eq!(with(&[("COFFER_PIN", SO_PIN), ("COFFER_ROLE", "admin")]).0, 0);
    refused(with(&[("COFFER_PIN", SO_PIN), ("COFFER_ROLE", "king")]), &["king", "crypto-user"]);
    refused(with(&[("COFFER_PIN", "a wrong one")]), &["the PIN is wrong", "CKR_PIN_INCORRECT"]);
    let (code, said) = answer(&run(place
        .coffer(&["login", "--username", "user", "--role", "crypto-user"])
        .env("COFFER_PIN", USER_PIN)));
    assert_eq!((code, &said["data"]), (0, &json!({ "username": "user", "role": "crypto-user" })));
    refused(answer(&run(&mut place.coffer(&["logout"]))), &["nobody is logged in"]);

    // Wrong PINs lock it; everybody is told, and the admin unlocks it.
    let mut last = with(&[("COFFER_PIN", "a wrong one")]);
    for _ in 0..20 {
        if last.1["data"].as_str().is_some_and(|said| said.contains("CKR_PIN_LOCKED")) {
            break;
        }
        last = with(&[("COFFER_PIN", "a wrong one")]);
    }
    refused(last, &["the PIN is locked", "security officer"]);
    let users = place.done(&["user", "list"]);
    assert_eq!(
        users["users"][1],
        json!({
            "username": "user", "role": "crypto-user", "locked": "true", "mfa": [], "quorum": [],
            "cluster-coverage": "full",
        })
    );
    let mut unlock =
        place.coffer(&["user", "change-password", "--username", "user", "--role", "crypto-user"]);
    unlock.env("COFFER_ROLE", "admin").env("COFFER_PIN", SO_PIN).env("COFFER_NEW_PIN", "a-new-pin-1");
    assert_eq!(answer(&run(&mut unlock)).0, 0);
    assert_eq!(with(&[("COFFER_PIN", "a-new-pin-1")]).0, 0);
    let mut change =
        place.coffer(&["user", "change-password", "--username", "user", "--role", "crypto-user"]);
    change.env("COFFER_PIN", "a-new-pin-1").env("COFFER_NEW_PIN", USER_PIN);
    assert_eq!(answer(&run(&mut change)).0, 0);
    assert_eq!(with(&[("COFFER_PIN", USER_PIN)]).0, 0);
}

#[test]
fn cloudhsm_users_and_which_token() {
    let place = Place::new("profile = \"cloudhsm\"\n");
    let pin = format!("Alice:{USER_PIN}");
    let coffer = |arguments: &[&str]| {
        answer(&run(place.coffer(arguments).env("COFFER_SO_PIN", SO_PIN).env("CLOUDHSM_PIN", &pin)))
    };
    let mut init = place.coffer(&["token", "init", "--label", "hsm"]);
    assert_eq!(answer(&run(init.env("COFFER_SO_PIN", SO_PIN).env("COFFER_PIN", &pin))).0, 0);
    let (code, made) = coffer(&[AES, &["a"]].concat());
    assert_eq!(code, 0, "{made}");
    assert_eq!(made["data"]["key"]["key-info"]["key-owners"][0]["username"], "alice");
    for name in ["hsm", "0", "cluster-hsm"] {
        assert_eq!(coffer(&["key", "list", "--cluster-id", name]).0, 0, "{name}");
    }
    refused(
        coffer(&["--cluster-id", "cluster-other", "key", "list"]),
        &["cluster-other", "\"hsm\" in slot 0"],
    );

    let two = Place::with_token("one");
    two.done(&["token", "init", "--label", "two"]);
    two.fails(&["key", "list"], &["which token", "\"one\" in slot 0", "\"two\" in slot 1"]);
    two.done(&[AES, &["here", "--token", "two"]].concat());
    let there = ["--source-cluster-id", "two", "--destination-cluster-id", "one"];
    let replicated = two.done(&[&["key", "replicate", "--filter", "attr.label=here"][..], &there].concat());
    assert_eq!(replicated["message"], "Successfully replicated key");
    assert_eq!(two.done(&["key", "list", "--token", "one"])["total_key_count"], 1);
    let again = two.done(&[&["key", "replicate", "--filter", "attr.label=here"][..], &there].concat());
    assert_eq!(again["was-there"], true);
    assert_eq!(two.done(&["key", "list", "--token", "one"])["total_key_count"], 1);
    Place::new("").fails(&["key", "list"], &["there is no token", "coffer token init"]);
}

/// Named users, each with keys of its own, and a key that two of them use.
#[test]
fn several_users() {
    let place = Place::with_token("one");
    let as_user = |user: &str, arguments: &[&str]| {
        let (role, pin) = match user {
            "admin" => ("admin", SO_PIN.to_owned()),
            name => ("crypto-user", format!("{name}:{name}-password")),
        };
        let mut command = place.coffer(arguments);
        command.env("COFFER_ROLE", role).env("COFFER_PIN", pin).env("COFFER_NEW_PIN", "alice-password");
        answer(&run(&mut command))
    };
    let named = |command: &str, name: &str| {
        as_user("admin", &["user", command, "--username", name, "--role", "crypto-user"])
    };
    assert_eq!(named("create", "Alice").1["data"], json!({ "username": "Alice", "role": "crypto-user" }));
    refused(named("create", "alice"), &["is there already"]);
    refused(named("create", "no blanks"), &["cannot be a name"]);
    let bob = ["user", "create", "--username", "bob", "--role", "crypto-user", "--password", "bob-password"];
    assert_eq!(as_user("admin", &bob).0, 0);
    refused(as_user("alice", &bob), &["the admin's to do"]);
    let users = as_user("alice", &["user", "list"]).1["data"]["users"].clone();
    let names: Vec<_> = users.as_array().expect("a list").iter().map(|user| &user["username"]).collect();
    assert_eq!(names, ["admin", "user", "alice", "bob"]);

    assert_eq!(as_user("alice", &[AES, &["hers"]].concat()).0, 0);
    let count = |user: &str| as_user(user, &["key", "list"]).1["data"]["total_key_count"].clone();
    assert_eq!((count("alice"), count("bob")), (json!(1), json!(0)));
    let share = |command: &str, user: &str| {
        as_user(
            user,
            &["key", command, "--filter", "attr.label=hers", "--username", "bob", "--role", "crypto-user"],
        )
    };
    assert_eq!(share("share", "alice").1["data"]["message"], "Key shared successfully");
    let info = as_user("bob", &["key", "list", "--verbose"]).1["data"]["matched_keys"][0]["key-info"].clone();
    assert_eq!(info["key-owners"], json!([{ "username": "alice", "key-coverage": "full" }]));
    assert_eq!(info["shared-users"], json!([{ "username": "bob", "key-coverage": "full" }]));
    refused(share("share", "bob"), &["only the owner"]);
    refused(as_user("bob", &["key", "delete", "--filter", "attr.label=hers"]), &["CKR_"]);
    assert_eq!(share("unshare", "alice").0, 0);
    assert_eq!(count("bob"), json!(0));
    assert_eq!(as_user("alice", &[AES, &["both", "--share-crypto-users", "bob"]].concat()).0, 0);
    assert_eq!(count("bob"), json!(1));

    // The admin gives a new password; who is deleted is gone.
    let mut reset =
        place.coffer(&["user", "change-password", "--username", "alice", "--role", "crypto-user"]);
    reset.env("COFFER_ROLE", "admin").env("COFFER_PIN", SO_PIN).env("COFFER_NEW_PIN", "another-password");
    assert_eq!(answer(&run(&mut reset)).0, 0);
    refused(as_user("alice", &["key", "list"]), &["CKR_PIN_INCORRECT"]);
    assert_eq!(named("delete", "bob").0, 0);
    refused(named("delete", "bob"), &["no such user"]);
}

/// What a file has no use for is said, and with the right code.
#[test]
fn what_has_no_meaning_is_said() {
    let place = Place::with_token("one");
    place.fails(&["cluster", "activate"], &["coffer token init"]);
    place.fails(&["cluster", "mtls", "register-trust-anchor", "--path", "x"], &["no connection"]);
    place.fails(&["quorum", "token-sign", "generate", "--service", "cluster", "--token", "x"], &["cluster"]);
    assert_eq!(place.done(&["quorum", "token-sign", "list"])["tokens"], json!([]));
    assert_eq!(place.done(&["cluster", "hsm-info"])["hsms"][0]["fips-state"], "non-FIPS mode");
}
