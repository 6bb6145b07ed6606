//! Attacks by values of the peer that are no points of the curve, or weak ones (row 11).

use crate::case::{Case, Outcome, Setup, Stop};
use crate::client::{Attr, Mechanism, Result as Called, Rv};
use crate::context::{Context, FINE, P256, that, yes};
use cryptoki_sys::*;

const CHAPTER: &str = "Attacks: invalid points";
const BAD_POINT: &[CK_RV] = &[CKR_MECHANISM_PARAM_INVALID, CKR_PUBLIC_KEY_INVALID];
const BAD_KEY: &[CK_RV] = &[CKR_ATTRIBUTE_VALUE_INVALID, CKR_PUBLIC_KEY_INVALID];

/// P-256's base point.
const BASE: [u8; 65] = *b"\x04\x6b\x17\xd1\xf2\xe1\x2c\x42\x47\xf8\xbc\xe6\xe5\x63\xa4\x40\xf2\x77\x03\x7d\x81\x2d\xeb\x33\xa0\xf4\xa1\x39\x45\xd8\x98\xc2\x96\x4f\xe3\x42\xe2\xfe\x1a\x7f\x9b\x8e\xe7\xeb\x4a\x7c\x0f\x9e\x16\x2b\xce\x33\x57\x6b\x31\x5e\xce\xcb\xb6\x40\x68\x37\xbf\x51\xf5";

type Point = fn() -> Vec<u8>;

const POINTS: &[(&str, Point)] = &[
    ("off-curve", || {
        let mut point = BASE.to_vec();
        point[64] ^= 1;
        point
    }),
    ("infinity", || vec![0]),
    ("zero", || [&[4][..], &[0; 64]].concat()),
    ("x-above-p", || [&[4][..], &[0xff; 32], &BASE[33..]].concat()),
    ("truncated", || BASE[..64].to_vec()),
    ("too-long", || [&BASE[..], &[0]].concat()),
    ("x-only", || BASE[..33].to_vec()),
    ("empty", Vec::new),
    ("garbage", || vec![0x5a; 65]),
];

/// X25519 inputs of small order: the shared secret would be zero for every private key.
const SMALL: &[(&str, [u8; 32])] = &[
    ("0", [0; 32]),
    ("1", { let mut u = [0; 32]; u[0] = 1; u }),
    ("p-1", { let mut u = [0xff; 32]; u[0] = 0xec; u[31] = 0x7f; u }),
    ("p", { let mut u = [0xff; 32]; u[0] = 0xed; u[31] = 0x7f; u }),
    ("p+1", { let mut u = [0xff; 32]; u[0] = 0xee; u[31] = 0x7f; u }),
    ("order-8-a", *b"\xe0\xeb\x7a\x7c\x3b\x41\xb8\xae\x16\x56\xe3\xfa\xf1\x9f\xc4\x6a\xda\x09\x8d\xeb\x9c\x32\xb1\xfd\x86\x62\x05\x16\x5f\x49\xb8\x00"),
    ("order-8-b", *b"\x5f\x9c\x95\xbc\xa3\x50\x8c\x24\xb1\xd0\xb1\x55\x9c\x83\xef\x5b\x04\x44\x5c\xc4\x58\x1c\x8e\x86\xd8\x22\x4e\xdd\xd0\x9f\x11\x57"),
];

/// X25519's object identifier, DER.
const X25519: &[u8] = &[0x06, 0x03, 0x2b, 0x65, 0x6e];

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for &(name, point) in POINTS {
        let does = format!("derives by ECDH on P-256 from a bad point: {name}");
        cases.push(Case::new(format!("attack.11.ecdh.{name}"), CHAPTER, does, BAD_POINT, move |x| {
            ecdh(x, P256, &point())
        }));
        let does = format!("creates a P-256 public key of a bad point: {name}");
        cases.push(Case::new(format!("attack.11.create.{name}"), CHAPTER, does, BAD_KEY, move |x| {
            x.need(CKM_EC_KEY_PAIR_GEN, CKF_GENERATE_KEY_PAIR)?;
            Ok(Rv::of(&create(x, &point())))
        }));
    }
    cases.push(Case::new(
        "attack.11.one-code",
        CHAPTER,
        "gives every bad point to ECDH: all must be refused by one code",
        &[CKR_OK],
        |x| {
            x.need(CKM_ECDH1_DERIVE, CKF_DERIVE)?;
            let codes = POINTS
                .iter()
                .map(|(name, point)| Ok((*name, ecdh(x, P256, &point())?)))
                .collect::<Result<Vec<_>, Stop>>()?;
            that(codes.iter().all(|(_, rv)| *rv == codes[0].1), format!("{codes:?}"))?;
            FINE
        },
    ));
    cases.push(Case::new(
        "attack.11.good-point",
        CHAPTER,
        "derives from the base point, bare and as OCTET STRING",
        &[CKR_OK],
        |x| {
            let bare = ecdh(x, P256, &BASE)?;
            that(bare == CKR_OK, format!("the bare point: {bare}"))?;
            ecdh(x, P256, &[&[4, 65][..], &BASE].concat())
        },
    ));
    cases.push(Case::new(
        "attack.11.good-key",
        CHAPTER,
        "creates a public key of the base point",
        &[CKR_OK],
        |x| {
            x.need(CKM_EC_KEY_PAIR_GEN, CKF_GENERATE_KEY_PAIR)?;
            Ok(Rv::of(&create(x, &BASE)))
        },
    ));
    for &(name, point) in SMALL {
        let does = format!("derives by X25519 from a value of small order: {name}");
        cases.push(Case::new(format!("attack.11.x25519.{name}"), CHAPTER, does, BAD_POINT, move |x| {
            ecdh(x, X25519, &point)
        }));
    }
    for (name, value) in [("0", 0u8), ("1", 1)] {
        let does = format!("derives by Diffie-Hellman from the peer's value {name}");
        cases
            .push(Case::new(format!("attack.11.dh.{name}"), CHAPTER, does, BAD_POINT, move |x| dh(x, value)));
    }
    cases
}

