//! Arguments that crashed other modules, each with the exact code that Coffer answers (the conformance suite sweeps all
//! functions and asks only for a refusal).

mod common;

use common::*;
use pkcs11_conformance::client::{Attr, Mechanism, Rv, Template};
use std::ffi::c_void;
use std::ptr;

const ABSURD: CK_ULONG = 1 << 60;
const NULL: *const c_void = ptr::null();

fn size() -> Attr {
    Attr::ulong(CKA_VALUE_LEN, 32)
}

#[test]
fn templates() {
    let token = TestToken::new();
    let aes = Mechanism::new(CKM_AES_KEY_GEN);
    for (name, template, code) in [
        ("a length at NULL", vec![Attr::raw(CKA_VALUE_LEN, NULL, 8)], CKR_ATTRIBUTE_VALUE_INVALID),
        ("a label at NULL", vec![size(), Attr::raw(CKA_LABEL, NULL, 8)], CKR_ATTRIBUTE_VALUE_INVALID),
        ("a length of one byte", vec![Attr::bytes(CKA_VALUE_LEN, [32])], CKR_ATTRIBUTE_VALUE_INVALID),
        ("a CK_BBOOL of eight", vec![size(), Attr::bytes(CKA_ENCRYPT, [1; 8])], CKR_ATTRIBUTE_VALUE_INVALID),
        (
            "a label of 2^60 bytes",
            vec![size(), Attr::raw(CKA_LABEL, ptr::dangling(), ABSURD)],
            CKR_ATTRIBUTE_VALUE_INVALID,
        ),
        ("one attribute twice", vec![size(), size()], CKR_TEMPLATE_INCONSISTENT),
        ("twice and different", vec![size(), Attr::ulong(CKA_VALUE_LEN, 16)], CKR_TEMPLATE_INCONSISTENT),
    ] {
        assert_eq!(token.session.generate_key(&aes, &template), Err(Rv(code)), "{name}");
    }
}

#[test]
fn pointers_and_counts() {
    let token = TestToken::new();
    let (session, f) = (&token.session, token.session.f());
    let (handle, aes) = (session.handle(), Mechanism::new(CKM_AES_KEY_GEN));
    let mut rows = Template::new(&[size()]);
    let (mut key, mut count) = (CK_INVALID_HANDLE, 0);
    let mut room = [0u8; 64];
    let generate = f.C_GenerateKey.expect("C_GenerateKey");
    let find = f.C_FindObjectsInit.expect("C_FindObjectsInit");
    let random = f.C_GenerateRandom.expect("C_GenerateRandom");
    // SAFETY: what is wrong with the arguments is what the library must see.
    let codes = unsafe {
        [
            ("a template at NULL", generate(handle, aes.ptr(), ptr::null_mut(), 3, &raw mut key)),
            ("no place for the handle", generate(handle, aes.ptr(), rows.ptr(), 1, ptr::null_mut())),
            ("no mechanism", generate(handle, ptr::null_mut(), rows.ptr(), 1, &raw mut key)),
            ("2^60 rows", generate(handle, aes.ptr(), rows.ptr(), ABSURD, &raw mut key)),
            ("a search by 2^60 rows", find(handle, rows.ptr(), ABSURD)),
            ("a search by rows at NULL", find(handle, ptr::null_mut(), 1)),
            ("random bytes to NULL", random(handle, ptr::null_mut(), 16)),
            ("2^60 random bytes", random(handle, room.as_mut_ptr(), ABSURD)),
            (
                "no place for the count",
                f.C_GetSlotList.expect("C_GetSlotList")(CK_TRUE, ptr::null_mut(), ptr::null_mut()),
            ),
            ("no place for information", f.C_GetInfo.expect("C_GetInfo")(ptr::null_mut())),
            ("a PIN at NULL", f.C_Login.expect("C_Login")(handle, CKU_USER, ptr::null_mut(), 5)),
            (
                "objects to NULL",
                f.C_FindObjects.expect("C_FindObjects")(handle, ptr::null_mut(), 4, &raw mut count),
            ),
        ]
    };
    for (name, rv) in codes {
        assert_eq!(Rv(rv), Rv(CKR_ARGUMENTS_BAD), "{name}");
    }
    assert_eq!((key, session.find(&[])), (CK_INVALID_HANDLE, Ok(vec![])), "nothing was made");
}

#[test]
fn parameters_and_lengths() {
    let token = TestToken::new();
    let session = &token.session;
    let key =
        session.generate_key(&Mechanism::new(CKM_AES_KEY_GEN), &[size(), Attr::bool(CKA_ENCRYPT, true)]);
    let key = key.expect("C_GenerateKey");
    let gcm = |iv: *mut u8, iv_len, aad: *mut u8, aad_len| {
        Mechanism::with(CKM_AES_GCM, |_| CK_GCM_PARAMS {
            pIv: iv,
            ulIvLen: iv_len,
            ulIvBits: 96,
            pAAD: aad,
            ulAADLen: aad_len,
            ulTagBits: 128,
        })
    };
    let (null, mut iv) = (ptr::null_mut(), [1u8; 12]);
    for (name, mechanism) in [
        ("AAD at NULL", gcm(iv.as_mut_ptr(), 12, null, 16)),
        ("an IV at NULL", gcm(null, 12, null, 0)),
        ("an IV of 2^60 bytes", gcm(iv.as_mut_ptr(), ABSURD, null, 0)),
        ("AAD of 2^60 bytes", gcm(iv.as_mut_ptr(), 12, iv.as_mut_ptr(), ABSURD)),
        ("CBC's IV at NULL", Mechanism::raw(CKM_AES_CBC, NULL, 16)),
        ("CBC without an IV", Mechanism::new(CKM_AES_CBC)),
    ] {
        assert_eq!(session.encrypt_init(&mechanism, key), Err(Rv(CKR_MECHANISM_PARAM_INVALID)), "{name}");
    }
    for kind in [CKM_AES_CBC, CKM_AES_CBC_PAD] {
        let mechanism = Mechanism::bytes(kind, &[0; 16]);
        session.encrypt_init(&mechanism, key).expect("C_EncryptInit");
        let (encrypt, mut data, mut length) = (session.f().C_Encrypt.expect("C_Encrypt"), [0u8; 16], 0);
        // SAFETY: the length is the attack.
        let rv = unsafe {
            encrypt(session.handle(), data.as_mut_ptr(), CK_ULONG::MAX - 8, ptr::null_mut(), &raw mut length)
        };
        assert_eq!((Rv(rv), length), (Rv(CKR_ARGUMENTS_BAD), 0), "{kind:#x}");
        session.session_cancel(CKF_ENCRYPT).expect("C_SessionCancel");
    }
}
