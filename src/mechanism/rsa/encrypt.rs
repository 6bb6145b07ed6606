//! CKM_RSA_PKCS, CKM_RSA_X_509 and CKM_RSA_PKCS_OAEP (sections 6.1.6 to 6.1.10): encryption and wrapping.

use super::{private, public};
use crate::crypto::rsa::{self, PKCS1_OVERHEAD, PrivateKey, PublicKey};
use crate::crypto::{Direction, InOut, Secret};
use crate::error::{Error, Result, Rv};
use crate::mechanism::{Begun, Cipher, CipherState, Params, Wrap, params, wrong_shape};
use crate::object::Object;

/// RSAES-PKCS1-v1_5. Decryption never tells whether the padding was right.
pub struct Pkcs1;

/// Bare RSA.
pub struct Raw;

/// RSAES-OAEP.
pub struct Oaep;

/// A padding with its parameter.
enum Padding {
    Pkcs1,
    Raw,
    Oaep(params::Oaep),
}

/// How a behaviour reads its parameter.
trait Scheme: Sync {
    fn padding(&self, params: &Params) -> Result<Padding>;
}

impl Scheme for Pkcs1 {
    fn padding(&self, _: &Params) -> Result<Padding> {
        Ok(Padding::Pkcs1)
    }
}

impl Scheme for Raw {
    fn padding(&self, _: &Params) -> Result<Padding> {
        Ok(Padding::Raw)
    }
}

impl Scheme for Oaep {
    fn padding(&self, params: &Params) -> Result<Padding> {
        match params {
            Params::Oaep(oaep) => Ok(Padding::Oaep(oaep.clone())),
            _ => Err(wrong_shape()),
        }
    }
}

pub(super) fn oaep(params: &params::Oaep) -> rsa::Oaep<'_> {
    rsa::Oaep { hash: params.hash, mgf: params.mgf, label: &params.label }
}

impl Padding {
    /// Bytes of message that fit.
    fn capacity(&self, size: usize) -> Result<usize> {
        match self {
            Padding::Pkcs1 => Ok(size - PKCS1_OVERHEAD),
            Padding::Raw => Ok(size),
            Padding::Oaep(params) => match oaep(params).capacity(size) {
                Some(capacity) => Ok(capacity),
                None => fail!(KeySizeRange, "the modulus is too short for OAEP with {:?}", params.hash),
            },
        }
    }

    fn encrypt(&self, key: &PublicKey, data: &[u8]) -> Result<Vec<u8>> {
        match self {
            Padding::Pkcs1 => key.encrypt_pkcs1(data),
            Padding::Oaep(params) => key.encrypt_oaep(oaep(params), data),
            Padding::Raw => {
                let block = left_padded(data, key.size())?;
                match key.transform(block.expose()) {
                    Some(ciphertext) => Ok(ciphertext),
                    None => fail!(DataInvalid, "the data is not below the modulus"),
                }
            }
        }
    }

    fn decrypt(&self, key: &PrivateKey, ciphertext: &[u8]) -> Result<Secret> {
        match self {
            Padding::Pkcs1 => key.decrypt_pkcs1(ciphertext),
            Padding::Oaep(params) => key.decrypt_oaep(oaep(params), ciphertext),
            Padding::Raw => {
                if ciphertext.len() != key.size() {
                    fail!(
                        EncryptedDataLenRange,
                        "{} bytes; the modulus has {}",
                        ciphertext.len(),
                        key.size()
                    );
                }
                let mut out = Secret::zeroed(key.size());
                match key.transform_private(ciphertext, out.expose_mut()) {
                    true => Ok(out),
                    false => fail!(EncryptedDataInvalid, "the ciphertext is 0, 1 or not below the modulus"),
                }
            }
        }
    }
}

/// `data` as a number of `size` bytes.
pub(super) fn left_padded(data: &[u8], size: usize) -> Result<Secret> {
    let Some(zeros) = size.checked_sub(data.len()) else {
        fail!(DataLenRange, "{} bytes do not fit under the modulus", data.len());
    };
    let mut block = Secret::zeroed(size);
    block.expose_mut()[zeros..].copy_from_slice(data);
    Ok(block)
}

