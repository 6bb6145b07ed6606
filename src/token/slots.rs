//! The slots: one a token file, numbered by the file's name, and a free one to initialise.

use super::config::{Config, Profile};
use super::token::Token;
use crate::error::Result;
use crate::kernel::biased::RwLock;
use crate::storage::place::Place;
use cryptoki_sys::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// All slots of the module.
pub struct Slots {
    config: Arc<Config>,
    place: Arc<Place>,
    /// Tokens that were looked at once stay, so that their sessions share them.
    tokens: RwLock<BTreeMap<CK_SLOT_ID, Arc<Token>>>,
    /// Object handles are counted over all tokens: one never means another object.
    handles: &'static AtomicU64,
}

impl Slots {
    pub(crate) fn new(config: Config, handles: &'static AtomicU64) -> Result<Slots> {
        let place = Arc::new(Place::open(&config.token_dir)?);
        Ok(Slots { config: Arc::new(config), place, tokens: RwLock::default(), handles })
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// Of all tokens.
    pub(crate) fn profile(&self) -> Profile {
        self.config.profile
    }

    /// The slots' numbers in ascending order: those of the tokens there are, then the lowest free one. The
    /// cloudhsm profile shows one slot, since its clients ask for exactly one.
    pub(crate) fn list(&self) -> Result<Vec<CK_SLOT_ID>> {
        let mut slots = self.taken()?;
        match (self.config.profile, slots.is_empty()) {
            (Profile::CloudHsm, false) => slots.truncate(1),
            _ => slots.push(lowest_free(&slots)),
        }
        Ok(slots)
    }

    /// The lowest slot without a token.
    pub(crate) fn free(&self) -> Result<CK_SLOT_ID> {
        let taken = self.taken()?;
        match self.config.profile {
            Profile::CloudHsm if !taken.is_empty() => {
                fail!(SlotIdInvalid, "the cloudhsm profile has one slot only")
            }
            _ => Ok(lowest_free(&taken)),
        }
    }

    fn taken(&self) -> Result<Vec<CK_SLOT_ID>> {
        Ok(self.place.list()?.into_iter().map(|slot| slot as CK_SLOT_ID).collect())
    }

    /// The token in a slot.
    pub(crate) fn token(&self, slot: CK_SLOT_ID) -> Result<Arc<Token>> {
        if let Some(token) = self.tokens.read().get(&slot) {
            return Ok(token.clone());
        }
        if !self.list()?.contains(&slot) {
            fail!(SlotIdInvalid, "there is no slot {slot}");
        }
        let mut tokens = self.tokens.write();
        let token = tokens.entry(slot).or_insert_with(|| {
            Arc::new(Token::new(slot, self.config.clone(), self.place.clone(), self.handles))
        });
        Ok(token.clone())
    }
}

fn lowest_free(taken: &[CK_SLOT_ID]) -> CK_SLOT_ID {
    (0..).find(|slot| !taken.contains(slot)).unwrap_or(CK_SLOT_ID::MAX)
}
