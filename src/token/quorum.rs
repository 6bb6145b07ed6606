//! Approvals by several users, for what an SO does and for keys that say so.

use super::User;
use super::audit::unique;
use super::pin;
use super::token::{Login, Token};
use super::users::{UserEntry, role};
use crate::error::Result;
use crate::object::{CKA_COFFER_MANAGE_QUORUM, CKA_COFFER_USE_QUORUM, Object};
use crate::storage::quorum::Guarded;
pub use crate::storage::quorum::{MESSAGE, Service};
use crate::storage::sealed::{Keys, Sealed};
use crate::storage::sqlite::Sqlite;

/// A request that waits for approvals.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// Who asked.
    pub by: Option<UserEntry>,
    /// What for.
    pub service: Service,
    /// How many approvals it takes.
    pub need: u8,
    /// How many this login has shown.
    pub given: u8,
    /// Seconds until it ends.
    pub left: u64,
}

/// How many users must approve what a service does with a key; 0 or 1: none. Who could wrap a key out or share it alone
/// could use it alone, so managing it takes no fewer than its use.
pub fn need(key: &Object, service: Service) -> u8 {
    let value = |of| key.ulong(of).map_or(0, |value| u8::try_from(value).unwrap_or(u8::MAX));
    match service {
        Service::KeyManagement => value(CKA_COFFER_MANAGE_QUORUM).max(value(CKA_COFFER_USE_QUORUM)),
        _ => value(CKA_COFFER_USE_QUORUM),
    }
}

/// Whether anything that is done with the key takes approvals.
pub fn is_guarded(key: &Object) -> bool {
    [Service::KeyManagement, Service::KeyUsage].into_iter().any(|service| need(key, service) > 1)
}

impl Token {
    fn with_login<T>(&self, act: impl FnOnce(&Sealed<Sqlite>, &Keys) -> Result<T>) -> Result<T> {
        let login = self.login.read();
        let Some(Login { keys, .. }) = &*login else { fail!(UserNotLoggedIn) };
        act(&self.initialised()?.sealed, keys)
    }

    /// What must be approved before a service does something to a key.
    pub(super) fn guarded(&self, service: Service, key: &Object) -> Result<Option<Guarded>> {
        let need = need(key, service);
        // Asked at every use of a key, where threads must not meet in the lock of the objects.
        let id = if need > 1 { self.stored(key)? } else { None };
        Ok(id.map(|id| Guarded { service, object: Some(id), need }))
    }

    /// Asks for approval; what is to be signed.
    ///
    /// # Errors
    /// CKR_USER_NOT_LOGGED_IN; CKR_ARGUMENTS_BAD for a service of keys without a key, or with a session key.
    pub fn request_approval(&self, service: Service, key: Option<&Object>) -> Result<Vec<u8>> {
        let key = match key {
            None => None,
            Some(key) => match self.stored(key)? {
                Some(id) => Some((id, need(key, service))),
                None => fail!(ArgumentsBad, "session keys take no approvals"),
            },
        };
        let act = || self.with_login(|sealed, keys| sealed.request_approval(keys, service, key));
        self.audited("request approval", || format!("{service:?}"), act)
    }

    /// Registers the key that whoever is logged in approves with.
    ///
    /// # Errors
    /// CKR_USER_NOT_LOGGED_IN; CKR_ARGUMENTS_BAD; CKR_SIGNATURE_INVALID.
    pub fn register_approver(&self, info: &[u8], signature: &[u8]) -> Result<()> {
        let act = || self.with_login(|sealed, keys| sealed.register_approver(keys, info, signature));
        self.audited("register approver", String::new, act)
    }

    /// Takes in one user's approval of a request of whoever is logged in. It counts until the logout.
    ///
    /// # Errors
    /// CKR_USER_NOT_LOGGED_IN; CKR_ARGUMENTS_BAD; CKR_ACTION_PROHIBITED; CKR_SIGNATURE_INVALID.
    pub fn add_approval(&self, message: &[u8], user: User, name: &[u8], signature: &[u8]) -> Result<()> {
        let name = pin::canonical(user, name)?;
        let act = || {
            self.with_login(|sealed, keys| sealed.add_approval(keys, message, role(user), &name, signature))
        };
        self.audited("approval", || name.clone(), act).map(drop)
    }

    /// What waits.
    ///
    /// # Errors
    /// CKR_USER_NOT_LOGGED_IN.
    pub fn approvals(&self) -> Result<Vec<Waiting>> {
        let waiting = self.with_login(Sealed::waiting)?;
        let shown = waiting.into_iter().map(|waiting| Waiting {
            by: waiting.by.map(UserEntry::from),
            service: waiting.what.service,
            need: waiting.what.need,
            given: waiting.given,
            left: waiting.left,
        });
        Ok(shown.collect())
    }

    /// Forgets one's own requests, or as SO all.
    ///
    /// # Errors
    /// CKR_USER_NOT_LOGGED_IN.
    pub fn delete_approvals(&self, all: bool) -> Result<()> {
        self.with_login(|sealed, keys| sealed.delete_requests(keys, all))
    }

    /// How many approvals a service of an SO takes; 1: none.
    ///
    /// # Errors
    /// As the storage.
    pub fn quorum_value(&self, service: Service) -> Result<u8> {
        self.initialised()?.sealed.quorum_value(service)
    }

    /// Sets it.
    ///
    /// # Errors
    /// CKR_USER_NOT_LOGGED_IN unless an SO is; CKR_ARGUMENTS_BAD; CKR_ACTION_PROHIBITED; CKR_FUNCTION_REJECTED.
    pub fn set_quorum_value(&self, service: Service, value: u8) -> Result<()> {
        let act = || self.as_so(|opened, keys| opened.sealed.set_quorum_value(keys, service, value));
        self.audited("set quorum value", || format!("{service:?} {value}"), act)
    }

    /// Spends the approvals that a service takes to do something with a key that writes nothing.
    ///
    /// # Errors
    /// CKR_FUNCTION_REJECTED without them.
    pub fn spend(&self, service: Service, key: &Object) -> Result<()> {
        let Some(guarded) = self.guarded(service, key)? else { return Ok(()) };
        let act = || self.with_login(|sealed, keys| sealed.spend(keys, &guarded));
        self.audited("spend approval", || format!("{service:?} {}", unique(key)), act)
    }
}
