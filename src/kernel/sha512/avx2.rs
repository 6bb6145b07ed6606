//! SHA-512 by AVX2, two blocks at a time.
//!
//! Without AVX-512 a rotation is two shifts and an exclusive or, so the schedules take half as many instructions again, and
//! vector instructions want three of the five ports that the rounds want. What [`rounds`](super::rounds) says of groups of
//! six is true of both together, and a compiler, which puts the one behind the other, takes a tenth more time for the first
//! block. So it is in assembly as a whole, in twelve groups for every two rounds and their part of the schedules. Here ports
//! decide, and not the chain from `e` to `e`: two rounds take six operations less than those of the second block, and one step
//! more in that chain. The order was found as that one was, by the time of both blocks.

use super::BLOCK;
use super::x86_64::K;
use std::arch::asm;
use std::mem::{MaybeUninit, offset_of};
use std::ops::Range;

/// The places of the bytes of two words: from big-endian ones, and rotated by eight bits.
static PLACES: [[u8; 16]; 2] = [
    [7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8],
    [1, 2, 3, 4, 5, 6, 7, 0, 9, 10, 11, 12, 13, 14, 15, 8],
];

/// Two rounds of the first block, as [`two`](super::rounds) has them, and the two words of each block that come sixteen
/// later: where the variables and eight registers of words are, and the row, counted in fours and from there on.
#[rustfmt::skip]
macro_rules! two_and_words {
    ($a:literal $b:literal $c:literal $d:literal $e:literal $f:literal $g:literal $h:literal, $four:literal $row:literal,
     $w0:literal $w1:literal $w4:literal $w5:literal $w7:literal) => {
        concat!(
            "rorx {t}, {", $e, "}, 18\n",
            "mov {u}, {", $f, "}\n",
            "rorx {w}, {", $e, "}, 14\n",
            "xor {u}, {", $g, "}\n",
            "and {u}, {", $e, "}\n",
            "xor {w}, {t}\n",
            "rorx {t}, {", $e, "}, 41\n",
            "vpalignr ymm8, ymm", $w1, ", ymm", $w0, ", 8\n",
            "mov {ab}, {", $a, "}\n",
            "xor {u}, {", $g, "}\n",
            "vpalignr ymm11, ymm", $w5, ", ymm", $w4, ", 8\n",
            "xor {ab}, {", $b, "}\n",
            "add {", $h, "}, [{words} + 32 * (4 * ", $four, " + ", $row, ")]\n",
            "vpsrlq ymm9, ymm8, 1\n",
            "add {", $h, "}, {u}\n",
            "xor {w}, {t}\n",
            "vpsllq ymm10, ymm8, 63\n",
            "and {bc}, {ab}\n",
            "add {", $h, "}, {w}\n",
            "vpaddq ymm", $w0, ", ymm", $w0, ", ymm11\n",
            "rorx {t}, {", $a, "}, 28\n",
            "xor {bc}, {", $b, "}\n",
            "vpsrlq ymm12, ymm", $w7, ", 19\n",
            "rorx {w}, {", $a, "}, 39\n",
            "rorx {u}, {", $a, "}, 34\n",
            "vpxor ymm9, ymm9, ymm10\n",
            "xor {t}, {u}\n",
            "add {", $d, "}, {", $h, "}\n",
            "vpshufb ymm10, ymm8, ymm15\n",
            "add {", $h, "}, {bc}\n",
            "xor {t}, {w}\n",
            "vpsllq ymm13, ymm", $w7, ", 45\n",
            "mov {u}, {", $e, "}\n",
            "add {", $h, "}, {t}\n",
            "vpsrlq ymm8, ymm8, 7\n",
            "rorx {w}, {", $d, "}, 18\n",
            "xor {u}, {", $f, "}\n",
            "vpxor ymm9, ymm9, ymm10\n",
            "mov {bc}, {", $h, "}\n",
            "and {u}, {", $d, "}\n",
            "vpxor ymm12, ymm12, ymm13\n",
            "xor {u}, {", $f, "}\n",
            "rorx {t}, {", $d, "}, 14\n",
            "vpsrlq ymm13, ymm", $w7, ", 61\n",
            "xor {w}, {t}\n",
            "rorx {t}, {", $d, "}, 41\n",
            "vpxor ymm8, ymm8, ymm9\n",
            "add {", $g, "}, [{words} + 32 * (4 * ", $four, " + ", $row, ") + 8]\n",
            "xor {w}, {t}\n",
            "vpxor ymm12, ymm12, ymm13\n",
            "add {", $g, "}, {u}\n",
            "xor {bc}, {", $a, "}\n",
            "vpsllq ymm13, ymm", $w7, ", 3\n",
            "rorx {u}, {", $h, "}, 34\n",
            "and {ab}, {bc}\n",
            "vpaddq ymm", $w0, ", ymm", $w0, ", ymm8\n",
            "rorx {t}, {", $h, "}, 28\n",
            "add {", $g, "}, {w}\n",
            "vpxor ymm12, ymm12, ymm13\n",
            "xor {ab}, {", $a, "}\n",
            "add {", $c, "}, {", $g, "}\n",
            "vpsrlq ymm13, ymm", $w7, ", 6\n",
            "xor {t}, {u}\n",
            "add {", $g, "}, {ab}\n",
            "vpxor ymm12, ymm12, ymm13\n",
            "rorx {w}, {", $h, "}, 39\n",
            "xor {t}, {w}\n",
            "vpaddq ymm", $w0, ", ymm", $w0, ", ymm12\n",
            "add {", $g, "}, {t}\n",
            "vbroadcasti128 ymm9, [rip + {k} + 16 * (4 * ", $four, " + ", $row, " + 8)]\n",
            "vpaddq ymm9, ymm9, ymm", $w0, "\n",
            "vmovdqa [{words} + 32 * (4 * ", $four, " + ", $row, " + 8)], ymm9\n",
        )
    };
}

