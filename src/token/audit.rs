//! What is written to the audit log, and when.

use super::config::Audit;
use super::token::{Login, Token};
use super::users::shown;
use super::{Notify, User};
use crate::error::{Error, Result};
use crate::log;
use crate::object::Object;
pub use crate::storage::audit::Verdict as AuditVerdict;
use crate::storage::audit::{Event, Head, Log};
use crate::storage::sealed::Keys;
use cryptoki_sys::CKA_UNIQUE_ID;
use std::sync::Arc;

impl Token {
    /// Whether uses of keys are written down.
    #[inline]
    pub fn audits_uses(&self) -> bool {
        self.config.audit == Audit::All
    }

    /// The log, as soon as the token is initialised.
    pub(super) fn audit_log(&self) -> Result<Arc<Log>> {
        let opened = self.initialised()?;
        let meta = opened.sealed.info()?.meta;
        let log = opened.audit.get_or_init(|| {
            Arc::new(Log::new(
                self.place.directory(),
                meta.token,
                &meta.serial(),
                self.config.audit_file_size,
            ))
        });
        Ok(log.clone())
    }

    fn write(
        &self,
        keys: Option<&Keys>,
        event: &str,
        user: &str,
        detail: &str,
        end: Option<&Error>,
    ) -> Result<Head> {
        let outcome = end.map_or("CKR_OK", |error| error.rv().name());
        let signer = keys.map(|keys| self.initialised()?.sealed.audit_signer(keys)).transpose()?;
        self.audit_log()?.append(&Event { event, user, detail, outcome }, signer.as_ref())
    }

    /// Writes down what was done to the token and how it ended, and lets the token remember the line.
    ///
    /// # Errors
    /// As the log's file.
    pub(super) fn record(
        &self,
        login: Option<(User, &Keys)>,
        event: &str,
        user: &str,
        detail: &str,
        end: Option<&Error>,
    ) -> Result<()> {
        if self.config.audit == Audit::Off {
            return Ok(());
        }
        let keys = login.map(|(_, keys)| keys);
        let head = self.write(keys, event, user, detail, end)?;
        match keys {
            Some(keys) => self.initialised()?.sealed.remember_audit(keys, &head),
            None => Ok(()),
        }
    }

    /// Does something to the token and writes down how it ended. What was done stays done if that cannot be written:
    /// the log of the library tells of it then.
    pub(super) fn audited<T>(
        &self,
        event: &str,
        detail: impl FnOnce() -> String,
        act: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        if self.config.audit == Audit::Off {
            return act();
        }
        // Before, too: what ends the login is written down by who was logged in.
        let before = self.login.read().as_ref().map(|login| (login.user, login.keys.clone()));
        let outcome = act();
        let after = self.login.read().as_ref().map(|login| (login.user, login.keys.clone()));
        let by = after.or(before);
        let who = by.as_ref().map(|(user, keys)| name(*user, keys)).unwrap_or_default();
        let by = by.as_ref().map(|(user, keys)| (*user, &**keys));
        if let Err(error) = self.record(by, event, &who, &detail(), outcome.as_ref().err()) {
            log!(Error, "the audit log of the token in slot {}: {error}", self.slot());
        }
        outcome
    }

    /// The same of a change to an object, which says false if it was not made, for it will be tried again.
    pub(super) fn audited_change(
        &self,
        event: &str,
        object: &Object,
        act: impl FnOnce() -> Result<bool>,
    ) -> Result<bool> {
        match act() {
            Ok(false) => Ok(false),
            outcome => self.audited(event, || unique(object), || outcome),
        }
    }

    /// Writes down the use of a key.
    #[cold]
    pub fn record_use(&self, verb: &str, mechanism: &str, key: &Object) -> Result<()> {
        let login = self.login.read().as_ref().map(|Login { user, keys }| (*user, keys.clone()));
        let who = login.as_ref().map(|(user, keys)| name(*user, keys)).unwrap_or_default();
        let detail = format!("{mechanism} {}", unique(key));
        self.write(login.as_ref().map(|(_, keys)| &**keys), verb, &who, &detail, None).map(drop)
    }

    /// Reads the audit log through and checks it: each line is told to `notify`, or what is wrong with it.
    ///
    /// # Errors
    /// CKR_USER_NOT_LOGGED_IN unless an SO is; CKR_DEVICE_ERROR if it cannot be read; those of `notify`.
    pub fn verify_audit(&self, faults_only: bool, notify: Notify<'_>) -> Result<AuditVerdict> {
        let log = self.audit_log()?;
        let (signer, remembered) = self
            .as_so(|opened, keys| Ok((opened.sealed.audit_signer(keys)?, opened.sealed.audit_head(keys)?)))?;
        log.verify(&signer, remembered, &mut |number, line, fault| match fault {
            Some(fault) if faults_only => {
                notify(number as usize, 0, Some(&format!("line {number}: {fault}")))
            }
            None if faults_only => notify(number as usize, 0, None),
            // Of what is cut off there is nothing to tell.
            _ if line.is_empty() => Ok(()),
            _ => notify(number as usize, 0, Some(line)),
        })
    }
}

/// CKA_UNIQUE_ID, which tells nothing else of the object.
pub(super) fn unique(object: &Object) -> String {
    let id = object.attributes().bytes(CKA_UNIQUE_ID).unwrap_or_default();
    String::from_utf8_lossy(id).into_owned()
}

fn name(user: User, keys: &Keys) -> String {
    shown(user, keys.name())
}
