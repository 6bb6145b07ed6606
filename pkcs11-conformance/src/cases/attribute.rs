//! Attributes and their footnotes (section 4.2 and the tables of each class): what a creating function must refuse, what
//! it must fill in, and what a key says of its own history.

use crate::case::{Case, Outcome, Setup, Stop};
use crate::client::{Attr, Mechanism, Rv};
use crate::context::{Context, FINE, P256, that, yes};
use cryptoki_sys::*;

const CHAPTER: &str = "4 Attributes";

/// Codes for an attribute that must not be in the template.
const MUST_NOT: &[CK_RV] = &[CKR_ATTRIBUTE_READ_ONLY, CKR_TEMPLATE_INCONSISTENT, CKR_ATTRIBUTE_TYPE_INVALID];
/// Codes for a value that is not allowed.
const BAD_VALUE: &[CK_RV] = &[CKR_ATTRIBUTE_VALUE_INVALID, CKR_KEY_SIZE_RANGE, CKR_TEMPLATE_INCONSISTENT];

type Rows = fn() -> Vec<Attr>;

/// Footnotes of C_GenerateKey (CKM_AES_KEY_GEN): name, the attributes beside CKA_TOKEN, the wanted codes.
const GENERATE: &[(&str, Rows, &[CK_RV])] = &[
    ("no-value-len", || vec![], &[CKR_TEMPLATE_INCOMPLETE]),
    ("value", || with(Attr::bytes(CKA_VALUE, [0; 16])), MUST_NOT),
    ("local", || with(Attr::bool(CKA_LOCAL, false)), MUST_NOT),
    ("always-sensitive", || with(Attr::bool(CKA_ALWAYS_SENSITIVE, true)), MUST_NOT),
    ("never-extractable", || with(Attr::bool(CKA_NEVER_EXTRACTABLE, true)), MUST_NOT),
    ("key-gen-mechanism", || with(Attr::ulong(CKA_KEY_GEN_MECHANISM, CKM_AES_KEY_GEN)), MUST_NOT),
    ("class-right", || with(Attr::class(CKO_SECRET_KEY)), &[CKR_OK]),
    (
        "class-wrong",
        || with(Attr::class(CKO_PUBLIC_KEY)),
        &[CKR_TEMPLATE_INCONSISTENT, CKR_ATTRIBUTE_VALUE_INVALID],
    ),
    ("key-type-right", || with(Attr::key_type(CKK_AES)), &[CKR_OK]),
    (
        "key-type-wrong",
        || with(Attr::key_type(CKK_DES3)),
        &[CKR_TEMPLATE_INCONSISTENT, CKR_ATTRIBUTE_VALUE_INVALID],
    ),
    (
        "foreign",
        || with(Attr::bytes(CKA_MODULUS, [1])),
        &[CKR_TEMPLATE_INCONSISTENT, CKR_ATTRIBUTE_TYPE_INVALID],
    ),
    ("bool-of-8-bytes", || with(Attr::bytes(CKA_ENCRYPT, [1; 8])), &[CKR_ATTRIBUTE_VALUE_INVALID]),
    ("bool-of-0-bytes", || with(Attr::bytes(CKA_ENCRYPT, [])), &[CKR_ATTRIBUTE_VALUE_INVALID]),
    ("ulong-of-1-byte", || vec![Attr::bytes(CKA_VALUE_LEN, [16])], &[CKR_ATTRIBUTE_VALUE_INVALID]),
    ("date-wrong", || with(Attr::bytes(CKA_START_DATE, b"2026")), &[CKR_ATTRIBUTE_VALUE_INVALID]),
    ("date-empty", || with(Attr::bytes(CKA_START_DATE, [])), &[CKR_OK]),
    ("date", || with(Attr::date(CKA_START_DATE, "20260101")), &[CKR_OK]),
    ("label-empty", || with(Attr::label("")), &[CKR_OK]),
    ("size-0", || size(0), BAD_VALUE),
    ("size-15", || size(15), BAD_VALUE),
    ("size-33", || size(33), BAD_VALUE),
    ("size-64", || size(64), BAD_VALUE),
    ("size-16", || size(16), &[CKR_OK]),
    ("size-24", || size(24), &[CKR_OK]),
    ("size-32", || size(32), &[CKR_OK]),
];

