//! Objects (section 5.7): made, copied, changed, found and destroyed, by everyone who may and nobody else.

mod common;

use common::*;
use pkcs11_conformance::client::{Attr, Mechanism, Result, Rv, Session};
use std::collections::BTreeSet;
use std::ptr;

/// A certificate's subject, as DER: empty, which is all the fields that hold one need.
const NAME: [u8; 2] = [0x30, 0];
const P256: [u8; 10] = [6, 8, 42, 134, 72, 206, 61, 3, 1, 7];

fn point() -> Vec<u8> {
    hex::decode(concat!(
        "0441046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296",
        "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
    ))
    .expect("hexadecimal")
}

/// A template of each class that an application can make.
fn classes() -> Vec<(&'static str, Vec<Attr>)> {
    let certificate = vec![
        Attr::class(CKO_CERTIFICATE),
        Attr::ulong(CKA_CERTIFICATE_TYPE, CKC_X_509),
        Attr::bytes(CKA_SUBJECT, NAME),
        Attr::bytes(CKA_VALUE, [0x30, 3, 2, 1, 0]),
    ];
    let secret = vec![
        Attr::class(CKO_SECRET_KEY),
        Attr::key_type(CKK_AES),
        Attr::bytes(CKA_VALUE, [0x5A; 16]),
        Attr::bool(CKA_ENCRYPT, true),
    ];
    let public = vec![
        Attr::class(CKO_PUBLIC_KEY),
        Attr::key_type(CKK_EC),
        Attr::bytes(CKA_EC_PARAMS, P256),
        Attr::bytes(CKA_EC_POINT, point()),
    ];
    let mut one = [0; 32];
    one[31] = 1;
    let private = vec![
        Attr::class(CKO_PRIVATE_KEY),
        Attr::key_type(CKK_EC),
        Attr::bytes(CKA_EC_PARAMS, P256),
        Attr::bytes(CKA_VALUE, one),
        Attr::bool(CKA_SIGN, true),
    ];
    let data =
        vec![Attr::class(CKO_DATA), Attr::bytes(CKA_APPLICATION, b"a test"), Attr::bytes(CKA_VALUE, b"data")];
    vec![
        ("data", data),
        ("certificate", certificate),
        ("secret key", secret),
        ("public key", public),
        ("private key", private),
    ]
}

fn with(template: &[Attr], more: &[Attr]) -> Vec<Attr> {
    template.iter().chain(more).cloned().collect()
}

fn aes(session: &Session, more: &[Attr]) -> Result<CK_OBJECT_HANDLE> {
    let template = with(&[Attr::ulong(CKA_VALUE_LEN, 16), Attr::bool(CKA_ENCRYPT, true)], more);
    session.generate_key(&Mechanism::new(CKM_AES_KEY_GEN), &template)
}

