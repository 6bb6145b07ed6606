//! Private keys as the payload of wrapping: PKCS#8 PrivateKeyInfo (section 6.7). What is inside belongs to the
//! families.

use crate::crypto::Secret;
use crate::crypto::encoding::{Algorithm, Der, Reader, private_key_info, read_private_key_info};
use crate::error::{Error, Result, Rv};

/// The structure around a key.
pub(super) fn write(algorithm: Algorithm<'_>, key: Der<'_>) -> Secret {
    private_key_info(algorithm, key)
}

/// The algorithm's parameters and the key inside.
///
/// # Errors
/// CKR_WRAPPED_KEY_INVALID for anything that is not the DER of a key of this algorithm.
pub(super) fn read<'a>(der: &'a [u8], oid: &[u8]) -> Result<(&'a [u8], &'a [u8])> {
    match without_filler(der).and_then(read_private_key_info) {
        Some((algorithm, key)) if algorithm.oid == oid => Ok((algorithm.parameters, key)),
        Some(_) => fail!(WrappedKeyInvalid, "the private key is of another algorithm"),
        None => Err(malformed()),
    }
}

/// SoftHSM fills a private key with zeros to whole blocks before RFC 5649, which needs no such thing, wraps it; what
/// it wrapped is to come in. DER tells where it ends, so nothing else can be meant.
fn without_filler(der: &[u8]) -> Option<&[u8]> {
    const BLOCK: usize = 8;
    let mut reader = Reader::new(der);
    let key = reader.encoded()?;
    let filler = &der[key.len()..];
    (filler.len() < BLOCK && filler.iter().all(|byte| *byte == 0)).then_some(key)
}

/// The one answer to every malformed payload.
pub(super) fn malformed() -> Error {
    Rv::WrappedKeyInvalid.because("the payload is no PKCS#8 private key")
}
