//! The functions by the version of the standard that brought them, and the lists made of them (section 5.4).
//!
//! A name that is missing, unknown or has another signature than the list's field does not compile.

use super::buffer::Caller;
use super::{cipher::*, digest::*, general::*, key::*, message::*, object::*, session::*, sign::*};
use super::{sign_message::*, slot::*, vendor_interface};
use crate::error::Result;
use cryptoki_sys::*;
use std::ptr;

macro_rules! function_lists {
    ([$($v2_40:ident)*] [$($v3_0:ident)*] [$($v3_2:ident)*]) => {
        /// What C_GetFunctionList gives. It says 2.40: callers take one that says more for a longer list.
        pub static V2_40: CK_FUNCTION_LIST = CK_FUNCTION_LIST {
            version: CK_VERSION { major: 2, minor: 40 },
            $($v2_40: Some($v2_40),)*
        };

        static V3_0: CK_FUNCTION_LIST_3_0 = CK_FUNCTION_LIST_3_0 {
            version: CK_VERSION { major: 3, minor: 0 },
            $($v2_40: Some($v2_40),)*
            $($v3_0: Some($v3_0),)*
        };

        static V3_2: CK_FUNCTION_LIST_3_2 = CK_FUNCTION_LIST_3_2 {
            version: CK_VERSION { major: 3, minor: 2 },
            $($v2_40: Some($v2_40),)*
            $($v3_0: Some($v3_0),)*
            $($v3_2: Some($v3_2),)*
        };
    };
}

function_lists! {
    [
        C_Initialize C_Finalize C_GetInfo C_GetFunctionList
        C_GetSlotList C_GetSlotInfo C_GetTokenInfo C_GetMechanismList C_GetMechanismInfo
        C_InitToken C_InitPIN C_SetPIN
        C_OpenSession C_CloseSession C_CloseAllSessions C_GetSessionInfo
        C_GetOperationState C_SetOperationState C_Login C_Logout
        C_CreateObject C_CopyObject C_DestroyObject C_GetObjectSize C_GetAttributeValue C_SetAttributeValue
        C_FindObjectsInit C_FindObjects C_FindObjectsFinal
        C_EncryptInit C_Encrypt C_EncryptUpdate C_EncryptFinal
        C_DecryptInit C_Decrypt C_DecryptUpdate C_DecryptFinal
        C_DigestInit C_Digest C_DigestUpdate C_DigestKey C_DigestFinal
        C_SignInit C_Sign C_SignUpdate C_SignFinal C_SignRecoverInit C_SignRecover
        C_VerifyInit C_Verify C_VerifyUpdate C_VerifyFinal C_VerifyRecoverInit C_VerifyRecover
        C_DigestEncryptUpdate C_DecryptDigestUpdate C_SignEncryptUpdate C_DecryptVerifyUpdate
        C_GenerateKey C_GenerateKeyPair C_WrapKey C_UnwrapKey C_DeriveKey
        C_SeedRandom C_GenerateRandom C_GetFunctionStatus C_CancelFunction C_WaitForSlotEvent
    ]
    [
        C_GetInterfaceList C_GetInterface C_LoginUser C_SessionCancel
        C_MessageEncryptInit C_EncryptMessage C_EncryptMessageBegin C_EncryptMessageNext C_MessageEncryptFinal
        C_MessageDecryptInit C_DecryptMessage C_DecryptMessageBegin C_DecryptMessageNext C_MessageDecryptFinal
        C_MessageSignInit C_SignMessage C_SignMessageBegin C_SignMessageNext C_MessageSignFinal
        C_MessageVerifyInit C_VerifyMessage C_VerifyMessageBegin C_VerifyMessageNext C_MessageVerifyFinal
    ]
    [
        C_EncapsulateKey C_DecapsulateKey
        C_VerifySignatureInit C_VerifySignature C_VerifySignatureUpdate C_VerifySignatureFinal
        C_GetSessionValidationFlags C_AsyncComplete C_AsyncGetID C_AsyncJoin
        C_WrapKeyAuthenticated C_UnwrapKeyAuthenticated
    ]
}

const NAME: &[u8] = b"PKCS 11\0";

#[repr(transparent)]
struct Interfaces([CK_INTERFACE; 4]);

// SAFETY: its pointers are to statics that nobody writes.
unsafe impl Sync for Interfaces {}

/// Newest first: the first that fits is given. The lists of 3.x begin with one another's functions, so who
/// asks for any version and knows 3.0 can use 3.2. No flags: a child must initialise again, so the fork
/// tolerance that CKF_INTERFACE_FORK_SAFE promises (sessions and handles that go on) is not there.
static INTERFACES: Interfaces = Interfaces([
    interface(NAME, &raw const V3_2),
    interface(NAME, &raw const V3_0),
    interface(NAME, &raw const V2_40),
    interface(vendor_interface::NAME, &raw const vendor_interface::V1_0),
]);

const fn interface<T>(name: &'static [u8], list: *const T) -> CK_INTERFACE {
    CK_INTERFACE { pInterfaceName: name.as_ptr().cast_mut(), pFunctionList: list.cast_mut().cast(), flags: 0 }
}

/// All interfaces.
pub fn interfaces() -> &'static [CK_INTERFACE] {
    &INTERFACES.0
}

/// The first interface of that name, version and flags, where they are given.
///
/// # Errors
/// CKR_ARGUMENTS_BAD if there is none.
pub fn find(
    caller: &Caller,
    name: *const CK_UTF8CHAR,
    version: *const CK_VERSION,
    flags: CK_FLAGS,
) -> Result<*const CK_INTERFACE> {
    // Who names none wants the standard's.
    let name = if name.is_null() { &NAME[..NAME.len() - 1] } else { caller.c_string(name)? };
    let version = if version.is_null() { None } else { Some(caller.read(version)?) };
    let fits = |interface: &&CK_INTERFACE| {
        // Every list begins with its version.
        let has = caller.read(interface.pFunctionList.cast::<CK_VERSION>());
        let same =
            |wanted: CK_VERSION| has.is_ok_and(|has| (has.major, has.minor) == (wanted.major, wanted.minor));
        let named = caller.c_string(interface.pInterfaceName).is_ok_and(|has| has == name);
        named && version.is_none_or(same) && interface.flags & flags == flags
    };
    match interfaces().iter().find(fits) {
        Some(interface) => Ok(ptr::from_ref(interface)),
        None => {
            let name = String::from_utf8_lossy(name);
            fail!(ArgumentsBad, "there is no interface {name:?} of this version with flags {flags:#x}")
        }
    }
}
