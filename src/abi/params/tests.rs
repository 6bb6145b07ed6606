//! Parameters as callers give them, and as attackers do.

use super::*;
use std::ptr;

fn caller() -> Caller {
    // SAFETY: the tests below pass pointers as they should be, or such as are refused unread.
    unsafe { Caller::new() }
}

fn read_raw(shape: Shape, pointer: *mut CK_VOID_PTR, len: usize, makes_ivs: bool) -> Result<Params> {
    let mechanism =
        CK_MECHANISM { mechanism: 0, pParameter: pointer.cast(), ulParameterLen: len as CK_ULONG };
    {
        let mut params = Params::None;
        caller().params(&mechanism, shape, makes_ivs, &mut params).map(|()| params)
    }
}

fn read<T>(shape: Shape, structure: &mut T) -> Result<Params> {
    read_raw(shape, ptr::from_mut(structure).cast(), size_of::<T>(), false)
}

fn refused(result: Result<Params>) {
    assert_eq!(result.err().map(|error| error.rv()), Some(Rv::MechanismParamInvalid));
}

const ALL_SHAPES: &[Shape] = &[
    Shape::Iv(16),
    Shape::OptionalIv(8),
    Shape::MacLength,
    Shape::Ctr,
    Shape::Gcm,
    Shape::CloudGcm,
    Shape::Ccm,
    Shape::Oaep,
    Shape::Pss,
    Shape::RsaAesWrap,
    Shape::Ecdh,
    Shape::EdDsa,
    Shape::SignContext,
    Shape::HashSignContext,
    Shape::Hkdf,
    Shape::Counter,
    Shape::CloudCounter,
    Shape::Kem,
    Shape::Data,
    Shape::OtherKey,
];

#[test]
fn no_shape_takes_null_with_a_length_or_a_wrong_size() {
    let mut memory = [0u64; 16];
    refused(read_raw(Shape::None, ptr::null_mut(), 16, false));
    refused(read_raw(Shape::None, memory.as_mut_ptr().cast(), 1, false));
    for &shape in ALL_SHAPES {
        for len in [8, 16, 24, 32, 40, 48, 64, usize::MAX] {
            refused(read_raw(shape, ptr::null_mut(), len, false));
        }
        for len in [1, 3, 7, 9, 17, 25, 33, 41, 49, 65, 120, usize::MAX] {
            refused(read_raw(shape, memory.as_mut_ptr().cast(), len, false));
        }
    }
}

#[test]
fn some_shapes_may_be_absent() {
    for shape in [Shape::None, Shape::OptionalIv(16), Shape::EdDsa, Shape::SignContext] {
        assert!(matches!(read_raw(shape, ptr::null_mut(), 0, false), Ok(Params::None)));
    }
    for &shape in ALL_SHAPES {
        let optional = matches!(shape, Shape::OptionalIv(_) | Shape::EdDsa | Shape::SignContext);
        assert_eq!(read_raw(shape, ptr::null_mut(), 0, false).is_err(), !optional, "{shape:?}");
    }
}

