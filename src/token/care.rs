//! The care of a whole token: backup, restore, verification, destruction.

use super::slots::Slots;
use super::token::{Login, Token, UNSEEN};
use super::users::role;
use super::{User, pin};
use crate::crypto::Secret;
use crate::crypto::seal::KemPair;
use crate::error::{Error, Result, Rv};
use crate::mechanism::key;
use crate::object::Attributes;
use crate::storage::Revision;
pub use crate::storage::backup::Outside as BackupInfo;
use crate::storage::backup::{self, Tell};
use crate::storage::record::Stored;
use crate::storage::sealed::{Keys, restore, restore_by_escrow};
use crate::storage::sqlite::Sqlite;
use cryptoki_sys::*;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{BufReader, BufWriter, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
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

/// What a backup says of itself without a PIN; none of it is authenticated.
///
/// # Errors
/// CKR_TOKEN_NOT_RECOGNIZED if it is no backup; CKR_DEVICE_ERROR if it is damaged or cannot be read.
pub fn backup_info(path: &Path) -> Result<BackupInfo> {
    backup::outside(&mut open(path)?)
}

fn open(path: &Path) -> Result<BufReader<File>> {
    let file = File::open(path).map_err(|error| failed(path, error))?;
    // Of a pipe or a device no end can be told.
    match file.metadata().is_ok_and(|meta| meta.is_file()) {
        true => Ok(BufReader::new(file)),
        false => fail!(DeviceError, "{}: not a plain file", path.display()),
    }
}

fn failed(path: &Path, error: std::io::Error) -> Error {
    let rv = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Rv::DeviceMemory,
        _ => Rv::DeviceError,
    };
    rv.because(format!("{}: {error}", path.display()))
}

impl Token {
    /// Writes a backup to a new file, readable by its owner only, while others use and change the token. It opens with
    /// the PIN of any user the token has, and with the escrow key whose public half (ML-KEM-1024) is given, if one is.
    ///
    /// # Errors
    /// CKR_USER_NOT_LOGGED_IN, of an SO for an escrow key; CKR_PUBLIC_KEY_INVALID; CKR_DEVICE_ERROR if the file is there
    /// or cannot be written, or the token is not what was written; CKR_DEVICE_MEMORY if the disk is full; those of `notify`. No
    /// file is left then, and a process that is killed leaves at most one with the name `.NAME.part`.
    pub fn backup(&self, path: &Path, escrow: Option<&[u8]>, notify: Notify<'_>) -> Result<()> {
        let act = || self.write_backup(path, escrow, &mut |done, total| notify(done, total, None));
        self.audited("backup", || path.display().to_string(), act)
    }

    fn write_backup(&self, path: &Path, escrow: Option<&[u8]>, tell: Tell<'_>) -> Result<()> {
        let (_, keys) = self.logged_in()?;
        let opened = self.initialised()?;
        let there = |path: &Path| failed(path, ErrorKind::AlreadyExists.into());
        let Some(name) = path.file_name() else { fail!(DeviceError, "{}: no file's name", path.display()) };
        if fs::symlink_metadata(path).is_ok() {
            return Err(there(path));
        }
        // Until it is whole the file has another name. Whoever is killed leaves it for the next to write over.
        let part = path.with_file_name([OsStr::new("."), name, OsStr::new(".part")].join(OsStr::new("")));
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600).custom_flags(libc::O_NOFOLLOW);
        let file = options.open(&part).map_err(|error| failed(&part, error))?;
        // One that was finished between the two calls is no longer the part, and is not to be written over.
        let is_the_part = || {
            let (there, here) = (fs::symlink_metadata(&part), file.metadata());
            there.is_ok_and(|there| here.is_ok_and(|here| here.ino() == there.ino()))
        };
        if file.try_lock().is_err() || !is_the_part() {
            fail!(DeviceError, "{}: another backup is being written to it", path.display());
        }
        let mut written = || {
            file.set_len(0).map_err(|error| failed(&part, error))?;
            let mut out = BufWriter::new(&file);
            opened.sealed.backup(&keys, escrow, &mut out, tell)?;
            out.flush().and_then(|()| file.sync_all()).map_err(|error| failed(path, error))?;
            // Of two that write the same file at once one is too late. Not every file system has links.
            match fs::hard_link(&part, path) {
                Ok(()) => fs::remove_file(&part),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(error),
                Err(_) => fs::rename(&part, path),
            }
            .map_err(|error| failed(path, error))?;
            let directory = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
            File::open(directory).and_then(|dir| dir.sync_all()).map_err(|error| failed(directory, error))
        };
        written().inspect_err(|_| {
            let _ = fs::remove_file(&part);
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
                    let name = hex(&stored.id);
                    notify(done, total, Some(&error.within(format!("object {name}")).to_string()))?;
                }
            }
            notify(done + 1, total, None)?;
        }
        Ok(verdict)
    }

    fn check(&self, keys: &Keys, stored: &Stored) -> Result<()> {
        let sealed = &self.initialised()?.sealed;
        let mut all = Attributes::decode(&sealed.open_attributes(keys, stored)?)?;
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

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Slots {
    /// Makes a token out of a backup, in the lowest free slot, which is returned. Users, PINs and objects are what
    /// they were; the PIN, of any of the users, proves that the backup may be read.
    ///
    /// # Errors
    /// CKR_PIN_INCORRECT; CKR_TOKEN_NOT_RECOGNIZED if it is no backup; CKR_DEVICE_ERROR if it is damaged, forged or
    /// cut short, or cannot be read; CKR_SLOT_ID_INVALID if the profile has no free slot; those of `notify`.
    pub(crate) fn restore(
        &self,
        path: &Path,
        user: User,
        name: &[u8],
        pin: &[u8],
        notify: Notify<'_>,
    ) -> Result<CK_SLOT_ID> {
        let name = pin::canonical(user, name)?;
        let mut tell = |done, total| notify(done, total, None);
        self.fill(path, |file, storage| restore(file, role(user), &name, pin, storage, &mut tell).map(drop))
    }

    /// The same by the escrow key that `seed` makes; the founding SO gets the PIN `so_pin`.
    ///
    /// # Errors
    /// CKR_ARGUMENTS_BAD if the backup was not made for this escrow key; CKR_PIN_LEN_RANGE; those of
    /// [`Slots::restore`].
    pub(crate) fn restore_by_escrow(
        &self,
        path: &Path,
        seed: &Secret,
        so_pin: &[u8],
        notify: Notify<'_>,
    ) -> Result<CK_SLOT_ID> {
        let pair = KemPair::from_seed(seed)?;
        pin::check(so_pin, &self.token(self.free()?)?.policy())?;
        let mut tell = |done, total| notify(done, total, None);
        self.fill(path, |file, storage| restore_by_escrow(file, &pair, so_pin, storage, &mut tell).map(drop))
    }

    /// Makes a token in the lowest free slot of what `restore` takes from a file.
    fn fill(
        &self,
        path: &Path,
        mut restore: impl FnMut(&mut BufReader<File>, &Sqlite) -> Result<()>,
    ) -> Result<CK_SLOT_ID> {
        loop {
            let slot = self.free()?;
            let mut file = open(path)?;
            match self.place().create(slot as u64, |storage| restore(&mut file, storage)) {
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
