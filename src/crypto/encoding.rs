//! DER (X.690), as much of it as keys need, and the two structures that hold every asymmetric key:
//! SubjectPublicKeyInfo (RFC 5280) and PrivateKeyInfo (PKCS#8, RFC 5958).

use super::Secret;

/// The tags that occur in keys.
#[allow(missing_docs)]
pub mod tag {
    pub const INTEGER: u8 = 0x02;
    pub const BIT_STRING: u8 = 0x03;
    pub const OCTET_STRING: u8 = 0x04;
    pub const NULL: u8 = 0x05;
    pub const OID: u8 = 0x06;
    pub const PRINTABLE_STRING: u8 = 0x13;
    pub const SEQUENCE: u8 = 0x30;

    /// `[number]` IMPLICIT around a primitive type.
    pub const fn context(number: u8) -> u8 {
        0x80 | number
    }

    /// `[number]` around a constructed type.
    pub const fn constructed(number: u8) -> u8 {
        0xa0 | number
    }
}

/// A value to be encoded. Drawn as a tree, written once into a buffer of its exact length.
#[derive(Clone, Copy)]
pub enum Der<'a> {
    /// A tag and its contents.
    Bytes(u8, &'a [u8]),
    /// A tag around other values.
    Node(u8, &'a [Der<'a>]),
    /// INTEGER, not negative, from bytes with the most significant first.
    Unsigned(&'a [u8]),
    /// BIT STRING of whole bytes.
    Bits(&'a [u8]),
    /// BIT STRING around another value.
    BitsOf(&'a Der<'a>),
    /// What is encoded already.
    Encoded(&'a [u8]),
}

impl Der<'_> {
    /// The encoding. It is wiped when dropped, since it may hold a private key.
    pub fn encode(&self) -> Secret {
        let mut out = Secret::zeroed(self.len());
        let rest = self.write(out.expose_mut());
        debug_assert!(rest.is_empty());
        out
    }

    /// The encoding of what is public.
    pub fn encode_public(&self) -> Vec<u8> {
        self.encode().expose().to_vec()
    }

    fn len(&self) -> usize {
        match self {
            Der::Encoded(bytes) => bytes.len(),
            _ => 1 + length_len(self.contents_len()) + self.contents_len(),
        }
    }

    fn contents_len(&self) -> usize {
        match self {
            Der::Bytes(_, bytes) | Der::Encoded(bytes) => bytes.len(),
            Der::Node(_, values) => values.iter().map(Der::len).sum(),
            Der::Unsigned(bytes) => {
                let bytes = significant(bytes);
                bytes.len() + usize::from(bytes.first().is_none_or(|first| *first >= 0x80))
            }
            Der::Bits(bytes) => 1 + bytes.len(),
            Der::BitsOf(value) => 1 + value.len(),
        }
    }

    /// Writes to the front of `out`, returns the rest.
    fn write<'o>(&self, out: &'o mut [u8]) -> &'o mut [u8] {
        let tag = match self {
            Der::Bytes(tag, _) | Der::Node(tag, _) => *tag,
            Der::Unsigned(_) => tag::INTEGER,
            Der::Bits(_) | Der::BitsOf(_) => tag::BIT_STRING,
            Der::Encoded(bytes) => return put(out, bytes),
        };
        let len = self.contents_len();
        let mut out = put(out, &[tag]);
        let octets = (len as u32).to_be_bytes();
        out = match length_len(len) {
            1 => put(out, &[len as u8]),
            n => put(put(out, &[0x80 | (n - 1) as u8]), &octets[5 - n..]),
        };
        match self {
            Der::Bytes(_, bytes) | Der::Encoded(bytes) => put(out, bytes),
            Der::Node(_, values) => values.iter().fold(out, |out, value| value.write(out)),
            Der::Unsigned(bytes) => {
                let bytes = significant(bytes);
                let zero = if len > bytes.len() { &[0][..] } else { &[] };
                put(put(out, zero), bytes)
            }
            Der::Bits(bytes) => put(put(out, &[0]), bytes),
            Der::BitsOf(value) => value.write(put(out, &[0])),
        }
    }
}

