/*
 * What the examples share: options, loading a module, the session, and calls that stop the program at the first wrong answer.
 *
 * Exit codes: 0 every answer was right; 1 one was wrong; 2 bad options; 77 the module does not offer a mechanism the example needs.
 */
#ifndef COFFER_EXAMPLES_COMMON_H
#define COFFER_EXAMPLES_COMMON_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pkcs11.h>

enum { NOT_OFFERED = 77 };

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define ATTRIBUTE(type, variable) { (type), &(variable), sizeof(variable) }
#define YES(type) { (type), &yes, sizeof yes }
#define NO(type) { (type), &no, sizeof no }

extern CK_BBOOL yes, no;
extern CK_BYTE P256[10]; /* the DER object identifier of the curve P-256 */

/* One option: `--name VALUE` writes VALUE to *value. */
struct option {
    const char *name;
    const char **value;
};

/* A token with a session on it, and the module it was reached through. */
struct token {
    void *library;
    CK_FUNCTION_LIST_PTR p11;
    CK_SLOT_ID slot;
    CK_SESSION_HANDLE session;
    int initialised_here; /* this token's opening called C_Initialize, so its closing calls C_Finalize */
};

struct bytes {
    CK_ULONG length;
    CK_BYTE value[4096];
};

void parse_options(int argc, char **argv, const struct option *options, size_t count);

/* Loads and initialises the module; leaves slot and session unset. */
struct token load_module(const char *path);
/* A read-write session on `slot` (decimal or 0x..), or on the first initialised token when it is NULL. */
struct token open_session(const char *path, const char *slot);
/* The same, logged in as CKU_USER. `pin` is passed on as it is, so `user:password` works where the module speaks it. */
struct token open_token(const char *path, const char *slot, const char *pin);
/* Reads --library, --pin and --slot and opens that token. */
struct token open_from_options(int argc, char **argv);
void close_token(struct token *token);

const char *rv_name(CK_RV rv);
/* Stops the program unless `rv` is CKR_OK. */
void must(CK_RV rv, const char *what);
/* Stops the program unless `rv` is `expected`. */
void must_be(CK_RV rv, CK_RV expected, const char *what);
/* Stops the program unless `right`. */
void check(int right, const char *what);
int offers(struct token *token, CK_MECHANISM_TYPE mechanism);
/* Leaves with NOT_OFFERED unless the token lists the mechanism. */
void need(struct token *token, CK_MECHANISM_TYPE mechanism, const char *name);

/* A session secret key that may be wrapped; `length` in bytes, 0 where the mechanism fixes it. `more` adds attributes (at most 8). */
CK_OBJECT_HANDLE generate_key(struct token *token, CK_MECHANISM_TYPE mechanism, CK_ULONG length, const CK_ATTRIBUTE *more, CK_ULONG count);
/* A session secret key made of known bytes. */
CK_OBJECT_HANDLE import_key(struct token *token, CK_KEY_TYPE type, const void *value, CK_ULONG length, const CK_ATTRIBUTE *more, CK_ULONG count);
/* Session key pairs; each half may be used for the one thing named (CKA_WRAP and CKA_UNWRAP, CKA_VERIFY and CKA_SIGN ...). */
void generate_rsa_pair(struct token *token, CK_ULONG bits, CK_ATTRIBUTE_TYPE public_use, CK_ATTRIBUTE_TYPE private_use,
                       CK_OBJECT_HANDLE *public_key, CK_OBJECT_HANDLE *private_key);
void generate_p256_pair(struct token *token, CK_ATTRIBUTE_TYPE public_use, CK_ATTRIBUTE_TYPE private_use, CK_OBJECT_HANDLE *public_key,
                        CK_OBJECT_HANDLE *private_key);

struct bytes attribute(struct token *token, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type);
CK_BBOOL attribute_bool(struct token *token, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type);
struct bytes encrypt(struct token *token, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key, const void *data, CK_ULONG length);
struct bytes decrypt(struct token *token, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key, const struct bytes *ciphertext);
struct bytes wrap(struct token *token, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE wrapping_key, CK_OBJECT_HANDLE key);
/* Unwraps a session secret key of `type` that may encrypt, decrypt and be wrapped again. */
CK_OBJECT_HANDLE unwrap(struct token *token, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE unwrapping_key, CK_KEY_TYPE type,
                        const struct bytes *wrapped);

int equal(const struct bytes *bytes, const void *expected, CK_ULONG length);
void print_hex(const char *what, const void *bytes, CK_ULONG length);

#endif
