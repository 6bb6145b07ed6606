//! What a token refuses: a table of uses, and the rules that profile, policy and mode make.

use super::config::{Mode, Policy, Profile};
use super::{cloudhsm, fips};
use crate::crypto::des;
use crate::error::Result;
use crate::mechanism::table::{Offer, Unit};
use crate::mechanism::vendor::CKM_CLOUDHSM_EDDSA;
use crate::mechanism::{self, Mechanism, Params, key};
use crate::object::template::{self, Defaults};
use crate::object::{Attributes, Object};
use cryptoki_sys::*;
use std::time::{SystemTime, UNIX_EPOCH};

/// What a key is used for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum Use {
    Encrypt,
    Decrypt,
    Sign,
    SignRecover,
    Verify,
    VerifyRecover,
    Wrap,
    Unwrap,
    Derive,
    Encapsulate,
    Decapsulate,
}

/// What a use asks of the key.
pub struct UseRow {
    /// The attribute that permits it.
    permission: CK_ATTRIBUTE_TYPE,
    /// The word for it in messages.
    pub verb: &'static str,
    /// The half of a key pair that does it.
    half: CK_OBJECT_CLASS,
}

impl Use {
    /// The table of uses.
    pub fn row(self) -> UseRow {
        let (permission, verb, half) = match self {
            Use::Encrypt => (CKA_ENCRYPT, "encrypt", CKO_PUBLIC_KEY),
            Use::Decrypt => (CKA_DECRYPT, "decrypt", CKO_PRIVATE_KEY),
            Use::Sign => (CKA_SIGN, "sign", CKO_PRIVATE_KEY),
            Use::SignRecover => (CKA_SIGN_RECOVER, "sign with recovery", CKO_PRIVATE_KEY),
            Use::Verify => (CKA_VERIFY, "verify", CKO_PUBLIC_KEY),
            Use::VerifyRecover => (CKA_VERIFY_RECOVER, "verify with recovery", CKO_PUBLIC_KEY),
            Use::Wrap => (CKA_WRAP, "wrap", CKO_PUBLIC_KEY),
            Use::Unwrap => (CKA_UNWRAP, "unwrap", CKO_PRIVATE_KEY),
            Use::Derive => (CKA_DERIVE, "derive", CKO_PRIVATE_KEY),
            Use::Encapsulate => (CKA_ENCAPSULATE, "encapsulate", CKO_PUBLIC_KEY),
            Use::Decapsulate => (CKA_DECAPSULATE, "decapsulate", CKO_PRIVATE_KEY),
        };
        UseRow { permission, verb, half }
    }

    /// Whether the use makes something new to protect, rather than opening what is there: SP 800-131A lets
    /// old algorithms open what they once closed.
    pub(super) fn protects(self) -> bool {
        matches!(
            self,
            Use::Encrypt | Use::Sign | Use::SignRecover | Use::Wrap | Use::Derive | Use::Encapsulate
        )
    }
}

impl UseRow {
    /// The attribute that permits a key of this class to be used so.
    pub fn permission(&self, mechanism: &Mechanism, class: CK_OBJECT_CLASS) -> CK_ATTRIBUTE_TYPE {
        match (is_kem_by_derivation(mechanism), class) {
            (true, CKO_PUBLIC_KEY) => CKA_ENCAPSULATE,
            (true, _) => CKA_DECAPSULATE,
            (false, _) => self.permission,
        }
    }

    /// The classes of key that a mechanism uses so.
    pub fn classes(&self, mechanism: &Mechanism) -> &'static [CK_OBJECT_CLASS] {
        if is_kem_by_derivation(mechanism) {
            return &[CKO_PUBLIC_KEY, CKO_PRIVATE_KEY];
        }
        match self.half {
            CKO_PUBLIC_KEY => &[CKO_PUBLIC_KEY, CKO_SECRET_KEY],
            _ => &[CKO_PRIVATE_KEY, CKO_SECRET_KEY],
        }
    }
}

