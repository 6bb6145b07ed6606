//! A session key of every kind, with every use.

use pkcs11_client::cryptoki_sys::*;
use pkcs11_client::{Attr, Mechanism, Session};

const SECRET_USES: [CK_ATTRIBUTE_TYPE; 8] =
    [CKA_ENCRYPT, CKA_DECRYPT, CKA_SIGN, CKA_VERIFY, CKA_WRAP, CKA_UNWRAP, CKA_DERIVE, CKA_EXTRACTABLE];

fn secret(session: &Session, key_type: CK_KEY_TYPE, len: usize) -> CK_OBJECT_HANDLE {
    let mut template: Vec<_> = SECRET_USES.map(|usage| Attr::bool(usage, true)).into();
    // 0x37 has the odd parity of a DES key; the parts must differ, so the last byte of each does.
    let value: Vec<_> =
        (0..len).map(|i| if i % 8 == 7 { [0x37, 0x38, 0x3B][i / 8 % 3] } else { 0x37 }).collect();
    template.extend([
        Attr::class(CKO_SECRET_KEY),
        Attr::key_type(key_type),
        Attr::bytes(CKA_VALUE, value),
        Attr::bool(CKA_SENSITIVE, false),
    ]);
    session.create_object(&template).expect("C_CreateObject")
}

fn pair(
    session: &Session,
    mechanism: CK_MECHANISM_TYPE,
    what: Attr,
    uses: [&[CK_ATTRIBUTE_TYPE]; 2],
) -> [CK_OBJECT_HANDLE; 2] {
    let with =
        |uses: &[CK_ATTRIBUTE_TYPE]| uses.iter().map(|usage| Attr::bool(*usage, true)).collect::<Vec<_>>();
    let (mut public, mut private) = (with(uses[0]), with(uses[1]));
    public.push(what);
    private.push(Attr::bool(CKA_EXTRACTABLE, true));
    let (public, private) =
        session.generate_key_pair(&Mechanism::new(mechanism), &public, &private).expect("C_GenerateKeyPair");
    [public, private]
}

/// Secret keys alone, and a handle of no object.
pub fn cheap_keys(session: &Session) -> Vec<CK_OBJECT_HANDLE> {
    let mut keys = vec![CK_INVALID_HANDLE];
    for (key_type, len) in
        [(CKK_AES, 16), (CKK_AES, 32), (CKK_DES3, 24), (CKK_GENERIC_SECRET, 40), (CKK_AES_XTS, 64)]
    {
        keys.push(secret(session, key_type, len));
    }
    keys
}

/// A key of every kind, and a handle of no object.
pub fn keys(session: &Session) -> Vec<CK_OBJECT_HANDLE> {
    let p256 = Attr::bytes(CKA_EC_PARAMS, b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07");
    let ed25519 = Attr::bytes(CKA_EC_PARAMS, b"\x06\x03\x2b\x65\x70");
    let x25519 = Attr::bytes(CKA_EC_PARAMS, b"\x06\x03\x2b\x65\x6e");
    let set = |number| Attr::ulong(CKA_PARAMETER_SET, number);
    let (sign, verify, derive): (&[_], &[_], &[_]) = (&[CKA_SIGN], &[CKA_VERIFY], &[CKA_DERIVE]);
    let rsa_public = &[CKA_ENCRYPT, CKA_VERIFY, CKA_VERIFY_RECOVER, CKA_WRAP];
    let rsa_private = &[CKA_DECRYPT, CKA_SIGN, CKA_SIGN_RECOVER, CKA_UNWRAP];
    let mut keys = cheap_keys(session);
    for (mechanism, what, uses) in [
        (CKM_RSA_PKCS_KEY_PAIR_GEN, Attr::ulong(CKA_MODULUS_BITS, 2048), [&rsa_public[..], rsa_private]),
        (CKM_EC_KEY_PAIR_GEN, p256, [verify, &[CKA_SIGN, CKA_DERIVE]]),
        (CKM_EC_EDWARDS_KEY_PAIR_GEN, ed25519, [verify, sign]),
        (CKM_EC_MONTGOMERY_KEY_PAIR_GEN, x25519, [&[], derive]),
        (CKM_ML_DSA_KEY_PAIR_GEN, set(CKP_ML_DSA_44), [verify, sign]),
        (CKM_ML_KEM_KEY_PAIR_GEN, set(CKP_ML_KEM_512), [&[CKA_ENCAPSULATE], &[CKA_DECAPSULATE]]),
    ] {
        keys.extend(pair(session, mechanism, what, uses));
    }
    keys
}
