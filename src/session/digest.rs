//! C_Digest* (section 5.12).

use super::operation::Answer;
use super::session::Session;
use crate::crypto::Hash;
use crate::crypto::digest::{Context, digest_into};
use crate::error::Result;
use crate::mechanism::Mechanism;
use crate::object::Handle;
use crate::token::config::Policy;
use cryptoki_sys::*;

/// A running digest.
pub(super) struct Digesting {
    pub(super) row: &'static Mechanism,
    pub(super) hash: Hash,
    /// Only made for data in parts: what comes in one piece is hashed where it is.
    pub(super) context: Option<Box<Context>>,
    pub(super) in_parts: bool,
    /// Whether a key was digested, so that the state may not leave.
    pub(super) has_key: bool,
}

impl Digesting {
    pub(super) fn update(&mut self, data: &[u8]) -> Result<()> {
        let context = match &mut self.context {
            Some(context) => context,
            none => none.insert(Box::new(Context::new(self.hash)?)),
        };
        context.update(data);
        self.in_parts = true;
        Ok(())
    }
}

/// Below this many bytes a digest tells the key to whoever tries all of them: 112 bits.
const LEAST_KEY: usize = 14;

impl Session {
    /// C_DigestInit.
    ///
    /// # Errors
    /// CKR_OPERATION_ACTIVE, CKR_MECHANISM_INVALID.
    #[inline]
    pub fn digest_init(&self, row: &'static Mechanism) -> Result<()> {
        let mut operations = self.running();
        if operations.digest.is_some() {
            fail!(OperationActive);
        }
        let Some(hash) = row.digest else { fail!(MechanismInvalid, "{} is no digest", row.name) };
        operations.digest = Some(Digesting { row, hash, context: None, in_parts: false, has_key: false });
        Ok(())
    }

    /// C_Digest. `out` is `None` if only the length is asked for.
    ///
    /// # Errors
    /// CKR_OPERATION_NOT_INITIALIZED, also once data has come in parts.
    #[inline]
    pub fn digest(&self, data: &[u8], out: Option<&mut [u8]>) -> Result<Answer> {
        let mut operations = self.running();
        match &operations.digest {
            Some(digesting) if !digesting.in_parts => {}
            _ => fail!(OperationNotInitialized),
        }
        conclude(&mut operations.digest, data, out)
    }

    /// C_DigestUpdate.
    ///
    /// # Errors
    /// CKR_OPERATION_NOT_INITIALIZED.
    pub fn digest_update(&self, data: &[u8]) -> Result<()> {
        match &mut self.running().digest {
            Some(digesting) => digesting.update(data),
            None => fail!(OperationNotInitialized),
        }
    }

    /// C_DigestKey.
    ///
    /// # Errors
    /// CKR_KEY_INDIGESTIBLE for anything but a secret key, and under the strict policy for sensitive and short
    /// ones.
    pub fn digest_key(&self, key: Handle) -> Result<()> {
        let mut operations = self.running();
        let Some(digesting) = &mut operations.digest else { fail!(OperationNotInitialized) };
        let key = self.key_beside(key)?;
        if key.class() != CKO_SECRET_KEY {
            fail!(KeyIndigestible, "only secret keys can be digested");
        }
        let value = key.secret_value()?;
        if self.policy().policy == Policy::Strict && (key.is_true(CKA_SENSITIVE) || value.len() < LEAST_KEY) {
            fail!(
                KeyIndigestible,
                "the strict policy digests no sensitive key and none below {LEAST_KEY} bytes"
            );
        }
        digesting.update(value)?;
        digesting.has_key = true;
        Ok(())
    }

    /// C_DigestFinal.
    ///
    /// # Errors
    /// CKR_OPERATION_NOT_INITIALIZED.
    pub fn digest_final(&self, out: Option<&mut [u8]>) -> Result<Answer> {
        conclude(&mut self.running().digest, &[], out)
    }
}

#[inline]
fn conclude(slot: &mut Option<Digesting>, last: &[u8], out: Option<&mut [u8]>) -> Result<Answer> {
    let Some(digesting) = slot else { fail!(OperationNotInitialized) };
    let len = digesting.hash.output_len();
    match out {
        None => Ok(Answer::Query(len)),
        Some(out) if out.len() < len => Ok(Answer::TooSmall(len)),
        Some(out) => {
            match digesting.context.take() {
                None => digest_into(digesting.hash, last, &mut out[..len]),
                Some(mut context) => {
                    context.update(last);
                    out[..len].copy_from_slice(&context.finish());
                }
            }
            *slot = None;
            Ok(Answer::Done(len))
        }
    }
}
