//! `scripts/samples.sh`, over a tree of the samples' layout that holds programs of our own.

use super::common::library;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

/// A sample that wants a handle, found by the script in what it reads of the command line.
const HANDLE: &str = r#"
#include "common.h"
#include "shared.h"
struct { CK_OBJECT_HANDLE object_handle; } args;
int main(int argc, char **argv)
{
    const char *library = NULL, *pin = NULL, *handle = NULL;
    const struct option options[] = { { "--library", &library }, { "--pin", &pin }, { "--object-id", &handle } };
    parse_options(argc, argv, options, COUNT(options));
    args.object_handle = strtoul(handle, NULL, 0);
    struct token token = open_token(library, NULL, pin);
    check(attribute_bool(&token, args.object_handle, wanted()), "the handle is that of a trusted key");
    close_token(&token);
    return 0;
}
"#;

struct Samples(TempDir);

impl Samples {
    fn new() -> Samples {
        let samples = Samples(TempDir::new().expect("a temporary directory"));
        for (file, to) in [
            ("common.c", "src/common"),
            ("common.h", "src/common"),
            ("rsa_wrapping.c", "src/wrapping"),
            ("session_keys.c", "src/session"),
            ("des_ecb.c", "src/non_fips_examples/encrypt"),
        ] {
            let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("c-examples").join(file);
            samples.write(&format!("{to}/{file}"), &fs::read_to_string(source).expect("a C example"));
        }
        // A folder's own header and what its programs share; a checkout's copy of the standard's headers, which
        // Coffer's stand for.
        samples.write("src/attributes/handle.c", HANDLE);
        samples.write("src/attributes/shared.h", "CK_ATTRIBUTE_TYPE wanted(void);\n");
        samples.write(
            "src/attributes/shared.c",
            "#include \"common.h\"\n#include \"shared.h\"\nCK_ATTRIBUTE_TYPE wanted(void) { return CKA_TRUSTED; }\n",
        );
        samples.write("include/pkcs11/v2.40/pkcs11.h", "#error not this one\n");
        samples
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }

    fn run(&self) -> (Option<i32>, String) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/samples.sh");
        // The library that this test was built with, and not an older one beside the command.
        let built = TempDir::new().expect("a temporary directory");
        symlink(library(), built.path().join("libcoffer_pkcs11.so")).expect("a link");
        symlink(env!("CARGO_BIN_EXE_coffer"), built.path().join("coffer")).expect("a link");
        let Output { status, stdout, stderr } = Command::new("sh")
            .arg(script)
            .arg(self.0.path())
            .arg(built.path())
            .env("CFLAGS", "-D_POSIX_C_SOURCE=200809L")
            .env_remove("VERBOSE")
            .output()
            .expect("sh runs");
        (status.code(), format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr)))
    }
}

#[test]
fn the_script_runs_every_sample() {
    let (code, said) = Samples::new().run();
    let lines: Vec<Vec<&str>> = said.lines().map(|line| line.split_whitespace().collect()).collect();
    let passed = |sample| vec![sample, "passed"];
    assert_eq!(
        lines,
        [
            passed("src/attributes/handle"),
            passed("src/non_fips_examples/encrypt/des_ecb"),
            passed("src/session/session_keys"),
            passed("src/wrapping/rsa_wrapping"),
            vec!["4", "passed,", "0", "failed"],
        ],
        "{said}"
    );
    assert_eq!(code, Some(0));
}

#[test]
fn the_script_tells_what_fails() {
    let samples = Samples::new();
    samples.write("src/session/wrong.c", "#include <stdio.h>\nint main(void) { puts(\"why\"); return 7; }\n");
    samples.write("src/session/broken.c", "int main(void) { return CKR_NOTHING; }\n");
    samples.write("src/tools/loose.c", "int nowhere(void);\nint main(void) { return nowhere(); }\n");
    let (code, said) = samples.run();
    assert_eq!(code, Some(1), "{said}");
    for (sample, word) in [
        ("session/wrong ", "ended with 7"),
        ("session/broken.c ", "not compiled"),
        ("tools/loose ", "not linked"),
    ] {
        assert!(said.lines().any(|line| line.contains(sample) && line.ends_with(word)), "{said}");
    }
    assert!(
        said.contains("    why\n") && said.contains("CKR_NOTHING") && said.ends_with("4 passed, 3 failed\n")
    );
}

/// The commands in docs/cloudhsm.md make a token that a program can log in to as the guide says.
#[test]
fn the_guide_makes_a_token() {
    let guide = include_str!("../../docs/cloudhsm.md");
    let steps =
        guide.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a first block");
    let dir = TempDir::new().expect("a temporary directory");
    symlink(env!("CARGO_BIN_EXE_coffer"), dir.path().join("coffer")).expect("a link");
    let output = Command::new("sh")
        .args(["-eu", "-c", steps])
        .current_dir(dir.path())
        .env("PATH", format!("{}:/usr/bin:/bin", dir.path().display()))
        .output()
        .expect("sh runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let list = Command::new(env!("CARGO_BIN_EXE_coffer"))
        .args(["--json", "token", "list"])
        .env("COFFER_CONF", dir.path().join("cloudhsm.toml"))
        .output()
        .expect("coffer runs");
    let said = String::from_utf8_lossy(&list.stdout);
    assert!(said.contains("\"label\": \"cluster\"") && said.contains("non-fips"), "{said}");
}

#[test]
fn the_script_wants_samples() {
    let empty = Samples(TempDir::new().expect("a temporary directory"));
    assert_eq!(empty.run().0, Some(2));
}
