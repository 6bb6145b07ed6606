//! What disks, kills, crowds and forks do to a token file. The test binary runs itself again, under strace
//! where a fault is wanted at one system call. COFFER_LONG=1 takes every point instead of a sample.

#[path = "storage_faults/crowd.rs"]
mod crowd;

use coffer_pkcs11::crypto::Secret;
use coffer_pkcs11::error::{Result, Rv};
use coffer_pkcs11::storage::keyring::{Kdf, Role};
use coffer_pkcs11::storage::place::Place;
use coffer_pkcs11::storage::record::{ObjectId, object_id};
use coffer_pkcs11::storage::sealed::{Change, Commit, Keys, Loaded, NewSecrets, NewToken, Sealed};
use coffer_pkcs11::storage::sqlite::Sqlite;
use coffer_pkcs11::storage::{Batch, Revision, Storage};
use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const CHEAP: Kdf = Kdf::Argon2id { memory: 8, passes: 1, lanes: 1 };
const OLD: ObjectId = [1; 16];
const NEW: ObjectId = [2; 16];

fn long() -> bool {
    std::env::var_os("COFFER_LONG").is_some()
}

fn new_token<'a>() -> NewToken<'a> {
    NewToken { label: "test", so_pin: b"so-pin", kdf: CHEAP, ..NewToken::default() }
}

fn open(dir: &Path) -> Result<Sealed<Sqlite>> {
    Sealed::open(Place::open(dir)?.token(1)?)
}

fn put(
    token: &Sealed<Sqlite>,
    keys: &Keys,
    id: ObjectId,
    private: bool,
    at: Option<Revision>,
    label: &[u8],
    secret: &[u8],
) -> Result<Commit> {
    let secret = Secret::from_slice(secret);
    token.commit(
        keys,
        &[Change::Put { id, at, private, class: 3, attributes: label, secrets: NewSecrets::Set(&secret) }],
    )
}

