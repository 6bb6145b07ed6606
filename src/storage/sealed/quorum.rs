//! Approvals: asked for, given, and spent in the transaction that does what they are for.

use super::writing::same_token;
use super::*;
use crate::storage::quorum::{
    Approver, Guarded, MOST, MOST_WAITING, REQUESTS, Request, Service, VALUES, Values, approver_record,
};

/// A request, as a list shows it.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// Who asked; none if that user is gone.
    pub by: Option<UserInfo>,
    /// What for.
    pub what: Guarded,
    /// How many have approved, as far as these keys know.
    pub given: u8,
    /// Seconds until it ends.
    pub left: u64,
}

impl<S: Storage + ?Sized> Sealed<S> {
    /// Asks for approval. The answer is what approvers sign: by RSASSA-PKCS1-v1_5 with SHA-256.
    ///
    /// # Errors
    /// CKR_USER_NOT_LOGGED_IN for a service of the other role; CKR_DEVICE_MEMORY if too many wait.
    pub fn request_approval(
        &self,
        keys: &Keys,
        service: Service,
        key: Option<(ObjectId, u8)>,
    ) -> Result<Vec<u8>> {
        match service {
            Service::User | Service::Quorum => drop(keys.admin()?),
            _ if service.is_of_keys() != key.is_some() => {
                fail!(ArgumentsBad, "{service:?}: a key belongs to services of keys, and to no other")
            }
            _ => {}
        }
        let mut message = Vec::new();
        self.write(keys, &mut |author, view| {
            same_token(view, keys)?;
            let need = match key {
                Some((_, need)) => need,
                None => values(view, keys)?.of(service),
            };
            let what = Guarded { service, object: key.map(|(id, _)| id), need };
            let request = Request::new(what, keys.user());
            let mut waiting = 0;
            for old in requests(view, keys)? {
                let replaced = old.by == request.by && old.what.service == service && key.is_none();
                match replaced || old.left() == 0 {
                    true => author.delete(old.record())?,
                    false => waiting += 1,
                }
            }
            if waiting >= MOST_WAITING {
                fail!(DeviceMemory, "{waiting} requests wait for approval");
            }
            message = request.message(&keys.token.id);
            author.put(request.record(), request.body())
        })?;
        Ok(message)
    }

    /// Registers the key that its user approves with. The signature, over a request of [`Service::Registration`],
    /// shows that the user has the private half.
    ///
    /// # Errors
    /// CKR_ARGUMENTS_BAD for a key that is none, or without such a request; CKR_SIGNATURE_INVALID.
    pub fn register_approver(&self, keys: &Keys, info: &[u8], signature: &[u8]) -> Result<()> {
        let approver = Approver::new(info)?;
        self.write(keys, &mut |author, view| {
            same_token(view, keys)?;
            let asked = |request: &Request| {
                request.by == keys.user() && request.what.service == Service::Registration
            };
            let request = requests(view, keys)?.into_iter().find(asked).filter(|request| request.left() > 0);
            let Some(request) = request else { fail!(ArgumentsBad, "there is no request to register a key") };
            approver.verify(&request.message(&keys.token.id), signature)?;
            author.delete(request.record())?;
            author.put(approver_record(&keys.user()), Approver::body(info))
        })
        .map(drop)
    }

    /// Takes in one user's approval of a request of these keys' user; how many it has then.
    ///
    /// # Errors
    /// CKR_ARGUMENTS_BAD if there is no such request or user; CKR_ACTION_PROHIBITED for a user without a registered
    /// key, and one who has no say in it: an SO approves what SOs do, and what is done to a key, who can use it;
    /// CKR_SIGNATURE_INVALID.
    pub fn add_approval(
        &self,
        keys: &Keys,
        message: &[u8],
        role: Role,
        name: &str,
        signature: &[u8],
    ) -> Result<usize> {
        let mut approved = None;
        self.storage.read(&mut |view| {
            same_token(view, keys)?;
            let meant = |request: &Request| {
                request.by == keys.user() && request.message(&keys.token.id) == message && request.left() > 0
            };
            let Some(request) = requests(view, keys)?.into_iter().find(meant) else {
                fail!(ArgumentsBad, "no such request waits: it has ended, was used, or is another user's")
            };
            let Some((user, _)) = load_user(view, role, name, Some(&keys.token))? else {
                fail!(ArgumentsBad, "there is no user '{name}'")
            };
            if !has_a_say(view, keys, &request, &user)? {
                fail!(ActionProhibited, "'{name}' has no say in this");
            }
            let Some(record) = view.record(&approver_record(&user.id))? else {
                fail!(ActionProhibited, "'{name}' has registered no key to approve with")
            };
            Approver::parse(set::body(&record, Some(&keys.token))?)?.verify(message, signature)?;
            approved = Some((request.id, user.id));
            Ok(())
        })?;
        let (request, user) = approved.ok_or(Rv::GeneralError)?;
        let mut approvals = keys.approvals.lock();
        let by = approvals.entry(request).or_default();
        by.insert(user);
        Ok(by.len())
    }

    /// What waits for approval.
    pub fn waiting(&self, keys: &Keys) -> Result<Vec<Waiting>> {
        let users = self.users()?;
        let mut waiting = Vec::new();
        self.storage.read(&mut |view| {
            same_token(view, keys)?;
            waiting.clear();
            for request in requests(view, keys)?.into_iter().filter(|request| request.left() > 0) {
                let by = users.iter().find(|user| user.id == request.by).cloned();
                let given = given(view, keys, &request)? as u8;
                waiting.push(Waiting { by, what: request.what, given, left: request.left() });
            }
            Ok(())
        })?;
        Ok(waiting)
    }

