//! Judges any PKCS#11 module.
