//! `coffer user ...|cluster ...`: users of several tokens, limited-write mode, and what tokens have not.

use super::*;

const AES: &[&str] = &["key", "generate-symmetric", "aes", "--key-length-bytes", "32", "--label"];

/// A command by a user: `admin`, or one whose password is the name and `-password`.
fn by(place: &Place, user: &str, arguments: &[&str]) -> (i32, Value) {
    let mut command = place.coffer(arguments);
    match user {
        "admin" => command.env("COFFER_ROLE", "admin").env("COFFER_PIN", SO_PIN),
        name => command.env("COFFER_PIN", format!("{name}:{name}-password")),
    };
    answer(&run(&mut command))
}

/// A user of a token, made by the admin.
fn make(place: &Place, token: &str, name: &str) {
    let mut command =
        place.coffer(&["--token", token, "user", "create", "--username", name, "--role", "crypto-user"]);
    command.env("COFFER_ROLE", "admin").env("COFFER_PIN", SO_PIN);
    command.env("COFFER_NEW_PIN", format!("{name}-password"));
    assert_eq!(answer(&run(&mut command)).0, 0);
}

#[test]
fn a_locked_user_is_unlocked_and_keeps_the_password() {
    let place = Place::with_token("one");
    make(&place, "one", "alice");
    let guess = || answer(&run(place.coffer(&["key", "list"]).env("COFFER_PIN", "alice:a-wrong-one")));
    for _ in 0..10 {
        refused(guess(), &["CKR_PIN_INCORRECT"]);
    }
    refused(guess(), &["CKR_PIN_LOCKED", "security officer"]);
    refused(by(&place, "alice", &["key", "list"]), &["CKR_PIN_LOCKED"]);
    let unlock = ["user", "unlock", "--username", "alice", "--role", "crypto-user"];
    refused(by(&place, "user", &unlock), &["CKR_PIN_INCORRECT"]);
    place.fails(&unlock, &["the admin's to do"]);
    assert_eq!(by(&place, "admin", &unlock).1["data"], json!({ "username": "alice", "role": "crypto-user" }));
    assert_eq!(by(&place, "alice", &["key", "list"]).0, 0);
    let nobody = ["user", "unlock", "--username", "nobody", "--role", "crypto-user"];
    refused(by(&place, "admin", &nobody), &["no such user", "nobody"]);
}

#[test]
fn a_user_goes_to_another_token_and_its_keys_after_it() {
    let place = Place::with_token("blue");
    place.done(&["token", "init", "--label", "green"]);
    make(&place, "blue", "alice");
    make(&place, "blue", "bob");
    let there = ["--source-cluster-id", "blue", "--destination-cluster-id", "green"];
    let user = |name: &str| {
        let mut command = place.coffer(
            &[&["user", "replicate", "--username", name, "--role", "crypto-user"][..], &there].concat(),
        );
        command.env("COFFER_ROLE", "admin").env("COFFER_PIN", SO_PIN);
        answer(&run(command.env("COFFER_NEW_PIN", format!("{name}-password"))))
    };
    let key = |name: &str, label: &str| {
        let filter = format!("attr.label={label}");
        by(&place, name, &[&["key", "replicate", "--filter", &filter][..], &there].concat())
    };
    let shared = [AES, &["shared", "--share-crypto-users", "bob", "--cluster-id", "blue"]].concat();
    assert_eq!(by(&place, "alice", &shared).0, 0);
    refused(key("alice", "shared"), &["login to token \"green\"", "CKR_PIN_INCORRECT"]);
    refused(user("nobody"), &["\"blue\" has no crypto-user \"nobody\""]);
    assert_eq!(user("alice").1["data"]["message"], "Successfully replicated user");
    assert_eq!(user("alice").1["data"]["was-there"], true);

    // Whom the other token does not know is told, and the key is there all the same.
    let moved = key("alice", "shared");
    assert_eq!(moved.1["data"]["not-shared-with"], json!(["bob"]), "{}", moved.1);
    assert_eq!(user("bob").0, 0);
    assert_eq!(
        by(&place, "alice", &[AES, &["both", "--share-crypto-users", "bob", "--token", "blue"]].concat()).0,
        0
    );
    let again = key("alice", "shared").1["data"].clone();
    assert_eq!((&again["was-there"], &again["not-shared-with"]), (&json!(true), &Value::Null), "{again}");
    assert_eq!(again["key"]["key-info"]["shared-users"][0]["username"], "bob", "what was left is done");
    let moved = key("alice", "both").1["data"].clone();
    assert_eq!(moved["not-shared-with"], Value::Null);
    let info = &moved["key"]["key-info"];
    assert_eq!(info["key-owners"][0]["username"], "alice");
    assert_eq!(info["shared-users"], json!([{ "username": "bob", "key-coverage": "full" }]));
    refused(key("bob", "both"), &["the key is alice's"]);
    let same = ["--source-cluster-id", "blue", "--destination-cluster-id", "blue"];
    let to_itself = [&["key", "replicate", "--filter", "attr.label=both"][..], &same].concat();
    refused(by(&place, "alice", &to_itself), &["both the token \"blue\""]);
}

