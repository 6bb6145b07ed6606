//! A token of any PKCS#11 module: found, and logged in to.

use crate::pin;
use clap::{Args, ValueEnum};
use pkcs11_client::cryptoki_sys::*;
use pkcs11_client::{Module, Rv, Session, text};
use std::env;
use std::path::{Path, PathBuf};

/// Which module, which of its tokens, and who asks.
#[derive(Args, Clone, Default)]
pub struct Target {
    /// The PKCS#11 module's shared library; Coffer's own unless given.
    #[arg(long, global = true, env = "COFFER_LIBRARY", value_name = "FILE", help_heading = "Token")]
    pub library: Option<PathBuf>,
    /// What the module's C_Initialize is given, for one that wants it: NSS's "configdir='sql:DIR' ...".
    #[arg(long, global = true, env = "COFFER_INIT_ARGS", value_name = "TEXT", help_heading = "Token")]
    pub init_args: Option<String>,
    /// Coffer's configuration (else COFFER_CONF, and so on); other modules have their own.
    #[arg(long, global = true, value_name = "FILE", help_heading = "Token")]
    pub config: Option<PathBuf>,
    /// The token, by its label, serial number or slot; the only one there is unless given.
    #[arg(
        long,
        global = true,
        visible_alias = "cluster-id",
        env = "COFFER_TOKEN",
        value_name = "NAME",
        help_heading = "Token"
    )]
    pub token: Option<String>,
    /// A file with the PIN (else COFFER_PIN or CLOUDHSM_PIN, else a prompt).
    #[arg(long, global = true, value_name = "FILE", help_heading = "Token")]
    pub pin_file: Option<PathBuf>,
}

/// Who logs in: CloudHSM's words for the standard's security officer and user.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Role {
    /// The security officer.
    Admin,
    /// The user, who owns keys.
    CryptoUser,
}

impl Role {
    /// The standard's number.
    pub fn kind(self) -> CK_USER_TYPE {
        match self {
            Role::Admin => CKU_SO,
            Role::CryptoUser => CKU_USER,
        }
    }

    /// As CloudHSM writes it.
    pub fn name(self) -> &'static str {
        match self {
            Role::Admin => "admin",
            Role::CryptoUser => "crypto-user",
        }
    }
}

/// A session with a token, and who is logged in.
pub struct Connection {
    /// The module.
    pub module: Module,
    /// The token's slot.
    pub slot: CK_SLOT_ID,
    /// The token's label.
    pub label: String,
    /// A session; closed when the connection goes, with all its session keys.
    pub session: Session,
    /// The user's name (empty if the token knows only one) and role.
    pub user: Option<(String, Role)>,
    mechanisms: Vec<CK_MECHANISM_TYPE>,
}

impl Connection {
    /// Loads and initialises the module and opens a session, logged in to by nobody.
    ///
    /// # Errors
    /// A sentence for the user.
    pub fn open(target: &Target) -> Result<Connection, String> {
        let module = load(target.library.as_deref(), target.init_args.as_deref())?;
        let (slot, label) = choose(module, target.token.as_deref())?;
        let mechanisms = module.mechanisms(slot).map_err(|rv| format!("C_GetMechanismList: {rv}"))?;
        // A write-protected token has read-only sessions, and listing needs no more.
        let session = match module.open_session(slot, true) {
            Err(rv) if rv == CKR_TOKEN_WRITE_PROTECTED => module.open_session(slot, false),
            session => session,
        };
        let session = session.map_err(|rv| format!("C_OpenSession on token {label:?}: {rv}"))?;
        Ok(Connection { module, slot, label, session, user: None, mechanisms })
    }

    /// A session beside this one, for a thread of its own. A login holds for all sessions of an application (section
    /// 5.6), so this one has it and does not end it.
    ///
    /// # Errors
    /// A sentence for the user.
    pub fn beside(&self) -> Result<Connection, String> {
        let session = self.module.open_session(self.slot, true);
        let session = session.map_err(|rv| format!("C_OpenSession on token {:?}: {rv}", self.label))?;
        let (label, mechanisms) = (self.label.clone(), self.mechanisms.clone());
        Ok(Connection { module: self.module, slot: self.slot, label, session, user: None, mechanisms })
    }

