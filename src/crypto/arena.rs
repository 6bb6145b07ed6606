//! The memory that small secrets live in: locked into RAM and left out of core dumps where the system lets us,
//! between pages that nobody may touch.
//!
//! Slots of a few sizes are carved from mapped chunks, which are never unmapped. A free slot holds zeros. The
//! lists of free slots are sharded, so that threads do not meet, and their locks are only ever *tried*: a child
//! of fork may find one held by a thread that it does not have, and must not wait for it.
//!
//! Chunks are inherited by children (no MADV_WIPEONFORK): a process may be configured to go on using its keys
//! there, and one that is not starts anew without touching them.

use crate::kernel::lock::{Guard, Mutex};
use crate::kernel::shard::{self, Apart};
use std::ffi::c_void;
use std::ptr::{self, NonNull};

/// Slot sizes in bytes. Larger secrets (RSA private keys, PKCS #8) come from the heap.
const SIZES: [usize; 5] = [32, 64, 128, 256, 512];

/// Bytes mapped at once.
const CHUNK: usize = 1 << 14;

/// Fewer than threads can have: each keeps chunks of every size that it was asked for.
const SHARDS: usize = 16;

/// Free slots of each size.
struct Shard([Vec<Address>; SIZES.len()]);

/// A slot's start, which only its taker uses.
struct Address(NonNull<u8>);

// SAFETY: it is memory, of no thread.
unsafe impl Send for Address {}

static ARENA: [Apart<Mutex<Shard>>; SHARDS] =
    [const { Apart(Mutex::new(Shard([const { Vec::new() }; SIZES.len()]))) }; SHARDS];

/// A slot that its holder alone may use, until it is given back.
pub(super) struct Slot {
    start: NonNull<u8>,
    class: usize,
}

impl Slot {
    /// Its first byte.
    pub(super) fn start(&self) -> NonNull<u8> {
        self.start
    }
}

/// A slot of zeros for `len` bytes; `None` if it takes the heap.
pub(super) fn take(len: usize) -> Option<Slot> {
    let class = SIZES.iter().position(|&size| (1..=size).contains(&len))?;
    let mut shard = shard()?;
    let free = &mut shard.0[class];
    if free.is_empty() {
        carve(map()?, SIZES[class], free);
    }
    free.pop().map(|Address(start)| Slot { start, class })
}

/// Takes back a slot whose holder has wiped it.
pub(super) fn give_back(slot: Slot) {
    // With every list held at this instant, a slot is lost rather than waited for.
    if let Some(mut shard) = shard() {
        shard.0[slot.class].push(Address(slot.start));
    }
}

/// The thread's own list, or another if that one is held.
fn shard() -> Option<Guard<'static, Shard>> {
    let own = shard::shard();
    (0..SHARDS).find_map(|i| ARENA[(own + i) % SHARDS].0.try_lock())
}

/// Cuts a chunk into slots.
fn carve(chunk: NonNull<u8>, size: usize, free: &mut Vec<Address>) {
    // SAFETY: every offset is within the chunk.
    free.extend((0..CHUNK / size).rev().map(|i| Address(unsafe { chunk.add(i * size) })));
}

/// A new chunk of zeros, between two pages that fault. That locking and hiding may be refused (RLIMIT_MEMLOCK,
/// an old kernel) takes nothing away from the rest.
fn map() -> Option<NonNull<u8>> {
    // SAFETY: a new private mapping, of which only the middle is made accessible; failures are checked.
    unsafe {
        let guard = usize::try_from(libc::sysconf(libc::_SC_PAGESIZE)).ok()?;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let base = libc::mmap(ptr::null_mut(), CHUNK + 2 * guard, libc::PROT_NONE, flags, -1, 0);
        if base == libc::MAP_FAILED {
            return None;
        }
        let chunk = base.cast::<u8>().add(guard).cast::<c_void>();
        if libc::mprotect(chunk, CHUNK, libc::PROT_READ | libc::PROT_WRITE) != 0 {
            libc::munmap(base, CHUNK + 2 * guard);
            return None;
        }
        libc::mlock(chunk, CHUNK);
        #[cfg(target_os = "linux")]
        libc::madvise(chunk, CHUNK, libc::MADV_DONTDUMP);
        NonNull::new(chunk.cast())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Secret;
    use super::*;

    /// A slot, also while another test holds the lists.
    fn patient() -> Slot {
        std::iter::repeat_with(|| take(17)).flatten().next().unwrap()
    }

    #[test]
    fn held_lists_are_not_waited_for() {
        let held: Vec<_> = ARENA.iter().map(|shard| shard.0.lock()).collect();
        let mut from_heap = Secret::from_slice(b"no slot to be had");
        from_heap.expose_mut()[0] = b'N';
        drop(from_heap);
        drop(held);
        give_back(patient());
    }

    #[test]
    fn threads_never_share_a_slot() {
        std::thread::scope(|scope| {
            for thread in 0..4u8 {
                scope.spawn(move || {
                    for round in 0..200usize {
                        let mine: Vec<Secret> =
                            (1..40).map(|i| Secret::from_slice(&vec![thread; i * (1 + round % 7)])).collect();
                        assert!(mine.iter().all(|secret| secret.expose().iter().all(|&byte| byte == thread)));
                    }
                });
            }
        });
    }

    #[test]
    fn chunks_are_kept_out_of_core_dumps() {
        if std::env::var_os("COFFER_TEST_RUNNER").is_some() {
            return eprintln!("an emulator keeps the advice to itself");
        }
        let slot = patient();
        let address = slot.start().as_ptr() as usize;
        let Ok(maps) = std::fs::read_to_string("/proc/self/smaps") else { return };
        let mut inside = false;
        for line in maps.lines() {
            if let Some((from, to)) = line.split_once(' ').and_then(|(range, _)| range.split_once('-'))
                && let (Ok(from), Ok(to)) = (usize::from_str_radix(from, 16), usize::from_str_radix(to, 16))
            {
                inside = (from..to).contains(&address);
            } else if inside && line.starts_with("VmFlags:") {
                assert!(line.split(' ').any(|flag| flag == "dd"), "{line}");
                return give_back(slot);
            }
        }
        panic!("no mapping holds the secret");
    }
}
