/* The vendor mechanisms of AWS CloudHSM, Client SDK 5, as Coffer offers them. Coffer's own words.
 *
 * Works with Coffer's headers, 3.2 or 2.40, and with a program's own pkcs11.h if that is included first.
 *
 * SP 800-108: CloudHSM took names here that PKCS #11 3.0 later gave to other structures and numbers. The vendor's
 * things are always called CK_CLOUDHSM_SP800_108_... and CKM_CLOUDHSM_SP800_108_COUNTER_KDF. The names without
 * CLOUDHSM mean them too where pkcs11.h has not defined them otherwise: after cryptoki.h or any 2.40 header. After
 * a 3.x header those keep the meaning of the standard. */
#ifndef _CLOUDHSM_PKCS11_VENDOR_DEFS_H_
#define _CLOUDHSM_PKCS11_VENDOR_DEFS_H_

#ifndef CKM_VENDOR_DEFINED
#include "pkcs11.h"
#endif

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32) || defined(CRYPTOKI_FORCE_WIN32)
#pragma pack(push, cloudhsm, 1)
#endif

/* ---- Numbers that Amazon has published ---------------------------------------------------------- */

/* AES-GCM whose nonce the token makes: pIv is NULL, the output is nonce (12 bytes), ciphertext, tag. */
#define CKM_CLOUDHSM_AES_GCM (CKM_VENDOR_DEFINED | 0x00001087UL)

/* AES key wrap: RFC 3394; RFC 3394 after padding as in PKCS #5 to 8-byte blocks; RFC 5649. */
#define CKM_CLOUDHSM_AES_KEY_WRAP_NO_PAD    (CKM_VENDOR_DEFINED | 0x00002109UL)
#define CKM_CLOUDHSM_AES_KEY_WRAP_PKCS5_PAD (CKM_VENDOR_DEFINED | 0x0000210AUL)
#define CKM_CLOUDHSM_AES_KEY_WRAP_ZERO_PAD  (CKM_VENDOR_DEFINED | 0x0000216FUL)

/* In the headers of the older SDKs only. */
#define CKM_DES3_NIST_WRAP (CKM_VENDOR_DEFINED | 0x00008000UL)

/* SP 800-108 in counter mode. Parameter: CK_CLOUDHSM_SP800_108_KDF_PARAMS. */
#define CKM_CLOUDHSM_SP800_108_COUNTER_KDF (CKM_VENDOR_DEFINED | 0x00000001UL)

/* The pieces of the PRF's input, in the order in which they go in; prftype is CKM_AES_CMAC or a CKM_SHA..._HMAC.
 * Counters are big-endian. */
#define CK_CLOUDHSM_SP800_108_ITERATION_VARIABLE 0x00000001UL /* CK_CLOUDHSM_SP800_108_COUNTER_FORMAT */
#define CK_CLOUDHSM_SP800_108_DKM_LENGTH         0x00000002UL /* CK_CLOUDHSM_SP800_108_DKM_LENGTH_FORMAT */
#define CK_CLOUDHSM_SP800_108_BYTE_ARRAY         0x00000003UL /* bytes */

/* The older set: whatever the order given, the input is counter, label, a zero byte, context, length. */
#define SP800_108_COUNTER_FORMAT 0x00000004UL
#define SP800_108_PRF_LABEL      0x00000005UL
#define SP800_108_PRF_CONTEXT    0x00000006UL
#define SP800_108_DKM_FORMAT     0x00000007UL
#define SP800_108_BYTE_ARRAY     0x00000008UL

/* dkmLengthMethod. */
#define SP800_108_DKM_LENGTH_SUM_OF_KEYS     0x00000001UL
#define SP800_108_DKM_LENGTH_SUM_OF_SEGMENTS 0x00000002UL

typedef CK_MECHANISM_TYPE CK_PRF_TYPE;

/* ulWidthInBits is 16 or 32. */
typedef struct CK_CLOUDHSM_SP800_108_COUNTER_FORMAT {
  CK_ULONG ulWidthInBits;
} CK_CLOUDHSM_SP800_108_COUNTER_FORMAT;
typedef CK_CLOUDHSM_SP800_108_COUNTER_FORMAT *CK_CLOUDHSM_SP800_108_COUNTER_FORMAT_PTR;

/* ulWidthInBits is 8, 16, 32 or 64. */
typedef struct CK_CLOUDHSM_SP800_108_DKM_LENGTH_FORMAT {
  CK_ULONG dkmLengthMethod;
  CK_ULONG ulWidthInBits;
} CK_CLOUDHSM_SP800_108_DKM_LENGTH_FORMAT;
typedef CK_CLOUDHSM_SP800_108_DKM_LENGTH_FORMAT *CK_CLOUDHSM_SP800_108_DKM_LENGTH_FORMAT_PTR;

/* The same in both worlds, so 3.x's own serves where it is there. */
#ifndef CKM_SP800_108_FEEDBACK_KDF
typedef CK_ULONG CK_PRF_DATA_TYPE;

typedef struct CK_PRF_DATA_PARAM {
  CK_PRF_DATA_TYPE type;
  CK_VOID_PTR      pValue;
  CK_ULONG         ulValueLen;
} CK_PRF_DATA_PARAM;
typedef CK_PRF_DATA_PARAM *CK_PRF_DATA_PARAM_PTR;
#endif

