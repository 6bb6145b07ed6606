//! The two-call rule (section 5.2), for each function that writes output: NULL asks the length; too little room gives
//! CKR_BUFFER_TOO_SMALL and the length, and leaves the operation as it was; enough room gives the output.

use crate::case::{Case, Outcome, Setup, Stop};
use crate::client::{Attr, Mechanism, Rv, Template, call, fill, input};
use crate::context::{Context, FINE, expect, that, yes};
use cryptoki_sys::*;
use std::ptr;

const CHAPTER: &str = "5.2 Output buffers";
const DATA: [u8; 64] = [9; 64];

/// The call that writes the output: context, handle of a key that was prepared, buffer, length.
type Call = fn(&Context, Prepared, *mut u8, *mut CK_ULONG) -> Rv;
type Prepare = fn(&Context) -> Result<Prepared, Stop>;
/// Two handles that a call may need.
type Prepared = (CK_OBJECT_HANDLE, CK_OBJECT_HANDLE);

const ROWS: &[(&str, Prepare, Call)] = &[
    (
        "C_Encrypt",
        |x| cipher(x, true),
        |x, _, at, n| call!(x.s().f(), C_Encrypt(x.s().handle(), input(&DATA), 64, at, n)),
    ),
    (
        "C_EncryptUpdate",
        |x| cipher(x, true),
        |x, _, at, n| call!(x.s().f(), C_EncryptUpdate(x.s().handle(), input(&DATA), 64, at, n)),
    ),
    ("C_EncryptFinal", padded_part, |x, _, at, n| call!(x.s().f(), C_EncryptFinal(x.s().handle(), at, n))),
    (
        "C_Decrypt",
        |x| cipher(x, false),
        |x, _, at, n| call!(x.s().f(), C_Decrypt(x.s().handle(), input(&DATA), 64, at, n)),
    ),
    (
        "C_DecryptUpdate",
        |x| cipher(x, false),
        |x, _, at, n| call!(x.s().f(), C_DecryptUpdate(x.s().handle(), input(&DATA), 64, at, n)),
    ),
    ("C_Digest", digest, |x, _, at, n| call!(x.s().f(), C_Digest(x.s().handle(), input(&DATA), 64, at, n))),
    ("C_DigestFinal", digest, |x, _, at, n| call!(x.s().f(), C_DigestFinal(x.s().handle(), at, n))),
    ("C_Sign", hmac, |x, _, at, n| call!(x.s().f(), C_Sign(x.s().handle(), input(&DATA), 64, at, n))),
    ("C_SignFinal", hmac, |x, _, at, n| call!(x.s().f(), C_SignFinal(x.s().handle(), at, n))),
    ("C_Sign.rsa", rsa_sign, |x, _, at, n| call!(x.s().f(), C_Sign(x.s().handle(), input(&DATA), 64, at, n))),
    ("C_Sign.ecdsa", ecdsa, |x, _, at, n| call!(x.s().f(), C_Sign(x.s().handle(), input(&DATA), 32, at, n))),
    ("C_SignRecover", rsa_recover, |x, _, at, n| {
        call!(x.s().f(), C_SignRecover(x.s().handle(), input(&DATA), 64, at, n))
    }),
    ("C_DigestEncryptUpdate", dual, |x, _, at, n| {
        call!(x.s().f(), C_DigestEncryptUpdate(x.s().handle(), input(&DATA), 64, at, n))
    }),
    ("C_GetOperationState", digest, |x, _, at, n| {
        call!(x.s().f(), C_GetOperationState(x.s().handle(), at, n))
    }),
    ("C_WrapKey", wrap, |x, (wrapping, key), at, n| {
        let m = wrap_mechanism(x).unwrap_or(CKM_AES_KEY_WRAP);
        call!(x.s().f(), C_WrapKey(x.s().handle(), Mechanism::new(m).ptr(), wrapping, key, at, n))
    }),
    ("C_EncapsulateKey", kem, |x, (public, _), at, n| {
        let Some(list) = x.module.v3_2() else { return Rv::ABSENT };
        let mut template = Template::new(&[
            Attr::class(CKO_SECRET_KEY),
            Attr::key_type(CKK_GENERIC_SECRET),
            Attr::bool(CKA_TOKEN, false),
        ]);
        let mut key = 0;
        let m = Mechanism::new(CKM_ML_KEM);
        let rows = (template.ptr(), template.count());
        call!(list, C_EncapsulateKey(x.s().handle(), m.ptr(), public, rows.0, rows.1, at, n, &raw mut key))
    }),
];

pub fn cases() -> Vec<Case> {
    let rule = |&(name, prepare, call): &(&'static str, Prepare, Call)| {
        let does = format!("{name}: asks the length, gives too little room, then enough");
        Case::new(format!("buffer.{name}"), CHAPTER, does, &[CKR_OK], move |x| two_calls(x, prepare, call))
    };
    let null_length = |&(name, prepare, call): &(&'static str, Prepare, Call)| {
        let does = format!("{name}: gives NULL for the length");
        Case::new(format!("buffer.null-length.{name}"), CHAPTER, does, &[CKR_ARGUMENTS_BAD], move |x| {
            let prepared = prepare(x)?;
            let mut room = [0u8; 4096];
            Ok(call(x, prepared, room.as_mut_ptr(), ptr::null_mut()))
        })
    };
    ROWS.iter().map(rule).chain(ROWS.iter().map(null_length)).collect()
}

