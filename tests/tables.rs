//! The mechanism table against what the C functions say and do, and `docs/mechanisms.md`, which is printed from it.

mod common;

use coffer_pkcs11::mechanism::Shape;
use coffer_pkcs11::mechanism::table::{self, Mechanism as Row, Offer, Unit};
use common::{Settings, TestToken, in_cloudhsm_child, module};
use pkcs11_conformance::client::cryptoki_sys::*;
use pkcs11_conformance::client::{Mechanism, Result, Rv, Segment, Session};
use std::collections::BTreeSet;
use std::fmt::Write;

/// Rows of the profile that this process runs.
fn offered() -> impl Iterator<Item = &'static Row> {
    let profile = if Settings::current().profile == "cloudhsm" { Offer::CLOUDHSM } else { Offer::STANDARD };
    table::all().filter(move |row| row.offer.includes(profile))
}

/// What CloudHSM has no functions for.
const MESSAGES: CK_FLAGS =
    CKF_MESSAGE_ENCRYPT | CKF_MESSAGE_DECRYPT | CKF_MESSAGE_SIGN | CKF_MESSAGE_VERIFY | CKF_MULTI_MESSAGE;

/// C_GetMechanismList and C_GetMechanismInfo say what the rows say.
fn information_is_the_table(slot: CK_SLOT_ID) {
    let listed = module().mechanisms(slot).unwrap();
    let rows: BTreeSet<_> = offered().map(|row| row.number).collect();
    assert_eq!(listed.len(), rows.len());
    assert_eq!(listed.into_iter().collect::<BTreeSet<_>>(), rows);
    for row in table::all() {
        let info = module().mechanism_info(slot, row.number);
        if !rows.contains(&row.number) {
            assert_eq!(info.err(), Some(Rv(CKR_MECHANISM_INVALID)), "{}", row.name);
        }
        if !offered().any(|offered| std::ptr::eq(offered, row)) {
            continue;
        }
        let info = info.unwrap_or_else(|rv| panic!("{}: {rv}", row.name));
        let sizes = (info.ulMinKeySize as usize, info.ulMaxKeySize as usize);
        let cloudhsm = Settings::current().profile == "cloudhsm";
        if cloudhsm {
            // It has not all the keys; tests/cloudhsm.rs knows which.
            assert!(row.keys.min <= sizes.0 && sizes.1 <= row.keys.max, "{}", row.name);
        } else {
            assert_eq!(sizes, (row.keys.min, row.keys.max), "{}", row.name);
        }
        let flags = if cloudhsm { row.flags() & !MESSAGES } else { row.flags() };
        assert_eq!(info.flags, flags, "{}: {:#x}", row.name, info.flags);
    }
}

/// CK_COFFER_ML_KEM_PARAMS.
#[repr(C)]
#[derive(Clone, Copy)]
struct KemParams(*mut CK_BYTE, CK_ULONG);

/// The mechanism with a parameter that its row's shape takes.
fn with_parameter(row: &Row) -> Mechanism {
    let (number, counter) = (row.number, [Segment::counter(false, 32)]);
    match row.shape {
        Shape::None | Shape::OptionalIv(_) | Shape::EdDsa | Shape::SignContext => Mechanism::new(number),
        Shape::Iv(len) => Mechanism::bytes(number, &vec![1; len]),
        Shape::MacLength => Mechanism::ulong(number, 8),
        Shape::Ctr => Mechanism::ctr(32, [1; 16]),
        Shape::Gcm | Shape::CloudGcm => Mechanism::gcm(number, &[0; 12], &[], 128),
        Shape::Ccm => Mechanism::ccm(0, &[1; 12], &[], 16),
        Shape::Oaep => Mechanism::oaep(CKM_SHA256, CKG_MGF1_SHA256, &[]),
        Shape::Pss => Mechanism::pss(number, CKM_SHA256, CKG_MGF1_SHA256, 32),
        Shape::RsaAesWrap => Mechanism::rsa_aes(256, CKM_SHA256, CKG_MGF1_SHA256),
        Shape::Ecdh => Mechanism::ecdh1(number, CKD_NULL, &[], &[4; 65]),
        Shape::HashSignContext => Mechanism::hash_sign_context(number, CKH_HEDGE_PREFERRED, &[], CKM_SHA256),
        Shape::Hkdf => Mechanism::hkdf(number, CKM_SHA256, (true, true), &[], &[]),
        Shape::Counter => Mechanism::sp800_108(number, CKM_SHA256_HMAC, &counter),
        Shape::CloudCounter => {
            Mechanism::cloudhsm_sp800_108(number, CKM_SHA256_HMAC, &[Segment::cloudhsm_counter(32)])
        }
        Shape::Kem => Mechanism::with(number, |m| KemParams(m.slice(&[0; 768]), 768)),
        Shape::Data => Mechanism::string_data(number, &[1]),
        Shape::OtherKey => Mechanism::ulong(number, CK_INVALID_HANDLE),
    }
}

