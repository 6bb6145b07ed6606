/*
 * RSA signatures: PKCS #1 v1.5 and PSS, each in one call and in parts, verified; a tampered message and a tampered signature refused.
 */
#include "common.h"

static const char message[] = "pay the bearer ten pounds", tampered[] = "pay the bearer ten pence.";

static CK_RV verify(struct token *token, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key, const char *text, struct bytes *signature)
{
    must(token->p11->C_VerifyInit(token->session, mechanism, key), "C_VerifyInit");
    return token->p11->C_Verify(token->session, (CK_BYTE_PTR)text, strlen(text), signature->value, signature->length);
}

static void run(struct token *token, CK_MECHANISM *mechanism, const char *name, CK_OBJECT_HANDLE public_key, CK_OBJECT_HANDLE private_key)
{
    struct bytes signature = { .length = sizeof signature.value }, in_parts = signature;

    need(token, mechanism->mechanism, name);
    must(token->p11->C_SignInit(token->session, mechanism, private_key), "C_SignInit");
    must(token->p11->C_Sign(token->session, (CK_BYTE_PTR)message, strlen(message), signature.value, &signature.length), "C_Sign");
    check(signature.length == 256, "an RSA-2048 signature is 256 bytes");
    must(verify(token, mechanism, public_key, message, &signature), "C_Verify");
    must_be(verify(token, mechanism, public_key, tampered, &signature), CKR_SIGNATURE_INVALID, "C_Verify of a tampered message");
    signature.value[100] ^= 4;
    must_be(verify(token, mechanism, public_key, message, &signature), CKR_SIGNATURE_INVALID, "C_Verify of a tampered signature");

    must(token->p11->C_SignInit(token->session, mechanism, private_key), "C_SignInit");
    for (size_t at = 0; at < strlen(message); at += 5)
        must(token->p11->C_SignUpdate(token->session, (CK_BYTE_PTR)message + at, strlen(message) - at < 5 ? strlen(message) - at : 5),
             "C_SignUpdate");
    must(token->p11->C_SignFinal(token->session, in_parts.value, &in_parts.length), "C_SignFinal");
    must(verify(token, mechanism, public_key, message, &in_parts), "C_Verify of a signature made in parts");
    printf("%s: signed whole and in parts, verified; two forgeries refused\n", name);
}

int main(int argc, char **argv)
{
    struct token token = open_from_options(argc, argv);
    CK_RSA_PKCS_PSS_PARAMS pss = { CKM_SHA256, CKG_MGF1_SHA256, 32 };
    CK_MECHANISM by_pkcs = { CKM_SHA256_RSA_PKCS, NULL, 0 }, by_pss = { CKM_SHA256_RSA_PKCS_PSS, &pss, sizeof pss };
    CK_OBJECT_HANDLE public_key, private_key;

    generate_rsa_pair(&token, 2048, CKA_VERIFY, CKA_SIGN, &public_key, &private_key);
    run(&token, &by_pkcs, "CKM_SHA256_RSA_PKCS", public_key, private_key);
    run(&token, &by_pss, "CKM_SHA256_RSA_PKCS_PSS", public_key, private_key);
    close_token(&token);
    return 0;
}
