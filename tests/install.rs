//! `make install` into a packager's directory: every file in its place, and each of them of use there.

mod common;

use common::library;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// Not the defaults, so that nothing is right by accident.
const PREFIX: &str = "/opt/coffer";
const LIBDIR: &str = "/opt/coffer/lib/some-triplet";

/// Every installed file with its mode.
const FILES: &[(&str, u32)] = &[
    ("opt/coffer/bin/coffer", 0o755),
    ("opt/coffer/include/coffer/cloudhsm_pkcs11_vendor_defs.h", 0o644),
    ("opt/coffer/include/coffer/coffer.h", 0o644),
    ("opt/coffer/include/coffer/cryptoki.h", 0o644),
    ("opt/coffer/include/coffer/pkcs11.h", 0o644),
    ("opt/coffer/include/coffer/pkcs11f.h", 0o644),
    ("opt/coffer/include/coffer/pkcs11t.h", 0o644),
    ("opt/coffer/lib/some-triplet/pkcs11/libcoffer_pkcs11.so", 0o755),
    ("opt/coffer/lib/some-triplet/pkgconfig/coffer.pc", 0o644),
    ("opt/coffer/share/p11-kit/modules/coffer.module", 0o644),
];

/// `make TARGET` with a destination, from what this test was built with.
fn make(target: &str, destination: &Path) {
    let output = Command::new("make")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        // A make that runs the tests must not tell this one what to do.
        .env_remove("MAKEFLAGS")
        .arg(target)
        .arg(format!("DESTDIR={}", destination.display()))
        .arg(format!("PREFIX={PREFIX}"))
        .arg(format!("LIBDIR={LIBDIR}"))
        .arg(format!("LIBRARY={}", library().display()))
        .arg(format!("COMMAND={}", env!("CARGO_BIN_EXE_coffer")))
        .output()
        .expect("make runs");
    succeeded(&output);
}

fn succeeded(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).expect("text")
}

/// Every file below `dir`, as paths from there, in order.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() { open.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found.into_iter().map(|path| path.strip_prefix(dir).expect("below").to_owned()).collect()
}

/// The answer of pkg-config about the package under `root`.
fn pkg_config(root: &Path, question: &str) -> String {
    let output = Command::new("pkg-config")
        .env("PKG_CONFIG_LIBDIR", root.join(LIBDIR.trim_start_matches('/')).join("pkgconfig"))
        .env("PKG_CONFIG_SYSROOT_DIR", root)
        .args([question, "coffer"])
        .output()
        .expect("pkg-config runs: scripts/setup.sh clients");
    succeeded(&output).trim().to_owned()
}

/// What is made of the command's definition: manual pages and completions.
fn is_page(path: &Path) -> bool {
    let text = path.to_string_lossy();
    ["/man/", "-completion", "site-functions", "vendor_completions"].iter().any(|part| text.contains(part))
}

#[test]
fn everything_is_in_its_place_and_leaves_it() {
    let root = TempDir::new().expect("a temporary directory");
    make("install", root.path());
    let expected: Vec<_> = FILES.iter().map(|(path, _)| PathBuf::from(path)).collect();
    let (pages, installed): (Vec<_>, Vec<_>) = files(root.path()).into_iter().partition(|path| is_page(path));
    assert_eq!(installed, expected);
    for page in [
        "man/man1/coffer.1",
        "man/man1/coffer-key-list.1",
        "bash-completion/completions/coffer",
        "zsh/site-functions/_coffer",
        "fish/vendor_completions.d/coffer.fish",
    ] {
        assert!(pages.contains(&Path::new("opt/coffer/share").join(page)), "{page}");
    }
    for (path, mode) in FILES {
        let file = root.path().join(path);
        let metadata = fs::metadata(&file).expect("an installed file");
        assert_eq!(metadata.permissions().mode() & 0o777, *mode, "{path}");
        let text = fs::read(&file).expect("an installed file");
        assert!(!text.is_empty(), "{path}");
        // Neither an unfilled place nor the packager's directory may be left in what is installed.
        for left in ["@PREFIX@", "@LIBDIR@", "@VERSION@", root.path().to_str().expect("a path of text")] {
            assert!(!text.windows(left.len()).any(|window| window == left.as_bytes()), "{path}: {left}");
        }
    }
    // A second installation over the first changes nothing.
    make("install", root.path());
    assert_eq!(files(root.path()).len(), expected.len() + pages.len());
    make("uninstall", root.path());
    assert_eq!(files(root.path()), Vec::<PathBuf>::new());
}

#[test]
fn pkg_config_builds_a_program_that_loads_the_module() {
    let root = TempDir::new().expect("a temporary directory");
    make("install", root.path());
    assert_eq!(pkg_config(root.path(), "--modversion"), env!("CARGO_PKG_VERSION"));
    assert_eq!(
        pkg_config(root.path(), "--variable=p11_module_path")
            .trim_start_matches(root.path().to_str().unwrap()),
        format!("{LIBDIR}/pkcs11/libcoffer_pkcs11.so")
    );

    let source = root.path().join("program.c");
    fs::write(
        &source,
        "#include <pkcs11.h>\n#include <coffer.h>\n#include <cloudhsm_pkcs11_vendor_defs.h>\n#include <stdio.h>\n\
         int main(void)\n{\n    CK_FUNCTION_LIST_PTR list;\n    CK_INFO info;\n\
         \x20   if (C_GetFunctionList(&list) || list->C_Initialize(NULL) || list->C_GetInfo(&info)) return 1;\n\
         \x20   printf(\"%.32s\", (const char *)info.libraryDescription);\n    return list->C_Finalize(NULL) != CKR_OK;\n}\n",
    )
    .expect("a source");
    let program = root.path().join("program");
    let flags = format!("{} {}", pkg_config(root.path(), "--cflags"), pkg_config(root.path(), "--libs"));
    let built = Command::new("cc")
        .args(["-std=c99", "-Wall", "-Wextra", "-Werror", "-o"])
        .arg(&program)
        .arg(&source)
        .args(flags.split_whitespace())
        .output()
        .expect("cc runs");
    succeeded(&built);
    let ran = Command::new(&program)
        .env("HOME", root.path())
        .env_remove("COFFER_CONF")
        .env_remove("XDG_CONFIG_HOME")
        .env_remove("XDG_DATA_HOME")
        .output()
        .expect("the program runs");
    assert!(succeeded(&ran).contains("Coffer"), "{ran:?}");
}

#[test]
fn the_module_file_names_the_module() {
    let root = TempDir::new().expect("a temporary directory");
    make("install", root.path());
    let text = fs::read_to_string(root.path().join("opt/coffer/share/p11-kit/modules/coffer.module"))
        .expect("the module file");
    let settings: Vec<_> = text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| line.split_once(": ").expect("name: value"))
        .collect();
    assert_eq!(settings, [("module", format!("{LIBDIR}/pkcs11/libcoffer_pkcs11.so").as_str())]);
}

/// The command that was installed is the one that was built.
#[test]
fn the_command_runs() {
    let root = TempDir::new().expect("a temporary directory");
    make("install", root.path());
    let output = Command::new(root.path().join("opt/coffer/bin/coffer")).arg("--version").output();
    assert_eq!(
        succeeded(&output.expect("the command runs")).trim(),
        format!("coffer {}", env!("CARGO_PKG_VERSION"))
    );
}
