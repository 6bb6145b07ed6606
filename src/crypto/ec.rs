//! ECDSA (FIPS 186-5) and ECDH (SP 800-56A) over the prime curves of AWS-LC, all of cofactor 1.

use super::Secret;
use super::encoding::{Reader, tag};
use super::owned::{Number, Owned, write_padded};
use super::random::drawing;
use super::status::{ok, wiping_stack_of};
use crate::error::{Result, Rv};
use aws_lc_sys as ffi;
use std::ops::Deref;
use std::ptr;

/// Bytes of stack within which EC_POINT_mul leaves the private value and the product; on P-256, all that it leaves.
const DEPTH: usize = 2 << 10;

macro_rules! curves {
    ($($curve:ident $bits:literal $group:ident $oid:literal $($name:literal)*;)*) => {
        /// A named curve in short Weierstrass form.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        #[allow(missing_docs)]
        pub enum Curve { $($curve,)* }

        impl Curve {
            /// Every one of them.
            pub const ALL: &[Curve] = &[$(Curve::$curve),*];

            /// Bits of the field and of the order, which are equal for all of them.
            pub const fn bits(self) -> usize {
                match self { $(Curve::$curve => $bits,)* }
            }

            /// Contents of the object identifier.
            pub const fn oid(self) -> &'static [u8] {
                match self { $(Curve::$curve => $oid,)* }
            }

            /// What a PrintableString may call it.
            const fn names(self) -> &'static [&'static str] {
                match self { $(Curve::$curve => &[$($name),*],)* }
            }

            fn group(self) -> *const ffi::EC_GROUP {
                // SAFETY: these only return the address of a static.
                unsafe { match self { $(Curve::$curve => ffi::$group(),)* } }
            }
        }
    };
}

curves! {
    P224 224 EC_group_p224 b"\x2b\x81\x04\x00\x21" "secp224r1" "P-224";
    P256 256 EC_group_p256 b"\x2a\x86\x48\xce\x3d\x03\x01\x07" "secp256r1" "prime256v1" "P-256";
    P384 384 EC_group_p384 b"\x2b\x81\x04\x00\x22" "secp384r1" "P-384";
    P521 521 EC_group_p521 b"\x2b\x81\x04\x00\x23" "secp521r1" "P-521";
    Secp256k1 256 EC_group_secp256k1 b"\x2b\x81\x04\x00\x0a" "secp256k1";
    BrainpoolP224r1 224 EC_group_brainpoolP224r1 b"\x2b\x24\x03\x03\x02\x08\x01\x01\x05" "brainpoolP224r1";
    BrainpoolP256r1 256 EC_group_brainpoolP256r1 b"\x2b\x24\x03\x03\x02\x08\x01\x01\x07" "brainpoolP256r1";
    BrainpoolP320r1 320 EC_group_brainpoolP320r1 b"\x2b\x24\x03\x03\x02\x08\x01\x01\x09" "brainpoolP320r1";
    BrainpoolP384r1 384 EC_group_brainpoolP384r1 b"\x2b\x24\x03\x03\x02\x08\x01\x01\x0b" "brainpoolP384r1";
    BrainpoolP512r1 512 EC_group_brainpoolP512r1 b"\x2b\x24\x03\x03\x02\x08\x01\x01\x0d" "brainpoolP512r1";
}

impl Curve {
    /// Bytes of a coordinate, of a private value and of half a signature.
    pub const fn element_len(self) -> usize {
        self.bits().div_ceil(8)
    }

    /// From CKA_EC_PARAMS: the DER of an object identifier, a curve's name, or explicit parameters that are
    /// those of a named curve.
    ///
    /// # Errors
    /// CKR_CURVE_NOT_SUPPORTED for another curve; CKR_DOMAIN_PARAMS_INVALID for what is no such encoding.
    pub fn from_params(params: &[u8]) -> Result<Curve> {
        let mut reader = Reader::new(params);
        let Some((tag, contents)) = reader.any().filter(|_| reader.is_empty()) else {
            fail!(DomainParamsInvalid, "CKA_EC_PARAMS is no single DER value");
        };
        let known = match tag {
            tag::OID => Curve::ALL.iter().find(|curve| curve.oid() == contents),
            tag::PRINTABLE_STRING => {
                let named = |name: &&str| name.as_bytes().eq_ignore_ascii_case(contents);
                Curve::ALL.iter().find(|curve| curve.names().iter().any(named))
            }
            tag::SEQUENCE => explicit(params),
            _ => {
                fail!(DomainParamsInvalid, "CKA_EC_PARAMS is neither object identifier, name nor parameters")
            }
        };
        match known {
            Some(curve) => Ok(*curve),
            None => fail!(CurveNotSupported, "CKA_EC_PARAMS names a curve that is not supported"),
        }
    }

