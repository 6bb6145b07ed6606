//! `coffer import softhsm|nss`: whole tokens out of other makers' files, the committed ones of `tests/data/stores` and such
//! as SoftHSM and NSS make here.

use super::migration::{fill, migrate, moved, outcomes, softhsm};
use super::*;
use crate::common::library;
use std::path::PathBuf;

const SOFTHSM_PIN: &str = "fixture-pin";
const NSS_PASSWORD: &str = "fixture-password";

fn stores(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/stores").join(name)
}

/// A copy of a store that may be spoilt.
fn copy(place: &Place, name: &str) -> PathBuf {
    let to = place.path().join("copy");
    let _ = fs::remove_dir_all(&to);
    fs::create_dir(&to).expect("a directory");
    for entry in fs::read_dir(stores(name)).expect("a store") {
        let from = entry.expect("an entry").path();
        fs::copy(&from, to.join(from.file_name().expect("a name"))).expect("a copy");
    }
    to
}

/// `import` of a whole store, with the store's PIN in the environment.
fn import(place: &Place, store: &str, directory: &Path, pin: &str, more: &[&str]) -> (i32, Value) {
    let directory = directory.display().to_string();
    let mut command = place.coffer(&[&["import", store, &directory], more].concat());
    answer(&run(command.env("COFFER_PIN", USER_PIN).env("COFFER_FROM_PIN", pin)))
}

fn imported(answer: (i32, Value)) -> Value {
    assert_eq!(answer.0, 0, "{}", answer.1);
    answer.1["data"].clone()
}

fn counts(report: &Value) -> [u64; 3] {
    ["imported", "there", "stay"].map(|name| report[name].as_u64().expect("a number"))
}

/// The key of that ID out of the token, plain.
fn exported(place: &Place, id: &str, class: &str, format: &str) -> Vec<u8> {
    let (path, id, class) = (place.file("exported"), format!("attr.id={id}"), format!("attr.class={class}"));
    place.done(&["export", "--filter", &id, &class, "--format", format, "--plain", "--path", &path]);
    fs::read(path).expect("a file")
}

/// The same as DER, by OpenSSL.
fn der(pem: &str) -> Vec<u8> {
    let output = Command::new("openssl")
        .args(["pkcs8", "-topk8", "-nocrypt", "-outform", "DER", "-in"])
        .arg(stores("keys").join(pem))
        .output()
        .expect("openssl runs");
    assert!(output.status.success(), "{output:?}");
    output.stdout
}

