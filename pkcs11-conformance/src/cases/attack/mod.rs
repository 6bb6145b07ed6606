//! The attacks on the interface that the literature knows: Clulow 2003, Delaune, Kremer and Steel 2008, Bortolozzo and
//! others 2010 (Tookan), Bardou and others 2012, invalid curve points, Bleichenbacher's and Vaudenay's oracles.
//!
//! A case passes when the module refuses with the wanted code; CKR_OK as what came means that the attack went through,
//! unless CKR_OK is what was wanted.

mod authority;
mod guess;
mod oracle;
mod point;
mod role;

use crate::case::Case;

/// All attacks.
pub fn cases() -> Vec<Case> {
    [role::cases(), authority::cases(), guess::cases(), point::cases(), oracle::cases()]
        .into_iter()
        .flatten()
        .collect()
}