/// Tries an operation of a mechanism, with no key.
type Attempt = fn(&Session, &Mechanism) -> Result<()>;

const ATTEMPTS: [(CK_FLAGS, Attempt); 19] = [
    (CKF_DIGEST, |s, m| s.digest_init(m)),
    (CKF_ENCRYPT, |s, m| s.encrypt_init(m, CK_INVALID_HANDLE)),
    (CKF_DECRYPT, |s, m| s.decrypt_init(m, CK_INVALID_HANDLE)),
    (CKF_SIGN, |s, m| s.sign_init(m, CK_INVALID_HANDLE)),
    (CKF_VERIFY, |s, m| s.verify_init(m, CK_INVALID_HANDLE)),
    (CKF_VERIFY, |s, m| s.verify_signature_init(m, CK_INVALID_HANDLE, &[1])),
    (CKF_SIGN_RECOVER, |s, m| s.sign_recover_init(m, CK_INVALID_HANDLE)),
    (CKF_VERIFY_RECOVER, |s, m| s.verify_recover_init(m, CK_INVALID_HANDLE)),
    (CKF_MESSAGE_ENCRYPT, |s, m| s.message_encrypt_init(&Mechanism::new(m.number()), CK_INVALID_HANDLE)),
    (CKF_MESSAGE_DECRYPT, |s, m| s.message_decrypt_init(&Mechanism::new(m.number()), CK_INVALID_HANDLE)),
    (CKF_MESSAGE_SIGN, |s, m| s.message_sign_init(m, CK_INVALID_HANDLE)),
    (CKF_MESSAGE_VERIFY, |s, m| s.message_verify_init(m, CK_INVALID_HANDLE)),
    (CKF_WRAP, |s, m| s.wrap(m, CK_INVALID_HANDLE, CK_INVALID_HANDLE).map(drop)),
    (CKF_UNWRAP, |s, m| s.unwrap(m, CK_INVALID_HANDLE, &[1], &[]).map(drop)),
    (CKF_DERIVE, |s, m| s.derive(m, CK_INVALID_HANDLE, &[]).map(drop)),
    (CKF_GENERATE, |s, m| s.generate_key(m, &[]).map(drop)),
    (CKF_GENERATE_KEY_PAIR, |s, m| s.generate_key_pair(m, &[], &[]).map(drop)),
    (CKF_ENCAPSULATE, |s, m| s.encapsulate(m, CK_INVALID_HANDLE, &[]).map(drop)),
    (CKF_DECAPSULATE, |s, m| s.decapsulate(m, CK_INVALID_HANDLE, &[1], &[]).map(drop)),
];

/// An operation is CKR_MECHANISM_INVALID for the rows without its flag, and only for those.
fn dispatch_is_the_flags(token: &TestToken) {
    for (row, (flag, attempt)) in offered().flat_map(|row| ATTEMPTS.iter().map(move |attempt| (row, attempt)))
    {
        let session = token.rw();
        let outcome = attempt(&session, &with_parameter(row));
        let refused = outcome == Err(Rv(CKR_MECHANISM_INVALID));
        assert_eq!(refused, row.flags() & flag == 0, "{} {flag:#x}: {outcome:?}", row.name);
        assert_ne!(outcome, Err(Rv(CKR_MECHANISM_PARAM_INVALID)), "{} {flag:#x}", row.name);
    }
}

#[test]
fn standard_profile() {
    let token = TestToken::new();
    information_is_the_table(token.slot);
    dispatch_is_the_flags(&token);
}

#[test]
fn cloudhsm_profile() {
    if in_cloudhsm_child("cloudhsm_profile") {
        return;
    }
    assert!(offered().count() < table::all().count());
    let slots = module().slots(false).unwrap();
    information_is_the_table(slots[0]);
}

// ---- docs/mechanisms.md -------------------------------------------------------------------------------------

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/mechanisms.md");

