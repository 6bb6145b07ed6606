//! Token files that earlier versions made, as a program sees them: each holds what [`fill`] puts into a token.
//!
//! `COFFER_TEST_MAKE=tests/data/tokens/format-N.coffer cargo test --test formats make -- --ignored` makes one; with
//! `COFFER_MODULE` it is by the library of another version.

mod common;

use coffer_pkcs11::storage::keyring::Role;
use coffer_pkcs11::storage::place::Place;
use coffer_pkcs11::storage::sealed::Sealed;
use common::coffer::Coffer;
use common::*;
use pkcs11_conformance::client::{Attr, Mechanism, Rv, Session};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

const FILES: [(u8, &[u8]); 2] =
    [(2, include_bytes!("data/tokens/format-2.coffer")), (3, include_bytes!("data/tokens/format-3.coffer"))];
/// What the library makes today.
const NEWEST: u8 = 3;

const LABEL: &str = "formats";
const ALICE_PIN: &str = "alice-pin-1";
const AES: [u8; 32] = *b"an AES key that all may know of.";
const P256: &[u8] = &[6, 8, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 3, 1, 7];
const DATA: &[u8] = b"what an application keeps for itself";

fn token(attrs: &[Attr], private: bool) -> Vec<Attr> {
    let mut all = vec![Attr::bool(CKA_TOKEN, true), Attr::bool(CKA_PRIVATE, private)];
    all.extend_from_slice(attrs);
    all
}

/// A key with every kind of attribute: a Boolean, a number, bytes, a date, mechanisms, a template.
fn aes() -> Vec<Attr> {
    token(
        &[
            Attr::class(CKO_SECRET_KEY),
            Attr::key_type(CKK_AES),
            Attr::label("aes"),
            Attr::bytes(CKA_ID, b"\x00\xFFid"),
            Attr::bool(CKA_ENCRYPT, true),
            Attr::bool(CKA_DECRYPT, false),
            Attr::bool(CKA_UNWRAP, true),
            Attr::bool(CKA_SENSITIVE, true),
            Attr::bool(CKA_EXTRACTABLE, false),
            Attr::date(CKA_START_DATE, "20261124"),
            Attr::mechanisms(CKA_ALLOWED_MECHANISMS, &[CKM_AES_ECB, CKM_AES_KEY_WRAP]),
            Attr::template(
                CKA_UNWRAP_TEMPLATE,
                &[Attr::bool(CKA_SENSITIVE, true), Attr::ulong(CKA_KEY_TYPE, CKK_AES)],
            ),
        ],
        true,
    )
}

