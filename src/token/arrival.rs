//! Objects on their way out of the storage: opened as far as an index needs them, their secrets left where they are.

use super::objects::{INDEXED, IndexKeys, Indexer};
use super::token::{Login, User};
use crate::error::Result;
use crate::object::{Attributes, Name, Object, Packed, Secrets, Vault};
use crate::storage::Revision;
use crate::storage::record::{ObjectId, Stored};
use crate::storage::sealed::{Keys, Sealed};
use crate::storage::sqlite::Sqlite;
use std::sync::Arc;
use zeroize::Zeroizing;

/// What a load makes of an object, in whatever thread.
pub(super) struct Arrival {
    pub(super) id: ObjectId,
    pub(super) revision: Revision,
    /// Without a handle; `None` if it does not open for who is logged in.
    pub(super) object: Option<Result<Arc<Object>>>,
    pub(super) keys: IndexKeys,
}

/// What opens the objects of one load.
pub(super) struct Opening {
    sealed: Arc<Sealed<Sqlite>>,
    user: Option<(Arc<Keys>, Arc<dyn Vault>)>,
    indexer: Indexer,
}

impl Opening {
    /// For who is logged in.
    pub(super) fn new(sealed: &Arc<Sealed<Sqlite>>, login: Option<&Login>, indexer: Indexer) -> Opening {
        // The SO holds the token key but has no private objects.
        let user = login.filter(|login| login.user == User::Normal).map(|login| {
            let vault = Private { sealed: sealed.clone(), keys: login.keys.clone() };
            (login.keys.clone(), Arc::new(vault) as Arc<dyn Vault>)
        });
        Opening { sealed: sealed.clone(), user, indexer }
    }

    /// Its attributes; its secrets stay sealed until they are used.
    pub(super) fn open(&self, stored: Stored<'_>) -> Arrival {
        let (id, revision) = (stored.id, stored.revision);
        let attributes = match (stored.public_attributes(), &self.user) {
            (Some(attributes), _) => Some(Ok(Zeroizing::new(attributes.to_vec()))),
            (None, Some((keys, _))) if keys.open(&stored) => Some(self.sealed.open_attributes(keys, &stored)),
            (None, _) => None,
        };
        let packed = |attributes| Packed::with(attributes, INDEXED, |values| self.indexer.keys(values));
        let mut keys = [None; _];
        let object = attributes.map(|attributes| {
            let (attributes, computed) = attributes.and_then(packed)?;
            keys = computed;
            Ok(Arc::new(Object::stored(attributes, self.secrets(stored))))
        });
        Arrival { id, revision, object, keys }
    }

    fn secrets(&self, stored: Stored<'_>) -> Secrets {
        let name = Name { id: stored.id, revision: stored.revision.0 };
        match (stored.private, &self.user) {
            (true, Some((keys, vault))) => {
                let secrets = Secrets::sealed(vault.clone(), name);
                if keys.user() == stored.owner { secrets } else { secrets.borrowed() }
            }
            (false, _) if stored.has_secrets() => {
                let clear = Clear { sealed: self.sealed.clone(), stored: stored.into_owned() };
                Secrets::sealed(Arc::new(clear), name)
            }
            _ => Secrets::opened(Attributes::new()),
        }
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

/// A public object's record: by the keys of the login it was found right, and the object outlives them.
struct Clear {
    sealed: Arc<Sealed<Sqlite>>,
    stored: Stored<'static>,
}

impl Vault for Clear {
    fn open(&self, _: &Name) -> Result<Attributes> {
        Attributes::decode(self.sealed.open_secrets(None, &self.stored)?.expose())
    }
}
