//! What has to be written below Rust: SIMD kernels AWS-LC does not have, and shared memory.

pub mod fork;
pub mod primes;
pub mod shared;