#[test]
fn every_class_lives_in_session_and_token_private_and_public() {
    let token = TestToken::new();
    let (session, ro) = (&token.session, token.ro());
    let mut unique = BTreeSet::new();
    for (name, template) in classes() {
        for (on_token, private) in [(false, false), (false, true), (true, false), (true, true)] {
            let what = format!("{name}, token {on_token}, private {private}");
            let kind =
                [Attr::bool(CKA_TOKEN, on_token), Attr::bool(CKA_PRIVATE, private), Attr::label(&what)];
            let template = with(&template, &kind);
            match ro.create_object(&template) {
                Ok(made) if !on_token => ro.destroy(made).expect(&what),
                refused => assert_eq!(refused, Err(Rv(CKR_SESSION_READ_ONLY)), "{what}"),
            }
            let object = session.create_object(&template).unwrap_or_else(|rv| panic!("{what}: {rv}"));
            // Any session sees it; the attributes are those that were given.
            assert_eq!(ro.find(&[Attr::label(&what)]), Ok(vec![object]), "{what}");
            assert_eq!(ro.attribute_bool(object, CKA_TOKEN), Ok(on_token), "{what}");
            assert_eq!(ro.attribute_bool(object, CKA_PRIVATE), Ok(private), "{what}");
            assert!(ro.object_size(object).is_ok_and(|size| size > 10 && size < 10_000), "{what}");
            let id = ro.attribute(object, CKA_UNIQUE_ID).expect(&what);
            assert!(unique.insert(id.clone()), "{what}: no unique id");

            if on_token {
                assert_eq!(ro.set(object, &[Attr::label("new")]), Err(Rv(CKR_SESSION_READ_ONLY)), "{what}");
                assert_eq!(ro.copy(object, &[]), Err(Rv(CKR_SESSION_READ_ONLY)), "{what}");
                assert_eq!(ro.destroy(object), Err(Rv(CKR_SESSION_READ_ONLY)), "{what}");
            }
            session.set(object, &[Attr::label("changed")]).unwrap_or_else(|rv| panic!("{what}: {rv}"));
            assert_eq!(ro.find(&[Attr::label(&what)]), Ok(vec![]), "{what}");
            assert_eq!(ro.find(&[Attr::bytes(CKA_UNIQUE_ID, &id)]), Ok(vec![object]), "{what}");
            let copy =
                session.copy(object, &[Attr::label("copy"), Attr::bool(CKA_TOKEN, false)]).expect(&what);
            assert_eq!(session.attribute(copy, CKA_LABEL), Ok(b"copy".to_vec()), "{what}");
            assert!(
                unique.insert(session.attribute(copy, CKA_UNIQUE_ID).expect(&what)),
                "{what}: the copy's id"
            );
            session.destroy(copy).expect(&what);
            assert_eq!(session.attribute(object, CKA_LABEL), Ok(b"changed".to_vec()), "{what}");
            session.destroy(object).expect(&what);
            for gone in [object, copy] {
                assert_eq!(session.attribute(gone, CKA_CLASS), Err(Rv(CKR_OBJECT_HANDLE_INVALID)), "{what}");
                assert_eq!(session.destroy(gone), Err(Rv(CKR_OBJECT_HANDLE_INVALID)), "{what}");
                assert_eq!(session.object_size(gone), Err(Rv(CKR_OBJECT_HANDLE_INVALID)), "{what}");
            }
        }
    }
}

#[test]
fn who_is_not_logged_in_has_public_objects_only() {
    let token = TestToken::new();
    let session = &token.session;
    let mut public = BTreeSet::new();
    for (name, template) in classes() {
        for private in [false, true] {
            let kind = [Attr::bool(CKA_TOKEN, true), Attr::bool(CKA_PRIVATE, private), Attr::label(name)];
            session.create_object(&with(&template, &kind)).expect(name);
        }
    }
    assert_eq!(session.find(&[]).expect("C_FindObjects").len(), 10);
    session.logout().expect("C_Logout");
    for object in session.find(&[]).expect("C_FindObjects") {
        assert_eq!(session.attribute_bool(object, CKA_PRIVATE), Ok(false));
        public.insert(session.attribute(object, CKA_LABEL).expect("CKA_LABEL"));
    }
    assert_eq!(public.len(), 5);
    for (name, template) in classes() {
        let private = with(&template, &[Attr::bool(CKA_PRIVATE, true)]);
        assert_eq!(session.create_object(&private), Err(Rv(CKR_USER_NOT_LOGGED_IN)), "{name}");
        let shown = with(&template, &[Attr::bool(CKA_PRIVATE, false)]);
        let object = session.create_object(&shown).unwrap_or_else(|rv| panic!("a public {name}: {rv}"));
        let hide = [Attr::bool(CKA_PRIVATE, true)];
        assert_eq!(session.copy(object, &hide), Err(Rv(CKR_USER_NOT_LOGGED_IN)), "{name}");
    }
}

#[test]
fn handles_are_never_given_twice() {
    let token = TestToken::new();
    let (mut seen, session) = (BTreeSet::new(), &token.session);
    for round in 0..60 {
        let object = aes(session, &[Attr::bool(CKA_TOKEN, round % 3 == 0)]).expect("C_GenerateKey");
        assert!(seen.insert(object), "handle {object} again");
        match round % 4 {
            0 => {
                session.logout().expect("C_Logout");
                session.login(CKU_USER, USER_PIN).expect("C_Login");
            }
            _ => session.destroy(object).expect("C_DestroyObject"),
        }
    }
}

#[test]
fn objects_end_with_their_session() {
    let token = TestToken::new();
    let other = token.rw();
    let mine = aes(&other, &[]).expect("C_GenerateKey");
    let stays = aes(&token.session, &[]).expect("C_GenerateKey");
    let stored = aes(&other, &[Attr::bool(CKA_TOKEN, true)]).expect("C_GenerateKey");
    token.session.encrypt(&Mechanism::new(CKM_AES_ECB), mine, &[0; 16]).expect("another session's object");
    other.close().expect("C_CloseSession");
    assert_eq!(token.session.attribute(mine, CKA_CLASS), Err(Rv(CKR_OBJECT_HANDLE_INVALID)));
    let there: BTreeSet<_> = token.session.find(&[]).expect("C_FindObjects").into_iter().collect();
    assert_eq!(there, BTreeSet::from([stays, stored]));
}

