//! How a key travels from one token to the other without ever being readable in between.

use super::{plan, proof};
use crate::connection::Connection;
use crate::key::wrap::{Method, wrap};
use clap::ValueEnum;
use pkcs11_client::cryptoki_sys::*;
use pkcs11_client::{Attr, Mechanism};

/// A way that both tokens know.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Way {
    /// CKM_RSA_AES_KEY_WRAP for every key.
    RsaAes,
    /// An AES key that goes over by RSA-OAEP once, and RFC 5649 with it for every key.
    AesKwp,
}

impl Way {
    /// As `--method` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Way::RsaAes => "rsa-aes",
            Way::AesKwp => "aes-kwp",
        }
    }
}

/// Bits of the RSA pair that lives for one migration.
const RSA_BITS: CK_ULONG = 3072;
const SHA256: (CK_MECHANISM_TYPE, CK_RSA_PKCS_MGF_TYPE) = (CKM_SHA256, CKG_MGF1_SHA256);
const SHA1: (CK_MECHANISM_TYPE, CK_RSA_PKCS_MGF_TYPE) = (CKM_SHA_1, CKG_MGF1_SHA1);

/// What NSS knows a private key on a curve by, and does not compute itself: the public point.
const CKA_NSS_DB: CK_ATTRIBUTE_TYPE = 0xd5a0_db00;

/// Session keys on both sides: one wraps there, the other unwraps here.
pub struct Carrier {
    pub way: Way,
    method: Method,
    wrapping: CK_OBJECT_HANDLE,
    unwrapping: CK_OBJECT_HANDLE,
}

impl Carrier {
    /// Makes the session keys: by the wanted way, or by the first that works.
    ///
    /// # Errors
    /// A sentence with the reason of each way that failed.
    pub fn new(from: &Connection, to: &Connection, wanted: Option<Way>) -> Result<Carrier, String> {
        let ways: &[Way] = match &wanted {
            Some(way) => std::slice::from_ref(way),
            None => &[Way::RsaAes, Way::AesKwp],
        };
        let mut reasons = Vec::new();
        for way in ways {
            match Carrier::by(*way, from, to) {
                Ok(carrier) => return Ok(carrier),
                Err(why) => reasons.push(format!("{}: {why}", way.name())),
            }
        }
        Err(format!("the two tokens share no way of wrapping: {}", reasons.join("; ")))
    }

    fn by(way: Way, from: &Connection, to: &Connection) -> Result<Carrier, String> {
        let kwp = Method::ZeroPad;
        match way {
            Way::RsaAes => {
                let method = Method::RsaAes(SHA256);
                method.mechanism(from)?;
                method.mechanism(to)?;
                let (wrapping, unwrapping) = rsa(from, to)?;
                Ok(Carrier { way, method, wrapping, unwrapping })
            }
            Way::AesKwp => {
                kwp.mechanism(from)?;
                kwp.mechanism(to)?;
                let (public, private) = rsa(from, to)?;
                let template = [
                    Attr::ulong(CKA_VALUE_LEN, 32),
                    Attr::bool(CKA_TOKEN, false),
                    Attr::bool(CKA_SENSITIVE, true),
                    Attr::bool(CKA_EXTRACTABLE, true),
                    Attr::bool(CKA_WRAP, true),
                ];
                let session = &from.session;
                let aes = session
                    .generate_key(&Mechanism::new(CKM_AES_KEY_GEN), &template)
                    .map_err(|rv| format!("generating an AES key: {rv}"))?;
                let mut last = String::new();
                // Some modules know OAEP with SHA-1 only, which is as safe.
                for hash in [SHA256, SHA1] {
                    match over(from, to, Method::Oaep(hash), public, private, aes) {
                        Ok(unwrapping) => return Ok(Carrier { way, method: kwp, wrapping: aes, unwrapping }),
                        Err(why) => last = why,
                    }
                }
                Err(last)
            }
        }
    }

    /// Moves a key; the new one's handle.
    ///
    /// # Errors
    /// A sentence that says which side refused.
    pub fn carry(
        &self,
        from: &Connection,
        to: &Connection,
        key: CK_OBJECT_HANDLE,
        template: &[Attr],
    ) -> Result<CK_OBJECT_HANDLE, String> {
        let (wrapped, _) = wrap(from, self.method.clone(), self.wrapping, key)?;
        let mechanism = self.method.mechanism(to)?;
        let unwrap = |template: &[Attr]| to.session.unwrap(&mechanism, self.unwrapping, &wrapped, template);
        let unwrapped = match (unwrap(template), proof::public_point((from, key))) {
            (Err(rv), Some(point)) if rv == CKR_TEMPLATE_INCOMPLETE => {
                unwrap(&[template, &[Attr::bytes(CKA_NSS_DB, point)]].concat())
            }
            (unwrapped, _) => unwrapped,
        };
        unwrapped.map_err(|rv| plan::refused("unwrapping", rv))
    }
}

/// A session RSA pair: the public key in `from`, the private one in `to`.
fn rsa(from: &Connection, to: &Connection) -> Result<(CK_OBJECT_HANDLE, CK_OBJECT_HANDLE), String> {
    let maker = to.offered("RSA pairs", &[CKM_RSA_PKCS_KEY_PAIR_GEN, CKM_RSA_X9_31_KEY_PAIR_GEN])?;
    let public = [
        Attr::ulong(CKA_MODULUS_BITS, RSA_BITS),
        Attr::bytes(CKA_PUBLIC_EXPONENT, [1, 0, 1]),
        Attr::bool(CKA_TOKEN, false),
        Attr::bool(CKA_WRAP, true),
    ];
    let private = [Attr::bool(CKA_TOKEN, false), Attr::bool(CKA_PRIVATE, true), Attr::bool(CKA_UNWRAP, true)];
    let pair = to.session.generate_key_pair(&Mechanism::new(maker), &public, &private);
    let (public, private) = pair.map_err(|rv| format!("generating an RSA pair: {rv}"))?;
    let part =
        |kind| to.session.attribute(public, kind).map_err(|rv| format!("reading the RSA public key: {rv}"));
    let template = [
        Attr::class(CKO_PUBLIC_KEY),
        Attr::key_type(CKK_RSA),
        Attr::bytes(CKA_MODULUS, part(CKA_MODULUS)?),
        Attr::bytes(CKA_PUBLIC_EXPONENT, part(CKA_PUBLIC_EXPONENT)?),
        Attr::bool(CKA_TOKEN, false),
        Attr::bool(CKA_WRAP, true),
    ];
    let there = from
        .session
        .create_object(&template)
        .map_err(|rv| format!("bringing over the RSA public key: {rv}"))?;
    Ok((there, private))
}

/// The AES key, brought over by RSA.
fn over(
    from: &Connection,
    to: &Connection,
    method: Method,
    public: CK_OBJECT_HANDLE,
    private: CK_OBJECT_HANDLE,
    aes: CK_OBJECT_HANDLE,
) -> Result<CK_OBJECT_HANDLE, String> {
    let mechanism = method.mechanism(to)?;
    let (wrapped, _) = wrap(from, method, public, aes)?;
    let template = [
        Attr::class(CKO_SECRET_KEY),
        Attr::key_type(CKK_AES),
        Attr::bool(CKA_TOKEN, false),
        Attr::bool(CKA_SENSITIVE, true),
        Attr::bool(CKA_UNWRAP, true),
    ];
    to.session
        .unwrap(&mechanism, private, &wrapped, &template)
        .map_err(|rv| format!("unwrapping the AES key: {rv}"))
}
