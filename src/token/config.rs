//! The configuration: one TOML file, every key optional.

use crate::error::{Result, Rv};
use crate::log::{self, Level};
use serde::Deserialize;
use std::env;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Whose behaviour the module shows (ARCHITECTURE.md, "Profiles").
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// PKCS#11 as written, every mechanism.
    #[default]
    Standard,
    /// What AWS CloudHSM's Client SDK 5 library does.
    CloudHsm,
}

/// How much beyond the standard is refused.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// What the standard refuses, and what is always unsafe.
    #[default]
    Spec,
    /// Also conflicting roles of a key, unauthenticated and weaker wrapping, short keys.
    Strict,
}

/// Which algorithms a token takes; decided when the token is made, for life.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// All.
    #[default]
    NonFips,
    /// What SP 800-131A still allows.
    Fips,
}

/// What is written to the audit log.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Audit {
    /// Nothing.
    #[default]
    Off,
    /// Logins, changes to users and to the token, and token objects made, changed, shared and destroyed.
    Management,
    /// Also every use of a key.
    All,
}

/// What the file says.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where the tokens are, a file each.
    pub token_dir: PathBuf,
    /// Whose behaviour the module shows.
    pub profile: Profile,
    /// How much is refused, at least: a token can be made strict for life.
    pub policy: Policy,
    /// The mode of tokens to be made.
    pub mode: Mode,
    /// What is written to the audit log.
    pub audit: Audit,
    /// Bytes from which on another file of the audit log is begun; 0: never.
    pub audit_file_size: u64,
    /// `error`, `warn`, `info`, `debug` or `trace`; `warn` unless said.
    pub log_level: Option<String>,
    /// Where the log goes: to `log_file` if that is named, else to standard error, unless said.
    pub log_to: Option<log::Kind>,
    /// The file of the log.
    pub log_file: Option<PathBuf>,
    /// Where syslog or the journal listen, if not where they usually do.
    pub log_socket: Option<PathBuf>,
    /// Whether the application lets the library start threads of its own: not what the file says, but C_Initialize.
    #[serde(skip)]
    pub may_start_threads: bool,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            token_dir: PathBuf::new(),
            profile: Profile::default(),
            policy: Policy::default(),
            mode: Mode::default(),
            audit: Audit::default(),
            audit_file_size: 64 << 20,
            log_level: None,
            log_to: None,
            log_file: None,
            log_socket: None,
            may_start_threads: false,
        }
    }
}

/// The file that the program itself names.
static NAMED: OnceLock<PathBuf> = OnceLock::new();

impl Config {
    /// Names the file for the whole process, whatever the environment says; the first call counts. For a program that
    /// links the library, before it initialises it.
    pub fn name(file: PathBuf) {
        let _ = NAMED.set(file);
    }

    /// Reads the file that `COFFER_CONF` names, else the user's, else the system's; no file at all is fine.
    ///
    /// # Errors
    /// CKR_GENERAL_ERROR, naming the file and the key, if a file is there and wrong, or is named and missing.
    pub fn load() -> Result<Config> {
        let mut config = match named() {
            Some(path) => Config::read(&path)?.ok_or_else(|| {
                Rv::GeneralError.because(format!("COFFER_CONF: {} does not exist", path.display()))
            })?,
            None => {
                let user = home("XDG_CONFIG_HOME", ".config").map(|dir| dir.join("coffer/coffer.toml"));
                let mut places = user.into_iter().chain([PathBuf::from("/etc/coffer/coffer.toml")]);
                places.find_map(|path| Config::read(&path).transpose()).transpose()?.unwrap_or_default()
            }
        };
        if config.token_dir.as_os_str().is_empty() {
            config.token_dir = home("XDG_DATA_HOME", ".local/share")
                .map(|dir| dir.join("coffer/tokens"))
                .ok_or_else(|| Rv::GeneralError.because("neither token_dir nor HOME is set"))?;
        }
        Ok(config)
    }

    /// Sets up the log as the file says.
    ///
    /// # Errors
    /// CKR_GENERAL_ERROR, naming the key or the file that is wrong.
    pub fn configure_log(&self) -> Result<()> {
        let level = self.log_level.as_deref().map_or(Ok(Level::Warn), str::parse)?;
        let kind = self.log_to.unwrap_or(match self.log_file {
            Some(_) => log::Kind::File,
            None => log::Kind::Stderr,
        });
        let path = match (kind, &self.log_file, &self.log_socket) {
            (log::Kind::File, None, _) => fail!(GeneralError, "log_to = \"file\" wants log_file as well"),
            (log::Kind::File, file, _) => file.as_deref(),
            (_, _, socket) => socket.as_deref(),
        };
        log::configure(level, kind, path)
    }

    /// `None` if there is no such file.
    fn read(path: &Path) -> Result<Option<Config>> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => fail!(GeneralError, "{}: {error}", path.display()),
        };
        match toml::from_str::<Config>(&text) {
            Ok(mut config) => {
                // A relative place is the file's neighbour, whatever directory the host runs in.
                let beside = path.parent().unwrap_or(Path::new("."));
                if !config.token_dir.as_os_str().is_empty() {
                    config.token_dir = beside.join(config.token_dir);
                }
                config.log_file = config.log_file.map(|file| beside.join(file));
                config.log_socket = config.log_socket.map(|file| beside.join(file));
                Ok(Some(config))
            }
            Err(error) => fail!(GeneralError, "{}: {}", path.display(), error.message()),
        }
    }
}

/// The file that the program or else `COFFER_CONF` names.
fn named() -> Option<PathBuf> {
    let variable = || env::var_os("COFFER_CONF").filter(|path| !path.is_empty()).map(PathBuf::from);
    NAMED.get().cloned().or_else(variable)
}

/// A directory of the XDG base directory specification.
fn home(variable: &str, below_home: &str) -> Option<PathBuf> {
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute(variable).or_else(|| absolute("HOME").map(|home| home.join(below_home)))
}