#[test]
fn what_may_not_be_copied_changed_or_destroyed_is_not() {
    let token = TestToken::new();
    let session = &token.session;
    let prohibited = Rv(CKR_ACTION_PROHIBITED);
    for on_token in [false, true] {
        let more = |kind| [Attr::bool(kind, false), Attr::bool(CKA_TOKEN, on_token)];
        let fixed = aes(session, &more(CKA_MODIFIABLE)).expect("C_GenerateKey");
        assert_eq!(session.set(fixed, &[Attr::label("new")]), Err(prohibited));
        assert_eq!(session.attribute(fixed, CKA_LABEL), Ok(vec![]));
        let single = aes(session, &more(CKA_COPYABLE)).expect("C_GenerateKey");
        assert_eq!(session.copy(single, &[]), Err(prohibited));
        assert_eq!(session.set(single, &[Attr::bool(CKA_COPYABLE, true)]), Err(Rv(CKR_ATTRIBUTE_READ_ONLY)));
        let lasting = aes(session, &more(CKA_DESTROYABLE)).expect("C_GenerateKey");
        assert_eq!(session.destroy(lasting), Err(prohibited));
        session.attribute(lasting, CKA_CLASS).expect("still there");
        for object in [fixed, single] {
            session.destroy(object).expect("C_DestroyObject");
        }
    }
}

/// The standard leaves it to the application to keep the dates; Coffer keeps them.
#[test]
fn a_key_begins_nothing_outside_its_dates() {
    let token = TestToken::new();
    let session = &token.session;
    for (start, end, good) in [
        ("", "", true),
        ("20000101", "29991231", true),
        ("29991231", "", false),
        ("", "20000229", false),
        ("19990101", "20000101", false),
    ] {
        let dates = [Attr::date(CKA_START_DATE, start), Attr::date(CKA_END_DATE, end)];
        let key = aes(session, &dates).unwrap_or_else(|rv| panic!("{start} {end}: {rv}"));
        let begun = session.encrypt_init(&Mechanism::new(CKM_AES_ECB), key);
        let refused = Err(Rv(CKR_KEY_FUNCTION_NOT_PERMITTED));
        assert_eq!(begun, if good { Ok(()) } else { refused }, "{start} to {end}");
        session.session_cancel(CKF_ENCRYPT).expect("C_SessionCancel");
        assert_eq!(session.attribute(key, CKA_START_DATE), Ok(start.as_bytes().to_vec()));
        assert_eq!(session.attribute(key, CKA_END_DATE), Ok(end.as_bytes().to_vec()));
    }
    for wrong in ["2026", "20261301", "20260230", "19000229", "2026-1-1", "abcdefgh"] {
        let made = aes(session, &[Attr::date(CKA_END_DATE, wrong)]);
        assert_eq!(made, Err(Rv(CKR_ATTRIBUTE_VALUE_INVALID)), "{wrong}");
    }
    let turned = [Attr::date(CKA_START_DATE, "20260101"), Attr::date(CKA_END_DATE, "20250101")];
    assert_eq!(aes(session, &turned), Err(Rv(CKR_TEMPLATE_INCONSISTENT)));
    let key = aes(session, &[Attr::date(CKA_START_DATE, "20260101")]).expect("C_GenerateKey");
    let early = session.set(key, &[Attr::date(CKA_END_DATE, "20250101")]);
    assert_eq!(early, Err(Rv(CKR_TEMPLATE_INCONSISTENT)));
}

/// A row of a template for C_GetAttributeValue.
fn row(type_: CK_ATTRIBUTE_TYPE, room: &mut [u8]) -> CK_ATTRIBUTE {
    CK_ATTRIBUTE { type_, pValue: room.as_mut_ptr().cast(), ulValueLen: room.len() as CK_ULONG }
}

