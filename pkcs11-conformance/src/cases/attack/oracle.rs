//! Attacks by asking: padding oracles of RSA and CBC (rows 12 and 13). What comes for a broken input must not tell how it
//! is broken.

use crate::case::{Case, Outcome, Setup, Stop};
use crate::client::{Attr, Mechanism, Rv};
use crate::context::{Context, FINE, that, yes};
use cryptoki_sys::*;

const CHAPTER: &str = "Attacks: oracles";
const MODULUS: usize = 256;

/// Encoded messages for CKM_RSA_PKCS: name, and bytes before the 16 bytes of payload. The first is right.
fn encodings() -> Vec<(&'static str, Vec<u8>)> {
    let good = |pad: usize, inner: usize| [&[0, 2][..], &vec![0x11; pad], &[0], &vec![7; inner]].concat();
    let right = good(MODULUS - 19, 16);
    let with = |at: usize, value: u8| {
        let mut message = right.clone();
        message[at] = value;
        message
    };
    vec![
        ("right", right.clone()),
        ("first byte 1", with(0, 1)),
        ("second byte 1", with(1, 1)),
        ("second byte 0", with(1, 0)),
        ("no separator", [&[0, 2][..], &[0x11; MODULUS - 2]].concat()),
        ("short padding", with(5, 0)),
        ("another length", good(MODULUS - 34, 31)),
        ("no payload", good(MODULUS - 3, 0)),
    ]
}

pub fn cases() -> Vec<Case> {
    let case = |id: &str, does: &str, run: fn(&Context) -> Outcome| {
        Case::new(format!("attack.{id}"), CHAPTER, does, &[CKR_OK], run)
    };
    vec![
        case(
            "12.rsa-decrypt",
            "decrypts right and broken RSA PKCS#1 v1.5 messages: one answer for all",
            |x| {
                rsa_answers(x, CKF_DECRYPT, CKA_DECRYPT, |x, private, message| {
                    Rv::of(&x.s().decrypt(&Mechanism::new(CKM_RSA_PKCS), private, message))
                })
            },
        ),
        case(
            "12.rsa-unwrap",
            "unwraps right and broken RSA PKCS#1 v1.5 messages as an AES-128 key: one answer for all",
            |x| {
                // Some modules want the length in the template, some refuse it there.
                rsa_answers(x, CKF_UNWRAP, CKA_UNWRAP, |x, private, message| {
                    match unwrap(x, private, message, &[]) {
                        rv if rv == CKR_OK => rv,
                        _ => unwrap(x, private, message, &[Attr::ulong(CKA_VALUE_LEN, 16)]),
                    }
                })
            },
        ),
        case("12.oaep-decrypt", "decrypts broken OAEP messages: one answer for all", |x| {
            x.need(CKM_RSA_PKCS_OAEP, CKF_DECRYPT)?;
            x.need(CKM_RSA_X_509, CKF_ENCRYPT)?;
            let (public, private) =
                x.rsa(2048, &yes(&[CKA_ENCRYPT]), &yes(&[CKA_DECRYPT])).setup("C_GenerateKeyPair")?;
            let oaep = Mechanism::oaep(CKM_SHA_1, CKG_MGF1_SHA1, &[]);
            let answers = [0u8, 1, 2, 0x7f].iter().map(|&first| {
                let message = x.s().encrypt(
                    &Mechanism::new(CKM_RSA_X_509),
                    public,
                    &[&[first][..], &[0x33; 255]].concat(),
                );
                Ok(Rv::of(&x.s().decrypt(&oaep, private, &message.setup("C_Encrypt")?)))
            });
            same(&answers.collect::<Result<Vec<_>, Stop>>()?)
        }),
        case("13.cbc-pad-decrypt", "decrypts CBC messages with broken padding: one answer for all", |x| {
            x.need(CKM_AES_CBC_PAD, CKF_DECRYPT)?;
            cbc_answers(
                x,
                CKA_DECRYPT,
                |x, key, message| {
                    Rv::of(&x.s().decrypt(&Mechanism::bytes(CKM_AES_CBC_PAD, &[0; 16]), key, message))
                },
                &[PAD_0, PAD_17, PAD_MIXED],
            )
        }),
        case(
            "13.cbc-pad-unwrap",
            "unwraps CBC messages with broken padding, or of a wrong length: one answer for all",
            |x| {
                x.need(CKM_AES_CBC_PAD, CKF_UNWRAP)?;
                cbc_answers(
                    x,
                    CKA_UNWRAP,
                    |x, key, message| {
                        let template = [
                            Attr::class(CKO_SECRET_KEY),
                            Attr::key_type(CKK_AES),
                            Attr::bool(CKA_TOKEN, false),
                        ];
                        Rv::of(&x.s().unwrap(
                            &Mechanism::bytes(CKM_AES_CBC_PAD, &[0; 16]),
                            key,
                            message,
                            &template,
                        ))
                    },
                    &[PAD_0, PAD_17, PAD_MIXED, PAD_1],
                )
            },
        ),
    ]
}

