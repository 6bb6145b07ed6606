//! C_GetOperationState, C_SetOperationState (section 5.6): of digests. Ciphers and signatures hold keys in their
//! states, and those do not leave the token.

use super::digest::Digesting;
use super::operation::Answer;
use super::session::{Running, Session};
use crate::crypto::digest::{Context, digest};
use crate::crypto::{Hash, wipe};
use crate::error::{Result, Rv};
use cryptoki_sys::CK_MECHANISM_TYPE;

/// A state is this, a checksum, the mechanism's number (eight bytes, big endian), whether data came in parts, and the
/// digest's own state.
const MAGIC: &[u8; 8] = b"CofferD1";

const CHECKSUM: usize = 16;

impl Session {
    /// C_GetOperationState. `out` is `None` if only the length is asked for.
    ///
    /// # Errors
    /// CKR_OPERATION_NOT_INITIALIZED if nothing runs; CKR_STATE_UNSAVEABLE if anything runs but one digest of SHA-1 or
    /// SHA-2, or if that has taken a key.
    pub fn operation_state(&self, out: Option<&mut [u8]>) -> Result<Answer> {
        let mut state = saved(&mut self.running())?;
        let len = state.len();
        let answer = match out {
            None => Answer::Query(len),
            Some(out) if out.len() < len => Answer::TooSmall(len),
            Some(out) => {
                out[..len].copy_from_slice(&state);
                Answer::Done(len)
            }
        };
        wipe(&mut state);
        Ok(answer)
    }

    /// C_SetOperationState: instead of what runs.
    ///
    /// # Errors
    /// CKR_SAVED_STATE_INVALID for anything that [`Session::operation_state`] did not give, or for a mechanism that
    /// this token does not offer.
    pub fn set_operation_state(&self, state: &[u8]) -> Result<()> {
        let mut operations = self.running();
        let digesting = self.restored(state)?;
        let find = operations.find.take();
        *operations = Running { find, digest: Some(digesting), ..Running::default() };
        Ok(())
    }

    fn restored(&self, state: &[u8]) -> Result<Digesting> {
        let no_state = || Rv::SavedStateInvalid.because("not a state that was saved here");
        let rest = state.strip_prefix(MAGIC).ok_or_else(no_state)?;
        let (sum, body) = rest.split_first_chunk::<CHECKSUM>().ok_or_else(no_state)?;
        if *sum != checksum(body) {
            return Err(no_state());
        }
        let (number, rest) = body.split_first_chunk().ok_or_else(no_state)?;
        let (in_parts, context) = rest.split_first().ok_or_else(no_state)?;
        let number = u64::from_be_bytes(*number) as CK_MECHANISM_TYPE;
        let row = self.mechanism(number).map_err(|error| error.recode(Rv::SavedStateInvalid))?;
        let hash = row.digest.ok_or_else(no_state)?;
        let context = Some(Box::new(Context::restore(hash, context)?));
        Ok(Digesting { row, hash, context, in_parts: *in_parts != 0, has_key: false })
    }
}

/// Against a slip, not against an attacker: whoever has the state can do as he likes with the digest.
fn checksum(body: &[u8]) -> [u8; CHECKSUM] {
    let mut sum = [0; CHECKSUM];
    sum.copy_from_slice(&digest(Hash::Sha256, body)[..CHECKSUM]);
    sum
}

fn saved(running: &mut Running) -> Result<Vec<u8>> {
    if running.keyed().iter().any(|(_, operation)| operation.key().is_some()) {
        fail!(StateUnsaveable, "an operation with a key is running");
    }
    let Some(digesting) = &running.digest else { fail!(OperationNotInitialized) };
    if digesting.has_key {
        fail!(StateUnsaveable, "a key was digested");
    }
    let context = match &digesting.context {
        Some(context) => context.save(),
        None => Context::new(digesting.hash)?.save(),
    };
    let Some(context) = context else { fail!(StateUnsaveable, "{} shows no state", digesting.row.name) };
    let number = (digesting.row.number as u64).to_be_bytes();
    let body = [&number[..], &[u8::from(digesting.in_parts)], &context].concat();
    Ok([&MAGIC[..], &checksum(&body), &body].concat())
}
