//! Signatures and MACs: signing, verifying, recovery (sections 5.13, 5.15 and 5.16).

use crate::token::Use;
use cryptoki_sys::*;

entry! {
    /// Begins a signature.
    fn C_SignInit(call, session: CK_SESSION_HANDLE, mechanism: CK_MECHANISM_PTR, key: CK_OBJECT_HANDLE) {
        let session = call.session(session)?;
        call.begin(&session, mechanism, CKF_SIGN, |row, params| session.sign_init(row, params, key))
    }

    /// Signs in one piece.
    fn C_Sign(
        call,
        session: CK_SESSION_HANDLE,
        data: CK_BYTE_PTR,
        data_len: CK_ULONG,
        signature: CK_BYTE_PTR,
        signature_len: CK_ULONG_PTR,
    ) {
        let session = call.session(session)?;
        call.through((data, data_len), (signature, signature_len), |data, room| session.sign(data, room))
    }

    /// Signs a part.
    fn C_SignUpdate(call, session: CK_SESSION_HANDLE, part: CK_BYTE_PTR, part_len: CK_ULONG) {
        call.session(session)?.sign_update(call.input(part, part_len)?)
    }

    /// Ends a signature in parts.
    fn C_SignFinal(call, session: CK_SESSION_HANDLE, signature: CK_BYTE_PTR, signature_len: CK_ULONG_PTR) {
        let session = call.session(session)?;
        call.output_of(signature, signature_len, |room| session.sign_final(room))
    }

    /// Begins a signature that the data can be recovered from.
    fn C_SignRecoverInit(call, session: CK_SESSION_HANDLE, mechanism: CK_MECHANISM_PTR, key: CK_OBJECT_HANDLE) {
        let session = call.session(session)?;
        call.begin(&session, mechanism, CKF_SIGN_RECOVER, |row, _| session.recover_init(Use::SignRecover, row, key))
    }

    /// Signs so that the data can be recovered.
    fn C_SignRecover(
        call,
        session: CK_SESSION_HANDLE,
        data: CK_BYTE_PTR,
        data_len: CK_ULONG,
        signature: CK_BYTE_PTR,
        signature_len: CK_ULONG_PTR,
    ) {
        let session = call.session(session)?;
        call.through((data, data_len), (signature, signature_len), |data, room| session.sign_recover(data, room))
    }

    /// Begins a verification.
    fn C_VerifyInit(call, session: CK_SESSION_HANDLE, mechanism: CK_MECHANISM_PTR, key: CK_OBJECT_HANDLE) {
        let session = call.session(session)?;
        call.begin(&session, mechanism, CKF_VERIFY, |row, params| session.verify_init(row, params, key, None))
    }

    /// Verifies in one piece.
    fn C_Verify(
        call,
        session: CK_SESSION_HANDLE,
        data: CK_BYTE_PTR,
        data_len: CK_ULONG,
        signature: CK_BYTE_PTR,
        signature_len: CK_ULONG,
    ) {
        let session = call.session(session)?;
        session.verify(call.input(data, data_len)?, Some(call.input(signature, signature_len)?))
    }

    /// Verifies a part.
    fn C_VerifyUpdate(call, session: CK_SESSION_HANDLE, part: CK_BYTE_PTR, part_len: CK_ULONG) {
        call.session(session)?.verify_update(call.input(part, part_len)?, false)
    }

    /// Ends a verification in parts.
    fn C_VerifyFinal(call, session: CK_SESSION_HANDLE, signature: CK_BYTE_PTR, signature_len: CK_ULONG) {
        call.session(session)?.verify_final(Some(call.input(signature, signature_len)?))
    }

    /// Begins a verification that recovers the data.
    fn C_VerifyRecoverInit(call, session: CK_SESSION_HANDLE, mechanism: CK_MECHANISM_PTR, key: CK_OBJECT_HANDLE) {
        let session = call.session(session)?;
        call.begin(&session, mechanism, CKF_VERIFY_RECOVER, |row, _| session.recover_init(Use::VerifyRecover, row, key))
    }

    /// Verifies and recovers the data.
    fn C_VerifyRecover(
        call,
        session: CK_SESSION_HANDLE,
        signature: CK_BYTE_PTR,
        signature_len: CK_ULONG,
        data: CK_BYTE_PTR,
        data_len: CK_ULONG_PTR,
    ) {
        let session = call.session(session)?;
        call.through((signature, signature_len), (data, data_len), |signature, room| session.verify_recover(signature, room))
    }

    /// Begins a verification whose signature is there before the data.
    fn C_VerifySignatureInit(
        call,
        session: CK_SESSION_HANDLE,
        mechanism: CK_MECHANISM_PTR,
        key: CK_OBJECT_HANDLE,
        signature: CK_BYTE_PTR,
        signature_len: CK_ULONG,
    ) {
        let session = call.session(session)?;
        let signature = call.input(signature, signature_len)?;
        call.begin(&session, mechanism, CKF_VERIFY, |row, params| {
            session.verify_init(row, params, key, Some(signature))
        })
    }

    /// Verifies the data of a signature given before, in one piece.
    fn C_VerifySignature(call, session: CK_SESSION_HANDLE, data: CK_BYTE_PTR, data_len: CK_ULONG) {
        call.session(session)?.verify(call.input(data, data_len)?, None)
    }

    /// Verifies a part of the data of a signature given before.
    fn C_VerifySignatureUpdate(call, session: CK_SESSION_HANDLE, part: CK_BYTE_PTR, part_len: CK_ULONG) {
        call.session(session)?.verify_update(call.input(part, part_len)?, true)
    }

    /// Ends a verification in parts of a signature given before.
    fn C_VerifySignatureFinal(call, session: CK_SESSION_HANDLE) {
        call.session(session)?.verify_final(None)
    }
}
