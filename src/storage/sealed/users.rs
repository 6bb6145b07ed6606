//! Users, as the SO makes, changes and removes them.

use super::quorum::{enough_without, spend_service};
use super::writing::same_token;
use super::*;
use crate::storage::quorum::{Service, approver_record};

/// What can be told of a user without a PIN.
#[derive(Clone, Debug)]
pub struct UserInfo {
    /// SO or user.
    pub role: Role,
    /// Empty for the founding SO and for the normal user.
    pub name: String,
    /// What owned objects bear.
    pub id: UserId,
    /// Tries left.
    pub pin: PinState,
    /// Has registered a key to approve with.
    pub approver: bool,
}

/// Whether a user must be there before its PIN is set.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Presence {
    Absent,
    Present,
    Either,
}

pub(super) fn other(role: Role) -> Role {
    if role == Role::So { Role::User } else { Role::So }
}

impl<S: Storage + ?Sized> Sealed<S> {
    /// Sets a user's PIN, new or forgotten, makes the user if need be, and gives all tries back (C_InitPIN).
    ///
    /// # Errors
    /// CKR_USER_NOT_LOGGED_IN unless `so` is the SO's; CKR_FUNCTION_REJECTED if the user was made without
    /// escrow, as the objects would be lost, and without the approvals that changes to users take.
    pub fn init_pin(&self, so: &Keys, name: &str, pin: &[u8]) -> Result<()> {
        self.place(so, Role::User, name, pin, Presence::Either)
    }

    /// Makes a user, or another SO.
    ///
    /// # Errors
    /// As [`Sealed::init_pin`]; CKR_FUNCTION_REJECTED if there is one of this name, in either role.
    pub fn create_user(&self, so: &Keys, role: Role, name: &str, pin: &[u8]) -> Result<()> {
        self.place(so, role, name, pin, Presence::Absent)
    }

    /// Sets another's forgotten PIN anew and gives all tries back.
    ///
    /// # Errors
    /// As [`Sealed::init_pin`]; CKR_ARGUMENTS_BAD if there is no such user.
    pub fn reset_pin(&self, so: &Keys, role: Role, name: &str, pin: &[u8]) -> Result<()> {
        self.place(so, role, name, pin, Presence::Present)
    }

    fn place(&self, so: &Keys, role: Role, name: &str, pin: &[u8], presence: Presence) -> Result<()> {
        let admin = so.admin()?;
        if name.len() > MAX_NAME || name.contains('\0') {
            fail!(ArgumentsBad, "a user's name has at most {MAX_NAME} bytes and none is zero");
        }
        let (before, meta) = self.look_up(so, role, name)?;
        // The slow part, outside of the transaction.
        let user = match &before {
            Some(_) if presence == Presence::Absent => fail!(FunctionRejected, "there is a user '{name}'"),
            None if presence == Presence::Present => fail!(ArgumentsBad, "there is no user '{name}'"),
            None => {
                let escrow = meta.escrow.then_some(admin);
                let (mut user, key) = User::new(&so.token, role, name, pin, meta.kdf, escrow)?;
                if role == Role::So {
                    user.appoint(&so.token.id, &key, admin)?;
                }
                user
            }
            Some((user, _)) => {
                let mut user = user.clone();
                let key = escrowed(&user, so)?;
                user.set_pin(&so.token.id, &key, pin, meta.kdf)?;
                user
            }
        };
        self.write(so, &mut |author, view| {
            unchanged(view, so, role, name, before.as_ref())?;
            if view.record(&user_record(other(role), name))?.is_some() && !name.is_empty() {
                fail!(FunctionRejected, "there is a user '{name}' of the other role");
            }
            spend_service(author, view, so, Service::User)?;
            author.put(user_record(role, name), user.body())?;
            author.put_plain(tries_record(role, name), Tries::default().body());
            Ok(())
        })
        .map(drop)
    }

    /// Gives a user the other role, with a new PIN: an SO who is made a user forgets the admin key, and a user can
    /// become SO once it owns no private object, for an SO has none.
    ///
    /// # Errors
    /// CKR_USER_NOT_LOGGED_IN unless `so` is the SO's; CKR_ARGUMENTS_BAD if there is no such user in the other role;
    /// CKR_FUNCTION_REJECTED for the founding SO, oneself, a user without escrow, or one that owns private objects.
    pub fn set_role(&self, so: &Keys, name: &str, role: Role, pin: &[u8]) -> Result<()> {
        let admin = so.admin()?;
        let from = other(role);
        if name.is_empty() || (from == so.role && name == so.name) {
            fail!(FunctionRejected, "neither who founded the token nor oneself changes the role");
        }
        let (before, meta) = self.look_up(so, from, name)?;
        let Some((user, _)) = &before else {
            fail!(ArgumentsBad, "there is no user '{name}' of the other role")
        };
        let (mut user, key) = (user.clone(), escrowed(user, so)?);
        match role {
            Role::So => user.appoint(&so.token.id, &key, admin)?,
            Role::User => user.dismiss(),
        }
        user.set_pin(&so.token.id, &key, pin, meta.kdf)?;
        self.on_all_objects(so, &mut |author, view, objects| {
            unchanged(view, so, from, name, before.as_ref())?;
            if objects.iter().any(|object| object.private && object.owner == user.id) {
                fail!(FunctionRejected, "'{name}' owns private objects");
            }
            if from == Role::So {
                enough_without(view, so, &user.id)?;
            }
            spend_service(author, view, so, Service::User)?;
            author.delete(user_record(from, name))?;
            author.put(user_record(role, name), user.body())?;
            author.delete_plain(tries_record(from, name));
            author.put_plain(tries_record(role, name), Tries::default().body());
            Ok(())
        })
    }

