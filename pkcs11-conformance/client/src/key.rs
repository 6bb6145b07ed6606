//! Key management (section 5.18).

use super::{
    Attr, Mechanism, Template, call, fill, input,
    rv::{Result, Rv},
    session::Session,
    two_call,
};
use cryptoki_sys::*;

impl Session {
    /// C_GenerateKey.
    pub fn generate_key(&self, mechanism: &Mechanism, template: &[Attr]) -> Result<CK_OBJECT_HANDLE> {
        let (mut template, mut key) = (Template::new(template), CK_INVALID_HANDLE);
        let count = template.count();
        call!(self.f(), C_GenerateKey(self.handle(), mechanism.ptr(), template.ptr(), count, &raw mut key))
            .ok()?;
        Ok(key)
    }
    /// C_GenerateKeyPair: the public key's handle, then the private key's.
    pub fn generate_key_pair(
        &self,
        mechanism: &Mechanism,
        public: &[Attr],
        private: &[Attr],
    ) -> Result<(CK_OBJECT_HANDLE, CK_OBJECT_HANDLE)> {
        let (mut public, mut private) = (Template::new(public), Template::new(private));
        let (mut public_key, mut private_key) = (CK_INVALID_HANDLE, CK_INVALID_HANDLE);
        let (public_at, public_count) = (public.ptr(), public.count());
        let (private_at, private_count) = (private.ptr(), private.count());
        let keys = (&raw mut public_key, &raw mut private_key);
        call!(
            self.f(),
            C_GenerateKeyPair(
                self.handle(),
                mechanism.ptr(),
                public_at,
                public_count,
                private_at,
                private_count,
                keys.0,
                keys.1,
            )
        )
        .ok()?;
        Ok((public_key, private_key))
    }
    /// C_WrapKey, by the two-call rule.
    pub fn wrap(
        &self,
        mechanism: &Mechanism,
        wrapping: CK_OBJECT_HANDLE,
        key: CK_OBJECT_HANDLE,
    ) -> Result<Vec<u8>> {
        two_call(|at, length| {
            call!(self.f(), C_WrapKey(self.handle(), mechanism.ptr(), wrapping, key, at, length))
        })
    }
    /// C_WrapKey in one call with a buffer of `size` bytes, without asking for the length.
    pub fn wrap_within(
        &self,
        size: usize,
        mechanism: &Mechanism,
        wrapping: CK_OBJECT_HANDLE,
        key: CK_OBJECT_HANDLE,
    ) -> Result<Vec<u8>> {
        let (rv, wrapped, _) = fill(size, |at, length| {
            call!(self.f(), C_WrapKey(self.handle(), mechanism.ptr(), wrapping, key, at, length))
        });
        rv.ok().map(|()| wrapped)
    }
    /// C_UnwrapKey.
    pub fn unwrap(
        &self,
        mechanism: &Mechanism,
        unwrapping: CK_OBJECT_HANDLE,
        wrapped: &[u8],
        template: &[Attr],
    ) -> Result<CK_OBJECT_HANDLE> {
        let (mut template, mut key) = (Template::new(template), CK_INVALID_HANDLE);
        let (at, count) = (template.ptr(), template.count());
        let (wrapped, length) = (input(wrapped), wrapped.len() as CK_ULONG);
        let handle = self.handle();
        call!(
            self.f(),
            C_UnwrapKey(handle, mechanism.ptr(), unwrapping, wrapped, length, at, count, &raw mut key)
        )
        .ok()?;
        Ok(key)
    }
    /// C_DeriveKey.
    pub fn derive(
        &self,
        mechanism: &Mechanism,
        base: CK_OBJECT_HANDLE,
        template: &[Attr],
    ) -> Result<CK_OBJECT_HANDLE> {
        let (mut template, mut key) = (Template::new(template), CK_INVALID_HANDLE);
        let (at, count) = (template.ptr(), template.count());
        call!(self.f(), C_DeriveKey(self.handle(), mechanism.ptr(), base, at, count, &raw mut key)).ok()?;
        Ok(key)
    }
    /// C_EncapsulateKey (3.2): the ciphertext and the new key.
    pub fn encapsulate(
        &self,
        mechanism: &Mechanism,
        public: CK_OBJECT_HANDLE,
        template: &[Attr],
    ) -> Result<(Vec<u8>, CK_OBJECT_HANDLE)> {
        let list = self.f3_2()?;
        let (mut template, mut key) = (Template::new(template), CK_INVALID_HANDLE);
        let (at, count) = (template.ptr(), template.count());
        let ciphertext = two_call(|out, length| {
            call!(
                list,
                C_EncapsulateKey(
                    self.handle(),
                    mechanism.ptr(),
                    public,
                    at,
                    count,
                    out,
                    length,
                    &raw mut key
                )
            )
        })?;
        Ok((ciphertext, key))
    }
    /// C_DecapsulateKey (3.2).
    pub fn decapsulate(
        &self,
        mechanism: &Mechanism,
        private: CK_OBJECT_HANDLE,
        ciphertext: &[u8],
        template: &[Attr],
    ) -> Result<CK_OBJECT_HANDLE> {
        let list = self.f3_2()?;
        let (mut template, mut key) = (Template::new(template), CK_INVALID_HANDLE);
        let (at, count) = (template.ptr(), template.count());
        let (bytes, length) = (input(ciphertext), ciphertext.len() as CK_ULONG);
        let handle = self.handle();
        call!(
            list,
            C_DecapsulateKey(handle, mechanism.ptr(), private, at, count, bytes, length, &raw mut key)
        )
        .ok()?;
        Ok(key)
    }
    /// C_WrapKeyAuthenticated (3.2).
    pub fn wrap_authenticated(
        &self,
        mechanism: &Mechanism,
        wrapping: CK_OBJECT_HANDLE,
        key: CK_OBJECT_HANDLE,
        aad: &[u8],
    ) -> Result<Vec<u8>> {
        let list = self.f3_2()?;
        let (aad, aad_length) = (input(aad), aad.len() as CK_ULONG);
        two_call(|at, length| -> Rv {
            let handle = self.handle();
            call!(
                list,
                C_WrapKeyAuthenticated(handle, mechanism.ptr(), wrapping, key, aad, aad_length, at, length)
            )
        })
    }
    /// C_UnwrapKeyAuthenticated (3.2).
    pub fn unwrap_authenticated(
        &self,
        mechanism: &Mechanism,
        unwrapping: CK_OBJECT_HANDLE,
        wrapped: &[u8],
        template: &[Attr],
        aad: &[u8],
    ) -> Result<CK_OBJECT_HANDLE> {
        let list = self.f3_2()?;
        let (mut template, mut key) = (Template::new(template), CK_INVALID_HANDLE);
        let (at, count) = (template.ptr(), template.count());
        let (wrapped, length) = (input(wrapped), wrapped.len() as CK_ULONG);
        let (aad, aad_length) = (input(aad), aad.len() as CK_ULONG);
        let m = mechanism.ptr();
        call!(
            list,
            C_UnwrapKeyAuthenticated(
                self.handle(),
                m,
                unwrapping,
                wrapped,
                length,
                at,
                count,
                aad,
                aad_length,
                &raw mut key,
            )
        )
        .ok()?;
        Ok(key)
    }
}
