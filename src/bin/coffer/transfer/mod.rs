//! `coffer import` and `coffer export`: keys and certificates from and to files, and whole tokens out of theirs.

mod ber;
mod export;
mod import;
mod jwk;
mod material;
mod nss;
mod nss_seal;
mod pairs;
mod pkcs12;
mod softhsm;
mod softhsm_database;
mod store;

pub use export::Export;
pub use import::Import;
