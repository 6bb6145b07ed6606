//! Message-based signatures and MACs, and their verification (sections 5.14 and 5.17).

use super::buffer::Caller;
use crate::error::Result;
use cryptoki_sys::*;

entry! {
    /// Begins a sequence of messages to sign.
    fn C_MessageSignInit(call, session: CK_SESSION_HANDLE, mechanism: CK_MECHANISM_PTR, key: CK_OBJECT_HANDLE) {
        let session = call.session(session)?;
        session.message_functions()?;
        call.begin(&session, mechanism, CKF_MESSAGE_SIGN, |row, params| session.sign_messages_init(row, params, key))
    }

    /// Signs a message in one piece.
    fn C_SignMessage(
        call,
        session: CK_SESSION_HANDLE,
        parameter: CK_VOID_PTR,
        parameter_len: CK_ULONG,
        data: CK_BYTE_PTR,
        data_len: CK_ULONG,
        signature: CK_BYTE_PTR,
        signature_len: CK_ULONG_PTR,
    ) {
        let session = call.session(session)?;
        no_parameter(&call, parameter, parameter_len)?;
        call.through((data, data_len), (signature, signature_len), |data, room| session.sign_message(data, room))
    }

    /// Begins a message in parts.
    fn C_SignMessageBegin(
        call,
        session: CK_SESSION_HANDLE,
        parameter: CK_VOID_PTR,
        parameter_len: CK_ULONG,
    ) {
        let session = call.session(session)?;
        no_parameter(&call, parameter, parameter_len)?;
        session.sign_message_begin()
    }

    /// Takes a part of a message; the last one, to sign it, if there is a place for the signature's length.
    fn C_SignMessageNext(
        call,
        session: CK_SESSION_HANDLE,
        parameter: CK_VOID_PTR,
        parameter_len: CK_ULONG,
        data: CK_BYTE_PTR,
        data_len: CK_ULONG,
        signature: CK_BYTE_PTR,
        signature_len: CK_ULONG_PTR,
    ) {
        let session = call.session(session)?;
        no_parameter(&call, parameter, parameter_len)?;
        if signature_len.is_null() {
            return session.sign_message_part(call.input(data, data_len)?);
        }
        call.through((data, data_len), (signature, signature_len), |data, room| session.sign_message_last(data, room))
    }

    /// Ends a sequence of messages to sign.
    fn C_MessageSignFinal(call, session: CK_SESSION_HANDLE) {
        call.session(session)?.sign_messages_final()
    }

    /// Begins a sequence of messages to verify.
    fn C_MessageVerifyInit(call, session: CK_SESSION_HANDLE, mechanism: CK_MECHANISM_PTR, key: CK_OBJECT_HANDLE) {
        let session = call.session(session)?;
        session.message_functions()?;
        call.begin(&session, mechanism, CKF_MESSAGE_VERIFY, |row, params| session.verify_messages_init(row, params, key))
    }

    /// Verifies a message in one piece.
    fn C_VerifyMessage(
        call,
        session: CK_SESSION_HANDLE,
        parameter: CK_VOID_PTR,
        parameter_len: CK_ULONG,
        data: CK_BYTE_PTR,
        data_len: CK_ULONG,
        signature: CK_BYTE_PTR,
        signature_len: CK_ULONG,
    ) {
        let session = call.session(session)?;
        no_parameter(&call, parameter, parameter_len)?;
        session.verify_message(call.input(data, data_len)?, call.input(signature, signature_len)?)
    }

    /// Begins a message in parts.
    fn C_VerifyMessageBegin(
        call,
        session: CK_SESSION_HANDLE,
        parameter: CK_VOID_PTR,
        parameter_len: CK_ULONG,
    ) {
        let session = call.session(session)?;
        no_parameter(&call, parameter, parameter_len)?;
        session.verify_message_begin()
    }

    /// Takes a part of a message; the last one, to verify it, if there is a signature.
    fn C_VerifyMessageNext(
        call,
        session: CK_SESSION_HANDLE,
        parameter: CK_VOID_PTR,
        parameter_len: CK_ULONG,
        data: CK_BYTE_PTR,
        data_len: CK_ULONG,
        signature: CK_BYTE_PTR,
        signature_len: CK_ULONG,
    ) {
        let session = call.session(session)?;
        no_parameter(&call, parameter, parameter_len)?;
        let signature = call.input(signature, signature_len).map(|bytes| (!signature.is_null()).then_some(bytes))?;
        session.verify_message_next(call.input(data, data_len)?, signature)
    }

    /// Ends a sequence of messages to verify.
    fn C_MessageVerifyFinal(call, session: CK_SESSION_HANDLE) {
        call.session(session)?.verify_messages_final()
    }
}

/// The init function has brought the parameter; none of the mechanisms has another one for each message.
fn no_parameter(caller: &Caller, parameter: CK_VOID_PTR, len: CK_ULONG) -> Result<()> {
    match caller.input(parameter.cast(), len)?.len() {
        0 => Ok(()),
        len => fail!(MechanismParamInvalid, "{len} bytes of parameter for one message"),
    }
}
