//! Block ciphers in ECB and CBC, for any cipher with blocks of `N` bytes (sections 6.10 and 6.18).

use super::{Cipher, CipherState, Params, Wrap, wrong_shape};
use crate::crypto::{Direction, InOut, Secret, aes, des, wipe};
use crate::error::{Error, Result, Rv};
use crate::object::Object;
use std::marker::PhantomData;

/// A key's expanded form that can do ECB and CBC.
pub trait BlockKey<const N: usize>: Send + Sync + Sized + 'static {
    /// The form of `key`, made at its first use.
    fn of(key: &Object) -> Result<&Self>;

    /// Whole blocks, independently.
    fn ecb(&self, direction: Direction, io: InOut<'_>) -> Result<()>;

    /// Whole blocks, chained; `iv` becomes the last block of ciphertext.
    fn cbc(&self, direction: Direction, iv: &mut [u8; N], io: InOut<'_>);
}

impl BlockKey<16> for aes::Key {
    fn of(key: &Object) -> Result<&Self> {
        key.prepared(|key| aes::Key::new(key.secret_value()?))
    }

    fn ecb(&self, direction: Direction, io: InOut<'_>) -> Result<()> {
        self.ecb(direction, io)
    }

    fn cbc(&self, direction: Direction, iv: &mut [u8; 16], io: InOut<'_>) {
        self.cbc(direction, iv, io);
    }
}

impl BlockKey<8> for des::Key {
    fn of(key: &Object) -> Result<&Self> {
        key.prepared(|key| des::Key::new(key.secret_value()?))
    }

    fn ecb(&self, direction: Direction, io: InOut<'_>) -> Result<()> {
        self.ecb(direction, io);
        Ok(())
    }

    fn cbc(&self, direction: Direction, iv: &mut [u8; 8], io: InOut<'_>) {
        self.cbc(direction, iv, io);
    }
}

/// How the blocks hang together and what becomes of a partial one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Ecb,
    Cbc,
    CbcPad,
}

/// A block cipher mode as a behaviour.
pub struct Blocks<K, const N: usize> {
    mode: Mode,
    key: PhantomData<fn() -> K>,
}

/// AES.
pub type Aes = Blocks<aes::Key, { aes::BLOCK }>;
/// Triple DES.
pub type Des3 = Blocks<des::Key, { des::BLOCK }>;

impl<K, const N: usize> Blocks<K, N> {
    /// Electronic codebook: whole blocks only.
    pub const ECB: Self = Blocks { mode: Mode::Ecb, key: PhantomData };
    /// Cipher block chaining: whole blocks only.
    pub const CBC: Self = Blocks { mode: Mode::Cbc, key: PhantomData };
    /// Cipher block chaining with PKCS #7 padding: any length.
    pub const CBC_PAD: Self = Blocks { mode: Mode::CbcPad, key: PhantomData };

    fn state(&self, direction: Direction, params: &Params) -> Result<State<K, N>> {
        let iv = match (self.mode, params) {
            (Mode::Ecb, Params::None) => [0; N],
            (Mode::Cbc | Mode::CbcPad, Params::Iv(iv)) => iv
                .as_slice()
                .try_into()
                .map_err(|_| Rv::MechanismParamInvalid.because("the IV is one block"))?,
            _ => return Err(wrong_shape()),
        };
        Ok(State { mode: self.mode, direction, iv, pending: Pending::new(), key: PhantomData })
    }
}

impl<K: BlockKey<N>, const N: usize> Cipher for Blocks<K, N> {
    fn begin(&self, direction: Direction, key: &Object, params: Params) -> Result<Box<dyn CipherState>> {
        K::of(key)?;
        Ok(Box::new(self.state(direction, &params)?))
    }
}

struct State<K, const N: usize> {
    mode: Mode,
    direction: Direction,
    iv: [u8; N],
    pending: Pending<N>,
    key: PhantomData<fn() -> K>,
}

