//! SoftHSM 2's tokens in its other form (`objectstore.backend = db`): a SQLite database a token, with a table for each kind
//! of value and a row an attribute. The first object is the token itself. What is encrypted is what the files have encrypted.
//!
//! Templates and lists of mechanisms are there as they lay in SoftHSM's memory; those of 64-bit machines with the least
//! significant byte first are read.

use super::softhsm::Parts;
use pkcs11_client::Attr;
use pkcs11_client::cryptoki_sys::*;
use rusqlite::{Connection, OpenFlags, Row};
use std::path::{Path, PathBuf};

/// The object that is the token.
pub const TOKEN: i64 = 1;

/// A token's database.
pub struct Database {
    path: PathBuf,
    connection: Connection,
}

impl Database {
    /// Opens it for reading.
    ///
    /// # Errors
    /// A sentence that names the file.
    pub fn open(path: &Path) -> Result<Database, String> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags);
        let connection = connection.map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Database { path: path.into(), connection })
    }

    /// The numbers of the objects, without the token's own.
    ///
    /// # Errors
    /// A sentence: it is no such database.
    pub fn objects(&self) -> Result<Vec<i64>, String> {
        let read = || {
            let mut statement = self.connection.prepare("SELECT id FROM object WHERE id > ?1 ORDER BY id")?;
            statement.query_map([TOKEN], |row| row.get(0))?.collect::<rusqlite::Result<_>>()
        };
        read().map_err(|error| self.wrong(&error))
    }

    /// An object's attributes as they are stored.
    ///
    /// # Errors
    /// A sentence: it is no such database, or a value is not of its kind.
    pub fn attributes(&self, object: i64) -> Result<Parts, String> {
        let mut found = Vec::new();
        let mut table = |name: &str,
                         attribute: fn(
            CK_ATTRIBUTE_TYPE,
            &Row<'_>,
        ) -> rusqlite::Result<Option<(Attr, bool)>>| {
            let query = format!("SELECT type, value FROM attribute_{name} WHERE object_id = ?1 ORDER BY id");
            let mut statement = self.connection.prepare_cached(&query)?;
            let mut rows = statement.query([object])?;
            while let Some(row) = rows.next()? {
                let kind = row.get::<_, i64>(0)? as CK_ATTRIBUTE_TYPE;
                found.push((kind, attribute(kind, row)?));
            }
            rusqlite::Result::Ok(())
        };
        let mut read = || {
            table("boolean", |kind, row| Ok(Some((Attr::bool(kind, row.get::<_, i64>(1)? != 0), false))))?;
            // A number without a sign is stored as one with it.
            table("integer", |kind, row| {
                Ok(Some((Attr::ulong(kind, row.get::<_, i64>(1)? as CK_ULONG), false)))
            })?;
            table("binary", |kind, row| {
                let bytes = row.get_ref(1)?.as_blob()?;
                Ok(match kind {
                    CKA_ALLOWED_MECHANISMS => mechanisms(kind, bytes).map(|attr| (attr, false)),
                    _ => Some((Attr::bytes(kind, bytes), true)),
                })
            })?;
            table("array", |kind, row| {
                Ok(template(kind, row.get_ref(1)?.as_blob()?).map(|attr| (attr, false)))
            })
        };
        read().map_err(|error| self.wrong(&error))?;
        let whole = |(kind, attr): (CK_ATTRIBUTE_TYPE, Option<(Attr, bool)>)| {
            attr.ok_or_else(|| format!("attribute {kind:#x} is truncated or damaged"))
        };
        found.into_iter().map(whole).collect()
    }

    fn wrong(&self, error: &rusqlite::Error) -> String {
        format!("{}: {error}; a token of SoftHSM has other tables", self.path.display())
    }
}

/// What of a value is still to be read.
struct Memory<'a>(&'a [u8]);

impl<'a> Memory<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (front, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(front)
    }

    fn number(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    fn sized(&mut self) -> Option<&'a [u8]> {
        let len = self.number()?.try_into().ok()?;
        self.take(len)
    }
}

fn mechanisms(kind: CK_ATTRIBUTE_TYPE, bytes: &[u8]) -> Option<Attr> {
    let (numbers, rest) = bytes.as_chunks();
    let numbers: Vec<_> = numbers.iter().map(|number| u64::from_le_bytes(*number)).collect();
    rest.is_empty().then(|| Attr::mechanisms(kind, &numbers))
}

/// Each attribute as its type, the number of its kind in four bytes, and the value.
fn template(kind: CK_ATTRIBUTE_TYPE, bytes: &[u8]) -> Option<Attr> {
    let (mut memory, mut attributes) = (Memory(bytes), Vec::new());
    while !memory.0.is_empty() {
        let kind = memory.number()?;
        let form = u32::from_le_bytes(memory.take(4)?.try_into().ok()?);
        attributes.push(match form {
            1 => Attr::bool(kind, memory.take(1)? != [0]),
            2 => Attr::ulong(kind, memory.number()?),
            3 => Attr::bytes(kind, memory.sized()?),
            5 => mechanisms(kind, memory.sized()?)?,
            _ => return None,
        });
    }
    Some(Attr::template(kind, &attributes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cut anywhere, a value is refused or shorter, and nothing worse.
    #[test]
    fn damage_is_an_answer() {
        let parts: [&[u8]; 3] = [
            &[&CKA_SIGN.to_le_bytes()[..], &[1, 0, 0, 0, 1]].concat(),
            &[&CKA_CLASS.to_le_bytes()[..], &[2, 0, 0, 0], &CKO_SECRET_KEY.to_le_bytes()].concat(),
            &[&CKA_LABEL.to_le_bytes()[..], &[3, 0, 0, 0], &3u64.to_le_bytes(), b"abc"].concat(),
        ];
        let whole = parts.concat();
        let wanted = [Attr::bool(CKA_SIGN, true), Attr::class(CKO_SECRET_KEY), Attr::bytes(CKA_LABEL, "abc")];
        assert_eq!(template(CKA_WRAP_TEMPLATE, &whole), Some(Attr::template(CKA_WRAP_TEMPLATE, &wanted)));
        let ends = [0, parts[0].len(), parts[0].len() + parts[1].len(), whole.len()];
        for cut in 0..whole.len() {
            assert_eq!(
                template(CKA_WRAP_TEMPLATE, &whole[..cut]).is_some(),
                ends.contains(&cut),
                "cut at {cut}"
            );
        }
        assert!(
            template(CKA_WRAP_TEMPLATE, &[&CKA_LABEL.to_le_bytes()[..], &[3, 0, 0, 0], &[0xff; 8]].concat())
                .is_none()
        );
        assert!(mechanisms(CKA_ALLOWED_MECHANISMS, &[0; 9]).is_none());
    }
}