fn pkcs11_tool(arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let mut command = Command::new("pkcs11-tool");
    let output =
        command.args(arguments).envs(environment.iter().copied()).output().expect("pkcs11-tool runs");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

const DES3: [u8; 24] = [
    0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0x01, 0x45,
    0x67, 0x89, 0xab, 0xcd, 0xef, 0x01, 0x23,
];

#[test]
fn a_softhsm_token_comes_whole() {
    let place = Place::with_token("one");
    let plan = imported(import(&place, "softhsm", &stores("softhsm"), SOFTHSM_PIN, &["--dry-run"]));
    assert_eq!((counts(&plan), &plan["dry-run"]), ([16, 0, 0], &json!(true)));
    assert_eq!(place.count(&[]), 0, "a dry run brings nothing");

    let more = ["--attributes", "extractable=true"];
    let report = imported(import(&place, "softhsm", &stores("softhsm"), SOFTHSM_PIN, &more));
    assert_eq!(counts(&report), [16, 0, 0], "{report}");
    let aes: Vec<u8> = (0..32).collect();
    let generic: Vec<u8> = (100..140).collect();
    assert_eq!(exported(&place, "0x03", "secret-key", "raw"), aes);
    assert_eq!(exported(&place, "0x04", "secret-key", "raw"), DES3);
    assert_eq!(exported(&place, "0x07", "secret-key", "raw"), generic);
    assert_eq!(exported(&place, "0x13", "private-key", "der"), der("rsa.pem"));
    let pair = |label: &str| {
        let (path, filter) = (place.file("pair"), format!("attr.label={label}"));
        let class = "attr.class=private-key";
        let id = "attr.id=0x12";
        place
            .done(&["export", "--filter", &filter, class, id, "--format", "der", "--plain", "--path", &path]);
        fs::read(path).expect("a file")
    };
    assert_eq!((pair("ec"), pair("ed")), (der("ec.pem"), der("ed.pem")));

    // Labels, IDs and uses as they were; and what pkcs11-tool sees of the rest.
    let p384 = place.key("p384", "private-key");
    assert_eq!((&p384["id"], &p384["sign"], &p384["derive"]), (&json!("0x0f"), &json!(true), &json!(true)));
    let config = place.file("coffer.toml");
    let module = library().display().to_string();
    let tool = |arguments: &[&str]| {
        let login = ["--module", &module, "--login", "--pin", USER_PIN];
        pkcs11_tool(&[&login[..], arguments].concat(), &[("COFFER_CONF", &config)])
    };
    assert!(tool(&["--list-objects", "--type", "privkey"]).contains("Allowed mechanisms: ECDSA"));
    assert_eq!(tool(&["--read-object", "--type", "data", "--label", "note"]), "a secret note\n");
    let open = tool(&["--list-objects", "--type", "data"]);
    assert!(open.contains("1.2.3") && open.contains("'app'"), "{open}");

    let again = imported(import(&place, "softhsm", &stores("softhsm"), SOFTHSM_PIN, &more));
    assert_eq!(counts(&again), [0, 16, 0], "{again}");
    assert_eq!(place.count(&[]), 13, "each key once");
}

#[test]
fn softhsm_tokens_are_found() {
    let place = Place::with_token("one");
    let refuses = |directory: &Path, pin: &str, more: &[&str], words: &[&str]| {
        refused(import(&place, "softhsm", directory, pin, more), words);
        assert_eq!(place.count(&[]), 0);
    };
    let copied = copy(&place, "softhsm");
    refuses(&copied, "wrong-pin", &[], &["\"fixture\"", "PIN", "wrong"]);
    refuses(&copied, "", &[], &["wrong"]);
    refuses(&place.path().join("nothing"), SOFTHSM_PIN, &[], &["nothing", "No such file"]);
    refuses(&place.path().join("coffer.toml"), SOFTHSM_PIN, &[], &["Not a directory"]);
    let directory = copied.display().to_string();
    place.fails(&["import", "--path", "x", "--label", "x", "softhsm", &directory], &["one thing at a time"]);
    let mut silent = place.coffer(&["import", "softhsm", &place.file("copy")]);
    refused(
        answer(&run(silent.env("COFFER_PIN", USER_PIN))),
        &["no PIN of SoftHSM's token", "COFFER_FROM_PIN"],
    );

    // The directory of all tokens will do, if one is meant.
    let tokens = place.path().join("all");
    fs::create_dir(&tokens).expect("a directory");
    refuses(&tokens, SOFTHSM_PIN, &[], &["no token of SoftHSM"]);
    fs::rename(&copied, tokens.join("a")).expect("moved");
    let report = imported(import(&place, "softhsm", &tokens, SOFTHSM_PIN, &["--dry-run"]));
    assert_eq!(counts(&report), [16, 0, 0]);
    fs::rename(copy(&place, "softhsm"), tokens.join("b")).expect("moved");
    refuses(&tokens, SOFTHSM_PIN, &[], &["which token", "--from-token", "\"fixture\""]);
    refuses(&tokens, SOFTHSM_PIN, &["--from-token", "other"], &["no token \"other\"", "\"fixture\""]);
    refuses(&tokens, SOFTHSM_PIN, &["--from-token", "fixture"], &["which token"]);
    fs::create_dir(tokens.join("c")).expect("a directory");
    for text in ["", "no database"] {
        fs::write(tokens.join("c/sqlite3.db"), text).expect("a file");
        refuses(&tokens.join("c"), SOFTHSM_PIN, &[], &["sqlite3.db", "a token of SoftHSM has other tables"]);
    }
}

/// Whichever file is spoilt, nothing is stored, or only what is whole if that was asked for.
#[test]
fn spoilt_softhsm_files_are_named() {
    let place = Place::with_token("one");
    let objects: Vec<PathBuf> = fs::read_dir(stores("softhsm"))
        .expect("a store")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.file_stem().is_some_and(|stem| stem != "token"))
        .collect();
    for (at, from) in objects.iter().enumerate() {
        let name = from.file_name().expect("a name").to_str().expect("UTF-8");
        let copied = copy(&place, "softhsm");
        let whole = fs::read(from).expect("a file");
        let cut = [0, 7, 8, 9, 20, whole.len() / 2, whole.len() - 1][at % 7];
        fs::write(copied.join(name), &whole[..cut]).expect("a file");
        refused(
            import(&place, "softhsm", &copied, SOFTHSM_PIN, &[]),
            &["nothing was imported: 1 of 16 objects", name, "--skip-damaged"],
        );
    }
    assert_eq!(place.count(&[]), 0);

    // Bits that turned inside of what is encrypted: a check value, or a public key, tells.
    let copied = copy(&place, "softhsm");
    let mut spoilt = Vec::new();
    for path in &objects {
        let mut bytes = fs::read(path).expect("a file");
        let attribute = |kind: u8, value: u8| [&[0; 7][..], &[kind], &[0; 7], &[value]].concat();
        let find = |wanted: Vec<u8>| bytes.windows(wanted.len()).position(|window| window == wanted);
        let private = find([attribute(2, 1), vec![0xff]].concat());
        // The class is the first attribute: secret and private keys.
        if let (3 | 4, Some(_), Some(at)) = (bytes[31], private, find(attribute(0x11, 3))) {
            // Behind type, kind, length and IV.
            bytes[at + 16 + 8 + 16] ^= 1;
            let name = path.file_name().expect("a name");
            fs::write(copied.join(name), &bytes).expect("a file");
            spoilt.push(name.to_str().expect("UTF-8").to_owned());
        }
    }
    assert_eq!(spoilt.len(), 7, "all but the RSA key have a CKA_VALUE");
    let report = imported(import(&place, "softhsm", &copied, SOFTHSM_PIN, &["--dry-run"]));
    for object in report["objects"].as_array().expect("a list") {
        let origin = object["origin"].as_str().expect("text");
        let stays = spoilt.iter().any(|name| name == origin);
        assert_eq!(object["outcome"] == "stays", stays, "{object}");
    }
    let words = ["nothing was imported: 7 of 16 objects are damaged"];
    refused(import(&place, "softhsm", &copied, SOFTHSM_PIN, &[]), &words);
    assert_eq!(place.count(&[]), 0);

    let copied = copy(&place, "softhsm");
    fs::write(copied.join("zz.object"), b"\0\0\0\0\0\0\0\x01no object").expect("a file");
    let report = imported(import(&place, "softhsm", &copied, SOFTHSM_PIN, &["--skip-damaged"]));
    assert_eq!(counts(&report), [16, 0, 1]);
    fs::write(copied.join("token.object"), b"\0\0\0\0\0\0\0\x01\0\0").expect("a file");
    refused(import(&place, "softhsm", &copied, SOFTHSM_PIN, &[]), &["token.object", "truncated or damaged"]);
}

