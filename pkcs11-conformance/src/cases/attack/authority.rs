//! Attacks by changing what must not change: one-way attributes, history, trust, copies, reading secrets, PINs, and
//! operations that outlive the login (rows 3, 4, 5, 7, 14, 15, 16).

use super::super::slot::wrong;
use super::role::key_wrap;
use crate::case::{Case, Outcome, Setup, Stop};
use crate::client::{Attr, Mechanism, Rv};
use crate::context::{Context, FINE, P256, expect, that, yes};
use cryptoki_sys::*;

const CHAPTER: &str = "Attacks: authority";
const FIXED: &[CK_RV] = &[CKR_ATTRIBUTE_READ_ONLY];
const FIXED_COPY: &[CK_RV] = &[CKR_ATTRIBUTE_READ_ONLY, CKR_TEMPLATE_INCONSISTENT];

type Rows = fn() -> Vec<Attr>;
type Change = fn() -> Attr;

/// Name, the attributes a key begins with, the change.
const CHANGES: &[(&str, Rows, Change)] = &[
    ("sensitive-off", || yes(&[CKA_SENSITIVE]), || Attr::bool(CKA_SENSITIVE, false)),
    ("extractable-on", || vec![Attr::bool(CKA_EXTRACTABLE, false)], || Attr::bool(CKA_EXTRACTABLE, true)),
    ("wrap-with-trusted-off", || yes(&[CKA_WRAP_WITH_TRUSTED]), || Attr::bool(CKA_WRAP_WITH_TRUSTED, false)),
    ("copyable-on", || vec![Attr::bool(CKA_COPYABLE, false)], || Attr::bool(CKA_COPYABLE, true)),
    ("local", || vec![], || Attr::bool(CKA_LOCAL, false)),
    (
        "always-sensitive",
        || vec![Attr::bool(CKA_SENSITIVE, false)],
        || Attr::bool(CKA_ALWAYS_SENSITIVE, true),
    ),
    ("never-extractable", || yes(&[CKA_EXTRACTABLE]), || Attr::bool(CKA_NEVER_EXTRACTABLE, true)),
    ("key-gen-mechanism", || vec![], || Attr::ulong(CKA_KEY_GEN_MECHANISM, CKM_DES3_KEY_GEN)),
    ("class", || vec![], || Attr::class(CKO_DATA)),
    ("key-type", || vec![], || Attr::key_type(CKK_GENERIC_SECRET)),
    ("value", || yes(&[CKA_SENSITIVE]), || Attr::bytes(CKA_VALUE, [0; 32])),
    ("value-len", || vec![], || Attr::ulong(CKA_VALUE_LEN, 16)),
    ("private", || yes(&[CKA_PRIVATE]), || Attr::bool(CKA_PRIVATE, false)),
    ("token", || vec![], || Attr::bool(CKA_TOKEN, true)),
    ("unique-id", || vec![], || Attr::bytes(CKA_UNIQUE_ID, b"mine")),
    ("trusted", || yes(&[CKA_WRAP]), || Attr::bool(CKA_TRUSTED, true)),
];

