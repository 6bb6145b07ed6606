//! `coffer key generate-symmetric|generate-asymmetric-pair`.

use super::{NewKey, Shared};
use crate::connection::Connection;
use crate::context::Context;
use crate::output::{Outcome, Report};
use crate::select::{put, put_default};
use crate::{describe, names};
use clap::{Args, Subcommand};
use coffer_pkcs11::mechanism::vendor::*;
use pkcs11_client::cryptoki_sys::*;
use pkcs11_client::{Attr, Mechanism, Rv};
use serde_json::json;

#[derive(Subcommand)]
pub enum Symmetric {
    /// An AES key.
    Aes {
        #[command(flatten)]
        new: NewKey,
        /// 16, 24 or 32.
        #[arg(long, value_name = "N")]
        key_length_bytes: CK_ULONG,
    },
    /// A generic secret, for HMAC and derivation.
    GenericSecret {
        #[command(flatten)]
        new: NewKey,
        /// 1 to 800, or what the token takes.
        #[arg(long, value_name = "N")]
        key_length_bytes: CK_ULONG,
    },
    /// A three-key triple DES key.
    #[command(name = "3des", visible_alias = "des3")]
    Des3 {
        #[command(flatten)]
        new: NewKey,
    },
}

/// The attributes that say what a key is for.
const USES: &[CK_ATTRIBUTE_TYPE] = &[
    CKA_ENCRYPT,
    CKA_DECRYPT,
    CKA_SIGN,
    CKA_VERIFY,
    CKA_WRAP,
    CKA_UNWRAP,
    CKA_DERIVE,
    CKA_ENCAPSULATE,
    CKA_DECAPSULATE,
];

fn names_a_use(template: &[Attr]) -> bool {
    template.iter().any(|attr| USES.contains(&attr.kind))
}

impl Symmetric {
    pub fn run(self, context: &mut Context) -> Outcome {
        let (new, mechanism, len, ciphers) = match self {
            Symmetric::Aes { new, key_length_bytes } => (new, CKM_AES_KEY_GEN, Some(key_length_bytes), true),
            Symmetric::GenericSecret { new, key_length_bytes } => {
                (new, CKM_GENERIC_SECRET_KEY_GEN, Some(key_length_bytes), false)
            }
            Symmetric::Des3 { new } => (new, CKM_DES3_KEY_GEN, None, true),
        };
        let mut template = new.shared.template(&new.label, &new.attributes)?;
        template.extend(new.shared.approvals()?);
        if ciphers && !names_a_use(&template) {
            template.extend([Attr::bool(CKA_ENCRYPT, true), Attr::bool(CKA_DECRYPT, true)]);
        }
        // CloudHSM's defaults, whatever the module's are.
        for attribute in [CKA_SIGN, CKA_VERIFY, CKA_SENSITIVE, CKA_EXTRACTABLE] {
            put_default(&mut template, Attr::bool(attribute, true));
        }
        if let Some(len) = len {
            put(&mut template, Attr::ulong(CKA_VALUE_LEN, len));
        }
        let connection = context.connect()?;
        let mechanism = connection.offered("generating such keys", &[mechanism])?;
        let key = connection.session.generate_key(&Mechanism::new(mechanism), &template).map_err(refused)?;
        new.shared.share(connection, &[key])?;
        Ok(Report::of(json!({ "key": describe::full(connection, key)? })))
    }
}

/// What a new pair is to be, beside what it is made of.
#[derive(Args)]
pub struct NewPair {
    /// The public key's label.
    #[arg(long)]
    public_label: String,
    /// The private key's label.
    #[arg(long)]
    private_label: String,
    #[command(flatten)]
    shared: Shared,
    /// Attributes of the public key: NAME=VALUE.
    #[arg(long, num_args = 1.., value_name = "NAME=VALUE")]
    public_attributes: Vec<String>,
    /// Attributes of the private key: NAME=VALUE.
    #[arg(long, num_args = 1.., value_name = "NAME=VALUE")]
    private_attributes: Vec<String>,
}