type Ask = fn(&Context, CK_OBJECT_HANDLE, &[u8]) -> Rv;

/// Last blocks whose padding is broken; [`PAD_1`] is right and leaves 31 bytes, which are no AES key.
const PAD_0: [u8; 16] = [0; 16];
const PAD_17: [u8; 16] = [17; 16];
const PAD_MIXED: [u8; 16] = [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 9, 3];
const PAD_1: [u8; 16] = [1; 16];

fn rsa_answers(x: &Context, flag: CK_FLAGS, role: CK_ATTRIBUTE_TYPE, ask: Ask) -> Outcome {
    x.need(CKM_RSA_PKCS, flag)?;
    // Broken messages are made by raw encryption with the public key.
    x.need(CKM_RSA_X_509, CKF_ENCRYPT)?;
    let (public, private) = x.rsa(2048, &yes(&[CKA_ENCRYPT]), &yes(&[role])).setup("C_GenerateKeyPair")?;
    let answers = encodings().into_iter().map(|(name, encoding)| {
        // A raw message must be below the modulus; the module's own check would tell nothing.
        let message = x.s().encrypt(&Mechanism::new(CKM_RSA_X_509), public, &encoding).setup("C_Encrypt")?;
        Ok((name, ask(x, private, &message)))
    });
    let answers = answers.collect::<Result<Vec<_>, Stop>>()?;
    answers[0].1.ok().setup("the right message")?;
    that(answers.iter().all(|(_, rv)| *rv == CKR_OK), format!("{answers:?}"))?;
    FINE
}

fn unwrap(x: &Context, private: CK_OBJECT_HANDLE, message: &[u8], more: &[Attr]) -> Rv {
    let template = [Attr::class(CKO_SECRET_KEY), Attr::key_type(CKK_AES), Attr::bool(CKA_TOKEN, false)];
    Rv::of(&x.s().unwrap(&Mechanism::new(CKM_RSA_PKCS), private, message, &[&template[..], more].concat()))
}

fn cbc_answers(x: &Context, role: CK_ATTRIBUTE_TYPE, ask: Ask, ends: &[[u8; 16]]) -> Outcome {
    x.need(CKM_AES_CBC, CKF_ENCRYPT)?;
    // Two objects of one value, so that no key has two roles.
    let maker = x.import(CKK_AES, &[5; 32], &yes(&[CKA_ENCRYPT])).setup("C_CreateObject")?;
    let oracle = x.import(CKK_AES, &[5; 32], &yes(&[role])).setup("C_CreateObject")?;
    let answers = ends.iter().map(|end| {
        let plain = [&[0x44; 16][..], end].concat();
        let message =
            x.s().encrypt(&Mechanism::bytes(CKM_AES_CBC, &[0; 16]), maker, &plain).setup("C_Encrypt")?;
        Ok(ask(x, oracle, &message))
    });
    same(&answers.collect::<Result<Vec<_>, Stop>>()?)
}

fn same(answers: &[Rv]) -> Outcome {
    that(answers.iter().all(|rv| *rv == answers[0]), format!("{answers:?}"))?;
    that(answers[0] != CKR_OK, "a broken message was accepted")?;
    FINE
}
