//! `coffer login|logout|user ...`.

use crate::connection::{Connection, Role};
use crate::context::Context;
use crate::output::{Outcome, Report, table};
use crate::pin;
use crate::quorum::{self, Approval, ChangeQuorum};
use clap::{Args, Subcommand};
use coffer_pkcs11::mechanism::vendor::CK_COFFER_SERVICE_USER;
use pkcs11_client::cryptoki_sys::*;
use pkcs11_client::{CofferUser, Rv, Session};
use serde_json::json;
use std::path::PathBuf;
use zeroize::Zeroizing;

/// Who, by CloudHSM's options.
#[derive(Args)]
pub struct Who {
    /// The user's name; a token that knows only one user does not care.
    #[arg(long)]
    username: String,
    /// admin or crypto-user.
    #[arg(long, value_enum)]
    role: Role,
    /// The password, which others can read here: leave it out to be asked.
    #[arg(long, hide = true)]
    password: Option<String>,
}

/// Where a new password comes from.
#[derive(Args)]
pub struct NewPassword {
    /// A file with the new password (else COFFER_NEW_PIN, else a prompt).
    #[arg(long, value_name = "FILE")]
    new_pin_file: Option<PathBuf>,
}

/// A user who is there.
#[derive(Args)]
pub struct Named {
    /// The user's name.
    #[arg(long)]
    username: String,
    /// admin or crypto-user.
    #[arg(long, value_enum)]
    role: Role,
}

impl Named {
    fn report(&self) -> Report {
        Report::of(json!({ "username": self.username, "role": self.role.name() }))
    }
}

/// A login.
#[derive(Args)]
pub struct Login {
    #[command(flatten)]
    who: Who,
    /// CloudHSM's `mfa-token-sign --token FILE`.
    #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
    factors: Vec<String>,
}

/// A user, whose new password others may have to approve.
#[derive(Args)]
pub struct WithPassword {
    #[command(flatten)]
    who: Who,
    #[command(flatten)]
    new: NewPassword,
    #[command(flatten)]
    approval: Approval,
}

/// A user who is there, about whom others may have to approve.
#[derive(Args)]
pub struct Approved {
    #[command(flatten)]
    who: Named,
    #[command(flatten)]
    approval: Approval,
}

#[derive(Subcommand)]
pub enum Command {
    /// Change the password (PIN) of a user, or as admin set it anew and so unlock it.
    ChangePassword(WithPassword),
    /// List the users.
    List,
    /// Make a user.
    Create(WithPassword),
    /// Delete a user, with the private keys it owns.
    Delete(Approved),
    /// Give a locked user its tries back; the password stays.
    Unlock(Approved),
    /// Make a user of one token in another one too, with a password of its own there. Who is there with that password
    /// stays, so a run that was interrupted is repeated.
    Replicate {
        #[command(flatten)]
        who: Named,
        /// The token that has the user.
        #[arg(long, visible_alias = "source-token", value_name = "NAME")]
        source_cluster_id: String,
        /// The token that is to have it too.
        #[arg(long, visible_alias = "destination-token", value_name = "NAME")]
        destination_cluster_id: String,
        #[command(flatten)]
        new: NewPassword,
    },
    /// Who approves what several users must approve.
    #[command(subcommand)]
    ChangeQuorum(ChangeQuorum),
    /// A second factor at the login, which tokens do not ask for.
    #[command(disable_help_subcommand = true)]
    ChangeMfa {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        _arguments: Vec<String>,
    },
}

const NO_MFA: &str = "a login to a token takes the password and no second factor; \
                      approvals by several users are `coffer quorum`";

/// A password that was given as an option: where others can see the command line, that is said.
fn given(context: &Context, who: &Who) -> Option<Zeroizing<String>> {
    let password = who.password.as_ref()?;
    if !context.interactive {
        eprintln!("coffer: others on this machine can read --password; leave it out to be asked");
    }
    Some(Zeroizing::new(password.clone()))
}

/// Logs in for the rest of the interactive session; alone, shows that the login works.
pub fn login(context: &mut Context, Login { who, factors }: Login) -> Outcome {
    if let Some(factor) = factors.first() {
        return Err(format!("{factor}: {NO_MFA}"));
    }
    context.disconnect();
    let prompt = format!("password of {}", who.username);
    let secret = match given(context, &who) {
        Some(password) => password,
        None => pin::obtain(&prompt, context.target.pin_file.as_deref(), "COFFER_PIN", false)?,
    };
    let connection = context.public()?;
    let outcome = connection.login(who.role, bare(who.role, &who.username), &secret);
    if let Err(reason) = outcome {
        context.disconnect();
        return Err(reason);
    }
    Ok(Report::of(json!({ "username": who.username, "role": who.role.name() })))
}

pub fn logout(context: &mut Context) -> Outcome {
    if context.who().is_none() {
        return Err("nobody is logged in".into());
    }
    context.disconnect();
    Ok(Report::sentence("Logout successful"))
}

