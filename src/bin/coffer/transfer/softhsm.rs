//! SoftHSM 2's tokens as they lie on disk: a directory a token, a file an object.
//!
//! A file is a number that counts its changes, then attributes: type, kind, value, all numbers of eight bytes with the
//! most significant first. In a private object every byte string is AES-256-CBC under the token's key with its IV in
//! front; `token.object` has that key twice, under the SO's and the user's PIN. Nothing is authenticated, so what can be
//! compared is: check values, and the numbers of a key pair among themselves.

use super::softhsm_database::{self, Database};
use super::store::{Source, Stored, unpadded};
use crate::files;
use coffer_pkcs11::crypto::{Direction, Hash, InOut, aes, digest};
use pkcs11_client::cryptoki_sys::*;
use pkcs11_client::{Attr, Value};
use std::fs;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// SoftHSM's own attributes of `token.object`.
const TOKEN_LABEL: CK_ATTRIBUTE_TYPE = CKA_VENDOR_DEFINED | 0x5349;
const TOKEN_SERIAL: CK_ATTRIBUTE_TYPE = CKA_VENDOR_DEFINED | 0x534a;
const USER_PIN: CK_ATTRIBUTE_TYPE = CKA_VENDOR_DEFINED | 0x534d;

/// The file of a token of the database backend.
const DATABASE: &str = "sqlite3.db";
/// What the plaintext under a PIN begins with.
const MAGIC: &[u8] = b"RJR";
/// The key from a PIN takes this many hashes, and as many more as the salt's last byte says.
const ITERATIONS: usize = 1500;

/// A token that was found.
pub struct Token {
    /// Its label.
    pub label: String,
    directory: PathBuf,
    /// If it is not in files.
    database: Option<Database>,
    /// Salt, IV and the token's key under the user's PIN.
    sealed: Vec<u8>,
}

impl Token {
    /// The token in `directory`, or of that label or serial number in one of its subdirectories.
    ///
    /// # Errors
    /// A sentence: none, several, or one that is damaged.
    pub fn find(directory: &Path, wanted: Option<&str>) -> Result<Token, String> {
        let shown = directory.display();
        if let Some((_, token)) = Token::at(directory)? {
            return Ok(token);
        }
        let entries = fs::read_dir(directory).map_err(|error| format!("{shown}: {error}"))?;
        let mut found = Vec::new();
        for entry in entries {
            let path = entry.map_err(|error| format!("{shown}: {error}"))?.path();
            if path.is_dir() {
                found.extend(Token::at(&path)?);
            }
        }
        let all =
            found.iter().map(|(serial, token)| format!("{:?} with serial number {serial}", token.label));
        let all = all.collect::<Vec<_>>().join(", ");
        if let Some(wanted) = wanted {
            found.retain(|(serial, token)| token.label == wanted || serial == wanted);
        }
        match (found.pop(), found.is_empty(), wanted) {
            (Some((_, token)), true, _) => Ok(token),
            (None, ..) if all.is_empty() => {
                Err(format!("{shown}: no token of SoftHSM (there is no token.object, nor sqlite3.db)"))
            }
            (None, _, wanted) => {
                Err(format!("{shown}: no token {:?}; there are: {all}", wanted.unwrap_or_default()))
            }
            (_, _, _) => Err(format!("{shown}: which token? say --from-token NAME: {all}")),
        }
    }

    /// The token in that directory and its serial number, if one is there.
    fn at(directory: &Path) -> Result<Option<(String, Token)>, String> {
        let (file, rows) = (directory.join("token.object"), directory.join(DATABASE));
        let (parts, database) = if file.exists() {
            let parts = parsed(&files::read(&file)?);
            (parts.map_err(|why| format!("{}: {why}", file.display()))?, None)
        } else if rows.exists() {
            let database = Database::open(&rows)?;
            let parts = database.attributes(softhsm_database::TOKEN)?;
            (parts, Some(database))
        } else {
            return Ok(None);
        };
        let attributes = parts.into_iter().map(|(attr, _)| attr).collect();
        let stored = Stored { origin: "token".into(), attributes };
        let text =
            |kind| String::from_utf8_lossy(stored.bytes(kind).unwrap_or_default()).trim_end().to_owned();
        let sealed = stored.bytes(USER_PIN).unwrap_or_default().to_vec();
        let token = Token { label: text(TOKEN_LABEL), directory: directory.into(), database, sealed };
        Ok(Some((text(TOKEN_SERIAL), token)))
    }