/// Without leading zeros.
pub fn significant(bytes: &[u8]) -> &[u8] {
    &bytes[bytes.iter().take_while(|byte| **byte == 0).count()..]
}

/// Octets that a length takes. No key comes near 2^32 bytes.
fn length_len(len: usize) -> usize {
    match len {
        0..0x80 => 1,
        0x80..0x100 => 2,
        0x100..0x1_0000 => 3,
        0x1_0000..0x100_0000 => 4,
        _ => 5,
    }
}

fn put<'o>(out: &'o mut [u8], bytes: &[u8]) -> &'o mut [u8] {
    let (front, rest) = out.split_at_mut(bytes.len());
    front.copy_from_slice(bytes);
    rest
}

/// Reads values one after the other. Every answer is `None` on anything that is not the one DER encoding.
#[derive(Clone, Copy)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Over these bytes.
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader(bytes)
    }

    /// The next value: its tag and contents.
    pub fn any(&mut self) -> Option<(u8, &'a [u8])> {
        let (&[tag, first], rest) = self.0.split_first_chunk()?;
        if tag & 0x1f == 0x1f {
            return None;
        }
        let (len, rest) = match first {
            ..=0x7f => (first as usize, rest),
            0x81..=0x84 => {
                let (octets, rest) = rest.split_at_checked(first as usize - 0x80)?;
                let len = octets.iter().fold(0usize, |len, octet| len << 8 | *octet as usize);
                if length_len(len) != 1 + octets.len() {
                    return None;
                }
                (len, rest)
            }
            _ => return None,
        };
        let (contents, rest) = rest.split_at_checked(len)?;
        self.0 = rest;
        Some((tag, contents))
    }

    /// The contents of the next value, which must have this tag.
    pub fn read(&mut self, tag: u8) -> Option<&'a [u8]> {
        let mut ahead = *self;
        let (found, contents) = ahead.any()?;
        (found == tag).then(|| *self = ahead)?;
        Some(contents)
    }

    /// A reader of what is inside the next value, which must have this tag.
    pub fn enter(&mut self, tag: u8) -> Option<Reader<'a>> {
        self.read(tag).map(Reader)
    }

    /// A non-negative INTEGER without the leading zero of its sign.
    pub fn unsigned(&mut self) -> Option<&'a [u8]> {
        match self.read(tag::INTEGER)? {
            [0] => Some(&[]),
            [0, rest @ ..] => (rest[0] >= 0x80).then_some(rest),
            bytes @ [0..0x80, ..] => Some(bytes),
            _ => None,
        }
    }

    /// A BIT STRING of whole bytes.
    pub fn bits(&mut self) -> Option<&'a [u8]> {
        self.read(tag::BIT_STRING)?.strip_prefix(&[0])
    }

    /// The next value as it is encoded.
    pub fn encoded(&mut self) -> Option<&'a [u8]> {
        let all = self.0;
        self.any()?;
        Some(&all[..all.len() - self.0.len()])
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `Some` if nothing is left.
    pub fn end(&self) -> Option<()> {
        self.is_empty().then_some(())
    }
}

/// What names an algorithm: its object identifier's contents and its parameters as they are encoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Algorithm<'a> {
    /// Contents of the OBJECT IDENTIFIER.
    pub oid: &'a [u8],
    /// The encoded parameters; empty where they are absent.
    pub parameters: &'a [u8],
}

