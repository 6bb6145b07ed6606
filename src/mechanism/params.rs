//! Mechanism parameters, parsed: the caller's structures as owned values.
//!
//! `abi/params.rs` reads the C structure that a row's [`Shape`] names and makes the [`Params`] of it, so no
//! pointer of the caller's comes down here. Where a mechanism writes into its parameter, there is a [`Sink`].

use crate::crypto::Hash;
use crate::object::Handle;
use smallvec::SmallVec;

/// The bytes of an IV or of associated data, in place if they are few.
pub type Bytes = SmallVec<[u8; 16]>;

/// Which structure a mechanism's parameter is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    /// None: NULL and zero length (anything else is CKR_MECHANISM_PARAM_INVALID).
    None,
    /// An initialisation vector of exactly so many bytes: [`Params::Iv`].
    Iv(usize),
    /// None, or an initialisation vector of exactly so many bytes: [`Params::None`] or [`Params::Iv`].
    OptionalIv(usize),
    /// CK_ULONG, the length of a MAC in bytes: [`Params::Length`].
    MacLength,
    /// CK_AES_CTR_PARAMS: [`Params::Ctr`].
    Ctr,
    /// CK_GCM_PARAMS, with or without ulIvBits: [`Params::Gcm`].
    Gcm,
    /// CK_GCM_PARAMS whose pIv is NULL or ignored, as CKM_CLOUDHSM_AES_GCM takes it: [`Params::Gcm`].
    CloudGcm,
    /// CK_CCM_PARAMS: [`Params::Ccm`].
    Ccm,
    /// CK_RSA_PKCS_OAEP_PARAMS: [`Params::Oaep`].
    Oaep,
    /// CK_RSA_PKCS_PSS_PARAMS: [`Params::Pss`].
    Pss,
    /// CK_RSA_AES_KEY_WRAP_PARAMS: [`Params::RsaAesWrap`].
    RsaAesWrap,
    /// CK_ECDH1_DERIVE_PARAMS: [`Params::Ecdh`].
    Ecdh,
    /// None or CK_EDDSA_PARAMS: [`Params::None`] or [`Params::EdDsa`].
    EdDsa,
    /// None or CK_SIGN_ADDITIONAL_CONTEXT: [`Params::None`] or [`Params::SignContext`].
    SignContext,
    /// CK_HASH_SIGN_ADDITIONAL_CONTEXT: [`Params::SignContext`] with a hash.
    HashSignContext,
    /// CK_HKDF_PARAMS: [`Params::Hkdf`].
    Hkdf,
    /// CK_SP800_108_KDF_PARAMS of PKCS#11 3.x: [`Params::Counter`].
    Counter,
    /// CloudHSM's CK_SP800_108_KDF_PARAMS, whose numbers and structures differ: [`Params::Counter`].
    CloudCounter,
    /// CK_COFFER_ML_KEM_PARAMS: [`Params::Kem`].
    Kem,
    /// CK_KEY_DERIVATION_STRING_DATA: [`Params::Data`].
    Data,
    /// CK_OBJECT_HANDLE of another key: [`Params::OtherKey`].
    OtherKey,
}

/// Where a mechanism writes back into its caller's parameter: the pointers stay in `abi/`.
pub struct Sink(Box<dyn FnMut(&[u8]) + Send>);

impl Sink {
    /// What `write` does with the bytes it is given.
    pub fn new(write: impl FnMut(&[u8]) + Send + 'static) -> Sink {
        Sink(Box::new(write))
    }

    /// Writes back.
    pub fn write(&mut self, bytes: &[u8]) {
        (self.0)(bytes)
    }
}

