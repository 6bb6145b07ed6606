//! `coffer quorum ...|user change-quorum ...` and --approval: files of requests, as others sign them.

use super::*;

const KEY_USAGE: &[&str] = &["quorum", "token-sign", "generate", "--service", "key-usage", "--token"];
const REGISTRATION: &[&str] = &["quorum", "token-sign", "generate", "--service", "registration", "--token"];

/// Where approvers keep their keys: a token of their own, as good a place as any.
struct Approvers(Place);

impl Approvers {
    fn new(names: &[&str]) -> Approvers {
        let place = Place::with_token("approvers");
        for name in names {
            let labels = ["--public-label", name, "--private-label", name];
            place.done(&[&["key", "generate-asymmetric-pair", "rsa"][..], &labels].concat());
        }
        Approvers(place)
    }

    /// A PEM file.
    fn public(&self, name: &str) -> String {
        let (path, label) = (self.0.file(&format!("{name}.pem")), format!("attr.label={name}"));
        let filter = ["--filter", &label, "attr.class=public-key", "--encoding", "pem", "--path", &path];
        self.0.done(&[&["key", "generate-file"][..], &filter].concat());
        path
    }

    /// What `openssl pkeyutl -sign -pkeyopt digest:sha256` makes of the base64.
    fn sign(&self, name: &str, token: &Value) -> Value {
        let (token, label) = (token.as_str().expect("base64"), format!("attr.label={name}"));
        let key = ["--key-filter", &label, "attr.class=private-key", "--hash-function", "sha256"];
        let data = ["--data-type", "digest", "--data", token];
        self.0.done(&[&["crypto", "sign", "rsa-pkcs"][..], &key, &data].concat())["signature"].take()
    }

    /// Adds signatures to a file.
    fn approve(&self, path: &str, role: &str, names: &[&str]) {
        let mut file = read(path);
        for name in names {
            let signature = self.sign(name, &file["token"]);
            let entry = json!({ "username": name, "role": role, "signature": signature });
            file["signatures"].as_array_mut().expect("a list").push(entry);
        }
        write(path, &file);
    }
}

fn read(path: &str) -> Value {
    serde_json::from_slice(&fs::read(path).expect("a file")).expect("JSON")
}

fn write(path: &str, file: &Value) {
    fs::write(path, file.to_string()).expect("a file");
}

/// A command by a user: `admin` and `sue` are admins; the password is the name and `-password`, but for those of the
/// token's first two.
fn by(place: &Place, user: &str, arguments: &[&str]) -> (i32, Value) {
    let mut command = place.coffer(arguments);
    match user {
        "admin" => command.env("COFFER_ROLE", "admin").env("COFFER_PIN", SO_PIN),
        "sue" => command.env("COFFER_ROLE", "admin").env("COFFER_PIN", "sue:sue-password"),
        "user" => command.env("COFFER_PIN", USER_PIN),
        name => command.env("COFFER_PIN", format!("{name}:{name}-password")),
    };
    answer(&run(command.env("COFFER_NEW_PIN", "a-new-password")))
}

fn done(place: &Place, user: &str, arguments: &[&str]) -> Value {
    let (code, mut answer) = by(place, user, arguments);
    assert_eq!((code, &answer["error_code"]), (0, &json!(0)), "{user} {arguments:?}: {answer}");
    answer["data"].take()
}

fn make(place: &Place, name: &str, role: &str) {
    let mut command = place.coffer(&["user", "create", "--username", name, "--role", role]);
    command.env("COFFER_ROLE", "admin").env("COFFER_PIN", SO_PIN);
    assert_eq!(answer(&run(command.env("COFFER_NEW_PIN", format!("{name}-password")))).0, 0);
}

