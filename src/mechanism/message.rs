//! Many messages under one key: the interface to a mechanism (sections 5.9 and 5.11), and the IVs of those
//! messages.

use super::params::{Generator, Message};
use crate::crypto::{Direction, InOut, random};
use crate::error::Result;
use crate::object::Object;

/// C_MessageEncryptInit, C_MessageDecryptInit: an AEAD whose ciphertext is as long as its plaintext and whose tag
/// stands apart.
pub trait MessageCipher: Sync {
    /// A message in one piece. `io` has room for as many bytes as it has input. The IV, where `ivs` makes it, and
    /// the tag of an encryption are written back.
    ///
    /// # Errors
    /// CKR_MECHANISM_PARAM_INVALID, CKR_DATA_LEN_RANGE; CKR_AEAD_DECRYPT_FAILED, and the output is zeros.
    fn whole(
        &self,
        way: Direction,
        key: &Object,
        message: Message,
        aad: &[u8],
        ivs: &mut Ivs,
        io: InOut<'_>,
    ) -> Result<()>;

    /// Begins a message in parts, and writes the IV back where `ivs` makes it.
    ///
    /// # Errors
    /// CKR_MECHANISM_PARAM_INVALID.
    fn begin(
        &self,
        way: Direction,
        key: &Object,
        message: Message,
        aad: Vec<u8>,
        ivs: &mut Ivs,
    ) -> Result<Box<dyn MessageState>>;
}

/// A message that comes in parts.
pub trait MessageState: Send {
    /// Bytes that a part of `input` bytes gives.
    fn output_len(&self, input: usize, last: bool) -> usize;