    /// [`open`](Connection::open), then logs in as the environment or the prompt says. A PIN in the variable `own`
    /// is this token's alone.
    pub fn open_logged_in(target: &Target, own: Option<&str>) -> Result<Connection, String> {
        let mut connection = Connection::open(target)?;
        let role = match variable("ROLE")? {
            None => Role::CryptoUser,
            Some(role) => Role::from_str(&role, true)
                .map_err(|_| format!("the role {role:?} is not admin or crypto-user"))?,
        };
        let what = if role == Role::Admin { "SO PIN" } else { "user PIN" };
        let what = &format!("{what} of token {:?}", connection.label);
        let pin = match pin_variable() {
            _ if own.is_some_and(|own| env::var_os(own).is_some()) => {
                pin::obtain(what, None, own.unwrap_or_default(), false)?
            }
            Some(name) if target.pin_file.is_none() => pin::obtain(what, None, name, false)?,
            _ => pin::obtain(what, target.pin_file.as_deref(), "COFFER_PIN", false)?,
        };
        connection.login(role, "", &pin)?;
        Ok(connection)
    }

    /// Logs in the user whose PIN is in the file, the variable, or asked for.
    ///
    /// # Errors
    /// A sentence for the user.
    pub fn login_as_user(&mut self, file: Option<&Path>, variable: &str) -> Result<(), String> {
        let pin = pin::obtain(&format!("PIN of token {:?}", self.label), file, variable, false)?;
        self.login(Role::CryptoUser, "", &pin)
    }

    /// Logs in. With a `name` by C_LoginUser, or where the module has no such function as `name:secret`; without
    /// one, `secret` is whatever the module takes as PIN, and `name:password` where it has a user of that name.
    ///
    /// # Errors
    /// A sentence for the user.
    pub fn login(&mut self, role: Role, name: &str, secret: &str) -> Result<(), String> {
        let kind = role.kind();
        let (name, secret) = match secret.split_once(':') {
            Some((user, password)) if name.is_empty() && self.has_user(kind, user) => (user, password),
            _ => (name, secret),
        };
        let session = &self.session;
        let outcome = match (role, name) {
            // He who founded the token, and the user without a name.
            (Role::Admin, "" | "admin") | (Role::CryptoUser, "") => session.login(kind, secret),
            (_, name) => match session.login_user(kind, name, secret) {
                Err(rv) if [Rv::ABSENT, Rv(CKR_FUNCTION_NOT_SUPPORTED)].contains(&rv) => {
                    session.login(kind, &format!("{name}:{secret}"))
                }
                outcome => outcome,
            },
        };
        outcome.map_err(|rv| self.login_refused(rv))?;
        let shown = match (name, secret.split_once(':')) {
            ("", Some((name, _))) => name.to_lowercase(),
            _ => name.to_lowercase(),
        };
        let told = self.session.who_is_logged_in().map(|user| user.name());
        self.user = Some((told.unwrap_or(shown), role));
        Ok(())
    }

    /// Whether Coffer's own interface lists such a user.
    pub fn has_user(&self, kind: CK_USER_TYPE, name: &str) -> bool {
        let users = self.session.users().unwrap_or_default();
        users.iter().any(|user| user.kind == kind && user.name() == name.to_lowercase())
    }

    fn login_refused(&self, rv: Rv) -> String {
        let token = &self.label;
        let why = match rv.0 {
            CKR_PIN_INCORRECT => "the PIN is wrong; a few more wrong ones lock it",
            CKR_PIN_LOCKED => {
                "the PIN is locked after too many wrong ones; the security officer can set a new one"
            }
            CKR_USER_PIN_NOT_INITIALIZED => {
                "the user has no PIN yet; the security officer sets the first one"
            }
            CKR_PIN_INVALID | CKR_PIN_LEN_RANGE => {
                "not the form of a PIN; a token of the cloudhsm profile takes user:password"
            }
            CKR_USER_ALREADY_LOGGED_IN | CKR_USER_ANOTHER_ALREADY_LOGGED_IN => {
                "someone is logged in: logout first"
            }
            CKR_DEVICE_MEMORY => "the disk is full, and a login is counted on it",
            _ => "the token refuses",
        };
        format!("login to token {token:?}: {why} ({rv})")
    }

    /// The first of the mechanisms that the token offers.
    ///
    /// # Errors
    /// A sentence for the user, with `what` was wanted.
    pub fn offered(&self, what: &str, candidates: &[CK_MECHANISM_TYPE]) -> Result<CK_MECHANISM_TYPE, String> {
        let found = candidates.iter().copied().find(|candidate| self.offers(*candidate));
        found.ok_or_else(|| format!("the token {:?} has no mechanism for {what}", self.label))
    }

    /// Whether C_GetMechanismList has it.
    pub fn offers(&self, mechanism: CK_MECHANISM_TYPE) -> bool {
        self.mechanisms.contains(&mechanism)
    }

