//! `coffer token`: info, names, backups and their retention, escrow keys, verification, repair, destruction.

use super::*;
use rusqlite::Connection;
use std::os::unix::fs::PermissionsExt;

fn key(place: &Place, label: &str) {
    place.done(&["key", "generate-symmetric", "aes", "--label", label, "--key-length-bytes", "32"]);
}

/// The command with other PINs than the usual ones.
fn with(place: &Place, variables: &[(&str, &str)], arguments: &[&str]) -> (i32, Value) {
    let mut command = place.coffer(arguments);
    command.env("COFFER_SO_PIN", SO_PIN).env("COFFER_PIN", USER_PIN).envs(variables.iter().copied());
    answer(&run(&mut command))
}

/// Does this to the file of the token in slot 0, as an intruder would.
fn behind_its_back(place: &Place, statement: &str) {
    let database = Connection::open(place.path().join("tokens/0.coffer")).expect("the database");
    assert!(database.execute(statement, []).expect("a statement") > 0);
}

fn names(place: &Place, directory: &str) -> Vec<String> {
    let entries = fs::read_dir(place.path().join(directory)).expect("a directory");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("text")).collect();
    names.sort();
    names
}

#[test]
fn a_token_is_told_of_and_renamed() {
    let place = Place::with_token("one");
    key(&place, "a");
    let info = place.done(&["token", "info"]);
    assert_eq!(
        (&info["label"], &info["mode"], &info["objects"], &info["format"], &info["damaged"]),
        (&json!("one"), &json!("non-fips"), &json!(1), &json!(3), &json!([]))
    );
    assert_eq!(info["serial"], place.tokens()[0]["serial"]);
    assert_eq!(info["users"].as_array().map(Vec::len), Some(2));
    assert!(info["pin-derivation"].as_str().expect("text").starts_with("Argon2id, 19456 KiB"));

    let renamed = place.done(&["token", "rename", "--label", "zwei"]);
    assert_eq!((&renamed["label"], &renamed["was"]), (&json!("zwei"), &json!("one")));
    assert_eq!(place.tokens()[0]["label"], "zwei");
    place.fails(&["token", "rename", "--label", &"x".repeat(33)], &["33 bytes; 32 fit"]);
    refused(
        with(&place, &[("COFFER_SO_PIN", USER_PIN)], &["token", "rename", "--label", "x"]),
        &["CKR_PIN_INCORRECT"],
    );
    place.fails(&["token", "info", "--token", "one"], &["there is no token \"one\"", "\"zwei\" in slot 0"]);
    place.fails(&["token", "info", "--library", "/lib/other.so"], &["Coffer's own tokens", "/lib/other.so"]);
    let empty = Place::new("");
    empty.fails(&["token", "verify"], &["there is no token", "coffer token init"]);
    // Two, and none named.
    place.done(&["token", "init", "--label", "three"]);
    place.fails(&["token", "info"], &["which token", "\"three\" in slot 1"]);
    assert_eq!(place.done(&["token", "info", "--token", "three"])["slot"], 1);
    // The newest format is what it has.
    let upgraded = place.done(&["token", "upgrade", "--token", "zwei"]);
    assert_eq!((&upgraded["before"], &upgraded["format"]), (&json!(3), &json!(3)));
    assert_eq!(place.done(&["token", "verify", "--token", "zwei"])["opened"], 1);
}

/// Its attributes and its key in the form that Coffer wrote at first, also when the attributes are written anew.
#[test]
fn a_token_of_the_first_format_is_used_and_upgraded() {
    let place = Place::new("");
    let tokens = place.path().join("tokens");
    fs::create_dir_all(&tokens).expect("a directory");
    fs::set_permissions(&tokens, fs::Permissions::from_mode(0o700)).expect("a mode");
    let file = tokens.join("0.coffer");
    fs::write(&file, include_bytes!("../data/tokens/format-1.coffer")).expect("the token");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("a mode");
    let done = |arguments: &[&str]| {
        let pins = [("COFFER_SO_PIN", "so-pin-1"), ("COFFER_PIN", "user-pin-1")];
        let (code, answer) = with(&place, &pins, arguments);
        assert_eq!(code, 0, "{arguments:?}: {answer}");
        answer["data"].clone()
    };
    let sound = || {
        let verdict = done(&["token", "verify"]);
        assert_eq!((&verdict["opened"], &verdict["faults"]), (&json!(1), &json!([])), "{verdict}");
    };
    sound();
    let upgraded = done(&["token", "upgrade"]);
    assert_eq!((&upgraded["before"], &upgraded["format"]), (&json!(1), &json!(3)));
    let filter = "attr.label=old key";
    done(&["key", "set-attribute", "--filter", filter, "--name", "label", "--value", "same key"]);
    let keys = done(&["key", "list", "--filter", "attr.label=same key", "--verbose"]);
    assert_eq!(keys["matched_keys"][0]["attributes"]["key-length-bytes"], 32, "{keys}");
    sound();
}