/// Structures whose fields are NULL with a length, or absurdly long: none may be read through.
#[test]
fn fields_are_not_believed() {
    let mut byte = 0u8;
    for (pointer, len) in [
        (ptr::null_mut(), 16),
        (ptr::null_mut(), CK_ULONG::MAX),
        (&raw mut byte, CK_ULONG::MAX),
        (&raw mut byte, 1 << 40),
    ] {
        let mut iv = [0u8; 12];
        let gcm = CK_GCM_PARAMS {
            pIv: iv.as_mut_ptr(),
            ulIvLen: 12,
            ulIvBits: 96,
            pAAD: ptr::null_mut(),
            ulAADLen: 0,
            ulTagBits: 128,
        };
        refused(read(Shape::Gcm, &mut CK_GCM_PARAMS { pIv: pointer, ulIvLen: len, ..gcm }));
        refused(read(Shape::Gcm, &mut CK_GCM_PARAMS { pAAD: pointer, ulAADLen: len, ..gcm }));
        refused(read(Shape::CloudGcm, &mut CK_GCM_PARAMS { pAAD: pointer, ulAADLen: len, ..gcm }));
        let oaep = CK_RSA_PKCS_OAEP_PARAMS {
            hashAlg: CKM_SHA256,
            mgf: CKG_MGF1_SHA256,
            source: CKZ_DATA_SPECIFIED,
            pSourceData: pointer.cast(),
            ulSourceDataLen: len,
        };
        refused(read(Shape::Oaep, &mut { oaep }));
        let mut nested = oaep;
        refused(read(
            Shape::RsaAesWrap,
            &mut CK_RSA_AES_KEY_WRAP_PARAMS { ulAESKeyBits: 256, pOAEPParams: &mut nested },
        ));
        refused(read(
            Shape::Ecdh,
            &mut CK_ECDH1_DERIVE_PARAMS {
                kdf: CKD_NULL,
                ulSharedDataLen: 0,
                pSharedData: ptr::null_mut(),
                ulPublicDataLen: len,
                pPublicData: pointer,
            },
        ));
        refused(read(Shape::Data, &mut CK_KEY_DERIVATION_STRING_DATA { pData: pointer, ulLen: len }));
        refused(read(
            Shape::EdDsa,
            &mut CK_EDDSA_PARAMS { phFlag: 0, ulContextDataLen: len, pContextData: pointer },
        ));
        refused(read(
            Shape::SignContext,
            &mut CK_SIGN_ADDITIONAL_CONTEXT { hedgeVariant: 0, pContext: pointer, ulContextLen: len },
        ));
        for (shape, size) in [(Shape::Counter, 40), (Shape::CloudCounter, 24)] {
            let mut kdf = CK_SP800_108_KDF_PARAMS {
                prfType: CKM_SHA256_HMAC,
                ulNumberOfDataParams: len,
                pDataParams: pointer.cast(),
                ulAdditionalDerivedKeys: 0,
                pAdditionalDerivedKeys: ptr::null_mut(),
            };
            if shape == Shape::CloudCounter {
                let mut cloud = CK_CLOUDHSM_SP800_108_KDF_PARAMS {
                    prftype: CKM_SHA256_HMAC,
                    ulNumberOfDataParams: len,
                    pDataParams: pointer.cast(),
                };
                refused(read_raw(shape, (&raw mut cloud).cast(), size, false));
            } else {
                refused(read_raw(shape, (&raw mut kdf).cast(), size, false));
            }
            let mut field =
                CK_PRF_DATA_PARAM { type_: CK_SP800_108_BYTE_ARRAY, pValue: pointer.cast(), ulValueLen: len };
            kdf.pDataParams = &mut field;
            kdf.ulNumberOfDataParams = 1;
            refused(read(Shape::Counter, &mut kdf));
        }
    }
    refused(read(
        Shape::RsaAesWrap,
        &mut CK_RSA_AES_KEY_WRAP_PARAMS { ulAESKeyBits: 256, pOAEPParams: ptr::null_mut() },
    ));
}

fn gcm(params: Result<Params>) -> Gcm {
    match params {
        Ok(Params::Gcm(gcm)) => gcm,
        _ => panic!("no Gcm"),
    }
}

#[test]
fn gcm_in_both_layouts_writes_its_iv_back() {
    let (mut iv, mut aad) = ([0u8; 12], *b"header");
    let mut with = CK_GCM_PARAMS {
        pIv: iv.as_mut_ptr(),
        ulIvLen: 12,
        ulIvBits: 0,
        pAAD: aad.as_mut_ptr(),
        ulAADLen: 6,
        ulTagBits: 128,
    };
    let mut without =
        GcmParamsWithoutIvBits { iv: with.pIv, iv_len: 12, aad: with.pAAD, aad_len: 6, tag_bits: 96 };
    let (with_at, without_at) = ((&raw mut with).cast(), (&raw mut without).cast());
    for (at, len, tag_bits) in [(with_at, 48, 128), (without_at, 40, 96)] {
        let plain = gcm(read_raw(Shape::Gcm, at, len, false));
        assert_eq!((&plain.iv[..], &plain.aad[..], plain.tag_bits), (&[0; 12][..], &b"header"[..], tag_bits));
        assert!(!plain.make_iv);
        assert!(gcm(read_raw(Shape::Gcm, at, len, true)).make_iv);
    }
    let mut made = gcm(read_raw(Shape::Gcm, with_at, 48, true));
    made.iv_sink.as_mut().unwrap().write(b"0123456789abTOO LONG");
    assert_eq!(&iv, b"0123456789ab");
    assert!(
        !gcm(read_raw(Shape::Gcm, with_at, 48, true)).make_iv,
        "an IV that is not zero is the caller's own"
    );
    with.pIv = ptr::null_mut();
    let cloud = gcm(read_raw(Shape::CloudGcm, (&raw mut with).cast(), 48, true));
    assert!(cloud.iv.is_empty() && cloud.iv_sink.is_none() && cloud.make_iv);
}

