//! Coffer: a PKCS#11 provider. ARCHITECTURE.md has the drawing.

#[macro_use]
pub mod error;
pub mod abi;
pub mod crypto;
pub mod kernel;
pub mod log;
pub mod mechanism;
pub mod object;
pub mod session;
pub mod storage;
pub mod token;
