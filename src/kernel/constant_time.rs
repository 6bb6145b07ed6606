//! Whether a kernel's time can depend on a secret: under valgrind, a secret is marked as memory never
//! written, and memcheck then counts every branch and every address that depends on it.
//!
//! `scripts/constant_time.sh` runs the tests named `constant_time` so. Elsewhere the marks do nothing and
//! `leaks` tells None. valgrind knows no AVX-512 and no VAES: there, a kernel's ways for AVX2 and for any
//! processor are seen; those beyond are made by the same macros and generic functions from other intrinsics. AES-GCM
//! (`aes/gcm.rs`) has no other way and is not seen: its lengths alone choose, which is for its reader to check.

use std::hint::black_box;

const RUNNING_ON_VALGRIND: usize = 0x1001;
const COUNT_ERRORS: usize = 0x1201;
const MAKE_MEM_UNDEFINED: usize = 0x4D43_0001;
const MAKE_MEM_DEFINED: usize = 0x4D43_0002;

/// From here on, nothing may branch on these bytes or on what comes of them, or use it as an address.
pub fn secret(bytes: &mut [u8]) {
    request(MAKE_MEM_UNDEFINED, bytes.as_mut_ptr() as usize, bytes.len());
}

/// What is known to all: a result that a test looks at.
pub fn public(bytes: &mut [u8]) {
    request(MAKE_MEM_DEFINED, bytes.as_mut_ptr() as usize, bytes.len());
}

/// How many times `work` let a secret choose; None where nobody counts.
///
/// # Panics
/// If nobody counts though `COFFER_CONSTANT_TIME` asks for it.
pub fn leaks(work: impl FnOnce()) -> Option<usize> {
    let counted = request(RUNNING_ON_VALGRIND, 0, 0) != 0;
    assert!(counted || std::env::var_os("COFFER_CONSTANT_TIME").is_none(), "not under valgrind");
    let before = request(COUNT_ERRORS, 0, 0);
    work();
    counted.then(|| request(COUNT_ERRORS, 0, 0) - before)
}

/// A client request (valgrind.h): a sequence that does nothing on a processor, by which valgrind is asked.
#[allow(unused_variables)]
fn request(number: usize, first: usize, second: usize) -> usize {
    let question = [number, first, second, 0, 0, 0];
    let mut answer = 0_usize;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: rotations of a register by 128 bits in all and an exchange of one with itself.
    unsafe {
        std::arch::asm!(
            "rol rdi, 3", "rol rdi, 13", "rol rdi, 61", "rol rdi, 51", "xchg rbx, rbx",
            in("rax") &question, inout("rdx") answer, out("rdi") _,
        );
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: rotations of a register by 128 bits in all and a move of one to itself.
    unsafe {
        std::arch::asm!(
            "ror x12, x12, #3", "ror x12, x12, #13", "ror x12, x12, #51", "ror x12, x12, #61",
            "orr x10, x10, x10", inout("x3") answer, in("x4") &question, out("x12") _,
        );
    }
    answer
}

/// The counter sees a table indexed by a secret, and a branch on one.
#[test]
fn constant_time_is_told_from_what_is_not() {
    const TABLE: [u8; 256] = [7; 256];
    let mut key = [3];
    secret(&mut key);
    let index = leaks(|| {
        black_box(black_box(&TABLE)[usize::from(black_box(key[0]))]);
    });
    let branch = leaks(|| {
        if black_box(key[0]) == 5 {
            black_box(());
        }
    });
    let none = leaks(|| {
        black_box(key[0] ^ 5);
    });
    for found in [index, branch] {
        assert!(found.is_none_or(|found| found > 0));
    }
    assert!(none.is_none_or(|found| found == 0));
}
