/* Coffer's own mechanisms: ML-KEM (FIPS 203) for programs that have only the 2.40 function list.
 *
 * With the 3.2 list use CKM_ML_KEM_KEY_PAIR_GEN and CKM_ML_KEM with C_EncapsulateKey and C_DecapsulateKey. Keys are
 * the same whichever way they were made: key type CKK_ML_KEM, parameter set in CKA_PARAMETER_SET. */
#ifndef COFFER_H
#define COFFER_H

#ifndef CKM_VENDOR_DEFINED
#include "pkcs11.h"
#endif

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32) || defined(CRYPTOKI_FORCE_WIN32)
#pragma pack(push, coffer, 1)
#endif

/* The vendor bit, 'C', 'O', 'F' and one byte, which is that of the standard's own mechanism: no other vendor's
 * range is likely to lie here. */
#define CKM_COFFER_BASE (CKM_VENDOR_DEFINED | 0x434F4600UL)

/* C_GenerateKeyPair. No parameter; CKA_PARAMETER_SET is needed in the public template. */
#define CKM_COFFER_ML_KEM_KEY_PAIR_GEN (CKM_COFFER_BASE | 0x0FUL)

/* C_DeriveKey. A public base key with CKA_ENCAPSULATE encapsulates, a private one with CKA_DECAPSULATE decapsulates;
 * the shared secret, 32 bytes, is the new key. Parameter: CK_COFFER_ML_KEM_PARAMS. */
#define CKM_COFFER_ML_KEM (CKM_COFFER_BASE | 0x17UL)

/* The ciphertext is 768, 1088 or 1568 bytes for ML-KEM-512, 768 and 1024.
 *
 * Encapsulation: pCiphertext receives it. ulCiphertextLen is the size of that buffer before the call and the length
 * of the ciphertext after it.
 *   - pCiphertext NULL, or the buffer too small: CKR_BUFFER_TOO_SMALL, ulCiphertextLen is written, no key is made.
 *   - any other failure: neither the buffer nor ulCiphertextLen holds anything of use.
 *
 * Decapsulation: pCiphertext points to ulCiphertextLen bytes, both only read. Another length, or NULL, is
 * CKR_MECHANISM_PARAM_INVALID. A ciphertext that was tampered with gives another secret, not an error, as FIPS 203
 * has it. */
typedef struct CK_COFFER_ML_KEM_PARAMS {
  CK_BYTE_PTR pCiphertext;
  CK_ULONG    ulCiphertextLen;
} CK_COFFER_ML_KEM_PARAMS;
typedef CK_COFFER_ML_KEM_PARAMS *CK_COFFER_ML_KEM_PARAMS_PTR;

/* What templates of such keys need and a 2.40 header lacks. */
#ifndef CKM_ML_KEM
#define CKK_ML_KEM        0x00000049UL
#define CKA_PARAMETER_SET 0x0000061DUL
#define CKA_ENCAPSULATE   0x00000633UL
#define CKA_DECAPSULATE   0x00000634UL
#define CKP_ML_KEM_512    0x00000001UL
#define CKP_ML_KEM_768    0x00000002UL
#define CKP_ML_KEM_1024   0x00000003UL
#endif

#if defined(_WIN32) || defined(CRYPTOKI_FORCE_WIN32)
#pragma pack(pop, coffer)
#endif

#ifdef __cplusplus
}
#endif

#endif
