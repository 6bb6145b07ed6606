//! Every function of the standard as a row: its name and the kinds of its arguments, so that cases can be made for all
//! functions at once. The entries take nothing but words and pointers, and a caller may pass more of them than an entry
//! takes, so one type of function pointer calls them all.

use crate::client::{Module, Rv};
use cryptoki_sys::*;

/// What an argument is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A session's handle.
    Session,
    /// A slot's number.
    Slot,
    /// An object's handle.
    Object,
    /// A plain number: flags, a user type, a boolean.
    Number,
    /// A CK_MECHANISM.
    Mechanism,
    /// Attributes, whose count follows.
    Template,
    /// Bytes to read, whose length follows.
    Input,
    /// The length or count of the argument before.
    Length,
    /// Bytes to write, whose length's address follows.
    Output,
    /// The address of a length.
    LengthAt,
    /// The address of a handle or structure to write.
    Place,
    /// A reserved or optional pointer.
    Reserved,
}

/// A function, its arguments, and how to find its entry.
pub struct Function {
    /// `C_Name`.
    pub name: &'static str,
    /// In order.
    pub kinds: &'static [Kind],
    listed: fn(&Module) -> bool,
    entry: fn(&Module) -> Option<*const ()>,
}

/// As many words as the longest function takes.
pub type Words = [usize; 10];

impl Function {
    /// Calls the function with these words; none if no list of the module has it.
    pub fn call(&self, module: &Module, words: &Words) -> Option<Rv> {
        type Entry = unsafe extern "C" fn(
            usize,
            usize,
            usize,
            usize,
            usize,
            usize,
            usize,
            usize,
            usize,
            usize,
        ) -> CK_RV;
        let entry = (self.entry)(module)?;
        // SAFETY: all arguments are words or pointers, so words in the same places are the same call; what is in them is
        // the case's affair.
        let entry = unsafe { std::mem::transmute::<*const (), Entry>(entry) };
        let [a, b, c, d, e, f, g, h, i, j] = *words;
        // SAFETY: as above.
        Some(Rv(unsafe { entry(a, b, c, d, e, f, g, h, i, j) }))
    }

    /// Whether the module has a list of the version that brought the function.
    pub fn is_listed(&self, module: &Module) -> bool {
        (self.listed)(module)
    }

    /// Whether its entry is there and not NULL.
    pub fn exists(&self, module: &Module) -> bool {
        (self.entry)(module).is_some()
    }

    /// Whether it takes a session.
    pub fn has_session(&self) -> bool {
        self.kinds.first() == Some(&Kind::Session)
    }
}

macro_rules! functions {
    ($($list:ident { $($name:ident: $($kind:ident)*;)* })*) => {
        /// All functions that any of the three lists has.
        pub const FUNCTIONS: &[Function] = &[$($(Function {
            name: stringify!($name),
            kinds: &[$(Kind::$kind),*],
            listed: |module| functions!(@$list module),
            entry: |module| functions!(@$list module $name),
        }),*),*];
    };
    (@v2_40 $module:ident) => {{ let _: &Module = $module; true }};
    (@v3_0 $module:ident) => { $module.v3_0().is_some() };
    (@v3_2 $module:ident) => { $module.v3_2().is_some() };
    (@v2_40 $module:ident $name:ident) => { $module.v2_40().$name.map(|entry| entry as *const ()) };
    (@v3_0 $module:ident $name:ident) => { $module.v3_0()?.$name.map(|entry| entry as *const ()) };
    (@v3_2 $module:ident $name:ident) => { $module.v3_2()?.$name.map(|entry| entry as *const ()) };
}

