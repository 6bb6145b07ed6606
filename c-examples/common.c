#include "common.h"

#include <dlfcn.h>

CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
CK_BYTE P256[10] = { 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07 };

enum { MORE = 8, OWN = 4 };

static CK_OBJECT_CLASS secret_key_class = CKO_SECRET_KEY;

void parse_options(int argc, char **argv, const struct option *options, size_t count)
{
    for (int i = 1; i < argc; i += 2) {
        size_t k = 0;
        while (k < count && strcmp(argv[i], options[k].name) != 0)
            k++;
        if (k == count || i + 1 == argc) {
            fprintf(stderr, "usage: %s", argv[0]);
            for (k = 0; k < count; k++)
                fprintf(stderr, " %s VALUE", options[k].name);
            fputc('\n', stderr);
            exit(2);
        }
        *options[k].value = argv[i + 1];
    }
}

struct token load_module(const char *path)
{
    struct token token = { 0 };
    CK_C_INITIALIZE_ARGS arguments = { 0 };
    CK_C_GetFunctionList function_list;
    void *symbol;

    if (!path) {
        fputs("--library PATH is needed\n", stderr);
        exit(2);
    }
    token.library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!token.library) {
        fprintf(stderr, "%s\n", dlerror());
        exit(2);
    }
    symbol = dlsym(token.library, "C_GetFunctionList");
    check(symbol != NULL, "the library has C_GetFunctionList");
    /* ISO C has no cast between object and function pointers; POSIX promises that they are alike. */
    memcpy(&function_list, &symbol, sizeof symbol);
    must(function_list(&token.p11), "C_GetFunctionList");

    arguments.flags = CKF_OS_LOCKING_OK;
    CK_RV rv = token.p11->C_Initialize(&arguments);
    token.initialised_here = rv == CKR_OK;
    if (rv != CKR_CRYPTOKI_ALREADY_INITIALIZED) /* one module may hold both tokens of an example */
        must(rv, "C_Initialize");
    return token;
}

static CK_SLOT_ID first_initialised_slot(CK_FUNCTION_LIST_PTR p11)
{
    CK_SLOT_ID slots[64];
    CK_ULONG count = COUNT(slots);
    CK_TOKEN_INFO info;

    must(p11->C_GetSlotList(CK_TRUE, slots, &count), "C_GetSlotList");
    for (CK_ULONG i = 0; i < count; i++)
        if (p11->C_GetTokenInfo(slots[i], &info) == CKR_OK && (info.flags & CKF_TOKEN_INITIALIZED))
            return slots[i];
    fputs("no slot holds an initialised token\n", stderr);
    exit(2);
}

struct token open_session(const char *path, const char *slot)
{
    struct token token = load_module(path);
    char *end = NULL;

    token.slot = slot ? strtoul(slot, &end, 0) : first_initialised_slot(token.p11);
    if (slot && (end == slot || *end)) {
        fprintf(stderr, "--slot wants a number, not %s\n", slot);
        exit(2);
    }
    must(token.p11->C_OpenSession(token.slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &token.session), "C_OpenSession");
    return token;
}

struct token open_token(const char *path, const char *slot, const char *pin)
{
    struct token token = open_session(path, slot);

    if (!pin) {
        fputs("--pin PIN is needed\n", stderr);
        exit(2);
    }
    must(token.p11->C_Login(token.session, CKU_USER, (CK_UTF8CHAR_PTR)pin, strlen(pin)), "C_Login");
    return token;
}

struct token open_from_options(int argc, char **argv)
{
    const char *library = NULL, *pin = NULL, *slot = NULL;
    const struct option options[] = { { "--library", &library }, { "--pin", &pin }, { "--slot", &slot } };

    parse_options(argc, argv, options, COUNT(options));
    return open_token(library, slot, pin);
}

void close_token(struct token *token)
{
    if (token->session)
        must(token->p11->C_CloseSession(token->session), "C_CloseSession");
    if (token->initialised_here)
        must(token->p11->C_Finalize(NULL), "C_Finalize");
    dlclose(token->library);
}

