/* What Coffer has beside the standard: ML-KEM for programs that have only the 2.40 function list, and an interface for
 * what PKCS#11 knows no functions for: several users, sharing of keys, and the care of a whole token.
 *
 * ML-KEM (FIPS 203).
 *
 * With the 3.2 list use CKM_ML_KEM_KEY_PAIR_GEN and CKM_ML_KEM with C_EncapsulateKey and C_DecapsulateKey. Keys are
 * the same whichever way they were made: key type CKK_ML_KEM, parameter set in CKA_PARAMETER_SET. */
#ifndef COFFER_H
#define COFFER_H

#ifndef CKM_VENDOR_DEFINED
#include "pkcs11.h"
#endif

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32) || defined(CRYPTOKI_FORCE_WIN32)
#pragma pack(push, coffer, 1)
#endif

/* The vendor bit, 'C', 'O', 'F' and one byte, which is that of the standard's own mechanism: no other vendor's
 * range is likely to lie here. */
#define CKM_COFFER_BASE (CKM_VENDOR_DEFINED | 0x434F4600UL)

/* C_GenerateKeyPair. No parameter; CKA_PARAMETER_SET is needed in the public template. */
#define CKM_COFFER_ML_KEM_KEY_PAIR_GEN (CKM_COFFER_BASE | 0x0FUL)

/* C_DeriveKey. A public base key with CKA_ENCAPSULATE encapsulates, a private one with CKA_DECAPSULATE decapsulates;
 * the shared secret, 32 bytes, is the new key. Parameter: CK_COFFER_ML_KEM_PARAMS. */
#define CKM_COFFER_ML_KEM (CKM_COFFER_BASE | 0x17UL)

/* The ciphertext is 768, 1088 or 1568 bytes for ML-KEM-512, 768 and 1024.
 *
 * Encapsulation: pCiphertext receives it. ulCiphertextLen is the size of that buffer before the call and the length
 * of the ciphertext after it.
 *   - pCiphertext NULL, or the buffer too small: CKR_BUFFER_TOO_SMALL, ulCiphertextLen is written, no key is made.
 *   - any other failure: neither the buffer nor ulCiphertextLen holds anything of use.
 *
 * Decapsulation: pCiphertext points to ulCiphertextLen bytes, both only read. Another length, or NULL, is
 * CKR_MECHANISM_PARAM_INVALID. A ciphertext that was tampered with gives another secret, not an error, as FIPS 203
 * has it. */
typedef struct CK_COFFER_ML_KEM_PARAMS {
  CK_BYTE_PTR pCiphertext;
  CK_ULONG    ulCiphertextLen;
} CK_COFFER_ML_KEM_PARAMS;
typedef CK_COFFER_ML_KEM_PARAMS *CK_COFFER_ML_KEM_PARAMS_PTR;

/* What templates of such keys need and a 2.40 header lacks. */
#ifndef CKM_ML_KEM
#define CKK_ML_KEM        0x00000049UL
#define CKA_PARAMETER_SET 0x0000061DUL
#define CKA_ENCAPSULATE   0x00000633UL
#define CKA_DECAPSULATE   0x00000634UL
#define CKP_ML_KEM_512    0x00000001UL
#define CKP_ML_KEM_768    0x00000002UL
#define CKP_ML_KEM_1024   0x00000003UL
#endif

/* ---- The interface "Vendor Coffer", version 1.0 ----
 *
 *   CK_INTERFACE_PTR interface;
 *   CK_VERSION version = {1, 0};
 *   C_GetInterface((CK_UTF8CHAR_PTR)CK_COFFER_INTERFACE, &version, &interface, 0);
 *   CK_COFFER_FUNCTION_LIST_PTR coffer = (CK_COFFER_FUNCTION_LIST_PTR)interface->pFunctionList;
 *
 * Users have names of 1 to 31 letters, digits and _-.@, told apart without regard to case; C_LoginUser logs them in.
 * Two have none of their own: the SO who founded the token (C_InitToken), here called "admin", and the user that
 * C_InitPIN makes, here the empty name.
 *
 * Return codes, beside the standard's general ones:
 *   CKR_USER_NOT_LOGGED_IN   it takes an SO, or the owner of the object
 *   CKR_ARGUMENTS_BAD        there is no such user
 *   CKR_FUNCTION_REJECTED    there is a user of this name; the founding SO, or oneself; a user made without escrow; the
 *                            approvals that this takes are missing (for the functions of PKCS#11 as well)
 *   CKR_ACTION_PROHIBITED    not the caller's object, not private, or not a token object
 *   CKR_PIN_LEN_RANGE, CKR_PIN_INVALID (a name that cannot be), CKR_TOKEN_WRITE_PROTECTED, CKR_DEVICE_ERROR */