    /// The token's objects, private ones opened by the user's PIN.
    ///
    /// # Errors
    /// A sentence: a wrong PIN.
    pub fn open(self, pin: &str) -> Result<Objects, String> {
        let label = &self.label;
        if self.sealed.is_empty() {
            return Err(format!(
                "SoftHSM's token {label:?} has no user PIN, so there is nothing it could open"
            ));
        }
        let key = self.unseal(pin).ok_or_else(|| format!("the PIN of SoftHSM's token {label:?} is wrong"))?;
        if let Some(database) = self.database {
            let numbers = database.objects()?;
            return Ok(Objects { stored: Stores::Rows(database, numbers), key });
        }
        let shown = self.directory.display();
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.directory).map_err(|error| format!("{shown}: {error}"))? {
            let name = PathBuf::from(entry.map_err(|error| format!("{shown}: {error}"))?.file_name());
            let object = name.extension().is_some_and(|extension| extension == "object");
            if object && name.file_stem().is_some_and(|stem| stem != "token") {
                names.push(name);
            }
        }
        // As the disk lists them, the order would be another one each time.
        names.sort();
        Ok(Objects { stored: Stores::Files(self.directory, names), key })
    }

    /// The token's key; none by a wrong PIN.
    fn unseal(&self, pin: &str) -> Option<aes::Key> {
        let (salt, sealed) = self.sealed.split_first_chunk::<8>()?;
        let mut hash = digest::digest(Hash::Sha256, &Zeroizing::new([&salt[..], pin.as_bytes()].concat()));
        for _ in 1..ITERATIONS + usize::from(salt[7]) {
            hash = digest::digest(Hash::Sha256, &hash);
        }
        let opened = unsealed(&aes::Key::new(&hash).ok()?, sealed)?;
        aes::Key::new(opened.strip_prefix(MAGIC).filter(|key| key.len() == 32)?).ok()
    }
}

/// A token's objects, and the key that opens them.
pub struct Objects {
    stored: Stores,
    key: aes::Key,
}

enum Stores {
    /// A directory, and the names of files in it.
    Files(PathBuf, Vec<PathBuf>),
    /// A database, and the numbers of objects in it.
    Rows(Database, Vec<i64>),
}

impl Source for Objects {
    fn count(&self) -> usize {
        match &self.stored {
            Stores::Files(_, names) => names.len(),
            Stores::Rows(_, numbers) => numbers.len(),
        }
    }

    fn object(&self, at: usize) -> Result<Stored, String> {
        let (origin, parts) = match &self.stored {
            Stores::Files(directory, names) => {
                let origin = names[at].to_string_lossy().into_owned();
                let file = files::read(&directory.join(&names[at]));
                (origin, file.and_then(|file| parsed(&file)))
            }
            Stores::Rows(database, numbers) => {
                (format!("{DATABASE} object {}", numbers[at]), database.attributes(numbers[at]))
            }
        };
        let attributes = parts.and_then(|parts| opened(parts, &self.key));
        let stored = attributes.map(|attributes| Stored { origin: origin.clone(), attributes });
        match stored {
            Ok(stored) if stored.number(CKA_CLASS).is_none() => {
                Err(format!("{origin}: no object: it has no class"))
            }
            stored => stored.map_err(|why| format!("{origin}: {why}")),
        }
    }
}

/// IV and ciphertext as plaintext.
fn unsealed(key: &aes::Key, bytes: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (iv, sealed) = bytes.split_first_chunk::<16>()?;
    if sealed.is_empty() || !sealed.len().is_multiple_of(16) {
        return None;
    }
    let mut opened = Zeroizing::new(sealed.to_vec());
    key.cbc(Direction::Decrypt, &mut iv.clone(), InOut::in_place(&mut opened, sealed.len()));
    unpadded(opened, 16)
}

/// Attributes, and whether each is of the kind that a private object has encrypted.
pub type Parts = Vec<(Attr, bool)>;

