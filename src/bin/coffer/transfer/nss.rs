//! NSS's databases: `cert9.db` with what is public, `key4.db` with the keys and what opens them, a row an object and a
//! column an attribute.

use super::nss_seal::{self, Password};
use super::store::{Source, Stored};
use crate::select::put;
use coffer_pkcs11::object::{Kind, attribute};
use pkcs11_client::Attr;
use pkcs11_client::cryptoki_sys::*;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, OptionalExtension};
use std::collections::HashMap;
use std::path::Path;
use zeroize::Zeroizing;

/// NSS's class of objects that say whom it trusts.
pub const TRUST: CK_OBJECT_CLASS = 0xce53_4353;
/// What a certificate may be trusted for.
const USES: &[(CK_ATTRIBUTE_TYPE, &str)] = &[
    (0xce53_6358, "server-auth"),
    (0xce53_6359, "client-auth"),
    (0xce53_635a, "code-signing"),
    (0xce53_635b, "email"),
];
/// How far it is, where it says anything.
const TRUSTED: &[(CK_ULONG, &str)] = &[
    (0xce53_4351, "trusted"),
    (0xce53_4352, "a trusted CA"),
    (0xce53_4353, "to be verified"),
    (0xce53_435a, "distrusted"),
    (0xce53_435b, "a CA"),
];
/// How NSS writes that an attribute is there and empty.
const EMPTY: &[u8] = &[0xa5, 0x00, 0x5a];
/// The attributes that are encrypted in a private or secret key.
const SECRET: &[CK_ATTRIBUTE_TYPE] = &[
    CKA_VALUE,
    CKA_PRIVATE_EXPONENT,
    CKA_PRIME_1,
    CKA_PRIME_2,
    CKA_EXPONENT_1,
    CKA_EXPONENT_2,
    CKA_COEFFICIENT,
    CKA_SEED,
];

