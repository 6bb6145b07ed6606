//! Tokens in fips mode, and the strict policy: what is refused, and what is not.

mod common;

use common::*;
use pkcs11_conformance::client::{Attr, Mechanism, Rv, Session};

fn fips_child(name: &str) -> bool {
    in_child(name, &[("COFFER_TEST_MORE", "mode = \"fips\"")])
}

fn aes(session: &Session, uses: &[Attr]) -> pkcs11_conformance::client::Result<CK_OBJECT_HANDLE> {
    let mut template = vec![Attr::ulong(CKA_VALUE_LEN, 32), Attr::bool(CKA_EXTRACTABLE, true)];
    template.extend(uses.iter().cloned());
    session.generate_key(&Mechanism::new(CKM_AES_KEY_GEN), &template)
}

fn rsa(
    session: &Session,
    bits: CK_ULONG,
) -> pkcs11_conformance::client::Result<(CK_OBJECT_HANDLE, CK_OBJECT_HANDLE)> {
    let public =
        [Attr::ulong(CKA_MODULUS_BITS, bits), Attr::bool(CKA_ENCRYPT, true), Attr::bool(CKA_VERIFY, true)];
    let private = [Attr::bool(CKA_DECRYPT, true), Attr::bool(CKA_SIGN, true)];
    session.generate_key_pair(&Mechanism::new(CKM_RSA_PKCS_KEY_PAIR_GEN), &public, &private)
}

#[test]
fn fips_tokens_refuse_old_algorithms() {
    if fips_child("fips_tokens_refuse_old_algorithms") {
        return;
    }
    let token = TestToken::new();
    let session = &token.session;
    let refused = |outcome: Rv| assert_eq!(outcome, Rv(CKR_MECHANISM_INVALID));
    refused(Rv::of(&session.generate_key(&Mechanism::new(CKM_DES3_KEY_GEN), &[])));
    let (public, private) = rsa(session, 2048).unwrap();
    refused(Rv::of(&session.encrypt(&Mechanism::new(CKM_RSA_PKCS), public, b"x")));
    refused(Rv::of(&session.decrypt(&Mechanism::new(CKM_RSA_PKCS), private, &[0; 256])));
    refused(Rv::of(&session.sign(&Mechanism::new(CKM_SHA1_RSA_PKCS), private, b"x")));
    for exponent in [&[3][..], &[0, 0xFF, 0xFF], &[1, 0, 0]] {
        let public = [Attr::ulong(CKA_MODULUS_BITS, 2048), Attr::bytes(CKA_PUBLIC_EXPONENT, exponent)];
        let made = session.generate_key_pair(&Mechanism::new(CKM_RSA_X9_31_KEY_PAIR_GEN), &public, &[]);
        assert_eq!(Rv::of(&made), Rv(CKR_ATTRIBUTE_VALUE_INVALID), "{exponent:?}");
    }
    let listed = token.module.mechanisms(token.slot).unwrap();
    assert!(!listed.contains(&CKM_DES3_KEY_GEN) && !listed.contains(&CKM_RSA_X_509));
}

#[test]
fn fips_tokens_do_what_is_approved() {
    if fips_child("fips_tokens_do_what_is_approved") {
        return;
    }
    let token = TestToken::new();
    let session = &token.session;
    let (public, private) = rsa(session, 2048).unwrap();
    for number in [CKM_RSA_PKCS, CKM_SHA256_RSA_PKCS, CKM_SHA384_RSA_PKCS] {
        let mechanism = Mechanism::new(number);
        let signature = session.sign(&mechanism, private, b"message").unwrap();
        session.verify(&mechanism, public, b"message", &signature).unwrap();
    }
    let oaep = Mechanism::oaep(CKM_SHA256, CKG_MGF1_SHA256, b"");
    let sealed = session.encrypt(&oaep, public, b"message").unwrap();
    assert_eq!(session.decrypt(&oaep, private, &sealed).unwrap(), b"message");
    let key = aes(session, &[Attr::bool(CKA_ENCRYPT, true), Attr::bool(CKA_DECRYPT, true)]).unwrap();
    let gcm = Mechanism::gcm(CKM_AES_GCM, &[1; 12], b"", 128);
    let sealed = session.encrypt(&gcm, key, b"message").unwrap();
    assert_eq!(session.decrypt(&gcm, key, &sealed).unwrap(), b"message");
}

/// C_GetMechanismInfo shows no use that every key is refused.
#[test]
fn fips_tokens_do_not_show_what_they_refuse() {
    if fips_child("fips_tokens_do_not_show_what_they_refuse") {
        return;
    }
    let token = TestToken::public();
    let info = |number| token.module.mechanism_info(token.slot, number).unwrap();
    let shown = |number, flags| info(number).flags & flags;
    assert_eq!(shown(CKM_DES3_CBC, CKF_ENCRYPT | CKF_DECRYPT), CKF_DECRYPT);
    assert_eq!(shown(CKM_DES3_CBC_PAD, CKF_WRAP | CKF_UNWRAP), CKF_UNWRAP);
    assert_eq!(shown(CKM_ECDSA_SHA1, CKF_SIGN | CKF_VERIFY), CKF_VERIFY);
    let all = CKF_ENCRYPT | CKF_DECRYPT | CKF_WRAP | CKF_UNWRAP | CKF_SIGN | CKF_VERIFY;
    assert_eq!(shown(CKM_RSA_PKCS, all), CKF_SIGN | CKF_VERIFY);
    assert_eq!(shown(CKM_RSA_PKCS_OAEP, all), all & !(CKF_SIGN | CKF_VERIFY));
    let least = [CKM_SHA256_RSA_PKCS, CKM_SHA256_HMAC, CKM_GENERIC_SECRET_KEY_GEN]
        .map(|number| info(number).ulMinKeySize);
    assert_eq!(least, [2048, 14, 112]);
}

