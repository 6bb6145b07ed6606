//! A module: its function lists, and the functions that need no session (sections 5.4 and 5.5).

use super::{
    call,
    rv::{Result, Rv},
    session::Session,
};
use cryptoki_sys::*;
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use std::ffi::CStr;
use std::path::Path;
use std::ptr;

/// A loaded module. It is never unloaded, so its lists live for ever and a `Module` is cheap to copy.
#[derive(Clone, Copy)]
pub struct Module {
    list: &'static CK_FUNCTION_LIST,
    interface: CK_C_GetInterface,
    list_3_0: Option<&'static CK_FUNCTION_LIST_3_0>,
    list_3_2: Option<&'static CK_FUNCTION_LIST_3_2>,
}

/// A row of C_GetInterfaceList.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// "PKCS 11" for the standard's own.
    pub name: String,
    /// Of the function list it leads to: major, minor.
    pub version: (u8, u8),
    /// CKF_INTERFACE_FORK_SAFE or none.
    pub flags: CK_FLAGS,
}

impl Module {
    /// Loads the shared library and asks for its lists: C_GetFunctionList, and by C_GetInterface 3.0 and 3.2.
    ///
    /// # Errors
    /// A sentence: the loader's, or which function failed.
    pub fn load(path: impl AsRef<Path>) -> std::result::Result<Module, String> {
        let path = path.as_ref();
        // SAFETY: running a module's constructors is what loading a module means.
        let library =
            unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) }.map_err(|e| e.to_string())?;
        // Never unloaded: its functions are called until the process ends.
        let library = std::mem::ManuallyDrop::new(library);
        // SAFETY: the symbol's type is fixed by the standard.
        let get_list = unsafe {
            library.get::<unsafe extern "C" fn(*mut *mut CK_FUNCTION_LIST) -> CK_RV>(b"C_GetFunctionList\0")
        }
        .map_err(|e| e.to_string())?;
        // SAFETY: as above; a 2.40 module does not have it.
        let get_interface = unsafe { library.get(b"C_GetInterface\0") }.ok().map(|f| *f);
        let mut list = ptr::null_mut();
        // SAFETY: an address to write to.
        let rv = Rv(unsafe { get_list(&raw mut list) });
        rv.ok().map_err(|rv| format!("C_GetFunctionList: {rv}"))?;
        if list.is_null() {
            return Err("C_GetFunctionList: CKR_OK and NULL".into());
        }
        // SAFETY: not NULL, and the module is never unloaded.
        Ok(Module::linked(unsafe { &*list }, get_interface))
    }

    /// A module that is linked into the program: its 2.40 list and, if it has one, its C_GetInterface.
    pub fn linked(list: &'static CK_FUNCTION_LIST, interface: CK_C_GetInterface) -> Module {
        let mut module = Module { list, interface, list_3_0: None, list_3_2: None };
        // SAFETY: a module answers with a list of the version that was asked for, or not at all.
        module.list_3_0 = module.interface(c"PKCS 11", 3, 0).map(|at| unsafe { &*at.cast() });
        // SAFETY: as above.
        module.list_3_2 = module.interface(c"PKCS 11", 3, 2).map(|at| unsafe { &*at.cast() });
        module
    }

    /// The function list that C_GetInterface says for a name and version.
    pub(crate) fn interface(&self, name: &CStr, major: u8, minor: u8) -> Option<*const CK_VERSION> {
        let get = self.interface?;
        let mut version = CK_VERSION { major, minor };
        let mut found: *mut CK_INTERFACE = ptr::null_mut();
        // SAFETY: a NUL-terminated name, a version and an address to write to.
        let rv = Rv(unsafe { get(name.as_ptr().cast_mut().cast(), &raw mut version, &raw mut found, 0) });
        if rv != CKR_OK || found.is_null() {
            return None;
        }
        // SAFETY: CKR_OK means `found` leads to an interface of the module's own memory.
        let list = unsafe { (*found).pFunctionList }.cast::<CK_VERSION>().cast_const();
        // SAFETY: every function list begins with its version; a table of another version has another size.
        let says = (!list.is_null()).then(|| unsafe { *list })?;
        ((says.major, says.minor) == (major, minor)).then_some(list)
    }

    /// The list of C_GetFunctionList.
    pub fn v2_40(&self) -> &'static CK_FUNCTION_LIST {
        self.list
    }
    /// The 3.0 list of C_GetInterface. A 3.2 list begins with the same entries.
    pub fn v3_0(&self) -> Option<&'static CK_FUNCTION_LIST_3_0> {
        self.list_3_0
    }
    /// The 3.2 list of C_GetInterface.
    pub fn v3_2(&self) -> Option<&'static CK_FUNCTION_LIST_3_2> {
        self.list_3_2
    }
    /// The exported C_GetInterface.
    pub fn get_interface(&self) -> CK_C_GetInterface {
        self.interface
    }

    /// C_Initialize with locking by the operating system, which is what every threaded program asks for.
    pub fn init(&self) -> Result<()> {
        let mut args = CK_C_INITIALIZE_ARGS { flags: CKF_OS_LOCKING_OK, ..Default::default() };
        call!(self.list, C_Initialize((&raw mut args).cast())).ok()
    }
    /// C_Initialize with these arguments.
    pub fn init_with(&self, args: &mut CK_C_INITIALIZE_ARGS) -> Result<()> {
        call!(self.list, C_Initialize(ptr::from_mut(args).cast())).ok()
    }
    /// C_Initialize with locking by the operating system, and a text behind pReserved, which is where modules that read
    /// no configuration of their own take it: NSS's `configdir=...`. A NUL within the text ends it.
    pub fn init_with_text(&self, text: &str) -> Result<()> {
        let mut text = [text.as_bytes(), b"\0"].concat();
        let mut args = CK_C_INITIALIZE_ARGS { flags: CKF_OS_LOCKING_OK, ..Default::default() };
        args.pReserved = text.as_mut_ptr().cast();
        self.init_with(&mut args)
    }
    /// C_Initialize(NULL).
    pub fn init_null(&self) -> Result<()> {
        call!(self.list, C_Initialize(ptr::null_mut())).ok()
    }
    /// C_Finalize(NULL).
    pub fn finalize(&self) -> Result<()> {
        call!(self.list, C_Finalize(ptr::null_mut())).ok()
    }
    /// C_GetInfo.
    pub fn info(&self) -> Result<CK_INFO> {
        let mut info = CK_INFO::default();
        call!(self.list, C_GetInfo(&raw mut info)).ok().map(|()| info)
    }

    /// C_GetInterfaceList. [`Rv::ABSENT`] if the module has no 3.0 list.
    pub fn interfaces(&self) -> Result<Vec<Interface>> {
        let list = self.list_3_0.ok_or(Rv::ABSENT)?;
        let mut count = 0;
        call!(list, C_GetInterfaceList(ptr::null_mut(), &raw mut count)).ok()?;
        let mut rows = vec![CK_INTERFACE::default(); count as usize];
        call!(list, C_GetInterfaceList(rows.as_mut_ptr(), &raw mut count)).ok()?;
        rows.truncate(count as usize);
        Ok(rows
            .iter()
            .map(|row| {
                // SAFETY: the module answers with a NUL-terminated name and a list that begins with its version.
                let (name, version) = unsafe {
                    (
                        std::ffi::CStr::from_ptr(row.pInterfaceName.cast()),
                        *row.pFunctionList.cast::<CK_VERSION>(),
                    )
                };
                Interface {
                    name: name.to_string_lossy().into(),
                    version: (version.major, version.minor),
                    flags: row.flags,
                }
            })
            .collect())
    }

    /// C_GetSlotList; `present`: only slots with a token.
    pub fn slots(&self, present: bool) -> Result<Vec<CK_SLOT_ID>> {
        let mut count = 0;
        call!(self.list, C_GetSlotList(u8::from(present), ptr::null_mut(), &raw mut count)).ok()?;
        let mut slots = vec![0; count as usize];
        // A slot may have come in between; then the module says CKR_BUFFER_TOO_SMALL and the caller sees it.
        call!(self.list, C_GetSlotList(u8::from(present), slots.as_mut_ptr(), &raw mut count)).ok()?;
        slots.truncate(count as usize);
        Ok(slots)
    }
    /// C_GetSlotInfo.
    pub fn slot_info(&self, slot: CK_SLOT_ID) -> Result<CK_SLOT_INFO> {
        let mut info = CK_SLOT_INFO::default();
        call!(self.list, C_GetSlotInfo(slot, &raw mut info)).ok().map(|()| info)
    }
    /// C_GetTokenInfo.
    pub fn token_info(&self, slot: CK_SLOT_ID) -> Result<CK_TOKEN_INFO> {
        let mut info = CK_TOKEN_INFO::default();
        call!(self.list, C_GetTokenInfo(slot, &raw mut info)).ok().map(|()| info)
    }
    /// C_GetMechanismList.
    pub fn mechanisms(&self, slot: CK_SLOT_ID) -> Result<Vec<CK_MECHANISM_TYPE>> {
        let mut count = 0;
        call!(self.list, C_GetMechanismList(slot, ptr::null_mut(), &raw mut count)).ok()?;
        let mut list = vec![0; count as usize];
        call!(self.list, C_GetMechanismList(slot, list.as_mut_ptr(), &raw mut count)).ok()?;
        list.truncate(count as usize);
        Ok(list)
    }
    /// C_GetMechanismInfo.
    pub fn mechanism_info(
        &self,
        slot: CK_SLOT_ID,
        mechanism: CK_MECHANISM_TYPE,
    ) -> Result<CK_MECHANISM_INFO> {
        let mut info = CK_MECHANISM_INFO::default();
        call!(self.list, C_GetMechanismInfo(slot, mechanism, &raw mut info)).ok().map(|()| info)
    }
    /// C_InitToken; the label is padded with blanks to its 32 bytes.
    pub fn init_token(&self, slot: CK_SLOT_ID, so_pin: &str, label: &str) -> Result<()> {
        let mut padded = [b' '; 32];
        padded[..label.len()].copy_from_slice(label.as_bytes());
        let pin = super::input(so_pin.as_bytes());
        call!(self.list, C_InitToken(slot, pin, so_pin.len() as CK_ULONG, padded.as_mut_ptr())).ok()
    }
    /// C_WaitForSlotEvent.
    pub fn wait_for_slot_event(&self, flags: CK_FLAGS) -> Result<CK_SLOT_ID> {
        let mut slot = 0;
        call!(self.list, C_WaitForSlotEvent(flags, &raw mut slot, ptr::null_mut())).ok().map(|()| slot)
    }
    /// C_CloseAllSessions.
    pub fn close_all_sessions(&self, slot: CK_SLOT_ID) -> Result<()> {
        call!(self.list, C_CloseAllSessions(slot)).ok()
    }
    /// C_OpenSession, serial; `rw`: read and write.
    pub fn open_session(&self, slot: CK_SLOT_ID, rw: bool) -> Result<Session> {
        self.open_session_flags(slot, CKF_SERIAL_SESSION | if rw { CKF_RW_SESSION } else { 0 })
    }
    /// C_OpenSession with exactly these flags.
    pub fn open_session_flags(&self, slot: CK_SLOT_ID, flags: CK_FLAGS) -> Result<Session> {
        let mut handle = CK_INVALID_HANDLE;
        call!(self.list, C_OpenSession(slot, flags, ptr::null_mut(), None, &raw mut handle)).ok()?;
        Ok(Session::from_handle(*self, handle))
    }
    /// The slot whose token has this label.
    pub fn slot_by_label(&self, label: &str) -> Option<CK_SLOT_ID> {
        let slots = self.slots(true).ok()?;
        slots.into_iter().find(|&slot| self.token_info(slot).is_ok_and(|info| text(&info.label) == label))
    }
}

/// A blank-padded field of the standard as text.
pub fn text(field: &[u8]) -> String {
    String::from_utf8_lossy(field).trim_end_matches(' ').into()
}
