//! The audit log: a file beside the token that is only appended to, one line an event.
//!
//! A line is a JSON object. Each holds the hash of the line before it, and whoever was logged in has signed it with
//! a key that the token key gives; the token itself remembers, at every login and change of its management, how far
//! the log had come. So a line changed, taken out or put in shows by the chain, a chain made anew by the signatures,
//! and one cut off at its end by what the token remembers.
//!
//! A file that has grown to its limit gets a number behind its name and another takes its place: the chain goes on over
//! all of them, and any of the old ones can be moved elsewhere.
//!
//! Processes append under the file's lock. A line that is not complete was never acknowledged: its process died, and
//! the next one takes it away.

use super::codec::{Reader, Writer};
use super::keyring::TokenId;
use crate::crypto::edwards::{PrivateKey, PublicKey, SIGNATURE_LEN, Variant};
use crate::crypto::seal::sha256;
use crate::error::{Error, Result, Rv};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// The record by which the token remembers how far the log had come.
pub(super) const RECORD: &[u8] = b"a";
/// Longer lines are not written.
const LONGEST: u64 = 16 << 10;
const SIGNATURE: &str = ",\"signature\":\"";

/// How far a log has come: the number of its last line, and that line's hash.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Head {
    /// Lines are numbered from 1.
    pub number: u64,
    /// SHA-256 of the line.
    pub hash: [u8; 32],
}

impl Head {
    fn start(token: &TokenId) -> Head {
        Head { number: 0, hash: sha256(&[b"coffer-2 audit log\0", token]) }
    }

    pub(super) fn body(&self) -> Vec<u8> {
        Writer::default().u8(1).u64(self.number).raw(&self.hash).0
    }

    pub(super) fn parse(body: &[u8]) -> Result<Head> {
        let mut from = Reader(body);
        if from.u8()? != 1 {
            fail!(DeviceError, "an audit record of another version");
        }
        let head = Head { number: from.u64()?, hash: from.array()? };
        from.end()?;
        Ok(head)
    }
}

/// What happened.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// The name of it.
    pub event: &'a str,
    /// Who did it, or tried to.
    pub user: &'a str,
    /// To what; nothing secret.
    pub detail: &'a str,
    /// CKR_*.
    pub outcome: &'a str,
}

/// What [`Log::verify`] saw.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// Complete lines.
    pub lines: u64,
    /// Those that somebody logged in has signed.
    pub signed: u64,
    /// What was wrong.
    pub faults: u64,
}

/// The log of one token.
pub struct Log {
    path: PathBuf,
    token: TokenId,
    /// Bytes from which on a file is full; 0: never.
    limit: u64,
    known: Mutex<Option<Known>>,
}

/// As far as this process knows the log: the file, its length after the last line, and that line.
#[derive(Clone, Copy)]
struct Known {
    file: u64,
    len: u64,
    head: Head,
}

impl Log {
    /// The log of a token in a directory, in files of about `limit` bytes (0: one file); made when something is first
    /// written.
    pub fn new(directory: &Path, token: TokenId, serial: &str, limit: u64) -> Log {
        Log { path: directory.join(format!("{serial}.audit")), token, limit, known: Mutex::default() }
    }

