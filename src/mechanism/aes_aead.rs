//! AES-GCM and AES-CCM: encryption and wrapping that nobody can alter unseen (section 6.13).

use super::blocks::BlockKey;
use super::params::{Bytes, Gcm as GcmParams};
use super::whole::{Whole, WholeCipher};
use super::{Begun, Cipher, CipherState, Params, Place, Wrap, gcm_message, wrong_shape};
use crate::crypto::aes::Key;
use crate::crypto::ccm::Ccm as CcmMessage;
use crate::crypto::gcm::{self, Sealer};
use crate::crypto::{Direction, InOut, Secret, random};
use crate::error::{Error, Result, Rv};
use crate::object::Object;
use std::mem::take;

/// Bytes of an IV that the module makes (SP 800-38D, section 8.2.2: 96 random bits).
const MADE_IV: usize = 12;

/// CKM_AES_GCM, and CKM_CLOUDHSM_AES_GCM, whose ciphertext begins with an IV that the module made.
pub struct Gcm {
    /// CloudHSM's form.
    pub prefixed: bool,
}

/// Bytes of a tag.
#[inline(always)]
fn tag_len(tag_bits: usize) -> Result<usize> {
    if !tag_bits.is_multiple_of(8) {
        fail!(MechanismParamInvalid, "ulTagBits: {tag_bits} is not whole bytes");
    }
    let tag_len = tag_bits / 8;
    gcm::tag_index(tag_len).map(|_| tag_len)
}

/// Checks the parameter and, where the module is to make the IV, makes it and gives it to the caller now: the
/// caller's structure need not outlive the call that brought it.
#[inline(always)]
fn prepare(key: &Object, direction: Direction, params: &mut Params, prefixed: bool) -> Result<Message> {
    let Params::Gcm(GcmParams { iv, iv_sink, make_iv, aad, tag_bits }) = params else {
        return Err(wrong_shape());
    };
    let tag_len = tag_len(*tag_bits)?;
    Key::of(key)?;
    if prefixed {
        *iv = match direction {
            Direction::Encrypt => random::array::<MADE_IV>().as_slice().into(),
            Direction::Decrypt => Bytes::new(),
        };
    } else if *make_iv && direction == Direction::Encrypt {
        *iv = random::array::<MADE_IV>().as_slice().into();
        match iv_sink {
            Some(sink) => sink.write(iv),
            None => fail!(MechanismParamInvalid, "there is no room for the IV that the module makes"),
        }
    } else if iv.is_empty() {
        fail!(MechanismParamInvalid, "an empty IV");
    }
    Ok(Message { direction, prefixed, iv: take(iv), aad: take(aad), tag_len: tag_len as u8 })
}

impl Cipher for Gcm {
    fn begin(
        &self,
        direction: Direction,
        key: &Object,
        params: &mut Params,
        state: &mut Begun<dyn CipherState>,
    ) -> Result<()> {
        let message = prepare(key, direction, params, self.prefixed)?;
        match (direction, self.prefixed) {
            (Direction::Encrypt, false) => begin!(state, Sealing { message, sealer: None }),
            (Direction::Decrypt, false) => begin!(state, Whole::new(message)),
            (_, true) => begin!(state, Whole::new(Prefixed(message))),
        }
    }
}

/// One message under GCM.
struct Message {
    direction: Direction,
    prefixed: bool,
    iv: Bytes,
    aad: Bytes,
    /// In a byte, so that an operation's state stays in its place.
    tag_len: u8,
}

impl Message {
    fn tag_len(&self) -> usize {
        self.tag_len.into()
    }

    /// Bytes before the ciphertext.
    fn prefix(&self) -> usize {
        if self.prefixed { MADE_IV } else { 0 }
    }

    /// Plaintext to ciphertext and tag, in place or apart.
    fn seal(&self, key: &Object, mut io: InOut<'_>) -> Result<usize> {
        let (len, tag_len) = (io.input_len(), self.tag_len());
        let text = io.split_front(len);
        let tag = &mut io.output()[..tag_len];
        Key::of(key)?.gcm(tag_len)?.seal(&self.iv, &self.aad, text, tag)?;
        Ok(len + tag_len)
    }

