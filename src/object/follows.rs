//! A value that follows from an object's other attributes, and is computed when it is first asked for. Most keys of a
//! session are gone before anybody asks.

use std::sync::{Arc, OnceLock};

/// Such a value: shared by all versions and copies of the object.
#[derive(Clone)]
pub struct Follows(Arc<dyn Bytes>);

impl Follows {
    /// The value that `compute` gives, now or later and at most once.
    pub fn new(compute: impl Fn() -> Vec<u8> + Send + Sync + 'static) -> Follows {
        Follows(Arc::new(Lazy { bytes: OnceLock::new(), compute }))
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        self.0.bytes()
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