impl<K: BlockKey<N>, const N: usize> State<K, N> {
    /// The last block of a padded ciphertext is the one with the padding: it waits for `finish`.
    fn keeps_last(&self) -> bool {
        self.mode == Mode::CbcPad && self.direction == Direction::Decrypt
    }

    fn run(mode: Mode, direction: Direction, key: &K, iv: &mut [u8; N], io: InOut<'_>) -> Result<()> {
        match mode {
            Mode::Ecb => key.ecb(direction, io)?,
            Mode::Cbc | Mode::CbcPad => key.cbc(direction, iv, io),
        }
        Ok(())
    }

    fn wrong_length(&self) -> Error {
        match self.direction {
            Direction::Encrypt => Rv::DataLenRange.because("the data is not whole blocks"),
            Direction::Decrypt => Rv::EncryptedDataLenRange.because("the ciphertext is not whole blocks"),
        }
    }
}

impl<K: BlockKey<N>, const N: usize> CipherState for State<K, N> {
    fn update_bound(&self, _: &Object, input: usize) -> usize {
        self.pending.ready(input, self.keeps_last())
    }

    fn update(&mut self, key: &Object, io: InOut<'_>) -> Result<usize> {
        let (key, mode, direction, keep) = (K::of(key)?, self.mode, self.direction, self.keeps_last());
        self.pending.feed(io, keep, |io| Self::run(mode, direction, key, &mut self.iv, io))
    }

    fn finish_bound(&self, _: &Object) -> usize {
        if self.mode == Mode::CbcPad { N } else { 0 }
    }

    fn finish(&mut self, key: &Object, out: &mut [u8]) -> Result<usize> {
        let used = self.pending.used;
        match (self.mode, self.direction) {
            (Mode::Ecb | Mode::Cbc, _) if used == 0 => Ok(0),
            (Mode::CbcPad, Direction::Encrypt) => {
                let block = &mut self.pending.bytes;
                block[used..].fill((N - used) as u8);
                K::of(key)?.cbc(Direction::Encrypt, &mut self.iv, InOut::new(block, out));
                Ok(N)
            }
            (Mode::CbcPad, Direction::Decrypt) if used == N => {
                let block = &mut self.pending.bytes;
                K::of(key)?.cbc(Direction::Decrypt, &mut self.iv, InOut::in_place(block, N));
                match unpadded(block) {
                    Some(len) => {
                        out[..len].copy_from_slice(&block[..len]);
                        Ok(len)
                    }
                    None => fail!(EncryptedDataInvalid),
                }
            }
            _ => Err(self.wrong_length()),
        }
    }

    /// A padded ciphertext ends in a block of which a caller's buffer may want a part only.
    fn exact(&self) -> bool {
        !self.keeps_last()
    }

    fn one_shot_bound(&self, key: &Object, input: usize) -> usize {
        match (self.mode, self.direction) {
            (Mode::CbcPad, Direction::Encrypt) => input / N * N + N,
            (Mode::CbcPad, Direction::Decrypt) => input,
            _ => self.update_bound(key, input),
        }
    }
}

/// The length that is left without the padding, in time that does not tell the padding (RFC 5652, section 6.3).
pub(super) fn unpadded<const N: usize>(block: &[u8; N]) -> Option<usize> {
    let pad = block[N - 1];
    // All ones where `a < b`, for values below 2^31.
    let less = |a: u32, b: u32| (a.wrapping_sub(b) >> 31).wrapping_neg();
    let mut wrong = less(pad.into(), 1) | less(N as u32, pad.into());
    for (from_end, byte) in block.iter().rev().enumerate() {
        wrong |= less(from_end as u32, pad.into()) & u32::from(byte ^ pad);
    }
    (wrong == 0).then(|| N - usize::from(pad))
}

