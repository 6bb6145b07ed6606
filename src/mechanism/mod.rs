//! The mechanisms: one table of rows ([`table`]), one file a family, behaviour as values behind these traits.
//!
//! The session layer has checked, from the row and the key's attributes, that the key's class, type, size and
//! usage fit and that its policy allows the mechanism, before any of this runs. What is left for a family is
//! the parameter's sense and the computation.

#[macro_use]
mod begun;
pub mod aes_aead;
pub mod aes_stream;
#[cfg(test)]
mod asymmetric_tests;
pub mod blocks;
mod check_value;
pub mod ec;
pub mod ecdh;
pub mod edwards;
mod gcm_message;
pub mod kdf;
pub mod key;
pub mod key_wrap;
pub mod mac;
pub mod message;
pub mod ml_dsa;
pub mod ml_kem;
pub mod params;
mod pkcs8;
pub mod rsa;
pub mod secret;
mod seeded;
mod signature;
pub mod table;
pub mod vendor;
mod whole;

pub(crate) use begun::begin;
pub use begun::{Begun, Place};
pub use message::{Ivs, MessageCipher, MessageState};
pub use params::{Params, Shape};
pub use table::{Mechanism, rows};

use crate::crypto::{Direction, InOut, Secret};
use crate::error::{Error, Result, Rv};
use crate::object::{Attributes, Handle, Object};
use cryptoki_sys::*;
use std::sync::Arc;

/// C_EncryptInit, C_DecryptInit (sections 5.8 and 5.10).
pub trait Cipher: Sync {
    /// Begins an operation. What it keeps of `params` it takes out of them: they are large, and moving them costs as
    /// much as a block of the cipher.
    ///
    /// # Errors
    /// CKR_MECHANISM_PARAM_INVALID, CKR_KEY_SIZE_RANGE and others a key or parameter can be wrong by.
    fn begin(
        &self,
        direction: Direction,
        key: &Object,
        params: &mut Params,
        state: &mut Begun<dyn CipherState>,
    ) -> Result<()>;
}

/// A running encryption or decryption. Every call gets the key it began with.
pub trait CipherState: Send {
    /// False if data must come in one piece (sections 5.8 and 5.10: an update is then refused).
    fn multipart(&self) -> bool {
        true
    }

    /// Most bytes that `update` writes for `input` more bytes.
    fn update_bound(&self, key: &Object, input: usize) -> usize;

    /// Takes input, writes what can already be told, returns how many bytes that was. `io` has room for
    /// `update_bound` bytes; input and output may be the same memory.
    ///
    /// # Errors
    /// CKR_DATA_LEN_RANGE, CKR_ENCRYPTED_DATA_LEN_RANGE ...; the operation is over then.
    fn update(&mut self, key: &Object, io: InOut<'_>) -> Result<usize>;

    /// Most bytes that `finish` writes.
    fn finish_bound(&self, key: &Object) -> usize;

    /// Ends the operation. `out` has room for `finish_bound` bytes.
    ///
    /// # Errors
    /// As `update`; CKR_ENCRYPTED_DATA_INVALID for every padding fault, CKR_AEAD_DECRYPT_FAILED for a bad tag.
    fn finish(&mut self, key: &Object, out: &mut [u8]) -> Result<usize>;

    /// Most bytes that `one_shot` writes for `input` bytes.
    fn one_shot_bound(&self, key: &Object, input: usize) -> usize {
        self.update_bound(key, input) + self.finish_bound(key)
    }

    /// All in one piece: C_Encrypt, C_Decrypt. `io` has room for `one_shot_bound` bytes.
    ///
    /// # Errors
    /// As `update` and `finish`.
    fn one_shot(&mut self, key: &Object, mut io: InOut<'_>) -> Result<usize> {
        let written = self.update(key, io.reborrow())?;
        Ok(written + self.finish(key, &mut io.output()[written..])?)
    }

    /// Whether the bounds are exact, so that a shorter buffer is too small for certain. False where only the
    /// computation tells (padding): it then runs into a buffer of its own.
    fn exact(&self) -> bool {
        true
    }
}

/// C_SignInit, C_VerifyInit (sections 5.13 and 5.15): signatures and MACs.
pub trait Sign: Sync {
    /// Begins a signature or MAC.
    ///
    /// # Errors
    /// CKR_MECHANISM_PARAM_INVALID, CKR_KEY_SIZE_RANGE ...
    fn sign(&self, key: &Object, params: &mut Params, state: &mut Begun<dyn SignState>) -> Result<()>;