#[test]
fn nothing_is_destroyed_by_mistake() {
    let place = Place::with_token("one");
    place.fails(&["token", "destroy"], &["\"one\"", "for ever", "--yes"]);
    refused(
        with(&place, &[("COFFER_SO_PIN", "wrong-pin")], &["token", "destroy", "--yes"]),
        &["the PIN is wrong", "CKR_PIN_INCORRECT"],
    );
    assert_eq!(place.tokens()[0]["label"], "one");

    let destroy = || {
        let mut command = place.coffer(&["token", "destroy"]);
        command.env("COFFER_SO_PIN", SO_PIN);
        Terminal::run(command)
    };
    let answered = |word: &str| {
        let (mut terminal, mut child) = destroy();
        let mut bytes = [0; 256];
        while !terminal.said.contains("to go on: ") {
            let read = terminal.master.read(&mut bytes).expect("it asks");
            terminal.said += &String::from_utf8_lossy(&bytes[..read]);
        }
        terminal.master.write_all(format!("{word}\n").as_bytes()).expect("typing");
        let said = terminal.rest();
        (child.wait().expect("an end").code(), said)
    };
    let (code, said) = answered("yes");
    assert!(code == Some(1) && said.contains("nothing was done"), "{said}");
    assert_eq!(place.tokens()[0]["label"], "one");
    let (code, said) = answered("one");
    assert!(code == Some(0) && said.contains("slot 0 is free"), "{said}");
    assert_eq!(place.tokens(), [json!({ "slot": 0, "initialized": false })]);
}

#[test]
fn a_backup_comes_back_with_all_that_was_in_it() {
    let place = Place::with_token("one");
    for label in ["a", "b"] {
        key(&place, label);
    }
    let before = place.done(&["key", "list", "--verbose"]);
    let path = place.file("backup");
    let made = place.done(&["token", "backup", "--path", &path]);
    let meta = fs::metadata(&path).expect("the backup");
    assert_eq!((&made["bytes"], meta.permissions().mode() & 0o777), (&json!(meta.len()), 0o600));
    key(&place, "later");
    place.fails(&["token", "backup", "--path", &path], &["no backup was made", "exists"]);
    place
        .fails(&["token", "backup", "--path", "/no/such/place/b"], &["no backup was made", "/no/such/place"]);
    place.fails(&["token", "backup", "--path", &path, "--keep", "1"], &["want a directory"]);
    refused(
        with(&place, &[("COFFER_PIN", "wrong-pin")], &["token", "backup", "--path", &place.file("c")]),
        &["the PIN is wrong"],
    );
    let shown = place.done(&["token", "backup-show", "--path", &path]);
    assert_eq!((&shown["label"], &shown["escrow-key"]), (&json!("one"), &Value::Null));
    assert_eq!(shown["serial"], place.tokens()[0]["serial"]);

    let restore = ["token", "restore", "--path", &path];
    refused(
        with(&place, &[("COFFER_PIN", "wrong-pin")], &restore),
        &["no token was made", "CKR_PIN_INCORRECT"],
    );
    let restored = place.done(&restore);
    assert_eq!((&restored["slot"], &restored["same-token-in-slots"]), (&json!(1), &json!([0])));
    place.done(&["token", "destroy", "--yes", "--token", "0"]);
    assert_eq!(place.done(&["key", "list", "--verbose"]), before, "every attribute of every key");
    assert_eq!(place.done(&["token", "verify"])["opened"], 2);
    // An SO's PIN opens it too.
    let by_so = [&restore[..], &["--role", "admin"]].concat();
    assert_eq!(place.done(&by_so)["slot"], 0);
    place.done(&["token", "destroy", "--yes", "--token", "0"]);

    let honest = fs::read(&path).expect("the backup");
    let bad = |bytes: &[u8], words: &[&str]| {
        fs::write(&path, bytes).expect("a file");
        place.fails(&restore, words);
        assert_eq!(names(&place, "tokens").iter().filter(|name| name.ends_with(".coffer")).count(), 1);
    };
    bad(b"", &["cut short"]);
    bad(b"not one at all, and long enough to tell", &["not a backup"]);
    bad(&honest[..honest.len() - 1], &["cut short"]);
    let mut changed = honest.clone();
    let last = changed.len() - 1;
    changed[last] ^= 1;
    bad(&changed, &["damaged or forged"]);
    place.fails(&["token", "restore", "--path", "/no/such/file"], &["/no/such/file", "No such file"]);
    place.fails(&["token", "restore", "--path", "/dev/zero"], &["/dev/zero", "not a plain file"]);
    place.fails(&["token", "backup-show", "--path", &place.file("coffer.toml")], &["not a backup"]);
}