    /// A point as CKA_EC_POINT and CK_ECDH1_DERIVE_PARAMS may have it, reduced to the bare octets of SEC 1:
    /// as they are, or in an OCTET STRING or BIT STRING. `None` if it is none of these.
    pub fn bare_point(self, point: &[u8]) -> Option<&[u8]> {
        let bare = |point: &[u8]| match point {
            [4, rest @ ..] => rest.len() == 2 * self.element_len(),
            [2 | 3, rest @ ..] => rest.len() == self.element_len(),
            _ => false,
        };
        if bare(point) {
            return Some(point);
        }
        let mut reader = Reader::new(point);
        let inner = reader.read(tag::OCTET_STRING).or_else(|| reader.bits())?;
        reader.end()?;
        bare(inner).then_some(inner)
    }
}

/// The curve whose parameters are written out.
fn explicit(params: &[u8]) -> Option<&'static Curve> {
    // SAFETY: the CBS is set up by CBS_init over `params`, which outlives it; the group is a static or null.
    unsafe {
        let mut cbs = std::mem::MaybeUninit::uninit();
        ffi::CBS_init(cbs.as_mut_ptr(), params.as_ptr(), params.len());
        let group = ffi::EC_KEY_parse_parameters(cbs.as_mut_ptr());
        let name = |group| ffi::EC_GROUP_get_curve_name(group);
        (!group.is_null()).then(|| Curve::ALL.iter().find(|curve| name(curve.group()) == name(group)))?
    }
}

/// A point on a curve, not at infinity.
pub struct PublicKey {
    curve: Curve,
    key: Owned<ffi::EC_KEY>,
}

// SAFETY: the functions that take an EC_KEY take it const and without hidden state.
unsafe impl Sync for PublicKey {}

impl PublicKey {
    /// From the octets of SEC 1, uncompressed or compressed.
    ///
    /// # Errors
    /// CKR_PUBLIC_KEY_INVALID for everything that is no point of the curve, and for infinity.
    pub fn new(curve: Curve, point: &[u8]) -> Result<PublicKey> {
        let parsed = Point::parse(curve, point)?;
        let key = empty(curve)?;
        // SAFETY: both are valid and of one group; the point is copied.
        match unsafe { ffi::EC_KEY_set_public_key(key.as_ptr(), parsed.0.as_ptr()) } {
            1 => Ok(PublicKey { curve, key }),
            _ => Err(invalid_point()),
        }
    }

    /// Its curve.
    pub fn curve(&self) -> Curve {
        self.curve
    }

    /// The point, uncompressed, as the octets of SEC 1.
    pub fn point(&self) -> Vec<u8> {
        let mut out = vec![0; 1 + 2 * self.curve.element_len()];
        // SAFETY: every key of this type has its point; `out` is as long as the form.
        unsafe {
            let point = ffi::EC_KEY_get0_public_key(self.key.as_ptr());
            let form = ffi::point_conversion_form_t::POINT_CONVERSION_UNCOMPRESSED;
            let (to, len) = (out.as_mut_ptr(), out.len());
            let written = ffi::EC_POINT_point2oct(self.curve.group(), point, form, to, len, ptr::null_mut());
            debug_assert_eq!(written, len);
        }
        out
    }

    /// Whether `signature`, r and s of equal length, is that of a digest, of which the leftmost bits count.
    pub fn verify(&self, digest: &[u8], signature: &[u8]) -> bool {
        let (r, s) = signature.split_at(signature.len() / 2);
        let verify = || -> Result<bool> {
            let (r, s) = (Number::from_bytes(r)?, Number::from_bytes(s)?);
            // SAFETY: valid objects; the signature takes both numbers.
            unsafe {
                let signature = Owned::new(ffi::ECDSA_SIG_new())?;
                ffi::ECDSA_SIG_set0(signature.as_ptr(), r.into_raw(), s.into_raw());
                let (data, len) = (digest.as_ptr(), digest.len());
                Ok(ffi::ECDSA_do_verify(data, len, signature.as_ptr(), self.key.as_ptr()) == 1)
            }
        };
        signature.len().is_multiple_of(2)
            && signature.len() <= 2 * self.curve.element_len()
            && verify().unwrap_or(false)
    }
}

/// A private value, with its point.
pub struct PrivateKey(PublicKey);

impl Deref for PrivateKey {
    type Target = PublicKey;
    fn deref(&self) -> &PublicKey {
        &self.0
    }
}

impl PrivateKey {
    /// A new key.
    pub fn generate(curve: Curve) -> Result<PrivateKey> {
        let key = empty(curve)?;
        let _drawing = drawing();
        // SAFETY: a key with its group.
        ok(unsafe { ffi::EC_KEY_generate_key(key.as_ptr()) }, "EC_KEY_generate_key")?;
        Ok(PrivateKey(PublicKey { curve, key }))
    }

