//! `coffer doctor`: why something does not work, or that all does.

use crate::connection::load;
use crate::context::Context;
use crate::output::{Outcome, Report, table};
use crate::token::operator;
use clap::Args;
use coffer_pkcs11::error::Rv;
use coffer_pkcs11::kernel::{self, cpu};
use coffer_pkcs11::log::Kind;
use coffer_pkcs11::token::Config;
use coffer_pkcs11::token::config::{Mode, Policy, Profile};
use pkcs11_client::cryptoki_sys::*;
use pkcs11_client::{Module, text};
use serde_json::json;
use std::env;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Look for what is wrong.
///
/// Checks the configuration, the permissions, the module, p11-kit, randomness, the processor and every token's store. Exit
/// code 1 if something is bad.
#[derive(Args)]
pub struct Doctor {}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Good,
    /// Works, but is likely not what is wanted.
    Note,
    Bad,
}

struct Finding {
    what: &'static str,
    state: State,
    detail: String,
}

impl Doctor {
    pub fn run(self, context: &mut Context) -> Outcome {
        let mut found = Vec::new();
        let mut say = |what, outcome: Result<String, String>| {
            let (state, detail) = match outcome {
                Ok(detail) => (State::Good, detail),
                Err(detail) => (State::Bad, detail),
            };
            found.push(Finding { what, state, detail });
        };
        if context.target.library.is_none() {
            match Config::load() {
                Err(error) => say("configuration", Err(error.to_string())),
                Ok(config) => {
                    say(
                        "configuration",
                        Ok(format!(
                            "profile {}, policy {}, new tokens {}",
                            match config.profile {
                                Profile::Standard => "standard",
                                Profile::CloudHsm => "cloudhsm",
                            },
                            match config.policy {
                                Policy::Spec => "spec",
                                Policy::Strict => "strict",
                            },
                            match config.mode {
                                Mode::NonFips => "non-fips",
                                Mode::Fips => "fips",
                            }
                        )),
                    );
                    say("token directory", directory(&config.token_dir));
                    say(
                        "log",
                        config.configure_log().map(|()| log(&config)).map_err(|error| error.to_string()),
                    );
                }
            }
            say("shared library", shared_library());
        }
        match load(context.target.library.as_deref(), context.target.init_args.as_deref()) {
            Err(why) => say("module", Err(why)),
            Ok(module) => {
                say("module", about(module));
                say("randomness", randomness(module));
                for (what, outcome) in tokens(module) {
                    say(what, outcome);
                }
                let _ = module.finalize();
            }
        }
        if context.target.library.is_none() {
            for (what, outcome) in stores(context) {
                say(what, outcome);
            }
        }
        say("processor", Ok(processor()));
        say("kernels", Ok(kernels()));
        found.push(entropy());
        found.push(p11_kit());
        context.found_wrong = found.iter().any(|finding| finding.state == State::Bad);
        Ok(report(&found))
    }
}

fn report(found: &[Finding]) -> Report {
    let word = |state| match state {
        State::Good => "good",
        State::Note => "note",
        State::Bad => "BAD",
    };
    let rows: Vec<_> = found
        .iter()
        .map(|finding| vec![word(finding.state).into(), finding.what.into(), finding.detail.clone()])
        .collect();
    let text = table(&["STATE", "WHAT", "FOUND"], &rows);
    let entries: Vec<_> = found
        .iter()
        .map(
            |finding| json!({ "check": finding.what, "state": word(finding.state), "found": finding.detail }),
        )
        .collect();
    Report { text, json: json!({ "findings": entries }) }
}

fn directory(path: &Path) -> Result<String, String> {
    let shown = path.display();
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Ok(format!("{shown} will be made with the first token"))
        }
        Err(error) => Err(format!("{shown}: {error}")),
        Ok(meta) if !meta.is_dir() => Err(format!("{shown} is not a directory itself")),
        Ok(meta) if meta.mode() & 0o077 != 0 => Err(format!(
            "{shown}: mode {:o}; others than the owner have access: chmod 700",
            meta.mode() & 0o7777
        )),
        Ok(_) if !coffer_pkcs11::kernel::shared::writable(path) => {
            Err(format!("{shown} cannot be written to"))
        }
        Ok(_) => Ok(format!("{shown}, mode 700")),
    }
}

