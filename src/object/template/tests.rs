//! Every footnote, every one-way attribute, and the attacks that templates must stop.

use super::draft::{self, USES};
use super::*;
use crate::error::{Result, Rv};
use crate::object::schema::Implied;
use crate::object::{Object, Secrets};

const SPEC: Rules = Rules { defaults: Defaults::Standard, strict: false, by_so: false };
const STRICT: Rules = Rules { strict: true, ..SPEC };
const SO: Rules = Rules { by_so: true, ..SPEC };
const CLOUDHSM: Rules = Rules { defaults: Defaults::CloudHsm, ..SPEC };

/// Attributes in one expression: `attributes! { CKA_WRAP: true, ... }`.
macro_rules! attributes {
    ($($name:ident: $value:expr),* $(,)?) => { Attributes::new()$(.with($name, $value))* };
}

fn rv<T>(result: Result<T>) -> Rv {
    match result {
        Ok(_) => panic!("was allowed"),
        Err(error) => error.rv(),
    }
}

fn bytes(bytes: &[u8]) -> Value {
    bytes.into()
}

fn aes() -> Attributes {
    attributes! { CKA_CLASS: CKO_SECRET_KEY, CKA_KEY_TYPE: CKK_AES }
}

const AES: Implied = Some((CKO_SECRET_KEY, CKK_AES));

fn private(key_type: CK_KEY_TYPE) -> Attributes {
    attributes! { CKA_CLASS: CKO_PRIVATE_KEY, CKA_KEY_TYPE: key_type }
}

fn public(key_type: CK_KEY_TYPE) -> Attributes {
    attributes! { CKA_CLASS: CKO_PUBLIC_KEY, CKA_KEY_TYPE: key_type }
}

/// The draft's attributes.
fn build(act: Act, template: &Attributes, implied: Implied, rules: &Rules) -> Result<Attributes> {
    draft::build(act, &mut template.clone(), implied, rules).map(|draft| draft.clone())
}

/// A part of [`Draft::settle`].
fn settle(object: &mut Attributes) -> Result<()> {
    draft::settle(object, schema::of(object)?)
}

/// Another one.
fn take_secrets(object: &mut Attributes) -> Attributes {
    reveal::take_secrets(object, schema::of(object).unwrap())
}

fn generate(template: Attributes, rules: &Rules) -> Result<Attributes> {
    build(Act::Generate, &template.with(CKA_VALUE_LEN, 32 as CK_ULONG), AES, rules)
}

fn create(template: Attributes) -> Result<Attributes> {
    build(Act::Create, &template, None, &SPEC)
}

/// A finished AES key.
fn made(act: Act, template: Attributes, bases: &[&Attributes], rules: &Rules) -> Attributes {
    let template = match act {
        Act::Create => template.with(CKA_VALUE, bytes(&[0; 32])),
        _ => template.with(CKA_VALUE_LEN, 32 as CK_ULONG),
    };
    let mut template = template;
    let mut draft = draft::build(act, &mut template, AES, rules).unwrap();
    draft.set(CKA_VALUE, bytes(&[0; 32]));
    draft.settle(CKM_AES_KEY_GEN, bases).unwrap().attributes
}

/// One that C_GenerateKey made.
fn key(template: Attributes) -> Attributes {
    made(Act::Generate, template, &[], &SPEC).with(CKA_UNIQUE_ID, bytes(b"1"))
}

fn certificate() -> Attributes {
    attributes! {
        CKA_CLASS: CKO_CERTIFICATE, CKA_CERTIFICATE_TYPE: CKC_X_509,
        CKA_SUBJECT: bytes(b"cn"), CKA_VALUE: bytes(b"der"),
    }
}

#[test]
fn footnotes_1_3_5_demand() {
    assert_eq!(rv(create(aes())), Rv::TemplateIncomplete);
    assert!(create(aes().with(CKA_VALUE, bytes(&[0; 16]))).is_ok());
    assert_eq!(rv(build(Act::Generate, &Attributes::new(), AES, &SPEC)), Rv::TemplateIncomplete);
    let implied = Some((CKO_PUBLIC_KEY, CKK_RSA));
    assert_eq!(rv(build(Act::Generate, &Attributes::new(), implied, &SPEC)), Rv::TemplateIncomplete);
    let bits = attributes! { CKA_MODULUS_BITS: 2048 as CK_ULONG };
    assert!(build(Act::Generate, &bits, implied, &SPEC).is_ok());
    let no_type = attributes! { CKA_CLASS: CKO_SECRET_KEY };
    assert_eq!(rv(build(Act::Unwrap, &no_type, None, &SPEC)), Rv::TemplateIncomplete);
    assert!(build(Act::Unwrap, &aes(), None, &SPEC).is_ok());
    assert_eq!(rv(create(Attributes::new())), Rv::TemplateIncomplete);
}

