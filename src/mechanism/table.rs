//! The mechanisms, a row each. Flags, C_GetMechanismInfo, C_GetMechanismList, the documentation's table and
//! the test "no row without vectors" are all computed from here.

use super::aes_aead::{Ccm, Gcm};
use super::aes_stream::{Stream, Xts};
use super::blocks::{Aes, Des3};
use super::kdf::{CounterKdf, Hkdf};
use super::key_wrap::{KeyWrap, Padding};
use super::mac::{Cmac, Hmac};
use super::secret::{KeyGen, MAX_LEN};
use super::vendor::*;
use super::{Cipher, Derive, Generate, GeneratePair, Kem, MessageCipher, Recover, Shape, Sign, Wrap};
use super::{ec, ecdh, edwards, ml_dsa, ml_kem, rsa};
use crate::crypto::Hash;
use crate::crypto::rsa::Primes;
use cryptoki_sys::*;
use std::sync::LazyLock;

/// The unit in which a mechanism counts its keys' sizes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    /// No key.
    None,
    /// Bytes of CKA_VALUE.
    Bytes,
    /// Bits of modulus, field or parameter set.
    Bits,
}

/// The keys a mechanism works with.
#[derive(Clone, Copy, Debug)]
pub struct Keys {
    /// CKA_KEY_TYPE may be one of these.
    pub types: &'static [CK_KEY_TYPE],
    /// ulMinKeySize of CK_MECHANISM_INFO.
    pub min: usize,
    /// ulMaxKeySize.
    pub max: usize,
    /// Of both.
    pub unit: Unit,
}

/// The profiles that offer a mechanism, as a bit set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Offer(u8);

impl Offer {
    /// `profile = "standard"` only.
    pub const STANDARD: Offer = Offer(1);
    /// `profile = "cloudhsm"` only.
    pub const CLOUDHSM: Offer = Offer(2);
    /// Both.
    pub const BOTH: Offer = Offer(3);

    /// Whether all of `other` is in it.
    pub const fn includes(self, other: Offer) -> bool {
        self.0 & other.0 == other.0
    }
}

/// A row: what a mechanism is and, for each kind of operation it can do, how.
pub struct Mechanism {
    /// CKM_*.
    pub number: CK_MECHANISM_TYPE,
    /// The name of `number`.
    pub name: &'static str,
    /// What keys it takes.
    pub keys: Keys,
    /// What parameter it takes.
    pub shape: Shape,
    /// Which profiles offer it.
    pub offer: Offer,
    /// C_DigestInit.
    pub digest: Option<Hash>,
    /// C_EncryptInit, C_DecryptInit.
    pub cipher: Option<&'static dyn Cipher>,
    /// C_MessageEncryptInit, C_MessageDecryptInit, C_WrapKeyAuthenticated.
    pub message: Option<&'static dyn MessageCipher>,
    /// C_SignInit, C_VerifyInit, C_MessageSignInit, C_MessageVerifyInit.
    pub sign: Option<&'static dyn Sign>,
    /// C_SignRecoverInit, C_VerifyRecoverInit.
    pub recover: Option<&'static dyn Recover>,
    /// C_WrapKey, C_UnwrapKey.
    pub wrap: Option<&'static dyn Wrap>,
    /// C_DeriveKey.
    pub derive: Option<&'static dyn Derive>,
    /// C_GenerateKey.
    pub generate: Option<&'static dyn Generate>,
    /// C_GenerateKeyPair.
    pub generate_pair: Option<&'static dyn GeneratePair>,
    /// C_EncapsulateKey, C_DecapsulateKey.
    pub kem: Option<&'static dyn Kem>,
}

/// Keys of no kind.
const NO_KEY: Keys = Keys { types: &[], min: 0, max: 0, unit: Unit::None };

const fn bytes(types: &'static [CK_KEY_TYPE], min: usize, max: usize) -> Keys {
    Keys { types, min, max, unit: Unit::Bytes }
}

const fn bits(types: &'static [CK_KEY_TYPE], min: usize, max: usize) -> Keys {
    Keys { types, min, max, unit: Unit::Bits }
}

/// One line a mechanism: number, keys, parameter, offer, then each operation with its behaviour.
macro_rules! mechanisms {
    ($($number:ident, $keys:expr, $shape:expr, $offer:ident, { $($operation:ident: $how:expr),* };)*) => {
        &[$(Mechanism {
            $($operation: Some($how),)*
            ..Mechanism::bare($number, stringify!($number), $keys, $shape, Offer::$offer)
        }),*]
    };
}

impl Mechanism {
    const fn bare(
        number: CK_MECHANISM_TYPE,
        name: &'static str,
        keys: Keys,
        shape: Shape,
        offer: Offer,
    ) -> Self {
        Mechanism {
            number,
            name,
            keys,
            shape,
            offer,
            digest: None,
            cipher: None,
            message: None,
            sign: None,
            recover: None,
            wrap: None,
            derive: None,
            generate: None,
            generate_pair: None,
            kem: None,
        }
    }