/// Sixteen rounds and as many words, from the `$four`th four rows.
macro_rules! sixteen {
    ($four:literal $next:literal) => {
        concat!(
            two_and_words!("a" "b" "c" "d" "e" "f" "g" "h", $four 0, 0 1 4 5 7),
            two_and_words!("g" "h" "a" "b" "c" "d" "e" "f", $four 1, 1 2 5 6 0),
            two_and_words!("e" "f" "g" "h" "a" "b" "c" "d", $four 2, 2 3 6 7 1),
            two_and_words!("c" "d" "e" "f" "g" "h" "a" "b", $four 3, 3 4 7 0 2),
            two_and_words!("a" "b" "c" "d" "e" "f" "g" "h", $next 0, 4 5 0 1 3),
            two_and_words!("g" "h" "a" "b" "c" "d" "e" "f", $next 1, 5 6 1 2 4),
            two_and_words!("e" "f" "g" "h" "a" "b" "c" "d", $next 2, 6 7 2 3 5),
            two_and_words!("c" "d" "e" "f" "g" "h" "a" "b", $next 3, 7 0 3 4 6),
        )
    };
}

/// The `$i`th two words of each block, from the bytes of the message, and with their constants added.
macro_rules! words {
    ($($i:literal)*) => {
        concat!($(
            "vmovdqu xmm", $i, ", [{b} + 16 * ", $i, "]\n",
            "vinserti128 ymm", $i, ", ymm", $i, ", [{c} + 16 * ", $i, "], 1\n",
            "vpshufb ymm", $i, ", ymm", $i, ", ymm8\n",
            "vbroadcasti128 ymm9, [rip + {k} + 16 * ", $i, "]\n",
            "vpaddq ymm9, ymm9, ymm", $i, "\n",
            "vmovdqa [{words} + 32 * ", $i, "], ymm9\n",
        )*)
    };
}

/// What the assembly works on, as no general register is left to point at anything else.
#[repr(C, align(64))]
struct Work {
    /// The schedules' words with their constants added: row `i` has words `2 * i` and `2 * i + 1` of one block and the other.
    /// What is there before is not worth a clearing.
    rows: [[[MaybeUninit<u64>; 2]; 2]; 40],
    state: *mut u64,
    /// The block to come next, and the end of all.
    next: *const [u8; BLOCK],
    end: *const [u8; BLOCK],
}

