//! The caller's memory: what goes in, what comes out, and section 5.2's rule for output of variable length.

use crate::crypto::InOut;
use crate::error::{Result, Rv};
use crate::session::Answer;
use cryptoki_sys::*;
use std::marker::PhantomData;
use std::ops::Deref;
use std::ptr::NonNull;
use std::slice;
use zeroize::Zeroizing;

/// The caller of an exported function, who has promised what the standard asks: that pointers which are not
/// NULL point to as much memory as the lengths beside them say, for the time of the call, and that nobody
/// else writes to it meanwhile. Everything here rests on that promise and on nothing more: pointers may be
/// NULL or unaligned, lengths absurd, buffers overlapping.
///
/// C structures are read by value; every bit pattern is one of theirs.
#[derive(Clone, Copy)]
pub struct Caller(());

impl Caller {
    /// # Safety
    /// The promise above is made by whoever the pointers come from.
    pub unsafe fn new() -> Caller {
        Caller(())
    }

    /// A structure, or a number.
    ///
    /// # Errors
    /// CKR_ARGUMENTS_BAD for NULL.
    #[inline]
    pub fn read<T: Copy>(&self, pointer: *const T) -> Result<T> {
        match pointer.is_null() {
            true => Err(Rv::ArgumentsBad.because("a pointer is NULL")),
            // SAFETY: not NULL, so the caller has promised a `T` there.
            false => Ok(unsafe { pointer.read_unaligned() }),
        }
    }

    /// A string that NUL ends, with its NUL left off.
    ///
    /// # Errors
    /// CKR_ARGUMENTS_BAD for NULL.
    pub fn c_string(&self, pointer: *const CK_UTF8CHAR) -> Result<&[u8]> {
        match pointer.is_null() {
            true => Err(Rv::ArgumentsBad.because("a string is NULL")),
            // SAFETY: not NULL, so the caller has promised a string with an end.
            false => Ok(unsafe { std::ffi::CStr::from_ptr(pointer.cast()) }.to_bytes()),
        }
    }

    /// Input of `len` bytes. NULL with zero length is no bytes.
    ///
    /// # Errors
    /// CKR_ARGUMENTS_BAD for NULL with a length, and for a length no memory has.
    #[inline]
    pub fn input(&self, pointer: *const CK_BYTE, len: CK_ULONG) -> Result<&[u8]> {
        if len == 0 {
            return Ok(&[]);
        }
        let len = extent(pointer, len, 1)?;
        // SAFETY: `extent` has refused NULL and lengths past the address space; the caller promised the rest.
        Ok(unsafe { slice::from_raw_parts(pointer, len) })
    }

    /// Copies of `count` structures or numbers, of which more than `most` make no sense.
    ///
    /// # Errors
    /// CKR_ARGUMENTS_BAD as for [`Caller::input`], and for more than `most`.
    pub fn array<T: Copy>(&self, pointer: *const T, count: CK_ULONG, most: usize) -> Result<Vec<T>> {
        self.elements(pointer, count, most).map(Iterator::collect)
    }

    /// The same, each copied when it is its turn: for who writes nothing to the caller meanwhile.
    ///
    /// # Errors
    /// As [`Caller::array`].
    pub fn elements<T: Copy>(
        &self,
        pointer: *const T,
        count: CK_ULONG,
        most: usize,
    ) -> Result<impl ExactSizeIterator<Item = T>> {
        let count = extent(pointer, count, size_of::<T>())?;
        if count > most {
            fail!(ArgumentsBad, "an array of {count} elements, where {most} are the most");
        }
        // SAFETY: as in `input`.
        Ok((0..count).map(move |at| unsafe { pointer.add(at).read_unaligned() }))
    }

