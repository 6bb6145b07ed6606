//! Mechanisms that own their parameters (section 6).

use super::arena::Arena;
use cryptoki_sys::*;
use std::ffi::c_void;
use std::ptr;

/// A CK_MECHANISM and all that it points to.
pub struct Mechanism {
    raw: CK_MECHANISM,
    memory: Arena,
}

// SAFETY: the pointers lead into `memory`, or are a test's own raw ones.
unsafe impl Send for Mechanism {}
// SAFETY: shared use is reading; a module writes only into parameters that are outputs.
unsafe impl Sync for Mechanism {}

/// One data parameter of SP 800-108: its type number and its value.
pub struct Segment(CK_ULONG, Vec<u8>);

impl Segment {
    /// A segment as it is: type number and value bytes (none: NULL).
    pub fn raw(kind: CK_ULONG, value: &[u8]) -> Segment {
        Segment(kind, value.to_vec())
    }
    /// The standard's iteration variable as a counter of `bits` bits.
    pub fn counter(little_endian: bool, bits: CK_ULONG) -> Segment {
        Segment(CK_SP800_108_ITERATION_VARIABLE, counter_format(little_endian, bits))
    }
    /// The standard's optional counter (feedback and double pipeline mode).
    pub fn optional_counter(little_endian: bool, bits: CK_ULONG) -> Segment {
        Segment(CK_SP800_108_OPTIONAL_COUNTER, counter_format(little_endian, bits))
    }
    /// The standard's iteration variable where it is the chained value (feedback and double pipeline mode).
    pub fn iteration() -> Segment {
        Segment(CK_SP800_108_ITERATION_VARIABLE, Vec::new())
    }
    /// The standard's length of the derived keys; `method` is CK_SP800_108_DKM_LENGTH_SUM_OF_KEYS or _SEGMENTS.
    pub fn dkm_length(method: CK_ULONG, little_endian: bool, bits: CK_ULONG) -> Segment {
        let mut value = method.to_ne_bytes().to_vec();
        value.extend(counter_format(little_endian, bits));
        Segment(CK_SP800_108_DKM_LENGTH, value)
    }
    /// The standard's byte array.
    pub fn bytes(value: &[u8]) -> Segment {
        Segment(CK_SP800_108_BYTE_ARRAY, value.to_vec())
    }
    /// CloudHSM's counter (type 1, width only).
    pub fn cloudhsm_counter(bits: CK_ULONG) -> Segment {
        Segment(1, bits.to_ne_bytes().to_vec())
    }
    /// CloudHSM's length of the derived key (type 2, method and width).
    pub fn cloudhsm_dkm_length(method: CK_ULONG, bits: CK_ULONG) -> Segment {
        Segment(2, [method.to_ne_bytes(), bits.to_ne_bytes()].concat())
    }
    /// CloudHSM's byte array (type 3).
    pub fn cloudhsm_bytes(value: &[u8]) -> Segment {
        Segment(3, value.to_vec())
    }
}

/// CK_SP800_108_COUNTER_FORMAT with its padding: a CK_BBOOL, then a CK_ULONG at its own alignment.
fn counter_format(little_endian: bool, bits: CK_ULONG) -> Vec<u8> {
    let mut value = vec![0; size_of::<CK_SP800_108_COUNTER_FORMAT>()];
    value[0] = u8::from(little_endian);
    value[std::mem::offset_of!(CK_SP800_108_COUNTER_FORMAT, ulWidthInBits)..]
        .copy_from_slice(&bits.to_ne_bytes());
    value
}

impl Mechanism {
    /// Without parameter.
    pub fn new(mechanism: CK_MECHANISM_TYPE) -> Mechanism {
        Mechanism::raw(mechanism, ptr::null(), 0)
    }

    /// Any address and length: for hostile tests.
    pub fn raw(mechanism: CK_MECHANISM_TYPE, at: *const c_void, length: CK_ULONG) -> Mechanism {
        let raw = CK_MECHANISM { mechanism, pParameter: at.cast_mut(), ulParameterLen: length };
        Mechanism { raw, memory: Arena::default() }
    }

