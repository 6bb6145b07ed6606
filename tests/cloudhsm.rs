//! The cloudhsm profile: what AWS CloudHSM's own samples take for granted.

mod common;
#[path = "cloudhsm/keys.rs"]
mod keys;
#[path = "cloudhsm/samples.rs"]
mod samples;
#[path = "cloudhsm/sessions.rs"]
mod sessions;
#[path = "cloudhsm/wrapping.rs"]
mod wrapping;

use common::*;
use pkcs11_conformance::client::{Attr, Mechanism, Result, Rv, Segment, Session};
use std::collections::BTreeSet;

const PIN: &str = "Crypto_User:password1";
const VENDOR: CK_MECHANISM_TYPE = CKM_VENDOR_DEFINED;
const CLOUDHSM_AES_GCM: CK_MECHANISM_TYPE = VENDOR | 0x1087;
const NO_PAD: CK_MECHANISM_TYPE = VENDOR | 0x2109;
const PKCS5_PAD: CK_MECHANISM_TYPE = VENDOR | 0x210a;
const ZERO_PAD: CK_MECHANISM_TYPE = VENDOR | 0x216f;
const COUNTER_KDF: CK_MECHANISM_TYPE = VENDOR | 1;
const EXT_MU_ML_DSA: CK_MECHANISM_TYPE = VENDOR | 0x1e;

fn yes(attribute: CK_ATTRIBUTE_TYPE) -> Attr {
    Attr::bool(attribute, true)
}

/// An AES-256 session key with these uses, by as short a template as the samples have.
fn aes(session: &Session, uses: &[CK_ATTRIBUTE_TYPE]) -> CK_OBJECT_HANDLE {
    let mut template = vec![Attr::ulong(CKA_VALUE_LEN, 32), Attr::bool(CKA_TOKEN, false)];
    template.extend(uses.iter().map(|usage| yes(*usage)));
    session.generate_key(&Mechanism::new(CKM_AES_KEY_GEN), &template).unwrap()
}

fn rsa(
    session: &Session,
    bits: CK_ULONG,
    public: &[Attr],
    private: &[Attr],
) -> Result<(CK_OBJECT_HANDLE, CK_OBJECT_HANDLE)> {
    let size = [Attr::ulong(CKA_MODULUS_BITS, bits), Attr::bytes(CKA_PUBLIC_EXPONENT, [1, 0, 1])];
    let generator = Mechanism::new(CKM_RSA_X9_31_KEY_PAIR_GEN);
    session.generate_key_pair(&generator, &[&size, public].concat(), private)
}

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

/// What the user guide lists for non-FIPS clusters.
#[rustfmt::skip]
const LISTED: &[CK_MECHANISM_TYPE] = &[
    CKM_RSA_PKCS_KEY_PAIR_GEN,
    CKM_RSA_X9_31_KEY_PAIR_GEN,
    CKM_EC_KEY_PAIR_GEN,
    VENDOR | CKM_ML_DSA_KEY_PAIR_GEN,
    CKM_GENERIC_SECRET_KEY_GEN,
    CKM_AES_KEY_GEN,
    CKM_DES3_KEY_GEN,
    CKM_RSA_X_509,
    CKM_RSA_PKCS,
    CKM_RSA_PKCS_PSS,
    CKM_SHA1_RSA_PKCS,
    CKM_SHA224_RSA_PKCS,
    CKM_SHA256_RSA_PKCS,
    CKM_SHA384_RSA_PKCS,
    CKM_SHA512_RSA_PKCS,
    CKM_SHA1_RSA_PKCS_PSS,
    CKM_SHA224_RSA_PKCS_PSS,
    CKM_SHA256_RSA_PKCS_PSS,
    CKM_SHA384_RSA_PKCS_PSS,
    CKM_SHA512_RSA_PKCS_PSS,
    CKM_ECDSA,
    CKM_ECDSA_SHA1,
    CKM_ECDSA_SHA224,
    CKM_ECDSA_SHA256,
    CKM_ECDSA_SHA384,
    CKM_ECDSA_SHA512,
    CKM_SHA_1_HMAC,
    CKM_SHA224_HMAC,
    CKM_SHA256_HMAC,
    CKM_SHA384_HMAC,
    CKM_SHA512_HMAC,
    CKM_AES_CMAC,
    VENDOR | CKM_EDDSA,
    VENDOR | CKM_ML_DSA,
    EXT_MU_ML_DSA,
    CKM_SHA_1,
    CKM_SHA224,
    CKM_SHA256,
    CKM_SHA384,
    CKM_SHA512,
    CKM_RSA_PKCS_OAEP,
    CKM_AES_ECB,
    CKM_AES_CTR,
    CKM_AES_CBC,
    CKM_AES_CBC_PAD,
    CKM_DES3_CBC,
    CKM_DES3_ECB,
    CKM_DES3_CBC_PAD,
    CKM_AES_GCM,
    CLOUDHSM_AES_GCM,
    COUNTER_KDF,
    CKM_ECDH1_DERIVE,
    CKM_RSA_AES_KEY_WRAP,
    NO_PAD,
    PKCS5_PAD,
    ZERO_PAD,
];

