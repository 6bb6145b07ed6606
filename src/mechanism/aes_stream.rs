//! AES where any length goes in and the same comes out: CTR, OFB, CFB, XTS (sections 6.11, 6.13, 6.15).

use super::blocks::BlockKey;
use super::whole::{Whole, WholeCipher};
use super::{Begun, Cipher, CipherState, Params, wrong_shape};
use crate::crypto::aes::{BLOCK, Counter, Key};
use crate::crypto::{Direction, InOut, xts};
use crate::error::{Result, Rv};
use crate::object::Object;

fn block(params: &Params) -> Result<[u8; BLOCK]> {
    let Params::Iv(iv) = params else { return Err(wrong_shape()) };
    iv.as_slice().try_into().map_err(|_| Rv::MechanismParamInvalid.because("the IV is one block"))
}

/// The modes that make a key stream.
#[derive(Clone, Copy)]
pub enum Stream {
    /// Counter.
    Ctr,
    /// Output feedback.
    Ofb,
    /// Cipher feedback of whole blocks.
    Cfb128,
    /// Cipher feedback of bytes.
    Cfb8,
}

impl Cipher for Stream {
    fn begin(
        &self,
        direction: Direction,
        key: &Object,
        params: &mut Params,
        state: &mut Begun<dyn CipherState>,
    ) -> Result<()> {
        Key::of(key)?;
        let stream = match (self, params) {
            (Stream::Ctr, Params::Ctr { counter_bits, block }) => {
                State::Ctr(Counter::new(*counter_bits, *block)?)
            }
            (Stream::Ctr, _) => return Err(wrong_shape()),
            (Stream::Ofb, params) => State::Ofb { iv: block(params)?, used: 0 },
            (Stream::Cfb128, params) => State::Cfb128 { iv: block(params)?, used: 0, direction },
            (Stream::Cfb8, params) => State::Cfb8 { iv: block(params)?, direction },
        };
        begin!(state, stream)
    }
}

enum State {
    Ctr(Counter),
    Ofb { iv: [u8; BLOCK], used: usize },
    Cfb128 { iv: [u8; BLOCK], used: usize, direction: Direction },
    Cfb8 { iv: [u8; BLOCK], direction: Direction },
}

impl CipherState for State {
    fn update_bound(&self, _: &Object, input: usize) -> usize {
        input
    }

    fn update(&mut self, key: &Object, io: InOut<'_>) -> Result<usize> {
        let (key, len) = (Key::of(key)?, io.input_len());
        match self {
            State::Ctr(counter) => key.ctr(counter, io)?,
            State::Ofb { iv, used } => key.ofb(iv, used, io),
            State::Cfb128 { iv, used, direction } => key.cfb128(*direction, iv, used, io),
            State::Cfb8 { iv, direction } => key.cfb8(*direction, iv, io),
        }
        Ok(len)
    }

    fn finish_bound(&self, _: &Object) -> usize {
        0
    }

    fn finish(&mut self, _: &Object, _: &mut [u8]) -> Result<usize> {
        Ok(0)
    }
}

/// CKM_AES_XTS: one data unit an operation. The last two blocks of it depend on its length, so parts are
/// gathered.
pub struct Xts;

impl Cipher for Xts {
    fn begin(
        &self,
        direction: Direction,
        key: &Object,
        params: &mut Params,
        state: &mut Begun<dyn CipherState>,
    ) -> Result<()> {
        xts_key(key)?;
        begin!(state, Whole::new(XtsUnit { direction, iv: block(params)? }))
    }
}

fn xts_key(key: &Object) -> Result<&xts::Key> {
    key.prepared(|key| xts::Key::new(key.secret_value()?))
}

struct XtsUnit {
    direction: Direction,
    iv: [u8; BLOCK],
}

impl WholeCipher for XtsUnit {
    fn bound(&self, input: usize) -> usize {
        input
    }

    fn run(&mut self, key: &Object, mut io: InOut<'_>) -> Result<usize> {
        let (key, len) = (xts_key(key)?, io.input_len());
        if len < BLOCK {
            return Err(match self.direction {
                Direction::Encrypt => Rv::DataLenRange.because("XTS takes 16 bytes or more"),
                Direction::Decrypt => Rv::EncryptedDataLenRange.because("XTS gives 16 bytes or more"),
            });
        }
        let stolen = if len.is_multiple_of(BLOCK) { 0 } else { BLOCK + len % BLOCK };
        let mut tweak = key.start(&self.iv);
        key.blocks(self.direction, &mut tweak, io.split_front(len - stolen));
        if stolen > 0 {
            let mut tail = [0; 2 * BLOCK];
            let tail = &mut tail[..stolen];
            tail.copy_from_slice(io.input());
            key.steal(self.direction, tweak, tail);
            io.output()[..stolen].copy_from_slice(tail);
        }
        Ok(len)
    }
}

#[cfg(test)]
mod tests {
    use super::super::blocks::tests::{check_parts, whole};
    use super::super::secret::tests::key;
    use super::*;
    use cryptoki_sys::*;

    #[test]
    fn parts_equal_the_whole() {
        let data: Vec<u8> = (0..1500u32).map(|i| (i * 3) as u8).collect();
        let aes = key(CKK_AES, &data[..24]);
        let iv = || Params::Iv([9; 16][..].into());
        check_parts(&Stream::Ctr, &aes, &|| Params::Ctr { counter_bits: 7, block: [0xFF; 16] }, &data);
        check_parts(&Stream::Ofb, &aes, &iv, &data);
        check_parts(&Stream::Cfb128, &aes, &iv, &data);
        check_parts(&Stream::Cfb8, &aes, &iv, &data);
        let xts = key(CKK_AES_XTS, &data[..32]);
        for len in [16, 17, 31, 32, 1500] {
            check_parts(&Xts, &xts, &iv, &data[..len]);
        }
    }

    #[test]
    fn refusals() {
        let (aes, xts) = (key(CKK_AES, &[0; 16]), key(CKK_AES_XTS, &[0; 32]));
        let ctr = |counter_bits| Params::Ctr { counter_bits, block: [0; 16] };
        for bits in [0, 129] {
            let refused =
                Begun::by(|state| Stream::Ctr.begin(Direction::Encrypt, &aes, &mut ctr(bits), state))
                    .err()
                    .unwrap();
            assert_eq!(refused.rv(), Rv::MechanismParamInvalid);
        }
        let long = whole(&Stream::Ctr, Direction::Encrypt, &aes, ctr(2), &[0; 65]);
        assert_eq!(long.unwrap_err().rv(), Rv::DataLenRange);
        let iv = || Params::Iv([0; 16][..].into());
        let short = |direction| whole(&Xts, direction, &xts, iv(), &[0; 15]).unwrap_err().rv();
        assert_eq!(short(Direction::Encrypt), Rv::DataLenRange);
        assert_eq!(short(Direction::Decrypt), Rv::EncryptedDataLenRange);
        let mut short = Params::Iv([0; 8][..].into());
        assert!(Begun::by(|state| Xts.begin(Direction::Encrypt, &xts, &mut short, state)).is_err());
    }
}
