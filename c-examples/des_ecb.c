/*
 * Triple DES in ECB mode: a known answer with an imported key, and a generated key there and back.
 */
#include "common.h"

static const CK_BYTE known_key[24] = { 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0x23, 0x45, 0x67, 0x89,
                                       0xab, 0xcd, 0xef, 0x01, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0x01, 0x23 };
static const CK_BYTE known_plaintext[24] = "The quick brown fox jump"; /* three blocks, no terminator */
static const CK_BYTE known_ciphertext[24] = { 0x1c, 0xcf, 0x23, 0x86, 0x9d, 0x09, 0x33, 0x3e, 0xcc, 0xe2, 0x1c, 0x81,
                                              0x12, 0x25, 0x6f, 0xe6, 0x68, 0xd5, 0xc0, 0x5d, 0xd9, 0xb6, 0xb9, 0x00 };

int main(int argc, char **argv)
{
    struct token token = open_from_options(argc, argv);
    const CK_ATTRIBUTE use[] = { YES(CKA_ENCRYPT), YES(CKA_DECRYPT) };
    CK_MECHANISM ecb = { CKM_DES3_ECB, NULL, 0 };

    need(&token, CKM_DES3_ECB, "CKM_DES3_ECB");
    CK_OBJECT_HANDLE known = import_key(&token, CKK_DES3, known_key, sizeof known_key, use, COUNT(use));
    struct bytes ciphertext = encrypt(&token, &ecb, known, known_plaintext, sizeof known_plaintext);
    check(equal(&ciphertext, known_ciphertext, sizeof known_ciphertext), "the known key gives the known ciphertext");
    struct bytes plaintext = decrypt(&token, &ecb, known, &ciphertext);
    check(equal(&plaintext, known_plaintext, sizeof known_plaintext), "and back");
    print_hex("an imported key gives the known answer", ciphertext.value, ciphertext.length);

    CK_OBJECT_HANDLE generated = generate_key(&token, CKM_DES3_KEY_GEN, 0, use, COUNT(use));
    ciphertext = encrypt(&token, &ecb, generated, known_plaintext, sizeof known_plaintext);
    check(!equal(&ciphertext, known_ciphertext, sizeof known_ciphertext), "another key gives another ciphertext");
    plaintext = decrypt(&token, &ecb, generated, &ciphertext);
    check(equal(&plaintext, known_plaintext, sizeof known_plaintext), "a generated key decrypts what it encrypted");
    print_hex("a generated key, there and back", ciphertext.value, ciphertext.length);

    /* ECB has no padding: a length that is no multiple of the block is refused. */
    CK_BYTE out[32];
    CK_ULONG length = sizeof out;
    must(token.p11->C_EncryptInit(token.session, &ecb, generated), "C_EncryptInit");
    must_be(token.p11->C_Encrypt(token.session, (CK_BYTE_PTR)known_plaintext, 23, out, &length), CKR_DATA_LEN_RANGE, "C_Encrypt of 23 bytes");
    close_token(&token);
    return 0;
}
