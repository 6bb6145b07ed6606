//! The eight S-boxes of DES (FIPS 46-3) as networks of gates: data that a macro turns into straight-line code
//! for any vector.
//!
//! The inputs are `a` to `f`, first to last, and a network names its gates in an order that can be computed.
//! The networks are our own, found by simulated annealing on truth tables. A step takes a gate and the inputs
//! for which it is seen at an output at all, and makes it anew from any other nodes that agree on those, now
//! and then with one more gate in between; gates that are no longer seen go. `pairs` was made small in gates,
//! and a little in the length of chains. `triples` was made small in time as Zen 4 counts it: a three-input
//! gate takes as long as one and a half of two inputs, and one that would overwrite an input which is still
//! needed costs a copy. The test at the end holds every output against the standard's table on all 64 inputs.

#![cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "gates of three inputs are AVX-512's"))]

use super::rounds::Slice;

/// Functions of a vector `V: $bound` that XOR an S-box of the inputs into the four vectors behind them.
///
/// A gate `g = 0x1B a b c` gives bit `4 * a + 2 * b + c` of 0x1B; `a - b` is `a` and not `b`.
macro_rules! networks {
    ($bound:ident; $($name:ident: ($($in:ident)*) ($($into:ident)*)
        $($gate:ident = $x:tt $y:tt $z:tt $($w:ident)?;)* => $($out:ident)*;)*) => {
        $(#[inline(always)]
        pub fn $name<V: $bound>([$($in),*]: [V; 6], [$($into),*]: [V; 4]) -> [V; 4] {
            $(let $gate = gate!($x $y $z $($w)?);)*
            [$($out),*]
        })*
    };
}

macro_rules! gate {
    ($x:ident ^ $y:ident) => {
        $x.xor($y)
    };
    ($x:ident & $y:ident) => {
        $x.and($y)
    };
    ($x:ident | $y:ident) => {
        $x.or($y)
    };
    ($x:ident - $y:ident) => {
        $x.and_not($y)
    };
    ($table:literal $x:ident $y:ident $z:ident) => {
        V::gate::<$table>($x, $y, $z)
    };
}

/// A vector with the usual gates of two inputs.
pub trait Pairs: Slice {
    /// Both.
    fn and(self, other: Self) -> Self;
    /// Either or both.
    fn or(self, other: Self) -> Self;
    /// This and not the other.
    fn and_not(self, other: Self) -> Self;
}

/// A vector with any gate of three inputs as well.
pub trait Triples: Pairs {
    /// Bit `4 * a + 2 * b + c` of `TABLE`, in every place.
    fn gate<const TABLE: i32>(a: Self, b: Self, c: Self) -> Self;
}

/// S-box `BOX` (0 to 7) of `input`, XORed into `into`; the outputs `triples::COMPLEMENTED` complemented.
#[inline(always)]
pub fn triples<V: Triples, const BOX: usize>(input: [V; 6], into: [V; 4]) -> [V; 4] {
    match BOX {
        0 => triples::s1(input, into),
        1 => triples::s2(input, into),
        2 => triples::s3(input, into),
        3 => triples::s4(input, into),
        4 => triples::s5(input, into),
        5 => triples::s6(input, into),
        6 => triples::s7(input, into),
        _ => triples::s8(input, into),
    }
}

/// The same by two-input gates alone; `pairs::COMPLEMENTED` complemented.
#[inline(always)]
pub fn pairs<V: Pairs, const BOX: usize>(input: [V; 6], into: [V; 4]) -> [V; 4] {
    match BOX {
        0 => pairs::s1(input, into),
        1 => pairs::s2(input, into),
        2 => pairs::s3(input, into),
        3 => pairs::s4(input, into),
        4 => pairs::s5(input, into),
        5 => pairs::s6(input, into),
        6 => pairs::s7(input, into),
        _ => pairs::s8(input, into),
    }
}

/// 183 gates of three inputs and 51 of two.
#[rustfmt::skip]
pub mod triples {
    use super::Triples;

    /// Which outputs come complemented, the first one of S1 lowest.
    pub const COMPLEMENTED: u32 = 0x00000000;

