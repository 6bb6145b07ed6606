//! One object as the sessions hold it.

use super::{AttributeType, Attributes};
use crate::crypto::{Secret, wiping_stack};
use crate::error::Result;
use cryptoki_sys::*;
use once_cell::sync::OnceCell;
use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What names an object to the application (CK_OBJECT_HANDLE); never given out twice.
pub type Handle = CK_OBJECT_HANDLE;

/// The attributes that footnote 7 of the standard's tables protects, opened at first use.
pub struct Secrets {
    opened: OnceCell<Attributes>,
    sealed: Option<Opener>,
    borrowed: bool,
}

/// Opens what the storage keeps sealed.
pub type Opener = Box<dyn Fn() -> Result<Attributes> + Send + Sync>;

impl Secrets {
    /// Secrets at hand.
    pub fn opened(secrets: Attributes) -> Secrets {
        Secrets { opened: OnceCell::with_value(secrets), sealed: None, borrowed: false }
    }

    /// Secrets that `open` brings when they are first asked for.
    pub fn sealed(open: Opener) -> Secrets {
        Secrets { opened: OnceCell::new(), sealed: Some(open), borrowed: false }
    }

    /// The same, of another user's object: for use only.
    pub fn borrowed(self) -> Secrets {
        Secrets { borrowed: true, ..self }
    }

    fn open(&self) -> Result<&Attributes> {
        self.opened.get_or_try_init(|| match &self.sealed {
            Some(open) => open(),
            None => Ok(Attributes::new()),
        })
    }
}

/// What all versions of an object share: its secrets, and the expanded key made from them.
struct Core {
    secrets: Secrets,
    prepared: OnceCell<Box<dyn Any + Send + Sync>>,
}

/// One version of an object. Changing an attribute makes a new version that shares the core, so an
/// operation that is running keeps the one it began with.
pub struct Object {
    handle: Handle,
    attributes: Attributes,
    core: Arc<Core>,
    /// Set once the handle is no longer good: destroyed, hidden by a logout. Shared by all versions.
    revoked: Arc<AtomicBool>,
    /// Set once there is a newer version.
    superseded: AtomicBool,
}

impl Object {
    /// A new object.
    pub fn new(handle: Handle, attributes: Attributes, secrets: Secrets) -> Object {
        let core = Arc::new(Core { secrets, prepared: OnceCell::new() });
        Object { handle, attributes, core, revoked: Arc::default(), superseded: AtomicBool::new(false) }
    }

    /// The next version, with other attributes and the same secrets. The caller supersedes this one.
    pub fn with_attributes(&self, attributes: Attributes) -> Object {
        let (core, revoked) = (self.core.clone(), self.revoked.clone());
        Object { handle: self.handle, attributes, core, revoked, superseded: AtomicBool::new(false) }
    }

    /// Another object with the same secrets.
    pub fn copy(&self, handle: Handle, attributes: Attributes) -> Object {
        let core = self.core.clone();
        Object { handle, attributes, core, revoked: Arc::default(), superseded: AtomicBool::new(false) }
    }

    /// Its handle.
    pub fn handle(&self) -> Handle {
        self.handle
    }

    /// All attributes but the secret ones.
    pub fn attributes(&self) -> &Attributes {
        &self.attributes
    }

    /// The secret attributes.
    ///
    /// # Errors
    /// CKR_DEVICE_ERROR if the stored form was tampered with.
    pub fn secrets(&self) -> Result<&Attributes> {
        self.core.secrets.open()
    }

    /// An attribute's bytes, secret or not.
    ///
    /// # Errors
    /// CKR_TEMPLATE_INCOMPLETE if the object has none.
    pub fn bytes(&self, attribute: AttributeType) -> Result<&[u8]> {
        match self.attributes.bytes(attribute) {
            Some(bytes) => Ok(bytes),
            None => self.secrets()?.need_bytes(attribute),
        }
    }

    /// A secret key's CKA_VALUE.
    ///
    /// # Errors
    /// CKR_KEY_TYPE_INCONSISTENT if there is none.
    pub fn secret_value(&self) -> Result<&[u8]> {
        match self.secrets()?.bytes(CKA_VALUE) {
            Some(value) => Ok(value),
            None => fail!(KeyTypeInconsistent, "the key has no CKA_VALUE"),
        }
    }

    /// A second copy of a secret key's CKA_VALUE.
    ///
    /// # Errors
    /// As [`Object::secret_value`].
    pub fn secret_copy(&self) -> Result<Secret> {
        self.secret_value().map(Secret::from_slice)
    }

    /// The key's expanded form: made once by `expand`, then shared by all sessions, threads and versions.
    /// One object has one expanded form, whose type follows from its class and key type.
    ///
    /// # Errors
    /// Those of `expand`; CKR_KEY_TYPE_INCONSISTENT if the key already has a form of another type.
    pub fn prepared<T: Any + Send + Sync>(&self, expand: impl FnOnce(&Object) -> Result<T>) -> Result<&T> {
        let form = self.core.prepared.get_or_try_init(|| {
            wiping_stack(|| -> Result<Box<dyn Any + Send + Sync>> { Ok(Box::new(expand(self)?)) })
        })?;
        match form.downcast_ref() {
            Some(form) => Ok(form),
            None => fail!(KeyTypeInconsistent, "the key is already in use as another type"),
        }
    }

    /// CKA_CLASS.
    pub fn class(&self) -> CK_OBJECT_CLASS {
        self.attributes.ulong(CKA_CLASS).unwrap_or(CK_UNAVAILABLE_INFORMATION)
    }

    /// CKA_KEY_TYPE of a key.
    pub fn key_type(&self) -> Option<CK_KEY_TYPE> {
        self.attributes.ulong(CKA_KEY_TYPE)
    }

    /// A Boolean attribute; false where there is none.
    pub fn is_true(&self, attribute: AttributeType) -> bool {
        self.attributes.is_true(attribute)
    }

    /// CKA_TOKEN.
    pub fn is_token(&self) -> bool {
        self.is_true(CKA_TOKEN)
    }

    /// CKA_PRIVATE.
    pub fn is_private(&self) -> bool {
        self.is_true(CKA_PRIVATE)
    }

    /// Whether the object is another user's, who shares it: it can be used, and neither read out nor handed on.
    pub fn is_borrowed(&self) -> bool {
        self.core.secrets.borrowed
    }

    /// Whether a new operation may begin with this version.
    pub fn is_current(&self) -> bool {
        !self.superseded.load(Ordering::Acquire) && !self.is_revoked()
    }

    /// Whether the object is gone, so that running operations with it end.
    pub fn is_revoked(&self) -> bool {
        self.revoked.load(Ordering::Acquire)
    }

    /// Whether nobody holds the object but the caller, nor another version of it.
    pub fn is_alone(object: &Arc<Object>) -> bool {
        Arc::strong_count(object) == 1 && Arc::strong_count(&object.revoked) == 1
    }

    /// Marks that there is a newer version.
    pub fn supersede(&self) {
        self.superseded.store(true, Ordering::Release);
    }

    /// Ends the handle: all versions of it.
    pub fn revoke(&self) {
        self.revoked.store(true, Ordering::Release);
    }
}
