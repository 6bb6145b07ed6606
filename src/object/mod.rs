//! Objects: attributes, the rules each class and key type sets for them, and templates (section 4).

pub mod attribute;
mod attributes;
mod codec;
mod follows;
#[allow(clippy::module_inception)]
mod object;
pub mod schema;
pub mod template;

pub use attribute::{AttributeType, CKA_COFFER_MANAGE_QUORUM, CKA_COFFER_USE_QUORUM, Kind};
pub use attributes::{Attributes, Value};
pub use codec::{MAX_DEPTH, Packed};
pub use follows::{Follows, SecretValue};
pub use object::{Handle, Name, Object, Secrets, Vault};
pub use template::Act;
