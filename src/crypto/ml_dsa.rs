//! ML-DSA and HashML-DSA (FIPS 204). AWS-LC signs with fresh randomness only, so there is no deterministic form.
//!
//! Every signature is made over mu, the digest that binds public key, context and message: so a message may
//! come in parts, and HashML-DSA is the same with another front.

use super::owned::Owned;
use super::random::drawing;
use super::seeded::*;
use super::status::ok;
use super::{Hash, Secret, equal};
use crate::error::Result;
use aws_lc_sys as ffi;
use std::ops::Deref;
use std::ptr;

/// Bytes of mu.
pub const MU_LEN: usize = 64;

/// Most bytes of context.
pub const MAX_CONTEXT: usize = 255;

/// FIPS 204, table 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum ParameterSet {
    MlDsa44,
    MlDsa65,
    MlDsa87,
}

impl ParameterSet {
    /// Every one of them.
    pub const ALL: [ParameterSet; 3] = [ParameterSet::MlDsa44, ParameterSet::MlDsa65, ParameterSet::MlDsa87];

    /// Bytes of a signature.
    pub fn signature_len(self) -> usize {
        self.row().output_len
    }
}

impl Parameters for ParameterSet {
    fn row(self) -> &'static Row {
        match self {
            ParameterSet::MlDsa44 => &Row {
                oid: b"\x60\x86\x48\x01\x65\x03\x04\x03\x11",
                public_len: 1312,
                private_len: 2560,
                output_len: 2420,
                nid: ffi::NID_MLDSA44,
            },
            ParameterSet::MlDsa65 => &Row {
                oid: b"\x60\x86\x48\x01\x65\x03\x04\x03\x12",
                public_len: 1952,
                private_len: 4032,
                output_len: 3309,
                nid: ffi::NID_MLDSA65,
            },
            ParameterSet::MlDsa87 => &Row {
                oid: b"\x60\x86\x48\x01\x65\x03\x04\x03\x13",
                public_len: 2592,
                private_len: 4896,
                output_len: 4627,
                nid: ffi::NID_MLDSA87,
            },
        }
    }
}

/// A public key.
pub struct PublicKey {
    set: ParameterSet,
    key: Owned<ffi::EVP_PKEY>,
    /// SHAKE256 of the public key, which every mu begins with.
    tr: [u8; 64],
}

// SAFETY: the key is only read after construction.
unsafe impl Sync for PublicKey {}

impl Public for PublicKey {
    type Set = ParameterSet;

    /// Every string of the right length is one.
    fn new(set: ParameterSet, bytes: &[u8]) -> Result<PublicKey> {
        check_public_len(set, bytes)?;
        // SAFETY: valid for its length; the result is owned by us.
        let key = unsafe {
            Owned::new(ffi::EVP_PKEY_pqdsa_new_raw_public_key(set.row().nid, bytes.as_ptr(), bytes.len()))?
        };
        PublicKey::finish(set, key)
    }

    fn set(&self) -> ParameterSet {
        self.set
    }

    fn bytes(&self) -> Vec<u8> {
        public_bytes(self.set, &self.key)
    }
}

impl PublicKey {
    fn finish(set: ParameterSet, key: Owned<ffi::EVP_PKEY>) -> Result<PublicKey> {
        let mut this = PublicKey { set, key, tr: [0; 64] };
        let mut shake = Shake256::new()?;
        shake.update(&this.bytes());
        shake.finish(&mut this.tr);
        Ok(this)
    }

    /// Begins a mu for ML-DSA, under a context of at most 255 bytes.
    pub fn mu(&self, context: &[u8]) -> Result<Mu> {
        Mu::new(&self.tr, 0, context)
    }