    /// Gives a locked user all tries back and leaves the PIN as it is.
    ///
    /// # Errors
    /// CKR_USER_NOT_LOGGED_IN unless `so` is the SO's; CKR_ARGUMENTS_BAD if there is no such user.
    pub fn unlock_user(&self, so: &Keys, role: Role, name: &str) -> Result<()> {
        so.admin()?;
        self.write(so, &mut |author, view| {
            same_token(view, so)?;
            if load_user(view, role, name, Some(&so.token))?.is_none() {
                fail!(ArgumentsBad, "there is no user '{name}'");
            }
            spend_service(author, view, so, Service::User)?;
            author.put_plain(tries_record(role, name), Tries::default().body());
            Ok(())
        })
        .map(drop)
    }

    /// Removes a user and, in the same transaction, the private objects it owns, whose data keys nobody else should
    /// have. What others shared with it opens for it no more, and is sealed anew when it is next written.
    ///
    /// # Errors
    /// CKR_USER_NOT_LOGGED_IN unless `so` is the SO's; CKR_ARGUMENTS_BAD if there is no such user;
    /// CKR_FUNCTION_REJECTED for the founding SO and for oneself, and without the approvals that it takes;
    /// CKR_ACTION_PROHIBITED if too few SOs who can approve were left; CKR_TOKEN_WRITE_PROTECTED.
    pub fn remove_user(&self, so: &Keys, role: Role, name: &str) -> Result<()> {
        so.admin()?;
        if role == Role::So && (name.is_empty() || (so.role == role && name == so.name)) {
            fail!(FunctionRejected, "neither who founded the token nor oneself can be removed");
        }
        self.on_all_objects(so, &mut |author, view, objects| {
            if same_token(view, so)?.limited_write {
                fail!(TokenWriteProtected, "the token is in limited-write mode");
            }
            let Some((user, _)) = load_user(view, role, name, Some(&so.token))? else {
                fail!(ArgumentsBad, "there is no user '{name}'");
            };
            if role == Role::So {
                enough_without(view, so, &user.id)?;
            }
            spend_service(author, view, so, Service::User)?;
            author.delete(user_record(role, name))?;
            if view.record(&approver_record(&user.id))?.is_some() {
                author.delete(approver_record(&user.id))?;
            }
            for object in objects.iter().filter(|object| object.private && object.owner == user.id) {
                author.delete(object_record(&object.id))?;
            }
            author.delete_plain(tries_record(role, name));
            Ok(())
        })
    }

    /// The users and SOs, by role and name.
    pub fn users(&self) -> Result<Vec<UserInfo>> {
        let mut users = Vec::new();
        self.storage.read(&mut |view| {
            users.clear();
            let meta = load_meta(view)?;
            for role in [Role::So, Role::User] {
                for User { name, id, .. } in load_users(view, role, None)? {
                    let pin = pin_state(view, &meta, role, &name);
                    let approver = view.record(&approver_record(&id))?.is_some();
                    users.push(UserInfo { role, name, id, pin, approver });
                }
            }
            Ok(())
        })?;
        Ok(users)
    }

    fn look_up(&self, so: &Keys, role: Role, name: &str) -> Result<(Option<(User, Revision)>, Meta)> {
        let (mut before, mut meta) = (None, None);
        self.storage.read(&mut |view| {
            meta = Some(same_token(view, so)?);
            before = load_user(view, role, name, Some(&so.token))?;
            Ok(())
        })?;
        Ok((before, meta.ok_or(Rv::GeneralError)?))
    }

    /// A transaction that needs to know every object.
    fn on_all_objects(
        &self,
        keys: &Keys,
        work: &mut (dyn FnMut(&mut Author, &dyn View, &[Stored]) -> Result<()> + Send),
    ) -> Result<()> {
        if keys.rescue {
            fail!(TokenWriteProtected, "the token is damaged and open for rescue only");
        }
        loop {
            let loaded = self.load(Revision(0), Some(keys))?;
            let mut stale = false;
            self.storage.transact(&mut |view| {
                stale = view.revision() != loaded.upto;
                if stale {
                    return Ok(Batch::default());
                }
                same_token(view, keys)?;
                let mut author = Author::new(view, &keys.token)?;
                work(&mut author, view, &loaded.stored)?;
                Ok(author.finish())
            })?;
            if !stale {
                return Ok(());
            }
        }
    }
}

/// The user key that the SO may open.
fn escrowed(user: &User, so: &Keys) -> Result<Secret> {
    match user.open_escrow(&so.token.id, so.admin()?)? {
        Some(key) => Ok(key),
        None => fail!(FunctionRejected, "without escrow only the user can change the PIN"),
    }
}

fn unchanged(
    view: &dyn View,
    so: &Keys,
    role: Role,
    name: &str,
    before: Option<&(User, Revision)>,
) -> Result<()> {
    same_token(view, so)?;
    let now = load_user(view, role, name, Some(&so.token))?.map(|(_, now)| now);
    if now != before.map(|(_, then)| *then) {
        fail!(FunctionFailed, "another process changed the user at the same time");
    }
    Ok(())
}