/// A token in slot 1 with one private object and one public.
fn make(dir: &Path) -> Result<()> {
    Place::open(dir)?.create(1, |storage| Sealed::create(storage, &new_token()))?;
    let token = open(dir)?;
    let (so, _) = token.login(Role::So, "", b"so-pin")?;
    token.init_pin(&so, "", b"1234")?;
    let (user, _) = token.login(Role::User, "", b"1234")?;
    put(&token, &user, OLD, true, None, b"old label", b"old secret bytes")?;
    put(&token, &user, [3; 16], false, None, b"public label", b"")?;
    Ok(())
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    fs::set_permissions(to, fs::Permissions::from_mode(0o700)).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// An object's id, attributes and secrets.
type Plain = (ObjectId, Vec<u8>, Vec<u8>);

/// Every object of a token, in order: its whole visible state.
fn contents(token: &Sealed<Sqlite>, keys: &Keys, loaded: &Loaded) -> Result<Vec<Plain>> {
    let mut all = Vec::new();
    for object in &loaded.stored {
        let attributes = token.open_attributes(keys, object)?.to_vec();
        all.push((object.id, attributes, token.open_secrets(Some(keys), object)?.expose().to_vec()));
    }
    all.sort();
    Ok(all)
}

// ---- The scenarios that a faulty child plays ----

fn play(scenario: &str, dir: &Path) -> Result<()> {
    if scenario == "init" {
        return Place::open(dir)?.create(2, |storage| Sealed::create(storage, &new_token()));
    }
    if scenario == "fork" {
        return fork_and_leave(dir);
    }
    let token = open(dir)?;
    if scenario == "read-only" {
        return read_only(dir, &token);
    }
    if scenario == "reinit" {
        return token.reinitialise(&new_token());
    }
    if scenario == "pin" {
        return token.set_pin(Role::User, "", b"1234", b"5678");
    }
    let (user, loaded) = token.login(Role::User, "", b"1234")?;
    let at = loaded.stored.iter().find(|object| object.id == OLD).map(|object| object.revision);
    let done = match scenario {
        "login" => return Ok(()),
        "crowd" => return crowd::write(dir, &token, &user),
        "create" => put(&token, &user, NEW, true, None, b"new label", b"new secret")?,
        "set" => put(&token, &user, OLD, true, at, b"changed", b"old secret bytes")?,
        "destroy" => token.commit(&user, &[Change::Delete { id: OLD, at: at.unwrap() }])?,
        "many" => {
            let count: usize = std::env::var("COFFER_COUNT").unwrap().parse().unwrap();
            for _ in 0..count {
                put(&token, &user, object_id(), true, None, b"one of many", b"x")?;
            }
            return Ok(());
        }
        other => panic!("no scenario {other}"),
    };
    assert!(matches!(done, Commit::Done(_)));
    Ok(())
}

/// The daemon's way: the parent has the token open, forks and ends; the child opens it anew and works.
fn fork_and_leave(dir: &Path) -> Result<()> {
    let parents = open(dir)?;
    parents.login(Role::User, "", b"1234")?;
    // SAFETY: no other thread of this process is inside the storage or holds a lock of it.
    if unsafe { libc::fork() } != 0 {
        // SAFETY: ends the process as a daemon's parent does, without closing anything.
        unsafe { libc::_exit(0) };
    }
    let work = || -> Result<()> {
        std::mem::forget(parents);
        let token = open(dir)?;
        let (user, _) = token.login(Role::User, "", b"1234")?;
        for _ in 0..100 {
            put(&token, &user, object_id(), true, None, b"of the child", b"x")?;
        }
        Ok(())
    };
    let outcome = work().map_or_else(|error| error.to_string(), |()| "done".into());
    fs::write(dir.join("outcome.tmp"), outcome).unwrap();
    fs::rename(dir.join("outcome.tmp"), dir.join("outcome")).unwrap();
    // SAFETY: the child's end; the harness's other threads do not exist here.
    unsafe { libc::_exit(0) }
}

/// In a mount that cannot be written.
fn read_only(dir: &Path, token: &Sealed<Sqlite>) -> Result<()> {
    assert!(token.info()?.write_protected);
    let (user, loaded) = token.login(Role::User, "", b"1234")?;
    assert_eq!(contents(token, &user, &loaded)?.len(), 2);
    assert_eq!(token.login(Role::User, "", b"1235").map(drop).unwrap_err().rv(), Rv::PinIncorrect);
    let put = put(token, &user, NEW, true, None, b"new", b"");
    assert_eq!(put.map(drop).unwrap_err().rv(), Rv::TokenWriteProtected);
    assert!(Place::open(dir)?.create(2, |storage| Sealed::create(storage, &new_token())).is_err());
    Ok(())
}

/// Not a test by itself: what the others run in a child.
#[test]
fn child() {
    let Ok(scenario) = std::env::var("COFFER_SCENARIO") else { return };
    let dir = std::env::var("COFFER_DIR").unwrap();
    // A mark in the trace: the faults are wanted after the start of the process.
    std::process::exit(match play(&scenario, Path::new(&dir)) {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("{error}");
            7
        }
    });
}

fn run(scenario: &str, dir: &Path, inject: Option<&str>) -> Option<i32> {
    let this = std::env::current_exe().unwrap();
    let mut command = match inject {
        Some(inject) => {
            let mut strace = Command::new("strace");
            strace.args(["-f", "-qq", "-o", "/dev/null", "-e", inject]).arg(this);
            strace
        }
        None => Command::new(this),
    };
    command.args(["--exact", "child", "--nocapture", "--test-threads=1"]);
    command.env("COFFER_SCENARIO", scenario).env("COFFER_DIR", dir).env("COFFER_COUNT", "500");
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().code()
}

