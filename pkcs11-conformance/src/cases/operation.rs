//! Running operations (sections 5.8 to 5.15): what begins, goes on and ends one; a table of the five kinds.

use crate::case::{Case, Outcome, Setup, Stop};
use crate::client::{Attr, Mechanism, Result as Called, Rv, Session, call};
use crate::context::{Context, FINE, expect, that, yes};
use cryptoki_sys::*;
use std::ptr;

const CHAPTER: &str = "5.8-5.15 Operations";
/// Two blocks, so that every kind takes them.
const DATA: [u8; 32] = [7; 32];

/// One kind of operation: its name and its steps with a key and mechanism that fit.
#[derive(Clone, Copy)]
pub struct Operation {
    /// As in the function names.
    pub name: &'static str,
    /// The mechanism that is used, and the flag it must have.
    pub mechanism: (CK_MECHANISM_TYPE, CK_FLAGS),
    /// The function that begins it.
    pub init: fn(&Session, CK_OBJECT_HANDLE) -> Called<()>,
    /// In one part.
    pub once: fn(&Session) -> Called<()>,
    /// A part.
    pub update: fn(&Session) -> Called<()>,
    /// The end.
    pub last: fn(&Session) -> Called<()>,
}

/// The five kinds.
pub const OPERATIONS: &[Operation] = &[
    Operation {
        name: "encrypt",
        mechanism: (CKM_AES_CBC, CKF_ENCRYPT),
        init: |s, key| s.encrypt_init(&cbc(), key),
        once: |s| s.encrypt_once(&DATA).map(drop),
        update: |s| s.encrypt_update(&DATA).map(drop),
        last: |s| s.encrypt_final().map(drop),
    },
    Operation {
        name: "decrypt",
        mechanism: (CKM_AES_CBC, CKF_DECRYPT),
        init: |s, key| s.decrypt_init(&cbc(), key),
        once: |s| s.decrypt_once(&DATA).map(drop),
        update: |s| s.decrypt_update(&DATA).map(drop),
        last: |s| s.decrypt_final().map(drop),
    },
    Operation {
        name: "digest",
        mechanism: (CKM_SHA256, CKF_DIGEST),
        init: |s, _| s.digest_init(&Mechanism::new(CKM_SHA256)),
        once: |s| s.digest_once(&DATA).map(drop),
        update: |s| s.digest_update(&DATA),
        last: |s| s.digest_final().map(drop),
    },
    Operation {
        name: "sign",
        mechanism: (CKM_SHA256_HMAC, CKF_SIGN),
        init: |s, key| s.sign_init(&Mechanism::new(CKM_SHA256_HMAC), key),
        once: |s| s.sign_once(&DATA).map(drop),
        update: |s| s.sign_update(&DATA),
        last: |s| s.sign_final().map(drop),
    },
    Operation {
        name: "verify",
        mechanism: (CKM_SHA256_HMAC, CKF_VERIFY),
        init: |s, key| s.verify_init(&Mechanism::new(CKM_SHA256_HMAC), key),
        once: |s| s.verify_once(&DATA, &DATA),
        update: |s| s.verify_update(&DATA),
        last: |s| s.verify_final(&DATA),
    },
];

fn cbc() -> Mechanism {
    Mechanism::bytes(CKM_AES_CBC, &[0; 16])
}

impl Operation {
    /// A key for it (0 for a digest), on a module that offers it.
    pub fn key(&self, x: &Context) -> Result<CK_OBJECT_HANDLE, Stop> {
        x.need(self.mechanism.0, self.mechanism.1)?;
        match self.mechanism.0 {
            CKM_SHA256 => Ok(CK_INVALID_HANDLE),
            CKM_AES_CBC => x.aes(32, &yes(&[CKA_ENCRYPT, CKA_DECRYPT])).setup("C_GenerateKey"),
            _ => {
                x.import(CKK_GENERIC_SECRET, &[3; 32], &yes(&[CKA_SIGN, CKA_VERIFY])).setup("C_CreateObject")
            }
        }
    }
}

