//! What the tests through the function list share: one module a test binary, a token for each test.
//!
//! `COFFER_CONF` and C_Initialize belong to the process, so the tests of one binary share one token directory and one
//! initialisation; login belongs to the token, so tests with tokens of their own run side by side. A test that needs
//! another configuration runs its body in a process of its own: see [`in_child`].

#![allow(dead_code, reason = "no test binary uses all of it")]

use pkcs11_conformance::client::{Module, Session};
use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use tempfile::TempDir;

pub mod coffer;

pub use pkcs11_conformance::client::cryptoki_sys::*;

pub const SO_PIN: &str = "so-pin-87654321";
pub const USER_PIN: &str = "user-pin-12345678";

/// How a test binary, or a child of it, wants its module. The environment carries it to children.
#[derive(Clone, Debug)]
pub struct Settings {
    /// "standard" or "cloudhsm".
    pub profile: String,
    /// "spec" or "strict".
    pub policy: String,
    /// Further lines of TOML.
    pub more: String,
    /// A token directory to share; none: a fresh one.
    pub token_dir: Option<PathBuf>,
}

impl Settings {
    /// The standard profile with the specification's policy, or what [`in_child`] was given.
    pub fn current() -> Settings {
        let or = |name: &str, value: &str| env::var(name).unwrap_or_else(|_| value.into());
        Settings {
            profile: or("COFFER_TEST_PROFILE", "standard"),
            policy: or("COFFER_TEST_POLICY", "spec"),
            more: or("COFFER_TEST_MORE", ""),
            token_dir: env::var_os("COFFER_TEST_TOKEN_DIR").map(PathBuf::from),
        }
    }

    /// Writes `coffer.toml` into `dir` and gives its path.
    pub fn write(&self, dir: &Path) -> PathBuf {
        let tokens = self.token_dir.clone().unwrap_or_else(|| dir.join("tokens"));
        let text = format!(
            "token_dir = {:?}\nprofile = {:?}\npolicy = {:?}\nlog_level = \"debug\"\nlog_file = {:?}\n{}\n",
            tokens,
            self.profile,
            self.policy,
            dir.join("coffer.log"),
            self.more
        );
        let path = dir.join("coffer.toml");
        std::fs::write(&path, text).expect("a writable temporary directory");
        path
    }
}

/// The shared library that belongs to this test binary: `COFFER_MODULE`, or beside the executable, or above `deps`.
pub fn library() -> PathBuf {
    if let Some(path) = env::var_os("COFFER_MODULE") {
        return path.into();
    }
    let executable = env::current_exe().expect("a path to this test");
    // `cargo test` refreshes the library in `deps`; the copy above it is as old as the last `cargo build`.
    let places = executable.ancestors().skip(1).take(2).map(|dir| dir.join("libcoffer_pkcs11.so"));
    let found: Vec<_> = places.filter(|path| path.exists()).collect();
    found.into_iter().next().unwrap_or_else(|| panic!("no libcoffer_pkcs11.so by {}", executable.display()))
}

/// The module of this process and the directory it lives in.
pub struct Process {
    pub module: Module,
    pub dir: TempDir,
    owner: u32,
    /// Making a token takes the free slot, so only one test at a time may do it.
    making: Mutex<()>,
}

static PROCESS: OnceLock<Process> = OnceLock::new();

/// Loads the module without C_Initialize: for tests of C_Initialize itself, in a child.
pub fn load() -> &'static Process {
    PROCESS.get_or_init(|| {
        let dir = tempfile::Builder::new().prefix("coffer-test-").tempdir().expect("a temporary directory");
        let configuration = Settings::current().write(dir.path());
        // SAFETY: inside the initialisation of the only static, before the module that reads it is loaded; a function of
        // this executable. Children that are killed leave nothing, as their directories lie in this one.
        unsafe {
            env::set_var("COFFER_CONF", configuration);
            env::set_var("TMPDIR", dir.path());
            libc::atexit(clean_up);
        }
        let module = Module::load(library()).unwrap_or_else(|why| panic!("{}: {why}", library().display()));
        Process { module, dir, owner: std::process::id(), making: Mutex::new(()) }
    })
}

/// Statics are never dropped. A forked child that exits is not the owner.
extern "C" fn clean_up() {
    if let Some(process) = PROCESS.get().filter(|process| process.owner == std::process::id()) {
        let _ = std::fs::remove_dir_all(process.dir.path());
    }
}

/// The module, initialised once.
pub fn process() -> &'static Process {
    static READY: OnceLock<()> = OnceLock::new();
    let process = load();
    READY.get_or_init(|| process.module.init().expect("C_Initialize"));
    process
}

/// The module, initialised once.
pub fn module() -> Module {
    process().module
}

