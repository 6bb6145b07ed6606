//! `coffer token backup` and `restore`.

use super::escrow::{self, Passphrase, hex};
use super::operator::{self, Operator, Who};
use crate::connection::Role;
use crate::context::Context;
use crate::moment;
use crate::output::{Outcome, Report, Told};
use crate::pin;
use clap::Args;
use coffer_pkcs11::error::Rv;
use coffer_pkcs11::log::Moment;
use coffer_pkcs11::token::{BackupInfo, backup_info};
use cryptoki_sys::*;
use serde_json::json;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

const SUFFIX: &str = ".backup";
const PART: &str = ".part";

/// Write the token as it is at one moment to one file, while others use and change it.
///
/// The file opens with the PIN of any user the token has, and with an escrow key if one is given. Into a directory it
/// goes as coffer-SERIAL-TIME.backup.
#[derive(Args)]
pub struct Backup {
    /// The file, which must not be there, or a directory.
    #[arg(long)]
    path: PathBuf,
    /// Keep this many backups of the token in the directory, and remove the older ones.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    keep: Option<u64>,
    /// Keep the token's backups of this many days in the directory, and remove the older ones. With --keep, what
    /// either keeps stays.
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u64).range(1..36_500))]
    keep_days: Option<u64>,
    /// Let the backup be opened with this escrow key too: the file of its public half. Only an SO can.
    #[arg(long, value_name = "FILE")]
    escrow_key: Option<PathBuf>,
    #[command(flatten)]
    who: Who,
}

impl Backup {
    pub fn run(mut self, context: &Context) -> Outcome {
        let rotates = self.keep.is_some() || self.keep_days.is_some();
        let directory = self.path.is_dir().then(|| self.path.clone());
        if rotates && directory.is_none() {
            return Err(format!(
                "--keep and --keep-days want a directory, and {} is none",
                self.path.display()
            ));
        }
        let key = self.escrow_key.as_deref().map(escrow::public).transpose()?;
        if key.is_some() && self.who.role.is_none() {
            self.who.role = Some(Role::Admin);
        }
        let operator = Operator::open(context)?;
        let session = operator.login(context, &self.who)?;
        let details = operator.module.token_details(operator.slot).map_err(|error| error.to_string())?;
        let path = match &directory {
            Some(directory) => directory.join(name(&details.serial, Moment::now())),
            None => self.path.clone(),
        };
        let mut bar = Told::new("backup");
        let mut tell = |done, total, _: Option<&str>| {
            bar.tell(done, total);
            Ok(())
        };
        let written = operator
            .module
            .session(session)
            .and_then(|session| session.backup_token(&path, key.as_deref(), &mut tell))
            .map_err(|error| match error.rv() {
                Rv::DeviceMemory => format!("the disk is full, and no backup was made ({error})"),
                Rv::UserNotLoggedIn => {
                    format!("with an escrow key an SO makes the backup: say --role admin ({error})")
                }
                _ => format!("no backup was made ({error})"),
            });
        drop(bar);
        written?;
        let removed = match &directory {
            Some(directory) if rotates => self.remove_old(directory, &details.serial, &path)?,
            _ => Vec::new(),
        };
        let bytes = fs::metadata(&path).map_or(0, |meta| meta.len());
        let mut text = format!("{:?} backed up to {}, {bytes} bytes\n", operator.label, path.display());
        for path in &removed {
            text += &format!("{} removed\n", path.display());
        }
        let json = json!({
            "path": path, "bytes": bytes, "token": operator.label, "serial": details.serial,
            "escrow-key": key.and_then(|key| coffer_pkcs11::storage::escrow::id(&key).ok()).map(|id| hex(&id)),
            "removed": removed,
        });
        Ok(Report { text, json })
    }

    /// Removes what neither rule keeps, among the backups of this very token that were written here by this command.
    /// The newest stays whatever the rules say, and so does the one just `made`, should a clock have gone back.
    fn remove_old(&self, directory: &Path, serial: &str, made: &Path) -> Result<Vec<PathBuf>, String> {
        let wrong = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
        let mut backups = Vec::new();
        for entry in fs::read_dir(directory).map_err(|error| wrong(directory, error))? {
            let path = entry.map_err(|error| wrong(directory, error))?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if let Some(part) = name.strip_prefix('.').and_then(|name| name.strip_suffix(PART)) {
                if written(part, serial).is_some() {
                    remove_abandoned(&path);
                }
            } else if let Some(time) = written(name, serial)
                && fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_file())
                && backup_info(&path).is_ok_and(|info| info.meta.serial() == serial)
            {
                backups.push((time, path));
            }
        }
        backups.sort_unstable();
        let now = Moment::now().millis();
        let mut removed = Vec::new();
        for (newer, (time, path)) in backups.into_iter().rev().enumerate() {
            let by_count = self.keep.is_some_and(|keep| (newer as u64) < keep);
            let by_age = self.keep_days.is_some_and(|days| now.saturating_sub(time) <= days * 86_400_000);
            if newer > 0 && path != made && !by_count && !by_age {
                fs::remove_file(&path).map_err(|error| wrong(&path, error))?;
                removed.push(path);
            }
        }
        Ok(removed)
    }
}

fn name(serial: &str, moment: Moment) -> String {
    format!("coffer-{serial}-{}{SUFFIX}", moment::in_a_name(moment))
}

/// When the backup with this name was made, if it is one of this token.
fn written(name: &str, serial: &str) -> Option<u64> {
    let rest = name.strip_prefix("coffer-")?.strip_prefix(serial)?.strip_prefix('-')?;
    moment::from_a_name(rest.strip_suffix(SUFFIX)?)
}

