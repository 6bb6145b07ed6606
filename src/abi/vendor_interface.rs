//! The interface "Vendor Coffer" (include/coffer.h): what PKCS#11 has no functions for.

use super::buffer::Caller;
use super::vendor::{CK_COFFER_FUNCTION_LIST, CK_COFFER_USER, CK_COFFER_USER_PTR};
use crate::error::{Result, Rv};
use crate::mechanism::vendor::{CK_COFFER_INTERFACE, CKF_COFFER_USER_COUNT_LOW, CKF_COFFER_USER_LOCKED};
use crate::token::{User, UserEntry};
use cryptoki_sys::*;

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
    row
}

fn text(caller: &Caller, pointer: *const CK_UTF8CHAR, len: CK_ULONG) -> Result<&str> {
    str::from_utf8(caller.input(pointer, len)?).map_err(|_| Rv::ArgumentsBad.because("the text is not UTF-8"))
}
