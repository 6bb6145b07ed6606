//! Where the state of a running operation is made and stays.
//!
//! A state is a few bytes here and a few there. To move it, the processor loads in one piece what it has just stored in
//! several, and such a load waits until the stores are out of its hands, and all that came before them too: each move costs
//! as much as a block of the cipher. So `C_*Init` hands its mechanism the place, and nothing is moved.

use crate::error::Result;
use smallbox::SmallBox;
use std::mem::forget;
use std::ops::{Deref, DerefMut};

/// A state, in place if it is small: beginning an operation on small data allocates nothing.
pub type InPlace<S> = SmallBox<S, Place>;

/// What a state may be as large as, for that.
pub type Place = [u64; 10];

/// The state of an operation, from its beginning to its end.
pub struct Begun<S: ?Sized>(Option<InPlace<S>>);

impl<S: ?Sized> Begun<S> {
    /// The place, for who begins.
    #[inline]
    pub fn not_yet() -> Begun<S> {
        Begun(None)
    }

    /// Ends it.
    #[inline]
    pub fn clear(&mut self) {
        self.0 = None;
    }

    /// What `begin` makes.
    ///
    /// # Errors
    /// Those of `begin`.
    pub fn by(begin: impl FnOnce(&mut Begun<S>) -> Result<()>) -> Result<Begun<S>> {
        let mut begun = Begun::not_yet();
        begin(&mut begun).map(|()| begun)
    }

    /// Puts it in its place, once: see `begin!`.
    #[inline(always)]
    pub fn put(&mut self, state: InPlace<S>) {
        debug_assert!(self.0.is_none());
        // There is nothing to drop, and the compiler does not know.
        forget(self.0.replace(state));
    }
}

impl<S: ?Sized> Deref for Begun<S> {
    type Target = S;

    #[inline]
    fn deref(&self) -> &S {
        match &self.0 {
            Some(state) => state,
            None => unreachable!("an operation that runs has begun"),
        }
    }
}

impl<S: ?Sized> DerefMut for Begun<S> {
    #[inline]
    fn deref_mut(&mut self) -> &mut S {
        match &mut self.0 {
            Some(state) => state,
            None => unreachable!("an operation that runs has begun"),
        }
    }
}

/// Ends a function that begins an operation: `begin!(place, state)`.
macro_rules! begin {
    ($place:expr, $state:expr) => {{
        $place.put(smallbox::smallbox!($state));
        Ok(())
    }};
}
pub(crate) use begin;
