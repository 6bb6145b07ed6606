/*
 * CKA_UNWRAP_TEMPLATE: an unwrapping key that says what the keys it unwraps will be. Here they cannot leave the token again. A caller
 * who leaves those attributes out gets them from the template; a caller who contradicts it gets CKR_TEMPLATE_INCONSISTENT.
 */
#include "common.h"

static CK_RV unwrap_as(struct token *token, CK_OBJECT_HANDLE unwrapping_key, struct bytes *wrapped, const CK_ATTRIBUTE *more, CK_ULONG count,
                       CK_OBJECT_HANDLE *key)
{
    CK_MECHANISM key_wrap = { CKM_AES_KEY_WRAP, NULL, 0 };
    CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    CK_KEY_TYPE type = CKK_AES;
    CK_ATTRIBUTE template[6] = { ATTRIBUTE(CKA_CLASS, class), ATTRIBUTE(CKA_KEY_TYPE, type), NO(CKA_TOKEN), YES(CKA_ENCRYPT) };

    check(count <= 2, "two more attributes at most");
    for (CK_ULONG i = 0; i < count; i++)
        template[4 + i] = more[i];
    return token->p11->C_UnwrapKey(token->session, &key_wrap, unwrapping_key, wrapped->value, wrapped->length, template, 4 + count, key);
}

int main(int argc, char **argv)
{
    struct token token = open_from_options(argc, argv);
    CK_MECHANISM key_wrap = { CKM_AES_KEY_WRAP, NULL, 0 }, ecb = { CKM_AES_ECB, NULL, 0 };
    CK_ATTRIBUTE imposed[] = { NO(CKA_EXTRACTABLE), YES(CKA_SENSITIVE) };
    const CK_ATTRIBUTE unwrapping_use[] = { YES(CKA_WRAP), YES(CKA_UNWRAP), { CKA_UNWRAP_TEMPLATE, imposed, sizeof imposed } };
    const CK_ATTRIBUTE payload_use[] = { YES(CKA_ENCRYPT) }, contradiction[] = { YES(CKA_EXTRACTABLE) };
    const CK_BYTE block[16] = "sixteen bytes!!";
    CK_OBJECT_HANDLE key;

    need(&token, CKM_AES_KEY_WRAP, "CKM_AES_KEY_WRAP");
    CK_OBJECT_HANDLE unwrapping_key = generate_key(&token, CKM_AES_KEY_GEN, 32, unwrapping_use, COUNT(unwrapping_use));
    CK_OBJECT_HANDLE payload = generate_key(&token, CKM_AES_KEY_GEN, 32, payload_use, COUNT(payload_use));
    struct bytes wrapped = wrap(&token, &key_wrap, unwrapping_key, payload);

    must(unwrap_as(&token, unwrapping_key, &wrapped, NULL, 0, &key), "C_UnwrapKey");
    struct bytes by_payload = encrypt(&token, &ecb, payload, block, sizeof block);
    struct bytes by_key = encrypt(&token, &ecb, key, block, sizeof block);
    check(equal(&by_key, by_payload.value, by_payload.length), "the unwrapped key is the one that was wrapped");
    check(!attribute_bool(&token, key, CKA_EXTRACTABLE) && attribute_bool(&token, key, CKA_SENSITIVE), "the template's attributes are on it");
    puts("attributes left out: the template gave them");

    struct bytes again = { .length = sizeof again.value };
    CK_RV rv = token.p11->C_WrapKey(token.session, &key_wrap, unwrapping_key, key, again.value, &again.length);
    must_be(rv, CKR_KEY_UNEXTRACTABLE, "C_WrapKey of the unwrapped key");
    puts("wrapping it out again: refused");

    rv = unwrap_as(&token, unwrapping_key, &wrapped, contradiction, COUNT(contradiction), &key);
    must_be(rv, CKR_TEMPLATE_INCONSISTENT, "C_UnwrapKey with a template that contradicts");
    puts("attributes that contradict the template: refused");
    must(unwrap_as(&token, unwrapping_key, &wrapped, imposed, COUNT(imposed), &key), "C_UnwrapKey with a template that agrees");
    puts("attributes that agree with the template: accepted");
    close_token(&token);
    return 0;
}