#[test]
fn footnotes_2_4_6_forbid() {
    let value = attributes! { CKA_VALUE: bytes(&[0; 16]) };
    assert_eq!(rv(generate(value.clone(), &SPEC)), Rv::AttributeReadOnly);
    for act in [Act::Unwrap, Act::Derive] {
        assert_eq!(rv(build(act, &value, AES, &SPEC)), Rv::AttributeReadOnly);
        let length = attributes! { CKA_VALUE_LEN: 16 as CK_ULONG };
        assert!(build(act, &length, AES, &SPEC).is_ok(), "3.2 lets both say the length");
    }
    let sized = value.with(CKA_VALUE_LEN, 16 as CK_ULONG);
    assert_eq!(rv(build(Act::Create, &sized, AES, &SPEC)), Rv::AttributeReadOnly);
}

#[test]
fn nobody_forges_a_history() {
    let forgeries = attributes! {
        CKA_LOCAL: true, CKA_ALWAYS_SENSITIVE: true, CKA_NEVER_EXTRACTABLE: true,
        CKA_KEY_GEN_MECHANISM: CKM_AES_KEY_GEN, CKA_UNIQUE_ID: bytes(b"mine"),
        CKA_OBJECT_VALIDATION_FLAGS: 1 as CK_ULONG,
    };
    let original = key(Attributes::new());
    for (attribute, value) in forgeries.iter() {
        let forged = Attributes::new().with(attribute, value.clone());
        let created = forged.clone().with(CKA_VALUE, bytes(&[0; 16]));
        assert_eq!(rv(build(Act::Create, &created, AES, &SO)), Rv::AttributeReadOnly);
        assert_eq!(rv(generate(forged.clone(), &SO)), Rv::AttributeReadOnly);
        assert_eq!(rv(build(Act::Unwrap, &forged, AES, &SO)), Rv::AttributeReadOnly);
        assert_eq!(rv(build(Act::Derive, &forged, AES, &SO)), Rv::AttributeReadOnly);
        assert_eq!(rv(set(&original, &forged, &SO)), Rv::AttributeReadOnly);
        assert_eq!(rv(copy(&original, &forged, &SO)), Rv::AttributeReadOnly);
    }
}

#[test]
fn footnote_7_hides() {
    let object = |sensitive: bool, extractable: bool| {
        let mut key = key(attributes! { CKA_SENSITIVE: sensitive, CKA_EXTRACTABLE: extractable });
        key.set(CKA_VALUE, bytes(&[7; 32]));
        let secrets = take_secrets(&mut key);
        assert!(!key.has(CKA_VALUE) && matches!(secrets.value(CKA_VALUE), Some(Value::Secret(_))));
        Object::new(1, key, Secrets::opened(secrets))
    };
    for (sensitive, extractable) in [(true, true), (true, false), (false, false)] {
        let object = object(sensitive, extractable);
        assert_eq!(rv(value(&object, CKA_VALUE, &SPEC)), Rv::AttributeSensitive);
        assert!(value(&object, CKA_VALUE_LEN, &SPEC).is_ok());
    }
    let open = object(false, true);
    assert_eq!(value(&open, CKA_VALUE, &SPEC).unwrap().as_bytes(), Some(&[7; 32][..]));
    assert_eq!(rv(value(&open, CKA_MODULUS, &SPEC)), Rv::AttributeTypeInvalid);
    assert_eq!(rv(value(&open, CKA_VENDOR_DEFINED | 1, &SPEC)), Rv::AttributeTypeInvalid);
    assert_eq!(rv(value(&open, CKA_CHECK_VALUE, &SPEC)), Rv::AttributeTypeInvalid);
    assert!(value(&open, CKA_START_DATE, &SPEC).unwrap().is_empty());
    // Another class's CKA_VALUE is no secret.
    assert!(is_secret(CKO_PRIVATE_KEY, Some(CKK_ML_KEM), CKA_SEED));
    assert!(!is_secret(CKO_PUBLIC_KEY, Some(CKK_ML_KEM), CKA_VALUE));
    assert!(!is_secret(CKO_CERTIFICATE, None, CKA_VALUE));
}

