//! Judges any PKCS#11 module: it links no provider, only loads one by path.
//!
//! [`client`] is a thin wrapper over the function list, for these cases and for any other test.

pub mod client;
