//! Output buffers with guards.

use super::rv::{Result, Rv};
use cryptoki_sys::CK_ULONG;
use std::ptr;

const GUARD: [u8; 32] = [0xA5; 32];

/// Asks for the length with NULL, then for the bytes in a buffer of that length.
pub fn two_call(mut call: impl FnMut(*mut u8, *mut CK_ULONG) -> Rv) -> Result<Vec<u8>> {
    let mut length: CK_ULONG = 0;
    call(ptr::null_mut(), &raw mut length).ok()?;
    let (rv, output, _) = fill(length as usize, call);
    rv.ok().map(|()| output)
}

/// One call with a buffer of `size` bytes: the code, the bytes written (none unless CKR_OK), and the length that the
/// module left in `*pulLen`.
pub fn fill(size: usize, mut call: impl FnMut(*mut u8, *mut CK_ULONG) -> Rv) -> (Rv, Vec<u8>, CK_ULONG) {
    let mut buffer = vec![0u8; size];
    buffer.extend(GUARD);
    let mut length = size as CK_ULONG;
    let rv = call(buffer.as_mut_ptr(), &raw mut length);
    assert!(buffer[size..] == GUARD, "the module wrote past a buffer of {size} bytes");
    if rv != Rv(0) {
        return (rv, Vec::new(), length);
    }
    assert!(length as usize <= size, "the module says it wrote {length} bytes into {size}");
    buffer.truncate(length as usize);
    (rv, buffer, length)
}