    /// Bytes as parameter: an IV, CKM_EXTRACT_KEY_FROM_KEY's number, a peer's DH value.
    pub fn bytes(mechanism: CK_MECHANISM_TYPE, parameter: &[u8]) -> Mechanism {
        let mut memory = Arena::default();
        let at = memory.slice(parameter).cast();
        Mechanism {
            raw: CK_MECHANISM { mechanism, pParameter: at, ulParameterLen: parameter.len() as CK_ULONG },
            memory,
        }
    }

    /// A CK_ULONG as parameter: a MAC's length in bytes, a key handle, a bit position.
    pub fn ulong(mechanism: CK_MECHANISM_TYPE, parameter: CK_ULONG) -> Mechanism {
        Mechanism::with(mechanism, |_| parameter)
    }

    /// A structure as parameter; `make` puts what it points to into the arena.
    pub fn with<T: Copy>(mechanism: CK_MECHANISM_TYPE, make: impl FnOnce(&mut Arena) -> T) -> Mechanism {
        let mut memory = Arena::default();
        let parameter = make(&mut memory);
        let at = memory.put(parameter).cast();
        Mechanism {
            raw: CK_MECHANISM { mechanism, pParameter: at, ulParameterLen: size_of::<T>() as CK_ULONG },
            memory,
        }
    }

    /// For the call. The module may write to output parameters through it.
    pub fn ptr(&self) -> *mut CK_MECHANISM {
        ptr::from_ref(&self.raw).cast_mut()
    }
    /// The CKM_ number.
    pub fn number(&self) -> CK_MECHANISM_TYPE {
        self.raw.mechanism
    }
    /// The parameter's address and length: message functions take them apart from the mechanism.
    pub fn parameter(&self) -> (*mut c_void, CK_ULONG) {
        (self.raw.pParameter, self.raw.ulParameterLen)
    }
    /// What an output parameter holds now. Blocks count in order of construction: GCM's IV is 0, its tag 1.
    pub fn block(&self, index: usize) -> Vec<u8> {
        self.memory.bytes(index)
    }

    /// CK_GCM_PARAMS (CKM_AES_GCM and CloudHSM's, whose IV is an output: [`Mechanism::block`] 0).
    pub fn gcm(mechanism: CK_MECHANISM_TYPE, iv: &[u8], aad: &[u8], tag_bits: CK_ULONG) -> Mechanism {
        Mechanism::with(mechanism, |m| CK_GCM_PARAMS {
            pIv: m.slice(iv),
            ulIvLen: iv.len() as CK_ULONG,
            ulIvBits: 8 * iv.len() as CK_ULONG,
            pAAD: m.slice(aad),
            ulAADLen: aad.len() as CK_ULONG,
            ulTagBits: tag_bits,
        })
    }

    /// CK_CCM_PARAMS. `data_length` is the plaintext's, `mac_length` in bytes.
    pub fn ccm(data_length: usize, nonce: &[u8], aad: &[u8], mac_length: CK_ULONG) -> Mechanism {
        Mechanism::with(CKM_AES_CCM, |m| CK_CCM_PARAMS {
            ulDataLen: data_length as CK_ULONG,
            pNonce: m.slice(nonce),
            ulNonceLen: nonce.len() as CK_ULONG,
            pAAD: m.slice(aad),
            ulAADLen: aad.len() as CK_ULONG,
            ulMACLen: mac_length,
        })
    }

    /// CK_AES_CTR_PARAMS.
    pub fn ctr(counter_bits: CK_ULONG, block: [u8; 16]) -> Mechanism {
        Mechanism::with(CKM_AES_CTR, |_| CK_AES_CTR_PARAMS { ulCounterBits: counter_bits, cb: block })
    }

    /// CK_CHACHA20_PARAMS with a 32-bit or 64-bit block counter.
    pub fn chacha20(counter: &[u8], nonce: &[u8]) -> Mechanism {
        Mechanism::with(CKM_CHACHA20, |m| CK_CHACHA20_PARAMS {
            pBlockCounter: m.slice(counter),
            blockCounterBits: 8 * counter.len() as CK_ULONG,
            pNonce: m.slice(nonce),
            ulNonceBits: 8 * nonce.len() as CK_ULONG,
        })
    }

