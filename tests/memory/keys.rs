//! Keys of every kind, made and used so that their secrets pass through every form the library gives them.

use super::known::Known;
use crate::common::*;
use pkcs11_conformance::client::{Attr, Mechanism, Session};

const P256: &[u8] = &[6, 8, 42, 134, 72, 206, 61, 3, 1, 7];
const P521: &[u8] = &[6, 5, 43, 129, 4, 0, 35];
const K256: &[u8] = &[6, 5, 43, 129, 4, 0, 10];
const ED25519: &[u8] = &[6, 3, 43, 101, 112];
const X25519: &[u8] = &[6, 3, 43, 101, 110];
const RSA: &[CK_ULONG] =
    &[CKA_PRIVATE_EXPONENT, CKA_PRIME_1, CKA_PRIME_2, CKA_EXPONENT_1, CKA_EXPONENT_2, CKA_COEFFICIENT];
const SEEDED: &[CK_ULONG] = &[CKA_SEED, CKA_VALUE];

/// The keys of a pair, or a secret key twice, and the session they are used in.
pub struct Made<'a> {
    session: &'a Session,
    public: CK_OBJECT_HANDLE,
    private: CK_OBJECT_HANDLE,
}

/// A kind of key: what makes it, which attributes are secret, and its uses, which may make further secret keys.
pub struct Kind {
    pub name: &'static str,
    generate: CK_ULONG,
    domain: fn() -> Attr,
    pub secrets: &'static [CK_ULONG],
    uses: fn(&Made) -> Vec<CK_OBJECT_HANDLE>,
}

pub const KINDS: &[Kind] = &[
    Kind {
        name: "AES",
        generate: CKM_AES_KEY_GEN,
        domain: || size(32),
        secrets: &[CKA_VALUE],
        uses: use_aes,
    },
    Kind {
        name: "XTS",
        generate: CKM_AES_XTS_KEY_GEN,
        domain: || size(64),
        secrets: &[CKA_VALUE],
        uses: use_xts,
    },
    Kind { name: "DES2", generate: CKM_DES2_KEY_GEN, domain: plain, secrets: &[CKA_VALUE], uses: use_des },
    Kind { name: "DES3", generate: CKM_DES3_KEY_GEN, domain: plain, secrets: &[CKA_VALUE], uses: use_des },
    Kind {
        name: "generic",
        generate: CKM_GENERIC_SECRET_KEY_GEN,
        domain: || size(64),
        secrets: &[CKA_VALUE],
        uses: use_generic,
    },
    Kind {
        name: "RSA",
        generate: CKM_RSA_PKCS_KEY_PAIR_GEN,
        domain: || Attr::ulong(CKA_MODULUS_BITS, 2048),
        secrets: RSA,
        uses: use_rsa,
    },
    Kind {
        name: "P-256",
        generate: CKM_EC_KEY_PAIR_GEN,
        domain: || curve(P256),
        secrets: &[CKA_VALUE],
        uses: use_ec,
    },
    Kind {
        name: "P-521",
        generate: CKM_EC_KEY_PAIR_GEN,
        domain: || curve(P521),
        secrets: &[CKA_VALUE],
        uses: use_ec,
    },
    Kind {
        name: "secp256k1",
        generate: CKM_EC_KEY_PAIR_GEN,
        domain: || curve(K256),
        secrets: &[CKA_VALUE],
        uses: use_ec,
    },
    Kind {
        name: "Ed25519",
        generate: CKM_EC_EDWARDS_KEY_PAIR_GEN,
        domain: || curve(ED25519),
        secrets: &[CKA_VALUE],
        uses: |made| sign(made, &Mechanism::new(CKM_EDDSA)),
    },
    Kind {
        name: "X25519",
        generate: CKM_EC_MONTGOMERY_KEY_PAIR_GEN,
        domain: || curve(X25519),
        secrets: &[CKA_VALUE],
        uses: agree,
    },
    Kind {
        name: "ML-DSA",
        generate: CKM_ML_DSA_KEY_PAIR_GEN,
        domain: || Attr::ulong(CKA_PARAMETER_SET, CKP_ML_DSA_44),
        secrets: SEEDED,
        uses: |made| sign(made, &Mechanism::new(CKM_ML_DSA)),
    },
    Kind {
        name: "ML-KEM",
        generate: CKM_ML_KEM_KEY_PAIR_GEN,
        domain: || Attr::ulong(CKA_PARAMETER_SET, CKP_ML_KEM_768),
        secrets: SEEDED,
        uses: use_kem,
    },
];