pub fn cases() -> Vec<Case> {
    let case = |id: &str, does: &str, want: &'static [CK_RV], run: fn(&Context) -> Outcome| {
        Case::new(format!("attack.{id}"), CHAPTER, does, want, run)
    };
    let mut cases = Vec::new();
    for &(name, begin, change) in CHANGES {
        let number = if name == "trusted" { "05" } else { "03" };
        let does = format!("sets what must not change: {name}");
        cases.push(Case::new(format!("attack.{number}.set.{name}"), CHAPTER, does, FIXED, move |x| {
            let (key, change) = (x.aes(32, &begin()).setup("C_GenerateKey")?, change());
            let before = offered(x, key, &change)?;
            let rv = Rv::of(&x.s().set(key, std::slice::from_ref(&change)));
            that(
                x.s().attribute(key, change.kind) == before,
                format!("{rv}, but the attribute has changed"),
            )?;
            Ok(rv)
        }));
        // C_CopyObject may move a key onto the token and may loosen nothing else.
        if !["token", "private", "copyable-on"].contains(&name) {
            let number = if name == "trusted" { "05" } else { "04" };
            let does = format!("copies a key and changes what must not change: {name}");
            cases.push(Case::new(
                format!("attack.{number}.copy.{name}"),
                CHAPTER,
                does,
                FIXED_COPY,
                move |x| {
                    let (key, change) = (x.aes(32, &begin()).setup("C_GenerateKey")?, change());
                    let _ = offered(x, key, &change)?;
                    Ok(Rv::of(&x.s().copy(key, &[change])))
                },
            ));
        }
    }
    cases.extend([
        case("05.generate", "generates a trusted key as the user", FIXED, |x| {
            Ok(Rv::of(&x.aes(32, &yes(&[CKA_WRAP, CKA_TRUSTED]))))
        }),
        case("05.generate-pair", "generates a pair with a trusted public key as the user", FIXED, |x| {
            x.need(CKM_RSA_PKCS_KEY_PAIR_GEN, CKF_GENERATE_KEY_PAIR)?;
            Ok(Rv::of(&x.rsa(2048, &yes(&[CKA_WRAP, CKA_TRUSTED]), &yes(&[CKA_UNWRAP]))))
        }),
        case("05.create", "creates a trusted key as the user", FIXED, |x| {
            Ok(Rv::of(&x.import(CKK_AES, &[1; 32], &yes(&[CKA_WRAP, CKA_TRUSTED]))))
        }),
        case("05.unwrap", "unwraps a trusted key as the user", FIXED, |x| {
            let (m, kek) =
                (key_wrap(x)?, x.aes(32, &yes(&[CKA_WRAP, CKA_UNWRAP])).setup("the wrapping key")?);
            let key = x.aes(32, &yes(&[CKA_EXTRACTABLE])).setup("C_GenerateKey")?;
            let blob = x.s().wrap(&m, kek, key).setup("C_WrapKey")?;
            Ok(Rv::of(&x.s().unwrap(&m, kek, &blob, &trusted())))
        }),
        case("05.derive", "derives a trusted key as the user", FIXED, |x| {
            x.need(CKM_ECDH1_DERIVE, CKF_DERIVE)?;
            let (public, private) = x.ec(P256, &[], &yes(&[CKA_DERIVE])).setup("C_GenerateKeyPair")?;
            let point = x.s().attribute(public, CKA_EC_POINT).setup("CKA_EC_POINT")?;
            let m = Mechanism::ecdh1(CKM_ECDH1_DERIVE, CKD_NULL, &[], &point);
            Ok(Rv::of(&x.s().derive(
                &m,
                private,
                &[trusted(), vec![Attr::ulong(CKA_VALUE_LEN, 32)]].concat(),
            )))
        }),
        case("07.create-rsa-history", "creates an RSA public key that says it is local", FIXED_COPY, |x| {
            let key = [
                Attr::class(CKO_PUBLIC_KEY),
                Attr::key_type(CKK_RSA),
                Attr::bool(CKA_TOKEN, false),
                Attr::bytes(CKA_MODULUS, [0xc5; 256]),
                Attr::bytes(CKA_PUBLIC_EXPONENT, [1, 0, 1]),
                Attr::bool(CKA_LOCAL, true),
            ];
            Ok(Rv::of(&x.s().create_object(&key)))
        }),
        case(
            "16.read-sensitive",
            "reads the value of a sensitive key, between two other attributes",
            &[CKR_ATTRIBUTE_SENSITIVE],
            |x| {
                let key = x
                    .aes(32, &[yes(&[CKA_SENSITIVE, CKA_EXTRACTABLE]), vec![Attr::label("l")]].concat())
                    .setup("C_GenerateKey")?;
                hidden(x, key, CKA_VALUE)
            },
        ),
        case(
            "16.read-unextractable",
            "reads the value of an unextractable key",
            &[CKR_ATTRIBUTE_SENSITIVE],
            |x| {
                let sealed =
                    [Attr::bool(CKA_SENSITIVE, false), Attr::bool(CKA_EXTRACTABLE, false), Attr::label("l")];
                let key = x.aes(32, &sealed).setup("C_GenerateKey")?;
                hidden(x, key, CKA_VALUE)
            },
        ),
    ]);
    for (name, kind) in [
        ("private-exponent", CKA_PRIVATE_EXPONENT),
        ("prime-1", CKA_PRIME_1),
        ("prime-2", CKA_PRIME_2),
        ("exponent-1", CKA_EXPONENT_1),
        ("exponent-2", CKA_EXPONENT_2),
        ("coefficient", CKA_COEFFICIENT),
    ] {
        let does = format!("reads the {name} of a sensitive RSA key");
        cases.push(Case::new(
            format!("attack.16.read-rsa.{name}"),
            CHAPTER,
            does,
            &[CKR_ATTRIBUTE_SENSITIVE],
            move |x| {
                x.need(CKM_RSA_PKCS_KEY_PAIR_GEN, CKF_GENERATE_KEY_PAIR)?;
                let private = [yes(&[CKA_SIGN, CKA_SENSITIVE]), vec![Attr::label("l")]].concat();
                let (_, private) = x.rsa(2048, &yes(&[CKA_VERIFY]), &private).setup("C_GenerateKeyPair")?;
                hidden(x, private, kind)
            },
        ));
    }
    cases.extend([
        case("16.read-ec", "reads the value of a sensitive EC key", &[CKR_ATTRIBUTE_SENSITIVE], |x| {
            x.need(CKM_EC_KEY_PAIR_GEN, CKF_GENERATE_KEY_PAIR)?;
            let private = [yes(&[CKA_SIGN, CKA_SENSITIVE]), vec![Attr::label("l")]].concat();
            let (_, private) = x.ec(P256, &yes(&[CKA_VERIFY]), &private).setup("C_GenerateKeyPair")?;
            hidden(x, private, CKA_VALUE)
        }),
        case("15.sign-after-logout", "begins to sign with a private key, logs out, signs", ENDED, |x| {
            after_logout(x, false)
        }),
        case(
            "15.sign-after-other-logout",
            "begins to sign with a private key, logs out by another session, signs",
            ENDED,
            |x| after_logout(x, true),
        ),
        case(
            "15.encrypt-after-logout",
            "begins to encrypt with a private key, logs out, encrypts",
            ENDED,
            |x| {
                x.need(CKM_AES_CBC, CKF_ENCRYPT)?;
                let key = x.aes(32, &yes(&[CKA_ENCRYPT, CKA_PRIVATE])).setup("C_GenerateKey")?;
                x.s().encrypt_init(&Mechanism::bytes(CKM_AES_CBC, &[0; 16]), key).setup("C_EncryptInit")?;
                x.s().logout().setup("C_Logout")?;
                Ok(Rv::of(&x.s().encrypt_once(&[0; 16])))
            },
        ),
        case(
            "14.pin-locks",
            "guesses the user's PIN 30 times, then gives the right one",
            &[CKR_PIN_LOCKED],
            |x| {
                lock(x)?;
                that(x.token_flags()? & CKF_USER_PIN_LOCKED != 0, "CKF_USER_PIN_LOCKED is not set")?;
                Ok(Rv::of(&x.s().login(CKU_USER, &x.target.pin)))
            },
        )
        .destructive(),
        case(
            "14.lock-survives",
            "locks the PIN, then finalises, initialises and gives the right one",
            &[CKR_PIN_LOCKED],
            |x| {
                lock(x)?;
                x.module.finalize().setup("C_Finalize")?;
                x.module.init().setup("C_Initialize")?;
                Ok(Rv::of(&x.open(true)?.login(CKU_USER, &x.target.pin)))
            },
        )
        .destructive(),
        case("14.so-unlocks", "locks the PIN, then the SO sets it anew", &[CKR_OK], |x| {
            lock(x)?;
            x.s().login(CKU_SO, x.so_pin()?).setup("C_Login as SO")?;
            x.s().init_pin(&x.target.pin).setup("C_InitPIN")?;
            x.s().logout().setup("C_Logout")?;
            Ok(Rv::of(&x.s().login(CKU_USER, &x.target.pin)))
        })
        .destructive(),
        case(
            "14.set-pin-counts",
            "guesses the PIN 30 times by C_SetPIN, then gives the right one",
            &[CKR_PIN_LOCKED],
            |x| {
                x.s().logout().setup("C_Logout")?;
                for _ in 0..30 {
                    expect(
                        "a guess",
                        &x.s().set_pin(&wrong(&x.target.pin), "another pin 1"),
                        &[CKR_PIN_INCORRECT, CKR_PIN_LOCKED],
                    )?;
                }
                Ok(Rv::of(&x.s().login(CKU_USER, &x.target.pin)))
            },
        )
        .destructive(),
        case("14.count-low", "guesses once and reads the token's flags", &[CKR_OK], |x| {
            x.s().logout().setup("C_Logout")?;
            expect("a guess", &x.s().login(CKU_USER, &wrong(&x.target.pin)), &[CKR_PIN_INCORRECT])?;
            that(x.token_flags()? & CKF_USER_PIN_COUNT_LOW != 0, "CKF_USER_PIN_COUNT_LOW is not set")?;
            x.s().login(CKU_USER, &x.target.pin).setup("C_Login")?;
            that(
                x.token_flags()? & CKF_USER_PIN_COUNT_LOW == 0,
                "CKF_USER_PIN_COUNT_LOW is still set after a login",
            )?;
            FINE
        })
        .destructive(),
    ]);
    cases
}

