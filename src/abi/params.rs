//! CK_MECHANISM: the caller's parameter structures as owned [`Params`], read as the row's [`Shape`] says.

use super::buffer::{Caller, owned};
use super::vendor::*;
use crate::crypto::Hash;
use crate::error::{Error, Result, Rv};
use crate::mechanism::params::*;
use crate::mechanism::vendor::*;
use crate::mechanism::{Params, Shape};
use cryptoki_sys::*;
use std::mem::{forget, replace};

/// Bytes of additional authenticated data.
const MOST_AAD: usize = 16 << 20;

/// Bytes of any other field: labels, contexts, salts, points, ciphertexts of a KEM.
const MOST_FIELD: usize = 64 << 10;

/// Fields of a counter-mode KDF's input.
const MOST_KDF_FIELDS: usize = 64;

/// CK_GCM_PARAMS as it stood before ulIvBits, and as many callers still have it.
#[repr(C)]
#[derive(Clone, Copy)]
struct GcmParamsWithoutIvBits {
    iv: *mut CK_BYTE,
    iv_len: CK_ULONG,
    aad: *mut CK_BYTE,
    aad_len: CK_ULONG,
    tag_bits: CK_ULONG,
}

impl Caller {
    /// The parameter of a mechanism whose row names `shape`, in `params`, which is none before. Where `makes_ivs`, a
    /// GCM IV of zeros asks the module to make one.
    ///
    /// # Errors
    /// CKR_MECHANISM_PARAM_INVALID; CKR_HOST_MEMORY.
    #[inline]
    pub fn params(
        &self,
        mechanism: &CK_MECHANISM,
        shape: Shape,
        makes_ivs: bool,
        params: &mut Params,
    ) -> Result<()> {
        let optional =
            matches!(shape, Shape::None | Shape::OptionalIv(_) | Shape::EdDsa | Shape::SignContext);
        if optional && mechanism.ulParameterLen == 0 {
            return Ok(());
        }
        let parameter = Parameter { caller: self, mechanism };
        parameter.read(shape, makes_ivs, params).map_err(recoded)
    }
}

/// Whatever a parameter is wrong by is one code.
pub(super) fn recoded(error: Error) -> Error {
    match error.rv() {
        Rv::HostMemory => error,
        _ => error.recode(Rv::MechanismParamInvalid),
    }
}

/// A refusal for a reason; [`recoded`] gives all of them their code.
pub(super) fn wrong(reason: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Rv::MechanismParamInvalid.because(reason)
}

#[cold]
fn too_long(len: CK_ULONG, most: usize) -> Error {
    wrong(format!("a field of {len} bytes, where {most} are the most"))
}

pub(super) struct Parameter<'a> {
    pub(super) caller: &'a Caller,
    pub(super) mechanism: &'a CK_MECHANISM,
}

