//! What all exported functions share: the way in, the way out, and the library's one static.

use super::buffer::{Caller, Output};
use super::instance::Instance;
use crate::error::{Error, Result, Rv};
use crate::kernel::seat::Seat;
use crate::log;
use crate::log::Level;
use crate::mechanism::{Mechanism, Params, Shape};
use crate::session::{Answer, Held, Module, Session};
use crate::token::config::Profile;
use cryptoki_sys::*;
use std::any::Any;
use std::mem::forget;
use std::ops::Deref;
use std::panic::{self, AssertUnwindSafe};

/// What C_Initialize makes and C_Finalize ends.
pub static MODULE: Instance<Module> = Instance::new();

/// A call into the initialised library: the module, and the [`Caller`] with its arguments.
pub struct Call<'a> {
    module: &'a Module,
    seat: Seat,
    caller: Caller,
}

impl Deref for Call<'_> {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.caller
    }
}

impl<'a> Call<'a> {
    /// The module.
    pub fn module(&self) -> &'a Module {
        self.module
    }

    /// The session of a handle, this call's own until it ends.
    ///
    /// # Errors
    /// CKR_SESSION_HANDLE_INVALID.
    #[inline(always)]
    pub fn session(&self, handle: CK_SESSION_HANDLE) -> Result<Held<'a>> {
        self.module.session_for(handle, self.seat)
    }

    /// That there is a session of this handle.
    ///
    /// # Errors
    /// CKR_SESSION_HANDLE_INVALID.
    pub fn check_session(&self, handle: CK_SESSION_HANDLE) -> Result<()> {
        self.module.session_for(handle, self.seat).map(drop)
    }

    /// A mechanism that the session's token offers, with its parameter.
    ///
    /// # Errors
    /// CKR_ARGUMENTS_BAD for NULL, CKR_MECHANISM_INVALID, CKR_MECHANISM_PARAM_INVALID.
    pub fn mechanism(
        &self,
        session: &Session,
        mechanism: *const CK_MECHANISM,
    ) -> Result<(&'static Mechanism, Params)> {
        let mut params = Params::None;
        self.mechanism_into(session, mechanism, &mut params).map(|row| (row, params))
    }

    /// The same with the parameter where it is to be: nothing of its size is moved.
    ///
    /// # Errors
    /// As [`Call::mechanism`].
    #[inline]
    pub fn mechanism_into(
        &self,
        session: &Session,
        mechanism: *const CK_MECHANISM,
        params: &mut Params,
    ) -> Result<&'static Mechanism> {
        let mechanism = self.read(mechanism)?;
        let row = session.mechanism(mechanism.mechanism)?;
        // CloudHSM makes the IVs of AES-GCM itself.
        let makes_ivs = row.shape == Shape::Gcm && is_cloudhsm(session);
        self.params(&mechanism, row.shape, makes_ivs, params).map_err(|error| error.within(row.name))?;
        Ok(row)
    }

    /// Begins an operation, or with a NULL mechanism ends the running one of the kind that `flag` names.
    ///
    /// # Errors
    /// As [`Call::mechanism`]; those of `begin`.
    #[inline]
    pub fn begin(
        &self,
        session: &Session,
        mechanism: *const CK_MECHANISM,
        flag: CK_FLAGS,
        begin: impl FnOnce(&'static Mechanism, &mut Params) -> Result<()>,
    ) -> Result<()> {
        if mechanism.is_null() {
            session.cancel(flag);
            return Ok(());
        }
        let mut params = Params::None;
        let row = self.mechanism_into(session, mechanism, &mut params)?;
        let begun = begin(row, &mut params);
        // Dropping takes a call and a jump, even where there is nothing to drop.
        if params.is_plain() {
            forget(params);
        }
        begun
    }

    /// Input through `compute` into output under section 5.2's rule. `compute` is given no room if the caller
    /// asks only for the length.
    ///
    /// # Errors
    /// CKR_ARGUMENTS_BAD, CKR_BUFFER_TOO_SMALL, CKR_HOST_MEMORY; those of `compute`.
    #[inline]
    pub fn through(
        &self,
        (input, input_len): (*const CK_BYTE, CK_ULONG),
        (output, output_len): (*mut CK_BYTE, *mut CK_ULONG),
        compute: impl FnOnce(&[u8], Option<&mut [u8]>) -> Result<Answer>,
    ) -> Result<()> {
        let mut output = self.output(output, output_len)?;
        let input = self.input(input, input_len)?;
        if output.touches(input) {
            return through_a_copy(input, output, compute);
        }
        let answer = compute(input, output.room())?;
        output.settle(answer)
    }

    /// Output alone under section 5.2's rule.
    ///
    /// # Errors
    /// CKR_ARGUMENTS_BAD, CKR_BUFFER_TOO_SMALL; those of `compute`.
    #[inline]
    pub fn output_of(
        &self,
        output: *mut CK_BYTE,
        output_len: *mut CK_ULONG,
        compute: impl FnOnce(Option<&mut [u8]>) -> Result<Answer>,
    ) -> Result<()> {
        let mut output = self.output(output, output_len)?;
        let answer = compute(output.room())?;
        output.settle(answer)
    }
}

#[cold]
#[inline(never)]
fn through_a_copy(
    input: &[u8],
    mut output: Output<'_>,
    compute: impl FnOnce(&[u8], Option<&mut [u8]>) -> Result<Answer>,
) -> Result<()> {
    let input = output.apart(input)?;
    let answer = compute(&input, output.room())?;
    output.settle(answer)
}

/// Whether the session is to behave as CloudHSM's do.
pub fn is_cloudhsm(session: &Session) -> bool {
    session.policy().profile == Profile::CloudHsm
}