/// A user who is there keeps the password it has, the user without a name too.
#[test]
fn a_user_who_is_there_stays() {
    let place = Place::with_token("blue");
    place.done(&["token", "init", "--label", "green"]);
    make(&place, "green", "alice");
    make(&place, "blue", "alice");
    let replicate = |name: &str, password: &str| {
        let there = ["--source-cluster-id", "blue", "--destination-cluster-id", "green"];
        let user = ["user", "replicate", "--username", name, "--role", "crypto-user"];
        let mut command = place.coffer(&[&user[..], &there].concat());
        command.env("COFFER_ROLE", "admin").env("COFFER_PIN", SO_PIN).env("COFFER_NEW_PIN", password);
        answer(&run(&mut command))
    };
    for name in ["user", "alice"] {
        refused(replicate(name, "another-password"), &[name, "is there already, with another password"]);
    }
    for (name, password) in [("user", USER_PIN), ("alice", "alice-password")] {
        assert_eq!(replicate(name, password).1["data"]["was-there"], true);
        let pin = if name == "user" { password.to_owned() } else { format!("{name}:{password}") };
        let mut list = place.coffer(&["key", "list", "--token", "green"]);
        assert_eq!(answer(&run(list.env("COFFER_PIN", pin))).0, 0);
    }
}

/// Killed at any moment, the two leave nothing half made, and a second run completes them.
#[test]
fn killed_while_replicating() {
    const POINTS: u32 = 8;
    let place = Place::with_token("blue");
    place.done(&["token", "init", "--label", "green"]);
    make(&place, "blue", "alice");
    make(&place, "blue", "bob");
    make(&place, "green", "bob");
    let shared = [AES, &["k", "--share-crypto-users", "bob", "--cluster-id", "blue"]].concat();
    assert_eq!(by(&place, "alice", &shared).0, 0);
    let there = ["--source-cluster-id", "blue", "--destination-cluster-id", "green"];
    let user = || {
        let arguments = ["user", "replicate", "--username", "alice", "--role", "crypto-user"];
        let mut command = place.coffer(&[&arguments[..], &there].concat());
        command.env("COFFER_ROLE", "admin").env("COFFER_PIN", SO_PIN);
        command.env("COFFER_NEW_PIN", "alice-password");
        command
    };
    let key = || {
        let arguments = ["key", "replicate", "--filter", "attr.label=k"];
        let mut command = place.coffer(&[&arguments[..], &there].concat());
        command.env("COFFER_PIN", "alice:alice-password");
        command
    };
    let done = |mut command: Command| {
        let (code, answer) = answer(&run(&mut command));
        assert_eq!(code, 0, "{answer}");
        answer["data"].clone()
    };
    let green = |user: &str, arguments: &[&str]| {
        let (code, answer) = by(&place, user, &[arguments, &["--token", "green"]].concat());
        assert_eq!(code, 0, "{user} {arguments:?}: {answer}");
        answer["data"].clone()
    };
    // Kills it after this part of the time that a whole run took.
    let killed = |mut command: Command, whole: Duration, point: u32| {
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let mut child = child.expect("coffer runs");
        std::thread::sleep(whole * point / POINTS);
        child.kill().expect("a signal");
        child.wait().expect("an end");
    };
    let names = || {
        let users = green("admin", &["user", "list"])["users"].clone();
        users.as_array().expect("a list").iter().filter(|user| user["username"] == "alice").count()
    };
    let start = Instant::now();
    done(user());
    let whole = start.elapsed();
    let mut before = 0;
    for point in 1..=POINTS + 1 {
        green("admin", &["user", "delete", "--username", "alice", "--role", "crypto-user"]);
        killed(user(), whole, point);
        before += u32::from(names() == 0);
        done(user());
        assert_eq!(names(), 1);
        assert_eq!(green("alice", &["key", "list"])["total_key_count"], 0, "the password is right");
    }
    let start = Instant::now();
    done(key());
    let whole = start.elapsed();
    for point in 1..=POINTS + 1 {
        green("alice", &["key", "delete", "--filter", "attr.label=k"]);
        killed(key(), whole, point);
        match green("alice", &["key", "list"])["total_key_count"].as_u64() {
            Some(0) => before += 1,
            Some(1) => {}
            count => panic!("{count:?} keys"),
        }
        let info = done(key())["key"]["key-info"].clone();
        assert_eq!(info["key-owners"][0]["username"], "alice");
        assert_eq!(info["shared-users"][0]["username"], "bob");
        for user in ["alice", "bob"] {
            assert_eq!(green(user, &["key", "list"])["total_key_count"], 1, "{user}, point {point}");
        }
    }
    assert!(before > 0, "every kill came too late");
    green("alice", &["token", "verify"]);
}

