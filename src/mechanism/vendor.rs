//! The numbers of CloudHSM's vendor-defined mechanisms (its published header).

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
