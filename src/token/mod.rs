//! Tokens: slots, users and PINs, the objects, policy and configuration.

mod arrival;
mod audit;
mod built_in;
mod care;
mod cloudhsm;
pub mod config;
mod contents;
mod fips;
mod objects;
mod pin;
mod policy;
mod sharing;
mod slots;
#[allow(clippy::module_inception)]
mod token;
mod users;

pub use audit::AuditVerdict;
pub use care::{Notify, Verdict};
pub use config::Config;
pub use policy::{MechanismInfo, Rules, Use};
pub use sharing::Access;
pub use slots::Slots;
pub use token::{Opened, Token, TokenInfo, User};
pub use users::UserEntry;