    /// CK_SALSA20_CHACHA20_POLY1305_PARAMS.
    pub fn chacha20_poly1305(nonce: &[u8], aad: &[u8]) -> Mechanism {
        Mechanism::with(CKM_CHACHA20_POLY1305, |m| CK_SALSA20_CHACHA20_POLY1305_PARAMS {
            pNonce: m.slice(nonce),
            ulNonceLen: nonce.len() as CK_ULONG,
            pAAD: m.slice(aad),
            ulAADLen: aad.len() as CK_ULONG,
        })
    }

    /// The message form of GCM (CK_GCM_MESSAGE_PARAMS): block 0 is the IV, block 1 the tag.
    pub fn gcm_message(iv: &[u8], fixed_bits: CK_ULONG, generator: CK_ULONG, tag: &[u8]) -> Mechanism {
        Mechanism::with(CKM_AES_GCM, |m| CK_GCM_MESSAGE_PARAMS {
            pIv: m.slice(iv),
            ulIvLen: iv.len() as CK_ULONG,
            ulIvFixedBits: fixed_bits,
            ivGenerator: generator,
            pTag: m.slice(tag),
            ulTagBits: 8 * tag.len() as CK_ULONG,
        })
    }

    /// CK_GCM_WRAP_PARAMS for C_WrapKeyAuthenticated: block 0 is the IV.
    pub fn gcm_wrap(iv: &[u8], fixed_bits: CK_ULONG, generator: CK_ULONG, tag_bits: CK_ULONG) -> Mechanism {
        Mechanism::with(CKM_AES_GCM, |m| CK_GCM_WRAP_PARAMS {
            pIv: m.slice(iv),
            ulIvLen: iv.len() as CK_ULONG,
            ulIvFixedBits: fixed_bits,
            ivGenerator: generator,
            pAAD: ptr::null_mut(),
            ulAADLen: 0,
            ulTagBits: tag_bits,
        })
    }

    /// CK_RSA_PKCS_OAEP_PARAMS with an optional label.
    pub fn oaep(hash: CK_MECHANISM_TYPE, mgf: CK_RSA_PKCS_MGF_TYPE, label: &[u8]) -> Mechanism {
        Mechanism::with(CKM_RSA_PKCS_OAEP, |m| oaep_params(m, hash, mgf, label))
    }

    /// CK_RSA_AES_KEY_WRAP_PARAMS.
    pub fn rsa_aes(aes_bits: CK_ULONG, hash: CK_MECHANISM_TYPE, mgf: CK_RSA_PKCS_MGF_TYPE) -> Mechanism {
        Mechanism::with(CKM_RSA_AES_KEY_WRAP, |m| {
            let oaep = oaep_params(m, hash, mgf, &[]);
            CK_RSA_AES_KEY_WRAP_PARAMS { ulAESKeyBits: aes_bits, pOAEPParams: m.put(oaep) }
        })
    }

    /// CK_RSA_PKCS_PSS_PARAMS; `salt` in bytes.
    pub fn pss(
        mechanism: CK_MECHANISM_TYPE,
        hash: CK_MECHANISM_TYPE,
        mgf: CK_ULONG,
        salt: CK_ULONG,
    ) -> Mechanism {
        Mechanism::with(mechanism, |_| CK_RSA_PKCS_PSS_PARAMS { hashAlg: hash, mgf, sLen: salt })
    }

    /// CK_ECDH1_DERIVE_PARAMS for CKM_ECDH1_DERIVE or CKM_ECDH1_COFACTOR_DERIVE (and C_EncapsulateKey).
    pub fn ecdh1(
        mechanism: CK_MECHANISM_TYPE,
        kdf: CK_EC_KDF_TYPE,
        shared: &[u8],
        point: &[u8],
    ) -> Mechanism {
        Mechanism::with(mechanism, |m| CK_ECDH1_DERIVE_PARAMS {
            kdf,
            ulSharedDataLen: shared.len() as CK_ULONG,
            pSharedData: m.slice(shared),
            ulPublicDataLen: point.len() as CK_ULONG,
            pPublicData: m.slice(point),
        })
    }

