//! The rounds of SHA-512 (FIPS 180-4, section 6.4.2, step 3), two at a time.
//!
//! Sums are formed so that what comes latest, Sigma1(e), goes in last and directly into the new `e`: the chain from
//! `e` to the next `e` is two exclusive ors and one addition behind a rotation. A compiler forms them otherwise and
//! takes a fifth more time, so they are in assembly.

use std::arch::asm;
use std::arch::x86_64::*;

pub(super) trait Rounds {
    /// # Safety
    /// The processor has the instructions.
    unsafe fn new(state: &[u64; 8]) -> Self;

    /// The rounds `2 * I` and `2 * I + 1`, modulo 16, with `words` the schedule's words plus their constants.
    ///
    /// The working variables are not moved from round to round: variable `j` is at place `j - 2 * I`, modulo their
    /// number.
    ///
    /// # Safety
    /// The processor has the instructions.
    unsafe fn two<const I: usize>(&mut self, words: &[u64; 2]);

    /// Adds the working variables to the chaining value.
    fn add_to(&self, state: &mut [u64; 8]);
}

/// All eight variables in general registers; BMI's rotations and and-not.
pub(super) struct Scalar {
    places: [u64; 8],
    /// The exclusive or of `b` and `c`, which the round before has made as its `a` and `b`.
    b_xor_c: u64,
}

/// One round: Ch(e, f, g) = ((f ^ g) & e) ^ g, Maj(a, b, c) = ((a ^ b) & (b ^ c)) ^ b. `bc` comes as `b ^ c`;
/// `ab` goes as `a ^ b`.
macro_rules! scalar_round {
    ($word:literal, $a:literal $b:literal $d:literal $e:literal $f:literal $g:literal $h:literal, $bc:literal $ab:literal) => {
        concat!(
            "add ",
            $h,
            ", [{words} + ",
            $word,
            "]\n",
            "mov ",
            $ab,
            ", ",
            $f,
            "\n",
            "rorx {t}, ",
            $e,
            ", 14\n",
            "xor ",
            $ab,
            ", ",
            $g,
            "\n",
            "and ",
            $ab,
            ", ",
            $e,
            "\n",
            "xor ",
            $ab,
            ", ",
            $g,
            "\n",
            "add ",
            $h,
            ", ",
            $ab,
            "\n",
            "rorx ",
            $ab,
            ", ",
            $e,
            ", 18\n",
            "xor {t}, ",
            $ab,
            "\n",
            "rorx ",
            $ab,
            ", ",
            $e,
            ", 41\n",
            "add ",
            $d,
            ", ",
            $h,
            "\n",
            "xor {t}, ",
            $ab,
            "\n",
            "mov ",
            $ab,
            ", ",
            $a,
            "\n",
            "add ",
            $d,
            ", {t}\n",
            "add ",
            $h,
            ", {t}\n",
            "xor ",
            $ab,
            ", ",
            $b,
            "\n",
            "rorx {t}, ",
            $a,
            ", 28\n",
            "and ",
            $bc,
            ", ",
            $ab,
            "\n",
            "xor ",
            $bc,
            ", ",
            $b,
            "\n",
            "add ",
            $h,
            ", ",
            $bc,
            "\n",
            "rorx ",
            $bc,
            ", ",
            $a,
            ", 34\n",
            "xor {t}, ",
            $bc,
            "\n",
            "rorx ",
            $bc,
            ", ",
            $a,
            ", 39\n",
            "xor {t}, ",
            $bc,
            "\n",
            "add ",
            $h,
            ", {t}",
        )
    };
}

impl Rounds for Scalar {
    #[inline(always)]
    unsafe fn new(state: &[u64; 8]) -> Self {
        Scalar { places: *state, b_xor_c: state[1] ^ state[2] }
    }

    #[inline(always)]
    unsafe fn two<const I: usize>(&mut self, words: &[u64; 2]) {
        let place = |variable: usize| (variable + 16 - 2 * I) % 8;
        let p = &mut self.places;
        // SAFETY: registers, and 16 bytes that are read; the instructions are the caller's.
        unsafe {
            asm!(
                scalar_round!("0", "{a}" "{b}" "{d}" "{e}" "{f}" "{g}" "{h}", "{bc}" "{ab}"),
                scalar_round!("8", "{h}" "{a}" "{c}" "{d}" "{e}" "{f}" "{g}", "{ab}" "{bc}"),
                words = in(reg) words,
                a = in(reg) p[place(0)], b = in(reg) p[place(1)],
                c = inout(reg) p[place(2)], d = inout(reg) p[place(3)],
                e = in(reg) p[place(4)], f = in(reg) p[place(5)],
                g = inout(reg) p[place(6)], h = inout(reg) p[place(7)],
                bc = inout(reg) self.b_xor_c, ab = out(reg) _, t = out(reg) _,
                options(readonly, nostack),
            );
        }
    }

