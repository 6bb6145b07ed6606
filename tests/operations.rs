//! Running operations (sections 5.8 to 5.20): which call is allowed when, the rule for output buffers, data in parts
//! against data in one piece, input and output in one place.

#[path = "operations/buffers.rs"]
mod buffers;
mod common;
#[path = "operations/parts.rs"]
mod parts;
#[path = "operations/states.rs"]
mod states;

use coffer_pkcs11::mechanism::Shape;
use coffer_pkcs11::mechanism::table::{self, Mechanism as Row, Offer};
use common::*;
use pkcs11_conformance::client::{Attr, Mechanism, Rv, Session};

const INACTIVE: Rv = Rv(CKR_OPERATION_NOT_INITIALIZED);
const ACTIVE: Rv = Rv(CKR_OPERATION_ACTIVE);

/// A token with a key, or a pair of keys, for every type that operations take.
pub(crate) struct Keys {
    pub(crate) token: TestToken,
    keys: Vec<(CK_KEY_TYPE, CK_OBJECT_HANDLE, CK_OBJECT_HANDLE)>,
}

impl Keys {
    pub(crate) fn new() -> Keys {
        let mut keys = Keys { token: TestToken::new(), keys: Vec::new() };
        let uses = [CKA_ENCRYPT, CKA_DECRYPT, CKA_SIGN, CKA_VERIFY].map(|kind| Attr::bool(kind, true));
        for (key_type, number, len) in [
            (CKK_AES, CKM_AES_KEY_GEN, 32),
            (CKK_AES_XTS, CKM_AES_XTS_KEY_GEN, 64),
            (CKK_DES3, CKM_DES3_KEY_GEN, 0),
            (CKK_GENERIC_SECRET, CKM_GENERIC_SECRET_KEY_GEN, 64),
        ] {
            let mut template = uses.to_vec();
            template.extend((len > 0).then(|| Attr::ulong(CKA_VALUE_LEN, len)));
            let key = keys.session().generate_key(&Mechanism::new(number), &template).expect("C_GenerateKey");
            keys.keys.push((key_type, key, key));
        }
        let p256 = Attr::bytes(CKA_EC_PARAMS, [6, 8, 42, 134, 72, 206, 61, 3, 1, 7]);
        let ed25519 = Attr::bytes(CKA_EC_PARAMS, [6, 3, 43, 101, 112]);
        let rsa = [
            Attr::ulong(CKA_MODULUS_BITS, 2048),
            Attr::bool(CKA_ENCRYPT, true),
            Attr::bool(CKA_VERIFY_RECOVER, true),
            Attr::bool(CKA_VERIFY, true),
        ];
        let private = [CKA_SIGN, CKA_DECRYPT, CKA_SIGN_RECOVER].map(|kind| Attr::bool(kind, true));
        for (key_type, number, public, private) in [
            (CKK_RSA, CKM_RSA_PKCS_KEY_PAIR_GEN, &rsa[..], &private[..]),
            (CKK_EC, CKM_EC_KEY_PAIR_GEN, &[p256, Attr::bool(CKA_VERIFY, true)], &private[..1]),
            (
                CKK_EC_EDWARDS,
                CKM_EC_EDWARDS_KEY_PAIR_GEN,
                &[ed25519, Attr::bool(CKA_VERIFY, true)],
                &private[..1],
            ),
            (
                CKK_ML_DSA,
                CKM_ML_DSA_KEY_PAIR_GEN,
                &[Attr::ulong(CKA_PARAMETER_SET, CKP_ML_DSA_44), Attr::bool(CKA_VERIFY, true)],
                &private[..1],
            ),
        ] {
            let (public, private) = keys
                .session()
                .generate_key_pair(&Mechanism::new(number), public, private)
                .unwrap_or_else(|rv| panic!("C_GenerateKeyPair {number:#x}: {rv}"));
            keys.keys.push((key_type, public, private));
        }
        keys
    }

    pub(crate) fn session(&self) -> &Session {
        &self.token.session
    }

    /// The key that encrypts and verifies with a row's mechanism, and the one that decrypts and signs.
    pub(crate) fn of(&self, row: &Row) -> (CK_OBJECT_HANDLE, CK_OBJECT_HANDLE) {
        let found = self.keys.iter().find(|(key_type, ..)| row.keys.types.contains(key_type));
        let (_, public, private) = found.unwrap_or_else(|| panic!("no key for {}", row.name));
        (*public, *private)
    }
}

/// All rows of the standard profile that do what `does` says.
pub(crate) fn rows(does: impl Fn(&Row) -> bool) -> impl Iterator<Item = &'static Row> {
    table::all().filter(move |row| row.offer.includes(Offer::STANDARD) && does(row))
}

/// A row's mechanism with a parameter for data of `len` bytes; the hash of a mechanism that leaves it open is SHA-256.
pub(crate) fn mechanism(row: &Row, len: usize) -> Mechanism {
    match row.shape {
        Shape::Iv(len) => Mechanism::bytes(row.number, &vec![7; len]),
        Shape::Ctr => Mechanism::ctr(64, [7; 16]),
        Shape::Gcm | Shape::CloudGcm => Mechanism::gcm(row.number, &[7; 12], b"beside", 128),
        Shape::Ccm => Mechanism::ccm(len, &[7; 12], b"beside", 16),
        Shape::MacLength => Mechanism::ulong(row.number, 6),
        Shape::Oaep => Mechanism::oaep(CKM_SHA256, CKG_MGF1_SHA256, &[]),
        Shape::Pss => {
            let (hash, mgf) = pss_hash(row.number);
            Mechanism::pss(row.number, hash, mgf, 20)
        }
        Shape::HashSignContext => {
            Mechanism::hash_sign_context(row.number, CKH_HEDGE_PREFERRED, &[], CKM_SHA256)
        }
        _ => Mechanism::new(row.number),
    }
}

/// The hash and mask that a PSS mechanism asks for.
fn pss_hash(number: CK_MECHANISM_TYPE) -> (CK_MECHANISM_TYPE, CK_RSA_PKCS_MGF_TYPE) {
    match number {
        CKM_SHA1_RSA_PKCS_PSS => (CKM_SHA_1, CKG_MGF1_SHA1),
        CKM_SHA224_RSA_PKCS_PSS => (CKM_SHA224, CKG_MGF1_SHA224),
        CKM_SHA384_RSA_PKCS_PSS => (CKM_SHA384, CKG_MGF1_SHA384),
        CKM_SHA512_RSA_PKCS_PSS => (CKM_SHA512, CKG_MGF1_SHA512),
        CKM_SHA3_224_RSA_PKCS_PSS => (CKM_SHA3_224, CKG_MGF1_SHA3_224),
        CKM_SHA3_256_RSA_PKCS_PSS => (CKM_SHA3_256, CKG_MGF1_SHA3_256),
        CKM_SHA3_384_RSA_PKCS_PSS => (CKM_SHA3_384, CKG_MGF1_SHA3_384),
        CKM_SHA3_512_RSA_PKCS_PSS => (CKM_SHA3_512, CKG_MGF1_SHA3_512),
        _ => (CKM_SHA256, CKG_MGF1_SHA256),
    }
}

/// Bytes that are no pattern, the same in every run.
pub(crate) fn noise(len: usize) -> Vec<u8> {
    let mut dice = Dice(len as u64 + 1);
    (0..len).map(|_| dice.below(256) as u8).collect()
}

/// A small generator: the same numbers in every run.
pub(crate) struct Dice(pub u64);

impl Dice {
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % bound
    }
}
