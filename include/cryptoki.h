/* The name that programs of PKCS #11 2.x days include, CloudHSM's samples among them: pkcs11.h in its 2.40 view.
 *
 * The view says version 2.40 and leaves out the SP 800-108 names that came with 3.0. CloudHSM's vendor header had
 * taken the same names for structures and numbers of its own, and programs that come in this way mean those: see
 * cloudhsm_pkcs11_vendor_defs.h. All else is there, what 3.0 and 3.2 added included.
 *
 * For the 3.2 view include pkcs11.h, before this or instead of it. */
#ifndef COFFER_CRYPTOKI_H
#define COFFER_CRYPTOKI_H

#ifndef COFFER_PKCS11_2_40
#define COFFER_PKCS11_2_40
#endif
#include "pkcs11.h"

#endif
