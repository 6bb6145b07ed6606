//! Safe Rust over AWS-LC. The only place that names `aws_lc_sys`.
//!
//! Everything a mechanism computes with is here as an owning type with checked lengths. A key is parsed or
//! expanded once and then shared by all threads (`Send + Sync`); a running computation is its own value.

pub mod aes;
mod arena;
pub mod ccm;
pub mod cmac;
pub mod des;
pub mod digest;
pub mod ec;
pub mod edwards;
pub mod encoding;
pub mod gcm;
pub mod hmac;
pub mod kdf;
pub mod key_wrap;
pub mod ml_dsa;
pub mod ml_kem;
pub mod montgomery;
mod owned;
pub mod random;
pub mod rsa;
pub mod seal;
mod secret;
pub mod seeded;
mod status;
pub mod xts;

pub use crate::kernel::{Direction, InOut};
pub use secret::Secret;
pub use status::{equal, wipe, wiping_stack, wiping_stack_of};

/// The hash functions, as everything that is built on one names them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs)]
pub enum Hash {
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
    Sha512_224,
    Sha512_256,
    Sha3_224,
    Sha3_256,
    Sha3_384,
    Sha3_512,
}