    /// CKF_* of CK_MECHANISM_INFO: what the filled columns say.
    pub fn flags(&self) -> CK_FLAGS {
        let columns = [
            (self.digest.is_some(), CKF_DIGEST),
            (self.cipher.is_some(), CKF_ENCRYPT | CKF_DECRYPT),
            (self.message.is_some(), CKF_MESSAGE_ENCRYPT | CKF_MESSAGE_DECRYPT | CKF_MULTI_MESSAGE),
            (self.sign.is_some(), CKF_SIGN | CKF_VERIFY | CKF_MESSAGE_SIGN | CKF_MESSAGE_VERIFY),
            (self.recover.is_some(), CKF_SIGN_RECOVER | CKF_VERIFY_RECOVER),
            (self.wrap.is_some(), CKF_WRAP | CKF_UNWRAP),
            (self.derive.is_some(), CKF_DERIVE),
            (self.generate.is_some(), CKF_GENERATE),
            (self.generate_pair.is_some(), CKF_GENERATE_KEY_PAIR),
            (self.kem.is_some(), CKF_ENCAPSULATE | CKF_DECAPSULATE),
            (
                self.keys.types.contains(&CKK_EC) && self.keys.unit == Unit::Bits,
                CKF_EC_F_P | CKF_EC_OID | CKF_EC_UNCOMPRESS,
            ),
        ];
        columns.iter().filter(|(filled, _)| *filled).fold(0, |flags, (_, flag)| flags | flag)
    }
}

/// The rows of a mechanism number: one, or one a profile where they differ in what it can do.
pub fn rows(number: CK_MECHANISM_TYPE) -> impl Iterator<Item = &'static Mechanism> {
    let first = BY_NUMBER.partition_point(|row| row.number < number);
    BY_NUMBER[first..].iter().copied().take_while(move |row| row.number == number)
}

/// Every row.
pub fn all() -> impl Iterator<Item = &'static Mechanism> {
    ALL.iter().flat_map(|family| family.iter())
}

/// Every operation begins by looking its mechanism up.
static BY_NUMBER: LazyLock<Vec<&Mechanism>> = LazyLock::new(|| {
    let mut rows: Vec<&Mechanism> = all().collect();
    rows.sort_by_key(|row| row.number);
    rows
});

static ALL: &[&[Mechanism]] = &[DIGEST, AES, KEY_WRAP, DES3, MAC, GENERIC, RSA, EC, EDWARDS, ML_DSA, ML_KEM];

// ---- symmetric ----------------------------------------------------------------------------------------------

#[rustfmt::skip]
static DIGEST: &[Mechanism] = mechanisms! {
    CKM_SHA_1, NO_KEY, Shape::None, BOTH, { digest: Hash::Sha1 };
    CKM_SHA224, NO_KEY, Shape::None, BOTH, { digest: Hash::Sha224 };
    CKM_SHA256, NO_KEY, Shape::None, BOTH, { digest: Hash::Sha256 };
    CKM_SHA384, NO_KEY, Shape::None, BOTH, { digest: Hash::Sha384 };
    CKM_SHA512, NO_KEY, Shape::None, BOTH, { digest: Hash::Sha512 };
    CKM_SHA512_224, NO_KEY, Shape::None, STANDARD, { digest: Hash::Sha512_224 };
    CKM_SHA512_256, NO_KEY, Shape::None, STANDARD, { digest: Hash::Sha512_256 };
    CKM_SHA3_224, NO_KEY, Shape::None, STANDARD, { digest: Hash::Sha3_224 };
    CKM_SHA3_256, NO_KEY, Shape::None, STANDARD, { digest: Hash::Sha3_256 };
    CKM_SHA3_384, NO_KEY, Shape::None, STANDARD, { digest: Hash::Sha3_384 };
    CKM_SHA3_512, NO_KEY, Shape::None, STANDARD, { digest: Hash::Sha3_512 };
};

const AES_KEYS: Keys = bytes(&[CKK_AES], 16, 32);
const XTS_KEYS: Keys = bytes(&[CKK_AES_XTS], 32, 64);

