//! Attacks by what a key may do: wrap and decrypt, downgrades, weak wrapping keys, usage flags (rows 1, 2, 6, 8, 9, 10,
//! 18, 20).

use crate::case::{Case, Outcome, Setup, Stop};
use crate::client::{Attr, Mechanism, Rv};
use crate::context::{Context, FINE, P256, that, yes};
use cryptoki_sys::*;

const CHAPTER: &str = "Attacks: roles of keys";
const CONFLICT: &[CK_RV] = &[CKR_TEMPLATE_INCONSISTENT];

type Make = fn() -> Mechanism;

/// Mechanisms that wrap, and decrypt too.
const WRAPS: &[(&str, Make)] = &[
    ("ecb", || Mechanism::new(CKM_AES_ECB)),
    ("cbc", || Mechanism::bytes(CKM_AES_CBC, &[0; 16])),
    ("cbc-pad", || Mechanism::bytes(CKM_AES_CBC_PAD, &[0; 16])),
    ("kw", || Mechanism::new(CKM_AES_KEY_WRAP)),
    ("kwp", || Mechanism::new(CKM_AES_KEY_WRAP_KWP)),
    ("ctr", || Mechanism::ctr(32, [0; 16])),
    ("gcm", || Mechanism::gcm(CKM_AES_GCM, &[1; 12], &[], 128)),
];

/// Pairs of roles that reveal or forge keys together.
const CONFLICTS: &[(&str, CK_ATTRIBUTE_TYPE, CK_ATTRIBUTE_TYPE)] =
    &[("wrap-decrypt", CKA_WRAP, CKA_DECRYPT), ("unwrap-encrypt", CKA_UNWRAP, CKA_ENCRYPT)];

fn secret(x: &Context) -> Result<CK_OBJECT_HANDLE, Stop> {
    x.aes(32, &yes(&[CKA_SENSITIVE, CKA_EXTRACTABLE])).setup("the key to steal")
}

fn aes_template(more: &[Attr]) -> Vec<Attr> {
    [&[Attr::class(CKO_SECRET_KEY), Attr::key_type(CKK_AES), Attr::bool(CKA_TOKEN, false)][..], more].concat()
}

/// A mechanism that wraps with integrity.
pub fn key_wrap(x: &Context) -> Result<Mechanism, Stop> {
    let m =
        x.first(&[CKM_AES_KEY_WRAP_KWP, CKM_AES_KEY_WRAP, CKM_AES_KEY_WRAP_PAD], CKF_WRAP | CKF_UNWRAP)?;
    Ok(Mechanism::new(m))
}

