//! A session: state, login, random (sections 5.6 and 5.16). The other chapters add methods in their own files.

use super::{
    call, input,
    module::Module,
    rv::{Result, Rv},
    two_call,
};
use cryptoki_sys::*;

/// An open session. Dropping it calls C_CloseSession and looks at no answer; [`Session::close`] gives the answer.
pub struct Session {
    module: Module,
    handle: CK_SESSION_HANDLE,
}

impl Session {
    /// A session by its handle, valid or not.
    pub fn from_handle(module: Module, handle: CK_SESSION_HANDLE) -> Session {
        Session { module, handle }
    }
    /// The module.
    pub fn module(&self) -> Module {
        self.module
    }
    /// The session's handle.
    pub fn handle(&self) -> CK_SESSION_HANDLE {
        self.handle
    }
    /// The 2.40 list, for calls with raw pointers.
    pub fn f(&self) -> &'static CK_FUNCTION_LIST {
        self.module.v2_40()
    }
    pub(crate) fn f3_0(&self) -> Result<&'static CK_FUNCTION_LIST_3_0> {
        self.module.v3_0().ok_or(Rv::ABSENT)
    }
    pub(crate) fn f3_2(&self) -> Result<&'static CK_FUNCTION_LIST_3_2> {
        self.module.v3_2().ok_or(Rv::ABSENT)
    }

    /// C_CloseSession.
    pub fn close(self) -> Result<()> {
        let rv = call!(self.f(), C_CloseSession(self.handle));
        std::mem::forget(self);
        rv.ok()
    }
    /// Forgets the session without closing it.
    pub fn leave(self) -> CK_SESSION_HANDLE {
        let handle = self.handle;
        std::mem::forget(self);
        handle
    }
    /// C_GetSessionInfo.
    pub fn info(&self) -> Result<CK_SESSION_INFO> {
        let mut info = CK_SESSION_INFO::default();
        call!(self.f(), C_GetSessionInfo(self.handle, &raw mut info)).ok().map(|()| info)
    }
    /// The state of C_GetSessionInfo (CKS_...).
    pub fn state(&self) -> Result<CK_STATE> {
        self.info().map(|info| info.state)
    }
    /// C_Login.
    pub fn login(&self, user: CK_USER_TYPE, pin: &str) -> Result<()> {
        call!(self.f(), C_Login(self.handle, user, input(pin.as_bytes()), pin.len() as CK_ULONG)).ok()
    }
    /// C_LoginUser (3.0).
    pub fn login_user(&self, user: CK_USER_TYPE, name: &str, pin: &str) -> Result<()> {
        let (pin, pin_length) = (input(pin.as_bytes()), pin.len() as CK_ULONG);
        let (name, name_length) = (input(name.as_bytes()), name.len() as CK_ULONG);
        call!(self.f3_0()?, C_LoginUser(self.handle, user, pin, pin_length, name, name_length)).ok()
    }
    /// C_Logout.
    pub fn logout(&self) -> Result<()> {
        call!(self.f(), C_Logout(self.handle)).ok()
    }
    /// C_InitPIN.
    pub fn init_pin(&self, pin: &str) -> Result<()> {
        call!(self.f(), C_InitPIN(self.handle, input(pin.as_bytes()), pin.len() as CK_ULONG)).ok()
    }
    /// C_SetPIN.
    pub fn set_pin(&self, old: &str, new: &str) -> Result<()> {
        let (old, old_length) = (input(old.as_bytes()), old.len() as CK_ULONG);
        call!(self.f(), C_SetPIN(self.handle, old, old_length, input(new.as_bytes()), new.len() as CK_ULONG))
            .ok()
    }
    /// C_GetOperationState.
    pub fn operation_state(&self) -> Result<Vec<u8>> {
        two_call(|at, length| call!(self.f(), C_GetOperationState(self.handle, at, length)))
    }
    /// C_SetOperationState; 0 for a key that is not needed.
    pub fn set_operation_state(
        &self,
        state: &[u8],
        cipher: CK_OBJECT_HANDLE,
        signer: CK_OBJECT_HANDLE,
    ) -> Result<()> {
        let length = state.len() as CK_ULONG;
        call!(self.f(), C_SetOperationState(self.handle, input(state), length, cipher, signer)).ok()
    }
    /// C_SessionCancel (3.0); CKF_ENCRYPT and so on say which operations.
    pub fn session_cancel(&self, operations: CK_FLAGS) -> Result<()> {
        call!(self.f3_0()?, C_SessionCancel(self.handle, operations)).ok()
    }
    /// C_GetSessionValidationFlags (3.2), CKS_LAST_VALIDATION_OK being the type.
    pub fn validation_flags(&self, kind: CK_ULONG) -> Result<CK_FLAGS> {
        let mut flags = 0;
        call!(self.f3_2()?, C_GetSessionValidationFlags(self.handle, kind, &raw mut flags))
            .ok()
            .map(|()| flags)
    }
    /// C_GetFunctionStatus: always CKR_FUNCTION_NOT_PARALLEL.
    pub fn function_status(&self) -> Result<()> {
        call!(self.f(), C_GetFunctionStatus(self.handle)).ok()
    }
    /// C_CancelFunction: always CKR_FUNCTION_NOT_PARALLEL.
    pub fn cancel_function(&self) -> Result<()> {
        call!(self.f(), C_CancelFunction(self.handle)).ok()
    }
    /// C_GenerateRandom.
    pub fn random(&self, length: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        call!(self.f(), C_GenerateRandom(self.handle, bytes.as_mut_ptr(), length as CK_ULONG))
            .ok()
            .map(|()| bytes)
    }
    /// C_SeedRandom.
    pub fn seed_random(&self, seed: &[u8]) -> Result<()> {
        call!(self.f(), C_SeedRandom(self.handle, input(seed), seed.len() as CK_ULONG)).ok()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        call!(self.f(), C_CloseSession(self.handle));
    }
}
