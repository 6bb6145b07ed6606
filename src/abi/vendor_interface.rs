//! The interface "Vendor Coffer" (include/coffer.h): what PKCS#11 has no functions for.

use super::buffer::Caller;
use super::vendor::{
    CK_COFFER_APPROVAL, CK_COFFER_APPROVAL_PTR, CK_COFFER_AUDIT_VERDICT, CK_COFFER_AUDIT_VERDICT_PTR,
    CK_COFFER_FUNCTION_LIST, CK_COFFER_NOTIFY, CK_COFFER_USER, CK_COFFER_USER_PTR, CK_COFFER_VERDICT,
    CK_COFFER_VERDICT_PTR,
};
use crate::crypto::Secret;
use crate::error::{Result, Rv};
use crate::mechanism::vendor::{
    CK_COFFER_INTERFACE, CKF_COFFER_USER_APPROVER, CKF_COFFER_USER_COUNT_LOW, CKF_COFFER_USER_LOCKED,
};
use crate::session::Answer;
use crate::token::{Service, User, UserEntry, quorum};
use cryptoki_sys::*;
use std::path::Path;
use std::ptr;

/// Its name, with the NUL that ends it.
pub const NAME: &[u8] = CK_COFFER_INTERFACE;

/// Its functions.
pub static V1_0: CK_COFFER_FUNCTION_LIST = CK_COFFER_FUNCTION_LIST {
    version: CK_VERSION { major: 1, minor: 0 },
    CreateUser: Some(CreateUser),
    DeleteUser: Some(DeleteUser),
    SetUserPIN: Some(SetUserPIN),
    SetUserType: Some(SetUserType),
    UnlockUser: Some(UnlockUser),
    ListUsers: Some(ListUsers),
    GetLogin: Some(GetLogin),
    ShareObject: Some(ShareObject),
    UnshareObject: Some(UnshareObject),
    ListAccess: Some(ListAccess),
    SetLimitedWrite: Some(SetLimitedWrite),
    RenameToken: Some(RenameToken),
    DestroyToken: Some(DestroyToken),
    BackupToken: Some(BackupToken),
    RestoreToken: Some(RestoreToken),
    VerifyToken: Some(VerifyToken),
    VerifyAudit: Some(VerifyAudit),
    RequestApproval: Some(RequestApproval),
    AddApproval: Some(AddApproval),
    RegisterApprover: Some(RegisterApprover),
    ListApprovals: Some(ListApprovals),
    DeleteApprovals: Some(DeleteApprovals),
    SetQuorumValue: Some(SetQuorumValue),
    GetQuorumValue: Some(GetQuorumValue),
    BackupTokenForEscrow: Some(BackupTokenForEscrow),
    RestoreTokenByEscrow: Some(RestoreTokenByEscrow),
    RepairToken: Some(RepairToken),
};

