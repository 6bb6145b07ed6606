//! The care of a whole token: backup, restore, verification, destruction.

use super::slots::Slots;
use super::token::{Login, Token, UNSEEN};
use super::users::role;
use super::{User, pin};
use crate::error::{Error, Result, Rv};
use crate::mechanism::key;
use crate::object::Attributes;
use crate::storage::Revision;
use crate::storage::record::Stored;
use crate::storage::sealed::{Keys, restore};
use cryptoki_sys::*;
use std::fs::{self, File, OpenOptions};
use std::io::{BufReader, BufWriter, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What a long task tells on its way: how much is done, of how much, and what was found wrong. An error ends it.
pub type Notify<'a> = &'a mut dyn FnMut(usize, usize, Option<&str>) -> Result<()>;

/// What [`Token::verify`] saw.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// All there are.
    pub objects: usize,
    /// Those that opened for whoever is logged in, and were checked inside.
    pub opened: usize,
    /// What was wrong.
    pub faults: usize,
}

fn failed(path: &Path, error: std::io::Error) -> Error {
    let rv = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Rv::DeviceMemory,
        _ => Rv::DeviceError,
    };
    rv.because(format!("{}: {error}", path.display()))
}

impl Token {
    /// Writes a backup to a new file, readable by its owner only, while others use and change the token.
    ///
    /// # Errors
    /// CKR_USER_NOT_LOGGED_IN; CKR_DEVICE_ERROR if the file is there or cannot be written, or the token is not what
    /// was written; CKR_DEVICE_MEMORY if the disk is full. No file is left then.
    pub fn backup(&self, path: &Path) -> Result<()> {
        self.audited("backup", || path.display().to_string(), || self.write_backup(path))
    }

