//! The AES key wraps (section 6.16), and CloudHSM's three under their own numbers.
//!
//! CKM_AES_KEY_WRAP_PAD is deprecated because 2.40 left its padding open. Here it is RFC 5649, as in SoftHSM and
//! in CloudHSM's SDK 3; CKM_AES_KEY_WRAP_PKCS7 names the other reading.

use super::blocks::{BlockKey, unpadded};
use super::whole::{Whole, WholeCipher};
use super::{Begun, Cipher, CipherState, Params, Wrap, wrong_shape};
use crate::crypto::aes::Key;
use crate::crypto::{Direction, InOut, Secret, key_wrap};
use crate::error::{Error, Result, Rv};
use crate::object::Object;

/// Bytes in the unit of the wrap.
const SEMIBLOCK: usize = 8;

/// What happens to a payload that is not whole semiblocks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Padding {
    /// It is refused: RFC 3394 as it stands.
    None,
    /// A key gets zeros, which only its template's length tells apart; data is refused (CKM_AES_KEY_WRAP).
    Zeros,
    /// RFC 5649: zeros, and the length inside.
    Length,
    /// PKCS #7: one to eight bytes that tell how many they are.
    Pkcs7,
}

/// A key wrap as a behaviour.
#[derive(Clone, Copy)]
pub struct KeyWrap {
    /// For payloads of odd lengths.
    pub padding: Padding,
    /// Whether the caller may set another initial value than the standard one.
    pub free_iv: bool,
}

/// The alternative initial value's constant half (RFC 5649, section 3).
const KWP_IV: [u8; 4] = [0xA6, 0x59, 0x59, 0xA6];

impl KeyWrap {
    fn iv(&self, params: &Params) -> Result<[u8; SEMIBLOCK]> {
        let given = match params {
            Params::None => return Ok(key_wrap::DEFAULT_IV),
            Params::Iv(iv) => iv.as_slice(),
            _ => return Err(wrong_shape()),
        };
        let standard: &[u8] = if self.padding == Padding::Length { &KWP_IV } else { &key_wrap::DEFAULT_IV };
        match given.try_into() {
            Ok(iv) if self.free_iv => Ok(iv),
            _ if given == standard => Ok(key_wrap::DEFAULT_IV),
            _ => fail!(MechanismParamInvalid, "only the standard's initial value is taken"),
        }
    }

    fn wrap(&self, key: &Object, iv: &[u8; SEMIBLOCK], payload: &[u8]) -> Result<Vec<u8>> {
        let (key, len) = (Key::of(key)?, payload.len());
        let pad = |len: usize, byte: u8| {
            let mut padded = Secret::zeroed(len);
            padded.expose_mut()[..payload.len()].copy_from_slice(payload);
            padded.expose_mut()[payload.len()..].fill(byte);
            padded
        };
        match self.padding {
            Padding::Length => key_wrap::wrap_padded(key, payload),
            Padding::Zeros if !len.is_multiple_of(SEMIBLOCK) => {
                key_wrap::wrap(key, iv, pad(len.next_multiple_of(SEMIBLOCK), 0).expose())
            }
            Padding::None | Padding::Zeros => key_wrap::wrap(key, iv, payload),
            Padding::Pkcs7 => {
                let padding = SEMIBLOCK - len % SEMIBLOCK;
                key_wrap::wrap(key, iv, pad(len + padding, padding as u8).expose())
            }
        }
    }

    fn unwrap(&self, key: &Object, iv: &[u8; SEMIBLOCK], wrapped: &[u8]) -> Result<Secret> {
        let key = Key::of(key)?;
        match self.padding {
            Padding::Length => key_wrap::unwrap_padded(key, wrapped),
            Padding::None | Padding::Zeros => key_wrap::unwrap(key, iv, wrapped),
            Padding::Pkcs7 => {
                let padded = key_wrap::unwrap(key, iv, wrapped)?;
                let (front, last) =
                    padded.expose().split_last_chunk::<SEMIBLOCK>().ok_or(Rv::WrappedKeyInvalid)?;
                let len = front.len() + unpadded(last).ok_or(Rv::WrappedKeyInvalid)?;
                Ok(padded.truncated(len))
            }
        }
    }

    /// Bytes after wrapping.
    fn len(&self, payload: usize) -> usize {
        match self.padding {
            Padding::Length => key_wrap::padded_len(payload),
            Padding::None | Padding::Zeros => payload.next_multiple_of(SEMIBLOCK) + SEMIBLOCK,
            Padding::Pkcs7 => payload / SEMIBLOCK * SEMIBLOCK + 2 * SEMIBLOCK,
        }
    }
}

