//! The rounds of SHA-512 (FIPS 180-4, section 6.4.2, step 3).
//!
//! What decides how fast they go:
//!
//! * the chain from `e` to the next `e`: all else is added to `d` beforehand, which leaves two exclusive ors and one addition
//!   behind a rotation. The new `a` is not added up beside it from `h`, but taken from the new `e`, less the old `d`.
//! * Maj(a, b, c) as the sum of `b & c` and `a & (b ^ c)`, which share no bit: only one step waits for `a`.
//! * the six rotations, for which there are only two ports.
//! * where the processor cuts the instructions into the groups of six that it hands out to the ports together: one place
//!   on, and the same rounds take up to a seventh more time. Two rounds are nine whole groups, but the cuts drift, and any
//!   taken branch moves them. `vzeroupper` begins a new group, at the cost of about a cycle: one before each eight rounds,
//!   and no branch in eighty.
//!
//! Compilers see none of it and take a quarter more time, so the rounds are in assembly. Among the orders that the
//! dependencies allow, and among different ones for the first and the second of two rounds, this one was found by
//! measuring thousands of them on a Sapphire Rapids Xeon, behind `vzeroupper` and two more instructions.

use std::arch::asm;

/// Two rounds: where the variables are, and the row with their words, counted in fours and from there on. `bc` has `b ^ c`
/// before, and of the new ones after.
#[rustfmt::skip]
macro_rules! two {
    ($a:literal $b:literal $c:literal $d:literal $e:literal $f:literal $g:literal $h:literal, $four:literal $row:literal) => {
        concat!(
            "rorx {t}, {", $e, "}, 18\n",
            "add {", $h, "}, [{words} + {from} + {row} * (4 * ", $four, " + ", $row, ")]\n",
            "rorx {u}, {", $e, "}, 14\n",
            "mov {w}, {", $b, "}\n",
            "and {w}, {", $c, "}\n",
            "sub {w}, {", $d, "}\n",
            "add {", $d, "}, {", $h, "}\n",
            "mov {", $h, "}, {", $f, "}\n",
            "xor {", $h, "}, {", $g, "}\n",
            "and {", $h, "}, {", $e, "}\n",
            "xor {", $h, "}, {", $g, "}\n",
            "xor {t}, {u}\n",
            "add {", $d, "}, {", $h, "}\n",
            "mov {ab}, {", $a, "}\n",
            "rorx {u}, {", $e, "}, 41\n",
            "and {bc}, {", $a, "}\n",
            "xor {t}, {u}\n",
            "rorx {u}, {", $a, "}, 34\n",
            "add {", $d, "}, {t}\n",
            "add {", $g, "}, [{words} + {from} + {row} * (4 * ", $four, " + ", $row, ") + 8]\n",
            "rorx {", $h, "}, {", $a, "}, 28\n",
            "add {w}, {bc}\n",
            "add {w}, {", $d, "}\n",
            "xor {", $h, "}, {u}\n",
            "rorx {u}, {", $a, "}, 39\n",
            "xor {", $h, "}, {u}\n",
            "add {", $h, "}, {w}\n",
            "mov {w}, {", $a, "}\n",
            "xor {ab}, {", $b, "}\n",
            "rorx {u}, {", $d, "}, 14\n",
            "and {w}, {", $b, "}\n",
            "sub {w}, {", $c, "}\n",
            "rorx {t}, {", $d, "}, 18\n",
            "add {", $c, "}, {", $g, "}\n",
            "andn {", $g, "}, {", $d, "}, {", $f, "}\n",
            "add {", $c, "}, {", $g, "}\n",
            "xor {t}, {u}\n",
            "mov {bc}, {", $h, "}\n",
            "mov {", $g, "}, {", $d, "}\n",
            "and {", $g, "}, {", $e, "}\n",
            "add {", $c, "}, {", $g, "}\n",
            "rorx {u}, {", $d, "}, 41\n",
            "xor {t}, {u}\n",
            "add {", $c, "}, {t}\n",
            "rorx {t}, {", $h, "}, 28\n",
            "and {ab}, {", $h, "}\n",
            "add {w}, {ab}\n",
            "rorx {u}, {", $h, "}, 34\n",
            "xor {t}, {u}\n",
            "lea {", $g, "}, [{w} + {", $c, "}]\n",
            "rorx {u}, {", $h, "}, 39\n",
            "xor {t}, {u}\n",
            "add {", $g, "}, {t}\n",
            "xor {bc}, {", $a, "}\n",
        )
    };
}

/// Eight rounds, from the `$four`th four rows: a new group of six, two of which are before the rounds.
macro_rules! eight {
    ($four:literal) => {
        concat!(
            "vzeroupper\nnop\nnop\n",
            two!("a" "b" "c" "d" "e" "f" "g" "h", $four 0),
            two!("g" "h" "a" "b" "c" "d" "e" "f", $four 1),
            two!("e" "f" "g" "h" "a" "b" "c" "d", $four 2),
            two!("c" "d" "e" "f" "g" "h" "a" "b", $four 3),
        )
    };
}

/// The working variables.
pub(super) struct Rounds {
    /// They are not moved from round to round: in round `t`, variable `j` of `a` to `h` is at place `j - t`, modulo eight.
    places: [u64; 8],
    /// The exclusive or of `b` and `c`, which the round before has made as that of its `a` and `b`.
    bc: u64,
}