fn two_calls(x: &Context, prepare: Prepare, call: Call) -> Outcome {
    let prepared = prepare(x)?;
    let mut asked: CK_ULONG = 0;
    call(x, prepared, ptr::null_mut(), &raw mut asked).ok().setup("the query")?;
    that(asked > 0, "the query says 0")?;
    let (rv, _, left) = fill(asked as usize - 1, |at, n| call(x, prepared, at, n));
    // The query may name more than the output will take; then one byte less may be enough, and the rule is kept.
    if rv != CKR_OK {
        expect("one byte too little", &rv.ok(), &[CKR_BUFFER_TOO_SMALL])?;
        that(
            left == asked,
            format!("one byte too little leaves {left} as the length, the query said {asked}"),
        )?;
        let (rv, _, _) = fill(0, |at, n| call(x, prepared, at, n));
        expect("no room", &rv.ok(), &[CKR_BUFFER_TOO_SMALL])?;
        let (rv, output, _) = fill(asked as usize, |at, n| call(x, prepared, at, n));
        expect("enough room", &rv.ok(), &[CKR_OK])?;
        that(!output.is_empty() && output != vec![0; output.len()], "nothing was written")?;
    }
    FINE
}

fn cipher(x: &Context, encrypt: bool) -> Result<Prepared, Stop> {
    x.need(CKM_AES_CBC, CKF_ENCRYPT | CKF_DECRYPT)?;
    let key = x.aes(32, &yes(&[CKA_ENCRYPT, CKA_DECRYPT])).setup("C_GenerateKey")?;
    let cbc = Mechanism::bytes(CKM_AES_CBC, &[0; 16]);
    if encrypt { x.s().encrypt_init(&cbc, key) } else { x.s().decrypt_init(&cbc, key) }.setup("Init")?;
    Ok((key, 0))
}

fn padded_part(x: &Context) -> Result<Prepared, Stop> {
    x.need(CKM_AES_CBC_PAD, CKF_ENCRYPT)?;
    let key = x.aes(32, &yes(&[CKA_ENCRYPT])).setup("C_GenerateKey")?;
    x.s().encrypt_init(&Mechanism::bytes(CKM_AES_CBC_PAD, &[0; 16]), key).setup("C_EncryptInit")?;
    x.s().encrypt_update(&[1; 5]).setup("C_EncryptUpdate")?;
    Ok((key, 0))
}

fn digest(x: &Context) -> Result<Prepared, Stop> {
    x.need(CKM_SHA256, CKF_DIGEST)?;
    x.s().digest_init(&Mechanism::new(CKM_SHA256)).setup("C_DigestInit").map(|()| (0, 0))
}

fn dual(x: &Context) -> Result<Prepared, Stop> {
    cipher(x, true)?;
    // A token may run one operation a session only.
    digest(x).map_err(|_| Stop::NotOffered("two operations at once".into()))
}

fn hmac(x: &Context) -> Result<Prepared, Stop> {
    x.need(CKM_SHA256_HMAC, CKF_SIGN)?;
    let key = x.import(CKK_GENERIC_SECRET, &[3; 32], &yes(&[CKA_SIGN])).setup("C_CreateObject")?;
    x.s().sign_init(&Mechanism::new(CKM_SHA256_HMAC), key).setup("C_SignInit").map(|()| (key, 0))
}

fn rsa_sign(x: &Context) -> Result<Prepared, Stop> {
    x.need(CKM_RSA_PKCS, CKF_SIGN)?;
    let (_, private) = x.rsa(2048, &yes(&[CKA_VERIFY]), &yes(&[CKA_SIGN])).setup("C_GenerateKeyPair")?;
    x.s().sign_init(&Mechanism::new(CKM_RSA_PKCS), private).setup("C_SignInit").map(|()| (private, 0))
}

fn rsa_recover(x: &Context) -> Result<Prepared, Stop> {
    x.need(CKM_RSA_PKCS, CKF_SIGN_RECOVER)?;
    let (_, private) = x.rsa(2048, &[], &yes(&[CKA_SIGN_RECOVER])).setup("C_GenerateKeyPair")?;
    x.s()
        .sign_recover_init(&Mechanism::new(CKM_RSA_PKCS), private)
        .setup("C_SignRecoverInit")
        .map(|()| (private, 0))
}

fn ecdsa(x: &Context) -> Result<Prepared, Stop> {
    x.need(CKM_ECDSA, CKF_SIGN)?;
    let (_, private) =
        x.ec(crate::context::P256, &yes(&[CKA_VERIFY]), &yes(&[CKA_SIGN])).setup("C_GenerateKeyPair")?;
    x.s().sign_init(&Mechanism::new(CKM_ECDSA), private).setup("C_SignInit").map(|()| (private, 0))
}

fn wrap_mechanism(x: &Context) -> Result<CK_MECHANISM_TYPE, Stop> {
    x.first(&[CKM_AES_KEY_WRAP_KWP, CKM_AES_KEY_WRAP, CKM_AES_KEY_WRAP_PAD], CKF_WRAP)
}

fn wrap(x: &Context) -> Result<Prepared, Stop> {
    wrap_mechanism(x)?;
    let wrapping = x.aes(32, &yes(&[CKA_WRAP])).setup("the wrapping key")?;
    let key = x.aes(32, &yes(&[CKA_EXTRACTABLE])).setup("the key")?;
    Ok((wrapping, key))
}

fn kem(x: &Context) -> Result<Prepared, Stop> {
    x.need(CKM_ML_KEM, CKF_ENCAPSULATE)?;
    let set = [Attr::ulong(CKA_PARAMETER_SET, CKP_ML_KEM_768)];
    x.pair(CKM_ML_KEM_KEY_PAIR_GEN, &set, &yes(&[CKA_ENCAPSULATE]), &yes(&[CKA_DECAPSULATE]))
        .setup("C_GenerateKeyPair")
}