#[test]
fn footnote_8_lets_change_and_nothing_else_does() {
    let original = key(Attributes::new());
    let changed = set(&original, &attributes! { CKA_LABEL: bytes(b"new"), CKA_WRAP: true }, &SPEC).unwrap();
    assert_eq!(changed.bytes(CKA_LABEL), Some(&b"new"[..]));
    assert!(changed.is_true(CKA_WRAP));
    let fixed = attributes! {
        CKA_CLASS: CKO_SECRET_KEY, CKA_KEY_TYPE: CKK_DES3, CKA_VALUE: bytes(&[0; 32]), CKA_VALUE_LEN: 32 as CK_ULONG,
        CKA_TOKEN: true, CKA_PRIVATE: true, CKA_MODIFIABLE: true, CKA_DESTROYABLE: true, CKA_CHECK_VALUE: bytes(&[1; 3]),
        CKA_WRAP_TEMPLATE: Attributes::new(), CKA_UNWRAP_TEMPLATE: Attributes::new(),
        CKA_ALLOWED_MECHANISMS: Value::Mechanisms([CKM_AES_GCM].into()),
    };
    for (attribute, value) in fixed.iter() {
        // Some of these values are what the key has already: that changes nothing.
        let change = Attributes::new().with(attribute, value.clone());
        assert_eq!(rv(set(&original, &change, &SO)), Rv::AttributeReadOnly, "{}", attribute::name(attribute));
    }
    let foreign = attributes! { CKA_MODULUS: bytes(&[1]) };
    assert_eq!(rv(set(&original, &foreign, &SPEC)), Rv::TemplateInconsistent);
    let unknown = Attributes::new().with(CKA_VENDOR_DEFINED | 1, bytes(b""));
    assert_eq!(rv(set(&original, &unknown, &SPEC)), Rv::AttributeTypeInvalid);
    // What was given an empty label has none to store, and still one to show.
    assert!(!set(&changed, &attributes! { CKA_LABEL: bytes(b"") }, &SPEC).unwrap().has(CKA_LABEL));
}

#[test]
fn footnote_9_defaults() {
    let key = generate(Attributes::new(), &SPEC).unwrap();
    let is = |key: &Attributes, attribute| key.is_true(attribute);
    assert!(is(&key, CKA_PRIVATE) && !is(&key, CKA_SENSITIVE) && !is(&key, CKA_EXTRACTABLE));
    assert!(is(&key, CKA_MODIFIABLE) && is(&key, CKA_COPYABLE) && is(&key, CKA_DESTROYABLE));
    assert!(!is(&key, CKA_TOKEN) && !is(&key, CKA_TRUSTED) && !is(&key, CKA_WRAP_WITH_TRUSTED));
    assert!(is(&generate(Attributes::new(), &STRICT).unwrap(), CKA_SENSITIVE));
    let unwrapped = build(Act::Unwrap, &private(CKK_EC), None, &SPEC).unwrap();
    assert!(is(&unwrapped, CKA_SENSITIVE) && is(&unwrapped, CKA_EXTRACTABLE) && is(&unwrapped, CKA_PRIVATE));
    let point = attributes! { CKA_EC_PARAMS: bytes(b"oid"), CKA_EC_POINT: bytes(b"q") };
    let point = build(Act::Create, &point, Some((CKO_PUBLIC_KEY, CKK_EC)), &SPEC).unwrap();
    assert!(!is(&point, CKA_PRIVATE) && is(&point, CKA_VERIFY) && !is(&point, CKA_DERIVE));
    assert!(!is(&create(certificate()).unwrap(), CKA_PRIVATE));
}

#[test]
fn a_key_without_uses_gets_its_types_and_a_key_with_some_no_more() {
    let uses = |key: Attributes| {
        attribute::ALL
            .iter()
            .copied()
            .filter(|usage| USES.includes(*usage) && key.is_true(*usage))
            .collect::<Vec<_>>()
    };
    assert_eq!(uses(generate(Attributes::new(), &SPEC).unwrap()), [CKA_ENCRYPT, CKA_DECRYPT]);
    assert_eq!(uses(generate(attributes! { CKA_WRAP: true }, &SPEC).unwrap()), [CKA_WRAP]);
    assert!(uses(generate(attributes! { CKA_ENCRYPT: false }, &SPEC).unwrap()).is_empty());
    let rsa = build(Act::Unwrap, &private(CKK_RSA), None, &SPEC).unwrap();
    assert_eq!(uses(rsa), [CKA_DECRYPT, CKA_SIGN]);
    // facts of CloudHSM: what C_GenerateKey makes signs and verifies; nothing else is granted.
    assert_eq!(uses(generate(Attributes::new(), &CLOUDHSM).unwrap()), [CKA_SIGN, CKA_VERIFY]);
    let wrapping = attributes! { CKA_WRAP: true, CKA_ENCRYPT: false };
    assert_eq!(uses(generate(wrapping, &CLOUDHSM).unwrap()), [CKA_WRAP, CKA_SIGN, CKA_VERIFY]);
    let rsa = build(Act::Unwrap, &private(CKK_RSA), None, &CLOUDHSM).unwrap();
    assert!(uses(rsa).is_empty());
}

