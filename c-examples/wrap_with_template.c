/*
 * CKA_WRAP_TEMPLATE: a wrapping key that says which keys it will wrap. Here only keys that may encrypt; another key is refused, and
 * a caller cannot talk the module out of it, because the template belongs to the wrapping key.
 */
#include "common.h"

int main(int argc, char **argv)
{
    struct token token = open_from_options(argc, argv);
    CK_MECHANISM key_wrap = { CKM_AES_KEY_WRAP, NULL, 0 };
    CK_ATTRIBUTE wanted[] = { YES(CKA_ENCRYPT) };
    const CK_ATTRIBUTE wrapping_use[] = { YES(CKA_WRAP), YES(CKA_UNWRAP), { CKA_WRAP_TEMPLATE, wanted, sizeof wanted } };
    const CK_ATTRIBUTE matching[] = { YES(CKA_ENCRYPT) }, other[] = { NO(CKA_ENCRYPT) };
    CK_BYTE refused[64];
    CK_ULONG refused_length = sizeof refused;

    need(&token, CKM_AES_KEY_WRAP, "CKM_AES_KEY_WRAP");
    CK_OBJECT_HANDLE wrapping_key = generate_key(&token, CKM_AES_KEY_GEN, 32, wrapping_use, COUNT(wrapping_use));
    CK_OBJECT_HANDLE may_encrypt = generate_key(&token, CKM_AES_KEY_GEN, 32, matching, COUNT(matching));
    CK_OBJECT_HANDLE may_not = generate_key(&token, CKM_AES_KEY_GEN, 32, other, COUNT(other));

    struct bytes wrapped = wrap(&token, &key_wrap, wrapping_key, may_encrypt);
    check(wrapped.length == 40, "an AES-256 key wraps into 40 bytes");
    printf("a key that matches the template: wrapped into %lu bytes\n", (unsigned long)wrapped.length);

    memset(refused, 0, sizeof refused);
    CK_RV rv = token.p11->C_WrapKey(token.session, &key_wrap, wrapping_key, may_not, refused, &refused_length);
    /* The standard's answer is CKR_KEY_HANDLE_INVALID; modules in the field give the other two. */
    check(rv == CKR_KEY_HANDLE_INVALID || rv == CKR_KEY_NOT_WRAPPABLE || rv == CKR_ARGUMENTS_BAD, "a key that does not match is refused");
    for (size_t i = 0; i < sizeof refused; i++)
        check(refused[i] == 0, "a refusal writes nothing");
    printf("a key that does not match: %s\n", rv_name(rv));
    close_token(&token);
    return 0;
}
