//! What a token says about itself before anyone logs in (record `m`).

use super::codec::{Reader, Writer};
use super::keyring::{Kdf, TokenId};
use crate::error::Result;

/// The record of it.
pub(super) const RECORD: &[u8] = b"m";
/// Of all records; a token of a later one is refused by name. Format 1 had one SO and nothing shared, format 2 another
/// form of attributes; both are read as they stand, and each record is written in the new format when it is written at
/// all.
pub const FORMAT: u8 = 3;
/// Longest label, in bytes (CK_TOKEN_INFO).
pub const MAX_LABEL: usize = 32;

/// How much is refused for the life of the token, whatever the configuration says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum LifePolicy {
    /// As configured.
    #[default]
    Unset,
    /// What the standard refuses.
    Spec,
    /// Also what is allowed but unwise.
    Strict,
}

/// What a token says about itself. Authenticated at each login; before that it is only what the file says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Meta {
    /// What it was last written in.
    pub format: u8,
    /// Drawn anew by each initialisation.
    pub token: TokenId,
    /// Not padded, at most [`MAX_LABEL`] bytes.
    pub label: String,
    /// Seconds since 1970.
    pub created: u64,
    /// Made in FIPS mode, for life.
    pub fips: bool,
    /// Decided when it was made, for life.
    pub policy: LifePolicy,
    /// The profile it was made under.
    pub profile: String,
    /// For new PINs; what is stored never gets cheaper.
    pub kdf: Kdf,
    /// Wrong PINs until the SO is locked out.
    pub so_tries: u32,
    /// Wrong PINs until a user is locked out.
    pub user_tries: u32,
    /// The SO can set a forgotten PIN anew and keep the objects.
    pub escrow: bool,
    /// Objects can be used and not changed.
    pub limited_write: bool,
}

impl Meta {
    /// CK_TOKEN_INFO's serial number: 16 hexadecimal digits.
    pub fn serial(&self) -> String {
        self.token[..8].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub(super) fn body(&self) -> Vec<u8> {
        let body = Writer::default()
            .u8(FORMAT)
            .raw(&self.token)
            .bytes(self.label.as_bytes())
            .u64(self.created)
            .u8(self.fips.into())
            .u8(self.policy as u8)
            .bytes(self.profile.as_bytes());
        self.kdf
            .write(body)
            .u32(self.so_tries)
            .u32(self.user_tries)
            .u8(u8::from(self.escrow) | u8::from(self.limited_write) << 1)
            .0
    }

    pub(super) fn parse(body: &[u8]) -> Result<Meta> {
        let mut from = Reader(body);
        let format = from.u8()?;
        if !(1..=FORMAT).contains(&format) {
            fail!(TokenNotRecognized, "format {format}, but this Coffer knows 1 to {FORMAT}");
        }
        let token = from.array()?;
        let label = from.text()?.to_owned();
        let created = from.u64()?;
        let fips = from.u8()? == 1;
        let policy = match from.u8()? {
            0 => LifePolicy::Unset,
            1 => LifePolicy::Spec,
            2 => LifePolicy::Strict,
            other => fail!(TokenNotRecognized, "unknown policy {other}"),
        };
        let profile = from.text()?.to_owned();
        let kdf = Kdf::read(&mut from)?;
        let (so_tries, user_tries, flags) = (from.u32()?, from.u32()?, from.u8()?);
        from.end()?;
        let (escrow, limited_write) = (flags & 1 != 0, flags & 2 != 0);
        Ok(Meta {
            format,
            token,
            label,
            created,
            fips,
            policy,
            profile,
            kdf,
            so_tries,
            user_tries,
            escrow,
            limited_write,
        })
    }
}
