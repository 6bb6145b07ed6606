//! A return code as a value that prints its name.

use cryptoki_sys::*;
use std::fmt;

/// A return code. [`Rv::ABSENT`] is this client's own: the module has no such entry, so nothing was called.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Rv(pub CK_RV);

/// What a call gives: its output, or the code when that is not CKR_OK.
pub type Result<T> = std::result::Result<T, Rv>;

impl Rv {
    /// The module offers no function list that has the function.
    pub const ABSENT: Rv = Rv(CK_RV::MAX);

    /// `Ok` for CKR_OK, the code itself for everything else.
    pub fn ok(self) -> Result<()> {
        if self.0 == CKR_OK { Ok(()) } else { Err(self) }
    }

    /// The code of an outcome: CKR_OK for `Ok`.
    pub fn of<T>(outcome: &Result<T>) -> Rv {
        outcome.as_ref().map_or_else(|rv| *rv, |_| Rv(CKR_OK))
    }

    /// The standard's name, if it is one of the standard's codes.
    pub fn name(self) -> Option<&'static str> {
        if self == Rv::ABSENT {
            return Some("no such function in the module");
        }
        NAMES.iter().find(|(code, _)| *code == self.0).map(|(_, name)| *name)
    }
}

impl fmt::Debug for Rv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None if self.0 & CKR_VENDOR_DEFINED != 0 => {
                write!(f, "CKR_VENDOR_DEFINED|{:#x}", self.0 ^ CKR_VENDOR_DEFINED)
            }
            None => write!(f, "CKR_{:#x}", self.0),
        }
    }
}

impl fmt::Display for Rv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl std::error::Error for Rv {}

impl PartialEq<CK_RV> for Rv {
    fn eq(&self, code: &CK_RV) -> bool {
        self.0 == *code
    }
}

macro_rules! names {
    ($($name:ident)*) => { const NAMES: &[(CK_RV, &str)] = &[$(($name, stringify!($name))),*]; };
}

names! {
    CKR_OK
    CKR_CANCEL
    CKR_HOST_MEMORY
    CKR_SLOT_ID_INVALID
    CKR_GENERAL_ERROR
    CKR_FUNCTION_FAILED
    CKR_ARGUMENTS_BAD
    CKR_NO_EVENT
    CKR_NEED_TO_CREATE_THREADS
    CKR_CANT_LOCK
    CKR_ATTRIBUTE_READ_ONLY
    CKR_ATTRIBUTE_SENSITIVE
    CKR_ATTRIBUTE_TYPE_INVALID
    CKR_ATTRIBUTE_VALUE_INVALID
    CKR_ACTION_PROHIBITED
    CKR_DATA_INVALID
    CKR_DATA_LEN_RANGE
    CKR_DEVICE_ERROR
    CKR_DEVICE_MEMORY
    CKR_DEVICE_REMOVED
    CKR_ENCRYPTED_DATA_INVALID
    CKR_ENCRYPTED_DATA_LEN_RANGE
    CKR_AEAD_DECRYPT_FAILED
    CKR_FUNCTION_CANCELED
    CKR_FUNCTION_NOT_PARALLEL
    CKR_FUNCTION_NOT_SUPPORTED
    CKR_KEY_HANDLE_INVALID
    CKR_KEY_SIZE_RANGE
    CKR_KEY_TYPE_INCONSISTENT
    CKR_KEY_NOT_NEEDED
    CKR_KEY_CHANGED
    CKR_KEY_NEEDED
    CKR_KEY_INDIGESTIBLE
    CKR_KEY_FUNCTION_NOT_PERMITTED
    CKR_KEY_NOT_WRAPPABLE
    CKR_KEY_UNEXTRACTABLE
    CKR_MECHANISM_INVALID
    CKR_MECHANISM_PARAM_INVALID
    CKR_OBJECT_HANDLE_INVALID
    CKR_OPERATION_ACTIVE
    CKR_OPERATION_NOT_INITIALIZED
    CKR_PIN_INCORRECT
    CKR_PIN_INVALID
    CKR_PIN_LEN_RANGE
    CKR_PIN_EXPIRED
    CKR_PIN_LOCKED
    CKR_SESSION_CLOSED
    CKR_SESSION_COUNT
    CKR_SESSION_HANDLE_INVALID
    CKR_SESSION_PARALLEL_NOT_SUPPORTED
    CKR_SESSION_READ_ONLY
    CKR_SESSION_EXISTS
    CKR_SESSION_READ_ONLY_EXISTS
    CKR_SESSION_READ_WRITE_SO_EXISTS
    CKR_SIGNATURE_INVALID
    CKR_SIGNATURE_LEN_RANGE
    CKR_TEMPLATE_INCOMPLETE
    CKR_TEMPLATE_INCONSISTENT
    CKR_TOKEN_NOT_PRESENT
    CKR_TOKEN_NOT_RECOGNIZED
    CKR_TOKEN_WRITE_PROTECTED
    CKR_UNWRAPPING_KEY_HANDLE_INVALID
    CKR_UNWRAPPING_KEY_SIZE_RANGE
    CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT
    CKR_USER_ALREADY_LOGGED_IN
    CKR_USER_NOT_LOGGED_IN
    CKR_USER_PIN_NOT_INITIALIZED
    CKR_USER_TYPE_INVALID
    CKR_USER_ANOTHER_ALREADY_LOGGED_IN
    CKR_USER_TOO_MANY_TYPES
    CKR_WRAPPED_KEY_INVALID
    CKR_WRAPPED_KEY_LEN_RANGE
    CKR_WRAPPING_KEY_HANDLE_INVALID
    CKR_WRAPPING_KEY_SIZE_RANGE
    CKR_WRAPPING_KEY_TYPE_INCONSISTENT
    CKR_RANDOM_SEED_NOT_SUPPORTED
    CKR_RANDOM_NO_RNG
    CKR_DOMAIN_PARAMS_INVALID
    CKR_CURVE_NOT_SUPPORTED
    CKR_BUFFER_TOO_SMALL
    CKR_SAVED_STATE_INVALID
    CKR_INFORMATION_SENSITIVE
    CKR_STATE_UNSAVEABLE
    CKR_CRYPTOKI_NOT_INITIALIZED
    CKR_CRYPTOKI_ALREADY_INITIALIZED
    CKR_MUTEX_BAD
    CKR_MUTEX_NOT_LOCKED
    CKR_NEW_PIN_MODE
    CKR_NEXT_OTP
    CKR_EXCEEDED_MAX_ITERATIONS
    CKR_FIPS_SELF_TEST_FAILED
    CKR_LIBRARY_LOAD_FAILED
    CKR_PIN_TOO_WEAK
    CKR_PUBLIC_KEY_INVALID
    CKR_FUNCTION_REJECTED
    CKR_TOKEN_RESOURCE_EXCEEDED
    CKR_OPERATION_CANCEL_FAILED
    CKR_KEY_EXHAUSTED
    CKR_PENDING
    CKR_SESSION_ASYNC_NOT_SUPPORTED
    CKR_SEED_RANDOM_REQUIRED
    CKR_OPERATION_NOT_VALIDATED
    CKR_TOKEN_NOT_INITIALIZED
    CKR_PARAMETER_SET_NOT_SUPPORTED
}