impl Wrap for KeyWrap {
    fn wrapped_len(&self, _: &Object, params: &Params, payload: usize) -> Result<usize> {
        self.iv(params)?;
        if self.padding == Padding::None && !payload.is_multiple_of(SEMIBLOCK) {
            fail!(KeySizeRange, "{payload} bytes are not whole 8-byte blocks");
        }
        Ok(self.len(payload))
    }

    fn wrap(&self, key: &Object, params: Params, payload: &[u8]) -> Result<Vec<u8>> {
        self.wrap(key, &self.iv(&params)?, payload)
    }

    fn unwrap(
        &self,
        key: &Object,
        params: Params,
        wrapped: &[u8],
        expected: Option<usize>,
    ) -> Result<Secret> {
        let payload = self.unwrap(key, &self.iv(&params)?, wrapped)?;
        match expected {
            Some(len) if self.padding == Padding::Zeros && len < payload.len() => {
                // Up to seven bytes of padding, zeros: more, or others, and the blob is of another key.
                let (value, padding) = payload.expose().split_at(len);
                if padding.len() >= SEMIBLOCK || padding.iter().fold(0, |any, byte| any | byte) != 0 {
                    fail!(WrappedKeyLenRange, "the template asks for {len} bytes of {}", payload.len());
                }
                Ok(Secret::from_slice(value))
            }
            _ => Ok(payload),
        }
    }
}

impl Cipher for KeyWrap {
    fn begin(
        &self,
        direction: Direction,
        key: &Object,
        params: &mut Params,
        state: &mut Begun<dyn CipherState>,
    ) -> Result<()> {
        Key::of(key)?;
        let data = Data { wrap: *self, iv: self.iv(params)?, direction };
        match (direction, self.padding) {
            // What is left of the padding is only known afterwards.
            (Direction::Decrypt, Padding::Length | Padding::Pkcs7) => {
                begin!(state, Whole::new(Inexact(data)))
            }
            _ => begin!(state, Whole::new(data)),
        }
    }
}

/// Data, not a key, through the same wrap; single part (section 6.16.3).
struct Data {
    wrap: KeyWrap,
    iv: [u8; SEMIBLOCK],
    direction: Direction,
}

/// The codes of C_WrapKey and C_UnwrapKey in the words of C_Encrypt and C_Decrypt.
fn as_data(error: Error) -> Error {
    match error.rv() {
        Rv::KeySizeRange => error.recode(Rv::DataLenRange),
        Rv::WrappedKeyInvalid => error.recode(Rv::EncryptedDataInvalid),
        Rv::WrappedKeyLenRange => error.recode(Rv::EncryptedDataLenRange),
        _ => error,
    }
}

impl WholeCipher for Data {
    const IN_PARTS: bool = false;

    fn bound(&self, input: usize) -> usize {
        match self.direction {
            Direction::Encrypt => self.wrap.len(input),
            Direction::Decrypt => input.saturating_sub(SEMIBLOCK),
        }
    }

    fn run(&mut self, key: &Object, mut io: InOut<'_>) -> Result<usize> {
        match self.direction {
            Direction::Encrypt => {
                if self.wrap.padding == Padding::Zeros && !io.input_len().is_multiple_of(SEMIBLOCK) {
                    fail!(DataLenRange, "{} bytes are not whole 8-byte blocks", io.input_len());
                }
                let out = self.wrap.wrap(key, &self.iv, io.input()).map_err(as_data)?;
                io.output()[..out.len()].copy_from_slice(&out);
                Ok(out.len())
            }
            Direction::Decrypt => {
                let out = self.wrap.unwrap(key, &self.iv, io.input()).map_err(as_data)?;
                io.output()[..out.len()].copy_from_slice(out.expose());
                Ok(out.len())
            }
        }
    }
}

struct Inexact(Data);

impl WholeCipher for Inexact {
    const IN_PARTS: bool = false;
    const EXACT: bool = false;

    fn bound(&self, input: usize) -> usize {
        self.0.bound(input)
    }

    fn run(&mut self, key: &Object, io: InOut<'_>) -> Result<usize> {
        self.0.run(key, io)
    }
}

#[cfg(test)]
mod tests {
    use super::super::blocks::tests::whole;
    use super::super::secret::tests::key;
    use super::*;
    use cryptoki_sys::*;

    const fn kw(padding: Padding, free_iv: bool) -> KeyWrap {
        KeyWrap { padding, free_iv }
    }

