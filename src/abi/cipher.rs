//! Encryption, decryption and the dual-function updates (sections 5.8, 5.10 and 5.17).

use super::entry::Call;
use crate::crypto::Direction::{Decrypt, Encrypt};
use crate::crypto::InOut;
use crate::error::Result;
use crate::session::{Answer, Beside, Session};
use cryptoki_sys::*;

entry! {
    /// Begins an encryption.
    fn C_EncryptInit(call, session: CK_SESSION_HANDLE, mechanism: CK_MECHANISM_PTR, key: CK_OBJECT_HANDLE) {
        let session = call.session(session)?;
        call.begin(&session, mechanism, CKF_ENCRYPT, |row, params| session.cipher_init(Encrypt, row, params, key))
    }

    /// Encrypts in one piece.
    fn C_Encrypt(
        call,
        session: CK_SESSION_HANDLE,
        data: CK_BYTE_PTR,
        data_len: CK_ULONG,
        encrypted: CK_BYTE_PTR,
        encrypted_len: CK_ULONG_PTR,
    ) {
        step(&call, session, (data, data_len), (encrypted, encrypted_len), |session, io, query| {
            session.cipher(Encrypt, io, query)
        })
    }

    /// Encrypts a part.
    fn C_EncryptUpdate(
        call,
        session: CK_SESSION_HANDLE,
        part: CK_BYTE_PTR,
        part_len: CK_ULONG,
        encrypted: CK_BYTE_PTR,
        encrypted_len: CK_ULONG_PTR,
    ) {
        step(&call, session, (part, part_len), (encrypted, encrypted_len), |session, io, query| {
            session.cipher_update(Encrypt, io, query)
        })
    }

    /// Ends an encryption in parts.
    fn C_EncryptFinal(call, session: CK_SESSION_HANDLE, encrypted: CK_BYTE_PTR, encrypted_len: CK_ULONG_PTR) {
        let session = call.session(session)?;
        call.output_of(encrypted, encrypted_len, |room| session.cipher_final(Encrypt, room))
    }

    /// Begins a decryption.
    fn C_DecryptInit(call, session: CK_SESSION_HANDLE, mechanism: CK_MECHANISM_PTR, key: CK_OBJECT_HANDLE) {
        let session = call.session(session)?;
        call.begin(&session, mechanism, CKF_DECRYPT, |row, params| session.cipher_init(Decrypt, row, params, key))
    }

    /// Decrypts in one piece.
    fn C_Decrypt(
        call,
        session: CK_SESSION_HANDLE,
        encrypted: CK_BYTE_PTR,
        encrypted_len: CK_ULONG,
        data: CK_BYTE_PTR,
        data_len: CK_ULONG_PTR,
    ) {
        step(&call, session, (encrypted, encrypted_len), (data, data_len), |session, io, query| {
            session.cipher(Decrypt, io, query)
        })
    }

    /// Decrypts a part.
    fn C_DecryptUpdate(
        call,
        session: CK_SESSION_HANDLE,
        encrypted: CK_BYTE_PTR,
        encrypted_len: CK_ULONG,
        part: CK_BYTE_PTR,
        part_len: CK_ULONG_PTR,
    ) {
        step(&call, session, (encrypted, encrypted_len), (part, part_len), |session, io, query| {
            session.cipher_update(Decrypt, io, query)
        })
    }

    /// Ends a decryption in parts.
    fn C_DecryptFinal(call, session: CK_SESSION_HANDLE, part: CK_BYTE_PTR, part_len: CK_ULONG_PTR) {
        let session = call.session(session)?;
        call.output_of(part, part_len, |room| session.cipher_final(Decrypt, room))
    }

    /// Digests and encrypts a part.
    fn C_DigestEncryptUpdate(
        call,
        session: CK_SESSION_HANDLE,
        part: CK_BYTE_PTR,
        part_len: CK_ULONG,
        encrypted: CK_BYTE_PTR,
        encrypted_len: CK_ULONG_PTR,
    ) {
        step(&call, session, (part, part_len), (encrypted, encrypted_len), |session, io, query| {
            session.dual_update(Encrypt, Beside::Digest, io, query)
        })
    }

    /// Decrypts and digests a part.
    fn C_DecryptDigestUpdate(
        call,
        session: CK_SESSION_HANDLE,
        encrypted: CK_BYTE_PTR,
        encrypted_len: CK_ULONG,
        part: CK_BYTE_PTR,
        part_len: CK_ULONG_PTR,
    ) {
        step(&call, session, (encrypted, encrypted_len), (part, part_len), |session, io, query| {
            session.dual_update(Decrypt, Beside::Digest, io, query)
        })
    }

    /// Signs and encrypts a part.
    fn C_SignEncryptUpdate(
        call,
        session: CK_SESSION_HANDLE,
        part: CK_BYTE_PTR,
        part_len: CK_ULONG,
        encrypted: CK_BYTE_PTR,
        encrypted_len: CK_ULONG_PTR,
    ) {
        step(&call, session, (part, part_len), (encrypted, encrypted_len), |session, io, query| {
            session.dual_update(Encrypt, Beside::Sign, io, query)
        })
    }

    /// Decrypts and verifies a part.
    fn C_DecryptVerifyUpdate(
        call,
        session: CK_SESSION_HANDLE,
        encrypted: CK_BYTE_PTR,
        encrypted_len: CK_ULONG,
        part: CK_BYTE_PTR,
        part_len: CK_ULONG_PTR,
    ) {
        step(&call, session, (encrypted, encrypted_len), (part, part_len), |session, io, query| {
            session.dual_update(Decrypt, Beside::Verify, io, query)
        })
    }
}

/// One step of a cipher, in and out of the caller's buffers, which may be one.
#[inline]
fn step(
    call: &Call<'_>,
    session: CK_SESSION_HANDLE,
    (input, input_len): (*const CK_BYTE, CK_ULONG),
    (output, output_len): (*mut CK_BYTE, *mut CK_ULONG),
    compute: impl FnOnce(&Session, InOut<'_>, bool) -> Result<Answer>,
) -> Result<()> {
    let session = call.session(session)?;
    let mut both = call.in_output(input, input_len, output, output_len)?;
    let query = both.is_query();
    let answer = compute(&session, both.io(), query)?;
    both.settle(answer)
}