impl Parameter<'_> {
    fn read(&self, shape: Shape, makes_ivs: bool, params: &mut Params) -> Result<()> {
        debug_assert!(matches!(params, Params::None));
        let found = match shape {
            Shape::None => {
                return Err(wrong(format!("{} bytes, where there is no parameter", self.len())));
            }
            Shape::Iv(len) | Shape::OptionalIv(len) => self.iv(len)?,
            Shape::MacLength => Params::Length(self.structure::<CK_ULONG>()? as usize),
            Shape::Ctr => self.ctr()?,
            Shape::Gcm if self.len() == size_of::<CK_GCM_WRAP_PARAMS>() => self.gcm_wrap()?,
            Shape::Gcm => self.gcm(makes_ivs)?,
            Shape::CloudGcm => self.cloud_gcm()?,
            Shape::Ccm => self.ccm()?,
            Shape::Oaep => Params::Oaep(self.oaep(self.structure()?)?),
            Shape::Pss => self.pss()?,
            Shape::RsaAesWrap => self.rsa_aes_wrap()?,
            Shape::Ecdh => self.ecdh()?,
            Shape::EdDsa => self.eddsa()?,
            Shape::SignContext => self.sign_context()?,
            Shape::HashSignContext => self.hash_sign_context()?,
            Shape::Hkdf => self.hkdf()?,
            Shape::Counter => self.counter()?,
            Shape::CloudCounter => self.cloud_counter()?,
            Shape::Kem => self.kem()?,
            Shape::Data => self.data()?,
            Shape::OtherKey => Params::OtherKey(self.structure::<CK_OBJECT_HANDLE>()?),
        };
        // There is nothing to drop, and the compiler does not know.
        forget(replace(params, found));
        Ok(())
    }

    fn len(&self) -> usize {
        self.mechanism.ulParameterLen as usize
    }

    /// The parameter as a structure of exactly its size.
    pub(super) fn structure<T: Copy>(&self) -> Result<T> {
        self.sized(self.mechanism.pParameter.cast(), self.len())
    }

    fn sized<T: Copy>(&self, pointer: *const T, len: usize) -> Result<T> {
        if len != size_of::<T>() {
            return Err(wrong(format!("{len} bytes, where the structure has {}", size_of::<T>())));
        }
        self.caller.read(pointer)
    }

    /// A field's bytes.
    #[inline]
    fn slice(&self, pointer: *const CK_BYTE, len: CK_ULONG, most: usize) -> Result<&[u8]> {
        if len > most as CK_ULONG {
            return Err(too_long(len, most));
        }
        self.caller.input(pointer, len)
    }

    fn bytes(&self, pointer: *const CK_BYTE, len: CK_ULONG, most: usize) -> Result<Vec<u8>> {
        owned(self.slice(pointer, len, most)?)
    }

    #[inline(always)]
    fn short(&self, pointer: *const CK_BYTE, len: CK_ULONG, most: usize) -> Result<Bytes> {
        if len == 0 {
            return Ok(Bytes::new());
        }
        let slice = self.slice(pointer, len, most)?;
        let mut bytes = Bytes::new();
        if slice.len() <= bytes.inline_size() {
            return Ok(Bytes::from_slice(slice));
        }
        if bytes.try_reserve_exact(slice.len()).is_err() {
            fail!(HostMemory, "a copy of {len} bytes");
        }
        bytes.extend_from_slice(slice);
        Ok(bytes)
    }

    pub(super) fn field(&self, pointer: *const CK_BYTE, len: CK_ULONG) -> Result<Vec<u8>> {
        self.bytes(pointer, len, MOST_FIELD)
    }

    pub(super) fn aad(&self, pointer: *const CK_BYTE, len: CK_ULONG) -> Result<Vec<u8>> {
        self.bytes(pointer, len, MOST_AAD)
    }

    #[inline]
    fn iv(&self, len: usize) -> Result<Params> {
        if self.len() != len {
            return Err(wrong(format!("an IV of {} bytes, where it has {len}", self.len())));
        }
        self.short(self.mechanism.pParameter.cast(), len as CK_ULONG, MOST_FIELD).map(Params::Iv)
    }

    #[inline]
    fn ctr(&self) -> Result<Params> {
        let CK_AES_CTR_PARAMS { ulCounterBits, cb } = self.structure()?;
        let counter_bits = u32::try_from(ulCounterBits).map_err(|_| wrong("ulCounterBits"))?;
        Ok(Params::Ctr { counter_bits, block: cb })
    }

    /// CK_GCM_PARAMS in the layout that its size tells. ulIvBits repeats ulIvLen, and callers leave it zero.
    fn gcm_structure(&self) -> Result<GcmParamsWithoutIvBits> {
        if self.len() == size_of::<GcmParamsWithoutIvBits>() {
            return self.structure();
        }
        let CK_GCM_PARAMS { pIv, ulIvLen, pAAD, ulAADLen, ulTagBits, .. } = self.structure()?;
        Ok(GcmParamsWithoutIvBits {
            iv: pIv,
            iv_len: ulIvLen,
            aad: pAAD,
            aad_len: ulAADLen,
            tag_bits: ulTagBits,
        })
    }

    #[inline(always)]
    fn gcm(&self, makes_ivs: bool) -> Result<Params> {
        let given = self.gcm_structure()?;
        let iv = self.short(given.iv, given.iv_len, MOST_FIELD)?;
        let make_iv = makes_ivs && !iv.is_empty() && iv.iter().all(|byte| *byte == 0);
        Ok(Params::Gcm(Gcm {
            iv_sink: make_iv.then(|| sink(given.iv, iv.len())),
            make_iv,
            iv,
            aad: self.short(given.aad, given.aad_len, MOST_AAD)?,
            tag_bits: given.tag_bits as usize,
        }))
    }

    fn cloud_gcm(&self) -> Result<Params> {
        let given = self.gcm_structure()?;
        let aad = self.short(given.aad, given.aad_len, MOST_AAD)?;
        let tag_bits = given.tag_bits as usize;
        Ok(Params::Gcm(Gcm { iv: Bytes::new(), iv_sink: None, make_iv: true, aad, tag_bits }))
    }

    fn ccm(&self) -> Result<Params> {
        let given: CK_CCM_PARAMS = self.structure()?;
        Ok(Params::Ccm {
            data_len: given.ulDataLen as usize,
            nonce: self.field(given.pNonce, given.ulNonceLen)?,
            aad: self.aad(given.pAAD, given.ulAADLen)?,
            tag_len: given.ulMACLen as usize,
        })
    }

    fn oaep(&self, given: CK_RSA_PKCS_OAEP_PARAMS) -> Result<Oaep> {
        let label = self.field(given.pSourceData.cast(), given.ulSourceDataLen)?;
        // Without a label, callers leave the source zero.
        match given.source {
            CKZ_DATA_SPECIFIED => {}
            0 if label.is_empty() => {}
            other => return Err(wrong(format!("source {other} is not CKZ_DATA_SPECIFIED"))),
        }
        Ok(Oaep { hash: hash(given.hashAlg)?, mgf: mgf(given.mgf)?, label })
    }

    fn pss(&self) -> Result<Params> {
        let CK_RSA_PKCS_PSS_PARAMS { hashAlg, mgf: generator, sLen } = self.structure()?;
        Ok(Params::Pss { hash: hash(hashAlg)?, mgf: mgf(generator)?, salt_len: sLen as usize })
    }

    fn rsa_aes_wrap(&self) -> Result<Params> {
        let CK_RSA_AES_KEY_WRAP_PARAMS { ulAESKeyBits, pOAEPParams } = self.structure()?;
        let oaep = self.oaep(self.caller.read(pOAEPParams)?)?;
        Ok(Params::RsaAesWrap { aes_key_bits: ulAESKeyBits as usize, oaep })
    }

    fn ecdh(&self) -> Result<Params> {
        let given: CK_ECDH1_DERIVE_PARAMS = self.structure()?;
        Ok(Params::Ecdh {
            kdf: ecdh_kdf(given.kdf)?,
            shared_info: self.field(given.pSharedData, given.ulSharedDataLen)?,
            peer: self.field(given.pPublicData, given.ulPublicDataLen)?,
        })
    }

    fn eddsa(&self) -> Result<Params> {
        let CK_EDDSA_PARAMS { phFlag, ulContextDataLen, pContextData } = self.structure()?;
        Ok(Params::EdDsa { prehash: flag(phFlag)?, context: self.field(pContextData, ulContextDataLen)? })
    }

    fn sign_context(&self) -> Result<Params> {
        let CK_SIGN_ADDITIONAL_CONTEXT { hedgeVariant, pContext, ulContextLen } = self.structure()?;
        let context = self.field(pContext, ulContextLen)?;
        Ok(Params::SignContext { hedge: hedge(hedgeVariant)?, context, hash: None })
    }

    fn hash_sign_context(&self) -> Result<Params> {
        let given: CK_HASH_SIGN_ADDITIONAL_CONTEXT = self.structure()?;
        let context = self.field(given.pContext, given.ulContextLen)?;
        Ok(Params::SignContext { hedge: hedge(given.hedgeVariant)?, context, hash: Some(hash(given.hash)?) })
    }

    fn hkdf(&self) -> Result<Params> {
        let given: CK_HKDF_PARAMS = self.structure()?;
        let salt = match given.ulSaltType {
            CKF_HKDF_SALT_NULL => HkdfSalt::Null,
            CKF_HKDF_SALT_DATA => HkdfSalt::Data(self.field(given.pSalt, given.ulSaltLen)?),
            CKF_HKDF_SALT_KEY => HkdfSalt::Key(given.hSaltKey),
            other => return Err(wrong(format!("ulSaltType {other}"))),
        };
        Ok(Params::Hkdf(Hkdf {
            extract: flag(given.bExtract)?,
            expand: flag(given.bExpand)?,
            hash: hash(given.prfHashMechanism)?,
            salt,
            info: self.field(given.pInfo, given.ulInfoLen)?,
        }))
    }

    fn counter(&self) -> Result<Params> {
        let given: CK_SP800_108_KDF_PARAMS = self.structure()?;
        if given.ulAdditionalDerivedKeys != 0 {
            return Err(wrong("additional derived keys are not offered"));
        }
        let fields = self.caller.array(given.pDataParams, given.ulNumberOfDataParams, MOST_KDF_FIELDS)?;
        let input = fields.iter().map(|field| self.counter_field(field)).collect::<Result<_>>()?;
        Ok(Params::Counter(Counter { prf: prf(given.prfType)?, input }))
    }

    fn counter_field(&self, field: &CK_PRF_DATA_PARAM) -> Result<CounterField> {
        let (value, len) = (field.pValue, field.ulValueLen as usize);
        match field.type_ {
            CK_SP800_108_ITERATION_VARIABLE => {
                let format: CK_SP800_108_COUNTER_FORMAT = self.sized(value.cast(), len)?;
                let (bits, little_endian) = (width(format.ulWidthInBits)?, flag(format.bLittleEndian)?);
                Ok(CounterField::Counter { bits, little_endian })
            }
            CK_SP800_108_DKM_LENGTH => {
                let format: CK_SP800_108_DKM_LENGTH_FORMAT = self.sized(value.cast(), len)?;
                let (of, bits) = (length_of(format.dkmLengthMethod)?, width(format.ulWidthInBits)?);
                Ok(CounterField::Length { of, bits, little_endian: flag(format.bLittleEndian)? })
            }
            CK_SP800_108_BYTE_ARRAY => self.field(value.cast(), field.ulValueLen).map(CounterField::Bytes),
            other => Err(wrong(format!("a field of type {other} in counter mode"))),
        }
    }

    fn cloud_counter(&self) -> Result<Params> {
        let given: CK_CLOUDHSM_SP800_108_KDF_PARAMS = self.structure()?;
        let mut fields = self.caller.array(given.pDataParams, given.ulNumberOfDataParams, MOST_KDF_FIELDS)?;
        let older = fields.iter().filter(|field| field.type_ >= SP800_108_COUNTER_FORMAT).count();
        if older != 0 && older != fields.len() {
            return Err(wrong("fields of the older and of the newer kind together"));
        }
        // Of the older kind: counter, label, a zero byte, context, length, however the array is ordered.
        fields.sort_by_key(|field| if older == 0 { 0 } else { field.type_ });
        if fields.windows(2).any(|pair| older != 0 && pair[0].type_ == pair[1].type_) {
            return Err(wrong("a field is there twice"));
        }
        let mut input = Vec::new();
        for field in &fields {
            if field.type_ == SP800_108_PRF_CONTEXT {
                input.push(CounterField::Bytes(vec![0]));
            }
            input.push(self.cloud_field(field)?);
        }
        Ok(Params::Counter(Counter { prf: prf(given.prftype)?, input }))
    }

    fn cloud_field(&self, field: &CK_PRF_DATA_PARAM) -> Result<CounterField> {
        let (value, len, little_endian) = (field.pValue, field.ulValueLen as usize, false);
        match field.type_ {
            CK_CLOUDHSM_SP800_108_ITERATION_VARIABLE | SP800_108_COUNTER_FORMAT => {
                let format: CK_CLOUDHSM_SP800_108_COUNTER_FORMAT = self.sized(value.cast(), len)?;
                let bits = width(format.ulWidthInBits)?;
                Ok(CounterField::Counter { bits, little_endian })
            }
            CK_CLOUDHSM_SP800_108_DKM_LENGTH | SP800_108_DKM_FORMAT => {
                let format: CK_CLOUDHSM_SP800_108_DKM_LENGTH_FORMAT = self.sized(value.cast(), len)?;
                let (of, bits) = (length_of(format.dkmLengthMethod)?, width(format.ulWidthInBits)?);
                Ok(CounterField::Length { of, bits, little_endian })
            }
            CK_CLOUDHSM_SP800_108_BYTE_ARRAY | SP800_108_PRF_LABEL | SP800_108_PRF_CONTEXT => {
                self.field(value.cast(), field.ulValueLen).map(CounterField::Bytes)
            }
            other => Err(wrong(format!("a field of type {other}"))),
        }
    }

    fn kem(&self) -> Result<Params> {
        let place = self.mechanism.pParameter.cast::<CK_COFFER_ML_KEM_PARAMS>();
        let CK_COFFER_ML_KEM_PARAMS { pCiphertext: ciphertext, ulCiphertextLen: ciphertext_len } =
            self.structure()?;
        let capacity = (!ciphertext.is_null()).then_some(ciphertext_len as usize);
        let given = if capacity.is_some() { ciphertext_len } else { 0 };
        // SAFETY: a field of the structure that was just read.
        let len_place = unsafe { &raw mut (*place).ulCiphertextLen }.cast::<CK_BYTE>();
        let mut write = sink(ciphertext, given as usize);
        let mut write_len = sink(len_place, size_of::<CK_ULONG>());
        let mut write_len_too = sink(len_place, size_of::<CK_ULONG>());
        Ok(Params::Kem(Kem {
            ciphertext: self.field(ciphertext, given)?,
            capacity,
            sink: Sink::new(move |bytes| {
                write.write(bytes);
                write_len.write(&(bytes.len() as CK_ULONG).to_ne_bytes());
            }),
            len_sink: Sink::new(move |len| write_len_too.write(len)),
        }))
    }

    fn data(&self) -> Result<Params> {
        let CK_KEY_DERIVATION_STRING_DATA { pData, ulLen } = self.structure()?;
        self.field(pData, ulLen).map(Params::Data)
    }
}