    /// Forgets the user's own requests, or as SO all.
    ///
    /// # Errors
    /// CKR_USER_NOT_LOGGED_IN for all of them unless the keys are an SO's.
    pub fn delete_requests(&self, keys: &Keys, all: bool) -> Result<()> {
        if all {
            keys.admin()?;
        }
        self.write(keys, &mut |author, view| {
            same_token(view, keys)?;
            let mut old = requests(view, keys)?.into_iter().filter(|old| all || old.by == keys.user());
            old.try_for_each(|old| author.delete(old.record()))
        })
        .map(drop)
    }

    /// How many approvals a service of an SO takes; 1: none.
    pub fn quorum_value(&self, service: Service) -> Result<u8> {
        let mut value = 1;
        self.storage.read(&mut |view| {
            let record = view.record(VALUES)?;
            let values = record.map(|record| Values::parse(set::body(&record, None)?)).transpose()?;
            value = values.unwrap_or_default().of(service);
            Ok(())
        })?;
        Ok(value)
    }

    /// Sets it.
    ///
    /// # Errors
    /// CKR_USER_NOT_LOGGED_IN unless the keys are an SO's; CKR_ARGUMENTS_BAD for another service, or more than 8;
    /// CKR_ACTION_PROHIBITED if fewer SOs could approve; CKR_FUNCTION_REJECTED without the approvals it takes itself.
    pub fn set_quorum_value(&self, so: &Keys, service: Service, value: u8) -> Result<()> {
        so.admin()?;
        if !matches!(service, Service::User | Service::Quorum) || !(1..=MOST).contains(&value) {
            fail!(ArgumentsBad, "the services user and quorum take 1 to {MOST} approvals");
        }
        self.write(so, &mut |author, view| {
            same_token(view, so)?;
            let able = able_sos(view, so, None)?;
            if value > 1 && able < value.into() {
                fail!(
                    ActionProhibited,
                    "{able} SOs have registered a key to approve with, and it takes {value}"
                );
            }
            spend_service(author, view, so, Service::Quorum)?;
            let mut values = values(view, so)?;
            match service {
                Service::User => values.user = value,
                _ => values.quorum = value,
            }
            author.put(VALUES.into(), values.body())
        })
        .map(drop)
    }

    /// Spends the approvals of something that writes nothing itself.
    ///
    /// # Errors
    /// CKR_FUNCTION_REJECTED unless enough users have approved it to these keys.
    pub fn spend(&self, keys: &Keys, what: &Guarded) -> Result<()> {
        self.write(keys, &mut |author, view| {
            same_token(view, keys)?;
            spend(author, view, keys, what)
        })
        .map(drop)
    }
}

fn values(view: &dyn View, keys: &Keys) -> Result<Values> {
    let record = view.record(VALUES)?;
    let values = record.map(|record| Values::parse(set::body(&record, Some(&keys.token))?));
    values.transpose().map(Option::unwrap_or_default)
}

fn requests(view: &dyn View, keys: &Keys) -> Result<Vec<Request>> {
    let records = view.records(REQUESTS)?;
    records.iter().map(|record| Request::parse(&record.key, set::body(record, Some(&keys.token))?)).collect()
}

fn has_a_say(view: &dyn View, keys: &Keys, request: &Request, user: &User) -> Result<bool> {
    let Some(id) = request.what.object else { return Ok(user.role == Role::So) };
    let Some(record) = view.record(&object_record(&id))? else { return Ok(false) };
    let object = Stored::parse(id, record.revision, set::body(&record, Some(&keys.token))?)?;
    Ok(object.private && object.opens_for(&user.id))
}

/// How many users have approved who still can.
fn given(view: &dyn View, keys: &Keys, request: &Request) -> Result<usize> {
    let approvals = keys.approvals.lock();
    let mut count = 0;
    for user in approvals.get(&request.id).into_iter().flatten() {
        count += usize::from(view.record(&approver_record(user))?.is_some());
    }
    Ok(count)
}

/// How many SOs could approve if one left.
fn able_sos(view: &dyn View, so: &Keys, leaving: Option<&UserId>) -> Result<usize> {
    let mut able = 0;
    for user in load_users(view, Role::So, Some(&so.token))? {
        let stays = leaving != Some(&user.id);
        able += usize::from(stays && view.record(&approver_record(&user.id))?.is_some());
    }
    Ok(able)
}

/// That without this SO there are still enough to approve what SOs do.
pub(super) fn enough_without(view: &dyn View, so: &Keys, leaving: &UserId) -> Result<()> {
    let Values { user, quorum } = values(view, so)?;
    let (need, able) = (user.max(quorum), able_sos(view, so, Some(leaving))?);
    if need > 1 && able < need.into() {
        fail!(ActionProhibited, "{able} SOs who can approve would be left, and it takes {need}");
    }
    Ok(())
}

/// Deletes the request for this that enough users have approved.
pub(super) fn spend(author: &mut Author, view: &dyn View, keys: &Keys, what: &Guarded) -> Result<()> {
    if what.need <= 1 {
        return Ok(());
    }
    for request in requests(view, keys)? {
        let fits = request.by == keys.user()
            && (request.what.service, request.what.object) == (what.service, what.object);
        if fits && request.left() > 0 && given(view, keys, &request)? >= what.need.into() {
            return author.delete(request.record());
        }
    }
    fail!(FunctionRejected, "it takes the approval of {} users (service {:?})", what.need, what.service)
}

/// The same of what an SO does.
pub(super) fn spend_service(author: &mut Author, view: &dyn View, so: &Keys, service: Service) -> Result<()> {
    let need = values(view, so)?.of(service);
    spend(author, view, so, &Guarded { service, object: None, need })
}
