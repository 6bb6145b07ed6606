//! A token as one file: its users' records, by which a PIN opens it, and everything sealed under the token's key.
//!
//! A backup is taken from one consistent state while others write. Its records stay sealed as they are in the
//! token; around them is a second seal over the whole file, so that nothing of it is read, changed, cut off or put
//! together from two files without a PIN of the token as it was then, or the escrow key it was made for.

use super::codec::{MAX_BYTES, Reader, Writer};
use super::escrow::{self, EscrowId};
use super::keyring::{Role, TokenId, TokenKeys, User, user_records};
use super::meta::{self, Meta};
use super::set;
use super::{Changes, Record, Revision, Stamp};
use crate::crypto::Secret;
use crate::crypto::seal::{self, NONCE, TAG, random_array, sha256};
use crate::error::{Error, Result, Rv};
use std::io::{ErrorKind, Read, Write};

const MAGIC: &[u8; 8] = b"CofferBk";
/// Without an escrow key, and with one.
const FORMATS: [u8; 2] = [1, 2];
/// Plain bytes of every sealed piece but the last. A record may go over several.
const PIECE: usize = 1 << 20;
/// The largest header that is read: more than 1024 users' records.
const MAX_HEADER: usize = 8 << 20;

/// What a backup says before it is opened; authenticated once it has been.
pub(super) struct Header {
    pub(super) token: TokenId,
    pub(super) revision: Revision,
    pub(super) salt: [u8; 16],
    /// The records `m` and `u`.
    pub(super) records: Vec<Record>,
    /// What opens with an escrow key.
    pub(super) escrow: Option<Vec<u8>>,
}

/// Is told how far long work is: steps done, of how many. Its error ends the work.
pub type Tell<'a> = &'a mut dyn FnMut(usize, usize) -> Result<()>;

/// Counts the records that were gone through, each as often as it is.
pub(super) struct Steps<'a> {
    tell: Tell<'a>,
    done: usize,
    /// All there will be.
    pub(super) total: usize,
}

impl<'a> Steps<'a> {
    pub(super) fn new(tell: Tell<'a>) -> Steps<'a> {
        Steps { tell, done: 0, total: 0 }
    }

    pub(super) fn step(&mut self) -> Result<()> {
        self.done += 1;
        // Often enough to be watched, and seldom enough to cost nothing.
        if self.done.is_multiple_of(64) || self.done == self.total {
            (self.tell)(self.done, self.total)?;
        }
        Ok(())
    }
}

fn failed(error: std::io::Error) -> Error {
    match error.kind() {
        ErrorKind::UnexpectedEof => Rv::DeviceError.because("the backup is cut short"),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Rv::DeviceMemory.because(error.to_string()),
        _ => Rv::DeviceError.because(error.to_string()),
    }
}

pub(super) fn in_the_header(record: &Record) -> bool {
    let users = [Role::So, Role::User].map(user_records);
    record.key == meta::RECORD || users.iter().any(|prefix| record.key.starts_with(prefix))
}

fn put(to: Writer, record: &Record) -> Writer {
    to.bytes(&record.key).u64(record.revision.0).bytes(record.value.as_deref().unwrap_or_default())
}

fn take(from: &mut Reader) -> Result<Record> {
    let (key, revision, value) = (from.bytes()?, Revision(from.u64()?), from.bytes()?);
    Ok(Record { key: key.into(), revision, value: Some(value.into()) })
}

/// The seal of one backup's pieces.
struct Pieces {
    key: Secret,
    header: [u8; 32],
    next: u64,
}

impl Pieces {
    fn new(token: &TokenKeys, salt: &[u8; 16], header: &[u8]) -> Pieces {
        Pieces { key: token.backup_key(salt), header: sha256(&[header]), next: 0 }
    }

    /// The nonce and the associated data of the next piece.
    fn place(&mut self, last: bool) -> ([u8; NONCE], Vec<u8>) {
        let mut nonce = [0; NONCE];
        nonce[4..].copy_from_slice(&self.next.to_be_bytes());
        self.next += 1;
        (nonce, [&self.header[..], &[u8::from(last)]].concat())
    }

    fn write(&mut self, to: &mut dyn Write, plain: &[u8], last: bool) -> Result<()> {
        let (nonce, aad) = self.place(last);
        let sealed = seal::seal(&self.key, &nonce, &aad, plain)?;
        let head = Writer::default().u8(last.into()).u32(sealed.len() as u32).0;
        to.write_all(&head).and_then(|()| to.write_all(&sealed)).map_err(failed)
    }

