//! Wycheproof's, NIST's and OpenSSL's answers to every mechanism of the table, asked through the C functions.
//!
//! Keys are made by C_CreateObject, and each answer that agrees is recorded with the mechanism and the operation it
//! came from; `every_operation_of_every_row_is_shown` holds that record against the mechanism table.
//! `COFFER_LONG=1` runs all cases of the sets that are otherwise sampled.

mod common;

mod vectors {
    #[macro_use]
    mod set;

    mod aead;
    mod aes;
    mod des3;
    mod digest;
    mod ec;
    mod edwards;
    mod generate;
    mod kdf;
    mod mac;
    mod ml_dsa;
    mod ml_kem;
    mod numbers;
    mod rsa;
    mod rsa_wrap;
    mod wrap;

    use coffer_pkcs11::mechanism::table;
    use pkcs11_conformance::client::cryptoki_sys::*;
    use set::Set;
    use std::collections::BTreeSet;

    /// Every set of vectors of every module.
    fn all() -> impl Iterator<Item = &'static Set> {
        [
            aead::SETS,
            aes::SETS,
            des3::SETS,
            digest::SETS,
            ec::SETS,
            edwards::SETS,
            generate::SETS,
            kdf::SETS,
            mac::SETS,
            ml_dsa::SETS,
            ml_kem::SETS,
            rsa::SETS,
            rsa_wrap::SETS,
            wrap::SETS,
        ]
        .into_iter()
        .flatten()
        .copied()
    }

    /// What a mechanism can do, less what is said of its keys, and of messages: `messages.rs` holds those against the
    /// other functions, which compute the same.
    const OPERATIONS: CK_FLAGS = !(CKF_HW | CKF_EC_F_P | CKF_EC_OID | CKF_EC_UNCOMPRESS | MESSAGES);

    const MESSAGES: CK_FLAGS =
        CKF_MESSAGE_ENCRYPT | CKF_MESSAGE_DECRYPT | CKF_MESSAGE_SIGN | CKF_MESSAGE_VERIFY | CKF_MULTI_MESSAGE;

    #[test]
    fn every_operation_of_every_row_is_shown() {
        let shown: BTreeSet<_> = all().flat_map(|set| set.shown()).copied().collect();
        let bits =
            |flags: CK_FLAGS| (0..CK_FLAGS::BITS).map(|bit| 1 << bit).filter(move |bit| flags & bit != 0);
        let missing: Vec<_> = table::all()
            .flat_map(|row| bits(row.flags() & OPERATIONS).map(move |bit| (row, bit)))
            .filter(|(row, bit)| !shown.contains(&(row.number, *bit)))
            .map(|(row, bit)| format!("{} {}", row.name, set::name(bit)))
            .collect();
        assert!(missing.is_empty(), "no vector and no cross-check shows\n{}", missing.join("\n"));
    }
}