entry! {
    /// Makes a user.
    vendor fn CreateUser(
        call,
        session: CK_SESSION_HANDLE,
        user_type: CK_USER_TYPE,
        name: CK_UTF8CHAR_PTR,
        name_len: CK_ULONG,
        pin: CK_UTF8CHAR_PTR,
        pin_len: CK_ULONG,
    ) {
        let session = call.session(session)?;
        session.create_user(user(user_type)?, call.input(name, name_len)?, call.pin(pin, pin_len)?)
    }

    /// Removes a user and its private objects.
    vendor fn DeleteUser(
        call,
        session: CK_SESSION_HANDLE,
        user_type: CK_USER_TYPE,
        name: CK_UTF8CHAR_PTR,
        name_len: CK_ULONG,
    ) {
        call.session(session)?.remove_user(user(user_type)?, call.input(name, name_len)?)
    }

    /// Sets another's forgotten PIN.
    vendor fn SetUserPIN(
        call,
        session: CK_SESSION_HANDLE,
        user_type: CK_USER_TYPE,
        name: CK_UTF8CHAR_PTR,
        name_len: CK_ULONG,
        pin: CK_UTF8CHAR_PTR,
        pin_len: CK_ULONG,
    ) {
        let session = call.session(session)?;
        session.reset_pin(user(user_type)?, call.input(name, name_len)?, call.pin(pin, pin_len)?)
    }

    /// Gives a user the other role.
    vendor fn SetUserType(
        call,
        session: CK_SESSION_HANDLE,
        new_type: CK_USER_TYPE,
        name: CK_UTF8CHAR_PTR,
        name_len: CK_ULONG,
        pin: CK_UTF8CHAR_PTR,
        pin_len: CK_ULONG,
    ) {
        let session = call.session(session)?;
        session.set_role(call.input(name, name_len)?, user(new_type)?, call.pin(pin, pin_len)?)
    }

    /// Gives a locked user its tries back.
    vendor fn UnlockUser(
        call,
        session: CK_SESSION_HANDLE,
        user_type: CK_USER_TYPE,
        name: CK_UTF8CHAR_PTR,
        name_len: CK_ULONG,
    ) {
        call.session(session)?.unlock_user(user(user_type)?, call.input(name, name_len)?)
    }

    /// Lists the users.
    vendor fn ListUsers(
        call,
        session: CK_SESSION_HANDLE,
        users: CK_COFFER_USER_PTR,
        count: CK_ULONG_PTR,
    ) {
        let rows: Vec<_> = call.session(session)?.users()?.iter().map(row).collect();
        call.list(users, count, &rows)
    }

    /// Tells who is logged in.
    vendor fn GetLogin(call, session: CK_SESSION_HANDLE, user: CK_COFFER_USER_PTR) {
        let out = call.out(user)?;
        out.set(row(&call.session(session)?.login_entry()?));
        Ok(())
    }

    /// Lets a user use an object.
    vendor fn ShareObject(
        call,
        session: CK_SESSION_HANDLE,
        object: CK_OBJECT_HANDLE,
        name: CK_UTF8CHAR_PTR,
        name_len: CK_ULONG,
    ) {
        call.session(session)?.share_object(object, call.input(name, name_len)?, true)
    }

    /// Lets a user use an object no more.
    vendor fn UnshareObject(
        call,
        session: CK_SESSION_HANDLE,
        object: CK_OBJECT_HANDLE,
        name: CK_UTF8CHAR_PTR,
        name_len: CK_ULONG,
    ) {
        call.session(session)?.share_object(object, call.input(name, name_len)?, false)
    }

    /// Tells who can use an object.
    vendor fn ListAccess(
        call,
        session: CK_SESSION_HANDLE,
        object: CK_OBJECT_HANDLE,
        owner: CK_COFFER_USER_PTR,
        users: CK_COFFER_USER_PTR,
        count: CK_ULONG_PTR,
    ) {
        let access = call.session(session)?.access(object)?;
        if !owner.is_null() {
            call.out(owner)?.set(access.owner.as_ref().map_or(NOBODY, row));
        }
        let rows: Vec<_> = access.shared_with.iter().map(row).collect();
        call.list(users, count, &rows)
    }

    /// Lets nothing be written any more, or again.
    vendor fn SetLimitedWrite(call, session: CK_SESSION_HANDLE, on: CK_BBOOL) {
        call.session(session)?.set_limited_write(on != CK_FALSE)
    }

    /// Gives the token another label.
    vendor fn RenameToken(call, session: CK_SESSION_HANDLE, label: CK_UTF8CHAR_PTR, label_len: CK_ULONG) {
        call.session(session)?.rename_token(text(&call, label, label_len)?)
    }

    /// Destroys a token for ever.
    vendor fn DestroyToken(call, slot: CK_SLOT_ID, pin: CK_UTF8CHAR_PTR, pin_len: CK_ULONG) {
        call.module().destroy_token(slot, call.pin(pin, pin_len)?)
    }

    /// Writes a backup to a new file.
    vendor fn BackupToken(call, session: CK_SESSION_HANDLE, path: CK_UTF8CHAR_PTR, path_len: CK_ULONG) {
        let path = Path::new(text(&call, path, path_len)?);
        call.session(session)?.backup_token(path, None, &mut |_, _, _| Ok(()))
    }

    /// Makes a token out of a backup.
    vendor fn RestoreToken(
        call,
        path: CK_UTF8CHAR_PTR,
        path_len: CK_ULONG,
        user_type: CK_USER_TYPE,
        name: CK_UTF8CHAR_PTR,
        name_len: CK_ULONG,
        pin: CK_UTF8CHAR_PTR,
        pin_len: CK_ULONG,
        slot: CK_SLOT_ID_PTR,
    ) {
        let out = call.out(slot)?;
        let (path, user) = (Path::new(text(&call, path, path_len)?), user(user_type)?);
        let (name, pin) = (call.input(name, name_len)?, call.pin(pin, pin_len)?);
        out.set(call.module().restore_token(path, user, name, pin, &mut |_, _, _| Ok(()))?);
        Ok(())
    }

    /// Checks the whole token.
    vendor fn VerifyToken(
        call,
        session: CK_SESSION_HANDLE,
        notify: CK_COFFER_NOTIFY,
        context: CK_VOID_PTR,
        verdict: CK_COFFER_VERDICT_PTR,
    ) {
        let out = call.out(verdict)?;
        let mut tell = |done, total, text: Option<&str>| tell(notify, context, done, total, text);
        let verdict = call.session(session)?.verify_token(&mut tell)?;
        out.set(CK_COFFER_VERDICT {
            ulObjects: verdict.objects as CK_ULONG,
            ulOpened: verdict.opened as CK_ULONG,
            ulFaults: verdict.faults as CK_ULONG,
        });
        Ok(())
    }

    /// Reads and checks the audit log.
    vendor fn VerifyAudit(
        call,
        session: CK_SESSION_HANDLE,
        faults_only: CK_BBOOL,
        notify: CK_COFFER_NOTIFY,
        context: CK_VOID_PTR,
        verdict: CK_COFFER_AUDIT_VERDICT_PTR,
    ) {
        let out = call.out(verdict)?;
        let mut tell = |done, total, text: Option<&str>| tell(notify, context, done, total, text);
        let verdict = call.session(session)?.verify_audit(faults_only != CK_FALSE, &mut tell)?;
        out.set(CK_COFFER_AUDIT_VERDICT {
            ulLines: verdict.lines as CK_ULONG,
            ulSigned: verdict.signed as CK_ULONG,
            ulFaults: verdict.faults as CK_ULONG,
        });
        Ok(())
    }

    /// Asks for approval.
    vendor fn RequestApproval(
        call,
        session: CK_SESSION_HANDLE,
        service: CK_ULONG,
        object: CK_OBJECT_HANDLE,
        approval: CK_BYTE_PTR,
        approval_len: CK_ULONG_PTR,
    ) {
        let (session, service) = (call.session(session)?, Service::of(service)?);
        let object = (object != CK_INVALID_HANDLE).then_some(object);
        call.output_of(approval, approval_len, |out| match out {
            None => Ok(Answer::Query(quorum::MESSAGE)),
            Some(out) if out.len() < quorum::MESSAGE => Ok(Answer::TooSmall(quorum::MESSAGE)),
            Some(out) => {
                out[..quorum::MESSAGE].copy_from_slice(&session.request_approval(service, object)?);
                Ok(Answer::Done(quorum::MESSAGE))
            }
        })
    }

    /// Takes in one user's approval.
    vendor fn AddApproval(
        call,
        session: CK_SESSION_HANDLE,
        approval: CK_BYTE_PTR,
        approval_len: CK_ULONG,
        user_type: CK_USER_TYPE,
        name: CK_UTF8CHAR_PTR,
        name_len: CK_ULONG,
        signature: CK_BYTE_PTR,
        signature_len: CK_ULONG,
    ) {
        let (approval, name) = (call.input(approval, approval_len)?, call.input(name, name_len)?);
        let signature = call.input(signature, signature_len)?;
        call.session(session)?.add_approval(approval, user(user_type)?, name, signature)
    }

    /// Registers the key that a user approves with.
    vendor fn RegisterApprover(
        call,
        session: CK_SESSION_HANDLE,
        key: CK_BYTE_PTR,
        key_len: CK_ULONG,
        signature: CK_BYTE_PTR,
        signature_len: CK_ULONG,
    ) {
        let (key, signature) = (call.input(key, key_len)?, call.input(signature, signature_len)?);
        call.session(session)?.register_approver(key, signature)
    }

    /// Lists what waits for approval.
    vendor fn ListApprovals(
        call,
        session: CK_SESSION_HANDLE,
        approvals: CK_COFFER_APPROVAL_PTR,
        count: CK_ULONG_PTR,
    ) {
        let waiting = call.session(session)?.approvals()?;
        let rows = waiting.iter().map(|waiting| CK_COFFER_APPROVAL {
            user: waiting.by.as_ref().map_or(NOBODY, row),
            ulService: waiting.service as CK_ULONG,
            ulRequired: waiting.need.into(),
            ulGiven: waiting.given.into(),
            ulSeconds: waiting.left as CK_ULONG,
        });
        call.list(approvals, count, &rows.collect::<Vec<_>>())
    }

    /// Forgets what waits for approval.
    vendor fn DeleteApprovals(call, session: CK_SESSION_HANDLE, all: CK_BBOOL) {
        call.session(session)?.delete_approvals(all != CK_FALSE)
    }

    /// Sets how many approvals a service takes.
    vendor fn SetQuorumValue(call, session: CK_SESSION_HANDLE, service: CK_ULONG, value: CK_ULONG) {
        let value = u8::try_from(value).unwrap_or(u8::MAX);
        call.session(session)?.set_quorum_value(Service::of(service)?, value)
    }

    /// Tells how many approvals a service takes.
    vendor fn GetQuorumValue(
        call,
        session: CK_SESSION_HANDLE,
        service: CK_ULONG,
        value: CK_ULONG_PTR,
    ) {
        let out = call.out(value)?;
        out.set(call.session(session)?.quorum_value(Service::of(service)?)?.into());
        Ok(())
    }

    /// Writes a backup that an escrow key opens too.
    vendor fn BackupTokenForEscrow(
        call,
        session: CK_SESSION_HANDLE,
        path: CK_UTF8CHAR_PTR,
        path_len: CK_ULONG,
        key: CK_BYTE_PTR,
        key_len: CK_ULONG,
        notify: CK_COFFER_NOTIFY,
        context: CK_VOID_PTR,
    ) {
        let path = Path::new(text(&call, path, path_len)?);
        let key = if key.is_null() { None } else { Some(call.input(key, key_len)?) };
        let mut tell = |done, total, text: Option<&str>| tell(notify, context, done, total, text);
        call.session(session)?.backup_token(path, key, &mut tell)
    }

    /// Makes a token out of a backup by its escrow key.
    vendor fn RestoreTokenByEscrow(
        call,
        path: CK_UTF8CHAR_PTR,
        path_len: CK_ULONG,
        seed: CK_BYTE_PTR,
        seed_len: CK_ULONG,
        so_pin: CK_UTF8CHAR_PTR,
        so_pin_len: CK_ULONG,
        notify: CK_COFFER_NOTIFY,
        context: CK_VOID_PTR,
        slot: CK_SLOT_ID_PTR,
    ) {
        let out = call.out(slot)?;
        let path = Path::new(text(&call, path, path_len)?);
        let seed = Secret::from_slice(call.input(seed, seed_len)?);
        let mut tell = |done, total, text: Option<&str>| tell(notify, context, done, total, text);
        let so_pin = call.pin(so_pin, so_pin_len)?;
        out.set(call.module().restore_token_by_escrow(path, &seed, so_pin, &mut tell)?);
        Ok(())
    }

    /// Tells what is wrong with a token, and accepts what is left.
    vendor fn RepairToken(
        call,
        slot: CK_SLOT_ID,
        user_type: CK_USER_TYPE,
        name: CK_UTF8CHAR_PTR,
        name_len: CK_ULONG,
        pin: CK_UTF8CHAR_PTR,
        pin_len: CK_ULONG,
        accept: CK_BBOOL,
        notify: CK_COFFER_NOTIFY,
        context: CK_VOID_PTR,
        verdict: CK_COFFER_VERDICT_PTR,
    ) {
        let out = call.out(verdict)?;
        let (name, pin) = (call.input(name, name_len)?, call.pin(pin, pin_len)?);
        let rescue = call.module().rescue(slot, user(user_type)?, name, pin)?;
        let faults: Vec<_> = rescue.wrong.iter().chain(&rescue.damaged).map(ToString::to_string).collect();
        for fault in &faults {
            tell(notify, context, 0, faults.len(), Some(fault))?;
        }
        if accept != CK_FALSE && !faults.is_empty() {
            rescue.accept()?;
        }
        out.set(CK_COFFER_VERDICT {
            ulObjects: (rescue.sound + rescue.damaged.len()) as CK_ULONG,
            ulOpened: rescue.sound as CK_ULONG,
            ulFaults: faults.len() as CK_ULONG,
        });
        Ok(())
    }
}

