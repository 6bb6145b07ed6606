//! The law of the house: arrows only go down, `unsafe` stands on three floors, AWS-LC is named on one, and
//! C types with pointers on one.

use std::fs;
use std::path::{Path, PathBuf};

/// The floors, highest first. `error` and `log` are used by all.
const FLOORS: [(&str, u8); 8] = [
    ("abi", 7),
    ("session", 6),
    ("token", 5),
    ("mechanism", 4),
    ("object", 3),
    ("storage", 3),
    ("crypto", 2),
    ("kernel", 1),
];

/// Floors of one height do not know each other.
const STRANGERS: [(&str, &str); 2] = [("object", "storage"), ("storage", "object")];

fn sources(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

struct Source {
    path: String,
    floor: String,
    text: String,
}

fn all() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut all = Vec::new();
    for path in sources(&root) {
        let relative = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
        let floor = relative.split(['/', '.']).next().unwrap().to_string();
        all.push(Source { text: fs::read_to_string(&path).unwrap(), path: relative, floor });
    }
    assert!(all.len() > 40, "only {} sources found", all.len());
    all
}

/// The code without its comments and string literals.
fn code(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let line = line.split("//").next().unwrap();
        let outside: Vec<&str> = line.split('"').step_by(2).collect();
        out.push_str(&outside.join(" "));
        out.push('\n');
    }
    out
}

fn height(floor: &str) -> Option<u8> {
    FLOORS.iter().find(|(name, _)| *name == floor).map(|(_, height)| *height)
}

#[test]
fn arrows_only_go_down() {
    let mut wrong = Vec::new();
    for source in all() {
        let Some(from) = height(&source.floor) else { continue };
        let code = code(&source.text);
        for part in code.split("crate::").skip(1) {
            let to = part.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap();
            let strangers = STRANGERS.contains(&(source.floor.as_str(), to));
            if to != source.floor && (strangers || height(to).is_some_and(|height| height >= from)) {
                wrong.push(format!("{} names {to}", source.path));
            }
        }
        // `use crate::{a, b}` would hide an arrow from the loop above.
        assert!(!code.contains("crate::{"), "{}: one `use crate::` a floor", source.path);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn unsafe_stands_on_three_floors() {
    for source in all() {
        let allowed = matches!(source.floor.as_str(), "abi" | "crypto" | "kernel");
        let code = code(&source.text);
        let words: Vec<&str> = code.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
        assert!(allowed || !words.contains(&"unsafe"), "{}: unsafe", source.path);
    }
}

#[test]
fn aws_lc_is_named_in_crypto_only() {
    for source in all() {
        assert!(source.floor == "crypto" || !code(&source.text).contains("aws_lc_sys"), "{}", source.path);
    }
}

/// Functions of AWS-LC that draw random bytes.
const DRAW: [&str; 15] = [
    "RAND_bytes",
    "BN_rand_range_ex",
    "BN_mod_inverse_blinded",
    "EC_KEY_generate_key",
    "ECDSA_do_sign",
    "EVP_PKEY_keygen",
    "EVP_PKEY_sign",
    "EVP_PKEY_decrypt",
    "EVP_PKEY_encapsulate",
    "RSA_sign",
    "RSA_sign_raw",
    "RSA_sign_pss_mgf1",
    "RSA_encrypt",
    "RSA_padding_add_PKCS1_OAEP_mgf1",
    "X25519_keypair",
];

/// See `crypto::random::drawing`.
#[test]
fn random_bytes_are_drawn_where_no_fork_cuts_in() {
    let (mut drawn, mut wrong) = (0, Vec::new());
    for source in all().iter().filter(|source| source.floor == "crypto" && !source.path.contains("tests")) {
        let code = code(&source.text);
        for function in code.split("fn ").skip(1) {
            for name in DRAW {
                let Some((before, _)) = function.split_once(&format!("{name}(")) else { continue };
                drawn += 1;
                if !before.contains("drawing()") {
                    wrong.push(format!("{}: {name}", source.path));
                }
            }
        }
    }
    assert!(drawn >= 14, "{drawn} found");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn c_structures_with_pointers_stay_in_abi() {
    const WITH_POINTERS: [&str; 9] = [
        "CK_ATTRIBUTE",
        "CK_MECHANISM",
        "CK_GCM_PARAMS",
        "CK_FUNCTION_LIST",
        "CK_INTERFACE",
        "CK_VOID_PTR",
        "CK_BYTE_PTR",
        "CK_ECDH1_DERIVE_PARAMS",
        "CK_RSA_PKCS_OAEP_PARAMS",
    ];
    for source in all().iter().filter(|source| source.floor != "abi") {
        let code = code(&source.text);
        for word in code.split(|c: char| !c.is_alphanumeric() && c != '_') {
            assert!(!WITH_POINTERS.contains(&word), "{} names {word}", source.path);
        }
    }
}

#[test]
fn no_file_outgrows_its_idea() {
    for source in all() {
        let lines = source.text.lines().count();
        let table = source.path.ends_with("table.rs") || source.path.ends_with("schema.rs");
        let generated = source.path.ends_with("vendor.rs");
        let limit = if table || generated { 2000 } else { 600 };
        assert!(lines <= limit, "{}: {lines} lines", source.path);
    }
}
