/*
 * AES in ECB mode: the known answer of NIST SP 800-38A F.1.5 in one call and in parts, and a generated key there and back.
 */
#include "common.h"

static const CK_BYTE known_key[32] = { 0x60, 0x3d, 0xeb, 0x10, 0x15, 0xca, 0x71, 0xbe, 0x2b, 0x73, 0xae, 0xf0, 0x85, 0x7d, 0x77, 0x81,
                                       0x1f, 0x35, 0x2c, 0x07, 0x3b, 0x61, 0x08, 0xd7, 0x2d, 0x98, 0x10, 0xa3, 0x09, 0x14, 0xdf, 0xf4 };
static const CK_BYTE known_plaintext[32] = { 0x6b, 0xc1, 0xbe, 0xe2, 0x2e, 0x40, 0x9f, 0x96, 0xe9, 0x3d, 0x7e, 0x11, 0x73, 0x93, 0x17, 0x2a,
                                             0xae, 0x2d, 0x8a, 0x57, 0x1e, 0x03, 0xac, 0x9c, 0x9e, 0xb7, 0x6f, 0xac, 0x45, 0xaf, 0x8e, 0x51 };
static const CK_BYTE known_ciphertext[32] = { 0xf3, 0xee, 0xd1, 0xbd, 0xb5, 0xd2, 0xa0, 0x3c, 0x06, 0x4b, 0x5a, 0x7e, 0x3d, 0xb1, 0x81, 0xf8,
                                              0x59, 0x1c, 0xcb, 0x10, 0xd4, 0x10, 0xed, 0x26, 0xdc, 0x5b, 0xa7, 0x4a, 0x31, 0x36, 0x28, 0x70 };

/* C_EncryptUpdate in pieces of 7 bytes, then C_EncryptFinal: the same bytes as one call gives, in whatever portions. */
static struct bytes encrypt_in_parts(struct token *token, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
    struct bytes out = { .length = 0 };
    CK_ULONG room;

    must(token->p11->C_EncryptInit(token->session, mechanism, key), "C_EncryptInit");
    for (CK_ULONG at = 0; at < sizeof known_plaintext; at += 7) {
        CK_ULONG part = sizeof known_plaintext - at < 7 ? sizeof known_plaintext - at : 7;
        room = sizeof out.value - out.length;
        must(token->p11->C_EncryptUpdate(token->session, (CK_BYTE_PTR)known_plaintext + at, part, out.value + out.length, &room),
             "C_EncryptUpdate");
        out.length += room;
    }
    room = sizeof out.value - out.length;
    must(token->p11->C_EncryptFinal(token->session, out.value + out.length, &room), "C_EncryptFinal");
    out.length += room;
    return out;
}

int main(int argc, char **argv)
{
    struct token token = open_from_options(argc, argv);
    const CK_ATTRIBUTE use[] = { YES(CKA_ENCRYPT), YES(CKA_DECRYPT) };
    CK_MECHANISM ecb = { CKM_AES_ECB, NULL, 0 };

    need(&token, CKM_AES_ECB, "CKM_AES_ECB");
    CK_OBJECT_HANDLE known = import_key(&token, CKK_AES, known_key, sizeof known_key, use, COUNT(use));
    struct bytes ciphertext = encrypt(&token, &ecb, known, known_plaintext, sizeof known_plaintext);
    check(equal(&ciphertext, known_ciphertext, sizeof known_ciphertext), "the known key gives the known ciphertext");
    print_hex("SP 800-38A F.1.5", ciphertext.value, ciphertext.length);
    ciphertext = encrypt_in_parts(&token, &ecb, known);
    check(equal(&ciphertext, known_ciphertext, sizeof known_ciphertext), "in parts of 7 bytes too");
    puts("the same in parts of 7 bytes");

    CK_OBJECT_HANDLE generated = generate_key(&token, CKM_AES_KEY_GEN, 32, use, COUNT(use));
    ciphertext = encrypt(&token, &ecb, generated, known_plaintext, sizeof known_plaintext);
    check(!equal(&ciphertext, known_ciphertext, sizeof known_ciphertext), "another key gives another ciphertext");
    struct bytes plaintext = decrypt(&token, &ecb, generated, &ciphertext);
    check(equal(&plaintext, known_plaintext, sizeof known_plaintext), "a generated key decrypts what it encrypted");
    print_hex("a generated key, there and back", ciphertext.value, ciphertext.length);
    close_token(&token);
    return 0;
}