/// Tells the application how far the work is.
fn tell(
    notify: CK_COFFER_NOTIFY,
    context: CK_VOID_PTR,
    done: usize,
    total: usize,
    text: Option<&str>,
) -> Result<()> {
    let Some(notify) = notify else { return Ok(()) };
    let (done, total) = (done as CK_ULONG, total as CK_ULONG);
    let (text, len) = text.map_or((ptr::null_mut(), 0), |text| (text.as_ptr().cast_mut(), text.len()));
    // SAFETY: the application gave the function and what it is called with; the text outlives the call.
    match unsafe { notify(context, done, total, text, len as CK_ULONG) } {
        CKR_OK => Ok(()),
        _ => fail!(FunctionCanceled),
    }
}

/// What is said of a user that is not there.
const NOBODY: CK_COFFER_USER = CK_COFFER_USER {
    name: [0; 64],
    ulNameLen: 0,
    userType: CK_UNAVAILABLE_INFORMATION,
    ulTriesLeft: 0,
    flags: 0,
};

fn user(user_type: CK_USER_TYPE) -> Result<User> {
    match user_type {
        CKU_SO => Ok(User::So),
        CKU_USER => Ok(User::Normal),
        _ => fail!(UserTypeInvalid, "user type {user_type}"),
    }
}

fn row(entry: &UserEntry) -> CK_COFFER_USER {
    let mut row = NOBODY;
    // The storage bounds names to the field's length.
    let name = &entry.name.as_bytes()[..entry.name.len().min(row.name.len())];
    row.name[..name.len()].copy_from_slice(name);
    row.ulNameLen = name.len() as CK_ULONG;
    row.userType = if entry.user == User::So { CKU_SO } else { CKU_USER };
    row.ulTriesLeft = entry.pin.left.into();
    if entry.pin.left == 0 {
        row.flags |= CKF_COFFER_USER_LOCKED;
    }
    if entry.pin.wrong > 0 {
        row.flags |= CKF_COFFER_USER_COUNT_LOW;
    }
    if entry.approver {
        row.flags |= CKF_COFFER_USER_APPROVER;
    }
    row
}

fn text(caller: &Caller, pointer: *const CK_UTF8CHAR, len: CK_ULONG) -> Result<&str> {
    str::from_utf8(caller.input(pointer, len)?).map_err(|_| Rv::ArgumentsBad.because("the text is not UTF-8"))
}
