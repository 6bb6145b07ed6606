//! What the storage seals with: AES-256-GCM, HMAC-SHA256, PBKDF2, ML-KEM-1024, random bytes.
//!
//! Fixed algorithms with fixed lengths, apart from the mechanisms, so that no configuration of those can
//! weaken what lies on disk.

mod hmac;

pub use super::random::{array as random_array, fill as random};
pub use super::status::equal as same;
use super::{Direction, InOut, Secret, wipe};
use crate::error::{Result, Rv};
use crate::kernel::aes::gcm_once;
use aws_lc_sys::*;
pub use hmac::{Hmac, Messages};
use std::mem::MaybeUninit;
use std::ptr::null_mut;

/// Bytes of an AES-256 or HMAC key, and of an HMAC-SHA256 tag.
pub const KEY: usize = 32;
/// Bytes of a GCM nonce.
pub const NONCE: usize = 12;
/// Bytes that sealing adds.
pub const TAG: usize = 16;
/// Bytes of an ML-KEM-1024 seed (FIPS 203: d and z), public key and ciphertext.
pub const KEM_SEED: usize = 64;
/// See [`KEM_SEED`].
pub const KEM_PUBLIC: usize = 1568;
/// See [`KEM_SEED`].
pub const KEM_CIPHERTEXT: usize = 1568;

fn check(ok: i32, what: &'static str) -> Result<()> {
    if ok == 1 { Ok(()) } else { Err(Rv::GeneralError.because(what)) }
}

/// A fresh random key of [`KEY`] bytes.
pub fn random_key() -> Secret {
    let mut key = Secret::zeroed(KEY);
    random(key.expose_mut());
    key
}

/// SHA-256 over the concatenation of `parts`.
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = MaybeUninit::uninit();
    let mut out = [0; 32];
    // SAFETY: the context is initialised first; every part is valid for its length.
    unsafe {
        SHA256_Init(context.as_mut_ptr());
        for part in parts {
            SHA256_Update(context.as_mut_ptr(), part.as_ptr().cast(), part.len());
        }
        SHA256_Final(out.as_mut_ptr(), context.as_mut_ptr());
    }
    out
}

/// PBKDF2 with HMAC-SHA256 (SP 800-132): fills `out`.
pub fn pbkdf2(password: &[u8], salt: &[u8], iterations: u32, out: &mut [u8]) -> Result<()> {
    // SAFETY: all three are valid for their lengths; the digest is a static.
    let ok = unsafe {
        PKCS5_PBKDF2_HMAC(
            password.as_ptr().cast(),
            password.len(),
            salt.as_ptr(),
            salt.len(),
            iterations,
            EVP_sha256(),
            out.len(),
            out.as_mut_ptr(),
        )
    };
    check(ok, "PBKDF2 failed")
}

/// What `work` gives with an AES-256-GCM key schedule, which lies on the stack and is wiped.
///
/// # Errors
/// CKR_GENERAL_ERROR if AWS-LC does not take the key.
fn with_gcm<R>(key: &[u8], work: impl FnOnce(&EVP_AEAD_CTX) -> R) -> Result<R> {
    let mut context = MaybeUninit::<EVP_AEAD_CTX>::uninit();
    // SAFETY: initialised on success, and only then taken as such; the key is valid for its length. After the clean-up it
    // is plain memory of which every byte may be written.
    unsafe {
        let aead = EVP_aead_aes_256_gcm();
        let ok = EVP_AEAD_CTX_init(context.as_mut_ptr(), aead, key.as_ptr(), key.len(), TAG, null_mut());
        let done = match ok {
            1 => Some(work(context.assume_init_ref())),
            _ => None,
        };
        if done.is_some() {
            EVP_AEAD_CTX_cleanup(context.as_mut_ptr());
        }
        OPENSSL_cleanse(context.as_mut_ptr().cast(), size_of::<EVP_AEAD_CTX>());
        done.ok_or_else(|| Rv::GeneralError.because("an AES-256-GCM key has 32 bytes"))
    }
}

