//! C_Encrypt*, C_Decrypt* (sections 5.8 and 5.10).

use super::operation::{Answer, Operation, running};
use super::session::{Running, Session};
use crate::crypto::{Direction, InOut, Secret};
use crate::error::{Result, Rv};
use crate::mechanism::{CipherState, Mechanism, Params};
use crate::object::{Handle, Object};
use crate::token::Use;

type Slot = Operation<dyn CipherState>;

impl Running {
    pub(super) fn cipher(&mut self, direction: Direction) -> &mut Slot {
        match direction {
            Direction::Encrypt => &mut self.encrypt,
            Direction::Decrypt => &mut self.decrypt,
        }
    }
}

impl Session {
    /// C_EncryptInit, C_DecryptInit.
    ///
    /// # Errors
    /// CKR_OPERATION_ACTIVE; CKR_MECHANISM_INVALID; what the key or the parameter is wrong by.
    pub fn cipher_init(
        &self,
        way: Direction,
        row: &'static Mechanism,
        params: &mut Params,
        key: Handle,
    ) -> Result<()> {
        let mut operations = self.running();
        let slot = operations.cipher(way);
        if slot.runs() {
            fail!(OperationActive);
        }
        let Some(cipher) = row.cipher else { fail!(MechanismInvalid, "{} is no cipher", row.name) };
        let usage = match way {
            Direction::Encrypt => Use::Encrypt,
            Direction::Decrypt => Use::Decrypt,
        };
        let key = self.lent_key_for(usage, row, params, key)?;
        slot.start(key, |key, state| cipher.begin(way, key, params, state))?;
        slot.in_one_piece = self.policy().in_one_piece(row);
        Ok(())
    }

    /// C_Encrypt, C_Decrypt. With `query`, only the length is asked for.
    ///
    /// # Errors
    /// CKR_OPERATION_NOT_INITIALIZED; those of the mechanism, which end the operation.
    #[inline(always)]
    pub fn cipher(&self, way: Direction, io: InOut<'_>, query: bool) -> Result<Answer> {
        let mut operations = self.running();
        let slot = operations.cipher(way);
        let operation = running(slot)?;
        if operation.in_parts {
            fail!(OperationNotInitialized, "data has come in parts: only the final function ends it");
        }
        let answer = step(
            operation,
            io,
            query,
            |state, key, input| state.one_shot_bound(key, input),
            |state, key, io| state.one_shot(key, io),
        );
        self.settle(slot, answer)
    }

    /// C_EncryptUpdate, C_DecryptUpdate: `Done` is the end of this step only.
    ///
    /// # Errors
    /// As [`Session::cipher`].
    pub fn cipher_update(&self, way: Direction, io: InOut<'_>, query: bool) -> Result<Answer> {
        let mut operations = self.running();
        update(operations.cipher(way), io, query)
    }

    /// C_EncryptFinal, C_DecryptFinal. `out` is `None` if only the length is asked for.
    ///
    /// # Errors
    /// As [`Session::cipher`].
    pub fn cipher_final(&self, way: Direction, out: Option<&mut [u8]>) -> Result<Answer> {
        let mut operations = self.running();
        let slot = operations.cipher(way);
        let operation = running(slot)?;
        let query = out.is_none();
        let io = InOut::new(&[], out.unwrap_or_default());
        let answer = step(
            operation,
            io,
            query,
            |state, key, _| state.finish_bound(key),
            |state, key, mut io| state.finish(key, io.output()),
        );
        self.settle(slot, answer)
    }
}

/// One update of a running cipher.
pub(super) fn update(slot: &mut Slot, io: InOut<'_>, query: bool) -> Result<Answer> {
    let operation = running(slot)?;
    if operation.in_one_piece {
        slot.stop();
        fail!(MechanismInvalid, "the profile takes data of this mechanism in one piece only");
    }
    if !operation.state.multipart() {
        slot.stop();
        fail!(FunctionNotSupported, "the mechanism takes data in one piece only");
    }
    let answer = step(
        operation,
        io,
        query,
        |state, key, input| state.update_bound(key, input),
        |state, key, io| state.update(key, io),
    );
    match &answer {
        Ok(Answer::Done(_)) => operation.in_parts = true,
        Ok(_) => {}
        Err(_) => _ = slot.stop(),
    }
    answer
}

/// One step under the rule of section 5.2. Where only the computation tells the length, it goes into a buffer
/// of its own, and what then does not fit waits for the next call.
#[inline(always)]
fn step(
    operation: &mut Operation<dyn CipherState>,
    mut io: InOut<'_>,
    query: bool,
    bound: impl Fn(&dyn CipherState, &Object, usize) -> usize,
    compute: impl Fn(&mut dyn CipherState, &Object, InOut<'_>) -> Result<usize>,
) -> Result<Answer> {
    // C_Decrypt has an older word for what the message functions call CKR_AEAD_DECRYPT_FAILED.
    let compute = |state: &mut dyn CipherState, key: &Object, io: InOut<'_>| {
        compute(state, key, io).map_err(|error| match error.rv() {
            Rv::AeadDecryptFailed => error.recode(Rv::EncryptedDataInvalid),
            _ => error,
        })
    };
    if operation.pending.is_none() {
        let bound = bound(&*operation.state, &operation.key, io.input_len());
        if query {
            return Ok(Answer::Query(bound));
        }
        if io.capacity() >= bound {
            return compute(&mut *operation.state, &operation.key, io).map(Answer::Done);
        }
        if operation.state.exact() {
            return Ok(Answer::TooSmall(bound));
        }
        let mut scratch = Secret::zeroed(bound);
        let len =
            compute(&mut *operation.state, &operation.key, InOut::new(io.input(), scratch.expose_mut()))?;
        operation.pending = Some(scratch.truncated(len));
    }
    let Some(pending) = operation.pending.take() else { fail!(GeneralError) };
    let len = pending.len();
    if !query && io.capacity() >= len {
        io.output()[..len].copy_from_slice(pending.expose());
        return Ok(Answer::Done(len));
    }
    operation.pending = Some(pending);
    Ok(if query { Answer::Query(len) } else { Answer::TooSmall(len) })
}
