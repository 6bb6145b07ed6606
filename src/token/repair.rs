//! What the operator does about a token that does not open as it should, and what can be told of one without a PIN.

use super::token::Token;
use super::users::role;
use super::{User, pin};
use crate::error::{Error, Result};
use crate::storage::Revision;
use crate::storage::keyring::Kdf;
use crate::storage::meta::{FORMAT, LifePolicy};
use crate::storage::sealed::{Keys, Sealed};
use crate::storage::sqlite::Sqlite;
use std::path::PathBuf;
use std::sync::Arc;

/// What can be told of a token without a PIN. Nothing of it is authenticated before a login.
#[derive(Clone, Debug)]
pub struct Details {
    /// Its file.
    pub path: PathBuf,
    /// Sixteen hexadecimal digits.
    pub serial: String,
    /// What it was last written in, and what is written today.
    pub format: (u8, u8),
    /// Seconds since 1970.
    pub created: u64,
    /// In FIPS mode, for life.
    pub fips: bool,
    /// Decided when it was made, for life; none if the configuration decides.
    pub policy: Option<&'static str>,
    /// How a PIN becomes a key.
    pub kdf: Kdf,
    /// An SO can set a forgotten PIN anew and keep the objects.
    pub pins_can_be_reset: bool,
    /// Objects are used and not written.
    pub limited_write: bool,
    /// Whose they may be.
    pub objects: usize,
    /// What is damaged, as far as it shows without a PIN.
    pub damaged: Vec<String>,
    /// The transactions so far.
    pub revision: u64,
    /// Where the audit log is, whether there is one or not.
    pub audit: PathBuf,
}

/// A token opened to save what is there.
pub struct Rescue {
    token: Arc<Sealed<Sqlite>>,
    keys: Keys,
    /// What is wrong with the records as a whole; a login is refused for it.
    pub wrong: Option<Error>,
    /// The objects that are sound.
    pub sound: usize,
    /// Each that is not, and why.
    pub damaged: Vec<Error>,
}

impl Rescue {
    /// Declares the records that are there to be the token, and removes the objects that are damaged.
    ///
    /// # Errors
    /// Those of writing.
    pub fn accept(&self) -> Result<()> {
        self.token.accept(&self.keys)
    }
}

impl Token {
    /// What can be told without a PIN.
    ///
    /// # Errors
    /// CKR_TOKEN_NOT_RECOGNIZED, CKR_DEVICE_ERROR.
    pub fn details(&self) -> Result<Details> {
        let opened = self.initialised()?;
        let meta = opened.sealed.info()?.meta;
        let loaded = opened.sealed.load(Revision(0), None)?;
        let serial = meta.serial();
        Ok(Details {
            path: self.place.path(self.slot as u64),
            audit: self.place.directory().join(format!("{serial}.audit")),
            serial,
            format: (meta.format, FORMAT),
            created: meta.created,
            fips: meta.fips,
            policy: match meta.policy {
                LifePolicy::Unset => None,
                LifePolicy::Spec => Some("spec"),
                LifePolicy::Strict => Some("strict"),
            },
            kdf: meta.kdf,
            pins_can_be_reset: meta.escrow,
            limited_write: meta.limited_write,
            objects: loaded.stored.len(),
            damaged: loaded.refused.iter().map(|(_, error)| error.to_string()).collect(),
            revision: loaded.upto.0,
        })
    }

    /// Logs in to a token that refuses every login because its records are not those that were written.
    ///
    /// # Errors
    /// CKR_PIN_INCORRECT, CKR_PIN_LOCKED; CKR_TOKEN_NOT_RECOGNIZED if not even that is left.
    pub fn rescue(&self, user: User, name: &[u8], pin: &[u8]) -> Result<Rescue> {
        let sealed = self.initialised()?.sealed.clone();
        let (keys, loaded, wrong) = sealed.rescue(role(user), &pin::canonical(user, name)?, pin)?;
        let damaged = loaded.refused.into_iter().map(|(_, error)| error);
        let (sound, damaged) = (loaded.stored.len(), damaged.collect());
        Ok(Rescue { token: sealed, keys, wrong, sound, damaged })
    }

    /// Gives a locked user, or an SO whom nobody else can help, all tries back. Whoever can write the token's file can;
    /// the PIN stays what it is.
    ///
    /// # Errors
    /// CKR_ARGUMENTS_BAD if there is no such user; those of writing.
    pub fn forgive(&self, user: User, name: &[u8]) -> Result<()> {
        let (sealed, name) = (self.initialised()?.sealed.clone(), pin::canonical(user, name)?);
        if !sealed.users()?.iter().any(|there| there.role == role(user) && there.name == name) {
            fail!(ArgumentsBad, "there is no such user");
        }
        self.audited("forgive", || super::users::shown(user, &name), || sealed.forgive(role(user), &name))
    }

    /// Writes the token in today's format, as far as an SO can.
    ///
    /// # Errors
    /// CKR_USER_NOT_LOGGED_IN unless an SO is.
    pub fn upgrade(&self) -> Result<()> {
        self.audited("upgrade", String::new, || self.as_so(|opened, keys| opened.sealed.upgrade(keys)))
    }
}