/// Encrypts or decrypts by the kernel, which gives the tag; `None` where there is none. Every key seals a message or few.
fn by_kernel(
    key: &[u8],
    direction: Direction,
    nonce: &[u8; NONCE],
    aad: &[u8],
    io: InOut<'_>,
) -> Option<[u8; TAG]> {
    gcm_once(key.try_into().ok()?, direction, nonce, aad, io)
}

/// AES-256-GCM: the ciphertext of `plain` followed by its tag. A nonce must never repeat under one key.
pub fn seal(key: &Secret, nonce: &[u8; NONCE], aad: &[u8], plain: &[u8]) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(plain.len() + TAG);
    seal_onto(&mut out, key, nonce, aad, plain)?;
    Ok(out)
}

/// The same behind what is in `to` already.
pub fn seal_onto(
    to: &mut Vec<u8>,
    key: &Secret,
    nonce: &[u8; NONCE],
    aad: &[u8],
    plain: &[u8],
) -> Result<()> {
    let before = to.len();
    to.resize(before + plain.len() + TAG, 0);
    let out = &mut to[before..];
    let (ciphertext, end) = out.split_at_mut(plain.len());
    if let Some(tag) = by_kernel(key.expose(), Direction::Encrypt, nonce, aad, InOut::new(plain, ciphertext))
    {
        end.copy_from_slice(&tag);
        return Ok(());
    }
    let mut written = 0;
    // SAFETY: every pointer is valid for the length beside it.
    let ok = with_gcm(key.expose(), |gcm| unsafe {
        EVP_AEAD_CTX_seal(
            gcm,
            out.as_mut_ptr(),
            &mut written,
            out.len(),
            nonce.as_ptr(),
            NONCE,
            plain.as_ptr(),
            plain.len(),
            aad.as_ptr(),
            aad.len(),
        )
    })?;
    check(ok, "sealing failed")
}

/// Opens what [`seal`] sealed into `out`, which is shorter by [`TAG`]. False, and zeros, if a bit of it, of the nonce or of
/// `aad` is another, or the key is.
#[must_use]
pub fn open_to(key: &[u8], nonce: &[u8; NONCE], aad: &[u8], sealed: &[u8], out: &mut [u8]) -> bool {
    let Some((ciphertext, tag)) = sealed.split_last_chunk::<TAG>() else { return false };
    if ciphertext.len() != out.len() {
        return false;
    }
    if let Some(right) = by_kernel(key, Direction::Decrypt, nonce, aad, InOut::new(ciphertext, out)) {
        let opened = same(&right, tag);
        if !opened {
            wipe(out);
        }
        return opened;
    }
    let mut written = 0;
    // SAFETY: every pointer is valid for the length beside it.
    let opened = with_gcm(key, |gcm| unsafe {
        EVP_AEAD_CTX_open(
            gcm,
            out.as_mut_ptr(),
            &mut written,
            out.len(),
            nonce.as_ptr(),
            NONCE,
            sealed.as_ptr(),
            sealed.len(),
            aad.as_ptr(),
            aad.len(),
        )
    });
    if opened.is_ok_and(|ok| ok == 1) && written == out.len() {
        return true;
    }
    // SAFETY: clears this thread's queue of errors; the answer is all that is told.
    unsafe { ERR_clear_error() };
    wipe(out);
    false
}

/// What [`seal`] sealed; nothing if a bit of it, of the nonce or of `aad` is another, or the key is.
pub fn open(key: &Secret, nonce: &[u8; NONCE], aad: &[u8], sealed: &[u8]) -> Option<Secret> {
    let mut out = Secret::zeroed(sealed.len().checked_sub(TAG)?);
    open_to(key.expose(), nonce, aad, sealed, out.expose_mut()).then_some(out)
}

struct Pkey(*mut EVP_PKEY);

