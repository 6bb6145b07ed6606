/*
 * AES key wrap against the RFCs' own answers: RFC 3394 4.6 for CKM_AES_KEY_WRAP, RFC 5649 6 for CKM_AES_KEY_WRAP_KWP (or
 * CKM_AES_KEY_WRAP_PAD where a module knows it by that older name). Then unwrapped and compared, and a changed wrapping refused.
 */
#include "common.h"

static CK_BYTE kw_kek[32] = { 0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f,
                              0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f };
static CK_BYTE kw_key[32] = { 0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff,
                              0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f };
static CK_BYTE kw_wrapped[40] = { 0x28, 0xc9, 0xf4, 0x04, 0xc4, 0xb8, 0x10, 0xf4, 0xcb, 0xcc, 0xb3, 0x5c, 0xfb, 0x87,
                                  0xf8, 0x26, 0x3f, 0x57, 0x86, 0xe2, 0xd8, 0x0e, 0xd3, 0x26, 0xcb, 0xc7, 0xf0, 0xe7,
                                  0x1a, 0x99, 0xf4, 0x3b, 0xfb, 0x98, 0x8b, 0x9b, 0x7a, 0x02, 0xdd, 0x21 };

static CK_BYTE kwp_kek[24] = { 0x58, 0x40, 0xdf, 0x6e, 0x29, 0xb0, 0x2a, 0xf1, 0xab, 0x49, 0x3b, 0x70,
                               0x5b, 0xf1, 0x6e, 0xa1, 0xae, 0x83, 0x38, 0xf4, 0xdc, 0xc1, 0x76, 0xa8 };
static CK_BYTE kwp_key[20] = { 0xc3, 0x7b, 0x7e, 0x64, 0x92, 0x58, 0x43, 0x40, 0xbe, 0xd1,
                               0x22, 0x07, 0x80, 0x89, 0x41, 0x15, 0x50, 0x68, 0xf7, 0x38 };
static CK_BYTE kwp_wrapped[32] = { 0x13, 0x8b, 0xde, 0xaa, 0x9b, 0x8f, 0xa7, 0xfc, 0x61, 0xf9, 0x77, 0x42, 0xe7, 0x22, 0x48, 0xee,
                                   0x5a, 0xe6, 0xae, 0x53, 0x60, 0xd1, 0xae, 0x6a, 0x5f, 0x54, 0xf3, 0x73, 0xfa, 0x54, 0x3b, 0x6a };

struct answer {
    const char *name;
    CK_KEY_TYPE type;
    CK_BYTE *kek, *key, *wrapped;
    CK_ULONG kek_length, key_length, wrapped_length;
};
static const struct answer kw = { "RFC 3394", CKK_AES, kw_kek, kw_key, kw_wrapped, sizeof kw_kek, sizeof kw_key, sizeof kw_wrapped };
static const struct answer kwp = { "RFC 5649", CKK_GENERIC_SECRET, kwp_kek, kwp_key, kwp_wrapped, sizeof kwp_kek, sizeof kwp_key, sizeof kwp_wrapped };

static CK_RV unwrap_readable(struct token *token, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE kek, CK_KEY_TYPE type, struct bytes *wrapped,
                             CK_OBJECT_HANDLE *key)
{
    CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    CK_ATTRIBUTE template[] = { ATTRIBUTE(CKA_CLASS, class), ATTRIBUTE(CKA_KEY_TYPE, type), NO(CKA_TOKEN), NO(CKA_SENSITIVE), YES(CKA_EXTRACTABLE) };
    return token->p11->C_UnwrapKey(token->session, mechanism, kek, wrapped->value, wrapped->length, template, COUNT(template), key);
}

static void run(struct token *token, CK_MECHANISM_TYPE type, const struct answer *answer)
{
    CK_MECHANISM mechanism = { type, NULL, 0 };
    const CK_ATTRIBUTE kek_use[] = { YES(CKA_WRAP), YES(CKA_UNWRAP) }, key_use[] = { YES(CKA_EXTRACTABLE) };
    CK_OBJECT_HANDLE kek = import_key(token, CKK_AES, answer->kek, answer->kek_length, kek_use, COUNT(kek_use));
    CK_OBJECT_HANDLE key = import_key(token, answer->type, answer->key, answer->key_length, key_use, COUNT(key_use)), copy;

    struct bytes wrapped = wrap(token, &mechanism, kek, key);
    print_hex(answer->name, wrapped.value, wrapped.length);
    check(equal(&wrapped, answer->wrapped, answer->wrapped_length), "the wrapped key is the RFC's");

    must(unwrap_readable(token, &mechanism, kek, answer->type, &wrapped, &copy), "C_UnwrapKey");
    struct bytes value = attribute(token, copy, CKA_VALUE);
    check(equal(&value, answer->key, answer->key_length), "the unwrapped key is the one that was wrapped");

    wrapped.value[3] ^= 0x10;
    CK_RV rv = unwrap_readable(token, &mechanism, kek, answer->type, &wrapped, &copy);
    check(rv != CKR_OK, "a changed wrapping is refused");
    printf("%s: unwrapped; a changed wrapping gave %s\n", answer->name, rv_name(rv));
}

int main(int argc, char **argv)
{
    struct token token = open_from_options(argc, argv);

    need(&token, CKM_AES_KEY_WRAP, "CKM_AES_KEY_WRAP");
    run(&token, CKM_AES_KEY_WRAP, &kw);
    if (offers(&token, CKM_AES_KEY_WRAP_KWP)) {
        run(&token, CKM_AES_KEY_WRAP_KWP, &kwp);
    } else {
        need(&token, CKM_AES_KEY_WRAP_PAD, "CKM_AES_KEY_WRAP_KWP or CKM_AES_KEY_WRAP_PAD");
        run(&token, CKM_AES_KEY_WRAP_PAD, &kwp);
    }
    close_token(&token);
    return 0;
}