pub fn cases() -> Vec<Case> {
    let case = |id: &str, does: &str, want: &'static [CK_RV], run: fn(&Context) -> Outcome| {
        Case::new(format!("attack.{id}"), CHAPTER, does, want, run)
    };
    let mut cases = Vec::new();
    for &(name, make) in WRAPS {
        let does = format!("wraps a sensitive key by {name} and decrypts the blob with the same key");
        cases.push(
            Case::new(format!("attack.01.wrap-then-decrypt.{name}"), CHAPTER, does, STOPPED, move |x| {
                let m = make();
                x.need(m.number(), CKF_WRAP | CKF_DECRYPT)?;
                let kek = x.aes(32, &yes(&[CKA_WRAP, CKA_DECRYPT]))?;
                let blob = x.s().wrap(&m, kek, secret(x)?)?;
                Ok(Rv::of(&x.s().decrypt(&m, kek, &blob)))
            })
            .strict_only(),
        );
    }
    for &(name, one, other) in CONFLICTS {
        let number = if one == CKA_WRAP { "01" } else { "02" };
        type Try = fn(&Context, CK_ATTRIBUTE_TYPE, CK_ATTRIBUTE_TYPE) -> Outcome;
        let ways: [(&str, Try); 4] = [
            ("generate", |x, one, other| Ok(Rv::of(&x.aes(32, &yes(&[one, other]))))),
            ("create", |x, one, other| Ok(Rv::of(&x.import(CKK_AES, &[1; 32], &yes(&[one, other]))))),
            ("set", |x, one, other| {
                let key =
                    x.aes(32, &[Attr::bool(one, true), Attr::bool(other, false)]).setup("C_GenerateKey")?;
                Ok(Rv::of(&x.s().set(key, &yes(&[other]))))
            }),
            ("copy", |x, one, other| {
                let key =
                    x.aes(32, &[Attr::bool(one, true), Attr::bool(other, false)]).setup("C_GenerateKey")?;
                Ok(Rv::of(&x.s().copy(key, &yes(&[other]))))
            }),
        ];
        for (way, attempt) in ways {
            let does = format!("gives a key both roles of {name} ({way})");
            let id = format!("attack.{number}.{name}.{way}");
            let want = if way == "generate" || way == "create" { CONFLICT } else { SET_CONFLICT };
            cases.push(Case::new(id, CHAPTER, does, want, move |x| attempt(x, one, other)).strict_only());
        }
    }
    cases.extend([
        case(
            "02.unwrap-history",
            "reads the history of an unwrapped key: not local, not always sensitive, not never extractable",
            &[CKR_OK],
            |x| {
                let m = key_wrap(x)?;
                let kek = x.aes(32, &yes(&[CKA_WRAP, CKA_UNWRAP])).setup("the wrapping key")?;
                let blob = x.s().wrap(&m, kek, secret(x)?).setup("C_WrapKey")?;
                let sealed =
                    aes_template(&[Attr::bool(CKA_SENSITIVE, true), Attr::bool(CKA_EXTRACTABLE, false)]);
                let key = x.s().unwrap(&m, kek, &blob, &sealed).setup("C_UnwrapKey")?;
                for kind in [CKA_LOCAL, CKA_ALWAYS_SENSITIVE, CKA_NEVER_EXTRACTABLE] {
                    that(
                        !x.s().attribute_bool(key, kind).setup("C_GetAttributeValue")?,
                        format!("{kind:#x} is true"),
                    )?;
                }
                FINE
            },
        ),
        case("02.unwrap-a-wrapping-key", "unwraps a key and gives it CKA_WRAP", CONFLICT, |x| {
            let m = key_wrap(x)?;
            let kek = x.aes(32, &yes(&[CKA_WRAP, CKA_UNWRAP])).setup("the wrapping key")?;
            let blob = x.s().wrap(&m, kek, secret(x)?).setup("C_WrapKey")?;
            Ok(Rv::of(&x.s().unwrap(&m, kek, &blob, &aes_template(&yes(&[CKA_WRAP])))))
        })
        .strict_only(),
        case(
            "06.wrap-unextractable",
            "wraps a key with CKA_EXTRACTABLE false",
            &[CKR_KEY_UNEXTRACTABLE],
            |x| {
                let kek = x.aes(32, &yes(&[CKA_WRAP])).setup("the wrapping key")?;
                let key = x.aes(32, &[Attr::bool(CKA_EXTRACTABLE, false)]).setup("the key")?;
                Ok(Rv::of(&x.s().wrap(&key_wrap(x)?, kek, key)))
            },
        ),
        case(
            "06.wrap-with-untrusted",
            "wraps a CKA_WRAP_WITH_TRUSTED key with a key that is not trusted",
            &[CKR_KEY_NOT_WRAPPABLE],
            |x| {
                let kek = x.aes(32, &yes(&[CKA_WRAP])).setup("the wrapping key")?;
                let key = x.aes(32, &yes(&[CKA_EXTRACTABLE, CKA_WRAP_WITH_TRUSTED])).setup("the key")?;
                Ok(Rv::of(&x.s().wrap(&key_wrap(x)?, kek, key)))
            },
        ),
        case(
            "06.wrap-without-role",
            "wraps with a key whose CKA_WRAP is false",
            &[CKR_KEY_FUNCTION_NOT_PERMITTED, CKR_WRAPPING_KEY_HANDLE_INVALID],
            |x| {
                let kek = x.aes(32, &[Attr::bool(CKA_WRAP, false)]).setup("the wrapping key")?;
                let key = x.aes(32, &yes(&[CKA_EXTRACTABLE])).setup("the key")?;
                Ok(Rv::of(&x.s().wrap(&key_wrap(x)?, kek, key)))
            },
        ),
        case(
            "06.unwrap-without-role",
            "unwraps with a key whose CKA_UNWRAP is false",
            &[CKR_KEY_FUNCTION_NOT_PERMITTED, CKR_UNWRAPPING_KEY_HANDLE_INVALID],
            |x| {
                let kek = x
                    .aes(32, &[Attr::bool(CKA_WRAP, true), Attr::bool(CKA_UNWRAP, false)])
                    .setup("the wrapping key")?;
                let m = key_wrap(x)?;
                let blob = x.s().wrap(&m, kek, secret(x)?).setup("C_WrapKey")?;
                Ok(Rv::of(&x.s().unwrap(&m, kek, &blob, &aes_template(&[]))))
            },
        ),
        case(
            "06.wrap-itself",
            "wraps a key with itself",
            &[
                CKR_KEY_NOT_WRAPPABLE,
                CKR_WRAPPING_KEY_HANDLE_INVALID,
                CKR_KEY_HANDLE_INVALID,
                CKR_TEMPLATE_INCONSISTENT,
            ],
            |x| {
                let kek = x.aes(32, &yes(&[CKA_WRAP, CKA_EXTRACTABLE]))?;
                Ok(Rv::of(&x.s().wrap(&key_wrap(x)?, kek, kek)))
            },
        )
        .strict_only(),
        case(
            "06.wrap-template",
            "wraps a key that does not match the CKA_WRAP_TEMPLATE",
            &[CKR_KEY_HANDLE_INVALID, CKR_KEY_NOT_WRAPPABLE],
            |x| {
                let rule = Attr::template(CKA_WRAP_TEMPLATE, &[Attr::key_type(CKK_GENERIC_SECRET)]);
                let kek = match x.aes(32, &[Attr::bool(CKA_WRAP, true), rule]) {
                    Err(rv) if rv == CKR_ATTRIBUTE_TYPE_INVALID => {
                        return Err(Stop::NotOffered("CKA_WRAP_TEMPLATE".into()));
                    }
                    other => other.setup("the wrapping key")?,
                };
                Ok(Rv::of(&x.s().wrap(&key_wrap(x)?, kek, secret(x)?)))
            },
        ),
        case(
            "09.unwrap-template",
            "unwraps against a CKA_UNWRAP_TEMPLATE that says sensitive",
            &[CKR_TEMPLATE_INCONSISTENT],
            |x| {
                let rule = Attr::template(CKA_UNWRAP_TEMPLATE, &[Attr::bool(CKA_SENSITIVE, true)]);
                let kek = match x.aes(32, &[yes(&[CKA_WRAP, CKA_UNWRAP]), vec![rule]].concat()) {
                    Err(rv) if rv == CKR_ATTRIBUTE_TYPE_INVALID => {
                        return Err(Stop::NotOffered("CKA_UNWRAP_TEMPLATE".into()));
                    }
                    other => other.setup("the wrapping key")?,
                };
                let m = key_wrap(x)?;
                let blob = x.s().wrap(&m, kek, secret(x)?).setup("C_WrapKey")?;
                Ok(Rv::of(&x.s().unwrap(&m, kek, &blob, &aes_template(&[Attr::bool(CKA_SENSITIVE, false)]))))
            },
        ),
        case("09.wrap-ecb", "wraps an AES key by AES in ECB mode", &[CKR_MECHANISM_INVALID], |x| {
            x.need(CKM_AES_ECB, CKF_ENCRYPT)?;
            let kek = x.aes(32, &yes(&[CKA_WRAP])).setup("the wrapping key")?;
            Ok(Rv::of(&x.s().wrap(&Mechanism::new(CKM_AES_ECB), kek, secret(x)?)))
        }),
        case("09.wrap-cbc", "wraps an AES key by AES in CBC mode", &[CKR_MECHANISM_INVALID], |x| {
            x.need(CKM_AES_CBC, CKF_ENCRYPT)?;
            let kek = x.aes(32, &yes(&[CKA_WRAP])).setup("the wrapping key")?;
            Ok(Rv::of(&x.s().wrap(&Mechanism::bytes(CKM_AES_CBC, &[0; 16]), kek, secret(x)?)))
        })
        .strict_only(),
        case(
            "09.wrap-cbc-pad",
            "wraps an AES key by AES in CBC mode with padding",
            &[CKR_MECHANISM_INVALID],
            |x| {
                x.need(CKM_AES_CBC_PAD, CKF_ENCRYPT)?;
                let kek = x.aes(32, &yes(&[CKA_WRAP])).setup("the wrapping key")?;
                Ok(Rv::of(&x.s().wrap(&Mechanism::bytes(CKM_AES_CBC_PAD, &[0; 16]), kek, secret(x)?)))
            },
        )
        .strict_only(),
        case(
            "09.unwrap-odd-length",
            "unwraps 40 bytes as an AES key",
            &[CKR_WRAPPED_KEY_LEN_RANGE, CKR_WRAPPED_KEY_INVALID],
            |x| {
                let m = key_wrap(x)?;
                let kek = x.aes(32, &yes(&[CKA_WRAP, CKA_UNWRAP])).setup("the wrapping key")?;
                let odd = x
                    .import(CKK_GENERIC_SECRET, &[7; 40], &yes(&[CKA_EXTRACTABLE]))
                    .setup("C_CreateObject")?;
                let blob = x.s().wrap(&m, kek, odd).setup("C_WrapKey")?;
                Ok(Rv::of(&x.s().unwrap(&m, kek, &blob, &aes_template(&[]))))
            },
        ),
        case(
            "10.weak-aes",
            "wraps an AES-256 key with an AES-128 key",
            &[CKR_WRAPPING_KEY_SIZE_RANGE],
            |x| {
                let kek = x.aes(16, &yes(&[CKA_WRAP])).setup("the wrapping key")?;
                Ok(Rv::of(&x.s().wrap(&key_wrap(x)?, kek, secret(x)?)))
            },
        )
        .strict_only(),
        case("10.des3", "wraps an AES-256 key with a triple-DES key", WEAK_DES3, |x| {
            let (m, kek) = des3_wrapping(x)?;
            Ok(Rv::of(&x.s().wrap(&m, kek, secret(x)?)))
        })
        .strict_only(),
        case("10.des3-splice", "unwraps half of a wrapped AES-256 key by triple-DES", SPLICED, |x| {
            let (m, kek) = des3_wrapping(x)?;
            let blob = x.s().wrap(&m, kek, secret(x)?).setup("C_WrapKey")?;
            Ok(Rv::of(&x.s().unwrap(&m, kek, &blob[..blob.len() / 2], &aes_template(&[]))))
        })
        .strict_only(),
        case("10.weak-rsa", "wraps an AES-256 key with an RSA-1024 key", WEAK_RSA, |x| {
            x.need(CKM_RSA_PKCS_OAEP, CKF_WRAP)?;
            let (public, _) = x.rsa(1024, &yes(&[CKA_WRAP]), &yes(&[CKA_UNWRAP]))?;
            Ok(Rv::of(&x.s().wrap(&Mechanism::oaep(CKM_SHA_1, CKG_MGF1_SHA1, &[]), public, secret(x)?)))
        })
        .strict_only(),
        case("18.ecdsa-with-aes", "begins ECDSA with an AES key", &[CKR_KEY_TYPE_INCONSISTENT], |x| {
            x.need(CKM_ECDSA, CKF_SIGN)?;
            let key = x.aes(32, &yes(&[CKA_SIGN])).setup("C_GenerateKey")?;
            x.s().sign_init(&Mechanism::new(CKM_ECDSA), key)?;
            Ok(Rv::of(&x.s().sign_once(&[1; 32])))
        }),
        case("18.hmac-with-rsa", "begins HMAC with an RSA private key", &[CKR_KEY_TYPE_INCONSISTENT], |x| {
            x.need(CKM_SHA256_HMAC, CKF_SIGN)?;
            let (_, private) = x.rsa(2048, &[], &yes(&[CKA_SIGN])).setup("C_GenerateKeyPair")?;
            x.s().sign_init(&Mechanism::new(CKM_SHA256_HMAC), private)?;
            Ok(Rv::of(&x.s().sign_once(&[1; 32])))
        }),
        case(
            "18.sign-with-public",
            "signs with a public key",
            &[CKR_KEY_FUNCTION_NOT_PERMITTED, CKR_KEY_TYPE_INCONSISTENT],
            |x| {
                x.need(CKM_ECDSA, CKF_SIGN)?;
                let (public, _) =
                    x.ec(P256, &yes(&[CKA_VERIFY]), &yes(&[CKA_SIGN])).setup("C_GenerateKeyPair")?;
                x.s().sign_init(&Mechanism::new(CKM_ECDSA), public)?;
                Ok(Rv::of(&x.s().sign_once(&[1; 32])))
            },
        ),
        case(
            "18.encapsulate-with-private",
            "encapsulates with a private key",
            &[CKR_KEY_FUNCTION_NOT_PERMITTED, CKR_KEY_TYPE_INCONSISTENT, CKR_KEY_HANDLE_INVALID],
            |x| {
                x.need(CKM_ML_KEM, CKF_ENCAPSULATE)?;
                let set = [Attr::ulong(CKA_PARAMETER_SET, CKP_ML_KEM_768)];
                let pair =
                    x.pair(CKM_ML_KEM_KEY_PAIR_GEN, &set, &yes(&[CKA_ENCAPSULATE]), &yes(&[CKA_DECAPSULATE]));
                let (_, private) = pair.setup("C_GenerateKeyPair")?;
                let template = [
                    Attr::class(CKO_SECRET_KEY),
                    Attr::key_type(CKK_GENERIC_SECRET),
                    Attr::bool(CKA_TOKEN, false),
                ];
                Ok(Rv::of(&x.s().encapsulate(&Mechanism::new(CKM_ML_KEM), private, &template)))
            },
        ),
        case(
            "18.allowed-mechanisms",
            "uses a key by a mechanism that CKA_ALLOWED_MECHANISMS does not name",
            &[CKR_MECHANISM_INVALID],
            |x| {
                let rule = Attr::mechanisms(CKA_ALLOWED_MECHANISMS, &[CKM_AES_CBC]);
                let key = match x.aes(32, &[yes(&[CKA_ENCRYPT]), vec![rule]].concat()) {
                    Err(rv) if rv == CKR_ATTRIBUTE_TYPE_INVALID => {
                        return Err(Stop::NotOffered("CKA_ALLOWED_MECHANISMS".into()));
                    }
                    other => other.setup("C_GenerateKey")?,
                };
                x.need(CKM_AES_ECB, CKF_ENCRYPT)?;
                Ok(Rv::of(&x.s().encrypt_init(&Mechanism::new(CKM_AES_ECB), key)))
            },
        ),
        case("19.gcm-tag-8", "begins GCM with a tag of 8 bits", &[CKR_MECHANISM_PARAM_INVALID], |x| {
            gcm(x, &[1; 12], 8)
        }),
        case("19.gcm-tag-136", "begins GCM with a tag of 136 bits", &[CKR_MECHANISM_PARAM_INVALID], |x| {
            gcm(x, &[1; 12], 136)
        }),
        case("19.gcm-tag-0", "begins GCM without a tag", &[CKR_MECHANISM_PARAM_INVALID], |x| {
            gcm(x, &[1; 12], 0)
        }),
        case(
            "19.gcm-no-iv",
            "begins GCM with an empty IV",
            &[CKR_MECHANISM_PARAM_INVALID, CKR_ARGUMENTS_BAD],
            |x| gcm(x, &[], 128),
        ),
        case(
            "19.gcm-made-ivs-differ",
            "lets the module make the IVs of 100 messages: no two are the same",
            &[CKR_OK],
            |x| {
                x.need(CKM_AES_GCM, CKF_MESSAGE_ENCRYPT)?;
                let key = x.aes(32, &yes(&[CKA_ENCRYPT])).setup("C_GenerateKey")?;
                let mut seen = std::collections::HashSet::new();
                for generator in [CKG_GENERATE, CKG_GENERATE_RANDOM, CKG_GENERATE_COUNTER] {
                    x.s()
                        .message_encrypt_init(&Mechanism::new(CKM_AES_GCM), key)
                        .setup("C_MessageEncryptInit")?;
                    for _ in 0..100 {
                        let message = Mechanism::gcm_message(&[0; 12], 0, generator, &[0; 16]);
                        x.s().encrypt_message(&message, &[], &[0; 16])?;
                        that(seen.insert(message.block(0)), "an IV was used twice under one key")?;
                    }
                    x.s().message_encrypt_final().setup("C_MessageEncryptFinal")?;
                }
                FINE
            },
        ),
        case("20.rsa-e-1", "generates an RSA pair with the public exponent 1", BAD_RSA, |x| {
            rsa(x, 2048, &[1])
        }),
        case("20.rsa-e-2", "generates an RSA pair with the public exponent 2", BAD_RSA, |x| {
            rsa(x, 2048, &[2])
        }),
        case("20.rsa-0-bits", "generates an RSA pair of 0 bits", BAD_RSA, |x| rsa(x, 0, &[1, 0, 1])),
        case("20.rsa-17-bits", "generates an RSA pair of 17 bits", BAD_RSA, |x| rsa(x, 17, &[1, 0, 1])),
        case("20.rsa-a-million-bits", "generates an RSA pair of 2^20 bits", BAD_RSA, |x| {
            rsa(x, 1 << 20, &[1, 0, 1])
        }),
    ]);
    cases.extend(USES.iter().map(|&(name, role, flag)| {
        let does = format!("begins {name} with a key that may not");
        Case::new(
            format!("attack.18.use.{name}"),
            CHAPTER,
            does,
            &[CKR_KEY_FUNCTION_NOT_PERMITTED],
            move |x| {
                x.need(CKM_AES_CBC, flag & (CKF_ENCRYPT | CKF_DECRYPT))?;
                x.need(CKM_SHA256_HMAC, flag & (CKF_SIGN | CKF_VERIFY))?;
                let (cbc, hmac) = (Mechanism::bytes(CKM_AES_CBC, &[0; 16]), Mechanism::new(CKM_SHA256_HMAC));
                let kind = if flag & (CKF_SIGN | CKF_VERIFY) != 0 { CKK_GENERIC_SECRET } else { CKK_AES };
                let key = x.import(kind, &[1; 32], &[Attr::bool(role, false)]).setup("C_CreateObject")?;
                Ok(Rv::of(&match flag {
                    CKF_ENCRYPT => x.s().encrypt_init(&cbc, key),
                    CKF_DECRYPT => x.s().decrypt_init(&cbc, key),
                    CKF_SIGN => x.s().sign_init(&hmac, key),
                    _ => x.s().verify_init(&hmac, key),
                }))
            },
        )
    }));
    cases.extend(DERIVES.iter().flat_map(|&(name, make)| {
        let does = format!("derives a readable key from a sensitive one by {name}");
        let open =
            Case::new(format!("attack.08.derive-open.{name}"), CHAPTER, does, DERIVE_REFUSED, move |x| {
                derive(x, &make(), &[Attr::bool(CKA_SENSITIVE, false), Attr::bool(CKA_EXTRACTABLE, true)])
                    .map(|_| Rv(CKR_OK))
            });
        let does = format!(
            "derives by {name} from a sensitive key without saying anything: it must be sensitive too"
        );
        let inherit =
            Case::new(format!("attack.08.derive-inherits.{name}"), CHAPTER, does, &[CKR_OK], move |x| {
                let key = derive(x, &make(), &[])?;
                that(
                    x.s().attribute_bool(key, CKA_SENSITIVE).setup("CKA_SENSITIVE")?,
                    "the derived key is not sensitive",
                )?;
                that(
                    !x.s().attribute_bool(key, CKA_EXTRACTABLE).setup("CKA_EXTRACTABLE")?,
                    "the derived key is extractable",
                )?;
                FINE
            });
        [open, inherit.spec_only()]
    }));
    cases.push(
        case("08.extract-one-byte", "extracts one byte of a sensitive key as a key", EXTRACT_REFUSED, |x| {
            derive(x, &Mechanism::ulong(CKM_EXTRACT_KEY_FROM_KEY, 0), &[]).map(|_| Rv(CKR_OK))
        })
        .strict_only(),
    );
    cases.push(
        case(
            "08.encrypt-data",
            "derives a readable key from a sensitive one by CKM_AES_CBC_ENCRYPT_DATA",
            DERIVE_REFUSED,
            |x| {
                x.need(CKM_AES_CBC_ENCRYPT_DATA, CKF_DERIVE)?;
                let base = x.aes(32, &yes(&[CKA_DERIVE, CKA_SENSITIVE]))?;
                let m = Mechanism::aes_cbc_encrypt_data([0; 16], &[1; 32]);
                let open = [
                    Attr::ulong(CKA_VALUE_LEN, 32),
                    Attr::bool(CKA_SENSITIVE, false),
                    Attr::bool(CKA_EXTRACTABLE, true),
                ];
                Ok(Rv::of(&x.s().derive(&m, base, &aes_template(&open))))
            },
        )
        .strict_only(),
    );
    cases.push(
        case("08.derive-and-encrypt", "gives a key both CKA_DERIVE and CKA_ENCRYPT", CONFLICT, |x| {
            Ok(Rv::of(&x.aes(32, &yes(&[CKA_DERIVE, CKA_ENCRYPT]))))
        })
        .strict_only(),
    );
    cases.push(
        case("08.digest-short-key", "digests a sensitive key of one byte", &[CKR_KEY_INDIGESTIBLE], |x| {
            x.need(CKM_SHA256, CKF_DIGEST)?;
            let key = x.import(CKK_GENERIC_SECRET, &[7], &yes(&[CKA_SENSITIVE]))?;
            x.s().digest_init(&Mechanism::new(CKM_SHA256)).setup("C_DigestInit")?;
            Ok(Rv::of(&x.s().digest_key(key)))
        })
        .strict_only(),
    );
    cases
}

