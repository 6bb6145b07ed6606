//! Where token files are, and who may touch them.
//!
//! A directory of the user's own, mode 0700, holds `<slot number>.coffer` and beside it what SQLite and
//! [`super::sqlite`] need (`-wal`, `-shm`, `.stamp`), all of mode 0600. Everything that another user could
//! have put there or could swap is refused by name.

use super::sqlite::{Sqlite, sibling, system};
use crate::error::{Error, Result, Rv};
use crate::kernel::shared::effective_user;
use std::fs::{self, DirBuilder, File, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

const SUFFIX: &str = ".coffer";
const COMPANIONS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// The file with the stamp of the token at `path`.
pub(super) fn stamp_path(path: &Path) -> PathBuf {
    path.with_extension("stamp")
}

/// A token directory that was found safe.
#[derive(Clone, Debug)]
pub struct Place(PathBuf);

impl Place {
    /// The directory at `path`, made (mode 0700) if it is not there.
    ///
    /// # Errors
    /// CKR_DEVICE_ERROR naming what is unsafe about it: a symlink, another owner, group or others that may
    /// write to it or to a directory above it that is not sticky and root's.
    pub fn open(path: &Path) -> Result<Place> {
        if fs::symlink_metadata(path).is_err_and(|error| error.kind() == ErrorKind::NotFound) {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
            // The umask may have taken more than it should.
            made.and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(0o700)))
                .map_err(|error| system(path, error))?;
        }
        let meta = fs::symlink_metadata(path).map_err(|error| system(path, error))?;
        if !meta.is_dir() {
            return Err(unsafe_place(path, "not a directory itself"));
        }
        own(path, &meta)?;
        // No path of SQLite's may go through a link.
        let path = path.canonicalize().map_err(|error| system(path, error))?;
        for above in path.ancestors().skip(1) {
            let meta = fs::symlink_metadata(above).map_err(|error| system(above, error))?;
            let sticky = meta.mode() & 0o1000 != 0 && meta.uid() == 0;
            if meta.mode() & 0o022 != 0 && !sticky {
                return Err(unsafe_place(
                    above,
                    "group or others can write to it, so they can swap the token directory",
                ));
            }
        }
        Ok(Place(path))
    }

    /// The directory itself.
    pub fn directory(&self) -> &Path {
        &self.0
    }

    /// The file of a slot's token, whether it is there or not.
    pub fn path(&self, slot: u64) -> PathBuf {
        self.0.join(format!("{slot}{SUFFIX}"))
    }

    /// The numbers of the slots with a token, ascending.
    pub fn list(&self) -> Result<Vec<u64>> {
        let mut slots = Vec::new();
        for entry in fs::read_dir(&self.0).map_err(|error| system(&self.0, error))? {
            let name = entry.map_err(|error| system(&self.0, error))?.file_name();
            // Only the canonical spelling: 07.coffer is no token.
            let slot = name.to_str().and_then(|name| name.strip_suffix(SUFFIX)?.parse::<u64>().ok());
            slots.extend(slot.filter(|slot| name.to_str() == Some(&format!("{slot}{SUFFIX}"))));
        }
        slots.sort_unstable();
        Ok(slots)
    }

    /// Opens the token of `slot`.
    ///
    /// # Errors
    /// CKR_TOKEN_NOT_PRESENT if there is none, CKR_DEVICE_ERROR naming what is unsafe about one of its
    /// files, and those of [`Sqlite::open`].
    pub fn token(&self, slot: u64) -> Result<Sqlite> {
        let path = self.path(slot);
        if !file_is_safe(&path)? {
            fail!(TokenNotPresent, "{}: no such file", path.display());
        }
        for suffix in COMPANIONS {
            file_is_safe(&sibling(&path, suffix))?;
        }
        file_is_safe(&stamp_path(&path))?;
        Sqlite::open(&path)
    }

    /// Makes the token of `slot` from what `fill` writes; at no instant is there a half-made one.
    ///
    /// # Errors
    /// CKR_DEVICE_ERROR if there is one already; whatever `fill` fails with.
    pub fn create(&self, slot: u64, fill: impl FnOnce(&Sqlite) -> Result<()>) -> Result<()> {
        let path = self.path(slot);
        let failed = |error| system(&path, error);
        // Held until the end: of all who create here at once, one at a time.
        let directory = File::open(&self.0).map_err(failed)?;
        directory.lock().map_err(failed)?;
        if fs::symlink_metadata(&path).is_ok() {
            fail!(DeviceError, "{}: exists already", path.display());
        }
        let new = self.0.join(format!(".{slot}.new"));
        let discard = || {
            remove(&new)?;
            COMPANIONS.iter().try_for_each(|suffix| remove(&sibling(&new, suffix)))
        };
        // Of a process that died here.
        discard().map_err(failed)?;
        let filled = Sqlite::create(&new).and_then(|token| {
            fill(&token)?;
            token.close()
        });
        let moved = filled.and_then(|()| {
            File::open(&new).and_then(|file| file.sync_all()).map_err(failed)?;
            // What is left of a token that was here before must not become this one's.
            for suffix in COMPANIONS {
                remove(&sibling(&path, suffix)).map_err(failed)?;
            }
            fs::rename(&new, &path).and_then(|()| directory.sync_all()).map_err(failed)
        });
        moved.inspect_err(|_| {
            let _ = discard();
        })
    }

    /// Removes the token of `slot` for ever. Whoever has it open gets CKR_DEVICE_REMOVED.
    pub fn destroy(&self, slot: u64) -> Result<()> {
        let path = self.path(slot);
        let failed = |error| system(&path, error);
        let directory = File::open(&self.0).map_err(failed)?;
        directory.lock().map_err(failed)?;
        // A token too damaged to open can be removed all the same.
        if let Ok(token) = self.token(slot) {
            token.destroyed();
        }
        remove(&path).and_then(|()| directory.sync_all()).map_err(failed)?;
        for suffix in COMPANIONS {
            remove(&sibling(&path, suffix)).map_err(failed)?;
        }
        remove(&stamp_path(&path)).and_then(|()| directory.sync_all()).map_err(failed)
    }
}

/// Whether the file is there; an error if it is there and not safe.
fn file_is_safe(path: &Path) -> Result<bool> {
    let meta = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        outcome => outcome.map_err(|error| system(path, error))?,
    };
    if !meta.is_file() {
        return Err(unsafe_place(path, "not a plain file"));
    }
    if meta.nlink() != 1 {
        return Err(unsafe_place(path, "has another name (a hard link)"));
    }
    own(path, &meta)?;
    Ok(true)
}

fn own(path: &Path, meta: &Metadata) -> Result<()> {
    if meta.uid() != effective_user() {
        return Err(unsafe_place(path, "owned by another user"));
    }
    if meta.mode() & 0o077 != 0 && (meta.is_file() || meta.mode() & 0o022 != 0) {
        return Err(unsafe_place(path, "open to group or others; chmod go= would help"));
    }
    Ok(())
}

fn unsafe_place(path: &Path, why: &str) -> Error {
    Rv::DeviceError.because(format!("{}: refused: {why}", path.display()))
}

fn remove(path: &Path) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}
