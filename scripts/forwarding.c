/*
 * Does one thing again and again, for forwarding.py: `forwarding MODULE WORK`. With `init` as the work it makes the token.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pkcs11.h>

enum { WARM = 190, TIMES = 200 };

/* Called before each of the last times; the trace is cut there. */
__attribute__((noinline)) void coffer_mark(int time)
{
    __asm__ volatile("" : : "r"(time));
}

static void must(CK_RV rv, const char *what)
{
    if (rv != CKR_OK) {
        fprintf(stderr, "%s: 0x%lx\n", what, rv);
        exit(1);
    }
}

#define MUST(call) must((call), #call)

int main(int argc, char **argv)
{
    static const char *const works[] = { "gcm", "ecb", "cbc", "ctr", "cmac", "hmac", "sha256", "create" };
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    CK_OBJECT_CLASS secret = CKO_SECRET_KEY;
    CK_KEY_TYPE aes = CKK_AES, generic = CKK_GENERIC_SECRET;
    CK_BYTE value[32] = { 1, 2, 3 }, iv[16] = { 4, 5, 6 }, in[64] = { 7, 8, 9 }, out[128];
    CK_GCM_PARAMS gcm = { .pIv = iv, .ulIvLen = 12, .ulIvBits = 96, .ulTagBits = 128 };
    CK_AES_CTR_PARAMS ctr = { .ulCounterBits = 128 };
    CK_MECHANISM mechanisms[] = {
        { CKM_AES_GCM, &gcm, sizeof gcm }, { CKM_AES_ECB, NULL, 0 },  { CKM_AES_CBC, iv, sizeof iv },
        { CKM_AES_CTR, &ctr, sizeof ctr }, { CKM_AES_CMAC, NULL, 0 }, { CKM_SHA256_HMAC, NULL, 0 },
        { CKM_SHA256, NULL, 0 },
    };
    CK_ATTRIBUTE template[] = {
        { CKA_CLASS, &secret, sizeof secret }, { CKA_KEY_TYPE, &aes, sizeof aes }, { CKA_PRIVATE, &no, sizeof no },
        { CKA_ENCRYPT, &yes, sizeof yes },     { CKA_SIGN, &yes, sizeof yes },     { CKA_VALUE, value, sizeof value },
    };
    CK_FUNCTION_LIST *p11;
    CK_RV (*list)(CK_FUNCTION_LIST **);
    CK_SLOT_ID slots[8];
    CK_ULONG count = 8, work = 0, room;
    CK_SESSION_HANDLE session;
    CK_OBJECT_HANDLE key, made;
    void *module;

    if (argc != 3 || !(module = dlopen(argv[1], RTLD_NOW)) || !(list = dlsym(module, "C_GetFunctionList"))) {
        fprintf(stderr, "usage: forwarding MODULE WORK\n");
        return 2;
    }
    fprintf(stderr, "%p\n", (void *)list);
    MUST(list(&p11));
    MUST(p11->C_Initialize(NULL));
    MUST(p11->C_GetSlotList(CK_FALSE, slots, &count));
    if (!strcmp(argv[2], "init")) {
        CK_UTF8CHAR label[32];
        memset(label, ' ', sizeof label);
        MUST(p11->C_InitToken(slots[0], (CK_UTF8CHAR *)"12345678", 8, label));
        return 0;
    }
    while (work < sizeof works / sizeof *works && strcmp(argv[2], works[work]))
        work++;
    if (work == 5)
        template[1].pValue = &generic;
    template[3].type = work == 5 ? CKA_VERIFY : CKA_ENCRYPT;
    MUST(p11->C_OpenSession(slots[0], CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &session));
    MUST(p11->C_CreateObject(session, template, 6, &key));
    for (int time = 0; time < TIMES; time++) {
        if (time >= WARM)
            coffer_mark(time);
        room = sizeof out;
        if (work < 4) {
            MUST(p11->C_EncryptInit(session, &mechanisms[work], key));
            MUST(p11->C_Encrypt(session, in, sizeof in, out, &room));
        } else if (work < 6) {
            MUST(p11->C_SignInit(session, &mechanisms[work], key));
            MUST(p11->C_Sign(session, in, sizeof in, out, &room));
        } else if (work == 6) {
            MUST(p11->C_DigestInit(session, &mechanisms[work]));
            MUST(p11->C_Digest(session, in, sizeof in, out, &room));
        } else if (work == 7) {
            MUST(p11->C_CreateObject(session, template, 6, &made));
            MUST(p11->C_DestroyObject(session, made));
        } else {
            fprintf(stderr, "no such work\n");
            return 2;
        }
    }
    return 0;
}