    /// Its file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn failed(&self, error: std::io::Error) -> Error {
        let rv = match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Rv::DeviceMemory,
            _ => Rv::DeviceError,
        };
        rv.because(format!("{}: {error}", self.path.display()))
    }

    /// Appends a line; it is on the disk when this returns.
    ///
    /// # Errors
    /// CKR_DEVICE_ERROR, CKR_DEVICE_MEMORY.
    pub fn append(&self, event: &Event, signer: Option<&PrivateKey>) -> Result<Head> {
        let failed = |error| self.failed(error);
        let mut known = self.known.lock();
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true).mode(0o600).custom_flags(libc::O_NOFOLLOW);
        loop {
            let mut file = options.open(&self.path).map_err(failed)?;
            file.lock().map_err(failed)?;
            let meta = file.metadata().map_err(failed)?;
            if !meta.is_file() || meta.mode() & 0o077 != 0 {
                fail!(DeviceError, "{}: not a plain file, or open to others", self.path.display());
            }
            // While this process waited for the lock, another may have given the file its number.
            if fs::symlink_metadata(&self.path).map(|there| there.ino()).ok() != Some(meta.ino()) {
                continue;
            }
            let (len, head) = match *known {
                Some(known) if (known.file, known.len) == (meta.ino(), meta.len()) => (known.len, known.head),
                _ => self.end(&mut file, meta.len()).map_err(failed)?,
            };
            if len < meta.len() {
                file.set_len(len).map_err(failed)?;
            }
            if self.limit > 0 && len >= self.limit {
                let newest = self.full().map_err(failed)?.last().map_or(0, |(number, _)| *number);
                fs::rename(&self.path, self.numbered(newest + 1)).map_err(failed)?;
                continue;
            }
            let line = line(event, head, signer)?;
            file.write_all(&line).and_then(|()| file.sync_data()).map_err(failed)?;
            let head = Head { number: head.number + 1, hash: sha256(&[&line[..line.len() - 1]]) };
            *known = Some(Known { file: meta.ino(), len: len + line.len() as u64, head });
            return Ok(head);
        }
    }

    fn numbered(&self, number: u64) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        name.into()
    }

    /// The full files with their numbers, the oldest first.
    fn full(&self) -> std::io::Result<Vec<(u64, PathBuf)>> {
        let mut files = Vec::new();
        let directory = self.path.parent().unwrap_or(Path::new("."));
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            let number = path.extension().and_then(|number| number.to_str()?.parse().ok());
            files.extend(number.filter(|number| self.numbered(*number) == path).map(|number| (number, path)));
        }
        files.sort_unstable();
        Ok(files)
    }

    /// The last complete line, and where it ends.
    fn end(&self, file: &mut File, len: u64) -> std::io::Result<(u64, Head)> {
        let from = len.saturating_sub(2 * LONGEST);
        file.seek(SeekFrom::Start(from))?;
        let mut tail = Vec::new();
        file.take(len - from).read_to_end(&mut tail)?;
        let Some(end) = tail.iter().rposition(|byte| *byte == b'\n') else {
            if from > 0 {
                return Err(ErrorKind::InvalidData.into());
            }
            // The first line of a file goes on where the one before ended.
            let head = match self.full()?.pop() {
                Some((_, before)) => {
                    let mut before = File::open(before)?;
                    let len = before.metadata()?.len();
                    if len == 0 { Head::start(&self.token) } else { self.end(&mut before, len)?.1 }
                }
                None => Head::start(&self.token),
            };
            return Ok((0, head));
        };
        let start = tail[..end].iter().rposition(|byte| *byte == b'\n').map_or(0, |before| before + 1);
        let line = &tail[start..end];
        let number = serde_json::from_slice::<Value>(line).ok().and_then(|line| line["number"].as_u64());
        // Whatever is there, the log goes on; verification says what is wrong with it.
        let head = Head { number: number.unwrap_or(0), hash: sha256(&[line]) };
        Ok((from + end as u64 + 1, head))
    }

    /// Reads the log from its beginning and tells each line with its number to `tell`, and what is wrong about it.
    /// `remembered` is what the token remembers.
    ///
    /// # Errors
    /// CKR_DEVICE_ERROR if it cannot be read; those of `tell`.
    pub fn verify(
        &self,
        signer: &PublicKey,
        remembered: Option<Head>,
        tell: &mut dyn FnMut(u64, &str, Option<&str>) -> Result<()>,
    ) -> Result<Verdict> {
        let mut verdict = Verdict::default();
        let mut head = Head::start(&self.token);
        let mut met = remembered.is_none();
        let (full, current) = self.files().map_err(|error| self.failed(error))?;
        let mut buffer = Vec::new();
        // Files that were moved elsewhere take the beginning of the chain along.
        if full.first().is_some_and(|(number, _)| *number > 1)
            && let Some(start) = self.beginning(&full[0].1).map_err(|error| self.failed(error))?
        {
            head = start;
            verdict.faults += 1;
            tell(head.number, "", Some("the files with this line and those before it are not there"))?;
        }
        let files = full.into_iter().map(|(_, path)| File::open(path)).chain(current.map(Ok));
        for file in files {
            let mut file = BufReader::new(file.map_err(|error| self.failed(error))?);
            loop {
                buffer.clear();
                file.by_ref().take(2 * LONGEST).read_until(b'\n', &mut buffer).map_err(|e| self.failed(e))?;
                // Without its end it is one that was never acknowledged.
                let Some((b'\n', line)) = buffer.split_last() else { break };
                verdict.lines += 1;
                let fault = judge(line, &head, signer, &mut verdict.signed);
                verdict.faults += u64::from(fault.is_some());
                tell(head.number + 1, &String::from_utf8_lossy(line), fault)?;
                head = Head { number: head.number + 1, hash: sha256(&[line]) };
                met |= remembered == Some(head);
            }
        }
        if !met {
            verdict.faults += 1;
            const CUT: &str = "the log does not have the line that the token remembers: its end was cut off";
            tell(head.number + 1, "", Some(CUT))?;
        }
        Ok(verdict)
    }

    /// The full files and the one that is written to, as of one moment.
    fn files(&self) -> std::io::Result<(Vec<(u64, PathBuf)>, Option<File>)> {
        let open = || match File::open(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            file => file.map(Some),
        };
        loop {
            let before = self.full()?;
            let current = open()?;
            // Between the two a process may have given the file its number.
            if self.full()? == before {
                return Ok((before, current));
            }
        }
    }

    /// What the first line of a file says it was written after.
    fn beginning(&self, file: &Path) -> std::io::Result<Option<Head>> {
        let mut line = Vec::new();
        BufReader::new(File::open(file)?).take(2 * LONGEST).read_until(b'\n', &mut line)?;
        let fields = serde_json::from_slice::<Value>(&line).unwrap_or_default();
        let number = fields["number"].as_u64().and_then(|number| number.checked_sub(1));
        let hash = fields["before"].as_str().and_then(unhex);
        Ok(number.zip(hash).map(|(number, hash)| Head { number, hash }))
    }
}