const OPERATIONS: [(CK_FLAGS, &str); 10] = [
    (CKF_DIGEST, "digest"),
    (CKF_ENCRYPT | CKF_DECRYPT, "encrypt, decrypt"),
    (CKF_MESSAGE_ENCRYPT | CKF_MESSAGE_DECRYPT, "encrypt and decrypt messages"),
    (CKF_SIGN | CKF_VERIFY, "sign, verify"),
    (CKF_SIGN_RECOVER | CKF_VERIFY_RECOVER, "sign and verify with recovery"),
    (CKF_WRAP | CKF_UNWRAP, "wrap, unwrap"),
    (CKF_DERIVE, "derive"),
    (CKF_GENERATE, "generate"),
    (CKF_GENERATE_KEY_PAIR, "generate pair"),
    (CKF_ENCAPSULATE | CKF_DECAPSULATE, "encapsulate, decapsulate"),
];

fn operations(row: &Row) -> String {
    let can = OPERATIONS.iter().filter(|(flags, _)| row.flags() & flags == *flags);
    can.map(|(_, words)| *words).collect::<Vec<_>>().join("; ")
}

fn sizes(row: &Row) -> String {
    let unit = match row.keys.unit {
        Unit::None => return "none".into(),
        Unit::Bytes => "bytes",
        Unit::Bits => "bits",
    };
    match (row.keys.min, row.keys.max) {
        (min, max) if min == max => format!("{min} {unit}"),
        (min, max) => format!("{min} to {max} {unit}"),
    }
}

fn parameter(shape: Shape) -> String {
    match shape {
        Shape::None => "none".into(),
        Shape::Iv(len) => format!("IV of {len} bytes"),
        Shape::OptionalIv(len) => format!("none, or IV of {len} bytes"),
        Shape::MacLength => "`CK_MAC_GENERAL_PARAMS`".into(),
        Shape::Ctr => "`CK_AES_CTR_PARAMS`".into(),
        Shape::Gcm => "`CK_GCM_PARAMS`".into(),
        Shape::CloudGcm => "`CK_GCM_PARAMS`, its IV an output".into(),
        Shape::Ccm => "`CK_CCM_PARAMS`".into(),
        Shape::Oaep => "`CK_RSA_PKCS_OAEP_PARAMS`".into(),
        Shape::Pss => "`CK_RSA_PKCS_PSS_PARAMS`".into(),
        Shape::RsaAesWrap => "`CK_RSA_AES_KEY_WRAP_PARAMS`".into(),
        Shape::Ecdh => "`CK_ECDH1_DERIVE_PARAMS`".into(),
        Shape::EdDsa => "none, or `CK_EDDSA_PARAMS`".into(),
        Shape::SignContext => "none, or `CK_SIGN_ADDITIONAL_CONTEXT`".into(),
        Shape::HashSignContext => "`CK_HASH_SIGN_ADDITIONAL_CONTEXT`".into(),
        Shape::Hkdf => "`CK_HKDF_PARAMS`".into(),
        Shape::Counter => "`CK_SP800_108_KDF_PARAMS`".into(),
        Shape::CloudCounter => "CloudHSM's `CK_SP800_108_KDF_PARAMS`".into(),
        Shape::Kem => "`CK_COFFER_ML_KEM_PARAMS`".into(),
        Shape::Data => "`CK_KEY_DERIVATION_STRING_DATA`".into(),
        Shape::OtherKey => "`CK_OBJECT_HANDLE`".into(),
    }
}

fn page() -> String {
    let mut page = String::from(
        "# Mechanisms\n\n\
         Printed from the mechanism table by `COFFER_REGENERATE=1 cargo test --test tables`. Both profiles offer a mechanism \
         unless its row names one.\n\n\
         | Mechanism | Number | Keys | Parameter | Operations | Profile |\n\
         |---|---|---|---|---|---|\n",
    );
    for row in table::all() {
        let profile = match (row.offer.includes(Offer::STANDARD), row.offer.includes(Offer::CLOUDHSM)) {
            (true, true) => "",
            (true, false) => "standard",
            (false, _) => "cloudhsm",
        };
        let (keys, parameter, operations) = (sizes(row), parameter(row.shape), operations(row));
        writeln!(
            page,
            "| `{}` | {:#06x} | {keys} | {parameter} | {operations} | {profile} |",
            row.name, row.number
        )
        .expect("a string grows");
    }
    page
}

#[test]
fn the_page_is_the_table() {
    let page = page();
    if std::env::var_os("COFFER_REGENERATE").is_some() {
        std::fs::write(PAGE, &page).expect("a writable docs folder");
    }
    let written = std::fs::read_to_string(PAGE).unwrap_or_default();
    let different = written.lines().zip(page.lines()).find(|(old, new)| old != new);
    assert!(written == page, "docs/mechanisms.md is older than the table: {different:?}");
}
