//! Where the token files are, and who else may touch them.
//!
//! A token is the file `<slot>.coffer` in the token directory, beside what SQLite and the change counter need.
//! The directory is ours alone (0700), the files too (0600), whatever the umask; anything else in their place
//! is refused rather than followed.

use super::Storage;
use super::sqlite::Sqlite;
use crate::error::{Error, Result, Rv};
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process;

const SUFFIX: &str = ".coffer";

/// The token directory.
pub struct Place {
    directory: PathBuf,
}

/// An I/O error under the code that fits it, naming the file.
pub fn io_error(path: &Path, error: &io::Error) -> Error {
    let rv = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => Rv::DeviceMemory,
        ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => Rv::TokenWriteProtected,
        _ => Rv::DeviceError,
    };
    rv.because(format!("{}: {error}", path.display()))
}

impl Place {
    /// The directory, made if it is not there yet.
    ///
    /// # Errors
    /// CKR_GENERAL_ERROR, saying what is wrong with the directory or one above it.
    pub fn new(directory: &Path) -> Result<Place> {
        if !directory.exists() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(directory)
                .map_err(|e| io_error(directory, &e))?;
        }
        let directory = directory.canonicalize().map_err(|error| io_error(directory, &error))?;
        let metadata = fs::symlink_metadata(&directory).map_err(|error| io_error(&directory, &error))?;
        if !metadata.is_dir() {
            fail!(GeneralError, "{}: not a directory", directory.display());
        }
        ours(&directory, &metadata, 0o022)?;
        for above in directory.ancestors().skip(1) {
            let metadata = fs::symlink_metadata(above).map_err(|error| io_error(above, &error))?;
            let (others_write, sticky) = (metadata.mode() & 0o022 != 0, metadata.mode() & 0o1000 != 0);
            if others_write && !sticky {
                fail!(
                    GeneralError,
                    "{}: others may write here, so the tokens below are not safe",
                    above.display()
                );
            }
        }
        Ok(Place { directory })
    }

    /// The numbers of the slots that have a token, in ascending order.
    ///
    /// # Errors
    /// CKR_DEVICE_ERROR.
    pub fn list(&self) -> Result<Vec<u32>> {
        let entries = fs::read_dir(&self.directory).map_err(|error| io_error(&self.directory, &error))?;
        let mut slots: Vec<u32> = entries
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.strip_suffix(SUFFIX)?.parse().ok())
            .collect();
        slots.sort_unstable();
        Ok(slots)
    }

    fn path(&self, slot: u32) -> PathBuf {
        self.directory.join(format!("{slot}{SUFFIX}"))
    }

    /// The storage of a slot's token; `None` if there is none.
    ///
    /// # Errors
    /// CKR_TOKEN_NOT_RECOGNIZED for what is no token file of ours.
    pub fn open(&self, slot: u32) -> Result<Option<Box<dyn Storage>>> {
        let path = self.path(slot);
        match fs::symlink_metadata(&path) {
            Ok(_) => {
                self.check(&path)?;
                Ok(Some(Box::new(Sqlite::open(&path)?)))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io_error(&path, &error)),
        }
    }

    /// Makes a slot's storage: `fill` writes its first records under a name of its own, and only the finished
    /// file gets the slot's name.
    ///
    /// # Errors
    /// CKR_FUNCTION_FAILED if another process has made it meanwhile; as [`Storage`].
    pub fn create(
        &self,
        slot: u32,
        fill: impl FnOnce(&dyn Storage) -> Result<()>,
    ) -> Result<Box<dyn Storage>> {
        let path = self.path(slot);
        let draft = self.directory.join(format!(".{slot}.{}.draft", process::id()));
        self.discard(&draft);
        let made = self.make(&draft, fill).and_then(|()| self.publish(&draft, &path));
        self.discard(&draft);
        made?;
        Ok(Box::new(Sqlite::open(&path)?))
    }

    fn make(&self, draft: &Path, fill: impl FnOnce(&dyn Storage) -> Result<()>) -> Result<()> {
        exclusive(draft).map_err(|error| io_error(draft, &error))?;
        let storage = Sqlite::create(draft)?;
        fill(&storage)?;
        // Nothing may stay behind in a log of the old name.
        storage.close()
    }

    /// A link fails if the name is taken, which a rename would not.
    fn publish(&self, draft: &Path, path: &Path) -> Result<()> {
        match fs::hard_link(draft, path) {
            Ok(()) => self.sync(),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                fail!(FunctionFailed, "{}: another process has just made it", path.display())
            }
            Err(error) => Err(io_error(path, &error)),
        }
    }

    fn discard(&self, draft: &Path) {
        for name in super::sqlite::companions(draft).chain([draft.to_path_buf()]) {
            // What is not there need not go.
            let _ = fs::remove_file(name);
        }
    }

    fn sync(&self) -> Result<()> {
        let directory = File::open(&self.directory).map_err(|error| io_error(&self.directory, &error))?;
        directory.sync_all().map_err(|error| io_error(&self.directory, &error))
    }

    /// Refuses a token file, or a companion of it, that is not a plain file of ours.
    fn check(&self, path: &Path) -> Result<()> {
        for name in super::sqlite::companions(path).chain([path.to_path_buf()]) {
            match fs::symlink_metadata(&name) {
                Ok(metadata) if metadata.is_file() => ours(&name, &metadata, 0o077)?,
                Ok(_) => fail!(TokenNotRecognized, "{}: not a plain file", name.display()),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(io_error(&name, &error)),
            }
        }
        Ok(())
    }
}

/// Refuses what another user owns, or may do `forbidden` with. Root may use what others own.
fn ours(path: &Path, metadata: &Metadata, forbidden: u32) -> Result<()> {
    let me = fs::metadata("/proc/self").map_or(metadata.uid(), |process| process.uid());
    if metadata.uid() != me && me != 0 {
        fail!(TokenNotRecognized, "{}: belongs to user {}, not {me}", path.display(), metadata.uid());
    }
    if metadata.mode() & forbidden != 0 {
        fail!(TokenNotRecognized, "{}: mode {:o} lets others in", path.display(), metadata.mode() & 0o777);
    }
    Ok(())
}

/// Makes a file nobody had, for us alone.
pub fn exclusive(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    Ok(file)
}
