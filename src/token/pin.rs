//! PINs: their form and lengths.

use super::config::{Mode, Profile};
use super::policy::Rules;
use super::token::User;
use crate::error::Result;
use std::str;

/// What a PIN of C_Login holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// The PIN, of the one user that PKCS#11 knows.
    Plain,
    /// `user:password`.
    Named,
}

/// A PIN as it was given, taken apart.
pub struct Pin<'a> {
    /// The user's name; empty for the one user that PKCS#11 knows, and for the SO who founded the token.
    pub name: String,
    /// What proves that it is that user.
    pub secret: &'a [u8],
}

/// The most bytes a PIN may have: enough for a passphrase, and a bound for the key derivation.
const LONGEST: usize = 255;
/// The most characters of a CloudHSM user's name.
const LONGEST_NAME: usize = 31;
/// What the SO who founded the token is called where SOs have names.
pub const FOUNDER: &str = "admin";

impl<'a> Pin<'a> {
    /// A user's PIN in its form, the SO's always plain. `name` is what C_LoginUser gave and then leaves the PIN
    /// whole.
    ///
    /// # Errors
    /// CKR_PIN_INVALID, CKR_PIN_LEN_RANGE, CKR_ARGUMENTS_BAD for a name that is no text.
    pub fn parse(user: User, name: &[u8], pin: &'a [u8], form: Form) -> Result<Pin<'a>> {
        if pin.len() > LONGEST + 1 + LONGEST_NAME {
            fail!(PinLenRange, "a PIN has at most {LONGEST} bytes");
        }
        let (name, secret) = match (user, form) {
            (User::Normal, Form::Named) if name.is_empty() => match split(pin) {
                Some(parts) => parts,
                None => fail!(PinInvalid, "without a user's name the PIN is to be user:password"),
            },
            _ => (name, pin),
        };
        Ok(Pin { name: canonical(user, name)?, secret })
    }
}

/// `user:password` taken apart.
pub fn split(pin: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = pin.iter().position(|byte| *byte == b':')?;
    Some((&pin[..colon], &pin[colon + 1..]))
}

/// A user's name as it is stored: names are told apart without regard to case.
///
/// # Errors
/// CKR_PIN_INVALID, CKR_ARGUMENTS_BAD for a name that is no text.
pub fn canonical(user: User, name: &[u8]) -> Result<String> {
    let Ok(name) = str::from_utf8(name) else { fail!(ArgumentsBad, "the user's name is not UTF-8") };
    if name.len() > LONGEST_NAME || name.chars().any(|c| !(c.is_alphanumeric() || "_-.@".contains(c))) {
        fail!(PinInvalid, "a user's name has at most {LONGEST_NAME} letters, digits and _-.@");
    }
    match name.to_lowercase() {
        name if user == User::So && name == FOUNDER => Ok(String::new()),
        name => Ok(name),
    }
}

/// The shortest and longest PIN of a token, in bytes.
pub fn lengths(rules: &Rules) -> (usize, usize) {
    match (rules.profile, rules.mode) {
        (Profile::CloudHsm, _) => (7, 32),
        (_, Mode::Fips) => (8, LONGEST),
        _ => (4, LONGEST),
    }
}

/// The same of what is given to C_Login: in the cloudhsm profile a user's name and a colon go before the PIN.
pub fn given_lengths(rules: &Rules) -> (usize, usize) {
    let (shortest, longest) = lengths(rules);
    match rules.profile {
        Profile::Standard => (shortest, longest),
        Profile::CloudHsm => (shortest, LONGEST_NAME + 1 + longest),
    }
}

/// Checks a PIN that is to be set.
///
/// # Errors
/// CKR_PIN_LEN_RANGE.
pub fn check(pin: &[u8], rules: &Rules) -> Result<()> {
    let (shortest, longest) = lengths(rules);
    if !(shortest..=longest).contains(&pin.len()) {
        fail!(PinLenRange, "a PIN of this token has {shortest} to {longest} bytes");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Rv;

    #[test]
    fn a_cloudhsm_pin_names_its_user() {
        let pin = Pin::parse(User::Normal, b"", b"Crypto_User:pass:word", Form::Named).unwrap();
        assert_eq!((pin.name.as_str(), pin.secret), ("crypto_user", &b"pass:word"[..]));
        let bare = Pin::parse(User::Normal, b"", b"password", Form::Named).map(drop).unwrap_err();
        assert_eq!(bare.rv(), Rv::PinInvalid);
    }

    #[test]
    fn elsewhere_a_pin_is_all_secret() {
        let pin = Pin::parse(User::Normal, b"", b"a:b", Form::Plain).unwrap();
        assert_eq!((pin.name.as_str(), pin.secret), ("", &b"a:b"[..]));
        let so = Pin::parse(User::So, b"", b"a:b", Form::Named).unwrap();
        assert_eq!(so.secret, b"a:b");
        let named = Pin::parse(User::Normal, b"Alice", b"a:b", Form::Named).unwrap();
        assert_eq!((named.name.as_str(), named.secret), ("alice", &b"a:b"[..]));
    }
}
