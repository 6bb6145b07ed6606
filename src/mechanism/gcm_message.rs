//! AES-GCM with the tag apart: the message functions and the authenticated wrap (sections 6.13.3 and 6.13.4).

use super::aes_aead::Gcm;
use super::blocks::BlockKey;
use super::message::{Ivs, MessageCipher, MessageState};
use super::params::{Message, Tag};
use crate::crypto::aes::Key;
use crate::crypto::gcm::{self, Sealer};
use crate::crypto::{Direction, InOut, Secret};
use crate::error::{Result, Rv};
use crate::object::Object;

/// Checks what is sure before anything is computed.
fn check(key: &Object, message: &Message) -> Result<()> {
    Key::of(key)?.gcm(message.tag_len)?;
    if message.iv.is_empty() {
        fail!(MechanismParamInvalid, "an empty IV");
    }
    Ok(())
}

/// The tag's buffer.
fn tag_of(message: Message) -> Result<Tag> {
    match message.tag {
        Some(tag) if tag.bytes.len() == message.tag_len => Ok(tag),
        _ => fail!(MechanismParamInvalid, "pTag: there is none"),
    }
}

impl MessageCipher for Gcm {
    fn whole(
        &self,
        way: Direction,
        key: &Object,
        mut message: Message,
        aad: &[u8],
        ivs: &mut Ivs,
        mut io: InOut<'_>,
    ) -> Result<()> {
        check(key, &message)?;
        let gcm = Key::of(key)?.gcm(message.tag_len)?;
        if way == Direction::Encrypt {
            ivs.make(&mut message)?;
        }
        let (iv, len) = (std::mem::take(&mut message.iv), io.input_len());
        let mut tag = tag_of(message)?;
        match way {
            Direction::Encrypt => {
                gcm.seal(&iv, aad, io.split_front(len), &mut tag.bytes)?;
                tag.sink.write(&tag.bytes);
                Ok(())
            }
            Direction::Decrypt => gcm.open(&iv, aad, io.split_front(len), &tag.bytes),
        }
    }

    fn begin(
        &self,
        way: Direction,
        key: &Object,
        mut message: Message,
        aad: Vec<u8>,
        ivs: &mut Ivs,
    ) -> Result<Box<dyn MessageState>> {
        check(key, &message)?;
        Ok(match way {
            Direction::Encrypt => {
                ivs.make(&mut message)?;
                Box::new(Sealing(Sealer::new(Key::of(key)?, &message.iv, &aad)?))
            }
            Direction::Decrypt => Box::new(Opening { iv: message.iv, aad, ciphertext: Vec::new() }),
        })
    }
}

struct Sealing(Sealer);

impl MessageState for Sealing {
    fn output_len(&self, input: usize, _: bool) -> usize {
        input
    }

    fn part(&mut self, _: &Object, io: InOut<'_>) -> Result<()> {
        self.0.update(io)
    }

    fn last(&mut self, _: &Object, message: Message, io: InOut<'_>) -> Result<()> {
        let mut tag = tag_of(message)?;
        self.0.update(io)?;
        self.0.tag(&mut tag.bytes)?;
        tag.sink.write(&tag.bytes);
        Ok(())
    }
}

/// Nothing leaves before the tag was found right, so the ciphertext is gathered.
struct Opening {
    iv: Vec<u8>,
    aad: Vec<u8>,
    ciphertext: Vec<u8>,
}

impl MessageState for Opening {
    fn output_len(&self, input: usize, last: bool) -> usize {
        if last { self.ciphertext.len().saturating_add(input) } else { 0 }
    }

    fn part(&mut self, _: &Object, io: InOut<'_>) -> Result<()> {
        self.ciphertext.try_reserve(io.input_len()).map_err(|_| Rv::HostMemory)?;
        self.ciphertext.extend_from_slice(io.input());
        Ok(())
    }

    fn last(&mut self, key: &Object, message: Message, mut io: InOut<'_>) -> Result<()> {
        let tag = tag_of(message)?;
        let gcm = Key::of(key)?.gcm(tag.bytes.len())?;
        self.part(key, io.reborrow())?;
        gcm.open(&self.iv, &self.aad, InOut::new(&self.ciphertext, io.output()), &tag.bytes)
    }
}

/// Bytes of a wrapped payload.
///
/// # Errors
/// CKR_MECHANISM_PARAM_INVALID for a length that no tag has.
pub fn wrapped_len(message: &Message, payload: usize) -> Result<usize> {
    gcm::tag_index(message.tag_len)?;
    Ok(payload + if message.tag.is_some() { 0 } else { message.tag_len })
}

/// Wraps, with the tag apart or behind.
pub fn wrap(key: &Object, mut message: Message, aad: &[u8], payload: &[u8]) -> Result<Vec<u8>> {
    check(key, &message)?;
    Ivs::make_alone(&mut message)?;
    let mut out = vec![0; payload.len() + message.tag_len];
    let (body, tag) = out.split_at_mut(payload.len());
    Key::of(key)?.gcm(tag.len())?.seal(&message.iv, aad, InOut::new(payload, body), tag)?;
    if message.tag.is_some() {
        let mut apart = tag_of(message)?;
        apart.sink.write(tag);
        out.truncate(payload.len());
    }
    Ok(out)
}

/// Unwraps what [`wrap`] gave.
pub fn unwrap(key: &Object, message: Message, aad: &[u8], blob: &[u8]) -> Result<Secret> {
    check(key, &message)?;
    let (iv, tag_len) = (message.iv.clone(), message.tag_len);
    let apart = message.tag.is_some().then(|| tag_of(message)).transpose()?;
    let (body, tag) = match &apart {
        Some(apart) => (blob, &apart.bytes[..]),
        None => match blob.len().checked_sub(tag_len) {
            Some(len) => blob.split_at(len),
            None => fail!(WrappedKeyLenRange, "the wrapped key is shorter than its tag"),
        },
    };
    let mut out = Secret::zeroed(body.len());
    let opened = Key::of(key)?.gcm(tag_len)?.open(&iv, aad, InOut::new(body, out.expose_mut()), tag);
    opened.map_err(|error| error.recode(Rv::WrappedKeyInvalid))?;
    Ok(out)
}