    /// The next piece, and whether it is the last.
    fn read(&mut self, from: &mut dyn Read) -> Result<(Secret, bool)> {
        let mut head = [0; 5];
        from.read_exact(&mut head).map_err(failed)?;
        let mut head = Reader(&head);
        let (last, len) = (head.u8()? == 1, head.u32()? as usize);
        if !(TAG..=PIECE + TAG).contains(&len) {
            fail!(DeviceError, "the backup has a piece of {len} bytes");
        }
        let mut sealed = vec![0; len];
        from.read_exact(&mut sealed).map_err(failed)?;
        let (nonce, aad) = self.place(last);
        match seal::open(&self.key, &nonce, &aad, &sealed) {
            Some(plain) => Ok((plain, last)),
            None => fail!(DeviceError, "the backup is damaged or forged"),
        }
    }
}

/// What a backup says of itself to whoever can read the file. Nothing of it is authenticated before it is restored.
#[derive(Clone, Debug)]
pub struct Outside {
    /// What the token said of itself.
    pub meta: Meta,
    /// The state that was backed up.
    pub revision: Revision,
    /// The roles and names of those whose PINs open it.
    pub users: Vec<(Role, String)>,
    /// The escrow key that opens it.
    pub escrow: Option<EscrowId>,
}

/// Reads what a backup says of itself.
///
/// # Errors
/// CKR_TOKEN_NOT_RECOGNIZED if it is no backup; CKR_DEVICE_ERROR if it is damaged or cannot be read.
pub fn outside(from: &mut dyn Read) -> Result<Outside> {
    let (header, _) = header(from)?;
    let (mut meta, mut users) = (None, Vec::new());
    for record in &header.records {
        let body = set::body(record, None)?;
        if record.key == meta::RECORD {
            meta = Some(Meta::parse(body)?);
        } else {
            let user = User::parse(body)?;
            users.push((user.role, user.name));
        }
    }
    let Some(meta) = meta else { fail!(DeviceError, "the backup lacks the token's own record") };
    let escrow = header.escrow.as_deref().map(escrow::recipient).transpose()?;
    Ok(Outside { meta, revision: header.revision, users, escrow })
}

/// Writes a backup of what was loaded; with an escrow key's public half and the admin key, for that too.
pub(super) fn write(
    to: &mut dyn Write,
    token: &TokenKeys,
    changes: &Changes,
    escrow: Option<(&[u8], &Secret)>,
    steps: &mut Steps<'_>,
) -> Result<()> {
    let salt: [u8; 16] = random_array();
    let grant = escrow.map(|(public, admin)| escrow::grant(public, token, admin, &salt)).transpose()?;
    let (heads, body): (Vec<&Record>, Vec<&Record>) =
        changes.records.iter().partition(|record| in_the_header(record));
    let header = Writer::default().raw(&token.id).u64(changes.upto.0).raw(&salt).u32(heads.len() as u32);
    let header = heads.into_iter().fold(header, put);
    let (format, header) = match grant {
        None => (FORMATS[0], header.0),
        Some(grant) => (FORMATS[1], header.bytes(&grant).0),
    };
    if header.len() > MAX_HEADER {
        fail!(DeviceMemory, "more users than a backup has room for");
    }
    let start = Writer::default().raw(MAGIC).u8(format).bytes(&header).0;
    to.write_all(&start).map_err(failed)?;
    let mut pieces = Pieces::new(token, &salt, &start);
    let mut buffer = Writer::default().u64(body.len() as u64);
    for record in body {
        steps.step()?;
        buffer = put(buffer, record);
        while buffer.0.len() > PIECE {
            let rest = buffer.0.split_off(PIECE);
            pieces.write(to, &buffer.0, false)?;
            buffer.0 = rest;
        }
    }
    pieces.write(to, &buffer.0, true)
}

/// Reads the start of a backup; [`read`] needs its bytes.
pub(super) fn header(from: &mut dyn Read) -> Result<(Header, Vec<u8>)> {
    let mut start = [0; 13];
    from.read_exact(&mut start).map_err(failed)?;
    let mut reader = Reader(&start);
    if reader.array()? != *MAGIC {
        fail!(TokenNotRecognized, "not a backup of a Coffer token");
    }
    let (format, len) = (reader.u8()?, reader.u32()? as usize);
    if !FORMATS.contains(&format) {
        fail!(TokenNotRecognized, "backup format {format}, but this Coffer knows {FORMATS:?}");
    }
    if len > MAX_HEADER {
        fail!(DeviceError, "the backup claims a header of {len} bytes");
    }
    let mut header = vec![0; len];
    from.read_exact(&mut header).map_err(failed)?;
    let mut fields = Reader(&header);
    let (token, revision, salt) = (fields.array()?, Revision(fields.u64()?), fields.array()?);
    let count = fields.u32()?;
    let records = (0..count).map(|_| take(&mut fields)).collect::<Result<_>>()?;
    let escrow = if format == FORMATS[1] { Some(fields.bytes()?.to_vec()) } else { None };
    fields.end()?;
    Ok((Header { token, revision, salt, records, escrow }, [&start[..], &header].concat()))
}

/// Reads the rest of a backup: everything that the token was.
///
/// It is the first of three times that the records are gone through.
pub(super) fn read(
    from: &mut dyn Read,
    header: Header,
    start: &[u8],
    token: &TokenKeys,
    steps: &mut Steps<'_>,
) -> Result<Changes> {
    let mut pieces = Pieces::new(token, &header.salt, start);
    let (mut records, mut buffer, mut wanted) = (header.records, Vec::new(), None);
    loop {
        let (piece, last) = pieces.read(from)?;
        buffer.extend_from_slice(piece.expose());
        let mut reader = Reader(&buffer);
        if wanted.is_none() {
            let count = reader.u64()?;
            wanted = Some(count);
            steps.total = records.len().saturating_mul(2).saturating_add((count as usize).saturating_mul(3));
        }
        let mut rest = reader;
        // A record that goes on in the next piece is taken then.
        while let Ok(record) = take(&mut reader) {
            rest = reader;
            records.push(record);
            wanted = wanted.and_then(|wanted| wanted.checked_sub(1));
            steps.step()?;
        }
        buffer = rest.0.to_vec();
        if last {
            break;
        }
        if buffer.len() > 2 * MAX_BYTES {
            fail!(DeviceError, "the backup has a record that does not end");
        }
    }
    if !buffer.is_empty() || wanted != Some(0) || from.read(&mut [0]).map_err(failed)? != 0 {
        fail!(DeviceError, "the backup does not end where it should");
    }
    Ok(Changes { upto: header.revision, stamp: Stamp::UNKNOWN, records, complete: true })
}