/// Runs the body of a function that needs the library initialised.
///
/// # Safety
/// The promise of [`Caller`] is made by whoever the body's pointers come from.
pub unsafe fn call(name: &'static str, body: impl FnOnce(Call<'_>) -> Result<()>) -> CK_RV {
    // SAFETY: passed on.
    let caller = unsafe { Caller::new() };
    guarded(name, || {
        let Some(module) = MODULE.enter() else { fail!(CryptokiNotInitialized) };
        body(Call { module: &module, seat: module.seat(), caller })
    })
}

/// Runs the body of a function that works at any time.
///
/// # Safety
/// As [`call`].
pub unsafe fn call_always(name: &'static str, body: impl FnOnce(Caller) -> Result<()>) -> CK_RV {
    // SAFETY: passed on.
    let caller = unsafe { Caller::new() };
    guarded(name, || body(caller))
}

/// A panic ends here: it must not unwind into the caller's frames. What it interrupted is in order, because
/// locks and operations end by `Drop`. Inlined, it costs the smallest calls a tenth less.
#[inline(always)]
fn guarded(name: &'static str, body: impl FnOnce() -> Result<()>) -> CK_RV {
    match panic::catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => {
            if log::enabled(Level::Trace) {
                done(name);
            }
            CKR_OK
        }
        Ok(Err(error)) => refused(name, error),
        Err(panic) => panicked(name, panic),
    }
}

#[cold]
#[inline(never)]
fn done(name: &str) {
    log!(Trace, "{name}: CKR_OK");
}

#[cold]
#[inline(never)]
fn refused(name: &str, error: Error) -> CK_RV {
    match error.rv() {
        Rv::GeneralError | Rv::DeviceError | Rv::DeviceMemory | Rv::HostMemory => {
            log!(Error, "{name}: {error}")
        }
        Rv::CryptokiNotInitialized | Rv::BufferTooSmall => log!(Debug, "{name}: {error}"),
        _ => log!(Info, "{name}: {error}"),
    }
    error.rv().code()
}

#[cold]
#[inline(never)]
fn panicked(name: &str, panic: Box<dyn Any + Send>) -> CK_RV {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref().copied()).unwrap_or("a panic without words");
    log!(Error, "{name}: CKR_GENERAL_ERROR: {text}");
    Rv::GeneralError.code()
}

/// Exported functions. `fn C_X(call, ...)` runs its body with a [`Call`]; `always fn C_X(caller, ...)` also
/// without C_Initialize, with a [`Caller`]; `unsupported fn C_X(...)` has no body: it checks the session that
/// is its first argument and says CKR_FUNCTION_NOT_SUPPORTED; `vendor fn X(call, ...)` is not exported, for a function
/// list alone.
macro_rules! entry {
    () => {};
    ($(#[$doc:meta])* fn $name:ident($call:ident $(, $arg:ident: $type:ty)* $(,)?) $body:block $($rest:tt)*) => {
        entry!(@export [$(#[$doc])*] call $name ($($arg: $type),*)
            |$call: $crate::abi::entry::Call<'_>| -> $crate::error::Result<()> { $body });
        entry!($($rest)*);
    };
    ($(#[$doc:meta])* always fn $name:ident($caller:ident $(, $arg:ident: $type:ty)* $(,)?) $body:block
        $($rest:tt)*) => {
        entry!(@export [$(#[$doc])*] call_always $name ($($arg: $type),*)
            |$caller: $crate::abi::buffer::Caller| -> $crate::error::Result<()> { $body });
        entry!($($rest)*);
    };
    ($(#[$doc:meta])* vendor fn $name:ident($call:ident $(, $arg:ident: $type:ty)* $(,)?) $body:block
        $($rest:tt)*) => {
        entry!(@function [$(#[$doc])*] call $name ($($arg: $type),*)
            |$call: $crate::abi::entry::Call<'_>| -> $crate::error::Result<()> { $body });
        entry!($($rest)*);
    };
    ($(#[$doc:meta])* unsupported fn $name:ident($session:ident: $handle:ty $(, $arg:ident: $type:ty)* $(,)?);
        $($rest:tt)*) => {
        entry!(@export [$(#[$doc])*] call $name ($session: $handle $(, $arg: $type)*)
            |call: $crate::abi::entry::Call<'_>| -> $crate::error::Result<()> {
                $(let _ = $arg;)*
                call.check_session($session)?;
                fail!(FunctionNotSupported)
            });
        entry!($($rest)*);
    };
    (@export [$(#[$doc:meta])*] $($function:tt)*) => {
        entry!(@function [$(#[$doc])* #[unsafe(no_mangle)]] $($function)*);
    };
    (@function [$(#[$attribute:meta])*] $way:ident $name:ident ($($arg:ident: $type:ty),*) $body:expr) => {
        $(#[$attribute])*
        ///
        /// # Safety
        /// Pointers that are not NULL point to what the standard says, as much of it as the lengths say.
        #[allow(non_snake_case, clippy::too_many_arguments)]
        pub unsafe extern "C" fn $name($($arg: $type),*) -> ::cryptoki_sys::CK_RV {
            let body = $body;
            // SAFETY: whoever calls this function has promised it.
            unsafe { $crate::abi::entry::$way(stringify!($name), body) }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_general_error() {
        assert_eq!(guarded("C_Test", || panic!("a test of the panic guard")), CKR_GENERAL_ERROR);
        assert_eq!(guarded("C_Test", || panic!("{}", 1 + 1)), CKR_GENERAL_ERROR);
        assert_eq!(guarded("C_Test", || fail!(PinIncorrect)), CKR_PIN_INCORRECT);
        assert_eq!(guarded("C_Test", || Ok(())), CKR_OK);
    }
}