    #[test]
    fn every_length_comes_back() {
        let aes = key(CKK_AES, &[4; 32]);
        let payload: Vec<u8> = (1..=100).collect();
        for padding in [Padding::None, Padding::Zeros, Padding::Length, Padding::Pkcs7] {
            let kw = kw(padding, false);
            for len in 1..=payload.len() {
                let payload = &payload[..len];
                let least = match padding {
                    Padding::None | Padding::Zeros => 9,
                    Padding::Pkcs7 => 8,
                    Padding::Length => 1,
                };
                let fits = len >= least && (padding != Padding::None || len % 8 == 0);
                let blob = Wrap::wrap(&kw, &aes, Params::None, payload);
                assert_eq!(blob.is_ok(), fits, "{len}");
                let Ok(blob) = blob else {
                    assert_eq!(blob.unwrap_err().rv(), Rv::KeySizeRange);
                    continue;
                };
                assert_eq!(blob.len(), kw.wrapped_len(&aes, &Params::None, len).unwrap());
                let back = Wrap::unwrap(&kw, &aes, Params::None, &blob, Some(len)).unwrap();
                assert_eq!(back.expose(), payload);
                for i in 0..blob.len() {
                    let mut forged = blob.clone();
                    forged[i] ^= 0x80;
                    let refused = Wrap::unwrap(&kw, &aes, Params::None, &forged, Some(len)).err().unwrap();
                    assert_eq!(refused.rv(), Rv::WrappedKeyInvalid);
                }
                let refused = Wrap::unwrap(&kw, &aes, Params::None, &blob[1..], None).err().unwrap();
                assert_eq!(refused.rv(), Rv::WrappedKeyLenRange);
            }
        }
    }

    /// CloudHSM's PKCS5_PAD is RFC 3394 over the padded key: an aligned key gains a block.
    #[test]
    fn pkcs7_is_kw_of_the_padded_key() {
        let aes = key(CKK_AES, &[4; 16]);
        let blob = Wrap::wrap(&kw(Padding::Pkcs7, false), &aes, Params::None, &[1; 16]).unwrap();
        let padded = Wrap::unwrap(&kw(Padding::None, false), &aes, Params::None, &blob, None).unwrap();
        assert_eq!(padded.expose(), [[1; 16].as_slice(), &[8; 8]].concat());
        // A payload that is no padding at all.
        let blob = Wrap::wrap(&kw(Padding::None, false), &aes, Params::None, &[9; 24]).unwrap();
        let refused =
            Wrap::unwrap(&kw(Padding::Pkcs7, false), &aes, Params::None, &blob, None).err().unwrap();
        assert_eq!(refused.rv(), Rv::WrappedKeyInvalid);
    }

    #[test]
    fn zeros_are_cut_to_the_template_and_checked() {
        let (aes, kw) = (key(CKK_AES, &[4; 16]), kw(Padding::Zeros, true));
        let blob = Wrap::wrap(&kw, &aes, Params::None, &[1; 20]).unwrap();
        let unwrap = |len| Wrap::unwrap(&kw, &aes, Params::None, &blob, len);
        assert_eq!(unwrap(Some(20)).unwrap().expose(), [1; 20]);
        for len in [16, 19] {
            assert_eq!(unwrap(Some(len)).err().unwrap().rv(), Rv::WrappedKeyLenRange, "{len}");
        }
    }

    #[test]
    fn initial_values() {
        let aes = key(CKK_AES, &[4; 16]);
        let iv = |iv: &[u8]| Params::Iv(iv.into());
        let wrap = |kw: KeyWrap, params| Wrap::wrap(&kw, &aes, params, &[1; 16]);
        let standard = wrap(kw(Padding::None, true), Params::None).unwrap();
        assert_eq!(wrap(kw(Padding::None, false), iv(&[0xA6; 8])).unwrap(), standard);
        assert_ne!(wrap(kw(Padding::None, true), iv(&[0xA5; 8])).unwrap(), standard);
        assert_eq!(
            wrap(kw(Padding::None, false), iv(&[0xA5; 8])).unwrap_err().rv(),
            Rv::MechanismParamInvalid
        );
        assert!(wrap(kw(Padding::Length, false), iv(&KWP_IV)).is_ok());
        assert!(wrap(kw(Padding::Length, false), iv(&[0xA6; 4])).is_err());
    }

    #[test]
    fn data_through_the_wraps() {
        let aes = key(CKK_AES, &[4; 16]);
        for padding in [Padding::Zeros, Padding::Length, Padding::Pkcs7] {
            let kw = kw(padding, false);
            for len in [16, 21, 32] {
                let data = &[7; 32][..len];
                let there = whole(&kw, Direction::Encrypt, &aes, Params::None, data);
                if padding == Padding::Zeros && len % 8 != 0 {
                    assert_eq!(there.unwrap_err().rv(), Rv::DataLenRange);
                    continue;
                }
                let there = there.unwrap();
                assert_eq!(whole(&kw, Direction::Decrypt, &aes, Params::None, &there).unwrap(), data);
                let refused = whole(&kw, Direction::Decrypt, &aes, Params::None, &there[8..]).unwrap_err();
                assert!(matches!(refused.rv(), Rv::EncryptedDataInvalid | Rv::EncryptedDataLenRange));
            }
        }
    }
}
