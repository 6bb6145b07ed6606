/*
 * ML-KEM-768, by both doors.
 *
 * PKCS#11 3.2 has C_EncapsulateKey and C_DecapsulateKey, and a program reaches them by C_GetInterface. A program that can only use the
 * 2.40 function list has the same by Coffer's vendor mechanism: C_DeriveKey with the public key encapsulates and writes the
 * ciphertext into the parameter's buffer, C_DeriveKey with the private key reads it there and decapsulates.
 * Either way the two sides' AES keys must be equal, and what one door encapsulated the other must decapsulate.
 */
#include "common.h"

#include <coffer.h>
#include <dlfcn.h>

enum { CIPHERTEXT = 1088 };

static struct token token;
static CK_FUNCTION_LIST_3_2_PTR p11_3_2;
static CK_OBJECT_CLASS class = CKO_SECRET_KEY;
static CK_KEY_TYPE type = CKK_AES;
static CK_ULONG length = 32;
#define SHARED_KEY { ATTRIBUTE(CKA_CLASS, class), ATTRIBUTE(CKA_KEY_TYPE, type), ATTRIBUTE(CKA_VALUE_LEN, length), NO(CKA_TOKEN), YES(CKA_ENCRYPT) }

static CK_FUNCTION_LIST_3_2_PTR interface_3_2(void)
{
    CK_UTF8CHAR name[] = "PKCS 11";
    CK_VERSION version = { 3, 2 };
    CK_INTERFACE_PTR interface = NULL;
    CK_RV (*interface_of)(CK_UTF8CHAR_PTR, CK_VERSION_PTR, CK_INTERFACE_PTR_PTR, CK_FLAGS);
    void *symbol = dlsym(token.library, "C_GetInterface");

    if (!symbol)
        return NULL;
    memcpy(&interface_of, &symbol, sizeof symbol);
    return interface_of(name, &version, &interface, 0) == CKR_OK ? interface->pFunctionList : NULL;
}

static void generate(CK_MECHANISM_TYPE mechanism, CK_OBJECT_HANDLE *public_key, CK_OBJECT_HANDLE *private_key)
{
    CK_MECHANISM generation = { mechanism, NULL, 0 };
    CK_ML_KEM_PARAMETER_SET_TYPE set = CKP_ML_KEM_768;
    CK_ATTRIBUTE public_template[] = { NO(CKA_TOKEN), YES(CKA_ENCAPSULATE), ATTRIBUTE(CKA_PARAMETER_SET, set) };
    CK_ATTRIBUTE private_template[] = { NO(CKA_TOKEN), YES(CKA_DECAPSULATE) };

    must(token.p11->C_GenerateKeyPair(token.session, &generation, public_template, COUNT(public_template), private_template,
                                      COUNT(private_template), public_key, private_key),
         "C_GenerateKeyPair, ML-KEM-768");
}

/* Whether two AES keys encrypt alike. */
static int same_key(CK_OBJECT_HANDLE one, CK_OBJECT_HANDLE other)
{
    CK_MECHANISM ecb = { CKM_AES_ECB, NULL, 0 };
    struct bytes by_one = encrypt(&token, &ecb, one, "sixteen bytes...", 16), by_other = encrypt(&token, &ecb, other, "sixteen bytes...", 16);
    return equal(&by_other, by_one.value, by_one.length);
}

static void by_encapsulation(void)
{
    CK_MECHANISM ml_kem = { CKM_ML_KEM, NULL, 0 };
    CK_ATTRIBUTE shared[] = SHARED_KEY;
    CK_OBJECT_HANDLE public_key, private_key, ours, theirs, wrong;
    struct bytes ciphertext = { .length = 0 };

    generate(CKM_ML_KEM_KEY_PAIR_GEN, &public_key, &private_key);
    must(p11_3_2->C_EncapsulateKey(token.session, &ml_kem, public_key, shared, COUNT(shared), NULL, &ciphertext.length, &ours),
         "C_EncapsulateKey, asking for the length");
    check(ciphertext.length == CIPHERTEXT, "an ML-KEM-768 ciphertext is 1,088 bytes");
    must(p11_3_2->C_EncapsulateKey(token.session, &ml_kem, public_key, shared, COUNT(shared), ciphertext.value, &ciphertext.length, &ours),
         "C_EncapsulateKey");
    must(p11_3_2->C_DecapsulateKey(token.session, &ml_kem, private_key, shared, COUNT(shared), ciphertext.value, ciphertext.length, &theirs),
         "C_DecapsulateKey");
    check(same_key(ours, theirs), "both sides hold the same key");

    /* FIPS 203: a changed ciphertext gives a key all the same, but another one. */
    ciphertext.value[17] ^= 1;
    must(p11_3_2->C_DecapsulateKey(token.session, &ml_kem, private_key, shared, COUNT(shared), ciphertext.value, ciphertext.length, &wrong),
         "C_DecapsulateKey of a changed ciphertext");
    check(!same_key(ours, wrong), "a changed ciphertext gives another key");
    puts("the 3.2 interface: encapsulated, decapsulated, equal; a changed ciphertext gives another key");
}

static void by_derivation(void)
{
    CK_BYTE ciphertext[CIPHERTEXT];
    CK_COFFER_ML_KEM_PARAMS parameters = { NULL, 0 };
    CK_MECHANISM vendor = { CKM_COFFER_ML_KEM, &parameters, sizeof parameters }, standard = { CKM_ML_KEM, NULL, 0 };
    CK_ATTRIBUTE shared[] = SHARED_KEY;
    CK_OBJECT_HANDLE public_key, private_key, ours, theirs;

    generate(CKM_COFFER_ML_KEM_KEY_PAIR_GEN, &public_key, &private_key);
    check(token.p11->C_DeriveKey(token.session, &vendor, public_key, shared, COUNT(shared), &ours) == CKR_BUFFER_TOO_SMALL &&
              parameters.ulCiphertextLen == CIPHERTEXT,
          "without a buffer, C_DeriveKey tells the length and makes no key");
    parameters.pCiphertext = ciphertext;
    must(token.p11->C_DeriveKey(token.session, &vendor, public_key, shared, COUNT(shared), &ours), "C_DeriveKey with the public key");
    must(token.p11->C_DeriveKey(token.session, &vendor, private_key, shared, COUNT(shared), &theirs), "C_DeriveKey with the private key");
    check(same_key(ours, theirs), "both sides hold the same key");
    puts("the 2.40 list: encapsulated and decapsulated by C_DeriveKey, equal");

    if (p11_3_2) {
        must(p11_3_2->C_DecapsulateKey(token.session, &standard, private_key, shared, COUNT(shared), ciphertext, CIPHERTEXT, &theirs),
             "C_DecapsulateKey");
        check(same_key(ours, theirs), "what C_DeriveKey encapsulated, C_DecapsulateKey decapsulates");
        puts("one door's ciphertext through the other: equal");
    }
}

int main(int argc, char **argv)
{
    token = open_from_options(argc, argv);
    p11_3_2 = interface_3_2();
    if (p11_3_2 && offers(&token, CKM_ML_KEM))
        by_encapsulation();
    else
        puts("the 3.2 interface: the module has no ML-KEM there");
    need(&token, CKM_COFFER_ML_KEM, "CKM_COFFER_ML_KEM");
    by_derivation();
    close_token(&token);
    return 0;
}
