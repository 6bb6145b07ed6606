//! The sealed store through its own interface: users, PINs, objects, and rows changed behind its back.

use coffer_pkcs11::crypto::Secret;
use coffer_pkcs11::crypto::seal::sha256;
use coffer_pkcs11::error::Rv;
use coffer_pkcs11::storage::keyring::{Kdf, Role};
use coffer_pkcs11::storage::memory::Memory;
use coffer_pkcs11::storage::record::{ObjectId, Stored, object_id};
use coffer_pkcs11::storage::sealed::{Alteration, Change, Commit, Keys, NewSecrets, NewToken, Sealed};
use coffer_pkcs11::storage::{Batch, Record, Revision, Storage, View};
use std::sync::atomic::{AtomicUsize, Ordering};

const CHEAP: Kdf = Kdf::Argon2id { memory: 8, passes: 1, lanes: 1 };

fn new_token<'a>() -> NewToken<'a> {
    NewToken { label: "test", so_pin: b"so-pin", kdf: CHEAP, tries: (3, 3), ..NewToken::default() }
}

/// A token with a normal user, and both logged in.
fn token() -> (Memory, Sealed<Memory>, Keys, Keys) {
    let memory = Memory::new();
    Sealed::create(&memory, &new_token()).unwrap();
    let token = Sealed::open(memory.clone()).unwrap();
    let (so, _) = token.login(Role::So, "", b"so-pin").unwrap();
    token.init_pin(&so, "", b"1234").unwrap();
    let (user, _) = token.login(Role::User, "", b"1234").unwrap();
    (memory, token, so, user)
}

fn put(
    token: &Sealed<Memory>,
    keys: &Keys,
    private: bool,
    label: &[u8],
    secret: &[u8],
) -> (ObjectId, Revision) {
    let (id, secret) = (object_id(), Secret::from_slice(secret));
    let secrets = NewSecrets::Set(&secret);
    let change = Change::Put { id, at: None, private, class: 3, attributes: label, secrets };
    match token.commit(keys, &[change]).unwrap() {
        Commit::Done(revision) => (id, revision),
        stale => panic!("{stale:?}"),
    }
}

fn rv<T>(outcome: coffer_pkcs11::error::Result<T>) -> Rv {
    outcome.map(drop).expect_err("must fail").rv()
}

fn record(memory: &Memory, key: &[u8]) -> Record {
    let mut found = None;
    let mut look = |view: &dyn View| {
        found = view.record(key)?;
        Ok(())
    };
    memory.read(&mut look).unwrap();
    found.unwrap()
}

/// Writes a row as a forger would: at the revision it gets, without any key.
fn overwrite(memory: &Memory, key: &[u8], value: Option<Vec<u8>>) {
    let write = || Batch { writes: vec![(key.to_vec(), value.clone())], ..Batch::default() };
    memory.transact(&mut |_| Ok(write())).unwrap();
}

fn object_key(id: &ObjectId) -> Vec<u8> {
    [b"o", &id[..]].concat()
}

