//! A running digest as bytes, for C_GetOperationState: the chaining value, how many bytes were taken (eight, big
//! endian), and those of them that do not fill a block yet.

use super::{Context, State};
use crate::crypto::Hash;
use crate::error::{Result, Rv};

/// The same three steps for each of AWS-LC's structures: `$words` of `$word`, the buffer's field, the counter's type.
macro_rules! words {
    ($save:ident, $restore:ident, $state:ty, $word:ty, $buffer:ident, $bits:ty) => {
        fn $save(state: &$state) -> Vec<u8> {
            let bits = (state.Nh as $bits) << <$word>::BITS | state.Nl as $bits;
            let mut bytes: Vec<u8> = state.h.iter().flat_map(|word| word.to_be_bytes()).collect();
            bytes.extend(((bits >> 3) as u64).to_be_bytes());
            bytes.extend(&state.$buffer[..state.num as usize]);
            bytes
        }

        /// What is restored is a state of some message of that length, whoever made the bytes.
        fn $restore(state: &mut $state, bytes: &[u8]) -> Option<()> {
            let (chain, rest) = bytes.split_at_checked(size_of_val(&state.h))?;
            let (count, buffered) = rest.split_first_chunk()?;
            let bits = (u64::from_be_bytes(*count) as $bits).checked_mul(8)?;
            let block = state.$buffer.len();
            if buffered.len() != (u64::from_be_bytes(*count) % block as u64) as usize {
                return None;
            }
            for (word, bytes) in state.h.iter_mut().zip(chain.chunks_exact(size_of::<$word>())) {
                *word = <$word>::from_be_bytes(bytes.try_into().ok()?);
            }
            (state.Nl, state.Nh) = (bits as $word, (bits >> <$word>::BITS) as $word);
            state.$buffer[..buffered.len()].copy_from_slice(buffered);
            state.num = buffered.len() as u32;
            Some(())
        }
    };
}

words!(save_sha1, restore_sha1, aws_lc_sys::SHA_CTX, u32, data, u64);
words!(save_sha256, restore_sha256, aws_lc_sys::SHA256_CTX, u32, data, u64);
words!(save_sha512, restore_sha512, aws_lc_sys::SHA512_CTX, u64, p, u128);

impl Context {
    /// Its state as bytes; `None` of SHA-3, whose state AWS-LC does not show.
    pub fn save(&self) -> Option<Vec<u8>> {
        match &self.state {
            State::Sha1(state) => Some(save_sha1(state)),
            State::Sha256(state) => Some(save_sha256(state)),
            State::Sha512(state) => Some(save_sha512(state)),
            State::Sha3(_) => None,
        }
    }

    /// The digest whose state [`Context::save`] gave.
    ///
    /// # Errors
    /// CKR_SAVED_STATE_INVALID for bytes that are no such state.
    pub fn restore(hash: Hash, bytes: &[u8]) -> Result<Context> {
        let mut context = Context::new(hash)?;
        let restored = match &mut context.state {
            State::Sha1(state) => restore_sha1(state, bytes),
            State::Sha256(state) => restore_sha256(state, bytes),
            State::Sha512(state) => restore_sha512(state, bytes),
            State::Sha3(_) => None,
        };
        restored.map(|()| context).ok_or_else(|| Rv::SavedStateInvalid.because("no state of that digest"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::digest;
    use super::*;

    #[test]
    fn a_restored_digest_goes_on() {
        let message: Vec<u8> = (0..300u32).map(|i| (i * 5) as u8).collect();
        for hash in Hash::ALL {
            for taken in [0, 1, 63, 64, 65, 127, 128, 129, 300] {
                let mut context = Context::new(hash).unwrap();
                context.update(&message[..taken]);
                let Some(state) = context.save() else {
                    assert!(format!("{hash:?}").starts_with("Sha3_"), "{hash:?}");
                    assert!(Context::restore(hash, &[0; 40]).is_err());
                    continue;
                };
                let mut again = Context::restore(hash, &state).unwrap();
                again.update(&message[taken..]);
                assert_eq!(*again.finish(), *digest(hash, &message), "{hash:?} after {taken}");
                for len in 0..state.len() {
                    assert!(Context::restore(hash, &state[..len]).is_err(), "{hash:?} {taken} cut to {len}");
                }
                assert!(Context::restore(hash, &[&state[..], &[0]].concat()).is_err());
            }
        }
    }
}
