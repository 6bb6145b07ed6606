//! C_Sign*, C_Verify*, C_SignRecover*, C_VerifyRecover*, C_VerifySignature* (sections 5.13 to 5.17).

use super::operation::{Answer, Operation, running};
use super::session::Session;
use crate::crypto::Secret;
use crate::error::Result;
use crate::mechanism::{Mechanism, Params, Recover, SignState, VerifyState, begin};
use crate::object::{Handle, Object};
use crate::token::Use;

const IN_PARTS: &str = "data has come in parts: only the final function ends it";

impl Session {
    /// C_SignInit.
    ///
    /// # Errors
    /// CKR_OPERATION_ACTIVE; CKR_MECHANISM_INVALID; what the key or the parameter is wrong by.
    pub fn sign_init(&self, row: &'static Mechanism, params: &mut Params, key: Handle) -> Result<()> {
        let mut operations = self.running();
        if operations.sign.runs() {
            fail!(OperationActive);
        }
        let Some(sign) = row.sign else { fail!(MechanismInvalid, "{} does not sign", row.name) };
        let key = self.lent_key_for(Use::Sign, row, params, key)?;
        operations.sign.start(key, |key, state| sign.sign(key, params, state))
    }

    /// C_Sign. `out` is `None` if only the length is asked for.
    ///
    /// # Errors
    /// CKR_OPERATION_NOT_INITIALIZED; those of the mechanism, which end the operation.
    pub fn sign(&self, data: &[u8], out: Option<&mut [u8]>) -> Result<Answer> {
        let mut operations = self.running();
        let slot = &mut operations.sign;
        let operation = running(slot)?;
        if operation.in_parts {
            fail!(OperationNotInitialized, "{IN_PARTS}");
        }
        let answer =
            signature(operation, out, |operation, out| operation.state.one_shot(&operation.key, data, out));
        self.settle(slot, answer)
    }

    /// C_SignUpdate.
    ///
    /// # Errors
    /// As [`Session::sign`].
    pub fn sign_update(&self, data: &[u8]) -> Result<()> {
        update_signature(&mut self.running().sign, data)
    }

    /// C_SignFinal.
    ///
    /// # Errors
    /// As [`Session::sign`].
    pub fn sign_final(&self, out: Option<&mut [u8]>) -> Result<Answer> {
        let mut operations = self.running();
        let slot = &mut operations.sign;
        let answer =
            signature(running(slot)?, out, |operation, out| operation.state.finish(&operation.key, out));
        self.settle(slot, answer)
    }

    /// C_VerifyInit, and with a signature C_VerifySignatureInit.
    ///
    /// # Errors
    /// As [`Session::sign_init`].
    pub fn verify_init(
        &self,
        row: &'static Mechanism,
        params: &mut Params,
        key: Handle,
        signature: Option<&[u8]>,
    ) -> Result<()> {
        let mut operations = self.running();
        if operations.verify.runs() {
            fail!(OperationActive);
        }
        let Some(sign) = row.sign else { fail!(MechanismInvalid, "{} does not verify", row.name) };
        let key = self.lent_key_for(Use::Verify, row, params, key)?;
        operations.verify.start(key, |key, state| sign.verify(key, params, state))?;
        operations.signature = signature.map(<[u8]>::to_vec);
        Ok(())
    }

    /// C_Verify; C_VerifySignature without `signature`, which its init gave.
    ///
    /// # Errors
    /// CKR_SIGNATURE_INVALID, CKR_SIGNATURE_LEN_RANGE, CKR_OPERATION_NOT_INITIALIZED ...
    pub fn verify(&self, data: &[u8], signature: Option<&[u8]>) -> Result<()> {
        let in_parts = |operation: &Operation<dyn VerifyState>| operation.runs() && operation.in_parts;
        if in_parts(&self.running().verify) {
            fail!(OperationNotInitialized, "{IN_PARTS}");
        }
        self.conclude(signature, |operation, signature| {
            operation.state.one_shot(&operation.key, data, signature)
        })
    }

    /// C_VerifyUpdate, C_VerifySignatureUpdate (`with_signature`).
    ///
    /// # Errors
    /// As [`Session::verify`].
    pub fn verify_update(&self, data: &[u8], with_signature: bool) -> Result<()> {
        let mut operations = self.running();
        if operations.signature.is_some() != with_signature {
            fail!(OperationNotInitialized);
        }
        update_verification(&mut operations.verify, data)
    }

    /// C_VerifyFinal; C_VerifySignatureFinal without `signature`.
    ///
    /// # Errors
    /// As [`Session::verify`].
    pub fn verify_final(&self, signature: Option<&[u8]>) -> Result<()> {
        self.conclude(signature, |operation, signature| operation.state.finish(&operation.key, signature))
    }