#[test]
fn objects_come_back_for_their_owner() {
    let (_, token, so, user) = token();
    let (private, at) = put(&token, &user, true, b"label", b"secret");
    put(&token, &so, false, b"public", b"");
    let loaded = token.load(Revision(0), Some(&user)).unwrap();
    assert_eq!((loaded.stored.len(), loaded.refused.len()), (2, 0));
    let object = loaded.stored.iter().find(|object| object.id == private).unwrap();
    assert_eq!(object.revision, at);
    assert_eq!(token.open_attributes(&user, object).unwrap()[..], b"label"[..]);
    assert_eq!(token.open_secrets(Some(&user), object).unwrap().expose(), b"secret");
    assert_eq!(rv(token.open_attributes(&so, object)), Rv::UserNotLoggedIn);
    assert_eq!(rv(token.open_secrets(None, object)), Rv::UserNotLoggedIn);

    let change = Change::Put {
        id: private,
        at: Some(at),
        private: true,
        class: 3,
        attributes: b"two",
        secrets: NewSecrets::Keep,
    };
    assert!(matches!(token.commit(&user, &[change]).unwrap(), Commit::Done(_)));
    let again = token.load(loaded.upto, Some(&user)).unwrap();
    assert!(!again.complete);
    assert_eq!(token.open_attributes(&user, &again.stored[0]).unwrap()[..], b"two"[..]);
    assert_eq!(token.open_secrets(Some(&user), &again.stored[0]).unwrap().expose(), b"secret");
    assert!(token.open_secrets(Some(&user), object).is_ok(), "an operation that runs keeps its version");

    let stale = Change::Delete { id: private, at };
    assert_eq!(token.commit(&user, &[stale]).unwrap(), Commit::Stale(private));
    let delete = Change::Delete { id: private, at: again.stored[0].revision };
    assert!(matches!(token.commit(&user, &[delete]).unwrap(), Commit::Done(_)));
    assert_eq!(token.load(again.upto, Some(&user)).unwrap().gone, [private]);
}

#[test]
fn a_batch_is_all_or_nothing() {
    let (_, token, _, user) = token();
    let (id, at) = put(&token, &user, true, b"a", b"");
    let none = Secret::zeroed(0);
    let make = || Change::Put {
        id: object_id(),
        at: None,
        private: true,
        class: 2,
        attributes: b"b",
        secrets: NewSecrets::Set(&none),
    };
    let wrong = Change::Delete { id, at: at.next() };
    assert_eq!(token.commit(&user, &[make(), wrong]).unwrap(), Commit::Stale(id));
    assert_eq!(token.load(Revision(0), Some(&user)).unwrap().stored.len(), 1);
}

#[test]
fn pins_change_and_escrow_keeps_the_objects() {
    let (_, token, so, user) = token();
    put(&token, &user, true, b"label", b"secret");
    assert_eq!(rv(token.set_pin(Role::User, "", b"0000", b"5678")), Rv::PinIncorrect);
    token.set_pin(Role::User, "", b"1234", b"5678").unwrap();
    assert_eq!(rv(token.login(Role::User, "", b"1234")), Rv::PinIncorrect);
    token.init_pin(&so, "", b"9999").unwrap();
    assert_eq!(rv(token.init_pin(&user, "", b"9999")), Rv::UserNotLoggedIn);
    let (user, loaded) = token.login(Role::User, "", b"9999").unwrap();
    assert_eq!(token.open_secrets(Some(&user), &loaded.stored[0]).unwrap().expose(), b"secret");
    assert_eq!(rv(token.login(Role::User, "nobody", b"9999")), Rv::PinIncorrect);
}

#[test]
fn without_escrow_the_so_cannot_reset() {
    let memory = Memory::new();
    Sealed::create(&memory, &NewToken { escrow: false, ..new_token() }).unwrap();
    let token = Sealed::open(memory).unwrap();
    let (so, _) = token.login(Role::So, "", b"so-pin").unwrap();
    assert_eq!(rv(token.login(Role::User, "", b"1234")), Rv::UserPinNotInitialized);
    token.init_pin(&so, "", b"1234").unwrap();
    assert_eq!(rv(token.init_pin(&so, "", b"5678")), Rv::FunctionRejected);
    assert!(token.login(Role::User, "", b"1234").is_ok());
}

#[test]
fn lock_out_and_the_ways_back() {
    let (_, token, so, _) = token();
    for left in [2, 1, 0] {
        assert_eq!(rv(token.verify_pin(Role::User, "", b"bad")), Rv::PinIncorrect);
        assert_eq!(token.info().unwrap().user.left, left);
    }
    assert_eq!(rv(token.login(Role::User, "", b"1234")), Rv::PinLocked);
    assert_eq!(rv(token.set_pin(Role::User, "", b"1234", b"5678")), Rv::PinLocked);
    token.init_pin(&so, "", b"1234").unwrap();
    assert!(token.login(Role::User, "", b"1234").is_ok());
    for _ in 0..3 {
        assert_eq!(rv(token.reinitialise(&NewToken { so_pin: b"bad", ..new_token() })), Rv::PinIncorrect);
    }
    assert_eq!(rv(token.login(Role::So, "", b"so-pin")), Rv::PinLocked);
    token.forgive(Role::So, "").unwrap();
    assert!(token.login(Role::So, "", b"so-pin").is_ok());
}