#[rustfmt::skip]
static AES: &[Mechanism] = mechanisms! {
    CKM_AES_KEY_GEN, AES_KEYS, Shape::None, BOTH, { generate: &KeyGen::AES };
    CKM_AES_ECB, AES_KEYS, Shape::None, BOTH, { cipher: &Aes::ECB };
    CKM_AES_CBC, AES_KEYS, Shape::Iv(16), BOTH, { cipher: &Aes::CBC };
    CKM_AES_CBC_PAD, AES_KEYS, Shape::Iv(16), STANDARD, { cipher: &Aes::CBC_PAD, wrap: &Aes::CBC_PAD };
    CKM_AES_CBC_PAD, AES_KEYS, Shape::Iv(16), CLOUDHSM, { cipher: &Aes::CBC_PAD };
    CKM_AES_CTR, AES_KEYS, Shape::Ctr, BOTH, { cipher: &Stream::Ctr };
    CKM_AES_OFB, AES_KEYS, Shape::Iv(16), STANDARD, { cipher: &Stream::Ofb };
    CKM_AES_CFB128, AES_KEYS, Shape::Iv(16), STANDARD, { cipher: &Stream::Cfb128 };
    CKM_AES_CFB8, AES_KEYS, Shape::Iv(16), STANDARD, { cipher: &Stream::Cfb8 };
    CKM_AES_GCM, AES_KEYS, Shape::Gcm, BOTH, { cipher: &Gcm { prefixed: false }, message: &Gcm { prefixed: false }, wrap: &Gcm { prefixed: false } };
    CKM_CLOUDHSM_AES_GCM, AES_KEYS, Shape::CloudGcm, BOTH, { cipher: &Gcm { prefixed: true }, wrap: &Gcm { prefixed: true } };
    CKM_AES_CCM, AES_KEYS, Shape::Ccm, STANDARD, { cipher: &Ccm, wrap: &Ccm };
    CKM_AES_XTS_KEY_GEN, XTS_KEYS, Shape::None, STANDARD, { generate: &KeyGen::XTS };
    CKM_AES_XTS, XTS_KEYS, Shape::Iv(16), STANDARD, { cipher: &Xts };
};

const KW: KeyWrap = KeyWrap { padding: Padding::Zeros, free_iv: true };
const KWP: KeyWrap = KeyWrap { padding: Padding::Length, free_iv: false };
const KW_PKCS7: KeyWrap = KeyWrap { padding: Padding::Pkcs7, free_iv: true };
const CLOUD_KW: KeyWrap = KeyWrap { padding: Padding::None, free_iv: false };
const CLOUD_KW_PKCS5: KeyWrap = KeyWrap { padding: Padding::Pkcs7, free_iv: false };

#[rustfmt::skip]
static KEY_WRAP: &[Mechanism] = mechanisms! {
    CKM_AES_KEY_WRAP, AES_KEYS, Shape::OptionalIv(8), STANDARD, { cipher: &KW, wrap: &KW };
    CKM_AES_KEY_WRAP_PAD, AES_KEYS, Shape::None, STANDARD, { cipher: &KWP, wrap: &KWP };
    CKM_AES_KEY_WRAP_KWP, AES_KEYS, Shape::OptionalIv(4), STANDARD, { cipher: &KWP, wrap: &KWP };
    CKM_AES_KEY_WRAP_PKCS7, AES_KEYS, Shape::OptionalIv(8), STANDARD, { cipher: &KW_PKCS7, wrap: &KW_PKCS7 };
    CKM_CLOUDHSM_AES_KEY_WRAP_NO_PAD, AES_KEYS, Shape::OptionalIv(8), BOTH, { wrap: &CLOUD_KW };
    CKM_CLOUDHSM_AES_KEY_WRAP_PKCS5_PAD, AES_KEYS, Shape::OptionalIv(8), BOTH, { wrap: &CLOUD_KW_PKCS5 };
    CKM_CLOUDHSM_AES_KEY_WRAP_ZERO_PAD, AES_KEYS, Shape::None, BOTH, { wrap: &KWP };
};

const DES2_KEYS: Keys = bytes(&[CKK_DES2], 16, 16);
const DES3_KEYS: Keys = bytes(&[CKK_DES3], 24, 24);
const TDEA_KEYS: Keys = bytes(&[CKK_DES2, CKK_DES3], 16, 24);

#[rustfmt::skip]
static DES3: &[Mechanism] = mechanisms! {
    CKM_DES2_KEY_GEN, DES2_KEYS, Shape::None, STANDARD, { generate: &KeyGen::DES2 };
    CKM_DES3_KEY_GEN, DES3_KEYS, Shape::None, BOTH, { generate: &KeyGen::DES3 };
    CKM_DES3_ECB, TDEA_KEYS, Shape::None, BOTH, { cipher: &Des3::ECB };
    CKM_DES3_CBC, TDEA_KEYS, Shape::Iv(8), BOTH, { cipher: &Des3::CBC };
    CKM_DES3_CBC_PAD, TDEA_KEYS, Shape::Iv(8), STANDARD, { cipher: &Des3::CBC_PAD, wrap: &Des3::CBC_PAD };
    CKM_DES3_CBC_PAD, TDEA_KEYS, Shape::Iv(8), CLOUDHSM, { cipher: &Des3::CBC_PAD };
};

const fn hmac(key_type: &'static [CK_KEY_TYPE; 2]) -> Keys {
    bytes(key_type, 1, MAX_LEN)
}

