//! The input and output of one step of a cipher, which may be the same memory.

use std::marker::PhantomData;
use std::slice;

/// `input_len()` bytes to read and `capacity()` bytes to write, either in the same place or not overlapping.
///
/// A `&[u8]` and a `&mut [u8]` to one place would be undefined behaviour in Rust, though C callers may ask
/// for exactly that (section 5.2), so the two are kept as pointers and lent out one at a time.
pub struct InOut<'a> {
    input: *const u8,
    len: usize,
    output: *mut u8,
    capacity: usize,
    lifetime: PhantomData<&'a mut [u8]>,
}

impl<'a> InOut<'a> {
    /// Two separate buffers.
    pub fn new(input: &'a [u8], output: &'a mut [u8]) -> InOut<'a> {
        let (len, capacity) = (input.len(), output.len());
        InOut { input: input.as_ptr(), len, output: output.as_mut_ptr(), capacity, lifetime: PhantomData }
    }

    /// The first `len` bytes of `buffer` are the input; the output goes to its start.
    ///
    /// # Panics
    /// If `len` is beyond the buffer.
    pub fn in_place(buffer: &'a mut [u8], len: usize) -> InOut<'a> {
        assert!(len <= buffer.len());
        let output = buffer.as_mut_ptr();
        InOut { input: output, len, output, capacity: buffer.len(), lifetime: PhantomData }
    }

    /// # Safety
    /// Both must be valid for their lengths through `'a` and either start at the same address or not overlap.
    pub unsafe fn from_raw(input: *const u8, len: usize, output: *mut u8, capacity: usize) -> InOut<'a> {
        InOut { input, len, output, capacity, lifetime: PhantomData }
    }

    /// Bytes of input.
    pub fn input_len(&self) -> usize {
        self.len
    }

    /// Room for output, in bytes.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// The input, as long as nothing has been written over it.
    pub fn input(&self) -> &[u8] {
        // SAFETY: valid by construction; no `&mut` to it lives while `self` is borrowed shared.
        unsafe { slice::from_raw_parts(self.input, self.len) }
    }

    /// The output. Writing to it may change what `input()` returns afterwards.
    pub fn output(&mut self) -> &mut [u8] {
        // SAFETY: valid by construction; `self` is borrowed exclusively, so `input()` is not lent out.
        unsafe { slice::from_raw_parts_mut(self.output, self.capacity) }
    }

    /// The same, lent for one step of several.
    pub fn reborrow(&mut self) -> InOut<'_> {
        InOut { lifetime: PhantomData, ..*self }
    }

    /// For the C calls and kernels that take both at once and allow them to be equal.
    pub(crate) fn as_ptrs(&mut self) -> (*const u8, *mut u8) {
        (self.input, self.output)
    }

    /// Takes the first `len` bytes of input and as many of output off the front.
    ///
    /// # Panics
    /// If either is shorter than `len`.
    pub fn split_front(&mut self, len: usize) -> InOut<'a> {
        assert!(len <= self.len && len <= self.capacity);
        let front =
            InOut { input: self.input, len, output: self.output, capacity: len, lifetime: PhantomData };
        // SAFETY: `len` is within both.
        unsafe {
            self.input = self.input.add(len);
            self.output = self.output.add(len);
        }
        self.len -= len;
        self.capacity -= len;
        front
    }
}