    /// A place for a result.
    ///
    /// # Errors
    /// CKR_ARGUMENTS_BAD for NULL.
    #[inline]
    pub fn out<T: Copy>(&self, pointer: *mut T) -> Result<Out<'_, T>> {
        match NonNull::new(pointer) {
            Some(place) => Ok(Out { place, caller: PhantomData }),
            None => Err(Rv::ArgumentsBad.because("the pointer for a result is NULL")),
        }
    }

    /// A buffer for output of variable length and the place of its length.
    ///
    /// # Errors
    /// CKR_ARGUMENTS_BAD if there is no place for the length.
    #[inline]
    pub fn output(&self, buffer: *mut CK_BYTE, len: *mut CK_ULONG) -> Result<Output<'_>> {
        let len_out = self.out(len)?;
        let claimed = if buffer.is_null() { 0 } else { self.read(len)? };
        // A claim past the address space ("as much as you like") is cut to what can be there.
        let most = MOST_MEMORY.min(usize::MAX - buffer.addr());
        let capacity = usize::try_from(claimed).unwrap_or(most).min(most);
        Ok(Output { buffer: NonNull::new(buffer), capacity, len: len_out })
    }

    /// Input and output of a cipher.
    ///
    /// # Errors
    /// Those of [`Caller::input`] and [`Caller::output`]; CKR_HOST_MEMORY.
    #[inline(always)]
    pub fn in_output(
        &self,
        input: *const CK_BYTE,
        input_len: CK_ULONG,
        buffer: *mut CK_BYTE,
        len: *mut CK_ULONG,
    ) -> Result<InOutput<'_>> {
        let bytes = self.input(input, input_len)?;
        let output = self.output(buffer, len)?;
        let overlap = output.touches(bytes) && buffer.addr() != input.addr();
        let copy = if overlap { Some(copy(bytes)?) } else { None };
        // NULL with zero length must not come to be a slice.
        let input = if bytes.is_empty() { NonNull::dangling().as_ptr() } else { input };
        Ok(InOutput { input, input_len: bytes.len(), copy, output })
    }

    /// Has `write` fill a buffer of `len` bytes to its end.
    ///
    /// # Errors
    /// CKR_ARGUMENTS_BAD as for [`Caller::input`].
    pub fn fill(&self, pointer: *mut CK_BYTE, len: CK_ULONG, write: impl FnOnce(&mut [u8])) -> Result<()> {
        let len = extent(pointer, len, 1)?;
        // SAFETY: as in `input`; the promise covers that nothing else refers to it meanwhile.
        write(if len == 0 { &mut [] } else { unsafe { slice::from_raw_parts_mut(pointer, len) } });
        Ok(())
    }

    /// Writes items into an array of the caller's that has room for them and is not NULL.
    pub fn put<T: Copy>(&self, array: *mut T, items: &[T]) {
        for (at, item) in items.iter().enumerate() {
            // SAFETY: within the array that the caller has promised.
            unsafe { array.add(at).write_unaligned(*item) };
        }
    }

    /// Section 5.2's rule for a list: `count` counts elements.
    ///
    /// # Errors
    /// CKR_ARGUMENTS_BAD if `count` is NULL, CKR_BUFFER_TOO_SMALL.
    pub fn list<T: Copy>(&self, list: *mut T, count: *mut CK_ULONG, items: &[T]) -> Result<()> {
        let total = self.out(count)?;
        if !list.is_null() {
            if self.read(count)? < items.len() as CK_ULONG {
                total.set(items.len() as CK_ULONG);
                fail!(BufferTooSmall, "{} elements are wanted", items.len());
            }
            self.put(list, items);
        }
        total.set(items.len() as CK_ULONG);
        Ok(())
    }
}

/// No buffer is longer: a process has 2^47 bytes of addresses unless it asks for more.
const MOST_MEMORY: usize = 1 << 47;

/// How many elements of `size` bytes there are, if that many can be there at all.
#[inline]
fn extent<T>(pointer: *const T, count: CK_ULONG, size: usize) -> Result<usize> {
    if count != 0 && pointer.is_null() {
        fail!(ArgumentsBad, "NULL, with a length of {count}");
    }
    let bytes = usize::try_from(count).ok().and_then(|count| count.checked_mul(size));
    match bytes.filter(|bytes| *bytes <= MOST_MEMORY && pointer.addr().checked_add(*bytes).is_some()) {
        Some(_) => Ok(count as usize),
        None => fail!(ArgumentsBad, "a length of {count} is beyond the address space"),
    }
}