#[rustfmt::skip]
static MAC: &[Mechanism] = mechanisms! {
    CKM_AES_CMAC, AES_KEYS, Shape::None, BOTH, { sign: &Cmac::AES };
    CKM_AES_CMAC_GENERAL, AES_KEYS, Shape::MacLength, STANDARD, { sign: &Cmac::AES };
    CKM_DES3_CMAC, TDEA_KEYS, Shape::None, STANDARD, { sign: &Cmac::DES3 };
    CKM_DES3_CMAC_GENERAL, TDEA_KEYS, Shape::MacLength, STANDARD, { sign: &Cmac::DES3 };
    CKM_SHA_1_HMAC, hmac(&[CKK_GENERIC_SECRET, CKK_SHA_1_HMAC]), Shape::None, BOTH, { sign: &Hmac(Hash::Sha1) };
    CKM_SHA_1_HMAC_GENERAL, hmac(&[CKK_GENERIC_SECRET, CKK_SHA_1_HMAC]), Shape::MacLength, STANDARD, { sign: &Hmac(Hash::Sha1) };
    CKM_SHA224_HMAC, hmac(&[CKK_GENERIC_SECRET, CKK_SHA224_HMAC]), Shape::None, BOTH, { sign: &Hmac(Hash::Sha224) };
    CKM_SHA224_HMAC_GENERAL, hmac(&[CKK_GENERIC_SECRET, CKK_SHA224_HMAC]), Shape::MacLength, STANDARD, { sign: &Hmac(Hash::Sha224) };
    CKM_SHA256_HMAC, hmac(&[CKK_GENERIC_SECRET, CKK_SHA256_HMAC]), Shape::None, BOTH, { sign: &Hmac(Hash::Sha256) };
    CKM_SHA256_HMAC_GENERAL, hmac(&[CKK_GENERIC_SECRET, CKK_SHA256_HMAC]), Shape::MacLength, STANDARD, { sign: &Hmac(Hash::Sha256) };
    CKM_SHA384_HMAC, hmac(&[CKK_GENERIC_SECRET, CKK_SHA384_HMAC]), Shape::None, BOTH, { sign: &Hmac(Hash::Sha384) };
    CKM_SHA384_HMAC_GENERAL, hmac(&[CKK_GENERIC_SECRET, CKK_SHA384_HMAC]), Shape::MacLength, STANDARD, { sign: &Hmac(Hash::Sha384) };
    CKM_SHA512_HMAC, hmac(&[CKK_GENERIC_SECRET, CKK_SHA512_HMAC]), Shape::None, BOTH, { sign: &Hmac(Hash::Sha512) };
    CKM_SHA512_HMAC_GENERAL, hmac(&[CKK_GENERIC_SECRET, CKK_SHA512_HMAC]), Shape::MacLength, STANDARD, { sign: &Hmac(Hash::Sha512) };
    CKM_SHA512_224_HMAC, hmac(&[CKK_GENERIC_SECRET, CKK_SHA512_224_HMAC]), Shape::None, STANDARD, { sign: &Hmac(Hash::Sha512_224) };
    CKM_SHA512_224_HMAC_GENERAL, hmac(&[CKK_GENERIC_SECRET, CKK_SHA512_224_HMAC]), Shape::MacLength, STANDARD, { sign: &Hmac(Hash::Sha512_224) };
    CKM_SHA512_256_HMAC, hmac(&[CKK_GENERIC_SECRET, CKK_SHA512_256_HMAC]), Shape::None, STANDARD, { sign: &Hmac(Hash::Sha512_256) };
    CKM_SHA512_256_HMAC_GENERAL, hmac(&[CKK_GENERIC_SECRET, CKK_SHA512_256_HMAC]), Shape::MacLength, STANDARD, { sign: &Hmac(Hash::Sha512_256) };
    CKM_SHA3_224_HMAC, hmac(&[CKK_GENERIC_SECRET, CKK_SHA3_224_HMAC]), Shape::None, STANDARD, { sign: &Hmac(Hash::Sha3_224) };
    CKM_SHA3_224_HMAC_GENERAL, hmac(&[CKK_GENERIC_SECRET, CKK_SHA3_224_HMAC]), Shape::MacLength, STANDARD, { sign: &Hmac(Hash::Sha3_224) };
    CKM_SHA3_256_HMAC, hmac(&[CKK_GENERIC_SECRET, CKK_SHA3_256_HMAC]), Shape::None, STANDARD, { sign: &Hmac(Hash::Sha3_256) };
    CKM_SHA3_256_HMAC_GENERAL, hmac(&[CKK_GENERIC_SECRET, CKK_SHA3_256_HMAC]), Shape::MacLength, STANDARD, { sign: &Hmac(Hash::Sha3_256) };
    CKM_SHA3_384_HMAC, hmac(&[CKK_GENERIC_SECRET, CKK_SHA3_384_HMAC]), Shape::None, STANDARD, { sign: &Hmac(Hash::Sha3_384) };
    CKM_SHA3_384_HMAC_GENERAL, hmac(&[CKK_GENERIC_SECRET, CKK_SHA3_384_HMAC]), Shape::MacLength, STANDARD, { sign: &Hmac(Hash::Sha3_384) };
    CKM_SHA3_512_HMAC, hmac(&[CKK_GENERIC_SECRET, CKK_SHA3_512_HMAC]), Shape::None, STANDARD, { sign: &Hmac(Hash::Sha3_512) };
    CKM_SHA3_512_HMAC_GENERAL, hmac(&[CKK_GENERIC_SECRET, CKK_SHA3_512_HMAC]), Shape::MacLength, STANDARD, { sign: &Hmac(Hash::Sha3_512) };
    CKM_SHA_1_KEY_GEN, bytes(&[CKK_SHA_1_HMAC], 1, MAX_LEN), Shape::None, STANDARD, { generate: &KeyGen::any(CKK_SHA_1_HMAC) };
    CKM_SHA224_KEY_GEN, bytes(&[CKK_SHA224_HMAC], 1, MAX_LEN), Shape::None, STANDARD, { generate: &KeyGen::any(CKK_SHA224_HMAC) };
    CKM_SHA256_KEY_GEN, bytes(&[CKK_SHA256_HMAC], 1, MAX_LEN), Shape::None, STANDARD, { generate: &KeyGen::any(CKK_SHA256_HMAC) };
    CKM_SHA384_KEY_GEN, bytes(&[CKK_SHA384_HMAC], 1, MAX_LEN), Shape::None, STANDARD, { generate: &KeyGen::any(CKK_SHA384_HMAC) };
    CKM_SHA512_KEY_GEN, bytes(&[CKK_SHA512_HMAC], 1, MAX_LEN), Shape::None, STANDARD, { generate: &KeyGen::any(CKK_SHA512_HMAC) };
    CKM_SHA512_224_KEY_GEN, bytes(&[CKK_SHA512_224_HMAC], 1, MAX_LEN), Shape::None, STANDARD, { generate: &KeyGen::any(CKK_SHA512_224_HMAC) };
    CKM_SHA512_256_KEY_GEN, bytes(&[CKK_SHA512_256_HMAC], 1, MAX_LEN), Shape::None, STANDARD, { generate: &KeyGen::any(CKK_SHA512_256_HMAC) };
    CKM_SHA3_224_KEY_GEN, bytes(&[CKK_SHA3_224_HMAC], 1, MAX_LEN), Shape::None, STANDARD, { generate: &KeyGen::any(CKK_SHA3_224_HMAC) };
    CKM_SHA3_256_KEY_GEN, bytes(&[CKK_SHA3_256_HMAC], 1, MAX_LEN), Shape::None, STANDARD, { generate: &KeyGen::any(CKK_SHA3_256_HMAC) };
    CKM_SHA3_384_KEY_GEN, bytes(&[CKK_SHA3_384_HMAC], 1, MAX_LEN), Shape::None, STANDARD, { generate: &KeyGen::any(CKK_SHA3_384_HMAC) };
    CKM_SHA3_512_KEY_GEN, bytes(&[CKK_SHA3_512_HMAC], 1, MAX_LEN), Shape::None, STANDARD, { generate: &KeyGen::any(CKK_SHA3_512_HMAC) };
};

