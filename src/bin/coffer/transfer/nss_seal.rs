//! What NSS encrypts and authenticates in its databases: EncryptedDataInfo, an algorithm and the bytes.
//!
//! Everything hangs on one secret, the SHA-1 of a salt and the password. From it PBKDF2 makes a key of its own for each
//! attribute, for AES-256-CBC (PBES2) and beside it for HMAC-SHA256 (PBMAC1). Versions before 3.49 used triple DES, and
//! nothing beside it.

use super::store::unpadded;
use coffer_pkcs11::crypto::encoding::{Reader, tag};
use coffer_pkcs11::crypto::{Direction, Hash, InOut, aes, des, digest, hmac, seal};
use zeroize::{Zeroize, Zeroizing};

/// The secret made of a password.
pub struct Password(Zeroizing<[u8; 20]>);

impl Password {
    /// With the salt of the database.
    pub fn new(salt: &[u8], password: &str) -> Password {
        let mut hash = digest::digest(Hash::Sha1, &Zeroizing::new([salt, password.as_bytes()].concat()));
        let mut secret = Zeroizing::new([0; 20]);
        secret.copy_from_slice(&hash);
        hash.zeroize();
        Password(secret)
    }
}

const PBES2: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0d";
const PBMAC1: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0e";
const PBKDF2: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0c";
const HMAC_SHA256: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x02\x09";
const AES_256_CBC: &[u8] = b"\x60\x86\x48\x01\x65\x03\x04\x01\x2a";
/// pbeWithSHA1AndTripleDES-CBC of PKCS#12, by whose name NSS calls a key derivation of its own.
const SHA1_AND_DES3: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x05\x01\x03";

/// NSS's own is 10,000 and can be set; a number beyond this one is there to keep a reader busy.
const MOST_ITERATIONS: u32 = 10_000_000;

const MALFORMED: &str = "malformed";

/// The algorithm's object identifier, its parameters, and the bytes.
fn parts(info: &[u8]) -> Option<(&[u8], Reader<'_>, &[u8])> {
    let mut outer = Reader::new(info);
    let mut fields = outer.enter(tag::SEQUENCE)?;
    outer.end()?;
    let mut algorithm = fields.enter(tag::SEQUENCE)?;
    let oid = algorithm.read(tag::OID)?;
    let parameters = algorithm.enter(tag::SEQUENCE)?;
    let bytes = fields.read(tag::OCTET_STRING)?;
    fields.end()?;
    Some((oid, parameters, bytes))
}

/// Whether it is of the kind that has an authentication beside it.
pub fn is_authenticated(info: &[u8]) -> bool {
    parts(info).is_some_and(|(oid, ..)| oid == PBES2)
}

/// The plaintext.
///
/// # Errors
/// A few words: malformed, of another algorithm, or not to be opened by this password.
pub fn open(password: &Password, info: &[u8]) -> Result<Zeroizing<Vec<u8>>, &'static str> {
    let (oid, mut parameters, bytes) = parts(info).ok_or(MALFORMED)?;
    let mut plain = Zeroizing::new(bytes.to_vec());
    let block = match oid {
        PBES2 => {
            let key = derived(password, &mut parameters)?;
            let mut scheme = parameters.enter(tag::SEQUENCE).ok_or(MALFORMED)?;
            if scheme.read(tag::OID) != Some(AES_256_CBC) {
                return Err("of an algorithm other than AES-256-CBC");
            }
            // NSS's IV is the whole OCTET STRING with its tag and length where those make up 16 bytes.
            let whole = scheme.encoded().ok_or(MALFORMED)?;
            let iv = whole.strip_prefix(&[tag::OCTET_STRING, 16]).unwrap_or(whole);
            let mut iv = <[u8; 16]>::try_from(iv).map_err(|_| MALFORMED)?;
            let key = aes::Key::new(&key[..]).map_err(|_| MALFORMED)?;
            whole_blocks(bytes, 16)?;
            key.cbc(Direction::Decrypt, &mut iv, InOut::in_place(&mut plain, bytes.len()));
            16
        }
        SHA1_AND_DES3 => {
            let salt = parameters.read(tag::OCTET_STRING).ok_or(MALFORMED)?;
            let derived = legacy(password, salt);
            let (key, iv) = derived.split_at(24);
            let key = des::Key::new(key).map_err(|_| MALFORMED)?;
            let mut iv = <[u8; 8]>::try_from(&iv[8..]).map_err(|_| MALFORMED)?;
            whole_blocks(bytes, 8)?;
            key.cbc(Direction::Decrypt, &mut iv, InOut::in_place(&mut plain, bytes.len()));
            8
        }
        _ => return Err("encrypted by an algorithm that is not supported"),
    };
    unpadded(plain, block).ok_or("not to be opened by this password")
}