impl Drop for Pkey {
    fn drop(&mut self) {
        // SAFETY: owned, freed once.
        unsafe { EVP_PKEY_free(self.0) }
    }
}

struct PkeyContext(*mut EVP_PKEY_CTX);

impl PkeyContext {
    fn new(key: &Pkey) -> Result<PkeyContext> {
        // SAFETY: the key is valid; the context takes its own reference.
        let context = unsafe { EVP_PKEY_CTX_new(key.0, null_mut()) };
        if context.is_null() { Err(Rv::HostMemory.into()) } else { Ok(PkeyContext(context)) }
    }
}

impl Drop for PkeyContext {
    fn drop(&mut self) {
        // SAFETY: owned, freed once.
        unsafe { EVP_PKEY_CTX_free(self.0) }
    }
}

/// An ML-KEM-1024 key pair (FIPS 203).
pub struct KemPair(Pkey);

// SAFETY: the key is not changed after `from_seed`, and AWS-LC counts references to it atomically.
unsafe impl Send for KemPair {}
// SAFETY: as above.
unsafe impl Sync for KemPair {}

impl KemPair {
    /// The pair that `seed` ([`KEM_SEED`] bytes) makes.
    pub fn from_seed(seed: &Secret) -> Result<KemPair> {
        let mut key = null_mut();
        let mut len = seed.len();
        // SAFETY: the context is owned; the seed is valid for `len`, which AWS-LC checks.
        unsafe {
            let context = PkeyContext(EVP_PKEY_CTX_new_id(EVP_PKEY_KEM, null_mut()));
            check(EVP_PKEY_CTX_kem_set_params(context.0, NID_MLKEM1024), "ML-KEM-1024 is missing")?;
            check(EVP_PKEY_keygen_init(context.0), "ML-KEM key generation")?;
            let ok = EVP_PKEY_keygen_deterministic(context.0, &mut key, seed.expose().as_ptr(), &mut len);
            check(ok, "an ML-KEM-1024 seed has 64 bytes")?;
        }
        Ok(KemPair(Pkey(key)))
    }

    /// The public key, [`KEM_PUBLIC`] bytes.
    pub fn public(&self) -> Result<Vec<u8>> {
        let mut out = vec![0; KEM_PUBLIC];
        let mut len = out.len();
        // SAFETY: `out` is valid for `len`.
        let ok = unsafe { EVP_PKEY_get_raw_public_key(self.0.0, out.as_mut_ptr(), &mut len) };
        check(ok, "ML-KEM public key")?;
        Ok(out)
    }

    /// The shared secret ([`KEY`] bytes) in `ciphertext`; one that fits nothing if it was tampered with.
    pub fn decapsulate(&self, ciphertext: &[u8]) -> Result<Secret> {
        let context = PkeyContext::new(&self.0)?;
        let mut shared = Secret::zeroed(KEY);
        let mut len = KEY;
        // SAFETY: both are valid for their lengths, which AWS-LC checks.
        let ok = unsafe {
            let out = shared.expose_mut().as_mut_ptr();
            EVP_PKEY_decapsulate(context.0, out, &mut len, ciphertext.as_ptr(), ciphertext.len())
        };
        check(ok, "an ML-KEM-1024 ciphertext has 1568 bytes")?;
        Ok(shared)
    }
}

