//! Every structure of cryptoki-sys 0.5 with all its fields: what Rust says of their layout and types, in C's words.

use coffer_pkcs11::abi::vendor::*;
use cryptoki_sys::*;
use std::mem::{offset_of, size_of};

pub struct Structure {
    pub name: &'static str,
    size: usize,
    fields: Vec<Field>,
}

struct Field {
    name: &'static str,
    offset: usize,
    rust_type: &'static str,
}

impl Structure {
    /// C that compiles only if the structure of this name has this size and its fields these offsets and types.
    pub fn assertions(&self) -> String {
        let Structure { name, size, fields } = self;
        let mut c = format!("_Static_assert(sizeof({name}) == {size}, \"size of {name}\");\n");
        for Field { name: rust_name, offset, rust_type } in fields {
            let field = c_name(name, rust_name);
            let pointer = declaration(rust_type, "*");
            c += &format!(
                "_Static_assert(offsetof({name}, {field}) == {offset}, \"offset of {name}.{field}\");\n\
                 _Static_assert(_Generic(&(({name} *)0)->{field}, {pointer}: 1, default: 0), \"type of {name}.{field}\");\n"
            );
        }
        c
    }
}

/// The standard's header and its text call some fields differently; cryptoki-sys follows the text.
fn c_name(structure: &str, field: &str) -> String {
    match (structure, field) {
        ("CK_KEA_DERIVE_PARAMS", "RandomA" | "RandomB" | "PublicData")
        | ("CK_X9_42_MQV_DERIVE_PARAMS", "OtherInfo" | "PublicData" | "PublicData2") => format!("p{field}"),
        (_, "type_") => "type".into(),
        _ => field.into(),
    }
}

/// `declarator` declared in C with a type given as [`std::any::type_name`] spells it.
fn declaration(rust_type: &str, declarator: &str) -> String {
    if let Some(target) = rust_type.strip_prefix("*mut ") {
        return declaration(target, &format!("*{declarator}"));
    }
    if let Some((element, length)) =
        rust_type.strip_prefix('[').and_then(|t| t.strip_suffix(']')?.split_once("; "))
    {
        return declaration(element, &format!("({declarator})[{length}]"));
    }
    let function = rust_type.strip_prefix("core::option::Option<unsafe extern \"C\" fn(");
    if let Some((arguments, result)) = function.and_then(|t| t.strip_suffix('>')?.rsplit_once(") -> ")) {
        let arguments: Vec<_> =
            split(arguments).into_iter().map(|argument| declaration(argument, "")).collect();
        return declaration(result, &format!("(*{declarator})({})", arguments.join(", ")));
    }
    let base = match rust_type.rsplit("::").next().unwrap_or(rust_type) {
        "u8" => "unsigned char",
        "u64" => "unsigned long",
        "c_void" => "void",
        structure => structure,
    };
    format!("{base} {declarator}")
}

/// Arguments at the commas that no bracket encloses.
fn split(arguments: &str) -> Vec<&str> {
    let mut depth = 0;
    arguments
        .split(|c| {
            depth += i32::from(c == '(') - i32::from(c == ')');
            c == ',' && depth == 0
        })
        .map(str::trim)
        .collect()
}

fn type_of<S, F>(_: impl Fn(&S) -> &F) -> &'static str {
    std::any::type_name::<F>()
}

macro_rules! structures {
    ($($name:ident { $($field:ident)* })*) => {
        vec![$(Structure {
            name: stringify!($name),
            size: size_of::<$name>(),
            fields: vec![$(Field {
                name: stringify!($field),
                offset: offset_of!($name, $field),
                rust_type: type_of(|structure: &$name| &structure.$field),
            }),*],
        }),*]
    };
}