/// Section 6.8.3 counts these in bits.
const GENERIC_KEYS: Keys = bits(&[CKK_GENERIC_SECRET], 8, 8 * MAX_LEN);
const HKDF_KEYS: Keys = bytes(&[CKK_HKDF, CKK_GENERIC_SECRET], 1, MAX_LEN);
const HKDF_GENERATED: Keys = bytes(&[CKK_HKDF], 1, MAX_LEN);
const PRF_KEYS: Keys = bytes(
    &[
        CKK_GENERIC_SECRET,
        CKK_AES,
        CKK_DES2,
        CKK_DES3,
        CKK_HKDF,
        CKK_SHA_1_HMAC,
        CKK_SHA224_HMAC,
        CKK_SHA256_HMAC,
        CKK_SHA384_HMAC,
        CKK_SHA512_HMAC,
        CKK_SHA512_224_HMAC,
        CKK_SHA512_256_HMAC,
        CKK_SHA3_224_HMAC,
        CKK_SHA3_256_HMAC,
        CKK_SHA3_384_HMAC,
        CKK_SHA3_512_HMAC,
    ],
    1,
    MAX_LEN,
);

#[rustfmt::skip]
static GENERIC: &[Mechanism] = mechanisms! {
    CKM_GENERIC_SECRET_KEY_GEN, GENERIC_KEYS, Shape::None, BOTH, { generate: &KeyGen::any(CKK_GENERIC_SECRET) };
    CKM_HKDF_KEY_GEN, HKDF_GENERATED, Shape::None, STANDARD, { generate: &KeyGen::any(CKK_HKDF) };
    CKM_HKDF_DERIVE, HKDF_KEYS, Shape::Hkdf, STANDARD, { derive: &Hkdf { data: false } };
    CKM_HKDF_DATA, HKDF_KEYS, Shape::Hkdf, STANDARD, { derive: &Hkdf { data: true } };
    CKM_SP800_108_COUNTER_KDF, PRF_KEYS, Shape::Counter, STANDARD, { derive: &CounterKdf };
    CKM_CLOUDHSM_SP800_108_COUNTER_KDF, PRF_KEYS, Shape::CloudCounter, BOTH, { derive: &CounterKdf };
};