/// What SoftHSM itself makes here, each key used in SoftHSM and in Coffer afterwards.
#[test]
fn a_live_softhsm_token_works_the_same() {
    let place = Place::with_token("coffer");
    let (module, environment) = softhsm(&place).expect("SoftHSM: scripts/setup.sh clients");
    fill(&|arguments| {
        let mut command = place.coffer(&[&["--library", &module], arguments].concat());
        let (code, said) = answer(&run(command.envs(environment.clone()).env("COFFER_PIN", USER_PIN)));
        assert_eq!(code, 0, "{arguments:?}: {said}");
        said["data"].clone()
    });
    fs::write(place.path().join("note"), "a note").expect("a file");
    let note = place.file("note");
    let conf = [("SOFTHSM2_CONF", environment[0].1.as_str())];
    for arguments in [
        &["--write-object", &note, "--type", "data", "--label", "note", "--private"][..],
        &["--keypairgen", "--key-type", "EC:edwards25519", "--label", "ed", "--id", "21"],
        &["--keypairgen", "--key-type", "EC:secp521r1", "--label", "p521", "--id", "22", "--sensitive"],
    ] {
        let login = ["--module", &module, "--login", "--pin", USER_PIN];
        pkcs11_tool(&[&login[..], arguments].concat(), &conf);
    }
    let report = imported(import(&place, "softhsm", &place.path().join("soft"), USER_PIN, &[]));
    assert_eq!(counts(&report), [13, 0, 0], "{report}");
    let pins = [("COFFER_FROM_PIN", USER_PIN), ("COFFER_TO_PIN", USER_PIN), conf[0]];
    let (outcomes, there, stay) = outcomes(&moved(migrate(&place, &pins, &["--from", &module, "--dry-run"])));
    assert_eq!((there, stay), (13, 0), "{outcomes:?}");
    assert!(outcomes.iter().all(|(_, outcome)| outcome.starts_with("there: ")), "{outcomes:?}");
    let used = outcomes.iter().filter(|(_, outcome)| outcome.contains("proved by")).count();
    assert!(used >= 7, "every secret and private key but what may not be used: {outcomes:?}");
}

