//! BER as DER (X.690, sections 8 and 10): NSS writes PKCS#12 files with lengths that only an end mark tells, and with
//! strings in pieces, and the readers of such files want the one encoding.

/// More than any PKCS#12 file nests, and a bound for one made to use up the stack.
const DEEPEST: usize = 32;

const OCTET_STRING: u8 = 0x04;
const OID: u8 = 0x06;
const CONSTRUCTED: u8 = 0x20;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const FIRST: u8 = 0x80;

/// One value with definite and shortest lengths, strings in one piece and sets in order; none if it is not BER, or if
/// something follows.
pub fn to_der(bytes: &[u8]) -> Option<Vec<u8>> {
    let (value, rest) = value(bytes, &[], DEEPEST)?;
    rest.is_empty().then(|| value.encode())
}

struct Value {
    tag: u8,
    contents: Vec<u8>,
}

impl Value {
    fn encode(&self) -> Vec<u8> {
        let len = self.contents.len();
        let octets = len.to_be_bytes();
        let octets = &octets[octets.iter().position(|octet| *octet != 0).unwrap_or(octets.len())..];
        let mut out = vec![self.tag];
        match len {
            ..=0x7f => out.push(len as u8),
            _ => {
                out.push(0x80 | octets.len() as u8);
                out.extend(octets);
            }
        }
        out.extend(&self.contents);
        out
    }
}

/// The first value of `bytes`, and what follows. `before` are the tags of its elder siblings.
fn value<'a>(bytes: &'a [u8], before: &[u8], depth: usize) -> Option<(Value, &'a [u8])> {
    let (&[tag, first], rest) = bytes.split_first_chunk()?;
    // Tags of several bytes are in no such file.
    (tag & 0x1f != 0x1f && depth > 0).then_some(())?;
    let (len, rest) = match first {
        ..=0x7f => (Some(usize::from(first)), rest),
        0x80 => (None, rest),
        0x81..=0x84 => {
            let (octets, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (Some(octets.iter().fold(0, |len, octet| len << 8 | usize::from(*octet))), rest)
        }
        _ => return None,
    };
    if tag & CONSTRUCTED == 0 {
        let (contents, rest) = rest.split_at_checked(len?)?;
        return Some((Value { tag, contents: contents.into() }, rest));
    }
    let (mut inside, after) = match len {
        Some(len) => rest.split_at_checked(len)?,
        None => (rest, &[][..]),
    };
    let (mut children, mut tags) = (Vec::new(), Vec::new());
    let after = loop {
        match (inside, len) {
            ([], Some(_)) => break after,
            ([0, 0, rest @ ..], None) => break rest,
            _ => {}
        }
        let (child, rest) = value(inside, &tags, depth - 1)?;
        tags.push(child.tag);
        children.push(child);
        inside = rest;
    };
    let strings = !tags.is_empty() && tags.iter().all(|tag| *tag == OCTET_STRING);
    // encryptedContent (RFC 5652, section 6.1) is a string under a tag of its own; what follows an object identifier
    // directly is a value within a tag.
    let implicit = tag == FIRST | CONSTRUCTED && matches!(before, [OID, SEQUENCE]);
    if tag == OCTET_STRING | CONSTRUCTED || implicit && strings {
        (strings || tags.is_empty()).then_some(())?;
        let contents = children.into_iter().flat_map(|child| child.contents).collect();
        return Some((Value { tag: tag & !CONSTRUCTED, contents }, after));
    }
    let mut encoded: Vec<_> = children.iter().map(Value::encode).collect();
    if tag == SET {
        encoded.sort();
    }
    Some((Value { tag, contents: encoded.concat() }, after))
}

#[cfg(test)]
mod tests {
    use super::to_der;

    fn converted(text: &str) -> Option<String> {
        to_der(&hex::decode(text.replace(' ', "")).expect("hex")).map(hex::encode)
    }

    #[test]
    fn one_encoding_for_all() {
        for (ber, der) in [
            ("30 80 02 01 03 00 00", "3003020103"),
            ("24 80 04 01 aa 24 03 04 01 bb 00 00", "0402aabb"),
            ("30 81 03 02 01 03", "3003020103"),
            ("31 06 02 01 05 02 01 03", "3106020103020105"),
            // ContentInfo keeps its tag around a string, EncryptedContentInfo has the string under the tag.
            ("30 80 06 01 2a a0 80 24 80 04 01 aa 00 00 00 00 00 00", "300806012aa0030401aa"),
            ("30 80 06 01 2a 30 00 a0 80 04 01 aa 04 01 bb 00 00 00 00", "300906012a30008002aabb"),
        ] {
            assert_eq!(converted(ber).as_deref(), Some(der), "{ber}");
        }
        let long = format!("30 82 00 84 04 81 81 {}", "00".repeat(129));
        assert_eq!(converted(&long), Some(format!("308184048181{}", "00".repeat(129))));
    }

    #[test]
    fn what_is_not_ber_is_none() {
        for wrong in [
            "",
            "30",
            "30 80",
            "30 80 02 01 03 00",
            "04 80 00 00",
            "30 01",
            "3000 00",
            "1f 01 00",
            "24 03 02 01 00",
        ] {
            assert_eq!(converted(wrong), None, "{wrong}");
        }
        assert_eq!(to_der(&[0x30, 0x80].repeat(100_000)), None);
    }
}
