//! The parameter of one message: CK_GCM_MESSAGE_PARAMS, and CK_GCM_WRAP_PARAMS (section 6.13).

use super::buffer::{Caller, owned};
use super::params::{Parameter, recoded, sink, wrong};
use crate::error::Result;
use crate::mechanism::params::{Generator, Message, Tag};
use crate::mechanism::{Mechanism, Params};
use crate::session::Session;
use cryptoki_sys::*;

impl Caller {
    /// The parameter of one message, whose tag stands apart.
    ///
    /// # Errors
    /// CKR_MECHANISM_PARAM_INVALID; CKR_HOST_MEMORY.
    pub fn message(&self, parameter: CK_VOID_PTR, len: CK_ULONG) -> Result<Message> {
        let mechanism = CK_MECHANISM { mechanism: 0, pParameter: parameter, ulParameterLen: len };
        Parameter { caller: self, mechanism: &mechanism }.gcm_message().map_err(recoded)
    }

    /// What an init function has for messages: nothing, or a structure that each message will bring anew.
    ///
    /// # Errors
    /// CKR_MECHANISM_PARAM_INVALID.
    pub fn no_message(&self, mechanism: &CK_MECHANISM) -> Result<()> {
        match mechanism.ulParameterLen {
            0 => Ok(()),
            _ => self.message(mechanism.pParameter, mechanism.ulParameterLen).map(drop),
        }
    }

    /// The mechanism of an authenticated wrap, and its parameter with the associated data.
    ///
    /// # Errors
    /// CKR_FUNCTION_NOT_SUPPORTED in the cloudhsm profile; CKR_ARGUMENTS_BAD, CKR_MECHANISM_INVALID,
    /// CKR_MECHANISM_PARAM_INVALID, CKR_HOST_MEMORY.
    pub fn authenticated(
        &self,
        session: &Session,
        mechanism: *const CK_MECHANISM,
        (aad, aad_len): (*const CK_BYTE, CK_ULONG),
    ) -> Result<(&'static Mechanism, Params)> {
        session.message_functions()?;
        let mechanism = self.read(mechanism)?;
        let aad = owned(self.input(aad, aad_len)?)?;
        let row = session.mechanism(mechanism.mechanism)?;
        if row.message.is_none() {
            fail!(MechanismInvalid, "{} takes no associated data", row.name);
        }
        let message = Box::new(self.message(mechanism.pParameter, mechanism.ulParameterLen)?);
        Ok((row, Params::Message { message, aad }))
    }
}

impl Parameter<'_> {
    fn gcm_message(&self) -> Result<Message> {
        let given: CK_GCM_MESSAGE_PARAMS = self.structure()?;
        let tag_len = tag_len(given.ulTagBits)?;
        let room = if given.pTag.is_null() { 0 } else { tag_len };
        let tag = Tag { bytes: self.field(given.pTag, room as CK_ULONG)?, sink: sink(given.pTag, room) };
        self.message((given.pIv, given.ulIvLen), given.ulIvFixedBits, given.ivGenerator, tag_len, Some(tag))
    }

    /// CK_GCM_WRAP_PARAMS, as C_WrapKey takes it.
    pub(super) fn gcm_wrap(&self) -> Result<Params> {
        let given: CK_GCM_WRAP_PARAMS = self.structure()?;
        let tag_len = tag_len(given.ulTagBits)?;
        let aad = self.aad(given.pAAD, given.ulAADLen)?;
        let message =
            self.message((given.pIv, given.ulIvLen), given.ulIvFixedBits, given.ivGenerator, tag_len, None)?;
        Ok(Params::Message { message: Box::new(message), aad })
    }

    fn message(
        &self,
        (iv, iv_len): (*mut CK_BYTE, CK_ULONG),
        fixed_bits: CK_ULONG,
        generator: CK_GENERATOR_FUNCTION,
        tag_len: usize,
        tag: Option<Tag>,
    ) -> Result<Message> {
        let generator = match generator {
            CKG_NO_GENERATE => Generator::Caller,
            CKG_GENERATE => Generator::Any,
            CKG_GENERATE_COUNTER => Generator::Counter,
            CKG_GENERATE_RANDOM => Generator::Random,
            // Whoever decrypts may have anything here.
            _ => Generator::Unknown,
        };
        let iv_sink = sink(iv, iv_len as usize);
        Ok(Message {
            iv: self.field(iv, iv_len)?,
            fixed_bits: fixed_bits as usize,
            generator,
            iv_sink,
            tag_len,
            tag,
        })
    }
}

fn tag_len(bits: CK_ULONG) -> Result<usize> {
    match bits {
        8..=128 if bits.is_multiple_of(8) => Ok(bits as usize / 8),
        _ => Err(wrong(format!("a tag of {bits} bits"))),
    }
}