/// Writes into a buffer of the caller's, at most `capacity` bytes of it.
pub(super) fn sink(place: *mut CK_BYTE, capacity: usize) -> Sink {
    struct Place(*mut CK_BYTE);
    // SAFETY: an address is the same in every thread, and the caller serialises what runs in one session.
    unsafe impl Send for Place {}
    let place = Place(place);
    Sink::new(move |bytes| {
        let Place(place) = &place;
        let len = bytes.len().min(capacity);
        // SAFETY: NULL has no capacity. The caller has promised that a parameter which is written back stays
        // where it is until the operation has ended, as it must to read the result.
        unsafe { place.copy_from_nonoverlapping(bytes.as_ptr(), len) }
    })
}

fn flag(value: CK_BBOOL) -> Result<bool> {
    match value {
        CK_FALSE => Ok(false),
        CK_TRUE => Ok(true),
        other => Err(wrong(format!("{other} is neither CK_TRUE nor CK_FALSE"))),
    }
}

fn width(bits: CK_ULONG) -> Result<u32> {
    match bits {
        8 | 16 | 24 | 32 | 40 | 48 | 56 | 64 => Ok(bits as u32),
        _ => Err(wrong(format!("a width of {bits} bits"))),
    }
}

fn length_of(method: CK_ULONG) -> Result<LengthOf> {
    match method {
        CK_SP800_108_DKM_LENGTH_SUM_OF_KEYS => Ok(LengthOf::Keys),
        CK_SP800_108_DKM_LENGTH_SUM_OF_SEGMENTS => Ok(LengthOf::Segments),
        other => Err(wrong(format!("dkmLengthMethod {other}"))),
    }
}