    fn write_backup(&self, path: &Path) -> Result<()> {
        let (_, keys) = self.logged_in()?;
        let opened = self.initialised()?;
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600).custom_flags(libc::O_NOFOLLOW);
        let file = options.open(path).map_err(|error| failed(path, error))?;
        let written = || {
            let mut out = BufWriter::new(&file);
            opened.sealed.backup(&keys, &mut out)?;
            out.flush().and_then(|()| file.sync_all()).map_err(|error| failed(path, error))?;
            let directory = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
            File::open(directory).and_then(|dir| dir.sync_all()).map_err(|error| failed(directory, error))
        };
        written().inspect_err(|_| {
            let _ = fs::remove_file(path);
        })
    }

    /// Who is logged in, and the keys: held without the lock, lest long work keeps others from logging out.
    fn logged_in(&self) -> Result<(User, Arc<Keys>)> {
        match &*self.login.read() {
            Some(Login { user, keys }) => Ok((*user, keys.clone())),
            None => fail!(UserNotLoggedIn),
        }
    }

    /// Checks every record's seal, and of every object that opens for whoever is logged in that its components fit
    /// each other: a private key its public part, a key its check value.
    ///
    /// # Errors
    /// CKR_USER_NOT_LOGGED_IN; those of `notify`. What is wrong with the token is told to it, and counted.
    pub fn verify(&self, notify: Notify<'_>) -> Result<Verdict> {
        let (user, keys) = self.logged_in()?;
        let keys = &*keys;
        let opened = self.initialised()?;
        let mut verdict = Verdict::default();
        let loaded = match opened.sealed.load(Revision(0), Some(keys)) {
            Ok(loaded) => loaded,
            Err(error) => {
                verdict.faults = 1;
                notify(0, 0, Some(&error.to_string()))?;
                return Ok(verdict);
            }
        };
        let total = loaded.stored.len();
        verdict.objects = total + loaded.refused.iter().filter(|(id, _)| id.is_some()).count();
        for (_, error) in &loaded.refused {
            verdict.faults += 1;
            notify(0, total, Some(&error.to_string()))?;
        }
        for (done, stored) in loaded.stored.iter().enumerate() {
            if !stored.private || (user == User::Normal && keys.open(stored)) {
                verdict.opened += 1;
                if let Err(error) = self.check(keys, stored) {
                    verdict.faults += 1;
                    let name: String = stored.id.iter().map(|byte| format!("{byte:02x}")).collect();
                    notify(done, total, Some(&error.within(format!("object {name}")).to_string()))?;
                }
            }
            notify(done + 1, total, None)?;
        }
        Ok(verdict)
    }

    fn check(&self, keys: &Keys, stored: &Stored) -> Result<()> {
        let sealed = &self.initialised()?.sealed;
        let mut all = Attributes::decode(sealed.open_attributes(keys, stored)?.expose())?;
        if stored.has_secrets() {
            all.extend(Attributes::decode(sealed.open_secrets(Some(keys), stored)?.expose())?);
        }
        let class = all.need_ulong(CKA_CLASS)?;
        if class != stored.class as CK_OBJECT_CLASS || all.is_true(CKA_PRIVATE) != stored.private {
            fail!(DeviceError, "CKA_CLASS or CKA_PRIVATE is another than the record's");
        }
        match all.ulong(CKA_KEY_TYPE) {
            Some(key_type) if [CKO_PUBLIC_KEY, CKO_PRIVATE_KEY, CKO_SECRET_KEY].contains(&class) => {
                (key::kind(class, key_type)?.complete)(&mut all)
            }
            _ => Ok(()),
        }
    }

    /// Destroys the token: its file and all that is in it.
    ///
    /// # Errors
    /// CKR_SESSION_EXISTS; CKR_PIN_INCORRECT, CKR_PIN_LOCKED of the founding SO's PIN.
    pub(super) fn destroy_token(&self, so_pin: &[u8]) -> Result<()> {
        let turn = self.sessions.turn();
        if !turn.none() {
            fail!(SessionExists, "a session with the token is open");
        }
        self.initialised()?.sealed.verify_pin(role(User::So), "", so_pin)?;
        self.record(None, "destroy token", pin::FOUNDER, "", None)?;
        self.place.destroy(self.slot as u64)?;
        self.supersede(None);
        let mut objects = self.objects.write();
        objects.remove_where(|_, _| true);
        objects.revision = Revision(0);
        self.seen.store(UNSEEN, Ordering::Release);
        self.revocations.fetch_add(1, Ordering::Release);
        Ok(())
    }
}

impl Slots {
    /// Makes a token out of a backup, in the lowest free slot, which is returned. Users, PINs and objects are what
    /// they were; the PIN, of any of the users, proves that the backup may be read.
    ///
    /// # Errors
    /// CKR_PIN_INCORRECT; CKR_TOKEN_NOT_RECOGNIZED if it is no backup; CKR_DEVICE_ERROR if it is damaged, forged or
    /// cut short, or cannot be read; CKR_SLOT_ID_INVALID if the profile has no free slot.
    pub(crate) fn restore(&self, path: &Path, user: User, name: &[u8], pin: &[u8]) -> Result<CK_SLOT_ID> {
        let name = pin::canonical(user, name)?;
        loop {
            let slot = self.free()?;
            let mut file = BufReader::new(File::open(path).map_err(|error| failed(path, error))?);
            let made = self
                .place()
                .create(slot as u64, |storage| restore(&mut file, role(user), &name, pin, storage).map(drop));
            match made {
                Ok(()) => return Ok(slot),
                // Another process was faster to take the slot, and there are more.
                Err(_) if self.place().path(slot as u64).exists() => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Destroys the token of a slot.
    ///
    /// # Errors
    /// CKR_SLOT_ID_INVALID, CKR_TOKEN_NOT_RECOGNIZED, CKR_SESSION_EXISTS, CKR_PIN_INCORRECT, CKR_PIN_LOCKED.
    pub(crate) fn destroy_token(&self, slot: CK_SLOT_ID, so_pin: &[u8]) -> Result<()> {
        self.token(slot)?.destroy_token(so_pin)
    }
}