/// A number of the files.
fn number(bytes: &[u8]) -> u64 {
    u64::from_be_bytes(bytes[..8].try_into().expect("eight bytes"))
}

/// The attributes in a file, or within a template: type, kind and value.
fn cells(mut bytes: &[u8]) -> Vec<(u64, u64, &[u8])> {
    let mut cells = Vec::new();
    while !bytes.is_empty() {
        let (of, kind, rest) = (number(bytes), number(&bytes[8..]), &bytes[16..]);
        let (front, len) = match kind {
            1 => (0, 1),
            2 => (0, 8),
            3 | 4 => (8, number(rest) as usize),
            5 => (8, 8 * number(rest) as usize),
            kind => panic!("kind {kind}"),
        };
        cells.push((of, kind, &rest[front..front + len]));
        bytes = &rest[front + len..];
    }
    cells
}

/// As a list lies in SoftHSM's memory on this machine.
fn native(numbers: &[u8]) -> Vec<u8> {
    numbers.chunks(8).flat_map(|bytes| number(bytes).to_ne_bytes()).collect()
}

fn native_template(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for (of, kind, value) in cells(bytes) {
        let (kind, value) = match kind {
            2 => (kind, native(value)),
            5 => (kind, native(value)),
            _ => (kind, value.to_vec()),
        };
        out.extend(of.to_ne_bytes());
        out.extend((kind as u32).to_ne_bytes());
        if kind == 3 || kind == 5 {
            out.extend((value.len() as u64).to_ne_bytes());
        }
        out.extend(value);
    }
    out
}

/// Turns a token of files into one of the database backend, with the tables that SoftHSM makes and a row for each cell.
fn to_database(directory: &Path) {
    let connection = rusqlite::Connection::open(directory.join("sqlite3.db")).expect("a new database");
    connection.execute("create table object (id integer primary key autoincrement)", []).expect("a table");
    let kinds = [
        ("text", "text"),
        ("integer", "integer"),
        ("binary", "blob"),
        ("array", "blob"),
        ("boolean", "boolean"),
        ("datetime", "datetime"),
        ("real", "real"),
    ];
    for (table, kind) in kinds {
        let columns = "type integer, object_id integer references object(id) on delete cascade, \
                       id integer primary key autoincrement";
        let create = format!("create table attribute_{table} (value {kind}, {columns})");
        connection.execute(&create, []).expect("a table");
    }
    let files = fs::read_dir(directory).expect("a store").map(|entry| entry.expect("an entry").path());
    let mut files: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|extension| extension == "object")).collect();
    // The token comes first.
    files.sort_by_key(|path| (path.file_stem().is_none_or(|stem| stem != "token"), path.clone()));
    for path in files {
        connection.execute("insert into object default values", []).expect("a row");
        let object = connection.last_insert_rowid();
        let file = fs::read(&path).expect("a file");
        for (of, kind, value) in cells(&file[8..]) {
            let put = |table: &str, value: &dyn rusqlite::ToSql| {
                let insert =
                    format!("insert into attribute_{table} (value, type, object_id) values (?, ?, ?)");
                connection.execute(&insert, rusqlite::params![value, of as i64, object]).expect("a row");
            };
            match kind {
                1 => put("boolean", &i64::from(value[0] != 0)),
                2 => put("integer", &(number(value) as i64)),
                3 => put("binary", &value),
                4 => put("array", &native_template(value)),
                _ => put("binary", &native(value)),
            }
        }
        fs::remove_file(path).expect("a file");
    }
    for other in ["generation", "token.lock"] {
        let _ = fs::remove_file(directory.join(other));
    }
}

