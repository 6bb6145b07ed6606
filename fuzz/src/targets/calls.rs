//! Call after call in two sessions, with operations begun, gone on with in another function, and left. What must hold: a
//! call answers, the module goes on working, and an operation's answer is the same however it came about.

use crate::{Input, PIN, mechanism, template};
use pkcs11_client::cryptoki_sys::*;
use pkcs11_client::{Attr, Mechanism, Session, input};
use std::ptr;

/// One call out of those that begin, go on with or end an operation, or take the ground from under it.
fn call(sessions: &mut [Session; 2], keys: &mut Vec<CK_OBJECT_HANDLE>, from: &mut Input<'_>) {
    let which = from.below(2);
    let (what, key) = (from.below(40), from.pick(keys));
    let (s, handle, f) = (&sessions[which], sessions[which].handle(), sessions[which].f());
    let _ = match what {
        0 => s.encrypt_init(&mechanism(from), key),
        1 => s.decrypt_init(&mechanism(from), key),
        2 => s.sign_init(&mechanism(from), key),
        3 => s.verify_init(&mechanism(from), key),
        4 => s.digest_init(&mechanism(from)),
        5 => s.sign_recover_init(&mechanism(from), key),
        6 => s.verify_recover_init(&mechanism(from), key),
        7 => s.encrypt_update(from.bytes(100)).map(drop),
        8 => s.decrypt_update(from.bytes(100)).map(drop),
        9 => s.sign_update(from.bytes(100)).map(drop),
        10 => s.verify_update(from.bytes(100)).map(drop),
        11 => s.digest_update(from.bytes(100)).map(drop),
        12 => s.digest_key(key),
        13 => s.encrypt_final().map(drop),
        14 => s.decrypt_final().map(drop),
        15 => s.sign_final().map(drop),
        16 => s.verify_final(from.bytes(255)).map(drop),
        17 => s.digest_final().map(drop),
        18 => s.sign_once(from.bytes(100)).map(drop),
        19 => s.verify_once(from.bytes(100), from.bytes(255)),
        20 => s.find_init(&template(from, 1)),
        21 => s.find_next(from.below(20)).map(drop),
        22 => s.find_final(),
        23 => s.session_cancel(from.number()),
        24 if from.one_in(8) => s.logout(),
        25 => s.login(CKU_USER, PIN),
        26 => s.login(CKU_CONTEXT_SPECIFIC, PIN),
        27 => s.operation_state().map(drop),
        28 => s.create_object(&template(from, 1)).map(|made| keys.push(made)),
        29 => s.copy(key, &template(from, 1)).map(|made| keys.push(made)),
        30 => s.destroy(key),
        31 => s.set(key, &template(from, 1)),
        32 => s.generate_key(&mechanism(from), &template(from, 1)).map(|made| keys.push(made)),
        33 => s.object_size(key).map(drop),
        34 => s.attribute(key, from.pick(coffer_pkcs11::object::attribute::ALL)).map(drop),
        35 => {
            // Outputs of the caller's own mind: a length that is there, more or less than is wanted.
            let mut out = vec![0; from.below(300)];
            let (mut len, data) = (out.len() as CK_ULONG, from.bytes(100));
            let at = if from.one_in(4) { ptr::null_mut() } else { out.as_mut_ptr() };
            let call = from.pick(&[f.C_Encrypt, f.C_Decrypt, f.C_Sign, f.C_Digest, f.C_EncryptUpdate]);
            // SAFETY: the buffers are as long as said.
            unsafe {
                call.expect("a function")(handle, input(data), data.len() as CK_ULONG, at, &raw mut len);
            }
            Ok(())
        }
        36 => {
            // In place, as section 5.2 allows.
            let mut buffer = from.bytes(200).to_vec();
            let mut len = buffer.len() as CK_ULONG;
            let call = from.pick(&[f.C_EncryptUpdate, f.C_DecryptUpdate, f.C_Encrypt, f.C_Decrypt]);
            // SAFETY: one buffer, as long as said.
            unsafe {
                let at = buffer.as_mut_ptr();
                call.expect("a function")(handle, at, len, at, &raw mut len);
            }
            Ok(())
        }
        37 => {
            let (module, (_, slot)) = (s.module(), crate::token());
            let fresh = module.open_session(slot, from.one_in(2));
            fresh.map(|fresh| sessions[which] = fresh)
        }
        38 => s.verify_signature_init(&mechanism(from), key, from.bytes(255)),
        _ => s.random(from.below(2000)).map(drop),
    };
}

/// FIPS 197, appendix B, whatever went before.
fn still_right() {
    let session = crate::session();
    let key = b"\x2b\x7e\x15\x16\x28\xae\xd2\xa6\xab\xf7\x15\x88\x09\xcf\x4f\x3c";
    let template = [
        Attr::class(CKO_SECRET_KEY),
        Attr::key_type(CKK_AES),
        Attr::bytes(CKA_VALUE, key),
        Attr::bool(CKA_ENCRYPT, true),
    ];
    let key = session.create_object(&template).expect("C_CreateObject");
    let block = b"\x32\x43\xf6\xa8\x88\x5a\x30\x8d\x31\x31\x98\xa2\xe0\x37\x07\x34";
    let answer = session.encrypt(&Mechanism::new(CKM_AES_ECB), key, block).expect("C_Encrypt");
    assert_eq!(answer, b"\x39\x25\x84\x1d\x02\xdc\x09\xfb\xdc\x11\x85\x97\x19\x6a\x0b\x32");
    session.destroy(key).expect("C_DestroyObject");
}

/// One input.
pub fn run(data: &[u8]) {
    let first = crate::session();
    let (module, slot) = crate::token();
    let mut keys = crate::cheap_keys(&first);
    let mut sessions = [first, module.open_session(slot, true).expect("C_OpenSession")];
    let mut from = Input(data);
    for _ in 0..40 {
        if from.is_empty() {
            break;
        }
        call(&mut sessions, &mut keys, &mut from);
    }
    still_right();
}