    /// CK_ECDH_AES_KEY_WRAP_PARAMS.
    pub fn ecdh_aes(aes_bits: CK_ULONG, kdf: CK_EC_KDF_TYPE, shared: &[u8]) -> Mechanism {
        Mechanism::with(CKM_ECDH_AES_KEY_WRAP, |m| CK_ECDH_AES_KEY_WRAP_PARAMS {
            ulAESKeyBits: aes_bits,
            kdf,
            ulSharedDataLen: shared.len() as CK_ULONG,
            pSharedData: m.slice(shared),
        })
    }

    /// CK_EDDSA_PARAMS.
    pub fn eddsa(mechanism: CK_MECHANISM_TYPE, prehash: bool, context: &[u8]) -> Mechanism {
        Mechanism::with(mechanism, |m| CK_EDDSA_PARAMS {
            phFlag: u8::from(prehash),
            ulContextDataLen: context.len() as CK_ULONG,
            pContextData: m.slice(context),
        })
    }

    /// CK_SIGN_ADDITIONAL_CONTEXT (CKM_ML_DSA, CKM_SLH_DSA and the forms with a fixed hash).
    pub fn sign_context(mechanism: CK_MECHANISM_TYPE, hedge: CK_HEDGE_TYPE, context: &[u8]) -> Mechanism {
        Mechanism::with(mechanism, |m| CK_SIGN_ADDITIONAL_CONTEXT {
            hedgeVariant: hedge,
            pContext: m.slice(context),
            ulContextLen: context.len() as CK_ULONG,
        })
    }

    /// CK_HASH_SIGN_ADDITIONAL_CONTEXT (CKM_HASH_ML_DSA, CKM_HASH_SLH_DSA).
    pub fn hash_sign_context(
        m: CK_MECHANISM_TYPE,
        hedge: CK_HEDGE_TYPE,
        context: &[u8],
        hash: CK_ULONG,
    ) -> Mechanism {
        Mechanism::with(m, |m| CK_HASH_SIGN_ADDITIONAL_CONTEXT {
            hedgeVariant: hedge,
            pContext: m.slice(context),
            ulContextLen: context.len() as CK_ULONG,
            hash,
        })
    }

    /// CK_HKDF_PARAMS with salt data (none: CKF_HKDF_SALT_NULL).
    pub fn hkdf(
        mechanism: CK_MECHANISM_TYPE,
        hash: CK_ULONG,
        steps: (bool, bool),
        salt: &[u8],
        info: &[u8],
    ) -> Mechanism {
        Mechanism::with(mechanism, |m| CK_HKDF_PARAMS {
            bExtract: u8::from(steps.0),
            bExpand: u8::from(steps.1),
            prfHashMechanism: hash,
            ulSaltType: if salt.is_empty() { CKF_HKDF_SALT_NULL } else { CKF_HKDF_SALT_DATA },
            pSalt: m.slice(salt),
            ulSaltLen: salt.len() as CK_ULONG,
            hSaltKey: CK_INVALID_HANDLE,
            pInfo: m.slice(info),
            ulInfoLen: info.len() as CK_ULONG,
        })
    }

    /// The standard's SP 800-108 KDF: CKM_SP800_108_COUNTER_KDF or _DOUBLE_PIPELINE_KDF.
    pub fn sp800_108(
        mechanism: CK_MECHANISM_TYPE,
        prf: CK_MECHANISM_TYPE,
        segments: &[Segment],
    ) -> Mechanism {
        Mechanism::with(mechanism, |m| CK_SP800_108_KDF_PARAMS {
            prfType: prf,
            ulNumberOfDataParams: segments.len() as CK_ULONG,
            pDataParams: data_params(m, segments),
            ulAdditionalDerivedKeys: 0,
            pAdditionalDerivedKeys: ptr::null_mut(),
        })
    }

    /// CKM_SP800_108_FEEDBACK_KDF.
    pub fn sp800_108_feedback(prf: CK_MECHANISM_TYPE, segments: &[Segment], iv: &[u8]) -> Mechanism {
        Mechanism::with(CKM_SP800_108_FEEDBACK_KDF, |m| CK_SP800_108_FEEDBACK_KDF_PARAMS {
            prfType: prf,
            ulNumberOfDataParams: segments.len() as CK_ULONG,
            pDataParams: data_params(m, segments),
            ulIVLen: iv.len() as CK_ULONG,
            pIV: m.slice(iv),
            ulAdditionalDerivedKeys: 0,
            pAdditionalDerivedKeys: ptr::null_mut(),
        })
    }