fn unhex<const N: usize>(digits: &str) -> Option<[u8; N]> {
    let bytes: Option<Vec<u8>> = (0..digits.len() / 2)
        .map(|at| u8::from_str_radix(digits.get(2 * at..2 * at + 2)?, 16).ok())
        .collect();
    bytes?.try_into().ok()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn line(event: &Event, before: Head, signer: Option<&PrivateKey>) -> Result<Vec<u8>> {
    let cut = |text: &str| text.chars().take(2048).collect::<String>();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let body = json!({
        "number": before.number + 1,
        "time": now.as_millis() as u64,
        "process": std::process::id(),
        "event": event.event,
        "user": cut(event.user),
        "detail": cut(event.detail),
        "outcome": event.outcome,
        "before": hex(&before.hash),
    });
    let mut body = body.to_string();
    body.pop();
    let mut signature = [0; SIGNATURE_LEN];
    if let Some(signer) = signer {
        signer.sign(Variant::Pure, body.as_bytes(), &mut signature)?;
    }
    let signature = if signer.is_some() { hex(&signature) } else { String::new() };
    Ok(format!("{body}{SIGNATURE}{signature}\"}}\n").into_bytes())
}

/// What is wrong with a line that follows `before`.
fn judge(line: &[u8], before: &Head, signer: &PublicKey, signed: &mut u64) -> Option<&'static str> {
    let Some((text, fields)) =
        str::from_utf8(line).ok().and_then(|text| Some((text, serde_json::from_str::<Value>(text).ok()?)))
    else {
        return Some("not a line of an audit log");
    };
    if fields["number"].as_u64() != Some(before.number + 1) {
        return Some("another number than its place has");
    }
    if fields["before"].as_str() != Some(&hex(&before.hash)) {
        return Some("the line before it is not the one it was written after");
    }
    let signature = fields["signature"].as_str().unwrap_or_default();
    if signature.is_empty() {
        return None;
    }
    *signed += 1;
    let body = text.rsplit_once(SIGNATURE).map_or("", |(body, _)| body);
    match unhex::<SIGNATURE_LEN>(signature) {
        Some(signature) if signer.verify(Variant::Pure, body.as_bytes(), &signature) => None,
        _ => Some("its signature is wrong"),
    }
}