typedef struct CK_CLOUDHSM_SP800_108_KDF_PARAMS {
  CK_PRF_TYPE           prftype;
  CK_ULONG              ulNumberOfDataParams;
  CK_PRF_DATA_PARAM_PTR pDataParams;
} CK_CLOUDHSM_SP800_108_KDF_PARAMS;
typedef CK_CLOUDHSM_SP800_108_KDF_PARAMS *CK_CLOUDHSM_SP800_108_KDF_PARAMS_PTR;

/* The names without CLOUDHSM. */
#ifndef CKM_SP800_108_FEEDBACK_KDF
#define CKM_SP800_108_COUNTER_KDF       CKM_CLOUDHSM_SP800_108_COUNTER_KDF /* deprecated by Amazon */
#define CK_SP800_108_ITERATION_VARIABLE CK_CLOUDHSM_SP800_108_ITERATION_VARIABLE
#define CK_SP800_108_DKM_LENGTH         CK_CLOUDHSM_SP800_108_DKM_LENGTH
#define CK_SP800_108_BYTE_ARRAY         CK_CLOUDHSM_SP800_108_BYTE_ARRAY

typedef CK_CLOUDHSM_SP800_108_COUNTER_FORMAT CK_SP800_108_COUNTER_FORMAT;
typedef CK_SP800_108_COUNTER_FORMAT *CK_SP800_108_COUNTER_FORMAT_PTR;
typedef CK_CLOUDHSM_SP800_108_DKM_LENGTH_FORMAT CK_SP800_108_DKM_LENGTH_FORMAT;
typedef CK_SP800_108_DKM_LENGTH_FORMAT *CK_SP800_108_DKM_LENGTH_FORMAT_PTR;
typedef CK_CLOUDHSM_SP800_108_KDF_PARAMS CK_SP800_108_KDF_PARAMS;
typedef CK_SP800_108_KDF_PARAMS *CK_SP800_108_KDF_PARAMS_PTR;
#endif

/* ---- Numbers of Coffer's choice ----------------------------------------------------------------- */

/* Amazon names these and ships their numbers with its SDK only. The numbers here are the vendor bit and the
 * standard's number of the same thing, as most of those above are. A program that uses them is compiled anew when
 * it goes from Coffer to Amazon's library or back. */

/* ANSI X9.63 for CKM_ECDH1_DERIVE: the vendor bit and CKD_SHA1_KDF ... CKD_SHA512_KDF. */
#define CKD_CLOUDHSM_X963_SHA1_KDF   0x80000002UL
#define CKD_CLOUDHSM_X963_SHA224_KDF 0x80000005UL
#define CKD_CLOUDHSM_X963_SHA256_KDF 0x80000006UL
#define CKD_CLOUDHSM_X963_SHA384_KDF 0x80000007UL
#define CKD_CLOUDHSM_X963_SHA512_KDF 0x80000008UL

/* Ed25519 without a parameter, Ed25519ph with CK_EDDSA_PARAMS {CK_TRUE, 0, NULL}; keys by CKM_EC_KEY_PAIR_GEN. */
#define CKM_CLOUDHSM_EDDSA (CKM_VENDOR_DEFINED | 0x00001057UL)

/* ML-DSA of the message, and of a 64-byte mu computed outside, which the standard has no mechanism for: 0x1E is
 * the free number beside CKM_ML_DSA. */
#define CKM_CLOUDHSM_ML_DSA_KEY_PAIR_GEN (CKM_VENDOR_DEFINED | 0x0000001CUL)
#define CKM_CLOUDHSM_ML_DSA              (CKM_VENDOR_DEFINED | 0x0000001DUL)
#define CKM_CLOUDHSM_EXT_MU_ML_DSA       (CKM_VENDOR_DEFINED | 0x0000001EUL)

#define CKK_CLOUDHSM_ML_DSA        (CKK_VENDOR_DEFINED | 0x0000004AUL)
#define CKA_CLOUDHSM_PARAMETER_SET (CKA_VENDOR_DEFINED | 0x0000061DUL)

/* CKA_CLOUDHSM_PARAMETER_SET, in the template of either key. */
typedef CK_ULONG CK_CLOUDHSM_ML_DSA_PARAMETER_SET_TYPE;
#define CKP_CLOUDHSM_ML_DSA_44 0x00000001UL
#define CKP_CLOUDHSM_ML_DSA_65 0x00000002UL
#define CKP_CLOUDHSM_ML_DSA_87 0x00000003UL

/* 2.40 has no EdDSA: the parameter is that of 3.0. */
#ifndef CKM_EDDSA
typedef struct CK_EDDSA_PARAMS {
  CK_BBOOL    phFlag;
  CK_ULONG    ulContextDataLen;
  CK_BYTE_PTR pContextData;
} CK_EDDSA_PARAMS;
typedef CK_EDDSA_PARAMS *CK_EDDSA_PARAMS_PTR;
#endif

#if defined(_WIN32) || defined(CRYPTOKI_FORCE_WIN32)
#pragma pack(pop, cloudhsm)
#endif

#ifdef __cplusplus
}
#endif

#endif