/// Takes the chaining value past some blocks.
#[target_feature(enable = "avx2,bmi1,bmi2")]
pub(super) fn compress(state: &mut [u64; 8], blocks: &[[u8; BLOCK]]) {
    if blocks.is_empty() {
        return;
    }
    let Range { start: next, end } = blocks.as_ptr_range();
    let rows = [[[MaybeUninit::uninit(); 2]; 2]; 40];
    let mut work = Work { rows, state: state.as_mut_ptr(), next, end };
    // SAFETY: the instructions are enabled; all pointers are valid, and there is a block.
    unsafe { all(&mut work) }
}

/// # Safety
/// The processor has AVX2 and BMI; what is in `work` is valid, and `next` is before `end`.
#[inline(always)]
#[rustfmt::skip]
unsafe fn all(work: &mut Work) {
    macro_rules! add_to_state {
        () => {
            concat!(
                "mov {t}, [{words} + {state}]\n",
                "add {a}, [{t}]\nadd {b}, [{t} + 8]\nadd {c}, [{t} + 16]\nadd {d}, [{t} + 24]\n",
                "add {e}, [{t} + 32]\nadd {f}, [{t} + 40]\nadd {g}, [{t} + 48]\nadd {h}, [{t} + 56]\n",
                "mov [{t}], {a}\nmov [{t} + 8], {b}\nmov [{t} + 16], {c}\nmov [{t} + 24], {d}\n",
                "mov [{t} + 32], {e}\nmov [{t} + 40], {f}\nmov [{t} + 48], {g}\nmov [{t} + 56], {h}\n",
            )
        };
    }
    // SAFETY: registers, the state, the blocks, statics, and rows that are written before they are read.
    unsafe {
        asm!(
            "2:",
            "mov {a}, [{words} + {state}]",
            "mov {b}, [{words} + {next}]",
            // For a second block that is not there the first stands in; nobody looks at what comes of that.
            "lea {c}, [{b} + {block}]",
            "cmp {c}, [{words} + {end}]",
            "cmove {c}, {b}",
            "vzeroupper", "nop",
            "vbroadcasti128 ymm15, [rip + {places} + 16]",
            "vbroadcasti128 ymm8, [rip + {places}]",
            "mov {d}, [{a} + 24]", "mov {e}, [{a} + 32]",
            "mov {f}, [{a} + 40]", "mov {g}, [{a} + 48]", "mov {h}, [{a} + 56]",
            words!(0 1 2 3 4 5 6 7),
            "mov {c}, [{a} + 16]", "mov {b}, [{a} + 8]", "mov {a}, [{a}]",
            "mov {bc}, {b}",
            "xor {bc}, {c}",
            sixteen!(0 1), sixteen!(2 3), sixteen!(4 5), sixteen!(6 7),
            eight!(8), eight!(9),
            add_to_state!(),
            "mov {t}, [{words} + {next}]",
            "add {t}, {block}",
            "cmp {t}, [{words} + {end}]",
            "je 3f",
            "add {t}, {block}",
            "mov [{words} + {next}], {t}",
            "mov {bc}, {b}",
            "xor {bc}, {c}",
            "add {words}, 16",
            eight!(0), eight!(1), eight!(2), eight!(3), eight!(4),
            eight!(5), eight!(6), eight!(7), eight!(8), eight!(9),
            "sub {words}, 16",
            add_to_state!(),
            "mov {t}, [{words} + {next}]",
            "cmp {t}, [{words} + {end}]",
            "jne 2b",
            "3:",
            words = inout(reg) &raw mut *work => _, from = const 0, row = const 32, k = sym K, places = sym PLACES,
            block = const BLOCK, state = const offset_of!(Work, state), next = const offset_of!(Work, next),
            end = const offset_of!(Work, end),
            a = out(reg) _, b = out(reg) _, c = out(reg) _, d = out(reg) _, e = out(reg) _, f = out(reg) _,
            g = out(reg) _, h = out(reg) _, bc = out(reg) _, ab = out(reg) _, t = out(reg) _, u = out(reg) _,
            w = out(reg) _,
            out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _, out("xmm4") _, out("xmm5") _,
            out("xmm6") _, out("xmm7") _, out("xmm8") _, out("xmm9") _, out("xmm10") _, out("xmm11") _,
            out("xmm12") _, out("xmm13") _, out("xmm15") _,
            options(nostack),
        );
    }
}
