//! Module, sessions and what runs in them (sections 5.4 to 5.19).
//!
//! A [`Module`] is what C_Initialize makes and C_Finalize ends: the tokens and the sessions. A [`Session`] holds
//! one operation of each kind. Order of locks: session, token's login, token's objects, storage.

mod cipher;
mod digest;
mod dual;
mod find;
mod kem;
mod keys;
mod message;
mod module;
mod objects;
mod operation;
mod quorum;
mod recent;
#[allow(clippy::module_inception)]
mod session;
mod sessions;
mod sign;
mod sign_message;
mod state;
mod users;

pub use dual::Beside;
pub use module::{Module, SlotInfo};
pub use operation::Answer;
pub use session::{Session, SessionInfo};
pub use sessions::Held;

/// A CK_SESSION_HANDLE; never given out twice.
pub type SessionHandle = cryptoki_sys::CK_SESSION_HANDLE;