/// The two databases of a directory.
///
/// # Errors
/// A sentence: a database that is missing or is none, a wrong password.
pub fn open(
    directory: &Path,
    password: impl FnOnce() -> Result<Zeroizing<String>, String>,
) -> Result<Databases, String> {
    let text = directory.to_string_lossy();
    let directory = Path::new(text.strip_prefix("sql:").unwrap_or(&text));
    let keys = open_one(directory, "key4.db")?;
    let certificates = open_one(directory, "cert9.db")?;
    let failed = |name: &str, error| format!("{}: {error}", directory.join(name).display());
    let row = "SELECT item1, item2 FROM metaData WHERE id = 'password'";
    let salt_and_check: Option<(Vec<u8>, Vec<u8>)> = keys
        .query_row(row, [], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
        .map_err(|error| failed("key4.db", error))?;
    let (salt, check) = salt_and_check.ok_or_else(|| {
        format!("{}: NSS has set no password yet, not even an empty one", directory.join("key4.db").display())
    })?;
    let password = Password::new(&salt, &password()?);
    if !nss_seal::open(&password, &check).is_ok_and(|opened| opened[..] == *b"password-check") {
        return Err("the password of the NSS database is wrong".into());
    }
    let mut databases = Databases {
        keys,
        certificates,
        password,
        rows: Vec::new(),
        labels: HashMap::new(),
        issued: HashMap::new(),
    };
    for (table, name) in [(PRIVATE, "key4.db"), (PUBLIC, "cert9.db")] {
        let rows = databases.numbers(table).map_err(|error| failed(name, error))?;
        databases.rows.extend(rows.into_iter().map(|row| (table, row)));
    }
    databases.learn_labels().map_err(|error| failed("cert9.db", error))?;
    Ok(databases)
}

/// What names a certificate without regard to its holder.
fn issued(stored: &Stored) -> Vec<u8> {
    let [issuer, serial] = [CKA_ISSUER, CKA_SERIAL_NUMBER].map(|kind| stored.bytes(kind).unwrap_or_default());
    [&(issuer.len() as u64).to_be_bytes(), issuer, serial].concat()
}

/// Why an object of [`TRUST`] stays, with what it says.
pub fn trust(stored: &Stored) -> String {
    let said = |(kind, what): &(CK_ATTRIBUTE_TYPE, &str)| {
        let (_, how) = TRUSTED.iter().find(|(number, _)| Some(*number) == stored.number(*kind))?;
        Some(format!("{how} for {what}"))
    };
    let said: Vec<_> = USES.iter().filter_map(said).collect();
    let said = if said.is_empty() { "nothing of use".into() } else { said.join(", ") };
    format!("whom NSS trusts is NSS's own, and a token has no such objects; this one says: {said}")
}

/// A database's table, and its name in the names of what authenticates its attributes.
type Table = (&'static str, &'static str);
const PRIVATE: Table = ("nssPrivate", "key");
const PUBLIC: Table = ("nssPublic", "cert");

/// Opened for reading, and only if it is there.
fn open_one(directory: &Path, name: &str) -> Result<Connection, String> {
    let path = directory.join(name);
    let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    if !path.exists() {
        let old = ["cert8.db", "key3.db"].iter().any(|old| directory.join(old).exists());
        return Err(match old {
            true => failed(
                &"not there, but the older format is: `certutil -N -d sql:DIR -@ PASSWORD-FILE` of NSS converts it",
            ),
            false => failed(&"no such file; an NSS database is a directory with cert9.db and key4.db"),
        });
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(&path, flags).map_err(|error| failed(&error))
}

/// What opens and authenticates the rows, and which there are.
pub struct Databases {
    keys: Connection,
    certificates: Connection,
    password: Password,
    rows: Vec<(Table, u32)>,
    /// The nicknames of certificates by their IDs: NSS names a certificate and leaves its keys without a label.
    labels: HashMap<Vec<u8>, Vec<u8>>,
    /// The same by issuer and serial number, by which NSS says whom it trusts.
    issued: HashMap<Vec<u8>, Vec<u8>>,
}

impl Source for Databases {
    fn count(&self) -> usize {
        self.rows.len()
    }

    fn object(&self, at: usize) -> Result<Stored, String> {
        let (table, id) = self.rows[at];
        let read = self.row(table, id).map_err(|error| format!("{} {id:#010x}: {error}", table.0));
        let mut stored = read.and_then(|read| read)?;
        let unnamed = stored.bytes(CKA_LABEL).is_none_or(<[u8]>::is_empty);
        let label = match stored.number(CKA_CLASS) {
            Some(TRUST) => self.issued.get(&issued(&stored)),
            _ if stored.number(CKA_KEY_TYPE).is_some() => {
                stored.bytes(CKA_ID).and_then(|id| self.labels.get(id))
            }
            _ => None,
        };
        if let Some(label) = label.filter(|_| unnamed) {
            put(&mut stored.attributes, Attr::bytes(CKA_LABEL, label));
        }
        Ok(stored)
    }
}

impl Databases {
    fn database(&self, table: Table) -> &Connection {
        if table == PRIVATE { &self.keys } else { &self.certificates }
    }

    fn numbers(&self, table: Table) -> rusqlite::Result<Vec<u32>> {
        let query = format!("SELECT id FROM {} ORDER BY id", table.0);
        self.database(table).prepare(&query)?.query_map([], |row| row.get(0))?.collect()
    }

    fn learn_labels(&mut self) -> rusqlite::Result<()> {
        for (table, id) in &self.rows {
            if *table != PUBLIC {
                continue;
            }
            // One that is damaged is told of when it is read for good.
            let Ok(stored) = self.row(*table, *id)? else { continue };
            let certificate = stored.number(CKA_CLASS) == Some(CKO_CERTIFICATE);
            if let (true, Some(label)) = (certificate, stored.bytes(CKA_LABEL))
                && !label.is_empty()
            {
                self.issued.insert(issued(&stored), label.to_vec());
                if let Some(id) = stored.bytes(CKA_ID).filter(|id| !id.is_empty()) {
                    self.labels.insert(id.to_vec(), label.to_vec());
                }
            }
        }
        Ok(())
    }

    fn row(&self, table: Table, id: u32) -> rusqlite::Result<Result<Stored, String>> {
        let mut statement =
            self.database(table).prepare_cached(&format!("SELECT * FROM {} WHERE id = ?1", table.0))?;
        let columns: Vec<Option<CK_ATTRIBUTE_TYPE>> = statement
            .column_names()
            .map(|name| CK_ATTRIBUTE_TYPE::from_str_radix(name.strip_prefix('a')?, 16).ok())
            .collect();
        let origin = format!("{} {id:#010x}", table.0);
        let mut rows = statement.query([id])?;
        let Some(row) = rows.next()? else { return Ok(Err(format!("{origin}: it is gone"))) };
        let mut attributes = Vec::new();
        let mut wrong = None;
        for (at, column) in columns.iter().enumerate() {
            let (Some(kind), ValueRef::Blob(value)) = (column, row.get_ref(at)?) else { continue };
            match self.attribute(table, id, *kind, value)? {
                Ok(attr) => attributes.extend(attr),
                Err(why) => wrong = wrong.or(Some(format!("{origin}: {}: {why}", attribute::name(*kind)))),
            }
        }
        Ok(wrong.map_or(Ok(Stored { origin, attributes }), Err))
    }

    /// An attribute, if it is one of PKCS#11's own or says whom NSS trusts; or what is wrong with it.
    fn attribute(
        &self,
        (table, name): Table,
        object: u32,
        kind: CK_ATTRIBUTE_TYPE,
        value: &[u8],
    ) -> rusqlite::Result<Result<Option<Attr>, &'static str>> {
        // A row's number is given with the flags of its database where NSS of some versions changed the password.
        let names =
            [object, object | 0xc000_0000].map(|object| format!("sig_{name}_{object:08x}_{kind:08x}"));
        let mut mac: Option<Vec<u8>> = None;
        for id in names {
            if mac.is_none() {
                let query = "SELECT item1 FROM metaData WHERE id = ?1";
                mac = self.keys.prepare_cached(query)?.query_row([id], |row| row.get(0)).optional()?;
            }
        }
        let authentic = |object, plain: &[u8]| match &mac {
            Some(mac) => nss_seal::authenticates(&self.password, mac, (object, kind as u32), plain),
            None => Ok(false),
        };
        let altered = "not authentic: it was altered, or belongs to another object";
        let opened = || {
            if table != PRIVATE.0 || !SECRET.contains(&kind) {
                return match mac.is_none() || authentic(object, value)? {
                    true => Ok(Zeroizing::new(value.to_vec())),
                    false => Err(altered),
                };
            }
            let plain = nss_seal::open(&self.password, value)?;
            match !nss_seal::is_authenticated(value) || authentic(0, &plain)? {
                true => Ok(plain),
                false => Err(altered),
            }
        };
        Ok(opened().map(|value| {
            let value = if value[..] == *EMPTY { &[] } else { &value[..] };
            let trust = USES.iter().any(|(known, _)| *known == kind).then_some(Kind::Ulong);
            match attribute::kind(kind).or(trust)? {
                // NSS writes numbers of four bytes, the most significant first.
                Kind::Ulong => Some(Attr::ulong(kind, u32::from_be_bytes(value.try_into().ok()?).into())),
                _ => Some(Attr::bytes(kind, value)),
            }
        }))
    }
}