/// A KEM offered through C_DeriveKey: it derives from a public key by encapsulating to it.
fn is_kem_by_derivation(mechanism: &Mechanism) -> bool {
    mechanism.derive.is_some() && mechanism.keys.types.contains(&CKK_ML_KEM)
}

/// CK_MECHANISM_INFO.
pub struct MechanismInfo {
    /// Shortest key, in the unit of the mechanism's row.
    pub min: usize,
    /// Longest key.
    pub max: usize,
    /// CKF_*.
    pub flags: CK_FLAGS,
}

/// The rules of one token, under the module's configuration.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Of the module.
    pub profile: Profile,
    /// The stricter of the module's and the token's.
    pub policy: Policy,
    /// Of the token.
    pub mode: Mode,
}

impl Rules {
    /// Judges a use of a key with a mechanism. True if that holds at any time, and not just today.
    ///
    /// # Errors
    /// CKR_KEY_SIZE_RANGE (wrapping: CKR_WRAPPING_KEY_SIZE_RANGE), CKR_MECHANISM_INVALID,
    /// CKR_KEY_FUNCTION_NOT_PERMITTED outside the key's dates.
    pub fn judge(&self, usage: Use, mechanism: &Mechanism, used: &Object) -> Result<bool> {
        let attributes = used.attributes();
        let dated = attributes.has(CKA_START_DATE) || attributes.has(CKA_END_DATE);
        if dated {
            within_dates(attributes.bytes(CKA_START_DATE), attributes.bytes(CKA_END_DATE))?;
        }
        let Some(key_type) = used.key_type() else { fail!(KeyTypeInconsistent) };
        let size = (key::kind(used.class(), key_type)?.size)(used)?;
        let (min, max) = self.key_range(mechanism);
        if mechanism.keys.unit != Unit::None && !(min..=max).contains(&size) {
            let (name, unit) = (mechanism.name, mechanism.keys.unit);
            fail!(KeySizeRange, "{name}: the key has {size}, allowed are {min} to {max} {unit:?}");
        }
        if self.mode == Mode::Fips {
            fips::judge(mechanism, Some(usage), size)?;
        }
        if self.policy == Policy::Strict && strict_refuses(usage, mechanism) {
            fail!(MechanismInvalid, "{}: the strict policy wraps only with authentication", mechanism.name);
        }
        Ok(!dated)
    }

    /// Judges the parameter that a mechanism is used with.
    ///
    /// # Errors
    /// CKR_MECHANISM_PARAM_INVALID, CKR_MECHANISM_INVALID.
    pub fn judge_parameter(&self, usage: Use, mechanism: &Mechanism, params: &Params) -> Result<()> {
        if self.mode == Mode::Fips {
            fips::judge_parameter(usage, params)?;
        }
        if self.profile == Profile::CloudHsm {
            cloudhsm::judge_parameter(usage, mechanism, params)?;
        }
        Ok(())
    }

    /// Judges the making of keys with these attributes by a mechanism.
    ///
    /// # Errors
    /// CKR_MECHANISM_INVALID, CKR_KEY_SIZE_RANGE, CKR_ATTRIBUTE_VALUE_INVALID.
    pub fn judge_generation(&self, mechanism: &Mechanism, attributes: &Attributes) -> Result<()> {
        if self.mode != Mode::Fips {
            return Ok(());
        }
        let byte = if mechanism.keys.unit == Unit::Bits { 8 } else { 1 };
        let len = attributes.ulong(CKA_VALUE_LEN).map(|len| len.saturating_mul(byte));
        let size = attributes.ulong(CKA_MODULUS_BITS).or(len).unwrap_or(CK_ULONG::MAX);
        fips::judge(mechanism, None, size as usize)?;
        fips::judge_template(attributes)
    }

    /// Judges a new key, however it came: its components are in `attributes`, or what its generation is asked for.
    ///
    /// # Errors
    /// CKR_KEY_SIZE_RANGE, CKR_CURVE_NOT_SUPPORTED, CKR_TEMPLATE_INCONSISTENT; CKR_ATTRIBUTE_VALUE_INVALID for a weak
    /// DES key under the strict policy.
    pub fn judge_key(&self, attributes: &Attributes) -> Result<()> {
        if self.policy == Policy::Strict {
            strict_key(attributes)?;
        }
        if self.profile == Profile::CloudHsm { cloudhsm::judge_key(attributes) } else { Ok(()) }
    }

