//! A token of Coffer's own and who works on it: what PKCS#11 has no functions for goes to the library itself.

use crate::connection::{Role, pick, pin_variable, variable, with_unread};
use crate::context::Context;
use crate::pin;
use clap::{Args, ValueEnum};
use coffer_pkcs11::error::{Error, Rv};
use coffer_pkcs11::session::{Module, SessionHandle};
use coffer_pkcs11::token::{Config, User};
use cryptoki_sys::*;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use zeroize::Zeroizing;

/// Who logs in.
#[derive(Args, Clone, Default)]
pub struct Who {
    /// admin or crypto-user (else COFFER_ROLE, else crypto-user).
    #[arg(long, value_enum)]
    pub role: Option<Role>,
    /// The user's name, where the token has several.
    #[arg(long, value_name = "NAME")]
    pub username: Option<String>,
    #[command(flatten)]
    pub so: SoPin,
}

/// An SO, for what only one may do.
#[derive(Args, Clone, Default)]
pub struct SoPin {
    /// A file with the SO's PIN (else COFFER_SO_PIN, else a prompt).
    #[arg(long, value_name = "FILE")]
    pub so_pin_file: Option<PathBuf>,
}

impl SoPin {
    /// As [`Who`].
    pub fn who(self, username: Option<String>) -> Who {
        Who { role: Some(Role::Admin), username, so: self }
    }
}

/// A user's type, name and PIN.
pub struct Credentials {
    pub role: Role,
    pub name: String,
    pub pin: Zeroizing<String>,
}

impl Credentials {
    pub fn user(&self) -> User {
        user(self.role)
    }
}

pub fn user(role: Role) -> User {
    match role {
        Role::Admin => User::So,
        Role::CryptoUser => User::Normal,
    }
}

impl Who {
    /// The role that is meant.
    pub fn role(&self) -> Result<Role, String> {
        match (self.role, variable("ROLE")?) {
            (Some(role), _) => Ok(role),
            (None, None) => Ok(Role::CryptoUser),
            (None, Some(role)) => Role::from_str(&role, true)
                .map_err(|_| format!("the role {role:?} is not admin or crypto-user")),
        }
    }

    /// The PIN, from where it may come. `known` says whether there is a user of this name: then the PIN of the
    /// environment may be `name:password`.
    pub fn credentials(
        &self,
        context: &Context,
        known: &dyn Fn(Role, &str) -> bool,
    ) -> Result<Credentials, String> {
        let role = self.role()?;
        let named = self.username.as_deref().unwrap_or_default();
        let what = match (role, named) {
            (Role::Admin, "") => "SO PIN".into(),
            (Role::CryptoUser, "") => "user PIN".into(),
            (_, name) => format!("PIN of {name}"),
        };
        let given = match role {
            Role::Admin => self.so.so_pin_file.as_deref(),
            Role::CryptoUser => context.target.pin_file.as_deref(),
        };
        let so_variable = std::env::var_os("COFFER_SO_PIN").is_some();
        let variable = match (role, pin_variable()) {
            (Role::CryptoUser, Some(name)) => name,
            (Role::CryptoUser, None) => "COFFER_PIN",
            // Where the environment's role is admin, so is its PIN.
            (Role::Admin, Some(name)) if !so_variable && variable("ROLE")?.as_deref() == Some("admin") => {
                name
            }
            (Role::Admin, _) => "COFFER_SO_PIN",
        };
        let pin = pin::obtain(&what, given, variable, false)?;
        let (name, pin) = match pin.split_once(':') {
            Some((name, secret)) if named.is_empty() && known(role, name) => {
                (name.to_owned(), Zeroizing::new(secret.to_owned()))
            }
            _ => (named.to_owned(), pin),
        };
        Ok(Credentials { role, name, pin })
    }
}

/// A module of this process.
///
/// # Errors
/// A sentence; CKR_* of the configuration.
pub fn open(context: &Context) -> Result<Module, String> {
    if let Some(library) = &context.target.library {
        return Err(format!(
            "this command is for Coffer's own tokens, not for those of {}; leave --library and COFFER_LIBRARY out",
            library.display()
        ));
    }
    let opened = || -> Result<Module, Error> {
        let config = Config { may_start_threads: true, ..Config::load()? };
        config.configure_log()?;
        static HANDLES: AtomicU64 = AtomicU64::new(1);
        Module::new(config, &HANDLES)
    };
    opened().map_err(|error| format!("{error}; `coffer doctor` looks for the reason"))
}