fn register(place: &Place, approvers: &Approvers, name: &str) {
    let (path, public) = (place.file("registration"), approvers.public(name));
    assert_eq!(done(place, name, &[REGISTRATION, &[&path]].concat())["path"], path);
    let mut file = read(&path);
    file["tokens"][0]["signed"] = approvers.sign(name, &file["tokens"][0]["unsigned"]);
    write(&path, &file);
    let register = ["user", "change-quorum", "token-sign", "register"];
    let files = ["--public-key", &public, "--signed-token", &path];
    let role = if ["admin", "sue"].contains(&name) { "admin" } else { "crypto-user" };
    let said = done(place, name, &[&register[..], &files].concat());
    assert_eq!(said, json!({ "username": name, "role": role }));
}

#[test]
fn admins_change_users_together() {
    let place = Place::with_token("one");
    let approvers = Approvers::new(&["admin", "sue"]);
    make(&place, "sue", "admin");
    let set = ["quorum", "token-sign", "set-quorum-value", "--service", "user", "--value"];
    refused(by(&place, "admin", &[&set[..], &["2"]].concat()), &["fewer than 2 admins", "register"]);
    refused(by(&place, "admin", &[&set[..], &["9"]].concat()), &["1 to 8"]);
    for name in ["admin", "sue"] {
        register(&place, &approvers, name);
    }
    let users = place.done(&["user", "list"])["users"].clone();
    assert_eq!(users[1]["quorum"], json!([{ "strategy": "token-sign", "status": "enabled" }]));
    assert_eq!(users[2]["quorum"], json!([]));
    assert_eq!(done(&place, "admin", &[&set[..], &["2"]].concat()), "Set quorum value successful");
    let values = place.done(&["quorum", "token-sign", "list-quorum-values"]);
    assert_eq!(values, json!({ "user": 2, "quorum": 1 }));

    let create = ["user", "create", "--username", "dave", "--role", "crypto-user"];
    let wanted = ["Quorum approval is required for this operation", "CKR_FUNCTION_REJECTED"];
    refused(by(&place, "sue", &create), &wanted);
    let path = place.file("request");
    let generate = ["quorum", "token-sign", "generate", "--service", "user", "--token", &path];
    refused(by(&place, "user", &generate), &["CKR_"]);
    done(&place, "sue", &generate);
    let list = done(&place, "admin", &["quorum", "token-sign", "list"])["tokens"].clone();
    assert_eq!((list[0]["username"].as_str(), list[0]["service"].as_str()), (Some("sue"), Some("user")));
    assert_eq!((&list[0]["approvals-required"], list.as_array().map(Vec::len)), (&json!(2), Some(1)));
    let with = [&create[..], &["--approval", &path]].concat();
    refused(by(&place, "sue", &with), &["nobody has signed it"]);
    approvers.approve(&path, "admin", &["sue"]);
    refused(by(&place, "sue", &with), &wanted);
    approvers.approve(&path, "admin", &["admin"]);
    refused(by(&place, "admin", &with), &["no such request waits for this user's approvals"]);
    assert_eq!(done(&place, "sue", &with)["username"], "dave");
    let unlock = ["user", "unlock", "--username", "dave", "--role", "crypto-user", "--approval", &path];
    refused(by(&place, "sue", &unlock), &["no such request waits"]);
    done(&place, "sue", &generate);
    refused(by(&place, "user", &["quorum", "token-sign", "delete", "--scope", "all"]), &["CKR_"]);
    done(&place, "admin", &["quorum", "token-sign", "delete", "--scope", "all"]);
    assert_eq!(done(&place, "sue", &["quorum", "token-sign", "list"])["tokens"], json!([]));
}

