//! Slot and token functions (section 5.5).

use crate::case::{Case, Level, Outcome, Setup};
use crate::client::{Attr, Rv, call};
use crate::context::{Context, FINE, expect, that};
use cryptoki_sys::*;

const CHAPTER: &str = "5.5 Slots and tokens";
const NO_SLOT: CK_SLOT_ID = 0x7ead_beef;

pub fn cases() -> Vec<Case> {
    let ready = |id, does, want: &'static [CK_RV], run: fn(&Context) -> Outcome| {
        Case::new(id, CHAPTER, does, want, run).level(Level::Initialised)
    };
    vec![
        ready("slot.list-too-small", "lists slots into no room", &[CKR_BUFFER_TOO_SMALL], |x| {
            let (mut count, mut room) = (0, 0);
            Ok(call!(x.module.v2_40(), C_GetSlotList(CK_TRUE, &raw mut room, &raw mut count)))
        }),
        ready("slot.present-are-slots", "sees that slots with a token are among all slots", &[CKR_OK], |x| {
            let (all, present) =
                (x.module.slots(false).setup("all")?, x.module.slots(true).setup("with token")?);
            that(present.iter().all(|slot| all.contains(slot)), format!("{present:?} not in {all:?}"))?;
            FINE
        }),
        ready(
            "slot.unknown-info",
            "asks C_GetSlotInfo of a slot that is not there",
            &[CKR_SLOT_ID_INVALID],
            |x| Ok(Rv::of(&x.module.slot_info(NO_SLOT))),
        ),
        ready(
            "slot.unknown-token",
            "asks C_GetTokenInfo of a slot that is not there",
            &[CKR_SLOT_ID_INVALID],
            |x| Ok(Rv::of(&x.module.token_info(NO_SLOT))),
        ),
        ready(
            "slot.unknown-mechanisms",
            "lists mechanisms of a slot that is not there",
            &[CKR_SLOT_ID_INVALID],
            |x| Ok(Rv::of(&x.module.mechanisms(NO_SLOT))),
        ),
        ready(
            "slot.unknown-open",
            "opens a session with a slot that is not there",
            &[CKR_SLOT_ID_INVALID],
            |x| Ok(x.module.open_session(NO_SLOT, true).map_or_else(|rv| rv, |_| Rv(CKR_OK))),
        ),
        ready(
            "slot.unknown-close-all",
            "closes all sessions of a slot that is not there",
            &[CKR_SLOT_ID_INVALID],
            |x| Ok(Rv::of(&x.module.close_all_sessions(NO_SLOT))),
        ),
        ready("slot.token-info", "reads C_GetTokenInfo: flags and padding", &[CKR_OK], token_info),
        ready(
            "slot.mechanism-unknown",
            "asks C_GetMechanismInfo of a mechanism nobody has",
            &[CKR_MECHANISM_INVALID],
            |x| Ok(Rv::of(&x.module.mechanism_info(x.slot, 0x7fff_fff0))),
        ),
        ready(
            "slot.mechanism-infos",
            "reads the information of every listed mechanism",
            &[CKR_OK],
            mechanism_infos,
        ),
        ready(
            "slot.mechanism-list-too-small",
            "lists mechanisms into room for one",
            &[CKR_BUFFER_TOO_SMALL],
            |x| {
                let all = x.module.mechanisms(x.slot).setup("C_GetMechanismList")?.len() as CK_ULONG;
                let (mut count, mut room) = (1, 0);
                let rv = call!(x.module.v2_40(), C_GetMechanismList(x.slot, &raw mut room, &raw mut count));
                that(count == all, format!("it leaves {count} as the count, of {all}"))?;
                Ok(rv)
            },
        ),
        ready(
            "slot.init-token-open-session",
            "initialises a token with a session open",
            &[CKR_SESSION_EXISTS],
            |x| {
                let (_open, label) = (x.open(true)?, x.token_label()?);
                Ok(Rv::of(&x.module.init_token(x.slot, x.so_pin()?, &label)))
            },
        )
        .destructive(),
        ready(
            "slot.init-token-wrong-pin",
            "initialises a token with a wrong SO PIN",
            &[CKR_PIN_INCORRECT],
            |x| {
                let label = x.token_label()?;
                Ok(Rv::of(&x.module.init_token(x.slot, &wrong(x.so_pin()?), &label)))
            },
        )
        .destructive(),
        ready(
            "slot.init-token-empties",
            "initialises a token and looks for an object of before",
            &[CKR_OK],
            empties,
        )
        .destructive(),
        ready(
            "slot.init-pin-without-so",
            "sets the user's PIN without the SO",
            &[CKR_USER_NOT_LOGGED_IN],
            |x| Ok(Rv::of(&x.open(true)?.init_pin(&x.target.pin))),
        ),
        ready(
            "slot.set-pin",
            "changes the user's PIN, logs in with it, and changes it back",
            &[CKR_OK],
            |x| {
                let (session, old, new) = (x.open(true)?, &x.target.pin, format!("{}+", x.target.pin));
                session.set_pin(old, &new).setup("C_SetPIN")?;
                expect("C_Login with the old PIN", &session.login(CKU_USER, old), &[CKR_PIN_INCORRECT])?;
                session.login(CKU_USER, &new).setup("C_Login with the new PIN")?;
                Ok(Rv::of(&session.set_pin(&new, old)))
            },
        )
        .destructive(),
        ready(
            "slot.set-pin-read-only",
            "changes a PIN in a read-only session",
            &[CKR_SESSION_READ_ONLY],
            |x| Ok(Rv::of(&x.open(false)?.set_pin(&x.target.pin, &x.target.pin))),
        ),
        ready(
            "slot.set-pin-too-short",
            "sets a PIN of one character",
            &[CKR_PIN_LEN_RANGE, CKR_PIN_INVALID],
            |x| {
                let info = x.module.token_info(x.slot).setup("C_GetTokenInfo")?;
                that(info.ulMinPinLen > 1, "ulMinPinLen allows it")?;
                Ok(Rv::of(&x.open(true)?.set_pin(&x.target.pin, "1")))
            },
        )
        .destructive(),
    ]
}