// ---- asymmetric ---------------------------------------------------------------------------------------------

const RSA_GENERATED: Keys = bits(&[CKK_RSA], 2048, 8192);
const RSA_KEYS: Keys = bits(&[CKK_RSA], 1024, 16384);

#[rustfmt::skip]
static RSA: &[Mechanism] = mechanisms! {
    CKM_RSA_PKCS_KEY_PAIR_GEN, RSA_GENERATED, Shape::None, BOTH, { generate_pair: &rsa::KeyPairGen(Primes::Random) };
    CKM_RSA_X9_31_KEY_PAIR_GEN, RSA_GENERATED, Shape::None, BOTH, { generate_pair: &rsa::KeyPairGen(Primes::Conditioned) };
    CKM_RSA_PKCS, RSA_KEYS, Shape::None, STANDARD, { cipher: &rsa::Pkcs1, sign: &rsa::SignPkcs1(None), recover: &rsa::Pkcs1, wrap: &rsa::Pkcs1 };
    CKM_RSA_X_509, RSA_KEYS, Shape::None, STANDARD, { cipher: &rsa::Raw, sign: &rsa::RawSign, recover: &rsa::Raw, wrap: &rsa::Raw };
    CKM_RSA_PKCS, RSA_KEYS, Shape::None, CLOUDHSM, { cipher: &rsa::Pkcs1, sign: &rsa::SignPkcs1(None), wrap: &rsa::Pkcs1 };
    CKM_RSA_X_509, RSA_KEYS, Shape::None, CLOUDHSM, { cipher: &rsa::Raw, sign: &rsa::RawSign };
    CKM_RSA_PKCS_OAEP, RSA_KEYS, Shape::Oaep, BOTH, { cipher: &rsa::Oaep, wrap: &rsa::Oaep };
    CKM_RSA_AES_KEY_WRAP, RSA_KEYS, Shape::RsaAesWrap, BOTH, { wrap: &rsa::AesWrap };
    CKM_SHA1_RSA_PKCS, RSA_KEYS, Shape::None, BOTH, { sign: &rsa::SignPkcs1(Some(Hash::Sha1)) };
    CKM_SHA224_RSA_PKCS, RSA_KEYS, Shape::None, BOTH, { sign: &rsa::SignPkcs1(Some(Hash::Sha224)) };
    CKM_SHA256_RSA_PKCS, RSA_KEYS, Shape::None, BOTH, { sign: &rsa::SignPkcs1(Some(Hash::Sha256)) };
    CKM_SHA384_RSA_PKCS, RSA_KEYS, Shape::None, BOTH, { sign: &rsa::SignPkcs1(Some(Hash::Sha384)) };
    CKM_SHA512_RSA_PKCS, RSA_KEYS, Shape::None, BOTH, { sign: &rsa::SignPkcs1(Some(Hash::Sha512)) };
    CKM_SHA3_224_RSA_PKCS, RSA_KEYS, Shape::None, STANDARD, { sign: &rsa::SignPkcs1(Some(Hash::Sha3_224)) };
    CKM_SHA3_256_RSA_PKCS, RSA_KEYS, Shape::None, STANDARD, { sign: &rsa::SignPkcs1(Some(Hash::Sha3_256)) };
    CKM_SHA3_384_RSA_PKCS, RSA_KEYS, Shape::None, STANDARD, { sign: &rsa::SignPkcs1(Some(Hash::Sha3_384)) };
    CKM_SHA3_512_RSA_PKCS, RSA_KEYS, Shape::None, STANDARD, { sign: &rsa::SignPkcs1(Some(Hash::Sha3_512)) };
    CKM_RSA_PKCS_PSS, RSA_KEYS, Shape::Pss, BOTH, { sign: &rsa::Pss(None) };
    CKM_SHA1_RSA_PKCS_PSS, RSA_KEYS, Shape::Pss, BOTH, { sign: &rsa::Pss(Some(Hash::Sha1)) };
    CKM_SHA224_RSA_PKCS_PSS, RSA_KEYS, Shape::Pss, BOTH, { sign: &rsa::Pss(Some(Hash::Sha224)) };
    CKM_SHA256_RSA_PKCS_PSS, RSA_KEYS, Shape::Pss, BOTH, { sign: &rsa::Pss(Some(Hash::Sha256)) };
    CKM_SHA384_RSA_PKCS_PSS, RSA_KEYS, Shape::Pss, BOTH, { sign: &rsa::Pss(Some(Hash::Sha384)) };
    CKM_SHA512_RSA_PKCS_PSS, RSA_KEYS, Shape::Pss, BOTH, { sign: &rsa::Pss(Some(Hash::Sha512)) };
    CKM_SHA3_224_RSA_PKCS_PSS, RSA_KEYS, Shape::Pss, STANDARD, { sign: &rsa::Pss(Some(Hash::Sha3_224)) };
    CKM_SHA3_256_RSA_PKCS_PSS, RSA_KEYS, Shape::Pss, STANDARD, { sign: &rsa::Pss(Some(Hash::Sha3_256)) };
    CKM_SHA3_384_RSA_PKCS_PSS, RSA_KEYS, Shape::Pss, STANDARD, { sign: &rsa::Pss(Some(Hash::Sha3_384)) };
    CKM_SHA3_512_RSA_PKCS_PSS, RSA_KEYS, Shape::Pss, STANDARD, { sign: &rsa::Pss(Some(Hash::Sha3_512)) };
};

