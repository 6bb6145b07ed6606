//! CKM_RSA_AES_KEY_WRAP on blobs that OpenSSL made.

use super::numbers::named;
use super::rsa::openssl_pair;
use super::set::{Run, bytes, lines};
use coffer_pkcs11::crypto::encoding::{Reader, tag};
use pkcs11_conformance::client::cryptoki_sys::*;
use pkcs11_conformance::client::{Attr, Mechanism};

sets! {
    openssl: 60 tests, 0 skipped;
}

/// Keys out of each blob, then wrapped by us and unwrapped again: the AES key in a blob is random, and what unwraps
/// OpenSSL's blobs unwraps ours.
fn openssl(run: &Run) {
    let text = include_str!("../data/rsa_aes_wrap.txt");
    let ((public, private), s) = (openssl_pair(run, text), run.session());
    for line in lines(text).skip(1) {
        let (hash, bits) = (named(line[1]), line[2].parse::<CK_ULONG>().expect("AES bits"));
        let [payload, point, blob] = [3, 4, 5].map(|field| bytes(line[field]));
        let mgf = hash.signing.expect("a generator").mgf;
        let mechanism = Mechanism::rsa_aes(bits, hash.digest, mgf);
        let (class, key_type) = match line[0] {
            "DES3" => (CKO_SECRET_KEY, CKK_DES3),
            "AES" => (CKO_SECRET_KEY, CKK_AES),
            "GENERIC" => (CKO_SECRET_KEY, CKK_GENERIC_SECRET),
            "P256" => (CKO_PRIVATE_KEY, CKK_EC),
            other => panic!("{other}"),
        };
        // An EC key shows its private value, which PKCS#8 holds deep inside.
        let value = if point.is_empty() { payload } else { ec_value(&payload) };
        let free = [Attr::bool(CKA_SENSITIVE, false), Attr::bool(CKA_EXTRACTABLE, true)];
        let template = [&[Attr::class(class), Attr::key_type(key_type)], &free[..]].concat();
        let case = format!("{} {} {}", line[0], line[1], line[2]);

        let key = s.unwrap(&mechanism, private, &blob, &template).unwrap_or_else(|rv| panic!("{case}: {rv}"));
        run.gives(CKF_UNWRAP, &mechanism, s.attribute(key, CKA_VALUE), value.clone(), &case);
        let ours = s.wrap(&mechanism, public, key).unwrap();
        assert_ne!(ours, blob);
        let again = s.unwrap(&mechanism, private, &ours, &template);
        run.gives(CKF_WRAP, &mechanism, run.value(again), value, &case);

        let mut spoilt = blob;
        *spoilt.last_mut().expect("a blob") ^= 1;
        run.refuses(s.unwrap(&mechanism, private, &spoilt, &template), &case);
    }
}

/// The private value in the PKCS#8 of an EC key (RFC 5915).
fn ec_value(pkcs8: &[u8]) -> Vec<u8> {
    let (_, key) = coffer_pkcs11::crypto::encoding::read_private_key_info(pkcs8).expect("PKCS#8");
    let mut fields = Reader::new(key).enter(tag::SEQUENCE).expect("ECPrivateKey");
    fields.unsigned();
    fields.read(tag::OCTET_STRING).expect("privateKey").to_vec()
}
