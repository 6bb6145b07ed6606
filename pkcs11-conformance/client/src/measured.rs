//! Single calls into a buffer of the caller's, without the query and the allocation of the two-call rule: what is
//! measured is the module.

use super::{Mechanism, call, input, rv::Result, session::Session};
use cryptoki_sys::*;

macro_rules! into {
    ($($(#[$doc:meta])* $name:ident = $c_name:ident;)*) => {
        impl Session {
            $($(#[$doc])* pub fn $name(&self, data: &[u8], out: &mut [u8]) -> Result<usize> {
                let mut length = out.len() as CK_ULONG;
                let at = out.as_mut_ptr();
                call!(self.f(), $c_name(self.handle(), input(data), data.len() as CK_ULONG, at, &raw mut length)).ok()?;
                Ok(length as usize)
            })*
        }
    };
}

into! {
    /// C_Encrypt.
    encrypt_into = C_Encrypt;
    /// C_Decrypt.
    decrypt_into = C_Decrypt;
    /// C_Sign.
    sign_into = C_Sign;
    /// C_Digest.
    digest_into = C_Digest;
}

impl Session {
    /// C_Verify.
    pub fn verify_into(&self, data: &[u8], signature: &[u8]) -> Result<()> {
        let (data_len, len) = (data.len() as CK_ULONG, signature.len() as CK_ULONG);
        call!(self.f(), C_Verify(self.handle(), input(data), data_len, input(signature), len)).ok()
    }

    /// C_GenerateRandom.
    pub fn random_into(&self, out: &mut [u8]) -> Result<()> {
        call!(self.f(), C_GenerateRandom(self.handle(), out.as_mut_ptr(), out.len() as CK_ULONG)).ok()
    }

    /// C_WrapKey.
    pub fn wrap_into(
        &self,
        mechanism: &Mechanism,
        wrapping: CK_OBJECT_HANDLE,
        key: CK_OBJECT_HANDLE,
        out: &mut [u8],
    ) -> Result<usize> {
        let mut length = out.len() as CK_ULONG;
        let at = out.as_mut_ptr();
        call!(self.f(), C_WrapKey(self.handle(), mechanism.ptr(), wrapping, key, at, &raw mut length))
            .ok()?;
        Ok(length as usize)
    }
}
