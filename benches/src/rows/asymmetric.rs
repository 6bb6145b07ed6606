//! RSA, ECDSA, ECDH, Ed25519 and X25519.

use super::{Row, making, one_shot, verification};
use crate::bare::{ec, rsa as bare};
use crate::desk::{Desk, Pair};
use crate::work::{Work, repeat};
use cryptoki_sys::*;
use pkcs11_conformance::client::{Attr, Mechanism, Result, Rv, Template};

const DIGEST: [u8; 32] = [0x5A; 32];

// DER of the curves: the standard's CKA_EC_PARAMS.
const P256: &[u8] = b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";
const P384: &[u8] = b"\x06\x05\x2b\x81\x04\x00\x22";
const ED25519: &[u8] = b"\x06\x03\x2b\x65\x70";
const X25519: &[u8] = b"\x06\x03\x2b\x65\x6e";

const SIGNS: (&[CK_ATTRIBUTE_TYPE], &[CK_ATTRIBUTE_TYPE]) = (&[CKA_VERIFY], &[CKA_SIGN]);
const DERIVES: (&[CK_ATTRIBUTE_TYPE], &[CK_ATTRIBUTE_TYPE]) = (&[], &[CKA_DERIVE]);

/// The RSA pair of that size, for everything.
pub fn rsa(desk: &Desk, bits: CK_ULONG) -> Result<Pair> {
    let name = match bits {
        2048 => "rsa2048",
        3072 => "rsa3072",
        _ => "rsa4096",
    };
    let template = [Attr::ulong(CKA_MODULUS_BITS, bits), Attr::bytes(CKA_PUBLIC_EXPONENT, [1, 0, 1])];
    let uses: (&[_], &[_]) = (&[CKA_VERIFY, CKA_ENCRYPT, CKA_WRAP], &[CKA_SIGN, CKA_DECRYPT, CKA_UNWRAP]);
    desk.pair(name, CKM_RSA_PKCS_KEY_PAIR_GEN, &template, uses)
}

fn curve(desk: &Desk, curve: &'static str) -> Result<Pair> {
    let (mechanism, params, uses) = match curve {
        "p256" => (CKM_EC_KEY_PAIR_GEN, P256, SIGNS),
        "p256-derive" => (CKM_EC_KEY_PAIR_GEN, P256, DERIVES),
        "p384" => (CKM_EC_KEY_PAIR_GEN, P384, SIGNS),
        "ed25519" => (CKM_EC_EDWARDS_KEY_PAIR_GEN, ED25519, SIGNS),
        _ => (CKM_EC_MONTGOMERY_KEY_PAIR_GEN, X25519, DERIVES),
    };
    desk.pair(curve, mechanism, &[Attr::bytes(CKA_EC_PARAMS, params)], uses)
}

type Key = fn(&Desk) -> Result<Pair>;

/// A signature and its verification.
fn signing(name: [&str; 2], key: Key, mechanism: fn() -> Mechanism, data: &'static [u8]) -> [Row; 2] {
    let sign = move |desk: &Desk| {
        let list = desk.session.f();
        let entries = (list.C_SignInit, list.C_Sign);
        one_shot(desk, entries, mechanism(), key(desk)?.private, data, 512)
    };
    let verify = move |desk: &Desk| {
        let pair = key(desk)?;
        verification(desk, mechanism(), (pair.public, pair.private), data.to_vec())
    };
    [Row::new(name[0], sign), Row::new(name[1], verify)]
}

fn rsa_rows() -> Vec<Row> {
    let raw = || Mechanism::new(CKM_RSA_PKCS);
    let hashed = || Mechanism::new(CKM_SHA256_RSA_PKCS);
    let pss = || Mechanism::pss(CKM_RSA_PKCS_PSS, CKM_SHA256, CKG_MGF1_SHA256, 32);
    let oaep = || Mechanism::oaep(CKM_SHA_1, CKG_MGF1_SHA1, &[]);
    let small: Key = |desk| rsa(desk, 2048);
    let mut rows = Vec::new();
    let mut add = |rows_of: [Row; 2], bits: i32, scheme: bare::Scheme| {
        let [sign, verify] = rows_of;
        rows.push(sign.bare(move || bare::sign(bits, scheme)));
        rows.push(verify.bare(move || bare::verify(bits, scheme)));
    };
    add(signing(["rsa2048-sign", "rsa2048-verify"], small, raw, &DIGEST), 2048, bare::Scheme::Raw);
    let names = ["rsa2048-sign-sha256", "rsa2048-verify-sha256"];
    add(signing(names, small, hashed, &DIGEST), 2048, bare::Scheme::Sha256);
    add(signing(["rsa2048-sign-pss", "rsa2048-verify-pss"], small, pss, &DIGEST), 2048, bare::Scheme::Pss);
    let middle: Key = |desk| rsa(desk, 3072);
    add(signing(["rsa3072-sign", "rsa3072-verify"], middle, raw, &DIGEST), 3072, bare::Scheme::Raw);
    let large: Key = |desk| rsa(desk, 4096);
    add(signing(["rsa4096-sign", "rsa4096-verify"], large, raw, &DIGEST), 4096, bare::Scheme::Raw);
    let encrypt = move |desk: &Desk| {
        let entries = (desk.session.f().C_EncryptInit, desk.session.f().C_Encrypt);
        one_shot(desk, entries, oaep(), rsa(desk, 2048)?.public, DIGEST, 256)
    };
    let decrypt = move |desk: &Desk| {
        let (pair, list) = (rsa(desk, 2048)?, desk.session.f());
        let sealed = super::sealed(desk, &oaep(), pair.public, &DIGEST)?;
        one_shot(desk, (list.C_DecryptInit, list.C_Decrypt), oaep(), pair.private, sealed, 256)
    };
    rows.push(Row::new("rsa2048-oaep-enc", encrypt).bare(|| bare::oaep_encrypt(2048)));
    rows.push(Row::new("rsa2048-oaep-dec", decrypt).bare(|| bare::oaep_decrypt(2048)));
    rows
}

