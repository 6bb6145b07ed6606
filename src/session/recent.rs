//! The objects that a session used last, so that going on with one of them meets no other thread.

use super::session::Session;
use crate::error::{Error, Result, Rv};
use crate::mechanism::Mechanism;
use crate::object::{Handle, Object};
use crate::token::Use;
use std::ptr;
use std::sync::Arc;

/// An object as a session holds it. The outer count is the session's own: threads that use one key, each in a
/// session of its own, do not meet in the inner one.
pub type Kept = Arc<Arc<Object>>;

const MOST: usize = 4;

struct Known {
    handle: Handle,
    /// `None` while an operation has it.
    object: Option<Kept>,
    /// The use that it was last found fit for.
    judged: Option<(Use, &'static Mechanism)>,
}

/// The objects last used, with what was found of them. They are let go of as soon as they are revoked.
#[derive(Default)]
pub(super) struct Recent {
    known: [Option<Known>; MOST],
    next: usize,
}

impl Recent {
    fn position(&self, handle: Handle) -> Option<usize> {
        let is = |known: &Known| {
            known.handle == handle && known.object.as_ref().is_some_and(|object| object.is_current())
        };
        self.known.iter().position(|known| known.as_ref().is_some_and(is))
    }

    fn remember(&mut self, object: Arc<Object>) -> usize {
        let gone = |known: &Option<Known>| {
            let object = known.as_ref().and_then(|known| known.object.as_ref());
            object.is_none_or(|object| !object.is_current())
        };
        let at = self.known.iter().position(gone).unwrap_or(self.next);
        self.next = (at + 1) % MOST;
        self.known[at] =
            Some(Known { handle: object.handle(), object: Some(Arc::new(object)), judged: None });
        at
    }

    /// Forgets all.
    pub(super) fn forget(&mut self) {
        self.known = Default::default();
    }

    /// Forgets what is revoked or superseded.
    pub(super) fn let_go(&mut self) {
        for known in &mut self.known {
            known.take_if(|known| known.object.as_ref().is_some_and(|object| !object.is_current()));
        }
    }
}

impl Session {
    /// One that is at hand, with its object.
    fn known<'a>(&self, recent: &'a mut Recent, handle: Handle) -> Result<&'a mut Known> {
        self.refresh()?;
        let at = match recent.position(handle) {
            Some(at) => at,
            None => recent.remember(self.token().object(handle)?),
        };
        match &mut recent.known[at] {
            Some(known) => Ok(known),
            None => fail!(ObjectHandleInvalid),
        }
    }

    /// An object by its handle.
    ///
    /// # Errors
    /// CKR_OBJECT_HANDLE_INVALID if there is none that this session may see.
    pub fn object(&self, handle: Handle) -> Result<Kept> {
        present(self.known(&mut self.recent(), handle)?.object.clone(), handle)
    }

    /// An object by its handle that the session need not remember.
    ///
    /// # Errors
    /// As [`Session::object`].
    pub(super) fn object_once(&self, handle: Handle) -> Result<Arc<Object>> {
        self.refresh()?;
        let recent = self.recent();
        let known = recent.position(handle).and_then(|at| recent.known[at].as_ref());
        match known.and_then(|known| known.object.as_ref()) {
            Some(object) => Ok(Arc::clone(object)),
            None => self.token().object(handle),
        }
    }

    /// A key by its handle.
    ///
    /// # Errors
    /// CKR_KEY_HANDLE_INVALID if there is none that this session may see.
    pub(super) fn key(&self, handle: Handle) -> Result<Kept> {
        let key = self.object(handle).map_err(no_key)?;
        // A key in use is asked for a dozen attributes at a time: it is taken apart once for all of them.
        key.attributes();
        Ok(key)
    }

    /// A key that `judge` finds fit for a use. It is asked once for a key, a use and a mechanism in a row; it says
    /// whether its word will hold later. A key that is `lent` is for [`Session::give_back`]: handing it over costs less
    /// than counting it.
    ///
    /// # Errors
    /// As [`Session::key`]; those of `judge`.
    pub(super) fn fit_key(
        &self,
        usage: Use,
        mechanism: &'static Mechanism,
        handle: Handle,
        lent: bool,
        judge: impl FnOnce(&Object) -> Result<bool>,
    ) -> Result<Kept> {
        let mut recent = self.recent();
        let Known { object, judged, .. } = self.known(&mut recent, handle).map_err(no_key)?;
        if !judged.is_some_and(|(as_what, by)| as_what == usage && ptr::eq(by, mechanism)) {
            let holds = object.as_ref().map_or(Ok(false), |object| judge(object))?;
            *judged = holds.then_some((usage, mechanism));
        }
        present(if lent { object.take() } else { object.clone() }, handle).map_err(no_key)
    }

    /// Takes back what was lent. What is not taken back is looked up at the token the next time.
    pub(super) fn give_back(&self, key: Kept) {
        let mut recent = self.recent();
        let mut lent = recent.known.iter_mut().flatten();
        if let Some(known) = lent.find(|known| known.object.is_none() && known.handle == key.handle()) {
            known.object = Some(key);
        }
    }
}

fn present(object: Option<Kept>, handle: Handle) -> Result<Kept> {
    match object {
        Some(object) => Ok(object),
        None => fail!(ObjectHandleInvalid, "no object {handle}"),
    }
}

fn no_key(error: Error) -> Error {
    match error.rv() {
        Rv::ObjectHandleInvalid => error.recode(Rv::KeyHandleInvalid),
        _ => error,
    }
}
