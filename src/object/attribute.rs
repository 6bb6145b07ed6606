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
        const fn kind_of(attribute: AttributeType) -> Kind {
            match attribute {
                $($name => Kind::$kind,)*
                _ => panic!("no attribute of the table"),
            }
        }

        const fn known_name(attribute: AttributeType) -> Option<&'static str> {
            match attribute {
                $($name => Some(stringify!($name)),)*
                _ => None,
            }
        }

        /// Every attribute the module knows, in ascending order.
        pub const ALL: &[AttributeType] = &ascending([$($name),*]);
    };
}

const fn ascending<const N: usize>(mut list: [AttributeType; N]) -> [AttributeType; N] {
    let mut sorted = 1;
    while sorted < N {
        let mut at = sorted;
        while at > 0 && list[at - 1] > list[at] {
            list.swap(at - 1, at);
            at -= 1;
        }
        sorted += 1;
    }
    list
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

/// Below it are the numbers of nearly all attributes: those have a table.
const LOW: usize = 0x640;

const NOWHERE: u8 = u8::MAX;

/// The place of each attribute with a low number.
static PLACES: [u8; LOW] = {
    let (mut places, mut at) = ([NOWHERE; LOW], 0);
    while at < ALL.len() && (ALL[at] as usize) < LOW {
        places[ALL[at] as usize] = at as u8;
        at += 1;
    }
    places
};

/// An attribute's place in [`ALL`]; `None` for numbers the module does not know.
#[inline]
pub const fn place(attribute: AttributeType) -> Option<usize> {
    if attribute >= LOW as AttributeType {
        return high_place(attribute);
    }
    match PLACES[attribute as usize] {
        NOWHERE => None,
        place => Some(place as usize),
    }
}

const fn high_place(attribute: AttributeType) -> Option<usize> {
    let mut at = ALL.len();
    while at > 0 && ALL[at - 1] >= LOW as AttributeType {
        at -= 1;
        if ALL[at] == attribute {
            return Some(at);
        }
    }
    None
}

/// The kind of an attribute's value; `None` for numbers the module does not know.
pub fn kind(attribute: AttributeType) -> Option<Kind> {
    place(attribute).map(kind_at)
}

/// The kind of the attribute with this place.
#[inline]
pub fn kind_at(place: usize) -> Kind {
    static KINDS: [Kind; ALL.len()] = {
        let (mut kinds, mut at) = ([Kind::Bool; ALL.len()], 0);
        while at < ALL.len() {
            kinds[at] = kind_of(ALL[at]);
            at += 1;
        }
        kinds
    };
    KINDS[place]
}

/// The most users who can have a say in a key.
const MOST_APPROVALS: CK_ULONG = 8;

/// The greatest number an attribute can have, where its values are enumerated from 0.
pub fn greatest(attribute: AttributeType) -> CK_ULONG {
    match attribute {
        CKA_CERTIFICATE_CATEGORY => CK_CERTIFICATE_CATEGORY_OTHER_ENTITY,
        CKA_JAVA_MIDP_SECURITY_DOMAIN => CK_SECURITY_DOMAIN_THIRD_PARTY,
        CKA_COFFER_MANAGE_QUORUM | CKA_COFFER_USE_QUORUM => MOST_APPROVALS,
        _ => CK_ULONG::MAX,
    }
}

/// A set of attributes that the module knows: a bit each, by its place.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Set([u64; 2]);

const _: () = assert!(ALL.len() <= 2 * u64::BITS as usize);

impl Set {
    /// None.
    pub const EMPTY: Set = Set([0; 2]);

    /// These; numbers that nobody knows are left out.
    pub const fn of(attributes: &[AttributeType]) -> Set {
        let (mut set, mut at) = (Set::EMPTY, 0);
        while at < attributes.len() {
            if let Some(place) = place(attributes[at]) {
                set.put(place, true);
            }
            at += 1;
        }
        set
    }

    /// Whether the attribute with this place is in it.
    #[inline]
    pub const fn has(&self, place: usize) -> bool {
        self.0[place / 64 % 2] >> (place % 64) & 1 != 0
    }

    /// Whether the attribute is in it.
    #[inline]
    pub const fn includes(&self, attribute: AttributeType) -> bool {
        matches!(place(attribute), Some(place) if self.has(place))
    }

    /// Takes the attribute with this place in, or out.
    #[inline]
    pub const fn put(&mut self, place: usize, there: bool) {
        let word = &mut self.0[place / 64 % 2];
        *word = *word & !(1 << (place % 64)) | (there as u64) << (place % 64);
    }

    /// Those that are in one of both.
    pub const fn or(self, other: Set) -> Set {
        Set([self.0[0] | other.0[0], self.0[1] | other.0[1]])
    }

    /// Those that are in both.
    pub const fn and(self, other: Set) -> Set {
        Set([self.0[0] & other.0[0], self.0[1] & other.0[1]])
    }

    /// Those that are not in `other`.
    pub const fn without(self, other: Set) -> Set {
        Set([self.0[0] & !other.0[0], self.0[1] & !other.0[1]])
    }

    /// True of none.
    pub const fn is_empty(self) -> bool {
        self.0[0] | self.0[1] == 0
    }

    /// How many.
    pub const fn len(self) -> usize {
        (self.0[0].count_ones() + self.0[1].count_ones()) as usize
    }

    /// The place of the lowest.
    pub const fn first(self) -> Option<usize> {
        match self.0 {
            [0, 0] => None,
            [0, high] => Some(64 + high.trailing_zeros() as usize),
            [low, _] => Some(low.trailing_zeros() as usize),
        }
    }
}

impl FromIterator<AttributeType> for Set {
    fn from_iter<I: IntoIterator<Item = AttributeType>>(attributes: I) -> Set {
        attributes.into_iter().fold(Set::EMPTY, |set, attribute| set.or(Set::of(&[attribute])))
    }
}

/// The Boolean attributes.
pub(super) const FLAGS: Set = {
    let (mut flags, mut at) = (Set::EMPTY, 0);
    while at < ALL.len() {
        flags.put(at, matches!(kind_of(ALL[at]), Kind::Bool));
        at += 1;
    }
    flags
};

/// Whether an attribute is a Boolean.
#[inline]
pub(super) fn is_flag(attribute: AttributeType) -> bool {
    FLAGS.includes(attribute)
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
        assert!(ALL.is_sorted_by(|a, b| a < b));
        for (at, attribute) in ALL.iter().enumerate() {
            assert_eq!(place(*attribute), Some(at));
            assert_eq!(is_flag(*attribute), kind(*attribute) == Some(Kind::Bool));
        }
        for unknown in [0x5, 0x63F, 0x640, CKA_VENDOR_DEFINED, AttributeType::MAX] {
            assert_eq!((place(unknown), is_flag(unknown), kind(unknown)), (None, false, None));
        }
    }

    #[test]
    fn sets_have_what_was_put_in() {
        let (all, mut set) = (Set::of(ALL), Set::EMPTY);
        for (at, attribute) in ALL.iter().enumerate() {
            let one = Set::of(&[*attribute]);
            assert!(one.has(at) && !set.has(at) && one.first() == Some(at) && one.len() == 1);
            assert_eq!(all.without(set).first(), Some(at));
            set.put(at, true);
            assert!(set.has(at) && set.len() == at + 1 && set.and(one) == one && set.or(one) == set);
        }
        assert!(set == all && all.without(set).is_empty() && Set::EMPTY.first().is_none());
        set.put(0, false);
        assert!(!set.has(0) && set == all.without(Set::of(&[CKA_CLASS])));
    }
}
