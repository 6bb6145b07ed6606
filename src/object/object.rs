//! One object as the sessions hold it.

use super::{AttributeType, Attributes, Packed, template};
use crate::crypto::{Secret, wiping_stack};
use crate::error::Result;
use cryptoki_sys::*;
use once_cell::sync::OnceCell;
use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// What names an object to the application (CK_OBJECT_HANDLE); never given out twice.
pub type Handle = CK_OBJECT_HANDLE;

/// The attributes that footnote 7 of the standard's tables protects, opened at first use.
pub struct Secrets {
    opened: OnceCell<Attributes>,
    sealed: Option<(Arc<dyn Vault>, Name)>,
    borrowed: bool,
}

/// Where sealed secrets lie.
pub trait Vault: Send + Sync {
    /// The secrets of an object.
    ///
    /// # Errors
    /// CKR_OBJECT_HANDLE_INVALID if it is gone, CKR_DEVICE_ERROR if it was tampered with.
    fn open(&self, name: &Name) -> Result<Attributes>;
}

/// What a vault knows an object by.
#[derive(Clone, Copy, Default)]
pub struct Name {
    /// For ever.
    pub id: [u8; 16],
    /// As of what revision, at least.
    pub revision: u64,
}

impl Secrets {
    /// Secrets at hand.
    pub fn opened(secrets: Attributes) -> Secrets {
        Secrets { opened: OnceCell::with_value(secrets), sealed: None, borrowed: false }
    }

    /// Secrets that `vault` opens when they are first asked for.
    pub fn sealed(vault: Arc<dyn Vault>, name: Name) -> Secrets {
        Secrets { opened: OnceCell::new(), sealed: Some((vault, name)), borrowed: false }
    }

    /// The same, of another user's object: for use only.
    pub fn borrowed(self) -> Secrets {
        Secrets { borrowed: true, ..self }
    }

    fn open(&self) -> Result<&Attributes> {
        self.opened.get_or_try_init(|| match &self.sealed {
            Some((vault, name)) => vault.open(name),
            None => Ok(Attributes::new()),
        })
    }
}

/// All attributes but the secret ones: as they lie in the storage, or one by one, which is made of that at first need.
#[derive(Default)]
struct Plain {
    packed: Option<Packed>,
    open: OnceCell<Attributes>,
}

impl Plain {
    fn packed(packed: Packed) -> Plain {
        Plain { packed: Some(packed), open: OnceCell::new() }
    }

    fn open(attributes: Attributes) -> Plain {
        Plain { packed: None, open: OnceCell::with_value(attributes) }
    }

    /// What to read without taking anything apart.
    #[inline]
    fn still_packed(&self) -> Option<&Packed> {
        if self.open.get().is_some() { None } else { self.packed.as_ref() }
    }

    #[inline]
    fn attributes(&self) -> &Attributes {
        self.open.get_or_init(|| self.packed.as_ref().map(Packed::unpack).unwrap_or_default())
    }
}

/// Where an object has its core.
enum Source {
    /// It is a new one.
    Own(Core),
    /// It is a version of this one, which was the first of its handle and lives as long as any.
    First(Arc<Object>),
    /// It is the first version of a copy of this one.
    Original(Arc<Object>),
}

/// An object's secrets, and the expanded key made from them.
struct Core {
    secrets: Secrets,
    prepared: OnceCell<Box<dyn Any + Send + Sync>>,
}

/// One version of an object. Changing an attribute makes a new version that shares the core, so an
/// operation that is running keeps the one it began with.
pub struct Object {
    /// Set once for an object that comes from the storage.
    handle: AtomicUsize,
    plain: Plain,
    source: Source,
    /// Set in the first version once the handle is no longer good: destroyed, hidden by a logout.
    revoked: AtomicBool,
    /// Set once there is a newer version.
    superseded: AtomicBool,
}

impl Object {
    /// A new object.
    pub fn new(handle: Handle, attributes: Attributes, secrets: Secrets) -> Object {
        Object::with(handle, Plain::open(attributes), secrets)
    }

    /// An object that lies in the storage, before it has a handle.
    pub fn stored(attributes: Packed, secrets: Secrets) -> Object {
        Object::with(CK_INVALID_HANDLE, Plain::packed(attributes), secrets)
    }

    /// Gives an object that has none the handle that it keeps, before others can see it.
    pub fn set_handle(&self, handle: Handle) {
        self.handle.store(handle as usize, Ordering::Relaxed);
    }

    fn with(handle: Handle, plain: Plain, secrets: Secrets) -> Object {
        Object::from(handle, plain, Source::Own(Core { secrets, prepared: OnceCell::new() }))
    }

    fn from(handle: Handle, plain: Plain, source: Source) -> Object {
        let handle = AtomicUsize::new(handle as usize);
        Object { handle, plain, source, revoked: AtomicBool::new(false), superseded: AtomicBool::new(false) }
    }

    /// Has the attributes as the storage has them: the same ones.
    pub fn pack(&mut self, attributes: Packed) {
        self.plain = Plain::packed(attributes);
    }

