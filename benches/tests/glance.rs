//! The harness works: it measures something on the library of this build, and its outputs can be read.

use serde_json::Value;
use std::path::Path;
use std::process::Command;

#[test]
fn session_info_is_measured_and_written() {
    let program = Path::new(env!("CARGO_BIN_EXE_coffer-bench"));
    let library = program.with_file_name("libcoffer_pkcs11.so");
    assert!(library.exists(), "cargo build --workspace makes {}", library.display());
    let dir = tempfile::tempdir().unwrap();
    let (json, svg, markdown) = (dir.path().join("j"), dir.path().join("s"), dir.path().join("m"));
    std::fs::write(&markdown, "before\n<!-- bench: begin -->\nlast year's\n<!-- bench: end -->\nafter\n")
        .unwrap();
    let output = Command::new(program)
        .args(["--quick", "--only", "session-info", "--only", "sha256-64", "--module"])
        .arg(&library)
        .arg("--place")
        .arg(dir.path())
        .arg("--json")
        .arg(&json)
        .arg("--svg")
        .arg(&svg)
        .arg("--markdown")
        .arg(&markdown)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));

    let found: Value = serde_json::from_str(&std::fs::read_to_string(json).unwrap()).unwrap();
    assert_eq!(found["modules"], serde_json::json!(["Coffer"]));
    let names: Vec<_> =
        found["rows"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["session-info", "sha256-64", "hmac-sha256-64"]);
    for row in found["rows"].as_array().unwrap() {
        assert!(row["modules"]["Coffer"]["undisturbed"].as_f64().unwrap() > 0.0, "{row}");
        assert_eq!(row["aws_lc"].is_null(), row["name"] == "session-info", "{row}");
    }
    let bar = &found["bars"][0];
    assert!(bar["passed"].is_boolean() && bar["bar"] == "<= 150 ns over AWS-LC", "{bar}");

    assert!(std::fs::read_to_string(svg).unwrap().ends_with("</svg>\n"));
    let text = std::fs::read_to_string(markdown).unwrap();
    assert!(text.starts_with("before\n") && text.ends_with("<!-- bench: end -->\nafter\n"), "{text}");
    assert!(text.contains("| session-info | op/s | - |") && !text.contains("last year"), "{text}");
}

#[test]
fn a_library_that_is_not_there_is_told() {
    let output = Command::new(env!("CARGO_BIN_EXE_coffer-bench"))
        .args(["--quick", "--only", "session-info", "--module", "/nowhere/libcoffer_pkcs11.so"])
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("/nowhere/libcoffer_pkcs11.so"));
}