    /// Ends a verification, whose signature comes either now or came at its beginning.
    fn conclude(
        &self,
        signature: Option<&[u8]>,
        check: impl FnOnce(&mut Operation<dyn VerifyState>, &[u8]) -> Result<()>,
    ) -> Result<()> {
        let mut operations = self.running();
        if operations.signature.is_some() == signature.is_some() {
            fail!(OperationNotInitialized);
        }
        running(&mut operations.verify)?;
        let early = operations.signature.take();
        let signature = early.as_deref().or(signature).unwrap_or_default();
        let verdict = check(running(&mut operations.verify)?, signature);
        self.end(&mut operations.verify);
        verdict
    }

    /// C_SignRecoverInit, C_VerifyRecoverInit.
    ///
    /// # Errors
    /// As [`Session::sign_init`].
    pub fn recover_init(&self, usage: Use, row: &'static Mechanism, key: Handle) -> Result<()> {
        let mut operations = self.running();
        let slot = match usage {
            Use::SignRecover => &mut operations.sign_recover,
            _ => &mut operations.verify_recover,
        };
        if slot.runs() {
            fail!(OperationActive);
        }
        let Some(recover) = row.recover else { fail!(MechanismInvalid, "{} recovers nothing", row.name) };
        let key = self.key_for(usage, row, &Params::None, key)?;
        slot.start(key, |_, state| begin!(state, recover))
    }

    /// C_SignRecover.
    ///
    /// # Errors
    /// As [`Session::sign`].
    pub fn sign_recover(&self, data: &[u8], out: Option<&mut [u8]>) -> Result<Answer> {
        recovered(self, &mut self.running().sign_recover, out, |recover, key| recover.sign_recover(key, data))
    }

    /// C_VerifyRecover.
    ///
    /// # Errors
    /// CKR_SIGNATURE_INVALID, CKR_SIGNATURE_LEN_RANGE ...
    pub fn verify_recover(&self, signature: &[u8], out: Option<&mut [u8]>) -> Result<Answer> {
        recovered(self, &mut self.running().verify_recover, out, |recover, key| {
            recover.verify_recover(key, signature)
        })
    }
}

fn signature(
    operation: &mut Operation<dyn SignState>,
    out: Option<&mut [u8]>,
    compute: impl FnOnce(&mut Operation<dyn SignState>, &mut [u8]) -> Result<usize>,
) -> Result<Answer> {
    let len = operation.state.signature_len(&operation.key);
    match out {
        None => Ok(Answer::Query(len)),
        Some(out) if out.len() < len => Ok(Answer::TooSmall(len)),
        Some(out) => compute(operation, out).map(Answer::Done),
    }
}

pub(super) fn update_signature(slot: &mut Operation<dyn SignState>, data: &[u8]) -> Result<()> {
    update(slot, |state, key| if state.multipart() { state.update(key, data) } else { one_piece() })
}

pub(super) fn update_verification(slot: &mut Operation<dyn VerifyState>, data: &[u8]) -> Result<()> {
    update(slot, |state, key| if state.multipart() { state.update(key, data) } else { one_piece() })
}

fn one_piece() -> Result<()> {
    fail!(FunctionNotSupported, "the mechanism takes data in one piece only")
}

/// One step of an operation in parts; an error ends it.
fn update<S: ?Sized>(
    slot: &mut Operation<S>,
    step: impl FnOnce(&mut S, &Object) -> Result<()>,
) -> Result<()> {
    let operation = running(slot)?;
    operation.in_parts = true;
    let updated = step(&mut operation.state, &operation.key);
    if updated.is_err() {
        slot.stop();
    }
    updated
}

/// Computes once; what does not fit waits for the next call.
fn recovered(
    session: &Session,
    slot: &mut Operation<&'static dyn Recover>,
    out: Option<&mut [u8]>,
    compute: impl FnOnce(&dyn Recover, &Object) -> Result<Vec<u8>>,
) -> Result<Answer> {
    let operation = running(slot)?;
    let bytes = match operation.pending.take() {
        Some(pending) => pending,
        None => match compute(*operation.state, &operation.key) {
            Ok(bytes) => Secret::from_slice(&bytes),
            Err(error) => return session.settle(slot, Err(error)),
        },
    };
    let len = bytes.len();
    let answer = match out {
        Some(out) if out.len() >= len => {
            out[..len].copy_from_slice(bytes.expose());
            Answer::Done(len)
        }
        out => {
            operation.pending = Some(bytes);
            if out.is_none() { Answer::Query(len) } else { Answer::TooSmall(len) }
        }
    };
    session.settle(slot, Ok(answer))
}