/// A parsed parameter.
#[derive(Default)]
pub enum Params {
    /// No parameter.
    #[default]
    None,
    /// An initialisation vector.
    Iv(Bytes),
    /// The length of a MAC in bytes.
    Length(usize),
    /// CK_AES_CTR_PARAMS: the counter block, of which the last `counter_bits` count.
    #[allow(missing_docs)]
    Ctr { counter_bits: u32, block: [u8; 16] },
    /// CK_GCM_PARAMS.
    Gcm(Gcm),
    /// CK_CCM_PARAMS; lengths in bytes.
    #[allow(missing_docs)]
    Ccm { data_len: usize, nonce: Vec<u8>, aad: Vec<u8>, tag_len: usize },
    /// CK_RSA_PKCS_OAEP_PARAMS.
    Oaep(Oaep),
    /// CK_RSA_PKCS_PSS_PARAMS; the salt's length in bytes.
    #[allow(missing_docs)]
    Pss { hash: Hash, mgf: Hash, salt_len: usize },
    /// CK_RSA_AES_KEY_WRAP_PARAMS.
    #[allow(missing_docs)]
    RsaAesWrap { aes_key_bits: usize, oaep: Oaep },
    /// CK_ECDH1_DERIVE_PARAMS.
    #[allow(missing_docs)]
    Ecdh { kdf: EcdhKdf, shared_info: Vec<u8>, peer: Vec<u8> },
    /// CK_EDDSA_PARAMS.
    #[allow(missing_docs)]
    EdDsa { prehash: bool, context: Vec<u8> },
    /// CK_SIGN_ADDITIONAL_CONTEXT and CK_HASH_SIGN_ADDITIONAL_CONTEXT.
    #[allow(missing_docs)]
    SignContext { hedge: Hedge, context: Vec<u8>, hash: Option<Hash> },
    /// CK_HKDF_PARAMS.
    Hkdf(Hkdf),
    /// CK_SP800_108_KDF_PARAMS, either dialect.
    Counter(Counter),
    /// CK_COFFER_ML_KEM_PARAMS.
    Kem(Kem),
    /// CK_KEY_DERIVATION_STRING_DATA.
    Data(Vec<u8>),
    /// CK_OBJECT_HANDLE.
    OtherKey(Handle),
    /// CK_GCM_MESSAGE_PARAMS or CK_GCM_WRAP_PARAMS, and the associated data that belong to it.
    #[allow(missing_docs)]
    Message { message: Box<Message>, aad: Vec<u8> },
}

impl Params {
    /// Whether it is known to own nothing.
    #[inline]
    pub fn is_plain(&self) -> bool {
        match self {
            Params::None | Params::Length(_) | Params::Ctr { .. } | Params::OtherKey(_) => true,
            Params::Iv(iv) => !iv.spilled(),
            Params::Gcm(gcm) => !gcm.iv.spilled() && !gcm.aad.spilled() && gcm.iv_sink.is_none(),
            _ => false,
        }
    }

    /// The same once more, for the next of several messages; `None` of one that is written back or that no
    /// signature takes.
    pub fn again(&self) -> Option<Params> {
        Some(match self {
            Params::None => Params::None,
            Params::Length(len) => Params::Length(*len),
            Params::Pss { hash, mgf, salt_len } => {
                Params::Pss { hash: *hash, mgf: *mgf, salt_len: *salt_len }
            }
            Params::EdDsa { prehash, context } => {
                Params::EdDsa { prehash: *prehash, context: context.clone() }
            }
            Params::SignContext { hedge, context, hash } => {
                Params::SignContext { hedge: *hedge, context: context.clone(), hash: *hash }
            }
            _ => return None,
        })
    }
}

/// Who makes a message's IV (CKG_*).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Generator {
    /// CKG_NO_GENERATE: the caller.
    Caller,
    /// CKG_GENERATE: the module, as it sees fit.
    Any,
    /// CKG_GENERATE_COUNTER: the module, counting from zero.
    Counter,
    /// CKG_GENERATE_RANDOM: the module, at random.
    Random,
    /// One that is not offered.
    Unknown,
}

/// CK_GCM_MESSAGE_PARAMS, of one message; CK_GCM_WRAP_PARAMS, whose tag stands at the wrapped key's end.
pub struct Message {
    /// The IV, or the buffer that the module makes one in.
    pub iv: Vec<u8>,
    /// So many leading bits of `iv` are the caller's in any case.
    pub fixed_bits: usize,
    /// Who makes the rest.
    pub generator: Generator,
    /// Writes the IV back.
    pub iv_sink: Sink,
    /// Bytes of tag.
    pub tag_len: usize,
    /// Where the tag stands, if not behind the ciphertext.
    pub tag: Option<Tag>,
}

