//! The C examples, built with the system's compiler under every warning, against Coffer; and against SoftHSM where it is
//! installed, which shows that the examples are honest clients and not Coffer's friends.

mod common;

use common::{SO_PIN, Settings, USER_PIN, library};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use tempfile::TempDir;

/// The examples' answer to a mechanism the module does not offer.
const NOT_OFFERED: i32 = 77;

/// Builds every example once; the directory they are in.
fn programs() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let build = Path::new(env!("CARGO_TARGET_TMPDIR")).join("c-examples");
        let output = Command::new("make")
            .arg("-C")
            .arg(root.join("c-examples"))
            .env("CC", common::c_compiler())
            .arg(format!("BUILD={}", build.display()))
            .arg(format!("INCLUDE={}", root.join("include").display()))
            .output()
            .expect("make runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        build
    })
}

/// A module with a fresh token directory.
struct Host {
    module: PathBuf,
    environment: (&'static str, PathBuf),
    _dir: TempDir,
}

impl Host {
    fn coffer() -> Host {
        let dir = TempDir::new().expect("a temporary directory");
        let configuration = Settings::current().write(dir.path());
        Host { module: library(), environment: ("COFFER_CONF", configuration), _dir: dir }
    }

    /// `None` where SoftHSM is not installed.
    fn softhsm() -> Option<Host> {
        let places = [
            "/usr/lib/softhsm/libsofthsm2.so",
            "/usr/lib64/pkcs11/libsofthsm2.so",
            "/usr/local/lib/softhsm/libsofthsm2.so",
        ];
        let module = places.iter().map(PathBuf::from).find(|path| path.exists())?;
        let dir = TempDir::new().expect("a temporary directory");
        let tokens = dir.path().join("tokens");
        std::fs::create_dir(&tokens).expect("a directory for tokens");
        let configuration = dir.path().join("softhsm2.conf");
        std::fs::write(&configuration, format!("directories.tokendir = {}\n", tokens.display()))
            .expect("a configuration");
        Some(Host { module, environment: ("SOFTHSM2_CONF", configuration), _dir: dir })
    }

    /// The exit code and everything said.
    fn run(&self, program: &str, arguments: &[&str]) -> (i32, String) {
        let output = common::program(programs().join(program))
            .env(self.environment.0, &self.environment.1)
            .arg("--library")
            .arg(&self.module)
            .args(arguments)
            .output()
            .expect("the example runs");
        let said =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.code().unwrap_or(-1), said)
    }

    /// The slot of a new token.
    fn token(&self, label: &str, pin: &str) -> String {
        let (code, said) = self.run("init_token", &["--so-pin", SO_PIN, "--pin", pin, "--label", label]);
        assert_eq!(code, 0, "init_token: {said}");
        said.trim().to_owned()
    }

    /// The example's exit code and words, on a token of its own.
    fn example(&self, program: &str, more: &[&str]) -> (i32, String) {
        let slot = self.token("examples", USER_PIN);
        self.run(program, &[&["--pin", USER_PIN, "--slot", &slot], more].concat())
    }
}

/// What SoftHSM is held to.
enum SoftHsm {
    Passes(&'static [&'static str]),
    /// It passes as far as it goes and lacks a mechanism.
    Lacks(&'static [&'static str]),
    /// Its release 2.6 is known to answer wrongly, as said.
    Wrong(&'static str),
}
use SoftHsm::{Lacks, Passes, Wrong};

/// Coffer must pass whole; `says` are the words that tell the exact return codes and the way taken.
fn on_coffer(program: &str, says: &[&str]) {
    let (code, said) = Host::coffer().example(program, &[]);
    assert_eq!(code, 0, "{program}: {said}");
    for words in says {
        assert!(said.contains(words), "{program} should have said {words:?}: {said}");
    }
}

fn on_softhsm(program: &str, verdict: SoftHsm) {
    let Some(host) = Host::softhsm() else { return eprintln!("SoftHSM is not installed") };
    let (more, expected) = match verdict {
        Passes(more) => (more, 0),
        Lacks(more) => (more, NOT_OFFERED),
        Wrong(why) => {
            // A later release may have it right; what must not be is a crash, or no answer at all.
            let (code, said) = host.example(program, &[]);
            assert!(matches!(code, 0 | 1), "{program} ({why}): {said}");
            return;
        }
    };
    let (code, said) = host.example(program, more);
    assert_eq!(code, expected, "{program}: {said}");
}

macro_rules! examples {
    ($($name:ident says $says:expr, softhsm $softhsm:expr;)+) => {
        $(mod $name {
            use super::*;

            #[test]
            fn coffer() {
                on_coffer(stringify!($name), &$says);
            }

            #[test]
            fn softhsm() {
                on_softhsm(stringify!($name), $softhsm);
            }
        })+
    };
}

