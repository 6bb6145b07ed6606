//! The modes of operation (SP 800-38A) over any [`Vector`].
//!
//! A round has a latency of several cycles and one can begin in each, so eight vectors go through the rounds
//! together; what is left takes passes of four, two and one vector, and of single blocks. Everything here is
//! `#[inline(always)]`: it becomes part of one function for each way, which has the CPU's features enabled.

use super::BLOCK;
use super::vector::{Block, Vector};
use std::array::from_fn;
use std::mem::MaybeUninit;

/// Round keys in the order of their use.
pub(super) type Keys<'a> = &'a [Block];

/// What becomes of the blocks of one pass.
pub(super) trait Mode {
    /// Takes `N` vectors from `from` to `to`.
    ///
    /// # Safety
    /// The processor has the instructions of `V`; both are valid for `N` vectors and either the same or apart.
    unsafe fn pass<V: Vector, const N: usize>(&mut self, from: *const u8, to: *mut u8);
}

/// Takes `blocks` blocks from `from` to `to`: eight vectors `Wide` at a time, then ever fewer vectors `Half`, whose
/// rounds have less latency, and at last up to three single blocks.
///
/// # Safety
/// The processor has the instructions of all; both pointers are valid for `blocks` and either the same or apart.
#[inline(always)]
pub(super) unsafe fn run<Wide: Vector, Half: Vector, One: Vector>(
    mut mode: impl Mode,
    mut from: *const u8,
    mut to: *mut u8,
    mut blocks: usize,
) {
    const { assert!(Wide::BLOCKS <= 2 * Half::BLOCKS && Half::BLOCKS <= 2 && One::BLOCKS == 1) }
    macro_rules! pass {
        ($vector:ty, $n:literal) => {
            let taken = $n * <$vector>::BLOCKS;
            // SAFETY: so many blocks are left; the instructions are there.
            unsafe {
                mode.pass::<$vector, $n>(from, to);
                (from, to) = (from.add(BLOCK * taken), to.add(BLOCK * taken));
            }
            blocks -= taken;
        };
    }
    if blocks >= 4 {
        while blocks >= 8 * Wide::BLOCKS {
            pass!(Wide, 8);
        }
        if blocks >= 8 * Half::BLOCKS {
            pass!(Half, 8);
        }
        if blocks >= 4 * Half::BLOCKS {
            pass!(Half, 4);
        }
        if blocks >= 2 * Half::BLOCKS {
            pass!(Half, 2);
        }
    }
    // SAFETY: so many blocks are left; the instructions are there.
    unsafe {
        match blocks {
            0 => {}
            1 => mode.pass::<One, 1>(from, to),
            2 => mode.pass::<One, 2>(from, to),
            _ => mode.pass::<One, 3>(from, to),
        }
    }
}

/// # Safety
/// The processor has the instructions; `from` is valid for `N` vectors.
#[inline(always)]
unsafe fn load<V: Vector, const N: usize>(from: *const u8) -> [V; N] {
    // SAFETY: vector `i` of `N`.
    from_fn(|i| unsafe { V::load(from.add(BLOCK * V::BLOCKS * i)) })
}

/// # Safety
/// `to` is valid for `N` vectors.
#[inline(always)]
unsafe fn store<V: Vector, const N: usize>(x: [V; N], to: *mut u8) {
    for (i, x) in x.into_iter().enumerate() {
        // SAFETY: vector `i` of `N`.
        unsafe { x.store(to.add(BLOCK * V::BLOCKS * i)) }
    }
}

/// The cipher (FIPS 197, section 5.1) or the equivalent inverse cipher (section 5.3.5) of each block, with
/// `after(i, block)` xored to vector `i`: it goes into the last round key, beside the rounds rather than behind them.
#[inline(always)]
fn crypt<V: Vector, const N: usize, const ENCRYPT: bool>(
    keys: Keys<'_>,
    mut x: [V; N],
    after: impl Fn(usize, V) -> V,
) -> [V; N] {
    let [first, middle @ .., last] = keys else { unreachable!("there are 11 round keys or more") };
    // SAFETY: vectors are there, and so are the instructions.
    let repeat = |key| unsafe { V::repeat(key) };
    let key = repeat(first);
    x.iter_mut().for_each(|x| *x = x.xor(key));
    for round in middle {
        let key = repeat(round);
        x.iter_mut().for_each(|x| *x = if ENCRYPT { x.encrypt_round(key) } else { x.decrypt_round(key) });
    }
    let key = repeat(last);
    for (i, x) in x.iter_mut().enumerate() {
        let key = after(i, key);
        *x = if ENCRYPT { x.encrypt_last(key) } else { x.decrypt_last(key) };
    }
    x
}