fn whole_blocks(bytes: &[u8], block: usize) -> Result<(), &'static str> {
    if bytes.is_empty() || !bytes.len().is_multiple_of(block) { Err(MALFORMED) } else { Ok(()) }
}

/// Whether `info` authenticates `plain` as this attribute of this object; in encrypted attributes NSS says 0 for the object.
///
/// # Errors
/// A few words: malformed, or of another algorithm.
pub fn authenticates(
    password: &Password,
    info: &[u8],
    (object, attribute): (u32, u32),
    plain: &[u8],
) -> Result<bool, &'static str> {
    let (oid, mut parameters, tag) = parts(info).ok_or(MALFORMED)?;
    if oid != PBMAC1 {
        return Err("authenticated by an algorithm that is not supported");
    }
    let key = derived(password, &mut parameters)?;
    let scheme = parameters.enter(tag::SEQUENCE).and_then(|mut scheme| scheme.read(tag::OID));
    if scheme != Some(HMAC_SHA256) {
        return Err("authenticated by an algorithm other than HMAC-SHA256");
    }
    let key = hmac::Key::new(Hash::Sha256, &key[..]).map_err(|_| MALFORMED)?;
    let mut context = key.start();
    context.update(&object.to_be_bytes());
    context.update(&attribute.to_be_bytes());
    context.update(plain);
    Ok(context.verify(tag))
}

/// PBKDF2 as the parameters say (RFC 8018, appendix A.2), always to 32 bytes.
fn derived(password: &Password, parameters: &mut Reader<'_>) -> Result<Zeroizing<[u8; 32]>, &'static str> {
    let mut read = || {
        let mut function = parameters.enter(tag::SEQUENCE)?;
        (function.read(tag::OID)? == PBKDF2).then_some(())?;
        let mut fields = function.enter(tag::SEQUENCE)?;
        let salt = fields.read(tag::OCTET_STRING)?;
        let iterations = number(fields.unsigned()?)?;
        let len = number(fields.unsigned()?)?;
        let prf = fields.enter(tag::SEQUENCE)?.read(tag::OID)?;
        Some((salt, iterations, len, prf))
    };
    let (salt, iterations, len, prf) = read().ok_or(MALFORMED)?;
    if len != 32 || prf != HMAC_SHA256 || !(1..=MOST_ITERATIONS).contains(&iterations) {
        return Err("of a key derivation other than PBKDF2 with HMAC-SHA256 to 32 bytes");
    }
    let mut key = Zeroizing::new([0; 32]);
    seal::pbkdf2(&password.0[..], salt, iterations, &mut key[..]).map_err(|_| MALFORMED)?;
    Ok(key)
}

fn number(bytes: &[u8]) -> Option<u32> {
    (bytes.len() <= 4).then(|| bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte)))
}

/// Forty bytes, of which the first 24 are the key and the last 8 the IV.
fn legacy(password: &Password, salt: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut padded = salt.to_vec();
    padded.resize(salt.len().max(20), 0);
    let secret = digest::digest(Hash::Sha1, &Zeroizing::new([&password.0[..], salt].concat()));
    let mac = |parts: &[&[u8]]| {
        let key = hmac::Key::new(Hash::Sha1, &secret);
        key.map(|key| key.mac(&Zeroizing::new(parts.concat())).to_vec()).unwrap_or_default()
    };
    let first = mac(&[&padded, salt]);
    let between = mac(&[&padded]);
    let second = mac(&[&between, salt]);
    Zeroizing::new([first, second].concat())
}
