//! C_CreateObject, C_CopyObject, C_DestroyObject, C_GetObjectSize, C_GetAttributeValue, C_SetAttributeValue
//! (section 5.7).

use super::session::Session;
use crate::error::{Result, Rv};
use crate::mechanism::key;
use crate::object::template::{self, Act};
use crate::object::{Attributes, Handle, Object};
use crate::token::{Token, User, quorum};
use cryptoki_sys::*;
use std::sync::Arc;

/// How many times others may change an object before one gives way.
const PATIENCE: usize = 1000;

impl Session {
    /// Whether this session may make or change an object with these attributes.
    ///
    /// # Errors
    /// CKR_SESSION_READ_ONLY, CKR_USER_NOT_LOGGED_IN.
    pub(super) fn may_write(&self, attributes: &Attributes) -> Result<()> {
        if attributes.is_true(CKA_TOKEN) {
            if !self.is_read_write() {
                fail!(SessionReadOnly, "a token object takes a read/write session");
            }
            // Token objects are sealed or authenticated with keys that a login opens.
            if self.token().user().is_none() {
                fail!(UserNotLoggedIn, "writing a token object takes a login");
            }
        }
        if attributes.is_true(CKA_PRIVATE) && self.token().user() != Some(User::Normal) {
            fail!(UserNotLoggedIn, "CKA_PRIVATE: a private object takes a login as user");
        }
        Ok(())
    }

    /// The rules for templates in this session.
    pub fn rules(&self) -> template::Rules {
        self.policy().for_templates(self.token().user() == Some(User::So))
    }

    /// C_CreateObject.
    ///
    /// # Errors
    /// What the template is wrong by; CKR_SESSION_READ_ONLY; CKR_USER_NOT_LOGGED_IN; CKR_DEVICE_MEMORY.
    pub fn create_object(&self, mut template: Attributes) -> Result<Handle> {
        let mut draft = template::build(Act::Create, &mut template, None, &self.rules())?;
        self.may_write(&draft)?;
        if let Some(key_type) = draft.ulong(CKA_KEY_TYPE) {
            let kind = key::kind(draft.need_ulong(CKA_CLASS)?, key_type)?;
            (kind.complete)(&mut draft)?;
            self.policy().judge_key(&draft).map_err(|error| match error.rv() {
                Rv::KeySizeRange => error.recode(Rv::AttributeValueInvalid),
                _ => error,
            })?;
        }
        self.token().create(self.owner(), draft.settle(CK_UNAVAILABLE_INFORMATION, &[])?)
    }

    /// C_CopyObject.
    ///
    /// # Errors
    /// CKR_ACTION_PROHIBITED unless CKA_COPYABLE; as [`Session::create_object`].
    pub fn copy_object(&self, handle: Handle, template: &Attributes) -> Result<Handle> {
        let object = self.object(handle)?;
        if object.is_borrowed() {
            fail!(ActionProhibited, "only its owner copies an object that is shared");
        }
        if quorum::is_guarded(&object) {
            fail!(ActionProhibited, "a key that takes approvals has no copies that would take none");
        }
        let attributes = template::copy(object.attributes(), template, &self.rules())?;
        self.may_write(&attributes)?;
        self.token().copy(self.owner(), &object, attributes)
    }

    /// C_DestroyObject. True if another session still holds the object.
    ///
    /// # Errors
    /// CKR_ACTION_PROHIBITED unless CKA_DESTROYABLE; CKR_SESSION_READ_ONLY; CKR_OBJECT_HANDLE_INVALID.
    pub(super) fn destroy_object(&self, handle: Handle) -> Result<bool> {
        let allow = |object: &Object| {
            self.may_write(object.attributes())?;
            if !object.is_true(CKA_DESTROYABLE) {
                fail!(ActionProhibited, "CKA_DESTROYABLE of the object is not set");
            }
            Ok(())
        };
        let destroyed = match Token::is_of_session(handle) {
            true => {
                self.refresh()?;
                self.token().take_out(handle, allow)?
            }
            false => self.on_current(handle, |object| {
                allow(object)?;
                self.token().destroy(object)
            })?,
        };
        // Most objects are destroyed when nobody uses them, and then there is nobody to tell.
        if Object::is_alone(&destroyed) {
            return Ok(false);
        }
        self.let_go();
        let held = !Object::is_alone(&destroyed);
        if held {
            self.token().announce_revocation();
        }
        Ok(held)
    }

    /// Does something to the current version of an object, and returns it. `act` says false if another thread or
    /// process has changed it meanwhile, and then judges the new version.
    fn on_current(&self, handle: Handle, act: impl Fn(&Arc<Object>) -> Result<bool>) -> Result<Arc<Object>> {
        for _ in 0..PATIENCE {
            let object = self.object_once(handle)?;
            if act(&object)? {
                return Ok(object);
            }
        }
        fail!(FunctionFailed, "others keep changing the object")
    }

    /// C_GetObjectSize: bytes of the object's stored form.
    ///
    /// # Errors
    /// CKR_OBJECT_HANDLE_INVALID.
    pub fn object_size(&self, handle: Handle) -> Result<usize> {
        let object = self.object(handle)?;
        Ok(object.attributes().encode().len() + object.secrets()?.encode().len())
    }

    /// C_SetAttributeValue: all of `changes` or none.
    ///
    /// # Errors
    /// CKR_ATTRIBUTE_READ_ONLY, CKR_ACTION_PROHIBITED, CKR_SESSION_READ_ONLY ...
    pub fn set_attributes(&self, handle: Handle, changes: &Attributes) -> Result<()> {
        self.on_current(handle, |object| {
            self.may_write(object.attributes())?;
            let attributes = template::set(object.attributes(), changes, &self.rules())?;
            self.token().change(object, attributes)
        })
        .map(drop)
    }
}
