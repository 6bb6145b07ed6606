//! Message-based encryption and signatures (sections 5.9, 5.11, 5.14 and 5.16 of 3.0): not offered.

use cryptoki_sys::*;

entry! {
    /// Not offered.
    unsupported fn C_MessageEncryptInit(
        session: CK_SESSION_HANDLE,
        mechanism: CK_MECHANISM_PTR,
        key: CK_OBJECT_HANDLE,
    );

    /// Not offered.
    unsupported fn C_EncryptMessage(
        session: CK_SESSION_HANDLE,
        parameter: CK_VOID_PTR,
        parameter_len: CK_ULONG,
        associated_data: CK_BYTE_PTR,
        associated_data_len: CK_ULONG,
        plaintext: CK_BYTE_PTR,
        plaintext_len: CK_ULONG,
        ciphertext: CK_BYTE_PTR,
        ciphertext_len: CK_ULONG_PTR,
    );

    /// Not offered.
    unsupported fn C_EncryptMessageBegin(
        session: CK_SESSION_HANDLE,
        parameter: CK_VOID_PTR,
        parameter_len: CK_ULONG,
        associated_data: CK_BYTE_PTR,
        associated_data_len: CK_ULONG,
    );

    /// Not offered.
    unsupported fn C_EncryptMessageNext(
        session: CK_SESSION_HANDLE,
        parameter: CK_VOID_PTR,
        parameter_len: CK_ULONG,
        plaintext: CK_BYTE_PTR,
        plaintext_len: CK_ULONG,
        ciphertext: CK_BYTE_PTR,
        ciphertext_len: CK_ULONG_PTR,
        flags: CK_FLAGS,
    );

    /// Not offered.
    unsupported fn C_MessageEncryptFinal(session: CK_SESSION_HANDLE);

    /// Not offered.
    unsupported fn C_MessageDecryptInit(
        session: CK_SESSION_HANDLE,
        mechanism: CK_MECHANISM_PTR,
        key: CK_OBJECT_HANDLE,
    );

    /// Not offered.
    unsupported fn C_DecryptMessage(
        session: CK_SESSION_HANDLE,
        parameter: CK_VOID_PTR,
        parameter_len: CK_ULONG,
        associated_data: CK_BYTE_PTR,
        associated_data_len: CK_ULONG,
        ciphertext: CK_BYTE_PTR,
        ciphertext_len: CK_ULONG,
        plaintext: CK_BYTE_PTR,
        plaintext_len: CK_ULONG_PTR,
    );

    /// Not offered.
    unsupported fn C_DecryptMessageBegin(
        session: CK_SESSION_HANDLE,
        parameter: CK_VOID_PTR,
        parameter_len: CK_ULONG,
        associated_data: CK_BYTE_PTR,
        associated_data_len: CK_ULONG,
    );

    /// Not offered.
    unsupported fn C_DecryptMessageNext(
        session: CK_SESSION_HANDLE,
        parameter: CK_VOID_PTR,
        parameter_len: CK_ULONG,
        ciphertext: CK_BYTE_PTR,
        ciphertext_len: CK_ULONG,
        plaintext: CK_BYTE_PTR,
        plaintext_len: CK_ULONG_PTR,
        flags: CK_FLAGS,
    );

    /// Not offered.
    unsupported fn C_MessageDecryptFinal(session: CK_SESSION_HANDLE);

    /// Not offered.
    unsupported fn C_MessageSignInit(
        session: CK_SESSION_HANDLE,
        mechanism: CK_MECHANISM_PTR,
        key: CK_OBJECT_HANDLE,
    );

    /// Not offered.
    unsupported fn C_SignMessage(
        session: CK_SESSION_HANDLE,
        parameter: CK_VOID_PTR,
        parameter_len: CK_ULONG,
        data: CK_BYTE_PTR,
        data_len: CK_ULONG,
        signature: CK_BYTE_PTR,
        signature_len: CK_ULONG_PTR,
    );

    /// Not offered.
    unsupported fn C_SignMessageBegin(
        session: CK_SESSION_HANDLE,
        parameter: CK_VOID_PTR,
        parameter_len: CK_ULONG,
    );

    /// Not offered.
    unsupported fn C_SignMessageNext(
        session: CK_SESSION_HANDLE,
        parameter: CK_VOID_PTR,
        parameter_len: CK_ULONG,
        data: CK_BYTE_PTR,
        data_len: CK_ULONG,
        signature: CK_BYTE_PTR,
        signature_len: CK_ULONG_PTR,
    );

    /// Not offered.
    unsupported fn C_MessageSignFinal(session: CK_SESSION_HANDLE);

    /// Not offered.
    unsupported fn C_MessageVerifyInit(
        session: CK_SESSION_HANDLE,
        mechanism: CK_MECHANISM_PTR,
        key: CK_OBJECT_HANDLE,
    );

    /// Not offered.
    unsupported fn C_VerifyMessage(
        session: CK_SESSION_HANDLE,
        parameter: CK_VOID_PTR,
        parameter_len: CK_ULONG,
        data: CK_BYTE_PTR,
        data_len: CK_ULONG,
        signature: CK_BYTE_PTR,
        signature_len: CK_ULONG,
    );

    /// Not offered.
    unsupported fn C_VerifyMessageBegin(
        session: CK_SESSION_HANDLE,
        parameter: CK_VOID_PTR,
        parameter_len: CK_ULONG,
    );

    /// Not offered.
    unsupported fn C_VerifyMessageNext(
        session: CK_SESSION_HANDLE,
        parameter: CK_VOID_PTR,
        parameter_len: CK_ULONG,
        data: CK_BYTE_PTR,
        data_len: CK_ULONG,
        signature: CK_BYTE_PTR,
        signature_len: CK_ULONG,
    );

    /// Not offered.
    unsupported fn C_MessageVerifyFinal(session: CK_SESSION_HANDLE);
}