/// Footnotes of C_CreateObject for an AES key: name, attributes beside class, type and CKA_TOKEN, wanted codes.
const CREATE: &[(&str, Rows, &[CK_RV])] = &[
    ("value-len", || value_with(Attr::ulong(CKA_VALUE_LEN, 16)), MUST_NOT),
    ("value-15", || vec![Attr::bytes(CKA_VALUE, [1; 15])], BAD_VALUE),
    ("value-31", || vec![Attr::bytes(CKA_VALUE, [1; 31])], BAD_VALUE),
    ("value-0", || vec![Attr::bytes(CKA_VALUE, [])], BAD_VALUE),
    ("value-33", || vec![Attr::bytes(CKA_VALUE, [1; 33])], BAD_VALUE),
    ("value-32", || vec![Attr::bytes(CKA_VALUE, [1; 32])], &[CKR_OK]),
    ("local", || value_with(Attr::bool(CKA_LOCAL, true)), MUST_NOT),
    ("always-sensitive", || value_with(Attr::bool(CKA_ALWAYS_SENSITIVE, true)), MUST_NOT),
    ("never-extractable", || value_with(Attr::bool(CKA_NEVER_EXTRACTABLE, true)), MUST_NOT),
    ("key-gen-mechanism", || value_with(Attr::ulong(CKA_KEY_GEN_MECHANISM, CKM_AES_KEY_GEN)), MUST_NOT),
    ("unique-id", || value_with(Attr::bytes(CKA_UNIQUE_ID, b"mine")), MUST_NOT),
];

fn with(more: Attr) -> Vec<Attr> {
    vec![Attr::ulong(CKA_VALUE_LEN, 16), more]
}

fn size(length: CK_ULONG) -> Vec<Attr> {
    vec![Attr::ulong(CKA_VALUE_LEN, length)]
}

fn value_with(more: Attr) -> Vec<Attr> {
    vec![Attr::bytes(CKA_VALUE, [1; 16]), more]
}