/// Wrapping with padded CBC (section 6.10.5). It authenticates nothing: strict policy refuses it.
impl<K: BlockKey<N>, const N: usize> Wrap for Blocks<K, N> {
    fn wrapped_len(&self, _: &Object, _: &Params, payload: usize) -> Result<usize> {
        Ok(payload / N * N + N)
    }

    fn wrap(&self, key: &Object, params: Params, payload: &[u8]) -> Result<Vec<u8>> {
        let mut out = vec![0; self.wrapped_len(key, &params, payload.len())?];
        let len = self.state(Direction::Encrypt, &params)?.one_shot(key, InOut::new(payload, &mut out))?;
        debug_assert_eq!(len, out.len());
        Ok(out)
    }

    fn unwrap(&self, key: &Object, params: Params, wrapped: &[u8], _: Option<usize>) -> Result<Secret> {
        if wrapped.is_empty() || !wrapped.len().is_multiple_of(N) {
            fail!(WrappedKeyLenRange, "{} bytes are not whole blocks", wrapped.len());
        }
        let mut out = Secret::zeroed(wrapped.len());
        let io = InOut::new(wrapped, out.expose_mut());
        let len =
            self.state(Direction::Decrypt, &params)?.one_shot(key, io).map_err(|error| match error.rv() {
                Rv::EncryptedDataInvalid => Rv::WrappedKeyInvalid.into(),
                _ => error,
            })?;
        Ok(out.truncated(len))
    }
}

/// Input that does not fill a block yet.
struct Pending<const N: usize> {
    bytes: [u8; N],
    used: usize,
}

/// Bytes that go through the stack at once where input and output are out of step; whole blocks of any cipher.
const STEP: usize = 512;

impl<const N: usize> Pending<N> {
    fn new() -> Self {
        Pending { bytes: [0; N], used: 0 }
    }

    /// Bytes of whole blocks that `input` more make, the last one held back if `keep_last`.
    fn ready(&self, input: usize, keep_last: bool) -> usize {
        let total = self.used.saturating_add(input);
        total.saturating_sub(keep_last.into()) / N * N
    }

    /// Runs `blocks` over what is ready and keeps the rest.
    fn feed(
        &mut self,
        mut io: InOut<'_>,
        keep_last: bool,
        mut blocks: impl FnMut(InOut<'_>) -> Result<()>,
    ) -> Result<usize> {
        let ready = self.ready(io.input_len(), keep_last);
        if self.used == 0 {
            // In step. The tail is saved first: in place, the output may not touch it, but the order is free.
            let tail = &io.input()[ready..];
            self.bytes[..tail.len()].copy_from_slice(tail);
            self.used = tail.len();
            if ready > 0 {
                blocks(io.split_front(ready))?;
            }
            return Ok(ready);
        }
        // The output runs `used` bytes ahead of the input. In place it would eat input not yet read, so each
        // step reads all its input before it writes: `used` pending bytes and `len` new ones make `len` bytes
        // of output (whole blocks) and again `used` pending ones.
        let mut work = [0; STEP + 16];
        let mut written = 0;
        while io.input_len() > 0 {
            let (used, len) = (self.used, io.input_len().min(STEP));
            work[..used].copy_from_slice(&self.bytes[..used]);
            work[used..used + len].copy_from_slice(&io.input()[..len]);
            let now = self.ready(len, keep_last);
            let rest = used + len - now;
            self.bytes[..rest].copy_from_slice(&work[now..used + len]);
            self.used = rest;
            blocks(InOut::in_place(&mut work[..now], now))?;
            io.output()[..now].copy_from_slice(&work[..now]);
            written += now;
            if len < STEP {
                break;
            }
            io.split_front(STEP);
        }
        wipe(&mut work);
        debug_assert_eq!(written, ready);
        Ok(written)
    }
}

impl<const N: usize> Drop for Pending<N> {
    fn drop(&mut self) {
        wipe(&mut self.bytes);
    }
}