#[test]
fn cloudhsm_keys_are_private_sensitive_extractable() {
    let key = generate(Attributes::new(), &CLOUDHSM).unwrap();
    assert!(key.is_true(CKA_PRIVATE) && key.is_true(CKA_SENSITIVE) && key.is_true(CKA_EXTRACTABLE));
    let bits = attributes! { CKA_MODULUS_BITS: 2048 as CK_ULONG, CKA_WRAP: true };
    let public = build(Act::Generate, &bits, Some((CKO_PUBLIC_KEY, CKK_RSA)), &CLOUDHSM).unwrap();
    assert!(public.is_true(CKA_PRIVATE) && public.is_true(CKA_WRAP));
    assert_eq!(rv(generate(attributes! { CKA_PRIVATE: false }, &CLOUDHSM)), Rv::AttributeValueInvalid);
    assert!(build(Act::Create, &certificate(), None, &CLOUDHSM).is_ok());
}

#[test]
fn footnote_10_is_the_sos() {
    let trusted = attributes! { CKA_TRUSTED: true };
    let created = trusted.clone().with(CKA_VALUE, bytes(&[0; 16]));
    let untrusted = key(Attributes::new());
    assert_eq!(rv(build(Act::Create, &created, AES, &SPEC)), Rv::AttributeReadOnly);
    assert_eq!(rv(generate(trusted.clone(), &SPEC)), Rv::AttributeReadOnly);
    assert_eq!(rv(build(Act::Unwrap, &trusted, AES, &SPEC)), Rv::AttributeReadOnly);
    assert_eq!(rv(build(Act::Derive, &trusted, AES, &SPEC)), Rv::AttributeReadOnly);
    assert_eq!(rv(set(&untrusted, &trusted, &SPEC)), Rv::AttributeReadOnly);
    assert_eq!(rv(copy(&untrusted, &trusted, &SPEC)), Rv::AttributeReadOnly);
    assert_eq!(rv(create(certificate().with(CKA_TRUSTED, true))), Rv::AttributeReadOnly);
    assert!(generate(attributes! { CKA_TRUSTED: false }, &SPEC).is_ok());

    let by_so = set(&untrusted, &trusted, &SO).unwrap();
    assert!(by_so.is_true(CKA_TRUSTED));
    assert_eq!(rv(set(&by_so, &attributes! { CKA_TRUSTED: false }, &SPEC)), Rv::AttributeReadOnly);
    // A user's copy of a trusted key could have other uses than the SO saw.
    assert!(!copy(&by_so, &attributes! { CKA_DECRYPT: true }, &SPEC).unwrap().is_true(CKA_TRUSTED));
    assert_eq!(rv(copy(&by_so, &trusted, &SPEC)), Rv::AttributeReadOnly);
    assert!(copy(&by_so, &Attributes::new(), &SO).unwrap().is_true(CKA_TRUSTED));

    let anchor = build(Act::Create, &certificate().with(CKA_TRUSTED, true), None, &SO).unwrap();
    let label = attributes! { CKA_LABEL: bytes(b"mine") };
    assert_eq!(rv(set(&anchor, &label, &SPEC)), Rv::ActionProhibited);
    assert!(set(&anchor, &label, &SO).is_ok());
}

#[test]
fn footnotes_11_and_12_go_one_way() {
    let one_way = [
        (CKA_SENSITIVE, true),
        (CKA_EXTRACTABLE, false),
        (CKA_WRAP_WITH_TRUSTED, true),
        (CKA_COPYABLE, false),
    ];
    for (attribute, last) in one_way {
        let name = attribute::name(attribute);
        let to = |value: bool| Attributes::new().with(attribute, value);
        let first = key(Attributes::new().with(attribute, !last));
        assert!(set(&first, &to(!last), &SPEC).is_ok(), "{name}: is not yet fixed");
        let fixed = set(&first, &to(last), &SPEC).unwrap();
        assert_eq!(fixed.value(attribute), Some(&Value::Bool(last)), "{name}");
        assert_eq!(rv(set(&fixed, &to(!last), &SO)), Rv::AttributeReadOnly, "{name}");
        assert_eq!(rv(set(&fixed, &to(last), &SO)), Rv::AttributeReadOnly, "{name}: has become read-only");
        if attribute != CKA_COPYABLE {
            assert_eq!(rv(copy(&fixed, &to(!last), &SO)), Rv::AttributeReadOnly, "{name}");
            assert!(copy(&fixed, &to(last), &SPEC).is_ok(), "{name}: a copy may repeat it");
            assert_eq!(copy(&first, &to(last), &SPEC).unwrap().value(attribute), Some(&Value::Bool(last)));
        }
    }
}

