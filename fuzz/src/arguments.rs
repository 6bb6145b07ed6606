//! Mechanisms and templates out of random bytes.

use crate::Input;
use coffer_pkcs11::mechanism::params::Shape;
use coffer_pkcs11::mechanism::table;
use coffer_pkcs11::object::attribute::{ALL, Kind, kind};
use pkcs11_client::cryptoki_sys::*;
use pkcs11_client::{Attr, Mechanism, Segment};

const HASHES: [CK_MECHANISM_TYPE; 9] = [
    CKM_SHA_1,
    CKM_SHA224,
    CKM_SHA256,
    CKM_SHA384,
    CKM_SHA512,
    CKM_SHA3_256,
    CKM_SHA256_HMAC,
    CKM_AES_CMAC,
    CKM_MD5,
];
const CURVES: [&[u8]; 6] = [
    b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07",
    b"\x06\x05\x2b\x81\x04\x00\x22",
    b"\x06\x05\x2b\x81\x04\x00\x23",
    b"\x06\x05\x2b\x81\x04\x00\x0a",
    b"\x06\x03\x2b\x65\x70",
    b"\x06\x03\x2b\x65\x6e",
];
const CLASSES: [CK_OBJECT_CLASS; 6] =
    [CKO_SECRET_KEY, CKO_PRIVATE_KEY, CKO_PUBLIC_KEY, CKO_CERTIFICATE, CKO_DATA, CKO_PROFILE];
const KEY_TYPES: [CK_KEY_TYPE; 12] = [
    CKK_AES,
    CKK_DES3,
    CKK_DES2,
    CKK_GENERIC_SECRET,
    CKK_SHA256_HMAC,
    CKK_RSA,
    CKK_EC,
    CKK_EC_EDWARDS,
    CKK_EC_MONTGOMERY,
    CKK_ML_DSA,
    CKK_ML_KEM,
    CKK_AES_XTS,
];

/// CK_COFFER_ML_KEM_PARAMS.
#[repr(C)]
#[derive(Clone, Copy)]
struct KemParams(*mut CK_BYTE, CK_ULONG);

/// A mechanism of the table, or in rare cases any; mostly with a parameter of its own shape.
pub fn mechanism(input: &mut Input<'_>) -> Mechanism {
    let rows: Vec<_> = table::all().collect();
    let row = rows[input.below(rows.len())];
    match input.below(32) {
        // No structure with pointers is so short.
        28 => Mechanism::bytes(input.number(), input.bytes(7)),
        29 => Mechanism::bytes(row.number, input.bytes(7)),
        30 => Mechanism::raw(row.number, std::ptr::null(), input.number()),
        31 => Mechanism::new(row.number),
        _ => with_parameter(row.number, row.shape, input),
    }
}

fn with_parameter(number: CK_MECHANISM_TYPE, shape: Shape, input: &mut Input<'_>) -> Mechanism {
    let hash = input.pick(&HASHES);
    let mgf = [CKG_MGF1_SHA1, CKG_MGF1_SHA256, CKG_MGF1_SHA512, 99][input.below(4)];
    match shape {
        Shape::None => Mechanism::new(number),
        Shape::Iv(len) | Shape::OptionalIv(len) => Mechanism::bytes(number, &vec![input.byte(); len]),
        Shape::MacLength | Shape::OtherKey => Mechanism::ulong(number, input.number()),
        Shape::Ctr => Mechanism::ctr(input.number(), [input.byte(); 16]),
        Shape::Gcm | Shape::CloudGcm => {
            Mechanism::gcm(number, input.bytes(20), input.bytes(20), input.number())
        }
        Shape::Ccm => {
            Mechanism::ccm(input.number() as usize, input.bytes(15), input.bytes(20), input.number())
        }
        Shape::Oaep => Mechanism::oaep(hash, mgf, input.bytes(20)),
        Shape::Pss => Mechanism::pss(number, hash, mgf, input.number()),
        Shape::RsaAesWrap => Mechanism::rsa_aes(input.number(), hash, mgf),
        Shape::Ecdh => Mechanism::ecdh1(number, input.number() % 16, input.bytes(20), input.bytes(150)),
        Shape::HashSignContext => {
            Mechanism::hash_sign_context(number, input.number() % 4, input.bytes(20), hash)
        }
        Shape::EdDsa => Mechanism::eddsa(number, input.one_in(2), input.bytes(255)),
        Shape::SignContext => Mechanism::sign_context(number, input.number() % 4, input.bytes(255)),
        Shape::Hkdf => {
            let steps = (input.one_in(2), input.one_in(2));
            Mechanism::hkdf(number, hash, steps, input.bytes(20), input.bytes(20))
        }
        Shape::Counter | Shape::CloudCounter => {
            let segments: Vec<_> = (0..input.below(4)).map(|_| segment(input)).collect();
            let prf = input.pick(&HASHES);
            if matches!(shape, Shape::Counter) {
                Mechanism::sp800_108(number, prf, &segments)
            } else {
                Mechanism::cloudhsm_sp800_108(number, prf, &segments)
            }
        }
        Shape::Kem => {
            let room = vec![0; input.number() as usize % 2000];
            Mechanism::with(number, |m| KemParams(m.slice(&room), room.len() as CK_ULONG))
        }
        Shape::Data => Mechanism::string_data(number, input.bytes(40)),
    }
}

