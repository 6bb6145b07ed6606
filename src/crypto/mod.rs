//! Safe Rust over AWS-LC. The only place that names `aws_lc_sys`.
//!
//! Everything a mechanism computes with is here as an owning type with checked lengths. A key is parsed or
//! expanded once and then shared by all threads (`Send + Sync`); a running computation is its own value.

mod in_out;
pub mod seal;
mod secret;

pub use in_out::InOut;
pub use secret::Secret;

/// Which way a cipher runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// Plaintext to ciphertext.
    Encrypt,
    /// Ciphertext to plaintext.
    Decrypt,
}

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