    /// From the private value, most significant byte first.
    ///
    /// # Errors
    /// CKR_ATTRIBUTE_VALUE_INVALID unless it is from 1 to the order less 1.
    pub fn new(curve: Curve, value: &[u8]) -> Result<PrivateKey> {
        let key = empty(curve)?;
        let value = Number::from_bytes(value)?;
        // SAFETY: valid objects of one group; what is set is copied.
        unsafe {
            if ffi::EC_KEY_set_private_key(key.as_ptr(), value.as_ptr()) != 1 {
                fail!(AttributeValueInvalid, "CKA_VALUE is not from 1 to the curve's order less 1");
            }
            let point = Owned::new(ffi::EC_POINT_new(curve.group()))?;
            let (none, group, no_context) = (ptr::null(), curve.group(), ptr::null_mut());
            let answer =
                ffi::EC_POINT_mul(group, point.as_ptr(), value.as_ptr(), none, ptr::null(), no_context);
            ok(answer, "EC_POINT_mul")?;
            ok(ffi::EC_KEY_set_public_key(key.as_ptr(), point.as_ptr()), "EC_KEY_set_public_key")?;
        }
        Ok(PrivateKey(PublicKey { curve, key }))
    }

    /// The private value, `curve().element_len()` bytes, most significant first.
    pub fn value(&self) -> Secret {
        let mut out = Secret::zeroed(self.curve.element_len());
        // SAFETY: every key of this type has its value, which is below the order.
        unsafe { write_padded(ffi::EC_KEY_get0_private_key(self.key.as_ptr()), out.expose_mut()) };
        out
    }

    /// The signature of a digest, of which the leftmost bits count: r and s of `curve().element_len()` bytes each.
    pub fn sign(&self, digest: &[u8], out: &mut [u8]) -> Result<()> {
        let (r, s) = out[..2 * self.curve.element_len()].split_at_mut(self.curve.element_len());
        let _drawing = drawing();
        // SAFETY: a private key; r and s are below the order, so they fit.
        unsafe {
            let signature = ffi::ECDSA_do_sign(digest.as_ptr(), digest.len(), self.key.as_ptr());
            let signature =
                Owned::some(signature).ok_or_else(|| Rv::GeneralError.because("ECDSA_do_sign failed"))?;
            write_padded(ffi::ECDSA_SIG_get0_r(signature.as_ptr()), r);
            write_padded(ffi::ECDSA_SIG_get0_s(signature.as_ptr()), s);
        }
        Ok(())
    }

    /// The x coordinate of the shared point, `curve().element_len()` bytes.
    ///
    /// Not by ECDH_compute_key, which makes a key of the peer's point and checks it again. Unlike that, EC_POINT_mul leaves
    /// the private value and the product on the stack.
    ///
    /// # Errors
    /// CKR_PUBLIC_KEY_INVALID, as [`PublicKey::new`], for the peer's point.
    pub fn agree(&self, peer: &[u8]) -> Result<Secret> {
        let point = Point::parse(self.curve, peer)?;
        let (group, x) = (self.curve.group(), Number::zero()?);
        let mut out = Secret::zeroed(self.curve.element_len());
        // SAFETY: valid objects of one group. The product takes the place of the peer's point, and has no coordinates
        // if that is infinity.
        let agreed = wiping_stack_of::<DEPTH, _>(|| unsafe {
            let own = ffi::EC_KEY_get0_private_key(self.key.as_ptr());
            let (point, none) = (point.0.as_ptr(), ptr::null_mut());
            ffi::EC_POINT_mul(group, point, ptr::null(), point, own, none) == 1
                && ffi::EC_POINT_get_affine_coordinates(group, point, x.as_ptr(), ptr::null_mut(), none) == 1
                && write_padded(x.as_ptr(), out.expose_mut())
        });
        if agreed { Ok(out) } else { Err(invalid_point()) }
    }
}

fn empty(curve: Curve) -> Result<Owned<ffi::EC_KEY>> {
    // SAFETY: a new object, owned by us; the group is a static.
    unsafe {
        let key = Owned::new(ffi::EC_KEY_new())?;
        ok(ffi::EC_KEY_set_group(key.as_ptr(), curve.group()), "EC_KEY_set_group")?;
        Ok(key)
    }
}

fn invalid_point() -> crate::error::Error {
    Rv::PublicKeyInvalid.because("the point is not on the curve")
}

struct Point(Owned<ffi::EC_POINT>);

