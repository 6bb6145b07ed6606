//! The C headers: they compile by themselves, in C and C++, and say what cryptoki-sys and the Rust vendor files say.

#[path = "headers/constants.rs"]
mod constants;
#[path = "headers/structures.rs"]
mod structures;

use constants::CONSTANTS;
use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};

const PKCS11: &str = include_str!("../include/pkcs11.h");
const VENDOR: [&str; 2] =
    [include_str!("../include/cloudhsm_pkcs11_vendor_defs.h"), include_str!("../include/coffer.h")];
const VENDOR_RUST: &str = include_str!("../src/mechanism/vendor.rs");

/// Compiles `source` in the given language, with all warnings as errors, for its verdict only.
fn compiles(language: &str, source: &str) -> Result<(), String> {
    let (program, variable) = if language.starts_with("c++") { ("c++", "CXX") } else { ("cc", "CC") };
    let mut compiler = Command::new(std::env::var(variable).unwrap_or(program.into()))
        .args([
            "-x",
            if program == "c++" { "c++" } else { "c" },
            &format!("-std={language}"),
            "-fsyntax-only",
        ])
        .args(["-Wall", "-Wextra", "-Wpedantic", "-Werror"])
        .arg(concat!("-I", env!("CARGO_MANIFEST_DIR"), "/include"))
        .arg("-")
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a C compiler");
    compiler.stdin.take().expect("piped").write_all(source.as_bytes()).expect("the compiler reads");
    let output = compiler.wait_with_output().expect("the compiler ends");
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

fn must_compile(language: &str, source: &str) {
    if let Err(message) = compiles(language, source) {
        panic!("{language}: {message}");
    }
}

fn assertions<'a>(values: impl IntoIterator<Item = (&'a str, u64)>) -> String {
    values
        .into_iter()
        .map(|(name, value)| format!("_Static_assert({name} == {value}UL, \"{name}\");\n"))
        .collect()
}

/// Names that `header` defines as numbers: not guards, not macros with arguments.
fn numbers(header: &str) -> BTreeSet<&str> {
    header
        .lines()
        .filter_map(|line| line.strip_prefix("#define ")?.split_once(' '))
        .filter(|(name, value)| {
            name.starts_with(|c: char| c.is_ascii_uppercase())
                && (value.contains("UL") || value.trim().starts_with(|c: char| c.is_ascii_digit()))
        })
        .map(|(name, _)| name)
        .collect()
}

/// Names of the structures that `header` defines.
fn structures_of(header: &str) -> BTreeSet<&str> {
    header
        .lines()
        .filter_map(|line| line.strip_suffix(" {"))
        .filter_map(|line| line.strip_prefix("typedef struct ").or(line.strip_prefix("struct ")))
        .collect()
}

#[test]
fn each_header_stands_alone() {
    for header in
        ["pkcs11.h", "pkcs11t.h", "pkcs11f.h", "cryptoki.h", "cloudhsm_pkcs11_vendor_defs.h", "coffer.h"]
    {
        for language in ["c99", "c11", "c++11", "c++17"] {
            must_compile(
                language,
                &format!("#include <{header}>\n#include <{header}>\nextern CK_ULONG one;\n"),
            );
        }
    }
}

#[test]
fn programs_of_every_habit_compile() {
    for program in [
        include_str!("headers/classic.c"),
        include_str!("headers/standard_view.c"),
        include_str!("headers/cloudhsm_view.c"),
        include_str!("headers/foreign.c"),
    ] {
        for language in ["c99", "c++11"] {
            must_compile(language, program);
        }
    }
}

#[test]
fn numbers_are_those_of_cryptoki_sys() {
    must_compile("c11", &format!("#include <pkcs11.h>\n{}", assertions(CONSTANTS.iter().copied())));
}

#[test]
fn every_number_is_held() {
    let held: BTreeSet<_> = CONSTANTS.iter().map(|(name, _)| *name).collect();
    assert_eq!(held.len(), 1049, "cryptoki-sys 0.5 has 1049 constants");
    // All bits set, and a null pointer: cryptoki-sys leaves them out.
    let without = BTreeSet::from(["CK_UNAVAILABLE_INFORMATION", "NULL_PTR"]);
    assert_eq!(numbers(PKCS11).difference(&held).copied().collect::<BTreeSet<_>>(), without);
}

#[test]
fn structures_are_those_of_cryptoki_sys() {
    let c: String = structures::standard().iter().map(structures::Structure::assertions).collect();
    must_compile("c11", &format!("#include <stddef.h>\n#include <pkcs11.h>\n{c}"));
}

#[test]
fn every_structure_is_held() {
    let held: BTreeSet<_> = structures::standard().iter().map(|structure| structure.name).collect();
    assert_eq!(structures_of(PKCS11), held);
}

#[test]
fn vendor_numbers_are_those_of_rust() {
    let rust: Vec<_> = VENDOR_RUST
        .lines()
        .filter_map(|line| line.strip_prefix("pub const ")?.strip_suffix(';')?.split_once(": "))
        .filter_map(|(name, rest)| Some((name, rest.split_once(" = ")?.1.parse().ok()?)))
        .collect();
    let includes = "#include <cloudhsm_pkcs11_vendor_defs.h>\n#include <coffer.h>\n";
    must_compile("c11", &format!("{includes}{}", assertions(rust.iter().copied())));

    // What coffer.h lends to programs without 3.2's names is pkcs11.h's own.
    let own: BTreeSet<_> = VENDOR
        .into_iter()
        .flat_map(numbers)
        .collect::<BTreeSet<_>>()
        .difference(&numbers(PKCS11))
        .copied()
        .collect();
    assert_eq!(own, rust.iter().map(|(name, _)| *name).collect());
}

#[test]
fn vendor_structures_are_those_of_rust() {
    let vendor = structures::vendor();
    let c: String = vendor.iter().map(structures::Structure::assertions).collect();
    let includes = "#include <stddef.h>\n#include <cloudhsm_pkcs11_vendor_defs.h>\n#include <coffer.h>\n";
    must_compile("c11", &format!("{includes}{c}"));

    let standard = structures_of(PKCS11);
    let own: BTreeSet<_> =
        VENDOR.into_iter().flat_map(structures_of).filter(|name| !standard.contains(name)).collect();
    assert_eq!(own, vendor.iter().map(|structure| structure.name).collect());
}