#[test]
fn a_crowd_never_gets_more_than_the_limit() {
    let (memory, ..) = token();
    let (wrong, locked) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..32 {
            scope.spawn(|| match rv(Sealed::open(memory.clone()).unwrap().login(Role::User, "", b"bad")) {
                Rv::PinIncorrect => wrong.fetch_add(1, Ordering::Relaxed),
                Rv::PinLocked => locked.fetch_add(1, Ordering::Relaxed),
                other => panic!("{other:?}"),
            });
        }
    });
    assert_eq!((wrong.into_inner(), locked.into_inner()), (3, 29));
}

#[test]
fn a_crowd_with_the_right_pin_gets_in() {
    let (memory, ..) = token();
    std::thread::scope(|scope| {
        for _ in 0..32 {
            scope.spawn(|| {
                drop(Sealed::open(memory.clone()).unwrap().login(Role::User, "", b"1234").unwrap())
            });
        }
    });
}

#[test]
fn reinitialising_destroys_and_outdates() {
    let (memory, token, so, user) = token();
    put(&token, &user, true, b"label", b"secret");
    let before = token.info().unwrap();
    token.reinitialise(&NewToken { label: "new", ..new_token() }).unwrap();
    let after = token.info().unwrap();
    assert_ne!(before.meta.token, after.meta.token);
    assert!(!after.user.set);
    assert_eq!(
        memory.load(Revision(0)).unwrap().records.iter().filter(|record| record.key[0] == b'o').count(),
        0
    );
    assert_eq!(rv(token.load(Revision(0), Some(&user))), Rv::DeviceRemoved);
    assert_eq!(rv(token.commit(&so, &[])), Rv::DeviceRemoved);
    assert_eq!(rv(token.init_pin(&so, "", b"1234")), Rv::DeviceRemoved);
}

#[test]
fn altered_rows_are_refused_by_name() {
    let (memory, token, _, user) = token();
    let (id, _) = put(&token, &user, false, b"trusted", b"");
    let (other, _) = put(&token, &user, false, b"other", b"");
    let honest = record(&memory, &object_key(&id)).value.unwrap();
    for at in 0..honest.len() {
        let mut bad = honest.clone();
        bad[at] ^= 1;
        overwrite(&memory, &object_key(&id), Some(bad));
        let loaded = token.load(Revision(0), None).unwrap();
        assert_eq!(loaded.refused[0].0, Some(id));
        assert_eq!(loaded.stored.iter().map(|object| object.id).collect::<Vec<_>>(), [other]);
    }
}