pub fn cases() -> Vec<Case> {
    let case = |id: String, does: String, want: &'static [CK_RV], run: Box<dyn Fn(&Context) -> Outcome>| {
        Case::new(format!("attribute.{id}"), CHAPTER, does, want, run)
    };
    let generate = GENERATE.iter().map(|&(name, rows, want)| {
        let does = format!("generates an AES key: {name}");
        case(
            format!("generate.{name}"),
            does,
            want,
            Box::new(move |x| {
                x.need(CKM_AES_KEY_GEN, CKF_GENERATE)?;
                let template = [rows(), vec![Attr::bool(CKA_TOKEN, false)]].concat();
                Ok(Rv::of(&x.s().generate_key(&Mechanism::new(CKM_AES_KEY_GEN), &template)))
            }),
        )
    });
    let create = CREATE.iter().map(|&(name, rows, want)| {
        let does = format!("creates an AES key: {name}");
        case(
            format!("create.{name}"),
            does,
            want,
            Box::new(move |x| {
                let fixed =
                    [Attr::class(CKO_SECRET_KEY), Attr::key_type(CKK_AES), Attr::bool(CKA_TOKEN, false)];
                Ok(Rv::of(&x.s().create_object(&[&fixed[..], &rows()].concat())))
            }),
        )
    });
    let single = |id: &str, does: &str, want: &'static [CK_RV], run: fn(&Context) -> Outcome| {
        case(id.into(), does.into(), want, Box::new(run))
    };
    let mut cases: Vec<_> = generate.chain(create).collect();
    cases.extend([
        single(
            "history.generated",
            "reads the history of a sensitive, unextractable generated key",
            &[CKR_OK],
            |x| {
                let sealed = [Attr::bool(CKA_SENSITIVE, true), Attr::bool(CKA_EXTRACTABLE, false)];
                let key = x.aes(32, &sealed).setup("C_GenerateKey")?;
                history(x, key, [true, true, true], Some(CKM_AES_KEY_GEN))
            },
        ),
        single(
            "history.generated-open",
            "reads the history of an extractable, not sensitive generated key",
            &[CKR_OK],
            |x| {
                let open = [Attr::bool(CKA_SENSITIVE, false), Attr::bool(CKA_EXTRACTABLE, true)];
                let key = x.aes(32, &open).setup("C_GenerateKey")?;
                history(x, key, [true, false, false], Some(CKM_AES_KEY_GEN))
            },
        ),
        single("history.created", "reads the history of a created key", &[CKR_OK], |x| {
            let sealed = [Attr::bool(CKA_SENSITIVE, true), Attr::bool(CKA_EXTRACTABLE, false)];
            let key = x.import(CKK_AES, &[1; 16], &sealed).setup("C_CreateObject")?;
            history(x, key, [false, false, false], None)
        }),
        single(
            "history.made-sensitive",
            "makes a generated key sensitive and unextractable later",
            &[CKR_OK],
            |x| {
                let open = [Attr::bool(CKA_SENSITIVE, false), Attr::bool(CKA_EXTRACTABLE, true)];
                let key = x.aes(32, &open).setup("C_GenerateKey")?;
                let close = [Attr::bool(CKA_SENSITIVE, true), Attr::bool(CKA_EXTRACTABLE, false)];
                x.s().set(key, &close).setup("C_SetAttributeValue")?;
                history(x, key, [true, false, false], Some(CKM_AES_KEY_GEN))
            },
        ),
        single("history.copied", "reads the history of a copy", &[CKR_OK], |x| {
            let sealed = [Attr::bool(CKA_SENSITIVE, true), Attr::bool(CKA_EXTRACTABLE, false)];
            let key = x.aes(32, &sealed).setup("C_GenerateKey")?;
            let copy = x.s().copy(key, &[]).setup("C_CopyObject")?;
            history(x, copy, [true, true, true], Some(CKM_AES_KEY_GEN))
        }),
        single(
            "rsa-pair",
            "generates an RSA pair and reads what the module had to fill in",
            &[CKR_OK],
            |x| {
                let (public, private) =
                    x.rsa(2048, &yes(&[CKA_VERIFY]), &yes(&[CKA_SIGN])).setup("C_GenerateKeyPair")?;
                that(x.s().attribute(public, CKA_MODULUS)?.len() == 256, "CKA_MODULUS is not 256 bytes")?;
                that(
                    x.s().attribute(private, CKA_MODULUS)? == x.s().attribute(public, CKA_MODULUS)?,
                    "two moduli",
                )?;
                that(
                    x.s().attribute(private, CKA_PUBLIC_EXPONENT)? == [1, 0, 1],
                    "CKA_PUBLIC_EXPONENT of the private key",
                )?;
                that(x.s().attribute_ulong(public, CKA_KEY_TYPE)? == CKK_RSA, "CKA_KEY_TYPE")?;
                that(
                    x.s().attribute_bool(private, CKA_LOCAL)? && x.s().attribute_bool(public, CKA_LOCAL)?,
                    "CKA_LOCAL",
                )?;
                FINE
            },
        ),
        single(
            "rsa-no-bits",
            "generates an RSA pair without CKA_MODULUS_BITS",
            &[CKR_TEMPLATE_INCOMPLETE],
            |x| {
                x.need(CKM_RSA_PKCS_KEY_PAIR_GEN, CKF_GENERATE_KEY_PAIR)?;
                Ok(Rv::of(&x.pair(
                    CKM_RSA_PKCS_KEY_PAIR_GEN,
                    &[Attr::bytes(CKA_PUBLIC_EXPONENT, [1, 0, 1])],
                    &[],
                    &[],
                )))
            },
        ),
        single(
            "ec-pair",
            "generates a P-256 pair and reads CKA_EC_POINT: an OCTET STRING of 65 bytes",
            &[CKR_OK],
            |x| {
                let (public, private) =
                    x.ec(P256, &yes(&[CKA_VERIFY]), &yes(&[CKA_SIGN])).setup("C_GenerateKeyPair")?;
                let point = x.s().attribute(public, CKA_EC_POINT)?;
                that(point.len() == 67 && point[..3] == [4, 65, 4], format!("CKA_EC_POINT {point:02x?}"))?;
                that(x.s().attribute(private, CKA_EC_PARAMS)? == P256, "CKA_EC_PARAMS of the private key")?;
                FINE
            },
        ),
        single(
            "ec-no-params",
            "generates an EC pair without CKA_EC_PARAMS",
            &[CKR_TEMPLATE_INCOMPLETE],
            |x| {
                x.need(CKM_EC_KEY_PAIR_GEN, CKF_GENERATE_KEY_PAIR)?;
                Ok(Rv::of(&x.pair(CKM_EC_KEY_PAIR_GEN, &[], &[], &[])))
            },
        ),
        single("ec-unknown-curve", "generates an EC pair on a curve nobody has", EC_REFUSALS, |x| {
            x.need(CKM_EC_KEY_PAIR_GEN, CKF_GENERATE_KEY_PAIR)?;
            Ok(Rv::of(&x.ec(&[6, 3, 42, 3, 4], &[], &[])))
        }),
        single(
            "ec-params-garbage",
            "generates an EC pair from parameters that are no DER",
            EC_REFUSALS,
            |x| {
                x.need(CKM_EC_KEY_PAIR_GEN, CKF_GENERATE_KEY_PAIR)?;
                Ok(Rv::of(&x.ec(&[6, 0x84, 255, 255, 255, 255, 1], &[], &[])))
            },
        ),
        single(
            "pair-all-or-nothing",
            "gives a bad private template: no public key may stay behind",
            &[CKR_OK],
            |x| {
                let label = Attr::label("half a pair");
                let bad = [label.clone(), Attr::bool(CKA_LOCAL, true)];
                let rv = Rv::of(&x.ec(P256, std::slice::from_ref(&label), &bad));
                that(rv != CKR_OK, "CKA_LOCAL was accepted")?;
                that(x.s().find(&[label]).setup("find")?.is_empty(), format!("{rv}, and a key is left"))?;
                FINE
            },
        ),
        single(
            "check-value",
            "reads CKA_CHECK_VALUE of an AES key: three bytes of the encrypted zero block",
            &[CKR_OK],
            |x| {
                x.need(CKM_AES_ECB, CKF_ENCRYPT)?;
                let key = x.aes(32, &yes(&[CKA_ENCRYPT])).setup("C_GenerateKey")?;
                let value = match x.s().attribute(key, CKA_CHECK_VALUE) {
                    Err(rv) if rv == CKR_ATTRIBUTE_TYPE_INVALID => {
                        return Err(Stop::NotOffered("CKA_CHECK_VALUE".into()));
                    }
                    other => other.setup("C_GetAttributeValue")?,
                };
                let block = x.s().encrypt(&Mechanism::new(CKM_AES_ECB), key, &[0; 16]).setup("C_Encrypt")?;
                that(value == block[..3], format!("{value:02x?} and not {:02x?}", &block[..3]))?;
                FINE
            },
        ),
        single(
            "check-value-wrong",
            "creates a key with a CKA_CHECK_VALUE that is not its own",
            &[CKR_ATTRIBUTE_VALUE_INVALID],
            |x| {
                let key = x.import(CKK_AES, &[1; 16], &[]).setup("C_CreateObject")?;
                if Rv::of(&x.s().attribute(key, CKA_CHECK_VALUE)) != CKR_OK {
                    return Err(Stop::NotOffered("CKA_CHECK_VALUE".into()));
                }
                Ok(Rv::of(&x.import(CKK_AES, &[1; 16], &[Attr::bytes(CKA_CHECK_VALUE, [9, 9, 9])])))
            },
        ),
        single("templates-read-back", "reads a CKA_WRAP_TEMPLATE back", &[CKR_OK], |x| {
            let inner = [Attr::bool(CKA_EXTRACTABLE, true), Attr::key_type(CKK_AES)];
            let template = [Attr::bool(CKA_WRAP, true), Attr::template(CKA_WRAP_TEMPLATE, &inner)];
            let key = match x.aes(32, &template) {
                Err(rv) if rv == CKR_ATTRIBUTE_TYPE_INVALID => {
                    return Err(Stop::NotOffered("CKA_WRAP_TEMPLATE".into()));
                }
                other => other.setup("C_GenerateKey")?,
            };
            let mut read = x.s().attribute_template(key, CKA_WRAP_TEMPLATE).setup("C_GetAttributeValue")?;
            read.sort_by_key(|attr| attr.kind);
            let mut want = inner.to_vec();
            want.sort_by_key(|attr| attr.kind);
            that(read == want, format!("{read:?}"))?;
            FINE
        }),
    ]);
    cases
}

