/*
 * AES-GCM with the caller's IV, and with the module's: the caller passes twelve zero bytes and the module writes the IV it made over
 * them. AWS CloudHSM knows only the second way and refuses an IV that is not zero; a module that knows only the first leaves the
 * zeroes alone, and zeroes are then the IV. Either way a changed ciphertext must be refused.
 */
#include "common.h"

enum { IV = 12, TAG = 16 };

static const CK_BYTE text[] = "attack at dawn", header[] = "to: the third column";
static const CK_BYTE zeroes[IV];

static CK_GCM_PARAMS parameters(CK_BYTE *iv, CK_ULONG iv_bits)
{
    CK_GCM_PARAMS gcm = { iv, IV, iv_bits, (CK_BYTE_PTR)header, sizeof header, 8 * TAG };
    return gcm;
}

static void decrypt_and_tamper(struct token *token, CK_OBJECT_HANDLE key, CK_MECHANISM *mechanism, struct bytes *ciphertext)
{
    struct bytes out = { .length = sizeof out.value };

    check(ciphertext->length == sizeof text + TAG, "the ciphertext is as long as the text and the tag");
    struct bytes plaintext = decrypt(token, mechanism, key, ciphertext);
    check(equal(&plaintext, text, sizeof text), "the text comes back");

    ciphertext->value[0] ^= 1;
    must(token->p11->C_DecryptInit(token->session, mechanism, key), "C_DecryptInit");
    CK_RV rv = token->p11->C_Decrypt(token->session, ciphertext->value, ciphertext->length, out.value, &out.length);
    check(rv != CKR_OK, "a changed ciphertext is refused");
    printf("a changed ciphertext: %s\n", rv_name(rv));
}

int main(int argc, char **argv)
{
    struct token token = open_from_options(argc, argv);
    const CK_ATTRIBUTE use[] = { YES(CKA_ENCRYPT), YES(CKA_DECRYPT) };
    CK_BYTE iv[IV] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 };
    CK_GCM_PARAMS gcm = parameters(iv, 8 * IV);
    CK_MECHANISM mechanism = { CKM_AES_GCM, &gcm, sizeof gcm };
    struct bytes ciphertext;

    need(&token, CKM_AES_GCM, "CKM_AES_GCM");
    CK_OBJECT_HANDLE key = generate_key(&token, CKM_AES_KEY_GEN, 32, use, COUNT(use));

    CK_RV rv = token.p11->C_EncryptInit(token.session, &mechanism, key);
    int callers_iv = rv == CKR_OK;
    if (callers_iv) {
        ciphertext.length = sizeof ciphertext.value;
        must(token.p11->C_Encrypt(token.session, (CK_BYTE_PTR)text, sizeof text, ciphertext.value, &ciphertext.length), "C_Encrypt");
        decrypt_and_tamper(&token, key, &mechanism, &ciphertext);
        puts("the caller's IV: encrypted, decrypted");
    } else {
        must_be(rv, CKR_MECHANISM_PARAM_INVALID, "C_EncryptInit with the caller's IV");
        puts("the caller's IV: refused");
    }

    memset(iv, 0, sizeof iv);
    gcm = parameters(iv, 0);
    ciphertext = encrypt(&token, &mechanism, key, text, sizeof text);
    int modules_iv = memcmp(iv, zeroes, IV) != 0;
    check(callers_iv || modules_iv, "the module takes the caller's IV or makes one");
    if (modules_iv) {
        CK_BYTE first[IV];
        memcpy(first, iv, IV);
        decrypt_and_tamper(&token, key, &mechanism, &ciphertext);
        print_hex("the module's IV", iv, IV);

        memset(iv, 0, sizeof iv);
        encrypt(&token, &mechanism, key, text, sizeof text);
        check(memcmp(iv, first, IV) != 0, "the next encryption has another IV");
    } else {
        puts("the module's IV: it makes none, twelve zero bytes were the IV");
        gcm.ulIvBits = 8 * IV;
        decrypt_and_tamper(&token, key, &mechanism, &ciphertext);
    }
    close_token(&token);
    return 0;
}