/// Tokens whose users have other passwords: the second one's is in a variable of its own.
#[test]
fn two_tokens_with_two_passwords() {
    let place = Place::with_token("blue");
    let mut init = place.coffer(&["token", "init", "--label", "green"]);
    init.env("COFFER_SO_PIN", SO_PIN).env("COFFER_PIN", "another-user-pin");
    assert_eq!(answer(&run(&mut init)).0, 0);
    place.done(&[AES, &["k", "--token", "blue"]].concat());
    let there = ["--source-cluster-id", "blue", "--destination-cluster-id", "green"];
    let replicate = [&["key", "replicate", "--filter", "attr.label=k"][..], &there].concat();
    place.fails(&replicate, &["green", "CKR_PIN_INCORRECT"]);
    let mut command = place.coffer(&replicate);
    command.env("COFFER_PIN", USER_PIN).env("COFFER_TO_PIN", "another-user-pin");
    assert_eq!(answer(&run(&mut command)).0, 0);
}

/// An admin trusts a wrapping key by its public half; a user's own is sealed to the user, and that is said.
#[test]
fn an_admin_trusts_what_is_public() {
    let place = Place::new("profile = \"cloudhsm\"\n");
    let user = |arguments: &[&str]| {
        let pin = "alice:alice-password";
        answer(&run(place.coffer(arguments).env("COFFER_SO_PIN", SO_PIN).env("COFFER_PIN", pin)))
    };
    let admin = |arguments: &[&str]| by(&place, "admin", arguments);
    assert_eq!(user(&["token", "init", "--label", "hsm"]).0, 0);
    let pair = ["key", "generate-asymmetric-pair", "rsa", "--public-label", "p", "--private-label", "s"];
    let uses = ["--public-attributes", "wrap=true", "--private-attributes", "unwrap=true"];
    assert_eq!(user(&[&pair[..], &uses].concat()).0, 0);
    let mark = |label: &str| {
        let filter = format!("attr.label={label}");
        ["key", "set-attribute", "--name", "trusted", "--value", "true", "--filter", &filter]
            .map(String::from)
    };
    let marked = |who: &dyn Fn(&[&str]) -> (i32, Value), label| {
        let arguments = mark(label);
        who(&arguments.each_ref().map(String::as_str))
    };
    let sealed = "sealed whole to its owner";
    refused(marked(&admin, "p"), &["An admin sees public keys only", sealed, "`key import pem`"]);
    refused(marked(&user, "p"), &["the admin's to say", "CKR_ATTRIBUTE_READ_ONLY", sealed]);

    let path = place.file("p.pem");
    let file = ["key", "generate-file", "--filter", "attr.label=p", "--encoding", "pem", "--path", &path];
    assert_eq!(user(&file).0, 0);
    let import = ["key", "import", "pem", "--path", &path, "--label", "trusted", "--key-type-class"];
    let made = admin(&[&import[..], &["rsa-public", "--attributes", "wrap=true"]].concat());
    assert_eq!(made.1["data"]["key"]["attributes"]["private"], false, "{}", made.1);
    let aes = ["key", "generate-symmetric", "aes", "--key-length-bytes", "32", "--label", "k"];
    assert_eq!(user(&[&aes[..], &["--attributes", "wrap-with-trusted=true"]].concat()).0, 0);
    let wrap = |with: &str| {
        let with = format!("attr.label={with}");
        let filters = ["--payload-filter", "attr.label=k", "--wrapping-filter", &with];
        user(&[&["key", "wrap", "rsa-aes", "--hash-function", "sha256"][..], &filters].concat())
    };
    refused(wrap("trusted"), &["CKR_KEY_NOT_WRAPPABLE"]);
    assert_eq!(marked(&admin, "trusted").0, 0);
    refused(wrap("p"), &["CKR_KEY_NOT_WRAPPABLE"]);
    let wrapped = wrap("trusted").1["data"]["wrapped_key_data"].clone();
    let unwrap = ["key", "unwrap", "rsa-aes", "--hash-function", "sha256", "--filter", "attr.label=s"];
    let new = ["--label", "back", "--key-type-class", "aes", "--data", wrapped.as_str().expect("base64")];
    assert_eq!(user(&[&unwrap[..], &new].concat()).0, 0);
}