#define CK_COFFER_INTERFACE "Vendor Coffer"

/* CK_COFFER_USER.flags */
#define CKF_COFFER_USER_LOCKED    0x00000001UL
#define CKF_COFFER_USER_COUNT_LOW 0x00000002UL
#define CKF_COFFER_USER_APPROVER  0x00000004UL  /* has registered a key to approve with */

/* What approvals are for. */
#define CK_COFFER_SERVICE_REGISTRATION   0UL  /* registering a key to approve with: signed with that key */
#define CK_COFFER_SERVICE_USER           1UL  /* an SO's changes to users */
#define CK_COFFER_SERVICE_QUORUM         2UL  /* an SO's changes to these values */
#define CK_COFFER_SERVICE_KEY_MANAGEMENT 3UL  /* wrapping, unwrapping with, sharing and changing a key */
#define CK_COFFER_SERVICE_KEY_USAGE      4UL  /* any other use of a key */

/* How many of the users who can use a private or secret key must approve the two: 0 to 8, 0 and 1 for none. Given when
 * the key is made, and never changed; managing takes no fewer than use. From 2 on the key is to be a private, sensitive
 * token key. */
#define CKA_COFFER_MANAGE_QUORUM (CKA_VENDOR_DEFINED | 0x434F4601UL)
#define CKA_COFFER_USE_QUORUM    (CKA_VENDOR_DEFINED | 0x434F4602UL)

typedef struct CK_COFFER_USER {
  CK_UTF8CHAR  name[64];   /* zeros after it */
  CK_ULONG     ulNameLen;
  CK_USER_TYPE userType;   /* CKU_SO, CKU_USER; CK_UNAVAILABLE_INFORMATION: nobody */
  CK_ULONG     ulTriesLeft;
  CK_FLAGS     flags;
} CK_COFFER_USER;
typedef CK_COFFER_USER *CK_COFFER_USER_PTR;

/* What long work tells on its way: ulDone of ulTotal steps, and with pText (UTF-8, not ended by a zero) something found
 * wrong; pText is NULL otherwise. Anything but CKR_OK in answer ends the work with CKR_FUNCTION_CANCELED. */
typedef CK_RV (*CK_COFFER_NOTIFY)(CK_VOID_PTR pContext, CK_ULONG ulDone, CK_ULONG ulTotal, CK_UTF8CHAR_PTR pText,
                                  CK_ULONG ulTextLen);

typedef struct CK_COFFER_VERDICT {
  CK_ULONG ulObjects;  /* all there are: each record's seal was checked */
  CK_ULONG ulOpened;   /* those that opened for whoever is logged in: their components were checked as well */
  CK_ULONG ulFaults;   /* what was wrong; each was told to the callback */
} CK_COFFER_VERDICT;
typedef CK_COFFER_VERDICT *CK_COFFER_VERDICT_PTR;

typedef struct CK_COFFER_AUDIT_VERDICT {
  CK_ULONG ulLines;   /* of the log */
  CK_ULONG ulSigned;  /* those signed by whoever was logged in */
  CK_ULONG ulFaults;
} CK_COFFER_AUDIT_VERDICT;
typedef CK_COFFER_AUDIT_VERDICT *CK_COFFER_AUDIT_VERDICT_PTR;

/* What waits for approval. */
typedef struct CK_COFFER_APPROVAL {
  CK_COFFER_USER user;        /* who asked */
  CK_ULONG       ulService;
  CK_ULONG       ulRequired;
  CK_ULONG       ulGiven;     /* to this login */
  CK_ULONG       ulSeconds;   /* left */
} CK_COFFER_APPROVAL;
typedef CK_COFFER_APPROVAL *CK_COFFER_APPROVAL_PTR;