impl<S: Scheme> Cipher for S {
    fn begin(
        &self,
        direction: Direction,
        key: &Object,
        params: &mut Params,
        state: &mut Begun<dyn CipherState>,
    ) -> Result<()> {
        let padding = self.padding(params)?;
        let size = match direction {
            Direction::Encrypt => public(key)?.size(),
            Direction::Decrypt => private(key)?.size(),
        };
        let capacity = padding.capacity(size)?;
        begin!(state, State { padding, direction, size, capacity })
    }
}

/// An encryption or decryption; all RSA ciphers take their data in one piece.
struct State {
    padding: Padding,
    direction: Direction,
    size: usize,
    capacity: usize,
}

fn one_piece() -> Error {
    Rv::FunctionNotSupported.because("RSA takes its data in one piece")
}

impl CipherState for State {
    fn multipart(&self) -> bool {
        false
    }

    fn update_bound(&self, _: &Object, _: usize) -> usize {
        0
    }

    fn update(&mut self, _: &Object, _: InOut<'_>) -> Result<usize> {
        Err(one_piece())
    }

    fn finish_bound(&self, _: &Object) -> usize {
        0
    }

    fn finish(&mut self, _: &Object, _: &mut [u8]) -> Result<usize> {
        Err(one_piece())
    }

    fn one_shot_bound(&self, _: &Object, _: usize) -> usize {
        match self.direction {
            Direction::Encrypt => self.size,
            Direction::Decrypt => self.capacity,
        }
    }

    fn one_shot(&mut self, key: &Object, mut io: InOut<'_>) -> Result<usize> {
        let answer = match self.direction {
            Direction::Encrypt => Secret::from_slice(&self.padding.encrypt(public(key)?, io.input())?),
            Direction::Decrypt => self.padding.decrypt(private(key)?, io.input())?,
        };
        io.output()[..answer.len()].copy_from_slice(answer.expose());
        Ok(answer.len())
    }

    fn exact(&self) -> bool {
        matches!((self.direction, &self.padding), (Direction::Encrypt, _) | (_, Padding::Raw))
    }
}

/// The same fault in the words of C_UnwrapKey.
pub(super) fn as_wrapped(error: Error) -> Error {
    match error.rv() {
        Rv::EncryptedDataLenRange => error.recode(Rv::WrappedKeyLenRange),
        Rv::EncryptedDataInvalid => error.recode(Rv::WrappedKeyInvalid),
        _ => error,
    }
}

impl<S: Scheme> Wrap for S {
    /// No private key fits under a modulus.
    fn takes_private_keys(&self) -> bool {
        false
    }

    fn wrapped_len(&self, key: &Object, params: &Params, payload: usize) -> Result<usize> {
        let size = public(key)?.size();
        if payload > self.padding(params)?.capacity(size)? {
            fail!(KeySizeRange, "a key of {payload} bytes does not fit under the modulus");
        }
        Ok(size)
    }

    fn wrap(&self, key: &Object, params: Params, payload: &[u8]) -> Result<Vec<u8>> {
        self.wrapped_len(key, &params, payload.len())?;
        self.padding(&params)?.encrypt(public(key)?, payload)
    }

    /// RSAES-PKCS1-v1_5 gives a key of the expected length whatever the padding, so a forged blob shows only
    /// by what the key does not decrypt. Where nothing tells the length, which CloudHSM's templates must not, it
    /// gives one of some length, as a forger who hits the padding would get.
    fn unwrap(
        &self,
        key: &Object,
        params: Params,
        wrapped: &[u8],
        expected: Option<usize>,
    ) -> Result<Secret> {
        let key = private(key)?;
        let padding = self.padding(&params)?;
        match (&padding, expected) {
            (Padding::Pkcs1, Some(len)) => key.decrypt_pkcs1_of_len(wrapped, len),
            (Padding::Pkcs1, None) => key.decrypt_pkcs1(wrapped),
            (Padding::Raw, None) => fail!(TemplateIncomplete, "bare RSA does not tell the key's length"),
            (Padding::Raw, Some(len)) if len > key.size() => {
                fail!(WrappedKeyLenRange, "no key of {len} bytes fits under the modulus")
            }
            (Padding::Raw, Some(len)) => padding
                .decrypt(key, wrapped)
                .map(|block| Secret::from_slice(&block.expose()[block.len() - len..])),
            _ => padding.decrypt(key, wrapped),
        }
        .map_err(as_wrapped)
    }
}