/// A tag that stands apart from its ciphertext, in a buffer of the caller's.
pub struct Tag {
    /// What the caller's buffer holds; empty if there is none.
    pub bytes: Vec<u8>,
    /// Writes the tag back.
    pub sink: Sink,
}

/// CK_GCM_PARAMS.
pub struct Gcm {
    /// The caller's IV; empty where it gave none.
    pub iv: Bytes,
    /// Writes an IV of `iv.len()` bytes that the module made into the caller's pIv.
    pub iv_sink: Option<Sink>,
    /// The module is to make the IV: the profile asks for it and the caller's buffer is all zero.
    pub make_iv: bool,
    /// Additional authenticated data.
    pub aad: Bytes,
    /// Bits of tag.
    pub tag_bits: usize,
}

/// CK_RSA_PKCS_OAEP_PARAMS.
#[derive(Clone)]
pub struct Oaep {
    /// Of the label.
    pub hash: Hash,
    /// Of the mask.
    pub mgf: Hash,
    /// The encoding parameter P.
    pub label: Vec<u8>,
}

/// The key derivation function after a key agreement (CKD_*).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EcdhKdf {
    /// CKD_NULL: the shared secret itself.
    Null,
    /// ANSI X9.63 (CKD_SHA1_KDF ... and CloudHSM's vendor forms).
    X963(Hash),
    /// NIST SP 800-56C one-step (CKD_SHA1_KDF_SP800 ...).
    Sp800(Hash),
}

/// CKH_*: whether a signature takes fresh randomness.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hedge {
    /// CKH_HEDGE_PREFERRED.
    Preferred,
    /// CKH_HEDGE_REQUIRED.
    Required,
    /// CKH_DETERMINISTIC_REQUIRED.
    Deterministic,
}

/// CK_HKDF_PARAMS.
pub struct Hkdf {
    /// Do the extract step.
    pub extract: bool,
    /// Do the expand step.
    pub expand: bool,
    /// Of the HMAC.
    pub hash: Hash,
    /// Of the extract step.
    pub salt: HkdfSalt,
    /// Of the expand step.
    pub info: Vec<u8>,
}

/// The salt of HKDF's extract step.
pub enum HkdfSalt {
    /// CKF_HKDF_SALT_NULL: zeros of the hash's length.
    Null,
    /// CKF_HKDF_SALT_DATA.
    Data(Vec<u8>),
    /// CKF_HKDF_SALT_KEY.
    Key(Handle),
}

/// The pseudo-random function of a counter-mode KDF.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Prf {
    /// CKM_SHA*_HMAC.
    Hmac(Hash),
    /// CKM_AES_CMAC.
    AesCmac,
    /// CKM_DES3_CMAC.
    Des3Cmac,
}

/// NIST SP 800-108 in counter mode, both dialects.
pub struct Counter {
    /// What is iterated.
    pub prf: Prf,
    /// The PRF's input, in order.
    pub input: Vec<CounterField>,
}

/// One field of a counter-mode KDF's PRF input.
pub enum CounterField {
    /// The iteration's counter.
    #[allow(missing_docs)]
    Counter { bits: u32, little_endian: bool },
    /// The length of what is derived, in bits.
    #[allow(missing_docs)]
    Length { of: LengthOf, bits: u32, little_endian: bool },
    /// Bytes as they are.
    Bytes(Vec<u8>),
}

/// Which length a [`CounterField::Length`] tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LengthOf {
    /// The sum of the derived keys' lengths.
    Keys,
    /// The sum of the PRF outputs they take.
    Segments,
}

/// CK_COFFER_ML_KEM_PARAMS.
pub struct Kem {
    /// On decapsulation, the ciphertext.
    pub ciphertext: Vec<u8>,
    /// On encapsulation, room in the caller's buffer; `None` if it only asks for the length.
    pub capacity: Option<usize>,
    /// Writes the ciphertext and its length back.
    pub sink: Sink,
    /// Writes only the length back.
    pub len_sink: Sink,
}