#[test]
fn a_key_is_used_and_managed_by_two() {
    let place = Place::with_token("one");
    let approvers = Approvers::new(&["alice", "bob"]);
    for name in ["alice", "bob"] {
        make(&place, name, "crypto-user");
        register(&place, &approvers, name);
    }
    let pair = ["key", "generate-asymmetric-pair", "ec", "--curve", "prime256v1", "--public-label", "p"];
    let guards = ["--manage-key-quorum-value", "2", "--use-key-quorum-value", "2"];
    let guarded = [&pair[..], &["--private-label", "k", "--share-crypto-users", "bob"], &guards].concat();
    let made = done(&place, "alice", &guarded);
    assert_eq!(
        made["private_key"]["key-info"]["key-quorum-values"],
        json!({ "manage-key-quorum-value": 2, "use-key-quorum-value": 2 })
    );
    assert_eq!(made["private_key"]["key-info"]["shared-users"][0]["username"], "bob");
    assert_eq!(made["public_key"]["key-info"]["key-quorum-values"]["use-key-quorum-value"], 0);

    let sign = ["crypto", "sign", "ecdsa", "--key-filter", "attr.label=k", "--hash-function", "sha256"];
    let sign = [&sign[..], &["--data", "aGVsbG8="]].concat();
    let path = place.file("request");
    let wanted = ["Quorum approval is required for this operation"];
    refused(by(&place, "bob", &sign), &wanted);
    done(&place, "bob", &[KEY_USAGE, &[&path, "--filter", "attr.label=k"]].concat());
    let file = read(&path);
    assert_eq!((file["service"].as_str(), file["label"].as_str()), (Some("key-usage"), Some("k")));
    approvers.approve(&path, "crypto-user", &["alice", "bob"]);
    let with = [&sign[..], &["--approval", &path]].concat();
    let signature = done(&place, "bob", &with)["signature"].clone();
    assert!(signature.is_string());
    refused(by(&place, "bob", &with), &["requests end after 10 minutes, and with the operation"]);

    let manage = ["quorum", "token-sign", "generate", "--service", "key-management", "--token", &path];
    let set = ["key", "set-attribute", "--filter", "attr.label=k", "--name", "label", "--value", "renamed"];
    refused(by(&place, "alice", &set), &wanted);
    done(&place, "alice", &[&manage[..], &["--filter", "attr.label=k"]].concat());
    approvers.approve(&path, "crypto-user", &["alice", "bob"]);
    done(&place, "alice", &[&set[..], &["--approval", &path]].concat());
    let unshare = ["key", "unshare", "--filter", "attr.label=renamed", "--username", "bob"];
    refused(by(&place, "alice", &unshare), &["leaves as many users as must approve"]);
}