/// A ciphertext ([`KEM_CIPHERTEXT`] bytes) for the holder of `public`, and the secret shared by it.
pub fn encapsulate(public: &[u8]) -> Result<(Vec<u8>, Secret)> {
    // SAFETY: `public` is valid for its length, which AWS-LC checks.
    let key = unsafe { EVP_PKEY_kem_new_raw_public_key(NID_MLKEM1024, public.as_ptr(), public.len()) };
    if key.is_null() {
        return Err(Rv::PublicKeyInvalid.because("not an ML-KEM-1024 public key"));
    }
    let context = PkeyContext::new(&Pkey(key))?;
    let (mut ciphertext, mut shared) = (vec![0; KEM_CIPHERTEXT], Secret::zeroed(KEY));
    let (mut len, mut shared_len) = (KEM_CIPHERTEXT, KEY);
    let _drawing = super::random::drawing();
    // SAFETY: both are valid for their lengths.
    let ok = unsafe {
        let out = shared.expose_mut().as_mut_ptr();
        EVP_PKEY_encapsulate(context.0, ciphertext.as_mut_ptr(), &mut len, out, &mut shared_len)
    };
    check(ok, "ML-KEM encapsulation failed")?;
    Ok((ciphertext, shared))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::cpu;

    #[test]
    fn sealed_opens_with_the_same_everything_only() {
        let (key, nonce) = (random_key(), random_array());
        let sealed = seal(&key, &nonce, b"aad", b"plain").unwrap();
        assert_eq!(open(&key, &nonce, b"aad", &sealed).unwrap().expose(), b"plain");
        assert!(open(&key, &nonce, b"aae", &sealed).is_none());
        assert!(open(&random_key(), &nonce, b"aad", &sealed).is_none());
        assert!(open(&key, &random_array(), b"aad", &sealed).is_none());
        assert!(open(&key, &nonce, b"aad", &sealed[..TAG - 1]).is_none());
        for bit in 0..sealed.len() * 8 {
            let mut bad = sealed.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(open(&key, &nonce, b"aad", &bad).is_none());
        }
    }

    /// Every length around blocks, registers and passes, beside the record's and longer ones, by the kernel's ways and
    /// by AWS-LC.
    #[test]
    fn the_kernel_and_aws_lc_agree() {
        let key = random_key();
        let mut bytes = vec![0; 3000];
        random(&mut bytes);
        let lengths =
            || (0..70).chain([79, 80, 81, 127, 128, 255, 256, 511, 512, 513, 544, 560, 561, 577, 1500]);
        for (len, aad_len) in lengths().map(|len| (len, 81)).chain(lengths().map(|len| (len * 7 % 600, len)))
        {
            let (plain, aad) = (&bytes[..len], &bytes[1000..1000 + aad_len]);
            let nonce = random_array();
            let by_aws_lc = cpu::without(&["vaes"], || seal(&key, &nonce, aad, plain).unwrap());
            for without in [&[][..], &["avx512"], &["vaes"]] {
                cpu::without(without, || {
                    let sealed = seal(&key, &nonce, aad, plain).unwrap();
                    assert_eq!(sealed, by_aws_lc, "{len} bytes, {aad_len} beside, without {without:?}");
                    assert_eq!(open(&key, &nonce, aad, &sealed).unwrap().expose(), plain);
                    let mut out = vec![7; len];
                    let mut forged = sealed;
                    forged[len] ^= 1;
                    assert!(!open_to(key.expose(), &nonce, aad, &forged, &mut out));
                    assert!(out.iter().all(|byte| *byte == 0));
                });
            }
        }
    }

    #[test]
    fn pbkdf2_answers_rfc_7914() {
        let mut out = [0; 64];
        pbkdf2(b"passwd", b"salt", 1, &mut out).unwrap();
        assert_eq!(
            hex::encode(out),
            "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc\
             49ca9cccf179b645991664b39d77ef317c71b845b1e30bd509112041d3a19783"
        );
    }

    #[test]
    fn kem_shares_a_secret() {
        let mut seed = Secret::zeroed(KEM_SEED);
        random(seed.expose_mut());
        let pair = KemPair::from_seed(&seed).unwrap();
        let again = KemPair::from_seed(&seed).unwrap();
        let (ciphertext, shared) = encapsulate(&pair.public().unwrap()).unwrap();
        assert!(same(again.decapsulate(&ciphertext).unwrap().expose(), shared.expose()));
        assert!(KemPair::from_seed(&Secret::zeroed(63)).is_err());
        assert!(pair.decapsulate(&ciphertext[1..]).is_err());
        assert!(encapsulate(&[0; 7]).is_err());
    }
}