/// Those of pkcs11.h.
#[rustfmt::skip]
pub fn standard() -> Vec<Structure> { structures! {
    CK_VERSION { major minor }
    CK_DATE { year month day }
    CK_INFO { cryptokiVersion manufacturerID flags libraryDescription libraryVersion }
    CK_SLOT_INFO { slotDescription manufacturerID flags hardwareVersion firmwareVersion }
    CK_TOKEN_INFO {
        label manufacturerID model serialNumber flags ulMaxSessionCount ulSessionCount ulMaxRwSessionCount
        ulRwSessionCount ulMaxPinLen ulMinPinLen ulTotalPublicMemory ulFreePublicMemory ulTotalPrivateMemory
        ulFreePrivateMemory hardwareVersion firmwareVersion utcTime
    }
    CK_SESSION_INFO { slotID state flags ulDeviceError }
    CK_ATTRIBUTE { type_ pValue ulValueLen }
    CK_MECHANISM { mechanism pParameter ulParameterLen }
    CK_MECHANISM_INFO { ulMinKeySize ulMaxKeySize flags }
    CK_KEY_DERIVATION_STRING_DATA { pData ulLen }
    CK_RSA_PKCS_OAEP_PARAMS { hashAlg mgf source pSourceData ulSourceDataLen }
    CK_RSA_PKCS_PSS_PARAMS { hashAlg mgf sLen }
    CK_RSA_AES_KEY_WRAP_PARAMS { ulAESKeyBits pOAEPParams }
    CK_DSA_PARAMETER_GEN_PARAM { hash pSeed ulSeedLen ulIndex }
    CK_ECDH1_DERIVE_PARAMS { kdf ulSharedDataLen pSharedData ulPublicDataLen pPublicData }
    CK_ECDH2_DERIVE_PARAMS {
        kdf ulSharedDataLen pSharedData ulPublicDataLen pPublicData ulPrivateDataLen hPrivateData
        ulPublicDataLen2 pPublicData2
    }
    CK_ECMQV_DERIVE_PARAMS {
        kdf ulSharedDataLen pSharedData ulPublicDataLen pPublicData ulPrivateDataLen hPrivateData
        ulPublicDataLen2 pPublicData2 publicKey
    }
    CK_ECDH_AES_KEY_WRAP_PARAMS { ulAESKeyBits kdf ulSharedDataLen pSharedData }
    CK_EDDSA_PARAMS { phFlag ulContextDataLen pContextData }
    CK_XEDDSA_PARAMS { hash }
    CK_X9_42_DH1_DERIVE_PARAMS { kdf ulOtherInfoLen pOtherInfo ulPublicDataLen pPublicData }
    CK_X9_42_DH2_DERIVE_PARAMS {
        kdf ulOtherInfoLen pOtherInfo ulPublicDataLen pPublicData ulPrivateDataLen hPrivateData
        ulPublicDataLen2 pPublicData2
    }
    CK_X9_42_MQV_DERIVE_PARAMS {
        kdf ulOtherInfoLen OtherInfo ulPublicDataLen PublicData ulPrivateDataLen hPrivateData ulPublicDataLen2
        PublicData2 publicKey
    }
    CK_SIGN_ADDITIONAL_CONTEXT { hedgeVariant pContext ulContextLen }
    CK_HASH_SIGN_ADDITIONAL_CONTEXT { hedgeVariant pContext ulContextLen hash }
    CK_GCM_PARAMS { pIv ulIvLen ulIvBits pAAD ulAADLen ulTagBits }
    CK_GCM_MESSAGE_PARAMS { pIv ulIvLen ulIvFixedBits ivGenerator pTag ulTagBits }
    CK_GCM_WRAP_PARAMS { pIv ulIvLen ulIvFixedBits ivGenerator pAAD ulAADLen ulTagBits }
    CK_CCM_PARAMS { ulDataLen pNonce ulNonceLen pAAD ulAADLen ulMACLen }
    CK_CCM_MESSAGE_PARAMS { ulDataLen pNonce ulNonceLen ulNonceFixedBits nonceGenerator pMAC ulMACLen }
    CK_CCM_WRAP_PARAMS { ulDataLen pNonce ulNonceLen ulNonceFixedBits nonceGenerator pAAD ulAADLen ulMACLen }
    CK_AES_CTR_PARAMS { ulCounterBits cb }
    CK_AES_CBC_ENCRYPT_DATA_PARAMS { iv pData length }
    CK_DES_CBC_ENCRYPT_DATA_PARAMS { iv pData length }
    CK_CAMELLIA_CTR_PARAMS { ulCounterBits cb }
    CK_CAMELLIA_CBC_ENCRYPT_DATA_PARAMS { iv pData length }
    CK_ARIA_CBC_ENCRYPT_DATA_PARAMS { iv pData length }
    CK_SEED_CBC_ENCRYPT_DATA_PARAMS { iv pData length }
    CK_AES_GCM_PARAMS { pIv ulIvLen ulIvBits pAAD ulAADLen ulTagBits }
    CK_AES_CCM_PARAMS { ulDataLen pNonce ulNonceLen pAAD ulAADLen ulMACLen }
    CK_CHACHA20_PARAMS { pBlockCounter blockCounterBits pNonce ulNonceBits }
    CK_SALSA20_PARAMS { pBlockCounter pNonce ulNonceBits }
    CK_SALSA20_CHACHA20_POLY1305_PARAMS { pNonce ulNonceLen pAAD ulAADLen }
    CK_SALSA20_CHACHA20_POLY1305_MSG_PARAMS { pNonce ulNonceLen pTag }
    CK_HKDF_PARAMS { bExtract bExpand prfHashMechanism ulSaltType pSalt ulSaltLen hSaltKey pInfo ulInfoLen }
    CK_DERIVED_KEY { pTemplate ulAttributeCount phKey }
    CK_PRF_DATA_PARAM { type_ pValue ulValueLen }
    CK_SP800_108_COUNTER_FORMAT { bLittleEndian ulWidthInBits }
    CK_SP800_108_DKM_LENGTH_FORMAT { dkmLengthMethod bLittleEndian ulWidthInBits }
    CK_SP800_108_KDF_PARAMS {
        prfType ulNumberOfDataParams pDataParams ulAdditionalDerivedKeys pAdditionalDerivedKeys
    }
    CK_SP800_108_FEEDBACK_KDF_PARAMS {
        prfType ulNumberOfDataParams pDataParams ulIVLen pIV ulAdditionalDerivedKeys pAdditionalDerivedKeys
    }
    CK_IKE2_PRF_PLUS_DERIVE_PARAMS { prfMechanism bHasSeedKey hSeedKey pSeedData ulSeedDataLen }
    CK_IKE_PRF_DERIVE_PARAMS { prfMechanism bDataAsKey bRekey pNi ulNiLen pNr ulNrLen hNewKey }
    CK_IKE1_PRF_DERIVE_PARAMS {
        prfMechanism bHasPrevKey hKeygxy hPrevKey pCKYi ulCKYiLen pCKYr ulCKYrLen keyNumber
    }
    CK_IKE1_EXTENDED_DERIVE_PARAMS { prfMechanism bHasKeygxy hKeygxy pExtraData ulExtraDataLen }
    CK_PKCS5_PBKD2_PARAMS2 {
        saltSource pSaltSourceData ulSaltSourceDataLen iterations prf pPrfData ulPrfDataLen pPassword
        ulPasswordLen
    }
    CK_PKCS5_PBKD2_PARAMS {
        saltSource pSaltSourceData ulSaltSourceDataLen iterations prf pPrfData ulPrfDataLen pPassword
        ulPasswordLen
    }
    CK_PBE_PARAMS { pInitVector pPassword ulPasswordLen pSalt ulSaltLen ulIteration }
    CK_SSL3_RANDOM_DATA { pClientRandom ulClientRandomLen pServerRandom ulServerRandomLen }
    CK_SSL3_MASTER_KEY_DERIVE_PARAMS { RandomInfo pVersion }
    CK_SSL3_KEY_MAT_OUT { hClientMacSecret hServerMacSecret hClientKey hServerKey pIVClient pIVServer }
    CK_SSL3_KEY_MAT_PARAMS {
        ulMacSizeInBits ulKeySizeInBits ulIVSizeInBits bIsExport RandomInfo pReturnedKeyMaterial
    }
    CK_TLS_PRF_PARAMS { pSeed ulSeedLen pLabel ulLabelLen pOutput pulOutputLen }
    CK_TLS12_MASTER_KEY_DERIVE_PARAMS { RandomInfo pVersion prfHashMechanism }
    CK_TLS12_KEY_MAT_PARAMS {
        ulMacSizeInBits ulKeySizeInBits ulIVSizeInBits bIsExport RandomInfo pReturnedKeyMaterial
        prfHashMechanism
    }
    CK_TLS12_EXTENDED_MASTER_KEY_DERIVE_PARAMS { prfHashMechanism pSessionHash ulSessionHashLen pVersion }
    CK_TLS_KDF_PARAMS { prfMechanism pLabel ulLabelLength RandomInfo pContextData ulContextDataLength }
    CK_TLS_MAC_PARAMS { prfHashMechanism ulMacLength ulServerOrClient }
    CK_WTLS_RANDOM_DATA { pClientRandom ulClientRandomLen pServerRandom ulServerRandomLen }
    CK_WTLS_MASTER_KEY_DERIVE_PARAMS { DigestMechanism RandomInfo pVersion }
    CK_WTLS_PRF_PARAMS { DigestMechanism pSeed ulSeedLen pLabel ulLabelLen pOutput pulOutputLen }
    CK_WTLS_KEY_MAT_OUT { hMacSecret hKey pIV }
    CK_WTLS_KEY_MAT_PARAMS {
        DigestMechanism ulMacSizeInBits ulKeySizeInBits ulIVSizeInBits ulSequenceNumber bIsExport RandomInfo
        pReturnedKeyMaterial
    }
    CK_CMS_SIG_PARAMS {
        certificateHandle pSigningMechanism pDigestMechanism pContentType pRequestedAttributes
        ulRequestedAttributesLen pRequiredAttributes ulRequiredAttributesLen
    }
    CK_OTP_PARAM { type_ pValue ulValueLen }
    CK_OTP_PARAMS { pParams ulCount }
    CK_OTP_SIGNATURE_INFO { pParams ulCount }
    CK_KIP_PARAMS { pMechanism hKey pSeed ulSeedLen }
    CK_GOSTR3410_DERIVE_PARAMS { kdf pPublicData ulPublicDataLen pUKM ulUKMLen }
    CK_GOSTR3410_KEY_WRAP_PARAMS { pWrapOID ulWrapOIDLen pUKM ulUKMLen hKey }
    CK_X3DH_INITIATE_PARAMS {
        kdf pPeer_identity pPeer_prekey pPrekey_signature pOnetime_key pOwn_identity pOwn_ephemeral
    }
    CK_X3DH_RESPOND_PARAMS {
        kdf pIdentity_id pPrekey_id pOnetime_id pInitiator_identity pInitiator_ephemeral
    }
    CK_X2RATCHET_INITIALIZE_PARAMS {
        sk peer_public_prekey peer_public_identity own_public_identity bEncryptedHeader eCurve aeadMechanism
        kdfMechanism
    }
    CK_X2RATCHET_RESPOND_PARAMS {
        sk own_prekey initiator_identity own_public_identity bEncryptedHeader eCurve aeadMechanism
        kdfMechanism
    }
    CK_RC2_CBC_PARAMS { ulEffectiveBits iv }
    CK_RC2_MAC_GENERAL_PARAMS { ulEffectiveBits ulMacLength }
    CK_RC5_PARAMS { ulWordsize ulRounds }
    CK_RC5_CBC_PARAMS { ulWordsize ulRounds pIv ulIvLen }
    CK_RC5_MAC_GENERAL_PARAMS { ulWordsize ulRounds ulMacLength }
    CK_KEA_DERIVE_PARAMS { isSender ulRandomLen RandomA RandomB ulPublicDataLen PublicData }
    CK_SKIPJACK_PRIVATE_WRAP_PARAMS {
        ulPasswordLen pPassword ulPublicDataLen pPublicData ulPAndGLen ulQLen ulRandomLen pRandomA pPrimeP
        pBaseG pSubprimeQ
    }
    CK_SKIPJACK_RELAYX_PARAMS {
        ulOldWrappedXLen pOldWrappedX ulOldPasswordLen pOldPassword ulOldPublicDataLen pOldPublicData
        ulOldRandomLen pOldRandomA ulNewPasswordLen pNewPassword ulNewPublicDataLen pNewPublicData
        ulNewRandomLen pNewRandomA
    }
    CK_KEY_WRAP_SET_OAEP_PARAMS { bBC pX ulXLen }
    CK_C_INITIALIZE_ARGS { CreateMutex DestroyMutex LockMutex UnlockMutex flags pReserved }
    CK_ASYNC_DATA { ulVersion pValue ulValue hObject hAdditionalObject }
    CK_INTERFACE { pInterfaceName pFunctionList flags }
    CK_FUNCTION_LIST {
        version C_Initialize C_Finalize C_GetInfo C_GetFunctionList C_GetSlotList C_GetSlotInfo C_GetTokenInfo
        C_GetMechanismList C_GetMechanismInfo C_InitToken C_InitPIN C_SetPIN C_OpenSession C_CloseSession
        C_CloseAllSessions C_GetSessionInfo C_GetOperationState C_SetOperationState C_Login C_Logout
        C_CreateObject C_CopyObject C_DestroyObject C_GetObjectSize C_GetAttributeValue C_SetAttributeValue
        C_FindObjectsInit C_FindObjects C_FindObjectsFinal C_EncryptInit C_Encrypt C_EncryptUpdate
        C_EncryptFinal C_DecryptInit C_Decrypt C_DecryptUpdate C_DecryptFinal C_DigestInit C_Digest
        C_DigestUpdate C_DigestKey C_DigestFinal C_SignInit C_Sign C_SignUpdate C_SignFinal C_SignRecoverInit
        C_SignRecover C_VerifyInit C_Verify C_VerifyUpdate C_VerifyFinal C_VerifyRecoverInit C_VerifyRecover
        C_DigestEncryptUpdate C_DecryptDigestUpdate C_SignEncryptUpdate C_DecryptVerifyUpdate C_GenerateKey
        C_GenerateKeyPair C_WrapKey C_UnwrapKey C_DeriveKey C_SeedRandom C_GenerateRandom C_GetFunctionStatus
        C_CancelFunction C_WaitForSlotEvent
    }
    CK_FUNCTION_LIST_3_0 {
        version C_Initialize C_Finalize C_GetInfo C_GetFunctionList C_GetSlotList C_GetSlotInfo C_GetTokenInfo
        C_GetMechanismList C_GetMechanismInfo C_InitToken C_InitPIN C_SetPIN C_OpenSession C_CloseSession
        C_CloseAllSessions C_GetSessionInfo C_GetOperationState C_SetOperationState C_Login C_Logout
        C_CreateObject C_CopyObject C_DestroyObject C_GetObjectSize C_GetAttributeValue C_SetAttributeValue
        C_FindObjectsInit C_FindObjects C_FindObjectsFinal C_EncryptInit C_Encrypt C_EncryptUpdate
        C_EncryptFinal C_DecryptInit C_Decrypt C_DecryptUpdate C_DecryptFinal C_DigestInit C_Digest
        C_DigestUpdate C_DigestKey C_DigestFinal C_SignInit C_Sign C_SignUpdate C_SignFinal C_SignRecoverInit
        C_SignRecover C_VerifyInit C_Verify C_VerifyUpdate C_VerifyFinal C_VerifyRecoverInit C_VerifyRecover
        C_DigestEncryptUpdate C_DecryptDigestUpdate C_SignEncryptUpdate C_DecryptVerifyUpdate C_GenerateKey
        C_GenerateKeyPair C_WrapKey C_UnwrapKey C_DeriveKey C_SeedRandom C_GenerateRandom C_GetFunctionStatus
        C_CancelFunction C_WaitForSlotEvent C_GetInterfaceList C_GetInterface C_LoginUser C_SessionCancel
        C_MessageEncryptInit C_EncryptMessage C_EncryptMessageBegin C_EncryptMessageNext C_MessageEncryptFinal
        C_MessageDecryptInit C_DecryptMessage C_DecryptMessageBegin C_DecryptMessageNext C_MessageDecryptFinal
        C_MessageSignInit C_SignMessage C_SignMessageBegin C_SignMessageNext C_MessageSignFinal
        C_MessageVerifyInit C_VerifyMessage C_VerifyMessageBegin C_VerifyMessageNext C_MessageVerifyFinal
    }
    CK_FUNCTION_LIST_3_2 {
        version C_Initialize C_Finalize C_GetInfo C_GetFunctionList C_GetSlotList C_GetSlotInfo C_GetTokenInfo
        C_GetMechanismList C_GetMechanismInfo C_InitToken C_InitPIN C_SetPIN C_OpenSession C_CloseSession
        C_CloseAllSessions C_GetSessionInfo C_GetOperationState C_SetOperationState C_Login C_Logout
        C_CreateObject C_CopyObject C_DestroyObject C_GetObjectSize C_GetAttributeValue C_SetAttributeValue
        C_FindObjectsInit C_FindObjects C_FindObjectsFinal C_EncryptInit C_Encrypt C_EncryptUpdate
        C_EncryptFinal C_DecryptInit C_Decrypt C_DecryptUpdate C_DecryptFinal C_DigestInit C_Digest
        C_DigestUpdate C_DigestKey C_DigestFinal C_SignInit C_Sign C_SignUpdate C_SignFinal C_SignRecoverInit
        C_SignRecover C_VerifyInit C_Verify C_VerifyUpdate C_VerifyFinal C_VerifyRecoverInit C_VerifyRecover
        C_DigestEncryptUpdate C_DecryptDigestUpdate C_SignEncryptUpdate C_DecryptVerifyUpdate C_GenerateKey
        C_GenerateKeyPair C_WrapKey C_UnwrapKey C_DeriveKey C_SeedRandom C_GenerateRandom C_GetFunctionStatus
        C_CancelFunction C_WaitForSlotEvent C_GetInterfaceList C_GetInterface C_LoginUser C_SessionCancel
        C_MessageEncryptInit C_EncryptMessage C_EncryptMessageBegin C_EncryptMessageNext C_MessageEncryptFinal
        C_MessageDecryptInit C_DecryptMessage C_DecryptMessageBegin C_DecryptMessageNext C_MessageDecryptFinal
        C_MessageSignInit C_SignMessage C_SignMessageBegin C_SignMessageNext C_MessageSignFinal
        C_MessageVerifyInit C_VerifyMessage C_VerifyMessageBegin C_VerifyMessageNext C_MessageVerifyFinal
        C_EncapsulateKey C_DecapsulateKey C_VerifySignatureInit C_VerifySignature C_VerifySignatureUpdate
        C_VerifySignatureFinal C_GetSessionValidationFlags C_AsyncComplete C_AsyncGetID C_AsyncJoin
        C_WrapKeyAuthenticated C_UnwrapKeyAuthenticated
    }
} }