const STOPPED: &[CK_RV] = &[CKR_TEMPLATE_INCONSISTENT, CKR_MECHANISM_INVALID, CKR_KEY_FUNCTION_NOT_PERMITTED];
const SET_CONFLICT: &[CK_RV] = &[CKR_TEMPLATE_INCONSISTENT, CKR_ATTRIBUTE_READ_ONLY];
const WEAK_DES3: &[CK_RV] =
    &[CKR_WRAPPING_KEY_SIZE_RANGE, CKR_WRAPPING_KEY_TYPE_INCONSISTENT, CKR_MECHANISM_INVALID];
const SPLICED: &[CK_RV] = &[CKR_WRAPPED_KEY_INVALID, CKR_WRAPPED_KEY_LEN_RANGE];
const WEAK_RSA: &[CK_RV] = &[CKR_WRAPPING_KEY_SIZE_RANGE, CKR_KEY_SIZE_RANGE, CKR_ATTRIBUTE_VALUE_INVALID];
const BAD_RSA: &[CK_RV] = &[CKR_ATTRIBUTE_VALUE_INVALID, CKR_KEY_SIZE_RANGE, CKR_TEMPLATE_INCONSISTENT];
const DERIVE_REFUSED: &[CK_RV] = &[CKR_TEMPLATE_INCONSISTENT, CKR_ATTRIBUTE_READ_ONLY];
const EXTRACT_REFUSED: &[CK_RV] =
    &[CKR_MECHANISM_INVALID, CKR_KEY_SIZE_RANGE, CKR_TEMPLATE_INCONSISTENT, CKR_ATTRIBUTE_VALUE_INVALID];

