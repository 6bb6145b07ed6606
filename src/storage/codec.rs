//! How records are written: big-endian integers, byte strings behind their length.

use crate::error::{Error, Result, Rv};

/// No byte string in a record is longer, so a forged length cannot ask for much memory.
pub const MAX_BYTES: usize = 16 << 20;

/// Appends fields.
#[derive(Default)]
pub struct Writer(pub Vec<u8>);

impl Writer {
    /// With room for so many bytes.
    pub fn with_capacity(len: usize) -> Writer {
        Writer(Vec::with_capacity(len))
    }

    /// One byte.
    pub fn u8(mut self, value: u8) -> Writer {
        self.0.push(value);
        self
    }

    /// Four bytes.
    pub fn u32(mut self, value: u32) -> Writer {
        self.0.extend(value.to_be_bytes());
        self
    }

    /// Eight bytes.
    pub fn u64(mut self, value: u64) -> Writer {
        self.0.extend(value.to_be_bytes());
        self
    }

    /// The bytes alone, where the format fixes their number.
    pub fn raw(mut self, value: &[u8]) -> Writer {
        self.0.extend(value);
        self
    }

    /// The length as four bytes, then the bytes.
    pub fn bytes(self, value: &[u8]) -> Writer {
        debug_assert!(value.len() <= MAX_BYTES);
        self.u32(value.len() as u32).raw(value)
    }
}

/// Takes fields off the front; CKR_DEVICE_ERROR where they end too early.
#[derive(Clone, Copy)]
pub struct Reader<'a>(pub &'a [u8]);

fn cut_short() -> Error {
    Rv::DeviceError.because("a record is cut short")
}

impl<'a> Reader<'a> {
    /// `len` bytes.
    pub fn raw(&mut self, len: usize) -> Result<&'a [u8]> {
        let (front, rest) = self.0.split_at_checked(len).ok_or_else(cut_short)?;
        self.0 = rest;
        Ok(front)
    }

    /// `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        self.raw(N)?.try_into().map_err(|_| cut_short())
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8> {
        self.array().map(u8::from_be_bytes)
    }

    /// Four bytes.
    pub fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// Eight bytes.
    pub fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// A byte string behind its length.
    pub fn bytes(&mut self) -> Result<&'a [u8]> {
        let len = self.u32()? as usize;
        if len > MAX_BYTES {
            fail!(DeviceError, "a record claims a field of {len} bytes");
        }
        self.raw(len)
    }

    /// Text behind its length.
    pub fn text(&mut self) -> Result<&'a str> {
        str::from_utf8(self.bytes()?).map_err(|_| Rv::DeviceError.because("a record's text is not UTF-8"))
    }

    /// The end: bytes left over make the record another version's or a damaged one.
    pub fn end(self) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { fail!(DeviceError, "a record is too long") }
    }
}