/// SoftHSM's database backend, which few builds have: what its files hold, row by row in its tables.
#[test]
fn a_softhsm_database_comes_whole() {
    let place = Place::with_token("files");
    place.done(&["token", "init", "--label", "rows"]);
    let (module, environment) = softhsm(&place).expect("SoftHSM: scripts/setup.sh clients");
    fill(&|arguments| {
        let mut command = place.coffer(&[&["--library", &module], arguments].concat());
        let (code, said) = answer(&run(command.envs(environment.clone()).env("COFFER_PIN", USER_PIN)));
        assert_eq!(code, 0, "{arguments:?}: {said}");
        said["data"].clone()
    });
    let conf = [("SOFTHSM2_CONF", environment[0].1.as_str())];
    let login = ["--module", &module, "--login", "--pin", USER_PIN];
    let pair = ["--keypairgen", "--key-type", "EC:secp384r1", "--label", "limited", "--id", "30"];
    pkcs11_tool(&[&login[..], &pair, &["--allowed-mechanisms", "ECDSA,ECDSA-SHA256"]].concat(), &conf);
    let live = fs::read_dir(place.path().join("soft")).expect("a directory").next().expect("a token");
    for (directory, pin, all) in
        [(copy(&place, "softhsm"), SOFTHSM_PIN, 16), (live.expect("an entry").path(), USER_PIN, 10)]
    {
        let files = imported(import(&place, "softhsm", &directory, pin, &["--token", "files"]));
        assert_eq!(counts(&files), [all, 0, 0], "{files}");
        to_database(&directory);
        // It is the same as what came out of the files, each key compared.
        let same = imported(import(&place, "softhsm", &directory, pin, &["--token", "files"]));
        assert_eq!(counts(&same), [0, all, 0], "{same}");
        let rows = imported(import(&place, "softhsm", &directory, pin, &["--token", "rows"]));
        assert_eq!(counts(&rows), [all, 0, 0], "{rows}");
        let list = |token: &str| {
            let list = place.done(&["key", "list", "--all", "--verbose", "--token", token]);
            let keys = list["matched_keys"].as_array().expect("a list").iter();
            let mut keys: Vec<_> = keys.map(|key| key["attributes"].to_string()).collect();
            keys.sort();
            keys
        };
        assert_eq!(list("files"), list("rows"));
        refused(import(&place, "softhsm", &directory, "wrong-pin", &["--token", "rows"]), &["PIN", "wrong"]);
        // A value that is cut, and an object without a class.
        let spoil = |statement: &str| {
            let connection = rusqlite::Connection::open(directory.join("sqlite3.db")).expect("a database");
            assert!(connection.execute(statement, []).expect("a statement") > 0);
            refused(
                import(&place, "softhsm", &directory, pin, &["--token", "rows"]),
                &["nothing was imported", "sqlite3.db object", "--skip-damaged"],
            );
        };
        let sealed =
            "object_id = (select max(object_id) from attribute_boolean where type = 2 and value = 1)";
        spoil(&format!(
            "update attribute_binary set value = substr(value, 1, 20) where {sealed} and length(value) > 20"
        ));
        spoil("delete from attribute_integer where type = 0 and object_id = 2");
    }
    let module = library().display().to_string();
    let tool = |token: &str| {
        let login = ["--module", &module, "--login", "--pin", USER_PIN, "--token-label", token];
        let config = place.file("coffer.toml");
        pkcs11_tool(&[&login[..], &["--list-objects"]].concat(), &[("COFFER_CONF", &config)])
    };
    let (files, rows) = (tool("files"), tool("rows"));
    assert!(rows.contains("Allowed mechanisms: ECDSA,ECDSA-SHA256"), "{rows}");
    let lines = |text: &str| {
        // Handles and identifiers are each token's own.
        let own = |line: &&str| !["uri:", "Unique ID:", "Data object"].iter().any(|name| line.contains(name));
        let mut lines: Vec<_> = text.lines().filter(own).map(String::from).collect();
        lines.sort();
        lines
    };
    assert_eq!(lines(&files), lines(&rows));
}