#[test]
fn c_getattributevalue_fills_what_it_can() {
    let token = TestToken::new();
    let session = &token.session;
    let key = aes(session, &[Attr::bool(CKA_SENSITIVE, true), Attr::label("label")]).expect("C_GenerateKey");
    const NONE: CK_ULONG = CK_UNAVAILABLE_INFORMATION;
    let mut rooms = [[0xEEu8; 16]; 6];
    let [value, label, modulus, short, class, trailing] = &mut rooms;
    let mut template = [
        row(CKA_VALUE, value),
        row(CKA_LABEL, label),
        row(CKA_MODULUS, modulus),
        row(CKA_LABEL, &mut short[..4]),
        row(CKA_CLASS, class),
        CK_ATTRIBUTE { type_: CKA_KEY_TYPE, pValue: ptr::null_mut(), ulValueLen: 0 },
        row(0x7fff_ffff, trailing),
    ];
    let rv = session.get_raw(key, &mut template);
    let codes = [CKR_ATTRIBUTE_SENSITIVE, CKR_ATTRIBUTE_TYPE_INVALID, CKR_BUFFER_TOO_SMALL];
    assert!(codes.contains(&rv.0), "{rv}: any of these faults may be told");
    assert_eq!(template.map(|row| row.ulValueLen), [NONE, 5, NONE, NONE, 8, 8, NONE]);
    assert_eq!(&rooms[1][..6], b"label\xEE");
    assert_eq!(rooms[4][..8], CKO_SECRET_KEY.to_ne_bytes());
    for untouched in [0, 2, 3, 5] {
        assert_eq!(rooms[untouched], [0xEE; 16], "row {untouched}");
    }

    // Each fault alone has its own code.
    for (attribute, room, code, len) in [
        (CKA_VALUE, 16, CKR_ATTRIBUTE_SENSITIVE, NONE),
        (CKA_MODULUS, 16, CKR_ATTRIBUTE_TYPE_INVALID, NONE),
        (0x7fff_ffff, 16, CKR_ATTRIBUTE_TYPE_INVALID, NONE),
        (CKA_LABEL, 4, CKR_BUFFER_TOO_SMALL, NONE),
        (CKA_LABEL, 5, CKR_OK, 5),
        (CKA_LABEL, 16, CKR_OK, 5),
        (CKA_ID, 16, CKR_OK, 0),
    ] {
        let mut bytes = vec![0u8; room];
        let mut one = [row(attribute, &mut bytes)];
        assert_eq!(session.get_raw(key, &mut one), Rv(code), "{attribute:#x} in {room}");
        assert_eq!(one[0].ulValueLen, len, "{attribute:#x} in {room}");
    }
    assert_eq!(session.get_raw(CK_INVALID_HANDLE, &mut template), Rv(CKR_OBJECT_HANDLE_INVALID));
    // Neither of the two may be read, whatever the other says.
    for (sensitive, extractable, readable) in
        [(false, true, true), (true, true, false), (false, false, false)]
    {
        let more = [Attr::bool(CKA_SENSITIVE, sensitive), Attr::bool(CKA_EXTRACTABLE, extractable)];
        let key = aes(session, &more).expect("C_GenerateKey");
        assert_eq!(session.attribute(key, CKA_VALUE).is_ok(), readable, "{sensitive} {extractable}");
    }
}