type Steps = fn(&Context, &Operation, CK_OBJECT_HANDLE) -> Outcome;

/// Rules for every kind: name, sentence, wanted codes, steps.
const RULES: &[(&str, &str, &[CK_RV], Steps)] = &[
    (
        "once-first",
        "the one-part function without a beginning",
        &[CKR_OPERATION_NOT_INITIALIZED],
        |x, o, _| Ok(Rv::of(&(o.once)(x.s()))),
    ),
    (
        "update-first",
        "the Update function without a beginning",
        &[CKR_OPERATION_NOT_INITIALIZED],
        |x, o, _| Ok(Rv::of(&(o.update)(x.s()))),
    ),
    ("final-first", "the Final function without a beginning", &[CKR_OPERATION_NOT_INITIALIZED], |x, o, _| {
        Ok(Rv::of(&(o.last)(x.s())))
    }),
    ("init-twice", "begins twice", &[CKR_OPERATION_ACTIVE], |x, o, key| {
        (o.init)(x.s(), key).setup("the first beginning")?;
        Ok(Rv::of(&(o.init)(x.s(), key)))
    }),
    ("ends-once", "goes on after the one-part function", &[CKR_OPERATION_NOT_INITIALIZED], |x, o, key| {
        (o.init)(x.s(), key).setup("beginning")?;
        let _ = (o.once)(x.s());
        Ok(Rv::of(&(o.update)(x.s())))
    }),
    ("ends-final", "goes on after the Final function", &[CKR_OPERATION_NOT_INITIALIZED], |x, o, key| {
        (o.init)(x.s(), key).setup("beginning")?;
        (o.update)(x.s()).setup("a part")?;
        let _ = (o.last)(x.s());
        Ok(Rv::of(&(o.update)(x.s())))
    }),
    (
        "once-after-update",
        "the one-part function in the middle of parts",
        &[CKR_OPERATION_ACTIVE, CKR_OPERATION_NOT_INITIALIZED, CKR_FUNCTION_FAILED],
        |x, o, key| {
            (o.init)(x.s(), key).setup("beginning")?;
            (o.update)(x.s()).setup("a part")?;
            Ok(Rv::of(&(o.once)(x.s())))
        },
    ),
    ("again", "two operations one after the other", &[CKR_OK], |x, o, key| {
        for _ in 0..2 {
            (o.init)(x.s(), key).setup("beginning")?;
            let _ = (o.once)(x.s());
        }
        Ok(Rv::of(&(o.init)(x.s(), key)))
    }),
    ("not-this-session", "goes on in another session", &[CKR_OPERATION_NOT_INITIALIZED], |x, o, key| {
        (o.init)(x.s(), key).setup("beginning")?;
        Ok(Rv::of(&(o.once)(&x.open(true)?)))
    }),
    (
        "init-fails-leaves-none",
        "begins with an unknown mechanism, then goes on",
        &[CKR_OPERATION_NOT_INITIALIZED],
        |x, o, key| {
            let unknown = Mechanism::new(0x7fff_fff0);
            let init = match o.name {
                "encrypt" => x.s().encrypt_init(&unknown, key),
                "decrypt" => x.s().decrypt_init(&unknown, key),
                "digest" => x.s().digest_init(&unknown),
                "sign" => x.s().sign_init(&unknown, key),
                _ => x.s().verify_init(&unknown, key),
            };
            expect("the beginning", &init, &[CKR_MECHANISM_INVALID])?;
            Ok(Rv::of(&(o.update)(x.s())))
        },
    ),
    (
        "null-mechanism-cancels",
        "cancels by a NULL mechanism (3.0), then goes on",
        &[CKR_OPERATION_NOT_INITIALIZED],
        |x, o, key| {
            (o.init)(x.s(), key).setup("beginning")?;
            let (f, s) = (x.s().f(), x.s().handle());
            let rv = match o.name {
                "encrypt" => call!(f, C_EncryptInit(s, ptr::null_mut(), 0)),
                "decrypt" => call!(f, C_DecryptInit(s, ptr::null_mut(), 0)),
                "digest" => call!(f, C_DigestInit(s, ptr::null_mut())),
                "sign" => call!(f, C_SignInit(s, ptr::null_mut(), 0)),
                _ => call!(f, C_VerifyInit(s, ptr::null_mut(), 0)),
            };
            if x.module.v3_0().is_none() {
                return Err(Stop::NotOffered("a 3.0 list".into()));
            }
            expect("the NULL mechanism", &rv.ok(), &[CKR_OK])?;
            Ok(Rv::of(&(o.update)(x.s())))
        },
    ),
    (
        "session-cancel",
        "cancels by C_SessionCancel, then goes on",
        &[CKR_OPERATION_NOT_INITIALIZED],
        |x, o, key| {
            (o.init)(x.s(), key).setup("beginning")?;
            x.s().session_cancel(o.mechanism.1).setup("C_SessionCancel")?;
            Ok(Rv::of(&(o.update)(x.s())))
        },
    ),
    (
        "destroyed-key",
        "destroys the key, then goes on: an answer, whichever",
        &[
            CKR_OK,
            CKR_OPERATION_NOT_INITIALIZED,
            CKR_KEY_HANDLE_INVALID,
            CKR_SIGNATURE_INVALID,
            CKR_SIGNATURE_LEN_RANGE,
            CKR_OBJECT_HANDLE_INVALID,
        ],
        |x, o, key| {
            (o.init)(x.s(), key).setup("beginning")?;
            if key != CK_INVALID_HANDLE {
                x.s().destroy(key).setup("C_DestroyObject")?;
            }
            Ok(Rv::of(&(o.once)(x.s())))
        },
    ),
];

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for operation in OPERATIONS {
        for &(rule, sentence, want, steps) in RULES {
            let id = format!("operation.{}.{rule}", operation.name);
            cases.push(Case::new(id, CHAPTER, format!("{}: {sentence}", operation.name), want, move |x| {
                let key = operation.key(x)?;
                steps(x, operation, key)
            }));
        }
        if operation.name != "digest" {
            let id = format!("operation.{}.unknown-key", operation.name);
            let does = format!("{}: begins with a key that is not there", operation.name);
            cases.push(Case::new(id, CHAPTER, does, &[CKR_KEY_HANDLE_INVALID], |x| {
                operation.key(x)?;
                Ok(Rv::of(&(operation.init)(x.s(), 0x7ead_beef)))
            }));
        }
    }
    for &(name, mechanism) in PARTS {
        let does =
            format!("{name}: parts of 1, 5, 16 and 17 bytes give what one part gives, and decrypt again");
        cases.push(Case::new(format!("operation.parts.{name}"), CHAPTER, does, &[CKR_OK], move |x| {
            parts(x, &mechanism())
        }));
    }
    cases.extend(singles());
    cases
}

