//! Whole tokens: backup while others write, restore, verification, destruction.

mod common;

use coffer_pkcs11::storage::Storage;
use coffer_pkcs11::storage::place::Place;
use common::coffer::Coffer;
use common::*;
use pkcs11_conformance::client::{Attr, Mechanism, Rv, Session};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Restoring takes the lowest free slot, so one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends the other thread's work, also if this one's test fails.
struct StopAtEnd<'a>(&'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn aes(session: &Session, label: &str) -> CK_OBJECT_HANDLE {
    let template = [
        Attr::ulong(CKA_VALUE_LEN, 32),
        Attr::bool(CKA_TOKEN, true),
        Attr::bool(CKA_ENCRYPT, true),
        Attr::bool(CKA_DECRYPT, true),
        Attr::label(label),
    ];
    session.generate_key(&Mechanism::new(CKM_AES_KEY_GEN), &template).expect("C_GenerateKey")
}

fn file(name: &str) -> PathBuf {
    process().dir.path().join(format!("{name}-{}", std::process::id()))
}

fn key_pairs(session: &Session) {
    let make = |mechanism, public: &[Attr]| {
        let public = [public, &[Attr::bool(CKA_TOKEN, true)]].concat();
        let private = [Attr::bool(CKA_TOKEN, true), Attr::bool(CKA_PRIVATE, true)];
        session.generate_key_pair(&Mechanism::new(mechanism), &public, &private).expect("C_GenerateKeyPair");
    };
    make(CKM_RSA_PKCS_KEY_PAIR_GEN, &[Attr::ulong(CKA_MODULUS_BITS, 2048)]);
    let curve = |oid: &str| [Attr::bytes(CKA_EC_PARAMS, hex::decode(oid).unwrap())];
    make(CKM_EC_KEY_PAIR_GEN, &curve("06082a8648ce3d030107"));
    make(CKM_EC_EDWARDS_KEY_PAIR_GEN, &curve("06032b6570"));
    make(CKM_EC_MONTGOMERY_KEY_PAIR_GEN, &curve("06032b656e"));
    make(CKM_ML_DSA_KEY_PAIR_GEN, &[Attr::ulong(CKA_PARAMETER_SET, CKP_ML_DSA_44 as CK_ULONG)]);
    make(CKM_ML_KEM_KEY_PAIR_GEN, &[Attr::ulong(CKA_PARAMETER_SET, CKP_ML_KEM_768 as CK_ULONG)]);
}

#[test]
fn a_backup_brings_everything_back() {
    let _alone = alone();
    let token = TestToken::new();
    let (session, coffer) = (&token.session, Coffer::new(&token.session));
    let cbc = Mechanism::bytes(CKM_AES_CBC_PAD, &[7; 16]);
    let text = session.encrypt(&cbc, aes(session, "kept"), b"before").expect("C_Encrypt");
    let path = file("backup");
    coffer.backup(&path).expect("BackupToken");
    assert_eq!(coffer.backup(&path), Err(Rv(CKR_DEVICE_ERROR)), "nothing is written over");
    aes(session, "made later");
    let user = |pin| coffer.restore(&path, CKU_USER, "", pin);
    assert_eq!(user("wrong-pin"), Err(Rv(CKR_PIN_INCORRECT)));
    assert_eq!(coffer.restore(&path, CKU_USER, "nobody", USER_PIN), Err(Rv(CKR_PIN_INCORRECT)));
    let slot = user(USER_PIN).expect("RestoreToken");
    assert_ne!(slot, token.slot);
    let info = |slot| token.module.token_info(slot).expect("C_GetTokenInfo");
    assert_eq!(info(slot).serialNumber, info(token.slot).serialNumber, "the same token, as it was");
    let restored = token.module.open_session(slot, true).expect("C_OpenSession");
    restored.login(CKU_USER, USER_PIN).expect("C_Login");
    let found = restored.find(&[]).expect("C_FindObjects");
    assert_eq!(found.len(), 1);
    assert_eq!(restored.decrypt(&cbc, found[0], &text).expect("C_Decrypt"), b"before");
    aes(&restored, "and it goes on");
    assert_eq!(coffer.destroy(slot, SO_PIN), Err(Rv(CKR_SESSION_EXISTS)));
    restored.close().expect("C_CloseSession");
    assert_eq!(coffer.destroy(slot, "wrong-pin"), Err(Rv(CKR_PIN_INCORRECT)));
    coffer.destroy(slot, SO_PIN).expect("DestroyToken");
    assert_eq!(token.module.open_session(slot, true).err(), Some(Rv(CKR_TOKEN_NOT_RECOGNIZED)));
    assert_eq!(session.find(&[]).expect("C_FindObjects").len(), 2, "the other token is what it was");
    let again = coffer.restore(&path, CKU_SO, "admin", SO_PIN).expect("an SO's PIN does as well");
    assert_ne!(info(again).flags & CKF_TOKEN_INITIALIZED, 0);
    coffer.destroy(again, SO_PIN).expect("DestroyToken");
}