/// Where programs find the module: beside the command, as built, or where `make install` puts it.
fn shared_library() -> Result<String, String> {
    const NAME: &str = "libcoffer_pkcs11.so";
    let command = env::current_exe().map_err(|error| error.to_string())?;
    let dir = command.parent().unwrap_or(Path::new("."));
    let places: [PathBuf; 3] =
        [dir.join(NAME), dir.join("../lib/pkcs11").join(NAME), Path::new("/usr/lib/pkcs11").join(NAME)];
    let path = places.iter().find(|path| path.exists()).ok_or_else(|| {
        format!(
            "{NAME} is not beside {} nor in ../lib/pkcs11; `make install` puts it there",
            command.display()
        )
    })?;
    let module = Module::load(path).map_err(|why| format!("{}: {why}", path.display()))?;
    module.init().map_err(|rv| format!("{}: C_Initialize: {rv}", path.display()))?;
    let info = about(module);
    let _ = module.finalize();
    Ok(format!("{}: {}", path.canonicalize().unwrap_or(path.clone()).display(), info?))
}

fn about(module: Module) -> Result<String, String> {
    let info = module.info().map_err(|rv| format!("C_GetInfo: {rv}"))?;
    let interfaces = module.interfaces().map_or(0, |rows| rows.len());
    let (library, cryptoki) = (info.libraryVersion, info.cryptokiVersion);
    Ok(format!(
        "{} {}.{} of {}, PKCS#11 {}.{}, {interfaces} interfaces",
        text(&info.libraryDescription),
        library.major,
        library.minor,
        text(&info.manufacturerID),
        cryptoki.major,
        cryptoki.minor
    ))
}

/// Two draws that differ; whether they are random no test can tell.
fn randomness(module: Module) -> Result<String, String> {
    let slots = module.slots(true).map_err(|rv| format!("C_GetSlotList: {rv}"))?;
    let Some(slot) = slots.into_iter().find(|slot| initialised(module, *slot)) else {
        return Ok("not asked: there is no token".into());
    };
    let session = module.open_session(slot, false).map_err(|rv| format!("C_OpenSession: {rv}"))?;
    let draw = || session.random(32).map_err(|rv| format!("C_GenerateRandom: {rv}"));
    if draw()? == draw()? {
        Err("two draws of 32 bytes are equal".into())
    } else {
        Ok("two draws differ".into())
    }
}

fn initialised(module: Module, slot: CK_SLOT_ID) -> bool {
    module.token_info(slot).is_ok_and(|info| info.flags & CKF_TOKEN_INITIALIZED != 0)
}

fn tokens(module: Module) -> Vec<(&'static str, Result<String, String>)> {
    let slots = match module.slots(true) {
        Ok(slots) => slots,
        Err(rv) => return vec![("tokens", Err(format!("C_GetSlotList: {rv}")))],
    };
    let mut found = Vec::new();
    for slot in slots {
        match module.token_info(slot) {
            Err(rv) => found.push(("token", Err(format!("slot {slot}: {rv}; the log says why")))),
            Ok(info) if info.flags & CKF_TOKEN_INITIALIZED == 0 => {}
            Ok(info) => {
                let label = text(&info.label);
                let state = match info.flags {
                    flags if flags & CKF_USER_PIN_LOCKED != 0 => {
                        Err("the user's PIN is locked: `coffer user change-password` as admin".into())
                    }
                    flags if flags & CKF_SO_PIN_LOCKED != 0 => {
                        Err("the SO's PIN is locked: `coffer token repair --unlock`".into())
                    }
                    flags if flags & CKF_USER_PIN_INITIALIZED == 0 => {
                        Ok("its user has no PIN yet".to_owned())
                    }
                    flags if flags & CKF_WRITE_PROTECTED != 0 => Ok("write protected".to_owned()),
                    _ => Ok("ready".to_owned()),
                };
                let named = |what: String| format!("{label:?} in slot {slot}: {what}");
                found.push((
                    "token",
                    state.map(named).map_err(|what: String| format!("{label:?} in slot {slot}: {what}")),
                ));
            }
        }
    }
    if found.is_empty() {
        found.push(("tokens", Ok("none yet: `coffer token init --label NAME`".into())));
    }
    found
}