/// How often a scenario makes each system call that matters.
fn calls(scenario: &str, base: &Path, work: &Path) -> Vec<(&'static str, usize)> {
    copy(base, work);
    let trace = work.join("../trace");
    let this = std::env::current_exe().unwrap();
    let status = Command::new("strace")
        .args(["-f", "-qq", "-o"])
        .arg(&trace)
        .args(["-e", "trace=pwrite64,fdatasync,fsync,ftruncate,fallocate,rename,unlink"])
        .arg(this)
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env("COFFER_SCENARIO", scenario)
        .env("COFFER_DIR", work)
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    let trace = fs::read_to_string(&trace).unwrap();
    fs::remove_dir_all(work).unwrap();
    ["pwrite64", "fdatasync", "fsync", "ftruncate", "fallocate", "rename", "unlink"]
        .map(|name| (name, trace.lines().filter(|line| line.contains(&format!(" {name}("))).count()))
        .into()
}

fn strace() -> bool {
    let there =
        Command::new("strace").arg("-V").stdout(Stdio::null()).status().is_ok_and(|status| status.success());
    if !there {
        eprintln!("SKIPPED: strace is missing, no fault was injected");
    }
    there
}

/// The state after a fault must be the one before or the one after, and the token must work.
fn check(scenario: &str, dir: &Path, acknowledged: bool, point: &str) {
    if scenario == "init" {
        let place = Place::open(dir).unwrap();
        let made = place.list().unwrap().contains(&2);
        assert!(made || !acknowledged, "{point}");
        match made {
            true => {
                drop(Sealed::open(place.token(2).unwrap()).unwrap().login(Role::So, "", b"so-pin").unwrap())
            }
            false => place.create(2, |storage| Sealed::create(storage, &new_token())).unwrap(),
        }
        return;
    }
    let token = open(dir).unwrap_or_else(|error| panic!("{point}: {error}"));
    if scenario == "reinit" {
        let (so, loaded) =
            token.login(Role::So, "", b"so-pin").unwrap_or_else(|error| panic!("{point}: {error}"));
        assert!(matches!((loaded.stored.len(), acknowledged), (0, _) | (2, false)), "{point}");
        assert_eq!(token.info().unwrap().user.set, loaded.stored.len() == 2, "{point}");
        token.init_pin(&so, "", b"1234").unwrap();
        return;
    }
    let old_pin = token.login(Role::User, "", b"1234");
    let (keys, loaded) = match (scenario, old_pin) {
        ("pin", Err(error)) if error.rv() == Rv::PinIncorrect => token.login(Role::User, "", b"5678"),
        ("pin", Ok(_)) if acknowledged => panic!("{point}: the old PIN still opens"),
        (_, outcome) => outcome,
    }
    .unwrap_or_else(|error| panic!("{point}: {error}"));
    assert!(loaded.refused.is_empty(), "{point}");
    let all = contents(&token, &keys, &loaded).unwrap();
    let find = |id| all.iter().find(|(it, ..)| *it == id);
    let public = find([3; 16]).unwrap();
    assert_eq!(public.1, b"public label", "{point}");
    let (done, undone) = match scenario {
        "create" => (find(NEW).is_some_and(|new| new.2 == b"new secret"), find(NEW).is_none()),
        "set" => (find(OLD).unwrap().1 == b"changed", find(OLD).unwrap().1 == b"old label"),
        "destroy" => (find(OLD).is_none(), find(OLD).is_some()),
        _ => (true, true),
    };
    assert!(if acknowledged { done } else { done || undone }, "{point}");
    if scenario != "destroy" {
        assert_eq!(find(OLD).unwrap().2, b"old secret bytes", "{point}");
    }
    // And it takes writes again.
    assert!(
        matches!(put(&token, &keys, object_id(), true, None, b"after", b"").unwrap(), Commit::Done(_)),
        "{point}"
    );
}

