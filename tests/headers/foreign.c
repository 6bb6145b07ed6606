/* The vendor headers after a 2.40 header that is not ours; here is the little that they need of it. */
typedef unsigned char CK_BYTE, CK_BBOOL, CK_UTF8CHAR, *CK_BYTE_PTR, *CK_UTF8CHAR_PTR;
typedef unsigned long CK_ULONG, CK_MECHANISM_TYPE, CK_RV, CK_FLAGS, CK_USER_TYPE, CK_SLOT_ID, CK_SESSION_HANDLE;
typedef unsigned long CK_OBJECT_HANDLE, *CK_ULONG_PTR, *CK_SLOT_ID_PTR;
typedef void *CK_VOID_PTR;
typedef struct CK_VERSION { CK_BYTE major, minor; } CK_VERSION;
#define CKM_VENDOR_DEFINED 0x80000000UL
#define CKA_VENDOR_DEFINED 0x80000000UL
#define CKK_VENDOR_DEFINED 0x80000000UL
#include <cloudhsm_pkcs11_vendor_defs.h>
#include <coffer.h>

#ifdef _PKCS11_H_
#error "the vendor headers brought in another pkcs11.h"
#endif

int numbers[CKM_SP800_108_COUNTER_KDF == 0x80000001 && CK_SP800_108_BYTE_ARRAY == 3 && CKM_COFFER_ML_KEM == 0xC34F4617
                && CKK_ML_KEM == 0x49 && CKP_ML_KEM_1024 == 3 && CKA_PARAMETER_SET == 0x61D && CKA_ENCAPSULATE == 0x633
                && CKA_DECAPSULATE == 0x634 ? 1 : -1];
CK_SP800_108_COUNTER_FORMAT counter = {32};
CK_PRF_DATA_PARAM data = {CK_SP800_108_ITERATION_VARIABLE, &counter, sizeof(counter)};
CK_EDDSA_PARAMS prehashed = {1, 0, 0};
CK_COFFER_ML_KEM_PARAMS kem = {0, 0};
CK_COFFER_USER user = {{0}, 0, 0, 0, 0};
CK_COFFER_FUNCTION_LIST_PTR functions = 0;
