//! The keys that a session used last, so that beginning an operation with one of them meets no other thread.

use super::session::Session;
use crate::error::{Result, Rv};
use crate::mechanism::Mechanism;
use crate::object::{Handle, Object};
use crate::token::Use;
use std::ptr;
use std::sync::Arc;

/// A key as a session holds it. The outer count is the session's own: threads that use one key, each in a session
/// of its own, do not meet in the inner one.
pub(super) type Key = Arc<Arc<Object>>;

const KEYS: usize = 4;

struct Known {
    key: Key,
    /// The use that the key was last found fit for.
    judged: Option<(Use, &'static Mechanism)>,
}

/// The keys last used, with what was found of them. They are let go of as soon as they are revoked.
#[derive(Default)]
pub(super) struct RecentKeys {
    keys: [Option<Known>; KEYS],
    next: usize,
}

impl RecentKeys {
    fn position(&self, handle: Handle) -> Option<usize> {
        let is = |known: &Known| known.key.handle() == handle && known.key.is_current();
        self.keys.iter().position(|known| known.as_ref().is_some_and(is))
    }

    fn remember(&mut self, key: Arc<Object>) -> usize {
        let gone = |known: &Option<Known>| known.as_ref().is_none_or(|known| !known.key.is_current());
        let at = self.keys.iter().position(gone).unwrap_or(self.next);
        self.next = (at + 1) % KEYS;
        self.keys[at] = Some(Known { key: Arc::new(key), judged: None });
        at
    }

    /// Forgets what is revoked or superseded.
    pub(super) fn let_go(&mut self) {
        for known in &mut self.keys {
            known.take_if(|known| !known.key.is_current());
        }
    }
}

impl Session {
    fn recent(&self, keys: &mut RecentKeys, handle: Handle) -> Result<usize> {
        self.refresh()?;
        match keys.position(handle) {
            Some(at) => Ok(at),
            None => {
                let key = self.token().object(handle).map_err(|error| error.recode(Rv::KeyHandleInvalid))?;
                Ok(keys.remember(key))
            }
        }
    }

    /// A key by its handle.
    ///
    /// # Errors
    /// CKR_KEY_HANDLE_INVALID if there is none that this session may see.
    pub(super) fn key(&self, handle: Handle) -> Result<Key> {
        let mut keys = self.keys();
        let at = self.recent(&mut keys, handle)?;
        let Some(known) = &keys.keys[at] else { fail!(KeyHandleInvalid) };
        Ok(known.key.clone())
    }

    /// A key that `judge` finds fit for a use. It is asked once for a key, a use and a mechanism in a row; it says
    /// whether its word will hold later.
    ///
    /// # Errors
    /// As [`Session::key`]; those of `judge`.
    pub(super) fn fit_key(
        &self,
        usage: Use,
        mechanism: &'static Mechanism,
        handle: Handle,
        judge: impl FnOnce(&Object) -> Result<bool>,
    ) -> Result<Key> {
        let mut keys = self.keys();
        let at = self.recent(&mut keys, handle)?;
        let Some(known) = &mut keys.keys[at] else { fail!(KeyHandleInvalid) };
        if !known.judged.is_some_and(|(as_what, by)| as_what == usage && ptr::eq(by, mechanism)) {
            let holds = judge(&known.key)?;
            known.judged = holds.then_some((usage, mechanism));
        }
        Ok(known.key.clone())
    }
}
