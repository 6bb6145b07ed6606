//! C_MessageSign*, C_SignMessage*, and the same of verification (sections 5.14 and 5.17): each message is a signature
//! of its own, by the same mechanism, parameter and key.

use super::message::{in_the_middle, message_over};
use super::operation::{Answer, Operation, running};
use super::session::Session;
use crate::error::Result;
use crate::mechanism::{Begun, Mechanism, Params, Sign, SignState, VerifyState, begin};
use crate::object::{Handle, Object};
use crate::token::Use;
use std::mem::take;

/// The messages that a session signs or verifies.
pub(super) struct Signing<S: ?Sized> {
    sign: &'static dyn Sign,
    params: Params,
    /// The message that has begun.
    open: Option<Begun<S>>,
    /// Whether it comes in parts.
    in_parts: bool,
}

pub(super) type SignMessages = Signing<dyn SignState>;
pub(super) type VerifyMessages = Signing<dyn VerifyState>;

impl<S: ?Sized> Signing<S> {
    fn params(&self) -> Result<Params> {
        match self.params.again() {
            Some(params) => Ok(params),
            None => fail!(MechanismParamInvalid, "the parameter serves one message only"),
        }
    }
}

impl SignMessages {
    fn begin(&self, key: &Object) -> Result<Begun<dyn SignState>> {
        let mut params = self.params()?;
        Begun::by(|state| self.sign.sign(key, &mut params, state))
    }
}

impl VerifyMessages {
    fn begin(&self, key: &Object) -> Result<Begun<dyn VerifyState>> {
        let mut params = self.params()?;
        Begun::by(|state| self.sign.verify(key, &mut params, state))
    }
}

/// A message in parts, where the mechanism allows it.
fn open_parts<S: ?Sized>(messages: &mut Signing<S>, state: Begun<S>, multipart: bool) -> Result<()> {
    if !multipart {
        fail!(FunctionNotSupported, "the mechanism takes data in one piece only");
    }
    (messages.open, messages.in_parts) = (Some(state), true);
    Ok(())
}

fn conclude<S: ?Sized>(operation: &mut Operation<Signing<S>>) {
    (operation.state.open, operation.state.in_parts) = (None, false);
    message_over(operation);
}

/// The signature into `out`, under section 5.2's rule.
fn sign(
    operation: &mut Operation<SignMessages>,
    out: Option<&mut [u8]>,
    compute: impl FnOnce(&mut dyn SignState, &Object, &mut [u8]) -> Result<usize>,
) -> Result<Answer> {
    let Some(state) = &mut operation.state.open else {
        fail!(OperationNotInitialized, "no message has begun")
    };
    let len = state.signature_len(&operation.key);
    let outcome = match out {
        None => return Ok(Answer::Query(len)),
        Some(out) if out.len() < len => return Ok(Answer::TooSmall(len)),
        Some(out) => compute(&mut **state, &operation.key, out),
    };
    conclude(operation);
    outcome.map(Answer::Done)
}

impl Session {
    /// C_MessageSignInit.
    ///
    /// # Errors
    /// CKR_OPERATION_ACTIVE; CKR_MECHANISM_INVALID; what the key or the parameter is wrong by.
    pub fn sign_messages_init(
        &self,
        row: &'static Mechanism,
        params: &mut Params,
        key: Handle,
    ) -> Result<()> {
        let mut operations = self.running();
        if operations.message_sign.runs() {
            fail!(OperationActive);
        }
        let Some(sign) = row.sign else { fail!(MechanismInvalid, "{} does not sign", row.name) };
        let key = self.key_for_messages(Use::Sign, row, params, key)?;
        let messages: SignMessages = Signing { sign, params: take(params), open: None, in_parts: false };
        // What the parameter is wrong by is told now, not with the first message.
        messages.begin(&key)?;
        operations.message_sign.start(key, |_, state| begin!(state, messages))
    }

    /// C_SignMessage. `out` is `None` if only the length is asked for.
    ///
    /// # Errors
    /// CKR_OPERATION_NOT_INITIALIZED, CKR_OPERATION_ACTIVE in the middle of a message in parts; those of the
    /// mechanism, which end the message and not the sequence.
    pub fn sign_message(&self, data: &[u8], out: Option<&mut [u8]>) -> Result<Answer> {
        let mut operations = self.running();
        let operation = running(&mut operations.message_sign)?;
        if operation.state.in_parts {
            return Err(in_the_middle());
        }
        if operation.state.open.is_none() {
            let state = operation.state.begin(&operation.key)?;
            operation.state.open = Some(state);
        }
        sign(operation, out, |state, key, out| state.one_shot(key, data, out))
    }