#define NAME(code) { code, #code }
static const struct { CK_RV code; const char *name; } rv_names[] = {
    NAME(CKR_OK), NAME(CKR_HOST_MEMORY), NAME(CKR_SLOT_ID_INVALID), NAME(CKR_GENERAL_ERROR), NAME(CKR_FUNCTION_FAILED),
    NAME(CKR_ARGUMENTS_BAD), NAME(CKR_ATTRIBUTE_READ_ONLY), NAME(CKR_ATTRIBUTE_SENSITIVE), NAME(CKR_ATTRIBUTE_TYPE_INVALID),
    NAME(CKR_ATTRIBUTE_VALUE_INVALID), NAME(CKR_ACTION_PROHIBITED), NAME(CKR_DATA_INVALID), NAME(CKR_DATA_LEN_RANGE),
    NAME(CKR_DEVICE_ERROR), NAME(CKR_DEVICE_MEMORY), NAME(CKR_DEVICE_REMOVED), NAME(CKR_ENCRYPTED_DATA_INVALID),
    NAME(CKR_ENCRYPTED_DATA_LEN_RANGE), NAME(CKR_FUNCTION_NOT_SUPPORTED), NAME(CKR_KEY_HANDLE_INVALID), NAME(CKR_KEY_SIZE_RANGE),
    NAME(CKR_KEY_TYPE_INCONSISTENT), NAME(CKR_KEY_NOT_WRAPPABLE), NAME(CKR_KEY_UNEXTRACTABLE), NAME(CKR_KEY_FUNCTION_NOT_PERMITTED),
    NAME(CKR_MECHANISM_INVALID), NAME(CKR_MECHANISM_PARAM_INVALID), NAME(CKR_OBJECT_HANDLE_INVALID), NAME(CKR_OPERATION_ACTIVE),
    NAME(CKR_OPERATION_NOT_INITIALIZED), NAME(CKR_PIN_INCORRECT), NAME(CKR_PIN_INVALID), NAME(CKR_PIN_LEN_RANGE), NAME(CKR_PIN_LOCKED),
    NAME(CKR_SESSION_HANDLE_INVALID), NAME(CKR_SESSION_READ_ONLY), NAME(CKR_SESSION_EXISTS), NAME(CKR_SIGNATURE_INVALID),
    NAME(CKR_SIGNATURE_LEN_RANGE), NAME(CKR_TEMPLATE_INCOMPLETE), NAME(CKR_TEMPLATE_INCONSISTENT), NAME(CKR_TOKEN_NOT_PRESENT),
    NAME(CKR_TOKEN_WRITE_PROTECTED), NAME(CKR_UNWRAPPING_KEY_HANDLE_INVALID), NAME(CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT),
    NAME(CKR_USER_ALREADY_LOGGED_IN), NAME(CKR_USER_NOT_LOGGED_IN), NAME(CKR_USER_PIN_NOT_INITIALIZED), NAME(CKR_USER_TYPE_INVALID),
    NAME(CKR_WRAPPED_KEY_INVALID), NAME(CKR_WRAPPED_KEY_LEN_RANGE), NAME(CKR_WRAPPING_KEY_HANDLE_INVALID),
    NAME(CKR_WRAPPING_KEY_TYPE_INCONSISTENT), NAME(CKR_DOMAIN_PARAMS_INVALID), NAME(CKR_CURVE_NOT_SUPPORTED), NAME(CKR_BUFFER_TOO_SMALL),
    NAME(CKR_CRYPTOKI_NOT_INITIALIZED), NAME(CKR_CRYPTOKI_ALREADY_INITIALIZED),
};

const char *rv_name(CK_RV rv)
{
    static char unnamed[32];

    for (size_t i = 0; i < COUNT(rv_names); i++)
        if (rv_names[i].code == rv)
            return rv_names[i].name;
    snprintf(unnamed, sizeof unnamed, "CKR 0x%lx", (unsigned long)rv);
    return unnamed;
}

