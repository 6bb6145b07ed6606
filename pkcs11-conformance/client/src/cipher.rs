//! Encryption, digests, signatures and their dual forms (sections 5.8 to 5.15): each step of the standard, and whole
//! operations in one part or in chunks.

use super::{Mechanism, call, input, rv::Result, session::Session, two_call};
use cryptoki_sys::*;

/// Methods with the shape of their functions: `name = C_Name` with what goes in and comes out.
macro_rules! steps {
    (init { $($init:ident = $c_init:ident;)* } update { $($update:ident = $c_update:ident;)* } last { $($last:ident = $c_last:ident;)* } take { $($take:ident = $c_take:ident;)* }) => {
        impl Session {
            $(#[doc = concat!(stringify!($c_init), ".")]
            pub fn $init(&self, mechanism: &Mechanism, key: CK_OBJECT_HANDLE) -> Result<()> {
                call!(self.f(), $c_init(self.handle(), mechanism.ptr(), key)).ok()
            })*
            $(#[doc = concat!(stringify!($c_update), ", by the two-call rule.")]
            pub fn $update(&self, data: &[u8]) -> Result<Vec<u8>> {
                two_call(|at, length| call!(self.f(), $c_update(self.handle(), input(data), data.len() as CK_ULONG, at, length)))
            })*
            $(#[doc = concat!(stringify!($c_last), ", by the two-call rule.")]
            pub fn $last(&self) -> Result<Vec<u8>> {
                two_call(|at, length| call!(self.f(), $c_last(self.handle(), at, length)))
            })*
            $(#[doc = concat!(stringify!($c_take), ".")]
            pub fn $take(&self, data: &[u8]) -> Result<()> {
                call!(self.f(), $c_take(self.handle(), input(data), data.len() as CK_ULONG)).ok()
            })*
        }
    };
}

steps! {
    init {
        encrypt_init = C_EncryptInit;
        decrypt_init = C_DecryptInit;
        sign_init = C_SignInit;
        verify_init = C_VerifyInit;
        sign_recover_init = C_SignRecoverInit;
        verify_recover_init = C_VerifyRecoverInit;
    }
    update {
        encrypt_once = C_Encrypt;
        encrypt_update = C_EncryptUpdate;
        decrypt_once = C_Decrypt;
        decrypt_update = C_DecryptUpdate;
        digest_once = C_Digest;
        sign_once = C_Sign;
        sign_recover_once = C_SignRecover;
        verify_recover_once = C_VerifyRecover;
        digest_encrypt_update = C_DigestEncryptUpdate;
        decrypt_digest_update = C_DecryptDigestUpdate;
        sign_encrypt_update = C_SignEncryptUpdate;
        decrypt_verify_update = C_DecryptVerifyUpdate;
    }
    last {
        encrypt_final = C_EncryptFinal;
        decrypt_final = C_DecryptFinal;
        digest_final = C_DigestFinal;
        sign_final = C_SignFinal;
    }
    take {
        digest_update = C_DigestUpdate;
        sign_update = C_SignUpdate;
        verify_update = C_VerifyUpdate;
        verify_final = C_VerifyFinal;
    }
}

/// Chunks of a size; data of no length is one chunk of none, so that an Update happens.
fn chunks(data: &[u8], size: usize) -> Vec<&[u8]> {
    if data.is_empty() { vec![data] } else { data.chunks(size).collect() }
}

