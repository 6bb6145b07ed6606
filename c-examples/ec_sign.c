/*
 * ECDSA on P-256: a signature over a message (by CKM_ECDSA_SHA256 where it is offered) and one over its digest (by CKM_ECDSA), each
 * verified by the other way; a tampered message refused. A signature is r and s, 32 bytes each, and never twice the same.
 */
#include "common.h"

static CK_BYTE message[] = "the treaty, as agreed";

static struct bytes sign(struct token *token, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key, CK_BYTE *data, CK_ULONG length)
{
    struct bytes signature = { .length = sizeof signature.value };

    must(token->p11->C_SignInit(token->session, mechanism, key), "C_SignInit");
    must(token->p11->C_Sign(token->session, data, length, signature.value, &signature.length), "C_Sign");
    check(signature.length == 64, "a P-256 signature is 64 bytes");
    return signature;
}

static CK_RV verify(struct token *token, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key, CK_BYTE *data, CK_ULONG length, struct bytes *signature)
{
    must(token->p11->C_VerifyInit(token->session, mechanism, key), "C_VerifyInit");
    return token->p11->C_Verify(token->session, data, length, signature->value, signature->length);
}

int main(int argc, char **argv)
{
    struct token token = open_from_options(argc, argv);
    CK_MECHANISM sha256 = { CKM_SHA256, NULL, 0 }, of_digest = { CKM_ECDSA, NULL, 0 }, of_message = { CKM_ECDSA_SHA256, NULL, 0 };
    CK_OBJECT_HANDLE public_key, private_key;
    CK_BYTE digest[32];
    CK_ULONG digest_length = sizeof digest;

    need(&token, CKM_ECDSA, "CKM_ECDSA");
    generate_p256_pair(&token, CKA_VERIFY, CKA_SIGN, &public_key, &private_key);
    must(token.p11->C_DigestInit(token.session, &sha256), "C_DigestInit");
    must(token.p11->C_Digest(token.session, message, sizeof message, digest, &digest_length), "C_Digest");

    struct bytes first = sign(&token, &of_digest, private_key, digest, sizeof digest);
    struct bytes second = sign(&token, &of_digest, private_key, digest, sizeof digest);
    must(verify(&token, &of_digest, public_key, digest, sizeof digest, &first), "C_Verify");
    must(verify(&token, &of_digest, public_key, digest, sizeof digest, &second), "C_Verify");
    check(!equal(&first, second.value, second.length), "two signatures of one message differ");
    digest[0] ^= 1;
    must_be(verify(&token, &of_digest, public_key, digest, sizeof digest, &first), CKR_SIGNATURE_INVALID, "C_Verify of another digest");
    digest[0] ^= 1;
    puts("CKM_ECDSA: signed twice, verified; another digest refused");

    if (offers(&token, CKM_ECDSA_SHA256)) {
        must(verify(&token, &of_message, public_key, message, sizeof message, &first), "C_Verify of the message itself");
        struct bytes whole = sign(&token, &of_message, private_key, message, sizeof message);
        must(verify(&token, &of_digest, public_key, digest, sizeof digest, &whole), "C_Verify of the message's digest");
        message[4] ^= 1;
        must_be(verify(&token, &of_message, public_key, message, sizeof message, &whole), CKR_SIGNATURE_INVALID,
                "C_Verify of a tampered message");
        puts("CKM_ECDSA_SHA256: the same signatures; a tampered message refused");
    }
    close_token(&token);
    return 0;
}
