//! Several users of one token file: what one PIN opens of it, several processes at once, and a process that dies in
//! the middle.

mod common;

use coffer_pkcs11::crypto::encoding::{Algorithm, Der, public_key_info, tag};
use coffer_pkcs11::crypto::rsa::{Primes, PrivateKey};
use coffer_pkcs11::crypto::{Hash, Secret, digest};
use coffer_pkcs11::error::Rv as Code;
use coffer_pkcs11::storage::keyring::{Kdf, Role};
use coffer_pkcs11::storage::place::Place;
use coffer_pkcs11::storage::quorum::{Guarded, Service};
use coffer_pkcs11::storage::record::{ObjectId, Stored, object_id};
use coffer_pkcs11::storage::sealed::{Change, Commit, Keys, NewSecrets, NewToken, Sealed};
use coffer_pkcs11::storage::sqlite::Sqlite;
use coffer_pkcs11::storage::{Batch, Revision, Storage};
use common::coffer::Coffer;
use common::*;
use pkcs11_conformance::client::{Attr, Mechanism, Rv};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

const CHEAP: Kdf = Kdf::Argon2id { memory: 8, passes: 1, lanes: 1 };
const LABEL: &[u8] = b"a label that only its owner reads";
const SECRET: &[u8] = b"a secret key of thirty-two bytes";

fn open(dir: &Path) -> Sealed<Sqlite> {
    Sealed::open(Place::open(dir).unwrap().token(0).unwrap()).unwrap()
}

/// A token with alice and bob, and a private object of alice's.
fn token(dir: &Path) -> (Sealed<Sqlite>, Keys, Keys, ObjectId) {
    let new = NewToken { so_pin: b"so-pin", kdf: CHEAP, ..NewToken::default() };
    Place::open(dir).unwrap().create(0, |storage| Sealed::create(storage, &new)).unwrap();
    let token = open(dir);
    let (so, _) = token.login(Role::So, "", b"so-pin").unwrap();
    token.create_user(&so, Role::User, "alice", b"alice").unwrap();
    token.create_user(&so, Role::User, "bob", b"bob").unwrap();
    let (alice, _) = token.login(Role::User, "alice", b"alice").unwrap();
    let (id, secret) = (object_id(), Secret::from_slice(SECRET));
    let secrets = NewSecrets::Set(&secret);
    let change = Change::Put { id, at: None, private: true, class: 4, attributes: LABEL, secrets };
    assert!(matches!(token.commit(&alice, &[change]).unwrap(), Commit::Done(_)));
    (token, so, alice, id)
}

fn stored(token: &Sealed<Sqlite>, keys: &Keys, id: &ObjectId) -> Stored<'static> {
    let loaded = token.load(Revision(0), Some(keys)).unwrap();
    assert!(loaded.refused.is_empty(), "{:?}", loaded.refused);
    loaded.stored.into_iter().find(|object| object.id == *id).unwrap()
}

fn opens(token: &Sealed<Sqlite>, keys: &Keys, object: &Stored) -> bool {
    let (attributes, secrets) = (token.open_attributes(keys, object), token.open_secrets(Some(keys), object));
    match (attributes, secrets) {
        (Ok(attributes), Ok(secrets)) => {
            assert_eq!((&attributes[..], secrets.expose()), (LABEL, SECRET));
            true
        }
        (Err(_), Err(_)) => false,
        _ => panic!("half of it"),
    }
}

