//! The cloudhsm profile: what AWS CloudHSM's own samples take for granted.

mod common;

use common::*;
use pkcs11_conformance::client::{Attr, Mechanism, Rv, Session};

const PIN: &str = "Crypto_User:password1";
const VENDOR: CK_MECHANISM_TYPE = CKM_VENDOR_DEFINED;

/// A session of a user in the one slot there is.
fn user() -> Session {
    let module = module();
    let slots = module.slots(true).unwrap();
    assert_eq!(slots.len(), 1, "the samples have room for one slot");
    module.init_token(slots[0], SO_PIN, "hsm").unwrap();
    assert_eq!(module.slots(true).unwrap(), slots, "still one once the token is made");
    let session = module.open_session(slots[0], true).unwrap();
    session.login(CKU_SO, SO_PIN).unwrap();
    assert_eq!(Rv::of(&session.init_pin("password1")), Rv(CKR_PIN_INVALID), "a PIN without a name");
    assert_eq!(Rv::of(&session.init_pin("user:short")), Rv(CKR_PIN_LEN_RANGE));
    session.init_pin(PIN).unwrap();
    session.logout().unwrap();
    assert_eq!(Rv::of(&session.login(CKU_USER, "other:password1")), Rv(CKR_PIN_INCORRECT));
    assert_eq!(Rv::of(&session.login(CKU_USER, "crypto_user:password2")), Rv(CKR_PIN_INCORRECT));
    session.login(CKU_USER, "crypto_user:password1").unwrap();
    assert_eq!(Rv::of(&session.login(CKU_USER, PIN)), Rv(CKR_USER_ALREADY_LOGGED_IN));
    session
}

#[test]
fn users_have_names_and_the_slot_is_one() {
    if !in_cloudhsm_child("users_have_names_and_the_slot_is_one") {
        user();
    }
}

#[test]
fn keys_are_extractable_and_sensitive_unless_said() {
    if in_cloudhsm_child("keys_are_extractable_and_sensitive_unless_said") {
        return;
    }
    let session = user();
    let key = session
        .generate_key(
            &Mechanism::new(CKM_AES_KEY_GEN),
            &[Attr::ulong(CKA_VALUE_LEN, 32), Attr::bool(CKA_TOKEN, false)],
        )
        .unwrap();
    assert!(session.attribute_bool(key, CKA_EXTRACTABLE).unwrap());
    assert!(session.attribute_bool(key, CKA_SENSITIVE).unwrap());
    assert!(session.attribute_bool(key, CKA_PRIVATE).unwrap());
    assert_eq!(Rv::of(&session.attribute(key, CKA_VALUE)), Rv(CKR_ATTRIBUTE_SENSITIVE));
}

#[test]
fn gcm_makes_its_own_iv() {
    if in_cloudhsm_child("gcm_makes_its_own_iv") {
        return;
    }
    let session = user();
    let uses = [Attr::ulong(CKA_VALUE_LEN, 32), Attr::bool(CKA_ENCRYPT, true), Attr::bool(CKA_DECRYPT, true)];
    let key = session.generate_key(&Mechanism::new(CKM_AES_KEY_GEN), &uses).unwrap();
    let zeros = Mechanism::gcm(CKM_AES_GCM, &[0; 12], b"aad", 128);
    let sealed = session.encrypt(&zeros, key, b"plaintext").unwrap();
    let iv = zeros.block(0);
    assert_ne!(iv, [0; 12], "the IV is written into the caller's buffer");
    let given = Mechanism::gcm(CKM_AES_GCM, &iv, b"aad", 128);
    assert_eq!(session.decrypt(&given, key, &sealed).unwrap(), b"plaintext");
    assert_eq!(
        Rv::of(&session.encrypt(&Mechanism::gcm(CKM_AES_GCM, &[7; 12], b"", 128), key, b"x")),
        Rv(CKR_MECHANISM_PARAM_INVALID),
        "a caller's IV is refused"
    );
    let again = Mechanism::gcm(CKM_AES_GCM, &[0; 12], b"aad", 128);
    assert_ne!(session.encrypt(&again, key, b"plaintext").unwrap(), sealed, "each IV is fresh");
}

#[test]
fn only_its_own_mechanisms_are_listed() {
    if in_cloudhsm_child("only_its_own_mechanisms_are_listed") {
        return;
    }
    let session = user();
    let module = session.module();
    let listed = module.mechanisms(module.slots(true).unwrap()[0]).unwrap();
    // The samples' mechanism_info gives up at the first number that 2.40 and the vendor do not have.
    for later in [CKM_EDDSA, CKM_ML_KEM, CKM_ML_DSA, CKM_SHA3_256, CKM_HKDF_DERIVE, CKM_AES_XTS] {
        assert!(!listed.contains(&later), "{later:#x}");
    }
    for there in
        [CKM_AES_GCM, CKM_DES3_ECB, CKM_RSA_AES_KEY_WRAP, VENDOR | 0x1087, VENDOR | 0x2109, VENDOR | 1]
    {
        assert!(listed.contains(&there), "{there:#x}");
    }
}

#[test]
fn ed25519_keys_come_of_the_ec_mechanism() {
    if in_cloudhsm_child("ed25519_keys_come_of_the_ec_mechanism") {
        return;
    }
    let session = user();
    let public = [Attr::bytes(CKA_EC_PARAMS, [6, 3, 0x2b, 0x65, 0x70]), Attr::bool(CKA_VERIFY, true)];
    let private = [Attr::bool(CKA_SIGN, true)];
    let pair = session.generate_key_pair(&Mechanism::new(CKM_EC_KEY_PAIR_GEN), &public, &private);
    let (public, private) = pair.unwrap();
    let eddsa = Mechanism::new(VENDOR | CKM_EDDSA);
    let signature = session.sign(&eddsa, private, b"message").unwrap();
    session.verify(&eddsa, public, b"message", &signature).unwrap();
    assert!(session.verify(&eddsa, public, b"another", &signature).is_err());
}
