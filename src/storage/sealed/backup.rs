//! Backups of a token, and tokens out of backups.

use super::*;
use crate::storage::backup;
use std::io::{Read, Write};

impl<S: Storage + ?Sized> Sealed<S> {
    /// Writes everything there is, as of one moment, for [`restore`]. Whoever is logged in may: what is not theirs
    /// stays sealed.
    ///
    /// # Errors
    /// As [`Sealed::load`]: a token that is not what was written is not backed up; those of writing.
    pub fn backup(&self, keys: &Keys, to: &mut dyn Write) -> Result<Revision> {
        let changes = self.storage.load(Revision(0))?;
        authentic(&keys.token, &changes)?;
        backup::write(to, &keys.token, &changes)?;
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
) -> Result<Meta> {
    let (header, start) = backup::header(from)?;
    let find = |key: &[u8]| header.records.iter().find(|record| record.key == key);
    let user = match find(&user_record(role, name)) {
        Some(record) => User::parse(set::body(record, None)?)?,
        None => return Err(Rv::PinIncorrect.into()),
    };
    let Some(key) = user.open(&header.token, pin)? else { return Err(Rv::PinIncorrect.into()) };
    let token = user.open_token(&header.token, &key)?;
    let changes = backup::read(from, header, &start, &token)?;
    let meta = authentic(&token, &changes)?;
    to.fill(&changes)?;
    Ok(meta)
}

/// That these are all the records of the token and each is what was written.
fn authentic(token: &TokenKeys, changes: &Changes) -> Result<Meta> {
    Verified::default().take_all(token, changes)?;
    let mut meta = None;
    for record in &changes.records {
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