/// A run that is killed can be repeated: no doubles, none lost.
#[test]
fn an_interrupted_import_is_repeated() {
    let place = Place::with_token("one");
    let directory = stores("softhsm").display().to_string();
    for patience in (40..400).step_by(40) {
        let mut command = place.coffer(&["import", "softhsm", &directory]);
        command.env("COFFER_PIN", USER_PIN).env("COFFER_FROM_PIN", SOFTHSM_PIN);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("coffer runs");
        std::thread::sleep(Duration::from_millis(patience));
        child.kill().expect("a signal");
        child.wait().expect("an end");
    }
    let report = imported(import(&place, "softhsm", &stores("softhsm"), SOFTHSM_PIN, &[]));
    let [came, there, stay] = counts(&report);
    assert_eq!((came + there, stay, place.count(&[])), (16, 0, 13), "{report}");
}

#[test]
fn an_nss_database_comes_whole() {
    for store in ["nss", "nss-des3"] {
        let place = Place::with_token("one");
        let more = ["--attributes", "extractable=true"];
        let report = imported(import(&place, "nss", &stores(store), NSS_PASSWORD, &more));
        assert_eq!(counts(&report), [8, 0, 1], "{report}");
        let trust =
            report["objects"].as_array().expect("a list").iter().find(|object| object["outcome"] == "stays");
        let trust = trust.expect("one that stays");
        assert_eq!((&trust["kind"], &trust["label"]), (&json!("trust"), &json!("rsa cert")));
        let why = trust["detail"].as_str().expect("a reason");
        for said in
            ["a token has no such objects", "a trusted CA for server-auth, ", "a trusted CA for email"]
        {
            assert!(why.contains(said), "{why}");
        }
        let raw = |label: &str| {
            let (path, filter) = (place.file("raw"), format!("attr.label={label}"));
            place.done(&["export", "--filter", &filter, "--format", "raw", "--plain", "--path", &path]);
            fs::read(path).expect("a file")
        };
        assert_eq!(raw("aes"), (0..32).collect::<Vec<u8>>());
        assert_eq!(raw("des3"), DES3);
        // The nickname of the certificate is its keys' label, and the ID is NSS's.
        for (label, id, pem) in [
            ("fixture cert", "0x7b69ca254f1819d0f8b3a90cda2ef3cd59a66871", "ec.pem"),
            ("rsa cert", "0x7ae3aee6e133c6b06561f6e342a91290c99ace4b", "rsa.pem"),
        ] {
            assert_eq!(place.key(label, "private-key")["id"], id, "{store}");
            assert_eq!(exported(&place, id, "private-key", "der"), der(pem), "{store} {label}");
            assert_eq!(place.count(&[&format!("attr.id={id}"), "attr.class=certificate"]), 1, "{store}");
        }
        let again = imported(import(&place, "nss", &stores(store), NSS_PASSWORD, &more));
        assert_eq!(counts(&again), [0, 8, 1], "{again}");
    }
}

