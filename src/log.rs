//! The log: one line an event, on standard error or in a file, never with secret bytes in it.
//!
//! `log!(Info, "{} objects", n)` costs one relaxed load where its level is off.

use crate::error::{Result, Rv};
use std::fmt::{self, Write as _};
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process;
use std::str::FromStr;
use std::sync::RwLock;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// How much a line matters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level {
    /// The library or its storage is at fault.
    Error = 1,
    /// Something a person should look at.
    Warn,
    /// What happened, and why a call was refused.
    Info,
    /// Decisions on the way.
    Debug,
    /// Every call.
    Trace,
}

impl Level {
    const ALL: [(Level, &'static str); 5] = [
        (Level::Error, "error"),
        (Level::Warn, "warn"),
        (Level::Info, "info"),
        (Level::Debug, "debug"),
        (Level::Trace, "trace"),
    ];

    fn name(self) -> &'static str {
        Level::ALL[self as usize - 1].1
    }
}

impl FromStr for Level {
    type Err = crate::error::Error;

    fn from_str(name: &str) -> Result<Level> {
        match Level::ALL.iter().find(|(_, known)| *known == name) {
            Some((level, _)) => Ok(*level),
            None => fail!(GeneralError, "log level {name:?}: not one of error, warn, info, debug, trace"),
        }
    }
}

static LEVEL: AtomicU8 = AtomicU8::new(Level::Warn as u8);

/// Where lines go; `None` is standard error. A lock of `std`, which keeps no table beside itself, and never
/// waited for while writing: a child forked while another thread held it must not hang.
static FILE: RwLock<Option<File>> = RwLock::new(None);

/// Sets what is logged and where: the file is appended to, made with mode 0600, and may not be a symlink.
///
/// # Errors
/// CKR_GENERAL_ERROR if the file cannot be opened; the log then stays as it was.
pub fn configure(level: Level, file: Option<&Path>) -> Result<()> {
    let open = |path: &Path| {
        let mut options = OpenOptions::new();
        options.append(true).create(true).mode(0o600).custom_flags(libc::O_NOFOLLOW | libc::O_NOCTTY);
        options.open(path).map_err(|error| Rv::GeneralError.because(format!("{}: {error}", path.display())))
    };
    let file = file.map(open).transpose()?;
    if let Ok(mut current) = FILE.try_write() {
        *current = file;
    }
    LEVEL.store(level as u8, Ordering::Relaxed);
    Ok(())
}

/// Whether lines of this level are written.
#[inline]
pub fn enabled(level: Level) -> bool {
    level as u8 <= LEVEL.load(Ordering::Relaxed)
}

/// Writes one line, whatever the level; [`log!`](crate::log!) asks first.
#[cold]
pub fn write(level: Level, message: fmt::Arguments<'_>) {
    let mut line = OneLine(String::with_capacity(160));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let (date, time) = (Date::of(now.as_secs() / 86_400), now.as_secs() % 86_400);
    let _ = write!(
        line,
        "{date}T{:02}:{:02}:{:02}.{:03}Z {:5} coffer[{}] {message}",
        time / 3_600,
        time / 60 % 60,
        time % 60,
        now.subsec_millis(),
        level.name(),
        process::id(),
    );
    let mut line = line.0.into_bytes();
    line.push(b'\n');
    // One write call a line, so that lines of several processes do not mix. A full disk must not fail a call.
    let _ = match FILE.try_read().as_deref() {
        Ok(Some(file)) => (&*file).write_all(&line),
        _ => std::io::stderr().write_all(&line),
    };
}

/// `log!(Warn, "{}: {error}", path.display())`.
#[macro_export]
macro_rules! log {
    ($level:ident, $($message:tt)+) => {
        if $crate::log::enabled($crate::log::Level::$level) {
            $crate::log::write($crate::log::Level::$level, format_args!($($message)+))
        }
    };
}

/// Escapes control characters: what an application calls its keys must not forge lines.
struct OneLine(String);

impl fmt::Write for OneLine {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            match character.is_control() {
                true => self.0.extend(character.escape_default()),
                false => self.0.push(character),
            }
        }
        Ok(())
    }
}

/// A day of the Gregorian calendar.
struct Date(u64, u64, u64);

impl Date {
    /// From days since 1970-01-01. Counted in years that begin in March, so that the leap day comes last.
    fn of(days: u64) -> Date {
        let days = days + 719_468;
        let (era, day) = (days / 146_097, days % 146_097);
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let day = day - (153 * month + 2) / 5 + 1;
        let (month, turn) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
        Date(era * 400 + year + turn, month, day)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.0, self.1, self.2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (days, date) in [
            (0, "1970-01-01"),
            (59, "1970-03-01"),
            (11_016, "2000-02-29"),
            (47_540, "2100-02-28"),
            (47_541, "2100-03-01"),
        ] {
            assert_eq!(Date::of(days).to_string(), date);
        }
    }

    #[test]
    fn a_message_cannot_forge_a_line() {
        let mut line = OneLine(String::new());
        write!(line, "label a\nb\u{1b}[0m ä").unwrap();
        assert_eq!(line.0, "label a\\nb\\u{1b}[0m ä");
    }

    #[test]
    fn levels_by_name() {
        assert_eq!("info".parse::<Level>().unwrap(), Level::Info);
        assert_eq!("loud".parse::<Level>().unwrap_err().rv(), Rv::GeneralError);
        assert_eq!(Level::Trace.name(), "trace");
    }

    #[test]
    fn a_log_file_is_private_and_no_symlink() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("log"), dir.path().join("link"));
        symlink(&file, &link).unwrap();
        assert!(configure(Level::Warn, Some(&link)).is_err());
        configure(Level::Warn, Some(&file)).unwrap();
        write(Level::Warn, format_args!("hello"));
        configure(Level::Warn, None).unwrap();
        assert!(std::fs::read_to_string(&file).unwrap().contains("hello"));
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
