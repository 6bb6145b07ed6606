//! Values that are made when they are first asked for: most keys of a session are gone before anybody asks.

use crate::crypto::Secret;
use once_cell::race::OnceBox;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

/// A secret value, with a place for the one that follows from it.
pub struct SecretValue {
    secret: Secret,
    follows: OnceLock<Box<[u8]>>,
}

impl From<Secret> for SecretValue {
    fn from(secret: Secret) -> SecretValue {
        SecretValue { secret, follows: OnceLock::new() }
    }
}

impl Deref for SecretValue {
    type Target = Secret;

    fn deref(&self) -> &Secret {
        &self.secret
    }
}

/// A value that follows from others, or from nothing. All versions and copies of an object have the same.
pub struct Follows(Source);

enum Source {
    Secret(Arc<SecretValue>, fn(&[u8]) -> Vec<u8>),
    Nothing(fn() -> Vec<u8>, OnceBox<Vec<u8>>),
    Others(Arc<dyn Bytes>),
}

impl Follows {
    /// The value that `compute` gives, now or later and at most once.
    pub fn new(compute: impl Fn() -> Vec<u8> + Send + Sync + 'static) -> Follows {
        Follows(Source::Others(Arc::new(Lazy { bytes: OnceLock::new(), compute })))
    }

    /// The same of a secret, from which no other value follows.
    pub fn of(secret: Arc<SecretValue>, compute: fn(&[u8]) -> Vec<u8>) -> Follows {
        Follows(Source::Secret(secret, compute))
    }

    /// The same of nothing: what `draw` says the first time.
    pub fn drawn(draw: fn() -> Vec<u8>) -> Follows {
        Follows(Source::Nothing(draw, OnceBox::new()))
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        match &self.0 {
            Source::Secret(secret, compute) => secret.follows.get_or_init(|| compute(secret.expose()).into()),
            Source::Nothing(draw, bytes) => bytes.get_or_init(|| Box::new(draw())),
            Source::Others(value) => value.bytes(),
        }
    }
}

impl Clone for Follows {
    /// What is drawn is drawn for both.
    fn clone(&self) -> Follows {
        Follows(match &self.0 {
            Source::Secret(secret, compute) => Source::Secret(secret.clone(), *compute),
            Source::Nothing(..) => Source::Others(Arc::new(Box::<[u8]>::from(self.bytes()))),
            Source::Others(value) => Source::Others(value.clone()),
        })
    }
}

trait Bytes: Send + Sync {
    fn bytes(&self) -> &[u8];
}

struct Lazy<F> {
    bytes: OnceLock<Box<[u8]>>,
    compute: F,
}

impl<F: Fn() -> Vec<u8> + Send + Sync> Bytes for Lazy<F> {
    fn bytes(&self) -> &[u8] {
        self.bytes.get_or_init(|| (self.compute)().into())
    }
}

impl Bytes for Box<[u8]> {
    fn bytes(&self) -> &[u8] {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU8, Ordering};

    #[test]
    fn is_made_once_for_all_clones() {
        static MADE: AtomicU8 = AtomicU8::new(0);
        fn next() -> Vec<u8> {
            vec![MADE.fetch_add(1, Ordering::Relaxed)]
        }
        let secret = Arc::new(SecretValue::from(Secret::from_slice(b"secret")));
        let of_secret = |secret: &[u8]| [secret, &next()].concat();
        for value in [Follows::new(next), Follows::drawn(next), Follows::of(secret, of_secret)] {
            let before = MADE.load(Ordering::Relaxed);
            let early = value.clone();
            let bytes = value.bytes().to_vec();
            assert_eq!((early.bytes(), value.clone().bytes()), (&bytes[..], &bytes[..]));
            assert_eq!((bytes.last(), MADE.load(Ordering::Relaxed)), (Some(&before), before + 1));
        }
    }
}