const EC_REFUSALS: &[CK_RV] = &[
    CKR_CURVE_NOT_SUPPORTED,
    CKR_DOMAIN_PARAMS_INVALID,
    CKR_ATTRIBUTE_VALUE_INVALID,
    CKR_TEMPLATE_INCONSISTENT,
];

/// CKA_LOCAL, CKA_ALWAYS_SENSITIVE, CKA_NEVER_EXTRACTABLE and CKA_KEY_GEN_MECHANISM are what they must be.
fn history(
    x: &Context,
    key: CK_OBJECT_HANDLE,
    want: [bool; 3],
    mechanism: Option<CK_MECHANISM_TYPE>,
) -> Outcome {
    for (kind, want) in [CKA_LOCAL, CKA_ALWAYS_SENSITIVE, CKA_NEVER_EXTRACTABLE].into_iter().zip(want) {
        let is = x.s().attribute_bool(key, kind).setup("C_GetAttributeValue")?;
        that(is == want, format!("attribute {kind:#x} is {is}"))?;
    }
    let is = x.s().attribute_ulong(key, CKA_KEY_GEN_MECHANISM).setup("CKA_KEY_GEN_MECHANISM")?;
    that(is == mechanism.unwrap_or(CK_UNAVAILABLE_INFORMATION), format!("CKA_KEY_GEN_MECHANISM is {is:#x}"))?;
    FINE
}
