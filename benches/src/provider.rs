//! Loading a module of any make, and giving it a fresh token with a user logged in.

use crate::desk::Desk;
use cryptoki_sys::*;
use pkcs11_conformance::client::{Module, Session};
use std::path::{Path, PathBuf};
use std::{env, ffi::CString, fs};

const SO_PIN: &str = "87654321";
const CHANGED_SO_PIN: &str = "76543210";
const USER_PIN: &str = "12345678";
const LABEL: &str = "bench";

/// What sets a module up; told by the library's file name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Make {
    /// A configuration file that names the directory of tokens.
    Coffer,
    /// The same.
    SoftHsm,
    /// An SQLite file a token, named in the configuration.
    Kryoptic,
    /// A directory named in the argument of C_Initialize.
    Nss,
    /// A daemon that runs already; the soft token is in slot 0 of its configuration.
    OpenCryptoki,
    /// Whatever the environment says; the first slot that has no token yet gets one.
    Other,
}

/// A module by its path, and where its tokens are.
#[derive(Clone, Debug)]
pub struct Provider {
    /// For tables.
    pub name: String,
    /// Of the shared library.
    pub path: PathBuf,
    /// How it is set up.
    pub make: Make,
    /// A directory of its own.
    pub home: PathBuf,
}

impl Provider {
    /// A module whose tokens shall live below `place`.
    pub fn new(path: &Path, place: &Path) -> Provider {
        let file = path.file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
        let makes = [
            ("coffer", "Coffer", Make::Coffer),
            ("softhsm", "SoftHSM2", Make::SoftHsm),
            ("kryoptic", "kryoptic", Make::Kryoptic),
            ("softokn", "NSS", Make::Nss),
            ("cryptoki", "openCryptoki", Make::OpenCryptoki),
        ];
        let found = makes.iter().find(|(part, ..)| file.contains(part));
        let (name, make) = match found {
            Some((_, name, make)) => (name.to_string(), *make),
            None => (file, Make::Other),
        };
        Provider { home: place.join(&name), name, path: path.into(), make }
    }

    /// Loads the module, initialises it and, the first time in this `home`, makes its token.
    ///
    /// # Errors
    /// A sentence that says which step failed.
    pub fn start(&self) -> Result<Desk, String> {
        let fresh = !self.home.exists();
        fs::create_dir_all(&self.home).map_err(|error| format!("{}: {error}", self.home.display()))?;
        self.configure(fresh)?;
        let module = Module::load(&self.path)?;
        self.initialize(module).map_err(|rv| format!("C_Initialize: {rv}"))?;
        if fresh {
            self.make_token(module)?;
        }
        let session = self.open(module)?;
        self.log_in(&session)?;
        Ok(Desk::new(session))
    }

    /// C_Initialize, with the argument that the make wants.
    pub fn initialize(&self, module: Module) -> pkcs11_conformance::client::Result<()> {
        if self.make != Make::Nss {
            return module.init();
        }
        let line =
            format!("configdir='sql:{}' certPrefix='' keyPrefix='' secmod='secmod.db'", self.home.display());
        let line = CString::new(line).expect("no NUL in a path").into_raw();
        let mut args = CK_C_INITIALIZE_ARGS { flags: CKF_OS_LOCKING_OK, ..Default::default() };
        args.pReserved = line.cast();
        module.init_with(&mut args)
    }

    /// C_Login as user, once a process.
    pub fn log_in(&self, session: &Session) -> Result<(), String> {
        session.login(CKU_USER, USER_PIN).map_err(|rv| format!("C_Login: {rv}"))
    }

    /// A read/write session.
    pub fn open(&self, module: Module) -> Result<Session, String> {
        module.open_session(self.slot(module)?, true).map_err(|rv| format!("C_OpenSession: {rv}"))
    }

    fn slot(&self, module: Module) -> Result<CK_SLOT_ID, String> {
        match self.make {
            Make::Nss => Ok(2),
            _ => module.slot_by_label(LABEL).ok_or_else(|| "no slot holds the token".into()),
        }
    }

    /// Writes the configuration and names it in the environment, where the make reads it.
    pub fn configure(&self, fresh: bool) -> Result<(), String> {
        let home = self.home.display();
        let (variable, text) = match self.make {
            Make::Coffer => {
                ("COFFER_CONF", format!("token_dir = \"{home}/tokens\"\nlog_file = \"{home}/log\"\n"))
            }
            Make::SoftHsm => {
                let tokens = self.home.join("tokens");
                fs::create_dir_all(&tokens).map_err(|error| error.to_string())?;
                let text = format!(
                    "directories.tokendir = {home}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n"
                );
                ("SOFTHSM2_CONF", text)
            }
            Make::Kryoptic => {
                let row = "[[slots]]\nslot = 0\ndbtype = \"sqlite\"\n";
                ("KRYOPTIC_CONF", format!("{row}dbargs = \"{home}/token.sql\"\n"))
            }
            Make::Nss | Make::OpenCryptoki | Make::Other => return Ok(()),
        };
        let file = self.home.join("configuration");
        if fresh {
            fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))?;
        }
        // SAFETY: modules are started one after another, before the program has other threads.
        unsafe { env::set_var(variable, file) };
        Ok(())
    }

    fn make_token(&self, module: Module) -> Result<(), String> {
        let say = |step: &'static str| move |rv| format!("{step}: {rv}");
        if self.make == Make::Nss {
            // An empty SO PIN until the first password is set, and no C_InitToken.
            let session = module.open_session(2, true).map_err(say("C_OpenSession"))?;
            session.login(CKU_SO, "").map_err(say("C_Login as SO"))?;
            session.init_pin(USER_PIN).map_err(say("C_InitPIN"))?;
            return session.logout().map_err(say("C_Logout"));
        }
        // openCryptoki's tokens are the system's: one that holds anything else than our own is left alone.
        let system = self.make == Make::OpenCryptoki;
        if system && module.slot_by_label(LABEL).is_some() {
            return self.empty(module);
        }
        let slots = module.slots(system).map_err(say("C_GetSlotList"))?;
        let empty = |&slot: &CK_SLOT_ID| {
            module.token_info(slot).map_or(true, |info| info.flags & CKF_TOKEN_INITIALIZED == 0)
        };
        let slot = slots.into_iter().find(empty).ok_or("no slot without a token")?;
        module.init_token(slot, SO_PIN, LABEL).map_err(say("C_InitToken"))?;
        let slot = module.slot_by_label(LABEL).ok_or("the new token is in no slot")?;
        let session = module.open_session(slot, true).map_err(say("C_OpenSession"))?;
        session.login(CKU_SO, SO_PIN).map_err(say("C_Login as SO"))?;
        if system {
            // It wants the SO PIN changed from its default before anything else.
            session.set_pin(SO_PIN, CHANGED_SO_PIN).map_err(say("C_SetPIN"))?;
        }
        session.init_pin(USER_PIN).map_err(say("C_InitPIN"))?;
        session.logout().map_err(say("C_Logout"))
    }

    /// Destroys what an earlier run has left in the token.
    fn empty(&self, module: Module) -> Result<(), String> {
        let session = self.open(module)?;
        self.log_in(&session)?;
        let left = session.find(&[]).map_err(|rv| format!("C_FindObjects: {rv}"))?;
        left.into_iter()
            .try_for_each(|object| session.destroy(object))
            .map_err(|rv| format!("C_DestroyObject: {rv}"))?;
        session.logout().map_err(|rv| format!("C_Logout: {rv}"))
    }
}