    /// The mu for HashML-DSA of a digest.
    pub fn prehash_mu(&self, context: &[u8], hash: Hash, digest: &[u8]) -> Result<[u8; MU_LEN]> {
        let mut mu = Mu::new(&self.tr, 1, context)?;
        mu.update(&[6, 9, 0x60, 0x86, 0x48, 0x01, 0x65, 3, 4, 2, nist_arc(hash)?]);
        mu.update(digest);
        Ok(mu.finish())
    }

    /// Whether `signature` is that of a mu.
    pub fn verify(&self, mu: &[u8; MU_LEN], signature: &[u8]) -> Result<bool> {
        // SAFETY: the context lives through the calls; the buffers are valid for their lengths.
        unsafe {
            let context = Owned::new(ffi::EVP_PKEY_CTX_new(self.key.as_ptr(), ptr::null_mut()))?;
            let context = context.as_ptr();
            ok(ffi::EVP_PKEY_verify_init(context), "EVP_PKEY_verify_init")?;
            let (signature, len) = (signature.as_ptr(), signature.len());
            Ok(ffi::EVP_PKEY_verify(context, signature, len, mu.as_ptr(), mu.len()) == 1)
        }
    }
}

/// The last arc of a hash's identifier under 2.16.840.1.101.3.4.2.
fn nist_arc(hash: Hash) -> Result<u8> {
    Ok(match hash {
        Hash::Sha256 => 1,
        Hash::Sha384 => 2,
        Hash::Sha512 => 3,
        Hash::Sha224 => 4,
        Hash::Sha512_224 => 5,
        Hash::Sha512_256 => 6,
        Hash::Sha3_224 => 7,
        Hash::Sha3_256 => 8,
        Hash::Sha3_384 => 9,
        Hash::Sha3_512 => 10,
        Hash::Sha1 => fail!(MechanismParamInvalid, "HashML-DSA does not take SHA-1"),
    })
}

/// A private key with its public key.
pub struct PrivateKey(PublicKey);

impl Deref for PrivateKey {
    type Target = PublicKey;
    fn deref(&self) -> &PublicKey {
        &self.0
    }
}

impl Private for PrivateKey {
    const SEED_LEN: usize = 32;

    fn from_seed(set: ParameterSet, seed: &[u8]) -> Result<PrivateKey> {
        check_seed_len::<PrivateKey>(set, seed)?;
        PrivateKey::from_bytes(set, seed)
    }

    /// The expanded form is sk of FIPS 204.
    fn from_expanded(set: ParameterSet, expanded: &[u8]) -> Result<PrivateKey> {
        check_private_len(set, expanded)?;
        let key = PrivateKey::from_bytes(set, expanded)?;
        // sk is rho (32), K (32), tr (64) and the rest.
        if !equal(&key.tr, &expanded[64..128]) {
            fail!(AttributeValueInvalid, "CKA_VALUE: the private key names another public key");
        }
        Ok(key)
    }

    fn seed(&self) -> Option<Secret> {
        seed::<PrivateKey>(&self.key)
    }

    fn expanded(&self) -> Secret {
        private_bytes(self.set, &self.key)
    }
}

impl PrivateKey {
    /// AWS-LC tells the two forms apart by their lengths.
    fn from_bytes(set: ParameterSet, bytes: &[u8]) -> Result<PrivateKey> {
        // SAFETY: valid for its length; the result is owned by us.
        let key = unsafe {
            Owned::some(ffi::EVP_PKEY_pqdsa_new_raw_private_key(set.row().nid, bytes.as_ptr(), bytes.len()))
        };
        match key {
            Some(key) => Ok(PrivateKey(PublicKey::finish(set, key)?)),
            None => fail!(AttributeValueInvalid, "CKA_VALUE: not a private key of {set:?}"),
        }
    }