fn size(bytes: CK_ULONG) -> Attr {
    Attr::ulong(CKA_VALUE_LEN, bytes)
}

fn curve(oid: &[u8]) -> Attr {
    Attr::bytes(CKA_EC_PARAMS, oid)
}

/// For mechanisms that need no size.
fn plain() -> Attr {
    Attr::bytes(CKA_ID, b"")
}

impl Kind {
    /// Makes the key, which may be read: it and its public half, if it has one.
    pub fn make<'a>(&self, session: &'a Session, more: &[Attr]) -> Made<'a> {
        let mechanism = Mechanism::new(self.generate);
        let readable =
            [Attr::bool(CKA_SENSITIVE, false), Attr::bool(CKA_EXTRACTABLE, true), Attr::label(self.name)];
        let uses = |kinds: &[CK_ULONG]| kinds.iter().map(|kind| Attr::bool(*kind, true)).collect::<Vec<_>>();
        let made = match self.generate {
            CKM_AES_KEY_GEN
            | CKM_AES_XTS_KEY_GEN
            | CKM_DES2_KEY_GEN
            | CKM_DES3_KEY_GEN
            | CKM_GENERIC_SECRET_KEY_GEN => {
                let own = match self.generate {
                    CKM_GENERIC_SECRET_KEY_GEN => uses(&[CKA_SIGN, CKA_DERIVE]),
                    CKM_AES_XTS_KEY_GEN => uses(&[CKA_ENCRYPT]),
                    _ => uses(&[CKA_ENCRYPT, CKA_SIGN]),
                };
                let template = [&readable, more, &own, &[(self.domain)()]].concat();
                session.generate_key(&mechanism, &template).map(|key| (key, key))
            }
            _ => {
                let (public, private): (&[_], &[_]) = match self.generate {
                    CKM_ML_KEM_KEY_PAIR_GEN => (&[CKA_ENCAPSULATE], &[CKA_DECAPSULATE]),
                    CKM_EC_MONTGOMERY_KEY_PAIR_GEN => (&[], &[CKA_DERIVE]),
                    CKM_EC_KEY_PAIR_GEN => (&[CKA_VERIFY], &[CKA_SIGN, CKA_DERIVE]),
                    CKM_RSA_PKCS_KEY_PAIR_GEN => (&[CKA_VERIFY, CKA_ENCRYPT], &[CKA_SIGN, CKA_DECRYPT]),
                    _ => (&[CKA_VERIFY], &[CKA_SIGN]),
                };
                let public = [&uses(public)[..], &[(self.domain)(), Attr::label("public")]].concat();
                let private = [&readable, more, &uses(private)].concat();
                session.generate_key_pair(&mechanism, &public, &private)
            }
        };
        let (public, private) = made.unwrap_or_else(|rv| panic!("making {}: {rv}", self.name));
        Made { session, public, private }
    }

    /// Its secret attributes.
    pub fn known(&self, made: &Made) -> Vec<Known> {
        let one = |kind: &CK_ULONG| {
            Known::attribute(format!("{} {kind:#x}", self.name), made.session, made.private, *kind)
        };
        self.secrets.iter().map(one).collect()
    }

    /// Uses it in every way, wraps it and unwraps it; the secrets of the keys that came of it, which are destroyed.
    pub fn use_up(&self, made: &Made) -> Vec<Known> {
        let mut further = (self.uses)(made);
        let known: Vec<_> = further
            .iter()
            .map(|key| Known::attribute(format!("derived by {}", self.name), made.session, *key, CKA_VALUE))
            .collect();
        further.extend(carry(made));
        for key in further {
            made.session.destroy(key).expect("C_DestroyObject");
        }
        known
    }
}

impl<'a> Made<'a> {
    /// The key on the token, found again after another login.
    pub fn find_again(self, kind: &Kind) -> Made<'a> {
        let found = self.session.find(&[Attr::label(kind.name)]).expect("C_FindObjects");
        assert_eq!(found.len(), 1, "{}", kind.name);
        let public = if self.public == self.private { found[0] } else { self.public };
        Made { private: found[0], public, ..self }
    }

    pub fn copy(&self, template: &[Attr]) -> CK_OBJECT_HANDLE {
        self.session.copy(self.private, template).expect("C_CopyObject")
    }

    pub fn destroy(self) {
        self.session.destroy(self.private).expect("C_DestroyObject");
    }
}

