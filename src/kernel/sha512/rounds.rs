//! The rounds of SHA-512 (FIPS 180-4, section 6.4.2, step 3), two at a time.
//!
//! Two things decide how fast they go: the chain from `e` to the next `e`, which is kept at two exclusive ors and one
//! addition behind a rotation by adding all else to `d` beforehand; and the six rotations, for which there are only two
//! ports. Compilers see neither and take a fifth more time, so they are in assembly. Among the orders that the dependencies
//! allow, this one was found by measuring thousands of them on a Sapphire Rapids Xeon.

use std::arch::asm;

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
        macro_rules! round {
            ($t:expr, $at:expr) => {
                let place = |variable: usize| (variable + 16 - $t) % 8;
                let p = &mut self.places;
                // SAFETY: registers, and 8 bytes that are read; the instructions are the caller's.
                unsafe {
                    asm!(
                        // Ch(e, f, g) = ((f ^ g) & e) ^ g, and Sigma1(e), with h and the word and d before it.
                        "rorx {u}, {e}, 18",
                        "add {h}, [{words} + {at}]",
                        "mov {ab}, {f}",
                        "xor {ab}, {g}",
                        "rorx {t}, {e}, 14",
                        "add {d}, {h}",
                        "xor {t}, {u}",
                        "and {ab}, {e}",
                        "xor {ab}, {g}",
                        "add {h}, {ab}",
                        "add {d}, {ab}",
                        // Maj(a, b, c) = ((a ^ b) & (b ^ c)) ^ b; a ^ b stays for the next round.
                        "mov {ab}, {a}",
                        "xor {ab}, {b}",
                        "rorx {u}, {e}, 41",
                        "xor {t}, {u}",
                        "and {bc}, {ab}",
                        "add {d}, {t}",
                        "add {h}, {t}",
                        // Sigma0(a).
                        "rorx {t}, {a}, 28",
                        "rorx {u}, {a}, 34",
                        "xor {t}, {u}",
                        "rorx {u}, {a}, 39",
                        "xor {bc}, {b}",
                        "xor {t}, {u}",
                        "add {h}, {bc}",
                        "add {h}, {t}",
                        words = in(reg) words, at = const $at,
                        a = in(reg) p[place(0)], b = in(reg) p[place(1)], d = inout(reg) p[place(3)],
                        e = in(reg) p[place(4)], f = in(reg) p[place(5)], g = in(reg) p[place(6)],
                        h = inout(reg) p[place(7)],
                        bc = inout(reg) self.xors[$t % 2], ab = inout(reg) self.xors[($t + 1) % 2],
                        t = out(reg) _, u = out(reg) _,
                        options(readonly, nostack),
                    );
                }
            };
        }
        round!(2 * I, I * ROW);
        round!(2 * I + 1, I * ROW + 8);
    }

    /// Adds the working variables to the chaining value.
    pub fn add_to(&self, state: &mut [u64; 8]) {
        state.iter_mut().zip(self.places).for_each(|(word, place)| *word = word.wrapping_add(place));
    }
}
