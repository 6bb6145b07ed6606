//! The eight S-boxes of DES (FIPS 46-3) as networks of gates: data that a macro turns into straight-line code for
//! any vector.
//!
//! The inputs are `a` to `f`, first to last, and a network names its gates in an order that can be computed. The
//! networks are our own, found by simulated annealing: a random gate is made anew from other nodes, where only
//! those inputs count for which the gate is seen at an output, and now and then from one more gate; gates that are
//! seen nowhere are dropped. The test at the end holds every output against the standard's table on all 64 inputs.

use super::rounds::Slice;

/// Three-input gates, 229 in all, with the XORs into the other half (`p` to `s`) among them.
///
/// `g = 0x1B a b c` is the gate whose output is bit `4 * a + 2 * b + c` of 0x1B.
macro_rules! triples {
    ($($name:ident: ($a:ident $b:ident $c:ident $d:ident $e:ident $f:ident) ($p:ident $q:ident $r:ident $s:ident)
        $($gate:ident = $table:literal $x:ident $y:ident $z:ident;)* => $($out:ident)*;)*) => {
        $(#[inline(always)]
        pub fn $name<V: Triples>([$a, $b, $c, $d, $e, $f]: [V; 6], [$p, $q, $r, $s]: [V; 4]) -> [V; 4] {
            $(let $gate = V::gate::<$table>($x, $y, $z);)*
            [$($out),*]
        })*
    };
}