    /// Whether the cipher takes its data in one piece only, though it could do otherwise.
    pub fn in_one_piece(&self, mechanism: &Mechanism) -> bool {
        self.profile == Profile::CloudHsm && cloudhsm::in_one_piece(mechanism)
    }

    /// The row that makes a pair that `row` was asked for.
    ///
    /// # Errors
    /// CKR_CURVE_NOT_SUPPORTED.
    pub fn pair_generator(&self, row: &'static Mechanism, public: &Attributes) -> Result<&'static Mechanism> {
        if self.profile != Profile::CloudHsm || !cloudhsm::makes_edwards_keys(row, public) {
            return Ok(row);
        }
        match mechanism::rows(CKM_EC_EDWARDS_KEY_PAIR_GEN).next() {
            Some(edwards) if self.mode == Mode::NonFips => Ok(edwards),
            _ => fail!(CurveNotSupported, "CKA_EC_PARAMS: no Edwards keys in a fips token of this profile"),
        }
    }

    /// Whether there are read-only sessions.
    pub fn allow_read_only_sessions(&self) -> bool {
        self.profile != Profile::CloudHsm
    }

    /// Whether the token's profiles and mechanisms are objects as well.
    pub fn has_built_in_objects(&self) -> bool {
        self.profile != Profile::CloudHsm
    }

    /// The rules for templates.
    pub fn for_templates(&self, by_so: bool) -> template::Rules {
        let defaults = match self.profile {
            Profile::Standard => Defaults::Standard,
            Profile::CloudHsm => Defaults::CloudHsm,
        };
        template::Rules { defaults, strict: self.policy == Policy::Strict, by_so }
    }

    /// The row of a mechanism that is offered.
    ///
    /// # Errors
    /// CKR_MECHANISM_INVALID.
    pub fn mechanism(&self, number: CK_MECHANISM_TYPE) -> Result<&'static Mechanism> {
        match mechanism::rows(number).find(|row| self.offers(row)) {
            Some(row) => Ok(row),
            None => fail!(MechanismInvalid, "mechanism {number:#x} is not offered in this profile and mode"),
        }
    }

    /// CK_MECHANISM_INFO of a mechanism that is offered: what is refused here is not shown. The sizes are those
    /// to protect with; a fips token takes smaller keys to open what they once closed.
    pub fn info(&self, mechanism: &Mechanism) -> MechanismInfo {
        let refused = |usage| {
            let by_mode = self.mode == Mode::Fips && fips::refuses(mechanism, Some(usage));
            by_mode || (self.policy == Policy::Strict && strict_refuses(usage, mechanism))
        };
        let mut flags = mechanism.flags();
        for (usage, flag) in FLAGS {
            if refused(*usage) {
                flags &= !flag;
            }
        }
        if self.profile == Profile::CloudHsm {
            flags &= !cloudhsm::NOT_ITS_FLAGS;
        }
        let (mut min, max) = self.key_range(mechanism);
        if self.mode == Mode::Fips {
            min = min.max(fips::least(mechanism));
        }
        MechanismInfo { min, max, flags }
    }

    /// Shortest and longest key that a mechanism takes, in the unit of its row.
    fn key_range(&self, mechanism: &Mechanism) -> (usize, usize) {
        match self.profile {
            Profile::Standard => (mechanism.keys.min, mechanism.keys.max),
            Profile::CloudHsm => cloudhsm::key_range(mechanism),
        }
    }