/// One token.
pub struct Operator {
    pub module: Module,
    pub slot: CK_SLOT_ID,
    pub label: String,
}

impl Operator {
    /// The token that --token names, or the only one.
    ///
    /// # Errors
    /// A sentence that names the tokens there are.
    pub fn open(context: &Context) -> Result<Operator, String> {
        let module = open(context)?;
        let wanted = context.target.token.as_deref();
        let (mut tokens, mut unread) = (Vec::new(), Vec::new());
        for slot in module.slots().map_err(|error| error.to_string())? {
            match module.token_info(slot) {
                Ok(info) if info.flags & CKF_TOKEN_INITIALIZED != 0 => {
                    tokens.push((slot, info.label, info.serial));
                }
                Err(error) if wanted == Some(&slot.to_string()) => {
                    return Err(format!("slot {slot}: {error}"));
                }
                Err(error) => unread.push(format!("slot {slot}: {error}")),
                Ok(_) => {}
            }
        }
        let (slot, label) = pick(&tokens, wanted).map_err(|why| with_unread(why, &unread))?;
        Ok(Operator { module, slot, label })
    }

    /// Who logs in, and with which PIN.
    ///
    /// # Errors
    /// A sentence.
    pub fn credentials(&self, context: &Context, who: &Who) -> Result<Credentials, String> {
        let users = self.module.users(self.slot).unwrap_or_default();
        let known = |role, name: &str| {
            users.iter().any(|there| there.user == user(role) && there.name == name.to_lowercase())
        };
        who.credentials(context, &known)
    }

    /// Logs in: a session, which lasts as long as the module.
    ///
    /// # Errors
    /// A sentence that says what to do.
    pub fn login(&self, context: &Context, who: &Who) -> Result<SessionHandle, String> {
        let credentials = self.credentials(context, who)?;
        let flags = CKF_SERIAL_SESSION | CKF_RW_SESSION;
        let handle = self
            .module
            .open_session(self.slot, flags)
            .map_err(|error| format!("token {:?}: {error}", self.label))?;
        let outcome = self.module.session(handle).and_then(|session| {
            session.login(credentials.role.kind(), credentials.name.as_bytes(), credentials.pin.as_bytes())
        });
        outcome.map_err(|error| self.refused(&credentials, &error))?;
        Ok(handle)
    }

    /// Why a login did not succeed, and what to do.
    pub fn refused(&self, credentials: &Credentials, error: &Error) -> String {
        let next = match (error.rv(), credentials.role) {
            (Rv::PinIncorrect, _) => "the PIN is wrong; a few more wrong ones lock it",
            (Rv::PinLocked, Role::Admin) => {
                "the PIN is locked after too many wrong ones; `coffer token repair --unlock` gives the tries back"
            }
            (Rv::PinLocked, Role::CryptoUser) => {
                "the PIN is locked after too many wrong ones; an SO can set a new one (coffer user change-password)"
            }
            (Rv::UserPinNotInitialized, _) => "there is no such PIN yet; an SO sets the first one",
            (Rv::DeviceError, _) => {
                "its records are not those that were written; `coffer token repair` shows what is left"
            }
            _ => "nothing was done",
        };
        format!("login to token {:?}: {next} ({error})", self.label)
    }
}

/// Has a person type a word before something is done that cannot be undone.
///
/// # Errors
/// A sentence, unless the word was typed or `yes` was said on the command line.
pub fn confirm(yes: bool, warning: &str, word: &str) -> Result<(), String> {
    if yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        return Err(format!("{warning}: say --yes if that is meant"));
    }
    eprint!("{warning}.\nType {word:?} to go on: ");
    let mut typed = String::new();
    let read = io::stderr().flush().and_then(|()| io::stdin().read_line(&mut typed));
    match read {
        Ok(_) if typed.trim() == word => Ok(()),
        Ok(_) => Err("nothing was done".into()),
        Err(error) => Err(format!("reading the answer: {error}")),
    }
}
