//! C_MessageEncrypt*, C_EncryptMessage*, and the same of decryption (sections 5.9 and 5.11): many messages under one
//! key, each in one piece or in parts.

use super::operation::{Answer, Operation, running};
use super::session::{Running, Session};
use crate::crypto::{Direction, InOut};
use crate::error::{Error, Result, Rv};
use crate::mechanism::params::Message;
use crate::mechanism::{Ivs, Mechanism, MessageCipher, MessageState, Params, begin};
use crate::object::Handle;
use crate::token::Use;
use cryptoki_sys::CKA_ALWAYS_AUTHENTICATE;

/// The messages that a session encrypts or decrypts.
pub(super) struct Messages {
    cipher: &'static dyn MessageCipher,
    ivs: Ivs,
    /// The one that comes in parts.
    open: Option<Box<dyn MessageState>>,
}

type Slot = Operation<Messages>;

impl Running {
    fn messages(&mut self, way: Direction) -> &mut Slot {
        match way {
            Direction::Encrypt => &mut self.message_encrypt,
            Direction::Decrypt => &mut self.message_decrypt,
        }
    }
}

/// Another message while one comes in parts, or the end of all.
pub(super) fn in_the_middle() -> Error {
    Rv::OperationActive.because("a message has come in parts and has not ended")
}

/// A message is over: a key that wants a login for each use wants one for each message.
pub(super) fn message_over<S: ?Sized>(operation: &mut Operation<S>) {
    operation.needs_login = operation.key.is_true(CKA_ALWAYS_AUTHENTICATE);
}

impl Session {
    /// C_MessageEncryptInit, C_MessageDecryptInit.
    ///
    /// # Errors
    /// CKR_OPERATION_ACTIVE; CKR_MECHANISM_INVALID; what the key is wrong by.
    pub fn messages_init(&self, way: Direction, row: &'static Mechanism, key: Handle) -> Result<()> {
        let mut operations = self.running();
        let slot = operations.messages(way);
        if slot.runs() {
            fail!(OperationActive);
        }
        let Some(cipher) = row.message else { fail!(MechanismInvalid, "{} takes no messages", row.name) };
        if self.policy().in_one_piece(row) {
            fail!(MechanismInvalid, "{} takes no messages in this profile", row.name);
        }
        let usage = match way {
            Direction::Encrypt => Use::Encrypt,
            Direction::Decrypt => Use::Decrypt,
        };
        let key = self.key_for_messages(usage, row, &Params::None, key)?;
        let messages = Messages { cipher, ivs: Ivs::begin(), open: None };
        slot.start(key, |_, state| begin!(state, messages))
    }

    /// C_EncryptMessage, C_DecryptMessage. With `query`, only the length is asked for.
    ///
    /// # Errors
    /// CKR_OPERATION_NOT_INITIALIZED, CKR_OPERATION_ACTIVE in the middle of a message in parts; those of the
    /// mechanism, which end the message and not the sequence.
    pub fn message(
        &self,
        way: Direction,
        message: Message,
        aad: &[u8],
        io: InOut<'_>,
        query: bool,
    ) -> Result<Answer> {
        let mut operations = self.running();
        let operation = running(operations.messages(way))?;
        let Messages { cipher, ivs, open } = &mut *operation.state;
        if open.is_some() {
            return Err(in_the_middle());
        }
        let len = io.input_len();
        if query {
            return Ok(Answer::Query(len));
        }
        if io.capacity() < len {
            return Ok(Answer::TooSmall(len));
        }
        let outcome = cipher.whole(way, &operation.key, message, aad, ivs, io);
        message_over(operation);
        outcome.map(|()| Answer::Done(len))
    }

    /// C_EncryptMessageBegin, C_DecryptMessageBegin.
    ///
    /// # Errors
    /// As [`Session::message`].
    pub fn message_begin(&self, way: Direction, message: Message, aad: Vec<u8>) -> Result<()> {
        let mut operations = self.running();
        let operation = running(operations.messages(way))?;
        let Messages { cipher, ivs, open } = &mut *operation.state;
        if open.is_some() {
            return Err(in_the_middle());
        }
        *open = Some(cipher.begin(way, &operation.key, message, aad, ivs)?);
        Ok(())
    }

    /// C_EncryptMessageNext, C_DecryptMessageNext; `last` is there with the last part.
    ///
    /// # Errors
    /// As [`Session::message`]; CKR_OPERATION_NOT_INITIALIZED if no message has begun.
    pub fn message_next(
        &self,
        way: Direction,
        last: Option<Message>,
        io: InOut<'_>,
        query: bool,
    ) -> Result<Answer> {
        let mut operations = self.running();
        let operation = running(operations.messages(way))?;
        let Some(state) = &mut operation.state.open else {
            fail!(OperationNotInitialized, "no message has begun")
        };
        let len = state.output_len(io.input_len(), last.is_some());
        if query {
            return Ok(Answer::Query(len));
        }
        if io.capacity() < len {
            return Ok(Answer::TooSmall(len));
        }
        let over = last.is_some();
        let outcome = match last {
            Some(message) => state.last(&operation.key, message, io),
            None => state.part(&operation.key, io),
        };
        if over || outcome.is_err() {
            operation.state.open = None;
            message_over(operation);
        }
        outcome.map(|()| Answer::Done(len))
    }

    /// C_MessageEncryptFinal, C_MessageDecryptFinal.
    ///
    /// # Errors
    /// CKR_OPERATION_NOT_INITIALIZED, CKR_OPERATION_ACTIVE in the middle of a message.
    pub fn messages_final(&self, way: Direction) -> Result<()> {
        let mut operations = self.running();
        let operation = operations.messages(way);
        if !operation.runs() {
            fail!(OperationNotInitialized);
        }
        if operation.state.open.is_some() {
            return Err(in_the_middle());
        }
        operation.stop();
        Ok(())
    }
}