#[test]
fn what_is_not_modifiable_or_copyable_stays() {
    let label = attributes! { CKA_LABEL: bytes(b"x") };
    let fixed = key(attributes! { CKA_MODIFIABLE: false, CKA_COPYABLE: false });
    assert_eq!(rv(set(&fixed, &label, &SO)), Rv::ActionProhibited);
    assert_eq!(rv(set(&fixed, &attributes! { CKA_MODIFIABLE: true }, &SO)), Rv::ActionProhibited);
    assert_eq!(rv(copy(&fixed, &label, &SO)), Rv::ActionProhibited);
    assert_eq!(rv(copy(&fixed, &Attributes::new(), &SO)), Rv::ActionProhibited);
}

#[test]
fn a_copy_may_change_more_than_the_object() {
    let original = key(attributes! { CKA_SENSITIVE: true });
    let template = attributes! {
        CKA_TOKEN: true, CKA_MODIFIABLE: false, CKA_DESTROYABLE: false, CKA_LABEL: bytes(b"copy"),
    };
    let copied = copy(&original, &template, &SPEC).unwrap();
    assert!(copied.is_true(CKA_TOKEN) && !copied.is_true(CKA_MODIFIABLE) && !copied.is_true(CKA_DESTROYABLE));
    assert!(!copied.has(CKA_UNIQUE_ID), "a copy is another object");
    for carried in [CKA_LOCAL, CKA_ALWAYS_SENSITIVE, CKA_NEVER_EXTRACTABLE, CKA_SENSITIVE] {
        assert!(copied.is_true(carried), "{}", attribute::name(carried));
    }
    assert_eq!(copied.ulong(CKA_KEY_GEN_MECHANISM), Some(CKM_AES_KEY_GEN));
    assert_eq!(rv(copy(&original, &attributes! { CKA_PRIVATE: false }, &SPEC)), Rv::AttributeReadOnly);
    let open = key(attributes! { CKA_PRIVATE: false });
    assert!(copy(&open, &attributes! { CKA_PRIVATE: true }, &SPEC).unwrap().is_true(CKA_PRIVATE));
    assert_eq!(rv(copy(&original, &attributes! { CKA_VALUE: bytes(b"x") }, &SPEC)), Rv::AttributeReadOnly);
}

#[test]
fn one_of_seed_and_value_is_enough() {
    let set = attributes! { CKA_PARAMETER_SET: CKP_ML_KEM_768 as CK_ULONG };
    let key = |template| build(Act::Create, &template, Some((CKO_PRIVATE_KEY, CKK_ML_KEM)), &SPEC);
    assert_eq!(rv(key(set.clone())), Rv::TemplateIncomplete);
    for part in [CKA_SEED, CKA_VALUE] {
        assert!(key(set.clone().with(part, bytes(&[1; 64]))).is_ok());
    }
}

#[test]
fn a_length_that_the_type_fixes_is_only_a_hint() {
    let des3 = Some((CKO_SECRET_KEY, CKK_DES3));
    let length = attributes! { CKA_VALUE_LEN: 24 as CK_ULONG };
    assert_eq!(rv(build(Act::Generate, &length, des3, &SPEC)), Rv::AttributeReadOnly);
    let mut key = build(Act::Unwrap, &length, des3, &SPEC).unwrap();
    assert_eq!(key.ulong(CKA_VALUE_LEN), Some(24));
    assert_eq!(rv(settle(&mut key)), Rv::TemplateIncomplete);
    key.set(CKA_VALUE, bytes(&[1; 24]));
    settle(&mut key).unwrap();
    assert!(!key.has(CKA_VALUE_LEN));
}

#[test]
fn a_check_value_can_be_emptied() {
    let key = key(Attributes::new()).with(CKA_CHECK_VALUE, bytes(&[1, 2, 3]));
    let emptied = set(&key, &attributes! { CKA_CHECK_VALUE: bytes(b"") }, &SPEC).unwrap();
    assert!(!emptied.has(CKA_CHECK_VALUE));
    let mut unwanted =
        create(aes().with(CKA_VALUE, bytes(&[0; 16])).with(CKA_CHECK_VALUE, bytes(b""))).unwrap();
    assert!(unwanted.has(CKA_CHECK_VALUE), "so that nobody computes one");
    settle(&mut unwanted).unwrap();
    assert!(!unwanted.has(CKA_CHECK_VALUE));
}

#[test]
fn a_public_key_info_must_be_the_keys() {
    let key = build(Act::Unwrap, &private(CKK_EC), None, &SPEC).unwrap();
    let key = key.with(CKA_PUBLIC_KEY_INFO, bytes(b"spki"));
    assert!(set(&key, &attributes! { CKA_PUBLIC_KEY_INFO: bytes(b"spki") }, &SPEC).is_ok());
    let other = attributes! { CKA_PUBLIC_KEY_INFO: bytes(b"other") };
    assert_eq!(rv(set(&key, &other, &SPEC)), Rv::AttributeValueInvalid);
    assert_eq!(rv(copy(&key, &other, &SPEC)), Rv::AttributeValueInvalid);
}

