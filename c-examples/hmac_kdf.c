/*
 * The counter-mode KDF of NIST SP 800-108 over HMAC-SHA-256 (CKM_SP800_108_COUNTER_KDF):
 *
 *     derived = HMAC(K, [1]_32 || Label || 00 || Context || [L]_32) || HMAC(K, [2]_32 || ...) ...
 *
 * The answers below were computed apart, with HMAC alone.
 */
#include "common.h"

static CK_BYTE label[] = "example label", zero[] = { 0 }, context[] = "example context"; /* used without their terminators */

static const CK_BYTE one_block[32] = { 0x24, 0x45, 0xb9, 0xbd, 0x9a, 0xcf, 0xd7, 0xa4, 0x49, 0x1a, 0x61, 0x26, 0x26, 0x38, 0xd6, 0x0d,
                                       0x24, 0x23, 0xcf, 0x9c, 0xf2, 0x77, 0x29, 0x18, 0x36, 0x43, 0xc4, 0x9f, 0xdd, 0x40, 0xd6, 0x8b };
static const CK_BYTE two_blocks[64] = {
    0x70, 0xa5, 0xba, 0x24, 0xaf, 0x08, 0x1c, 0x46, 0x08, 0x1d, 0x8c, 0x0c, 0xaf, 0x68, 0x91, 0x7d, 0x7a, 0x09, 0x89, 0x96, 0x47, 0x07,
    0x45, 0x86, 0xfb, 0x39, 0x1d, 0xe3, 0x0d, 0xaa, 0xfe, 0x46, 0x8d, 0xbd, 0x87, 0x97, 0x54, 0xd6, 0x0b, 0x3a, 0xd2, 0xd0, 0x59, 0xce,
    0x41, 0xd0, 0x56, 0x07, 0xb1, 0xa9, 0x5f, 0x9c, 0xa3, 0xea, 0x0c, 0xcf, 0x17, 0xf0, 0xf6, 0xb5, 0x60, 0xfc, 0xd0, 0xa8,
};

static CK_OBJECT_HANDLE derive(struct token *token, CK_OBJECT_HANDLE base, CK_ULONG length)
{
    CK_SP800_108_COUNTER_FORMAT counter = { CK_FALSE, 32 };
    CK_SP800_108_DKM_LENGTH_FORMAT dkm = { CK_SP800_108_DKM_LENGTH_SUM_OF_KEYS, CK_FALSE, 32 };
    CK_PRF_DATA_PARAM input[] = {
        { CK_SP800_108_ITERATION_VARIABLE, &counter, sizeof counter },
        { CK_SP800_108_BYTE_ARRAY, label, sizeof label - 1 },
        { CK_SP800_108_BYTE_ARRAY, zero, sizeof zero },
        { CK_SP800_108_BYTE_ARRAY, context, sizeof context - 1 },
        { CK_SP800_108_DKM_LENGTH, &dkm, sizeof dkm },
    };
    CK_SP800_108_KDF_PARAMS kdf = { CKM_SHA256_HMAC, COUNT(input), input, 0, NULL };
    CK_MECHANISM mechanism = { CKM_SP800_108_COUNTER_KDF, &kdf, sizeof kdf };
    CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    CK_KEY_TYPE type = CKK_GENERIC_SECRET;
    CK_ATTRIBUTE template[] = { ATTRIBUTE(CKA_CLASS, class), ATTRIBUTE(CKA_KEY_TYPE, type), ATTRIBUTE(CKA_VALUE_LEN, length),
                                NO(CKA_TOKEN), NO(CKA_SENSITIVE), YES(CKA_EXTRACTABLE) };
    CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;

    must(token->p11->C_DeriveKey(token->session, &mechanism, base, template, COUNT(template), &key), "C_DeriveKey");
    return key;
}

int main(int argc, char **argv)
{
    struct token token = open_from_options(argc, argv);
    const CK_ATTRIBUTE use[] = { YES(CKA_DERIVE), NO(CKA_SENSITIVE), YES(CKA_EXTRACTABLE) };
    CK_BYTE base_value[32];

    need(&token, CKM_SP800_108_COUNTER_KDF, "CKM_SP800_108_COUNTER_KDF");
    for (CK_BYTE i = 0; i < sizeof base_value; i++)
        base_value[i] = i;
    CK_OBJECT_HANDLE base = import_key(&token, CKK_GENERIC_SECRET, base_value, sizeof base_value, use, COUNT(use));

    struct bytes value = attribute(&token, derive(&token, base, sizeof one_block), CKA_VALUE);
    check(equal(&value, one_block, sizeof one_block), "32 bytes: the known answer");
    print_hex("32 bytes", value.value, value.length);

    value = attribute(&token, derive(&token, base, sizeof two_blocks), CKA_VALUE);
    check(equal(&value, two_blocks, sizeof two_blocks), "64 bytes: the known answer");
    print_hex("64 bytes", value.value, value.length);

    context[0] ^= 1;
    value = attribute(&token, derive(&token, base, sizeof one_block), CKA_VALUE);
    check(!equal(&value, one_block, sizeof one_block), "another context gives another key");
    print_hex("another context", value.value, value.length);
    close_token(&token);
    return 0;
}
