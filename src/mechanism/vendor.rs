//! The numbers of vendor-defined mechanisms: CloudHSM's and Coffer's own (`include/`).

use cryptoki_sys::CK_MECHANISM_TYPE;

/// SP 800-108 in counter mode, with CloudHSM's numbers for the PRF data types.
pub const CKM_CLOUDHSM_SP800_108_COUNTER_KDF: CK_MECHANISM_TYPE = 0x8000_0001;
/// AES-GCM whose ciphertext begins with the IV, which the module makes.
pub const CKM_CLOUDHSM_AES_GCM: CK_MECHANISM_TYPE = 0x8000_1087;
/// RFC 3394.
pub const CKM_CLOUDHSM_AES_KEY_WRAP_NO_PAD: CK_MECHANISM_TYPE = 0x8000_2109;
/// RFC 3394 after PKCS #5 padding to 8-byte blocks.
pub const CKM_CLOUDHSM_AES_KEY_WRAP_PKCS5_PAD: CK_MECHANISM_TYPE = 0x8000_210A;
/// RFC 5649.
pub const CKM_CLOUDHSM_AES_KEY_WRAP_ZERO_PAD: CK_MECHANISM_TYPE = 0x8000_216F;
/// Ed25519 and Ed25519ph.
pub const CKM_CLOUDHSM_EDDSA: CK_MECHANISM_TYPE = 0x8000_1057;
/// ML-DSA.KeyGen.
pub const CKM_CLOUDHSM_ML_DSA_KEY_PAIR_GEN: CK_MECHANISM_TYPE = 0x8000_001C;
/// ML-DSA.
pub const CKM_CLOUDHSM_ML_DSA: CK_MECHANISM_TYPE = 0x8000_001D;
/// ML-DSA of a mu that the caller computed.
pub const CKM_CLOUDHSM_EXT_MU_ML_DSA: CK_MECHANISM_TYPE = 0x8000_001E;

/// ML-KEM.KeyGen, for callers of the 2.40 functions.
pub const CKM_COFFER_ML_KEM_KEY_PAIR_GEN: CK_MECHANISM_TYPE = 0xC34F_460F;
/// ML-KEM through C_DeriveKey.
pub const CKM_COFFER_ML_KEM: CK_MECHANISM_TYPE = 0xC34F_4617;
