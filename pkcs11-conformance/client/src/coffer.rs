//! Coffer's own interface, "Vendor Coffer" 1.0: named users, sharing, and the token's state (include/coffer.h).

use super::{
    call, input,
    module::Module,
    rv::{Result, Rv},
    session::Session,
};
use cryptoki_sys::*;
use std::ptr;

/// A user as the module tells of it: CK_COFFER_USER.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct CofferUser {
    name: [CK_UTF8CHAR; 64],
    length: CK_ULONG,
    /// CKU_SO or CKU_USER; CK_UNAVAILABLE_INFORMATION: nobody.
    pub kind: CK_USER_TYPE,
    /// How many wrong PINs are left.
    pub tries_left: CK_ULONG,
    flags: CK_FLAGS,
}

impl CofferUser {
    const NOBODY: CofferUser =
        CofferUser { name: [0; 64], length: 0, kind: CK_UNAVAILABLE_INFORMATION, tries_left: 0, flags: 0 };

    /// The name; empty for the user that C_InitPIN makes.
    pub fn name(&self) -> String {
        String::from_utf8_lossy(&self.name[..(self.length as usize).min(64)]).into_owned()
    }
    /// Whether too many wrong PINs were given.
    pub fn locked(&self) -> bool {
        self.flags & 1 != 0
    }
}

type Session_ = CK_SESSION_HANDLE;
type Text = *mut CK_UTF8CHAR;

/// CK_COFFER_FUNCTION_LIST.
#[repr(C)]
#[allow(non_snake_case)]
pub(crate) struct CofferList {
    version: CK_VERSION,
    CreateUser: Option<unsafe extern "C" fn(Session_, CK_USER_TYPE, Text, CK_ULONG, Text, CK_ULONG) -> CK_RV>,
    DeleteUser: Option<unsafe extern "C" fn(Session_, CK_USER_TYPE, Text, CK_ULONG) -> CK_RV>,
    SetUserPIN: Option<unsafe extern "C" fn(Session_, CK_USER_TYPE, Text, CK_ULONG, Text, CK_ULONG) -> CK_RV>,
    SetUserType:
        Option<unsafe extern "C" fn(Session_, CK_USER_TYPE, Text, CK_ULONG, Text, CK_ULONG) -> CK_RV>,
    UnlockUser: Option<unsafe extern "C" fn(Session_, CK_USER_TYPE, Text, CK_ULONG) -> CK_RV>,
    ListUsers: Option<unsafe extern "C" fn(Session_, *mut CofferUser, *mut CK_ULONG) -> CK_RV>,
    GetLogin: Option<unsafe extern "C" fn(Session_, *mut CofferUser) -> CK_RV>,
    ShareObject: Option<unsafe extern "C" fn(Session_, CK_OBJECT_HANDLE, Text, CK_ULONG) -> CK_RV>,
    UnshareObject: Option<unsafe extern "C" fn(Session_, CK_OBJECT_HANDLE, Text, CK_ULONG) -> CK_RV>,
    ListAccess: Option<
        unsafe extern "C" fn(
            Session_,
            CK_OBJECT_HANDLE,
            *mut CofferUser,
            *mut CofferUser,
            *mut CK_ULONG,
        ) -> CK_RV,
    >,
    SetLimitedWrite: Option<unsafe extern "C" fn(Session_, CK_BBOOL) -> CK_RV>,
    RenameToken: Option<unsafe extern "C" fn(Session_, Text, CK_ULONG) -> CK_RV>,
}

fn text(text: &str) -> (Text, CK_ULONG) {
    (input(text.as_bytes()), text.len() as CK_ULONG)
}

/// More than a token can hold, so that no module makes us allocate what it pleases.
const MOST_USERS: CK_ULONG = 1 << 16;

/// A list of users, as C_GetSlotList: NULL asks how many.
fn users(mut ask: impl FnMut(*mut CofferUser, *mut CK_ULONG) -> Rv) -> Result<Vec<CofferUser>> {
    let mut count = 0;
    ask(ptr::null_mut(), &raw mut count).ok()?;
    let mut users = vec![CofferUser::NOBODY; count.min(MOST_USERS) as usize];
    count = users.len() as CK_ULONG;
    ask(users.as_mut_ptr(), &raw mut count).ok()?;
    users.truncate(count as usize);
    Ok(users)
}