const USES: &[(&str, CK_ATTRIBUTE_TYPE, CK_FLAGS)] = &[
    ("encrypt", CKA_ENCRYPT, CKF_ENCRYPT),
    ("decrypt", CKA_DECRYPT, CKF_DECRYPT),
    ("sign", CKA_SIGN, CKF_SIGN),
    ("verify", CKA_VERIFY, CKF_VERIFY),
];

/// Simple derivations, which must hand the base key's sensitivity on.
const DERIVES: &[(&str, Make)] = &[
    ("extract", || Mechanism::ulong(CKM_EXTRACT_KEY_FROM_KEY, 0)),
    ("xor", || Mechanism::string_data(CKM_XOR_BASE_AND_DATA, &[0; 32])),
    ("base-and-data", || Mechanism::string_data(CKM_CONCATENATE_BASE_AND_DATA, &[0; 16])),
    ("data-and-base", || Mechanism::string_data(CKM_CONCATENATE_DATA_AND_BASE, &[0; 16])),
];

fn derive(x: &Context, m: &Mechanism, more: &[Attr]) -> Result<CK_OBJECT_HANDLE, Stop> {
    x.need(m.number(), CKF_DERIVE)?;
    let sealed = [yes(&[CKA_DERIVE, CKA_SENSITIVE]), vec![Attr::bool(CKA_EXTRACTABLE, false)]].concat();
    let base = x.import(CKK_GENERIC_SECRET, &[9; 32], &sealed).setup("the base key")?;
    // One byte by extraction is the attack itself: 32 such keys spell the base key out.
    let length = if m.number() == CKM_EXTRACT_KEY_FROM_KEY { 1 } else { 32 };
    let head =
        [Attr::class(CKO_SECRET_KEY), Attr::key_type(CKK_GENERIC_SECRET), Attr::bool(CKA_TOKEN, false)];
    let template = [&head[..], &[Attr::ulong(CKA_VALUE_LEN, length)], more].concat();
    Ok(x.s().derive(m, base, &template)?)
}