/// Two-input gates, 407 in all, before the XORs. `a - b` is `a` and not `b`.
///
/// An output may come complemented if that saves a gate (see `rounds`).
macro_rules! pairs {
    ($($name:ident: ($($in:ident)*) $($gate:ident = $x:ident $op:tt $y:ident;)* => $($out:ident)*;)*) => {
        $(#[inline(always)]
        pub fn $name<V: Pairs>([$($in),*]: [V; 6]) -> [V; 4] {
            $(let $gate = gate!($x $op $y);)*
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
}

/// A vector with any gate of three inputs.
pub trait Triples: Slice {
    /// Bit `4 * a + 2 * b + c` of `TABLE`, in every place.
    fn gate<const TABLE: i32>(a: Self, b: Self, c: Self) -> Self;
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

/// Which outputs `pairs` complements, the first one of S1 lowest.
pub const COMPLEMENTED: u32 = 0xB234E5F7;

/// S-box `BOX` (0 to 7) of `input`, XORed into `into`.
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

/// As `triples`, but that the outputs `COMPLEMENTED` are XORed in complemented.
#[inline(always)]
pub fn pairs<V: Pairs, const BOX: usize>(input: [V; 6], into: [V; 4]) -> [V; 4] {
    let [w, x, y, z] = match BOX {
        0 => pairs::s1(input),
        1 => pairs::s2(input),
        2 => pairs::s3(input),
        3 => pairs::s4(input),
        4 => pairs::s5(input),
        5 => pairs::s6(input),
        6 => pairs::s7(input),
        _ => pairs::s8(input),
    };
    let [p, q, r, s] = into;
    [p.xor(w), q.xor(x), r.xor(y), s.xor(z)]
}

#[rustfmt::skip]
mod triples {
    use super::Triples;

    triples! {
    s1: (a b c d e f) (p q r s)
        g1 = 0x7D c d f; g2 = 0x87 f g1 b; g3 = 0xE0 c g2 d; g4 = 0xCB d e g1; g5 = 0x85 f b g4;
        g6 = 0x2D c g5 d; g7 = 0xC9 g6 g1 g4; g8 = 0x66 b e g7; g9 = 0x96 g3 g8 b; g10 = 0xC9 e d g6;
        g11 = 0xE1 g10 g5 g2; g12 = 0xD8 g9 g11 a; w = 0x3C g12 p p; g13 = 0x12 g10 c g9;
        g14 = 0x6D g13 g2 g8; g15 = 0x78 g9 g14 g1; g16 = 0x39 d g2 g15; g17 = 0x70 g9 g3 f;
        g18 = 0x64 b g16 g17; g19 = 0x60 f b g3; g20 = 0xE1 g4 g11 g19; g21 = 0x93 g18 g20 a;
        x = 0x3C g21 q q; g22 = 0xA9 b g13 g6; g23 = 0x2E g15 a g22; y = 0x3C g23 r r; g24 = 0x96 g5 d g17;
        g25 = 0x89 g14 a g3; g26 = 0xB1 g19 a g25; z = 0x69 g24 g26 s;
        => w x y z;
    s2: (a b c d e f) (p q r s)
        g1 = 0xE9 e c f; g2 = 0xE1 d f e; g3 = 0x78 g1 g2 e; g4 = 0x29 b g2 c; g5 = 0x96 g4 g1 f;
        g6 = 0x69 e g3 g5; g7 = 0xB7 c b e; g8 = 0xA6 g6 g7 g2; g9 = 0x71 g1 g4 d; g10 = 0x1D c g9 g8;
        g11 = 0x69 b g10 g6; g12 = 0xE4 g9 g11 g1; g13 = 0x89 g11 b d; g14 = 0x9B g12 g1 g13;
        g15 = 0xB8 g8 a g14; w = 0x3C g15 p p; g16 = 0x6D g12 g13 g5; g17 = 0xB1 g11 g15 g16;
        g18 = 0x59 a g17 g5; g19 = 0xCB f b g18; g20 = 0xF9 g10 g3 g19; g21 = 0x96 a b g20;
        g22 = 0xC6 g2 g21 g11; x = 0x3C g22 q q; y = 0x69 g3 g18 r; g23 = 0x39 g2 g22 g15;
        g24 = 0xD2 g18 g23 b; g25 = 0x92 g3 g8 g12; g26 = 0xE4 g24 g25 a; z = 0x3C g26 s s;
        => w x y z;
    s3: (a b c d e f) (p q r s)
        g1 = 0x5A f e e; g2 = 0x9A d f c; g3 = 0x69 g2 b e; g4 = 0x3E g3 f a; g5 = 0xA6 b e g4;
        g6 = 0x75 g5 b c; g7 = 0x69 d g2 g6; g8 = 0x69 g1 g2 g7; g9 = 0x56 g2 e d; g10 = 0x63 b g1 g7;
        g11 = 0x58 g9 g5 g10; g12 = 0x6D g9 e g1; g13 = 0x40 a b g10; g14 = 0x72 g3 d g13;
        g15 = 0x9C g12 g14 a; z = 0x3C g15 s s; g16 = 0xAD g9 g15 b; g17 = 0xB1 g11 g16 a;
        g18 = 0xED g17 a g8; g19 = 0xD1 g8 g18 g14; w = 0x69 a g19 p; g20 = 0xA6 a g1 g17;
        x = 0x3C g20 q q; g21 = 0xEE g20 g9 b; g22 = 0x92 g21 g1 c; g23 = 0xC6 g13 d g11;
        g24 = 0xF8 g22 g9 g23; g25 = 0xA9 g7 g18 g24; y = 0x3C g25 r r;
        => w x y z;
    s4: (a b c d e f) (p q r s)
        g1 = 0x1C c e e; g2 = 0x69 b d c; g3 = 0xE7 f g2 g2; g4 = 0xA6 g1 g3 e; g5 = 0xDB g1 g2 g3;
        g6 = 0xE2 g5 g1 b; g7 = 0x8B f g4 g6; g8 = 0xCA a g7 f; g9 = 0x6C b g1 g3; g10 = 0x78 d g9 g3;
        g11 = 0xE1 g5 g3 b; g12 = 0xC6 g10 g6 g11; g13 = 0x96 g8 g12 g11; w = 0x3C g13 p p;
        g14 = 0x93 g5 c g3; g15 = 0x1D g7 g14 g8; g16 = 0x96 g5 g15 a; g17 = 0x8D g6 g5 c;
        g18 = 0xE1 g14 g9 g17; g19 = 0x96 g16 g18 g9; z = 0x3C g19 s s; g20 = 0xA5 g7 g19 g6;
        g21 = 0x8F a g20 g14; g22 = 0x96 g7 g21 g18; x = 0x3C g22 q q; g23 = 0xA6 a g20 g12;
        y = 0x3C g23 r r;
        => w x y z;
    s5: (a b c d e f) (p q r s)
        g1 = 0x69 f e d; g2 = 0x9C d c e; g3 = 0x63 g1 g2 d; g4 = 0xE0 g3 a e; g5 = 0xE1 g4 f d;
        g6 = 0xAC g5 g2 g1; g7 = 0x27 d g1 g6; g8 = 0x35 b g7 g6; g9 = 0x17 g2 g1 e; g10 = 0xD3 e g3 g1;
        g11 = 0xF2 b a g5; g12 = 0x96 g7 g11 g9; g13 = 0x65 g12 g11 g2; g14 = 0xF1 g10 g13 e;
        g15 = 0x97 b g9 g14; g16 = 0xCA e g4 d; g17 = 0xD2 g15 a g16; g18 = 0xD8 g8 g17 a;
        w = 0x3C g18 p p; g19 = 0x85 g18 g17 b; g20 = 0x6F g14 e g8; g21 = 0xE1 g13 g17 g1;
        g22 = 0xAC a g12 g21; z = 0x3C g22 s s; g23 = 0xE4 g19 g20 g22; g24 = 0x76 g21 c f;
        g25 = 0xC5 b g16 g4; g26 = 0x63 g24 g25 a; y = 0x3C g26 r r; x = 0x69 g23 g26 q;
        => w x y z;
    s6: (a b c d e f) (p q r s)
        g1 = 0xB5 e d c; g2 = 0x69 d f g1; g3 = 0xA3 g1 f c; g4 = 0xD6 f g3 g2; g5 = 0x14 b g1 g1;
        g6 = 0xEB g4 f g5; g7 = 0xAC a g2 g6; g8 = 0x37 g4 b g2; g9 = 0x86 g8 g3 g4; g10 = 0xCA e g1 d;
        g11 = 0xA6 a g9 g10; g12 = 0xEB g9 g4 g11; g13 = 0x86 d b e; g14 = 0x87 g7 g12 g13;
        x = 0x3C g14 q q; g15 = 0xEC g8 g7 f; g16 = 0xD8 f g8 a; g17 = 0x96 g11 g2 g16; z = 0x3C g17 s s;
        g18 = 0x67 g15 e g17; g19 = 0xA1 g14 b g18; g20 = 0x43 g8 c g13; g21 = 0x9C g4 g20 e;
        g22 = 0x42 g19 g13 g21; g23 = 0x0D g22 g15 g6; g24 = 0xB1 g23 g15 g8; g25 = 0xA6 g21 b g18;
        g26 = 0xA6 a g24 g25; w = 0x3C g26 p p; g27 = 0xBC g23 a g21; y = 0x3C g27 r r;
        => w x y z;
    s7: (a b c d e f) (p q r s)
        g1 = 0x4B c e d; g2 = 0xEC e b g1; g3 = 0xAD d e e; g4 = 0xD2 c g1 f; g5 = 0x69 g2 g3 g4;
        g6 = 0xA6 e f g5; g7 = 0x70 d g1 f; g8 = 0xC2 g2 g6 g7; g9 = 0x82 g6 g7 f; g10 = 0x1E b g8 g9;
        g11 = 0x6B f g3 g1; g12 = 0xE9 g10 g9 g11; g13 = 0xE6 g1 g12 g9; g14 = 0xCA a g5 g13;
        w = 0x3C g14 p p; g15 = 0xF9 g14 g11 g4; g16 = 0x72 g13 g15 e; g17 = 0xAD g16 g7 b;
        g18 = 0x69 g3 g4 g17; g19 = 0xA3 g12 g18 g6; g20 = 0xA9 g19 a g12; x = 0x3C g20 q q;
        g21 = 0x54 e g15 a; y = 0x69 g18 g21 r; g22 = 0xD9 g9 g11 a; g23 = 0x9A b g4 g22; z = 0x3C g23 s s;
        => w x y z;
    s8: (a b c d e f) (p q r s)
        g1 = 0x35 e d c; g2 = 0x4B d e c; g3 = 0x4E g1 g2 b; g4 = 0xE1 g3 f f; g5 = 0x6F f b g2;
        g6 = 0xBA c e g5; g7 = 0x65 g6 b e; g8 = 0x96 g1 g4 g7; g9 = 0x54 f g3 g8; g10 = 0x58 g8 g6 g2;
        g11 = 0x93 g9 g10 b; g12 = 0xBD g11 g5 e; g13 = 0x78 g4 g12 a; g14 = 0x96 e g11 g13;
        z = 0x3C g14 s s; g15 = 0xAD g6 e g13; g16 = 0x2D g15 a g8; y = 0x3C g16 r r; g17 = 0x86 f g9 g16;
        g18 = 0x96 b g14 g17; g19 = 0x6C g14 g9 b; g20 = 0x9E g6 g7 g19; g21 = 0xB1 g20 g13 a;
        x = 0x3C g21 q q; w = 0x69 g18 g21 p;
        => w x y z;
    }
}

#[rustfmt::skip]
mod pairs {
    use super::Pairs;

    pairs! {
    s1: (a b c d e f)
        g1 = c ^ d; g2 = f - g1; g3 = e ^ g2; g4 = d | g2; g5 = d ^ e; g6 = g4 & g5; g7 = b | g6;
        g8 = f & g7; g9 = g6 ^ g8; g10 = b ^ f; g11 = g2 | g10; g12 = g11 - g9; g13 = g1 & g12;
        g14 = c - g13; g15 = b ^ g14; g16 = g3 ^ g15; g17 = d ^ g9; g18 = g17 - g9; g19 = c ^ g18;
        g20 = g6 & g19; g21 = g16 ^ g20; g22 = g19 - e; g23 = d ^ g22; g24 = g12 ^ g23; g25 = g21 ^ g24;
        g26 = a - g25; g27 = g21 ^ g26; g28 = g15 & g17; g29 = a ^ g28; g30 = b ^ g21; g31 = g11 ^ g25;
        g32 = c | g31; g33 = g3 & g32; g34 = g6 ^ g33; g35 = g23 - g10; g36 = g34 | g35; g37 = g29 | g36;
        g38 = a ^ g37; g39 = f & g14; g40 = g21 | g39; g41 = g38 ^ g40; g42 = g17 ^ g41; g43 = g13 ^ g42;
        g44 = g30 - g43; g45 = g40 ^ g44; g46 = g29 & g45; g47 = g6 ^ g46; g48 = g24 ^ g47; g49 = g32 - b;
        g50 = g19 ^ g49; g51 = a | g50; g52 = g36 - g2; g53 = g21 ^ g52; g54 = a & g53; g55 = g51 - g54;
        => g27 g48 g55 g42;
    s2: (a b c d e f)
        g1 = d | e; g2 = e | f; g3 = d ^ g2; g4 = b - g3; g5 = c | g4; g6 = b ^ g5; g7 = e & f;
        g8 = g6 ^ g7; g9 = g1 ^ g8; g10 = e ^ g9; g11 = a ^ g10; g12 = g8 - g2; g13 = c ^ e;
        g14 = g12 ^ g13; g15 = g4 ^ g13; g16 = g8 ^ g15; g17 = g3 & g16; g18 = b | g17; g19 = g14 ^ g18;
        g20 = g10 - g19; g21 = g18 & g20; g22 = g11 - g21; g23 = g1 & g18; g24 = g7 | g13; g25 = g6 ^ g24;
        g26 = g23 ^ g25; g27 = a & g26; g28 = g3 ^ g27; g29 = g22 ^ g28; g30 = g28 - g23; g31 = g15 - g29;
        g32 = a | g31; g33 = g3 - g7; g34 = c - g33; g35 = g32 | g34; g36 = g9 ^ g35; g37 = g30 | g36;
        g38 = g5 & g37; g39 = g38 - g16; g40 = a ^ g39; g41 = g33 - g12; g42 = b ^ g41; g43 = g40 ^ g42;
        g44 = b - g14; g45 = g30 | g44; g46 = g32 - g45; g47 = e ^ g20; g48 = g25 ^ g47; g49 = g48 - a;
        g50 = g46 | g49;
        => g29 g43 g36 g50;
    s3: (a b c d e f)
        g1 = e ^ f; g2 = d & f; g3 = a & b; g4 = g2 & g3; g5 = g1 ^ g4; g6 = c ^ g2; g7 = e ^ g6;
        g8 = d ^ g7; g9 = e | g8; g10 = d ^ g9; g11 = g5 ^ g10; g12 = g2 - c; g13 = g3 ^ g12; g14 = g8 - a;
        g15 = g7 ^ g14; g16 = g13 - g15; g17 = b ^ g5; g18 = g17 - g16; g19 = g5 ^ g18; g20 = g8 ^ g19;
        g21 = e - g2; g22 = g11 ^ g21; g23 = a | g22; g24 = g20 ^ g23; g25 = g24 - g10; g26 = g19 - g25;
        g27 = g16 | g26; g28 = g11 ^ g27; g29 = a ^ g28; g30 = f | g15; g31 = g30 - b; g32 = c - g31;
        g33 = d ^ g32; g34 = g29 ^ g33; g35 = a | g34; g36 = g20 | g35; g37 = g1 ^ g33; g38 = g35 & g37;
        g39 = g36 - g38; g40 = a ^ g39; g41 = g17 - g13; g42 = g9 & g35; g43 = c & g42; g44 = g1 ^ g43;
        g45 = g44 - g41; g46 = b | g10; g47 = g6 | g35; g48 = g46 ^ g47; g49 = g45 ^ g48;
        => g40 g29 g49 g24;
    s4: (a b c d e f)
        g1 = d ^ e; g2 = f ^ g1; g3 = b ^ g2; g4 = c ^ e; g5 = g3 ^ g4; g6 = f | g3; g7 = b - g5;
        g8 = g6 ^ g7; g9 = g5 ^ g8; g10 = g4 | g8; g11 = g5 - g2; g12 = g4 | g11; g13 = g6 ^ g10;
        g14 = g12 ^ g13; g15 = f ^ g14; g16 = c - g15; g17 = g10 ^ g16; g18 = g17 - a; g19 = a | g15;
        g20 = g18 ^ g19; g21 = g9 ^ g20; g22 = d ^ g11; g23 = g9 | g22; g24 = g21 ^ g23; g25 = g17 ^ g24;
        g26 = a ^ f; g27 = g1 | g8; g28 = e - d; g29 = g14 ^ g23; g30 = g28 ^ g29; g31 = g27 ^ g30;
        g32 = g26 ^ g31; g33 = a - g16; g34 = g32 | g33; g35 = g6 & g33; g36 = g2 ^ g9; g37 = g35 - g36;
        g38 = g34 ^ g37; g39 = g18 ^ g29; g40 = g32 ^ g36; g41 = g31 - g20; g42 = g40 ^ g41;
        g43 = g13 - g20; g44 = g42 | g43;
        => g25 g38 g39 g44;
    s5: (a b c d e f)
        g1 = e ^ f; g2 = d ^ g1; g3 = d | g2; g4 = d - e; g5 = c ^ g4; g6 = g3 ^ g5; g7 = a | e;
        g8 = g6 & g7; g9 = e & g8; g10 = b - g9; g11 = g6 & g10; g12 = g2 ^ g5; g13 = d | f; g14 = g8 - b;
        g15 = g13 ^ g14; g16 = g12 | g15; g17 = g5 ^ g16; g18 = g1 | g17; g19 = d ^ g18; g20 = g5 - g19;
        g21 = a | g15; g22 = g21 - b; g23 = g20 ^ g22; g24 = e - g12; g25 = g23 ^ g24; g26 = c | g9;
        g27 = g20 ^ g26; g28 = g18 - g27; g29 = g25 - g28; g30 = g11 | g29; g31 = b & g19; g32 = b | g17;
        g33 = g32 - g31; g34 = g30 ^ g33; g35 = a | g34; g36 = g30 ^ g35; g37 = g10 - g4; g38 = g29 - g21;
        g39 = g22 | g38; g40 = g19 ^ g25; g41 = g40 - a; g42 = g33 - g41; g43 = e ^ g42; g44 = g28 | g43;
        g45 = g39 ^ g44; g46 = g36 ^ g45; g47 = g46 - c; g48 = f ^ g47; g49 = a | g48; g50 = g14 ^ g49;
        g51 = g37 ^ g50; g52 = g2 & g30; g53 = g39 & g40; g54 = g5 ^ g53; g55 = g52 ^ g54; g56 = a - g55;
        g57 = g41 ^ g56; g58 = g46 & g57; g59 = g44 ^ g58; g60 = g51 ^ g59;
        => g36 g60 g51 g57;
    s6: (a b c d e f)
        g1 = c | d; g2 = e & g1; g3 = c ^ g2; g4 = d ^ g3; g5 = f ^ g4; g6 = b & g5; g7 = c ^ f;
        g8 = e - g4; g9 = f ^ g8; g10 = g1 & g9; g11 = g7 | g10; g12 = f - a; g13 = g11 ^ g12;
        g14 = b & g13; g15 = g6 | g14; g16 = b ^ e; g17 = g13 | g16; g18 = g17 - a; g19 = g12 | g18;
        g20 = g5 ^ g11; g21 = g20 - g2; g22 = c ^ g21; g23 = g3 ^ g12; g24 = g14 ^ g20; g25 = g18 & g24;
        g26 = a - g15; g27 = g25 ^ g26; g28 = g23 ^ g27; g29 = f | g28; g30 = c & g29; g31 = g20 ^ g30;
        g32 = d ^ g16; g33 = g32 - g31; g34 = g33 - g23; g35 = g15 | g34; g36 = g22 ^ g35; g37 = g19 ^ g36;
        g38 = g6 & g33; g39 = g37 | g38; g40 = g15 | g39; g41 = g40 - g6; g42 = g41 - a; g43 = b & d;
        g44 = g4 | g43; g45 = g20 ^ g44; g46 = a - g45; g47 = g5 ^ g46; g48 = g29 | g47; g49 = g48 - e;
        g50 = g9 ^ g28; g51 = g11 & g36; g52 = b - g51; g53 = g50 ^ g52; g54 = g49 ^ g53; g55 = g42 ^ g54;
        g56 = g33 ^ g47;
        => g55 g56 g39 g50;
    s7: (a b c d e f)
        g1 = e - d; g2 = c ^ g1; g3 = f & g2; g4 = d - e; g5 = g3 ^ g4; g6 = c ^ g5; g7 = g6 - f;
        g8 = b ^ g7; g9 = d ^ f; g10 = b - g9; g11 = d | g10; g12 = g11 - g8; g13 = f | g2; g14 = g13 - g5;
        g15 = g12 ^ g14; g16 = g15 - a; g17 = c & d; g18 = e | g16; g19 = g17 | g18; g20 = g19 - g2;
        g21 = b | g20; g22 = g6 ^ g21; g23 = a & g22; g24 = g16 ^ g23; g25 = g11 - g3; g26 = b - g25;
        g27 = g15 ^ g26; g28 = a & f; g29 = e - g28; g30 = g15 - g29; g31 = g30 - g10; g32 = g13 & g31;
        g33 = g26 ^ g32; g34 = g10 ^ g33; g35 = g6 ^ g34; g36 = g19 - a; g37 = g35 ^ g36; g38 = g22 ^ g37;
        g39 = g27 - g38; g40 = g35 ^ g39; g41 = a | g40; g42 = g27 ^ g41; g43 = f & g33; g44 = g43 - a;
        g45 = g14 | g44; g46 = g4 ^ g6; g47 = b - g46; g48 = a ^ g47; g49 = g45 ^ g48;
        => g24 g42 g37 g49;
    s8: (a b c d e f)
        g1 = d | e; g2 = c ^ g1; g3 = e - c; g4 = d ^ g3; g5 = b ^ g4; g6 = f & g5; g7 = c - e;
        g8 = g6 - g7; g9 = b | g8; g10 = g2 ^ g9; g11 = g10 - b; g12 = f ^ g11; g13 = g4 ^ g12;
        g14 = g10 ^ g13; g15 = g9 - g8; g16 = e ^ g12; g17 = g14 - f; g18 = g16 - g17; g19 = g15 & g18;
        g20 = g13 ^ g19; g21 = e ^ g6; g22 = g20 | g21; g23 = a & g22; g24 = g14 ^ g23; g25 = a | g14;
        g26 = g20 ^ g24; g27 = b ^ g26; g28 = g9 & g27; g29 = g18 ^ g28; g30 = g25 & g29; g31 = g15 ^ g30;
        g32 = g8 - g31; g33 = g24 ^ g32; g34 = a | g16; g35 = g33 ^ g34; g36 = g16 | g35; g37 = f & g36;
        g38 = e ^ g31; g39 = a - g38; g40 = g25 ^ g39; g41 = g35 ^ g40; g42 = g18 ^ g41; g43 = g27 ^ g42;
        g44 = g37 ^ g43;
        => g44 g40 g35 g26;
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
        let three = triples::<u64, BOX>(input, into);
        let two = pairs::<u64, BOX>(input, into);
        for output in 0..4 {
            let complement = if COMPLEMENTED >> (4 * BOX + output) & 1 == 1 { u64::MAX } else { 0 };
            assert_eq!(three[output] ^ into[output], expected[output], "S{}", BOX + 1);
            assert_eq!(two[output] ^ into[output] ^ complement, expected[output], "S{}", BOX + 1);
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
