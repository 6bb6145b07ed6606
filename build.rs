//! How the shared library is linked. A plain build generates nothing; with the feature `bindgen` the Rust side of the
//! vendor headers is made anew and must be what is committed; COFFER_REGENERATE=1 writes it instead.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux" || os == "freebsd") {
        // The function lists must name this library's functions, also beside another module's in the global scope.
        println!("cargo::rustc-cdylib-link-arg=-Wl,-Bsymbolic");
        // Threads end after dlclose, and their destructors (AWS-LC's too) are this library's code.
        println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
        lay_out();
    }
    #[cfg(feature = "bindgen")]
    vendor::generate();
}

/// The functions on the way of calls stand together (`make layout`) where the library is linked by the linker that comes
/// with Rust, and is not built for a debugger: GNU's would make two sections of it, and some know no such scripts.
fn lay_out() {
    let told = |name| std::env::var(name).unwrap_or_default();
    println!("cargo::rerun-if-changed=src/hot.ld");
    let target = told("TARGET") == "x86_64-unknown-linux-gnu" && told("PROFILE") == "release";
    if target && !["fuse-ld", "-lld"].iter().any(|other| told("CARGO_ENCODED_RUSTFLAGS").contains(other)) {
        println!("cargo::rustc-cdylib-link-arg=-T");
        println!("cargo::rustc-cdylib-link-arg={}/src/hot.ld", told("CARGO_MANIFEST_DIR"));
    }
}

#[cfg(feature = "bindgen")]
mod vendor {
    use bindgen::callbacks::{DeriveTrait, ImplementsTrait, IntKind, ParseCallbacks};
    use bindgen::{Builder, CodegenConfig};
    use std::{env, fs};

    const HEADERS: [&str; 2] = ["include/cloudhsm_pkcs11_vendor_defs.h", "include/coffer.h"];
    const MADE: &str =
        "//! Made from include/*.h by `COFFER_REGENERATE=1 cargo check --features bindgen`, not by hand.";

    /// The constants go where everyone may name them, the structures with pointers where such may stand.
    pub fn generate() {
        println!("cargo::rerun-if-changed=include");
        println!("cargo::rerun-if-env-changed=COFFER_REGENERATE");
        let constants = builder("The numbers of CloudHSM's and Coffer's own mechanisms.")
            .with_codegen_config(CodegenConfig::VARS)
            .raw_line("use cryptoki_sys::{CK_ATTRIBUTE_TYPE, CK_EC_KDF_TYPE, CK_FLAGS, CK_KEY_TYPE, CK_MECHANISM_TYPE, CK_ULONG};");
        agree("src/mechanism/vendor.rs", &constants);
        let structures = builder("The parameter structures of CloudHSM's and Coffer's own mechanisms.")
            .with_codegen_config(CodegenConfig::TYPES)
            .raw_line("#![allow(non_camel_case_types, non_snake_case)]")
            .raw_line("#![allow(dead_code)] // C names a pointer type beside each structure.")
            .raw_line("use cryptoki_sys::*;");
        agree("src/abi/vendor.rs", &structures);
    }

    fn builder(about: &str) -> Builder {
        HEADERS
            .iter()
            .fold(bindgen::builder(), |builder, header| {
                builder.header(*header).allowlist_file(format!(".*/?{header}"))
            })
            .allowlist_recursively(false)
            .clang_arg("-Iinclude")
            .parse_callbacks(Box::new(Types))
            .layout_tests(false)
            .merge_extern_blocks(true)
            .disable_header_comment()
            .rustfmt_configuration_file(Some(
                env::current_dir().expect("the package's folder").join("rustfmt.toml"),
            ))
            .raw_line(format!("//! {about}"))
            .raw_line(MADE)
            .raw_line("#![allow(missing_docs)] // The headers say what each is.")
    }

    fn agree(path: &str, bindings: &Builder) {
        let made = bindings.clone().generate().expect("the headers are C").to_string();
        if env::var_os("COFFER_REGENERATE").is_some() {
            fs::write(path, made).expect("writing the generated file");
        } else if fs::read_to_string(path).ok().as_deref() != Some(&made) {
            panic!("{path} is not what the headers say: COFFER_REGENERATE=1 makes it anew");
        }
    }

    /// Gives each constant the type that its prefix tells.
    #[derive(Debug)]
    struct Types;

    impl ParseCallbacks for Types {
        /// What cryptoki_sys has instead of the standard's types are numbers and pointers.
        fn blocklisted_type_implements_trait(
            &self,
            _name: &str,
            _trait: DeriveTrait,
        ) -> Option<ImplementsTrait> {
            Some(ImplementsTrait::Yes)
        }

        fn int_macro(&self, name: &str, _value: i64) -> Option<IntKind> {
            let name = match name.split('_').next() {
                Some("CKM") => "CK_MECHANISM_TYPE",
                Some("CKA") => "CK_ATTRIBUTE_TYPE",
                Some("CKF") => "CK_FLAGS",
                Some("CKK") => "CK_KEY_TYPE",
                Some("CKD") => "CK_EC_KDF_TYPE",
                _ => "CK_ULONG",
            };
            Some(IntKind::Custom { name, is_signed: false })
        }
    }
}