pub fn run(context: &mut Context, command: Command) -> Outcome {
    match command {
        Command::List => list(context),
        Command::ChangePassword(user) => change(context, &user),
        Command::Create(user) => create(context, &user),
        Command::Delete(user) => user.tell(context, Session::delete_user),
        Command::Unlock(user) => user.tell(context, Session::unlock_user),
        Command::Replicate { who, source_cluster_id, destination_cluster_id, new } => {
            replicate(context, &who, &source_cluster_id, &destination_cluster_id, &new)
        }
        Command::ChangeQuorum(command) => quorum::change(context, command),
        Command::ChangeMfa { .. } => Err(format!("user change-mfa: {NO_MFA}")),
    }
}

impl Approved {
    /// Has the token do something about the user.
    fn tell(
        &self,
        context: &mut Context,
        act: fn(&Session, CK_USER_TYPE, &str) -> Result<(), Rv>,
    ) -> Outcome {
        let connection = context.connect()?;
        self.approval.show(connection)?;
        let who = &self.who;
        act(&connection.session, who.role.kind(), bare(who.role, &who.username))
            .map_err(|rv| refused_by(connection, rv, &who.username))?;
        Ok(who.report())
    }
}

/// A password cannot be carried over: neither token knows it. So the new one is asked for.
fn replicate(context: &mut Context, who: &Named, from: &str, to: &str, new: &NewPassword) -> Outcome {
    context.with_pair(from, to, |from, to| replicate_to(from, to, who, new))
}

fn replicate_to(from: &Connection, to: Connection, who: &Named, new: &NewPassword) -> Outcome {
    let (name, kind) = (bare(who.role, &who.username), who.role.kind());
    if !from.has_user(kind, name) {
        return Err(format!("token {:?} has no {} {:?}", from.label, who.role.name(), who.username));
    }
    let what = format!("password of {} in token {:?}", who.username, to.label);
    let password = pin::obtain(&what, new.new_pin_file.as_deref(), "COFFER_NEW_PIN", true)?;
    let mut json = json!({
        "username": who.username, "role": who.role.name(), "message": "Successfully replicated user",
    });
    if to.has_user(kind, name) {
        knows(to, who, &password)?;
        json["was-there"] = true.into();
        return Ok(Report::of(json));
    }
    let created = match name {
        "" => to.session.init_pin(&password),
        name => to.session.create_user(kind, name, &password),
    };
    created.map_err(|rv| refused_by(&to, rv, &who.username))?;
    Ok(Report::of(json))
}

/// That a user who is there has this password, as after a run that was interrupted: another one stays what it is.
fn knows(mut at: Connection, who: &Named, password: &str) -> Result<(), String> {
    at.session.logout().map_err(|rv| format!("C_Logout: {rv}"))?;
    at.user = None;
    at.login(who.role, bare(who.role, &who.username), password).map_err(|why| {
        format!(
            "{:?} is there already, with another password, which `user change-password` sets: {why}",
            who.username
        )
    })
}

/// What the token calls a user: the first of each role has no name of its own, or one that everybody knows.
pub fn bare(role: Role, name: &str) -> &str {
    match (role, name) {
        (Role::CryptoUser, "user" | "crypto-user" | "crypto_user") => "",
        (_, name) => name,
    }
}

/// [`refused`], where approvals may be what is missing.
fn refused_by(connection: &Connection, rv: Rv, name: &str) -> String {
    let takes = connection.session.quorum_value(CK_COFFER_SERVICE_USER).is_ok_and(|value| value > 1);
    let lengths = connection.module.token_info(connection.slot);
    if let (CKR_PIN_LEN_RANGE, Ok(info)) = (rv.0, lengths) {
        let (least, most) = (info.ulMinPinLen, info.ulMaxPinLen);
        return format!("the token takes passwords of {least} to {most} bytes ({rv})");
    }
    match quorum::wanted(rv) {
        Some(wanted) if takes => format!("{wanted}; or {}", refused(rv, name)),
        _ => refused(rv, name),
    }
}

fn refused(rv: Rv, name: &str) -> String {
    match rv.0 {
        _ if rv == Rv::ABSENT => {
            "this module's tokens have one admin and one crypto-user, and no others".into()
        }
        CKR_USER_NOT_LOGGED_IN => format!("that is the admin's to do: log in with role admin ({rv})"),
        CKR_ARGUMENTS_BAD => format!("there is no such user {name:?} ({rv})"),
        CKR_FUNCTION_REJECTED => {
            format!(
                "{name:?} is there already, is the founding admin, is yourself, or was made without escrow ({rv})"
            )
        }
        CKR_ACTION_PROHIBITED => {
            format!("as many admins must stay, with keys registered, as must approve what admins do ({rv})")
        }
        CKR_PIN_INVALID => format!("{name:?} cannot be a name: 1 to 31 letters, digits and _-.@ ({rv})"),
        CKR_PIN_INCORRECT => format!("the old password is wrong ({rv})"),
        _ => format!("user {name:?}: {rv}"),
    }
}

