//! Slot and token management (section 5.5).

use super::buffer::{Caller, blank_padded};
use super::general::{MANUFACTURER, VERSION};
use crate::error::{Result, Rv};
use crate::token::{MechanismInfo, TokenInfo};
use cryptoki_sys::*;

entry! {
    /// Lists the slots. Every slot has a token, so `token_present` makes no difference.
    fn C_GetSlotList(call, _token_present: CK_BBOOL, list: CK_SLOT_ID_PTR, count: CK_ULONG_PTR) {
        call.list(list, count, &call.module().slots()?)
    }

    /// Tells about a slot.
    fn C_GetSlotInfo(call, slot: CK_SLOT_ID, info: CK_SLOT_INFO_PTR) {
        let slot = call.module().slot_info(slot)?;
        call.out(info)?.set(CK_SLOT_INFO {
            slotDescription: blank_padded(&slot.description),
            manufacturerID: MANUFACTURER,
            flags: slot.flags,
            hardwareVersion: VERSION,
            firmwareVersion: VERSION,
        });
        Ok(())
    }

    /// Tells about a token.
    fn C_GetTokenInfo(call, slot: CK_SLOT_ID, info: CK_TOKEN_INFO_PTR) {
        let token = call.module().token_info(slot)?;
        call.out(info)?.set(token_info(&token));
        Ok(())
    }

    /// Waits for nothing: tokens do not come and go.
    fn C_WaitForSlotEvent(call, flags: CK_FLAGS, slot: CK_SLOT_ID_PTR, reserved: CK_VOID_PTR) {
        call.out(slot)?;
        match reserved.is_null() {
            false => fail!(ArgumentsBad, "pReserved is not NULL"),
            true if flags & CKF_DONT_BLOCK != 0 => fail!(NoEvent),
            true => fail!(FunctionNotSupported, "there are no slot events to wait for"),
        }
    }

    /// Lists the mechanisms of a token.
    fn C_GetMechanismList(call, slot: CK_SLOT_ID, list: CK_MECHANISM_TYPE_PTR, count: CK_ULONG_PTR) {
        call.list(list, count, &call.module().mechanisms(slot)?)
    }

    /// Tells about a mechanism of a token.
    fn C_GetMechanismInfo(
        call,
        slot: CK_SLOT_ID,
        mechanism: CK_MECHANISM_TYPE,
        info: CK_MECHANISM_INFO_PTR,
    ) {
        let MechanismInfo { min, max, flags } = call.module().mechanism_info(slot, mechanism)?;
        let [min, max] = [min, max].map(|size| size as CK_ULONG);
        call.out(info)?.set(CK_MECHANISM_INFO { ulMinKeySize: min, ulMaxKeySize: max, flags });
        Ok(())
    }

    /// Makes a token new: all its objects are gone, the SO's PIN is set.
    fn C_InitToken(call, slot: CK_SLOT_ID, pin: CK_UTF8CHAR_PTR, pin_len: CK_ULONG, label: CK_UTF8CHAR_PTR) {
        let module = call.module();
        module.slot_info(slot)?;
        let label = token_label(&call.read(label.cast::<[u8; 32]>())?)?.to_owned();
        module.init_token(slot, call.pin(pin, pin_len)?, &label)
    }

    /// Sets the user's PIN, by the SO.
    fn C_InitPIN(call, session: CK_SESSION_HANDLE, pin: CK_UTF8CHAR_PTR, pin_len: CK_ULONG) {
        call.session(session)?.init_pin(call.pin(pin, pin_len)?)
    }

    /// Changes the PIN of who is logged in.
    fn C_SetPIN(
        call,
        session: CK_SESSION_HANDLE,
        old: CK_UTF8CHAR_PTR,
        old_len: CK_ULONG,
        new: CK_UTF8CHAR_PTR,
        new_len: CK_ULONG,
    ) {
        let session = call.session(session)?;
        session.set_pin(call.pin(old, old_len)?, call.pin(new, new_len)?)
    }
}

impl Caller {
    /// A PIN. NULL stands for a PIN pad, and there is none.
    ///
    /// # Errors
    /// CKR_ARGUMENTS_BAD.
    pub fn pin(&self, pin: *const CK_UTF8CHAR, len: CK_ULONG) -> Result<&[u8]> {
        match pin.is_null() {
            true => fail!(ArgumentsBad, "a NULL PIN asks for a protected authentication path"),
            false => self.input(pin, len),
        }
    }
}

fn token_label(field: &[u8; 32]) -> Result<&str> {
    match str::from_utf8(field) {
        Ok(label) => Ok(label.trim_end_matches([' ', '\0'])),
        Err(_) => Err(Rv::ArgumentsBad.because("the label is not UTF-8")),
    }
}

fn token_info(token: &TokenInfo) -> CK_TOKEN_INFO {
    let (all, read_write) = token.sessions;
    let (shortest, longest) = token.pin_len;
    CK_TOKEN_INFO {
        label: blank_padded(&token.label),
        manufacturerID: MANUFACTURER,
        model: blank_padded(&token.model),
        serialNumber: blank_padded(&token.serial),
        flags: token.flags,
        ulMaxSessionCount: CK_EFFECTIVELY_INFINITE,
        ulSessionCount: all as CK_ULONG,
        ulMaxRwSessionCount: CK_EFFECTIVELY_INFINITE,
        ulRwSessionCount: read_write as CK_ULONG,
        ulMaxPinLen: longest as CK_ULONG,
        ulMinPinLen: shortest as CK_ULONG,
        ulTotalPublicMemory: CK_UNAVAILABLE_INFORMATION,
        ulFreePublicMemory: CK_UNAVAILABLE_INFORMATION,
        ulTotalPrivateMemory: CK_UNAVAILABLE_INFORMATION,
        ulFreePrivateMemory: CK_UNAVAILABLE_INFORMATION,
        hardwareVersion: VERSION,
        firmwareVersion: VERSION,
        // No CKF_CLOCK_ON_TOKEN, so it has no meaning.
        utcTime: blank_padded(""),
    }
}