fn segment(input: &mut Input<'_>) -> Segment {
    match input.below(6) {
        0 => Segment::counter(input.one_in(2), input.number()),
        1 => Segment::dkm_length(input.number() % 4, input.one_in(2), input.number()),
        2 => Segment::bytes(input.bytes(20)),
        3 => Segment::cloudhsm_counter(input.number()),
        4 => Segment::cloudhsm_dkm_length(input.number() % 4, input.number()),
        _ => Segment::raw(input.number() % 8, input.bytes(20)),
    }
}

/// A template that is often right and never makes a token object, which would stay, or an RSA key that takes seconds.
pub fn template(input: &mut Input<'_>, depth: usize) -> Vec<Attr> {
    let count = input.below(12);
    (0..count).map(|_| attribute(input, depth)).filter(|attr| attr.kind != CKA_TOKEN).collect()
}

fn attribute(input: &mut Input<'_>, depth: usize) -> Attr {
    let kind_of = if input.one_in(32) { input.number() } else { input.pick(ALL) };
    // What decides how everything else is judged.
    let kind_of = if input.one_in(3) {
        input.pick(&[CKA_CLASS, CKA_KEY_TYPE, CKA_VALUE, CKA_VALUE_LEN])
    } else {
        kind_of
    };
    match kind_of {
        CKA_MODULUS_BITS => return Attr::ulong(kind_of, input.pick(&[0, 8, 512, 1024, 1025, u64::MAX])),
        CKA_CLASS => return Attr::class(input.pick(&CLASSES)),
        CKA_KEY_TYPE => return Attr::key_type(input.pick(&KEY_TYPES)),
        CKA_EC_PARAMS if !input.one_in(4) => return Attr::bytes(kind_of, input.pick(&CURVES)),
        CKA_VALUE if input.one_in(2) => {
            let len = input.pick(&[8, 16, 24, 32, 48, 64, 1184, 1952]);
            return Attr::bytes(kind_of, vec![input.byte() | 1; len]);
        }
        _ => {}
    }
    match kind(kind_of) {
        // Longer bytes would be attributes with pointers of their own.
        Some(Kind::Template) if depth == 0 || input.one_in(16) => Attr::bytes(kind_of, input.bytes(7)),
        Some(Kind::Template) => Attr::template(kind_of, &template(input, depth - 1)),
        _ if input.one_in(16) => Attr::bytes(kind_of, input.bytes(40)),
        _ if input.one_in(32) => Attr::raw(kind_of, std::ptr::null(), input.number()),
        Some(Kind::Bool) => Attr::bytes(kind_of, [input.byte() % 3]),
        Some(Kind::Ulong) => Attr::ulong(kind_of, input.number()),
        Some(Kind::Date) => Attr::bytes(kind_of, if input.one_in(2) { b"20260229" } else { input.bytes(8) }),
        Some(Kind::Mechanisms) => {
            let list: Vec<_> = (0..input.below(4)).map(|_| input.number()).collect();
            Attr::mechanisms(kind_of, &list)
        }
        _ => Attr::bytes(kind_of, input.bytes(255)),
    }
}