/// By count, by age, never the newest, and nothing else in the directory.
/// On a terminal long work tells how much of how much is done.
#[test]
fn progress_is_a_fraction() {
    const COUNT: usize = 2_000;
    let place = Place::with_token("one");
    let keys: Vec<_> = (0..COUNT).map(|at| json!({ "kty": "oct", "k": format!("{at:042}A") })).collect();
    let (set, backup) = (place.file("set.jwk"), place.file("backup"));
    fs::write(&set, json!({ "keys": keys }).to_string()).expect("a file");
    place.done(&["import", "--path", &set, "--key-type-class", "aes"]);
    for (work, passes) in [("backup", 2), ("restore", 3), ("verify", 1)] {
        let mut command = place.coffer(&["token", work]);
        match work {
            "verify" => command.args(["--token", "0"]),
            _ => command.args(["--path", &backup]),
        };
        command.env("COFFER_PIN", USER_PIN).env("TERM", "xterm");
        let (terminal, mut child) = Terminal::run(command);
        let said = terminal.rest();
        assert!(child.wait().expect("an end").success(), "{said}");
        let fraction = |word: &str| {
            let (done, total) = word.trim_end_matches(',').split_once('/')?;
            Some((done.parse::<usize>().ok()?, total.parse::<usize>().ok()?))
        };
        let told: Vec<_> = said.split_whitespace().filter_map(fraction).collect();
        // Beside the keys there are the token's own record, its users' and a few more.
        let all = passes * COUNT..passes * COUNT + 50;
        assert!(told.iter().any(|(done, _)| *done > 0), "{work}: {said}");
        assert!(told.iter().all(|(done, total)| all.contains(total) && done <= total), "{work}: {told:?}");
    }
}

