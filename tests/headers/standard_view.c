/* After pkcs11.h the SP 800-108 names are the standard's, and the vendor's have CLOUDHSM in them. */
#include <pkcs11.h>
#include <cryptoki.h>
#include <cloudhsm_pkcs11_vendor_defs.h>

int version[CRYPTOKI_VERSION_MAJOR == 3 && CRYPTOKI_VERSION_MINOR == 2 ? 1 : -1];
int numbers[CKM_SP800_108_COUNTER_KDF == 0x3AC && CK_SP800_108_DKM_LENGTH == 3 && CK_SP800_108_BYTE_ARRAY == 4 ? 1 : -1];
int structures[sizeof(CK_SP800_108_KDF_PARAMS) == 5 * sizeof(CK_ULONG)
                       && sizeof(CK_CLOUDHSM_SP800_108_KDF_PARAMS) == 3 * sizeof(CK_ULONG)
                   ? 1
                   : -1];
CK_SP800_108_COUNTER_FORMAT standard = {CK_FALSE, 32};
CK_CLOUDHSM_SP800_108_COUNTER_FORMAT vendor = {32};