impl<'a> Algorithm<'a> {
    /// Without parameters.
    pub const fn new(oid: &'a [u8]) -> Algorithm<'a> {
        Algorithm { oid, parameters: &[] }
    }

    fn read(reader: &mut Reader<'a>) -> Option<Algorithm<'a>> {
        let mut algorithm = reader.enter(tag::SEQUENCE)?;
        let oid = algorithm.read(tag::OID)?;
        let parameters = if algorithm.is_empty() { &[] } else { algorithm.encoded()? };
        algorithm.end()?;
        Some(Algorithm { oid, parameters })
    }
}

/// SubjectPublicKeyInfo; `key` is what its BIT STRING holds.
pub fn public_key_info(algorithm: Algorithm<'_>, key: Der<'_>) -> Vec<u8> {
    let (oid, parameters) = (Der::Bytes(tag::OID, algorithm.oid), Der::Encoded(algorithm.parameters));
    Der::Node(tag::SEQUENCE, &[Der::Node(tag::SEQUENCE, &[oid, parameters]), key]).encode_public()
}

/// PrivateKeyInfo, version 1; `key` is what its OCTET STRING holds.
pub fn private_key_info(algorithm: Algorithm<'_>, key: Der<'_>) -> Secret {
    let (oid, parameters) = (Der::Bytes(tag::OID, algorithm.oid), Der::Encoded(algorithm.parameters));
    Der::Node(
        tag::SEQUENCE,
        &[
            Der::Unsigned(&[]),
            Der::Node(tag::SEQUENCE, &[oid, parameters]),
            Der::Node(tag::OCTET_STRING, &[key]),
        ],
    )
    .encode()
}

/// The algorithm and the key inside a PrivateKeyInfo or OneAsymmetricKey, with nothing after it. Attributes
/// and a public key may follow the private key inside; both follow from it and are passed over.
pub fn read_private_key_info(der: &[u8]) -> Option<(Algorithm<'_>, &[u8])> {
    let mut outer = Reader::new(der);
    let mut info = outer.enter(tag::SEQUENCE)?;
    outer.end()?;
    let version = info.unsigned()?;
    let algorithm = Algorithm::read(&mut info)?;
    let key = info.read(tag::OCTET_STRING)?;
    info.read(tag::constructed(0));
    match version {
        [] => {}
        [1] => drop(info.read(tag::context(1))),
        _ => return None,
    }
    info.end()?;
    Some((algorithm, key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lengths_at_every_boundary_round_trip() {
        for len in [0, 1, 0x7f, 0x80, 0xff, 0x100, 0xffff, 0x1_0000] {
            let bytes = vec![7; len];
            let der = Der::Bytes(tag::OCTET_STRING, &bytes).encode_public();
            let mut reader = Reader::new(&der);
            assert_eq!(reader.read(tag::OCTET_STRING), Some(&bytes[..]));
            assert!(reader.is_empty());
            assert_eq!(Reader::new(&der[..der.len() - 1]).any(), None);
        }
    }

    #[test]
    fn integers_have_one_encoding() {
        for (magnitude, expected) in
            [("", "020100"), ("00", "020100"), ("7f", "02017f"), ("80", "02020080"), ("0001ff", "020201ff")]
        {
            let der = Der::Unsigned(&hex::decode(magnitude).unwrap()).encode_public();
            assert_eq!(hex::encode(&der), expected);
            let read = Reader::new(&der).unsigned().unwrap().to_vec();
            assert_eq!(read, significant(&hex::decode(magnitude).unwrap()));
        }
        for wrong in ["0200", "0201ff", "0202007f", "02020000", "028101 05"] {
            let wrong = hex::decode(wrong.replace(' ', "")).unwrap();
            assert_eq!(Reader::new(&wrong).unsigned(), None, "{wrong:02x?}");
        }
    }

    #[test]
    fn indefinite_and_overlong_lengths_are_refused() {
        for wrong in ["3080 0000", "048101 00", "0482 0001 00", "0485 0000000001 00", "1f01 00", "0488"] {
            let wrong = hex::decode(wrong.replace(' ', "")).unwrap();
            assert_eq!(Reader::new(&wrong).any(), None, "{wrong:02x?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read_private_key_info(&bytes);
            let mut reader = Reader::new(&bytes);
            while let Some(value) = reader.encoded() {
                let (tag, contents) = Reader::new(value).any().unwrap();
                prop_assert_eq!(Der::Bytes(tag, contents).encode_public(), value);
            }
        }
    }
}
