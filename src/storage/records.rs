//! The records' keys and layouts; docs/storage-format.md draws them. All integers are little-endian.

use super::Key;
use crate::error::{Result, Rv};

/// Of everything below.
pub const FORMAT: u16 = 1;

/// Names an object in its token, for life: sixteen random bytes.
pub type ObjectId = [u8; 16];

/// The first byte of a key tells the kind of record.
pub mod kind {
    pub const META: u8 = b'm';
    pub const USER: u8 = b'u';
    pub const TRIES: u8 = b't';
    pub const OBJECT: u8 = b'o';
    pub const SET: u8 = b's';
}

pub fn meta_key() -> Key {
    vec![kind::META]
}

pub fn set_key() -> Key {
    vec![kind::SET]
}

pub fn object_key(id: &ObjectId) -> Key {
    [&[kind::OBJECT][..], id].concat()
}

/// `role` is 0 for the SO, 1 for a user.
pub fn user_key(role: u8, name: &str) -> Key {
    [&[kind::USER, role][..], name.as_bytes()].concat()
}

pub fn tries_key(role: u8, name: &str) -> Key {
    [&[kind::TRIES, role][..], name.as_bytes()].concat()
}

/// Builds a record.
#[derive(Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    pub fn new() -> Writer {
        Writer::default().u16(FORMAT)
    }

    /// A front without the format number, for associated data.
    pub fn bare() -> Writer {
        Writer::default()
    }

    pub fn u8(mut self, value: u8) -> Writer {
        self.0.push(value);
        self
    }

    pub fn u16(mut self, value: u16) -> Writer {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    pub fn u32(mut self, value: u32) -> Writer {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    pub fn u64(mut self, value: u64) -> Writer {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    pub fn fixed(mut self, bytes: &[u8]) -> Writer {
        self.0.extend_from_slice(bytes);
        self
    }

    /// Bytes with their length (u32) before them.
    pub fn bytes(self, bytes: &[u8]) -> Writer {
        self.u32(bytes.len() as u32).fixed(bytes)
    }

    pub fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// Takes a record apart.
pub struct Reader<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Reader<'a> {
    /// `what` names the record in errors.
    ///
    /// # Errors
    /// CKR_TOKEN_NOT_RECOGNIZED for another format.
    pub fn new(record: &'a [u8], what: &'static str) -> Result<Reader<'a>> {
        let mut reader = Reader { rest: record, what };
        match reader.u16()? {
            FORMAT => Ok(reader),
            other => fail!(TokenNotRecognized, "{what} has format {other}, known is {FORMAT}"),
        }
    }

    fn chunk<const N: usize>(&mut self) -> Result<[u8; N]> {
        match self.rest.split_first_chunk() {
            Some((chunk, rest)) => {
                self.rest = rest;
                Ok(*chunk)
            }
            None => Err(Rv::DeviceError.because(format!("{} is cut short", self.what))),
        }
    }

    pub fn u8(&mut self) -> Result<u8> {
        self.chunk().map(u8::from_le_bytes)
    }

    pub fn u16(&mut self) -> Result<u16> {
        self.chunk().map(u16::from_le_bytes)
    }

    pub fn u32(&mut self) -> Result<u32> {
        self.chunk().map(u32::from_le_bytes)
    }

    pub fn u64(&mut self) -> Result<u64> {
        self.chunk().map(u64::from_le_bytes)
    }

    pub fn fixed<const N: usize>(&mut self) -> Result<[u8; N]> {
        self.chunk()
    }

    pub fn bytes(&mut self) -> Result<&'a [u8]> {
        let len = self.u32()? as usize;
        match self.rest.split_at_checked(len) {
            Some((bytes, rest)) => {
                self.rest = rest;
                Ok(bytes)
            }
            None => Err(Rv::DeviceError.because(format!("{} is cut short", self.what))),
        }
    }

    pub fn text(&mut self) -> Result<String> {
        let bytes = self.bytes()?.to_vec();
        String::from_utf8(bytes).map_err(|_| Rv::DeviceError.because(format!("{} holds no UTF-8", self.what)))
    }

    /// # Errors
    /// CKR_DEVICE_ERROR if anything is left.
    pub fn end(self) -> Result<()> {
        match self.rest {
            [] => Ok(()),
            _ => fail!(DeviceError, "{} is too long", self.what),
        }
    }
}
