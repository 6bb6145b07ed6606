//! The interface "Vendor Coffer", as a program would call it.

use super::*;
use coffer_pkcs11::abi::vendor::{CK_COFFER_FUNCTION_LIST, CK_COFFER_USER};
use pkcs11_conformance::client::{Result, Rv};
use std::ptr;

/// The interface, in one session.
pub struct Coffer<'a> {
    session: &'a Session,
    list: &'static CK_COFFER_FUNCTION_LIST,
}

/// A user, as listed: type, name, tries left.
pub type Listed = (CK_USER_TYPE, String, CK_ULONG);

macro_rules! ask {
    ($self:ident.$function:ident($($argument:expr),*)) => {{
        let function = $self.list.$function.expect(stringify!($function));
        // SAFETY: every pointer is valid for the length beside it.
        Rv(unsafe { function($($argument),*) }).ok()
    }};
}

fn bytes(text: &str) -> (*mut CK_UTF8CHAR, CK_ULONG) {
    (text.as_ptr().cast_mut(), text.len() as CK_ULONG)
}

fn blank() -> CK_COFFER_USER {
    CK_COFFER_USER { name: [0; 64], ulNameLen: 0, userType: 0, ulTriesLeft: 0, flags: 0 }
}

fn listed(user: &CK_COFFER_USER) -> Listed {
    let name = String::from_utf8(user.name[..user.ulNameLen as usize].into()).expect("UTF-8");
    (user.userType, name, user.ulTriesLeft)
}

impl<'a> Coffer<'a> {
    pub fn new(session: &'a Session) -> Coffer<'a> {
        let get = process().module.get_interface().expect("C_GetInterface");
        let (mut found, mut version) = (ptr::null_mut(), CK_VERSION { major: 1, minor: 0 });
        let name = c"Vendor Coffer".as_ptr().cast_mut().cast();
        // SAFETY: two texts to read and an address to write to.
        assert_eq!(unsafe { get(name, &raw mut version, &raw mut found, 0) }, CKR_OK);
        // SAFETY: the interface of this name and version is this list, for good.
        Coffer { session, list: unsafe { &*(*found).pFunctionList.cast() } }
    }

    pub fn create(&self, kind: CK_USER_TYPE, name: &str, pin: &str) -> Result<()> {
        let ((name, name_len), (pin, pin_len)) = (bytes(name), bytes(pin));
        ask!(self.CreateUser(self.session.handle(), kind, name, name_len, pin, pin_len))
    }

    pub fn delete(&self, kind: CK_USER_TYPE, name: &str) -> Result<()> {
        let (name, name_len) = bytes(name);
        ask!(self.DeleteUser(self.session.handle(), kind, name, name_len))
    }

    pub fn set_pin(&self, kind: CK_USER_TYPE, name: &str, pin: &str) -> Result<()> {
        let ((name, name_len), (pin, pin_len)) = (bytes(name), bytes(pin));
        ask!(self.SetUserPIN(self.session.handle(), kind, name, name_len, pin, pin_len))
    }

    pub fn set_type(&self, kind: CK_USER_TYPE, name: &str, pin: &str) -> Result<()> {
        let ((name, name_len), (pin, pin_len)) = (bytes(name), bytes(pin));
        ask!(self.SetUserType(self.session.handle(), kind, name, name_len, pin, pin_len))
    }

    pub fn unlock(&self, kind: CK_USER_TYPE, name: &str) -> Result<()> {
        let (name, name_len) = bytes(name);
        ask!(self.UnlockUser(self.session.handle(), kind, name, name_len))
    }

    pub fn users(&self) -> Result<Vec<Listed>> {
        let mut count = 0;
        ask!(self.ListUsers(self.session.handle(), ptr::null_mut(), &raw mut count))?;
        let mut users = vec![blank(); count as usize];
        ask!(self.ListUsers(self.session.handle(), users.as_mut_ptr(), &raw mut count))?;
        Ok(users.iter().map(listed).collect())
    }

    pub fn names(&self) -> Vec<String> {
        self.users().expect("ListUsers").into_iter().map(|(_, name, _)| name).collect()
    }

    pub fn whoami(&self) -> Result<Listed> {
        let mut user = blank();
        ask!(self.GetLogin(self.session.handle(), &raw mut user))?;
        Ok(listed(&user))
    }

    pub fn share(&self, object: CK_OBJECT_HANDLE, name: &str) -> Result<()> {
        let (name, name_len) = bytes(name);
        ask!(self.ShareObject(self.session.handle(), object, name, name_len))
    }

    pub fn unshare(&self, object: CK_OBJECT_HANDLE, name: &str) -> Result<()> {
        let (name, name_len) = bytes(name);
        ask!(self.UnshareObject(self.session.handle(), object, name, name_len))
    }

    /// The owner's name, and whom it is shared with.
    pub fn access(&self, object: CK_OBJECT_HANDLE) -> Result<(Option<String>, Vec<String>)> {
        let (mut owner, mut users, mut count) = (blank(), vec![blank(); 16], 16);
        let handle = self.session.handle();
        ask!(self.ListAccess(handle, object, &raw mut owner, users.as_mut_ptr(), &raw mut count))?;
        let owner = (owner.userType != CK_UNAVAILABLE_INFORMATION).then(|| listed(&owner).1);
        Ok((owner, users[..count as usize].iter().map(|user| listed(user).1).collect()))
    }

    pub fn limited_write(&self, on: bool) -> Result<()> {
        ask!(self.SetLimitedWrite(self.session.handle(), on.into()))
    }

    pub fn rename(&self, label: &str) -> Result<()> {
        let (label, label_len) = bytes(label);
        ask!(self.RenameToken(self.session.handle(), label, label_len))
    }
}
