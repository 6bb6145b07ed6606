//! Calls whose cost is the module's own: sessions, attributes, objects, random, key making.

use super::{Row, making};
use crate::bare::aes;
use crate::desk::Desk;
use crate::work::{Buffer, Work, repeat};
use cryptoki_sys::*;
use pkcs11_conformance::client::{Attr, Mechanism, Result, Rv, Template};
use std::ptr;

type DigestInit = Option<unsafe extern "C" fn(CK_SESSION_HANDLE, *mut CK_MECHANISM) -> CK_RV>;

/// C_DigestInit and C_Digest.
pub fn digest(
    desk: &Desk,
    init: DigestInit,
    run: super::Run,
    mechanism: CK_MECHANISM_TYPE,
    size: usize,
) -> Result<Work> {
    let (init, run) = (init.ok_or(Rv::ABSENT)?, run.ok_or(Rv::ABSENT)?);
    let (session, mechanism) = (desk.session.handle(), Mechanism::new(mechanism));
    let (mut data, mut out) = (Buffer::input(size), [0; 64]);
    Ok(repeat(move || {
        // SAFETY: a mechanism and buffers that the closure owns, with their lengths.
        unsafe {
            let rv = init(session, mechanism.ptr());
            if rv != CKR_OK {
                return Rv(rv);
            }
            let mut length = out.len() as CK_ULONG;
            Rv(run(session, data.as_mut_ptr(), size as CK_ULONG, out.as_mut_ptr(), &mut length))
        }
    }))
}

fn random(desk: &Desk, size: usize) -> Result<Work> {
    let generate = desk.session.f().C_GenerateRandom.ok_or(Rv::ABSENT)?;
    let (session, mut out) = (desk.session.handle(), Buffer::output(size));
    // SAFETY: a buffer with its length.
    Ok(repeat(move || Rv(unsafe { generate(session, out.as_mut_ptr(), out.len() as CK_ULONG) })))
}

fn session_info(desk: &Desk) -> Result<Work> {
    let info = desk.session.f().C_GetSessionInfo.ok_or(Rv::ABSENT)?;
    let session = desk.session.handle();
    // SAFETY: an address to write to.
    Ok(repeat(move || Rv(unsafe { info(session, &mut CK_SESSION_INFO::default()) })))
}

fn open_close(desk: &Desk) -> Result<Work> {
    let list = desk.session.f();
    let (open, close) = (list.C_OpenSession.ok_or(Rv::ABSENT)?, list.C_CloseSession.ok_or(Rv::ABSENT)?);
    let slot = desk.session.info()?.slotID;
    Ok(repeat(move || {
        let mut session = CK_INVALID_HANDLE;
        // SAFETY: an address to write to.
        match unsafe { open(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, ptr::null_mut(), None, &mut session) }
        {
            // SAFETY: a number only.
            CKR_OK => Rv(unsafe { close(session) }),
            rv => Rv(rv),
        }
    }))
}

fn attribute(desk: &Desk, object: CK_OBJECT_HANDLE, kind: CK_ATTRIBUTE_TYPE) -> Result<Work> {
    let read = desk.session.f().C_GetAttributeValue.ok_or(Rv::ABSENT)?;
    let (session, mut value) = (desk.session.handle(), [0_u8; 1024]);
    Ok(repeat(move || {
        let length = value.len() as CK_ULONG;
        let mut wanted = CK_ATTRIBUTE { type_: kind, pValue: value.as_mut_ptr().cast(), ulValueLen: length };
        // SAFETY: one attribute and a buffer with its length.
        Rv(unsafe { read(session, object, &mut wanted, 1) })
    }))
}

/// The attributes of an AES session key.
pub fn session_key(more: &[Attr]) -> Template {
    let mut template = vec![Attr::class(CKO_SECRET_KEY), Attr::key_type(CKK_AES)];
    let yes = [CKA_PRIVATE, CKA_SENSITIVE, CKA_ENCRYPT, CKA_DECRYPT];
    template.extend(yes.map(|each| Attr::bool(each, true)));
    template.push(Attr::bool(CKA_TOKEN, false));
    template.extend_from_slice(more);
    Template::new(&template)
}

/// C_FindObjectsInit, C_FindObjects, C_FindObjectsFinal for the one session object of that label.
fn find(desk: &Desk) -> Result<Work> {
    let list = desk.session.f();
    let init = list.C_FindObjectsInit.ok_or(Rv::ABSENT)?;
    let (next, last) = (list.C_FindObjects.ok_or(Rv::ABSENT)?, list.C_FindObjectsFinal.ok_or(Rv::ABSENT)?);
    let session = desk.session.handle();
    desk.key("found", |session| {
        let yes = [CKA_PRIVATE, CKA_SENSITIVE].map(|each| Attr::bool(each, true));
        let no = Attr::bool(CKA_TOKEN, false);
        let mut template = vec![no, Attr::label("bench session object"), Attr::ulong(CKA_VALUE_LEN, 32)];
        template.extend(yes);
        let key = session.generate_key(&Mechanism::new(CKM_AES_KEY_GEN), &template)?;
        Ok(crate::desk::Pair { public: key, private: key })
    })?;
    let mut wanted = Template::new(&[Attr::label("bench session object")]);
    Ok(repeat(move || {
        let (mut found, mut count) = (CK_INVALID_HANDLE, 0);
        // SAFETY: a template and addresses to write to.
        let (first, then, end) = unsafe {
            (
                init(session, wanted.ptr(), wanted.count()),
                next(session, &mut found, 1, &mut count),
                last(session),
            )
        };
        if (first, then, end, count) == (CKR_OK, CKR_OK, CKR_OK, 1) {
            Rv(CKR_OK)
        } else {
            Rv(CKR_GENERAL_ERROR)
        }
    }))
}

fn generate(desk: &Desk) -> Result<Work> {
    let generate = desk.session.f().C_GenerateKey.ok_or(Rv::ABSENT)?;
    let (session, mechanism) = (desk.session.handle(), Mechanism::new(CKM_AES_KEY_GEN));
    let mut template = session_key(&[Attr::ulong(CKA_VALUE_LEN, 32)]);
    // SAFETY: a mechanism, a template and an address to write to.
    making(desk, move |key| unsafe {
        generate(session, mechanism.ptr(), template.ptr(), template.count(), key)
    })
}

fn create(desk: &Desk) -> Result<Work> {
    let create = desk.session.f().C_CreateObject.ok_or(Rv::ABSENT)?;
    let session = desk.session.handle();
    let mut template = session_key(&[Attr::bytes(CKA_VALUE, [0x42; 32])]);
    // SAFETY: a template and an address to write to.
    making(desk, move |key| unsafe { create(session, template.ptr(), template.count(), key) })
}

/// The rows of this family.
pub fn rows() -> Vec<Row> {
    vec![
        Row::new("random-32", |desk| random(desk, 32)).bare(|| aes::random(32)),
        Row::new("random-16k", |desk| random(desk, 16 << 10)).sized(16 << 10).bare(|| aes::random(16 << 10)),
        Row::new("aes256-genkey", generate).bare(|| aes::random(32)),
        Row::new("aes256-create", create),
        Row::new("session-info", session_info),
        Row::new("getattr-aes-label", |desk| attribute(desk, desk.aes()?, CKA_LABEL)),
        Row::new("getattr-rsa-modulus", |desk| {
            attribute(desk, super::asymmetric::rsa(desk, 2048)?.public, CKA_MODULUS)
        }),
        Row::new("session-open-close", open_close),
        Row::new("find-session-object", find),
    ]
}
