/*
 * Wraps an AES-256 key and a triple-DES key under an RSA public key, unwraps them with the private key, and proves each copy equal
 * to its original by encrypting with both. Twice: CKM_RSA_PKCS_OAEP holds the key itself and so only short ones;
 * CKM_RSA_AES_KEY_WRAP holds an AES key that exists for this one wrap, and under it the key, whatever its length.
 *
 * --hash sha1 is for modules whose OAEP knows nothing newer.
 */
#include "common.h"

enum { MODULUS = 256, KWP_BLOCK = 8 };

static struct token token;
static CK_OBJECT_HANDLE public_key, private_key;

struct payload {
    const char *name;
    CK_KEY_TYPE type;
    CK_MECHANISM_TYPE generation, cipher;
    CK_ULONG length, value_len; /* bytes; value_len is 0 where the key type fixes it */
};
static const struct payload payloads[] = {
    { "an AES-256", CKK_AES, CKM_AES_KEY_GEN, CKM_AES_ECB, 32, 32 },
    { "a triple-DES", CKK_DES3, CKM_DES3_KEY_GEN, CKM_DES3_ECB, 24, 0 },
};

static void there_and_back(CK_MECHANISM *wrapping, const char *name, const struct payload *payload, CK_ULONG expected_length)
{
    static const CK_BYTE text[] = "four blocks of DES, two of AES.";
    const CK_ATTRIBUTE use[] = { YES(CKA_ENCRYPT), YES(CKA_DECRYPT) };
    CK_MECHANISM cipher = { payload->cipher, NULL, 0 };
    CK_OBJECT_HANDLE key = generate_key(&token, payload->generation, payload->value_len, use, COUNT(use));

    struct bytes wrapped = wrap(&token, wrapping, public_key, key);
    check(wrapped.length == expected_length, "the wrapped key has the length the mechanism defines");
    CK_OBJECT_HANDLE copy = unwrap(&token, wrapping, private_key, payload->type, &wrapped);

    struct bytes by_key = encrypt(&token, &cipher, key, text, sizeof text);
    struct bytes by_copy = encrypt(&token, &cipher, copy, text, sizeof text);
    check(equal(&by_copy, by_key.value, by_key.length), "the unwrapped key encrypts as the original does");
    printf("%s: %s key in %lu bytes, and back\n", name, payload->name, (unsigned long)wrapped.length);

    /* A changed last byte must not unwrap, whichever layer holds it. */
    CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    CK_KEY_TYPE type = payload->type;
    CK_ATTRIBUTE template[] = { ATTRIBUTE(CKA_CLASS, class), ATTRIBUTE(CKA_KEY_TYPE, type), NO(CKA_TOKEN) };
    wrapped.value[wrapped.length - 1] ^= 1;
    CK_RV rv = token.p11->C_UnwrapKey(token.session, wrapping, private_key, wrapped.value, wrapped.length, template, COUNT(template), &copy);
    check(rv != CKR_OK, "a changed wrapping is refused");
}

int main(int argc, char **argv)
{
    const char *library = NULL, *pin = NULL, *slot = NULL, *hash = "sha256";
    const struct option options[] = { { "--library", &library }, { "--pin", &pin }, { "--slot", &slot }, { "--hash", &hash } };

    parse_options(argc, argv, options, COUNT(options));
    CK_RSA_PKCS_OAEP_PARAMS oaep = { CKM_SHA256, CKG_MGF1_SHA256, CKZ_DATA_SPECIFIED, NULL, 0 };
    if (strcmp(hash, "sha1") == 0) {
        oaep.hashAlg = CKM_SHA_1;
        oaep.mgf = CKG_MGF1_SHA1;
    }
    CK_RSA_AES_KEY_WRAP_PARAMS hybrid = { 256, &oaep };
    CK_MECHANISM by_oaep = { CKM_RSA_PKCS_OAEP, &oaep, sizeof oaep };
    CK_MECHANISM by_rsa_aes = { CKM_RSA_AES_KEY_WRAP, &hybrid, sizeof hybrid };

    token = open_token(library, slot, pin);
    generate_rsa_pair(&token, 8 * MODULUS, CKA_WRAP, CKA_UNWRAP, &public_key, &private_key);
    for (size_t i = 0; i < COUNT(payloads); i++)
        there_and_back(&by_oaep, "CKM_RSA_PKCS_OAEP", &payloads[i], MODULUS);

    need(&token, CKM_RSA_AES_KEY_WRAP, "CKM_RSA_AES_KEY_WRAP");
    for (size_t i = 0; i < COUNT(payloads); i++)
        there_and_back(&by_rsa_aes, "CKM_RSA_AES_KEY_WRAP", &payloads[i], MODULUS + payloads[i].length + KWP_BLOCK);
    close_token(&token);
    return 0;
}
