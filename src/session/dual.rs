//! The dual-purpose functions (section 5.18 of 2.40): two running operations fed by one call.

use super::cipher::update;
use super::operation::Answer;
use super::session::{Running, Session};
use super::sign::{update_signature, update_verification};
use crate::crypto::{Direction, InOut};
use crate::error::Result;

/// The operation beside the cipher.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Beside {
    /// C_DigestEncryptUpdate, C_DecryptDigestUpdate.
    Digest,
    /// C_SignEncryptUpdate.
    Sign,
    /// C_DecryptVerifyUpdate.
    Verify,
}

impl Session {
    /// Feeds the plaintext of one step of the cipher to the operation beside it. `Done` ends the step only.
    ///
    /// # Errors
    /// CKR_OPERATION_NOT_INITIALIZED unless both run; those of either.
    pub fn dual_update(
        &self,
        way: Direction,
        beside: Beside,
        mut io: InOut<'_>,
        query: bool,
    ) -> Result<Answer> {
        let mut operations = self.running();
        let there = match beside {
            Beside::Digest => operations.digest.is_some(),
            Beside::Sign => operations.sign.runs(),
            Beside::Verify => operations.verify.runs() && operations.signature.is_none(),
        };
        if !there {
            fail!(OperationNotInitialized, "the operation beside the cipher is not running");
        }
        // In place, the ciphertext overwrites the plaintext, so a copy is fed.
        let plain =
            (way == Direction::Encrypt && !query).then(|| crate::crypto::Secret::from_slice(io.input()));
        let answer = update(operations.cipher(way), io.reborrow(), query)?;
        if let Answer::Done(len) = answer {
            let plain = plain.as_ref().map_or(&io.output()[..len], |plain| plain.expose());
            feed(&mut operations, beside, plain)?;
        }
        Ok(answer)
    }
}

fn feed(operations: &mut Running, beside: Beside, data: &[u8]) -> Result<()> {
    match beside {
        Beside::Digest => operations.digest.iter_mut().try_for_each(|digesting| digesting.update(data))?,
        Beside::Sign => update_signature(&mut operations.sign, data)?,
        Beside::Verify => update_verification(&mut operations.verify, data)?,
    }
    Ok(())
}