/// Where one result goes, once there is one.
pub struct Out<'a, T> {
    place: NonNull<T>,
    caller: PhantomData<&'a Caller>,
}

impl<T: Copy> Out<'_, T> {
    /// Gives the caller the result.
    #[inline]
    pub fn set(&self, value: T) {
        // SAFETY: not NULL, so the caller has promised room for a `T`.
        unsafe { self.place.as_ptr().write_unaligned(value) }
    }
}

/// A buffer for output of variable length (section 5.2).
pub struct Output<'a> {
    buffer: Option<NonNull<CK_BYTE>>,
    capacity: usize,
    len: Out<'a, CK_ULONG>,
}

impl Output<'_> {
    /// The room there is; `None` if the caller asks only for the length.
    #[inline]
    pub fn room(&mut self) -> Option<&mut [u8]> {
        // SAFETY: the caller has promised `capacity` bytes; `self` is borrowed exclusively.
        self.buffer.map(|buffer| unsafe { slice::from_raw_parts_mut(buffer.as_ptr(), self.capacity) })
    }

    /// Tells the caller how it ended.
    ///
    /// # Errors
    /// CKR_BUFFER_TOO_SMALL.
    #[inline]
    pub fn settle(&self, answer: Answer) -> Result<()> {
        let (Answer::Done(len) | Answer::Query(len) | Answer::TooSmall(len)) = answer;
        self.len.set(len as CK_ULONG);
        match answer {
            Answer::TooSmall(len) => fail!(BufferTooSmall, "{len} bytes are wanted"),
            _ => Ok(()),
        }
    }

    /// Whether writing it would change this input.
    #[inline]
    pub fn touches(&self, input: &[u8]) -> bool {
        let Some(buffer) = self.buffer else { return false };
        let (out, start) = (buffer.as_ptr().addr(), input.as_ptr().addr());
        !input.is_empty() && out < start + input.len() && start < out + self.capacity
    }

    /// Input that stays as it is while this output is written: a copy, if they overlap.
    ///
    /// # Errors
    /// CKR_HOST_MEMORY.
    #[inline]
    pub fn apart<'i>(&self, input: &'i [u8]) -> Result<Input<'i>> {
        Ok(if self.touches(input) { Input::Copy(copy(input)?) } else { Input::Caller(input) })
    }
}

/// Bytes to read while some output is written.
pub enum Input<'a> {
    /// Where the caller has them.
    Caller(&'a [u8]),
    /// A copy, wiped afterwards.
    Copy(Zeroizing<Vec<u8>>),
}

impl Deref for Input<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Input::Caller(bytes) => bytes,
            Input::Copy(bytes) => bytes,
        }
    }
}

/// A cipher's input and output, which may be one place (section 5.2) or overlap in any other way.
pub struct InOutput<'a> {
    input: *const CK_BYTE,
    input_len: usize,
    /// Where the input stands instead, if output would be written over it before it is read.
    copy: Option<Zeroizing<Vec<u8>>>,
    output: Output<'a>,
}

impl InOutput<'_> {
    /// Whether the caller asks only for the length.
    pub fn is_query(&self) -> bool {
        self.output.buffer.is_none()
    }

    /// Both, with no room for output if the caller asks only for the length.
    #[inline]
    pub fn io(&mut self) -> InOut<'_> {
        let input = self.copy.as_ref().map_or(self.input, |copy| copy.as_ptr());
        let buffer = self.output.buffer.unwrap_or(NonNull::dangling()).as_ptr();
        // SAFETY: both are valid as the caller promised, and `Caller::in_output` has seen to it that they
        // start at one address or do not overlap. There is no reference to either.
        unsafe { InOut::from_raw(input, self.input_len, buffer, self.output.capacity) }
    }

    /// As [`Output::apart`], of input beside the cipher's own.
    ///
    /// # Errors
    /// CKR_HOST_MEMORY.
    #[inline]
    pub fn apart<'i>(&self, input: &'i [u8]) -> Result<Input<'i>> {
        self.output.apart(input)
    }

    /// As [`Output::settle`].
    ///
    /// # Errors
    /// CKR_BUFFER_TOO_SMALL.
    #[inline]
    pub fn settle(&self, answer: Answer) -> Result<()> {
        self.output.settle(answer)
    }
}

