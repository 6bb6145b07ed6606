/*
 * Two parties agree on an AES key by ECDH on P-256: each derives from its own private key and the other's public point, then one
 * encrypts and the other decrypts. A third party's key does not fit, and a point that is not on the curve is refused.
 */
#include "common.h"

static const char *const names[] = { "Alice", "Bob", "Mallory" };

static CK_RV derive(struct token *token, CK_OBJECT_HANDLE private_key, struct bytes *point, CK_OBJECT_HANDLE *key)
{
    CK_ECDH1_DERIVE_PARAMS ecdh = { CKD_NULL, 0, NULL, point->length, point->value };
    CK_MECHANISM mechanism = { CKM_ECDH1_DERIVE, &ecdh, sizeof ecdh };
    CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    CK_KEY_TYPE type = CKK_AES;
    CK_ULONG length = 32;
    CK_ATTRIBUTE template[] = { ATTRIBUTE(CKA_CLASS, class), ATTRIBUTE(CKA_KEY_TYPE, type), ATTRIBUTE(CKA_VALUE_LEN, length),
                                NO(CKA_TOKEN), YES(CKA_ENCRYPT), YES(CKA_DECRYPT) };
    return token->p11->C_DeriveKey(token->session, &mechanism, private_key, template, COUNT(template), key);
}

int main(int argc, char **argv)
{
    struct token token = open_from_options(argc, argv);
    CK_MECHANISM ecb = { CKM_AES_ECB, NULL, 0 };
    CK_OBJECT_HANDLE public_key, private_key[3], key[3], none;
    struct bytes point[3];
    static const char text[] = "our secret: these are 32 bytes..";

    need(&token, CKM_ECDH1_DERIVE, "CKM_ECDH1_DERIVE");
    for (size_t i = 0; i < COUNT(names); i++) {
        generate_p256_pair(&token, CKA_VERIFY, CKA_DERIVE, &public_key, &private_key[i]);
        point[i] = attribute(&token, public_key, CKA_EC_POINT);
        check(point[i].length == 67 && point[i].value[2] == 4, "CKA_EC_POINT is a DER octet string of an uncompressed point");
    }
    must(derive(&token, private_key[0], &point[1], &key[0]), "C_DeriveKey, Alice");
    must(derive(&token, private_key[1], &point[0], &key[1]), "C_DeriveKey, Bob");
    must(derive(&token, private_key[2], &point[1], &key[2]), "C_DeriveKey, Mallory");

    struct bytes by[3];
    for (size_t i = 0; i < COUNT(names); i++) {
        by[i] = encrypt(&token, &ecb, key[i], text, 32);
        print_hex(names[i], by[i].value, by[i].length);
    }
    struct bytes read = decrypt(&token, &ecb, key[1], &by[0]);
    check(equal(&read, text, 32), "Bob reads what Alice wrote");
    check(equal(&by[1], by[0].value, by[0].length), "their keys are the same");
    check(!equal(&by[2], by[0].value, by[0].length), "Mallory's is another");

    point[1].value[66] ^= 1; /* the last byte of y: no longer on the curve */
    CK_RV rv = derive(&token, private_key[0], &point[1], &none);
    check(rv != CKR_OK, "a point off the curve is refused");
    printf("a point off the curve: %s\n", rv_name(rv));
    close_token(&token);
    return 0;
}
