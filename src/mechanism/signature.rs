//! What all signature mechanisms share: the message is hashed, or must come in one piece.

use super::{SignState, VerifyState};
use crate::crypto::Hash;
use crate::crypto::digest::{Context, digest};
use crate::error::Result;
use crate::object::Object;

/// A signature scheme over an input: a digest, or whatever the caller gives.
pub(super) trait Scheme: Send {
    /// Bytes of a signature.
    fn len(&self, key: &Object) -> usize;

    /// Writes the signature of `input`; returns its length.
    fn sign(&self, key: &Object, input: &[u8], out: &mut [u8]) -> Result<usize>;

    /// Ends well if `signature` is that of `input`.
    fn verify(&self, key: &Object, input: &[u8], signature: &[u8]) -> Result<()>;
}

/// A running signature or verification under a scheme.
pub(super) struct Signature<S> {
    scheme: S,
    /// The hash the mechanism computes; without one the input is the caller's, in one piece.
    hash: Option<Hash>,
    /// From the first part on.
    digest: Option<Box<Context>>,
}

impl<S: Scheme> Signature<S> {
    pub(super) fn new(scheme: S, hash: Option<Hash>) -> Signature<S> {
        Signature { scheme, hash, digest: None }
    }

    fn take(&mut self, data: &[u8]) -> Result<()> {
        let Some(hash) = self.hash else {
            fail!(FunctionNotSupported, "the mechanism takes its data in one piece");
        };
        match &mut self.digest {
            Some(digest) => digest.update(data),
            none => none.insert(Box::new(Context::new(hash)?)).update(data),
        }
        Ok(())
    }

    /// What is signed after the last part.
    fn taken(&mut self) -> Result<crate::crypto::digest::Output> {
        match (self.digest.take(), self.hash) {
            (Some(digest), _) => Ok(digest.finish()),
            (None, Some(hash)) => Ok(digest(hash, &[])),
            (None, None) => fail!(FunctionNotSupported, "the mechanism takes its data in one piece"),
        }
    }
}

impl<S: Scheme> SignState for Signature<S> {
    fn multipart(&self) -> bool {
        self.hash.is_some()
    }

    fn update(&mut self, _: &Object, data: &[u8]) -> Result<()> {
        self.take(data)
    }

    fn signature_len(&self, key: &Object) -> usize {
        self.scheme.len(key)
    }

    fn finish(&mut self, key: &Object, out: &mut [u8]) -> Result<usize> {
        let digest = self.taken()?;
        self.scheme.sign(key, &digest, out)
    }

    fn one_shot(&mut self, key: &Object, data: &[u8], out: &mut [u8]) -> Result<usize> {
        match self.hash {
            Some(hash) => self.scheme.sign(key, &digest(hash, data), out),
            None => self.scheme.sign(key, data, out),
        }
    }
}

impl<S: Scheme> VerifyState for Signature<S> {
    fn multipart(&self) -> bool {
        self.hash.is_some()
    }

    fn update(&mut self, _: &Object, data: &[u8]) -> Result<()> {
        self.take(data)
    }

    fn finish(&mut self, key: &Object, signature: &[u8]) -> Result<()> {
        let digest = self.taken()?;
        self.scheme.verify(key, &digest, signature)
    }

    fn one_shot(&mut self, key: &Object, data: &[u8], signature: &[u8]) -> Result<()> {
        match self.hash {
            Some(hash) => self.scheme.verify(key, &digest(hash, data), signature),
            None => self.scheme.verify(key, data, signature),
        }
    }
}

/// The verdict of a verification.
pub(super) fn verdict(right: bool) -> Result<()> {
    if right { Ok(()) } else { fail!(SignatureInvalid) }
}

/// Checks a signature's length where every signature has the same.
pub(super) fn check_len(signature: &[u8], len: usize) -> Result<()> {
    match signature.len() == len {
        true => Ok(()),
        false => fail!(SignatureLenRange, "{} bytes; a signature has {len}", signature.len()),
    }
}
