//! The parameter structures of CloudHSM's and Coffer's own mechanisms.
//! Made from include/*.h by `COFFER_REGENERATE=1 cargo check --features bindgen`, not by hand.
#![allow(missing_docs)] // The headers say what each is.
#![allow(non_camel_case_types, non_snake_case)]
#![allow(dead_code)] // C names a pointer type beside each structure.
use cryptoki_sys::*;

pub type CK_PRF_TYPE = CK_MECHANISM_TYPE;
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct CK_CLOUDHSM_SP800_108_COUNTER_FORMAT {
    pub ulWidthInBits: CK_ULONG,
}
pub type CK_CLOUDHSM_SP800_108_COUNTER_FORMAT_PTR = *mut CK_CLOUDHSM_SP800_108_COUNTER_FORMAT;
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct CK_CLOUDHSM_SP800_108_DKM_LENGTH_FORMAT {
    pub dkmLengthMethod: CK_ULONG,
    pub ulWidthInBits: CK_ULONG,
}
pub type CK_CLOUDHSM_SP800_108_DKM_LENGTH_FORMAT_PTR = *mut CK_CLOUDHSM_SP800_108_DKM_LENGTH_FORMAT;
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct CK_CLOUDHSM_SP800_108_KDF_PARAMS {
    pub prftype: CK_PRF_TYPE,
    pub ulNumberOfDataParams: CK_ULONG,
    pub pDataParams: CK_PRF_DATA_PARAM_PTR,
}
pub type CK_CLOUDHSM_SP800_108_KDF_PARAMS_PTR = *mut CK_CLOUDHSM_SP800_108_KDF_PARAMS;
pub type CK_CLOUDHSM_ML_DSA_PARAMETER_SET_TYPE = CK_ULONG;
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct CK_COFFER_ML_KEM_PARAMS {
    pub pCiphertext: CK_BYTE_PTR,
    pub ulCiphertextLen: CK_ULONG,
}
pub type CK_COFFER_ML_KEM_PARAMS_PTR = *mut CK_COFFER_ML_KEM_PARAMS;
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct CK_COFFER_USER {
    pub name: [CK_UTF8CHAR; 64usize],
    pub ulNameLen: CK_ULONG,
    pub userType: CK_USER_TYPE,
    pub ulTriesLeft: CK_ULONG,
    pub flags: CK_FLAGS,
}
pub type CK_COFFER_USER_PTR = *mut CK_COFFER_USER;
pub type CK_COFFER_NOTIFY = ::std::option::Option<
    unsafe extern "C" fn(
        pContext: CK_VOID_PTR,
        ulDone: CK_ULONG,
        ulTotal: CK_ULONG,
        pText: CK_UTF8CHAR_PTR,
        ulTextLen: CK_ULONG,
    ) -> CK_RV,