    /// Ciphertext and tag to plaintext, in place or apart. If the tag is wrong, the output is zeros.
    fn open(&self, key: &Object, mut io: InOut<'_>) -> Result<usize> {
        let Some(len) = io.input_len().checked_sub(self.tag_len()) else {
            fail!(EncryptedDataLenRange, "the ciphertext is shorter than its tag");
        };
        let mut tag = [0; 16];
        let tag = &mut tag[..self.tag_len()];
        tag.copy_from_slice(&io.input()[len..]);
        Key::of(key)?.gcm(self.tag_len())?.open(&self.iv, &self.aad, io.split_front(len), tag)?;
        Ok(len)
    }
}

impl WholeCipher for Message {
    fn bound(&self, input: usize) -> usize {
        match self.direction {
            Direction::Encrypt => input.saturating_add(self.prefix() + self.tag_len()),
            Direction::Decrypt => input.saturating_sub(self.prefix() + self.tag_len()),
        }
    }

    fn run(&mut self, key: &Object, io: InOut<'_>) -> Result<usize> {
        match self.direction {
            Direction::Encrypt => self.seal(key, io),
            Direction::Decrypt => self.open(key, io),
        }
    }
}

/// A GCM encryption, the only one of these whose output may leave before the end.
struct Sealing {
    message: Message,
    sealer: Option<Box<Sealer>>,
}

const _: () =
    assert!(size_of::<Sealing>() <= size_of::<Place>() && size_of::<Whole<Message>>() <= size_of::<Place>());

impl CipherState for Sealing {
    fn update_bound(&self, _: &Object, input: usize) -> usize {
        input
    }

    fn update(&mut self, key: &Object, io: InOut<'_>) -> Result<usize> {
        let len = io.input_len();
        let mut sealer = match self.sealer.take() {
            Some(sealer) => sealer,
            None => Box::new(Sealer::new(Key::of(key)?, &self.message.iv, &self.message.aad)?),
        };
        sealer.update(io)?;
        self.sealer = Some(sealer);
        Ok(len)
    }

    fn finish_bound(&self, _: &Object) -> usize {
        self.message.tag_len()
    }

    fn finish(&mut self, key: &Object, out: &mut [u8]) -> Result<usize> {
        let tag_len = self.message.tag_len();
        match self.sealer.take() {
            Some(sealer) => sealer.finish(&mut out[..tag_len])?,
            None => {
                self.message.seal(key, InOut::new(&[], out))?;
            }
        }
        Ok(tag_len)
    }

    fn one_shot(&mut self, key: &Object, io: InOut<'_>) -> Result<usize> {
        self.message.seal(key, io)
    }
}

/// A GCM message with its IV in front. CloudHSM takes it in one piece only.
struct Prefixed(Message);

impl WholeCipher for Prefixed {
    const IN_PARTS: bool = false;

    fn bound(&self, input: usize) -> usize {
        self.0.bound(input)
    }

    fn run(&mut self, key: &Object, mut io: InOut<'_>) -> Result<usize> {
        let Prefixed(message) = self;
        // Input and output are out of step by the IV, so the input is copied: it may be the same memory.
        let input = Secret::from_slice(io.input());
        match message.direction {
            Direction::Encrypt => {
                let (prefix, out) = io.output().split_at_mut(MADE_IV);
                prefix.copy_from_slice(&message.iv);
                Ok(MADE_IV + message.seal(key, InOut::new(input.expose(), out))?)
            }
            Direction::Decrypt => {
                let Some((iv, rest)) = input.expose().split_at_checked(MADE_IV) else {
                    fail!(EncryptedDataLenRange, "the ciphertext is shorter than its IV");
                };
                message.iv = iv.into();
                message.open(key, InOut::new(rest, io.output()))
            }
        }
    }
}

/// What a failed decryption is called when a key is unwrapped.
fn as_unwrap(error: Error) -> Error {
    match error.rv() {
        Rv::AeadDecryptFailed | Rv::EncryptedDataInvalid => error.recode(Rv::WrappedKeyInvalid),
        Rv::EncryptedDataLenRange => error.recode(Rv::WrappedKeyLenRange),
        _ => error,
    }
}

fn wrapped<C: WholeCipher>(mut cipher: C, key: &Object, payload: &[u8]) -> Result<Vec<u8>> {
    let mut out = vec![0; cipher.bound(payload.len())];
    let len = cipher.run(key, InOut::new(payload, &mut out))?;
    out.truncate(len);
    Ok(out)
}

