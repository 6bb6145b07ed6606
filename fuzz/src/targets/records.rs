//! Records that a forger of the token's file has changed or made: opening, logging in and loading must answer, and
//! nothing may come out that the user did not put in.

use crate::Input;
use coffer_pkcs11::crypto::Secret;
use coffer_pkcs11::object::{Attributes, Packed};
use coffer_pkcs11::storage::keyring::{Kdf, Role};
use coffer_pkcs11::storage::memory::Memory;
use coffer_pkcs11::storage::record::object_id;
use coffer_pkcs11::storage::sealed::{Change, Commit, NewSecrets, NewToken, Sealed};
use coffer_pkcs11::storage::{Changes, Record, Revision, Stamp, Storage};
use std::sync::LazyLock;

const CHEAP: Kdf = Kdf::Argon2id { memory: 8, passes: 1, lanes: 1 };

/// A token with a user, a public and a private object, by its records.
static HONEST: LazyLock<Vec<Record>> = LazyLock::new(|| {
    let memory = Memory::new();
    let new =
        NewToken { label: "fuzz", so_pin: b"so-pin", kdf: CHEAP, tries: (1000, 1000), ..NewToken::default() };
    Sealed::create(&memory, &new).unwrap();
    let token = Sealed::open(memory.clone()).unwrap();
    let (so, _) = token.login(Role::So, "", b"so-pin").unwrap();
    token.init_pin(&so, "", b"1234").unwrap();
    token.create_user(&so, Role::User, "alice", b"5678").unwrap();
    let (user, _) = token.login(Role::User, "", b"1234").unwrap();
    for private in [true, false] {
        let secret = Secret::from_slice(SECRET);
        let secrets = NewSecrets::Set(&secret);
        let change =
            Change::Put { id: object_id(), at: None, private, class: 3, attributes: b"label", secrets };
        assert!(matches!(token.commit(&user, &[change]), Ok(Commit::Done(_))));
    }
    memory.load(Revision(0)).unwrap().records
});

const SECRET: &[u8] = b"what must not come out changed";

/// One change to the records.
fn forge(records: &mut Vec<Record>, input: &mut Input<'_>) {
    let at = input.below(records.len().max(1));
    let Some(record) = records.get_mut(at) else { return };
    let value = record.value.get_or_insert_default();
    match input.below(8) {
        0 => {
            let place = input.number() as usize % (value.len() + 1);
            value.get_mut(place).into_iter().for_each(|byte| *byte ^= input.byte());
        }
        1 => value.truncate(input.number() as usize % (value.len() + 1)),
        2 => value.extend(input.bytes(64)),
        3 => *value = input.bytes(512).to_vec(),
        4 => {
            let (place, bytes) = (input.number() as usize % (value.len() + 1), input.bytes(16));
            value.iter_mut().skip(place).zip(bytes).for_each(|(to, from)| *to = *from);
        }
        5 => record.revision = Revision(input.number()),
        6 => record.key = input.bytes(40).to_vec(),
        _ => {
            records.remove(at);
        }
    }
}

fn open(records: Vec<Record>, upto: Revision) {
    let memory = Memory::new();
    let changes = Changes { upto, stamp: Stamp::UNKNOWN, records, complete: true };
    memory.fill(&changes, &mut || Ok(())).unwrap();
    let Ok(token) = Sealed::open(memory) else { return };
    let _ = (token.info(), token.users(), token.load(Revision(0), None).map(drop));
    for (role, name, pin) in
        [(Role::User, "", &b"1234"[..]), (Role::User, "alice", b"5678"), (Role::So, "", b"so-pin")]
    {
        let Ok((keys, loaded, _)) = token.rescue(role, name, pin) else { continue };
        for object in &loaded.stored {
            let _ = token.open_attributes(&keys, object);
            if let Ok(secret) = token.open_secrets(Some(&keys), object) {
                assert!(secret.is_empty() || secret.expose() == SECRET);
            }
        }
    }
}

/// One input.
pub fn run(data: &[u8]) {
    let mut input = Input(data);
    match input.byte() % 4 {
        0 => {
            let (attributes, packed) = (Attributes::decode(input.0), Packed::new(input.0));
            assert_eq!(attributes.is_ok(), packed.is_ok());
            let (Ok(attributes), Ok(packed)) = (attributes, packed) else { return };
            assert!(packed.unpack() == attributes);
            let written = attributes.encode();
            assert!(Attributes::decode(written.expose()).is_ok_and(|again| again == attributes));
            // What is read is what would be written, unless it has the form of earlier formats.
            assert!(written.expose() == input.0 || input.0.first() != written.expose().first());
        }
        1 => {
            let mut records: Vec<Record> = Vec::new();
            while !input.is_empty() && records.len() < 16 {
                let key = match input.below(4) {
                    0 => input.bytes(40).to_vec(),
                    _ => HONEST[input.below(HONEST.len())].key.clone(),
                };
                let value = Some(input.bytes(512).to_vec());
                if records.iter().all(|record| record.key != key) {
                    records.push(Record { key, revision: Revision(input.byte().into()), value });
                }
            }
            open(records, Revision(input.number()));
        }
        _ => {
            let mut records = HONEST.clone();
            for _ in 0..1 + input.below(3) {
                forge(&mut records, &mut input);
            }
            let upto = records.iter().map(|record| record.revision).max().unwrap_or_default();
            open(records, upto);
        }
    }
}
