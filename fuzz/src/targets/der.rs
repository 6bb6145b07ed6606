//! Everything that reads DER: keys in PKCS#8, EC parameters and points. What is read must be what was written.

use crate::Input;
use coffer_pkcs11::crypto::ec::{Curve, PublicKey};
use coffer_pkcs11::crypto::encoding::{Reader, read_private_key_info, tag};
use pkcs11_client::cryptoki_sys::*;
use pkcs11_client::{Attr, Mechanism, Session};
use std::cell::OnceCell;

/// A session with an AES key that wraps the bytes, so that C_UnwrapKey reads them.
struct Wrapping {
    session: Session,
    aes: CK_OBJECT_HANDLE,
}

impl Wrapping {
    fn new() -> Wrapping {
        let session = crate::session();
        let template = [
            Attr::class(CKO_SECRET_KEY),
            Attr::key_type(CKK_AES),
            Attr::bytes(CKA_VALUE, [7; 16]),
            Attr::bool(CKA_ENCRYPT, true),
            Attr::bool(CKA_UNWRAP, true),
        ];
        let aes = session.create_object(&template).expect("C_CreateObject");
        Wrapping { session, aes }
    }

    /// The PKCS#8 reader of every family.
    fn unwrap(&self, key_type: CK_KEY_TYPE, payload: &[u8]) {
        let cbc = Mechanism::bytes(CKM_AES_CBC_PAD, &[0; 16]);
        let wrapped = self.session.encrypt(&cbc, self.aes, payload).expect("C_Encrypt");
        let template = [Attr::class(CKO_PRIVATE_KEY), Attr::key_type(key_type)];
        if let Ok(key) = self.session.unwrap(&cbc, self.aes, &wrapped, &template) {
            self.session.destroy(key).expect("C_DestroyObject");
        }
    }

    /// EC parameters and points as attributes.
    fn create(&self, key_type: CK_KEY_TYPE, params: &[u8], point: &[u8]) {
        let template = [
            Attr::class(CKO_PUBLIC_KEY),
            Attr::key_type(key_type),
            Attr::bytes(CKA_EC_PARAMS, params),
            Attr::bytes(CKA_EC_POINT, point),
        ];
        if let Ok(key) = self.session.create_object(&template) {
            let _ = self.session.attribute(key, CKA_PUBLIC_KEY_INFO);
            self.session.destroy(key).expect("C_DestroyObject");
        }
    }
}

/// Descends into everything that is constructed.
fn walk(mut reader: Reader<'_>, depth: usize) {
    while let Some((found, inner)) = reader.any() {
        if depth > 0 && found & tag::constructed(0) == tag::constructed(0) {
            walk(Reader::new(inner), depth - 1);
        }
    }
}

/// One input.
pub fn run(data: &[u8]) {
    thread_local! { static WRAPPING: OnceCell<Wrapping> = const { OnceCell::new() } }
    let mut input = Input(data);
    let (way, rest) = (input.byte(), input.0);
    match way % 4 {
        0 => {
            walk(Reader::new(rest), 8);
            for step in [Reader::unsigned, Reader::bits, Reader::encoded] {
                let _ = step(&mut Reader::new(rest));
            }
            let _ = read_private_key_info(rest);
        }
        1 => WRAPPING.with(|wrapping| {
            let key_types = [CKK_RSA, CKK_EC, CKK_EC_EDWARDS, CKK_EC_MONTGOMERY, CKK_ML_DSA, CKK_ML_KEM];
            let key_type = input.pick(&key_types);
            wrapping.get_or_init(Wrapping::new).unwrap(key_type, input.0);
        }),
        2 => WRAPPING.with(|wrapping| {
            let key_type = input.pick(&[CKK_EC, CKK_EC_EDWARDS, CKK_EC_MONTGOMERY]);
            let params = input.bytes(80);
            wrapping.get_or_init(Wrapping::new).create(key_type, params, input.0);
        }),
        _ => {
            let params = input.bytes(80);
            let Ok(curve) = Curve::from_params(params) else { return };
            if let Some(bare) = curve.bare_point(input.0)
                && let Ok(key) = PublicKey::new(curve, bare)
            {
                // A compressed one has no Y.
                assert!(key.point()[1..].starts_with(&bare[1..]));
            }
        }
    }
}
