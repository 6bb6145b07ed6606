/*
 * A wrapping key that the security officer vouches for: CKA_TRUSTED. Keys with CKA_WRAP_WITH_TRUSTED leave a token under such a key
 * only. Whatever is unwrapped with this one is extractable again, as its CKA_UNWRAP_TEMPLATE says. The security officer has no private
 * objects, so the key is not private: all users of the token can use it, and none can read it or make another such. Prints the key's handle,
 * which means this key in this run; a key of that label that is there already is not made again.
 */
#include "common.h"

/* 0 if there is none. */
static CK_OBJECT_HANDLE find(struct token *token, const char *label)
{
    CK_ATTRIBUTE search[] = { { CKA_LABEL, (void *)label, strlen(label) } };
    CK_OBJECT_HANDLE key = 0;
    CK_ULONG found = 0;

    must(token->p11->C_FindObjectsInit(token->session, search, COUNT(search)), "C_FindObjectsInit");
    must(token->p11->C_FindObjects(token->session, &key, 1, &found), "C_FindObjects");
    must(token->p11->C_FindObjectsFinal(token->session), "C_FindObjectsFinal");
    return found ? key : 0;
}

static CK_OBJECT_HANDLE generate(struct token *token, const char *label, const char *so_pin)
{
    CK_MECHANISM generator = { CKM_AES_KEY_GEN, NULL, 0 };
    CK_ULONG length = 32;
    CK_ATTRIBUTE of_what_comes_out[] = { YES(CKA_EXTRACTABLE) };
    CK_ATTRIBUTE template[] = { YES(CKA_TOKEN),   NO(CKA_PRIVATE), YES(CKA_TRUSTED), YES(CKA_WRAP), YES(CKA_UNWRAP), YES(CKA_SENSITIVE),
                                NO(CKA_EXTRACTABLE), ATTRIBUTE(CKA_VALUE_LEN, length), { CKA_LABEL, (void *)label, strlen(label) },
                                { CKA_UNWRAP_TEMPLATE, of_what_comes_out, sizeof of_what_comes_out } };
    CK_OBJECT_HANDLE key;

    must(token->p11->C_Login(token->session, CKU_SO, (CK_UTF8CHAR_PTR)so_pin, strlen(so_pin)), "C_Login as the security officer");
    must(token->p11->C_GenerateKey(token->session, &generator, template, COUNT(template), &key), "C_GenerateKey of a trusted key");
    must(token->p11->C_Logout(token->session), "C_Logout");
    return key;
}

int main(int argc, char **argv)
{
    const char *library = NULL, *so_pin = NULL, *slot = NULL, *label = "trusted";
    const struct option options[] = { { "--library", &library }, { "--so-pin", &so_pin }, { "--slot", &slot }, { "--label", &label } };

    parse_options(argc, argv, options, COUNT(options));
    if (!so_pin) {
        fputs("--so-pin is needed\n", stderr);
        return 2;
    }
    struct token token = open_session(library, slot);
    CK_OBJECT_HANDLE key = find(&token, label);
    if (!key)
        key = generate(&token, label, so_pin);
    check(attribute_bool(&token, key, CKA_TRUSTED), "the key is there for all to see, and trusted");
    printf("%lu\n", (unsigned long)key);
    close_token(&token);
    return 0;
}