#[test]
fn a_search_takes_any_template() {
    let token = TestToken::new();
    let session = &token.session;
    let mut made = Vec::new();
    for number in 0..30u8 {
        let more = [
            Attr::label(if number % 2 == 0 { "even" } else { "odd" }),
            Attr::bytes(CKA_ID, [number % 5]),
            Attr::bool(CKA_TOKEN, number % 3 == 0),
        ];
        made.push(aes(session, &more).expect("C_GenerateKey"));
    }
    let matching = |choose: &dyn Fn(usize) -> bool| -> Vec<_> {
        (0..30).filter(|number| choose(*number)).map(|number| made[number]).collect()
    };
    let even = |number: usize| number.is_multiple_of(2);
    let third = |number: usize| number.is_multiple_of(3);
    for (template, expected) in [
        (vec![], matching(&|_| true)),
        (vec![Attr::label("even")], matching(&even)),
        (vec![Attr::label("even"), Attr::bytes(CKA_ID, [3])], matching(&|n| even(n) && n % 5 == 3)),
        (vec![Attr::bytes(CKA_ID, [3]), Attr::label("even")], matching(&|n| even(n) && n % 5 == 3)),
        (vec![Attr::bool(CKA_TOKEN, true)], matching(&third)),
        (vec![Attr::bool(CKA_TOKEN, false), Attr::label("odd")], matching(&|n| !third(n) && !even(n))),
        (vec![Attr::class(CKO_SECRET_KEY), Attr::key_type(CKK_AES)], matching(&|_| true)),
        (vec![Attr::ulong(CKA_VALUE_LEN, 16), Attr::bytes(CKA_ID, [0])], matching(&|n| n % 5 == 0)),
        (vec![Attr::class(CKO_PRIVATE_KEY)], vec![]),
        (vec![Attr::label("eve")], vec![]),
        (vec![Attr::label("")], vec![]),
        (vec![Attr::bytes(CKA_MODULUS, [1])], vec![]),
        (vec![Attr::bytes(0x7fff_ffff, [1])], vec![]),
    ] {
        assert_eq!(session.find(&template), Ok(expected), "{template:?}");
    }
    let twice = [Attr::label("even"), Attr::label("odd")];
    assert_eq!(session.find(&twice), Err(Rv(CKR_TEMPLATE_INCONSISTENT)));
    let short = session.find(&[Attr::bytes(CKA_CLASS, [4])]);
    assert_eq!(short, Err(Rv(CKR_ATTRIBUTE_VALUE_INVALID)), "a class of one byte");
    let id = session.attribute(made[7], CKA_UNIQUE_ID).expect("CKA_UNIQUE_ID");
    assert_eq!(session.find(&[Attr::bytes(CKA_UNIQUE_ID, &id)]), Ok(vec![made[7]]));
    // A search must be no way to guess what may not be read.
    let secret = Attr::bytes(CKA_VALUE, [0x11; 16]);
    let template = [Attr::class(CKO_SECRET_KEY), Attr::key_type(CKK_AES), secret.clone()];
    session.create_object(&with(&template, &[Attr::bool(CKA_SENSITIVE, true)])).expect("C_CreateObject");
    assert_eq!(session.find(&[secret]), Ok(vec![]));
    // Handed out in portions of any size.
    session.find_init(&[]).expect("C_FindObjectsInit");
    let mut found = Vec::new();
    for portion in [1, 2, 3, 5, 8, 13, 21] {
        found.extend(session.find_next(portion).expect("C_FindObjects"));
    }
    session.find_final().expect("C_FindObjectsFinal");
    assert_eq!(found.len(), 31);
}

/// Sections 4.13 and 4.14.
#[test]
fn profiles_and_mechanisms_are_objects_for_who_asks() {
    let token = TestToken::new();
    let session = &token.session;
    let mut offered: Vec<CK_ULONG> = token.module.mechanisms(token.slot).unwrap();
    offered.sort_unstable();
    for (class, attribute, wanted) in [
        (CKO_PROFILE, CKA_PROFILE_ID, vec![CKP_BASELINE_PROVIDER, CKP_EXTENDED_PROVIDER]),
        (CKO_MECHANISM, CKA_MECHANISM_TYPE, offered),
    ] {
        let found = session.find(&[Attr::class(class)]).unwrap();
        let mut numbers: Vec<CK_ULONG> =
            found.iter().map(|object| session.attribute_ulong(*object, attribute).unwrap()).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, wanted, "C_GetMechanismList and the objects agree");
        assert_eq!(session.find(&[Attr::class(class)]).unwrap(), found, "handles stay");
        let one = session.find(&[Attr::class(class), Attr::ulong(attribute, wanted[0])]).unwrap();
        assert_eq!(one.len(), 1);
        let unique = session.attribute(one[0], CKA_UNIQUE_ID).unwrap();
        let again = session.find(&[Attr::class(class), Attr::bytes(CKA_UNIQUE_ID, &unique)]).unwrap();
        assert_eq!(again, one);
        let label = [Attr::label("mine")];
        assert_eq!(Rv::of(&session.set(one[0], &label)), Rv(CKR_ACTION_PROHIBITED));
        assert_eq!(Rv::of(&session.copy(one[0], &label)), Rv(CKR_ACTION_PROHIBITED));
        assert_eq!(Rv::of(&session.destroy(one[0])), Rv(CKR_ACTION_PROHIBITED));
        assert_eq!(
            Rv::of(&session.encrypt(&Mechanism::new(CKM_AES_ECB), one[0], &[0; 16])),
            Rv(CKR_KEY_TYPE_INCONSISTENT)
        );
        let everything = session.find(&[]).unwrap();
        assert!(
            found.iter().all(|object| !everything.contains(object)),
            "not for who does not name the class"
        );
    }
    session.logout().unwrap();
    assert_eq!(session.find(&[Attr::class(CKO_PROFILE)]).unwrap().len(), 2, "public");
}