#[derive(Subcommand)]
pub enum Pair {
    /// An RSA pair.
    Rsa {
        #[command(flatten)]
        new: NewPair,
        /// 2048 to 4096 bits, or what the token takes.
        #[arg(long, default_value_t = 2048, value_name = "BITS")]
        modulus_size_bits: CK_ULONG,
        /// An odd number of at least 65537.
        #[arg(long, default_value_t = 65537, value_name = "E")]
        public_exponent: u64,
    },
    /// A pair on an elliptic curve.
    Ec {
        #[command(flatten)]
        new: NewPair,
        /// secp224r1, secp256r1 (prime256v1), secp384r1, secp521r1, secp256k1, ed25519 or x25519.
        #[arg(long)]
        curve: String,
    },
    /// An Ed25519 pair.
    #[command(visible_alias = "ec-edwards")]
    Ed25519 {
        #[command(flatten)]
        new: NewPair,
    },
    /// An ML-DSA pair (FIPS 204).
    #[command(name = "ml-dsa")]
    MlDsa {
        #[command(flatten)]
        new: NewPair,
        /// ml-dsa-44, ml-dsa-65 or ml-dsa-87.
        #[arg(long, alias = "ml-dsa-parameter-set", default_value = "ml-dsa-65")]
        parameter_set: String,
    },
    /// An ML-KEM pair (FIPS 203).
    #[command(name = "ml-kem")]
    MlKem {
        #[command(flatten)]
        new: NewPair,
        /// ml-kem-512, ml-kem-768 or ml-kem-1024.
        #[arg(long, default_value = "ml-kem-768")]
        parameter_set: String,
    },
}

const ML_DSA: &[(&str, CK_ULONG)] = &[
    ("ml-dsa-44", CKP_ML_DSA_44),
    ("44", CKP_ML_DSA_44),
    ("ml-dsa-65", CKP_ML_DSA_65),
    ("65", CKP_ML_DSA_65),
    ("ml-dsa-87", CKP_ML_DSA_87),
    ("87", CKP_ML_DSA_87),
];
const ML_KEM: &[(&str, CK_ULONG)] = &[
    ("ml-kem-512", CKP_ML_KEM_512),
    ("512", CKP_ML_KEM_512),
    ("ml-kem-768", CKP_ML_KEM_768),
    ("768", CKP_ML_KEM_768),
    ("ml-kem-1024", CKP_ML_KEM_1024),
    ("1024", CKP_ML_KEM_1024),
];

/// Uses of a public key and of its private one.
type Uses = (&'static [CK_ATTRIBUTE_TYPE], &'static [CK_ATTRIBUTE_TYPE]);

const SIGNS: Uses = (&[CKA_VERIFY], &[CKA_SIGN]);
const SIGNS_AND_ENCRYPTS: Uses = (&[CKA_VERIFY, CKA_ENCRYPT], &[CKA_SIGN, CKA_DECRYPT]);
const AGREES: Uses = (&[], &[CKA_DERIVE]);
const ENCAPSULATES: Uses = (&[CKA_ENCAPSULATE], &[CKA_DECAPSULATE]);

impl Pair {
    pub fn run(self, context: &mut Context) -> Outcome {
        match self {
            Pair::Rsa { new, modulus_size_bits, public_exponent } => {
                let exponent = public_exponent.to_be_bytes();
                let first = exponent.iter().position(|byte| *byte != 0).unwrap_or(7);
                let made_of = [
                    Attr::ulong(CKA_MODULUS_BITS, modulus_size_bits),
                    Attr::bytes(CKA_PUBLIC_EXPONENT, &exponent[first..]),
                ];
                let makers = [CKM_RSA_PKCS_KEY_PAIR_GEN, CKM_RSA_X9_31_KEY_PAIR_GEN];
                new.make(context.connect()?, &makers, &made_of, SIGNS_AND_ENCRYPTS)
            }
            Pair::Ec { new, curve } => {
                let params = names::number(names::CURVES, &curve)?;
                let (makers, uses): (&[_], _) = match curve.to_ascii_lowercase().as_str() {
                    "ed25519" => return new.ed25519(context.connect()?),
                    "x25519" => (&[CKM_EC_MONTGOMERY_KEY_PAIR_GEN], AGREES),
                    _ => (&[CKM_EC_KEY_PAIR_GEN], SIGNS),
                };
                new.make(context.connect()?, makers, &[Attr::bytes(CKA_EC_PARAMS, params)], uses)
            }
            Pair::Ed25519 { new } => new.ed25519(context.connect()?),
            Pair::MlDsa { new, parameter_set } => {
                let set = names::number(ML_DSA, &parameter_set)?;
                let connection = context.connect()?;
                let attribute = match connection.offers(CKM_ML_DSA_KEY_PAIR_GEN) {
                    true => CKA_PARAMETER_SET,
                    false => CKA_CLOUDHSM_PARAMETER_SET,
                };
                let makers = [CKM_ML_DSA_KEY_PAIR_GEN, CKM_CLOUDHSM_ML_DSA_KEY_PAIR_GEN];
                new.make(connection, &makers, &[Attr::ulong(attribute, set)], SIGNS)
            }
            Pair::MlKem { new, parameter_set } => {
                let set = names::number(ML_KEM, &parameter_set)?;
                let makers = [CKM_ML_KEM_KEY_PAIR_GEN, CKM_COFFER_ML_KEM_KEY_PAIR_GEN];
                new.make(context.connect()?, &makers, &[Attr::ulong(CKA_PARAMETER_SET, set)], ENCAPSULATES)
            }
        }
    }
}