type Make = fn() -> Mechanism;

/// Ciphers whose parts must join to the whole.
const PARTS: &[(&str, Make)] = &[
    ("aes-ecb", || Mechanism::new(CKM_AES_ECB)),
    ("aes-cbc", cbc),
    ("aes-cbc-pad", || Mechanism::bytes(CKM_AES_CBC_PAD, &[0; 16])),
    ("aes-ctr", || Mechanism::ctr(32, [1; 16])),
    ("aes-gcm", || Mechanism::gcm(CKM_AES_GCM, &[1; 12], b"aad", 128)),
    ("aes-ofb", || Mechanism::bytes(CKM_AES_OFB, &[0; 16])),
    ("aes-cfb128", || Mechanism::bytes(CKM_AES_CFB128, &[0; 16])),
    ("aes-cfb8", || Mechanism::bytes(CKM_AES_CFB8, &[0; 16])),
];

fn parts(x: &Context, mechanism: &Mechanism) -> Outcome {
    x.need(mechanism.number(), CKF_ENCRYPT | CKF_DECRYPT)?;
    let key = x.aes(32, &yes(&[CKA_ENCRYPT, CKA_DECRYPT])).setup("C_GenerateKey")?;
    let data: Vec<u8> = (0..160u8).collect();
    let whole = x.s().encrypt(mechanism, key, &data).setup("C_Encrypt")?;
    that(whole[..data.len()] != data[..], "the ciphertext is the plaintext")?;
    for size in [1, 5, 16, 17, 160] {
        let joined = x.s().encrypt_parts(mechanism, key, &data, size).setup("parts")?;
        that(joined == whole, format!("parts of {size} give another ciphertext"))?;
        let plain = x.s().decrypt_parts(mechanism, key, &whole, size).setup("decrypting parts")?;
        that(plain == data, format!("parts of {size} give another plaintext"))?;
    }
    that(x.s().decrypt(mechanism, key, &whole).setup("C_Decrypt")? == data, "another plaintext")?;
    FINE
}

