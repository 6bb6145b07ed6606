//! What is left of secrets: in this process's memory once a key is gone, and in the token's files at any time.

mod common;

use common::*;
use pkcs11_conformance::client::{Attr, Mechanism, Session};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// A secret that this test knows without having it in memory: byte `n` is made when it is looked at.
#[derive(Clone, Copy)]
struct Known {
    seed: u8,
    len: usize,
}

impl Known {
    fn byte(self, at: usize) -> u8 {
        (at as u8).wrapping_mul(167).wrapping_add(self.seed).rotate_left(3) ^ 0x6D
    }

    /// The bytes, in memory that [`wipe`] must be given afterwards.
    fn bytes(self) -> Vec<u8> {
        (0..self.len).map(|at| self.byte(at)).collect()
    }

    /// Where `haystack` has it.
    fn find(self, haystack: &[u8]) -> Vec<usize> {
        // Its beginning alone is no copy of the secret.
        let needle: [u8; 8] = std::array::from_fn(|at| self.byte(at));
        let (mut found, mut from) = (Vec::new(), 0);
        loop {
            let rest = &haystack[from..];
            // SAFETY: both are valid for their lengths.
            let hit = unsafe { libc::memmem(rest.as_ptr().cast(), rest.len(), needle.as_ptr().cast(), 8) };
            if hit.is_null() {
                return found;
            }
            let at = hit.addr() - haystack.as_ptr().addr();
            let whole = haystack.get(at..at + self.len);
            let whole =
                whole.is_some_and(|bytes| bytes.iter().enumerate().all(|(at, byte)| *byte == self.byte(at)));
            found.extend(whole.then_some(at));
            from = at + 1;
        }
    }
}

fn wipe(bytes: &mut [u8]) {
    for byte in bytes {
        // SAFETY: a byte of the slice; volatile, lest the compiler finds it useless.
        unsafe { std::ptr::from_mut(byte).write_volatile(0) };
    }
}

/// Where in the writable memory of this process the secret stands: the mapping and the address, for who looks for it.
fn in_memory(secret: Known) -> Vec<String> {
    let memory = File::open("/proc/self/mem").expect("Linux");
    let maps = std::fs::read_to_string("/proc/self/maps").expect("Linux");
    let mut found = Vec::new();
    // One buffer for all, which is left out: what is read of other places must not be found in it again.
    let mut buffer = vec![0u8; 1 << 20];
    let own = buffer.as_ptr().addr() as u64;
    let own = own..own + buffer.len() as u64;
    for line in maps.lines() {
        let mut fields = line.split_whitespace();
        let (range, rights) = (fields.next().expect("a range"), fields.next().expect("rights"));
        if !rights.starts_with("rw") {
            continue;
        }
        let (start, end) = range.split_once('-').expect("two ends");
        let number = |text| u64::from_str_radix(text, 16).expect("hexadecimal");
        let (start, end) = (number(start), number(end));
        for part in [start..end.min(own.start), start.max(own.end)..end] {
            let mut at = part.start;
            while at < part.end {
                let len = buffer.len().min((part.end - at) as usize);
                let read = memory.read_at(&mut buffer[..len], at).unwrap_or(0);
                let hits = secret.find(&buffer[..read]);
                found.extend(hits.iter().map(|hit| format!("{:#x} {line}", at + *hit as u64)));
                // Overlapping, so that nothing hides across two pieces.
                at += if (len as u64) < part.end - at { (len - secret.len) as u64 } else { len as u64 };
            }
        }
    }
    wipe(&mut buffer);
    found
}

/// How often the secret stands in the files of a directory.
fn in_files(secret: Known, directory: &Path) -> usize {
    let mut found = 0;
    for entry in std::fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => found += in_files(secret, &path),
            false => found += secret.find(&std::fs::read(&path).expect("a file")).len(),
        }
    }
    found
}

/// Makes a private key object of the secret, by C_CreateObject, and leaves no copy of this test's own.
fn create(session: &Session, secret: Known, on_token: bool) -> CK_OBJECT_HANDLE {
    let key_type = if secret.len > 32 { CKK_GENERIC_SECRET } else { CKK_AES };
    let common = [
        Attr::class(CKO_SECRET_KEY),
        Attr::key_type(key_type),
        Attr::bool(CKA_TOKEN, on_token),
        Attr::bool(CKA_PRIVATE, true),
        Attr::bool(CKA_SENSITIVE, true),
        Attr::bool(CKA_ENCRYPT, true),
        Attr::bool(CKA_SIGN, true),
    ];
    let mut value = secret.bytes();
    let mut rows: Vec<CK_ATTRIBUTE> = Vec::new();
    for attr in &common {
        let pkcs11_conformance::client::Value::Bytes(bytes) = &attr.value else {
            unreachable!("bytes alone")
        };
        let (at, len) = (bytes.as_ptr().cast_mut().cast(), bytes.len() as CK_ULONG);
        rows.push(CK_ATTRIBUTE { type_: attr.kind, pValue: at, ulValueLen: len });
    }
    rows.push(CK_ATTRIBUTE {
        type_: CKA_VALUE,
        pValue: value.as_mut_ptr().cast(),
        ulValueLen: value.len() as CK_ULONG,
    });
    let mut object = CK_INVALID_HANDLE;
    let create = session.f().C_CreateObject.expect("C_CreateObject");
    // SAFETY: a template of live values and a place for the handle.
    let rv = unsafe { create(session.handle(), rows.as_mut_ptr(), rows.len() as CK_ULONG, &raw mut object) };
    wipe(&mut value);
    assert_eq!(rv, CKR_OK);
    object
}