#[test]
fn a_changed_backup_is_refused_whole() {
    let _alone = alone();
    let token = TestToken::new();
    let coffer = Coffer::new(&token.session);
    aes(&token.session, "key");
    let path = file("changed");
    coffer.backup(&path).expect("BackupToken");
    let honest = std::fs::read(&path).expect("the backup");
    let slots = token.module.slots(true).expect("C_GetSlotList").len();
    let try_it = |bytes: &[u8]| {
        std::fs::write(&path, bytes).expect("a file");
        coffer.restore(&path, CKU_USER, "", USER_PIN).expect_err("must not be taken")
    };
    let steps = (0..honest.len()).step_by(honest.len() / 40);
    for at in steps.chain([0, 8, 9, 12, 13, 29, 37, honest.len() - 1]) {
        let mut bad = honest.clone();
        bad[at] ^= 1;
        let code = try_it(&bad).0;
        let codes = [CKR_DEVICE_ERROR, CKR_TOKEN_NOT_RECOGNIZED, CKR_PIN_INCORRECT];
        assert!(codes.contains(&code), "byte {at}: {code:#x}");
    }
    for len in [0, 5, 12, 13, 100, honest.len() / 2, honest.len() - 1] {
        assert!([CKR_DEVICE_ERROR, CKR_TOKEN_NOT_RECOGNIZED].contains(&try_it(&honest[..len]).0), "{len}");
    }
    assert_eq!(try_it(&[&honest[..], b"x"].concat()), Rv(CKR_DEVICE_ERROR));
    let absent = coffer.restore(&file("absent"), CKU_USER, "", USER_PIN);
    assert_eq!(absent, Err(Rv(CKR_DEVICE_ERROR)));
    assert_eq!(token.module.slots(true).expect("C_GetSlotList").len(), slots, "no token was half made");
}

#[test]
fn a_backup_taken_while_others_write_is_one_moment() {
    let _alone = alone();
    let token = TestToken::new();
    let stop = AtomicBool::new(false);
    let path = file("moving");
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let session = token.rw();
            let mut made = 0;
            while !stop.load(Ordering::Relaxed) {
                aes(&session, &format!("{made:06}"));
                made += 1;
            }
            made
        });
        let end = StopAtEnd(&stop);
        let coffer = Coffer::new(&token.session);
        let mut before = 0;
        for round in 0..5 {
            let path = path.with_extension(round.to_string());
            coffer.backup(&path).expect("BackupToken");
            let slot = coffer.restore(&path, CKU_USER, "", USER_PIN).expect("RestoreToken");
            let session = token.module.open_session(slot, false).expect("C_OpenSession");
            session.login(CKU_USER, USER_PIN).expect("C_Login");
            let all = session.find(&[]).expect("C_FindObjects");
            let label = |key| String::from_utf8(session.attribute(key, CKA_LABEL).expect("a label")).unwrap();
            let mut labels: Vec<_> = all.into_iter().map(label).collect();
            labels.sort();
            let wanted: Vec<_> = (0..labels.len()).map(|made| format!("{made:06}")).collect();
            assert_eq!(labels, wanted, "all up to a moment and none after");
            assert!(labels.len() >= before);
            before = labels.len();
            session.close().expect("C_CloseSession");
            coffer.destroy(slot, SO_PIN).expect("DestroyToken");
        }
        drop(end);
        assert!(writer.join().expect("no panic") >= before);
    });
}