/// ECB, one way or the other.
pub(super) struct Ecb<'a, const ENCRYPT: bool>(pub Keys<'a>);

impl<const ENCRYPT: bool> Mode for Ecb<'_, ENCRYPT> {
    #[inline(always)]
    unsafe fn pass<V: Vector, const N: usize>(&mut self, from: *const u8, to: *mut u8) {
        // SAFETY: the caller's; all is read before anything is written.
        unsafe { store(crypt::<V, N, ENCRYPT>(self.0, load(from), |_, key| key), to) }
    }
}

/// CBC decryption. The second is the block of ciphertext before those to come, at first the IV.
pub(super) struct CbcDecrypt<'a>(pub Keys<'a>, pub Block);

impl Mode for CbcDecrypt<'_> {
    #[inline(always)]
    unsafe fn pass<V: Vector, const N: usize>(&mut self, from: *const u8, to: *mut u8) {
        // SAFETY: the caller's; all is read before anything is written.
        unsafe {
            let ciphertext = load::<V, N>(from);
            let earlier = V::repeat(&self.1);
            let x = crypt::<V, N, false>(self.0, ciphertext, |i, key| {
                key.xor(ciphertext[i].shifted(if i == 0 { earlier } else { ciphertext[i - 1] }))
            });
            self.1 = Block(from.cast::<[u8; 16]>().add(N * V::BLOCKS - 1).read());
            store(x, to);
        }
    }
}

/// CTR.
///
/// What comes before the first round must not wait: the rounds of the pass before leave no room for it, as all of its
/// instructions want the ports that rounds run on. So a pass of eight vectors writes down the counter blocks of the next
/// one, which then begins with them, as ECB begins with its input.
pub(super) struct Ctr<'a> {
    keys: Keys<'a>,
    /// The counter block to come, as a number, whose low 64 bits may not carry.
    next: u128,
    /// So many from the next one on.
    ahead: MaybeUninit<[Block; MOST_BLOCKS]>,
    blocks_ahead: usize,
}

/// In eight of the widest vectors.
const MOST_BLOCKS: usize = 8 * 4;

impl<'a> Ctr<'a> {
    /// From `next` on, a number whose low 64 bits do not carry before the end.
    #[inline(always)]
    pub fn new(keys: Keys<'a>, next: u128) -> Ctr<'a> {
        Ctr { keys, next, ahead: MaybeUninit::uninit(), blocks_ahead: 0 }
    }
}

impl Mode for Ctr<'_> {
    #[inline(always)]
    unsafe fn pass<V: Vector, const N: usize>(&mut self, from: *const u8, to: *mut u8) {
        const { assert!(N * V::BLOCKS <= MOST_BLOCKS) }
        let (start, blocks) = (self.next, N * V::BLOCKS);
        self.next = start.wrapping_add(blocks as u128);
        // SAFETY: the caller's; all is read before anything is written. What is ahead has room for any pass.
        unsafe {
            let counters: [V; N] = if blocks <= self.blocks_ahead {
                load(self.ahead.as_ptr().cast())
            } else {
                let base = V::repeat(&Block(start.to_le_bytes()));
                from_fn(|i| base.plus((i * V::BLOCKS) as u8).reversed())
            };
            if N == 8 {
                let mut ahead = counters;
                // A loop, since a closure that is not inlined would be without the instructions.
                for x in &mut ahead {
                    *x = x.plus_in_last_byte(blocks as u8);
                }
                store(ahead, self.ahead.as_mut_ptr().cast());
            }
            let last_byte_carries = usize::from(start as u8) + 2 * blocks > 0x100;
            self.blocks_ahead = if N < 8 || last_byte_carries { 0 } else { blocks };
            let data = load::<V, N>(from);
            store(crypt::<V, N, true>(self.keys, counters, |i, key| key.xor(data[i])), to);
        }
    }
}
