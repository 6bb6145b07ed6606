//! The rule of section 5.2 for output buffers, on every function that has one; and which call is allowed when.

use super::*;
use pkcs11_conformance::client::{Template, two_call};
use std::ptr;

const UNTOUCHED: u8 = 0xC3;

/// One output function, ready to be called as often as its rule allows.
type Call<'a> = Box<dyn Fn(*mut u8, *mut CK_ULONG) -> Rv + 'a>;

/// Holds `call` to the rule: a query, a buffer of no bytes, one byte short, exact. What comes out at last.
fn rule(name: &str, call: Call<'_>) -> Vec<u8> {
    let mut len = 0;
    assert_eq!(call(ptr::null_mut(), &raw mut len), Rv(CKR_OK), "{name}: the length");
    let asked = len as usize;
    assert_eq!(
        call(ptr::null_mut(), ptr::null_mut()),
        Rv(CKR_ARGUMENTS_BAD),
        "{name}: nowhere for the length"
    );
    // What was asked for may be more than is needed; what a short buffer is told is what it then takes.
    let (mut room, mut told) = (asked.saturating_sub(1), asked);
    for _ in 0..2 {
        let mut memory = vec![UNTOUCHED; asked + 64];
        len = room as CK_ULONG;
        let rv = call(memory.as_mut_ptr(), &raw mut len);
        if rv == CKR_OK {
            assert!(len as usize <= room, "{name}: {len} bytes in {room}");
            assert!(memory[room..].iter().all(|byte| *byte == UNTOUCHED), "{name}: written past {room}");
            memory.truncate(len as usize);
            return memory;
        }
        assert_eq!(rv, CKR_BUFFER_TOO_SMALL, "{name}: {room} of {asked}");
        told = len as usize;
        assert!(told > room && told <= asked, "{name}: {told} where {asked} were asked for, {room} given");
        assert!(memory.iter().all(|byte| *byte == UNTOUCHED), "{name}: written though too short");
        room = told - 1;
    }
    let mut memory = vec![UNTOUCHED; told + 64];
    len = told as CK_ULONG;
    assert_eq!(call(memory.as_mut_ptr(), &raw mut len), Rv(CKR_OK), "{name}: exact");
    assert!(len as usize <= told, "{name}: {len} bytes in {told}");
    assert!(memory[told..].iter().all(|byte| *byte == UNTOUCHED), "{name}: written past {told}");
    memory.truncate(len as usize);
    memory
}

/// `$f`, called with the session, then these arguments, then buffer and length.
macro_rules! output {
    ($session:expr, $list:expr, $f:ident $(, $arg:expr)*) => {{
        let (handle, f) = ($session.handle(), $list.$f.expect(stringify!($f)));
        // SAFETY: live arguments, and the room that the rule's test says.
        rule(stringify!($f), Box::new(|at, len| Rv(unsafe { f(handle, $($arg,)* at, len) })))
    }};
}