    /// Whether a mechanism is offered at all.
    pub fn offers(&self, mechanism: &Mechanism) -> bool {
        let profile = match self.profile {
            Profile::Standard => Offer::STANDARD,
            Profile::CloudHsm => Offer::CLOUDHSM,
        };
        let of_the_mode = match (self.mode, self.profile) {
            (Mode::NonFips, _) => true,
            // CloudHSM signs with Ed25519 in non-fips clusters only.
            (Mode::Fips, Profile::CloudHsm) if mechanism.number == CKM_CLOUDHSM_EDDSA => false,
            (Mode::Fips, _) => !fips::refuses_all(mechanism),
        };
        mechanism.offer.includes(profile) && of_the_mode
    }
}

/// The flags that say a use is offered.
#[rustfmt::skip]
const FLAGS: &[(Use, CK_FLAGS)] = &[
    (Use::Encrypt, CKF_ENCRYPT | CKF_MESSAGE_ENCRYPT),
    (Use::Decrypt, CKF_DECRYPT | CKF_MESSAGE_DECRYPT),
    (Use::Sign, CKF_SIGN | CKF_MESSAGE_SIGN),
    (Use::SignRecover, CKF_SIGN_RECOVER),
    (Use::Verify, CKF_VERIFY | CKF_MESSAGE_VERIFY),
    (Use::VerifyRecover, CKF_VERIFY_RECOVER),
    (Use::Wrap, CKF_WRAP),
    (Use::Unwrap, CKF_UNWRAP),
    (Use::Derive, CKF_DERIVE),
    (Use::Encapsulate, CKF_ENCAPSULATE),
    (Use::Decapsulate, CKF_DECAPSULATE),
];

/// Whether the strict policy refuses the use: wrapping that does not authenticate what it wraps.
fn strict_refuses(usage: Use, mechanism: &Mechanism) -> bool {
    const UNAUTHENTICATED: &[CK_MECHANISM_TYPE] =
        &[CKM_AES_CBC_PAD, CKM_DES3_CBC_PAD, CKM_RSA_PKCS, CKM_RSA_X_509, CKM_AES_CTR];
    matches!(usage, Use::Wrap | Use::Unwrap) && UNAUTHENTICATED.contains(&mechanism.number)
}

/// The standard lets weak DES keys in, and test vectors use them: their kind is refused here only.
fn strict_key(attributes: &Attributes) -> Result<()> {
    let des = matches!(attributes.ulong(CKA_KEY_TYPE), Some(CKK_DES2 | CKK_DES3));
    if des && attributes.bytes(CKA_VALUE).is_some_and(|value| !des::is_strong(value)) {
        fail!(AttributeValueInvalid, "CKA_VALUE: a part of the key is weak, or two parts are equal");
    }
    Ok(())
}

/// CKA_START_DATE and CKA_END_DATE, both included, in UTC.
fn within_dates(start: Option<&[u8]>, end: Option<&[u8]>) -> Result<()> {
    let today = today();
    let set = |date: Option<&[u8]>| date.filter(|date| date.len() == 8).map(<[u8]>::to_vec);
    if set(start).is_some_and(|start| start > today) {
        fail!(KeyFunctionNotPermitted, "CKA_START_DATE of the key lies ahead");
    }
    if set(end).is_some_and(|end| end < today) {
        fail!(KeyFunctionNotPermitted, "CKA_END_DATE of the key is over");
    }
    Ok(())
}

/// Today as CK_DATE's eight digits.
fn today() -> Vec<u8> {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (year, month, day) = civil(seconds / 86_400);
    format!("{year:04}{month:02}{day:02}").into_bytes()
}

/// The Gregorian date of a day since 1970-01-01. Years are counted from March, so the leap day comes last.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_become_dates() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(11_016), (2000, 2, 29));
        assert_eq!(civil(19_782), (2024, 2, 29));
        assert_eq!(civil(19_783), (2024, 3, 1));
        assert_eq!(civil(20_453), (2025, 12, 31));
    }

    #[test]
    fn dates_include_both_ends() {
        let today = today();
        assert!(within_dates(Some(&today), Some(&today)).is_ok());
        assert!(within_dates(Some(b"29990101"), None).is_err());
        assert!(within_dates(None, Some(b"20010101")).is_err());
        assert!(within_dates(Some(b""), Some(b"")).is_ok());
    }
}
