//! What all running operations share: the key they began with, and how they end.

use super::recent::Kept;
use super::session::Session;
use crate::crypto::Secret;
use crate::error::{Result, Rv};
use crate::mechanism::{Begun, Mechanism, Params};
use crate::object::{Handle, Object, attribute};
use crate::token::{Use, quorum};
use cryptoki_sys::*;
use std::ops::Deref;

/// The outcome of a function that fills a buffer of the caller's (section 5.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// So many bytes were written; the operation is over.
    Done(usize),
    /// The caller gave no buffer: so many bytes will be needed at most. The operation goes on.
    Query(usize),
    /// The caller's buffer is too small: so many bytes are needed. The operation goes on.
    TooSmall(usize),
}

impl Answer {
    /// Whether the operation is over.
    pub fn is_done(self) -> bool {
        matches!(self, Answer::Done(_))
    }
}

/// An operation's key, from its beginning to its end.
pub struct InUse(pub Option<Kept>);

impl Deref for InUse {
    type Target = Object;

    #[inline]
    fn deref(&self) -> &Object {
        match &self.0 {
            Some(key) => key,
            None => unreachable!("an operation has its key until it ends"),
        }
    }
}

/// An operation where it runs and where the next one will: its key, held so that no token lock is taken while computing,
/// and its state. Each part is made in its place, see [`Begun`].
pub struct Operation<S: ?Sized> {
    /// The version of the key that the operation began with; none at rest.
    pub key: InUse,
    /// CKA_ALWAYS_AUTHENTICATE: the next use needs a context-specific login first.
    pub needs_login: bool,
    /// Whether data has come in pieces, so that the one-shot function is no longer allowed.
    pub in_parts: bool,
    /// Whether data must come in one piece, whatever the state could do.
    pub in_one_piece: bool,
    /// Output that was computed but did not fit, kept for the next call.
    pub pending: Option<Secret>,
    /// The mechanism's state.
    pub state: Begun<S>,
}

impl<S: ?Sized> Default for Operation<S> {
    /// At rest.
    fn default() -> Operation<S> {
        Operation {
            key: InUse(None),
            needs_login: false,
            in_parts: false,
            in_one_piece: false,
            pending: None,
            state: Begun::not_yet(),
        }
    }
}

impl<S: ?Sized> Operation<S> {
    /// Whether one runs.
    #[inline]
    pub fn runs(&self) -> bool {
        self.key.0.is_some()
    }

    /// Begins with `key`, and as `begin` makes the state. None runs if that fails.
    ///
    /// # Errors
    /// Those of `begin`.
    #[inline]
    pub fn start(
        &mut self,
        key: Kept,
        begin: impl FnOnce(&Object, &mut Begun<S>) -> Result<()>,
    ) -> Result<()> {
        self.needs_login = key.is_true(CKA_ALWAYS_AUTHENTICATE);
        (self.in_parts, self.in_one_piece) = (false, false);
        begin(&key, &mut self.state)?;
        self.key = InUse(Some(key));
        Ok(())
    }

    /// Ends the one that runs; its key.
    #[inline]
    pub fn stop(&mut self) -> Option<Kept> {
        self.state.clear();
        self.pending = None;
        self.key.0.take()
    }
}

/// The running operation of a kind, ready for a call.
///
/// # Errors
/// CKR_OPERATION_NOT_INITIALIZED, also if the key was destroyed or its user logged out since;
/// CKR_USER_NOT_LOGGED_IN if the key wants a login of its own.
#[inline]
pub fn running<S: ?Sized>(operation: &mut Operation<S>) -> Result<&mut Operation<S>> {
    match &operation.key.0 {
        Some(key) if key.is_revoked() => {
            operation.stop();
            fail!(OperationNotInitialized);
        }
        Some(_) if operation.needs_login => {
            fail!(
                UserNotLoggedIn,
                "CKA_ALWAYS_AUTHENTICATE: the key wants a context-specific login for each use"
            )
        }
        Some(_) => Ok(operation),
        None => fail!(OperationNotInitialized),
    }
}

/// An operation of any kind, at rest or not.
pub trait Keyed {
    /// The key of the one that runs.
    fn key(&self) -> Option<&Object>;

    /// Whether the one that runs waits for a context-specific login.
    fn login_needed(&mut self) -> Option<&mut bool>;

    /// Ends the one that runs.
    fn end(&mut self);
}