#[test]
fn every_cipher_and_digest_function_keeps_the_rule() {
    let keys = Keys::new();
    let session = keys.session();
    let f = session.f();
    let data = noise(100);
    let (at, len) = (data.as_ptr().cast_mut(), data.len() as CK_ULONG);
    for row in rows(|row| row.cipher.is_some()) {
        let (public, private) = keys.of(row);
        let wanted = [96, 16, 100]
            .into_iter()
            .find(|len| session.encrypt(&mechanism(row, *len), public, &data[..*len]).is_ok());
        let len = wanted.unwrap_or_else(|| panic!("{} encrypts nothing", row.name)) as CK_ULONG;
        let with = mechanism(row, len as usize);
        session.encrypt_init(&with, public).expect(row.name);
        let sealed = output!(session, f, C_Encrypt, at, len);
        session.decrypt_init(&with, private).expect(row.name);
        let opened = output!(session, f, C_Decrypt, sealed.as_ptr().cast_mut(), sealed.len() as CK_ULONG);
        assert!(opened.ends_with(&data[..len as usize]), "{}", row.name);

        session.encrypt_init(&with, public).expect(row.name);
        let query = two_call(|out, room| {
            // SAFETY: as above.
            Rv(unsafe { f.C_EncryptUpdate.expect("C_EncryptUpdate")(session.handle(), at, 7, out, room) })
        });
        session.session_cancel(CKF_ENCRYPT).expect("C_SessionCancel");
        if query.is_err() {
            continue;
        }
        session.encrypt_init(&with, public).expect(row.name);
        let mut sealed = output!(session, f, C_EncryptUpdate, at, 7);
        sealed.extend(output!(session, f, C_EncryptUpdate, at.wrapping_add(7), len - 7));
        sealed.extend(output!(session, f, C_EncryptFinal));
        session.decrypt_init(&with, private).expect(row.name);
        let mut opened =
            output!(session, f, C_DecryptUpdate, sealed.as_ptr().cast_mut(), sealed.len() as CK_ULONG);
        opened.extend(output!(session, f, C_DecryptFinal));
        assert_eq!(opened, &data[..len as usize], "{} in parts", row.name);
    }
    for row in rows(|row| row.digest.is_some()) {
        session.digest_init(&Mechanism::new(row.number)).expect(row.name);
        let whole = output!(session, f, C_Digest, at, len);
        session.digest_init(&Mechanism::new(row.number)).expect(row.name);
        session.digest_update(&data).expect(row.name);
        assert_eq!(output!(session, f, C_DigestFinal), whole, "{}", row.name);
    }
}

#[test]
fn every_function_that_signs_keeps_the_rule() {
    let keys = Keys::new();
    let session = keys.session();
    let f = session.f();
    for row in rows(|row| row.sign.is_some()) {
        let (public, private) = keys.of(row);
        let fits = |len: &usize| session.sign(&mechanism(row, *len), private, &noise(*len)).is_ok();
        let len = [32, 20, 64, 28, 48].into_iter().find(fits).unwrap_or_else(|| panic!("{}", row.name));
        let (data, with) = (noise(len), mechanism(row, len));
        let at = data.as_ptr().cast_mut();
        session.sign_init(&with, private).expect(row.name);
        let signature = output!(session, f, C_Sign, at, len as CK_ULONG);
        assert_eq!(session.verify(&with, public, &data, &signature), Ok(()), "{}", row.name);
        session.sign_init(&with, private).expect(row.name);
        if session.sign_update(&data).is_ok() {
            let signature = output!(session, f, C_SignFinal);
            assert_eq!(session.verify(&with, public, &data, &signature), Ok(()), "{} in parts", row.name);
        }
    }
    for row in rows(|row| row.recover.is_some()) {
        let (public, private) = keys.of(row);
        let data = noise(100);
        session.sign_recover_init(&mechanism(row, 100), private).expect(row.name);
        let signed = output!(session, f, C_SignRecover, data.as_ptr().cast_mut(), 100);
        session.verify_recover_init(&mechanism(row, 100), public).expect(row.name);
        let back = output!(session, f, C_VerifyRecover, signed.as_ptr().cast_mut(), signed.len() as CK_ULONG);
        assert!(back.ends_with(&data), "{}", row.name);
    }
}