impl Session {
    /// C_EncryptInit and C_Encrypt.
    pub fn encrypt(&self, mechanism: &Mechanism, key: CK_OBJECT_HANDLE, data: &[u8]) -> Result<Vec<u8>> {
        self.encrypt_init(mechanism, key)?;
        self.encrypt_once(data)
    }
    /// C_EncryptInit, an Update for each chunk, C_EncryptFinal.
    pub fn encrypt_parts(
        &self,
        mechanism: &Mechanism,
        key: CK_OBJECT_HANDLE,
        data: &[u8],
        size: usize,
    ) -> Result<Vec<u8>> {
        self.encrypt_init(mechanism, key)?;
        let mut output = Vec::new();
        for chunk in chunks(data, size) {
            output.extend(self.encrypt_update(chunk)?);
        }
        output.extend(self.encrypt_final()?);
        Ok(output)
    }
    /// C_DecryptInit and C_Decrypt.
    pub fn decrypt(&self, mechanism: &Mechanism, key: CK_OBJECT_HANDLE, data: &[u8]) -> Result<Vec<u8>> {
        self.decrypt_init(mechanism, key)?;
        self.decrypt_once(data)
    }
    /// C_DecryptInit, an Update for each chunk, C_DecryptFinal.
    pub fn decrypt_parts(
        &self,
        mechanism: &Mechanism,
        key: CK_OBJECT_HANDLE,
        data: &[u8],
        size: usize,
    ) -> Result<Vec<u8>> {
        self.decrypt_init(mechanism, key)?;
        let mut output = Vec::new();
        for chunk in chunks(data, size) {
            output.extend(self.decrypt_update(chunk)?);
        }
        output.extend(self.decrypt_final()?);
        Ok(output)
    }
    /// C_DigestInit.
    pub fn digest_init(&self, mechanism: &Mechanism) -> Result<()> {
        call!(self.f(), C_DigestInit(self.handle(), mechanism.ptr())).ok()
    }
    /// C_DigestKey.
    pub fn digest_key(&self, key: CK_OBJECT_HANDLE) -> Result<()> {
        call!(self.f(), C_DigestKey(self.handle(), key)).ok()
    }
    /// C_DigestInit and C_Digest.
    pub fn digest(&self, mechanism: &Mechanism, data: &[u8]) -> Result<Vec<u8>> {
        self.digest_init(mechanism)?;
        self.digest_once(data)
    }
    /// C_DigestInit, an Update for each chunk, C_DigestFinal.
    pub fn digest_parts(&self, mechanism: &Mechanism, data: &[u8], size: usize) -> Result<Vec<u8>> {
        self.digest_init(mechanism)?;
        for chunk in chunks(data, size) {
            self.digest_update(chunk)?;
        }
        self.digest_final()
    }
    /// C_SignInit and C_Sign.
    pub fn sign(&self, mechanism: &Mechanism, key: CK_OBJECT_HANDLE, data: &[u8]) -> Result<Vec<u8>> {
        self.sign_init(mechanism, key)?;
        self.sign_once(data)
    }
    /// C_SignInit, an Update for each chunk, C_SignFinal.
    pub fn sign_parts(
        &self,
        mechanism: &Mechanism,
        key: CK_OBJECT_HANDLE,
        data: &[u8],
        size: usize,
    ) -> Result<Vec<u8>> {
        self.sign_init(mechanism, key)?;
        for chunk in chunks(data, size) {
            self.sign_update(chunk)?;
        }
        self.sign_final()
    }
    /// C_Verify alone.
    pub fn verify_once(&self, data: &[u8], signature: &[u8]) -> Result<()> {
        let (data, data_length) = (input(data), data.len() as CK_ULONG);
        call!(
            self.f(),
            C_Verify(self.handle(), data, data_length, input(signature), signature.len() as CK_ULONG)
        )
        .ok()
    }
    /// C_VerifyInit and C_Verify.
    pub fn verify(
        &self,
        mechanism: &Mechanism,
        key: CK_OBJECT_HANDLE,
        data: &[u8],
        signature: &[u8],
    ) -> Result<()> {
        self.verify_init(mechanism, key)?;
        self.verify_once(data, signature)
    }
    /// C_VerifyInit, an Update for each chunk, C_VerifyFinal.
    pub fn verify_parts(
        &self,
        mechanism: &Mechanism,
        key: CK_OBJECT_HANDLE,
        data: &[u8],
        signature: &[u8],
        size: usize,
    ) -> Result<()> {
        self.verify_init(mechanism, key)?;
        for chunk in chunks(data, size) {
            self.verify_update(chunk)?;
        }
        self.verify_final(signature)
    }
    /// C_SignRecoverInit and C_SignRecover.
    pub fn sign_recover(&self, mechanism: &Mechanism, key: CK_OBJECT_HANDLE, data: &[u8]) -> Result<Vec<u8>> {
        self.sign_recover_init(mechanism, key)?;
        self.sign_recover_once(data)
    }
    /// C_VerifyRecoverInit and C_VerifyRecover: the data that was signed.
    pub fn verify_recover(
        &self,
        mechanism: &Mechanism,
        key: CK_OBJECT_HANDLE,
        signature: &[u8],
    ) -> Result<Vec<u8>> {
        self.verify_recover_init(mechanism, key)?;
        self.verify_recover_once(signature)
    }
    /// C_VerifySignatureInit (3.2): the signature comes first.
    pub fn verify_signature_init(
        &self,
        mechanism: &Mechanism,
        key: CK_OBJECT_HANDLE,
        signature: &[u8],
    ) -> Result<()> {
        let length = signature.len() as CK_ULONG;
        call!(
            self.f3_2()?,
            C_VerifySignatureInit(self.handle(), mechanism.ptr(), key, input(signature), length)
        )
        .ok()
    }
    /// C_VerifySignature (3.2).
    pub fn verify_signature_once(&self, data: &[u8]) -> Result<()> {
        call!(self.f3_2()?, C_VerifySignature(self.handle(), input(data), data.len() as CK_ULONG)).ok()
    }
    /// C_VerifySignatureUpdate (3.2).
    pub fn verify_signature_update(&self, data: &[u8]) -> Result<()> {
        call!(self.f3_2()?, C_VerifySignatureUpdate(self.handle(), input(data), data.len() as CK_ULONG)).ok()
    }
    /// C_VerifySignatureFinal (3.2).
    pub fn verify_signature_final(&self) -> Result<()> {
        call!(self.f3_2()?, C_VerifySignatureFinal(self.handle())).ok()
    }
    /// C_VerifySignatureInit and C_VerifySignature (3.2).
    pub fn verify_signature(
        &self,
        mechanism: &Mechanism,
        key: CK_OBJECT_HANDLE,
        data: &[u8],
        signature: &[u8],
    ) -> Result<()> {
        self.verify_signature_init(mechanism, key, signature)?;
        self.verify_signature_once(data)
    }
}