#[test]
fn altered_nss_databases_are_refused() {
    let place = Place::with_token("one");
    let spoilt = |store: &str, database: &str, sql: &str| {
        let copied = copy(&place, store);
        let connection = rusqlite::Connection::open(copied.join(database)).expect("a database");
        connection.execute_batch(sql).expect(sql);
        copied
    };
    let altered = "not authentic: it was altered, or belongs to another object";
    for (database, sql, words) in [
        // A number that is not secret, one that is, and two keys whose values changed places.
        (
            "key4.db",
            "UPDATE nssPrivate SET a122 = x'03' WHERE a122 IS NOT NULL",
            &["CKA_PUBLIC_EXPONENT", altered][..],
        ),
        (
            "key4.db",
            "UPDATE nssPrivate SET a124 = (SELECT a125 FROM nssPrivate WHERE a125 IS NOT NULL) WHERE a124 IS NOT NULL",
            &["CKA_PRIME_1", altered],
        ),
        (
            "key4.db",
            "UPDATE nssPrivate SET a11 = (SELECT a11 FROM nssPrivate WHERE a100 = x'00000003') WHERE a100 = x'0000001f'",
            &["CKA_VALUE", altered],
        ),
        ("key4.db", "DELETE FROM metaData WHERE id LIKE 'sig_key_%_00000011'", &["CKA_VALUE", altered]),
        (
            "key4.db",
            "UPDATE nssPrivate SET a11 = x'3000' WHERE a100 = x'0000001f'",
            &["CKA_VALUE", "malformed"],
        ),
        ("cert9.db", "UPDATE nssPublic SET ace536358 = x'ce534353' WHERE a0 = x'ce534353'", &[altered]),
        ("key4.db", "UPDATE metaData SET item2 = x'3000' WHERE id = 'password'", &["password", "wrong"]),
        ("key4.db", "DELETE FROM metaData WHERE id = 'password'", &["no password"]),
        ("key4.db", "DROP TABLE nssPrivate", &["key4.db", "nssPrivate"]),
    ] {
        let copied = spoilt("nss", database, sql);
        refused(import(&place, "nss", &copied, NSS_PASSWORD, &[]), words);
    }
    let directory = stores("nss");
    refused(import(&place, "nss", &directory, "wrong", &[]), &["the password of the NSS database is wrong"]);
    refused(import(&place, "nss", &stores("nss-des3"), "wrong", &[]), &["is wrong"]);
    refused(import(&place, "nss", &directory, NSS_PASSWORD, &["--from-token", "x"]), &["holds one token"]);
    refused(import(&place, "nss", place.path(), NSS_PASSWORD, &[]), &["key4.db", "no such file"]);
    let copied = copy(&place, "nss");
    let whole = fs::read(copied.join("key4.db")).expect("a file");
    for len in [0, 100, 512, whole.len() / 2] {
        fs::write(copied.join("key4.db"), &whole[..len]).expect("a file");
        refused(import(&place, "nss", &copied, NSS_PASSWORD, &[]), &["key4.db"]);
    }
    fs::write(copied.join("key4.db"), "no database at all, but long enough to look like one".repeat(20))
        .expect("a file");
    refused(import(&place, "nss", &copied, NSS_PASSWORD, &[]), &["key4.db", "not a database"]);
    fs::remove_file(copied.join("key4.db")).expect("there was one");
    fs::write(copied.join("key3.db"), "").expect("a file");
    refused(import(&place, "nss", &copied, NSS_PASSWORD, &[]), &["key4.db", "older format", "certutil"]);
    assert_eq!(place.count(&[]), 0);

    let copied = spoilt("nss", "key4.db", "UPDATE nssPrivate SET a122 = x'03' WHERE a122 IS NOT NULL");
    let report = imported(import(&place, "nss", &copied, NSS_PASSWORD, &["--skip-damaged"]));
    assert_eq!(counts(&report), [7, 0, 2], "{report}");
}

fn nss_tool(program: &str, arguments: &[&str]) {
    let output =
        Command::new(program).args(arguments).output().expect("libnss3-tools: scripts/setup.sh clients");
    assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
}

/// NSS's own module, where distributions put it.
fn softokn() -> String {
    let places = [
        "/usr/lib/x86_64-linux-gnu/libsoftokn3.so",
        "/usr/lib/aarch64-linux-gnu/libsoftokn3.so",
        "/usr/lib64/libsoftokn3.so",
    ];
    let found = places.iter().find(|path| Path::new(path).exists());
    (*found.expect("libsoftokn3.so: scripts/setup.sh clients")).into()
}

