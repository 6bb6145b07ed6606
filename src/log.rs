//! The log: one line an event, on standard error, in a file, or for syslog or the journal; never with secret bytes in it.
//!
//! `log!(Info, "{} objects", n)` costs one relaxed load where its level is off.

use crate::error::{Result, Rv};
use serde::Deserialize;
use std::fmt::{self, Write as _};
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process;
use std::str::FromStr;
use std::sync::RwLock;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

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

    /// Syslog's number: error, warning, informational, debug.
    fn priority(self) -> u8 {
        [3, 4, 6, 7, 7][self as usize - 1]
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

/// Syslog's facility of user-level messages.
const USER_LEVEL: u8 = 1;

static LEVEL: AtomicU8 = AtomicU8::new(Level::Warn as u8);

/// Who takes the lines.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Standard error.
    Stderr,
    /// A file.
    File,
    /// The syslog daemon (RFC 3164), as a user-level message.
    Syslog,
    /// The journal of systemd, in its own protocol.
    Journal,
}

impl Kind {
    /// Where the daemon listens.
    fn socket(self) -> &'static Path {
        Path::new(if self == Kind::Journal { "/run/systemd/journal/socket" } else { "/dev/log" })
    }
}

/// Where lines go.
enum Sink {
    Stderr,
    File(File),
    /// A datagram a line. The socket is not connected, so that a daemon started anew is found again, and what would
    /// have to wait is lost: a log must not stop the application.
    Daemon(Kind, UnixDatagram, PathBuf),
}

/// A lock of `std`, which keeps no table beside itself, and never waited for while writing: a child forked while
/// another thread held it must not hang.
static SINK: RwLock<Sink> = RwLock::new(Sink::Stderr);

/// Sets what is logged and where. `path` is the file, which is appended to, made with mode 0600, and may not be a
/// symlink; or the daemon's socket, if it is not where it usually is.
///
/// # Errors
/// CKR_GENERAL_ERROR if the file cannot be opened or the daemon is not there; the log then stays as it was.
pub fn configure(level: Level, kind: Kind, path: Option<&Path>) -> Result<()> {
    let path = path.unwrap_or(kind.socket());
    let wrong = |error| Rv::GeneralError.because(format!("the log: {}: {error}", path.display()));
    let sink = match kind {
        Kind::Stderr => Sink::Stderr,
        Kind::File => {
            let mut options = OpenOptions::new();
            options.append(true).create(true).mode(0o600).custom_flags(libc::O_NOFOLLOW | libc::O_NOCTTY);
            Sink::File(options.open(path).map_err(wrong)?)
        }
        Kind::Syslog | Kind::Journal => {
            fs::metadata(path).map_err(wrong)?;
            let socket = UnixDatagram::unbound().map_err(wrong)?;
            socket.set_nonblocking(true).map_err(wrong)?;
            Sink::Daemon(kind, socket, path.into())
        }
    };
    if let Ok(mut current) = SINK.try_write() {
        *current = sink;
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
    let sink = SINK.try_read();
    let mut line = OneLine(String::with_capacity(160));
    let process = process::id();
    // One write call a line, so that lines of several processes do not mix. A full disk must not fail a call.
    if let Ok(Sink::Daemon(kind, socket, path)) = sink.as_deref() {
        let priority = level.priority();
        let _ = match kind {
            // The daemons put the time themselves.
            Kind::Syslog => write!(line, "<{}>coffer[{process}]: {message}", USER_LEVEL << 3 | priority),
            _ => write!(line, "{message}"),
        };
        let fields = format!("PRIORITY={priority}\nSYSLOG_IDENTIFIER=coffer\nMESSAGE={}\n", line.0);
        let datagram = if *kind == Kind::Syslog { &line.0 } else { &fields };
        let _ = socket.send_to(datagram.as_bytes(), path);
        return;
    }
    let _ = write!(line, "{} {:5} coffer[{process}] {message}", Moment::now(), level.name());
    let mut line = line.0.into_bytes();
    line.push(b'\n');
    let _ = match sink.as_deref() {
        Ok(Sink::File(file)) => (&*file).write_all(&line),
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

/// A time of day in the Gregorian calendar and UTC, in the form of RFC 3339.
#[derive(Clone, Copy)]
pub struct Moment(Duration);

impl Moment {
    /// This one.
    pub fn now() -> Moment {
        Moment(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
    }

    /// From milliseconds since 1970.
    pub fn from_millis(millis: u64) -> Moment {
        Moment(Duration::from_millis(millis))
    }

    /// Milliseconds since 1970.
    pub fn millis(self) -> u64 {
        self.0.as_millis() as u64
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (date, time) = (Date::of(self.0.as_secs() / 86_400), self.0.as_secs() % 86_400);
        let (hours, minutes, seconds) = (time / 3_600, time / 60 % 60, time % 60);
        write!(f, "{date}T{hours:02}:{minutes:02}:{seconds:02}.{:03}Z", self.0.subsec_millis())
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
        assert!(configure(Level::Warn, Kind::File, Some(&link)).is_err());
        configure(Level::Warn, Kind::File, Some(&file)).unwrap();
        write(Level::Warn, format_args!("hello"));
        // The log is one for the process, so its other kinds are tried here too.
        let (heard, no_one) = (dir.path().join("socket"), dir.path().join("none"));
        assert!(configure(Level::Warn, Kind::Syslog, Some(&no_one)).is_err());
        let daemon = UnixDatagram::bind(&heard).unwrap();
        let mut bytes = [0; 256];
        let mut next = || {
            let len = daemon.recv(&mut bytes).unwrap();
            String::from_utf8_lossy(&bytes[..len]).into_owned()
        };
        configure(Level::Warn, Kind::Syslog, Some(&heard)).unwrap();
        write(Level::Warn, format_args!("two\nlines"));
        assert_eq!(next(), format!("<12>coffer[{}]: two\\nlines", process::id()));
        configure(Level::Warn, Kind::Journal, Some(&heard)).unwrap();
        write(Level::Error, format_args!("PRIORITY=0\nMESSAGE=forged"));
        assert_eq!(next(), "PRIORITY=3\nSYSLOG_IDENTIFIER=coffer\nMESSAGE=PRIORITY=0\\nMESSAGE=forged\n");
        // A daemon that is gone, or does not listen, costs its lines and nothing else.
        drop(std::fs::remove_file(&heard));
        write(Level::Error, format_args!("nobody hears it"));
        configure(Level::Warn, Kind::Stderr, None).unwrap();
        assert!(std::fs::read_to_string(&file).unwrap().contains("hello"));
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