/// A token of its own with SO and user PIN set, and a read/write session.
pub struct TestToken {
    pub module: Module,
    pub slot: CK_SLOT_ID,
    pub label: String,
    /// A read/write session; in [`TestToken::new`] the user is logged in.
    pub session: Session,
}

impl TestToken {
    /// With the user logged in.
    pub fn new() -> TestToken {
        let token = TestToken::public();
        token.session.login(CKU_USER, USER_PIN).expect("C_Login");
        token
    }

    /// With nobody logged in.
    pub fn public() -> TestToken {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let label = format!("test {} {}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let process = process();
        let slot = init_token(process, &label);
        let module = process.module;
        let session = module.open_session(slot, true).expect("C_OpenSession");
        session.login(CKU_SO, SO_PIN).expect("C_Login as SO");
        session.init_pin(USER_PIN).expect("C_InitPIN");
        session.logout().expect("C_Logout");
        TestToken { module, slot, label, session }
    }

    /// Another session: read/write.
    pub fn rw(&self) -> Session {
        self.module.open_session(self.slot, true).expect("C_OpenSession")
    }

    /// Another session: read only.
    pub fn ro(&self) -> Session {
        self.module.open_session(self.slot, false).expect("C_OpenSession")
    }
}

/// C_InitToken on a slot that has no initialised token yet; the slot that then has the label.
fn init_token(process: &Process, label: &str) -> CK_SLOT_ID {
    let _one: MutexGuard<'_, ()> = process.making.lock().unwrap_or_else(PoisonError::into_inner);
    let module = process.module;
    let fresh = |&slot: &CK_SLOT_ID| {
        module.token_info(slot).map_or(true, |info| info.flags & CKF_TOKEN_INITIALIZED == 0)
    };
    let slots = module.slots(false).expect("C_GetSlotList");
    let free = slots.into_iter().find(fresh).expect("a free slot");
    module.init_token(free, SO_PIN, label).expect("C_InitToken");
    // A module may give the new token a slot number of its own, seen at the next C_GetSlotList.
    module.slot_by_label(label).expect("the slot of the new token")
}

/// What starts a program built for the tests' architecture: nothing where that is the machine's own, else the words of
/// `COFFER_TEST_RUNNER`, as `qemu-aarch64-static -L /usr/aarch64-linux-gnu`.
pub fn runner() -> Vec<String> {
    let words = env::var("COFFER_TEST_RUNNER").unwrap_or_default();
    words.split_whitespace().map(String::from).collect()
}

/// Starts such a program.
pub fn program(path: impl AsRef<OsStr>) -> Command {
    match runner().split_first() {
        None => Command::new(path),
        Some((runner, arguments)) => {
            let mut command = Command::new(runner);
            command.args(arguments).arg(path);
            command
        }
    }
}

/// Starts this test binary again.
pub fn this_test() -> Command {
    program(env::current_exe().expect("a path to this test"))
}

/// The C compiler for the tests' architecture: `COFFER_TEST_CC`, or `cc`.
pub fn c_compiler() -> OsString {
    env::var_os("COFFER_TEST_CC").unwrap_or("cc".into())
}

/// Whether this process is the child that [`in_child`] started for `name`.
pub fn is_child(name: &str) -> bool {
    env::var("COFFER_TEST_CHILD").is_ok_and(|child| child == name)
}

/// Runs the test `name` (its full path in this binary) again in a process of its own with further environment; false
/// in that process, which is to do the work, and true in the parent, where it has been done and passed.
///
/// ```ignore
/// #[test]
/// fn finalize_ends_sessions() {
///     if common::in_child("finalize_ends_sessions", &[]) {
///         return;
///     }
///     // the body, alone in its process
/// }
/// ```
pub fn in_child(name: &str, environment: &[(&str, &str)]) -> bool {
    if is_child(name) {
        return false;
    }
    let mut command = this_test();
    command.args([name, "--exact", "--include-ignored", "--nocapture", "--test-threads=1"]);
    command.env("COFFER_TEST_CHILD", name).envs(environment.iter().copied());
    let output = command.output().expect("a child process");
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{name} in a process of its own: {}\n{said}", output.status);
    // A name that matches no test would pass without running anything.
    assert!(said.contains("1 passed"), "{name} is no test of this binary:\n{said}");
    true
}

/// [`in_child`] under the CloudHSM profile.
pub fn in_cloudhsm_child(name: &str) -> bool {
    in_child(name, &[("COFFER_TEST_PROFILE", "cloudhsm")])
}

/// [`in_child`] under the strict policy.
pub fn in_strict_child(name: &str) -> bool {
    in_child(name, &[("COFFER_TEST_POLICY", "strict")])
}