#[test]
fn wrapping_and_kems_keep_the_rule() {
    let keys = Keys::new();
    let session = keys.session();
    let (f, f3) = (session.f(), session.module().v3_2().expect("3.2"));
    let uses = [CKA_WRAP, CKA_UNWRAP, CKA_EXTRACTABLE].map(|kind| Attr::bool(kind, true));
    let mut template = uses.to_vec();
    template.push(Attr::ulong(CKA_VALUE_LEN, 32));
    let key = session.generate_key(&Mechanism::new(CKM_AES_KEY_GEN), &template).expect("C_GenerateKey");
    let (with, gcm) = (Mechanism::new(CKM_AES_KEY_WRAP_KWP), Mechanism::gcm(CKM_AES_GCM, &[7; 12], &[], 128));
    let (with_at, gcm_at) = (with.ptr(), gcm.ptr());
    let wrapped = output!(session, f, C_WrapKey, with_at, key, key);
    assert_eq!(wrapped.len(), 40);
    assert_eq!(output!(session, f, C_WrapKey, gcm_at, key, key).len(), 48);

    let (public, private) = session
        .generate_key_pair(
            &Mechanism::new(CKM_ML_KEM_KEY_PAIR_GEN),
            &[Attr::ulong(CKA_PARAMETER_SET, CKP_ML_KEM_768), Attr::bool(CKA_ENCAPSULATE, true)],
            &[Attr::bool(CKA_DECAPSULATE, true)],
        )
        .expect("C_GenerateKeyPair");
    let mut template = Template::new(&[Attr::ulong(CKA_VALUE_LEN, 32), Attr::label("encapsulated")]);
    let (kem, template_at, count) = (Mechanism::new(CKM_ML_KEM), template.ptr(), template.count());
    let mut secret = CK_INVALID_HANDLE;
    let (kem_at, secret_at) = (kem.ptr(), &raw mut secret);
    let encapsulate = f3.C_EncapsulateKey.expect("C_EncapsulateKey");
    let handle = session.handle();
    let call: Call<'_> = Box::new(move |at, len| {
        // SAFETY: live arguments, and the room that the rule's test says.
        Rv(unsafe { encapsulate(handle, kem_at, public, template_at, count, at, len, secret_at) })
    });
    let ciphertext = rule("C_EncapsulateKey", call);
    assert_eq!(session.find(&[Attr::label("encapsulated")]), Ok(vec![secret]), "one key for all those calls");
    session
        .decapsulate(&kem, private, &ciphertext, &[Attr::ulong(CKA_VALUE_LEN, 32)])
        .expect("C_DecapsulateKey");
}

#[test]
fn lists_keep_the_rule() {
    let keys = Keys::new();
    let (session, slot) = (keys.session(), keys.token.slot);
    let f = session.f();
    let (slots, mechanisms) = (f.C_GetSlotList.expect("listed"), f.C_GetMechanismList.expect("listed"));
    type List<'a> = Box<dyn Fn(*mut CK_ULONG, *mut CK_ULONG) -> CK_RV + 'a>;
    let lists: [(&str, List<'_>); 2] = [
        // SAFETY: room as said.
        ("C_GetSlotList", Box::new(move |at, count| unsafe { slots(CK_TRUE, at, count) })),
        // SAFETY: room as said.
        ("C_GetMechanismList", Box::new(move |at, count| unsafe { mechanisms(slot, at, count) })),
    ];
    for (name, list) in lists {
        let mut count = 0;
        assert_eq!(list(ptr::null_mut(), &raw mut count), CKR_OK, "{name}");
        // Other tests make tokens meanwhile, so there may be more slots than a moment ago.
        let there = count as usize;
        assert!(there > 0, "{name}");
        let mut room = vec![0xC3C3 as CK_ULONG; there + 1000];
        count = there as CK_ULONG - 1;
        assert_eq!(list(room.as_mut_ptr(), &raw mut count), CKR_BUFFER_TOO_SMALL, "{name}");
        assert!(count as usize >= there, "{name}");
        assert!(room.iter().all(|row| *row == 0xC3C3), "{name}: written though too short");
        count = room.len() as CK_ULONG;
        assert_eq!(list(room.as_mut_ptr(), &raw mut count), CKR_OK, "{name}");
        assert!(room[count as usize..].iter().all(|row| *row == 0xC3C3), "{name}");
        assert_eq!(list(room.as_mut_ptr(), ptr::null_mut()), CKR_ARGUMENTS_BAD, "{name}");
    }
}
