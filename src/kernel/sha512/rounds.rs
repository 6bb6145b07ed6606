//! The rounds of SHA-512 (FIPS 180-4, section 6.4.2, step 3).
//!
//! What decides how fast they go:
//!
//! * the chain from `e` to the next `e`: all else is added to `d` beforehand, which leaves two exclusive ors and one addition
//!   behind a rotation. The new `a` is not added up beside it from `h`, but taken from the new `e`, less the old `d`.
//! * Maj(a, b, c) as the sum of `b & c` and `a & (b ^ c)`, which share no bit: only one step waits for `a`.
//! * the six rotations, for which there are only two ports.
//!
//! Compilers see none of it and take a quarter more time, so they are in assembly. Among the orders that the dependencies
//! allow, this one was found by measuring thousands of them on a Sapphire Rapids Xeon.

use std::arch::asm;

/// A round: where the variables are, `b ^ c` and the place for `a ^ b`, and which word of which row is added.
#[rustfmt::skip]
macro_rules! round {
    ($a:ident $b:ident $c:ident $d:ident $e:ident $f:ident $g:ident $h:ident, $bc:ident $ab:ident,
     $row:literal $word:literal) => {
        concat!(
            "mov {w}, {", stringify!($b), "}\n",
            "and {w}, {", stringify!($c), "}\n",
            "rorx {t}, {", stringify!($e), "}, 18\n",
            "sub {w}, {", stringify!($d), "}\n",
            "mov {", stringify!($ab), "}, {", stringify!($a), "}\n",
            "add {", stringify!($h), "}, [{words} + {from} + {row} * ", $row, " + 8 * ", $word, "]\n",
            "rorx {u}, {", stringify!($e), "}, 14\n",
            "add {", stringify!($d), "}, {", stringify!($h), "}\n",
            "mov {", stringify!($h), "}, {", stringify!($f), "}\n",
            "xor {", stringify!($h), "}, {", stringify!($g), "}\n",
            "and {", stringify!($h), "}, {", stringify!($e), "}\n",
            "xor {t}, {u}\n",
            "xor {", stringify!($h), "}, {", stringify!($g), "}\n",
            "rorx {u}, {", stringify!($e), "}, 41\n",
            "xor {t}, {u}\n",
            "add {", stringify!($d), "}, {", stringify!($h), "}\n",
            "mov {", stringify!($h), "}, {", stringify!($a), "}\n",
            "add {", stringify!($d), "}, {t}\n",
            "rorx {t}, {", stringify!($a), "}, 34\n",
            "ror {", stringify!($h), "}, 28\n",
            "and {", stringify!($bc), "}, {", stringify!($a), "}\n",
            "xor {", stringify!($h), "}, {t}\n",
            "rorx {t}, {", stringify!($a), "}, 39\n",
            "add {w}, {", stringify!($bc), "}\n",
            "xor {", stringify!($h), "}, {t}\n",
            "add {w}, {", stringify!($d), "}\n",
            "xor {", stringify!($ab), "}, {", stringify!($b), "}\n",
            "add {", stringify!($h), "}, {w}\n",
        )
    };
}

/// Eight rounds.
#[rustfmt::skip]
macro_rules! eight {
    ($first:literal $second:literal $third:literal $fourth:literal) => {
        concat!(
            round!(a b c d e f g h, bc ab, $first 0), round!(h a b c d e f g, ab bc, $first 1),
            round!(g h a b c d e f, bc ab, $second 0), round!(f g h a b c d e, ab bc, $second 1),
            round!(e f g h a b c d, bc ab, $third 0), round!(d e f g h a b c, ab bc, $third 1),
            round!(c d e f g h a b, bc ab, $fourth 0), round!(b c d e f g h a, ab bc, $fourth 1),
        )
    };
}

/// The working variables.
pub(super) struct Rounds {
    /// They are not moved from round to round: in round `t`, variable `j` of `a` to `h` is at place `j - t`, modulo eight.
    places: [u64; 8],
    /// In round `t`, place `t`, modulo two, has the exclusive or of `b` and `c`, which the round before has made as its `a`
    /// and `b`; the other one is for that of `a` and `b`.
    xors: [u64; 2],
}

impl Rounds {
    /// From a chaining value.
    pub fn new(state: &[u64; 8]) -> Rounds {
        Rounds { places: *state, xors: [state[1] ^ state[2], 0] }
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
                round!(a b c d e f g h, bc ab, 0 0),
                round!(h a b c d e f g, ab bc, 0 1),
                words = in(reg) words, from = const I * ROW, row = const ROW,
                a = inout(reg) p[place(0)], b = inout(reg) p[place(1)], c = inout(reg) p[place(2)],
                d = inout(reg) p[place(3)], e = inout(reg) p[place(4)], f = inout(reg) p[place(5)],
                g = inout(reg) p[place(6)], h = inout(reg) p[place(7)],
                bc = inout(reg) self.xors[0], ab = inout(reg) self.xors[1],
                t = out(reg) _, u = out(reg) _, w = out(reg) _,
                options(readonly, nostack),
            );
        }
    }

    /// All rounds, from a schedule whose rows are `ROW` bytes apart.
    ///
    /// They are not a loop: in one of eight or more, the processor takes half a cycle more for each round.
    ///
    /// # Safety
    /// The processor has BMI; there are 40 rows, two words of each of which are read.
    #[inline(always)]
    pub unsafe fn all<const ROW: usize>(&mut self, words: *const u64) {
        let [a, b, c, d, e, f, g, h] = &mut self.places;
        // SAFETY: registers, and 16 bytes of each row that are read; the instructions are the caller's.
        unsafe {
            asm!(
                eight!(0 1 2 3), eight!(4 5 6 7), eight!(8 9 10 11), eight!(12 13 14 15), eight!(16 17 18 19),
                eight!(20 21 22 23), eight!(24 25 26 27), eight!(28 29 30 31), eight!(32 33 34 35),
                eight!(36 37 38 39),
                words = in(reg) words, from = const 0, row = const ROW,
                a = inout(reg) *a, b = inout(reg) *b, c = inout(reg) *c, d = inout(reg) *d,
                e = inout(reg) *e, f = inout(reg) *f, g = inout(reg) *g, h = inout(reg) *h,
                bc = inout(reg) self.xors[0], ab = inout(reg) self.xors[1],
                t = out(reg) _, u = out(reg) _, w = out(reg) _,
                options(readonly, nostack),
            );
        }
    }

    /// Adds the working variables to the chaining value.
    pub fn add_to(&self, state: &mut [u64; 8]) {
        state.iter_mut().zip(self.places).for_each(|(word, place)| *word = word.wrapping_add(place));
    }
}
