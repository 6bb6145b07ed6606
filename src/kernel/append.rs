//! Puts values at the end of a list without a load that waits for stores.

use std::mem::{MaybeUninit, forget};
use std::ptr;

/// A word of any kind, of a value that need not have it initialised.
type Word = MaybeUninit<*const ()>;

/// Puts a pair at the end of a list, the second part of which consists of words.
///
/// `Vec::push` has the pair put together on the stack and moves it from there in pieces of two words, which no store has
/// written alone (see ARCHITECTURE.md). Here each word is moved as it was written.
#[inline(always)]
pub fn append<A, B>(list: &mut Vec<(A, B)>, first: A, second: B) {
    const { assert!(size_of::<B>().is_multiple_of(size_of::<Word>()) && align_of::<B>() == align_of::<Word>()) };
    list.reserve(1);
    let len = list.len();
    // SAFETY: there is room for one more, of which both parts are written before it counts. The words are all of the
    // second part, which is forgotten where they were.
    unsafe {
        let end = list.as_mut_ptr().add(len);
        ptr::addr_of_mut!((*end).0).write(first);
        let (from, to) = (ptr::addr_of!(second).cast::<Word>(), ptr::addr_of_mut!((*end).1).cast::<Word>());
        for word in 0..size_of::<B>() / size_of::<Word>() {
            // Volatile, or the compiler would move two at once.
            to.add(word).write(from.add(word).read_volatile());
        }
        list.set_len(len + 1);
    }
    forget(second);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::rc::Rc;

    #[test]
    fn is_a_push() {
        let (mut list, shared) = (Vec::new(), Rc::new(()));
        for number in 0..100_u64 {
            let second = if number % 2 == 0 { Ok((shared.clone(), number)) } else { Err("odd") };
            append(&mut list, number as u8, second);
        }
        assert_eq!((list.len(), Rc::strong_count(&shared)), (100, 51));
        for (number, (first, second)) in list.into_iter().enumerate() {
            assert_eq!(usize::from(first), number);
            assert_eq!(second.map(|(_, number)| number).ok(), (number % 2 == 0).then_some(number as u64));
        }
        assert_eq!(Rc::strong_count(&shared), 1);
    }
}
