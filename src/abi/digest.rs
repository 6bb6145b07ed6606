//! Message digests (section 5.12).

use cryptoki_sys::*;

entry! {
    /// Begins a digest.
    fn C_DigestInit(call, session: CK_SESSION_HANDLE, mechanism: CK_MECHANISM_PTR) {
        let session = call.session(session)?;
        call.begin(&session, mechanism, CKF_DIGEST, |row, _| session.digest_init(row))
    }

    /// Digests in one piece.
    fn C_Digest(
        call,
        session: CK_SESSION_HANDLE,
        data: CK_BYTE_PTR,
        data_len: CK_ULONG,
        digest: CK_BYTE_PTR,
        digest_len: CK_ULONG_PTR,
    ) {
        let session = call.session(session)?;
        call.through((data, data_len), (digest, digest_len), |data, room| session.digest(data, room))
    }

    /// Digests a part.
    fn C_DigestUpdate(call, session: CK_SESSION_HANDLE, part: CK_BYTE_PTR, part_len: CK_ULONG) {
        call.session(session)?.digest_update(call.input(part, part_len)?)
    }

    /// Digests a secret key's value.
    fn C_DigestKey(call, session: CK_SESSION_HANDLE, key: CK_OBJECT_HANDLE) {
        call.session(session)?.digest_key(key)
    }

    /// Ends a digest in parts.
    fn C_DigestFinal(call, session: CK_SESSION_HANDLE, digest: CK_BYTE_PTR, digest_len: CK_ULONG_PTR) {
        let session = call.session(session)?;
        call.output_of(digest, digest_len, |room| session.digest_final(room))
    }
}
