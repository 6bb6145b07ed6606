//! The C interface: the only place where the caller's pointers exist.
//!
//! Each exported function is an [`entry!`](entry) whose body converts its arguments ([`buffer`], [`template`],
//! [`params`]), calls down into `session`, and converts the answer back.

pub mod buffer;
mod instance;
pub mod params;
pub mod template;
pub mod vendor;
