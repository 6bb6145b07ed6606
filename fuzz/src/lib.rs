//! What the fuzz targets share: decisions out of random bytes, and arguments for the C functions out of decisions.
//!
//! Every pointer leads to as much memory as is said: a caller that lies about that gets what C gives it. All else may be
//! wrong.

mod arguments;
mod input;
mod keys;
pub mod targets;

pub use arguments::{mechanism, template};
pub use input::Input;
pub use keys::{cheap_keys, keys};

use pkcs11_client::cryptoki_sys::*;
use pkcs11_client::{Module, Session};
use std::sync::OnceLock;
use tempfile::TempDir;

/// The user's PIN of [`token`].
pub const PIN: &str = "user-pin-1234";

/// One token for all inputs of this process, in the library that is linked in: the module and the slot.
pub fn token() -> (Module, CK_SLOT_ID) {
    static TOKEN: OnceLock<(TempDir, Module, CK_SLOT_ID)> = OnceLock::new();
    let (_, module, slot) = TOKEN.get_or_init(|| {
        let place = tempfile::tempdir().expect("a temporary directory");
        let conf = place.path().join("coffer.toml");
        let text = format!(
            "token_dir = {:?}\nlog_level = \"error\"\nlog_file = \"/dev/null\"\n",
            place.path().join("tokens")
        );
        std::fs::write(&conf, text).expect("a configuration");
        // SAFETY: before anything reads it; libFuzzer runs inputs in one thread.
        unsafe { std::env::set_var("COFFER_CONF", conf) };
        let (list, interface) = coffer_pkcs11::abi::linked();
        let module = Module::linked(list, interface);
        module.init().expect("C_Initialize");
        let slot = module.slots(true).expect("C_GetSlotList")[0];
        module.init_token(slot, "so-pin-1234", "fuzz").expect("C_InitToken");
        let session = module.open_session(slot, true).expect("C_OpenSession");
        session.login(CKU_SO, "so-pin-1234").expect("C_Login");
        session.init_pin(PIN).expect("C_InitPIN");
        session.logout().expect("C_Logout");
        // Stays open, so that the login stays too: each costs a derivation of the PIN's key.
        session.leave();
        (place, module, slot)
    });
    (*module, *slot)
}

/// A read/write session with the user logged in.
pub fn session() -> Session {
    let (module, slot) = token();
    let session = module.open_session(slot, true).expect("C_OpenSession");
    if session.state() != Ok(CKS_RW_USER_FUNCTIONS) {
        session.login(CKU_USER, PIN).expect("C_Login");
    }
    session
}