impl NewPair {
    /// CloudHSM makes Ed25519 keys by the mechanism for all curves.
    fn ed25519(self, connection: &Connection) -> Outcome {
        let params = names::number(names::CURVES, "ed25519")?;
        let makers = [CKM_EC_EDWARDS_KEY_PAIR_GEN, CKM_EC_KEY_PAIR_GEN];
        self.make(connection, &makers, &[Attr::bytes(CKA_EC_PARAMS, params)], SIGNS)
    }

    fn make(
        self,
        connection: &Connection,
        makers: &[CK_MECHANISM_TYPE],
        made_of: &[Attr],
        uses: Uses,
    ) -> Outcome {
        let mut public = self.shared.template(&self.public_label, &self.public_attributes)?;
        let mut private = self.shared.template(&self.private_label, &self.private_attributes)?;
        private.extend(self.shared.approvals()?);
        if !names_a_use(&public) && !names_a_use(&private) {
            public.extend(uses.0.iter().map(|attribute| Attr::bool(*attribute, true)));
            private.extend(uses.1.iter().map(|attribute| Attr::bool(*attribute, true)));
        } else {
            // A template without any use would leave the choice to the module.
            for attribute in [CKA_VERIFY, CKA_ENCRYPT] {
                put_default(&mut public, Attr::bool(attribute, false));
            }
            for attribute in [CKA_SIGN, CKA_DECRYPT] {
                put_default(&mut private, Attr::bool(attribute, false));
            }
        }
        for attribute in [CKA_PRIVATE, CKA_SENSITIVE, CKA_EXTRACTABLE] {
            put_default(&mut private, Attr::bool(attribute, true));
        }
        // Where some modules want parameters in the private template, all leave them out of the public one's copy.
        public.extend_from_slice(made_of);
        if made_of.iter().any(|attr| attr.kind == CKA_CLOUDHSM_PARAMETER_SET) {
            private.extend_from_slice(made_of);
        }
        let mechanism = connection.offered("generating such pairs", makers)?;
        let pair = connection.session.generate_key_pair(&Mechanism::new(mechanism), &public, &private);
        let (public, private) = pair.map_err(refused)?;
        self.shared.share(connection, &[private])?;
        Ok(Report::of(json!({
            "public_key": describe::full(connection, public)?,
            "private_key": describe::full(connection, private)?,
        })))
    }
}

/// The uses of a key whose template names none.
pub fn put_default_uses(template: &mut Vec<Attr>, class: CK_OBJECT_CLASS, key_type: CK_KEY_TYPE) {
    if names_a_use(template) {
        return;
    }
    let (public, private) = match key_type {
        CKK_RSA => SIGNS_AND_ENCRYPTS,
        CKK_EC_MONTGOMERY => AGREES,
        CKK_ML_KEM => ENCAPSULATES,
        _ => SIGNS,
    };
    let uses = match (class, key_type) {
        (CKO_PUBLIC_KEY, _) => public,
        (CKO_PRIVATE_KEY, _) => private,
        (_, CKK_AES | CKK_DES3) => &[CKA_ENCRYPT, CKA_DECRYPT, CKA_SIGN, CKA_VERIFY],
        _ => &[CKA_SIGN, CKA_VERIFY],
    };
    template.extend(uses.iter().map(|attribute| Attr::bool(*attribute, true)));
}

/// Why a key was not made, for people.
pub fn refused(rv: Rv) -> String {
    match rv.0 {
        CKR_USER_NOT_LOGGED_IN => format!("nobody is logged in who may make keys ({rv})"),
        CKR_KEY_SIZE_RANGE | CKR_ATTRIBUTE_VALUE_INVALID => {
            format!("the token takes no key of that size or form ({rv})")
        }
        CKR_TEMPLATE_INCONSISTENT => {
            format!("the attributes contradict each other, or the token's rules ({rv})")
        }
        CKR_ATTRIBUTE_TYPE_INVALID => format!("the token does not know one of the attributes ({rv})"),
        CKR_DEVICE_MEMORY => format!("the disk is full, and nothing was stored ({rv})"),
        CKR_TOKEN_WRITE_PROTECTED | CKR_SESSION_READ_ONLY => format!("the token is write protected ({rv})"),
        _ => format!("the token refuses: {rv}"),
    }
}