/// What NSS's tools make here, with a password and with the empty one; each key used in NSS and in Coffer. Then back: what NSS
/// got by `coffer migrate`, its own tools export.
#[test]
fn a_live_nss_database_works_the_same() {
    let module = softokn();
    for password in ["", "of NSS alone"] {
        let place = Place::with_token("coffer");
        fs::write(place.path().join("password"), format!("{password}\n")).expect("a file");
        let (secret, p12) = (place.file("password"), place.file("p12"));
        let database = |name: &str| format!("sql:{}", place.file(name));
        let new = |name: &str| {
            fs::create_dir(place.path().join(name)).expect("a directory");
            match password {
                "" => nss_tool("certutil", &["-N", "-d", &database(name), "--empty-password"]),
                _ => nss_tool("certutil", &["-N", "-d", &database(name), "-f", &secret]),
            }
        };
        new("nss");
        let from = database("nss");
        for (pem, name) in [("rsa.pem", "rsa"), ("ec.pem", "ec")] {
            let (key, request) = (stores("keys").join(pem), format!("/CN={name}"));
            let certificate = place.file("certificate");
            let openssl = |arguments: &[&str]| {
                let output = Command::new("openssl").args(arguments).output().expect("openssl runs");
                assert!(output.status.success(), "{output:?}");
            };
            let key = key.to_str().expect("UTF-8");
            openssl(&["req", "-x509", "-key", key, "-subj", &request, "-days", "9", "-out", &certificate]);
            openssl(&[
                "pkcs12",
                "-export",
                "-in",
                &certificate,
                "-inkey",
                key,
                "-name",
                name,
                "-out",
                &p12,
                "-passout",
                "pass:x",
            ]);
            nss_tool("pk12util", &["-i", &p12, "-d", &from, "-k", &secret, "-W", "x"]);
        }
        nss_tool("symkeyutil", &["-K", "-d", &from, "-f", &secret, "-n", "aes", "-t", "aes", "-s", "32"]);
        nss_tool("symkeyutil", &["-K", "-d", &from, "-f", &secret, "-n", "des3", "-t", "des3"]);
        let report = imported(import(
            &place,
            "nss",
            Path::new(&from),
            password,
            &["--attributes", "extractable=true"],
        ));
        assert_eq!(counts(&report), [8, 0, 0], "{report}");

        let arguments = |name: &str| {
            format!("configdir='{}' certPrefix='' keyPrefix='' secmod='secmod.db'", database(name))
        };
        let token = "NSS Certificate DB";
        let pins = [("COFFER_FROM_PIN", password), ("COFFER_TO_PIN", USER_PIN)];
        let init = arguments("nss");
        let nss = ["--from", &module, "--from-init-args", &init, "--from-token", token];
        let (all, there, stay) =
            outcomes(&moved(migrate(&place, &pins, &[&nss[..], &["--dry-run"]].concat())));
        assert_eq!((there, stay), (8, 0), "{all:?}");
        assert!(all.iter().all(|(_, outcome)| outcome.starts_with("there: ")), "{all:?}");
        assert_eq!(all.iter().filter(|(_, outcome)| outcome.contains("proved by")).count(), 4, "{all:?}");

        // NSS to Coffer by its module.
        place.done(&["token", "init", "--label", "second"]);
        let to = [&nss[..], &["--to-token", "second"]].concat();
        let (all, there, stay) = outcomes(&moved(migrate(&place, &pins, &to)));
        assert_eq!((there, stay), (8, 0), "{all:?}");
        assert_eq!(all.iter().filter(|(_, outcome)| outcome.contains("proved by")).count(), 4, "{all:?}");

        new("back");
        let pins = [("COFFER_FROM_PIN", USER_PIN), ("COFFER_TO_PIN", password)];
        let init = arguments("back");
        let nss = ["--from-token", "coffer", "--to", &module, "--to-init-args", &init, "--to-token", token];
        let (all, there, stay) = outcomes(&moved(migrate(&place, &pins, &nss)));
        assert_eq!((there, stay), (8, 0), "{all:?}");
        nss_tool("pk12util", &["-o", &p12, "-n", "ec", "-d", &database("back"), "-k", &secret, "-W", "x"]);
        let key = Command::new("openssl")
            .args(["pkcs12", "-nocerts", "-nodes", "-passin", "pass:x", "-in", &p12])
            .output()
            .expect("openssl runs");
        fs::write(place.path().join("key.pem"), &key.stdout).expect("a file");
        let output = Command::new("openssl")
            .args(["pkey", "-in", &place.file("key.pem")])
            .output()
            .expect("openssl runs");
        assert_eq!(output.stdout, fs::read(stores("keys").join("ec.pem")).expect("a file"));
    }
}
