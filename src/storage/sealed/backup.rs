//! Backups of a token, and tokens out of backups.

use super::*;
use crate::crypto::seal::KemPair;
use crate::storage::backup::{self, Steps, Tell};
use crate::storage::escrow;
use std::io::{Read, Write};

impl<S: Storage + ?Sized> Sealed<S> {
    /// Writes everything there is, as of one moment, for [`restore`]. Whoever is logged in may: what is not theirs
    /// stays sealed. With the public half of an escrow key, which an SO's keys alone can use, it opens with that too.
    ///
    /// # Errors
    /// As [`Sealed::load`]: a token that is not what was written is not backed up; CKR_USER_NOT_LOGGED_IN for an
    /// escrow key unless `keys` are an SO's; those of writing.
    pub fn backup(
        &self,
        keys: &Keys,
        escrow: Option<&[u8]>,
        to: &mut dyn Write,
        tell: Tell<'_>,
    ) -> Result<Revision> {
        let escrow = match escrow {
            Some(public) => Some((public, keys.admin()?)),
            None => None,
        };
        let changes = self.storage.load(Revision(0))?;
        let mut steps = Steps::new(tell);
        // What the header has of them is written at once.
        steps.total = 2 * changes.records.len()
            - changes.records.iter().filter(|one| backup::in_the_header(one)).count();
        authentic(&keys.token, &changes, &mut steps)?;
        backup::write(to, &keys.token, &changes, escrow, &mut steps)?;
        Ok(changes.upto)
    }
}

/// Fills an empty storage with the token in a backup, users, PINs and all, as it was.
///
/// # Errors
/// CKR_PIN_INCORRECT (an unknown name as well); CKR_TOKEN_NOT_RECOGNIZED if it is no backup; CKR_DEVICE_ERROR if it
/// is damaged, forged or cut short; those of writing.
pub fn restore<S: Storage + ?Sized>(
    from: &mut dyn Read,
    role: Role,
    name: &str,
    pin: &[u8],
    to: &S,
    tell: Tell<'_>,
) -> Result<Meta> {
    let (header, start) = backup::header(from)?;
    let find = |key: &[u8]| header.records.iter().find(|record| record.key == key);
    let user = match find(&user_record(role, name)) {
        Some(record) => User::parse(set::body(record, None)?)?,
        None => return Err(Rv::PinIncorrect.into()),
    };
    let Some(key) = user.open(&header.token, pin)? else { return Err(Rv::PinIncorrect.into()) };
    let token = user.open_token(&header.token, &key)?;
    let mut steps = Steps::new(tell);
    let changes = backup::read(from, header, &start, &token, &mut steps)?;
    let meta = authentic(&token, &changes, &mut steps)?;
    to.fill(&changes, &mut || steps.step())?;
    Ok(meta)
}

/// The same by the escrow key that the backup was made for: the founding SO gets the PIN `so_pin`, and can set those of
/// the other users that were made with escrow. Theirs are what they were.
///
/// # Errors
/// CKR_ARGUMENTS_BAD if the backup was made without an escrow key, or for another; otherwise as [`restore`].
pub fn restore_by_escrow<S: Storage + ?Sized>(
    from: &mut dyn Read,
    pair: &KemPair,
    so_pin: &[u8],
    to: &S,
    tell: Tell<'_>,
) -> Result<Meta> {
    let (header, start) = backup::header(from)?;
    let Some(grant) = &header.escrow else {
        fail!(ArgumentsBad, "the backup was made without an escrow key: a PIN opens it")
    };
    let escrow::Opened { token, admin } = escrow::open(pair, &header.token, &header.salt, grant)?;
    let mut steps = Steps::new(tell);
    let changes = backup::read(from, header, &start, &token, &mut steps)?;
    let meta = authentic(&token, &changes, &mut steps)?;
    let (mut founder, key) = User::new(&token, Role::So, "", so_pin, meta.kdf, None)?;
    founder.appoint(&token.id, &key, &admin)?;
    to.fill(&changes, &mut || steps.step())?;
    to.transact(&mut |view| {
        let mut author = Author::new(view, &token)?;
        author.put(user_record(Role::So, ""), founder.body())?;
        author.put_plain(tries_record(Role::So, ""), Tries::default().body());
        Ok(author.finish())
    })?;
    Ok(meta)
}

/// That these are all the records of the token and each is what was written.
fn authentic(token: &TokenKeys, changes: &Changes, steps: &mut Steps<'_>) -> Result<Meta> {
    Verified::default().take_all(token, changes)?;
    let mut meta = None;
    for record in &changes.records {
        steps.step()?;
        match record.key.first() {
            Some(b'm' | b'u' | b'o' | b'a') => {
                let body = set::body(record, Some(token))?;
                if record.key == meta::RECORD {
                    meta = Some(Meta::parse(body)?);
                }
            }
            _ => drop(set::plain_body(record)?),
        }
    }
    match meta {
        Some(meta) if meta.token == token.id => Ok(meta),
        _ => fail!(DeviceError, "the token's own record is gone"),
    }
}
