//! Files of keys: read within bounds, written whole or not at all.

use base64ct::{Base64, Encoding};
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use zeroize::Zeroizing;

/// More than any key or chain of certificates, and a bound for files that never end.
const LONGEST: u64 = 4 << 20;

/// All of a file.
///
/// # Errors
/// A sentence that names the file.
pub fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let wrong = |error: std::io::Error| format!("{}: {error}", path.display());
    let file = File::open(path).map_err(wrong)?;
    let len = file.metadata().map_err(wrong)?.len().min(LONGEST);
    // All the room at once: growing would leave copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(len as usize + 1));
    file.take(LONGEST + 1).read_to_end(&mut bytes).map_err(wrong)?;
    if bytes.len() as u64 > LONGEST {
        return Err(format!("{}: more than {LONGEST} bytes are no key", path.display()));
    }
    Ok(bytes)
}

/// Puts a file in place in one step, readable by its owner only. What was there is replaced.
///
/// # Errors
/// A sentence that names the file.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    let wrong = |error: std::io::Error| format!("{}: {error}", path.display());
    let name = path.file_name().ok_or_else(|| format!("{}: not a file's name", path.display()))?;
    // A pipe or a terminal cannot be replaced.
    if fs::metadata(path).is_ok_and(|there| !there.is_file()) {
        return OpenOptions::new()
            .write(true)
            .open(path)
            .and_then(|mut file| file.write_all(bytes))
            .map_err(wrong);
    }
    let mut beside = std::ffi::OsString::from(".");
    beside.push(name);
    beside.push(format!(".{}", std::process::id()));
    let beside = path.with_file_name(beside);
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside).map_err(wrong)?;
    let written =
        file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| fs::rename(&beside, path));
    written.map_err(|error| {
        let _ = fs::remove_file(&beside);
        wrong(error)
    })
}

/// A block of a PEM file (RFC 7468).
pub struct Pem {
    /// What stands behind BEGIN.
    pub label: String,
    /// The DER inside.
    pub der: Zeroizing<Vec<u8>>,
}

/// The blocks of a PEM file, whatever stands between them; none if it is no PEM file.
///
/// # Errors
/// A sentence: a block that does not end, or holds what is not base64.
pub fn pem(text: &[u8]) -> Result<Vec<Pem>, String> {
    let Ok(mut rest) = std::str::from_utf8(text) else { return Ok(Vec::new()) };
    let mut blocks = Vec::new();
    while let Some((_, block)) = rest.split_once("-----BEGIN ") {
        let (label, block) = block.split_once("-----").ok_or("a PEM block without a name")?;
        let end = format!("-----END {label}-----");
        let (body, after) =
            block.split_once(&end).ok_or_else(|| format!("the PEM block {label} does not end"))?;
        let digits: Zeroizing<String> =
            Zeroizing::new(body.chars().filter(|c| !c.is_ascii_whitespace()).collect());
        let der = Base64::decode_vec(&digits).map_err(|_| format!("the PEM block {label} is not base64"))?;
        blocks.push(Pem { label: label.into(), der: Zeroizing::new(der) });
        rest = after;
    }
    Ok(blocks)
}

/// A PEM block.
pub fn to_pem(label: &str, der: &[u8]) -> Zeroizing<String> {
    let digits = Zeroizing::new(Base64::encode_string(der));
    let mut text = Zeroizing::new(String::with_capacity(digits.len() * 66 / 64 + 2 * label.len() + 48));
    *text += &format!("-----BEGIN {label}-----\n");
    for line in digits.as_bytes().chunks(64) {
        text.extend(line.iter().map(|digit| char::from(*digit)));
        text.push('\n');
    }
    *text += &format!("-----END {label}-----\n");
    text
}