/// A copy by C_WrapKey and C_UnwrapKey.
fn carry(made: &Made) -> Option<CK_OBJECT_HANDLE> {
    let session = made.session;
    let template = [size(32), Attr::bool(CKA_WRAP, true), Attr::bool(CKA_UNWRAP, true)];
    let kek = session.generate_key(&Mechanism::new(CKM_AES_KEY_GEN), &template).expect("C_GenerateKey");
    let kwp = Mechanism::new(CKM_AES_KEY_WRAP_KWP);
    let wrapped = session.wrap(&kwp, kek, made.private).expect("C_WrapKey");
    let number = |kind| session.attribute_ulong(made.private, kind).expect("a number");
    let template = [Attr::class(number(CKA_CLASS)), Attr::key_type(number(CKA_KEY_TYPE))];
    let copy = session.unwrap(&kwp, kek, &wrapped, &template).expect("C_UnwrapKey");
    session.destroy(kek).expect("C_DestroyObject");
    Some(copy)
}

fn encrypt(made: &Made, mechanism: &Mechanism) {
    made.session.encrypt(mechanism, made.public, &[1; 128]).expect("C_Encrypt");
}

fn sign(made: &Made, mechanism: &Mechanism) -> Vec<CK_OBJECT_HANDLE> {
    made.session.sign(mechanism, made.private, &[1; 100]).expect("C_Sign");
    vec![]
}

fn use_aes(made: &Made) -> Vec<CK_OBJECT_HANDLE> {
    encrypt(made, &Mechanism::bytes(CKM_AES_CBC_PAD, &[0; 16]));
    encrypt(made, &Mechanism::gcm(CKM_AES_GCM, &[0; 12], &[], 128));
    sign(made, &Mechanism::new(CKM_AES_CMAC))
}

fn use_xts(made: &Made) -> Vec<CK_OBJECT_HANDLE> {
    encrypt(made, &Mechanism::bytes(CKM_AES_XTS, &[0; 16]));
    vec![]
}

fn use_des(made: &Made) -> Vec<CK_OBJECT_HANDLE> {
    encrypt(made, &Mechanism::bytes(CKM_DES3_CBC_PAD, &[0; 8]));
    encrypt(made, &Mechanism::new(CKM_DES3_ECB));
    sign(made, &Mechanism::new(CKM_DES3_CMAC))
}

fn use_rsa(made: &Made) -> Vec<CK_OBJECT_HANDLE> {
    sign(made, &Mechanism::new(CKM_SHA256_RSA_PKCS));
    let oaep = Mechanism::oaep(CKM_SHA_1, CKG_MGF1_SHA1, &[]);
    let sealed = made.session.encrypt(&oaep, made.public, &[1; 32]).expect("C_Encrypt");
    made.session.decrypt(&oaep, made.private, &sealed).expect("C_Decrypt");
    vec![]
}

/// Of a derived key, which may be read.
fn derived() -> [Attr; 5] {
    [
        Attr::class(CKO_SECRET_KEY),
        Attr::key_type(CKK_GENERIC_SECRET),
        size(32),
        Attr::bool(CKA_SENSITIVE, false),
        Attr::bool(CKA_EXTRACTABLE, true),
    ]
}

fn use_generic(made: &Made) -> Vec<CK_OBJECT_HANDLE> {
    sign(made, &Mechanism::new(CKM_SHA256_HMAC));
    let hkdf = Mechanism::hkdf(CKM_HKDF_DERIVE, CKM_SHA256, (true, true), &[], b"info");
    vec![made.session.derive(&hkdf, made.private, &derived()).expect("C_DeriveKey")]
}

fn use_ec(made: &Made) -> Vec<CK_OBJECT_HANDLE> {
    sign(made, &Mechanism::new(CKM_ECDSA_SHA256));
    agree(made)
}

/// With itself: no other key is needed.
fn agree(made: &Made) -> Vec<CK_OBJECT_HANDLE> {
    let point = made.session.attribute(made.public, CKA_EC_POINT).expect("CKA_EC_POINT");
    let ecdh = Mechanism::ecdh1(CKM_ECDH1_DERIVE, CKD_NULL, &[], &point);
    vec![made.session.derive(&ecdh, made.private, &derived()).expect("C_DeriveKey")]
}

fn use_kem(made: &Made) -> Vec<CK_OBJECT_HANDLE> {
    let mechanism = Mechanism::new(CKM_ML_KEM);
    let (sealed, ours) =
        made.session.encapsulate(&mechanism, made.public, &derived()).expect("C_EncapsulateKey");
    let theirs = made.session.decapsulate(&mechanism, made.private, &sealed, &derived());
    vec![ours, theirs.expect("C_DecapsulateKey")]
}