/// All of them say [`Rv::ABSENT`] where the module is not Coffer.
impl Session {
    fn coffer(&self) -> Result<&'static CofferList> {
        self.module().coffer_list().ok_or(Rv::ABSENT)
    }

    /// Makes a user, by an SO.
    pub fn create_user(&self, kind: CK_USER_TYPE, name: &str, pin: &str) -> Result<()> {
        let ((name, name_length), (pin, pin_length)) = (text(name), text(pin));
        call!(self.coffer()?, CreateUser(self.handle(), kind, name, name_length, pin, pin_length)).ok()
    }
    /// Deletes a user with its private objects, by an SO.
    pub fn delete_user(&self, kind: CK_USER_TYPE, name: &str) -> Result<()> {
        let (name, length) = text(name);
        call!(self.coffer()?, DeleteUser(self.handle(), kind, name, length)).ok()
    }
    /// Sets another user's PIN and unlocks it, by an SO.
    pub fn set_user_pin(&self, kind: CK_USER_TYPE, name: &str, pin: &str) -> Result<()> {
        let ((name, name_length), (pin, pin_length)) = (text(name), text(pin));
        call!(self.coffer()?, SetUserPIN(self.handle(), kind, name, name_length, pin, pin_length)).ok()
    }
    /// Unlocks a user, by an SO.
    pub fn unlock_user(&self, kind: CK_USER_TYPE, name: &str) -> Result<()> {
        let (name, length) = text(name);
        call!(self.coffer()?, UnlockUser(self.handle(), kind, name, length)).ok()
    }
    /// All users, SOs first.
    pub fn users(&self) -> Result<Vec<CofferUser>> {
        let list = self.coffer()?;
        users(|at, count| call!(list, ListUsers(self.handle(), at, count)))
    }
    /// Who is logged in.
    pub fn who_is_logged_in(&self) -> Result<CofferUser> {
        let mut user = CofferUser::NOBODY;
        call!(self.coffer()?, GetLogin(self.handle(), &raw mut user)).ok().map(|()| user)
    }
    /// Lets another user use an object of the caller's.
    pub fn share(&self, object: CK_OBJECT_HANDLE, name: &str) -> Result<()> {
        let (name, length) = text(name);
        call!(self.coffer()?, ShareObject(self.handle(), object, name, length)).ok()
    }
    /// Undoes [`Session::share`].
    pub fn unshare(&self, object: CK_OBJECT_HANDLE, name: &str) -> Result<()> {
        let (name, length) = text(name);
        call!(self.coffer()?, UnshareObject(self.handle(), object, name, length)).ok()
    }
    /// The owner (none of a public object), and with whom the object is shared.
    pub fn access(&self, object: CK_OBJECT_HANDLE) -> Result<(Option<CofferUser>, Vec<CofferUser>)> {
        let (list, mut owner) = (self.coffer()?, CofferUser::NOBODY);
        let shared =
            users(|at, count| call!(list, ListAccess(self.handle(), object, &raw mut owner, at, count)))?;
        Ok(((owner.kind != CK_UNAVAILABLE_INFORMATION).then_some(owner), shared))
    }
    /// Objects are used and not written while it is set, by an SO.
    pub fn set_limited_write(&self, on: bool) -> Result<()> {
        call!(self.coffer()?, SetLimitedWrite(self.handle(), on.into())).ok()
    }
    /// Another label for the token, by an SO.
    pub fn rename_token(&self, label: &str) -> Result<()> {
        let (label, length) = text(label);
        call!(self.coffer()?, RenameToken(self.handle(), label, length)).ok()
    }
}

impl Module {
    /// What C_GetInterface has under Coffer's own name.
    fn coffer_list(&self) -> Option<&'static CofferList> {
        // SAFETY: an interface of this name and version leads to this list, for good.
        self.interface(c"Vendor Coffer", 1, 0).map(|at| unsafe { &*at.cast() })
    }
}