/// What can be seen of the tokens' files without a PIN.
fn stores(context: &Context) -> Vec<(&'static str, Result<String, String>)> {
    let module = match operator::open(context) {
        Ok(module) => module,
        Err(why) => return vec![("store", Err(why))],
    };
    let mut found = Vec::new();
    for slot in module.slots().unwrap_or_default() {
        if module.token_info(slot).is_ok_and(|info| info.flags & CKF_TOKEN_INITIALIZED == 0) {
            continue;
        }
        let outcome = match module.token_details(slot) {
            Err(error) if error.rv() == Rv::DeviceMemory => {
                Err(format!("slot {slot}: {error}; it needs room"))
            }
            Err(error) => Err(format!("slot {slot}: {error}; `coffer token restore` brings a backup back")),
            Ok(details) if details.damaged.is_empty() => {
                let bytes = std::fs::metadata(&details.path).map_or(0, |meta| meta.len());
                Ok(format!(
                    "slot {slot}: {} objects, every checksum right; {bytes} bytes, format {} of {}",
                    details.objects, details.format.0, details.format.1
                ))
            }
            Ok(details) => Err(format!(
                "slot {slot}: {} damaged, the first: {}; `coffer token verify` names all",
                details.damaged.len(),
                details.damaged[0]
            )),
        };
        found.push(("store", outcome));
    }
    found
}

fn log(config: &Config) -> String {
    let level = config.log_level.as_deref().unwrap_or("warn");
    match (&config.log_to, &config.log_file) {
        (Some(kind), _) if *kind != Kind::File => format!("{level}, to {kind:?}").to_lowercase(),
        (_, Some(file)) => format!("{level}, to {}", file.display()),
        _ => format!("{level}, to standard error"),
    }
}

/// Which of its ways each kernel takes here.
fn kernels() -> String {
    kernel::ways().iter().map(|(what, way)| format!("{what}: {way}")).collect::<Vec<_>>().join(", ")
}

/// Where AWS-LC's generator gets its seed.
fn entropy() -> Finding {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let bits: Option<u32> = read("/proc/sys/kernel/random/entropy_avail").trim().parse().ok();
    let (state, detail) = match bits {
        None => (State::Note, "the kernel does not tell".to_owned()),
        // Kernels from 5.18 on say 256 once they are seeded and no less ever after.
        Some(bits) if bits < 128 => {
            (State::Note, format!("{bits} bits in the kernel's pool; keys wait for it"))
        }
        Some(bits) => (State::Good, format!("{bits} bits in the kernel's pool")),
    };
    let rdrand = read("/proc/cpuinfo").contains(" rdrand");
    let detail = if rdrand { detail + ", the processor's own beside it" } else { detail };
    Finding { what: "entropy", state, detail }
}

/// The features that kernels choose by.
fn processor() -> String {
    let all = format!("{:?}", cpu::features());
    let has = all.split([',', '{', '}']).filter_map(|field| field.trim().strip_suffix(": true"));
    let has: Vec<_> = has.collect();
    format!(
        "{}, {}",
        env::consts::ARCH,
        if has.is_empty() { "no features that kernels use".into() } else { has.join(" ") }
    )
}

/// Programs that find modules by p11-kit see Coffer only if it is registered there.
fn p11_kit() -> Finding {
    let (state, detail) = match Command::new("p11-kit").arg("list-modules").output() {
        Err(_) => (State::Note, "p11-kit is not installed".to_owned()),
        Ok(output) if String::from_utf8_lossy(&output.stdout).contains("coffer") => {
            match String::from_utf8_lossy(&output.stdout).matches("    model:").count() {
                0 => (State::Good, "Coffer is registered".into()),
                _ => (State::Good, "Coffer is registered, and its tokens are seen".into()),
            }
        }
        Ok(_) => (State::Note, "Coffer is not registered; `make install` does that".into()),
    };
    Finding { what: "p11-kit", state, detail }
}