/// With its users' approval such a key goes to another token, where it takes no less.
#[test]
fn a_key_of_two_is_replicated_by_two() {
    let place = Place::with_token("blue");
    let approvers = Approvers::new(&["alice", "bob"]);
    for name in ["alice", "bob"] {
        make(&place, name, "crypto-user");
        register(&place, &approvers, name);
    }
    let aes = ["key", "generate-symmetric", "aes", "--key-length-bytes", "32", "--label", "k"];
    let guards = ["--share-crypto-users", "bob", "--manage-key-quorum-value", "2"];
    done(&place, "alice", &[&aes[..], &guards].concat());
    place.done(&["token", "init", "--label", "green"]);
    let green =
        |user: &str, arguments: &[&str]| by(&place, user, &[arguments, &["--token", "green"]].concat());
    let bob = |command: &str| {
        let user = ["user", command, "--username", "bob", "--role", "crypto-user", "--token", "green"];
        let mut command = place.coffer(&user);
        command.env("COFFER_ROLE", "admin").env("COFFER_PIN", SO_PIN).env("COFFER_NEW_PIN", "bob-password");
        assert_eq!(answer(&run(&mut command)).0, 0);
    };
    let alice = ["user", "create", "--username", "alice", "--role", "crypto-user", "--token", "green"];
    let mut command = place.coffer(&alice);
    command.env("COFFER_ROLE", "admin").env("COFFER_PIN", SO_PIN).env("COFFER_NEW_PIN", "alice-password");
    assert_eq!(answer(&run(&mut command)).0, 0);

    let there = ["--source-cluster-id", "blue", "--destination-cluster-id", "green"];
    let replicate = [&["key", "replicate", "--filter", "attr.label=k"][..], &there].concat();
    refused(by(&place, "alice", &replicate), &["takes the approval of 2 of its users", "\"green\" knows 1"]);
    bob("create");
    refused(by(&place, "alice", &replicate), &["Quorum approval is required for this operation"]);
    assert_eq!(green("alice", &["key", "list"]).1["data"]["total_key_count"], 0);
    let path = place.file("request");
    let with = [&replicate[..], &["--approval", &path]].concat();
    let approved = || {
        let manage = ["quorum", "token-sign", "generate", "--service", "key-management", "--token", &path];
        let key = ["--filter", "attr.label=k", "--cluster-id", "blue"];
        done(&place, "alice", &[&manage[..], &key].concat());
        approvers.approve(&path, "crypto-user", &["alice", "bob"]);
        let info = done(&place, "alice", &with)["key"]["key-info"].clone();
        assert_eq!(info["key-quorum-values"]["manage-key-quorum-value"], 2);
        assert_eq!(info["shared-users"][0]["username"], "bob");
        assert_eq!(green("bob", &["key", "list"]).1["data"]["total_key_count"], 1);
        assert_eq!(green("alice", &["key", "list"]).1["data"]["total_key_count"], 1);
    };
    approved();
    assert_eq!(done(&place, "alice", &replicate)["was-there"], true);
    // A copy without its users, as a run that was killed before it shared it leaves it, is replaced.
    bob("delete");
    bob("create");
    refused(by(&place, "alice", &replicate), &["Quorum approval is required for this operation"]);
    approved();

    // A migration has no place for approvals, and says what has.
    let plan = ["migrate", "--from-token", "blue", "--to-token", "green", "--dry-run"];
    let mut command = place.coffer(&plan);
    let pins = ["COFFER_FROM_PIN", "COFFER_TO_PIN"].map(|name| (name, "bob:bob-password"));
    let (code, plan) = answer(&run(command.envs(pins)));
    assert_eq!((code, &plan["data"]["there"]), (0, &json!(1)), "{plan}");
    done(
        &place,
        "alice",
        &[&["key", "delete", "--filter", "attr.label=k"][..], &["--token", "green"]].concat(),
    );
    let plan = answer(&run(&mut command)).1["data"]["keys"][0]["detail"].clone();
    assert!(plan.as_str().is_some_and(|why| why.contains("`key replicate --approval`")), "{plan}");
}

/// A token that comes back by its escrow key takes the approvals that it took: the SO, who has another PIN then and has
/// to register anew, sets nobody's PIN alone.
#[test]
fn an_escrow_key_is_no_way_around_approvals() {
    let place = Place::with_token("one");
    let approvers = Approvers::new(&["admin", "sue"]);
    make(&place, "sue", "admin");
    for name in ["admin", "sue"] {
        register(&place, &approvers, name);
    }
    let set = ["quorum", "token-sign", "set-quorum-value", "--service", "user", "--value", "2"];
    done(&place, "admin", &set);
    let (public, private, backup) = (place.file("pub"), place.file("key"), place.file("backup"));
    place.done(&["token", "escrow-key", "generate", "--public", &public, "--private", &private, "--plain"]);
    place.done(&["token", "backup", "--path", &backup, "--escrow-key", &public]);
    place.done(&["token", "destroy", "--yes"]);
    place.done(&["token", "restore", "--path", &backup, "--escrow-key", &private]);

    let change = ["user", "change-password", "--username", "user", "--role", "crypto-user"];
    let wanted = ["Quorum approval is required for this operation"];
    refused(by(&place, "admin", &change), &wanted);
    let path = place.file("request");
    done(&place, "admin", &["quorum", "token-sign", "generate", "--service", "user", "--token", &path]);
    approvers.approve(&path, "admin", &["sue"]);
    let with = [&change[..], &["--approval", &path]].concat();
    refused(by(&place, "admin", &with), &wanted);
    register(&place, &approvers, "admin");
    approvers.approve(&path, "admin", &["admin"]);
    done(&place, "admin", &with);
    let mut list = place.coffer(&["key", "list"]);
    assert_eq!(answer(&run(list.env("COFFER_PIN", "a-new-password"))).0, 0);
}

