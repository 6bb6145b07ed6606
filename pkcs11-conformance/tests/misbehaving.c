/* A module with one token that can digest, and no more than the judge needs to get there. MISBEHAVE says what C_Digest
   does wrong; without it nothing is wrong. The "digest" is no digest: the judge looks at codes, lengths and buffers. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pkcs11.h"

#define SIZE 32

static int misbehaves(const char *how) {
    const char *wanted = getenv("MISBEHAVE");
    return wanted != NULL && strcmp(wanted, how) == 0;
}

static CK_RV initialize(CK_VOID_PTR args) {
    (void)args;
    return CKR_OK;
}

static CK_RV slot_list(CK_BBOOL present, CK_SLOT_ID *slots, CK_ULONG *count) {
    (void)present;
    if (slots != NULL) slots[0] = 0;
    *count = 1;
    return CKR_OK;
}

static CK_RV token_info(CK_SLOT_ID slot, CK_TOKEN_INFO *info) {
    (void)slot;
    memset(info, ' ', sizeof *info);
    memcpy(info->label, "misbehaving", 11);
    info->flags = CKF_TOKEN_INITIALIZED | CKF_LOGIN_REQUIRED;
    return CKR_OK;
}

static CK_RV mechanism_info(CK_SLOT_ID slot, CK_MECHANISM_TYPE mechanism, CK_MECHANISM_INFO *info) {
    (void)slot;
    if (mechanism != CKM_SHA256) return CKR_MECHANISM_INVALID;
    info->ulMinKeySize = info->ulMaxKeySize = 0;
    info->flags = CKF_DIGEST;
    return CKR_OK;
}

static CK_RV open_session(CK_SLOT_ID slot, CK_FLAGS flags, CK_VOID_PTR data, CK_NOTIFY notify, CK_SESSION_HANDLE *session) {
    (void)slot, (void)flags, (void)data, (void)notify;
    *session = 1;
    return CKR_OK;
}

static CK_RV close_session(CK_SESSION_HANDLE session) {
    (void)session;
    return CKR_OK;
}

static CK_RV login(CK_SESSION_HANDLE session, CK_USER_TYPE user, CK_UTF8CHAR *pin, CK_ULONG length) {
    (void)session, (void)user, (void)pin, (void)length;
    return CKR_OK;
}

static CK_RV find_init(CK_SESSION_HANDLE session, CK_ATTRIBUTE *rows, CK_ULONG count) {
    (void)session, (void)rows, (void)count;
    return CKR_FUNCTION_NOT_SUPPORTED;
}

static CK_RV digest_init(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism) {
    (void)session, (void)mechanism;
    return CKR_OK;
}

static CK_RV digest(CK_SESSION_HANDLE session, CK_BYTE *data, CK_ULONG size, CK_BYTE *out, CK_ULONG *length) {
    (void)session, (void)data, (void)size;
    if (misbehaves("crash")) *(volatile char *)8 = 1;
    if (misbehaves("abort")) abort();
    if (misbehaves("exit")) _exit(0);
    while (misbehaves("hang")) sleep(1);
    if (length == NULL) return CKR_ARGUMENTS_BAD;
    if (out != NULL && *length < SIZE && misbehaves("code")) return CKR_GENERAL_ERROR;
    if (out == NULL || *length < SIZE) {
        CK_RV rv = out == NULL ? CKR_OK : CKR_BUFFER_TOO_SMALL;
        *length = rv != CKR_OK && misbehaves("forget") ? 0 : SIZE;
        return rv;
    }
    memset(out, 7, misbehaves("overrun") ? SIZE + 1 : misbehaves("nothing") ? 0 : SIZE);
    *length = misbehaves("boast") ? 1UL << 40 : SIZE;
    return CKR_OK;
}

static CK_FUNCTION_LIST list;

CK_RV C_GetFunctionList(CK_FUNCTION_LIST **at) {
    list.version.major = 2;
    list.version.minor = 40;
    list.C_Initialize = list.C_Finalize = initialize;
    list.C_GetSlotList = slot_list;
    list.C_GetTokenInfo = token_info;
    list.C_GetMechanismInfo = mechanism_info;
    list.C_OpenSession = open_session;
    list.C_CloseSession = list.C_Logout = close_session;
    list.C_Login = login;
    list.C_FindObjectsInit = find_init;
    list.C_DigestInit = digest_init;
    list.C_Digest = digest;
    *at = &list;
    return CKR_OK;
}