#[test]
fn classes_that_contradict_or_cannot_be_made() {
    let private_template = attributes! { CKA_CLASS: CKO_PRIVATE_KEY };
    assert_eq!(rv(generate(private_template, &SPEC)), Rv::TemplateInconsistent);
    assert_eq!(rv(generate(attributes! { CKA_KEY_TYPE: CKK_DES3 }, &SPEC)), Rv::TemplateInconsistent);
    assert!(generate(aes(), &SPEC).is_ok(), "saying what is implied is allowed");
    assert_eq!(rv(generate(attributes! { CKA_MODULUS: bytes(b"n") }, &SPEC)), Rv::TemplateInconsistent);
    let unknown = Attributes::new().with(CKA_VENDOR_DEFINED | 1, bytes(b"n"));
    assert_eq!(rv(generate(unknown, &SPEC)), Rv::AttributeTypeInvalid);
    for built_in in [CKO_MECHANISM, CKO_PROFILE, CKO_VALIDATION, CKO_OTP_KEY] {
        assert_eq!(rv(create(attributes! { CKA_CLASS: built_in })), Rv::AttributeValueInvalid);
    }
    let unwrapped = build(Act::Unwrap, &public(CKK_RSA), None, &SPEC);
    assert_eq!(rv(unwrapped), Rv::TemplateInconsistent);
    let derived = build(Act::Derive, &private(CKK_EC), None, &SPEC);
    assert_eq!(rv(derived), Rv::TemplateInconsistent);
}

#[test]
fn values_that_cannot_be() {
    for date in ["2025", "20250229", "20251301", "20250100", "2025010x", "00000000"] {
        let template = attributes! { CKA_START_DATE: bytes(date.as_bytes()) };
        assert_eq!(rv(generate(template, &SPEC)), Rv::AttributeValueInvalid, "{date}");
    }
    let dates =
        |start: &[u8], end: &[u8]| attributes! { CKA_START_DATE: bytes(start), CKA_END_DATE: bytes(end) };
    assert!(generate(dates(b"20240229", b"20240229"), &SPEC).is_ok());
    assert_eq!(rv(generate(dates(b"20250102", b"20250101"), &SPEC)), Rv::TemplateInconsistent);
    let empty = generate(dates(b"", b"20250101"), &SPEC).unwrap();
    assert!(!empty.has(CKA_START_DATE));
    assert_eq!(
        rv(set(&empty, &attributes! { CKA_START_DATE: bytes(b"20260101") }, &SPEC)),
        Rv::TemplateInconsistent
    );
    let category = certificate().with(CKA_CERTIFICATE_CATEGORY, 4 as CK_ULONG);
    assert_eq!(rv(create(category)), Rv::AttributeValueInvalid);
    let pin = private(CKK_EC).with(CKA_ALWAYS_AUTHENTICATE, true).with(CKA_PRIVATE, false);
    assert_eq!(rv(build(Act::Unwrap, &pin, None, &SPEC)), Rv::TemplateInconsistent);
}

#[test]
fn certificates_are_there_or_elsewhere() {
    assert!(create(certificate()).is_ok());
    assert_eq!(rv(create(certificate().with(CKA_VALUE, bytes(b"")))), Rv::TemplateIncomplete);
    let elsewhere = certificate().with(CKA_VALUE, bytes(b"")).with(CKA_URL, bytes(b"https://example.org"));
    assert_eq!(rv(create(elsewhere.clone())), Rv::TemplateIncomplete);
    let hashes = [CKA_HASH_OF_SUBJECT_PUBLIC_KEY, CKA_HASH_OF_ISSUER_PUBLIC_KEY];
    let elsewhere = hashes.into_iter().fold(elsewhere, |all, hash| all.with(hash, bytes(&[1; 20])));
    assert!(create(elsewhere).is_ok());
    let wtls = attributes! { CKA_CLASS: CKO_CERTIFICATE, CKA_CERTIFICATE_TYPE: CKC_WTLS };
    assert_eq!(rv(create(wtls)), Rv::AttributeValueInvalid);
}

