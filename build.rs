//! Nothing is generated in a plain build; see the `bindgen` feature.
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
}
