//! The errors: one table of variant, CKR code and sentence.
//!
//! An [`Error`] is what the caller sees (exactly one CKR code) plus what a person needs to know (a reason that
//! names the attribute, parameter or file, for the log). Reasons never hold secret bytes.

use cryptoki_sys::*;
use std::borrow::Cow;
use std::fmt;

/// What every fallible function of this crate returns.
pub type Result<T> = std::result::Result<T, Error>;

macro_rules! errors {
    ($($variant:ident = $code:ident, $sentence:literal;)*) => {
        /// A return code of the standard, other than CKR_OK (section 5.1).
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum Rv { $(#[doc = $sentence] $variant,)* }

        impl Rv {
            /// The number the caller gets.
            pub const fn code(self) -> CK_RV {
                match self { $(Rv::$variant => $code,)* }
            }
            /// The standard's name of it.
            pub const fn name(self) -> &'static str {
                match self { $(Rv::$variant => stringify!($code),)* }
            }
            /// What it means, as a sentence.
            pub const fn sentence(self) -> &'static str {
                match self { $(Rv::$variant => $sentence,)* }
            }
        }
    };
}

errors! {
    ActionProhibited = CKR_ACTION_PROHIBITED, "the object does not allow this action";
    AeadDecryptFailed = CKR_AEAD_DECRYPT_FAILED, "the ciphertext or its tag is not authentic";
    ArgumentsBad = CKR_ARGUMENTS_BAD, "an argument is missing or makes no sense";
    AttributeReadOnly = CKR_ATTRIBUTE_READ_ONLY, "the attribute cannot be set by this caller or at this time";
    AttributeSensitive = CKR_ATTRIBUTE_SENSITIVE, "the attribute is sensitive and cannot be revealed";
    AttributeTypeInvalid = CKR_ATTRIBUTE_TYPE_INVALID, "the object has no such attribute";
    AttributeValueInvalid = CKR_ATTRIBUTE_VALUE_INVALID, "the attribute's value is not allowed";
    BufferTooSmall = CKR_BUFFER_TOO_SMALL, "the output does not fit into the buffer";
    CantLock = CKR_CANT_LOCK, "the requested kind of locking is not available";
    CryptokiAlreadyInitialized = CKR_CRYPTOKI_ALREADY_INITIALIZED, "the library is already initialised";
    CryptokiNotInitialized = CKR_CRYPTOKI_NOT_INITIALIZED, "the library is not initialised in this process";
    CurveNotSupported = CKR_CURVE_NOT_SUPPORTED, "the curve is not supported";
    DataInvalid = CKR_DATA_INVALID, "the input data is not valid for the operation";
    DataLenRange = CKR_DATA_LEN_RANGE, "the input data has a length the operation does not take";
    DeviceError = CKR_DEVICE_ERROR, "the token's storage failed";
    DeviceMemory = CKR_DEVICE_MEMORY, "the token's storage is full";
    DeviceRemoved = CKR_DEVICE_REMOVED, "the token is gone";
    DomainParamsInvalid = CKR_DOMAIN_PARAMS_INVALID, "the domain parameters are not valid";
    EncryptedDataInvalid = CKR_ENCRYPTED_DATA_INVALID, "the ciphertext is not valid";
    EncryptedDataLenRange = CKR_ENCRYPTED_DATA_LEN_RANGE, "the ciphertext has an impossible length";
    FunctionCanceled = CKR_FUNCTION_CANCELED, "the application cancelled the function";
    FunctionFailed = CKR_FUNCTION_FAILED, "the function failed";
    FunctionNotParallel = CKR_FUNCTION_NOT_PARALLEL, "there are no parallel functions";
    FunctionNotSupported = CKR_FUNCTION_NOT_SUPPORTED, "the function is not supported";
    FunctionRejected = CKR_FUNCTION_REJECTED, "the request was rejected";
    GeneralError = CKR_GENERAL_ERROR, "an internal error that cannot be recovered from";
    HostMemory = CKR_HOST_MEMORY, "not enough memory";
    KeyExhausted = CKR_KEY_EXHAUSTED, "the key has reached its limit of use";
    KeyFunctionNotPermitted = CKR_KEY_FUNCTION_NOT_PERMITTED, "the key does not allow this use";
    KeyHandleInvalid = CKR_KEY_HANDLE_INVALID, "there is no such key";
    KeyIndigestible = CKR_KEY_INDIGESTIBLE, "the key cannot be digested";
    KeyNotNeeded = CKR_KEY_NOT_NEEDED, "the saved state needs no such key";
    KeyNotWrappable = CKR_KEY_NOT_WRAPPABLE, "the key may not be wrapped with this wrapping key or mechanism";
    KeySizeRange = CKR_KEY_SIZE_RANGE, "the key's size is outside the mechanism's range";
    KeyTypeInconsistent = CKR_KEY_TYPE_INCONSISTENT, "the key is not of the type the mechanism needs";
    KeyUnextractable = CKR_KEY_UNEXTRACTABLE, "the key is not extractable";
    MechanismInvalid = CKR_MECHANISM_INVALID, "the mechanism is not available for this use";
    MechanismParamInvalid = CKR_MECHANISM_PARAM_INVALID, "the mechanism's parameter is not valid";
    NeedToCreateThreads = CKR_NEED_TO_CREATE_THREADS, "the library would have to create threads";
    NoEvent = CKR_NO_EVENT, "no slot event has happened";
    ObjectHandleInvalid = CKR_OBJECT_HANDLE_INVALID, "there is no such object";
    OperationActive = CKR_OPERATION_ACTIVE, "an operation of this kind is already running in the session";
    OperationCancelFailed = CKR_OPERATION_CANCEL_FAILED, "the operation could not be cancelled";
    OperationNotInitialized = CKR_OPERATION_NOT_INITIALIZED, "no such operation is running in the session";
    OperationNotValidated = CKR_OPERATION_NOT_VALIDATED, "the operation is not validated";
    ParameterSetNotSupported = CKR_PARAMETER_SET_NOT_SUPPORTED, "the parameter set is not supported";
    PinIncorrect = CKR_PIN_INCORRECT, "the PIN is wrong";
    PinInvalid = CKR_PIN_INVALID, "the PIN has characters it may not have, or not the form that is wanted";
    PinLenRange = CKR_PIN_LEN_RANGE, "the PIN is too short or too long";
    PinLocked = CKR_PIN_LOCKED, "the PIN is locked after too many wrong tries";
    PublicKeyInvalid = CKR_PUBLIC_KEY_INVALID, "the public key is not valid";
    RandomSeedNotSupported = CKR_RANDOM_SEED_NOT_SUPPORTED, "the random generator takes no seed";
    SavedStateInvalid = CKR_SAVED_STATE_INVALID, "the saved state is not valid";
    SessionAsyncNotSupported = CKR_SESSION_ASYNC_NOT_SUPPORTED, "the session is not asynchronous";
    SessionCount = CKR_SESSION_COUNT, "no more sessions can be opened";
    SessionExists = CKR_SESSION_EXISTS, "a session with the token is open";
    SessionHandleInvalid = CKR_SESSION_HANDLE_INVALID, "there is no such session";
    SessionParallelNotSupported = CKR_SESSION_PARALLEL_NOT_SUPPORTED, "sessions must be serial";
    SessionReadOnly = CKR_SESSION_READ_ONLY, "the session is read-only";
    SessionReadOnlyExists = CKR_SESSION_READ_ONLY_EXISTS, "a read-only session is open, so the SO cannot log in";
    SessionReadWriteSoExists = CKR_SESSION_READ_WRITE_SO_EXISTS, "the SO is logged in, so no read-only session can be opened";
    SignatureInvalid = CKR_SIGNATURE_INVALID, "the signature is wrong";
    SignatureLenRange = CKR_SIGNATURE_LEN_RANGE, "the signature has an impossible length";
    SlotIdInvalid = CKR_SLOT_ID_INVALID, "there is no such slot";
    StateUnsaveable = CKR_STATE_UNSAVEABLE, "the operation's state cannot be saved";
    TemplateIncomplete = CKR_TEMPLATE_INCOMPLETE, "the template lacks an attribute";
    TemplateInconsistent = CKR_TEMPLATE_INCONSISTENT, "the template's attributes contradict each other or the object";
    TokenNotInitialized = CKR_TOKEN_NOT_INITIALIZED, "the token is not initialised";
    TokenNotPresent = CKR_TOKEN_NOT_PRESENT, "there is no token in the slot";
    TokenNotRecognized = CKR_TOKEN_NOT_RECOGNIZED, "the token's storage cannot be read";
    TokenWriteProtected = CKR_TOKEN_WRITE_PROTECTED, "the token is write protected";
    UnwrappingKeyHandleInvalid = CKR_UNWRAPPING_KEY_HANDLE_INVALID, "there is no such unwrapping key";
    UnwrappingKeySizeRange = CKR_UNWRAPPING_KEY_SIZE_RANGE, "the unwrapping key's size is outside the mechanism's range";
    UnwrappingKeyTypeInconsistent = CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT, "the unwrapping key is not of the type the mechanism needs";
    UserAlreadyLoggedIn = CKR_USER_ALREADY_LOGGED_IN, "the user is already logged in";
    UserAnotherAlreadyLoggedIn = CKR_USER_ANOTHER_ALREADY_LOGGED_IN, "another user is logged in";
    UserNotLoggedIn = CKR_USER_NOT_LOGGED_IN, "the user is not logged in";
    UserPinNotInitialized = CKR_USER_PIN_NOT_INITIALIZED, "the user has no PIN yet";
    UserTypeInvalid = CKR_USER_TYPE_INVALID, "there is no such type of user";
    WrappedKeyInvalid = CKR_WRAPPED_KEY_INVALID, "the wrapped key is not valid";
    WrappedKeyLenRange = CKR_WRAPPED_KEY_LEN_RANGE, "the wrapped key has an impossible length";
    WrappingKeyHandleInvalid = CKR_WRAPPING_KEY_HANDLE_INVALID, "there is no such wrapping key";
    WrappingKeySizeRange = CKR_WRAPPING_KEY_SIZE_RANGE, "the wrapping key's size is outside what is allowed";
    WrappingKeyTypeInconsistent = CKR_WRAPPING_KEY_TYPE_INCONSISTENT, "the wrapping key is not of the type the mechanism needs";
}