impl<S: ?Sized> Keyed for Operation<S> {
    fn key(&self) -> Option<&Object> {
        self.key.0.as_ref().map(|key| &***key)
    }

    fn login_needed(&mut self) -> Option<&mut bool> {
        self.runs().then_some(&mut self.needs_login)
    }

    fn end(&mut self) {
        if self.runs() {
            self.stop();
        }
    }
}

impl Session {
    /// Ends the operation on any error but those after which section 5.2 keeps it alive, and when it is done.
    #[inline(always)]
    pub(super) fn settle<S: ?Sized>(
        &self,
        operation: &mut Operation<S>,
        answer: Result<Answer>,
    ) -> Result<Answer> {
        match &answer {
            Ok(answer) if !answer.is_done() => {}
            Err(error) if error.rv() == Rv::UserNotLoggedIn => {}
            _ => self.end(operation),
        }
        answer
    }

    /// Ends the operation, if one runs; its key is at hand for the next one.
    pub(super) fn end<S: ?Sized>(&self, operation: &mut Operation<S>) {
        if let Some(key) = operation.stop() {
            self.give_back(key);
        }
    }

    /// The key for an operation, judged: it is there, of the right class and type, allows this use and this
    /// mechanism, its dates hold, its size is in the mechanism's range and the token's policy agrees, also to the
    /// mechanism's parameter.
    ///
    /// # Errors
    /// CKR_KEY_HANDLE_INVALID, CKR_KEY_TYPE_INCONSISTENT, CKR_KEY_FUNCTION_NOT_PERMITTED,
    /// CKR_MECHANISM_INVALID, CKR_MECHANISM_PARAM_INVALID, CKR_KEY_SIZE_RANGE; CKR_FUNCTION_REJECTED without the
    /// approvals that the key takes.
    pub(super) fn key_for(
        &self,
        usage: Use,
        mechanism: &'static Mechanism,
        params: &Params,
        handle: Handle,
    ) -> Result<Kept> {
        self.judged_key(usage, mechanism, params, handle, false)
    }

    /// The same, lent to an operation until [`Session::settle`] ends it.
    ///
    /// # Errors
    /// As [`Session::key_for`].
    pub(super) fn lent_key_for(
        &self,
        usage: Use,
        mechanism: &'static Mechanism,
        params: &Params,
        handle: Handle,
    ) -> Result<Kept> {
        self.judged_key(usage, mechanism, params, handle, true)
    }

    fn judged_key(
        &self,
        usage: Use,
        mechanism: &'static Mechanism,
        params: &Params,
        handle: Handle,
        lent: bool,
    ) -> Result<Kept> {
        let mut guarded = false;
        let key = self.fit_key(usage, mechanism, handle, lent, |key| {
            // An approval is for one use.
            guarded = quorum::is_guarded(key);
            Ok(judge(self, usage, mechanism, key)? && !guarded)
        })?;
        self.policy().judge_parameter(usage, mechanism, params)?;
        if guarded {
            self.spend(usage, &key)?;
        }
        if self.token().audits_uses() {
            self.token().record_use(usage.row().verb, mechanism.name, &key)?;
        }
        Ok(key)
    }
}

/// True if the judgement holds as long as the key stays what it is.
fn judge(session: &Session, usage: Use, mechanism: &Mechanism, key: &Object) -> Result<bool> {
    let row = usage.row();
    let (class, name) = (key.class(), mechanism.name);
    if !row.classes(mechanism).contains(&class) {
        fail!(KeyTypeInconsistent, "{name} takes no key of class {class:#x} to {}", row.verb);
    }
    if !key.key_type().is_some_and(|key_type| mechanism.keys.types.contains(&key_type)) {
        fail!(KeyTypeInconsistent, "{name} takes no key of type {:#x}", key.key_type().unwrap_or(0));
    }
    let permission = row.permission(mechanism, class);
    if !key.is_true(permission) {
        fail!(KeyFunctionNotPermitted, "{} is not set on the key", attribute::name(permission));
    }
    if let Some(allowed) = key.attributes().mechanisms(CKA_ALLOWED_MECHANISMS)
        && !allowed.is_empty()
        && !allowed.contains(&mechanism.number)
    {
        fail!(MechanismInvalid, "CKA_ALLOWED_MECHANISMS of the key does not list {name}");
    }
    session.policy().judge(usage, mechanism, key)
}