#[test]
fn old_backups_go_and_nothing_else() {
    let place = Place::with_token("one");
    fs::create_dir(place.path().join("backups")).expect("a directory");
    let path = place.file("backups");
    let serial = place.tokens()[0]["serial"].as_str().expect("text").to_owned();
    let first = place.done(&["token", "backup", "--path", &path])["path"].as_str().expect("text").to_owned();
    let source = place.file("source");
    fs::copy(&first, &source).expect("a copy");
    let named = |serial: &str, time: &str| format!("coffer-{serial}-{time}.backup");
    let old = |time: &str| {
        let name = named(&serial, time);
        fs::copy(&source, Path::new(&path).join(&name)).expect("a copy");
        name
    };
    let ancient = [old("20200101T000000.000Z"), old("20210101T000000.000Z"), old("20220101T000000.000Z")];
    // Like one by its name, or by what is in it, but not both.
    let kept = [
        named("0123456789abcdef", "20200101T000000.000Z"),
        named(&serial, "20200101T000000"),
        "coffer.backup".to_owned(),
        "2020.backup".to_owned(),
    ];
    for name in &kept {
        fs::copy(&source, Path::new(&path).join(name)).expect("a copy");
    }
    let false_one = named(&serial, "20190101T000000.000Z");
    fs::write(Path::new(&path).join(&false_one), "precious, and no backup").expect("a file");
    let abandoned = format!(".{}.part", named(&serial, "20180101T000000.000Z"));
    let part = File::create(Path::new(&path).join(&abandoned)).expect("a file");
    part.set_modified(std::time::SystemTime::now() - Duration::from_secs(7_200)).expect("a time");
    drop(part);

    let backup = |rules: &[&str]| {
        let made = place.done(&[&["token", "backup", "--path", &path][..], rules].concat());
        let removed = made["removed"].as_array().expect("a list").iter();
        removed
            .map(|path| Path::new(path.as_str().expect("text")).file_name().expect("a name").to_owned())
            .map(|name| name.into_string().expect("text"))
            .collect::<Vec<_>>()
    };
    assert_eq!(backup(&["--keep", "3"]), [&ancient[1][..], &ancient[0]], "the first, this, and one of 2022");
    assert_eq!(backup(&["--keep", "1", "--keep-days", "30"]), [&ancient[2][..]], "today's stay by their age");
    assert_eq!(backup(&["--keep-days", "30"]), [""; 0]);
    assert_eq!(backup(&["--keep", "1"]).len(), 4, "all but the one just made");
    let left = names(&place, "backups");
    for name in kept.iter().chain([&false_one]) {
        assert!(left.contains(name), "{name}: {left:?}");
    }
    assert_eq!(left.len(), kept.len() + 2, "{left:?}");
    // A clock that was wrong once: neither the one of the future nor the one just made goes.
    let future = old("20990101T000000.000Z");
    let last = left.iter().find(|name| {
        name.starts_with(&format!("coffer-{serial}-")) && !kept.contains(name) && **name != false_one
    });
    assert_eq!(backup(&["--keep", "1"]), [&last.expect("the one of before")[..]]);
    assert!(names(&place, "backups").contains(&future) && names(&place, "backups").len() == left.len() + 1);
    for wrong in [["--keep", "0"], ["--keep-days", "0"], ["--keep", "all"]] {
        let arguments = [&["token", "backup", "--path", &path][..], &wrong].concat();
        assert_eq!(run(&mut place.coffer(&arguments)).status.code(), Some(2), "{wrong:?}");
    }
}