/// Removes what a backup that was killed left behind. One under way holds the file's lock; the hour is for one that
/// has not taken it yet.
fn remove_abandoned(path: &Path) {
    let old = |file: &File| {
        let age = file.metadata().and_then(|meta| meta.modified()).ok().and_then(|time| time.elapsed().ok());
        age.is_some_and(|age| age > Duration::from_secs(3_600))
    };
    if let Ok(file) = File::open(path)
        && old(&file)
        && file.try_lock().is_ok()
    {
        let _ = fs::remove_file(path);
    }
}

/// Make a token out of a backup, in a free slot: users, PINs and keys are what they were.
///
/// The PIN of any of its users opens the backup; or the escrow key it was made for, and then the founding SO gets a new
/// PIN, with which `coffer user change-password` sets those of the users.
#[derive(Args)]
pub struct Restore {
    /// The backup.
    #[arg(long)]
    path: PathBuf,
    /// The file of the escrow key's private half. The SO's new PIN is asked for, or comes from --so-pin-file or
    /// COFFER_SO_PIN.
    #[arg(long, value_name = "FILE")]
    escrow_key: Option<PathBuf>,
    #[command(flatten)]
    passphrase: Passphrase,
    #[command(flatten)]
    who: Who,
}

impl Restore {
    pub fn run(self, context: &Context) -> Outcome {
        let module = operator::open(context)?;
        let info = read(&self.path)?;
        let serial = info.meta.serial();
        let mut bar = None;
        let mut tell = |done, total, _: Option<&str>| {
            bar.get_or_insert_with(|| Told::new("restore")).tell(done, total);
            Ok(())
        };
        let restored = match &self.escrow_key {
            Some(key) => {
                if info.escrow.is_none() {
                    return Err(format!(
                        "{} was made without an escrow key; the PIN of one of its users opens it",
                        self.path.display()
                    ));
                }
                let seed = escrow::seed(key, &self.passphrase)?;
                let so_pin =
                    pin::obtain("new SO PIN", self.who.so.so_pin_file.as_deref(), "COFFER_SO_PIN", true)?;
                module.restore_token_by_escrow(&self.path, &seed, so_pin.as_bytes(), &mut tell)
            }
            None => {
                let known = |role, name: &str| {
                    let role = match role {
                        Role::Admin => coffer_pkcs11::storage::keyring::Role::So,
                        Role::CryptoUser => coffer_pkcs11::storage::keyring::Role::User,
                    };
                    info.users.iter().any(|(there, known)| *there == role && *known == name.to_lowercase())
                };
                let credentials = self.who.credentials(context, &known)?;
                let (user, name) = (credentials.user(), credentials.name.as_bytes());
                module.restore_token(&self.path, user, name, credentials.pin.as_bytes(), &mut tell)
            }
        };
        drop(bar);
        let slot = restored.map_err(|error| {
            let why = match error.rv() {
                Rv::PinIncorrect => "the PIN is not one that the token had when the backup was made",
                Rv::ArgumentsBad => "the escrow key is not the one it was made for",
                Rv::DeviceMemory => "the disk is full",
                Rv::SlotIdInvalid => "there is no free slot; `coffer token destroy` frees one",
                _ => "the backup cannot be used",
            };
            format!("{}: {why}; no token was made ({error})", self.path.display())
        })?;
        let twins = twins(&module, slot, &serial);
        let mut text = format!("token {:?} restored in slot {slot}, serial {serial}\n", info.meta.label);
        for twin in &twins {
            text += &format!("the token in slot {twin} is the same one: destroy either before both go on\n");
        }
        let json =
            json!({ "slot": slot, "label": info.meta.label, "serial": serial, "same-token-in-slots": twins });
        Ok(Report { text, json })
    }
}

/// What the file says of itself.
///
/// # Errors
/// A sentence that names the file.
pub fn read(path: &Path) -> Result<BackupInfo, String> {
    backup_info(path).map_err(|error| match error.rv() {
        Rv::TokenNotRecognized => format!("{}: {error}", path.display()),
        _ => error.to_string(),
    })
}

/// The other slots with the same token.
fn twins(module: &coffer_pkcs11::session::Module, slot: CK_SLOT_ID, serial: &str) -> Vec<CK_SLOT_ID> {
    let slots = module.slots().unwrap_or_default().into_iter();
    slots
        .filter(|other| *other != slot && module.token_info(*other).is_ok_and(|info| info.serial == serial))
        .collect()
}

/// Show what a backup says of itself without a PIN. Only restoring it proves any of that.
#[derive(Args)]
pub struct BackupShow {
    /// The backup.
    #[arg(long)]
    path: PathBuf,
}

impl BackupShow {
    pub fn run(self) -> Outcome {
        let info = read(&self.path)?;
        let users: Vec<_> = info
            .users
            .iter()
            .map(|(role, name)| {
                let so = *role == coffer_pkcs11::storage::keyring::Role::So;
                let name = if so && name.is_empty() { "admin" } else { name };
                json!({ "username": name, "role": if so { "admin" } else { "crypto-user" } })
            })
            .collect();
        Ok(Report::of(json!({
            "label": info.meta.label, "serial": info.meta.serial(),
            "mode": if info.meta.fips { "fips" } else { "non-fips" },
            "created": Moment::from_millis(info.meta.created * 1_000).to_string(),
            "revision": info.revision.0, "users": users, "escrow-key": info.escrow.map(|id| hex(&id)),
        })))
    }
}