    networks! { Triples;
    s1: (a b c d e f) (p q r s)
        g1 = c ^ d; g2 = f - g1; g3 = 0xC7 d e g2; g4 = b ^ f; g5 = 0x43 f g3 g4; g6 = 0x1B c g1 g5;
        g7 = g3 | g6; g8 = 0xC6 e g2 g7; g9 = 0x70 c g1 g4; g10 = 0x96 b g8 g9; g11 = g2 | g4;
        g12 = 0xE1 d e g6; g13 = 0xA6 g5 g11 g12; g14 = 0xAC a g10 g13; w = g14 ^ p; g15 = 0x60 f g8 g10;
        g16 = 0xE1 g3 g13 g15; g17 = 0x06 c g10 g12; g18 = 0x97 g4 g8 g17; g19 = 0xC6 g2 g10 g18;
        g20 = 0xC6 d g11 g19; g21 = 0x4A b g8 g15; g22 = 0xB4 a g10 g21; g23 = 0x98 b g20 g22;
        g24 = 0x93 a g16 g23; x = g24 ^ q; g25 = 0xC9 b g6 g17; g26 = 0x3A a g19 g25; y = g26 ^ r;
        g27 = 0xB7 d g18 g22; g28 = 0xAD g5 g21 g27; z = g28 ^ s;
        => w x y z;
    s2: (a b c d e f) (p q r s)
        g1 = 0xE9 c e f; g2 = 0xE1 d e f; g3 = 0x46 b c g2; g4 = 0xA9 c g1 g3; g5 = 0x96 f g1 g3;
        g6 = 0xED c f g2; g7 = 0xA4 c g5 g6; g8 = 0x4D e g4 g7; g9 = 0xCE b d g8; g10 = 0x97 b g1 g9;
        g11 = 0x6C e g1 g2; g12 = 0x97 b g7 g11; g13 = 0xD2 c e g12; g14 = 0xAC b g5 g13; g15 = b - g14;
        g16 = 0xB2 b g7 g8; g17 = 0x39 a b g16; g18 = 0x96 g5 g11 g17; y = g18 ^ r; g19 = 0x69 e g16 g18;
        g20 = 0xE1 g2 g15 g19; g21 = 0xCA a g10 g20; w = g21 ^ p; g22 = 0x27 a g2 g16;
        g23 = 0xF8 g12 g18 g20; g24 = 0x96 g17 g22 g23; x = g24 ^ q; g25 = 0xF6 g4 g7 g17;
        g26 = 0x92 g11 g20 g25; g27 = 0xCA a g14 g26; z = g27 ^ s;
        => w x y z;
    s3: (a b c d e f) (p q r s)
        g1 = b ^ e; g2 = 0x4B c d f; g3 = g1 ^ g2; g4 = 0x2D d e g2; g5 = 0x27 a f g3; g6 = 0xE7 g2 g4 g5;
        g7 = g6 - b; g8 = 0x63 c d g7; g9 = 0xA3 d g1 g6; g10 = 0xAC f g1 g9; g11 = e ^ f;
        g12 = 0x79 e g4 g11; g13 = 0x10 b c g3; g14 = 0xCB a g12 g13; g15 = 0x96 f g10 g14; x = g15 ^ q;
        g16 = 0xBD g2 g8 g15; g17 = a | g16; g18 = 0x69 a g8 g11; g19 = 0xB8 g3 g17 g18; w = g19 ^ p;
        g20 = 0x36 b c g4; g21 = 0x62 b g11 g20; g22 = d ^ g10; g23 = 0x80 a b g10; g24 = 0x60 g4 g22 g23;
        g25 = 0xE1 g17 g21 g24; y = g25 ^ r; g26 = 0xD8 g3 g22 g23; g27 = 0xA6 a g12 g26; z = g27 ^ s;
        => w x y z;
    s4: (a b c d e f) (p q r s)
        g1 = 0x96 d e f; g2 = 0xD4 b f g1; g3 = c ^ e; g4 = b ^ g3; g5 = 0xC9 b g2 g4; g6 = g1 ^ g4;
        g7 = 0xE1 g2 g5 g6; g8 = f ^ g7; g9 = 0x4E c d g3; g10 = 0x8D f g7 g9; g11 = 0xA9 a g8 g10;
        g12 = 0x87 c g5 g6; g13 = 0x7E a g9 g12; g14 = 0x6C a g10 g13; g15 = 0xC5 a g7 g14;
        g16 = 0xD2 d g1 g4; g17 = 0x9C g5 g15 g16; y = g17 ^ r; g18 = 0x96 g5 g11 g17; w = g18 ^ p;
        g19 = 0x61 e g4 g5; g20 = 0x5D g6 g7 g12; g21 = 0xD2 g14 g19 g20; x = g21 ^ q;
        g22 = 0x96 g1 g5 g21; z = 0x96 g13 g22 s;
        => w x y z;
    s5: (a b c d e f) (p q r s)
        g1 = 0x2D c d f; g2 = 0x98 a e g1; g3 = 0xB8 d e g1; g4 = 0xA3 b g2 g3; g5 = 0xDC c e g4;
        g6 = 0x69 d e f; g7 = 0xC7 g2 g5 g6; g8 = 0xA9 d f g2; g9 = 0xC1 a b g8; g10 = 0xD2 c e g3;
        g11 = 0x17 e g6 g10; g12 = g9 ^ g11; g13 = 0x76 e g7 g12; g14 = 0xE2 g6 g8 g10;
        g15 = 0x27 d g6 g14; g16 = 0x53 b g14 g15; g17 = 0xCA a g13 g16; w = g17 ^ p;
        g18 = 0x36 g6 g10 g13; g19 = 0x3E c f g18; g20 = 0x39 a g4 g19; y = g20 ^ r; g21 = 0x69 g9 g11 g15;
        g22 = 0xEA a g9 g21; g23 = 0x9A a g18 g22; z = g23 ^ s; g24 = 0xC7 b g13 g17; g25 = 0x7B e g7 g16;
        g26 = 0xCA g23 g24 g25; x = 0x69 g20 g26 q;
        => w x y z;
    s6: (a b c d e f) (p q r s)
        g1 = 0x58 c d e; g2 = 0x96 d f g1; g3 = 0x8D c f g1; g4 = 0xE6 b d g1; g5 = 0xB6 f g3 g4;
        g6 = 0xAC a g2 g5; g7 = 0xAE b f g6; g8 = 0x18 f g3 g6; g9 = 0x27 b g2 g8; g10 = 0x74 d e g1;
        g11 = g3 - b; g12 = 0x09 a g7 g11; g13 = 0x69 a g10 g12; g14 = 0x96 g2 g9 g13; z = g14 ^ s;
        g15 = 0x5B e g7 g14; g16 = 0x92 b d e; g17 = 0xD6 e g3 g10; g18 = 0x9A g9 g16 g17;
        g19 = 0xC6 g9 g12 g18; g20 = 0x9D g10 g16 g18; g21 = 0x8B g5 g7 g20; g22 = 0xC7 b g19 g21;
        w = 0x69 g15 g22 p; g23 = 0xFE g3 g9 g13; g24 = 0x86 g6 g16 g23; x = g24 ^ q;
        g25 = 0x98 g15 g18 g21; g26 = 0xE9 a g18 g25; y = g26 ^ r;
        => w x y z;
    s7: (a b c d e f) (p q r s)
        g1 = 0x2D c d e; g2 = 0xF8 b e g1; g3 = d - e; g4 = 0x9E f g1 g3; g5 = g2 ^ g4; g6 = 0xB4 c f g1;
        g7 = 0x96 g2 g3 g6; g8 = 0x60 d g5 g7; g9 = 0xA6 e f g7; g10 = 0x90 f g8 g9; g11 = 0x5B b c g9;
        g12 = 0xD2 g5 g10 g11; g13 = 0xCA a g7 g12; w = g13 ^ p; g14 = 0xBF a g5 g9; g15 = 0x5C e g12 g14;
        g16 = 0xE5 b g8 g15; g17 = 0x96 g3 g6 g16; g18 = 0x6E b g10 g12; g19 = 0xF8 a g9 g18;
        g20 = 0x98 g17 g18 g19; x = g20 ^ q; g21 = 0xFE e g8 g13; g22 = 0x39 a g17 g21; y = g22 ^ r;
        g23 = 0xCB a g4 g10; g24 = 0x9A b g6 g23; z = g24 ^ s;
        => w x y z;
    s8: (a b c d e f) (p q r s)
        g1 = c - e; g2 = 0x39 c d e; g3 = 0x7B b f g2; g4 = g1 | g3; g5 = 0x1D d e g1; g6 = 0x59 b g4 g5;
        g7 = 0xE0 b d g6; g8 = 0x5C b g2 g5; g9 = f ^ g8; g10 = 0x69 e g6 g9; g11 = 0xE1 g2 g7 g10;
        g12 = 0xE7 e g3 g11; g13 = 0x93 a g9 g12; g14 = 0xB9 e g4 g13; g15 = 0x59 a g10 g14; y = g15 ^ r;
        g16 = 0x54 f g9 g10; g17 = 0x86 f g15 g16; g18 = 0x96 e g11 g13; z = g18 ^ s; g19 = 0x96 b g17 g18;
        g20 = 0xC9 b g16 g18; g21 = 0x9F g4 g11 g20; g22 = 0x93 a g13 g21; x = g22 ^ q; w = 0x69 g19 g22 p;
        => w x y z;
    }
}