functions! {
    v2_40 {
        C_GetInfo: Place;
        C_GetSlotList: Number Output LengthAt;
        C_GetSlotInfo: Slot Place;
        C_GetTokenInfo: Slot Place;
        C_GetMechanismList: Slot Output LengthAt;
        C_GetMechanismInfo: Slot Number Place;
        C_InitToken: Slot Input Length Input;
        C_InitPIN: Session Input Length;
        C_SetPIN: Session Input Length Input Length;
        C_OpenSession: Slot Number Reserved Reserved Place;
        C_CloseSession: Session;
        C_CloseAllSessions: Slot;
        C_GetSessionInfo: Session Place;
        C_GetOperationState: Session Output LengthAt;
        C_SetOperationState: Session Input Length Object Object;
        C_Login: Session Number Input Length;
        C_Logout: Session;
        C_CreateObject: Session Template Length Place;
        C_CopyObject: Session Object Template Length Place;
        C_DestroyObject: Session Object;
        C_GetObjectSize: Session Object Place;
        C_GetAttributeValue: Session Object Template Length;
        C_SetAttributeValue: Session Object Template Length;
        C_FindObjectsInit: Session Template Length;
        C_FindObjects: Session Output Length Place;
        C_FindObjectsFinal: Session;
        C_EncryptInit: Session Mechanism Object;
        C_Encrypt: Session Input Length Output LengthAt;
        C_EncryptUpdate: Session Input Length Output LengthAt;
        C_EncryptFinal: Session Output LengthAt;
        C_DecryptInit: Session Mechanism Object;
        C_Decrypt: Session Input Length Output LengthAt;
        C_DecryptUpdate: Session Input Length Output LengthAt;
        C_DecryptFinal: Session Output LengthAt;
        C_DigestInit: Session Mechanism;
        C_Digest: Session Input Length Output LengthAt;
        C_DigestUpdate: Session Input Length;
        C_DigestKey: Session Object;
        C_DigestFinal: Session Output LengthAt;
        C_SignInit: Session Mechanism Object;
        C_Sign: Session Input Length Output LengthAt;
        C_SignUpdate: Session Input Length;
        C_SignFinal: Session Output LengthAt;
        C_SignRecoverInit: Session Mechanism Object;
        C_SignRecover: Session Input Length Output LengthAt;
        C_VerifyInit: Session Mechanism Object;
        C_Verify: Session Input Length Input Length;
        C_VerifyUpdate: Session Input Length;
        C_VerifyFinal: Session Input Length;
        C_VerifyRecoverInit: Session Mechanism Object;
        C_VerifyRecover: Session Input Length Output LengthAt;
        C_DigestEncryptUpdate: Session Input Length Output LengthAt;
        C_DecryptDigestUpdate: Session Input Length Output LengthAt;
        C_SignEncryptUpdate: Session Input Length Output LengthAt;
        C_DecryptVerifyUpdate: Session Input Length Output LengthAt;
        C_GenerateKey: Session Mechanism Template Length Place;
        C_GenerateKeyPair: Session Mechanism Template Length Template Length Place Place;
        C_WrapKey: Session Mechanism Object Object Output LengthAt;
        C_UnwrapKey: Session Mechanism Object Input Length Template Length Place;
        C_DeriveKey: Session Mechanism Object Template Length Place;
        C_SeedRandom: Session Input Length;
        C_GenerateRandom: Session Output Length;
        C_GetFunctionStatus: Session;
        C_CancelFunction: Session;
        C_WaitForSlotEvent: Number Place Reserved;
    }
    v3_0 {
        C_LoginUser: Session Number Input Length Input Length;
        C_SessionCancel: Session Number;
        C_MessageEncryptInit: Session Mechanism Object;
        C_EncryptMessage: Session Input Length Input Length Input Length Output LengthAt;
        C_EncryptMessageBegin: Session Input Length Input Length;
        C_EncryptMessageNext: Session Input Length Input Length Output LengthAt Number;
        C_MessageEncryptFinal: Session;
        C_MessageDecryptInit: Session Mechanism Object;
        C_DecryptMessage: Session Input Length Input Length Input Length Output LengthAt;
        C_DecryptMessageBegin: Session Input Length Input Length;
        C_DecryptMessageNext: Session Input Length Input Length Output LengthAt Number;
        C_MessageDecryptFinal: Session;
        C_MessageSignInit: Session Mechanism Object;
        C_SignMessage: Session Input Length Input Length Output LengthAt;
        C_SignMessageBegin: Session Input Length;
        C_SignMessageNext: Session Input Length Input Length Output LengthAt;
        C_MessageSignFinal: Session;
        C_MessageVerifyInit: Session Mechanism Object;
        C_VerifyMessage: Session Input Length Input Length Input Length;
        C_VerifyMessageBegin: Session Input Length;
        C_VerifyMessageNext: Session Input Length Input Length Input Length;
        C_MessageVerifyFinal: Session;
    }
    v3_2 {
        C_EncapsulateKey: Session Mechanism Object Template Length Output LengthAt Place;
        C_DecapsulateKey: Session Mechanism Object Template Length Input Length Place;
        C_VerifySignatureInit: Session Mechanism Object Input Length;
        C_VerifySignature: Session Input Length;
        C_VerifySignatureUpdate: Session Input Length;
        C_VerifySignatureFinal: Session;
        C_GetSessionValidationFlags: Session Number Place;
        C_AsyncComplete: Session Input Place;
        C_AsyncGetID: Session Input Place;
        C_AsyncJoin: Session Input Number Input Length;
        C_WrapKeyAuthenticated: Session Mechanism Object Object Input Length Output LengthAt;
        C_UnwrapKeyAuthenticated: Session Mechanism Object Input Length Template Length Input Length Place;
    }
}
