/*
 * Makes a token ready: C_InitToken on an uninitialised slot, then C_InitPIN as the security officer. Prints the slot's number as the
 * next program will see it: some modules number a new token's slot anew.
 */
#include "common.h"

static CK_UTF8CHAR label[32];

static int token_in(struct token *module, CK_SLOT_ID slot, CK_TOKEN_INFO *info)
{
    return module->p11->C_GetTokenInfo(slot, info) == CKR_OK;
}

/* The slot whose token answers to `label`, or, when `fresh`, the first whose token is not initialised. */
static CK_SLOT_ID find_slot(struct token *module, int fresh)
{
    CK_SLOT_ID slots[64];
    CK_ULONG count = COUNT(slots);
    CK_TOKEN_INFO info;

    must(module->p11->C_GetSlotList(CK_TRUE, NULL, &count), "C_GetSlotList"); /* a NULL list also refreshes the slots */
    count = COUNT(slots);
    must(module->p11->C_GetSlotList(CK_TRUE, slots, &count), "C_GetSlotList");
    for (CK_ULONG i = 0; i < count; i++) {
        if (!token_in(module, slots[i], &info))
            continue;
        if (fresh ? !(info.flags & CKF_TOKEN_INITIALIZED) : memcmp(info.label, label, sizeof label) == 0)
            return slots[i];
    }
    check(0, fresh ? "a slot holds a token that is not initialised" : "the new token can be found by its label");
    return 0;
}

int main(int argc, char **argv)
{
    const char *library = NULL, *pin = NULL, *so_pin = NULL, *slot = NULL, *name = "examples";
    const struct option options[] = { { "--library", &library }, { "--pin", &pin }, { "--so-pin", &so_pin },
                                      { "--slot", &slot }, { "--label", &name } };
    CK_TOKEN_INFO info;

    parse_options(argc, argv, options, COUNT(options));
    if (!pin || !so_pin || strlen(name) > sizeof label) {
        fputs("--pin and --so-pin are needed, and a label has at most 32 bytes\n", stderr);
        return 2;
    }
    memset(label, ' ', sizeof label);
    memcpy(label, name, strlen(name));

    struct token module = load_module(library);
    module.slot = slot ? strtoul(slot, NULL, 0) : find_slot(&module, 1);
    must(module.p11->C_InitToken(module.slot, (CK_UTF8CHAR_PTR)so_pin, strlen(so_pin), label), "C_InitToken");
    if (!token_in(&module, module.slot, &info) || !(info.flags & CKF_TOKEN_INITIALIZED) || memcmp(info.label, label, sizeof label) != 0)
        module.slot = find_slot(&module, 0);

    must(module.p11->C_OpenSession(module.slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &module.session), "C_OpenSession");
    must(module.p11->C_Login(module.session, CKU_SO, (CK_UTF8CHAR_PTR)so_pin, strlen(so_pin)), "C_Login as the security officer");
    must(module.p11->C_InitPIN(module.session, (CK_UTF8CHAR_PTR)pin, strlen(pin)), "C_InitPIN");
    must(module.p11->C_Logout(module.session), "C_Logout");

    close_token(&module);

    module = load_module(library);
    module.slot = find_slot(&module, 0);
    must(module.p11->C_GetTokenInfo(module.slot, &info), "C_GetTokenInfo");
    check((info.flags & CKF_USER_PIN_INITIALIZED) != 0, "the token says that the user's PIN is set");
    printf("%lu\n", (unsigned long)module.slot);
    close_token(&module);
    return 0;
}