/// A session AES key that claims to be trusted.
fn trusted() -> Vec<Attr> {
    let key = [Attr::class(CKO_SECRET_KEY), Attr::key_type(CKK_AES), Attr::bool(CKA_TOKEN, false)];
    [&key[..], &yes(&[CKA_TRUSTED])].concat()
}

const ENDED: &[CK_RV] = &[CKR_OPERATION_NOT_INITIALIZED, CKR_USER_NOT_LOGGED_IN];

/// The attribute's value before; a module that has no such attribute does not offer the case.
fn offered(x: &Context, key: CK_OBJECT_HANDLE, change: &Attr) -> Result<Result<Vec<u8>, Rv>, Stop> {
    let before = x.s().attribute(key, change.kind);
    if Rv::of(&before) == CKR_ATTRIBUTE_TYPE_INVALID {
        return Err(Stop::NotOffered(format!("attribute {:#x}", change.kind)));
    }
    Ok(before)
}

/// Reads label, secret, class: the secret must be unavailable and the others there.
fn hidden(x: &Context, key: CK_OBJECT_HANDLE, secret: CK_ATTRIBUTE_TYPE) -> Outcome {
    let mut room = [[0u8; 512]; 3];
    let mut rows = [CKA_LABEL, secret, CKA_CLASS].map(|type_| CK_ATTRIBUTE { type_, ..Default::default() });
    for (row, room) in rows.iter_mut().zip(&mut room) {
        row.pValue = room.as_mut_ptr().cast();
        row.ulValueLen = 512;
    }
    let rv = x.s().get_raw(key, &mut rows);
    that(room[1] == [0; 512], format!("{rv}, and bytes were written"))?;
    that(rows[1].ulValueLen == CK_UNAVAILABLE_INFORMATION, format!("{rv}, length {}", rows[1].ulValueLen))?;
    that(
        rows[0].ulValueLen == 1 && rows[2].ulValueLen == 8,
        format!("{rv}, and the other attributes are not filled in"),
    )?;
    Ok(rv)
}