/// 444 gates.
#[rustfmt::skip]
pub mod pairs {
    use super::Pairs;

    /// As above.
    pub const COMPLEMENTED: u32 = 0xB234E5F7;

    networks! { Pairs;
    s1: (a b c d e f) (p q r s)
        g1 = d ^ e; g2 = c ^ d; g3 = f - g2; g4 = d | g3; g5 = g1 & g4; g6 = b | g5; g7 = f ^ g5;
        g8 = g6 & g7; g9 = d - g8; g10 = c ^ g9; g11 = g5 & g10; g12 = b ^ f; g13 = g2 & g12;
        g14 = c - g13; g15 = b ^ g14; g16 = e ^ g3; g17 = g15 ^ g16; g18 = g11 ^ g17; g19 = d ^ g8;
        g20 = g7 | g12; g21 = g3 | g20; g22 = g19 ^ g21; g23 = g10 - e; g24 = g22 ^ g23; g25 = g18 ^ g24;
        g26 = a - g25; g27 = g18 ^ g26; w = g27 ^ p; g28 = g5 ^ g24; g29 = g15 & g19; g30 = a ^ g29;
        g31 = g2 & g7; g32 = d ^ g17; g33 = c | g32; g34 = g31 ^ g33; g35 = g6 ^ g17; g36 = g5 ^ g35;
        g37 = g36 - g34; g38 = f & g14; g39 = g18 | g38; g40 = g37 ^ g39; g41 = g30 & g40; g42 = g28 ^ g41;
        x = g42 ^ q; g43 = g36 - g12; g44 = g16 & g33; g45 = g5 ^ g44; g46 = g43 | g45; g47 = g46 - g3;
        g48 = g18 ^ g47; g49 = a & g48; g50 = g33 - b; g51 = g10 ^ g50; g52 = a | g51; g53 = g52 - g49;
        y = g53 ^ r; g54 = a ^ g19; g55 = g39 ^ g54; g56 = g30 | g46; g57 = g55 ^ g56; z = g57 ^ s;
        => w x y z;
    s2: (a b c d e f) (p q r s)
        g1 = e | f; g2 = d ^ g1; g3 = d | e; g4 = e & f; g5 = g2 - g4; g6 = e & g5; g7 = b | g6;
        g8 = g3 & g7; g9 = b - g2; g10 = c | g9; g11 = b ^ g4; g12 = g10 ^ g11; g13 = c ^ e;
        g14 = g13 - g4; g15 = g12 ^ g14; g16 = g8 ^ g15; g17 = a & g16; g18 = g2 ^ g17; g19 = a ^ b;
        g20 = g7 ^ g13; g21 = g12 - g1; g22 = g20 ^ g21; g23 = g3 ^ g12; g24 = e ^ g23; g25 = g24 - g22;
        g26 = g19 & g25; g27 = a ^ g24; g28 = g27 - g26; g29 = g18 ^ g28; w = g29 ^ p; g30 = g9 ^ g13;
        g31 = g12 ^ g30; g32 = g10 - g31; g33 = g18 - g8; g34 = g30 - g29; g35 = a | g34; g36 = c - g5;
        g37 = g35 | g36; g38 = g23 ^ g37; y = g38 ^ r; g39 = g33 | g38; g40 = g32 & g39; g41 = g5 - g21;
        g42 = g19 ^ g41; g43 = g40 ^ g42; x = g43 ^ q; g44 = e ^ g15; g45 = g25 ^ g44; g46 = g45 - a;
        g47 = b & g22; g48 = g35 - g33; g49 = g48 - g47; g50 = g46 | g49; z = g50 ^ s;
        => w x y z;
    s3: (a b c d e f) (p q r s)
        g1 = d ^ e; g2 = d & f; g3 = c ^ g2; g4 = g1 ^ g3; g5 = a & g4; g6 = d ^ g5; g7 = f | g6;
        g8 = g7 - b; g9 = c - g8; g10 = d ^ g9; g11 = e | g4; g12 = d ^ g11; g13 = a & b; g14 = g2 & g13;
        g15 = e ^ f; g16 = g14 ^ g15; g17 = g12 ^ g16; g18 = a ^ g17; g19 = g3 - c; g20 = g13 ^ g19;
        g21 = g20 - g6; g22 = e - g2; g23 = g17 ^ g22; g24 = a | g23; g25 = g4 ^ g16; g26 = b ^ g16;
        g27 = g26 - g21; g28 = g25 ^ g27; g29 = g24 ^ g28; z = g29 ^ s; g30 = g29 - g12; g31 = b - g30;
        g32 = g21 | g31; g33 = g18 ^ g32; x = g33 ^ q; g34 = g10 ^ g33; g35 = a | g34; g36 = g28 | g35;
        g37 = g10 ^ g15; g38 = g35 & g37; g39 = g36 ^ g38; g40 = a ^ g39; w = g40 ^ p; g41 = b | g12;
        g42 = g3 | g35; g43 = g41 ^ g42; g44 = g27 - g20; g45 = c & g11; g46 = g35 & g45; g47 = g15 ^ g46;
        g48 = g47 - g44; g49 = g43 ^ g48; y = g49 ^ r;
        => w x y z;
    s4: (a b c d e f) (p q r s)
        g1 = b ^ f; g2 = d ^ g1; g3 = c ^ g2; g4 = b | g3; g5 = e ^ g2; g6 = f | g5; g7 = g4 ^ g6;
        g8 = g3 ^ g7; g9 = g5 ^ g7; g10 = b ^ g9; g11 = g8 - g10; g12 = b & g6; g13 = g11 | g12;
        g14 = f ^ g13; g15 = c - g14; g16 = g8 | g9; g17 = g15 ^ g16; g18 = g17 - a; g19 = d ^ g11;
        g20 = g19 - g7; g21 = g18 ^ g20; g22 = a ^ g14; g23 = g17 ^ g22; g24 = g23 - g14; g25 = g21 ^ g24;
        w = g25 ^ p; g26 = a - g15; g27 = d ^ g8; g28 = e & g27; g29 = g3 - g19; g30 = g22 ^ g29;
        g31 = g28 ^ g30; g32 = g26 | g31; g33 = g6 - g10; g34 = g26 & g33; g35 = g32 ^ g34; x = g35 ^ q;
        g36 = g7 ^ g13; g37 = g21 ^ g36; y = g37 ^ r; g38 = g7 - g17; g39 = g10 ^ g31; g40 = g2 - a;
        g41 = g40 - g23; g42 = g39 ^ g41; g43 = g38 | g42; z = g43 ^ s;
        => w x y z;
    s5: (a b c d e f) (p q r s)
        g1 = e ^ f; g2 = d | f; g3 = a | e; g4 = g3 - b; g5 = d | g1; g6 = d - e; g7 = c ^ g6;
        g8 = g5 ^ g7; g9 = g4 & g8; g10 = g2 ^ g9; g11 = d ^ g1; g12 = g7 ^ g11; g13 = g10 - g12;
        g14 = g11 ^ g13; g15 = g1 | g14; g16 = e & g8; g17 = c ^ g16; g18 = g7 & g12; g19 = g17 ^ g18;
        g20 = g15 - g19; g21 = a | g10; g22 = g21 - b; g23 = g18 ^ g22; g24 = e - g12; g25 = g23 ^ g24;
        g26 = g25 - g20; g27 = b - g16; g28 = g8 & g27; g29 = g26 | g28; g30 = b | g14; g31 = d ^ g15;
        g32 = b & g31; g33 = g30 ^ g32; g34 = g29 ^ g33; g35 = a | g34; g36 = g29 ^ g35; w = g36 ^ p;
        g37 = g25 ^ g31; g38 = g37 - a; g39 = g33 - g38; g40 = e ^ g39; g41 = g20 | g40; g42 = g11 - g29;
        g43 = g12 ^ g42; g44 = a - g43; g45 = g22 & g37; g46 = g44 ^ g45; g47 = g38 | g46; z = g47 ^ s;
        g48 = g36 ^ g41; g49 = g26 - g21; g50 = g22 ^ g49; g51 = g48 ^ g50; g52 = g47 & g51;
        g53 = g41 ^ g52; g54 = g27 - g6; g55 = g9 | g54; g56 = g51 - c; g57 = f ^ g56; g58 = a | g57;
        g59 = g55 ^ g58; y = g59 ^ r; g60 = g53 ^ g59; x = g60 ^ q;
        => w x y z;
    s6: (a b c d e f) (p q r s)
        g1 = b ^ e; g2 = f - a; g3 = c ^ e; g4 = c | d; g5 = g3 & g4; g6 = g2 ^ g5; g7 = d | g6;
        g8 = g1 - g7; g9 = c ^ f; g10 = d & f; g11 = g9 | g10; g12 = g5 | g11; g13 = g12 - g2;
        g14 = b & g13; g15 = d ^ g5; g16 = f ^ g15; g17 = b & g16; g18 = g14 | g17; g19 = g8 | g18;
        g20 = g3 ^ g19; g21 = g12 ^ g16; g22 = e | g21; g23 = g20 ^ g22; g24 = g12 & g23; g25 = b - g24;
        g26 = e - g15; g27 = f ^ g26; g28 = a | g17; g29 = g28 - g18; g30 = g6 ^ g29; g31 = g1 | g13;
        g32 = g31 - a; g33 = g14 ^ g21; g34 = g32 & g33; g35 = g30 ^ g34; g36 = g27 ^ g35; z = g36 ^ s;
        g37 = g25 ^ g36; g38 = g2 | g32; g39 = g23 ^ g38; g40 = g18 | g39; g41 = g40 - g28; g42 = g7 & g14;
        g43 = g15 | g42; g44 = g21 ^ g43; g45 = a - g44; g46 = g16 ^ g45; g47 = f | g35; g48 = g46 | g47;
        g49 = g48 - e; g50 = g41 ^ g49; g51 = g37 ^ g50; w = g51 ^ p; g52 = c & g47; g53 = g21 ^ g52;
        g54 = d ^ g1; g55 = g54 - g53; g56 = g46 ^ g55; x = g56 ^ q; g57 = g17 & g55; g58 = g39 | g57;
        y = g58 ^ r;
        => w x y z;
    s7: (a b c d e f) (p q r s)
        g1 = d - e; g2 = c ^ g1; g3 = g2 - f; g4 = b ^ g3; g5 = b - f; g6 = d | g5; g7 = g6 - g4;
        g8 = e - d; g9 = c ^ g8; g10 = f | g9; g11 = f & g9; g12 = g1 ^ g11; g13 = g10 - g12;
        g14 = g7 ^ g13; g15 = g14 - a; g16 = e | g15; g17 = g16 - g9; g18 = b | g17; g19 = g2 ^ g11;
        g20 = g18 ^ g19; g21 = a & g20; g22 = g15 | g21; w = g22 ^ p; g23 = g6 - g11; g24 = b - g23;
        g25 = g14 ^ g24; g26 = b & d; g27 = g19 ^ g26; g28 = g5 ^ g27; g29 = a & f; g30 = e - g29;
        g31 = g26 | g30; g32 = g14 & g31; g33 = g25 ^ g32; g34 = g28 ^ g33; g35 = g27 - g2;
        g36 = g16 | g35; g37 = g36 - a; g38 = g34 ^ g37; y = g38 ^ r; g39 = g20 ^ g38; g40 = g25 - g39;
        g41 = g34 ^ g40; g42 = a | g41; g43 = g25 ^ g42; x = g43 ^ q; g44 = g1 ^ g20; g45 = b & g44;
        g46 = a ^ g13; g47 = f & g33; g48 = g12 & g47; g49 = g46 | g48; g50 = g45 ^ g49; z = g50 ^ s;
        => w x y z;
    s8: (a b c d e f) (p q r s)
        g1 = d | e; g2 = c ^ g1; g3 = e - c; g4 = b ^ d; g5 = g3 ^ g4; g6 = f & g5; g7 = c - e;
        g8 = g6 - g7; g9 = b | g8; g10 = g2 ^ g9; g11 = g10 - b; g12 = f ^ g11; g13 = e ^ g12;
        g14 = g13 - b; g15 = g4 - g7; g16 = g13 - g15; g17 = g16 - g14; g18 = d ^ g3; g19 = g12 ^ g18;
        g20 = e ^ g6; g21 = g19 | g20; g22 = g16 | g21; g23 = a & g22; g24 = g10 ^ g23; g25 = g17 ^ g24;
        z = g25 ^ s; g26 = g16 - f; g27 = b ^ g26; g28 = g25 ^ g27; g29 = g19 ^ g24; g30 = a | g29;
        g31 = g9 - c; g32 = g14 - g5; g33 = g31 | g32; g34 = g20 ^ g33; g35 = a - g34; g36 = g30 - g35;
        x = g36 ^ q; g37 = g28 ^ g36; g38 = a | g13; g39 = g8 ^ g38; g40 = e & g8; g41 = g29 - g40;
        g42 = g39 ^ g41; y = g42 ^ r; g43 = f - g13; g44 = g42 - g43; g45 = g37 ^ g44; w = g45 ^ p;
        => w x y z;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 46-3, appendix 1: rows by the first and last bit of the input, columns by those between.
    const S: [[u8; 64]; 8] = [
        [
            14, 4, 13, 1, 2, 15, 11, 8, 3, 10, 6, 12, 5, 9, 0, 7, 0, 15, 7, 4, 14, 2, 13, 1, 10, 6, 12, 11,
            9, 5, 3, 8, 4, 1, 14, 8, 13, 6, 2, 11, 15, 12, 9, 7, 3, 10, 5, 0, 15, 12, 8, 2, 4, 9, 1, 7, 5,
            11, 3, 14, 10, 0, 6, 13,
        ],
        [
            15, 1, 8, 14, 6, 11, 3, 4, 9, 7, 2, 13, 12, 0, 5, 10, 3, 13, 4, 7, 15, 2, 8, 14, 12, 0, 1, 10, 6,
            9, 11, 5, 0, 14, 7, 11, 10, 4, 13, 1, 5, 8, 12, 6, 9, 3, 2, 15, 13, 8, 10, 1, 3, 15, 4, 2, 11, 6,
            7, 12, 0, 5, 14, 9,
        ],
        [
            10, 0, 9, 14, 6, 3, 15, 5, 1, 13, 12, 7, 11, 4, 2, 8, 13, 7, 0, 9, 3, 4, 6, 10, 2, 8, 5, 14, 12,
            11, 15, 1, 13, 6, 4, 9, 8, 15, 3, 0, 11, 1, 2, 12, 5, 10, 14, 7, 1, 10, 13, 0, 6, 9, 8, 7, 4, 15,
            14, 3, 11, 5, 2, 12,
        ],
        [
            7, 13, 14, 3, 0, 6, 9, 10, 1, 2, 8, 5, 11, 12, 4, 15, 13, 8, 11, 5, 6, 15, 0, 3, 4, 7, 2, 12, 1,
            10, 14, 9, 10, 6, 9, 0, 12, 11, 7, 13, 15, 1, 3, 14, 5, 2, 8, 4, 3, 15, 0, 6, 10, 1, 13, 8, 9, 4,
            5, 11, 12, 7, 2, 14,
        ],
        [
            2, 12, 4, 1, 7, 10, 11, 6, 8, 5, 3, 15, 13, 0, 14, 9, 14, 11, 2, 12, 4, 7, 13, 1, 5, 0, 15, 10,
            3, 9, 8, 6, 4, 2, 1, 11, 10, 13, 7, 8, 15, 9, 12, 5, 6, 3, 0, 14, 11, 8, 12, 7, 1, 14, 2, 13, 6,
            15, 0, 9, 10, 4, 5, 3,
        ],
        [
            12, 1, 10, 15, 9, 2, 6, 8, 0, 13, 3, 4, 14, 7, 5, 11, 10, 15, 4, 2, 7, 12, 9, 5, 6, 1, 13, 14, 0,
            11, 3, 8, 9, 14, 15, 5, 2, 8, 12, 3, 7, 0, 4, 10, 1, 13, 11, 6, 4, 3, 2, 12, 9, 5, 15, 10, 11,
            14, 1, 7, 6, 0, 8, 13,
        ],
        [
            4, 11, 2, 14, 15, 0, 8, 13, 3, 12, 9, 7, 5, 10, 6, 1, 13, 0, 11, 7, 4, 9, 1, 10, 14, 3, 5, 12, 2,
            15, 8, 6, 1, 4, 11, 13, 12, 3, 7, 14, 10, 15, 6, 8, 0, 5, 9, 2, 6, 11, 13, 8, 1, 4, 10, 7, 9, 5,
            0, 15, 14, 2, 3, 12,
        ],
        [
            13, 2, 8, 4, 6, 15, 11, 1, 10, 9, 3, 14, 5, 0, 12, 7, 1, 15, 13, 8, 10, 3, 7, 4, 12, 5, 6, 11, 0,
            14, 9, 2, 7, 11, 4, 1, 9, 12, 14, 2, 0, 6, 10, 13, 15, 3, 5, 8, 2, 1, 14, 7, 4, 10, 8, 13, 15,
            12, 9, 0, 3, 5, 6, 11,
        ],
    ];

    impl Triples for u64 {
        fn gate<const TABLE: i32>(a: u64, b: u64, c: u64) -> u64 {
            let chosen = |bit: u64, value: u64| if bit == 1 { value } else { !value };
            (0..8).filter(|place| TABLE >> place & 1 == 1).fold(0, |out, place| {
                out | chosen(place >> 2, a) & chosen(place >> 1 & 1, b) & chosen(place & 1, c)
            })
        }
    }

    /// Place `x` of a word stands for the input `x`, so that one evaluation tries all 64.
    fn check<const BOX: usize>() {
        let input = [5, 4, 3, 2, 1, 0].map(|bit| (0..64).fold(0, |word, x: u64| word | (x >> bit & 1) << x));
        let into = [0x0123456789ABCDEF, 0xFEDCBA9876543210, 0xF0E1D2C3B4A59687, 0x1032547698BADCFE];
        let expected = [3, 2, 1, 0].map(|bit| {
            (0..64).fold(0, |word, x| {
                let (row, column) = (x >> 4 & 2 | x & 1, x >> 1 & 15);
                word | u64::from(S[BOX][16 * row + column] >> bit & 1) << x
            })
        });
        for (output, complemented) in [
            (triples::<u64, BOX>(input, into), triples::COMPLEMENTED),
            (pairs::<u64, BOX>(input, into), pairs::COMPLEMENTED),
        ] {
            for bit in 0..4 {
                let complement = if complemented >> (4 * BOX + bit) & 1 == 1 { u64::MAX } else { 0 };
                assert_eq!(output[bit] ^ into[bit] ^ complement, expected[bit], "S{}", BOX + 1);
            }
        }
    }

    #[test]
    fn networks_are_the_s_boxes() {
        check::<0>();
        check::<1>();
        check::<2>();
        check::<3>();
        check::<4>();
        check::<5>();
        check::<6>();
        check::<7>();
    }
}