/// A new password: from the command line if it must be, a file, the environment or a prompt.
fn new_password(context: &Context, who: &Who, new: &NewPassword) -> Result<Zeroizing<String>, String> {
    match given(context, who) {
        Some(password) => Ok(password),
        None => pin::obtain("new password", new.new_pin_file.as_deref(), "COFFER_NEW_PIN", true),
    }
}

fn create(context: &mut Context, WithPassword { who, new, approval }: &WithPassword) -> Outcome {
    context.connect()?;
    let password = new_password(context, who, new)?;
    let connection = context.connect()?;
    approval.show(connection)?;
    let created = connection.session.create_user(who.role.kind(), &who.username, &password);
    created.map_err(|rv| match rv.0 {
        CKR_FUNCTION_REJECTED if connection.has_user(who.role.kind(), bare(who.role, &who.username)) => {
            format!("{} {:?} is there already ({rv})", who.role.name(), who.username)
        }
        _ => refused_by(connection, rv, &who.username),
    })?;
    Ok(Report::of(json!({ "username": who.username, "role": who.role.name() })))
}

/// Name, role, whether it is locked, and whether it has a key to approve with.
fn users(context: &mut Context) -> Result<Vec<(String, Role, bool, bool)>, String> {
    let connection = context.public()?;
    let role = |kind| if kind == CKU_SO { Role::Admin } else { Role::CryptoUser };
    match connection.session.users() {
        Ok(users) => {
            let name = |name: String| if name.is_empty() { "user".into() } else { name };
            let entry =
                |user: &CofferUser| (name(user.name()), role(user.kind), user.locked(), user.approver());
            Ok(users.iter().map(entry).collect())
        }
        Err(rv) if rv == Rv::ABSENT => {
            let info = connection.module.token_info(connection.slot);
            let flags = info.map_err(|rv| format!("C_GetTokenInfo: {rv}"))?.flags;
            let mut users = vec![("admin".into(), Role::Admin, flags & CKF_SO_PIN_LOCKED != 0, false)];
            if flags & CKF_USER_PIN_INITIALIZED != 0 {
                users.push(("user".into(), Role::CryptoUser, flags & CKF_USER_PIN_LOCKED != 0, false));
            }
            Ok(users)
        }
        Err(rv) => Err(format!("listing the users: {rv}")),
    }
}

fn list(context: &mut Context) -> Outcome {
    let users = users(context)?;
    let rows: Vec<_> = users
        .iter()
        .map(|(name, role, locked, approver)| {
            vec![name.clone(), role.name().into(), locked.to_string(), approver.to_string()]
        })
        .collect();
    let entry = |(name, role, locked, approver): &(String, Role, bool, bool)| {
        let strategy = json!({ "strategy": "token-sign", "status": "enabled" });
        let quorum = if *approver { vec![strategy] } else { vec![] };
        json!({
            "username": name, "role": role.name(), "locked": locked.to_string(), "mfa": [], "quorum": quorum,
            "cluster-coverage": "full",
        })
    };
    let json = json!({ "users": users.iter().map(entry).collect::<Vec<_>>() });
    Ok(Report { text: table(&["USER", "ROLE", "LOCKED", "APPROVES"], &rows), json })
}

/// One's own by the old one; another's as admin.
fn change(context: &mut Context, WithPassword { who, new, approval }: &WithPassword) -> Outcome {
    let me = context.connect()?.user.clone();
    let (name, kind) = (bare(who.role, &who.username), who.role.kind());
    let mine = me.as_ref().is_some_and(|(me, role)| {
        *role == who.role
            && (me == name || (me.is_empty() && name == "admin") || me == &who.username.to_lowercase())
    });
    let new = new_password(context, who, new)?;
    let old = match mine {
        true => Some(pin::obtain("old password", context.target.pin_file.as_deref(), "COFFER_PIN", false)?),
        false => None,
    };
    let connection = context.connect()?;
    approval.show(connection)?;
    let session = &connection.session;
    let changed = match (old, me) {
        // The name in front of an old PIN said who logs in, and is no part of it.
        (Some(old), Some((me, _))) => {
            let own = old.split_once(':').filter(|(name, _)| name.to_lowercase() == me).map(|(_, rest)| rest);
            session.set_pin(own.unwrap_or(&old), &new)
        }
        (_, Some((_, Role::Admin))) => match session.set_user_pin(kind, name, &new) {
            Err(rv) if rv == Rv::ABSENT && who.role == Role::CryptoUser => session.init_pin(&new),
            outcome => outcome,
        },
        _ => return Err("a crypto-user can change its own password only".into()),
    };
    changed.map_err(|rv| refused_by(connection, rv, &who.username))?;
    Ok(Report::of(json!({ "username": who.username, "role": who.role.name() })))
}
