//! What the token remembers of its audit log.

use super::*;
use crate::crypto::edwards::PrivateKey;
use crate::storage::audit::{Head, RECORD};

impl<S: Storage + ?Sized> Sealed<S> {
    /// The key that signs the log for whoever is logged in.
    pub fn audit_signer(&self, keys: &Keys) -> Result<PrivateKey> {
        PrivateKey::new(keys.token.audit_seed().expose())
    }

    /// Remembers how far the log has come. Nothing where nothing can be written.
    pub fn remember_audit(&self, keys: &Keys, head: &Head) -> Result<()> {
        if self.storage.write_protected() || keys.rescue {
            return Ok(());
        }
        self.storage
            .transact(&mut |view| {
                if load_meta(view)?.token != keys.token.id {
                    fail!(DeviceRemoved, "the token was initialised again");
                }
                if remembered(view, keys)?.is_some_and(|known| known.number >= head.number) {
                    return Ok(Batch::default());
                }
                let mut author = Author::new(view, &keys.token)?;
                author.put(RECORD.into(), head.body())?;
                Ok(author.finish())
            })
            .map(drop)
    }

    /// How far the log had come when the token last remembered it.
    pub fn audit_head(&self, keys: &Keys) -> Result<Option<Head>> {
        let mut head = None;
        self.storage.read(&mut |view| {
            head = remembered(view, keys)?;
            Ok(())
        })?;
        Ok(head)
    }
}

fn remembered(view: &dyn View, keys: &Keys) -> Result<Option<Head>> {
    let Some(record) = view.record(RECORD)? else { return Ok(None) };
    Head::parse(set::body(&record, Some(&keys.token))?).map(Some)
}