fn unwrapped<C: WholeCipher>(mut cipher: C, key: &Object, wrapped: &[u8]) -> Result<Secret> {
    let mut out = Secret::zeroed(cipher.bound(wrapped.len()));
    let len = cipher.run(key, InOut::new(wrapped, out.expose_mut())).map_err(as_unwrap)?;
    Ok(out.truncated(len))
}

impl Wrap for Gcm {
    fn wrapped_len(&self, _: &Object, params: &Params, payload: usize) -> Result<usize> {
        match params {
            Params::Gcm(params) => {
                Ok(payload + tag_len(params.tag_bits)? + if self.prefixed { MADE_IV } else { 0 })
            }
            Params::Message { message, .. } => gcm_message::wrapped_len(message, payload),
            _ => Err(wrong_shape()),
        }
    }

    fn wrap(&self, key: &Object, params: Params, payload: &[u8]) -> Result<Vec<u8>> {
        let mut params = params;
        if let Params::Message { message, aad } = params {
            return gcm_message::wrap(key, *message, &aad, payload);
        }
        let message = prepare(key, Direction::Encrypt, &mut params, self.prefixed)?;
        if self.prefixed { wrapped(Prefixed(message), key, payload) } else { wrapped(message, key, payload) }
    }

    fn unwrap(&self, key: &Object, params: Params, blob: &[u8], _: Option<usize>) -> Result<Secret> {
        let mut params = params;
        if let Params::Message { message, aad } = params {
            return gcm_message::unwrap(key, *message, &aad, blob);
        }
        let message = prepare(key, Direction::Decrypt, &mut params, self.prefixed)?;
        if self.prefixed { unwrapped(Prefixed(message), key, blob) } else { unwrapped(message, key, blob) }
    }
}

/// CKM_AES_CCM. The lengths stand in the first block, so nothing can leave before all is known.
pub struct Ccm;

struct CcmState {
    direction: Direction,
    data_len: usize,
    nonce: Vec<u8>,
    aad: Vec<u8>,
    tag_len: usize,
}

impl CcmState {
    fn new(key: &Object, direction: Direction, params: Params) -> Result<CcmState> {
        let Params::Ccm { data_len, nonce, aad, tag_len } = params else { return Err(wrong_shape()) };
        Key::of(key)?;
        let state = CcmState { direction, data_len, nonce, aad, tag_len };
        state.message().check(data_len)?;
        Ok(state)
    }

    fn message(&self) -> CcmMessage<'_> {
        CcmMessage { nonce: &self.nonce, aad: &self.aad, tag_len: self.tag_len }
    }
}

impl WholeCipher for CcmState {
    fn bound(&self, input: usize) -> usize {
        match self.direction {
            Direction::Encrypt => input.saturating_add(self.tag_len),
            Direction::Decrypt => input.saturating_sub(self.tag_len),
        }
    }

    fn run(&mut self, key: &Object, mut io: InOut<'_>) -> Result<usize> {
        let (key, len) = (Key::of(key)?, self.data_len);
        let mut tag = [0; 16];
        let tag = &mut tag[..self.tag_len];
        match self.direction {
            Direction::Encrypt => {
                if io.input_len() != len {
                    fail!(DataLenRange, "ulDataLen promised {len} bytes");
                }
                self.message().seal(key, io.split_front(len), tag)?;
                io.output()[..tag.len()].copy_from_slice(tag);
                Ok(len + tag.len())
            }
            Direction::Decrypt => {
                if io.input_len().checked_sub(self.tag_len) != Some(len) {
                    fail!(EncryptedDataLenRange, "ulDataLen promised {len} bytes and a tag");
                }
                tag.copy_from_slice(&io.input()[len..]);
                self.message().open(key, io.split_front(len), tag)?;
                Ok(len)
            }
        }
    }
}

impl Cipher for Ccm {
    fn begin(
        &self,
        direction: Direction,
        key: &Object,
        params: &mut Params,
        state: &mut Begun<dyn CipherState>,
    ) -> Result<()> {
        begin!(state, Whole::new(CcmState::new(key, direction, take(params))?))
    }
}