#[test]
fn oaep_and_pss_name_their_hashes() {
    let mut label = *b"label";
    let oaep = CK_RSA_PKCS_OAEP_PARAMS {
        hashAlg: CKM_SHA256,
        mgf: CKG_MGF1_SHA1,
        source: 0,
        pSourceData: ptr::null_mut(),
        ulSourceDataLen: 0,
    };
    assert!(matches!(
        read(Shape::Oaep, &mut { oaep }),
        Ok(Params::Oaep(Oaep { hash: Hash::Sha256, mgf: Hash::Sha1, .. }))
    ));
    let labelled =
        CK_RSA_PKCS_OAEP_PARAMS { pSourceData: label.as_mut_ptr().cast(), ulSourceDataLen: 5, ..oaep };
    refused(read(Shape::Oaep, &mut { labelled }));
    let specified = CK_RSA_PKCS_OAEP_PARAMS { source: CKZ_DATA_SPECIFIED, ..labelled };
    assert!(
        matches!(read(Shape::Oaep, &mut { specified }), Ok(Params::Oaep(oaep)) if oaep.label == b"label")
    );
    refused(read(Shape::Oaep, &mut CK_RSA_PKCS_OAEP_PARAMS { hashAlg: CKM_MD5, ..oaep }));
    refused(read(Shape::Oaep, &mut CK_RSA_PKCS_OAEP_PARAMS { mgf: 77, ..oaep }));
    let mut pss = CK_RSA_PKCS_PSS_PARAMS { hashAlg: CKM_SHA3_512, mgf: CKG_MGF1_SHA3_512, sLen: 64 };
    assert!(matches!(
        read(Shape::Pss, &mut pss),
        Ok(Params::Pss { hash: Hash::Sha3_512, mgf: Hash::Sha3_512, salt_len: 64 })
    ));
}

#[test]
fn kdfs_after_ecdh() {
    for (number, kdf) in [
        (CKD_NULL, EcdhKdf::Null),
        (CKD_SHA256_KDF, EcdhKdf::X963(Hash::Sha256)),
        (CKD_CLOUDHSM_X963_SHA512_KDF, EcdhKdf::X963(Hash::Sha512)),
        (CKD_SHA1_KDF_SP800, EcdhKdf::Sp800(Hash::Sha1)),
        (CKD_SHA3_384_KDF, EcdhKdf::X963(Hash::Sha3_384)),
    ] {
        assert_eq!(ecdh_kdf(number).unwrap(), kdf);
    }
    for number in [0, CKD_CPDIVERSIFY_KDF, CKM_VENDOR_DEFINED, CKM_VENDOR_DEFINED | CKD_NULL, CK_ULONG::MAX] {
        assert!(ecdh_kdf(number).is_err(), "{number:#x}");
    }
}

fn prf_field<T>(type_: CK_ULONG, value: &mut T) -> CK_PRF_DATA_PARAM {
    CK_PRF_DATA_PARAM { type_, pValue: ptr::from_mut(value).cast(), ulValueLen: size_of::<T>() as CK_ULONG }
}