/// A copy whose size the caller decides, so that running out of memory is an error and not the end.
fn copy(bytes: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    owned(bytes).map(Zeroizing::new)
}

/// As [`copy`], for bytes that are no secret.
///
/// # Errors
/// CKR_HOST_MEMORY.
pub fn owned(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut copy = Vec::new();
    match copy.try_reserve_exact(bytes.len()) {
        Ok(()) => copy.extend_from_slice(bytes),
        Err(_) => fail!(HostMemory, "a copy of {} bytes", bytes.len()),
    }
    Ok(copy)
}

/// Text in a field of fixed size: cut at a character's end, padded with blanks (section 3).
pub fn blank_padded<const N: usize>(text: &str) -> [CK_UTF8CHAR; N] {
    let mut field = [b' '; N];
    let text = &text[..text.floor_char_boundary(N)];
    field[..text.len()].copy_from_slice(text.as_bytes());
    field
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ptr;

    fn caller() -> Caller {
        // SAFETY: the tests below pass pointers as they should be, or such as are refused unread.
        unsafe { Caller::new() }
    }

    fn refused<T>(result: Result<T>) {
        assert_eq!(result.err().map(|error| error.rv()), Some(Rv::ArgumentsBad));
    }

    #[test]
    fn null_and_absurd_lengths_are_refused() {
        let byte = 7u8;
        assert_eq!(caller().input(ptr::null(), 0).unwrap(), b"");
        assert_eq!(caller().input(&byte, 0).unwrap(), b"");
        assert_eq!(caller().input(&byte, 1).unwrap(), [7]);
        refused(caller().input(ptr::null(), 1));
        for len in [CK_ULONG::MAX, CK_ULONG::MAX - 15, 1 << 63, (1 << 63) - 1, 1 << 60] {
            refused(caller().input(ptr::with_exposed_provenance((1 << 63) + 16), len));
            refused(caller().fill(ptr::with_exposed_provenance_mut((1 << 63) + 16), len, |_| panic!()));
        }
        refused(caller().array(&0u64 as *const CK_ULONG, 1 << 60, 100));
        refused(caller().array(&0u64 as *const CK_ULONG, CK_ULONG::MAX / 8 + 2, usize::MAX));
        refused(caller().read::<CK_ULONG>(ptr::null()));
        refused(caller().out::<CK_ULONG>(ptr::null_mut()));
        refused(caller().output(ptr::null_mut(), ptr::null_mut()));
        refused(caller().c_string(ptr::null()));
    }

    #[test]
    fn unaligned_pointers_are_read_and_written() {
        let mut bytes = [0u8; 33];
        let odd = bytes[1..].as_mut_ptr().cast::<CK_ULONG>();
        caller().out(odd).unwrap().set(0x0102_0304_0506_0708);
        assert_eq!(caller().read(odd).unwrap(), 0x0102_0304_0506_0708);
        assert_eq!(caller().array(odd, 4, 4).unwrap()[0], 0x0102_0304_0506_0708);
        let mut count = 4;
        caller().list(odd, &mut count, &[1, 2, 3]).unwrap();
        assert_eq!((count, caller().array(odd, 3, 3).unwrap()), (3, vec![1, 2, 3]));
    }

    /// What the session layer does with bytes that are at hand.
    fn give(mut output: Output<'_>, bytes: &[u8]) -> Result<()> {
        let answer = match output.room() {
            None => Answer::Query(bytes.len()),
            Some(room) if room.len() < bytes.len() => Answer::TooSmall(bytes.len()),
            Some(room) => {
                room[..bytes.len()].copy_from_slice(bytes);
                Answer::Done(bytes.len())
            }
        };
        output.settle(answer)
    }

    #[test]
    fn the_two_call_rule() {
        let (mut buffer, mut len) = ([0u8; 4], 99);
        give(caller().output(ptr::null_mut(), &mut len).unwrap(), b"abc").unwrap();
        assert_eq!(len, 3);
        len = 2;
        let error = give(caller().output(buffer.as_mut_ptr(), &mut len).unwrap(), b"abc").unwrap_err();
        assert_eq!((error.rv(), len, buffer), (Rv::BufferTooSmall, 3, [0; 4]));
        len = 4;
        give(caller().output(buffer.as_mut_ptr(), &mut len).unwrap(), b"abc").unwrap();
        assert_eq!((len, &buffer), (3, b"abc\0"));
        len = 0;
        give(caller().output(buffer.as_mut_ptr(), &mut len).unwrap(), b"").unwrap();
        assert_eq!(len, 0);
    }

    #[test]
    fn the_two_call_rule_for_lists() {
        let (mut list, mut count) = ([0 as CK_ULONG; 3], 77);
        caller().list(ptr::null_mut(), &mut count, &[5, 6]).unwrap();
        assert_eq!(count, 2);
        count = 1;
        let error = caller().list(list.as_mut_ptr(), &mut count, &[5, 6]).unwrap_err();
        assert_eq!((error.rv(), count, list), (Rv::BufferTooSmall, 2, [0; 3]));
        refused(caller().list(list.as_mut_ptr(), ptr::null_mut(), &[5]));
    }

    #[test]
    fn a_boundless_claim_is_cut() {
        let (mut buffer, mut len) = ([0u8; 16], CK_ULONG::MAX);
        let caller = caller();
        let output = caller.output(buffer.as_mut_ptr(), &mut len).unwrap();
        assert!(output.capacity <= isize::MAX as usize);
        give(output, b"fits").unwrap();
        assert_eq!((len, &buffer[..4]), (4, &b"fits"[..]));
    }

    /// Adds one to every byte, front to back.
    fn increment(io: &mut InOut<'_>) {
        for at in 0..io.input_len() {
            let byte = io.input()[at];
            io.output()[at] = byte + 1;
        }
    }

    #[test]
    fn overlapping_input_is_seen_as_it_was() {
        for (from, to, copied) in [(0, 0, false), (0, 1, true), (1, 0, true), (0, 3, true), (0, 8, false)] {
            let mut memory: [u8; 16] = std::array::from_fn(|at| at as u8);
            let (base, mut len) = (memory.as_mut_ptr(), 8);
            let caller = caller();
            let (from_here, to_here) = (base.wrapping_add(from), base.wrapping_add(to));
            let mut both = caller.in_output(from_here, 8, to_here, &mut len).unwrap();
            assert_eq!(both.copy.is_some(), copied, "{from} to {to}");
            increment(&mut both.io());
            both.settle(Answer::Done(8)).unwrap();
            let expected: Vec<u8> = (0..8).map(|at| (from + at + 1) as u8).collect();
            assert_eq!((&memory[to..to + 8], len), (&expected[..], 8), "{from} to {to}");
        }
        let (mut byte, mut len) = (0, 1);
        let caller = caller();
        assert_eq!(caller.in_output(ptr::null(), 0, &mut byte, &mut len).unwrap().io().input(), b"");
        assert!(caller.in_output(&byte, 1, ptr::null_mut(), &mut len).unwrap().is_query());
    }

    #[test]
    fn text_is_cut_between_characters() {
        assert_eq!(&blank_padded::<4>("ab"), b"ab  ");
        assert_eq!(&blank_padded::<4>("abcé"), b"abc ");
        assert_eq!(&blank_padded::<2>("abc"), b"ab");
    }
}