    /// Begins a verification.
    ///
    /// # Errors
    /// As `sign`.
    fn verify(&self, key: &Object, params: &mut Params, state: &mut Begun<dyn VerifyState>) -> Result<()>;
}

/// A running signature.
pub trait SignState: Send {
    /// False if data must come in one piece.
    fn multipart(&self) -> bool {
        true
    }

    /// Takes more data.
    ///
    /// # Errors
    /// CKR_DATA_LEN_RANGE ...; the operation is over then.
    fn update(&mut self, key: &Object, data: &[u8]) -> Result<()>;

    /// Bytes of signature (at most, where the encoding varies).
    fn signature_len(&self, key: &Object) -> usize;

    /// Writes the signature into `out`, which has room for `signature_len` bytes; returns its length.
    ///
    /// # Errors
    /// CKR_DATA_LEN_RANGE, CKR_FUNCTION_FAILED ...
    fn finish(&mut self, key: &Object, out: &mut [u8]) -> Result<usize>;

    /// All in one piece: C_Sign.
    ///
    /// # Errors
    /// As `update` and `finish`.
    fn one_shot(&mut self, key: &Object, data: &[u8], out: &mut [u8]) -> Result<usize> {
        self.update(key, data)?;
        self.finish(key, out)
    }
}

/// A running verification.
pub trait VerifyState: Send {
    /// False if data must come in one piece.
    fn multipart(&self) -> bool {
        true
    }

    /// Takes more data.
    ///
    /// # Errors
    /// CKR_DATA_LEN_RANGE ...; the operation is over then.
    fn update(&mut self, key: &Object, data: &[u8]) -> Result<()>;

    /// Ends well if the signature is right.
    ///
    /// # Errors
    /// CKR_SIGNATURE_LEN_RANGE for a length no signature has, CKR_SIGNATURE_INVALID for a wrong one.
    fn finish(&mut self, key: &Object, signature: &[u8]) -> Result<()>;

    /// All in one piece: C_Verify.
    ///
    /// # Errors
    /// As `update` and `finish`.
    fn one_shot(&mut self, key: &Object, data: &[u8], signature: &[u8]) -> Result<()> {
        self.update(key, data)?;
        self.finish(key, signature)
    }
}

/// C_SignRecover, C_VerifyRecover (sections 5.14 and 5.16). Single part.
pub trait Recover: Sync {
    /// The signature that contains the data.
    ///
    /// # Errors
    /// CKR_DATA_LEN_RANGE ...
    fn sign_recover(&self, key: &Object, data: &[u8]) -> Result<Vec<u8>>;

    /// The data out of the signature.
    ///
    /// # Errors
    /// CKR_SIGNATURE_INVALID, CKR_SIGNATURE_LEN_RANGE.
    fn verify_recover(&self, key: &Object, signature: &[u8]) -> Result<Vec<u8>>;
}

/// C_WrapKey, C_UnwrapKey (section 5.18). The payload is a secret key's value or a private key's PKCS#8.
pub trait Wrap: Sync {
    /// Whether private keys (PKCS#8 payloads of any length) can be wrapped, or only secret keys.
    fn takes_private_keys(&self) -> bool {
        true
    }

    /// Bytes that `wrap` gives for a payload of `payload` bytes.
    ///
    /// # Errors
    /// CKR_KEY_SIZE_RANGE if a payload of that length cannot be wrapped; CKR_MECHANISM_PARAM_INVALID.
    fn wrapped_len(&self, key: &Object, params: &Params, payload: usize) -> Result<usize>;