/// The fields, in words.
fn words(params: Result<Params>) -> String {
    let Ok(Params::Counter(Counter { input, .. })) = params else { panic!("no Counter") };
    let word = |field: &CounterField| match field {
        CounterField::Counter { bits, little_endian } => format!("counter {bits} {little_endian}"),
        CounterField::Length { of, bits, .. } => format!("length {of:?} {bits}"),
        CounterField::Bytes(bytes) => format!("bytes {bytes:?}"),
    };
    input.iter().map(word).collect::<Vec<_>>().join(", ")
}

#[test]
fn the_two_dialects_of_sp800_108() {
    let mut format = CK_SP800_108_COUNTER_FORMAT { bLittleEndian: CK_TRUE, ulWidthInBits: 16 };
    let mut length = CK_SP800_108_DKM_LENGTH_FORMAT {
        dkmLengthMethod: CK_SP800_108_DKM_LENGTH_SUM_OF_SEGMENTS,
        bLittleEndian: CK_FALSE,
        ulWidthInBits: 32,
    };
    let (mut a, mut b) = ([1u8, 2], [3u8]);
    let mut fields = [
        prf_field(CK_SP800_108_BYTE_ARRAY, &mut a),
        prf_field(CK_SP800_108_ITERATION_VARIABLE, &mut format),
        prf_field(CK_SP800_108_DKM_LENGTH, &mut length),
    ];
    let mut standard = CK_SP800_108_KDF_PARAMS {
        prfType: CKM_SHA256_HMAC,
        ulNumberOfDataParams: 3,
        pDataParams: fields.as_mut_ptr(),
        ulAdditionalDerivedKeys: 0,
        pAdditionalDerivedKeys: ptr::null_mut(),
    };
    assert_eq!(
        words(read(Shape::Counter, &mut standard)),
        "bytes [1, 2], counter 16 true, length Segments 32"
    );
    standard.ulAdditionalDerivedKeys = 1;
    refused(read(Shape::Counter, &mut standard));

    let (mut width, mut cloud_length) =
        (32 as CK_ULONG, CK_CLOUDHSM_SP800_108_DKM_LENGTH_FORMAT { dkmLengthMethod: 1, ulWidthInBits: 32 });
    let mut newer = [
        prf_field(CK_CLOUDHSM_SP800_108_BYTE_ARRAY, &mut a),
        prf_field(CK_CLOUDHSM_SP800_108_ITERATION_VARIABLE, &mut width),
        prf_field(CK_CLOUDHSM_SP800_108_BYTE_ARRAY, &mut b),
        prf_field(CK_CLOUDHSM_SP800_108_DKM_LENGTH, &mut cloud_length),
    ];
    let mut params = CK_CLOUDHSM_SP800_108_KDF_PARAMS {
        prftype: CKM_AES_CMAC,
        ulNumberOfDataParams: 4,
        pDataParams: newer.as_mut_ptr(),
    };
    let expected = "bytes [1, 2], counter 32 false, bytes [3], length Keys 32";
    assert_eq!(words(read(Shape::CloudCounter, &mut params)), expected);

    let mut older = [
        prf_field(SP800_108_COUNTER_FORMAT, &mut width),
        prf_field(SP800_108_DKM_FORMAT, &mut cloud_length),
        prf_field(SP800_108_PRF_CONTEXT, &mut b),
        prf_field(SP800_108_PRF_LABEL, &mut a),
    ];
    params.pDataParams = older.as_mut_ptr();
    let expected = "counter 32 false, bytes [1, 2], bytes [0], bytes [3], length Keys 32";
    assert_eq!(words(read(Shape::CloudCounter, &mut params)), expected);
    older[3].type_ = SP800_108_PRF_CONTEXT;
    params.pDataParams = older.as_mut_ptr();
    refused(read(Shape::CloudCounter, &mut params));
    older[3].type_ = CK_CLOUDHSM_SP800_108_BYTE_ARRAY;
    params.pDataParams = older.as_mut_ptr();
    refused(read(Shape::CloudCounter, &mut params));
    width = 33;
    newer[1] = prf_field(CK_CLOUDHSM_SP800_108_ITERATION_VARIABLE, &mut width);
    params.pDataParams = newer.as_mut_ptr();
    refused(read(Shape::CloudCounter, &mut params));
}