#[test]
fn nested_templates_fit_some_key() {
    let with = |attribute, nested: Attributes| generate(Attributes::new().with(attribute, nested), &SPEC);
    assert!(with(CKA_WRAP_TEMPLATE, attributes! { CKA_ENCRYPT: true, CKA_ALWAYS_SENSITIVE: true }).is_ok());
    assert!(with(CKA_UNWRAP_TEMPLATE, aes().with(CKA_SENSITIVE, true)).is_ok());
    let secret = attributes! { CKA_VALUE: bytes(b"guess") };
    assert_eq!(rv(with(CKA_WRAP_TEMPLATE, aes().with(CKA_VALUE, bytes(b"guess")))), Rv::TemplateInconsistent);
    assert_eq!(rv(with(CKA_UNWRAP_TEMPLATE, secret)), Rv::TemplateInconsistent);
    assert_eq!(rv(with(CKA_UNWRAP_TEMPLATE, attributes! { CKA_LOCAL: true })), Rv::TemplateInconsistent);
    let crossing = attributes! { CKA_SIGN_RECOVER: true, CKA_VERIFY: true };
    assert_eq!(rv(with(CKA_UNWRAP_TEMPLATE, crossing)), Rv::TemplateInconsistent);
    assert_eq!(rv(with(CKA_DERIVE_TEMPLATE, private(CKK_RSA))), Rv::TemplateInconsistent);
    let unknown = Attributes::new().with(CKA_VENDOR_DEFINED | 1, bytes(b""));
    assert_eq!(rv(with(CKA_WRAP_TEMPLATE, unknown)), Rv::AttributeTypeInvalid);
    let date = attributes! { CKA_END_DATE: bytes(b"soon") };
    assert_eq!(rv(with(CKA_UNWRAP_TEMPLATE, date)), Rv::AttributeValueInvalid);
    let nest =
        |depth| (0..depth).fold(Attributes::new(), |inner, _| attributes! { CKA_UNWRAP_TEMPLATE: inner });
    let outermost = |depth| build(Act::Unwrap, &nest(depth), AES, &SPEC);
    assert!(outermost(MAX_DEPTH).is_ok());
    assert_eq!(rv(outermost(MAX_DEPTH + 1)), Rv::TemplateInconsistent);
    // What is accepted can be stored and read back.
    let stored = outermost(MAX_DEPTH).unwrap();
    assert_eq!(Attributes::decode(stored.encode().expose()).unwrap(), stored);
}

#[test]
fn a_keys_own_template_holds_with_the_callers() {
    let own = attributes! { CKA_SENSITIVE: true, CKA_EXTRACTABLE: false };
    let merge = |act, mut given: Attributes, own: Option<&Attributes>, rules: &Rules| {
        super::merge(act, &mut given, own, rules).map(|()| given)
    };
    let merged = merge(Act::Unwrap, aes(), Some(&own), &SPEC).unwrap();
    assert!(merged.is_true(CKA_SENSITIVE) && merged.has(CKA_EXTRACTABLE));
    let weaker = aes().with(CKA_SENSITIVE, false);
    assert_eq!(rv(merge(Act::Unwrap, weaker, Some(&own), &SPEC)), Rv::TemplateInconsistent);
    assert!(merge(Act::Unwrap, aes().with(CKA_SENSITIVE, true), Some(&own), &SPEC).is_ok());
    assert_eq!(merge(Act::Derive, aes(), None, &SPEC).unwrap(), aes());

    let wrapping = aes().with(CKA_WRAP, true);
    assert!(merge(Act::Unwrap, wrapping.clone(), None, &SPEC).is_ok());
    assert_eq!(rv(merge(Act::Unwrap, wrapping.clone(), Some(&own), &STRICT)), Rv::TemplateInconsistent);
    assert!(merge(Act::Unwrap, wrapping.clone(), Some(&attributes! { CKA_WRAP: true }), &STRICT).is_ok());
}

#[test]
fn strict_rules_keep_roles_apart() {
    for [one, other] in [[CKA_WRAP, CKA_DECRYPT], [CKA_UNWRAP, CKA_ENCRYPT], [CKA_DERIVE, CKA_ENCRYPT]] {
        let both = Attributes::new().with(one, true).with(other, true);
        assert!(generate(both.clone(), &SPEC).is_ok());
        assert_eq!(rv(generate(both.clone(), &STRICT)), Rv::TemplateInconsistent);
        assert_eq!(rv(build(Act::Unwrap, &both, AES, &STRICT)), Rv::TemplateInconsistent);
        let single = key(Attributes::new().with(one, true));
        let second = Attributes::new().with(other, true);
        assert!(set(&single, &second, &SPEC).is_ok());
        // Nor one after the other, nor the other by a copy.
        let swapped = second.with(one, false);
        assert_eq!(rv(set(&single, &swapped, &STRICT)), Rv::TemplateInconsistent);
        assert_eq!(rv(copy(&single, &swapped, &STRICT)), Rv::TemplateInconsistent);
        assert!(set(&single, &Attributes::new().with(one, false), &STRICT).is_ok());
    }
    let rsa = private(CKK_RSA).with(CKA_SIGN, true).with(CKA_UNWRAP, true);
    assert_eq!(rv(build(Act::Unwrap, &rsa, None, &STRICT)), Rv::TemplateInconsistent);
    assert!(generate(attributes! { CKA_SIGN: true, CKA_UNWRAP: true }, &STRICT).is_ok());
    assert!(generate(Attributes::new(), &STRICT).is_ok(), "the defaults do not conflict");
}