    /// The signature of a mu. `out` has `set().signature_len()` bytes.
    pub fn sign(&self, mu: &[u8; MU_LEN], out: &mut [u8]) -> Result<()> {
        let mut len = out.len();
        let _drawing = drawing();
        // SAFETY: the context lives through the calls; the buffers are valid for their lengths.
        unsafe {
            let context = Owned::new(ffi::EVP_PKEY_CTX_new(self.key.as_ptr(), ptr::null_mut()))?;
            let context = context.as_ptr();
            ok(ffi::EVP_PKEY_sign_init(context), "EVP_PKEY_sign_init")?;
            ok(
                ffi::EVP_PKEY_sign(context, out.as_mut_ptr(), &mut len, mu.as_ptr(), mu.len()),
                "EVP_PKEY_sign",
            )
        }
    }
}

/// A mu whose message is still coming (FIPS 204, algorithm 7, line 6).
pub struct Mu(Shake256);

impl Mu {
    fn new(tr: &[u8; 64], domain: u8, context: &[u8]) -> Result<Mu> {
        let Ok(len) = u8::try_from(context.len()) else {
            fail!(MechanismParamInvalid, "the context is longer than 255 bytes");
        };
        let mut shake = Shake256::new()?;
        shake.update(tr);
        shake.update(&[domain, len]);
        shake.update(context);
        Ok(Mu(shake))
    }

    /// Takes more of the message.
    pub fn update(&mut self, message: &[u8]) {
        self.0.update(message)
    }

    /// The mu of all that was taken.
    pub fn finish(self) -> [u8; MU_LEN] {
        let mut mu = [0; MU_LEN];
        self.0.finish(&mut mu);
        mu
    }
}

struct Shake256(Owned<ffi::EVP_MD_CTX>);

impl Shake256 {
    fn new() -> Result<Shake256> {
        // SAFETY: a new object, owned by us.
        unsafe {
            let context = Owned::new(ffi::EVP_MD_CTX_new())?;
            let answer = ffi::EVP_DigestInit_ex(context.as_ptr(), ffi::EVP_shake256(), ptr::null_mut());
            ok(answer, "EVP_DigestInit_ex")?;
            Ok(Shake256(context))
        }
    }

    fn update(&mut self, data: &[u8]) {
        // SAFETY: an initialised context; it cannot fail in this state.
        unsafe { ffi::EVP_DigestUpdate(self.0.as_ptr(), data.as_ptr().cast(), data.len()) };
    }

    fn finish(self, out: &mut [u8]) {
        // SAFETY: an initialised context; it cannot fail in this state.
        unsafe { ffi::EVP_DigestFinalXOF(self.0.as_ptr(), out.as_mut_ptr(), out.len()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_round_trip_and_sign() {
        for set in ParameterSet::ALL {
            let key = PrivateKey::generate(set).unwrap();
            let from_seed = PrivateKey::from_seed(set, key.seed().unwrap().expose()).unwrap();
            let expanded = PrivateKey::from_expanded(set, key.expanded().expose()).unwrap();
            assert!(expanded.seed().is_none());
            assert_eq!(from_seed.bytes(), key.bytes());
            let public = PublicKey::new(set, &expanded.bytes()).unwrap();
            let mut mu = key.mu(b"context").unwrap();
            mu.update(b"mess");
            mu.update(b"age");
            let mu = mu.finish();
            let mut signature = vec![0; set.signature_len()];
            expanded.sign(&mu, &mut signature).unwrap();
            assert!(public.verify(&mu, &signature).unwrap());
            let prehashed = public.prehash_mu(b"context", Hash::Sha256, &[7; 32]).unwrap();
            assert!(!public.verify(&prehashed, &signature).unwrap());
            assert!(!public.verify(&mu, &signature[1..]).unwrap());
        }
    }

    #[test]
    fn a_private_key_of_another_public_key_is_refused() {
        let set = ParameterSet::MlDsa44;
        let mut expanded = PrivateKey::generate(set).unwrap().expanded();
        expanded.expose_mut()[64] ^= 1;
        assert!(PrivateKey::from_expanded(set, expanded.expose()).is_err());
        assert!(PrivateKey::from_expanded(set, &[0xff; 2560]).is_err());
    }
}