#[test]
fn ml_kem_writes_ciphertext_and_length_back() {
    let mut buffer = [0u8; 8];
    let mut params = CK_COFFER_ML_KEM_PARAMS { pCiphertext: buffer.as_mut_ptr(), ulCiphertextLen: 8 };
    let at = (&raw mut params).cast();
    let Ok(Params::Kem(mut kem)) = read_raw(Shape::Kem, at, 16, false) else { panic!("no Kem") };
    assert_eq!((kem.capacity, &kem.ciphertext[..]), (Some(8), &[0; 8][..]));
    kem.sink.write(b"abc");
    assert_eq!((&buffer[..3], params.ulCiphertextLen), (&b"abc"[..], 3));
    params = CK_COFFER_ML_KEM_PARAMS { pCiphertext: ptr::null_mut(), ulCiphertextLen: 99 };
    let Ok(Params::Kem(mut kem)) = read_raw(Shape::Kem, (&raw mut params).cast(), 16, false) else {
        panic!("no Kem")
    };
    assert_eq!((kem.capacity, kem.ciphertext.len()), (None, 0));
    kem.len_sink.write(&768u64.to_ne_bytes());
    assert_eq!(params.ulCiphertextLen, 768);
}

#[test]
fn small_structures() {
    let mut ctr = CK_AES_CTR_PARAMS { ulCounterBits: 32, cb: [7; 16] };
    assert!(matches!(read(Shape::Ctr, &mut ctr), Ok(Params::Ctr { counter_bits: 32, block: [7, ..] })));
    ctr.ulCounterBits = 1 << 32;
    refused(read(Shape::Ctr, &mut ctr));
    assert!(matches!(read(Shape::Iv(4), &mut [1u8, 2, 3, 4]), Ok(Params::Iv(iv)) if iv[..] == [1, 2, 3, 4]));
    refused(read(Shape::Iv(16), &mut [0u8; 15]));
    assert!(matches!(read(Shape::MacLength, &mut (9 as CK_ULONG)), Ok(Params::Length(9))));
    assert!(matches!(read(Shape::OtherKey, &mut (5 as CK_OBJECT_HANDLE)), Ok(Params::OtherKey(5))));
    let mut eddsa = CK_EDDSA_PARAMS { phFlag: CK_TRUE, ulContextDataLen: 0, pContextData: ptr::null_mut() };
    assert!(matches!(read(Shape::EdDsa, &mut eddsa), Ok(Params::EdDsa { prehash: true, .. })));
    eddsa.phFlag = 2;
    refused(read(Shape::EdDsa, &mut eddsa));
    let mut context = CK_HASH_SIGN_ADDITIONAL_CONTEXT {
        hedgeVariant: CKH_DETERMINISTIC_REQUIRED,
        pContext: ptr::null_mut(),
        ulContextLen: 0,
        hash: CKM_SHA512,
    };
    let params = read(Shape::HashSignContext, &mut context);
    let expected = (Hedge::Deterministic, Some(Hash::Sha512));
    assert!(matches!(params, Ok(Params::SignContext { hedge, hash, .. }) if (hedge, hash) == expected));
    context.hedgeVariant = 3;
    refused(read(Shape::HashSignContext, &mut context));
    let mut hkdf = CK_HKDF_PARAMS {
        bExtract: CK_TRUE,
        bExpand: CK_FALSE,
        prfHashMechanism: CKM_SHA384,
        ulSaltType: CKF_HKDF_SALT_KEY,
        pSalt: ptr::null_mut(),
        ulSaltLen: 0,
        hSaltKey: 4,
        pInfo: ptr::null_mut(),
        ulInfoLen: 0,
    };
    let params = read(Shape::Hkdf, &mut hkdf);
    assert!(matches!(
        params,
        Ok(Params::Hkdf(Hkdf { extract: true, expand: false, salt: HkdfSalt::Key(4), .. }))
    ));
    hkdf.ulSaltType = 3;
    refused(read(Shape::Hkdf, &mut hkdf));
}