/// Those of the two vendor headers.
#[rustfmt::skip]
pub fn vendor() -> Vec<Structure> { structures! {
    CK_CLOUDHSM_SP800_108_COUNTER_FORMAT { ulWidthInBits }
    CK_CLOUDHSM_SP800_108_DKM_LENGTH_FORMAT { dkmLengthMethod ulWidthInBits }
    CK_CLOUDHSM_SP800_108_KDF_PARAMS { prftype ulNumberOfDataParams pDataParams }
    CK_COFFER_ML_KEM_PARAMS { pCiphertext ulCiphertextLen }
    CK_COFFER_USER { name ulNameLen userType ulTriesLeft flags }
    CK_COFFER_AUDIT_VERDICT { ulLines ulSigned ulFaults }
    CK_COFFER_VERDICT { ulObjects ulOpened ulFaults }
    CK_COFFER_APPROVAL { user ulService ulRequired ulGiven ulSeconds }
    CK_COFFER_FUNCTION_LIST {
        version CreateUser DeleteUser SetUserPIN SetUserType UnlockUser ListUsers GetLogin ShareObject
        UnshareObject ListAccess SetLimitedWrite RenameToken DestroyToken BackupToken RestoreToken VerifyToken
        VerifyAudit RequestApproval AddApproval RegisterApprover ListApprovals DeleteApprovals SetQuorumValue
        GetQuorumValue BackupTokenForEscrow RestoreTokenByEscrow RepairToken
    }
} }
