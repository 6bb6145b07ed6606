//! The attributes: number, name and kind, each once.

use cryptoki_sys::*;
use std::fmt;

/// An attribute's number (CK_ATTRIBUTE_TYPE).
pub type AttributeType = CK_ATTRIBUTE_TYPE;

/// What an attribute's value is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// CK_BBOOL.
    Bool,
    /// CK_ULONG or one of its aliases.
    Ulong,
    /// Any bytes.
    Bytes,
    /// A big integer: unsigned, most significant byte first, leading zeros allowed and dropped.
    Integer,
    /// RFC 2279 string, not terminated.
    Text,
    /// CK_DATE: eight digits, or empty.
    Date,
    /// An array of CK_MECHANISM_TYPE.
    Mechanisms,
    /// An array of CK_ATTRIBUTE.
    Template,
}

/// How many users must approve what is done to a key: wrapping, sharing, changing it (include/coffer.h).
pub const CKA_COFFER_MANAGE_QUORUM: AttributeType = CKA_VENDOR_DEFINED | 0x434F_4601;
/// How many users must approve each use of a key.
pub const CKA_COFFER_USE_QUORUM: AttributeType = CKA_VENDOR_DEFINED | 0x434F_4602;

macro_rules! attributes {
    ($($name:ident $kind:ident;)*) => {
        /// The kind of an attribute's value; `None` for numbers the module does not know.
        pub const fn kind(attribute: AttributeType) -> Option<Kind> {
            match attribute {
                $($name => Some(Kind::$kind),)*
                _ => None,
            }
        }

        const fn known_name(attribute: AttributeType) -> Option<&'static str> {
            match attribute {
                $($name => Some(stringify!($name)),)*
                _ => None,
            }
        }

        /// Every attribute the module knows.
        pub const ALL: &[AttributeType] = &[$($name),*];
    };
}

attributes! {
    CKA_CLASS Ulong;
    CKA_TOKEN Bool;
    CKA_PRIVATE Bool;
    CKA_LABEL Text;
    CKA_UNIQUE_ID Text;
    CKA_APPLICATION Text;
    CKA_VALUE Bytes;
    CKA_OBJECT_ID Bytes;

    CKA_CERTIFICATE_TYPE Ulong;
    CKA_ISSUER Bytes;
    CKA_SERIAL_NUMBER Bytes;
    CKA_AC_ISSUER Bytes;
    CKA_OWNER Bytes;
    CKA_ATTR_TYPES Bytes;
    CKA_TRUSTED Bool;
    CKA_CERTIFICATE_CATEGORY Ulong;
    CKA_JAVA_MIDP_SECURITY_DOMAIN Ulong;
    CKA_URL Text;
    CKA_HASH_OF_SUBJECT_PUBLIC_KEY Bytes;
    CKA_HASH_OF_ISSUER_PUBLIC_KEY Bytes;
    CKA_NAME_HASH_ALGORITHM Ulong;
    CKA_CHECK_VALUE Bytes;

    CKA_KEY_TYPE Ulong;
    CKA_SUBJECT Bytes;
    CKA_ID Bytes;
    CKA_SENSITIVE Bool;
    CKA_ENCRYPT Bool;
    CKA_DECRYPT Bool;
    CKA_WRAP Bool;
    CKA_UNWRAP Bool;
    CKA_SIGN Bool;
    CKA_SIGN_RECOVER Bool;
    CKA_VERIFY Bool;
    CKA_VERIFY_RECOVER Bool;
    CKA_DERIVE Bool;
    CKA_ENCAPSULATE Bool;
    CKA_DECAPSULATE Bool;
    CKA_START_DATE Date;
    CKA_END_DATE Date;

    CKA_MODULUS Integer;
    CKA_MODULUS_BITS Ulong;
    CKA_PUBLIC_EXPONENT Integer;
    CKA_PRIVATE_EXPONENT Integer;
    CKA_PRIME_1 Integer;
    CKA_PRIME_2 Integer;
    CKA_EXPONENT_1 Integer;
    CKA_EXPONENT_2 Integer;
    CKA_COEFFICIENT Integer;
    CKA_PUBLIC_KEY_INFO Bytes;

    CKA_PRIME Integer;
    CKA_SUBPRIME Integer;
    CKA_BASE Integer;
    CKA_PRIME_BITS Ulong;
    CKA_SUBPRIME_BITS Ulong;
    CKA_VALUE_BITS Ulong;
    CKA_VALUE_LEN Ulong;
    CKA_EXTRACTABLE Bool;
    CKA_LOCAL Bool;
    CKA_NEVER_EXTRACTABLE Bool;
    CKA_ALWAYS_SENSITIVE Bool;
    CKA_KEY_GEN_MECHANISM Ulong;
    CKA_MODIFIABLE Bool;
    CKA_COPYABLE Bool;
    CKA_DESTROYABLE Bool;

    CKA_EC_PARAMS Bytes;
    CKA_EC_POINT Bytes;
    CKA_ALWAYS_AUTHENTICATE Bool;
    CKA_WRAP_WITH_TRUSTED Bool;
    CKA_WRAP_TEMPLATE Template;
    CKA_UNWRAP_TEMPLATE Template;
    CKA_DERIVE_TEMPLATE Template;
    CKA_ENCAPSULATE_TEMPLATE Template;
    CKA_DECAPSULATE_TEMPLATE Template;
    CKA_ALLOWED_MECHANISMS Mechanisms;

    CKA_PARAMETER_SET Ulong;
    CKA_SEED Bytes;

    CKA_HW_FEATURE_TYPE Ulong;
    CKA_RESET_ON_INIT Bool;
    CKA_HAS_RESET Bool;
    CKA_MECHANISM_TYPE Ulong;
    CKA_PROFILE_ID Ulong;

    CKA_OBJECT_VALIDATION_FLAGS Ulong;
    CKA_VALIDATION_TYPE Ulong;
    CKA_VALIDATION_VERSION Bytes;
    CKA_VALIDATION_LEVEL Ulong;
    CKA_VALIDATION_MODULE_ID Text;
    CKA_VALIDATION_FLAG Ulong;
    CKA_VALIDATION_AUTHORITY_TYPE Ulong;
    CKA_VALIDATION_COUNTRY Text;
    CKA_VALIDATION_CERTIFICATE_IDENTIFIER Text;
    CKA_VALIDATION_CERTIFICATE_URI Text;
    CKA_VALIDATION_VENDOR_URI Text;
    CKA_VALIDATION_PROFILE Text;

    CKA_COFFER_MANAGE_QUORUM Ulong;
    CKA_COFFER_USE_QUORUM Ulong;
}