    /// The user's name for people and for JSON: "user" where the token knows only one.
    pub fn username(&self) -> &str {
        match &self.user {
            Some((name, _)) if !name.is_empty() => name,
            Some((_, Role::Admin)) => "admin",
            _ => "user",
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // Sessions of a finalised module are gone; another connection of this process may still use it.
        if self.user.is_some() {
            let _ = self.session.logout();
        }
    }
}

/// Loads and initialises a module, with that text behind pReserved if one is given; one that is running already is fine.
pub fn load(library: Option<&Path>, init_args: Option<&str>) -> Result<Module, String> {
    let (module, name) = match library {
        None => {
            let (list, interface) = coffer_pkcs11::abi::linked();
            (Module::linked(list, interface), "coffer".into())
        }
        Some(path) => {
            // The linker's reason has the name already, as a rule.
            let shown = path.display().to_string();
            let named = |why: String| if why.starts_with(&shown) { why } else { format!("{shown}: {why}") };
            let module = Module::load(path).map_err(named)?;
            (module, path.display().to_string())
        }
    };
    match init_args.map_or_else(|| module.init(), |text| module.init_with_text(text)) {
        Ok(()) => Ok(module),
        Err(rv) if rv == CKR_CRYPTOKI_ALREADY_INITIALIZED => Ok(module),
        Err(rv) => Err(format!("{name}: C_Initialize: {rv}; `coffer doctor` looks for the reason")),
    }
}

/// The slot and label of the token of that name, or of the only one.
fn choose(module: Module, wanted: Option<&str>) -> Result<(CK_SLOT_ID, String), String> {
    let (mut tokens, mut unread) = (Vec::new(), Vec::new());
    for slot in module.slots(true).map_err(|rv| format!("C_GetSlotList: {rv}"))? {
        match module.token_info(slot) {
            Ok(info) if info.flags & CKF_TOKEN_INITIALIZED != 0 => {
                tokens.push((slot, text(&info.label), text(&info.serialNumber)));
            }
            // Named, it gives its reason; otherwise the others may be meant.
            Err(rv) if wanted == Some(&slot.to_string()) => return Err(told(slot, rv)),
            Err(rv) => unread.push(told(slot, rv)),
            Ok(_) => {}
        }
    }
    pick(&tokens, wanted).map_err(|why| with_unread(why, &unread))
}

fn told(slot: CK_SLOT_ID, rv: Rv) -> String {
    match rv.0 {
        CKR_DEVICE_MEMORY => format!("slot {slot}: the disk is full ({rv})"),
        _ => format!("slot {slot}: {rv}"),
    }
}

/// Why no token was found, with the slots that do not tell what they hold.
pub fn with_unread(why: String, unread: &[String]) -> String {
    if unread.is_empty() { why } else { format!("{why}; not readable: {}", unread.join("; ")) }
}

/// The slot and label, of those with their serial numbers, that this name means.
pub fn pick(
    tokens: &[(CK_SLOT_ID, String, String)],
    wanted: Option<&str>,
) -> Result<(CK_SLOT_ID, String), String> {
    let all = tokens.iter().map(|(slot, label, _)| format!("{label:?} in slot {slot}")).collect::<Vec<_>>();
    if let Some(wanted) = wanted {
        let bare = wanted.strip_prefix("cluster-").unwrap_or(wanted);
        // A label may look like a slot's number; then the label is meant.
        for is in [0, 1, 2] {
            let matches = |(slot, label, serial): &&(CK_SLOT_ID, String, String)| {
                let slot = slot.to_string();
                let field = [label, serial, &slot][is];
                field == wanted || field == bare
            };
            match &tokens.iter().filter(matches).collect::<Vec<_>>()[..] {
                [] => {}
                [(slot, label, _)] => return Ok((*slot, label.clone())),
                _ => {
                    return Err(format!(
                        "several tokens are called {wanted:?}; say --token SLOT: {}",
                        all.join(", ")
                    ));
                }
            }
        }
        return Err(match &all[..] {
            [] => format!("there is no token {wanted:?}, nor any other"),
            all => format!("there is no token {wanted:?}; there are: {}", all.join(", ")),
        });
    }
    match tokens {
        [] => Err("there is no token; `coffer token init --label NAME` makes one".into()),
        [(slot, label, _)] => Ok((*slot, label.clone())),
        _ => Err(format!("which token? say --token NAME: {}", all.join(", "))),
    }
}

/// COFFER_name, else CLOUDHSM_name.
pub fn variable(name: &str) -> Result<Option<String>, String> {
    for name in [format!("COFFER_{name}"), format!("CLOUDHSM_{name}")] {
        match env::var(&name) {
            Ok(value) => return Ok(Some(value)),
            Err(env::VarError::NotPresent) => {}
            Err(env::VarError::NotUnicode(_)) => return Err(format!("{name} is not UTF-8")),
        }
    }
    Ok(None)
}

/// Which of the two variables holds a PIN.
pub fn pin_variable() -> Option<&'static str> {
    ["COFFER_PIN", "CLOUDHSM_PIN"].into_iter().find(|name| env::var_os(name).is_some())
}
