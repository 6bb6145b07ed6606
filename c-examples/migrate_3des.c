/*
 * Moves a triple-DES key from one token to another, which may be in another module, so that only the target can read what travels:
 *
 *   target: an RSA pair; its public key is carried to the source
 *   source: the triple-DES key, wrapped under that public key by CKM_RSA_AES_KEY_WRAP
 *   target: the wrapping, unwrapped by the private key
 *
 * and then encrypts on the one and decrypts on the other, both ways. `--mechanism oaep --hash sha1` is for modules without more; a
 * triple-DES key is short enough for it.
 */
#include "common.h"

static CK_OBJECT_HANDLE carry_public_key(struct token *from, CK_OBJECT_HANDLE key, struct token *to)
{
    struct bytes modulus = attribute(from, key, CKA_MODULUS), exponent = attribute(from, key, CKA_PUBLIC_EXPONENT);
    CK_OBJECT_CLASS class = CKO_PUBLIC_KEY;
    CK_KEY_TYPE type = CKK_RSA;
    CK_ATTRIBUTE template[] = { ATTRIBUTE(CKA_CLASS, class), ATTRIBUTE(CKA_KEY_TYPE, type), NO(CKA_TOKEN), YES(CKA_WRAP),
                                { CKA_MODULUS, modulus.value, modulus.length }, { CKA_PUBLIC_EXPONENT, exponent.value, exponent.length } };
    CK_OBJECT_HANDLE copy = CK_INVALID_HANDLE;

    must(to->p11->C_CreateObject(to->session, template, COUNT(template), &copy), "C_CreateObject of the target's public key");
    return copy;
}

static void prove(struct token *one, CK_OBJECT_HANDLE key, struct token *other, CK_OBJECT_HANDLE copy, const char *way)
{
    static const char text[] = "account 0042, PIN block 12345678";
    CK_MECHANISM ecb = { CKM_DES3_ECB, NULL, 0 };
    struct bytes ciphertext = encrypt(one, &ecb, key, text, 32), plaintext = decrypt(other, &ecb, copy, &ciphertext);

    check(equal(&plaintext, text, 32), "what one token encrypted the other decrypts");
    print_hex(way, ciphertext.value, ciphertext.length);
}

int main(int argc, char **argv)
{
    const char *library = NULL, *from_library = NULL, *to_library = NULL, *from_pin = NULL, *to_pin = NULL, *from_slot = NULL, *to_slot = NULL;
    const char *mechanism = "rsa-aes", *hash = "sha256";
    const struct option options[] = { { "--library", &library }, { "--from-library", &from_library }, { "--to-library", &to_library },
                                      { "--from-pin", &from_pin }, { "--to-pin", &to_pin }, { "--from-slot", &from_slot },
                                      { "--to-slot", &to_slot }, { "--mechanism", &mechanism }, { "--hash", &hash } };

    parse_options(argc, argv, options, COUNT(options));
    int by_oaep = strcmp(mechanism, "oaep") == 0, sha1 = strcmp(hash, "sha1") == 0;
    CK_RSA_PKCS_OAEP_PARAMS oaep = { sha1 ? CKM_SHA_1 : CKM_SHA256, sha1 ? CKG_MGF1_SHA1 : CKG_MGF1_SHA256, CKZ_DATA_SPECIFIED, NULL, 0 };
    CK_RSA_AES_KEY_WRAP_PARAMS hybrid = { 256, &oaep };
    CK_MECHANISM wrapping = { CKM_RSA_AES_KEY_WRAP, &hybrid, sizeof hybrid };
    if (by_oaep)
        wrapping = (CK_MECHANISM){ CKM_RSA_PKCS_OAEP, &oaep, sizeof oaep };

    struct token source = open_token(from_library ? from_library : library, from_slot, from_pin);
    struct token target = open_token(to_library ? to_library : library, to_slot, to_pin);
    check(source.p11 != target.p11 || source.slot != target.slot, "source and target are two tokens");
    if (!offers(&source, wrapping.mechanism) || !offers(&target, wrapping.mechanism)) {
        fprintf(stderr, "both tokens must offer %s\n", by_oaep ? "CKM_RSA_PKCS_OAEP" : "CKM_RSA_AES_KEY_WRAP");
        close_token(&target);
        close_token(&source);
        return NOT_OFFERED;
    }

    CK_OBJECT_HANDLE public_key, private_key;
    generate_rsa_pair(&target, 2048, CKA_WRAP, CKA_UNWRAP, &public_key, &private_key);
    CK_OBJECT_HANDLE wrapping_key = carry_public_key(&target, public_key, &source);
    puts("target: an RSA-2048 pair; source: has its public key");

    const CK_ATTRIBUTE use[] = { YES(CKA_ENCRYPT), YES(CKA_DECRYPT) };
    CK_OBJECT_HANDLE key = generate_key(&source, CKM_DES3_KEY_GEN, 0, use, COUNT(use));
    struct bytes wrapped = wrap(&source, &wrapping, wrapping_key, key);
    check(wrapped.length == (by_oaep ? 256u : 256u + 32u), "the wrapping has the length the mechanism defines");
    printf("source: a triple-DES key, wrapped into %lu bytes\n", (unsigned long)wrapped.length);

    CK_OBJECT_HANDLE copy = unwrap(&target, &wrapping, private_key, CKK_DES3, &wrapped);
    check(!attribute_bool(&target, copy, CKA_LOCAL), "the target does not claim to have made the key");
    prove(&source, key, &target, copy, "encrypted by the source, decrypted by the target");
    prove(&target, copy, &source, key, "encrypted by the target, decrypted by the source");
    close_token(&target);
    close_token(&source);
    return 0;
}