#[test]
fn faults_at_every_step_leave_the_old_state_or_the_new() {
    if !strace() {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let (base, work) = (temp.path().join("base"), temp.path().join("work"));
    make(&base).unwrap();
    let mut points = 0;
    for scenario in ["create", "set", "destroy", "login", "pin", "init", "reinit"] {
        for (call, count) in calls(scenario, &base, &work) {
            for fault in ["signal=SIGKILL", "error=ENOSPC", "error=EIO"] {
                let step = if long() { 1 } else { (count / 2).max(1) };
                for when in (1..=count).step_by(step) {
                    let point = format!("{scenario}: {fault} at {call} {when} of {count}");
                    copy(&base, &work);
                    let inject = format!("inject={call}:{fault}:when={when}");
                    let code = run(scenario, &work, Some(&inject));
                    assert!(matches!(code, Some(0 | 7) | None | Some(137)), "{point}: ended with {code:?}");
                    check(scenario, &work, code == Some(0), &point);
                    fs::remove_dir_all(&work).unwrap();
                    points += 1;
                }
            }
        }
    }
    eprintln!("{points} points");
    assert!(points > 60);
}

#[test]
fn a_flipped_bit_never_alters_anything_unseen() {
    let temp = tempfile::tempdir().unwrap();
    let (base, work) = (temp.path().join("base"), temp.path().join("work"));
    make(&base).unwrap();
    let truth = {
        let token = open(&base).unwrap();
        let (keys, loaded) = token.login(Role::User, "", b"1234").unwrap();
        contents(&token, &keys, &loaded).unwrap()
    };
    let bytes = fs::read(base.join("1.coffer")).unwrap();
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let (mut silent, mut named) = (0, 0);
    for _ in 0..if long() { 1000 } else { 150 } {
        // xorshift: any spread will do, and the same one at every run.
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        let bit = (seed % (bytes.len() as u64 * 8)) as usize;
        let mut bad = bytes.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        copy(&base, &work);
        fs::write(work.join("1.coffer"), &bad).unwrap();
        let look =
            || -> Result<bool> {
                let token = open(&work)?;
                for object in token.load(Revision(0), None)?.stored.iter().filter(|object| !object.private) {
                    assert!(
                        truth.iter().any(|(id, label, _)| *id == object.id
                            && Some(&label[..]) == object.public_attributes()),
                        "bit {bit}"
                    );
                }
                let (keys, loaded) = token.login(Role::User, "", b"1234")?;
                let now = contents(&token, &keys, &loaded)?;
                assert!(now.iter().all(|object| truth.contains(object)), "bit {bit} altered an object");
                let missing = truth.len() - now.len();
                assert_eq!(
                    missing,
                    loaded.refused.iter().filter(|(id, _)| id.is_some()).count(),
                    "bit {bit}: missing unseen"
                );
                Ok(loaded.refused.is_empty())
            };
        match look() {
            Ok(true) => silent += 1,
            _ => named += 1,
        }
        fs::remove_dir_all(&work).unwrap();
    }
    eprintln!("{silent} without effect, {named} refused by name");
    assert!(named > 0);
}

#[test]
fn processes_write_at_once_and_nothing_is_lost() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("tokens");
    make(&dir).unwrap();
    let each = if long() { 10_000 } else { 500 };
    let this = std::env::current_exe().unwrap();
    let children: Vec<_> = (0..2)
        .map(|_| {
            Command::new(&this)
                .args(["--exact", "child", "--test-threads=1"])
                .env("COFFER_SCENARIO", "many")
                .env("COFFER_DIR", &dir)
                .env("COFFER_COUNT", each.to_string())
                .stdout(Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    let token = open(&dir).unwrap();
    let (keys, mut loaded) = token.login(Role::User, "", b"1234").unwrap();
    let mut seen: HashSet<_> = loaded.stored.iter().map(|object| object.id).collect();
    let mut running = children;
    while !running.is_empty() {
        running.retain_mut(|child| match child.try_wait().unwrap() {
            Some(status) => {
                assert!(status.success());
                false
            }
            None => true,
        });
        if !token.unchanged_since(loaded.stamp) {
            // Every look in between is verified as well, and no object comes twice.
            loaded = token.load(loaded.upto, Some(&keys)).unwrap();
            assert!(loaded.refused.is_empty());
            for object in &loaded.stored {
                assert!(seen.insert(object.id));
            }
        }
        std::thread::yield_now();
    }
    let last = token.load(loaded.upto, Some(&keys)).unwrap();
    seen.extend(last.stored.iter().map(|object| object.id));
    assert_eq!(seen.len(), 2 * each + 2);
    assert_eq!(open(&dir).unwrap().login(Role::User, "", b"1234").unwrap().1.stored.len(), 2 * each + 2);
}

#[test]
fn a_forked_child_works_on_when_its_parent_is_gone() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("tokens");
    make(&dir).unwrap();
    assert_eq!(run("fork", &dir, None), Some(0));
    // Opening and closing here makes SQLite clean up, if it believes that nobody else is there.
    let mut ours = 0;
    let deadline = Instant::now() + Duration::from_secs(60);
    while !dir.join("outcome").exists() {
        assert!(Instant::now() < deadline, "the child died or hangs");
        let token = open(&dir).unwrap();
        let (user, _) = token.login(Role::User, "", b"1234").unwrap();
        put(&token, &user, object_id(), true, None, b"of the test", b"x").unwrap();
        ours += 1;
    }
    assert_eq!(fs::read_to_string(dir.join("outcome")).unwrap(), "done");
    assert_eq!(open(&dir).unwrap().login(Role::User, "", b"1234").unwrap().1.stored.len(), 102 + ours);
}

#[test]
fn a_read_only_mount_opens_for_reading() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("tokens");
    make(&dir).unwrap();
    let mount = "mount --bind \"$COFFER_DIR\" \"$COFFER_DIR\" && mount -o remount,bind,ro \"$COFFER_DIR\"";
    let unshare = |then: &str| {
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", &format!("{mount} && {then}")]).env("COFFER_DIR", &dir);
        command.env("COFFER_SCENARIO", "read-only").status().is_ok_and(|status| status.success())
    };
    if !unshare("true") {
        eprintln!("SKIPPED: no right to mount");
        return;
    }
    let this = std::env::current_exe().unwrap();
    assert!(unshare(&format!("exec {} --exact child --nocapture", this.display())));
}

#[test]
fn a_crowd_of_connections_never_guesses_more_than_the_limit() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("tokens");
    make(&dir).unwrap();
    // Slow enough that all guesses are under way together.
    let slow = NewToken { kdf: Kdf::Pbkdf2 { iterations: 100_000 }, ..new_token() };
    let token = open(&dir).unwrap();
    token.reinitialise(&slow).unwrap();
    token.init_pin(&token.login(Role::So, "", b"so-pin").unwrap().0, "", b"1234").unwrap();
    let wrong = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..32 {
            scope.spawn(|| {
                match open(&dir).unwrap().login(Role::User, "", b"bad").map(drop).unwrap_err().rv() {
                    Rv::PinIncorrect => drop(wrong.fetch_add(1, Ordering::Relaxed)),
                    Rv::PinLocked => {}
                    other => panic!("{other:?}"),
                }
            });
        }
    });
    assert_eq!(wrong.into_inner(), 10);
    assert_eq!(open(&dir).unwrap().login(Role::User, "", b"1234").map(drop).unwrap_err().rv(), Rv::PinLocked);
}

