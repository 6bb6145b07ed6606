//! The attacks on the interface that the literature knows. A case passes when the module refuses with the wanted code;
//! CKR_OK means that the attack went through.
pub fn cases() -> Vec<crate::case::Case> {
    Vec::new()
}
