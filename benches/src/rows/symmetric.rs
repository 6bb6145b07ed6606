//! AES, triple DES, HMAC and digests.

use super::{Init, Row, Run, one_shot, size_name};
use crate::bare::{aes, digest};
use crate::desk::Desk;
use cryptoki_sys::*;
use pkcs11_conformance::client::{Mechanism, Result, Session};

const IV: [u8; 16] = [7; 16];

type Entries = fn(&Session) -> (Init, Run);
type Key = fn(&Desk) -> Result<CK_OBJECT_HANDLE>;

const ENCRYPT: Entries = |session| (session.f().C_EncryptInit, session.f().C_Encrypt);
const DECRYPT: Entries = |session| (session.f().C_DecryptInit, session.f().C_Decrypt);
const SIGN: Entries = |session| (session.f().C_SignInit, session.f().C_Sign);

fn row(name: &str, size: usize, entries: Entries, key: Key, mechanism: fn() -> Mechanism) -> Row {
    let module = move |desk: &Desk| {
        one_shot(desk, entries(&desk.session), mechanism(), key(desk)?, vec![0x5A; size], size + 64)
    };
    Row::new(format!("{name}-{}", size_name(size)), module).sized(size)
}

fn gcm() -> Mechanism {
    Mechanism::gcm(CKM_AES_GCM, &IV[..12], &[], 128)
}

fn gcm_open(size: usize) -> Row {
    let module = move |desk: &Desk| {
        let key = desk.aes()?;
        let sealed = super::sealed(desk, &gcm(), key, &vec![0x5A; size])?;
        one_shot(desk, DECRYPT(&desk.session), gcm(), key, sealed, size + 64)
    };
    Row::new(format!("aes256-gcm-dec-{}", size_name(size)), module)
        .sized(size)
        .bare(move || aes::gcm_open(size))
}

fn digest_row(name: &str, size: usize, mechanism: CK_MECHANISM_TYPE, bare: digest::Digest) -> Row {
    // C_DigestInit takes no key: this one has the shape of the others.
    let module = move |desk: &Desk| {
        let list = desk.session.f();
        super::calls::digest(desk, list.C_DigestInit, list.C_Digest, mechanism, size)
    };
    Row::new(format!("{name}-{}", size_name(size)), module)
        .sized(size)
        .bare(move || digest::digest(bare, size))
}

/// The rows of this family.
pub fn rows() -> Vec<Row> {
    const SMALL: [usize; 2] = [16, 64];
    const LARGE: [usize; 3] = [1 << 10, 16 << 10, 1 << 20];
    let sizes = || SMALL.into_iter().chain(LARGE);
    let mut rows = Vec::new();
    for size in sizes() {
        rows.push(row("aes256-gcm-enc", size, ENCRYPT, Desk::aes, gcm).bare(move || aes::gcm_seal(size)));
    }
    rows.extend([64, 16 << 10].map(gcm_open));
    for size in sizes() {
        let ecb = || Mechanism::new(CKM_AES_ECB);
        rows.push(row("aes256-ecb-enc", size, ENCRYPT, Desk::aes, ecb).bare(move || aes::ecb(size)));
    }
    for size in sizes() {
        let cbc = || Mechanism::bytes(CKM_AES_CBC, &IV);
        rows.push(row("aes256-cbc-enc", size, ENCRYPT, Desk::aes, cbc).bare(move || aes::cbc(size, true)));
    }
    for size in sizes() {
        let cbc = || Mechanism::bytes(CKM_AES_CBC, &IV);
        rows.push(row("aes256-cbc-dec", size, DECRYPT, Desk::aes, cbc).bare(move || aes::cbc(size, false)));
    }
    for size in sizes() {
        let ctr = || Mechanism::ctr(128, IV);
        rows.push(row("aes256-ctr-enc", size, ENCRYPT, Desk::aes, ctr).bare(move || aes::ctr(size)));
    }
    for size in SMALL.into_iter().chain([16 << 10]) {
        let cmac = || Mechanism::new(CKM_AES_CMAC);
        rows.push(row("aes256-cmac", size, SIGN, Desk::aes, cmac).bare(move || aes::cmac(size)));
    }
    for size in [8, 64, 16 << 10] {
        let ecb = || Mechanism::new(CKM_DES3_ECB);
        let cbc = || Mechanism::bytes(CKM_DES3_CBC, &IV[..8]);
        rows.push(row("des3-ecb-enc", size, ENCRYPT, Desk::des3, ecb).bare(move || aes::des3_ecb(size)));
        rows.push(
            row("des3-cbc-enc", size, ENCRYPT, Desk::des3, cbc).bare(move || aes::des3_cbc(size, true)),
        );
        rows.push(
            row("des3-cbc-dec", size, DECRYPT, Desk::des3, cbc).bare(move || aes::des3_cbc(size, false)),
        );
    }
    for size in sizes() {
        rows.push(digest_row("sha256", size, CKM_SHA256, aws_lc_sys::SHA256));
    }
    rows.push(digest_row("sha384", 16 << 10, CKM_SHA384, aws_lc_sys::SHA384));
    rows.push(digest_row("sha512", 64, CKM_SHA512, aws_lc_sys::SHA512));
    rows.push(digest_row("sha512", 16 << 10, CKM_SHA512, aws_lc_sys::SHA512));
    for size in sizes() {
        let hmac = || Mechanism::new(CKM_SHA256_HMAC);
        rows.push(
            row("hmac-sha256", size, SIGN, Desk::generic, hmac).bare(move || digest::hmac_sha256(size)),
        );
    }
    rows
}