/// Mechanism of the pair, of a signature, and what its public key is told.
fn signers() -> [(&'static str, CK_MECHANISM_TYPE, CK_MECHANISM_TYPE, Attr); 3] {
    let set = Attr::ulong(CKA_PARAMETER_SET, CK_ULONG::from(CKP_ML_DSA_44));
    [
        ("rsa", CKM_RSA_PKCS_KEY_PAIR_GEN, CKM_SHA256_RSA_PKCS, Attr::ulong(CKA_MODULUS_BITS, 2048)),
        ("ec", CKM_EC_KEY_PAIR_GEN, CKM_ECDSA_SHA256, Attr::bytes(CKA_EC_PARAMS, P256)),
        ("ml-dsa", CKM_ML_DSA_KEY_PAIR_GEN, CKM_ML_DSA, set),
    ]
}

fn fill(session: &Session) {
    let key = session.create_object(&[aes(), vec![Attr::bytes(CKA_VALUE, AES)]].concat()).unwrap();
    for (label, pair, _, kind) in signers() {
        let public = token(&[kind, Attr::bool(CKA_VERIFY, true), Attr::label(label)], false);
        let private = token(&[Attr::bool(CKA_SIGN, true), Attr::label(label)], true);
        session.generate_key_pair(&Mechanism::new(pair), &public, &private).unwrap();
    }
    let data = [Attr::class(CKO_DATA), Attr::label("data"), Attr::bytes(CKA_VALUE, DATA)];
    session.create_object(&token(&data, true)).unwrap();
    session.create_object(&token(&data, false)).unwrap();
    Coffer::new(session).share(key, "alice").unwrap();
}

fn one(session: &Session, attrs: &[Attr]) -> CK_OBJECT_HANDLE {
    let found = session.find(attrs).unwrap();
    assert_eq!(found.len(), 1);
    found[0]
}

/// That the key has its value, which nobody reads.
fn encrypts(session: &Session, key: CK_OBJECT_HANDLE) {
    let template = [
        Attr::class(CKO_SECRET_KEY),
        Attr::key_type(CKK_AES),
        Attr::bool(CKA_ENCRYPT, true),
        Attr::bytes(CKA_VALUE, AES),
    ];
    let same = session.create_object(&template).unwrap();
    let encrypt = |key| session.encrypt(&Mechanism::new(CKM_AES_ECB), key, &[7; 32]).unwrap();
    assert_eq!(encrypt(key), encrypt(same));
    session.destroy(same).unwrap();
}

/// Everything that [`fill`] made, where the AES key is called `label`.
fn all_is_there(session: &Session, label: &str) {
    session.login(CKU_USER, USER_PIN).unwrap();
    assert_eq!(session.find(&[Attr::bool(CKA_TOKEN, true)]).unwrap().len(), 9);
    let key = one(session, &[Attr::label(label)]);
    encrypts(session, key);
    let refused = session.encrypt(&Mechanism::bytes(CKM_AES_CBC, &[0; 16]), key, &[7; 16]);
    assert_eq!(Rv::of(&refused), Rv(CKR_MECHANISM_INVALID));
    for (kind, value) in [
        (CKA_ID, &b"\x00\xFFid"[..]),
        (CKA_DECRYPT, &[0]),
        (CKA_UNWRAP, &[1]),
        (CKA_SENSITIVE, &[1]),
        (CKA_EXTRACTABLE, &[0]),
        (CKA_LOCAL, &[0]),
        (CKA_START_DATE, b"20261124"),
        (CKA_END_DATE, b""),
    ] {
        assert_eq!(session.attribute(key, kind).unwrap(), value, "{kind:#x}");
    }
    assert_eq!(session.attribute_ulong(key, CKA_VALUE_LEN).unwrap(), 32);
    assert_eq!(session.attribute_template(key, CKA_UNWRAP_TEMPLATE).unwrap().len(), 2);
    for (label, _, sign, _) in signers() {
        let of = |class| one(session, &[Attr::class(class), Attr::label(label)]);
        let (public, private) = (of(CKO_PUBLIC_KEY), of(CKO_PRIVATE_KEY));
        let signature = session.sign(&Mechanism::new(sign), private, DATA).unwrap();
        session.verify(&Mechanism::new(sign), public, DATA, &signature).unwrap();
    }
    for private in [true, false] {
        let data = one(session, &[Attr::class(CKO_DATA), Attr::bool(CKA_PRIVATE, private)]);
        assert_eq!(session.attribute(data, CKA_VALUE).unwrap(), DATA);
    }
    session.logout().unwrap();

    session.login_user(CKU_USER, "alice", ALICE_PIN).unwrap();
    encrypts(session, one(session, &[Attr::bool(CKA_PRIVATE, true)]));
    session.logout().unwrap();
}

/// The session of a program that opens the token in `COFFER_TEST_TOKEN_DIR`.
fn session() -> Session {
    let module = module();
    let slot = module.slot_by_label(LABEL).expect("the token");
    module.open_session(slot, true).unwrap()
}

#[test]
#[ignore = "only another test starts it"]
fn as_it_was_made() {
    let session = session();
    all_is_there(&session, "aes");
    session.login(CKU_USER, USER_PIN).unwrap();
    session.set(one(&session, &[Attr::label("aes")]), &[Attr::label("renamed")]).unwrap();
    session.logout().unwrap();
    all_is_there(&session, "renamed");
}

#[test]
#[ignore = "only another test starts it"]
fn after_a_change() {
    all_is_there(&session(), "renamed");
}

#[test]
fn tokens_of_earlier_formats_are_read_and_changed_as_they_stand() {
    for (format, bytes) in FILES {
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o700)).unwrap();
        let file = dir.path().join("0.coffer");
        std::fs::write(&file, bytes).unwrap();
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
        let open = || Sealed::open(Place::open(dir.path()).unwrap().token(0).unwrap()).unwrap();
        let run = |test| in_child(test, &[("COFFER_TEST_TOKEN_DIR", dir.path().to_str().unwrap())]);

        assert_eq!(open().info().unwrap().meta.format, format);
        assert!(run("as_it_was_made") && run("after_a_change"));
        let token = open();
        assert_eq!(token.info().unwrap().meta.format, format);
        let (so, _) = token.login(Role::So, "", SO_PIN.as_bytes()).unwrap();
        token.upgrade(&so).unwrap();
        assert_eq!(token.info().unwrap().meta.format, NEWEST);
        drop(token);
        assert!(run("after_a_change"));
    }
}

#[test]
#[ignore = "makes a file for `FILES`"]
fn make() {
    let file = PathBuf::from(std::env::var_os("COFFER_TEST_MAKE").expect("COFFER_TEST_MAKE"));
    let process = process();
    let module = process.module;
    module.init_token(module.slots(false).unwrap()[0], SO_PIN, LABEL).unwrap();
    let session = session();
    session.login(CKU_SO, SO_PIN).unwrap();
    session.init_pin(USER_PIN).unwrap();
    Coffer::new(&session).create(CKU_USER, "alice", ALICE_PIN).unwrap();
    session.logout().unwrap();
    session.login(CKU_USER, USER_PIN).unwrap();
    fill(&session);
    // One file has everything then.
    session.close().unwrap();
    module.finalize().unwrap();
    let from = process.dir.path().join("tokens");
    assert!(!from.join("0.coffer-wal").exists());
    std::fs::copy(from.join("0.coffer"), file).unwrap();
}
