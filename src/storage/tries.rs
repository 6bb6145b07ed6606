//! Failed tries at a PIN (records `c`).
//!
//! A try is written and synced before the PIN is looked at, so no kill and no crowd of processes gets more
//! than the limit. `reserved` counts the tries begun since the last right PIN, `failed` those among them
//! that were wrong; the others are under way, or their process died, which counts as wrong.
//!
//! The record is not secret and not authenticated: who can write the file can guess at a copy of it.

use super::codec::{Reader, Writer};
use crate::error::Result;

/// The counter of one user.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Tries {
    /// Begun since the last right PIN.
    pub reserved: u32,
    /// Known to be wrong.
    pub failed: u32,
}

impl Tries {
    /// One more under way; none if the limit is reached.
    pub(super) fn reserve(self, limit: u32) -> Option<Tries> {
        (self.reserved < limit).then(|| Tries { reserved: self.reserved + 1, ..self })
    }

    /// One that was wrong. A right PIN may have reset the counter meanwhile.
    pub(super) fn wrong(self) -> Tries {
        let failed = self.failed.saturating_add(1);
        Tries { reserved: self.reserved.max(failed), failed }
    }

    /// Tries left.
    pub fn left(self, limit: u32) -> u32 {
        limit.saturating_sub(self.reserved)
    }

    pub(super) fn body(self) -> Vec<u8> {
        Writer::default().u8(1).u32(self.reserved).u32(self.failed).0
    }

    pub(super) fn parse(body: &[u8]) -> Result<Tries> {
        let mut from = Reader(body);
        if from.u8()? != 1 {
            fail!(DeviceError, "a PIN counter of another version");
        }
        let tries = Tries { reserved: from.u32()?, failed: from.u32()? };
        from.end()?;
        Ok(tries)
    }
}
