//! Message authentication codes: HMAC over every hash (section 6.22), CMAC over AES and triple DES (6.14, 6.19).

use super::blocks::BlockKey;
use super::{Begun, Params, Sign, SignState, VerifyState, wrong_shape};
use crate::crypto::{Hash, aes, cmac, des, hmac, wiping_stack};
use crate::error::Result;
use crate::object::Object;
use once_cell::sync::OnceCell;
use std::marker::PhantomData;

/// A MAC of fewer bytes is guessed, not forged (SP 800-107, section 5.3.3).
const LEAST: usize = 4;

/// The length the caller asks for: the whole MAC, or its front under the `_GENERAL` mechanisms.
fn length(params: &Params, whole: usize) -> Result<usize> {
    match *params {
        Params::None => Ok(whole),
        Params::Length(len) if (LEAST..=whole).contains(&len) => Ok(len),
        Params::Length(len) => {
            fail!(MechanismParamInvalid, "the MAC's length {len} is not {LEAST} to {whole} bytes")
        }
        _ => Err(wrong_shape()),
    }
}

/// A running MAC of either kind.
trait Mac: Send {
    /// Takes more of the message.
    fn update(&mut self, key: &Object, data: &[u8]) -> Result<()>;

    /// Bytes of the whole MAC; [`MOST`] at most.
    fn len(&self) -> usize;

    /// The whole MAC of all that was taken.
    fn finish(&mut self, key: &Object, mac: &mut [u8]) -> Result<()>;

    /// `update` and `finish` at once.
    fn one_shot(&mut self, key: &Object, data: &[u8], mac: &mut [u8]) -> Result<()>;
}

/// The longest MAC, in bytes.
const MOST: usize = 64;

/// A MAC cut to its length, made or checked.
struct Cut<M> {
    mac: M,
    len: usize,
}

impl<M: Mac> Cut<M> {
    /// The front of what `compute` makes, in `out`: where that is to be, if it is the whole.
    #[inline]
    fn front(
        &mut self,
        out: &mut [u8],
        compute: impl FnOnce(&mut M, &mut [u8]) -> Result<()>,
    ) -> Result<usize> {
        let (whole, out) = (self.mac.len(), &mut out[..self.len]);
        if out.len() == whole {
            compute(&mut self.mac, out)?;
        } else {
            let mac = &mut [0; MOST][..whole];
            compute(&mut self.mac, mac)?;
            out.copy_from_slice(&mac[..out.len()]);
        }
        Ok(self.len)
    }

    fn check(
        &mut self,
        signature: &[u8],
        compute: impl FnOnce(&mut M, &mut [u8]) -> Result<()>,
    ) -> Result<()> {
        let expected = &mut [0; MOST][..self.mac.len()];
        compute(&mut self.mac, expected)?;
        if signature.len() != self.len {
            fail!(SignatureLenRange, "the MAC has {} bytes", self.len);
        }
        if !crate::crypto::equal(&expected[..self.len], signature) {
            fail!(SignatureInvalid);
        }
        Ok(())
    }
}

impl<M: Mac> SignState for Cut<M> {
    fn update(&mut self, key: &Object, data: &[u8]) -> Result<()> {
        self.mac.update(key, data)
    }

    fn signature_len(&self, _: &Object) -> usize {
        self.len
    }

    fn finish(&mut self, key: &Object, out: &mut [u8]) -> Result<usize> {
        self.front(out, |mac, out| mac.finish(key, out))
    }

    fn one_shot(&mut self, key: &Object, data: &[u8], out: &mut [u8]) -> Result<usize> {
        self.front(out, |mac, out| mac.one_shot(key, data, out))
    }
}

impl<M: Mac> VerifyState for Cut<M> {
    fn update(&mut self, key: &Object, data: &[u8]) -> Result<()> {
        self.mac.update(key, data)
    }

    fn finish(&mut self, key: &Object, signature: &[u8]) -> Result<()> {
        self.check(signature, |mac, out| mac.finish(key, out))
    }

    fn one_shot(&mut self, key: &Object, data: &[u8], signature: &[u8]) -> Result<()> {
        self.check(signature, |mac, out| mac.one_shot(key, data, out))
    }
}

