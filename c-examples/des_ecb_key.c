/*
 * Triple DES with a key that is in the token: --encrypt or --decrypt whole blocks of hexadecimal digits. Whoever moved a key from one token
 * to another sees with it that both hold the same.
 */
#include "common.h"

static CK_BYTE digit(char c)
{
    const char *digits = "0123456789abcdef", *found = c ? strchr(digits, c) : NULL;

    if (!found) {
        fputs("lower-case hexadecimal digits are wanted\n", stderr);
        exit(2);
    }
    return (CK_BYTE)(found - digits);
}

int main(int argc, char **argv)
{
    const char *library = NULL, *pin = NULL, *slot = NULL, *label = NULL, *plaintext = NULL, *ciphertext = NULL;
    const struct option options[] = { { "--library", &library }, { "--pin", &pin },           { "--slot", &slot },
                                      { "--label", &label },     { "--encrypt", &plaintext }, { "--decrypt", &ciphertext } };
    CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    CK_KEY_TYPE type = CKK_DES3;
    CK_MECHANISM ecb = { CKM_DES3_ECB, NULL, 0 };
    CK_OBJECT_HANDLE keys[2];
    CK_ULONG found = 0;

    parse_options(argc, argv, options, COUNT(options));
    const char *text = plaintext ? plaintext : ciphertext;
    if (!label || !text || (plaintext && ciphertext) || strlen(text) % 16 != 0 || strlen(text) > 1024) {
        fputs("--label and one of --encrypt and --decrypt are needed, with up to 64 blocks of 16 digits\n", stderr);
        return 2;
    }
    struct bytes input = { .length = strlen(text) / 2 }, output;
    for (CK_ULONG i = 0; i < input.length; i++)
        input.value[i] = (CK_BYTE)(digit(text[2 * i]) << 4 | digit(text[2 * i + 1]));

    struct token token = open_token(library, slot, pin);
    need(&token, CKM_DES3_ECB, "CKM_DES3_ECB");
    CK_ATTRIBUTE template[] = { ATTRIBUTE(CKA_CLASS, class), ATTRIBUTE(CKA_KEY_TYPE, type), { CKA_LABEL, (void *)label, strlen(label) } };
    must(token.p11->C_FindObjectsInit(token.session, template, COUNT(template)), "C_FindObjectsInit");
    must(token.p11->C_FindObjects(token.session, keys, COUNT(keys), &found), "C_FindObjects");
    must(token.p11->C_FindObjectsFinal(token.session), "C_FindObjectsFinal");
    check(found == 1, "one triple-DES key has this label");
    if (plaintext)
        output = encrypt(&token, &ecb, keys[0], input.value, input.length);
    else
        output = decrypt(&token, &ecb, keys[0], &input);
    for (CK_ULONG i = 0; i < output.length; i++)
        printf("%02x", output.value[i]);
    putchar('\n');
    close_token(&token);
    return 0;
}
