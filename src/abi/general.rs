//! General-purpose and parallel functions (sections 5.4 and 5.20).

use super::buffer::{Caller, blank_padded};
use super::entry::MODULE;
use super::table;
use crate::error::Result;
use crate::session::Module;
use crate::token::Config;
use cryptoki_sys::*;

entry! {
    /// Initialises the library with the configuration it finds.
    always fn C_Initialize(caller, args: CK_VOID_PTR) {
        let may_start_threads = initialise_args(&caller, args.cast())?;
        MODULE.start(|| {
            let config = Config { may_start_threads, ..Config::load()? };
            config.configure_log()?;
            Module::new(config, MODULE.serial())
        })
    }

    /// Ends all sessions and the library's work; calls that run in other threads end first.
    always fn C_Finalize(_caller, reserved: CK_VOID_PTR) {
        if !reserved.is_null() {
            fail!(ArgumentsBad, "pReserved is not NULL");
        }
        MODULE.end(Module::close_everything)
    }

    /// Tells about the library.
    fn C_GetInfo(call, info: CK_INFO_PTR) {
        let (major, minor) = call.module().cryptoki_version();
        call.out(info)?.set(CK_INFO {
            cryptokiVersion: CK_VERSION { major, minor },
            manufacturerID: MANUFACTURER,
            flags: 0,
            libraryDescription: blank_padded("Coffer PKCS#11 module"),
            libraryVersion: VERSION,
        });
        Ok(())
    }

    /// Gives the functions of 2.40.
    always fn C_GetFunctionList(caller, list: CK_FUNCTION_LIST_PTR_PTR) {
        caller.out(list)?.set((&raw const table::V2_40).cast_mut());
        Ok(())
    }

    /// Gives all interfaces.
    always fn C_GetInterfaceList(caller, list: CK_INTERFACE_PTR, count: CK_ULONG_PTR) {
        caller.list(list, count, table::interfaces())
    }

    /// Gives one interface.
    always fn C_GetInterface(
        caller,
        name: CK_UTF8CHAR_PTR,
        version: CK_VERSION_PTR,
        interface: CK_INTERFACE_PTR_PTR,
        flags: CK_FLAGS,
    ) {
        let out = caller.out(interface)?;
        out.set(table::find(&caller, name, version, flags)?.cast_mut());
        Ok(())
    }

    /// Of old: there are no parallel functions.
    fn C_GetFunctionStatus(call, session: CK_SESSION_HANDLE) {
        call.check_session(session)?;
        fail!(FunctionNotParallel)
    }

    /// Of old: there are no parallel functions.
    fn C_CancelFunction(call, session: CK_SESSION_HANDLE) {
        call.check_session(session)?;
        fail!(FunctionNotParallel)
    }
}

/// Who made it, in every structure that asks.
pub const MANUFACTURER: [CK_UTF8CHAR; 32] = *b"Coffer                          ";

/// The library's version.
pub const VERSION: CK_VERSION = CK_VERSION {
    major: number(env!("CARGO_PKG_VERSION_MAJOR")),
    minor: number(env!("CARGO_PKG_VERSION_MINOR")),
};

const fn number(digits: &str) -> CK_BYTE {
    let (digits, mut at, mut number) = (digits.as_bytes(), 0, 0);
    while at < digits.len() {
        number = number * 10 + (digits[at] - b'0');
        at += 1;
    }
    number
}

/// Judges CK_C_INITIALIZE_ARGS, and says whether the library may start threads. Locking is the system's, always.
fn initialise_args(caller: &Caller, args: *const CK_C_INITIALIZE_ARGS) -> Result<bool> {
    if args.is_null() {
        return Ok(true);
    }
    let args = caller.read(args)?;
    let mutexes = [
        args.CreateMutex.is_some(),
        args.DestroyMutex.is_some(),
        args.LockMutex.is_some(),
        args.UnlockMutex.is_some(),
    ];
    if !args.pReserved.is_null() {
        fail!(ArgumentsBad, "pReserved is not NULL");
    }
    let may_start_threads = args.flags & CKF_LIBRARY_CANT_CREATE_OS_THREADS == 0;
    match mutexes {
        [false, false, false, false] => Ok(may_start_threads),
        [true, true, true, true] if args.flags & CKF_OS_LOCKING_OK != 0 => Ok(may_start_threads),
        [true, true, true, true] => fail!(CantLock, "locking with the application's mutexes alone"),
        _ => fail!(ArgumentsBad, "some of the four mutex functions are missing"),
    }
}