    /// Takes a part that is not the last. `io` has room for `output_len` bytes.
    ///
    /// # Errors
    /// CKR_DATA_LEN_RANGE, CKR_HOST_MEMORY; the message is over then.
    fn part(&mut self, key: &Object, io: InOut<'_>) -> Result<()>;

    /// Takes the last part. The tag of an encryption is written back into `message`, that of a decryption is there.
    ///
    /// # Errors
    /// As `part`; CKR_MECHANISM_PARAM_INVALID; CKR_AEAD_DECRYPT_FAILED, and the output is zeros.
    fn last(&mut self, key: &Object, message: Message, io: InOut<'_>) -> Result<()>;
}

/// The least bits of an IV that may be left to chance (SP 800-38D, section 8.2.2).
const LEAST_RANDOM: usize = 96;

/// The least bits of an IV to count in.
const LEAST_COUNTER: usize = 32;

/// The IVs made for one sequence of messages.
pub struct Ivs {
    made: u64,
    /// Where CKG_GENERATE begins to count. CKG_GENERATE_COUNTER begins with zero.
    start: u64,
}

impl Ivs {
    /// None made yet.
    pub fn begin() -> Ivs {
        Ivs { made: 0, start: u64::from_ne_bytes(random::array()) }
    }

    /// Makes the IV of a message that is to be encrypted, unless the caller does, and gives it to the caller.
    ///
    /// # Errors
    /// CKR_MECHANISM_PARAM_INVALID if the fixed bits leave too few to vary, or no counter that was not used.
    pub fn make(&mut self, message: &mut Message) -> Result<()> {
        if message.generator == Generator::Caller {
            return Ok(());
        }
        let Some(free) = (8 * message.iv.len()).checked_sub(message.fixed_bits) else {
            fail!(MechanismParamInvalid, "ulIvFixedBits: more bits than the IV has");
        };
        let mut fresh = vec![0; message.iv.len()];
        match message.generator {
            Generator::Random | Generator::Any if free >= LEAST_RANDOM => random::fill(&mut fresh),
            Generator::Random => {
                fail!(MechanismParamInvalid, "ulIvFixedBits: {free} random bits would soon come again")
            }
            Generator::Unknown => fail!(MechanismParamInvalid, "ivGenerator: not offered"),
            generator => {
                let number = self.next(generator, free)?.to_le_bytes();
                fresh.iter_mut().rev().zip(number).for_each(|(byte, digit)| *byte = digit);
            }
        }
        for (at, (byte, fresh)) in message.iv.iter_mut().zip(fresh).enumerate() {
            let fixed = message.fixed_bits.saturating_sub(8 * at).min(8);
            let mask = (0xFF_u32 >> fixed) as u8;
            *byte = *byte & !mask | fresh & mask;
        }
        message.iv_sink.write(&message.iv);
        Ok(())
    }

    /// As [`Ivs::make`], of a message that has no sequence to be counted in: a wrapped key.
    ///
    /// # Errors
    /// CKR_MECHANISM_PARAM_INVALID also for CKG_GENERATE_COUNTER, which would give the same IV each time.
    pub fn make_alone(message: &mut Message) -> Result<()> {
        match message.generator {
            Generator::Caller => return Ok(()),
            Generator::Any | Generator::Random => message.generator = Generator::Random,
            Generator::Counter => {
                fail!(MechanismParamInvalid, "ivGenerator: nothing counts wrapped keys")
            }
            Generator::Unknown => {}
        }
        Ivs::begin().make(message)
    }

    fn next(&mut self, generator: Generator, free: usize) -> Result<u64> {
        let left = if free < 64 { self.made >> free == 0 } else { self.made != u64::MAX };
        if free < LEAST_COUNTER || !left {
            fail!(MechanismParamInvalid, "ulIvFixedBits: no counter is left in {free} bits");
        }
        let start = if generator == Generator::Counter { 0 } else { self.start };
        let next = start.wrapping_add(self.made);
        self.made += 1;
        Ok(next)
    }
}

#[cfg(test)]
mod tests {
    use super::super::params::Sink;
    use super::*;
    use std::collections::HashSet;

    fn message(len: usize, fixed_bits: usize, generator: Generator) -> Message {
        let iv_sink = Sink::new(|_| ());
        Message { iv: vec![0xA5; len], fixed_bits, generator, iv_sink, tag_len: 16, tag: None }
    }

    #[test]
    fn fixed_bits_stay_and_the_rest_never_comes_again() {
        for (generator, fixed) in
            [(Generator::Any, 0), (Generator::Any, 35), (Generator::Counter, 61), (Generator::Random, 0)]
        {
            let (mut ivs, mut seen) = (Ivs::begin(), HashSet::new());
            for number in 0..300u32 {
                let mut message = message(12, fixed, generator);
                ivs.make(&mut message).unwrap();
                let bit = |at: usize| message.iv[at / 8] >> (7 - at % 8) & 1;
                assert!((0..fixed).all(|at| bit(at) == 0xA5 >> (7 - at % 8) & 1), "{generator:?} {fixed}");
                if generator == Generator::Counter {
                    assert_eq!(message.iv[8..], number.to_be_bytes());
                }
                assert!(seen.insert(message.iv), "{generator:?} {fixed}");
            }
        }
    }

    #[test]
    fn too_few_free_bits_are_refused() {
        for (generator, len, fixed) in [
            (Generator::Random, 12, 1),
            (Generator::Any, 12, 65),
            (Generator::Any, 3, 0),
            (Generator::Counter, 12, 96),
            (Generator::Counter, 12, 97),
            (Generator::Any, 12, usize::MAX),
        ] {
            assert!(Ivs::begin().make(&mut message(len, fixed, generator)).is_err(), "{generator:?} {fixed}");
        }
        let mut ivs = Ivs { made: 1 << 32, start: 7 };
        assert!(ivs.make(&mut message(12, 64, Generator::Any)).is_err());
        assert!(ivs.make(&mut message(12, 63, Generator::Any)).is_ok());
        assert!(Ivs::make_alone(&mut message(12, 0, Generator::Counter)).is_err());
        assert!(Ivs::make_alone(&mut message(12, 8, Generator::Any)).is_err());
        assert!(Ivs::make_alone(&mut message(12, 0, Generator::Any)).is_ok());
    }
}