/// A mechanism that makes MACs.
trait Macs: Sync {
    type Running: Mac + 'static;

    /// The length that is asked for; that the key is one, with its form at hand.
    fn check(&self, key: &Object, params: &Params) -> Result<usize>;

    /// A MAC of no bytes yet.
    fn mac(&self) -> Self::Running;
}

impl<M: Macs> Sign for M {
    fn sign(&self, key: &Object, params: &mut Params, state: &mut Begun<dyn SignState>) -> Result<()> {
        let len = self.check(key, params)?;
        begin!(state, Cut { mac: self.mac(), len })
    }

    fn verify(&self, key: &Object, params: &mut Params, state: &mut Begun<dyn VerifyState>) -> Result<()> {
        let len = self.check(key, params)?;
        begin!(state, Cut { mac: self.mac(), len })
    }
}

/// The expanded forms of an HMAC key, which a generic secret has one of for each hash.
#[derive(Default)]
struct Forms([OnceCell<Box<hmac::Key>>; Hash::ALL.len()]);

fn hmac_key(key: &Object, hash: Hash) -> Result<&hmac::Key> {
    let forms: &Forms = key.prepared(|_| Ok(Forms::default()))?;
    let form = &forms.0[hash as usize];
    let make = || wiping_stack(|| Ok(Box::new(hmac::Key::new(hash, key.secret_value()?)?)));
    form.get_or_try_init(make).map(|key| &**key)
}

/// HMAC.
pub struct Hmac(pub Hash);

impl Macs for Hmac {
    type Running = RunningHmac;

    fn check(&self, key: &Object, params: &Params) -> Result<usize> {
        let len = length(params, self.0.output_len())?;
        hmac_key(key, self.0).map(|_| len)
    }

    fn mac(&self) -> RunningHmac {
        RunningHmac { hash: self.0, context: None }
    }
}

/// The context is large and only made for data in parts.
struct RunningHmac {
    hash: Hash,
    context: Option<Box<hmac::Context>>,
}

impl Mac for RunningHmac {
    fn update(&mut self, key: &Object, data: &[u8]) -> Result<()> {
        let context = match &mut self.context {
            Some(context) => context,
            none => none.insert(Box::new(hmac_key(key, self.hash)?.start())),
        };
        context.update(data);
        Ok(())
    }

    fn len(&self) -> usize {
        self.hash.output_len()
    }

    fn finish(&mut self, key: &Object, mac: &mut [u8]) -> Result<()> {
        match self.context.take() {
            Some(context) => mac.copy_from_slice(&context.finish()),
            None => self.one_shot(key, &[], mac)?,
        }
        Ok(())
    }

    fn one_shot(&mut self, key: &Object, data: &[u8], mac: &mut [u8]) -> Result<()> {
        hmac_key(key, self.hash)?.mac_into(data, mac);
        Ok(())
    }
}

/// CMAC over a cipher with blocks of `N` bytes.
pub struct Cmac<K, const N: usize>(PhantomData<fn() -> K>);

impl Cmac<aes::Key, 16> {
    /// Over AES.
    pub const AES: Self = Cmac(PhantomData);
}

impl Cmac<des::Key, 8> {
    /// Over triple DES.
    pub const DES3: Self = Cmac(PhantomData);
}

/// A key that can do CMAC.
pub trait CmacKey<const N: usize>: BlockKey<N> + cmac::BlockCipher<N> {}

impl<K: BlockKey<N> + cmac::BlockCipher<N>, const N: usize> CmacKey<N> for K {}

impl<K: CmacKey<N>, const N: usize> Macs for Cmac<K, N> {
    type Running = RunningCmac<K, N>;

    fn check(&self, key: &Object, params: &Params) -> Result<usize> {
        let len = length(params, N)?;
        K::of(key).map(|_| len)
    }

    fn mac(&self) -> RunningCmac<K, N> {
        RunningCmac { context: Default::default(), key: PhantomData }
    }
}

struct RunningCmac<K, const N: usize> {
    context: cmac::Context<N>,
    key: PhantomData<fn() -> K>,
}