void must(CK_RV rv, const char *what)
{
    if (rv != CKR_OK) {
        fprintf(stderr, "%s: %s\n", what, rv_name(rv));
        exit(1);
    }
}

void must_be(CK_RV rv, CK_RV expected, const char *what)
{
    if (rv != expected) {
        fprintf(stderr, "%s: %s", what, rv_name(rv));
        fprintf(stderr, " where %s was expected\n", rv_name(expected));
        exit(1);
    }
}

void check(int right, const char *what)
{
    if (!right) {
        fprintf(stderr, "not true: %s\n", what);
        exit(1);
    }
}

int offers(struct token *token, CK_MECHANISM_TYPE mechanism)
{
    CK_MECHANISM_INFO info;
    return token->p11->C_GetMechanismInfo(token->slot, mechanism, &info) == CKR_OK;
}

void need(struct token *token, CK_MECHANISM_TYPE mechanism, const char *name)
{
    if (!offers(token, mechanism)) {
        fprintf(stderr, "the token does not offer %s\n", name);
        close_token(token);
        exit(NOT_OFFERED);
    }
}

CK_OBJECT_HANDLE generate_key(struct token *token, CK_MECHANISM_TYPE mechanism, CK_ULONG length, const CK_ATTRIBUTE *more, CK_ULONG count)
{
    CK_MECHANISM generation = { mechanism, NULL, 0 };
    CK_ATTRIBUTE template[OWN + MORE] = { NO(CKA_TOKEN), YES(CKA_EXTRACTABLE) };
    CK_ATTRIBUTE value_len = ATTRIBUTE(CKA_VALUE_LEN, length);
    CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
    CK_ULONG n = 2;

    check(count <= MORE, "a template has room for the attributes asked for");
    if (length)
        template[n++] = value_len;
    for (CK_ULONG i = 0; i < count; i++)
        template[n++] = more[i];
    must(token->p11->C_GenerateKey(token->session, &generation, template, n, &key), "C_GenerateKey");
    return key;
}

CK_OBJECT_HANDLE import_key(struct token *token, CK_KEY_TYPE type, const void *value, CK_ULONG length, const CK_ATTRIBUTE *more, CK_ULONG count)
{
    CK_ATTRIBUTE template[OWN + MORE] = { ATTRIBUTE(CKA_CLASS, secret_key_class), ATTRIBUTE(CKA_KEY_TYPE, type), NO(CKA_TOKEN),
                                          { CKA_VALUE, (CK_VOID_PTR)value, length } };
    CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;

    check(count <= MORE, "a template has room for the attributes asked for");
    for (CK_ULONG i = 0; i < count; i++)
        template[OWN + i] = more[i];
    must(token->p11->C_CreateObject(token->session, template, OWN + count, &key), "C_CreateObject");
    return key;
}

void generate_rsa_pair(struct token *token, CK_ULONG bits, CK_ATTRIBUTE_TYPE public_use, CK_ATTRIBUTE_TYPE private_use,
                       CK_OBJECT_HANDLE *public_key, CK_OBJECT_HANDLE *private_key)
{
    CK_MECHANISM generation = { CKM_RSA_PKCS_KEY_PAIR_GEN, NULL, 0 };
    CK_BYTE exponent[] = { 0x01, 0x00, 0x01 };
    CK_ATTRIBUTE public_template[] = { NO(CKA_TOKEN), YES(public_use), ATTRIBUTE(CKA_MODULUS_BITS, bits), ATTRIBUTE(CKA_PUBLIC_EXPONENT, exponent) };
    CK_ATTRIBUTE private_template[] = { NO(CKA_TOKEN), YES(private_use) };

    must(token->p11->C_GenerateKeyPair(token->session, &generation, public_template, COUNT(public_template), private_template,
                                       COUNT(private_template), public_key, private_key),
         "C_GenerateKeyPair, RSA");
}