const EC_KEYS: Keys = bits(&[CKK_EC], 224, 521);
const ECDH_KEYS: Keys = bits(&[CKK_EC, CKK_EC_MONTGOMERY], 224, 521);

#[rustfmt::skip]
static EC: &[Mechanism] = mechanisms! {
    CKM_EC_KEY_PAIR_GEN, EC_KEYS, Shape::None, BOTH, { generate_pair: &ec::KeyPairGen };
    CKM_ECDSA, EC_KEYS, Shape::None, BOTH, { sign: &ec::Ecdsa(None) };
    CKM_ECDSA_SHA1, EC_KEYS, Shape::None, BOTH, { sign: &ec::Ecdsa(Some(Hash::Sha1)) };
    CKM_ECDSA_SHA224, EC_KEYS, Shape::None, BOTH, { sign: &ec::Ecdsa(Some(Hash::Sha224)) };
    CKM_ECDSA_SHA256, EC_KEYS, Shape::None, BOTH, { sign: &ec::Ecdsa(Some(Hash::Sha256)) };
    CKM_ECDSA_SHA384, EC_KEYS, Shape::None, BOTH, { sign: &ec::Ecdsa(Some(Hash::Sha384)) };
    CKM_ECDSA_SHA512, EC_KEYS, Shape::None, BOTH, { sign: &ec::Ecdsa(Some(Hash::Sha512)) };
    CKM_ECDSA_SHA3_224, EC_KEYS, Shape::None, STANDARD, { sign: &ec::Ecdsa(Some(Hash::Sha3_224)) };
    CKM_ECDSA_SHA3_256, EC_KEYS, Shape::None, STANDARD, { sign: &ec::Ecdsa(Some(Hash::Sha3_256)) };
    CKM_ECDSA_SHA3_384, EC_KEYS, Shape::None, STANDARD, { sign: &ec::Ecdsa(Some(Hash::Sha3_384)) };
    CKM_ECDSA_SHA3_512, EC_KEYS, Shape::None, STANDARD, { sign: &ec::Ecdsa(Some(Hash::Sha3_512)) };
    CKM_ECDH1_DERIVE, ECDH_KEYS, Shape::Ecdh, BOTH, { derive: &ecdh::Ecdh };
    CKM_ECDH1_COFACTOR_DERIVE, ECDH_KEYS, Shape::Ecdh, STANDARD, { derive: &ecdh::Ecdh };
};

const EDWARDS_KEYS: Keys = bits(&[CKK_EC_EDWARDS], 255, 255);
const MONTGOMERY_KEYS: Keys = bits(&[CKK_EC_MONTGOMERY], 255, 255);

#[rustfmt::skip]
static EDWARDS: &[Mechanism] = mechanisms! {
    CKM_EC_EDWARDS_KEY_PAIR_GEN, EDWARDS_KEYS, Shape::None, STANDARD, { generate_pair: &edwards::EdwardsKeyPairGen };
    CKM_EDDSA, EDWARDS_KEYS, Shape::EdDsa, STANDARD, { sign: &edwards::EdDsa };
    CKM_CLOUDHSM_EDDSA, EDWARDS_KEYS, Shape::EdDsa, BOTH, { sign: &edwards::EdDsa };
    CKM_EC_MONTGOMERY_KEY_PAIR_GEN, MONTGOMERY_KEYS, Shape::None, STANDARD, { generate_pair: &edwards::MontgomeryKeyPairGen };
};

const ML_DSA_KEYS: Keys = bytes(&[CKK_ML_DSA], 1312, 2592);