    /// C_SignMessageBegin.
    ///
    /// # Errors
    /// As [`Session::sign_message`]; CKR_FUNCTION_NOT_SUPPORTED if the mechanism takes one piece only.
    pub fn sign_message_begin(&self) -> Result<()> {
        let mut operations = self.running();
        let operation = running(&mut operations.message_sign)?;
        if operation.state.in_parts {
            return Err(in_the_middle());
        }
        let state = operation.state.begin(&operation.key)?;
        let multipart = state.multipart();
        open_parts(&mut operation.state, state, multipart)
    }

    /// C_SignMessageNext with a part that is not the last.
    ///
    /// # Errors
    /// As [`Session::sign_message`].
    pub fn sign_message_part(&self, data: &[u8]) -> Result<()> {
        let mut operations = self.running();
        let operation = running(&mut operations.message_sign)?;
        let Signing { open, in_parts, .. } = &mut *operation.state;
        let outcome = match open {
            Some(state) if *in_parts => state.update(&operation.key, data),
            _ => fail!(OperationNotInitialized, "no message has begun"),
        };
        if outcome.is_err() {
            conclude(operation);
        }
        outcome
    }

    /// C_SignMessageNext with the last part.
    ///
    /// # Errors
    /// As [`Session::sign_message`].
    pub fn sign_message_last(&self, data: &[u8], out: Option<&mut [u8]>) -> Result<Answer> {
        let mut operations = self.running();
        let operation = running(&mut operations.message_sign)?;
        if !operation.state.in_parts {
            fail!(OperationNotInitialized, "no message has begun");
        }
        sign(operation, out, |state, key, out| {
            state.update(key, data)?;
            state.finish(key, out)
        })
    }

    /// C_MessageSignFinal.
    ///
    /// # Errors
    /// CKR_OPERATION_NOT_INITIALIZED, CKR_OPERATION_ACTIVE in the middle of a message.
    pub fn sign_messages_final(&self) -> Result<()> {
        end(&mut self.running().message_sign)
    }

    /// C_MessageVerifyInit.
    ///
    /// # Errors
    /// As [`Session::sign_messages_init`].
    pub fn verify_messages_init(
        &self,
        row: &'static Mechanism,
        params: &mut Params,
        key: Handle,
    ) -> Result<()> {
        let mut operations = self.running();
        if operations.message_verify.runs() {
            fail!(OperationActive);
        }
        let Some(sign) = row.sign else { fail!(MechanismInvalid, "{} does not verify", row.name) };
        let key = self.key_for_messages(Use::Verify, row, params, key)?;
        let messages: VerifyMessages = Signing { sign, params: take(params), open: None, in_parts: false };
        messages.begin(&key)?;
        operations.message_verify.start(key, |_, state| begin!(state, messages))
    }

    /// C_VerifyMessage.
    ///
    /// # Errors
    /// CKR_SIGNATURE_INVALID, CKR_SIGNATURE_LEN_RANGE; as [`Session::sign_message`].
    pub fn verify_message(&self, data: &[u8], signature: &[u8]) -> Result<()> {
        let mut operations = self.running();
        let operation = running(&mut operations.message_verify)?;
        if operation.state.in_parts {
            return Err(in_the_middle());
        }
        let mut state = operation.state.begin(&operation.key)?;
        let verdict = state.one_shot(&operation.key, data, signature);
        conclude(operation);
        verdict
    }

    /// C_VerifyMessageBegin.
    ///
    /// # Errors
    /// As [`Session::sign_message_begin`].
    pub fn verify_message_begin(&self) -> Result<()> {
        let mut operations = self.running();
        let operation = running(&mut operations.message_verify)?;
        if operation.state.in_parts {
            return Err(in_the_middle());
        }
        let state = operation.state.begin(&operation.key)?;
        let multipart = state.multipart();
        open_parts(&mut operation.state, state, multipart)
    }

    /// C_VerifyMessageNext; `signature` is there with the last part.
    ///
    /// # Errors
    /// As [`Session::verify_message`].
    pub fn verify_message_next(&self, data: &[u8], signature: Option<&[u8]>) -> Result<()> {
        let mut operations = self.running();
        let operation = running(&mut operations.message_verify)?;
        let Some(state) = &mut operation.state.open else {
            fail!(OperationNotInitialized, "no message has begun")
        };
        let mut outcome = state.update(&operation.key, data);
        if let (Ok(()), Some(signature)) = (&outcome, signature) {
            outcome = state.finish(&operation.key, signature);
        }
        if outcome.is_err() || signature.is_some() {
            conclude(operation);
        }
        outcome
    }

    /// C_MessageVerifyFinal.
    ///
    /// # Errors
    /// As [`Session::sign_messages_final`].
    pub fn verify_messages_final(&self) -> Result<()> {
        end(&mut self.running().message_verify)
    }
}

fn end<S: ?Sized>(operation: &mut Operation<Signing<S>>) -> Result<()> {
    if !operation.runs() {
        fail!(OperationNotInitialized);
    }
    if operation.state.in_parts {
        return Err(in_the_middle());
    }
    operation.stop();
    Ok(())
}
