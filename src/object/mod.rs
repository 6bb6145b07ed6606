//! Objects: attributes, the rules each class and key type sets for them, and templates (section 4).

pub mod attribute;
mod attributes;
mod codec;
#[allow(clippy::module_inception)]
mod object;
pub mod schema;
pub mod template;

pub use attribute::{AttributeType, Kind};
pub use attributes::{Attributes, Value};
pub use codec::{MAX_DEPTH, Packed};
pub use object::{Handle, Name, Object, Secrets, Vault};
pub use template::Act;