void generate_p256_pair(struct token *token, CK_ATTRIBUTE_TYPE public_use, CK_ATTRIBUTE_TYPE private_use, CK_OBJECT_HANDLE *public_key,
                        CK_OBJECT_HANDLE *private_key)
{
    CK_MECHANISM generation = { CKM_EC_KEY_PAIR_GEN, NULL, 0 };
    CK_ATTRIBUTE public_template[] = { NO(CKA_TOKEN), YES(public_use), ATTRIBUTE(CKA_EC_PARAMS, P256) };
    CK_ATTRIBUTE private_template[] = { NO(CKA_TOKEN), YES(private_use) };

    must(token->p11->C_GenerateKeyPair(token->session, &generation, public_template, COUNT(public_template), private_template,
                                       COUNT(private_template), public_key, private_key),
         "C_GenerateKeyPair, P-256");
}

struct bytes attribute(struct token *token, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type)
{
    struct bytes value = { .length = 0 };
    CK_ATTRIBUTE read = { type, value.value, sizeof value.value };

    must(token->p11->C_GetAttributeValue(token->session, object, &read, 1), "C_GetAttributeValue");
    value.length = read.ulValueLen;
    return value;
}

CK_BBOOL attribute_bool(struct token *token, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type)
{
    struct bytes value = attribute(token, object, type);
    check(value.length == sizeof(CK_BBOOL), "a CK_BBOOL attribute is one byte");
    return value.value[0];
}

struct bytes encrypt(struct token *token, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key, const void *data, CK_ULONG length)
{
    struct bytes out = { .length = sizeof out.value };
    CK_ULONG asked = 0;

    must(token->p11->C_EncryptInit(token->session, mechanism, key), "C_EncryptInit");
    must(token->p11->C_Encrypt(token->session, (CK_BYTE_PTR)data, length, NULL, &asked), "C_Encrypt, asking for the length");
    must(token->p11->C_Encrypt(token->session, (CK_BYTE_PTR)data, length, out.value, &out.length), "C_Encrypt");
    check(out.length <= asked, "C_Encrypt wrote no more than it had announced");
    return out;
}

struct bytes decrypt(struct token *token, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key, const struct bytes *ciphertext)
{
    struct bytes out = { .length = sizeof out.value };

    must(token->p11->C_DecryptInit(token->session, mechanism, key), "C_DecryptInit");
    must(token->p11->C_Decrypt(token->session, (CK_BYTE_PTR)ciphertext->value, ciphertext->length, out.value, &out.length), "C_Decrypt");
    return out;
}

struct bytes wrap(struct token *token, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE wrapping_key, CK_OBJECT_HANDLE key)
{
    struct bytes out = { .length = sizeof out.value };
    CK_ULONG asked = 0;

    must(token->p11->C_WrapKey(token->session, mechanism, wrapping_key, key, NULL, &asked), "C_WrapKey, asking for the length");
    must(token->p11->C_WrapKey(token->session, mechanism, wrapping_key, key, out.value, &out.length), "C_WrapKey");
    check(out.length <= asked, "C_WrapKey wrote no more than it had announced");
    return out;
}

CK_OBJECT_HANDLE unwrap(struct token *token, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE unwrapping_key, CK_KEY_TYPE type,
                        const struct bytes *wrapped)
{
    CK_ATTRIBUTE template[] = { ATTRIBUTE(CKA_CLASS, secret_key_class), ATTRIBUTE(CKA_KEY_TYPE, type), NO(CKA_TOKEN),
                                YES(CKA_EXTRACTABLE), YES(CKA_ENCRYPT), YES(CKA_DECRYPT) };
    CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;

    must(token->p11->C_UnwrapKey(token->session, mechanism, unwrapping_key, (CK_BYTE_PTR)wrapped->value, wrapped->length, template,
                                 COUNT(template), &key),
         "C_UnwrapKey");
    return key;
}

int equal(const struct bytes *bytes, const void *expected, CK_ULONG length)
{
    return bytes->length == length && memcmp(bytes->value, expected, length) == 0;
}

void print_hex(const char *what, const void *bytes, CK_ULONG length)
{
    const unsigned char *byte = bytes;

    printf("%s: ", what);
    for (CK_ULONG i = 0; i < length; i++)
        printf("%02x", byte[i]);
    putchar('\n');
}