#[test]
fn strict_tokens_do_not_show_what_they_refuse() {
    if in_strict_child("strict_tokens_do_not_show_what_they_refuse") {
        return;
    }
    let token = TestToken::new();
    let wraps = |number| token.module.mechanism_info(token.slot, number).unwrap().flags & CKF_WRAP != 0;
    let wrapping = aes(&token.session, &[Attr::bool(CKA_WRAP, true)]).unwrap();
    let payload = aes(&token.session, &[]).unwrap();
    let mut seen = [0, 0];
    for mechanism in [
        Mechanism::bytes(CKM_AES_CBC_PAD, &[0; 16]),
        Mechanism::new(CKM_AES_KEY_WRAP),
        Mechanism::new(CKM_AES_KEY_WRAP_KWP),
        Mechanism::gcm(CKM_AES_GCM, &[1; 12], b"", 128),
    ] {
        let outcome = Rv::of(&token.session.wrap(&mechanism, wrapping, payload));
        let shown = wraps(mechanism.number());
        assert_eq!(
            outcome,
            Rv(if shown { CKR_OK } else { CKR_MECHANISM_INVALID }),
            "{:#x}",
            mechanism.number()
        );
        seen[usize::from(shown)] += 1;
    }
    assert_eq!(seen, [1, 3]);
    assert!(!wraps(CKM_RSA_PKCS) && wraps(CKM_RSA_PKCS_OAEP));
}

#[test]
fn fips_tokens_want_longer_pins() {
    if fips_child("fips_tokens_want_longer_pins") {
        return;
    }
    let token = TestToken::new();
    assert_eq!(Rv::of(&token.session.set_pin(USER_PIN, "1234567")), Rv(CKR_PIN_LEN_RANGE));
    token.session.set_pin(USER_PIN, "12345678").unwrap();
}

#[test]
fn strict_tokens_refuse_roles_that_undo_each_other() {
    if in_strict_child("strict_tokens_refuse_roles_that_undo_each_other") {
        return;
    }
    let token = TestToken::new();
    let yes = |attribute| Attr::bool(attribute, true);
    for roles in [[CKA_WRAP, CKA_DECRYPT], [CKA_UNWRAP, CKA_ENCRYPT]] {
        let outcome = aes(&token.session, &roles.map(yes));
        assert_eq!(Rv::of(&outcome), Rv(CKR_TEMPLATE_INCONSISTENT), "{roles:x?}");
    }
    let wrapping = aes(&token.session, &[yes(CKA_WRAP), yes(CKA_UNWRAP)]).unwrap();
    let payload = aes(&token.session, &[yes(CKA_ENCRYPT)]).unwrap();
    token.session.wrap(&Mechanism::new(CKM_AES_KEY_WRAP_KWP), wrapping, payload).unwrap();
    let cbc = Mechanism::bytes(CKM_AES_CBC_PAD, &[0; 16]);
    assert_eq!(Rv::of(&token.session.wrap(&cbc, wrapping, payload)), Rv(CKR_MECHANISM_INVALID));
    let itself = token.session.wrap(&Mechanism::new(CKM_AES_KEY_WRAP_KWP), wrapping, wrapping);
    assert_eq!(Rv::of(&itself), Rv(CKR_KEY_NOT_WRAPPABLE));
}

#[test]
fn strict_tokens_take_no_weak_des_key() {
    if in_strict_child("strict_tokens_take_no_weak_des_key") {
        return;
    }
    let token = TestToken::new();
    let import = |value: [u64; 3]| {
        let value = value.map(u64::to_be_bytes).concat();
        let template = [
            Attr::ulong(CKA_CLASS, CKO_SECRET_KEY),
            Attr::ulong(CKA_KEY_TYPE, CKK_DES3),
            Attr::bytes(CKA_VALUE, &value),
        ];
        Rv::of(&token.session.create_object(&template))
    };
    let (a, b, c) = (0x0123_4567_89AB_CDEF, 0x2345_6789_ABCD_EF01, 0x4567_89AB_CDEF_0123);
    assert_eq!(import([a, b, c]), Rv(CKR_OK));
    // Single DES, two-key triple DES, a weak and a semi-weak part.
    for weak in [[a, a, c], [a, b, a], [0x0101_0101_0101_0101, b, c], [a, 0x01FE_01FE_01FE_01FE, c]] {
        assert_eq!(import(weak), Rv(CKR_ATTRIBUTE_VALUE_INVALID), "{weak:x?}");
    }
}