impl Wrap for Ccm {
    fn wrapped_len(&self, _: &Object, params: &Params, payload: usize) -> Result<usize> {
        let Params::Ccm { nonce, aad, tag_len, .. } = params else { return Err(wrong_shape()) };
        CcmMessage { nonce, aad, tag_len: *tag_len }.check(payload)?;
        Ok(payload + tag_len)
    }

    fn wrap(&self, key: &Object, params: Params, payload: &[u8]) -> Result<Vec<u8>> {
        wrapped(CcmState::new(key, Direction::Encrypt, params)?, key, payload)
    }

    fn unwrap(&self, key: &Object, params: Params, blob: &[u8], _: Option<usize>) -> Result<Secret> {
        unwrapped(CcmState::new(key, Direction::Decrypt, params)?, key, blob)
    }
}

#[cfg(test)]
mod tests {
    use super::super::blocks::tests::{check_parts, in_parts, whole};
    use super::super::params::Sink;
    use super::super::secret::tests::key;
    use super::*;
    use cryptoki_sys::*;
    use std::sync::{Arc, Mutex};

    const PLAIN: Gcm = Gcm { prefixed: false };
    const PREFIXED: Gcm = Gcm { prefixed: true };

    fn gcm(iv: &[u8], aad: &[u8], tag_bits: usize) -> Params {
        Params::Gcm(GcmParams { iv: iv.into(), iv_sink: None, make_iv: false, aad: aad.into(), tag_bits })
    }

    fn ccm(data_len: usize) -> Params {
        Params::Ccm { data_len, nonce: vec![1; 12], aad: vec![2; 5], tag_len: 16 }
    }

    #[test]
    fn parts_equal_the_whole() {
        let data: Vec<u8> = (0..1500u32).map(|i| i as u8).collect();
        let aes = key(CKK_AES, &data[..32]);
        for len in [0, 1, 16, 1500] {
            check_parts(&PLAIN, &aes, &|| gcm(&[7; 12], b"more", 128), &data[..len]);
            check_parts(&PLAIN, &aes, &|| gcm(&[7; 20], b"", 96), &data[..len]);
        }
        // CCM's length goes in first, so the two directions take the same one.
        check_parts(&Ccm, &aes, &|| ccm(1500), &data);
    }

    #[test]
    fn nothing_comes_out_of_a_forgery() {
        let aes = key(CKK_AES, &[3; 16]);
        let params = || gcm(&[1; 12], b"", 128);
        let there = whole(&PLAIN, Direction::Encrypt, &aes, params(), b"sixteen bytes.. and more").unwrap();
        for i in 0..there.len() {
            let mut forged = there.clone();
            forged[i] ^= 1;
            let refused = whole(&PLAIN, Direction::Decrypt, &aes, params(), &forged).unwrap_err();
            assert_eq!(refused.rv(), Rv::AeadDecryptFailed);
            let refused = in_parts(&PLAIN, Direction::Decrypt, &aes, params(), &forged, 5).unwrap_err();
            assert_eq!(refused.rv(), Rv::AeadDecryptFailed);
            let refused = PLAIN.unwrap(&aes, params(), &forged, None).err().unwrap();
            assert_eq!(refused.rv(), Rv::WrappedKeyInvalid);
        }
        let mut state =
            Begun::by(|state| PLAIN.begin(Direction::Decrypt, &aes, &mut params(), state)).unwrap();
        let mut out = [0xEE; 40];
        assert_eq!(state.update(&aes, InOut::new(&there, &mut out)).unwrap(), 0);
        assert_eq!(out, [0xEE; 40]);
        assert_eq!(
            whole(&PLAIN, Direction::Decrypt, &aes, params(), &there[..15]).unwrap_err().rv(),
            Rv::EncryptedDataLenRange
        );
    }

