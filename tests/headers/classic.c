/* A program as the classic headers want it: it defines their macros, and makes a table of its own from pkcs11f.h. */
#define CK_PTR *
#define CK_DECLARE_FUNCTION(returnType, name) returnType name
#define CK_DECLARE_FUNCTION_POINTER(returnType, name) returnType (*name)
#define CK_CALLBACK_FUNCTION(returnType, name) returnType (*name)
#define NULL_PTR 0
#include <pkcs11.h>
#include <pkcs11t.h>

struct names {
#define CK_PKCS11_FUNCTION_INFO(name) const char *name;
#include <pkcs11f.h>
#undef CK_PKCS11_FUNCTION_INFO
};

struct old_list {
  CK_VERSION version;
#define CK_PKCS11_2_0_ONLY
#define CK_PKCS11_FUNCTION_INFO(name) CK_##name name;
#include <pkcs11f.h>
#undef CK_PKCS11_FUNCTION_INFO
#undef CK_PKCS11_2_0_ONLY
};

#define CK_NEED_ARG_LIST
#define CK_PKCS11_FUNCTION_INFO(name) extern CK_RV mock_##name
#include <pkcs11f.h>
#undef CK_PKCS11_FUNCTION_INFO
#undef CK_NEED_ARG_LIST

int holds[sizeof(struct names) == 104 * sizeof(char *) && sizeof(struct old_list) == sizeof(CK_FUNCTION_LIST) ? 1 : -1];
CK_C_UnwrapKeyAuthenticated last = mock_C_UnwrapKeyAuthenticated;