fn hedge(variant: CK_HEDGE_TYPE) -> Result<Hedge> {
    match variant {
        CKH_HEDGE_PREFERRED => Ok(Hedge::Preferred),
        CKH_HEDGE_REQUIRED => Ok(Hedge::Required),
        CKH_DETERMINISTIC_REQUIRED => Ok(Hedge::Deterministic),
        other => Err(wrong(format!("hedgeVariant {other}"))),
    }
}

/// The same hash under all its numbers: as a digest, in MGF1, in the KDFs after ECDH, as an HMAC.
struct HashRow {
    hash: Hash,
    digest: CK_MECHANISM_TYPE,
    hmac: CK_MECHANISM_TYPE,
    mgf: Option<CK_RSA_PKCS_MGF_TYPE>,
    x963: Option<CK_EC_KDF_TYPE>,
    sp800: Option<CK_EC_KDF_TYPE>,
}

macro_rules! hashes {
    ($($hash:ident $digest:ident $hmac:ident $mgf:expr, $x963:expr, $sp800:expr;)*) => {
        &[$(HashRow {
            hash: Hash::$hash, digest: $digest, hmac: $hmac, mgf: $mgf, x963: $x963, sp800: $sp800,
        }),*]
    };
}

#[rustfmt::skip]
static HASHES: &[HashRow] = hashes! {
    Sha1       CKM_SHA_1      CKM_SHA_1_HMAC      Some(CKG_MGF1_SHA1),     Some(CKD_SHA1_KDF),     Some(CKD_SHA1_KDF_SP800);
    Sha224     CKM_SHA224     CKM_SHA224_HMAC     Some(CKG_MGF1_SHA224),   Some(CKD_SHA224_KDF),   Some(CKD_SHA224_KDF_SP800);
    Sha256     CKM_SHA256     CKM_SHA256_HMAC     Some(CKG_MGF1_SHA256),   Some(CKD_SHA256_KDF),   Some(CKD_SHA256_KDF_SP800);
    Sha384     CKM_SHA384     CKM_SHA384_HMAC     Some(CKG_MGF1_SHA384),   Some(CKD_SHA384_KDF),   Some(CKD_SHA384_KDF_SP800);
    Sha512     CKM_SHA512     CKM_SHA512_HMAC     Some(CKG_MGF1_SHA512),   Some(CKD_SHA512_KDF),   Some(CKD_SHA512_KDF_SP800);
    Sha512_224 CKM_SHA512_224 CKM_SHA512_224_HMAC None,                    None,                   None;
    Sha512_256 CKM_SHA512_256 CKM_SHA512_256_HMAC None,                    None,                   None;
    Sha3_224   CKM_SHA3_224   CKM_SHA3_224_HMAC   Some(CKG_MGF1_SHA3_224), Some(CKD_SHA3_224_KDF), Some(CKD_SHA3_224_KDF_SP800);
    Sha3_256   CKM_SHA3_256   CKM_SHA3_256_HMAC   Some(CKG_MGF1_SHA3_256), Some(CKD_SHA3_256_KDF), Some(CKD_SHA3_256_KDF_SP800);
    Sha3_384   CKM_SHA3_384   CKM_SHA3_384_HMAC   Some(CKG_MGF1_SHA3_384), Some(CKD_SHA3_384_KDF), Some(CKD_SHA3_384_KDF_SP800);
    Sha3_512   CKM_SHA3_512   CKM_SHA3_512_HMAC   Some(CKG_MGF1_SHA3_512), Some(CKD_SHA3_512_KDF), Some(CKD_SHA3_512_KDF_SP800);
};