    /// The next version, with other attributes and the same secrets. The caller supersedes this one.
    pub fn with_attributes(self: &Arc<Object>, attributes: Attributes) -> Object {
        self.version(Plain::open(attributes))
    }

    /// The next version, with the attributes of `arrived`: the same object as the storage has it by now.
    pub fn succeeded_by(self: &Arc<Object>, arrived: Object) -> Object {
        self.version(arrived.plain)
    }

    fn version(self: &Arc<Object>, plain: Plain) -> Object {
        let first = match &self.source {
            Source::First(first) => first,
            _ => self,
        };
        Object::from(self.handle(), plain, Source::First(first.clone()))
    }

    /// Another object with the same secrets.
    pub fn copy(self: &Arc<Object>, handle: Handle, attributes: Attributes) -> Object {
        let mut original = self;
        while let Source::First(before) | Source::Original(before) = &original.source {
            original = before;
        }
        Object::from(handle, Plain::open(attributes), Source::Original(original.clone()))
    }

    fn core(&self) -> &Core {
        let mut object = self;
        loop {
            match &object.source {
                Source::Own(core) => return core,
                Source::First(before) | Source::Original(before) => object = before,
            }
        }
    }

    /// The first version of its handle.
    fn first(&self) -> &Object {
        match &self.source {
            Source::First(first) => first,
            _ => self,
        }
    }

    /// Its handle.
    pub fn handle(&self) -> Handle {
        self.handle.load(Ordering::Relaxed) as Handle
    }

    /// All attributes but the secret ones.
    pub fn attributes(&self) -> &Attributes {
        self.plain.attributes()
    }

    /// Whether it has all that a template asks for (section 5.7.7); what is secret never matches.
    pub fn matches(&self, template: &Attributes) -> bool {
        let told = self.plain.still_packed().and_then(|packed| packed.matches(template));
        told.unwrap_or_else(|| template::matches(self.attributes(), template))
    }

    /// The bytes of attributes that are no secret, named in ascending order.
    pub fn plain_bytes<const N: usize>(&self, attributes: [AttributeType; N]) -> [Option<&[u8]>; N] {
        match self.plain.still_packed() {
            Some(packed) => packed.bytes_of(attributes),
            None => attributes.map(|attribute| self.attributes().bytes(attribute)),
        }
    }

    /// A number among the attributes that are not secret.
    pub fn ulong(&self, attribute: AttributeType) -> Option<CK_ULONG> {
        match self.plain.still_packed() {
            Some(packed) => packed.ulong(attribute),
            None => self.attributes().ulong(attribute),
        }
    }

    /// The secret attributes.
    ///
    /// # Errors
    /// CKR_DEVICE_ERROR if the stored form was tampered with.
    pub fn secrets(&self) -> Result<&Attributes> {
        self.core().secrets.open()
    }

    /// An attribute's bytes, secret or not.
    ///
    /// # Errors
    /// CKR_TEMPLATE_INCOMPLETE if the object has none.
    pub fn bytes(&self, attribute: AttributeType) -> Result<&[u8]> {
        match self.attributes().bytes(attribute) {
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
        let form = self.core().prepared.get_or_try_init(|| {
            wiping_stack(|| -> Result<Box<dyn Any + Send + Sync>> { Ok(Box::new(expand(self)?)) })
        })?;
        match form.downcast_ref() {
            Some(form) => Ok(form),
            None => fail!(KeyTypeInconsistent, "the key is already in use as another type"),
        }
    }

    /// CKA_CLASS.
    pub fn class(&self) -> CK_OBJECT_CLASS {
        self.ulong(CKA_CLASS).unwrap_or(CK_UNAVAILABLE_INFORMATION)
    }

    /// CKA_KEY_TYPE of a key.
    pub fn key_type(&self) -> Option<CK_KEY_TYPE> {
        self.ulong(CKA_KEY_TYPE)
    }

    /// A Boolean attribute; false where there is none.
    #[inline]
    pub fn is_true(&self, attribute: AttributeType) -> bool {
        match self.plain.still_packed() {
            Some(packed) => packed.is_true(attribute),
            None => self.attributes().is_true(attribute),
        }
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
        self.core().secrets.borrowed
    }

    /// Whether a new operation may begin with this version.
    pub fn is_current(&self) -> bool {
        !self.superseded.load(Ordering::Acquire) && !self.is_revoked()
    }

    /// Whether the object is gone, so that running operations with it end.
    pub fn is_revoked(&self) -> bool {
        self.first().revoked.load(Ordering::Acquire)
    }

    /// Whether nobody holds the object but the caller, nor another version or a copy of it.
    pub fn is_alone(object: &Arc<Object>) -> bool {
        let first = match &object.source {
            Source::First(first) => first,
            _ => object,
        };
        Arc::strong_count(object) == 1 && Arc::strong_count(first) == 1
    }

    /// Marks that there is a newer version.
    pub fn supersede(&self) {
        self.superseded.store(true, Ordering::Release);
    }

    /// Ends the handle: all versions of it.
    pub fn revoke(&self) {
        self.first().revoked.store(true, Ordering::Release);
    }
}
