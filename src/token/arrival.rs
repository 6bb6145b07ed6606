//! Objects on their way out of the storage: opened as far as an index needs them, their secrets left where they are.

use super::objects::{INDEXED, IndexKeys, Indexer};
use super::token::Login;
use crate::error::Result;
use crate::object::{Attributes, Name, Packed, Secrets, Vault};
use crate::storage::Revision;
use crate::storage::record::{ObjectId, Stored};
use crate::storage::sealed::{Keys, Sealed};
use crate::storage::sqlite::Sqlite;
use std::sync::Arc;

/// What a load makes of an object, in whatever thread.
pub(super) struct Arrival {
    pub(super) id: ObjectId,
    pub(super) revision: Revision,
    /// `None` if it does not open for who is logged in.
    attributes: Option<Result<Packed>>,
    pub(super) keys: IndexKeys,
    secrets: Whereabouts,
}

/// Where an object's secrets are.
enum Whereabouts {
    Nowhere,
    /// In the storage, sealed; of an object that is this user's, or another's.
    Storage {
        borrowed: bool,
    },
    /// A public object's: by the keys of the login its record was found right, and it outlives them. Boxed, since few
    /// have any.
    Here(Box<Stored<'static>>),
}

impl Arrival {
    /// Opens it for `user`, if one is logged in.
    pub(super) fn open(
        sealed: &Sealed<Sqlite>,
        stored: Stored<'_>,
        user: Option<&Keys>,
        indexer: &Indexer,
    ) -> Arrival {
        let (id, revision) = (stored.id, stored.revision);
        let attributes = match (stored.public_attributes(), user) {
            (Some(attributes), _) => Some(Packed::new(attributes)),
            (None, Some(keys)) if keys.open(&stored) => {
                let opened = sealed.open_attributes(keys, &stored);
                Some(opened.and_then(|attributes| Packed::new(attributes.expose())))
            }
            (None, _) => None,
        };
        let secrets = match (stored.has_secrets(), stored.private) {
            (false, false) => Whereabouts::Nowhere,
            (true, false) => Whereabouts::Here(Box::new(stored.into_owned())),
            (_, true) => {
                Whereabouts::Storage { borrowed: user.is_some_and(|keys| keys.user() != stored.owner) }
            }
        };
        let packed = attributes.as_ref().and_then(|attributes| attributes.as_ref().ok());
        let keys = packed.map_or([None; _], |packed| indexer.keys(packed.bytes_of(INDEXED)));
        Arrival { id, revision, attributes, keys, secrets }
    }

    /// Its secrets, to be opened at first use, and its attributes.
    pub(super) fn split(self, vaults: &Vaults) -> (Secrets, Option<Result<Packed>>) {
        let name = Name { id: self.id, revision: self.revision.0 };
        let secrets = match (self.secrets, &vaults.private) {
            (Whereabouts::Storage { borrowed }, Some(vault)) => {
                let secrets = Secrets::sealed(vault.clone(), name);
                if borrowed { secrets.borrowed() } else { secrets }
            }
            (Whereabouts::Here(stored), _) => {
                Secrets::sealed(Arc::new(Clear { sealed: vaults.sealed.clone(), stored }), name)
            }
            _ => Secrets::opened(Attributes::new()),
        };
        (secrets, self.attributes)
    }
}

/// Where the secrets of one load's objects lie.
pub(super) struct Vaults {
    sealed: Arc<Sealed<Sqlite>>,
    private: Option<Arc<dyn Vault>>,
}

impl Vaults {
    pub(super) fn new(sealed: &Arc<Sealed<Sqlite>>, login: Option<&Login>) -> Vaults {
        let keys = login.map(|login| login.keys.clone());
        let private = keys.map(|keys| Arc::new(Private { sealed: sealed.clone(), keys }) as Arc<dyn Vault>);
        Vaults { sealed: sealed.clone(), private }
    }
}

/// The storage, by the keys of the login that brought the object.
struct Private {
    sealed: Arc<Sealed<Sqlite>>,
    keys: Arc<Keys>,
}

impl Vault for Private {
    fn open(&self, name: &Name) -> Result<Attributes> {
        let secrets = self.sealed.secrets_of(&self.keys, &name.id, Revision(name.revision))?;
        Attributes::decode(secrets.expose())
    }
}

/// A public object's record.
struct Clear {
    sealed: Arc<Sealed<Sqlite>>,
    stored: Box<Stored<'static>>,
}

impl Vault for Clear {
    fn open(&self, _: &Name) -> Result<Attributes> {
        Attributes::decode(self.sealed.open_secrets(None, &self.stored)?.expose())
    }
}