impl Point {
    fn parse(curve: Curve, point: &[u8]) -> Result<Point> {
        // SAFETY: a new point of the group; `point` is valid for its length.
        unsafe {
            let parsed = Owned::new(ffi::EC_POINT_new(curve.group()))?;
            let (from, len) = (point.as_ptr(), point.len());
            match ffi::EC_POINT_oct2point(curve.group(), parsed.as_ptr(), from, len, ptr::null_mut()) {
                1 => Ok(Point(parsed)),
                _ => Err(invalid_point()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::encoding::Der;

    #[test]
    fn sign_verify_agree_on_every_curve() {
        for &curve in Curve::ALL {
            let (a, b) = (PrivateKey::generate(curve).unwrap(), PrivateKey::generate(curve).unwrap());
            let mut signature = vec![0; 2 * curve.element_len()];
            a.sign(&[7; 80], &mut signature).unwrap();
            assert!(a.verify(&[7; 80], &signature), "{curve:?}");
            assert!(!b.verify(&[7; 80], &signature));
            assert_eq!(a.agree(&b.point()).unwrap().expose(), b.agree(&a.point()).unwrap().expose());
            let again = PrivateKey::new(curve, a.value().expose()).unwrap();
            assert_eq!(again.point(), a.point());
        }
    }

    #[test]
    fn what_is_no_point_is_refused() {
        for &curve in Curve::ALL {
            let key = PrivateKey::generate(curve).unwrap();
            let good = key.point();
            let mut off = good.clone();
            off[2 * curve.element_len()] ^= 1;
            let zero = [&[4][..], &vec![0; 2 * curve.element_len()]].concat();
            let large = [&[4][..], &vec![0xff; 2 * curve.element_len()]].concat();
            for wrong in [&off[..], &zero, &large, &good[..good.len() - 1], &[0], &[]] {
                assert_eq!(PublicKey::new(curve, wrong).err().unwrap().rv(), Rv::PublicKeyInvalid);
                assert_eq!(key.agree(wrong).err().unwrap().rv(), Rv::PublicKeyInvalid);
            }
        }
    }

    #[test]
    fn points_are_found_in_their_wrappings() {
        for &curve in Curve::ALL {
            let point = PrivateKey::generate(curve).unwrap().point();
            let compressed =
                [&[2 | point[2 * curve.element_len()] & 1], &point[1..=curve.element_len()]].concat();
            assert_eq!(PublicKey::new(curve, &compressed).unwrap().point(), point);
            for bare in [&point, &compressed] {
                let octets = Der::Bytes(tag::OCTET_STRING, bare).encode_public();
                let bits = Der::Bits(bare).encode_public();
                assert_eq!(curve.bare_point(bare), Some(&bare[..]));
                assert_eq!(curve.bare_point(&octets), Some(&bare[..]));
                assert_eq!(curve.bare_point(&bits), Some(&bare[..]));
                assert_eq!(curve.bare_point(&[&octets[..], &[0]].concat()), None);
            }
        }
    }

    #[test]
    fn private_values_out_of_range_are_refused() {
        for value in [&[0; 32][..], &[], &[0xff; 32], &[1; 66]] {
            assert_eq!(PrivateKey::new(Curve::P256, value).err().unwrap().rv(), Rv::AttributeValueInvalid);
        }
    }

    #[test]
    fn parameters_are_recognised() {
        for &curve in Curve::ALL {
            assert_eq!(
                Curve::from_params(&Der::Bytes(tag::OID, curve.oid()).encode_public()).unwrap(),
                curve
            );
            for name in curve.names() {
                let name = Der::Bytes(tag::PRINTABLE_STRING, name.as_bytes()).encode_public();
                assert_eq!(Curve::from_params(&name).unwrap(), curve);
            }
        }
        let secp192r1 = hex::decode("06082a8648ce3d030101").unwrap();
        assert_eq!(Curve::from_params(&secp192r1).unwrap_err().rv(), Rv::CurveNotSupported);
        for wrong in ["", "06", "0500", "0605 2b81040022 00", "0401 00"] {
            let wrong = hex::decode(wrong.replace(' ', "")).unwrap();
            assert_eq!(Curve::from_params(&wrong).unwrap_err().rv(), Rv::DomainParamsInvalid);
        }
    }

    #[test]
    fn explicit_parameters_of_p256_are_recognised() {
        let der = "3081e0020101302c06072a8648ce3d0101022100ffffffff00000001000000000000000000000000ffffffffffff\
                   ffffffffffff30440420ffffffff00000001000000000000000000000000fffffffffffffffffffffffc04205ac6\
                   35d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b0441046b17d1f2e12c4247f8bce6e563\
                   a440f277037d812deb33a0f4a13945d898c2964fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb640\
                   6837bf51f5022100ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551020101";
        let mut der = hex::decode(der).unwrap();
        assert_eq!(Curve::from_params(&der).unwrap(), Curve::P256);
        let at = der.len() - 100;
        der[at] ^= 1;
        assert_eq!(Curve::from_params(&der).unwrap_err().rv(), Rv::CurveNotSupported);
    }
}