#[test]
fn verification_checks_every_kind_of_key_and_names_what_is_wrong() {
    let _alone = alone();
    let token = TestToken::new();
    let (session, coffer) = (&token.session, Coffer::new(&token.session));
    key_pairs(session);
    let key = aes(session, "secret");
    session.create_object(&[Attr::class(CKO_DATA), Attr::bool(CKA_TOKEN, true)]).expect("C_CreateObject");
    let bytes =
        [Attr::class(CKO_SECRET_KEY), Attr::key_type(CKK_GENERIC_SECRET), Attr::bytes(CKA_VALUE, b"abc")];
    session.create_object(&[&bytes[..], &[Attr::bool(CKA_TOKEN, true)]].concat()).expect("C_CreateObject");
    assert_eq!(coffer.verify(usize::MAX).expect("VerifyToken"), (15, 15, vec![]));
    assert_eq!(coffer.verify(5), Err(Rv(CKR_FUNCTION_CANCELED)));
    let id = session.attribute(key, CKA_UNIQUE_ID).expect("CKA_UNIQUE_ID");
    session.logout().expect("C_Logout");
    assert_eq!(coffer.verify(9), Err(Rv(CKR_USER_NOT_LOGGED_IN)));
    session.login(CKU_SO, SO_PIN).expect("C_Login");
    let (objects, opened, faults) = coffer.verify(usize::MAX).expect("VerifyToken");
    assert!(objects == 15 && (1..15).contains(&opened) && faults.is_empty(), "{opened} {faults:?}");

    // A row that somebody wrote with no key.
    let place = Place::open(&process().dir.path().join("tokens")).expect("the token directory");
    let storage = place.token(token.slot as u64).expect("the token");
    let id = hex::decode(id).expect("hexadecimal");
    let row = [b"o", &id[..]].concat();
    let changes = storage.load(coffer_pkcs11::storage::Revision(0)).expect("its records");
    let mut value =
        changes.records.into_iter().find(|r| r.key == row).and_then(|r| r.value).expect("the row");
    value[100] ^= 1;
    let batch = || coffer_pkcs11::storage::Batch {
        writes: vec![(row.clone(), Some(value.clone()))],
        ..Default::default()
    };
    storage.transact(&mut |_| Ok(batch())).expect("a writable file");
    let (.., faults) = coffer.verify(usize::MAX).expect("VerifyToken");
    assert!(!faults.is_empty());
}

