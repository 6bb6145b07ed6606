//! Session management, login, random numbers, and what the library does not do in its sessions (sections
//! 5.6, 5.19 and 5.21).

use crate::crypto::random;
use cryptoki_sys::*;

entry! {
    /// Opens a session. Nothing is ever told through `notify`.
    fn C_OpenSession(
        call,
        slot: CK_SLOT_ID,
        flags: CK_FLAGS,
        _application: CK_VOID_PTR,
        _notify: CK_NOTIFY,
        session: CK_SESSION_HANDLE_PTR,
    ) {
        let out = call.out(session)?;
        out.set(call.module().open_session(slot, flags)?);
        Ok(())
    }

    /// Closes a session.
    fn C_CloseSession(call, session: CK_SESSION_HANDLE) {
        call.module().close_session(session)
    }

    /// Closes all sessions with a token.
    fn C_CloseAllSessions(call, slot: CK_SLOT_ID) {
        call.module().close_all_sessions(slot)
    }

    /// Tells about a session.
    fn C_GetSessionInfo(call, session: CK_SESSION_HANDLE, info: CK_SESSION_INFO_PTR) {
        let session = call.session(session)?.info();
        call.out(info)?.set(CK_SESSION_INFO {
            slotID: session.slot,
            state: session.state,
            flags: session.flags,
            ulDeviceError: 0,
        });
        Ok(())
    }

    /// Ends the operations that `flags` name.
    fn C_SessionCancel(call, session: CK_SESSION_HANDLE, flags: CK_FLAGS) {
        call.session(session)?.cancel(flags);
        Ok(())
    }

    /// Gives the state of a running digest.
    fn C_GetOperationState(call, session: CK_SESSION_HANDLE, state: CK_BYTE_PTR, state_len: CK_ULONG_PTR) {
        let session = call.session(session)?;
        call.output_of(state, state_len, |room| session.operation_state(room))
    }

    /// Goes on from the state of a digest, which needs no keys.
    fn C_SetOperationState(
        call,
        session: CK_SESSION_HANDLE,
        state: CK_BYTE_PTR,
        state_len: CK_ULONG,
        encryption_key: CK_OBJECT_HANDLE,
        authentication_key: CK_OBJECT_HANDLE,
    ) {
        let session = call.session(session)?;
        let state = call.input(state, state_len)?;
        if (encryption_key, authentication_key) != (CK_INVALID_HANDLE, CK_INVALID_HANDLE) {
            fail!(KeyNotNeeded);
        }
        session.set_operation_state(state)
    }

    /// Logs in.
    fn C_Login(
        call,
        session: CK_SESSION_HANDLE,
        user_type: CK_USER_TYPE,
        pin: CK_UTF8CHAR_PTR,
        pin_len: CK_ULONG,
    ) {
        call.session(session)?.login(user_type, &[], call.pin(pin, pin_len)?)
    }

    /// Logs in by name.
    fn C_LoginUser(
        call,
        session: CK_SESSION_HANDLE,
        user_type: CK_USER_TYPE,
        pin: CK_UTF8CHAR_PTR,
        pin_len: CK_ULONG,
        name: CK_UTF8CHAR_PTR,
        name_len: CK_ULONG,
    ) {
        let session = call.session(session)?;
        session.login(user_type, call.input(name, name_len)?, call.pin(pin, pin_len)?)
    }

    /// Logs out.
    fn C_Logout(call, session: CK_SESSION_HANDLE) {
        call.module().logout(session)
    }

    /// Tells whether the last operation was validated. It was not: this is no validated module.
    fn C_GetSessionValidationFlags(
        call,
        session: CK_SESSION_HANDLE,
        kind: CK_SESSION_VALIDATION_FLAGS_TYPE,
        flags: CK_FLAGS_PTR,
    ) {
        call.check_session(session)?;
        let out = call.out(flags)?;
        if kind != CKS_LAST_VALIDATION_OK {
            fail!(ArgumentsBad, "there are no validation flags of type {kind}");
        }
        out.set(0);
        Ok(())
    }

    /// The generator takes no seed: it is seeded by the system.
    fn C_SeedRandom(call, session: CK_SESSION_HANDLE, seed: CK_BYTE_PTR, seed_len: CK_ULONG) {
        call.check_session(session)?;
        call.input(seed, seed_len)?;
        fail!(RandomSeedNotSupported)
    }

    /// Gives random bytes.
    fn C_GenerateRandom(call, session: CK_SESSION_HANDLE, data: CK_BYTE_PTR, data_len: CK_ULONG) {
        call.check_session(session)?;
        call.fill(data, data_len, random::draw)
    }

    /// Nothing is asynchronous.
    unsupported fn C_AsyncComplete(session: CK_SESSION_HANDLE, function: CK_UTF8CHAR_PTR, result: CK_ASYNC_DATA_PTR);

    /// Nothing is asynchronous.
    unsupported fn C_AsyncGetID(session: CK_SESSION_HANDLE, function: CK_UTF8CHAR_PTR, id: CK_ULONG_PTR);

    /// Nothing is asynchronous.
    unsupported fn C_AsyncJoin(
        session: CK_SESSION_HANDLE,
        function: CK_UTF8CHAR_PTR,
        id: CK_ULONG,
        data: CK_BYTE_PTR,
        data_len: CK_ULONG,
    );
}