/// Uses an AES key in the ways that expand it or copy it.
fn use_it(session: &Session, key: CK_OBJECT_HANDLE) {
    session.encrypt(&Mechanism::bytes(CKM_AES_CBC_PAD, &[0; 16]), key, &[1; 100]).expect("C_Encrypt");
    session.encrypt(&Mechanism::gcm(CKM_AES_GCM, &[0; 12], &[], 128), key, &[1; 100]).expect("C_Encrypt");
    session.sign(&Mechanism::new(CKM_AES_CMAC), key, &[1; 100]).expect("C_Sign");
}

#[test]
fn the_scan_finds_what_is_there() {
    if in_child("the_scan_finds_what_is_there", &[]) {
        return;
    }
    let secret = Known { seed: 1, len: 32 };
    assert!(in_memory(secret).is_empty());
    let mut there = std::hint::black_box(secret.bytes());
    assert!(!in_memory(secret).is_empty());
    wipe(&mut there);
    assert!(in_memory(secret).is_empty());
}

/// Alone in its process: other tests' threads have stacks and heaps of their own.
#[test]
fn nothing_is_left_in_memory_of_a_key_that_is_gone() {
    if in_child("nothing_is_left_in_memory_of_a_key_that_is_gone", &[]) {
        return;
    }
    let token = TestToken::new();
    let session = &token.session;
    let mut seed = 10;
    let mut fresh = || {
        seed += 1;
        Known { seed, len: 32 }
    };
    let gone = |secret: Known, what: &str| {
        let left = in_memory(secret);
        assert!(left.is_empty(), "after {what}: {left:#?}");
    };
    let begin = |secret: Known, on_token: bool| {
        let key = create(session, secret, on_token);
        session.session_cancel(CKF_ENCRYPT).expect("C_SessionCancel");
        use_it(session, key);
        session
            .encrypt_init(&Mechanism::bytes(CKM_AES_CBC, &[0; 16]), key)
            .expect("an operation that goes on");
        key
    };
    for on_token in [false, true] {
        let secret = fresh();
        let key = begin(secret, on_token);
        assert!(!in_memory(secret).is_empty(), "the scan finds what is in use");
        session.destroy(key).expect("C_DestroyObject");
        gone(secret, &format!("C_DestroyObject, token object {on_token}"));

        let secret = fresh();
        begin(secret, on_token);
        session.logout().expect("C_Logout");
        gone(secret, &format!("C_Logout, token object {on_token}"));
        session.login(CKU_USER, USER_PIN).expect("C_Login");
        for key in session.find(&[Attr::class(CKO_SECRET_KEY)]).expect("C_FindObjects") {
            // Stored, brought back, opened, used, and gone again.
            use_it(session, key);
            session.destroy(key).expect("C_DestroyObject");
            gone(secret, "a second login");
        }

        let (secret, other) = (fresh(), token.rw());
        use_it(&other, create(&other, secret, false));
        other.close().expect("C_CloseSession");
        gone(secret, "C_CloseSession");
    }
    let secrets = [fresh(), fresh()];
    begin(secrets[0], false);
    begin(secrets[1], true);
    token.module.finalize().expect("C_Finalize");
    secrets.iter().for_each(|secret| gone(*secret, "C_Finalize"));
}

#[test]
fn the_tokens_files_have_no_secret_of_a_private_object() {
    let token = TestToken::new();
    let session = &token.session;
    let directory = process().dir.path();
    let stored = |len: usize, seed: u8| Known { seed, len };
    let (secret, generic, scalar, data) = (stored(16, 50), stored(64, 60), stored(32, 70), stored(48, 80));
    create(session, secret, true);
    create(session, generic, true);
    let private = [Attr::bool(CKA_TOKEN, true), Attr::bool(CKA_PRIVATE, true)];
    let ec = [
        Attr::class(CKO_PRIVATE_KEY),
        Attr::key_type(CKK_EC),
        Attr::bytes(CKA_EC_PARAMS, [6, 8, 42, 134, 72, 206, 61, 3, 1, 7]),
        Attr::bytes(CKA_VALUE, scalar.bytes()),
        Attr::label("the label of a private key"),
    ];
    let ec = session.create_object(&[&ec[..], &private].concat()).expect("C_CreateObject");
    let object = [Attr::class(CKO_DATA), Attr::bytes(CKA_VALUE, data.bytes())];
    session.create_object(&[&object[..], &private].concat()).expect("C_CreateObject");
    let copy = session.copy(ec, &[Attr::label("copy")]).expect("C_CopyObject");
    session.set(copy, &[Attr::bytes(CKA_ID, b"changed")]).expect("C_SetAttributeValue");
    session.set_pin(USER_PIN, "another-pin-12345").expect("C_SetPIN");
    for round in ["written", "closed"] {
        for secret in [secret, generic, scalar, data] {
            assert_eq!(in_files(secret, directory), 0, "{} bytes, {round}", secret.len);
        }
        for text in [USER_PIN, SO_PIN, "another-pin-12345", "the label of a private key"] {
            let files = std::fs::read_dir(directory.join("tokens")).expect("the token directory");
            for path in files.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_file()) {
                let bytes = std::fs::read(&path).expect("a file");
                let there = bytes.windows(text.len()).any(|window| window == text.as_bytes());
                assert!(!there, "{text:?} in {}, {round}", path.display());
            }
        }
        session.destroy(copy).ok();
    }
    // The search would have found something: a public object's value is there to be read without a login.
    let shown = Known { seed: 90, len: 48 };
    let public = [Attr::class(CKO_DATA), Attr::bytes(CKA_VALUE, shown.bytes()), Attr::bool(CKA_TOKEN, true)];
    session
        .create_object(&[&public[..], &[Attr::bool(CKA_PRIVATE, false)]].concat())
        .expect("C_CreateObject");
    assert!(in_files(shown, directory) > 0);
}