/// All bytes of the token's files.
fn files(dir: &Path) -> Vec<u8> {
    let all = std::fs::read_dir(dir).unwrap().map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
    all.flatten().collect()
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

fn row(token: &Sqlite, key: &[u8]) -> Vec<u8> {
    let records = token.load(Revision(0)).unwrap().records;
    records.into_iter().find(|record| record.key == key).unwrap().value.unwrap()
}

#[test]
fn one_users_pin_opens_nothing_of_anothers() {
    let dir = tempfile::tempdir().unwrap();
    let (token, so, alice, id) = token(dir.path());
    let (bob, _) = token.login(Role::User, "bob", b"bob").unwrap();
    let private = stored(&token, &bob, &id);
    assert!(opens(&token, &alice, &private));
    for keys in [&bob, &so] {
        assert!(!opens(&token, keys, &private), "{:?} {}", keys.role(), keys.name());
    }
    assert_eq!(token.share(&bob, &id, "bob", true).unwrap_err().rv(), Code::ActionProhibited);
    assert_eq!(token.share(&so, &id, "bob", true).unwrap_err().rv(), Code::ActionProhibited);
    let take = Change::Put {
        id,
        at: Some(private.revision),
        private: true,
        class: 4,
        attributes: b"bob's",
        secrets: NewSecrets::Keep,
    };
    assert_eq!(token.commit(&bob, &[take]).unwrap_err().rv(), Code::ActionProhibited);
    let delete = Change::Delete { id, at: private.revision };
    assert_eq!(token.commit(&bob, &[delete]).unwrap_err().rv(), Code::ActionProhibited);

    token.share(&alice, &id, "bob", true).unwrap();
    let shared = stored(&token, &bob, &id);
    assert!(opens(&token, &bob, &shared) && opens(&token, &alice, &shared) && !opens(&token, &so, &shared));
    let key = [b"o", &id[..]].concat();
    let storage = Place::open(dir.path()).unwrap().token(0).unwrap();
    let value_shared = row(&storage, &key);
    token.share(&alice, &id, "bob", false).unwrap();
    let private = stored(&token, &bob, &id);
    assert!(opens(&token, &alice, &private) && !opens(&token, &bob, &private));

    let disk = files(dir.path());
    for secret in [LABEL, SECRET, &LABEL[..16], &SECRET[..16]] {
        assert!(!holds(&disk, secret), "in the clear on the disk");
    }

    // Whoever can write the file puts the shared version back, or makes bob the owner of what is there.
    let value = row(&storage, &key);
    let stolen = replaced(&value, &private.owner, &bob.user());
    for forged in [value_shared, stolen] {
        let write = || Batch { writes: vec![(key.clone(), Some(forged.clone()))], ..Batch::default() };
        storage.transact(&mut |_| Ok(write())).unwrap();
        assert_eq!(token.login(Role::User, "bob", b"bob").map(drop).unwrap_err().rv(), Code::DeviceError);
        let (rescued, left, wrong) = token.rescue(Role::User, "bob", b"bob").unwrap();
        assert!(wrong.is_some() && left.stored.iter().all(|object| !opens(&token, &rescued, object)));
    }
}

/// A key to approve with, as SubjectPublicKeyInfo and as what signs.
fn approver() -> (Vec<u8>, PrivateKey) {
    let key = PrivateKey::generate(2048, &[1, 0, 1], Primes::Random).unwrap();
    let algorithm = Algorithm { oid: b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01", parameters: &[5, 0] };
    let (modulus, exponent) = (key.modulus(), key.exponent());
    let numbers = [Der::Unsigned(&modulus), Der::Unsigned(&exponent)];
    (public_key_info(algorithm, Der::BitsOf(&Der::Node(tag::SEQUENCE, &numbers))), key)
}

fn sign(key: &PrivateKey, message: &[u8]) -> Vec<u8> {
    let mut signature = vec![0; key.size()];
    key.sign_digest(Hash::Sha256, &digest::digest(Hash::Sha256, message), &mut signature).unwrap();
    signature
}

/// Two logins of one user, as two processes have them, that both hold the approvals: one of them spends them.
#[test]
fn an_approval_is_good_once_whoever_is_faster() {
    let dir = tempfile::tempdir().unwrap();
    let (token, so, alice, id) = token(dir.path());
    token.share(&alice, &id, "bob", true).unwrap();
    let (bob, _) = token.login(Role::User, "bob", b"bob").unwrap();
    let keys = [&alice, &bob].map(|keys| {
        let (info, key) = approver();
        let asked = token.request_approval(keys, Service::Registration, None).unwrap();
        token.register_approver(keys, &info, &sign(&key, &asked)).unwrap();
        key
    });
    let asked = token.request_approval(&alice, Service::KeyUsage, Some((id, 2))).unwrap();
    let elsewhere = open(dir.path());
    let (also_alice, _) = elsewhere.login(Role::User, "alice", b"alice").unwrap();
    let what = Guarded { service: Service::KeyUsage, object: Some(id), need: 2 };
    for (token, alice) in [(&token, &alice), (&elsewhere, &also_alice)] {
        for (name, key) in [("alice", &keys[0]), ("bob", &keys[1])] {
            token.add_approval(alice, &asked, Role::User, name, &sign(key, &asked)).unwrap();
        }
    }
    let spent: Vec<bool> = std::thread::scope(|scope| {
        let tries = [(&token, &alice), (&elsewhere, &also_alice)];
        let tries = tries.map(|(token, alice)| scope.spawn(|| token.spend(alice, &what).is_ok()));
        tries.map(|one| one.join().unwrap()).into()
    });
    assert_eq!(spent.iter().filter(|spent| **spent).count(), 1, "{spent:?}");

    // Who was removed has no say any more, though the approval was shown before.
    let asked = token.request_approval(&alice, Service::KeyUsage, Some((id, 2))).unwrap();
    for (name, key) in [("alice", &keys[0]), ("bob", &keys[1])] {
        token.add_approval(&alice, &asked, Role::User, name, &sign(key, &asked)).unwrap();
    }
    token.remove_user(&so, Role::User, "bob").unwrap();
    assert_eq!(token.spend(&alice, &what).unwrap_err().rv(), Code::FunctionRejected);
    // A request that was made need no approval behind the token's back is a forged record.
    let storage = Place::open(dir.path()).unwrap().token(0).unwrap();
    let mut request = None;
    storage
        .read(&mut |view| {
            request = view.records(b"q\x02")?.pop();
            Ok(())
        })
        .unwrap();
    let request = request.unwrap();
    let mut value = request.value.unwrap();
    value[2] = 1;
    let write = || Batch { writes: vec![(request.key.clone(), Some(value.clone()))], ..Batch::default() };
    storage.transact(&mut |_| Ok(write())).unwrap();
    assert_eq!(token.spend(&alice, &what).unwrap_err().rv(), Code::DeviceError);
}

/// `bytes` with every `from` made `to`.
fn replaced(bytes: &[u8], from: &[u8; 16], to: &[u8; 16]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let places: Vec<_> = (0..bytes.len() - 16).filter(|at| bytes[*at..at + 16] == *from).collect();
    assert!(!places.is_empty());
    places.into_iter().for_each(|at| bytes[at..at + 16].copy_from_slice(to));
    bytes
}

/// A token as Coffer made it when it knew one user and nothing shared.
const FORMAT_1: &[u8] = include_bytes!("data/tokens/format-1.coffer");

#[test]
fn a_token_of_format_one_opens_as_it_is_and_grows() {
    let dir = tempfile::tempdir().unwrap();
    Place::open(dir.path()).unwrap();
    let path = dir.path().join("0.coffer");
    std::fs::write(&path, FORMAT_1).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let token = open(dir.path());
    assert_eq!(token.info().unwrap().meta.format, 1);
    let (user, loaded) = token.login(Role::User, "", b"user-pin-1").unwrap();
    let [key] = &loaded.stored[..] else { panic!("one key") };
    assert!(holds(&token.open_attributes(&user, key).unwrap(), b"old key"));
    let (so, _) = token.login(Role::So, "", b"so-pin-1").unwrap();
    token.create_user(&so, Role::User, "alice", b"alice").unwrap();
    token.share(&user, &key.id, "alice", true).unwrap();
    let (alice, _) = token.login(Role::User, "alice", b"alice").unwrap();
    let shared = stored(&token, &alice, &key.id);
    assert_eq!(token.open_secrets(Some(&alice), &shared).unwrap().len(), 45);
    token.reset_pin(&so, Role::User, "", b"new-pin").unwrap();
    assert_eq!(token.upgrade(&user).unwrap_err().rv(), Code::UserNotLoggedIn);
    token.upgrade(&so).unwrap();
    assert_eq!(token.info().unwrap().meta.format, 3);
    assert!(token.login(Role::User, "", b"new-pin").is_ok());
}

// ---- a process that dies in the middle ----

const TOKEN_DIR: &str = "COFFER_TEST_USERS_DIR";
const MARK: &str = "done: ";

/// No test: makes users, shares with them, takes it back and removes them, over and over, until it is killed.
#[test]
#[ignore = "only another test starts it"]
fn the_one_that_dies() {
    let Some(dir) = std::env::var_os(TOKEN_DIR) else { return };
    let token = open(Path::new(&dir));
    let (so, _) = token.login(Role::So, "", b"so-pin").unwrap();
    let (alice, loaded) = token.login(Role::User, "alice", b"alice").unwrap();
    let id = loaded.stored[0].id;
    for round in 0.. {
        let name = format!("user{}", round % 3);
        token.create_user(&so, Role::User, &name, name.as_bytes()).unwrap();
        println!("{MARK}{name} made");
        token.share(&alice, &id, &name, true).unwrap();
        println!("{MARK}{name} shared");
        token.share(&alice, &id, &name, false).unwrap();
        println!("{MARK}{name} unshared");
        token.remove_user(&so, Role::User, &name).unwrap();
        println!("{MARK}{name} removed");
    }
}

/// What stands of `name`: not there, there, or there and shared with.
fn state(token: &Sealed<Sqlite>, id: &ObjectId, name: &str) -> usize {
    let there = token.users().unwrap().iter().any(|user| user.name == name);
    let shared = token.access(id).unwrap().1.iter().any(|user| user.name == name);
    usize::from(there) + usize::from(shared)
}

#[test]
fn a_kill_in_the_middle_leaves_all_or_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (token, so, alice, id) = token(dir.path());
    for round in 0..40 {
        let mut child = start("the_one_that_dies", &[(TOKEN_DIR, dir.path().as_os_str())]);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        // The first acknowledgement, then a moment that differs from round to round.
        let mut last = lines.find(|line| line.contains(MARK)).expect("it works");
        std::thread::sleep(Duration::from_micros(round * 977));
        child.kill().unwrap();
        child.wait().unwrap();
        for line in lines.filter(|line| line.contains(MARK)) {
            last = line;
        }
        let (name, what) = last.split_once(MARK).unwrap().1.split_once(' ').unwrap();
        let after = match what {
            "made" => [1, 2],
            "shared" => [2, 1],
            "unshared" => [1, 0],
            "removed" => [0, 0],
            other => panic!("{other}"),
        };
        let found = state(&token, &id, name);
        assert!(after.contains(&found), "round {round}: {last}, then {found}");
        // Everything is authentic, opens for whom it should, and can go on.
        assert!(opens(&token, &alice, &stored(&token, &alice, &id)));
        for user in token.users().unwrap().iter().filter(|user| user.name.starts_with("user")) {
            let (keys, _) = token.login(Role::User, &user.name, user.name.as_bytes()).unwrap();
            let shared = state(&token, &id, &user.name) == 2;
            assert_eq!(opens(&token, &keys, &stored(&token, &keys, &id)), shared);
            token.remove_user(&so, Role::User, &user.name).unwrap();
        }
    }
}

fn start(test: &str, environment: &[(&str, &std::ffi::OsStr)]) -> Child {
    this_test()
        .args([test, "--exact", "--nocapture", "--include-ignored", "--test-threads=1"])
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

// ---- several processes ----

/// No test: bob, who tells what he sees of the key whenever he is asked.
#[test]
#[ignore = "only another test starts it"]
fn bob_elsewhere() {
    let Ok(label) = std::env::var("COFFER_TEST_LABEL") else { return };
    let module = module();
    let session = module.open_session(module.slot_by_label(&label).unwrap(), true).unwrap();
    session.login_user(CKU_USER, "bob", "bob-pin-22").unwrap();
    println!("{MARK}ready");
    let mut known = 0;
    for line in std::io::stdin().lines() {
        let found = session.find(&[Attr::label("hers")]);
        known = found.as_ref().ok().and_then(|found| found.first().copied()).unwrap_or(known);
        let use_it = session.encrypt(&Mechanism::bytes(CKM_AES_CBC_PAD, &[7; 16]), known, b"x").map(drop);
        println!("{MARK}{} {:?} {:?}", line.unwrap(), found.map(|found| found.len()), use_it);
    }
}

#[test]
fn what_is_shared_and_taken_back_is_so_in_every_process() {
    let token = TestToken::public();
    let session = &token.session;
    let coffer = Coffer::new(session);
    session.login(CKU_SO, SO_PIN).unwrap();
    coffer.create(CKU_USER, "alice", "alice-pin-1").unwrap();
    coffer.create(CKU_USER, "bob", "bob-pin-22").unwrap();
    session.logout().unwrap();
    session.login_user(CKU_USER, "alice", "alice-pin-1").unwrap();
    let template = [
        Attr::ulong(CKA_VALUE_LEN, 32),
        Attr::bool(CKA_TOKEN, true),
        Attr::bool(CKA_ENCRYPT, true),
        Attr::label("hers"),
    ];
    let hers = session.generate_key(&Mechanism::new(CKM_AES_KEY_GEN), &template).unwrap();

    let tokens = process().dir.path().join("tokens");
    let label = std::ffi::OsStr::new(&token.label);
    let mut bob = start(
        "bob_elsewhere",
        &[("COFFER_TEST_LABEL", label), ("COFFER_TEST_TOKEN_DIR", tokens.as_os_str())],
    );
    let mut tell = bob.stdin.take().unwrap();
    let mut lines = BufReader::new(bob.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok)
        .filter_map(|line| line.split_once(MARK).map(|(_, said)| said.to_string()));
    assert_eq!(lines.next().unwrap(), "ready");
    let mut ask = |what: &str| {
        writeln!(tell, "{what}").unwrap();
        lines.next().unwrap()
    };
    let gone = format!("Err({:?})", Rv(CKR_KEY_HANDLE_INVALID));
    assert_eq!(ask("a"), format!("a Ok(0) {gone}"));
    coffer.share(hers, "bob").unwrap();
    assert_eq!(ask("b"), "b Ok(1) Ok(())");
    coffer.unshare(hers, "bob").unwrap();
    assert_eq!(ask("c"), format!("c Ok(0) {gone}"), "also by the handle he had");
    coffer.share(hers, "bob").unwrap();
    assert_eq!(ask("d"), "d Ok(1) Ok(())");
    session.destroy(hers).unwrap();
    assert_eq!(ask("e"), format!("e Ok(0) {gone}"));
    session.logout().unwrap();
    session.login(CKU_SO, SO_PIN).unwrap();
    coffer.delete(CKU_USER, "bob").unwrap();
    assert_eq!(
        ask("f"),
        format!("f Err({:?}) {gone}", Rv(CKR_DEVICE_REMOVED)),
        "a removed user is logged out"
    );
    bob.kill().unwrap();
    bob.wait().unwrap();
}
