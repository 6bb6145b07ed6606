//! Secret keys: what each type is made of, and how new ones are made (sections 6.8, 6.10, 6.15, 6.18, 6.22).

use super::check_value::follows;
use super::key::KeyKind;
use super::{Generate, Params};
use crate::crypto::{Direction, Hash, InOut, Secret, aes, des, digest, random, wiping_stack_of, xts};
use crate::error::Result;
use crate::object::{Attributes, Follows, Object, Value};
use cryptoki_sys::*;
use std::sync::Arc;

/// The longest secret that is not a cipher's key, in bytes.
pub const MAX_LEN: usize = 4096;

/// The lengths that values of a key type have.
#[derive(Clone, Copy)]
enum Lengths {
    /// One, which CKA_VALUE_LEN then does not tell.
    Fixed(usize),
    /// One of these.
    OneOf(&'static [usize]),
    /// Any from 1 to [`MAX_LEN`].
    Any,
}

impl Lengths {
    fn allow(self, len: usize) -> bool {
        match self {
            Lengths::Fixed(fixed) => len == fixed,
            Lengths::OneOf(lengths) => lengths.contains(&len),
            Lengths::Any => (1..=MAX_LEN).contains(&len),
        }
    }

    const fn fixed(self) -> Option<usize> {
        match self {
            Lengths::Fixed(len) => Some(len),
            _ => None,
        }
    }
}

const AES: Lengths = Lengths::OneOf(&[16, 24, 32]);
const XTS: Lengths = Lengths::OneOf(&[32, 64]);
const DES2: Lengths = Lengths::Fixed(16);
const DES3: Lengths = Lengths::Fixed(24);

/// As deep as computing a check value goes. Unoptimised frames are larger.
const CHECK_VALUE_STACK: usize = if cfg!(debug_assertions) { 1 << 14 } else { 1 << 11 };

/// Checks the value's length and adds CKA_VALUE_LEN and CKA_CHECK_VALUE.
fn complete(key: &mut Attributes, lengths: Lengths, check_value: fn(&[u8]) -> Vec<u8>) -> Result<()> {
    let len = key.need_bytes(CKA_VALUE)?.len();
    if !lengths.allow(len) {
        fail!(AttributeValueInvalid, "CKA_VALUE: {len} bytes are no such key");
    }
    // An empty check value asks for none (section 4.8.2).
    let wanted = key.bytes(CKA_CHECK_VALUE).is_none_or(|given| !given.is_empty());
    if wanted {
        let value = match key.value(CKA_VALUE) {
            Some(Value::Secret(value)) => value.clone(),
            _ => Arc::new(Secret::from_slice(key.need_bytes(CKA_VALUE)?).into()),
        };
        follows(key, CKA_CHECK_VALUE, Follows::of(value, check_value))?;
    }
    if lengths.fixed().is_none() {
        follows(key, CKA_VALUE_LEN, len as CK_ULONG)?;
    }
    Ok(())
}

/// The first bytes of what `compute` gives, which it does of any value of an allowed length.
fn check_value<const N: usize>(compute: impl FnOnce() -> Result<[u8; N]>) -> Vec<u8> {
    wiping_stack_of::<CHECK_VALUE_STACK, _>(compute).map_or_else(|_| Vec::new(), |bytes| bytes[..3].to_vec())
}

/// The first bytes of a block of zeros, encrypted (section 4.8.2).
fn aes_check_value(value: &[u8]) -> Vec<u8> {
    check_value(|| {
        let mut block = [0; aes::BLOCK];
        aes::Key::new(value)?.encrypt_block(&mut block);
        Ok(block)
    })
}

/// By the data key, as if it were an AES key of its own.
fn xts_check_value(value: &[u8]) -> Vec<u8> {
    aes_check_value(&value[..value.len() / 2])
}

fn des_check_value(value: &[u8]) -> Vec<u8> {
    check_value(|| {
        let mut block = [0; des::BLOCK];
        des::Key::new(value)?.ecb(Direction::Encrypt, InOut::in_place(&mut block, des::BLOCK));
        Ok(block)
    })
}

/// The first bytes of the SHA-1 of a value that no cipher takes (section 4.8.2).
fn hash_check_value(value: &[u8]) -> Vec<u8> {
    check_value(|| {
        let hash = digest::digest(Hash::Sha1, value);
        Ok([hash[0], hash[1], hash[2]])
    })
}

fn complete_aes(key: &mut Attributes) -> Result<()> {
    complete(key, AES, aes_check_value)
}

fn complete_xts(key: &mut Attributes) -> Result<()> {
    complete(key, XTS, xts_check_value)?;
    if !xts::Key::has_distinct_halves(key.need_bytes(CKA_VALUE)?) {
        fail!(AttributeValueInvalid, "CKA_VALUE: the two halves of an XTS key must differ");
    }
    Ok(())
}

fn complete_des2(key: &mut Attributes) -> Result<()> {
    complete(key, DES2, des_check_value)
}

fn complete_des3(key: &mut Attributes) -> Result<()> {
    complete(key, DES3, des_check_value)
}

fn complete_any(key: &mut Attributes) -> Result<()> {
    complete(key, Lengths::Any, hash_check_value)
}

fn size(key: &Object) -> Result<usize> {
    Ok(key.secret_value()?.len())
}

const fn row(
    key_type: CK_KEY_TYPE,
    lengths: Lengths,
    complete: fn(&mut Attributes) -> Result<()>,
) -> KeyKind {
    KeyKind {
        class: CKO_SECRET_KEY,
        key_type,
        fixed_len: lengths.fixed(),
        complete,
        size,
        export: None,
        import: None,
    }
}

/// The rows of [`super::key`].
pub(super) static KEYS: &[KeyKind] = &[
    row(CKK_AES, AES, complete_aes),
    row(CKK_AES_XTS, XTS, complete_xts),
    row(CKK_DES2, DES2, complete_des2),
    row(CKK_DES3, DES3, complete_des3),
    row(CKK_GENERIC_SECRET, Lengths::Any, complete_any),
    row(CKK_HKDF, Lengths::Any, complete_any),
    row(CKK_SHA_1_HMAC, Lengths::Any, complete_any),
    row(CKK_SHA224_HMAC, Lengths::Any, complete_any),
    row(CKK_SHA256_HMAC, Lengths::Any, complete_any),
    row(CKK_SHA384_HMAC, Lengths::Any, complete_any),
    row(CKK_SHA512_HMAC, Lengths::Any, complete_any),
    row(CKK_SHA512_224_HMAC, Lengths::Any, complete_any),
    row(CKK_SHA512_256_HMAC, Lengths::Any, complete_any),
    row(CKK_SHA3_224_HMAC, Lengths::Any, complete_any),
    row(CKK_SHA3_256_HMAC, Lengths::Any, complete_any),
    row(CKK_SHA3_384_HMAC, Lengths::Any, complete_any),
    row(CKK_SHA3_512_HMAC, Lengths::Any, complete_any),
];

/// C_GenerateKey for one key type.
pub struct KeyGen {
    key_type: CK_KEY_TYPE,
    lengths: Lengths,
    value: fn(usize) -> Secret,
}

impl KeyGen {
    /// CKM_AES_KEY_GEN.
    pub const AES: KeyGen = KeyGen { key_type: CKK_AES, lengths: AES, value: random::secret };
    /// CKM_AES_XTS_KEY_GEN.
    pub const XTS: KeyGen = KeyGen { key_type: CKK_AES_XTS, lengths: XTS, value: distinct_halves };
    /// CKM_DES2_KEY_GEN.
    pub const DES2: KeyGen = KeyGen { key_type: CKK_DES2, lengths: DES2, value: strong_des };
    /// CKM_DES3_KEY_GEN.
    pub const DES3: KeyGen = KeyGen { key_type: CKK_DES3, lengths: DES3, value: strong_des };