fn after_logout(x: &Context, by_another: bool) -> Outcome {
    x.need(CKM_ECDSA, CKF_SIGN)?;
    let template = [yes(&[CKA_SIGN, CKA_PRIVATE]), x.on_token()].concat();
    let public = [&[Attr::bytes(CKA_EC_PARAMS, P256)][..], &x.on_token()].concat();
    let pair = x.s().generate_key_pair(&Mechanism::new(CKM_EC_KEY_PAIR_GEN), &public, &template);
    let (_, private) = pair.setup("C_GenerateKeyPair")?;
    x.s().sign_init(&Mechanism::new(CKM_ECDSA), private).setup("C_SignInit")?;
    let other = x.open(true)?;
    if by_another { other.logout() } else { x.s().logout() }.setup("C_Logout")?;
    Ok(Rv::of(&x.s().sign_once(&[1; 32])))
}

/// Guesses the user's PIN until it must be locked.
fn lock(x: &Context) -> Result<(), Stop> {
    x.s().logout().setup("C_Logout")?;
    for _ in 0..30 {
        expect(
            "a guess",
            &x.s().login(CKU_USER, &wrong(&x.target.pin)),
            &[CKR_PIN_INCORRECT, CKR_PIN_LOCKED],
        )?;
    }
    Ok(())
}
