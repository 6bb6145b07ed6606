//! What has to be written below Rust: SIMD kernels AWS-LC does not have, shared memory, locking, and what keeps threads
//! apart.
//!
//! A kernel is a few safe functions over [`InOut`] whose way through the processor is chosen by
//! [`cpu::features`]; every way gives the same bytes, and none has a branch or an index that depends on a
//! secret.

pub mod aes;
pub mod append;
pub mod barrier;
pub mod biased;
#[cfg(test)]
pub mod constant_time;
pub mod cpu;
pub mod des;
pub mod door;
pub mod fork;
mod in_out;
pub mod inside;
pub mod lead;
pub mod lock;
pub mod ml_kem;
pub mod modexp;
#[cfg(test)]
mod numbers;
mod owner;
pub mod primes;
pub mod seat;
pub mod sha256;
pub mod sha512;
pub mod shard;
pub mod shared;
pub mod signals;
pub mod wal;
pub mod x25519;

pub use in_out::InOut;

/// Which way a cipher runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// Plaintext to ciphertext.
    Encrypt,
    /// Ciphertext to plaintext.
    Decrypt,
}

/// What each kernel's choice comes to on this processor, for people.
pub fn ways() -> [(&'static str, &'static str); 7] {
    let has = cpu::features();
    let first = |ways: &[(bool, &'static str)], otherwise| {
        ways.iter().find(|(there, _)| *there).map_or(otherwise, |(_, name)| *name)
    };
    [
        ("triple DES", first(&[(has.avx512, "AVX-512"), (has.avx2, "AVX2"), (has.neon, "NEON")], "portable")),
        (
            "AES",
            first(
                &[
                    (has.vaes && has.avx2 && has.avx512, "VAES on 512 bits"),
                    (has.vaes && has.avx2, "VAES on 256 bits"),
                ],
                "AWS-LC's",
            ),
        ),
        ("SHA-256 of many messages", first(&[(has.avx512, "AVX-512")], "AWS-LC's")),
        (
            "SHA-512",
            first(
                &[(has.avx2 && has.bmi && has.avx512, "AVX-512"), (has.avx2 && has.bmi, "AVX2")],
                "AWS-LC's",
            ),
        ),
        (
            "ML-KEM",
            first(
                &[
                    (has.avx2 && has.bmi && has.avx512, "AVX-512"),
                    (has.avx2 && has.bmi, "AVX2"),
                    (cfg!(target_arch = "x86_64"), "portable"),
                ],
                "AWS-LC's",
            ),
        ),
        ("X25519", first(&[(x25519::agree().is_some(), "AVX-512 IFMA")], "AWS-LC's")),
        ("RSA with the public key", first(&[(has.avx512 && has.ifma, "AVX-512 IFMA")], "AWS-LC's")),
    ]
}
