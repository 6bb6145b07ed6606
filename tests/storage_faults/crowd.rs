//! Threads that write at once: they share syncs, and what that may cost when one of them fails or the process dies.

use super::{contents, copy, long, make, open, put, strace};
use coffer_pkcs11::error::{Result, Rv};
use coffer_pkcs11::kernel::door::Door;
use coffer_pkcs11::storage::keyring::Role;
use coffer_pkcs11::storage::place::Place;
use coffer_pkcs11::storage::record::{ObjectId, object_id};
use coffer_pkcs11::storage::sealed::{Commit, Keys, Sealed};
use coffer_pkcs11::storage::sqlite::Sqlite;
use coffer_pkcs11::storage::{Batch, Revision, Storage};
use std::collections::HashSet;
use std::fs;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::{Command, Stdio};

/// Writers of a crowd.
const CROWD: u8 = 8;

/// Threads that write as fast as they can, and note each object that was acknowledged. The first error of each ends it.
pub fn write(dir: &Path, token: &Sealed<Sqlite>, user: &Keys) -> Result<()> {
    let count: usize = std::env::var("COFFER_COUNT").unwrap().parse().unwrap();
    let notes = dir.join("../acknowledged");
    let outcomes: Vec<Result<()>> = std::thread::scope(|scope| {
        let writer = |thread: u8| {
            let mut notes = fs::OpenOptions::new().append(true).create(true).open(&notes).unwrap();
            for _ in 0..count {
                let id = object_id();
                put(token, user, id, true, None, &[thread], &id)?;
                notes.write_all(&id).unwrap();
                // What is no error of the others' is no error of theirs.
                assert_eq!(put(token, user, id, true, None, b"again", b"")?, Commit::Stale(id));
            }
            Ok(())
        };
        let threads: Vec<_> = (0..CROWD).map(|thread| scope.spawn(move || writer(thread))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    outcomes.into_iter().collect()
}

/// Everything a crowd was told is there, is; and what is there is whole.
fn check(dir: &Path, point: &str) -> usize {
    let notes = dir.join("../acknowledged");
    let acknowledged = fs::read(&notes).unwrap_or_default();
    let _ = fs::remove_file(notes);
    let token = open(dir).unwrap();
    let (keys, loaded) =
        token.login(Role::User, "", b"1234").unwrap_or_else(|error| panic!("{point}: {error}"));
    assert!(loaded.refused.is_empty(), "{point}");
    let all = contents(&token, &keys, &loaded).unwrap();
    let written: HashSet<ObjectId> =
        all.iter().filter(|(id, _, secret)| id[..] == secret[..]).map(|(id, ..)| *id).collect();
    assert_eq!(written.len() + 2, all.len(), "{point}: halves");
    let (told, _) = acknowledged.as_chunks::<16>();
    assert!(told.iter().all(|id| written.contains(id)), "{point}: acknowledged and lost");
    assert!(written.len() <= told.len() + usize::from(CROWD), "{point}");
    let after = put(&token, &keys, object_id(), true, None, b"after", b"").unwrap();
    assert!(matches!(after, Commit::Done(_)), "{point}");
    told.len()
}

/// Whoever leads does the others' work too: what fails or panics in that is the writer's own.
#[test]
fn a_writer_that_fails_or_panics_is_alone_in_that() {
    let temp = tempfile::tempdir().unwrap();
    let storage = Sqlite::create(&temp.path().join("t.coffer")).unwrap();
    let rounds = if long() { 200 } else { 20 };
    let write = |name: [u8; 2]| -> Result<Revision> {
        storage.transact(&mut |_| match name[0] % 4 {
            2 => Err(Rv::FunctionRejected.because(format!("{name:?}"))),
            3 => panic!("{name:?}"),
            _ => Ok(Batch { writes: vec![(name.to_vec(), Some(name.to_vec()))], ..Batch::default() }),
        })
    };
    std::thread::scope(|scope| {
        for thread in 0..CROWD {
            let write = &write;
            scope.spawn(move || {
                for round in 0..rounds {
                    let name = [thread, round];
                    let outcome = catch_unwind(AssertUnwindSafe(|| write(name)));
                    let told = format!("{name:?}");
                    match (thread % 4, outcome) {
                        (0 | 1, Ok(Ok(_))) => {}
                        (2, Ok(Err(error))) if error.to_string().contains(&told) => {}
                        (3, Err(panic)) if panic.downcast_ref::<String>() == Some(&told) => {}
                        (_, other) => panic!("{told}: {other:?}"),
                    }
                }
            });
        }
    });
    let there = storage.load(Revision(0)).unwrap();
    assert_eq!(there.records.len(), usize::from(CROWD / 2) * usize::from(rounds));
    assert_eq!(there.upto.0, there.records.len() as u64, "each a revision of its own");
    assert!(there.records.iter().all(|record| record.value.as_deref() == Some(&record.key)));
}

#[test]
fn a_crowd_shares_syncs_and_loses_nothing_when_it_dies() {
    if !strace() {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let (base, work) = (temp.path().join("base"), temp.path().join("work"));
    make(&base).unwrap();
    let each = 20;
    let crowd = |inject: &str| {
        copy(&base, &work);
        let this = std::env::current_exe().unwrap();
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-o"]).arg(temp.path().join("trace")).args(["-e", inject]).arg(this);
        strace.args(["--exact", "child", "--nocapture", "--test-threads=1"]);
        strace.env("COFFER_SCENARIO", "crowd").env("COFFER_DIR", &work).env("COFFER_COUNT", each.to_string());
        let status = strace.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
        let told = check(&work, inject);
        fs::remove_dir_all(&work).unwrap();
        (status.code(), told)
    };
    let whole = crowd("trace=fdatasync");
    assert_eq!(whole, (Some(0), each * usize::from(CROWD)));
    let trace = fs::read_to_string(temp.path().join("trace")).unwrap();
    let syncs = trace.lines().filter(|line| line.contains(" fdatasync(")).count();
    assert!(syncs < whole.1, "{syncs} syncs for {} objects", whole.1);
    for fault in ["signal=SIGKILL", "error=ENOSPC", "error=EIO"] {
        // Strace counts the calls of each thread by itself; the first few of the main thread's are the login's.
        for (call, count) in [("fdatasync", each), ("pwrite64", 4 * each)] {
            let step = if long() { 1 } else { (count / 10).max(1) };
            for when in (1..=count).step_by(step) {
                let (code, told) = crowd(&format!("inject={call}:{fault}:when={when}"));
                assert!(matches!(code, Some(0 | 7 | 137) | None), "{fault} at {call} {when}: {code:?}");
                assert!(told <= whole.1);
            }
        }
    }
}

/// A process that was stopped in the door costs the others time, and no more.
#[test]
fn who_stays_in_the_door_stops_nobody() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("tokens");
    make(&dir).unwrap();
    let token = open(&dir).unwrap();
    let (user, _) = token.login(Role::User, "", b"1234").unwrap();
    let door = Door::new(fs::File::options().read(true).write(true).open(dir.join("1.stamp")).unwrap());
    // SAFETY: the child asks the system for a lock and for sleep.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let _standing = door.enter();
        loop {
            // SAFETY: it only waits for a signal.
            unsafe { libc::pause() };
        }
    }
    while !door.is_taken() {
        std::thread::yield_now();
    }
    let done = put(&token, &user, object_id(), true, None, b"beside it", b"secret");
    let still_there = door.is_taken();
    // SAFETY: a child of this process.
    unsafe {
        assert_eq!(libc::kill(child, libc::SIGKILL), 0);
        assert_eq!(libc::waitpid(child, std::ptr::null_mut(), 0), child);
    }
    assert!(matches!(done, Ok(Commit::Done(_))) && still_there);
    assert!(!door.is_taken());
}

/// Ten seconds, and then an error that says so; nothing is written.
#[test]
fn a_lock_that_stays_taken_is_an_error() {
    if !long() {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("tokens");
    make(&dir).unwrap();
    let (token, other) = (open(&dir).unwrap(), Place::open(&dir).unwrap().token(1).unwrap());
    let (user, _) = token.login(Role::User, "", b"1234").unwrap();
    let write = || put(&token, &user, object_id(), true, None, b"label", b"secret");
    other
        .transact(&mut |_| {
            let refused = write().map(drop).unwrap_err();
            assert_eq!(refused.rv(), Rv::FunctionFailed);
            Ok(Batch::default())
        })
        .unwrap();
    assert!(matches!(write(), Ok(Commit::Done(_))));
}