impl Rounds {
    /// From a chaining value.
    pub fn new(state: &[u64; 8]) -> Rounds {
        Rounds { places: *state, bc: state[1] ^ state[2] }
    }

    /// The rounds `2 * I` and `2 * I + 1`, modulo 16, with the schedule's words plus their constants, `ROW` bytes for each
    /// `I` after `words`.
    ///
    /// # Safety
    /// The processor has BMI; there are two words to read.
    #[inline(always)]
    pub unsafe fn two<const I: usize, const ROW: usize>(&mut self, words: *const u64) {
        let p = &mut self.places;
        let place = |variable: usize| (variable + 16 - 2 * I) % 8;
        // SAFETY: registers, and 16 bytes that are read; the instructions are the caller's.
        unsafe {
            asm!(
                two!("a" "b" "c" "d" "e" "f" "g" "h", 0 0),
                words = in(reg) words, from = const I * ROW, row = const ROW,
                a = inout(reg) p[place(0)], b = inout(reg) p[place(1)], c = inout(reg) p[place(2)],
                d = inout(reg) p[place(3)], e = inout(reg) p[place(4)], f = inout(reg) p[place(5)],
                g = inout(reg) p[place(6)], h = inout(reg) p[place(7)], bc = inout(reg) self.bc, ab = out(reg) _,
                t = out(reg) _, u = out(reg) _, w = out(reg) _,
                options(readonly, nostack),
            );
        }
    }

    /// Adds the working variables to the chaining value. A compiler would carry them to a vector and back, and what reads
    /// the chaining value next would wait for that.
    #[inline(always)]
    pub fn add_to(&self, state: &mut [u64; 8]) {
        let [a, b, c, d, e, f, g, h] = self.places;
        // SAFETY: registers, and the state.
        unsafe {
            asm!(
                "add [{t}], {a}", "add [{t} + 8], {b}", "add [{t} + 16], {c}", "add [{t} + 24], {d}",
                "add [{t} + 32], {e}", "add [{t} + 40], {f}", "add [{t} + 48], {g}", "add [{t} + 56], {h}",
                t = in(reg) state.as_mut_ptr(),
                a = in(reg) a, b = in(reg) b, c = in(reg) c, d = in(reg) d,
                e = in(reg) e, f = in(reg) f, g = in(reg) g, h = in(reg) h,
                options(nostack),
            );
        }
    }
}

/// Takes the chaining value past blocks whose schedules are ready, in rows `ROW` bytes apart: that of the first block
/// at `words`, that of each following one 16 bytes further on, until `end`. It is 9 KB long, and one for all that have
/// such rows.
///
/// # Safety
/// The processor has AVX2 and BMI; there are blocks, and 40 rows, two words of each of which are read for each block.
#[inline(never)]
#[rustfmt::skip]
pub(super) unsafe fn scheduled<const ROW: usize>(state: &mut [u64; 8], words: *const u64, end: *const u64) {
    // SAFETY: registers, the state, and 16 bytes of each row that are read; the instructions are the caller's.
    unsafe {
        asm!(
            // There is no general register left for the state and the end of the blocks.
            "vmovq xmm0, {a}",
            "vmovq xmm1, {b}",
            "mov {h}, [{a} + 56]", "mov {g}, [{a} + 48]", "mov {f}, [{a} + 40]", "mov {e}, [{a} + 32]",
            "mov {d}, [{a} + 24]", "mov {c}, [{a} + 16]", "mov {b}, [{a} + 8]", "mov {a}, [{a}]",
            "2:",
            "mov {bc}, {b}",
            "xor {bc}, {c}",
            eight!(0), eight!(1), eight!(2), eight!(3), eight!(4),
            eight!(5), eight!(6), eight!(7), eight!(8), eight!(9),
            "vmovq {t}, xmm0",
            "add {a}, [{t}]", "add {b}, [{t} + 8]", "add {c}, [{t} + 16]", "add {d}, [{t} + 24]",
            "add {e}, [{t} + 32]", "add {f}, [{t} + 40]", "add {g}, [{t} + 48]", "add {h}, [{t} + 56]",
            "mov [{t}], {a}", "mov [{t} + 8], {b}", "mov [{t} + 16], {c}", "mov [{t} + 24], {d}",
            "mov [{t} + 32], {e}", "mov [{t} + 40], {f}", "mov [{t} + 48], {g}", "mov [{t} + 56], {h}",
            "add {words}, 16",
            "vmovq {t}, xmm1",
            "cmp {words}, {t}",
            "jne 2b",
            words = inout(reg) words => _, from = const 0, row = const ROW,
            a = inout(reg) state.as_mut_ptr() => _, b = inout(reg) end => _, c = out(reg) _, d = out(reg) _,
            e = out(reg) _, f = out(reg) _, g = out(reg) _, h = out(reg) _, bc = out(reg) _, ab = out(reg) _,
            t = out(reg) _, u = out(reg) _, w = out(reg) _,
            // Of these, `vzeroupper` clears the upper parts.
            out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _, out("xmm4") _, out("xmm5") _,
            out("xmm6") _, out("xmm7") _, out("xmm8") _, out("xmm9") _, out("xmm10") _, out("xmm11") _,
            out("xmm12") _, out("xmm13") _, out("xmm14") _, out("xmm15") _,
            options(nostack),
        );
    }
}
