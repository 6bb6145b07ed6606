//! The C interface: the only place where the caller's pointers exist.
//!
//! [`table`] names the functions of each version of the standard. Each is an [`entry!`](entry) in one of the
//! files below, by chapter of section 5; its body converts the arguments ([`buffer`], [`template`], [`params`]),
//! calls down into `session`, and converts the answer back. Checks come in the order of section 5.1: is the
//! library initialised, the session handle, the arguments, then what the session finds wrong.

mod buffer;
#[macro_use]
mod entry;
mod instance;
mod message_params;
mod params;
mod table;
mod template;
pub mod vendor;
mod vendor_interface;

mod cipher;
mod digest;
mod general;
mod key;
mod message;
mod object;
mod session;
mod sign;
mod sign_message;
mod slot;

use cryptoki_sys::{CK_C_GetInterface, CK_FUNCTION_LIST};

/// The 2.40 list and C_GetInterface, for a program that links the library instead of loading it.
pub fn linked() -> (&'static CK_FUNCTION_LIST, CK_C_GetInterface) {
    (&table::V2_40, Some(general::C_GetInterface))
}
