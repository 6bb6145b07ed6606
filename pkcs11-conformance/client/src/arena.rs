//! Memory with fixed addresses, for parameters that point to parameters.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ptr;
use zeroize::Zeroize;

/// Owns blocks that never move; the module may write into them.
#[derive(Default)]
pub struct Arena(Vec<(*mut u8, Layout)>);

// SAFETY: the blocks belong to the arena alone; who shares it decides who writes.
unsafe impl Send for Arena {}
// SAFETY: as above: the arena itself only reads after construction.
unsafe impl Sync for Arena {}

impl Arena {
    fn block(&mut self, layout: Layout) -> *mut u8 {
        // SAFETY: callers never ask for a layout of size zero.
        let at = unsafe { alloc_zeroed(layout) };
        if at.is_null() {
            handle_alloc_error(layout);
        }
        self.0.push((at, layout));
        at
    }

    /// A copy of `value`, aligned for its type.
    pub fn put<T: Copy>(&mut self, value: T) -> *mut T {
        let at = self.block(Layout::new::<T>()).cast::<T>();
        // SAFETY: a fresh block of T's own layout.
        unsafe { at.write(value) };
        at
    }

    /// A copy of `values` in a row; NULL when there are none.
    pub fn slice<T: Copy>(&mut self, values: &[T]) -> *mut T {
        if size_of_val(values) == 0 {
            return ptr::null_mut();
        }
        let at = self.block(Layout::for_value(values)).cast::<T>();
        // SAFETY: a fresh block as large as the values.
        unsafe { at.copy_from_nonoverlapping(values.as_ptr(), values.len()) };
        at
    }

    /// What the block of that number (in order of construction) holds now.
    pub fn bytes(&self, index: usize) -> Vec<u8> {
        let (at, layout) = self.0[index];
        // SAFETY: the block is initialised (zeroed at least) and lives as long as the arena.
        unsafe { std::slice::from_raw_parts(at, layout.size()) }.to_vec()
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        for (at, layout) in self.0.drain(..) {
            // Values may be secret.
            // SAFETY: the block's own bytes, which nobody uses any more.
            unsafe { std::slice::from_raw_parts_mut(at, layout.size()) }.zeroize();
            // SAFETY: allocated in `block` with this very layout.
            unsafe { dealloc(at, layout) };
        }
    }
}
