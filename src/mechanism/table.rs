//! The mechanisms, a row each. Flags, C_GetMechanismInfo, C_GetMechanismList, the documentation's table and
//! the test "no row without vectors" are all computed from here.

use super::{Cipher, Derive, Generate, GeneratePair, Kem, Recover, Shape, Sign, Wrap};
use crate::crypto::Hash;
use cryptoki_sys::*;

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
    /// C_SignInit, C_VerifyInit.
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
            (self.sign.is_some(), CKF_SIGN | CKF_VERIFY),
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

/// The row of a mechanism number.
pub fn find(number: CK_MECHANISM_TYPE) -> Option<&'static Mechanism> {
    ALL.iter().flat_map(|family| family.iter()).find(|row| row.number == number)
}

/// Every row.
pub fn all() -> impl Iterator<Item = &'static Mechanism> {
    ALL.iter().flat_map(|family| family.iter())
}

static ALL: &[&[Mechanism]] = &[DIGEST, AES, DES3, MAC, GENERIC, RSA, EC, EDWARDS, ML_DSA, ML_KEM];

// ---- symmetric ----------------------------------------------------------------------------------------------

static DIGEST: &[Mechanism] = mechanisms! {};

static AES: &[Mechanism] = mechanisms! {};

static DES3: &[Mechanism] = mechanisms! {};

static MAC: &[Mechanism] = mechanisms! {};

static GENERIC: &[Mechanism] = mechanisms! {};

// ---- asymmetric ---------------------------------------------------------------------------------------------

static RSA: &[Mechanism] = mechanisms! {};

static EC: &[Mechanism] = mechanisms! {};

static EDWARDS: &[Mechanism] = mechanisms! {};

static ML_DSA: &[Mechanism] = mechanisms! {};

static ML_KEM: &[Mechanism] = mechanisms! {};
