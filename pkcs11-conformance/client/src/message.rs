//! Message-based functions (sections 5.9, 5.11, 5.14, 5.17; since 3.0). The parameter of a message is given as a
//! [`Mechanism`]: only its parameter is sent.

use super::{Mechanism, call, input, rv::Result, session::Session, two_call};
use cryptoki_sys::*;

macro_rules! message_steps {
    (init { $($init:ident = $c_init:ident;)* } last { $($last:ident = $c_last:ident;)* } cipher { $($whole:ident = $c_whole:ident; $begin:ident = $c_begin:ident; $next:ident = $c_next:ident;)* }) => {
        impl Session {
            $(#[doc = concat!(stringify!($c_init), ".")]
            pub fn $init(&self, mechanism: &Mechanism, key: CK_OBJECT_HANDLE) -> Result<()> {
                call!(self.f3_0()?, $c_init(self.handle(), mechanism.ptr(), key)).ok()
            })*
            $(#[doc = concat!(stringify!($c_last), ".")]
            pub fn $last(&self) -> Result<()> {
                call!(self.f3_0()?, $c_last(self.handle())).ok()
            })*
            $(#[doc = concat!(stringify!($c_whole), ", by the two-call rule.")]
            pub fn $whole(&self, parameter: &Mechanism, aad: &[u8], data: &[u8]) -> Result<Vec<u8>> {
                let (list, (at, size)) = (self.f3_0()?, parameter.parameter());
                let (aad, aad_length) = (input(aad), aad.len() as CK_ULONG);
                let (data, data_length) = (input(data), data.len() as CK_ULONG);
                let handle = self.handle();
                two_call(|out, length| call!(list, $c_whole(handle, at, size, aad, aad_length, data, data_length, out, length)))
            }
            #[doc = concat!(stringify!($c_begin), ".")]
            pub fn $begin(&self, parameter: &Mechanism, aad: &[u8]) -> Result<()> {
                let (at, size) = parameter.parameter();
                call!(self.f3_0()?, $c_begin(self.handle(), at, size, input(aad), aad.len() as CK_ULONG)).ok()
            }
            #[doc = concat!(stringify!($c_next), ", by the two-call rule; `end`: this is the last part.")]
            pub fn $next(&self, parameter: &Mechanism, data: &[u8], end: bool) -> Result<Vec<u8>> {
                let (list, (at, size)) = (self.f3_0()?, parameter.parameter());
                let (bytes, flags) = (data.len() as CK_ULONG, if end { CKF_END_OF_MESSAGE } else { 0 });
                two_call(|out, length| call!(list, $c_next(self.handle(), at, size, input(data), bytes, out, length, flags)))
            })*
        }
    };
}

message_steps! {
    init {
        message_encrypt_init = C_MessageEncryptInit;
        message_decrypt_init = C_MessageDecryptInit;
        message_sign_init = C_MessageSignInit;
        message_verify_init = C_MessageVerifyInit;
    }
    last {
        message_encrypt_final = C_MessageEncryptFinal;
        message_decrypt_final = C_MessageDecryptFinal;
        message_sign_final = C_MessageSignFinal;
        message_verify_final = C_MessageVerifyFinal;
    }
    cipher {
        encrypt_message = C_EncryptMessage;
        encrypt_message_begin = C_EncryptMessageBegin;
        encrypt_message_next = C_EncryptMessageNext;
        decrypt_message = C_DecryptMessage;
        decrypt_message_begin = C_DecryptMessageBegin;
        decrypt_message_next = C_DecryptMessageNext;
    }
}

impl Session {
    /// C_SignMessage.
    pub fn sign_message(&self, parameter: &Mechanism, data: &[u8]) -> Result<Vec<u8>> {
        let (list, (at, size)) = (self.f3_0()?, parameter.parameter());
        two_call(|out, length| {
            call!(
                list,
                C_SignMessage(self.handle(), at, size, input(data), data.len() as CK_ULONG, out, length)
            )
        })
    }
    /// C_VerifyMessage.
    pub fn verify_message(&self, parameter: &Mechanism, data: &[u8], signature: &[u8]) -> Result<()> {
        let (list, (at, size)) = (self.f3_0()?, parameter.parameter());
        let (data, data_length) = (input(data), data.len() as CK_ULONG);
        let (signature, length) = (input(signature), signature.len() as CK_ULONG);
        call!(list, C_VerifyMessage(self.handle(), at, size, data, data_length, signature, length)).ok()
    }
}
