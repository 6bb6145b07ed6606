/* After cryptoki.h they are CloudHSM's, with the numbers that Amazon has published. */
#include <cryptoki.h>
#include <cloudhsm_pkcs11_vendor_defs.h>

int version[CRYPTOKI_VERSION_MAJOR == 2 && CRYPTOKI_VERSION_MINOR == 40 ? 1 : -1];
int mechanisms[CKM_CLOUDHSM_AES_GCM == 0x80001087 && CKM_CLOUDHSM_AES_KEY_WRAP_NO_PAD == 0x80002109
                       && CKM_CLOUDHSM_AES_KEY_WRAP_PKCS5_PAD == 0x8000210A
                       && CKM_CLOUDHSM_AES_KEY_WRAP_ZERO_PAD == 0x8000216F && CKM_DES3_NIST_WRAP == 0x80008000
                       && CKM_SP800_108_COUNTER_KDF == 0x80000001
                       && CKM_CLOUDHSM_SP800_108_COUNTER_KDF == 0x80000001
                   ? 1
                   : -1];
int pieces[CK_SP800_108_ITERATION_VARIABLE == 1 && CK_SP800_108_DKM_LENGTH == 2 && CK_SP800_108_BYTE_ARRAY == 3
                   && SP800_108_COUNTER_FORMAT == 4 && SP800_108_PRF_LABEL == 5 && SP800_108_PRF_CONTEXT == 6
                   && SP800_108_DKM_FORMAT == 7 && SP800_108_BYTE_ARRAY == 8 && SP800_108_DKM_LENGTH_SUM_OF_KEYS == 1
                   && SP800_108_DKM_LENGTH_SUM_OF_SEGMENTS == 2
               ? 1
               : -1];

CK_SP800_108_COUNTER_FORMAT counter = {32};
CK_SP800_108_DKM_LENGTH_FORMAT length = {SP800_108_DKM_LENGTH_SUM_OF_KEYS, 32};
CK_PRF_DATA_PARAM data[] = {{CK_SP800_108_ITERATION_VARIABLE, &counter, sizeof(counter)},
                            {CK_SP800_108_DKM_LENGTH, &length, sizeof(length)}};
CK_SP800_108_KDF_PARAMS parameter = {CKM_AES_CMAC, 2, data};
CK_MECHANISM mechanism = {CKM_SP800_108_COUNTER_KDF, &parameter, sizeof(parameter)};

CK_EDDSA_PARAMS prehashed = {CK_TRUE, 0, NULL_PTR};