/// A PIN of the same length that is another.
pub fn wrong(pin: &str) -> String {
    pin.chars().map(|c| if c == 'x' { 'y' } else { 'x' }).collect()
}

fn token_info(x: &Context) -> Outcome {
    let info = x.module.token_info(x.slot).setup("C_GetTokenInfo")?;
    let wants = CKF_TOKEN_INITIALIZED | CKF_USER_PIN_INITIALIZED | CKF_LOGIN_REQUIRED;
    that(info.flags & wants == wants, format!("flags {:#x}", info.flags))?;
    for field in [&info.label[..], &info.manufacturerID, &info.model, &info.serialNumber] {
        that(!field.contains(&0), format!("{field:?} has a NUL instead of blanks"))?;
    }
    that(info.ulMinPinLen <= info.ulMaxPinLen, "ulMinPinLen is above ulMaxPinLen")?;
    let _session = x.open(true)?;
    let after = x.module.token_info(x.slot).setup("C_GetTokenInfo")?;
    let (before, after) = (info.ulRwSessionCount, after.ulRwSessionCount);
    that(
        after == CK_UNAVAILABLE_INFORMATION || after == before + 1,
        format!("ulRwSessionCount from {before} to {after}"),
    )?;
    FINE
}

fn mechanism_infos(x: &Context) -> Outcome {
    let list = x.module.mechanisms(x.slot).setup("C_GetMechanismList")?;
    for (at, &mechanism) in list.iter().enumerate() {
        that(!list[..at].contains(&mechanism), format!("mechanism {mechanism:#x} twice"))?;
        let info = x.module.mechanism_info(x.slot, mechanism);
        expect(&format!("mechanism {mechanism:#x}"), &info, &[CKR_OK])?;
        let info = info?;
        that(info.flags & !CKF_HW != 0, format!("mechanism {mechanism:#x} can do nothing"))?;
        that(
            info.ulMinKeySize <= info.ulMaxKeySize,
            format!("mechanism {mechanism:#x}: sizes the wrong way round"),
        )?;
    }
    FINE
}

fn empties(x: &Context) -> Outcome {
    let label = x.token_label()?;
    let session = x.open(true)?;
    session.login(CKU_USER, &x.target.pin).setup("C_Login")?;
    let data = [Attr::class(CKO_DATA), Attr::bool(CKA_PRIVATE, false)];
    session.create_object(&[&data[..], &x.on_token()].concat()).setup("C_CreateObject")?;
    session.close().setup("C_CloseSession")?;
    x.module.init_token(x.slot, x.so_pin()?, &label).setup("C_InitToken")?;
    let slot = x.module.slot_by_label(&label).unwrap_or(x.slot);
    let session = x.module.open_session(slot, true).setup("C_OpenSession")?;
    let left = session.find(&x.on_token()).setup("C_FindObjects")?;
    that(left.is_empty(), format!("{} objects are still there", left.len()))?;
    expect(
        "C_Login of the user",
        &session.login(CKU_USER, &x.target.pin),
        &[CKR_USER_PIN_NOT_INITIALIZED, CKR_PIN_INCORRECT],
    )?;
    FINE
}
