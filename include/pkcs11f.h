/* The functions of PKCS #11 as a list, for programs that include it with a CK_PKCS11_FUNCTION_INFO of their own, once
 * for every use they make of it; with CK_NEED_ARG_LIST the arguments follow the name. Without a guard, therefore.
 * CK_PKCS11_2_0_ONLY and CK_PKCS11_3_0_ONLY end the list early. */
#include "pkcs11.h"

#ifdef CK_NEED_ARG_LIST
#define CK_ROW(name, arguments) CK_PKCS11_FUNCTION_INFO(name) arguments;
#else
#define CK_ROW(name, arguments) CK_PKCS11_FUNCTION_INFO(name)
#endif

#ifdef CK_PKCS11_FUNCTION_INFO
CK_FUNCTIONS_2_40(CK_ROW)
#ifndef CK_PKCS11_2_0_ONLY
CK_FUNCTIONS_3_0(CK_ROW)
#ifndef CK_PKCS11_3_0_ONLY
CK_FUNCTIONS_3_2(CK_ROW)
#endif
#endif
#endif

#undef CK_ROW