#[rustfmt::skip]
static ML_DSA: &[Mechanism] = mechanisms! {
    CKM_ML_DSA_KEY_PAIR_GEN, ML_DSA_KEYS, Shape::None, STANDARD, { generate_pair: &ml_dsa::Keys };
    CKM_ML_DSA, ML_DSA_KEYS, Shape::SignContext, STANDARD, { sign: &ml_dsa::MlDsa };
    CKM_CLOUDHSM_ML_DSA_KEY_PAIR_GEN, ML_DSA_KEYS, Shape::None, BOTH, { generate_pair: &ml_dsa::Keys };
    CKM_CLOUDHSM_ML_DSA, ML_DSA_KEYS, Shape::SignContext, BOTH, { sign: &ml_dsa::MlDsa };
    CKM_CLOUDHSM_EXT_MU_ML_DSA, ML_DSA_KEYS, Shape::None, BOTH, { sign: &ml_dsa::ExternalMu };
    CKM_HASH_ML_DSA, ML_DSA_KEYS, Shape::HashSignContext, STANDARD, { sign: &ml_dsa::HashMlDsa(None) };
    CKM_HASH_ML_DSA_SHA224, ML_DSA_KEYS, Shape::SignContext, STANDARD, { sign: &ml_dsa::HashMlDsa(Some(Hash::Sha224)) };
    CKM_HASH_ML_DSA_SHA256, ML_DSA_KEYS, Shape::SignContext, STANDARD, { sign: &ml_dsa::HashMlDsa(Some(Hash::Sha256)) };
    CKM_HASH_ML_DSA_SHA384, ML_DSA_KEYS, Shape::SignContext, STANDARD, { sign: &ml_dsa::HashMlDsa(Some(Hash::Sha384)) };
    CKM_HASH_ML_DSA_SHA512, ML_DSA_KEYS, Shape::SignContext, STANDARD, { sign: &ml_dsa::HashMlDsa(Some(Hash::Sha512)) };
    CKM_HASH_ML_DSA_SHA3_224, ML_DSA_KEYS, Shape::SignContext, STANDARD, { sign: &ml_dsa::HashMlDsa(Some(Hash::Sha3_224)) };
    CKM_HASH_ML_DSA_SHA3_256, ML_DSA_KEYS, Shape::SignContext, STANDARD, { sign: &ml_dsa::HashMlDsa(Some(Hash::Sha3_256)) };
    CKM_HASH_ML_DSA_SHA3_384, ML_DSA_KEYS, Shape::SignContext, STANDARD, { sign: &ml_dsa::HashMlDsa(Some(Hash::Sha3_384)) };
    CKM_HASH_ML_DSA_SHA3_512, ML_DSA_KEYS, Shape::SignContext, STANDARD, { sign: &ml_dsa::HashMlDsa(Some(Hash::Sha3_512)) };
};

const ML_KEM_KEYS: Keys = bytes(&[CKK_ML_KEM], 800, 1568);

#[rustfmt::skip]
static ML_KEM: &[Mechanism] = mechanisms! {
    CKM_ML_KEM_KEY_PAIR_GEN, ML_KEM_KEYS, Shape::None, STANDARD, { generate_pair: &ml_kem::Keys };
    CKM_ML_KEM, ML_KEM_KEYS, Shape::None, STANDARD, { kem: &ml_kem::MlKem };
    CKM_COFFER_ML_KEM_KEY_PAIR_GEN, ML_KEM_KEYS, Shape::None, STANDARD, { generate_pair: &ml_kem::Keys };
    CKM_COFFER_ML_KEM, ML_KEM_KEYS, Shape::Kem, STANDARD, { derive: &ml_kem::MlKem };
};

#[cfg(test)]
mod tests {
    use super::super::key;
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_row_can_do_something_once() {
        let mut offers = HashSet::new();
        for row in all() {
            for profile in [Offer::STANDARD, Offer::CLOUDHSM] {
                let first = !row.offer.includes(profile) || offers.insert((row.number, profile.0));
                assert!(first, "{} stands twice", row.name);
            }
            assert_ne!(row.flags(), 0, "{} can do nothing", row.name);
            assert!(row.keys.min <= row.keys.max, "{}", row.name);
            assert!(rows(row.number).any(|found| std::ptr::eq(found, row)));
            assert_eq!(row.keys.types.is_empty(), row.digest.is_some(), "{}", row.name);
        }
        assert_eq!(rows(CKM_VENDOR_DEFINED).count(), 0);
    }

    #[test]
    fn every_key_type_has_its_row() {
        for row in all() {
            for &key_type in row.keys.types {
                let known = [CKO_SECRET_KEY, CKO_PUBLIC_KEY].map(|class| key::kind(class, key_type).is_ok());
                assert!(known.contains(&true), "{}: {key_type:#x}", row.name);
            }
            if let Some(generate) = row.generate {
                assert!(row.keys.types.contains(&generate.key_type()), "{}", row.name);
            }
        }
    }
}
