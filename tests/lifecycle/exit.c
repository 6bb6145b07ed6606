/* Calls the module at every moment of a process's end: from an exit handler that was registered before the module was
 * loaded, from one after, from the destructor of another library, and from a thread that still runs.
 * exit MODULE LIBRARY: 0 if every call came back. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "pkcs11.h"

static CK_FUNCTION_LIST *p11;
static CK_SESSION_HANDLE session;

static void must(CK_RV rv, CK_RV wanted, const char *what)
{
    if (rv != wanted) {
        fprintf(stderr, "%s: 0x%lx, not 0x%lx\n", what, rv, wanted);
        _exit(2);
    }
}

static void use(const char *when)
{
    CK_BYTE random[64], digest[32];
    CK_ULONG length = sizeof digest;
    CK_MECHANISM sha256 = {CKM_SHA256, NULL, 0};

    must(p11->C_GenerateRandom(session, random, sizeof random), CKR_OK, when);
    must(p11->C_DigestInit(session, &sha256), CKR_OK, when);
    must(p11->C_Digest(session, random, sizeof random, digest, &length), CKR_OK, when);
    printf("%s\n", when);
}

static void before(void)
{
    use("the handler from before");
    must(p11->C_Finalize(NULL), CKR_OK, "C_Finalize");
    must(p11->C_Finalize(NULL), CKR_CRYPTOKI_NOT_INITIALIZED, "C_Finalize again");
    must(p11->C_Initialize(NULL), CKR_OK, "C_Initialize at exit");
    must(p11->C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &session), CKR_OK, "C_OpenSession at exit");
    use("after another C_Initialize");
}

static void after(void)
{
    use("the handler from after");
}

/* The library's destructor calls it. */
void at_unload(void)
{
    use("the other library's destructor");
}

static void *work(void *unused)
{
    CK_BYTE random[16];

    /* Until the process is gone; between C_Finalize and C_Initialize it is refused. */
    while (p11->C_GenerateRandom(session, random, sizeof random) != CKR_ARGUMENTS_BAD)
        ;
    return unused;
}

int main(int argc, char **argv)
{
    CK_RV (*list)(CK_FUNCTION_LIST **);
    void *module;
    pthread_t thread;

    if (argc != 3)
        return 3;
    setvbuf(stdout, NULL, _IONBF, 0);
    atexit(before);
    if (!dlopen(argv[2], RTLD_NOW)) {
        fprintf(stderr, "%s\n", dlerror());
        return 3;
    }
    module = dlopen(argv[1], RTLD_NOW);
    if (!module) {
        fprintf(stderr, "%s\n", dlerror());
        return 3;
    }
    *(void **)&list = dlsym(module, "C_GetFunctionList");
    must(list(&p11), CKR_OK, "C_GetFunctionList");
    must(p11->C_Initialize(NULL), CKR_OK, "C_Initialize");
    must(p11->C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &session), CKR_OK, "C_OpenSession");
    atexit(after);
    if (pthread_create(&thread, NULL, work, NULL))
        return 3;
    use("main");
    dlclose(module);
    return 0;
}