/// An escrow key, here one of the token's own, opens a backup when every PIN is lost.
#[test]
fn an_escrow_key_opens_a_backup() {
    let _alone = alone();
    let token = TestToken::new();
    let (session, coffer) = (&token.session, Coffer::new(&token.session));
    let template =
        [Attr::ulong(CKA_PARAMETER_SET, CKP_ML_KEM_1024 as CK_ULONG), Attr::bool(CKA_TOKEN, false)];
    let private =
        [Attr::bool(CKA_TOKEN, false), Attr::bool(CKA_SENSITIVE, false), Attr::bool(CKA_EXTRACTABLE, true)];
    let generate = Mechanism::new(CKM_ML_KEM_KEY_PAIR_GEN);
    let (public, private) = session.generate_key_pair(&generate, &template, &private).expect("a pair");
    let public = session.attribute(public, CKA_VALUE).expect("CKA_VALUE");
    let seed = session.attribute(private, CKA_SEED).expect("CKA_SEED");
    aes(session, "kept");
    let path = file("escrow");
    assert_eq!(coffer.backup_for(&path, &public, usize::MAX), Err(Rv(CKR_USER_NOT_LOGGED_IN)), "an SO alone");
    session.logout().expect("C_Logout");
    session.login(CKU_SO, SO_PIN).expect("C_Login");
    assert_eq!(coffer.backup_for(&path, &public[1..], usize::MAX), Err(Rv(CKR_PUBLIC_KEY_INVALID)));
    assert_eq!(coffer.backup_for(&path, &public, 1), Err(Rv(CKR_FUNCTION_CANCELED)));
    assert!(!path.exists(), "what was called off leaves nothing");
    coffer.backup_for(&path, &public, usize::MAX).expect("BackupTokenForEscrow");

    let restore = |seed: &[u8], pin, most| coffer.restore_by(&path, seed, pin, most);
    let other = [&seed[1..], &[0]].concat();
    assert_eq!(restore(&other, "new-so-pin", usize::MAX), Err(Rv(CKR_ARGUMENTS_BAD)));
    assert_eq!(restore(&seed, "1", usize::MAX), Err(Rv(CKR_PIN_LEN_RANGE)));
    assert_eq!(restore(&seed, "new-so-pin", 1), Err(Rv(CKR_FUNCTION_CANCELED)));
    restore(&[], "new-so-pin", usize::MAX).expect_err("no seed");
    let slot = restore(&seed, "new-so-pin", usize::MAX).expect("RestoreTokenByEscrow");
    let again = token.module.open_session(slot, true).expect("C_OpenSession");
    assert_eq!(again.login(CKU_SO, SO_PIN), Err(Rv(CKR_PIN_INCORRECT)));
    again.login(CKU_SO, "new-so-pin").expect("C_Login");
    Coffer::new(&again).set_pin(CKU_USER, "", "new-user-pin").expect("SetUserPIN");
    again.logout().expect("C_Logout");
    again.login(CKU_USER, "new-user-pin").expect("C_Login");
    assert_eq!(again.find(&[Attr::label("kept")]).expect("C_FindObjects").len(), 1);
    again.close().expect("C_CloseSession");
    coffer.destroy(slot, "new-so-pin").expect("DestroyToken");
}

/// Records that were deleted behind the token's back: it refuses its users until an operator accepts what is left.
#[test]
fn what_is_left_is_told_and_accepted() {
    let _alone = alone();
    let token = TestToken::new();
    let (session, coffer) = (&token.session, Coffer::new(&token.session));
    let (kept, lost) = (aes(session, "kept"), aes(session, "lost"));
    let id =
        hex::decode(session.attribute(lost, CKA_UNIQUE_ID).expect("CKA_UNIQUE_ID")).expect("hexadecimal");
    assert_eq!(session.attribute(kept, CKA_LABEL).expect("a label"), b"kept");
    session.logout().expect("C_Logout");
    let all = coffer.repair(token.slot, SO_PIN, true).expect("RepairToken");
    assert!(all.0 == all.1 && all.2.is_empty(), "{all:?}");
    let place = Place::open(&process().dir.path().join("tokens")).expect("the token directory");
    let storage = place.token(token.slot as u64).expect("the token");
    let row = [b"o", &id[..]].concat();
    let batch = || coffer_pkcs11::storage::Batch { writes: vec![(row.clone(), None)], ..Default::default() };
    storage.transact(&mut |_| Ok(batch())).expect("a writable file");

    assert_eq!(session.login(CKU_USER, USER_PIN), Err(Rv(CKR_DEVICE_ERROR)));
    assert_eq!(coffer.repair(token.slot, "wrong", false), Err(Rv(CKR_PIN_INCORRECT)));
    for accept in [false, true] {
        let (objects, sound, faults) = coffer.repair(token.slot, SO_PIN, accept).expect("RepairToken");
        assert_eq!((objects, sound, faults.len()), (all.0 - 1, all.0 - 1, 1), "{faults:?}");
    }
    session.login(CKU_USER, USER_PIN).expect("C_Login");
    assert_eq!(session.find(&[Attr::label("kept")]).expect("C_FindObjects").len(), 1);
    assert_eq!(session.find(&[Attr::label("lost")]).expect("C_FindObjects").len(), 0);
    session.logout().expect("C_Logout");
}
