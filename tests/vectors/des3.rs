//! Triple DES: a user's DES2 keys and DES3 keys.

use super::set::{Run, bytes, lines};
use pkcs11_conformance::client::Mechanism;
use pkcs11_conformance::client::cryptoki_sys::*;

sets! {
    modes: 160 tests, 0 skipped;
    cbc_pad: 54 tests, 0 skipped;
}

fn key(run: &Run, value: &[u8]) -> CK_OBJECT_HANDLE {
    let key_type = if value.len() == 16 { CKK_DES2 } else { CKK_DES3 };
    run.secret(key_type, value, &[CKA_ENCRYPT, CKA_DECRYPT, CKA_WRAP, CKA_UNWRAP]).unwrap()
}

fn modes(run: &Run) {
    for (n, line) in lines(include_str!("../data/des3.txt")).enumerate() {
        let [value, iv, plain, cipher] = [1, 2, 3, 4].map(|field| bytes(line[field]));
        let mechanism = match line[0] {
            "ECB" => Mechanism::new(CKM_DES3_ECB),
            "CBC" => Mechanism::bytes(CKM_DES3_CBC, &iv),
            other => panic!("{other}"),
        };
        run.both_ways(&mechanism, key(run, &value), &plain, &cipher, format_args!("{} {n}", line[0]));
    }
}

/// OpenSSL's ciphertexts, the plaintexts taken as data and as keys; the last byte of the padding spoilt is refused.
fn cbc_pad(run: &Run) {
    for (n, line) in lines(include_str!("../data/des3_pad.txt")).enumerate() {
        let [value, iv, plain, cipher] = [1, 2, 3, 4].map(|field| bytes(line[field]));
        let (key, mechanism) = (key(run, &value), Mechanism::bytes(CKM_DES3_CBC_PAD, &iv));
        run.both_ways(&mechanism, key, &plain, &cipher, n);
        if !plain.is_empty() {
            run.wraps(&mechanism, key, &plain, &cipher, n);
        }
        let cut = &cipher[..cipher.len() - 1];
        run.refuses(run.session().decrypt(&mechanism, key, cut), n);
        run.refuses(run.unwrapped(&mechanism, key, cut, None), n);
    }
}
