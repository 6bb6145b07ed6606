/*
 * A session key lives as long as the session that made it: every session of the application may use it, and it is gone once its own
 * session closes. A login is the application's too, and outlives the session it was made on.
 */
#include "common.h"

static CK_BYTE digest[32] = "any thirty-two bytes will do...";

static CK_RV sign(struct token *token, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key, struct bytes *signature)
{
    CK_MECHANISM ecdsa = { CKM_ECDSA, NULL, 0 };
    CK_RV rv = token->p11->C_SignInit(session, &ecdsa, key);

    signature->length = sizeof signature->value;
    return rv ? rv : token->p11->C_Sign(session, digest, sizeof digest, signature->value, &signature->length);
}

static CK_STATE state(struct token *token, CK_SESSION_HANDLE session)
{
    CK_SESSION_INFO info;
    must(token->p11->C_GetSessionInfo(session, &info), "C_GetSessionInfo");
    return info.state;
}

/* The standard's answer is CKR_KEY_HANDLE_INVALID; some modules know only of objects. */
static void must_be_gone(CK_RV rv, const char *what)
{
    check(rv == CKR_KEY_HANDLE_INVALID || rv == CKR_OBJECT_HANDLE_INVALID, what);
    printf("%s: %s\n", what, rv_name(rv));
}

int main(int argc, char **argv)
{
    struct token token = open_from_options(argc, argv);
    CK_MECHANISM ecdsa = { CKM_ECDSA, NULL, 0 };
    CK_SESSION_HANDLE maker = token.session, other;
    CK_OBJECT_HANDLE public_key, private_key;
    struct bytes signature;

    must(token.p11->C_OpenSession(token.slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &other), "C_OpenSession");
    check(state(&token, other) == CKS_RW_USER_FUNCTIONS, "a new session is logged in like the others");
    generate_p256_pair(&token, CKA_VERIFY, CKA_SIGN, &public_key, &private_key);

    must(sign(&token, other, private_key, &signature), "C_Sign in another session");
    must(token.p11->C_VerifyInit(other, &ecdsa, public_key), "C_VerifyInit");
    must(token.p11->C_Verify(other, digest, sizeof digest, signature.value, signature.length), "C_Verify");
    puts("a session key made in one session, used in another");

    must(token.p11->C_CloseSession(maker), "C_CloseSession");
    token.session = other;
    check(state(&token, other) == CKS_RW_USER_FUNCTIONS, "the login outlives the session it was made on");
    must_be_gone(sign(&token, other, private_key, &signature), "C_SignInit with the closed session's key");
    must_be_gone(token.p11->C_VerifyInit(other, &ecdsa, public_key), "C_VerifyInit with the closed session's key");
    must_be(token.p11->C_DestroyObject(other, private_key), CKR_OBJECT_HANDLE_INVALID, "C_DestroyObject of the closed session's key");

    must(token.p11->C_Logout(other), "C_Logout");
    check(state(&token, other) == CKS_RW_PUBLIC_SESSION, "a logout is for every session");
    puts("logged out");
    close_token(&token);
    return 0;
}