/// C_DeriveKey of a 256-bit AES session key.
fn derive(desk: &Desk, name: &'static str) -> Result<Work> {
    let derive = desk.session.f().C_DeriveKey.ok_or(Rv::ABSENT)?;
    let (session, pair) = (desk.session.handle(), curve(desk, name)?);
    // The point within its OCTET STRING is what every module takes.
    let point = desk.attribute(pair.public, CKA_EC_POINT)?;
    let bare = if point.len() == 67 || point.len() == 34 { &point[2..] } else { &point };
    let mechanism = Mechanism::ecdh1(CKM_ECDH1_DERIVE, CKD_NULL, &[], bare);
    let mut template = super::calls::session_key(&[Attr::ulong(CKA_VALUE_LEN, 32)]);
    making(desk, move |key| {
        // SAFETY: a mechanism, a template and an address to write to.
        unsafe { derive(session, mechanism.ptr(), pair.private, template.ptr(), template.count(), key) }
    })
}

/// C_GenerateKeyPair of session keys, both destroyed again.
pub fn generate(
    desk: &Desk,
    mechanism: CK_MECHANISM_TYPE,
    public: &[Attr],
    use_: CK_ATTRIBUTE_TYPE,
) -> Result<Work> {
    let list = desk.session.f();
    let (make, destroy) =
        (list.C_GenerateKeyPair.ok_or(Rv::ABSENT)?, list.C_DestroyObject.ok_or(Rv::ABSENT)?);
    let (session, mechanism) = (desk.session.handle(), Mechanism::new(mechanism));
    let mut public = Template::new(public);
    let yes = [CKA_PRIVATE, CKA_SENSITIVE, use_].map(|each| Attr::bool(each, true));
    let mut private = Template::new(&yes);
    Ok(repeat(move || {
        let (mut one, mut two) = (CK_INVALID_HANDLE, CK_INVALID_HANDLE);
        // SAFETY: a mechanism, two templates and addresses to write to; then numbers only.
        unsafe {
            let (public, public_count) = (public.ptr(), public.count());
            let (private, private_count) = (private.ptr(), private.count());
            let mechanism = mechanism.ptr();
            match make(session, mechanism, public, public_count, private, private_count, &mut one, &mut two) {
                CKR_OK => Rv(destroy(session, one) | destroy(session, two)),
                rv => Rv(rv),
            }
        }
    }))
}

fn rsa_generation(bits: i32) -> Row {
    Row::new(format!("rsa{bits}-keygen"), move |desk| {
        let size = Attr::ulong(CKA_MODULUS_BITS, bits as CK_ULONG);
        let exponent = Attr::bytes(CKA_PUBLIC_EXPONENT, [1, 0, 1]);
        generate(desk, CKM_RSA_PKCS_KEY_PAIR_GEN, &[size, exponent], CKA_SIGN)
    })
    .bare(move || bare::generate(bits))
    .uneven()
}

/// The rows of this family.
pub fn rows() -> Vec<Row> {
    let mut rows = rsa_rows();
    let ecdsa = || Mechanism::new(CKM_ECDSA);
    let p256: Key = |desk| curve(desk, "p256");
    let p384: Key = |desk| curve(desk, "p384");
    let edwards: Key = |desk| curve(desk, "ed25519");
    let [sign, verify] = signing(["p256-sign", "p256-verify"], p256, ecdsa, &DIGEST);
    rows.extend([sign.bare(|| ec::sign(ec::P256)), verify.bare(|| ec::verify(ec::P256))]);
    rows.push(
        Row::new("p256-keygen", |desk| {
            generate(desk, CKM_EC_KEY_PAIR_GEN, &[Attr::bytes(CKA_EC_PARAMS, P256)], CKA_SIGN)
        })
        .bare(|| ec::generate(ec::P256)),
    );
    rows.push(Row::new("p256-ecdh", |desk| derive(desk, "p256-derive")).bare(ec::ecdh));
    let [sign, verify] = signing(["p384-sign", "p384-verify"], p384, ecdsa, &DIGEST);
    rows.extend([sign.bare(|| ec::sign(ec::P384)), verify.bare(|| ec::verify(ec::P384))]);
    let eddsa = || Mechanism::new(CKM_EDDSA);
    let [sign, verify] = signing(["ed25519-sign", "ed25519-verify"], edwards, eddsa, &[0x5A; 64]);
    rows.extend([sign.bare(ec::ed25519_sign), verify.bare(ec::ed25519_verify)]);
    rows.push(
        Row::new("ed25519-keygen", |desk| {
            generate(desk, CKM_EC_EDWARDS_KEY_PAIR_GEN, &[Attr::bytes(CKA_EC_PARAMS, ED25519)], CKA_SIGN)
        })
        .bare(ec::ed25519_generate),
    );
    rows.push(Row::new("x25519-derive", |desk| derive(desk, "x25519")).bare(ec::x25519));
    rows.extend([2048, 3072, 4096].map(rsa_generation));
    rows
}