    /// CloudHSM's SP 800-108 counter KDF: the vendor structure ends after the data parameters.
    pub fn cloudhsm_sp800_108(
        mechanism: CK_MECHANISM_TYPE,
        prf: CK_MECHANISM_TYPE,
        segments: &[Segment],
    ) -> Mechanism {
        #[repr(C)]
        #[derive(Clone, Copy)]
        struct Params(CK_MECHANISM_TYPE, CK_ULONG, *mut CK_PRF_DATA_PARAM);
        Mechanism::with(mechanism, |m| Params(prf, segments.len() as CK_ULONG, data_params(m, segments)))
    }

    /// CK_AES_CBC_ENCRYPT_DATA_PARAMS (CKM_AES_CBC_ENCRYPT_DATA).
    pub fn aes_cbc_encrypt_data(iv: [u8; 16], data: &[u8]) -> Mechanism {
        Mechanism::with(CKM_AES_CBC_ENCRYPT_DATA, |m| CK_AES_CBC_ENCRYPT_DATA_PARAMS {
            iv,
            pData: m.slice(data),
            length: data.len() as CK_ULONG,
        })
    }

    /// CK_KEY_DERIVATION_STRING_DATA (concatenation, XOR, ECB_ENCRYPT_DATA).
    pub fn string_data(mechanism: CK_MECHANISM_TYPE, data: &[u8]) -> Mechanism {
        Mechanism::with(mechanism, |m| CK_KEY_DERIVATION_STRING_DATA {
            pData: m.slice(data),
            ulLen: data.len() as CK_ULONG,
        })
    }

    /// CK_PKCS5_PBKD2_PARAMS2 with a given salt.
    pub fn pbkdf2(prf: CK_ULONG, password: &[u8], salt: &[u8], iterations: CK_ULONG) -> Mechanism {
        Mechanism::with(CKM_PKCS5_PBKD2, |m| CK_PKCS5_PBKD2_PARAMS2 {
            saltSource: CKZ_SALT_SPECIFIED,
            pSaltSourceData: m.slice(salt).cast(),
            ulSaltSourceDataLen: salt.len() as CK_ULONG,
            iterations,
            prf,
            pPrfData: ptr::null_mut(),
            ulPrfDataLen: 0,
            pPassword: m.slice(password),
            ulPasswordLen: password.len() as CK_ULONG,
        })
    }
}

fn oaep_params(
    m: &mut Arena,
    hash: CK_MECHANISM_TYPE,
    mgf: CK_ULONG,
    label: &[u8],
) -> CK_RSA_PKCS_OAEP_PARAMS {
    CK_RSA_PKCS_OAEP_PARAMS {
        hashAlg: hash,
        mgf,
        source: CKZ_DATA_SPECIFIED,
        pSourceData: m.slice(label).cast(),
        ulSourceDataLen: label.len() as CK_ULONG,
    }
}

fn data_params(m: &mut Arena, segments: &[Segment]) -> *mut CK_PRF_DATA_PARAM {
    let rows: Vec<_> = segments
        .iter()
        .map(|Segment(kind, value)| CK_PRF_DATA_PARAM {
            type_: *kind,
            pValue: word_aligned(m, value),
            ulValueLen: value.len() as CK_ULONG,
        })
        .collect();
    m.slice(&rows)
}

/// A segment's value may be a structure that holds a CK_ULONG, so its copy must be aligned for one.
fn word_aligned(m: &mut Arena, value: &[u8]) -> *mut c_void {
    let mut words = vec![0 as CK_ULONG; value.len().div_ceil(size_of::<CK_ULONG>())];
    for (word, chunk) in words.iter_mut().zip(value.chunks(size_of::<CK_ULONG>())) {
        let mut bytes = [0; size_of::<CK_ULONG>()];
        bytes[..chunk.len()].copy_from_slice(chunk);
        *word = CK_ULONG::from_ne_bytes(bytes);
    }
    m.slice(&words).cast()
}
