//! ML-KEM-768 and ML-DSA-65.

use super::{Row, asymmetric, making, one_shot, verification};
use crate::bare::post_quantum as bare;
use crate::desk::{Desk, Pair};
use crate::work::Work;
use cryptoki_sys::*;
use pkcs11_conformance::client::{Attr, Mechanism, Result, Rv};

fn set(parameters: CK_ULONG) -> [Attr; 1] {
    [Attr::ulong(CKA_PARAMETER_SET, parameters)]
}

fn kem(desk: &Desk) -> Result<Pair> {
    let uses: (&[_], &[_]) = (&[CKA_ENCAPSULATE], &[CKA_DECAPSULATE]);
    desk.pair("mlkem768", CKM_ML_KEM_KEY_PAIR_GEN, &set(CKP_ML_KEM_768), uses)
}

fn dsa(desk: &Desk) -> Result<Pair> {
    let [public, private] = bare::dsa_values().map(|value| {
        let [parameters] = set(CKP_ML_DSA_65);
        [Attr::key_type(CKK_ML_DSA), parameters, Attr::bytes(CKA_VALUE, value)]
    });
    desk.import("mldsa65", (&public, &private), (CKA_VERIFY, CKA_SIGN))
}

fn encapsulate(desk: &Desk) -> Result<Work> {
    let run = desk.v3_2()?.C_EncapsulateKey.ok_or(Rv::ABSENT)?;
    let (session, key) = (desk.session.handle(), kem(desk)?.public);
    let (mechanism, mut out) = (Mechanism::new(CKM_ML_KEM), vec![0; 1088]);
    let mut template = super::calls::session_key(&[Attr::ulong(CKA_VALUE_LEN, 32)]);
    making(desk, move |made| {
        let mut length = out.len() as CK_ULONG;
        // SAFETY: a mechanism, a template, a buffer with its length and an address to write to.
        unsafe {
            let (template, count) = (template.ptr(), template.count());
            run(session, mechanism.ptr(), key, template, count, out.as_mut_ptr(), &mut length, made)
        }
    })
}

fn decapsulate(desk: &Desk) -> Result<Work> {
    let run = desk.v3_2()?.C_DecapsulateKey.ok_or(Rv::ABSENT)?;
    let (session, pair, mechanism) = (desk.session.handle(), kem(desk)?, Mechanism::new(CKM_ML_KEM));
    let wanted = [Attr::class(CKO_SECRET_KEY), Attr::key_type(CKK_AES), Attr::ulong(CKA_VALUE_LEN, 32)];
    let (mut sealed, key) = desk.session.encapsulate(&mechanism, pair.public, &wanted)?;
    desk.session.destroy(key)?;
    let mut template = super::calls::session_key(&[Attr::ulong(CKA_VALUE_LEN, 32)]);
    making(desk, move |made| {
        let (from, length) = (sealed.as_mut_ptr(), sealed.len() as CK_ULONG);
        // SAFETY: a mechanism, a template, a buffer with its length and an address to write to.
        unsafe {
            let (template, count) = (template.ptr(), template.count());
            run(session, mechanism.ptr(), pair.private, template, count, from, length, made)
        }
    })
}

/// The rows of this family.
pub fn rows() -> Vec<Row> {
    let message = || vec![0x5A; 64];
    let sign = move |desk: &Desk| {
        let entries = (desk.session.f().C_SignInit, desk.session.f().C_Sign);
        one_shot(desk, entries, Mechanism::new(CKM_ML_DSA), dsa(desk)?.private, message(), 4096)
    };
    let verify = move |desk: &Desk| {
        let pair = dsa(desk)?;
        verification(desk, Mechanism::new(CKM_ML_DSA), (pair.public, pair.private), message())
    };
    vec![
        Row::new("mlkem768-keygen", |desk| {
            asymmetric::generate(desk, CKM_ML_KEM_KEY_PAIR_GEN, &set(CKP_ML_KEM_768), CKA_DECAPSULATE)
        })
        .bare(bare::kem_generate),
        Row::new("mlkem768-encaps", encapsulate).bare(bare::encapsulate),
        Row::new("mlkem768-decaps", decapsulate).bare(bare::decapsulate),
        Row::new("mldsa65-keygen", |desk| {
            asymmetric::generate(desk, CKM_ML_DSA_KEY_PAIR_GEN, &set(CKP_ML_DSA_65), CKA_SIGN)
        })
        .bare(bare::dsa_generate),
        Row::new("mldsa65-sign", sign).bare(bare::sign).uneven(),
        Row::new("mldsa65-verify", verify).bare(bare::verify),
    ]
}
