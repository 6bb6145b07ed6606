//! C_EncapsulateKey, C_DecapsulateKey (section 5.18 of 3.2).

use super::operation::Answer;
use super::session::Session;
use crate::crypto::Secret;
use crate::error::Result;
use crate::mechanism::{Mechanism, Params, Wanted};
use crate::object::template::Act;
use crate::object::{Attributes, Handle, template};
use crate::token::Use;
use cryptoki_sys::*;

impl Session {
    /// C_EncapsulateKey: the ciphertext into `out` and the handle of the secret in it, once there is room.
    ///
    /// # Errors
    /// CKR_KEY_HANDLE_INVALID, CKR_KEY_FUNCTION_NOT_PERMITTED, CKR_TEMPLATE_* ...
    pub fn encapsulate_key(
        &self,
        row: &'static Mechanism,
        params: Params,
        public_key: Handle,
        mut template: Attributes,
        out: Option<&mut [u8]>,
    ) -> Result<(Answer, Option<Handle>)> {
        let Some(kem) = row.kem else { fail!(MechanismInvalid, "{} encapsulates nothing", row.name) };
        let public = self.key_for(Use::Encapsulate, row, &params, public_key)?;
        let len = kem.ciphertext_len(&public)?;
        let out = match out {
            None => return Ok((Answer::Query(len), None)),
            Some(out) if out.len() < len => return Ok((Answer::TooSmall(len), None)),
            Some(out) => out,
        };
        let own = public.attributes().template(CKA_ENCAPSULATE_TEMPLATE);
        template::merge(Act::Unwrap, &mut template, own, &self.rules())?;
        let (draft, wanted) = self.new_secret(Act::Unwrap, &mut template)?;
        let (ciphertext, secret) = kem.encapsulate(&public, &params)?;
        let secret = cut(secret, wanted)?;
        let handle = self.create_secret(row, draft, secret, None)?;
        out[..len].copy_from_slice(&ciphertext);
        Ok((Answer::Done(len), Some(handle)))
    }

    /// C_DecapsulateKey.
    ///
    /// # Errors
    /// CKR_ENCRYPTED_DATA_LEN_RANGE; as [`Session::encapsulate_key`].
    pub fn decapsulate_key(
        &self,
        row: &'static Mechanism,
        params: Params,
        private_key: Handle,
        mut template: Attributes,
        ciphertext: &[u8],
    ) -> Result<Handle> {
        let Some(kem) = row.kem else { fail!(MechanismInvalid, "{} decapsulates nothing", row.name) };
        let private = self.key_for(Use::Decapsulate, row, &params, private_key)?;
        let own = private.attributes().template(CKA_DECAPSULATE_TEMPLATE);
        template::merge(Act::Unwrap, &mut template, own, &self.rules())?;
        let (draft, wanted) = self.new_secret(Act::Unwrap, &mut template)?;
        let secret = cut(kem.decapsulate(&private, &params, ciphertext)?, wanted)?;
        self.create_secret(row, draft, secret, None)
    }
}

/// A KEM's secret has one length; a shorter key takes its first bytes.
fn cut(secret: Secret, wanted: Wanted) -> Result<Secret> {
    match wanted.len {
        Some(len) if len > secret.len() => {
            fail!(KeySizeRange, "CKA_VALUE_LEN: the secret has {} bytes", secret.len())
        }
        Some(len) => Ok(secret.truncated(len)),
        None => Ok(secret),
    }
}