/// What is refused names whose the key is, what a password may be, and what to do next.
#[test]
fn reasons_are_those_that_apply() {
    let place = Place::with_token("one");
    make(&place, "one", "bob");
    place.done(&[AES, &["k", "--share-crypto-users", "bob"]].concat());
    place.done(&[AES, &["fixed", "--attributes", "modifiable=false", "destroyable=false"]].concat());
    let set = |label: &'static str| {
        let filter = ["--filter", label, "--name", "wrap", "--value", "true"];
        [&["key", "set-attribute"][..], &filter].concat()
    };
    let theirs = ["the key is user's, who alone changes and deletes it", "CKR_ACTION_PROHIBITED"];
    refused(by(&place, "bob", &["key", "delete", "--filter", "attr.label=k"]), &theirs);
    refused(by(&place, "bob", &set("attr.label=k")), &theirs);
    place.fails(&set("attr.label=fixed"), &["the key is not modifiable"]);
    place.fails(&["key", "delete", "--filter", "attr.label=fixed"], &["the key is not destroyable"]);
    let wrap = ["key", "wrap", "aes-zero-pad", "--payload-filter", "attr.label=k", "--wrapping-filter"];
    let wrap = [&wrap[..], &["attr.label=k"]].concat();
    place.fails(&wrap, &["its owner sets it by `key set-attribute --name wrap`"]);
    place.done(&set("attr.label=k"));
    refused(
        by(&place, "bob", &wrap),
        &["the payload is user's, who alone wraps it", "CKR_KEY_NOT_WRAPPABLE"],
    );
    let gcm = ["--tag-length-bits", "64"];
    let gcm = [&["key", "wrap", "aes-gcm"][..], &wrap[3..], &gcm].concat();
    place.fails(&gcm, &["no such hash, mask or tag length", "CKR_MECHANISM_PARAM_INVALID"]);
    let create = |name: &str, password: &str| {
        let user = ["user", "create", "--username", name, "--role", "crypto-user"];
        let mut command = place.coffer(&user);
        command.env("COFFER_ROLE", "admin").env("COFFER_PIN", SO_PIN).env("COFFER_NEW_PIN", password);
        answer(&run(&mut command))
    };
    refused(create("bob", "bob-password"), &["crypto-user \"bob\" is there already (CKR_FUNCTION_REJECTED)"]);
    refused(create("carol", "x"), &["passwords of 4 to 255 bytes", "CKR_PIN_LEN_RANGE"]);
}

#[test]
fn limited_write_mode() {
    let place = Place::with_token("one");
    place.done(&[AES, &["k"]].concat());
    let set = |value: &str| by(&place, "admin", &["cluster", "set-limited-write", "--value", value]);
    place.fails(&["cluster", "set-limited-write", "--value", "true"], &["the admin's to do"]);
    assert_eq!(set("true").0, 0);
    assert_eq!(place.done(&["cluster", "hsm-info"])["hsms"][0]["write-protected"], json!(true));
    place.fails(&[AES, &["late"]].concat(), &["write protected", "CKR_TOKEN_WRITE_PROTECTED"]);
    place.fails(&["key", "delete", "--filter", "attr.label=k"], &["CKR_TOKEN_WRITE_PROTECTED"]);
    let mac = ["crypto", "sign", "hmac", "--key-filter", "attr.label=k", "--data", "AA==", "--hash-function"];
    place.fails(&[&mac[..], &["sha256"]].concat(), &["CKR_KEY_TYPE_INCONSISTENT"]);
    assert_eq!(place.count(&["attr.label=k"]), 1, "it can be read");
    assert_eq!(set("false").0, 0);
    place.done(&["key", "delete", "--filter", "attr.label=k"]);
    let output = run(&mut place.coffer(&["cluster", "set-limited-write", "--value", "perhaps"]));
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn the_blue_green_script() {
    let place = Place::new("");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let built = Path::new(env!("CARGO_BIN_EXE_coffer")).parent().expect("a directory");
    let mut command = Command::new("sh");
    command.arg(root.join("scripts/blue_green.sh")).arg(place.path().join("bg")).arg(built);
    for variable in ["COFFER_PIN", "COFFER_TO_PIN", "COFFER_NEW_PIN", "COFFER_ROLE"] {
        command.env_remove(variable);
    }
    let output = command.output().expect("sh runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("Both tokens hold the same 5 keys"), "{said}");
}

/// CloudHSM's second factor is not there, and that is said plainly whichever way it is asked for.
#[test]
fn no_second_factor() {
    let place = Place::with_token("one");
    let said = ["password and no second factor"];
    let token = ["--token", "file"];
    place.fails(
        &[&["user", "change-mfa", "token-sign", "--username", "user", "--role", "crypto-user"][..], &token]
            .concat(),
        &said,
    );
    let login = ["login", "--username", "user", "--role", "crypto-user", "mfa-token-sign"];
    place.fails(&[&login[..], &token].concat(), &said);
}
