//! `coffer import` and `coffer export`: keys and certificates from and to files.

mod export;
mod import;
mod jwk;
mod material;

pub use export::Export;
pub use import::Import;
