//! A session of a logged-in user, and the private token keys that all sessions of a module share.

use cryptoki_sys::*;
use pkcs11_conformance::client::{Attr, Mechanism, Result, Rv, Session};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Where one thread works with one module.
pub struct Desk {
    /// Read/write.
    pub session: Session,
    token_keys: bool,
    keys: Arc<Mutex<HashMap<&'static str, Result<Pair>>>>,
}

/// A public and a private key; a secret key is both.
#[derive(Clone, Copy)]
pub struct Pair {
    /// Encrypts, verifies, wraps, encapsulates.
    pub public: CK_OBJECT_HANDLE,
    /// Decrypts, signs, unwraps, derives, decapsulates.
    pub private: CK_OBJECT_HANDLE,
}

impl Desk {
    /// Without keys yet; they will be token keys.
    pub fn new(session: Session) -> Desk {
        Desk { session, token_keys: true, keys: Arc::default() }
    }

    /// The keys to be made will be session keys.
    pub fn with_session_keys(self) -> Desk {
        Desk { token_keys: false, ..self }
    }

    /// Another session of the same user, with the same keys.
    pub fn beside(&self, session: Session) -> Desk {
        Desk { session, token_keys: self.token_keys, keys: Arc::clone(&self.keys) }
    }

    /// The key of that name, made when it is first asked for.
    pub fn key(&self, name: &'static str, make: impl FnOnce(&Session) -> Result<Pair>) -> Result<Pair> {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        *keys.entry(name).or_insert_with(|| make(&self.session))
    }

    /// A 256-bit AES key for everything; `aes-movable` may be wrapped.
    pub fn aes(&self) -> Result<CK_OBJECT_HANDLE> {
        let length = Attr::ulong(CKA_VALUE_LEN, 32);
        let uses = [CKA_ENCRYPT, CKA_DECRYPT, CKA_SIGN, CKA_VERIFY, CKA_WRAP, CKA_UNWRAP];
        self.secret("aes", CKM_AES_KEY_GEN, &uses, &[length])
    }

    /// A 256-bit AES key that may leave the token wrapped.
    pub fn movable(&self) -> Result<CK_OBJECT_HANDLE> {
        let more = [Attr::ulong(CKA_VALUE_LEN, 32), Attr::bool(CKA_EXTRACTABLE, true)];
        self.secret("movable", CKM_AES_KEY_GEN, &[CKA_ENCRYPT, CKA_DECRYPT], &more)
    }

    /// A key of 256 bits for HMAC.
    pub fn generic(&self) -> Result<CK_OBJECT_HANDLE> {
        let length = Attr::ulong(CKA_VALUE_LEN, 32);
        self.secret("generic", CKM_GENERIC_SECRET_KEY_GEN, &[CKA_SIGN, CKA_VERIFY], &[length])
    }

    /// Three-key triple DES.
    pub fn des3(&self) -> Result<CK_OBJECT_HANDLE> {
        self.secret("des3", CKM_DES3_KEY_GEN, &[CKA_ENCRYPT, CKA_DECRYPT], &[])
    }

    fn secret(
        &self,
        name: &'static str,
        mechanism: CK_MECHANISM_TYPE,
        uses: &[CK_ATTRIBUTE_TYPE],
        more: &[Attr],
    ) -> Result<CK_OBJECT_HANDLE> {
        let pair = self.key(name, |session| {
            let mut template = self.private(name, uses);
            template.extend_from_slice(more);
            let key = session.generate_key(&Mechanism::new(mechanism), &template)?;
            Ok(Pair { public: key, private: key })
        })?;
        Ok(pair.private)
    }

    /// A key pair; `template` is the public key's own part.
    pub fn pair(
        &self,
        name: &'static str,
        mechanism: CK_MECHANISM_TYPE,
        template: &[Attr],
        uses: (&[CK_ATTRIBUTE_TYPE], &[CK_ATTRIBUTE_TYPE]),
    ) -> Result<Pair> {
        self.key(name, |session| {
            let mut public =
                vec![Attr::bool(CKA_TOKEN, self.token_keys), Attr::bool(CKA_PRIVATE, false), id(name)];
            public.push(Attr::label(name));
            public.extend(uses.0.iter().map(|&each| Attr::bool(each, true)));
            public.extend_from_slice(template);
            let (public, private) = session.generate_key_pair(
                &Mechanism::new(mechanism),
                &public,
                &self.private(name, uses.1),
            )?;
            Ok(Pair { public, private })
        })
    }

    /// A key pair that comes from elsewhere; the templates are the keys' own parts.
    pub fn import(
        &self,
        name: &'static str,
        (public, private): (&[Attr], &[Attr]),
        uses: (CK_ATTRIBUTE_TYPE, CK_ATTRIBUTE_TYPE),
    ) -> Result<Pair> {
        self.key(name, |session| {
            let mut template = vec![Attr::class(CKO_PUBLIC_KEY), Attr::label(name), id(name)];
            template.extend([Attr::bool(CKA_TOKEN, self.token_keys), Attr::bool(uses.0, true)]);
            template.extend_from_slice(public);
            let public = session.create_object(&template)?;
            let mut template = self.private(name, &[uses.1]);
            template.push(Attr::class(CKO_PRIVATE_KEY));
            template.extend_from_slice(private);
            Ok(Pair { public, private: session.create_object(&template)? })
        })
    }

    fn private(&self, name: &str, uses: &[CK_ATTRIBUTE_TYPE]) -> Vec<Attr> {
        let mut template = vec![Attr::label(name), id(name), Attr::bool(CKA_TOKEN, self.token_keys)];
        template.extend([CKA_PRIVATE, CKA_SENSITIVE].iter().chain(uses).map(|&each| Attr::bool(each, true)));
        template
    }

    /// An attribute of a key.
    pub fn attribute(&self, key: CK_OBJECT_HANDLE, kind: CK_ATTRIBUTE_TYPE) -> Result<Vec<u8>> {
        self.session.attribute(key, kind)
    }

    /// What a standard's name stands for in a list of that version, or that the module has no such list.
    pub fn v3_2(&self) -> Result<&'static CK_FUNCTION_LIST_3_2> {
        self.session.module().v3_2().ok_or(Rv::ABSENT)
    }
}

fn id(name: &str) -> Attr {
    Attr::bytes(CKA_ID, name)
}
