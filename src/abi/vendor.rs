//! The parameter structures of CloudHSM's and Coffer's own mechanisms.
//! Made from include/*.h by `COFFER_REGENERATE=1 cargo check --features bindgen`, not by hand.
#![allow(missing_docs)] // The headers say what each is.
#![allow(non_camel_case_types, non_snake_case)]
#![allow(dead_code)] // C names a pointer type beside each structure.
use cryptoki_sys::{CK_BYTE_PTR, CK_MECHANISM_TYPE, CK_PRF_DATA_PARAM_PTR, CK_ULONG};

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
