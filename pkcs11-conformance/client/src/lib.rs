//! A thin, honest client: one method a function, nothing retried, nothing hidden.
//!
//! Outputs are asked for with the two-call rule of section 5.2: a query with NULL, then a buffer of exactly the length
//! that the module named, with guard bytes behind it. A module that writes past its buffer, or says it wrote more than
//! fits, makes the client panic: no return code could stand for that.

mod arena;
mod attr;
mod buffer;
mod cipher;
mod coffer;
mod key;
mod measured;
mod mechanism;
mod message;
mod module;
mod object;
mod rv;
mod session;

pub use arena::Arena;
pub use attr::{Attr, Template, Value};
pub use buffer::{fill, two_call};
pub use coffer::{CofferApproval, CofferUser};
pub use cryptoki_sys;
pub use mechanism::{Mechanism, Segment};
pub use module::{Interface, Module, text};
pub use rv::{Result, Rv};
pub use session::Session;

/// Calls an entry of a function list. A list with NULL in it is against section 5.1, and panics.
#[doc(hidden)]
#[macro_export]
macro_rules! call {
    ($list:expr, $name:ident ( $($argument:expr),* $(,)? )) => {{
        let entry = $list.$name.expect(concat!("the function list has NULL for ", stringify!($name)));
        // SAFETY: the entry is the module's own, and every argument lives until it returns; a hostile test sends
        // what it pleases on purpose.
        $crate::Rv(unsafe { entry($($argument),*) })
    }};
}

/// A pointer for an input: NULL for an empty slice would be an argument of its own, so it is never NULL.
pub fn input(data: &[u8]) -> *mut u8 {
    data.as_ptr().cast_mut()
}
