//! Random bytes: AWS-LC's CTR_DRBG, seeded by the system, one per thread, safe across forks.
//!
//! Each call of it costs about 460 ns here, of which 150 are the processor's own generator, 250 the DRBG's new key
//! and 50 its looks for forks and snapshots. So C_GenerateRandom has small requests served from a [`Store`].
//!
//! Should a virtual machine be copied while it runs, both copies find the same bytes in their stores, where AWS-LC mixes
//! the processor's randomness into every call of its own. So a key from the store is XORed with as many bytes of the
//! processor's own, drawn for it alone: the DRBG's strength if the processor's generator is bad, and a key of each copy's
//! own if it is good, which is what a call of AWS-LC gives. Where the processor has no generator, and for IVs, it is a
//! call.

use super::{Secret, wipe};
use crate::kernel::fork::{Uncut, WipedOnFork};
use std::cell::OnceCell;
use std::ptr;
use std::slice;

/// Held while AWS-LC draws random bytes, for whatever it does. At each draw it asks, under locks, whether the process was
/// forked, and a child whose parent had a thread between them at that moment would wait for it at its first draw, for ever.
pub(super) fn drawing() -> Uncut {
    Uncut::enter()
}

/// Fills `out`. AWS-LC stops the process rather than return bytes that are not random, so there is no error.
pub fn fill(out: &mut [u8]) {
    let _drawing = drawing();
    // SAFETY: valid for its length.
    unsafe { aws_lc_sys::RAND_bytes(out.as_mut_ptr(), out.len()) };
}

/// Fills `out` for a caller who asked for random bytes: from the thread's store if they are few.
pub fn draw(out: &mut [u8]) {
    if out.len() > SMALL || !draw_stored(out) {
        fill(out);
    }
}

/// Fills the small `out` from the thread's store; false if it has none.
fn draw_stored(out: &mut [u8]) -> bool {
    thread_local!(static STORE: OnceCell<Option<Store>> = const { OnceCell::new() });
    // A thread that is ending has none any more.
    STORE.try_with(|store| store.get_or_init(Store::new).as_ref().is_some_and(|store| store.draw(out)))
        == Ok(true)
}

/// Bytes up to which a request is a small one.
const SMALL: usize = 512;

/// Random bytes of one thread in advance, each given out once and wiped as it is. It is wiped in children, in which
/// it is filled anew, and when its thread ends.
struct Store(WipedOnFork);

#[repr(C)]
struct Page {
    /// Whether this is the process that filled it; set before it does.
    filled: bool,
    left: usize,
    bytes: [u8; CAPACITY],
}

/// Five hundred keys: filling it draws on the processor's generator, for which all cores wait in one queue.
const CAPACITY: usize = WipedOnFork::LEN - 2 * size_of::<usize>();
const _: () = assert!(size_of::<Page>() <= WipedOnFork::LEN && SMALL <= CAPACITY);

impl Store {
    fn new() -> Option<Store> {
        let page = WipedOnFork::map()?;
        page.hide();
        Some(Store(page))
    }

