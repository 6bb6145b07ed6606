//! The interface "Vendor Coffer", as a program would call it.

use super::*;
use coffer_pkcs11::abi::vendor::{
    CK_COFFER_AUDIT_VERDICT, CK_COFFER_FUNCTION_LIST, CK_COFFER_USER, CK_COFFER_VERDICT,
};
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

    pub fn backup(&self, path: &Path) -> Result<()> {
        let (path, path_len) = bytes(path.to_str().expect("UTF-8"));
        ask!(self.BackupToken(self.session.handle(), path, path_len))
    }

    /// The slot that the token is in.
    pub fn restore(&self, path: &Path, kind: CK_USER_TYPE, name: &str, pin: &str) -> Result<CK_SLOT_ID> {
        let (path, path_len) = bytes(path.to_str().expect("UTF-8"));
        let ((name, name_len), (pin, pin_len)) = (bytes(name), bytes(pin));
        let mut slot = CK_UNAVAILABLE_INFORMATION;
        ask!(self.RestoreToken(path, path_len, kind, name, name_len, pin, pin_len, &raw mut slot))?;
        Ok(slot)
    }

    /// For an escrow key; at most `most` steps of it.
    pub fn backup_for(&self, path: &Path, key: &[u8], most: usize) -> Result<()> {
        let (path, path_len) = bytes(path.to_str().expect("UTF-8"));
        let (key, key_len) = (key.as_ptr().cast_mut(), key.len() as CK_ULONG);
        let mut context = (most, Vec::<String>::new());
        let at = (&raw mut context).cast();
        let handle = self.session.handle();
        ask!(self.BackupTokenForEscrow(handle, path, path_len, key, key_len, Some(notify), at))
    }

    /// The slot that the token is in.
    pub fn restore_by(&self, path: &Path, seed: &[u8], so_pin: &str, most: usize) -> Result<CK_SLOT_ID> {
        let (path, path_len) = bytes(path.to_str().expect("UTF-8"));
        let (seed, seed_len) = (seed.as_ptr().cast_mut(), seed.len() as CK_ULONG);
        let (pin, pin_len) = bytes(so_pin);
        let mut context = (most, Vec::<String>::new());
        let at = (&raw mut context).cast();
        let mut slot = CK_UNAVAILABLE_INFORMATION;
        let out = &raw mut slot;
        ask!(self.RestoreTokenByEscrow(path, path_len, seed, seed_len, pin, pin_len, Some(notify), at, out))?;
        Ok(slot)
    }

    /// Objects, those that are sound, and the faults.
    pub fn repair(
        &self,
        slot: CK_SLOT_ID,
        pin: &str,
        accept: bool,
    ) -> Result<(CK_ULONG, CK_ULONG, Vec<String>)> {
        let ((name, name_len), (pin, pin_len)) = (bytes("admin"), bytes(pin));
        let mut verdict = CK_COFFER_VERDICT { ulObjects: 0, ulOpened: 0, ulFaults: 0 };
        let mut context = (usize::MAX, Vec::new());
        let (at, out) = ((&raw mut context).cast(), &raw mut verdict);
        let accept = accept.into();
        ask!(self.RepairToken(slot, CKU_SO, name, name_len, pin, pin_len, accept, Some(notify), at, out))?;
        assert_eq!(verdict.ulFaults as usize, context.1.len());
        Ok((verdict.ulObjects, verdict.ulOpened, context.1))
    }

    /// Lines, those that are signed, and what is told.
    pub fn audit(&self, faults_only: bool) -> Result<(CK_ULONG, CK_ULONG, Vec<String>)> {
        let mut verdict = CK_COFFER_AUDIT_VERDICT { ulLines: 0, ulSigned: 0, ulFaults: 0 };
        let mut context = (usize::MAX, Vec::new());
        let at = (&raw mut context).cast();
        let handle = self.session.handle();
        ask!(self.VerifyAudit(handle, faults_only.into(), Some(notify), at, &raw mut verdict))?;
        assert!(!faults_only || verdict.ulFaults as usize == context.1.len());
        Ok((verdict.ulLines, verdict.ulSigned, context.1))
    }

    pub fn destroy(&self, slot: CK_SLOT_ID, pin: &str) -> Result<()> {
        let (pin, pin_len) = bytes(pin);
        ask!(self.DestroyToken(slot, pin, pin_len))
    }

    /// Objects, those that opened, and the faults; at most `most` steps of it.
    pub fn verify(&self, most: usize) -> Result<(CK_ULONG, CK_ULONG, Vec<String>)> {
        let mut verdict = CK_COFFER_VERDICT { ulObjects: 0, ulOpened: 0, ulFaults: 0 };
        let mut context = (most, Vec::new());
        let at = (&raw mut context).cast();
        ask!(self.VerifyToken(self.session.handle(), Some(notify), at, &raw mut verdict))?;
        assert_eq!(verdict.ulFaults as usize, context.1.len());
        Ok((verdict.ulObjects, verdict.ulOpened, context.1))
    }
}

/// Counts the steps down and keeps the texts.
unsafe extern "C" fn notify(
    context: CK_VOID_PTR,
    _done: CK_ULONG,
    _total: CK_ULONG,
    text: CK_UTF8CHAR_PTR,
    text_len: CK_ULONG,
) -> CK_RV {
    // SAFETY: the context is what `verify` gave, and the text is as long as it says.
    let ((left, faults), text) = unsafe {
        let text = (!text.is_null()).then(|| std::slice::from_raw_parts(text, text_len as usize));
        (&mut *context.cast::<(usize, Vec<String>)>(), text)
    };
    faults.extend(text.map(|text| String::from_utf8_lossy(text).into_owned()));
    *left = left.saturating_sub(1);
    if *left > 0 { CKR_OK } else { CKR_CANCEL }
}
