//! Real programs that speak PKCS#11, each against the built module with a token of its own: the scripts of `tests/clients`.
//!
//! A script whose client is not installed says so and is skipped, unless `COFFER_ALL_CLIENTS` is set: there every one must run
//! (`scripts/setup.sh clients` installs them).

mod common;

use common::library;
use std::env;
use std::path::Path;
use std::process::Command;

/// The scripts' answer where their client is missing.
const NOT_INSTALLED: i32 = 77;

fn run(script: &str) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients");
    let output = Command::new("sh")
        .arg(directory.join(script))
        .env("COFFER_MODULE", library())
        .output()
        .expect("a shell");
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    match output.status.code() {
        Some(0) => println!("{said}"),
        Some(NOT_INSTALLED) if env::var_os("COFFER_ALL_CLIENTS").is_none() => eprintln!("{script}: {said}"),
        _ => panic!("{script}: {}\n{said}", output.status),
    }
}

macro_rules! clients {
    ($($name:ident)+) => {
        $(#[test]
        fn $name() {
            run(concat!(stringify!($name), ".sh"));
        })+

        /// A script that nobody runs proves nothing.
        #[test]
        fn every_script_is_run() {
            let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients");
            let mut found: Vec<String> = std::fs::read_dir(directory)
                .expect("tests/clients")
                .map(|entry| entry.expect("an entry").file_name().into_string().expect("a plain name"))
                .filter_map(|name| name.strip_suffix(".sh").map(str::to_owned))
                .filter(|name| name != "lib")
                .collect();
            found.sort();
            let mut run = vec![$(stringify!($name)),+];
            run.sort();
            assert_eq!(found, run);
        }
    };
}

clients! { gnutls java nginx nss openssl p11_kit pkcs11_tool python ssh }
