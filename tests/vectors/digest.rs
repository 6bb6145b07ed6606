//! Hash functions.

use super::numbers::named;
use super::set::{Run, bytes, lines};
use pkcs11_conformance::client::Mechanism;
use pkcs11_conformance::client::cryptoki_sys::*;

sets! {
    digests: 253 tests, 0 skipped;
}

/// NIST's messages, whole, in pieces and as the value of a key.
fn digests(run: &Run) {
    let s = run.session();
    for (n, line) in lines(include_str!("../data/digest.txt")).enumerate() {
        let [message, digest] = [1, 2].map(|field| bytes(line[field]));
        let (mechanism, case) = (Mechanism::new(named(line[0]).digest), format!("{} {n}", line[0]));
        run.gives(CKF_DIGEST, &mechanism, s.digest(&mechanism, &message), digest.clone(), &case);
        run.gives(CKF_DIGEST, &mechanism, s.digest_parts(&mechanism, &message, 17), digest.clone(), &case);
        if !message.is_empty() {
            let key = run.secret(CKK_GENERIC_SECRET, &message, &[]).unwrap();
            s.digest_init(&mechanism).unwrap();
            s.digest_key(key).unwrap();
            run.gives(CKF_DIGEST, &mechanism, s.digest_final(), digest, &case);
        }
    }
}