impl Rv {
    /// The error with a reason for the log.
    pub fn because(self, reason: impl Into<Cow<'static, str>>) -> Error {
        Error(Box::new(Refusal { rv: self, reason: Some(reason.into()) }))
    }

    /// The same for `fail!`. Refusals are rare, and their words are put together out of the way.
    #[cold]
    #[inline(never)]
    pub fn refuse(self, reason: fmt::Arguments<'_>) -> Error {
        match reason.as_str() {
            Some(reason) => self.because(reason),
            None => self.because(reason.to_string()),
        }
    }
}

/// A return code and the reason for it. One word, so that results without an error in them stay in registers.
#[derive(Clone, PartialEq, Eq)]
pub struct Error(Box<Refusal>);

#[derive(Clone, PartialEq, Eq)]
struct Refusal {
    rv: Rv,
    reason: Option<Cow<'static, str>>,
}

impl Error {
    /// The return code.
    pub fn rv(&self) -> Rv {
        self.0.rv
    }

    /// The same reason under another return code: for functions whose list of return codes has another
    /// word for the same thing (a key handle that is an unwrapping key's, say).
    pub fn recode(mut self, rv: Rv) -> Error {
        self.0.rv = rv;
        self
    }

    /// Puts `place` before the reason: `CKA_WRAP_TEMPLATE: ...`.
    #[cold]
    pub fn within(mut self, place: impl fmt::Display) -> Error {
        self.0.reason = Some(format!("{place}: {}", self.reason()).into());
        self
    }

    fn reason(&self) -> &str {
        self.0.reason.as_deref().unwrap_or(self.0.rv.sentence())
    }
}

impl From<Rv> for Error {
    #[cold]
    fn from(rv: Rv) -> Error {
        Error(Box::new(Refusal { rv, reason: None }))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rv().name(), self.reason())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {}

/// `fail!(AttributeValueInvalid, "CKA_VALUE_LEN: {} is no AES key size", n)` returns that error.
#[macro_export]
macro_rules! fail {
    ($rv:ident) => {
        return Err($crate::error::Error::from($crate::error::Rv::$rv))
    };
    ($rv:ident, $literal:literal) => {
        return Err($crate::error::Rv::$rv.refuse(format_args!($literal)))
    };
    ($rv:ident, $($reason:tt)+) => {
        return Err($crate::error::Rv::$rv.refuse(format_args!($($reason)+)))
    };
}