#[test]
fn an_escrow_key_opens_what_no_pin_does() {
    let place = Place::with_token("one");
    key(&place, "a");
    let (public, private, backup) = (place.file("e.pub"), place.file("e.key"), place.file("backup"));
    let passphrase = [("COFFER_PASSPHRASE", "of the escrow key")];
    let generate = ["token", "escrow-key", "generate", "--public", &public, "--private", &private];
    refused(with(&place, &[("COFFER_PASSPHRASE", "")], &generate), &["empty passphrase"]);
    let (code, made) = with(&place, &passphrase, &generate);
    assert_eq!(code, 0, "{made}");
    assert_eq!(fs::metadata(&private).expect("a file").permissions().mode() & 0o777, 0o600);
    assert!(fs::read_to_string(&private).expect("PEM").starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
    refused(with(&place, &passphrase, &generate), &["is there already"]);

    let by_escrow = ["token", "backup", "--path", &backup, "--escrow-key", &public];
    let as_user = [&by_escrow[..], &["--role", "crypto-user"]].concat();
    place.fails(&as_user, &["an SO makes the backup", "CKR_USER_NOT_LOGGED_IN"]);
    place.fails(
        &["token", "backup", "--path", &backup, "--escrow-key", &private],
        &["no ML-KEM-1024 public key"],
    );
    assert!(!Path::new(&backup).exists() && !place.path().join(".backup.part").exists());
    assert_eq!(place.done(&by_escrow)["escrow-key"], made["data"]["escrow-key"]);
    let shown = place.done(&["token", "backup-show", "--path", &backup]);
    assert_eq!(shown["escrow-key"], made["data"]["escrow-key"]);
    // The PINs open it as they do any other.
    assert_eq!(place.done(&["token", "restore", "--path", &backup])["slot"], 1);
    for slot in ["0", "1"] {
        place.done(&["token", "destroy", "--yes", "--token", slot]);
    }

    // Every PIN is forgotten.
    let restore = ["token", "restore", "--path", &backup, "--escrow-key", &private];
    let (new_so, new_user) = ("the new SO PIN", "the new user PIN");
    let (other_public, other) = (place.file("o.pub"), place.file("o.key"));
    place.done(&[
        "token",
        "escrow-key",
        "generate",
        "--public",
        &other_public,
        "--private",
        &other,
        "--plain",
    ]);
    let wrong = ["token", "restore", "--path", &backup, "--escrow-key", &other];
    place.fails(&wrong, &["the escrow key is not the one", "no token was made"]);
    refused(with(&place, &[("COFFER_PASSPHRASE", "another")], &restore), &["the passphrase is wrong"]);
    refused(with(&place, &[passphrase[0], ("COFFER_SO_PIN", "123")], &restore), &["CKR_PIN_LEN_RANGE"]);
    place
        .fails(&["token", "restore", "--path", &backup, "--escrow-key", &public], &["no private key in PEM"]);
    assert_eq!(place.tokens(), [json!({ "slot": 0, "initialized": false })]);
    let (code, restored) = with(&place, &[passphrase[0], ("COFFER_SO_PIN", new_so)], &restore);
    assert_eq!((code, &restored["data"]["label"]), (0, &json!("one")), "{restored}");
    refused(with(&place, &[], &["token", "rename", "--label", "x"]), &["CKR_PIN_INCORRECT"]);
    // The SO sets the user's PIN, and the keys are there.
    fs::write(place.path().join("new"), new_user).expect("a file");
    let change = [
        "user",
        "change-password",
        "--username",
        "user",
        "--role",
        "crypto-user",
        "--new-pin-file",
        &place.file("new"),
    ];
    let (code, changed) = with(&place, &[("COFFER_ROLE", "admin"), ("COFFER_PIN", new_so)], &change);
    assert_eq!(code, 0, "{changed}");
    let (code, verified) = with(&place, &[("COFFER_PIN", new_user)], &["token", "verify"]);
    assert_eq!((code, &verified["data"]["opened"], &verified["data"]["faults"]), (0, &json!(1), &json!([])));
    let (_, listed) = with(&place, &[("COFFER_PIN", new_user)], &["key", "list"]);
    assert_eq!(listed["data"]["matched_keys"][0]["attributes"]["label"], "a");
    // And the founding SO goes on as before: backups with escrow, users, PINs.
    let again = place.file("again");
    let arguments = ["token", "backup", "--path", &again, "--escrow-key", &other_public];
    let (code, made) = with(&place, &[("COFFER_SO_PIN", new_so)], &arguments);
    assert_eq!(code, 0, "{made}");

    // One made without.
    let plain = place.file("plain");
    assert_eq!(with(&place, &[("COFFER_PIN", new_user)], &["token", "backup", "--path", &plain]).0, 0);
    let arguments = ["token", "restore", "--path", &plain, "--escrow-key", &other];
    place.fails(&arguments, &["made without an escrow key"]);
}

#[test]
fn verification_names_what_is_bad() {
    let place = Place::with_token("one");
    for label in ["a", "b", "c"] {
        key(&place, label);
    }
    let good = place.done(&["token", "verify"]);
    assert_eq!((&good["objects"], &good["opened"], &good["faults"]), (&json!(3), &json!(3), &json!([])));
    // An SO sees the seals of all and opens none.
    let by_so = place.done(&["token", "verify", "--role", "admin"]);
    assert_eq!((&by_so["objects"], &by_so["opened"]), (&json!(3), &json!(0)));

    let object = "(SELECT key FROM record WHERE substr(key, 1, 1) = x'6f' LIMIT 1)";
    behind_its_back(
        &place,
        &format!(
            "UPDATE record SET value = CAST(substr(value, 1, 90) || x'00ff00' || substr(value, 94) AS BLOB) WHERE key = {object}"
        ),
    );
    let found = place.finds_wrong(&["token", "verify"]);
    let faults = found["faults"].as_array().expect("a list");
    assert!(faults.len() == 1 && faults[0].as_str().expect("text").contains("object"), "{found}");
    assert_eq!(found["opened"], 2);
    let info = place.done(&["token", "info"]);
    assert_eq!(info["damaged"].as_array().map(Vec::len), Some(1));
    // Until it is restored or given up, it stands in the way of backups.
    let path = place.file("b");
    place.fails(&["token", "backup", "--path", &path], &["no backup was made", "is damaged"]);
    let repair = place.finds_wrong(&["token", "repair"]);
    assert_eq!(
        (&repair["wrong"], &repair["sound"], &repair["damaged"]),
        (&Value::Null, &json!(2), &found["faults"])
    );
    place.done(&["token", "repair", "--accept", "--yes"]);
    assert_eq!(place.done(&["token", "verify"])["objects"], 2);
    place.done(&["token", "backup", "--path", &path]);
    place.fails(&["token", "verify", "--role", "admin", "--username", "nobody"], &["CKR_PIN_INCORRECT"]);
}

#[test]
fn a_token_that_refuses_its_users_is_repaired_on_demand_only() {
    let place = Place::with_token("one");
    for label in ["a", "b"] {
        key(&place, label);
    }
    let sound = place.done(&["token", "repair"]);
    assert_eq!((&sound["wrong"], &sound["sound"]), (&Value::Null, &json!(2)));
    let object = "(SELECT key FROM record WHERE substr(key, 1, 1) = x'6f' LIMIT 1)";
    behind_its_back(&place, &format!("DELETE FROM record WHERE key = {object}"));
    for refused in
        [&["key", "list"][..], &["token", "verify"], &["token", "backup", "--path", &place.file("b")]]
    {
        place.fails(refused, &["CKR_DEVICE_ERROR"]);
    }
    place.fails(&["token", "verify"], &["coffer token repair"]);
    let found = place.finds_wrong(&["token", "repair"]);
    assert_eq!((&found["sound"], &found["accepted"]), (&json!(1), &json!(false)));
    assert!(found["wrong"].as_str().expect("text").contains("deleted behind the token's back"), "{found}");
    place.fails(&["token", "repair", "--accept"], &["what is missing is lost", "--yes"]);
    place.fails(&["key", "list"], &["CKR_DEVICE_ERROR"]);
    assert_eq!(place.done(&["token", "repair", "--accept", "--yes"])["accepted"], true);
    assert_eq!(place.count(&[]), 1);
    assert_eq!(place.done(&["token", "verify"])["faults"], json!([]));
}

#[test]
fn a_locked_so_gets_its_tries_back() {
    let place = Place::with_token("one");
    let wrong = || with(&place, &[("COFFER_SO_PIN", "wrong-pin")], &["token", "rename", "--label", "x"]);
    for _ in 0..10 {
        refused(wrong(), &["CKR_PIN_INCORRECT"]);
    }
    place.fails(
        &["token", "rename", "--label", "x"],
        &["locked", "coffer token repair --unlock", "CKR_PIN_LOCKED"],
    );
    let findings = place.finds_wrong(&["doctor"])["findings"].to_string();
    assert!(findings.contains("the SO's PIN is locked"), "{findings}");
    place.fails(&["token", "repair", "--unlock"], &["may try its PIN again", "--yes"]);
    place.done(&["token", "repair", "--unlock", "--yes"]);
    refused(wrong(), &["CKR_PIN_INCORRECT"]);
    place.done(&["token", "rename", "--label", "two"]);
    place.fails(&["token", "repair", "--unlock", "--yes", "--username", "nobody"], &["no such user"]);
}

/// Killed at each of its writes to the disk, a backup or a restore has happened or not.
#[test]
fn who_is_killed_leaves_nothing_half_made() {
    if Command::new("strace").arg("--version").stdout(Stdio::null()).status().is_err() {
        return eprintln!("without strace nobody is killed");
    }
    let place = Place::with_token("one");
    key(&place, "a");
    let path = place.file("backup");
    let killed = |arguments: &[&str], when: usize| {
        let coffer = place.coffer(arguments);
        let mut command = Command::new("strace");
        let inject = format!("inject=fsync,fdatasync:signal=KILL:when={when}");
        command.args(["-f", "-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-e", &inject]);
        command.arg(coffer.get_program()).args(coffer.get_args());
        command.env("COFFER_CONF", place.file("coffer.toml")).env("COFFER_PIN", USER_PIN);
        !command.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("strace runs").success()
    };
    let mut when = 1;
    while killed(&["token", "backup", "--path", &path], when) {
        // The last of them makes sure of the directory, when the file is whole.
        if Path::new(&path).exists() {
            place.done(&["token", "restore", "--path", &path]);
            place.done(&["token", "destroy", "--yes", "--token", "1"]);
            fs::remove_file(&path).expect("it is there");
        }
        when += 1;
        assert!(when < 20);
        place.done(&["token", "verify"]);
    }
    assert!(when > 2, "it was never killed");
    assert!(!names(&place, "").iter().any(|name| name.ends_with(".part")), "what was left is written over");
    let mut when = 1;
    while killed(&["token", "restore", "--path", &path], when) {
        if place.tokens().len() > 2 {
            assert_eq!(place.done(&["token", "verify", "--token", "1"])["opened"], 1);
            place.done(&["token", "destroy", "--yes", "--token", "1"]);
        }
        when += 1;
        assert!(when < 30);
    }
    assert!(when > 2 && place.done(&["token", "verify", "--token", "1"])["opened"] == 1);
}

/// A disk of one page, where this process may make one.
#[test]
fn a_full_disk_is_named_and_left_clean() {
    // Not where there is no such command, where it takes root, and inside of a chroot.
    if !Command::new("unshare").args(["-m", "true"]).output().is_ok_and(|output| output.status.success()) {
        return eprintln!("no disk can be made here");
    }
    let place = Place::with_token("one");
    key(&place, "a");
    let disk = place.path().join("disk");
    fs::create_dir(&disk).expect("a directory");
    let path = place.file("backup");
    place.done(&["token", "backup", "--path", &path]);
    let on_a_full_disk = |size: &str, command: &str| {
        let script = format!(
            "mount -t tmpfs -o mode=700,size={size} none {0} || exit 77; {command}; code=$?; ls -A {0}; exit $code",
            disk.display()
        );
        let mut shell = Command::new("unshare");
        shell.args(["-m", "sh", "-c", &script]).env("COFFER", env!("CARGO_BIN_EXE_coffer"));
        shell.env("COFFER_CONF", place.file("coffer.toml")).env("COFFER_PIN", USER_PIN);
        let output = run(&mut shell);
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (code, said) = on_a_full_disk("4k", &format!("$COFFER token backup --path {}/b", disk.display()));
    if code == Some(77) {
        return eprintln!("no disk can be made here");
    }
    assert!(code == Some(1) && said.contains("the disk is full"), "{said}");
    assert!(said.trim_end().ends_with('}'), "nothing is left there: {said}");
    place.configure("token_dir = \"disk/tokens\"\n");
    // From one where nothing fits to one where all does: there is a whole token, or none and nothing left of it.
    let (mut refused, mut made) = (0, 0);
    for pages in (12..40).step_by(2) {
        let command = format!(
            "$COFFER token restore --path {path} && $COFFER token verify --text; ls -A {}/tokens",
            disk.display()
        );
        let (_, said) = on_a_full_disk(&format!("{}k", 4 * pages), &command);
        if said.contains("\"error_code\": 0") {
            assert!(
                said.contains("1 objects, 1 of them opened and checked, 0 faults"),
                "{pages} pages: {said}"
            );
            made += 1;
        } else if said.contains("no token was made") {
            let rest = said.rsplit_once("}\n").expect("JSON").1;
            assert_eq!(rest, "tokens\n", "{pages} pages: nothing is left there");
            assert!(said.contains("the disk is full"), "{pages} pages: {said}");
            refused += 1;
        }
    }
    assert!(refused > 0 && made > 0, "{refused} {made}");
}

/// Each backup is the token of one moment, whoever writes meanwhile.
#[test]
fn backups_are_taken_while_others_write() {
    let place = Place::with_token("one");
    let mut counts = Vec::new();
    std::thread::scope(|threads| {
        let writer = threads.spawn(|| (0..8).for_each(|at| key(&place, &format!("key {at}"))));
        while !writer.is_finished() {
            let path = place.file(&format!("backup {}", counts.len()));
            place.done(&["token", "backup", "--token", "0", "--path", &path]);
            counts.push(path);
        }
        writer.join().expect("the writer");
    });
    assert_eq!(place.count(&[]), 8);
    let restored: Vec<_> = counts
        .iter()
        .map(|path| {
            place.done(&["token", "restore", "--path", path]);
            let verdict = place.done(&["token", "verify", "--token", "1"]);
            place.done(&["token", "destroy", "--yes", "--token", "1"]);
            assert_eq!((&verdict["faults"], &verdict["objects"]), (&json!([]), &verdict["opened"]));
            verdict["objects"].as_u64().expect("a number")
        })
        .collect();
    assert!(restored.is_sorted() && restored.iter().all(|count| *count <= 8), "{restored:?}");
}