fn derived() -> [Attr; 4] {
    [
        Attr::class(CKO_SECRET_KEY),
        Attr::key_type(CKK_GENERIC_SECRET),
        Attr::bool(CKA_TOKEN, false),
        Attr::ulong(CKA_VALUE_LEN, 32),
    ]
}

fn ecdh(x: &Context, curve: &[u8], point: &[u8]) -> Outcome {
    x.need(CKM_ECDH1_DERIVE, CKF_DERIVE)?;
    let pair = if curve == X25519 {
        x.need(CKM_EC_MONTGOMERY_KEY_PAIR_GEN, CKF_GENERATE_KEY_PAIR)?;
        x.pair(CKM_EC_MONTGOMERY_KEY_PAIR_GEN, &[Attr::bytes(CKA_EC_PARAMS, curve)], &[], &yes(&[CKA_DERIVE]))
    } else {
        x.ec(curve, &[], &yes(&[CKA_DERIVE]))
    };
    let (_, private) = pair.setup("C_GenerateKeyPair")?;
    let m = Mechanism::ecdh1(CKM_ECDH1_DERIVE, CKD_NULL, &[], point);
    Ok(Rv::of(&x.s().derive(&m, private, &derived())))
}

fn create(x: &Context, point: &[u8]) -> Called<CK_OBJECT_HANDLE> {
    let octets = [&[4, point.len() as u8][..], point].concat();
    x.s().create_object(&[
        Attr::class(CKO_PUBLIC_KEY),
        Attr::key_type(CKK_EC),
        Attr::bool(CKA_TOKEN, false),
        Attr::bytes(CKA_EC_PARAMS, P256),
        Attr::bytes(CKA_EC_POINT, octets),
    ])
}

/// With the 2048-bit MODP group of RFC 3526
fn dh(x: &Context, peer: u8) -> Outcome {
    x.need(CKM_DH_PKCS_KEY_PAIR_GEN, CKF_GENERATE_KEY_PAIR)?;
    x.need(CKM_DH_PKCS_DERIVE, CKF_DERIVE)?;
    let domain = [Attr::bytes(CKA_PRIME, MODP_2048), Attr::bytes(CKA_BASE, [2])];
    let (_, private) =
        x.pair(CKM_DH_PKCS_KEY_PAIR_GEN, &domain, &[], &yes(&[CKA_DERIVE])).setup("C_GenerateKeyPair")?;
    Ok(Rv::of(&x.s().derive(&Mechanism::bytes(CKM_DH_PKCS_DERIVE, &[peer]), private, &derived())))
}

/// The prime of RFC 3526's group 14.
const MODP_2048: [u8; 256] = *b"\
    \xff\xff\xff\xff\xff\xff\xff\xff\xc9\x0f\xda\xa2\x21\x68\xc2\x34\xc4\xc6\x62\x8b\x80\xdc\x1c\xd1\x29\x02\x4e\x08\x8a\x67\xcc\x74\
    \x02\x0b\xbe\xa6\x3b\x13\x9b\x22\x51\x4a\x08\x79\x8e\x34\x04\xdd\xef\x95\x19\xb3\xcd\x3a\x43\x1b\x30\x2b\x0a\x6d\xf2\x5f\x14\x37\
    \x4f\xe1\x35\x6d\x6d\x51\xc2\x45\xe4\x85\xb5\x76\x62\x5e\x7e\xc6\xf4\x4c\x42\xe9\xa6\x37\xed\x6b\x0b\xff\x5c\xb6\xf4\x06\xb7\xed\
    \xee\x38\x6b\xfb\x5a\x89\x9f\xa5\xae\x9f\x24\x11\x7c\x4b\x1f\xe6\x49\x28\x66\x51\xec\xe4\x5b\x3d\xc2\x00\x7c\xb8\xa1\x63\xbf\x05\
    \x98\xda\x48\x36\x1c\x55\xd3\x9a\x69\x16\x3f\xa8\xfd\x24\xcf\x5f\x83\x65\x5d\x23\xdc\xa3\xad\x96\x1c\x62\xf3\x56\x20\x85\x52\xbb\
    \x9e\xd5\x29\x07\x70\x96\x96\x6d\x67\x0c\x35\x4e\x4a\xbc\x98\x04\xf1\x74\x6c\x08\xca\x18\x21\x7c\x32\x90\x5e\x46\x2e\x36\xce\x3b\
    \xe3\x9e\x77\x2c\x18\x0e\x86\x03\x9b\x27\x83\xa2\xec\x07\xa2\x8f\xb5\xc5\x5d\xf0\x6f\x4c\x52\xc9\xde\x2b\xcb\xf6\x95\x58\x17\x18\
    \x39\x95\x49\x7c\xea\x95\x6a\xe5\x15\xd2\x26\x18\x98\xfa\x05\x10\x15\x72\x8e\x5a\x8a\xac\xaa\x68\xff\xff\xff\xff\xff\xff\xff\xff";