    /// Fills the small `out`; false if a signal handler forked just now, and this is the child.
    fn draw(&self, out: &mut [u8]) -> bool {
        let page = self.0.start().as_ptr().cast::<Page>();
        // SAFETY: the page is mapped, aligned, used by this thread only, and a valid value, also when wiped. All of
        // it is reached by pointer, volatile where a fork may change it, and `bytes` only between looks at it.
        unsafe {
            let (filled, left) = (&raw mut (*page).filled, &raw mut (*page).left);
            if !filled.read_volatile() || left.read_volatile() < out.len() {
                filled.write_volatile(true);
                fill(slice::from_raw_parts_mut((&raw mut (*page).bytes).cast(), CAPACITY));
                left.write_volatile(CAPACITY);
            }
            let start = left.read_volatile().saturating_sub(out.len());
            left.write_volatile(start);
            let bytes = (&raw mut (*page).bytes).cast::<u8>().add(start);
            ptr::copy_nonoverlapping(bytes, out.as_mut_ptr(), out.len());
            wipe(slice::from_raw_parts_mut(bytes, out.len()));
            filled.read_volatile()
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // SAFETY: the whole mapping, of which no other reference exists.
        wipe(unsafe { slice::from_raw_parts_mut(self.0.start().as_ptr(), WipedOnFork::LEN) });
    }
}

/// `N` random bytes that are no secret: an IV, a salt, a nonce.
pub fn array<const N: usize>() -> [u8; N] {
    let mut out = [0; N];
    fill(&mut out);
    out
}

/// `len` random bytes that are.
pub fn secret(len: usize) -> Secret {
    let mut out = Secret::zeroed(len);
    if len > KEY || !draw_key(out.expose_mut()) {
        fill(out.expose_mut());
    }
    out
}

/// Bytes up to which a key is quicker drawn than filled.
const KEY: usize = 32;

/// Fills the small `out` from the thread's store and from the processor's generator; false if there is none, or it fails.
fn draw_key(out: &mut [u8]) -> bool {
    if !draw_stored(out) {
        return false;
    }
    let (words, rest) = out.as_chunks_mut();
    for bytes in words {
        let Some(word) = processor_word() else { return false };
        *bytes = (u64::from_ne_bytes(*bytes) ^ word).to_ne_bytes();
    }
    if !rest.is_empty() {
        let Some(word) = processor_word() else { return false };
        rest.iter_mut().zip(word.to_ne_bytes()).for_each(|(byte, fresh)| *byte ^= fresh);
    }
    true
}

/// Eight random bytes of the processor's own.
#[cfg(target_arch = "x86_64")]
fn processor_word() -> Option<u64> {
    use std::arch::x86_64::_rdrand64_step;

    #[target_feature(enable = "rdrand")]
    fn step() -> Option<u64> {
        let mut word = 0;
        // Intel's manual: ten failures in a row are a fault of the generator.
        let drawn = (0..10).any(|_| _rdrand64_step(&mut word) == 1);
        // What some processors of AMD answer for ever once they have slept.
        (drawn && word != 0 && word != u64::MAX).then_some(word)
    }

    // SAFETY: it is called only where the processor has the instruction.
    if is_x86_feature_detected!("rdrand") { unsafe { step() } } else { None }
}

#[cfg(not(target_arch = "x86_64"))]
fn processor_word() -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn drawn<const N: usize>() -> [u8; N] {
        let mut out = [0; N];
        draw(&mut out);
        out
    }

    #[test]
    fn no_two_answers_are_equal_and_no_byte_is_left() {
        assert_ne!(array::<32>(), array::<32>());
        let mut seen = [false; 1000];
        // A byte that fill() leaves alone stays zero in all 20 rounds; a random one does with 2^-160.
        for _ in 0..20 {
            secret(1000).expose().iter().zip(&mut seen).for_each(|(byte, seen)| *seen |= *byte != 0);
        }
        assert!(seen.iter().all(|&seen| seen));
    }

    #[test]
    fn every_length_is_drawn_whole() {
        for len in (0..SMALL + 3).chain([CAPACITY - 1, CAPACITY, CAPACITY + 1, 100_000]) {
            let mut seen = vec![false; len];
            let mut out = vec![0; len];
            for _ in 0..20 {
                out.fill(0);
                draw(&mut out);
                out.iter().zip(&mut seen).for_each(|(byte, seen)| *seen |= *byte != 0);
            }
            assert!(seen.iter().all(|&seen| seen), "{len}");
        }
    }

    #[test]
    fn every_key_is_whole_and_another_one() {
        for len in 1..=KEY + 1 {
            let keys: Vec<Secret> = (0..40).map(|_| secret(len)).collect();
            assert!(
                (0..len).all(|at| keys.iter().any(|key| key.expose()[at] != keys[0].expose()[at])),
                "{len}"
            );
        }
        let key = || *secret(KEY).expose().first_chunk().unwrap();
        let all: HashSet<[u8; 32]> =
            (0..10_000).map(|_| key()).chain((0..5).flat_map(|_| [in_child(key), key()])).collect();
        assert_eq!(all.len(), 10_010);
    }