    /// A secret of any length.
    pub const fn any(key_type: CK_KEY_TYPE) -> KeyGen {
        KeyGen { key_type, lengths: Lengths::Any, value: random::secret }
    }
}

fn distinct_halves(len: usize) -> Secret {
    loop {
        let key = random::secret(len);
        if xts::Key::has_distinct_halves(key.expose()) {
            return key;
        }
    }
}

fn strong_des(len: usize) -> Secret {
    des::generate(len / des::BLOCK)
}

impl Generate for KeyGen {
    fn key_type(&self) -> CK_KEY_TYPE {
        self.key_type
    }

    fn generate(&self, _: &Params, key: &mut Attributes) -> Result<()> {
        let len = match self.lengths {
            Lengths::Fixed(len) => len,
            _ => usize::try_from(key.need_ulong(CKA_VALUE_LEN)?).unwrap_or(usize::MAX),
        };
        if !self.lengths.allow(len) {
            fail!(KeySizeRange, "CKA_VALUE_LEN: {len} bytes are no key of type {:#x}", self.key_type);
        }
        key.set(CKA_VALUE, (self.value)(len));
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::error::Rv;
    use crate::object::Secrets;

    /// A key object of the sort the families get.
    pub fn key(key_type: CK_KEY_TYPE, value: &[u8]) -> Object {
        let attributes = Attributes::new().with(CKA_CLASS, CKO_SECRET_KEY).with(CKA_KEY_TYPE, key_type);
        let secrets = Attributes::new().with(CKA_VALUE, Value::secret(Secret::from_slice(value)));
        Object::new(1, attributes, Secrets::opened(secrets))
    }

    fn completed(key_type: CK_KEY_TYPE, value: &[u8]) -> Result<Attributes> {
        let mut key = Attributes::new().with(CKA_VALUE, value);
        let row = KEYS.iter().find(|row| row.key_type == key_type).unwrap();
        (row.complete)(&mut key)?;
        Ok(key)
    }

    #[test]
    fn check_values() {
        // FIPS 197's and SP 800-67's own: the zero block under zero keys; SHA-1 of "abc".
        let cases: [(CK_KEY_TYPE, &[u8], [u8; 3]); 4] = [
            (CKK_AES, &[0; 16], [0x66, 0xE9, 0x4B]),
            (CKK_AES, &[0; 32], [0xDC, 0x95, 0xC0]),
            (CKK_DES3, &[0; 24], [0x8C, 0xA6, 0x4D]),
            (CKK_GENERIC_SECRET, b"abc", [0xA9, 0x99, 0x3E]),
        ];
        for (key_type, value, expected) in cases {
            assert_eq!(completed(key_type, value).unwrap().bytes(CKA_CHECK_VALUE), Some(&expected[..]));
        }
        let mut unwanted = Attributes::new().with(CKA_VALUE, &b"abc"[..]).with(CKA_CHECK_VALUE, &b""[..]);
        complete_any(&mut unwanted).unwrap();
        assert_eq!(unwanted.bytes(CKA_CHECK_VALUE), Some(&b""[..]));
        let mut forged = Attributes::new().with(CKA_VALUE, &b"abc"[..]).with(CKA_CHECK_VALUE, &b"123"[..]);
        assert_eq!(complete_any(&mut forged).unwrap_err().rv(), Rv::AttributeValueInvalid);
    }

    #[test]
    fn lengths() {
        for (key_type, good) in
            [(CKK_AES, &[16, 24, 32][..]), (CKK_AES_XTS, &[32, 64]), (CKK_DES2, &[16]), (CKK_DES3, &[24])]
        {
            for len in 0..70 {
                let value: Vec<u8> = (0..len).collect();
                assert_eq!(completed(key_type, &value).is_ok(), good.contains(&len), "{key_type} {len}");
            }
        }
        assert!(completed(CKK_GENERIC_SECRET, &[]).is_err());
        assert!(completed(CKK_GENERIC_SECRET, &[1; MAX_LEN + 1]).is_err());
        assert!(completed(CKK_AES_XTS, &[7; 64]).is_err(), "equal halves");
        assert_eq!(completed(CKK_AES, &[0; 24]).unwrap().ulong(CKA_VALUE_LEN), Some(24));
        assert!(!completed(CKK_DES3, &[0; 24]).unwrap().has(CKA_VALUE_LEN));
    }

    #[test]
    fn generation() {
        let template = |len: CK_ULONG| Attributes::new().with(CKA_VALUE_LEN, len);
        let generate = |of: KeyGen, mut key: Attributes| of.generate(&Params::None, &mut key).map(|()| key);
        for len in [0, 1, 15, 16, 24, 32, 33, 64, CK_ULONG::MAX] {
            let made = generate(KeyGen::AES, template(len));
            match made {
                Ok(made) => assert_eq!(made.bytes(CKA_VALUE).unwrap().len() as CK_ULONG, len),
                Err(error) => {
                    assert!(![16, 24, 32].contains(&len));
                    assert_eq!(error.rv(), Rv::KeySizeRange);
                }
            }
        }
        let without = generate(KeyGen::AES, Attributes::new());
        assert_eq!(without.unwrap_err().rv(), Rv::TemplateIncomplete);
        let des = generate(KeyGen::DES3, Attributes::new()).unwrap();
        assert!(des::is_strong(des.bytes(CKA_VALUE).unwrap()) && des.bytes(CKA_VALUE).unwrap().len() == 24);
        let xts = generate(KeyGen::XTS, template(64)).unwrap();
        assert_eq!(xts.bytes(CKA_VALUE).unwrap().len(), 64);
    }
}