/// MACs are checked many together; what is wrong with one says nothing of its neighbours.
#[test]
fn a_forged_row_among_many_is_told_from_a_damaged_one() {
    let (memory, token, _, user) = token();
    let label = |n: usize| vec![n as u8; n * 13 % 200];
    let ids: Vec<ObjectId> =
        (0..150).map(|n| put(&token, &user, n % 4 != 0, &label(n), b"secret").0).collect();
    for (n, id) in ids.iter().enumerate() {
        let key = object_key(id);
        let honest = record(&memory, &key).value.unwrap();
        match n % 50 {
            3 => overwrite(&memory, &key, Some(honest)),
            17 => overwrite(&memory, &key, Some(honest[..20].to_vec())),
            29 => {
                // The checksum of where it lies, which takes no key.
                memory
                    .transact(&mut |view| {
                        let (len, revision) = ((key.len() as u32).to_be_bytes(), view.revision().next());
                        let content = &honest[..honest.len() - 16];
                        let placed: [&[u8]; 5] =
                            [b"coffer-1 checksum\0", &len, &key, &revision.0.to_be_bytes(), content];
                        let value = [content, &sha256(&placed)[..16]].concat();
                        Ok(Batch { writes: vec![(key.clone(), Some(value))], ..Batch::default() })
                    })
                    .map(drop)
                    .unwrap();
            }
            _ => {}
        }
    }
    let (keys, loaded, wrong) = token.rescue(Role::User, "", b"1234").unwrap();
    assert!(wrong.is_some());
    let hex = |id: &ObjectId| id.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    for (n, id) in ids.iter().enumerate() {
        let refused = loaded.refused.iter().find(|(refused, _)| *refused == Some(*id));
        let object = loaded.stored.iter().find(|object| object.id == *id);
        let expected = match n % 50 {
            3 | 17 => "damaged",
            29 => "forged",
            _ => {
                let object = object.expect("a sound one");
                assert_eq!(*token.open_attributes(&keys, object).unwrap(), label(n));
                assert!(refused.is_none());
                continue;
            }
        };
        let (_, error) = refused.expect("one that was changed");
        assert!(object.is_none());
        assert!(error.to_string().contains(&format!("object {} is {expected}", hex(id))), "{error}");
    }
    assert_eq!(loaded.refused.len(), 9);
}

/// Does something to two objects' rows; the bytes are an older copy of the first.
type Hurt = fn(&Memory, &ObjectId, &ObjectId, &[u8]);

#[test]
fn rows_deleted_added_swapped_or_put_back_stop_the_login() {
    let hurt: [Hurt; 4] = [
        |memory, a, _, _| overwrite(memory, &object_key(a), None),
        |memory, a, _, _| {
            let copy = record(memory, &object_key(a)).value;
            overwrite(memory, &object_key(&[9; 16]), copy);
        },
        |memory, a, b, _| {
            let [va, vb] = [a, b].map(|id| record(memory, &object_key(id)).value);
            overwrite(memory, &object_key(a), vb);
            overwrite(memory, &object_key(b), va);
        },
        |memory, a, _, old| overwrite(memory, &object_key(a), Some(old.to_vec())),
    ];
    for (nth, hurt) in hurt.into_iter().enumerate() {
        let (memory, token, _, user) = token();
        let (a, at) = put(&token, &user, true, b"a", b"one");
        let (b, _) = put(&token, &user, true, b"b", b"two");
        let old = record(&memory, &object_key(&a)).value.unwrap();
        let change = Change::Put {
            id: a,
            at: Some(at),
            private: true,
            class: 3,
            attributes: b"a2",
            secrets: NewSecrets::Keep,
        };
        token.commit(&user, &[change]).unwrap();
        hurt(&memory, &a, &b, &old);
        assert_eq!(rv(token.login(Role::User, "", b"1234")), Rv::DeviceError, "case {nth}");
        let (keys, loaded, wrong) = token.rescue(Role::User, "", b"1234").unwrap();
        assert!(wrong.is_some());
        assert!(loaded.stored.iter().all(|object| token.open_secrets(Some(&keys), object).is_ok()));
        assert_eq!(rv(token.commit(&keys, &[])), Rv::TokenWriteProtected);
        token.accept(&keys).unwrap();
        assert!(token.login(Role::User, "", b"1234").is_ok(), "case {nth}");
    }
}

#[test]
fn the_so_alters_and_costs_only_rise() {
    let (_, token, so, user) = token();
    let label = Alteration { label: Some("renamed"), limited_write: Some(true), ..Alteration::default() };
    assert_eq!(rv(token.alter(&user, &label)), Rv::UserNotLoggedIn);
    token.alter(&so, &label).unwrap();
    let info = token.info().unwrap();
    assert_eq!((info.meta.label.as_str(), info.write_protected), ("renamed", true));
    let none = Secret::zeroed(0);
    let make = Change::Put {
        id: object_id(),
        at: None,
        private: true,
        class: 2,
        attributes: b"b",
        secrets: NewSecrets::Set(&none),
    };
    assert_eq!(rv(token.commit(&user, &[make])), Rv::TokenWriteProtected);
    let cheaper = Alteration { kdf: Some(Kdf::Pbkdf2 { iterations: 1 }), ..Alteration::default() };
    assert_eq!(rv(token.alter(&so, &cheaper)), Rv::ArgumentsBad);
}

