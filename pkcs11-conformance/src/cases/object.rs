//! Object management (section 5.7) and the find rules.

use crate::case::{Case, Outcome, Setup};
use crate::client::{Attr, Rv};
use crate::context::{Context, FINE, expect, that};
use cryptoki_sys::*;
use std::ptr;

const CHAPTER: &str = "5.7 Objects";
const NO_OBJECT: CK_OBJECT_HANDLE = 0x7ead_beef;

fn data(more: &[Attr]) -> Vec<Attr> {
    [&[Attr::class(CKO_DATA), Attr::bool(CKA_TOKEN, false)][..], more].concat()
}

pub fn cases() -> Vec<Case> {
    let case = |id: &str, does: &str, want: &'static [CK_RV], run: fn(&Context) -> Outcome| {
        Case::new(format!("object.{id}"), CHAPTER, does, want, run)
    };
    vec![
        case("round-trip", "creates a data object and reads each attribute back", &[CKR_OK], |x| {
            let rows = [
                Attr::label("a label: äöü"),
                Attr::bytes(CKA_APPLICATION, "conformance"),
                Attr::bytes(CKA_OBJECT_ID, [6, 3, 42, 3, 4]),
                Attr::bytes(CKA_VALUE, [0, 1, 2, 255]),
            ];
            let object = x.s().create_object(&data(&rows)).setup("C_CreateObject")?;
            for row in &rows {
                let value = x.s().attribute(object, row.kind).setup("C_GetAttributeValue")?;
                that(
                    Attr::bytes(row.kind, &value) == *row,
                    format!("attribute {:#x} came back as {value:?}", row.kind),
                )?;
            }
            FINE
        }),
        case("no-class", "creates an object without CKA_CLASS", &[CKR_TEMPLATE_INCOMPLETE], |x| {
            Ok(Rv::of(&x.s().create_object(&[Attr::bool(CKA_TOKEN, false)])))
        }),
        case(
            "empty-template",
            "creates an object of nothing",
            &[CKR_TEMPLATE_INCOMPLETE, CKR_ARGUMENTS_BAD],
            |x| Ok(Rv::of(&x.s().create_object(&[]))),
        ),
        case(
            "unknown-class",
            "creates an object of a class nobody has",
            &[CKR_ATTRIBUTE_VALUE_INVALID, CKR_TEMPLATE_INCONSISTENT],
            |x| Ok(Rv::of(&x.s().create_object(&[Attr::class(0x7fff), Attr::bool(CKA_TOKEN, false)]))),
        ),
        case(
            "unknown-attribute",
            "creates an object with an attribute nobody has",
            &[CKR_ATTRIBUTE_TYPE_INVALID],
            |x| Ok(Rv::of(&x.s().create_object(&data(&[Attr::bytes(0x7fff_ffff, b"?")])))),
        ),
        case(
            "foreign-attribute",
            "creates a data object with CKA_MODULUS",
            &[CKR_ATTRIBUTE_TYPE_INVALID, CKR_TEMPLATE_INCONSISTENT],
            |x| Ok(Rv::of(&x.s().create_object(&data(&[Attr::bytes(CKA_MODULUS, [1; 16])])))),
        ),
        case(
            "same-attribute-twice",
            "gives an attribute twice with different values",
            &[CKR_TEMPLATE_INCONSISTENT],
            |x| Ok(Rv::of(&x.s().create_object(&data(&[Attr::label("one"), Attr::label("two")])))),
        ),
        case("key-without-value", "creates an AES key without CKA_VALUE", &[CKR_TEMPLATE_INCOMPLETE], |x| {
            let template =
                [Attr::class(CKO_SECRET_KEY), Attr::key_type(CKK_AES), Attr::bool(CKA_TOKEN, false)];
            Ok(Rv::of(&x.s().create_object(&template)))
        }),
        case(
            "unknown-key-type",
            "creates a key of a type nobody has",
            &[CKR_ATTRIBUTE_VALUE_INVALID, CKR_TEMPLATE_INCONSISTENT],
            |x| Ok(Rv::of(&x.import(0x7fff_fff0, &[1; 16], &[]))),
        ),
        case(
            "read-unknown-handle",
            "reads an attribute of an object that is not there",
            &[CKR_OBJECT_HANDLE_INVALID],
            |x| Ok(Rv::of(&x.s().attribute(NO_OBJECT, CKA_CLASS))),
        ),
        case(
            "set-unknown-handle",
            "sets an attribute of an object that is not there",
            &[CKR_OBJECT_HANDLE_INVALID],
            |x| Ok(Rv::of(&x.s().set(NO_OBJECT, &[Attr::label("x")]))),
        ),
        case(
            "copy-unknown-handle",
            "copies an object that is not there",
            &[CKR_OBJECT_HANDLE_INVALID],
            |x| Ok(Rv::of(&x.s().copy(NO_OBJECT, &[]))),
        ),
        case(
            "destroy-unknown-handle",
            "destroys an object that is not there",
            &[CKR_OBJECT_HANDLE_INVALID],
            |x| Ok(Rv::of(&x.s().destroy(NO_OBJECT))),
        ),
        case(
            "size-unknown-handle",
            "asks the size of an object that is not there",
            &[CKR_OBJECT_HANDLE_INVALID],
            |x| Ok(Rv::of(&x.s().object_size(NO_OBJECT))),
        ),
        case("destroy-twice", "destroys an object twice", &[CKR_OBJECT_HANDLE_INVALID], |x| {
            let object = x.s().create_object(&data(&[])).setup("C_CreateObject")?;
            x.s().destroy(object).setup("C_DestroyObject")?;
            Ok(Rv::of(&x.s().destroy(object)))
        }),
        case(
            "handle-not-reused",
            "destroys an object, makes another, and looks whether the handle comes back",
            &[CKR_OK],
            |x| {
                let old = x.s().create_object(&data(&[])).setup("C_CreateObject")?;
                x.s().destroy(old).setup("C_DestroyObject")?;
                let new = x.s().create_object(&data(&[])).setup("C_CreateObject")?;
                that(old != new, "the handle of a destroyed object is another object's")?;
                FINE
            },
        ),
        case(
            "not-destroyable",
            "destroys an object with CKA_DESTROYABLE false",
            &[CKR_ACTION_PROHIBITED],
            |x| {
                let object = x
                    .s()
                    .create_object(&data(&[Attr::bool(CKA_DESTROYABLE, false)]))
                    .setup("C_CreateObject")?;
                Ok(Rv::of(&x.s().destroy(object)))
            },
        ),
        case("not-copyable", "copies an object with CKA_COPYABLE false", &[CKR_ACTION_PROHIBITED], |x| {
            let object =
                x.s().create_object(&data(&[Attr::bool(CKA_COPYABLE, false)])).setup("C_CreateObject")?;
            Ok(Rv::of(&x.s().copy(object, &[])))
        }),
        case(
            "not-modifiable",
            "changes an object with CKA_MODIFIABLE false",
            &[CKR_ACTION_PROHIBITED],
            |x| {
                let object = x
                    .s()
                    .create_object(&data(&[Attr::bool(CKA_MODIFIABLE, false)]))
                    .setup("C_CreateObject")?;
                Ok(Rv::of(&x.s().set(object, &[Attr::label("changed")])))
            },
        ),
        case("copy", "copies an object with another label", &[CKR_OK], |x| {
            let rows = [Attr::label("one"), Attr::bytes(CKA_VALUE, b"same")];
            let object = x.s().create_object(&data(&rows)).setup("C_CreateObject")?;
            let copy = x.s().copy(object, &[Attr::label("two")]).setup("C_CopyObject")?;
            that(copy != object, "the copy has the object's handle")?;
            that(x.s().attribute(copy, CKA_LABEL)? == b"two", "the copy's label")?;
            that(x.s().attribute(object, CKA_LABEL)? == b"one", "the object's label changed")?;
            that(x.s().attribute(copy, CKA_VALUE)? == b"same", "the copy's value")?;
            FINE
        }),
        case(
            "copy-class",
            "changes the class in a copy",
            &[CKR_ATTRIBUTE_READ_ONLY, CKR_TEMPLATE_INCONSISTENT],
            |x| {
                let object = x.s().create_object(&data(&[])).setup("C_CreateObject")?;
                Ok(Rv::of(&x.s().copy(object, &[Attr::class(CKO_CERTIFICATE)])))
            },
        ),
        case(
            "set-all-or-nothing",
            "sets a good and a forbidden attribute at once: nothing may change",
            &[CKR_ATTRIBUTE_READ_ONLY],
            |x| {
                let object = x.s().create_object(&data(&[Attr::label("before")])).setup("C_CreateObject")?;
                let rv = Rv::of(&x.s().set(object, &[Attr::label("after"), Attr::class(CKO_CERTIFICATE)]));
                that(x.s().attribute(object, CKA_LABEL)? == b"before", format!("half of it was set ({rv})"))?;
                Ok(rv)
            },
        ),
        case(
            "get-partial",
            "reads a known, an unknown and a known attribute",
            &[CKR_ATTRIBUTE_TYPE_INVALID],
            |x| {
                let object = x
                    .s()
                    .create_object(&data(&[Attr::label("x"), Attr::bytes(CKA_VALUE, b"v")]))
                    .setup("C_CreateObject")?;
                let (rv, values) = x.s().attributes(object, &[CKA_LABEL, CKA_MODULUS, CKA_VALUE]);
                let want = [Some(b"x".to_vec()), None, Some(b"v".to_vec())];
                that(values == want, format!("{rv}, but the values are {values:?}"))?;
                Ok(rv)
            },
        ),
        case(
            "get-too-small",
            "reads an attribute into too little room: the length must say unavailable",
            &[CKR_BUFFER_TOO_SMALL],
            |x| {
                let object =
                    x.s().create_object(&data(&[Attr::label("longer than four")])).setup("C_CreateObject")?;
                let mut room = [0u8; 4];
                let mut row =
                    [CK_ATTRIBUTE { type_: CKA_LABEL, pValue: room.as_mut_ptr().cast(), ulValueLen: 4 }];
                let rv = x.s().get_raw(object, &mut row);
                that(
                    row[0].ulValueLen == CK_UNAVAILABLE_INFORMATION,
                    format!("{rv}, length {}", row[0].ulValueLen),
                )?;
                Ok(rv)
            },
        ),
        case("get-nothing", "reads no attributes", &[CKR_OK, CKR_ARGUMENTS_BAD], |x| {
            let object = x.s().create_object(&data(&[])).setup("C_CreateObject")?;
            Ok(x.s().get_raw(object, &mut []))
        }),
        case(
            "size",
            "asks an object's size",
            &[CKR_OK, CKR_INFORMATION_SENSITIVE, CKR_FUNCTION_NOT_SUPPORTED],
            |x| {
                let object = x.s().create_object(&data(&[])).setup("C_CreateObject")?;
                Ok(Rv::of(&x.s().object_size(object)))
            },
        ),
        case("unique-id", "reads CKA_UNIQUE_ID of two objects", &[CKR_OK], |x| {
            let (a, b) = (
                x.s().create_object(&data(&[])).setup("one")?,
                x.s().create_object(&data(&[])).setup("two")?,
            );
            let read = |object| match x.s().attribute(object, CKA_UNIQUE_ID) {
                Err(rv) if rv == CKR_ATTRIBUTE_TYPE_INVALID => {
                    Err(crate::case::Stop::NotOffered("CKA_UNIQUE_ID".into()))
                }
                other => other.setup("C_GetAttributeValue"),
            };
            let (a, b) = (read(a)?, read(b)?);
            that(!a.is_empty() && a != b, format!("{a:?} and {b:?}"))?;
            FINE
        }),
        case("persists", "finds a token object again after C_Finalize", &[CKR_OK], |x| {
            let object =
                [&[Attr::class(CKO_DATA), Attr::bytes(CKA_VALUE, b"kept")][..], &x.on_token()].concat();
            x.s().create_object(&object).setup("C_CreateObject")?;
            x.module.finalize().setup("C_Finalize")?;
            x.module.init().setup("C_Initialize")?;
            let session = x.open(true)?;
            session.login(CKU_USER, &x.target.pin).setup("C_Login")?;
            let found = session.find(&x.on_token()).setup("find")?;
            that(found.len() == 1, format!("{} objects", found.len()))?;
            that(session.attribute(found[0], CKA_VALUE)? == b"kept", "another value")?;
            FINE
        }),
        case(
            "find-all-and-some",
            "finds by each of label, value, class and by all of them",
            &[CKR_OK],
            |x| {
                let rows = [Attr::label("find me"), Attr::bytes(CKA_VALUE, b"find this")];
                let object = x.s().create_object(&data(&rows)).setup("C_CreateObject")?;
                x.s().create_object(&data(&[Attr::label("not me")])).setup("C_CreateObject")?;
                let both = [&rows[..], &[Attr::class(CKO_DATA)]].concat();
                for template in [&rows[..1], &rows[1..], &both] {
                    that(x.s().find(template).setup("find")? == [object], format!("by {template:?}"))?;
                }
                that(x.s().find(&[]).setup("find")?.contains(&object), "by nothing")?;
                that(x.s().find(&[Attr::label("find")]).setup("find")?.is_empty(), "by a part of the label")?;
                that(
                    x.s().find(&[Attr::bytes(0x7fff_ffff, b"?")]).setup("find")?.is_empty(),
                    "by an unknown attribute",
                )?;
                FINE
            },
        ),
        case("find-in-steps", "takes 150 objects in steps of 7", &[CKR_OK], |x| {
            for _ in 0..150 {
                x.s().create_object(&data(&[Attr::label("many")])).setup("C_CreateObject")?;
            }
            x.s().find_init(&[Attr::label("many")]).setup("C_FindObjectsInit")?;
            let mut all = Vec::new();
            loop {
                let some = x.s().find_next(7).setup("C_FindObjects")?;
                if some.is_empty() {
                    break;
                }
                all.extend(some);
            }
            all.sort_unstable();
            all.dedup();
            that(all.len() == 150, format!("{} different objects", all.len()))?;
            Ok(Rv::of(&x.s().find_final()))
        }),
        case("find-twice", "begins a search during a search", &[CKR_OPERATION_ACTIVE], |x| {
            x.s().find_init(&[]).setup("C_FindObjectsInit")?;
            Ok(Rv::of(&x.s().find_init(&[])))
        }),
        case(
            "find-none-begun",
            "goes on with a search that was not begun",
            &[CKR_OPERATION_NOT_INITIALIZED],
            |x| {
                expect("C_FindObjectsFinal", &x.s().find_final(), &[CKR_OPERATION_NOT_INITIALIZED])?;
                Ok(Rv::of(&x.s().find_next(1)))
            },
        ),
        case(
            "find-after-final",
            "goes on with a search after its end",
            &[CKR_OPERATION_NOT_INITIALIZED],
            |x| {
                x.s().find_init(&[]).setup("C_FindObjectsInit")?;
                x.s().find_final().setup("C_FindObjectsFinal")?;
                Ok(Rv::of(&x.s().find_next(1)))
            },
        ),
        case(
            "find-skips-destroyed",
            "destroys an object between C_FindObjectsInit and C_FindObjects",
            &[CKR_OK],
            |x| {
                let object =
                    x.s().create_object(&data(&[Attr::label("short-lived")])).setup("C_CreateObject")?;
                x.s().find_init(&[Attr::label("short-lived")]).setup("C_FindObjectsInit")?;
                x.s().destroy(object).setup("C_DestroyObject")?;
                // Either answer is allowed; a handle that is given must not be another object's.
                for found in x.s().find_next(8).setup("C_FindObjects")? {
                    expect(
                        "a found handle",
                        &x.s().attribute(found, CKA_CLASS),
                        &[CKR_OBJECT_HANDLE_INVALID],
                    )?;
                }
                FINE
            },
        ),
        case("find-by-sensitive-value", "looks for a sensitive key by its value", &[CKR_OK], |x| {
            // A search that compares sensitive values reveals them by guesses.
            let key = x
                .import(CKK_GENERIC_SECRET, b"guess me", &[Attr::bool(CKA_SENSITIVE, true)])
                .setup("C_CreateObject")?;
            let found = x.s().find(&[Attr::bytes(CKA_VALUE, b"guess me")]);
            that(!found.is_ok_and(|found| found.contains(&key)), "found: a value can be guessed")?;
            FINE
        }),
        case("certificate", "creates an X.509 certificate object and reads it back", &[CKR_OK], |x| {
            let template = [
                Attr::class(CKO_CERTIFICATE),
                Attr::bool(CKA_TOKEN, false),
                Attr::ulong(CKA_CERTIFICATE_TYPE, CKC_X_509),
                Attr::bytes(CKA_SUBJECT, [0x30, 0]),
                Attr::bytes(CKA_VALUE, [0x30, 0]),
            ];
            let object = x.s().create_object(&template).setup("C_CreateObject")?;
            that(x.s().attribute(object, CKA_VALUE)? == [0x30, 0], "another value")?;
            FINE
        }),
        case("set-null-template", "sets no attributes from NULL", &[CKR_OK, CKR_ARGUMENTS_BAD], |x| {
            let object = x.s().create_object(&data(&[])).setup("C_CreateObject")?;
            let set = x.s().f().C_SetAttributeValue.expect("C_SetAttributeValue");
            // SAFETY: NULL with no attributes.
            Ok(Rv(unsafe { set(x.s().handle(), object, ptr::null_mut(), 0) }))
        }),
    ]
}