#[test]
fn the_mechanisms_are_those_of_the_user_guide() {
    if in_cloudhsm_child("the_mechanisms_are_those_of_the_user_guide") {
        return;
    }
    let (module, slot) = (module(), 0);
    let listed: BTreeSet<_> = module.mechanisms(slot).unwrap().into_iter().collect();
    assert_eq!(listed, LISTED.iter().copied().collect());
    let flags = |number| module.mechanism_info(slot, number).unwrap().flags;
    let wraps = [
        CKM_RSA_PKCS,
        CKM_RSA_PKCS_OAEP,
        CKM_AES_GCM,
        CLOUDHSM_AES_GCM,
        CKM_RSA_AES_KEY_WRAP,
        NO_PAD,
        PKCS5_PAD,
        ZERO_PAD,
    ];
    for number in listed {
        assert_eq!(flags(number) & CKF_WRAP != 0, wraps.contains(&number), "{number:#x}");
        assert_eq!(flags(number) & (CKF_SIGN_RECOVER | CKF_VERIFY_RECOVER), 0, "{number:#x}");
    }
    let sizes =
        |number| module.mechanism_info(slot, number).map(|info| (info.ulMinKeySize, info.ulMaxKeySize));
    for rsa in [CKM_RSA_PKCS_KEY_PAIR_GEN, CKM_RSA_PKCS_OAEP, CKM_SHA256_RSA_PKCS_PSS, CKM_RSA_AES_KEY_WRAP] {
        assert_eq!(sizes(rsa), Ok((2048, 4096)), "{rsa:#x}");
    }
    assert_eq!(sizes(CKM_GENERIC_SECRET_KEY_GEN), Ok((8, 6400)), "in bits");
    assert_eq!(sizes(CKM_SHA256_HMAC), Ok((1, 800)));
    assert_eq!([CKM_DES3_KEY_GEN, CKM_DES3_CBC].map(sizes), [Ok((24, 24)); 2], "no keys of two parts");
    assert_eq!(sizes(CKM_AES_GCM), Ok((16, 32)));
}

#[test]
fn a_fips_cluster_lists_no_3des_keys_and_no_eddsa() {
    let fips = [("COFFER_TEST_PROFILE", "cloudhsm"), ("COFFER_TEST_MORE", "mode = \"fips\"")];
    if in_child("a_fips_cluster_lists_no_3des_keys_and_no_eddsa", &fips) {
        return;
    }
    let session = user();
    let listed = module().mechanisms(0).unwrap();
    assert!([CKM_DES3_KEY_GEN, VENDOR | CKM_EDDSA].iter().all(|number| !listed.contains(number)));
    assert!([CKM_AES_GCM, VENDOR | CKM_ML_DSA].iter().all(|number| listed.contains(number)));
    let ed25519 = [Attr::bytes(CKA_EC_PARAMS, [6, 3, 0x2b, 0x65, 0x70])];
    let pair = session.generate_key_pair(&Mechanism::new(CKM_EC_KEY_PAIR_GEN), &ed25519, &[]);
    assert_eq!(Rv::of(&pair), Rv(CKR_CURVE_NOT_SUPPORTED));
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