#[test]
fn no_secret_lies_in_the_files() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("tokens");
    make(&dir).unwrap();
    let token = open(&dir).unwrap();
    let found = |needle: &[u8]| {
        fs::read_dir(&dir).unwrap().any(|entry| {
            fs::read(entry.unwrap().path()).unwrap().windows(needle.len()).any(|window| window == needle)
        })
    };
    for secret in [&b"old label"[..], b"old secret bytes", b"so-pin", b"1234\0"] {
        assert!(!found(secret), "{}", String::from_utf8_lossy(secret));
    }
    assert!(found(b"public label"), "the search works");
    token.reinitialise(&new_token()).unwrap();
    assert!(!found(b"public label"), "old pages are gone");
}

#[test]
fn a_place_that_others_can_touch_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("tokens");
    make(&dir).unwrap();
    let refused = || open(&dir).map(drop).expect_err("must be refused").to_string();
    let file = dir.join("1.coffer");
    assert_eq!(fs::metadata(&dir).unwrap().mode() & 0o777, 0o700);
    for entry in fs::read_dir(&dir).unwrap() {
        assert_eq!(entry.unwrap().metadata().unwrap().mode() & 0o777, 0o600);
    }
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    mode(&file, 0o640);
    assert!(refused().contains("open to group"));
    mode(&file, 0o600);
    mode(&dir, 0o770);
    assert!(refused().contains("open to group"));
    mode(&dir, 0o700);
    mode(temp.path(), 0o777);
    assert!(refused().contains("swap"));
    mode(temp.path(), 0o700);
    fs::hard_link(&file, dir.join("other")).unwrap();
    assert!(refused().contains("hard link"));
    fs::remove_file(dir.join("other")).unwrap();
    let moved = dir.join("moved");
    fs::rename(&file, &moved).unwrap();
    symlink(&moved, &file).unwrap();
    assert!(refused().contains("not a plain file"));
    fs::remove_file(&file).unwrap();
    assert!(Command::new("mkfifo").arg(&file).status().unwrap().success());
    assert!(refused().contains("not a plain file"));
    fs::remove_file(&file).unwrap();
    fs::rename(&moved, &file).unwrap();
    assert!(open(&dir).is_ok());
    for companion in ["1.coffer-wal", "1.coffer-shm", "1.stamp"] {
        let _ = fs::remove_file(dir.join(companion));
        symlink("/etc/passwd", dir.join(companion)).unwrap();
        assert!(refused().contains("not a plain file"), "{companion}");
        fs::remove_file(dir.join(companion)).unwrap();
    }
    let link = temp.path().join("link");
    symlink(&dir, &link).unwrap();
    assert!(Place::open(&link).unwrap_err().to_string().contains("not a directory"));
    assert_eq!(Place::open(&dir).unwrap().list().unwrap(), [1]);
}