examples! {
    rsa_wrapping says ["RSA_PKCS_OAEP: an AES-256 key in 256", "RSA_AES_KEY_WRAP: an AES-256 key in 296", "RSA_AES_KEY_WRAP: a triple-DES key in 288"],
        softhsm Lacks(&["--hash", "sha1"]);
    des_ecb says ["1ccf23869d09333e"], softhsm Passes(&[]);
    aes_ecb says ["f3eed1bdb5d2a03c"], softhsm Passes(&[]);
    aes_gcm says ["the caller's IV: encrypted", "a changed ciphertext: CKR_ENCRYPTED_DATA_INVALID"], softhsm Passes(&[]);
    aes_key_wrap says ["RFC 3394: unwrapped; a changed wrapping gave CKR_WRAPPED_KEY_INVALID", "RFC 5649: unwrapped"],
        softhsm Wrong("CKM_AES_KEY_WRAP_PAD pads the key to whole blocks first, so the RFC 5649 length is lost");
    wrap_with_template says ["does not match: CKR_KEY_HANDLE_INVALID"], softhsm Passes(&[]);
    unwrap_with_template says ["the template gave them", "contradict the template: refused"],
        softhsm Wrong("attributes that the caller leaves to the unwrap template are refused");
    rsa_sign says ["CKM_SHA256_RSA_PKCS_PSS: signed"], softhsm Passes(&[]);
    ec_sign says ["CKM_ECDSA_SHA256: the same signatures"], softhsm Passes(&[]);
    ecdh says ["a point off the curve: CKR_MECHANISM_PARAM_INVALID"], softhsm Passes(&[]);
    hmac_kdf says ["2445b9bd9acfd7a4"], softhsm Lacks(&[]);
    ml_kem says ["the 3.2 interface: encapsulated", "the 2.40 list: encapsulated", "one door's ciphertext through the other: equal"],
        softhsm Lacks(&[]);
    find_objects says ["by modulus: the public key"], softhsm Passes(&[]);
    session_keys says ["C_SignInit with the closed session's key: CKR_KEY_HANDLE_INVALID"], softhsm Passes(&[]);
}

/// Two tokens with two PINs in one host: the options that name them.
fn between(source: &Host, target: &Host, more: &[&str]) -> (i32, String) {
    let (from_slot, to_slot) = (source.token("source", "from-pin-1"), target.token("target", "to-pin-22"));
    let slots = [
        "--from-slot",
        &from_slot,
        "--from-pin",
        "from-pin-1",
        "--to-slot",
        &to_slot,
        "--to-pin",
        "to-pin-22",
    ];
    source.run("migrate_3des", &[&slots, more].concat())
}

#[test]
fn migrate_3des_between_tokens() {
    let coffer = Host::coffer();
    let (code, said) = between(&coffer, &coffer, &[]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("wrapped into 288 bytes"), "{said}");
}

#[test]
fn migrate_3des_between_softhsm_tokens() {
    let Some(softhsm) = Host::softhsm() else { return };
    let (code, said) = between(&softhsm, &softhsm, &["--mechanism", "oaep", "--hash", "sha1"]);
    assert_eq!(code, 0, "{said}");
}

/// From SoftHSM into Coffer and back, both modules in one process.
#[test]
fn migrate_3des_between_modules() {
    let Some(softhsm) = Host::softhsm() else { return };
    let coffer = Host::coffer();
    for (source, target) in [(&softhsm, &coffer), (&coffer, &softhsm)] {
        let (from_slot, to_slot) =
            (source.token("source", "from-pin-1"), target.token("target", "to-pin-22"));
        let output = common::program(programs().join("migrate_3des"))
            .envs([
                (source.environment.0, &source.environment.1),
                (target.environment.0, &target.environment.1),
            ])
            .args([
                "--from-library".as_ref(),
                source.module.as_os_str(),
                "--to-library".as_ref(),
                target.module.as_os_str(),
            ])
            .args([
                "--from-slot",
                &from_slot,
                "--from-pin",
                "from-pin-1",
                "--to-slot",
                &to_slot,
                "--to-pin",
                "to-pin-22",
            ])
            .args(["--mechanism", "oaep", "--hash", "sha1"])
            .output()
            .expect("the example runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// By the security officer, and once only.
#[test]
fn trusted_key() {
    let coffer = Host::coffer();
    let slot = coffer.token("examples", USER_PIN);
    for _ in 0..2 {
        let (code, said) = coffer.run("trusted_key", &["--so-pin", SO_PIN, "--slot", &slot]);
        assert_eq!(code, 0, "{said}");
        assert!(said.trim().parse::<u64>().is_ok(), "a handle: {said}");
    }
}

/// Bad options and a wrong PIN end in words and a code, not in a crash.
#[test]
fn refusals() {
    let coffer = Host::coffer();
    assert_eq!(coffer.run("aes_ecb", &["--pni", "1"]).0, 2);
    assert_eq!(coffer.run("aes_ecb", &["--pin"]).0, 2);
    let (code, said) = coffer.example("aes_ecb", &["--pin", "no such PIN"]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("C_Login: CKR_PIN_INCORRECT"), "{said}");
}