    /// The wrapped key.
    ///
    /// # Errors
    /// As `wrapped_len`.
    fn wrap(&self, key: &Object, params: Params, payload: &[u8]) -> Result<Vec<u8>>;

    /// The payload of a wrapped key. `expected` is the payload's length in bytes where the template or the
    /// key type fixes it.
    ///
    /// # Errors
    /// CKR_WRAPPED_KEY_INVALID for everything a forged blob can be wrong by, CKR_WRAPPED_KEY_LEN_RANGE for a
    /// length no blob has.
    fn unwrap(&self, key: &Object, params: Params, wrapped: &[u8], expected: Option<usize>)
    -> Result<Secret>;
}

/// What a derivation is to give.
#[derive(Clone, Copy)]
pub struct Wanted {
    /// CKA_KEY_TYPE of the new key.
    pub key_type: CK_KEY_TYPE,
    /// Its length in bytes, where CKA_VALUE_LEN or the key type says it.
    pub len: Option<usize>,
}

/// Finds another key that a parameter names by its handle.
pub type OtherKey<'a> = &'a dyn Fn(Handle) -> Result<Arc<Object>>;

/// C_DeriveKey (section 5.18).
pub trait Derive: Sync {
    /// Whether the value becomes an object of class CKO_DATA, and not a secret key.
    fn gives_data(&self) -> bool {
        false
    }

    /// The new key's value, of `wanted.len` bytes if that is given.
    ///
    /// # Errors
    /// CKR_MECHANISM_PARAM_INVALID, CKR_KEY_SIZE_RANGE if more is wanted than there is,
    /// CKR_TEMPLATE_INCOMPLETE if nothing says how much ...
    fn derive(&self, base: &Object, params: Params, wanted: Wanted, other: OtherKey<'_>) -> Result<Secret>;
}

/// C_GenerateKey (section 5.18).
pub trait Generate: Sync {
    /// CKA_KEY_TYPE of the new key.
    fn key_type(&self) -> CK_KEY_TYPE;

    /// Adds the new key's value attributes to `key`: what the caller asked for, checked against the schema.
    ///
    /// # Errors
    /// CKR_TEMPLATE_INCOMPLETE, CKR_KEY_SIZE_RANGE ...
    fn generate(&self, params: &Params, key: &mut Attributes) -> Result<()>;
}

/// C_GenerateKeyPair (section 5.18).
pub trait GeneratePair: Sync {
    /// CKA_KEY_TYPE of both keys.
    fn key_type(&self) -> CK_KEY_TYPE;

    /// The value attributes of the public and the private key.
    ///
    /// # Errors
    /// CKR_TEMPLATE_INCOMPLETE, CKR_KEY_SIZE_RANGE, CKR_CURVE_NOT_SUPPORTED ...
    fn generate(&self, public: &Attributes, private: &Attributes) -> Result<(Attributes, Attributes)>;
}

/// C_EncapsulateKey, C_DecapsulateKey (section 5.18 of 3.2).
pub trait Kem: Sync {
    /// Bytes of ciphertext for this public key.
    ///
    /// # Errors
    /// CKR_KEY_TYPE_INCONSISTENT ...
    fn ciphertext_len(&self, public: &Object) -> Result<usize>;

    /// A ciphertext and the secret it carries.
    ///
    /// # Errors
    /// CKR_PUBLIC_KEY_INVALID ...
    fn encapsulate(&self, public: &Object, params: &Params) -> Result<(Vec<u8>, Secret)>;

    /// The secret a ciphertext carries.
    ///
    /// # Errors
    /// CKR_ENCRYPTED_DATA_LEN_RANGE; a forged ciphertext of the right length gives another secret.
    fn decapsulate(&self, private: &Object, params: &Params, ciphertext: &[u8]) -> Result<Secret>;
}

/// A behaviour's refusal of a parameter of a shape its row does not name: a row with a wrong shape.
pub(crate) fn wrong_shape() -> Error {
    Rv::MechanismParamInvalid.because("the parameter is of another mechanism's shape")
}
