//! Wrapping and unwrapping of a 256-bit AES key.

use super::{Row, asymmetric, making};
use crate::bare::{aes, rsa};
use crate::desk::Desk;
use crate::work::{Work, repeat};
use cryptoki_sys::*;
use pkcs11_conformance::client::{Attr, Mechanism, Result, Rv};

fn rsa_aes() -> Mechanism {
    Mechanism::rsa_aes(256, CKM_SHA_1, CKG_MGF1_SHA1)
}

fn wrap(desk: &Desk, mechanism: Mechanism, with: CK_OBJECT_HANDLE) -> Result<Work> {
    let wrap = desk.session.f().C_WrapKey.ok_or(Rv::ABSENT)?;
    let (session, key, mut out) = (desk.session.handle(), desk.movable()?, vec![0; 1024]);
    Ok(repeat(move || {
        let mut length = out.len() as CK_ULONG;
        // SAFETY: a mechanism and a buffer with its length.
        Rv(unsafe { wrap(session, mechanism.ptr(), with, key, out.as_mut_ptr(), &mut length) })
    }))
}

fn unwrap(
    desk: &Desk,
    mechanism: Mechanism,
    (wrapping, unwrapping): (CK_OBJECT_HANDLE, CK_OBJECT_HANDLE),
) -> Result<Work> {
    let unwrap = desk.session.f().C_UnwrapKey.ok_or(Rv::ABSENT)?;
    let (session, key) = (desk.session.handle(), desk.movable()?);
    let wrap = desk.session.f().C_WrapKey.ok_or(Rv::ABSENT)?;
    let (mut wrapped, mut length) = (vec![0; 1024], 1024);
    // SAFETY: a mechanism and a buffer with its length.
    Rv(unsafe { wrap(session, mechanism.ptr(), wrapping, key, wrapped.as_mut_ptr(), &mut length) }).ok()?;
    wrapped.truncate(length as usize);
    let mut template = super::calls::session_key(&[Attr::bool(CKA_EXTRACTABLE, true)]);
    making(desk, move |made| {
        let (from, length) = (wrapped.as_mut_ptr(), wrapped.len() as CK_ULONG);
        // SAFETY: a mechanism, a template, a buffer with its length and an address to write to.
        unsafe {
            let (template, count) = (template.ptr(), template.count());
            unwrap(session, mechanism.ptr(), unwrapping, from, length, template, count, made)
        }
    })
}

fn aes_pair(name: &str, mechanism: CK_MECHANISM_TYPE, padded: bool) -> [Row; 2] {
    let new = move || Mechanism::new(mechanism);
    [
        Row::new(format!("{name}-wrap"), move |desk| wrap(desk, new(), desk.aes()?))
            .bare(move || aes::wrap(padded)),
        Row::new(format!("{name}-unwrap"), move |desk| unwrap(desk, new(), (desk.aes()?, desk.aes()?)))
            .bare(move || aes::unwrap(padded)),
    ]
}

/// The rows of this family.
pub fn rows() -> Vec<Row> {
    let mut rows = Vec::from(aes_pair("aes-kw", CKM_AES_KEY_WRAP, false));
    rows.extend(aes_pair("aes-kwp", CKM_AES_KEY_WRAP_KWP, true));
    rows.push(
        Row::new("rsa2048-aes-wrap", |desk| wrap(desk, rsa_aes(), asymmetric::rsa(desk, 2048)?.public))
            .bare(|| rsa::aes_wrap(2048)),
    );
    rows.push(
        Row::new("rsa2048-aes-unwrap", |desk| {
            let pair = asymmetric::rsa(desk, 2048)?;
            unwrap(desk, rsa_aes(), (pair.public, pair.private))
        })
        .bare(|| rsa::aes_unwrap(2048)),
    );
    rows
}
