//! Message-based encryption and decryption (sections 5.9 and 5.11).

use super::buffer::owned;
use super::entry::Call;
use crate::crypto::Direction::{self, Decrypt, Encrypt};
use crate::error::Result;
use cryptoki_sys::*;

entry! {
    /// Begins a sequence of messages to encrypt.
    fn C_MessageEncryptInit(call, session: CK_SESSION_HANDLE, mechanism: CK_MECHANISM_PTR, key: CK_OBJECT_HANDLE) {
        init(&call, Encrypt, session, mechanism, key)
    }

    /// Encrypts a message in one piece.
    fn C_EncryptMessage(
        call,
        session: CK_SESSION_HANDLE,
        parameter: CK_VOID_PTR,
        parameter_len: CK_ULONG,
        associated_data: CK_BYTE_PTR,
        associated_data_len: CK_ULONG,
        plaintext: CK_BYTE_PTR,
        plaintext_len: CK_ULONG,
        ciphertext: CK_BYTE_PTR,
        ciphertext_len: CK_ULONG_PTR,
    ) {
        let session = call.session(session)?;
        let mut both = call.in_output(plaintext, plaintext_len, ciphertext, ciphertext_len)?;
        let associated_data = both.apart(call.input(associated_data, associated_data_len)?)?;
        let (message, query) = (call.message(parameter, parameter_len)?, both.is_query());
        let answer = session.message(Encrypt, message, &associated_data, both.io(), query)?;
        both.settle(answer)
    }

    /// Begins a message in parts.
    fn C_EncryptMessageBegin(
        call,
        session: CK_SESSION_HANDLE,
        parameter: CK_VOID_PTR,
        parameter_len: CK_ULONG,
        associated_data: CK_BYTE_PTR,
        associated_data_len: CK_ULONG,
    ) {
        let session = call.session(session)?;
        let associated_data = owned(call.input(associated_data, associated_data_len)?)?;
        session.message_begin(Encrypt, call.message(parameter, parameter_len)?, associated_data)
    }

    /// Encrypts a part of a message.
    fn C_EncryptMessageNext(
        call,
        session: CK_SESSION_HANDLE,
        parameter: CK_VOID_PTR,
        parameter_len: CK_ULONG,
        plaintext: CK_BYTE_PTR,
        plaintext_len: CK_ULONG,
        ciphertext: CK_BYTE_PTR,
        ciphertext_len: CK_ULONG_PTR,
        flags: CK_FLAGS,
    ) {
        let (parameter, input, output) = ((parameter, parameter_len), (plaintext, plaintext_len), (ciphertext, ciphertext_len));
        next(&call, Encrypt, session, parameter, input, output, flags)
    }

    /// Ends a sequence of messages.
    fn C_MessageEncryptFinal(call, session: CK_SESSION_HANDLE) {
        call.session(session)?.messages_final(Encrypt)
    }

    /// Begins a sequence of messages to decrypt.
    fn C_MessageDecryptInit(call, session: CK_SESSION_HANDLE, mechanism: CK_MECHANISM_PTR, key: CK_OBJECT_HANDLE) {
        init(&call, Decrypt, session, mechanism, key)
    }

    /// Decrypts a message in one piece.
    fn C_DecryptMessage(
        call,
        session: CK_SESSION_HANDLE,
        parameter: CK_VOID_PTR,
        parameter_len: CK_ULONG,
        associated_data: CK_BYTE_PTR,
        associated_data_len: CK_ULONG,
        ciphertext: CK_BYTE_PTR,
        ciphertext_len: CK_ULONG,
        plaintext: CK_BYTE_PTR,
        plaintext_len: CK_ULONG_PTR,
    ) {
        let session = call.session(session)?;
        let mut both = call.in_output(ciphertext, ciphertext_len, plaintext, plaintext_len)?;
        let associated_data = both.apart(call.input(associated_data, associated_data_len)?)?;
        let (message, query) = (call.message(parameter, parameter_len)?, both.is_query());
        let answer = session.message(Decrypt, message, &associated_data, both.io(), query)?;
        both.settle(answer)
    }

    /// Begins a message in parts.
    fn C_DecryptMessageBegin(
        call,
        session: CK_SESSION_HANDLE,
        parameter: CK_VOID_PTR,
        parameter_len: CK_ULONG,
        associated_data: CK_BYTE_PTR,
        associated_data_len: CK_ULONG,
    ) {
        let session = call.session(session)?;
        let associated_data = owned(call.input(associated_data, associated_data_len)?)?;
        session.message_begin(Decrypt, call.message(parameter, parameter_len)?, associated_data)
    }

    /// Decrypts a part of a message.
    fn C_DecryptMessageNext(
        call,
        session: CK_SESSION_HANDLE,
        parameter: CK_VOID_PTR,
        parameter_len: CK_ULONG,
        ciphertext: CK_BYTE_PTR,
        ciphertext_len: CK_ULONG,
        plaintext: CK_BYTE_PTR,
        plaintext_len: CK_ULONG_PTR,
        flags: CK_FLAGS,
    ) {
        let (parameter, input, output) = ((parameter, parameter_len), (ciphertext, ciphertext_len), (plaintext, plaintext_len));
        next(&call, Decrypt, session, parameter, input, output, flags)
    }

    /// Ends a sequence of messages.
    fn C_MessageDecryptFinal(call, session: CK_SESSION_HANDLE) {
        call.session(session)?.messages_final(Decrypt)
    }
}

fn init(
    call: &Call<'_>,
    way: Direction,
    session: CK_SESSION_HANDLE,
    mechanism: *const CK_MECHANISM,
    key: CK_OBJECT_HANDLE,
) -> Result<()> {
    let session = call.session(session)?;
    session.message_functions()?;
    if mechanism.is_null() {
        session.cancel(match way {
            Encrypt => CKF_MESSAGE_ENCRYPT,
            Decrypt => CKF_MESSAGE_DECRYPT,
        });
        return Ok(());
    }
    let mechanism = call.read(mechanism)?;
    let row = session.mechanism(mechanism.mechanism)?;
    if row.message.is_some() {
        call.no_message(&mechanism).map_err(|error| error.within(row.name))?;
    }
    session.messages_init(way, row, key)
}

fn next(
    call: &Call<'_>,
    way: Direction,
    session: CK_SESSION_HANDLE,
    (parameter, parameter_len): (CK_VOID_PTR, CK_ULONG),
    (input, input_len): (*mut CK_BYTE, CK_ULONG),
    (output, output_len): (*mut CK_BYTE, *mut CK_ULONG),
    flags: CK_FLAGS,
) -> Result<()> {
    let session = call.session(session)?;
    let mut both = call.in_output(input, input_len, output, output_len)?;
    let last = match flags {
        0 => None,
        CKF_END_OF_MESSAGE => Some(call.message(parameter, parameter_len)?),
        other => fail!(ArgumentsBad, "flags {other:#x}"),
    };
    let query = both.is_query();
    let answer = session.message_next(way, last, both.io(), query)?;
    both.settle(answer)
}