/// Below it are the numbers of nearly all attributes: those have tables.
const LOW: usize = 0x640;

const NOWHERE: u8 = u8::MAX;

/// The place of each attribute in `list`, by its number.
const fn places(list: &[AttributeType]) -> [u8; LOW] {
    assert!(list.len() < NOWHERE as usize);
    let (mut places, mut at) = ([NOWHERE; LOW], 0);
    while at < list.len() {
        if (list[at] as usize) < LOW {
            places[list[at] as usize] = at as u8;
        }
        at += 1;
    }
    places
}

/// An attribute's place in [`ALL`]; `None` for numbers the module does not know.
#[inline]
pub fn place(attribute: AttributeType) -> Option<usize> {
    static PLACES: [u8; LOW] = places(ALL);
    match PLACES.get(attribute as usize) {
        Some(&NOWHERE) => None,
        Some(place) => Some(usize::from(*place)),
        None => ALL.iter().position(|known| *known == attribute),
    }
}

const fn is_flag(attribute: AttributeType) -> bool {
    matches!(kind(attribute), Some(Kind::Bool))
}

const MANY_FLAGS: usize = {
    let (mut many, mut at) = (0, 0);
    while at < ALL.len() {
        many += is_flag(ALL[at]) as usize;
        at += 1;
    }
    many
};

/// The Boolean attributes, in ascending order.
pub(super) static FLAGS: [AttributeType; MANY_FLAGS] = {
    let (mut flags, mut many, mut number) = ([0; MANY_FLAGS], 0, 0);
    while number < LOW as AttributeType {
        if is_flag(number) {
            flags[many] = number;
            many += 1;
        }
        number += 1;
    }
    assert!(many == MANY_FLAGS, "a Boolean attribute with a high number has no place in the table");
    flags
};

/// A Boolean attribute's place in [`FLAGS`]; `None` for all others.
#[inline]
pub(super) fn flag(attribute: AttributeType) -> Option<u32> {
    static PLACES: [u8; LOW] = places(&FLAGS);
    PLACES.get(attribute as usize).filter(|place| **place != NOWHERE).map(|place| u32::from(*place))
}

/// A set of Boolean attributes.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Flags(pub(super) u32);

const _: () = assert!(FLAGS.len() <= u32::BITS as usize);

impl Flags {
    /// Those of `attributes` that are Booleans.
    pub fn of(attributes: impl IntoIterator<Item = AttributeType>) -> Flags {
        Flags(attributes.into_iter().filter_map(flag).fold(0, |set, flag| set | 1 << flag))
    }

    /// Those that are in both.
    pub fn and(self, other: Flags) -> Flags {
        Flags(self.0 & other.0)
    }

    /// Those that are not in `other`.
    pub fn without(self, other: Flags) -> Flags {
        Flags(self.0 & !other.0)
    }

    /// True of none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// An attribute's name, or its number in hexadecimal.
pub fn name(attribute: AttributeType) -> impl fmt::Display {
    struct Name(AttributeType);
    impl fmt::Display for Name {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            match known_name(self.0) {
                Some(name) => f.write_str(name),
                None => write!(f, "attribute {:#x}", self.0),
            }
        }
    }
    Name(attribute)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_attribute_has_its_place() {
        for (at, attribute) in ALL.iter().enumerate() {
            assert_eq!(place(*attribute), Some(at));
            let is_flag = kind(*attribute) == Some(Kind::Bool);
            assert_eq!(flag(*attribute).map(|at| FLAGS[at as usize]), is_flag.then_some(*attribute));
        }
        assert!(FLAGS.is_sorted_by(|a, b| a < b));
        for unknown in [0x5, 0x63F, 0x640, CKA_VENDOR_DEFINED, AttributeType::MAX] {
            assert_eq!((place(unknown), flag(unknown), kind(unknown)), (None, None, None));
        }
    }
}
