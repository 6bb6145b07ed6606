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
mod open_sessions;
mod pin;
mod policy;
pub mod quorum;
mod repair;
mod run;
mod session_objects;
mod sharing;
mod slots;
#[allow(clippy::module_inception)]
mod token;
mod users;

pub use audit::AuditVerdict;
pub use care::{BackupInfo, Notify, Verdict, backup_info};
pub use config::Config;
pub(crate) use open_sessions::Counted;
pub use policy::{MechanismInfo, Rules, Use};
pub use quorum::{Service, Waiting};
pub use repair::{Details, Rescue};
pub use sharing::Access;
pub use slots::Slots;
pub use token::{Opened, Token, TokenInfo, User};
pub use users::UserEntry;