>;
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct CK_COFFER_VERDICT {
    pub ulObjects: CK_ULONG,
    pub ulOpened: CK_ULONG,
    pub ulFaults: CK_ULONG,
}
pub type CK_COFFER_VERDICT_PTR = *mut CK_COFFER_VERDICT;
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct CK_COFFER_AUDIT_VERDICT {
    pub ulLines: CK_ULONG,
    pub ulSigned: CK_ULONG,
    pub ulFaults: CK_ULONG,
}
pub type CK_COFFER_AUDIT_VERDICT_PTR = *mut CK_COFFER_AUDIT_VERDICT;
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct CK_COFFER_APPROVAL {
    pub user: CK_COFFER_USER,
    pub ulService: CK_ULONG,
    pub ulRequired: CK_ULONG,
    pub ulGiven: CK_ULONG,
    pub ulSeconds: CK_ULONG,
}
pub type CK_COFFER_APPROVAL_PTR = *mut CK_COFFER_APPROVAL;
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct CK_COFFER_FUNCTION_LIST {
    pub version: CK_VERSION,
    pub CreateUser: ::std::option::Option<
        unsafe extern "C" fn(
            hSession: CK_SESSION_HANDLE,
            userType: CK_USER_TYPE,
            pName: CK_UTF8CHAR_PTR,
            ulNameLen: CK_ULONG,
            pPin: CK_UTF8CHAR_PTR,
            ulPinLen: CK_ULONG,
        ) -> CK_RV,
    >,
    pub DeleteUser: ::std::option::Option<
        unsafe extern "C" fn(
            hSession: CK_SESSION_HANDLE,
            userType: CK_USER_TYPE,
            pName: CK_UTF8CHAR_PTR,
            ulNameLen: CK_ULONG,
        ) -> CK_RV,
    >,
    pub SetUserPIN: ::std::option::Option<
        unsafe extern "C" fn(
            hSession: CK_SESSION_HANDLE,
            userType: CK_USER_TYPE,
            pName: CK_UTF8CHAR_PTR,
            ulNameLen: CK_ULONG,
            pPin: CK_UTF8CHAR_PTR,
            ulPinLen: CK_ULONG,
        ) -> CK_RV,
    >,
    pub SetUserType: ::std::option::Option<
        unsafe extern "C" fn(
            hSession: CK_SESSION_HANDLE,
            newType: CK_USER_TYPE,
            pName: CK_UTF8CHAR_PTR,
            ulNameLen: CK_ULONG,
            pPin: CK_UTF8CHAR_PTR,
            ulPinLen: CK_ULONG,
        ) -> CK_RV,
    >,
    pub UnlockUser: ::std::option::Option<
        unsafe extern "C" fn(
            hSession: CK_SESSION_HANDLE,
            userType: CK_USER_TYPE,
            pName: CK_UTF8CHAR_PTR,
            ulNameLen: CK_ULONG,
        ) -> CK_RV,
    >,
    pub ListUsers: ::std::option::Option<
        unsafe extern "C" fn(
            hSession: CK_SESSION_HANDLE,
            pUsers: CK_COFFER_USER_PTR,
            pulCount: CK_ULONG_PTR,
        ) -> CK_RV,
    >,
    pub GetLogin: ::std::option::Option<
        unsafe extern "C" fn(hSession: CK_SESSION_HANDLE, pUser: CK_COFFER_USER_PTR) -> CK_RV,
    >,
    pub ShareObject: ::std::option::Option<
        unsafe extern "C" fn(
            hSession: CK_SESSION_HANDLE,
            hObject: CK_OBJECT_HANDLE,
            pName: CK_UTF8CHAR_PTR,
            ulNameLen: CK_ULONG,
        ) -> CK_RV,
    >,
    pub UnshareObject: ::std::option::Option<
        unsafe extern "C" fn(
            hSession: CK_SESSION_HANDLE,
            hObject: CK_OBJECT_HANDLE,
            pName: CK_UTF8CHAR_PTR,
            ulNameLen: CK_ULONG,
        ) -> CK_RV,
    >,
    pub ListAccess: ::std::option::Option<
        unsafe extern "C" fn(
            hSession: CK_SESSION_HANDLE,
            hObject: CK_OBJECT_HANDLE,
            pOwner: CK_COFFER_USER_PTR,
            pUsers: CK_COFFER_USER_PTR,
            pulCount: CK_ULONG_PTR,
        ) -> CK_RV,
    >,
    pub SetLimitedWrite:
        ::std::option::Option<unsafe extern "C" fn(hSession: CK_SESSION_HANDLE, bOn: CK_BBOOL) -> CK_RV>,
    pub RenameToken: ::std::option::Option<
        unsafe extern "C" fn(
            hSession: CK_SESSION_HANDLE,
            pLabel: CK_UTF8CHAR_PTR,
            ulLabelLen: CK_ULONG,
        ) -> CK_RV,
    >,
    pub DestroyToken: ::std::option::Option<
        unsafe extern "C" fn(slotID: CK_SLOT_ID, pPin: CK_UTF8CHAR_PTR, ulPinLen: CK_ULONG) -> CK_RV,
    >,
    pub BackupToken: ::std::option::Option<
        unsafe extern "C" fn(
            hSession: CK_SESSION_HANDLE,
            pPath: CK_UTF8CHAR_PTR,
            ulPathLen: CK_ULONG,
        ) -> CK_RV,
    >,
    pub RestoreToken: ::std::option::Option<
        unsafe extern "C" fn(
            pPath: CK_UTF8CHAR_PTR,
            ulPathLen: CK_ULONG,
            userType: CK_USER_TYPE,
            pName: CK_UTF8CHAR_PTR,
            ulNameLen: CK_ULONG,
            pPin: CK_UTF8CHAR_PTR,
            ulPinLen: CK_ULONG,
            pSlotID: CK_SLOT_ID_PTR,
        ) -> CK_RV,
    >,
    pub VerifyToken: ::std::option::Option<
        unsafe extern "C" fn(
            hSession: CK_SESSION_HANDLE,
            fNotify: CK_COFFER_NOTIFY,
            pContext: CK_VOID_PTR,
            pVerdict: CK_COFFER_VERDICT_PTR,
        ) -> CK_RV,
    >,
    pub VerifyAudit: ::std::option::Option<
        unsafe extern "C" fn(
            hSession: CK_SESSION_HANDLE,
            bFaultsOnly: CK_BBOOL,
            fNotify: CK_COFFER_NOTIFY,
            pContext: CK_VOID_PTR,
            pVerdict: CK_COFFER_AUDIT_VERDICT_PTR,
        ) -> CK_RV,
    >,
    pub RequestApproval: ::std::option::Option<
        unsafe extern "C" fn(
            hSession: CK_SESSION_HANDLE,
            ulService: CK_ULONG,
            hObject: CK_OBJECT_HANDLE,
            pApproval: CK_BYTE_PTR,
            pulApprovalLen: CK_ULONG_PTR,
        ) -> CK_RV,
    >,
    pub AddApproval: ::std::option::Option<
        unsafe extern "C" fn(
            hSession: CK_SESSION_HANDLE,
            pApproval: CK_BYTE_PTR,
            ulApprovalLen: CK_ULONG,
            userType: CK_USER_TYPE,
            pName: CK_UTF8CHAR_PTR,
            ulNameLen: CK_ULONG,
            pSignature: CK_BYTE_PTR,
            ulSignatureLen: CK_ULONG,
        ) -> CK_RV,
    >,
    pub RegisterApprover: ::std::option::Option<
        unsafe extern "C" fn(
            hSession: CK_SESSION_HANDLE,
            pPublicKey: CK_BYTE_PTR,
            ulPublicKeyLen: CK_ULONG,
            pSignature: CK_BYTE_PTR,
            ulSignatureLen: CK_ULONG,
        ) -> CK_RV,
    >,
    pub ListApprovals: ::std::option::Option<
        unsafe extern "C" fn(
            hSession: CK_SESSION_HANDLE,
            pApprovals: CK_COFFER_APPROVAL_PTR,
            pulCount: CK_ULONG_PTR,
        ) -> CK_RV,
    >,
    pub DeleteApprovals:
        ::std::option::Option<unsafe extern "C" fn(hSession: CK_SESSION_HANDLE, bAll: CK_BBOOL) -> CK_RV>,
    pub SetQuorumValue: ::std::option::Option<
        unsafe extern "C" fn(hSession: CK_SESSION_HANDLE, ulService: CK_ULONG, ulValue: CK_ULONG) -> CK_RV,
    >,
    pub GetQuorumValue: ::std::option::Option<
        unsafe extern "C" fn(
            hSession: CK_SESSION_HANDLE,
            ulService: CK_ULONG,
            pulValue: CK_ULONG_PTR,
        ) -> CK_RV,
    >,
    pub BackupTokenForEscrow: ::std::option::Option<
        unsafe extern "C" fn(
            hSession: CK_SESSION_HANDLE,
            pPath: CK_UTF8CHAR_PTR,
            ulPathLen: CK_ULONG,
            pEscrowKey: CK_BYTE_PTR,
            ulEscrowKeyLen: CK_ULONG,
            fNotify: CK_COFFER_NOTIFY,
            pContext: CK_VOID_PTR,
        ) -> CK_RV,
    >,
    pub RestoreTokenByEscrow: ::std::option::Option<
        unsafe extern "C" fn(
            pPath: CK_UTF8CHAR_PTR,
            ulPathLen: CK_ULONG,
            pSeed: CK_BYTE_PTR,
            ulSeedLen: CK_ULONG,
            pSoPin: CK_UTF8CHAR_PTR,
            ulSoPinLen: CK_ULONG,
            fNotify: CK_COFFER_NOTIFY,
            pContext: CK_VOID_PTR,
            pSlotID: CK_SLOT_ID_PTR,
        ) -> CK_RV,
    >,
    pub RepairToken: ::std::option::Option<
        unsafe extern "C" fn(
            slotID: CK_SLOT_ID,
            userType: CK_USER_TYPE,
            pName: CK_UTF8CHAR_PTR,
            ulNameLen: CK_ULONG,
            pPin: CK_UTF8CHAR_PTR,
            ulPinLen: CK_ULONG,
            bAccept: CK_BBOOL,
            fNotify: CK_COFFER_NOTIFY,
            pContext: CK_VOID_PTR,
            pVerdict: CK_COFFER_VERDICT_PTR,
        ) -> CK_RV,
    >,
}
pub type CK_COFFER_FUNCTION_LIST_PTR = *mut CK_COFFER_FUNCTION_LIST;
