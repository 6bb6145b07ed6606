/* The types and numbers of PKCS #11: all of them are in pkcs11.h. */
#include "pkcs11.h"