impl<K: CmacKey<N>, const N: usize> Mac for RunningCmac<K, N> {
    fn update(&mut self, key: &Object, data: &[u8]) -> Result<()> {
        self.context.update(K::of(key)?, data);
        Ok(())
    }

    fn len(&self) -> usize {
        N
    }

    fn finish(&mut self, key: &Object, mac: &mut [u8]) -> Result<()> {
        mac.copy_from_slice(&std::mem::take(&mut self.context).finish(K::of(key)?));
        Ok(())
    }

    fn one_shot(&mut self, key: &Object, data: &[u8], mac: &mut [u8]) -> Result<()> {
        mac.copy_from_slice(&cmac::mac(K::of(key)?, data));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::secret::tests::key;
    use super::*;
    use crate::error::Rv;
    use cryptoki_sys::*;

    /// Made in one piece and in parts, cut to every length, verified, and refused when wrong.
    fn check(sign: &dyn Sign, key: &Object, whole: &[u8], message: &[u8]) {
        for len in 0..=whole.len() + 1 {
            let params = || Params::Length(len);
            let Ok(mut state) = Begun::by(|state| sign.sign(key, &mut params(), state)) else {
                assert!(!(LEAST..=whole.len()).contains(&len));
                assert_eq!(
                    Begun::by(|state| sign.verify(key, &mut params(), state)).err().unwrap().rv(),
                    Rv::MechanismParamInvalid
                );
                continue;
            };
            assert_eq!(state.signature_len(key), len);
            let mut out = vec![0; len];
            assert_eq!(state.one_shot(key, message, &mut out).unwrap(), len);
            assert_eq!(out, whole[..len]);

            let mut state = Begun::by(|state| sign.sign(key, &mut params(), state)).unwrap();
            message.chunks(3).for_each(|part| state.update(key, part).unwrap());
            state.finish(key, &mut out).unwrap();
            assert_eq!(out, whole[..len]);

            Begun::by(|state| sign.verify(key, &mut params(), state))
                .unwrap()
                .one_shot(key, message, &out)
                .unwrap();
            out[len - 1] ^= 1;
            let mut state = Begun::by(|state| sign.verify(key, &mut params(), state)).unwrap();
            state.update(key, message).unwrap();
            assert_eq!(state.finish(key, &out).unwrap_err().rv(), Rv::SignatureInvalid);
            let mut state = Begun::by(|state| sign.verify(key, &mut params(), state)).unwrap();
            let refused = state.one_shot(key, message, &out[1..]).unwrap_err();
            assert_eq!(refused.rv(), Rv::SignatureLenRange);
        }
    }

    #[test]
    fn hmac_of_one_secret_over_every_hash() {
        let secret = key(CKK_GENERIC_SECRET, b"Jefe");
        for hash in Hash::ALL {
            for message in [&b""[..], b"what do ya want for nothing?"] {
                let whole = hmac::Key::new(hash, b"Jefe").unwrap().mac(message);
                check(&Hmac(hash), &secret, &whole, message);
            }
        }
        // RFC 4231, test case 2.
        let mut out = [0; 32];
        let mut state =
            Begun::by(|state| Hmac(Hash::Sha256).sign(&secret, &mut Params::None, state)).unwrap();
        state.one_shot(&secret, b"what do ya want for nothing?", &mut out).unwrap();
        assert_eq!(hex::encode(out), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }

    /// SP 800-38B, appendix D.1, example 2, and D.4 for triple DES.
    #[test]
    fn cmac_of_both_ciphers() {
        let message = hex::decode("6bc1bee22e409f96e93d7e117393172a").unwrap();
        let aes = key(CKK_AES, &hex::decode("2b7e151628aed2a6abf7158809cf4f3c").unwrap());
        check(&Cmac::AES, &aes, &hex::decode("070a16b46b4d4144f79bdd9dd04a287c").unwrap(), &message);
        let des = key(CKK_DES3, &hex::decode("8aa83bf8cbda10620bc1bf19fbb6cd58bc313d4a371ca8b5").unwrap());
        check(&Cmac::DES3, &des, &hex::decode("8e8f293136283797").unwrap(), &message[..8]);
    }
}
