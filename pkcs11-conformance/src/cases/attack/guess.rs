//! Attacks by guessing where nobody counts: context-specific logins, C_LoginUser, C_InitToken (rows 14 and 21).

use super::super::slot::wrong;
use crate::case::{Case, Level, Outcome, Setup, Stop};
use crate::client::{Attr, Mechanism, Rv};
use crate::context::{Context, FINE, P256, expect, that, yes};
use cryptoki_sys::*;

const CHAPTER: &str = "Attacks: authority";
const GUESSED: &[CK_RV] = &[CKR_PIN_INCORRECT, CKR_PIN_LOCKED];
/// More than any module allows.
const GUESSES: usize = 30;

pub fn cases() -> Vec<Case> {
    let case = |id: &str, does: &str, want: &'static [CK_RV], run: fn(&Context) -> Outcome| {
        Case::new(format!("attack.{id}"), CHAPTER, does, want, run).destructive()
    };
    vec![
        case(
            "14.context-login-counts",
            "guesses the PIN 30 times by context-specific logins, then logs in with the right one",
            &[CKR_PIN_LOCKED],
            |x| {
                let key = always_authenticating(x)?;
                for _ in 0..GUESSES {
                    // A wrong PIN may end the operation.
                    let begun = x.s().sign_init(&Mechanism::new(CKM_ECDSA), key);
                    expect("C_SignInit", &begun, &[CKR_OK, CKR_OPERATION_ACTIVE, CKR_USER_NOT_LOGGED_IN])?;
                    let guess = x.s().login(CKU_CONTEXT_SPECIFIC, &wrong(&x.target.pin));
                    if Rv::of(&begun) != CKR_USER_NOT_LOGGED_IN {
                        expect("a guess", &guess, GUESSED)?;
                    }
                }
                // The module may have logged the user out.
                let _ = x.s().logout();
                Ok(Rv::of(&x.s().login(CKU_USER, &x.target.pin)))
            },
        ),
        case(
            "14.context-login-locked-signs-nothing",
            "locks the PIN by context-specific logins, then gives the right one and signs",
            &[CKR_PIN_LOCKED, CKR_USER_NOT_LOGGED_IN, CKR_OPERATION_NOT_INITIALIZED],
            |x| {
                let key = always_authenticating(x)?;
                for _ in 0..GUESSES {
                    let _ = x.s().sign_init(&Mechanism::new(CKM_ECDSA), key);
                    let _ = x.s().login(CKU_CONTEXT_SPECIFIC, &wrong(&x.target.pin));
                }
                let _ = x.s().sign_init(&Mechanism::new(CKM_ECDSA), key);
                x.s().login(CKU_CONTEXT_SPECIFIC, &x.target.pin)?;
                Ok(Rv::of(&x.s().sign_once(&[1; 32])))
            },
        ),
        case(
            "14.login-user-counts",
            "guesses the PIN 30 times by C_LoginUser without a name, then gives the right one",
            &[CKR_PIN_LOCKED],
            |x| {
                x.s().logout().setup("C_Logout")?;
                for _ in 0..GUESSES {
                    let guess = x.s().login_user(CKU_USER, "", &wrong(&x.target.pin));
                    if [CKR_FUNCTION_NOT_SUPPORTED, Rv::ABSENT.0].contains(&Rv::of(&guess).0) {
                        return Err(Stop::NotOffered("C_LoginUser".into()));
                    }
                    expect("a guess", &guess, GUESSED)?;
                }
                Ok(Rv::of(&x.s().login(CKU_USER, &x.target.pin)))
            },
        ),
        // Not to the end: a token whose SO is locked out stays so.
        case("14.init-token-counts", "guesses the SO's PIN once by C_InitToken", &[CKR_OK], |x| {
            let label = x.token_label()?;
            let guess = x.module.init_token(x.slot, &wrong(x.so_pin()?), &label);
            expect("a guess", &guess, &[CKR_PIN_INCORRECT])?;
            that(x.token_flags()? & CKF_SO_PIN_COUNT_LOW != 0, "CKF_SO_PIN_COUNT_LOW is not set")?;
            x.module.init_token(x.slot, x.so_pin()?, &label).setup("C_InitToken")?;
            that(x.token_flags()? & CKF_SO_PIN_COUNT_LOW == 0, "CKF_SO_PIN_COUNT_LOW is still set")?;
            FINE
        })
        .level(Level::Initialised),
    ]
}

/// A session key that asks for a login before each signature.
fn always_authenticating(x: &Context) -> Result<CK_OBJECT_HANDLE, Stop> {
    x.need(CKM_ECDSA, CKF_SIGN)?;
    let private = yes(&[CKA_SIGN, CKA_PRIVATE, CKA_ALWAYS_AUTHENTICATE]);
    match x.ec(P256, &[Attr::bool(CKA_VERIFY, true)], &private) {
        Err(rv) if rv == CKR_ATTRIBUTE_TYPE_INVALID => {
            Err(Stop::NotOffered("CKA_ALWAYS_AUTHENTICATE".into()))
        }
        made => Ok(made.setup("C_GenerateKeyPair")?.1),
    }
}
