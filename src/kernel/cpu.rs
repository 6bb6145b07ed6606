//! What the processor can do, asked once.
//!
//! A kernel with several ways reads [`features`] and takes the fastest. A debug build leaves out what
//! `COFFER_CPU` names (`COFFER_CPU=-avx512,-vaes`), and a test what it names to `without`, so that one
//! machine runs every way. To measure them, `--cfg coffer_cpu` has a release build do the same (`make bench-cpus`).

use std::sync::LazyLock;

macro_rules! features {
    ($($(#[$doc:meta])* $name:ident: $arch:tt($($part:tt)+);)*) => {
        /// The features that kernels choose by; those of other architectures are false.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub struct Features {
            $($(#[$doc])* pub $name: bool,)*
        }

        impl Features {
            fn detected() -> Features {
                Features { $($name: $(detected!($arch $part))&&+,)* }
            }

            /// These, but for the ones named.
            ///
            /// # Panics
            /// If there is no such name: a misspelt one would quietly test the wrong way.
            fn without(mut self, names: &[&str]) -> Features {
                for name in names {
                    match *name {
                        $(stringify!($name) => self.$name = false,)*
                        _ => panic!("no kernel asks for the CPU feature {name:?}"),
                    }
                }
                self
            }
        }
    };
}

macro_rules! detected {
    (x86_64 $part:tt) => {{
        #[cfg(target_arch = "x86_64")]
        let found = std::arch::is_x86_feature_detected!($part);
        #[cfg(not(target_arch = "x86_64"))]
        let found = false;
        found
    }};
    (aarch64 $part:tt) => {{
        #[cfg(target_arch = "aarch64")]
        let found = std::arch::is_aarch64_feature_detected!($part);
        #[cfg(not(target_arch = "aarch64"))]
        let found = false;
        found
    }};
}

features! {
    /// 256-bit integer vectors.
    avx2: x86_64("avx2");
    /// 512-bit vectors of bytes to quadwords, and their instructions on shorter ones.
    avx512: x86_64("avx512f" "avx512bw" "avx512dq" "avx512vl");
    /// Multiplications of 52 bits in AVX-512 vectors.
    ifma: x86_64("avx512ifma");
    /// Permutations of bytes across an AVX-512 vector.
    vbmi: x86_64("avx512vbmi");
    /// Arithmetic in GF(2^8), and 8 by 8 bit matrices.
    gfni: x86_64("gfni");
    /// AES rounds on 128-bit vectors.
    aesni: x86_64("aes");
    /// AES rounds on every 128 bits of a vector.
    vaes: x86_64("vaes");
    /// Carry-less products on every 128 bits of a vector.
    vpclmulqdq: x86_64("vpclmulqdq");
    /// SHA-256 rounds.
    sha: x86_64("sha" "sse4.1" "ssse3");
    /// And-not, and rotations that leave the flags alone.
    bmi: x86_64("bmi1" "bmi2");
    /// 128-bit vectors.
    neon: aarch64("neon");
    /// AES rounds.
    aes: aarch64("aes");
    /// SHA-512 rounds.
    sha512: aarch64("sha3");
}

/// What kernels may use.
#[inline]
pub fn features() -> Features {
    #[cfg(test)]
    if let Some(forced) = FORCED.get() {
        return forced;
    }
    static FOUND: LazyLock<Features> = LazyLock::new(|| {
        let found = Features::detected();
        match std::env::var("COFFER_CPU") {
            Ok(off) if cfg!(any(debug_assertions, coffer_cpu)) => {
                let names = off.split(',').filter_map(|word| word.trim().strip_prefix('-'));
                found.without(&names.collect::<Vec<_>>())
            }
            _ => found,
        }
    });
    *FOUND
}

#[cfg(test)]
thread_local! {
    static FORCED: std::cell::Cell<Option<Features>> = const { std::cell::Cell::new(None) };
}

/// Runs `work` with the features named taken from this thread.
#[cfg(test)]
pub fn without<T>(names: &[&str], work: impl FnOnce() -> T) -> T {
    struct Restore(Option<Features>);
    impl Drop for Restore {
        fn drop(&mut self) {
            FORCED.set(self.0);
        }
    }
    let _restore = Restore(FORCED.replace(Some(features().without(names))));
    work()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feature_can_be_switched_off_and_comes_back() {
        let before = features();
        without(&["avx2", "neon"], || {
            assert!(!features().avx2 && !features().neon);
            without(&["avx512"], || assert!(!features().avx2 && !features().avx512));
            assert_eq!(features().avx512, before.avx512);
        });
        assert_eq!(features(), before);
        assert!(std::panic::catch_unwind(|| before.without(&["avx1024"])).is_err());
    }

    /// So have servers and qemu; without them the tests of their kernels would pass unseen.
    #[cfg(target_arch = "aarch64")]
    #[test]
    fn the_processor_has_neon_and_aes() {
        assert!(Features::detected().neon && Features::detected().aes);
    }
}
