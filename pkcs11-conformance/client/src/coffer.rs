//! Coffer's own interface, "Vendor Coffer" 1.0: named users, sharing, and the token's state (include/coffer.h).

use super::{
    buffer::two_call,
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
    /// Whether the user has registered a key to approve with.
    pub fn approver(&self) -> bool {
        self.flags & 4 != 0
    }
}

/// What waits for approval: CK_COFFER_APPROVAL.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct CofferApproval {
    /// Who asked.
    pub user: CofferUser,
    /// What for.
    pub service: CK_ULONG,
    /// How many approvals it takes.
    pub required: CK_ULONG,
    /// How many this login has shown.
    pub given: CK_ULONG,
    /// Seconds left.
    pub seconds: CK_ULONG,
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
    DestroyToken: Option<unsafe extern "C" fn()>,
    BackupToken: Option<unsafe extern "C" fn()>,
    RestoreToken: Option<unsafe extern "C" fn()>,
    VerifyToken: Option<unsafe extern "C" fn()>,
    VerifyAudit: Option<unsafe extern "C" fn()>,
    RequestApproval:
        Option<unsafe extern "C" fn(Session_, CK_ULONG, CK_OBJECT_HANDLE, Text, *mut CK_ULONG) -> CK_RV>,
    AddApproval: Option<
        unsafe extern "C" fn(Session_, Text, CK_ULONG, CK_USER_TYPE, Text, CK_ULONG, Text, CK_ULONG) -> CK_RV,
    >,
    RegisterApprover: Option<unsafe extern "C" fn(Session_, Text, CK_ULONG, Text, CK_ULONG) -> CK_RV>,
    ListApprovals: Option<unsafe extern "C" fn(Session_, *mut CofferApproval, *mut CK_ULONG) -> CK_RV>,
    DeleteApprovals: Option<unsafe extern "C" fn(Session_, CK_BBOOL) -> CK_RV>,
    SetQuorumValue: Option<unsafe extern "C" fn(Session_, CK_ULONG, CK_ULONG) -> CK_RV>,
    GetQuorumValue: Option<unsafe extern "C" fn(Session_, CK_ULONG, *mut CK_ULONG) -> CK_RV>,
}

fn text(text: &str) -> (Text, CK_ULONG) {
    (input(text.as_bytes()), text.len() as CK_ULONG)
}

/// More than a token can hold, so that no module makes us allocate what it pleases.
const MOST_USERS: CK_ULONG = 1 << 16;

/// A list of users, as C_GetSlotList: NULL asks how many.
fn users(ask: impl FnMut(*mut CofferUser, *mut CK_ULONG) -> Rv) -> Result<Vec<CofferUser>> {
    list(CofferUser::NOBODY, ask)
}

fn list<T: Copy>(blank: T, mut ask: impl FnMut(*mut T, *mut CK_ULONG) -> Rv) -> Result<Vec<T>> {
    let mut count = 0;
    ask(ptr::null_mut(), &raw mut count).ok()?;
    let mut items = vec![blank; count.min(MOST_USERS) as usize];
    count = items.len() as CK_ULONG;
    ask(items.as_mut_ptr(), &raw mut count).ok()?;
    items.truncate(count as usize);
    Ok(items)
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
    /// Asks for approval of what a service does, with a key or 0 for none; what approvers sign.
    pub fn request_approval(&self, service: CK_ULONG, object: CK_OBJECT_HANDLE) -> Result<Vec<u8>> {
        let list = self.coffer()?;
        two_call(|out, length| call!(list, RequestApproval(self.handle(), service, object, out, length)))
    }
    /// Shows one user's approval.
    pub fn add_approval(
        &self,
        approval: &[u8],
        kind: CK_USER_TYPE,
        name: &str,
        signature: &[u8],
    ) -> Result<()> {
        let (name, name_length) = text(name);
        let lengths = (approval.len() as CK_ULONG, signature.len() as CK_ULONG);
        let (approval, signature) = (input(approval), input(signature));
        call!(
            self.coffer()?,
            AddApproval(self.handle(), approval, lengths.0, kind, name, name_length, signature, lengths.1)
        )
        .ok()
    }
    /// Registers the key to approve with.
    pub fn register_approver(&self, key: &[u8], signature: &[u8]) -> Result<()> {
        let lengths = (key.len() as CK_ULONG, signature.len() as CK_ULONG);
        let (key, signature) = (input(key), input(signature));
        call!(self.coffer()?, RegisterApprover(self.handle(), key, lengths.0, signature, lengths.1)).ok()
    }
    /// What waits for approval.
    pub fn approvals(&self) -> Result<Vec<CofferApproval>> {
        let coffer = self.coffer()?;
        let blank =
            CofferApproval { user: CofferUser::NOBODY, service: 0, required: 0, given: 0, seconds: 0 };
        list(blank, |at, count| call!(coffer, ListApprovals(self.handle(), at, count)))
    }
    /// Forgets one's own requests, or all.
    pub fn delete_approvals(&self, all: bool) -> Result<()> {
        call!(self.coffer()?, DeleteApprovals(self.handle(), all.into())).ok()
    }
    /// How many approvals a service takes.
    pub fn quorum_value(&self, service: CK_ULONG) -> Result<CK_ULONG> {
        let mut value = 0;
        call!(self.coffer()?, GetQuorumValue(self.handle(), service, &raw mut value)).ok().map(|()| value)
    }
    /// Sets it.
    pub fn set_quorum_value(&self, service: CK_ULONG, value: CK_ULONG) -> Result<()> {
        call!(self.coffer()?, SetQuorumValue(self.handle(), service, value)).ok()
    }
}

impl Module {
    /// What C_GetInterface has under Coffer's own name.
    fn coffer_list(&self) -> Option<&'static CofferList> {
        // SAFETY: an interface of this name and version leads to this list, for good.
        self.interface(c"Vendor Coffer", 1, 0).map(|at| unsafe { &*at.cast() })
    }
}