    /// Which is what makes copies of a running machine draw keys of their own.
    #[test]
    fn the_processor_has_its_part_in_a_key() {
        if processor_word().is_some() {
            let words: HashSet<u64> = (0..1000).filter_map(|_| processor_word()).collect();
            assert!(words.len() > 990);
        }
    }

    #[test]
    fn no_bytes_are_given_twice() {
        let all: Vec<[u8; 16]> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..4).map(|_| scope.spawn(|| (0..20_000).map(|_| drawn()).collect::<Vec<_>>())).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        // Every eight bytes at every place, so that no overlap of two answers is missed: 720,000 of 2^64.
        let windows: HashSet<&[u8]> = all.iter().flat_map(|bytes| bytes.windows(8)).collect();
        assert_eq!(windows.len(), all.len() * 9);
    }

    /// Emulators have no memory that children find wiped, and so no stores.
    fn store() -> Option<Store> {
        let store = Store::new();
        assert!(store.is_some() || std::env::var_os("COFFER_TEST_RUNNER").is_some());
        store
    }

    #[test]
    fn what_was_given_is_wiped() {
        let Some(store) = store() else { return };
        let mut given = [0; 100];
        assert!(store.draw(&mut given));
        // SAFETY: the page, which nobody else uses.
        let page = unsafe { &*store.0.start().as_ptr().cast::<Page>() };
        assert!(page.filled && page.left == CAPACITY - 100 && page.bytes[page.left..] == [0; 100]);
        assert!(page.bytes[..page.left].iter().any(|&byte| byte != 0));
        assert!(given.iter().any(|&byte| byte != 0));
    }

    /// What `answer` gives in a child of this process.
    fn in_child(answer: impl FnOnce() -> [u8; 32]) -> [u8; 32] {
        let (mut ends, mut bytes) = ([0; 2], [0; 32]);
        // SAFETY: the child draws, writes to the pipe and leaves by _exit.
        unsafe {
            assert_eq!(libc::pipe(ends.as_mut_ptr()), 0);
            let child = libc::fork();
            if child == 0 {
                let bytes = answer();
                libc::_exit((libc::write(ends[1], bytes.as_ptr().cast(), 32) != 32) as i32);
            }
            assert_eq!(libc::read(ends[0], bytes.as_mut_ptr().cast(), 32), 32);
            assert_eq!(libc::waitpid(child, ptr::null_mut(), 0), child);
            libc::close(ends[0]);
            libc::close(ends[1]);
        }
        bytes
    }

    #[test]
    fn children_draw_bytes_of_their_own() {
        let mut seen = HashSet::from([[0; 32]]);
        for _ in 0..20 {
            // Bytes are left in the store at the fork, which the child must not have.
            assert!(seen.insert(drawn()));
            assert!(seen.insert(in_child(drawn)));
            assert!(seen.insert(in_child(|| in_child(drawn))));
            assert!(seen.insert(drawn()));
        }
    }

    /// Which is how a fork in the middle of `Store::draw` is noticed.
    #[test]
    fn children_find_the_store_wiped() {
        let Some(store) = store() else { return };
        assert!(store.draw(&mut [0; 32]));
        let page = store.0.start().as_ptr();
        // SAFETY: the page, which nobody else uses.
        let first_byte = || [unsafe { page.read_volatile() }; 32];
        assert_eq!((first_byte(), in_child(first_byte)), ([1; 32], [0; 32]));
    }

    #[test]
    #[ignore = "figures"]
    fn figures() {
        let window = |fill: fn(&mut [u8])| {
            let begun = std::time::Instant::now();
            (0..1000).for_each(|_| fill(std::hint::black_box(&mut [0; 32])));
            begun.elapsed() / 1000
        };
        let key: fn(&mut [u8]) = |out| assert!(draw_key(out));
        let ways: [(&str, fn(&mut [u8])); 3] = [("fill", fill), ("draw", draw), ("draw_key", key)];
        for (name, way) in ways {
            println!("{name} of 32 bytes: {:?}", (0..1000).map(|_| window(way)).min().unwrap());
        }
    }
}