#[test]
fn files_and_values_that_are_wrong() {
    let place = Place::with_token("one");
    let approvers = Approvers::new(&["user"]);
    let aes = ["key", "generate-symmetric", "aes", "--key-length-bytes", "32", "--label", "k"];
    let with = |more: &[&str]| place.json(&[&aes[..], more].concat());
    refused(with(&["--use-key-quorum-value", "2"]), &["takes 2 users of the key, and it has 1"]);
    refused(with(&["--use-key-quorum-value", "9"]), &["at most 8 users"]);
    refused(with(&["--use-key-quorum-value", "2", "--session"]), &["session keys take no approvals"]);
    assert_eq!(with(&["--use-key-quorum-value", "1", "--manage-key-quorum-value", "0"]).0, 0);

    let path = place.file("request");
    place.fails(&[KEY_USAGE, &[&path]].concat(), &["which key?"]);
    place.fails(&[REGISTRATION, &[&path, "--filter", "attr.label=k"]].concat(), &["about no key"]);
    let cluster = ["quorum", "token-sign", "generate", "--service", "cluster", "--token", &path];
    place.fails(&cluster, &["no settings of a cluster"]);
    place.fails(&["quorum", "token-sign", "set-timeout", "--generated", "900"], &["600 seconds"]);
    assert_eq!(place.done(&["quorum", "token-sign", "list-timeouts"])["generated"], 600);
    assert!(!Path::new(&path).exists());

    let (public, register) = (approvers.public("user"), ["user", "change-quorum", "token-sign", "register"]);
    let register = |key: &str, token: &str| {
        place.json(&[&register[..], &["--public-key", key, "--signed-token", token]].concat())
    };
    place.done(&[REGISTRATION, &[&path]].concat());
    refused(register("no-such-file", &path), &["no-such-file"]);
    refused(register(&path, &path), &["not a PEM file"]);
    refused(register(&public, "no-such-file"), &["no-such-file"]);
    refused(register(&public, &public), &["not the JSON"]);
    refused(register(&public, &path), &["\"signed\" is missing"]);
    let mut file = read(&path);
    file["tokens"][0]["signed"] = json!("AAAA");
    write(&path, &file);
    refused(register(&public, &path), &["no signature of \"unsigned\"", "CKR_SIGNATURE_INVALID"]);
    file["tokens"][0]["signed"] = approvers.sign("user", &file["tokens"][0]["unsigned"]);
    write(&path, &file);
    assert_eq!(register(&public, &path).0, 0);
    refused(register(&public, &path), &["a request of the last 10 minutes"]);

    // An approval is looked at before anything is done, also where none is needed.
    let mac = ["crypto", "sign", "hmac", "--key-filter", "attr.label=k", "--hash-function", "sha256"];
    let sign = |approval: &str| place.json(&[&mac[..], &["--data", "AA==", "--approval", approval]].concat());
    place.done(&[KEY_USAGE, &[&path, "--filter", "attr.label=k"]].concat());
    refused(sign("no-such-file"), &["no-such-file"]);
    refused(sign(&path), &["nobody has signed it"]);
    for (entry, words) in [
        (json!({ "role": "crypto-user", "signature": "AA==" }), "has no username"),
        (json!({ "username": "user", "role": "king", "signature": "AA==" }), "not admin or crypto-user"),
        (json!({ "username": "user", "role": "crypto-user", "signature": "?" }), "not base64"),
        (json!({ "username": "nobody", "role": "crypto-user", "signature": "AA==" }), "there is no nobody"),
        (json!({ "username": "admin", "role": "admin", "signature": "AA==" }), "has no say"),
        (json!({ "username": "user", "role": "crypto-user", "signature": "AA==" }), "CKR_SIGNATURE_INVALID"),
    ] {
        let mut file = read(&path);
        file["signatures"] = json!([entry]);
        write(&path, &file);
        refused(sign(&path), &[words]);
    }
}