fn find_hash(what: &str, number: CK_ULONG, is: impl Fn(&HashRow) -> bool) -> Result<Hash> {
    let row = HASHES.iter().find(|row| is(row));
    row.map(|row| row.hash).ok_or_else(|| wrong(format!("{what} {number:#x}")))
}

fn hash(digest: CK_MECHANISM_TYPE) -> Result<Hash> {
    find_hash("hash", digest, |row| row.digest == digest)
}

fn mgf(generator: CK_RSA_PKCS_MGF_TYPE) -> Result<Hash> {
    find_hash("mask generation function", generator, |row| row.mgf == Some(generator))
}

fn prf(mechanism: CK_SP800_108_PRF_TYPE) -> Result<Prf> {
    match mechanism {
        CKM_AES_CMAC => Ok(Prf::AesCmac),
        CKM_DES3_CMAC => Ok(Prf::Des3Cmac),
        _ => find_hash("pseudo-random function", mechanism, |row| row.hmac == mechanism).map(Prf::Hmac),
    }
}

/// CloudHSM's numbers for the X9.63 functions.
static CLOUD_X963: &[(CK_EC_KDF_TYPE, Hash)] = &[
    (CKD_CLOUDHSM_X963_SHA1_KDF, Hash::Sha1),
    (CKD_CLOUDHSM_X963_SHA224_KDF, Hash::Sha224),
    (CKD_CLOUDHSM_X963_SHA256_KDF, Hash::Sha256),
    (CKD_CLOUDHSM_X963_SHA384_KDF, Hash::Sha384),
    (CKD_CLOUDHSM_X963_SHA512_KDF, Hash::Sha512),
];

fn ecdh_kdf(kdf: CK_EC_KDF_TYPE) -> Result<EcdhKdf> {
    if kdf == CKD_NULL {
        return Ok(EcdhKdf::Null);
    }
    if let Some((_, hash)) = CLOUD_X963.iter().find(|(number, _)| *number == kdf) {
        return Ok(EcdhKdf::X963(*hash));
    }
    if let Ok(hash) = find_hash("", kdf, |row| row.sp800 == Some(kdf)) {
        return Ok(EcdhKdf::Sp800(hash));
    }
    find_hash("key derivation function", kdf, |row| row.x963 == Some(kdf)).map(EcdhKdf::X963)
}

#[cfg(test)]
mod tests;