/// The attributes in a file.
fn parsed(file: &[u8]) -> Result<Parts, String> {
    const CUT: &str = "truncated or damaged";
    let mut fields = Fields(file);
    fields.number().ok_or(CUT)?;
    let mut found = Vec::new();
    while !fields.0.is_empty() {
        found.push(fields.attribute(false).ok_or(CUT)?);
    }
    Ok(found)
}

/// The attributes of an object, the byte strings of a private one opened by `key`.
fn opened(parts: Parts, key: &aes::Key) -> Result<Vec<Attr>, String> {
    let private = parts.iter().any(|(attr, _)| *attr == Attr::bool(CKA_PRIVATE, true));
    let open = |(attr, sealed): (Attr, bool)| match &attr.value {
        Value::Bytes(bytes) if private && sealed && !bytes.is_empty() => {
            let opened = unsealed(key, bytes);
            let opened = opened.map(|opened| Attr::bytes(attr.kind, &opened[..]));
            opened.ok_or_else(|| {
                format!("attribute {:#x} does not open with the token's key; it is damaged", attr.kind)
            })
        }
        _ => Ok(attr),
    };
    parts.into_iter().map(open).collect()
}

/// What of a file is still to be read.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (front, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(front)
    }

    fn number(&mut self) -> Option<u64> {
        Some(u64::from_be_bytes(self.take(8)?.try_into().ok()?))
    }

    fn len(&mut self) -> Option<usize> {
        self.number()?.try_into().ok()
    }

    /// An attribute, and whether it is of the kind that a private object has encrypted. SoftHSM writes no template
    /// within a template, so a file of nothing else cannot use up the stack.
    fn attribute(&mut self, within: bool) -> Option<(Attr, bool)> {
        let kind = self.number()?;
        let attr = match self.number()? {
            1 => Attr::bool(kind, self.take(1)? != [0]),
            2 => Attr::ulong(kind, self.number()?),
            3 => {
                let len = self.len()?;
                return Some((Attr::bytes(kind, self.take(len)?), true));
            }
            4 if !within => {
                let len = self.len()?;
                let (mut inner, mut attributes) = (Fields(self.take(len)?), Vec::new());
                while !inner.0.is_empty() {
                    attributes.push(inner.attribute(true)?.0);
                }
                Attr::template(kind, &attributes)
            }
            5 => {
                let count = self.len()?;
                let numbers = self.take(count.checked_mul(8)?)?.chunks_exact(8);
                let numbers = numbers.map(|number| u64::from_be_bytes(number.try_into().unwrap_or_default()));
                Attr::mechanisms(kind, &numbers.collect::<Vec<_>>())
            }
            _ => return None,
        };
        Some((attr, false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/stores/softhsm")
    }

    /// A file cut anywhere, or with any byte changed, is read or refused, and nothing worse.
    #[test]
    fn damage_is_an_answer() {
        let token = Token::find(&fixture(), None).expect("a token");
        let key = token.unseal("fixture-pin").expect("the token's key");
        assert!(token.unseal("fixture-pim").is_none());
        for name in ["token.object", "29c6c3da-e32f-7f3e-dc6d-0c5c580af23a.object"] {
            let whole = fs::read(fixture().join(name)).expect("a file");
            let attributes = |file: &[u8]| parsed(file).and_then(|parts| opened(parts, &key));
            let all = attributes(&whole).expect("whole").len();
            for cut in 0..whole.len() {
                let read = attributes(&whole[..cut]);
                assert!(read.is_err() || read.is_ok_and(|some| some.len() < all), "{name} cut at {cut}");
            }
            for at in 0..whole.len() {
                let mut changed = whole.clone();
                changed[at] ^= 0xff;
                let _ = attributes(&changed);
            }
        }
    }

    #[test]
    fn templates_do_not_nest() {
        let mut file = vec![0; 8];
        for depth in 0..100_000u64 {
            let left = (100_000 - depth) * 24;
            file.extend([CKA_WRAP_TEMPLATE.to_be_bytes(), 4u64.to_be_bytes(), left.to_be_bytes()].concat());
        }
        file.extend([0; 24]);
        assert!(parsed(&file).is_err());
    }
}