typedef struct CK_COFFER_FUNCTION_LIST {
  CK_VERSION version;

  /* Users, by an SO. DeleteUser destroys the private objects that the user owns. SetUserPIN sets another's forgotten
   * PIN and unlocks it; one's own is changed by C_SetPIN. SetUserType gives a user the other role, with a new PIN,
   * if it owns no private object. */
  CK_RV (*CreateUser)(CK_SESSION_HANDLE hSession, CK_USER_TYPE userType, CK_UTF8CHAR_PTR pName, CK_ULONG ulNameLen,
                      CK_UTF8CHAR_PTR pPin, CK_ULONG ulPinLen);
  CK_RV (*DeleteUser)(CK_SESSION_HANDLE hSession, CK_USER_TYPE userType, CK_UTF8CHAR_PTR pName, CK_ULONG ulNameLen);
  CK_RV (*SetUserPIN)(CK_SESSION_HANDLE hSession, CK_USER_TYPE userType, CK_UTF8CHAR_PTR pName, CK_ULONG ulNameLen,
                      CK_UTF8CHAR_PTR pPin, CK_ULONG ulPinLen);
  CK_RV (*SetUserType)(CK_SESSION_HANDLE hSession, CK_USER_TYPE newType, CK_UTF8CHAR_PTR pName, CK_ULONG ulNameLen,
                       CK_UTF8CHAR_PTR pPin, CK_ULONG ulPinLen);
  CK_RV (*UnlockUser)(CK_SESSION_HANDLE hSession, CK_USER_TYPE userType, CK_UTF8CHAR_PTR pName, CK_ULONG ulNameLen);

  /* All users, SOs first, by name; anyone may ask. As C_GetSlotList: NULL asks how many there are. */
  CK_RV (*ListUsers)(CK_SESSION_HANDLE hSession, CK_COFFER_USER_PTR pUsers, CK_ULONG_PTR pulCount);
  /* Who is logged in. */
  CK_RV (*GetLogin)(CK_SESSION_HANDLE hSession, CK_COFFER_USER_PTR pUser);

  /* Lets a user (CKU_USER) use a private token object of the caller's, or no more. It can be used; it cannot be
   * changed, read out, wrapped, copied, shared on or destroyed. */
  CK_RV (*ShareObject)(CK_SESSION_HANDLE hSession, CK_OBJECT_HANDLE hObject, CK_UTF8CHAR_PTR pName,
                       CK_ULONG ulNameLen);
  CK_RV (*UnshareObject)(CK_SESSION_HANDLE hSession, CK_OBJECT_HANDLE hObject, CK_UTF8CHAR_PTR pName,
                         CK_ULONG ulNameLen);
  /* The owner, and with whom it is shared. As C_GetSlotList for pUsers; pOwner may be NULL. */
  CK_RV (*ListAccess)(CK_SESSION_HANDLE hSession, CK_OBJECT_HANDLE hObject, CK_COFFER_USER_PTR pOwner,
                      CK_COFFER_USER_PTR pUsers, CK_ULONG_PTR pulCount);

  /* By an SO. While it is set, objects are used and nothing writes one: CKR_TOKEN_WRITE_PROTECTED. */
  CK_RV (*SetLimitedWrite)(CK_SESSION_HANDLE hSession, CK_BBOOL bOn);
  /* By an SO: another label, at most 32 bytes. */
  CK_RV (*RenameToken)(CK_SESSION_HANDLE hSession, CK_UTF8CHAR_PTR pLabel, CK_ULONG ulLabelLen);
  /* With no session open and the founding SO's PIN: the token and all that is in it, for ever. */
  CK_RV (*DestroyToken)(CK_SLOT_ID slotID, CK_UTF8CHAR_PTR pPin, CK_ULONG ulPinLen);

  /* Writes the token, as it is at one moment, to a new file, while others use and change it. By whoever is logged in.
   * The file opens with the PIN of any user the token has now. */
  CK_RV (*BackupToken)(CK_SESSION_HANDLE hSession, CK_UTF8CHAR_PTR pPath, CK_ULONG ulPathLen);
  /* Makes a token out of such a file in a free slot, which is written to pSlotID, given the PIN of one of its users
   * (pName as above, "admin" with CKU_SO for the founding SO). Users, PINs and objects are what they were. */
  CK_RV (*RestoreToken)(CK_UTF8CHAR_PTR pPath, CK_ULONG ulPathLen, CK_USER_TYPE userType, CK_UTF8CHAR_PTR pName,
                        CK_ULONG ulNameLen, CK_UTF8CHAR_PTR pPin, CK_ULONG ulPinLen, CK_SLOT_ID_PTR pSlotID);
  /* Checks the whole token, by whoever is logged in. fNotify may be NULL. CKR_OK also if faults were found. */
  CK_RV (*VerifyToken)(CK_SESSION_HANDLE hSession, CK_COFFER_NOTIFY fNotify, CK_VOID_PTR pContext,
                       CK_COFFER_VERDICT_PTR pVerdict);

  /* By an SO: reads the audit log through and checks it. Each line (a JSON object) is told to the callback, or with
   * bFaultsOnly only what is wrong with it. A token without a log has none of either. */
  CK_RV (*VerifyAudit)(CK_SESSION_HANDLE hSession, CK_BBOOL bFaultsOnly, CK_COFFER_NOTIFY fNotify,
                       CK_VOID_PTR pContext, CK_COFFER_AUDIT_VERDICT_PTR pVerdict);

  /* Approvals. Whoever is logged in asks for one (hObject: the key, of the services of keys; else
   * CK_INVALID_HANDLE) and is told what is to be signed: by RSASSA-PKCS1-v1_5 with SHA-256, outside of the token, by
   * users who have registered a key of at least 2048 bits. It waits ten minutes. The same login shows each signature by
   * AddApproval, and then does once what was approved. Only SOs approve what SOs do; only who can use a key, what is
   * done with it. */
  CK_RV (*RequestApproval)(CK_SESSION_HANDLE hSession, CK_ULONG ulService, CK_OBJECT_HANDLE hObject,
                           CK_BYTE_PTR pApproval, CK_ULONG_PTR pulApprovalLen);
  /* CKR_SIGNATURE_INVALID, CKR_ACTION_PROHIBITED (has no say in it, or no key). */
  CK_RV (*AddApproval)(CK_SESSION_HANDLE hSession, CK_BYTE_PTR pApproval, CK_ULONG ulApprovalLen,
                       CK_USER_TYPE userType, CK_UTF8CHAR_PTR pName, CK_ULONG ulNameLen, CK_BYTE_PTR pSignature,
                       CK_ULONG ulSignatureLen);
  /* A SubjectPublicKeyInfo, and a signature with its private key over a request of the service REGISTRATION. */
  CK_RV (*RegisterApprover)(CK_SESSION_HANDLE hSession, CK_BYTE_PTR pPublicKey, CK_ULONG ulPublicKeyLen,
                            CK_BYTE_PTR pSignature, CK_ULONG ulSignatureLen);
  /* As C_GetSlotList. */
  CK_RV (*ListApprovals)(CK_SESSION_HANDLE hSession, CK_COFFER_APPROVAL_PTR pApprovals, CK_ULONG_PTR pulCount);
  /* One's own requests; with bAll and by an SO, all. */
  CK_RV (*DeleteApprovals)(CK_SESSION_HANDLE hSession, CK_BBOOL bAll);
  /* Of the services USER and QUORUM: 1 (none) to 8, by an SO. */
  CK_RV (*SetQuorumValue)(CK_SESSION_HANDLE hSession, CK_ULONG ulService, CK_ULONG ulValue);
  CK_RV (*GetQuorumValue)(CK_SESSION_HANDLE hSession, CK_ULONG ulService, CK_ULONG_PTR pulValue);

  /* Escrow, for the day every PIN is lost. The same as BackupToken, by an SO: the file opens with the escrow key too
   * whose public half, the 1568 bytes of an ML-KEM-1024 key, is given. Without one (NULL) whoever is logged in may. In
   * these two fNotify is told how far it is; it may be NULL. */
  CK_RV (*BackupTokenForEscrow)(CK_SESSION_HANDLE hSession, CK_UTF8CHAR_PTR pPath, CK_ULONG ulPathLen,
                                CK_BYTE_PTR pEscrowKey, CK_ULONG ulEscrowKeyLen, CK_COFFER_NOTIFY fNotify,
                                CK_VOID_PTR pContext);
  /* The same as RestoreToken by the escrow key with this seed, the 64 bytes of CKA_SEED. The founding SO gets the new
   * PIN, and by SetUserPIN gives the users theirs. CKR_ARGUMENTS_BAD: the backup was not made for this key. */
  CK_RV (*RestoreTokenByEscrow)(CK_UTF8CHAR_PTR pPath, CK_ULONG ulPathLen, CK_BYTE_PTR pSeed, CK_ULONG ulSeedLen,
                                CK_UTF8CHAR_PTR pSoPin, CK_ULONG ulSoPinLen, CK_COFFER_NOTIFY fNotify,
                                CK_VOID_PTR pContext, CK_SLOT_ID_PTR pSlotID);

  /* What is wrong with a token that refuses every login because its records are not those that were written, or that
   * has damaged objects: each fault is told to fNotify, which may be NULL. ulOpened counts the objects that are sound.
   * With bAccept the records that are there are the token from then on, without the damaged objects: whoever altered
   * it gets away with it, and nothing that is missing comes back. A backup brings everything back. */
  CK_RV (*RepairToken)(CK_SLOT_ID slotID, CK_USER_TYPE userType, CK_UTF8CHAR_PTR pName, CK_ULONG ulNameLen,
                       CK_UTF8CHAR_PTR pPin, CK_ULONG ulPinLen, CK_BBOOL bAccept, CK_COFFER_NOTIFY fNotify,
                       CK_VOID_PTR pContext, CK_COFFER_VERDICT_PTR pVerdict);
} CK_COFFER_FUNCTION_LIST;
typedef CK_COFFER_FUNCTION_LIST *CK_COFFER_FUNCTION_LIST_PTR;

#if defined(_WIN32) || defined(CRYPTOKI_FORCE_WIN32)
#pragma pack(pop, coffer)
#endif

#ifdef __cplusplus
}
#endif

#endif