#[test]
fn foreign_and_empty_files_are_not_recognised() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("tokens");
    let place = Place::open(&dir).unwrap();
    for content in [&b""[..], b"SQLite format 3\0 but not really", &[0xff; 8192]] {
        fs::write(place.path(1), content).unwrap();
        fs::set_permissions(place.path(1), fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(open(&dir).map(drop).unwrap_err().rv(), Rv::TokenNotRecognized);
    }
    assert_eq!(place.token(5).map(drop).unwrap_err().rv(), Rv::TokenNotPresent);
}

#[test]
fn a_token_destroyed_or_replaced_is_noticed() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("tokens");
    make(&dir).unwrap();
    let token = open(&dir).unwrap();
    let stamp = token.load(Revision(0), None).unwrap().stamp;
    assert!(token.unchanged_since(stamp));
    let place = Place::open(&dir).unwrap();
    place.destroy(1).unwrap();
    assert!(!token.unchanged_since(stamp));
    assert_eq!(token.load(Revision(0), None).map(drop).unwrap_err().rv(), Rv::DeviceRemoved);
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
    make(&dir).unwrap();
    assert_eq!(token.info().map(drop).unwrap_err().rv(), Rv::DeviceRemoved);
}

#[test]
fn deletions_beyond_the_horizon_make_a_full_load() {
    let temp = tempfile::tempdir().unwrap();
    let storage = Sqlite::create(&temp.path().join("t.coffer")).unwrap();
    let keys: Vec<Vec<u8>> = (0..5000_u32).map(|n| n.to_be_bytes().to_vec()).collect();
    let all = |value: Option<Vec<u8>>| Batch {
        writes: keys.iter().map(|key| (key.clone(), value.clone())).collect(),
        ..Batch::default()
    };
    storage.transact(&mut |_| Ok(all(Some(vec![1])))).unwrap();
    let at = storage.load(Revision(0)).unwrap().upto;
    storage
        .transact(&mut |_| Ok(Batch { writes: vec![(b"x".into(), Some(vec![]))], ..Batch::default() }))
        .unwrap();
    let few = storage.load(at).unwrap();
    assert_eq!((few.complete, few.records.len()), (false, 1));
    storage.transact(&mut |_| Ok(all(None))).unwrap();
    let after = storage.load(at).unwrap();
    assert_eq!((after.complete, after.records.len()), (true, 1));
}
