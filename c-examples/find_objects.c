/*
 * Finding objects: by label, by class, by id, by an RSA modulus, by everything at once; and what a search must not find.
 */
#include "common.h"

enum { KEYS = 12, BATCH = 5 };

/* How many objects match, read BATCH at a time until a batch comes back empty. The last one found goes to *last. */
static CK_ULONG find(struct token *token, CK_ATTRIBUTE *template, CK_ULONG count, CK_OBJECT_HANDLE *last)
{
    CK_OBJECT_HANDLE batch[BATCH];
    CK_ULONG found, total = 0;

    must(token->p11->C_FindObjectsInit(token->session, template, count), "C_FindObjectsInit");
    do {
        must(token->p11->C_FindObjects(token->session, batch, BATCH, &found), "C_FindObjects");
        check(found <= BATCH, "no more handles than asked for");
        if (found && last)
            *last = batch[found - 1];
        total += found;
    } while (found);
    must(token->p11->C_FindObjectsFinal(token->session), "C_FindObjectsFinal");
    return total;
}

int main(int argc, char **argv)
{
    struct token token = open_from_options(argc, argv);
    /* Labels no other object of this token is likely to have. */
    static char family[] = "find_objects example, family", single[] = "find_objects example, single", nobody[] = "find_objects example, nobody";
    CK_BYTE id[] = { 0xf1, 0x4d, 0x0b, 0x1e, 0xc7 };
    const CK_ATTRIBUTE family_attributes[] = { { CKA_LABEL, family, sizeof family - 1 } };
    const CK_ATTRIBUTE single_attributes[] = { { CKA_LABEL, single, sizeof single - 1 }, ATTRIBUTE(CKA_ID, id) };
    CK_OBJECT_CLASS secret = CKO_SECRET_KEY, public = CKO_PUBLIC_KEY;
    CK_OBJECT_HANDLE single_key, public_key, private_key, found = CK_INVALID_HANDLE;

    CK_ATTRIBUTE all_secret[] = { ATTRIBUTE(CKA_CLASS, secret) };
    CK_ULONG before = find(&token, all_secret, 1, NULL);
    for (int i = 0; i < KEYS; i++)
        generate_key(&token, CKM_AES_KEY_GEN, 16, family_attributes, COUNT(family_attributes));
    single_key = generate_key(&token, CKM_AES_KEY_GEN, 32, single_attributes, COUNT(single_attributes));

    CK_ATTRIBUTE by_family[] = { { CKA_LABEL, family, sizeof family - 1 } };
    check(find(&token, by_family, 1, NULL) == KEYS, "twelve keys share the label");
    check(find(&token, all_secret, 1, NULL) == before + KEYS + 1, "and thirteen secret keys are new");
    printf("by label: %d keys, read %d at a time\n", KEYS, BATCH);

    CK_ATTRIBUTE by_id[] = { ATTRIBUTE(CKA_ID, id), ATTRIBUTE(CKA_CLASS, secret) };
    check(find(&token, by_id, COUNT(by_id), &found) == 1 && found == single_key, "one key has the id");
    CK_ATTRIBUTE by_both[] = { { CKA_LABEL, family, sizeof family - 1 }, ATTRIBUTE(CKA_ID, id) };
    check(find(&token, by_both, COUNT(by_both), NULL) == 0, "no key has the one's label and the other's id");
    CK_ATTRIBUTE by_nobody[] = { { CKA_LABEL, nobody, sizeof nobody - 1 } };
    check(find(&token, by_nobody, 1, NULL) == 0, "nothing has a label that nobody gave");
    CK_ATTRIBUTE by_prefix[] = { { CKA_LABEL, family, sizeof family - 5 } };
    check(find(&token, by_prefix, 1, NULL) == 0, "a label matches whole, not by its beginning");
    puts("by id: one; by another's label and id: none; by part of a label: none");

    generate_rsa_pair(&token, 2048, CKA_VERIFY, CKA_SIGN, &public_key, &private_key);
    struct bytes modulus = attribute(&token, public_key, CKA_MODULUS);
    check(modulus.length == 256, "an RSA-2048 modulus is 256 bytes");
    CK_ATTRIBUTE by_modulus[] = { ATTRIBUTE(CKA_CLASS, public), { CKA_MODULUS, modulus.value, modulus.length } };
    check(find(&token, by_modulus, COUNT(by_modulus), &found) == 1 && found == public_key, "one public key has the modulus");
    puts("by modulus: the public key");

    must(token.p11->C_DestroyObject(token.session, single_key), "C_DestroyObject");
    check(find(&token, by_id, COUNT(by_id), NULL) == 0, "a destroyed key is not found");
    puts("destroyed: not found");

    must_be(token.p11->C_FindObjectsFinal(token.session), CKR_OPERATION_NOT_INITIALIZED, "C_FindObjectsFinal without a search");
    close_token(&token);
    return 0;
}