fn singles() -> Vec<Case> {
    let case = |id: &str, does: &str, want: &'static [CK_RV], run: fn(&Context) -> Outcome| {
        Case::new(format!("operation.{id}"), CHAPTER, does, want, run)
    };
    vec![
        case("encrypt.ragged", "encrypts 15 bytes without padding", &[CKR_DATA_LEN_RANGE], |x| {
            let key = OPERATIONS[0].key(x)?;
            Ok(Rv::of(&x.s().encrypt(&cbc(), key, &[0; 15])))
        }),
        case("decrypt.ragged", "decrypts 15 bytes without padding", &[CKR_ENCRYPTED_DATA_LEN_RANGE], |x| {
            let key = OPERATIONS[1].key(x)?;
            Ok(Rv::of(&x.s().decrypt(&cbc(), key, &[0; 15])))
        }),
        case(
            "encrypt.ragged-ends-it",
            "goes on after data of a wrong length",
            &[CKR_OPERATION_NOT_INITIALIZED],
            |x| {
                let key = OPERATIONS[0].key(x)?;
                let _ = x.s().encrypt(&cbc(), key, &[0; 15]);
                Ok(Rv::of(&x.s().encrypt_once(&DATA)))
            },
        ),
        case("encrypt.in-place", "encrypts 64 bytes into the buffer they stand in", &[CKR_OK], |x| {
            let key = OPERATIONS[0].key(x)?;
            let want = x.s().encrypt(&cbc(), key, &[5; 64]).setup("C_Encrypt")?;
            x.s().encrypt_init(&cbc(), key).setup("C_EncryptInit")?;
            let (mut buffer, mut length) = ([5u8; 64], 64);
            let at = buffer.as_mut_ptr();
            let rv = call!(x.s().f(), C_Encrypt(x.s().handle(), at, 64, at, &raw mut length));
            that(buffer[..] == want, format!("{rv}, another ciphertext"))?;
            Ok(rv)
        }),
        case(
            "encrypt.shifted",
            "encrypts into the same buffer, a few bytes further: right or refused",
            &[CKR_OK, CKR_ARGUMENTS_BAD, CKR_FUNCTION_FAILED],
            |x| {
                let key = OPERATIONS[0].key(x)?;
                let want = x.s().encrypt(&cbc(), key, &[5; 64]).setup("C_Encrypt")?;
                x.s().encrypt_init(&cbc(), key).setup("C_EncryptInit")?;
                let (mut buffer, mut length) = ([5u8; 80], 64);
                let at = buffer.as_mut_ptr();
                let rv =
                    call!(x.s().f(), C_Encrypt(x.s().handle(), at, 64, at.wrapping_add(7), &raw mut length));
                that(rv != CKR_OK || buffer[7..71] == want, "CKR_OK and a wrong ciphertext")?;
                Ok(rv)
            },
        ),
        case(
            "encrypt.cbc-no-iv",
            "begins CBC without an IV",
            &[CKR_MECHANISM_PARAM_INVALID, CKR_ARGUMENTS_BAD],
            |x| {
                let key = OPERATIONS[0].key(x)?;
                Ok(Rv::of(&x.s().encrypt_init(&Mechanism::new(CKM_AES_CBC), key)))
            },
        ),
        case(
            "encrypt.cbc-short-iv",
            "begins CBC with an IV of 15 bytes",
            &[CKR_MECHANISM_PARAM_INVALID],
            |x| {
                let key = OPERATIONS[0].key(x)?;
                Ok(Rv::of(&x.s().encrypt_init(&Mechanism::bytes(CKM_AES_CBC, &[0; 15]), key)))
            },
        ),
        case(
            "encrypt.ecb-with-iv",
            "begins ECB with a parameter it does not take",
            &[CKR_MECHANISM_PARAM_INVALID, CKR_OK],
            |x| {
                x.need(CKM_AES_ECB, CKF_ENCRYPT)?;
                let key = OPERATIONS[0].key(x)?;
                Ok(Rv::of(&x.s().encrypt_init(&Mechanism::bytes(CKM_AES_ECB, &[0; 16]), key)))
            },
        ),
        case(
            "decrypt.gcm-forged",
            "decrypts GCM with one bit of the tag changed",
            &[CKR_ENCRYPTED_DATA_INVALID, CKR_AEAD_DECRYPT_FAILED],
            |x| {
                x.need(CKM_AES_GCM, CKF_ENCRYPT | CKF_DECRYPT)?;
                let key = OPERATIONS[0].key(x)?;
                let gcm = Mechanism::gcm(CKM_AES_GCM, &[1; 12], b"aad", 128);
                let mut sealed = x.s().encrypt(&gcm, key, b"secret").setup("C_Encrypt")?;
                *sealed.last_mut().expect("a tag") ^= 1;
                Ok(Rv::of(&x.s().decrypt(&gcm, key, &sealed)))
            },
        ),
        case(
            "decrypt.gcm-aad",
            "decrypts GCM with other additional data",
            &[CKR_ENCRYPTED_DATA_INVALID, CKR_AEAD_DECRYPT_FAILED],
            |x| {
                x.need(CKM_AES_GCM, CKF_ENCRYPT | CKF_DECRYPT)?;
                let key = OPERATIONS[0].key(x)?;
                let sealed = x
                    .s()
                    .encrypt(&Mechanism::gcm(CKM_AES_GCM, &[1; 12], b"one", 128), key, b"secret")
                    .setup("C_Encrypt")?;
                Ok(Rv::of(&x.s().decrypt(&Mechanism::gcm(CKM_AES_GCM, &[1; 12], b"two", 128), key, &sealed)))
            },
        ),
        case("digest.known", "digests \"abc\" by SHA-256, whole and in parts", &[CKR_OK], |x| {
            x.need(CKM_SHA256, CKF_DIGEST)?;
            let sha = Mechanism::new(CKM_SHA256);
            let whole = x.s().digest(&sha, b"abc").setup("C_Digest")?;
            that(whole[..4] == [0xba, 0x78, 0x16, 0xbf] && whole.len() == 32, format!("{whole:02x?}"))?;
            that(x.s().digest_parts(&sha, b"abc", 1).setup("parts")? == whole, "parts give another digest")?;
            FINE
        }),
        case("digest.unknown-key", "digests a key that is not there", &[CKR_KEY_HANDLE_INVALID], |x| {
            x.need(CKM_SHA256, CKF_DIGEST)?;
            x.s().digest_init(&Mechanism::new(CKM_SHA256)).setup("C_DigestInit")?;
            x.s().digest_key(0x7ead_beef).map(|()| Rv(CKR_OK)).or_else(|rv| {
                if rv == CKR_FUNCTION_NOT_SUPPORTED {
                    Err(Stop::NotOffered("C_DigestKey".into()))
                } else {
                    Ok(rv)
                }
            })
        }),
        case("verify.wrong", "verifies a MAC with one bit changed", &[CKR_SIGNATURE_INVALID], |x| {
            let key = OPERATIONS[4].key(x)?;
            let hmac = Mechanism::new(CKM_SHA256_HMAC);
            let mut mac = x.s().sign(&hmac, key, b"data").setup("C_Sign")?;
            x.s().verify(&hmac, key, b"data", &mac).setup("the right MAC")?;
            mac[0] ^= 1;
            Ok(Rv::of(&x.s().verify(&hmac, key, b"data", &mac)))
        }),
        case("verify.short", "verifies a MAC of one byte", &[CKR_SIGNATURE_LEN_RANGE], |x| {
            let key = OPERATIONS[4].key(x)?;
            Ok(Rv::of(&x.s().verify(&Mechanism::new(CKM_SHA256_HMAC), key, b"data", &[1])))
        }),
        case(
            "verify.wrong-ends-it",
            "goes on after a wrong signature",
            &[CKR_OPERATION_NOT_INITIALIZED],
            |x| {
                let key = OPERATIONS[4].key(x)?;
                let _ = x.s().verify(&Mechanism::new(CKM_SHA256_HMAC), key, b"data", &[1; 32]);
                Ok(Rv::of(&x.s().verify_once(b"data", &[1; 32])))
            },
        ),
        case(
            "sign.rsa-too-long",
            "signs 246 bytes by CKM_RSA_PKCS with a 2048-bit key",
            &[CKR_DATA_LEN_RANGE],
            |x| {
                x.need(CKM_RSA_PKCS, CKF_SIGN)?;
                let (_, private) =
                    x.rsa(2048, &yes(&[CKA_VERIFY]), &yes(&[CKA_SIGN])).setup("C_GenerateKeyPair")?;
                Ok(Rv::of(&x.s().sign(&Mechanism::new(CKM_RSA_PKCS), private, &[1; 246])))
            },
        ),
        case(
            "sign.ecdsa",
            "signs by ECDSA and verifies, and refuses another digest",
            &[CKR_SIGNATURE_INVALID],
            |x| {
                x.need(CKM_ECDSA, CKF_SIGN | CKF_VERIFY)?;
                let pair = x.ec(crate::context::P256, &yes(&[CKA_VERIFY]), &yes(&[CKA_SIGN]));
                let (public, private) = pair.setup("C_GenerateKeyPair")?;
                let ecdsa = Mechanism::new(CKM_ECDSA);
                let signature = x.s().sign(&ecdsa, private, &[1; 32]).setup("C_Sign")?;
                that(signature.len() == 64, format!("a signature of {} bytes", signature.len()))?;
                x.s().verify(&ecdsa, public, &[1; 32], &signature).setup("C_Verify")?;
                Ok(Rv::of(&x.s().verify(&ecdsa, public, &[2; 32], &signature)))
            },
        ),
        case(
            "sign.always-authenticate",
            "uses a CKA_ALWAYS_AUTHENTICATE key without the context login",
            &[CKR_USER_NOT_LOGGED_IN],
            |x| {
                x.need(CKM_ECDSA, CKF_SIGN)?;
                let careful = [
                    yes(&[CKA_SIGN, CKA_PRIVATE, CKA_ALWAYS_AUTHENTICATE]),
                    vec![Attr::bool(CKA_SENSITIVE, true)],
                ]
                .concat();
                let (_, private) =
                    x.ec(crate::context::P256, &yes(&[CKA_VERIFY]), &careful).setup("C_GenerateKeyPair")?;
                let ecdsa = Mechanism::new(CKM_ECDSA);
                x.s().sign_init(&ecdsa, private).setup("C_SignInit")?;
                expect("C_Sign without login", &x.s().sign_once(&[1; 32]), &[CKR_USER_NOT_LOGGED_IN])?;
                let session = x.open(true)?;
                session.sign_init(&ecdsa, private).setup("C_SignInit")?;
                session.login(CKU_CONTEXT_SPECIFIC, &x.target.pin).setup("the context login")?;
                session.sign_once(&[1; 32]).setup("C_Sign after it")?;
                session.sign_init(&ecdsa, private).setup("C_SignInit again")?;
                Ok(Rv::of(&session.sign_once(&[1; 32])))
            },
        ),
        case("state", "saves a digest's state and goes on from it twice", &[CKR_OK], |x| {
            x.need(CKM_SHA256, CKF_DIGEST)?;
            x.s().digest_init(&Mechanism::new(CKM_SHA256)).setup("C_DigestInit")?;
            x.s().digest_update(b"ab").setup("C_DigestUpdate")?;
            let state = x.s().operation_state().setup("C_GetOperationState")?;
            let mut digests = Vec::new();
            for _ in 0..2 {
                let other = x.open(true)?;
                other.set_operation_state(&state, 0, 0).setup("C_SetOperationState")?;
                other.digest_update(b"c").setup("C_DigestUpdate")?;
                digests.push(other.digest_final().setup("C_DigestFinal")?);
            }
            that(
                digests[0][..4] == [0xba, 0x78, 0x16, 0xbf] && digests[0] == digests[1],
                format!("{digests:02x?}"),
            )?;
            FINE
        }),
        case(
            "state-none",
            "saves a state when nothing runs",
            &[CKR_OPERATION_NOT_INITIALIZED, CKR_FUNCTION_NOT_SUPPORTED],
            |x| Ok(Rv::of(&x.s().operation_state())),
        ),
        case(
            "state-forged",
            "sets a state that no module ever saved",
            &[CKR_SAVED_STATE_INVALID, CKR_FUNCTION_NOT_SUPPORTED],
            |x| Ok(Rv::of(&x.s().set_operation_state(&[0xaa; 200], 0, 0))),
        ),
        case("wrap-round-trip", "wraps and unwraps a key, which then encrypts as before", &[CKR_OK], |x| {
            let m = x.first(
                &[CKM_AES_KEY_WRAP_KWP, CKM_AES_KEY_WRAP, CKM_AES_KEY_WRAP_PAD],
                CKF_WRAP | CKF_UNWRAP,
            )?;
            x.need(CKM_AES_ECB, CKF_ENCRYPT)?;
            let kek = x.aes(32, &yes(&[CKA_WRAP, CKA_UNWRAP])).setup("the wrapping key")?;
            let key = x.aes(32, &yes(&[CKA_EXTRACTABLE, CKA_ENCRYPT])).setup("the key")?;
            let blob = x.s().wrap(&Mechanism::new(m), kek, key).setup("C_WrapKey")?;
            let template = [
                Attr::class(CKO_SECRET_KEY),
                Attr::key_type(CKK_AES),
                Attr::bool(CKA_TOKEN, false),
                Attr::bool(CKA_ENCRYPT, true),
            ];
            let back = x.s().unwrap(&Mechanism::new(m), kek, &blob, &template).setup("C_UnwrapKey")?;
            let ecb = Mechanism::new(CKM_AES_ECB);
            let (a, b) = (
                x.s().encrypt(&ecb, key, &DATA).setup("before")?,
                x.s().encrypt(&ecb, back, &DATA).setup("after")?,
            );
            that(a == b, "another key came back")?;
            FINE
        }),
        case("unwrap-forged", "unwraps a blob with one bit changed", &[CKR_WRAPPED_KEY_INVALID], |x| {
            let m = x.first(
                &[CKM_AES_KEY_WRAP_KWP, CKM_AES_KEY_WRAP, CKM_AES_KEY_WRAP_PAD],
                CKF_WRAP | CKF_UNWRAP,
            )?;
            let kek = x.aes(32, &yes(&[CKA_WRAP, CKA_UNWRAP])).setup("the wrapping key")?;
            let key = x.aes(32, &yes(&[CKA_EXTRACTABLE])).setup("the key")?;
            let mut blob = x.s().wrap(&Mechanism::new(m), kek, key).setup("C_WrapKey")?;
            blob[9] ^= 1;
            let template =
                [Attr::class(CKO_SECRET_KEY), Attr::key_type(CKK_AES), Attr::bool(CKA_TOKEN, false)];
            Ok(Rv::of(&x.s().unwrap(&Mechanism::new(m), kek, &blob, &template)))
        }),
    ]
}