#[test]
fn a_user_goes_with_its_objects() {
    let (_, token, so, user) = token();
    token.init_pin(&so, "alice", b"4321").unwrap();
    let (alice, _) = token.login(Role::User, "alice", b"4321").unwrap();
    put(&token, &alice, true, b"hers", b"x");
    put(&token, &user, true, b"his", b"y");
    token.remove_user(&so, Role::User, "alice").unwrap();
    assert_eq!(rv(token.commit(&alice, &[])), Rv::UserNotLoggedIn);
    assert_eq!(token.load(Revision(0), Some(&user)).unwrap().stored.len(), 1);
    assert_eq!(token.users().unwrap().len(), 2, "the SO and the normal user");
}

#[test]
fn what_the_last_writer_knew_ends_with_the_next_change() {
    let (memory, token, so, user) = token();
    token.init_pin(&so, "alice", b"4321").unwrap();
    let (alice, _) = token.login(Role::User, "alice", b"4321").unwrap();
    let write = |keys: &Keys, times: usize| {
        for _ in 0..times {
            put(&token, keys, true, b"l", b"s");
        }
    };
    let limited = |on| Alteration { limited_write: Some(on), ..Alteration::default() };
    write(&user, 3);
    write(&alice, 2);
    write(&user, 1);
    token.alter(&so, &limited(true)).unwrap();
    assert_eq!(rv(token.commit(&user, &[])), Rv::TokenWriteProtected);
    token.alter(&so, &limited(false)).unwrap();
    write(&user, 2);
    write(&alice, 2);
    token.remove_user(&so, Role::User, "alice").unwrap();
    assert_eq!(rv(token.commit(&alice, &[])), Rv::UserNotLoggedIn);
    write(&user, 2);
    // A forger's write is one that nobody knows of.
    overwrite(&memory, b"s", None);
    assert_eq!(rv(token.commit(&user, &[])), Rv::DeviceError);
}

#[test]
fn any_number_of_threads_loads_the_same_and_refuses_the_same() {
    let (memory, token, _, user) = token();
    let label = |n: usize| vec![n as u8; 300 + n];
    let ids: Vec<ObjectId> =
        (0..800).map(|n| put(&token, &user, n % 3 != 0, &label(n), b"secret").0).collect();
    let load = |threads: usize| {
        let each = |object: Stored<'_>| {
            (object.revision, object.id, token.open_attributes(&user, &object).unwrap().to_vec())
        };
        let loaded = token.take_in(Revision(0), Some(&user), threads, &each)?;
        let mut stored = loaded.stored;
        stored.sort();
        Ok((stored, loaded.refused.iter().map(|(id, _)| *id).collect::<Vec<_>>()))
    };
    let one = load(1).unwrap();
    assert!(one.0.iter().map(|(_, id, _)| *id).eq(ids.iter().copied()));
    assert!(one.0.iter().enumerate().all(|(n, (.., attributes))| *attributes == label(n)));
    assert_eq!(load(4).unwrap(), one);
    // A row that is gone is noticed whichever thread would have had it.
    let last = record(&memory, &object_key(&ids[799])).value;
    overwrite(&memory, &object_key(&ids[799]), None);
    assert_eq!([1, 4].map(|threads| rv(load(threads))), [Rv::DeviceError; 2]);
    overwrite(&memory, &object_key(&ids[799]), last);
    assert_eq!(
        [1, 4].map(|threads| rv(load(threads))),
        [Rv::DeviceError; 2],
        "put back, but not by the token"
    );
}