    #[inline(always)]
    fn add_to(&self, state: &mut [u64; 8]) {
        state.iter_mut().zip(self.places).for_each(|(word, place)| *word = word.wrapping_add(place));
    }
}

/// `e` to `h` in general registers; `a` to `d` in vector registers, of which AVX-512 makes Sigma0 and Maj in one
/// instruction each and which add on ports of their own.
///
/// The two halves meet only twice in a round, and late: a new `a` is the new `e` less `d` plus Sigma0(a) and
/// Maj(a, b, c), and goes over to the general registers to be added as `d` three rounds later.
pub(super) struct Mixed {
    vectors: [__m128i; 4],
    /// `a` to `d` again.
    copies: [u64; 4],
    places: [u64; 4],
}

macro_rules! mixed_round {
    ($word:literal, $a:literal $b:literal $c:literal $d:literal $e:literal $f:literal $g:literal $h:literal, $copy:literal) => {
        concat!(
            "add ",
            $h,
            ", [{words} + ",
            $word,
            "]\n",
            "andn {s}, ",
            $e,
            ", ",
            $g,
            "\n",
            "mov {t}, ",
            $e,
            "\n",
            "add ",
            $h,
            ", ",
            $copy,
            "\n",
            "and {t}, ",
            $f,
            "\n",
            "rorx {r}, ",
            $e,
            ", 14\n",
            "add ",
            $h,
            ", {s}\n",
            "rorx {s}, ",
            $e,
            ", 18\n",
            "add ",
            $h,
            ", {t}\n",
            "rorx {t}, ",
            $e,
            ", 41\n",
            "xor {r}, {s}\n",
            "vprorq {x}, ",
            $a,
            ", 28\n",
            "vprorq {y}, ",
            $a,
            ", 34\n",
            "vprorq {z}, ",
            $a,
            ", 39\n",
            "vmovdqa64 {maj}, ",
            $a,
            "\n",
            "xor {r}, {t}\n",
            "add ",
            $h,
            ", {r}\n",
            // The truth tables of Maj and of an exclusive or of three.
            "vpternlogq {maj}, ",
            $b,
            ", ",
            $c,
            ", 0xE8\n",
            "vpternlogq {x}, {y}, {z}, 0x96\n",
            "vmovq {y}, ",
            $h,
            "\n",
            "vpsubq {y}, {y}, ",
            $d,
            "\n",
            "vpaddq {maj}, {maj}, {y}\n",
            "vpaddq ",
            $d,
            ", {maj}, {x}\n",
            "vmovq ",
            $copy,
            ", ",
            $d,
        )
    };
}

impl Rounds for Mixed {
    #[inline(always)]
    unsafe fn new(state: &[u64; 8]) -> Self {
        let [a, b, c, d, e, f, g, h] = *state;
        let copies = [a, b, c, d];
        // SAFETY: the caller's.
        let vectors = copies.map(|word| unsafe { _mm_cvtsi64_si128(word as i64) });
        Mixed { vectors, copies, places: [e, f, g, h] }
    }

    #[inline(always)]
    unsafe fn two<const I: usize>(&mut self, words: &[u64; 2]) {
        let place = |variable: usize| (variable + 16 - 2 * I) % 4;
        let (v, p) = (&mut self.vectors, &mut self.places);
        // SAFETY: registers, and 16 bytes that are read; the instructions are the caller's.
        unsafe {
            asm!(
                mixed_round!("0", "{a}" "{b}" "{c}" "{d}" "{e}" "{f}" "{g}" "{h}", "{d_copy}"),
                mixed_round!("8", "{d}" "{a}" "{b}" "{c}" "{h}" "{e}" "{f}" "{g}", "{c_copy}"),
                words = in(reg) words,
                a = in(xmm_reg) v[place(0)], b = in(xmm_reg) v[place(1)],
                c = inout(xmm_reg) v[place(2)], d = inout(xmm_reg) v[place(3)],
                e = in(reg) p[place(0)], f = in(reg) p[place(1)],
                g = inout(reg) p[place(2)], h = inout(reg) p[place(3)],
                c_copy = inout(reg) self.copies[place(2)], d_copy = inout(reg) self.copies[place(3)],
                r = out(reg) _, s = out(reg) _, t = out(reg) _,
                x = out(xmm_reg) _, y = out(xmm_reg) _, z = out(xmm_reg) _, maj = out(xmm_reg) _,
                options(readonly, nostack),
            );
        }
    }

    #[inline(always)]
    fn add_to(&self, state: &mut [u64; 8]) {
        let places = self.copies.iter().chain(&self.places);
        state.iter_mut().zip(places).for_each(|(word, place)| *word = word.wrapping_add(*place));
    }
}