    #[test]
    fn parameters() {
        let aes = key(CKK_AES, &[3; 16]);
        for (mut params, good) in [
            (gcm(&[], b"", 128), false),
            (gcm(&[1], b"", 128), true),
            (gcm(&[1; 12], b"", 96), true),
            (gcm(&[1; 12], b"", 88), false),
            (gcm(&[1; 12], b"", 8), false),
            (gcm(&[1; 12], b"", 0), false),
            (gcm(&[1; 12], b"", 100), false),
            (gcm(&[1; 12], b"", 136), false),
            (gcm(&[1; 12], b"", usize::MAX - 7), false),
            (Params::None, false),
        ] {
            // The length of a wrapped key is told from a right parameter only; a missing IV is still to be made.
            let told = PLAIN.wrapped_len(&aes, &params, 16).is_ok();
            assert_eq!(
                told,
                good || matches!(&params, Params::Gcm(gcm) if gcm.iv.is_empty() && gcm.tag_bits == 128)
            );
            match Begun::by(|state| PLAIN.begin(Direction::Encrypt, &aes, &mut params, state)) {
                Ok(_) => assert!(good),
                Err(error) => {
                    assert!(!good);
                    assert_eq!(error.rv(), Rv::MechanismParamInvalid);
                }
            }
        }
        let no_tag = Params::Ccm { data_len: 4, nonce: vec![1; 12], aad: Vec::new(), tag_len: usize::MAX };
        assert_eq!(Ccm.wrapped_len(&aes, &no_tag, 4).unwrap_err().rv(), Rv::MechanismParamInvalid);
        assert_eq!(
            whole(&Ccm, Direction::Encrypt, &aes, ccm(5), b"four").unwrap_err().rv(),
            Rv::DataLenRange
        );
    }

    #[test]
    fn an_iv_made_here_reaches_the_caller() {
        let aes = key(CKK_AES, &[3; 16]);
        let seen = Arc::new(Mutex::new(Vec::new()));
        let params = || {
            let seen = seen.clone();
            let sink = Sink::new(move |iv| *seen.lock().unwrap() = iv.to_vec());
            let iv = vec![0; 12];
            Params::Gcm(GcmParams {
                iv: iv.into(),
                iv_sink: Some(sink),
                make_iv: true,
                aad: Bytes::new(),
                tag_bits: 128,
            })
        };
        let there = whole(&PLAIN, Direction::Encrypt, &aes, params(), b"data").unwrap();
        let iv = seen.lock().unwrap().clone();
        assert_ne!(iv, [0; 12]);
        assert_eq!(whole(&PLAIN, Direction::Decrypt, &aes, gcm(&iv, b"", 128), &there).unwrap(), b"data");
        let blob = PLAIN.wrap(&aes, params(), b"a key").unwrap();
        let iv = seen.lock().unwrap().clone();
        assert_eq!(PLAIN.unwrap(&aes, gcm(&iv, b"", 128), &blob, None).unwrap().expose(), b"a key");
    }

    #[test]
    fn prefixed_is_the_plain_one_after_its_iv() {
        let aes = key(CKK_AES, &[3; 32]);
        let params = || gcm(&[], b"aad", 128);
        let there = whole(&PREFIXED, Direction::Encrypt, &aes, params(), b"some data").unwrap();
        assert_eq!(there.len(), 12 + 9 + 16);
        let (iv, rest) = there.split_at(12);
        assert_eq!(
            whole(&PLAIN, Direction::Decrypt, &aes, gcm(iv, b"aad", 128), rest).unwrap(),
            b"some data"
        );
        assert_eq!(whole(&PREFIXED, Direction::Decrypt, &aes, params(), &there).unwrap(), b"some data");
        // In place: the output starts before the input it is made of is read.
        let mut buffer = [0; 37];
        buffer[..9].copy_from_slice(b"some data");
        let mut state =
            Begun::by(|state| PREFIXED.begin(Direction::Encrypt, &aes, &mut params(), state)).unwrap();
        assert!(!state.multipart());
        assert_eq!(state.one_shot(&aes, InOut::in_place(&mut buffer, 9)).unwrap(), 37);
        let mut state =
            Begun::by(|state| PREFIXED.begin(Direction::Decrypt, &aes, &mut params(), state)).unwrap();
        assert_eq!(state.one_shot(&aes, InOut::in_place(&mut buffer, 37)).unwrap(), 9);
        assert_eq!(&buffer[..9], b"some data");
        let blob = PREFIXED.wrap(&aes, params(), b"a key").unwrap();
        assert_eq!(blob.len(), PREFIXED.wrapped_len(&aes, &params(), 5).unwrap());
        assert_eq!(PREFIXED.unwrap(&aes, params(), &blob, None).unwrap().expose(), b"a key");
        for len in 0..28 {
            let refused = PREFIXED.unwrap(&aes, params(), &blob[..len], None).err().unwrap();
            assert_eq!(refused.rv(), Rv::WrappedKeyLenRange, "{len}");
        }
    }
}