#[test]
fn histories_are_true() {
    let made = |act, sensitive: bool, extractable: bool, bases: &[&Attributes], rules| {
        let template = attributes! { CKA_SENSITIVE: sensitive, CKA_EXTRACTABLE: extractable };
        made(act, template, bases, rules)
    };
    let story = |key: &Attributes| {
        [CKA_LOCAL, CKA_ALWAYS_SENSITIVE, CKA_NEVER_EXTRACTABLE].map(|attribute| key.is_true(attribute))
    };
    let good = made(Act::Generate, true, false, &[], &SPEC);
    assert_eq!(story(&good), [true, true, true]);
    assert_eq!(good.ulong(CKA_KEY_GEN_MECHANISM), Some(CKM_AES_KEY_GEN));
    assert_eq!(story(&made(Act::Generate, false, true, &[], &SPEC)), [true, false, false]);
    for act in [Act::Create, Act::Unwrap] {
        let key = made(act, true, false, &[], &SPEC);
        assert_eq!(story(&key), [false, false, false]);
        assert_eq!(key.ulong(CKA_KEY_GEN_MECHANISM), Some(CK_UNAVAILABLE_INFORMATION));
    }
    let known = made(Act::Create, true, false, &[], &SPEC);
    assert_eq!(story(&made(Act::Derive, true, false, &[&good], &SPEC)), [false, true, true]);
    assert_eq!(story(&made(Act::Derive, false, true, &[&good], &SPEC)), [false, false, false]);
    assert_eq!(story(&made(Act::Derive, true, false, &[&good, &known], &SPEC)), [false, false, false]);
    assert_eq!(story(&made(Act::Derive, true, false, &[&good], &CLOUDHSM)), [true, true, true]);
    // Made unreadable later, a key has still been readable.
    let later =
        set(&key(attributes! { CKA_EXTRACTABLE: true }), &attributes! { CKA_EXTRACTABLE: false }, &SPEC);
    assert!(!later.unwrap().is_true(CKA_NEVER_EXTRACTABLE));
}

#[test]
fn derived_keys_inherit() {
    let strong = key(attributes! { CKA_SENSITIVE: true, CKA_EXTRACTABLE: false });
    let weak = key(attributes! { CKA_SENSITIVE: false, CKA_EXTRACTABLE: true });
    for bases in [&[&strong][..], &[&weak, &strong]] {
        let mut template = Attributes::new();
        inherit(&mut template, bases).unwrap();
        assert_eq!(template, attributes! { CKA_SENSITIVE: true, CKA_EXTRACTABLE: false });
        assert_eq!(rv(inherit(&mut attributes! { CKA_SENSITIVE: false }, bases)), Rv::TemplateInconsistent);
        assert_eq!(rv(inherit(&mut attributes! { CKA_EXTRACTABLE: true }, bases)), Rv::TemplateInconsistent);
    }
    let mut template = attributes! { CKA_SENSITIVE: false };
    inherit(&mut template, &[&weak]).unwrap();
    assert_eq!(template, attributes! { CKA_SENSITIVE: false });
}

#[test]
fn a_search_sees_defaults_and_no_secrets() {
    let mut object = key(attributes! { CKA_LABEL: bytes(b"label"), CKA_EXTRACTABLE: true });
    object.set(CKA_VALUE, bytes(&[7; 32]));
    assert!(matches(&object, &Attributes::new()));
    let _secrets = take_secrets(&mut object);
    assert!(matches(&object, &aes().with(CKA_LABEL, bytes(b"label"))));
    assert!(!matches(&object, &attributes! { CKA_LABEL: bytes(b"other") }));
    assert!(!matches(&object, &attributes! { CKA_VALUE: bytes(&[7; 32]) }));
    assert!(!matches(&object, &attributes! { CKA_VALUE: bytes(b"") }));
    assert!(matches(&object, &attributes! { CKA_ID: bytes(b"") }));
    assert!(!matches(&object, &attributes! { CKA_MODULUS: bytes(b"") }));
    object.set(CKA_VALUE, Value::secret(crate::crypto::Secret::from_slice(&[7; 32])));
    assert!(!matches(&object, &attributes! { CKA_VALUE: bytes(&[7; 32]) }));
}