/// The mechanism by which the module lets triple DES wrap, and such a key.
fn des3_wrapping(x: &Context) -> Result<(Mechanism, CK_OBJECT_HANDLE), Stop> {
    let number = x.first(&[CKM_DES3_CBC_PAD, CKM_DES3_CBC, CKM_DES3_ECB], CKF_WRAP | CKF_UNWRAP)?;
    let m = match number {
        CKM_DES3_ECB => Mechanism::new(number),
        _ => Mechanism::bytes(number, &[0; 8]),
    };
    let template = [&yes(&[CKA_WRAP, CKA_UNWRAP])[..], &[Attr::bool(CKA_TOKEN, false)]].concat();
    Ok((m, x.s().generate_key(&Mechanism::new(CKM_DES3_KEY_GEN), &template).setup("C_GenerateKey")?))
}

fn gcm(x: &Context, iv: &[u8], tag_bits: CK_ULONG) -> Outcome {
    x.need(CKM_AES_GCM, CKF_ENCRYPT)?;
    let key = x.aes(32, &yes(&[CKA_ENCRYPT])).setup("C_GenerateKey")?;
    x.s().encrypt_init(&Mechanism::gcm(CKM_AES_GCM, iv, &[], tag_bits), key)?;
    Ok(Rv::of(&x.s().encrypt_once(&[0; 16])))
}

fn rsa(x: &Context, bits: CK_ULONG, exponent: &[u8]) -> Outcome {
    x.need(CKM_RSA_PKCS_KEY_PAIR_GEN, CKF_GENERATE_KEY_PAIR)?;
    let size = [Attr::ulong(CKA_MODULUS_BITS, bits), Attr::bytes(CKA_PUBLIC_EXPONENT, exponent)];
    Ok(Rv::of(&x.pair(CKM_RSA_PKCS_KEY_PAIR_GEN, &size, &[], &yes(&[CKA_SIGN]))))
}
